/* Numbers and JSON, printed. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Length of the UTF-8 sequence at text (RFC 3629). Where it is broken, of what one U+FFFD stands for: the
 * longest beginning that a character has, or one byte. */
static size_t sequence(const unsigned char *text, size_t size, bool *out_whole)
{
    static const struct {
        unsigned char first, last, low, high;
        size_t length;
    } kinds[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (text[0] < kinds[k].first || text[0] > kinds[k].last) continue;
        size_t n = 1;
        if (n < kinds[k].length && n < size && text[1] >= kinds[k].low && text[1] <= kinds[k].high) n++;
        while (n > 1 && n < kinds[k].length && n < size && (text[n] & 0xc0) == 0x80)
            n++;
        *out_whole = n == kinds[k].length;
        return n;
    }
    *out_whole = false;
    return 1;
}

static void escape(FILE *out, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c ? strchr(plain, c) : NULL;
    if (at)
        fprintf(out, "\\%c", letters[at - plain]);
    else if (c < 0x20 || c == 0x7f)
        fprintf(out, "\\u%04x", c);
    else
        fputc(c, out);
}

void tuff_cli_json_text(FILE *out, const char *text, size_t size)
{
    fputc('"', out);
    for (size_t i = 0; i < size;) {
        const unsigned char *at = (const unsigned char *)text + i;
        bool whole;
        const size_t n = sequence(at, size - i, &whole);
        if (!whole)
            fputs("\xef\xbf\xbd", out);
        else if (n == 1)
            escape(out, *at);
        else
            fwrite(at, 1, n, out);
        i += n;
    }
    fputc('"', out);
}

void tuff_cli_json_number(FILE *out, double value)
{
    char text[40] = "null";
    for (int digits = 6; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    fputs(text, out);
}

static char *next_buffer(size_t *out_size)
{
    static char buffers[8][40];
    static unsigned next;
    *out_size = sizeof buffers[0];
    return buffers[next++ % 8];
}

const char *tuff_cli_count(int64_t n)
{
    char digits[24];
    size_t size, at = 0;
    char *out = next_buffer(&size);
    snprintf(digits, sizeof digits, "%lld", (long long)n);
    for (size_t i = 0, length = strlen(digits); i < length; i++) {
        if (i > (digits[0] == '-') && (length - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

const char *tuff_cli_bytes(uint64_t n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t size, unit = 0;
    char *out = next_buffer(&size);
    double value = (double)n;
    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(out, size, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

const char *tuff_cli_time(double seconds)
{
    size_t size;
    char *out = next_buffer(&size);
    if (!(seconds >= 0 && seconds < 1e9)) {
        snprintf(out, size, "?");
        return out;
    }
    long long s = (long long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%lld:%02lld", s / 60, s % 60);
    return out;
}

char *tuff_cli_read_text(const char *path)
{
    size_t size = 0, capacity = 1 << 16, n;
    errno = 0;
    FILE *file = fopen(path, "rb");
    char *text = file ? malloc(capacity) : NULL;
    while (text && (n = fread(text + size, 1, capacity - 1 - size, file)) > 0) {
        size += n;
        if (size + 1 < capacity) continue;
        char *grown = realloc(text, capacity *= 2);
        if (!grown) free(text);
        text = grown;
    }
    if (file && (ferror(file) || !text)) {
        free(text);
        text = NULL;
    }
    if (!text) tuff_cli_say("tuff: %s cannot be read: %s", path, strerror(errno));
    if (file) fclose(file);
    if (!text) return NULL;
    text[size] = 0;
    if (strlen(text) == size) return text;
    tuff_cli_say("tuff: %s is not text: it has a NUL byte at offset %zu; expected UTF-8 text", path,
                 strlen(text));
    free(text);
    return NULL;
}
