/* Fine-tuning and evaluating models: language models, classifiers, embedders. */
#ifndef TUFF_TRAIN_H
#define TUFF_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/embed.h>
#include <tuff/measure.h>
#include <tuff/model.h>
#include <tuff/program.h>
#include <tuff/stage.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data ---- */

/* The examples of a task. Of causal language modelling: text as token ids, cut into blocks of `block_size` as
 * Hugging Face's run_clm does: one stream,
 * non-overlapping blocks, and in each block every token but the first is predicted (block_size - 1
 * predictions; labels are the ids themselves, shifted inside the model). Training drops a last block that is
 * not full; evaluation keeps it when it has at least two tokens. Immutable, may be shared by threads. */
typedef struct tuff_dataset tuff_dataset;

/* How a text file is read. */
typedef struct tuff_text_params {
    size_t struct_size;      /* set by TUFF_TEXT_PARAMS_INIT */
    bool allow_json;         /* take JSON records and tables as the text that they are written in */
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE; NULL: none */
} tuff_text_params;
#define TUFF_TEXT_PARAMS_INIT                 \
    {                                         \
        sizeof(tuff_text_params), false, NULL \
    }

/* Encodes a text file, or what comes through a pipe. Errors: TUFF_INVALID_ARGUMENT for an empty file, one
 * with NUL bytes (binary data) or that is not UTF-8, or one with fewer than two tokens; TUFF_UNSUPPORTED for
 * records (a file called .json, .jsonl, .ndjson, .csv or .tsv, or one that begins with a JSON object), unless
 * they are allowed. Special tokens spelled out in the text, such as
 * "<|endoftext|>", are seen; none are added. The line ends of Windows are kept and logged as a warning.
 * `params` may be NULL.
 */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_load_text(const tuff_model *model, const char *path,
                                                          int64_t block_size, const tuff_text_params *params,
                                                          tuff_dataset **out_dataset);
/* What examples are made of, and for which task. Fields are keys of JSON lines (.jsonl, .ndjson) or columns
 * of a table (.csv, .tsv, whose first row names them). */
typedef struct tuff_data_params {
    size_t struct_size; /* set by TUFF_DATA_PARAMS_INIT */
    /* "causal-lm": a text in blocks, as tuff_dataset_load_text has it. "mlm": texts, of which some tokens are
     * to be found. "seq2seq": texts (sources) and those that answer them (targets), of encoder-decoders.
     * "classification": texts or pairs with a label, several, or a number.
     * "token-classification": lists of words and of their labels. "qa": questions on contexts that answer
     * them. "embedding": as tuff_dataset_load_pairs has it, with its defaults. */
    const char *task;
    bool training;   /* labels that the model does not know are new ones, and no error */
    bool allow_json; /* of causal-lm, as in tuff_text_params */
    uint8_t reserved[6];
    const tuff_dataset *like; /* of the same task: its labels are the only ones; NULL: see `training` */
    int64_t block_size;       /* of causal-lm */
    int64_t max_length;       /* tokens of an example; 0: 512, or what the model has if that is less */
    int64_t stride;           /* of qa: tokens that windows of a long context share */
    double mlm_probability;   /* of mlm: the share of tokens that are to be found */
    /* NULL: "text", of seq2seq "source", of token-classification "tokens"; no pair; "label", of seq2seq
     * "target", of token-classification "labels"; "question", "context" and "answers" */
    const char *text_field, *text_pair_field, *label_field, *question_field, *context_field, *answers_field;
    /* Of classification: "single_label_classification", "multi_label_classification" (labels are lists of
     * JSON, or stand between commas) or "regression". NULL: as the model has it, or as the labels look. */
    const char *problem_type;
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE; NULL: none */
    /* Of seq2seq: put before every source ("summarize: "); NULL: nothing. */
    const char *source_prefix;
} tuff_data_params;
#define TUFF_DATA_PARAMS_INIT                                                                           \
    {                                                                                                   \
        sizeof(tuff_data_params), "causal-lm", false, false, {0}, NULL, 1024, 0, 128, 0.15, NULL, NULL, \
            NULL, NULL, NULL, NULL, NULL, NULL, NULL                                                    \
    }
/* Reads the examples of a task from a file. Errors: TUFF_BAD_FORMAT, naming the line, for a record that is
 * none, or whose fields are not what the task needs; TUFF_INVALID_ARGUMENT for a column that is not there, a
 * file without records, labels that leave nothing to tell apart; TUFF_UNSUPPORTED for a task that is none, or
 * a model that cannot be measured by it (without `training`). `params` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_load(const tuff_model *model, const char *path,
                                                     const tuff_data_params *params,
                                                     tuff_dataset **out_dataset);
/* From ids[0..n), copied. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_from_ids(const int32_t *ids, size_t n, int64_t block_size,
                                                         tuff_dataset **out_dataset);
/* How a file of pairs is read. Take TUFF_PAIR_PARAMS_INIT and change what you want. */
typedef struct tuff_pair_params {
    size_t struct_size; /* set by TUFF_PAIR_PARAMS_INIT */
    /* What vectors are trained by, as sentence-transformers has it (Reimers and Gurevych 2019): "mnrl"
     * (MultipleNegativesRankingLoss, scale 20), "cosine" (CosineSimilarityLoss), "triplet" (TripletLoss,
     * Euclidean, margin 5), "contrastive" (ContrastiveLoss, cosine distance, margin 0.5), "cosent"
     * (CoSENTLoss, scale 20). NULL: "mnrl" */
    const char *loss;
    int64_t max_length; /* tokens of a text; what is longer is cut off; 0: the model's */
    /* Texts of a run where gradients are cached (Gao et al. 2021): a large batch in the memory of so many
     * texts, for a third more time. 0: a batch is one run */
    int64_t gradient_cache_batch;
    const char *query_prompt, *document_prompt; /* put before texts of the first column, and of the others.
                                                   NULL: what the model's files say for queries and documents,
                                                   of pairs with scores what they say for all; "": none */
    tuff_pooling pooling;
    tuff_normalize normalize;
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE, in records; NULL: none */
} tuff_pair_params;
#define TUFF_PAIR_PARAMS_INIT                                                                            \
    {                                                                                                    \
        sizeof(tuff_pair_params), NULL, 0, 0, NULL, NULL, TUFF_POOLING_MODEL, TUFF_NORMALIZE_MODEL, NULL \
    }
/* Examples to train vectors by: the records of a file, JSON (.jsonl, .json), CSV or TSV by its name. mnrl and
 * triplet take columns anchor, positive, and negative or negative_1, negative_2, ...; mnrl also sentence1 and
 * sentence2; the others sentence1, sentence2 and score (or label): cosine from -1 to 1, contrastive 0 or 1,
 * cosent any. In a training with mnrl the texts of a batch's other examples are negatives too. The model is
 * trained to the vectors that its sentence-transformers files say, and saved with them. Errors:
 * TUFF_INVALID_ARGUMENT for a column that is missing, a score out of range or an empty text, naming the
 * record; TUFF_BAD_FORMAT for a line that is no record; TUFF_UNSUPPORTED for models with dense layers.
 * `params` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_load_pairs(const tuff_model *model, const char *path,
                                                           const tuff_pair_params *params,
                                                           tuff_dataset **out_dataset);
/* A trainer that was made with it may still be used, see tuff_device_destroy. */
TUFF_API void tuff_dataset_destroy(tuff_dataset **dataset);
TUFF_API int64_t tuff_dataset_tokens(const tuff_dataset *dataset);
TUFF_API int64_t tuff_dataset_blocks(const tuff_dataset *dataset); /* full ones; of other tasks: examples */

/* ---- training ---- */

/* How the learning rate goes, as transformers' SchedulerType of that name has it. */
typedef enum tuff_schedule {
    TUFF_SCHEDULE_LINEAR,
    TUFF_SCHEDULE_COSINE,
    TUFF_SCHEDULE_CONSTANT, /* without a warm-up */
    TUFF_SCHEDULE_COSINE_WITH_RESTARTS,
    TUFF_SCHEDULE_POLYNOMIAL,
    TUFF_SCHEDULE_CONSTANT_WITH_WARMUP,
    TUFF_SCHEDULE_INVERSE_SQRT,
    TUFF_SCHEDULE_COSINE_WITH_MIN_LR,
    TUFF_SCHEDULE_COSINE_WARMUP_WITH_MIN_LR,
    TUFF_SCHEDULE_WARMUP_STABLE_DECAY
} tuff_schedule;

/* Named as in Hugging Face's TrainingArguments and peft's LoraConfig. Take TUFF_TRAIN_PARAMS_INIT and
 * change what you want. */
typedef struct tuff_train_params {
    size_t struct_size; /* set by TUFF_TRAIN_PARAMS_INIT */
    int64_t max_steps;  /* optimizer steps; < 0: num_train_epochs decides */
    double
        num_train_epochs; /* an epoch of records ends with a smaller batch where they do not come out even */
    int64_t per_device_train_batch_size, gradient_accumulation_steps;
    double learning_rate;
    tuff_schedule lr_scheduler_type; /* linear and most cosines fall to 0 at the last step */
    int64_t warmup_steps;            /* 0: warmup_ratio decides */
    double warmup_ratio;             /* of all steps */
    double weight_decay, adam_beta1, adam_beta2, adam_epsilon;
    double max_grad_norm; /* 0: no clipping */
    uint64_t seed;        /* of all that is random: shuffling, dropout, hidden tokens, what begins anew */
    bool no_shuffle;      /* blocks in file order every epoch */
    int64_t lora_rank;    /* 0: all parameters are trained; with peft_type "lora": 8 */
    double lora_alpha, lora_dropout;
    const char *lora_target; /* "q_proj,v_proj", "all-linear"; NULL: the architecture's default */
    int64_t max_nonfinite;   /* tuff_trainer_step fails after so many skipped steps in a row; 0: never */
    /* Of every call of the trainer: TUFF_PHASE_UPLOAD, TUFF_PHASE_TRAIN, TUFF_PHASE_EVALUATE. A request is
     * also seen within a run: on the CPU after the operation at hand, on GPUs after about 200 ms. Must stay
     * as it is until the trainer is destroyed; NULL: none. */
    const tuff_watch *watch;
    /* "adamw", "sgd", "lion", "adafactor", "adamw_8bit" or "muon", or as transformers has them,
     * "adamw_torch", "lion_32bit", "adamw_bnb_8bit"; NULL: adamw. weight_decay and max_grad_norm are of all
     * of them, the betas of AdamW and Lion, adam_epsilon of AdamW. adamw_8bit keeps the moments of large
     * parameters, but not of tables, in bytes, as bitsandbytes does; muon is for the matrices of layers,
     * AdamW for the rest. */
    const char *optim;
    double momentum;  /* of SGD; 0: none; of Muon; 0: 0.95 */
    bool nesterov;    /* SGD: Nesterov's momentum */
    bool use_rslora;  /* LoRA: what it adds is scaled by alpha / sqrt(rank) (Kalajdzievski 2023) */
    bool use_dora;    /* LoRA: rows of what it makes get magnitudes that are trained (Liu et al. 2024) */
    bool reserved[5]; /* leave them false */
    /* An adapter is trained instead of the model: "lora", "ia3" or "prompt_tuning", as in PEFT, in letters of
     * any case; NULL: LoRA when there is a lora_rank, else none. */
    const char *peft_type;
    const char *target_modules;      /* of IA3, and of LoRA where lora_target is NULL; NULL: the default */
    const char *feedforward_modules; /* IA3: those of them whose input is scaled; NULL: the default's */
    int64_t num_virtual_tokens;      /* prompt tuning; 0: 20 */
    const char *prompt_tuning_init_text; /* what they begin as; NULL: random rows */
    /* Settings of the schedule, as "num_cycles=2, min_lr=1e-6" or as a JSON object: num_cycles of the
     * cosines, lr_end and power of polynomial, timescale of inverse_sqrt, min_lr or min_lr_rate of the two
     * cosines that have one, warmup_lr_rate; num_decay_steps, num_stable_steps, warmup_type, decay_type
     * ("linear", "cosine", "1-sqrt") and min_lr_ratio of warmup_stable_decay. NULL: as transformers presets
     * them. */
    const char *lr_scheduler_kwargs;
    /* Settings of the optimizer's own, spelled in the same way: of adafactor scale_parameter, relative_step,
     * warmup_init, clip_threshold, decay_rate, beta1, eps1 and eps2, as in transformers; of muon adjust_lr_fn
     * ("match_rms_adamw", so that the rate is as AdamW's, or "original"), adamw_lr (of what is AdamW's; else
     * the same rate), nesterov and ns_steps. NULL: none are given. */
    const char *optim_args;
    /* LoRA: "q_proj=4,v_proj=16", modules that have another rank or alpha, by the last parts of their names;
     * NULL: none */
    const char *rank_pattern, *alpha_pattern;
    const char
        *base_model_name; /* adapters: what PEFT is to load them onto, a name of the hub or a path; NULL:
                             the model's directory, or the repository that a GGUF says it is from */
    /* Each layer's learning rate is that of the one above times this, what is behind the last layer has the
     * rate itself, and what reads the ids the least; 0: all have the same. */
    double layerwise_lr_decay;
    double loraplus_lr_ratio; /* LoRA+: the rate of LoRA's B, and of vectors, over that of A; 0: the same */
    double loraplus_lr_embedding; /* its rate of LoRA on tables, where there is a ratio */
} tuff_train_params;

/* max_steps -1, 3 epochs, batch 8 x 1, learning rate 5e-5 linear without warm-up, no decay, betas 0.9 and
 * 0.999, epsilon 1e-8, clip 1.0, seed 42, no LoRA (alpha 16 and dropout 0 if there is),
 * max_nonfinite 10, no watch, AdamW, no momentum. */
#define TUFF_TRAIN_PARAMS_INIT                                                                               \
    {                                                                                                        \
        sizeof(tuff_train_params), -1, 3, 8, 1, 5e-5, TUFF_SCHEDULE_LINEAR, 0, 0, 0, 0.9, 0.999, 1e-8, 1,    \
            42, false, 0, 16, 0, NULL, 10, NULL, NULL, 0, false, false, false, {false}, NULL, NULL, NULL, 0, \
            NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 1e-6                                                   \
    }

/* One model being trained on one device. Belongs to one thread at a time. While a call works on it, as seen
 * from the watch's callback, others that would work on it (steps, batches, saving, evaluating and its plan)
 * fail with TUFF_INVALID_ARGUMENT, and tuff_trainer_destroy leaves it as it is. What only reads figures
 * (tuff_trainer_get_memory, tuff_trainer_total_steps, tuff_trainer_program) may be called. */
typedef struct tuff_trainer tuff_trainer;

/* Plans the step; puts nothing on the device yet. `params` (and its strings) need only live until the call
 * returns; NULL: the defaults. The blocks of models with rotary positions may be longer than their context.
 * Errors: TUFF_INVALID_ARGUMENT, TUFF_UNSUPPORTED, TUFF_OUT_OF_MEMORY. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_create(const tuff_model *model, tuff_device *device,
                                                       const tuff_dataset *train,
                                                       const tuff_train_params *params,
                                                       tuff_trainer **out_trainer);
TUFF_API void tuff_trainer_destroy(tuff_trainer **trainer);

/* What training needs on the device, known before anything is put there. In bytes. */
typedef struct tuff_train_memory {
    size_t struct_size; /* set by TUFF_TRAIN_MEMORY_INIT */
    uint64_t weights, optimizer;
    uint64_t gradients;   /* of all that is trained */
    bool gradients_apart; /* accumulated in buffers of their own; else they are in the arena */
    uint64_t arena;       /* activations and scratch of a step, and its gradients unless they are apart */
    uint64_t arena_bound; /* the most bytes alive at any one moment: no arena can be smaller */
    uint64_t evaluation;  /* of tuff_trainer_evaluate, once it is planned; 0 until then */
    uint64_t transfers;   /* of inputs and results on their way */
    uint64_t total; /* everything on the device: the sum of these, but for arena_bound, and for gradients
                       that are in the arena */
    int64_t trained_parameters, parameters;
} tuff_train_memory;
#define TUFF_TRAIN_MEMORY_INIT                                         \
    {                                                                  \
        sizeof(tuff_train_memory), 0, 0, 0, false, 0, 0, 0, 0, 0, 0, 0 \
    }
/* Changes when an evaluation is planned. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_get_memory(const tuff_trainer *trainer,
                                                           tuff_train_memory *out_memory);
TUFF_API int64_t tuff_trainer_total_steps(const tuff_trainer *trainer);
/* The program that sees a batch, for its plan and profile; owned by the trainer. */
TUFF_API tuff_program *tuff_trainer_program(tuff_trainer *trainer);

typedef struct tuff_train_step {
    size_t struct_size; /* set by TUFF_TRAIN_STEP_INIT */
    int64_t step;       /* 1 for the first */
    double epoch;
    double loss; /* mean over the predictions of the step, before its update; NaN where there were none */
    double learning_rate, grad_norm; /* the norm before clipping */
    bool skipped;   /* the norm was not finite, or there was nothing to predict: nothing has changed */
    int64_t tokens; /* ids seen by this step */
} tuff_train_step;
#define TUFF_TRAIN_STEP_INIT                             \
    {                                                    \
        sizeof(tuff_train_step), 0, 0, 0, 0, 0, false, 0 \
    }
/* One optimizer step. The first puts the weights on the device, and may be tried again when that fails. A
 * step whose gradient is not finite, or without a label, changes nothing, and is reported as skipped. Errors:
 * TUFF_NOT_FINITE when it is the last of max_nonfinite such steps in a row: it is in *out_step, the trainer
 * can be saved or go on, but most likely its weights are of no use; TUFF_CANCELLED by the watch: the trainer
 * is as it was before the step, which may be tried again. After any other failure it can only be taken
 * to a checkpoint (tuff_trainer_resume) or be destroyed. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_step(tuff_trainer *trainer, tuff_train_step *out_step);

/* Ids of the micro-batches of the step that tuff_trainer_step would do next: i32
 * [gradient_accumulation_steps, batch, block_size]. TUFF_UNSUPPORTED for other tasks than causal language
 * modelling; of tuff_trainer_dump_batches too. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_next_batch(tuff_trainer *trainer, int32_t *out_ids,
                                                           size_t count);

/* Writes the ids of every micro-batch of the whole run, which are known before it begins, as a NumPy array:
 * i32 [steps * gradient_accumulation_steps, batch, block_size]. The trainer's own position stays where it is.
 */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_dump_batches(tuff_trainer *trainer, const char *path);

/* Writes the present state as a directory that appears whole or not at all: the model as a Hugging Face
 * directory (f32), or for an adapter a PEFT directory. Steps may follow. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_save(tuff_trainer *trainer, const char *directory);
/* The same into a stage that was opened before, so that nobody else could begin to write there meanwhile; you
 * commit it. `watch` (TUFF_PHASE_SAVE, in bytes) may be NULL; the trainer's own, which may have been asked to
 * end the training, is not asked. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_save_into(tuff_trainer *trainer, tuff_stage *stage,
                                                          const tuff_watch *watch);

/* ---- evaluation ---- */

/* A figure of an evaluation: its name, "accuracy", and value. Never gets further fields. */
typedef struct tuff_eval_figure {
    char name[24];
    double value;
} tuff_eval_figure;
#define TUFF_EVAL_FIGURES 8

typedef struct tuff_eval_result {
    size_t struct_size; /* set by TUFF_EVAL_RESULT_INIT */
    double loss;        /* of language models: mean negative log-likelihood over the predictions, in nats */
    double perplexity;  /* exp(loss), of language models */
    int64_t tokens; /* predictions: block_size - 1 of each full block, one less than its tokens of the last */
    int64_t count;  /* of the figures: what else the task measures */
    tuff_eval_figure figures[TUFF_EVAL_FIGURES];
} tuff_eval_result;
#define TUFF_EVAL_RESULT_INIT                 \
    {                                         \
        sizeof(tuff_eval_result), 0, 0, 0, 0, \
        {                                     \
            {                                 \
                "", 0                         \
            }                                 \
        }                                     \
    }

/* Checks the data and plans tuff_trainer_evaluate for blocks as long as its: what evaluating takes is in
 * tuff_trainer_get_memory from here on, and what it would refuse is refused now. Puts nothing on the device
 * yet. Blocks may be as long as the model's context or the training's blocks, with rotary positions no longer
 * than 65536. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_plan_evaluation(tuff_trainer *trainer,
                                                                const tuff_dataset *data);
/* Held-out loss of the model being trained, on its device; planned now if it is not yet. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_evaluate(tuff_trainer *trainer, const tuff_dataset *data,
                                                         tuff_eval_result *out_result);

/* How good the vectors are that are being trained, by search: tuff_measure_retrieval, on the trainer's
 * device, with the pooling, the longest text and the normalization of the training's data; of the watches
 * that of `params` is asked, else the trainer's. Takes the memory of batches of up to 4096 tokens, which is
 * not in tuff_trainer_get_memory. Errors: as there; TUFF_INVALID_ARGUMENT for a trainer of another task. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_measure_retrieval(tuff_trainer *trainer,
                                                                  const char *documents, const char *queries,
                                                                  const char *qrels,
                                                                  const tuff_retrieval_params *params,
                                                                  tuff_retrieval_result *out_result);

/* Zero means default. */
typedef struct tuff_eval_params {
    size_t struct_size;      /* set by TUFF_EVAL_PARAMS_INIT */
    int64_t batch_size;      /* examples per run; 0: 4 */
    const char *adapter;     /* to apply: a PEFT directory or a GGUF file; NULL: none */
    const tuff_watch *watch; /* TUFF_PHASE_UPLOAD, TUFF_PHASE_EVALUATE; NULL: none */
} tuff_eval_params;
#define TUFF_EVAL_PARAMS_INIT                   \
    {                                           \
        sizeof(tuff_eval_params), 0, NULL, NULL \
    }
/* Loss of a model as it is in its file, and figures of its task. Of seq2seq these are accuracy, the share of
 * the targets' tokens that are the most probable ones behind those before them, and exact_match, the share of
 * targets whose texts are what the model answers by itself, greedily; that takes a run for each token of the
 * longest answer (TUFF_PHASE_GENERATE). `params` may be NULL. Errors: TUFF_INVALID_ARGUMENT for blocks that
 * are too long for learned positions, or ids that the model does not know. */
TUFF_API TUFF_MUST_USE tuff_status tuff_evaluate(const tuff_model *model, tuff_device *device,
                                                 const tuff_dataset *data, const tuff_eval_params *params,
                                                 tuff_eval_result *out_result);

/* Writes the logits of the first blocks (at most 4) as a safetensors file for checks against other
 * implementations: input_ids i32 [B, T] and logits f32 [B, T, vocab_size]. `adapter` is a PEFT directory or a
 * GGUF file or NULL; `watch` (TUFF_PHASE_UPLOAD, TUFF_PHASE_EVALUATE) may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_save_logits(const tuff_model *model, tuff_device *device,
                                                    const tuff_dataset *data, const char *adapter,
                                                    const tuff_watch *watch, const char *path);

#ifdef __cplusplus
}
#endif
#endif
