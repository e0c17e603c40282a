/* The texts behind hits: some records of a file, by their numbers. */
#include <stdlib.h>
#include <string.h>
#include <tuff/embed.h>

#include "base/memory.h"
#include "formats/records.h"

typedef struct wanted {
    int64_t row;
    size_t at; /* in the caller's arrays */
} wanted;

static int by_row(const void *a, const void *b)
{
    const wanted *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static char *copy(tuff_view text)
{
    char *out = tuff_alloc(text.size + 1);
    if (out && text.size) memcpy(out, text.data, text.size);
    return out;
}

/* Reads on until all of list[0..n), which is sorted, are found. */
static tuff_status collect(tuff_records *records, const char *path, const wanted *list, size_t n,
                           char **out_texts)
{
    int64_t row = 0;
    for (size_t i = 0; i < n; row++) {
        tuff_view text;
        bool there = false;
        TUFF_TRY(tuff_records_next(records, &text, &there));
        if (!there)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has %lld records; record %lld is asked for", path,
                             (long long)row, (long long)list[i].row);
        for (; i < n && list[i].row == row; i++)
            if (!(out_texts[list[i].at] = copy(text))) return tuff_fail_memory("a record");
    }
    return TUFF_OK;
}

tuff_status tuff_record_texts(const char *path, const char *field, const int64_t *rows, size_t n,
                              char **out_texts)
{
    TUFF_NEED(path);
    TUFF_NEED_MANY(rows, n);
    TUFF_NEED_MANY(out_texts, n);
    tuff_records *records = NULL;
    wanted *list = tuff_alloc_array(n + 1, sizeof *list);
    if (!list) return tuff_fail_memory("a list of records");
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < n; i++) {
        out_texts[i] = NULL;
        list[i] = (wanted){rows[i], i};
        if (rows[i] < 0)
            status = tuff_fail(TUFF_INVALID_ARGUMENT, "there is no record %lld", (long long)rows[i]);
    }
    qsort(list, n, sizeof *list, by_row);
    if (status == TUFF_OK)
        status = tuff_records_open(path, TUFF_RECORDS_AUTO, &field, field ? 1 : 0, &records);
    if (status == TUFF_OK) status = collect(records, path, list, n, out_texts);
    for (size_t i = 0; status != TUFF_OK && i < n; i++) {
        tuff_free(out_texts[i]);
        out_texts[i] = NULL;
    }
    tuff_records_close(&records);
    tuff_free(list);
    return status;
}
