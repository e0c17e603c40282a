/* Cases of the largest elements of rows. */
#include "conform/case.h"

enum { RANK, DIMS, K = 4, DATA, FROM, TO, TRANSPOSED };

/* p: rank, dims[3], k, data, its range, 1 to transpose first; for argmax k is 0 */
static void largest(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_data data = (tuff_data)p[DATA];
    double a = data == TUFF_DATA_NORMAL || data == TUFF_DATA_SPECIAL ? 1 : (double)p[FROM];
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[RANK], p + DIMS, data, a, (double)p[TO]);
    if (p[TRANSPOSED]) x = tuff_transpose(g, x);
    if (p[RANK] > 1 && !p[TRANSPOSED]) tuff_case_batch(run, DIMS);
    if (p[K] == 0) {
        tuff_case_aside(run, tuff_argmax(g, x), 0, 1);
        return;
    }
    tuff_tensor *values, *indices;
    tuff_top_k(g, x, p[K], &values, &indices);
    tuff_case_aside(run, values, 0, 1);
    tuff_case_aside(run, indices, 0, 1);
}

/* The values' gradients go to their places. p: rank, dims[3], k, 1 to transpose first at DATA */
static void differentiated(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[RANK], p + DIMS, TUFF_DATA_NORMAL, 1, 0),
                *values;
    tuff_case_grad(run, x);
    tuff_top_k(g, p[DATA] ? tuff_transpose(g, x) : x, p[K], &values, NULL);
    /* squared, so that the gradient is no constant */
    tuff_case_result(run, tuff_mul(g, values, values), 1, 1);
}

/* Zeros of both signs are equal, denormals are not; NaN of either sign comes first, the first one before. p:
 * columns, k */
static void extreme(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    enum { MOST = 64 };
    const double some[] = {-0.0,  0.0,  3e38,  -3e38, 1e-39, -1e-39, 2e-39, 1.0 / 0.0,
                           -1e30, -1.0, 1e-20, 0.0,   -0.0,  1e-39,  3e38,  -1.0 / 0.0};
    double data[2 * MOST];
    for (int64_t i = 0; i < 2 * p[0]; i++)
        data[i] = i >= p[0] && i % 5 == 3 ? 0.0 / 0.0 : some[i * 7 % 16];
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){2, p[0]}, data), *values, *indices;
    tuff_top_k(g, x, p[1], &values, &indices);
    tuff_case_aside(run, indices, 0, 1);
    tuff_case_aside(run, tuff_argmax(g, x), 0, 1);
    tuff_case_aside(run, values, 0, 1);
}

static const tuff_case cases[] = {
    {"top_k.argmax.1", largest, {1, 1}},
    {"top_k.argmax.5x7", largest, {2, 5, 7}},
    {"top_k.argmax.2x3x300", largest, {3, 2, 3, 300}},
    {"top_k.argmax.2x9001", largest, {2, 2, 9001}},
    {"top_k.argmax.3x5000.ties", largest, {2, 3, 5000, 0, 0, TUFF_DATA_INTEGER, 0, 3}},
    {"top_k.argmax.2x9000.constant", largest, {2, 2, 9000, 0, 0, TUFF_DATA_CONSTANT, -7}},
    {"top_k.argmax.4x70.special", largest, {2, 4, 70, 0, 0, TUFF_DATA_SPECIAL}},
    {"top_k.argmax.9x30.transposed", largest, {2, 9, 30, 0, 0, 0, 0, 0, 1}},
    {"top_k.1.k1", largest, {1, 1, 0, 0, 1}},
    {"top_k.3x7.k7", largest, {2, 3, 7, 0, 7}},
    {"top_k.5x300.k10", largest, {2, 5, 300, 0, 10}},
    {"top_k.2x3x129.k1", largest, {3, 2, 3, 129, 1}},
    {"top_k.2x4096.k1024", largest, {2, 2, 4096, 0, 1024}},
    {"top_k.2x4097.k5", largest, {2, 2, 4097, 0, 5}},
    {"top_k.1x20001.k1024", largest, {2, 1, 20001, 0, 1024}},
    {"top_k.1x70000.k100", largest, {2, 1, 70000, 0, 100}},
    {"top_k.3x5000.k40.ties", largest, {2, 3, 5000, 0, 40, TUFF_DATA_INTEGER, 0, 5}},
    {"top_k.2x9000.k300.constant", largest, {2, 2, 9000, 0, 300, TUFF_DATA_CONSTANT, -7}},
    {"top_k.2x6001.k50.ascending", largest, {2, 2, 6001, 0, 50, TUFF_DATA_RAMP, 0, 1}},
    {"top_k.4x600.k64.special", largest, {2, 4, 600, 0, 64, TUFF_DATA_SPECIAL}},
    {"top_k.9x30.k4.transposed", largest, {2, 9, 30, 0, 4, 0, 0, 0, 1}},
    {"top_k.gradient.1.k1", differentiated, {1, 1, 0, 0, 1}},
    {"top_k.gradient.5x300.k10", differentiated, {2, 5, 300, 0, 10}},
    {"top_k.gradient.2x7x64.k8", differentiated, {3, 2, 7, 64, 8}},
    {"top_k.gradient.3x33.k33", differentiated, {2, 3, 33, 0, 33}},
    {"top_k.gradient.9x6.k2.transposed", differentiated, {2, 9, 6, 0, 2, 1}},
    {"top_k.2x48.k48.extremes", extreme, {48, 48}},
};

const tuff_case_family tuff_family_top_k = {"top_k", cases, sizeof cases / sizeof cases[0]};
