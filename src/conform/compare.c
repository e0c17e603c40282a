#include <math.h>

#include "conform/runner.h"

/* Root mean square over the finite values. */
static double rms(const double *x, int64_t n)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        sum += x[i] * x[i];
        count++;
    }
    return count == 0 ? 0 : sqrt(sum / (double)count);
}

static bool same_kind(double got, double want)
{
    if (isnan(want)) return isnan(got);
    if (isinf(want)) return got == want;
    return isfinite(got);
}

/* Error in units of the bound, signed; HUGE_VAL when a NaN or Inf is misplaced. */
static double units(double got, double want, double bound, double normal)
{
    if (!same_kind(got, want)) return HUGE_VAL;
    if (!isfinite(want)) return 0;
    double error = got - want;
    if (error == 0) return 0;
    /* a denormal may be flushed to zero, on the way in or out */
    if (fabs(want) < normal && got == 0) return 0;
    return bound > 0 ? error / bound : HUGE_VAL;
}

tuff_match tuff_compare(const double *got, const double *want, const double *other, int64_t n,
                        tuff_dtype dtype, const tuff_bound *bound)
{
    tuff_match match = {.at = -1};
    double relative = bound->c * tuff_data_eps(dtype) * sqrt(bound->k > 1 ? bound->k : 1);
    /* below the normal range the spacing is fixed: a few of it */
    double normal = tuff_data_min_normal(dtype), least = 8 * tuff_data_eps(dtype) * normal;
    double scale = fmax(rms(want, n), bound->scale);
    double sum = 0, squares = 0;
    int64_t counted = 0;
    bool misplaced = false;
    for (int64_t i = 0; i < n; i++) {
        double limit = relative * (fabs(want[i]) > scale ? fabs(want[i]) : scale);
        if (relative > 0) {
            if (limit < least) limit = least;
            if (bound->slack != NULL && isfinite(bound->slack[i])) limit += bound->slack[i];
        }
        double error = units(got[i], want[i], limit, normal);
        if (other != NULL && fabs(error) > 0) {
            double second = units(got[i], other[i], limit, normal);
            if (fabs(second) < fabs(error)) error = second;
        }
        if (fabs(error) > match.worst || match.at < 0) {
            match.worst = fabs(error);
            match.at = i;
            match.got = got[i];
            match.want = want[i];
            misplaced = !same_kind(got[i], want[i]);
        }
        if (isfinite(want[i]) && isfinite(error)) {
            sum += error;
            squares += error * error;
            counted++;
        }
    }
    if (counted > 0 && relative > 0) {
        /* Rounding errors are of both signs and most are far below the worst: the root mean square of many
         * stays under half a bound and their mean under a quarter; of few, both may be as large as the worst.
         */
        double few = 1 / sqrt((double)counted);
        double spread = sqrt(squares / (double)counted) / (0.5 + 0.5 * few);
        double mean = fabs(sum) / (double)counted / (0.25 + 0.75 * few);
        match.normwise = spread > mean ? spread : mean;
    }
    if (match.worst > 1)
        match.fault = misplaced ? "NaN or Inf in the wrong place" : "beyond its bound";
    else if (match.normwise > 1)
        match.fault = "biased: the norm-wise bound is exceeded";
    return match;
}
