/* Chat templates: Tuff's own, errors and their places, bounds, memory that runs out. */
#include <pthread.h>
#include <stdio.h>
#include <tuff/chat.h>

#include "hostile.h"
#include "jinja/jinja.h"
#include "kit/kit.h"

static const char chat[] =
    "[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"Hi\"},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Hello.\"}]},"
    "{\"role\":\"user\",\"content\":\"Why?\"}]";
static const char tokens[] = "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}";

static tuff_piece piece(const char *text)
{
    return (tuff_piece){text, strlen(text)};
}

static tuff_status render_with(const tuff_chat_template *t, const char *messages, const char *variables,
                               tuff_chat_text **out)
{
    tuff_chat_params params = TUFF_CHAT_PARAMS_INIT;
    params.messages = piece(messages);
    if (variables) params.variables = piece(variables);
    params.add_generation_prompt = true;
    return tuff_chat_render(t, &params, out);
}

static tuff_status render(const char *template, const char *messages, tuff_chat_text **out)
{
    tuff_chat_template *t;
    *out = NULL;
    tuff_status status = tuff_chat_template_create(template, strlen(template), NULL, &t);
    if (status == TUFF_OK) status = render_with(t, messages, NULL, out);
    tuff_chat_template_destroy(&t);
    return status;
}

static void expect(const char *template, const char *expected)
{
    tuff_chat_text *text;
    KIT_OK(render(template, chat, &text));
    assert_string_equal(text->data, expected);
    tuff_chat_text_destroy(&text);
    assert_null(text);
}

/* From the formats that the models' makers published. */
static const struct {
    const char *name, *text, *said;
} own[] = {
    {"chatml",
     "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
     "Hello.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n",
     "Hello.<|im_end|>"},
    {"llama2", "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Why? [/INST]",
     "Hello. </s>"},
    {"llama3",
     "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
     "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
     "<|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
     "\n\n",
     "Hello.<|eot_id|>"},
    {"mistral", "<s>[INST] Be brief.\n\nHi [/INST] Hello.</s>[INST] Why? [/INST]", "Hello.</s>"},
    {"gemma",
     "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n"
     "<start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n",
     "Hello.<end_of_turn>"},
    {"phi3",
     "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\nWhy?<|end|>\n"
     "<|assistant|>\n",
     "Hello.<|end|>"},
    {"zephyr",
     "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello.</s>\n<|user|>\nWhy?</s>\n"
     "<|assistant|>\n",
     "Hello.</s>"},
    {"vicuna", "<s>Be brief. USER: Hi ASSISTANT: Hello.</s> USER: Why? ASSISTANT:", "Hello.</s>"},
    {"alpaca",
     "<s>Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello.</s>\n\n### Instruction:\nWhy?\n\n"
     "### Response:\n",
     "Hello.</s>"},
};

static void own_templates_are_the_published_formats(void **state)
{
    (void)state;
    size_t i = 0;
    for (; tuff_chat_template_name(i); i++) {
        tuff_chat_template *t;
        tuff_chat_text *text;
        assert_true(i < sizeof own / sizeof *own);
        assert_string_equal(tuff_chat_template_name(i), own[i].name);
        KIT_OK(tuff_chat_template_named(own[i].name, NULL, &t));
        assert_true(tuff_chat_template_marks(t));
        KIT_OK(render_with(t, chat, tokens, &text));
        assert_string_equal(text->data, own[i].text);
        assert_int_equal(text->span_count, 1);
        const tuff_span span = text->spans[0];
        assert_int_equal(span.end - span.start, strlen(own[i].said));
        assert_memory_equal(text->data + span.start, own[i].said, strlen(own[i].said));
        tuff_chat_text_destroy(&text);
        tuff_chat_template_destroy(&t);
    }
    assert_int_equal(i, sizeof own / sizeof *own);
    tuff_chat_template *t;
    KIT_FAILS(tuff_chat_template_named("nosuch", NULL, &t), TUFF_NOT_FOUND,
              "there are chatml, llama2, llama3");
    KIT_OK(tuff_chat_template_named("gemma", NULL, &t));
    tuff_chat_text *text;
    KIT_FAILS(render_with(t, "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]",
                          tokens, &text),
              TUFF_INVALID_ARGUMENT, "the user and the assistant speak by turns");
    tuff_chat_template_destroy(&t);
}

static void errors_are_sentences_with_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        tuff_status status;
        const char *text;
    } cases[] = {
        {"a\n\n{{ x.y }}", TUFF_BAD_FORMAT, "the chat template: line 3: 'x' is undefined"},
        {"{{ messages[0].nothing.more }}", TUFF_BAD_FORMAT, "line 1: there is no 'nothing' in this dict"},
        {"\n{% for a in b %}", TUFF_BAD_FORMAT,
         "line 2: the template ends where the tag endfor or else is expected"},
        {"{{ 'a' + 1 }}", TUFF_BAD_FORMAT, "+ cannot be done with a str and a int"},
        {"\r\n{{ raise_exception('no\xc3\xa9 roles') }}", TUFF_INVALID_ARGUMENT,
         "line 2: the template refuses these messages: no\xc3\xa9 roles"},
        {"{{ 1 | shout }}", TUFF_UNSUPPORTED, "there is no filter 'shout'"},
        {"{{ 1 is loud }}", TUFF_UNSUPPORTED, "there is no test 'loud'"},
        {"{% include 'other' %}", TUFF_UNSUPPORTED, "the tag include is for templates of several files"},
        {"{{ messages.append(1) }}", TUFF_BAD_FORMAT, "templates may not use 'append' of a list"},
        {"{{ 9223372036854775807 + 1 }}", TUFF_BAD_FORMAT, "a number does not fit 64 bits"},
        {"{% set a, b = [1] %}", TUFF_BAD_FORMAT, "1 values are assigned to 2 names"},
        {"{{ '\\ud800' }}", TUFF_BAD_FORMAT, "an escape in a text is not a character"},
        {"{{ strftime_now('%Z') }}", TUFF_UNSUPPORTED, "the format '%Z' of strftime_now"},
        {"\xff", TUFF_BAD_FORMAT, "it is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_chat_text *text;
        const tuff_status status = render(cases[i].template, chat, &text);
        assert_null(text);
        if (status != cases[i].status || !strstr(tuff_error_message(), cases[i].text))
            fail_msg("%s: %s: %s", cases[i].template, tuff_status_name(status), tuff_error_message());
    }
}

static void messages_are_a_list_of_objects(void **state)
{
    (void)state;
    tuff_chat_text *text;
    KIT_FAILS(render("x", "{}", &text), TUFF_INVALID_ARGUMENT, "the messages are a dict, not a list");
    KIT_FAILS(render("x", "[{},3]", &text), TUFF_INVALID_ARGUMENT, "message 2 is a int, not an object");
    KIT_FAILS(render("x", "[{}", &text), TUFF_BAD_FORMAT, "the messages: at byte 3, a list is not closed");
    KIT_FAILS(render("x", "[] []", &text), TUFF_BAD_FORMAT, "there is more than one value");
    KIT_FAILS(render("x", "[{\"a\":1,\"a\":2}]", &text), TUFF_BAD_FORMAT, "a key twice");
    KIT_FAILS(render("x", "[{\"a\":99999999999999999999}]", &text), TUFF_BAD_FORMAT, "does not fit 64 bits");
    KIT_FAILS(render("x", "[{\"a\":\"\\ud800\"}]", &text), TUFF_BAD_FORMAT, "half of a surrogate pair");
    KIT_OK(render("{{ messages[0].a }} {{ messages[0] | tojson }}",
                  "[{\"a\":-9223372036854775808,\"b\":\"\\ud83c\\udf0b\\n\",\"c\":[1.5e3,true,null]}]",
                  &text));
    assert_string_equal(text->data,
                        "-9223372036854775808 {\"a\": -9223372036854775808, \"b\": \"\xf0\x9f\x8c\x8b\\n\", "
                        "\"c\": [1500.0, true, null]}");
    tuff_chat_text_destroy(&text);
}

static void reasoning_has_all_its_names(void **state)
{
    (void)state;
    tuff_chat_text *text;
    KIT_OK(render("{% for m in messages %}{{ m }}{% endfor %}",
                  "[{\"reasoning\":\"r\"},{\"thinking\":null,\"reasoning_content\":\"c\"}]", &text));
    assert_string_equal(text->data, "{'thinking': 'r', 'reasoning': 'r', 'reasoning_content': 'r'}"
                                    "{'thinking': None, 'reasoning_content': 'c'}");
    tuff_chat_text_destroy(&text);
}

/* A template that would take for ever, or all memory. */
static void hostile_templates_are_bounded(void **state)
{
    (void)state;
    static const char *const templates[] = {
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for a in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for a in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        ("{% set ns = namespace(l=[], m=[]) %}{% for a in range(999) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}"
         "{% endfor %}{{ ns.l == ns.m }}"),
        "{% set ns = namespace(l=()) %}{% for a in range(999) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}",
        "{{ 'x' * 9999999999 }}",
        "{{ [0] * 9999999999 }}",
        "{{ 'aaaa' * 9999 | replace('', 'b' * 99999) }}",
        "{{ '%9999999d' % 1 }}",
        "{{ ''.join(['x' * 99999] * 99999) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ [[1]] | map('map', 'map', 'map', 'map') | list | tojson }}",
        "{% for a in messages recursive %}{{ loop(messages) }}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        tuff_chat_text *text;
        const tuff_status status = render(templates[i], chat, &text);
        if (status == TUFF_OK) fail_msg("%s gave %zu bytes", templates[i], text->size);
        hostile_expect_refusal(status);
    }
    enum { MANY = 100000 };
    char *deep = malloc(MANY + 1);
    assert_non_null(deep);
    for (const char *what = "([{-"; *what; what++) {
        tuff_chat_text *text;
        memset(deep, *what, MANY);
        deep[0] = deep[1] = '{';
        deep[MANY] = 0;
        KIT_FAILS(render(deep, chat, &text), TUFF_BAD_FORMAT, "line 1: ");
    }
    free(deep);
}

static void *with_little_stack(void *user)
{
    static const char nested[] =
        "{% macro m(x) %}{% if x %}{% for a in [1] %}{{ '<' ~ (m(x - 1) | trim) ~ '>' }}{% endfor %}"
        "{% endif %}{% endmacro %}{{ m(19) }}";
    (void)user;
    tuff_chat_text *text;
    hostile_templates_are_bounded(NULL);
    KIT_OK(render(nested, chat, &text));
    assert_int_equal(text->size, 2 * 19);
    tuff_chat_text_destroy(&text);
    return NULL;
}

static void *nothing(void *user)
{
    return user;
}

/* What tuff/status.h says that a thread must have. What libraries keep for each thread lies on its stack,
 * too, and comes on top. */
static void a_small_stack_suffices(void **state)
{
    (void)state;
    pthread_attr_t small;
    pthread_t thread;
    size_t taken = 16 * 1024;
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    if (sanitizer && *sanitizer) skip(); /* which takes several times as much */
    assert_int_equal(pthread_attr_init(&small), 0);
    while (assert_int_equal(pthread_attr_setstacksize(&small, taken), 0),
           pthread_create(&thread, &small, nothing, NULL) != 0)
        taken += 4096;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, taken + 248 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &small, with_little_stack, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&small);
}

static tuff_status parse_and_render(const uint8_t *data, size_t size)
{
    const tuff_jinja_limits limits = {100000, 4 << 20, 1 << 20};
    const char messages[] =
        "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"yo\"}]";
    tuff_jinja_template *t;
    tuff_jinja_run *run = NULL;
    tuff_jinja_value value;
    const tuff_jinja_span *spans;
    tuff_view text;
    size_t count;
    tuff_status status = tuff_jinja_parse((const char *)data, size, &t);
    if (status == TUFF_OK) status = tuff_jinja_run_create(t, &limits, &run);
    if (status == TUFF_OK)
        status = tuff_jinja_read_json(run, (tuff_view){messages, strlen(messages)}, "it", &value);
    if (status == TUFF_OK) {
        tuff_jinja_set(run, tuff_view_of("messages"), value);
        status = tuff_jinja_render(run, &text, &spans, &count);
    }
    tuff_jinja_run_destroy(&run);
    tuff_jinja_destroy(&t);
    return status == TUFF_INVALID_ARGUMENT ? TUFF_BAD_FORMAT : status;
}

static const char rich[] =
    "{%- macro part(x, y=1, *z) -%}{%- endmacro -%}"
    "{%- macro say(m, n=2) -%}{{ m.content | trim ~ n }}{%- endmacro -%}{# note #}\n"
    "{% set ns = namespace(a=[], b={'k': 1.5e3}) %}{% raw %}{{ raw }}{% endraw %}"
    "{% for m in messages if m.role != 'x' recursive %}{{ loop.index }}{{ say(m, n=loop.length) }}"
    "{% set ns.a = ns.a + [m['content'][::-1]] %}{% if loop.last and not m is none %}{% continue %}{% endif %}"
    "{% generation %}{{ m | tojson(indent=1) }}{% endgeneration %}{% else %}none{% endfor %}"
    "{% set b | upper %}x{{ ns.a | join(', ') }}{% endset %}{{ b[1:-1] if b is string else 'no' }}"
    "{{ '%s is %05.2f' % ('pi', 3.14) }}{{ \"{0:>5}|{a!r}\".format(1, a='q') }}{{ 7 // 2 ** 2 % 3 }}";

static void changed_templates_are_rendered_or_refused(void **state)
{
    (void)state;
    const char *good = strstr(rich, "{%- macro say");
    KIT_OK(parse_and_render((const uint8_t *)good, strlen(good)));
    hostile_mutate(parse_and_render, (const uint8_t *)good, strlen(good));
    for (size_t n = 0; n < strlen(good); n++) {
        const tuff_status status = hostile_call(parse_and_render, (const uint8_t *)good, n);
        if (status != TUFF_OK) hostile_expect_refusal(status);
    }
    hostile_expect_refusal(parse_and_render((const uint8_t *)rich, strlen(rich)));
}

static tuff_status whole_way(void *user)
{
    tuff_chat_text *text;
    (void)user;
    const tuff_status status = render(strstr(rich, "{%- macro say"), chat, &text);
    tuff_chat_text_destroy(&text);
    return status;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(whole_way, NULL) > 20);
}

static void long_chats_take_time_in_proportion(void **state)
{
    (void)state;
    /* 20000 appends to one text, and as many lookups in a dict */
    expect(
        "{% set ns = namespace(s='') %}{% for i in range(20000) %}{% set ns.s = ns.s + 'abcde' %}{% endfor %}"
        "{{ ns.s | length }}",
        "100000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_templates_are_the_published_formats),
        cmocka_unit_test(errors_are_sentences_with_the_line),
        cmocka_unit_test(messages_are_a_list_of_objects),
        cmocka_unit_test(reasoning_has_all_its_names),
        cmocka_unit_test(hostile_templates_are_bounded),
        cmocka_unit_test(a_small_stack_suffices),
        cmocka_unit_test(changed_templates_are_rendered_or_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(long_chats_take_time_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
