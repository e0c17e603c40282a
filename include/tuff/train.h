/* Fine-tuning and evaluating models: language models, classifiers, embedders. */
#ifndef TUFF_TRAIN_H
#define TUFF_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/chat.h>
#include <tuff/device.h>
#include <tuff/embed.h>
#include <tuff/generate.h>
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
    bool no_cache;           /* as in tuff_data_params */
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE; NULL: none */
} tuff_text_params;
#define TUFF_TEXT_PARAMS_INIT                        \
    {                                                \
        sizeof(tuff_text_params), false, false, NULL \
    }

/* Encodes a text file, what comes through a pipe, or the files of a directory, but for hidden ones, in the
 * order of their names, one behind the other. Long texts are encoded on all cores and in little memory, and
 * their ids are kept in the user's cache directory (see cache.h), from where they are looked at: a text may
 * be larger than the memory. Of tokenizers whose words may go over all spaces and line ends each file is
 * encoded as a whole, in memory, which is logged before. Errors: TUFF_INVALID_ARGUMENT for an empty file, one
 * with NUL bytes (binary data) or that is not UTF-8, or one with fewer than two tokens; TUFF_UNSUPPORTED for
 * records (a file called .json, .jsonl, .ndjson, .csv or .tsv, or one that begins with a JSON object), unless
 * they are allowed. Special tokens spelled out in the text, such as "<|endoftext|>", are seen; none are
 * added. The line ends of Windows, "\r\n", are read as "\n", which is logged as a warning. `params` may be
 * NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_load_text(const tuff_model *model, const char *path,
                                                          int64_t block_size, const tuff_text_params *params,
                                                          tuff_dataset **out_dataset);
/* What examples are made of, and for which task. Fields are keys of JSON lines (.jsonl, .ndjson) or columns
 * of a table (.csv, .tsv, whose first row names them; where all fields are numbers, "1", "2" and so on, it is
 * a record, and they are the numbers of its columns). */
typedef struct tuff_data_params {
    size_t struct_size; /* set by TUFF_DATA_PARAMS_INIT */
    /* "causal-lm": a text in blocks, as tuff_dataset_load_text has it, or the texts of records, each with the
     * tokens that the tokenizer puts around one, in blocks, as run_clm has them. "sft": conversations, of
     * which the answers are learned: records that tuff_data_recognize knows. "mlm": texts, of which some
     * tokens are to be found. "seq2seq": texts (sources) and those that answer them (targets), of
     * encoder-decoders. "classification": texts or pairs with a label, several, or a number.
     * "token-classification": lists of words and of their labels. "qa": questions on contexts that answer
     * them. "embedding": as tuff_dataset_load_pairs has it, with its defaults. "preference": records with a
     * "prompt" and two answers to it, "chosen" and "rejected", or with a "prompt", a "completion" and a
     * "label", true or false: texts, or lists of turns {role, content}; where a pair has no prompt, it is
     * what both answers begin with. Instead of a prompt there may be Alpaca's "instruction" and "input". */
    const char *task;
    bool training;   /* labels that the model does not know are new ones, and no error */
    bool allow_json; /* of causal-lm, as in tuff_text_params: records are a text as they are written */
    bool strict;     /* of records: the first malformed one is an error; else they are left out, counted, and
                        the first ones logged */
    /* Of sft. */
    bool loss_on_prompts; /* all tokens are learned, not the answers alone */
    bool truncate_left;   /* conversations that are too long lose their beginning, not their end */
    bool packing; /* an example is a row of up to max_length tokens, of as many conversations as fit, which do
                     not see each other */
    bool no_cache; /* the token ids of long texts, and of many records, are neither taken from the user's
                      cache directory nor put there: they are in memory */
    bool held_out; /* with validation_split: the part that is held out; else what is left */
    const tuff_dataset *like; /* of the same task: its labels are the only ones; NULL: see `training` */
    int64_t block_size;       /* of causal-lm */
    int64_t max_length; /* tokens of an example; 0: 512, of sft 1024, or what the model has if that is less */
    int64_t stride;     /* of qa: tokens that windows of a long context share */
    double mlm_probability; /* of mlm: the share of tokens that are to be found */
    /* NULL: "text" (of causal-lm too), of seq2seq "source", of token-classification "tokens"; no pair;
     * "label", of seq2seq "target", of token-classification "labels"; "question", "context" and "answers" */
    const char *text_field, *text_pair_field, *label_field, *question_field, *context_field, *answers_field;
    /* Of classification: "single_label_classification", "multi_label_classification" (labels are lists of
     * JSON, or stand between commas) or "regression". NULL: as the model has it, or as the labels look. */
    const char *problem_type;
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE; NULL: none */
    /* Of seq2seq: put before every source ("summarize: "); NULL: nothing. */
    const char *source_prefix;
    /* Of sft, used during the call. NULL: the model's, if it has one. With one that is given, prompts and
     * completions that are texts are turns of the user and the assistant, too, and a model that is saved gets
     * it. */
    const tuff_chat_template *chat_template;
    const char *chat_template_kwargs; /* a JSON object of further variables of the template; NULL: none */
    const char *conversation_format; /* "messages", "sharegpt", "completion" or "alpaca"; NULL: by the keys of
                                        the first record that is a conversation */
    /* Of preference: what is learned from it, as TRL has it. "dpo" (Rafailov et al. 2023), "ipo", "hinge",
     * "robust": a pair's rewards, which are beta times by how much more probable its answers are than before
     * the training, without the adapter, are to differ; "orpo" (Hong et al. 2024): the odds of its answers,
     * beside their likelihood, with no look at what was before; "kto" (Ethayarajh et al. 2024): an answer
     * that is said to be good or not, or each of a pair. NULL: "dpo" */
    const char *loss;
    double beta; /* above 0; of orpo the weight of the odds */
    double
        label_smoothing; /* of dpo and robust: the share of pairs that are the wrong way round, below 0.5 */
    double desirable_weight, undesirable_weight; /* of kto: how much answers of either kind count */
    int64_t block_stride; /* of causal-lm: a block begins so many tokens behind the one before, so that they
                             overlap where it is less than block_size; 0: block_size */
    /* The share of the examples, up to 0.5, that is held out to measure with; of texts the last blocks,
     * of records one of each 1 / share, which `split_seed` chooses. 0: none */
    double validation_split;
    uint64_t split_seed;
    uint32_t threads; /* that tokenize a long text, or many records; 0: as many as the process may use; no
                         result depends on it */
    uint8_t reserved[4];
} tuff_data_params;
#define TUFF_DATA_PARAMS_INIT                                                                                \
    {                                                                                                        \
        sizeof(tuff_data_params), "causal-lm", false, false, false, false, false, false, false, false, NULL, \
            1024, 0, 128, 0.15, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,      \
            NULL, 0.1, 0, 1, 1, 0, 0, 0, 0,                                                                  \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }
/* Which task a file is for, by what is in it: *out_task is "sft" where one of its first hundred records is a
 * conversation, as "messages" (a list of {role, content}), "conversations" (ShareGPT's list of {from,
 * value}), "prompt" and "completion", or "instruction" and "output" (Alpaca's); "causal-lm" where it is text;
 * NULL for other records, and for what comes through a pipe, which cannot be read twice. A constant. Errors:
 * TUFF_BAD_FORMAT where the first conversation is one in more than one way. A directory is what its first
 * records are; "causal-lm" where a file in it has none. */
TUFF_API TUFF_MUST_USE tuff_status tuff_data_recognize(const char *path, const char **out_task);
/* Reads the examples of a task from a file, or from the files of a directory, but for hidden ones, in the
 * order of their names. Many records are encoded on all cores, and what they become is kept in the user's
 * cache directory, from where it is looked at: a file may be larger than the memory. Records that are none,
 * or whose fields are not what the task needs, are left out and counted, the first three logged as warnings.
 * Errors: TUFF_BAD_FORMAT, naming the line, for the first of them where all are such, or with `strict`, and
 * for a label that is none of those known; TUFF_INVALID_ARGUMENT for a column that is not there, a file
 * without records, labels that leave nothing to tell apart; TUFF_UNSUPPORTED for a task that is none, or a
 * model that cannot be measured by it (without `training`). `params` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_load(const tuff_model *model, const char *path,
                                                     const tuff_data_params *params,
                                                     tuff_dataset **out_dataset);
/* From ids[0..n), copied. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_from_ids(const int32_t *ids, size_t n, int64_t block_size,
                                                         tuff_dataset **out_dataset);
/* An example that an application gives itself. Take TUFF_EXAMPLE_INIT and set what there is. */
typedef struct tuff_example {
    size_t struct_size; /* set by TUFF_EXAMPLE_INIT; that of the first one tells how large each is */
    const int32_t *ids; /* [count], 1 or more: all that the model sees; no token is put around them */
    size_t count;
    const int8_t *types; /* [count]: the segments of BERT's kind; NULL: zeros */
    /* causal-lm: [count], as in transformers: the token that is to be found at each place, by those before
     * it, so that the first one counts only behind virtual tokens. NULL: the ids. token-classification:
     * [count], the class of each token. classification: [1], that of the sequence. -100: nothing is to be
     * found. */
    const int32_t *labels;
    const float *weights; /* as many: the factor of each label's loss; finite, negative ones teach the
                             contrary. NULL: 1 */
} tuff_example;
#define TUFF_EXAMPLE_INIT                               \
    {                                                   \
        sizeof(tuff_example), NULL, 0, NULL, NULL, NULL \
    }
/* A data set of the application's own: examples[0..n), which are copied, for "causal-lm",
 * "token-classification" or "classification" (one class of several for each sequence). It trains, is measured
 * and goes on from checkpoints as those of files do. The loss is the sum of cross-entropies times their
 * weights, over the number of labels that are not -100, whatever these weigh. class_names[class_count] are
 * the classes of the latter two, 2 or more; NULL: "LABEL_0" and so on; of causal-lm NULL and 0. A model with
 * other classes gets a new head. Errors, naming the example: TUFF_INVALID_ARGUMENT for what is out of range;
 * TUFF_UNSUPPORTED for another task. Whether the model knows the ids is seen when a trainer is made. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_from_examples(const char *task, const tuff_example *examples,
                                                              size_t n, const char *const *class_names,
                                                              size_t class_count, tuff_dataset **out_dataset);
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
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE, in bytes of the file; NULL: none */
    bool strict;             /* a malformed record is an error; else it is left out, counted and logged */
    bool reserved[7];        /* leave them false */
    /* As in tuff_data_params. */
    double validation_split;
    uint64_t split_seed;
    uint32_t threads;
    bool no_cache, held_out;
    bool reserved_too[2]; /* leave them false */
} tuff_pair_params;
#define TUFF_PAIR_PARAMS_INIT                                                                             \
    {                                                                                                     \
        sizeof(tuff_pair_params), NULL, 0, 0, NULL, NULL, TUFF_POOLING_MODEL, TUFF_NORMALIZE_MODEL, NULL, \
            false, {false}, 0, 0, 0, false, false,                                                        \
        {                                                                                                 \
            false                                                                                         \
        }                                                                                                 \
    }
/* Examples to train vectors by: the records of a file, JSON (.jsonl, .json), CSV or TSV by its name. mnrl and
 * triplet take columns anchor, positive, and negative or negative_1, negative_2, ...; mnrl also sentence1 and
 * sentence2; the others sentence1, sentence2 and score (or label): cosine from -1 to 1, contrastive 0 or 1,
 * cosent any. In a training with mnrl the texts of a batch's other examples are negatives too. The model is
 * trained to the vectors that its sentence-transformers files say, and saved with them. Errors:
 * TUFF_INVALID_ARGUMENT for a column that is missing, and a score out of range, naming the line;
 * TUFF_BAD_FORMAT, as of tuff_dataset_load, for a line that is no record or an empty text; TUFF_UNSUPPORTED
 * for models with dense layers. `params` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_load_pairs(const tuff_model *model, const char *path,
                                                           const tuff_pair_params *params,
                                                           tuff_dataset **out_dataset);
/* When an epoch of a mixture ends. */
typedef enum tuff_mixture_end {
    TUFF_MIXTURE_ALL_EXHAUSTED,  /* the part that lasts longest, by its weight, was seen once; others again */
    TUFF_MIXTURE_FIRST_EXHAUSTED /* the part that lasts shortest was; others go on in the next epoch */
} tuff_mixture_end;
/* One data set of several that are trained on together: parts[0..n), up to 64, whose examples are copied, by
 * weights[0..n), numbers above 0. Each epoch has as many examples of a part as its weight says of the whole,
 * in an order that the trainer's seed draws; a part goes on from epoch to epoch where it was, and begins
 * anew, in a new order, when all of it was seen. With no_shuffle parts take turns, each in its own order.
 * Parts have one task (of classifications they are read with `like` the first one; of embedding and
 * preference for one loss); or are texts and conversations, which makes conversations of the texts' blocks,
 * with all of them learned. What is measured of a mixture is every example, once. Errors:
 * TUFF_INVALID_ARGUMENT for parts that do not go together, naming the part; TUFF_UNSUPPORTED for examples
 * that an application gives. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_mix(const tuff_dataset *const *parts, const double *weights,
                                                    size_t n, tuff_mixture_end end,
                                                    tuff_dataset **out_dataset);
/* Part `index` of a mixture: how many examples it has, and how many of an epoch are its. False: there is none
 * of this number. */
TUFF_API bool tuff_dataset_mixed(const tuff_dataset *dataset, size_t index, int64_t *out_examples,
                                 int64_t *out_of_epoch);
/* What a data set holds. */
#define TUFF_DATA_BARS 10
typedef struct tuff_data_report {
    size_t struct_size; /* set by TUFF_DATA_REPORT_INIT */
    const char *format; /* of sft, as conversation_format has it; "alpaca" also of preference; else "". A
                           constant */
    const char *chat_template; /* where there is a format: "model", "given", or "" for none. A constant */
    int64_t examples;          /* texts, pairs or conversations; of causal-lm blocks */
    int64_t tokens;
    int64_t labels;    /* of sft: tokens that are learned */
    int64_t malformed; /* records that are left out, as they are none */
    int64_t empty,
        unanswered;     /* of sft and preference: as their answers are empty, or lie behind max_length */
    int64_t cut;        /* texts that were longer than max_length */
    int64_t duplicates; /* examples whose tokens are those of one before */
    int64_t shared;     /* of sft: answers that begin within a token, whose other part is the prompt's */
    int64_t rows;       /* of sft with packing: rows of tokens, which are the examples of a batch; else 0 */
    int64_t shortest, median, p95, longest; /* tokens of an example; 0 where all are blocks */
    int64_t bar; /* bars[i] examples have more than i * bar and up to (i + 1) * bar tokens */
    int64_t bars[TUFF_DATA_BARS];
    int64_t windows_lines; /* that end as on Windows, with \r\n, and are read as if with \n */
} tuff_data_report;
#define TUFF_DATA_REPORT_INIT                                                                 \
    {                                                                                         \
        sizeof(tuff_data_report), "", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, 0 \
    }
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_get_report(const tuff_dataset *dataset,
                                                           tuff_data_report *out_report);
/* The labels of a classification's data, of texts or of words, one at a time from 0: its name, which the data
 * set owns, and how many there are of it. False: there is none of this number. */
TUFF_API bool tuff_dataset_label(const tuff_dataset *dataset, size_t index, const char **out_name,
                                 int64_t *out_count);
/* How many examples of a data set are also, token by token, in another one: what is measured with them was
 * learned. Of texts in blocks 0. */
TUFF_API TUFF_MUST_USE tuff_status tuff_dataset_count_known(const tuff_dataset *dataset,
                                                            const tuff_dataset *other, int64_t *out_count);
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
    double lora_alpha, lora_dropout; /* the latter also of bottleneck adapters and of VeRA */
    const char *lora_target;         /* "q_proj,v_proj", "all-linear"; NULL: the architecture's default */
    int64_t max_nonfinite; /* tuff_trainer_step fails after so many skipped steps in a row; 0: never */
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
    double momentum; /* of SGD; 0: none; of Muon; 0: 0.95 */
    bool nesterov;   /* SGD: Nesterov's momentum */
    bool use_rslora; /* LoRA: what it adds is scaled by alpha / sqrt(rank) (Kalajdzievski 2023) */
    bool use_dora;   /* LoRA: rows of what it makes get magnitudes that are trained (Liu et al. 2024) */
    bool prefix_projection; /* prefix tuning: keys and values are what a small net makes of a table */
    /* Evaluations have the model answer by itself, too, as tuff_evaluate says of it; of seq2seq and sft */
    bool predict_with_generate;
    bool use_stemmer; /* there */
    /* Mixed precision, as PyTorch's autocast has it for products: their operands, those of the gradients too,
     * are rounded to bf16, in training and in what the trainer measures; sums, weights, gradients, the
     * optimizer and all else stay f32. See tuff_graph_set_operands. */
    bool bf16;
    bool reserved; /* leave it false */
    /* An adapter is trained instead of the model: "lora", "ia3", "prompt_tuning", "prefix_tuning", "vera" or
     * "trainable_tokens", as in PEFT, or "bitfit", the biases alone, which is saved as a LoRA with a bias of
     * "all" that adapts no module, or "bottleneck", saved as by the package `adapters`; in letters of any
     * case. NULL: LoRA when there is a lora_rank, else none. */
    const char *peft_type;
    const char *target_modules;      /* of IA3, and of LoRA where lora_target is NULL; NULL: the default */
    const char *feedforward_modules; /* IA3: those of them whose input is scaled; NULL: the default's */
    int64_t num_virtual_tokens;      /* prompt and prefix tuning; 0: 20 */
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
    /* The part of each label's weight that all classes share, as transformers' LabelSmoother has it: of the
     * cross-entropies of the training; what is measured is the loss without it. 0: none */
    double label_smoothing_factor;
    /* LoRA: "mlp.experts.gate_up_proj,mlp.experts.down_proj,mlp.gate.weight", ends of the names that
     * transformers has for parameters of experts and of what chooses them, as PEFT's target_parameters;
     * without dropout. They come beside the modules; lora_target "" is for them alone. NULL: none */
    const char *target_parameters;
    const char *bias; /* LoRA: biases that are trained too, "all" or "lora_only", those of the adapted
                         modules; NULL or "none": none */
    int64_t encoder_hidden_size;  /* prefix_projection: of that net; 0: the width of a layer's keys */
    double d_initial;             /* VeRA: what the vector behind the first matrix begins as; 0: 0.1 */
    uint64_t projection_prng_key; /* VeRA: its matrices are those that PEFT draws from this key */
    /* NEFTune (Jain et al. 2023): while training, each number that is read of the tokens' table gets uniform
     * noise of at most alpha / sqrt(tokens of its sequence * hidden size); 0: none */
    double neftune_noise_alpha;
    /* What is frozen: patterns of tensors' names, several between commas, that match whole parts of them, one
     * or several: "embed_tokens, layers.0-3, *norm*"; '*' stands for anything, '?' for a character, 0-3 for a
     * number of these. It takes no gradient and no state, and is saved with the rest. NULL: nothing */
    const char *freeze;
    const char *train_only;      /* patterns of what is trained, all else is frozen; NULL: all */
    int64_t unfreeze_top_layers; /* only the last so many layers are trained, and what is behind; 0: all */
    /* Gradual unfreezing (Howard and Ruder 2018): "one-per-epoch", or steps, "100,200". What is behind the
     * last layer is trained from the beginning, or where that is but norms the last layer with it; one more
     * layer, and after the lowest the tables, from each of these on. NULL: all at once */
    const char *unfreeze_schedule;
    /* An exponential moving average of what is trained, as diffusers' EMAModel has it: after step n + 1 it
     * keeps min(ema_decay, (1 + n) / (10 + n)) of what it was, after the first nothing. It is what is
     * measured and saved; checkpoints hold it beside the weights that are trained. 0: none */
    double ema_decay;
    /* The dropouts inside the model while it is trained, also where it is frozen beside an adapter, as in
     * PyTorch. 0: as its config.json says, or transformers presets, but none of preferences, as in TRL; a
     * GGUF says none. Above 0, below 1: all that transformers has in such a model are this. Measuring and
     * generating are without, and so are references of preferences. */
    double dropout;
    /* peft_type "bottleneck", named as in the package `adapters`: "seq_bn" or "pfeiffer", after feed-forward
     * layers, or "double_seq_bn" or "houlsby", after attention too; NULL: the first */
    const char *adapter_config;
    double reduction_factor;   /* the same: the model's width over that of the adapters; 0: 16 */
    const char *non_linearity; /* the same: by transformers' names; NULL: relu, of double_seq_bn swish */
    /* LoRA, and peft_type "trainable_tokens", which is these alone: tokens whose rows of the table are
     * trained, ids between commas, "50257,50258"; or PEFT's object of lists by module, as JSON,
     * {"embed_tokens": [5], "lm_head": [5]}. A head that is tied to the table has its rows. NULL: none */
    const char *trainable_token_indices;
} tuff_train_params;

#define TUFF_DROPOUT_NONE   (-1.0)
#define TUFF_DROPOUT_CONFIG (-2.0) /* as 0, also of preferences */

/* max_steps -1, 3 epochs, batch 8 x 1, learning rate 5e-5 linear without warm-up, no decay, betas 0.9 and
 * 0.999, epsilon 1e-8, clip 1.0, seed 42, no LoRA (alpha 16 and dropout 0 if there is),
 * max_nonfinite 10, no watch, AdamW, no momentum. */
#define TUFF_TRAIN_PARAMS_INIT                                                                               \
    {                                                                                                        \
        sizeof(tuff_train_params), -1, 3, 8, 1, 5e-5, TUFF_SCHEDULE_LINEAR, 0, 0, 0, 0.9, 0.999, 1e-8, 1,    \
            42, false, 0, 16, 0, NULL, 10, NULL, NULL, 0, false, false, false, false, false, false, false,   \
            false, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 1e-6, 0, NULL, NULL, 0, 0, \
            0, 0, NULL, NULL, 0, NULL, 0, 0, NULL, 0, NULL, NULL                                             \
    }

/* One model being trained on one device. Belongs to one thread at a time. While a call works on it, as seen
 * from the watch's callback, others that would work on it (steps, batches, saving, generating, evaluating and
 * its plan) fail with TUFF_INVALID_ARGUMENT, and tuff_trainer_destroy leaves it as it is. What only reads
 * figures (tuff_trainer_get_memory, tuff_trainer_total_steps, tuff_trainer_program) may be called. */
typedef struct tuff_trainer tuff_trainer;

/* Plans the step; puts nothing on the device yet. `params` (and its strings) need only live until the call
 * returns; NULL: the defaults. The blocks of models with rotary positions may be longer than their context.
 * Errors: TUFF_INVALID_ARGUMENT, TUFF_UNSUPPORTED, TUFF_OUT_OF_MEMORY. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_create(const tuff_model *model, tuff_device *device,
                                                       const tuff_dataset *train,
                                                       const tuff_train_params *params,
                                                       tuff_trainer **out_trainer);
/* The same with the largest batches that fit. The examples of a step stay as many as `params` says,
 * per_device_train_batch_size * gradient_accumulation_steps; the batch that runs at once is the largest
 * divisor of that number whose plan takes no more than `memory` bytes of the device (0: nine tenths of a
 * discrete GPU's memory, half of another device's, which others use too). The choice depends on nothing that
 * changes from run to run. Checkpoints have what was chosen; whoever goes on from one gives that to
 * tuff_trainer_create, for sums over other batches are rounded otherwise. Evaluations are planned later, and
 * are not looked at. Errors: as above; TUFF_OUT_OF_MEMORY when not even one example fits; TUFF_UNSUPPORTED
 * for tasks whose loss compares the examples of a batch. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_create_fitting(const tuff_model *model, tuff_device *device,
                                                               const tuff_dataset *train,
                                                               const tuff_train_params *params,
                                                               uint64_t memory, tuff_trainer **out_trainer);
/* The examples that run at once, and how many such batches make a step. Either may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_get_batch(const tuff_trainer *trainer,
                                                          int64_t *out_batch_size, int64_t *out_accumulation);
TUFF_API void tuff_trainer_destroy(tuff_trainer **trainer);

/* What training needs on the device, known before anything is put there. In bytes. */
typedef struct tuff_train_memory {
    size_t struct_size;          /* set by TUFF_TRAIN_MEMORY_INIT */
    uint64_t weights, optimizer; /* averages are of the optimizer's */
    uint64_t gradients;          /* of all that is trained */
    bool gradients_apart;        /* accumulated in buffers of their own; else they are in the arena */
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
/* The dropouts that act inside the model, "0.1 of embeddings, attention; 0.2 of classes"; "": none. Owned by
 * the trainer. */
TUFF_API const char *tuff_trainer_dropout(const tuff_trainer *trainer);
/* The program that sees a batch, for its plan and profile; owned by the trainer. */
TUFF_API tuff_program *tuff_trainer_program(tuff_trainer *trainer);

/* What a task measures beside its loss: its name, "accuracy", and value. Never gets further fields. */
typedef struct tuff_eval_figure {
    char name[24];
    double value;
} tuff_eval_figure;
#define TUFF_EVAL_FIGURES 16

typedef struct tuff_train_step {
    size_t struct_size; /* set by TUFF_TRAIN_STEP_INIT */
    int64_t step;       /* 1 for the first */
    double epoch;
    double loss; /* mean over the predictions of the step, before its update; NaN where there were none */
    double learning_rate, grad_norm; /* the norm before clipping */
    bool skipped;   /* the norm was not finite, or there was nothing to predict: nothing has changed */
    int64_t tokens; /* ids seen by this step */
    double seconds; /* that it took */
    int64_t count;  /* of the figures: of preferences, as tuff_evaluate has them; of other tasks 0 */
    tuff_eval_figure figures[TUFF_EVAL_FIGURES];
} tuff_train_step;
#define TUFF_TRAIN_STEP_INIT                                    \
    {                                                           \
        sizeof(tuff_train_step), 0, 0, 0, 0, 0, false, 0, 0, 0, \
        {                                                       \
            {                                                   \
                "", 0                                           \
            }                                                   \
        }                                                       \
    }
/* One optimizer step. The first puts the weights on the device, and may be tried again when that fails. A
 * step whose gradient is not finite, or without a label, changes nothing, and is reported as skipped. Errors:
 * TUFF_NOT_FINITE when it is the last of max_nonfinite such steps in a row: it is in *out_step, the trainer
 * can be saved or go on, but most likely its weights are of no use; TUFF_CANCELLED by the watch: the trainer
 * is as it was before the step, which may be tried again. After any other failure it can only be taken
 * to a checkpoint (tuff_trainer_resume) or be destroyed; after TUFF_DEVICE_LOST it is destroyed, then the
 * device, and another trainer on the device that is opened again goes on from the checkpoint. */
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

/* What the model being trained says now: tuff_generate, on the trainer's device, with the weights and the
 * adapter as the last step left them, or with their averages where ema_decay is set: what would be saved now.
 * Of the watches that of `params` is asked, else the trainer's. What the training does next does not depend
 * on it. Takes the memory of a generator without its weights while it runs, which is not in
 * tuff_trainer_get_memory. Errors: as there; TUFF_UNSUPPORTED for a model that writes no text. After an error
 * the trainer is as it was, unless the device is lost. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_generate(tuff_trainer *trainer, const char *prompt,
                                                         size_t size, const tuff_generate_params *params,
                                                         tuff_generate_result *out_result);

/* ---- evaluation ---- */

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
/* Held-out loss of the model being trained, on its device; planned now if it is not yet. Preferences are
 * measured from the model as it was: where no adapter is trained, such data is planned before the first step,
 * or TUFF_INVALID_ARGUMENT. */
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
    size_t struct_size;         /* set by TUFF_EVAL_PARAMS_INIT */
    int64_t batch_size;         /* examples per run; 0: 4 */
    const char *adapter;        /* to apply: a PEFT directory or a GGUF file; NULL: none */
    const tuff_watch *watch;    /* TUFF_PHASE_UPLOAD, TUFF_PHASE_EVALUATE; NULL: none */
    bool predict_with_generate; /* of sft: the model answers by itself, too; of seq2seq it always does */
    bool use_stemmer;           /* ROUGE's words without their endings, by Porter's rules for English */
    bool reserved[6];           /* leave them false */
} tuff_eval_params;
#define TUFF_EVAL_PARAMS_INIT                                  \
    {                                                          \
        sizeof(tuff_eval_params), 0, NULL, NULL, false, false, \
        {                                                      \
            false                                              \
        }                                                      \
    }
/* Loss of a model as it is in its file, and figures of its task, each equal to that of the package named.
 * Of classification by scikit-learn: accuracy, f1_macro and f1_weighted, precision and recall in the same
 * way, f1_micro; mcc (Matthews' correlation) where texts have one label, and of two classes f1, precision and
 * recall of the second; precision_micro and recall_micro where they have several. Of regression mse, rmse,
 * mae, pearson and spearman (SciPy's; NaN where all numbers are equal). Of token-classification the same as
 * of one label, and where labels are O, B-..., I-... and such entity_f1, entity_precision and entity_recall,
 * by seqeval. Of qa exact_match and f1, as SQuAD counts them. Of seq2seq and sft accuracy, the share of the
 * targets' tokens, or the answers', that are the most probable ones behind those before them; and of what the
 * model answers by itself, greedily, in up to twice as many tokens as the true answer has and 16
 * (TUFF_PHASE_GENERATE): bleu and chrf, 0 to 100, by sacrebleu with its defaults, rouge1, rouge2, rougeL and
 * rougeLsum, means of F-measures, by rouge-score, and exact_match, the share of answers that are the same
 * text; white space around texts does not count. Of preference they are rewards/chosen, rewards/rejected,
 * rewards/margins, rewards/accuracies, logps/chosen, logps/rejected and kl, as TRL counts them; but for orpo
 * an adapter is needed, which what was before is without. `params` may be NULL. Errors: TUFF_INVALID_ARGUMENT
 * for blocks that are too long for learned positions, or ids that the model does not know. */
TUFF_API TUFF_MUST_USE tuff_status tuff_evaluate(const tuff_model *model, tuff_device *device,
                                                 const tuff_dataset *data, const tuff_eval_params *params,
                                                 tuff_eval_result *out_result);

/* A figure by its name, "loss" and "perplexity" too; false: there is none. */
TUFF_API bool tuff_eval_find(const tuff_eval_result *result, const char *name, double *out_value);

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
