/* The key-value cache: writes of new rows, in place. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/cache.h"

enum { CACHE, X, ROWS };

/* Writes of two f16 at a time need whole 32-bit words. */
static bool even_words(const tuff_tensor *cache)
{
    bool even = cache->offset % 2 == 0 && cache->shape.dim[2] % 2 == 0;
    for (int i = 0; i < 2; i++)
        even = even && (cache->shape.dim[i] == 1 || cache->stride[i] % 2 == 0);
    return even;
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *cache = node->in[CACHE], *x = node->in[X];
    if (cache->dtype != TUFF_F32 && cache->dtype != TUFF_F16)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "kv_write: the cache must be f32 or f16, but is %s",
                         tuff_dtype_name(cache->dtype));
    TUFF_TRY(tuff_expect_dtype(node, X, "x", TUFF_F32));
    if (cache->shape.rank != 3 || x->shape.rank != 3 || cache->shape.dim[1] != x->shape.dim[1] ||
        cache->shape.dim[2] != x->shape.dim[2])
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "kv_write: x %s must be [tokens, heads, head dim] like the cache %s but for tokens",
                         tuff_shape_text(&x->shape), tuff_shape_text(&cache->shape));
    if (cache->shape.dim[2] != 1 && (cache->stride[2] != 1 || x->stride[2] != 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "kv_write: the last axis of %s, %s, must be contiguous",
                         cache->stride[2] != 1 ? "the cache" : "x", tuff_shape_text(&x->shape));
    if (cache->dtype == TUFF_F16 && !even_words(cache))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "kv_write: rows of an f16 cache must have an even length and start at even elements, but the "
            "cache is %s from element %lld; use f32",
            tuff_shape_text(&cache->shape), (long long)cache->offset);
    tuff_shape tokens = tuff_shape_of(1, x->shape.dim);
    TUFF_TRY(tuff_expect_dtype(node, ROWS, "rows", TUFF_I32));
    TUFF_TRY(tuff_expect_shape(node, ROWS, "rows", &tokens));
    return tuff_expect_contiguous(node, ROWS, "rows");
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    const int64_t *dim = node->in[CACHE]->shape.dim;
    int64_t tokens = node->in[X]->shape.dim[0], size = dim[1] * dim[2];
    memcpy(out[0], in[CACHE], (size_t)(dim[0] * size) * sizeof(double));
    for (int64_t i = 0; i < tokens; i++) {
        int64_t row = (int64_t)in[ROWS][i];
        if (row >= 0 && row < dim[0])
            memcpy(out[0] + row * size, in[X] + i * size, (size_t)size * sizeof(double));
    }
}

typedef struct task {
    const tuff_node *node;
    const float *x;
    const int32_t *rows;
    char *cache;
} task;

static void write_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    const tuff_tensor *cache = w->node->in[CACHE], *x = w->node->in[X];
    const int64_t *dim = x->shape.dim, *xs = x->stride, *cs = cache->stride;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = w->rows[i];
        if (row < 0 || row >= cache->shape.dim[0]) continue;
        for (int64_t h = 0; h < dim[1]; h++)
            tuff_dtype_from_f32(cache->dtype, w->x + i * xs[0] + h * xs[1],
                                w->cache + (row * cs[0] + h * cs[1]) * (int64_t)tuff_dtype_size(cache->dtype),
                                (size_t)dim[2]);
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const int64_t *dim = node->in[X]->shape.dim;
    task w = {node, in[X], in[ROWS], out[0]};
    tuff_parallel(dim[0], tuff_grain(2 * dim[1] * dim[2]), write_range, &w);
}

static tuff_cost cost(const tuff_node *node)
{
    return (tuff_cost){0, (double)tuff_tensor_bytes(node->in[X]) * 2};
}

static void launch_write(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_tensor *cache = node->in[CACHE], *x = node->in[X];
    const int64_t *dim = x->shape.dim;
    tuff_kv_write_args *args = tuff_launch_add(launch, TUFF_SHADER_kv_write, sizeof *args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, X, 0);
    tuff_launch_address(launch, &args->cache, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(launch, &args->rows, TUFF_OPERAND_IN, ROWS, 0);
    args->heads = (uint32_t)dim[1];
    args->capacity = (uint32_t)cache->shape.dim[0];
    args->half_words = cache->dtype == TUFF_F16;
    for (int i = 0; i < 2; i++) {
        args->x_stride[i] = (uint32_t)x->stride[i];
        args->cache_stride[i] = (uint32_t)cache->stride[i];
    }
    tuff_launch_tiles(launch, caps, dim[0] * dim[1], dim[2] >> args->half_words, args->tile);
}

static const tuff_kernel_row kernel_rows[] = {{"kv_write", 0, tuff_match_32, launch_write}};

const tuff_op_info tuff_op_kv_write = {
    .name = "kv_write",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .in_place = {1 + CACHE},
    .infer = infer,
    .reference = reference,
    .cpu = cpu,
    .cost = cost,
    .rows = kernel_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_kv_write(tuff_graph *g, tuff_tensor *cache, tuff_tensor *x, tuff_tensor *rows)
{
    if (x && x->shape.rank == 3 && x->shape.dim[2] != 1 && x->stride[2] != 1) x = tuff_copy(g, x, x->dtype);
    return tuff_graph_node(g, TUFF_OP_kv_write, (tuff_tensor *[]){cache, x, rows}, 3, NULL);
}
