#include "text/charsmap.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/status.h"

enum {
    LONGEST_KEY = 256, /* bytes of a text that one replacement may stand for; real ones have up to 20 */
    WHOLE_CLUSTER = 6  /* clusters with fewer bytes are replaced as a whole */
};

static const char space_piece[] = "\xe2\x96\x81";

struct tuff_charsmap {
    uint32_t *units; /* of the double array */
    size_t count;
    tuff_view texts; /* one after another, each with its NUL; in `blob` */
    char *blob;
    size_t blob_size;
    bool plain[128]; /* ASCII characters that nothing is known of, alone; not those that clusters may begin
                        with */
};

static uint32_t little_endian(const char *bytes)
{
    const uint8_t *b = (const uint8_t *)bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static tuff_status fill(tuff_charsmap *map, tuff_view blob, const char *where)
{
    size_t size = blob.size >= 4 ? little_endian(blob.data) : 0;
    if (size == 0 || size % 4 || size > blob.size - 4)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: the precompiled charsmap says that its table has %zu bytes, but %zu bytes follow", where,
            size, blob.size >= 4 ? blob.size - 4 : 0);
    map->count = size / 4;
    map->units = tuff_alloc_array(map->count, sizeof *map->units);
    map->blob = tuff_alloc(blob.size + 1); /* the last text ends too */
    if (!map->units || !map->blob) return tuff_fail_memory("a charsmap");
    memcpy(map->blob, blob.data, blob.size);
    map->blob_size = blob.size;
    for (size_t i = 0; i < map->count; i++)
        map->units[i] = little_endian(blob.data + 4 + 4 * i);
    map->texts = (tuff_view){map->blob + 4 + size, blob.size - 4 - size};
    if (!tuff_utf8_valid(map->texts.data, map->texts.size))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the precompiled charsmap holds text that is not UTF-8", where);
    return TUFF_OK;
}

/* A unit's parts: the way to its children, whether it has a value, its label or value. */
static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 0x200) >> 6);
}

/* The text at a value; false for one that lies nowhere or inside a character. */
static bool text_at(const tuff_charsmap *map, uint32_t unit, tuff_view *out)
{
    size_t at = unit & 0x7fffffff;
    if (at >= map->texts.size || ((uint8_t)map->texts.data[at] & 0xc0) == 0x80) return false;
    *out = tuff_view_of(map->texts.data + at);
    return true;
}

/* The shortest or the longest beginning of the text that has a replacement: its size, 0 for none. */
static size_t look_up(const tuff_charsmap *map, tuff_view text, bool longest, tuff_view *out)
{
    size_t found = 0, most = text.size < LONGEST_KEY ? text.size : LONGEST_KEY;
    uint32_t at = offset_of(map->units[0]);
    for (size_t i = 0; i < most && text.data[i]; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        at ^= byte;
        if (at >= map->count || (map->units[at] & 0x800000ff) != byte) break;
        bool ends = map->units[at] & 0x100;
        at ^= offset_of(map->units[at]);
        if (!ends || at >= map->count || !text_at(map, map->units[at], out)) continue;
        found = i + 1;
        if (!longest) break;
    }
    return found;
}

static void find_plain(tuff_charsmap *map)
{
    for (size_t c = 0; c < sizeof map->plain; c++) {
        const char text = (char)c;
        tuff_view by;
        map->plain[c] = c != '\r' && !look_up(map, (tuff_view){&text, 1}, false, &by);
    }
}

tuff_status tuff_charsmap_create(tuff_view blob, const char *where, tuff_charsmap **out_map)
{
    tuff_charsmap *map = *out_map = tuff_alloc(sizeof *map);
    if (!map) return tuff_fail_memory("a charsmap");
    tuff_status status = fill(map, blob, where);
    if (status == TUFF_OK)
        find_plain(map);
    else
        tuff_charsmap_destroy(out_map);
    return status;
}

void tuff_charsmap_destroy(tuff_charsmap **map)
{
    if (!*map) return;
    tuff_free((*map)->units);
    tuff_free((*map)->blob);
    tuff_free(*map);
    *map = NULL;
}

tuff_view tuff_charsmap_blob(const tuff_charsmap *map)
{
    return (tuff_view){map->blob, map->blob_size};
}

/* The end of the grapheme cluster that begins at `at`. */
static size_t cluster_end(tuff_view text, size_t at)
{
    uint32_t c, next;
    utf8proc_int32_t state = 0;
    size_t end = at + tuff_utf8_decode(text.data + at, text.size - at, &c);
    while (end < text.size) {
        bool ascii = c < 0x80 && (uint8_t)text.data[end] < 0x80;
        if (ascii && !(c == '\r' && text.data[end] == '\n')) break;
        size_t size = tuff_utf8_decode(text.data + end, text.size - end, &next);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state)) break;
        c = next;
        end += size;
    }
    return end;
}

static size_t character_size(tuff_view text, size_t at)
{
    uint32_t c;
    size_t size = tuff_utf8_decode(text.data + at, text.size - at, &c);
    TUFF_ASSERT(size > 0);
    return size;
}

/* The replacement of source[at, at + size): character by character as long as both have some. What is left
 * of the replacement stands for the last one. */
static void put_replacement(tuff_made *out, tuff_view source, size_t at, size_t size, tuff_view by)
{
    size_t end = at + size;
    while (by.size) {
        size_t from = character_size(source, at), taken = character_size(by, 0);
        bool last = at + from >= end;
        if (last) taken = by.size;
        tuff_made_put(out, (tuff_view){by.data, taken}, at, from);
        by = (tuff_view){by.data + taken, by.size - taken};
        if (!last) at += from;
    }
}

static bool replace_part(const tuff_charsmap *map, tuff_view text, size_t at, size_t size, tuff_made *out)
{
    tuff_view by;
    if (!look_up(map, (tuff_view){text.data + at, size}, false, &by)) return false;
    put_replacement(out, text, at, size, by);
    return true;
}

/* The end of the plain ASCII from `at` on that no cluster takes in. */
static size_t plain_end(const tuff_charsmap *map, tuff_view text, size_t at)
{
    size_t end = at, most = text.size - at < TUFF_PACE_WORK ? text.size : at + TUFF_PACE_WORK;
    while (end < most && (uint8_t)text.data[end] < 0x80 && map->plain[(uint8_t)text.data[end]])
        end++;
    bool joined = end > at && end < text.size && (uint8_t)text.data[end] >= 0x80;
    return joined ? end - 1 : end;
}

/* Replaces the cluster [at, end). */
static void apply_cluster(const tuff_charsmap *map, tuff_view text, size_t at, size_t end, size_t limit,
                          tuff_made *out)
{
    if (end - at < WHOLE_CLUSTER && replace_part(map, text, at, end - at, out)) return;
    while (at < end && out->text.size <= limit) {
        size_t size = character_size(text, at);
        if (!replace_part(map, text, at, size, out)) tuff_made_copy(out, text, at, size);
        at += size;
    }
}

tuff_status tuff_charsmap_apply(const tuff_charsmap *map, tuff_view text, size_t limit, tuff_pace *pace,
                                tuff_made *out)
{
    for (size_t at = 0, end; at < text.size && out->text.size <= limit; at = end) {
        end = plain_end(map, text, at);
        if (end > at) {
            tuff_made_copy(out, text, at, end - at);
            TUFF_TRY(tuff_pace_work(pace, (end - at) / 8 + 1));
            continue;
        }
        end = cluster_end(text, at);
        apply_cluster(map, text, at, end, limit, out);
        TUFF_TRY(tuff_pace_work(pace, end - at));
    }
    return out->text.failed ? tuff_fail_memory("normalizing a text") : TUFF_OK;
}

/* ---- as SentencePiece does ---- */

/* Up to the next space, or a space; at most what one look at the watch allows. */
static size_t stretch_size(tuff_view text, size_t at)
{
    size_t most =
        text.size - at < TUFF_PACE_WORK ? text.size - at : tuff_utf8_complete(text.data + at, TUFF_PACE_WORK);
    const char *space = memchr(text.data + at, ' ', most);
    size_t size = space ? (size_t)(space - (text.data + at)) : most;
    return size ? size : 1;
}

/* What the text from `at` on begins with, and what that becomes. */
static size_t take_beginning(const tuff_charsmap *map, const tuff_added_set *kept, tuff_view text, size_t at,
                             tuff_view *out)
{
    size_t size = kept ? tuff_added_beginning(kept, text.data + at, text.size - at) : 0;
    if (size) {
        *out = (tuff_view){text.data + at, size};
        return size;
    }
    size = map ? look_up(map, (tuff_view){text.data + at, text.size - at}, true, out) : 0;
    if (size) return size;
    size = map || kept ? character_size(text, at) : stretch_size(text, at);
    *out = (tuff_view){text.data + at, size};
    return size;
}

/* Keys need not end where characters do. */
static size_t to_border(tuff_view text, size_t at)
{
    while (at < text.size && ((uint8_t)text.data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

static void put_escaped(tuff_made *out, tuff_view part, tuff_view source, size_t at, size_t size)
{
    bool same = part.data == source.data + at;
    for (size_t i = 0; i < part.size;) {
        size_t end = i;
        while (end < part.size && part.data[end] != ' ')
            end++;
        if (same && end > i)
            tuff_made_copy(out, source, at + i, end - i);
        else if (end > i)
            tuff_made_put(out, (tuff_view){part.data + i, end - i}, at, size);
        if (end < part.size) tuff_made_put(out, tuff_view_of(space_piece), at, size);
        i = end + (end < part.size);
    }
}

static void cut_spaces(tuff_made *out)
{
    size_t size = out->text.size;
    while (size >= 3 && memcmp(out->text.data + size - 3, space_piece, 3) == 0)
        size -= 3;
    tuff_made_cut(out, size);
}

tuff_status tuff_charsmap_sentencepiece(const tuff_charsmap *map, const tuff_added_set *kept, bool prefix,
                                        bool merge, tuff_view text, size_t limit, tuff_pace *pace,
                                        tuff_made *out)
{
    bool after_space = merge, begun = false;
    for (size_t at = 0; at < text.size && out->text.size <= limit;) {
        tuff_view part;
        size_t size = take_beginning(map, kept, text, at, &part), end = to_border(text, at + size);
        TUFF_TRY(tuff_pace_work(pace, end - at));
        if (!begun && merge && tuff_view_is(part, " ")) { /* before the text */
            at = end;
            continue;
        }
        if (!begun && prefix) tuff_made_put(out, tuff_view_of(space_piece), at, end - at);
        begun = true;
        while (after_space && part.size && part.data[0] == ' ')
            part = (tuff_view){part.data + 1, part.size - 1};
        put_escaped(out, part, text, at, end - at);
        if (part.size) after_space = merge && part.data[part.size - 1] == ' ';
        at = end;
    }
    if (merge && out->text.size <= limit) cut_spaces(out);
    return out->text.failed ? tuff_fail_memory("normalizing a text") : TUFF_OK;
}
