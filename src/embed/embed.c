/* Texts to vectors: ids, batches, runs. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "embed/batch.h"
#include "embed/embedder.h"
#include "models/model.h"
#include "runtime/program.h"

/* One call. */
typedef struct work {
    tuff_embedder *embedder;
    const tuff_watch *watch;
    const char *prompt;
    tuff_embed_text *texts;
    size_t n;
    float *out;
    int64_t done, total; /* tokens */
} work;

/* ---- from ids ---- */

static tuff_status check_ids(const work *w, const int32_t *const *ids, const size_t *counts)
{
    const tuff_embedder *e = w->embedder;
    for (size_t i = 0; i < w->n; i++) {
        if (counts[i] < 1 || counts[i] > (size_t)e->max_length)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu has %zu tokens, expected 1 to %lld", i,
                             counts[i], (long long)e->max_length);
        TUFF_NEED(ids[i]);
        for (size_t k = 0; k < counts[i]; k++)
            if (ids[i][k] < 0 || ids[i][k] >= e->model->config.vocab_size)
                return tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu: id %d is outside the vocabulary of %lld",
                                 i, ids[i][k], (long long)e->model->config.vocab_size);
    }
    return TUFF_OK;
}

/* The inputs of a run, one after the other in memory. */
typedef struct inputs {
    int32_t *ids, *positions, *types, *segments, *pooled, *first;
    float *root;
} inputs;

static size_t words_of(const tuff_embed_shape *shape)
{
    return (size_t)(3 * shape->tokens + 10 * shape->sequences);
}

static inputs cut(int32_t *host, const tuff_embed_shape *shape)
{
    inputs in = {.ids = host};
    in.positions = in.ids + shape->tokens;
    in.types = in.positions + shape->tokens;
    in.segments = in.types + shape->tokens;
    in.pooled = in.segments + 4 * shape->sequences;
    in.first = in.pooled + 4 * shape->sequences;
    in.root = (float *)(in.first + shape->sequences);
    return in;
}

static void fill(const tuff_embedder *e, const tuff_embed_text *texts, size_t n, const inputs *in)
{
    int32_t at = 0;
    for (size_t s = 0; s < n; s++) {
        const tuff_embed_text *t = &texts[s];
        int32_t count = (int32_t)t->count, skip = (int32_t)t->skip;
        memcpy(in->ids + at, t->ids, t->count * sizeof *t->ids);
        tuff_config_positions(&e->model->config, t->ids, t->count, in->positions + at);
        memcpy(in->segments + 4 * s, (int32_t[]){at, count, at, count}, 4 * sizeof *in->segments);
        memcpy(in->pooled + 4 * s, (int32_t[]){at + skip, count - skip, at + skip, count - skip},
               4 * sizeof *in->pooled);
        in->first[s] = e->pooling == TUFF_POOLING_LAST ? at + count - 1 : at;
        in->root[s] = sqrtf((float)(count - skip));
        at += count;
    }
}

static tuff_status set_inputs(tuff_program *program, const tuff_embed_shape *shape, const inputs *in)
{
    size_t tokens = (size_t)shape->tokens * sizeof(int32_t),
           sequences = (size_t)shape->sequences * sizeof(int32_t);
    TUFF_TRY(tuff_program_input(program, "ids", in->ids, tokens));
    TUFF_TRY(tuff_program_input(program, "positions", in->positions, tokens));
    TUFF_TRY(tuff_program_input(program, "types", in->types, tokens));
    TUFF_TRY(tuff_program_input(program, "segments", in->segments, 4 * sequences));
    TUFF_TRY(tuff_program_input(program, "pooled", in->pooled, 4 * sequences));
    TUFF_TRY(tuff_program_input(program, "first", in->first, sequences));
    return tuff_program_input(program, "root", in->root, sequences);
}

/* Makes room for the inputs and the output of a run. */
static tuff_status reserve(tuff_embedder *e, const tuff_embed_shape *shape)
{
    int32_t *host = tuff_realloc_array(e->host, words_of(shape), sizeof *host);
    if (!host) return tuff_fail_memory("a batch of texts");
    e->host = host;
    float *vectors =
        tuff_realloc_array(e->vectors, (size_t)(shape->sequences * e->dimensions), sizeof *vectors);
    if (!vectors) return tuff_fail_memory("a batch of vectors");
    e->vectors = vectors;
    return TUFF_OK;
}

static tuff_status run_batch(work *w, const tuff_embed_text *texts, size_t n, int64_t tokens)
{
    tuff_embedder *e = w->embedder;
    const tuff_embed_shape shape = {tuff_embed_token_capacity(tokens),
                                    tuff_embed_sequence_capacity((int64_t)n)};
    tuff_program *program = NULL;
    TUFF_TRY(reserve(e, &shape));
    TUFF_TRY(tuff_embedder_program(e, &shape, &program));
    const inputs in = cut(e->host, &shape);
    memset(e->host, 0, words_of(&shape) * sizeof *e->host);
    fill(e, texts, n, &in);
    TUFF_TRY(set_inputs(program, &shape, &in));
    TUFF_TRY(tuff_program_run_until(program, w->watch ? w->watch->cancel : NULL, false));
    TUFF_TRY(tuff_program_output(program, "vectors", e->vectors,
                                 (size_t)(shape.sequences * e->dimensions) * sizeof *e->vectors));
    for (size_t s = 0; s < n; s++)
        memcpy(w->out + texts[s].index * (size_t)e->dimensions, e->vectors + s * (size_t)e->dimensions,
               (size_t)e->dimensions * sizeof *e->vectors);
    return TUFF_OK;
}

static tuff_status run(work *w)
{
    tuff_embed_sort(w->texts, w->n);
    for (size_t i = 0; i < w->n; i++)
        w->total += (int64_t)w->texts[i].count;
    for (size_t at = 0; at < w->n;) {
        int64_t tokens = 0;
        size_t n = tuff_embed_batch(w->texts + at, w->n - at, w->embedder->batch_tokens, &tokens);
        TUFF_TRY(tuff_watch_step(w->watch, TUFF_PHASE_EMBED, (uint64_t)w->done, (uint64_t)w->total));
        tuff_mutex_lock(w->embedder->turn);
        tuff_status status = run_batch(w, w->texts + at, n, tokens);
        tuff_mutex_unlock(w->embedder->turn);
        if (status != TUFF_OK) return status;
        w->done += tokens;
        at += n;
    }
    return tuff_watch_step(w->watch, TUFF_PHASE_EMBED, (uint64_t)w->done, (uint64_t)w->total);
}

static tuff_status begin(work *w, const tuff_embed_params *params)
{
    tuff_embed_params p = TUFF_EMBED_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_EMBED_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    w->watch = p.watch ? p.watch : w->embedder->watch;
    w->prompt = p.prompt ? p.prompt : w->embedder->sentence.default_prompt;
    w->texts = tuff_alloc_array(w->n + 1, sizeof *w->texts);
    return w->texts ? TUFF_OK : tuff_fail_memory("a list of texts");
}

tuff_status tuff_embed_ids(tuff_embedder *embedder, const int32_t *const *ids, const size_t *counts, size_t n,
                           const tuff_embed_params *params, float *out_vectors)
{
    TUFF_NEED(embedder);
    TUFF_NEED_MANY(ids, n);
    TUFF_NEED_MANY(counts, n);
    TUFF_NEED_MANY(out_vectors, n);
    work w = {.embedder = embedder, .n = n, .out = out_vectors};
    TUFF_TRY(check_ids(&w, ids, counts));
    tuff_status status = begin(&w, params);
    for (size_t i = 0; i < n && status == TUFF_OK; i++)
        w.texts[i] = (tuff_embed_text){.ids = ids[i], .count = counts[i], .index = i};
    if (status == TUFF_OK) status = run(&w);
    tuff_free(w.texts);
    return status;
}

/* ---- from text ---- */

/* What the model's tokenizer puts around a text. */
typedef struct surround {
    size_t before, after;
} surround;

static tuff_status find_around(const tuff_tokenizer *tokenizer, surround *out)
{
    int32_t *none = NULL, *one = NULL;
    size_t n_none = 0, n_one = 0, same = 0;
    TUFF_TRY(tuff_tokenizer_encode(tokenizer, "", 0, TUFF_ENCODE_ADD_SPECIAL, &none, &n_none));
    tuff_status status = tuff_tokenizer_encode(tokenizer, "a", 1, TUFF_ENCODE_ADD_SPECIAL, &one, &n_one);
    while (status == TUFF_OK && same < n_none && same < n_one && none[same] == one[same])
        same++;
    *out = (surround){same, n_none - same};
    tuff_free(none);
    tuff_free(one);
    return status;
}

/* Encodes a text with its prompt; cuts what is too long, but not what the tokenizer puts behind it. */
static tuff_status encode(work *w, const tuff_tokenizer *tokenizer, const surround *around, const char *text,
                          size_t size, tuff_buf *joined, tuff_embed_text *out, bool *out_cut)
{
    int32_t *ids = NULL;
    size_t count = 0, most = (size_t)w->embedder->max_length;
    tuff_buf_clear(joined);
    if (w->prompt) tuff_buf_text(joined, w->prompt);
    tuff_buf_bytes(joined, text, size);
    if (joined->failed) return tuff_fail_memory("a text with its prompt");
    TUFF_TRY(tuff_tokenizer_encode_watched(tokenizer, joined->data ? joined->data : "", joined->size,
                                           TUFF_ENCODE_ADD_SPECIAL | TUFF_ENCODE_PLAIN_SPECIAL, w->watch,
                                           &ids, &count));
    *out_cut = count > most;
    if (*out_cut) {
        size_t tail = around->after < most ? around->after : 0;
        memmove(ids + most - tail, ids + count - tail, tail * sizeof *ids);
        count = most;
    }
    out->ids = ids;
    out->count = count;
    if (count) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "text %zu is empty, and this model puts no tokens around texts: it has "
                     "no vector",
                     out->index);
}

/* Tokens of the prompt with what comes before it: left out of the pooling where the model's files say so. */
static tuff_status count_prompt(const work *w, const tuff_tokenizer *tokenizer, const surround *around,
                                size_t *out)
{
    int32_t *ids = NULL;
    *out = 0;
    if (!w->prompt || !*w->prompt || !w->embedder->sentence.skip_prompt) return TUFF_OK;
    TUFF_TRY(
        tuff_tokenizer_encode(tokenizer, w->prompt, strlen(w->prompt), TUFF_ENCODE_ADD_SPECIAL, &ids, out));
    tuff_free(ids);
    *out -= around->after;
    return TUFF_OK;
}

static tuff_status encode_all(work *w, const char *const *texts, const size_t *sizes, int64_t *out_cut)
{
    const tuff_tokenizer *tokenizer = NULL;
    surround around;
    size_t skip;
    TUFF_TRY(tuff_model_get_tokenizer(w->embedder->model, &tokenizer));
    TUFF_TRY(find_around(tokenizer, &around));
    TUFF_TRY(count_prompt(w, tokenizer, &around, &skip));
    tuff_buf joined = {0};
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < w->n && status == TUFF_OK; i++) {
        bool cut = false;
        w->texts[i].index = i;
        if (!texts[i]) {
            status = tuff_fail(TUFF_INVALID_ARGUMENT, "text %zu is NULL", i);
            break;
        }
        status = encode(w, tokenizer, &around, texts[i], sizes ? sizes[i] : strlen(texts[i]), &joined,
                        &w->texts[i], &cut);
        w->texts[i].skip = skip < w->texts[i].count ? skip : 0;
        *out_cut += cut;
    }
    tuff_buf_free(&joined);
    return status;
}

tuff_status tuff_embed(tuff_embedder *embedder, const char *const *texts, const size_t *sizes, size_t n,
                       const tuff_embed_params *params, float *out_vectors, tuff_embed_result *out_result)
{
    TUFF_NEED(embedder);
    TUFF_NEED_MANY(texts, n);
    TUFF_NEED_MANY(out_vectors, n);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_EMBED_RESULT_INIT, truncated));
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    work w = {.embedder = embedder, .n = n, .out = out_vectors};
    tuff_status status = begin(&w, params);
    if (status == TUFF_OK) status = encode_all(&w, texts, sizes, &result.truncated);
    if (status == TUFF_OK) status = run(&w);
    for (size_t i = 0; w.texts && i < n; i++)
        tuff_free((void *)(uintptr_t)w.texts[i].ids);
    tuff_free(w.texts);
    result.tokens = w.done;
    if (status != TUFF_OK || !out_result) return status;
    return TUFF_GIVE(out_result, &result, TUFF_EMBED_RESULT_INIT, truncated);
}
