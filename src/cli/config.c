/* Files of settings: one JSON object, a name for each option. What is wrong in one is said with its line. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { DEEPEST = 16, MOST_ITEMS = 4096 };

typedef struct reader {
    const char *path;
    char *at; /* in the file's text, of which strings are rewritten in place */
    int line;
    tuff_config_item *items;
    char **ends; /* of each item's text: a NUL goes there when all is read */
    size_t count, capacity;
    bool told;
} reader;

/* Both live as long as the process, for options point into them. */
static char *file_text;
static tuff_config_item *file_items;

static bool wrong(reader *r, const char *format, ...) TUFF_PRINTF(2, 3);
static bool wrong(reader *r, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!r->told) tuff_cli_say("tuff: %s:%d: %s", r->path, r->line, text);
    r->told = true;
    return false;
}

static void skip_spaces(reader *r)
{
    for (; *r->at && strchr(" \t\r\n", *r->at); r->at++)
        r->line += *r->at == '\n';
}

/* Bytes of what is shown of the text at hand: a few of its line. */
static int excerpt(const reader *r)
{
    const size_t size = strcspn(r->at, "\r\n");
    return size < 20 ? (int)size : 20;
}

static bool expect(reader *r, char c, const char *where)
{
    skip_spaces(r);
    if (*r->at == c) {
        r->at++;
        return true;
    }
    if (!*r->at) return wrong(r, "the file ends, but '%c' is expected %s", c, where);
    return wrong(r, "\"%.*s\" is not JSON: '%c' is expected %s", excerpt(r), r->at, c, where);
}

static bool put_character(reader *r, unsigned long code, char **to)
{
    if (code == 0) return wrong(r, "\\u0000 cannot be in a setting");
    if (code < 0x80) {
        *(*to)++ = (char)code;
        return true;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
    *(*to)++ = (char)(first[more] | code >> 6 * more);
    for (int i = more - 1; i >= 0; i--)
        *(*to)++ = (char)(0x80 | (code >> 6 * i & 0x3f));
    return true;
}

static bool hexadecimal(reader *r, unsigned long *out)
{
    char digits[5] = "", *end;
    for (int i = 0; i < 4 && r->at[i]; i++)
        digits[i] = r->at[i];
    *out = strtoul(digits, &end, 16);
    if (strlen(digits) < 4 || strspn(digits, "0123456789abcdefABCDEF") < 4)
        return wrong(r, "\"\\u%s\" is no character: four hexadecimal digits are expected", digits);
    r->at += 4;
    return true;
}

/* r->at is behind "\u". Characters past U+FFFF are two halves. */
static bool put_escaped_character(reader *r, char **to)
{
    unsigned long code, low = 0;
    if (!hexadecimal(r, &code)) return false;
    const bool high = code >= 0xd800 && code < 0xdc00;
    if (high && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        if (!hexadecimal(r, &low)) return false;
    }
    if (high && low >= 0xdc00 && low < 0xe000)
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    else if (low || (code >= 0xd800 && code < 0xe000))
        return wrong(r, "half of a character (\\u%04lx) stands alone", code);
    return put_character(r, code, to);
}

/* A string becomes what it means, in its own place, which is never shorter; *out_end is its end. */
static bool read_string(reader *r, char **out_text, char **out_end)
{
    static const char letters[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
    if (!expect(r, '"', "before a text")) return false;
    char *to = r->at;
    *out_text = to;
    while (*r->at != '"') {
        if (!*r->at || *r->at == '\n') return wrong(r, "a text has no end: '\"' is expected behind it");
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        const char kind = r->at[1];
        const char *letter = kind ? strchr(letters, kind) : NULL;
        if (kind != 'u' && !letter) return wrong(r, "\"\\%c\" means nothing in JSON", kind ? kind : ' ');
        r->at += 2;
        if (letter)
            *to++ = plain[letter - letters];
        else if (!put_escaped_character(r, &to))
            return false;
    }
    *out_end = to;
    r->at++;
    return true;
}

static tuff_config_item *add(reader *r, const char *name)
{
    if (r->count == MOST_ITEMS) {
        wrong(r, "more than %d settings", MOST_ITEMS);
        return NULL;
    }
    if (r->count == r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 64;
        tuff_config_item *items = realloc(r->items, capacity * sizeof *items);
        if (items) r->items = items;
        char **ends = items ? realloc(r->ends, capacity * sizeof *ends) : NULL;
        if (!ends) {
            wrong(r, "out of memory");
            return NULL;
        }
        r->ends = ends;
        r->capacity = capacity;
    }
    r->ends[r->count] = NULL;
    r->items[r->count] = (tuff_config_item){.name = name, .line = r->line};
    return &r->items[r->count++];
}

/* An object is taken as it is written: it is for who reads the option. */
static bool read_object(reader *r)
{
    int depth = 0;
    do {
        const char c = *r->at;
        if (!c) return wrong(r, "an object has no end: '}' is expected behind it");
        if (c == '"') {
            for (r->at++; *r->at && *r->at != '"' && *r->at != '\n'; r->at++)
                if (*r->at == '\\' && r->at[1]) r->at++;
            if (*r->at != '"') return wrong(r, "a text has no end: '\"' is expected behind it");
        }
        depth += (c == '{') - (c == '}');
        if (depth > DEEPEST) return wrong(r, "objects lie in each other, more than %d deep", DEEPEST);
        r->line += c == '\n';
        r->at++;
    } while (depth);
    return true;
}

static bool read_word(reader *r, tuff_config_item *item)
{
    static const struct {
        const char *word;
        tuff_config_kind kind;
    } words[] = {{"null", TUFF_CONFIG_NULL}, {"false", TUFF_CONFIG_FALSE}, {"true", TUFF_CONFIG_TRUE}};
    const size_t size = strcspn(r->at, ",]} \t\r\n\"");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].word) != size || memcmp(words[i].word, r->at, size) != 0) continue;
        item->kind = words[i].kind;
        r->at += size;
        return true;
    }
    const bool number = size > 0 && strspn(r->at, "+-0123456789.eE") >= size &&
                        (r->at[0] == '-' || (r->at[0] >= '0' && r->at[0] <= '9'));
    if (!number)
        return wrong(r,
                     "\"%.*s\" is not JSON: a value is expected, a text in quotes, a number, true or false",
                     size < 30 ? (int)size : 30, r->at);
    item->kind = TUFF_CONFIG_NUMBER;
    item->text = r->at;
    r->ends[item - r->items] = r->at + size;
    r->at += size;
    return true;
}

/* A value that is no list, into the last item. */
static bool read_plain(reader *r)
{
    const size_t index = r->count - 1;
    tuff_config_item *item = &r->items[index];
    skip_spaces(r);
    item->line = r->line;
    if (*r->at == '"') {
        item->kind = TUFF_CONFIG_TEXT;
        return read_string(r, &item->text, &r->ends[index]);
    }
    if (*r->at == '{') {
        item->kind = TUFF_CONFIG_OBJECT;
        item->text = r->at;
        if (!read_object(r)) return false;
        r->ends[index] = r->at;
        return true;
    }
    return read_word(r, item);
}

static bool read_list(reader *r)
{
    r->items[r->count - 1].kind = TUFF_CONFIG_LIST;
    r->at++;
    skip_spaces(r);
    if (*r->at == ']') {
        r->at++;
        return true;
    }
    for (;;) {
        skip_spaces(r);
        if (*r->at == '[') return wrong(r, "a list in a list is no setting");
        if (!add(r, NULL) || !read_plain(r)) return false;
        skip_spaces(r);
        if (*r->at != ',') return expect(r, ']', "behind a list");
        r->at++;
    }
}

static bool read_settings(reader *r)
{
    char *name, *end;
    if (!expect(r, '{', "at the beginning")) return false;
    skip_spaces(r);
    if (*r->at == '}') {
        r->at++;
        return true;
    }
    for (;;) {
        skip_spaces(r);
        if (!read_string(r, &name, &end) || !expect(r, ':', "behind a name")) return false;
        *end = 0; /* it is behind the name: no other text begins there */
        skip_spaces(r);
        if (!add(r, name)) return false;
        if (*r->at == '[' ? !read_list(r) : !read_plain(r)) return false;
        skip_spaces(r);
        if (*r->at != ',') return expect(r, '}', "behind the last setting");
        r->at++;
    }
}

bool tuff_config_read(const char *path, const tuff_config_item **out_items, size_t *out_count)
{
    free(file_text);
    free(file_items);
    file_items = NULL;
    file_text = tuff_cli_read_text(path);
    if (!file_text) return false;
    reader r = {.path = path, .at = file_text, .line = 1};
    if (strncmp(r.at, "\xef\xbb\xbf", 3) == 0) r.at += 3;
    bool good = read_settings(&r);
    skip_spaces(&r);
    if (good && *r.at) good = wrong(&r, "something stands behind the settings: \"%.*s\"", excerpt(&r), r.at);
    for (size_t i = 0; i < r.count && good; i++)
        if (r.ends[i]) *r.ends[i] = 0;
    free(r.ends);
    file_items = r.items;
    *out_items = r.items;
    *out_count = r.count;
    return good;
}

const char *tuff_config_join(const tuff_config_item *items, size_t count)
{
    char *to = items[0].text + strlen(items[0].text);
    for (size_t i = 1; i < count; i++) { /* quotes and a comma lay between them */
        const size_t size = strlen(items[i].text);
        *to++ = ',';
        memmove(to, items[i].text, size + 1);
        to += size;
    }
    return items[0].text;
}

/* ---- writing */

static void put_name(FILE *out, const char *name)
{
    fputc('"', out);
    for (; *name; name++)
        fputc(*name == '-' ? '_' : *name, out);
    fputs("\": ", out);
}

static void put_choice(FILE *out, const tuff_arg *arg, int index)
{
    const char *word = arg->value;
    for (int i = 0; i < index; i++)
        word += strcspn(word, "|") + 1;
    tuff_cli_json_text(out, word, strcspn(word, "|"));
}

static void put_list(FILE *out, const tuff_arg_list *list)
{
    fputc('[', out);
    for (size_t i = 0; i < list->count; i++) {
        if (i) fputs(", ", out);
        tuff_cli_json_text(out, list->items[i], strlen(list->items[i]));
    }
    fputc(']', out);
}

/* An option that was not given has a number that it cannot be given, or no text. */
static bool has_value(const tuff_arg *arg, const void *field)
{
    int64_t whole;
    double real;
    int index;
    const char *text;
    if (arg->momentary) return false;
    switch (arg->kind) {
    case TUFF_ARG_GROUP:
    case TUFF_ARG_CONFIG:
        return false;
    case TUFF_ARG_FLAG:
        return true;
    case TUFF_ARG_INT:
        memcpy(&whole, field, sizeof whole);
        return whole >= (int64_t)arg->low && whole <= (int64_t)arg->high;
    case TUFF_ARG_REAL:
        memcpy(&real, field, sizeof real);
        return real >= arg->low && real <= arg->high;
    case TUFF_ARG_CHOICE:
        memcpy(&index, field, sizeof index);
        return index >= 0;
    case TUFF_ARG_LIST:
        return ((const tuff_arg_list *)field)->count > 0;
    case TUFF_ARG_OPTIONAL:
        return ((const tuff_arg_optional *)field)->given;
    default:
        memcpy(&text, field, sizeof text);
        return text != NULL;
    }
}

static void put_value(FILE *out, const tuff_arg *arg, const void *field)
{
    int64_t whole;
    double real;
    int index;
    const char *text = NULL;
    switch (arg->kind) {
    case TUFF_ARG_FLAG:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case TUFF_ARG_INT:
        memcpy(&whole, field, sizeof whole);
        fprintf(out, "%lld", (long long)whole);
        break;
    case TUFF_ARG_REAL:
        memcpy(&real, field, sizeof real);
        tuff_cli_json_number(out, real);
        break;
    case TUFF_ARG_CHOICE:
        memcpy(&index, field, sizeof index);
        put_choice(out, arg, index);
        break;
    case TUFF_ARG_LIST:
        put_list(out, field);
        break;
    case TUFF_ARG_OPTIONAL:
        text = ((const tuff_arg_optional *)field)->value;
        if (text)
            tuff_cli_json_text(out, text, strlen(text));
        else
            fputs("true", out);
        break;
    default:
        memcpy(&text, field, sizeof text);
        text = tuff_cli_given_path(text);
        tuff_cli_json_text(out, text, strlen(text));
    }
}

void tuff_args_write(const tuff_args *args, const void *options, FILE *out)
{
    bool any = false;
    fputc('{', out);
    for (size_t i = 0; i < args->count; i++) {
        const tuff_arg *arg = &args->items[i];
        const void *field = (const char *)options + arg->offset;
        if (!has_value(arg, field)) continue;
        fputs(any ? ",\n  " : "\n  ", out);
        put_name(out, arg->name);
        put_value(out, arg, field);
        any = true;
    }
    fputs("\n}\n", out);
}
