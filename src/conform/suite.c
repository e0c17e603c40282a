/* Runs of the whole suite: which cases, on which device, and the report. */
#include <tuff/conform.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/version.h>

#include "base/commit.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/os.h"
#include "base/structs.h"
#include "conform/ledger.h"
#include "conform/masks.h"
#include "conform/patterns.h"
#include "conform/report.h"
#include "conform/runner.h"
#include "conform/select.h"
#include "ir/op.h"

/* A run: what was asked for, what is being done, what was found. */
typedef struct session {
    const tuff_conform_params *params;
    tuff_selection selection;
    tuff_suite suite;
    tuff_coverage *coverage; /* of the case that is run */
    tuff_device *device;
    tuff_ledger *ledger;
    uint64_t begin;
    size_t done;                /* of this round */
    bool told[TUFF_ROWS_COUNT]; /* of the case that is run: its kernels that the record has named */
    const char *name;           /* of that case */
    tuff_status noted;          /* what became of naming them */
} session;

/* ---- the record ---- */

static tuff_status emit(const session *s, tuff_buf *line)
{
    bool failed = line->failed;
    if (!failed && s->params->record != NULL) s->params->record(line->data, s->params->user);
    tuff_buf_free(line);
    return failed ? tuff_fail_memory("a conformance report") : TUFF_OK;
}

/* Before a plan becomes a program: which kernels are to be used now, and were not before in this case. A
 * driver that crashes or hangs does so with one of them. */
static void note_kernels(tuff_plan *plan, void *context)
{
    session *s = context;
    tuff_buf names = {0}, line = {0};
    for (size_t i = 0; i < plan->n_steps; i++) {
        const tuff_plan_step *step = &plan->steps[i];
        const size_t kernel = tuff_rows_index(step->node->op, step->row);
        char name[TUFF_KERNEL_NAME];
        if (s->told[kernel]) continue;
        s->told[kernel] = true;
        tuff_buf_printf(&names, "%s%s", names.size > 0 ? ", " : "", tuff_kernel_name(kernel, name));
    }
    if (names.size > 0) {
        tuff_record_kernels(s->name, names.data, &line);
        line.failed |= names.failed;
        if (s->noted == TUFF_OK) s->noted = emit(s, &line);
    }
    tuff_buf_free(&names);
}

/* ---- what is known before the first case ---- */

static tuff_status add_kernels(tuff_ledger *ledger, const tuff_caps *caps)
{
    for (int op = 0; op < TUFF_OP_COUNT; op++) {
        const tuff_op_info *info = tuff_op_info_of((tuff_op)op);
        if (info->is_view) continue;
        if (caps->is_host)
            TUFF_TRY(tuff_ledger_add_kernel(ledger, info->name, "host", true, tuff_is_batch_free(info, -1)));
        for (int row = 0; !caps->is_host && row < info->n_rows && row < TUFF_MAX_ROWS; row++)
            TUFF_TRY(tuff_ledger_add_kernel(ledger, info->name, info->rows[row].name,
                                            tuff_row_suits(&info->rows[row], caps),
                                            tuff_is_batch_free(info, row)));
    }
    return TUFF_OK;
}

/* Variables that choose drivers, kernels or instructions. */
static const char *const prefixes[] = {"TUFF_", "VK_",   "ONEDNN_", "DNNL_", "OMP_",     "LP_",
                                       "MESA_", "RADV_", "ANV_",    "NIR_",  "GALLIVM_", NULL};

/* Also where no device can be opened. */
static tuff_status describe_place(session *s)
{
    tuff_status status = TUFF_OK;
    tuff_conform_report *r = &s->ledger->report;
    char text[256];
    tuff_buf environment = {0};
    r->version = TUFF_VERSION;
    r->commit = TUFF_COMMIT;
    tuff_utc_now(text);
    r->date = tuff_ledger_text(s->ledger, text, &status);
    tuff_host_name(text, sizeof text);
    r->host = tuff_ledger_text(s->ledger, text, &status);
    tuff_host_system(text, sizeof text);
    r->system = tuff_ledger_text(s->ledger, text, &status);
    tuff_environment_lines(prefixes, &environment);
    r->environment = tuff_ledger_text(s->ledger, environment.data, &status);
    if (environment.failed) status = tuff_fail_memory("a conformance report");
    tuff_buf_free(&environment);
    return status;
}

static tuff_status describe_run(session *s)
{
    tuff_conform_report *r = &s->ledger->report;
    const tuff_conform_params *p = s->params;
    r->level = p->level;
    r->seed = p->seed;
    r->backward = !p->forward_only;
    r->permute = p->permute;
    r->submit_ms = p->submit_ms;
    r->n_planned = s->selection.n;
    s->ledger->validated = p->validate;
    s->ledger->piece = p->first > 0 || p->count > 0;
    s->ledger->whole = p->ops == NULL && p->name == NULL && p->exclude == NULL && p->shards == 0 &&
                       !p->forward_only && !p->backward_only;
    tuff_status status = TUFF_OK;
    s->ledger->asked = (tuff_asked){.ops = tuff_ledger_text(s->ledger, p->ops, &status),
                                    .name = tuff_ledger_text(s->ledger, p->name, &status),
                                    .exclude = tuff_ledger_text(s->ledger, p->exclude, &status),
                                    .shard = p->shard,
                                    .shards = p->shards,
                                    .backward_only = p->backward_only};
    TUFF_TRY(status);
    if (p->mask != NULL) snprintf(r->mask, sizeof r->mask, "%s", p->mask);
    s->ledger->device = *tuff_device_get_info(s->device);
    TUFF_TRY(add_kernels(s->ledger, &s->device->handle->caps));
    tuff_buf line = {0};
    tuff_record_run(s->ledger, &line);
    return emit(s, &line);
}

/* ---- a case ---- */

/* The texts and arrays of a finding. */
typedef struct scratch {
    tuff_arena arena;
    tuff_buf blame;
    char *dump;
} scratch;

static const char *constants_text(tuff_arena *arena, const tuff_dispatch *d)
{
    char text[TUFF_MAX_SPEC * 11 + 1] = "";
    size_t used = 0;
    for (int i = 0; i < d->n_spec; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u", i > 0 ? " " : "", d->spec[i]);
    return tuff_arena_strdup(arena, text);
}

static bool fill_launch(const session *s, tuff_arena *arena, const tuff_blamed_launch *from,
                        tuff_conform_launch *to)
{
    char name[TUFF_KERNEL_NAME], hash[65] = "";
    tuff_backend_device *device = s->suite.device;
    tuff_backend_kernel kernel = {0};
    bool known = device->backend->kernel != NULL &&
                 device->backend->kernel(device, &from->dispatch, &kernel) == TUFF_OK;
    if (known) tuff_sha256_hex_of(kernel.spirv, kernel.spirv_bytes, hash);
    to->kernel = tuff_arena_strdup(arena, tuff_kernel_name(from->kernel, name));
    to->spirv = tuff_arena_strdup(arena, hash);
    to->constants = constants_text(arena, &from->dispatch);
    memcpy(to->workgroup, kernel.workgroup, sizeof to->workgroup);
    memcpy(to->grid, from->dispatch.groups, sizeof to->grid);
    return to->kernel != NULL && to->spirv != NULL && to->constants != NULL;
}

static tuff_status fill_blame(const session *s, const tuff_outcome *outcome, scratch *x, tuff_finding *f)
{
    const tuff_blame *blame = &outcome->blame;
    tuff_blame_text(&s->suite, outcome, &x->blame);
    tuff_conform_launch *launches = tuff_arena_array(&x->arena, blame->n_launches + 1, sizeof *launches);
    bool ok = !x->blame.failed && launches != NULL;
    for (size_t i = 0; ok && i < blame->n_launches; i++)
        ok = fill_launch(s, &x->arena, &blame->launches[i], &launches[i]);
    if (!ok) return tuff_fail_memory("a conformance report");
    if (x->blame.data != NULL) f->seen.blame = x->blame.data;
    f->seen.launches = launches;
    f->seen.n_launches = blame->n_launches;
    return TUFF_OK;
}

static tuff_status fill_uses(const tuff_coverage *coverage, scratch *x, tuff_finding *f)
{
    size_t n = 0;
    for (size_t i = 0; i < TUFF_ROWS_COUNT; i++)
        n += coverage->rows[i].cases > 0;
    tuff_kernel_use *uses = tuff_arena_array(&x->arena, n + 1, sizeof *uses);
    if (uses == NULL) return tuff_fail_memory("a conformance report");
    for (size_t i = 0; i < TUFF_ROWS_COUNT; i++) {
        const tuff_row_use *use = &coverage->rows[i];
        if (use->cases == 0) continue;
        char name[TUFF_KERNEL_NAME];
        const char *kernel = tuff_arena_strdup(&x->arena, tuff_kernel_name(i, name));
        if (kernel == NULL) return tuff_fail_memory("a conformance report");
        uses[f->n_uses++] = (tuff_kernel_use){.kernel = kernel,
                                              .uses = use->cases,
                                              .batches = use->batches,
                                              .faults = use->faults,
                                              .worst = use->worst};
    }
    f->uses = uses;
    f->pipelines = coverage->pipelines;
    f->n_pipelines = coverage->n_pipelines;
    f->plans = coverage->plans;
    f->dispatches = coverage->dispatches;
    return TUFF_OK;
}

/* Beside the tensors and kernels, the words: what failed where, by which dispatches, and how to run it again.
 * What keeps a file from being written has been told of those that came before it. */
static void dump_words(const session *s, const tuff_conform_case *c)
{
    const tuff_conform_report *r = &s->ledger->report;
    tuff_buf text = {0};
    char *path = tuff_path_join(c->dump, "case.txt");
    tuff_buf_printf(&text, "%s\n%s, %s\n", c->name, r->device->name, r->device->driver);
    tuff_report_failure(c, "", &text);
    tuff_report_command(r, c, &text);
    tuff_buf_char(&text, '\n');
    if (path != NULL && !text.failed) (void)!tuff_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    tuff_free(path);
}

static tuff_status note_case(session *s, const tuff_outcome *outcome, scratch *x, tuff_finding *f)
{
    tuff_buf line = {0};
    f->seen.held = outcome->verdict == TUFF_VERDICT_HELD;
    f->seen.verdict = tuff_verdict_name(outcome->verdict);
    f->seen.message = outcome->message.data != NULL ? outcome->message.data : "";
    f->seen.worst = outcome->worst;
    f->seen.worst_backward = outcome->worst_backward;
    f->seen.listed = tuff_patterns_match(s->params->expect_fail, f->seen.name);
    f->seen.blame = f->seen.dump = "";
    f->validation = outcome->validation;
    TUFF_TRY(fill_uses(s->coverage, x, f));
    if (!f->seen.held) {
        TUFF_TRY(fill_blame(s, outcome, x, f));
        if (s->suite.dump != NULL) {
            x->dump = tuff_path_join(s->suite.dump, f->seen.name);
            if (x->dump == NULL) return tuff_fail_memory("a conformance report");
            f->seen.dump = x->dump;
        }
    }
    TUFF_TRY(tuff_ledger_add(s->ledger, f));
    if (x->dump != NULL) dump_words(s, &f->seen);
    tuff_record_case(&s->ledger->report, f, &line);
    return emit(s, &line);
}

static tuff_status run_case(session *s, size_t i)
{
    const char *name = s->selection.cases[i]->name;
    tuff_buf line = {0};
    tuff_record_begin(name, &line);
    TUFF_TRY(emit(s, &line));
    if (s->params->begin != NULL) s->params->begin(name, i, s->selection.n, s->params->user);
    tuff_outcome outcome;
    scratch x = {0};
    uint64_t begin = tuff_now_ns();
    memset(s->told, 0, sizeof s->told);
    s->name = name;
    s->noted = TUFF_OK;
    tuff_coverage_free(s->coverage);
    tuff_suite_case(&s->suite, s->selection.family[i], s->selection.cases[i], &outcome);
    tuff_finding f = {.seen = {.family = s->selection.family[i]->name, .name = name, .seed = s->suite.seed}};
    f.seen.milliseconds = (double)(tuff_now_ns() - begin) / 1e6;
    tuff_status status = s->noted;
    if (status == TUFF_OK) status = note_case(s, &outcome, &x, &f);
    tuff_outcome_free(&outcome);
    tuff_arena_free(&x.arena);
    tuff_buf_free(&x.blame);
    tuff_free(x.dump);
    return status;
}

/* ---- rounds ---- */

/* One round, or what is left of it when *stop is set: by the caller, or with `until`, in nanoseconds. */
static tuff_status run_round(session *s, uint64_t until, bool *stop)
{
    tuff_conform_report *r = &s->ledger->report;
    bool first = r->rounds == 0, any = first;
    size_t from = s->params->first, n = s->selection.n;
    size_t end = s->params->count > 0 && s->params->count < n - from ? from + s->params->count : n;
    for (size_t i = from; i < end && !*stop; i++) {
        if (!first && !r->cases[i - from]->held) continue;
        any = true;
        TUFF_TRY(run_case(s, i));
        *stop = !first && tuff_now_ns() >= until;
        if (s->params->progress == NULL || s->params->progress(r->cases[i - from], i, n, s->params->user))
            continue;
        if (first && i + 1 < end)
            return tuff_fail(TUFF_CANCELLED, "stopped after %zu of %zu cases", i + 1, n);
        *stop = true;
    }
    r->rounds += any;
    *stop = *stop || !any; /* all have failed: nothing is left to run again */
    return TUFF_OK;
}

static tuff_status run_all(session *s)
{
    const tuff_conform_params *p = s->params;
    tuff_conform_report *r = &s->ledger->report;
    uint64_t begin = tuff_now_ns();
    TUFF_TRY(describe_run(s));
    s->suite = (tuff_suite){.device = s->device->handle,
                            .hook = note_kernels,
                            .hook_context = s,
                            .full = p->level != TUFF_CONFORM_QUICK,
                            .backward = !p->forward_only,
                            .coverage = s->coverage,
                            .dump = p->dump};
    bool soak = p->level == TUFF_CONFORM_SOAK, stop = false;
    uint64_t until = begin + (uint64_t)((p->minutes > 0 ? p->minutes : 10) * 60e9);
    do {
        s->suite.seed = p->seed + r->rounds;
        TUFF_TRY(run_round(s, until, &stop));
        stop = stop || !soak || tuff_now_ns() >= until || (p->rounds > 0 && r->rounds >= p->rounds);
    } while (!stop);
    char text[8];
    uint64_t messages = tuff_suite_validation(&s->suite, text, sizeof text) - s->begin;
    if (messages > r->validation) r->validation = messages; /* those between two cases */
    r->seconds = (double)(tuff_now_ns() - begin) / 1e9;
    s->ledger->ended = true;
    tuff_ledger_close(s->ledger);
    tuff_buf line = {0};
    tuff_record_end(s->ledger, &line);
    return emit(s, &line);
}

static tuff_status open_device(session *s)
{
    const tuff_conform_params *p = s->params;
    tuff_device_params open = TUFF_DEVICE_PARAMS_INIT;
    open.name = p->device;
    open.validate = p->validate;
    open.submit_ms = p->submit_ms;
    open.threads = p->threads;
    tuff_device_test_params test = {
        .permute = p->permute, .no_self_test = true, .must_validate = p->validate};
    char text[8];
    if (p->mask != NULL) TUFF_TRY(tuff_mask_parse(p->mask, &test.mask));
    TUFF_TRY(tuff_device_open_for_test(&open, &test, &s->device));
    const tuff_backend *backend = s->device->backend;
    if (p->validate && backend->validation == NULL)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s is no Vulkan device: there is nothing for the validation layer to look at",
                         tuff_device_get_info(s->device)->name);
    s->begin = backend->validation != NULL ? backend->validation(text, sizeof text) : 0;
    return TUFF_OK;
}

/* Why nothing more is found. The error's text stays what it is. */
static void emit_error(session *s)
{
    tuff_conform_report *r = &s->ledger->report;
    tuff_buf line = {0};
    r->error = tuff_error_message();
    if (s->ledger->device.name[0] == '\0' && s->params->device != NULL)
        snprintf(s->ledger->device.name, sizeof s->ledger->device.name, "%s", s->params->device);
    tuff_record_error(s->ledger, &line);
    if (!line.failed && s->params->record != NULL) s->params->record(line.data, s->params->user);
    tuff_buf_free(&line);
    r->error = "";
}

/* The record's numbers are JSON's: beyond that, a failure would be rerun with another seed. */
static tuff_status check_number(const char *name, uint64_t value)
{
    const uint64_t most = (uint64_t)1 << 53;
    if (value <= most) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %llu, expected at most %llu (2^53)", name,
                     (unsigned long long)value, (unsigned long long)most);
}

static tuff_status run_on_device(const tuff_conform_params *params, tuff_conform_report **out_report)
{
    tuff_status status = TUFF_OK;
    TUFF_TRY(check_number("the seed of a conformance run", params->seed));
    TUFF_TRY(check_number("the number that permutes dispatches", params->permute));
    tuff_mask mask;
    if (params->mask != NULL) TUFF_TRY(tuff_mask_parse(params->mask, &mask));
    session s = {.params = params};
    TUFF_TRY(tuff_select_cases(params, &s.selection));
    if (params->first > s.selection.n) {
        size_t n = s.selection.n;
        tuff_selection_free(&s.selection);
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no case %zu: %zu are chosen", params->first, n);
    }
    s.coverage = tuff_alloc(sizeof *s.coverage);
    if (s.coverage == NULL) TUFF_GO(tuff_fail_memory("a conformance report"));
    TUFF_GO(tuff_ledger_create(&s.ledger));
    TUFF_GO(describe_place(&s));
    TUFF_GO(open_device(&s));
    TUFF_GO(run_all(&s));
done:
    if (status != TUFF_OK && status != TUFF_CANCELLED && s.ledger != NULL) emit_error(&s);
    if (s.coverage != NULL) tuff_coverage_free(s.coverage);
    tuff_free(s.coverage);
    tuff_device_destroy(&s.device);
    tuff_selection_free(&s.selection);
    tuff_conform_report *report = s.ledger != NULL ? &s.ledger->report : NULL;
    if (status == TUFF_OK)
        *out_report = report;
    else
        tuff_conform_report_destroy(&report);
    return status;
}

tuff_status tuff_conform_run(const tuff_conform_params *params, tuff_conform_report **out_report)
{
    TUFF_NEED_OUT(out_report);
    tuff_conform_params p = TUFF_CONFORM_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_CONFORM_PARAMS_INIT, record));
    return run_on_device(&p, out_report);
}
