/* Backward rules against central differences of the reference, in double. */
#include <math.h>

#include "base/rng.h"
#include "conform/runner.h"

#define DIRECTIONS 2
/* The five-point formula's truncation is h^4 f'/30 of the fifth derivative, its rounding about 1e-16 |f| / h:
 * near 1e-12 at the first step, far below the tolerance; where the function bends sharply a smaller one
 * serves. */
static const double steps[] = {1e-3, 1e-4, 1e-5};
#define TOLERANCE 1e-6

typedef struct checker {
    const tuff_case_run *run;
    tuff_truth *truth;
    double *gradient, *direction;
    double worst;
} checker;

static tuff_status loss_at(checker *k, const tuff_case_leaf_info *leaf, double step, double *out)
{
    tuff_truth_load(k->truth, k->run, TUFF_LOAD_EXACT);
    double *values = tuff_truth_leaf(k->truth, leaf->tensor) + leaf->tensor->offset;
    for (int64_t i = 0; i < tuff_tensor_count(leaf->tensor); i++)
        values[i] += step * k->direction[i];
    TUFF_TRY(tuff_truth_run(k->truth, k->run->n_forward, false));
    tuff_truth_read(k->truth, k->run->loss, out);
    return TUFF_OK;
}

static tuff_status difference(checker *k, const tuff_case_leaf_info *leaf, double step, double *out_slope,
                              double *out_value)
{
    double f[4];
    const double at[4] = {step, -step, 2 * step, -2 * step};
    for (int i = 0; i < 4; i++)
        TUFF_TRY(loss_at(k, leaf, at[i], &f[i]));
    *out_slope = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * step);
    *out_value = f[0];
    return TUFF_OK;
}

static tuff_status check_direction(checker *k, const tuff_case_leaf_info *leaf, size_t index, uint32_t number)
{
    int64_t n = tuff_tensor_count(leaf->tensor);
    double size = 0, along = 0, norm = 0;
    for (int64_t i = 0; i < n; i++)
        size += leaf->values[i] * leaf->values[i];
    size = sqrt(size / (double)n);
    /* the step is of the values' size, but a function of large values need not be smooth on their scale */
    if (!(size > 0) || size > 1) size = 1;
    for (int64_t i = 0; i < n; i++) {
        k->direction[i] = size * tuff_rng_normal(k->run->seed, (uint64_t)i, 2 + number, TUFF_STREAM_CONFORM);
        double term = k->gradient[i] * k->direction[i];
        along += term;
        norm += term * term;
    }
    double best = HUGE_VAL, closest = 0;
    for (size_t s = 0; s < sizeof steps / sizeof steps[0] && best > 1; s++) {
        double measured = 0, value = 0;
        TUFF_TRY(difference(k, leaf, steps[s], &measured, &value));
        double bound = TOLERANCE * (fabs(along) + sqrt(norm)) + 1e-13 / steps[s] * fabs(value) + 1e-300;
        double units = fabs(measured - along) / bound;
        if (!(units < best)) continue;
        best = units;
        closest = measured;
    }
    if (!(best <= k->worst)) k->worst = best;
    if (best <= 1) return TUFF_OK;
    return tuff_fail(
        TUFF_INTERNAL,
        "the backward rule gives %.9g along a random direction of leaf %zu, finite differences give %.9g "
        "(%.3g times the tolerance)",
        along, index, closest, best);
}

/* Where values or the loss are not finite, differences say nothing; elsewhere the gradient is to be finite
 * too.
 */
static tuff_status check_finite(const checker *k, const tuff_case_leaf_info *leaf, size_t index,
                                bool *out_all)
{
    double loss = 0;
    tuff_truth_read(k->truth, k->run->loss, &loss);
    *out_all = isfinite(loss);
    for (int64_t i = 0; *out_all && i < tuff_tensor_count(leaf->tensor); i++)
        *out_all = isfinite(leaf->values[i]);
    for (int64_t i = 0; *out_all && i < tuff_tensor_count(leaf->tensor); i++)
        if (!isfinite(k->gradient[i]))
            return tuff_fail(
                TUFF_INTERNAL,
                "the backward rule gives %g for element %lld of leaf %zu, though the loss is finite",
                k->gradient[i], (long long)i, index);
    return TUFF_OK;
}

static tuff_status check_leaf(checker *k, const tuff_case_check *check)
{
    const tuff_case_leaf_info *leaf = &k->run->leaves[check->leaf];
    int64_t n = tuff_tensor_count(leaf->tensor);
    k->gradient = tuff_alloc_array((size_t)n, sizeof(double));
    k->direction = tuff_alloc_array((size_t)n, sizeof(double));
    tuff_status status = TUFF_OK;
    if (k->gradient == NULL || k->direction == NULL) {
        status = tuff_fail_memory("a gradient check");
    } else {
        tuff_truth_load(k->truth, k->run, TUFF_LOAD_EXACT);
        status = tuff_truth_run(k->truth, k->run->graph->n_nodes, false);
        tuff_truth_read(k->truth, check->tensor, k->gradient);
        bool finite = false;
        if (status == TUFF_OK) status = check_finite(k, leaf, (size_t)check->leaf, &finite);
        for (uint32_t number = 0; finite && number < DIRECTIONS && status == TUFF_OK; number++)
            status = check_direction(k, leaf, (size_t)check->leaf, number);
    }
    tuff_free(k->gradient);
    tuff_free(k->direction);
    return status;
}

/* What a product does with its operands, NULL of what is none. */
static tuff_dtype *operands_of(const tuff_case_run *run, size_t i)
{
    tuff_node *node = run->graph->nodes[i];
    const bool is_product = node->op == TUFF_OP_matmul || node->op == TUFF_OP_matmul_grouped ||
                            node->op == TUFF_OP_matmul_grouped_weights;
    return is_product ? &node->attrs.matmul.operands : NULL;
}

static tuff_status check_leaves(const tuff_case_run *run, double *out_worst)
{
    checker k = {.run = run};
    TUFF_TRY(tuff_truth_create(run->graph, &k.truth));
    tuff_status status = TUFF_OK;
    for (size_t i = run->n_results; i < run->n_checks && status == TUFF_OK; i++)
        status = check_leaf(&k, &run->checks[i]);
    tuff_truth_destroy(&k.truth);
    *out_worst = k.worst;
    return status;
}

/* What is rounded moves by steps: rules are checked with operands as they are. */
tuff_status tuff_gradient_check(const tuff_case_run *run, double *out_worst)
{
    *out_worst = 0;
    if (run->loss == NULL) return TUFF_OK;
    const size_t n = run->graph->n_nodes;
    tuff_dtype *operands = tuff_alloc_array(n, sizeof *operands);
    if (operands == NULL) return tuff_fail_memory("a gradient check");
    for (size_t i = 0; i < n; i++) {
        tuff_dtype *of = operands_of(run, i);
        if (of == NULL) continue;
        operands[i] = *of;
        *of = TUFF_F32;
    }
    tuff_status status = check_leaves(run, out_worst);
    for (size_t i = 0; i < n; i++)
        if (operands_of(run, i) != NULL) *operands_of(run, i) = operands[i];
    tuff_free(operands);
    return status;
}
