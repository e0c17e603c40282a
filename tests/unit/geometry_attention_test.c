/* Attention's dispatches, their lists and workgroups on devices of several kinds, without any. */
#include "ir/plan.h"
#include "kit/kit.h"
#include "ops/attention.h"

static const tuff_caps devices[] = {
    {.subgroup_size = 4, .shared_bytes = 16384, .max_workgroup = 128, .max_groups = {65535, 65535, 65535}},
    {.features = TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT,
     .subgroup_size = 8,
     .shared_bytes = 32768,
     .max_workgroup = 1024,
     .max_groups = {65535, 65535, 65535}},
    {.subgroup_size = 64, .shared_bytes = 65536, .max_workgroup = 1024, .max_groups = {65535, 65535, 65535}},
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

/* segments, rows of q, rows of k, heads, key-value heads, head dim */
static const int64_t shapes[][6] = {
    {1, 1, 1, 1, 1, 1},     {4, 1024, 1024, 12, 12, 64}, {1, 1, 2048, 9, 3, 64},      {3, 51, 120, 6, 2, 20},
    {2, 10, 10, 2, 1, 256}, {1, 4096, 4096, 32, 8, 128}, {64, 64, 32768, 32, 8, 128}, {1, 9, 9, 1, 1, 129}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct fixture {
    tuff_graph *graph;
    tuff_tensor *q, *k, *v, *segments, *bias, *o;
} fixture;

static fixture begin(const int64_t s[6], tuff_dtype dtype, bool biased)
{
    fixture f = {0};
    KIT_OK(tuff_graph_create(&f.graph));
    f.q = tuff_variable(f.graph, "q", TUFF_F32, 3, (int64_t[]){s[1], s[3], s[5]});
    f.k = tuff_variable(f.graph, "k", dtype, 3, (int64_t[]){s[2], s[4], s[5]});
    f.v = tuff_variable(f.graph, "v", dtype, 3, (int64_t[]){s[2], s[4], s[5]});
    f.segments = tuff_input(f.graph, "segments", TUFF_I32, 2, (int64_t[]){s[0], 4});
    if (biased) f.bias = tuff_variable(f.graph, "bias", TUFF_F32, 2, (int64_t[]){s[3], 7});
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.right = 0;
    f.o = tuff_attention(f.graph, f.q, f.k, f.v, f.segments, f.bias, NULL, &params);
    KIT_OK(tuff_graph_status(f.graph));
    return f;
}

static bool is_tile(tuff_shader shader)
{
    return shader == TUFF_SHADER_attention_tile || shader == TUFF_SHADER_attention_dq_tile ||
           shader == TUFF_SHADER_attention_dkv_tile || shader == TUFF_SHADER_attention_bias;
}

/* The largest tile that the device has room for: what it keeps of both sides, 32 elements of each, and its
 * scores. */
static void check_tile(const tuff_dispatch *d, const tuff_caps *caps)
{
    uint32_t tile = d->spec[2];
    assert_int_equal(tile, caps->shared_bytes < 32768 ? 32 : 64);
    assert_true(4 * (2 * tile * 32 + tile * tile) <= caps->shared_bytes);
    assert_int_equal(d->spec[3], tile * tile / 16);
    assert_true(d->spec[3] <= caps->max_workgroup);
    assert_int_equal(d->spec[4], caps->subgroup_size < 32 ? 1 : 4);
}

/* What all of them have: the table, the head dim, and a workgroup that the device has. */
static void check_dispatch(const tuff_launch *launch, size_t i, const tuff_attention_problem *p,
                           const tuff_caps *caps)
{
    const tuff_dispatch *d = launch->dispatches[i];
    bool spreads = d->shader == TUFF_SHADER_attention_spread ||
                   d->shader == TUFF_SHADER_attention_dq_spread ||
                   d->shader == TUFF_SHADER_attention_dkv_spread;
    bool plain = d->shader == TUFF_SHADER_attention_join || d->shader == TUFF_SHADER_attention_stats ||
                 d->shader == TUFF_SHADER_attention_bias_join;
    assert_true(d->n_spec >= 2 && d->spec[0] % 8 == 0 && d->spec[0] <= TUFF_ATTENTION_MAX_DIM);
    assert_true(plain || d->spec[0] >= p->D);
    assert_int_equal(plain || (d->spec[1] & TUFF_ATTENTION_HALF) != 0, plain || p->k.dtype == TUFF_F16);
    assert_int_equal(plain || (d->spec[1] & TUFF_ATTENTION_WIDE) != 0, plain || (p->D % 4 == 0 && !spreads));
    assert_true(d->n_relocs >= 1 && d->relocs[0].kind == TUFF_OPERAND_DATA);
    for (int axis = 0; axis < 3; axis++)
        assert_in_range(d->groups[axis], 1, caps->max_groups[axis]);
    for (size_t r = 1; r < d->n_relocs; r++) {
        assert_int_equal(d->relocs[r].kind, TUFF_OPERAND_LIST);
        assert_in_range(d->relocs[r].index, 0, launch->n_lists - 1);
    }
    if (spreads) assert_true(d->spec[3] == caps->subgroup_size && d->spec[4] == caps->subgroup_size);
    if (is_tile(d->shader)) check_tile(d, caps);
}

static const tuff_work_list *list_of(const tuff_launch *launch, tuff_shader shader, uint32_t *out_groups)
{
    for (size_t i = 0; i < launch->n; i++)
        if (launch->dispatches[i]->shader == shader) {
            *out_groups = launch->dispatches[i]->groups[0];
            return &launch->lists[launch->dispatches[i]->relocs[1].index];
        }
    return NULL;
}

static tuff_launch launch_of(const tuff_node *node, const tuff_kernel_row *row, const tuff_caps *caps,
                             tuff_arena *arena)
{
    tuff_launch launch = {.arena = arena};
    row->geometry(node, caps, &launch);
    assert_false(launch.failed);
    tuff_attention_problem p = tuff_attention_problem_of(node);
    for (size_t i = 0; i < launch.n; i++)
        check_dispatch(&launch, i, &p, caps);
    const tuff_attention_table *t = (const tuff_attention_table *)launch.data;
    assert_int_equal(launch.data_size, sizeof *t);
    assert_true(t->tokens == p.s.N && t->heads == p.Hq && t->group == p.s.G && t->dim == p.D &&
                t->right == 0);
    assert_int_equal(t->distances, p.R);
    return launch;
}

static void check_forward(const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_arena arena = {0};
    uint32_t groups;
    tuff_launch launch = launch_of(node, &tuff_attention_rows[row], caps, &arena);
    const tuff_work_list *chunks = list_of(&launch, TUFF_SHADER_attention_chunk, &groups);
    assert_int_equal(groups, tuff_list_entries(chunks));
    assert_true(groups >= (p.s.M + TUFF_CHUNK - 1) / TUFF_CHUNK);
    assert_true(launch.scratch_bytes >= (uint64_t)groups * (uint64_t)(p.Hkv * 8 * (p.D + 2)) * 4);
    assert_non_null(list_of(&launch, TUFF_SHADER_attention_join, &groups));
    assert_true(groups >= (p.s.S < p.s.N ? p.s.S : p.s.N));
    assert_true(launch.dispatches[launch.n - 1]->after); /* it reads what chunks wrote */
    bool tiled = list_of(&launch, TUFF_SHADER_attention_tile, &groups) != NULL ||
                 list_of(&launch, TUFF_SHADER_attention_spread, &groups) != NULL;
    assert_int_equal(tiled, !tuff_segments_all_few(&p.s));
    if (tiled) assert_true(groups >= p.s.N * p.s.G / 64);
    tuff_arena_free(&arena);
}

static void check_backward(const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_arena arena = {0};
    tuff_launch launch = launch_of(node, &tuff_attention_backward_rows[row], caps, &arena);
    assert_true(launch.scratch_bytes >= (uint64_t)(p.s.N * p.Hq) * 8);
    assert_int_equal(launch.dispatches[0]->shader, TUFF_SHADER_attention_stats);
    assert_true(launch.dispatches[1]->after); /* all the rest reads what the first wrote */
    assert_int_equal(launch.n, 3);
    tuff_arena_free(&arena);
}

static bool fits(const tuff_kernel_row *row, const tuff_node *node, const tuff_caps *caps)
{
    return tuff_row_suits(row, caps) && row->match(node, caps);
}

static void every_row_has_its_lists(void **state)
{
    (void)state;
    for (int c = 0; c < DEVICES; c++)
        for (int s = 0; s < SHAPES; s++)
            for (int kind = 0; kind < 2; kind++) {
                fixture f = begin(shapes[s], kind ? TUFF_F16 : TUFF_F32, kind == 1);
                int reached = 0;
                for (int row = 0; row < TUFF_ATTENTION_KERNELS; row++) {
                    if (!fits(&tuff_attention_rows[row], f.o->producer, &devices[c])) continue;
                    check_forward(f.o->producer, &devices[c], row);
                    reached++;
                }
                assert_true(reached > 0);
                tuff_graph_destroy(&f.graph);
            }
}

static void every_backward_row_has_its_lists(void **state)
{
    (void)state;
    for (int c = 0; c < DEVICES; c++)
        for (int s = 0; s < SHAPES; s++) {
            fixture f = begin(shapes[s], TUFF_F32, true);
            tuff_tensor *wrt[2] = {f.v, f.bias}, *grads[2];
            tuff_graph_grad(f.graph, tuff_sum(f.graph, f.o, 7, false), wrt, 2, grads);
            KIT_OK(tuff_graph_status(f.graph));
            const tuff_node *node = grads[0]->producer, *bias = grads[1]->producer;
            int reached = 0;
            assert_int_equal(node->op, TUFF_OP_attention_backward);
            assert_int_equal(bias->op, TUFF_OP_attention_backward_bias);
            for (int row = 0; row < TUFF_ATTENTION_BACKWARD_KERNELS; row++) {
                if (!fits(&tuff_attention_backward_rows[row], node, &devices[c])) continue;
                check_backward(node, &devices[c], row);
                reached++;
            }
            assert_true(reached > 0);
            tuff_arena arena = {0};
            assert_true(fits(&tuff_attention_bias_rows[0], bias, &devices[c]));
            assert_int_equal(launch_of(bias, &tuff_attention_bias_rows[0], &devices[c], &arena).n, 3);
            tuff_arena_free(&arena);
            tuff_graph_destroy(&f.graph);
        }
}

/* Which rows are read 16 bytes at a time: what is not aligned is not. */
static void narrow_rows_are_known(void **state)
{
    (void)state;
    for (int odd = 0; odd < 4; odd++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *x = tuff_variable(g, "x", TUFF_F16, 3, (int64_t[]){40, 1, 12});
        tuff_tensor *k = tuff_slice(g, x, 2, odd & 1, 8), *v = tuff_slice(g, x, 2, odd >> 1, 8);
        tuff_tensor *q = tuff_variable(g, "q", TUFF_F32, 3, (int64_t[]){20, 1, 8});
        tuff_tensor *segments = tuff_input(g, "segments", TUFF_I32, 2, (int64_t[]){1, 4});
        tuff_tensor *o = tuff_attention(g, q, k, v, segments, NULL, NULL, NULL);
        KIT_OK(tuff_graph_status(g));
        tuff_arena arena = {0};
        tuff_launch launch = {.arena = &arena};
        tuff_attention_rows[1].geometry(o->producer, &devices[0], &launch);
        const tuff_attention_table *t = (const tuff_attention_table *)launch.data;
        assert_int_equal((launch.dispatches[0]->spec[1] & TUFF_ATTENTION_WIDE) != 0, odd == 0);
        assert_int_equal(t->k_odd, odd & 1);
        assert_int_equal(t->v_odd, odd >> 1);
        assert_int_equal(launch.data_relocs[1].offset, odd & 1 ? (uint64_t)-2 : 0);
        assert_int_equal(launch.data_relocs[2].offset, odd >> 1 ? (uint64_t)-2 : 0);
        tuff_arena_free(&arena);
        tuff_graph_destroy(&g);
    }
}

/* Layers with the same segments share their lists, which lie in the step slot behind the inputs. */
static void layers_share_lists(void **state)
{
    (void)state;
    fixture f = begin((const int64_t[]){2, 40, 40, 2, 2, 16}, TUFF_F32, false);
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.right = 0;
    tuff_tensor *again = tuff_attention(f.graph, f.o, f.k, f.v, f.segments, NULL, NULL, &params);
    tuff_output(f.graph, "o", again);
    params.left = 3;
    tuff_output(f.graph, "window", tuff_attention(f.graph, f.o, f.k, f.v, f.segments, NULL, NULL, &params));
    tuff_plan *plan = NULL;
    KIT_OK(tuff_plan_create(f.graph, &(tuff_plan_options){.caps = &devices[0]}, &plan));
    assert_int_equal(plan->n_inputs, 1);
    assert_int_equal(plan->n_lists, 2 * 3); /* chunks, tiles and joins, with and without a window */
    uint64_t end = plan->inputs[0].offset + plan->inputs[0].bytes;
    for (size_t i = 0; i < plan->n_lists; i++) {
        assert_true(plan->lists[i].offset >= end && plan->lists[i].offset % 64 == 0);
        end = plan->lists[i].offset + plan->lists[i].bytes;
    }
    assert_true(end <= plan->input_bytes);
    for (int i = 0; i < 3; i++)
        assert_int_equal(plan->steps[0].lists[i].offset, plan->steps[1].lists[i].offset);

    /* filled from what is in the slot, and anew when it changes */
    const int32_t tables[2][8] = {{0, 30, 0, 30, 30, 1, 30, 1}, {0}};
    char *slot = tuff_alloc((size_t)plan->input_bytes);
    assert_non_null(slot);
    for (int t = 0; t < 2; t++) {
        memcpy(slot + plan->inputs[0].offset, tables[t], sizeof tables[t]);
        tuff_plan_fill_lists(plan, 0, slot);
        for (size_t i = 0; i < plan->n_lists; i++) {
            int32_t *words = tuff_alloc((size_t)plan->lists[i].bytes);
            plan->lists[i].list.fill(&plan->lists[i].list, tables[t], words);
            assert_memory_equal(words, slot + plan->lists[i].offset, plan->lists[i].bytes);
            tuff_free(words);
        }
    }
    tuff_free(slot);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&f.graph);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        int64_t q[3], k[3];
        tuff_attention_params params;
        const char *text;
    } bad[] = {
        {{4, 3, 8}, {4, 2, 8}, TUFF_ATTENTION_PARAMS_INIT, "no multiple"},
        {{4, 2, 8}, {4, 2, 9}, TUFF_ATTENTION_PARAMS_INIT, "differ in head dim"},
        {{4, 2, 257}, {4, 2, 257}, TUFF_ATTENTION_PARAMS_INIT, "above the limit of 256"},
        {{4, 2, 8}, {4, 2, 8}, {.struct_size = sizeof(tuff_attention_params), .left = -2}, "-1 for no limit"},
        {{4, 2, 8}, {4, 2, 8}, {.struct_size = sizeof(tuff_attention_params), .softcap = -1}, "0 or above"},
        {{4, 2, 8}, {4, 2, 8}, {.struct_size = sizeof(tuff_attention_params), .zero = 5}, "columns 0 to 4"},
        {{4, 2, 8},
         {4, 2, 8},
         {.struct_size = sizeof(tuff_attention_params), .dropout = 1},
         "less than 1, but is 1"},
        {{4, 2, 8},
         {4, 2, 8},
         {.struct_size = sizeof(tuff_attention_params), .dropout = 0.5},
         "0.5, but there is no dropout_seed"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *q = tuff_variable(g, "q", TUFF_F32, 3, bad[i].q),
                    *k = tuff_variable(g, "k", TUFF_F32, 3, bad[i].k);
        tuff_tensor *bias = tuff_variable(g, "bias", TUFF_F32, 2, (int64_t[]){bad[i].q[1], 5});
        tuff_tensor *segments = tuff_input(g, "segments", TUFF_I32, 2, (int64_t[]){1, 4});
        assert_null(tuff_attention(g, q, k, k, segments, bias, NULL, &bad[i].params));
        tuff_status expected = strstr(bad[i].text, "limit of") ? TUFF_UNSUPPORTED : TUFF_INVALID_ARGUMENT;
        KIT_FAILS(tuff_graph_status(g), expected, bad[i].text);
        tuff_graph_destroy(&g);
    }
}

static void operands_that_do_not_fit_are_named(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        static const char *const texts[] = {"made by tuff_input", "{q_begin, q_len, kv_begin, kv_len}",
                                            "bias [heads of q, distances]", "sinks [heads of q]"};
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *q = tuff_variable(g, "q", TUFF_F32, 3, (int64_t[]){4, 2, 8});
        tuff_tensor *table = tuff_variable(g, "table", TUFF_I32, 2, (int64_t[]){3, 4});
        tuff_tensor *five = tuff_input(g, "five", TUFF_I32, 2, (int64_t[]){3, 5});
        tuff_tensor *good = tuff_input(g, "good", TUFF_I32, 2, (int64_t[]){3, 4});
        tuff_tensor *three = tuff_variable(g, "three", TUFF_F32, 2, (int64_t[]){3, 4});
        assert_null(tuff_attention(g, q, q, q,
                                   i == 0   ? table
                                   : i == 1 ? five
                                            : good,
                                   i == 2 ? three : NULL, i == 3 ? three : NULL, NULL));
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, texts[i]);
        tuff_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_lists), cmocka_unit_test(every_backward_row_has_its_lists),
        cmocka_unit_test(narrow_rows_are_known),   cmocka_unit_test(layers_share_lists),
        cmocka_unit_test(mistakes_are_named),      cmocka_unit_test(operands_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
