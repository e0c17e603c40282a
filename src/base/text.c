#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

tuff_view tuff_view_of(const char *text)
{
    return (tuff_view){.data = text, .size = strlen(text)};
}

bool tuff_view_equal(tuff_view a, tuff_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool tuff_view_is(tuff_view a, const char *text)
{
    return tuff_view_equal(a, tuff_view_of(text));
}

bool tuff_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool tuff_ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text), tail = strlen(suffix);
    return size >= tail && memcmp(text + size - tail, suffix, tail) == 0;
}

bool tuff_list_next(const char **at, tuff_view *out)
{
    while (**at) {
        const char *begin = *at + strspn(*at, ", ");
        size_t size = strcspn(begin, ",");
        *at = begin + size;
        while (size && begin[size - 1] == ' ')
            size--;
        *out = (tuff_view){begin, size};
        if (size) return true;
    }
    return false;
}

size_t tuff_list_most(const char *list)
{
    size_t most = 1;
    for (const char *at = list; *at; at++)
        most += *at == ',';
    return most;
}

/* Makes room for `extra` more bytes and the NUL. */
static bool reserve(tuff_buf *buf, size_t extra)
{
    if (buf->failed) return false;
    size_t needed;
    if (!tuff_add_size(buf->size, extra, &needed) || !tuff_add_size(needed, 1, &needed)) {
        buf->failed = true;
        return false;
    }
    if (needed <= buf->capacity) return true;
    size_t capacity = buf->capacity + buf->capacity / 2;
    if (capacity < needed) capacity = needed;
    if (capacity < 64) capacity = 64;
    char *data = tuff_realloc_array(buf->data, capacity, 1);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void tuff_buf_bytes(tuff_buf *buf, const void *data, size_t size)
{
    if (!reserve(buf, size)) return;
    if (size) memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = 0;
}

void tuff_buf_text(tuff_buf *buf, const char *text)
{
    tuff_buf_bytes(buf, text, strlen(text));
}

void tuff_buf_char(tuff_buf *buf, char c)
{
    tuff_buf_bytes(buf, &c, 1);
}

void tuff_buf_printf(tuff_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length < 0) {
        buf->failed = true;
    } else if (reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->size, (size_t)length + 1, format, again);
        buf->size += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

void tuff_buf_utf8(tuff_buf *buf, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    char bytes[4];
    size_t size;
    if (c < 0x80) {
        bytes[0] = (char)c;
        size = 1;
    } else if (c < 0x800) {
        bytes[0] = (char)(0xc0 | (c >> 6));
        bytes[1] = (char)(0x80 | (c & 0x3f));
        size = 2;
    } else if (c < 0x10000) {
        bytes[0] = (char)(0xe0 | (c >> 12));
        bytes[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        bytes[2] = (char)(0x80 | (c & 0x3f));
        size = 3;
    } else {
        bytes[0] = (char)(0xf0 | (c >> 18));
        bytes[1] = (char)(0x80 | ((c >> 12) & 0x3f));
        bytes[2] = (char)(0x80 | ((c >> 6) & 0x3f));
        bytes[3] = (char)(0x80 | (c & 0x3f));
        size = 4;
    }
    tuff_buf_bytes(buf, bytes, size);
}

void tuff_buf_clear(tuff_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    if (buf->data) buf->data[0] = 0;
}

void tuff_buf_free(tuff_buf *buf)
{
    tuff_free(buf->data);
    *buf = (tuff_buf){0};
}
