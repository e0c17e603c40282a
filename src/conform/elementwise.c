/* Cases of the binary operations and of scale. */
#include <math.h>

#include "conform/case.h"

/* One rounding of each result; gradients that are summed over broadcast axes have their own rule. */
enum { ONE_ROUNDING = 2 };

enum { ADD, MUL, SUB, DIV, MAXIMUM, MINIMUM, GREATER };

static tuff_tensor *binary_of(tuff_graph *g, int64_t op, tuff_tensor *a, tuff_tensor *b)
{
    tuff_tensor *(*const builders[])(tuff_graph *, tuff_tensor *, tuff_tensor *) = {
        tuff_add, tuff_mul, tuff_sub, tuff_div, tuff_maximum, tuff_minimum, tuff_greater};
    return builders[op](g, a, b);
}

/* p: op, rank of a, dims of a [4], rank of b, dims of b [4], data. */
static void binary(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_data data = (tuff_data)p[11];
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, (int)p[1], p + 2, data, 1, 0);
    tuff_tensor *b = tuff_case_leaf(run, g, TUFF_F32, (int)p[6], p + 7, data, 1, 0);
    if (data != TUFF_DATA_SPECIAL) {
        tuff_case_grad(run, a);
        tuff_case_grad(run, b);
    }
    tuff_case_result(run, binary_of(g, p[0], a, b), ONE_ROUNDING, 1);
}

/* p: op, rows, columns: b is transposed, a is a slice that starts late. */
static void strided(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[1], p[2] + 3}, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *b = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[2], p[1]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, a);
    tuff_case_grad(run, b);
    a = tuff_slice(g, a, 1, 3, p[2]);
    b = tuff_transpose(g, b);
    tuff_case_result(run, binary_of(g, p[0], a, b), ONE_ROUNDING, 1);
}

/* A division of the driver's, to 2.5 ulp (Vulkan's table of precisions), and a product. */
enum { DIVISION = 8 };

/* p: rank of a, dims of a [4], rank of b, dims of b [4]: a divisor away from 0 */
static void divided(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, (int)p[0], p + 1, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *b = tuff_case_leaf(run, g, TUFF_F32, (int)p[5], p + 6, TUFF_DATA_UNIFORM, 0.5, 2);
    tuff_case_grad(run, a);
    tuff_case_grad(run, b);
    tuff_case_result(run, tuff_div(g, a, b), DIVISION, 1);
}

/* What has no finite quotient, and signs. */
static void divided_special(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double dividends[8] = {1, -1, 0, INFINITY, INFINITY, NAN, 2, -6};
    const double divisors[8] = {0, 0, 0, 2, INFINITY, 1, NAN, -3};
    (void)p;
    tuff_tensor *a = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){8}, dividends);
    tuff_tensor *b = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){8}, divisors);
    tuff_case_aside(run, tuff_div(g, a, b), DIVISION, 1);
}

/* p: op: pairs that are equal, of unequal zeros, infinite or NaN on one side or both; gradients of the finite
 * ones. */
static void compared(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double left[9] = {1, 2, 3, 0, -INFINITY, INFINITY, NAN, 1, NAN};
    const double right[9] = {1, 3, 2, -0.0, 5, INFINITY, 1, NAN, NAN};
    tuff_tensor *a = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){9}, left);
    tuff_tensor *b = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){9}, right), *gradients[2] = {NULL, NULL};
    tuff_tensor *y = binary_of(g, p[0], a, b);
    tuff_case_aside(run, y, 0, 1);
    if (p[0] == GREATER) return;
    tuff_tensor *total = tuff_sum(g, tuff_slice(g, y, 0, 0, 4), 1, false);
    if (total == NULL) return;
    tuff_graph_grad(g, total, (tuff_tensor *[]){a, b}, 2, gradients);
    for (int i = 0; i < 2; i++)
        tuff_case_aside(run, tuff_slice(g, gradients[i], 0, 0, 4), 0, 1);
}

/* p: n: both operands one tensor, then results that may take over their input's memory. */
static void chained(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    tuff_tensor *y = tuff_scale(g, tuff_add(g, tuff_mul(g, x, x), x), 0.5);
    tuff_case_result(run, tuff_mul(g, tuff_add(g, y, x), y), 8, 1);
}

/* p: n, factor * 1000, data */
static void scaled(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p, (tuff_data)p[2], 1, 0);
    if (p[2] != TUFF_DATA_SPECIAL) tuff_case_grad(run, x);
    tuff_case_result(run, tuff_scale(g, x, (double)p[1] / 1000), ONE_ROUNDING, 1);
}

static const tuff_case cases[] = {
    {"elementwise.add.scalar", binary, {ADD, 0, 0, 0, 0, 0, 0}},
    {"elementwise.add.1", binary, {ADD, 1, 1, 0, 0, 0, 1, 1}},
    {"elementwise.add.1023", binary, {ADD, 1, 1023, 0, 0, 0, 1, 1023}},
    {"elementwise.add.5003.special", binary, {ADD, 1, 5003, 0, 0, 0, 1, 5003, 0, 0, 0, TUFF_DATA_SPECIAL}},
    {"elementwise.add.19x257.by_257", binary, {ADD, 2, 19, 257, 0, 0, 1, 257}},
    {"elementwise.add.2x3x64.by_64", binary, {ADD, 3, 2, 3, 64, 0, 1, 64}},
    {"elementwise.add.5.by_7x5", binary, {ADD, 1, 5, 0, 0, 0, 2, 7, 5}},
    {"elementwise.add.9x1.by_9x33", binary, {ADD, 2, 9, 1, 0, 0, 2, 9, 33}},
    {"elementwise.add.4x1x3x1.by_1x5x1x6", binary, {ADD, 4, 4, 1, 3, 1, 4, 1, 5, 1, 6}},
    {"elementwise.add.3x5.by_scalar", binary, {ADD, 2, 3, 5, 0, 0, 0}},
    {"elementwise.mul.1", binary, {MUL, 1, 1, 0, 0, 0, 1, 1}},
    {"elementwise.mul.1025", binary, {MUL, 1, 1025, 0, 0, 0, 1, 1025}},
    {"elementwise.mul.2051.special", binary, {MUL, 1, 2051, 0, 0, 0, 1, 2051, 0, 0, 0, TUFF_DATA_SPECIAL}},
    {"elementwise.mul.19x257.by_257", binary, {MUL, 2, 19, 257, 0, 0, 1, 257}},
    {"elementwise.mul.2x3x4x5.by_3x1x5", binary, {MUL, 4, 2, 3, 4, 5, 3, 3, 1, 5}},
    {"elementwise.mul.6x1.by_1x7", binary, {MUL, 2, 6, 1, 0, 0, 2, 1, 7}},
    {"elementwise.add.33x17.strided", strided, {ADD, 33, 17}},
    {"elementwise.mul.5x130.strided", strided, {MUL, 5, 130}},
    {"elementwise.mul.1x1.strided", strided, {MUL, 1, 1}},
    {"elementwise.sub.1025", binary, {SUB, 1, 1025, 0, 0, 0, 1, 1025}},
    {"elementwise.sub.3x5.by_scalar", binary, {SUB, 2, 3, 5, 0, 0, 0}},
    {"elementwise.sub.5.by_7x5", binary, {SUB, 1, 5, 0, 0, 0, 2, 7, 5}},
    {"elementwise.sub.2051.special", binary, {SUB, 1, 2051, 0, 0, 0, 1, 2051, 0, 0, 0, TUFF_DATA_SPECIAL}},
    {"elementwise.sub.33x17.strided", strided, {SUB, 33, 17}},
    {"elementwise.div.1025", divided, {1, 1025, 0, 0, 0, 1, 1025}},
    {"elementwise.div.19x257.by_257", divided, {2, 19, 257, 0, 0, 1, 257}},
    {"elementwise.div.257.by_19x257", divided, {1, 257, 0, 0, 0, 2, 19, 257}},
    {"elementwise.div.19x257.by_19x1", divided, {2, 19, 257, 0, 0, 2, 19, 1}},
    {"elementwise.div.not_finite", divided_special, {0}},
    {"elementwise.maximum.1025", binary, {MAXIMUM, 1, 1025, 0, 0, 0, 1, 1025}},
    {"elementwise.maximum.2051.special",
     binary,
     {MAXIMUM, 1, 2051, 0, 0, 0, 1, 2051, 0, 0, 0, TUFF_DATA_SPECIAL}},
    {"elementwise.maximum.19x257.by_257", binary, {MAXIMUM, 2, 19, 257, 0, 0, 1, 257}},
    {"elementwise.maximum.pairs", compared, {MAXIMUM}},
    {"elementwise.minimum.1025", binary, {MINIMUM, 1, 1025, 0, 0, 0, 1, 1025}},
    {"elementwise.minimum.6x1.by_1x7", binary, {MINIMUM, 2, 6, 1, 0, 0, 2, 1, 7}},
    {"elementwise.minimum.pairs", compared, {MINIMUM}},
    {"elementwise.minimum.5x130.strided", strided, {MINIMUM, 5, 130}},
    {"elementwise.greater.pairs", compared, {GREATER}},
    {"elementwise.chain.n777", chained, {777}},
    {"elementwise.scale.n1.by_0_125", scaled, {1, 125}},
    {"elementwise.scale.n1025.by_minus1_7", scaled, {1025, -1700}},
    {"elementwise.scale.n2053.by_0.special", scaled, {2053, 0, TUFF_DATA_SPECIAL}},
};

const tuff_case_family tuff_family_elementwise = {"elementwise", cases, sizeof cases / sizeof cases[0]};
