/* The optimizer ops against PyTorch, step by step. */
#include <math.h>

#include "ir/op.h"
#include "kit/kit.h"

enum { STEPS = 20, SKIPPED = 7, A = 5, B = 2 };

static const double first_a[A] = {0.5, -0.3, 0.8, -1.2, 0.05}, first_b[B] = {1, -2};
/* torch.optim.AdamW 2.14 in float64: lr 1e-2, betas 0.9 and 0.95, eps 1e-8, decay 0.1 for a and none for b,
 * after clip_grad_norm_ to 1.25, the gradients cos(1.3 t + k) for a and a tenth of cos(1.3 t + 5 + k) for b
 * at step t, without an optimizer step at t = 7. */
static const double last_a[A] = {0.48390135049578265, -0.27260812469247919, 0.80487838303229398,
                                 -1.1683607032522325, 0.02752853628283634},
                    last_b[B] = {0.97911548752946664, -2.0114702897706742};

typedef struct nodes {
    tuff_graph *graph;
    const tuff_node *norm, *step, *adamw;
} nodes;

static nodes build(void)
{
    static const int64_t n[] = {A, B, 4};
    static const tuff_adamw_params params = {.struct_size = sizeof params,
                                             .beta1 = 0.9,
                                             .beta2 = 0.95,
                                             .eps = 1e-8,
                                             .weight_decay = 0.1,
                                             .max_grad_norm = 1.25};
    nodes o = {0};
    KIT_OK(tuff_graph_create(&o.graph));
    tuff_graph *g = o.graph;
    static const char *const names[2][4] = {{"a", "da", "ma", "va"}, {"b", "db", "mb", "vb"}};
    tuff_adamw_slot slots[2];
    for (int i = 0; i < 2; i++) {
        tuff_tensor *t[4];
        for (int k = 0; k < 4; k++)
            t[k] = tuff_variable(g, names[i][k], TUFF_F32, 1, n + i);
        slots[i] = (tuff_adamw_slot){sizeof *slots, t[0], t[1], t[2], t[3], i == 0, {0}, 0, 0};
    }
    tuff_tensor *norm = tuff_grad_norm(g, (tuff_tensor *[]){slots[0].grad, slots[1].grad}, 2);
    tuff_tensor *lr = tuff_input(g, "lr", TUFF_F32, 0, NULL);
    tuff_tensor *state = tuff_optimizer_step(g, tuff_variable(g, "state", TUFF_F32, 1, n + 2), norm, &params);
    tuff_adamw(g, slots, 2, lr, norm, state, &params);
    KIT_OK(tuff_graph_status(g));
    o.norm = norm->producer;
    o.step = state->producer;
    o.adamw = g->nodes[g->n_nodes - 1];
    assert_int_equal(o.adamw->op, TUFF_OP_adamw);
    return o;
}

static double gradient(int step, int k)
{
    return (k < A ? 1 : 0.1) * cos(1.3 * step + k);
}

static void the_reference_follows_pytorch(void **state)
{
    (void)state;
    nodes o = build();
    double a[4][A] = {{0}}, b[4][B] = {{0}}, counters[4] = {0}, lr = 1e-2, norm;
    memcpy(a[0], first_a, sizeof first_a);
    memcpy(b[0], first_b, sizeof first_b);
    for (int t = 1; t <= STEPS; t++) {
        for (int k = 0; k < A + B; k++)
            *(k < A ? &a[1][k] : &b[1][k - A]) = gradient(t, k);
        tuff_op_info_of(TUFF_OP_grad_norm)
            ->reference(o.norm, (const double *[]){a[1], b[1]}, (double *[]){&norm});
        if (t == 1) assert_float_equal(norm, 1.4040410554010827, 1e-15);
        if (t == SKIPPED) norm = NAN;
        tuff_op_info_of(TUFF_OP_optimizer_step)
            ->reference(o.step, (const double *[]){counters, &norm}, (double *[]){counters});
        const double *in[] = {&lr, &norm, counters, a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]};
        double new[6][A], *out[] = {new[0], new[1], new[2], new[3], new[4], new[5]};
        tuff_op_info_of(TUFF_OP_adamw)->reference(o.adamw, in, out);
        for (int i = 0; i < 3; i++) {
            int row = i == 0 ? 0 : i + 1;
            memcpy(a[row], new[i], sizeof a[row]);
            memcpy(b[row], new[3 + i], sizeof b[row]);
        }
    }
    for (int k = 0; k < A + B; k++)
        if (!(fabs(k < A ? a[0][k] - last_a[k] : b[0][k - A] - last_b[k - A]) < 1e-12))
            fail_msg("parameter %d is %.17g", k, k < A ? a[0][k] : b[0][k - A]);
    assert_true(counters[0] == STEPS - 1 && counters[1] == 1);
    tuff_graph_destroy(&o.graph);
}

static void the_host_kernel_follows_pytorch(void **state)
{
    (void)state;
    nodes o = build();
    float a[4][A] = {{0}}, b[4][B] = {{0}}, counters[4] = {0}, lr = 1e-2f, norm;
    double scratch[8];
    for (int k = 0; k < A; k++)
        a[0][k] = (float)first_a[k];
    for (int k = 0; k < B; k++)
        b[0][k] = (float)first_b[k];
    const tuff_op_info *info = tuff_op_info_of(TUFF_OP_grad_norm);
    assert_true(info->cpu_scratch(o.norm) <= sizeof scratch);
    for (int t = 1; t <= STEPS; t++) {
        for (int k = 0; k < A + B; k++)
            *(k < A ? &a[1][k] : &b[1][k - A]) = (float)gradient(t, k);
        info->cpu(o.norm, (const void *[]){a[1], b[1]}, (void *[]){&norm}, scratch);
        if (t == SKIPPED) norm = INFINITY;
        tuff_op_info_of(TUFF_OP_optimizer_step)
            ->cpu(o.step, (const void *[]){counters, &norm}, (void *[]){counters}, NULL);
        const void *in[] = {&lr, &norm, counters, a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]};
        void *out[] = {a[0], a[2], a[3], b[0], b[2], b[3]};
        tuff_op_info_of(TUFF_OP_adamw)->cpu(o.adamw, in, out, NULL);
    }
    for (int k = 0; k < A + B; k++)
        if (!(fabs(k < A ? a[0][k] - last_a[k] : b[0][k - A] - last_b[k - A]) < 1e-6))
            fail_msg("parameter %d is %.9g", k, (double)(k < A ? a[0][k] : b[0][k - A]));
    assert_true(counters[0] == STEPS - 1 && counters[1] == 1);
    tuff_graph_destroy(&o.graph);
}

/* SGD and Lion: the same gradients and clipping, b with half the learning rate. */
static const struct rule {
    const char *name;
    tuff_op op;
    tuff_sgd_params sgd;
    double a[A], b[B]; /* torch.optim.SGD 2.9 in float64; the paper's formulas, in the same way */
} rules[] = {
    {"SGD",
     TUFF_OP_sgd,
     {.weight_decay = 0.1},
     {0.48105086913036166, -0.296964527010495, 0.7916459981553082, -1.1675397004744401, 0.05300798424785564},
     {0.9997168356725152, -2.0005014197712145}},
    {"SGD with momentum",
     TUFF_OP_sgd,
     {.weight_decay = 0.1, .momentum = 0.9},
     {0.42337037935330396, -0.2605377312461502, 0.7421856498670876, -1.0441333034872275, 0.04218372069105939},
     {0.9985099074354712, -2.001392325329277}},
    {"SGD with Nesterov's",
     TUFF_OP_sgd,
     {.weight_decay = 0.1, .momentum = 0.9, .nesterov = true},
     {0.41268109507609946, -0.26220818779092414, 0.7399554680899795, -1.0286924990371558,
      0.04640914544377291},
     {0.9983757523644397, -2.001754512567565}},
    {"Lion",
     TUFF_OP_lion,
     {0},
     {0.48073367337449985, -0.30418170042851267, 0.7748474294051022, -1.1477319794570615,
      0.05910700267620018},
     {1.005, -2.0249999999999995}},
};

static nodes build_rule(const struct rule *r)
{
    static const int64_t n[] = {A, B};
    static const char *const names[2][3] = {{"a", "da", "ma"}, {"b", "db", "mb"}};
    nodes o = {0};
    KIT_OK(tuff_graph_create(&o.graph));
    tuff_momentum_slot slots[2];
    for (int i = 0; i < 2; i++) {
        slots[i] = (tuff_momentum_slot)TUFF_MOMENTUM_SLOT_INIT;
        slots[i].param = tuff_variable(o.graph, names[i][0], TUFF_F32, 1, n + i);
        slots[i].grad = tuff_variable(o.graph, names[i][1], TUFF_F32, 1, n + i);
        slots[i].momentum = tuff_variable(o.graph, names[i][2], TUFF_F32, 1, n + i);
        slots[i].decay = i == 0;
        slots[i].lr_scale = i == 0 ? 0 : 0.5;
    }
    tuff_tensor *norm = tuff_grad_norm(o.graph, (tuff_tensor *[]){slots[0].grad, slots[1].grad}, 2);
    tuff_tensor *lr = tuff_input(o.graph, "lr", TUFF_F32, 0, NULL);
    tuff_sgd_params sgd = r->sgd;
    tuff_lion_params lion = TUFF_LION_PARAMS_INIT;
    sgd.struct_size = sizeof sgd;
    sgd.max_grad_norm = lion.max_grad_norm = 1.25;
    lion.weight_decay = 0.1;
    if (r->op == TUFF_OP_sgd)
        tuff_sgd(o.graph, slots, 2, lr, norm, &sgd);
    else
        tuff_lion(o.graph, slots, 2, lr, norm, &lion);
    KIT_OK(tuff_graph_status(o.graph));
    o.norm = norm->producer;
    o.step = o.graph->nodes[o.graph->n_nodes - 1];
    return o;
}

static void sgd_and_lion_follow_pytorch(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
        nodes o = build_rule(&rules[r]);
        const tuff_op_info *info = tuff_op_info_of(rules[r].op);
        double a[3][A] = {{0}}, b[3][B] = {{0}}, lr = 1e-2, norm;
        float fa[3][A] = {{0}}, fb[3][B] = {{0}}, flr = 1e-2f;
        bool momentum = rules[r].op == TUFF_OP_lion || rules[r].sgd.momentum > 0;
        int width = momentum ? 3 : 2;
        for (int k = 0; k < A; k++)
            fa[0][k] = (float)(a[0][k] = first_a[k]);
        for (int k = 0; k < B; k++)
            fb[0][k] = (float)(b[0][k] = first_b[k]);
        for (int t = 1; t <= STEPS; t++) {
            for (int k = 0; k < A; k++)
                fa[1][k] = (float)(a[1][k] = gradient(t, k));
            for (int k = 0; k < B; k++)
                fb[1][k] = (float)(b[1][k] = gradient(t, A + k));
            tuff_op_info_of(TUFF_OP_grad_norm)
                ->reference(o.norm, (const double *[]){a[1], b[1]}, (double *[]){&norm});
            if (t == SKIPPED) norm = NAN;
            float fnorm = (float)norm;
            const double *in[8] = {&lr, &norm, a[0], a[1], a[2]};
            const void *fin[8] = {&flr, &fnorm, fa[0], fa[1], fa[2]};
            double new_a[2][A], new_b[2][B], *out[4] = {new_a[0], new_a[1]};
            void *fout[4] = {fa[0], fa[2]};
            for (int k = 0; k < width; k++) {
                in[2 + width + k] = b[k];
                fin[2 + width + k] = fb[k];
            }
            out[width - 1] = new_b[0];
            out[width] = new_b[1];
            fout[width - 1] = fb[0];
            fout[width] = fb[2];
            info->reference(o.step, in, out);
            info->cpu(o.step, fin, fout, NULL);
            memcpy(a[0], new_a[0], sizeof a[0]);
            memcpy(b[0], new_b[0], sizeof b[0]);
            if (momentum) memcpy(a[2], new_a[1], sizeof a[2]);
            if (momentum) memcpy(b[2], new_b[1], sizeof b[2]);
        }
        for (int k = 0; k < A + B; k++) {
            double want = k < A ? rules[r].a[k] : rules[r].b[k - A], got = k < A ? a[0][k] : b[0][k - A];
            float host = k < A ? fa[0][k] : fb[0][k - A];
            if (!(fabs(got - want) < 1e-12 && fabs((double)host - want) < 1e-6))
                fail_msg("%s: parameter %d is %.17g, on the host %.9g, and should be %.17g", rules[r].name, k,
                         got, (double)host, want);
        }
        tuff_graph_destroy(&o.graph);
    }
}

static void mistakes_of_sgd_and_lion_are_named(void **state)
{
    (void)state;
    static const int64_t n[] = {3, 4};
    static const char *const part[] = {
        "sgd: momentum must be at least 0 and less than 1",
        "sgd: nesterov needs a momentum above 0",
        "the momentum of a parameter must have shape [3], but is [4]",
        "sgd: slot 0: lr_scale and weight_decay must be finite numbers of at least 0, but they are -1 and 0",
        "lion: betas must be at least 0 and less than 1",
        "lion: needs at least one slot",
        "lion: slot 0: lr_scale and weight_decay must be finite numbers of at least 0, but they are 0 and inf",
    };
    for (int i = 0; i < 7; i++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_momentum_slot slot = TUFF_MOMENTUM_SLOT_INIT;
        slot.param = tuff_variable(g, "p", TUFF_F32, 1, n);
        slot.grad = tuff_variable(g, "g", TUFF_F32, 1, n);
        slot.momentum = tuff_variable(g, "m", TUFF_F32, 1, n + (i == 2));
        slot.lr_scale = i == 3 ? -1 : 0;
        slot.weight_decay = i == 6 ? INFINITY : 0;
        tuff_tensor *lr = tuff_input(g, "lr", TUFF_F32, 0, NULL), *norm = tuff_grad_norm(g, &slot.grad, 1);
        tuff_sgd_params sgd = TUFF_SGD_PARAMS_INIT;
        tuff_lion_params lion = TUFF_LION_PARAMS_INIT;
        sgd.momentum = i == 0 ? 1 : i == 2 ? 0.5 : 0;
        sgd.nesterov = i == 1;
        lion.beta2 = i == 4 ? 1 : 0.99;
        if (i < 4)
            tuff_sgd(g, &slot, 1, lr, norm, &sgd);
        else
            tuff_lion(g, &slot, i == 5 ? 0 : 1, lr, norm, &lion);
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, part[i]);
        tuff_graph_destroy(&g);
    }
}

/* Builds an optimizer of one slot with one thing wrong. */
static void mistakes_are_named(void **state)
{
    (void)state;
    static const int64_t n[] = {3, 4, 5};
    static const char *const part[] = {
        "the gradient of a parameter must have shape [3], but is [4]",
        "the learning rate must have shape [], but is [3]",
        "the optimizer's state must have shape [4], but is [3]",
        "betas must be at least 0 and less than 1",
        "the second moment of a parameter must be f32, but is f16",
        "adamw: needs at least one slot",
        "grad_norm: needs at least one gradient",
        "x must have shape [3], but is [4]",
    };
    for (int i = 0; i < 8; i++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_adamw_params params = {.struct_size = sizeof params, .beta1 = 0.9, .beta2 = i == 3 ? 1 : 0.95};
        tuff_tensor *p = tuff_variable(g, "p", TUFF_F32, 1, n),
                    *other = tuff_variable(g, "other", TUFF_F32, 1, n + 1);
        tuff_tensor *m = tuff_variable(g, "m", TUFF_F32, 1, n);
        tuff_tensor *v = tuff_variable(g, "v", i == 4 ? TUFF_F16 : TUFF_F32, 1, n);
        tuff_tensor *lr = tuff_input(g, "lr", TUFF_F32, i == 1 ? 1 : 0, n);
        tuff_tensor *grad = i == 0 ? other : tuff_variable(g, "g", TUFF_F32, 1, n);
        tuff_tensor *counters = tuff_variable(g, "state", TUFF_F32, 1, n + (i != 2));
        tuff_tensor *norm = tuff_grad_norm(g, &grad, i == 6 ? 0 : 1);
        tuff_adamw_slot slot = {sizeof slot, p, grad, m, v, true, {0}, 0, 0};
        if (i == 7) tuff_accumulate(g, p, other);
        tuff_adamw(g, &slot, i == 5 ? 0 : 1, lr, norm, counters, &params);
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, part[i]);
        tuff_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_follows_pytorch),
        cmocka_unit_test(the_host_kernel_follows_pytorch),
        cmocka_unit_test(sgd_and_lion_follow_pytorch),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(mistakes_of_sgd_and_lion_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
