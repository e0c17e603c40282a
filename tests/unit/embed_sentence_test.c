/* A decoder as an embedder: what sentence-transformers makes of texts with the last token's state, and the
 * longest text, which its files have in the tokenizer's. */
#include <math.h>
#include <string.h>
#include <tuff/embed.h>

#include "base/file.h"
#include "base/json.h"
#include "model_fixture.h"

enum { MOST = 8, DIMENSIONS = 40 };

static const cJSON *item(const cJSON *object, const char *key)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_non_null(found);
    return found;
}

static void vectors_are_those_of_sentence_transformers(void **state)
{
    (void)state;
    cJSON *truth = NULL;
    const cJSON *file, *run;
    tuff_device *device = NULL;
    tuff_embedder *embedder = NULL;
    KIT_OK(tuff_json_read(kit_golden("sentence/qwen2.json"), &truth));
    device = kit_cpu();
    const char *directory = kit_copy_model(kit_golden("qwen2"), "qwen2");
    KIT_OK(tuff_make_directories(kit_join(directory, "1_Pooling")));
    cJSON_ArrayForEach(file, item(truth, "files"))
        kit_write_file(kit_join(directory, file->string), file->valuestring, strlen(file->valuestring));
    tuff_model *model = model_open(directory);
    KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
    assert_int_equal(tuff_embedder_max_length(embedder), 24);
    assert_int_equal(tuff_embedder_dimensions(embedder), DIMENSIONS);
    cJSON_ArrayForEach(run, item(truth, "runs"))
    {
        const char *texts[MOST];
        float vectors[MOST * DIMENSIONS];
        size_t n = 0;
        const cJSON *text, *vector, *x;
        cJSON_ArrayForEach(text, item(run, "texts")) texts[n++] = text->valuestring;
        tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
        tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
        params.prompt = tuff_embedder_prompt(embedder, item(run, "prompt")->valuestring);
        assert_non_null(params.prompt);
        KIT_OK(tuff_embed(embedder, texts, NULL, n, &params, vectors, &result));
        assert_true(result.truncated >= 1);
        const float *at = vectors;
        cJSON_ArrayForEach(vector, item(run, "vectors")) cJSON_ArrayForEach(x, vector)
        {
            if (!(fabs((double)*at - x->valuedouble) < 2e-6))
                fail_msg("%.9g, sentence-transformers has %.9g", (double)*at, x->valuedouble);
            at++;
        }
        assert_ptr_equal(at, vectors + n * DIMENSIONS);
    }
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    cJSON_Delete(truth);
}

/* A number that stands for none, and no file at all: what the model was trained for. */
static void the_longest_text_is_the_tokenizers_or_the_models(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        int64_t length;
    } cases[] = {{"{\"model_max_length\": 1000000000000000019884624838656}", 128},
                 {"{\"model_max_length\": null}", 128},
                 {"{\"model_max_length\": 4096}", 128},
                 {"{\"model_max_length\": 77}", 77},
                 {"{}", 128}};
    tuff_device *device = kit_cpu();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *directory = kit_copy_model(kit_golden("qwen2"), "length");
        kit_write_file(kit_join(directory, "tokenizer_config.json"), cases[i].config,
                       strlen(cases[i].config));
        tuff_model *model = model_open(directory);
        tuff_embedder *embedder = NULL;
        KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
        assert_int_equal(tuff_embedder_max_length(embedder), cases[i].length);
        tuff_embedder_destroy(&embedder);
        tuff_model_destroy(&model);
    }
    tuff_device_destroy(&device);
}

/* Where sentence-transformers lower-cases before the tokenizer, the tokenizer must. */
static void lower_case_is_the_tokenizers(void **state)
{
    (void)state;
    static const char lower[] = "{\"do_lower_case\": true}",
                      modules[] = "[{\"path\": \"\", \"type\": \"Transformer\"}]";
    const char *directory = kit_copy_model(kit_golden("embedding/bert"), "lower");
    tuff_device *device = kit_cpu();
    kit_write_file(kit_join(directory, "modules.json"), modules, sizeof modules - 1);
    kit_write_file(kit_join(directory, "sentence_bert_config.json"), lower, sizeof lower - 1);
    for (int cased = 0; cased < 2; cased++) {
        if (cased)
            kit_edit_file(kit_join(directory, "tokenizer.json"), "\"lowercase\": true",
                          "\"lowercase\": false");
        tuff_model *model = model_open(directory);
        tuff_embedder *embedder = NULL;
        if (cased)
            KIT_FAILS(tuff_embedder_create(model, device, NULL, &embedder), TUFF_UNSUPPORTED,
                      "has do_lower_case, but its tokenizer tells capitals");
        else
            KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
        tuff_embedder_destroy(&embedder);
        tuff_model_destroy(&model);
    }
    tuff_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors_are_those_of_sentence_transformers),
                                       cmocka_unit_test(the_longest_text_is_the_tokenizers_or_the_models),
                                       cmocka_unit_test(lower_case_is_the_tokenizers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
