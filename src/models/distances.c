/* Attention's bias by the distance of two tokens, from a table of buckets of distances (Raffel et al. 2020):
 * the nearest have one each, farther ones share them by the logarithm, and from the config's farthest on all
 * share one. */
#include <math.h>
#include <stdio.h>

#include "models/model.h"
#include "models/net.h"

/* Of distances from -distance_farthest to that, or, where nothing after a token is seen, to 0. */
static int64_t columns_of(const tuff_config *c)
{
    return c->causal ? c->distance_farthest + 1 : 2 * c->distance_farthest + 1;
}

/* A variable i32 [columns]: which bucket each is. */
static void buckets_name(const tuff_config *c, char name[64])
{
    snprintf(name, 64, "%sdistances.buckets", c->stack ? c->stack : "");
}

/* The bucket of a key so far behind its query (or before it, where it is negative): of half of them for each
 * direction, or all for the one that is seen. In f32, as PyTorch computes them. */
static int32_t bucket(const tuff_config *c, int64_t distance)
{
    int64_t all = c->causal ? c->distance_buckets : c->distance_buckets / 2, exact = all / 2;
    int64_t far = distance < 0 ? -distance : distance, found = far;
    if (far >= exact)
        found = exact +
                (int64_t)(logf((float)far / (float)exact) /
                          (float)log((double)c->distance_farthest / (double)exact) * (float)(all - exact));
    if (found > all - 1) found = all - 1;
    return (int32_t)(distance > 0 ? all + found : found);
}

tuff_tensor *tuff_net_distances(tuff_net *net, int layer, int64_t *out_zero)
{
    const tuff_config *c = net->config;
    const int64_t table[] = {c->distance_buckets, c->heads}, columns = columns_of(c);
    char name[64];
    const char *module = tuff_net_module(net, "blk.#.attn_rel_b", layer);
    *out_zero = c->distance_farthest;
    tuff_tensor *weight =
        tuff_net_param(net, tuff_net_name(net, "%s.weight", module), TUFF_ROLE_BIAS, 2, table);
    buckets_name(c, name);
    tuff_tensor *rows = tuff_graph_leaf(net->g, name);
    if (!rows) rows = tuff_variable(net->g, tuff_net_name(net, "%s", name), TUFF_I32, 1, &columns);
    return tuff_transpose(net->g, tuff_gather_rows(net->g, weight, rows));
}

tuff_status tuff_distances_upload(const tuff_config *config, tuff_store *store)
{
    const int64_t columns = columns_of(config);
    tuff_buffer *buffer = NULL;
    char name[64];
    buckets_name(config, name);
    TUFF_TRY(tuff_store_add(store, name, TUFF_I32, 1, &columns, &buffer));
    int32_t *rows = tuff_alloc_array((size_t)columns, sizeof *rows);
    if (!rows) return tuff_fail_memory("the buckets of distances");
    for (int64_t i = 0; i < columns; i++)
        rows[i] = bucket(config, i - config->distance_farthest);
    tuff_status status = tuff_buffer_write(buffer, 0, rows, columns);
    tuff_free(rows);
    return status;
}
