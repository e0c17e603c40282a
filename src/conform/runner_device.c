/* One plan of a case on a device: three runs in guarded memory, compared with the truth. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "conform/runner.h"

#define RUNS 3

const char *tuff_verdict_name(tuff_verdict verdict)
{
    static const char *const names[] = {[TUFF_VERDICT_HELD] = "held",
                                        [TUFF_VERDICT_ERROR] = "error",
                                        [TUFF_VERDICT_VALUE] = "value",
                                        [TUFF_VERDICT_BIAS] = "bias",
                                        [TUFF_VERDICT_NONFINITE] = "nonfinite",
                                        [TUFF_VERDICT_UNWRITTEN] = "unwritten",
                                        [TUFF_VERDICT_STRAY] = "stray write",
                                        [TUFF_VERDICT_INPUT] = "input changed",
                                        [TUFF_VERDICT_REPEAT] = "not repeatable",
                                        [TUFF_VERDICT_PLAN] = "plans disagree",
                                        [TUFF_VERDICT_GRADIENT] = "backward rule",
                                        [TUFF_VERDICT_BATCH] = "batch",
                                        [TUFF_VERDICT_VALIDATION] = "validation"};
    return names[verdict];
}

void tuff_outcome_fault(tuff_outcome *outcome, tuff_verdict verdict, const char *format, ...)
{
    if (outcome->verdict != TUFF_VERDICT_HELD) return;
    outcome->verdict = verdict;
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tuff_buf_text(&outcome->message, text);
}

/* ---- a run ---- */

typedef struct memory {
    tuff_backend_buffer *buffer;
    uint64_t bytes;                  /* with guards */
    uint8_t *before, *after, *first; /* contents; `first` of the first run */
    uint8_t *map;
} memory;

typedef struct execution {
    tuff_case_run *run;
    const tuff_expected *expected;
    tuff_backend_device *device;
    const tuff_run_options *options;
    tuff_outcome *outcome;
    tuff_plan *plan;
    tuff_backend_program *program;
    memory *memory;
    tuff_backend_buffer **buffers;
    uint8_t *results, *first_results; /* copies of a readback slot */
    double worst;
} execution;

static tuff_status make_plan(execution *e)
{
    tuff_plan_options options = {.caps = &e->device->caps,
                                 .no_alias = e->options->no_alias || e->options->isolate,
                                 .no_reuse = e->options->no_reuse || e->options->isolate,
                                 .force_row = e->options->force_row,
                                 .order = e->options->order,
                                 .without_passes = e->options->without_passes};
    TUFF_TRY(tuff_plan_create(e->run->graph, &options, &e->plan));
    for (size_t s = 0; s < e->plan->n_steps; s++)
        if (e->plan->steps[s].row < 0 && !e->device->caps.is_host && !e->options->host_steps)
            return tuff_fail(TUFF_UNSUPPORTED, "no kernel row of %s serves this device",
                             e->plan->steps[s].op->name);
    if (e->options->isolate) TUFF_TRY(tuff_plan_isolate(e->plan));
    if (e->options->permute != 0) tuff_plan_permute(e->plan, e->options->permute);
    if (e->options->hook != NULL) e->options->hook(e->plan, e->options->hook_context);
    return TUFF_OK;
}

static void fill_before(execution *e, uint32_t index)
{
    memory *m = &e->memory[index];
    tuff_guard_fill(m->before, m->bytes);
    for (size_t i = 0; i < e->run->n_leaves; i++) {
        const tuff_case_leaf_info *leaf = &e->run->leaves[i];
        const tuff_tensor *x = leaf->tensor;
        if (x->storage != e->plan->variables[index].tensor) continue;
        tuff_case_leaf_bytes(leaf, m->before + tuff_dtype_bytes(x->dtype, x->offset));
    }
}

static tuff_status make_memory(execution *e)
{
    const tuff_plan *plan = e->plan;
    const tuff_backend *backend = e->device->backend;
    e->memory = tuff_alloc_array(plan->n_variables, sizeof *e->memory);
    e->buffers = tuff_alloc_array(plan->n_variables, sizeof(tuff_backend_buffer *));
    e->results = tuff_alloc(plan->output_bytes);
    e->first_results = tuff_alloc(plan->output_bytes);
    if (e->memory == NULL || e->buffers == NULL || e->results == NULL || e->first_results == NULL)
        return tuff_fail_memory("a conformance run");
    for (uint32_t i = 0; i < plan->n_variables; i++) {
        memory *m = &e->memory[i];
        m->bytes = (plan->variables[i].bytes + 3) / 4 * 4 + TUFF_GUARD_BYTES;
        m->before = tuff_alloc(m->bytes);
        m->after = tuff_alloc(m->bytes);
        m->first = tuff_alloc(m->bytes);
        m->map = tuff_alloc(m->bytes);
        if (m->before == NULL || m->after == NULL || m->first == NULL || m->map == NULL)
            return tuff_fail_memory("a conformance run");
        fill_before(e, i);
        tuff_guard_map(plan, i, e->run, m->map, m->bytes);
        TUFF_TRY(backend->buffer_create(e->device, m->bytes, plan->variables[i].tensor->name, &m->buffer));
        e->buffers[i] = m->buffer;
    }
    return TUFF_OK;
}

/* The leaves that are inputs, and the work lists made of them. */
static void fill_slot(const execution *e, void *slot)
{
    for (size_t i = 0; i < e->plan->n_inputs; i++) {
        const tuff_plan_input *input = &e->plan->inputs[i];
        for (size_t k = 0; k < e->run->n_leaves; k++)
            if (e->run->leaves[k].tensor == input->tensor)
                tuff_data_encode(input->tensor->dtype, e->run->leaves[k].values,
                                 (uint8_t *)slot + input->offset, tuff_tensor_count(input->tensor));
        tuff_plan_fill_lists(e->plan, i, slot);
    }
}

static tuff_status run_once(execution *e)
{
    const tuff_backend *backend = e->device->backend;
    for (uint32_t i = 0; i < e->plan->n_variables; i++)
        TUFF_TRY(backend->buffer_write(e->device, e->memory[i].buffer, 0, e->memory[i].before,
                                       e->memory[i].bytes));
    void *slot = NULL;
    const void *results = NULL;
    TUFF_TRY(backend->program_slot(e->device, e->program, &slot));
    fill_slot(e, slot);
    TUFF_TRY(backend->program_run(e->device, e->program));
    TUFF_TRY(backend->program_wait(e->device, e->program, &results));
    if (e->plan->output_bytes > 0) memcpy(e->results, results, e->plan->output_bytes);
    for (uint32_t i = 0; i < e->plan->n_variables; i++)
        TUFF_TRY(
            backend->buffer_read(e->device, e->memory[i].buffer, 0, e->memory[i].after, e->memory[i].bytes));
    return TUFF_OK;
}

/* Leaves the planner's memory full of NaN: what a kernel then forgets to write is seen. */
static tuff_status poison(execution *e)
{
    for (uint32_t i = 0; i < e->plan->n_variables; i++)
        if (tuff_dtype_is_float(e->plan->variables[i].tensor->dtype))
            tuff_guard_fill(e->memory[i].before, e->memory[i].bytes);
    tuff_status status = run_once(e);
    for (uint32_t i = 0; i < e->plan->n_variables; i++)
        fill_before(e, i);
    return status;
}

/* ---- what is found ---- */

/* The bytes of a check's tensor after the run. */
static const uint8_t *find_bytes(const execution *e, const tuff_case_check *check)
{
    const tuff_plan *plan = e->plan;
    for (size_t i = 0; check->output != NULL && i < plan->n_outputs; i++)
        if (strcmp(plan->outputs[i].tensor->output_name, check->output) == 0)
            return e->results + plan->outputs[i].offset;
    for (uint32_t i = 0; check->output == NULL && i < plan->n_variables; i++)
        if (plan->variables[i].tensor == check->tensor) return e->memory[i].after;
    return NULL;
}

static bool keeps_guard(const uint8_t *bytes, int64_t at, tuff_dtype dtype)
{
    uint32_t word = TUFF_GUARD_WORD;
    unsigned size = tuff_dtype_size(dtype);
    return memcmp(bytes + (uint64_t)at * size, &word, size) == 0;
}

static void place_text(const tuff_tensor *x, int64_t at, char text[96])
{
    int n = snprintf(text, 96, "[");
    int64_t left[TUFF_MAX_RANK];
    for (int i = x->shape.rank - 1; i >= 0; i--) {
        left[i] = at % x->shape.dim[i];
        at /= x->shape.dim[i];
    }
    for (int i = 0; i < x->shape.rank; i++)
        n += snprintf(text + n, 96 - (size_t)n, i == 0 ? "%lld" : ", %lld", (long long)left[i]);
    snprintf(text + n, 96 - (size_t)n, "]");
}

static tuff_status check_values(execution *e, size_t index)
{
    const tuff_case_check *check = &e->run->checks[index];
    const tuff_tensor *x = check->tensor;
    int64_t n = tuff_tensor_count(x);
    const uint8_t *bytes = find_bytes(e, check);
    double *got = tuff_alloc_array((size_t)n, sizeof *got);
    if (bytes == NULL || got == NULL) {
        tuff_free(got);
        if (bytes != NULL) return tuff_fail_memory("the results of a case");
        return tuff_fail(TUFF_INTERNAL, "%s is not among the plan's outputs",
                         tuff_check_name(e->run, index, (char[64]){0}));
    }
    tuff_data_decode(x->dtype, bytes, got, n);
    const tuff_expected *expected = e->expected;
    const tuff_bound bound = {
        .c = check->c, .k = check->k, .scale = check->scale, .slack = expected->slack[index]};
    tuff_match match =
        tuff_compare(got, expected->want[index], expected->other != NULL ? expected->other[index] : NULL, n,
                     x->dtype, &bound);
    tuff_free(got);
    double units = match.worst > match.normwise ? match.worst : match.normwise;
    if (units > e->worst) e->worst = units;
    double *worst = check->leaf >= 0 ? &e->outcome->worst_backward : &e->outcome->worst;
    if (units > *worst) *worst = units;
    if (match.fault == NULL) return TUFF_OK;
    char name[64], place[96];
    place_text(x, match.at, place);
    tuff_verdict verdict = TUFF_VERDICT_VALUE;
    if (isinf(match.worst) && keeps_guard(bytes, match.at, x->dtype) && !isnan(match.want))
        verdict = TUFF_VERDICT_UNWRITTEN;
    else if (isinf(match.worst) && (!isfinite(match.got) || !isfinite(match.want)))
        verdict = TUFF_VERDICT_NONFINITE;
    else if (match.worst <= 1)
        verdict = TUFF_VERDICT_BIAS;
    tuff_outcome_fault(
        e->outcome, verdict, "%s at %s: got %.9g, want %.9g, %s%s (%.3g units, norm-wise %.3g)",
        tuff_check_name(e->run, index, name), place, match.got, match.want, match.fault,
        verdict == TUFF_VERDICT_UNWRITTEN ? ", left unwritten or read from outside the inputs" : "",
        match.worst, match.normwise);
    return TUFF_OK;
}

static void check_guards(execution *e, uint32_t index)
{
    const memory *m = &e->memory[index];
    if (memcmp(m->before, m->after, m->bytes) == 0) return;
    for (uint64_t at = 0; at < m->bytes; at++) {
        if (m->before[at] == m->after[at] || m->map[at] >= TUFF_BYTE_RESULT) continue;
        const char *name = e->plan->variables[index].tensor->name;
        if (m->map[at] == TUFF_BYTE_INPUT)
            tuff_outcome_fault(e->outcome, TUFF_VERDICT_INPUT, "byte %llu of the input %s was changed",
                               (unsigned long long)at, name);
        else
            tuff_outcome_fault(e->outcome, TUFF_VERDICT_STRAY,
                               "byte %llu of %s (%llu bytes) was written, where no result lies",
                               (unsigned long long)at, name,
                               (unsigned long long)e->plan->variables[index].bytes);
        return;
    }
}

static void check_repeat(execution *e, int number)
{
    bool same = memcmp(e->results, e->first_results, e->plan->output_bytes) == 0;
    for (uint32_t i = 0; same && i < e->plan->n_variables; i++) {
        const memory *m = &e->memory[i];
        if (memcmp(m->after, m->first, m->bytes) == 0) continue;
        for (uint64_t at = 0; same && at < m->bytes; at++)
            same = m->after[at] == m->first[at] || m->map[at] == TUFF_BYTE_SCRATCH;
    }
    if (!same)
        tuff_outcome_fault(e->outcome, TUFF_VERDICT_REPEAT,
                           "run %d gave other bits than run 1 of the same program", number + 1);
}

/* Over outputs and leaves; memory that isolation added is left out, so that layouts can be compared. */
static uint64_t digest(const execution *e)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < e->plan->n_outputs; i++) {
        const tuff_plan_output *output = &e->plan->outputs[i];
        uint64_t both[2] = {hash, tuff_fnv1a(e->results + output->offset, output->bytes)};
        hash = tuff_fnv1a(both, sizeof both);
    }
    for (uint32_t i = 0; i < e->plan->n_variables; i++) {
        if (e->plan->variables[i].tensor->id >= e->run->graph->n_tensors) continue;
        uint64_t both[2] = {hash, tuff_fnv1a(e->memory[i].after, e->memory[i].bytes)};
        hash = tuff_fnv1a(both, sizeof both);
    }
    return hash;
}

void tuff_run_results_free(tuff_run_results *results)
{
    for (size_t i = 0; results->data != NULL && i < results->n; i++)
        tuff_free(results->data[i]);
    tuff_free(results->data);
    tuff_free(results->bytes);
    *results = (tuff_run_results){0};
}

static tuff_status keep_results(const execution *e)
{
    tuff_run_results *r = e->options->out_results;
    r->n = e->run->n_checks;
    r->data = tuff_alloc_array(r->n, sizeof(uint8_t *));
    r->bytes = tuff_alloc_array(r->n, sizeof *r->bytes);
    if (r->data == NULL || r->bytes == NULL) return tuff_fail_memory("the results of a case");
    for (size_t i = 0; i < r->n; i++) {
        const uint8_t *from = find_bytes(e, &e->run->checks[i]);
        r->bytes[i] = tuff_tensor_bytes(e->run->checks[i].tensor);
        r->data[i] = tuff_alloc(r->bytes[i]);
        if (r->data[i] == NULL) return tuff_fail_memory("the results of a case");
        if (from == NULL) return tuff_fail(TUFF_INTERNAL, "result %zu is not among the plan's outputs", i);
        memcpy(r->data[i], from, r->bytes[i]);
    }
    return TUFF_OK;
}

static tuff_status execute(execution *e)
{
    TUFF_TRY(make_plan(e));
    TUFF_TRY(make_memory(e));
    TUFF_TRY(e->device->backend->program_create(e->device, e->plan, e->buffers, NULL, &e->program));
    if (!e->options->isolate) TUFF_TRY(poison(e));
    for (int number = 0; number < (e->options->once ? 1 : RUNS); number++) {
        TUFF_TRY(run_once(e));
        if (number > 0) {
            check_repeat(e, number);
            continue;
        }
        if (e->options->out_digest != NULL) *e->options->out_digest = digest(e);
        if (e->options->out_results != NULL) TUFF_TRY(keep_results(e));
        memcpy(e->first_results, e->results, e->plan->output_bytes);
        for (uint32_t i = 0; i < e->plan->n_variables; i++)
            memcpy(e->memory[i].first, e->memory[i].after, e->memory[i].bytes);
        for (uint32_t i = 0; i < e->plan->n_variables; i++)
            check_guards(e, i);
        for (size_t i = 0; e->expected != NULL && i < e->run->n_checks; i++)
            TUFF_TRY(check_values(e, i));
    }
    return TUFF_OK;
}

static bool count_pipeline(tuff_coverage *coverage, const tuff_dispatch *d)
{
    uint32_t key[TUFF_MAX_SPEC + 1] = {(uint32_t)d->shader};
    memcpy(key + 1, d->spec, (size_t)d->n_spec * sizeof *key);
    uint64_t hash = tuff_fnv1a(key, (size_t)(d->n_spec + 1) * sizeof *key);
    for (size_t i = 0; i < coverage->n_pipelines; i++)
        if (coverage->pipelines[i] == hash) return true;
    if (!tuff_grow((void **)&coverage->pipelines, coverage->n_pipelines, &coverage->pipelines_capacity,
                   sizeof *coverage->pipelines))
        return false;
    coverage->pipelines[coverage->n_pipelines++] = hash;
    return true;
}

/* A plan that failed tells nothing of the errors of each of its kernels. */
static tuff_status cover(const execution *e, tuff_coverage *coverage)
{
    bool held = e->outcome->verdict == TUFF_VERDICT_HELD;
    coverage->plans++;
    for (size_t s = 0; s < e->plan->n_steps; s++) {
        const tuff_plan_step *step = &e->plan->steps[s];
        tuff_row_use *use = &coverage->rows[tuff_rows_index(step->node->op, step->row)];
        use->cases += step->phase == 0;
        if (held && e->worst > use->worst) use->worst = e->worst;
        for (size_t i = 0; step->launch != NULL && i < step->launch->n; i++) {
            coverage->dispatches++;
            if (!count_pipeline(coverage, step->launch->dispatches[i]))
                return tuff_fail_memory("the pipelines that were used");
        }
    }
    return TUFF_OK;
}

void tuff_coverage_free(tuff_coverage *coverage)
{
    tuff_free(coverage->pipelines);
    *coverage = (tuff_coverage){0};
}

static tuff_status dump(const execution *e)
{
    const uint8_t **results = tuff_alloc_array(e->run->n_checks + 1, sizeof *results);
    if (results == NULL) return tuff_fail_memory("the files of a failing case");
    for (size_t i = 0; i < e->run->n_checks && e->plan != NULL && e->memory != NULL && e->results != NULL;
         i++)
        results[i] = find_bytes(e, &e->run->checks[i]);
    tuff_status status = tuff_dump_run(e->options->dump, e->run, e->expected, results);
    tuff_free(results);
    return status;
}

void tuff_case_execute(tuff_case_run *run, const tuff_expected *expected, tuff_backend_device *device,
                       const tuff_run_options *options, tuff_outcome *outcome, tuff_coverage *coverage)
{
    execution e = {
        .run = run, .expected = expected, .device = device, .options = options, .outcome = outcome};
    tuff_status status = execute(&e);
    if (status == TUFF_OK && coverage != NULL) status = cover(&e, coverage);
    if (status != TUFF_OK) {
        tuff_outcome_fault(outcome, TUFF_VERDICT_ERROR, "%s", tuff_error_message());
        outcome->status = status;
    }
    if (outcome->verdict != TUFF_VERDICT_HELD) {
        if (e.plan != NULL) tuff_blame_plan(&outcome->blame, e.plan);
        if (options->dump != NULL && dump(&e) != TUFF_OK)
            tuff_buf_printf(&outcome->message, " (nothing dumped: %s)", tuff_error_message());
    }
    const tuff_backend *backend = device->backend;
    if (e.program != NULL) backend->program_destroy(device, &e.program);
    for (size_t i = 0; e.memory != NULL && i < e.plan->n_variables; i++) {
        if (e.memory[i].buffer != NULL) backend->buffer_destroy(device, &e.memory[i].buffer);
        tuff_free(e.memory[i].before);
        tuff_free(e.memory[i].after);
        tuff_free(e.memory[i].first);
        tuff_free(e.memory[i].map);
    }
    tuff_free(e.memory);
    tuff_free(e.buffers);
    tuff_free(e.results);
    tuff_free(e.first_results);
    tuff_plan_destroy(&e.plan);
}
