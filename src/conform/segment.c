/* Cases of means and maxima over segments of rows. */
#include <math.h>
#include <stdint.h>

#include "conform/case.h"

enum { MEAN, BY_POSITION, MAXIMUM };
enum { ROWS, COLUMNS, SEGMENTS, KIND, LAYOUT, DATA, TRANSPOSED };
enum { PACKED, OUTSIDE, OVERLAPPING };
enum { MOST_SEGMENTS = 96, WORDS = 4, MOST_ELEMENTS = 4096 };

/* Segments that partly or wholly lie outside of n rows, are empty or have a negative length. */
static void place_outside(int64_t i, int64_t n, double *begin, double *length)
{
    const double table[][2] = {
        {-4, 7},        {(double)n - 2, 9},     {(double)n, 3},         {3, 0},          {2, -5},
        {1, INT32_MAX}, {-1, INT32_MAX},        {INT32_MIN, INT32_MAX}, {-3, 3},         {0, 1},
        {-2, 3},        {INT32_MAX, INT32_MAX}, {(double)n, -2},        {-5, INT32_MIN},
    };
    enum { N = sizeof table / sizeof table[0] };
    *begin = table[i % N][0];
    *length = table[i % N][1];
}

static tuff_tensor *make_segments(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double words[MOST_SEGMENTS * WORDS];
    int64_t n = p[ROWS], count = p[SEGMENTS] < MOST_SEGMENTS ? p[SEGMENTS] : MOST_SEGMENTS;
    for (int64_t i = 0; i < count; i++) {
        double *s = words + i * WORDS;
        if (p[LAYOUT] == PACKED) { /* of lengths that grow, none left out */
            s[0] = (double)(n * i * i / (count * count));
            s[1] = (double)(n * (i + 1) * (i + 1) / (count * count)) - s[0];
        } else if (p[LAYOUT] == OVERLAPPING) {
            s[0] = (double)(i * 5 % n);
            s[1] = (double)(n / 2 + i % 3);
        } else {
            place_outside(i, n, &s[0], &s[1]);
        }
        s[2] = (double)(i * 7 - 3); /* the keys' place and number are none of pooling's business */
        s[3] = (double)(i + 1);
    }
    return tuff_case_data(run, g, TUFF_I32, 2, (int64_t[]){count, WORDS}, words);
}

static tuff_tensor *pool(tuff_graph *g, int64_t kind, tuff_tensor *x, tuff_tensor *segments)
{
    if (kind == MAXIMUM) return tuff_segment_max(g, x, segments);
    return tuff_segment_mean(g, x, segments, kind == BY_POSITION);
}

static void pooled(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int64_t transposed[2] = {p[COLUMNS], p[ROWS]};
    tuff_data data = (tuff_data)p[DATA];
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p[TRANSPOSED] ? transposed : p, data, 1, 0);
    if (data == TUFF_DATA_NORMAL) tuff_case_grad(run, x);
    if (p[TRANSPOSED]) x = tuff_transpose(g, x);
    tuff_tensor *y = pool(g, p[KIND], x, make_segments(run, g, p));
    /* a product and a sum for each row, a division; a maximum is one of its rows, but a denormal may be
     * flushed */
    double c = p[KIND] == MAXIMUM && data == TUFF_DATA_NORMAL ? 0 : 4;
    tuff_case_result(run, y, c, (double)p[ROWS]);
    tuff_case_batch(run, SEGMENTS);
}

/* The same rows, alone and packed at p[3] of p[0] rows that are not finite elsewhere: the same bits, and the
 * gradient of the others is zero. p: rows, columns, rows of the segment, its first, kind */
static void moved(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double data[MOST_ELEMENTS];
    for (int64_t i = 0; i < p[0] * p[1]; i++) {
        int64_t row = i / p[1] - p[3];
        const double others[] = {NAN, HUGE_VAL, -HUGE_VAL};
        data[i] = row >= 0 && row < p[2] ? sin((double)(i * i % 1009)) : others[i % 3];
    }
    const double alone[WORDS] = {0, (double)p[2], 0, 0};
    const double among[3 * WORDS] = {
        0, (double)p[3], 0, 0, (double)p[3], (double)p[2], 0, 0, (double)(p[3] + p[2]), (double)p[0], 0, 0};
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 2, p, data), *gradient = NULL;
    tuff_tensor *cut = tuff_copy(g, tuff_slice(g, x, 0, p[3], p[2]), TUFF_F32);
    tuff_tensor *one = tuff_case_data(run, g, TUFF_I32, 2, (int64_t[]){1, WORDS}, alone);
    tuff_tensor *three = tuff_case_data(run, g, TUFF_I32, 2, (int64_t[]){3, WORDS}, among);
    tuff_tensor *y = tuff_slice(g, pool(g, p[4], x, three), 0, 1, 1);
    tuff_case_aside(run, tuff_sub(g, y, pool(g, p[4], cut, one)), 0, 1);
    tuff_tensor *loss = tuff_sum(g, y, 3, false);
    if (loss == NULL) return;
    tuff_graph_grad(g, loss, &x, 1, &gradient);
    tuff_case_aside(run, gradient, 4, 1);
}

/* Of equal maxima the first row gets the gradient, of several NaN the first one. p: rows, columns */
static void ties(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double data[MOST_ELEMENTS];
    for (int64_t i = 0; i < p[0] * p[1]; i++)
        data[i] = i % 37 == 5 ? NAN : (double)(i * i % 5) - 3;
    const double segments[2 * WORDS] = {0, (double)(p[0] / 2), 0, 0, (double)(p[0] / 2), (double)p[0], 0, 0};
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 2, p, data), *gradient = NULL;
    tuff_tensor *y =
        tuff_segment_max(g, x, tuff_case_data(run, g, TUFF_I32, 2, (int64_t[]){2, WORDS}, segments));
    tuff_case_aside(run, y, 0, 1);
    tuff_tensor *loss = tuff_sum(g, y, 3, false);
    if (loss == NULL) return;
    tuff_graph_grad(g, loss, &x, 1, &gradient);
    tuff_case_aside(run, gradient, 0, 1); /* ones and zeros */
}

static const tuff_case cases[] = {
    {"segment.mean.n1c1s1", pooled, {1, 1, 1, MEAN}},
    {"segment.mean.n40c33s3", pooled, {40, 33, 3, MEAN}},
    {"segment.mean.n517c5s2", pooled, {517, 5, 2, MEAN}},
    {"segment.mean.n90c300s7", pooled, {90, 300, 7, MEAN}},
    {"segment.mean.n20c64s14.outside", pooled, {20, 64, 14, MEAN, OUTSIDE}},
    {"segment.mean.n31c40s9.overlapping", pooled, {31, 40, 9, MEAN, OVERLAPPING}},
    {"segment.mean.n30c17s4.transposed", pooled, {30, 17, 4, MEAN, PACKED, 0, 1}},
    {"segment.mean.n40c50s5.special", pooled, {40, 50, 5, MEAN, PACKED, TUFF_DATA_SPECIAL}},
    {"segment.mean.n37c40.moved", moved, {37, 40, 13, 9, MEAN}},
    {"segment.weighted.n1c1s1", pooled, {1, 1, 1, BY_POSITION}},
    {"segment.weighted.n40c33s3", pooled, {40, 33, 3, BY_POSITION}},
    {"segment.weighted.n300c7s2", pooled, {300, 7, 2, BY_POSITION}},
    {"segment.weighted.n20c64s14.outside", pooled, {20, 64, 14, BY_POSITION, OUTSIDE}},
    {"segment.weighted.n31c40s9.overlapping", pooled, {31, 40, 9, BY_POSITION, OVERLAPPING}},
    {"segment.weighted.n40c50s5.special", pooled, {40, 50, 5, BY_POSITION, PACKED, TUFF_DATA_SPECIAL}},
    {"segment.weighted.n37c40.moved", moved, {37, 40, 13, 9, BY_POSITION}},
    {"segment.max.n1c1s1", pooled, {1, 1, 1, MAXIMUM}},
    {"segment.max.n40c33s3", pooled, {40, 33, 3, MAXIMUM}},
    {"segment.max.n517c5s2", pooled, {517, 5, 2, MAXIMUM}},
    {"segment.max.n20c64s14.outside", pooled, {20, 64, 14, MAXIMUM, OUTSIDE}},
    {"segment.max.n31c40s9.overlapping", pooled, {31, 40, 9, MAXIMUM, OVERLAPPING}},
    {"segment.max.n30c17s4.transposed", pooled, {30, 17, 4, MAXIMUM, PACKED, 0, 1}},
    {"segment.max.n40c50s5.special", pooled, {40, 50, 5, MAXIMUM, PACKED, TUFF_DATA_SPECIAL}},
    {"segment.max.n37c40.moved", moved, {37, 40, 13, 9, MAXIMUM}},
    {"segment.max.n60c35.ties", ties, {60, 35}},
};

const tuff_case_family tuff_family_segment = {"segment", cases, sizeof cases / sizeof cases[0]};
