/* Answers to questions: the parts of a context, read in windows where it is long, that begin and end best. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "base/text.h"
#include "predict/predictor.h"
#include "text/unicode_class.h"

enum { USUAL_OVERLAP = 128, USUAL_LONGEST = 15, MOST_ANSWERS = 64, MOST_LONGEST = 4096 };

/* ---- whole words ---- */

static bool is_word_at(tuff_piece text, size_t at)
{
    uint32_t c = 0;
    size_t size = tuff_utf8_decode(text.data + at, text.size - at, &c);
    return size > 0 && !tuff_is_space(c) && !tuff_is_punctuation(c) && !tuff_is_other(c) &&
           !tuff_is_chinese(c);
}

static size_t before(tuff_piece text, size_t at)
{
    for (at--; at > 0 && ((uint8_t)text.data[at] & 0xc0) == 0x80;)
        at--;
    return at;
}

static size_t after(tuff_piece text, size_t at)
{
    for (at++; at < text.size && ((uint8_t)text.data[at] & 0xc0) == 0x80;)
        at++;
    return at;
}

static tuff_span to_words(tuff_piece text, tuff_span span)
{
    if (span.start >= span.end || span.end > text.size) return span;
    bool first = is_word_at(text, span.start), last = is_word_at(text, before(text, span.end));
    while (first && span.start > 0 && is_word_at(text, before(text, span.start)))
        span.start = before(text, span.start);
    while (last && span.end < text.size && is_word_at(text, span.end))
        span.end = after(text, span.end);
    return span;
}

/* ---- the best ---- */

typedef struct best {
    tuff_answer *items; /* best first */
    size_t count, most;
} best;

/* Of equal parts the better one counts. */
static void offer(best *b, tuff_span span, float score)
{
    size_t at = b->count;
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].span.start != span.start || b->items[i].span.end != span.end) continue;
        if (b->items[i].score >= score) return;
        memmove(b->items + i, b->items + i + 1, (b->count - i - 1) * sizeof *b->items);
        at = --b->count;
        break;
    }
    while (at > 0 && b->items[at - 1].score < score)
        at--;
    if (at >= b->most) return;
    if (b->count == b->most) b->count--;
    memmove(b->items + at + 1, b->items + at, (b->count - at) * sizeof *b->items);
    b->items[at] = (tuff_answer){.span = span, .score = score};
    b->count++;
}

/* One of two outputs of a window's tokens as probabilities of those that an answer may have, and of the token
 * that stands for none. */
static void probabilities(const tuff_encoding *e, const float *rows, int which, int32_t cls, double *out)
{
    double largest = -INFINITY, sum = 0;
    for (size_t k = 0; k < e->count; k++) {
        bool counts = e->texts[k] == 1 || (e->texts[k] < 0 && e->ids[k] == cls);
        out[k] = counts ? (double)rows[2 * k + (size_t)which] : -INFINITY;
        largest = fmax(largest, out[k]);
    }
    for (size_t k = 0; k < e->count; k++)
        sum += out[k] = largest > -INFINITY ? exp(out[k] - largest) : 0;
    for (size_t k = 0; k < e->count && sum > 0; k++)
        out[k] /= sum;
}

typedef struct reading {
    const tuff_answer_params *params;
    double *begins, *ends; /* of the tokens of a window */
    double none;           /* the least probability that a window has no answer */
} reading;

static void read_window(const tuff_predict_call *call, const tuff_predict_text *text, reading *r, best *out)
{
    const tuff_encoding *e = text->encoding;
    const tuff_piece context = call->inputs[text->input].pair;
    const int32_t cls = tuff_tokenizer_cls(call->predictor->tokenizer);
    const float *rows = call->rows + 2 * text->start;
    probabilities(e, rows, 0, cls, r->begins);
    probabilities(e, rows, 1, cls, r->ends);
    r->none = fmin(r->none, r->begins[0] * r->ends[0]);
    for (size_t s = 0; s < e->count; s++) {
        if (e->texts[s] != 1) continue;
        for (size_t k = s; k < e->count && k < s + (size_t)r->params->longest; k++) {
            if (e->texts[k] != 1) break;
            double score = r->begins[s] * r->ends[k];
            if (out->count == out->most && (float)score <= out->items[out->count - 1].score) continue;
            tuff_span span = {e->spans[s].start, e->spans[k].end};
            offer(out, r->params->tokens ? span : to_words(context, span), (float)score);
        }
    }
}

/* ---- questions ---- */

/* The windows of input i. */
static tuff_status encode(tuff_predict_call *call, size_t i, const tuff_answer_params *p)
{
    tuff_encode_params params = tuff_predict_encode_params(call);
    tuff_encoding *question = NULL;
    const tuff_piece none = {NULL, 0};
    TUFF_TRY(tuff_tokenizer_encode_pair(
        call->predictor->tokenizer, call->inputs[i].text, none,
        &(tuff_encode_params){.struct_size = sizeof params, .flags = params.flags, .watch = params.watch},
        &question));
    size_t taken = question->count - tuff_tokenizer_special_count(call->predictor->tokenizer, false) +
                   tuff_tokenizer_special_count(call->predictor->tokenizer, true);
    tuff_encoding_destroy(&question);
    if (taken >= params.max_length)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "question %zu takes %zu tokens with those around it, and a window has %u: it leaves no room "
            "for the context",
            i, taken, params.max_length);
    size_t room = params.max_length - taken, overlap = (size_t)p->overlap;
    if (!overlap) overlap = params.max_length / 2 < USUAL_OVERLAP ? params.max_length / 2 : USUAL_OVERLAP;
    if (!p->overlap && overlap >= room) overlap = room / 2; /* a long question: windows still move on */
    if (p->overlap && overlap >= room)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "beside question %zu a window has room for %zu tokens, and the overlap is %zu: it must be less",
            i, room, overlap);
    params.truncation = TUFF_TRUNCATE_ONLY_SECOND;
    params.windows = params.spans = true;
    params.overlap = (uint32_t)overlap;
    return tuff_predict_encode(call, i, &params);
}

static tuff_status answer(tuff_predict_call *call, const tuff_answer_params *p, tuff_answer *out_answers,
                          size_t *out_counts)
{
    const size_t most = (size_t)p->answers, longest = (size_t)call->predictor->packed.max_length;
    for (size_t i = 0; i < call->n; i++)
        TUFF_TRY(encode(call, i, p));
    TUFF_TRY(tuff_predict_run(call));
    const uint64_t tokens = (uint64_t)call->result.tokens;
    tuff_watched work = {.watch = call->watch, .phase = TUFF_PHASE_PREDICT, .done = tokens, .total = tokens};
    double *memory = tuff_alloc_array(2 * longest, sizeof *memory);
    if (!memory) return tuff_fail_memory("answers");
    tuff_status status = TUFF_OK;
    for (size_t i = 0, t = 0; i < call->n && status == TUFF_OK; i++) {
        reading r = {.params = p, .begins = memory, .ends = memory + longest, .none = INFINITY};
        best found = {.items = out_answers + i * most, .most = most};
        memset(found.items, 0, most * sizeof *found.items);
        for (; t < call->count && call->texts[t].input == i && status == TUFF_OK; t++) {
            read_window(call, &call->texts[t], &r, &found);
            status = tuff_watched_within(&work, 0, 0);
        }
        if (p->maybe_none) offer(&found, (tuff_span){0, 0}, (float)r.none);
        out_counts[i] = found.count;
    }
    tuff_free(memory);
    return status;
}

static tuff_status check_count(const char *what, int64_t *value, int64_t usual, int64_t most)
{
    if (*value < 0 || *value > most)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %lld, expected 1 to %lld, or 0 for the default", what,
                         (long long)*value, (long long)most);
    if (!*value) *value = usual;
    return TUFF_OK;
}

tuff_status tuff_answer_questions(tuff_predictor *predictor, const tuff_predict_input *inputs, size_t n,
                                  const tuff_answer_params *params, tuff_answer *out_answers,
                                  size_t *out_counts, tuff_predict_result *out_result)
{
    TUFF_NEED(predictor);
    TUFF_NEED_MANY(inputs, n);
    TUFF_NEED_MANY(out_answers, n);
    TUFF_NEED_MANY(out_counts, n);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_PREDICT_RESULT_INIT, truncated));
    tuff_answer_params given = TUFF_ANSWER_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&given, params, TUFF_ANSWER_PARAMS_INIT, watch));
    TUFF_TRY(check_count("answers", &given.answers, 1, MOST_ANSWERS));
    TUFF_TRY(check_count("longest", &given.longest, USUAL_LONGEST, MOST_LONGEST));
    TUFF_TRY(check_count("overlap", &given.overlap, 0, 1 << 24));
    tuff_predict_call call = {.predictor = predictor, .inputs = inputs, .n = n};
    tuff_status status = tuff_predict_begin(&call, TUFF_PREDICT_ANSWERS, given.watch);
    if (status == TUFF_OK) status = answer(&call, &given, out_answers, out_counts);
    return tuff_predict_end(&call, status, out_result);
}
