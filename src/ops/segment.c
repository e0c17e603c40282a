/* Means and maxima over segments of rows, and their derivatives: the pooling of sequences that are packed in
 * one row of tokens. */
#include "ops/segment.h"

#include <math.h>
#include <string.h>

#include "ops/geometry.h"
#include "ops/support.h"

/* Forward: x, segments. Backward: dy, segments, and for the maximum the rows that gave it. */
enum { X, D_Y = X, SEGMENTS, AT };

static bool is_max(const tuff_node *node)
{
    return node->op == TUFF_OP_segment_max || node->op == TUFF_OP_segment_max_backward;
}

static tuff_status expect_segments(const tuff_node *node)
{
    const tuff_shape *shape = &node->in[SEGMENTS]->shape;
    TUFF_TRY(tuff_expect_dtype(node, SEGMENTS, "segments", TUFF_I32));
    if (shape->rank != 2 || shape->dim[1] != TUFF_SEGMENT_WORDS)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: segments must be [S, 4], {q_begin, q_len, kv_begin, kv_len} of each, but are %s",
            tuff_op_name(node->op), tuff_shape_text(shape));
    return tuff_expect_contiguous(node, SEGMENTS, "segments");
}

static tuff_status infer_segment(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_shape *x = &node->in[X]->shape;
    TUFF_TRY(tuff_expect_dense(node, X, "x", NULL));
    if (x->rank != 2 || x->dim[0] > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: x must be [rows, columns] of at most %d rows, but is %s",
                         tuff_op_name(node->op), INT32_MAX, tuff_shape_text(x));
    TUFF_TRY(expect_segments(node));
    tuff_shape y = tuff_shape_of(2, (int64_t[]){node->in[SEGMENTS]->shape.dim[0], x->dim[1]});
    tuff_set_out(node, 0, &y, TUFF_F32);
    if (is_max(node)) tuff_set_out(node, 1, &y, TUFF_I32);
    return TUFF_OK;
}

static tuff_status infer_segment_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_segments(node));
    int64_t columns = node->in[D_Y]->shape.dim[1];
    tuff_shape y = tuff_shape_of(2, (int64_t[]){node->in[SEGMENTS]->shape.dim[0], columns});
    TUFF_TRY(tuff_expect_dense(node, D_Y, "dy", &y));
    if (is_max(node)) {
        TUFF_TRY(tuff_expect_dtype(node, AT, "the rows of the maxima", TUFF_I32));
        TUFF_TRY(tuff_expect_shape(node, AT, "the rows of the maxima", &y));
        TUFF_TRY(tuff_expect_contiguous(node, AT, "the rows of the maxima"));
    }
    tuff_shape x = tuff_shape_of(2, (int64_t[]){node->attrs.segment.rows, columns});
    tuff_set_out(node, 0, &x, TUFF_F32);
    return TUFF_OK;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    if (!needs[X]) return;
    tuff_attrs attrs = node->attrs;
    attrs.segment.rows = node->in[X]->shape.dim[0];
    tuff_tensor *dy = tuff_dense(g, d_out[0]), *segments = node->in[SEGMENTS];
    if (is_max(node))
        d_in[X] = tuff_graph_node(g, TUFF_OP_segment_max_backward,
                                  (tuff_tensor *[]){dy, segments, node->out[1]}, 3, &attrs);
    else
        d_in[X] =
            tuff_graph_node(g, TUFF_OP_segment_mean_backward, (tuff_tensor *[]){dy, segments}, 2, &attrs);
}

/* ---- references ---- */

static tuff_segment_range range_at(const double *segments, int64_t s, int64_t n)
{
    const double *words = segments + s * TUFF_SEGMENT_WORDS;
    return tuff_segment_range_of((int64_t)words[0], (int64_t)words[1], n);
}

static double weight_of(const tuff_node *node, tuff_segment_range r, int64_t row)
{
    double weight = node->attrs.segment.by_position ? (double)(row - r.first + 1) : 1;
    return weight / tuff_segment_weights(node->attrs.segment.by_position, r.end - r.first);
}

static void reference_segment_mean(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[X]->shape.dim[0], C = node->in[X]->shape.dim[1], S = node->out[0]->shape.dim[0];
    memset(out[0], 0, (size_t)(S * C) * sizeof(double));
    for (int64_t s = 0; s < S; s++) {
        tuff_segment_range r = range_at(in[SEGMENTS], s, N);
        for (int64_t row = r.first; row < r.end; row++)
            for (int64_t c = 0; c < C; c++)
                out[0][s * C + c] += weight_of(node, r, row) * in[X][row * C + c];
    }
}

static void reference_segment_max(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[X]->shape.dim[0], C = node->in[X]->shape.dim[1], S = node->out[0]->shape.dim[0];
    for (int64_t s = 0; s < S; s++) {
        tuff_segment_range r = range_at(in[SEGMENTS], s, N);
        for (int64_t c = 0; c < C; c++) {
            int64_t best = r.first;
            for (int64_t row = r.first + 1; row < r.end; row++) {
                double was = in[X][best * C + c], now = in[X][row * C + c];
                if (now > was || (isnan(now) && !isnan(was))) best = row;
            }
            bool any = r.first < r.end;
            out[0][s * C + c] = any ? in[X][best * C + c] : 0;
            out[1][s * C + c] = any ? (double)best : -1;
        }
    }
}

static void reference_segment_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->out[0]->shape.dim[0], C = node->out[0]->shape.dim[1], S = node->in[D_Y]->shape.dim[0];
    memset(out[0], 0, (size_t)(N * C) * sizeof(double));
    for (int64_t s = 0; s < S; s++) {
        tuff_segment_range r = range_at(in[SEGMENTS], s, N);
        for (int64_t row = r.first; row < r.end; row++)
            for (int64_t c = 0; c < C; c++) {
                double d = in[D_Y][s * C + c];
                if (!is_max(node))
                    out[0][row * C + c] += weight_of(node, r, row) * d;
                else if (in[AT][s * C + c] == (double)row)
                    out[0][row * C + c] += d;
            }
    }
}

/* ---- descriptors ---- */

static tuff_cost cost_segment(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops = (double)tuff_tensor_count(node->in[X]);
    return cost;
}

static tuff_cost cost_segment_backward(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    /* each row looks through the segments for its own */
    cost.flops += (double)node->out[0]->shape.dim[0] * (double)node->in[SEGMENTS]->shape.dim[0];
    return cost;
}

static const tuff_kernel_row segment_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_segment}};
static const tuff_kernel_row backward_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_segment_backward}};

#define SEGMENT(op, outputs)                                       \
    const tuff_op_info tuff_op_##op = {                            \
        .name = #op,                                               \
        .min_in = 2,                                               \
        .max_in = 2,                                               \
        .n_out = (outputs),                                        \
        .infer = infer_segment,                                    \
        .backward = backward,                                      \
        .reference = reference_##op,                               \
        .cpu = tuff_##op##_host,                                   \
        .cost = cost_segment,                                      \
        .rows = segment_rows,                                      \
        .n_rows = 1,                                               \
        .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST, \
    }
#define SEGMENT_BACKWARD(op, inputs)             \
    const tuff_op_info tuff_op_##op = {          \
        .name = #op,                             \
        .min_in = (inputs),                      \
        .max_in = (inputs),                      \
        .n_out = 1,                              \
        .infer = infer_segment_backward,         \
        .reference = reference_segment_backward, \
        .cpu = tuff_##op##_host,                 \
        .cost = cost_segment_backward,           \
        .rows = backward_rows,                   \
        .n_rows = 1,                             \
    }

SEGMENT(segment_mean, 1);
SEGMENT(segment_max, 2);
SEGMENT_BACKWARD(segment_mean_backward, 2);
SEGMENT_BACKWARD(segment_max_backward, 3);

tuff_tensor *tuff_segment_mean(tuff_graph *g, tuff_tensor *x, tuff_tensor *segments, bool by_position)
{
    tuff_attrs attrs = {.segment = {.by_position = by_position}};
    tuff_tensor *in[2] = {tuff_dense(g, x), tuff_dense(g, segments)};
    return tuff_graph_node(g, TUFF_OP_segment_mean, in, 2, &attrs);
}

tuff_tensor *tuff_segment_max(tuff_graph *g, tuff_tensor *x, tuff_tensor *segments)
{
    tuff_tensor *in[2] = {tuff_dense(g, x), tuff_dense(g, segments)};
    return tuff_graph_node(g, TUFF_OP_segment_max, in, 2, NULL);
}
