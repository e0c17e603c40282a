/* What the options of `tuff train` mean to the library; which method they say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/train.h"

/* What --method says, in PEFT's words, and for people. */
static const struct method {
    const char *name, *peft_type, *title;
} methods[] = {{"full", NULL, NULL},
               {"lora", "lora", "LoRA"},
               {"dora", "lora", "DoRA"},
               {"vera", "vera", "VeRA"},
               {"ia3", "ia3", "IA3"},
               {"prompt", "prompt_tuning", "prompt tuning"},
               {"prefix", "prefix_tuning", "prefix tuning"},
               {"bitfit", "bitfit", "BitFit"},
               {"tokens", "trainable_tokens", "trainable tokens"},
               {"adapter", "bottleneck", "bottleneck adapters"}};

tuff_cli_train_options tuff_cli_train_defaults(void)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    return (tuff_cli_train_options){
        .max_steps = p.max_steps,
        .epochs = p.num_train_epochs,
        .batch_size = p.per_device_train_batch_size,
        .accumulation = p.gradient_accumulation_steps,
        .learning_rate = p.learning_rate,
        .scheduler = (int)p.lr_scheduler_type,
        .warmup_steps = p.warmup_steps,
        .warmup_ratio = p.warmup_ratio,
        .loraplus_embedding = p.loraplus_lr_embedding,
        .weight_decay = p.weight_decay,
        .beta1 = p.adam_beta1,
        .beta2 = p.adam_beta2,
        .epsilon = p.adam_epsilon,
        .max_grad_norm = p.max_grad_norm,
        .seed = (int64_t)p.seed,
        .max_nonfinite = p.max_nonfinite,
        .logging_steps = 10,
        .task = -1,
        .loss = -1,
        .lora_alpha = -1,
        .lora_dropout = -1,
        .adapter_dropout = -1,
        .save_strategy = -1,
        .eval_strategy = -1,
        .sample_tokens = 64,
        .data = TUFF_CLI_DATA_DEFAULTS,
    };
}

double tuff_cli_train_dropout(const tuff_cli_train_options *o)
{
    char *end;
    if (!o->dropout) return 0;
    if (strcmp(o->dropout, "config") == 0) return TUFF_DROPOUT_CONFIG;
    if (strcmp(o->dropout, "none") == 0) return TUFF_DROPOUT_NONE;
    double p = strtod(o->dropout, &end);
    if (*end || end == o->dropout || !(p >= 0 && p < 1)) return NAN;
    return p == 0 ? TUFF_DROPOUT_NONE : p;
}

tuff_train_params tuff_cli_train_params(const tuff_cli_train_options *o)
{
    static const char *const biases[] = {NULL, "all", "lora_only"}; /* TUFF_CLI_BIASES */
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = o->max_steps;
    p.num_train_epochs = o->epochs;
    p.per_device_train_batch_size = o->batch_size;
    p.gradient_accumulation_steps = o->accumulation;
    p.learning_rate = o->learning_rate;
    p.lr_scheduler_type = (tuff_schedule)o->scheduler;
    p.warmup_steps = o->warmup_steps;
    p.warmup_ratio = o->warmup_ratio;
    p.weight_decay = o->weight_decay;
    p.layerwise_lr_decay = o->layerwise_decay;
    p.loraplus_lr_ratio = o->loraplus_ratio;
    p.loraplus_lr_embedding = o->loraplus_embedding;
    p.label_smoothing_factor = o->label_smoothing;
    p.neftune_noise_alpha = o->neftune_alpha;
    p.ema_decay = o->ema_decay;
    p.dropout = tuff_cli_train_dropout(o);
    p.freeze = o->freeze;
    p.train_only = o->train_only;
    p.unfreeze_top_layers = o->unfreeze_top_layers;
    p.unfreeze_schedule = o->unfreeze_schedule;
    p.adam_beta1 = o->beta1;
    p.adam_beta2 = o->beta2;
    p.adam_epsilon = o->epsilon;
    p.max_grad_norm = o->max_grad_norm;
    p.seed = (uint64_t)o->seed;
    p.no_shuffle = o->no_shuffle;
    p.predict_with_generate = o->data.predict_with_generate;
    p.use_stemmer = o->data.use_stemmer;
    p.max_nonfinite = o->max_nonfinite;
    p.watch = tuff_cli_watch();
    p.lr_scheduler_kwargs = o->scheduler_kwargs;
    p.optim = o->optim;
    p.optim_args = o->optim_args;
    p.momentum = o->momentum;
    p.nesterov = o->nesterov;
    p.lora_rank = o->lora_rank;
    if (o->lora_alpha >= 0) p.lora_alpha = o->lora_alpha;
    if (o->lora_dropout >= 0) p.lora_dropout = o->lora_dropout;
    if (o->adapter_dropout >= 0) p.lora_dropout = o->adapter_dropout;
    p.lora_target = o->lora_target;
    p.peft_type = o->peft_type;
    p.target_modules = o->target_modules;
    p.feedforward_modules = o->feedforward_modules;
    p.num_virtual_tokens = o->virtual_tokens;
    p.prompt_tuning_init_text = o->init_text;
    p.use_rslora = o->use_rslora;
    p.use_dora = o->use_dora;
    p.rank_pattern = o->rank_pattern;
    p.alpha_pattern = o->alpha_pattern;
    p.target_parameters = o->target_parameters;
    p.trainable_token_indices = o->token_indices;
    p.base_model_name = o->base_model_name;
    p.bias = biases[o->bias];
    p.prefix_projection = o->prefix_projection;
    p.encoder_hidden_size = o->encoder_hidden;
    p.d_initial = o->d_initial;
    p.projection_prng_key = (uint64_t)o->projection_key;
    p.adapter_config = o->adapter_config;
    p.reduction_factor = o->reduction_factor;
    p.non_linearity = o->non_linearity;
    p.bf16 = o->bf16;
    return p;
}

bool tuff_cli_trains(const tuff_cli_train_options *o, const char *peft_type)
{
    if (!o->peft_type) return o->lora_rank && strcmp(peft_type, "lora") == 0;
    return strcasecmp(o->peft_type, peft_type) == 0;
}

const char *tuff_cli_method_title(const tuff_cli_train_options *o)
{
    if (o->use_dora) return "DoRA";
    for (size_t i = 1; i < sizeof methods / sizeof *methods; i++)
        if (tuff_cli_trains(o, methods[i].peft_type)) return methods[i].title;
    return NULL;
}

const char *tuff_cli_take_method(tuff_cli_train_options *o)
{
    if (!o->method) return NULL;
    if (o->peft_type) return "--method and --peft-type say the same thing; give one";
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcasecmp(o->method, methods[i].name) != 0) continue;
        if (!methods[i].peft_type && o->lora_rank)
            return "--method full trains all parameters, --lora-rank an adapter";
        o->peft_type = methods[i].peft_type;
        o->use_dora = o->use_dora || strcasecmp(o->method, "dora") == 0;
        return NULL;
    }
    return "--method is " TUFF_CLI_METHODS;
}
