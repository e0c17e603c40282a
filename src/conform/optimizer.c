/* Cases of the optimizer ops. What they update in place is compared. */
#include <math.h>

#include "conform/case.h"

static tuff_tensor *vector(tuff_case_run *run, tuff_graph *g, int64_t n, double scale, double shift)
{
    return tuff_case_leaf(run, g, TUFF_F32, 1, &n, TUFF_DATA_NORMAL, scale, shift);
}

/* p: n */
static void accumulated(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *sum = vector(run, g, p[0], 1, 0), *x = vector(run, g, p[0], 1, 0);
    tuff_accumulate(g, tuff_accumulate(g, sum, x), x);
    tuff_case_aside(run, sum, 4, 1);
}

/* p: sizes of up to 6 gradients, ended by 0; p[7]: the first one's data. */
static void normed(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *grads[6];
    size_t n = 0;
    for (; n < 6 && p[n] > 0; n++)
        grads[n] =
            tuff_case_leaf(run, g, TUFF_F32, 1, p + n, n == 0 ? (tuff_data)p[7] : TUFF_DATA_NORMAL, 0.01, 0);
    /* partial sums of squares, then a root that halves the error */
    tuff_case_aside(run, tuff_grad_norm(g, grads, n), 16, 1);
}

/* beta1, beta2, eps */
static const double rules[3][3] = {{0.9, 0.999, 1e-8}, {0, 0.95, 1e-8}, {0.8, 0.99, 1e-2}};

static tuff_adamw_params params_of(const int64_t *p)
{
    return (tuff_adamw_params){.struct_size = sizeof(tuff_adamw_params),
                               .beta1 = rules[p[0]][0],
                               .beta2 = rules[p[0]][1],
                               .eps = rules[p[0]][2],
                               .weight_decay = 0.1,
                               .max_grad_norm = (double)p[1] / 1e7};
}

static tuff_tensor *state_after(tuff_case_run *run, tuff_graph *g, const int64_t *p, double steps)
{
    double beta1 = rules[p[0]][0], beta2 = rules[p[0]][1];
    const double state[4] = {steps, 3, 1 - pow(beta1, steps), 1 - pow(beta2, steps)};
    return tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){4}, state);
}

static tuff_tensor *scalar(tuff_case_run *run, tuff_graph *g, double value)
{
    return tuff_case_leaf(run, g, TUFF_F32, 0, NULL, TUFF_DATA_CONSTANT, value, 0);
}

/* p: rule, largest norm * 10^7, steps done, 1 for a norm that is not finite: two steps of the counter */
static void counted(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_adamw_params params = params_of(p);
    tuff_tensor *state = state_after(run, g, p, (double)p[2]);
    tuff_tensor *norm = scalar(run, g, p[3] ? NAN : 2);
    tuff_optimizer_step(g, tuff_optimizer_step(g, state, norm, &params), scalar(run, g, 0.5), &params);
    /* about twenty doublings, each of which keeps the relative error of the last */
    tuff_case_aside(run, state, 16, 1);
}

/* p: rule, largest norm * 10^7, steps done, 1 for a gradient that is not finite, sizes of up to 6 slots, size
 * of the gradients * 10^7 (0: 0.02): one whole step */
static void stepped(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_adamw_params params = params_of(p);
    tuff_adamw_slot slots[6];
    tuff_tensor *grads[6];
    double scale = p[10] ? (double)p[10] / 1e7 : 0.02;
    size_t n = 0;
    for (; n < 6 && p[4 + n] > 0; n++) {
        int64_t size = p[4 + n];
        grads[n] = tuff_case_leaf(run, g, TUFF_F32, 1, &size,
                                  n == 0 && p[3] ? TUFF_DATA_SPECIAL : TUFF_DATA_NORMAL, scale, 0);
        slots[n] =
            (tuff_adamw_slot){.struct_size = sizeof(tuff_adamw_slot),
                              .param = vector(run, g, size, 0.1, 0),
                              .grad = grads[n],
                              .m = vector(run, g, size, scale / 2, 0),
                              .v = tuff_case_leaf(run, g, TUFF_F32, 1, &size, TUFF_DATA_UNIFORM, 1e-6, 1e-3),
                              .decay = n % 2 == 0};
    }
    tuff_tensor *state = state_after(run, g, p, (double)p[2]), *norm = tuff_grad_norm(g, grads, n);
    tuff_tensor *lr = scalar(run, g, 1e-2);
    tuff_adamw(g, slots, n, lr, norm, tuff_optimizer_step(g, state, norm, &params), &params);
    /* a root, two divisions and a few products beside the clip factor's own error */
    for (size_t i = 0; i < n; i++) {
        tuff_case_aside(run, slots[i].param, 24, 1);
        tuff_case_aside(run, slots[i].m, 24, 1);
        tuff_case_aside(run, slots[i].v, 24, 1);
    }
    tuff_case_aside(run, state, 16, 1);
}

/* p: sizes of 3 slots: AdamW with groups that have rates and decays of their own */
static void grouped(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    static const double rates[3] = {0, 0.1, 10}, decays[3] = {0.5, 0, 0};
    const int64_t rule[2] = {0, 1000000};
    tuff_adamw_params params = params_of(rule);
    tuff_adamw_slot slots[3];
    tuff_tensor *grads[3];
    for (int i = 0; i < 3; i++) {
        grads[i] = vector(run, g, p[i], 0.02, 0);
        slots[i] =
            (tuff_adamw_slot){.struct_size = sizeof(tuff_adamw_slot),
                              .param = vector(run, g, p[i], 0.1, 0),
                              .grad = grads[i],
                              .m = vector(run, g, p[i], 0.01, 0),
                              .v = tuff_case_leaf(run, g, TUFF_F32, 1, p + i, TUFF_DATA_UNIFORM, 1e-6, 1e-3),
                              .decay = i != 2,
                              .lr_scale = rates[i],
                              .weight_decay = decays[i]};
    }
    tuff_tensor *state = state_after(run, g, rule, 3), *norm = tuff_grad_norm(g, grads, 3);
    tuff_adamw(g, slots, 3, scalar(run, g, 1e-2), norm, tuff_optimizer_step(g, state, norm, &params),
               &params);
    for (int i = 0; i < 3; i++)
        tuff_case_aside(run, slots[i].param, 24, 1);
}

/* Slots of these sizes (ended by 0), each of a group of its own. */
static size_t momentum_slots(tuff_case_run *run, tuff_graph *g, const int64_t *sizes, bool special,
                             bool state, tuff_momentum_slot slots[4], tuff_tensor *grads[4])
{
    size_t n = 0;
    for (; n < 4 && sizes[n] > 0; n++) {
        grads[n] = tuff_case_leaf(run, g, TUFF_F32, 1, sizes + n,
                                  n == 0 && special ? TUFF_DATA_SPECIAL : TUFF_DATA_NORMAL, 0.02, 0);
        slots[n] = (tuff_momentum_slot){.struct_size = sizeof(tuff_momentum_slot),
                                        .param = vector(run, g, sizes[n], 0.1, 0),
                                        .grad = grads[n],
                                        .momentum = state ? vector(run, g, sizes[n], 0.01, 0) : NULL,
                                        .decay = n != 1,
                                        .lr_scale = n == 2 ? 0.25 : 0,
                                        .weight_decay = n == 2 ? 0.4 : 0};
    }
    return n;
}

static void check_slots(tuff_case_run *run, const tuff_momentum_slot *slots, size_t n)
{
    /* a few products and sums beside the clip factor's own error */
    for (size_t i = 0; i < n; i++) {
        tuff_case_aside(run, slots[i].param, 24, 1);
        if (slots[i].momentum) tuff_case_aside(run, slots[i].momentum, 24, 1);
    }
}

/* p: momentum in percent, 1 for Nesterov's, largest norm * 10^7, 1 for a gradient that is not finite, sizes
 * of up to 4 slots */
static void descended(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const tuff_sgd_params params = {.struct_size = sizeof params,
                                    .momentum = (double)p[0] / 100,
                                    .nesterov = p[1] != 0,
                                    .weight_decay = 0.1,
                                    .max_grad_norm = (double)p[2] / 1e7};
    tuff_momentum_slot slots[4];
    tuff_tensor *grads[4];
    size_t n = momentum_slots(run, g, p + 4, p[3] != 0, p[0] != 0, slots, grads);
    tuff_sgd(g, slots, n, scalar(run, g, 0.5), tuff_grad_norm(g, grads, n), &params);
    check_slots(run, slots, n);
}

/* p: rate in percent, sizes of up to 4 tensors */
static void averaged(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_momentum_slot slots[4];
    tuff_tensor *values[4], *averages[4];
    size_t n = momentum_slots(run, g, p + 1, false, false, slots, values);
    for (size_t i = 0; i < n; i++)
        averages[i] = slots[i].param;
    tuff_average(g, averages, values, n, scalar(run, g, (double)p[0] / 100));
    check_slots(run, slots, n);
}

/* p: beta1 and beta2 in percent, largest norm * 10^7, 1 for a gradient that is not finite, sizes of up to 4
 * slots */
static void signed_steps(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const tuff_lion_params params = {.struct_size = sizeof params,
                                     .beta1 = (double)p[0] / 100,
                                     .beta2 = (double)p[1] / 100,
                                     .weight_decay = 0.1,
                                     .max_grad_norm = (double)p[2] / 1e7};
    tuff_momentum_slot slots[4];
    tuff_tensor *grads[4];
    size_t n = momentum_slots(run, g, p + 4, p[3] != 0, true, slots, grads);
    tuff_lion(g, slots, n, scalar(run, g, 1e-2), tuff_grad_norm(g, grads, n), &params);
    check_slots(run, slots, n);
}

/* p: momentum in percent, 1 for Nesterov's, largest norm * 10^7, 1 for a gradient that is not finite, size */
static void directed(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const tuff_momentum_params params = {.struct_size = sizeof params,
                                         .momentum = (double)p[0] / 100,
                                         .nesterov = p[1] != 0,
                                         .max_grad_norm = (double)p[2] / 1e7};
    tuff_tensor *grad =
        tuff_case_leaf(run, g, TUFF_F32, 1, p + 4, p[3] ? TUFF_DATA_SPECIAL : TUFF_DATA_NORMAL, 0.02, 0);
    tuff_tensor *momentum = vector(run, g, p[4], 0.01, 0);
    /* a few products and sums beside the clip factor's own error */
    tuff_case_aside(run, tuff_momentum(g, momentum, grad, tuff_grad_norm(g, &grad, 1), &params), 24, 1);
    tuff_case_aside(run, momentum, 24, 1);
}

static const tuff_case cases[] = {
    {"optimizer.accumulate.n1", accumulated, {1}},
    {"optimizer.accumulate.n1027", accumulated, {1027}},
    {"optimizer.norm.n1", normed, {1}},
    {"optimizer.norm.n1_1000_3_4097", normed, {1, 1000, 3, 4097}},
    {"optimizer.norm.n33000_16384_16385", normed, {33000, 16384, 16385}},
    {"optimizer.norm.n129_7.special", normed, {129, 7, 0, 0, 0, 0, 0, TUFF_DATA_SPECIAL}},
    {"optimizer.steps.after0", counted, {0, 0, 0}},
    {"optimizer.steps.after1000", counted, {0, 0, 1000}},
    {"optimizer.steps.after1000000", counted, {0, 0, 1000000}},
    {"optimizer.steps.after6.beta1_0", counted, {1, 0, 6}},
    {"optimizer.steps.after5.skipped", counted, {0, 0, 5, 1}},
    {"optimizer.adamw.n1", stepped, {0, 0, 0, 0, 1}},
    {"optimizer.adamw.n300_1_7.clipped", stepped, {0, 1000000, 4, 0, 300, 1, 7}},
    {"optimizer.adamw.n16385_33.unclipped", stepped, {0, 1000000000, 100, 0, 16385, 33}},
    {"optimizer.adamw.n65.beta1_0", stepped, {1, 10000000, 1, 0, 65}},
    {"optimizer.adamw.n500_100.not_finite", stepped, {0, 10000000, 7, 1, 500, 100}},
    {"optimizer.adamw.n40.clipped.tiny", stepped, {0, 20, 3, 0, 40, 0, 0, 0, 0, 0, 10}},
    {"optimizer.adamw.n70.large_eps", stepped, {2, 0, 2, 0, 70}},
    {"optimizer.adamw.n90_20_310.groups", grouped, {90, 20, 310}},
    {"optimizer.sgd.n1", descended, {0, 0, 0, 0, 1}},
    {"optimizer.sgd.n300_1_7.clipped", descended, {0, 0, 1000000, 0, 300, 1, 7}},
    {"optimizer.sgd.n16385_33_50.momentum", descended, {90, 0, 0, 0, 16385, 33, 50}},
    {"optimizer.sgd.n65_130_40.nesterov.clipped", descended, {80, 1, 1000000, 0, 65, 130, 40}},
    {"optimizer.sgd.n500_100.momentum.not_finite", descended, {90, 0, 10000000, 1, 500, 100}},
    {"optimizer.average.n1.rate1", averaged, {100, 1}},
    {"optimizer.average.n300_1_7", averaged, {25, 300, 1, 7}},
    {"optimizer.average.n16385_33_50", averaged, {1, 16385, 33, 50}},
    {"optimizer.lion.n1", signed_steps, {90, 99, 0, 0, 1}},
    {"optimizer.lion.n300_1_7.clipped", signed_steps, {90, 99, 1000000, 0, 300, 1, 7}},
    {"optimizer.lion.n16385_33_50", signed_steps, {95, 98, 0, 0, 16385, 33, 50}},
    {"optimizer.lion.n65.beta1_0", signed_steps, {0, 95, 0, 0, 65}},
    {"optimizer.lion.n500_100.not_finite", signed_steps, {90, 99, 10000000, 1, 500, 100}},
    {"optimizer.momentum.n1", directed, {95, 1, 0, 0, 1}},
    {"optimizer.momentum.n1027.plain.clipped", directed, {90, 0, 100000, 0, 1027}},
    {"optimizer.momentum.n16385.nesterov.clipped", directed, {95, 1, 1000000, 0, 16385}},
    {"optimizer.momentum.n300.not_finite", directed, {95, 1, 10000000, 1, 300}},
};

const tuff_case_family tuff_family_optimizer = {"optimizer", cases, sizeof cases / sizeof cases[0]};
