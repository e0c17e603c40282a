/* What a training is before it runs: its data checked, its steps counted, its programs planned, the memory
 * that it will take. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/program.h"
#include "train/trainer.h"

tuff_status tuff_trainer_check_data(const tuff_trainer *t)
{
    const tuff_model *model = t->model;
    const tuff_dataset *data = t->data;
    if (tuff_dataset_blocks(data) == 0 && data->block_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the training text has %lld tokens, fewer than one block of %lld; give more "
                         "text or a smaller block size",
                         (long long)data->tokens, (long long)data->block_size);
    if (tuff_dataset_blocks(data) > UINT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the training data has %lld examples, more than %lld",
                         (long long)tuff_dataset_blocks(data), (long long)UINT32_MAX);
    TUFF_TRY(data->task->check(data, model));
    if (data->task->check_batch)
        TUFF_TRY(data->task->check_batch(data, t->params.per_device_train_batch_size));
    if (t->params.label_smoothing_factor > 0 && !(data->task->smooths && data->task->smooths(data)))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "label_smoothing_factor is %g, but the loss of this data (%s) is no cross-entropy of "
            "single labels, and has none to smooth; leave it at 0",
            t->params.label_smoothing_factor, data->task->title);
    if (data->block_size > model->config.max_positions)
        tuff_log_to(&t->device->log, TUFF_LOG_WARN,
                    "blocks of %lld tokens are longer than the %lld positions that the model has seen",
                    (long long)data->block_size, (long long)model->config.max_positions);
    return TUFF_OK;
}

int64_t tuff_rope_positions(const tuff_model *model)
{
    enum { MOST = 1 << 16 };
    return model->config.max_positions < MOST ? model->config.max_positions : MOST;
}

int64_t tuff_longest_sequence(const tuff_model *model)
{
    const tuff_config *c = &model->config;
    if (c->learned_positions) return c->max_positions;
    return tuff_config_has_positions(c) || c->alibi.most != 0 ? tuff_rope_positions(model) : INT64_MAX;
}

int64_t tuff_data_positions(const tuff_model *model, const tuff_dataset *data)
{
    int64_t rows = tuff_rope_positions(model);
    if (data->block_size && tuff_rope_by_length(&model->config)) return data->block_size;
    return data->block_size > rows ? data->block_size : rows;
}

static tuff_status plan_steps(tuff_trainer *t)
{
    const tuff_train_params *p = &t->params;
    int64_t examples = p->per_device_train_batch_size * p->gradient_accumulation_steps,
            steps = tuff_trainer_epoch_steps(t);
    double epoch = steps ? (double)steps : (double)t->blocks / (double)examples;
    t->total_steps = p->max_steps >= 0 ? p->max_steps : (int64_t)ceil(p->num_train_epochs * epoch - 1e-9);
    t->warmup_steps =
        p->warmup_steps ? p->warmup_steps : (int64_t)ceil((double)t->total_steps * p->warmup_ratio);
    TUFF_TRY(tuff_rates_make(p->lr_scheduler_type, p->learning_rate, t->warmup_steps, t->total_steps,
                             p->lr_scheduler_kwargs, &t->rates));
    t->params.lr_scheduler_kwargs = NULL; /* it points to the caller's text, which need not live on */
    return TUFF_OK;
}

static int by_size(const void *a, const void *b)
{
    const tuff_planned *x = a, *y = b;
    if (x->shape.tokens != y->shape.tokens) return x->shape.tokens > y->shape.tokens ? -1 : 1;
    return memcmp(x, y, sizeof *x);
}

void tuff_shapes_note(tuff_shapes *list, int pass, const tuff_task_shape *shape)
{
    const tuff_planned one = {.pass = pass, .shape = *shape};
    for (size_t i = 0; i < list->count; i++)
        if (memcmp(&list->items[i], &one, sizeof one) == 0) return;
    if (list->count < TUFF_MOST_SHAPES) list->items[list->count++] = one;
}

void tuff_shapes_sort(tuff_shapes *list)
{
    qsort(list->items, list->count, sizeof *list->items, by_size);
}

/* The programs of one batch; false: it is one run of pass 0. */
static bool note_passes(const tuff_batch *batch, tuff_shapes *list)
{
    const tuff_task *task = batch->data->task;
    tuff_task_shape shape;
    int pass, n = 0;
    while (task->passes && task->passes(batch, n, &pass, &shape)) {
        if (list) tuff_shapes_note(list, pass, &shape);
        n++;
    }
    return n > 0;
}

/* Of the first epoch's batches: those that come up later are planned when they do. */
static void list_shapes(tuff_trainer *t, tuff_shapes *list)
{
    enum { MOST_BATCHES = 1 << 16 };
    int64_t micro = t->params.gradient_accumulation_steps, batch = t->params.per_device_train_batch_size;
    int64_t batches = (t->blocks + batch - 1) / batch;
    if (batches > MOST_BATCHES) batches = MOST_BATCHES;
    if (t->total_steps < batches / micro) batches = t->total_steps * micro;
    if (batches == 0) batches = 1; /* what no step trains is planned all the same */
    for (int64_t i = 0; i < batches; i++) {
        const tuff_batch at = tuff_trainer_take_batch(t, i / micro, i % micro);
        tuff_task_shape shape;
        int64_t labels;
        if (!at.count || note_passes(&at, list)) continue;
        tuff_task_size(&at, &shape, &labels);
        tuff_shapes_note(list, 0, &shape);
    }
    tuff_shapes_sort(list);
}

/* Notes what a training program takes. */
static void count_memory(tuff_trainer *t, const tuff_program *program)
{
    tuff_program_memory memory = tuff_program_memory_of(program);
    if (memory.arena_bound > t->bound) t->bound = memory.arena_bound;
    t->transfers += memory.staging;
}

tuff_lm_step tuff_trainer_batch_step(const tuff_trainer *t)
{
    return t->sums ? TUFF_LM_ACCUMULATE : TUFF_LM_STEP;
}

void tuff_trainer_enter_phase(tuff_trainer *t)
{
    t->runs.lm.phase = tuff_trained_set_phase(&t->selected, t->step);
}

static void list_candidates(const tuff_trainer *t, tuff_candidate *out)
{
    const tuff_lm *lm = &t->runs.lm;
    for (size_t i = 0; i < tuff_lm_candidate_count(lm); i++) {
        const tuff_trained x = tuff_lm_candidate(lm, i);
        out[i] = (tuff_candidate){
            .name = x.name, .above = tuff_group_above(&t->model->config, &x), .is_matrix = x.rank > 1};
    }
}

tuff_status tuff_trainer_select(const tuff_trainer *t, const tuff_trained_set_params *params,
                                tuff_trained_set *out)
{
    const size_t count = tuff_lm_candidate_count(&t->runs.lm);
    tuff_candidate *candidates = tuff_alloc_array(count + 1, sizeof *candidates);
    *out = (tuff_trained_set){.count = 0};
    if (!candidates) return tuff_fail_memory("what could be trained");
    list_candidates(t, candidates);
    const tuff_status status = tuff_trained_set_make(candidates, count, params, out);
    tuff_free(candidates);
    return status;
}

/* Chooses what is trained, and when. */
static tuff_status select_trained(tuff_trainer *t)
{
    const int64_t steps = tuff_trainer_epoch_steps(t),
                  examples = t->params.per_device_train_batch_size * t->params.gradient_accumulation_steps;
    const tuff_trained_set_params p = {.freeze = t->selection_texts[0],
                                       .train_only = t->selection_texts[1],
                                       .schedule = t->selection_texts[2],
                                       .top_layers = t->params.unfreeze_top_layers,
                                       .epoch_steps =
                                           steps ? (double)steps : (double)t->blocks / (double)examples,
                                       .total_steps = t->total_steps};
    t->runs.lm.selected = &t->selected;
    return tuff_trainer_select(t, &p, &t->selected);
}

/* The largest first, so that the others find room in its part of the arena. */
static tuff_status plan_programs(tuff_trainer *t)
{
    tuff_shapes shapes = {.count = 0};
    tuff_program *program = NULL;
    t->runs.lm.phase = t->selected.phases - 1; /* which trains the most */
    list_shapes(t, &shapes);
    for (size_t i = 0; i < shapes.count; i++) {
        const tuff_planned *one = &shapes.items[i];
        TUFF_TRY(tuff_runs_plan(&t->runs, tuff_trainer_batch_step(t), t->data, &one->shape, (int)one->pass,
                                &program));
        count_memory(t, program);
        uint64_t variables = tuff_program_memory_of(program).variables;
        if (variables <= t->variables) continue;
        t->variables = variables;
        t->update = program;
        tuff_session_keep(t->runs.session, program);
    }
    TUFF_TRY(tuff_references_want(&t->references, t->data));
    TUFF_TRY(tuff_reference_plan(&t->runs, t->data, t->params.per_device_train_batch_size, &program));
    if (program) count_memory(t, program);
    if (t->sums) {
        t->accumulate = t->update;
        TUFF_TRY(tuff_runs_plan(&t->runs, TUFF_LM_UPDATE, t->data, NULL, 0, &t->update));
        tuff_session_keep(t->runs.session, t->update);
        count_memory(t, t->update);
    }
    TUFF_TRY(tuff_trainer_plan_averages(t));
    t->arena = tuff_session_arena_planned(t->runs.session);
    return TUFF_OK;
}

tuff_status tuff_trainer_plan(tuff_trainer *t)
{
    const tuff_batch first = tuff_trainer_take_batch(t, 0, 0);
    t->in_passes = note_passes(&first, NULL);
    if (t->in_passes && first.virtual_tokens)
        return tuff_fail(TUFF_UNSUPPORTED, "%s of this kind cannot be trained with virtual tokens",
                         t->data->task->title);
    t->sums = t->in_passes || t->params.gradient_accumulation_steps > 1;
    TUFF_TRY(plan_steps(t));
    TUFF_TRY(select_trained(t));
    return plan_programs(t);
}

tuff_train_memory tuff_trainer_memory(const tuff_trainer *t)
{
    tuff_train_memory m = TUFF_TRAIN_MEMORY_INIT;
    m.parameters = tuff_model_parameters(t->model);
    for (size_t i = 0; i < tuff_lm_trained_count(&t->runs.lm); i++) {
        tuff_trained x = tuff_lm_trained(&t->runs.lm, i);
        int64_t elements = 1;
        for (int k = 0; k < x.rank; k++)
            elements *= x.shape[k];
        m.trained_parameters += elements;
        m.optimizer += tuff_optimizer_bytes(&t->runs.optimizer, &x);
    }
    m.gradients_apart = t->sums;
    m.optimizer += (uint64_t)t->selected.phases * TUFF_OPTIMIZER_COUNTER_BYTES;
    m.gradients = 4 * (uint64_t)m.trained_parameters;
    m.weights = t->variables - (t->sums ? m.gradients : m.optimizer);
    m.weights += tuff_adapter_own_bytes(t->runs.lm.adapter);
    if (t->average) m.optimizer += 4 * (uint64_t)m.trained_parameters;
    m.arena = t->arena;
    m.arena_bound = t->bound;
    m.transfers = t->transfers;
    m.evaluation = t->extra;
    m.total = m.weights + m.optimizer + m.arena + m.evaluation + m.transfers;
    if (m.gradients_apart) m.total += m.gradients;
    return m;
}
