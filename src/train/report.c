/* What a data set holds, for people; which of its examples another one has. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/structs.h"
#include "train/task.h"

/* Sequences of an example. */
static int64_t members(const tuff_dataset *data)
{
    return data->task->sequences ? data->task->sequences(data) : 1;
}

/* Of data whose examples are sequences. */
static int64_t examples_of(const tuff_dataset *data)
{
    return data->starts ? data->sequences / members(data) : 0;
}

/* What tells an example's tokens from another's. */
typedef struct print {
    uint64_t hash;
    int64_t tokens;
} print;

static int64_t begin_of(const tuff_dataset *data, int64_t example)
{
    return data->starts[example * members(data)];
}

static print print_of(const tuff_dataset *data, int64_t example)
{
    const int64_t begin = begin_of(data, example), n = begin_of(data, example + 1) - begin;
    return (print){tuff_fnv1a(data->ids + begin, (size_t)n * sizeof *data->ids), n};
}

static tuff_status put_print(tuff_map *map, const print *p)
{
    return tuff_map_put(map, p, sizeof *p, 0) ? TUFF_OK : tuff_fail_memory("a report on a data set");
}

static tuff_status count_duplicates(const tuff_dataset *data, int64_t *out)
{
    tuff_map seen = {0};
    tuff_status status = TUFF_OK;
    uint32_t unused;
    for (int64_t i = 0; i < examples_of(data) && status == TUFF_OK; i++) {
        const print p = print_of(data, i);
        if (tuff_map_get(&seen, &p, sizeof p, &unused))
            ++*out;
        else
            status = put_print(&seen, &p);
    }
    tuff_map_free(&seen);
    return status;
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The width of the bars: the least of 8, 16, 32, ... with which they hold a length. */
static int64_t bar_of(int64_t longest)
{
    int64_t bar = 8;
    while (bar * TUFF_DATA_BARS < longest)
        bar *= 2;
    return bar;
}

static tuff_status measure_lengths(const tuff_dataset *data, tuff_data_report *out)
{
    const int64_t n = examples_of(data);
    int64_t *lengths = tuff_alloc_array((size_t)n, sizeof *lengths);
    if (!lengths) return tuff_fail_memory("a report on a data set");
    for (int64_t i = 0; i < n; i++)
        lengths[i] = begin_of(data, i + 1) - begin_of(data, i);
    qsort(lengths, (size_t)n, sizeof *lengths, by_value);
    out->shortest = lengths[0];
    out->median = lengths[(n - 1) / 2];
    out->p95 = lengths[(n * 95 + 99) / 100 - 1];
    out->longest = lengths[n - 1];
    out->bar = bar_of(out->longest);
    for (int64_t i = 0; i < n; i++)
        out->bars[lengths[i] ? (lengths[i] - 1) / out->bar : 0]++;
    tuff_free(lengths);
    return TUFF_OK;
}

tuff_status tuff_dataset_get_report(const tuff_dataset *dataset, tuff_data_report *out_report)
{
    TUFF_NEED(dataset);
    TUFF_NEED(out_report);
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    TUFF_TRY(TUFF_GIVE(out_report, &r, TUFF_DATA_REPORT_INIT, bars));
    const int64_t n = examples_of(dataset);
    r.examples = n ? n : dataset->task->count(dataset, true);
    r.tokens = dataset->tokens;
    r.malformed = dataset->malformed;
    r.empty = dataset->empty;
    r.unanswered = dataset->unanswered;
    r.cut = dataset->cut;
    r.windows_lines = dataset->windows_lines;
    if (dataset->task->describe) dataset->task->describe(dataset, &r);
    if (n) TUFF_TRY(measure_lengths(dataset, &r));
    TUFF_TRY(count_duplicates(dataset, &r.duplicates));
    return TUFF_GIVE(out_report, &r, TUFF_DATA_REPORT_INIT, bars);
}

bool tuff_dataset_label(const tuff_dataset *dataset, size_t index, const char **out_name, int64_t *out_count)
{
    if (!dataset || !out_name || !out_count || !dataset->task->label) return false;
    return dataset->task->label(dataset, index, out_name, out_count);
}

tuff_status tuff_dataset_count_known(const tuff_dataset *dataset, const tuff_dataset *other,
                                     int64_t *out_count)
{
    TUFF_NEED(dataset);
    TUFF_NEED(other);
    TUFF_NEED(out_count);
    tuff_map known = {0};
    tuff_status status = TUFF_OK;
    uint32_t unused;
    *out_count = 0;
    for (int64_t i = 0; i < examples_of(other) && status == TUFF_OK; i++) {
        const print p = print_of(other, i);
        status = put_print(&known, &p);
    }
    for (int64_t i = 0; i < examples_of(dataset) && status == TUFF_OK; i++) {
        const print p = print_of(dataset, i);
        *out_count += tuff_map_get(&known, &p, sizeof p, &unused);
    }
    tuff_map_free(&known);
    return status;
}
