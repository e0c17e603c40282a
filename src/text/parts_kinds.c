/* At which kinds of places the texts of a tokenizer may be cut. */
#include <string.h>

#include "base/status.h"
#include "text/known_cuts.h"
#include "text/parts.h"

/* What SentencePiece's vocabularies have for a space. */
#define SPACE "\xe2\x96\x81"

/* What becomes of spaces where words are cut. */
typedef enum spaces {
    OTHERS,     /* what a known way does, or none is known */
    GO,         /* no word goes over white space, which goes */
    BEGIN_WORDS /* each begins a word */
} spaces;

/* By the first step that cuts. */
static spaces spaces_of(const tuff_tokenizer *t)
{
    size_t i = 0;
    while (i < t->splitter_count && t->splitters[i].kind == TUFF_SPLIT_PREFIX_SPACE)
        i++;
    if (i == t->splitter_count) return OTHERS;
    const tuff_splitter *step = &t->splitters[i], *next = i + 1 < t->splitter_count ? step + 1 : NULL;
    if (step->kind == TUFF_SPLIT_SPACES || step->kind == TUFF_SPLIT_BERT) return GO;
    if (step->kind == TUFF_SPLIT_PATTERN && tuff_view_is(step->pattern, "\\s+") && !step->invert &&
        step->behavior == TUFF_SPLIT_REMOVED)
        return GO;
    const bool begin = step->kind == TUFF_SPLIT_METASPACE && tuff_view_is(step->text, SPACE) && next &&
                       next->kind == TUFF_SPLIT_PATTERN && tuff_view_is(next->pattern, SPACE) &&
                       !next->invert && next->behavior == TUFF_SPLIT_MERGED_WITH_NEXT;
    return begin ? BEGIN_WORDS : OTHERS;
}

/* ---- tokens over such places */

static bool is_space_at(tuff_view text, size_t at)
{
    return text.data[at] == ' ' ||
           (text.size - at >= sizeof SPACE - 1 && memcmp(text.data + at, SPACE, sizeof SPACE - 1) == 0);
}

static bool follows_space(tuff_view text, size_t at)
{
    return text.data[at - 1] == ' ' || (at >= sizeof SPACE - 1 && is_space_at(text, at - (sizeof SPACE - 1)));
}

/* The kinds of places that a token goes over. */
static unsigned crossed(tuff_view token)
{
    unsigned kinds = 0;
    uint32_t c;
    for (size_t i = 1; i < token.size; i++) {
        const uint8_t left = (uint8_t)token.data[i - 1], here = (uint8_t)token.data[i];
        const size_t size = tuff_utf8_decode(token.data + i, token.size - i, &c);
        if (left == '\n' && size && tuff_parts_is_word(c)) kinds |= TUFF_PARTS_LINES;
        if (is_space_at(token, i) && !follows_space(token, i)) kinds |= TUFF_PARTS_SPACES;
        if ((here == '.' || here == ',' || here >= 0x80) && (left >= 0x80 || tuff_parts_is_word(left)))
            kinds |= TUFF_PARTS_MARKS;
    }
    return kinds;
}

static unsigned crossed_by(const tuff_added_set *set)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < set->count; i++)
        kinds |= crossed(tuff_added_needle_text(set, i));
    return kinds;
}

/* A byte at the end of an added token that takes white space with it, in whatever way a text has it. */
static void note_edge(bool bytes[256], char edge, bool normalized)
{
    const uint8_t byte = (uint8_t)edge;
    bytes[byte] = true;
    if (normalized && (byte | 0x20) - 'a' < 26) bytes[byte ^ 0x20] = true;
    for (int i = 0x80; i < 0x100 && (normalized || byte >= 0x80); i++)
        bytes[i] = true;
}

static unsigned by_added(const tuff_tokenizer *t, tuff_parts *out)
{
    unsigned kinds = TUFF_PARTS_ALL & ~(crossed_by(&t->raw_added) | crossed_by(&t->normalized_added) |
                                        crossed_by(&t->user_defined));
    for (size_t i = 0; i < t->added_count; i++) {
        const tuff_added_token *token = &t->added[i];
        if (!token->text.size) continue;
        const char first = token->text.data[0], last = token->text.data[token->text.size - 1];
        const bool normalized = token->normalized && t->normalizer_count;
        kinds &= ~crossed(token->text);
        /* what it stands alone before is behind the cut */
        if (token->single_word && last == '\n') kinds &= ~(unsigned)TUFF_PARTS_LINES;
        if (token->right) note_edge(out->before, last, normalized);
        if (token->left) note_edge(out->after, first, normalized);
    }
    return out->before['a'] ? 0 : kinds; /* the leads' */
}

/* ---- normalizers */

static unsigned by_replace(const tuff_normalizer *step, const tuff_tokenizer *t, spaces s, tuff_parts *out)
{
    if (tuff_view_is(step->pattern, " ") || tuff_view_is(step->pattern, "\\x{20}"))
        return tuff_view_is(step->text, SPACE) && !t->cut && s != GO ? TUFF_PARTS_ALL
                                                                     : TUFF_PARTS_LINES | TUFF_PARTS_MARKS;
    if (!tuff_view_is(step->pattern, " {2,}")) return 0;
    out->ascii = true; /* other characters may have become spaces */
    return TUFF_PARTS_ALL;
}

/* Whether a table leaves letters, digits and white space of ASCII what they are. */
static tuff_status keeps_ascii(const tuff_charsmap *map, bool *out_keeps)
{
    static const char probe[] =
        "0 1\n2 3\n4 5\n6 7\n8 9\nA B\nC D\nE F\nG H\nI J\nK L\nM N\nO P\nQ R\nS T\nU V\nW X\nY Z\n"
        "a b\nc d\ne f\ng h\ni j\nk l\nm n\no p\nq r\ns t\nu v\nw x\ny z";
    tuff_made made = {0};
    *out_keeps = false;
    tuff_status status = tuff_charsmap_apply(map, tuff_view_of(probe), 2 * sizeof probe, NULL, &made);
    if (status == TUFF_OK && made.text.failed) status = tuff_fail_memory("where a text may be cut");
    if (status == TUFF_OK) *out_keeps = made.text.size == sizeof probe - 1;
    for (size_t i = 0; i < made.text.size && *out_keeps; i++) {
        const char c = made.text.data[i];
        *out_keeps = i % 2 ? c == ' ' || c == '\n' : tuff_parts_is_word((uint8_t)c) && (uint8_t)c < 0x80;
    }
    tuff_buf_free(&made.text);
    return status;
}

/* At which kinds of places a step looks at nothing beyond. */
static unsigned by_normalizer(const tuff_normalizer *step, const tuff_tokenizer *t, spaces s, tuff_parts *out)
{
    const unsigned at_spaces = (s == GO ? TUFF_PARTS_LINES : 0) | (s != OTHERS ? TUFF_PARTS_SPACES : 0);
    switch (step->kind) {
    case TUFF_NORMALIZE_NFC:
    case TUFF_NORMALIZE_NFD:
    case TUFF_NORMALIZE_NFKC:
    case TUFF_NORMALIZE_NFKD:
    case TUFF_NORMALIZE_PREPEND:
    case TUFF_NORMALIZE_LOWERCASE:
    case TUFF_NORMALIZE_NONSPACING:
    case TUFF_NORMALIZE_MARKS:
        return TUFF_PARTS_ALL;
    case TUFF_NORMALIZE_REPLACE:
        return by_replace(step, t, s, out);
    case TUFF_NORMALIZE_STRIP: /* of a part but the last the lead and what it ends with stay */
        return TUFF_PARTS_SPACES | TUFF_PARTS_MARKS | at_spaces;
    case TUFF_NORMALIZE_CLEAN:
    case TUFF_NORMALIZE_CHINESE:
    case TUFF_NORMALIZE_NMT:
        return at_spaces;
    case TUFF_NORMALIZE_CHARSMAP:
        out->ascii = true;
        return at_spaces;
    case TUFF_NORMALIZE_SENTENCEPIECE:
        if (step->charsmap) return 0;
        return step->merge ? TUFF_PARTS_SPACES : TUFF_PARTS_ALL;
    case TUFF_NORMALIZE_BYTES:
        break;
    }
    return 0;
}

static tuff_status by_normalizers(const tuff_tokenizer *t, tuff_parts *out, unsigned *out_kinds)
{
    const spaces s = spaces_of(t);
    *out_kinds = TUFF_PARTS_ALL;
    for (size_t i = 0; i < t->normalizer_count; i++) {
        const tuff_normalizer *step = &t->normalizers[i];
        bool keeps = true;
        if (step->kind == TUFF_NORMALIZE_CHARSMAP) TUFF_TRY(keeps_ascii(step->charsmap, &keeps));
        *out_kinds &= keeps ? by_normalizer(step, t, s, out) : 0;
    }
    return TUFF_OK;
}

/* ---- words */

static bool spells_spaces(const tuff_tokenizer *t)
{
    for (size_t i = 0; i < t->normalizer_count; i++)
        if (t->normalizers[i].kind == TUFF_NORMALIZE_SENTENCEPIECE ||
            (t->normalizers[i].kind == TUFF_NORMALIZE_REPLACE && tuff_view_is(t->normalizers[i].text, SPACE)))
            return true;
    return t->splitter_count && tuff_view_is(t->splitters[0].text, SPACE);
}

/* Of a BPE whose words go over all: places that no merge goes over. */
static unsigned by_merges(const tuff_tokenizer *t)
{
    const tuff_bpe *bpe = &t->bpe;
    uint32_t unused;
    unsigned kinds = TUFF_PARTS_LINES;
    const bool known = tuff_map_get(&t->vocab, "\n", 1, &unused) || bpe->bytes['\n'] >= 0;
    if (bpe->whole_words || bpe->suffix.size) return 0;
    for (size_t i = 0; i < t->splitter_count; i++)
        if (t->splitters[i].kind != TUFF_SPLIT_METASPACE) return 0;
    for (uint32_t i = 0; i < t->size; i++)
        if (t->tokens[i].text.data) kinds &= ~crossed(t->tokens[i].text);
    for (size_t i = 0; i < bpe->merge_count; i++)
        if (bpe->bytes['\n'] >= 0 && bpe->merges[i].left == bpe->bytes['\n']) kinds = 0;
    if (bpe->fuse_unk && !known) kinds = 0;
    /* it cuts there by itself */
    return bpe->space_starts_word && spells_spaces(t) ? kinds | TUFF_PARTS_SPACES : kinds;
}

static unsigned by_words(const tuff_tokenizer *t)
{
    const spaces s = spaces_of(t);
    if (s == GO) return TUFF_PARTS_LINES | TUFF_PARTS_SPACES;
    if (s == BEGIN_WORDS) return TUFF_PARTS_SPACES;
    if (t->model != TUFF_WORDS_BPE) return 0;
    if (!t->cut) return by_merges(t);
    if (t->cut->flags & TUFF_CUT_OVER_LINES) return 0;
    return t->cut->flags & TUFF_CUT_OVER_SPACES ? TUFF_PARTS_LINES | TUFF_PARTS_MARKS : TUFF_PARTS_ALL;
}

/* Where white space becomes other white space, a token may go over either. */
static bool blurs(const tuff_tokenizer *t)
{
    for (size_t i = 0; i < t->normalizer_count; i++) {
        const tuff_normalizer_kind kind = t->normalizers[i].kind;
        if (kind == TUFF_NORMALIZE_CLEAN || kind == TUFF_NORMALIZE_NMT || kind == TUFF_NORMALIZE_CHARSMAP)
            return true;
    }
    return false;
}

tuff_status tuff_parts_find(const tuff_tokenizer *t, tuff_parts *out)
{
    *out = (tuff_parts){.tokenizer = t};
    const unsigned words = by_words(t);
    unsigned normalized, added = by_added(t, out);
    TUFF_TRY(by_normalizers(t, out, &normalized));
    if (blurs(t) && !(added & TUFF_PARTS_SPACES)) added = 0;
    out->kinds = words & normalized & added;
    if (!words)
        out->why = "its words may go over spaces and line ends";
    else if (!(words & normalized))
        out->why = "its normalizer looks beyond spaces and line ends";
    else if (!out->kinds)
        out->why = "its added tokens go over spaces and line ends";
    return TUFF_OK;
}
