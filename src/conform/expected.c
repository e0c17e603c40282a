/* What a case's results should be, and by how much rounding may move each element. */
#include <math.h>
#include <string.h>

#include "conform/runner.h"

static bool has_denormals(const tuff_case_run *run)
{
    for (size_t i = 0; i < run->n_leaves; i++) {
        const tuff_case_leaf_info *leaf = &run->leaves[i];
        double least = tuff_data_min_normal(leaf->tensor->dtype);
        for (int64_t e = 0; e < tuff_tensor_count(leaf->tensor); e++)
            if (leaf->values[e] != 0 && fabs(leaf->values[e]) < least) return true;
    }
    return false;
}

/* The values of all checks with the leaves loaded in one way, into a new array of arrays. */
static tuff_status evaluate(tuff_truth *truth, const tuff_case_run *run, tuff_load load, double ***out_values)
{
    double **values = tuff_alloc_array(run->n_checks, sizeof *values);
    *out_values = values;
    if (values == NULL) return tuff_fail_memory("the truth of a case");
    tuff_truth_load(truth, run, load);
    TUFF_TRY(tuff_truth_run(truth, run->graph->n_nodes, true));
    for (size_t i = 0; i < run->n_checks; i++) {
        const tuff_tensor *x = run->checks[i].tensor;
        values[i] = tuff_alloc_array((size_t)tuff_tensor_count(x), sizeof(double));
        if (values[i] == NULL) return tuff_fail_memory("the truth of a case");
        if (run->checks[i].output == NULL)
            tuff_truth_read_final(truth, x, values[i]);
        else
            tuff_truth_read(truth, x, values[i]);
    }
    return TUFF_OK;
}

static void free_values(double **values, size_t n)
{
    for (size_t i = 0; values != NULL && i < n; i++)
        tuff_free(values[i]);
    tuff_free(values);
}

/* Turns the values under shaken leaves into slack. */
static void to_slack(double *shaken, const double *again, const double *want, int64_t n, double times)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double change = fmax(fabs(shaken[i] - want[i]), fabs(again[i] - want[i]));
        shaken[i] = isfinite(change) ? change : 0;
        squares += shaken[i] * shaken[i];
    }
    double rms = sqrt(squares / (double)n);
    for (int64_t i = 0; i < n; i++)
        shaken[i] = times * (shaken[i] + rms);
}

tuff_status tuff_expected_create(const tuff_case_run *run, tuff_expected *out)
{
    *out = (tuff_expected){.n = run->n_checks};
    tuff_truth *truth = NULL;
    double **again = NULL;
    TUFF_TRY(tuff_truth_create(run->graph, &truth));
    tuff_status status = evaluate(truth, run, TUFF_LOAD_EXACT, &out->want);
    if (status == TUFF_OK) status = evaluate(truth, run, TUFF_LOAD_SHAKEN, &out->slack);
    if (status == TUFF_OK) status = evaluate(truth, run, TUFF_LOAD_SHAKEN_AGAIN, &again);
    if (status == TUFF_OK && has_denormals(run))
        status = evaluate(truth, run, TUFF_LOAD_FLUSHED, &out->other);
    for (size_t i = 0; status == TUFF_OK && i < run->n_checks; i++)
        to_slack(out->slack[i], again[i], out->want[i], tuff_tensor_count(run->checks[i].tensor), run->slack);
    free_values(again, out->n);
    tuff_truth_destroy(&truth);
    return status;
}

void tuff_expected_free(tuff_expected *expected)
{
    free_values(expected->want, expected->n);
    free_values(expected->other, expected->n);
    free_values(expected->slack, expected->n);
    *expected = (tuff_expected){0};
}
