/* JSON to values and back, as Python's json module has it. */
#include <math.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/status.h"
#include "jinja/run.h"

typedef struct reader {
    tuff_jinja_run *run;
    tuff_view in;
    size_t at;
    const char *where;
} reader;

static bool refuse(reader *r, const char *what)
{
    if (r->run->status == TUFF_OK)
        r->run->status = tuff_fail(TUFF_BAD_FORMAT, "%s: at byte %zu, %s", r->where, r->at, what);
    return false;
}

static char next(reader *r)
{
    while (r->at < r->in.size && memchr(" \t\r\n", r->in.data[r->at], 4))
        r->at++;
    return r->at < r->in.size ? r->in.data[r->at] : 0;
}

static bool take(reader *r, char c)
{
    if (next(r) != c) return false;
    r->at++;
    return true;
}

static unsigned hexadecimal(const char *text)
{
    unsigned value = 0;
    for (size_t i = 0; i < 4; i++) {
        const unsigned char c = (unsigned char)text[i];
        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* An escape that tuff_json_scan has seen, from its backslash on. */
static bool read_escape(reader *r, tuff_buf *out)
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char c = r->in.data[r->at + 1];
    const char *name = memchr(names, c, 5);
    if (c != 'u') {
        tuff_buf_char(out, name ? meant[name - names] : c);
        r->at += 2;
        return true;
    }
    uint32_t point = hexadecimal(r->in.data + r->at + 2);
    size_t size = 6;
    if (point >= 0xd800 && point < 0xdc00 && r->in.size - r->at >= 12 && r->in.data[r->at + 6] == '\\' &&
        r->in.data[r->at + 7] == 'u') {
        const uint32_t low = hexadecimal(r->in.data + r->at + 8);
        if (low >= 0xdc00 && low < 0xe000) {
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            size = 12;
        }
    }
    if (point >= 0xd800 && point < 0xe000) return refuse(r, "half of a surrogate pair");
    tuff_buf_utf8(out, point);
    r->at += size;
    return true;
}

static bool read_text(reader *r, tuff_jinja_value *out)
{
    tuff_buf buf = {0};
    bool good = true;
    r->at++;
    while (good && r->in.data[r->at] != '"') {
        if (r->in.data[r->at] == '\\')
            good = read_escape(r, &buf);
        else
            tuff_buf_char(&buf, r->in.data[r->at++]);
    }
    r->at++;
    if (good) return tuff_jinja_take(r->run, &buf, out);
    tuff_buf_free(&buf);
    return false;
}

static bool read_number(reader *r, tuff_jinja_value *out)
{
    const size_t begin = r->at;
    bool real = false, fits = true;
    int64_t integer = 0;
    for (; r->at < r->in.size && strchr("+-.eE0123456789", r->in.data[r->at]) && r->in.data[r->at]; r->at++) {
        const char c = r->in.data[r->at];
        real |= c == '.' || (c | 0x20) == 'e';
        if (c >= '0' && c <= '9' && !real)
            fits &= !__builtin_mul_overflow(integer, 10, &integer) &&
                    !__builtin_sub_overflow(integer, c - '0', &integer);
    }
    const bool minus = r->in.data[begin] == '-';
    if (!real) {
        if (!fits || (!minus && integer == INT64_MIN)) return refuse(r, "a number does not fit 64 bits");
        *out = tuff_jinja_int(minus ? integer : -integer);
        return true;
    }
    double value;
    if (!tuff_jinja_read_real((tuff_view){r->in.data + begin, r->at - begin}, &value))
        return refuse(r, "a number is too long");
    *out = tuff_jinja_float(value);
    return true;
}

static bool read_value(reader *r, tuff_jinja_value *out);

static bool read_items(reader *r, tuff_jinja_value *out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(r->run, 0);
    r->at++;
    if (!list) return false;
    if (!take(r, ']')) {
        do {
            tuff_jinja_value item;
            if (!read_value(r, &item) || !tuff_jinja_list_add(r->run, list, item)) return false;
        } while (take(r, ','));
        if (!take(r, ']')) return refuse(r, "a list is not closed");
    }
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, list);
    return true;
}

static bool read_pairs(reader *r, tuff_jinja_value *out)
{
    tuff_jinja_dict *dict = tuff_jinja_dict_new(r->run);
    r->at++;
    if (!dict) return false;
    if (!take(r, '}')) {
        do {
            tuff_jinja_value key, value;
            if (next(r) != '"') return refuse(r, "a key is expected");
            if (!read_text(r, &key)) return false;
            if (!take(r, ':')) return refuse(r, "a key has no ':' behind it");
            if (!read_value(r, &value) || !tuff_jinja_dict_put(r->run, dict, key, value)) return false;
        } while (take(r, ','));
        if (!take(r, '}')) return refuse(r, "an object is not closed");
    }
    *out = tuff_jinja_dict_value(TUFF_JINJA_DICT, dict);
    return true;
}

static bool read_value(reader *r, tuff_jinja_value *out)
{
    static const char *const words[] = {"null", "false", "true"};
    const char c = next(r);
    if (c == '"') return read_text(r, out);
    if (c == '[') return read_items(r, out);
    if (c == '{') return read_pairs(r, out);
    if (c == '-' || (c >= '0' && c <= '9')) return read_number(r, out);
    for (size_t i = 0; i < 3; i++) {
        const size_t size = strlen(words[i]);
        if (r->in.size - r->at < size || memcmp(r->in.data + r->at, words[i], size) != 0) continue;
        r->at += size;
        *out = i ? tuff_jinja_bool(i == 2) : tuff_jinja_none();
        return true;
    }
    return refuse(r, "a value is expected");
}

tuff_status tuff_jinja_read_json(tuff_jinja_run *run, tuff_view json, const char *where,
                                 tuff_jinja_value *out)
{
    reader r = {.run = run, .in = json, .where = where};
    tuff_json_fault fault;
    if (!tuff_json_scan(json.data, json.size, &fault)) {
        r.at = fault.offset;
        if (fault.no_memory) return tuff_fail_memory("JSON");
        if (fault.twice.data)
            refuse(&r, "an object has a key twice");
        else
            refuse(&r, fault.too_many ? "there are too many values" : fault.what);
        return run->status;
    }
    if (json.size >= 3 && memcmp(json.data, "\xef\xbb\xbf", 3) == 0) r.at = 3;
    if (read_value(&r, out) && (next(&r), r.at < json.size)) refuse(&r, "there is more than one value");
    return run->status;
}

static void write_text(const tuff_jinja_value *value, bool ascii, tuff_buf *out)
{
    const tuff_view text = tuff_jinja_text_of(value);
    static const char names[] = "\"\\\n\r\t\f\b", spelled[] = "\"\\nrtfb";
    tuff_buf_char(out, '"');
    for (size_t i = 0; i < text.size;) {
        uint32_t point;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &point);
        const char *name = point && point < 0x80 ? strchr(names, (int)point) : NULL;
        if (name)
            tuff_buf_printf(out, "\\%c", spelled[name - names]);
        else if (point < 0x20 || (ascii && point >= 0x7f && point < 0x10000))
            tuff_buf_printf(out, "\\u%04x", (unsigned)point);
        else if (ascii && point >= 0x10000)
            tuff_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (unsigned)((point - 0x10000) >> 10),
                            0xdc00 + (unsigned)((point - 0x10000) & 0x3ff));
        else
            tuff_buf_bytes(out, text.data + i, size);
        i += size ? size : 1;
    }
    tuff_buf_char(out, '"');
}

static void new_line(const tuff_jinja_json_style *style, size_t level, tuff_buf *out)
{
    if (!style->lines) return;
    tuff_buf_char(out, '\n');
    for (size_t i = 0; i < level; i++)
        tuff_buf_bytes(out, style->indent.data, style->indent.size);
}

static bool write_value(tuff_jinja_run *run, const tuff_jinja_value *value,
                        const tuff_jinja_json_style *style, size_t level, tuff_buf *out);

static bool write_items(tuff_jinja_run *run, const tuff_jinja_list *list, const tuff_jinja_json_style *style,
                        size_t level, tuff_buf *out)
{
    tuff_buf_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i) tuff_buf_bytes(out, style->comma.data, style->comma.size);
        new_line(style, level + 1, out);
        if (!write_value(run, &list->items[i], style, level + 1, out)) return false;
    }
    if (list->count) new_line(style, level, out);
    tuff_buf_char(out, ']');
    return true;
}

/* Keys of JSON are texts: numbers and such become what they are as JSON. */
static bool write_key(tuff_jinja_run *run, const tuff_jinja_value *key, const tuff_jinja_json_style *style,
                      tuff_buf *out)
{
    if (key->kind == TUFF_JINJA_TEXT) {
        write_text(key, style->ascii, out);
        return true;
    }
    if (key->kind < TUFF_JINJA_NONE || key->kind > TUFF_JINJA_FLOAT)
        return tuff_jinja_fail(run, "a %s is a key, which JSON does not have", tuff_jinja_type(key));
    tuff_buf_char(out, '"');
    const bool good = write_value(run, key, style, 0, out);
    tuff_buf_char(out, '"');
    return good;
}

static bool write_pairs(tuff_jinja_run *run, const tuff_jinja_dict *dict, const tuff_jinja_json_style *style,
                        size_t level, tuff_buf *out)
{
    tuff_buf_char(out, '{');
    for (size_t i = 0; i < dict->count; i++) {
        if (i) tuff_buf_bytes(out, style->comma.data, style->comma.size);
        new_line(style, level + 1, out);
        if (!write_key(run, &dict->pairs[2 * i], style, out)) return false;
        tuff_buf_bytes(out, style->colon.data, style->colon.size);
        if (!write_value(run, &dict->pairs[2 * i + 1], style, level + 1, out)) return false;
    }
    if (dict->count) new_line(style, level, out);
    tuff_buf_char(out, '}');
    return true;
}

static bool write_number(const tuff_jinja_value *value, tuff_buf *out)
{
    if (value->kind == TUFF_JINJA_NONE)
        tuff_buf_text(out, "null");
    else if (value->kind == TUFF_JINJA_BOOL)
        tuff_buf_text(out, value->as.truth ? "true" : "false");
    else if (value->kind == TUFF_JINJA_INT)
        tuff_buf_printf(out, "%lld", (long long)value->as.integer);
    else if (isfinite(value->as.real))
        tuff_jinja_spell_real(out, value->as.real);
    else
        tuff_buf_text(out, isnan(value->as.real) ? "NaN" : value->as.real > 0 ? "Infinity" : "-Infinity");
    return true;
}

static bool write_any(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_json_style *style,
                      size_t level, tuff_buf *out)
{
    tuff_jinja_value sorted = *value;
    if (value->kind >= TUFF_JINJA_NONE && value->kind <= TUFF_JINJA_FLOAT) return write_number(value, out);
    if (value->kind == TUFF_JINJA_TEXT) {
        write_text(value, style->ascii, out);
        return tuff_jinja_spend_bytes(run, value->size);
    }
    if (value->kind == TUFF_JINJA_LIST || value->kind == TUFF_JINJA_TUPLE)
        return write_items(run, value->as.list, style, level, out);
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (value->kind != TUFF_JINJA_DICT)
        return tuff_jinja_fail(run, "a %s cannot be written as JSON", tuff_jinja_type(value));
    if (style->sorted && !tuff_jinja_sort_dict(run, value->as.dict, &sorted)) return false;
    return write_pairs(run, sorted.as.dict, style, level, out);
}

static bool write_value(tuff_jinja_run *run, const tuff_jinja_value *value,
                        const tuff_jinja_json_style *style, size_t level, tuff_buf *out)
{
    bool good = tuff_jinja_enter(run) && tuff_jinja_spend(run, 1) && write_any(run, value, style, level, out);
    tuff_jinja_leave(run);
    if (good && out->size > run->limits.memory) good = tuff_jinja_fail(run, "a value is too long as JSON");
    return good;
}

bool tuff_jinja_write_json(tuff_jinja_run *run, const tuff_jinja_value *value,
                           const tuff_jinja_json_style *style, tuff_buf *out)
{
    if (!write_value(run, value, style, 0, out)) return false;
    return out->failed ? tuff_jinja_no_memory(run) : true;
}
