/* Chats: turns through a pipe, templates of models, files and Tuff's own. */
#define _POSIX_C_SOURCE 200809L
#include <tuff/chat.h>

#include "kit/command.h"

/* `line` of a shell, which has the command's words as "$@". */
#define SHELL(r, line, ...)                                                                               \
    do {                                                                                                  \
        if (!getenv("TUFF_TEST_TUFF")) skip();                                                            \
        kit_run(                                                                                          \
            (const char *const[]){"sh", "-c", (line), "sh", getenv("TUFF_TEST_TUFF"), __VA_ARGS__, NULL}, \
            (r));                                                                                         \
    } while (0)
#define CHAT(...) \
    "chat", "--model", kit_golden("llama"), "--max-new-tokens", "8", "--context-length", "1024", __VA_ARGS__

static void expect_code(const kit_result *r, int code)
{
    if (r->exit_code != code) fail_msg("exit code %d: %s%s", r->exit_code, r->out.data, r->err.data);
}

/* Line `number` of the output as JSON. */
static cJSON *answer_at(const kit_result *r, int number)
{
    const char *at = r->out.data;
    for (int i = 0; i < number; i++) {
        at = strchr(at, '\n');
        assert_non_null(at);
        at++;
    }
    return kit_parse(at, strcspn(at, "\n"));
}

static void turns_go_on_where_they_were(void **state)
{
    (void)state;
    kit_result r, again;
    SHELL(&r, "printf 'Hi there\\n\\nWhat \"now\"?\\r\\n' | \"$@\"",
          CHAT("--chat-template", "chatml", "--json", "--system", "You are terse."));
    expect_code(&r, 0);
    cJSON *first = answer_at(&r, 0), *second = answer_at(&r, 1);
    assert_string_equal(kit_string(first, "role"), "assistant");
    assert_true(kit_number(first, "cached_tokens") == 0);
    assert_true(kit_number(second, "cached_tokens") > kit_number(first, "prompt_tokens"));
    assert_true(kit_number(second, "cached_tokens") < kit_number(second, "prompt_tokens"));

    /* the same from a file, all at once */
    tuff_buf messages = {0};
    tuff_buf_text(&messages,
                  " [{\"role\":\"system\",\"content\":\"You are terse.\"},"
                  "{\"role\":\"user\",\"content\":\"Hi there\"},{\"role\":\"assistant\",\"content\":");
    tuff_json_quote(&messages, kit_string(first, "content"), strlen(kit_string(first, "content")));
    tuff_buf_text(&messages, "},{\"role\":\"user\",\"content\":\"What \\\"now\\\"?\"}]\n");
    kit_write_file(kit_path("messages.json"), messages.data, messages.size);
    SHELL(&again, "\"$@\" </dev/null",
          CHAT("--chat-template", "chatml", "--json", "--messages", kit_path("messages.json")));
    expect_code(&again, 0);
    cJSON *whole = answer_at(&again, 0);
    assert_string_equal(kit_string(whole, "content"), kit_string(second, "content"));
    assert_true(kit_number(whole, "prompt_tokens") == kit_number(second, "prompt_tokens"));
    assert_true(kit_number(whole, "cached_tokens") == 0);
    /* and by generate, which answers once */
    kit_result once =
        KIT_TUFF("generate", "--model", kit_golden("llama"), "--max-new-tokens", "8", "--context-length",
                 "1024", "--chat-template", "chatml", "--json", "--messages", kit_path("messages.json"));
    cJSON *made = kit_parse(once.out.data, once.out.size);
    assert_string_equal(kit_string(made, "text"), kit_string(whole, "content"));
    assert_true(kit_number(made, "prompt_tokens") == kit_number(whole, "prompt_tokens"));
    assert_non_null(strstr(kit_string(made, "prompt"), "<|im_start|>system\nYou are terse.<|im_end|>"));
    kit_result text =
        KIT_TUFF("generate", "--model", kit_golden("llama"), "--max-new-tokens", "8", "--context-length",
                 "1024", "--chat-template", "chatml", "--messages", kit_path("messages.json"));
    assert_true(text.out.size > 1 && text.out.data[text.out.size - 1] == '\n');
    assert_null(strstr(text.out.data, "im_start")); /* the messages are not printed again */
    cJSON_Delete(made);
    kit_result_free(&once);
    kit_result_free(&text);
    KIT_REFUSES(2, "takes --system, --tools, --chat-template and --chat-template-kwargs with --messages",
                "generate", "--model", kit_golden("llama"), "--prompt", "x", "--system", "y");
    KIT_REFUSES(1, "not a JSON list of messages", "generate", "--model", kit_golden("llama"), "--messages",
                kit_text());
    cJSON_Delete(first);
    cJSON_Delete(second);
    cJSON_Delete(whole);
    kit_result_free(&r);
    kit_result_free(&again);
    tuff_buf_free(&messages);
}

static void text_is_printed_and_controls_are_obeyed(void **state)
{
    (void)state;
    kit_result once, twice;
    SHELL(&once, "echo Hi | \"$@\"", CHAT("--chat-template", "llama3"));
    expect_code(&once, 0);
    assert_true(once.out.size > 1 && once.out.data[once.out.size - 1] == '\n');
    SHELL(&twice, "printf 'Hi\\n/reset\\nHi\\n/exit\\nHi\\n' | \"$@\"", CHAT("--chat-template", "llama3"));
    expect_code(&twice, 0);
    assert_int_equal(twice.out.size, 2 * once.out.size);
    assert_memory_equal(twice.out.data, once.out.data, once.out.size);
    assert_memory_equal(twice.out.data + once.out.size, once.out.data, once.out.size);
    kit_result_free(&once);
    kit_result_free(&twice);
}

/* The template's text shows in how many tokens the prompt has. */
static double prompt_of(const char *model, const char *template)
{
    kit_result r;
    SHELL(&r, "echo Hi | \"$@\"", "chat", "--model", model, "--max-new-tokens", "1", "--json",
          template ? "--chat-template" : "--quiet", template ? template : "--verbose");
    expect_code(&r, 0);
    cJSON *answer = answer_at(&r, 0);
    const double tokens = kit_number(answer, "prompt_tokens");
    cJSON_Delete(answer);
    kit_result_free(&r);
    return tokens;
}

static void templates_come_from_models_and_files(void **state)
{
    (void)state;
    static const char own[] = "{{ messages[0].content }}", longer[] = "{{ messages[0].content * 20 }}";
    const char *model = kit_copy_model(kit_golden("llama"), "model"), *gguf = kit_path("model.gguf");
    kit_write_file(kit_join(model, "chat_template.jinja"), own, sizeof own - 1);
    kit_write_file(kit_path("longer.jinja"), longer, sizeof longer - 1);
    const double few = prompt_of(model, NULL), many = prompt_of(model, kit_path("longer.jinja"));
    assert_true(many > 5 * few);
    assert_true(prompt_of(model, "default") == few);
    /* additional_chat_templates/NAME.jinja */
    kit_result r;
    SHELL(
        &r,
        "mkdir \"$2/additional_chat_templates\" && cp \"$3\" \"$2/additional_chat_templates/tool_use.jinja\"",
        model, kit_path("longer.jinja"));
    expect_code(&r, 0);
    kit_result_free(&r);
    assert_true(prompt_of(model, "tool_use") == many);
    /* a GGUF has the default one */
    KIT_DO("convert", model, "--to", "gguf", "--output", gguf);
    assert_true(prompt_of(gguf, NULL) == few);
    KIT_REFUSES(1, "none/here.jinja: there is no such file", "chat", "--model", kit_asset("model"),
                "--chat-template", "none/here.jinja");
    KIT_REFUSES(1, "the model has no chat template called \"rag\"; choose another by --chat-template", "chat",
                "--model", model, "--chat-template", "rag");
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    kit_result r;
    KIT_REFUSES(1, "the model has no chat template; choose another by --chat-template", CHAT("--quiet"));
    KIT_REFUSES(2, "--model", "chat");
    kit_write_file(kit_path("bad.jinja"), "\n{% if %}", 9);
    KIT_REFUSES(1, "the chat template: line 2: ", CHAT("--chat-template", kit_path("bad.jinja")));
    kit_write_file(kit_path("messages.txt"), "hello", 5);
    KIT_REFUSES(1, "is not a JSON list of messages", CHAT("--messages", kit_path("messages.txt")));
    kit_write_file(kit_path("broken.json"), "[{]", 3);
    KIT_REFUSES(1, "the messages: at byte", CHAT("--messages", kit_path("broken.json")));
    kit_write_file(kit_path("refuses.jinja"), "{{ raise_exception('not today') }}", 34);
    SHELL(&r, "echo Hi | \"$@\"", CHAT("--chat-template", kit_path("refuses.jinja")));
    expect_code(&r, 1);
    assert_int_equal(r.out.size, 0);
    assert_non_null(strstr(r.err.data, "the template refuses these messages: not today"));
    kit_result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_go_on_where_they_were),
        cmocka_unit_test(text_is_printed_and_controls_are_obeyed),
        cmocka_unit_test(templates_come_from_models_and_files),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
