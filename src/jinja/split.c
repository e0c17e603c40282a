/* Texts in parts: by separators, by space, by lines. */
#include <string.h>

#include "jinja/strings.h"

static bool add(tuff_jinja_run *run, tuff_jinja_list *list, tuff_view text, size_t from, size_t to)
{
    return tuff_jinja_list_add(run, list, tuff_jinja_view((tuff_view){text.data + from, to - from}));
}

static bool by_separator(tuff_jinja_run *run, tuff_view text, tuff_view separator, int64_t most,
                         tuff_jinja_list *list)
{
    size_t at = 0, found;
    for (; most && tuff_jinja_search(run, text, separator, at, &found); most -= most > 0) {
        if (!add(run, list, text, at, found)) return false;
        at = found + separator.size;
    }
    return run->status == TUFF_OK && add(run, list, text, at, text.size);
}

static bool by_separator_back(tuff_jinja_run *run, tuff_view text, tuff_view separator, int64_t most,
                              tuff_jinja_list *list)
{
    size_t to = text.size, found;
    for (; most && tuff_jinja_search_back(run, text, separator, to, &found); most -= most > 0) {
        if (!add(run, list, text, found + separator.size, to)) return false;
        to = found;
    }
    return run->status == TUFF_OK && add(run, list, text, 0, to);
}

static bool by_space(tuff_jinja_run *run, tuff_view text, int64_t most, tuff_jinja_list *list)
{
    size_t at = 0;
    for (;;) {
        const tuff_view left =
            tuff_jinja_strip((tuff_view){text.data + at, text.size - at}, (tuff_view){0}, 1);
        size_t end = 0, size;
        uint32_t point;
        at = text.size - left.size;
        if (!left.size) return true;
        if (!most) return add(run, list, text, at, text.size);
        while ((size = tuff_utf8_decode(left.data + end, left.size - end, &point)) > 0 &&
               !tuff_jinja_space(point))
            end += size;
        if (!tuff_jinja_spend_bytes(run, end) || !add(run, list, text, at, at + end)) return false;
        at += end;
        most -= most > 0;
    }
}

static bool by_space_back(tuff_jinja_run *run, tuff_view text, int64_t most, tuff_jinja_list *list)
{
    size_t to = text.size;
    for (;;) {
        const tuff_view left = tuff_jinja_strip((tuff_view){text.data, to}, (tuff_view){0}, 2);
        size_t begin = left.size;
        to = left.size;
        if (!left.size) return true;
        if (!most) return add(run, list, text, 0, to);
        while (begin) {
            size_t at = begin - 1;
            uint32_t point;
            while (at && ((unsigned char)text.data[at] & 0xc0) == 0x80)
                at--;
            tuff_utf8_decode(text.data + at, begin - at, &point);
            if (tuff_jinja_space(point)) break;
            begin = at;
        }
        if (!tuff_jinja_spend_bytes(run, to - begin) || !add(run, list, text, begin, to)) return false;
        to = begin;
        most -= most > 0;
    }
}

bool tuff_jinja_split(tuff_jinja_run *run, tuff_view text, tuff_view separator, int64_t most, bool from_right,
                      tuff_jinja_value *out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(run, 0);
    if (!list || !tuff_jinja_spend_bytes(run, text.size)) return false;
    if (separator.data && !separator.size) return tuff_jinja_fail(run, "a text is split by an empty one");
    if (separator.data) {
        if (!(from_right ? by_separator_back : by_separator)(run, text, separator, most, list)) return false;
    } else if (!(from_right ? by_space_back : by_space)(run, text, most, list)) {
        return false;
    }
    for (size_t i = 0; from_right && i < list->count / 2; i++) {
        const tuff_jinja_value one = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = one;
    }
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, list);
    return true;
}

/* What str.splitlines takes for the end of a line. */
static bool ends_line(uint32_t point)
{
    return (point >= 10 && point <= 13) || (point >= 0x1c && point <= 0x1e) || point == 0x85 ||
           point == 0x2028 || point == 0x2029;
}

bool tuff_jinja_lines(tuff_jinja_run *run, tuff_view text, bool keep_ends, tuff_jinja_list **out)
{
    size_t begin = 0, size;
    tuff_jinja_list *list = tuff_jinja_list_new(run, 0);
    if (!list || !tuff_jinja_spend_bytes(run, text.size)) return false;
    for (size_t i = 0; i < text.size; i += size) {
        uint32_t point;
        size = tuff_utf8_decode(text.data + i, text.size - i, &point);
        if (!size) size = 1;
        if (!ends_line(point)) continue;
        if (point == '\r' && i + 1 < text.size && text.data[i + 1] == '\n') size = 2;
        if (!add(run, list, text, begin, keep_ends ? i + size : i)) return false;
        begin = i + size;
    }
    if (begin < text.size && !add(run, list, text, begin, text.size)) return false;
    *out = list;
    return true;
}
