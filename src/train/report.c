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

static int64_t begin_of(const tuff_dataset *data, int64_t example)
{
    return data->starts[example * members(data)];
}

/* What tells an example's tokens from another's. */
static uint64_t print_of(const tuff_dataset *data, int64_t example)
{
    const int64_t begin = begin_of(data, example), n = begin_of(data, example + 1) - begin;
    const uint64_t both[] = {tuff_fnv1a(data->ids + begin, (size_t)n * sizeof *data->ids), (uint64_t)n};
    return tuff_fnv1a(both, sizeof both);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Those of all examples in order: eight bytes each, as there may be many. */
static tuff_status sort_prints(const tuff_dataset *data, uint64_t **out)
{
    const int64_t n = examples_of(data);
    uint64_t *prints = *out = tuff_alloc_array((size_t)n, sizeof *prints);
    if (!prints) return tuff_fail_memory("a report on a data set");
    for (int64_t i = 0; i < n; i++)
        prints[i] = print_of(data, i);
    if (n) qsort(prints, (size_t)n, sizeof *prints, by_number);
    return TUFF_OK;
}

static tuff_status count_duplicates(const tuff_dataset *data, int64_t *out)
{
    uint64_t *prints;
    TUFF_TRY(sort_prints(data, &prints));
    for (int64_t i = 1; i < examples_of(data); i++)
        *out += prints[i] == prints[i - 1];
    tuff_free(prints);
    return TUFF_OK;
}

/* The width of the bars: the least of 8, 16, 32, ... with which they hold a length. */
static int64_t bar_of(int64_t longest)
{
    int64_t bar = 8;
    while (bar * TUFF_DATA_BARS < longest)
        bar *= 2;
    return bar;
}

/* By how often each length is there. */
static tuff_status measure_lengths(const tuff_dataset *data, tuff_data_report *out)
{
    const int64_t n = examples_of(data);
    out->shortest = out->longest = begin_of(data, 1);
    for (int64_t i = 0; i < n; i++) {
        const int64_t length = begin_of(data, i + 1) - begin_of(data, i);
        if (length < out->shortest) out->shortest = length;
        if (length > out->longest) out->longest = length;
    }
    int64_t *counts = tuff_alloc_array((size_t)out->longest + 1, sizeof *counts), before = 0;
    if (!counts) return tuff_fail_memory("a report on a data set");
    for (int64_t i = 0; i < n; i++)
        counts[begin_of(data, i + 1) - begin_of(data, i)]++;
    out->median = out->p95 = -1;
    out->bar = bar_of(out->longest);
    for (int64_t length = 0; length <= out->longest; before += counts[length++]) {
        const int64_t behind = before + counts[length];
        if (out->median < 0 && behind > (n - 1) / 2) out->median = length;
        if (out->p95 < 0 && behind > (n * 95 + 99) / 100 - 1) out->p95 = length;
        out->bars[length ? (length - 1) / out->bar : 0] += counts[length];
    }
    tuff_free(counts);
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
    uint64_t *known;
    const size_t all = (size_t)examples_of(other);
    *out_count = 0;
    TUFF_TRY(sort_prints(other, &known));
    for (int64_t i = 0; i < examples_of(dataset); i++) {
        const uint64_t p = print_of(dataset, i);
        *out_count += bsearch(&p, known, all, sizeof p, by_number) != NULL;
    }
    tuff_free(known);
    return TUFF_OK;
}
