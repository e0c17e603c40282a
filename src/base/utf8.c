#include <string.h>

#include "base/text.h"

/* Bytes of the sequence that `lead` starts, 0 when it cannot start one. */
static size_t sequence_length(uint8_t lead)
{
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

/* Whether `byte` may follow `lead` directly (Unicode 15, table 3-7: no overlong form, no surrogate, at most
 * U+10FFFF). */
static bool second_byte_fits(uint8_t lead, uint8_t byte)
{
    switch (lead) {
    case 0xe0:
        return byte >= 0xa0 && byte <= 0xbf;
    case 0xed:
        return byte >= 0x80 && byte <= 0x9f;
    case 0xf0:
        return byte >= 0x90 && byte <= 0xbf;
    case 0xf4:
        return byte >= 0x80 && byte <= 0x8f;
    default:
        return byte >= 0x80 && byte <= 0xbf;
    }
}

/* How many of the first `limit` bytes at p are a valid beginning of a sequence with p[0] as its lead. */
static size_t valid_beginning(const uint8_t *p, size_t limit)
{
    size_t n = 1;
    while (n < limit && (n == 1 ? second_byte_fits(p[0], p[1]) : (p[n] & 0xc0) == 0x80))
        n++;
    return n;
}

size_t tuff_utf8_decode(const char *data, size_t size, uint32_t *out_codepoint)
{
    const uint8_t *p = (const uint8_t *)data;
    *out_codepoint = 0;
    size_t length = size ? sequence_length(p[0]) : 0;
    if (length == 0 || length > size || valid_beginning(p, length) < length) return 0;
    static const uint8_t lead_mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & lead_mask[length];
    for (size_t i = 1; i < length; i++)
        c = (c << 6) | (p[i] & 0x3f);
    *out_codepoint = c;
    return length;
}

size_t tuff_utf8_broken(const char *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    const size_t length = sequence_length(p[0]);
    return length ? valid_beginning(p, length < size ? length : size) : 1;
}

size_t tuff_utf8_complete(const char *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        const uint8_t *lead = p + size - back;
        if ((*lead & 0xc0) == 0x80) continue;
        bool unfinished = sequence_length(*lead) > back && valid_beginning(lead, back) == back;
        return unfinished ? size - back : size;
    }
    return size;
}

bool tuff_utf8_valid(const char *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint32_t codepoint;
        uint64_t eight;
        if (size - i >= sizeof eight) {
            memcpy(&eight, data + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += sizeof eight;
                continue;
            }
        }
        size_t length = tuff_utf8_decode(data + i, size - i, &codepoint);
        if (length == 0) return false;
        i += length;
    }
    return true;
}
