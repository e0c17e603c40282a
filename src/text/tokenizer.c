#include "text/tokenizer_impl.h"

#include <string.h>

#include "base/status.h"

enum { LONGEST_MERGE = 1024 };

/* ---- building ---- */

tuff_status tuff_tokenizer_new(tuff_tokenizer **out_tokenizer)
{
    tuff_tokenizer *tokenizer = *out_tokenizer = tuff_alloc(sizeof *tokenizer);
    if (!tokenizer) return tuff_fail_memory("a tokenizer");
    tokenizer->bos = tokenizer->unk = tokenizer->pad = tokenizer->bpe.unk = -1;
    return TUFF_OK;
}

void tuff_tokenizer_destroy(tuff_tokenizer **tokenizer)
{
    if (!tokenizer) return;
    tuff_tokenizer *t = *tokenizer;
    if (!t) return;
    for (size_t i = 0; i < t->normalizer_count; i++)
        tuff_regex_destroy(&t->normalizers[i].regex);
    for (size_t i = 0; i < t->splitter_count; i++)
        tuff_regex_destroy(&t->splitters[i].regex);
    for (size_t i = 0; i < t->unspell_count; i++)
        tuff_regex_destroy(&t->unspells[i].regex);
    tuff_added_free(&t->raw_added);
    tuff_added_free(&t->normalized_added);
    tuff_bpe_free(&t->bpe);
    tuff_map_free(&t->ids);
    tuff_arena_free(&t->arena);
    tuff_free(t);
    *tokenizer = NULL;
}

tuff_view tuff_tokenizer_copy(tuff_tokenizer *tokenizer, tuff_view text)
{
    char *copy = tuff_arena_alloc(&tokenizer->arena, text.size + 1);
    if (copy && text.size) memcpy(copy, text.data, text.size);
    return (tuff_view){copy, text.size};
}

tuff_status tuff_tokenizer_reserve(tuff_tokenizer *tokenizer, uint32_t size)
{
    tokenizer->tokens = tuff_arena_array(&tokenizer->arena, size, sizeof *tokenizer->tokens);
    if (!tokenizer->tokens) return tuff_fail_memory("the tokens of a tokenizer");
    tokenizer->size = size;
    return TUFF_OK;
}

static tuff_status add_step(tuff_tokenizer *tokenizer, size_t count, tuff_view pattern, const char *where,
                            tuff_regex **out_regex, tuff_view *text)
{
    if (count == TUFF_STEP_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: more than %d steps of one kind; Tuff supports up to %d",
                         where, TUFF_STEP_LIMIT, TUFF_STEP_LIMIT);
    if (text->data) {
        *text = tuff_tokenizer_copy(tokenizer, *text);
        if (!text->data) return tuff_fail_memory("a step of a tokenizer");
    }
    return pattern.data ? tuff_regex_compile(pattern, where, out_regex) : TUFF_OK;
}

tuff_status tuff_add_normalizer(tuff_tokenizer *tokenizer, tuff_normalizer step, tuff_view pattern,
                                const char *where)
{
    TUFF_TRY(add_step(tokenizer, tokenizer->normalizer_count, pattern, where, &step.regex, &step.text));
    tokenizer->normalizers[tokenizer->normalizer_count++] = step;
    return TUFF_OK;
}

tuff_status tuff_add_splitter(tuff_tokenizer *tokenizer, tuff_splitter step, tuff_view pattern,
                              const char *where)
{
    if (pattern.data) {
        step.pattern = tuff_tokenizer_copy(tokenizer, pattern);
        if (!step.pattern.data) return tuff_fail_memory("a step of a tokenizer");
    }
    TUFF_TRY(add_step(tokenizer, tokenizer->splitter_count, pattern, where, &step.regex, &step.text));
    tokenizer->splitters[tokenizer->splitter_count++] = step;
    return TUFF_OK;
}

tuff_status tuff_add_unspell(tuff_tokenizer *tokenizer, tuff_unspell step, tuff_view pattern,
                             const char *where)
{
    TUFF_TRY(add_step(tokenizer, tokenizer->unspell_count, pattern, where, &step.regex, &step.text));
    tokenizer->unspells[tokenizer->unspell_count++] = step;
    return TUFF_OK;
}

/* How much of a text an error shows. */
static int shown(tuff_view text)
{
    return (int)(text.size < 60 ? text.size : 60);
}

static bool model_id(const tuff_tokenizer *tokenizer, tuff_view text, int32_t *out_id)
{
    uint32_t id;
    if (!tuff_map_get(&tokenizer->bpe.vocab, text.data, text.size, &id)) return false;
    *out_id = (int32_t)id;
    return true;
}

/* The part of a merge that is not in the vocabulary; data NULL: all are, and the merge is filled in. `joined`
 * is the left and the right part in one. */
static tuff_view resolve(const tuff_tokenizer *tokenizer, tuff_view left, tuff_view right, tuff_view joined,
                         tuff_merge *merge)
{
    if (!model_id(tokenizer, left, &merge->left)) return left;
    if (!model_id(tokenizer, right, &merge->right)) return right;
    if (!model_id(tokenizer, joined, &merge->id)) return joined;
    return (tuff_view){NULL, 0};
}

static tuff_status missing_token(tuff_view left, tuff_view right, tuff_view missing, size_t index,
                                 const char *where)
{
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: merge %zu (\"%.*s %.*s\") needs the token \"%.*s\", which is not in the vocabulary",
                     where, index, shown(left), left.data, shown(right), right.data, shown(missing),
                     missing.data);
}

tuff_status tuff_add_merge(tuff_tokenizer *tokenizer, tuff_view left, tuff_view right, size_t index,
                           const char *where)
{
    tuff_merge merge = {.rank = (uint32_t)index};
    tuff_buf joined = {0};
    tuff_buf_bytes(&joined, left.data, left.size);
    tuff_buf_bytes(&joined, right.data, right.size);
    tuff_status status = joined.failed ? tuff_fail_memory("the merges of a tokenizer") : TUFF_OK;
    if (status == TUFF_OK) {
        tuff_view missing = resolve(tokenizer, left, right, (tuff_view){joined.data, joined.size}, &merge);
        status = missing.data ? missing_token(left, right, missing, index, where)
                              : tuff_bpe_add(&tokenizer->bpe, merge);
    }
    tuff_buf_free(&joined);
    return status;
}

tuff_status tuff_add_merge_text(tuff_tokenizer *tokenizer, tuff_view text, size_t index, const char *where)
{
    tuff_view first_left = {NULL, 0}, first_right = {NULL, 0};
    const char *space = text.size ? memchr(text.data, ' ', text.size) : NULL;
    /* Each of its cuts is looked up in the vocabulary. */
    if (space && text.size > LONGEST_MERGE &&
        memchr(space + 1, ' ', text.size - (size_t)(space + 1 - text.data)))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: merge %zu has %zu bytes with several spaces, Tuff supports up to %d", where,
                         index, text.size, (int)LONGEST_MERGE);
    /* Tokens may have spaces in them: the first cut that names three known tokens is meant. */
    for (size_t cut = 1; cut + 1 < text.size; cut++) {
        if (text.data[cut] != ' ') continue;
        tuff_view left = {text.data, cut}, right = {text.data + cut + 1, text.size - cut - 1};
        int32_t id;
        bool last = !memchr(right.data, ' ', right.size - 1);
        if (!first_left.data) {
            first_left = left;
            first_right = right;
        }
        if (last && first_left.size == cut) return tuff_add_merge(tokenizer, left, right, index, where);
        if (!model_id(tokenizer, left, &id) || !model_id(tokenizer, right, &id)) continue;
        tuff_status status = tuff_add_merge(tokenizer, left, right, index, where);
        if (status != TUFF_BAD_FORMAT) return status;
    }
    if (first_left.data) return tuff_add_merge(tokenizer, first_left, first_right, index, where);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: merge %zu is \"%.*s\", expected two tokens with a space between",
                     where, index, shown(text), text.data ? text.data : "");
}

void tuff_tokenizer_add_eos(tuff_tokenizer *tokenizer, int64_t id)
{
    if (id < 0 || id > INT32_MAX || tuff_tokenizer_is_eos(tokenizer, (int32_t)id)) return;
    if (tokenizer->eos_count < TUFF_EOS_LIMIT) tokenizer->eos[tokenizer->eos_count++] = (int32_t)id;
}

/* Whether every merge keeps U+2581 at the front of what it makes. */
static bool space_starts_word(const tuff_tokenizer *tokenizer)
{
    static const char space[] = "\xe2\x96\x81";
    int32_t id;
    if (!model_id(tokenizer, tuff_view_of(space), &id)) return false;
    for (size_t m = 0; m < tokenizer->bpe.merge_count; m++) {
        tuff_view text = tokenizer->tokens[tokenizer->bpe.merges[m].id].text;
        bool inside = false;
        for (size_t i = 0; i < text.size; i++) {
            bool here = text.size - i >= 3 && memcmp(text.data + i, space, 3) == 0;
            if (here && inside) return false;
            if (here)
                i += 2;
            else
                inside = true;
        }
    }
    return true;
}

static tuff_status finish_added(tuff_tokenizer *tokenizer)
{
    size_t count = tokenizer->added_count, room = 0;
    for (size_t i = 0; i < count; i++)
        room += tokenizer->added[i].text.size;
    room = tuff_normalize_room(room);
    tuff_view *raw = tuff_arena_array(&tokenizer->arena, count, sizeof *raw);
    tuff_view *normalized = tuff_arena_array(&tokenizer->arena, count, sizeof *normalized);
    if (!raw || !normalized) return tuff_fail_memory("the added tokens of a tokenizer");
    for (size_t i = 0; i < count; i++) {
        const tuff_added_token *token = &tokenizer->added[i];
        if (!tuff_map_put(&tokenizer->ids, token->text.data, token->text.size, (uint32_t)token->id))
            return tuff_fail_memory("the added tokens of a tokenizer");
        if (!token->normalized) {
            raw[i] = token->text;
            continue;
        }
        tuff_buf text = {0};
        tuff_status status = tuff_normalize(tokenizer->normalizers, tokenizer->normalizer_count, token->text,
                                            &room, NULL, &text);
        if (status == TUFF_OK) {
            normalized[i] = tuff_tokenizer_copy(tokenizer, (tuff_view){text.data, text.size});
            if (!normalized[i].data) status = tuff_fail_memory("the added tokens of a tokenizer");
        }
        tuff_buf_free(&text);
        TUFF_TRY(status);
    }
    TUFF_TRY(tuff_added_build(&tokenizer->raw_added, tokenizer->added, raw, count));
    return tuff_added_build(&tokenizer->normalized_added, tokenizer->added, normalized, count);
}

void tuff_tokenizer_guess_eos(tuff_tokenizer *tokenizer)
{
    static const char *const names[] = {"</s>",  "<|endoftext|>", "<|end_of_text|>",
                                        "<eos>", "<|im_end|>",    "<|eot_id|>"};
    for (size_t i = 0; i < sizeof names / sizeof *names && tokenizer->eos_count == 0; i++) {
        int32_t id = tuff_tokenizer_id(tokenizer, names[i], strlen(names[i]));
        if (id >= 0 && tokenizer->tokens[id].special) tuff_tokenizer_add_eos(tokenizer, id);
    }
}

tuff_status tuff_tokenizer_finish(tuff_tokenizer *tokenizer)
{
    tokenizer->bpe.space_starts_word = space_starts_word(tokenizer);
    TUFF_TRY(tuff_bpe_finish(&tokenizer->bpe));
    return finish_added(tokenizer);
}

/* ---- questions ---- */

uint32_t tuff_tokenizer_vocab_size(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return 0;
    return tokenizer->size;
}

tuff_status tuff_tokenizer_check_model(const tuff_tokenizer *tokenizer, uint32_t rows)
{
    TUFF_NEED(tokenizer);
    if (tokenizer->size <= rows) return TUFF_OK;
    return tuff_fail(
        TUFF_BAD_FORMAT,
        "the tokenizer has ids up to %u, but the model's embedding has only %u rows: the tokenizer belongs to another model",
        tokenizer->size - 1, rows);
}

static const tuff_token *token_at(const tuff_tokenizer *tokenizer, int32_t id)
{
    if (!tokenizer || id < 0 || (uint32_t)id >= tokenizer->size) return NULL;
    const tuff_token *token = &tokenizer->tokens[id];
    return token->text.data ? token : NULL;
}

tuff_piece tuff_tokenizer_token(const tuff_tokenizer *tokenizer, int32_t id)
{
    const tuff_token *token = token_at(tokenizer, id);
    return token ? (tuff_piece){token->text.data, token->text.size} : (tuff_piece){NULL, 0};
}

tuff_token_type tuff_tokenizer_token_type(const tuff_tokenizer *tokenizer, int32_t id)
{
    const tuff_token *token = token_at(tokenizer, id);
    return token ? (tuff_token_type)token->type : TUFF_TOKEN_UNUSED;
}

int32_t tuff_tokenizer_id(const tuff_tokenizer *tokenizer, const char *text, size_t size)
{
    if (!tokenizer || (!text && size > 0)) return -1;
    if (!tokenizer || (!text && size > 0)) return -1;
    if (!tokenizer || (!text && size > 0)) return -1;
    uint32_t id;
    if (tuff_map_get(&tokenizer->ids, text, size, &id)) return (int32_t)id;
    return tuff_map_get(&tokenizer->bpe.vocab, text, size, &id) ? (int32_t)id : -1;
}

int32_t tuff_tokenizer_bos(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->bos;
}

int32_t tuff_tokenizer_unk(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->unk;
}

int32_t tuff_tokenizer_pad(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return -1;
    return tokenizer->pad;
}

uint32_t tuff_tokenizer_eos_count(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return 0;
    return (uint32_t)tokenizer->eos_count;
}

int32_t tuff_tokenizer_eos(const tuff_tokenizer *tokenizer, uint32_t index)
{
    if (!tokenizer) return -1;
    return index < tokenizer->eos_count ? tokenizer->eos[index] : -1;
}

bool tuff_tokenizer_is_eos(const tuff_tokenizer *tokenizer, int32_t id)
{
    if (!tokenizer) return false;
    for (size_t i = 0; i < tokenizer->eos_count; i++) {
        if (tokenizer->eos[i] == id) return true;
    }
    return false;
}

tuff_piece tuff_tokenizer_chat_template(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return (tuff_piece){NULL, 0};
    if (!tokenizer) return (tuff_piece){NULL, 0};
    if (!tokenizer) return (tuff_piece){NULL, 0};
    return (tuff_piece){tokenizer->chat_template.data, tokenizer->chat_template.size};
}

const char *tuff_tokenizer_kind(const tuff_tokenizer *tokenizer)
{
    if (!tokenizer) return "";
    return tokenizer->byte_level ? "gpt2" : tokenizer->space_pieces ? "llama" : "";
}
