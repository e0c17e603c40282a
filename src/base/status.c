#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/host.h>
#include <tuff/version.h>

#include "base/text.h"

/* Fixed per thread, so that running out of memory can be reported. */
enum { MESSAGE_SIZE = 2048 };
static _Thread_local char message[MESSAGE_SIZE];

/* Names from hostile files end up in error texts: keep terminals safe from escape sequences and from broken
 * UTF-8. */
static void clean(char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size;) {
        uint32_t codepoint;
        size_t length = tuff_utf8_decode(text + i, size - i, &codepoint);
        bool bad = length == 0 || (codepoint < 0x20 && codepoint != '\n' && codepoint != '\t') ||
                   (codepoint >= 0x7f && codepoint < 0xa0);
        if (length == 0) length = 1;
        if (bad) memset(text + i, '?', length);
        i += length;
    }
}

/* Formats into `out`; a text that does not fit ends in "..." at a code point's end. */
static void format_into(char out[MESSAGE_SIZE], const char *format, va_list args)
{
    int length = vsnprintf(out, MESSAGE_SIZE, format, args);
    if (length < 0) {
        out[0] = 0;
        return;
    }
    if (length >= MESSAGE_SIZE) {
        size_t end = tuff_utf8_complete(out, MESSAGE_SIZE - 4);
        memcpy(out + end, "...", 4);
    }
    clean(out);
}

tuff_status(tuff_fail)(tuff_status status, const char *format, ...)
{
    /* Through a second buffer: an argument may be the present message. */
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    format_into(text, format, args);
    va_end(args);
    memcpy(message, text, MESSAGE_SIZE);
    return status;
}

tuff_status tuff_note(tuff_status status, const char *format, ...)
{
    if (status == TUFF_OK) return status;
    char note[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    format_into(note, format, args);
    va_end(args);
    return tuff_fail(status, "%s: %s", note, message);
}

tuff_status(tuff_fail_memory)(const char *what)
{
    return tuff_fail(TUFF_OUT_OF_MEMORY, "out of memory while allocating %s", what);
}

const char *tuff_error_message(void)
{
    return message;
}

const char *tuff_status_name(tuff_status status)
{
    switch (status) {
    case TUFF_OK:
        return "ok";
    case TUFF_INVALID_ARGUMENT:
        return "invalid argument";
    case TUFF_NOT_FOUND:
        return "not found";
    case TUFF_IO:
        return "input/output error";
    case TUFF_BAD_FORMAT:
        return "bad format";
    case TUFF_UNSUPPORTED:
        return "unsupported";
    case TUFF_OUT_OF_MEMORY:
        return "out of memory";
    case TUFF_DEVICE_LOST:
        return "device lost";
    case TUFF_NOT_FINITE:
        return "not finite";
    case TUFF_CANCELLED:
        return "cancelled";
    case TUFF_INTERNAL:
        return "internal error";
    }
    return "unknown status";
}

_Noreturn void tuff_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "tuff %s: internal error at %s:%d: %s; please report it\n", TUFF_VERSION, file, line,
            condition);
    abort();
}

const char *tuff_version(void)
{
    return TUFF_VERSION;
}
