/* Conversations as ids: rendered, cut into tokens, and what of them is learned. */
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/watch.h"
#include "train/conversation.h"

/* 12 o'clock UTC on 26 July 2024, which Llama 3's template takes where it knows no clock. */
static const int64_t present = 1721995200;

/* The work on one conversation. */
typedef struct coding {
    const tuff_conversation_coder *coder;
    const tuff_conversation *c;
    tuff_buf messages; /* their list as JSON */
    size_t *ends;      /* [turns]: where each one ends in it */
    bool *learned;     /* [turns]: it is an answer */
    size_t turns;
    tuff_buf tools, variables;
    tuff_chat_text *text; /* all turns, rendered */
    tuff_span kept;       /* bytes of the text whose tokens may be kept */
    tuff_span *answers;   /* bytes of the text, in order */
    size_t count;
    size_t rendered; /* turns, so far, to find answers */
} coding;

static void free_coding(coding *w)
{
    tuff_buf_free(&w->messages);
    tuff_buf_free(&w->tools);
    tuff_buf_free(&w->variables);
    tuff_free(w->ends);
    tuff_free(w->learned);
    tuff_free(w->answers);
    tuff_chat_text_destroy(&w->text);
}

/* ---- rendering */

/* Those of the coder, but for those that the record has, and these. */
static tuff_status print_variables(coding *w)
{
    const cJSON *all = w->coder->variables, *own = w->c->variables, *item;
    if (!all && !own) return TUFF_OK;
    tuff_buf_char(&w->variables, '{');
    bool good = true;
    for (int i = 0; i < 2; i++) {
        const cJSON *of = i ? own : all;
        cJSON_ArrayForEach(item, of)
        {
            if (!i && cJSON_GetObjectItemCaseSensitive(own, item->string)) continue;
            if (w->variables.size > 1) tuff_buf_char(&w->variables, ',');
            tuff_json_quote(&w->variables, item->string, strlen(item->string));
            tuff_buf_char(&w->variables, ':');
            good = good && tuff_json_print(item, &w->variables);
        }
    }
    tuff_buf_char(&w->variables, '}');
    return good && !w->variables.failed ? TUFF_OK : tuff_fail_memory("a conversation");
}

static tuff_status print_messages(coding *w)
{
    const cJSON *message;
    size_t turn = 0;
    bool good = true;
    w->turns = tuff_conversation_turns(w->c);
    w->ends = tuff_alloc_array(w->turns, sizeof *w->ends);
    w->learned = tuff_alloc_array(w->turns, sizeof *w->learned);
    w->answers = tuff_alloc_array(w->turns, sizeof *w->answers);
    if (!w->ends || !w->learned || !w->answers) return tuff_fail_memory("a conversation");
    tuff_buf_char(&w->messages, '[');
    cJSON_ArrayForEach(message, w->c->messages)
    {
        if (turn) tuff_buf_char(&w->messages, ',');
        good = good && tuff_json_print(message, &w->messages);
        w->learned[turn] = tuff_conversation_is_answer(w->c, message, turn);
        w->ends[turn++] = w->messages.size;
    }
    tuff_buf_char(&w->messages, ']');
    if (w->c->tools) good = good && tuff_json_print(w->c->tools, &w->tools);
    if (!good || w->messages.failed || w->tools.failed) return tuff_fail_memory("a conversation");
    return print_variables(w);
}

/* The first `turns` of them; with `ask` and what an answer begins with. */
static tuff_status render(coding *w, size_t turns, bool ask, tuff_chat_text **out)
{
    tuff_chat_params params = TUFF_CHAT_PARAMS_INIT;
    const size_t end = turns ? w->ends[turns - 1] : 1;
    const char behind = w->messages.data[end];
    w->messages.data[end] = ']';
    params.messages = (tuff_piece){w->messages.data, end + 1};
    if (w->tools.size) params.tools = (tuff_piece){w->tools.data, w->tools.size};
    if (w->variables.size) params.variables = (tuff_piece){w->variables.data, w->variables.size};
    params.now = present;
    params.add_generation_prompt = ask;
    const tuff_status status = tuff_chat_render(w->coder->chat_template, &params, out);
    w->messages.data[end] = behind;
    return status;
}

/* ---- answers, where the template marks none: what is there with one and not without it */

/* Of each answer all that stands before it is rendered: more turns than these, all in all, take minutes. */
size_t tuff_conversation_rendered = 1 << 23;

/* How many bytes the first turns are of the text of all; refused where they are another text there. */
static tuff_status measure(coding *w, size_t turns, bool ask, size_t *out_size)
{
    tuff_chat_text *text = NULL;
    w->rendered += turns;
    if (w->rendered > tuff_conversation_rendered)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "its %zu turns are too many for a chat template that does not mark what the assistant says, of which each "
            "answer is found by rendering what stands before it; use one that marks it ({%% generation %%}), a smaller "
            "max_length, or shorter conversations",
            w->turns);
    TUFF_TRY(render(w, turns, ask, &text));
    const bool begins = text->size <= w->text->size && memcmp(text->data, w->text->data, text->size) == 0;
    *out_size = text->size;
    tuff_chat_text_destroy(&text);
    if (begins) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "the chat template writes the first %zu turns in another way where more follow, so that where an answer begins and "
        "ends cannot be told; use a template that marks what the assistant says ({%% generation %%}), or conversations "
        "of one question and one answer",
        turns);
}

/* Where the turn is, if any of it is kept; *out_kept is false for those behind or before all that is. */
static tuff_status find_answer(coding *w, size_t turn, bool *out_kept)
{
    tuff_span answer = {0, w->text->size};
    *out_kept = true;
    if (w->coder->keep_last) {
        if (turn + 1 < w->turns) TUFF_TRY(measure(w, turn + 1, false, &answer.end));
        *out_kept = answer.end > w->kept.start;
        if (*out_kept) TUFF_TRY(measure(w, turn, true, &answer.start));
    } else {
        TUFF_TRY(measure(w, turn, true, &answer.start));
        *out_kept = answer.start < w->kept.end;
        if (*out_kept && turn + 1 < w->turns) TUFF_TRY(measure(w, turn + 1, false, &answer.end));
    }
    if (*out_kept && answer.end > answer.start) w->answers[w->count++] = answer;
    return TUFF_OK;
}

static tuff_status find_answers(coding *w)
{
    const bool last = w->coder->keep_last;
    bool kept = true;
    for (size_t i = 0; i < w->turns && kept; i++) {
        const size_t turn = last ? w->turns - 1 - i : i;
        if (!w->learned[turn]) continue;
        TUFF_TRY(tuff_watch_step(w->coder->watch, TUFF_PHASE_TOKENIZE, i * w->text->size / w->turns,
                                 w->text->size));
        TUFF_TRY(find_answer(w, turn, &kept));
    }
    for (size_t i = 0; last && i < w->count / 2; i++) {
        const tuff_span swapped = w->answers[i];
        w->answers[i] = w->answers[w->count - 1 - i];
        w->answers[w->count - 1 - i] = swapped;
    }
    return TUFF_OK;
}

/* ---- answers that the template marks */

/* Whether every turn of the assistant's is learned; *out_all: how many there are. */
static bool learns_all_turns(const coding *w, size_t *out_all)
{
    const cJSON *message;
    size_t turn = 0, learned = 0;
    *out_all = 0;
    cJSON_ArrayForEach(message, w->c->messages)
    {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role");
        *out_all += cJSON_IsString(role) && strcmp(role->valuestring, "assistant") == 0;
        learned += w->learned[turn++];
    }
    return learned == *out_all;
}

static tuff_status take_marks(coding *w)
{
    const cJSON *message;
    size_t all, turn = 0, mark = 0;
    if (learns_all_turns(w, &all)) {
        if (w->text->span_count > w->turns) {
            tuff_free(w->answers);
            w->answers = tuff_alloc_array(w->text->span_count, sizeof *w->answers);
            if (!w->answers) return tuff_fail_memory("a conversation");
        }
        w->count = w->text->span_count;
        if (w->count) memcpy(w->answers, w->text->spans, w->count * sizeof *w->answers);
        return TUFF_OK;
    }
    if (all != w->text->span_count) return find_answers(w);
    cJSON_ArrayForEach(message, w->c->messages)
    {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role");
        const bool learned = w->learned[turn++];
        if (!cJSON_IsString(role) || strcmp(role->valuestring, "assistant") != 0) continue;
        if (learned) w->answers[w->count++] = w->text->spans[mark];
        mark++;
    }
    return TUFF_OK;
}

/* ---- ids */

static tuff_status reserve(tuff_conversation_ids *out, size_t n)
{
    if (n <= out->capacity) return TUFF_OK;
    int32_t *ids = tuff_realloc_array(out->ids, 2 * n, sizeof *ids);
    if (ids) out->ids = ids;
    uint8_t *learned = ids ? tuff_realloc_array(out->learned, 2 * n, 1) : NULL;
    if (!learned) return tuff_fail_memory("a conversation");
    out->learned = learned;
    out->capacity = 2 * n;
    return TUFF_OK;
}

static bool is_space(const char *text, tuff_span bytes)
{
    for (size_t i = bytes.start; i < bytes.end; i++)
        if (!memchr(" \t\r\n", text[i], 4)) return false;
    return true;
}

/* A token's bytes; of white space that its tokenizer leaves out, its last byte. */
static tuff_span bytes_of(const tuff_encoding *e, size_t i)
{
    tuff_span s = e->spans[i];
    if (s.start == s.end && s.start) s.start--;
    return s;
}

static bool ends_texts(const tuff_tokenizer *t, int32_t id)
{
    return tuff_tokenizer_is_eos(t, id) || tuff_tokenizer_token_type(t, id) == TUFF_TOKEN_CONTROL;
}

/* Takes back what is learned behind the token that ends an answer, of whose tokens `last` is the last. */
static void end_answer(const tuff_tokenizer *t, const tuff_encoding *e, const char *text, size_t begin,
                       size_t last, uint8_t *learned)
{
    size_t at = last;
    while (at > begin && !ends_texts(t, e->ids[at]) && is_space(text, bytes_of(e, at)))
        at--;
    if (!ends_texts(t, e->ids[at])) return;
    memset(learned + at + 1, 0, last - at);
}

/* Marks the tokens that reach into an answer. */
static void learn(const coding *w, const tuff_encoding *e, const char *text, bool marked,
                  tuff_conversation_ids *out)
{
    size_t i = 0;
    memset(out->learned, 0, e->count);
    for (size_t a = 0; a < w->count; a++) {
        const tuff_span answer = w->answers[a];
        while (i < e->count && (e->texts[i] < 0 || bytes_of(e, i).end <= answer.start))
            i++;
        const size_t begin = i;
        const size_t before = i && e->texts[i - 1] == 0 ? e->spans[i - 1].end : 0;
        out->shared += i < e->count && before < answer.start;
        for (; i < e->count && e->texts[i] == 0 && bytes_of(e, i).start < answer.end; i++)
            out->learned[i] = 1;
        if (!marked && i > begin) end_answer(w->coder->tokenizer, e, text, begin, i - 1, out->learned);
        if (i > begin && i < e->count && out->learned[i - 1])
            i--; /* one token may end an answer and begin the next */
    }
}

/* The tokenizer's end of text behind the last answer, where nothing else ends it. */
static tuff_status end_text(const coding *w, const tuff_encoding *e, const char *text,
                            tuff_conversation_ids *out)
{
    const tuff_tokenizer *t = w->coder->tokenizer;
    size_t n = out->count;
    if (!tuff_tokenizer_eos_count(t) || !w->count) return TUFF_OK;
    while (n && !out->learned[n - 1] && e->texts[n - 1] == 0 && !ends_texts(t, out->ids[n - 1]) &&
           is_space(text, bytes_of(e, n - 1)))
        n--;
    if (!n || !out->learned[n - 1] || ends_texts(t, out->ids[n - 1])) return TUFF_OK;
    TUFF_TRY(reserve(out, n + 1));
    out->ids[n] = tuff_tokenizer_eos(t, 0);
    out->learned[n] = 1;
    out->count = n + 1;
    return TUFF_OK;
}

/* One begin of text. */
static void drop_second_begin(const tuff_tokenizer *t, tuff_conversation_ids *out)
{
    const int32_t bos = tuff_tokenizer_bos(t);
    if (bos < 0 || out->count < 2 || out->ids[0] != bos || out->ids[1] != bos) return;
    out->count--;
    memmove(out->ids, out->ids + 1, out->count * sizeof *out->ids);
    memmove(out->learned, out->learned + 1, out->count);
}

static tuff_status cut_up(const coding *w, const char *text, size_t size, tuff_encoding **out)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.flags = w->c->plain ? TUFF_ENCODE_ADD_SPECIAL : 0;
    params.spans = true;
    params.watch = w->coder->watch;
    return tuff_tokenizer_encode_pair(w->coder->tokenizer, (tuff_piece){text, size}, (tuff_piece){NULL, 0},
                                      &params, out);
}

/* A second begin of text may go yet, and an end come. */
static tuff_span kept_of(const coding *w, const tuff_encoding *e)
{
    const size_t most = w->coder->kept;
    tuff_span kept = {0, w->text->size};
    if (!most || e->count <= most) return kept;
    if (w->coder->keep_last)
        kept.start = bytes_of(e, e->count - most).start;
    else
        kept.end = bytes_of(e, most).end;
    return kept;
}

static tuff_status finish(const coding *w, const tuff_encoding *e, const char *text, bool marked,
                          tuff_conversation_ids *out)
{
    const tuff_tokenizer *t = w->coder->tokenizer;
    TUFF_TRY(reserve(out, e->count + 1));
    out->count = e->count;
    if (e->count) memcpy(out->ids, e->ids, e->count * sizeof *e->ids);
    learn(w, e, text, marked, out);
    /* the end that the tokenizer puts behind texts is learned, too */
    const size_t last = e->count ? e->count - 1 : 0;
    if (e->count && e->texts[last] < 0 && tuff_tokenizer_is_eos(t, e->ids[last])) out->learned[last] = 1;
    TUFF_TRY(end_text(w, e, text, out));
    drop_second_begin(t, out);
    if (w->coder->learn_all) memset(out->learned, 1, out->count);
    for (size_t i = 0; i < out->count; i++)
        out->learned_count += out->learned[i];
    return TUFF_OK;
}

static tuff_status encode_turns(coding *w, tuff_conversation_ids *out)
{
    const tuff_chat_template *t = w->coder->chat_template;
    const bool marked = tuff_chat_template_marks(t);
    tuff_encoding *e = NULL;
    tuff_status status;
    if (!t)
        return tuff_fail(TUFF_NOT_FOUND,
                         "the model has no chat template, which conversations need; choose one");
    TUFF_TRY(print_messages(w));
    TUFF_TRY(render(w, w->turns, false, &w->text));
    TUFF_TRY(cut_up(w, w->text->data, w->text->size, &e));
    w->kept = kept_of(w, e);
    TUFF_GO(marked ? take_marks(w) : find_answers(w));
    TUFF_GO(finish(w, e, w->text->data, marked, out));
done:
    tuff_encoding_destroy(&e);
    return status;
}

static tuff_status encode_plain(coding *w, tuff_conversation_ids *out)
{
    const cJSON *message;
    tuff_buf text = {0};
    tuff_encoding *e = NULL;
    size_t turn = 0, begin = 0;
    cJSON_ArrayForEach(message, w->c->messages)
    {
        if (turn++ == w->c->given) begin = text.size;
        tuff_buf_text(&text, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content")));
    }
    w->answers = tuff_alloc_array(1, sizeof *w->answers);
    tuff_status status = w->answers && !text.failed ? TUFF_OK : tuff_fail_memory("a conversation");
    if (status == TUFF_OK) {
        w->answers[w->count++] = (tuff_span){begin, text.size};
        status = cut_up(w, text.data ? text.data : "", text.size, &e);
    }
    if (status == TUFF_OK) status = finish(w, e, text.data ? text.data : "", true, out);
    tuff_encoding_destroy(&e);
    tuff_buf_free(&text);
    return status;
}

tuff_status tuff_conversation_encode(const tuff_conversation_coder *coder,
                                     const tuff_conversation *conversation, tuff_conversation_ids *out)
{
    coding w = {.coder = coder, .c = conversation};
    out->count = out->learned_count = out->shared = 0;
    const tuff_status status = conversation->plain ? encode_plain(&w, out) : encode_turns(&w, out);
    free_coding(&w);
    return status;
}

void tuff_conversation_ids_free(tuff_conversation_ids *ids)
{
    tuff_free(ids->ids);
    tuff_free(ids->learned);
    *ids = (tuff_conversation_ids){0};
}
