#include "formats/records.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { MOST_COLUMNS = 4096 };

struct tuff_records {
    tuff_records_kind kind;
    char *path;
    tuff_file file;               /* none: all of the text is there */
    tuff_buf stream;              /* of a pipe */
    char *window;                 /* the part of the file that is at hand */
    size_t room;                  /* bytes of it */
    const char *begin, *at, *end; /* of the text, or of the window's */
    uint64_t passed, total;       /* bytes of the file before `begin`; of all */
    uint64_t line, next_line;     /* of the last record; of the next one */
    size_t n;
    char *names[TUFF_RECORD_FIELDS];
    int columns[TUFF_RECORD_FIELDS]; /* of rows: where each field is */
    cJSON *json;                     /* the last record */
    bool takes_json;                 /* lists and objects are fields too */
    tuff_buf text;                   /* what had to be unquoted or printed */
};

static tuff_records_kind kind_of(const char *path)
{
    if (tuff_ends_with(path, ".jsonl") || tuff_ends_with(path, ".ndjson")) return TUFF_RECORDS_JSONL;
    if (tuff_ends_with(path, ".csv")) return TUFF_RECORDS_CSV;
    return tuff_ends_with(path, ".tsv") ? TUFF_RECORDS_TSV : TUFF_RECORDS_LINES;
}

static tuff_status bad(const tuff_records *r, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: %s", r->path, (unsigned long long)r->line, what);
}

/* ---- the window ---- */

static bool has_more(const tuff_records *r)
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
        return bad(r, "from here on nothing ends a record within 256 MiB");
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
static tuff_status read_on(tuff_records *r)
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

/* The next line of the window, of which it may be the last, without its end: "\n" or "\r\n". */
static tuff_view take_line(tuff_records *r, const char *newline)
{
    const char *stop = newline ? newline : r->end;
    tuff_view line = {r->at, (size_t)(stop - r->at)};
    if (line.size && line.data[line.size - 1] == '\r') line.size--;
    r->at = newline ? newline + 1 : r->end;
    r->line = r->next_line++;
    return line;
}

/* *out_there is false at the end of the file. */
static tuff_status next_line(tuff_records *r, tuff_view *out, bool *out_there)
{
    const char *newline = NULL;
    for (size_t seen = 0;;) {
        const size_t had = (size_t)(r->end - r->at);
        newline = had > seen ? memchr(r->at + seen, '\n', had - seen) : NULL;
        if (newline || !has_more(r)) break;
        seen = had;
        TUFF_TRY(read_on(r));
    }
    *out_there = r->at != r->end;
    if (*out_there) *out = take_line(r, newline);
    return TUFF_OK;
}

/* ---- JSON ---- */

static tuff_status take_member(tuff_records *r, size_t i, size_t *begin, size_t *size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->json, r->names[i]);
    bool nested = cJSON_IsObject(item) || cJSON_IsArray(item);
    if (!item || cJSON_IsNull(item) || (nested && !r->takes_json))
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

static bool is_blank(tuff_view line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t') return false;
    return true;
}

static tuff_status next_json(tuff_records *r, tuff_view *out, bool *out_there)
{
    tuff_view line = {0};
    bool there = false;
    size_t begin[TUFF_RECORD_FIELDS], size[TUFF_RECORD_FIELDS];
    do {
        TUFF_TRY(next_line(r, &line, &there));
        if (!there) return TUFF_OK;
    } while (is_blank(line));
    char where[32];
    snprintf(where, sizeof where, "line %llu", (unsigned long long)r->line);
    cJSON_Delete(r->json);
    r->json = NULL;
    TUFF_TRY(tuff_note(tuff_json_parse(line.data, line.size, where, &r->json), "%s", r->path));
    if (!cJSON_IsObject(r->json)) return bad(r, "it is no JSON object");
    tuff_buf_clear(&r->text);
    for (size_t i = 0; i < r->n; i++)
        TUFF_TRY(take_member(r, i, &begin[i], &size[i]));
    for (size_t i = 0; i < r->n; i++)
        out[i] = (tuff_view){r->text.data + begin[i], size[i]};
    *out_there = true;
    return TUFF_OK;
}

/* ---- rows ---- */

/* A row's cells as places in r->text; cells[0..*count). */
typedef struct cell {
    size_t begin, size;
} cell;

static bool add_cell(const tuff_records *r, cell *cells, size_t *count, size_t begin)
{
    if (*count == MOST_COLUMNS) return false;
    cells[(*count)++] = (cell){begin, r->text.size - begin};
    return true;
}

/* A quoted cell, from after its first quote; lines may end within it. False: the closing quote is missing. */
static bool unquote(tuff_records *r)
{
    for (;;) {
        const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
        if (!quote) return false;
        for (const char *c = r->at; c < quote; c++)
            r->next_line += *c == '\n';
        tuff_buf_bytes(&r->text, r->at, (size_t)(quote - r->at));
        r->at = quote + 1;
        if (r->at == r->end || *r->at != '"') return true;
        tuff_buf_char(&r->text, '"');
        r->at++;
    }
}

/* A row of the window; at its end where it may go on behind that. */
static tuff_status take_csv_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    *count = 0;
    *out_there = false;
    tuff_buf_clear(&r->text);
    if (r->at == r->end) return TUFF_OK;
    r->line = r->next_line++;
    for (;;) {
        size_t begin = r->text.size;
        if (r->at < r->end && *r->at == '"') {
            r->at++;
            if (!unquote(r)) {
                r->at = r->end;
                return bad(r, "a quote is not closed");
            }
        } else {
            const char *c = r->at;
            while (c < r->end && *c != ',' && *c != '\n' && *c != '\r')
                c++;
            tuff_buf_bytes(&r->text, r->at, (size_t)(c - r->at));
            r->at = c;
        }
        if (!add_cell(r, cells, count, begin)) return bad(r, "it has more than 4096 columns");
        if (r->at < r->end && *r->at == ',') {
            r->at++;
            continue;
        }
        if (r->at < r->end && *r->at == '\r') r->at++;
        if (r->at < r->end && *r->at != '\n') {
            r->next_line--;
            take_line(r, memchr(r->at, '\n', (size_t)(r->end - r->at)));
            return bad(r, "something follows a quoted cell");
        }
        if (r->at < r->end) r->at++;
        break;
    }
    *out_there = true;
    return r->text.failed ? tuff_fail_memory("a record") : TUFF_OK;
}

/* Again from its beginning, with more of the file, until it ends within the window. */
static tuff_status read_csv_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    for (;;) {
        const size_t at = (size_t)(r->at - r->begin);
        const uint64_t line = r->line, next_line = r->next_line;
        tuff_status status = take_csv_row(r, cells, count, out_there);
        if (r->at < r->end || !has_more(r)) return status;
        r->at = r->begin + at;
        r->line = line;
        r->next_line = next_line;
        TUFF_TRY(read_on(r));
    }
}

static tuff_status read_tsv_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    tuff_view line = {0};
    *count = 0;
    TUFF_TRY(next_line(r, &line, out_there));
    if (!*out_there) return TUFF_OK;
    tuff_buf_clear(&r->text);
    for (size_t at = 0; at <= line.size;) {
        const char *tab = memchr(line.data + at, '\t', line.size - at);
        size_t stop = tab ? (size_t)(tab - line.data) : line.size, begin = r->text.size;
        tuff_buf_bytes(&r->text, line.data + at, stop - at);
        if (!add_cell(r, cells, count, begin)) return bad(r, "it has more than 4096 columns");
        at = stop + 1;
    }
    return r->text.failed ? tuff_fail_memory("a record") : TUFF_OK;
}

static tuff_status read_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    return r->kind == TUFF_RECORDS_CSV ? read_csv_row(r, cells, count, out_there)
                                       : read_tsv_row(r, cells, count, out_there);
}

static tuff_status next_row(tuff_records *r, tuff_view *out, bool *out_there)
{
    cell cells[MOST_COLUMNS];
    size_t count = 0;
    TUFF_TRY(read_row(r, cells, &count, out_there));
    for (size_t i = 0; i < r->n && *out_there; i++) {
        if ((size_t)r->columns[i] >= count)
            return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: it has %zu columns, \"%s\" is column %d",
                             r->path, (unsigned long long)r->line, count, r->names[i], r->columns[i] + 1);
        const cell *c = &cells[r->columns[i]];
        out[i] = (tuff_view){r->text.size ? r->text.data + c->begin : "", c->size};
    }
    return TUFF_OK;
}

/* Finds the fields among the columns that the first row names. */
static tuff_status read_header(tuff_records *r)
{
    cell cells[MOST_COLUMNS];
    size_t count = 0;
    bool there = false;
    TUFF_TRY(read_row(r, cells, &count, &there));
    if (!there)
        return tuff_fail(TUFF_BAD_FORMAT, "%s is empty; a first row that names the columns is expected",
                         r->path);
    for (size_t i = 0; i < r->n; i++) {
        r->columns[i] = -1;
        for (size_t c = 0; c < count && r->columns[i] < 0; c++)
            if (tuff_view_is((tuff_view){r->text.size ? r->text.data + cells[c].begin : "", cells[c].size},
                             r->names[i]))
                r->columns[i] = (int)c;
        if (r->columns[i] >= 0) continue;
        tuff_buf names = {0};
        for (size_t c = 0; c < count && names.size < 200; c++)
            tuff_buf_printf(&names, "%s%.*s", c ? ", " : "", (int)(cells[c].size < 40 ? cells[c].size : 40),
                            r->text.data + cells[c].begin);
        tuff_status status =
            tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no column \"%s\"; its first row names %s", r->path,
                      r->names[i], names.data ? names.data : "none");
        tuff_buf_free(&names);
        return status;
    }
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
    if (has_more(r)) TUFF_TRY(read_on(r));
    if (r->end - r->at >= 3 && memcmp(r->at, "\xef\xbb\xbf", 3) == 0) r->at += 3;
    return TUFF_OK;
}

/* Passes over a byte order mark, and over the row that names the columns. */
static tuff_status begin(tuff_records *r)
{
    TUFF_TRY(pass_mark(r));
    bool rows = r->kind == TUFF_RECORDS_CSV || r->kind == TUFF_RECORDS_TSV;
    return rows ? read_header(r) : TUFF_OK;
}

static tuff_status build(tuff_records *r, const char *path, tuff_records_kind kind, const char *const *fields,
                         size_t n)
{
    static const char *const usual[] = {"text"};
    if (n > TUFF_RECORD_FIELDS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu fields of a record are asked for, at most %d can be", n,
                         TUFF_RECORD_FIELDS);
    r->path = tuff_strdup(path);
    if (!r->path) return tuff_fail_memory("a file of records");
    r->kind = kind == TUFF_RECORDS_AUTO ? kind_of(path) : kind;
    if (r->kind == TUFF_RECORDS_LINES && n > 1)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: %zu fields are asked for of lines of text, which have one", path, n);
    r->next_line = 1;
    if (!n) fields = usual;
    r->n = n ? n : 1;
    for (size_t i = 0; i < r->n; i++)
        if (!(r->names[i] = tuff_strdup(fields[i]))) return tuff_fail_memory("a file of records");
    if (!r->begin) TUFF_TRY(open_file(r));
    return begin(r);
}

static tuff_status create(const char *data, size_t size, const char *path, tuff_records_kind kind,
                          const char *const *fields, size_t n, tuff_records **out_records)
{
    *out_records = NULL;
    tuff_records *r = tuff_alloc(sizeof *r);
    if (!r) return tuff_fail_memory("a file of records");
    r->begin = data;
    r->end = data ? data + size : NULL;
    r->total = size;
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
    return create(NULL, 0, path, kind, fields, n, out_records);
}

tuff_status tuff_records_of_text(const char *data, size_t size, const char *where, tuff_records_kind kind,
                                 const char *const *fields, size_t n, tuff_records **out_records)
{
    return create(data ? data : "", size, where, kind, fields, n, out_records);
}

void tuff_records_take_json(tuff_records *r)
{
    r->takes_json = true;
}

void tuff_records_close(tuff_records **records)
{
    tuff_records *r = *records;
    if (!r) return;
    tuff_file_close(&r->file);
    tuff_free(r->window);
    tuff_buf_free(&r->stream);
    tuff_buf_free(&r->text);
    cJSON_Delete(r->json);
    for (size_t i = 0; i < r->n; i++)
        tuff_free(r->names[i]);
    tuff_free(r->path);
    tuff_free(r);
    *records = NULL;
}

static tuff_status next(tuff_records *r, tuff_view *out_values, bool *out_there)
{
    if (r->kind == TUFF_RECORDS_JSONL) return next_json(r, out_values, out_there);
    if (r->kind != TUFF_RECORDS_LINES) return next_row(r, out_values, out_there);
    return next_line(r, out_values, out_there);
}

tuff_status tuff_records_next(tuff_records *r, tuff_view *out_values, bool *out_there)
{
    *out_there = false;
    tuff_status status = next(r, out_values, out_there);
    if (status != TUFF_OK) *out_there = false;
    return status;
}

void tuff_records_position(const tuff_records *r, uint64_t *out_done, uint64_t *out_total)
{
    *out_done = r->passed + (uint64_t)(r->at - r->begin);
    *out_total = r->total;
}

uint64_t tuff_records_line(const tuff_records *r)
{
    return r->line;
}

/* ---- names ---- */

static tuff_status names_of_row(tuff_records *r, tuff_buf *out, size_t *out_count)
{
    cell cells[MOST_COLUMNS];
    bool there = false;
    TUFF_TRY(read_row(r, cells, out_count, &there));
    for (size_t c = 0; c < *out_count; c++) {
        tuff_buf_bytes(out, r->text.data ? r->text.data + cells[c].begin : "", cells[c].size);
        tuff_buf_char(out, 0);
    }
    return TUFF_OK;
}

static tuff_status names_of_json(tuff_records *r, tuff_buf *out, size_t *out_count)
{
    bool there = false;
    TUFF_TRY(next_json(r, NULL, &there));
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
    r->kind = kind_of(path);
    r->next_line = 1;
    r->path = tuff_strdup(path);
    tuff_status status = r->path ? tuff_file_open(path, &r->file) : tuff_fail_memory("a file of records");
    r->total = r->file.size;
    if (status == TUFF_OK) status = pass_mark(r);
    if (status == TUFF_OK && r->kind == TUFF_RECORDS_JSONL) status = names_of_json(r, out_names, out_count);
    if (status == TUFF_OK && (r->kind == TUFF_RECORDS_CSV || r->kind == TUFF_RECORDS_TSV))
        status = names_of_row(r, out_names, out_count);
    if (status == TUFF_OK && out_names->failed) status = tuff_fail_memory("the names of columns");
    tuff_records_close(&r);
    return status;
}
