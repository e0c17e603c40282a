/* Properties of plans by brute force, over the graphs of all conformance cases: every read sees the bytes
 * that its producer wrote, aliases are only those that the operation allows, and every hazard has its
 * barrier, none of them in vain. */
#include "kit/kit.h"

#include <stdio.h>

#include "conform/runner.h"
#include "ir/op.h"

static const tuff_caps host = {.is_host = true};
static const tuff_caps gpu = {.features = 0x1f,
                              .subgroup_size = 32,
                              .shared_bytes = 32768,
                              .max_workgroup = 1024,
                              .max_groups = {65535, 65535, 65535},
                              .max_allocation = 1u << 30,
                              .memory_bytes = 1u << 31};

/* The first property found broken; NULL: none. */
static const char *fault;

static void check(bool condition, const char *what)
{
    if (!condition && fault == NULL) fault = what;
}

/* ---- memory: owners of bytes, step by step ---- */

/* For each byte of each block: 1 + the id of the storage whose value lies there, or the number of the node
 * whose scratch memory it is; 0: nothing known. */
enum { SCRATCH = 1 << 30 };

typedef struct shadow {
    const tuff_plan *plan;
    uint32_t **owner;
} shadow;

static void set_owner(const shadow *s, const tuff_location *at, uint64_t begin, uint64_t end, uint32_t owner)
{
    uint64_t size = s->plan->blocks[at->index];
    check(end <= size, "an operand reaches past its block");
    for (uint64_t i = begin; i < end && i < size; i++)
        s->owner[at->index][i] = owner;
}

/* The storage of x lies whole around the location of its view. */
static void storage_range(const tuff_tensor *x, const tuff_location *at, uint64_t *begin, uint64_t *end)
{
    *begin = at->offset - tuff_dtype_bytes(x->dtype, x->offset);
    *end = *begin + tuff_tensor_bytes(x->storage);
}

static void expect_owner(const shadow *s, const tuff_tensor *x, const tuff_location *at)
{
    if (x == NULL || at->kind != TUFF_MEMORY_ARENA) return;
    uint64_t begin, end;
    storage_range(x, at, &begin, &end);
    check(at->begin >= begin && at->end <= end && at->begin < at->end, "a view reaches outside its storage");
    for (uint64_t i = at->begin; i < at->end; i++)
        check(s->owner[at->index][i] == x->storage->id + 1,
              "a tensor's memory was given away while it was needed");
}

static bool ranges_meet(const tuff_location *a, const tuff_location *b)
{
    return a->kind == b->kind && a->index == b->index &&
           (a->kind == TUFF_MEMORY_ARENA || a->kind == TUFF_MEMORY_VARIABLE) && a->begin < b->end &&
           b->begin < a->end;
}

/* A later phase finds what the first has made of the node's memory: inputs that outputs did not take over,
 * outputs, scratch memory. */
static bool is_taken_over(const tuff_plan_step *step, int i)
{
    for (int o = 0; o < step->node->n_out && step->phase > 0; o++)
        if (ranges_meet(&step->in[i], &step->out[o])) return true;
    return false;
}

static void expect_first_phase(const shadow *s, const tuff_plan_step *step)
{
    for (int o = 0; o < step->node->n_out; o++)
        expect_owner(s, step->node->out[o], &step->out[o]);
    if (step->scratch.kind != TUFF_MEMORY_ARENA) return;
    for (uint64_t i = step->scratch.begin; i < step->scratch.end; i++)
        check(s->owner[step->scratch.index][i] == (SCRATCH | step->node->id),
              "scratch memory was given away between two phases");
}

/* Outputs share memory with an input only in place or, element for element, where the op allows it. */
static void check_aliases(const tuff_plan_step *step, bool allowed)
{
    const tuff_node *node = step->node;
    for (int o = 0; o < node->n_out; o++) {
        bool in_place = node->out[o]->storage != node->out[o];
        for (int i = 0; i < node->n_in; i++) {
            if (node->in[i] == NULL || !ranges_meet(&step->out[o], &step->in[i])) continue;
            if (in_place && node->in[i]->storage == node->out[o]->storage) continue;
            check(allowed, "memory is shared although aliases are off");
            bool may = false; /* also through a second operand that reads the same elements */
            for (int k = 0; k < node->n_in && k < 32; k++)
                may = may || ((step->op->may_alias[o] >> k & 1u) && node->in[k] != NULL &&
                              step->in[k].begin == step->out[o].begin && step->in[k].end == step->out[o].end);
            check(may, "an output took over an input that it may not");
        }
        for (int k = 0; k < o; k++)
            check(!ranges_meet(&step->out[o], &step->out[k]), "two outputs share memory");
    }
    for (int i = 0; i < node->n_in; i++)
        check(!ranges_meet(&step->scratch, &step->in[i]), "scratch overlaps an input");
    for (int o = 0; o < node->n_out; o++)
        check(!ranges_meet(&step->scratch, &step->out[o]), "scratch overlaps an output");
}

static void check_memory(const tuff_plan *plan, bool aliases)
{
    shadow s = {.plan = plan};
    s.owner = test_calloc(plan->n_blocks + 1, sizeof *s.owner);
    for (size_t b = 0; b < plan->n_blocks; b++)
        s.owner[b] = test_calloc(plan->blocks[b], sizeof **s.owner);
    for (size_t i = 0; i < plan->n_steps; i++) {
        const tuff_plan_step *step = &plan->steps[i];
        for (int k = 0; k < step->node->n_in; k++)
            if (!is_taken_over(step, k)) expect_owner(&s, step->node->in[k], &step->in[k]);
        if (step->phase > 0) expect_first_phase(&s, step);
        check_aliases(step, aliases);
        if (step->scratch.kind == TUFF_MEMORY_ARENA)
            set_owner(&s, &step->scratch, step->scratch.begin, step->scratch.end, SCRATCH | step->node->id);
        for (int o = 0; o < step->node->n_out; o++) {
            if (step->out[o].kind != TUFF_MEMORY_ARENA) continue;
            uint64_t begin, end;
            storage_range(step->node->out[o], &step->out[o], &begin, &end);
            set_owner(&s, &step->out[o], begin, end, step->node->out[o]->storage->id + 1);
        }
    }
    for (size_t i = 0; i < plan->n_outputs; i++)
        expect_owner(&s, plan->outputs[i].tensor, &plan->outputs[i].location);
    for (size_t b = 0; b < plan->n_blocks; b++)
        test_free(s.owner[b]);
    test_free(s.owner);
}

/* ---- hazards ---- */

static bool any_meet(const tuff_location *a, int n, const tuff_location *b, int m)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m; k++)
            if (ranges_meet(&a[i], &b[k])) return true;
    return false;
}

static bool conflict(const tuff_plan_step *a, const tuff_plan_step *b)
{
    int a_in = a->node->n_in, a_out = a->node->n_out, b_in = b->node->n_in, b_out = b->node->n_out;
    return any_meet(a->out, a_out, b->in, b_in) || any_meet(a->in, a_in, b->out, b_out) ||
           any_meet(a->out, a_out, b->out, b_out) || any_meet(&a->scratch, 1, b->in, b_in) ||
           any_meet(&a->scratch, 1, b->out, b_out) || any_meet(a->in, a_in, &b->scratch, 1) ||
           any_meet(a->out, a_out, &b->scratch, 1) || any_meet(&a->scratch, 1, &b->scratch, 1);
}

/* Barriers before step: prefix sums, leaving out the one before step `without`. */
static bool all_ordered(const tuff_plan *plan, size_t without)
{
    for (size_t later = 1; later < plan->n_steps; later++) {
        bool between = false;
        for (size_t i = later; i > 0 && !between; i--) {
            /* here: no barrier in (i - 1, later] except perhaps before step i */
            between = plan->steps[i].barrier && i != without;
            if (!between && conflict(&plan->steps[i - 1], &plan->steps[later])) return false;
        }
    }
    return true;
}

static void check_hazards(const tuff_plan *plan)
{
    check(all_ordered(plan, 0), "a hazard has no barrier");
    for (size_t i = 1; i < plan->n_steps; i++)
        if (plan->steps[i].barrier) check(!all_ordered(plan, i), "a barrier orders nothing");
}

/* ---- over all cases ---- */

typedef struct totals {
    size_t plans, steps, barriers, smaller, by_levels, phases;
} totals;

static void check_case(const tuff_case *c, const tuff_plan_options *options, totals *t, uint64_t *out_bytes)
{
    const tuff_build_options build = {.seed = 1, .backward = true};
    tuff_case_run *run = NULL;
    tuff_plan *plan = NULL;
    KIT_OK(tuff_case_build(c, &build, &run));
    KIT_OK(tuff_plan_create(run->graph, options, &plan));
    check_memory(plan, !options->no_alias && !options->no_reuse);
    check_hazards(plan);
    check(plan->arena_bytes >= plan->live_bytes, "the arena is smaller than what lives in it");
    t->plans++;
    t->steps += plan->n_steps;
    for (size_t i = 0; i < plan->n_steps; i++)
        t->barriers += plan->steps[i].barrier, t->phases += plan->steps[i].phase > 0;
    t->by_levels += plan->order.by_levels;
    *out_bytes = plan->arena_bytes;
    KIT_OK(tuff_plan_isolate(plan));
    check_hazards(plan);
    tuff_plan_destroy(&plan);
    tuff_case_destroy(&run);
}

static void plans_are_sound(void **state)
{
    (void)state;
    totals t = {0};
    char where[256];
    for (int f = 0; tuff_case_families[f] != NULL; f++)
        for (size_t i = 0; i < tuff_case_families[f]->n_cases; i++) {
            const tuff_case *c = &tuff_case_families[f]->cases[i];
            for (int kind = 0; kind < 2; kind++) {
                const tuff_plan_options options[3] = {
                    {.caps = kind ? &gpu : &host},
                    {.caps = kind ? &gpu : &host, .no_alias = true, .order = TUFF_ORDER_LEVELS},
                    {.caps = kind ? &gpu : &host, .no_reuse = true, .order = TUFF_ORDER_GRAPH}};
                uint64_t bytes[3];
                for (int k = 0; k < 3; k++) {
                    snprintf(where, sizeof where, "%s: %s, %s, %s", tuff_case_families[f]->name, c->name,
                             kind ? "GPU" : "host",
                             k == 0   ? "planned"
                             : k == 1 ? "no aliases, by levels"
                                      : "no reuse, as the graph has it");
                    check_case(c, &options[k], &t, &bytes[k]);
                    if (fault != NULL) fail_msg("%s: %s", where, fault);
                }
                t.smaller += bytes[0] < bytes[2];
            }
        }
    print_message("%zu plans, %zu steps, %zu barriers, %zu later phases; reuse made %zu smaller, %zu are by "
                  "levels\n",
                  t.plans, t.steps, t.barriers, t.phases, t.smaller, t.by_levels);
    assert_true(t.by_levels > t.plans / 50 && t.phases > t.steps / 50);
    assert_true(t.smaller > t.plans / 12);
}

/* The checks above can fail: a plan with a barrier taken out, and one with two tensors laid on each other. */
static void broken_plans_are_noticed(void **state)
{
    (void)state;
    const tuff_case_family *graphs = NULL;
    for (int f = 0; tuff_case_families[f] != NULL; f++)
        if (strcmp(tuff_case_families[f]->name, "graphs") == 0) graphs = tuff_case_families[f];
    assert_non_null(graphs);
    const tuff_build_options build = {.seed = 1, .backward = true};
    const tuff_plan_options options = {.caps = &host};
    tuff_case_run *run = NULL;
    tuff_plan *plan = NULL;
    KIT_OK(tuff_case_build(&graphs->cases[3], &build, &run));
    KIT_OK(tuff_plan_create(run->graph, &options, &plan));
    size_t tried = 0;
    for (size_t i = 1; i < plan->n_steps; i++) {
        if (!plan->steps[i].barrier) continue;
        plan->steps[i].barrier = false;
        assert_false(all_ordered(plan, 0));
        plan->steps[i].barrier = true;
        tried++;
    }
    assert_true(tried > 3);
    assert_null(fault);
    check_memory(plan, true);
    assert_null(fault);
    size_t noticed = 0;
    for (size_t i = 0; i + 1 < plan->n_steps; i++) {
        tuff_location *out = &plan->steps[i + 1].out[0], right = *out;
        if (out->kind != TUFF_MEMORY_ARENA || plan->steps[i].out[0].kind != TUFF_MEMORY_ARENA) continue;
        out->offset = plan->steps[i].out[0].offset;
        out->begin = out->offset;
        out->end = out->begin + (right.end - right.begin);
        check_memory(plan, true);
        noticed += fault != NULL;
        fault = NULL;
        *out = right;
    }
    assert_true(noticed > 3);
    tuff_plan_destroy(&plan);
    tuff_case_destroy(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_sound),
        cmocka_unit_test(broken_plans_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
