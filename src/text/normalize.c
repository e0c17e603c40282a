#include "text/normalize.h"

#include <stdint.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/status.h"
#include "text/byte_level.h"
#include "text/unicode_form.h"

bool tuff_is_space(uint32_t c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

tuff_status tuff_repair_utf8(tuff_view text, tuff_pace *pace, tuff_buf *out)
{
    size_t good = 0;
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        TUFF_TRY(tuff_pace_work(pace, size ? size : 1));
        if (size) {
            i += size;
            continue;
        }
        tuff_buf_bytes(out, text.data + good, i - good);
        tuff_buf_utf8(out, 0xfffd);
        /* The longest piece from here that some character starts with; at least one byte. */
        size = 1;
        while (size < 3 && i + size < text.size && tuff_utf8_complete(text.data + i, size) == 0 &&
               tuff_utf8_complete(text.data + i, size + 1) == 0)
            size++;
        i += size;
        good = i;
    }
    tuff_buf_bytes(out, text.data + good, text.size - good);
    return out->failed ? tuff_fail_memory("repairing a text") : TUFF_OK;
}

static tuff_status lowercase(tuff_view text, tuff_pace *pace, tuff_buf *out)
{
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        TUFF_ASSERT(size > 0);
        if (c == 0x130)
            tuff_buf_text(out, "i\xcc\x87"); /* the one letter whose small form is two characters */
        else
            tuff_buf_utf8(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
        i += size;
        TUFF_TRY(tuff_pace_work(pace, size));
    }
    return TUFF_OK;
}

static void strip(const tuff_normalizer *step, tuff_view text, tuff_buf *out)
{
    uint32_t c;
    while (step->left && text.size) {
        size_t size = tuff_utf8_decode(text.data, text.size, &c);
        if (!tuff_is_space(c)) break;
        text.data += size;
        text.size -= size;
    }
    while (step->right && text.size) {
        size_t size = 1;
        while (((uint8_t)text.data[text.size - size] & 0xc0) == 0x80)
            size++;
        tuff_utf8_decode(text.data + text.size - size, size, &c);
        if (!tuff_is_space(c)) break;
        text.size -= size;
    }
    tuff_buf_bytes(out, text.data, text.size);
}

tuff_status tuff_replace(const tuff_regex *regex, tuff_view by, tuff_view text, size_t limit, tuff_pace *pace,
                         tuff_buf *out)
{
    tuff_regex_search search;
    TUFF_TRY(tuff_regex_begin(regex, pace, &search));
    tuff_regex_aim(&search, text);
    size_t done = 0, start, end;
    bool found;
    tuff_status status;
    while ((status = tuff_regex_next(&search, &start, &end, &found)) == TUFF_OK && found &&
           out->size <= limit) {
        tuff_buf_bytes(out, text.data + done, start - done);
        tuff_buf_bytes(out, by.data, by.size);
        done = end;
    }
    tuff_buf_bytes(out, text.data + done, text.size - done);
    tuff_regex_end(&search);
    return status;
}

static tuff_status apply(const tuff_normalizer *step, tuff_view text, size_t limit, tuff_pace *pace,
                         tuff_buf *out)
{
    tuff_normalizer_kind kind = step->kind;
    switch (kind) {
    case TUFF_NORMALIZE_PREPEND:
        if (text.size) tuff_buf_bytes(out, step->text.data, step->text.size);
        tuff_buf_bytes(out, text.data, text.size);
        return TUFF_OK;
    case TUFF_NORMALIZE_REPLACE:
        return tuff_replace(step->regex, step->text, text, limit, pace, out);
    case TUFF_NORMALIZE_LOWERCASE:
        return lowercase(text, pace, out);
    case TUFF_NORMALIZE_STRIP:
        strip(step, text, out);
        return TUFF_OK;
    case TUFF_NORMALIZE_BYTES:
        return tuff_bytes_to_characters(text, pace, out);
    case TUFF_NORMALIZE_NFC:
    case TUFF_NORMALIZE_NFD:
    case TUFF_NORMALIZE_NFKC:
    case TUFF_NORMALIZE_NFKD:
        break;
    }
    return tuff_unicode_form(text, kind == TUFF_NORMALIZE_NFC || kind == TUFF_NORMALIZE_NFKC,
                             kind == TUFF_NORMALIZE_NFKC || kind == TUFF_NORMALIZE_NFKD, limit, pace, out);
}

static tuff_status run_steps(const tuff_normalizer *steps, size_t count, size_t size, size_t room,
                             tuff_pace *pace, tuff_buf *from, tuff_buf *to)
{
    for (size_t i = 0; i < count; i++) {
        tuff_buf_clear(to);
        TUFF_TRY(apply(&steps[i], (tuff_view){from->data ? from->data : "", from->size}, room, pace, to));
        tuff_buf swap = *from;
        *from = *to;
        *to = swap;
        if (from->failed) return tuff_fail_memory("normalizing a text");
        if (from->size > room)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "the tokenizer's normalizer makes more than %zu bytes of %zu, and Tuff allows 16 "
                "times a text and 65536",
                room, size);
    }
    return TUFF_OK;
}

tuff_status tuff_normalize(const tuff_normalizer *steps, size_t count, tuff_view text, size_t *room,
                           tuff_pace *pace, tuff_buf *out)
{
    tuff_buf from = {0}, to = {0};
    tuff_buf_bytes(&from, text.data, text.size);
    tuff_status status = from.failed ? tuff_fail_memory("normalizing a text") : TUFF_OK;
    if (status == TUFF_OK) status = run_steps(steps, count, text.size, *room, pace, &from, &to);
    if (status == TUFF_OK) tuff_buf_bytes(out, from.data, from.size);
    if (status == TUFF_OK && out->failed) status = tuff_fail_memory("normalizing a text");
    if (status == TUFF_OK) *room -= from.size < *room ? from.size : *room;
    tuff_buf_free(&from);
    tuff_buf_free(&to);
    return status;
}
