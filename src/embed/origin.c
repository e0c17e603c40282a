/* Of which records the vectors of an array are, and of which model: the records' hash and what the model
 * makes of one text, in a small file beside the array. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "embed/chunk.h"
#include "embed/file.h"
#include "formats/records.h"

void tuff_origin_add(tuff_sha256 *hash, tuff_view text)
{
    const uint64_t size = text.size;
    tuff_sha256_update(hash, &size, sizeof size);
    tuff_sha256_update(hash, text.data, text.size);
}

/* ---- writing ---- */

const char *const tuff_probe_text = "What this becomes tells models apart.";

void tuff_probe_set(tuff_probe *probe, const tuff_embedder *embedder, const float *vector)
{
    enum { TOKENS = 64 }; /* of the text at most, in bytes even; where it is cut off it is another text */
    const int64_t d = embedder->dimensions;
    probe->count = embedder->packed.max_length < TOKENS ? 0 : d < TUFF_PROBE_NUMBERS ? d : TUFF_PROBE_NUMBERS;
    memcpy(probe->numbers, vector, (size_t)probe->count * sizeof *vector);
}

static void print_probe(const tuff_probe *probe, tuff_buf *text)
{
    for (int64_t i = 0; i < probe->count; i++) {
        tuff_buf_text(text, i ? ", " : ", \"probe\": [");
        tuff_json_double(text, (double)probe->numbers[i]);
    }
    if (probe->count) tuff_buf_char(text, ']');
}

tuff_status tuff_origin_write(const char *path, int64_t records, const tuff_sha256 *hash,
                              const tuff_probe *probe)
{
    char hex[65];
    tuff_buf text = {0};
    tuff_sha256 copy = *hash;
    tuff_sha256_hex(&copy, hex);
    tuff_buf_printf(&text, "{\"records\": %lld, \"sha256\": \"%s\"", (long long)records, hex);
    print_probe(probe, &text);
    tuff_buf_text(&text, "}\n");
    tuff_status status = text.failed ? tuff_fail_memory("what tells of which records vectors are")
                                     : tuff_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return status;
}

/* ---- records ---- */

static tuff_status open_origin(const char *path, cJSON **out_json)
{
    if (tuff_is_file(path)) return tuff_json_read(path, out_json);
    return tuff_fail(TUFF_NOT_FOUND, "%s, which tells of which records the vectors are, is not there", path);
}

static tuff_status read_origin(const char *path, int64_t *out_records, char hex[65])
{
    cJSON *json = NULL;
    const char *sha = NULL;
    tuff_status status = open_origin(path, &json);
    if (status == TUFF_OK) status = tuff_json_int(json, "records", path, out_records);
    if (status == TUFF_OK) status = tuff_json_text(json, "sha256", path, &sha);
    if (status == TUFF_OK && (!sha || strlen(sha) != 64))
        status = tuff_fail(TUFF_BAD_FORMAT, "%s: sha256 is no such hash", path);
    if (status == TUFF_OK) memcpy(hex, sha, 65);
    cJSON_Delete(json);
    return status;
}

static tuff_status hash_records(tuff_records *records, int64_t *out_count, char hex[65])
{
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    for (*out_count = 0;; ++*out_count) {
        tuff_view text;
        bool there = false;
        TUFF_TRY(tuff_records_next(records, &text, &there));
        if (!there) break;
        tuff_origin_add(&hash, text);
    }
    tuff_sha256_hex(&hash, hex);
    return TUFF_OK;
}

static tuff_status check(const char *origin, const char *vectors_path, const char *path, const char *field)
{
    char wanted[65], found[65];
    int64_t records = 0, count = 0;
    tuff_records *reader = NULL;
    TUFF_TRY(read_origin(origin, &records, wanted));
    TUFF_TRY(tuff_records_open(path, TUFF_RECORDS_AUTO, &field, field ? 1 : 0, &reader));
    tuff_status status = hash_records(reader, &count, found);
    tuff_records_close(&reader);
    TUFF_TRY(status);
    if (count == records && strcmp(wanted, found) == 0) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "the %lld records of %s are not the %lld texts that %s has vectors of: it is another file "
        "than was embedded, was changed since, or another field of it was embedded",
        (long long)count, path, (long long)records, vectors_path);
}

tuff_status tuff_record_check(const char *vectors_path, const char *path, const char *field)
{
    TUFF_NEED(vectors_path);
    TUFF_NEED(path);
    char *origin = tuff_table_path(vectors_path, ".origin.json");
    if (!origin) return tuff_fail_memory("a path");
    tuff_status status = check(origin, vectors_path, path, field);
    tuff_free(origin);
    return status;
}

/* ---- the model ---- */

static tuff_status read_probe(const char *path, tuff_probe *probe)
{
    cJSON *json = NULL;
    const cJSON *item;
    *probe = (tuff_probe){0};
    TUFF_TRY(open_origin(path, &json));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "probe"))
    {
        if (!cJSON_IsNumber(item) || probe->count == TUFF_PROBE_NUMBERS) {
            probe->count = 0;
            break;
        }
        probe->numbers[probe->count++] = (float)item->valuedouble;
    }
    cJSON_Delete(json);
    if (probe->count) return TUFF_OK;
    return tuff_fail(TUFF_NOT_FOUND, "%s does not tell of which model the vectors are", path);
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* `vector` has as many numbers as the embedder's dimensions. */
static tuff_status compare(const tuff_probe *probe, const float *vector, const tuff_embedder *e,
                           const char *vectors_path)
{
    static const double other = 0.9, somewhat = 0.99;
    tuff_probe here;
    tuff_probe_set(&here, e, vector);
    if (!here.count)
        return tuff_fail(TUFF_NOT_FOUND,
                         "%s: texts are cut off after %lld tokens, too few to tell models apart",
                         e->model->path, (long long)e->packed.max_length);
    const int64_t n = here.count < probe->count ? here.count : probe->count;
    const double norms = sqrt(dot(probe->numbers, probe->numbers, n) * dot(here.numbers, here.numbers, n)),
                 cosine = norms > 0 ? dot(probe->numbers, here.numbers, n) / norms : 1;
    if (!(cosine >= other))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s was made by another model than %s, with another adapter or in another way (pooling): of "
            "one text the two make vectors whose cosine is %.3f, expected 1",
            vectors_path, e->model->path, cosine);
    if (cosine < somewhat)
        tuff_log(
            TUFF_LOG_WARN,
            "%s and %s do not go together well: of one text, what made the vectors and this model make two whose "
            "cosine is %.3f; scores are as uncertain",
            vectors_path, e->model->path, cosine);
    return TUFF_OK;
}

tuff_status tuff_embedder_check(tuff_embedder *embedder, const char *vectors_path)
{
    TUFF_NEED(embedder);
    TUFF_NEED(vectors_path);
    if (embedder->pooling == TUFF_POOLING_NONE)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the embedder gives a vector per token, which no array is searched by");
    tuff_probe probe;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    params.prompt = "";
    char *origin = tuff_table_path(vectors_path, ".origin.json");
    float *vector = tuff_alloc_array((size_t)embedder->dimensions, sizeof *vector);
    tuff_status status = origin && vector ? read_probe(origin, &probe) : tuff_fail_memory("a vector");
    if (status == TUFF_OK) status = tuff_embed(embedder, &tuff_probe_text, NULL, 1, &params, vector, NULL);
    if (status == TUFF_OK) status = compare(&probe, vector, embedder, vectors_path);
    tuff_free(origin);
    tuff_free(vector);
    return status;
}
