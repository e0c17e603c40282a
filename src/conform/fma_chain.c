/* Cases of the chains that a device's peak is measured with. */
#include "ops/fma_chain.h"

#include "conform/case.h"

/* p: n, rounds */
static void chained(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p, TUFF_DATA_UNIFORM, -0.5, 0.5);
    /* a step doubles an error at most, and only the first ones do; then it shrinks */
    tuff_case_result(run, tuff_fma_chain(g, x, p[1]), 8, 1);
}

static const tuff_case cases[] = {
    {"fma_chain.n1.r1", chained, {1, 1}},
    {"fma_chain.n513.r2", chained, {513, 2}},
    {"fma_chain.n4099.r3", chained, {4099, 3}},
    {"fma_chain.n100.r1000", chained, {100, 1000}},
};

const tuff_case_family tuff_family_fma_chain = {"fma_chain", cases, sizeof cases / sizeof cases[0]};
