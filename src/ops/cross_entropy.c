/* Cross-entropy of integer labels, which may be smoothed, of all rows or of each, and its backward. */
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
    TUFF_TRY(tuff_expect_contiguous(node, LABELS, "labels"));
    double smoothing = node->attrs.cross_entropy.smoothing;
    if (smoothing >= 0 && smoothing <= 1) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the smoothing of labels must be 0 to 1, but is %g",
                     tuff_op_name(node->op), smoothing);
}

static tuff_cost cost(const tuff_node *node)
{
    double n = (double)tuff_tensor_count(node->in[LOGITS]);
    return (tuff_cost){4 * n, node->op == TUFF_OP_cross_entropy_backward ? 8 * n : 4 * n};
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
    if (d_out[0] == NULL || d_out[1] != NULL || (node->n_out > 2 && d_out[2] != NULL)) {
        tuff_graph_fail(g, TUFF_UNSUPPORTED, "%s: only its loss is differentiable", tuff_op_name(node->op));
        return;
    }
    bool mean = node->op == TUFF_OP_cross_entropy && !node->attrs.cross_entropy.sum; /* else that of one */
    const tuff_attrs attrs = {.cross_entropy.smoothing = node->attrs.cross_entropy.smoothing};
    tuff_tensor *in[5] = {node->in[LOGITS], node->in[LABELS], node->out[1],
                          mean ? node->out[2] : tuff_fill(g, 1, 0, NULL), tuff_dense(g, d_out[0])};
    d_in[LOGITS] = tuff_graph_node(g, TUFF_OP_cross_entropy_backward, in, 5, &attrs);
}

static double row_loss(const tuff_node *node, const double *x, double label, double *out_lse)
{
    int64_t V = node->in[LOGITS]->shape.dim[1];
    double max = -INFINITY, sum = 0, all = 0, smoothing = node->attrs.cross_entropy.smoothing;
    for (int64_t i = 0; i < V; i++)
        max = x[i] > max ? x[i] : max;
    for (int64_t i = 0; i < V; i++)
        sum += exp(x[i] - max);
    for (int64_t i = 0; i < V && smoothing > 0; i++)
        all += x[i];
    *out_lse = max + log(sum);
    if (label == IGNORED) return 0;
    double own = label >= 0 && label < (double)V ? *out_lse - x[(int64_t)label] : NAN;
    return smoothing > 0 ? (1 - smoothing) * own + smoothing * (*out_lse - all / (double)V) : own;
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    double loss = 0, count = 0;
    for (int64_t r = 0; r < N; r++) {
        loss += row_loss(node, in[LOGITS] + r * V, in[LABELS][r], &out[1][r]);
        count += in[LABELS][r] != IGNORED;
    }
    out[0][0] = node->attrs.cross_entropy.sum ? loss : loss / count;
    out[2][0] = count;
}

typedef struct task {
    const float *x;
    const int32_t *labels;
    const float *lse_in;
    float *lse, *loss, *dx;
    const float *d_loss;
    float count;
    float own, rest; /* backward: what smoothing adds to the label's part, and takes from the others' */
    double smoothing;
    int64_t d_step, V; /* d_step: from the d_loss of a row to that of the next */
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

TUFF_KERNEL static double mean(const float *x, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

static float smoothed(float own, float lse, const task *w, const float *x)
{
    if (w->smoothing == 0) return own;
    return (float)((1 - w->smoothing) * (double)own + w->smoothing * ((double)lse - mean(x, w->V)));
}

static void forward_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = w->x + r * w->V;
        int32_t label = w->labels[r];
        w->lse[r] = log_sum_exp(x, w->V);
        float own = label >= 0 && label < w->V ? w->lse[r] - x[label] : NAN;
        w->loss[r] = label == IGNORED ? 0 : smoothed(own, w->lse[r], w, x);
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], counted = 0;
    task w = {.x = in[LOGITS],
              .labels = in[LABELS],
              .lse = out[1],
              .loss = scratch,
              .smoothing = node->attrs.cross_entropy.smoothing,
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

/* The first kernel of both; the caller says where the losses go. */
static tuff_cross_entropy_args *launch_losses(const tuff_node *node, const tuff_caps *caps,
                                              tuff_launch *launch)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    tuff_cross_entropy_args *args = tuff_launch_add(launch, TUFF_SHADER_cross_entropy, sizeof *args);
    tuff_launch_address(launch, &args->logits, TUFF_OPERAND_IN, LOGITS, 0);
    tuff_launch_address(launch, &args->labels, TUFF_OPERAND_IN, LABELS, 0);
    tuff_launch_address(launch, &args->lse, TUFF_OPERAND_OUT, 1, 0);
    args->rows = (uint32_t)N;
    args->classes = (uint32_t)V;
    args->smoothing = (float)node->attrs.cross_entropy.smoothing;
    args->lanes = tuff_launch_rows(launch, caps, N, V);
    return args;
}

static void launch_forward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t N = node->in[LOGITS]->shape.dim[0];
    uint64_t losses = tuff_launch_scratch(launch, (uint64_t)N * sizeof(float));
    tuff_cross_entropy_args *args = launch_losses(node, caps, launch);
    tuff_launch_address(launch, &args->losses, TUFF_OPERAND_SCRATCH, 0, losses);

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

tuff_tensor *tuff_cross_entropy_smoothed(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels,
                                         double smoothing)
{
    tuff_tensor *in[2] = {tuff_dense(g, logits), labels};
    return tuff_graph_node(g, TUFF_OP_cross_entropy, in, 2,
                           &(tuff_attrs){.cross_entropy = {.sum = true, .smoothing = smoothing}});
}

/* ---- cross_entropy_rows(logits, labels): the loss of each row, and its log-sum-exp ---- */

static tuff_status infer_rows(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_operands(node));
    tuff_shape rows = tuff_shape_of(1, node->in[LOGITS]->shape.dim);
    tuff_set_out(node, 0, &rows, TUFF_F32);
    tuff_set_out(node, 1, &rows, TUFF_F32);
    return TUFF_OK;
}

static void reference_rows(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    for (int64_t r = 0; r < N; r++)
        out[0][r] = row_loss(node, in[LOGITS] + r * V, in[LABELS][r], &out[1][r]);
}

static void cpu_rows(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    task w = {.x = in[LOGITS],
              .labels = in[LABELS],
              .lse = out[1],
              .loss = out[0],
              .V = node->in[LOGITS]->shape.dim[1]};
    tuff_parallel(node->in[LOGITS]->shape.dim[0], tuff_grain(w.V), forward_range, &w);
}

static void launch_losses_of_rows(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_cross_entropy_args *args = launch_losses(node, caps, launch);
    tuff_launch_address(launch, &args->losses, TUFF_OPERAND_OUT, 0, 0);
}

static const tuff_kernel_row losses_rows[] = {{"cross_entropy", 0, tuff_match_32, launch_losses_of_rows}};

const tuff_op_info tuff_op_cross_entropy_rows = {
    .name = "cross_entropy_rows",
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .infer = infer_rows,
    .backward = backward,
    .reference = reference_rows,
    .cpu = cpu_rows,
    .cost = cost,
    .rows = losses_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_cross_entropy_rows(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels)
{
    tuff_tensor *in[2] = {tuff_dense(g, logits), labels};
    return tuff_graph_node(g, TUFF_OP_cross_entropy_rows, in, 2, NULL);
}

/* ---- cross_entropy_backward(logits, labels, lse, count, d_loss): (softmax - target) * d_loss / count, where
 * a target is one hot, or smoothed, and d_loss is one number or one of each row; rows whose label is ignored
 * are zero, rows whose label is no class NaN ---- */

static bool of_rows(const tuff_node *node)
{
    return node->in[D_LOSS]->shape.rank > 0;
}

static tuff_status infer_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_operands(node));
    tuff_shape scalar = tuff_shape_of(0, NULL), rows = tuff_shape_of(1, node->in[LOGITS]->shape.dim);
    TUFF_TRY(tuff_expect_dense(node, LSE, "lse", &rows));
    TUFF_TRY(tuff_expect_dense(node, COUNT, "count", &scalar));
    TUFF_TRY(tuff_expect_dense(node, D_LOSS, "d_loss", of_rows(node) ? &rows : &scalar));
    tuff_set_out(node, 0, &node->in[LOGITS]->shape, TUFF_F32);
    return TUFF_OK;
}

static void reference_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[LOGITS]->shape.dim[0], V = node->in[LOGITS]->shape.dim[1];
    double smoothing = node->attrs.cross_entropy.smoothing;
    for (int64_t r = 0; r < N; r++) {
        double label = in[LABELS][r], factor = in[D_LOSS][of_rows(node) ? r : 0] / in[COUNT][0];
        bool valid = label >= 0 && label < (double)V;
        for (int64_t i = 0; i < V; i++) {
            double target = (label == (double)i ? 1 - smoothing : 0) + smoothing / (double)V;
            double d = exp(in[LOGITS][r * V + i] - in[LSE][r]) - target;
            out[0][r * V + i] = label == IGNORED ? 0 : valid ? d * factor : NAN;
        }
    }
}

TUFF_KERNEL static void softmax_scaled(const float *x, float lse, float rest, float factor, float *dx,
                                       int64_t n)
{
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        dx[i] = (tuff_expf(x[i] - lse) - rest) * factor;
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
        float factor = w->d_loss[r * w->d_step] / w->count;
        /* by expm1, so that a row that is nearly sure of its label keeps its digits */
        float own = valid ? (expm1f(w->x[r * w->V + label] - w->lse_in[r]) + w->own) * factor : 0;
        softmax_scaled(w->x + r * w->V, w->lse_in[r], w->rest, valid ? factor : NAN, dx, w->V);
        if (valid) dx[label] = own;
    }
}

/* A label's target is smoothing - smoothing / V below 1, the others' are smoothing / V above 0. */
static float own_part(const tuff_node *node)
{
    double V = (double)node->in[LOGITS]->shape.dim[1];
    return (float)(node->attrs.cross_entropy.smoothing * (1 - 1 / V));
}

static float rest_part(const tuff_node *node)
{
    return (float)(node->attrs.cross_entropy.smoothing / (double)node->in[LOGITS]->shape.dim[1]);
}

static void cpu_backward(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    int64_t N = node->in[LOGITS]->shape.dim[0];
    task w = {.x = in[LOGITS],
              .labels = in[LABELS],
              .lse_in = in[LSE],
              .dx = out[0],
              .d_loss = in[D_LOSS],
              .count = *(const float *)in[COUNT],
              .d_step = of_rows(node),
              .own = own_part(node),
              .rest = rest_part(node),
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
    args->d_step = of_rows(node);
    args->own = own_part(node);
    args->rest = rest_part(node);
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
