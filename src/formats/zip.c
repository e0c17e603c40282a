/* The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. What is believed is the directory
 * at the end; an entry's own header only says where its bytes begin. */
#include "formats/zip.h"

#include <stdlib.h>
#include <string.h>

#include "formats/weights.h"

enum {
    END_SIZE = 22,
    COMMENT_LIMIT = 65535,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    LISTED_SIZE = 46, /* of an entry in the directory, without what follows it */
    HEADER_SIZE = 30, /* of an entry's own header */
    DIRECTORY_LIMIT = 64 << 20
};

static uint64_t number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

static bool is_mark(const uint8_t *at, char a, char b)
{
    return at[0] == 'P' && at[1] == 'K' && at[2] == a && at[3] == b;
}

static tuff_status damaged(const tuff_zip_source *s, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s: the archive is truncated or corrupted", s->path, what);
}

/* Bytes that the caller knows to be there. */
static tuff_status get(const tuff_zip_source *s, size_t at, size_t size, void *out)
{
    if (s->file) return tuff_file_read(s->file, at, out, size);
    if (size) memcpy(out, s->data + at, size);
    return TUFF_OK;
}

/* Where the directory is, by the record at the end. */
typedef struct place {
    uint64_t at, size, count;
    size_t end; /* of what may be entries: the directory lies before */
} place;

/* The record of archives with more or larger parts than 32 bits can say, if there is one before `end`. */
static tuff_status find_end64(const tuff_zip_source *s, size_t end, place *out)
{
    uint8_t locator[LOCATOR_SIZE], record[END64_SIZE];
    if (end < LOCATOR_SIZE) return TUFF_OK;
    TUFF_TRY(get(s, end - LOCATOR_SIZE, LOCATOR_SIZE, locator));
    if (!is_mark(locator, 6, 7)) return TUFF_OK;
    const uint64_t at = number(locator + 8, 8);
    if (end - LOCATOR_SIZE < END64_SIZE || at > end - LOCATOR_SIZE - END64_SIZE)
        return damaged(s, "its record for 64-bit sizes lies outside it");
    TUFF_TRY(get(s, (size_t)at, END64_SIZE, record));
    if (!is_mark(record, 6, 6)) return damaged(s, "its record for 64-bit sizes is not where it should be");
    *out = (place){.count = number(record + 32, 8),
                   .size = number(record + 40, 8),
                   .at = number(record + 48, 8),
                   .end = (size_t)at};
    return TUFF_OK;
}

static tuff_status find_directory(const tuff_zip_source *s, place *out)
{
    const size_t tail = s->size < END_SIZE + COMMENT_LIMIT ? s->size : END_SIZE + COMMENT_LIMIT;
    size_t at = tail < END_SIZE ? 0 : tail - END_SIZE + 1;
    uint8_t *bytes = tuff_alloc(tail);
    if (!bytes) return tuff_fail_memory("the end of an archive");
    tuff_status status = get(s, s->size - tail, tail, bytes);
    bool found = false;
    while (status == TUFF_OK && !found && at-- > 0)
        found = is_mark(bytes + at, 5, 6) && number(bytes + at + 20, 2) == tail - END_SIZE - at;
    if (found) {
        out->end = s->size - tail + at;
        out->count = number(bytes + at + 10, 2);
        out->size = number(bytes + at + 12, 4);
        out->at = number(bytes + at + 16, 4);
    }
    tuff_free(bytes);
    TUFF_TRY(status);
    if (!found) return damaged(s, "the end of a zip archive is missing");
    TUFF_TRY(find_end64(s, out->end, out));
    if (out->at > out->end || out->size > out->end - out->at || out->count > out->size / LISTED_SIZE)
        return damaged(s, "its directory lies outside it");
    if (out->size > DIRECTORY_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: its directory takes %llu bytes; at most %d are read", s->path,
                         (unsigned long long)out->size, DIRECTORY_LIMIT);
    out->end = (size_t)out->at;
    return TUFF_OK;
}

/* Replaces what 32 bits cannot say by the 64-bit numbers behind an entry's name. */
static tuff_status widen(const tuff_zip_source *s, const char *name, const uint8_t *extra, size_t size,
                         uint64_t *const fields[3])
{
    uint64_t largest = 0;
    for (int i = 0; i < 3; i++)
        largest = *fields[i] > largest ? *fields[i] : largest;
    if (largest < UINT32_MAX) return TUFF_OK;
    while (size >= 4 && number(extra + 2, 2) <= size - 4) {
        const size_t length = (size_t)number(extra + 2, 2);
        if (number(extra, 2) != 1) {
            extra += 4 + length;
            size -= 4 + length;
            continue;
        }
        size_t at = 0;
        for (int i = 0; i < 3 && at + 8 <= length; i++) {
            if (*fields[i] != UINT32_MAX) continue;
            *fields[i] = number(extra + 4 + at, 8);
            at += 8;
        }
        return TUFF_OK;
    }
    return tuff_fail(TUFF_BAD_FORMAT, "%s: the 64-bit sizes of its entry '%s' are missing", s->path, name);
}

/* Where the bytes of an entry begin: behind its own header. `end` is the directory's begin. */
static tuff_status find_bytes(const tuff_zip_source *s, size_t end, uint64_t header, uint64_t size,
                              tuff_zip_entry *entry)
{
    uint8_t bytes[HEADER_SIZE];
    if (header > end || end - header < HEADER_SIZE)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its entry '%s' lies outside it: it is truncated or corrupted",
                         s->path, entry->name);
    TUFF_TRY(get(s, (size_t)header, HEADER_SIZE, bytes));
    if (!is_mark(bytes, 3, 4))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its entry '%s' does not begin where the directory says",
                         s->path, entry->name);
    const uint64_t before = header + HEADER_SIZE + number(bytes + 26, 2) + number(bytes + 28, 2);
    if (before > end || size > end - before)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its entry '%s' of %llu bytes does not fit into it", s->path,
                         entry->name, (unsigned long long)size);
    entry->header = (size_t)header;
    entry->at = (size_t)before;
    entry->size = (size_t)size;
    return TUFF_OK;
}

/* One entry of the directory, of which `left` bytes remain; *out_taken is what it takes of them. */
static tuff_status read_entry(const tuff_zip_source *s, tuff_zip *zip, size_t end, const uint8_t *at,
                              size_t left, size_t *out_taken)
{
    if (left < LISTED_SIZE || !is_mark(at, 1, 2)) return damaged(s, "its directory ends early");
    const size_t name = (size_t)number(at + 28, 2), extra = (size_t)number(at + 30, 2);
    const size_t taken = LISTED_SIZE + name + extra + (size_t)number(at + 32, 2);
    if (taken > left) return damaged(s, "its directory ends early");
    const char *text = (const char *)at + LISTED_SIZE;
    if (name == 0 || memchr(text, 0, name) || !tuff_weight_name_valid(text, name))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the name of its entry %zu is no printable UTF-8 text", s->path,
                         zip->count);
    char *copy = tuff_arena_alloc(&zip->arena, name + 1);
    if (!copy) return tuff_fail_memory("the directory of an archive");
    memcpy(copy, text, name);
    tuff_zip_entry *entry = &zip->entries[zip->count];
    *entry = (tuff_zip_entry){.name = copy};
    if (number(at + 8, 2) & 1)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: its entry '%s' is encrypted", s->path, copy);
    if (number(at + 10, 2) != 0)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: its entry '%s' is compressed (method %u); entries are read that are stored as they are, "
            "as torch.save writes them",
            s->path, copy, (unsigned)number(at + 10, 2));
    uint64_t packed = number(at + 20, 4), size = number(at + 24, 4), header = number(at + 42, 4);
    TUFF_TRY(widen(s, copy, at + LISTED_SIZE + name, extra, (uint64_t *const[]){&size, &packed, &header}));
    if (packed != size)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its entry '%s' is stored as it is, yet in %llu bytes for %llu",
                         s->path, copy, (unsigned long long)packed, (unsigned long long)size);
    TUFF_TRY(find_bytes(s, end, header, size, entry));
    uint32_t other;
    if (tuff_map_get(&zip->by_name, copy, name, &other))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its entry '%s' is there twice", s->path, copy);
    if (!tuff_map_put(&zip->by_name, copy, name, (uint32_t)zip->count))
        return tuff_fail_memory("the directory of an archive");
    zip->count++;
    *out_taken = taken;
    return TUFF_OK;
}

static int by_header(const void *a, const void *b)
{
    const tuff_zip_entry *x = *(const tuff_zip_entry *const *)a, *y = *(const tuff_zip_entry *const *)b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static tuff_status check_overlap(const tuff_zip_source *s, const tuff_zip *zip)
{
    const tuff_zip_entry **sorted = tuff_alloc_array(zip->count, sizeof *sorted);
    if (!sorted) return tuff_fail_memory("the directory of an archive");
    for (size_t i = 0; i < zip->count; i++)
        sorted[i] = &zip->entries[i];
    qsort(sorted, zip->count, sizeof *sorted, by_header);
    tuff_status status = TUFF_OK;
    for (size_t i = 1; i < zip->count && status == TUFF_OK; i++)
        if (sorted[i]->header < sorted[i - 1]->at + sorted[i - 1]->size)
            status = tuff_fail(TUFF_BAD_FORMAT, "%s: its entries '%s' and '%s' overlap", s->path,
                               sorted[i - 1]->name, sorted[i]->name);
    tuff_free(sorted);
    return status;
}

tuff_status tuff_zip_open(const tuff_zip_source *source, tuff_zip **out_zip)
{
    tuff_status status;
    place p = {0};
    uint8_t *directory = NULL;
    size_t at = 0, taken = 0;
    tuff_zip *zip = *out_zip = tuff_alloc(sizeof *zip);
    if (!zip) return tuff_fail_memory("an archive");
    TUFF_GO(find_directory(source, &p));
    directory = tuff_alloc((size_t)p.size);
    zip->entries = tuff_alloc_array((size_t)p.count, sizeof *zip->entries);
    if (!directory || !zip->entries) TUFF_GO(tuff_fail_memory("the directory of an archive"));
    TUFF_GO(get(source, (size_t)p.at, (size_t)p.size, directory));
    while (zip->count < p.count) {
        TUFF_GO(read_entry(source, zip, p.end, directory + at, (size_t)p.size - at, &taken));
        at += taken;
    }
    TUFF_GO(check_overlap(source, zip));
done:
    tuff_free(directory);
    if (status != TUFF_OK) tuff_zip_destroy(out_zip);
    return status;
}

void tuff_zip_destroy(tuff_zip **zip)
{
    if (!*zip) return;
    tuff_free((*zip)->entries);
    tuff_map_free(&(*zip)->by_name);
    tuff_arena_free(&(*zip)->arena);
    tuff_free(*zip);
    *zip = NULL;
}

const tuff_zip_entry *tuff_zip_find(const tuff_zip *zip, const char *name)
{
    uint32_t index;
    return tuff_map_get(&zip->by_name, name, strlen(name), &index) ? &zip->entries[index] : NULL;
}

tuff_status tuff_zip_read(const tuff_zip_source *source, const tuff_zip_entry *entry, size_t limit,
                          tuff_buf *out)
{
    if (entry->size > limit)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: its entry '%s' has %zu bytes; at most %zu are read",
                         source->path, entry->name, entry->size, limit);
    char *bytes = tuff_alloc(entry->size);
    if (!bytes) return tuff_fail_memory("an entry of an archive");
    tuff_status status = get(source, entry->at, entry->size, bytes);
    if (status == TUFF_OK) tuff_buf_bytes(out, bytes, entry->size);
    tuff_free(bytes);
    if (status == TUFF_OK && out->failed) return tuff_fail_memory("an entry of an archive");
    return status;
}
