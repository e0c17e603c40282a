/* Pieces of a file that is embedded: read, embedded, written. */
#include "embed/file.h"

#include "base/memory.h"
#include "base/os.h"
#include "base/watch.h"
#include "embed/array.h"
#include "embed/chunk.h"

typedef tuff_embed_job job;

enum {
    FIRST_TOKEN_BYTES = 4, /* the first piece has about batch_tokens */
    MOST_BYTES = 4 << 20,
    MOST_TOKEN_VECTORS = 256 << 20 /* bytes: of a piece whose tokens stay apart, 3 bytes a token */
};
static const uint64_t PIECE_NS = 2000000000u; /* what a piece is to take, and an interruption to lose */

/* ---- shared ---- */

bool tuff_embed_job_apart(const job *j)
{
    return j->embedder->pooling == TUFF_POOLING_NONE;
}

const char *tuff_embed_job_prompt(const job *j)
{
    return j->params.prompt ? j->params.prompt : j->embedder->sentence.default_prompt;
}

tuff_chunk_params tuff_embed_job_chunking(const job *j)
{
    tuff_chunk_params params = TUFF_CHUNK_PARAMS_INIT;
    params.prompt = j->params.prompt;
    params.chunk = j->params.chunk;
    params.overlap = j->params.overlap;
    params.watch = &j->call.each;
    return params;
}

void tuff_embed_job_hash(job *j, const void *data, size_t size)
{
    uint64_t length = size;
    tuff_sha256_update(&j->hash, &length, sizeof length);
    tuff_sha256_update(&j->hash, data, size);
}

void tuff_embed_job_hash_text(job *j, tuff_view text)
{
    tuff_embed_job_hash(j, text.data, text.size);
    tuff_origin_add(&j->texts_hash, text);
}

/* ---- reading ---- */

static size_t first_bytes(const job *j)
{
    return FIRST_TOKEN_BYTES * (size_t)j->embedder->packed.batch_tokens;
}

void tuff_embed_pieces_begin(job *j)
{
    const tuff_embedder *e = j->embedder;
    j->most_bytes = MOST_BYTES;
    if (tuff_embed_job_apart(j))
        j->most_bytes = 1 + 3 * MOST_TOKEN_VECTORS / ((size_t)e->dimensions * sizeof(float));
    if (j->most_bytes > MOST_BYTES) j->most_bytes = MOST_BYTES;
    j->piece_bytes = first_bytes(j);
    if (j->piece_bytes > j->most_bytes) j->piece_bytes = j->most_bytes;
}

/* The next piece takes about PIECE_NS. */
static void choose_size(job *j, uint64_t took)
{
    if (took < PIECE_NS / 2 && j->piece_bytes <= j->most_bytes / 2) j->piece_bytes *= 2;
    if (took > PIECE_NS && j->piece_bytes > first_bytes(j)) j->piece_bytes /= 2;
}

/* A text as long as a vector needs it: what is cut off costs little. */
static size_t counted(const job *j, size_t size)
{
    enum { TOKEN_BYTES = 8 };
    size_t most = TOKEN_BYTES * (size_t)j->embedder->packed.max_length;
    return j->params.chunk || size < most ? size : most;
}

static tuff_status check_text(const job *j, tuff_view text)
{
    if (text.size || !j->needs_text) return TUFF_OK;
    return tuff_fail(
        TUFF_BAD_FORMAT,
        "%s, line %llu: the text is empty, and this model puts no tokens around texts: it has no "
        "vector",
        j->input, (unsigned long long)tuff_records_line(j->records));
}

void tuff_embed_piece_read(job *j, tuff_status *out_status)
{
    size_t bytes = 0;
    *out_status = TUFF_OK;
    tuff_buf_clear(&j->texts);
    for (j->n = 0; j->n < TUFF_EMBED_PIECE && bytes < j->piece_bytes && j->texts.size < MOST_BYTES;) {
        tuff_view text;
        bool there = false;
        *out_status = tuff_records_next(j->records, &text, &there);
        if (*out_status == TUFF_OK && there) *out_status = check_text(j, text);
        if (*out_status != TUFF_OK || !there) return;
        tuff_buf_bytes(&j->texts, text.data, text.size);
        tuff_embed_job_hash_text(j, text);
        j->ends[j->n++] = j->texts.size;
        bytes += counted(j, text.size);
    }
}

/* ---- writing ---- */

/* Appends vectors [n, dimensions], as many at a time as there is room to convert. */
static tuff_status write_vectors(job *j, const float *vectors, size_t n)
{
    const int64_t d = j->embedder->dimensions;
    for (size_t at = 0; at < n; at += TUFF_EMBED_PIECE) {
        size_t rows = n - at < TUFF_EMBED_PIECE ? n - at : TUFF_EMBED_PIECE;
        const void *bytes = tuff_vector_convert(j->params.type, vectors + at * (size_t)d, rows, d, j->rows);
        TUFF_TRY(tuff_part_write(j->part, bytes, rows * (size_t)j->row_bytes));
    }
    j->result.vectors += (int64_t)n;
    return TUFF_OK;
}

static tuff_status write_some_chunks(job *j, const char *const *texts, const tuff_chunk_params *params,
                                     tuff_chunks chunks, tuff_embed_result *sum)
{
    float *vectors = NULL;
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    tuff_status status =
        tuff_chunk_vectors(j->embedder, texts, params, j->result.records, &chunks, &vectors, &result);
    for (size_t i = 0; status == TUFF_OK && i < chunks.count; i++) {
        const tuff_chunk *c = &chunks.items[i];
        const int64_t row[3] = {c->record, (int64_t)c->begin, (int64_t)c->end};
        status = tuff_part_write(j->table, row, sizeof row);
    }
    if (status == TUFF_OK) status = write_vectors(j, vectors, chunks.count);
    sum->tokens += result.tokens;
    sum->truncated += result.truncated;
    tuff_free(vectors);
    return status;
}

/* A text of any length has its chunks' vectors in memory some at a time. */
static tuff_status write_chunks(job *j, const char *const *texts, const size_t *sizes,
                                tuff_embed_result *result)
{
    tuff_chunks chunks = {0};
    const tuff_chunk_params params = tuff_embed_job_chunking(j);
    const double bytes = (double)(j->behind - j->before);
    tuff_status status =
        tuff_chunk_texts(j->embedder, texts, sizes, j->n, &params, j->result.records, &chunks);
    for (size_t at = 0; status == TUFF_OK && at < chunks.count; at += TUFF_EMBED_PIECE) {
        size_t n = chunks.count - at < TUFF_EMBED_PIECE ? chunks.count - at : TUFF_EMBED_PIECE;
        j->work.done = j->before + (uint64_t)(bytes * (double)at / (double)chunks.count);
        j->work.part = (uint64_t)(bytes * (double)n / (double)chunks.count);
        status = write_some_chunks(j, texts, &params, (tuff_chunks){chunks.items + at, n, n}, result);
    }
    tuff_free(chunks.items);
    return status;
}

static tuff_status write_tokens(job *j, const char *const *texts, const size_t *sizes,
                                tuff_embed_result *result)
{
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    size_t counts[TUFF_EMBED_PIECE];
    float *vectors = NULL;
    int64_t at = j->result.vectors;
    params.prompt = j->params.prompt;
    params.watch = &j->call.each;
    TUFF_TRY(tuff_embed_tokens(j->embedder, texts, sizes, j->n, &params, counts, &vectors, result));
    tuff_status status = TUFF_OK;
    for (size_t i = 0; status == TUFF_OK && i < j->n; i++) {
        status = tuff_part_write(j->table, &at, sizeof at);
        at += (int64_t)counts[i];
    }
    if (status == TUFF_OK) status = write_vectors(j, vectors, (size_t)(at - j->result.vectors));
    tuff_free(vectors);
    return status;
}

static tuff_status embed(job *j)
{
    const char *texts[TUFF_EMBED_PIECE];
    size_t sizes[TUFF_EMBED_PIECE], begin = 0;
    if (j->texts.failed) return tuff_fail_memory("texts to embed");
    j->work.part = j->behind - j->before;
    for (size_t i = 0; i < j->n; i++) {
        texts[i] = (j->texts.data ? j->texts.data : "") + begin;
        sizes[i] = j->ends[i] - begin;
        begin = j->ends[i];
    }
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    params.prompt = j->params.prompt;
    params.watch = &j->call.each;
    if (tuff_embed_job_apart(j)) {
        TUFF_TRY(write_tokens(j, texts, sizes, &result));
    } else if (j->table) {
        TUFF_TRY(write_chunks(j, texts, sizes, &result));
    } else {
        TUFF_TRY(tuff_embed(j->embedder, texts, sizes, j->n, &params, j->vectors, &result));
        TUFF_TRY(write_vectors(j, j->vectors, j->n));
    }
    j->result.records += (int64_t)j->n;
    j->result.tokens += result.tokens;
    j->result.truncated += result.truncated;
    return TUFF_OK;
}

tuff_status tuff_embed_piece_run(job *j)
{
    const int64_t vectors = j->result.vectors;
    const uint64_t began = tuff_now_ns();
    tuff_status status = embed(j);
    if (status != TUFF_OK)
        j->result.vectors = vectors;
    else
        choose_size(j, tuff_now_ns() - began);
    return status;
}
