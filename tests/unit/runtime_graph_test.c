/* What a graph refuses before anything runs, and that its rewrites change no number: run on the CPU. */
#include <math.h>

#include "cpu_fixture.h"
#include "kit/kit.h"
#include "runtime/program.h"

static tuff_graph *new_graph(void)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    return g;
}

static void refused(tuff_graph *g, const char *part)
{
    tuff_program *program = NULL;
    KIT_FAILS(tuff_program_create(device, &g, &program), TUFF_INVALID_ARGUMENT, part);
    assert_null(program);
    assert_null(g);
}

static void outputs_have_names_of_their_own(void **state)
{
    (void)state;
    tuff_graph *g = new_graph();
    tuff_tensor *x = tuff_fill(g, 3, 1, (int64_t[]){2});
    tuff_output(g, "a", x);
    tuff_output(g, "b", x); /* the same tensor under a second name */
    tuff_program *program = NULL;
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_program_run(program));
    for (int i = 0; i < 2; i++) {
        float y[2] = {0};
        KIT_OK(tuff_program_output(program, i ? "b" : "a", y, sizeof y));
        assert_true(y[0] == 3 && y[1] == 3);
    }
    tuff_program_destroy(&program);

    g = new_graph();
    tuff_output(g, "a", tuff_fill(g, 1, 0, NULL));
    tuff_output(g, "a", tuff_fill(g, 2, 0, NULL));
    refused(g, "two outputs of a graph are called \"a\"");
}

/* The gradient of x^2 x is x^2 where the square is a constant. */
static void gradients_end_where_a_tensor_is_detached(void **state)
{
    (void)state;
    static const float values[] = {1, -2, 3, 0.5F};
    const int64_t n[] = {4};
    tuff_graph *g = new_graph();
    tuff_program *program = NULL;
    tuff_tensor *x = tuff_input(g, "x", TUFF_F32, 1, n), *square = tuff_detach(g, tuff_mul(g, x, x)), *grad;
    tuff_graph_grad(g, tuff_sum(g, tuff_mul(g, square, x), 1, false), &x, 1, &grad);
    tuff_output(g, "grad", grad);
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_program_input(program, "x", values, sizeof values));
    KIT_OK(tuff_program_run(program));
    float got[4];
    KIT_OK(tuff_program_output(program, "grad", got, sizeof got));
    for (int i = 0; i < 4; i++)
        assert_true(got[i] == values[i] * values[i]);
    tuff_program_destroy(&program);
}

static void what_is_updated_in_place_is_looked_at_once(void **state)
{
    (void)state;
    const int64_t n[] = {4}, square[] = {4, 4};
    tuff_graph *g = new_graph();
    tuff_tensor *v = tuff_variable(g, "v", TUFF_F32, 2, square);
    tuff_accumulate(g, v, v);
    refused(g, "updates v in place and is also given it");

    g = new_graph();
    tuff_tensor *x = tuff_fill(g, 1, 1, n);
    tuff_output(g, "x", x);
    tuff_accumulate(g, x, tuff_variable(g, "v", TUFF_F32, 1, n));
    refused(g, "would overwrite the output x");

    g = new_graph();
    tuff_assign(g, tuff_input(g, "in", TUFF_F32, 1, n), 0);
    tuff_output(g, "y", tuff_fill(g, 1, 0, NULL));
    refused(g, "would overwrite the input in");

    /* one parameter in two slots of the optimizer */
    g = new_graph();
    tuff_tensor *p = tuff_variable(g, "p", TUFF_F32, 1, n), *grad = tuff_input(g, "g", TUFF_F32, 1, n);
    tuff_tensor *state4 = tuff_variable(g, "s", TUFF_F32, 1, n), *lr = tuff_input(g, "lr", TUFF_F32, 0, NULL);
    const tuff_adamw_params adamw = {.struct_size = sizeof adamw, .beta1 = 0.9, .beta2 = 0.999};
    tuff_adamw_slot slots[2] = {{sizeof *slots,
                                 p,
                                 grad,
                                 tuff_variable(g, "m", TUFF_F32, 1, n),
                                 tuff_variable(g, "v", TUFF_F32, 1, n),
                                 false,
                                 {0},
                                 0,
                                 0},
                                {sizeof *slots,
                                 p,
                                 grad,
                                 tuff_variable(g, "m2", TUFF_F32, 1, n),
                                 tuff_variable(g, "v2", TUFF_F32, 1, n),
                                 false,
                                 {0},
                                 0,
                                 0}};
    tuff_tensor *norm = tuff_grad_norm(g, &grad, 1);
    tuff_adamw(g, slots, 2, lr, norm, tuff_optimizer_step(g, state4, norm, &adamw), &adamw);
    refused(g, "updates p in place");

    /* two halves of one variable are two places */
    g = new_graph();
    v = tuff_variable(g, "v", TUFF_F32, 1, (int64_t[]){8});
    tuff_accumulate(g, tuff_slice(g, v, 0, 0, 4), tuff_slice(g, v, 0, 4, 4));
    tuff_program *program = NULL;
    KIT_OK(tuff_program_create(device, &g, &program));
    tuff_program_destroy(&program);
}

static void sizes_do_not_overflow(void **state)
{
    (void)state;
    tuff_graph *g = new_graph();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, (int64_t[]){1});
    tuff_tensor *wide = tuff_expand(g, x, 2, (int64_t[]){(int64_t)1 << 40, 1});
    tuff_tensor *high = tuff_expand(g, x, 2, (int64_t[]){1, (int64_t)1 << 40});
    tuff_output(g, "y", tuff_add(g, wide, high));
    refused(g, "too large");
    g = new_graph();
    tuff_variable(g, "x", TUFF_F32, 2, (int64_t[]){(int64_t)1 << 40, (int64_t)1 << 40});
    refused(g, "x: axis 1");
}

static void fill_buffer(tuff_program *program, tuff_buffer **out, const char *name, int rank,
                        const int64_t *dims)
{
    float values[64];
    KIT_OK(tuff_buffer_create(device, name, TUFF_F32, rank, dims, out));
    int64_t n = tuff_buffer_count(*out);
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)((i * 7 + name[0]) % 11) / 8 - 0.5f;
    KIT_OK(tuff_buffer_write(*out, 0, values, n));
    KIT_OK(tuff_program_bind(program, name, *out));
}

/* The gradient of a tied table, as itself and through a view of it made before planning. */
static void a_folded_sum_is_seen_by_its_views(void **state)
{
    (void)state;
    const int64_t table[] = {5, 4}, three[] = {3}, flat[] = {20};
    const int64_t index_size = (int64_t)tuff_embedding_index_size(3);
    tuff_graph *g = new_graph();
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 2, table);
    tuff_tensor *ids = tuff_input(g, "ids", TUFF_I32, 1, three);
    tuff_tensor *index = tuff_input(g, "index", TUFF_I32, 1, &index_size);
    tuff_tensor *labels = tuff_input(g, "labels", TUFF_I32, 1, three), *grad = NULL;
    tuff_tensor *logits = tuff_matmul(g, tuff_embedding(g, w, ids, index), tuff_transpose(g, w));
    tuff_tensor *loss = tuff_cross_entropy(g, logits, labels, NULL);
    tuff_graph_grad(g, loss, &w, 1, &grad);
    tuff_output(g, "flat", tuff_scale(g, tuff_reshape(g, grad, 1, flat), 2));
    tuff_output(g, "loss", loss);
    tuff_program *program = NULL;
    KIT_OK(tuff_program_create(device, &g, &program));
    for (size_t i = 0; i < program->plan->n_steps; i++)
        assert_int_not_equal(program->plan->steps[i].node->op, TUFF_OP_add); /* it was folded */

    tuff_buffer *buffer = NULL;
    fill_buffer(program, &buffer, "w", 2, table);
    const int32_t id[] = {4, 1, 4}, label[] = {1, 0, 2};
    int32_t list[11];
    float got[20], weight[20];
    KIT_OK(tuff_embedding_index(id, 3, list));
    KIT_OK(tuff_program_input(program, "ids", id, sizeof id));
    KIT_OK(tuff_program_input(program, "labels", label, sizeof label));
    KIT_OK(tuff_program_input(program, "index", list, sizeof list));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "flat", got, sizeof got));
    KIT_OK(tuff_buffer_read(buffer, 0, weight, 20));
    double want[20] = {0};
    for (int r = 0; r < 3; r++) {
        double p[5], sum = 0;
        for (int v = 0; v < 5; v++) {
            p[v] = 0;
            for (int c = 0; c < 4; c++)
                p[v] += (double)weight[id[r] * 4 + c] * (double)weight[v * 4 + c];
            sum += p[v] = exp(p[v]);
        }
        for (int v = 0; v < 5; v++) {
            double d = (p[v] / sum - (v == label[r])) / 3;
            for (int c = 0; c < 4; c++) {
                want[v * 4 + c] += d * (double)weight[id[r] * 4 + c];
                want[id[r] * 4 + c] += d * (double)weight[v * 4 + c];
            }
        }
    }
    for (int i = 0; i < 20; i++)
        assert_true(fabs((double)got[i] - 2 * want[i]) < 1e-6);
    tuff_program_destroy(&program);
    tuff_buffer_destroy(&buffer);
}

/* Accumulates move up to what they add, but not past a reader of what was there before. */
static void accumulates_move_up(void **state)
{
    (void)state;
    const int64_t n[] = {4};
    for (int read_between = 0; read_between < 2; read_between++) {
        tuff_graph *g = new_graph();
        tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, n),
                    *sum = tuff_variable(g, "sum", TUFF_F32, 1, n);
        tuff_tensor *a = tuff_scale(g, x, 2), *b = tuff_silu(g, x);
        tuff_tensor *c = tuff_mul(g, b, read_between ? sum : x);
        tuff_output(g, "c", c);
        tuff_output(g, "after", tuff_accumulate(g, tuff_accumulate(g, sum, a), b));
        tuff_program *program = NULL;
        KIT_OK(tuff_program_create(device, &g, &program));
        assert_int_equal(program->plan->steps[1].node->op == TUFF_OP_accumulate, !read_between);
        tuff_buffer *bx = NULL, *bs = NULL;
        fill_buffer(program, &bx, "x", 1, n);
        fill_buffer(program, &bs, "sum", 1, n);
        float xs[4], sums[4], got_c[4], got[4], left[4];
        KIT_OK(tuff_buffer_read(bx, 0, xs, 4));
        KIT_OK(tuff_buffer_read(bs, 0, sums, 4));
        KIT_OK(tuff_program_run(program));
        KIT_OK(tuff_program_output(program, "c", got_c, sizeof got_c));
        KIT_OK(tuff_program_output(program, "after", got, sizeof got));
        KIT_OK(tuff_buffer_read(bs, 0, left, 4));
        for (int i = 0; i < 4; i++) {
            double silu = (double)xs[i] / (1 + exp(-(double)xs[i]));
            assert_true(fabs((double)got_c[i] - silu * (double)(read_between ? sums[i] : xs[i])) < 1e-6);
            assert_true(fabs((double)got[i] - ((double)sums[i] + 2 * (double)xs[i] + silu)) < 1e-6);
            assert_true(left[i] == got[i]);
        }
        tuff_program_destroy(&program);
        tuff_buffer_destroy(&bx);
        tuff_buffer_destroy(&bs);
    }
}

/* A failed differentiation leaves no gradient behind. */
static void gradients_are_all_or_none(void **state)
{
    (void)state;
    tuff_graph *g = new_graph();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 0, NULL),
                *other = tuff_variable(g, "o", TUFF_F32, 0, NULL);
    tuff_tensor *wrt[] = {x, other}, *grads[2] = {x, x};
    tuff_graph_grad(g, tuff_silu(g, x), wrt, 2, grads);
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "does not depend on it");
    assert_null(grads[0]);
    assert_null(grads[1]);
    tuff_graph_destroy(&g);
}

static tuff_status plan_and_run(void *user)
{
    (void)user;
    const int64_t square[] = {8, 8};
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    tuff_buffer *buffer = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_graph_create(&g));
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 2, square), *grad = NULL;
    tuff_tensor *loss = tuff_sum(g, tuff_silu(g, tuff_matmul(g, w, tuff_transpose(g, w))), 3, false);
    tuff_graph_grad(g, loss, &w, 1, &grad);
    tuff_output(g, "grad", grad);
    tuff_output(g, "loss", loss);
    TUFF_GO(tuff_program_create(device, &g, &program));
    TUFF_GO(tuff_buffer_create(device, "w", TUFF_F32, 2, square, &buffer));
    TUFF_GO(tuff_program_bind(program, "w", buffer));
    TUFF_GO(tuff_program_run(program));
    char *text = tuff_program_text(program);
    status = text ? TUFF_OK : TUFF_OUT_OF_MEMORY;
    tuff_free(text);
done:
    tuff_program_destroy(&program);
    tuff_graph_destroy(&g);
    tuff_buffer_destroy(&buffer);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(plan_and_run, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_have_names_of_their_own),
        cmocka_unit_test(gradients_end_where_a_tensor_is_detached),
        cmocka_unit_test(what_is_updated_in_place_is_looked_at_once),
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(a_folded_sum_is_seen_by_its_views),
        cmocka_unit_test(accumulates_move_up),
        cmocka_unit_test(gradients_are_all_or_none),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
