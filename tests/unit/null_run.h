/* Devices, programs, training and the suite, whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_RUN_H
#define TUFF_TESTS_NULL_RUN_H

#include "null_kit.h"

/* ---- host ---- */

CALLS_OF(tuff_set_allocator)
{
    tuff_allocator half = TUFF_ALLOCATOR_INIT;
    REFUSED(tuff_set_allocator(&half));
    half.struct_size = 0;
    REFUSED(tuff_set_allocator(&half));
    KIT_OK(tuff_set_allocator(NULL));
}
CALLS_OF(tuff_get_host_stats)
{
    tuff_host_stats unset = {0};
    REFUSED(tuff_get_host_stats(NULL));
    REFUSED(tuff_get_host_stats(&unset));
}
CALLS_OF(tuff_set_log)
{
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
}
CALLS_OF(tuff_version)
{
    assert_string_equal(tuff_version(), TUFF_VERSION);
}
CALLS_OF(tuff_error_message)
{
    assert_non_null(tuff_error_message());
}
CALLS_OF(tuff_status_name)
{
    assert_non_null(tuff_status_name((tuff_status)-1));
}
CALLS_OF(tuff_free)
{
    tuff_free(NULL);
}
CALLS_OF(tuff_dtype_name)
{
    assert_non_null(tuff_dtype_name((tuff_dtype)-1));
    assert_non_null(tuff_dtype_name(TUFF_DTYPE_COUNT));
}
CALLS_OF(tuff_dtype_block)
{
    assert_int_equal(tuff_dtype_block((tuff_dtype)-1), 0);
    assert_int_equal(tuff_dtype_block(TUFF_DTYPE_COUNT), 0);
}
CALLS_OF(tuff_dtype_bytes)
{
    assert_int_equal(tuff_dtype_bytes((tuff_dtype)-1, 4), 0);
    assert_int_equal(tuff_dtype_bytes(TUFF_DTYPE_COUNT, 4), 0);
    assert_int_equal(tuff_dtype_bytes(TUFF_F32, -1), 0);
}
CALLS_OF(tuff_dtype_size)
{
    assert_int_equal(tuff_dtype_size((tuff_dtype)-1), 0);
    assert_int_equal(tuff_dtype_size(TUFF_DTYPE_COUNT), 0);
}
CALLS_OF(tuff_cancel_create)
{
    REFUSED(tuff_cancel_create(NULL));
}
CALLS_OF(tuff_cancel_request)
{
    tuff_cancel_request(NULL);
}
CALLS_OF(tuff_cancel_requested)
{
    assert_false(tuff_cancel_requested(NULL));
}
CALLS_OF(tuff_cancel_reset)
{
    tuff_cancel_reset(NULL);
}
CALLS_OF(tuff_cancel_destroy)
{
    tuff_cancel *none = NULL;
    tuff_cancel_destroy(NULL);
    tuff_cancel_destroy(&none);
}
CALLS_OF(tuff_phase_name)
{
    assert_non_null(tuff_phase_name((tuff_phase)-1));
}

/* ---- devices, buffers, programs ---- */

CALLS_OF(tuff_list_devices)
{
    tuff_device_info unset = {0};
    size_t n;
    REFUSED(tuff_list_devices(NULL, 0, NULL));
    REFUSED(tuff_list_devices(NULL, 1, &n));
    REFUSED(tuff_list_devices(&unset, 1, &n));
}
CALLS_OF(tuff_device_open)
{
    const tuff_device_params unset = {0};
    tuff_device *out;
    REFUSED(tuff_device_open(NULL, NULL));
    REFUSED_OUT(tuff_device_open(&unset, &out), out);
}
CALLS_OF(tuff_device_destroy)
{
    tuff_device *none = NULL;
    tuff_device_destroy(NULL);
    tuff_device_destroy(&none);
}
CALLS_OF(tuff_device_get_info)
{
    assert_null(tuff_device_get_info(NULL));
}
CALLS_OF(tuff_device_get_stats)
{
    tuff_device_stats stats = TUFF_DEVICE_STATS_INIT, unset = {0};
    REFUSED(tuff_device_get_stats(NULL, &stats));
    REFUSED(tuff_device_get_stats(fixture.device, NULL));
    REFUSED(tuff_device_get_stats(fixture.device, &unset));
}
CALLS_OF(tuff_device_open_to_compile)
{
    const tuff_device_params unset = {0};
    tuff_device *out;
    REFUSED(tuff_device_open_to_compile(NULL, NULL));
    REFUSED_OUT(tuff_device_open_to_compile(&unset, &out), out);
}
static void on_no_kernel(const tuff_kernel *kernel, void *user)
{
    (void)kernel, (void)user;
    fail_msg("a kernel of a device that compiles none");
}
CALLS_OF(tuff_device_kernels)
{
    REFUSED(tuff_device_kernels(NULL, on_no_kernel, NULL));
    REFUSED(tuff_device_kernels(fixture.device, NULL, NULL));
    KIT_OK(tuff_device_kernels(fixture.device, on_no_kernel, NULL));
}
CALLS_OF(tuff_kernel_get_figure)
{
    const tuff_kernel kernel = {0};
    double amount = 1;
    assert_false(tuff_kernel_get_figure(NULL, TUFF_KERNEL_CODE, &amount));
    assert_true(amount == 0);
    assert_false(tuff_kernel_get_figure(&kernel, TUFF_KERNEL_CODE, NULL));
}
CALLS_OF(tuff_buffer_create)
{
    const int64_t shape[2] = {2, 3}, empty[2] = {2, 0};
    tuff_buffer *out;
    REFUSED(tuff_buffer_create(fixture.device, "b", TUFF_F32, 2, shape, NULL));
    REFUSED_OUT(tuff_buffer_create(NULL, "b", TUFF_F32, 2, shape, &out), out);
    REFUSED_OUT(tuff_buffer_create(fixture.device, "b", TUFF_F32, 2, NULL, &out), out);
    REFUSED_OUT(tuff_buffer_create(fixture.device, "b", TUFF_F32, 2, empty, &out), out);
    KIT_OK(tuff_buffer_create(fixture.device, NULL, TUFF_F32, 0, NULL, &out));
    tuff_buffer_destroy(&out);
}
CALLS_OF(tuff_buffer_destroy)
{
    tuff_buffer *none = NULL;
    tuff_buffer_destroy(NULL);
    tuff_buffer_destroy(&none);
}
CALLS_OF(tuff_buffer_write)
{
    const float value = 1;
    REFUSED(tuff_buffer_write(NULL, 0, &value, 1));
    REFUSED(tuff_buffer_write(fixture.buffer, 0, NULL, 1));
    KIT_OK(tuff_buffer_write(fixture.buffer, 0, NULL, 0));
}
CALLS_OF(tuff_buffer_read)
{
    float value;
    REFUSED(tuff_buffer_read(NULL, 0, &value, 1));
    REFUSED(tuff_buffer_read(fixture.buffer, 0, NULL, 1));
    KIT_OK(tuff_buffer_read(fixture.buffer, 0, NULL, 0));
}
CALLS_OF(tuff_buffer_dtype)
{
    assert_int_equal(tuff_buffer_dtype(NULL), TUFF_F32);
}
CALLS_OF(tuff_buffer_count)
{
    assert_int_equal(tuff_buffer_count(NULL), 0);
}
CALLS_OF(tuff_program_create)
{
    tuff_graph *g = NULL;
    tuff_program *out;
    REFUSED_OUT(tuff_program_create(fixture.device, NULL, &out), out);
    REFUSED_OUT(tuff_program_create(fixture.device, &g, &out), out);
    KIT_OK(tuff_graph_create(&g));
    REFUSED_OUT(tuff_program_create(NULL, &g, &out), out);
    assert_null(g);
    KIT_OK(tuff_graph_create(&g));
    REFUSED(tuff_program_create(fixture.device, &g, NULL));
    assert_null(g);
}
CALLS_OF(tuff_program_destroy)
{
    tuff_program *none = NULL;
    tuff_program_destroy(NULL);
    tuff_program_destroy(&none);
}
CALLS_OF(tuff_program_bind)
{
    REFUSED(tuff_program_bind(NULL, "v", fixture.buffer));
    REFUSED(tuff_program_bind(fixture.program, NULL, fixture.buffer));
    REFUSED(tuff_program_bind(fixture.program, "v", NULL));
}
CALLS_OF(tuff_program_prepare)
{
    REFUSED(tuff_program_prepare(NULL));
}
CALLS_OF(tuff_program_input)
{
    const float value = 1;
    REFUSED(tuff_program_input(NULL, "i", &value, 4));
    REFUSED(tuff_program_input(fixture.program, NULL, &value, 4));
    REFUSED(tuff_program_input(fixture.program, "i", NULL, 4));
    REFUSED(tuff_program_input(fixture.program, "i", &value, 0));
}
CALLS_OF(tuff_program_run)
{
    REFUSED(tuff_program_run(NULL));
}
CALLS_OF(tuff_program_output)
{
    float value;
    KIT_OK(tuff_program_run(fixture.program));
    REFUSED(tuff_program_output(NULL, "o", &value, 4));
    REFUSED(tuff_program_output(fixture.program, NULL, &value, 4));
    REFUSED(tuff_program_output(fixture.program, "o", NULL, 4));
    REFUSED(tuff_program_output(fixture.program, "o", &value, 0));
}
CALLS_OF(tuff_program_get_memory)
{
    tuff_program_memory memory = TUFF_PROGRAM_MEMORY_INIT, unset = {0};
    REFUSED(tuff_program_get_memory(NULL, &memory));
    REFUSED(tuff_program_get_memory(fixture.program, NULL));
    REFUSED(tuff_program_get_memory(fixture.program, &unset));
}
CALLS_OF(tuff_program_flops)
{
    assert_true(tuff_program_flops(NULL) == 0);
}
CALLS_OF(tuff_program_text)
{
    assert_null(tuff_program_text(NULL));
}
CALLS_OF(tuff_program_profile_text)
{
    assert_null(tuff_program_profile_text(NULL));
}
CALLS_OF(tuff_program_profile_trace)
{
    assert_null(tuff_program_profile_trace(NULL));
}

/* ---- training ---- */

CALLS_OF(tuff_dataset_load_text)
{
    const tuff_text_params unset = {0};
    tuff_dataset *out;
    REFUSED(tuff_dataset_load_text(fixture.model, "x", 8, NULL, NULL));
    REFUSED_OUT(tuff_dataset_load_text(NULL, "x", 8, NULL, &out), out);
    REFUSED_OUT(tuff_dataset_load_text(fixture.model, NULL, 8, NULL, &out), out);
    REFUSED_OUT(tuff_dataset_load_text(fixture.model, "x", 8, &unset, &out), out);
}
CALLS_OF(tuff_dataset_load)
{
    tuff_data_params unset = {0}, none = TUFF_DATA_PARAMS_INIT;
    tuff_dataset *out;
    none.task = NULL;
    REFUSED(tuff_dataset_load(fixture.model, "x", NULL, NULL));
    REFUSED_OUT(tuff_dataset_load(NULL, "x", NULL, &out), out);
    REFUSED_OUT(tuff_dataset_load(fixture.model, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_dataset_load(fixture.model, "x", &unset, &out), out);
    REFUSED_OUT(tuff_dataset_load(fixture.model, "x", &none, &out), out);
}
CALLS_OF(tuff_dataset_load_pairs)
{
    const tuff_pair_params unset = {0};
    tuff_dataset *out;
    REFUSED(tuff_dataset_load_pairs(fixture.model, "in.csv", NULL, NULL));
    REFUSED_OUT(tuff_dataset_load_pairs(NULL, "in.csv", NULL, &out), out);
    REFUSED_OUT(tuff_dataset_load_pairs(fixture.model, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_dataset_load_pairs(fixture.model, "in.csv", &unset, &out), out);
}
CALLS_OF(tuff_dataset_from_ids)
{
    const int32_t ids[4] = {1, 2, 3, 4};
    tuff_dataset *out;
    REFUSED(tuff_dataset_from_ids(ids, 4, 2, NULL));
    REFUSED_OUT(tuff_dataset_from_ids(NULL, 4, 2, &out), out);
    REFUSED_OUT(tuff_dataset_from_ids(NULL, 0, 2, &out), out);
    REFUSED_OUT(tuff_dataset_from_ids(ids, 4, 0, &out), out);
}
CALLS_OF(tuff_dataset_from_examples)
{
    static const int32_t ids[4] = {1, 2, 3, 4};
    static const char *const names[2] = {"yes", NULL};
    const tuff_example unset = {0};
    tuff_example e = TUFF_EXAMPLE_INIT;
    tuff_dataset *out;
    e.ids = ids;
    e.count = 4;
    e.labels = ids;
    REFUSED(tuff_dataset_from_examples("causal-lm", &e, 1, NULL, 0, NULL));
    REFUSED_OUT(tuff_dataset_from_examples(NULL, &e, 1, NULL, 0, &out), out);
    REFUSED_OUT(tuff_dataset_from_examples("causal-lm", NULL, 1, NULL, 0, &out), out);
    REFUSED_OUT(tuff_dataset_from_examples("causal-lm", &unset, 1, NULL, 0, &out), out);
    REFUSED_OUT(tuff_dataset_from_examples("classification", &e, 1, names, 2, &out), out);
}
CALLS_OF(tuff_cache_list_texts)
{
    REFUSED(tuff_cache_list_texts(NULL, NULL));
}
CALLS_OF(tuff_cache_remove_texts)
{
    KIT_OK(tuff_cache_remove_texts()); /* of this build's cache */
}
CALLS_OF(tuff_data_recognize)
{
    const char *out;
    REFUSED(tuff_data_recognize("x", NULL));
    REFUSED_OUT(tuff_data_recognize(NULL, &out), out);
}
CALLS_OF(tuff_dataset_mix)
{
    const tuff_dataset *const parts[1] = {fixture.data}, *const none[1] = {NULL};
    const double weights[1] = {1};
    tuff_dataset *out;
    REFUSED(tuff_dataset_mix(NULL, weights, 1, TUFF_MIXTURE_ALL_EXHAUSTED, &out));
    REFUSED(tuff_dataset_mix(none, weights, 1, TUFF_MIXTURE_ALL_EXHAUSTED, &out));
    REFUSED(tuff_dataset_mix(parts, NULL, 1, TUFF_MIXTURE_ALL_EXHAUSTED, &out));
    REFUSED(tuff_dataset_mix(parts, weights, 1, TUFF_MIXTURE_ALL_EXHAUSTED, NULL));
}
CALLS_OF(tuff_dataset_mixed)
{
    int64_t examples, of_epoch;
    assert_false(tuff_dataset_mixed(NULL, 0, &examples, &of_epoch));
    assert_false(tuff_dataset_mixed(fixture.data, 0, NULL, &of_epoch));
    assert_false(tuff_dataset_mixed(fixture.data, 0, &examples, NULL));
}
CALLS_OF(tuff_dataset_get_report)
{
    tuff_data_report out = TUFF_DATA_REPORT_INIT, unset = {0};
    REFUSED(tuff_dataset_get_report(NULL, &out));
    REFUSED(tuff_dataset_get_report(fixture.data, NULL));
    REFUSED(tuff_dataset_get_report(fixture.data, &unset));
}
CALLS_OF(tuff_dataset_label)
{
    const char *name;
    int64_t count;
    assert_false(tuff_dataset_label(NULL, 0, &name, &count));
    assert_false(tuff_dataset_label(fixture.data, 0, NULL, &count));
    assert_false(tuff_dataset_label(fixture.data, 0, &name, NULL));
}
CALLS_OF(tuff_dataset_count_known)
{
    int64_t count;
    REFUSED(tuff_dataset_count_known(NULL, fixture.data, &count));
    REFUSED(tuff_dataset_count_known(fixture.data, NULL, &count));
    REFUSED(tuff_dataset_count_known(fixture.data, fixture.data, NULL));
}
CALLS_OF(tuff_dataset_destroy)
{
    tuff_dataset *none = NULL;
    tuff_dataset_destroy(NULL);
    tuff_dataset_destroy(&none);
}
CALLS_OF(tuff_dataset_tokens)
{
    assert_int_equal(tuff_dataset_tokens(NULL), 0);
}
CALLS_OF(tuff_dataset_blocks)
{
    assert_int_equal(tuff_dataset_blocks(NULL), 0);
}
CALLS_OF(tuff_trainer_create)
{
    const tuff_train_params unset = {0};
    tuff_trainer *out;
    REFUSED(tuff_trainer_create(fixture.model, fixture.device, fixture.data, NULL, NULL));
    REFUSED_OUT(tuff_trainer_create(NULL, fixture.device, fixture.data, NULL, &out), out);
    REFUSED_OUT(tuff_trainer_create(fixture.model, NULL, fixture.data, NULL, &out), out);
    REFUSED_OUT(tuff_trainer_create(fixture.model, fixture.device, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_trainer_create(fixture.model, fixture.device, fixture.data, &unset, &out), out);
}
CALLS_OF(tuff_trainer_create_fitting)
{
    const tuff_train_params unset = {0};
    tuff_trainer *out;
    REFUSED(tuff_trainer_create_fitting(fixture.model, fixture.device, fixture.data, NULL, 0, NULL));
    REFUSED_OUT(tuff_trainer_create_fitting(NULL, fixture.device, fixture.data, NULL, 0, &out), out);
    REFUSED_OUT(tuff_trainer_create_fitting(fixture.model, NULL, fixture.data, NULL, 0, &out), out);
    REFUSED_OUT(tuff_trainer_create_fitting(fixture.model, fixture.device, NULL, NULL, 0, &out), out);
    REFUSED_OUT(tuff_trainer_create_fitting(fixture.model, fixture.device, fixture.data, &unset, 0, &out),
                out);
}
CALLS_OF(tuff_trainer_get_batch)
{
    int64_t batch, accumulation;
    REFUSED(tuff_trainer_get_batch(NULL, &batch, &accumulation));
    KIT_OK(tuff_trainer_get_batch(fixture.trainer, NULL, NULL));
}
CALLS_OF(tuff_trainer_destroy)
{
    tuff_trainer *none = NULL;
    tuff_trainer_destroy(NULL);
    tuff_trainer_destroy(&none);
}
CALLS_OF(tuff_trainer_get_memory)
{
    tuff_train_memory memory = TUFF_TRAIN_MEMORY_INIT, unset = {0};
    REFUSED(tuff_trainer_get_memory(NULL, &memory));
    REFUSED(tuff_trainer_get_memory(fixture.trainer, NULL));
    REFUSED(tuff_trainer_get_memory(fixture.trainer, &unset));
}
CALLS_OF(tuff_trainer_total_steps)
{
    assert_int_equal(tuff_trainer_total_steps(NULL), 0);
}
CALLS_OF(tuff_trainer_dropout)
{
    assert_string_equal(tuff_trainer_dropout(NULL), "");
}
CALLS_OF(tuff_trainer_program)
{
    assert_null(tuff_trainer_program(NULL));
}
CALLS_OF(tuff_trainer_step)
{
    tuff_train_step step = TUFF_TRAIN_STEP_INIT, unset = {0};
    REFUSED(tuff_trainer_step(NULL, &step));
    REFUSED(tuff_trainer_step(fixture.trainer, NULL));
    REFUSED(tuff_trainer_step(fixture.trainer, &unset));
}
CALLS_OF(tuff_trainer_next_batch)
{
    int32_t ids[16];
    REFUSED(tuff_trainer_next_batch(NULL, ids, 16));
    REFUSED(tuff_trainer_next_batch(fixture.trainer, NULL, 16));
    REFUSED(tuff_trainer_next_batch(fixture.trainer, ids, 0));
}
CALLS_OF(tuff_trainer_dump_batches)
{
    REFUSED(tuff_trainer_dump_batches(NULL, "x"));
    REFUSED(tuff_trainer_dump_batches(fixture.trainer, NULL));
}
CALLS_OF(tuff_trainer_save)
{
    REFUSED(tuff_trainer_save(NULL, "x"));
    REFUSED(tuff_trainer_save(fixture.trainer, NULL));
}
CALLS_OF(tuff_trainer_save_into)
{
    const tuff_watch unset = {0};
    tuff_stage *stage;
    KIT_OK(tuff_stage_open(kit_temp_path("into"), &stage));
    REFUSED(tuff_trainer_save_into(NULL, stage, NULL));
    REFUSED(tuff_trainer_save_into(fixture.trainer, NULL, NULL));
    REFUSED(tuff_trainer_save_into(fixture.trainer, stage, &unset));
    tuff_stage_abort(&stage);
}
CALLS_OF(tuff_trainer_plan_evaluation)
{
    REFUSED(tuff_trainer_plan_evaluation(NULL, fixture.data));
    REFUSED(tuff_trainer_plan_evaluation(fixture.trainer, NULL));
}
CALLS_OF(tuff_trainer_evaluate)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT, unset = {0};
    REFUSED(tuff_trainer_evaluate(NULL, fixture.data, &result));
    REFUSED(tuff_trainer_evaluate(fixture.trainer, NULL, &result));
    REFUSED(tuff_trainer_evaluate(fixture.trainer, fixture.data, NULL));
    REFUSED(tuff_trainer_evaluate(fixture.trainer, fixture.data, &unset));
}
CALLS_OF(tuff_trainer_measure_retrieval)
{
    tuff_retrieval_result out = TUFF_RETRIEVAL_RESULT_INIT;
    REFUSED(tuff_trainer_measure_retrieval(NULL, "d", "q", "r", NULL, &out));
    REFUSED(tuff_trainer_measure_retrieval(fixture.trainer, "d", "q", "r", NULL, &out));
}
CALLS_OF(tuff_trainer_generate)
{
    const tuff_generate_params unset_params = {0};
    tuff_generate_result unset = {0};
    REFUSED(tuff_trainer_generate(NULL, "x", 1, NULL, NULL));
    REFUSED(tuff_trainer_generate(fixture.trainer, NULL, 1, NULL, NULL));
    REFUSED(tuff_trainer_generate(fixture.trainer, "x", 1, &unset_params, NULL));
    REFUSED(tuff_trainer_generate(fixture.trainer, "x", 1, NULL, &unset));
}
CALLS_OF(tuff_evaluate)
{
    const tuff_eval_params unset_params = {0};
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT, unset = {0};
    REFUSED(tuff_evaluate(NULL, fixture.device, fixture.data, NULL, &result));
    REFUSED(tuff_evaluate(fixture.model, NULL, fixture.data, NULL, &result));
    REFUSED(tuff_evaluate(fixture.model, fixture.device, NULL, NULL, &result));
    REFUSED(tuff_evaluate(fixture.model, fixture.device, fixture.data, NULL, NULL));
    REFUSED(tuff_evaluate(fixture.model, fixture.device, fixture.data, NULL, &unset));
    REFUSED(tuff_evaluate(fixture.model, fixture.device, fixture.data, &unset_params, &result));
}
CALLS_OF(tuff_eval_find)
{
    const tuff_eval_result result = TUFF_EVAL_RESULT_INIT, unset = {0};
    double value;
    assert_false(tuff_eval_find(NULL, "loss", &value));
    assert_false(tuff_eval_find(&result, NULL, &value));
    assert_false(tuff_eval_find(&result, "loss", NULL));
    assert_false(tuff_eval_find(&unset, "loss", &value));
}
CALLS_OF(tuff_save_logits)
{
    REFUSED(tuff_save_logits(NULL, fixture.device, fixture.data, NULL, NULL, "x"));
    REFUSED(tuff_save_logits(fixture.model, NULL, fixture.data, NULL, NULL, "x"));
    REFUSED(tuff_save_logits(fixture.model, fixture.device, NULL, NULL, NULL, "x"));
    REFUSED(tuff_save_logits(fixture.model, fixture.device, fixture.data, NULL, NULL, NULL));
}

/* ---- measuring a device ---- */

CALLS_OF(tuff_bench_run)
{
    const tuff_bench_params unset = {0};
    tuff_bench_peak peak = TUFF_BENCH_PEAK_INIT, unmade = {0};
    REFUSED(tuff_bench_run(NULL, NULL, &peak));
    REFUSED(tuff_bench_run(fixture.device, NULL, NULL));
    REFUSED(tuff_bench_run(fixture.device, NULL, &unmade));
    REFUSED(tuff_bench_run(fixture.device, &unset, &peak));
}
CALLS_OF(tuff_bench_median)
{
    double spread = 1;
    assert_true(tuff_bench_median(NULL, 3, &spread) == 0 && spread == 0);
}
CALLS_OF(tuff_bench_name)
{
    assert_null(tuff_bench_name((size_t)-1));
}

/* ---- the conformance suite ---- */

CALLS_OF(tuff_conform_run)
{
    const tuff_conform_params unset = {0};
    tuff_conform_report *out;
    REFUSED(tuff_conform_run(NULL, NULL));
    REFUSED_OUT(tuff_conform_run(&unset, &out), out);
}
CALLS_OF(tuff_conform_report_destroy)
{
    tuff_conform_report *none = NULL;
    tuff_conform_report_destroy(NULL);
    tuff_conform_report_destroy(&none);
}
CALLS_OF(tuff_conform_mask_at)
{
    assert_null(tuff_conform_mask_at((size_t)-1));
}
CALLS_OF(tuff_conform_passed)
{
    assert_false(tuff_conform_passed(NULL));
}
CALLS_OF(tuff_conform_list)
{
    const tuff_conform_params unset = {0};
    tuff_conform_case **out;
    size_t n;
    REFUSED(tuff_conform_list(NULL, NULL, &n));
    REFUSED_OUT(tuff_conform_list(NULL, &out, NULL), out);
    REFUSED_OUT(tuff_conform_list(&unset, &out, &n), out);
}
CALLS_OF(tuff_conform_read)
{
    tuff_conform_report **out;
    size_t n;
    REFUSED(tuff_conform_read("", 0, NULL, &n));
    REFUSED_OUT(tuff_conform_read("", 0, &out, NULL), out);
    REFUSED_OUT(tuff_conform_read(NULL, 1, &out, &n), out);
}
CALLS_OF(tuff_conform_compare)
{
    char *out;
    REFUSED(tuff_conform_compare(fixture.report, fixture.report, NULL, NULL));
    REFUSED_OUT(tuff_conform_compare(NULL, fixture.report, &out, NULL), out);
    REFUSED_OUT(tuff_conform_compare(fixture.report, NULL, &out, NULL), out);
}
CALLS_OF(tuff_conform_text_compared)
{
    const tuff_conform_report *const none = NULL, *const one = fixture.report;
    char *out;
    REFUSED(tuff_conform_text_compared(&one, &one, 1, TUFF_CONFORM_JUNIT, NULL));
    REFUSED_OUT(tuff_conform_text_compared(NULL, &one, 1, TUFF_CONFORM_JUNIT, &out), out);
    REFUSED_OUT(tuff_conform_text_compared(&none, &one, 1, TUFF_CONFORM_JUNIT, &out), out);
    KIT_OK(tuff_conform_text_compared(&one, &none, 1, TUFF_CONFORM_JUNIT, &out));
    tuff_free(out);
    KIT_OK(tuff_conform_text_compared(&one, &one, 1, TUFF_CONFORM_HTML, &out));
    assert_non_null(strstr(out, "compared with"));
    tuff_free(out);
}
CALLS_OF(tuff_conform_text)
{
    const tuff_conform_report *const none = NULL, *const one = fixture.report;
    char *out;
    REFUSED(tuff_conform_text(&one, 1, TUFF_CONFORM_JSON, NULL));
    REFUSED_OUT(tuff_conform_text(NULL, 1, TUFF_CONFORM_JSON, &out), out);
    REFUSED_OUT(tuff_conform_text(&none, 1, TUFF_CONFORM_JSON, &out), out);
    REFUSED_OUT(tuff_conform_text(&one, 1, (tuff_conform_format)9, &out), out);
}

#endif
