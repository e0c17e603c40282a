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
        slots[i] = (tuff_adamw_slot){sizeof *slots, t[0], t[1], t[2], t[3], i == 0, {0}};
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
        tuff_adamw_slot slot = {sizeof slot, p, grad, m, v, true, {0}};
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
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
