#include "base/json_scan.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

typedef struct scanner {
    const char *data;
    size_t size, at;
    size_t values, objects;
    bool key_next; /* the next string is a key, if this is an object */
    size_t depth;
    uint64_t object[TUFF_JSON_DEPTH]; /* which object each level is; 0: a list */
    tuff_buf key;                     /* the number of its object, then the key as it is meant */
    tuff_map keys;
    tuff_json_fault *fault;
} scanner;

static bool digit_at(const scanner *s)
{
    return s->at < s->size && s->data[s->at] >= '0' && s->data[s->at] <= '9';
}

static bool skip(scanner *s, char c)
{
    if (s->at >= s->size || s->data[s->at] != c) return false;
    s->at++;
    return true;
}

static bool skip_digits(scanner *s)
{
    if (!digit_at(s)) return false;
    while (digit_at(s))
        s->at++;
    return true;
}

/* RFC 8259, section 6. */
static const char *scan_number(scanner *s)
{
    skip(s, '-');
    if (skip(s, '0')) {
        if (digit_at(s)) return "a number with a leading zero";
    } else if (!skip_digits(s)) {
        return "a minus sign without digits";
    }
    if (skip(s, '.') && !skip_digits(s)) return "a number without digits after its point";
    if (skip(s, 'e') || skip(s, 'E')) {
        if (!skip(s, '+')) skip(s, '-');
        if (!skip_digits(s)) return "a number without digits in its exponent";
    }
    return NULL;
}

static const char *scan_escape(scanner *s)
{
    if (s->size - s->at < 2) return "a string without an end";
    char c = s->data[s->at + 1];
    if (c != 'u') {
        if (!memchr("\"\\/bfnrt", c, 8)) return "an unknown escape in a string";
        s->at += 2;
        return NULL;
    }
    if (s->size - s->at < 6) return "a string without an end";
    unsigned value = 0;
    for (size_t i = 2; i < 6; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = memchr(digits, s->data[s->at + i], sizeof digits - 1);
        if (!digit) return "a \\u escape without four hexadecimal digits";
        unsigned nibble = (unsigned)(digit - digits);
        value = value * 16 + (nibble < 16 ? nibble : nibble - 6);
    }
    if (value == 0) return "an escaped NUL in a string";
    s->at += 6;
    return NULL;
}

static const char *scan_string(scanner *s)
{
    s->at++;
    while (s->at < s->size) {
        unsigned char c = (unsigned char)s->data[s->at];
        if (c == '"') {
            s->at++;
            return NULL;
        }
        if (c == '\\') {
            const char *wrong = scan_escape(s);
            if (wrong) return wrong;
        } else if (c < 0x20) {
            return "a control character in a string";
        } else {
            uint32_t codepoint;
            size_t length = tuff_utf8_decode(s->data + s->at, s->size - s->at, &codepoint);
            if (length == 0) return "invalid UTF-8 in a string";
            s->at += length;
        }
    }
    return "a string without an end";
}

static unsigned four_digits(const char *text)
{
    unsigned value = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)text[i];
        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* Appends a string that was scanned, as it is meant; cJSON refuses halves of surrogate pairs later. */
static void unescape(const char *text, size_t size, tuff_buf *out)
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\\') {
            tuff_buf_char(out, text[i]);
            continue;
        }
        char c = text[++i];
        const char *name = memchr(names, c, 5);
        if (c != 'u') {
            tuff_buf_char(out, name ? meant[name - names] : c);
            continue;
        }
        uint32_t point = four_digits(text + i + 1);
        i += 4;
        if (point >= 0xd800 && point < 0xdc00 && size - i > 6 && text[i + 1] == '\\' && text[i + 2] == 'u') {
            uint32_t low = four_digits(text + i + 3);
            if (low >= 0xdc00 && low < 0xe000) {
                point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
                i += 6;
            }
        }
        tuff_buf_utf8(out, point);
    }
}

/* A string just scanned, from its opening quote on, is a key. */
static void take_key(scanner *s, size_t start)
{
    uint64_t object = s->object[s->depth - 1];
    tuff_view spelled = {s->data + start + 1, s->at - start - 2};
    uint32_t known;
    s->key_next = false;
    tuff_buf_clear(&s->key);
    tuff_buf_bytes(&s->key, &object, sizeof object);
    unescape(spelled.data, spelled.size, &s->key);
    if (!s->key.failed && tuff_map_get(&s->keys, s->key.data, s->key.size, &known)) {
        s->fault->twice = spelled;
        s->at = start;
    } else {
        s->fault->no_memory = s->key.failed || !tuff_map_put(&s->keys, s->key.data, s->key.size, 0);
    }
}

static const char *scan_mark(scanner *s, char c)
{
    bool opens = c == '[' || c == '{';
    if ((opens || c == ',') && ++s->values == TUFF_JSON_VALUES) {
        s->fault->too_many = true;
        return NULL;
    }
    if (opens) {
        if (s->depth == TUFF_JSON_DEPTH) return "values nested deeper than 64 levels";
        s->object[s->depth++] = c == '{' ? ++s->objects : 0;
    } else if ((c == ']' || c == '}') && s->depth) {
        s->depth--;
    }
    s->key_next = s->depth && s->object[s->depth - 1] && (c == '{' || c == ',');
    s->at++;
    return NULL;
}

static const char *scan_next(scanner *s)
{
    char c = s->data[s->at];
    size_t start = s->at;
    if (c == '"') {
        const char *wrong = scan_string(s);
        if (!wrong && s->key_next) take_key(s, start);
        return wrong;
    }
    if (c == '-' || (c >= '0' && c <= '9')) return scan_number(s);
    if (c && memchr("[]{},", c, 5)) return scan_mark(s, c);
    if (c == 0) return "a NUL byte";
    if ((unsigned char)c >= 0x7f || ((unsigned char)c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
        return "a byte that is no JSON";
    s->at++;
    return NULL;
}

bool tuff_json_scan(const char *data, size_t size, tuff_json_fault *out_fault)
{
    tuff_json_fault *fault = out_fault;
    *fault = (tuff_json_fault){0};
    scanner s = {.data = data, .size = size, .fault = fault};
    bool clean = true;
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) s.at = 3; /* a byte order mark */
    while (s.at < size && clean) {
        fault->what = scan_next(&s);
        clean = !fault->what && !fault->twice.data && !fault->too_many && !fault->no_memory;
    }
    fault->offset = s.at;
    tuff_map_free(&s.keys);
    tuff_buf_free(&s.key);
    return clean;
}
