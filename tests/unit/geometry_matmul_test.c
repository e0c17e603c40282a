/* Matrix products as kernels see them, and their grids on devices of several kinds, without any. */
#include <string.h>

#include "ir/op.h"
#include "kit/kit.h"
#include "ops/matmul.h"
#include "shaders/args/matmul.h"

static const tuff_caps devices[] = {
    {.subgroup_size = 4, .shared_bytes = 16384, .max_workgroup = 128, .max_groups = {65535, 65535, 65535}},
    {.features = TUFF_CAP_SOFTWARE | TUFF_CAP_SHORT_CODE | TUFF_CAP_SUBGROUP_BALLOT,
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

static const int64_t shapes[][3] = {{1, 1, 1},       {1, 50257, 768}, {4, 64, 64},    {5, 64, 64},
                                    {33, 33, 8},     {64, 64, 64},    {65, 129, 1},   {1024, 768, 768},
                                    {7, 262144, 64}, {100000, 8, 9},  {8, 768, 1024}, {768, 8, 1024},
                                    {64, 64, 5000},  {4096, 4096, 64}};
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
        *columns = d->spec[2];
        return d->spec[1];
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
    const bool split = row == TUFF_MATMUL_ROW_SPLIT;
    assert_int_equal(launch.n, split ? 2 : 1);
    const tuff_dispatch *d = launch.dispatches[0];
    int64_t columns = 0, rows = tile_of(d, &columns);
    if (d->n_spec >=
        7) { /* a lane has a part of the tile, and the device as many, and memory for two buffers */
        assert_int_equal(d->spec[0], rows / d->spec[3] * (columns / d->spec[4]));
        assert_true(d->spec[0] <= caps->max_workgroup);
        assert_true(!(d->spec[6] & TUFF_MATMUL_SHORT) == !(caps->features & TUFF_CAP_SHORT_CODE));
        assert_true((rows + columns) * d->spec[5] * 8 <= caps->shared_bytes);
    }
    for (int axis = 0; axis < 3; axis++)
        assert_in_range(d->groups[axis], 1, caps->max_groups[axis]);
    if (rows > 0) {
        const tuff_matmul_args *args = (const tuff_matmul_args *)d->args;
        assert_true(d->groups[0] * columns >= p.N && (d->groups[0] - 1) * columns < p.N);
        assert_true(d->groups[1] * rows >= p.M && (d->groups[1] - 1) * rows < p.M);
        const int64_t batches = p.batch[0] * p.batch[1], parts = d->groups[2] / batches;
        assert_int_equal(d->groups[2], parts * batches);
        assert_true(args->batches == batches && args->terms * parts >= p.K &&
                    args->terms * (parts - 1) < p.K);
        assert_true(split ? parts > 1 && args->terms % 16 == 0 : parts == 1);
        if (split) {
            const tuff_matmul_join_args *join = (const tuff_matmul_join_args *)launch.dispatches[1]->args;
            assert_true(launch.dispatches[1]->after);
            assert_true(join->count == parts && join->n == batches * p.M * p.N);
            assert_true(launch.scratch_bytes >= (uint64_t)join->count * join->n * 4);
        }
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
                    if (!tuff_row_suits(r, &devices[c]) || !r->match(y->producer, &devices[c])) continue;
                    check(y->producer, &devices[c], row);
                    reached++;
                }
                assert_true(reached > 0);
                assert_true(tuff_choose_row(y->producer, &devices[c]) >= 0);
                tuff_graph_destroy(&g);
            }
}

/* A card's own kernels, by name, for [count, M, K] times [count, K, N]. */
static const char *chosen(const tuff_caps *caps, int64_t count, int64_t M, int64_t N, int64_t K,
                          bool invariant, tuff_launch *launch)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_graph_set_invariant(g, invariant);
    tuff_tensor *y = tuff_matmul(g, tuff_variable(g, "a", TUFF_F32, 3, (int64_t[]){count, M, K}),
                                 tuff_variable(g, "b", TUFF_F32, 3, (int64_t[]){count, K, N}));
    KIT_OK(tuff_graph_status(g));
    const tuff_kernel_row *row = &tuff_matmul_rows[tuff_choose_row(y->producer, caps)];
    row->geometry(y->producer, caps, launch);
    assert_false(launch->failed);
    tuff_graph_destroy(&g);
    return row->name;
}

static void the_shape_chooses_the_kernel(void **state)
{
    (void)state;
    static const struct {
        int64_t count, M, N, K;
        const char *name;
    } cases[] = {
        {1, 1024, 3072, 768, "large"}, {1, 1024, 1024, 768, "large"}, {1, 768, 768, 1024, "split"},
        {1, 2048, 2048, 64, "large"},  {64, 128, 128, 64, "large"},   {1, 1024, 768, 100, "tile"},
        {64, 64, 128, 64, "tile"},     {1, 4096, 8, 64, "thin"},      {1, 1024, 8, 768, "split"},
        {1, 8, 768, 1024, "split"},    {1, 8, 4096, 100, "thin"},     {1, 20, 20, 20, "plain"},
        {1, 8, 16, 4096, "split"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tuff_arena arena = {0};
        tuff_launch launch = {.arena = &arena};
        const char *name =
            chosen(&devices[2], cases[i].count, cases[i].M, cases[i].N, cases[i].K, false, &launch);
        if (strcmp(name, cases[i].name) != 0)
            fail_msg("%lld of %lld x %lld x %lld: %s, expected %s", (long long)cases[i].count,
                     (long long)cases[i].M, (long long)cases[i].N, (long long)cases[i].K, name,
                     cases[i].name);
        tuff_arena_free(&arena);
    }
    /* 256 invocations are more than some devices have */
    tuff_arena arena = {0};
    tuff_launch launch = {.arena = &arena};
    assert_string_equal(chosen(&devices[0], 1, 2048, 2048, 64, false, &launch), "tile");
    tuff_arena_free(&arena);
    /* a kernel that was found wrong has the next best in its place */
    tuff_caps caps = devices[2];
    for (uint16_t row = 0; row < 16 && strcmp(tuff_op_info_of(TUFF_OP_matmul)->rows[row].name, "large") != 0;
         row++)
        caps.quarantined[TUFF_OP_matmul] = (uint16_t)(2u << row);
    arena = (tuff_arena){0};
    launch = (tuff_launch){.arena = &arena};
    assert_string_equal(chosen(&caps, 1, 2048, 2048, 64, false, &launch), "tile");
    tuff_arena_free(&arena);
}

/* One kernel with one set of constants and one order of terms, however many rows there are. */
static void invariant_products_do_not_depend_on_rows(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{768, 768}, {8, 4096}, {4096, 33}, {20, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t first[TUFF_MAX_SPEC] = {0};
        const char *kernel = NULL;
        for (int64_t M = 1; M < 5000; M = M * 3 + 1) {
            tuff_arena arena = {0};
            tuff_launch launch = {.arena = &arena};
            const char *name = chosen(&devices[2], 1, M, sizes[i][0], sizes[i][1], true, &launch);
            const tuff_dispatch *d = launch.dispatches[0];
            assert_int_equal(launch.n, 1);
            assert_int_equal(((const tuff_matmul_args *)d->args)->terms, sizes[i][1]);
            if (kernel) {
                assert_string_equal(name, kernel);
                assert_memory_equal(first, d->spec, sizeof first);
            }
            kernel = name;
            memcpy(first, d->spec, sizeof first);
            tuff_arena_free(&arena);
        }
    }
}

/* The constant that says how operands are loaded, of [80, 80] parts of [100, width] tensors. */
static uint32_t loads(tuff_dtype dtype, int64_t width, int64_t a_first, int64_t b_first, bool a_turned,
                      bool b_turned)
{
    uint32_t bits;
    tuff_arena arena = {0};
    tuff_launch launch = {.arena = &arena};
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *a = tuff_variable(g, "a", TUFF_F32, 2, (int64_t[]){80, width});
    tuff_tensor *b = tuff_variable(g, "b", dtype, 2, (int64_t[]){80, width});
    a = tuff_slice(g, a, 1, a_first, 80);
    b = tuff_slice(g, b, 1, b_first, 80);
    tuff_tensor *y = tuff_matmul(g, a_turned ? tuff_transpose(g, a) : a, b_turned ? tuff_transpose(g, b) : b);
    KIT_OK(tuff_graph_status(g));
    tuff_matmul_rows[tuff_choose_row(y->producer, &devices[2])].geometry(y->producer, &devices[2], &launch);
    bits = launch.dispatches[0]->spec[6];
    tuff_graph_destroy(&g);
    tuff_arena_free(&arena);
    return bits;
}

/* Elements come four at a time where address and strides are multiples of four elements, and only there. */
static void loads_are_as_wide_as_memory_allows(void **state)
{
    (void)state;
    const uint32_t a = TUFF_MATMUL_A_WIDE, b = TUFF_MATMUL_B_WIDE, c = TUFF_MATMUL_C_WIDE;
    const uint32_t ak = TUFF_MATMUL_A_ALONG_K, bk = TUFF_MATMUL_B_ALONG_K;
    static const tuff_dtype dtypes[] = {TUFF_F32, TUFF_F16, TUFF_BF16};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        const tuff_dtype t = dtypes[i];
        assert_int_equal(loads(t, 96, 0, 0, false, false), ak | a | b | c);
        assert_int_equal(loads(t, 96, 4, 8, false, true), ak | bk | a | b | c);
        assert_int_equal(loads(t, 96, 1, 4, true, true), bk | b | c);
        assert_int_equal(loads(t, 96, 12, 2, true, false), a | c);
        assert_int_equal(loads(t, 98, 0, 0, false, false), ak | c);
        assert_int_equal(loads(t, 97, 1, 3, true, false), c);
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
        cmocka_unit_test(the_shape_chooses_the_kernel),
        cmocka_unit_test(invariant_products_do_not_depend_on_rows),
        cmocka_unit_test(loads_are_as_wide_as_memory_allows),
        cmocka_unit_test(rows_of_a_batch_are_one_product),
        cmocka_unit_test(heads_of_a_batch_have_two_axes),
        cmocka_unit_test(gradients_keep_the_weights_order),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
