/* Cases of pad. */
#include "conform/case.h"

/* p: rank, dims[4], axis, start, length, 1 to pad a transposed view */
static void padded(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    if (p[8]) x = tuff_transpose(g, x);
    tuff_case_result(run, tuff_pad(g, x, (int)p[5], p[6], p[7]), 0, 1);
}

static const tuff_case cases[] = {
    {"pad.1.axis0.to1.at0", padded, {1, 1, 0, 0, 0, 0, 0, 1}},
    {"pad.5.axis0.to300.at7", padded, {1, 5, 0, 0, 0, 0, 7, 300}},
    {"pad.3x17.axis0.to5.at2", padded, {2, 3, 17, 0, 0, 0, 2, 5}},
    {"pad.9x17.axis1.to51.at17", padded, {2, 9, 17, 0, 0, -1, 17, 51}},
    {"pad.2x3x5x7.axis2.to8.at0", padded, {4, 2, 3, 5, 7, 2, 0, 8}},
    {"pad.6x4.axis1.to9.at2.transposed", padded, {2, 6, 4, 0, 0, 1, 2, 9, 1}},
};

const tuff_case_family tuff_family_pad = {"pad", cases, sizeof cases / sizeof cases[0]};
