/* Conversations: records of all formats as turns, and which of their tokens are learned, found by hand. */
#include "train/conversation.h"

#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "model_fixture.h"

/* A template without marks, as most models have them. */
static const char turns[] =
    "{% for m in messages %}{{ '<' + m.role + '>' + (m.content or m.tool_calls[0].name) + '<|endoftext|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";
/* One whose turns end with text, no token. */
static const char lines[] = "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}"
                            "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
/* One that keeps thoughts of the last answer alone. */
static const char rewriting[] =
    "{% for m in messages %}{{ m.role + ': ' }}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think></think>' }}{% endif %}{{ m.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
static const char clock[] =
    "{{ strftime_now('%d.%m.%Y') + ' ' + style }}"
    "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}";

static cJSON *parsed(const char *text)
{
    cJSON *json = NULL;
    KIT_OK(tuff_json_parse(text, strlen(text), "a test", &json));
    return json;
}

typedef struct coded {
    const tuff_model *model;
    tuff_chat_template *chat_template;
    tuff_conversation_coder coder;
} coded;

/* With a template of Tuff's own, a text, or none. */
static coded begin(const tuff_model *model, const char *named, const char *text)
{
    coded c = {.model = model};
    KIT_OK(tuff_model_get_tokenizer(model, &c.coder.tokenizer));
    if (named) KIT_OK(tuff_chat_template_named(named, c.coder.tokenizer, &c.chat_template));
    if (text) KIT_OK(tuff_chat_template_create(text, strlen(text), c.coder.tokenizer, &c.chat_template));
    c.coder.chat_template = c.chat_template;
    return c;
}

static tuff_status encode(const coded *c, const char *record, tuff_conversation_ids *out)
{
    tuff_conversation conversation;
    cJSON *json = parsed(record);
    tuff_status status =
        tuff_conversation_read(json, TUFF_CONVERSATION_AUTO, c->chat_template != NULL, &conversation);
    cJSON_Delete(json);
    if (status == TUFF_OK) status = tuff_conversation_encode(&c->coder, &conversation, out);
    tuff_conversation_free(&conversation);
    return status;
}

/* The text, with what is learned of it in braces. */
static void expect(const coded *c, const char *record, const char *expected)
{
    tuff_conversation_ids ids = {0};
    tuff_buf text = {0};
    size_t learned = 0;
    KIT_OK(encode(c, record, &ids));
    for (size_t i = 0; i < ids.count; i++) {
        char *token = NULL;
        size_t size;
        KIT_OK(tuff_tokenizer_decode_token(c->coder.tokenizer, ids.ids[i], &token, &size));
        if (ids.learned[i] && (!i || !ids.learned[i - 1])) tuff_buf_char(&text, '{');
        tuff_buf_bytes(&text, token, size);
        if (ids.learned[i] && (i + 1 == ids.count || !ids.learned[i + 1])) tuff_buf_char(&text, '}');
        learned += ids.learned[i];
        tuff_free(token);
    }
    assert_string_equal(text.data, expected);
    assert_int_equal(ids.learned_count, learned);
    tuff_buf_free(&text);
    tuff_conversation_ids_free(&ids);
}

static void refuse(const coded *c, const char *record, tuff_status status, const char *part)
{
    tuff_conversation_ids ids = {0};
    KIT_FAILS(encode(c, record, &ids), status, part);
    tuff_conversation_ids_free(&ids);
}

static void answers_are_learned(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    coded c = begin(model, NULL, turns);
    expect(
        &c,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Hello.\"}]}",
        "<user>Hi<|endoftext|>\n<assistant>{Hello.<|endoftext|>}\n");
    /* several turns, a question at the end, parts */
    expect(
        &c,
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":\"  two  \"},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"},"
        "{\"role\":\"user\",\"content\":\"e\"}]}",
        "<system>S<|endoftext|>\n<user>ab<|endoftext|>\n<assistant>{  two  <|endoftext|>}\n<user>c<|endoftext|>\n"
        "<assistant>{d<|endoftext|>}\n<user>e<|endoftext|>\n");
    /* ShareGPT's names, its system beside the list; a list in a text, as tables have it */
    expect(
        &c,
        "{\"system\":\"S\",\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]}",
        "<system>S<|endoftext|>\n<user>a<|endoftext|>\n<assistant>{b<|endoftext|>}\n");
    /* both kinds of names in one table, of which a row has one */
    expect(&c,
           "{\"conversations\":[{\"role\":null,\"content\":null,\"from\":\"human\",\"value\":\"a\"},"
           "{\"from\":\"gpt\",\"value\":\"b\",\"content\":null,\"role\":null}]}",
           "<user>a<|endoftext|>\n<assistant>{b<|endoftext|>}\n");
    expect(
        &c,
        "{\"messages\":\"[{\\\"role\\\":\\\"user\\\",\\\"content\\\":\\\"a\\\"},{\\\"role\\\":\\\"assistant\\\",\\\"content\\\":\\\"b\\\"}]\"}",
        "<user>a<|endoftext|>\n<assistant>{b<|endoftext|>}\n");
    /* Alpaca and texts as turns, as the model has a template */
    expect(&c, "{\"instruction\":\"a\",\"input\":\"b\",\"output\":\"c\"}",
           "<user>a\nb<|endoftext|>\n<assistant>{c<|endoftext|>}\n");
    expect(&c, "{\"prompt\":\"a\",\"completion\":\"b\"}",
           "<user>a<|endoftext|>\n<assistant>{b<|endoftext|>}\n");
    /* of a prompt nothing is learned, nor of an answer without weight */
    expect(
        &c,
        "{\"prompt\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"d\"}]}",
        "<user>a<|endoftext|>\n<assistant>b<|endoftext|>\n<user>c<|endoftext|>\n<assistant>{d<|endoftext|>}\n");
    expect(
        &c,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\",\"weight\":1}]}",
        "<user>a<|endoftext|>\n<assistant>b<|endoftext|>\n<user>c<|endoftext|>\n<assistant>{d<|endoftext|>}\n");
    /* what a template sees beside content */
    expect(
        &c,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"name\":\"f\"}]},{\"role\":\"tool\",\"content\":\"1\"},{\"role\":\"assistant\",\"content\":\"x\"}]}",
        "<user>a<|endoftext|>\n<assistant>{f<|endoftext|>}\n<tool>1<|endoftext|>\n<assistant>{x<|endoftext|>}\n");
    c.coder.learn_all = true;
    expect(&c, "{\"prompt\":\"a\",\"completion\":\"b\"}",
           "{<user>a<|endoftext|>\n<assistant>b<|endoftext|>\n}");
    tuff_chat_template_destroy(&c.chat_template);
    tuff_model_destroy(&model);
}

static void an_answer_ends_the_text(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    coded c = begin(model, NULL, lines);
    expect(&c,
           "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
           "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}",
           "user: a\nassistant:{ b\n}user: c\nassistant: {d\n<|endoftext|>}");
    /* " b" is one token of this vocabulary, " d" two; with a question behind it nothing ends it */
    expect(&c,
           "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
           "{\"role\":\"user\",\"content\":\"c\"}]}",
           "user: a\nassistant:{ b\n}user: c\n");
    tuff_chat_template_destroy(&c.chat_template);
    /* marks: the new line behind the last one is no answer's, and makes room for the end */
    c = begin(model, "chatml", NULL);
    expect(
        &c,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}",
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n{b<|im_end|>}\n<|im_start|>user\nc<|im_end|>\n"
        "<|im_start|>assistant\n{d<|im_end|><|endoftext|>}");
    expect(
        &c,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}",
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
        "<|im_start|>assistant\n{d<|im_end|><|endoftext|>}");
    tuff_chat_template_destroy(&c.chat_template);
    tuff_model_destroy(&model);
}

static void texts_stand_one_behind_the_other(void **state)
{
    (void)state;
    tuff_model *models[] = {model_open("llama"), model_open("gpt2")};
    coded c = begin(models[0], NULL, NULL);
    expect(&c, "{\"prompt\":\"2 and 2 is\",\"completion\":\" 4\"}", "<|begin|>2 and 2 is{ 4<|endoftext|>}");
    expect(&c, "{\"prompt\":\"<|begin|>x\",\"completion\":\" y<|endoftext|>\"}",
           "<|begin|>x{ y<|endoftext|>}");
    expect(
        &c, "{\"instruction\":\"Add.\",\"input\":\"1, 2\",\"output\":\"3\"}",
        "<|begin|>Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1, 2\n\n"
        "### Response:\n{3<|endoftext|>}");
    expect(
        &c, "{\"instruction\":\"Add.\",\"input\":\"\",\"output\":\"3\"}",
        "<|begin|>Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request.\n\n### Instruction:\nAdd.\n\n### Response:\n{3<|endoftext|>}");
    refuse(&c, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", TUFF_NOT_FOUND, "no chat template");
    refuse(&c, "{\"instruction\":\"a\",\"output\":\"b\",\"system\":\"s\"}", TUFF_BAD_FORMAT,
           "it has a \"system\" message");
    c = begin(models[1], NULL, NULL);
    expect(&c, "{\"prompt\":\"a\",\"completion\":\"b\\n\"}", "a{b\n<|endoftext|>}");
    /* "to" is one token of GPT-2's: the answer begins within it */
    tuff_conversation_ids ids = {0};
    KIT_OK(encode(&c, "{\"prompt\":\"I say t\",\"completion\":\"he\"}", &ids));
    assert_int_equal(ids.shared, 1);
    tuff_conversation_ids_free(&ids);
    for (int i = 0; i < 2; i++)
        tuff_model_destroy(&models[i]);
}

static void templates_that_rewrite_are_refused(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    coded c = begin(model, NULL, rewriting);
    refuse(&c,
           "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
           "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}",
           TUFF_UNSUPPORTED, "the chat template writes the first 2 turns in another way where more follow");
    expect(
        &c,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}",
        "user: a\nassistant: {<think></think>b\n<|endoftext|>}");
    tuff_chat_template_destroy(&c.chat_template);
    tuff_model_destroy(&model);
}

/* Three answers: turns 1, 3 and 5 are rendered, and 2 and 4, where answers end. */
static void turns_are_rendered_so_often(void **state)
{
    (void)state;
    static const char three[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"},"
        "{\"role\":\"user\",\"content\":\"e\"},{\"role\":\"assistant\",\"content\":\"f\"}]}";
    static const char expected[] = "user: a\nassistant:{ b\n}user: c\nassistant: {d\n}user: e\nassistant: "
                                   "{f\n<|endoftext|>}";
    const size_t most = tuff_conversation_rendered;
    tuff_model *model = model_open("llama");
    coded c = begin(model, NULL, lines), marked = begin(model, "chatml", NULL);
    tuff_conversation_ids ids = {0};
    assert_int_equal(most, 1 << 23);
    tuff_conversation_rendered = 1 + 2 + 3 + 4 + 5;
    expect(&c, three, expected);
    expect(&c, three, expected); /* each conversation by itself */
    tuff_conversation_rendered--;
    refuse(&c, three, TUFF_BAD_FORMAT,
           "its 6 turns are too many for a chat template that does not mark what the assistant says");
    tuff_conversation_rendered = 0;
    KIT_OK(encode(&marked, three, &ids));
    tuff_conversation_ids_free(&ids);
    tuff_conversation_rendered = most;
    tuff_chat_template_destroy(&c.chat_template);
    tuff_chat_template_destroy(&marked.chat_template);
    tuff_model_destroy(&model);
}

static void templates_see_one_day_and_variables(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    cJSON *variables = parsed("{\"style\":\"plain\",\"more\":[1]}");
    coded c = begin(model, NULL, clock);
    c.coder.variables = variables;
    expect(&c, "{\"messages\":[{\"role\":\"assistant\",\"content\":\" x\"}]}",
           "26.07.2024 plain{ x<|endoftext|>}");
    expect(
        &c,
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\" x\"}],\"chat_template_kwargs\":{\"style\":\"own\"},"
        "\"tools\":[{\"name\":\"f\"}]}",
        "26.07.2024 own{ x<|endoftext|>}");
    tuff_chat_template_destroy(&c.chat_template);
    cJSON_Delete(variables);
    tuff_model_destroy(&model);
}

static void records_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *record, *part;
    } bad[] = {
        {"{}", "its keys are none; expected messages,"},
        {"{\"text\":\"a\",\"id\":1}", "its keys are text, id"},
        {"{\"messages\":[],\"prompt\":\"a\",\"completion\":\"b\"}",
         "in more than one way (its keys: messages, prompt, completion)"},
        {"{\"messages\":[]}", "its \"messages\" is an empty list, expected a list of turns"},
        {"{\"messages\":{}}", "its \"messages\" is an object"},
        {"{\"messages\":\"hello\"}", "messages is not valid JSON"},
        {"{\"messages\":[1]}", "its \"messages\": turn 1 is a number, expected an object"},
        {"{\"messages\":[{\"content\":\"a\"}]}", "turn 1: its role is missing"},
        {"{\"messages\":[{\"role\":\"\",\"content\":\"a\"}]}", "turn 1: its role is empty"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\"}]}",
         "turn 2: its content is missing, expected a text"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "turn 1: its content is a number"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
         "turn 1 has a part of type \"image_url\"; Tuff learns from text alone"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
         "the text of a part is missing"},
        {"{\"conversations\":[{\"from\":\"human\"}]}",
         "its \"conversations\": turn 1: its content is missing"},
        {"{\"prompt\":\"a\",\"completion\":[]}", "its \"prompt\" is a text and its \"completion\" a list"},
        {"{\"prompt\":1,\"completion\":2}", "its \"prompt\" is a number, expected a text or a list of turns"},
        {"{\"instruction\":\"a\",\"output\":3}", "its \"output\" is a number, expected a text"},
        {"{\"instruction\":\"a\",\"output\":\"b\",\"history\":[[\"a\",\"b\"]]}", "it has a \"history\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":{}}",
         "its \"tools\" is an object, expected a list"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"chat_template_kwargs\":[]}",
         "expected an object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tuff_conversation c;
        cJSON *json = parsed(bad[i].record);
        KIT_FAILS(tuff_conversation_read(json, TUFF_CONVERSATION_AUTO, true, &c), TUFF_BAD_FORMAT,
                  bad[i].part);
        assert_null(c.messages);
        cJSON_Delete(json);
    }
    /* the format may be said, where keys alone do not tell */
    tuff_conversation c;
    cJSON *json = parsed("{\"messages\":[],\"instruction\":\"a\",\"output\":\"b\"}");
    KIT_OK(tuff_conversation_read(json, TUFF_CONVERSATION_ALPACA, true, &c));
    assert_int_equal(tuff_conversation_turns(&c), 2);
    tuff_conversation_free(&c);
    cJSON_Delete(json);
}

static tuff_status encode_some(void *user)
{
    static const char record[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]},{\"role\":\"assistant\",\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}],\"chat_template_kwargs\":{\"a\":1}}";
    const coded *c = user;
    tuff_conversation conversation = {0};
    tuff_conversation_ids ids = {0};
    cJSON *json = NULL;
    tuff_status status = tuff_json_parse(record, sizeof record - 1, "a test", &json);
    if (status == TUFF_OK) status = tuff_conversation_read(json, TUFF_CONVERSATION_AUTO, true, &conversation);
    if (status == TUFF_OK) status = tuff_conversation_encode(&c->coder, &conversation, &ids);
    tuff_conversation_free(&conversation);
    tuff_conversation_ids_free(&ids);
    cJSON_Delete(json);
    return status;
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    coded c = begin(model, NULL, turns);
    assert_true(kit_for_each_allocation_failure(encode_some, &c) > 20);
    tuff_chat_template_destroy(&c.chat_template);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_learned),
                                       cmocka_unit_test(an_answer_ends_the_text),
                                       cmocka_unit_test(texts_stand_one_behind_the_other),
                                       cmocka_unit_test(templates_that_rewrite_are_refused),
                                       cmocka_unit_test(turns_are_rendered_so_often),
                                       cmocka_unit_test(templates_see_one_day_and_variables),
                                       cmocka_unit_test(records_that_are_none),
                                       cmocka_unit_test(memory_may_end_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
