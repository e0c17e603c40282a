/* Cases of fill and assign. */
#include "conform/case.h"

/* p: rank, dims[4]. */
static void filled(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_case_aside(run, tuff_fill(g, -0.375, (int)p[0], p + 1), 0, 1);
}

/* p: n: a variable overwritten after it was read. */
static void assigned(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_aside(run, tuff_copy(g, x, TUFF_F32), 0, 1);
    tuff_assign(g, x, 0.25);
    tuff_case_aside(run, x, 0, 1);
}

static const tuff_case cases[] = {
    {"fill.fill.scalar", filled, {0}},
    {"fill.fill.255", filled, {1, 255}},
    {"fill.fill.3x5x7x11", filled, {4, 3, 5, 7, 11}},
    {"fill.fill.4099", filled, {1, 4099}},
    {"fill.assign.1", assigned, {1}},
    {"fill.assign.1025", assigned, {1025}},
};

const tuff_case_family tuff_family_fill = {"fill", cases, sizeof cases / sizeof cases[0]};
