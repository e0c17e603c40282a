/* Matrix products as kernels see them, and their grids on devices of several kinds, without any. */
#include "ir/op.h"
#include "kit/kit.h"
#include "ops/matmul.h"
#include "shaders/args/matmul.h"

static const tuff_caps devices[] = {
    {.subgroup_size = 4, .shared_bytes = 16384, .max_workgroup = 128, .max_groups = {65535, 65535, 65535}},
    {.features = TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT,
     .subgroup_size = 8,
     .shared_bytes = 32768,
     .max_workgroup = 1024,
     .max_groups = {65535, 65535, 65535}},
    {.features = TUFF_CAP_SUBGROUP_BALLOT,
     .subgroup_size = 32,
     .shared_bytes = 49152,
     .max_workgroup = 1024,
     .max_groups = {2147483647, 65535, 65535}},
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

static const int64_t shapes[][3] = {{1, 1, 1},       {1, 50257, 768}, {4, 64, 64},  {5, 64, 64},
                                    {33, 33, 8},     {64, 64, 64},    {65, 129, 1}, {1024, 768, 768},
                                    {7, 262144, 64}, {100000, 8, 9}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* Rows and columns of c that a workgroup makes, 0 for the kernel of few rows. */
static int64_t tile_of(const tuff_dispatch *d, int64_t *columns)
{
    switch (d->shader) {
    case TUFF_SHADER_matmul_f32:
    case TUFF_SHADER_matmul_bf16:
        return *columns = TUFF_MATMUL_PLAIN_TILE;
    case TUFF_SHADER_matmul_tile_f32:
    case TUFF_SHADER_matmul_tile_bf16:
        return *columns = 64;
    case TUFF_SHADER_matmul_spread_f32:
    case TUFF_SHADER_matmul_spread_bf16:
        *columns = 8 * d->spec[0];
        return d->spec[1];
    default:
        return 0;
    }
}

static void check(const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    tuff_arena arena = {0};
    tuff_launch launch = {.arena = &arena};
    tuff_matmul_rows[row].geometry(node, caps, &launch);
    assert_false(launch.failed);
    assert_int_equal(launch.n, 1);
    const tuff_dispatch *d = launch.dispatches[0];
    int64_t columns = 0, rows = tile_of(d, &columns);
    for (int axis = 0; axis < 3; axis++)
        assert_in_range(d->groups[axis], 1, caps->max_groups[axis]);
    if (rows > 0) {
        const tuff_matmul_args *args = (const tuff_matmul_args *)d->args;
        assert_true(d->groups[0] * columns >= p.N && (d->groups[0] - 1) * columns < p.N);
        assert_true(d->groups[1] * rows >= p.M && (d->groups[1] - 1) * rows < p.M);
        assert_int_equal(d->groups[2], p.batch[0] * p.batch[1]);
        assert_true(args->M == p.M && args->N == p.N && args->K == p.K);
        assert_true(args->ars == 1 || args->acs == 1);
        assert_true(args->brs == 1 || args->bcs == 1);
    } else {
        const tuff_matmul_rows_args *args = (const tuff_matmul_rows_args *)d->args;
        assert_true(p.M <= TUFF_MATMUL_FEW);
        assert_int_equal(d->spec[0] % args->lanes, 0);
        assert_true((uint64_t)d->groups[0] * d->groups[1] * (d->spec[0] / args->lanes) * 4 >= (uint64_t)p.N);
    }
    tuff_arena_free(&arena);
}

static void every_row_covers_the_result(void **state)
{
    (void)state;
    for (int c = 0; c < DEVICES; c++)
        for (int s = 0; s < SHAPES; s++)
            for (int kind = 0; kind < 4; kind++) {
                int64_t M = shapes[s][0], N = shapes[s][1], K = shapes[s][2];
                tuff_graph *g = NULL;
                KIT_OK(tuff_graph_create(&g));
                tuff_tensor *a = tuff_variable(g, "a", TUFF_F32, 2, (int64_t[]){M, K});
                tuff_tensor *b = tuff_variable(g, "b", kind & 2 ? TUFF_BF16 : TUFF_F32, 2,
                                               kind & 1 ? (int64_t[]){N, K} : (int64_t[]){K, N});
                tuff_tensor *y = tuff_matmul(g, a, kind & 1 ? tuff_transpose(g, b) : b);
                KIT_OK(tuff_graph_status(g));
                int reached = 0;
                for (int row = 0; row < TUFF_MATMUL_ROWS; row++) {
                    const tuff_kernel_row *r = &tuff_matmul_rows[row];
                    if ((r->needs & ~devices[c].features) != 0 || !r->match(y->producer, &devices[c]))
                        continue;
                    check(y->producer, &devices[c], row);
                    reached++;
                }
                assert_true(reached > 0);
                assert_true(tuff_choose_row(y->producer, &devices[c]) >= 0);
                tuff_graph_destroy(&g);
            }
}

static tuff_matmul_problem problem(tuff_graph *g, tuff_tensor *a, tuff_tensor *b)
{
    tuff_tensor *y = tuff_matmul(g, a, b);
    KIT_OK(tuff_graph_status(g));
    return tuff_matmul_problem_of(y->producer);
}

static void rows_of_a_batch_are_one_product(void **state)
{
    (void)state;
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 2, (int64_t[]){33, 20});
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 3, (int64_t[]){4, 7, 60});
    tuff_matmul_problem p = problem(g, tuff_slice(g, x, 2, 20, 20), tuff_transpose(g, w));
    assert_int_equal(p.M, 28);
    assert_int_equal(p.ars, 60);
    assert_int_equal(p.batch[0] * p.batch[1], 1);
    assert_true(p.brs == 1 && p.bcs == 20);

    /* one token of each sequence */
    p = problem(g, tuff_slice(g, tuff_slice(g, x, 1, 3, 1), 2, 0, 20), tuff_transpose(g, w));
    assert_int_equal(p.M, 4);
    assert_int_equal(p.ars, 7 * 60);

    /* rows of different sequences are not evenly apart: a batch stays */
    p = problem(g, tuff_slice(g, tuff_slice(g, x, 1, 0, 3), 2, 0, 20), tuff_transpose(g, w));
    assert_int_equal(p.M, 3);
    assert_int_equal(p.batch[1], 4);
    assert_int_equal(p.a_batch[1], 7 * 60);
    assert_int_equal(p.b_batch[1], 0);
    tuff_graph_destroy(&g);
}

static void heads_of_a_batch_have_two_axes(void **state)
{
    (void)state;
    const int axes[4] = {0, 2, 1, 3};
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 4, (int64_t[]){2, 9, 3, 8});
    tuff_tensor *q = tuff_permute(g, x, axes);
    tuff_matmul_problem p = problem(g, q, tuff_transpose(g, q));
    assert_true(p.batch[0] == 2 && p.batch[1] == 3);
    assert_true(p.a_batch[0] == 9 * 3 * 8 && p.a_batch[1] == 8);
    assert_true(p.ars == 24 && p.acs == 1 && p.brs == 1 && p.bcs == 24);
    tuff_graph_destroy(&g);
}

/* The gradient of a transposed weight is dense in the weight's own order: nothing is copied for the
 * optimizer. */
static void gradients_keep_the_weights_order(void **state)
{
    (void)state;
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 2, (int64_t[]){33, 20});
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 3, (int64_t[]){4, 7, 20}), *grads[2];
    tuff_tensor *loss = tuff_sum(g, tuff_matmul(g, x, tuff_transpose(g, w)), 7, false);
    tuff_graph_grad(g, loss, (tuff_tensor *[]){w, x}, 2, grads);
    KIT_OK(tuff_graph_status(g));
    assert_true(tuff_tensor_contiguous(grads[0]) && tuff_tensor_contiguous(grads[1]));
    assert_int_equal(grads[0]->storage->producer->op, TUFF_OP_matmul);
    tuff_graph_destroy(&g);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        int64_t a[3], b[3];
        tuff_dtype dtype;
        const char *text;
    } bad[] = {
        {{2, 4, 8}, {2, 9, 3}, TUFF_F32, "matmul: inner dimensions differ: a is [2, 4, 8], b is [2, 9, 3]"},
        {{2, 4, 8}, {3, 8, 3}, TUFF_F32, "leading dimensions do not broadcast"},
        {{2, 4, 8}, {2, 8, 3}, TUFF_I32, "b must be f32, f16, bf16 or of a block type, but is i32"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *a = tuff_variable(g, "a", TUFF_F32, 3, bad[i].a);
        assert_null(tuff_matmul(g, a, tuff_variable(g, "b", bad[i].dtype, 3, bad[i].b)));
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, bad[i].text);
        tuff_graph_destroy(&g);
    }
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *a = tuff_variable(g, "a", TUFF_F32, 1, (int64_t[]){3});
    assert_null(tuff_matmul(g, a, a));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "at least two axes");
    assert_null(tuff_matmul(g, NULL, NULL));
    tuff_graph_destroy(&g);

    /* a weight stored in half precision has no gradient */
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 2, (int64_t[]){3, 3}), *grad;
    tuff_tensor *y = tuff_matmul(g, w, tuff_copy(g, w, TUFF_F16));
    tuff_graph_grad(g, tuff_sum(g, y, 3, false), &w, 1, &grad);
    KIT_FAILS(tuff_graph_status(g), TUFF_UNSUPPORTED, "stored as f16");
    tuff_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_covers_the_result),
        cmocka_unit_test(rows_of_a_batch_are_one_product),
        cmocka_unit_test(heads_of_a_batch_have_two_axes),
        cmocka_unit_test(gradients_keep_the_weights_order),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
