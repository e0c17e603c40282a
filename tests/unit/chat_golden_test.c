/* Templates of our own, whose texts and spans Python's jinja2 has made, as transformers sets it up
 * (tests/reference/check_chat_templates.py goldens). */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <tuff/chat.h>

#include "base/json.h"
#include "kit/kit.h"

static const char *text_at(const cJSON *json, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static tuff_status render(const cJSON *golden, const char *template, tuff_chat_text **out)
{
    const char *messages = text_at(golden, "messages"), *variables = text_at(golden, "variables");
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(golden, "now");
    tuff_chat_params params = TUFF_CHAT_PARAMS_INIT;
    tuff_chat_template *t;
    *out = NULL;
    tuff_status status = tuff_chat_template_create(template, strlen(template), NULL, &t);
    if (status != TUFF_OK) return status;
    params.messages = (tuff_piece){messages, strlen(messages)};
    params.variables = (tuff_piece){variables, strlen(variables)};
    assert_true(cJSON_IsNumber(now));
    params.now = (int64_t)now->valuedouble;
    status = tuff_chat_render(t, &params, out);
    tuff_chat_template_destroy(&t);
    return status;
}

static void expect_spans(const cJSON *spans, const tuff_chat_text *text, const char *template)
{
    if ((size_t)cJSON_GetArraySize(spans) != 2 * text->span_count)
        fail_msg("%zu spans of %s", text->span_count, template);
    for (size_t i = 0; i < 2 * text->span_count; i++) {
        const size_t at = i % 2 ? text->spans[i / 2].end : text->spans[i / 2].start;
        assert_int_equal(at, cJSON_GetArrayItem(spans, (int)i)->valueint);
    }
}

static void templates_render_as_by_jinja2(void **state)
{
    (void)state;
    cJSON *golden;
    const cJSON *one;
    size_t rendered = 0, refused = 0, spans = 0;
    KIT_OK(tuff_json_read(kit_asset("chat/golden.json"), &golden));
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(golden, "cases"))
    {
        const char *template = text_at(one, "template");
        tuff_chat_text *text;
        const tuff_status status = render(golden, template, &text);
        if (cJSON_GetObjectItemCaseSensitive(one, "fails")) {
            if (status == TUFF_OK) fail_msg("%s gave %s", template, text->data);
            assert_non_null(strstr(tuff_error_message(), "the chat template: line 1: "));
            refused++;
            continue;
        }
        if (status != TUFF_OK) fail_msg("%s: %s", template, tuff_error_message());
        if (strcmp(text->data, text_at(one, "text")) != 0)
            fail_msg("%s\ngave     %s\nexpected %s", template, text->data, text_at(one, "text"));
        assert_int_equal(text->size, strlen(text->data));
        expect_spans(cJSON_GetObjectItemCaseSensitive(one, "spans"), text, template);
        spans += text->span_count;
        rendered++;
        tuff_chat_text_destroy(&text);
    }
    cJSON_Delete(golden);
    if (rendered < 60 || refused < 15 || spans < 5)
        fail_msg("only %zu rendered, %zu refused, %zu spans", rendered, refused, spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(templates_render_as_by_jinja2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
