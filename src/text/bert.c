#include "text/bert.h"

#include "base/status.h"

enum { LONGEST_WORD = 100 };

static const tuff_view nothing = {NULL, 0};

/* The rule's steps, in order; -1 ends them. */
static void steps_of(tuff_bert_rules rules, int out[8])
{
    size_t n = 0;
    if (rules.clean) out[n++] = TUFF_NORMALIZE_CLEAN;
    if (rules.chinese) out[n++] = TUFF_NORMALIZE_CHINESE;
    if (rules.accents) {
        out[n++] = TUFF_NORMALIZE_NFD;
        out[n++] = TUFF_NORMALIZE_NONSPACING;
    }
    if (rules.lower) out[n++] = TUFF_NORMALIZE_LOWERCASE;
    out[n] = -1;
}

tuff_status tuff_bert_add_normalizer(tuff_tokenizer *t, tuff_bert_rules rules, const char *where)
{
    int steps[8];
    steps_of(rules, steps);
    for (size_t i = 0; steps[i] >= 0; i++) {
        tuff_normalizer step = {.kind = (tuff_normalizer_kind)steps[i]};
        TUFF_TRY(tuff_add_normalizer(t, step, nothing, where));
    }
    return TUFF_OK;
}

static bool has(const tuff_tokenizer *t, tuff_normalizer_kind kind)
{
    for (size_t i = 0; i < t->normalizer_count; i++) {
        if (t->normalizers[i].kind == kind) return true;
    }
    return false;
}

bool tuff_bert_rules_of(const tuff_tokenizer *t, tuff_bert_rules *out)
{
    int steps[8];
    size_t i = 0;
    out->clean = has(t, TUFF_NORMALIZE_CLEAN);
    out->chinese = has(t, TUFF_NORMALIZE_CHINESE);
    out->accents = has(t, TUFF_NORMALIZE_NONSPACING);
    out->lower = has(t, TUFF_NORMALIZE_LOWERCASE);
    steps_of(*out, steps);
    while (steps[i] >= 0 && i < t->normalizer_count && (int)t->normalizers[i].kind == steps[i])
        i++;
    return steps[i] < 0 && i == t->normalizer_count && t->splitter_count == 1 &&
           t->splitters[0].kind == TUFF_SPLIT_BERT;
}

tuff_status tuff_bert_apply(tuff_tokenizer *t, tuff_bert_rules rules, const char *where)
{
    tuff_view prefix = tuff_view_of("##");
    t->model = TUFF_WORDS_WORDPIECE;
    t->wordpiece.prefix = prefix;
    t->wordpiece.longest = LONGEST_WORD;
    TUFF_TRY(tuff_bert_add_normalizer(t, rules, where));
    TUFF_TRY(tuff_add_splitter(t, (tuff_splitter){.kind = TUFF_SPLIT_BERT}, nothing, where));
    tuff_unspell step = {.kind = TUFF_UNSPELL_WORDPIECE, .text = prefix, .cleanup = true};
    return tuff_add_unspell(t, step, nothing, where);
}

bool tuff_bert_is_cased(const tuff_tokenizer *t)
{
    for (uint32_t id = 0; id < t->size; id++) {
        tuff_view text = t->tokens[id].text;
        bool bracketed = text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']';
        if (t->tokens[id].special || bracketed) continue;
        for (size_t i = 0; i < text.size; i++) {
            if (text.data[i] >= 'A' && text.data[i] <= 'Z') return true;
        }
    }
    return false;
}
