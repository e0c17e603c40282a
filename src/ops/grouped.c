/* Products whose rows each have the matrix of their group: the experts of a mixture, of which only those are
 * computed that were chosen. */
#include "ops/grouped.h"

#include <string.h>

#include "ir/dtype.h"
#include "ops/matmul.h"
#include "ops/support.h"

/* Both operations: two operands, then the order of the places. */
enum { A, B, ORDER, X = A, Y = B };

static int64_t groups_of(const tuff_node *node)
{
    return node->in[ORDER]->producer->attrs.group.groups;
}

static int64_t places_of(const tuff_node *node)
{
    return node->in[ORDER]->shape.dim[0] - groups_of(node) - 1;
}

/* Kernels trust its numbers, so it is what group_rows made. */
static tuff_status expect_order(const tuff_node *node)
{
    const tuff_tensor *order = node->in[ORDER];
    if (order->producer && order->producer->op == TUFF_OP_group_rows) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s: order must be the result of tuff_group_rows, but is another tensor, %s",
                     tuff_op_name(node->op), tuff_shape_text(&order->shape));
}

static tuff_status expect_rows(const tuff_node *node, int i, const char *what)
{
    const tuff_shape *x = &node->in[i]->shape;
    TUFF_TRY(tuff_expect_dense(node, i, what, NULL));
    if (x->rank != 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must be [rows, columns], but is %s",
                         tuff_op_name(node->op), what, tuff_shape_text(x));
    if (places_of(node) % x->dim[0] != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the order's %lld places must be a multiple of the rows of %s, which is %s",
                         tuff_op_name(node->op), (long long)places_of(node), what, tuff_shape_text(x));
    return TUFF_OK;
}

/* ---- matmul_grouped(a, b, order) ---- */

tuff_grouped_problem tuff_grouped_problem_of(const tuff_node *node)
{
    const tuff_tensor *b = node->in[B];
    const tuff_matrix m = tuff_matrix_settle(tuff_matrix_of(b), b->dtype);
    return (tuff_grouped_problem){.groups = groups_of(node),
                                  .places = places_of(node),
                                  .repeat = places_of(node) / node->in[A]->shape.dim[0],
                                  .N = m.cols,
                                  .K = m.rows,
                                  .b_group = b->stride[0],
                                  .brs = m.rs,
                                  .bcs = m.cs,
                                  .b_dtype = b->dtype,
                                  .operands = node->attrs.matmul.operands,
                                  .invariant = node->attrs.matmul.invariant,
                                  .quantized = node->attrs.matmul.quantized && m.rs == 1};
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *a = node->in[A], *b = node->in[B];
    TUFF_TRY(expect_order(node));
    TUFF_TRY(expect_rows(node, A, "a"));
    if (!tuff_dtype_is_float(b->dtype) && !tuff_dtype_is_block(b->dtype))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "matmul_grouped: b must be f32, f16, bf16 or of a block type, but is %s",
                         tuff_dtype_name(b->dtype));
    if (b->shape.rank != 3 || b->shape.dim[0] != groups_of(node))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "matmul_grouped: b must be [%lld, K, N], a matrix for each group, but is %s",
                         (long long)groups_of(node), tuff_shape_text(&b->shape));
    if (a->shape.dim[1] != b->shape.dim[1])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "matmul_grouped: inner dimensions differ: a is %s, b is %s",
                         tuff_shape_text(&a->shape), tuff_shape_text(&b->shape));
    if (!tuff_matrix_acceptable(b))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "matmul_grouped: b, of shape %s, is a view whose rows and columns both have gaps; copy it first",
            tuff_shape_text(&b->shape));
    tuff_shape out = tuff_shape_of(2, (int64_t[]){places_of(node), b->shape.dim[2]});
    tuff_set_out(node, 0, &out, TUFF_F32);
    return TUFF_OK;
}

/* The gradient of b comes out in b's order in memory, as that of tuff_matmul does. */
static tuff_tensor *weights(tuff_graph *g, const tuff_node *node, tuff_tensor *d, bool by_columns)
{
    tuff_tensor *a = node->in[A], *order = node->in[ORDER];
    tuff_tensor *in[3] = {by_columns ? d : a, by_columns ? a : d, order};
    tuff_tensor *w = tuff_graph_node(g, TUFF_OP_matmul_grouped_weights, in, 3, &node->attrs);
    return by_columns ? tuff_transpose(g, w) : w;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    tuff_tensor *a = node->in[A], *b = node->in[B], *order = node->in[ORDER], *d = tuff_dense(g, d_out[0]);
    if (needs[A]) {
        const int64_t *rows = a->shape.dim, repeat = places_of(node) / rows[0];
        tuff_tensor *x = tuff_graph_node(g, TUFF_OP_matmul_grouped,
                                         (tuff_tensor *[]){d, tuff_transpose(g, b), order}, 3, &node->attrs);
        if (repeat > 1)
            x = tuff_sum(g, tuff_reshape(g, x, 3, (int64_t[]){rows[0], repeat, rows[1]}), 2, false);
        d_in[A] = x;
    }
    if (!needs[B]) return;
    if (b->dtype == TUFF_F32)
        d_in[B] = weights(g, node, d, tuff_matrix_by_columns(b));
    else
        tuff_graph_fail(g, TUFF_UNSUPPORTED,
                        "matmul_grouped: b is stored as %s and has no gradient; make it f32",
                        tuff_dtype_name(b->dtype));
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    const double *starts = in[ORDER], *rows = starts + p.groups + 1;
    memset(out[0], 0, (size_t)(p.places * p.N) * sizeof(double));
    for (int64_t e = 0; e < p.groups; e++)
        for (int64_t t = (int64_t)starts[e]; t < (int64_t)starts[e + 1]; t++) {
            const double *a = in[A] + (int64_t)rows[t] / p.repeat * p.K, *b = in[B] + e * p.K * p.N;
            double *y = out[0] + (int64_t)rows[t] * p.N;
            for (int64_t k = 0; k < p.K; k++)
                for (int64_t n = 0; n < p.N; n++)
                    y[n] += tuff_operand_rounded(a[k], p.operands) *
                            tuff_operand_rounded(b[k * p.N + n], p.operands);
        }
}

static tuff_cost cost(const tuff_node *node)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    const double read = p.places < p.groups ? (double)p.places / (double)p.groups : 1; /* of the matrices */
    return (tuff_cost){2 * (double)p.places * (double)p.K * (double)p.N,
                       (double)tuff_tensor_bytes(node->in[A]) + (double)tuff_tensor_bytes(node->out[0]) +
                           read * (double)tuff_tensor_bytes(node->in[B])};
}

const tuff_op_info tuff_op_matmul_grouped = {
    .name = "matmul_grouped",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = tuff_matmul_grouped_cpu,
    .cpu_scratch = tuff_matmul_grouped_scratch,
    .cost = cost,
    .rows = tuff_grouped_rows,
    .n_rows = TUFF_GROUPED_ROWS,
    .batch_free = TUFF_BATCH_FREE_ROWS,
};

static tuff_tensor *multiply(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_tensor *order, bool settled,
                             tuff_dtype operands)
{
    if (b && b->shape.rank == 3 && !tuff_matrix_acceptable(b))
        b = tuff_copy(g, b, tuff_dtype_is_block(b->dtype) ? TUFF_F32 : b->dtype);
    const tuff_attrs attrs = {
        .matmul = {.invariant = g && g->invariant,
                   .settled = settled,
                   .operands = operands,
                   .quantized = g && g->quantized && !settled && b && tuff_dtype_is_block(b->dtype)}};
    return tuff_graph_node(g, TUFF_OP_matmul_grouped, (tuff_tensor *[]){tuff_dense(g, a), b, order}, 3,
                           &attrs);
}

tuff_tensor *tuff_matmul_grouped(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_tensor *order)
{
    return multiply(g, a, b, order, false, TUFF_F32);
}

tuff_tensor *tuff_matmul_grouped_of(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_tensor *order,
                                    tuff_dtype operands)
{
    return multiply(g, a, b, order, true, operands);
}

/* ---- matmul_grouped_weights(x, y, order) ---- */

tuff_grouped_weights tuff_grouped_weights_of(const tuff_node *node)
{
    const int64_t *x = node->in[X]->shape.dim, *y = node->in[Y]->shape.dim, places = places_of(node);
    return (tuff_grouped_weights){.groups = groups_of(node),
                                  .places = places,
                                  .repeat_x = places / x[0],
                                  .repeat_y = places / y[0],
                                  .M = x[1],
                                  .N = y[1],
                                  .operands = node->attrs.matmul.operands};
}

static tuff_status infer_weights(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_order(node));
    TUFF_TRY(expect_rows(node, X, "x"));
    TUFF_TRY(expect_rows(node, Y, "y"));
    tuff_shape out =
        tuff_shape_of(3, (int64_t[]){groups_of(node), node->in[X]->shape.dim[1], node->in[Y]->shape.dim[1]});
    tuff_set_out(node, 0, &out, TUFF_F32);
    return TUFF_OK;
}

static void reference_weights(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    const double *starts = in[ORDER], *rows = starts + p.groups + 1;
    memset(out[0], 0, (size_t)(p.groups * p.M * p.N) * sizeof(double));
    for (int64_t e = 0; e < p.groups; e++)
        for (int64_t t = (int64_t)starts[e]; t < (int64_t)starts[e + 1]; t++) {
            const double *x = in[X] + (int64_t)rows[t] / p.repeat_x * p.M;
            const double *y = in[Y] + (int64_t)rows[t] / p.repeat_y * p.N;
            double *w = out[0] + e * p.M * p.N;
            for (int64_t m = 0; m < p.M; m++)
                for (int64_t n = 0; n < p.N; n++)
                    w[m * p.N + n] +=
                        tuff_operand_rounded(x[m], p.operands) * tuff_operand_rounded(y[n], p.operands);
        }
}

static tuff_cost cost_weights(const tuff_node *node)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops = 2 * (double)p.places * (double)p.M * (double)p.N;
    return c;
}

const tuff_op_info tuff_op_matmul_grouped_weights = {
    .name = "matmul_grouped_weights",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .infer = infer_weights,
    .reference = reference_weights,
    .cpu = tuff_matmul_grouped_weights_cpu,
    .cpu_scratch = tuff_matmul_grouped_weights_scratch,
    .cost = cost_weights,
    .rows = tuff_grouped_weights_rows,
    .n_rows = TUFF_GROUPED_WEIGHTS_ROWS,
};
