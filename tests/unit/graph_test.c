/* Graphs: leaves, errors that stick, gradients, rewrites, the rules that verify enforces. */
#include <stdio.h>
#include <time.h>

#include "ir/op.h"
#include "ir/plan.h"
#include "ir/rewrite.h"
#include "kit/kit.h"

static const int64_t d23[] = {2, 3}, d34[] = {3, 4}, d4[] = {4};

static tuff_graph *fresh(void)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    return g;
}

static void first_error_sticks(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *a = tuff_variable(g, "a", TUFF_F32, 2, d23);
    assert_null(tuff_matmul(g, a, a));
    assert_null(tuff_add(g, a, a));
    assert_null(tuff_input(g, "later", TUFF_F32, 1, d4));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "matmul");
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "[2, 3]");
    tuff_graph_destroy(&g);
    assert_null(g);
}

static void leaves_are_checked(void **state)
{
    (void)state;
    const int64_t empty[] = {3, 0}, huge[] = {INT64_C(1) << 40, INT64_C(1) << 40};
    tuff_graph *g = fresh();
    assert_null(tuff_variable(g, "x", TUFF_F32, 2, empty));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "axis 1 has length 0");
    tuff_graph_destroy(&g);
    g = fresh();
    assert_null(tuff_variable(g, "x", TUFF_F32, 2, huge));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "fits memory");
    tuff_graph_destroy(&g);
    g = fresh();
    assert_non_null(tuff_variable(g, "x", TUFF_F32, 1, d4));
    assert_null(tuff_input(g, "x", TUFF_F32, 1, d4));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "two leaves");
    tuff_graph_destroy(&g);
}

/* Uses `other`, a tensor of another graph, in g, where `own` is one of its own. */
typedef void (*misuse_fn)(tuff_graph *g, tuff_tensor *own, tuff_tensor *other);

static void misuse_add(tuff_graph *g, tuff_tensor *own, tuff_tensor *other)
{
    assert_null(tuff_add(g, own, other));
}
static void misuse_reshape(tuff_graph *g, tuff_tensor *own, tuff_tensor *other)
{
    (void)own;
    assert_null(tuff_reshape(g, other, 2, d23));
}
static void misuse_output(tuff_graph *g, tuff_tensor *own, tuff_tensor *other)
{
    (void)own;
    tuff_output(g, "out", other);
}
static void misuse_name(tuff_graph *g, tuff_tensor *own, tuff_tensor *other)
{
    (void)own;
    tuff_set_name(g, other, "other");
}
static void misuse_wrt(tuff_graph *g, tuff_tensor *own, tuff_tensor *other)
{
    tuff_tensor *grad;
    tuff_graph_grad(g, tuff_sum(g, own, 3, false), &other, 1, &grad);
    assert_null(grad);
}
static void misuse_loss(tuff_graph *g, tuff_tensor *own, tuff_tensor *other)
{
    tuff_tensor *grad;
    tuff_graph_grad(g, other, &own, 1, &grad);
    assert_null(grad);
}

static void tensors_of_other_graphs_are_refused(void **state)
{
    (void)state;
    static const misuse_fn misuses[] = {misuse_add,  misuse_reshape, misuse_output,
                                        misuse_name, misuse_wrt,     misuse_loss};
    for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
        tuff_graph *g = fresh(), *far = fresh();
        tuff_tensor *own = tuff_variable(g, "x", TUFF_F32, 2, d23);
        tuff_tensor *other = tuff_variable(far, "y", TUFF_F32, 2, d23);
        for (int k = 0; k < 40; k++) /* its place in the other graph is past the end of this one */
            other = tuff_scale(far, other, 2);
        misuses[i](g, own, misuses[i] == misuse_loss ? tuff_sum(far, other, 3, false) : other);
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "belongs to another graph");
        KIT_OK(tuff_graph_status(far));
        tuff_graph_destroy(&g);
        tuff_graph_destroy(&far);
    }
}

static void impossible_pads_are_refused(void **state)
{
    (void)state;
    const int64_t lengths[] = {INT64_MIN, -1, 0, 1, INT64_MAX}, starts[] = {0, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t k = 0; k < sizeof starts / sizeof starts[0]; k++) {
            tuff_graph *g = fresh();
            tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, d4);
            assert_null(tuff_pad(g, x, 0, starts[k], lengths[i]));
            KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "pad");
            tuff_graph_destroy(&g);
        }
}

static void gradient_of_a_broadcast_has_the_leafs_shape(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, d23), *w = tuff_variable(g, "w", TUFF_F32, 2, d34);
    tuff_tensor *b = tuff_variable(g, "b", TUFF_F32, 1, d4), *wrt[] = {x, w, b}, *grads[3];
    tuff_tensor *loss = tuff_sum(g, tuff_add(g, tuff_matmul(g, x, w), b), 3, false);
    tuff_graph_grad(g, loss, wrt, 3, grads);
    KIT_OK(tuff_graph_status(g));
    for (int i = 0; i < 3; i++) {
        assert_true(tuff_shape_equal(&grads[i]->shape, &wrt[i]->shape));
        assert_int_equal(grads[i]->dtype, TUFF_F32);
    }
    tuff_graph_destroy(&g);
}

static void gradients_that_do_not_exist_are_errors(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, d4),
                *other = tuff_variable(g, "other", TUFF_F32, 1, d4), *grad;
    tuff_graph_grad(g, tuff_sum(g, x, 1, false), &other, 1, &grad);
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "does not depend on it");
    tuff_graph_destroy(&g);

    g = fresh();
    x = tuff_variable(g, "x", TUFF_F32, 1, d4);
    tuff_graph_grad(g, tuff_sum(g, tuff_detach(g, x), 1, false), &x, 1, &grad);
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "does not depend on it");
    tuff_graph_destroy(&g);

    g = fresh();
    x = tuff_variable(g, "x", TUFF_F32, 1, d4);
    tuff_tensor *first;
    tuff_graph_grad(g, tuff_sum(g, tuff_silu(g, x), 1, false), &x, 1, &first);
    tuff_graph_grad(g, tuff_sum(g, first, 1, false), &x, 1,
                    &grad); /* of a gradient: silu_backward has no rule */
    KIT_FAILS(tuff_graph_status(g), TUFF_UNSUPPORTED, "silu_backward");
    tuff_graph_destroy(&g);

    g = fresh();
    x = tuff_variable(g, "x", TUFF_BF16, 1, d4);
    tuff_graph_grad(g, tuff_sum(g, tuff_copy(g, x, TUFF_F32), 1, false), &x, 1, &grad);
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "bf16");
    tuff_graph_destroy(&g);
}

static void reading_what_was_overwritten_is_an_error(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *sum = tuff_variable(g, "sum", TUFF_F32, 1, d4), *x = tuff_variable(g, "x", TUFF_F32, 1, d4);
    tuff_tensor *after = tuff_accumulate(g, sum, x);
    tuff_output(g, "fine", tuff_scale(g, after, 2));
    KIT_OK(tuff_graph_verify(g));
    tuff_output(g, "stale", tuff_scale(g, sum, 2));
    KIT_FAILS(tuff_graph_verify(g), TUFF_INVALID_ARGUMENT, "overwrote it in place");
    tuff_graph_destroy(&g);
}

static int count(const tuff_graph *g, tuff_op op)
{
    int n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i]->op == op;
    return n;
}

static void dead_nodes_are_dropped(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, d4), *sum = tuff_variable(g, "sum", TUFF_F32, 1, d4);
    tuff_silu(g, x);
    tuff_accumulate(g, sum, tuff_scale(g, x, 3)); /* kept: it writes a variable */
    tuff_output(g, "y", tuff_gelu(g, x, true));
    KIT_OK(tuff_rewrite(g, 0));
    assert_int_equal(count(g, TUFF_OP_silu), 0);
    assert_int_equal(count(g, TUFF_OP_accumulate), 1);
    assert_int_equal(count(g, TUFF_OP_scale), 1);
    assert_int_equal(count(g, TUFF_OP_gelu), 1);
    tuff_graph_destroy(&g);
}

static void gradient_of_a_tied_table_needs_no_second_table(void **state)
{
    (void)state;
    const int64_t table[] = {7, 4}, ids_shape[] = {5},
                  index_shape[] = {(int64_t)tuff_embedding_index_size(5)};
    tuff_graph *g = fresh();
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 2, table),
                *ids = tuff_input(g, "ids", TUFF_I32, 1, ids_shape), *grad;
    tuff_tensor *index = tuff_input(g, "index", TUFF_I32, 1, index_shape);
    tuff_tensor *logits = tuff_matmul(g, tuff_embedding(g, w, ids, index), tuff_transpose(g, w));
    tuff_graph_grad(g, tuff_cross_entropy(g, logits, ids, NULL), &w, 1, &grad);
    tuff_output(g, "grad", grad);
    KIT_OK(tuff_graph_status(g));
    KIT_OK(tuff_rewrite(g, 0));
    assert_int_equal(count(g, TUFF_OP_embedding_backward), 1);
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i]->op == TUFF_OP_fill) assert_true(tuff_tensor_count(g->nodes[i]->out[0]) == 1);
        if (g->nodes[i]->op == TUFF_OP_embedding_backward)
            assert_int_not_equal(g->nodes[i]->in[0]->producer->op, TUFF_OP_fill);
    }
    KIT_OK(tuff_graph_verify(g));
    tuff_graph_destroy(&g);
}

/* The gradient of x [3, 4] of which columns are taken in parts, from `taken[i]` on and each `width` wide. */
static tuff_graph *taken_in_parts(const int64_t *taken, int n, int64_t width, bool shown,
                                  tuff_tensor **out_grad)
{
    tuff_graph *g = fresh();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, d34), *loss = NULL;
    tuff_tensor *whole = tuff_scale(g, x, 2);
    for (int i = 0; i < n; i++) {
        tuff_tensor *part = tuff_slice(g, whole, 1, taken[i], width);
        tuff_tensor *term = tuff_sum(g, tuff_mul(g, part, part), 3, false);
        loss = loss ? tuff_add(g, loss, term) : term;
    }
    tuff_graph_grad(g, loss, &whole, 1, out_grad);
    KIT_OK(tuff_graph_status(g));
    if (shown) tuff_output(g, "partial", (*out_grad)->producer->in[0]);
    tuff_output(g, "grad", *out_grad);
    KIT_OK(tuff_rewrite(g, 0));
    return g;
}

static void gradients_of_parts_are_put_together_at_once(void **state)
{
    (void)state;
    tuff_tensor *grad;
    tuff_graph *g = taken_in_parts((int64_t[]){2, 0, 3, 1}, 4, 1, false, &grad);
    assert_int_equal(grad->producer->op, TUFF_OP_concat);
    assert_int_equal(grad->producer->n_in, 4);
    assert_int_equal(grad->producer->attrs.concat.axis, 1);
    assert_int_equal(count(g, TUFF_OP_pad), 0);
    KIT_OK(tuff_graph_verify(g));
    tuff_graph_destroy(&g);
}

static void gradients_that_do_not_fit_side_by_side_are_added(void **state)
{
    (void)state;
    static const struct {
        int64_t taken[3];
        int n;
        int64_t width;
        bool shown;
    } apart[] = {
        {{0, 2, 3}, 3, 1, false}, /* a gap */
        {{0, 1, 2}, 3, 2, false}, /* one over another */
        {{0, 1, 2}, 3, 1, false}, /* the end is missing */
        {{2, 0, 0}, 2, 2, true},  /* a part's is an output */
    };
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
        tuff_tensor *grad;
        tuff_graph *g = taken_in_parts(apart[i].taken, apart[i].n, apart[i].width, apart[i].shown, &grad);
        assert_int_equal(grad->producer->op, TUFF_OP_add);
        tuff_graph_destroy(&g);
    }
}

/* What was padded is overwritten before the sum: the pad must stay where it is. */
static void pads_of_what_is_overwritten_stay(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *v = tuff_variable(g, "v", TUFF_F32, 2, d23), *w = tuff_variable(g, "w", TUFF_F32, 2, d23);
    tuff_tensor *left = tuff_pad(g, v, 1, 0, 6), *right = tuff_pad(g, w, 1, 3, 6);
    tuff_assign(g, v, 7);
    tuff_tensor *sum = tuff_add(g, left, right);
    tuff_output(g, "sum", sum);
    KIT_OK(tuff_graph_status(g));
    KIT_OK(tuff_rewrite(g, 0));
    assert_int_equal(sum->producer->op, TUFF_OP_add);
    tuff_graph_destroy(&g);
}

static tuff_status build_and_plan(void *user)
{
    (void)user;
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, d23), *w = tuff_variable(g, "w", TUFF_F32, 2, d34),
                *grad;
    tuff_graph_grad(g, tuff_sum(g, tuff_matmul(g, x, w), 3, false), &w, 1, &grad);
    tuff_output(g, "grad", grad);
    tuff_plan *plan = NULL;
    tuff_caps host = {.is_host = true};
    tuff_status status = tuff_plan_create(g, &(tuff_plan_options){.caps = &host}, &plan);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(build_and_plan, NULL) > 5);
}

/* Looking one up must not take longer the more there are: a config of a kilobyte may ask for 4,096 layers. */
static void many_leaves_are_found_at_once(void **state)
{
    (void)state;
    enum { LEAVES = 60000 };
    tuff_graph *g = NULL;
    const clock_t begin = clock();
    char name[32];
    KIT_OK(tuff_graph_create(&g));
    for (int i = 0; i < LEAVES; i++) {
        snprintf(name, sizeof name, "layers.%d.weight", i);
        assert_non_null(tuff_variable(g, name, TUFF_F32, 1, (int64_t[]){2}));
    }
    assert_int_equal(tuff_graph_leaf(g, "layers.777.weight")->id, 777);
    assert_null(tuff_graph_leaf(g, "layers.60000.weight"));
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 1.5);
    tuff_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_leaves_are_found_at_once),
        cmocka_unit_test(first_error_sticks),
        cmocka_unit_test(leaves_are_checked),
        cmocka_unit_test(tensors_of_other_graphs_are_refused),
        cmocka_unit_test(impossible_pads_are_refused),
        cmocka_unit_test(gradient_of_a_broadcast_has_the_leafs_shape),
        cmocka_unit_test(gradients_that_do_not_exist_are_errors),
        cmocka_unit_test(reading_what_was_overwritten_is_an_error),
        cmocka_unit_test(dead_nodes_are_dropped),
        cmocka_unit_test(gradient_of_a_tied_table_needs_no_second_table),
        cmocka_unit_test(gradients_of_parts_are_put_together_at_once),
        cmocka_unit_test(gradients_that_do_not_fit_side_by_side_are_added),
        cmocka_unit_test(pads_of_what_is_overwritten_stay),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
