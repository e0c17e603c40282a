/* Grouped products: what they refuse, their grids on devices of several kinds, when rows are rounded, and,
 * asked to be invariant, rows whose bits do not depend on how many their group has. */
#include <string.h>

#include "base/rng.h"
#include "conform/runner.h"
#include "cpu_fixture.h"
#include "ir/op.h"
#include "kit/kit.h"
#include "ir/dtype.h"
#include "ops/grouped.h"
#include "runtime/program.h"
#include "shaders/args/grouped.h"
#include "shaders/args/matmul.h"

typedef struct operands {
    tuff_graph *g;
    tuff_tensor *a, *b, *order;
} operands;

/* Of so many rows, places for each, groups, terms and columns. */
static operands begin(int64_t rows, int64_t each, int64_t E, int64_t K, int64_t N, tuff_dtype dtype)
{
    operands o = {NULL, NULL, NULL, NULL};
    KIT_OK(tuff_graph_create(&o.g));
    o.a = tuff_variable(o.g, "a", TUFF_F32, 2, (int64_t[]){rows, K});
    o.b = tuff_transpose(o.g, tuff_variable(o.g, "b", dtype, 3, (int64_t[]){E, N, K}));
    o.order = tuff_group_rows(o.g, tuff_variable(o.g, "groups", TUFF_I32, 2, (int64_t[]){rows, each}), E);
    return o;
}

#define REFUSES(o, y, text)                                               \
    do {                                                                  \
        (void)(y);                                                        \
        KIT_FAILS(tuff_graph_status((o).g), TUFF_INVALID_ARGUMENT, text); \
        tuff_graph_destroy(&(o).g);                                       \
    } while (0)

static void operands_must_fit(void **state)
{
    (void)state;
    operands o = begin(4, 2, 3, 8, 5, TUFF_F32);
    REFUSES(o, tuff_group_rows(o.g, o.a, 3), "groups must be i32, but is f32");
    o = begin(4, 2, 3, 8, 5, TUFF_F32);
    REFUSES(o, tuff_group_rows(o.g, o.order, 0), "1 to 65536 groups, but 0");
    o = begin(4, 2, 3, 8, 5, TUFF_F32);
    tuff_tensor *other = tuff_variable(o.g, "other", TUFF_I32, 1, (int64_t[]){12});
    REFUSES(o, tuff_matmul_grouped(o.g, o.a, o.b, other), "order must be the result of tuff_group_rows");
    o = begin(4, 2, 3, 8, 5, TUFF_F32);
    other = tuff_slice(o.g, o.order, 0, 0, 8);
    REFUSES(o, tuff_matmul_grouped(o.g, o.a, o.b, other), "order must be the result of tuff_group_rows");
    o = begin(4, 2, 3, 8, 5, TUFF_F32);
    other = tuff_variable(o.g, "other", TUFF_F32, 2, (int64_t[]){3, 8});
    REFUSES(o, tuff_matmul_grouped(o.g, other, o.b, o.order), "8 places must be a multiple of the rows of a");
    o = begin(4, 2, 3, 8, 5, TUFF_F32);
    other = tuff_variable(o.g, "other", TUFF_F32, 3, (int64_t[]){4, 8, 5});
    REFUSES(o, tuff_matmul_grouped(o.g, o.a, other, o.order), "b must be [3, K, N]");
    o = begin(4, 2, 3, 8, 5, TUFF_F32);
    REFUSES(o, tuff_matmul_grouped(o.g, o.a, tuff_transpose(o.g, o.b), o.order),
            "inner dimensions differ: a is [4, 8], b is [3, 5, 8]");
    o = begin(4, 2, 3, 8, 5, TUFF_I32);
    REFUSES(o, tuff_matmul_grouped(o.g, o.a, o.b, o.order), "f32, f16, bf16 or of a block type, but is i32");
}

static void frozen_matrices_have_no_gradient(void **state)
{
    (void)state;
    operands o = begin(4, 2, 3, 8, 5, TUFF_BF16);
    tuff_tensor *loss = tuff_sum(o.g, tuff_matmul_grouped(o.g, o.a, o.b, o.order), 3, false),
                *gradient = NULL;
    tuff_graph_grad(o.g, loss, &o.a, 1, &gradient);
    KIT_OK(tuff_graph_status(o.g));
    assert_int_equal(tuff_tensor_dim(gradient, 0), 4);
    assert_int_equal(tuff_tensor_dim(gradient, 1), 8);
    tuff_graph_destroy(&o.g);
}

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

static const tuff_dispatch *launched(tuff_launch *to, const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_op_info_of(node->op)->rows[row].geometry(node, caps, to);
    assert_false(to->failed);
    assert_int_equal(to->n, 1);
    for (int axis = 0; axis < 3; axis++)
        assert_in_range(to->dispatches[0]->groups[axis], 1, caps->max_groups[axis]);
    return to->dispatches[0];
}

/* Columns are covered, and there are slots for the worst sizes of groups: all rows in one, or one more than
 * whole tiles in each. */
static void check_grid(const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_arena arena = {0};
    tuff_launch launch = {.arena = &arena};
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    const tuff_dispatch *d = launched(&launch, node, caps, row);
    if (row == 0) {
        const tuff_matmul_grouped_args *args = (const tuff_matmul_grouped_args *)d->args;
        assert_int_equal(d->groups[1], p.places);
        assert_true((uint64_t)d->groups[0] * (d->spec[0] / args->lanes) * 4 >= (uint64_t)p.N);
        assert_true(p.places <= TUFF_MATMUL_FEW * p.groups);
    } else {
        int64_t rows = row == 1 ? d->spec[1] : 64, columns = row == 1 ? 8 * d->spec[0] : 64;
        assert_true(d->groups[0] * columns >= p.N && (d->groups[0] - 1) * columns < p.N);
        assert_true(d->groups[1] >= (p.places + rows - 1) / rows);
        int64_t whole = (p.places - p.groups) / rows; /* tiles of groups that each have one row more */
        assert_true(d->groups[1] >= whole + p.groups);
    }
    tuff_arena_free(&arena);
}

static void every_kernel_covers_the_result(void **state)
{
    (void)state;
    static const int64_t shapes[][5] = {{1, 1, 1, 1, 1},        {1, 8, 64, 2048, 1024}, {1, 8, 128, 64, 1},
                                        {33, 4, 12, 70, 33},    {8192, 8, 128, 7, 768}, {300, 1, 3, 65, 5000},
                                        {65535, 1, 65535, 3, 2}};
    for (size_t c = 0; c < sizeof devices / sizeof *devices; c++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const int64_t *n = shapes[s];
            operands o = begin(n[0], n[1], n[2], n[3], n[4], TUFF_F32);
            tuff_tensor *y = tuff_matmul_grouped(o.g, o.a, o.b, o.order), *gradient = NULL;
            const tuff_node *node = y->producer;
            KIT_OK(tuff_graph_status(o.g));
            int reached = 0;
            for (int row = 0; row < TUFF_GROUPED_ROWS; row++)
                if (tuff_row_fits(node, &devices[c], row)) {
                    check_grid(node, &devices[c], row);
                    reached++;
                }
            assert_true(reached > 0);
            tuff_tensor *w = o.b->producer->in[0], *loss = tuff_sum(o.g, y, 3, false);
            tuff_graph_grad(o.g, loss, &w, 1, &gradient);
            KIT_OK(tuff_graph_status(o.g));
            /* transposed twice: the gradient is a dense [E, N, K] */
            assert_true(tuff_tensor_contiguous(gradient));
            tuff_graph_destroy(&o.g);
        }
}

/* An invariant graph never takes the kernel of few rows, and neither does one of many for a group. */
static void few_rows_are_for_few(void **state)
{
    (void)state;
    for (int invariant = 0; invariant < 2; invariant++)
        for (int64_t rows = 64; rows <= 65; rows++) {
            operands o = begin(rows, 4, 64, 40, 50, TUFF_F16);
            tuff_graph_set_invariant(o.g, invariant);
            const tuff_node *node = tuff_matmul_grouped(o.g, o.a, o.b, o.order)->producer;
            assert_int_equal(tuff_choose_row(node, &devices[2]), rows == 64 && !invariant ? 0 : 2);
            tuff_graph_destroy(&o.g);
        }
}

/* Where text is made, up to 64 rows for a group on average; of an invariant graph any number. */
static void few_rows_are_rounded(void **state)
{
    (void)state;
    for (int invariant = 0; invariant < 2; invariant++)
        for (int64_t rows = 128; rows <= 129; rows++) {
            size_t scratch[2];
            for (int quantized = 0; quantized < 2; quantized++) {
                operands o = begin(rows, 2, 4, 64, 50, TUFF_Q8_0);
                tuff_graph_set_invariant(o.g, invariant);
                tuff_graph_set_quantized_activations(o.g, quantized);
                const tuff_tensor *y = tuff_matmul_grouped(o.g, o.a, o.b, o.order);
                KIT_OK(tuff_graph_status(o.g));
                scratch[quantized] = tuff_matmul_grouped_scratch(y->producer);
                tuff_graph_destroy(&o.g);
            }
            assert_int_equal(scratch[0] != scratch[1], rows == 128 || invariant);
        }
}

enum { MOST_K = 160, N = 200, E = 3, MOST = 300 };

/* Of blocks rows are rounded. */
static void multiply(const float *a, int64_t K, const int32_t *groups, int64_t places, tuff_buffer *b,
                     float *c)
{
    tuff_program *program = NULL;
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_graph_set_invariant(g, true);
    tuff_graph_set_quantized_activations(g, true);
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 2, (int64_t[]){places, K});
    tuff_tensor *w = tuff_variable(g, "b", tuff_buffer_dtype(b), 3, (int64_t[]){E, N, K});
    tuff_tensor *order = tuff_group_rows(g, tuff_input(g, "groups", TUFF_I32, 1, &places), E);
    tuff_output(g, "c", tuff_matmul_grouped(g, x, tuff_transpose(g, w), order));
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_program_bind(program, "b", b));
    KIT_OK(tuff_program_input(program, "a", a, (size_t)(places * K) * sizeof *a));
    KIT_OK(tuff_program_input(program, "groups", groups, (size_t)places * sizeof *groups));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "c", c, (size_t)(places * N) * sizeof *c));
    tuff_program_destroy(&program);
}

static void rows_do_not_know_of_each_other(void **state)
{
    (void)state;
    static const tuff_dtype dtypes[] = {TUFF_F32, TUFF_BF16, TUFF_Q5_0};
    static float a[MOST * MOST_K], w[E * N * MOST_K], all[MOST * N], alone[MOST * N];
    static double values[E * N * MOST_K];
    static uint8_t stored[E * N * MOST_K * 4];
    int32_t groups[MOST];
    for (uint64_t i = 0; i < MOST * MOST_K; i++)
        a[i] = (float)tuff_rng_uniform(1, i, 0, 0) - 0.5f;
    for (uint64_t i = 0; i < E * N * MOST_K; i++)
        w[i] = (float)tuff_rng_uniform(2, i, 0, 0) - 0.5f;
    for (int i = 0; i < MOST; i++)
        groups[i] = i < 5 ? i % E : i == 7 ? E : 1;
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        const int64_t K = tuff_dtype_is_block(dtypes[d]) ? MOST_K : 130;
        tuff_buffer *b = NULL;
        KIT_OK(tuff_buffer_create(device, "b", dtypes[d], 3, (int64_t[]){E, N, K}, &b));
        if (tuff_dtype_is_block(dtypes[d]))
            tuff_data_blocks(dtypes[d], E * N * K, 3, 0, stored, values);
        else
            tuff_dtype_from_f32(dtypes[d], w, stored, (size_t)(E * N * K));
        KIT_OK(tuff_buffer_write(b, 0, stored, E * N * K));
        multiply(a, K, groups, MOST, b, all);
        for (int64_t places = 1; places < MOST; places = places * 3 / 2 + 1) {
            multiply(a, K, groups, places, b, alone);
            assert_memory_equal(alone, all, (size_t)(places * N) * sizeof *all);
        }
        tuff_buffer_destroy(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_must_fit),
        cmocka_unit_test(frozen_matrices_have_no_gradient),
        cmocka_unit_test(every_kernel_covers_the_result),
        cmocka_unit_test(few_rows_are_for_few),
        cmocka_unit_test(few_rows_are_rounded),
        cmocka_unit_test(rows_do_not_know_of_each_other),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
