#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool tuff_base64_decode(tuff_view text, tuff_buf *out)
{
    size_t size = text.size;
    if (size % 4) return false;
    for (int i = 0; i < 2 && size && text.data[size - 1] == '='; i++)
        size--;
    uint32_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        int value = value_of(text.data[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        /* The first digit of four gives no byte yet, each other one ends one. */
        if (i % 4) tuff_buf_char(out, (char)(bits >> (6 - 2 * (i % 4))));
    }
    return true;
}

void tuff_base64_encode(tuff_view bytes, tuff_buf *out)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        const uint8_t *b = (const uint8_t *)bytes.data + i;
        uint32_t bits = (uint32_t)b[0] << 16 | (left > 1 ? (uint32_t)b[1] << 8 : 0) | (left > 2 ? b[2] : 0);
        tuff_buf_char(out, digits[bits >> 18]);
        tuff_buf_char(out, digits[bits >> 12 & 63]);
        tuff_buf_char(out, left > 1 ? digits[bits >> 6 & 63] : '=');
        tuff_buf_char(out, left > 2 ? digits[bits & 63] : '=');
    }
}
