/* GGUF vocabularies as tokenizers; the kinds of encoders are in describe_encoders.c. */
#include "text/describe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/structs.h"
#include "text/known_cuts.h"

static const char space_piece[] = "\xe2\x96\x81";

/* ---- in ---- */

static bool is_kind(const tuff_vocab_desc *desc, const char *kind)
{
    return strcmp(desc->kind, kind) == 0;
}

static tuff_status check_desc(const tuff_vocab_desc *desc, const char *where)
{
    const int32_t ids[] = {desc->bos, desc->eos, desc->eot, desc->unk,
                           desc->pad, desc->cls, desc->sep, desc->mask};
    bool scored = desc->kind && (is_kind(desc, "llama") || is_kind(desc, "t5"));
    if (!desc->kind || (!scored && !is_kind(desc, "gpt2") && !is_kind(desc, "bert")))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: the vocabulary kind \"%.60s\" is not supported, expected \"gpt2\", \"llama\", "
                         "\"bert\" or \"t5\"",
                         where, desc->kind ? desc->kind : "");
    if (desc->size == 0 || desc->size > INT32_MAX)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the vocabulary has %u tokens", where, desc->size);
    if (!desc->tokens || (desc->merge_count > 0 && !desc->merges))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the vocabulary has a size, but %s is NULL", where,
                         desc->tokens ? "merges" : "tokens");
    if (scored && !desc->scores)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a vocabulary of kind \"%s\" needs scores, found none", where,
                         desc->kind);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (ids[i] >= 0 && (uint32_t)ids[i] >= desc->size)
            return tuff_fail(TUFF_BAD_FORMAT,
                             "%s: the special token id %d is past the vocabulary of %u tokens", where, ids[i],
                             desc->size);
    }
    for (uint32_t i = 0; i < desc->size; i++) {
        if (desc->scores && !isfinite(desc->scores[i]))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: the score of token %u is not a finite number", where, i);
        if (desc->types && (desc->types[i] < TUFF_TOKEN_NORMAL || desc->types[i] > TUFF_TOKEN_BYTE))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: the type of token %u is %d, expected 1 to 6", where, i,
                             desc->types[i]);
        if (!tuff_utf8_valid(desc->tokens[i].data, desc->tokens[i].size))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: token %u is not UTF-8", where, i);
    }
    return TUFF_OK;
}

/* "[PAD7]" for 7: what converters fill a vocabulary up with to the rows of the embedding table. The model may
 * give it; it is no token, and no text. */
static bool fills_up(const tuff_vocab_desc *desc, uint32_t id)
{
    char filler[24];
    snprintf(filler, sizeof filler, "[PAD%u]", id);
    const tuff_view text = {desc->tokens[id].data, desc->tokens[id].size};
    return desc->types && desc->types[id] == TUFF_TOKEN_UNUSED && tuff_view_is(text, filler);
}

static tuff_status copy_tokens(tuff_tokenizer *t, const tuff_vocab_desc *desc)
{
    size_t added = 0;
    TUFF_TRY(tuff_tokenizer_reserve(t, desc->size));
    for (uint32_t i = 0; i < desc->size; i++) {
        tuff_token *token = &t->tokens[i];
        tuff_view text = {desc->tokens[i].data, desc->tokens[i].size};
        token->score = desc->scores ? desc->scores[i] : 0;
        if (fills_up(desc, i)) continue;
        token->type = (uint8_t)(desc->types ? desc->types[i] : TUFF_TOKEN_NORMAL);
        token->special = token->type == TUFF_TOKEN_CONTROL || token->type == TUFF_TOKEN_UNKNOWN;
        token->text = is_kind(desc, "bert") && !token->special ? tuff_spell_wordpiece(t, text)
                                                               : tuff_tokenizer_copy(t, text);
        if (!token->text.data) return tuff_fail_memory("the tokens of a tokenizer");
        /* Of tokens spelled alike the first is the one to encode to. */
        uint32_t other;
        token->in_model = !tuff_map_get(&t->vocab, token->text.data, token->text.size, &other);
        if (token->in_model && !tuff_map_put(&t->vocab, token->text.data, token->text.size, i))
            return tuff_fail_memory("the tokens of a tokenizer");
        added += token->special || token->type == TUFF_TOKEN_USER_DEFINED;
    }
    t->added = tuff_arena_array(&t->arena, added + TUFF_NAMED_LIMIT, sizeof *t->added);
    if (!t->added) return tuff_fail_memory("the added tokens of a tokenizer");
    for (uint32_t i = 0; i < desc->size; i++) {
        const tuff_token *token = &t->tokens[i];
        if (!token->in_model || !(token->special || token->type == TUFF_TOKEN_USER_DEFINED)) continue;
        /* The mask of XLM-RoBERTa takes the space before it. */
        bool left = is_kind(desc, "t5") && tuff_view_is(token->text, "<mask>");
        t->added[t->added_count++] = (tuff_added_token){
            .text = token->text, .id = (int32_t)i, .special = token->special, .left = left};
    }
    return TUFF_OK;
}

/* Bytes of a piece: each of its cuts is looked up. SentencePiece makes pieces of 16 characters. */
enum { LONGEST_PIECE = 1024 };

/* A merge that the scores imply. */
typedef struct implied {
    tuff_merge merge;
    float score;
    size_t left_size, right_size; /* bytes */
} implied;

/* Best score first; of one token's merges the ones with the longer left part first, as transformers orders
 * them. */
static int compare_implied(const void *a, const void *b)
{
    const implied *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->left_size != y->left_size) return x->left_size > y->left_size ? -1 : 1;
    if (x->right_size != y->right_size) return x->right_size > y->right_size ? -1 : 1;
    return x->merge.id < y->merge.id ? -1 : x->merge.id > y->merge.id;
}

static bool part_id(const tuff_tokenizer *t, const char *text, size_t size, int32_t *out)
{
    uint32_t id;
    if (!tuff_map_get(&t->vocab, text, size, &id)) return false;
    *out = (int32_t)id;
    return t->tokens[id].type == TUFF_TOKEN_NORMAL || t->tokens[id].type == TUFF_TOKEN_USER_DEFINED;
}

static tuff_status collect_implied(const tuff_tokenizer *t, const char *where, implied **items, size_t *count)
{
    size_t capacity = 0;
    for (uint32_t id = 0; id < t->size; id++) {
        const tuff_token *token = &t->tokens[id];
        if (!token->in_model || (token->type != TUFF_TOKEN_NORMAL && token->type != TUFF_TOKEN_USER_DEFINED))
            continue;
        if (token->text.size > LONGEST_PIECE)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: token %u has %zu bytes, Tuff supports up to %d", where,
                             id, token->text.size, (int)LONGEST_PIECE);
        for (size_t cut = 1; cut < token->text.size; cut++) {
            implied item = {.merge.id = (int32_t)id, .score = (float)token->score};
            item.left_size = cut;
            item.right_size = token->text.size - cut;
            if (((uint8_t)token->text.data[cut] & 0xc0) == 0x80) continue;
            if (!part_id(t, token->text.data, cut, &item.merge.left)) continue;
            if (!part_id(t, token->text.data + cut, item.right_size, &item.merge.right)) continue;
            if (!tuff_grow((void **)items, *count, &capacity, sizeof **items))
                return tuff_fail_memory("the merges of a tokenizer");
            (*items)[(*count)++] = item;
        }
    }
    return TUFF_OK;
}

tuff_status tuff_imply_merges(tuff_tokenizer *t, const char *where)
{
    implied *items = NULL;
    size_t count = 0;
    tuff_status status = collect_implied(t, where, &items, &count);
    if (status == TUFF_OK && count) qsort(items, count, sizeof *items, compare_implied);
    uint32_t rank = 0;
    for (size_t i = 0; i < count && status == TUFF_OK; i++) {
        if (i && items[i].score != items[i - 1].score) rank++;
        items[i].merge.rank = rank;
        status = tuff_bpe_add(&t->bpe, items[i].merge);
    }
    tuff_free(items);
    return status;
}

static bool has_charsmap(const tuff_vocab_desc *desc)
{
    return desc->charsmap.data && desc->charsmap.size;
}

tuff_status tuff_add_sentencepiece(tuff_tokenizer *t, const tuff_vocab_desc *desc, bool bytes,
                                   const char *where)
{
    tuff_view none = {NULL, 0}, space = tuff_view_of(" "), piece = tuff_view_of(space_piece);
    tuff_normalizer step = {
        .kind = TUFF_NORMALIZE_SENTENCEPIECE, .prefix = desc->add_space_prefix, .merge = desc->merge_spaces};
    t->space_prefix = desc->add_space_prefix;
    t->scored = true;
    if (has_charsmap(desc)) {
        tuff_view blob = {desc->charsmap.data, desc->charsmap.size};
        TUFF_TRY(tuff_charsmap_create(blob, where, &step.charsmap));
    }
    TUFF_TRY(tuff_add_normalizer(t, step, none, where));
    tuff_unspell spaces = {.kind = TUFF_UNSPELL_REPLACE, .text = space};
    tuff_unspell strip = {.kind = TUFF_UNSPELL_STRIP_ALL, .text = space, .left = t->space_prefix};
    TUFF_TRY(tuff_add_unspell(t, spaces, piece, where));
    if (bytes) TUFF_TRY(tuff_add_unspell(t, (tuff_unspell){.kind = TUFF_UNSPELL_BYTE_TOKEN}, none, where));
    return tuff_add_unspell(t, strip, none, where);
}

static tuff_status make_llama(tuff_tokenizer *t, const tuff_vocab_desc *desc, const char *where)
{
    t->space_pieces = true;
    t->bpe.byte_fallback = t->bpe.fuse_unk = true;
    t->bpe.unk = desc->unk;
    TUFF_TRY(tuff_imply_merges(t, where));
    return tuff_add_sentencepiece(t, desc, true, where);
}

static tuff_status make_gpt2(tuff_tokenizer *t, const tuff_vocab_desc *desc, const char *where)
{
    const char *pre = desc->pre ? desc->pre : "default";
    const tuff_known_cut *cut = tuff_known_cut_find(pre);
    if (!cut)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: the pre-tokenizer \"%.60s\" (tokenizer.ggml.pre) is not supported by Tuff",
                         where, pre);
    for (uint32_t i = 0; i < desc->merge_count; i++) {
        tuff_view merge = {desc->merges[i].data, desc->merges[i].size};
        TUFF_TRY(tuff_add_merge_text(t, merge, i, where));
    }
    return tuff_known_cut_apply(t, cut, desc->add_space_prefix, where);
}

static tuff_status make_kind(tuff_tokenizer *t, const tuff_vocab_desc *desc, const char *where)
{
    if (is_kind(desc, "llama")) return make_llama(t, desc, where);
    if (is_kind(desc, "bert")) return tuff_make_wordpiece(t, desc, where);
    if (is_kind(desc, "t5")) return tuff_make_unigram(t, desc, where);
    return make_gpt2(t, desc, where);
}

tuff_status tuff_tokenizer_fill(tuff_tokenizer *t, const tuff_vocab_desc *desc, const char *where)
{
    bool decoder = !desc->kind || is_kind(desc, "gpt2") || is_kind(desc, "llama");
    TUFF_TRY(check_desc(desc, where));
    TUFF_TRY(copy_tokens(t, desc));
    t->bos = desc->bos < 0 ? -1 : desc->bos;
    t->unk = desc->unk < 0 ? -1 : desc->unk;
    t->pad = desc->pad < 0 ? -1 : desc->pad;
    t->cls = desc->cls < 0 ? -1 : desc->cls;
    t->sep = desc->sep < 0 ? -1 : desc->sep;
    t->mask = desc->mask < 0 ? -1 : desc->mask;
    if (decoder) {
        int32_t before = desc->add_bos ? t->bos : -1;
        tuff_template_fill(&t->single, &t->pair, before, desc->add_eos ? desc->eos : -1, before, true);
    }
    TUFF_TRY(make_kind(t, desc, where));
    tuff_tokenizer_add_eos(t, desc->eos);
    tuff_tokenizer_add_eos(t, desc->eot);
    if (desc->chat_template.data) {
        t->chat_template =
            tuff_tokenizer_copy(t, (tuff_view){desc->chat_template.data, desc->chat_template.size});
        if (!t->chat_template.data) return tuff_fail_memory("a chat template");
    }
    TUFF_TRY(tuff_tokenizer_finish(t, where));
    tuff_guess_specials(t);
    tuff_tokenizer_guess_eos(t);
    return TUFF_OK;
}

tuff_status tuff_tokenizer_from_desc(const tuff_vocab_desc *desc, const char *where,
                                     tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(desc);
    TUFF_NEED(where);
    tuff_vocab_desc d = TUFF_VOCAB_DESC_INIT;
    TUFF_TRY(TUFF_TAKE(&d, desc, TUFF_VOCAB_DESC_INIT, chat_template));
    tuff_tokenizer *t = NULL;
    tuff_status status = tuff_tokenizer_new(&t);
    if (status == TUFF_OK) status = tuff_tokenizer_fill(t, &d, where);
    if (status == TUFF_OK)
        *out_tokenizer = t;
    else
        tuff_tokenizer_destroy(&t);
    return status;
}
