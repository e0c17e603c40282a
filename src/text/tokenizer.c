#include "text/tokenizer_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

enum { LONGEST_MERGE = 1024 };

/* ---- building ---- */

tuff_status tuff_tokenizer_new(tuff_tokenizer **out_tokenizer)
{
    tuff_tokenizer *tokenizer = *out_tokenizer = tuff_alloc(sizeof *tokenizer);
    if (!tokenizer) return tuff_fail_memory("a tokenizer");
    tokenizer->bos = tokenizer->unk = tokenizer->pad = tokenizer->bpe.unk = -1;
    tokenizer->cls = tokenizer->sep = tokenizer->mask = tokenizer->unigram.unk = tokenizer->wordpiece.unk =
        -1;
    tuff_template_fill(&tokenizer->single, &tokenizer->pair, -1, -1, -1, true);
    return TUFF_OK;
}

void tuff_tokenizer_destroy(tuff_tokenizer **tokenizer)
{
    if (!tokenizer) return;
    tuff_tokenizer *t = *tokenizer;
    if (!t) return;
    for (size_t i = 0; i < t->normalizer_count; i++)
        tuff_normalizer_free(&t->normalizers[i]);
    for (size_t i = 0; i < t->splitter_count; i++)
        tuff_regex_destroy(&t->splitters[i].regex);
    for (size_t i = 0; i < t->unspell_count; i++)
        tuff_regex_destroy(&t->unspells[i].regex);
    tuff_added_free(&t->raw_added);
    tuff_added_free(&t->normalized_added);
    tuff_added_free(&t->user_defined);
    tuff_bpe_free(&t->bpe);
    tuff_wordpiece_free(&t->wordpiece);
    tuff_unigram_free(&t->unigram);
    tuff_map_free(&t->vocab);
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
    if (pattern.data) step.pattern = tuff_tokenizer_copy(tokenizer, pattern);
    tuff_status status =
        pattern.data && !step.pattern.data
            ? tuff_fail_memory("a step of a tokenizer")
            : add_step(tokenizer, tokenizer->normalizer_count, pattern, where, &step.regex, &step.text);
    if (status == TUFF_OK)
        tokenizer->normalizers[tokenizer->normalizer_count++] = step;
    else
        tuff_charsmap_destroy(&step.charsmap);
    return status;
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
    if (!tuff_map_get(&tokenizer->vocab, text.data, text.size, &id)) return false;
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

/* What to seek for an added token in normalized texts. */
static tuff_status normalize_needle(tuff_tokenizer *t, tuff_view text, size_t *room, tuff_normalizing *run,
                                    tuff_view *out)
{
    tuff_view normalized;
    TUFF_TRY(tuff_normalize(t->normalizers, t->normalizer_count, text, false, room, NULL, run, &normalized));
    *out = tuff_tokenizer_copy(t, normalized);
    return out->data ? TUFF_OK : tuff_fail_memory("the added tokens of a tokenizer");
}

/* A user-defined symbol of a SentencePiece model's own file. */
static bool is_user_defined(const tuff_tokenizer *t, const tuff_token *token)
{
    return t->model_file && token->type == TUFF_TOKEN_USER_DEFINED;
}

/* SentencePiece seeks user-defined symbols in the normalized text, spaces as U+2581 among it, and changes
 * nothing in them before. There Unigram has them among its pieces, while BPE takes them out first. */
static tuff_status keep_user_defined(tuff_tokenizer *t, const tuff_view *texts)
{
    TUFF_TRY(tuff_added_build(&t->user_defined, t->added, texts, t->added_count));
    for (size_t i = 0; t->user_defined.count && i < t->normalizer_count; i++)
        t->normalizers[i].kept = &t->user_defined;
    return TUFF_OK;
}

static tuff_status finish_added(tuff_tokenizer *tokenizer)
{
    size_t count = tokenizer->added_count, room = 0;
    for (size_t i = 0; i < count; i++)
        room += tokenizer->added[i].text.size;
    room = tuff_normalize_room(room);
    tuff_view *raw = tuff_arena_array(&tokenizer->arena, count, sizeof *raw);
    tuff_view *normalized = tuff_arena_array(&tokenizer->arena, count, sizeof *normalized);
    tuff_view *user = tuff_arena_array(&tokenizer->arena, count, sizeof *user);
    if (!raw || !normalized || !user) return tuff_fail_memory("the added tokens of a tokenizer");
    tuff_normalizing run = {0};
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < count && status == TUFF_OK; i++) {
        const tuff_added_token *token = &tokenizer->added[i];
        if (!tuff_map_put(&tokenizer->ids, token->text.data, token->text.size, (uint32_t)token->id))
            status = tuff_fail_memory("the added tokens of a tokenizer");
        else if (is_user_defined(tokenizer, &tokenizer->tokens[token->id]))
            user[i] = token->text;
        else if (token->normalized)
            status = normalize_needle(tokenizer, token->text, &room, &run, &normalized[i]);
        else
            raw[i] = token->text;
    }
    tuff_normalizing_free(&run);
    TUFF_TRY(status);
    for (size_t i = 0; i < count && tokenizer->model == TUFF_WORDS_BPE; i++)
        if (user[i].data) normalized[i] = user[i];
    TUFF_TRY(keep_user_defined(tokenizer, user));
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

void tuff_guess_specials(tuff_tokenizer *t)
{
    static const char *const masks[] = {"[MASK]", "<mask>"};
    const tuff_template *single = &t->single;
    bool before = tuff_template_before(single) > 0, after = tuff_template_after(single) > 0;
    int32_t first = before ? single->parts[0].id : -1,
            last = after ? single->parts[single->count - 1].id : -1;
    if (t->model == TUFF_WORDS_BPE) {
        if (t->bos < 0) t->bos = first;
    } else {
        if (t->cls < 0) t->cls = first;
        if (t->sep < 0) t->sep = last;
    }
    for (size_t i = 0; i < sizeof masks / sizeof *masks && t->mask < 0; i++) {
        int32_t id = tuff_tokenizer_id(t, masks[i], strlen(masks[i]));
        if (id >= 0 && t->tokens[id].special) t->mask = id;
    }
}

/* Ids of "<0x00>" to "<0xFF>". */
static void find_bytes(const tuff_map *vocab, int32_t bytes[256])
{
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        uint32_t id;
        snprintf(name, sizeof name, "<0x%02X>", b);
        bytes[b] = tuff_map_get(vocab, name, 6, &id) ? (int32_t)id : -1;
    }
}

/* Whether a word may become the token. Special ones are found as added tokens, before any word is cut; but
 * the library's Unigram also makes them of words that normalizing has made. */
static bool comes_about(const tuff_tokenizer *t, const tuff_token *token)
{
    bool plain = token->type == TUFF_TOKEN_NORMAL || token->type == TUFF_TOKEN_USER_DEFINED;
    if (t->model == TUFF_WORDS_WORDPIECE) return token->in_model && !token->special;
    return token->in_model && (plain || !t->sentencepiece);
}

/* The tables of a WordPiece or a Unigram, from the tokens that the model may give. */
static tuff_status finish_pieces(tuff_tokenizer *t, const char *where)
{
    tuff_arena arena = {0};
    size_t count = 0;
    tuff_view *texts = tuff_arena_array(&arena, t->size, sizeof *texts);
    int32_t *ids = tuff_arena_array(&arena, t->size, sizeof *ids);
    double *scores = tuff_arena_array(&arena, t->size, sizeof *scores);
    uint8_t *special = tuff_arena_array(&arena, t->size, sizeof *special);
    uint8_t *bonus = tuff_arena_array(&arena, t->size, sizeof *bonus);
    bool ok = texts && ids && scores && special && bonus;
    for (uint32_t id = 0; ok && id < t->size; id++) {
        const tuff_token *token = &t->tokens[id];
        scores[id] = token->score;
        special[id] = token->special;
        bonus[id] = is_user_defined(t, token);
        if (!comes_about(t, token)) continue;
        texts[count] = token->text;
        ids[count++] = (int32_t)id;
    }
    tuff_status status = TUFF_OK;
    if (!ok)
        status = tuff_fail_memory("the tokens of a tokenizer");
    else if (t->model == TUFF_WORDS_WORDPIECE)
        status = tuff_wordpiece_build(&t->wordpiece, texts, ids, count, where);
    else
        status = tuff_unigram_build(&t->unigram, texts, ids, count, scores, special, bonus, t->size, where);
    tuff_arena_free(&arena);
    return status;
}

tuff_status tuff_tokenizer_finish(tuff_tokenizer *tokenizer, const char *where)
{
    if (tokenizer->model == TUFF_WORDS_BPE) {
        tokenizer->bpe.space_starts_word = space_starts_word(tokenizer);
        TUFF_TRY(tuff_bpe_finish(&tokenizer->bpe, &tokenizer->vocab));
        find_bytes(&tokenizer->vocab, tokenizer->bpe.bytes);
    } else {
        TUFF_TRY(finish_pieces(tokenizer, where));
        find_bytes(&tokenizer->vocab, tokenizer->unigram.bytes);
    }
    return finish_added(tokenizer);
}
