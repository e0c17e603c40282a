#include "models/heads/head.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

const char *tuff_net_name(tuff_net *net, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *name = tuff_arena_strdup(&net->g->arena, text);
    if (!name)
        tuff_graph_fail(net->g, TUFF_OUT_OF_MEMORY, "out of host memory while naming the parts of a model");
    return name ? name : "";
}

static tuff_tensor *stream_input(tuff_net *net, const char *prefix, const char *name, int64_t n)
{
    return tuff_input(net->g, tuff_net_name(net, "%s%s", prefix, name), TUFF_I32, 1, &n);
}

static void begin_stream(tuff_net *net, tuff_stream *s, const char *prefix, int64_t n, bool cached)
{
    const tuff_config *c = net->config;
    const int64_t table[] = {net->sequences, 4};
    s->ids = stream_input(net, prefix, "ids", n);
    if (tuff_config_has_positions(c)) s->positions = stream_input(net, prefix, "positions", n);
    s->segments = tuff_input(net->g, tuff_net_name(net, "%ssegments", prefix), TUFF_I32, 2, table);
    if (c->token_types) s->types = stream_input(net, prefix, "types", n);
    if (cached) s->rows = stream_input(net, prefix, "rows", n);
}

void tuff_net_begin(tuff_net *net)
{
    const int64_t table[] = {net->sequences, 4};
    net->at = &net->main;
    if (net->tokens) begin_stream(net, &net->main, "", net->tokens, net->capacity != 0);
    if (net->source_tokens)
        begin_stream(net, &net->source, "source.", net->source_tokens, net->cross_capacity != 0);
    if (net->balance && net->config->experts.balance != 0)
        net->balanced = tuff_input(net->g, "balance.tokens", TUFF_F32, 1, &net->tokens);
    if (net->tokens && net->config->encoder)
        net->cross_segments = tuff_input(net->g, "cross.segments", TUFF_I32, 2, table);
}

static tuff_tensor *variable(tuff_net *net, const char *name, tuff_dtype dtype, int rank, const int64_t *dims)
{
    tuff_tensor *x = tuff_graph_leaf(net->g, name);
    return x ? x : tuff_variable(net->g, name, dtype, rank, dims);
}

/* How the parameter lies on the device; adds it to the list that is made. */
static tuff_dtype storage(tuff_net *net, const char *name, tuff_role role, int rank, const int64_t *shape)
{
    if (net->declare && net->g->status == TUFF_OK && !tuff_graph_leaf(net->g, name) &&
        tuff_params_declare(net->declare, net->config, name, role, rank, shape) != TUFF_OK)
        tuff_graph_fail(net->g, TUFF_OUT_OF_MEMORY, "%s", tuff_error_message());
    const tuff_param *p = net->params ? tuff_params_find(net->params, name) : NULL;
    const tuff_map *whole = net->hook ? net->hook->whole : NULL;
    uint32_t i;
    return p && !(whole && tuff_map_get(whole, name, strlen(name), &i)) ? p->stored : TUFF_F32;
}

tuff_tensor *tuff_net_param(tuff_net *net, const char *name, tuff_role role, int rank, const int64_t *shape)
{
    return variable(net, name, storage(net, name, role, rank, shape), rank, shape);
}

static tuff_tensor *matrix(tuff_net *net, const char *name, tuff_role role, int64_t rows, int64_t columns)
{
    return tuff_net_param(net, name, role, 2, (int64_t[]){rows, columns});
}

static tuff_tensor *vector(tuff_net *net, const char *module, const char *which, tuff_role role, int64_t n)
{
    return tuff_net_param(net, tuff_net_name(net, "%s.%s", module, which), role, 1, &n);
}

const char *tuff_net_module(tuff_net *net, const char *part, int layer)
{
    const char *pattern = tuff_config_module(net->config, part),
               *number = pattern ? strchr(pattern, '#') : NULL;
    if (!pattern)
        tuff_graph_fail(net->g, TUFF_UNSUPPORTED, "the architecture %s has no part %s",
                        net->config->arch->name, part);
    if (!number) return pattern ? pattern : "";
    return tuff_net_name(net, "%.*s%d%s", (int)(number - pattern), pattern, layer, number + 1);
}

tuff_tensor *tuff_net_embed(tuff_net *net, const char *part, int64_t rows, tuff_tensor *ids,
                            const char *index_name)
{
    tuff_tensor *index = NULL;
    if (net->train_base) {
        int64_t size = (int64_t)tuff_embedding_index_size((size_t)tuff_tensor_dim(ids, 0));
        const char *prefix = net->at == &net->source ? "source." : "";
        index = tuff_input(net->g, tuff_net_name(net, "%s%s", prefix, index_name), TUFF_I32, 1, &size);
    }
    const char *name = tuff_net_name(net, "%s.weight", tuff_net_module(net, part, 0));
    return tuff_embedding(net->g, matrix(net, name, TUFF_ROLE_TABLE, rows, net->config->hidden_size), ids,
                          index);
}

tuff_tensor *tuff_net_seed(tuff_net *net)
{
    tuff_tensor *seed = tuff_graph_leaf(net->g, "dropout_seed");
    return seed ? seed : tuff_input(net->g, "dropout_seed", TUFF_U32, 1, (int64_t[]){3});
}

/* Its own for each place of each layer of each stack. */
static uint32_t drop_stream(const tuff_net *net, tuff_drop place, int layer)
{
    enum { PLACES = 16, STACK = 1 << 20 };
    _Static_assert((int)TUFF_DROP_COUNT <= (int)PLACES, "streams of one place are another's");
    const uint32_t stack = net->at == &net->source ? STACK : 0;
    return TUFF_STREAM_MODEL + stack + (uint32_t)layer * PLACES + (uint32_t)place;
}

tuff_tensor *tuff_net_drop(tuff_net *net, tuff_drop place, int layer, tuff_tensor *x)
{
    const double p = net->dropouts ? net->dropouts->of[place] : 0;
    if (p == 0) return x;
    return tuff_dropout(net->g, x, tuff_net_seed(net), p, drop_stream(net, place, layer));
}

static void drop_probabilities(tuff_net *net, tuff_drop place, int layer, tuff_attention_params *params)
{
    params->dropout = net->dropouts ? net->dropouts->of[place] : 0;
    if (params->dropout == 0) return;
    params->dropout_seed = tuff_net_seed(net);
    params->dropout_stream = drop_stream(net, place, layer);
}

tuff_tensor *tuff_net_linear(tuff_net *net, tuff_tensor *x, const char *part, int layer, int64_t out,
                             bool bias)
{
    tuff_graph *g = net->g;
    const char *module = tuff_net_module(net, part, layer);
    const tuff_net_hook *hook = net->hook;
    tuff_tensor *w =
        matrix(net, tuff_net_name(net, "%s.weight", module), TUFF_ROLE_MATRIX, out, tuff_tensor_dim(x, -1));
    if (hook && hook->points->input) x = hook->points->input(hook->self, net, module, x);
    tuff_tensor *y = tuff_matmul(g, x, tuff_transpose(g, w));
    if (bias) y = tuff_add(g, y, vector(net, module, "bias", TUFF_ROLE_BIAS, out));
    tuff_set_name(g, y, module);
    return hook && hook->points->linear ? hook->points->linear(hook->self, net, module, x, w, y) : y;
}

tuff_tensor *tuff_net_norm(tuff_net *net, tuff_tensor *x, const char *part, int layer)
{
    const tuff_config *c = net->config;
    const char *module = tuff_net_module(net, part, layer);
    int64_t d = tuff_tensor_dim(x, -1);
    tuff_tensor *w = vector(net, module, "weight", TUFF_ROLE_NORM, d);
    if (c->norm_plus_one) w = tuff_add(net->g, w, tuff_fill(net->g, 1, 1, &d));
    if (c->norm == TUFF_NORM_RMS) return tuff_rms_norm(net->g, x, w, c->norm_eps);
    tuff_tensor *b = c->norm == TUFF_NORM_LAYER ? vector(net, module, "bias", TUFF_ROLE_BIAS, d)
                                                : tuff_fill(net->g, 0, 1, &d);
    return tuff_layer_norm(net->g, x, w, b, c->norm_eps);
}

tuff_tensor *tuff_net_split_heads(tuff_net *net, tuff_tensor *x, int64_t n)
{
    return tuff_reshape(net->g, x, 3, (int64_t[]){tuff_tensor_dim(x, 0), n, net->config->head_dim});
}

tuff_tensor *tuff_net_join_heads(tuff_net *net, tuff_tensor *x)
{
    return tuff_reshape(net->g, x, 2, (int64_t[]){tuff_tensor_dim(x, 0), -1});
}

tuff_tensor *tuff_net_rope(tuff_net *net, tuff_rotary rope, tuff_tensor *x)
{
    if (rope == TUFF_ROTARY_NONE) return x;
    const int64_t table[] = {net->rope_positions, tuff_rope_dims(net->config) / 2};
    bool local = rope == TUFF_ROTARY_LOCAL;
    tuff_tensor *cos = variable(net, local ? "rope.local.cos" : "rope.cos", TUFF_F32, 2, table);
    tuff_tensor *sin = variable(net, local ? "rope.local.sin" : "rope.sin", TUFF_F32, 2, table);
    return tuff_rope(net->g, x, cos, sin, net->at->positions);
}

/* Writes x [N, H, D] into the layer's cache and returns the cache as [capacity, H, D]; in memory a head's
 * rows lie together: [H, capacity, D]. */
static tuff_tensor *cached(tuff_net *net, const char *which, int layer, tuff_tensor *x)
{
    const tuff_config *c = net->config;
    const int64_t shape[] = {c->kv_heads, net->capacity, c->head_dim};
    tuff_tensor *cache =
        variable(net, tuff_net_name(net, "cache.%s.%d", which, layer), net->cache_dtype, 3, shape);
    return tuff_kv_write(net->g, tuff_permute(net->g, cache, (int[]){1, 0, 2}), x, net->at->rows);
}

tuff_tensor *tuff_net_attention(tuff_net *net, int layer, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v)
{
    int64_t window = tuff_config_layer(net->config, layer)->window;
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.scale = net->config->attn_scale;
    params.softcap = net->config->attn_softcap;
    drop_probabilities(net, TUFF_DROP_ATTENTION, layer, &params);
    if (window) params.left = params.right = window;
    if (net->config->causal) {
        params.right = 0;
        if (window) params.left = window - 1;
    }
    if (net->hook && net->hook->points->keys) net->hook->points->keys(net->hook->self, net, layer, &k, &v);
    if (net->capacity && net->at == &net->main) {
        k = cached(net, "k", layer, k);
        v = cached(net, "v", layer, v);
    }
    tuff_stream *at = net->at;
    if (net->config->distance_buckets && (!at->distances || net->config->distances_each))
        at->distances = tuff_net_distances(net, layer, &at->distance_zero);
    if (net->config->alibi.most != 0 && !at->distances)
        at->distances = tuff_net_alibi(net, &at->distance_zero);
    params.zero = at->distance_zero;
    tuff_tensor *sinks = NULL;
    if (tuff_config_layer(net->config, layer)->sinks)
        sinks = tuff_net_param(net, tuff_net_module(net, "blk.#.attn_sinks.weight", layer), TUFF_ROLE_BIAS, 1,
                               &net->config->heads);
    return tuff_attention(net->g, q, k, v, at->segments, at->distances, sinks, &params);
}

/* [cross_capacity, H, D]; in memory a head's rows lie together. */
static tuff_tensor *cross_cache(tuff_net *net, const char *which, int layer)
{
    const tuff_config *c = net->config;
    const int64_t shape[] = {c->kv_heads, net->cross_capacity, c->head_dim};
    const char *name = tuff_net_name(net, "cross.%s.%d", which, layer);
    return tuff_permute(net->g, variable(net, name, net->cache_dtype, 3, shape), (int[]){1, 0, 2});
}

void tuff_net_cross_write(tuff_net *net, const char *which, int layer, tuff_tensor *x)
{
    tuff_kv_write(net->g, cross_cache(net, which, layer), x, net->source.rows);
}

tuff_tensor *tuff_net_cross_attention(tuff_net *net, int layer, tuff_tensor *q, tuff_tensor *k,
                                      tuff_tensor *v)
{
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.scale = net->config->attn_scale;
    drop_probabilities(net, TUFF_DROP_CROSS, layer, &params);
    if (!k) {
        k = cross_cache(net, "k", layer);
        v = cross_cache(net, "v", layer);
    }
    return tuff_attention(net->g, q, k, v, net->cross_segments, NULL, NULL, &params);
}

tuff_tensor *tuff_net_logits(tuff_net *net, tuff_tensor *hidden, bool last_only)
{
    tuff_tensor *x = hidden;
    if (last_only) {
        tuff_tensor *last = tuff_input(net->g, "last", TUFF_I32, 1, &net->sequences);
        x = tuff_embedding(net->g, x, last, NULL);
    }
    return tuff_net_head(net, x);
}
