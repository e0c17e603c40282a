/* Options of `tuff train` that go together, and what follows from some where others are not given. */
#include <math.h>

#include "cli/train.h"

/* What is learned by where no --loss says so, and whether it is of the task. */
static const char *settle_loss(tuff_cli_train_options *o)
{
    const bool vectors = o->loss < TUFF_CLI_VECTOR_LOSSES;
    if (o->loss < 0) { /* the first of the task's own */
        if (o->task == TUFF_CLI_TRAIN_EMBEDDING) o->loss = 0;
        if (o->task == TUFF_CLI_PREFERENCE) o->loss = TUFF_CLI_VECTOR_LOSSES;
        return NULL;
    }
    if (!vectors) o->data.preference = o->loss - TUFF_CLI_VECTOR_LOSSES;
    if (o->task == (vectors ? TUFF_CLI_TRAIN_EMBEDDING : TUFF_CLI_PREFERENCE)) return NULL;
    return "--loss mnrl, cosine, triplet, contrastive and cosent are of --task embedding; dpo, ipo, hinge, robust, orpo "
           "and kto of --task preference";
}

/* What is trained for where no --task says so. */
static bool settle_task(tuff_cli_train_options *o)
{
    if (o->task >= 0) return true;
    const bool text =
        o->format == TUFF_CLI_FORMAT_TEXT || o->block_size || o->data.block_stride || o->dump_batches;
    o->task = o->mix.count ? tuff_cli_mixture_task(o)
              : text       ? TUFF_CLI_CAUSAL_LM
                           : tuff_cli_task_of_file(o->train_file);
    return o->task >= 0;
}

/* Options that go together. */
static const char *contradiction(const tuff_cli_train_options *o)
{
    const bool blocks = o->block_size || o->data.block_stride;
    if (o->task != TUFF_CLI_CAUSAL_LM && (o->dump_batches || (blocks && !o->mix.count)))
        return "--dump-batches, --block-size and --block-stride are of --task causal-lm";
    if (o->data.validation_split > 0 && o->validation_file)
        return "--validation-file and --validation-split both say what to measure on; give one";
    if (o->task != TUFF_CLI_SEQ2SEQ && o->data.source_prefix) return "--source-prefix is of --task seq2seq";
    const char *wrong =
        tuff_cli_check_conversations(&o->data, o->task, o->train_file, o->format == TUFF_CLI_FORMAT_TEXT);
    if (!wrong) wrong = tuff_cli_check_preferences(&o->data, o->task);
    if (!wrong) wrong = tuff_cli_check_answers(&o->data, o->task);
    if (wrong) return wrong;
    if (!o->output_dir && !o->print_plan && !o->dry_run) return "train needs --output-dir";
    if (o->dry_run && (o->print_plan || o->dump_batches || o->profile.given))
        return "--dry-run writes nothing: --print-plan, --dump-batches and --profile are without it";
    if (o->max_memory && !o->auto_batch) return "--max-memory is of --auto-batch";
    if (o->nesterov && o->momentum == 0) return "--nesterov needs --momentum";
    if (isnan(tuff_cli_train_dropout(o)))
        return "--dropout is config, none, or a number from 0 to less than 1";
    const bool lora = tuff_cli_trains(o, "lora"), vera = tuff_cli_trains(o, "vera");
    if (!lora && (o->lora_alpha >= 0 || o->lora_target || (!vera && (o->lora_rank || o->lora_dropout >= 0))))
        return vera ? "--lora-alpha and --lora-target are of LoRA; of VeRA there is --target-modules"
               : o->peft_type ? "--lora-rank, --lora-alpha, --lora-dropout and --lora-target are of LoRA"
                              : "--lora-alpha, --lora-dropout and --lora-target need --lora-rank";
    if (!tuff_cli_trains(o, "bottleneck") &&
        (o->adapter_config || o->reduction_factor != 0 || o->non_linearity || o->adapter_dropout >= 0))
        return "--adapter-config, --reduction-factor, --non-linearity and --adapter-dropout need --method adapter";
    if (!vera && (o->d_initial != 0 || o->projection_key))
        return "--d-initial and --projection-prng-key need --method vera";
    if (!tuff_cli_trains(o, "lora") && (o->use_rslora || o->use_dora || o->rank_pattern || o->alpha_pattern ||
                                        o->target_parameters || o->bias))
        return "--use-rslora, --use-dora, --rank-pattern, --alpha-pattern, --bias and --target-parameters are of LoRA: "
               "they need --lora-rank or --method lora";
    const bool tokens = tuff_cli_trains(o, "trainable_tokens");
    if (!lora && !tokens && o->token_indices)
        return "--trainable-token-indices is of LoRA and of --method tokens";
    const bool speaks =
        o->task == TUFF_CLI_CAUSAL_LM || o->task == TUFF_CLI_SFT || o->task == TUFF_CLI_PREFERENCE;
    if (o->special_tokens && !speaks)
        return "--add-special-tokens is of --task causal-lm, sft and preference: in the texts of other tasks special tokens "
               "are plain text, so that new ones would not be learned";
    if (tokens && !o->token_indices && !o->special_tokens)
        return "--method tokens needs --trainable-token-indices or --add-special-tokens";
    if (o->base_model_name && !o->lora_rank && !o->peft_type)
        return "--base-model-name is of adapters: it needs --lora-rank or --method";
    if (o->target_modules && !lora && !vera && !tuff_cli_trains(o, "ia3"))
        return "--target-modules needs --method lora, vera or ia3";
    if (o->feedforward_modules && !tuff_cli_trains(o, "ia3"))
        return "--feedforward-modules needs --peft-type ia3";
    if (o->virtual_tokens && !tuff_cli_trains(o, "prompt_tuning") && !tuff_cli_trains(o, "prefix_tuning"))
        return "--num-virtual-tokens needs --method prompt or prefix";
    if (o->init_text && !tuff_cli_trains(o, "prompt_tuning"))
        return "--prompt-tuning-init-text needs --method prompt";
    if ((o->prefix_projection || o->encoder_hidden) && !tuff_cli_trains(o, "prefix_tuning"))
        return "--prefix-projection and --encoder-hidden-size need --method prefix";
    if (o->encoder_hidden && !o->prefix_projection) return "--encoder-hidden-size needs --prefix-projection";
    if (o->lora_target && o->target_modules)
        return "--lora-target and --target-modules say the same thing; give one";
    bool vectors = o->gradient_cache_batch || o->pooling || o->query_prompt || o->document_prompt;
    if (vectors && o->task != TUFF_CLI_TRAIN_EMBEDDING)
        return "--gradient-cache-batch, --pooling and prompts are of --task embedding";
    bool search = o->eval_docs || o->eval_queries || o->eval_qrels;
    if ((search || o->id_field) && o->task != TUFF_CLI_TRAIN_EMBEDDING)
        return "--eval-docs, --eval-queries, --eval-qrels and --id-field are of --task embedding";
    if (search && !(o->eval_docs && o->eval_queries && o->eval_qrels))
        return "a search needs --eval-docs, --eval-queries and --eval-qrels";
    const tuff_cli_train_options preset = tuff_cli_train_defaults();
    if (!o->sample_prompts.count &&
        (o->sample_steps || o->sample_tokens != preset.sample_tokens || o->sample_temperature > 0))
        return "--sample-steps, --sample-tokens and --sample-temperature need --sample-prompt";
    if (o->warmup_steps && o->warmup_ratio > 0)
        return "--warmup-steps and --warmup-ratio say the same thing; give one";
    return NULL;
}

bool tuff_cli_train_settle(tuff_cli_train_options *o)
{
    const char *wrong = tuff_cli_mixture_settle(o);
    if (!wrong) wrong = tuff_cli_take_method(o);
    if (!wrong && !settle_task(o)) return false;
    if (!wrong) wrong = settle_loss(o);
    if (!wrong) wrong = contradiction(o);
    if (!wrong) wrong = tuff_cli_checkpoints_settle(o);
    if (!wrong) wrong = tuff_cli_page_settle(o);
    if (wrong) tuff_cli_say("tuff: %s (see: tuff help train)", wrong);
    return !wrong;
}
