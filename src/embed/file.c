/* Whole files: records in, an array of vectors out, in pieces, going on after an interruption. */
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/part.h"
#include "base/structs.h"
#include "embed/array.h"
#include "embed/chunk.h"
#include "embed/embedder.h"
#include "embed/file.h"
#include "formats/records.h"
#include "models/model.h"

enum {
    HEADER = 128,      /* bytes: of .npy, room for any shape */
    CHUNK_ROW = 3 * 8, /* of the table of chunks */
    OFFSET_ROW = 8
};
static const uint64_t SAVE_NS = 5000000000u; /* at most so long between two records of how far it is */

typedef tuff_embed_job job;

/* ---- headers ---- */

static void print_header(const job *j, char header[HEADER])
{
    const tuff_vector_type type = j->params.type;
    tuff_array_header(tuff_vector_type_name(type), j->result.vectors,
                      tuff_vector_columns(type, j->embedder->dimensions), header);
}

/* Of the table: bytes of a row, and how many rows go with what is there. */
static uint64_t table_row(const job *j)
{
    return tuff_embed_job_apart(j) ? OFFSET_ROW : CHUNK_ROW;
}

static uint64_t table_rows(const job *j, int64_t vectors, int64_t records)
{
    return (uint64_t)(tuff_embed_job_apart(j) ? records : vectors);
}

static void print_table_header(const job *j, char header[HEADER])
{
    if (tuff_embed_job_apart(j)) {
        tuff_array_header("<i8", j->result.records + 1, 0, header);
        return;
    }
    tuff_array_header("<i8", j->result.vectors, 3, header);
}

/* ---- how far it is ---- */

/* The vectors of one text stand for model, adapter and device: a model that was trained further under its old
 * name is another one. */
static tuff_status hash_model(job *j)
{
    const char *const text = tuff_probe_text;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    float *many = NULL;
    size_t rows = 1;
    params.prompt = "";
    params.watch = &j->call.each; /* of no part yet */
    tuff_status status = tuff_embed_job_apart(j)
                             ? tuff_embed_tokens(j->embedder, &text, NULL, 1, &params, &rows, &many, NULL)
                             : tuff_embed(j->embedder, &text, NULL, 1, &params, j->vectors, NULL);
    if (status == TUFF_OK)
        tuff_embed_job_hash(j, (const char *)(many ? many : j->vectors),
                            rows * (size_t)j->embedder->dimensions * sizeof *many);
    if (status == TUFF_OK && !many) tuff_probe_set(&j->probe, j->embedder, j->vectors);
    tuff_free(many);
    return status;
}

/* All that vectors depend on. */
static tuff_status hash_settings(job *j)
{
    const tuff_embedder *e = j->embedder;
    const char *prompt = tuff_embed_job_prompt(j);
    tuff_buf text = {0};
    tuff_buf_printf(&text, "%lld %d %d %lld %d %lld %lld\n%s", (long long)e->dimensions, (int)e->pooling,
                    (int)e->normalize, (long long)e->packed.max_length, (int)j->params.type,
                    (long long)j->params.chunk, (long long)j->params.overlap, prompt ? prompt : "");
    tuff_sha256_init(&j->hash);
    if (!text.failed) tuff_embed_job_hash(j, text.data, text.size);
    tuff_buf_free(&text);
    return text.failed ? tuff_fail_memory("a record of progress") : hash_model(j);
}

static void hash_so_far(const job *j, char hex[65])
{
    tuff_sha256 copy = j->hash;
    tuff_sha256_hex(&copy, hex);
}

static tuff_status save_progress(job *j)
{
    char hex[65];
    tuff_buf text = {0};
    if (j->table) TUFF_TRY(tuff_part_sync(j->table));
    TUFF_TRY(tuff_part_sync(j->part));
    hash_so_far(j, hex);
    tuff_buf_printf(&text, "{\"vectors\": %lld, \"records\": %lld, \"sha256\": \"%s\"}\n",
                    (long long)j->result.vectors, (long long)j->result.records, hex);
    tuff_status status = text.failed ? tuff_fail_memory("a record of progress")
                                     : tuff_write_file(j->progress, text.data, text.size);
    tuff_buf_free(&text);
    j->saved_ns = tuff_now_ns();
    return status;
}

/* How many rows of so many bytes a part has behind its header. */
static uint64_t rows_of(const tuff_part *part, uint64_t bytes)
{
    return tuff_part_size(part) < HEADER ? 0 : (tuff_part_size(part) - HEADER) / bytes;
}

/* Reads the record; false when there is none that can be used. */
static bool read_progress(const job *j, int64_t *out_vectors, int64_t *out_records, char hex[65])
{
    cJSON *json = NULL;
    const char *sha = NULL;
    *out_vectors = *out_records = 0;
    bool ok = tuff_is_file(j->progress) && tuff_json_read(j->progress, &json) == TUFF_OK &&
              tuff_json_int(json, "vectors", "", out_vectors) == TUFF_OK &&
              tuff_json_int(json, "records", "", out_records) == TUFF_OK &&
              tuff_json_text(json, "sha256", "", &sha) == TUFF_OK && sha && strlen(sha) == 64;
    if (ok) memcpy(hex, sha, 65);
    cJSON_Delete(json);
    return ok && *out_vectors > 0 && *out_records > 0 &&
           (uint64_t)*out_vectors <= rows_of(j->part, j->row_bytes) &&
           (!j->table || table_rows(j, *out_vectors, *out_records) <= rows_of(j->table, table_row(j)));
}

static tuff_status open_records(job *j)
{
    tuff_records_close(&j->records);
    return tuff_records_open(j->input, TUFF_RECORDS_AUTO, &j->params.field, j->params.field ? 1 : 0,
                             &j->records);
}

/* Passes over the records whose vectors are there, if they are the same ones with the same settings. */
static tuff_status resume(job *j, bool *out_same)
{
    int64_t vectors = 0, records = 0;
    char wanted[65], found[65];
    *out_same = false;
    if (j->params.restart || !read_progress(j, &vectors, &records, wanted)) return TUFF_OK;
    for (int64_t i = 0; i < records; i++) {
        tuff_view text;
        bool there = false;
        if (tuff_records_next(j->records, &text, &there) != TUFF_OK || !there) return TUFF_OK;
        tuff_embed_job_hash_text(j, text);
    }
    hash_so_far(j, found);
    *out_same = strcmp(found, wanted) == 0;
    if (*out_same) j->result.vectors = j->result.resumed = vectors;
    if (*out_same) j->result.records = records;
    return TUFF_OK;
}

/* What is there is not lost without a word. */
static void say_anew(const job *j)
{
    if (j->params.restart || !tuff_is_file(j->progress)) return;
    tuff_log(TUFF_LOG_WARN,
             "%s.part was begun with another model, other settings or other records, and begins anew",
             j->output);
}

static tuff_status begin_part(job *j)
{
    bool same = false;
    TUFF_TRY(hash_settings(j));
    tuff_sha256_init(&j->texts_hash);
    const tuff_sha256 settings = j->hash;
    TUFF_TRY(resume(j, &same));
    if (same && j->table)
        TUFF_TRY(tuff_part_cut(j->table,
                               HEADER + table_rows(j, j->result.vectors, j->result.records) * table_row(j)));
    if (same) return tuff_part_cut(j->part, HEADER + (uint64_t)j->result.vectors * j->row_bytes);
    char header[HEADER];
    say_anew(j);
    if (j->table) {
        print_table_header(j, header);
        TUFF_TRY(tuff_part_cut(j->table, 0));
        TUFF_TRY(tuff_part_write(j->table, header, HEADER));
    }
    TUFF_TRY(tuff_part_cut(j->part, 0));
    j->hash = settings;
    tuff_sha256_init(&j->texts_hash);
    TUFF_TRY(open_records(j));
    print_header(j, header);
    return tuff_part_write(j->part, header, HEADER);
}

/* ---- the run ---- */

static tuff_status tell(job *j)
{
    tuff_records_position(j->records, &j->before, &j->work.total);
    j->work.done = j->before;
    return tuff_watched_tell(&j->work);
}

static tuff_status run_pieces(job *j)
{
    j->saved_ns = tuff_now_ns();
    for (;;) {
        tuff_status read;
        const tuff_sha256 before = j->hash;
        TUFF_TRY(tell(j));
        tuff_embed_piece_read(j, &read);
        tuff_records_position(j->records, &j->behind, &j->work.total);
        if (read == TUFF_OK && j->n == 0) return TUFF_OK;
        char reason[512];
        if (read != TUFF_OK) snprintf(reason, sizeof reason, "%s", tuff_error_message());
        tuff_status status = j->n ? tuff_embed_piece_run(j) : TUFF_OK;
        if (status != TUFF_OK) {
            j->hash = before; /* of the vectors that are there */
            return status;
        }
        if (read != TUFF_OK) return tuff_fail(read, "%s", reason);
        if (tuff_now_ns() - j->saved_ns > SAVE_NS) TUFF_TRY(save_progress(j));
    }
}

/* Nothing is there to go on with: nothing is left. */
static void discard(job *j)
{
    tuff_part_discard(&j->part);
    tuff_part_discard(&j->table);
    tuff_disk_remove(j->progress);
}

/* What was done is kept, whatever ended it; the first failure is the one that is told. */
static tuff_status keep(job *j, tuff_status status)
{
    char reason[512];
    snprintf(reason, sizeof reason, "%s", tuff_error_message());
    if (j->result.vectors == 0) discard(j);
    if (j->result.vectors == 0 || save_progress(j) != TUFF_OK) return tuff_fail(status, "%s", reason);
    return tuff_fail(status,
                     "%s; the %lld vectors so far are in %s.part, and the same call goes on from there",
                     reason, (long long)j->result.vectors, j->output);
}

static tuff_status finish(job *j)
{
    char header[HEADER];
    if (j->result.vectors == 0) discard(j);
    if (j->result.vectors == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s holds no records: there is nothing to embed", j->input);
    tuff_disk_remove(j->origin); /* until the array is there it would be of another */
    if (tuff_embed_job_apart(j))
        TUFF_TRY(tuff_part_write(j->table, &j->result.vectors, sizeof j->result.vectors));
    if (j->table) {
        print_table_header(j, header);
        TUFF_TRY(tuff_part_write_head(j->table, header, HEADER));
        TUFF_TRY(tuff_part_commit(&j->table));
    }
    print_header(j, header);
    TUFF_TRY(tuff_part_write_head(j->part, header, HEADER));
    TUFF_TRY(tuff_part_commit(&j->part));
    for (int i = 0; i < 2; i++) /* of an array that was here before; it never is without its own */
        if (!j->table_path || strcmp(j->tables[i], j->table_path) != 0) tuff_disk_remove(j->tables[i]);
    tuff_disk_remove(j->progress);
    return tuff_origin_write(j->origin, j->result.records, &j->texts_hash, &j->probe);
}

static tuff_status check(job *j)
{
    const tuff_embedder *e = j->embedder;
    const tuff_tokenizer *tokenizer = NULL;
    if (j->params.type < TUFF_VECTOR_F32 || j->params.type > TUFF_VECTOR_BINARY)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no type of vectors %d", (int)j->params.type);
    if (j->params.chunk < 0 || (j->params.overlap && !j->params.chunk))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "chunk is %lld and overlap %lld: chunks have at least a token",
                         (long long)j->params.chunk, (long long)j->params.overlap);
    if (j->params.type == TUFF_VECTOR_BINARY && e->dimensions % 8)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "vectors of %lld dimensions cannot be stored as bits: a multiple of 8 is expected",
                         (long long)e->dimensions);
    if (j->params.chunk && tuff_embed_job_apart(j))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "chunks have a vector each, tokens that stay apart are no chunks: give "
                         "one of both");
    if (tuff_is_same_file(j->input, j->output))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s is the file that is read, and its vectors would replace it: name another output",
                         j->output);
    const tuff_chunk_params chunking = tuff_embed_job_chunking(j);
    if (j->params.chunk) TUFF_TRY(tuff_chunk_texts(j->embedder, NULL, NULL, 0, &chunking, 0, NULL));
    TUFF_TRY(tuff_model_get_tokenizer(e->model, &tokenizer));
    j->needs_text = (!tuff_embed_job_prompt(j) || !*tuff_embed_job_prompt(j)) &&
                    tuff_tokenizer_special_count(tokenizer, false) == 0;
    tuff_embed_pieces_begin(j);
    j->row_bytes = tuff_vector_bytes(j->params.type, e->dimensions);
    j->vectors = tuff_alloc_array((size_t)(TUFF_EMBED_PIECE * e->dimensions), sizeof *j->vectors);
    j->rows = tuff_alloc_array(TUFF_EMBED_PIECE, (size_t)j->row_bytes);
    tuff_buf progress = {0};
    tuff_buf_printf(&progress, "%s.part.json", j->output);
    j->progress = progress.data;
    j->tables[0] = tuff_table_path(j->output, ".chunks.npy");
    j->tables[1] = tuff_table_path(j->output, ".offsets.npy");
    j->origin = tuff_table_path(j->output, ".origin.json");
    if (!j->tables[0] || !j->tables[1] || !j->origin) return tuff_fail_memory("a path");
    j->table_path = tuff_embed_job_apart(j) ? j->tables[1] : j->params.chunk ? j->tables[0] : NULL;
    return j->vectors && j->rows && !progress.failed ? TUFF_OK : tuff_fail_memory("vectors");
}

static tuff_status embed_file(job *j)
{
    TUFF_TRY(check(j));
    TUFF_TRY(open_records(j));
    tuff_records_position(j->records, &j->before, &j->work.total);
    TUFF_TRY(tuff_part_open(j->output, &j->part));
    if (j->table_path) TUFF_TRY(tuff_part_open(j->table_path, &j->table));
    TUFF_TRY(begin_part(j));
    tuff_status status = run_pieces(j);
    return status == TUFF_OK ? finish(j) : keep(j, status);
}

tuff_status tuff_embed_file(tuff_embedder *embedder, const char *input, const char *output,
                            const tuff_embed_file_params *params, tuff_embed_file_result *out_result)
{
    TUFF_NEED(embedder);
    TUFF_NEED(input);
    TUFF_NEED(output);
    if (out_result) TUFF_TRY(TUFF_CHECK_OUT(out_result, TUFF_EMBED_FILE_RESULT_INIT, truncated));
    tuff_embed_file_params p = TUFF_EMBED_FILE_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_EMBED_FILE_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    job *j = tuff_alloc(sizeof *j);
    if (!j) return tuff_fail_memory("an embedding of a file");
    *j = (job){
        .embedder = embedder,
        .params = p,
        .input = input,
        .output = output,
        .work = {.watch = p.watch ? p.watch : embedder->watch, .phase = TUFF_PHASE_EMBED, .unit = "bytes"},
        .result = TUFF_EMBED_FILE_RESULT_INIT};
    tuff_watched_call_begin(&j->call, &j->work);
    tuff_status status = embed_file(j);
    const tuff_embed_file_result result = j->result;
    tuff_records_close(&j->records);
    tuff_part_close(&j->part);
    tuff_part_close(&j->table);
    tuff_buf_free(&j->texts);
    tuff_free(j->tables[0]);
    tuff_free(j->tables[1]);
    tuff_free(j->progress);
    tuff_free(j->origin);
    tuff_free(j->vectors);
    tuff_free(j->rows);
    tuff_free(j);
    if (status != TUFF_OK || !out_result) return status;
    return TUFF_GIVE(out_result, &result, TUFF_EMBED_FILE_RESULT_INIT, truncated);
}
