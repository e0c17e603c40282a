/* Cases of softmax. */
#include "conform/case.h"

/* p: rank, dims[3], factor of the data, data, 1 to transpose first */
static void rows(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double factor = p[4] ? (double)p[4] : 1;
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, (tuff_data)p[5], factor, 0);
    if (p[5] != TUFF_DATA_SPECIAL) tuff_case_grad(run, x);
    /* Of wide rows one probability is almost 1: its gradient is what is left of terms of size 1, and the
     * bound is to allow some 20 roundings of those. */
    if (factor > 1 && p[5] != TUFF_DATA_SPECIAL) tuff_case_grad_scale(run, x, 0.01);
    if (p[6]) x = tuff_transpose(g, x);
    if (p[0] > 1 && !p[6]) tuff_case_batch(run, 1);
    /* the error of exp's argument, eps * |x|, becomes relative */
    tuff_case_result(run, tuff_softmax(g, x), 4 * factor, (double)p[p[0]]);
}

static const tuff_case cases[] = {
    {"softmax.1", rows, {1, 1}},
    {"softmax.3x7", rows, {2, 3, 7}},
    {"softmax.2x5x33", rows, {3, 2, 5, 33}},
    {"softmax.64x128", rows, {2, 64, 128}},
    {"softmax.70x1", rows, {2, 70, 1}},
    {"softmax.5x127.wide", rows, {2, 5, 127, 0, 40}},
    {"softmax.3x257", rows, {2, 3, 257}},
    {"softmax.1x5003", rows, {2, 1, 5003}},
    {"softmax.2x9000.constant", rows, {2, 2, 9000, 0, 1, TUFF_DATA_CONSTANT}},
    {"softmax.9x30.transposed", rows, {2, 9, 30, 0, 0, 0, 1}},
    {"softmax.20x50.special", rows, {2, 20, 50, 0, 1, TUFF_DATA_SPECIAL}},
};

const tuff_case_family tuff_family_softmax = {"softmax", cases, sizeof cases / sizeof cases[0]};
