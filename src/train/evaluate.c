#include <math.h>

#include "base/memory.h"
#include "base/structs.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "train/answering.h"
#include "train/trainer.h"

/* Batches of a data set in its order. */
typedef struct walk {
    const tuff_dataset *data;
    uint32_t *examples;
    int64_t most, count, done;
    uint64_t seed;
    int64_t virtual_tokens;
    bool silent;
    const float *reference;
} walk;

static tuff_status walk_begin(walk *w, const tuff_runs *runs, const tuff_dataset *data, int64_t most,
                              uint64_t seed)
{
    *w = (walk){.data = data,
                .most = most,
                .count = data->task->count(data, false),
                .seed = seed,
                .virtual_tokens = tuff_adapter_virtual_tokens(runs->lm.adapter),
                .silent = tuff_adapter_silent(runs->lm.adapter)};
    w->examples = tuff_alloc_array((size_t)most, sizeof *w->examples);
    return w->examples ? TUFF_OK : tuff_fail_memory("an evaluation");
}

static bool walk_next(walk *w, tuff_batch *out)
{
    *out = (tuff_batch){.data = w->data,
                        .examples = w->examples,
                        .most = w->most,
                        .seed = w->seed,
                        .first = (uint64_t)w->done,
                        .virtual_tokens = w->virtual_tokens,
                        .silent = w->silent,
                        .reference = w->reference};
    while (w->done < w->count && out->count < w->most)
        w->examples[out->count++] = (uint32_t)w->done++;
    return out->count > 0;
}

static tuff_status need_labels(const tuff_task *task, int64_t labels)
{
    if (labels) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "the data has nothing to measure %s by: no label at all, or texts too short to hide a token",
        task->title);
}

tuff_status tuff_evaluate_plan(tuff_runs *runs, const tuff_dataset *data, int64_t most, uint64_t seed,
                               uint64_t *out_transfers)
{
    walk w;
    tuff_batch batch;
    tuff_program *reference = NULL;
    tuff_shapes shapes = {.count = 0};
    int64_t all = 0;
    tuff_status status = walk_begin(&w, runs, data, most, seed);
    while (status == TUFF_OK && walk_next(&w, &batch)) {
        tuff_task_shape shape;
        int64_t labels;
        tuff_task_size(&batch, &shape, &labels);
        all += labels;
        if (labels || data->task->observe) tuff_shapes_note(&shapes, 0, &shape);
    }
    tuff_free(w.examples);
    if (status == TUFF_OK) status = need_labels(data->task, all);
    tuff_shapes_sort(&shapes);
    *out_transfers = 0;
    if (status == TUFF_OK) status = tuff_reference_plan(runs, data, most, &reference);
    if (reference) *out_transfers += tuff_program_memory_of(reference).staging;
    for (size_t i = 0; i < shapes.count && status == TUFF_OK; i++) {
        tuff_program *program = NULL;
        status = tuff_runs_plan(runs, TUFF_LM_MEASURE, data, &shapes.items[i].shape, 0, &program);
        if (status == TUFF_OK) *out_transfers += tuff_program_memory_of(program).staging;
    }
    return status;
}

static tuff_status run_batch(tuff_runs *runs, const tuff_batch *batch, tuff_meter *meter, double *sum,
                             int64_t *out_labels)
{
    const tuff_task *task = batch->data->task;
    tuff_task_shape shape;
    tuff_program *program = NULL;
    double loss = 0;
    tuff_task_size(batch, &shape, out_labels);
    if (*out_labels == 0 && !task->observe) return TUFF_OK; /* a last block of one token predicts nothing */
    TUFF_TRY(tuff_runs_program(runs, TUFF_LM_MEASURE, batch->data, &shape, 0, &program));
    TUFF_TRY(tuff_runs_batch(runs, program, batch, &shape, false, &loss));
    *sum += loss;
    return task->observe ? task->observe(meter, batch, &shape, program) : TUFF_OK;
}

static tuff_status run_batches(tuff_runs *runs, walk *w, tuff_meter *meter, tuff_eval_result *out)
{
    const tuff_task *task = w->data->task;
    uint64_t batches = (uint64_t)((w->count + w->most - 1) / w->most);
    double sum = 0;
    tuff_batch batch;
    tuff_runs_begin(runs, TUFF_PHASE_EVALUATE, batches);
    while (walk_next(w, &batch)) {
        int64_t labels = 0;
        runs->work.done = batch.first / (uint64_t)w->most;
        TUFF_TRY(tuff_watched_tell(&runs->work));
        TUFF_TRY(run_batch(runs, &batch, meter, &sum, &labels));
        out->tokens += labels;
    }
    TUFF_TRY(need_labels(task, out->tokens));
    out->loss = sum / (double)out->tokens;
    if (task->perplexity) out->perplexity = exp(out->loss);
    return task->report ? task->report(meter, out) : TUFF_OK;
}

tuff_status tuff_evaluate_with(tuff_runs *runs, const tuff_dataset *data, int64_t most, uint64_t seed,
                               const float *reference, tuff_eval_result *out_result)
{
    walk w;
    tuff_meter meter = {.model = runs->lm.model, .data = data};
    tuff_status status = walk_begin(&w, runs, data, most, seed);
    w.reference = reference;
    if (status == TUFF_OK) status = run_batches(runs, &w, &meter, out_result);
    tuff_buf_free(&meter.seen);
    tuff_free(meter.scratch);
    tuff_free(w.examples);
    return status;
}

tuff_status tuff_runs_open_frozen(tuff_runs *runs, const tuff_model *model, tuff_device *device,
                                  const tuff_dataset *data, const char *adapter, const tuff_watch *watch)
{
    *runs =
        (tuff_runs){.lm = {.model = model,
                           .data = data,
                           .rope_positions = data->block_size ? data->block_size : tuff_rope_positions(model),
                           .watch = watch}};
    if (data->task->load) TUFF_TRY(tuff_task_need_head(data, model));
    TUFF_TRY(data->task->check(data, model));
    TUFF_TRY(tuff_runs_open(runs, device));
    if (adapter) TUFF_TRY(tuff_adapter_open(model, adapter, &device->log, &runs->lm.adapter));
    TUFF_TRY(tuff_lm_reserve(&runs->lm));
    return tuff_lm_upload(&runs->lm, tuff_session_store(runs->session));
}

static tuff_status evaluate(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                            const tuff_eval_params *p, tuff_eval_result *out_result)
{
    int64_t batch = p->batch_size ? p->batch_size : 4, examples = data->task->count(data, false);
    int64_t most = batch < examples ? batch : examples;
    tuff_runs runs;
    tuff_references references = {0};
    tuff_status status = tuff_runs_open_frozen(&runs, model, device, data, p->adapter, p->watch);
    if (status == TUFF_OK) status = tuff_references_want(&references, data);
    if (status == TUFF_OK && references.count && !p->adapter)
        status =
            tuff_fail(TUFF_INVALID_ARGUMENT,
                      "%s are measured by how far an adapter takes the model from what it is without it, and "
                      "there is no adapter; give the one that was trained",
                      data->task->title);
    if (status == TUFF_OK) status = tuff_references_make(&references, &runs, most);
    if (status == TUFF_OK)
        status =
            tuff_evaluate_with(&runs, data, most, 42, tuff_references_find(&references, data), out_result);
    tuff_references_free(&references);
    if (status == TUFF_OK && (data->task->asks_always || p->predict_with_generate)) {
        const tuff_loaded loaded = {model, device, tuff_session_store(runs.session), runs.lm.adapter, false};
        const tuff_answering how = {p->batch_size, p->use_stemmer, p->watch};
        status = tuff_answer(&loaded, data, &how, out_result);
    }
    tuff_runs_close(&runs);
    return status;
}

tuff_status tuff_evaluate(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                          const tuff_eval_params *params, tuff_eval_result *out_result)
{
    TUFF_NEED(model);
    TUFF_NEED(device);
    TUFF_NEED(data);
    tuff_eval_params p = TUFF_EVAL_PARAMS_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    TUFF_TRY(tuff_eval_give(out_result, &result));
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_EVAL_PARAMS_INIT, watch));
    if (p.batch_size < 0 || p.batch_size > 65536)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the batch size is %lld, expected 1 to 65536",
                         (long long)p.batch_size);
    TUFF_TRY(tuff_watch_check(p.watch));
    if (p.predict_with_generate) TUFF_TRY(tuff_answer_check(data->task));
    TUFF_TRY(evaluate(model, device, data, &p, &result));
    return tuff_eval_give(out_result, &result);
}
