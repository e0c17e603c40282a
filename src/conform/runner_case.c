/* A case in all its variants. */
#include <stdio.h>

#include "conform/runner.h"
#include "ir/op.h"

/* True when the row serves some node of the graph that the device would give to another row. */
static bool worth_forcing(const tuff_graph *g, const tuff_caps *caps, tuff_op op, int row)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        if (node->op != op) continue;
        if (tuff_row_fits(node, caps, row) && tuff_choose_row(node, caps) != row) return true;
    }
    return false;
}

typedef struct variant {
    const tuff_suite *suite;
    const tuff_case *c;
    tuff_build_options build;
    const tuff_expected *expected;
    tuff_outcome *outcome;
} variant;

/* A plan rewrites its graph, so each variant builds its own. */
static void run_variant(const variant *v, const tuff_packing *packing, tuff_run_options options,
                        const char *what)
{
    if (v->outcome->verdict != TUFF_VERDICT_HELD) return;
    tuff_build_options build = v->build;
    build.packing = packing;
    options.hook = v->suite->hook;
    options.hook_context = v->suite->hook_context;
    tuff_case_run *run = NULL;
    if (tuff_case_build(v->c, &build, &run) != TUFF_OK)
        tuff_outcome_fault(v->outcome, TUFF_VERDICT_ERROR, "%s", tuff_error_message());
    else
        tuff_case_execute(run, v->expected, v->suite->device, &options, v->outcome, v->suite->coverage);
    tuff_case_destroy(&run);
    if (v->outcome->verdict != TUFF_VERDICT_HELD) tuff_buf_printf(&v->outcome->message, " [%s]", what);
}

static void force_rows(const variant *v, const tuff_case_run *run)
{
    const tuff_graph *g = run->graph;
    const tuff_caps *caps = &v->suite->device->caps;
    if (caps->is_host) return;
    int force[TUFF_OP_COUNT];
    for (int op = 0; op < TUFF_OP_COUNT; op++) {
        int n_rows = tuff_op_info_of((tuff_op)op)->n_rows;
        for (int row = 0; row < n_rows; row++) {
            if (!worth_forcing(g, caps, (tuff_op)op, row)) continue;
            for (int other = 0; other < TUFF_OP_COUNT; other++)
                force[other] = TUFF_ROW_ANY;
            force[op] = row;
            char what[128];
            snprintf(what, sizeof what, "row %s of %s", tuff_op_info_of((tuff_op)op)->rows[row].name,
                     tuff_op_info_of((tuff_op)op)->name);
            run_variant(v, NULL, (tuff_run_options){.isolate = true, .force_row = force}, what);
            if (tuff_is_batch_free(tuff_op_info_of((tuff_op)op), row))
                tuff_batch_check(v->suite, v->c, run, force, v->outcome);
        }
    }
}

/* Where results lie and the order between barriers are no part of a result. */
static void compare_layouts(const variant *v)
{
    static const struct {
        const char *what;
        tuff_run_options options;
    } layouts[] = {
        {"isolated memory", {.isolate = true}},     {"planned memory", {0}},
        {"nothing aliased", {.no_alias = true}},    {"nothing reused", {.no_reuse = true}},
        {"steps in another order", {.permute = 1}},
    };
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        uint64_t digest = 0;
        tuff_run_options options = layouts[i].options;
        options.out_digest = &digest;
        run_variant(v, NULL, options, layouts[i].what);
        if (i == 0) first = digest;
        if (digest != first)
            tuff_outcome_fault(v->outcome, TUFF_VERDICT_PLAN, "the bits differ between \"%s\" and \"%s\"",
                               layouts[0].what, layouts[i].what);
    }
}

static tuff_status prepare(const tuff_case_run *run, tuff_expected *expected, tuff_packing *packing,
                           tuff_outcome *outcome)
{
    TUFF_TRY(tuff_case_pack(run, packing));
    TUFF_TRY(tuff_expected_create(run, expected));
    double worst = 0;
    tuff_status status = tuff_gradient_check(run, &worst);
    if (status == TUFF_OUT_OF_MEMORY) return status;
    if (status != TUFF_OK) tuff_outcome_fault(outcome, TUFF_VERDICT_GRADIENT, "%s", tuff_error_message());
    return TUFF_OK;
}

void tuff_suite_case(const tuff_suite *suite, const tuff_case_family *family, const tuff_case *c,
                     tuff_outcome *outcome)
{
    *outcome = (tuff_outcome){0};
    tuff_expected expected = {0};
    tuff_packing packing = {0};
    tuff_case_run *run = NULL;
    variant v = {.suite = suite, .c = c, .expected = &expected, .outcome = outcome};
    v.build = (tuff_build_options){.seed = tuff_case_seed(suite->seed, family->name, c->name),
                                   .backward = suite->backward};
    tuff_status status = tuff_case_build(c, &v.build, &run);
    if (status == TUFF_OK) status = prepare(run, &expected, &packing, outcome);
    if (status != TUFF_OK) {
        tuff_outcome_fault(outcome, TUFF_VERDICT_ERROR, "%s", tuff_error_message());
    } else {
        if (suite->full)
            compare_layouts(&v);
        else
            run_variant(&v, NULL, (tuff_run_options){.isolate = true}, "isolated memory");
        run_variant(&v, &packing, (tuff_run_options){0}, "planned memory, packed leaves");
        tuff_batch_check(suite, c, run, NULL, outcome);
        force_rows(&v, run);
        if (suite->full)
            run_variant(&v, &packing, (tuff_run_options){.isolate = true}, "isolated memory, packed leaves");
    }
    tuff_free(packing.own);
    tuff_expected_free(&expected);
    tuff_case_destroy(&run);
}
