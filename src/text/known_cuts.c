#include "text/known_cuts.h"

#include <string.h>

#include "text/tokenizer_impl.h"
#include "base/status.h"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* GPT-4's family: digits in groups of up to `digits`, newlines kept with what goes before. */
#define GPT4(digits)                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const char tuff_gpt2_pattern[] = GPT2;

static const tuff_known_cut cuts[] = {
    {.names = {"gpt-2", "mpt", "olmo", "jais", "phi-2", "jina-v2-es", "jina-v2-de"}, .patterns = {GPT2}},
    {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"},
     .patterns = {GPT4("\\p{N}{1,3}")},
     .whole_words = true},
    {.names = {"dbrx", "smaug-bpe"}, .patterns = {GPT4("\\p{N}{1,3}")}},
    {.names = {"qwen2", "stablelm2", "deepseek-r1-qwen", "hunyuan"},
     .patterns = {GPT4("\\p{N}")},
     .nfc = true},
    {.names = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"},
     .patterns = {"\\p{N}", GPT2}},
    {.names = {"falcon"}, .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {.names = {"default"}, .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};
enum { CUT_COUNT = sizeof cuts / sizeof *cuts };

const tuff_known_cut *tuff_known_cut_find(const char *name)
{
    for (size_t i = 0; i < CUT_COUNT; i++) {
        for (size_t n = 0; n < sizeof cuts[i].names / sizeof *cuts[i].names && cuts[i].names[n]; n++) {
            if (strcmp(cuts[i].names[n], name) == 0) return &cuts[i];
        }
    }
    return NULL;
}

static bool isolates(const tuff_splitter *step)
{
    bool isolated = step->behavior == TUFF_SPLIT_ISOLATED;
    /* The patterns below match all of a text, so removing what lies between removes nothing. */
    bool inverted = step->behavior == TUFF_SPLIT_REMOVED && step->invert;
    return step->kind == TUFF_SPLIT_PATTERN && (isolated || inverted);
}

static bool is_cut(const tuff_tokenizer *tokenizer, const tuff_known_cut *cut)
{
    size_t step = 0, pattern = 0;
    if (tokenizer->splitter_count && tokenizer->splitters[0].kind == TUFF_SPLIT_PREFIX_SPACE) step++;
    for (; step + 1 < tokenizer->splitter_count; step++, pattern++) {
        const tuff_splitter *splitter = &tokenizer->splitters[step];
        if (pattern == TUFF_CUT_PATTERNS || !cut->patterns[pattern] || !isolates(splitter)) return false;
        if (!tuff_view_is(splitter->pattern, cut->patterns[pattern])) return false;
    }
    return step < tokenizer->splitter_count && tokenizer->splitters[step].kind == TUFF_SPLIT_BYTES &&
           (pattern == TUFF_CUT_PATTERNS || !cut->patterns[pattern]);
}

const tuff_known_cut *tuff_known_cut_of(const tuff_tokenizer *tokenizer)
{
    for (size_t i = 0; i < CUT_COUNT; i++) {
        /* Llama 3 and its twin differ in this alone. */
        if (cuts[i].whole_words && !tokenizer->bpe.whole_words) continue;
        if (is_cut(tokenizer, &cuts[i])) return &cuts[i];
    }
    return NULL;
}

tuff_status tuff_known_cut_apply(tuff_tokenizer *tokenizer, const tuff_known_cut *cut, bool space_prefix,
                                 const char *where)
{
    tuff_view none = {NULL, 0};
    tokenizer->cut = cut;
    tokenizer->byte_level = true;
    tokenizer->space_prefix = space_prefix;
    tokenizer->bpe.whole_words = cut->whole_words;
    if (cut->nfc)
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
