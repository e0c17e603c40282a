/* Matrix products. Their third operand, and their factor, come from the pass `ends` alone, after gradients
 * are made. */
#include "ops/matmul.h"

#include "ir/dtype.h"
#include "ops/support.h"
#include "shaders/args/matmul.h"

tuff_matrix tuff_matrix_of(const tuff_tensor *x)
{
    int r = x->shape.rank;
    return (tuff_matrix){x->shape.dim[r - 2], x->shape.dim[r - 1], x->stride[r - 2], x->stride[r - 1]};
}

static bool rows_contiguous(tuff_matrix m)
{
    return (m.cols == 1 || m.cs == 1) && (m.rows == 1 || m.rs >= m.cols);
}

static bool cols_contiguous(tuff_matrix m)
{
    return (m.rows == 1 || m.rs == 1) && (m.cols == 1 || m.cs >= m.rows);
}

/* Blocks lie along an axis that is longer than 1. */
tuff_matrix tuff_matrix_settle(tuff_matrix m, tuff_dtype dtype)
{
    bool by_columns = tuff_dtype_is_block(dtype) && m.rows > 1 && m.rs == 1;
    if (rows_contiguous(m) && !by_columns) {
        m.cs = 1;
        if (m.rows == 1) m.rs = m.cols;
    } else {
        m.rs = 1;
        if (m.cols == 1) m.cs = m.rows;
    }
    return m;
}

bool tuff_matrix_acceptable(const tuff_tensor *x)
{
    tuff_matrix m = tuff_matrix_of(x);
    if (tuff_dtype_is_block(x->dtype) && !(m.rows > 1 && m.rs == 1) && !(m.cols > 1 && m.cs == 1))
        return false;
    return rows_contiguous(m) || cols_contiguous(m);
}

bool tuff_matrix_by_columns(const tuff_tensor *x)
{
    return !rows_contiguous(tuff_matrix_of(x));
}

tuff_matmul_problem tuff_matmul_problem_of(const tuff_node *node)
{
    const tuff_tensor *a = node->in[0], *b = node->in[1];
    tuff_matrix ma = tuff_matrix_settle(tuff_matrix_of(a), a->dtype),
                mb = tuff_matrix_settle(tuff_matrix_of(b), b->dtype);
    tuff_dims4 a4 = tuff_tensor_dims4(a), b4 = tuff_tensor_dims4(b), c4 = tuff_tensor_dims4(node->out[0]);
    tuff_matmul_problem p = {.M = ma.rows,
                             .N = mb.cols,
                             .K = ma.cols,
                             .ars = ma.rs,
                             .acs = ma.cs,
                             .brs = mb.rs,
                             .bcs = mb.cs,
                             .b_dtype = b->dtype,
                             .operands = node->attrs.matmul.operands,
                             .invariant = node->attrs.matmul.invariant,
                             .quantized = node->attrs.matmul.quantized && ma.cs == 1 && mb.rs == 1,
                             .batch = {1, 1}};
    int at = 2; /* batch axes at..1 are in use */
    for (int i = 1; i >= 0; i--) {
        int64_t dim = c4.dim[i];
        int64_t sa = a4.dim[i] == 1 ? 0 : a4.stride[i], sb = b4.dim[i] == 1 ? 0 : b4.stride[i];
        if (dim == 1) continue;
        bool merge = at < 2 && sa == p.a_batch[at] * p.batch[at] && sb == p.b_batch[at] * p.batch[at];
        if (!merge) {
            at--;
            p.a_batch[at] = sa;
            p.b_batch[at] = sb;
        }
        p.batch[at] *= dim;
    }
    /* b is the same for all of the inner batch axis: its rows of a are more rows of one product */
    bool fold = p.batch[1] > 1 && p.b_batch[1] == 0 && p.acs == 1 &&
                (p.M == 1 ? p.a_batch[1] >= p.K : p.a_batch[1] == p.M * p.ars);
    if (fold) {
        if (p.M == 1) p.ars = p.a_batch[1];
        p.M *= p.batch[1];
        p.batch[1] = p.batch[0];
        p.a_batch[1] = p.a_batch[0];
        p.b_batch[1] = p.b_batch[0];
        p.batch[0] = 1;
        p.a_batch[0] = p.b_batch[0] = 0;
    }
    return p;
}

tuff_matmul_end tuff_matmul_end_of(const tuff_node *node)
{
    tuff_matmul_end end = {.factor = (float)node->attrs.matmul.factor, .kind = TUFF_ADDEND_NONE};
    const tuff_tensor *addend = node->in[2];
    if (!addend) return end;
    end.kind =
        tuff_tensor_count(addend) == tuff_tensor_count(node->out[0]) ? TUFF_ADDEND_WHOLE : TUFF_ADDEND_ROW;
    return end;
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *a = node->in[0], *b = node->in[1];
    int ra = a->shape.rank, rb = b->shape.rank;
    if (ra < 2 || rb < 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "matmul: operands need at least two axes: a is %s, b is %s",
                         tuff_shape_text(&a->shape), tuff_shape_text(&b->shape));
    TUFF_TRY(tuff_expect_dtype(node, 0, "a", TUFF_F32));
    if (!tuff_dtype_is_float(b->dtype) && !tuff_dtype_is_block(b->dtype))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "matmul: b must be f32, f16, bf16 or of a block type, but is %s",
                         tuff_dtype_name(b->dtype));
    if (a->shape.dim[ra - 1] != b->shape.dim[rb - 2])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "matmul: inner dimensions differ: a is %s, b is %s",
                         tuff_shape_text(&a->shape), tuff_shape_text(&b->shape));
    tuff_shape leading_a = tuff_shape_of(ra - 2, a->shape.dim),
               leading_b = tuff_shape_of(rb - 2, b->shape.dim), out;
    if (!tuff_shape_broadcast(&leading_a, &leading_b, &out))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "matmul: leading dimensions do not broadcast: a is %s, b is %s",
                         tuff_shape_text(&a->shape), tuff_shape_text(&b->shape));
    if (!tuff_matrix_acceptable(a) || !tuff_matrix_acceptable(b))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "matmul: %s, of shape %s, is a view whose rows and columns both have gaps; copy it first",
            tuff_matrix_acceptable(a) ? "b" : "a",
            tuff_shape_text(tuff_matrix_acceptable(a) ? &b->shape : &a->shape));
    out.dim[out.rank++] = a->shape.dim[ra - 2];
    out.dim[out.rank++] = b->shape.dim[rb - 1];
    tuff_set_out(node, 0, &out, TUFF_F32);
    return TUFF_OK;
}

static bool has_batch(const tuff_tensor *x)
{
    for (int i = 0; i < x->shape.rank - 2; i++)
        if (x->shape.dim[i] != 1) return true;
    return false;
}

static tuff_tensor *flatten_rows(tuff_graph *g, tuff_tensor *x)
{
    int64_t dims[2] = {-1, x ? x->shape.dim[x->shape.rank - 1] : 1};
    return tuff_reshape(g, x, 2, dims);
}

static tuff_tensor *multiply(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, bool settled, tuff_dtype operands)
{
    if (a && a->shape.rank >= 2 && !tuff_matrix_acceptable(a)) a = tuff_copy(g, a, a->dtype);
    if (b && b->shape.rank >= 2 && !tuff_matrix_acceptable(b))
        b = tuff_copy(g, b, tuff_dtype_is_block(b->dtype) ? TUFF_F32 : b->dtype);
    const tuff_attrs attrs = {
        .matmul = {.factor = 1,
                   .invariant = g && g->invariant,
                   .settled = settled,
                   .operands = operands,
                   .quantized = g && g->quantized && !settled && b && tuff_dtype_is_block(b->dtype)}};
    return tuff_graph_node(g, TUFF_OP_matmul, (tuff_tensor *[]){a, b}, 2, &attrs);
}

/* Gradients come out in the memory order of the operand that they belong to, so that the gradient of a
 * transposed weight is the dense gradient of the weight: (x y)^T = y^T x^T. Their operands are rounded as
 * those of `node` are. */
static tuff_tensor *product(tuff_graph *g, const tuff_node *node, tuff_tensor *x, tuff_tensor *y,
                            bool by_columns)
{
    const bool settled = node->attrs.matmul.settled;
    const tuff_dtype operands = node->attrs.matmul.operands;
    if (!by_columns) return multiply(g, x, y, settled, operands);
    return tuff_transpose(g, multiply(g, tuff_transpose(g, y), tuff_transpose(g, x), settled, operands));
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    tuff_tensor *a = node->in[0], *b = node->in[1], *d = d_out[0];
    if (needs[0]) {
        bool by_columns = tuff_matrix_by_columns(a) && b->dtype == TUFF_F32;
        d_in[0] = product(g, node, d, tuff_transpose(g, b), by_columns);
    }
    if (!needs[1]) return;
    if (b->dtype != TUFF_F32) {
        tuff_graph_fail(g, TUFF_UNSUPPORTED, "matmul: b is stored as %s and has no gradient; make it f32",
                        tuff_dtype_name(b->dtype));
        return;
    }
    if (a->shape.rank > 2 && !has_batch(b)) {
        a = flatten_rows(g, a);
        d = flatten_rows(g, d);
        d_in[1] = product(g, node, tuff_transpose(g, a), d, tuff_matrix_by_columns(b));
        if (b->shape.rank > 2) d_in[1] = tuff_reshape(g, d_in[1], b->shape.rank, b->shape.dim);
        return;
    }
    d_in[1] = product(g, node, tuff_transpose(g, a), d, tuff_matrix_by_columns(b));
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_dims4 a4 = tuff_tensor_dims4(node->in[0]), b4 = tuff_tensor_dims4(node->in[1]);
    tuff_dims4 c4 = tuff_tensor_dims4(node->out[0]);
    int64_t M = c4.dim[2], N = c4.dim[3], K = a4.dim[3];
    const tuff_dtype operands = node->attrs.matmul.operands;
    double *c = out[0];
    for (int64_t i = 0; i < c4.dim[0]; i++)
        for (int64_t j = 0; j < c4.dim[1]; j++) {
            const double *a =
                in[0] + ((a4.dim[0] == 1 ? 0 : i) * a4.dim[1] + (a4.dim[1] == 1 ? 0 : j)) * M * K;
            const double *b =
                in[1] + ((b4.dim[0] == 1 ? 0 : i) * b4.dim[1] + (b4.dim[1] == 1 ? 0 : j)) * K * N;
            for (int64_t m = 0; m < M; m++, c += N) {
                for (int64_t n = 0; n < N; n++)
                    c[n] = 0;
                for (int64_t k = 0; k < K; k++)
                    for (int64_t n = 0; n < N; n++)
                        c[n] += tuff_operand_rounded(a[m * K + k], operands) *
                                tuff_operand_rounded(b[k * N + n], operands);
            }
        }
    const tuff_matmul_end end = tuff_matmul_end_of(node);
    for (int64_t i = 0; i < tuff_tensor_count(node->out[0]); i++) {
        double addend = end.kind == TUFF_ADDEND_NONE ? 0 : in[2][end.kind == TUFF_ADDEND_ROW ? i % N : i];
        out[0][i] = out[0][i] * end.factor + addend;
    }
}

static tuff_cost cost(const tuff_node *node)
{
    const tuff_tensor *a = node->in[0], *b = node->in[1], *c = node->out[0];
    double K = (double)a->shape.dim[a->shape.rank - 1];
    double bytes = (double)(tuff_tensor_bytes(a) + tuff_tensor_bytes(b) + tuff_tensor_bytes(c));
    if (node->in[2]) bytes += (double)tuff_tensor_bytes(node->in[2]);
    return (tuff_cost){2 * K * (double)tuff_tensor_count(c), bytes};
}

const tuff_op_info tuff_op_matmul = {
    .name = "matmul",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .may_alias = {4},
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = tuff_matmul_cpu,
    .cpu_scratch = tuff_matmul_cpu_scratch,
    .cost = cost,
    .rows = tuff_matmul_rows,
    .n_rows = TUFF_MATMUL_ROWS,
    .batch_free = TUFF_BATCH_FREE_ROWS & ~(2u << TUFF_MATMUL_ROW_SPLIT), /* its parts depend on M */
};

tuff_tensor *tuff_matmul(tuff_graph *g, tuff_tensor *a, tuff_tensor *b)
{
    return multiply(g, a, b, false, TUFF_F32);
}

tuff_tensor *tuff_matmul_of(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_dtype operands)
{
    return multiply(g, a, b, true, operands);
}

void tuff_graph_set_invariant(tuff_graph *g, bool invariant)
{
    if (g) g->invariant = invariant;
}

void tuff_graph_set_quantized_activations(tuff_graph *g, bool quantized)
{
    if (g) g->quantized = quantized;
}

void tuff_graph_set_operands(tuff_graph *g, tuff_dtype operands)
{
    if (!g) return;
    if (operands == TUFF_F32 || operands == TUFF_BF16)
        g->operands = operands;
    else
        tuff_graph_fail(
            g, TUFF_INVALID_ARGUMENT,
            "set_operands: products round their operands to bf16, or leave them f32; %s was asked for",
            tuff_dtype_name(operands));
}
