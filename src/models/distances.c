/* Attention's bias by the distance of two tokens, from a table of buckets of distances (Raffel et al. 2020):
 * the nearest have one each, farther ones share them by the logarithm, and from FARTHEST on all share one. */
#include <math.h>

#include "models/model.h"
#include "models/net.h"

enum { FARTHEST = 128, COLUMNS = 2 * FARTHEST + 1 };
static const char buckets_name[] = "distances.buckets"; /* i32 [COLUMNS], of distances from -FARTHEST on */

/* The bucket of a key so far behind its query (or before it, where it is negative), of those for both
 * directions. In f32, as PyTorch computes them. */
static int32_t bucket(int64_t distance, int64_t buckets)
{
    int64_t half = buckets / 2, exact = half / 2, far = distance < 0 ? -distance : distance, found = far;
    if (far >= exact)
        found = exact + (int64_t)(logf((float)far / (float)exact) /
                                  (float)log((double)FARTHEST / (double)exact) * (float)(half - exact));
    if (found > half - 1) found = half - 1;
    return (int32_t)(distance > 0 ? half + found : found);
}

tuff_tensor *tuff_net_distances(tuff_net *net, int64_t *out_zero)
{
    const tuff_config *c = net->config;
    const int64_t table[] = {c->distance_buckets, c->heads}, columns = COLUMNS;
    const char *module = tuff_net_module(net, "distances", 0);
    *out_zero = FARTHEST;
    tuff_tensor *weight =
        tuff_net_param(net, tuff_net_name(net, "%s.weight", module), TUFF_ROLE_BIAS, 2, table);
    tuff_tensor *rows = tuff_graph_leaf(net->g, buckets_name);
    if (!rows) rows = tuff_variable(net->g, buckets_name, TUFF_I32, 1, &columns);
    return tuff_transpose(net->g, tuff_gather_rows(net->g, weight, rows));
}

tuff_status tuff_distances_upload(const tuff_config *config, tuff_store *store)
{
    int32_t rows[COLUMNS];
    const int64_t columns = COLUMNS;
    tuff_buffer *buffer = NULL;
    for (int64_t i = 0; i < COLUMNS; i++)
        rows[i] = bucket(i - FARTHEST, config->distance_buckets);
    TUFF_TRY(tuff_store_add(store, buckets_name, TUFF_I32, 1, &columns, &buffer));
    return tuff_buffer_write(buffer, 0, rows, COLUMNS);
}
