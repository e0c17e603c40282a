#include "base/json_scan.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

typedef struct scanner {
    const char *data;
    size_t size, at;
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

const char *tuff_json_scan(const char *data, size_t size, size_t *out_offset)
{
    scanner s = {.data = data, .size = size};
    const char *wrong = NULL;
    int depth = 0;
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) s.at = 3; /* a byte order mark */
    while (s.at < size && !wrong) {
        char c = data[s.at];
        if (c == '"') {
            wrong = scan_string(&s);
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            wrong = scan_number(&s);
        } else if ((c == '[' || c == '{') && ++depth > TUFF_JSON_DEPTH) {
            wrong = "values nested deeper than 64 levels";
        } else if (c == 0) {
            wrong = "a NUL byte";
        } else if ((unsigned char)c >= 0x7f ||
                   ((unsigned char)c < 0x20 && c != '\n' && c != '\r' && c != '\t')) {
            wrong = "a byte that is no JSON";
        } else {
            if (c == ']' || c == '}') depth--;
            s.at++;
        }
    }
    *out_offset = s.at;
    return wrong;
}
