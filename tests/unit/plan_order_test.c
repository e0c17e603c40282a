/* The order of a plan's steps: what does not wait for each other comes together, nothing else moves. On
 * hand-made graphs; random ones are in the conformance tests, real models in real_counts_test. */
#include "ir/plan.h"
#include "kit/kit.h"

static const tuff_caps host = {.is_host = true};
static const tuff_caps gpu = {.subgroup_size = 32,
                              .shared_bytes = 32768,
                              .max_workgroup = 1024,
                              .max_groups = {65535, 65535, 65535},
                              .max_allocation = 1u << 30};
static const int64_t d[] = {1000};

static tuff_graph *g;

static tuff_tensor *begin(void)
{
    KIT_OK(tuff_graph_create(&g));
    return tuff_variable(g, "x", TUFF_F32, 1, d);
}

static tuff_tensor *chain(tuff_tensor *x, int length)
{
    for (int i = 0; i < length; i++)
        x = i % 2 ? tuff_gelu(g, x, true) : tuff_silu(g, x);
    return x;
}

static tuff_plan *plan_of(tuff_plan_options options)
{
    tuff_plan *plan = NULL;
    options.caps = options.caps ? options.caps : &gpu;
    KIT_OK(tuff_plan_create(g, &options, &plan));
    return plan;
}

static void end(tuff_plan *plan)
{
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

static size_t step_of(const tuff_plan *plan, const tuff_tensor *x)
{
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].node == x->producer) return s;
    fail_msg("a step is missing");
    return 0;
}

static uint32_t level_of(const tuff_plan *plan, const tuff_tensor *x)
{
    return plan->steps[step_of(plan, x)].level;
}

/* Two chains that the graph has one behind the other. */
static void chains_run_side_by_side(void **state)
{
    (void)state;
    tuff_tensor *x = begin(), *a = chain(x, 5), *b = chain(x, 5);
    tuff_output(g, "y", tuff_add(g, a, b));
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_true(plan->order.by_levels);
    assert_int_equal(plan->n_steps, 11);
    assert_int_equal(plan->order.barriers, 5);
    assert_int_equal(plan->order.graph_barriers, 9);
    assert_int_equal(plan->order.graph_arena_bytes, 2 * 4032);
    assert_int_equal(plan->arena_bytes, 2 * 4032); /* each takes over its input */
    for (size_t s = 0; s < plan->n_steps; s++) {
        assert_int_equal(plan->steps[s].level, s / 2);
        assert_int_equal(plan->steps[s].barrier, s > 0 && s % 2 == 0);
    }
    assert_int_equal(level_of(plan, a), level_of(plan, b));
    end(plan);
}

static void the_switch_keeps_the_order_of_the_graph(void **state)
{
    (void)state;
    tuff_tensor *x = begin(), *a = chain(x, 5), *b = chain(x, 5);
    tuff_output(g, "y", tuff_add(g, a, b));
    const tuff_plan_options options[] = {
        {.order = TUFF_ORDER_GRAPH}, {.caps = &host}, {.caps = &host, .order = TUFF_ORDER_LEVELS}};
    for (int i = 0; i < 3; i++) {
        tuff_plan *plan = plan_of(options[i]);
        tuff_buf text = {0};
        tuff_plan_print(plan, &text);
        assert_int_equal(plan->order.by_levels, i == 2);
        assert_int_equal(plan->order.barriers, i == 2 ? 5 : 9);
        for (size_t s = 1; s < plan->n_steps && i < 2; s++)
            assert_true(plan->steps[s].node->id > plan->steps[s - 1].node->id);
        assert_non_null(strstr(
            text.data, i == 2 ? "order: by levels, 5 barriers; in the graph's order 9, arena 8064 bytes"
                              : "order: the graph's, 9 barriers\n"));
        tuff_buf_free(&text);
        tuff_plan_destroy(&plan);
    }
    tuff_graph_destroy(&g);
}

/* A result that two steps of a level read is taken over by neither. */
static void what_one_level_reads_twice_is_not_overwritten(void **state)
{
    (void)state;
    tuff_tensor *x = begin(), *a = tuff_silu(g, x), *b = tuff_gelu(g, a, true), *c = tuff_scale(g, a, 2);
    tuff_output(g, "y", tuff_add(g, tuff_silu(g, b), tuff_silu(g, c)));
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_true(plan->order.by_levels);
    assert_int_equal(plan->order.barriers, 3);
    assert_int_equal(level_of(plan, b), level_of(plan, c));
    assert_false(tuff_steps_conflict(&plan->steps[step_of(plan, b)], &plan->steps[step_of(plan, c)]));
    end(plan);
}

/* v is read, added to, read again; beside it a chain that has nothing to do with it. */
static void updates_in_place_stay_between_their_readers(void **state)
{
    (void)state;
    tuff_tensor *x = begin(), *v = tuff_variable(g, "v", TUFF_F32, 1, d);
    tuff_tensor *before = tuff_silu(g, v), *sum = tuff_accumulate(g, v, x), *after = tuff_gelu(g, sum, true);
    tuff_tensor *again = tuff_accumulate(g, sum, x);
    tuff_output(g, "y", tuff_add(g, before, after));
    tuff_output(g, "z", chain(x, 6));
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_true(plan->order.by_levels);
    assert_true(level_of(plan, before) < level_of(plan, sum));
    assert_true(level_of(plan, sum) < level_of(plan, after));
    assert_true(level_of(plan, after) < level_of(plan, again));
    assert_int_equal(plan->order.barriers, 5); /* those of the chain */
    end(plan);
}

/* A run can be cancelled up to the first write: what came before it still does. */
static void nothing_is_written_earlier(void **state)
{
    (void)state;
    tuff_tensor *x = begin(), *v = tuff_variable(g, "v", TUFF_F32, 1, d);
    tuff_output(g, "y", chain(x, 8));
    tuff_assign(g, v, 1.0);
    tuff_output(g, "z", chain(x, 9));
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_true(plan->order.by_levels);
    size_t first = 0;
    for (size_t s = 0; s < plan->first_write; s++)
        first += plan->steps[s].node->id < plan->steps[plan->first_write].node->id;
    assert_int_equal(first, 8);
    end(plan);
}

/* What needs nothing is made where it is needed, not at once. */
static void a_fill_waits_for_its_reader(void **state)
{
    (void)state;
    tuff_tensor *x = begin(), *a = chain(x, 7), *both = tuff_add(g, a, chain(x, 7));
    tuff_tensor *one = tuff_fill(g, 1, 1, d), *sum = tuff_add(g, both, one);
    tuff_output(g, "y", sum);
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_true(plan->order.by_levels);
    assert_int_equal(level_of(plan, one) + 1, level_of(plan, sum));
    assert_int_equal(plan->arena_bytes, 3 * 4032); /* both chains and the fill, while they are added */
    end(plan);
}

/* Forty large results, one at a time in the graph's order: all of a level at once would take 640 MB. */
static void the_arena_hardly_grows(void **state)
{
    (void)state;
    const int64_t large[] = {1000, 4000};
    tuff_tensor *x = begin(), *w = tuff_variable(g, "w", TUFF_F32, 2, large), *y = x;
    for (int i = 0; i < 40; i++) {
        tuff_tensor *part = tuff_sum(g, chain(tuff_scale(g, w, i), 3), 2, false);
        y = tuff_add(g, y, part);
    }
    tuff_output(g, "y", y);
    tuff_plan *graphs = plan_of((tuff_plan_options){.order = TUFF_ORDER_GRAPH});
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_true(graphs->arena_bytes < 20000000);
    assert_int_equal(plan->order.graph_arena_bytes, graphs->arena_bytes);
    assert_true(plan->arena_bytes <= graphs->arena_bytes + (16 << 20));
    assert_true(plan->order.barriers <= graphs->order.barriers);
    tuff_plan_destroy(&graphs);
    end(plan);
}

/* A step without a kernel runs on the host, between two submits. */
static void host_steps_stay_where_they_are(void **state)
{
    (void)state;
    int rows[TUFF_OP_COUNT];
    for (int op = 0; op < TUFF_OP_COUNT; op++)
        rows[op] = op == TUFF_OP_scale ? TUFF_ROW_HOST : TUFF_ROW_ANY;
    tuff_tensor *x = begin(), *a = chain(x, 4), *b = chain(x, 4), *on_host = tuff_scale(g, x, 3);
    tuff_tensor *c = chain(x, 4);
    tuff_output(g, "y", tuff_add(g, tuff_add(g, a, b), tuff_add(g, on_host, c)));
    tuff_plan *plan = plan_of((tuff_plan_options){.force_row = rows});
    size_t at = step_of(plan, on_host);
    assert_int_equal(plan->steps[at].row, -1);
    assert_true(plan->order.by_levels);
    for (size_t s = 0; s < plan->n_steps; s++)
        assert_int_equal(s < at, plan->steps[s].node->id < on_host->producer->id);
    assert_int_equal(at, 8);
    end(plan);
}

/* Sums of many rows take two dispatches, the second after the first: two sums wait together. */
static void phases_interleave(void **state)
{
    (void)state;
    const int64_t shape[] = {4096, 256};
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 2, shape),
                *y = tuff_variable(g, "y", TUFF_F32, 2, shape);
    tuff_output(g, "a", tuff_sum(g, x, 1, false));
    tuff_output(g, "b", tuff_sum(g, y, 1, false));
    tuff_plan *plan = plan_of((tuff_plan_options){0});
    assert_int_equal(plan->n_steps, 4);
    assert_int_equal(plan->order.barriers, 1);
    assert_int_equal(plan->order.graph_barriers, 3); /* the second takes over the first's scratch memory */
    for (size_t s = 0; s < 4; s++) {
        assert_int_equal(plan->steps[s].phase, s / 2);
        assert_int_equal(plan->steps[s].n_phases, 2);
        assert_int_equal(plan->steps[s].launch->n, 1);
        assert_int_equal(plan->steps[s].whole->n, 2);
        assert_ptr_equal(plan->steps[s].launch->dispatches[0], plan->steps[s].whole->dispatches[s / 2]);
        assert_int_equal(plan->steps[s].barrier, s == 2);
    }
    assert_int_equal(plan->steps[0].scratch.begin, plan->steps[2].scratch.begin);
    assert_int_equal(plan->steps[1].scratch.begin, plan->steps[3].scratch.begin);
    tuff_buf text = {0};
    tuff_plan_print(plan, &text);
    assert_non_null(strstr(text.data, "plain 1/2"));
    assert_non_null(strstr(text.data, "plain 2/2"));
    tuff_buf_free(&text);
    end(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_run_side_by_side),
        cmocka_unit_test(the_switch_keeps_the_order_of_the_graph),
        cmocka_unit_test(what_one_level_reads_twice_is_not_overwritten),
        cmocka_unit_test(updates_in_place_stay_between_their_readers),
        cmocka_unit_test(nothing_is_written_earlier),
        cmocka_unit_test(a_fill_waits_for_its_reader),
        cmocka_unit_test(the_arena_hardly_grows),
        cmocka_unit_test(host_steps_stay_where_they_are),
        cmocka_unit_test(phases_interleave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
