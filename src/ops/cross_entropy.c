/* Cross-entropy of integer labels, and its backward. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/cross_entropy.h"

enum { LOGITS, LABELS, LSE, COUNT, D_LOSS };
enum { IGNORED = TUFF_LABEL_IGNORED };

static tuff_status expect_operands(const tuff_node *node)
{
    const tuff_tensor *logits = node->in[LOGITS];
    if (logits->shape.rank != 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: logits must be [rows, classes], but are %s",
                         tuff_op_name(node->op), tuff_shape_text(&logits->shape));
    tuff_shape rows = tuff_shape_of(1, logits->shape.dim);
    TUFF_TRY(tuff_expect_dense(node, LOGITS, "logits", NULL));
    TUFF_TRY(tuff_expect_dtype(node, LABELS, "labels", TUFF_I32));
    TUFF_TRY(tuff_expect_shape(node, LABELS, "labels", &rows));
    return tuff_expect_contiguous(node, LABELS, "labels");
}

static tuff_cost cost(const tuff_node *node)
{
    double n = (double)tuff_tensor_count(node->in[LOGITS]);
    return (tuff_cost){4 * n, node->op == TUFF_OP_cross_entropy ? 4 * n : 8 * n};
}

/* ---- cross_entropy(logits, labels): mean or sum of the losses, log-sum-exp of each row, number of labels
 * counted ---- */

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_operands(node));
    tuff_shape scalar = tuff_shape_of(0, NULL), rows = tuff_shape_of(1, node->in[LOGITS]->shape.dim);
    tuff_set_out(node, 0, &scalar, TUFF_F32);
    tuff_set_out(node, 1, &rows, TUFF_F32);
    tuff_set_out(node, 2, &scalar, TUFF_F32);
    return TUFF_OK;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    if (!needs[LOGITS]) return;
    if (d_out[0] == NULL || d_out[1] != NULL || d_out[2] != NULL) {
        tuff_graph_fail(g, TUFF_UNSUPPORTED, "cross_entropy: only its loss is differentiable");
        return;
    }
    bool sum = node->attrs.cross_entropy.sum; /* whose gradient is that of the mean of one */
    tuff_tensor *in[5] = {node->in[LOGITS], node->in[LABELS], node->out[1],
                          sum ? tuff_fill(g, 1, 0, NULL) : node->out[2], tuff_dense(g, d_out[0])};
    d_in[LOGITS] = tuff_graph_node(g, TUFF_OP_cross_entropy_backward, in, 5, NULL);
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    double loss = 0, count = 0;
    for (int64_t r = 0; r < N; r++) {
        const double *x = in[LOGITS] + r * V;
        double label = in[LABELS][r], max = -INFINITY, sum = 0;
        for (int64_t i = 0; i < V; i++)
            max = x[i] > max ? x[i] : max;
        for (int64_t i = 0; i < V; i++)
            sum += exp(x[i] - max);
        out[1][r] = max + log(sum);
        if (label == IGNORED) continue;
        count++;
        loss += label >= 0 && label < (double)V ? out[1][r] - x[(int64_t)label] : NAN;
    }
    out[0][0] = node->attrs.cross_entropy.sum ? loss : loss / count;
    out[2][0] = count;
}

typedef struct task {
    const float *x;
    const int32_t *labels;
    const float *lse_in;
    float *lse, *loss, *dx;
    float factor;
    int64_t V;
} task;

TUFF_KERNEL static float log_sum_exp(const float *x, int64_t n)
{
    float max = -INFINITY, sum = 0;
#pragma omp simd reduction(max : max)
    for (int64_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += tuff_expf(x[i] - max);
    return max + logf(sum);
}

static void forward_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = w->x + r * w->V;
        int32_t label = w->labels[r];
        w->lse[r] = log_sum_exp(x, w->V);
        w->loss[r] = label == IGNORED ? 0 : label >= 0 && label < w->V ? w->lse[r] - x[label] : NAN;
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], counted = 0;
    task w = {.x = in[LOGITS],
              .labels = in[LABELS],
              .lse = out[1],
              .loss = scratch,
              .V = node->in[LOGITS]->shape.dim[1]};
    tuff_parallel(N, tuff_grain(w.V), forward_range, &w);
    double sum = 0;
    for (int64_t r = 0; r < N; r++) {
        sum += w.loss[r];
        counted += w.labels[r] != IGNORED;
    }
    if (!node->attrs.cross_entropy.sum) sum = counted ? sum / (double)counted : NAN;
    *(float *)out[0] = (float)sum;
    *(float *)out[2] = (float)counted;
}

static size_t cpu_scratch(const tuff_node *node)
{
    return (size_t)node->in[LOGITS]->shape.dim[0] * sizeof(float);
}

static void launch_forward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    uint64_t losses = tuff_launch_scratch(launch, (uint64_t)N * sizeof(float));
    tuff_cross_entropy_args *args = tuff_launch_add(launch, TUFF_SHADER_cross_entropy, sizeof *args);
    tuff_launch_address(launch, &args->logits, TUFF_OPERAND_IN, LOGITS, 0);
    tuff_launch_address(launch, &args->labels, TUFF_OPERAND_IN, LABELS, 0);
    tuff_launch_address(launch, &args->lse, TUFF_OPERAND_OUT, 1, 0);
    tuff_launch_address(launch, &args->losses, TUFF_OPERAND_SCRATCH, 0, losses);
    args->rows = (uint32_t)N;
    args->classes = (uint32_t)V;
    args->lanes = tuff_launch_rows(launch, caps, N, V);

    tuff_cross_entropy_join_args *join =
        tuff_launch_add(launch, TUFF_SHADER_cross_entropy_join, sizeof *join);
    tuff_launch_address(launch, &join->labels, TUFF_OPERAND_IN, LABELS, 0);
    tuff_launch_address(launch, &join->losses, TUFF_OPERAND_SCRATCH, 0, losses);
    tuff_launch_address(launch, &join->loss, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(launch, &join->count, TUFF_OPERAND_OUT, 2, 0);
    join->rows = (uint32_t)N;
    join->sum = node->attrs.cross_entropy.sum;
    tuff_launch_spec(launch, tuff_reduce_group(caps));
    tuff_launch_groups(launch, 1, 1, 1);
    tuff_launch_after(launch);
}

static const tuff_kernel_row forward_rows[] = {{"cross_entropy", 0, tuff_match_32, launch_forward}};

const tuff_op_info tuff_op_cross_entropy = {
    .name = "cross_entropy",
    .min_in = 2,
    .max_in = 2,
    .n_out = 3,
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = cpu,
    .cpu_scratch = cpu_scratch,
    .cost = cost,
    .rows = forward_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_cross_entropy(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels,
                                tuff_tensor **out_count)
{
    tuff_tensor *in[2] = {tuff_dense(g, logits), labels};
    tuff_tensor *loss = tuff_graph_node(g, TUFF_OP_cross_entropy, in, 2, NULL);
    if (out_count) *out_count = tuff_output_of(loss, 2);
    return loss;
}

tuff_tensor *tuff_cross_entropy_sum(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels)
{
    tuff_tensor *in[2] = {tuff_dense(g, logits), labels};
    return tuff_graph_node(g, TUFF_OP_cross_entropy, in, 2, &(tuff_attrs){.cross_entropy.sum = true});
}

/* ---- cross_entropy_backward(logits, labels, lse, count, d_loss): (softmax - one hot) * d_loss / count; rows
 * whose label is ignored are zero, rows whose label is no class NaN ---- */

static tuff_status infer_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_operands(node));
    tuff_shape scalar = tuff_shape_of(0, NULL), rows = tuff_shape_of(1, node->in[LOGITS]->shape.dim);
    TUFF_TRY(tuff_expect_dense(node, LSE, "lse", &rows));
    TUFF_TRY(tuff_expect_dense(node, COUNT, "count", &scalar));
    TUFF_TRY(tuff_expect_dense(node, D_LOSS, "d_loss", &scalar));
    tuff_set_out(node, 0, &node->in[LOGITS]->shape, TUFF_F32);
    return TUFF_OK;
}

static void reference_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    double factor = in[D_LOSS][0] / in[COUNT][0];
    for (int64_t r = 0; r < N; r++) {
        double label = in[LABELS][r];
        bool valid = label >= 0 && label < (double)V;
        for (int64_t i = 0; i < V; i++) {
            double p = exp(in[LOGITS][r * V + i] - in[LSE][r]) - (label == (double)i);
            out[0][r * V + i] = label == IGNORED ? 0 : valid ? p * factor : NAN;
        }
    }
}

TUFF_KERNEL static void softmax_scaled(const float *x, float lse, float factor, float *dx, int64_t n)
{
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        dx[i] = tuff_expf(x[i] - lse) * factor;
}

static void backward_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    for (int64_t r = begin; r < end; r++) {
        float *dx = w->dx + r * w->V;
        int32_t label = w->labels[r];
        bool valid = label >= 0 && label < w->V;
        if (label == IGNORED) {
            memset(dx, 0, (size_t)w->V * sizeof *dx);
            continue;
        }
        /* by expm1, so that a row that is nearly sure of its label keeps its digits */
        float own = valid ? expm1f(w->x[r * w->V + label] - w->lse_in[r]) * w->factor : 0;
        softmax_scaled(w->x + r * w->V, w->lse_in[r], valid ? w->factor : NAN, dx, w->V);
        if (valid) dx[label] = own;
    }
}

static void cpu_backward(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    int64_t N = node->in[LOGITS]->shape.dim[0];
    task w = {.x = in[LOGITS],
              .labels = in[LABELS],
              .lse_in = in[LSE],
              .dx = out[0],
              .factor = *(const float *)in[D_LOSS] / *(const float *)in[COUNT],
              .V = node->in[LOGITS]->shape.dim[1]};
    tuff_parallel(N, tuff_grain(w.V), backward_range, &w);
}

static void launch_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t *dim = node->in[LOGITS]->shape.dim;
    tuff_cross_entropy_backward_args *args =
        tuff_launch_add(launch, TUFF_SHADER_cross_entropy_backward, sizeof *args);
    tuff_launch_address(launch, &args->logits, TUFF_OPERAND_IN, LOGITS, 0);
    tuff_launch_address(launch, &args->labels, TUFF_OPERAND_IN, LABELS, 0);
    tuff_launch_address(launch, &args->lse, TUFF_OPERAND_IN, LSE, 0);
    tuff_launch_address(launch, &args->count, TUFF_OPERAND_IN, COUNT, 0);
    tuff_launch_address(launch, &args->d_loss, TUFF_OPERAND_IN, D_LOSS, 0);
    tuff_launch_address(launch, &args->d_logits, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_tiles(launch, caps, dim[0], dim[1], args->tile);
}

static const tuff_kernel_row backward_rows[] = {
    {"cross_entropy_backward", 0, tuff_match_32, launch_backward}};

const tuff_op_info tuff_op_cross_entropy_backward = {
    .name = "cross_entropy_backward",
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .may_alias = {1},
    .infer = infer_backward,
    .reference = reference_backward,
    .cpu = cpu_backward,
    .cost = cost,
    .rows = backward_rows,
    .n_rows = 1,
};
