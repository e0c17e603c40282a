#include "text/parts.h"

#include <string.h>
#include <utf8proc.h>

#include "base/status.h"
#include "text/known_cuts.h"
#include "text/unicode_class.h"

static bool is_letter(uint32_t c)
{
    if (c < 0x80) return (c | 0x20) - 'a' < 26;
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/* Neither white space nor what some take for it. */
static bool is_plain(uint32_t c)
{
    if (c < 0x80) return c > ' ' && c < 0x7f;
    return !tuff_is_space(c) && !tuff_is_other(c) && utf8proc_charwidth((utf8proc_int32_t)c) > 0;
}

/* ---- whether a tokenizer's texts may be cut */

/* Whether a token goes over a place where a text would be cut. */
static bool crosses(tuff_view token)
{
    uint32_t c;
    for (size_t i = 0; i + 1 < token.size; i++)
        if (token.data[i] == '\n' && tuff_utf8_decode(token.data + i + 1, token.size - i - 1, &c) &&
            is_letter(c))
            return true;
    return false;
}

static bool is_local(const tuff_normalizer *step)
{
    switch (step->kind) {
    case TUFF_NORMALIZE_NFC:
    case TUFF_NORMALIZE_NFD:
    case TUFF_NORMALIZE_NFKC:
    case TUFF_NORMALIZE_NFKD:
    case TUFF_NORMALIZE_PREPEND:
        return true;
    case TUFF_NORMALIZE_REPLACE:
        return tuff_view_is(step->pattern, " ") || tuff_view_is(step->pattern, "\\x{20}"); /* a space */
    case TUFF_NORMALIZE_SENTENCEPIECE:
        return !step->charsmap && !step->merge;
    default:
        return false;
    }
}

/* Of a BPE whose words go over line ends: no merge does. */
static bool merges_end_at_lines(const tuff_tokenizer *t)
{
    const tuff_bpe *bpe = &t->bpe;
    uint32_t unused;
    const bool known = tuff_map_get(&t->vocab, "\n", 1, &unused) || bpe->bytes['\n'] >= 0;
    if (bpe->whole_words || bpe->suffix.size || (bpe->fuse_unk && !known)) return false;
    for (size_t i = 0; i < t->splitter_count; i++)
        if (t->splitters[i].kind != TUFF_SPLIT_METASPACE) return false;
    for (uint32_t i = 0; i < t->size; i++)
        if (t->tokens[i].text.data && crosses(t->tokens[i].text)) return false;
    for (size_t i = 0; i < bpe->merge_count; i++)
        if (bpe->bytes['\n'] >= 0 && bpe->merges[i].left == bpe->bytes['\n']) return false;
    return true;
}

static bool can_be_cut(const tuff_tokenizer *t, tuff_parts *out)
{
    if (t->model != TUFF_WORDS_BPE) return false;
    for (size_t i = 0; i < t->normalizer_count; i++)
        if (!is_local(&t->normalizers[i])) return false;
    for (size_t i = 0; i < t->added_count; i++) {
        const tuff_added_token *token = &t->added[i];
        if (!token->text.size) continue;
        if (crosses(token->text)) return false;
        if (token->right) out->before[(uint8_t)token->text.data[token->text.size - 1]] = true;
        if (token->left) out->after[(uint8_t)token->text.data[0]] = true;
    }
    /* bytes of other characters than ASCII may be changed by a normalizer */
    for (int i = 0x80; i < 0x100; i++)
        if (out->before[i] || out->after[i]) return false;
    if (out->before['a']) return false; /* the lead's */
    return t->cut ? !(t->cut->flags & TUFF_CUT_OVER_LINES) : merges_end_at_lines(t);
}

tuff_status tuff_parts_begin(const tuff_tokenizer *tokenizer, tuff_parts *out, bool *out_can)
{
    *out = (tuff_parts){.tokenizer = tokenizer};
    *out_can = false;
    if (!can_be_cut(tokenizer, out)) return TUFF_OK;
    int32_t *ids = NULL, *more = NULL;
    size_t n = 0, n_more = 0;
    tuff_status status = tuff_tokenizer_encode(tokenizer, TUFF_PARTS_LEAD, 2, 0, &ids, &n);
    if (status == TUFF_OK)
        status = tuff_tokenizer_encode(tokenizer, TUFF_PARTS_LEAD "b", 3, 0, &more, &n_more);
    *out_can = status == TUFF_OK && n && n_more > n && memcmp(ids, more, n * sizeof *ids) == 0;
    out->lead = n;
    tuff_free(ids);
    tuff_free(more);
    return status;
}

/* ---- cuts */

static uint32_t before(tuff_view text, size_t end)
{
    uint32_t c = 0;
    size_t start = end - 1;
    while (start > 0 && ((uint8_t)text.data[start] & 0xc0) == 0x80)
        start--;
    return tuff_utf8_decode(text.data + start, end - start, &c) == end - start ? c : 0;
}

/* Whether the newline at a place, which is neither the first byte nor the last, ends a part. */
static bool ends_part(const tuff_parts *p, tuff_view text, size_t at)
{
    uint32_t next = 0;
    if (p->before[(uint8_t)text.data[at - 1]] || p->after[(uint8_t)text.data[at + 1]]) return false;
    if (!tuff_utf8_decode(text.data + at + 1, text.size - at - 1, &next)) return false;
    return is_letter(next) && is_plain(before(text, at));
}

size_t tuff_parts_cut(const tuff_parts *p, tuff_view text, size_t most)
{
    for (size_t at = most < text.size ? most : text.size - (text.size > 0); at-- > 1;)
        if (text.data[at] == '\n' && ends_part(p, text, at)) return at + 1;
    return 0;
}

tuff_status tuff_parts_encode(const tuff_parts *p, tuff_encoder *e, tuff_view part, bool first,
                              tuff_buf *room, size_t *out_begin)
{
    *out_begin = e->pieces.ids.size;
    if (first) return tuff_encoder_text(e, part);
    tuff_buf_clear(room);
    tuff_buf_text(room, TUFF_PARTS_LEAD);
    tuff_buf_bytes(room, part.data, part.size);
    if (room->failed) return tuff_fail_memory("encoding a text");
    TUFF_TRY(tuff_encoder_text(e, (tuff_view){room->data, room->size}));
    *out_begin += p->lead;
    TUFF_ASSERT(*out_begin <= e->pieces.ids.size);
    return TUFF_OK;
}
