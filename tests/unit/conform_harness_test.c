/* The harness itself: right kernels pass, and every kind of fault is caught by the guard that is meant for
 * it. */
#include "kit/kit.h"

#include <math.h>
#include <stdio.h>

#include "conform/runner.h"
#include "ir/dtype.h"
#include "ir/op.h"

/* ---- a small case: y = 3 x, its gradient, and what is wrong with the kernel ---- */

static void build_scale(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    tuff_case_result(run, tuff_scale(g, x, 3), 4, 1);
}

static const tuff_case scale_case = {"scale", build_scale, {37, 29}};
static const tuff_case_family family = {"harness", &scale_case, 1};

static const tuff_op_info *right;
static tuff_op_info wrong;

static void replace_scale(tuff_plan *plan, void *context)
{
    (void)context;
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].node->op == TUFF_OP_scale && plan->steps[s].node->attrs.scale.factor == 3) {
            plan->steps[s].op = &wrong;
            return;
        }
}

static tuff_plan_hook run_hook = replace_scale;

static tuff_outcome run_with(void (*kernel)(const tuff_node *, const void *const *, void *const *, void *))
{
    static const tuff_open_params params;
    tuff_backend_device *device = NULL;
    assert_int_equal(tuff_backend_cpu.open(0, &params, &device), TUFF_OK);
    right = tuff_op_info_of(TUFF_OP_scale);
    wrong = *right;
    if (kernel != NULL) wrong.cpu = kernel;
    tuff_suite suite = {.device = device, .full = true, .backward = true, .hook = run_hook};
    tuff_outcome outcome;
    tuff_suite_case(&suite, &family, &scale_case, &outcome);
    if (outcome.message.size > 0)
        print_message("%s: %s\n", tuff_verdict_name(outcome.verdict), outcome.message.data);
    tuff_outcome_free(&outcome);
    tuff_backend_cpu.close(&device);
    return outcome;
}

static void right_kernel_holds(void **state)
{
    (void)state;
    tuff_outcome outcome = run_with(NULL);
    assert_int_equal(outcome.verdict, TUFF_VERDICT_HELD);
    assert_true(outcome.worst < 1 && outcome.worst_backward < 1);
}

static void one_element_off(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right->cpu(node, in, out, scratch);
    ((float *)out[0])[500] *= 1.0001f;
}

static void value_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(one_element_off).verdict, TUFF_VERDICT_VALUE);
}

/* The bound is 4 eps of at least the root mean square, here about 3. */
static void all_a_little_high(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right->cpu(node, in, out, scratch);
    for (int64_t i = 0; i < tuff_tensor_count(node->out[0]); i++)
        ((float *)out[0])[i] += 0x1p-23f * 8;
}

static void bias_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(all_a_little_high).verdict, TUFF_VERDICT_BIAS);
}

static void one_infinite(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right->cpu(node, in, out, scratch);
    ((float *)out[0])[7] = INFINITY;
}

static void nonfinite_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(one_infinite).verdict, TUFF_VERDICT_NONFINITE);
}

static void last_not_written(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    int64_t last = tuff_tensor_count(node->out[0]) - 1;
    float before = ((float *)out[0])[last];
    right->cpu(node, in, out, scratch);
    ((float *)out[0])[last] = before;
}

static void unwritten_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(last_not_written).verdict, TUFF_VERDICT_UNWRITTEN);
}

static void one_past_the_end(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right->cpu(node, in, out, scratch);
    ((float *)out[0])[tuff_tensor_count(node->out[0])] = 1;
}

static void one_before_the_start(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    right->cpu(node, in, out, scratch);
    ((float *)out[0])[-1] = 1;
}

static void stray_write_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(one_past_the_end).verdict, TUFF_VERDICT_STRAY);
    assert_int_equal(run_with(one_before_the_start).verdict, TUFF_VERDICT_STRAY);
}

/* Reads the element after the input, which is guard. */
static void shifted_read(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const float *x = in[0];
    for (int64_t i = 0; i < tuff_tensor_count(node->out[0]); i++)
        ((float *)out[0])[i] = 3 * (x[i] + 0 * x[i + 1]);
}

static void read_past_the_end_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(shifted_read).verdict, TUFF_VERDICT_UNWRITTEN);
}

static void input_overwritten(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right->cpu(node, in, out, scratch);
    union {
        const void *read;
        float *write;
    } input = {in[0]};
    input.write[11] = 0;
}

static void changed_input_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(input_overwritten).verdict, TUFF_VERDICT_INPUT);
}

static void every_second_differs(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    static int calls;
    right->cpu(node, in, out, scratch);
    if (calls++ % 2 == 1) ((float *)out[0])[3] = nextafterf(((float *)out[0])[3], 9);
}

static void unrepeatable_is_caught(void **state)
{
    (void)state;
    assert_int_equal(run_with(every_second_differs).verdict, TUFF_VERDICT_REPEAT);
}

/* As a kernel whose result depends on where its operands lie: each plan of the case lays them out anew. */
static int plans_made;

static void count_plan(tuff_plan *plan, void *context)
{
    plans_made++;
    replace_scale(plan, context);
}

static void third_layout_differs(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    right->cpu(node, in, out, scratch);
    if (plans_made == 3) ((float *)out[0])[3] = nextafterf(((float *)out[0])[3], 9);
}

static void disagreement_of_plans_is_caught(void **state)
{
    (void)state;
    plans_made = 0;
    run_hook = count_plan;
    tuff_outcome outcome = run_with(third_layout_differs);
    run_hook = replace_scale;
    assert_int_equal(outcome.verdict, TUFF_VERDICT_PLAN);
    assert_int_equal(plans_made, 3);
}

/* ---- what else is in the batch: softmax on the host promises that it does not matter ---- */

static void build_rows(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_result(run, tuff_softmax(g, x), 4, (double)p[1]);
    tuff_case_batch(run, 0);
}

static const tuff_case rows_case = {"rows", build_rows, {5, 9}};

static const tuff_op_info *right_softmax;
static tuff_op_info wrong_softmax;

static void replace_softmax(tuff_plan *plan, void *context)
{
    (void)context;
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].node->op == TUFF_OP_softmax) plan->steps[s].op = &wrong_softmax;
}

/* As a kernel that sums in another order when there are many rows. */
static void more_rows_differ(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right_softmax->cpu(node, in, out, scratch);
    float *y = out[0];
    int64_t n = tuff_tensor_count(node->out[0]);
    if (node->out[0]->shape.dim[0] > 5) y[n / 2] = nextafterf(y[n / 2], 9);
}

/* As a kernel whose last row is handled apart. */
static void last_row_differs(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    right_softmax->cpu(node, in, out, scratch);
    float *y = out[0];
    int64_t n = tuff_tensor_count(node->out[0]);
    y[n - 1] = nextafterf(y[n - 1], 9);
}

static void batch_dependence_is_caught(void **state)
{
    (void)state;
    static const tuff_open_params params;
    tuff_backend_device *device = NULL;
    assert_int_equal(tuff_backend_cpu.open(0, &params, &device), TUFF_OK);
    right_softmax = tuff_op_info_of(TUFF_OP_softmax);
    assert_true(tuff_is_batch_free(right_softmax, -1));
    void (*const kernels[])(const tuff_node *, const void *const *, void *const *,
                            void *) = {right_softmax->cpu, more_rows_differ, last_row_differs};
    for (int i = 0; i < 3; i++) {
        wrong_softmax = *right_softmax;
        wrong_softmax.cpu = kernels[i];
        tuff_coverage *coverage = tuff_alloc(sizeof *coverage);
        tuff_suite suite = {.device = device, .full = i == 0, .hook = replace_softmax, .coverage = coverage};
        tuff_outcome outcome;
        tuff_suite_case(&suite, &family, &rows_case, &outcome);
        assert_int_equal(outcome.verdict, i == 0 ? TUFF_VERDICT_HELD : TUFF_VERDICT_BATCH);
        if (i == 0) assert_int_equal(coverage->rows[tuff_rows_index(TUFF_OP_softmax, -1)].batches, 2);
        tuff_outcome_free(&outcome);
        tuff_coverage_free(coverage);
        tuff_free(coverage);
    }
    tuff_backend_cpu.close(&device);
}

/* ---- backward rules ---- */

static void wrong_backward_is_caught(void **state)
{
    (void)state;
    tuff_build_options options = {.seed = 5, .backward = true};
    tuff_case_run *run = NULL;
    assert_int_equal(tuff_case_build(&scale_case, &options, &run), TUFF_OK);
    double worst = 0;
    assert_int_equal(tuff_gradient_check(run, &worst), TUFF_OK);
    assert_true(worst < 0.1);
    int changed = 0;
    for (size_t i = run->n_forward; i < run->graph->n_nodes; i++)
        if (run->graph->nodes[i]->op == TUFF_OP_scale) {
            run->graph->nodes[i]->attrs.scale.factor = 3.0001;
            changed++;
        }
    assert_int_equal(changed, 1);
    assert_int_not_equal(tuff_gradient_check(run, &worst), TUFF_OK);
    assert_true(worst > 1);
    /* a rule that gives NaN for finite values is no rule that differences need not be held against */
    for (size_t i = run->n_forward; i < run->graph->n_nodes; i++)
        if (run->graph->nodes[i]->op == TUFF_OP_scale) run->graph->nodes[i]->attrs.scale.factor = NAN;
    assert_int_not_equal(tuff_gradient_check(run, &worst), TUFF_OK);
    assert_non_null(strstr(tuff_error_message(), "though the loss is finite"));
    tuff_case_destroy(&run);
}

static void build_misfit(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_result(run, tuff_matmul(g, a, a), 4, 1);
}

static void build_nothing(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 1, 0);
}

static void broken_cases_are_errors(void **state)
{
    (void)state;
    static const tuff_open_params params;
    tuff_backend_device *device = NULL;
    assert_int_equal(tuff_backend_cpu.open(0, &params, &device), TUFF_OK);
    static const tuff_case broken[] = {{"misfit", build_misfit, {3, 4}}, {"nothing", build_nothing, {3, 4}}};
    for (int i = 0; i < 2; i++) {
        tuff_suite suite = {.device = device};
        tuff_outcome outcome;
        tuff_suite_case(&suite, &family, &broken[i], &outcome);
        assert_int_equal(outcome.verdict, TUFF_VERDICT_ERROR);
        assert_true(outcome.message.size > 0);
        tuff_outcome_free(&outcome);
    }
    tuff_backend_cpu.close(&device);
}

/* ---- memory ---- */

static tuff_status execute_scale(void *user)
{
    tuff_backend_device *device = user;
    const tuff_build_options options = {.backward = true};
    const tuff_run_options how = {.isolate = true};
    tuff_case_run *run = NULL;
    tuff_expected expected = {0};
    tuff_outcome outcome = {0};
    tuff_coverage *coverage = tuff_alloc(sizeof *coverage);
    tuff_status status = coverage ? tuff_case_build(&scale_case, &options, &run) : TUFF_OUT_OF_MEMORY;
    if (status == TUFF_OK) status = tuff_expected_create(run, &expected);
    if (status == TUFF_OK) {
        tuff_case_execute(run, &expected, device, &how, &outcome, coverage);
        status = outcome.status;
        if (status == TUFF_OK && outcome.verdict != TUFF_VERDICT_HELD)
            status = tuff_fail(TUFF_INTERNAL, "verdict: %s", tuff_verdict_name(outcome.verdict));
    }
    tuff_outcome_free(&outcome);
    tuff_expected_free(&expected);
    tuff_case_destroy(&run);
    if (coverage) tuff_coverage_free(coverage);
    tuff_free(coverage);
    return status;
}

/* Kernels are judged by this: one must not be found wrong because the host lacked memory. */
static void shortage_is_no_verdict(void **state)
{
    (void)state;
    static const tuff_open_params params;
    tuff_backend_device *device = NULL;
    assert_int_equal(tuff_backend_cpu.open(0, &params, &device), TUFF_OK);
    assert_true(kit_for_each_allocation_failure(execute_scale, device) > 20);
    tuff_backend_cpu.close(&device);
}

static tuff_status build_one(void *user)
{
    const tuff_case *c = user;
    tuff_build_options options = {.seed = 7, .backward = true, .no_data = true};
    tuff_case_run *run = NULL;
    tuff_status status = tuff_case_build(c, &options, &run);
    tuff_case_destroy(&run);
    return status;
}

/* The random graphs, which look at what they have made so far while they are built. */
static void graphs_survive_every_memory_failure(void **state)
{
    (void)state;
    for (size_t i = 0; i < tuff_family_graphs.n_cases; i++) {
        tuff_case c = tuff_family_graphs.cases[i];
        assert_true(kit_for_each_allocation_failure(build_one, &c) > 10);
    }
}

/* ---- truth, data and comparison alone ---- */

static void views_of_old_versions_keep_their_values(void **state)
{
    (void)state;
    tuff_graph *g = NULL;
    assert_int_equal(tuff_graph_create(&g), TUFF_OK);
    const int64_t dims[2] = {2, 3};
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, dims), *y = tuff_variable(g, "y", TUFF_F32, 2, dims);
    tuff_tensor *before = tuff_transpose(g, x);
    tuff_tensor *sum = tuff_accumulate(g, x, y);
    tuff_tensor *after = tuff_slice(g, tuff_transpose(g, sum), 0, 1, 2);
    assert_int_equal(tuff_graph_status(g), TUFF_OK);
    tuff_truth *truth = NULL;
    assert_int_equal(tuff_truth_create(g, &truth), TUFF_OK);
    for (int i = 0; i < 6; i++) {
        tuff_truth_leaf(truth, x)[i] = i;
        tuff_truth_leaf(truth, y)[i] = 10;
    }
    assert_int_equal(tuff_truth_run(truth, g->n_nodes, true), TUFF_OK);
    double got[6];
    tuff_truth_read(truth, before, got);
    const double old[6] = {0, 3, 1, 4, 2, 5};
    assert_memory_equal(got, old, sizeof old);
    tuff_truth_read(truth, after, got);
    const double new[4] = {11, 14, 12, 15};
    assert_memory_equal(got, new, sizeof new);
    tuff_truth_read_final(truth, x, got);
    const double final[6] = {10, 11, 12, 13, 14, 15};
    assert_memory_equal(got, final, sizeof final);
    tuff_truth_destroy(&truth);
    tuff_graph_destroy(&g);
}

static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    assert_true(tuff_data_round(TUFF_F32, 0.1) == (double)0.1f);
    assert_true(tuff_data_round(TUFF_F32, 1 + 0x1p-24) == 1);
    assert_true(tuff_data_round(TUFF_F32, 1 + 0x1.8p-23) == 1 + 0x1p-22);
    assert_true(tuff_data_round(TUFF_F16, 2049) == 2048 && tuff_data_round(TUFF_F16, 2051) == 2052);
    assert_true(tuff_data_round(TUFF_F16, 65519) == 65504 && isinf(tuff_data_round(TUFF_F16, 65520)));
    assert_true(tuff_data_round(TUFF_F16, 0x1.8p-24) == 0x1p-23 && tuff_data_round(TUFF_F16, 0x1p-25) == 0);
    assert_true(tuff_data_round(TUFF_BF16, 257) == 256 && tuff_data_round(TUFF_BF16, 259) == 260);
    assert_true(isinf(tuff_data_round(TUFF_F32, 0x1.ffffffp127)) && isnan(tuff_data_round(TUFF_F16, NAN)));
    assert_true(tuff_data_round(TUFF_F32, 0x1p-150) == 0 &&
                tuff_data_round(TUFF_F32, 0x1.8p-149) == 0x1p-148);
    for (int d = 0; d < TUFF_DTYPE_COUNT && !tuff_dtype_is_block((tuff_dtype)d); d++) {
        double values[64], back[64];
        uint32_t bytes[64];
        tuff_data_fill(values, 64, (tuff_dtype)d, d < TUFF_I32 ? TUFF_DATA_SPECIAL : TUFF_DATA_INTEGER, 0,
                       1000, 9, 1);
        tuff_data_encode((tuff_dtype)d, values, bytes, 64);
        tuff_data_decode((tuff_dtype)d, bytes, back, 64);
        for (int i = 0; i < 64; i++)
            assert_true(back[i] == values[i] || (isnan(back[i]) && isnan(values[i])));
    }
}

static tuff_match compare(const double *got, const double *want, const double *other, int64_t n, double c,
                          double k, double scale)
{
    const tuff_bound bound = {.c = c, .k = k, .scale = scale};
    return tuff_compare(got, want, other, n, TUFF_F32, &bound);
}

static void comparison_knows_its_places(void **state)
{
    (void)state;
    const double want[4] = {1, NAN, HUGE_VAL, 0}, tiny[1] = {0x1p-140}, zero[1] = {0};
    assert_null(compare(want, want, NULL, 4, 0, 1, 0).fault);
    double got[4] = {1, NAN, HUGE_VAL, 0};
    got[1] = 1;
    assert_non_null(compare(got, want, NULL, 4, 1e9, 1, 0).fault);
    got[1] = NAN;
    got[2] = -HUGE_VAL;
    assert_non_null(compare(got, want, NULL, 4, 1e9, 1, 0).fault);
    got[2] = HUGE_VAL;
    got[3] = NAN;
    assert_non_null(compare(got, want, NULL, 4, 1e9, 1, 0).fault);
    /* an exact result allows a flushed denormal and nothing else */
    assert_null(compare(zero, tiny, NULL, 1, 0, 1, 0).fault);
    assert_non_null(compare(tiny, zero, NULL, 1, 0, 1, 0).fault);
    const double one[1] = {1}, next[1] = {1 + 0x1p-23};
    assert_non_null(compare(next, one, NULL, 1, 0, 1, 0).fault);
    tuff_match match = compare(next, one, NULL, 1, 2, 4, 0);
    assert_null(match.fault);
    assert_true(fabs(match.worst - 0.25) < 1e-12);
    assert_null(compare(next, one, next, 1, 0, 1, 0).fault);
    const double small[1] = {1e-9}, off[1] = {2e-9};
    assert_non_null(compare(off, small, NULL, 1, 1, 1, 0).fault);
    assert_null(compare(off, small, NULL, 1, 1, 1, 0.1).fault);
    /* denormals are as far apart as their dtype has them */
    const double half[1] = {0x1p-20}, higher[1] = {0x1p-20 + 0x1p-24};
    const tuff_bound loose = {.c = 1};
    assert_null(tuff_compare(higher, half, NULL, 1, TUFF_F16, &loose).fault);
    assert_non_null(tuff_compare(higher, half, NULL, 1, TUFF_F32, &loose).fault);
    /* what its inputs' own rounding does to an element is allowed it, except where it is to be exact */
    const double slack[1] = {2e-9};
    assert_null(tuff_compare(off, small, NULL, 1, TUFF_F32, &(tuff_bound){.c = 1, .slack = slack}).fault);
    assert_non_null(tuff_compare(off, small, NULL, 1, TUFF_F32, &(tuff_bound){.slack = slack}).fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_kernel_holds),
        cmocka_unit_test(value_is_caught),
        cmocka_unit_test(bias_is_caught),
        cmocka_unit_test(nonfinite_is_caught),
        cmocka_unit_test(unwritten_is_caught),
        cmocka_unit_test(stray_write_is_caught),
        cmocka_unit_test(read_past_the_end_is_caught),
        cmocka_unit_test(changed_input_is_caught),
        cmocka_unit_test(unrepeatable_is_caught),
        cmocka_unit_test(disagreement_of_plans_is_caught),
        cmocka_unit_test(batch_dependence_is_caught),
        cmocka_unit_test(wrong_backward_is_caught),
        cmocka_unit_test(broken_cases_are_errors),
        cmocka_unit_test(shortage_is_no_verdict),
        cmocka_unit_test(graphs_survive_every_memory_failure),
        cmocka_unit_test(views_of_old_versions_keep_their_values),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(comparison_knows_its_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
