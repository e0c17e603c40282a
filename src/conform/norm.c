/* Cases of the norms. */
#include <math.h>

#include "conform/case.h"

enum { LAYER, RMS };

/* p: op, rank, dims[3], data, offset of the data, 1 without gradients of weight and bias, 1 to transpose
 * first, power of two that x is large by */
static void normed(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_data data = (tuff_data)p[5];
    tuff_tensor *x =
        tuff_case_leaf(run, g, TUFF_F32, (int)p[1], p + 2, data, ldexp(1, (int)p[9]), (double)p[6]);
    bool differentiable = data != TUFF_DATA_SPECIAL;
    /* of one element nothing but rounding is left in the gradient */
    if (differentiable && p[p[1] + 1] > 1) tuff_case_grad(run, x);
    if (p[8]) x = tuff_transpose(g, x);
    if (p[1] > 1 && !p[8]) tuff_case_batch(run, 2);
    int64_t width = tuff_tensor_dim(x, -1);
    tuff_tensor *weight = tuff_case_leaf(run, g, TUFF_F32, 1, &width, TUFF_DATA_NORMAL, 0.5, 1);
    if (differentiable && !p[7]) tuff_case_grad(run, weight);
    /* Cancellation of the mean costs in proportion to |mean| / deviation. */
    double c = 8 + 4 * (double)(p[6] < 0 ? -p[6] : p[6]);
    if (p[0] == RMS) {
        tuff_case_result(run, tuff_rms_norm(g, x, weight, 1e-5), c, 1);
        return;
    }
    tuff_tensor *bias = tuff_case_leaf(run, g, TUFF_F32, 1, &width, TUFF_DATA_NORMAL, 1, 0);
    if (differentiable && !p[7]) tuff_case_grad(run, bias);
    tuff_case_result(run, tuff_layer_norm(g, x, weight, bias, 1e-5), c, 1);
}

/* p: op, rank, dims[3]. What a residual's block does: y = x + norm(x), so that the gradient of the norm is
 * added to that of y. */
static void residual(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, (int)p[1], p + 2, TUFF_DATA_NORMAL, 1, 0);
    int64_t width = tuff_tensor_dim(x, -1);
    tuff_tensor *weight = tuff_case_leaf(run, g, TUFF_F32, 1, &width, TUFF_DATA_NORMAL, 0.5, 1);
    tuff_case_grad(run, x);
    tuff_case_grad(run, weight);
    tuff_tensor *bias =
        p[0] == RMS ? NULL : tuff_case_leaf(run, g, TUFF_F32, 1, &width, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *y =
        p[0] == RMS ? tuff_rms_norm(g, x, weight, 1e-5) : tuff_layer_norm(g, x, weight, bias, 1e-5);
    tuff_case_result(run, tuff_add(g, x, y), 8, 1);
}

static const tuff_case cases[] = {
    {"norm.layer.1x1", normed, {LAYER, 2, 1, 1}},
    {"norm.layer.3", normed, {LAYER, 1, 3}},
    {"norm.layer.5x7", normed, {LAYER, 2, 5, 7}},
    {"norm.layer.2x3x64", normed, {LAYER, 3, 2, 3, 64}},
    {"norm.layer.37x129", normed, {LAYER, 2, 37, 129}},
    {"norm.layer.133x20", normed, {LAYER, 2, 133, 20}},
    {"norm.layer.3x769", normed, {LAYER, 2, 3, 769}},
    {"norm.layer.65x33.input_only", normed, {LAYER, 2, 65, 33, 0, TUFF_DATA_NORMAL, 0, 1}},
    {"norm.layer.4x256.far_from_zero", normed, {LAYER, 2, 4, 256, 0, TUFF_DATA_NORMAL, 30}},
    {"norm.layer.9x12.transposed", normed, {LAYER, 2, 9, 12, 0, TUFF_DATA_NORMAL, 0, 0, 1}},
    {"norm.layer.9x37.large", normed, {LAYER, 2, 9, 37, 0, TUFF_DATA_NORMAL, 0, 0, 0, 100}},
    {"norm.layer.40x17.special", normed, {LAYER, 2, 40, 17, 0, TUFF_DATA_SPECIAL}},
    {"norm.layer.37x129.residual", residual, {LAYER, 2, 37, 129}},
    {"norm.layer.2x3x64.residual", residual, {LAYER, 3, 2, 3, 64}},
    {"norm.rms.37x129.residual", residual, {RMS, 2, 37, 129}},
    {"norm.rms.3x769.residual", residual, {RMS, 2, 3, 769}},
    {"norm.rms.1x1", normed, {RMS, 2, 1, 1}},
    {"norm.rms.3", normed, {RMS, 1, 3}},
    {"norm.rms.5x7", normed, {RMS, 2, 5, 7}},
    {"norm.rms.2x3x64", normed, {RMS, 3, 2, 3, 64}},
    {"norm.rms.37x129", normed, {RMS, 2, 37, 129}},
    {"norm.rms.133x20", normed, {RMS, 2, 133, 20}},
    {"norm.rms.3x769", normed, {RMS, 2, 3, 769}},
    {"norm.rms.65x33.input_only", normed, {RMS, 2, 65, 33, 0, TUFF_DATA_NORMAL, 0, 1}},
    {"norm.rms.9x12.transposed", normed, {RMS, 2, 9, 12, 0, TUFF_DATA_NORMAL, 0, 0, 1}},
    {"norm.rms.9x37.large", normed, {RMS, 2, 9, 37, 0, TUFF_DATA_NORMAL, 0, 0, 0, 100}},
    {"norm.rms.40x17.special", normed, {RMS, 2, 40, 17, 0, TUFF_DATA_SPECIAL}},
};

const tuff_case_family tuff_family_norm = {"norm", cases, sizeof cases / sizeof cases[0]};
