/* What a model's generation_config.json says of texts: beside transformers
 * (assets/golden/sampler/defaults.json, made by tests/reference/make_default_goldens.py), and what is
 * refused. */
#include <float.h>
#include <math.h>
#include <tuff/generate.h>

#include "base/json.h"
#include "cpu_fixture.h"
#include "generate/batcher.h"
#include "model_fixture.h"

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("the truth of defaults has no %s", key);
    return item;
}

/* A copy of a golden model whose generation_config.json is this. */
static tuff_model *model_with(const char *name, const char *config)
{
    const char *directory = kit_copy_model(kit_golden(name), "defaults");
    tuff_model *model;
    kit_write_file(kit_join(directory, "generation_config.json"), config, strlen(config));
    KIT_OK(tuff_model_load(directory, &model));
    return model;
}

static void check_text(const char *name, const char *prompt, const cJSON *run, int number)
{
    char *config = cJSON_PrintUnformatted(get(run, "config"));
    const cJSON *want = get(run, "ids");
    tuff_model *model = model_with(name, config);
    tuff_batcher *b;
    tuff_sequence *s;
    tuff_logit_bias *biases;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    KIT_OK(tuff_model_generation(model, &params, &sampling));
    KIT_OK(tuff_model_generation_biases(model, &biases, &sampling.logit_bias_count));
    sampling.logit_bias = biases;
    params.sampling = &sampling;
    KIT_OK(tuff_batcher_create(model, device, NULL, &b));
    KIT_OK(tuff_batcher_append(b, prompt, strlen(prompt), &params, NULL, &s));
    KIT_OK(tuff_batcher_run(b, NULL));
    const size_t n = (size_t)cJSON_GetArraySize(want), made = s->count - (size_t)s->given;
    const bool ended = tuff_sequence_is_end(s, (int32_t)cJSON_GetArrayItem(want, (int)n - 1)->valuedouble);
    assert_int_equal(s->result.finish, ended ? TUFF_FINISH_EOS : TUFF_FINISH_LENGTH);
    assert_int_equal(made, n - ended);
    for (size_t i = 0; i < made; i++)
        if (s->ids[(size_t)s->given + i] != (int32_t)cJSON_GetArrayItem(want, (int)i)->valuedouble)
            fail_msg("%s, run %d: another text from token %zu on", name, number, i);
    tuff_batcher_destroy(&b);
    tuff_free(biases);
    tuff_model_destroy(&model);
    cJSON_free(config);
}

static void texts_are_those_of_transformers(void **state)
{
    (void)state;
    cJSON *json = NULL;
    const cJSON *model, *run;
    int runs = 0;
    KIT_OK(tuff_json_read(kit_asset("golden/sampler/defaults.json"), &json));
    cJSON_ArrayForEach(model, json) cJSON_ArrayForEach(run, get(model, "runs"))
        check_text(model->string, get(model, "prompt")->valuestring, run, runs++);
    assert_true(runs > 30);
    cJSON_Delete(json);
}

static void settings_are_the_files(void **state)
{
    (void)state;
    static const char drawn[] = "{\"do_sample\": true, \"temperature\": 0.5, \"top_k\": 20, \"top_p\": 0.75,"
                                "\"min_p\": 0.25, \"typical_p\": 0.5, \"repetition_penalty\": 1.5,"
                                "\"no_repeat_ngram_size\": 3, \"max_length\": 40, \"min_length\": 7,"
                                "\"bad_words_ids\": null, \"use_cache\": true}";
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    tuff_model *model = model_with("llama", drawn);
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.temperature == 0.5f && s.top_k == 20 && s.top_p == 0.75f && s.min_p == 0.25f &&
                s.typical_p == 0.5f && s.repetition_penalty == 1.5f && s.no_repeat_ngram_size == 3);
    assert_true(p.max_length == 40 && p.min_length == 7 && p.max_new_tokens == 0 && p.num_beams == 0);
    tuff_model_destroy(&model);
    /* a temperature alone draws nothing; drawing alone has a temperature of 1 */
    model = model_with("llama", "{\"temperature\": 0.5, \"top_p\": 0.0}");
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.temperature == 0 && s.top_p == FLT_MIN && s.top_k == 0 && p.max_length == 0);
    tuff_model_destroy(&model);
    model = model_with("llama", "{\"do_sample\": true, \"max_length\": 9, \"max_new_tokens\": 4,"
                                "\"min_length\": 5, \"min_new_tokens\": 6}");
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.temperature == 1 && s.top_p == 0 && s.repetition_penalty == 0);
    assert_true(p.max_new_tokens == 4 && p.min_new_tokens == 4 && p.max_length == 0 && p.min_length == 0);
    tuff_model_destroy(&model);
}

static void biases_are_the_files(void **state)
{
    (void)state;
    tuff_model *model =
        model_with("llama", "{\"eos_token_id\": [3, 5], \"bad_words_ids\": [[3], [4], [3, 5]],"
                            "\"sequence_bias\": [[[7, 8, 9], -1.5]], \"suppress_tokens\": [6, 99999],"
                            "\"begin_suppress_tokens\": [-1, 11]}");
    static const struct {
        int32_t ids[3];
        size_t count;
        float bias;
        uint32_t first_only;
    } want[] = {{{7, 8, 9}, 3, -1.5f, 0},
                {{4}, 1, -INFINITY, 0},
                {{3, 5}, 2, -INFINITY, 0},
                {{6}, 1, -INFINITY, 0},
                {{11}, 1, -INFINITY, 1}};
    tuff_logit_bias *biases;
    size_t n;
    KIT_OK(tuff_model_generation_biases(model, &biases, &n));
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(biases[i].struct_size, sizeof *biases);
        assert_int_equal(biases[i].count, want[i].count);
        assert_memory_equal(biases[i].ids, want[i].ids, want[i].count * sizeof(int32_t));
        assert_true(biases[i].bias == want[i].bias && biases[i].first_only == want[i].first_only);
    }
    tuff_free(biases);
    tuff_model_destroy(&model);
    model = model_with("llama", "{}");
    KIT_OK(tuff_model_generation_biases(model, &biases, &n));
    assert_true(!biases && n == 0);
    tuff_model_destroy(&model);
}

static void stops_are_the_files(void **state)
{
    (void)state;
    static const char *const configs[] = {"{\"stop_strings\": [\"</s>\", \"\\u00e4\\n\"]}",
                                          "{\"stop_strings\": \"</s>\"}", "{\"stop_strings\": []}", "{}"};
    static const size_t counts[] = {2, 1, 0, 0};
    for (int i = 0; i < 4; i++) {
        tuff_model *model = model_with("llama", configs[i]);
        const char *const *stops;
        size_t n;
        KIT_OK(tuff_model_generation_stops(model, &stops, &n));
        assert_int_equal(n, counts[i]);
        if (n > 0) assert_string_equal(stops[0], "</s>");
        if (n > 1) assert_string_equal(stops[1], "\xc3\xa4\n");
        assert_true(n > 0 || !stops);
        tuff_free((void *)stops);
        tuff_model_destroy(&model);
    }
}

/* A GGUF that Tuff has made of a model, read again. */
static tuff_model *through_gguf(const char *config)
{
    tuff_model *model = model_with("llama", config), *again;
    const char *path = kit_temp_path("defaults.gguf");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, path));
    tuff_model_destroy(&model);
    KIT_OK(tuff_model_load(path, &again));
    return again;
}

/* llama.cpp's metadata say the same, as far as they can. */
static void settings_go_into_ggufs(void **state)
{
    (void)state;
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    tuff_model *model =
        through_gguf("{\"do_sample\": true, \"temperature\": 0.7, \"top_k\": 20, \"top_p\": 0.95,"
                     "\"min_p\": 0.05, \"repetition_penalty\": 1.05, \"max_new_tokens\": 9}");
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.temperature == 0.7f && s.top_k == 20 && s.top_p == 0.95f && s.min_p == 0.05f &&
                s.repetition_penalty == 1.05f && p.max_new_tokens == 0);
    const cJSON *top_p = cJSON_GetObjectItemCaseSensitive(model->hf_generation, "top_p");
    assert_true(top_p && top_p->valuedouble == 0.95); /* not 0.949999988 */
    tuff_model_destroy(&model);
    model = through_gguf("{\"do_sample\": true}"); /* transformers' temperature is 1 */
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.temperature == 1 && s.top_k == 0);
    tuff_model_destroy(&model);
    model =
        through_gguf("{\"temperature\": 0.5, \"top_k\": 3, \"repetition_penalty\": 1.25}"); /* not drawn */
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.temperature == 0 && s.top_k == 0 && s.repetition_penalty == 1.25f &&
                s.repetition_window == 0);
    tuff_model_destroy(&model);
    model = through_gguf("{}");
    assert_null(model->hf_generation);
    tuff_model_destroy(&model);
}

static void read_alone(const char *key, float value, const char *other, float second, tuff_sampling *out)
{
    const char *path = kit_temp_path("alone.gguf");
    char name[] = "alone";
    tuff_model like = {.path = name};
    tuff_gguf_builder builder = {0};
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    *out = (tuff_sampling)TUFF_SAMPLING_INIT;
    tuff_gguf_put_f32(&builder, key, value);
    tuff_gguf_put_f32(&builder, other, second);
    KIT_OK(tuff_gguf_save(path, &builder, NULL, 0, NULL, NULL));
    KIT_OK(tuff_gguf_open(path, &like.gguf));
    KIT_OK(tuff_model_read_gguf_sampling(&like));
    KIT_OK(tuff_model_generation(&like, &p, out));
    cJSON_Delete(like.hf_generation);
    tuff_gguf_destroy(&like.gguf);
    tuff_gguf_builder_free(&builder);
}

/* Numbers that llama.cpp takes for "off", or for the nearest that there is. */
static void numbers_beyond_their_range(void **state)
{
    (void)state;
    static const char temperature[] = "general.sampling.temp", top_k[] = "general.sampling.top_k",
                      top_p[] = "general.sampling.top_p", min_p[] = "general.sampling.min_p";
    tuff_sampling s;
    read_alone(temperature, 0.5f, top_k, -1, &s);
    assert_true(s.temperature == 0.5f && s.top_k == 0);
    read_alone(temperature, 0.5f, top_k, 0, &s);
    assert_true(s.top_k == 0);
    read_alone(temperature, 0.5f, min_p, -0.25f, &s);
    assert_true(s.min_p == 0);
    read_alone(temperature, 0.5f, top_p, 1.5f, &s);
    assert_true(s.top_p == 1);
}

/* The repetition penalty is of the last tokens, as many as the file says, or llama.cpp's 64. */
static void penalties_have_a_window(void **state)
{
    (void)state;
    static const char repeat[] = "general.sampling.penalty_repeat",
                      last[] = "general.sampling.penalty_last_n", top_k[] = "general.sampling.top_k";
    tuff_sampling s;
    read_alone(repeat, 1.5f, last, 12, &s);
    assert_true(s.repetition_penalty == 1.5f && s.repetition_window == 12);
    read_alone(repeat, 1.5f, top_k, 4, &s);
    assert_true(s.repetition_penalty == 1.5f && s.repetition_window == 64);
    read_alone(repeat, 1.5f, last, -1, &s);
    assert_true(s.repetition_penalty == 1.5f && s.repetition_window == 0);
    read_alone(repeat, 1.5f, last, 0, &s);
    assert_true(s.repetition_penalty == 0 && s.repetition_window == 0);
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_model *model = through_gguf("{\"repetition_penalty\": 1.25, \"repetition_penalty_last_n\": 7}");
    KIT_OK(tuff_model_generation(model, &p, &s));
    assert_true(s.repetition_penalty == 1.25f && s.repetition_window == 7);
    tuff_model_destroy(&model);
}

/* Files that say one thing: what llama.cpp has beside these changes nothing, which is said. */
static void ggufs_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        float value, temperature;
        bool unknown;
    } cases[] = {
        {"general.sampling.temp", 0, 0, false},     {"general.sampling.temp", -1, 0, false},
        {"general.sampling.top_p", 0.5f, 1, false}, {"general.sampling.xtc_probability", 0, 0, false},
        {"general.sampling.mirostat", 2, 0, false}, {"general.sampling.mirostat", 2, 1, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = kit_temp_path("other.gguf");
        char name[] = "other";
        tuff_model like = {.path = name};
        tuff_gguf_builder builder = {0};
        tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
        tuff_sampling s = TUFF_SAMPLING_INIT;
        tuff_gguf_put_f32(&builder, cases[i].key, cases[i].value);
        if (cases[i].unknown) tuff_gguf_put_f32(&builder, "general.sampling.temp", 1);
        KIT_OK(tuff_gguf_save(path, &builder, NULL, 0, NULL, NULL));
        KIT_OK(tuff_gguf_open(path, &like.gguf));
        KIT_OK(tuff_model_read_gguf_sampling(&like));
        const tuff_status status = tuff_model_generation(&like, &p, &s);
        assert_int_equal(status, cases[i].unknown ? TUFF_UNSUPPORTED : TUFF_OK);
        if (cases[i].unknown)
            assert_non_null(strstr(tuff_error_message(), "general.sampling asks for mirostat"));
        assert_true(s.temperature == cases[i].temperature);
        cJSON_Delete(like.hf_generation);
        tuff_gguf_destroy(&like.gguf);
        tuff_gguf_builder_free(&builder);
    }
}

static tuff_status read(void *user)
{
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    tuff_logit_bias *biases;
    size_t n;
    TUFF_TRY(tuff_model_generation(user, &p, &s));
    TUFF_TRY(tuff_model_generation_biases(user, &biases, &n));
    tuff_free(biases);
    const char *const *stops;
    TUFF_TRY(tuff_model_generation_stops(user, &stops, &n));
    tuff_free((void *)stops);
    return TUFF_OK;
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *part;
        tuff_status status;
    } cases[] = {
        {"{\"temperature\": -1}", "has a temperature of -1, expected 0 to 1000", TUFF_BAD_FORMAT},
        {"{\"top_p\": 1.5}", "has a top_p of 1.5, expected 0 to 1", TUFF_BAD_FORMAT},
        {"{\"min_p\": \"much\"}", "\"min_p\" must be a number", TUFF_BAD_FORMAT},
        {"{\"typical_p\": 0}", "has a typical_p of 0, expected 1e-06 to 1", TUFF_BAD_FORMAT},
        {"{\"top_k\": -2}", "has a top_k of -2, expected 0 to", TUFF_BAD_FORMAT},
        {"{\"repetition_penalty\": 0}", "has a repetition_penalty of 0, expected 0.001", TUFF_BAD_FORMAT},
        {"{\"do_sample\": 3}", "\"do_sample\" must be true or false", TUFF_BAD_FORMAT},
        {"{\"bad_words_ids\": [5]}", "has a bad_words_ids that is not a list of lists of ids",
         TUFF_BAD_FORMAT},
        {"{\"bad_words_ids\": [[]]}", "has a bad_words_ids that is not", TUFF_BAD_FORMAT},
        {"{\"bad_words_ids\": [[99999]]}", "has an id of 99999 in bad_words_ids, expected 0 to ",
         TUFF_BAD_FORMAT},
        {"{\"sequence_bias\": [[[4], 1e7]]}", "a list of pairs: ids and a bias from -1e6 to 1e6",
         TUFF_BAD_FORMAT},
        {"{\"sequence_bias\": [[4, 1]]}", "has a sequence_bias that is not", TUFF_BAD_FORMAT},
        {"{\"sequence_bias\": [[[4], 1, 2]]}", "has a sequence_bias that is not", TUFF_BAD_FORMAT},
        {"{\"suppress_tokens\": [1.5]}", "has a suppress_tokens that is not a list of ids", TUFF_BAD_FORMAT},
        {"{\"begin_suppress_tokens\": 7}", "has a begin_suppress_tokens that is not", TUFF_BAD_FORMAT},
        {"{\"guidance_scale\": 1.5}", "asks for guidance_scale, which Tuff has not", TUFF_UNSUPPORTED},
        {"{\"stop_strings\": [\"x\", 3]}", "has stop_strings that are no text and no list of texts",
         TUFF_BAD_FORMAT},
        {"{\"stop_strings\": \"\"}", "has stop_strings that are no text and no list", TUFF_BAD_FORMAT},
        {"{\"stop_strings\": [\"x\"], \"num_beams\": 2}", "a search with beams and stop_strings",
         TUFF_UNSUPPORTED},
        {"{\"do_sample\": true, \"eta_cutoff\": 0.1}", "asks for eta_cutoff", TUFF_UNSUPPORTED},
        {"{\"num_beams\": 2, \"diversity_penalty\": 0.5}", "a search with beams and diversity_penalty",
         TUFF_UNSUPPORTED},
        {"{\"eta_cutoff\": 0.1, \"diversity_penalty\": 0.5, \"guidance_scale\": 1, \"stop_strings\": []}", "",
         TUFF_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_with("llama", cases[i].config);
        const tuff_status status = read(model);
        if (status != cases[i].status || !strstr(status ? tuff_error_message() : "", cases[i].part))
            fail_msg("%s gave %d, \"%s\"", cases[i].config, status, tuff_error_message());
        tuff_model_destroy(&model);
    }
}

static void lengths_of_all_tokens_leave_room(void **state)
{
    (void)state;
    tuff_model *model = model_with("llama", "{}");
    tuff_generator *generator;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    params.max_length = 1;
    KIT_FAILS(tuff_generate(generator, "The", 3, &params, NULL), TUFF_INVALID_ARGUMENT,
              "max_length is 1 and the text begins with");
    params.max_length = -1;
    KIT_FAILS(tuff_generate(generator, "The", 3, &params, NULL), TUFF_INVALID_ARGUMENT,
              "max_length is -1, expected 0 or more");
    params.max_length = 0;
    params.min_length = -3;
    KIT_FAILS(tuff_generate(generator, "The", 3, &params, NULL), TUFF_INVALID_ARGUMENT, "min_length is -3");
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
}

/* Tokens that texts begin or end with are the vocabulary's. */
static void tokens_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *model, *config, *part;
    } cases[] = {
        {"t5", "{\"decoder_start_token_id\": -1}", "decoder_start_token_id is -1, expected 0 to 279"},
        {"t5", "{\"decoder_start_token_id\": 10000000}",
         "decoder_start_token_id is 10000000, expected 0 to 279"},
        {"bart", "{\"forced_bos_token_id\": 10000000}", "forced_bos_token_id is 10000000, expected 0 to 269"},
        {"bart", "{\"forced_eos_token_id\": 270}", "forced_eos_token_id is 270, expected 0 to 269"},
        {"gpt2", "{\"forced_eos_token_id\": 288}", "forced_eos_token_id is 288, expected 0 to 287"},
        {"gpt2", "{\"forced_eos_token_id\": -1, \"decoder_start_token_id\": -1}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *directory = kit_copy_model(kit_golden(cases[i].model), "tokens");
        tuff_model *model = NULL;
        kit_write_file(kit_join(directory, "generation_config.json"), cases[i].config,
                       strlen(cases[i].config));
        if (cases[i].part)
            KIT_FAILS(tuff_model_load(directory, &model), TUFF_BAD_FORMAT, cases[i].part);
        else
            KIT_OK(tuff_model_load(directory, &model));
        tuff_model_destroy(&model);
    }
    /* the config's own, which nothing comes before */
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(model_copy("t5", "tokens", "\"decoder_start_token_id\": 0",
                                         "\"decoder_start_token_id\": -1"),
                              &model),
              TUFF_BAD_FORMAT, "decoder_start_token_id is -1, expected 0 to 279");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_with("llama", "{\"bad_words_ids\": [[3, 4]]}");
    assert_true(kit_for_each_allocation_failure(read, model) >= 1);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_transformers),
        cmocka_unit_test(settings_are_the_files),
        cmocka_unit_test(biases_are_the_files),
        cmocka_unit_test(stops_are_the_files),
        cmocka_unit_test(settings_go_into_ggufs),
        cmocka_unit_test(numbers_beyond_their_range),
        cmocka_unit_test(penalties_have_a_window),
        cmocka_unit_test(ggufs_of_others),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(lengths_of_all_tokens_leave_room),
        cmocka_unit_test(tokens_outside_the_vocabulary_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
