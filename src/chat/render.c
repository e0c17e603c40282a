/* Messages and a template to text. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/structs.h"
#include "chat/template.h"

typedef struct rendered {
    tuff_chat_text text; /* first: the caller's pointer */
    char *data;
    tuff_span *spans;
} rendered;

/* {"thinking": reasoning, message..., "reasoning_content": reasoning}, as transformers has it. */
static bool alias_reasoning(tuff_jinja_run *run, tuff_jinja_value *message)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    const tuff_jinja_dict *old = message->as.dict;
    const tuff_jinja_value *reasoning = NULL;
    for (size_t i = 0; i < 3 && !reasoning; i++) {
        reasoning = tuff_jinja_dict_find(run, old, names[i]);
        if (reasoning && reasoning->kind == TUFF_JINJA_NONE) reasoning = NULL;
    }
    if (!reasoning) return true;
    const tuff_jinja_value value = *reasoning;
    tuff_jinja_dict *dict = tuff_jinja_dict_new(run);
    bool good = dict && tuff_jinja_dict_put(run, dict, tuff_jinja_literal("thinking"), value);
    for (size_t i = 0; i < old->count && good; i++)
        good = tuff_jinja_dict_put(run, dict, old->pairs[2 * i], old->pairs[2 * i + 1]);
    good = good && tuff_jinja_dict_put(run, dict, tuff_jinja_literal("reasoning_content"), value);
    if (good) *message = tuff_jinja_dict_value(TUFF_JINJA_DICT, dict);
    return good;
}

static tuff_status read_messages(tuff_jinja_run *run, tuff_piece json, tuff_jinja_value *out)
{
    TUFF_TRY(tuff_jinja_read_json(run, (tuff_view){json.data, json.size}, "the messages", out));
    if (out->kind != TUFF_JINJA_LIST)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the messages are a %s, not a list of objects",
                         tuff_jinja_type(out));
    for (size_t i = 0; i < out->as.list->count; i++) {
        tuff_jinja_value *message = &out->as.list->items[i];
        if (message->kind != TUFF_JINJA_DICT)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "message %zu is a %s, not an object", i + 1,
                             tuff_jinja_type(message));
        if (!alias_reasoning(run, message)) return tuff_fail_memory("a chat");
    }
    return TUFF_OK;
}

static tuff_status set_variables(tuff_jinja_run *run, tuff_piece json)
{
    tuff_jinja_value all;
    TUFF_TRY(tuff_jinja_read_json(run, (tuff_view){json.data, json.size}, "the variables", &all));
    if (all.kind != TUFF_JINJA_DICT)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the variables are a %s, not an object",
                         tuff_jinja_type(&all));
    for (size_t i = 0; i < all.as.dict->count; i++)
        tuff_jinja_set(run, tuff_jinja_text_of(&all.as.dict->pairs[2 * i]), all.as.dict->pairs[2 * i + 1]);
    return TUFF_OK;
}

static tuff_status set_all(tuff_jinja_run *run, const tuff_chat_template *t, const tuff_chat_params *p)
{
    tuff_jinja_value messages, tools = tuff_jinja_none();
    for (size_t i = 0; i < TUFF_CHAT_TOKENS; i++)
        if (t->tokens[i])
            tuff_jinja_set(run, tuff_view_of(tuff_chat_token_names[i]), tuff_jinja_literal(t->tokens[i]));
    TUFF_TRY(read_messages(run, p->messages, &messages));
    if (p->tools.data)
        TUFF_TRY(tuff_jinja_read_json(run, (tuff_view){p->tools.data, p->tools.size}, "the tools", &tools));
    if (tools.kind != TUFF_JINJA_NONE && tools.kind != TUFF_JINJA_LIST)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the tools are a %s, not a list", tuff_jinja_type(&tools));
    tuff_jinja_set(run, tuff_view_of("messages"), messages);
    tuff_jinja_set(run, tuff_view_of("tools"), tools);
    tuff_jinja_set(run, tuff_view_of("documents"), tuff_jinja_none());
    tuff_jinja_set(run, tuff_view_of("add_generation_prompt"), tuff_jinja_bool(p->add_generation_prompt));
    if (p->variables.data) TUFF_TRY(set_variables(run, p->variables));
    if (p->now) tuff_jinja_set_time(run, p->now);
    return TUFF_OK;
}

/* Spans in order, those that touch or overlap as one, none empty, none behind the text's end. */
static size_t settle(tuff_span *spans, size_t count, size_t size)
{
    size_t kept = 0;
    for (size_t i = 1; i < count; i++) { /* nearly in order: a block comes behind those within it */
        const tuff_span one = spans[i];
        size_t at = i;
        for (; at && spans[at - 1].start > one.start; at--)
            spans[at] = spans[at - 1];
        spans[at] = one;
    }
    for (size_t i = 0; i < count; i++) {
        tuff_span one = spans[i];
        if (one.end > size) one.end = size;
        if (one.start >= one.end) continue;
        if (kept && one.start <= spans[kept - 1].end) {
            if (one.end > spans[kept - 1].end) spans[kept - 1].end = one.end;
        } else {
            spans[kept++] = one;
        }
    }
    return kept;
}

static tuff_status copy_out(tuff_view text, const tuff_jinja_span *spans, size_t count, rendered *out)
{
    out->data = tuff_alloc(text.size + 1);
    out->spans = tuff_alloc_array(count, sizeof *out->spans);
    if (!out->data || !out->spans) return tuff_fail_memory("a chat as text");
    if (text.size) memcpy(out->data, text.data, text.size);
    for (size_t i = 0; i < count; i++)
        out->spans[i] = (tuff_span){spans[i].start, spans[i].end};
    out->text = (tuff_chat_text){out->data, text.size, out->spans, settle(out->spans, count, text.size)};
    return TUFF_OK;
}

tuff_status tuff_chat_render(const tuff_chat_template *chat_template, const tuff_chat_params *params,
                             tuff_chat_text **out_text)
{
    const tuff_jinja_limits limits = TUFF_JINJA_LIMITS;
    tuff_chat_params p = TUFF_CHAT_PARAMS_INIT;
    const tuff_jinja_span *spans;
    tuff_jinja_run *run = NULL;
    rendered *out = NULL;
    tuff_view text;
    size_t count;
    tuff_status status;
    TUFF_NEED_OUT(out_text);
    TUFF_NEED(chat_template);
    TUFF_NEED(params);
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_CHAT_PARAMS_INIT, reserved));
    TUFF_NEED(p.messages.data);
    TUFF_GO(tuff_jinja_run_create(chat_template->parsed, &limits, &run));
    TUFF_GO(set_all(run, chat_template, &p));
    TUFF_GO(tuff_note(tuff_jinja_render(run, &text, &spans, &count), "the chat template"));
    out = tuff_alloc(sizeof *out);
    if (!out) TUFF_GO(tuff_fail_memory("a chat as text"));
    TUFF_GO(copy_out(text, spans, count, out));
    *out_text = &out->text;
    out = NULL;
done:
    if (out) {
        tuff_chat_text *half = &out->text;
        tuff_chat_text_destroy(&half);
    }
    tuff_jinja_run_destroy(&run);
    return status;
}

void tuff_chat_text_destroy(tuff_chat_text **text)
{
    if (!text || !*text) return;
    rendered *r = (rendered *)(void *)*text;
    tuff_free(r->data);
    tuff_free(r->spans);
    tuff_free(r);
    *text = NULL;
}
