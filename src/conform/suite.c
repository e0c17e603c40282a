/* Runs of the whole suite: which cases, on which device, and the report. */
#include <tuff/conform.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "conform/masks.h"
#include "conform/runner.h"
#include "conform/select.h"
#include "ir/op.h"

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
                                              .batch_free = tuff_is_batch_free(info, row),
                                              .batches = use->batches,
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

static void raise(double *most, double value)
{
    if (value > *most) *most = value;
}

/* Adds a case's run to what its earlier rounds have found. */
static tuff_status run_case(const tuff_suite *suite, const tuff_selection *s, size_t i, full_report *full)
{
    tuff_outcome outcome;
    uint64_t begin = tuff_now_ns();
    tuff_suite_case(suite, s->family[i], s->cases[i], &outcome);
    tuff_conform_report *r = &full->report;
    tuff_conform_case *c = &r->cases[i];
    if (i == r->n_cases) {
        *c =
            (tuff_conform_case){.family = s->family[i]->name, .name = s->cases[i]->name, .seed = suite->seed};
        r->n_cases++;
    }
    c->held = outcome.verdict == TUFF_VERDICT_HELD;
    c->verdict = tuff_verdict_name(outcome.verdict);
    if (!c->held) c->seed = suite->seed;
    c->milliseconds += (double)(tuff_now_ns() - begin) / 1e6;
    raise(&c->worst, outcome.worst);
    raise(&c->worst_backward, outcome.worst_backward);
    raise(&r->worst, outcome.worst);
    raise(&r->worst_backward, outcome.worst_backward);
    r->n_failed += !c->held;
    c->message = outcome.message.data != NULL ? tuff_arena_strdup(&full->arena, outcome.message.data) : "";
    tuff_buf_free(&outcome.message);
    return c->message != NULL ? TUFF_OK : tuff_fail_memory("a conformance report");
}

/* One round, or what is left of it when *stop is set: by the caller, or with `until`, in nanoseconds. */
static tuff_status run_round(const tuff_conform_params *params, const tuff_suite *suite,
                             const tuff_selection *s, uint64_t until, full_report *full, bool *stop)
{
    tuff_conform_report *r = &full->report;
    bool first = r->rounds == 0, any = first;
    for (size_t i = 0; i < s->n && !*stop; i++) {
        if (!first && !r->cases[i].held) continue;
        any = true;
        TUFF_TRY(run_case(suite, s, i, full));
        *stop = !first && tuff_now_ns() >= until;
        if (params->progress == NULL || params->progress(&r->cases[i], i, s->n, params->user)) continue;
        if (first) return tuff_fail(TUFF_CANCELLED, "stopped after %zu of %zu cases", i + 1, s->n);
        *stop = true;
    }
    r->rounds += any;
    *stop = *stop || !any; /* all have failed: nothing is left to run again */
    return TUFF_OK;
}

static tuff_status run_all(const tuff_conform_params *params, const tuff_selection *s, tuff_device *device,
                           tuff_coverage *coverage, full_report *full)
{
    uint64_t begin = tuff_now_ns();
    tuff_conform_report *r = &full->report;
    r->device = *tuff_device_get_info(device);
    r->cases = tuff_arena_array(&full->arena, s->n, sizeof *r->cases);
    if (r->cases == NULL) return tuff_fail_memory("a conformance report");
    tuff_suite suite = {.device = device->handle,
                        .full = params->level != TUFF_CONFORM_QUICK,
                        .backward = !params->forward_only,
                        .coverage = coverage};
    bool soak = params->level == TUFF_CONFORM_SOAK, stop = false;
    uint64_t until = begin + (uint64_t)((params->minutes > 0 ? params->minutes : 10) * 60e9);
    do {
        suite.seed = params->seed + r->rounds;
        TUFF_TRY(run_round(params, &suite, s, until, full, &stop));
        stop = stop || !soak || tuff_now_ns() >= until || (params->rounds > 0 && r->rounds >= params->rounds);
    } while (!stop);
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
    tuff_device_test_params test = {
        .permute = params->permute, .no_self_test = true, .must_validate = params->validate};
    if (params->mask != NULL) TUFF_TRY(tuff_mask_parse(params->mask, &test.mask));
    tuff_selection s = {0};
    TUFF_TRY(tuff_select_cases(params, &s));
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
    report->permute = params->permute;
    report->submit_ms = params->submit_ms;
    if (params->mask != NULL) snprintf(report->mask, sizeof report->mask, "%s", params->mask);
    TUFF_GO(tuff_device_open_for_test(&open, &test, &device));
    if (params->validate && device->backend->validation == NULL)
        TUFF_GO(tuff_fail(TUFF_UNSUPPORTED,
                          "%s is no Vulkan device: there is nothing for the validation layer to look at",
                          tuff_device_get_info(device)->name));
    status = run_all(params, &s, device, coverage, full);
done:
    if (coverage != NULL) tuff_coverage_free(coverage);
    tuff_free(coverage);
    tuff_device_destroy(&device);
    tuff_selection_free(&s);
    if (status == TUFF_OK)
        *out_report = report;
    else if (full != NULL)
        tuff_conform_report_destroy(&report);
    return status;
}
