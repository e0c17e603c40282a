/* Which chat templates a model has, and what they see of its tokenizer. */
#include <tuff/chat.h>

#include "kit/files.h"

static const char config[] =
    "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"eos_token\":\"<|endoftext|>\",\"chat_template\":["
    "{\"name\":\"default\",\"template\":\"{{ eos_token }}{{ pad_token is defined }}\"},"
    "{\"name\":\"rag\",\"template\":\"{% for d in documents %}{{ d.text }}{% endfor %}\"},"
    "{\"name\":3},{\"name\":\"bad\",\"template\":\"{% if %}\"}]}";

static void expect(const tuff_model *model, const char *name, const char *variables, const char *expected)
{
    tuff_chat_params params = TUFF_CHAT_PARAMS_INIT;
    tuff_chat_template *t;
    tuff_chat_text *text;
    params.messages = (tuff_piece){"[]", 2};
    if (variables) params.variables = (tuff_piece){variables, strlen(variables)};
    KIT_OK(tuff_chat_template_of_model(model, name, &t));
    KIT_OK(tuff_chat_render(t, &params, &text));
    assert_string_equal(text->data, expected);
    tuff_chat_text_destroy(&text);
    tuff_chat_template_destroy(&t);
}

static void a_model_may_have_several(void **state)
{
    (void)state;
    tuff_model *model;
    tuff_chat_template *t;
    const char *path = kit_copy_model(kit_golden("llama"), "several");
    kit_write_file(kit_join(path, "tokenizer_config.json"), config, sizeof config - 1);
    KIT_OK(tuff_model_load(path, &model));
    expect(model, NULL, NULL, "<|endoftext|>False");
    expect(model, "default", "{\"eos_token\":\"x\"}", "xFalse"); /* variables come before tokens */
    expect(model, "rag", "{\"documents\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", "ab");
    KIT_FAILS(tuff_chat_template_of_model(model, "tool_use", &t), TUFF_NOT_FOUND,
              "the model has no chat template called \"tool_use\"");
    KIT_FAILS(tuff_chat_template_of_model(model, "../several/rag", &t), TUFF_NOT_FOUND,
              "no chat template called");
    KIT_FAILS(tuff_chat_template_of_model(model, "bad", &t), TUFF_BAD_FORMAT,
              "several: the chat template: line 1: ");
    tuff_model_destroy(&model);
}

static void a_model_may_have_none(void **state)
{
    (void)state;
    tuff_model *model;
    tuff_chat_template *t;
    KIT_OK(tuff_model_load(kit_golden("llama"), &model));
    KIT_FAILS(tuff_chat_template_of_model(model, NULL, &t), TUFF_NOT_FOUND,
              "llama: the model has no chat template");
    assert_null(t);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_model_may_have_several),
                                       cmocka_unit_test(a_model_may_have_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
