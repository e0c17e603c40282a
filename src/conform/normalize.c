/* Cases of rows of length 1. */
#include "conform/case.h"

/* p: rank, dims[3], eps in thousandths, data, 1 to transpose first */
static void normalized(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_data data = (tuff_data)p[5];
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, data, 1, 0);
    bool one_column = p[p[0]] == 1; /* nothing but rounding is left in the gradient */
    if (data == TUFF_DATA_NORMAL && !one_column) tuff_case_grad(run, x);
    if (p[6]) x = tuff_transpose(g, x);
    if (p[0] > 1 && !p[6]) tuff_case_batch(run, 1);
    /* half of a sum's error, a root and a division */
    tuff_case_result(run, tuff_l2_normalize(g, x, p[4] ? (double)p[4] / 1000 : 1e-12), 8, 1);
}

/* Rows of each size that f32 has, each compared by itself, and its gradient times the row's size. */
static void extreme(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double sizes[] = {3e38, 1e20, 1e19, 1, 1e-11, 1e-13, 0};
    enum { ROWS = sizeof sizes / sizeof sizes[0], MOST = 64 };
    const int64_t dims[2] = {ROWS, p[0]};
    double data[ROWS * MOST];
    for (int64_t i = 0; i < ROWS * p[0]; i++)
        data[i] = sizes[i / p[0]] * (1 - 0.1 * (double)(i % p[0] % 7)) * (i % 3 == 1 ? -1 : 1);
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 2, dims, data), *gradient = NULL;
    tuff_tensor *y = tuff_l2_normalize(g, x, 1e-12);
    tuff_tensor *w = tuff_case_leaf(run, g, TUFF_F32, 2, dims, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *loss = tuff_sum(g, tuff_mul(g, y, w), 3, false);
    if (loss == NULL) return;
    tuff_graph_grad(g, loss, &x, 1, &gradient);
    for (int i = 0; i < ROWS; i++) {
        tuff_case_aside(run, tuff_slice(g, y, 0, i, 1), 8, 1);
        tuff_case_aside(run, tuff_slice(g, gradient, 0, i, 1), 16, (double)p[0]);
    }
}

static const tuff_case cases[] = {
    {"normalize.l2.1", normalized, {1, 1}},
    {"normalize.l2.7x1", normalized, {2, 7, 1}},
    {"normalize.l2.3x7", normalized, {2, 3, 7}},
    {"normalize.l2.2x5x33", normalized, {3, 2, 5, 33}},
    {"normalize.l2.37x384", normalized, {2, 37, 384}},
    {"normalize.l2.2x5003", normalized, {2, 2, 5003}},
    {"normalize.l2.40x12.around_eps", normalized, {2, 40, 12, 0, 3400}},
    {"normalize.l2.9x12.transposed", normalized, {2, 9, 12, 0, 0, 0, 1}},
    {"normalize.l2.40x17.special", normalized, {2, 40, 17, 0, 0, TUFF_DATA_SPECIAL}},
    {"normalize.l2.7x40.extremes", extreme, {40}},
};

const tuff_case_family tuff_family_normalize = {"normalize", cases, sizeof cases / sizeof cases[0]};
