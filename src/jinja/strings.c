#include "jinja/strings.h"

#include <string.h>

#include <utf8proc.h>

bool tuff_jinja_search(tuff_jinja_run *run, tuff_view in, tuff_view what, size_t from, size_t *out_at)
{
    *out_at = from;
    if (!what.size) return from <= in.size;
    while (from < in.size && in.size - from >= what.size) {
        const char *found = memchr(in.data + from, what.data[0], in.size - from - what.size + 1);
        const size_t at = found ? (size_t)(found - in.data) : in.size;
        if (!tuff_jinja_spend_bytes(run, at - from + what.size)) return false;
        if (!found) return false;
        *out_at = at;
        if (memcmp(found, what.data, what.size) == 0) return true;
        from = at + 1;
    }
    return false;
}

bool tuff_jinja_search_back(tuff_jinja_run *run, tuff_view in, tuff_view what, size_t to, size_t *out_at)
{
    if (what.size > to) return false;
    for (size_t at = to - what.size + 1; at-- > 0;) {
        if (at % 16 == 0 && !tuff_jinja_spend_bytes(run, 64 + what.size)) return false;
        if (what.size && memcmp(in.data + at, what.data, what.size) != 0) continue;
        *out_at = at;
        return true;
    }
    return false;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t tuff_jinja_characters(tuff_view text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += !continues(text.data[i]);
    return count;
}

size_t tuff_jinja_byte_of(tuff_view text, size_t index)
{
    size_t at = 0;
    for (; at < text.size; at++)
        if (!continues(text.data[at]) && index-- == 0) break;
    return at;
}

/* The character that ends at text[to]. */
static size_t before(tuff_view text, size_t to)
{
    do
        to--;
    while (to && continues(text.data[to]));
    return to;
}

static bool stripped(tuff_view text, size_t at, size_t size, tuff_view chars)
{
    uint32_t point, other;
    tuff_utf8_decode(text.data + at, size, &point);
    if (!chars.data) return tuff_jinja_space(point);
    for (size_t i = 0, n; i < chars.size; i += n) {
        n = tuff_utf8_decode(chars.data + i, chars.size - i, &other);
        if (other == point) return true;
        if (!n) break;
    }
    return false;
}

tuff_view tuff_jinja_strip(tuff_view text, tuff_view chars, unsigned sides)
{
    size_t begin = 0, end = text.size;
    while ((sides & 1) && begin < end) {
        uint32_t point;
        const size_t size = tuff_utf8_decode(text.data + begin, end - begin, &point);
        if (!stripped(text, begin, size, chars)) break;
        begin += size;
    }
    while ((sides & 2) && end > begin) {
        const size_t at = before(text, end);
        if (!stripped(text, at, end - at, chars)) break;
        end = at;
    }
    return (tuff_view){text.data + begin, end - begin};
}

/* A character whose case is changed; of the one letter that becomes two, too. */
static void put_case(tuff_buf *out, uint32_t point, tuff_jinja_case how)
{
    if (point == 0xdf && how != TUFF_JINJA_LOWER) {
        tuff_buf_text(out, how == TUFF_JINJA_TITLE ? "Ss" : "SS");
        return;
    }
    if (how == TUFF_JINJA_LOWER)
        point = (uint32_t)utf8proc_tolower((utf8proc_int32_t)point);
    else if (how == TUFF_JINJA_TITLE)
        point = (uint32_t)utf8proc_totitle((utf8proc_int32_t)point);
    else
        point = (uint32_t)utf8proc_toupper((utf8proc_int32_t)point);
    tuff_buf_utf8(out, point);
}

static bool is_upper(uint32_t point)
{
    return utf8proc_isupper((utf8proc_int32_t)point);
}

static bool is_lower(uint32_t point)
{
    return utf8proc_islower((utf8proc_int32_t)point);
}

bool tuff_jinja_change_case(tuff_jinja_run *run, tuff_jinja_case how, const tuff_jinja_value *text,
                            tuff_jinja_value *out)
{
    const tuff_view in = tuff_jinja_text_of(text);
    tuff_buf buf = {0};
    bool begins = true; /* a word */
    if (!tuff_jinja_spend_bytes(run, in.size * 8)) return false;
    for (size_t i = 0; i < in.size;) {
        uint32_t point;
        const size_t size = tuff_utf8_decode(in.data + i, in.size - i, &point);
        const bool cased = is_upper(point) || is_lower(point) ||
                           utf8proc_category((utf8proc_int32_t)point) == UTF8PROC_CATEGORY_LT;
        i += size ? size : 1;
        if (how == TUFF_JINJA_UPPER || how == TUFF_JINJA_LOWER)
            put_case(&buf, point, how);
        else if (how == TUFF_JINJA_SWAP)
            put_case(&buf, point, is_upper(point) ? TUFF_JINJA_LOWER : TUFF_JINJA_UPPER);
        else if (!begins)
            put_case(&buf, point, TUFF_JINJA_LOWER);
        else
            put_case(&buf, point, how == TUFF_JINJA_WORDS ? TUFF_JINJA_UPPER : TUFF_JINJA_TITLE);
        if (how == TUFF_JINJA_CAPITALIZE)
            begins = false;
        else if (how == TUFF_JINJA_TITLE)
            begins = !cased;
        else
            begins = tuff_jinja_space(point) || (point < 0x80 && strchr("-({[<", (int)point) && point);
    }
    if (!tuff_jinja_take(run, &buf, out)) return false;
    out->safe = text->safe;
    return true;
}

static bool is_a(uint32_t point, tuff_jinja_class what)
{
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)point);
    const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    const bool superscript = point == 0xb2 || point == 0xb3 || point == 0xb9 ||
                             (point >= 0x2070 && point <= 0x2089) || (point >= 0x2460 && point <= 0x2468);
    const bool digit = category == UTF8PROC_CATEGORY_ND || superscript;
    if (what == TUFF_JINJA_ISALPHA) return letter;
    if (what == TUFF_JINJA_ISDIGIT) return digit;
    if (what == TUFF_JINJA_ISALNUM)
        return letter || digit || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
    return tuff_jinja_space(point);
}

bool tuff_jinja_all_are(tuff_view text, tuff_jinja_class what)
{
    bool any = false;
    for (size_t i = 0; i < text.size;) {
        uint32_t point;
        const size_t size = tuff_utf8_decode(text.data + i, text.size - i, &point);
        i += size ? size : 1;
        if (what != TUFF_JINJA_ISUPPER && what != TUFF_JINJA_ISLOWER) {
            if (!is_a(point, what)) return false;
            any = true;
        } else {
            if (what == TUFF_JINJA_ISUPPER ? is_lower(point) : is_upper(point)) return false;
            any |= what == TUFF_JINJA_ISUPPER ? is_upper(point) : is_lower(point);
        }
    }
    return any;
}

bool tuff_jinja_replace(tuff_jinja_run *run, tuff_view text, tuff_view old, tuff_view new, int64_t most,
                        tuff_jinja_value *out)
{
    tuff_buf buf = {0};
    size_t at = 0, found;
    for (; most && at <= text.size && tuff_jinja_search(run, text, old, at, &found); most -= most > 0) {
        tuff_buf_bytes(&buf, text.data + at, found - at);
        tuff_buf_bytes(&buf, new.data, new.size);
        at = found + old.size;
        if (!old.size) { /* before each character, and at the end */
            const size_t next = at < text.size
                                    ? at + tuff_jinja_byte_of((tuff_view){text.data + at, text.size - at}, 1)
                                    : at + 1;
            if (at < text.size) tuff_buf_bytes(&buf, text.data + at, next - at);
            at = next;
        }
        if (buf.size > run->limits.memory || buf.failed) break;
        if (!tuff_jinja_spend(run, 1)) break;
    }
    if (at < text.size) tuff_buf_bytes(&buf, text.data + at, text.size - at);
    if (run->status == TUFF_OK && buf.size > run->limits.memory) tuff_jinja_fail(run, "a text is too long");
    if (run->status != TUFF_OK) {
        tuff_buf_free(&buf);
        return false;
    }
    return tuff_jinja_take(run, &buf, out);
}

bool tuff_jinja_join(tuff_jinja_run *run, tuff_view between, const tuff_jinja_list *items, bool texts_alone,
                     tuff_jinja_value *out)
{
    tuff_buf buf = {0};
    bool good = true;
    for (size_t i = 0; i < items->count && good; i++) {
        if (texts_alone && items->items[i].kind != TUFF_JINJA_TEXT)
            good = tuff_jinja_fail(run, "a %s is joined as text", tuff_jinja_type(&items->items[i]));
        if (i) tuff_buf_bytes(&buf, between.data, between.size);
        good = good && tuff_jinja_spend_bytes(run, between.size + 64) &&
               tuff_jinja_spell(run, &items->items[i], false, &buf);
        if (good && buf.size > run->limits.memory) good = tuff_jinja_fail(run, "a text is too long");
    }
    if (good) return tuff_jinja_take(run, &buf, out);
    tuff_buf_free(&buf);
    return false;
}
