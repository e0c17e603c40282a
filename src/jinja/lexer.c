/* The text of a template as tokens, with Jinja's rules for the space around tags. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "jinja/node.h"

typedef struct lexer {
    tuff_view in;
    size_t at;
    uint32_t line;
    bool line_starts; /* what came last ended a line */
    tuff_arena *arena;
    tuff_jinja_tokens *out;
    char open[TUFF_JINJA_NESTING]; /* brackets of the tag, and what closes them */
    size_t depth;
} lexer;

bool tuff_jinja_space(uint32_t point)
{
    return (point >= 9 && point <= 13) || (point >= 0x1c && point <= 0x20) || point == 0x85 ||
           point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 ||
           point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}

static bool starts(const lexer *l, size_t at, const char *what)
{
    const size_t size = strlen(what);
    return l->in.size - at >= size && memcmp(l->in.data + at, what, size) == 0;
}

static char peek(const lexer *l, size_t at)
{
    return at < l->in.size ? l->in.data[at] : 0;
}

static void pass(lexer *l, size_t to)
{
    for (; l->at < to; l->at++)
        l->line += l->in.data[l->at] == '\n';
}

/* Bytes of space from here on. */
static size_t space_at(const lexer *l, size_t at)
{
    size_t size = 0, one;
    uint32_t point;
    while ((one = tuff_utf8_decode(l->in.data + at + size, l->in.size - at - size, &point)) > 0 &&
           tuff_jinja_space(point))
        size += one;
    return size;
}

static tuff_status add(lexer *l, tuff_jinja_token_kind kind, tuff_view text, tuff_jinja_value value)
{
    tuff_jinja_tokens *out = l->out;
    if (!tuff_grow((void **)&out->items, out->count, &out->capacity, sizeof *out->items))
        return tuff_fail_memory("a template");
    out->items[out->count++] = (tuff_jinja_token){kind, l->line, text, value};
    return TUFF_OK;
}

static tuff_status fail(const lexer *l, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "line %u: %s", (unsigned)l->line, what);
}

/* The end of text[0..size) without the space at its end; or, unless `all`, without that behind its last line
 * end, if there is nothing else. */
static size_t stripped(const lexer *l, size_t begin, size_t end, bool all)
{
    size_t last = begin, line = begin; /* the end of what is no space; the begin of the last line */
    for (size_t i = begin; i < end;) {
        uint32_t point;
        const size_t size = tuff_utf8_decode(l->in.data + i, end - i, &point);
        i += size ? size : 1;
        if (!tuff_jinja_space(point)) last = i;
        if (point == '\n') line = i;
    }
    if (all) return last;
    return last <= line && (line > begin || l->line_starts) ? line : end;
}

/* Data up to `tag`, where something begins with a sign ('-', '+' or another) at `sign`. */
static tuff_status add_data(lexer *l, size_t tag, char sign, bool print)
{
    size_t end = tag;
    if (sign == '-')
        end = stripped(l, l->at, tag, true);
    else if (sign != '+' && !print)
        end = stripped(l, l->at, tag, false);
    if (end > l->at) {
        const tuff_view text = {l->in.data + l->at, end - l->at};
        TUFF_TRY(add(l, TUFF_JINJA_TOKEN_DATA, text, tuff_jinja_view(text)));
    }
    pass(l, tag);
    return TUFF_OK;
}

/* Behind a tag that ends at `at`: where the text goes on. */
static size_t after_tag(const lexer *l, size_t at, char sign, bool trims)
{
    if (sign == '-') return at + space_at(l, at);
    return at + (sign != '+' && trims && peek(l, at) == '\n');
}

static void leave_tag(lexer *l, size_t to)
{
    pass(l, to);
    l->line_starts = l->in.data[to - 1] == '\n';
}

static tuff_status comment(lexer *l)
{
    size_t end = l->at + 2 + (peek(l, l->at + 2) == '-' || peek(l, l->at + 2) == '+');
    while (end < l->in.size && !starts(l, end, "#}"))
        end++;
    if (end >= l->in.size) return fail(l, "a comment has no end");
    leave_tag(l, after_tag(l, end + 2, l->in.data[end - 1], true));
    return TUFF_OK;
}

/* The byte behind "{% word %}" at `at`, 0 where something else is there. */
static size_t tag_of(const lexer *l, size_t at, const char *word, char *out_sign, char *out_end_sign)
{
    size_t i = at + 2;
    *out_sign = peek(l, i);
    i += *out_sign == '-' || *out_sign == '+';
    i += space_at(l, i);
    if (!starts(l, i, word)) return 0;
    i += strlen(word);
    i += space_at(l, i);
    *out_end_sign = peek(l, i);
    i += *out_end_sign == '-' || *out_end_sign == '+';
    return starts(l, i, "%}") ? i + 2 : 0;
}

/* From "{% raw %}", whose end is `from`, to the end of "{% endraw %}". */
static tuff_status raw(lexer *l, size_t from, char end_sign)
{
    leave_tag(l, after_tag(l, from, end_sign, false));
    for (size_t i = l->at; i < l->in.size; i++) {
        char sign, last;
        const size_t end = starts(l, i, "{%") ? tag_of(l, i, "endraw", &sign, &last) : 0;
        if (!end) continue;
        TUFF_TRY(add_data(l, i, sign, false));
        leave_tag(l, after_tag(l, end, last, true));
        return TUFF_OK;
    }
    return fail(l, "raw has no endraw");
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool in_name(char c)
{
    return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* "1_000": the digits from `at` on. */
static size_t digits(const lexer *l, size_t at)
{
    size_t size = 0;
    while (digit(peek(l, at + size)) || (size && peek(l, at + size) == '_' && digit(peek(l, at + size + 1))))
        size++;
    return size;
}

static tuff_status integer(lexer *l, size_t begin, size_t end, unsigned base)
{
    uint64_t number = 0;
    bool fits = true;
    for (size_t i = begin + (base == 10 ? 0 : 2); i < end && fits; i++) {
        const char c = l->in.data[i];
        if (c == '_') continue;
        const unsigned figure = digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        fits = !__builtin_mul_overflow(number, (uint64_t)base, &number) &&
               !__builtin_add_overflow(number, (uint64_t)figure, &number) && number <= INT64_MAX;
    }
    if (!fits) return fail(l, "a number does not fit 64 bits");
    TUFF_TRY(add(l, TUFF_JINJA_TOKEN_NUMBER, (tuff_view){l->in.data + begin, end - begin},
                 tuff_jinja_int((int64_t)number)));
    l->at = end;
    return TUFF_OK;
}

static bool figure_of(char c, unsigned base)
{
    if (base == 16) return digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
    return c >= '0' && c < (char)('0' + base);
}

static tuff_status number(lexer *l)
{
    const size_t begin = l->at;
    const char kind = (char)(peek(l, begin + 1) | 0x20);
    const unsigned base = peek(l, begin) != '0' ? 10
                          : kind == 'x'         ? 16
                          : kind == 'o'         ? 8
                          : kind == 'b'         ? 2
                                                : 10;
    if (base != 10 && figure_of(peek(l, begin + 2), base)) {
        size_t end = begin + 2;
        while (figure_of(peek(l, end), base) || (peek(l, end) == '_' && figure_of(peek(l, end + 1), base)))
            end++;
        return integer(l, begin, end, base);
    }
    size_t end = begin + digits(l, begin);
    const size_t whole = end;
    if (begin && l->in.data[begin - 1] == '.') return integer(l, begin, end, 10); /* x.0.1 */
    if (peek(l, end) == '.' && digit(peek(l, end + 1))) end += 1 + digits(l, end + 1);
    if ((peek(l, end) | 0x20) == 'e') {
        const size_t sign = peek(l, end + 1) == '+' || peek(l, end + 1) == '-';
        if (digit(peek(l, end + 1 + sign))) end += 1 + sign + digits(l, end + 1 + sign);
    }
    if (end == whole) return integer(l, begin, end, 10);
    double value;
    if (!tuff_jinja_read_real((tuff_view){l->in.data + begin, end - begin}, &value))
        return fail(l, "a number is too long");
    TUFF_TRY(add(l, TUFF_JINJA_TOKEN_NUMBER, (tuff_view){l->in.data + begin, end - begin},
                 tuff_jinja_float(value)));
    l->at = end;
    return TUFF_OK;
}

/* The code point of "\x41", "A", "\U00000041" or "\101" at text[i], behind the backslash; *out_size: of the
 * escape without it. */
static bool escape_point(const char *text, size_t size, uint32_t *out, size_t *out_size)
{
    const char c = text[0];
    size_t figures = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, n = 0;
    uint32_t point = 0;
    if (!figures) {
        for (; n < 3 && n < size && text[n] >= '0' && text[n] <= '7'; n++)
            point = point * 8 + (uint32_t)(text[n] - '0');
        *out = point;
        *out_size = n;
        return n > 0;
    }
    if (size - 1 < figures) return false;
    for (n = 1; n <= figures; n++) {
        if (!figure_of(text[n], 16) || point > 0x10ffff) return false;
        point = point * 16 +
                (digit(text[n]) ? (uint32_t)(text[n] - '0') : (uint32_t)((text[n] | 0x20) - 'a' + 10));
    }
    *out = point;
    *out_size = figures + 1;
    return point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
}

/* Escapes as Python has them; an unknown one stays as it is. False: one that is no character. */
static bool unescape(tuff_view text, tuff_buf *out)
{
    static const char names[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    for (size_t i = 0; i < text.size;) {
        const char c = text.data[i] == '\\' && i + 1 < text.size ? text.data[i + 1] : 0;
        const char *name = c ? memchr(names, c, sizeof names - 1) : NULL;
        uint32_t point;
        size_t size;
        if (name) {
            tuff_buf_char(out, meant[name - names]);
            i += 2;
        } else if (c && strchr("xuU01234567", c)) {
            if (!escape_point(text.data + i + 1, text.size - i - 1, &point, &size)) return false;
            tuff_buf_utf8(out, point);
            i += 1 + size;
        } else if (c == '\n') {
            i += 2;
        } else {
            tuff_buf_char(out, text.data[i++]);
        }
    }
    return true;
}

static tuff_status unescaped(lexer *l, tuff_view text, tuff_jinja_value *out)
{
    tuff_buf buf = {0};
    const bool good = unescape(text, &buf);
    char *copy = buf.failed ? NULL : tuff_arena_alloc(l->arena, buf.size + 1);
    if (copy && buf.size) memcpy(copy, buf.data, buf.size);
    *out = tuff_jinja_view((tuff_view){copy, buf.size});
    tuff_buf_free(&buf);
    if (!good) return fail(l, "an escape in a text is not a character");
    return copy ? TUFF_OK : tuff_fail_memory("a template");
}

static tuff_status text(lexer *l)
{
    const char quote = l->in.data[l->at];
    size_t end = l->at + 1;
    while (end < l->in.size && l->in.data[end] != quote)
        end += l->in.data[end] == '\\' ? 2 : 1;
    if (end >= l->in.size) return fail(l, "a text has no end");
    const tuff_view inside = {l->in.data + l->at + 1, end - l->at - 1};
    tuff_jinja_value value = tuff_jinja_view(inside);
    if (inside.size && memchr(inside.data, '\\', inside.size)) TUFF_TRY(unescaped(l, inside, &value));
    TUFF_TRY(add(l, TUFF_JINJA_TOKEN_TEXT, inside, value));
    pass(l, end + 1);
    return TUFF_OK;
}

static tuff_status operator(lexer *l)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    static const char open[] = "([{", close[] = ")]}";
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!starts(l, l->at, operators[i])) continue;
        const char c = *operators[i];
        const char *opens = memchr(open, c, 3), *closes = memchr(close, c, 3);
        if (opens) {
            if (l->depth == TUFF_JINJA_NESTING)
                return fail(l, "brackets are nested more than 100 levels deep");
            l->open[l->depth++] = close[opens - open];
        } else if (closes && (!l->depth || l->open[--l->depth] != c)) {
            return fail(l, "a bracket closes that was not opened");
        }
        TUFF_TRY(add(l, TUFF_JINJA_TOKEN_OPERATOR, tuff_view_of(operators[i]), (tuff_jinja_value){0}));
        l->at += strlen(operators[i]);
        return TUFF_OK;
    }
    return fail(l, "a tag has a character that means nothing");
}

/* Where the tag ends, if it does here: *out_sign is what stands before that. */
static size_t tag_end(const lexer *l, bool print, char *out_sign)
{
    const char c = peek(l, l->at);
    const size_t sign = c == '-' || (c == '+' && !print);
    *out_sign = c;
    return starts(l, l->at + sign, print ? "}}" : "%}") ? l->at + sign + 2 : 0;
}

static tuff_status tag(lexer *l, bool print)
{
    const char c = peek(l, l->at + 2);
    TUFF_TRY(add(l, print ? TUFF_JINJA_TOKEN_PRINT : TUFF_JINJA_TOKEN_BLOCK, (tuff_view){0},
                 (tuff_jinja_value){0}));
    l->at += 2 + (c == '-' || c == '+');
    l->depth = 0;
    while (l->at < l->in.size) {
        char sign;
        const size_t end = l->depth ? 0 : tag_end(l, print, &sign), space = space_at(l, l->at);
        if (end) {
            TUFF_TRY(add(l, print ? TUFF_JINJA_TOKEN_PRINT_END : TUFF_JINJA_TOKEN_BLOCK_END,
                         tuff_view_of(print ? "}}" : "%}"), (tuff_jinja_value){0}));
            leave_tag(l, after_tag(l, end, sign, !print));
            return TUFF_OK;
        }
        const char next = peek(l, l->at);
        if (space) {
            pass(l, l->at + space);
        } else if (digit(next)) {
            TUFF_TRY(number(l));
        } else if (in_name(next)) {
            const size_t begin = l->at;
            while (in_name(peek(l, l->at)) && !space_at(l, l->at))
                l->at++;
            TUFF_TRY(add(l, TUFF_JINJA_TOKEN_NAME, (tuff_view){l->in.data + begin, l->at - begin},
                         (tuff_jinja_value){0}));
        } else if (next == '"' || next == '\'') {
            TUFF_TRY(text(l));
        } else {
            TUFF_TRY(operator(l));
        }
    }
    return fail(l, print ? "{{ has no }}" : "{% has no %}");
}

tuff_status tuff_jinja_lex(tuff_view in, tuff_arena *arena, tuff_jinja_tokens *out)
{
    lexer l = {.in = in, .line = 1, .line_starts = true, .arena = arena, .out = out};
    while (l.at < in.size) {
        size_t i = l.at;
        while (i < in.size && !(in.data[i] == '{' && strchr("{%#", peek(&l, i + 1)) && peek(&l, i + 1)))
            i++;
        if (i == in.size) {
            TUFF_TRY(add_data(&l, i, '+', true));
            break;
        }
        const char kind = in.data[i + 1];
        char sign = peek(&l, i + 2), end_sign;
        const size_t raw_end = kind == '%' ? tag_of(&l, i, "raw", &sign, &end_sign) : 0;
        TUFF_TRY(add_data(&l, i, peek(&l, i + 2), kind == '{'));
        if (raw_end)
            TUFF_TRY(raw(&l, raw_end, end_sign));
        else if (kind == '#')
            TUFF_TRY(comment(&l));
        else
            TUFF_TRY(tag(&l, kind == '{'));
    }
    return add(&l, TUFF_JINJA_TOKEN_END, (tuff_view){0}, (tuff_jinja_value){0});
}
