/* Cases of concat. */
#include "conform/case.h"

enum { RANK, DIMS, AXIS = 5, COUNT, TYPE, DATA, TRANSPOSED };
enum { MOST = 16 };

/* Tensor i is 1 + i % 3 times as long along the axis as p says. */
static void joined(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *xs[MOST];
    int64_t n = p[COUNT] < MOST ? p[COUNT] : MOST;
    tuff_dtype dtype = (tuff_dtype)p[TYPE];
    for (int64_t i = 0; i < n; i++) {
        int64_t dims[4] = {p[DIMS], p[DIMS + 1], p[DIMS + 2], p[DIMS + 3]};
        dims[p[AXIS]] *= 1 + i % 3;
        if (p[TRANSPOSED]) {
            int64_t last = dims[p[RANK] - 1];
            dims[p[RANK] - 1] = dims[p[RANK] - 2];
            dims[p[RANK] - 2] = last;
        }
        tuff_data data = dtype == TUFF_F32 ? (tuff_data)p[DATA] : TUFF_DATA_INTEGER;
        xs[i] = tuff_case_leaf(run, g, dtype, (int)p[RANK], dims, data, dtype == TUFF_F32 ? 1 : 0,
                               dtype == TUFF_F32 ? 0 : 1000);
        if (dtype == TUFF_F32 && data == TUFF_DATA_NORMAL && i != 1) tuff_case_grad(run, xs[i]);
        if (p[TRANSPOSED]) xs[i] = tuff_transpose(g, xs[i]);
    }
    tuff_tensor *y = tuff_concat(g, xs, (size_t)n, (int)p[AXIS]);
    if (dtype == TUFF_F32)
        tuff_case_result(run, y, 0, 1);
    else
        tuff_case_aside(run, y, 0, 1);
}

/* The gradient of parts of one tensor is their gradients side by side. p: rows, columns, parts, 1 to leave
 * the last part unused, so that its gradient is zero */
static void parted(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x =
        tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[0], p[1] * p[2]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    for (int64_t i = 0; i < p[2] - p[3]; i++) {
        tuff_tensor *part = tuff_slice(g, x, 1, (p[2] - p[3] - 1 - i) * p[1], p[1]);
        tuff_case_result(run, i % 2 ? tuff_scale(g, part, 2) : tuff_mul(g, part, part), 2, 1);
    }
}

static const tuff_case cases[] = {
    {"concat.one_of_5", joined, {1, 5, 1, 1, 1, 0, 1}},
    {"concat.two_of_1.axis0", joined, {1, 1, 1, 1, 1, 0, 2}},
    {"concat.three_of_3x17.axis0", joined, {2, 3, 17, 1, 1, 0, 3}},
    {"concat.three_of_9x300.axis1", joined, {2, 9, 300, 1, 1, 1, 3}},
    {"concat.four_of_2x3x5.axis1", joined, {3, 2, 3, 5, 1, 1, 4}},
    {"concat.eleven_of_4x3x2x5.axis3", joined, {4, 4, 3, 2, 5, 3, 11}},
    {"concat.five_of_65x1.axis1.i32", joined, {2, 65, 1, 1, 1, 1, 5, TUFF_I32}},
    {"concat.two_of_6x4.axis1.transposed", joined, {2, 6, 4, 1, 1, 1, 2, TUFF_F32, 0, 1}},
    {"concat.three_of_20x11.axis1.special", joined, {2, 20, 11, 1, 1, 1, 3, TUFF_F32, TUFF_DATA_SPECIAL}},
    {"concat.gradient_of_3_parts.9x17", parted, {9, 17, 3}},
    {"concat.gradient_of_2_parts.40x64", parted, {40, 64, 2}},
    {"concat.gradient_of_3_parts.5x8.one_unused", parted, {5, 8, 3, 1}},
};

const tuff_case_family tuff_family_concat = {"concat", cases, sizeof cases / sizeof cases[0]};
