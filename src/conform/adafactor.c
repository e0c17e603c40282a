/* Cases of Adafactor. What it updates in place is compared. */
#include <math.h>

#include "conform/case.h"

/* A slot's tensors; sizes are of a vector, a matrix or a stack of them. */
static tuff_adafactor_slot slot_of(tuff_case_run *run, tuff_graph *g, int rank, const int64_t *dims,
                                   bool special, bool mean)
{
    int64_t row[3], column[3] = {1};
    for (int i = 0; i < rank; i++)
        row[i] = column[i] = dims[i];
    if (rank >= 2)
        column[rank - 2] = dims[rank - 1];
    else
        column[0] = 1;
    const int less = rank >= 2 ? rank - 1 : 1;
    tuff_adafactor_slot slot = TUFF_ADAFACTOR_SLOT_INIT;
    slot.param = tuff_case_leaf(run, g, TUFF_F32, rank, dims, TUFF_DATA_NORMAL, 0.1, 0);
    slot.grad =
        tuff_case_leaf(run, g, TUFF_F32, rank, dims, special ? TUFF_DATA_SPECIAL : TUFF_DATA_NORMAL, 0.02, 0);
    slot.row = tuff_case_leaf(run, g, TUFF_F32, less, row, TUFF_DATA_UNIFORM, 1e-4, 1e-3);
    slot.column = tuff_case_leaf(run, g, TUFF_F32, less, column, TUFF_DATA_UNIFORM, 1e-4, 1e-3);
    if (mean) slot.mean = tuff_case_leaf(run, g, TUFF_F32, rank, dims, TUFF_DATA_NORMAL, 1e-3, 0);
    return slot;
}

/* p: beta1 in percent, 1 to scale by the parameter, largest norm * 10^7, steps done, 1 for a gradient that is
 * not finite, then rank and sizes of up to two slots, ended by 0 */
static void factored(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const tuff_adafactor_params params = {.struct_size = sizeof params,
                                          .beta1 = (double)p[0] / 100,
                                          .decay_rate = -0.8,
                                          .eps1 = 1e-30,
                                          .eps2 = 1e-3,
                                          .clip_threshold = p[0] ? 0.5 : 1,
                                          .weight_decay = 0.1,
                                          .max_grad_norm = (double)p[2] / 1e7,
                                          .scale_parameter = p[1] != 0};
    tuff_adafactor_slot slots[2];
    tuff_tensor *grads[2];
    int n = 0;
    for (const int64_t *at = p + 5; n < 2 && *at; at += 1 + *at, n++) {
        slots[n] = slot_of(run, g, (int)*at, at + 1, n == 0 && p[4], params.beta1 > 0);
        slots[n].decay = n == 0;
        slots[n].lr_scale = n ? 0.25 : 0;
        grads[n] = slots[n].grad;
    }
    const double counted[4] = {(double)p[3], 3, 0, 0}, rate = 1e-2;
    tuff_tensor *state = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){4}, counted);
    tuff_tensor *norm = tuff_grad_norm(g, grads, (size_t)n);
    tuff_adafactor(g, slots, (size_t)n, tuff_case_data(run, g, TUFF_F32, 0, NULL, &rate), norm,
                   tuff_optimizer_step(g, state, norm, NULL), &params);
    for (int i = 0; i < n; i++) {
        /* t^decay_rate by a logarithm and a power: their error grows with the exponent; sums of squares,
         * whose terms are not negative, in any order; three roots and divisions */
        tuff_case_aside(run, slots[i].param, 64, 1);
        tuff_case_aside(run, slots[i].row, 64, 1);
        tuff_case_aside(run, slots[i].column, 64, 1);
        if (slots[i].mean) tuff_case_aside(run, slots[i].mean, 64, 1);
    }
}

static const tuff_case cases[] = {
    {"adafactor.n1", factored, {0, 0, 0, 0, 0, 1, 1}},
    {"adafactor.n300.2x5.first", factored, {0, 0, 0, 0, 0, 1, 300, 2, 2, 5}},
    {"adafactor.70x33.17x129.clipped", factored, {0, 0, 100000, 4, 0, 2, 70, 33, 2, 17, 129}},
    {"adafactor.300x3.n5000.scaled", factored, {0, 1, 0, 99, 0, 2, 300, 3, 1, 5000}},
    {"adafactor.3x20x40.5x1.beta1", factored, {90, 0, 1000000, 7, 0, 3, 3, 20, 40, 2, 5, 1}},
    {"adafactor.150x260.1x700.beta1.scaled", factored, {60, 1, 0, 1000, 0, 2, 150, 260, 2, 1, 700}},
    {"adafactor.40x30.n7.not_finite", factored, {90, 1, 1000000, 3, 1, 2, 40, 30, 1, 7}},
};

const tuff_case_family tuff_family_adafactor = {"adafactor", cases, sizeof cases / sizeof cases[0]};
