/* The settings of a training: their ranges. */
#include "base/status.h"
#include "base/watch.h"
#include "train/trainer.h"

static tuff_status check_range(const char *name, double value, double low, double high)
{
    if (value >= low && value <= high) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %g, expected %g to %g", name, value, low, high);
}

tuff_status tuff_train_params_check(const tuff_train_params *p)
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
    TUFF_TRY(check_range("layerwise_lr_decay", p->layerwise_lr_decay, 0, 1));
    TUFF_TRY(check_range("loraplus_lr_ratio", p->loraplus_lr_ratio, 0, 1e6));
    TUFF_TRY(check_range("loraplus_lr_embedding", p->loraplus_lr_embedding, 0, 1e6));
    TUFF_TRY(check_range("momentum", p->momentum, 0, 0.9999999));
    if (p->nesterov && p->momentum == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "nesterov needs a momentum above 0");
    TUFF_TRY(check_range("max_nonfinite", (double)p->max_nonfinite, 0, 1e15));
    TUFF_TRY(tuff_watch_check(p->watch));
    TUFF_TRY(check_range("max_grad_norm", p->max_grad_norm, 0, 1e30));
    TUFF_TRY(check_range("label_smoothing_factor", p->label_smoothing_factor, 0, 1));
    TUFF_TRY(check_range("neftune_noise_alpha", p->neftune_noise_alpha, 0, 1e6));
    TUFF_TRY(check_range("unfreeze_top_layers", (double)p->unfreeze_top_layers, 0, 1e15));
    TUFF_TRY(check_range("ema_decay", p->ema_decay, 0, 0.9999999));
    if (p->dropout != TUFF_DROPOUT_NONE && p->dropout != TUFF_DROPOUT_CONFIG &&
        !(p->dropout >= 0 && p->dropout < 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "dropout is %g, expected at least 0 and below 1, TUFF_DROPOUT_NONE or "
                         "TUFF_DROPOUT_CONFIG",
                         p->dropout);
    if (p->max_steps < 0) TUFF_TRY(check_range("num_train_epochs", p->num_train_epochs, 1e-9, 1e9));
    return TUFF_OK;
}
