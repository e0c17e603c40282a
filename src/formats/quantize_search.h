/* Searches for the scales of groups of numbers. Eight groups lie side by side: vector code works on all of
 * them, and adds up each in the same order on every machine. */
#ifndef TUFF_FORMATS_QUANTIZE_SEARCH_H
#define TUFF_FORMATS_QUANTIZE_SEARCH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

enum { TUFF_LANES = 8, TUFF_GROUP_MOST = 32 };
typedef float tuff_lanes[TUFF_LANES];

/* Element i of group g is at [i][g]; the square of its error counts w times. */
typedef struct tuff_groups {
    int n; /* elements of a group */
    tuff_lanes x[TUFF_GROUP_MOST], w[TUFF_GROUP_MOST];
} tuff_groups;

/* The whole numbers that may stand for an element. */
typedef struct tuff_whole_range {
    float low, high;
} tuff_whole_range;

/* Sums over a group from which the best line through the points (q, x) follows. */
typedef struct tuff_line_sums {
    tuff_lanes w, x; /* of weights and of weighted elements */
    tuff_lanes q, qq, xq;
} tuff_line_sums;

/* The nearest whole number, ties to even, of values below 2^22. */
static inline float tuff_whole(float value)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: its last bit is worth 1 */
    return (value + shift) - shift;
}

static inline float tuff_within(float value, float low, float high)
{
    value = value > low ? value : low; /* also where it is not a number */
    return value < high ? value : high;
}

/* The whole number that stands for x in from + q / inverse. */
static inline float tuff_whole_of(float x, float inverse, float from, tuff_whole_range range)
{
    return tuff_whole(tuff_within((x - from) * inverse, range.low, range.high));
}

static inline float tuff_inverse(float value)
{
    return fabsf(value) > 1e-37f ? 1 / value : 0;
}

/* Of elements that are rounded to from + q / inverse. */
void tuff_sum_lines(const tuff_groups *groups, tuff_whole_range range, const tuff_lanes inverse,
                    const tuff_lanes from, tuff_line_sums *out);
/* The weighted squares of the errors of elements that are rounded to from + scale * q. */
void tuff_sum_errors(const tuff_groups *groups, tuff_whole_range range, const tuff_lanes scale,
                     const tuff_lanes from, tuff_lanes out);

/* Scale and least of each group, so that x is about scale * q + least for whole q of 0 to `most`. The least
 * is at most 0, or any number where it is `free`. */
void tuff_fit_range(const tuff_groups *groups, float most, bool free, tuff_lanes scale, tuff_lanes least);
/* The scale of each group, so that x is about scale * q for whole q of the range, which begins below 0. It
 * may be negative. */
void tuff_fit_steps(const tuff_groups *groups, tuff_whole_range range, tuff_lanes scale);

/* The same where q is one of 16 steps within -127 to 127, looked up by twice what is divided by the scale. */
enum { TUFF_TABLE_PLACES = 512 };
typedef struct tuff_table {
    float lowest, highest;
    float nearest[TUFF_TABLE_PLACES];  /* step, */
    uint8_t number[TUFF_TABLE_PLACES]; /* and its number */
} tuff_table;
static inline int tuff_table_place(float value)
{
    return (int)(2 * tuff_within(value, -127.5f, 127.5f)) + TUFF_TABLE_PLACES / 2;
}
void tuff_fit_table(const tuff_groups *groups, const tuff_table *table, tuff_lanes scale);

#endif
