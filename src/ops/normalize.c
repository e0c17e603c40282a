/* Rows of length 1 (L2), and their derivative. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/normalize.h"

static int64_t width_of(const tuff_node *node)
{
    const tuff_shape *x = &node->in[0]->shape;
    return x->dim[x->rank - 1];
}

static int64_t rows_of(const tuff_node *node)
{
    return tuff_tensor_count(node->in[0]) / width_of(node);
}

/* in: x, and for the gradient dy */
static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    const tuff_shape *x = &node->in[0]->shape;
    if (x->rank == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: x is a scalar, but needs an axis to be normalized over",
                         tuff_op_name(node->op));
    if (!(node->attrs.norm.eps >= 0))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: eps must be at least 0, but is %g",
                         tuff_op_name(node->op), node->attrs.norm.eps);
    if (node->n_in > 1) TUFF_TRY(tuff_expect_dense(node, 1, "dy", x));
    tuff_set_out(node, 0, x, TUFF_F32);
    return TUFF_OK;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    tuff_tensor *in[2] = {node->in[0], tuff_dense(g, d_out[0])};
    if (needs[0]) d_in[0] = tuff_graph_node(g, TUFF_OP_l2_normalize_backward, in, 2, &node->attrs);
}

/* ---- references ---- */

static double length_of(const double *x, int64_t n)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    return sqrt(squares);
}

static void reference_forward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = width_of(node), rows = rows_of(node);
    for (int64_t r = 0; r < rows; r++) {
        double length = length_of(in[0] + r * n, n);
        double divisor = length < node->attrs.norm.eps ? node->attrs.norm.eps : length;
        for (int64_t i = 0; i < n; i++)
            out[0][r * n + i] = in[0][r * n + i] / divisor;
    }
}

static void reference_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = width_of(node), rows = rows_of(node);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = in[0] + r * n, *dy = in[1] + r * n;
        double length = length_of(x, n), dot = 0;
        bool short_row = length < node->attrs.norm.eps;
        double divisor = short_row ? node->attrs.norm.eps : length;
        for (int64_t i = 0; i < n && !short_row; i++)
            dot += x[i] / divisor * dy[i];
        for (int64_t i = 0; i < n; i++)
            out[0][r * n + i] = (dy[i] - (short_row ? 0 : x[i] / divisor * dot)) / divisor;
    }
}

/* ---- kernels: all sums are made twice, of x and of x times a power of two that keeps the squares of every
 * number finite; the second ones serve where those of the first are not ---- */

enum { LANES = 16 };

typedef struct row_sums {
    float unit, squares, dot; /* of x * unit, and of x * unit and dy */
} row_sums;

typedef struct rows {
    const float *x, *dy;
    float *y, eps;
    int64_t n;
} rows;

static float join(float lane[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

TUFF_KERNEL static row_sums sums_of(const float *x, const float *dy, int64_t n, float unit)
{
    float squares[LANES] = {0}, dots[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float v = x[i + k] * unit;
            squares[k] += v * v;
            dots[k] += v * dy[i + k];
        }
    for (int64_t i = whole; i < n; i++) {
        float v = x[i] * unit;
        squares[i - whole] += v * v;
        dots[i - whole] += v * dy[i];
    }
    return (row_sums){unit, join(squares), join(dots)};
}

/* Without a gradient dy is x. */
static row_sums row_sums_of(const float *x, const float *dy, int64_t n)
{
    row_sums sums = sums_of(x, dy, n, 1);
    return isfinite(sums.squares) ? sums : sums_of(x, dy, n, TUFF_NORMALIZE_UNIT);
}

TUFF_KERNEL static void scale_row(const float *x, float *y, float unit, float divisor, int64_t n)
{
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * unit / divisor;
}

TUFF_KERNEL static void backward_row(const float *x, const float *dy, float *dx, float along, float scale,
                                     int64_t n)
{
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        dx[i] = (dy[i] - x[i] * scale * along) * scale;
}

static void forward_range(int64_t begin, int64_t end, void *context)
{
    const rows *w = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = w->x + r * w->n;
        row_sums sums = row_sums_of(x, x, w->n);
        float length = sqrtf(sums.squares), least = w->eps * sums.unit;
        scale_row(x, w->y + r * w->n, sums.unit, length < least ? least : length, w->n);
    }
}

static void backward_range(int64_t begin, int64_t end, void *context)
{
    const rows *w = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = w->x + r * w->n, *dy = w->dy + r * w->n;
        row_sums sums = row_sums_of(x, dy, w->n);
        float length = sqrtf(sums.squares), least = w->eps * sums.unit;
        bool short_row = length < least;
        float divisor = short_row ? least : length;
        backward_row(x, dy, w->y + r * w->n, short_row ? 0 : sums.dot / divisor, sums.unit / divisor, w->n);
    }
}

static void cpu_forward(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    rows w = {.x = in[0], .y = out[0], .eps = (float)node->attrs.norm.eps, .n = width_of(node)};
    tuff_parallel(rows_of(node), tuff_grain(w.n), forward_range, &w);
}

static void cpu_backward(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    rows w = {.x = in[0], .dy = in[1], .y = out[0], .eps = (float)node->attrs.norm.eps, .n = width_of(node)};
    tuff_parallel(rows_of(node), tuff_grain(w.n), backward_range, &w);
}

static void launch(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    bool is_backward = node->op == TUFF_OP_l2_normalize_backward;
    tuff_normalize_args *args = tuff_launch_add(
        launch, is_backward ? TUFF_SHADER_l2_normalize_backward : TUFF_SHADER_l2_normalize, sizeof *args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    if (is_backward) tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->rows = (uint32_t)rows_of(node);
    args->width = (uint32_t)width_of(node);
    args->eps = (float)node->attrs.norm.eps;
    args->lanes = tuff_launch_rows(launch, caps, args->rows, args->width);
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops *= 8;
    return c;
}

static const tuff_kernel_row normalize_rows[] = {{"plain", 0, tuff_match_32, launch}};

const tuff_op_info tuff_op_l2_normalize = {
    .name = "l2_normalize",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .may_alias = {1},
    .infer = infer,
    .backward = backward,
    .reference = reference_forward,
    .cpu = cpu_forward,
    .cost = cost,
    .rows = normalize_rows,
    .n_rows = 1,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

const tuff_op_info tuff_op_l2_normalize_backward = {
    .name = "l2_normalize_backward",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .may_alias = {3},
    .infer = infer,
    .reference = reference_backward,
    .cpu = cpu_backward,
    .cost = cost,
    .rows = normalize_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_l2_normalize(tuff_graph *g, tuff_tensor *x, double eps)
{
    tuff_attrs attrs = {.norm = {.eps = eps}};
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_l2_normalize, &x, 1, &attrs);
}
