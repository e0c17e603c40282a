/* Cases of the activations. */
#include "conform/case.h"

/* exp to 2 ulp in f32, a division, a polynomial of degree 8 and a few products. */
enum { FEW_ROUNDINGS = 12 };

enum { GELU_ERF, GELU_TANH, SILU, SWIGLU };

/* p: op, n, scale of the data, data: with a scale of 30 every saturated branch is reached. */
static void activated(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_data data = (tuff_data)p[3];
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p + 1, data, (double)p[2], 0), *y = NULL;
    if (data != TUFF_DATA_SPECIAL) tuff_case_grad(run, x);
    if (p[0] == SWIGLU) {
        tuff_tensor *up = tuff_case_leaf(run, g, TUFF_F32, 1, p + 1, TUFF_DATA_NORMAL, 1, 0);
        if (data != TUFF_DATA_SPECIAL) tuff_case_grad(run, up);
        y = tuff_swiglu(g, x, up);
    } else {
        y = p[0] == SILU ? tuff_silu(g, x) : tuff_gelu(g, x, p[0] == GELU_TANH);
    }
    tuff_case_result(run, y, FEW_ROUNDINGS, 1);
    tuff_case_batch(run, 1);
}

/* p: op, rows, columns: of a transposed view, gradients too. */
static void transposed(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p + 1, TUFF_DATA_NORMAL, 2, 0);
    tuff_case_grad(run, x);
    x = tuff_transpose(g, x);
    tuff_tensor *y = p[0] == SWIGLU ? tuff_swiglu(g, x, x)
                     : p[0] == SILU ? tuff_silu(g, x)
                                    : tuff_gelu(g, x, true);
    tuff_case_result(run, tuff_transpose(g, y), FEW_ROUNDINGS, 1);
}

/* p: op: values so large that their squares overflow, and their gradients. */
static void extreme(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double data[8] = {1e19, -1e19, 1e25, -1e25, 3e38, -3e38, 1e-38, -1e-30};
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){8}, data), *gradient = NULL;
    tuff_tensor *y = p[0] == SWIGLU ? tuff_swiglu(g, x, tuff_fill(g, 1, 1, (int64_t[]){8}))
                     : p[0] == SILU ? tuff_silu(g, x)
                                    : tuff_gelu(g, x, p[0] == GELU_TANH);
    tuff_case_aside(run, y, FEW_ROUNDINGS, 1);
    tuff_tensor *total = tuff_sum(g, y, 1, false);
    if (total == NULL) return;
    tuff_graph_grad(g, total, &x, 1, &gradient);
    tuff_case_aside(run, gradient, FEW_ROUNDINGS, 1);
}

static const tuff_case cases[] = {
    {"activation.gelu_erf.n1", activated, {GELU_ERF, 1, 1}},
    {"activation.gelu_erf.n1031", activated, {GELU_ERF, 1031, 2}},
    {"activation.gelu_erf.n4096.saturated", activated, {GELU_ERF, 4096, 30}},
    {"activation.gelu_erf.n999.special", activated, {GELU_ERF, 999, 1, TUFF_DATA_SPECIAL}},
    {"activation.gelu_tanh.n1", activated, {GELU_TANH, 1, 1}},
    {"activation.gelu_tanh.n1031", activated, {GELU_TANH, 1031, 2}},
    {"activation.gelu_tanh.n4096.saturated", activated, {GELU_TANH, 4096, 30}},
    {"activation.gelu_tanh.n999.special", activated, {GELU_TANH, 999, 1, TUFF_DATA_SPECIAL}},
    {"activation.silu.n1", activated, {SILU, 1, 1}},
    {"activation.silu.n1031", activated, {SILU, 1031, 2}},
    {"activation.silu.n4096.saturated", activated, {SILU, 4096, 60}},
    {"activation.silu.n999.special", activated, {SILU, 999, 1, TUFF_DATA_SPECIAL}},
    {"activation.swiglu.n1", activated, {SWIGLU, 1, 1}},
    {"activation.swiglu.n1031", activated, {SWIGLU, 1031, 2}},
    {"activation.swiglu.n4096.saturated", activated, {SWIGLU, 4096, 60}},
    {"activation.swiglu.n999.special", activated, {SWIGLU, 999, 1, TUFF_DATA_SPECIAL}},
    {"activation.gelu_erf.extremes", extreme, {GELU_ERF}},
    {"activation.gelu_tanh.extremes", extreme, {GELU_TANH}},
    {"activation.silu.extremes", extreme, {SILU}},
    {"activation.swiglu.extremes", extreme, {SWIGLU}},
    {"activation.gelu_tanh.7x33.transposed", transposed, {GELU_TANH, 7, 33}},
    {"activation.swiglu.5x9.transposed", transposed, {SWIGLU, 5, 9}},
};

const tuff_case_family tuff_family_activation = {"activation", cases, sizeof cases / sizeof cases[0]};
