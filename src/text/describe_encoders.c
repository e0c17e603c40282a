/* The GGUF vocabularies of encoders: kind bert (WordPiece) and kind t5 (Unigram). */
#include <string.h>

#include "base/status.h"
#include "text/bert.h"
#include "text/describe.h"

static const char space_piece[] = "\xe2\x96\x81", prefix[] = "##";

static bool begins(tuff_view text, const char *with)
{
    size_t size = strlen(with);
    return text.size >= size && memcmp(text.data, with, size) == 0;
}

/* "[unused0]": special in all but its type, and never spelled in another way. */
static bool is_bracketed(tuff_view text)
{
    return text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']';
}

static tuff_view joined(tuff_arena *arena, tuff_view first, tuff_view second)
{
    char *text = tuff_arena_alloc(arena, first.size + second.size + 1);
    if (text && first.size) memcpy(text, first.data, first.size);
    if (text && second.size) memcpy(text + first.size, second.data, second.size);
    return (tuff_view){text, first.size + second.size};
}

tuff_view tuff_spell_wordpiece(tuff_tokenizer *t, tuff_view text)
{
    if (is_bracketed(text)) return tuff_tokenizer_copy(t, text);
    if (!begins(text, space_piece)) return joined(&t->arena, tuff_view_of(prefix), text);
    return tuff_tokenizer_copy(t, (tuff_view){text.data + 3, text.size - 3});
}

tuff_view tuff_spell_phantom(tuff_arena *arena, tuff_view text)
{
    tuff_view none = {NULL, 0};
    if (is_bracketed(text)) return joined(arena, none, text);
    if (!begins(text, prefix)) return joined(arena, tuff_view_of(space_piece), text);
    return joined(arena, none, (tuff_view){text.data + 2, text.size - 2});
}

/* The first of the two ids that is one, else the token of that name, or -1. */
static int32_t choose(const tuff_tokenizer *t, int32_t id, int32_t other, const char *name)
{
    if (id >= 0) return id;
    return other >= 0 ? other : tuff_tokenizer_id(t, name, strlen(name));
}

/* A token that the description names is special, whatever its type says. */
static void make_special(tuff_tokenizer *t, int32_t id)
{
    if (id < 0 || t->tokens[id].special) return;
    tuff_token *token = &t->tokens[id];
    token->special = true;
    token->type = id == t->unk ? TUFF_TOKEN_UNKNOWN : TUFF_TOKEN_CONTROL;
    if (token->in_model)
        t->added[t->added_count++] = (tuff_added_token){.text = token->text, .id = id, .special = true};
}

tuff_status tuff_make_wordpiece(tuff_tokenizer *t, const tuff_vocab_desc *desc, const char *where)
{
    tuff_bert_rules rules = {.clean = true, .chinese = true};
    t->unk = t->wordpiece.unk = choose(t, t->unk, -1, "[UNK]");
    if (t->unk < 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a vocabulary of kind \"bert\" needs an unknown token", where);
    /* Files of older converters have the two as begin and end of text. */
    t->cls = choose(t, t->cls, t->bos, "[CLS]");
    t->sep = choose(t, t->sep, desc->eos, "[SEP]");
    t->mask = choose(t, t->mask, -1, "[MASK]");
    t->pad = choose(t, t->pad, -1, "[PAD]");
    const int32_t named[] = {t->unk, t->cls, t->sep, t->mask, t->pad};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        make_special(t, named[i]);
    bool two = t->sep >= 0 && tuff_view_is(t->tokens[t->sep].text, "</s>"); /* MPNet's */
    tuff_template_fill(&t->single, &t->pair, t->cls, t->sep, two ? t->sep : -1, true);
    rules.lower = desc->lowercase < 0 ? !tuff_bert_is_cased(t) : desc->lowercase > 0;
    rules.accents = desc->strip_accents < 0 ? rules.lower : desc->strip_accents > 0;
    return tuff_bert_apply(t, rules, where);
}

static bool has_type(const tuff_tokenizer *t, tuff_token_type type, int32_t *out_id)
{
    for (uint32_t id = 0; id < t->size; id++) {
        if (t->tokens[id].type != type) continue;
        *out_id = (int32_t)id;
        return true;
    }
    return false;
}

tuff_status tuff_make_unigram(tuff_tokenizer *t, const tuff_vocab_desc *desc, const char *where)
{
    int32_t id;
    t->model = TUFF_WORDS_UNIGRAM;
    t->sentencepiece = true;
    if (t->unk < 0 && has_type(t, TUFF_TOKEN_UNKNOWN, &id)) t->unk = id;
    t->unigram.unk = t->unk;
    t->unigram.byte_fallback = has_type(t, TUFF_TOKEN_BYTE, &id);
    int32_t before = desc->add_bos ? t->bos : -1, after = desc->add_eos ? desc->eos : -1;
    /* XLM-RoBERTa, which has both, puts two between texts; T5, which has the last alone, one. */
    tuff_template_fill(&t->single, &t->pair, before, after, before >= 0 ? after : -1, false);
    return tuff_add_sentencepiece(t, desc, t->unigram.byte_fallback, where);
}
