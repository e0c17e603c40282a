/* Texts to vectors: from ids, from text with its prompt. */
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "base/watch.h"
#include "embed/embedder.h"
#include "models/model.h"

/* One call. */
typedef struct work {
    tuff_embedder *embedder;
    const tuff_watch *watch;
    const char *prompt;
    tuff_packed_text *texts;
    tuff_encoding **encodings; /* what the texts' ids belong to; NULL: to the caller */
    tuff_watched_parts encoding;
    size_t n;
    int64_t tokens; /* that were computed */
} work;

/* `apart`: the call gives a vector per token. */
static tuff_status begin(work *w, const tuff_embed_params *params, bool apart)
{
    if (apart != (w->embedder->pooling == TUFF_POOLING_NONE))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         apart ? "vectors of tokens are given by an embedder of TUFF_POOLING_NONE"
                               : "the embedder gives a vector per token (TUFF_POOLING_NONE), and "
                                 "one per text is asked for: tuff_embed_tokens gives them");
    tuff_embed_params p = TUFF_EMBED_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_EMBED_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    w->watch = p.watch ? p.watch : w->embedder->watch;
    w->prompt = p.prompt ? p.prompt : w->embedder->sentence.default_prompt;
    w->texts = tuff_alloc_array(w->n + 1, sizeof *w->texts);
    return w->texts ? TUFF_OK : tuff_fail_memory("a list of texts");
}

static tuff_status run(work *w, float *out, const size_t *starts)
{
    tuff_embed_call call = {out, starts};
    return tuff_packed_run(&w->embedder->packed, w->texts, w->n, &call, w->watch, &w->tokens);
}

tuff_status tuff_embed_ids(tuff_embedder *embedder, const int32_t *const *ids, const size_t *counts, size_t n,
                           const tuff_embed_params *params, float *out_vectors)
{
    TUFF_NEED(embedder);
    TUFF_NEED_MANY(ids, n);
    TUFF_NEED_MANY(counts, n);
    TUFF_NEED_MANY(out_vectors, n);
    work w = {.embedder = embedder, .n = n};
    for (size_t i = 0; i < n; i++)
        TUFF_TRY(tuff_packed_check_ids(&embedder->packed, ids[i], counts[i], i));
    tuff_status status = begin(&w, params, false);
    for (size_t i = 0; i < n && status == TUFF_OK; i++)
        w.texts[i] = (tuff_packed_text){.ids = ids[i], .count = counts[i], .index = i};
    if (status == TUFF_OK) status = run(&w, out_vectors, NULL);
    tuff_free(w.texts);
    return status;
}

/* ---- from text ---- */

static tuff_encode_params encode_params(const work *w)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.flags = TUFF_ENCODE_ADD_SPECIAL | TUFF_ENCODE_PLAIN_SPECIAL;
    params.max_length = (uint32_t)w->embedder->packed.max_length;
    params.watch = &w->encoding.each;
    return params;
}

/* Encodes a text with its prompt; what is too long is cut, but not what the tokenizer puts behind it. */
static tuff_status encode(work *w, const tuff_tokenizer *tokenizer, size_t i, tuff_piece text,
                          tuff_buf *joined, bool *out_cut)
{
    const tuff_encode_params params = encode_params(w);
    tuff_packed_text *t = &w->texts[i];
    tuff_buf_clear(joined);
    if (w->prompt) tuff_buf_text(joined, w->prompt);
    tuff_buf_bytes(joined, text.data, text.size);
    if (joined->failed) return tuff_fail_memory("a text with its prompt");
    const tuff_piece whole = {joined->data ? joined->data : "", joined->size};
    TUFF_TRY(tuff_tokenizer_encode_pair(tokenizer, whole, (tuff_piece){NULL, 0}, &params, &w->encodings[i]));
    *t = (tuff_packed_text){.ids = w->encodings[i]->ids, .count = w->encodings[i]->count, .index = i};
    *out_cut = w->encodings[i]->lost[0] > 0;
    if (t->count) return tuff_watched_parts_next(&w->encoding, whole.size);
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "text %zu is empty, and this model puts no tokens around texts: it has "
                     "no vector",
                     i);
}

/* Tokens of the prompt with what comes before it: left out of the pooling where the model's files say so. */
static tuff_status count_prompt(const work *w, const tuff_tokenizer *tokenizer, size_t *out)
{
    tuff_encode_params params = encode_params(w);
    tuff_encoding *e = NULL;
    params.watch = NULL; /* a prompt is short */
    *out = 0;
    if (!w->prompt || !*w->prompt || !w->embedder->sentence.skip_prompt) return TUFF_OK;
    TUFF_TRY(tuff_tokenizer_encode_pair(tokenizer, (tuff_piece){w->prompt, strlen(w->prompt)},
                                        (tuff_piece){NULL, 0}, &params, &e));
    for (*out = e->count; *out && e->texts[*out - 1] < 0;)
        --*out;
    tuff_encoding_destroy(&e);
    return TUFF_OK;
}

tuff_status tuff_embed_check_text(const char *const *texts, const size_t *sizes, size_t i)
{
    if (texts[i] || (sizes && sizes[i] == 0)) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu is NULL, and its size is not 0", i);
}

tuff_piece tuff_embed_text(const char *const *texts, const size_t *sizes, size_t i)
{
    if (!texts[i]) return (tuff_piece){"", 0};
    return (tuff_piece){texts[i], sizes ? sizes[i] : strlen(texts[i])};
}

static tuff_status begin_encoding(work *w, const char *const *texts, const size_t *sizes)
{
    const size_t before = w->prompt ? strlen(w->prompt) : 0;
    uint64_t total = 0;
    for (size_t i = 0; i < w->n; i++) {
        TUFF_TRY(tuff_embed_check_text(texts, sizes, i));
        total += before + tuff_embed_text(texts, sizes, i).size;
    }
    return tuff_watched_parts_begin(&w->encoding, w->watch, TUFF_PHASE_TOKENIZE, total);
}

static tuff_status encode_all(work *w, const char *const *texts, const size_t *sizes, int64_t *out_cut)
{
    const tuff_tokenizer *tokenizer = NULL;
    size_t skip;
    TUFF_TRY(tuff_model_get_tokenizer(w->embedder->model, &tokenizer));
    TUFF_TRY(begin_encoding(w, texts, sizes));
    TUFF_TRY(count_prompt(w, tokenizer, &skip));
    w->encodings = tuff_alloc_array(w->n + 1, sizeof *w->encodings);
    if (!w->encodings) return tuff_fail_memory("a list of texts");
    tuff_buf joined = {0};
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < w->n && status == TUFF_OK; i++) {
        bool cut = false;
        status = encode(w, tokenizer, i, tuff_embed_text(texts, sizes, i), &joined, &cut);
        w->texts[i].skip = skip < w->texts[i].count ? skip : 0;
        *out_cut += cut;
    }
    tuff_buf_free(&joined);
    return status;
}

static tuff_status end(work *w, tuff_status status, int64_t truncated, tuff_embed_result *out_result)
{
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    for (size_t i = 0; w->encodings && i < w->n; i++)
        tuff_encoding_destroy(&w->encodings[i]);
    tuff_free(w->encodings);
    tuff_free(w->texts);
    result.tokens = w->tokens;
    result.truncated = truncated;
    if (status != TUFF_OK || !out_result) return status;
    return TUFF_GIVE(out_result, &result, TUFF_EMBED_RESULT_INIT, truncated);
}

tuff_status tuff_embed(tuff_embedder *embedder, const char *const *texts, const size_t *sizes, size_t n,
                       const tuff_embed_params *params, float *out_vectors, tuff_embed_result *out_result)
{
    TUFF_NEED(embedder);
    TUFF_NEED_MANY(texts, n);
    TUFF_NEED_MANY(out_vectors, n);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_EMBED_RESULT_INIT, truncated));
    int64_t truncated = 0;
    work w = {.embedder = embedder, .n = n};
    tuff_status status = begin(&w, params, false);
    if (status == TUFF_OK) status = encode_all(&w, texts, sizes, &truncated);
    if (status == TUFF_OK) status = run(&w, out_vectors, NULL);
    return end(&w, status, truncated, out_result);
}

/* Room for the rows of all texts, and where those of each begin. */
static tuff_status run_apart(work *w, size_t *out_counts, float **out_vectors)
{
    size_t *starts = tuff_alloc_array(w->n + 1, sizeof *starts), rows = 0;
    if (!starts) return tuff_fail_memory("the vectors of tokens");
    for (size_t i = 0; i < w->n; i++) {
        starts[i] = rows;
        rows += out_counts[i] = w->texts[i].count;
    }
    float *vectors = tuff_alloc_array(rows * (size_t)w->embedder->dimensions + 1, sizeof *vectors);
    tuff_status status = vectors ? run(w, vectors, starts) : tuff_fail_memory("the vectors of tokens");
    tuff_free(starts);
    if (status == TUFF_OK)
        *out_vectors = vectors;
    else
        tuff_free(vectors);
    return status;
}

tuff_status tuff_embed_tokens(tuff_embedder *embedder, const char *const *texts, const size_t *sizes,
                              size_t n, const tuff_embed_params *params, size_t *out_counts,
                              float **out_vectors, tuff_embed_result *out_result)
{
    TUFF_NEED_OUT(out_vectors);
    TUFF_NEED(embedder);
    TUFF_NEED_MANY(texts, n);
    TUFF_NEED_MANY(out_counts, n);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_EMBED_RESULT_INIT, truncated));
    int64_t truncated = 0;
    work w = {.embedder = embedder, .n = n};
    tuff_status status = begin(&w, params, true);
    if (status == TUFF_OK) status = encode_all(&w, texts, sizes, &truncated);
    if (status == TUFF_OK) status = run_apart(&w, out_counts, out_vectors);
    return end(&w, status, truncated, out_result);
}
