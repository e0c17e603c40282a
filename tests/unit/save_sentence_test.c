/* How a model's vectors are made goes with it from file to file. */
#include <string.h>
#include <tuff/embed.h>

#include "base/file.h"
#include "model_fixture.h"

enum { DIMENSIONS = 16 };

static const char *const text = "the ship";

static const char cls[] = "{\"pooling_mode\": \"cls\", \"embedding_dimension\": 16}",
                  sizes[] = "{\"max_seq_length\": 8}",
                  prompts[] = "{\"prompts\": {\"query\": \"a \"}, \"default_prompt_name\": \"query\"}";

static void write_text(const char *directory, const char *name, const char *bytes)
{
    kit_write_file(kit_join(directory, name), bytes, strlen(bytes));
}

/* A sentence-transformers directory whose vectors are the first token's. */
static const char *sentence_model(const char *as)
{
    const char *golden = kit_golden("embedding/bert"), *directory = kit_copy_model(golden, as);
    KIT_OK(tuff_make_directories(kit_join(directory, "1_Pooling")));
    kit_copy_file(kit_join(golden, "modules.json"), kit_join(directory, "modules.json"));
    write_text(directory, "1_Pooling/config.json", cls);
    write_text(directory, "sentence_bert_config.json", sizes);
    write_text(directory, "config_sentence_transformers.json", prompts);
    return directory;
}

static void embed(const char *path, const char *prompt, tuff_pooling pooling, float vector[DIMENSIONS])
{
    tuff_device *device = kit_cpu();
    tuff_model *model = model_open(path);
    tuff_embedder *embedder = NULL;
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embed_params each = TUFF_EMBED_PARAMS_INIT;
    params.pooling = pooling;
    each.prompt = prompt;
    KIT_OK(tuff_embedder_create(model, device, &params, &embedder));
    assert_int_equal(tuff_embedder_dimensions(embedder), DIMENSIONS);
    KIT_OK(tuff_embed(embedder, &text, NULL, 1, &each, vector, NULL));
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
}

static void save(const char *from, tuff_file_format format, const char *to)
{
    tuff_model *model = model_open(from);
    KIT_OK(tuff_model_save(model, format, TUFF_F32, to));
    tuff_model_destroy(&model);
}

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, DIMENSIONS * sizeof *a) == 0;
}

static void the_pooling_goes_into_a_gguf_and_back(void **state)
{
    (void)state;
    float mean[DIMENSIONS], first[DIMENSIONS], now[DIMENSIONS];
    const char *directory = sentence_model("cls"), *file = kit_path("cls.gguf"),
               *again = kit_path("again.gguf"), *back = kit_path("back");
    embed(directory, "", TUFF_POOLING_MEAN, mean);
    embed(directory, "", TUFF_POOLING_MODEL, first);
    assert_false(same(mean, first));
    save(directory, TUFF_FORMAT_GGUF, file);
    embed(file, NULL, TUFF_POOLING_MODEL, now);
    assert_true(same(now, first));
    save(file, TUFF_FORMAT_GGUF, again);
    embed(again, NULL, TUFF_POOLING_MODEL, now);
    assert_true(same(now, first));
    save(file, TUFF_FORMAT_HF, back);
    embed(back, NULL, TUFF_POOLING_MODEL, now);
    assert_true(same(now, first));
    assert_true(tuff_is_file(kit_join(back, "modules.json"))); /* for sentence-transformers */
    assert_true(tuff_is_file(kit_join(back, "1_Pooling/config.json")));
}

static void a_directory_keeps_all_that_it_says(void **state)
{
    (void)state;
    static const char *const names[] = {
        "modules.json",          "sentence_bert_config.json", "config_sentence_transformers.json",
        "1_Pooling/config.json", "2_Dense/config.json",       "2_Dense/model.safetensors"};
    float before[DIMENSIONS], after[DIMENSIONS];
    const char *directory = sentence_model("all"), *copy = kit_path("copy");
    embed(directory, NULL, TUFF_POOLING_MODEL, before);
    save(directory, TUFF_FORMAT_HF, copy);
    embed(copy, NULL, TUFF_POOLING_MODEL, after);
    assert_true(same(before, after));
    /* also modules that Tuff does not run */
    KIT_OK(tuff_make_directories(kit_join(directory, "2_Dense")));
    write_text(directory, "2_Dense/config.json", "{}");
    write_text(directory, "2_Dense/model.safetensors", "weights");
    kit_edit_file(kit_join(directory, "modules.json"), "2_Normalize", "2_Dense");
    kit_edit_file(kit_join(directory, "modules.json"), "normalize.Normalize", "another.Kind");
    const char *whole = kit_path("whole");
    save(directory, TUFF_FORMAT_HF, whole);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tuff_buf a = {0}, b = {0};
        kit_read_file(kit_join(directory, names[i]), &a);
        kit_read_file(kit_join(whole, names[i]), &b);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        tuff_buf_free(&a);
        tuff_buf_free(&b);
    }
}

/* A model of no such directory gets none of this. */
static void what_makes_no_vectors_says_nothing_of_them(void **state)
{
    (void)state;
    const char *directory = kit_path("plain"), *file = kit_path("plain.gguf"), *back = kit_path("plain-back");
    save("llama", TUFF_FORMAT_HF, directory);
    save("llama", TUFF_FORMAT_GGUF, file);
    save(file, TUFF_FORMAT_HF, back);
    assert_false(tuff_is_file(kit_join(directory, "modules.json")));
    assert_false(tuff_is_file(kit_join(back, "modules.json")));
}

static char heard[4096];

static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    assert_int_equal(level, TUFF_LOG_WARN);
    strncat(heard, message, sizeof heard - strlen(heard) - 1);
}

static void what_a_gguf_cannot_say_is_told(void **state)
{
    (void)state;
    const char *directory = sentence_model("lost");
    kit_edit_file(kit_join(directory, "1_Pooling/config.json"), "cls", "max");
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    save(directory, TUFF_FORMAT_GGUF, kit_path("lost.gguf"));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    assert_non_null(strstr(heard, "GGUF has no number for the pooling"));
    assert_non_null(strstr(heard, "give --max-length 8 with it"));
    assert_non_null(strstr(heard, "give --prompt with it"));
    assert_null(strstr(heard, "--normalize"));
    heard[0] = '\0';
    kit_edit_file(kit_join(directory, "1_Pooling/config.json"), "max", "none of these");
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    save(directory, TUFF_FORMAT_GGUF, kit_path("lost.gguf"));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    assert_non_null(strstr(heard, "how vectors are made is not in it"));
    assert_non_null(strstr(heard, "none of these"));
}

static void no_path_leads_out(void **state)
{
    (void)state;
    const char *directory = sentence_model("out");
    kit_edit_file(kit_join(directory, "modules.json"), "2_Normalize", "../x");
    tuff_model *model = model_open(directory);
    KIT_FAILS(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, kit_path("out-copy")), TUFF_BAD_FORMAT,
              "leads out of the directory");
    tuff_model_destroy(&model);
}

static void inspection_says_how_vectors_are_made(void **state)
{
    (void)state;
    static const char *const parts[] = {"\"embedding\": {",         "\"pooling\": \"cls\"",
                                        "\"normalized\": true",     "\"max_length\": 8",
                                        "\"prompt_query\": \"a \"", "\"default_prompt\": \"a \""};
    const char *directory = sentence_model("inspected");
    char *json = NULL;
    KIT_OK(tuff_inspect(directory, TUFF_INSPECT_JSON, &json));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(json, parts[i])) fail_msg("no %s in %.3000s", parts[i], json);
    tuff_free(json);
    KIT_OK(tuff_inspect(kit_golden("llama"), TUFF_INSPECT_JSON, &json));
    assert_null(strstr(json, "\"embedding\": {"));
    tuff_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspection_says_how_vectors_are_made),
        cmocka_unit_test(the_pooling_goes_into_a_gguf_and_back),
        cmocka_unit_test(a_directory_keeps_all_that_it_says),
        cmocka_unit_test(what_makes_no_vectors_says_nothing_of_them),
        cmocka_unit_test(what_a_gguf_cannot_say_is_told),
        cmocka_unit_test(no_path_leads_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
