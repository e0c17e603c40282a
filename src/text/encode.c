#include "text/tokenizer_impl.h"

#include "base/status.h"
#include "base/watch.h"

/* Bytes that are checked in the time that one is encoded in. */
enum { VALID_SPEED = 16 };

typedef struct encoding {
    const tuff_tokenizer *tokenizer;
    tuff_view text;    /* valid UTF-8 */
    size_t room;       /* bytes that normalizing may still give */
    size_t words_room; /* bytes that cutting may still give */
    bool plain_special;
    tuff_bpe_scratch scratch;
    tuff_split_run split;
    tuff_buf normalized;
    tuff_ids ids;
    tuff_pace pace;
} encoding;

static tuff_status add_ids(encoding *e, const int32_t *ids, size_t count)
{
    return tuff_ids_append(&e->ids, ids, count) ? TUFF_OK : tuff_fail_memory("encoding a text");
}

static tuff_status encode_word(void *user, tuff_view word)
{
    encoding *e = user;
    if (word.size > e->words_room)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "the tokenizer's pre-tokenizer makes more than %zu bytes of %zu, and Tuff allows 64 "
                         "times a text and 262144",
                         4 * tuff_normalize_room(e->text.size), e->text.size);
    e->words_room -= word.size;
    if (e->scratch.outer) e->pace.length = word.size;
    return tuff_bpe_encode(&e->tokenizer->bpe, word, &e->scratch, &e->ids);
}

typedef tuff_status (*gap_fn)(encoding *e, tuff_view text, bool first);

/* Adds the ids of the set's tokens in the text, and hands what lies between them on. */
static tuff_status around_added(encoding *e, const tuff_added_set *set, tuff_view text, bool first, gap_fn fn)
{
    tuff_added_search search = {.pace = &e->pace};
    const tuff_added_token *token;
    size_t done = 0, start, end;
    while (set->count) {
        TUFF_TRY(tuff_added_next(set, text, e->plain_special, &search, &token, &start, &end));
        if (!token) break;
        if (start > done) TUFF_TRY(fn(e, (tuff_view){text.data + done, start - done}, first && done == 0));
        TUFF_TRY(add_ids(e, &token->id, 1));
        done = end;
    }
    if (done < text.size)
        TUFF_TRY(fn(e, (tuff_view){text.data + done, text.size - done}, first && done == 0));
    return TUFF_OK;
}

static tuff_status encode_normalized(encoding *e, tuff_view text, bool first)
{
    return tuff_split(&e->split, text, first);
}

static tuff_status encode_raw(encoding *e, tuff_view text, bool first)
{
    const tuff_tokenizer *t = e->tokenizer;
    e->pace.start = (uint64_t)(text.data - e->text.data);
    e->pace.size = text.size;
    e->pace.at = e->pace.length = 0;
    if (t->normalizer_count) {
        tuff_buf_clear(&e->normalized);
        TUFF_TRY(
            tuff_normalize(t->normalizers, t->normalizer_count, text, &e->room, &e->pace, &e->normalized));
        text = (tuff_view){e->normalized.data, e->normalized.size};
    }
    return around_added(e, &t->normalized_added, text, first, encode_normalized);
}

/* Repairs the text where it is not UTF-8. */
static tuff_status take_text(encoding *e, tuff_view text, tuff_buf *repaired)
{
    bool valid = true;
    for (size_t at = 0, part; at < text.size && valid; at += part) {
        part = text.size - at < TUFF_PACE_WORK ? text.size - at : TUFF_PACE_WORK;
        if (part < text.size - at) part = tuff_utf8_complete(text.data + at, part);
        valid = tuff_utf8_valid(text.data + at, part);
        TUFF_TRY(tuff_pace_work(&e->pace, part / VALID_SPEED));
    }
    e->text = text;
    if (valid) return TUFF_OK;
    TUFF_TRY(tuff_repair_utf8(text, &e->pace, repaired));
    e->text = (tuff_view){repaired->data, repaired->size};
    e->pace.total = repaired->size;
    return TUFF_OK;
}

static tuff_status encode(encoding *e, tuff_view text, bool add_special, tuff_buf *repaired)
{
    const tuff_tokenizer *t = e->tokenizer;
    TUFF_TRY(tuff_split_begin(t->splitters, t->splitter_count, encode_word, e, &e->pace, &e->split));
    e->scratch.pace = &e->pace;
    e->scratch.outer = e->split.outer == e->split.count;
    TUFF_TRY(tuff_pace_ask(&e->pace));
    TUFF_TRY(take_text(e, text, repaired));
    e->room = tuff_normalize_room(e->text.size);
    e->words_room = e->room > SIZE_MAX / 4 ? SIZE_MAX : e->room * 4;
    if (add_special) TUFF_TRY(add_ids(e, t->before, t->before_count));
    TUFF_TRY(around_added(e, &t->raw_added, e->text, true, encode_raw));
    if (add_special) TUFF_TRY(add_ids(e, t->after, t->after_count));
    return tuff_watch_step(e->pace.watch, TUFF_PHASE_TOKENIZE, e->pace.total, e->pace.total);
}

tuff_status tuff_tokenizer_encode_watched(const tuff_tokenizer *tokenizer, const char *text, size_t size,
                                          unsigned flags, const tuff_watch *watch, int32_t **out_ids,
                                          size_t *out_count)
{
    TUFF_NEED_OUT(out_ids);
    TUFF_NEED_OUT(out_count);
    TUFF_NEED(tokenizer);
    TUFF_NEED_MANY(text, size);
    TUFF_TRY(tuff_watch_check(watch));
    tuff_buf repaired = {0};
    encoding e = {.tokenizer = tokenizer,
                  .plain_special = (flags & TUFF_ENCODE_PLAIN_SPECIAL) != 0,
                  .pace = {.watch = watch, .total = size}};
    tuff_status status =
        encode(&e, (tuff_view){text, size}, (flags & TUFF_ENCODE_ADD_SPECIAL) != 0, &repaired);
    if (status == TUFF_OK) {
        *out_ids = e.ids.data;
        *out_count = e.ids.size;
        e.ids.data = NULL;
    }
    tuff_ids_free(&e.ids);
    tuff_split_end(&e.split);
    tuff_bpe_scratch_free(&e.scratch);
    tuff_buf_free(&e.normalized);
    tuff_buf_free(&repaired);
    return status;
}

tuff_status tuff_tokenizer_encode(const tuff_tokenizer *tokenizer, const char *text, size_t size,
                                  unsigned flags, int32_t **out_ids, size_t *out_count)
{
    return tuff_tokenizer_encode_watched(tokenizer, text, size, flags, NULL, out_ids, out_count);
}
