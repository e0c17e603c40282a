#include "text/known_cuts.h"

#include <string.h>

#include "base/status.h"
#include "text/tokenizer_impl.h"
#include "text/unicode_tables.h"

#define CUT_NFC         TUFF_CUT_NFC
#define CUT_WHOLE_WORDS TUFF_CUT_WHOLE_WORDS
#define CUT_BEGIN       TUFF_CUT_BEGIN
#define CUT_OVER_LINES  TUFF_CUT_OVER_LINES
#define CUT_OVER_SPACES TUFF_CUT_OVER_SPACES
/* steps that are no patterns of their own */
#define CUT_MARKS "\1"
#define CUT_BYTES "\2"

static const tuff_known_cut cuts[] = {
#define TUFF_CUT(names, flags, ...) {names, flags, {__VA_ARGS__}},
#define TUFF_CUT_SPELLED(name, ...)
#include "text/known_cuts.def"
};
enum { CUT_COUNT = sizeof cuts / sizeof *cuts };

static const struct spelling {
    const char *name, *steps[TUFF_CUT_PATTERNS];
} spellings[] = {
#define TUFF_CUT(names, flags, ...)
#define TUFF_CUT_SPELLED(name, ...) {name, {__VA_ARGS__}},
#include "text/known_cuts.def"
};

static bool has_name(const tuff_known_cut *cut, const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = cut->names; *at; at += *at == ' ') {
        const size_t length = strcspn(at, " ");
        if (length == size && memcmp(at, name, size) == 0) return true;
        at += length;
    }
    return false;
}

const tuff_known_cut *tuff_known_cut_find(const char *name)
{
    for (size_t i = 0; i < CUT_COUNT; i++)
        if (has_name(&cuts[i], name)) return &cuts[i];
    return NULL;
}

tuff_view tuff_known_cut_name(const tuff_known_cut *cut)
{
    return (tuff_view){cut->names, strcspn(cut->names, " ")};
}

const char *tuff_gpt2_pattern(void)
{
    return cuts[0].patterns[0];
}

/* A character of a pattern, "\r" and "\n" as what they stand for, and how far it goes. */
static char character(const char *at, size_t left, size_t *out_size)
{
    const bool escape = left > 1 && at[0] == '\\' && (at[1] == 'r' || at[1] == 'n');
    *out_size = escape ? 2 : 1;
    return !escape ? at[0] : at[1] == 'r' ? '\r' : '\n';
}

static bool same_pattern(tuff_view a, tuff_view b)
{
    size_t i = 0, k = 0, step_a, step_b;
    while (i < a.size && k < b.size) {
        if (character(a.data + i, a.size - i, &step_a) != character(b.data + k, b.size - k, &step_b))
            return false;
        /* both may be a backslash before one of the other's kind */
        if (a.data[i] == '\\' && step_a == 1 && i + 1 < a.size && k + 1 < b.size) {
            if (a.data[i + 1] != b.data[k + 1]) return false;
            step_a = step_b = 2;
        }
        i += step_a;
        k += step_b;
    }
    return i == a.size && k == b.size;
}

static bool isolates(const tuff_splitter *step)
{
    static const char rest[] = "|\\s+";
    bool isolated = step->behavior == TUFF_SPLIT_ISOLATED;
    /* A pattern that ends so matches all of a text, so removing what lies between removes nothing. */
    bool whole =
        step->pattern.size >= sizeof rest &&
        memcmp(step->pattern.data + step->pattern.size - (sizeof rest - 1), rest, sizeof rest - 1) == 0;
    return isolated || (step->behavior == TUFF_SPLIT_REMOVED && step->invert && whole);
}

static bool is_step(const tuff_splitter *step, const char *wanted)
{
    if (strcmp(wanted, CUT_BYTES) == 0) return step->kind == TUFF_SPLIT_BYTES;
    if (step->kind != TUFF_SPLIT_PATTERN) return false;
    if (strcmp(wanted, CUT_MARKS) == 0)
        return step->behavior == TUFF_SPLIT_CONTIGUOUS && tuff_view_is(step->pattern, TUFF_PUNCTUATION);
    return isolates(step) && same_pattern(step->pattern, tuff_view_of(wanted));
}

/* Whether the tokenizer's splitters are these steps, and, where they are patterns alone, bytes behind them.
 */
static bool are_steps(const tuff_tokenizer *t, const char *const wanted[TUFF_CUT_PATTERNS], bool bytes)
{
    size_t at = t->splitter_count && t->splitters[0].kind == TUFF_SPLIT_PREFIX_SPACE, n = 0;
    for (; n < TUFF_CUT_PATTERNS && wanted[n]; n++, at++)
        if (at == t->splitter_count || !is_step(&t->splitters[at], wanted[n])) return false;
    if (bytes) return at + 1 == t->splitter_count && t->splitters[at].kind == TUFF_SPLIT_BYTES;
    return at == t->splitter_count;
}

const tuff_known_cut *tuff_known_cut_of(const tuff_tokenizer *tokenizer)
{
    const tuff_known_cut *best = NULL;
    int most = -1;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (are_steps(tokenizer, spellings[i].steps, false)) return tuff_known_cut_find(spellings[i].name);
    bool nfc = tokenizer->normalizer_count == 1 && tokenizer->normalizers[0].kind == TUFF_NORMALIZE_NFC;
    for (size_t i = 0; i < CUT_COUNT; i++) {
        const unsigned flags = cuts[i].flags;
        bool whole = flags & TUFF_CUT_WHOLE_WORDS, normalizes = flags & TUFF_CUT_NFC;
        if ((whole && !tokenizer->bpe.whole_words) || !are_steps(tokenizer, cuts[i].patterns, true)) continue;
        const int fits = 2 * (whole == tokenizer->bpe.whole_words) + (normalizes == nfc);
        if (fits <= most) continue;
        most = fits;
        best = &cuts[i];
    }
    return best;
}

tuff_status tuff_known_cut_apply(tuff_tokenizer *tokenizer, const tuff_known_cut *cut, bool space_prefix,
                                 const char *where)
{
    tuff_view none = {NULL, 0};
    tokenizer->cut = cut;
    tokenizer->byte_level = true;
    tokenizer->space_prefix = space_prefix;
    tokenizer->bpe.whole_words = cut->flags & TUFF_CUT_WHOLE_WORDS;
    if (cut->flags & TUFF_CUT_NFC)
        TUFF_TRY(tuff_add_normalizer(tokenizer, (tuff_normalizer){.kind = TUFF_NORMALIZE_NFC}, none, where));
    if (space_prefix)
        TUFF_TRY(tuff_add_splitter(tokenizer, (tuff_splitter){.kind = TUFF_SPLIT_PREFIX_SPACE}, none, where));
    for (size_t i = 0; i < TUFF_CUT_PATTERNS && cut->patterns[i]; i++) {
        tuff_splitter step = {.kind = TUFF_SPLIT_PATTERN, .behavior = TUFF_SPLIT_ISOLATED};
        TUFF_TRY(tuff_add_splitter(tokenizer, step, tuff_view_of(cut->patterns[i]), where));
    }
    TUFF_TRY(tuff_add_splitter(tokenizer, (tuff_splitter){.kind = TUFF_SPLIT_BYTES}, none, where));
    return tuff_add_unspell(tokenizer, (tuff_unspell){.kind = TUFF_UNSPELL_BYTES}, none, where);
}
