/* Long texts in chunks: where they are cut, their vectors, and the table of chunks beside an array. */
#include "embed/chunk.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/structs.h"
#include "base/watch.h"
#include "embed/embedder.h"
#include "formats/npy.h"
#include "models/model.h"
#include "text/unicode_class.h"

typedef struct cutting {
    tuff_piece text;
    const tuff_encoding *tokens;
    size_t room, overlap; /* tokens of a chunk; those that it shares with the one before it */
} cutting;

static bool is_word(tuff_piece text, size_t at)
{
    uint32_t c = 0;
    return tuff_utf8_decode(text.data + at, text.size - at, &c) > 0 && !tuff_is_space(c) &&
           !tuff_is_punctuation(c) && !tuff_is_other(c) && !tuff_is_chinese(c);
}

/* Whether token i goes on with the word that the one before it has begun. */
static bool within_word(const cutting *c, size_t i)
{
    size_t at = c->tokens->spans[i].start, last = at;
    if (at == 0 || at >= c->text.size || c->tokens->spans[i - 1].end != at) return false;
    while (--last > 0 && ((uint8_t)c->text.data[last] & 0xc0) == 0x80) {
    }
    return is_word(c->text, at) && is_word(c->text, last);
}

/* The token behind the chunk that begins at token `begin`: words are not cut that fit one. */
static size_t end_of(const cutting *c, size_t begin)
{
    size_t n = c->tokens->count, end = n - begin < c->room ? n : begin + c->room, whole = end;
    while (whole < n && whole > begin && within_word(c, whole))
        whole--;
    return whole > begin ? whole : end;
}

/* Where the next one begins. */
static size_t next_of(const cutting *c, size_t begin, size_t end)
{
    size_t next = end - begin > c->overlap ? end - c->overlap : begin + 1, whole = next;
    while (whole > begin && within_word(c, whole))
        whole--;
    return whole > begin ? whole : next;
}

static tuff_status add(tuff_chunks *out, int64_t record, uint64_t begin, uint64_t end)
{
    if (!tuff_grow((void **)&out->items, out->count, &out->capacity, sizeof *out->items))
        return tuff_fail_memory("the chunks of texts");
    out->items[out->count++] = (tuff_chunk){record, begin, end};
    return TUFF_OK;
}

static tuff_status cut(const cutting *c, int64_t record, tuff_chunks *out)
{
    const size_t n = c->tokens->count;
    if (n <= c->room) return add(out, record, 0, c->text.size);
    for (size_t begin = 0;;) {
        size_t end = end_of(c, begin);
        TUFF_TRY(add(out, record, c->tokens->spans[begin].start, c->tokens->spans[end - 1].end));
        if (end == n) return TUFF_OK;
        begin = next_of(c, begin, end);
    }
}

/* Tokens of the prompt. */
static tuff_status count_prompt(const tuff_tokenizer *tokenizer, const char *prompt, size_t *out)
{
    int32_t *ids = NULL;
    *out = 0;
    if (!prompt || !*prompt) return TUFF_OK;
    TUFF_TRY(tuff_tokenizer_encode_watched(tokenizer, prompt, strlen(prompt), TUFF_ENCODE_PLAIN_SPECIAL, NULL,
                                           &ids, out));
    tuff_free(ids);
    return TUFF_OK;
}

tuff_status tuff_chunk_texts(tuff_embedder *e, const char *const *texts, const size_t *sizes, size_t n,
                             const tuff_chunk_params *p, int64_t first, tuff_chunks *out)
{
    const tuff_tokenizer *tokenizer = NULL;
    const char *prompt = p->prompt ? p->prompt : e->sentence.default_prompt;
    const int64_t length = p->chunk ? p->chunk : e->packed.max_length;
    size_t taken = 0;
    TUFF_TRY(tuff_model_get_tokenizer(e->model, &tokenizer));
    TUFF_TRY(count_prompt(tokenizer, prompt, &taken));
    taken += tuff_tokenizer_special_count(tokenizer, false);
    if (length < 1 || length > e->packed.max_length)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "chunks are to have %lld tokens, expected 1 to %lld, the longest text",
                         (long long)length, (long long)e->packed.max_length);
    if ((size_t)length <= taken || p->overlap < 0 || (size_t)p->overlap >= (size_t)length - taken)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "chunks of %lld tokens have %zu of them around a text and for its prompt, and are to share "
            "%lld: none are left to go on",
            (long long)length, taken, (long long)p->overlap);
    tuff_watched_parts encoding;
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        TUFF_TRY(tuff_embed_check_text(texts, sizes, i));
        total += tuff_embed_text(texts, sizes, i).size;
    }
    TUFF_TRY(tuff_watched_parts_begin(&encoding, p->watch ? p->watch : e->watch, TUFF_PHASE_TOKENIZE, total));
    for (size_t i = 0; i < n; i++) {
        const tuff_piece text = tuff_embed_text(texts, sizes, i);
        tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
        tuff_encoding *tokens = NULL;
        params.flags = TUFF_ENCODE_PLAIN_SPECIAL;
        params.spans = true;
        params.watch = &encoding.each;
        TUFF_TRY(tuff_tokenizer_encode_pair(tokenizer, text, (tuff_piece){NULL, 0}, &params, &tokens));
        const cutting c = {text, tokens, (size_t)length - taken, (size_t)p->overlap};
        tuff_status status = cut(&c, first + (int64_t)i, out);
        tuff_encoding_destroy(&tokens);
        TUFF_TRY(status);
        TUFF_TRY(tuff_watched_parts_next(&encoding, text.size));
    }
    return TUFF_OK;
}

tuff_status tuff_chunk_vectors(tuff_embedder *e, const char *const *texts, const tuff_chunk_params *p,
                               int64_t first, const tuff_chunks *chunks, float **out_vectors,
                               tuff_embed_result *out_result)
{
    const size_t n = chunks->count;
    const char **parts = tuff_alloc_array(n + 1, sizeof *parts);
    size_t *sizes = tuff_alloc_array(n + 1, sizeof *sizes);
    float *vectors = tuff_alloc_array(n * (size_t)e->dimensions + 1, sizeof *vectors);
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.prompt = p->prompt;
    params.watch = p->watch;
    tuff_status status = parts && sizes && vectors ? TUFF_OK : tuff_fail_memory("the vectors of chunks");
    for (size_t i = 0; status == TUFF_OK && i < n; i++) {
        const tuff_chunk *c = &chunks->items[i];
        const char *text = texts[c->record - first];
        parts[i] = text ? text + c->begin : "";
        sizes[i] = (size_t)(c->end - c->begin);
    }
    if (status == TUFF_OK) status = tuff_embed(e, parts, sizes, n, &params, vectors, out_result);
    tuff_free(parts);
    tuff_free(sizes);
    if (status == TUFF_OK)
        *out_vectors = vectors;
    else
        tuff_free(vectors);
    return status;
}

tuff_status tuff_embed_chunks(tuff_embedder *embedder, const char *const *texts, const size_t *sizes,
                              size_t n, const tuff_chunk_params *params, tuff_chunk **out_chunks,
                              size_t *out_count, float **out_vectors, tuff_embed_result *out_result)
{
    TUFF_NEED_OUT(out_chunks);
    TUFF_NEED_OUT(out_vectors);
    TUFF_NEED(embedder);
    TUFF_NEED_MANY(texts, n);
    TUFF_NEED(out_count);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_EMBED_RESULT_INIT, truncated));
    tuff_chunk_params p = TUFF_CHUNK_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_CHUNK_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    *out_count = 0;
    tuff_chunks chunks = {0};
    tuff_status status = tuff_chunk_texts(embedder, texts, sizes, n, &p, 0, &chunks);
    if (status == TUFF_OK)
        status = tuff_chunk_vectors(embedder, texts, &p, 0, &chunks, out_vectors, out_result);
    if (status == TUFF_OK) {
        *out_chunks = chunks.items;
        *out_count = chunks.count;
    } else {
        tuff_free(chunks.items);
    }
    return status;
}

/* ---- the table ---- */

char *tuff_table_path(const char *vectors, const char *ending)
{
    tuff_buf path = {0};
    size_t size = strlen(vectors);
    if (tuff_ends_with(vectors, ".npy")) size -= 4;
    tuff_buf_bytes(&path, vectors, size);
    tuff_buf_text(&path, ending);
    if (path.failed) tuff_buf_free(&path);
    return path.data;
}

static tuff_status take_table(const tuff_npy *array, const char *path, tuff_chunk **out_chunks,
                              size_t *out_count)
{
    if (array->rank != 2 || array->shape[1] != 3 || strcmp(array->type, "<i8") != 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a table of chunks is an array [chunks, 3] of i8", path);
    size_t n = (size_t)array->shape[0];
    tuff_chunk *chunks = tuff_alloc_array(n + 1, sizeof *chunks);
    if (!chunks) return tuff_fail_memory("a table of chunks");
    for (size_t i = 0; i < n; i++) {
        int64_t row[3];
        memcpy(row, array->data + i * sizeof row, sizeof row);
        chunks[i] = (tuff_chunk){row[0], (uint64_t)row[1], (uint64_t)row[2]};
        if (row[0] >= 0 && row[1] >= 0 && row[1] <= row[2]) continue;
        tuff_free(chunks);
        return tuff_fail(TUFF_BAD_FORMAT, "%s: chunk %zu is [%lld, %lld) of record %lld", path, i,
                         (long long)row[1], (long long)row[2], (long long)row[0]);
    }
    *out_chunks = chunks;
    *out_count = n;
    return TUFF_OK;
}

tuff_status tuff_chunks_read(const char *vectors_path, tuff_chunk **out_chunks, size_t *out_count)
{
    TUFF_NEED_OUT(out_chunks);
    TUFF_NEED(vectors_path);
    TUFF_NEED(out_count);
    *out_count = 0;
    tuff_buf file = {0};
    tuff_npy array;
    char *path = tuff_table_path(vectors_path, ".chunks.npy");
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = tuff_is_file(path)
                             ? tuff_read_file(path, SIZE_MAX, &file)
                             : tuff_fail(TUFF_NOT_FOUND, "there is no table of chunks %s", path);
    if (status == TUFF_OK) status = tuff_npy_parse((const uint8_t *)file.data, file.size, path, &array);
    if (status == TUFF_OK) status = take_table(&array, path, out_chunks, out_count);
    tuff_buf_free(&file);
    tuff_free(path);
    return status;
}
