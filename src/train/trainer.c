#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "train/schedule.h"

tuff_train_params tuff_train_defaults(void)
{
    return (tuff_train_params){
        .max_steps = -1,
        .num_train_epochs = 3,
        .per_device_train_batch_size = 8,
        .gradient_accumulation_steps = 1,
        .learning_rate = 5e-5,
        .lr_scheduler_type = TUFF_SCHEDULE_LINEAR,
        .adam_beta1 = 0.9,
        .adam_beta2 = 0.999,
        .adam_epsilon = 1e-8,
        .max_grad_norm = 1.0,
        .seed = 42,
        .lora_alpha = 16,
    };
}

static tuff_status check_range(const char *name, double value, double low, double high)
{
    if (value >= low && value <= high) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %g, expected %g to %g", name, value, low, high);
}

static tuff_status check_params(const tuff_train_params *p)
{
    TUFF_TRY(check_range("per_device_train_batch_size", (double)p->per_device_train_batch_size, 1, 65536));
    TUFF_TRY(check_range("gradient_accumulation_steps", (double)p->gradient_accumulation_steps, 1, 65536));
    TUFF_TRY(check_range("learning_rate", p->learning_rate, 0, 1e6));
    TUFF_TRY(check_range("warmup_ratio", p->warmup_ratio, 0, 1));
    TUFF_TRY(check_range("warmup_steps", (double)p->warmup_steps, 0, 1e15));
    TUFF_TRY(check_range("weight_decay", p->weight_decay, 0, 1e6));
    TUFF_TRY(check_range("adam_beta1", p->adam_beta1, 0, 0.9999999));
    TUFF_TRY(check_range("adam_beta2", p->adam_beta2, 0, 0.9999999));
    TUFF_TRY(check_range("adam_epsilon", p->adam_epsilon, 0, 1));
    TUFF_TRY(check_range("max_grad_norm", p->max_grad_norm, 0, 1e30));
    if (p->max_steps < 0) TUFF_TRY(check_range("num_train_epochs", p->num_train_epochs, 1e-9, 1e9));
    return TUFF_OK;
}

static tuff_status check_data(const tuff_model *model, const tuff_dataset *data)
{
    if (tuff_dataset_blocks(data) == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the training text has %lld tokens, fewer than one block of %lld; give more "
                         "text or a smaller block size",
                         (long long)data->tokens, (long long)data->block_size);
    const tuff_config *c = &model->config;
    if (data->block_size > c->max_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the block size is %lld, but the model was trained for %lld positions; use a "
                         "smaller block size",
                         (long long)data->block_size, (long long)c->max_positions);
    int32_t largest = tuff_dataset_largest(data);
    if (largest >= c->vocab_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the training text has token id %d, the model's vocabulary only %lld", largest,
                         (long long)c->vocab_size);
    return TUFF_OK;
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
    tuff_lm_train train = {
        .step = p->gradient_accumulation_steps > 1 ? TUFF_LM_UPDATE : TUFF_LM_STEP,
        .accumulation = p->gradient_accumulation_steps,
        .decay_all = decay_all,
        .adamw = {p->adam_beta1, p->adam_beta2, p->adam_epsilon, p->weight_decay, p->max_grad_norm}};
    TUFF_TRY(tuff_lm_train_program(&t->lm, &train, t->device, &t->update));
    if (p->gradient_accumulation_steps == 1) return TUFF_OK;
    train.step = TUFF_LM_ACCUMULATE;
    return tuff_lm_train_program(&t->lm, &train, t->device, &t->accumulate);
}

static tuff_status build(tuff_trainer *t, bool decay_all)
{
    const tuff_train_params *p = &t->params;
    TUFF_TRY(check_params(p));
    TUFF_TRY(check_data(t->model, t->data));
    t->blocks = tuff_dataset_blocks(t->data);
    t->order_epoch = -1;
    plan_steps(t);
    t->lm = (tuff_lm){.model = t->model,
                      .batch = p->per_device_train_batch_size,
                      .length = t->data->block_size,
                      .rope_positions = t->model->config.max_positions};
    if (p->lora_rank) {
        tuff_lora_params lora = {p->lora_rank, p->lora_alpha, p->lora_dropout, p->lora_target, p->seed};
        TUFF_TRY(tuff_lora_create(t->model, &lora, &t->lm.lora));
    }
    t->params.lora_target = NULL; /* was the caller's */
    t->lm.matrix_dtype =
        tuff_model_matrix_dtype(t->model, p->lora_rank ? TUFF_MATRIX_AS_STORED : TUFF_MATRIX_F32);
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
    t->model = model;
    t->device = device;
    t->data = train;
    t->params = *params;
    tuff_status status = build(t, decay_all);
    if (status != TUFF_OK)
        tuff_trainer_destroy(&t);
    else
        *out_trainer = t;
    return status;
}

tuff_status tuff_trainer_create(const tuff_model *model, tuff_device *device, const tuff_dataset *train,
                                const tuff_train_params *params, tuff_trainer **out_trainer)
{
    return tuff_trainer_create_with(model, device, train, params, false, out_trainer);
}

void tuff_trainer_destroy(tuff_trainer **trainer)
{
    tuff_trainer *t = *trainer;
    if (!t) return;
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
    return t->total_steps;
}
tuff_program *tuff_trainer_program(tuff_trainer *t)
{
    return t->update;
}

tuff_train_memory tuff_trainer_get_memory(const tuff_trainer *t)
{
    tuff_train_memory m = {0};
    tuff_program_memory update = tuff_program_get_memory(t->update);
    m.parameters = tuff_model_get_info(t->model).parameters;
    for (size_t i = 0; i < tuff_lm_trained_count(&t->lm); i++) {
        tuff_trained x = tuff_lm_trained(&t->lm, i);
        m.trained_parameters += x.shape[0] * (x.rank == 2 ? x.shape[1] : 1);
    }
    m.optimizer = 2 * 4 * (uint64_t)m.trained_parameters + 16;
    m.gradients = 4 * (uint64_t)m.trained_parameters;
    uint64_t kept = t->accumulate ? m.gradients : 0;
    m.weights = update.variables - m.optimizer - kept;
    m.arena = update.arena;
    m.arena_bound = update.arena_bound;
    m.total = update.variables + update.arena + update.staging;
    if (t->accumulate) {
        tuff_program_memory more = tuff_program_get_memory(t->accumulate);
        m.arena += more.arena;
        m.arena_bound += more.arena_bound;
        m.total += more.arena + more.staging;
    }
    return m;
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
    TUFF_TRY(tuff_model_upload(t->model, t->lm.matrix_dtype, t->store));
    TUFF_TRY(tuff_model_upload_rope(t->model, t->lm.rope_positions, t->store));
    if (t->lm.lora) TUFF_TRY(tuff_lora_upload(t->lm.lora, t->store));
    TUFF_TRY(add_state(t));
    TUFF_TRY(tuff_store_bind(t->store, t->update));
    TUFF_TRY(tuff_lm_set_positions(&t->lm, t->update));
    if (!t->accumulate) return TUFF_OK;
    TUFF_TRY(tuff_store_bind(t->store, t->accumulate));
    return tuff_lm_set_positions(&t->lm, t->accumulate);
}

tuff_status tuff_trainer_prepare(tuff_trainer *t)
{
    if (t->store) return TUFF_OK;
    tuff_status status = fill_store(t);
    if (status != TUFF_OK) tuff_store_destroy(&t->store);
    return status;
}

/* Block `i` of the endless sequence: every epoch is a new order of all blocks. */
static const int32_t *block_at(tuff_trainer *t, int64_t i)
{
    int64_t epoch = i / t->blocks;
    if (epoch != t->order_epoch) {
        for (int64_t k = 0; k < t->blocks; k++)
            t->order[k] = (uint32_t)k;
        if (!t->params.no_shuffle)
            tuff_rng_shuffle(t->order, (uint32_t)t->blocks, t->params.seed, (uint32_t)epoch,
                             TUFF_STREAM_SHUFFLE);
        t->order_epoch = epoch;
    }
    return t->data->ids + (int64_t)t->order[i % t->blocks] * t->data->block_size;
}

static void take_batch(tuff_trainer *t, int64_t first_block, int32_t *ids)
{
    for (int64_t b = 0; b < t->lm.batch; b++)
        memcpy(ids + b * t->lm.length, block_at(t, first_block + b), (size_t)t->lm.length * sizeof *ids);
}

tuff_status tuff_trainer_next_batch(tuff_trainer *t, int32_t *out_ids, size_t count)
{
    int64_t micro = t->params.gradient_accumulation_steps, n = t->lm.batch * t->lm.length;
    if (count != (size_t)(micro * n))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a step has %lld ids, room for %zu was given",
                         (long long)(micro * n), count);
    for (int64_t i = 0; i < micro; i++)
        take_batch(t, t->next_block + i * t->lm.batch, out_ids + i * n);
    return TUFF_OK;
}

static tuff_status run_micro(tuff_trainer *t, int64_t i, float *out_loss)
{
    int64_t micro = t->params.gradient_accumulation_steps;
    bool last = i + 1 == micro;
    tuff_program *program = last ? t->update : t->accumulate;
    uint32_t seed[3] = {(uint32_t)t->params.seed, (uint32_t)(t->params.seed >> 32),
                        (uint32_t)(t->step * micro + i)};
    float lr = (float)tuff_schedule_rate(t->params.lr_scheduler_type, t->params.learning_rate, t->step,
                                         t->warmup_steps, t->total_steps);
    take_batch(t, t->next_block, t->ids);
    t->next_block += t->lm.batch;
    tuff_labels_of(t->ids, t->lm.batch, t->lm.length, t->labels);
    TUFF_TRY(tuff_lm_set_batch(&t->lm, program, t->ids, t->labels, t->index));
    TUFF_TRY(tuff_program_input(program, "dropout_seed", seed, sizeof seed));
    TUFF_TRY(tuff_program_input(program, "lr", &lr, sizeof lr));
    TUFF_TRY(tuff_program_run(program));
    return tuff_program_output(program, "loss", out_loss, sizeof *out_loss);
}

tuff_status tuff_trainer_step(tuff_trainer *t, tuff_train_step *out_step)
{
    TUFF_TRY(tuff_trainer_prepare(t));
    int64_t micro = t->params.gradient_accumulation_steps;
    double loss = 0;
    for (int64_t i = 0; i < micro; i++) {
        float one = 0;
        TUFF_TRY(run_micro(t, i, &one));
        loss += (double)one / (double)micro;
    }
    float norm = 0;
    TUFF_TRY(tuff_program_output(t->update, "norm", &norm, sizeof norm));
    double rate = tuff_schedule_rate(t->params.lr_scheduler_type, t->params.learning_rate, t->step,
                                     t->warmup_steps, t->total_steps);
    t->step++;
    *out_step = (tuff_train_step){.step = t->step,
                                  .epoch = (double)t->next_block / (double)t->blocks,
                                  .loss = loss,
                                  .learning_rate = rate,
                                  .grad_norm = (double)norm,
                                  .skipped = !isfinite(norm),
                                  .tokens = micro * t->lm.batch * t->lm.length};
    return TUFF_OK;
}

tuff_status tuff_trainer_evaluate(tuff_trainer *t, const tuff_dataset *data, tuff_eval_result *out_result)
{
    *out_result = (tuff_eval_result){0};
    TUFF_TRY(tuff_trainer_prepare(t));
    if (t->evaluate && t->eval_lm.length != data->block_size) tuff_program_destroy(&t->evaluate);
    if (!t->evaluate) {
        t->eval_lm = t->lm;
        t->eval_lm.length = data->block_size;
        TUFF_TRY(tuff_lm_eval_program(&t->eval_lm, t->device, &t->evaluate));
        TUFF_TRY(tuff_store_bind(t->store, t->evaluate));
    }
    return tuff_evaluate_with(&t->eval_lm, t->evaluate, data, out_result);
}

static tuff_status save_adapter(const tuff_trainer *t, const char *directory)
{
    tuff_stage *stage = NULL;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_status status = tuff_lora_save(t->lm.lora, t->store, tuff_stage_path(stage));
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

tuff_status tuff_trainer_save(tuff_trainer *t, const char *directory)
{
    TUFF_TRY(tuff_trainer_prepare(t));
    if (t->lm.lora) return save_adapter(t, directory);
    return tuff_model_save_hf(t->model, t->store, TUFF_F32, directory);
}
