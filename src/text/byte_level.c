#include "text/byte_level.h"

#include "base/status.h"

static bool printable(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

/* The bytes that are not printable, in order, get U+0100, U+0101, ...: 0x00-0x20, 0x7f-0xa0, 0xad. */
uint32_t tuff_byte_character(uint8_t byte)
{
    if (printable(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0xa0) return 0x121u + (byte - 0x7fu);
    return 0x143;
}

/* -1: stands for no byte. */
static int character_byte(uint32_t c)
{
    if (c < 0x100) return printable(c) ? (int)c : -1;
    if (c <= 0x120) return (int)(c - 0x100);
    if (c <= 0x142) return (int)(c - 0x121 + 0x7f);
    return c == 0x143 ? 0xad : -1;
}

/* Bytes of a character; its first one is given. */
static size_t character_size(uint8_t lead)
{
    return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

tuff_status tuff_bytes_to_characters(tuff_view text, tuff_pace *pace, tuff_made *out)
{
    for (size_t i = 0; i < text.size;) {
        size_t end = i;
        while (end < text.size && end - i < TUFF_PACE_WORK && (uint8_t)(text.data[end] - 0x21) < 0x5e)
            end++;
        if (end > i) {
            tuff_made_copy(out, text, i, end - i); /* ASCII that stands for itself */
            TUFF_TRY(tuff_pace_work(pace, end - i));
            i = end;
            continue;
        }
        size_t size = character_size((uint8_t)text.data[i]);
        for (end = i + size; i < end; i++)
            tuff_made_put_utf8(out, tuff_byte_character((uint8_t)text.data[i]), end - size, size);
        TUFF_TRY(tuff_pace_work(pace, size));
    }
    return TUFF_OK;
}

void tuff_characters_to_bytes(tuff_view text, tuff_buf *out)
{
    size_t before = out->size;
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        int byte = size ? character_byte(c) : -1;
        if (byte < 0) {
            out->size = out->failed ? out->size : before;
            tuff_buf_bytes(out, text.data, text.size);
            return;
        }
        tuff_buf_char(out, (char)byte);
        i += size;
    }
}
