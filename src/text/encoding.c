/* A text or a pair of texts as the input of a model: the template, truncation, windows. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/structs.h"
#include "text/encode.h"
#include "text/unicode_class.h"

/* Tokens [start, end) of those that were encoded. */
typedef struct range {
    size_t start, end;
} range;

/* ---- offsets without white space ---- */

/* How many characters of white space the text begins or ends with; "\u0120" is a space of byte-level
 * spelling. */
static size_t count_spaces(tuff_view text, bool at_end)
{
    size_t count = 0;
    while (text.size) {
        uint32_t c;
        size_t size = 1;
        while (at_end && size < text.size && ((uint8_t)text.data[text.size - size] & 0xc0) == 0x80)
            size++;
        size = tuff_utf8_decode(at_end ? text.data + text.size - size : text.data, at_end ? size : text.size,
                                &c);
        if (!size || !(c == 0x120 || tuff_is_space(c))) break;
        if (!at_end) text.data += size;
        text.size -= size;
        count++;
    }
    return count;
}

static size_t next_character(tuff_view text, size_t at)
{
    for (at++; at < text.size && ((uint8_t)text.data[at] & 0xc0) == 0x80; at++) {
    }
    return at;
}

static size_t previous_character(tuff_view text, size_t at)
{
    for (at--; at > 0 && ((uint8_t)text.data[at] & 0xc0) == 0x80; at--) {
    }
    return at;
}

/* As the library's ByteLevel processor: white space that a token is spelled with is not in its span, but for
 * the one space that may have been put before the text. */
static void trim(const tuff_tokenizer *t, tuff_view text, tuff_pieces *pieces, range tokens)
{
    for (size_t i = tokens.start; i < tokens.end; i++) {
        tuff_span *span = &pieces->spans[i];
        const tuff_token *token = &t->tokens[pieces->ids.data[i]];
        bool added = token->special || token->type == TUFF_TOKEN_USER_DEFINED;
        tuff_view here = {text.data + span->start, span->end - span->start};
        tuff_view spelled =
            added ? here : token->text; /* added tokens may have taken white space with them */
        size_t leading = count_spaces(spelled, false), trailing = count_spaces(spelled, true);
        bool first = i == tokens.start || span->start == 0;
        if (first && t->trim_prefix && leading == 1) leading = 0;
        while (leading-- && span->start < span->end)
            span->start = next_character(text, span->start);
        while (trailing-- && span->start < span->end)
            span->end = previous_character(text, span->end);
    }
}

/* ---- truncation ---- */

static tuff_status no_room(size_t max_length, size_t specials)
{
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "max_length is %zu, and the tokenizer puts %zu tokens around the text: nothing can be cut "
        "off to make them fit",
        max_length, specials);
}

/* How many tokens of each text are kept of n[0] and n[1], with room for `room`: of the longer one no fewer
 * than of the other. */
static void longest_first(const size_t n[2], size_t room, size_t kept[2])
{
    size_t small = n[0] <= n[1] ? 0 : 1, large = 1 - small;
    kept[small] = n[small] <= room / 2 ? n[small] : room / 2;
    kept[large] = room - kept[small] < n[large] ? room - kept[small] : n[large];
}

/* Fills `kept` from how many tokens there are. */
static tuff_status truncate(const tuff_encode_params *p, bool pair, const size_t n[2], size_t specials,
                            size_t kept[2])
{
    kept[0] = n[0];
    kept[1] = n[1];
    if (p->max_length == 0 || n[0] + n[1] + specials <= p->max_length) return TUFF_OK;
    if (p->max_length < specials) return no_room(p->max_length, specials);
    size_t room = p->max_length - specials, cut = p->truncation == TUFF_TRUNCATE_ONLY_SECOND;
    if (p->truncation == TUFF_TRUNCATE_LONGEST_FIRST) {
        if (pair)
            longest_first(n, room, kept);
        else
            kept[0] = room;
        return TUFF_OK;
    }
    size_t other = n[1 - cut];
    if (other && other >= room)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "max_length is %u, but the text that is not to be cut has %zu tokens, and the tokenizer "
            "adds %zu",
            p->max_length, other, specials);
    kept[cut] = room - other;
    return TUFF_OK;
}

/* ---- the result ---- */

static tuff_status new_encoding(size_t count, bool spans, tuff_encoding **out)
{
    size_t each = sizeof(int32_t) * 2 + sizeof(int8_t) + (spans ? sizeof(tuff_span) : 0), bytes;
    *out = NULL;
    if (tuff_mul_size(count, each, &bytes) && tuff_add_size(bytes, sizeof **out, &bytes))
        *out = tuff_alloc(bytes);
    if (!*out) return tuff_fail_memory("encoding a text");
    tuff_encoding *e = *out;
    char *data = (char *)(e + 1);
    e->count = count;
    if (spans) {
        e->spans = (const tuff_span *)data;
        data += count * sizeof(tuff_span);
    }
    e->ids = (const int32_t *)data;
    e->type_ids = e->ids + count;
    e->texts = (const int8_t *)(e->type_ids + count);
    return TUFF_OK;
}

/* One of the two texts, or a special token, from place `at` on. Returns the place after it. */
static size_t put_part(const tuff_encoding *e, const tuff_pieces *pieces, const tuff_template_part *part,
                       const range kept[2], size_t at)
{
    /* The library makes it, and nobody else has seen it yet. */
    int32_t *ids = (int32_t *)(uintptr_t)e->ids, *types = (int32_t *)(uintptr_t)e->type_ids;
    int8_t *texts = (int8_t *)(uintptr_t)e->texts;
    tuff_span *spans = (tuff_span *)(uintptr_t)e->spans;
    int8_t from = part->id == TUFF_PART_FIRST ? 0 : part->id == TUFF_PART_SECOND ? 1 : -1;
    size_t count = from < 0 ? 1 : kept[from].end - kept[from].start;
    for (size_t i = 0; i < count; i++, at++) {
        size_t piece = from < 0 ? 0 : kept[from].start + i;
        ids[at] = from < 0 ? part->id : pieces->ids.data[piece];
        types[at] = part->type;
        texts[at] = from;
        if (spans && from >= 0) spans[at] = pieces->spans[piece];
    }
    return at;
}

/* What one call knows. */
typedef struct job {
    const tuff_tokenizer *tokenizer;
    tuff_encode_params params;
    tuff_encoder encoder;
    bool pair;
    range texts[2]; /* their tokens */
} job;

static bool with_specials(const job *j)
{
    return (j->params.flags & TUFF_ENCODE_ADD_SPECIAL) != 0;
}

static const tuff_template *template_of(const job *j)
{
    return j->pair ? &j->tokenizer->pair : &j->tokenizer->single;
}

static tuff_status assemble(const job *j, const range kept[2], tuff_encoding **out)
{
    const tuff_template *template = template_of(j);
    size_t count = kept[0].end - kept[0].start + kept[1].end - kept[1].start, at = 0;
    if (with_specials(j)) count += tuff_template_specials(template);
    TUFF_TRY(new_encoding(count, j->params.spans, out));
    for (size_t i = 0; i < template->count; i++) {
        if (template->parts[i].id < 0 || with_specials(j))
            at = put_part(*out, &j->encoder.pieces, &template->parts[i], kept, at);
    }
    for (size_t i = 0; i < 2; i++)
        (*out)->first[i] = kept[i].start - j->texts[i].start;
    return TUFF_OK;
}

/* The windows after the first, which has kept[cut] of the text that is cut. */
static tuff_status add_windows(const job *j, range kept[2], size_t cut, tuff_encoding *first)
{
    size_t size = kept[cut].end - kept[cut].start;
    const tuff_encoding **last = &first->next;
    if (kept[cut].end == j->texts[cut].end) return TUFF_OK;
    if (j->params.overlap >= size)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the windows have room for %zu tokens of the text, and overlap is %u: it must be less", size,
            j->params.overlap);
    while (kept[cut].end < j->texts[cut].end) {
        size_t left;
        kept[cut].start += size - j->params.overlap;
        left = j->texts[cut].end - kept[cut].start;
        kept[cut].end = kept[cut].start + (left < size ? left : size);
        tuff_encoding *window;
        TUFF_TRY(assemble(j, kept, &window));
        *last = window;
        last = &window->next;
    }
    return TUFF_OK;
}

static tuff_status make_encoding(const job *j, tuff_encoding **out)
{
    const size_t n[2] = {j->texts[0].end - j->texts[0].start, j->texts[1].end - j->texts[1].start};
    size_t kept[2], specials = with_specials(j) ? tuff_template_specials(template_of(j)) : 0;
    range ranges[2];
    size_t cut = j->params.truncation == TUFF_TRUNCATE_ONLY_SECOND;
    TUFF_TRY(truncate(&j->params, j->pair, n, specials, kept));
    for (size_t i = 0; i < 2; i++) {
        ranges[i] = j->texts[i];
        if (j->params.keep_end)
            ranges[i].start = ranges[i].end - kept[i];
        else
            ranges[i].end = ranges[i].start + kept[i];
    }
    TUFF_TRY(assemble(j, ranges, out));
    if (j->params.windows) return add_windows(j, ranges, cut, *out);
    for (size_t i = 0; i < 2; i++)
        (*out)->lost[i] = n[i] - kept[i];
    return TUFF_OK;
}

static tuff_status encode_text(job *j, tuff_piece text, range *out)
{
    tuff_encoder *e = &j->encoder;
    out->start = e->pieces.ids.size;
    TUFF_TRY(tuff_encoder_text(e, (tuff_view){text.data, text.size}));
    out->end = e->pieces.ids.size;
    if (j->params.spans && j->tokenizer->trim)
        trim(j->tokenizer, (tuff_view){text.data, text.size}, &e->pieces, *out);
    return TUFF_OK;
}

static tuff_status check(const job *j)
{
    const tuff_encode_params *p = &j->params;
    if (p->truncation < TUFF_TRUNCATE_LONGEST_FIRST || p->truncation > TUFF_TRUNCATE_ONLY_SECOND)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "truncation is %d, expected a value of tuff_truncation",
                         (int)p->truncation);
    if (p->truncation == TUFF_TRUNCATE_ONLY_SECOND && !j->pair)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the second text is to be cut, and there is none");
    if (p->windows && p->keep_end)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "windows keep all of a text: keep_end does not go with them");
    if (p->windows && j->pair && p->truncation == TUFF_TRUNCATE_LONGEST_FIRST)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "windows of a pair need to know which text is cut: TUFF_TRUNCATE_ONLY_FIRST or _SECOND");
    if (!template_of(j)->count)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "the tokenizer's post-processor has no template for pairs of texts");
    return TUFF_OK;
}

static tuff_status run(job *j, tuff_piece text, tuff_piece pair, tuff_encoding **out)
{
    TUFF_TRY(check(j));
    TUFF_TRY(tuff_encoder_begin(&j->encoder, j->tokenizer, j->params.flags, j->params.spans, j->params.watch,
                                (uint64_t)text.size + pair.size));
    TUFF_TRY(encode_text(j, text, &j->texts[0]));
    if (j->pair) TUFF_TRY(encode_text(j, pair, &j->texts[1]));
    TUFF_TRY(make_encoding(j, out));
    return tuff_encoder_finish(&j->encoder);
}

tuff_status tuff_tokenizer_encode_pair(const tuff_tokenizer *tokenizer, tuff_piece text, tuff_piece pair,
                                       const tuff_encode_params *params, tuff_encoding **out_encoding)
{
    TUFF_NEED_OUT(out_encoding);
    TUFF_NEED(tokenizer);
    TUFF_NEED_MANY(text.data, text.size);
    TUFF_NEED_MANY(pair.data, pair.size);
    job j = {.tokenizer = tokenizer, .params = TUFF_ENCODE_PARAMS_INIT, .pair = pair.data != NULL};
    TUFF_TRY(TUFF_TAKE(&j.params, params, TUFF_ENCODE_PARAMS_INIT, watch));
    tuff_status status = run(&j, text, pair, out_encoding);
    tuff_encoder_end(&j.encoder);
    if (status != TUFF_OK) tuff_encoding_destroy(out_encoding);
    return status;
}

void tuff_encoding_destroy(tuff_encoding **encoding)
{
    if (!encoding) return;
    tuff_encoding *e = *encoding;
    while (e) {
        tuff_encoding *next = (tuff_encoding *)(uintptr_t)e->next;
        tuff_free(e);
        e = next;
    }
    *encoding = NULL;
}

uint32_t tuff_tokenizer_special_count(const tuff_tokenizer *tokenizer, bool pair)
{
    if (!tokenizer) return 0;
    return (uint32_t)tuff_template_specials(pair ? &tokenizer->pair : &tokenizer->single);
}
