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
    tuff_view text;
    int32_t *points, *sorted;     /* of the part: decomposed code points; as many for sorting */
    uint32_t *places, *sorted_to; /* of each point: where its character lies in the text; NULL: not wanted */
    size_t count, capacity, place_capacity, sorted_capacity;
    bool traced;
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

static tuff_status reserve(former *f)
{
    while (f->capacity - f->count < LONGEST) {
        if (!tuff_grow((void **)&f->points, f->capacity, &f->capacity, sizeof *f->points))
            return tuff_fail_memory("normalizing a text");
    }
    while (f->traced && f->place_capacity - f->count < LONGEST) {
        if (!tuff_grow((void **)&f->places, f->place_capacity, &f->place_capacity, sizeof *f->places))
            return tuff_fail_memory("normalizing a text");
    }
    return TUFF_OK;
}

static tuff_status add(former *f, uint32_t c, size_t place)
{
    int boundary = 0;
    TUFF_TRY(reserve(f));
    utf8proc_ssize_t added =
        utf8proc_decompose_char((utf8proc_int32_t)c, f->points + f->count, LONGEST, f->options, &boundary);
    if (added < 0 || added > LONGEST)
        return tuff_fail(TUFF_INTERNAL, "the character U+%04X cannot be decomposed", (unsigned)c);
    for (utf8proc_ssize_t i = 0; f->traced && i < added; i++)
        f->places[f->count + (size_t)i] = (uint32_t)place;
    f->count += (size_t)added;
    return TUFF_OK;
}

static void sort_few(former *f, size_t first, size_t end)
{
    for (size_t i = first + 1; i < end; i++) {
        int32_t c = f->points[i];
        uint32_t place = f->traced ? f->places[i] : 0;
        size_t at = i;
        for (; at > first && class_of(f->points[at - 1]) > class_of(c); at--) {
            f->points[at] = f->points[at - 1];
            if (f->traced) f->places[at] = f->places[at - 1];
        }
        f->points[at] = c;
        if (f->traced) f->places[at] = place;
    }
}

static tuff_status sort_many(former *f, size_t first, size_t end)
{
    size_t place[CLASSES] = {0}, count = end - first;
    int32_t *points = f->points + first;
    if (f->sorted_capacity < count) {
        tuff_free(f->sorted);
        tuff_free(f->sorted_to);
        f->sorted_capacity = 0;
        f->sorted = tuff_alloc_array(count, sizeof *f->sorted);
        f->sorted_to = tuff_alloc_array(f->traced ? count : 0, sizeof *f->sorted_to);
        if (!f->sorted || !f->sorted_to) return tuff_fail_memory("normalizing a text");
        f->sorted_capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        place[class_of(points[i])]++;
    for (size_t c = 0, before = 0; c < CLASSES; c++) {
        size_t here = place[c];
        place[c] = before;
        before += here;
    }
    for (size_t i = 0; i < count; i++) {
        size_t to = place[class_of(points[i])]++;
        f->sorted[to] = points[i];
        if (f->traced) f->sorted_to[to] = f->places[first + i];
    }
    memcpy(points, f->sorted, count * sizeof *points);
    if (f->traced) memcpy(f->places + first, f->sorted_to, count * sizeof *f->places);
    return TUFF_OK;
}

/* Marks in a row, by their classes; equals stay in order. */
static tuff_status order(former *f)
{
    for (size_t i = 0, end; i < f->count; i = end + 1) {
        for (end = i; end < f->count && class_of(f->points[end]); end++) {
        }
        if (end - i > FEW)
            TUFF_TRY(sort_many(f, i, end));
        else
            sort_few(f, i, end);
    }
    return TUFF_OK;
}

/* The character that two become, or -1. */
static int32_t pair(const former *f, int32_t a, int32_t b)
{
    int32_t points[2] = {a, b};
    return utf8proc_normalize_utf32(points, 2, f->options) == 1 ? points[0] : -1;
}

/* Joins characters as utf8proc_normalize_utf32 does, which does not say what it joined. */
static void compose_traced(former *f)
{
    size_t kept = 0, starter = SIZE_MAX;
    uint8_t last = 0; /* class of the character before, of those kept after the starter */
    for (size_t i = 0; i < f->count; i++) {
        int32_t c = f->points[i];
        uint8_t class = class_of(c);
        bool near = starter != SIZE_MAX && (kept == starter + 1 || last < class);
        int32_t joined = near ? pair(f, f->points[starter], c) : -1;
        if (joined >= 0) {
            f->points[starter] = joined;
            continue;
        }
        if (!class) starter = kept;
        last = class;
        f->points[kept] = c;
        f->places[kept++] = f->places[i];
    }
    f->count = kept;
}

static void compose(former *f)
{
    if (f->traced)
        compose_traced(f);
    else
        f->count = (size_t)utf8proc_normalize_utf32(f->points, (utf8proc_ssize_t)f->count, f->options);
}

/* Ends a part: before and after it are other parts that it does not touch. */
static tuff_status finish_part(former *f, tuff_made *out)
{
    if (!f->count) return TUFF_OK;
    TUFF_TRY(order(f));
    if (f->options & UTF8PROC_COMPOSE) compose(f);
    for (size_t i = 0; i < f->count; i++) {
        uint32_t c, made = (uint32_t)f->points[i];
        size_t at = f->traced ? f->places[i] : 0;
        size_t size = f->traced ? tuff_utf8_decode(f->text.data + at, f->text.size - at, &c) : 0;
        tuff_made_put_utf8(out, made, at, size);
    }
    f->count = 0;
    return out->text.failed ? tuff_fail_memory("normalizing a text") : TUFF_OK;
}

/* Appends what no form changes: ASCII up to the last character, which a mark may follow. Returns its size. */
static size_t copy_ascii(tuff_view text, size_t at, tuff_made *out)
{
    size_t end = at, most = text.size - at < TUFF_PACE_WORK ? text.size : at + TUFF_PACE_WORK;
    while (end < most && (uint8_t)text.data[end] < 0x80)
        end++;
    if (end > at && end < text.size) end--;
    tuff_made_copy(out, text, at, end - at);
    return end - at;
}

static tuff_status form(former *f, size_t limit, tuff_pace *pace, tuff_made *out)
{
    tuff_view text = f->text;
    for (size_t i = 0; i < text.size && out->text.size <= limit;) {
        uint32_t c;
        size_t size = tuff_utf8_decode(text.data + i, text.size - i, &c);
        bool inert = is_inert(c);
        if (c < 0x80 || inert || (f->count > PART && begins_anew(c))) TUFF_TRY(finish_part(f, out));
        size_t copied = c < 0x80 ? copy_ascii(text, i, out) : 0;
        if (inert) tuff_made_copy(out, text, i, copied = size);
        if (!copied) TUFF_TRY(add(f, c, i));
        i += copied ? copied : size;
        TUFF_TRY(tuff_pace_work(pace, copied ? copied / 8 + 1 : size * 2));
    }
    return finish_part(f, out);
}

tuff_status tuff_unicode_form(tuff_view text, bool compose, bool compatible, size_t limit, tuff_pace *pace,
                              tuff_made *out)
{
    int options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (compatible) options |= UTF8PROC_COMPAT;
    former f = {.options = (utf8proc_option_t)options, .text = text, .traced = out->origins != NULL};
    tuff_status status = form(&f, limit, pace, out);
    tuff_free(f.points);
    tuff_free(f.sorted);
    tuff_free(f.places);
    tuff_free(f.sorted_to);
    return status;
}
