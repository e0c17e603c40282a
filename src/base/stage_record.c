#include "base/stage_record.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

static const char head[] = "tuff commit 1\n", tail[] = "end\n";

static bool part_valid(const char *name, size_t size)
{
    if (size == 0 || size > 255 || !tuff_utf8_valid(name, size)) return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || name[i] == '/') return false;
    bool dots = name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.'));
    return !dots && !(size >= 6 && memcmp(name, ".tuff-", 6) == 0);
}

bool tuff_stage_name_valid(const char *name, size_t size)
{
    const char *slash = size <= 255 ? memchr(name, '/', size) : NULL;
    if (!slash) return part_valid(name, size);
    size_t folder = (size_t)(slash - name);
    return part_valid(name, folder) && part_valid(slash + 1, size - folder - 1);
}

bool tuff_stage_record_has(const tuff_stage_record *record, const char *name)
{
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->entries[i].name, name) == 0) return true;
    return false;
}

tuff_status tuff_stage_record_add(tuff_stage_record *record, const char *name, uint64_t size, bool remove)
{
    char *copy = tuff_strdup(name);
    if (!copy ||
        !tuff_grow((void **)&record->entries, record->count, &record->capacity, sizeof *record->entries)) {
        tuff_free(copy);
        return tuff_fail_memory("the list of an output directory's files");
    }
    record->entries[record->count++] = (tuff_stage_entry){copy, size, remove};
    return TUFF_OK;
}

void tuff_stage_record_print(const tuff_stage_record *record, tuff_buf *out)
{
    tuff_buf_text(out, head);
    for (size_t i = 0; i < record->count; i++) {
        const tuff_stage_entry *entry = &record->entries[i];
        if (entry->remove)
            tuff_buf_printf(out, "remove 0 %s\n", entry->name);
        else
            tuff_buf_printf(out, "put %" PRIu64 " %s\n", entry->size, entry->name);
    }
    tuff_buf_text(out, tail);
}

/* A decimal number of at most 18 digits, as it is printed: without zeros in front. */
static bool take_number(const char **at, const char *end, uint64_t *out)
{
    const char *first = *at;
    *out = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - first < 18)
        *out = *out * 10 + (uint64_t)(*(*at)++ - '0');
    return *at > first && (*first != '0' || *at - first == 1);
}

static bool take_word(const char **at, const char *end, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(end - *at) < size || memcmp(*at, word, size) != 0) return false;
    *at += size;
    return true;
}

/* One line without its end. */
static tuff_status take_line(const char *at, const char *end, const char *where, tuff_stage_record *out)
{
    uint64_t size;
    bool remove = take_word(&at, end, "remove ");
    bool good = (remove || take_word(&at, end, "put ")) && take_number(&at, end, &size) &&
                !(remove && size) && take_word(&at, end, " ") &&
                tuff_stage_name_valid(at, (size_t)(end - at));
    if (!good)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: line %zu is no entry of a commit's record", where,
                         out->count + 2);
    char name[256];
    memcpy(name, at, (size_t)(end - at));
    name[end - at] = 0;
    if (tuff_stage_record_has(out, name))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is listed twice", where, name);
    return tuff_stage_record_add(out, name, size, remove);
}

tuff_status tuff_stage_record_parse(const char *text, size_t size, const char *where, tuff_stage_record *out)
{
    *out = (tuff_stage_record){0};
    enum { MOST = 4096 }; /* entries: each is looked for among those before it */
    const char *at = text, *end = text + size;
    tuff_status status = TUFF_OK;
    bool good = take_word(&at, end, head);
    while (good && status == TUFF_OK && (size_t)(end - at) > sizeof tail - 1) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        good = line_end && out->count < MOST;
        if (good) status = take_line(at, line_end, where, out);
        at = good ? line_end + 1 : end;
    }
    if (status == TUFF_OK && !(good && take_word(&at, end, tail) && at == end))
        status = tuff_fail(TUFF_BAD_FORMAT, "%s: it is no whole record of a commit", where);
    if (status != TUFF_OK) tuff_stage_record_free(out);
    return status;
}

void tuff_stage_record_free(tuff_stage_record *record)
{
    for (size_t i = 0; i < record->count; i++)
        tuff_free(record->entries[i].name);
    tuff_free(record->entries);
    *record = (tuff_stage_record){0};
}
