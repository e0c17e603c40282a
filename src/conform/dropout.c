/* Cases of dropout: the mask itself is compared, element by element. */
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

static const tuff_case cases[] = {
    {"1 at 0.5", dropped, {1, 1, 0, 0, 500, 1, 0}},
    {"1027 at 0.1", dropped, {1, 1027, 0, 0, 100, 0x04000007, 3}},
    {"3x5x67 at 0.9", dropped, {3, 3, 5, 67, 900, 2, 4294967295}},
    {"4098 at 0.3", dropped, {1, 4098, 0, 0, 300, 4294967295, 1}},
    {"515 at 0", dropped, {1, 515, 0, 0, 0, 1, 1}},
    {"517 at 0.5, special", dropped, {1, 517, 0, 0, 500, 9, 2, TUFF_DATA_SPECIAL}},
};

const tuff_case_family tuff_family_dropout = {"dropout", cases, sizeof cases / sizeof cases[0]};
