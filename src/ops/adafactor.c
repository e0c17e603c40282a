/* Adafactor (Shazeer and Stern 2018) as transformers has it, over all slots at once and in place. Of a
 * matrix's squared gradients it keeps means by row and by column; a vector is a matrix of one column, of
 * which that is all of them. */
#include "ops/adafactor.h"

#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "ops/support.h"

int tuff_adafactor_width(const tuff_node *node)
{
    return node->attrs.adafactor.beta1 > 0 ? 5 : 4;
}

int tuff_adafactor_count(const tuff_node *node)
{
    return (node->n_in - TUFF_ADAFACTOR_FIRST) / tuff_adafactor_width(node);
}

tuff_factored tuff_adafactor_slot_of(const tuff_node *node, int slot)
{
    enum { ELEMENTS = 16384, ROWS = 64 }; /* of a band, at least */
    const int width = tuff_adafactor_width(node);
    tuff_factored f = {.in = TUFF_ADAFACTOR_FIRST + slot * width, .out = slot * (width - 1), .stack = 1};
    const tuff_shape *s = &node->in[f.in]->shape;
    for (int i = 0; i < s->rank - 2; i++)
        f.stack *= s->dim[i];
    f.columns = s->rank >= 2 ? s->dim[s->rank - 1] : 1;
    f.rows = s->rank >= 2 ? s->dim[s->rank - 2] : tuff_tensor_count(node->in[f.in]);
    f.band = (ELEMENTS + f.columns - 1) / f.columns;
    if (f.band < ROWS) f.band = ROWS;
    if (f.band > f.rows) f.band = f.rows;
    f.bands = (f.rows + f.band - 1) / f.band;
    return f;
}

static tuff_shape by_row(const tuff_shape *s)
{
    tuff_shape out = *s;
    if (s->rank < 2) return out;
    out.rank--;
    out.dim[out.rank] = 1;
    return out;
}

static tuff_shape by_column(const tuff_shape *s)
{
    tuff_shape out = *s;
    if (s->rank < 2) return (tuff_shape){1, {1, 1, 1, 1}};
    out.rank--;
    out.dim[out.rank - 1] = s->dim[s->rank - 1];
    out.dim[out.rank] = 1;
    return out;
}

static tuff_status check_params(const tuff_adafactor_params *p)
{
    bool good = p->beta1 >= 0 && p->beta1 < 1 && p->decay_rate <= 0 && p->decay_rate >= -10 && p->eps1 > 0 &&
                p->eps2 >= 0 && p->clip_threshold > 0 && p->weight_decay >= 0 && p->max_grad_norm >= 0;
    if (good) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "adafactor: beta1 must be at least 0 and less than 1, decay_rate from -10 to 0, eps1 and "
        "clip_threshold above 0, eps2, weight decay and the largest norm at least 0, but they are "
        "%g, %g, %g, %g, %g, %g, %g",
        p->beta1, p->decay_rate, p->eps1, p->clip_threshold, p->eps2, p->weight_decay, p->max_grad_norm);
}

static tuff_status infer_adafactor(tuff_graph *g, tuff_node *node)
{
    const tuff_shape scalar = {0, {1, 1, 1, 1}};
    const int width = tuff_adafactor_width(node), slots = tuff_adafactor_count(node);
    TUFF_TRY(check_params(&node->attrs.adafactor));
    TUFF_TRY(tuff_expect_dense(node, 0, "the learning rate", &scalar));
    TUFF_TRY(tuff_expect_step(node, 1, 2));
    int *in_place_of = tuff_arena_array(&g->arena, (size_t)(slots * (width - 1)), sizeof *in_place_of);
    if (in_place_of == NULL) return tuff_fail_memory("the slots of an optimizer step");
    for (int i = 0; i < slots; i++) {
        const int in = TUFF_ADAFACTOR_FIRST + i * width, out = i * (width - 1);
        TUFF_TRY(tuff_expect_dense(node, in, "a parameter", NULL));
        const tuff_shape *shape = &node->in[in]->shape, rows = by_row(shape), columns = by_column(shape);
        TUFF_TRY(tuff_expect_dense(node, in + 1, "the gradient of a parameter", shape));
        TUFF_TRY(tuff_expect_dense(node, in + 2, "the squares of a parameter by row", &rows));
        TUFF_TRY(tuff_expect_dense(node, in + 3, "the squares of a parameter by column", &columns));
        if (width == 5) TUFF_TRY(tuff_expect_dense(node, in + 4, "the mean of a parameter's steps", shape));
        in_place_of[out] = in;
        for (int k = 2; k < width; k++)
            in_place_of[out + k - 1] = in + k;
    }
    return tuff_infer_in_place(g, node, in_place_of, slots * (width - 1));
}

/* ---- the truth */

/* Squares of one matrix by row and column, after the step. */
static void square_truth(const tuff_factored *f, const double *grad, double clip, double kept, double eps,
                         double *row, double *column)
{
    for (int64_t r = 0; r < f->rows; r++) {
        double sum = 0;
        for (int64_t c = 0; c < f->columns; c++)
            sum += pow(grad[r * f->columns + c] * clip, 2) + eps;
        row[r] = kept * row[r] + (1 - kept) * sum / (double)f->columns;
    }
    for (int64_t c = 0; c < f->columns; c++) {
        double sum = 0;
        for (int64_t r = 0; r < f->rows; r++)
            sum += pow(grad[r * f->columns + c] * clip, 2) + eps;
        column[c] = kept * column[c] + (1 - kept) * sum / (double)f->rows;
    }
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

/* Steps of one matrix before their bound. */
static double step_truth(const tuff_factored *f, int64_t i, double grad, const double *row,
                         const double *column, double mean)
{
    double at = row[i / f->columns];
    return f->columns == 1 ? grad / sqrt(at) : grad / sqrt(at / mean * column[i % f->columns]);
}

static void slot_truth(const tuff_node *node, int slot, const double *const *in, double *const *out)
{
    const tuff_adafactor_params *a = &node->attrs.adafactor;
    const tuff_factored f = tuff_adafactor_slot_of(node, slot);
    const double clip = tuff_clip_of(in[1][0], a->max_grad_norm), kept = 1 - pow(in[2][0], a->decay_rate);
    const int64_t area = f.rows * f.columns, n = f.stack * area;
    double squares = 0, weights = 0, lr = in[0][0] * node->groups[slot].rate;
    for (int64_t m = 0; m < f.stack; m++) {
        const double *grad = in[f.in + 1] + m * area, *p = out[f.out] + m * area;
        double *row = out[f.out + 1] + m * f.rows, *column = out[f.out + 2] + m * f.columns;
        square_truth(&f, grad, clip, kept, a->eps1, row, column);
        for (int64_t i = 0; i < area; i++) {
            squares += pow(step_truth(&f, i, grad[i] * clip, row, column, mean_of(row, f.rows)), 2);
            weights += p[i] * p[i];
        }
    }
    double bound = fmax(1, sqrt(squares / (double)n) / a->clip_threshold);
    if (a->scale_parameter) lr *= fmax(a->eps2, sqrt(weights / (double)n));
    for (int64_t i = 0; i < n; i++) {
        const int64_t m = i / area;
        const double *row = out[f.out + 1] + m * f.rows, *column = out[f.out + 2] + m * f.columns;
        double *p = &out[f.out][i], *mean = a->beta1 > 0 ? &out[f.out + 3][i] : NULL;
        double step = lr / bound *
                      step_truth(&f, i - m * area, in[f.in + 1][i] * clip, row, column, mean_of(row, f.rows));
        if (mean) step = *mean = a->beta1 * *mean + (1 - a->beta1) * step;
        *p -= node->groups[slot].decay * lr * *p + step;
    }
}

static void reference_adafactor(const tuff_node *node, const double *const *in, double *const *out)
{
    const int width = tuff_adafactor_width(node);
    for (int i = 0; i < tuff_adafactor_count(node); i++) {
        const tuff_factored f = tuff_adafactor_slot_of(node, i);
        for (int k = 0; k < width - 1; k++) {
            const int from = f.in + (k ? k + 1 : 0);
            memcpy(out[f.out + k], in[from], (size_t)tuff_tensor_count(node->in[from]) * sizeof(double));
        }
        if (isfinite(in[1][0])) slot_truth(node, i, in, out);
    }
}

static tuff_cost cost_adafactor(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.bytes *= 2; /* gradients are read four times */
    cost.flops = cost.bytes;
    return cost;
}

static const tuff_kernel_row adafactor_kernels[] = {{"plain", 0, tuff_match_32, tuff_launch_adafactor}};

const tuff_op_info tuff_op_adafactor = {
    .name = "adafactor",
    .min_in = TUFF_ADAFACTOR_FIRST + 4,
    .max_in = TUFF_VARIADIC,
    .n_out = 0,
    .infer = infer_adafactor,
    .reference = reference_adafactor,
    .cpu = tuff_adafactor_host,
    .cpu_scratch = tuff_adafactor_scratch,
    .cost = cost_adafactor,
    .rows = adafactor_kernels,
    .n_rows = 1,
};

/* ---- the builder */

static tuff_status put_slot(tuff_graph *g, const tuff_adafactor_slot *slots, size_t i, int width,
                            double weight_decay, tuff_tensor **at, tuff_update_group *group)
{
    tuff_adafactor_slot s = TUFF_ADAFACTOR_SLOT_INIT;
    TUFF_TRY(TUFF_TAKE_ENTRY(&s, slots, i, TUFF_ADAFACTOR_SLOT_INIT));
    TUFF_TRY(tuff_update_group_of(s.decay, s.lr_scale, s.weight_decay, weight_decay, group));
    tuff_tensor *const all[] = {s.param, tuff_dense(g, s.grad), s.row, s.column, s.mean};
    memcpy(at, all, (size_t)width * sizeof *at);
    return TUFF_OK;
}

static tuff_status build_adafactor(tuff_graph *g, const tuff_adafactor_slot *slots, size_t n, tuff_tensor *lr,
                                   tuff_tensor *norm, tuff_tensor *state, const tuff_adafactor_params *params)
{
    tuff_attrs attrs = {.adafactor = TUFF_ADAFACTOR_PARAMS_INIT};
    TUFF_TRY(TUFF_TAKE(&attrs.adafactor, params, TUFF_ADAFACTOR_PARAMS_INIT, reserved));
    TUFF_TRY(TUFF_CHECK_ARRAY(slots, const tuff_adafactor_slot, TUFF_ADAFACTOR_SLOT_INIT, weight_decay));
    const int width = attrs.adafactor.beta1 > 0 ? 5 : 4;
    const size_t count = TUFF_ADAFACTOR_FIRST + n * (size_t)width;
    tuff_tensor **in = tuff_arena_array(&g->arena, count, sizeof *in);
    tuff_update_group *groups = tuff_arena_array(&g->arena, n, sizeof *groups);
    if (in == NULL || groups == NULL) return tuff_fail_memory("the slots of an optimizer step");
    memcpy(in, (tuff_tensor *[]){lr, norm, state}, TUFF_ADAFACTOR_FIRST * sizeof *in);
    for (size_t i = 0; i < n; i++) {
        tuff_status status = put_slot(g, slots, i, width, attrs.adafactor.weight_decay,
                                      in + TUFF_ADAFACTOR_FIRST + i * (size_t)width, &groups[i]);
        if (status != TUFF_OK) return tuff_note(status, "slot %zu", i);
    }
    tuff_tensor *first = tuff_graph_node(g, TUFF_OP_adafactor, in, (int)count, &attrs);
    if (first != NULL) first->producer->groups = groups;
    return TUFF_OK;
}

void tuff_adafactor(tuff_graph *g, const tuff_adafactor_slot *slots, size_t n, tuff_tensor *lr,
                    tuff_tensor *norm, tuff_tensor *state, const tuff_adafactor_params *params)
{
    const size_t most = (TUFF_VARIADIC - TUFF_ADAFACTOR_FIRST) / 5;
    if (!g || !slots || n == 0 || n >= most) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                        "adafactor: needs at least one slot and less than %zu, but got %zu", most,
                        slots ? n : 0);
        return;
    }
    tuff_status status = build_adafactor(g, slots, n, lr, norm, state, params);
    if (status != TUFF_OK) tuff_graph_fail(g, status, "adafactor: %s", tuff_error_message());
}
