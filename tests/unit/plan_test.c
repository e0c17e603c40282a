/* Plans: lifetimes, aliasing, blocks, barriers, printing. On hand-made graphs; random ones are in the
 * conformance tests. */
#include "ir/plan.h"
#include "kit/kit.h"

static const tuff_caps host = {.is_host = true};
static const int64_t d[] = {1000};

static tuff_plan *plan_of(tuff_graph *g, tuff_plan_options options)
{
    tuff_plan *plan = NULL;
    options.caps = options.caps ? options.caps : &host;
    KIT_OK(tuff_plan_create(g, &options, &plan));
    return plan;
}

/* x -> silu -> gelu -> silu ... : two results alive at a time, or one where outputs take inputs over. */
static tuff_graph *chain(int length)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, d);
    for (int i = 0; i < length; i++)
        x = i % 2 ? tuff_gelu(g, x, true) : tuff_silu(g, x);
    tuff_output(g, "y", x);
    return g;
}

static void memory_is_reused(void **state)
{
    (void)state;
    tuff_graph *g = chain(9);
    tuff_plan *plan = plan_of(g, (tuff_plan_options){0});
    assert_int_equal(plan->n_steps, 9);
    assert_int_equal(plan->arena_bytes,
                     4032); /* one result of 4000 bytes, aligned: each takes over its input */
    tuff_plan_destroy(&plan);
    plan = plan_of(g, (tuff_plan_options){.no_alias = true});
    assert_int_equal(plan->live_bytes, 8000);
    assert_int_equal(plan->arena_bytes, 2 * 4032);
    tuff_plan_destroy(&plan);
    plan = plan_of(g, (tuff_plan_options){.no_reuse = true});
    assert_int_equal(plan->arena_bytes, 9 * 4032);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

static void an_input_read_again_is_not_taken_over(void **state)
{
    (void)state;
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, d);
    tuff_tensor *a = tuff_silu(g, x), *b = tuff_gelu(g, a, true);
    tuff_output(g, "y", tuff_add(g, a, b));
    tuff_plan *plan = plan_of(g, (tuff_plan_options){0});
    const tuff_location *at_a = &plan->steps[0].out[0], *at_b = &plan->steps[1].out[0];
    assert_true(at_a->end <= at_b->begin || at_b->end <= at_a->begin);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

/* add(x, x^T) may not write over x: element (i, j) is read again as (j, i). */
static void an_input_seen_under_two_shapes_is_not_taken_over(void **state)
{
    (void)state;
    const int64_t square[] = {30, 30};
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_silu(g, tuff_variable(g, "x", TUFF_F32, 2, square));
    tuff_output(g, "y", tuff_add(g, x, tuff_transpose(g, x)));
    tuff_plan *plan = plan_of(g, (tuff_plan_options){0});
    const tuff_location *in = &plan->steps[0].out[0], *out = &plan->steps[1].out[0];
    assert_true(in->end <= out->begin || out->end <= in->begin);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

static void blocks_stay_under_the_limit(void **state)
{
    (void)state;
    tuff_graph *g = chain(9);
    tuff_plan *plan = plan_of(g, (tuff_plan_options){.no_reuse = true, .max_block = 10000});
    assert_int_equal(plan->n_blocks, 5);
    for (size_t i = 0; i < plan->n_blocks; i++)
        assert_true(plan->blocks[i] <= 10000);
    tuff_plan_destroy(&plan);
    KIT_FAILS(tuff_plan_create(g, &(tuff_plan_options){.caps = &host, .max_block = 1000}, &plan),
              TUFF_UNSUPPORTED, "needs 4000 bytes");
    assert_null(plan);
    tuff_graph_destroy(&g);
}

static void barriers_are_where_they_must_be_and_no_more(void **state)
{
    (void)state;
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "x", TUFF_F32, 1, d);
    tuff_tensor *a = tuff_silu(g, x), *b = tuff_gelu(g, x, true), *c = tuff_scale(g, x, 2); /* independent */
    tuff_output(g, "y", tuff_add(g, tuff_add(g, a, b), c));
    tuff_plan *plan = plan_of(g, (tuff_plan_options){0});
    assert_int_equal(plan->n_steps, 5);
    const bool want[] = {false, false, false, true, true};
    for (int i = 0; i < 5; i++)
        assert_int_equal(plan->steps[i].barrier, want[i]);
    tuff_plan_destroy(&plan);

    /* a write after a read: the variable is overwritten after silu has read it */
    tuff_graph_destroy(&g);
    KIT_OK(tuff_graph_create(&g));
    x = tuff_variable(g, "x", TUFF_F32, 1, d);
    tuff_output(g, "y", tuff_silu(g, x));
    tuff_assign(g, x, 1.0);
    plan = plan_of(g, (tuff_plan_options){0});
    assert_int_equal(plan->n_steps, 2);
    assert_true(plan->steps[1].barrier);
    assert_true(tuff_steps_conflict(&plan->steps[0], &plan->steps[1]));
    assert_true(plan->variables[0].written);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

static void views_share_memory(void **state)
{
    (void)state;
    const int64_t shape[] = {10, 100}, half[] = {10, 50};
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_silu(g, tuff_variable(g, "x", TUFF_F32, 2, shape));
    tuff_tensor *right = tuff_slice(g, x, 1, 50, 50);
    tuff_output(g, "y", tuff_add(g, right, right));
    tuff_plan *plan = plan_of(g, (tuff_plan_options){0});
    assert_int_equal(plan->n_steps, 2);
    assert_int_equal(plan->steps[1].in[0].begin, plan->steps[0].out[0].begin + 200);
    assert_int_equal(plan->steps[1].in[0].end, plan->steps[0].out[0].end);
    assert_int_equal(plan->outputs[0].bytes, 4 * half[0] * half[1]);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

static void a_plan_prints_a_line_per_step(void **state)
{
    (void)state;
    tuff_graph *g = chain(3);
    tuff_plan *plan = plan_of(g, (tuff_plan_options){0});
    tuff_buf text = {0};
    tuff_plan_print(plan, &text);
    assert_non_null(strstr(text.data, "silu"));
    assert_non_null(strstr(text.data, "f32[1000] <- x:f32[1000]"));
    int lines = 0;
    for (const char *at = text.data; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 6); /* what it takes, the passes, the order, the steps */
    tuff_buf_free(&text);
    tuff_plan_destroy(&plan);
    tuff_graph_destroy(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_reused),
        cmocka_unit_test(an_input_read_again_is_not_taken_over),
        cmocka_unit_test(an_input_seen_under_two_shapes_is_not_taken_over),
        cmocka_unit_test(blocks_stay_under_the_limit),
        cmocka_unit_test(barriers_are_where_they_must_be_and_no_more),
        cmocka_unit_test(views_share_memory),
        cmocka_unit_test(a_plan_prints_a_line_per_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
