#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/structs.h"
#include "runtime/program.h"
#include "runtime/room.h"
#include "train/schedule.h"

static tuff_status check_data(const tuff_model *model, const tuff_dataset *data, const tuff_log_receiver *log)
{
    if (tuff_dataset_blocks(data) == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the training text has %lld tokens, fewer than one block of %lld; give more "
                         "text or a smaller block size",
                         (long long)data->tokens, (long long)data->block_size);
    if (tuff_dataset_blocks(data) > UINT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the training text has %lld blocks, more than %lld",
                         (long long)tuff_dataset_blocks(data), (long long)UINT32_MAX);
    TUFF_TRY(tuff_lm_check_data(model, data));
    if (data->block_size > model->config.max_positions)
        tuff_log_to(log, TUFF_LOG_WARN,
                    "blocks of %lld tokens are longer than the %lld positions that the model has seen",
                    (long long)data->block_size, (long long)model->config.max_positions);
    return TUFF_OK;
}

/* Rows of the rotary tables: as many as the model has positions, so that evaluation may use longer blocks
 * than training does; but the tables of models with a million positions would take memory for nothing. */
static int64_t rope_positions(const tuff_model *model, const tuff_dataset *data)
{
    enum { MOST = 1 << 16 };
    int64_t rows = model->config.max_positions < MOST ? model->config.max_positions : MOST;
    return data->block_size > rows ? data->block_size : rows;
}

static void plan_steps(tuff_trainer *t)
{
    const tuff_train_params *p = &t->params;
    double per_step = (double)(p->per_device_train_batch_size * p->gradient_accumulation_steps);
    t->total_steps = p->max_steps >= 0
                         ? p->max_steps
                         : (int64_t)ceil(p->num_train_epochs * (double)t->blocks / per_step - 1e-9);
    t->warmup_steps =
        p->warmup_steps ? p->warmup_steps : (int64_t)ceil((double)t->total_steps * p->warmup_ratio);
}

static tuff_status make_programs(tuff_trainer *t, bool decay_all)
{
    const tuff_train_params *p = &t->params;
    tuff_lm_train train = {.step = p->gradient_accumulation_steps > 1 ? TUFF_LM_UPDATE : TUFF_LM_STEP,
                           .accumulation = p->gradient_accumulation_steps,
                           .decay_all = decay_all,
                           .adamw = {sizeof(tuff_adamw_params), p->adam_beta1, p->adam_beta2, p->adam_epsilon,
                                     p->weight_decay, p->max_grad_norm}};
    TUFF_TRY(tuff_lm_train_program(&t->lm, &train, t->device, &t->update));
    if (p->gradient_accumulation_steps == 1) return TUFF_OK;
    train.step = TUFF_LM_ACCUMULATE;
    return tuff_lm_train_program(&t->lm, &train, t->device, &t->accumulate);
}

static tuff_status build(tuff_trainer *t, bool decay_all)
{
    const tuff_train_params *p = &t->params;
    TUFF_TRY(tuff_train_params_check(p));
    TUFF_TRY(check_data(t->model, t->data, &t->device->log));
    t->blocks = tuff_dataset_blocks(t->data);
    t->order_epoch = -1;
    plan_steps(t);
    t->lm = (tuff_lm){.watch = p->watch,
                      .model = t->model,
                      .batch = p->per_device_train_batch_size,
                      .length = t->data->block_size,
                      .rope_positions = rope_positions(t->model, t->data)};
    if (p->lora_rank) {
        tuff_lora_params lora = {p->lora_rank, p->lora_alpha, p->lora_dropout, p->lora_target, p->seed};
        TUFF_TRY(tuff_lora_create(t->model, &lora, &t->lm.lora));
    }
    t->params.lora_target = NULL; /* it points to the caller's text, which need not live on */
    t->lm.trains_model = !p->lora_rank;
    size_t n = (size_t)(t->lm.batch * t->lm.length);
    t->order = tuff_alloc_array((size_t)t->blocks, sizeof *t->order);
    t->ids = tuff_alloc_array(n, sizeof *t->ids);
    t->labels = tuff_alloc_array(n, sizeof *t->labels);
    t->index = tuff_alloc_array(tuff_lm_index_size(&t->lm), sizeof *t->index);
    if (!t->order || !t->ids || !t->labels || !t->index) return tuff_fail_memory("a trainer");
    return make_programs(t, decay_all);
}

tuff_status tuff_trainer_create_with(const tuff_model *model, tuff_device *device, const tuff_dataset *train,
                                     const tuff_train_params *params, bool decay_all,
                                     tuff_trainer **out_trainer)
{
    *out_trainer = NULL;
    tuff_trainer *t = tuff_alloc(sizeof *t);
    if (!t) return tuff_fail_memory("a trainer");
    atomic_flag_clear(&t->busy);
    t->model = model;
    t->device = device;
    t->data = train;
    t->params = (tuff_train_params)TUFF_TRAIN_PARAMS_INIT;
    tuff_status status = TUFF_TAKE(&t->params, params, TUFF_TRAIN_PARAMS_INIT, watch);
    if (status == TUFF_OK) status = build(t, decay_all);
    if (status != TUFF_OK)
        tuff_trainer_destroy(&t);
    else
        *out_trainer = t;
    return status;
}

tuff_status tuff_trainer_create(const tuff_model *model, tuff_device *device, const tuff_dataset *train,
                                const tuff_train_params *params, tuff_trainer **out_trainer)
{
    TUFF_NEED_OUT(out_trainer);
    TUFF_NEED(model);
    TUFF_NEED(device);
    TUFF_NEED(train);
    return tuff_trainer_create_with(model, device, train, params, false, out_trainer);
}

tuff_status tuff_trainer_enter(tuff_trainer *t)
{
    if (!atomic_flag_test_and_set(&t->busy)) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "the trainer is in use by another call; a callback must not call into it, and a trainer "
                     "belongs to one thread at a time");
}

tuff_status tuff_trainer_leave(tuff_trainer *t, tuff_status status)
{
    atomic_flag_clear(&t->busy);
    return status;
}

void tuff_trainer_destroy(tuff_trainer **trainer)
{
    if (!trainer) return;
    tuff_trainer *t = *trainer;
    if (!t) return;
    if (atomic_flag_test_and_set(&t->busy)) {
        tuff_log_to(&t->device->log, TUFF_LOG_ERROR,
                    "a trainer that is in use by a call was to be destroyed; it is left as it is");
        return;
    }
    tuff_program_destroy(&t->update);
    tuff_program_destroy(&t->accumulate);
    tuff_program_destroy(&t->evaluate);
    tuff_store_destroy(&t->store);
    tuff_lora_destroy(&t->lm.lora);
    tuff_free(t->order);
    tuff_free(t->ids);
    tuff_free(t->labels);
    tuff_free(t->index);
    tuff_free(t);
    *trainer = NULL;
}

int64_t tuff_trainer_total_steps(const tuff_trainer *t)
{
    if (!t) return 0;
    return t->total_steps;
}

/* The program that takes a batch. */
static tuff_program *batch_program(const tuff_trainer *t)
{
    return t->accumulate ? t->accumulate : t->update;
}

tuff_program *tuff_trainer_program(tuff_trainer *t)
{
    if (!t) return NULL;
    return batch_program(t);
}

tuff_train_memory tuff_trainer_memory(const tuff_trainer *t)
{
    tuff_train_memory m = TUFF_TRAIN_MEMORY_INIT;
    tuff_program_memory update = tuff_program_memory_of(t->update);
    m.parameters = tuff_model_parameters(t->model);
    for (size_t i = 0; i < tuff_lm_trained_count(&t->lm); i++) {
        tuff_trained x = tuff_lm_trained(&t->lm, i);
        m.trained_parameters += x.shape[0] * (x.rank == 2 ? x.shape[1] : 1);
    }
    m.gradients_apart = t->accumulate != NULL;
    m.optimizer = 2 * 4 * (uint64_t)m.trained_parameters + 16;
    m.gradients = 4 * (uint64_t)m.trained_parameters;
    m.weights = update.variables - m.optimizer;
    m.arena = update.arena;
    m.arena_bound = update.arena_bound;
    m.transfers = update.staging;
    if (t->accumulate) {
        tuff_program_memory batch = tuff_program_memory_of(t->accumulate);
        m.weights = batch.variables - m.gradients;
        m.arena += batch.arena;
        m.arena_bound += batch.arena_bound;
        m.transfers += batch.staging;
    }
    if (t->evaluate) {
        tuff_program_memory evaluation = tuff_program_memory_of(t->evaluate);
        m.evaluation = evaluation.arena + evaluation.staging;
    }
    m.total = m.weights + m.optimizer + m.arena + m.evaluation + m.transfers;
    if (m.gradients_apart) m.total += m.gradients;
    return m;
}

tuff_status tuff_trainer_get_memory(const tuff_trainer *t, tuff_train_memory *out_memory)
{
    TUFF_NEED(t);
    const tuff_train_memory memory = tuff_trainer_memory(t);
    return TUFF_GIVE(out_memory, &memory, TUFF_TRAIN_MEMORY_INIT, parameters);
}

static tuff_status add_state(tuff_trainer *t)
{
    static const char *const prefixes[] = {"adam.m.", "adam.v.", "grad."};
    int n = t->accumulate ? 3 : 2;
    for (size_t i = 0; i < tuff_lm_trained_count(&t->lm); i++)
        for (int k = 0; k < n; k++) {
            tuff_trained x = tuff_lm_trained(&t->lm, i);
            tuff_buf name = {0};
            tuff_buf_printf(&name, "%s%s", prefixes[k], x.name);
            tuff_status status = name.failed
                                     ? tuff_fail_memory("optimizer state")
                                     : tuff_store_add(t->store, name.data, TUFF_F32, x.rank, x.shape, NULL);
            tuff_buf_free(&name);
            TUFF_TRY(status);
        }
    return tuff_store_add(t->store, "adam.state", TUFF_F32, 1, (int64_t[]){4}, NULL);
}

static tuff_status fill_store(tuff_trainer *t)
{
    TUFF_TRY(tuff_store_create(t->device, &t->store));
    TUFF_TRY(tuff_lm_upload(&t->lm, t->store));
    TUFF_TRY(add_state(t));
    TUFF_TRY(tuff_store_bind(t->store, t->update));
    if (t->accumulate) TUFF_TRY(tuff_store_bind(t->store, t->accumulate));
    if (t->evaluate) TUFF_TRY(tuff_store_bind(t->store, t->evaluate));
    return tuff_lm_set_positions(&t->lm, batch_program(t));
}

/* A store that could be filled in part only is destroyed. The next call makes a new one and binds the
 * programs to it. */
static tuff_status need_store(tuff_trainer *t)
{
    if (t->store) return TUFF_OK;
    tuff_status status = fill_store(t);
    if (status != TUFF_OK) tuff_store_destroy(&t->store);
    return status;
}

tuff_status tuff_trainer_prepare(tuff_trainer *t)
{
    if (!t->store)
        TUFF_TRY(tuff_room_check(t->device, tuff_trainer_memory(t).total, "training",
                                 "a smaller batch, shorter blocks or LoRA need"));
    TUFF_TRY(need_store(t));
    if (t->accumulate) TUFF_TRY(tuff_program_prepare(t->accumulate));
    return tuff_program_prepare(t->update);
}

static double present_rate(const tuff_trainer *t)
{
    return tuff_schedule_rate(t->params.lr_scheduler_type, t->params.learning_rate, t->step, t->warmup_steps,
                              t->total_steps);
}

static const tuff_cancel *cancel_of(const tuff_trainer *t)
{
    return t->lm.watch ? t->lm.watch->cancel : NULL;
}

/* Sets the accumulated gradients to zero after a cancelled step, whose micro-batches may have added to them.
 */
static tuff_status clear_gradients(tuff_trainer *t)
{
    enum { PIECE = 1 << 18 };
    if (!t->unclean) return TUFF_OK;
    float *zeros = tuff_alloc_array(PIECE, sizeof *zeros);
    tuff_status status = zeros ? TUFF_OK : tuff_fail_memory("zeros for gradients");
    for (size_t i = 0; i < tuff_store_count(t->store) && status == TUFF_OK; i++) {
        const char *name;
        tuff_buffer *buffer = tuff_store_at(t->store, i, &name);
        int64_t n = tuff_starts_with(name, "grad.") ? tuff_buffer_count(buffer) : 0;
        for (int64_t at = 0; at < n && status == TUFF_OK; at += PIECE)
            status = tuff_buffer_write(buffer, at, zeros, n - at < PIECE ? n - at : PIECE);
    }
    tuff_free(zeros);
    if (status == TUFF_OK) t->unclean = false;
    return status;
}

static tuff_status run_micro(tuff_trainer *t, int64_t i, float *out_loss)
{
    tuff_program *program = batch_program(t);
    uint32_t seed[3] = {(uint32_t)t->params.seed, (uint32_t)(t->params.seed >> 32),
                        (uint32_t)(t->step * t->params.gradient_accumulation_steps + i)};
    tuff_trainer_take_batch(t, t->next_block, t->ids);
    t->next_block += t->lm.batch;
    tuff_labels_of(t->ids, t->lm.batch, t->lm.length, t->labels);
    TUFF_TRY(tuff_lm_set_batch(&t->lm, program, t->ids, t->labels, t->index));
    TUFF_TRY(tuff_program_input(program, "dropout_seed", seed, sizeof seed));
    TUFF_TRY(tuff_program_run_until(program, cancel_of(t), program == t->update));
    return tuff_program_output(program, "loss", out_loss, sizeof *out_loss);
}

static tuff_status run_step(tuff_trainer *t, double *out_loss, float *out_norm)
{
    int64_t micro = t->params.gradient_accumulation_steps;
    float lr = (float)present_rate(t);
    TUFF_TRY(tuff_program_input(t->update, "lr", &lr, sizeof lr));
    for (int64_t i = 0; i < micro; i++) {
        float one = 0;
        TUFF_TRY(tuff_watch_step(t->lm.watch, TUFF_PHASE_TRAIN, (uint64_t)i, (uint64_t)micro));
        TUFF_TRY(run_micro(t, i, &one));
        *out_loss += (double)one / (double)micro;
    }
    if (t->accumulate) TUFF_TRY(tuff_program_run_until(t->update, cancel_of(t), true));
    return tuff_program_output(t->update, "norm", out_norm, sizeof *out_norm);
}

static tuff_status do_step(tuff_trainer *t, tuff_train_step *out_step)
{
    int64_t micro = t->params.gradient_accumulation_steps, next_block = t->next_block;
    double loss = 0;
    float norm = 0;
    TUFF_TRY(TUFF_CHECK_OUT(out_step, TUFF_TRAIN_STEP_INIT, tokens));
    if (t->broken)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "an earlier step failed on its way, and what it left cannot be trained on; begin anew");
    TUFF_TRY(tuff_trainer_prepare(t));
    TUFF_TRY(clear_gradients(t));
    tuff_status status = run_step(t, &loss, &norm);
    if (status != TUFF_OK) {
        t->next_block = next_block;
        t->unclean = t->accumulate != NULL;
        t->broken = status != TUFF_CANCELLED;
        return status;
    }
    double rate = present_rate(t);
    t->step++;
    const tuff_train_step step = {.struct_size = sizeof step,
                                  .step = t->step,
                                  .epoch = (double)t->next_block / (double)t->blocks,
                                  .loss = loss,
                                  .learning_rate = rate,
                                  .grad_norm = (double)norm,
                                  .skipped = !isfinite(norm),
                                  .tokens = micro * t->lm.batch * t->lm.length};
    TUFF_TRY(TUFF_GIVE(out_step, &step, TUFF_TRAIN_STEP_INIT, tokens));
    t->nonfinite = step.skipped ? t->nonfinite + 1 : 0;
    if (!t->params.max_nonfinite || t->nonfinite < t->params.max_nonfinite) return TUFF_OK;
    t->nonfinite = 0; /* a caller who goes on gets as many steps again */
    return tuff_fail(
        TUFF_NOT_FINITE,
        "the training has diverged: the gradients of %lld steps in a row, up to step %lld, are not "
        "finite; start again with a lower learning rate, and check that the data is text",
        (long long)t->params.max_nonfinite, (long long)t->step);
}

tuff_status tuff_trainer_step(tuff_trainer *t, tuff_train_step *out_step)
{
    TUFF_NEED(t);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, do_step(t, out_step));
}

/* Makes the program for a block size, unless it is there; binds it when the weights are on the device. */
static tuff_status need_eval_program(tuff_trainer *t, int64_t block_size)
{
    if (t->evaluate && t->eval_lm.length == block_size) return TUFF_OK;
    tuff_program_destroy(&t->evaluate);
    t->eval_lm = t->lm;
    t->eval_lm.length = block_size;
    TUFF_TRY(tuff_lm_eval_program(&t->eval_lm, t->device, &t->evaluate));
    tuff_status status = t->store ? tuff_store_bind(t->store, t->evaluate) : TUFF_OK;
    if (status != TUFF_OK) tuff_program_destroy(&t->evaluate);
    return status;
}

static tuff_status plan_evaluation(tuff_trainer *t, const tuff_dataset *data)
{
    TUFF_TRY(tuff_lm_check_data(t->model, data));
    if (data->block_size > t->lm.rope_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the block size of the evaluation is %lld, the trainer was made for at most %lld",
                         (long long)data->block_size, (long long)t->lm.rope_positions);
    return need_eval_program(t, data->block_size);
}

tuff_status tuff_trainer_plan_evaluation(tuff_trainer *t, const tuff_dataset *data)
{
    TUFF_NEED(t);
    TUFF_NEED(data);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, plan_evaluation(t, data));
}

static tuff_status evaluate(tuff_trainer *t, const tuff_dataset *data, tuff_eval_result *out_result)
{
    TUFF_TRY(plan_evaluation(t, data));
    TUFF_TRY(need_store(t));
    return tuff_evaluate_with(&t->eval_lm, t->evaluate, data, out_result);
}

tuff_status tuff_trainer_evaluate(tuff_trainer *t, const tuff_dataset *data, tuff_eval_result *out_result)
{
    TUFF_NEED(t);
    TUFF_NEED(data);
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    TUFF_TRY(TUFF_GIVE(out_result, &result, TUFF_EVAL_RESULT_INIT, tokens));
    TUFF_TRY(tuff_trainer_enter(t));
    TUFF_TRY(tuff_trainer_leave(t, evaluate(t, data, &result)));
    return TUFF_GIVE(out_result, &result, TUFF_EVAL_RESULT_INIT, tokens);
}

static tuff_status save_into(tuff_trainer *t, tuff_stage *stage, const tuff_watch *watch)
{
    TUFF_TRY(need_store(t));
    if (t->lm.lora) return tuff_lora_save(t->lm.lora, t->store, watch, tuff_stage_path(stage));
    return tuff_model_write_hf(t->model, t->store, TUFF_F32, watch, stage);
}

static tuff_status save(tuff_trainer *t, const char *directory)
{
    tuff_stage *stage = NULL;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_status status = save_into(t, stage, NULL);
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

tuff_status tuff_trainer_save_into(tuff_trainer *t, tuff_stage *stage, const tuff_watch *watch)
{
    TUFF_NEED(t);
    TUFF_NEED(stage);
    TUFF_TRY(tuff_watch_check(watch));
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, save_into(t, stage, watch));
}

tuff_status tuff_trainer_save(tuff_trainer *t, const char *directory)
{
    TUFF_NEED(t);
    TUFF_NEED(directory);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, save(t, directory));
}
