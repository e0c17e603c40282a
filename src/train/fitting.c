/* The largest batches that a device has room for. */
#include "base/log.h"
#include "base/structs.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "train/trainer.h"

enum { LARGEST = 65536 };

/* By rule, and not by what is free just now: another batch rounds otherwise. */
static uint64_t room_of(const tuff_device *device)
{
    const tuff_device_info *info = tuff_device_get_info(device);
    return info->type == TUFF_DEVICE_DISCRETE ? info->memory_bytes / 10 * 9 : info->memory_bytes / 2;
}

static tuff_status does_not_fit(uint64_t needed, uint64_t room)
{
    return tuff_fail(
        TUFF_OUT_OF_MEMORY,
        "training takes %.1f MB with one example at a time, and %.1f MB of the device may be taken; "
        "shorter examples, LoRA or another optimizer need less",
        (double)needed / 1e6, (double)room / 1e6);
}

static tuff_status examples_are_compared(const tuff_dataset *train)
{
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "the loss of %s compares the examples of a batch, whose size is therefore part of what is "
        "learned and cannot be chosen by memory; choose it yourself",
        train->task->title);
}

/* The routers' loss is of the tokens that run at once. */
static bool balances_experts(tuff_trainer *trainer)
{
    return tuff_program_has_input(tuff_trainer_program(trainer), "balance.tokens");
}

static tuff_status experts_are_balanced(void)
{
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "the model's config asks for the loss of its routers (output_router_logits, "
        "router_aux_loss_coef), which is of the tokens that run at once: how many these are is part "
        "of what is learned and cannot be chosen by memory; choose it yourself");
}

tuff_status tuff_trainer_create_fitting(const tuff_model *model, tuff_device *device,
                                        const tuff_dataset *train, const tuff_train_params *params,
                                        uint64_t memory, tuff_trainer **out_trainer)
{
    TUFF_NEED_OUT(out_trainer);
    TUFF_NEED(model);
    TUFF_NEED(device);
    TUFF_NEED(train);
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_TRAIN_PARAMS_INIT, watch));
    TUFF_TRY(tuff_train_params_check(&p));
    if (train->task->compares && train->task->compares(train)) return examples_are_compared(train);
    const int64_t examples = p.per_device_train_batch_size * p.gradient_accumulation_steps;
    const uint64_t room = memory ? memory : room_of(device);
    tuff_status status = TUFF_OK;
    for (int64_t batch = examples < LARGEST ? examples : LARGEST; batch > 0; batch--) {
        if (examples % batch != 0 || examples / batch > LARGEST) continue;
        p.per_device_train_batch_size = batch;
        p.gradient_accumulation_steps = examples / batch;
        status = tuff_trainer_create_with(model, device, train, &p, false, out_trainer);
        const bool large = status == TUFF_OUT_OF_MEMORY || status == TUFF_UNSUPPORTED;
        if (status != TUFF_OK && !large) return status;
        if (status == TUFF_OK && balances_experts(*out_trainer)) {
            tuff_trainer_destroy(out_trainer);
            return experts_are_balanced();
        }
        const uint64_t needed = status == TUFF_OK ? tuff_trainer_memory(*out_trainer).total : 0;
        if (status == TUFF_OK && needed <= room) {
            tuff_log_to(&device->log, TUFF_LOG_INFO,
                        "batches of %lld examples, %lld for a step, fit in %.1f MB", (long long)batch,
                        (long long)(examples / batch), (double)room / 1e6);
            return TUFF_OK;
        }
        if (status == TUFF_OK) status = does_not_fit(needed, room);
        tuff_trainer_destroy(out_trainer);
    }
    return status;
}

tuff_status tuff_trainer_get_batch(const tuff_trainer *t, int64_t *out_batch_size, int64_t *out_accumulation)
{
    TUFF_NEED(t);
    if (out_batch_size) *out_batch_size = t->params.per_device_train_batch_size;
    if (out_accumulation) *out_accumulation = t->params.gradient_accumulation_steps;
    return TUFF_OK;
}
