/* A scale is searched for among candidates. Each rounds the elements; the line that fits the rounded ones
 * best is what counts, and in the end it rounds anew, as long as that is better. */
#include "formats/quantize_search.h"

#include <string.h>

enum {
    CUTS = 5,        /* places from which a range may begin: this side of its lowest and beyond */
    COUNTS = 9,      /* sizes of its steps */
    SHARES = 19,     /* sizes of steps around 0, for each sign */
    STEP_TRIES = 15, /* the same of a table */
    AGAIN = 3        /* how often the best line rounds anew */
};

void tuff_sum_lines(const tuff_groups *groups, tuff_whole_range range, const tuff_lanes inverse,
                    const tuff_lanes from, tuff_line_sums *out)
{
    tuff_line_sums t = {0};
    for (int i = 0; i < groups->n; i++)
#pragma omp simd
        for (int g = 0; g < TUFF_LANES; g++) {
            const float x = groups->x[i][g], w = groups->w[i][g];
            const float q = tuff_whole_of(x, inverse[g], from[g], range), wq = w * q;
            t.w[g] += w;
            t.x[g] += w * x;
            t.q[g] += wq;
            t.qq[g] += wq * q;
            t.xq[g] += wq * x;
        }
    *out = t;
}

void tuff_sum_errors(const tuff_groups *groups, tuff_whole_range range, const tuff_lanes scale,
                     const tuff_lanes from, tuff_lanes out)
{
    tuff_lanes inverse, t = {0};
    for (int g = 0; g < TUFF_LANES; g++)
        inverse[g] = tuff_inverse(scale[g]);
    for (int i = 0; i < groups->n; i++)
#pragma omp simd
        for (int g = 0; g < TUFF_LANES; g++) {
            const float x = groups->x[i][g], q = tuff_whole_of(x, inverse[g], from[g], range);
            const float error = scale[g] * q + from[g] - x;
            t[g] += groups->w[i][g] * error * error;
        }
    memcpy(out, t, sizeof t);
}

/* What is known of groups before any scale, and the best that was found. */
typedef struct range_search {
    tuff_groups groups; /* x less the lowest: near 0 sums keep their digits */
    tuff_whole_range range;
    bool free;
    tuff_lanes lowest, span; /* the lowest, or 0 where all are above and least may not be; to the highest */
    tuff_lanes xx;           /* sum of weighted x^2 */
    tuff_lanes scale, least, error;
} range_search;

static void begin_range(const tuff_groups *groups, float most, bool free, range_search *s)
{
    tuff_lanes high;
    memset(s, 0, sizeof *s);
    s->free = free;
    if (free) memcpy(s->lowest, groups->x[0], sizeof s->lowest);
    s->groups.n = groups->n;
    s->range.high = most;
    memcpy(high, groups->x[0], sizeof high);
    for (int i = 0; i < groups->n; i++)
        for (int g = 0; g < TUFF_LANES; g++) {
            const float x = groups->x[i][g];
            s->lowest[g] = x < s->lowest[g] ? x : s->lowest[g];
            high[g] = x > high[g] ? x : high[g];
        }
    for (int i = 0; i < groups->n; i++)
        for (int g = 0; g < TUFF_LANES; g++) {
            const float x = groups->x[i][g] - s->lowest[g], w = groups->w[i][g];
            s->groups.x[i][g] = x;
            s->groups.w[i][g] = w;
            s->xx[g] += w * x * x;
        }
    for (int g = 0; g < TUFF_LANES; g++) {
        s->span[g] = high[g] - s->lowest[g];
        s->error[g] = s->xx[g];
    }
}

/* Rounds, draws the best line through what comes of it, and keeps that where it is the best so far. */
static void try_range(range_search *s, const tuff_lanes inverse, const tuff_lanes from)
{
    tuff_line_sums t;
    tuff_sum_lines(&s->groups, s->range, inverse, from, &t);
#pragma omp simd
    for (int g = 0; g < TUFF_LANES; g++) {
        const float det = t.w[g] * t.qq[g] - t.q[g] * t.q[g];
        const float through = t.qq[g] > 0 ? t.xq[g] / t.qq[g] : 0; /* the line from the lowest on */
        float scale = det > 0 ? (t.w[g] * t.xq[g] - t.x[g] * t.q[g]) / det : through;
        float least = det > 0 ? (t.x[g] - scale * t.q[g]) / t.w[g] : 0;
        const int above = !s->free && least > -s->lowest[g];
        scale = above ? through : scale;
        least = above ? 0 : least;
        const float error = s->xx[g] - scale * t.xq[g] - least * t.x[g];
        const int better = error < s->error[g] && scale > 0;
        s->error[g] = better ? error : s->error[g];
        s->scale[g] = better ? scale : s->scale[g];
        s->least[g] = better ? least : s->least[g];
    }
}

void tuff_fit_range(const tuff_groups *groups, float most, bool free, tuff_lanes scale, tuff_lanes least)
{
    range_search s;
    tuff_lanes inverse, from;
    begin_range(groups, most, free, &s);
    for (int i = 0; i < CUTS; i++)
        for (int j = 0; j < COUNTS; j++) {
            const float cut = 0.25f * (float)i - 0.25f, count = most + cut + 0.2f * (float)j - 0.8f;
            for (int g = 0; g < TUFF_LANES; g++) {
                inverse[g] = count * tuff_inverse(s.span[g]);
                from[g] = cut / count * s.span[g];
            }
            try_range(&s, inverse, from);
        }
    for (int i = 0; i < AGAIN; i++) {
        for (int g = 0; g < TUFF_LANES; g++) {
            inverse[g] = tuff_inverse(s.scale[g]);
            from[g] = s.least[g];
        }
        try_range(&s, inverse, from);
    }
    for (int g = 0; g < TUFF_LANES; g++) {
        scale[g] = s.scale[g];
        least[g] = s.least[g] + s.lowest[g];
        if (!free && least[g] > 0) least[g] = 0;
    }
}

/* The same for x that is about scale * q. */
typedef struct step_search {
    const tuff_groups *groups;
    tuff_lanes top;         /* of the largest size, with its sign */
    tuff_lanes scale, gain; /* sum of x^2 less the error */
} step_search;

static void begin_steps(const tuff_groups *groups, step_search *s)
{
    memset(s, 0, sizeof *s);
    s->groups = groups;
    for (int i = 0; i < groups->n; i++)
        for (int g = 0; g < TUFF_LANES; g++) {
            const float x = groups->x[i][g], top = s->top[g];
            s->top[g] = fabsf(x) > fabsf(top) ? x : top;
        }
}

static void keep_steps(step_search *s, const tuff_line_sums *t)
{
    for (int g = 0; g < TUFF_LANES; g++) {
        const float scale = t->qq[g] > 0 ? t->xq[g] / t->qq[g] : 0, gain = scale * t->xq[g];
        const int better = gain > s->gain[g];
        s->gain[g] = better ? gain : s->gain[g];
        s->scale[g] = better ? scale : s->scale[g];
    }
}

static void try_steps(step_search *s, tuff_whole_range range, const tuff_lanes inverse)
{
    static const tuff_lanes zero;
    tuff_line_sums t;
    tuff_sum_lines(s->groups, range, inverse, zero, &t);
    keep_steps(s, &t);
}

void tuff_fit_steps(const tuff_groups *groups, tuff_whole_range range, tuff_lanes scale)
{
    step_search s;
    tuff_lanes inverse;
    begin_steps(groups, &s);
    for (int end = 0; end < 2; end++) /* the largest is about the lowest whole number, or about the highest */
        for (int i = 0; i < SHARES; i++) {
            const float share = 0.1f * (float)i - 0.9f, at = end ? range.high + share : range.low - share;
            for (int g = 0; g < TUFF_LANES; g++)
                inverse[g] = at * tuff_inverse(s.top[g]);
            try_steps(&s, range, inverse);
        }
    for (int i = 0; i < AGAIN; i++) {
        for (int g = 0; g < TUFF_LANES; g++)
            inverse[g] = tuff_inverse(s.scale[g]);
        try_steps(&s, range, inverse);
    }
    memcpy(scale, s.scale, sizeof s.scale);
}

static void try_table(step_search *s, const tuff_table *table, const tuff_lanes inverse)
{
    tuff_line_sums t = {0};
    for (int i = 0; i < s->groups->n; i++)
        for (int g = 0; g < TUFF_LANES; g++) {
            const float x = s->groups->x[i][g], q = table->nearest[tuff_table_place(x * inverse[g])];
            const float wq = s->groups->w[i][g] * q;
            t.qq[g] += wq * q;
            t.xq[g] += wq * x;
        }
    keep_steps(s, &t);
}

void tuff_fit_table(const tuff_groups *groups, const tuff_table *table, tuff_lanes scale)
{
    step_search s;
    tuff_lanes inverse;
    begin_steps(groups, &s);
    for (int end = 0; end < 2; end++)
        for (int i = 0; i < STEP_TRIES; i++) {
            const float at = (end ? table->highest : table->lowest) * (0.85f + 0.02f * (float)i);
            for (int g = 0; g < TUFF_LANES; g++)
                inverse[g] = at * tuff_inverse(s.top[g]);
            try_table(&s, table, inverse);
        }
    for (int i = 0; i < AGAIN; i++) {
        for (int g = 0; g < TUFF_LANES; g++)
            inverse[g] = tuff_inverse(s.scale[g]);
        try_table(&s, table, inverse);
    }
    memcpy(scale, s.scale, sizeof s.scale);
}
