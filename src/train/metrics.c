#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/status.h"

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

/* A mean is rounded, so that equal numbers may lie beside theirs. */
static bool all_equal(const double *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (x[i] != x[0]) return false;
    return true;
}

double tuff_pearson(const double *x, const double *y, size_t n)
{
    if (n < 1 || all_equal(x, n) || all_equal(y, n)) return NAN;
    double xm = mean_of(x, n), ym = mean_of(y, n), xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - xm) * (x[i] - xm);
        yy += (y[i] - ym) * (y[i] - ym);
        xy += (x[i] - xm) * (y[i] - ym);
    }
    return xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : NAN;
}

typedef struct placed {
    double value;
    size_t at;
} placed;

static int by_value(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Ranks from 1, equal values sharing the mean of theirs. */
static void rank(const double *x, size_t n, placed *sorted, double *out)
{
    for (size_t i = 0; i < n; i++)
        sorted[i] = (placed){x[i], i};
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && sorted[end].value == sorted[first].value;)
            end++;
        for (size_t i = first; i < end; i++)
            out[sorted[i].at] = (double)(first + 1 + end) / 2;
    }
}

static bool has_nan(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i])) return true;
    return false;
}

tuff_status tuff_spearman(const double *x, const double *y, size_t n, double *out)
{
    *out = NAN;
    if (has_nan(x, n) || has_nan(y, n)) return TUFF_OK;
    placed *sorted = tuff_alloc_array(n, sizeof *sorted);
    double *ranks = tuff_alloc_array(n, 2 * sizeof *ranks);
    tuff_status status = sorted && ranks ? TUFF_OK : tuff_fail_memory("ranks");
    if (status == TUFF_OK) {
        rank(x, n, sorted, ranks);
        rank(y, n, sorted, ranks + n);
        *out = tuff_pearson(ranks, ranks + n, n);
    }
    tuff_free(sorted);
    tuff_free(ranks);
    return status;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

double tuff_ndcg_at(const bool *relevant, size_t n, size_t all, size_t k)
{
    double gain = 0, best = 0;
    for (size_t i = 0; i < least(n, k); i++)
        if (relevant[i]) gain += 1 / log2((double)i + 2);
    for (size_t i = 0; i < least(all, k); i++)
        best += 1 / log2((double)i + 2);
    return gain / best;
}

double tuff_reciprocal_rank_at(const bool *relevant, size_t n, size_t k)
{
    for (size_t i = 0; i < least(n, k); i++)
        if (relevant[i]) return 1 / ((double)i + 1);
    return 0;
}

size_t tuff_found_at(const bool *relevant, size_t n, size_t k)
{
    size_t found = 0;
    for (size_t i = 0; i < least(n, k); i++)
        found += relevant[i];
    return found;
}

double tuff_average_precision_at(const bool *relevant, size_t n, size_t all, size_t k)
{
    double sum = 0, found = 0;
    for (size_t i = 0; i < least(n, k); i++)
        if (relevant[i]) sum += ++found / ((double)i + 1);
    return sum / (double)least(all, k);
}
