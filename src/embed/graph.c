/* The graph of an embedder: the model, pooling, dense layers, normalization. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "embed/embedder.h"
#include "formats/safetensors.h"

static const char *dense_name(tuff_graph *g, size_t i, const char *which)
{
    const char *name = tuff_arena_printf(&g->arena, "dense.%zu.%s", i, which);
    if (!name) tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while naming a dense layer");
    return name ? name : "";
}

static tuff_tensor *dense(const tuff_embedder *e, tuff_graph *g, size_t i, tuff_tensor *x)
{
    const tuff_sentence_dense *layer = &e->sentence.dense[i];
    tuff_tensor *w =
        tuff_variable(g, dense_name(g, i, "weight"), TUFF_F32, 2, (int64_t[]){layer->out, layer->in});
    x = tuff_matmul(g, x, tuff_transpose(g, w));
    if (layer->bias) x = tuff_add(g, x, tuff_variable(g, dense_name(g, i, "bias"), TUFF_F32, 1, &layer->out));
    return layer->tanh ? tuff_tanh(g, x) : x;
}

/* One row of each sequence. */
static tuff_tensor *take_rows(tuff_graph *g, tuff_tensor *hidden, int64_t sequences)
{
    return tuff_gather_rows(g, hidden, tuff_input(g, "first", TUFF_I32, 1, &sequences));
}

static tuff_tensor *pool(const tuff_embedder *e, tuff_graph *g, tuff_tensor *hidden, int64_t sequences)
{
    if (e->pooling == TUFF_POOLING_CLS || e->pooling == TUFF_POOLING_LAST)
        return take_rows(g, hidden, sequences);
    tuff_tensor *rows = tuff_input(g, "pooled", TUFF_I32, 2, (int64_t[]){sequences, 4});
    if (e->pooling == TUFF_POOLING_MAX) return tuff_segment_max(g, hidden, rows);
    tuff_tensor *mean = tuff_segment_mean(g, hidden, rows, e->pooling == TUFF_POOLING_WEIGHTED_MEAN);
    if (e->pooling != TUFF_POOLING_MEAN_SQRT_LEN) return mean;
    return tuff_mul(g, mean, tuff_input(g, "root", TUFF_F32, 2, (int64_t[]){sequences, 1}));
}

tuff_tensor *tuff_embedder_vectors(const tuff_embedder *e, tuff_graph *g, tuff_tensor *states,
                                   int64_t sequences)
{
    bool apart = e->pooling == TUFF_POOLING_NONE;
    tuff_tensor *x = apart ? states : pool(e, g, states, sequences);
    for (size_t i = 0; !apart && i < e->sentence.denses; i++)
        x = dense(e, g, i, x);
    if (e->dimensions < e->full) x = tuff_slice(g, x, -1, 0, e->dimensions);
    return e->normalize ? tuff_l2_normalize(g, x, 1e-12) : x;
}

static void build(void *user, tuff_net *net, tuff_tensor *states, const tuff_packed_shape *shape)
{
    tuff_output(net->g, "vectors", tuff_embedder_vectors(user, net->g, states, shape->sequences));
}

static tuff_status set(void *user, tuff_program *program, const tuff_packed_shape *shape,
                       const tuff_packed_text *texts, size_t n)
{
    tuff_embedder *e = user;
    const size_t most = (size_t)shape->sequences, word = sizeof(int32_t);
    if (e->pooling == TUFF_POOLING_NONE) return TUFF_OK;
    int32_t *pooled = tuff_packed_words(&e->packed, 6 * most), at = 0;
    if (!pooled) return TUFF_OUT_OF_MEMORY;
    int32_t *first = pooled + 4 * most;
    float *root = (float *)(first + most);
    for (size_t s = 0; s < n; s++) {
        int32_t count = (int32_t)texts[s].count, skip = (int32_t)texts[s].skip;
        memcpy(pooled + 4 * s, (int32_t[]){at + skip, count - skip, at + skip, count - skip}, 4 * word);
        first[s] = e->pooling == TUFF_POOLING_LAST ? at + count - 1 : at;
        root[s] = sqrtf((float)(count - skip));
        at += count;
    }
    TUFF_TRY(tuff_program_input(program, "pooled", pooled, 4 * most * word));
    TUFF_TRY(tuff_program_input(program, "first", first, most * word));
    return tuff_program_input(program, "root", root, most * word);
}

static tuff_status take(void *user, void *call, tuff_program *program, const tuff_packed_shape *shape,
                        const tuff_packed_text *texts, size_t n)
{
    tuff_embedder *e = user;
    bool apart = e->pooling == TUFF_POOLING_NONE;
    const tuff_embed_call *to = call;
    const size_t d = (size_t)e->dimensions, all = (size_t)(apart ? shape->tokens : shape->sequences) * d;
    float *vectors = tuff_packed_words(&e->packed, all);
    if (!vectors) return TUFF_OUT_OF_MEMORY;
    TUFF_TRY(tuff_program_output(program, "vectors", vectors, all * sizeof *vectors));
    for (size_t s = 0, at = 0; s < n; s++) {
        size_t rows = apart ? texts[s].count : 1, start = apart ? to->starts[texts[s].index] : texts[s].index;
        memcpy(to->out + start * d, vectors + at * d, rows * d * sizeof *vectors);
        at += rows;
    }
    return TUFF_OK;
}

static tuff_status upload_tensor(const tuff_weights *weights, const char *name, int rank,
                                 const int64_t *shape, const char *as, tuff_store *store)
{
    const tuff_weight *weight = NULL;
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_weights_require(weights, name, (unsigned)rank, shape, &weight));
    TUFF_TRY(tuff_store_add(store, as, TUFF_F32, rank, shape, &buffer));
    int64_t n = tuff_buffer_count(buffer);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("a dense layer");
    tuff_status status = tuff_weight_read(weight, TUFF_F32, values);
    if (status == TUFF_OK) status = tuff_buffer_write(buffer, 0, values, n);
    tuff_free(values);
    return status;
}

static tuff_status upload_dense(const tuff_sentence_dense *layer, size_t i, tuff_store *store)
{
    char weight[48], bias[48];
    snprintf(weight, sizeof weight, "dense.%zu.weight", i);
    snprintf(bias, sizeof bias, "dense.%zu.bias", i);
    tuff_weights *weights = NULL;
    char *path = tuff_path_join(layer->directory, "model.safetensors");
    tuff_status status = path ? tuff_safetensors_open(path, &weights) : tuff_fail_memory("a path");
    if (status == TUFF_OK)
        status =
            upload_tensor(weights, "linear.weight", 2, (int64_t[]){layer->out, layer->in}, weight, store);
    if (status == TUFF_OK && layer->bias)
        status = upload_tensor(weights, "linear.bias", 1, &layer->out, bias, store);
    tuff_weights_destroy(&weights);
    tuff_free(path);
    return status;
}

static tuff_status upload(void *user, tuff_store *store)
{
    const tuff_embedder *e = user;
    for (size_t i = 0; i < e->sentence.denses; i++)
        TUFF_TRY(upload_dense(&e->sentence.dense[i], i, store));
    return TUFF_OK;
}

tuff_packed_top tuff_embedder_top(tuff_embedder *embedder)
{
    return (tuff_packed_top){.upload = upload, .build = build, .set = set, .take = take, .user = embedder};
}
