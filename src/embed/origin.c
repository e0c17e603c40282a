/* Of which records the vectors of an array are: their hash, in a small file beside the array. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
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

tuff_status tuff_origin_write(const char *path, int64_t records, const tuff_sha256 *hash)
{
    char hex[65];
    tuff_buf text = {0};
    tuff_sha256 copy = *hash;
    tuff_sha256_hex(&copy, hex);
    tuff_buf_printf(&text, "{\"records\": %lld, \"sha256\": \"%s\"}\n", (long long)records, hex);
    tuff_status status = text.failed ? tuff_fail_memory("what tells of which records vectors are")
                                     : tuff_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return status;
}

static tuff_status read_origin(const char *path, int64_t *out_records, char hex[65])
{
    cJSON *json = NULL;
    const char *sha = NULL;
    if (!tuff_is_file(path))
        return tuff_fail(TUFF_NOT_FOUND, "%s, which tells of which records the vectors are, is not there",
                         path);
    tuff_status status = tuff_json_read(path, &json);
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
