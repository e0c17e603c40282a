/* Runs of the whole suite: which cases, on which device, and the report. */
#include <tuff/conform.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "conform/masks.h"
#include "conform/runner.h"
#include "ir/op.h"

/* ---- selection ---- */

typedef struct selection {
    const tuff_case_family **family; /* of each case */
    const tuff_case **cases;
    size_t n;
} selection;

static void selection_free(selection *s)
{
    tuff_free(s->family);
    tuff_free(s->cases);
    *s = (selection){0};
}

/* Calls fn for each of the names separated by commas until it gives true. */
static bool any_name(const char *names, bool (*fn)(const char *name, size_t size, const void *context),
                     const void *context)
{
    for (const char *at = names; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (size > 0 && fn(at, size, context)) return true;
        at += size;
        if (*at == ',') at++;
    }
    return false;
}

static bool is_text(const char *name, size_t size, const void *text)
{
    return strlen(text) == size && memcmp(text, name, size) == 0;
}

static bool is_family(const char *name, size_t size)
{
    for (int f = 0; tuff_case_families[f] != NULL; f++)
        if (is_text(name, size, tuff_case_families[f]->name)) return true;
    return false;
}

/* A name that is a family's means its table, not every graph with such a node. */
static bool graph_has_op(const char *name, size_t size, const void *context)
{
    const tuff_graph *g = context;
    if (is_family(name, size)) return false;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (is_text(name, size, tuff_op_name(g->nodes[i]->op))) return true;
    return false;
}

/* A case is of an operation when its graph, gradients included, has one. */
static bool uses_op(const tuff_case *c, const char *ops)
{
    tuff_build_options options = {.backward = true};
    tuff_case_run *run = NULL;
    bool found = tuff_case_build(c, &options, &run) == TUFF_OK && any_name(ops, graph_has_op, run->graph);
    tuff_case_destroy(&run);
    return found;
}

static bool has_gradients(const tuff_case *c)
{
    tuff_build_options options = {.backward = true};
    tuff_case_run *run = NULL;
    bool found = tuff_case_build(c, &options, &run) == TUFF_OK && run->n_checks > run->n_results;
    tuff_case_destroy(&run);
    return found;
}

static bool is_known(const char *name, size_t size)
{
    for (int op = 0; op < TUFF_OP_COUNT; op++)
        if (is_text(name, size, tuff_op_name((tuff_op)op))) return true;
    return is_family(name, size);
}

static bool is_unknown(const char *name, size_t size, const void *context)
{
    (void)context;
    if (is_known(name, size)) return false;
    tuff_buf all = {0};
    for (int f = 0; tuff_case_families[f] != NULL; f++)
        tuff_buf_printf(&all, "%s%s", f > 0 ? ", " : "", tuff_case_families[f]->name);
    (void)tuff_fail(TUFF_NOT_FOUND, "no operation is called \"%.*s\"; the families are %s", (int)size, name,
                    all.data != NULL ? all.data : "");
    tuff_buf_free(&all);
    return true;
}

static tuff_status select_cases(const tuff_conform_params *params, selection *out)
{
    *out = (selection){0};
    if (params->ops != NULL && any_name(params->ops, is_unknown, NULL)) return TUFF_NOT_FOUND;
    size_t capacity = 0;
    for (int f = 0; tuff_case_families[f] != NULL; f++)
        capacity += tuff_case_families[f]->n_cases;
    out->family = tuff_alloc_array(capacity, sizeof *out->family);
    out->cases = tuff_alloc_array(capacity, sizeof *out->cases);
    if (out->family == NULL || out->cases == NULL) {
        selection_free(out);
        return tuff_fail_memory("the list of cases");
    }
    for (int f = 0; tuff_case_families[f] != NULL; f++) {
        const tuff_case_family *family = tuff_case_families[f];
        bool whole = params->ops == NULL || any_name(params->ops, is_text, family->name);
        for (size_t i = 0; i < family->n_cases; i++) {
            const tuff_case *c = &family->cases[i];
            if (params->name != NULL && strcmp(params->name, c->name) != 0) continue;
            if (!whole && !uses_op(c, params->ops)) continue;
            if (params->backward_only && !has_gradients(c)) continue;
            out->family[out->n] = family;
            out->cases[out->n++] = c;
        }
    }
    if (out->n > 0) return TUFF_OK;
    selection_free(out);
    if (params->name == NULL)
        return tuff_fail(TUFF_NOT_FOUND, "no case of %s%s", params->ops != NULL ? params->ops : "the suite",
                         params->backward_only ? " checks gradients" : "");
    return tuff_fail(TUFF_NOT_FOUND, "no case%s%s is called \"%s\"; \"tuff conform --list\" names them",
                     params->ops != NULL ? " of " : "", params->ops != NULL ? params->ops : "", params->name);
}

tuff_status tuff_conform_list(const tuff_conform_params *params, tuff_conform_case **out_cases,
                              size_t *out_count)
{
    *out_cases = NULL;
    *out_count = 0;
    selection s;
    TUFF_TRY(select_cases(params, &s));
    tuff_conform_case *cases = tuff_alloc_array(s.n, sizeof *cases);
    if (cases == NULL) {
        selection_free(&s);
        return tuff_fail_memory("the list of cases");
    }
    for (size_t i = 0; i < s.n; i++)
        cases[i] = (tuff_conform_case){.family = s.family[i]->name,
                                       .name = s.cases[i]->name,
                                       .held = true,
                                       .verdict = "",
                                       .message = ""};
    *out_cases = cases;
    *out_count = s.n;
    selection_free(&s);
    return TUFF_OK;
}

void tuff_conform_list_free(tuff_conform_case **cases)
{
    tuff_free(*cases);
    *cases = NULL;
}

/* ---- the run ---- */

/* The report, with the memory that its texts lie in. */
typedef struct full_report {
    tuff_conform_report report;
    tuff_arena arena;
} full_report;

void tuff_conform_report_destroy(tuff_conform_report **report)
{
    full_report *full = (full_report *)*report;
    if (full == NULL) return;
    tuff_arena_free(&full->arena);
    tuff_free(full);
    *report = NULL;
}

bool tuff_conform_passed(const tuff_conform_report *report)
{
    return report->n_failed == 0 && report->n_unreached == 0;
}

static void add_row(full_report *full, const tuff_coverage *coverage, tuff_op op, int row, bool fits)
{
    const tuff_op_info *info = tuff_op_info_of(op);
    const tuff_row_use *use = &coverage->rows[tuff_rows_index(op, row)];
    tuff_conform_report *r = &full->report;
    r->rows[r->n_rows++] = (tuff_conform_row){.op = info->name,
                                              .row = row < 0 ? "host" : info->rows[row].name,
                                              .fits = fits,
                                              .uses = use->cases,
                                              .worst = use->worst};
}

static tuff_status fill_rows(full_report *full, const tuff_coverage *coverage, const tuff_caps *caps,
                             bool all)
{
    size_t count = 0;
    for (int op = 0; op < TUFF_OP_COUNT; op++)
        count += 1 + (size_t)tuff_op_info_of((tuff_op)op)->n_rows;
    full->report.rows = tuff_arena_array(&full->arena, count, sizeof *full->report.rows);
    if (full->report.rows == NULL) return tuff_fail_memory("a conformance report");
    for (int op = 0; op < TUFF_OP_COUNT; op++) {
        const tuff_op_info *info = tuff_op_info_of((tuff_op)op);
        if (info->is_view) continue;
        if (caps->is_host) {
            add_row(full, coverage, (tuff_op)op, -1, true);
            continue;
        }
        for (int row = 0; row < info->n_rows && row < TUFF_MAX_ROWS; row++)
            add_row(full, coverage, (tuff_op)op, row,
                    (info->rows[row].needs & caps->features) == info->rows[row].needs);
    }
    for (size_t i = 0; all && i < full->report.n_rows; i++)
        full->report.n_unreached += full->report.rows[i].fits && full->report.rows[i].uses == 0;
    return TUFF_OK;
}

static tuff_status run_case(const tuff_suite *suite, const selection *s, size_t i, full_report *full)
{
    tuff_outcome outcome;
    uint64_t begin = tuff_now_ns();
    tuff_suite_case(suite, s->family[i], s->cases[i], &outcome);
    tuff_conform_report *r = &full->report;
    tuff_conform_case *c = &r->cases[r->n_cases];
    *c = (tuff_conform_case){.family = s->family[i]->name,
                             .name = s->cases[i]->name,
                             .held = outcome.verdict == TUFF_VERDICT_HELD,
                             .verdict = tuff_verdict_name(outcome.verdict),
                             .worst = outcome.worst,
                             .worst_backward = outcome.worst_backward,
                             .milliseconds = (double)(tuff_now_ns() - begin) / 1e6};
    c->message = tuff_arena_strdup(&full->arena, outcome.message.data != NULL ? outcome.message.data : "");
    tuff_buf_free(&outcome.message);
    if (c->message == NULL) return tuff_fail_memory("a conformance report");
    r->n_cases++;
    r->n_failed += !c->held;
    if (c->worst > r->worst) r->worst = c->worst;
    if (c->worst_backward > r->worst_backward) r->worst_backward = c->worst_backward;
    return TUFF_OK;
}

static tuff_status run_all(const tuff_conform_params *params, const selection *s, tuff_device *device,
                           tuff_coverage *coverage, full_report *full)
{
    uint64_t begin = tuff_now_ns();
    tuff_conform_report *r = &full->report;
    r->device = *tuff_device_get_info(device);
    r->cases = tuff_arena_array(&full->arena, s->n, sizeof *r->cases);
    if (r->cases == NULL) return tuff_fail_memory("a conformance report");
    tuff_suite suite = {.device = device->handle,
                        .seed = params->seed,
                        .full = params->level == TUFF_CONFORM_FULL,
                        .backward = !params->forward_only,
                        .coverage = coverage};
    for (size_t i = 0; i < s->n; i++) {
        TUFF_TRY(run_case(&suite, s, i, full));
        if (params->progress != NULL && !params->progress(&r->cases[i], i, s->n, params->user))
            return tuff_fail(TUFF_CANCELLED, "stopped after %zu of %zu cases", i + 1, s->n);
    }
    bool all = params->ops == NULL && params->name == NULL && !params->forward_only && !params->backward_only;
    TUFF_TRY(fill_rows(full, coverage, &device->handle->caps, all));
    r->plans = coverage->plans;
    r->dispatches = coverage->dispatches;
    r->pipelines = coverage->pipelines.count;
    r->seconds = (double)(tuff_now_ns() - begin) / 1e9;
    return TUFF_OK;
}

tuff_status tuff_conform_run(const tuff_conform_params *params, tuff_conform_report **out_report)
{
    *out_report = NULL;
    tuff_device_params open = {
        .name = params->device, .validate = params->validate, .submit_ms = params->submit_ms};
    tuff_device_test_params test = {.permute = params->permute, .no_self_test = true};
    if (params->mask != NULL) TUFF_TRY(tuff_mask_parse(params->mask, &test.mask));
    selection s = {0};
    TUFF_TRY(select_cases(params, &s));
    tuff_status status = TUFF_OK;
    tuff_device *device = NULL;
    full_report *full = tuff_alloc(sizeof *full);
    tuff_coverage *coverage = tuff_alloc(sizeof *coverage);
    tuff_conform_report *report = (tuff_conform_report *)full;
    if (full == NULL || coverage == NULL) {
        status = tuff_fail_memory("a conformance report");
        goto done;
    }
    report->level = params->level;
    report->seed = params->seed;
    report->backward = !params->forward_only;
    if (params->mask != NULL) snprintf(report->mask, sizeof report->mask, "%s", params->mask);
    TUFF_GO(tuff_device_open_for_test(&open, &test, &device));
    status = run_all(params, &s, device, coverage, full);
done:
    if (coverage != NULL) tuff_coverage_free(coverage);
    tuff_free(coverage);
    tuff_device_destroy(&device);
    selection_free(&s);
    if (status == TUFF_OK)
        *out_report = report;
    else if (full != NULL)
        tuff_conform_report_destroy(&report);
    return status;
}
