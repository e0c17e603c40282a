#include "conform/ledger.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

tuff_status tuff_ledger_create(tuff_ledger **out_ledger)
{
    tuff_ledger *ledger = *out_ledger = tuff_alloc(sizeof *ledger);
    if (ledger == NULL) return tuff_fail_memory("a conformance report");
    tuff_conform_report *r = &ledger->report;
    r->device = &ledger->device;
    ledger->asked = (tuff_asked){.ops = "", .name = "", .exclude = ""};
    r->error = r->running = r->version = r->commit = r->date = r->host = r->system = r->environment = "";
    return TUFF_OK;
}

void tuff_conform_report_destroy(tuff_conform_report **report)
{
    if (!report) return;
    tuff_ledger *ledger = (tuff_ledger *)*report;
    *report = NULL;
    if (ledger == NULL) return;
    tuff_map_free(&ledger->names);
    tuff_map_free(&ledger->kernels);
    tuff_map_free(&ledger->pipelines);
    tuff_free(ledger->cases);
    tuff_free(ledger->rows);
    tuff_arena_free(&ledger->arena);
    tuff_free(ledger);
}

const char *tuff_ledger_text(tuff_ledger *ledger, const char *text, tuff_status *status)
{
    if (text == NULL || *text == '\0') return "";
    const char *copy = tuff_arena_strdup(&ledger->arena, text);
    if (copy == NULL) *status = tuff_fail_memory("a conformance report");
    return copy != NULL ? copy : "";
}

tuff_status tuff_ledger_add_kernel(tuff_ledger *ledger, const char *op, const char *row, bool fits,
                                   bool batch_free)
{
    tuff_status status = TUFF_OK;
    tuff_conform_report *r = &ledger->report;
    char key[128];
    int size = snprintf(key, sizeof key, "%.60s/%.60s", op, row);
    uint32_t at;
    if (tuff_map_get(&ledger->kernels, key, (size_t)size, &at)) return TUFF_OK;
    tuff_conform_row *kernel = tuff_arena_alloc(&ledger->arena, sizeof *kernel);
    bool ok = kernel != NULL &&
              tuff_grow((void **)&ledger->rows, r->n_rows, &ledger->rows_capacity, sizeof *ledger->rows) &&
              tuff_map_put(&ledger->kernels, key, (size_t)size, (uint32_t)r->n_rows);
    if (!ok) return tuff_fail_memory("a conformance report");
    *kernel = (tuff_conform_row){.fits = fits, .batch_free = batch_free};
    kernel->op = tuff_ledger_text(ledger, op, &status);
    kernel->row = tuff_ledger_text(ledger, row, &status);
    ledger->rows[r->n_rows++] = kernel;
    r->rows = ledger->rows;
    return status;
}

static void raise_to(double *most, double value)
{
    if (value > *most) *most = value;
}

static tuff_status add_uses(tuff_ledger *ledger, const tuff_finding *f)
{
    for (size_t i = 0; i < f->n_uses; i++) {
        const tuff_kernel_use *use = &f->uses[i];
        uint32_t at;
        if (!tuff_map_get(&ledger->kernels, use->kernel, strlen(use->kernel), &at)) continue;
        tuff_conform_row *row = ledger->rows[at];
        row->uses += use->uses;
        row->batches += use->batches;
        row->faults += use->faults;
        raise_to(&row->worst, use->worst);
    }
    for (size_t i = 0; i < f->n_pipelines; i++)
        if (!tuff_map_put(&ledger->pipelines, &f->pipelines[i], sizeof f->pipelines[i], 1))
            return tuff_fail_memory("a conformance report");
    tuff_conform_report *r = &ledger->report;
    r->plans += f->plans;
    r->dispatches += f->dispatches;
    r->validation += f->validation;
    r->pipelines = ledger->pipelines.count;
    return TUFF_OK;
}

static tuff_status copy_case(tuff_ledger *ledger, const tuff_conform_case *from, tuff_conform_case *to)
{
    tuff_status status = TUFF_OK;
    *to = *from;
    to->family = tuff_ledger_text(ledger, from->family, &status);
    to->name = tuff_ledger_text(ledger, from->name, &status);
    to->verdict = tuff_ledger_text(ledger, from->verdict, &status);
    to->message = tuff_ledger_text(ledger, from->message, &status);
    to->blame = tuff_ledger_text(ledger, from->blame, &status);
    to->dump = tuff_ledger_text(ledger, from->dump, &status);
    tuff_conform_launch *launches = tuff_arena_array(&ledger->arena, from->n_launches + 1, sizeof *launches);
    if (launches == NULL) return tuff_fail_memory("a conformance report");
    for (size_t i = 0; i < from->n_launches; i++) {
        launches[i] = from->launches[i];
        launches[i].kernel = tuff_ledger_text(ledger, from->launches[i].kernel, &status);
        launches[i].spirv = tuff_ledger_text(ledger, from->launches[i].spirv, &status);
        launches[i].constants = tuff_ledger_text(ledger, from->launches[i].constants, &status);
    }
    to->launches = launches;
    return status;
}

/* Entries that an array of n has room for. */
static size_t room(size_t n)
{
    size_t size = 4;
    while (size < n)
        size *= 2;
    return size;
}

static tuff_status grow(tuff_ledger *ledger, void **items, size_t n, size_t item_size)
{
    if (*items != NULL && n < room(n)) return TUFF_OK;
    void *grown = tuff_arena_array(&ledger->arena, room(n + 1), item_size);
    if (grown == NULL) return tuff_fail_memory("a conformance report");
    if (n > 0) memcpy(grown, *items, n * item_size);
    *items = grown;
    return TUFF_OK;
}

static tuff_status merge_use(tuff_ledger *ledger, tuff_finding *to, const tuff_kernel_use *use)
{
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < to->n_uses; i++) {
        tuff_kernel_use *mine = &to->uses[i];
        if (strcmp(mine->kernel, use->kernel) != 0) continue;
        mine->uses += use->uses;
        mine->batches += use->batches;
        mine->faults += use->faults;
        raise_to(&mine->worst, use->worst);
        return TUFF_OK;
    }
    TUFF_TRY(grow(ledger, (void **)&to->uses, to->n_uses, sizeof *to->uses));
    tuff_kernel_use *mine = &to->uses[to->n_uses++];
    *mine = *use;
    mine->kernel = tuff_ledger_text(ledger, use->kernel, &status);
    return status;
}

static tuff_status merge_pipeline(tuff_ledger *ledger, tuff_finding *to, uint64_t pipeline)
{
    for (size_t i = 0; i < to->n_pipelines; i++)
        if (to->pipelines[i] == pipeline) return TUFF_OK;
    TUFF_TRY(grow(ledger, (void **)&to->pipelines, to->n_pipelines, sizeof *to->pipelines));
    to->pipelines[to->n_pipelines++] = pipeline;
    return TUFF_OK;
}

static tuff_status merge_totals(tuff_ledger *ledger, tuff_finding *to, const tuff_finding *from)
{
    for (size_t i = 0; i < from->n_uses; i++)
        TUFF_TRY(merge_use(ledger, to, &from->uses[i]));
    for (size_t i = 0; i < from->n_pipelines; i++)
        TUFF_TRY(merge_pipeline(ledger, to, from->pipelines[i]));
    to->plans += from->plans;
    to->dispatches += from->dispatches;
    to->validation += from->validation;
    return TUFF_OK;
}

/* The case held in all rounds before: only where it no longer does is there something to copy. */
static tuff_status merge(tuff_ledger *ledger, tuff_finding *old, const tuff_finding *f)
{
    tuff_conform_case before = old->seen;
    if (!f->seen.held) TUFF_TRY(copy_case(ledger, &f->seen, &old->seen));
    old->seen.milliseconds = before.milliseconds + f->seen.milliseconds;
    old->seen.worst = before.worst;
    old->seen.worst_backward = before.worst_backward;
    raise_to(&old->seen.worst, f->seen.worst);
    raise_to(&old->seen.worst_backward, f->seen.worst_backward);
    return merge_totals(ledger, old, f);
}

tuff_status tuff_ledger_add(tuff_ledger *ledger, const tuff_finding *f)
{
    tuff_conform_report *r = &ledger->report;
    const char *name = f->seen.name;
    tuff_finding *mine;
    uint32_t at;
    TUFF_TRY(add_uses(ledger, f));
    if (tuff_map_get(&ledger->names, name, strlen(name), &at)) {
        mine = (tuff_finding *)ledger->cases[at];
        TUFF_TRY(merge(ledger, mine, f));
    } else {
        mine = tuff_arena_alloc(&ledger->arena, sizeof *mine);
        bool ok = mine != NULL && tuff_grow((void **)&ledger->cases, r->n_cases, &ledger->cases_capacity,
                                            sizeof *ledger->cases);
        if (!ok || !tuff_map_put(&ledger->names, name, strlen(name), (uint32_t)r->n_cases))
            return tuff_fail_memory("a conformance report");
        TUFF_TRY(copy_case(ledger, &f->seen, &mine->seen));
        TUFF_TRY(merge_totals(ledger, mine, f));
        ledger->cases[r->n_cases++] = &mine->seen;
        r->cases = ledger->cases;
    }
    mine->seen.failed = mine->seen.held == mine->seen.listed;
    raise_to(&r->worst, mine->seen.worst);
    raise_to(&r->worst_backward, mine->seen.worst_backward);
    return TUFF_OK;
}

void tuff_ledger_close(tuff_ledger *ledger)
{
    tuff_conform_report *r = &ledger->report;
    r->n_failed = r->n_listed = r->n_unreached = 0;
    for (size_t i = 0; i < r->n_cases; i++) {
        r->n_failed += r->cases[i]->failed;
        r->n_listed += r->cases[i]->listed && !r->cases[i]->held;
    }
    for (size_t i = 0; ledger->whole && ledger->ended && !ledger->piece && i < r->n_rows; i++)
        r->n_unreached += r->rows[i]->fits && r->rows[i]->uses == 0;
    bool wrong = r->n_failed > 0 || r->n_unreached > 0 || r->validation > 0;
    r->verdict = *r->error != '\0' ? TUFF_CONFORM_NOT_RUN
                 : !ledger->ended  ? TUFF_CONFORM_INTERRUPTED
                 : wrong           ? TUFF_CONFORM_FAILED
                                   : TUFF_CONFORM_PASSED;
}

bool tuff_conform_passed(const tuff_conform_report *report)
{
    if (!report) return false;
    return report->verdict == TUFF_CONFORM_PASSED;
}
