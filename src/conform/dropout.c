/* Cases of dropout and of uniform numbers: what is drawn is compared itself, element by element. */
#include "conform/case.h"

/* p: rank, dims[3], probability * 1000, stream, step, data */
static void dropped(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double seed[3] = {0x89abcdef, 0x01234567, (double)p[6]};
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, (tuff_data)p[7], 1, 0);
    tuff_tensor *s = tuff_case_data(run, g, TUFF_U32, 1, (int64_t[]){3}, seed);
    if (p[7] != TUFF_DATA_SPECIAL) tuff_case_grad(run, x);
    /* a product with a factor that is itself rounded */
    tuff_case_result(run, tuff_dropout(g, x, s, (double)p[4] / 1000, (uint32_t)p[5]), 4, 1);
}

/* The same, added to what stays as it is; p[7]: which of both stands first. */
static void residual(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double seed[3] = {0x89abcdef, 0x01234567, (double)p[6]};
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *r = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *s = tuff_case_data(run, g, TUFF_U32, 1, (int64_t[]){3}, seed);
    tuff_case_grad(run, x);
    tuff_case_grad(run, r);
    tuff_tensor *y = tuff_dropout(g, x, s, (double)p[4] / 1000, (uint32_t)p[5]);
    tuff_case_result(run, p[7] ? tuff_add(g, y, r) : tuff_add(g, r, y), 4, 1);
}

/* p: rank, dims[3], stream, step */
static void uniform(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double seed[3] = {0x89abcdef, 0x01234567, (double)p[5]};
    tuff_tensor *s = tuff_case_data(run, g, TUFF_U32, 1, (int64_t[]){3}, seed);
    tuff_case_aside(run, tuff_uniform(g, s, (uint32_t)p[4], (int)p[0], p + 1), 0, 1);
}

static const tuff_case cases[] = {
    {"dropout.1.rate0_5", dropped, {1, 1, 0, 0, 500, 1, 0}},
    {"dropout.1027.rate0_1", dropped, {1, 1027, 0, 0, 100, 0x04000007, 3}},
    {"dropout.3x5x67.rate0_9", dropped, {3, 3, 5, 67, 900, 2, 4294967295}},
    {"dropout.4098.rate0_3", dropped, {1, 4098, 0, 0, 300, 4294967295, 1}},
    {"dropout.515.rate0", dropped, {1, 515, 0, 0, 0, 1, 1}},
    {"dropout.517.rate0_5.special", dropped, {1, 517, 0, 0, 500, 9, 2, TUFF_DATA_SPECIAL}},
    {"dropout.1027.rate0_1.residual", residual, {1, 1027, 0, 0, 100, 0x04000007, 3}},
    {"dropout.3x5x67.rate0_5.residual", residual, {3, 3, 5, 67, 500, 2, 1, 1}},
    {"dropout.uniform.1", uniform, {1, 1, 0, 0, 0x08000000, 0}},
    {"dropout.uniform.1027", uniform, {1, 1027, 0, 0, 0x08000001, 3}},
    {"dropout.uniform.3x5x67", uniform, {3, 3, 5, 67, 4294967295, 4294967295}},
};

const tuff_case_family tuff_family_dropout = {"dropout", cases, sizeof cases / sizeof cases[0]};
