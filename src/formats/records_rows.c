/* Records that are rows of CSV or TSV. */
#include <stdlib.h>
#include <string.h>

#include "formats/records_inside.h"

enum { MOST_COLUMNS = 4096 };

/* A row's cells as places in r->text; cells[0..*count). */
typedef struct cell {
    size_t begin, size;
} cell;

/* A row of empty cells has no text that could be pointed into. */
static tuff_view text_of(const tuff_records *r, cell c)
{
    return (tuff_view){r->text.size ? r->text.data + c.begin : "", c.size};
}

static bool add_cell(const tuff_records *r, cell *cells, size_t *count, size_t begin)
{
    if (*count == MOST_COLUMNS) return false;
    cells[(*count)++] = (cell){begin, r->text.size - begin};
    return true;
}

/* A part of a quoted cell, in which lines may end. */
static void add_quoted(tuff_records *r, const char *end)
{
    while (r->at < end) {
        const char *newline = memchr(r->at, '\n', (size_t)(end - r->at));
        const char *stop = newline ? newline : end;
        const bool windows = newline && newline > r->at && newline[-1] == '\r';
        tuff_buf_bytes(&r->text, r->at, (size_t)(stop - windows - r->at));
        r->at = stop;
        r->windows_lines += windows;
        if (!newline) return;
        tuff_buf_char(&r->text, '\n');
        r->at++;
        r->next_line++;
    }
}

/* A quoted cell, from after its first quote. False: the closing quote is missing. */
static bool unquote(tuff_records *r)
{
    for (;;) {
        const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
        if (!quote) return false;
        add_quoted(r, quote);
        r->at = quote + 1;
        if (r->at == r->end || *r->at != '"') return true;
        tuff_buf_char(&r->text, '"');
        r->at++;
    }
}

/* Rows of nothing are none, as for other programs that read CSV. */
static void pass_blank_rows(tuff_records *r)
{
    for (;;) {
        const char *at = r->at < r->end && *r->at == '\r' ? r->at + 1 : r->at;
        if (at == r->end || *at != '\n') return;
        r->at = at + 1;
        r->next_line++;
    }
}

/* Nothing of the line's rest is a row. */
static tuff_status pass_row(tuff_records *r, const char *wrong)
{
    r->next_line--;
    tuff_records_take_line(r, memchr(r->at, '\n', (size_t)(r->end - r->at)));
    return tuff_records_bad(r, wrong);
}

/* A row of the window; at its end where it may go on behind that. */
static tuff_status take_csv_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    *count = 0;
    *out_there = false;
    tuff_buf_clear(&r->text);
    pass_blank_rows(r);
    if (r->at == r->end) return TUFF_OK;
    r->line = r->next_line++;
    for (;;) {
        size_t begin = r->text.size;
        if (r->at < r->end && *r->at == '"') {
            r->at++;
            if (!unquote(r)) {
                r->at = r->end;
                return tuff_records_bad(r, "a quote is not closed");
            }
        } else {
            const char *c = r->at;
            while (c < r->end && *c != ',' && *c != '\n' && *c != '\r')
                c++;
            tuff_buf_bytes(&r->text, r->at, (size_t)(c - r->at));
            r->at = c;
        }
        if (!add_cell(r, cells, count, begin)) return pass_row(r, "it has more than 4096 columns");
        if (r->at < r->end && *r->at == ',') {
            r->at++;
            continue;
        }
        const bool windows = r->at < r->end && *r->at == '\r';
        r->at += windows;
        if (r->at < r->end && *r->at != '\n')
            return pass_row(r, windows ? "a line ends with \\r alone, as on old Macs; expected \\n"
                                       : "something follows a quoted cell");
        r->windows_lines += windows && r->at < r->end;
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
        const uint64_t line = r->line, next_line = r->next_line, windows_lines = r->windows_lines;
        tuff_status status = take_csv_row(r, cells, count, out_there);
        if (r->at < r->end || !tuff_records_has_more(r)) return status;
        r->at = r->begin + at;
        r->line = line;
        r->next_line = next_line;
        r->windows_lines = windows_lines;
        TUFF_TRY(tuff_records_read_on(r));
    }
}

static tuff_status read_tsv_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    tuff_view line = {0};
    *count = 0;
    do {
        TUFF_TRY(tuff_records_next_line(r, &line, out_there));
        if (!*out_there) return TUFF_OK;
    } while (!line.size);
    tuff_buf_clear(&r->text);
    for (size_t at = 0; at <= line.size;) {
        const char *tab = memchr(line.data + at, '\t', line.size - at);
        size_t stop = tab ? (size_t)(tab - line.data) : line.size, begin = r->text.size;
        tuff_buf_bytes(&r->text, line.data + at, stop - at);
        if (!add_cell(r, cells, count, begin)) return tuff_records_bad(r, "it has more than 4096 columns");
        at = stop + 1;
    }
    return r->text.failed ? tuff_fail_memory("a record") : TUFF_OK;
}

static tuff_status read_row(tuff_records *r, cell *cells, size_t *count, bool *out_there)
{
    return r->kind == TUFF_RECORDS_CSV ? read_csv_row(r, cells, count, out_there)
                                       : read_tsv_row(r, cells, count, out_there);
}

/* A comma that should have been quoted moves all that is behind it into other columns. */
static tuff_status refuse_more(const tuff_records *r, const cell *cells, size_t count)
{
    for (size_t i = r->width; i < count; i++)
        if (cells[i].size)
            return tuff_fail(
                TUFF_BAD_FORMAT, "%s, line %llu: it has %zu column%s, and the first row %s %zu%s", r->path,
                (unsigned long long)r->line, count, count == 1 ? "" : "s", r->unnamed ? "has" : "names",
                r->width, r->kind == TUFF_RECORDS_CSV ? ": a text with a comma in it stands in quotes" : "");
    return TUFF_OK;
}

tuff_status tuff_records_next_row(tuff_records *r, tuff_view *out, bool *out_there)
{
    cell cells[MOST_COLUMNS];
    size_t count = 0;
    TUFF_TRY(read_row(r, cells, &count, out_there));
    TUFF_TRY(refuse_more(r, cells, count));
    for (size_t i = 0; i < r->n && *out_there; i++) {
        if ((size_t)r->columns[i] >= count)
            return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: it has %zu column%s, \"%s\" is column %d",
                             r->path, (unsigned long long)r->line, count, count == 1 ? "" : "s", r->names[i],
                             r->columns[i] + 1);
        out[i] = text_of(r, cells[r->columns[i]]);
    }
    return TUFF_OK;
}

static tuff_status bad_width(const tuff_records *r, size_t count)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s, line %llu: it has %zu column%s, the first row names %zu", r->path,
                     (unsigned long long)r->line, count, count == 1 ? "" : "s", r->header_count);
}

tuff_status tuff_records_next_row_object(tuff_records *r)
{
    cell cells[MOST_COLUMNS];
    size_t count = 0;
    bool there = false;
    tuff_buf text = {0};
    tuff_status status = TUFF_OK;
    cJSON_Delete(r->json);
    r->json = NULL;
    TUFF_TRY(read_row(r, cells, &count, &there));
    if (!there) return TUFF_OK;
    if (count != r->header_count) return bad_width(r, count);
    cJSON *object = cJSON_CreateObject();
    if (!object) return tuff_fail_memory("a record");
    const char *name = r->header.data;
    for (size_t i = 0; i < count && status == TUFF_OK; i++, name += strlen(name) + 1) {
        tuff_buf_clear(&text);
        tuff_buf_bytes(&text, text_of(r, cells[i]).data, cells[i].size);
        if (text.failed)
            status = tuff_fail_memory("a record");
        else if (cells[i].size && memchr(text.data, 0, cells[i].size))
            status = tuff_records_bad(r, "it has a NUL byte");
        else if (!tuff_utf8_valid(text.data, cells[i].size))
            status = tuff_records_bad(r, "its text is not UTF-8");
        else if (!cJSON_AddStringToObject(object, name, text.data ? text.data : ""))
            status = tuff_fail_memory("a record");
    }
    tuff_buf_free(&text);
    if (status == TUFF_OK)
        r->json = object;
    else
        cJSON_Delete(object);
    return status;
}

static bool is_number(tuff_view text)
{
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    return digits && digits == text.size;
}

/* What stands in the rows below names, rather than among these: a number, or more than a name has. */
static bool is_value(tuff_view text)
{
    enum { LONGEST_NAME = 40 };
    return text.size > LONGEST_NAME || is_number(text);
}

/* The column of this name; -1: there is none. */
static tuff_status find_column(const tuff_records *r, const cell *cells, size_t count, const char *name,
                               int *out)
{
    *out = -1;
    for (size_t c = 0; c < count; c++) {
        if (!tuff_view_is(text_of(r, cells[c]), name)) continue;
        if (*out >= 0)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: two of its columns are called \"%.60s\"; rename one",
                             r->path, name);
        *out = (int)c;
    }
    return TUFF_OK;
}

/* Whether the fields are numbers of columns: a row of numbers alone is one of names where it has them, as
 * pandas writes it. */
static bool are_numbers(const tuff_records *r, const cell *cells, size_t count)
{
    bool only_numbers = true, named = true;
    for (size_t c = 0; c < count; c++)
        only_numbers = only_numbers && is_number(text_of(r, cells[c]));
    for (size_t i = 0; i < r->n; i++) {
        bool found = false;
        if (!is_number(tuff_view_of(r->names[i])) || r->names[i][0] == '0') return false;
        for (size_t c = 0; c < count; c++)
            found = found || tuff_view_is(text_of(r, cells[c]), r->names[i]);
        named = named && found;
    }
    return !(only_numbers && named);
}

static tuff_status take_numbers(tuff_records *r, size_t count)
{
    for (size_t i = 0; i < r->n; i++) {
        const bool there = strlen(r->names[i]) <= 4 && (size_t)strtol(r->names[i], NULL, 10) <= count;
        if (!there)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no column number %.20s; its first row has %zu",
                             r->path, r->names[i], count);
        r->columns[i] = (int)strtol(r->names[i], NULL, 10) - 1;
    }
    return TUFF_OK;
}

/* What to do where the row that should name columns seems to be a record. */
static void advise_numbers(const tuff_records *r, const cell *cells, size_t count, tuff_buf *out)
{
    bool record = false;
    for (size_t c = 0; c < count; c++)
        record = record || is_value(text_of(r, cells[c]));
    if (!record) return;
    tuff_buf_text(out, "; where that is a record already, name columns by their numbers");
    /* a text and its label: the text is the longer one */
    if (r->n == 2 && count == 2 && strcmp(r->names[1], "label") == 0)
        tuff_buf_printf(out, ": --text-field %d --label-field %d", cells[0].size < cells[1].size ? 2 : 1,
                        cells[0].size < cells[1].size ? 1 : 2);
    else
        tuff_buf_text(out, ", 1, 2 and so on");
}

static tuff_status no_column(const tuff_records *r, const cell *cells, size_t count, const char *wanted)
{
    tuff_buf names = {0}, advice = {0};
    for (size_t c = 0; c < count && names.size < 200; c++) {
        const tuff_view name = text_of(r, cells[c]);
        tuff_buf_printf(&names, "%s%.*s", c ? ", " : "", (int)(name.size < 40 ? name.size : 40), name.data);
    }
    advise_numbers(r, cells, count, &advice);
    const tuff_status status =
        tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no column \"%s\"; its first row names %s%s", r->path, wanted,
                  names.data ? names.data : "none", advice.data ? advice.data : "");
    tuff_buf_free(&names);
    tuff_buf_free(&advice);
    return status;
}

tuff_status tuff_records_read_header(tuff_records *r)
{
    cell cells[MOST_COLUMNS];
    size_t count = 0;
    bool there = false;
    const uint64_t at = r->passed + (uint64_t)(r->at - r->begin), line = r->next_line,
                   windows_lines = r->windows_lines;
    TUFF_TRY(read_row(r, cells, &count, &there));
    if (!there)
        return tuff_fail(TUFF_BAD_FORMAT, "%s is empty; a first row that names the columns is expected",
                         r->path);
    r->width = count;
    r->unnamed = are_numbers(r, cells, count);
    if (r->unnamed) {
        /* It is read again. Empty lines before it may have left the window. */
        const bool gone = r->passed > at;
        r->at = r->begin + (gone ? 0 : at - r->passed);
        r->next_line = gone ? r->line : line;
        r->windows_lines = windows_lines;
        return take_numbers(r, count);
    }
    for (size_t i = 0; i < r->n; i++) {
        TUFF_TRY(find_column(r, cells, count, r->names[i], &r->columns[i]));
        if (r->columns[i] < 0) return no_column(r, cells, count, r->names[i]);
    }
    return TUFF_OK;
}

tuff_status tuff_records_row_names(tuff_records *r, tuff_buf *out, size_t *out_count)
{
    cell cells[MOST_COLUMNS];
    bool there = false;
    *out_count = 0;
    TUFF_TRY(read_row(r, cells, out_count, &there));
    for (size_t c = 0; c < *out_count; c++) {
        tuff_buf_bytes(out, text_of(r, cells[c]).data, cells[c].size);
        tuff_buf_char(out, 0);
    }
    return TUFF_OK;
}
