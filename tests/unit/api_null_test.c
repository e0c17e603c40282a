/* Every exported function without one of its arguments: a call that can fail gives TUFF_INVALID_ARGUMENT and
 * leaves NULL where its result would go, others do nothing or give 0, NULL, false, -1 or "". The public
 * headers say which functions there are: one that is not in the table below fails the test. */
#include <ctype.h>
#include <stdio.h>

#include "kit/files.h"
#include "model_fixture.h"
#include "null_chat.h"
#include "null_checkpoint.h"
#include "null_embed.h"
#include "null_graph.h"
#include "null_model.h"
#include "null_predict.h"
#include "null_run.h"
#include "null_text.h"
#include "null_train_report.h"

#define CALLS(function)                \
    {                                  \
#function, calls_of_##function \
    }

static const struct {
    const char *name;
    void (*calls)(void);
} functions[] = {
    CALLS(tuff_graph_create),
    CALLS(tuff_graph_destroy),
    CALLS(tuff_graph_status),
    CALLS(tuff_input),
    CALLS(tuff_variable),
    CALLS(tuff_output),
    CALLS(tuff_set_name),
    CALLS(tuff_tensor_rank),
    CALLS(tuff_tensor_dim),
    CALLS(tuff_tensor_dtype),
    CALLS(tuff_graph_grad),
    CALLS(tuff_detach),
    CALLS(tuff_reshape),
    CALLS(tuff_permute),
    CALLS(tuff_transpose),
    CALLS(tuff_slice),
    CALLS(tuff_expand),
    CALLS(tuff_copy),
    CALLS(tuff_fill),
    CALLS(tuff_pad),
    CALLS(tuff_concat),
    CALLS(tuff_exp),
    CALLS(tuff_ln),
    CALLS(tuff_tanh),
    CALLS(tuff_sigmoid),
    CALLS(tuff_relu),
    CALLS(tuff_sqrt),
    CALLS(tuff_rsqrt),
    CALLS(tuff_abs),
    CALLS(tuff_silu),
    CALLS(tuff_softmax),
    CALLS(tuff_add),
    CALLS(tuff_mul),
    CALLS(tuff_sub),
    CALLS(tuff_div),
    CALLS(tuff_maximum),
    CALLS(tuff_minimum),
    CALLS(tuff_greater),
    CALLS(tuff_swiglu),
    CALLS(tuff_matmul),
    CALLS(tuff_graph_set_invariant),
    CALLS(tuff_graph_set_quantized_activations),
    CALLS(tuff_graph_set_operands),
    CALLS(tuff_accumulate),
    CALLS(tuff_scale),
    CALLS(tuff_gelu),
    CALLS(tuff_dropout),
    CALLS(tuff_uniform),
    CALLS(tuff_sum),
    CALLS(tuff_layer_norm),
    CALLS(tuff_rms_norm),
    CALLS(tuff_l2_normalize),
    CALLS(tuff_rope),
    CALLS(tuff_attention),
    CALLS(tuff_kv_write),
    CALLS(tuff_segment_mean),
    CALLS(tuff_segment_max),
    CALLS(tuff_gather_rows),
    CALLS(tuff_scatter_add_rows),
    CALLS(tuff_group_rows),
    CALLS(tuff_matmul_grouped),
    CALLS(tuff_argmax),
    CALLS(tuff_top_k),
    CALLS(tuff_embedding),
    CALLS(tuff_embedding_index_size),
    CALLS(tuff_embedding_index),
    CALLS(tuff_cross_entropy),
    CALLS(tuff_cross_entropy_sum),
    CALLS(tuff_cross_entropy_smoothed),
    CALLS(tuff_cross_entropy_rows),
    CALLS(tuff_assign),
    CALLS(tuff_grad_norm),
    CALLS(tuff_optimizer_step),
    CALLS(tuff_adamw),
    CALLS(tuff_sgd),
    CALLS(tuff_average),
    CALLS(tuff_lion),
    CALLS(tuff_momentum),
    CALLS(tuff_adafactor),
    CALLS(tuff_adamw_8bit),
    CALLS(tuff_tokenizer_load),
    CALLS(tuff_tokenizer_from_json),
    CALLS(tuff_tokenizer_from_vocab),
    CALLS(tuff_tokenizer_from_wordpiece),
    CALLS(tuff_tokenizer_from_sentencepiece),
    CALLS(tuff_tokenizer_from_desc),
    CALLS(tuff_tokenizer_destroy),
    CALLS(tuff_tokenizer_save),
    CALLS(tuff_vocab_export_create),
    CALLS(tuff_vocab_export_desc),
    CALLS(tuff_vocab_export_destroy),
    CALLS(tuff_tokenizer_vocab_size),
    CALLS(tuff_tokenizer_check_model),
    CALLS(tuff_tokenizer_token),
    CALLS(tuff_tokenizer_token_type),
    CALLS(tuff_tokenizer_id),
    CALLS(tuff_tokenizer_bos),
    CALLS(tuff_tokenizer_unk),
    CALLS(tuff_tokenizer_pad),
    CALLS(tuff_tokenizer_cls),
    CALLS(tuff_tokenizer_sep),
    CALLS(tuff_tokenizer_mask),
    CALLS(tuff_tokenizer_eos_count),
    CALLS(tuff_tokenizer_eos),
    CALLS(tuff_tokenizer_is_eos),
    CALLS(tuff_tokenizer_chat_template),
    CALLS(tuff_tokenizer_kind),
    CALLS(tuff_tokenizer_encode),
    CALLS(tuff_tokenizer_encode_watched),
    CALLS(tuff_tokenizer_encode_pair),
    CALLS(tuff_encoding_destroy),
    CALLS(tuff_tokenizer_special_count),
    CALLS(tuff_tokenizer_decode),
    CALLS(tuff_tokenizer_decode_token),
    CALLS(tuff_decoder_create),
    CALLS(tuff_decoder_feed),
    CALLS(tuff_decoder_flush),
    CALLS(tuff_decoder_destroy),
    CALLS(tuff_sampler_create),
    CALLS(tuff_sampler_prompt),
    CALLS(tuff_sampler_accept),
    CALLS(tuff_sampler_reset),
    CALLS(tuff_sampler_sample),
    CALLS(tuff_sampler_destroy),
    CALLS(tuff_stop_create),
    CALLS(tuff_stop_feed),
    CALLS(tuff_stop_flush),
    CALLS(tuff_stop_destroy),
    CALLS(tuff_set_allocator),
    CALLS(tuff_get_host_stats),
    CALLS(tuff_set_log),
    CALLS(tuff_version),
    CALLS(tuff_error_message),
    CALLS(tuff_status_name),
    CALLS(tuff_free),
    CALLS(tuff_dtype_name),
    CALLS(tuff_dtype_block),
    CALLS(tuff_dtype_bytes),
    CALLS(tuff_dtype_size),
    CALLS(tuff_cancel_create),
    CALLS(tuff_cancel_request),
    CALLS(tuff_cancel_requested),
    CALLS(tuff_cancel_reset),
    CALLS(tuff_cancel_destroy),
    CALLS(tuff_phase_name),
    CALLS(tuff_list_devices),
    CALLS(tuff_device_open),
    CALLS(tuff_device_destroy),
    CALLS(tuff_device_get_info),
    CALLS(tuff_device_get_stats),
    CALLS(tuff_device_open_to_compile),
    CALLS(tuff_device_kernels),
    CALLS(tuff_kernel_get_figure),
    CALLS(tuff_buffer_create),
    CALLS(tuff_buffer_destroy),
    CALLS(tuff_buffer_write),
    CALLS(tuff_buffer_read),
    CALLS(tuff_buffer_dtype),
    CALLS(tuff_buffer_count),
    CALLS(tuff_program_create),
    CALLS(tuff_program_destroy),
    CALLS(tuff_program_bind),
    CALLS(tuff_program_prepare),
    CALLS(tuff_program_input),
    CALLS(tuff_program_run),
    CALLS(tuff_program_output),
    CALLS(tuff_program_get_memory),
    CALLS(tuff_program_flops),
    CALLS(tuff_program_text),
    CALLS(tuff_program_profile_text),
    CALLS(tuff_program_profile_trace),
    CALLS(tuff_model_load),
    CALLS(tuff_model_load_watched),
    CALLS(tuff_model_draw),
    CALLS(tuff_model_adapted),
    CALLS(tuff_model_merged),
    CALLS(tuff_model_with_tokens),
    CALLS(tuff_adapter_convert),
    CALLS(tuff_model_destroy),
    CALLS(tuff_model_get_info),
    CALLS(tuff_model_get_tokenizer),
    CALLS(tuff_chat_template_create),
    CALLS(tuff_chat_template_of_model),
    CALLS(tuff_chat_template_named),
    CALLS(tuff_chat_template_name),
    CALLS(tuff_chat_template_destroy),
    CALLS(tuff_chat_template_marks),
    CALLS(tuff_chat_render),
    CALLS(tuff_chat_text_destroy),
    CALLS(tuff_inspect),
    CALLS(tuff_model_save),
    CALLS(tuff_model_save_watched),
    CALLS(tuff_model_save_with),
    CALLS(tuff_importance_create),
    CALLS(tuff_importance_destroy),
    CALLS(tuff_save_type),
    CALLS(tuff_stage_open),
    CALLS(tuff_stage_path),
    CALLS(tuff_stage_commit),
    CALLS(tuff_stage_commit_or_keep),
    CALLS(tuff_stage_abort),
    CALLS(tuff_embedder_create),
    CALLS(tuff_embedder_destroy),
    CALLS(tuff_embedder_dimensions),
    CALLS(tuff_embedder_full_dimensions),
    CALLS(tuff_embedder_max_length),
    CALLS(tuff_embedder_prompt),
    CALLS(tuff_embed),
    CALLS(tuff_embed_ids),
    CALLS(tuff_embed_file),
    CALLS(tuff_record_texts),
    CALLS(tuff_embed_tokens),
    CALLS(tuff_embed_chunks),
    CALLS(tuff_chunks_read),
    CALLS(tuff_index_open),
    CALLS(tuff_index_destroy),
    CALLS(tuff_index_count),
    CALLS(tuff_record_check),
    CALLS(tuff_embedder_check),
    CALLS(tuff_index_create),
    CALLS(tuff_index_add),
    CALLS(tuff_index_remove),
    CALLS(tuff_index_dimensions),
    CALLS(tuff_index_search),
    CALLS(tuff_measure_sts),
    CALLS(tuff_measure_retrieval),
    CALLS(tuff_predictor_create),
    CALLS(tuff_predictor_destroy),
    CALLS(tuff_predictor_task),
    CALLS(tuff_predictor_labels),
    CALLS(tuff_predictor_label),
    CALLS(tuff_predictor_guesses),
    CALLS(tuff_predictor_max_length),
    CALLS(tuff_fill_masks),
    CALLS(tuff_classify),
    CALLS(tuff_find_entities),
    CALLS(tuff_answer_questions),
    CALLS(tuff_reader_open),
    CALLS(tuff_reader_close),
    CALLS(tuff_reader_next),
    CALLS(tuff_reader_position),
    CALLS(tuff_generator_create),
    CALLS(tuff_generator_destroy),
    CALLS(tuff_generate),
    CALLS(tuff_model_generation),
    CALLS(tuff_generator_get_memory),
    CALLS(tuff_model_generation_biases),
    CALLS(tuff_model_generation_stops),
    CALLS(tuff_generator_program),
    CALLS(tuff_generator_logits),
    CALLS(tuff_batcher_create),
    CALLS(tuff_batcher_destroy),
    CALLS(tuff_batcher_get_memory),
    CALLS(tuff_batcher_add),
    CALLS(tuff_batcher_step),
    CALLS(tuff_batcher_run),
    CALLS(tuff_batcher_remove),
    CALLS(tuff_sequence_ended),
    CALLS(tuff_sequence_result),
    CALLS(tuff_sequence_error),
    CALLS(tuff_sequence_ids),
    CALLS(tuff_generate_many),
    CALLS(tuff_generate_file),
    CALLS(tuff_dataset_load_text),
    CALLS(tuff_dataset_load),
    CALLS(tuff_dataset_from_ids),
    CALLS(tuff_dataset_from_examples),
    CALLS(tuff_dataset_load_pairs),
    CALLS(tuff_cache_list_texts),
    CALLS(tuff_cache_remove_texts),
    CALLS(tuff_data_recognize),
    CALLS(tuff_dataset_mix),
    CALLS(tuff_dataset_mixed),
    CALLS(tuff_dataset_get_report),
    CALLS(tuff_dataset_label),
    CALLS(tuff_dataset_count_known),
    CALLS(tuff_dataset_destroy),
    CALLS(tuff_dataset_tokens),
    CALLS(tuff_dataset_blocks),
    CALLS(tuff_trainer_create),
    CALLS(tuff_trainer_create_fitting),
    CALLS(tuff_trainer_get_batch),
    CALLS(tuff_trainer_destroy),
    CALLS(tuff_trainer_get_memory),
    CALLS(tuff_trainer_total_steps),
    CALLS(tuff_trainer_dropout),
    CALLS(tuff_trainer_program),
    CALLS(tuff_trainer_step),
    CALLS(tuff_trainer_next_batch),
    CALLS(tuff_trainer_dump_batches),
    CALLS(tuff_trainer_save),
    CALLS(tuff_trainer_save_into),
    CALLS(tuff_trainer_save_checkpoint),
    CALLS(tuff_trainer_save_checkpoint_into),
    CALLS(tuff_checkpoint_open),
    CALLS(tuff_checkpoint_destroy),
    CALLS(tuff_checkpoint_get_info),
    CALLS(tuff_checkpoint_get_number),
    CALLS(tuff_checkpoint_differences),
    CALLS(tuff_trainer_resume),
    CALLS(tuff_checkpoint_find),
    CALLS(tuff_checkpoint_step),
    CALLS(tuff_checkpoint_remove),
    CALLS(tuff_checkpoint_clean),
    CALLS(tuff_trainer_plan_evaluation),
    CALLS(tuff_trainer_evaluate),
    CALLS(tuff_trainer_measure_retrieval),
    CALLS(tuff_trainer_generate),
    CALLS(tuff_train_report_create),
    CALLS(tuff_train_report_destroy),
    CALLS(tuff_train_report_data),
    CALLS(tuff_train_report_fact),
    CALLS(tuff_train_report_step),
    CALLS(tuff_train_report_eval),
    CALLS(tuff_train_report_sample),
    CALLS(tuff_train_report_end),
    CALLS(tuff_evaluate),
    CALLS(tuff_eval_find),
    CALLS(tuff_save_logits),
    CALLS(tuff_bench_run),
    CALLS(tuff_bench_median),
    CALLS(tuff_bench_name),
    CALLS(tuff_conform_run),
    CALLS(tuff_conform_report_destroy),
    CALLS(tuff_conform_mask_at),
    CALLS(tuff_conform_passed),
    CALLS(tuff_conform_list),
    CALLS(tuff_conform_text),
    CALLS(tuff_conform_text_compared),
    CALLS(tuff_conform_read),
    CALLS(tuff_conform_compare),
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

static void every_call_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        uint64_t live = kit_live();
        functions[i].calls();
        if (strcmp(functions[i].name, "tuff_program_output") == 0) continue; /* its run keeps memory */
        if (kit_live() != live) fail_msg("%s leaves memory behind", functions[i].name);
    }
}

/* ---- the list of functions ---- */

static size_t find(const char *name, size_t size)
{
    size_t i = 0;
    while (i < FUNCTIONS && (strlen(functions[i].name) != size || memcmp(functions[i].name, name, size) != 0))
        i++;
    return i;
}

/* Marks the functions of a header, and counts those that are not in the table. */
static size_t read_header(const char *path, bool *seen)
{
    tuff_buf text = {0};
    size_t missing = 0;
    kit_read_file(path, &text);
    tuff_buf_char(&text, 0);
    for (char *at = text.data; (at = strstr(at, "TUFF_API ")) != NULL; at++) {
        if (at > text.data && at[-1] == ' ') continue; /* a #define */
        char *end = strchr(at, '('), *begin = end;
        assert_non_null(end);
        while (isalnum((unsigned char)begin[-1]) || begin[-1] == '_')
            begin--;
        size_t i = find(begin, (size_t)(end - begin));
        if (i < FUNCTIONS)
            seen[i] = true;
        else
            print_error("%s: %.*s is not in the table of this test\n", path, (int)(end - begin), begin);
        missing += i == FUNCTIONS;
    }
    tuff_buf_free(&text);
    return missing;
}

static void every_function_is_in_the_table(void **state)
{
    (void)state;
    bool seen[FUNCTIONS] = {false};
    size_t wrong = 0, headers = 0;
    tuff_buf all = {0};
    char path[1024], name[64];
    snprintf(path, sizeof path, "%s/include/tuff/tuff.h", getenv("TUFF_TEST_SOURCE"));
    kit_read_file(path, &all);
    tuff_buf_char(&all, 0);
    for (char *at = all.data; (at = strstr(at, "\n#include <tuff/")) != NULL; at++, headers++) {
        assert_int_equal(sscanf(at, "\n#include <tuff/%63[a-z].h>", name), 1);
        snprintf(path, sizeof path, "%s/include/tuff/%s.h", getenv("TUFF_TEST_SOURCE"), name);
        wrong += read_header(path, seen);
    }
    tuff_buf_free(&all);
    assert_true(headers > 10);
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (!seen[i]) {
            print_error("%s is in the table, but in no header\n", functions[i].name);
            wrong++;
        }
    assert_int_equal(wrong, 0);
}

/* ---- one of everything ---- */

static int set_up(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    tuff_device_params cpu = TUFF_DEVICE_PARAMS_INIT;
    cpu.name = "cpu";
    tuff_train_params train = TUFF_TRAIN_PARAMS_INIT;
    train.per_device_train_batch_size = 2;
    tuff_conform_params suite = TUFF_CONFORM_PARAMS_INIT;
    suite.device = "cpu";
    suite.ops = "softmax";
    suite.name = "softmax.3x7";
    const char *const stops[] = {"end"};
    static const char one_bit[] =
        "\x93NUMPY\x01\0\x3a\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}\n\0\0\x80\x3f";
    const int64_t shape[] = {1};
    fixture.model = model_open("llama");
    KIT_OK(tuff_device_open(&cpu, &fixture.device));
    KIT_OK(tuff_model_get_tokenizer(fixture.model, &fixture.tokenizer));
    KIT_OK(tuff_decoder_create(fixture.tokenizer, true, &fixture.decoder));
    KIT_OK(tuff_sampler_create(NULL, 3, &fixture.sampler));
    KIT_OK(tuff_stop_create(stops, 1, &fixture.stop));
    KIT_OK(tuff_dataset_from_ids(ids, 16, 8, &fixture.data));
    KIT_OK(tuff_trainer_create(fixture.model, fixture.device, fixture.data, &train, &fixture.trainer));
    KIT_OK(tuff_trainer_save_checkpoint(fixture.trainer, kit_path("checkpoint-0"), NULL));
    KIT_OK(tuff_checkpoint_open(kit_path("checkpoint-0"), NULL, &fixture.checkpoint));
    KIT_OK(tuff_generator_create(fixture.model, fixture.device, NULL, &fixture.generator));
    KIT_OK(tuff_batcher_create(fixture.model, fixture.device, NULL, &fixture.batcher));
    KIT_OK(tuff_batcher_add(fixture.batcher, "a", 1, NULL, &fixture.sequence));
    KIT_OK(tuff_embedder_create(fixture.model, fixture.device, NULL, &fixture.embedder));
    const char *classifier = kit_copy_model(kit_golden("bert-classes"), "classifier");
    kit_copy_file(kit_golden("predict/tokenizer.json"), kit_join(classifier, "tokenizer.json"));
    fixture.classifier = model_open(classifier);
    KIT_OK(tuff_predictor_create(fixture.classifier, fixture.device, NULL, &fixture.predictor));
    kit_write_file(kit_path("index.npy"), one_bit, sizeof one_bit - 1);
    KIT_OK(tuff_index_open(kit_path("index.npy"), fixture.device, &fixture.index));
    KIT_OK(tuff_graph_create(&fixture.graph));
    fixture.tensor = tuff_variable(fixture.graph, "x", TUFF_F32, 4, dims);
    KIT_OK(tuff_buffer_create(fixture.device, "v", TUFF_F32, 1, shape, &fixture.buffer));
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_output(
        g, "o",
        tuff_add(g, tuff_input(g, "i", TUFF_F32, 1, shape), tuff_variable(g, "v", TUFF_F32, 1, shape)));
    KIT_OK(tuff_program_create(fixture.device, &g, &fixture.program));
    KIT_OK(tuff_program_bind(fixture.program, "v", fixture.buffer));
    KIT_OK(tuff_conform_run(&suite, &fixture.report));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tuff_conform_report_destroy(&fixture.report);
    tuff_program_destroy(&fixture.program);
    tuff_buffer_destroy(&fixture.buffer);
    tuff_graph_destroy(&fixture.graph);
    tuff_embedder_destroy(&fixture.embedder);
    tuff_predictor_destroy(&fixture.predictor);
    tuff_model_destroy(&fixture.classifier);
    tuff_index_destroy(&fixture.index);
    tuff_batcher_destroy(&fixture.batcher);
    tuff_generator_destroy(&fixture.generator);
    tuff_checkpoint_destroy(&fixture.checkpoint);
    tuff_trainer_destroy(&fixture.trainer);
    tuff_dataset_destroy(&fixture.data);
    tuff_stop_destroy(&fixture.stop);
    tuff_sampler_destroy(&fixture.sampler);
    tuff_decoder_destroy(&fixture.decoder);
    tuff_device_destroy(&fixture.device);
    tuff_model_destroy(&fixture.model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_in_the_table),
        cmocka_unit_test(every_call_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
