/* Models, generators and batchers, whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_MODEL_H
#define TUFF_TESTS_NULL_MODEL_H

#include "null_kit.h"

CALLS_OF(tuff_model_load)
{
    tuff_model *out;
    REFUSED(tuff_model_load("x", NULL));
    REFUSED_OUT(tuff_model_load(NULL, &out), out);
}
CALLS_OF(tuff_model_draw)
{
    tuff_model *out;
    REFUSED(tuff_model_draw("{}", 2, NULL, 1, NULL));
    REFUSED_OUT(tuff_model_draw(NULL, 2, NULL, 1, &out), out);
}
CALLS_OF(tuff_model_load_watched)
{
    tuff_watch unset = {0, NULL, NULL, NULL};
    tuff_model *out;
    REFUSED(tuff_model_load_watched("x", NULL, NULL));
    REFUSED_OUT(tuff_model_load_watched(NULL, NULL, &out), out);
    REFUSED_OUT(tuff_model_load_watched("x", &unset, &out), out);
}
CALLS_OF(tuff_model_adapted)
{
    tuff_model *out;
    REFUSED(tuff_model_adapted(fixture.model, "x", NULL));
    REFUSED_OUT(tuff_model_adapted(NULL, "x", &out), out);
    REFUSED_OUT(tuff_model_adapted(fixture.model, NULL, &out), out);
}
CALLS_OF(tuff_adapter_convert)
{
    tuff_adapter_params unset = {0};
    REFUSED(tuff_adapter_convert(NULL, "x", NULL, "y"));
    REFUSED(tuff_adapter_convert(fixture.model, NULL, NULL, "y"));
    REFUSED(tuff_adapter_convert(fixture.model, "x", NULL, NULL));
    REFUSED(tuff_adapter_convert(fixture.model, "x", &unset, "y"));
}
CALLS_OF(tuff_model_merged)
{
    tuff_model *out;
    REFUSED(tuff_model_merged(fixture.model, "x", NULL));
    REFUSED_OUT(tuff_model_merged(NULL, "x", &out), out);
    REFUSED_OUT(tuff_model_merged(fixture.model, NULL, &out), out);
}
CALLS_OF(tuff_model_with_tokens)
{
    static const char *const tokens[] = {"<a>", NULL};
    tuff_model *out;
    REFUSED(tuff_model_with_tokens(fixture.model, tokens, 1, NULL));
    REFUSED_OUT(tuff_model_with_tokens(NULL, tokens, 1, &out), out);
    REFUSED_OUT(tuff_model_with_tokens(fixture.model, NULL, 1, &out), out);
    REFUSED_OUT(tuff_model_with_tokens(fixture.model, tokens, 2, &out), out);
}
CALLS_OF(tuff_model_destroy)
{
    tuff_model *none = NULL;
    tuff_model_destroy(NULL);
    tuff_model_destroy(&none);
}
CALLS_OF(tuff_model_get_info)
{
    tuff_model_info info = TUFF_MODEL_INFO_INIT, unset = {0};
    REFUSED(tuff_model_get_info(NULL, &info));
    REFUSED(tuff_model_get_info(fixture.model, NULL));
    REFUSED(tuff_model_get_info(fixture.model, &unset));
}
CALLS_OF(tuff_model_get_tokenizer)
{
    const tuff_tokenizer *out;
    REFUSED(tuff_model_get_tokenizer(fixture.model, NULL));
    REFUSED_OUT(tuff_model_get_tokenizer(NULL, &out), out);
}
CALLS_OF(tuff_inspect)
{
    char *out;
    REFUSED(tuff_inspect("x", 0, NULL));
    REFUSED_OUT(tuff_inspect(NULL, 0, &out), out);
}
CALLS_OF(tuff_model_save_watched)
{
    const tuff_watch unset = {0};
    REFUSED(tuff_model_save_watched(NULL, TUFF_FORMAT_HF, TUFF_F32, NULL, kit_temp_path("out")));
    REFUSED(tuff_model_save_watched(fixture.model, TUFF_FORMAT_HF, TUFF_F32, NULL, NULL));
    REFUSED(tuff_model_save_watched(fixture.model, TUFF_FORMAT_HF, TUFF_F32, &unset, kit_temp_path("out")));
}
CALLS_OF(tuff_model_save_with)
{
    const tuff_save_params unset = {0};
    REFUSED(tuff_model_save_with(NULL, NULL, kit_temp_path("out")));
    REFUSED(tuff_model_save_with(fixture.model, NULL, NULL));
    REFUSED(tuff_model_save_with(fixture.model, &unset, kit_temp_path("out")));
}
CALLS_OF(tuff_importance_create)
{
    const tuff_importance_params unset = {0};
    tuff_importance *out;
    REFUSED(tuff_importance_create(fixture.model, fixture.device, "a", 1, NULL, NULL));
    REFUSED_OUT(tuff_importance_create(NULL, fixture.device, "a", 1, NULL, &out), out);
    REFUSED_OUT(tuff_importance_create(fixture.model, NULL, "a", 1, NULL, &out), out);
    REFUSED_OUT(tuff_importance_create(fixture.model, fixture.device, NULL, 1, NULL, &out), out);
    REFUSED_OUT(tuff_importance_create(fixture.model, fixture.device, "a", 1, &unset, &out), out);
}
CALLS_OF(tuff_importance_destroy)
{
    tuff_importance *none = NULL;
    tuff_importance_destroy(NULL);
    tuff_importance_destroy(&none);
}
CALLS_OF(tuff_save_type)
{
    assert_null(tuff_save_type(SIZE_MAX));
}
CALLS_OF(tuff_stage_open)
{
    tuff_stage *out;
    REFUSED(tuff_stage_open("x", NULL));
    REFUSED_OUT(tuff_stage_open(NULL, &out), out);
    REFUSED_OUT(tuff_stage_open("", &out), out);
}
CALLS_OF(tuff_stage_path)
{
    assert_null(tuff_stage_path(NULL));
}
CALLS_OF(tuff_stage_commit)
{
    tuff_stage *none = NULL;
    REFUSED(tuff_stage_commit(NULL));
    REFUSED(tuff_stage_commit(&none));
}
CALLS_OF(tuff_stage_commit_or_keep)
{
    tuff_stage *none = NULL;
    char *kept = NULL;
    REFUSED(tuff_stage_commit_or_keep(NULL, NULL));
    REFUSED_OUT(tuff_stage_commit_or_keep(&none, &kept), kept);
}
CALLS_OF(tuff_stage_abort)
{
    tuff_stage *none = NULL;
    tuff_stage_abort(NULL);
    tuff_stage_abort(&none);
}
CALLS_OF(tuff_model_save)
{
    REFUSED(tuff_model_save(NULL, TUFF_FORMAT_HF, TUFF_F32, kit_temp_path("out")));
    REFUSED(tuff_model_save(fixture.model, TUFF_FORMAT_HF, TUFF_F32, NULL));
    REFUSED(tuff_model_save(fixture.model, (tuff_file_format)7, TUFF_F32, kit_temp_path("out")));
}
CALLS_OF(tuff_generator_create)
{
    const tuff_generator_params unset = {0};
    tuff_generator *out;
    REFUSED(tuff_generator_create(fixture.model, fixture.device, NULL, NULL));
    REFUSED_OUT(tuff_generator_create(NULL, fixture.device, NULL, &out), out);
    REFUSED_OUT(tuff_generator_create(fixture.model, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_generator_create(fixture.model, fixture.device, &unset, &out), out);
}
CALLS_OF(tuff_generator_destroy)
{
    tuff_generator *none = NULL;
    tuff_generator_destroy(NULL);
    tuff_generator_destroy(&none);
}
CALLS_OF(tuff_generate)
{
    const tuff_sampling unset_sampling = {0};
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    const tuff_generate_params unset = {0};
    tuff_generate_result result = {0};
    REFUSED(tuff_generate(NULL, "a", 1, NULL, NULL));
    REFUSED(tuff_generate(fixture.generator, NULL, 1, NULL, NULL));
    REFUSED(tuff_generate(fixture.generator, "a", 1, &unset, NULL));
    REFUSED(tuff_generate(fixture.generator, "a", 1, NULL, &result));
    p.stop_count = 1;
    REFUSED(tuff_generate(fixture.generator, "a", 1, &p, NULL));
    p.stop_count = 0;
    p.sampling = &unset_sampling;
    REFUSED(tuff_generate(fixture.generator, "a", 1, &p, NULL));
}
CALLS_OF(tuff_model_generation)
{
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT, unset = {0};
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    REFUSED(tuff_model_generation(NULL, &p, &sampling));
    REFUSED(tuff_model_generation(fixture.model, NULL, &sampling));
    REFUSED(tuff_model_generation(fixture.model, &p, NULL));
    REFUSED(tuff_model_generation(fixture.model, &unset, &sampling));
}
CALLS_OF(tuff_generator_get_memory)
{
    tuff_generate_memory memory = TUFF_GENERATE_MEMORY_INIT, unset = {0};
    REFUSED(tuff_generator_get_memory(NULL, &memory));
    REFUSED(tuff_generator_get_memory(fixture.generator, NULL));
    REFUSED(tuff_generator_get_memory(fixture.generator, &unset));
}
CALLS_OF(tuff_model_generation_biases)
{
    tuff_logit_bias *biases;
    size_t n;
    REFUSED(tuff_model_generation_biases(NULL, &biases, &n));
    REFUSED(tuff_model_generation_biases(fixture.model, NULL, &n));
    REFUSED(tuff_model_generation_biases(fixture.model, &biases, NULL));
    assert_null(biases);
}
CALLS_OF(tuff_model_generation_stops)
{
    const char *const *stops;
    size_t n;
    REFUSED(tuff_model_generation_stops(NULL, &stops, &n));
    REFUSED(tuff_model_generation_stops(fixture.model, NULL, &n));
    REFUSED(tuff_model_generation_stops(fixture.model, &stops, NULL));
    assert_null(stops);
}
CALLS_OF(tuff_generator_program)
{
    assert_null(tuff_generator_program(NULL));
}
CALLS_OF(tuff_generator_logits)
{
    const int32_t id = 1;
    float logits[1];
    REFUSED(tuff_generator_logits(NULL, &id, 1, logits));
    REFUSED(tuff_generator_logits(fixture.generator, NULL, 1, logits));
    REFUSED(tuff_generator_logits(fixture.generator, &id, 0, logits));
    REFUSED(tuff_generator_logits(fixture.generator, &id, 1, NULL));
}

CALLS_OF(tuff_batcher_create)
{
    const tuff_batcher_params unset = {0};
    tuff_batcher *out;
    REFUSED(tuff_batcher_create(fixture.model, fixture.device, NULL, NULL));
    REFUSED_OUT(tuff_batcher_create(NULL, fixture.device, NULL, &out), out);
    REFUSED_OUT(tuff_batcher_create(fixture.model, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_batcher_create(fixture.model, fixture.device, &unset, &out), out);
}
CALLS_OF(tuff_batcher_destroy)
{
    tuff_batcher *none = NULL;
    tuff_batcher_destroy(NULL);
    tuff_batcher_destroy(&none);
}
CALLS_OF(tuff_batcher_get_memory)
{
    tuff_generate_memory memory = TUFF_GENERATE_MEMORY_INIT, unset = {0};
    REFUSED(tuff_batcher_get_memory(NULL, &memory));
    REFUSED(tuff_batcher_get_memory(fixture.batcher, NULL));
    REFUSED(tuff_batcher_get_memory(fixture.batcher, &unset));
}
CALLS_OF(tuff_batcher_add)
{
    const tuff_generate_params unset = {0};
    tuff_sequence *out;
    REFUSED(tuff_batcher_add(fixture.batcher, "a", 1, NULL, NULL));
    REFUSED_OUT(tuff_batcher_add(NULL, "a", 1, NULL, &out), out);
    REFUSED_OUT(tuff_batcher_add(fixture.batcher, NULL, 1, NULL, &out), out);
    REFUSED_OUT(tuff_batcher_add(fixture.batcher, "a", 1, &unset, &out), out);
}
CALLS_OF(tuff_batcher_step)
{
    const tuff_watch unset = {0};
    size_t left = 1;
    REFUSED(tuff_batcher_step(NULL, NULL, &left));
    assert_int_equal(left, 0);
    REFUSED(tuff_batcher_step(fixture.batcher, &unset, NULL));
}
CALLS_OF(tuff_batcher_run)
{
    const tuff_watch unset = {0};
    REFUSED(tuff_batcher_run(NULL, NULL));
    REFUSED(tuff_batcher_run(fixture.batcher, &unset));
}
CALLS_OF(tuff_batcher_remove)
{
    tuff_sequence *none = NULL, *foreign = (tuff_sequence *)&fixture;
    REFUSED(tuff_batcher_remove(NULL, &fixture.sequence));
    REFUSED(tuff_batcher_remove(fixture.batcher, NULL));
    REFUSED(tuff_batcher_remove(fixture.batcher, &none));
    REFUSED(tuff_batcher_remove(fixture.batcher, &foreign));
    assert_non_null(foreign);
}
CALLS_OF(tuff_sequence_ended)
{
    assert_true(tuff_sequence_ended(NULL));
}
CALLS_OF(tuff_sequence_result)
{
    tuff_generate_result result = {0};
    REFUSED(tuff_sequence_result(fixture.sequence, NULL));
    REFUSED(tuff_sequence_result(fixture.sequence, &result));
    result = (tuff_generate_result)TUFF_GENERATE_RESULT_INIT;
    REFUSED(tuff_sequence_result(NULL, &result));
}
CALLS_OF(tuff_sequence_error)
{
    assert_string_equal(tuff_sequence_error(NULL), "");
}
CALLS_OF(tuff_sequence_ids)
{
    size_t count = 1;
    assert_null(tuff_sequence_ids(NULL, &count));
    assert_int_equal(count, 0);
    assert_null(tuff_sequence_ids(fixture.sequence, NULL));
}

static bool take_generated(const tuff_generated *text, void *user)
{
    (void)text, (void)user;
    return true;
}
CALLS_OF(tuff_generate_many)
{
    const char *const prompts[] = {NULL};
    const tuff_generate_many_params unset = {0};
    tuff_generate_many_params p = TUFF_GENERATE_MANY_PARAMS_INIT;
    tuff_generate_many_result result = {0};
    REFUSED(tuff_generate_many(fixture.batcher, NULL, NULL, 0, &p, NULL)); /* nobody takes the texts */
    p.on_text = take_generated;
    REFUSED(tuff_generate_many(NULL, NULL, NULL, 0, &p, NULL));
    REFUSED(tuff_generate_many(fixture.batcher, NULL, NULL, 1, &p, NULL));
    REFUSED(tuff_generate_many(fixture.batcher, prompts, NULL, 1, &p, NULL));
    REFUSED(tuff_generate_many(fixture.batcher, NULL, NULL, 0, NULL, NULL));
    REFUSED(tuff_generate_many(fixture.batcher, NULL, NULL, 0, &unset, NULL));
    REFUSED(tuff_generate_many(fixture.batcher, NULL, NULL, 0, &p, &result));
}
CALLS_OF(tuff_generate_file)
{
    tuff_generate_many_params p = TUFF_GENERATE_MANY_PARAMS_INIT;
    REFUSED(tuff_generate_file(fixture.batcher, kit_temp_path("prompts"), &p, NULL));
    p.on_text = take_generated;
    REFUSED(tuff_generate_file(NULL, kit_temp_path("prompts"), &p, NULL));
    REFUSED(tuff_generate_file(fixture.batcher, NULL, &p, NULL));
    REFUSED(tuff_generate_file(fixture.batcher, kit_temp_path("prompts"), NULL, NULL));
}

#endif
