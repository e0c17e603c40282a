/* Heads over wide vocabularies: which are made for some rows at a time, and that their logits never exist as
 * a whole. That results are right is shown by the conformance cases cross_entropy.head.*. */
#include "ir/plan.h"
#include "kit/kit.h"

enum { ROWS = 1000, CLASSES = 300, WIDTH = 8 };
enum { SUM, MEAN, SQUARES, SHOWN, NORMALIZED }; /* what is made of the logits */

static const tuff_caps host = {.is_host = true};
static const int64_t x_shape[2] = {ROWS, WIDTH}, w_shape[2] = {CLASSES, WIDTH};

static tuff_graph *head(int kind, int64_t wide_bytes)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    g->wide_bytes = wide_bytes;
    tuff_tensor *wrt[2] = {tuff_variable(g, "x", TUFF_F32, 2, x_shape),
                           tuff_variable(g, "w", TUFF_F32, 2, w_shape)};
    tuff_tensor *labels = tuff_input(g, "labels", TUFF_I32, 1, x_shape), *grads[2];
    tuff_tensor *logits = tuff_matmul(g, wrt[0], tuff_transpose(g, wrt[1])), *loss;
    if (kind == SHOWN) tuff_output(g, "logits", logits);
    if (kind == NORMALIZED) logits = tuff_softmax(g, logits);
    if (kind == SQUARES) {
        loss = tuff_cross_entropy_rows(g, logits, labels);
        loss = tuff_sum(g, tuff_mul(g, loss, loss), 1, false);
    } else {
        loss = kind == MEAN ? tuff_cross_entropy(g, logits, labels, NULL)
                            : tuff_cross_entropy_sum(g, logits, labels);
    }
    tuff_graph_grad(g, loss, wrt, 2, grads);
    tuff_output(g, "loss", loss);
    tuff_output(g, "dx", grads[0]);
    tuff_output(g, "dw", grads[1]);
    KIT_OK(tuff_graph_status(g));
    return g;
}

/* What a plan of such a head comes to. */
typedef struct looked {
    size_t changes, logits; /* heads that were cut; products that make logits */
    int64_t largest;        /* elements of a result */
    uint64_t arena;
} looked;

static looked look(int kind, int64_t wide_bytes)
{
    tuff_graph *g = head(kind, wide_bytes);
    tuff_plan *plan = NULL;
    KIT_OK(tuff_plan_create(g, &(tuff_plan_options){.caps = &host}, &plan));
    looked seen = {.changes = g->changes[TUFF_PASS_chunk], .arena = plan->arena_bytes};
    for (size_t i = 0; i < plan->n_steps; i++) {
        const tuff_node *node = plan->steps[i].node;
        for (int o = 0; o < node->n_out; o++) {
            int64_t count = tuff_tensor_count(node->out[o]);
            if (count > seen.largest) seen.largest = count;
        }
        const tuff_shape *shape = &node->out[0]->shape;
        seen.logits += node->op == TUFF_OP_matmul && shape->rank == 2 && shape->dim[1] == CLASSES;
    }
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
    return seen;
}

static void logits_of_all_rows_never_exist(void **state)
{
    (void)state;
    const int64_t whole = (int64_t)ROWS * CLASSES;
    looked plain = look(SUM, whole * 4), cut = look(SUM, 280 * CLASSES * 4);
    assert_int_equal(plain.changes, 0);
    assert_int_equal(plain.logits, 1);
    assert_int_equal(plain.largest, whole);
    assert_int_equal(cut.changes, 1);
    assert_int_equal(cut.logits, 4);
    assert_int_equal(cut.largest, 256 * CLASSES); /* rows of whole tiles, as many as fit */
    assert_true(cut.arena < plain.arena / 3);
}

static void a_chunk_has_at_least_128_rows(void **state)
{
    (void)state;
    looked cut = look(SUM, 1);
    assert_int_equal(cut.logits, 8);
    assert_int_equal(cut.largest, 128 * CLASSES);
}

static void a_gradient_that_waits_for_all_losses_makes_logits_twice(void **state)
{
    (void)state;
    looked cut = look(SQUARES, 1);
    assert_int_equal(cut.changes, 1);
    assert_int_equal(cut.logits, 16);
    assert_int_equal(cut.largest, 128 * CLASSES);
}

static void what_somebody_needs_whole_stays_whole(void **state)
{
    (void)state;
    static const int kinds[] = {MEAN, SHOWN, NORMALIZED};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        looked whole = look(kinds[i], 1);
        assert_int_equal(whole.changes, 0);
        assert_int_equal(whole.logits, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_of_all_rows_never_exist),
        cmocka_unit_test(a_chunk_has_at_least_128_rows),
        cmocka_unit_test(a_gradient_that_waits_for_all_losses_makes_logits_twice),
        cmocka_unit_test(what_somebody_needs_whole_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
