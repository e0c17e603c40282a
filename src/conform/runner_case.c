/* A case in all its variants. */
#include <stdio.h>

#include "base/file.h"
#include "conform/runner.h"
#include "ir/op.h"
#include "ir/rewrite.h"

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
    const char *dump;    /* the case's folder, NULL: none */
    uint32_t *rewritten; /* a bit per pass that changed one of its graphs */
} variant;

/* A plan rewrites its graph, so each variant builds its own. */
static void run_variant(const variant *v, const tuff_packing *packing, tuff_run_options options,
                        const char *what)
{
    if (v->outcome->verdict != TUFF_VERDICT_HELD) return;
    tuff_build_options build = v->build;
    build.packing = packing;
    options.dump = v->dump;
    options.hook = v->suite->hook;
    options.hook_context = v->suite->hook_context;
    tuff_case_run *run = NULL;
    if (tuff_case_build(v->c, &build, &run) != TUFF_OK) {
        tuff_outcome_fault(v->outcome, TUFF_VERDICT_ERROR, "%s", tuff_error_message());
    } else {
        tuff_case_execute(run, v->expected, v->suite->device, &options, v->outcome, v->suite->coverage);
        for (int pass = 0; pass < TUFF_PASS_COUNT; pass++)
            if (run->graph->changes[pass]) *v->rewritten |= 1u << pass;
    }
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
        {"isolated memory", {.isolate = true}},
        {"planned memory", {0}},
        {"nothing aliased", {.no_alias = true}},
        {"nothing reused, steps as the graph has them", {.no_reuse = true, .order = TUFF_ORDER_GRAPH}},
        {"steps in another order", {.permute = 1, .order = TUFF_ORDER_LEVELS}},
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

static void leave_out_passes(const variant *v)
{
    const uint32_t rewritten = *v->rewritten;
    for (int pass = 0; pass < TUFF_PASS_COUNT; pass++) {
        if (!(rewritten >> pass & 1)) continue;
        char what[64];
        snprintf(what, sizeof what, "without pass %s", tuff_pass_name((tuff_pass)pass));
        run_variant(v, NULL, (tuff_run_options){.without_passes = 1u << pass}, what);
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

static void run_variants(const variant *v, const tuff_case_run *run, const tuff_packing *packing)
{
    if (v->suite->full)
        compare_layouts(v);
    else
        run_variant(v, NULL, (tuff_run_options){.isolate = true}, "isolated memory");
    run_variant(v, packing, (tuff_run_options){0}, "planned memory, packed leaves");
    tuff_batch_check(v->suite, v->c, run, NULL, v->outcome);
    force_rows(v, run);
    leave_out_passes(v);
    if (v->suite->full)
        run_variant(v, packing, (tuff_run_options){.isolate = true}, "isolated memory, packed leaves");
}

/* Finds whose fault it is, and credits the kernels that are. */
static void blame(const variant *v)
{
    tuff_outcome *outcome = v->outcome;
    tuff_blame_search(v->suite, v->c, &v->build, v->expected, outcome);
    tuff_coverage *coverage = v->suite->coverage;
    for (size_t i = 0; coverage != NULL && outcome->blame.found && i < outcome->blame.n_kernels; i++) {
        tuff_row_use *use = &coverage->rows[outcome->blame.kernels[i]];
        double worst = outcome->worst > outcome->worst_backward ? outcome->worst : outcome->worst_backward;
        use->faults++;
        if (worst > use->worst) use->worst = worst;
    }
    if (v->dump != NULL && tuff_dump_kernels(v->dump, v->suite->device, &outcome->blame) != TUFF_OK)
        tuff_buf_printf(&outcome->message, " (no SPIR-V dumped: %s)", tuff_error_message());
}

/* What the validation layer has said since `before` is a fault of the case. */
static void check_validation(const tuff_suite *suite, uint64_t before, tuff_outcome *outcome)
{
    char text[512] = "";
    uint64_t now = tuff_suite_validation(suite, text, sizeof text);
    if (now == before) return;
    outcome->validation = now - before;
    tuff_outcome_fault(outcome, TUFF_VERDICT_VALIDATION,
                       "%llu message%s of the validation layer, the last one: %s",
                       (unsigned long long)(now - before), now - before == 1 ? "" : "s", text);
}

uint64_t tuff_suite_validation(const tuff_suite *suite, char *text, size_t size)
{
    const tuff_backend *backend = suite->device->backend;
    return backend->validation != NULL ? backend->validation(text, size) : 0;
}

void tuff_suite_case(const tuff_suite *suite, const tuff_case_family *family, const tuff_case *c,
                     tuff_outcome *outcome)
{
    *outcome = (tuff_outcome){0};
    tuff_expected expected = {0};
    tuff_packing packing = {0};
    tuff_case_run *run = NULL;
    char text[8];
    uint64_t messages = tuff_suite_validation(suite, text, sizeof text);
    char *folder = suite->dump != NULL ? tuff_path_join(suite->dump, c->name) : NULL;
    uint32_t rewritten = 0;
    variant v = {.suite = suite,
                 .c = c,
                 .expected = &expected,
                 .outcome = outcome,
                 .dump = folder,
                 .rewritten = &rewritten};
    v.build = (tuff_build_options){.seed = tuff_case_seed(suite->seed, family->name, c->name),
                                   .backward = suite->backward};
    tuff_status status = tuff_case_build(c, &v.build, &run);
    if (status == TUFF_OK) status = prepare(run, &expected, &packing, outcome);
    if (status == TUFF_OK)
        run_variants(&v, run, &packing);
    else
        tuff_outcome_fault(outcome, TUFF_VERDICT_ERROR, "%s", tuff_error_message());
    check_validation(suite, messages, outcome);
    if (outcome->verdict != TUFF_VERDICT_HELD && status == TUFF_OK) blame(&v);
    tuff_free(folder);
    tuff_free(packing.own);
    tuff_expected_free(&expected);
    tuff_case_destroy(&run);
}
