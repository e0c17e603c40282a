/* What sentence-transformers directories say beside the model, and what is refused of it. */
#include "formats/sentence.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "kit/files.h"

static const char *directory;

static void put(const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    KIT_OK(tuff_write_cache_file(path, text, strlen(text)));
}

static void begin(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s", kit_path(name));
    directory = path;
    KIT_OK(tuff_make_directories(path));
}

#define MODULE(path, type)                                                                                 \
    "{\"idx\": 0, \"name\": \"0\", \"path\": \"" path "\", \"type\": \"sentence_transformers.models." type \
    "\"}"
#define FIRST MODULE("", "Transformer")
#define POOL  MODULE("1_Pooling", "Pooling")

static void files_are_followed(void **state)
{
    (void)state;
    tuff_sentence s;
    begin("plain");
    KIT_OK(tuff_sentence_read(directory, &s));
    assert_false(s.there);
    tuff_sentence_free(&s);

    begin("whole");
    put("modules.json",
        "[" FIRST "," POOL "," MODULE("2_Dense", "Dense") "," MODULE("3_Normalize", "Normalize") "]");
    put("1_Pooling/config.json",
        "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false, \"include_prompt\": false}");
    put("2_Dense/config.json",
        "{\"in_features\": 16, \"out_features\": 8, \"bias\": true, \"activation_function\": \"torch.nn.modules.activation.Tanh\"}");
    put("sentence_bert_config.json", "{\"max_seq_length\": 12, \"do_lower_case\": false}");
    put("config_sentence_transformers.json",
        "{\"prompts\": {\"query\": \"query: \", \"document\": \"\"}, \"default_prompt_name\": \"query\"}");
    KIT_OK(tuff_sentence_read(directory, &s));
    assert_true(s.there && s.normalize && s.skip_prompt);
    assert_int_equal(s.pooling, TUFF_POOLING_CLS);
    assert_int_equal(s.max_length, 12);
    assert_int_equal(s.denses, 1);
    assert_int_equal(s.dense[0].in, 16);
    assert_int_equal(s.dense[0].out, 8);
    assert_true(s.dense[0].bias && s.dense[0].tanh);
    assert_int_equal(s.prompt_count, 2);
    assert_string_equal(s.default_prompt, "query: ");
    tuff_sentence_free(&s);

    put("modules.json", "[" FIRST "," POOL "]");
    put("1_Pooling/config.json", "{\"pooling_mode\": \"lasttoken\"}");
    KIT_OK(tuff_sentence_read(directory, &s));
    assert_int_equal(s.pooling, TUFF_POOLING_LAST);
    assert_false(s.normalize || s.skip_prompt);
    tuff_sentence_free(&s);
}

static void refused(tuff_status status, const char *part)
{
    tuff_sentence s;
    KIT_FAILS(tuff_sentence_read(directory, &s), status, part);
    assert_false(s.there);
}

static void what_is_not_known_is_named(void **state)
{
    (void)state;
    begin("bad");
    put("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true}");
    put("modules.json", "{}");
    refused(TUFF_BAD_FORMAT, "a list of modules is expected");
    put("modules.json", "[" FIRST "," POOL "," MODULE("2", "CNN") "]");
    refused(TUFF_UNSUPPORTED, "module 2 is \"sentence_transformers.models.CNN\"");
    put("modules.json", "[" MODULE("", "WordEmbeddings") "]");
    refused(TUFF_UNSUPPORTED, "its first module is \"sentence_transformers.models.WordEmbeddings\"");
    put("modules.json", "[" MODULE("0_Transformer", "Transformer") "]");
    refused(TUFF_UNSUPPORTED, "0_Transformer; name that folder as the model");
    put("modules.json", "[" FIRST "," MODULE("../../etc", "Pooling") "]");
    refused(TUFF_BAD_FORMAT, "leads out of the directory");
    put("modules.json", "[" FIRST "," MODULE("x/./y", "Pooling") "]");
    refused(TUFF_BAD_FORMAT, "has a part \".\"");
    put("modules.json", "[" FIRST ", {\"path\": \"\"}]");
    refused(TUFF_BAD_FORMAT, "module 1 has no type");
    put("modules.json", "[" FIRST "," POOL "," MODULE("", "Normalize") "," MODULE("2_Dense", "Dense") "]");
    refused(TUFF_UNSUPPORTED, "follows the normalization");
    put("modules.json", "[" FIRST "," POOL "]");
    put("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true, \"pooling_mode_max_tokens\": true}");
    refused(TUFF_UNSUPPORTED, "pooling_mode_mean_tokens and pooling_mode_max_tokens are both on");
    put("1_Pooling/config.json", "{}");
    refused(TUFF_BAD_FORMAT, "no pooling mode is on");
    put("1_Pooling/config.json", "{\"pooling_mode\": \"first\"}");
    refused(TUFF_UNSUPPORTED, "pooling_mode is \"first\"");
    put("1_Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    put("sentence_bert_config.json", "{\"max_seq_length\": -1}");
    refused(TUFF_BAD_FORMAT, "max_seq_length is -1");
    static const char *const asked[][2] = {
        {"\"transformer_task\": \"fill-mask\"",
         "transformer_task is \"fill-mask\"; Tuff knows feature-extraction"},
        {"\"module_output_name\": \"all\"", "module_output_name is \"all\""},
        {"\"modality_config\": {\"text\": {\"method_output_name\": \"pooler_output\"}}",
         "method_output_name is \"pooler_output\"; Tuff knows last_hidden_state"},
        {"\"query_length\": 32", "query_length is set, which Tuff does not follow"},
        {"\"processing_kwargs\": {\"text\": {}}", "processing_kwargs is set"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char text[200];
        snprintf(text, sizeof text, "{%s}", asked[i][0]);
        put("sentence_bert_config.json", text);
        refused(TUFF_UNSUPPORTED, asked[i][1]);
    }
    put("sentence_bert_config.json", "{\"processing_kwargs\": {}, \"query_length\": null}");
    put("modules.json", "[" FIRST "," POOL "," MODULE("2_Dense", "Dense") "]");
    put("2_Dense/config.json", "{\"in_features\": 16, \"out_features\": 16, \"use_residual\": true}");
    refused(TUFF_UNSUPPORTED, "use_residual is set, which Tuff does not follow");
    put("2_Dense/config.json",
        "{\"in_features\": 16, \"out_features\": 8, \"module_input_name\": \"token_embeddings\"}");
    refused(TUFF_UNSUPPORTED, "module_input_name is \"token_embeddings\"; Tuff knows sentence_embedding");
    put("modules.json", "[" FIRST "," POOL "," MODULE("2_Normalize", "Normalize") "]");
    put("2_Normalize/config.json", "{\"module_output_name\": \"other\"}");
    refused(TUFF_UNSUPPORTED, "module_output_name is \"other\"");
    put("modules.json", "[" FIRST "," POOL "]");
    put("sentence_bert_config.json", "{}");
    put("config_sentence_transformers.json", "{\"prompts\": {\"query\": 3}}");
    refused(TUFF_BAD_FORMAT, "the prompt \"query\" is no text");
    put("config_sentence_transformers.json", "{\"default_prompt_name\": \"q\"}");
    refused(TUFF_BAD_FORMAT, "default_prompt_name is \"q\", which is none of the prompts");
}

static tuff_status read_whole(void *user)
{
    tuff_sentence s;
    tuff_status status = tuff_sentence_read(user, &s);
    tuff_sentence_free(&s);
    return status;
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    begin("memory");
    put("modules.json", "[" FIRST "," POOL "," MODULE("2_Dense", "Dense") "]");
    put("1_Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    put("2_Dense/config.json", "{\"in_features\": 16, \"out_features\": 8}");
    put("config_sentence_transformers.json", "{\"prompts\": {\"query\": \"query: \"}}");
    assert_true(kit_for_each_allocation_failure(read_whole, (void *)(uintptr_t)directory) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_followed),
        cmocka_unit_test(what_is_not_known_is_named),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
