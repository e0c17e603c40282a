/* Any tokenizer as a GGUF vocabulary; the kinds of encoders are in export_encoders.c. */
#include "text/export.h"

#include <string.h>

#include "base/status.h"
#include "text/known_cuts.h"

static const char space_piece[] = "\xe2\x96\x81";

static tuff_status no_memory(void)
{
    return tuff_fail_memory("describing a tokenizer");
}

tuff_status tuff_inexpressible(const char *what)
{
    return tuff_fail(TUFF_UNSUPPORTED, "the tokenizer cannot be written as GGUF: %s", what);
}

static tuff_status copy_tokens(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    e->tokens = tuff_arena_array(&e->arena, t->size, sizeof *e->tokens);
    e->types = tuff_arena_array(&e->arena, t->size, sizeof *e->types);
    e->scores = tuff_arena_array(&e->arena, t->size, sizeof *e->scores);
    if (!e->tokens || !e->types || !e->scores) return no_memory();
    for (uint32_t id = 0; id < t->size; id++) {
        const tuff_token *token = &t->tokens[id];
        e->types[id] = token->text.data ? token->type : TUFF_TOKEN_UNUSED;
        e->scores[id] = (float)token->score;
        e->tokens[id] = (tuff_piece){token->text.data, token->text.size};
        if (token->text.data) continue;
        const char *name = tuff_arena_printf(&e->arena, "[PAD%u]", id);
        if (!name) return no_memory();
        e->tokens[id] = (tuff_piece){name, strlen(name)};
    }
    return TUFF_OK;
}

static tuff_status copy_merges(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    e->merges = tuff_arena_array(&e->arena, t->bpe.merge_count, sizeof *e->merges);
    if (!e->merges) return no_memory();
    for (size_t m = 0; m < t->bpe.merge_count; m++) {
        tuff_view left = t->tokens[t->bpe.merges[m].left].text,
                  right = t->tokens[t->bpe.merges[m].right].text;
        size_t size = left.size + 1 + right.size;
        char *text = tuff_arena_alloc(&e->arena, size);
        if (!text) return no_memory();
        memcpy(text, left.data, left.size);
        text[left.size] = ' ';
        memcpy(text + left.size + 1, right.data, right.size);
        e->merges[m] = (tuff_piece){text, size};
    }
    e->desc.merges = e->merges;
    e->desc.merge_count = (uint32_t)t->bpe.merge_count;
    return TUFF_OK;
}

/* SentencePiece as GGUF knows it: spaces become U+2581, perhaps one goes before, nothing else. */
static tuff_status check_spaces(const tuff_tokenizer *t)
{
    bool spaces = false;
    for (size_t i = 0; i < t->normalizer_count; i++) {
        const tuff_normalizer *step = &t->normalizers[i];
        bool fits = step->kind == TUFF_NORMALIZE_PREPEND || step->kind == TUFF_NORMALIZE_REPLACE;
        if (!fits || !tuff_view_is(step->text, space_piece))
            return tuff_inexpressible("its normalizer has no name there");
        spaces = spaces || step->kind == TUFF_NORMALIZE_REPLACE;
    }
    for (size_t i = 0; i < t->splitter_count; i++) {
        const tuff_splitter *step = &t->splitters[i];
        bool metaspace = step->kind == TUFF_SPLIT_METASPACE && tuff_view_is(step->text, space_piece);
        bool cut = i == 1 && step->behavior == TUFF_SPLIT_MERGED_WITH_NEXT &&
                   tuff_view_is(step->pattern, space_piece);
        if (!metaspace && !cut) return tuff_inexpressible("its pre-tokenizer has no name there");
        spaces = spaces || metaspace;
    }
    return spaces ? TUFF_OK : tuff_inexpressible("it does not write spaces as U+2581");
}

static bool is_character(tuff_view text)
{
    uint32_t c;
    return tuff_utf8_decode(text.data, text.size, &c) == text.size;
}

/* Scores in the order of the merges. A token that no merge gives must not come about by its score: it is
 * unused. */
static void score_by_merges(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    float next = -1;
    for (size_t m = 0; m < t->bpe.merge_count; m++) {
        float *score = &e->scores[t->bpe.merges[m].id];
        if (*score == 0) *score = next--;
    }
    for (uint32_t id = 0; id < t->size; id++) {
        if (e->scores[id] != 0 || e->types[id] != TUFF_TOKEN_NORMAL) continue;
        if (!is_character(t->tokens[id].text)) e->types[id] = TUFF_TOKEN_UNUSED;
        e->scores[id] = next;
    }
}

static tuff_status describe_llama(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    if (!t->space_pieces)
        return tuff_inexpressible(
            "it is neither byte-level BPE, WordPiece, Unigram nor SentencePiece BPE with "
            "byte tokens");
    for (size_t i = 0; i < t->normalizer_count; i++) {
        const tuff_normalizer *step = &t->normalizers[i];
        if (step->charsmap || step->merge)
            return tuff_inexpressible(
                "its SentencePiece BPE replaces characters or spaces, which kind llama does not");
    }
    if (!t->scored) {
        TUFF_TRY(check_spaces(t));
        score_by_merges(t, e);
    }
    e->desc.pre = "default";
    e->desc.scores = e->scores;
    return TUFF_OK;
}

static tuff_status describe_gpt2(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    if (!t->cut) return tuff_inexpressible("its pre-tokenizer has no name there");
    if (t->bpe.suffix.size) return tuff_inexpressible("its words end in a suffix");
    for (size_t i = 0; i < t->normalizer_count; i++)
        if (t->normalizers[i].kind != TUFF_NORMALIZE_NFC)
            return tuff_inexpressible("its normalizer has no name there");
    const tuff_view name = tuff_known_cut_name(t->cut);
    e->desc.pre = tuff_arena_printf(&e->arena, "%.*s", (int)name.size, name.data);
    if (!e->desc.pre) return no_memory();
    return copy_merges(t, e);
}

static tuff_status describe(const tuff_tokenizer *t, tuff_vocab_export *e)
{
    tuff_vocab_desc *desc = &e->desc;
    *desc = (tuff_vocab_desc)TUFF_VOCAB_DESC_INIT;
    TUFF_TRY(copy_tokens(t, e));
    desc->kind = tuff_tokenizer_kind(t);
    if (t->model == TUFF_WORDS_WORDPIECE)
        TUFF_TRY(tuff_export_wordpiece(t, e));
    else if (t->model == TUFF_WORDS_UNIGRAM)
        TUFF_TRY(tuff_export_unigram(t, e));
    else
        TUFF_TRY(t->byte_level ? describe_gpt2(t, e) : describe_llama(t, e));
    desc->size = t->size;
    desc->tokens = e->tokens;
    desc->types = e->types;
    desc->bos = t->bos;
    desc->eos = tuff_tokenizer_eos(t, 0);
    desc->eot = tuff_tokenizer_eos(t, 1);
    desc->unk = t->unk;
    desc->pad = t->pad;
    desc->cls = t->cls;
    desc->sep = t->sep;
    desc->mask = t->mask;
    desc->add_bos = tuff_template_before(&t->single) > 0;
    desc->add_eos = tuff_template_after(&t->single) > 0;
    desc->add_space_prefix = t->space_prefix;
    desc->chat_template = (tuff_piece){t->chat_template.data, t->chat_template.size};
    return TUFF_OK;
}

tuff_status tuff_vocab_export_create(const tuff_tokenizer *tokenizer, tuff_vocab_export **out_export)
{
    TUFF_NEED_OUT(out_export);
    TUFF_NEED(tokenizer);
    tuff_vocab_export *e = *out_export = tuff_alloc(sizeof *e);
    if (!e) return no_memory();
    tuff_status status = describe(tokenizer, e);
    if (status != TUFF_OK) tuff_vocab_export_destroy(out_export);
    return status;
}

const tuff_vocab_desc *tuff_vocab_export_desc(const tuff_vocab_export *vocab)
{
    if (!vocab) return NULL;
    return &vocab->desc;
}

void tuff_vocab_export_destroy(tuff_vocab_export **vocab)
{
    if (!vocab || !*vocab) return;
    tuff_arena_free(&(*vocab)->arena);
    tuff_free(*vocab);
    *vocab = NULL;
}
