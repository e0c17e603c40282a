/* Attention's ranges of keys, grids, workgroups and shared memory on devices of several kinds, without any.
 */
#include "ir/op.h"
#include "kit/kit.h"
#include "ops/attention.h"
#include "shaders/args/attention.h"

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

/* batch, queries, keys, heads, key-value heads, head dim */
static const int64_t shapes[][6] = {
    {1, 1, 1, 1, 1, 1},   {4, 256, 256, 12, 12, 64},   {1, 1, 2048, 9, 3, 64},   {3, 17, 40, 6, 2, 20},
    {2, 5, 5, 2, 1, 256}, {1, 4096, 4096, 32, 8, 128}, {64, 1, 512, 32, 8, 128}, {1, 9, 9, 1, 1, 129}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct fixture {
    tuff_graph *graph;
    tuff_tensor *q, *k, *v, *o;
} fixture;

static fixture begin(const int64_t s[6], tuff_dtype dtype, bool started)
{
    fixture f = {0};
    KIT_OK(tuff_graph_create(&f.graph));
    f.q = tuff_variable(f.graph, "q", TUFF_F32, 4, (int64_t[]){s[0], s[1], s[3], s[5]});
    f.k = tuff_variable(f.graph, "k", dtype, 4, (int64_t[]){s[0], s[2], s[4], s[5]});
    f.v = tuff_variable(f.graph, "v", dtype, 4, (int64_t[]){s[0], s[2], s[4], s[5]});
    tuff_tensor *start = started ? tuff_input(f.graph, "start", TUFF_I32, 1, s) : NULL;
    f.o = tuff_attention(
        f.graph, f.q, f.k, f.v, start,
        &(tuff_attention_params){.struct_size = sizeof(tuff_attention_params), .causal = true});
    KIT_OK(tuff_graph_status(f.graph));
    return f;
}

static void check_tiles(const tuff_dispatch *d, const tuff_attention_problem *p, const tuff_caps *caps,
                        bool spread, int64_t items)
{
    int64_t share = (int64_t)d->spec[0] * d->spec[2];
    assert_int_equal(d->n_spec, 4);
    assert_in_range(d->spec[0], 1, caps->max_workgroup);
    assert_true(d->spec[1] >= p->D && d->spec[1] % 4 == 0 && d->spec[1] <= TUFF_ATTENTION_MAX_DIM);
    assert_true(d->groups[0] * share >= items && (d->groups[0] - 1) * share < items);
    assert_int_equal(d->groups[1], p->Hkv);
    assert_int_equal(d->groups[2], p->B);
    if (spread)
        assert_int_equal(d->spec[0], caps->subgroup_size);
    else
        assert_in_range(2 * 4 * d->spec[1] * d->spec[3], 1, caps->shared_bytes);
}

static void check_forward(const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_arena arena = {0};
    tuff_launch launch = {.arena = &arena};
    tuff_attention_rows[row].geometry(node, caps, &launch);
    assert_false(launch.failed);
    assert_int_equal(launch.n, 1);
    const tuff_dispatch *d = launch.dispatches[0];
    const tuff_attention_args *args = (const tuff_attention_args *)d->args;
    assert_true(args->Tq == p.Tq && args->Tk == p.Tk && args->Hq == p.Hq && args->G == p.G);
    assert_int_equal(args->dim_flags & TUFF_ATTENTION_DIM_MASK, p.D);
    assert_true((args->dim_flags & TUFF_ATTENTION_CAUSAL) != 0);
    assert_int_equal((args->dim_flags & TUFF_ATTENTION_HALF) != 0, p.k.dtype == TUFF_F16);
    assert_int_equal((args->dim_flags & TUFF_ATTENTION_FROM) != 0, node->in[TUFF_ATTENTION_START] != NULL);
    if (d->shader != TUFF_SHADER_attention_few)
        check_tiles(d, &p, caps, d->shader == TUFF_SHADER_attention_spread, p.Tq * p.G);
    else
        assert_true(d->groups[0] == p.Tq && d->groups[1] == p.Hq && d->groups[2] == p.B);
    tuff_arena_free(&arena);
}

static void check_backward(const tuff_node *node, const tuff_caps *caps, int row)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_arena arena = {0};
    tuff_launch launch = {.arena = &arena};
    tuff_attention_backward_rows[row].geometry(node, caps, &launch);
    bool spread = launch.dispatches[1]->shader == TUFF_SHADER_attention_dq_spread;
    assert_false(launch.failed);
    assert_int_equal(launch.n, spread ? 3 : 4);
    assert_true(launch.scratch_bytes >= (uint64_t)(p.B * p.Hq * p.Tq) * 8);
    assert_true((uint64_t)launch.dispatches[0]->groups[0] * launch.dispatches[0]->groups[1] * 64 >=
                (uint64_t)(p.B * p.Hq * p.Tq));
    assert_true(launch.dispatches[1]->after); /* all the rest reads what the first wrote */
    check_tiles(launch.dispatches[1], &p, caps, spread, p.Tq * p.G);
    for (size_t i = 2; i < launch.n; i++)
        check_tiles(launch.dispatches[i], &p, caps, spread, p.Tk);
    tuff_arena_free(&arena);
}

static void every_row_covers_queries_and_keys(void **state)
{
    (void)state;
    for (int c = 0; c < DEVICES; c++)
        for (int s = 0; s < SHAPES; s++)
            for (int kind = 0; kind < 2; kind++) {
                fixture f = begin(shapes[s], kind ? TUFF_F16 : TUFF_F32, kind == 1);
                int reached = 0;
                for (int row = 0; row < TUFF_ATTENTION_KERNELS; row++) {
                    const tuff_kernel_row *r = &tuff_attention_rows[row];
                    if ((r->needs & ~devices[c].features) || !r->match(f.o->producer, &devices[c])) continue;
                    check_forward(f.o->producer, &devices[c], row);
                    reached++;
                }
                assert_true(reached > 0);
                tuff_graph_destroy(&f.graph);
            }
}

static void every_backward_row_covers_queries_and_keys(void **state)
{
    (void)state;
    for (int c = 0; c < DEVICES; c++)
        for (int s = 0; s < SHAPES; s++) {
            fixture f = begin(shapes[s], TUFF_F32, false);
            tuff_tensor *grad;
            tuff_graph_grad(f.graph, tuff_sum(f.graph, f.o, 15, false), &f.v, 1, &grad);
            KIT_OK(tuff_graph_status(f.graph));
            const tuff_node *node = grad->producer;
            int reached = 0;
            assert_int_equal(node->op, TUFF_OP_attention_backward);
            for (int row = 0; row < TUFF_ATTENTION_BACKWARD_KERNELS; row++) {
                const tuff_kernel_row *r = &tuff_attention_backward_rows[row];
                if ((r->needs & ~devices[c].features) || !r->match(node, &devices[c])) continue;
                check_backward(node, &devices[c], row);
                reached++;
            }
            assert_true(reached > 0);
            tuff_graph_destroy(&f.graph);
        }
}

static void odd_caches_start_a_word_early(void **state)
{
    (void)state;
    for (int odd = 0; odd < 4; odd++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *x = tuff_variable(g, "x", TUFF_F16, 4, (int64_t[]){1, 40, 1, 9});
        tuff_tensor *k = tuff_slice(g, x, 3, odd & 1, 8), *v = tuff_slice(g, x, 3, odd >> 1, 8);
        tuff_tensor *q = tuff_variable(g, "q", TUFF_F32, 4, (int64_t[]){1, 20, 1, 8});
        tuff_tensor *o = tuff_attention(g, q, k, v, NULL, &(tuff_attention_params)TUFF_ATTENTION_PARAMS_INIT);
        KIT_OK(tuff_graph_status(g));
        tuff_arena arena = {0};
        tuff_launch launch = {.arena = &arena};
        tuff_attention_rows[tuff_choose_row(o->producer, &devices[0])].geometry(o->producer, &devices[0],
                                                                                &launch);
        const tuff_dispatch *d = launch.dispatches[0];
        uint32_t flags = ((const tuff_attention_args *)d->args)->dim_flags;
        assert_int_equal((flags & TUFF_ATTENTION_ODD_K) != 0, odd & 1);
        assert_int_equal((flags & TUFF_ATTENTION_ODD_V) != 0, odd >> 1);
        assert_int_equal(d->relocs[1].offset, odd & 1 ? (uint64_t)-2 : 0);
        assert_int_equal(d->relocs[2].offset, odd >> 1 ? (uint64_t)-2 : 0);
        tuff_arena_free(&arena);
        tuff_graph_destroy(&g);
    }
}

static void ranges_of_keys(void **state)
{
    (void)state;
    static const struct {
        bool causal;
        int64_t window, position, begin, end;
    } expected[] = {{false, 0, 3, 0, 10}, {true, 0, 3, 0, 4},  {true, 0, 30, 0, 10}, {true, 2, 3, 2, 4},
                    {true, 5, 3, 0, 4},   {true, 1, 9, 9, 10}, {true, 4, 12, 9, 10}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        tuff_attention_problem p = {.Tk = 10, .causal = expected[i].causal, .window = expected[i].window};
        int64_t begin, end;
        tuff_attention_range(&p, expected[i].position, &begin, &end);
        assert_int_equal(begin, expected[i].begin);
        assert_int_equal(end, expected[i].end);
    }
    tuff_attention_problem p = {.Tk = 10, .causal = true};
    int64_t begin, end;
    tuff_attention_range(&p, -2, &begin, &end);
    assert_true(begin >= end);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        int64_t q[4], k[4];
        tuff_attention_params params;
        const char *text;
    } bad[] = {
        {{1, 4, 3, 8},
         {1, 4, 2, 8},
         {.struct_size = sizeof(tuff_attention_params), .causal = false},
         "no multiple"},
        {{1, 4, 2, 8},
         {2, 4, 2, 8},
         {.struct_size = sizeof(tuff_attention_params), .causal = false},
         "differ in batch or head dim"},
        {{1, 4, 2, 8},
         {1, 4, 2, 9},
         {.struct_size = sizeof(tuff_attention_params), .causal = false},
         "differ in batch or head dim"},
        {{1, 4, 2, 257},
         {1, 4, 2, 257},
         {.struct_size = sizeof(tuff_attention_params), .causal = false},
         "above the limit of 256"},
        {{1, 4, 2, 8},
         {1, 4, 2, 8},
         {.struct_size = sizeof(tuff_attention_params), .window = 3},
         "used with causal"},
        {{1, 4, 2, 8},
         {1, 4, 2, 8},
         {.struct_size = sizeof(tuff_attention_params), .causal = true, .window = -1},
         "at least 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *q = tuff_variable(g, "q", TUFF_F32, 4, bad[i].q),
                    *k = tuff_variable(g, "k", TUFF_F32, 4, bad[i].k);
        assert_null(tuff_attention(g, q, k, k, NULL, &bad[i].params));
        tuff_status expected = strstr(bad[i].text, "limit") ? TUFF_UNSUPPORTED : TUFF_INVALID_ARGUMENT;
        KIT_FAILS(tuff_graph_status(g), expected, bad[i].text);
        tuff_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_covers_queries_and_keys),
        cmocka_unit_test(every_backward_row_covers_queries_and_keys),
        cmocka_unit_test(odd_caches_start_a_word_early),
        cmocka_unit_test(ranges_of_keys),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
