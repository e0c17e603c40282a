#include "text/tokenizer_impl.h"

#include "base/status.h"

typedef struct encoding {
    const tuff_tokenizer *tokenizer;
    bool plain_special;
    tuff_bpe_scratch scratch;
    tuff_split_run split;
    tuff_buf normalized;
    tuff_ids ids;
} encoding;

static tuff_status add_ids(encoding *e, const int32_t *ids, size_t count)
{
    return tuff_ids_append(&e->ids, ids, count) ? TUFF_OK : tuff_fail_memory("encoding a text");
}

static tuff_status encode_word(void *user, tuff_view word)
{
    encoding *e = user;
    return tuff_bpe_encode(&e->tokenizer->bpe, word, &e->scratch, &e->ids);
}

typedef tuff_status (*gap_fn)(encoding *e, tuff_view text, bool first);

/* Adds the ids of the set's tokens in the text, and hands what lies between them on. */
static tuff_status around_added(encoding *e, const tuff_added_set *set, tuff_view text, bool first, gap_fn fn)
{
    tuff_added_search search = {0};
    const tuff_added_token *token;
    size_t done = 0, start, end;
    while (set->count && tuff_added_next(set, text, e->plain_special, &search, &token, &start, &end)) {
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
    if (t->normalizer_count) {
        tuff_buf_clear(&e->normalized);
        TUFF_TRY(tuff_normalize(t->normalizers, t->normalizer_count, text, &e->normalized));
        text = (tuff_view){e->normalized.data, e->normalized.size};
    }
    return around_added(e, &t->normalized_added, text, first, encode_normalized);
}

tuff_status tuff_tokenizer_encode(const tuff_tokenizer *tokenizer, const char *text, size_t size,
                                  unsigned flags, int32_t **out_ids, size_t *out_count)
{
    *out_ids = NULL;
    *out_count = 0;
    tuff_status status = TUFF_OK;
    tuff_buf repaired = {0};
    tuff_view view = {text, size};
    encoding e = {.tokenizer = tokenizer, .plain_special = (flags & TUFF_ENCODE_PLAIN_SPECIAL) != 0};
    TUFF_GO(tuff_split_begin(tokenizer->splitters, tokenizer->splitter_count, encode_word, &e, &e.split));
    if (!tuff_utf8_valid(text, size)) {
        tuff_repair_utf8(view, &repaired);
        if (repaired.failed) {
            status = tuff_fail_memory("encoding a text");
            goto done;
        }
        view = (tuff_view){repaired.data, repaired.size};
    }
    if (flags & TUFF_ENCODE_ADD_SPECIAL) TUFF_GO(add_ids(&e, tokenizer->before, tokenizer->before_count));
    TUFF_GO(around_added(&e, &tokenizer->raw_added, view, true, encode_raw));
    if (flags & TUFF_ENCODE_ADD_SPECIAL) TUFF_GO(add_ids(&e, tokenizer->after, tokenizer->after_count));
    *out_ids = e.ids.data;
    *out_count = e.ids.size;
    e.ids.data = NULL;
done:
    tuff_ids_free(&e.ids);
    tuff_split_end(&e.split);
    tuff_bpe_scratch_free(&e.scratch);
    tuff_buf_free(&e.normalized);
    tuff_buf_free(&repaired);
    return status;
}

void tuff_tokenizer_free_ids(int32_t **ids)
{
    tuff_free(*ids);
    *ids = NULL;
}
