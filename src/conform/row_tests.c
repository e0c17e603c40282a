/* The product's test of a kernel row before its first use: one of the suite's cases, with all other
 * operations on the host, so that what is found is this row's fault. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "conform/runner.h"
#include "ir/op.h"
#include "ir/rewrite.h"
#include "runtime/row_trust.h"

/* Large enough that several workgroups and their tails take part, small enough to take no time. */
#define GOOD_BYTES 16384.0

/* Tests per row: another shape finds what the first one hides, and the pipelines are mostly there. */
enum { TESTS = 3 };

/* A case that tests a row. */
typedef struct row_test {
    const tuff_case_family *family;
    const tuff_case *c;
    bool backward;   /* with its gradients */
    double distance; /* from GOOD_BYTES: |log(bytes / GOOD_BYTES)| */
} row_test;

/* The tests of a row, nearest first. */
typedef struct row_entry {
    row_test tests[TESTS];
    int n;
} row_entry;

struct tuff_row_tests {
    tuff_backend_device *device;
    tuff_map index; /* of tuff_row_key to entries[] */
    row_entry *entries;
    size_t n, capacity;
};

tuff_row_key tuff_row_key_of(tuff_op op, int row, const tuff_launch *launch)
{
    tuff_row_key key = {.op = (uint32_t)op, .row = (uint32_t)row};
    for (size_t i = 0; i < launch->n; i++) {
        const tuff_dispatch *d = launch->dispatches[i];
        const uint64_t shader = (uint64_t)d->shader,
                       both[2] = {shader + 1, tuff_fnv1a(d->spec, (size_t)d->n_spec * sizeof *d->spec)};
        if (tuff_launch_is_first_of_shader(launch, i)) key.shaders ^= tuff_fnv1a(&shader, sizeof shader);
        if (tuff_launch_is_first(launch, i)) key.constants ^= tuff_fnv1a(both, sizeof both);
    }
    return key;
}

static row_entry *entry_of(tuff_row_tests *tests, const tuff_row_key *key)
{
    uint32_t at;
    if (tuff_map_get(&tests->index, key, sizeof *key, &at)) return &tests->entries[at];
    if (!tuff_grow((void **)&tests->entries, tests->n, &tests->capacity, sizeof *tests->entries)) return NULL;
    if (!tuff_map_put(&tests->index, key, sizeof *key, (uint32_t)tests->n)) return NULL;
    tests->entries[tests->n] = (row_entry){0};
    return &tests->entries[tests->n++];
}

static void add_test(row_entry *entry, row_test test)
{
    int at = entry->n;
    for (int i = 0; i < entry->n; i++)
        if (entry->tests[i].c == test.c) return; /* with its gradients too: once is enough */
    while (at > 0 && test.distance < entry->tests[at - 1].distance)
        at--;
    if (at == TESTS) return;
    if (entry->n < TESTS) entry->n++;
    memmove(&entry->tests[at + 1], &entry->tests[at], (size_t)(entry->n - 1 - at) * sizeof test);
    entry->tests[at] = test;
}

/* True when the row serves every node of its op in the graph: a fault has one cause then. */
static bool serves_all(const tuff_graph *g, const tuff_caps *caps, tuff_op op, int row)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op == op && !tuff_row_fits(g->nodes[i], caps, row)) return false;
    return true;
}

static tuff_status add_node(tuff_row_tests *tests, const tuff_graph *g, const tuff_node *node, row_test test)
{
    const tuff_op_info *op = tuff_op_info_of(node->op);
    const tuff_caps *caps = &tests->device->caps;
    test.distance = fabs(log((op->cost(node).bytes + 1) / GOOD_BYTES));
    for (int row = 0; row < op->n_rows; row++) {
        if (!tuff_row_fits(node, caps, row) || !serves_all(g, caps, node->op, row)) continue;
        tuff_arena arena = {0};
        tuff_launch launch = {.arena = &arena};
        op->rows[row].geometry(node, caps, &launch);
        tuff_row_key key = tuff_row_key_of(node->op, row, &launch);
        bool fits = !launch.failed && launch.n > 0;
        tuff_arena_free(&arena);
        for (int i = 0; i < 2 && fits; i++, key.constants = 0) { /* with these constants, with any */
            row_entry *entry = entry_of(tests, &key);
            if (!entry) return tuff_fail_memory("the self-test");
            add_test(entry, test);
        }
    }
    return TUFF_OK;
}

static tuff_build_options build_options(const row_test *test)
{
    return (tuff_build_options){.seed = tuff_case_seed(0, test->family->name, test->c->name),
                                .backward = test->backward};
}

static tuff_status add_case(tuff_row_tests *tests, row_test test)
{
    tuff_build_options options = build_options(&test);
    options.no_data = true;
    tuff_case_run *run = NULL;
    tuff_status status = tuff_case_build(test.c, &options, &run);
    if (status == TUFF_OK) status = tuff_rewrite(run->graph, 0);
    for (size_t i = 0; status == TUFF_OK && i < run->graph->n_nodes; i++) {
        const tuff_node *node = run->graph->nodes[i];
        if (!tuff_op_info_of(node->op)->is_view) status = add_node(tests, run->graph, node, test);
    }
    tuff_case_destroy(&run);
    return status;
}

tuff_status tuff_row_tests_create(tuff_backend_device *device, tuff_row_tests **out)
{
    *out = NULL;
    tuff_row_tests *tests = tuff_alloc(sizeof *tests);
    if (!tests) return tuff_fail_memory("the self-test");
    tests->device = device;
    tuff_status status = TUFF_OK;
    for (int f = 0; tuff_case_families[f] != NULL; f++) {
        const tuff_case_family *family = tuff_case_families[f];
        if (family == &tuff_family_graphs) continue; /* tests of plans */
        for (size_t i = 0; i < family->n_cases && status == TUFF_OK; i++) {
            status = add_case(tests, (row_test){.family = family, .c = &family->cases[i]});
            if (status == TUFF_OK)
                status =
                    add_case(tests, (row_test){.family = family, .c = &family->cases[i], .backward = true});
        }
    }
    *out = tests;
    if (status != TUFF_OK) tuff_row_tests_destroy(out);
    return status;
}

void tuff_row_tests_destroy(tuff_row_tests **tests)
{
    if (!*tests) return;
    tuff_map_free(&(*tests)->index);
    tuff_free((*tests)->entries);
    tuff_free(*tests);
    *tests = NULL;
}

static void execute(const tuff_row_tests *tests, const row_test *test, tuff_op op, int row,
                    tuff_outcome *outcome)
{
    int force[TUFF_OP_COUNT];
    for (int i = 0; i < TUFF_OP_COUNT; i++)
        force[i] = i == (int)op ? row : TUFF_ROW_HOST;
    tuff_run_options options = {.isolate = true, .force_row = force, .host_steps = true};
    tuff_build_options build = build_options(test);
    tuff_expected expected = {0};
    tuff_case_run *run = NULL;
    outcome->status = tuff_case_build(test->c, &build, &run);
    if (outcome->status == TUFF_OK) outcome->status = tuff_expected_create(run, &expected);
    if (outcome->status == TUFF_OK) tuff_case_execute(run, &expected, tests->device, &options, outcome, NULL);
    tuff_expected_free(&expected);
    tuff_case_destroy(&run);
}

/* One test of a row; what is wrong goes to `why`. */
static tuff_status run_test(tuff_row_tests *tests, const row_test *test, tuff_op op, int row, bool *out_held,
                            tuff_buf *why)
{
    tuff_outcome outcome = {0};
    execute(tests, test, op, row, &outcome);
    tuff_status status = outcome.status;
    if (status != TUFF_OUT_OF_MEMORY && status != TUFF_DEVICE_LOST) {
        *out_held = status == TUFF_OK && outcome.verdict == TUFF_VERDICT_HELD;
        status = TUFF_OK;
        if (!*out_held)
            tuff_buf_printf(why, "%s: %s", test->c->name,
                            outcome.message.data ? outcome.message.data : tuff_error_message());
    }
    tuff_outcome_free(&outcome);
    return status;
}

bool tuff_row_tests_reach(const tuff_row_tests *tests, const tuff_row_key *key)
{
    uint32_t at;
    return tuff_map_get(&tests->index, key, sizeof *key, &at);
}

tuff_status tuff_row_tests_run(tuff_row_tests *tests, const tuff_row_key *key, bool *out_held, tuff_buf *why)
{
    uint32_t at;
    *out_held = true;
    if (!tuff_map_get(&tests->index, key, sizeof *key, &at)) return TUFF_OK;
    const row_entry *entry = &tests->entries[at];
    for (int i = 0; i < entry->n && *out_held; i++)
        TUFF_TRY(run_test(tests, &entry->tests[i], (tuff_op)key->op, (int)key->row, out_held, why));
    return TUFF_OK;
}
