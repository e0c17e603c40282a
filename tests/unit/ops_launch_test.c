/* Geometry of the device kernels, on devices of several kinds, without any: grids within limits and large
 * enough, indices that fit 32 bits, barriers between dependent dispatches. */
#include "ir/op.h"
#include "kit/kit.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "shaders/args/copy.h"
#include "shaders/args/elementwise.h"
#include "shaders/args/norm.h"
#include "shaders/args/optimizer.h"
#include "shaders/args/sum.h"
#include "shaders/args/top_k.h"

static const tuff_caps devices[] = {
    {.subgroup_size = 4, .shared_bytes = 16384, .max_workgroup = 128, .max_groups = {65535, 65535, 65535}},
    {.subgroup_size = 8, .shared_bytes = 32768, .max_workgroup = 1024, .max_groups = {65535, 65535, 65535}},
    {.subgroup_size = 32,
     .shared_bytes = 49152,
     .max_workgroup = 1024,
     .max_groups = {2147483647, 65535, 65535}},
    {.subgroup_size = 64, .shared_bytes = 65536, .max_workgroup = 1024, .max_groups = {65535, 65535, 65535}},
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

typedef struct fixture {
    tuff_graph *graph;
    tuff_arena arena;
    tuff_launch launch;
} fixture;

static tuff_graph *begin(fixture *f)
{
    *f = (fixture){0};
    KIT_OK(tuff_graph_create(&f->graph));
    return f->graph;
}

/* Runs the geometry of the row that serves the node that made x; NULL when none does. */
static const tuff_launch *launch_of(fixture *f, const tuff_tensor *x, const tuff_caps *caps)
{
    KIT_OK(tuff_graph_status(f->graph));
    const tuff_node *node = x->producer;
    int row = tuff_choose_row(node, caps);
    if (row < 0) return NULL;
    tuff_arena_free(&f->arena);
    f->launch = (tuff_launch){.arena = &f->arena};
    tuff_op_info_of(node->op)->rows[row].geometry(node, caps, &f->launch);
    assert_false(f->launch.failed);
    for (size_t i = 0; i < f->launch.n; i++)
        for (int axis = 0; axis < 3; axis++)
            assert_in_range(f->launch.dispatches[i]->groups[axis], 1, caps->max_groups[axis]);
    return &f->launch;
}

static void end(fixture *f)
{
    tuff_arena_free(&f->arena);
    tuff_graph_destroy(&f->graph);
}

static uint64_t groups(const tuff_dispatch *d)
{
    return (uint64_t)d->groups[0] * d->groups[1] * d->groups[2];
}

static void dense_arrays_are_covered_in_parts(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 511, 512, 513, 40000000, (INT64_C(1) << 30) + 1, INT64_C(5) << 30};
    for (int c = 0; c < DEVICES; c++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            fixture f;
            tuff_graph *g = begin(&f);
            tuff_tensor *a = tuff_variable(g, "a", TUFF_F32, 1, sizes + s);
            const tuff_launch *launch =
                launch_of(&f, tuff_add(g, a, tuff_fill(g, 1, 1, sizes + s)), &devices[c]);
            assert_non_null(launch);
            int64_t done = 0;
            for (size_t i = 0; i < launch->n; i++) {
                const tuff_dispatch *d = launch->dispatches[i];
                const tuff_elementwise_args *args = (const tuff_elementwise_args *)d->args;
                assert_int_equal(d->shader, TUFF_SHADER_elementwise);
                assert_int_equal(d->n_relocs, 3);
                for (int r = 0; r < 3; r++)
                    assert_int_equal(d->relocs[r].offset, 4 * done);
                assert_true(groups(d) * TUFF_FLAT_GROUP * TUFF_FLAT_STEPS >= args->n);
                /* the last group's index times its share stays below 2^32 */
                assert_true(groups(d) * TUFF_FLAT_GROUP * TUFF_FLAT_STEPS < UINT64_C(1) << 32);
                assert_false(d->after);
                done += args->n;
            }
            assert_int_equal(done, sizes[s]);
            end(&f);
        }
}

/* A shape that no memory holds fails by itself, and not by filling the host's with dispatches. */
static void dispatches_are_counted(void **state)
{
    (void)state;
    fixture f;
    tuff_graph *g = begin(&f);
    const tuff_node *node = tuff_fill(g, 1, 1, (int64_t[]){INT64_C(1) << 50})->producer;
    KIT_OK(tuff_graph_status(g));
    f.launch = (tuff_launch){.arena = &f.arena};
    tuff_op_info_of(node->op)->rows[0].geometry(node, &devices[0], &f.launch);
    assert_true(f.launch.failed);
    assert_in_range(f.launch.n, 0, 10000);
    end(&f);
}

static void tiles_cover_rows_and_columns(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1},     {1, 7},        {3, 128},      {5, 129},      {1000000, 1},
                                        {1, 70001}, {65537, 1025}, {40000000, 3}, {3, 600000000}};
    for (int c = 0; c < DEVICES; c++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            tuff_arena arena = {0};
            tuff_launch launch = {.arena = &arena};
            uint32_t tile[4];
            (void)TUFF_LAUNCH(&launch, copy_words, tuff_copy_words_args);
            tuff_launch_tiles(&launch, &devices[c], shapes[s][0], shapes[s][1], tile);
            assert_false(launch.failed);
            int64_t rows = TUFF_TILE_GROUP >> tile[2], columns = (int64_t)TUFF_TILE_STEPS << tile[2];
            int64_t bands = (shapes[s][0] + rows - 1) / rows;
            assert_int_equal(tile[0], shapes[s][0]);
            assert_int_equal(tile[1], shapes[s][1]);
            assert_in_range(rows, 1, TUFF_TILE_GROUP);
            assert_true(tile[3] * columns >= shapes[s][1] && (tile[3] - 1) * columns < shapes[s][1]);
            assert_true(groups(launch.dispatches[0]) >= (uint64_t)(bands * tile[3]));
            for (int axis = 0; axis < 3; axis++)
                assert_in_range(launch.dispatches[0]->groups[axis], 1, devices[c].max_groups[axis]);
            tuff_arena_free(&arena);
        }
}

static void far_strides_have_no_row(void **state)
{
    (void)state;
    fixture f;
    tuff_graph *g = begin(&f);
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, (int64_t[]){3, INT64_C(1) << 30});
    tuff_tensor *near = tuff_copy(g, tuff_slice(g, tuff_slice(g, x, 0, 0, 2), 1, 0, 5), TUFF_F32);
    tuff_tensor *far = tuff_copy(g, tuff_slice(g, x, 1, 0, 5), TUFF_F32);
    assert_non_null(launch_of(&f, near, &devices[0]));
    assert_null(launch_of(&f, far, &devices[0]));
    end(&f);
}

static void odd_halves_start_a_word_early(void **state)
{
    (void)state;
    fixture f;
    tuff_graph *g = begin(&f);
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F16, 1, (int64_t[]){100});
    for (int start = 0; start < 4; start++) {
        const tuff_launch *launch =
            launch_of(&f, tuff_copy(g, tuff_slice(g, x, 0, start, 7), TUFF_F32), &devices[1]);
        const tuff_dispatch *d = launch->dispatches[0];
        const tuff_copy_cast_args *args = (const tuff_copy_cast_args *)d->args;
        assert_int_equal(args->first, start % 2);
        assert_true(d->relocs[0].offset + 2 * (uint64_t)args->first == 0); /* modulo 2^64 */
        assert_int_equal(d->n_spec, 3);
        assert_int_equal(d->spec[2], 1);
    }
    end(&f);
}

static void check_sum(const tuff_launch *launch, int64_t kept, int64_t summed)
{
    uint64_t scratch = 0;
    int64_t terms = summed;
    assert_in_range(launch->n, 1, 2);
    for (size_t i = 0; i < launch->n; i++) {
        const tuff_dispatch *d = launch->dispatches[i];
        const tuff_sum_args *args = (const tuff_sum_args *)d->args;
        bool rows = d->shader == TUFF_SHADER_sum_rows, last = i + 1 == launch->n;
        assert_int_equal(args->n_kept, kept);
        assert_int_equal(args->n_summed, terms);
        assert_true((int64_t)args->per_part * args->parts >= terms &&
                    (int64_t)args->per_part * (args->parts - 1) < terms);
        assert_int_equal(d->after, i > 0);
        uint64_t at_once = rows ? d->spec[0] / args->lanes : TUFF_FLAT_GROUP;
        uint64_t items = rows ? (uint64_t)kept * args->parts : (uint64_t)kept;
        uint64_t wanted = (items + at_once - 1) / at_once * (rows ? 1 : args->parts);
        assert_true(groups(d) >= wanted && groups(d) < wanted + d->groups[1]);
        assert_int_equal(d->relocs[1].kind, last ? TUFF_OPERAND_OUT : TUFF_OPERAND_SCRATCH);
        if (last) assert_int_equal(args->parts, 1);
        terms = args->parts;
        if (!last) scratch = (uint64_t)kept * args->parts * 4;
    }
    assert_true(launch->scratch_bytes >= scratch);
}

static void sums_are_complete(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1},    {1, 8192},    {1, 8193},     {1, 1 << 24}, {300, 20000},
                                        {7, 9000}, {2000000, 3}, {1024, 50257}, {50257, 65}};
    for (int c = 0; c < DEVICES; c++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            int64_t rows = shapes[s][0], columns = shapes[s][1];
            fixture f;
            tuff_graph *g = begin(&f);
            tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, shapes[s]);
            check_sum(launch_of(&f, tuff_sum(g, x, 2, false), &devices[c]), rows, columns);
            check_sum(launch_of(&f, tuff_sum(g, x, 1, false), &devices[c]), columns, rows);
            check_sum(launch_of(&f, tuff_sum(g, x, 3, false), &devices[c]), 1, rows * columns);
            end(&f);
        }
}

static void norms_have_a_segment_per_row(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {1, 7}, {3, 64}, {100, 768}, {70000, 33}, {5, 100000}};
    for (int c = 0; c < DEVICES; c++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            fixture f;
            tuff_graph *g = begin(&f);
            tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, shapes[s]);
            tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 1, shapes[s] + 1);
            tuff_tensor *wrt[] = {x, w, w}, *grads[3];
            tuff_tensor *y = tuff_layer_norm(g, x, w, w, 1e-5);
            const tuff_dispatch *d = launch_of(&f, y, &devices[c])->dispatches[0];
            const tuff_norm_args *args = (const tuff_norm_args *)d->args;
            assert_true(args->lanes > 0 && (args->lanes & (args->lanes - 1)) == 0 &&
                        d->spec[0] % args->lanes == 0);
            assert_in_range(d->spec[0], args->lanes, devices[c].max_workgroup);
            assert_true(groups(d) * (d->spec[0] / args->lanes) >= (uint64_t)shapes[s][0]);
            assert_int_equal(d->n_relocs, 6);

            tuff_graph_grad(g, tuff_sum(g, y, 3, false), wrt, 2, grads);
            KIT_OK(tuff_graph_status(g));
            for (size_t i = 0; i < g->n_nodes; i++) {
                if (g->nodes[i]->op != TUFF_OP_layer_norm_backward_params) continue;
                const tuff_launch *launch = launch_of(&f, g->nodes[i]->out[0], &devices[c]);
                const tuff_norm_params_args *p = (const tuff_norm_params_args *)launch->dispatches[0]->args;
                assert_int_equal(launch->n, p->parts > 1 ? 3 : 1);
                assert_true((int64_t)p->per_part * p->parts >= shapes[s][0]);
                if (p->parts == 1) continue;
                assert_true(launch->dispatches[1]->after);
                assert_true(launch->scratch_bytes >= 2 * (uint64_t)p->parts * (uint64_t)shapes[s][1] * 4);
            }
            end(&f);
        }
}

static void optimizer_tables_list_every_element_once(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, TUFF_OPTIMIZER_CHUNK, TUFF_OPTIMIZER_CHUNK + 1, 5000000};
    static const tuff_adamw_params params = {
        .struct_size = sizeof params, .beta1 = 0.9, .beta2 = 0.999, .weight_decay = 0.25};
    static const char *const names[4][4] = {{"p0", "g0", "m0", "v0"},
                                            {"p1", "g1", "m1", "v1"},
                                            {"p2", "g2", "m2", "v2"},
                                            {"p3", "g3", "m3", "v3"}};
    fixture f;
    tuff_graph *g = begin(&f);
    tuff_adamw_slot slots[4];
    tuff_tensor *grads[4];
    for (int i = 0; i < 4; i++) {
        tuff_tensor *t[4];
        for (int k = 0; k < 4; k++)
            t[k] = tuff_variable(g, names[i][k], TUFF_F32, 1, sizes + i);
        slots[i] = (tuff_adamw_slot){sizeof *slots, t[0], t[1], t[2], t[3], i == 2, {0}, i == 1 ? 0.5 : 0, 0};
        grads[i] = t[1];
    }
    tuff_tensor *norm = tuff_grad_norm(g, grads, 4),
                *counters = tuff_variable(g, "s", TUFF_F32, 1, (int64_t[]){4});
    tuff_adamw(g, slots, 4, tuff_input(g, "lr", TUFF_F32, 0, NULL), norm,
               tuff_optimizer_step(g, counters, norm, &params), &params);
    for (int which = 0; which < 2; which++) {
        const tuff_tensor *of = which == 0 ? norm : g->nodes[g->n_nodes - 1]->out[0];
        const tuff_launch *launch = launch_of(&f, of, &devices[1]);
        size_t slot_size = which == 0 ? sizeof(tuff_grad_norm_slot) : sizeof(tuff_update_slot);
        const tuff_chunk *chunk = (const tuff_chunk *)(launch->data + 4 * slot_size);
        size_t n = (launch->data_size - 4 * slot_size) / sizeof *chunk;
        assert_int_equal(launch->n_data_relocs, which == 0 ? 4 : 16);
        assert_int_equal(groups(launch->dispatches[0]), n);
        int64_t done[4] = {0};
        for (size_t i = 0; i < n; i++) {
            assert_in_range(chunk[i].slot, 0, 3);
            assert_in_range(chunk[i].n, 1, TUFF_OPTIMIZER_CHUNK);
            assert_int_equal(chunk[i].at, done[chunk[i].slot]);
            done[chunk[i].slot] += chunk[i].n;
        }
        assert_memory_equal(done, sizes, sizeof sizes);
        if (which == 0) assert_true(launch->dispatches[1]->after && launch->scratch_bytes >= 4 * n);
        if (which == 1)
            for (int i = 0; i < 4; i++) {
                const tuff_update_slot *slot = (const tuff_update_slot *)launch->data + i;
                assert_true(slot->decay == (i == 2 ? 0.25f : 0) && slot->rate == (i == 1 ? 0.5f : 1));
            }
    }
    end(&f);
}

/* Each turn looks through what the one before it found, in parts that hold k elements at least, until one is
 * left. */
static void rounds_of_top_k_end(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},           {8, 151936, 50},
                                        {64, 1000000, 1024}, {3, 4097, 1024},
                                        {70000, 5000, 1024}, {1, INT64_C(2147483647), 1024},
                                        {1, 1000000000, 1}};
    for (int c = 0; c < DEVICES; c++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            fixture f;
            tuff_graph *g = begin(&f);
            int64_t rows = shapes[s][0], width = shapes[s][1], k = shapes[s][2];
            tuff_tensor *values;
            tuff_top_k(g, tuff_variable(g, "x", TUFF_F32, 2, shapes[s]), k, &values, NULL);
            const tuff_launch *launch = launch_of(&f, values, &devices[c]);
            assert_non_null(launch);
            for (size_t i = 0; i < launch->n; i++) {
                const tuff_dispatch *d = launch->dispatches[i];
                const tuff_top_k_args *args = (const tuff_top_k_args *)d->args;
                assert_int_equal(args->width, width);
                assert_true(width / args->parts >= k);
                assert_true((width + args->parts - 1) / args->parts <= TUFF_TOP_K_PART);
                assert_true(groups(d) >= (uint64_t)rows * args->parts);
                assert_int_equal(d->after, i > 0);
                assert_int_equal(d->spec[0], i == 0);
                assert_int_equal(d->spec[1], i + 1 == launch->n);
                assert_int_equal(args->parts == 1, i + 1 == launch->n);
                width = args->parts * k;
            }
            end(&f);
        }
}

/* What says which rows belong together is complete before it is read. */
static void rows_are_found_before_they_are_added(void **state)
{
    (void)state;
    const int64_t x_dims[2] = {1000, 70}, count = 1000, segments_dims[2] = {9, 4};
    for (int c = 0; c < DEVICES; c++) {
        fixture f;
        tuff_graph *g = begin(&f);
        tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, x_dims), *grad;
        tuff_tensor *rows = tuff_input(g, "rows", TUFF_I32, 1, &count);
        tuff_tensor *segments = tuff_input(g, "segments", TUFF_I32, 2, segments_dims);
        const tuff_launch *launch = launch_of(&f, tuff_scatter_add_rows(g, x, rows, 33), &devices[c]);
        assert_int_equal(launch->n, 4); /* zeros twice, links, sums */
        for (size_t i = 0; i < launch->n; i++)
            assert_int_equal(launch->dispatches[i]->after, i >= 2);
        assert_true(launch->scratch_bytes >= 8 * (uint64_t)count);
        tuff_graph_grad(g, tuff_sum(g, tuff_segment_max(g, x, segments), 3, false), &x, 1, &grad);
        launch = launch_of(&f, grad, &devices[c]);
        assert_int_equal(launch->n, 2);
        assert_true(!launch->dispatches[0]->after && launch->dispatches[1]->after);
        assert_true(launch->scratch_bytes >= 8 * (uint64_t)x_dims[0]);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_arrays_are_covered_in_parts),
        cmocka_unit_test(dispatches_are_counted),
        cmocka_unit_test(tiles_cover_rows_and_columns),
        cmocka_unit_test(far_strides_have_no_row),
        cmocka_unit_test(odd_halves_start_a_word_early),
        cmocka_unit_test(sums_are_complete),
        cmocka_unit_test(norms_have_a_segment_per_row),
        cmocka_unit_test(optimizer_tables_list_every_element_once),
        cmocka_unit_test(rounds_of_top_k_end),
        cmocka_unit_test(rows_are_found_before_they_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
