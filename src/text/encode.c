#include "text/encode.h"

#include "base/status.h"
#include "base/watch.h"

/* Bytes that are checked in the time that one is encoded in. */
enum { VALID_SPEED = 16 };

static bool is_inside(tuff_view text, size_t at)
{
    return at > 0 && at < text.size && ((uint8_t)text.data[at] & 0xc0) == 0x80;
}

/* From bytes of the text that is encoded to those of the user's: whole characters of it. */
static tuff_span of_text(const tuff_encoder *e, tuff_span span)
{
    while (is_inside(e->text, span.start))
        span.start--;
    while (is_inside(e->text, span.end))
        span.end++;
    return tuff_origins_find(&e->repairs, span);
}

static tuff_span of_normalized(const tuff_encoder *e, tuff_span span)
{
    span = tuff_origins_find(&e->normalizing.origins, span);
    return of_text(e, (tuff_span){span.start + e->normalized_at, span.end + e->normalized_at});
}

static tuff_status model_word(tuff_encoder *e, tuff_view word)
{
    const tuff_tokenizer *t = e->tokenizer;
    switch (t->model) {
    case TUFF_WORDS_WORDPIECE:
        return tuff_wordpiece_encode(&t->wordpiece, word, &e->pace, &e->pieces);
    case TUFF_WORDS_UNIGRAM:
        return tuff_unigram_encode(&t->unigram, word, &e->unigram, &e->pieces);
    case TUFF_WORDS_BPE:
        break;
    }
    return tuff_bpe_encode(&t->bpe, word, &e->bpe, &e->pieces);
}

static tuff_status encode_word(void *user, tuff_view word)
{
    tuff_encoder *e = user;
    size_t first = e->pieces.ids.size;
    if (word.size > e->words_room)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "the tokenizer's pre-tokenizer makes more than %zu bytes of %zu, and Tuff allows 64 "
                         "times a text and 262144",
                         4 * tuff_normalize_room(e->text.size), e->text.size);
    e->words_room -= word.size;
    if (e->bpe.outer) e->pace.length = word.size;
    TUFF_TRY(model_word(e, word));
    size_t at = (size_t)(e->split.piece.data - e->normalized.data);
    for (size_t i = first; e->pieces.traced && i < e->pieces.ids.size; i++) {
        tuff_span span = tuff_split_origin(&e->split, word, e->pieces.spans[i]);
        e->pieces.spans[i] = of_normalized(e, (tuff_span){span.start + at, span.end + at});
    }
    return TUFF_OK;
}

/* What is done with the text between added tokens, and where those stand in the user's text. */
typedef struct stage {
    const tuff_added_set *set;
    tuff_status (*gap)(tuff_encoder *e, tuff_view text, bool first);
    tuff_span (*place)(const tuff_encoder *e, tuff_span span);
} stage;

/* Adds the ids of the set's tokens in the text, and hands what lies between them on. */
static tuff_status around_added(tuff_encoder *e, const stage *s, tuff_view text, bool first)
{
    tuff_added_search search = {.pace = &e->pace};
    const tuff_added_token *token;
    size_t done = 0, start, end;
    while (s->set->count) {
        TUFF_TRY(tuff_added_next(s->set, text, e->plain_special, &search, &token, &start, &end));
        if (!token) break;
        if (start > done)
            TUFF_TRY(s->gap(e, (tuff_view){text.data + done, start - done}, first && done == 0));
        tuff_span span = {start, end};
        if (e->pieces.traced) span = s->place(e, span);
        if (!tuff_pieces_add(&e->pieces, token->id, span.start, span.end))
            return tuff_fail_memory("encoding a text");
        done = end;
    }
    if (done < text.size)
        TUFF_TRY(s->gap(e, (tuff_view){text.data + done, text.size - done}, first && done == 0));
    return TUFF_OK;
}

static tuff_status encode_normalized(tuff_encoder *e, tuff_view text, bool first)
{
    return tuff_split(&e->split, text, first);
}

static tuff_status encode_raw(tuff_encoder *e, tuff_view text, bool first)
{
    const tuff_tokenizer *t = e->tokenizer;
    const stage normalized = {&t->normalized_added, encode_normalized, of_normalized};
    e->normalized_at = (size_t)(text.data - e->text.data);
    e->pace.start = e->texts_before + e->normalized_at;
    e->pace.size = text.size;
    e->pace.at = e->pace.length = 0;
    e->normalized = text;
    if (t->normalizer_count)
        TUFF_TRY(tuff_normalize(t->normalizers, t->normalizer_count, text, e->pieces.traced, &e->room,
                                &e->pace, &e->normalizing, &e->normalized));
    return around_added(e, &normalized, e->normalized, first);
}

/* Repairs the text where it is not UTF-8. */
static tuff_status take_text(tuff_encoder *e, tuff_view text)
{
    bool valid = true;
    for (size_t at = 0, part; at < text.size && valid; at += part) {
        part = text.size - at < TUFF_PACE_WORK ? text.size - at : TUFF_PACE_WORK;
        if (part < text.size - at) part = tuff_utf8_complete(text.data + at, part);
        valid = tuff_utf8_valid(text.data + at, part);
        TUFF_TRY(tuff_pace_work(&e->pace, part / VALID_SPEED));
    }
    e->text = text;
    tuff_origins_clear(&e->repairs);
    if (valid) return TUFF_OK;
    e->repaired.origins = e->pieces.traced ? &e->repairs : NULL;
    tuff_made_clear(&e->repaired);
    TUFF_TRY(tuff_repair_utf8(text, &e->pace, &e->repaired));
    e->text = (tuff_view){e->repaired.text.data, e->repaired.text.size};
    e->pace.total += e->text.size - text.size;
    return TUFF_OK;
}

tuff_status tuff_encoder_begin(tuff_encoder *e, const tuff_tokenizer *t, unsigned flags, bool traced,
                               const tuff_watch *watch, uint64_t total)
{
    *e = (tuff_encoder){.tokenizer = t,
                        .plain_special = (flags & TUFF_ENCODE_PLAIN_SPECIAL) != 0,
                        .pace = {.watch = watch, .total = total}};
    e->pieces.traced = traced;
    TUFF_TRY(tuff_watch_check(watch));
    if (traced && total > TUFF_ORIGINS_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "the places of tokens in %llu bytes of text: Tuff finds them in up to %d; "
                         "cut the text into parts",
                         (unsigned long long)total, TUFF_ORIGINS_LIMIT);
    TUFF_TRY(tuff_split_begin(t->splitters, t->splitter_count, traced, encode_word, e, &e->pace, &e->split));
    e->bpe.pace = e->unigram.pace = &e->pace;
    e->bpe.outer = e->unigram.outer = e->split.outer == e->split.count;
    e->unigram.plain = e->plain_special;
    return tuff_pace_ask(&e->pace);
}

tuff_status tuff_encoder_text(tuff_encoder *e, tuff_view text)
{
    const stage raw = {&e->tokenizer->raw_added, encode_raw, of_text};
    e->pace.start = e->texts_before;
    e->pace.at = e->pace.length = e->pace.size = 0;
    TUFF_TRY(take_text(e, text));
    e->room = tuff_normalize_room(e->text.size);
    e->words_room = e->room > SIZE_MAX / 4 ? SIZE_MAX : e->room * 4;
    TUFF_TRY(around_added(e, &raw, e->text, true));
    e->texts_before += e->text.size;
    return TUFF_OK;
}

tuff_status tuff_encoder_finish(tuff_encoder *e)
{
    return tuff_watch_step(e->pace.watch, TUFF_PHASE_TOKENIZE, e->pace.total, e->pace.total);
}

void tuff_encoder_end(tuff_encoder *e)
{
    tuff_pieces_free(&e->pieces);
    tuff_split_end(&e->split);
    tuff_bpe_scratch_free(&e->bpe);
    tuff_unigram_scratch_free(&e->unigram);
    tuff_normalizing_free(&e->normalizing);
    tuff_buf_free(&e->repaired.text);
    tuff_origins_free(&e->repairs);
}

/* ---- one text, ids alone ---- */

/* Adds the ids of the template that are in [first, end) of its parts. */
static tuff_status add_specials(tuff_encoder *e, const tuff_template *template, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (!tuff_ids_add(&e->pieces.ids, template->parts[i].id)) return tuff_fail_memory("encoding a text");
    }
    return TUFF_OK;
}

static tuff_status encode(tuff_encoder *e, tuff_view text, bool add_special)
{
    const tuff_template *single = &e->tokenizer->single;
    size_t before = tuff_template_before(single);
    if (add_special) TUFF_TRY(add_specials(e, single, 0, before));
    TUFF_TRY(tuff_encoder_text(e, text));
    if (add_special) TUFF_TRY(add_specials(e, single, before + 1, single->count));
    return tuff_encoder_finish(e);
}

tuff_status tuff_tokenizer_encode_watched(const tuff_tokenizer *tokenizer, const char *text, size_t size,
                                          unsigned flags, const tuff_watch *watch, int32_t **out_ids,
                                          size_t *out_count)
{
    TUFF_NEED_OUT(out_ids);
    TUFF_NEED_OUT(out_count);
    TUFF_NEED(tokenizer);
    TUFF_NEED_MANY(text, size);
    tuff_encoder e;
    tuff_status status = tuff_encoder_begin(&e, tokenizer, flags, false, watch, size);
    if (status == TUFF_OK)
        status = encode(&e, (tuff_view){text, size}, (flags & TUFF_ENCODE_ADD_SPECIAL) != 0);
    if (status == TUFF_OK) {
        *out_ids = e.pieces.ids.data;
        *out_count = e.pieces.ids.size;
        e.pieces.ids.data = NULL;
    }
    tuff_encoder_end(&e);
    return status;
}

tuff_status tuff_tokenizer_encode(const tuff_tokenizer *tokenizer, const char *text, size_t size,
                                  unsigned flags, int32_t **out_ids, size_t *out_count)
{
    TUFF_NEED_OUT(out_ids);
    TUFF_NEED(out_count);
    TUFF_NEED(tokenizer);
    TUFF_NEED_MANY(text, size);
    return tuff_tokenizer_encode_watched(tokenizer, text, size, flags, NULL, out_ids, out_count);
}
