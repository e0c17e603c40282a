#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/structs.h"
#include "runtime/program.h"
#include "runtime/room.h"
#include "train/answering.h"
#include "train/mixture.h"

/* A language model has its head, or is none. */
static tuff_status need_head(tuff_trainer *t)
{
    tuff_head_wish wish = tuff_task_wish(t->data);
    wish.seed = t->params.seed;
    wish.whole = t->params.lora_rank > 0 || t->params.peft_type;
    /* PEFT trains the outputs of classifiers whole, also where there is one */
    bool output = wish.whole && wish.head && wish.head != &tuff_head_mlm;
    if (!t->data->task->load || (!output && tuff_model_fits(t->model, &wish))) return TUFF_OK;
    TUFF_TRY(tuff_model_with_head(t->model, &wish, &t->own_model));
    t->model = t->own_model;
    return TUFF_OK;
}

static tuff_status take_optimizer(tuff_train_params *p, const tuff_log_receiver *log,
                                  tuff_optimizer_settings *out)
{
    *out = (tuff_optimizer_settings){.beta1 = p->adam_beta1,
                                     .beta2 = p->adam_beta2,
                                     .eps = p->adam_epsilon,
                                     .momentum = p->momentum,
                                     .nesterov = p->nesterov,
                                     .weight_decay = p->weight_decay,
                                     .learning_rate = p->learning_rate,
                                     .max_grad_norm = p->max_grad_norm};
    TUFF_TRY(tuff_optimizer_find(p->optim, &out->optimizer));
    if (p->optim && tuff_starts_with(p->optim, "paged_"))
        tuff_log_to(log, TUFF_LOG_INFO, "%s is %s here: its states stay on the device", p->optim,
                    out->optimizer->name);
    TUFF_TRY(tuff_optimizer_take_args(out, p->optim_args));
    p->optim = p->optim_args = NULL; /* they point to the caller's texts, which need not live on */
    if (p->momentum > 0 && !out->optimizer->momentum)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "momentum is %g, but the optimizer is %s, which has none; choose sgd", p->momentum,
                         out->optimizer->name);
    return TUFF_OK;
}

/* It is asked for when the adapter is saved, when the caller's text may be gone. */
static tuff_status keep_base_name(tuff_trainer *t)
{
    const char *name = t->params.base_model_name;
    t->params.base_model_name = NULL;
    t->base_name = name ? tuff_strdup(name) : NULL;
    return t->base_name || !name ? TUFF_OK : tuff_fail_memory("a trainer");
}

static tuff_status make_adapter(tuff_trainer *t)
{
    tuff_train_params *p = &t->params;
    enum { VIRTUAL_TOKENS = 20 };
    const bool named = p->peft_type != NULL;
    const tuff_adapter_settings settings = {.peft_type = named ? p->peft_type : "LORA",
                                            .targets = p->lora_target ? p->lora_target : p->target_modules,
                                            .feedforward = p->feedforward_modules,
                                            .rank = p->lora_rank,
                                            .alpha = p->lora_alpha,
                                            .dropout = p->lora_dropout,
                                            .use_rslora = p->use_rslora,
                                            .use_dora = p->use_dora,
                                            .bias = p->bias,
                                            .rank_pattern = p->rank_pattern,
                                            .alpha_pattern = p->alpha_pattern,
                                            .parameters = p->target_parameters,
                                            .tokens = p->trainable_token_indices,
                                            .virtual_tokens = p->num_virtual_tokens ? p->num_virtual_tokens
                                                                                    : VIRTUAL_TOKENS,
                                            .d_initial = p->d_initial,
                                            .projection_key = p->projection_prng_key,
                                            .prefix_projection = p->prefix_projection,
                                            .encoder_hidden = p->encoder_hidden_size,
                                            .bottleneck = p->adapter_config,
                                            .reduction_factor = p->reduction_factor,
                                            .activation = p->non_linearity,
                                            .init_text = p->prompt_tuning_init_text,
                                            .seed = p->seed};
    t->runs.lm.trains_model = !named && !p->lora_rank;
    if (!t->runs.lm.trains_model) TUFF_TRY(tuff_adapter_create(t->model, &settings, &t->runs.lm.adapter));
    /* they point to the caller's texts, which need not live on */
    p->peft_type = p->lora_target = p->target_modules = NULL;
    p->feedforward_modules = p->prompt_tuning_init_text = NULL;
    p->rank_pattern = p->alpha_pattern = p->target_parameters = p->bias = NULL;
    p->adapter_config = p->non_linearity = p->trainable_token_indices = NULL;
    return keep_base_name(t);
}

/* They are asked for when a checkpoint is written, when the caller's texts may be gone. */
static tuff_status keep_selection(tuff_trainer *t)
{
    const char **const given[] = {&t->params.freeze, &t->params.train_only, &t->params.unfreeze_schedule};
    for (int i = 0; i < 3; i++) {
        const char *text = *given[i];
        *given[i] = NULL;
        if (text && !(t->selection_texts[i] = tuff_strdup(text))) return tuff_fail_memory("a trainer");
    }
    return TUFF_OK;
}

static tuff_status choose_dropouts(tuff_trainer *t)
{
    const double asked = t->params.dropout;
    const bool preset_none = asked == 0 && t->data->task == &tuff_task_preference;
    const tuff_config *c = &t->model->config;
    tuff_dropouts *d = &t->runs.lm.dropouts;
    if (asked == TUFF_DROPOUT_NONE || preset_none)
        *d = (tuff_dropouts){{0}};
    else
        *d = asked > 0 ? tuff_dropouts_all(c, asked) : c->dropouts;
    tuff_dropouts_fit(c, d);
    tuff_dropouts_put(d, &t->dropout_text);
    return t->dropout_text.failed ? tuff_fail_memory("a trainer") : TUFF_OK;
}

static tuff_status build(tuff_trainer *t, bool decay_all)
{
    const tuff_train_params *p = &t->params;
    TUFF_TRY(tuff_train_params_check(p));
    if (p->predict_with_generate) TUFF_TRY(tuff_answer_check(t->data->task));
    TUFF_TRY(need_head(t));
    TUFF_TRY(tuff_trainer_check_data(t));
    t->blocks = tuff_dataset_blocks(t->data);
    t->order_epoch = -1;
    t->runs.decay_all = decay_all;
    TUFF_TRY(take_optimizer(&t->params, &t->device->log, &t->runs.optimizer));
    t->runs.lm = (tuff_lm){.watch = p->watch,
                           .model = t->model,
                           .data = t->data,
                           .groups = {.learning_rate = p->learning_rate,
                                      .layerwise_decay = p->layerwise_lr_decay,
                                      .loraplus_ratio = p->loraplus_lr_ratio,
                                      .loraplus_embedding = p->loraplus_lr_embedding},
                           .label_smoothing = p->label_smoothing_factor,
                           .averaged = p->ema_decay > 0,
                           .noise = p->neftune_noise_alpha > 0,
                           .operands = p->bf16 ? TUFF_BF16 : TUFF_F32,
                           .rope_positions = tuff_data_positions(t->model, t->data)};
    TUFF_TRY(choose_dropouts(t));
    TUFF_TRY(make_adapter(t));
    TUFF_TRY(keep_selection(t));
    if (p->loraplus_lr_ratio > 0 &&
        (!t->runs.lm.adapter || strcmp(t->runs.lm.adapter->method->peft_type, "LORA") != 0))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "loraplus_lr_ratio is %g, but no LoRA is trained",
                         p->loraplus_lr_ratio);
    if (t->data->task->run && tuff_adapter_virtual_tokens(t->runs.lm.adapter))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "how vectors behind virtual tokens are pooled is defined neither by PEFT nor by "
                         "sentence-transformers, so that %s of %s is not done; take LoRA or IA3",
                         t->runs.lm.adapter->method->title, t->data->task->title);
    TUFF_TRY(tuff_lm_reserve(&t->runs.lm));
    TUFF_TRY(tuff_runs_open(&t->runs, t->device));
    t->runs.pack.noise = p->neftune_noise_alpha;
    t->order = tuff_alloc_array((size_t)t->blocks, sizeof *t->order);
    t->examples = tuff_alloc_array((size_t)p->per_device_train_batch_size, sizeof *t->examples);
    if (t->data->mixture)
        t->mixing = tuff_alloc_array((size_t)tuff_mixture_largest(t->data->mixture), sizeof *t->mixing);
    if (!t->order || !t->examples || (t->data->mixture && !t->mixing)) return tuff_fail_memory("a trainer");
    return tuff_trainer_plan(t);
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
    tuff_model_keep(model);
    tuff_dataset_keep(train);
    tuff_device_keep(device);
    t->given = model;
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
    tuff_references_free(&t->references);
    tuff_buf_free(&t->meter.seen);
    tuff_buf_free(&t->dropout_text);
    tuff_free(t->meter.scratch);
    tuff_runs_close(&t->runs);
    tuff_model_destroy(&t->own_model);
    tuff_free(t->base_name);
    for (int i = 0; i < 3; i++)
        tuff_free(t->selection_texts[i]);
    tuff_trained_set_free(&t->selected);
    tuff_model_let_go(t->given);
    tuff_dataset_let_go(t->data);
    tuff_device_let_go(t->device);
    tuff_free(t->order);
    tuff_free(t->mixing);
    tuff_free(t->examples);
    tuff_free(t);
    *trainer = NULL;
}

int64_t tuff_trainer_total_steps(const tuff_trainer *t)
{
    if (!t) return 0;
    return t->total_steps;
}

const char *tuff_trainer_dropout(const tuff_trainer *t)
{
    return t && t->dropout_text.data ? t->dropout_text.data : "";
}

tuff_program *tuff_trainer_program(tuff_trainer *t)
{
    if (!t) return NULL;
    return t->accumulate ? t->accumulate : t->update;
}

tuff_status tuff_trainer_get_memory(const tuff_trainer *t, tuff_train_memory *out_memory)
{
    TUFF_NEED(t);
    const tuff_train_memory memory = tuff_trainer_memory(t);
    return TUFF_GIVE(out_memory, &memory, TUFF_TRAIN_MEMORY_INIT, parameters);
}

static tuff_status add_state(tuff_trainer *t)
{
    tuff_store *store = tuff_session_store(t->runs.session);
    for (size_t i = 0; i < tuff_lm_trained_count(&t->runs.lm); i++) {
        tuff_trained x = tuff_lm_trained(&t->runs.lm, i);
        TUFF_TRY(tuff_optimizer_add_states(&t->runs.optimizer, &x, store));
        if (!t->sums) continue;
        tuff_buf name = {0};
        tuff_buf_printf(&name, "grad.%s", x.name);
        tuff_status status = name.failed ? tuff_fail_memory("gradients")
                                         : tuff_store_add(store, name.data, TUFF_F32, x.rank, x.shape, NULL);
        tuff_buf_free(&name);
        TUFF_TRY(status);
    }
    for (int phase = 0; phase < t->selected.phases; phase++)
        TUFF_TRY(tuff_optimizer_add_counter(store, phase));
    return tuff_trainer_add_averages(t);
}

/* A store that could be filled in part only is emptied. */
tuff_status tuff_trainer_need_store(tuff_trainer *t)
{
    if (t->store) return TUFF_OK;
    tuff_store *store = tuff_session_store(t->runs.session);
    tuff_status status = tuff_lm_upload(&t->runs.lm, store);
    if (status == TUFF_OK) status = add_state(t);
    if (status != TUFF_OK)
        tuff_store_clear(store);
    else
        t->store = store;
    return status;
}

tuff_status tuff_trainer_prepare(tuff_trainer *t)
{
    if (!t->store)
        TUFF_TRY(tuff_room_check(t->device, tuff_trainer_memory(t).total, "training",
                                 "a smaller batch, shorter blocks or LoRA need"));
    TUFF_TRY(tuff_trainer_need_store(t));
    TUFF_TRY(tuff_session_ready(t->runs.session));
    if (t->accumulate) TUFF_TRY(tuff_program_prepare(t->accumulate));
    if (t->average) TUFF_TRY(tuff_program_prepare(t->average));
    TUFF_TRY(tuff_program_prepare(t->update));
    return tuff_trainer_need_references(t);
}

static double present_rate(const tuff_trainer *t)
{
    const tuff_optimizer_settings *s = &t->runs.optimizer;
    double own = s->optimizer->rate ? s->optimizer->rate(s, t->step) : 0;
    return own > 0 ? own : tuff_rates_at(&t->rates, t->step);
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

tuff_status tuff_task_run_program(tuff_task_run *run, int pass, const tuff_task_shape *shape,
                                  tuff_program **out_program)
{
    tuff_trainer *t = run->self;
    return tuff_runs_program(&t->runs, TUFF_LM_ACCUMULATE, t->data, shape, pass, out_program);
}

/* The inputs of a program with gradients that are no batch's. */
static tuff_status set_step(tuff_trainer *t, tuff_program *program, float weight, int64_t piece)
{
    const uint32_t apart = 0x9e3779b9; /* pieces of a batch lie far from each other and from other batches */
    uint32_t seed[3] = {(uint32_t)t->params.seed, (uint32_t)(t->params.seed >> 32),
                        (uint32_t)t->drawn + apart * (uint32_t)piece};
    TUFF_TRY(tuff_program_input(program, "weight", &weight, sizeof weight));
    return tuff_program_input(program, "dropout_seed", seed, sizeof seed);
}

tuff_status tuff_task_run_once(tuff_task_run *run, tuff_program *program)
{
    tuff_trainer *t = run->self;
    TUFF_TRY(set_step(t, program, run->weight, run->piece));
    return tuff_program_run_until(program, &t->runs.work, false);
}

/* A step as it goes. */
typedef struct stepping {
    int64_t labels, tokens;
    float weight; /* 1 / labels */
    double loss;  /* the sum */
} stepping;

double tuff_trainer_epochs_done(const tuff_trainer *t)
{
    int64_t steps = tuff_trainer_epoch_steps(t);
    int64_t examples = t->params.per_device_train_batch_size * t->params.gradient_accumulation_steps;
    return steps ? (double)t->step / (double)steps : (double)(t->step * examples) / (double)t->blocks;
}

static void count_labels(tuff_trainer *t, stepping *s)
{
    for (int64_t i = 0; i < t->params.gradient_accumulation_steps; i++) {
        const tuff_batch batch = tuff_trainer_take_batch(t, t->step, i);
        tuff_task_shape shape;
        int64_t labels;
        if (!batch.count) break;
        tuff_task_size(&batch, &shape, &labels);
        s->labels += labels;
    }
    s->weight = 1.0F / (float)s->labels;
}

static tuff_status run_micro(tuff_trainer *t, int64_t i, stepping *s)
{
    const tuff_task *task = t->data->task;
    const tuff_batch batch = tuff_trainer_take_batch(t, t->step, i);
    tuff_task_shape shape;
    tuff_program *program = NULL;
    int64_t labels;
    double loss = 0;
    if (!batch.count) return TUFF_OK;
    tuff_task_size(&batch, &shape, &labels);
    if (!labels) return TUFF_OK;
    t->drawn = t->step * t->params.gradient_accumulation_steps + i;
    if (t->in_passes) {
        tuff_task_run run = {&t->runs.pack, &t->model->config, s->weight, t, 0};
        TUFF_TRY(task->run(&run, &batch, &loss));
    } else {
        float lr = (float)present_rate(t);
        TUFF_TRY(tuff_runs_program(&t->runs, tuff_trainer_batch_step(t), t->data, &shape, 0, &program));
        TUFF_TRY(set_step(t, program, s->weight, 0));
        TUFF_TRY(tuff_program_input(program, "lr", &lr, sizeof lr));
        TUFF_TRY(tuff_runs_batch(&t->runs, program, &batch, &shape, !t->sums, &loss));
        t->last = program;
        if (task->of_steps) TUFF_TRY(task->observe(&t->meter, &batch, &shape, program));
    }
    s->loss += loss;
    s->tokens += t->runs.pack.tokens - t->runs.pack.sequences * t->runs.pack.virtual_tokens;
    return TUFF_OK;
}

static tuff_status run_step(tuff_trainer *t, stepping *s, float *out_norm)
{
    int64_t micro = t->params.gradient_accumulation_steps;
    tuff_program *update = NULL;
    count_labels(t, s);
    if (!s->labels) return TUFF_OK; /* nothing to learn from */
    tuff_trainer_enter_phase(t);
    tuff_runs_begin(&t->runs, TUFF_PHASE_TRAIN, (uint64_t)micro);
    for (int64_t i = 0; i < micro; i++) {
        t->runs.work.done = (uint64_t)i;
        TUFF_TRY(tuff_watched_tell(&t->runs.work));
        TUFF_TRY(run_micro(t, i, s));
    }
    if (t->sums) {
        float lr = (float)present_rate(t);
        TUFF_TRY(tuff_runs_program(&t->runs, TUFF_LM_UPDATE, t->data, NULL, 0, &update));
        TUFF_TRY(tuff_program_input(update, "lr", &lr, sizeof lr));
        TUFF_TRY(tuff_program_run_until(update, &t->runs.work, true));
        t->last = update;
    }
    return tuff_program_output(t->last, "norm", out_norm, sizeof *out_norm);
}

static tuff_status do_step(tuff_trainer *t, tuff_train_step *out_step)
{
    stepping s = {.labels = 0};
    float norm = 0;
    const uint64_t began = tuff_now_ns();
    TUFF_TRY(TUFF_CHECK_OUT(out_step, TUFF_TRAIN_STEP_INIT, tokens));
    if (t->broken)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "an earlier step failed on its way, and what it left cannot be trained on; begin anew, or go on "
            "from a checkpoint");
    TUFF_TRY(tuff_trainer_prepare(t));
    TUFF_TRY(clear_gradients(t));
    t->moved = true;
    t->meter.model = t->model;
    t->meter.data = t->data;
    tuff_buf_clear(&t->meter.seen);
    tuff_status status = run_step(t, &s, &norm);
    if (status == TUFF_OK && s.labels && isfinite(norm))
        status = tuff_trainer_average(t, t->step - t->skipped);
    if (status != TUFF_OK) {
        t->unclean = t->sums;
        t->broken = status != TUFF_CANCELLED;
        return status;
    }
    tuff_eval_result figures = TUFF_EVAL_RESULT_INIT;
    if (t->data->task->of_steps && s.labels) TUFF_TRY(t->data->task->report(&t->meter, &figures));
    double rate = present_rate(t);
    bool finite = isfinite(norm);
    t->step++;
    t->skipped += !finite || !s.labels;
    tuff_train_step step = {.struct_size = sizeof step,
                            .step = t->step,
                            .epoch = tuff_trainer_epochs_done(t),
                            .loss = s.labels ? s.loss / (double)s.labels : (double)NAN,
                            .learning_rate = rate,
                            .grad_norm = (double)norm,
                            .skipped = !finite || !s.labels,
                            .tokens = s.tokens,
                            .seconds = (double)(tuff_now_ns() - began) * 1e-9,
                            .count = figures.count};
    memcpy(step.figures, figures.figures, sizeof step.figures);
    TUFF_TRY(TUFF_GIVE(out_step, &step, TUFF_TRAIN_STEP_INIT, tokens));
    t->nonfinite = finite ? 0 : t->nonfinite + 1;
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

static tuff_status plan_evaluation(tuff_trainer *t, const tuff_dataset *data)
{
    if (data->task != t->data->task)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the data is of %s, the training of %s", data->task->title,
                         t->data->task->title);
    if (data->task->load) TUFF_TRY(tuff_task_need_head(data, t->model));
    TUFF_TRY(data->task->check(data, t->model));
    TUFF_TRY(tuff_lm_check_length(&t->runs.lm, data));
    TUFF_TRY(tuff_trainer_want_reference(t, data));
    if (data->block_size > t->runs.lm.rope_positions - tuff_adapter_virtual_tokens(t->runs.lm.adapter))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the block size of the evaluation is %lld, the trainer was made for at most %lld",
                         (long long)data->block_size, (long long)t->runs.lm.rope_positions);
    TUFF_TRY(
        tuff_evaluate_plan(&t->runs, data, t->params.per_device_train_batch_size, t->params.seed, &t->extra));
    t->extra += tuff_session_arena_planned(t->runs.session) - t->arena;
    return TUFF_OK;
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
    TUFF_TRY(tuff_trainer_need_store(t));
    TUFF_TRY(tuff_trainer_need_references(t));
    TUFF_TRY(tuff_evaluate_with(&t->runs, data, t->params.per_device_train_batch_size, t->params.seed,
                                tuff_references_find(&t->references, data), out_result));
    return t->params.predict_with_generate ? tuff_trainer_answer(t, data, out_result) : TUFF_OK;
}

tuff_status tuff_trainer_evaluate(tuff_trainer *t, const tuff_dataset *data, tuff_eval_result *out_result)
{
    TUFF_NEED(t);
    TUFF_NEED(data);
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    TUFF_TRY(tuff_eval_give(out_result, &result));
    TUFF_TRY(tuff_trainer_enter(t));
    TUFF_TRY(tuff_trainer_leave(t, evaluate(t, data, &result)));
    return tuff_eval_give(out_result, &result);
}
