/* Files of records: what is at hand of them, JSON records, opening and closing. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "formats/parquet.h"
#include "formats/records_inside.h"

tuff_records_kind tuff_records_kind_of(const char *path)
{
    if (tuff_ends_with(path, ".jsonl") || tuff_ends_with(path, ".ndjson") || tuff_ends_with(path, ".json"))
        return TUFF_RECORDS_JSONL;
    if (tuff_ends_with(path, ".csv")) return TUFF_RECORDS_CSV;
    return tuff_ends_with(path, ".tsv") ? TUFF_RECORDS_TSV : TUFF_RECORDS_LINES;
}

bool tuff_records_are(const char *path)
{
    tuff_names names = {0};
    if (!tuff_is_directory(path)) return tuff_records_kind_of(path) != TUFF_RECORDS_LINES;
    bool all = tuff_directory_files(path, &names) == TUFF_OK && names.count > 0;
    const char *name = names.text.data;
    for (size_t i = 0; i < names.count && all; i++, name += strlen(name) + 1)
        all = tuff_records_kind_of(name) != TUFF_RECORDS_LINES;
    tuff_names_free(&names);
    return all;
}

tuff_status tuff_records_bad(const tuff_records *r, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: %s", r->path, (unsigned long long)r->line, what);
}

/* ---- the window ---- */

bool tuff_records_has_more(const tuff_records *r)
{
    return r->passed + (uint64_t)(r->end - r->begin) < r->total;
}

/* Lets go what lies before r->at. */
static void pass(tuff_records *r)
{
    const size_t kept = (size_t)(r->end - r->at);
    memmove(r->window, r->at, kept);
    r->passed += (uint64_t)(r->at - r->begin);
    r->begin = r->at = r->window;
    r->end = r->window + kept;
}

/* Twice the room, as long as a record is thought to be one. */
static tuff_status grow(tuff_records *r)
{
    enum { LEAST = 1 << 18, MOST = 1 << 28 };
    const size_t kept = (size_t)(r->end - r->at), room = r->room ? 2 * r->room : LEAST;
    if (room > MOST) {
        r->at = r->end;
        r->line = r->next_line;
        return tuff_records_bad(r, "from here on nothing ends a record within 256 MiB");
    }
    char *window = tuff_realloc_array(r->window, room, 1);
    if (!window) return tuff_fail_memory("a file of records");
    r->window = window;
    r->room = room;
    r->begin = r->at = window;
    r->end = window + kept;
    return TUFF_OK;
}

/* Reads on, with more room where what is left takes half of it. */
tuff_status tuff_records_read_on(tuff_records *r)
{
    if (r->window) pass(r);
    if (2 * (size_t)(r->end - r->at) >= r->room) TUFF_TRY(grow(r));
    const size_t kept = (size_t)(r->end - r->at);
    const uint64_t from = r->passed + kept, left = r->total - from;
    const size_t size = left < r->room - kept ? (size_t)left : r->room - kept;
    TUFF_TRY(tuff_file_read(&r->file, from, r->window + kept, size));
    r->end += size;
    return tuff_file_check(&r->file);
}

tuff_view tuff_records_take_line(tuff_records *r, const char *newline)
{
    const char *stop = newline ? newline : r->end;
    tuff_view line = {r->at, (size_t)(stop - r->at)};
    if (line.size && line.data[line.size - 1] == '\r') {
        line.size--;
        r->windows_lines += newline != NULL;
    }
    r->at = newline ? newline + 1 : r->end;
    r->line = r->next_line++;
    return line;
}

tuff_status tuff_records_next_line(tuff_records *r, tuff_view *out, bool *out_there)
{
    const char *newline = NULL;
    for (size_t seen = 0;;) {
        const size_t had = (size_t)(r->end - r->at);
        newline = had > seen ? memchr(r->at + seen, '\n', had - seen) : NULL;
        if (newline || !tuff_records_has_more(r)) break;
        seen = had;
        TUFF_TRY(tuff_records_read_on(r));
    }
    *out_there = r->at != r->end;
    if (*out_there) *out = tuff_records_take_line(r, newline);
    return TUFF_OK;
}

/* ---- JSON ---- */

static tuff_status take_member(tuff_records *r, size_t i, size_t *begin, size_t *size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->json, r->names[i]);
    bool nested = cJSON_IsObject(item) || cJSON_IsArray(item);
    if (!item || cJSON_IsNull(item) || (nested && !r->takes_json[i]))
        return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: its \"%s\" is %s, expected a text", r->path,
                         (unsigned long long)r->line, r->names[i],
                         !item                  ? "missing"
                         : cJSON_IsNull(item)   ? "null"
                         : cJSON_IsObject(item) ? "an object"
                                                : "a list");
    *begin = r->text.size;
    if (nested) {
        char *text = cJSON_PrintUnformatted(item);
        if (!text) return tuff_fail_memory("a record");
        tuff_buf_text(&r->text, text);
        cJSON_free(text);
    } else if (cJSON_IsString(item)) {
        tuff_buf_text(&r->text, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        tuff_json_double(&r->text, item->valuedouble);
    } else {
        tuff_buf_text(&r->text, cJSON_IsTrue(item) ? "true" : "false");
    }
    *size = r->text.size - *begin;
    return r->text.failed ? tuff_fail_memory("a record") : TUFF_OK;
}

/* The next record, in r->json; there is none after the last one. */
static tuff_status next_json_object(tuff_records *r)
{
    tuff_view line = {0};
    bool there = false;
    char where[32];
    cJSON_Delete(r->json);
    r->json = NULL;
    TUFF_TRY(tuff_records_next_item(r, &line, &there));
    if (!there) return TUFF_OK;
    snprintf(where, sizeof where, "line %llu", (unsigned long long)r->line);
    TUFF_TRY(tuff_note(tuff_json_parse(line.data, line.size, where, &r->json), "%s", r->path));
    return cJSON_IsObject(r->json) ? TUFF_OK : tuff_records_bad(r, "it is no JSON object");
}

static tuff_status next_json(tuff_records *r, tuff_view *out, bool *out_there)
{
    size_t begin[TUFF_RECORD_FIELDS], size[TUFF_RECORD_FIELDS];
    TUFF_TRY(next_json_object(r));
    if (!r->json) return TUFF_OK;
    tuff_buf_clear(&r->text);
    for (size_t i = 0; i < r->n; i++)
        TUFF_TRY(take_member(r, i, &begin[i], &size[i]));
    for (size_t i = 0; i < r->n; i++)
        out[i] = (tuff_view){r->text.data + begin[i], size[i]};
    *out_there = true;
    return TUFF_OK;
}

/* ---- all ---- */

static tuff_status open_file(tuff_records *r)
{
    if (tuff_is_file(r->path)) {
        TUFF_TRY(tuff_file_open(r->path, &r->file));
        r->total = r->file.size;
        return TUFF_OK;
    }
    TUFF_TRY(tuff_read_stream(r->path, (size_t)1 << 32, &r->stream));
    r->begin = r->stream.data ? r->stream.data : "";
    r->end = r->begin + r->stream.size;
    r->total = r->stream.size;
    return TUFF_OK;
}

/* Begins, behind a byte order mark. */
static tuff_status pass_mark(tuff_records *r)
{
    r->at = r->begin;
    if (tuff_records_has_more(r)) TUFF_TRY(tuff_records_read_on(r));
    if (r->end - r->at >= 3 && memcmp(r->at, "\xef\xbb\xbf", 3) == 0) r->at += 3;
    return TUFF_OK;
}

/* Behind what comes before records of the kind. */
static tuff_status begin_text(tuff_records *r)
{
    TUFF_TRY(pass_mark(r));
    const size_t size = (size_t)(r->end - r->at);
    if (size >= 2 && (memcmp(r->at, "\xff\xfe", 2) == 0 || memcmp(r->at, "\xfe\xff", 2) == 0))
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s is UTF-16, expected UTF-8: save it so, or convert it with iconv -f UTF-16 -t UTF-8", r->path);
    return r->kind == TUFF_RECORDS_JSONL ? tuff_records_begin_json(r) : TUFF_OK;
}

/* Passes over a byte order mark, and over the row that names the columns. */
static tuff_status begin(tuff_records *r)
{
    TUFF_TRY(begin_text(r));
    bool rows = r->kind == TUFF_RECORDS_CSV || r->kind == TUFF_RECORDS_TSV;
    return rows ? tuff_records_read_header(r) : TUFF_OK;
}

/* The names that a first row gives are those of an object's members. */
static tuff_status check_header(const tuff_records *r)
{
    const char *name = r->header.data;
    size_t nuls = 0;
    if (!r->header_count)
        return tuff_fail(TUFF_BAD_FORMAT, "%s is empty; a first row that names the columns is expected",
                         r->path);
    for (size_t i = 0; i < r->header.size; i++)
        nuls += !r->header.data[i];
    if (nuls != r->header_count || !tuff_utf8_valid(name, r->header.size))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: its first row, which is to name the columns, is no text in UTF-8", r->path);
    for (size_t i = 0; i < r->header_count; i++, name += strlen(name) + 1)
        for (const char *other = r->header.data; other < name; other += strlen(other) + 1)
            if (strcmp(name, other) == 0)
                return tuff_fail(TUFF_BAD_FORMAT, "%s: two of its columns are called \"%.60s\"; rename one",
                                 r->path, name);
    return TUFF_OK;
}

/* JSON by its first character where the name says nothing. */
static tuff_status begin_objects(tuff_records *r)
{
    if (r->kind == TUFF_RECORDS_LINES) {
        TUFF_TRY(pass_mark(r));
        const char *c = r->at;
        while (c < r->end && memchr(" \t\r\n", *c, 4))
            c++;
        if (c == r->end || (*c != '{' && *c != '['))
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "%s is %s, expected records: JSON (.jsonl, .json), CSV or TSV", r->path,
                             c == r->end ? "empty" : "text");
        r->kind = TUFF_RECORDS_JSONL;
        return tuff_records_begin_json(r);
    }
    TUFF_TRY(begin_text(r));
    if (r->kind == TUFF_RECORDS_JSONL) return TUFF_OK;
    TUFF_TRY(tuff_records_row_names(r, &r->header, &r->header_count));
    if (r->header.failed) return tuff_fail_memory("the names of columns");
    return check_header(r);
}

/* ---- files ---- */

static tuff_status add_file(tuff_records *r, char *path)
{
    size_t room = r->file_count; /* grown by one: there are few */
    char **files = path ? tuff_realloc_array(r->files, room + 1, sizeof *files) : NULL;
    if (!files) {
        tuff_free(path);
        return tuff_fail_memory("a list of files");
    }
    r->files = files;
    r->files[r->file_count++] = path;
    return TUFF_OK;
}

static tuff_status list_files(tuff_records *r, const char *path)
{
    tuff_names names = {0};
    if (r->begin || !tuff_is_directory(path)) return add_file(r, tuff_strdup(path));
    TUFF_TRY(tuff_directory_files(path, &names));
    tuff_status status =
        names.count ? TUFF_OK : tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no files; expected records", path);
    const char *name = names.text.data;
    for (size_t i = 0; i < names.count && status == TUFF_OK; i++, name += strlen(name) + 1)
        status = add_file(r, tuff_path_join(path, name));
    tuff_names_free(&names);
    return status;
}

static tuff_status choose_kind(tuff_records *r)
{
    r->kind = r->asked == TUFF_RECORDS_AUTO ? tuff_records_kind_of(r->path) : r->asked;
    if (r->kind != TUFF_RECORDS_LINES || r->n < 2) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %zu fields are asked for of lines of text, which have one",
                     r->path, r->n);
}

/* Begins with a file, where another one was at hand. */
static tuff_status open_at(tuff_records *r, size_t index)
{
    tuff_file_close(&r->file);
    r->begin = r->at = r->end = r->window;
    r->passed = r->total = 0;
    r->next_line = 1;
    r->in_list = false;
    r->header_count = 0;
    tuff_buf_clear(&r->header);
    r->file_at = index;
    r->path = r->files[index];
    TUFF_TRY(choose_kind(r));
    TUFF_TRY(open_file(r));
    return r->whole ? begin_objects(r) : begin(r);
}

/* All of a directory's, so that what is wrong is seen before the first record is read; and the first again.
 */
static tuff_status open_all(tuff_records *r)
{
    for (size_t i = 0; i < r->file_count; i++) {
        TUFF_TRY(open_at(r, i));
        r->all += r->total;
    }
    r->windows_lines = 0;
    return open_at(r, 0);
}

/* The next file; false: there is none. */
static bool has_next_file(const tuff_records *r)
{
    return r->file_at + 1 < r->file_count;
}

static tuff_status open_next_file(tuff_records *r)
{
    r->before += r->total;
    return open_at(r, r->file_at + 1);
}

static tuff_status build(tuff_records *r, const char *path, tuff_records_kind kind, const char *const *fields,
                         size_t n)
{
    static const char *const usual[] = {"text"};
    if (n > TUFF_RECORD_FIELDS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu fields of a record are asked for, at most %d can be", n,
                         TUFF_RECORD_FIELDS);
    TUFF_TRY(list_files(r, path));
    for (size_t i = 0; i < r->file_count && !r->begin; i++)
        TUFF_TRY(tuff_refuse_parquet(r->files[i]));
    r->path = r->files[0];
    r->asked = kind;
    r->next_line = 1;
    r->n = r->whole ? 0 : n ? n : 1;
    TUFF_TRY(choose_kind(r));
    if (r->whole && r->file_count > 1) return open_all(r);
    if (r->whole) {
        TUFF_TRY(open_file(r));
        return begin_objects(r);
    }
    if (!n) fields = usual;
    for (size_t i = 0; i < r->n; i++)
        if (!(r->names[i] = tuff_strdup(fields[i]))) return tuff_fail_memory("a file of records");
    if (r->file_count > 1) return open_all(r);
    if (!r->begin) TUFF_TRY(open_file(r));
    return begin(r);
}

static tuff_status create(const char *data, size_t size, const char *path, tuff_records_kind kind,
                          const char *const *fields, size_t n, bool whole, tuff_records **out_records)
{
    *out_records = NULL;
    tuff_records *r = tuff_alloc(sizeof *r);
    if (!r) return tuff_fail_memory("a file of records");
    r->begin = data;
    r->end = data ? data + size : NULL;
    r->total = size;
    r->whole = whole;
    tuff_status status = build(r, path, kind, fields, n);
    if (status != TUFF_OK)
        tuff_records_close(&r);
    else
        *out_records = r;
    return status;
}

tuff_status tuff_records_open(const char *path, tuff_records_kind kind, const char *const *fields, size_t n,
                              tuff_records **out_records)
{
    return create(NULL, 0, path, kind, fields, n, false, out_records);
}

tuff_status tuff_records_of_text(const char *data, size_t size, const char *where, tuff_records_kind kind,
                                 const char *const *fields, size_t n, tuff_records **out_records)
{
    return create(data ? data : "", size, where, kind, fields, n, false, out_records);
}

tuff_status tuff_records_open_objects(const char *path, tuff_records **out_records)
{
    return create(NULL, 0, path, TUFF_RECORDS_AUTO, NULL, 0, true, out_records);
}

void tuff_records_take_json(tuff_records *r, size_t field)
{
    r->takes_json[field] = true;
}

void tuff_records_close(tuff_records **records)
{
    tuff_records *r = *records;
    if (!r) return;
    tuff_file_close(&r->file);
    tuff_free(r->window);
    tuff_buf_free(&r->stream);
    tuff_buf_free(&r->text);
    tuff_buf_free(&r->header);
    cJSON_Delete(r->json);
    for (size_t i = 0; i < r->n; i++)
        tuff_free(r->names[i]);
    for (size_t i = 0; i < r->file_count; i++)
        tuff_free(r->files[i]);
    tuff_free(r->files);
    tuff_free(r);
    *records = NULL;
}

static tuff_status next_of_file(tuff_records *r, tuff_view *out_values, bool *out_there)
{
    if (r->kind == TUFF_RECORDS_JSONL) return next_json(r, out_values, out_there);
    if (r->kind != TUFF_RECORDS_LINES) return tuff_records_next_row(r, out_values, out_there);
    return tuff_records_next_line(r, out_values, out_there);
}

static tuff_status next(tuff_records *r, tuff_view *out_values, bool *out_there)
{
    for (;;) {
        TUFF_TRY(next_of_file(r, out_values, out_there));
        if (*out_there || !has_next_file(r)) return TUFF_OK;
        TUFF_TRY(open_next_file(r));
    }
}

/* Whether a record, or what is none, is of the other part. */
static bool passes_over(tuff_records *r, tuff_status status, bool there)
{
    const bool record = status == TUFF_BAD_FORMAT || (status == TUFF_OK && there);
    return record && !tuff_records_is_wanted(r);
}

tuff_status tuff_records_next(tuff_records *r, tuff_view *out_values, bool *out_there)
{
    tuff_status status;
    do {
        *out_there = false;
        status = next(r, out_values, out_there);
        if (status != TUFF_OK) *out_there = false;
    } while (passes_over(r, status, *out_there));
    return status;
}

static tuff_status next_object(tuff_records *r, const cJSON **out_object)
{
    *out_object = NULL;
    for (;;) {
        TUFF_TRY(r->kind == TUFF_RECORDS_JSONL ? next_json_object(r) : tuff_records_next_row_object(r));
        *out_object = r->json;
        if (r->json || !has_next_file(r)) return TUFF_OK;
        TUFF_TRY(open_next_file(r));
    }
}

tuff_status tuff_records_next_object(tuff_records *r, const cJSON **out_object)
{
    tuff_status status;
    do
        status = next_object(r, out_object);
    while (passes_over(r, status, *out_object != NULL));
    return status;
}

void tuff_records_position(const tuff_records *r, uint64_t *out_done, uint64_t *out_total)
{
    *out_done = r->before + r->passed + (uint64_t)(r->at - r->begin);
    *out_total = r->all ? r->all : r->total;
}

uint64_t tuff_records_windows_lines(const tuff_records *r)
{
    return r->windows_lines;
}

cJSON *tuff_records_keep_object(tuff_records *r)
{
    cJSON *object = r->json;
    r->json = NULL;
    return object;
}

const char *tuff_records_path(const tuff_records *r)
{
    return r->path;
}

uint64_t tuff_records_line(const tuff_records *r)
{
    return r->line;
}

/* ---- names ---- */

/* The first record that is one; the first error where none of the first ones is. */
static tuff_status next_good_json(tuff_records *r, bool *out_there)
{
    enum { MOST = 100 };
    char first[400] = "";
    *out_there = false;
    for (int i = 0; i < MOST; i++) {
        const tuff_status status = next_json(r, NULL, out_there);
        if (status != TUFF_BAD_FORMAT && (status != TUFF_OK || *out_there || !*first)) return status;
        if (status == TUFF_OK) break;
        if (!*first) snprintf(first, sizeof first, "%s", tuff_error_message());
    }
    return tuff_fail(TUFF_BAD_FORMAT, "%s", first);
}

static tuff_status names_of_json(tuff_records *r, tuff_buf *out, size_t *out_count)
{
    bool there = false;
    TUFF_TRY(next_good_json(r, &there));
    for (const cJSON *item = there ? r->json->child : NULL; item; item = item->next, ++*out_count) {
        tuff_buf_text(out, item->string);
        tuff_buf_char(out, 0);
    }
    return TUFF_OK;
}

tuff_status tuff_records_names(const char *path, tuff_buf *out_names, size_t *out_count)
{
    *out_count = 0;
    tuff_records *r = tuff_alloc(sizeof *r);
    if (!r) return tuff_fail_memory("a file of records");
    r->next_line = 1;
    tuff_status status = list_files(r, path);
    if (status == TUFF_OK) {
        r->path = r->files[0];
        r->kind = tuff_records_kind_of(r->path);
        status = tuff_refuse_parquet(r->path);
    }
    if (status == TUFF_OK) status = tuff_file_open(r->path, &r->file);
    r->total = r->file.size;
    if (status == TUFF_OK) status = begin_text(r);
    if (status == TUFF_OK && r->kind == TUFF_RECORDS_JSONL) status = names_of_json(r, out_names, out_count);
    if (status == TUFF_OK && (r->kind == TUFF_RECORDS_CSV || r->kind == TUFF_RECORDS_TSV))
        status = tuff_records_row_names(r, out_names, out_count);
    if (status == TUFF_OK && out_names->failed) status = tuff_fail_memory("the names of columns");
    tuff_records_close(&r);
    return status;
}
