/* Sums over any axes. */
#include "ops/sum.h"

#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"

tuff_sum_space tuff_sum_space_of(const tuff_tensor *x, unsigned axes)
{
    tuff_sum_space s = {
        .kept = {1, 1, 1, 1}, .summed = {1, 1, 1, 1}, .n_kept = 1, .n_summed = 1, .by_rows = true};
    int kept_at = 4, summed_at = 4, last = -1; /* last: whether the axis before was summed; -1 at first */
    for (int i = x->shape.rank - 1; i >= 0; i--) {
        int64_t dim = x->shape.dim[i], stride = x->stride[i];
        if (dim == 1) continue;
        int summing = axes >> i & 1u;
        int64_t *dims = summing ? s.summed : s.kept, *strides = summing ? s.summed_stride : s.kept_stride;
        int *at = summing ? &summed_at : &kept_at;
        if (last == -1) s.by_rows = summing;
        if (last != summing || stride != strides[*at] * dims[*at]) strides[--*at] = stride;
        dims[*at] *= dim;
        *(summing ? &s.n_summed : &s.n_kept) *= dim;
        last = summing;
    }
    return s;
}

static tuff_status infer_sum(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_shape *x = &node->in[0]->shape;
    unsigned axes = node->attrs.sum.axes;
    TUFF_TRY(tuff_expect_dtype(node, 0, "x", TUFF_F32));
    if (axes >> x->rank != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "sum: the axes 0x%x name one that shape %s does not have",
                         axes, tuff_shape_text(x));
    tuff_shape y = {0, {1, 1, 1, 1}};
    for (int i = 0; i < x->rank; i++) {
        bool summed = axes >> i & 1u;
        if (!summed || node->attrs.sum.keep_dims) y.dim[y.rank++] = summed ? 1 : x->dim[i];
    }
    tuff_set_out(node, 0, &y, TUFF_F32);
    return TUFF_OK;
}

static void backward_sum(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                         tuff_tensor **d_in)
{
    const tuff_shape *x = &node->in[0]->shape;
    if (!needs[0]) return;
    tuff_shape kept = *x;
    for (int i = 0; i < x->rank; i++)
        if (node->attrs.sum.axes >> i & 1u) kept.dim[i] = 1;
    d_in[0] = tuff_expand(g, tuff_reshape(g, d_out[0], kept.rank, kept.dim), x->rank, x->dim);
}

static void reference_sum(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_shape *x = &node->in[0]->shape;
    int64_t n = tuff_shape_count(x);
    memset(out[0], 0, (size_t)tuff_tensor_count(node->out[0]) * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, at = 0, step = 1;
        for (int axis = x->rank - 1; axis >= 0; axis--) {
            int64_t index = rest % x->dim[axis];
            rest /= x->dim[axis];
            if (node->attrs.sum.axes >> axis & 1u) continue;
            at += index * step;
            step *= x->dim[axis];
        }
        out[0][at] += in[0][i];
    }
}

/* ---- host kernel: fixed pieces whose sums are joined in order, so that threads do not change a bit ---- */

enum {
    ROW_PIECE = 4096,    /* terms of one partial sum along a row */
    COLUMN_ROWS = 64,    /* rows of one partial sum of columns */
    COLUMN_WIDTH = 2048, /* columns taken at a time */
    LANES = 16
};

TUFF_KERNEL static float sum_dense(const float *x, int64_t n)
{
    float lane[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += x[i + k];
    for (int64_t i = whole; i < n; i++)
        lane[i - whole] += x[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

static float sum_row(const float *x, int64_t stride, int64_t n)
{
    if (stride == 1) return sum_dense(x, n);
    float lane[4] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i % 4] += x[i * stride];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

typedef struct sum_context {
    tuff_sum_space s;
    const float *x;
    float *y;
    double *row_parts;   /* [n_kept, parts] */
    float *column_parts; /* [rows of the result, parts, width of the result] */
    int64_t parts, pieces;
} sum_context;

static void row_parts_range(int64_t begin, int64_t end, void *context)
{
    const sum_context *c = context;
    const tuff_sum_space *s = &c->s;
    int64_t outer[4] = {s->summed[0], s->summed[1], s->summed[2], 1};
    for (int64_t item = begin; item < end; item++) {
        int64_t part = item % c->parts, piece = part % c->pieces;
        const float *x = c->x + tuff_sum_at(s->kept, s->kept_stride, item / c->parts) +
                         tuff_sum_at(outer, s->summed_stride, part / c->pieces) +
                         piece * ROW_PIECE * s->summed_stride[3];
        int64_t left = s->summed[3] - piece * ROW_PIECE;
        float sum = sum_row(x, s->summed_stride[3], left < ROW_PIECE ? left : ROW_PIECE);
        if (c->parts == 1)
            c->y[item] = sum;
        else
            c->row_parts[item] = sum;
    }
}

static void row_join_range(int64_t begin, int64_t end, void *context)
{
    const sum_context *c = context;
    for (int64_t i = begin; i < end; i++) {
        double sum = 0;
        for (int64_t part = 0; part < c->parts; part++)
            sum += c->row_parts[i * c->parts + part];
        c->y[i] = (float)sum;
    }
}

TUFF_KERNEL static void add_row(const float *x, int64_t stride, float *restrict y, int64_t n)
{
    if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] += x[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] += x[i * stride];
}

TUFF_KERNEL static void add_four_rows(const float *a, const float *b, const float *c, const float *d,
                                      float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += (a[i] + b[i]) + (c[i] + d[i]);
}

static void add_rows(const sum_context *c, const float *x, int64_t first, int64_t last, float *y, int64_t n)
{
    const tuff_sum_space *s = &c->s;
    int64_t stride = s->kept_stride[3], row = first;
    memset(y, 0, (size_t)n * sizeof *y);
    for (; stride == 1 && row + 4 <= last; row += 4) {
        const float *at[4];
        for (int k = 0; k < 4; k++)
            at[k] = x + tuff_sum_at(s->summed, s->summed_stride, row + k);
        add_four_rows(at[0], at[1], at[2], at[3], y, n);
    }
    for (; row < last; row++)
        add_row(x + tuff_sum_at(s->summed, s->summed_stride, row), stride, y, n);
}

static void column_parts_range(int64_t begin, int64_t end, void *context)
{
    const sum_context *c = context;
    const tuff_sum_space *s = &c->s;
    int64_t width = s->kept[3], outer[4] = {s->kept[0], s->kept[1], s->kept[2], 1};
    for (int64_t item = begin; item < end; item++) {
        int64_t column = item % c->pieces * COLUMN_WIDTH, part = item / c->pieces % c->parts;
        int64_t row = item / c->pieces / c->parts;
        int64_t n = width - column < COLUMN_WIDTH ? width - column : COLUMN_WIDTH;
        int64_t first = part * COLUMN_ROWS;
        int64_t last = s->n_summed - first < COLUMN_ROWS ? s->n_summed : first + COLUMN_ROWS;
        const float *x = c->x + tuff_sum_at(outer, s->kept_stride, row) + column * s->kept_stride[3];
        float *y = c->parts == 1 ? c->y : c->column_parts;
        add_rows(c, x, first, last, y + (row * c->parts + part) * width + column, n);
    }
}

static void column_join_range(int64_t begin, int64_t end, void *context)
{
    const sum_context *c = context;
    int64_t width = c->s.kept[3];
    for (int64_t item = begin; item < end; item++) {
        int64_t column = item % c->pieces * COLUMN_WIDTH, row = item / c->pieces;
        int64_t n = width - column < COLUMN_WIDTH ? width - column : COLUMN_WIDTH;
        float *y = c->y + row * width + column;
        memset(y, 0, (size_t)n * sizeof *y);
        for (int64_t part = 0; part < c->parts; part++)
            add_row(c->column_parts + (row * c->parts + part) * width + column, 1, y, n);
    }
}

static sum_context context_of(const tuff_node *node)
{
    sum_context c = {.s = tuff_sum_space_of(node->in[0], node->attrs.sum.axes)};
    if (c.s.by_rows) {
        c.pieces = (c.s.summed[3] + ROW_PIECE - 1) / ROW_PIECE;
        c.parts = c.pieces * (c.s.n_summed / c.s.summed[3]);
    } else {
        c.pieces = (c.s.kept[3] + COLUMN_WIDTH - 1) / COLUMN_WIDTH;
        c.parts = (c.s.n_summed + COLUMN_ROWS - 1) / COLUMN_ROWS;
    }
    return c;
}

static void cpu_sum(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    sum_context c = context_of(node);
    const tuff_sum_space *s = &c.s;
    c.x = in[0];
    c.y = out[0];
    if (s->by_rows) {
        c.row_parts = scratch;
        int64_t n = s->summed[3] < ROW_PIECE ? s->summed[3] : ROW_PIECE;
        tuff_parallel(s->n_kept * c.parts, tuff_grain(n), row_parts_range, &c);
        if (c.parts > 1) tuff_parallel(s->n_kept, tuff_grain(c.parts), row_join_range, &c);
    } else {
        c.column_parts = scratch;
        int64_t n = s->kept[3] < COLUMN_WIDTH ? s->kept[3] : COLUMN_WIDTH, rows = s->n_kept / s->kept[3];
        int64_t deep = s->n_summed < COLUMN_ROWS ? s->n_summed : COLUMN_ROWS;
        tuff_parallel(rows * c.parts * c.pieces, tuff_grain(n * deep), column_parts_range, &c);
        if (c.parts > 1) tuff_parallel(rows * c.pieces, tuff_grain(n * c.parts), column_join_range, &c);
    }
}

static size_t cpu_scratch_sum(const tuff_node *node)
{
    sum_context c = context_of(node);
    if (c.parts == 1) return 0;
    return (size_t)(c.s.n_kept * c.parts) * (c.s.by_rows ? sizeof(double) : sizeof(float));
}

static tuff_cost cost_sum(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops = (double)tuff_tensor_count(node->in[0]);
    return cost;
}

static const tuff_kernel_row sum_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_sum}};

const tuff_op_info tuff_op_sum = {
    .name = "sum",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer_sum,
    .backward = backward_sum,
    .reference = reference_sum,
    .cpu = cpu_sum,
    .cpu_scratch = cpu_scratch_sum,
    .cost = cost_sum,
    .rows = sum_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_sum(tuff_graph *g, tuff_tensor *x, unsigned axes, bool keep_dims)
{
    tuff_attrs attrs = {.sum = {.axes = axes, .keep_dims = keep_dims}};
    return tuff_graph_node(g, TUFF_OP_sum, &x, 1, &attrs);
}
