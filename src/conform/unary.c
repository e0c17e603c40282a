/* Cases of the unary operations. */
#include "conform/case.h"

/* exp and ln to 2 ulp in f32, a division or a root of the driver's, and a few products. */
enum { FEW_ROUNDINGS = 12 };

enum { EXP, LN, TANH, SIGMOID, RELU, SQRT, RSQRT, ABS };

static tuff_tensor *unary(tuff_graph *g, int64_t op, tuff_tensor *x)
{
    tuff_tensor *(*const builders[])(tuff_graph *, tuff_tensor *) = {
        tuff_exp, tuff_ln, tuff_tanh, tuff_sigmoid, tuff_relu, tuff_sqrt, tuff_rsqrt, tuff_abs};
    return builders[op](g, x);
}

/* p: op, n, spread, least value (then uniform from there) or 0 (then normal) in thousandths, data */
static void mapped(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_data data = (tuff_data)p[4];
    double spread = (double)p[2] / 1000, least = (double)p[3] / 1000;
    if (data == TUFF_DATA_NORMAL && least > 0) data = TUFF_DATA_UNIFORM;
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 1, p + 1, data, least > 0 ? least : spread,
                                    least > 0 ? least + spread : 0);
    if (data != TUFF_DATA_SPECIAL) tuff_case_grad(run, x);
    tuff_case_result(run, unary(g, p[0], x), FEW_ROUNDINGS, 1);
    tuff_case_batch(run, 1);
}

/* p: op: a transposed view, its gradient too; the operation twice, so that results take over memory */
static void transposed(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){7, 33}, TUFF_DATA_UNIFORM, 0.5, 2);
    tuff_case_grad(run, x);
    tuff_tensor *y = unary(g, p[0], unary(g, p[0], tuff_transpose(g, x)));
    tuff_case_result(run, tuff_transpose(g, y), 4 * FEW_ROUNDINGS, 1);
}

/* p: op: the ends of the range, zeros of both signs, denormals, and their gradients where those are finite.
 */
static void extreme(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const double data[8] = {3e38, 1e19, 88.5, 104, 1.2e-38, 1e-30, 1e-19, 1};
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){8}, data), *gradient = NULL;
    tuff_tensor *y = unary(g, p[0], x);
    for (int i = 0; i < 8; i++) /* each has a scale of its own */
        tuff_case_aside(run, tuff_slice(g, y, 0, i, 1), FEW_ROUNDINGS, 1);
    tuff_tensor *total = tuff_sum(g, y, 1, false);
    if (total == NULL) return;
    tuff_graph_grad(g, total, &x, 1, &gradient);
    for (int i = 0; i < 8; i++)
        tuff_case_aside(run, tuff_slice(g, gradient, 0, i, 1), FEW_ROUNDINGS, 1);
}

static const tuff_case cases[] = {
    {"unary.exp.n1", mapped, {EXP, 1, 1000}},
    {"unary.exp.n1031", mapped, {EXP, 1031, 4000}},
    {"unary.exp.n2051.special", mapped, {EXP, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.exp.extremes", extreme, {EXP}},
    {"unary.ln.n1031.near1", mapped, {LN, 1031, 200, 900}},
    {"unary.ln.n1031.to1000", mapped, {LN, 1031, 1000000, 1}},
    {"unary.ln.n2051.special", mapped, {LN, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.ln.extremes", extreme, {LN}},
    {"unary.tanh.n1", mapped, {TANH, 1, 1000}},
    {"unary.tanh.n1031.small", mapped, {TANH, 1031, 1}},
    {"unary.tanh.n1031", mapped, {TANH, 1031, 2000}},
    {"unary.tanh.n4096.saturated", mapped, {TANH, 4096, 30000}},
    {"unary.tanh.n2051.special", mapped, {TANH, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.tanh.extremes", extreme, {TANH}},
    {"unary.sigmoid.n1031", mapped, {SIGMOID, 1031, 2000}},
    {"unary.sigmoid.n4096.saturated", mapped, {SIGMOID, 4096, 60000}},
    {"unary.sigmoid.n2051.special", mapped, {SIGMOID, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.relu.n1031", mapped, {RELU, 1031, 1000}},
    {"unary.relu.n2051.special", mapped, {RELU, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.sqrt.n1031", mapped, {SQRT, 1031, 5000, 10}},
    {"unary.sqrt.n2051.special", mapped, {SQRT, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.sqrt.extremes", extreme, {SQRT}},
    {"unary.rsqrt.n1031", mapped, {RSQRT, 1031, 5000, 10}},
    {"unary.rsqrt.n2051.special", mapped, {RSQRT, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.rsqrt.extremes", extreme, {RSQRT}},
    {"unary.abs.n1031", mapped, {ABS, 1031, 1000}},
    {"unary.abs.n2051.special", mapped, {ABS, 2051, 1000, 0, TUFF_DATA_SPECIAL}},
    {"unary.exp.7x33.transposed", transposed, {EXP}},
    {"unary.sqrt.7x33.transposed", transposed, {SQRT}},
    {"unary.tanh.7x33.transposed", transposed, {TANH}},
};

const tuff_case_family tuff_family_unary = {"unary", cases, sizeof cases / sizeof cases[0]};
