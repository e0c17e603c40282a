#include "text/regex_syntax.h"

#include <string.h>

#include "base/status.h"

/* Unicode's White_Space, which Oniguruma's \s is and PCRE2's is not quite (U+180E). */
#define SPACES \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
/* Oniguruma's \w: letters, marks, digits, connectors and the symbols that count as alphabetic. */
#define WORDS \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
#define HEX_DIGITS "0-9a-fA-F"

enum { GROUPS = 250 }; /* PCRE2's own limit of nesting */

typedef struct translation {
    tuff_view in;
    size_t at;
    tuff_buf *out;
    size_t atom;           /* where in `out` the last thing that can be repeated begins */
    size_t groups[GROUPS]; /* where the open groups begin */
    size_t depth;
    char found[32]; /* what is not supported */
} translation;

static char peek(const translation *t, size_t ahead)
{
    return t->at + ahead < t->in.size ? t->in.data[t->at + ahead] : '\0';
}

/* How long the character is that begins `ahead` bytes from here. */
static size_t character(const translation *t, size_t ahead)
{
    size_t size = 1;
    while (((unsigned char)peek(t, ahead + size) & 0xc0) == 0x80)
        size++;
    return size;
}

/* How many of the next bytes, at most `most`, are in `set`, from `ahead` on. */
static size_t run(const translation *t, size_t ahead, const char *set, size_t most)
{
    size_t size = 0;
    while (size < most && peek(t, ahead + size) && strchr(set, peek(t, ahead + size)))
        size++;
    return size;
}

/* False, with the next `size` bytes of the pattern as what is not supported. */
static bool refuse(translation *t, size_t size)
{
    size_t left = t->in.size - t->at;
    if (size > left) size = left;
    while (size < left && size < 8 && ((unsigned char)t->in.data[t->at + size] & 0xc0) == 0x80)
        size++; /* whole characters */
    memcpy(t->found, t->in.data + t->at, size);
    t->found[size] = '\0';
    return false;
}

static void copy(translation *t, size_t size)
{
    if (size > t->in.size - t->at) size = t->in.size - t->at;
    tuff_buf_bytes(t->out, t->in.data + t->at, size);
    t->at += size;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Up to and with `end`, or all. */
static void copy_to(translation *t, char end)
{
    const char *found = memchr(t->in.data + t->at, end, t->in.size - t->at);
    copy(t, found ? (size_t)(found - t->in.data) + 1 - t->at : t->in.size);
}

/* A set of its own, or within one. */
static void put_set(translation *t, const char *set, bool negated, bool in_class)
{
    if (in_class)
        tuff_buf_text(t->out, set);
    else
        tuff_buf_printf(t->out, "[%s%s]", negated ? "^" : "", set);
    t->at += 2;
}

/* "\p{Han}": to Oniguruma a character's own script, to PCRE2 any that it is used with, unless it is said. */
static void script(translation *t)
{
    static const char *const names[] = {"Arabic}",    "Armenian}", "Bengali}",  "Cyrillic}", "Devanagari}",
                                        "Ethiopic}",  "Georgian}", "Greek}",    "Gujarati}", "Gurmukhi}",
                                        "Han}",       "Hangul}",   "Hebrew}",   "Hiragana}", "Kannada}",
                                        "Katakana}",  "Khmer}",    "Lao}",      "Latin}",    "Malayalam}",
                                        "Mongolian}", "Myanmar}",  "Sinhala}",  "Tamil}",    "Telugu}",
                                        "Thai}",      "Tibetan}",  "Bopomofo}", "Common}",   "Inherited}"};
    const size_t negated = peek(t, 3) == '^', left = t->in.size - t->at;
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
        const size_t size = strlen(names[i]);
        found = left >= 3 + negated + size && memcmp(t->in.data + t->at + 3 + negated, names[i], size) == 0;
    }
    if (found) {
        copy(t, 3 + negated);
        tuff_buf_text(t->out, "sc:");
    }
    copy_to(t, '}');
}

/* A backslash and what follows. */
static bool escape(translation *t, bool in_class)
{
    static const char both[] = "dDrntfaeb", outside[] = "BAzZRX", inside[] = "SW";
    static const char digits[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
    char c = peek(t, 1);
    if (c >= '0' && c <= '9') {
        copy(t, 1 + run(t, 1, digits, 3));
    } else if (!is_letter(c)) {
        copy(t, 1 + character(t, 1));
    } else if (c == 's' || (c == 'S' && !in_class)) {
        put_set(t, SPACES, c == 'S', in_class);
    } else if (c == 'w' || (c == 'W' && !in_class)) {
        put_set(t, WORDS, c == 'W', in_class);
    } else if (c == 'h' || (c == 'H' && !in_class)) {
        put_set(t, HEX_DIGITS, c == 'H', in_class);
    } else if (c == 'v') {
        tuff_buf_text(t->out, "\\x0b");
        t->at += 2;
    } else if (c == 'u') {
        if (run(t, 2, hex, 4) < 4) return refuse(t, 2);
        tuff_buf_printf(t->out, "\\x{%.4s}", t->in.data + t->at + 2);
        t->at += 6;
    } else if ((c == 'p' || c == 'P') && peek(t, 2) == '{') {
        script(t);
    } else if (c == 'x' && peek(t, 2) == '{') {
        copy_to(t, '}');
    } else if (c == 'x') {
        copy(t, 2 + run(t, 2, hex, 2));
    } else if (strchr(both, c) || strchr(in_class ? inside : outside, c)) {
        copy(t, 2);
    } else if (c == 'k' && !in_class && peek(t, 2) == '<') {
        copy_to(t, '>');
    } else {
        return refuse(t, 2);
    }
    return true;
}

/* A set in brackets. Sets within it are taken apart; false for those that take away, "[^" and "&&", which
 * PCRE2 reads as characters. */
static bool class(translation *t)
{
    copy(t, 1);
    if (peek(t, 0) == '^') copy(t, 1);
    if (peek(t, 0) == ']') copy(t, 1);
    size_t inner = 0; /* open sets within it */
    while (t->at < t->in.size) {
        char c = peek(t, 0), next = peek(t, 1);
        if (c == '\\' && t->at + 1 < t->in.size) {
            if (!escape(t, true)) return false;
        } else if (c == '[' && next == ':') {
            copy_to(t, ']');
        } else if (c == '[' && next != '^' && next != ']') {
            inner++;
            t->at++;
        } else if (c == '[' || (c == '&' && next == '&')) {
            strcpy(t->found, "sets within sets");
            return false;
        } else if (c == ']' && inner) {
            inner--;
            t->at++;
        } else {
            copy(t, 1);
            if (c == ']') return true;
        }
    }
    return true; /* without an end: PCRE2 says so */
}

/* The options between "(?" and ":", of which Tuff has i; how far they go, 0: not options. */
static size_t options(const translation *t)
{
    size_t end = 2;
    while (peek(t, end) == 'i' || peek(t, end) == '-')
        end++;
    /* "(?i)" goes as far as its group, but in Oniguruma without the other side of a "|": the same only at the
     * start. */
    bool whole = peek(t, end) == ')' && t->at == 0;
    return end > 2 && (peek(t, end) == ':' || whole) ? end + 1 : 0;
}

/* A group up to what is in it. */
static bool group(translation *t)
{
    char kind = peek(t, 2), third = peek(t, 3);
    size_t begin = t->out->size;
    if (peek(t, 1) == '*') return refuse(t, 2);
    if (peek(t, 1) != '?') {
        copy(t, 1);
    } else if (kind == '#') {
        const char *end = memchr(t->in.data + t->at, ')', t->in.size - t->at);
        t->at = end ? (size_t)(end - t->in.data) + 1 : t->in.size;
        return true;
    } else if (kind == ':' || kind == '=' || kind == '!' || kind == '>') {
        copy(t, 3);
    } else if (kind == '<' && (third == '=' || third == '!' || third == '_' || is_letter(third))) {
        copy(t, 4);
    } else {
        size_t size = options(t);
        if (!size) return refuse(t, 4);
        copy(t, size);
        if (t->in.data[t->at - 1] == ')') return true;
    }
    if (t->depth == GROUPS) {
        strcpy(t->found, "250 open groups");
        return false;
    }
    t->groups[t->depth++] = begin;
    return true;
}

/* "{n}", "{n,}", "{n,m}", "{,m}": how long it is; 0: the brace is a character. */
static size_t interval(const translation *t)
{
    static const char digits[] = "0123456789";
    size_t least = run(t, 1, digits, t->in.size), end = 1 + least, most = 0;
    if (peek(t, end) == ',') most = run(t, ++end, digits, t->in.size);
    return peek(t, end + most) == '}' && least + most > 0 ? end + most + 1 : 0;
}

/* Puts the last thing, up to the end of what is written, into a group of its own. */
static void group_atom(translation *t)
{
    tuff_buf_text(t->out, "(?:");
    tuff_buf_char(t->out, ')');
    if (t->out->failed) return;
    char *text = t->out->data;
    size_t end = t->out->size - 4;
    memmove(text + t->atom + 3, text + t->atom, end - t->atom);
    memcpy(text + t->atom, "(?:", 3);
    text[end + 3] = ')';
}

/* Three that PCRE2 reads otherwise. "{,m}" begins at 0; to PCRE2 it is characters. "{n,m}+" repeats what was
 * repeated; PCRE2's would never give back. "{n}?" is there or not; PCRE2's is always there. */
static void repeat_interval(translation *t, size_t size)
{
    bool exact = !memchr(t->in.data + t->at, ',', size);
    if (peek(t, 1) == ',') {
        tuff_buf_text(t->out, "{0");
        t->at++;
        size--;
    }
    copy(t, size);
    if (peek(t, 0) == '+' || (exact && peek(t, 0) == '?')) group_atom(t);
}

static bool step(translation *t)
{
    char c = peek(t, 0);
    size_t begin = t->out->size;
    if (c == '(') return group(t);
    if (c == ')') {
        begin = t->depth ? t->groups[--t->depth] : begin;
        copy(t, 1);
    } else if (c == '[') {
        if (!class(t)) return false;
    } else if (c == '\\' && t->at + 1 < t->in.size) {
        if (!escape(t, false)) return false;
    } else if (c == '{' && interval(t)) {
        repeat_interval(t, interval(t));
        return true;
    } else if (c == '?' || c == '*' || c == '+') {
        copy(t, 1);
        return true;
    } else {
        copy(t, character(t, 0));
    }
    t->atom = begin;
    return true;
}

tuff_status tuff_regex_translate(tuff_view pattern, const char *where, tuff_buf *out)
{
    translation t = {.in = pattern, .out = out, .atom = out->size};
    while (t.at < pattern.size) {
        if (!step(&t))
            return tuff_fail(
                TUFF_UNSUPPORTED, "%s: the pattern \"%.*s\" uses %s at byte %zu, which Tuff does not support",
                where, (int)(pattern.size < 200 ? pattern.size : 200), pattern.data, t.found, t.at);
    }
    return out->failed ? tuff_fail_memory("a pattern") : TUFF_OK;
}
