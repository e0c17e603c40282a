#include "models/vocab.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "text/known_cuts.h"

/* The description's arrays, before a tokenizer copies them. */
typedef struct arrays {
    tuff_piece *tokens, *merges;
    float *scores;
    int32_t *types;
} arrays;

static tuff_status read_pieces(const tuff_gguf_value *value, tuff_piece **out)
{
    *out = tuff_alloc_array((size_t)value->count + 1, sizeof **out);
    if (!*out) return tuff_fail_memory("a vocabulary");
    for (uint64_t i = 0; i < value->count; i++) {
        tuff_view text = tuff_gguf_string_at(value, i);
        (*out)[i] = (tuff_piece){text.data, text.size};
    }
    return TUFF_OK;
}

static tuff_status check_count(const tuff_gguf *gguf, const tuff_gguf_value *value, uint64_t want)
{
    if (value->count == want) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has %llu items, the vocabulary %llu tokens", gguf->file,
                     value->key, (unsigned long long)value->count, (unsigned long long)want);
}

static tuff_status read_arrays(const tuff_gguf *gguf, tuff_vocab_desc *desc, arrays *a)
{
    const tuff_gguf_value *tokens, *scores, *types, *merges;
    TUFF_TRY(tuff_gguf_strings(gguf, "tokenizer.ggml.tokens", &tokens));
    TUFF_TRY(tuff_gguf_numbers(gguf, "tokenizer.ggml.scores", &scores));
    TUFF_TRY(tuff_gguf_ints(gguf, "tokenizer.ggml.token_type", &types));
    TUFF_TRY(tuff_gguf_strings(gguf, "tokenizer.ggml.merges", &merges));
    if (!tokens || tokens->count == 0 || tokens->count > UINT32_MAX)
        return tuff_fail(TUFF_NOT_FOUND, "%s: it has no vocabulary (tokenizer.ggml.tokens)", gguf->file);
    TUFF_TRY(read_pieces(tokens, &a->tokens));
    desc->size = (uint32_t)tokens->count;
    desc->tokens = a->tokens;
    if (scores) {
        TUFF_TRY(check_count(gguf, scores, tokens->count));
        a->scores = tuff_alloc_array(desc->size, sizeof *a->scores);
        if (!a->scores) return tuff_fail_memory("a vocabulary");
        for (uint32_t i = 0; i < desc->size; i++)
            a->scores[i] = (float)tuff_gguf_number_at(scores, i);
        desc->scores = a->scores;
    }
    if (types) {
        TUFF_TRY(check_count(gguf, types, tokens->count));
        a->types = tuff_alloc_array(desc->size, sizeof *a->types);
        if (!a->types) return tuff_fail_memory("a vocabulary");
        for (uint32_t i = 0; i < desc->size; i++)
            a->types[i] = (int32_t)tuff_gguf_int_at(types, i);
        desc->types = a->types;
    }
    if (merges && merges->count <= UINT32_MAX) {
        TUFF_TRY(read_pieces(merges, &a->merges));
        desc->merge_count = (uint32_t)merges->count;
        desc->merges = a->merges;
    }
    return TUFF_OK;
}

static tuff_status read_id(const tuff_gguf *gguf, const char *key, int32_t *out)
{
    int64_t id = -1;
    TUFF_TRY(tuff_gguf_int(gguf, key, &id));
    *out = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
    return TUFF_OK;
}

/* 1, 0, or -1 where the file does not say. */
static tuff_status read_choice(const tuff_gguf *gguf, const char *key, int8_t *out)
{
    bool value = false;
    TUFF_TRY(tuff_gguf_bool(gguf, key, &value));
    *out = tuff_gguf_find(gguf, key) ? (int8_t)value : -1;
    return TUFF_OK;
}

/* SentencePiece's table, an array of bytes. */
static tuff_status read_charsmap(const tuff_gguf *gguf, tuff_piece *out)
{
    const char *key = "tokenizer.ggml.precompiled_charsmap";
    const tuff_gguf_value *value;
    TUFF_TRY(tuff_gguf_ints(gguf, key, &value));
    if (!value) return TUFF_OK;
    if (value->item != TUFF_GGUF_U8 && value->item != TUFF_GGUF_I8)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is an array of %s, expected bytes", gguf->file, key,
                         tuff_gguf_type_name(value->item));
    *out = (tuff_piece){(const char *)value->data, value->bytes};
    return TUFF_OK;
}

/* What the vocabularies of encoders have beside the others'. */
static tuff_status read_encoder(const tuff_gguf *gguf, tuff_vocab_desc *desc)
{
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.cls_token_id", &desc->cls));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.seperator_token_id", &desc->sep)); /* llama.cpp's spelling */
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.mask_token_id", &desc->mask));
    TUFF_TRY(read_choice(gguf, "tokenizer.ggml.normalizer.lowercase", &desc->lowercase));
    TUFF_TRY(read_choice(gguf, "tokenizer.ggml.normalizer.strip_accents", &desc->strip_accents));
    TUFF_TRY(tuff_gguf_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", &desc->merge_spaces));
    return read_charsmap(gguf, &desc->charsmap);
}

static tuff_status read_desc(const tuff_gguf *gguf, tuff_vocab_desc *desc, char kind[32], char pre[64])
{
    tuff_view text = {0};
    TUFF_TRY(tuff_gguf_text(gguf, "tokenizer.ggml.model", &text));
    snprintf(kind, 32, "%.*s", (int)(text.size < 31 ? text.size : 31), text.data ? text.data : "");
    desc->kind = kind;
    text = (tuff_view){0};
    TUFF_TRY(tuff_gguf_text(gguf, "tokenizer.ggml.pre", &text));
    snprintf(pre, 64, "%.*s", (int)(text.size < 63 ? text.size : 63), text.data ? text.data : "");
    desc->pre = *pre ? pre : NULL;
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.bos_token_id", &desc->bos));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.eos_token_id", &desc->eos));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.eot_token_id", &desc->eot));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.unknown_token_id", &desc->unk));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.padding_token_id", &desc->pad));
    /* absent flags mean what llama.cpp takes them to mean: SentencePiece begins with its token and a space */
    desc->add_bos = desc->add_space_prefix = strcmp(kind, "llama") == 0;
    const tuff_known_cut *cut = strcmp(kind, "gpt2") == 0 ? tuff_known_cut_find(pre) : NULL;
    if (cut && cut->flags & TUFF_CUT_BEGIN) desc->add_bos = true;
    desc->add_eos = strcmp(kind, "t5") == 0;
    TUFF_TRY(tuff_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &desc->add_bos));
    TUFF_TRY(tuff_gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &desc->add_eos));
    TUFF_TRY(tuff_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &desc->add_space_prefix));
    TUFF_TRY(read_encoder(gguf, desc));
    text = (tuff_view){0};
    TUFF_TRY(tuff_gguf_text(gguf, "tokenizer.chat_template", &text));
    desc->chat_template = (tuff_piece){text.data, text.size};
    return TUFF_OK;
}

tuff_status tuff_vocab_load(const tuff_gguf *gguf, tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = NULL;
    tuff_vocab_desc desc = TUFF_VOCAB_DESC_INIT;
    arrays a = {0};
    char kind[32], pre[64];
    tuff_status status = read_desc(gguf, &desc, kind, pre);
    if (status == TUFF_OK) status = read_arrays(gguf, &desc, &a);
    if (status == TUFF_OK) status = tuff_tokenizer_from_desc(&desc, gguf->file, out_tokenizer);
    tuff_free(a.tokens);
    tuff_free(a.merges);
    tuff_free(a.scores);
    tuff_free(a.types);
    return status;
}

tuff_status tuff_vocab_tokens(const tuff_gguf *gguf, tuff_hf_tokens *out_tokens)
{
    int32_t eos = -1, eot = -1;
    *out_tokens = (tuff_hf_tokens){.bos = -1, .pad = -1, .start = -1, .first = -1, .last = -1};
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.bos_token_id", &out_tokens->bos));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.padding_token_id", &out_tokens->pad));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.eos_token_id", &eos));
    TUFF_TRY(read_id(gguf, "tokenizer.ggml.eot_token_id", &eot));
    if (eos >= 0) out_tokens->eos[out_tokens->eos_count++] = eos;
    if (eot >= 0 && eot != eos) out_tokens->eos[out_tokens->eos_count++] = eot;
    return TUFF_OK;
}

enum { UNUSED_SCORE = -1000 }; /* as llama.cpp's converter gives it */

static void put_id(tuff_gguf_builder *gguf, const char *key, int32_t id)
{
    if (id >= 0) tuff_gguf_put_u32(gguf, key, (uint32_t)id);
}

/* tuff_piece and tuff_view are the same two words; GGUF's builder takes views. */
static tuff_status put_pieces(tuff_gguf_builder *gguf, const char *key, const tuff_piece *pieces, uint32_t n)
{
    tuff_view *views = tuff_alloc_array((size_t)n + 1, sizeof *views);
    if (!views) return tuff_fail_memory("a vocabulary");
    for (uint32_t i = 0; i < n; i++)
        views[i] = (tuff_view){pieces[i].data, pieces[i].size};
    tuff_gguf_put_strings(gguf, key, views, n);
    tuff_free(views);
    return TUFF_OK;
}

/* The tokens, scores and types, up to `rows`. */
static tuff_status put_tokens(tuff_gguf_builder *gguf, const tuff_vocab_desc *d, uint32_t rows)
{
    tuff_arena arena = {0};
    uint32_t n = rows > d->size ? rows : d->size;
    tuff_piece *tokens = tuff_arena_array(&arena, n, sizeof *tokens);
    float *scores = tuff_arena_array(&arena, n, sizeof *scores);
    int32_t *types = tuff_arena_array(&arena, n, sizeof *types);
    bool ok = tokens && scores && types;
    for (uint32_t i = 0; ok && i < n; i++) {
        bool known = i < d->size;
        const char *unused = known ? NULL : tuff_arena_printf(&arena, "[PAD%u]", i);
        ok = known || unused;
        if (!ok) break;
        tokens[i] = known ? d->tokens[i] : (tuff_piece){unused, strlen(unused)};
        scores[i] = known ? (d->scores ? d->scores[i] : 0) : UNUSED_SCORE;
        types[i] = known ? (d->types ? d->types[i] : TUFF_TOKEN_NORMAL) : TUFF_TOKEN_UNUSED;
    }
    tuff_status status =
        ok ? put_pieces(gguf, "tokenizer.ggml.tokens", tokens, n) : tuff_fail_memory("a vocabulary");
    if (status == TUFF_OK && d->scores) tuff_gguf_put_f32s(gguf, "tokenizer.ggml.scores", scores, n);
    if (status == TUFF_OK) tuff_gguf_put_i32s(gguf, "tokenizer.ggml.token_type", types, n);
    tuff_arena_free(&arena);
    return status;
}

/* What is done to a text, and what is put around it. */
static void put_rules(tuff_gguf_builder *gguf, const tuff_vocab_desc *d)
{
    bool wordpiece = strcmp(d->kind, "bert") == 0, unigram = strcmp(d->kind, "t5") == 0;
    if (wordpiece) {
        tuff_gguf_put_bool(gguf, "tokenizer.ggml.normalizer.lowercase", d->lowercase > 0);
        tuff_gguf_put_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", d->strip_accents > 0);
        return;
    }
    tuff_gguf_put_bool(gguf, "tokenizer.ggml.add_bos_token", d->add_bos);
    tuff_gguf_put_bool(gguf, "tokenizer.ggml.add_eos_token", d->add_eos);
    if (unigram || strcmp(d->kind, "llama") == 0)
        tuff_gguf_put_bool(gguf, "tokenizer.ggml.add_space_prefix", d->add_space_prefix);
    if (unigram || d->merge_spaces)
        tuff_gguf_put_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", d->merge_spaces);
    if (d->charsmap.size)
        tuff_gguf_put_bytes(gguf, "tokenizer.ggml.precompiled_charsmap", d->charsmap.data, d->charsmap.size);
}

tuff_status tuff_vocab_write(const tuff_tokenizer *tokenizer, uint32_t rows, tuff_gguf_builder *gguf)
{
    tuff_vocab_export *vocab = NULL;
    TUFF_TRY(tuff_vocab_export_create(tokenizer, &vocab));
    const tuff_vocab_desc *d = tuff_vocab_export_desc(vocab);
    tuff_gguf_put_text(gguf, "tokenizer.ggml.model", d->kind);
    if (d->pre) tuff_gguf_put_text(gguf, "tokenizer.ggml.pre", d->pre);
    tuff_status status = put_tokens(gguf, d, rows);
    /* llama.cpp wants the list also where nothing is joined */
    if ((d->merge_count || strcmp(d->kind, "gpt2") == 0) && status == TUFF_OK)
        status = put_pieces(gguf, "tokenizer.ggml.merges", d->merges, d->merge_count);
    put_id(gguf, "tokenizer.ggml.bos_token_id", d->bos);
    put_id(gguf, "tokenizer.ggml.eos_token_id", d->eos);
    put_id(gguf, "tokenizer.ggml.eot_token_id", d->eot);
    put_id(gguf, "tokenizer.ggml.unknown_token_id", d->unk);
    put_id(gguf, "tokenizer.ggml.padding_token_id", d->pad);
    put_id(gguf, "tokenizer.ggml.cls_token_id", d->cls);
    put_id(gguf, "tokenizer.ggml.seperator_token_id", d->sep);
    put_id(gguf, "tokenizer.ggml.mask_token_id", d->mask);
    put_rules(gguf, d);
    if (d->chat_template.size) {
        tuff_buf text = {0};
        tuff_buf_bytes(&text, d->chat_template.data, d->chat_template.size);
        if (text.failed)
            status = tuff_fail_memory("a chat template");
        else
            tuff_gguf_put_text(gguf, "tokenizer.chat_template", text.data);
        tuff_buf_free(&text);
    }
    tuff_vocab_export_destroy(&vocab);
    return status;
}
