/* Cases of sums. */
#include "conform/case.h"

/* p: rank, dims[4], axes, keep dims, data, 1 to transpose first */
static void summed(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, (tuff_data)p[7], 1, 0);
    if (p[7] != TUFF_DATA_SPECIAL) tuff_case_grad(run, x);
    if (p[8]) x = tuff_transpose(g, x);
    double terms = 1;
    for (int i = 0; i < p[0]; i++)
        if (p[5] >> i & 1) terms *= (double)tuff_tensor_dim(x, i);
    /* sums in parts: errors grow with the square root of the terms at most */
    tuff_case_result(run, tuff_sum(g, x, (unsigned)p[5], p[6] != 0), 2, terms);
}

/* p: rows, columns: a broadcast view summed back. */
static void repeated(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p + 1, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    tuff_case_result(run, tuff_sum(g, tuff_expand(g, x, 2, p), 1, false), 2, (double)p[0]);
}

static const tuff_case cases[] = {
    {"sum.1.over0", summed, {1, 1, 0, 0, 0, 1}},
    {"sum.scalar.over_none", summed, {0}},
    {"sum.3x5.over_none", summed, {2, 3, 5, 0, 0, 0}},
    {"sum.65537.over0", summed, {1, 65537, 0, 0, 0, 1}},
    {"sum.7x11x13.over012", summed, {3, 7, 11, 13, 0, 7}},
    {"sum.33x257.over1", summed, {2, 33, 257, 0, 0, 2}},
    {"sum.515x3.over1.kept", summed, {2, 515, 3, 0, 0, 2, 1}},
    {"sum.1x9001.over1", summed, {2, 1, 9001, 0, 0, 2}},
    {"sum.300x65.over0", summed, {2, 300, 65, 0, 0, 1}},
    {"sum.3x1500.over0.kept", summed, {2, 3, 1500, 0, 0, 1, 1}},
    {"sum.2050x3.over0", summed, {2, 2050, 3, 0, 0, 1}},
    {"sum.2x37x129.over01", summed, {3, 2, 37, 129, 0, 3}},
    {"sum.5x67x9.over1", summed, {3, 5, 67, 9, 0, 2}},
    {"sum.5x6x70.over02", summed, {3, 5, 6, 70, 0, 5}},
    {"sum.3x4x5x6.over02", summed, {4, 3, 4, 5, 6, 5}},
    {"sum.3x4x5x6.over13", summed, {4, 3, 4, 5, 6, 10}},
    {"sum.40x30.over0.transposed", summed, {2, 40, 30, 0, 0, 1, 0, 0, 1}},
    {"sum.70x30.over1.transposed", summed, {2, 70, 30, 0, 0, 2, 0, 0, 1}},
    {"sum.31x129.over1.special", summed, {2, 31, 129, 0, 0, 2, 0, TUFF_DATA_SPECIAL}},
    {"sum.129x31.over0.special", summed, {2, 129, 31, 0, 0, 1, 0, TUFF_DATA_SPECIAL}},
    {"sum.67x33.repeated", repeated, {67, 33}},
};

const tuff_case_family tuff_family_sum = {"sum", cases, sizeof cases / sizeof cases[0]};
