/* Rotary position embedding. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/rope.h"

enum { X, COS, SIN, POSITIONS };

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[X], *cosine = node->in[COS];
    TUFF_TRY(tuff_expect_dtype(node, X, "x", TUFF_F32));
    if (x->shape.rank != 3)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "rope: x must be [tokens, heads, head dim], but is %s",
                         tuff_shape_text(&x->shape));
    if (x->shape.dim[2] != 1 && x->stride[2] != 1)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "rope: the last axis of x, %s, must be contiguous; copy it first",
                         tuff_shape_text(&x->shape));
    if (cosine->shape.rank != 2 || 2 * cosine->shape.dim[1] > x->shape.dim[2])
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "rope: cos must be [positions, pairs] with at most %lld pairs for x %s, but is %s",
                         (long long)(x->shape.dim[2] / 2), tuff_shape_text(&x->shape),
                         tuff_shape_text(&cosine->shape));
    TUFF_TRY(tuff_expect_dense(node, COS, "cos", NULL));
    TUFF_TRY(tuff_expect_dense(node, SIN, "sin", &cosine->shape));
    TUFF_TRY(tuff_expect_dtype(node, POSITIONS, "positions", TUFF_I32));
    tuff_shape tokens = tuff_shape_of(1, x->shape.dim);
    TUFF_TRY(tuff_expect_shape(node, POSITIONS, "positions", &tokens));
    TUFF_TRY(tuff_expect_contiguous(node, POSITIONS, "positions"));
    tuff_set_out(node, 0, &x->shape, TUFF_F32);
    return TUFF_OK;
}

static tuff_tensor *build(tuff_graph *g, tuff_tensor *x, tuff_tensor *const *tables, bool inverse)
{
    if (x && x->shape.rank == 3 && x->shape.dim[2] != 1 && x->stride[2] != 1) x = tuff_copy(g, x, x->dtype);
    tuff_attrs attrs = {.rope = {.inverse = inverse}};
    return tuff_graph_node(g, TUFF_OP_rope, (tuff_tensor *[]){x, tables[0], tables[1], tables[2]}, 4, &attrs);
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    if (needs[X]) d_in[X] = build(g, d_out[0], node->in + COS, !node->attrs.rope.inverse);
    if (needs[COS] || needs[SIN])
        tuff_graph_fail(g, TUFF_UNSUPPORTED, "rope: its tables have no gradient; only x has");
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    const int64_t *dim = node->in[X]->shape.dim;
    int64_t D = dim[2], limit = node->in[COS]->shape.dim[0], half = node->in[COS]->shape.dim[1];
    double sign = node->attrs.rope.inverse ? -1 : 1;
    for (int64_t token = 0; token < dim[0]; token++)
        for (int64_t h = 0; h < dim[1]; h++) {
            const double *x = in[X] + (token * dim[1] + h) * D;
            double *y = out[0] + (token * dim[1] + h) * D;
            int64_t position = (int64_t)in[POSITIONS][token];
            bool inside = position >= 0 && position < limit;
            memcpy(y, x, (size_t)D * sizeof *y);
            for (int64_t i = 0; i < half; i++) {
                double c = inside ? in[COS][position * half + i] : NAN;
                double s = inside ? in[SIN][position * half + i] * sign : NAN;
                y[i] = x[i] * c - x[i + half] * s;
                y[i + half] = x[i + half] * c + x[i] * s;
            }
        }
}

typedef struct rotation {
    const tuff_node *node;
    const float *x, *cosine, *sine;
    const int32_t *positions;
    float *y;
} rotation;

/* x and y are different memory or the same. */
TUFF_KERNEL static void rotate_head(const float *x, const float *c, const float *s, float sign, float *y,
                                    int64_t half)
{
    TUFF_LANES
    for (int64_t i = 0; i < half; i++) {
        float first = x[i], second = x[i + half];
        y[i] = first * c[i] - second * (s[i] * sign);
        y[i + half] = second * c[i] + first * (s[i] * sign);
    }
}

static void rotate_range(int64_t begin, int64_t end, void *context)
{
    const rotation *w = context;
    const tuff_tensor *x = w->node->in[X];
    int64_t H = x->shape.dim[1], D = x->shape.dim[2];
    int64_t limit = w->node->in[COS]->shape.dim[0], half = w->node->in[COS]->shape.dim[1];
    float sign = w->node->attrs.rope.inverse ? -1 : 1;
    for (int64_t token = begin; token < end; token++) {
        int64_t position = w->positions[token];
        for (int64_t h = 0; h < H; h++) {
            const float *from = w->x + token * x->stride[0] + h * x->stride[1];
            float *to = w->y + (token * H + h) * D;
            if (position >= 0 && position < limit)
                rotate_head(from, w->cosine + position * half, w->sine + position * half, sign, to, half);
            else
                for (int64_t i = 0; i < 2 * half; i++)
                    to[i] = NAN;
            if (to != from) memcpy(to + 2 * half, from + 2 * half, (size_t)(D - 2 * half) * sizeof *to);
        }
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const int64_t *dim = node->in[X]->shape.dim;
    rotation w = {node, in[X], in[COS], in[SIN], in[POSITIONS], out[0]};
    tuff_parallel(dim[0], tuff_grain(2 * dim[1] * dim[2]), rotate_range, &w);
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops *= 3;
    return c;
}

static void launch_rope(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_tensor *x = node->in[X];
    const int64_t *dim = x->shape.dim;
    tuff_rope_args *args = tuff_launch_add(launch, TUFF_SHADER_rope, sizeof *args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, X, 0);
    tuff_launch_address(launch, &args->cosine, TUFF_OPERAND_IN, COS, 0);
    tuff_launch_address(launch, &args->sine, TUFF_OPERAND_IN, SIN, 0);
    tuff_launch_address(launch, &args->positions, TUFF_OPERAND_IN, POSITIONS, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->heads = (uint32_t)dim[1];
    args->dim = (uint32_t)dim[2];
    args->limit = (uint32_t)node->in[COS]->shape.dim[0];
    args->pairs = (uint32_t)node->in[COS]->shape.dim[1];
    for (int i = 0; i < 2; i++)
        args->stride[i] = (uint32_t)x->stride[i];
    args->sign = node->attrs.rope.inverse ? -1 : 1;
    tuff_launch_tiles(launch, caps, dim[0] * dim[1], dim[2] - args->pairs, args->tile);
}

static const tuff_kernel_row kernel_rows[] = {{"rope", 0, tuff_match_32, launch_rope}};

const tuff_op_info tuff_op_rope = {
    .name = "rope",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .may_alias = {1},
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = cpu,
    .cost = cost,
    .rows = kernel_rows,
    .n_rows = 1,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

tuff_tensor *tuff_rope(tuff_graph *g, tuff_tensor *x, tuff_tensor *cosine, tuff_tensor *sine,
                       tuff_tensor *positions)
{
    return build(g, x, (tuff_tensor *[]){tuff_dense(g, cosine), tuff_dense(g, sine), positions}, false);
}
