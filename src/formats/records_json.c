/* Where the text of a JSON record begins and ends: a line's, or that of an item of one list. */
#include <string.h>

#include "formats/records_inside.h"

static bool is_blank(tuff_view line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t') return false;
    return true;
}

static tuff_status pass_space(tuff_records *r)
{
    for (;;) {
        for (; r->at < r->end && memchr(" \t\r\n", *r->at, 4); r->at++)
            r->next_line += *r->at == '\n';
        if (r->at < r->end || !tuff_records_has_more(r)) return TUFF_OK;
        TUFF_TRY(tuff_records_read_on(r));
    }
}

tuff_status tuff_records_begin_json(tuff_records *r)
{
    TUFF_TRY(pass_space(r));
    r->in_list = r->at < r->end && *r->at == '[';
    if (r->in_list) r->at++;
    return TUFF_OK;
}

/* An item of the window, to the comma or bracket behind it that no string and no other item holds; to the
 * window's end where there is none. */
static tuff_view take_item(tuff_records *r)
{
    const char *begin = r->at;
    bool quoted = false;
    for (size_t depth = 0; r->at < r->end; r->at++) {
        const char c = *r->at;
        r->next_line += c == '\n';
        if (quoted && c == '\\' && r->at + 1 < r->end)
            r->at++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == ',' || c == ']') && !depth)
            break;
        else if (!quoted && (c == '}' || c == ']') && depth)
            depth--;
    }
    return (tuff_view){begin, (size_t)(r->at - begin)};
}

/* Again from its beginning, with more of the file, until it ends within the window. */
static tuff_status read_item(tuff_records *r, tuff_view *out)
{
    for (;;) {
        const size_t at = (size_t)(r->at - r->begin);
        const uint64_t next_line = r->next_line;
        *out = take_item(r);
        if (r->at < r->end || !tuff_records_has_more(r)) return TUFF_OK;
        r->at = r->begin + at;
        r->next_line = next_line;
        TUFF_TRY(tuff_records_read_on(r));
    }
}

/* Nothing of the file is read any more. */
static tuff_status end_list(tuff_records *r, const char *wrong)
{
    r->in_list = false;
    r->at = r->end;
    r->passed = r->total - (uint64_t)(r->end - r->begin);
    return wrong ? tuff_records_bad(r, wrong) : TUFF_OK;
}

static tuff_status next_in_list(tuff_records *r, tuff_view *out, bool *out_there)
{
    TUFF_TRY(pass_space(r));
    r->line = r->next_line;
    if (r->at == r->end) return end_list(r, "the list of records is not closed by a ]");
    if (*r->at == ']') {
        r->at++;
        TUFF_TRY(pass_space(r));
        r->line = r->next_line;
        return end_list(r, r->at == r->end ? NULL : "something follows the list of records");
    }
    TUFF_TRY(read_item(r, out));
    *out_there = true;
    if (r->at < r->end && *r->at == ',') r->at++;
    return TUFF_OK;
}

tuff_status tuff_records_next_item(tuff_records *r, tuff_view *out, bool *out_there)
{
    *out_there = false;
    if (r->in_list) return next_in_list(r, out, out_there);
    do {
        TUFF_TRY(tuff_records_next_line(r, out, out_there));
    } while (*out_there && is_blank(*out));
    return TUFF_OK;
}
