#include "text/unicode_form.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/status.h"
#include "text/unicode_tables.h"

enum {
    LONGEST = 64,  /* code points that one decomposes into, with room to spare */
    PART = 4096,   /* code points after which a part may end where no mark can follow */
    CLASSES = 256, /* combining classes */
    FEW = 32       /* marks in a row that are sorted by insertion */
};

typedef struct former {
    utf8proc_option_t options;
    int32_t *points, *sorted; /* of the part: decomposed code points; as many for sorting */
    size_t count, capacity, sorted_capacity;
} former;

static bool is_inert(uint32_t c)
{
    size_t low = 0, high = sizeof tuff_inert / sizeof *tuff_inert;
    if (c < tuff_inert[0].first) return false;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (tuff_inert[middle].first <= c)
            low = middle;
        else
            high = middle;
    }
    return c <= tuff_inert[low].last;
}

/* Ideographs, syllables of Hangul and kana: nothing before them changes with them. */
static bool begins_anew(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) || (c >= 0x3041 && c <= 0x3096) ||
           (c >= 0x30a1 && c <= 0x30fa);
}

static uint8_t class_of(int32_t c)
{
    return (uint8_t)utf8proc_get_property(c)->combining_class;
}

static tuff_status add(former *f, uint32_t c)
{
    int boundary = 0;
    while (f->capacity - f->count < LONGEST) {
        if (!tuff_grow((void **)&f->points, f->capacity, &f->capacity, sizeof *f->points))
            return tuff_fail_memory("normalizing a text");
    }
    utf8proc_ssize_t added =
        utf8proc_decompose_char((utf8proc_int32_t)c, f->points + f->count, LONGEST, f->options, &boundary);
    if (added < 0 || added > LONGEST)
        return tuff_fail(TUFF_INTERNAL, "the character U+%04X cannot be decomposed", (unsigned)c);
    f->count += (size_t)added;
    return TUFF_OK;
}

static void sort_few(int32_t *points, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int32_t c = points[i];
        size_t at = i;
        for (; at > 0 && class_of(points[at - 1]) > class_of(c); at--)
            points[at] = points[at - 1];
        points[at] = c;
    }
}

static tuff_status sort_many(former *f, int32_t *points, size_t count)
{
    size_t place[CLASSES] = {0};
    if (f->sorted_capacity < count) {
        tuff_free(f->sorted);
        f->sorted_capacity = 0;
        f->sorted = tuff_alloc_array(count, sizeof *f->sorted);
        if (!f->sorted) return tuff_fail_memory("normalizing a text");
        f->sorted_capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        place[class_of(points[i])]++;
    for (size_t c = 0, before = 0; c < CLASSES; c++) {
        size_t here = place[c];
        place[c] = before;
        before += here;
    }
    for (size_t i = 0; i < count; i++)
        f->sorted[place[class_of(points[i])]++] = points[i];
    memcpy(points, f->sorted, count * sizeof *points);
    return TUFF_OK;
}

/* Marks in a row, by their classes; equals stay in order. */
static tuff_status order(former *f)
{
    for (size_t i = 0, end; i < f->count; i = end + 1) {
        for (end = i; end < f->count && class_of(f->points[end]); end++) {
        }
        if (end - i > FEW)
            TUFF_TRY(sort_many(f, f->points + i, end - i));
        else
            sort_few(f->points + i, end - i);
    }
    return TUFF_OK;
}

/* Ends a part: before and after it are other parts that it does not touch. */
static tuff_status finish_part(former *f, tuff_buf *out)
{
    if (!f->count) return TUFF_OK;
    TUFF_TRY(order(f));
    utf8proc_ssize_t count = (utf8proc_ssize_t)f->count;
    if (f->options & UTF8PROC_COMPOSE) count = utf8proc_normalize_utf32(f->points, count, f->options);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        tuff_buf_utf8(out, (uint32_t)f->points[i]);
    f->count = 0;
    return out->failed ? tuff_fail_memory("normalizing a text") : TUFF_OK;
}

/* Appends what no form changes: ASCII up to the last character, which a mark may follow. Returns its size. */
static size_t copy_ascii(tuff_view text, size_t at, tuff_buf *out)
{
    size_t end = at, most = text.size - at < TUFF_PACE_WORK ? text.size : at + TUFF_PACE_WORK;
    while (end < most && (uint8_t)text.data[end] < 0x80)
        end++;
    if (end > at && end < text.size) end--;
    tuff_buf_bytes(out, text.data + at, end - at);
    return end - at;
}

static tuff_status form(former *f, tuff_view text, size_t limit, tuff_pace *pace, tuff_buf *out)
{
    for (size_t i = 0; i < text.size && out->size <= limit;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        bool inert = is_inert(c);
        if (c < 0x80 || inert || (f->count > PART && begins_anew(c))) TUFF_TRY(finish_part(f, out));
        size_t copied = c < 0x80 ? copy_ascii(text, i, out) : 0;
        if (inert) tuff_buf_bytes(out, text.data + i, copied = size);
        if (!copied) TUFF_TRY(add(f, c));
        i += copied ? copied : size;
        TUFF_TRY(tuff_pace_work(pace, copied ? copied / 8 + 1 : size * 2));
    }
    return finish_part(f, out);
}

tuff_status tuff_unicode_form(tuff_view text, bool compose, bool compatible, size_t limit, tuff_pace *pace,
                              tuff_buf *out)
{
    int options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (compatible) options |= UTF8PROC_COMPAT;
    former f = {.options = (utf8proc_option_t)options};
    tuff_status status = form(&f, text, limit, pace, out);
    tuff_free(f.points);
    tuff_free(f.sorted);
    return status;
}
