/* The options of `tuff train`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

#define AT(field) .offset = offsetof(tuff_cli_train_options, field)
#define MANY      1e15

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "What to train, on what:"},
    {TUFF_ARG_TEXT, "model", "PATH", AT(model), .help = TUFF_CLI_MODEL_HELP, .required = true},
    {TUFF_ARG_CHOICE, "task", TUFF_CLI_TRAIN_TASKS, AT(task),
     .help =
         "what to train for: the next token of a text; hidden tokens; labels of texts; labels of words; answers in texts; "
         "the assistant's answers in conversations; answers that are preferred to others; vectors that are near where texts "
         "belong together",
     .preset = "sft for files of conversations, else causal-lm"},
    {TUFF_ARG_TEXT, "train-file", "FILE", AT(train_file),
     .help =
         "causal-lm: the text to train on, UTF-8, or records (.jsonl, .json, .csv, .tsv) with texts (--text-field); special "
         "tokens spelled out in it are seen. Else records. A directory stands for the files in it, in the order of their "
         "names. Records: "
         "of preference with prompt, chosen and rejected, or (kto) prompt, completion and label, true or false, "
         "also with Alpaca's instruction and input for the prompt; "
         "of embedding with columns anchor, positive and negative or negative_1, negative_2, ... (mnrl, triplet) or "
         "sentence1, sentence2 and score"},
    {TUFF_ARG_LIST, "mix", "FILE=WEIGHT", AT(mix),
     .help =
         "in place of --train-file, once for each of several files that are mixed: an epoch has as many examples of each as "
         "its weight says of the whole. Files of one task, or texts beside conversations; labels are the first file's"},
    {TUFF_ARG_CHOICE, "stopping-strategy", "all_exhausted|first_exhausted", AT(mix_end),
     .help =
         "of --mix: an epoch ends when the file that lasts longest, by its weight, was seen once, and others again; or the "
         "one that lasts shortest, and others go on in the next epoch"},
    {TUFF_ARG_TEXT, "validation-file", "FILE", AT(validation_file),
     .help = "the same, to measure the model on, at the end and every --eval-steps"},
    {TUFF_ARG_REAL, "validation-split", "X", AT(data.validation_split), 0, 0.5,
     "hold this share of the training file, or of each that is mixed, out, and measure the model on it: of a text its end, "
     "of records one of each 1/X, which --seed chooses",
     "0: none"},
    {TUFF_ARG_CHOICE, "train-file-format", "auto|text", AT(format),
     .help =
         "auto: of a file of records (.jsonl, .json, .csv, .tsv) the text is what they have as \"text\", or as --text-field "
         "says; text takes the training and the validation file as they are written"},
    {TUFF_ARG_TEXT, "output-dir", "DIR", AT(output_dir),
     .help =
         "where the result goes: a Hugging Face directory (of vectors: for sentence-transformers), with LoRA a PEFT adapter; it appears whole or not at all",
     .preset = "", .momentary = true, .use = TUFF_USE_WRITTEN},
    {TUFF_ARG_FLAG, "overwrite-output-dir", NULL, AT(overwrite),
     .help =
         "replace a model or an adapter that is in --output-dir by one of its kind, but never one that is read",
     .momentary = true},
    {TUFF_ARG_FLAG, "save-anyway", NULL, AT(save_anyway),
     .help = "save the result of a failed training too; the exit code stays 1", .momentary = true},
    {TUFF_ARG_INT, "block-size", "N", AT(block_size), 2, 16777216,
     "causal-lm: the text is cut into blocks of N tokens, an example each; a last one that is not full is left out",
     "1024, or the model's context if that is less"},
    {TUFF_ARG_INT, "block-stride", "N", AT(data.block_stride), 1, 16777216,
     "causal-lm: a block begins N tokens behind the one before; less than --block-size: they overlap",
     "--block-size"},
    TUFF_CLI_CACHE_ROW(tuff_cli_train_options),
    TUFF_CLI_DATA_ROWS(tuff_cli_train_options),
    TUFF_CLI_CONVERSATION_ROWS(tuff_cli_train_options),
    {.kind = TUFF_ARG_GROUP, .name = "Vectors and preferences (--task embedding, --task preference):"},
    {TUFF_ARG_CHOICE, "loss", TUFF_CLI_TRAIN_LOSSES, AT(loss),
     .help =
         "of embedding as in sentence-transformers. mnrl: an anchor's positive among all texts of the batch; cosine: the "
         "cosine is to be the score, -1 to 1; triplet: the positive nearer than the negative; contrastive: scores 1 and 0, "
         "near and far; cosent: cosines in the order of the scores. Of preference as in TRL. dpo: the chosen answer becomes "
         "more probable than the rejected one, measured from the model as it was, without the adapter; ipo, hinge, robust: "
         "other measures of that; orpo: likelihood and odds, with no look at what was before; kto: answers that are said to "
         "be good or not",
     .preset = "mnrl, of preference dpo"},
    TUFF_CLI_PREFERENCE_ROWS(tuff_cli_train_options),
    {.kind = TUFF_ARG_GROUP, .name = "Vectors (--task embedding):"},
    {TUFF_ARG_INT, "gradient-cache-batch", "N", AT(gradient_cache_batch), 0, 65536,
     "run N texts at a time and cache the gradients of their vectors: large batches in little memory, the same result; 0: "
     "the whole batch at once"},
    {TUFF_ARG_CHOICE, "pooling", "model|mean|cls|max|last|weighted-mean|mean-sqrt-len", AT(pooling),
     .help =
         "how the vectors of a text's tokens become one; model: as its files say, else mean for encoders, last for "
         "decoders"},
    {TUFF_ARG_TEXT, "query-prompt", "TEXT", AT(query_prompt), .help = "put before texts of the first column",
     .preset = "the model's prompt called \"query\", if it has one"},
    {TUFF_ARG_TEXT, "document-prompt", "TEXT", AT(document_prompt), .help = "put before the other texts",
     .preset = "the model's prompt called \"document\", \"passage\" or \"corpus\", if it has one"},
    {TUFF_ARG_TEXT, "eval-docs", "FILE", AT(eval_docs),
     .help =
         "measure the vectors by search too, before the first step, at the end and every --eval-steps, as `tuff eval "
         "--task retrieval` does: the documents with their ids, as JSON (.jsonl, .json), CSV or TSV",
     .preset = "no search"},
    {TUFF_ARG_TEXT, "eval-queries", "FILE", AT(eval_queries), .help = "the queries with theirs"},
    {TUFF_ARG_TEXT, "eval-qrels", "FILE", AT(eval_qrels),
     .help = "which documents are relevant to which queries, as TREC or BEIR have it"},
    {TUFF_ARG_TEXT, "id-field", "NAME", AT(id_field),
     .help = "the key or column of ids of both; that of texts is --text-field", .preset = "_id"},
    {.kind = TUFF_ARG_GROUP, .name = "How long:"},
    {TUFF_ARG_REAL, "num-train-epochs", "X", AT(epochs), 1e-9, 1e9, "times to go through the text"},
    {TUFF_ARG_INT, "max-steps", "N", AT(max_steps), -1, MANY,
     "exactly N steps instead; 0 saves the initial state without training", "as the epochs need"},
    {TUFF_ARG_INT, "per-device-train-batch-size", "N", AT(batch_size), 1, 65536, "blocks that run at once"},
    {TUFF_ARG_INT, "gradient-accumulation-steps", "N", AT(accumulation), 1, 65536,
     "batches whose gradients make one step: the memory of one, the effect of N"},
    {TUFF_ARG_FLAG, "auto-batch", NULL, AT(auto_batch),
     .help =
         "run as many of a step's examples at once as the device has room for, by the plan; a step has as many as the two "
         "options above say. What was chosen is kept in checkpoints and run.json"},
    {TUFF_ARG_INT, "max-memory", "MB", AT(max_memory), 1, 1e12,
     "of --auto-batch: how much of the device it may take",
     "nine tenths of a discrete GPU's memory, half of other devices'"},
    {.kind = TUFF_ARG_GROUP, .name = "The optimizer:"},
    {TUFF_ARG_TEXT, "optim", "NAME", AT(optim),
     .help =
         "adamw, sgd, lion, adafactor, adamw_8bit or muon; adamw_torch, lion_32bit and adamw_bnb_8bit mean the same as "
         "in transformers. adamw_8bit keeps its moments in bytes, but for small parameters and tables; muon is for the "
         "matrices of layers, AdamW for the rest",
     .preset = "adamw"},
    {TUFF_ARG_SETTINGS, "optim-args", "TEXT", AT(optim_args),
     .help =
         "settings of the optimizer's own, as name=value,name=value or as JSON. adafactor: scale_parameter, relative_step "
         "(its own rate), warmup_init, clip_threshold, decay_rate, beta1, eps1, eps2. muon: adjust_lr_fn (match_rms_adamw, "
         "with which the rate is AdamW's, or original), adamw_lr (the rate of the rest), nesterov, ns_steps",
     .preset = "none"},
    {TUFF_ARG_REAL, "learning-rate", "X", AT(learning_rate), 0, 1e6,
     "the peak; LoRA wants about 10 times more, Lion 3 to 10 times less, SGD 100 times more and a momentum"},
    {TUFF_ARG_CHOICE, "lr-scheduler-type",
     "linear|cosine|constant|cosine_with_restarts|polynomial|constant_with_warmup|inverse_sqrt|cosine_with_min_lr|"
     "cosine_warmup_with_min_lr|warmup_stable_decay",
     AT(scheduler),
     .help =
         "how the rate goes after the warm-up, as in transformers; linear and cosine fall to 0 at the last step, constant "
         "has no warm-up"},
    {TUFF_ARG_SETTINGS, "lr-scheduler-kwargs", "TEXT", AT(scheduler_kwargs),
     .help =
         "its settings, as name=value,name=value or as JSON: num_cycles of cosine and cosine_with_restarts; power, lr_end "
         "of polynomial; timescale of inverse_sqrt; num_cycles, min_lr or min_lr_rate of the cosines with one, "
         "warmup_lr_rate of the second; num_decay_steps, num_stable_steps, decay_type, warmup_type "
         "(linear, cosine, 1-sqrt), min_lr_ratio of warmup_stable_decay",
     .preset = "as transformers has them"},
    {TUFF_ARG_INT, "warmup-steps", "N", AT(warmup_steps), 0, MANY, "steps in which the rate rises from 0"},
    {TUFF_ARG_REAL, "warmup-ratio", "X", AT(warmup_ratio), 0, 1, "the same as a part of all steps"},
    {TUFF_ARG_REAL, "weight-decay", "X", AT(weight_decay), 0, 1e6,
     "of matrices; biases and norms do not decay"},
    {TUFF_ARG_REAL, "layerwise-lr-decay", "X", AT(layerwise_decay), 0, 1,
     "each layer's rate is that of the one above times X; the head has the whole, tables the least",
     "0: none"},
    {TUFF_ARG_REAL, "loraplus-lr-ratio", "X", AT(loraplus_ratio), 0, 1e6,
     "LoRA+: the rate of LoRA's B is X times that of A", "0: they have the same"},
    {TUFF_ARG_REAL, "loraplus-lr-embedding", "X", AT(loraplus_embedding), 0, 1e6,
     "LoRA+: the rate of LoRA on tables"},
    {TUFF_ARG_REAL, "momentum", "X", AT(momentum), 0, 0.9999999, "of SGD; of Muon, where 0 is 0.95"},
    {TUFF_ARG_FLAG, "nesterov", NULL, AT(nesterov), .help = "Nesterov's momentum, of SGD"},
    {TUFF_ARG_REAL, "adam-beta1", "X", AT(beta1), 0, 0.9999999,
     "AdamW, Lion, Muon's AdamW: decay of the gradient's mean"},
    {TUFF_ARG_REAL, "adam-beta2", "X", AT(beta2), 0, 0.9999999,
     "AdamW: decay of its square's mean; Lion: of what is kept of the mean, usually 0.99"},
    {TUFF_ARG_REAL, "adam-epsilon", "X", AT(epsilon), 0, 1, "AdamW: added to the square root"},
    {TUFF_ARG_REAL, "max-grad-norm", "X", AT(max_grad_norm), 0, 1e30,
     "a gradient with a larger norm is scaled down to it; 0: never"},
    {TUFF_ARG_FLAG, "bf16", NULL, AT(bf16),
     .help = "mixed precision: products round their operands to bf16; sums, weights and all else stay f32"},
    {TUFF_ARG_REAL, "label-smoothing-factor", "X", AT(label_smoothing), 0, 1,
     "the part of each label's weight that all classes share while training; what is measured is the loss without it",
     "0: none"},
    {TUFF_ARG_REAL, "neftune-noise-alpha", "X", AT(neftune_alpha), 0, 1e6,
     "NEFTune: noise on what is read of the tokens' table while training, at most X over the square root of a text's "
     "tokens times the width; 5 to 15 are usual",
     "0: none"},
    {TUFF_ARG_REAL, "ema-decay", "X", AT(ema_decay), 0, 0.9999999,
     "keep a moving average of what is trained, of which X stays at each step (less at first); it is what is measured and "
     "what the result is",
     "0: none"},
    {TUFF_ARG_TEXT, "dropout", "config|none|X", AT(dropout),
     .help =
         "dropout inside the model while it is trained: as its config.json says, none, or X wherever transformers has it "
         "in such a model; of the adapter see --lora-dropout",
     .preset = "config; of preferences none"},
    {TUFF_ARG_INT, "max-nonfinite", "N", AT(max_nonfinite), 0, MANY,
     "end the training as failed after N steps in a row whose gradients are not finite; 0: never"},
    {TUFF_ARG_INT, "seed", "N", AT(seed), 0, 9007199254740992.0,
     "of the order, of dropout and of LoRA's start"},
    {TUFF_ARG_FLAG, "no-shuffle", NULL, AT(no_shuffle), .help = "take the blocks in the order of the file"},
    {.kind = TUFF_ARG_GROUP,
     .name = "Freezing (what is frozen takes no gradient, no state of the optimizer):"},
    {TUFF_ARG_TEXT, "freeze", "NAMES", AT(freeze),
     .help =
         "tensors that stay as they are, by patterns that match whole parts of their names: 'embed_tokens,layers.0-3' or "
         "'*norm*'; * stands for anything, 0-3 for a number of these",
     .preset = "nothing"},
    {TUFF_ARG_TEXT, "train-only", "NAMES", AT(train_only),
     .help = "the same of what is trained: all else is frozen", .preset = "everything"},
    {TUFF_ARG_INT, "unfreeze-top-layers", "N", AT(unfreeze_top_layers), 0, MANY,
     "train the last N layers only, and what is behind them", "0: all"},
    {TUFF_ARG_TEXT, "unfreeze-schedule", "WHEN", AT(unfreeze_schedule),
     .help =
         "gradual unfreezing: what is behind the last layer is trained first, then one more layer each time, the lowest and "
         "the tables last; one-per-epoch, or after so many steps, 100,200,300",
     .preset = "all at once"},
    {.kind = TUFF_ARG_GROUP,
     .name = "Adapters (the model stays as it is, a few tensors beside it are trained):"},
    {TUFF_ARG_TEXT, "method", "NAME", AT(method),
     .help = TUFF_CLI_METHODS
     ": what is trained; dora is lora with --use-dora, bitfit the biases alone, "
     "as a LoRA that PEFT loads, tokens rows of the tokens' table alone (--trainable-token-indices), adapter small nets between the layers (bottleneck adapters), "
     "which the package adapters loads",
     .preset = "lora with --lora-rank, else full"},
    {TUFF_ARG_TEXT, "peft-type", "NAME", AT(peft_type),
     .help =
         "the same as PEFT has it: lora, vera, ia3, prompt_tuning, prefix_tuning or trainable_tokens; or bitfit, bottleneck",
     .preset = ""},
    {TUFF_ARG_INT, "lora-rank", "N", AT(lora_rank), 0, 65536,
     "rank of LoRA's matrices; 0: no LoRA, or with --method lora 8; of VeRA's, where 0 is 256"},
    {TUFF_ARG_REAL, "lora-alpha", "X", AT(lora_alpha), 0, 1e6,
     "the adapter's output is scaled by alpha / rank", "16"},
    {TUFF_ARG_REAL, "lora-dropout", "X", AT(lora_dropout), 0, 0.999, "part of the adapter's inputs to drop",
     "0"},
    {TUFF_ARG_FLAG, "use-rslora", NULL, AT(use_rslora),
     .help = "LoRA: scaled by alpha over the square root of the rank, so that large ranks learn as fast"},
    {TUFF_ARG_FLAG, "use-dora", NULL, AT(use_dora),
     .help = "LoRA: rows of the weights get magnitudes that are trained beside their directions"},
    {TUFF_ARG_NAMES, "rank-pattern", "NAME=N,...", AT(rank_pattern),
     .help = "LoRA: modules that have another rank, such as v_proj=16,down_proj=4"},
    {TUFF_ARG_NAMES, "alpha-pattern", "NAME=X,...", AT(alpha_pattern),
     .help = "LoRA: modules that have another alpha"},
    {TUFF_ARG_CHOICE, "bias", TUFF_CLI_BIASES, AT(bias),
     .help = "LoRA: biases that are trained too, all of the model's or those of the adapted modules"},
    {TUFF_ARG_REAL, "d-initial", "X", AT(d_initial), -1e6, 1e6,
     "VeRA: what the vector behind the first matrix begins as", "0.1"},
    {TUFF_ARG_INT, "projection-prng-key", "N", AT(projection_key), 0, 9007199254740992.0,
     "VeRA: its matrices are those that PEFT draws from this key"},
    {TUFF_ARG_TEXT, "adapter-config", "NAME", AT(adapter_config),
     .help =
         "adapter: seq_bn (pfeiffer), after the feed-forward layers, or double_seq_bn (houlsby), after attention too",
     .preset = "seq_bn"},
    {TUFF_ARG_REAL, "reduction-factor", "X", AT(reduction_factor), 0, 1e6,
     "adapter: the model's width over that of its nets", "16"},
    {TUFF_ARG_REAL, "adapter-dropout", "X", AT(adapter_dropout), 0, 0.999,
     "adapter: part of what its nets give to drop", "0"},
    {TUFF_ARG_TEXT, "non-linearity", "NAME", AT(non_linearity),
     .help = "adapter: relu, silu, gelu, gelu_new, tanh", .preset = "relu, of double_seq_bn swish"},
    {TUFF_ARG_NAMES, "lora-target", "NAMES", AT(lora_target),
     .help =
         "modules to adapt, such as q_proj,v_proj, or all-linear; by their names also the head and the table of tokens",
     .preset = "as PEFT has it for the architecture"},
    {TUFF_ARG_NAMES, "target-modules", "NAMES", AT(target_modules), .help = "the same for LoRA, VeRA and IA3",
     .preset = "as PEFT has it for the architecture"},
    {TUFF_ARG_NAMES, "target-parameters", "NAMES", AT(target_parameters),
     .help =
         "LoRA: parameters of experts to adapt too, such as mlp.experts.gate_up_proj,mlp.experts.down_proj; with "
         "--lora-target '' these alone",
     .preset = "none"},
    {TUFF_ARG_NAMES, "trainable-token-indices", "IDS", AT(token_indices),
     .help =
         "LoRA, tokens: ids of tokens whose rows of the table, and of a head that is tied to it, are trained, such as "
         "50257,50258; or by module as JSON, as PEFT has it, '{\"embed_tokens\": [5], \"lm_head\": [5]}'",
     .preset = "none"},
    {TUFF_ARG_NAMES, "add-special-tokens", "TOKENS", AT(special_tokens),
     .help =
         "tokens that the model is to have, such as '<|im_start|>,<|im_end|>' for --chat-template chatml: its tables get "
         "rows for those that it lacks, which begin as the mean of the others and are trained beside LoRA (without it all "
         "is); the tokenizer is saved with the result. Of --task causal-lm, sft and preference, whose texts have special tokens",
     .preset = "none"},
    {TUFF_ARG_NAMES, "feedforward-modules", "NAMES", AT(feedforward_modules),
     .help = "IA3: those of --target-modules whose input is scaled, not what they give",
     .preset = "as PEFT has it with the default modules, else none"},
    {TUFF_ARG_INT, "num-virtual-tokens", "N", AT(virtual_tokens), 0, 65536,
     "prompt and prefix tuning: rows that are trained and come before each text; 0: 20"},
    {TUFF_ARG_TEXT, "prompt-tuning-init-text", "TEXT", AT(init_text),
     .help = "prompt tuning: what these rows begin as", .preset = "random rows"},
    {TUFF_ARG_FLAG, "prefix-projection", NULL, AT(prefix_projection),
     .help = "prefix tuning: the keys and values are what a net of two layers makes of a table"},
    {TUFF_ARG_INT, "encoder-hidden-size", "N", AT(encoder_hidden), 0, 1048576,
     "prefix tuning: the width of that net; 0: that of a layer's keys"},
    {TUFF_ARG_TEXT, "base-model-name", "NAME", AT(base_model_name),
     .help = "what PEFT is to load the adapter onto, a name of the hub or a path",
     .preset = "the model's directory; of a .gguf file the repository that it says it is from, if any"},
    {.kind = TUFF_ARG_GROUP, .name = "Checkpoints (all that a training needs to go on, in --output-dir):"},
    {TUFF_ARG_CHOICE, "save-strategy", TUFF_CLI_STRATEGIES, AT(save_strategy),
     .help =
         "write DIR/checkpoint-STEP never, every --save-steps or after every epoch, and at the end; Ctrl-C then writes one "
         "in place of the result",
     .preset = "no; with --save-steps steps"},
    {TUFF_ARG_INT, "save-steps", "N", AT(save_steps), 0, MANY, "write one every N steps", "500"},
    {TUFF_ARG_INT, "save-total-limit", "N", AT(save_total_limit), 0, MANY,
     "keep the newest N of them, and the best one with --load-best-model-at-end", "all"},
    {TUFF_ARG_TEXT, "resume-from-checkpoint", "DIR", AT(resume),
     .help =
         "go on from a checkpoint: its directory, or one that has several, whose newest whole one is taken; last: that of "
         "--output-dir. Without --model the settings are the checkpoint's, and it goes on where it lies. With the same settings, data and device the result is the same, byte for byte, as if the training "
         "had never ended; what differs is said",
     .momentary = true, .use = TUFF_USE_GONE_ON},
    {TUFF_ARG_FLAG, "load-best-model-at-end", NULL, AT(load_best),
     .help = "the result is what the best checkpoint has; --eval-strategy must be as --save-strategy"},
    {TUFF_ARG_TEXT, "metric-for-best-model", "NAME", AT(best_metric),
     .help = "a figure of the evaluation: loss, perplexity, accuracy, f1_macro, mcc, entity_f1, rougeL, ...",
     .preset = "loss"},
    {TUFF_ARG_CHOICE, "greater-is-better", "auto|true|false", AT(greater_is_better),
     .help = "which way that figure is good; auto: true, but for loss, perplexity, kl, mse, rmse and mae"},
    {TUFF_ARG_INT, "early-stopping-patience", "N", AT(patience), 0, MANY,
     "end the training after N evaluations in a row that were no better than the best before them", "never"},
    {TUFF_ARG_REAL, "early-stopping-threshold", "X", AT(patience_threshold), 0, 1e30,
     "better means by more than X"},
    {.kind = TUFF_ARG_GROUP, .name = "What one sees:"},
    {TUFF_ARG_INT, "logging-steps", "N", AT(logging_steps), 1, MANY, "print a line every N steps"},
    {TUFF_ARG_CHOICE, "eval-strategy", TUFF_CLI_STRATEGIES, AT(eval_strategy),
     .help =
         "measure --validation-file, and --eval-docs, at the end only, every --eval-steps, or after every epoch",
     .preset = "no; with --eval-steps steps; with --early-stopping-patience epoch"},
    {TUFF_ARG_INT, "eval-steps", "N", AT(eval_steps), 0, MANY, "measure every N steps; 0: at the end only",
     "with --eval-strategy steps that of --logging-steps, else 0"},
    TUFF_CLI_ANSWER_ROWS(tuff_cli_train_options),
    {TUFF_ARG_LIST, "sample-prompt", "TEXT", AT(sample_prompts),
     .help =
         "let the model go on with TEXT, as `tuff generate` would, before the first step, with each evaluation and at the "
         "end; of causal-lm and seq2seq; again for further prompts. The training is the same with and without"},
    {TUFF_ARG_INT, "sample-steps", "N", AT(sample_steps), 0, MANY, "every N steps instead",
     "with each evaluation"},
    {TUFF_ARG_INT, "sample-tokens", "N", AT(sample_tokens), 1, 16777216, "the most tokens of what it says"},
    {TUFF_ARG_REAL, "sample-temperature", "X", AT(sample_temperature), 0, 1e6,
     "0: the most probable token each time; else drawn, with --seed"},
    {TUFF_ARG_TEXT, "log-file", "FILE", AT(log_file),
     .help = "a line of JSON per step: loss, learning rate, gradient norm; per evaluation; per sample",
     .preset = "DIR/train_log.jsonl", .momentary = true, .use = TUFF_USE_WRITTEN},
    {TUFF_ARG_TEXT, "report-to", "NAMES", AT(report_to),
     .help =
         "html: a page with curves, evaluations, samples and settings, DIR/report.html, which is kept current while it "
         "trains; tensorboard: event files; html,tensorboard or all: both; none",
     .preset = "html; with --logging-dir all"},
    {TUFF_ARG_TEXT, "logging-dir", "DIR", AT(logging_dir),
     .help = "where event files go; a training that goes on adds one", .preset = "OUTPUT-DIR/runs",
     .momentary = true, .use = TUFF_USE_ADDED_TO},
    {TUFF_ARG_TEXT, "dump-batches", "FILE", AT(dump_batches),
     .help = "write the token ids of all batches as .npy, int32 [batches, batch size, block size]",
     .momentary = true, .use = TUFF_USE_WRITTEN},
    {TUFF_ARG_FLAG, "print-plan", NULL, AT(print_plan),
     .help = "print the plan of a step, and stop before it runs", .momentary = true},
    {TUFF_ARG_FLAG, "dry-run", NULL, AT(dry_run),
     .help =
         "say what the training would be: model, data, steps, memory, plan, and the time, by a few steps that are run and "
         "thrown away; nothing is written. With --json for programs",
     .momentary = true},
    {TUFF_ARG_OPTIONAL, "profile", "FILE", AT(profile),
     .help = "print the time by operation, and write the last step's Chrome trace to FILE", .momentary = true,
     .use = TUFF_USE_WRITTEN},
    {.kind = TUFF_ARG_GROUP, .name = "Other options:"},
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW("print one JSON object when done"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "train",
    .usage = "--model PATH --train-file FILE --output-dir DIR [options]",
    .stray = "a model as --model PATH, a text as --train-file FILE",
    .about =
        "Fine-tunes a model on a text or on labelled records, or its vectors on pairs of texts. Options are named as in Hugging Face's TrainingArguments, whose own spelling (--model_name_or_path, --output_dir) is taken too. Ctrl-C, or a terminal that is "
        "closed, ends the training, leaves the step at hand out and saves what the steps before it made (as a checkpoint, "
        "where those are written); a second Ctrl-C ends at once.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples =
        "tuff train --model MODEL --train-file pirates.txt --output-dir pirate-lora --lora-rank 8 --learning-rate 1e-3\n"
        "tuff train --task classification --model MODEL --train-file train.tsv --validation-file dev.tsv --output-dir out\n"
        "tuff train --task preference --model MODEL --train-file pairs.jsonl --loss dpo --lora-rank 16 --output-dir preferring\n"
        "tuff train --model MODEL --mix chat.jsonl=0.7 --mix books.txt=0.3 --output-dir out\n"
        "tuff train --config out/run.json --output-dir out2",
    .notes =
        "The log has a line {\"step\", \"epoch\", \"loss\", \"learning_rate\", \"grad_norm\", \"tokens\"} per step; "
        "loss is of the step's batch before its update, grad_norm before clipping, tokens since the start. "
        "Of preferences it has what TRL logs, too: \"rewards/chosen\", \"rewards/rejected\", \"rewards/margins\", "
        "\"rewards/accuracies\", \"logps/chosen\", \"logps/rejected\", of kto \"kl\". "
        "Evaluations are lines {\"step\", \"eval_loss\", \"eval_perplexity\" or other figures, of a search \"eval_ndcg@10\" and such}, counted as `tuff eval` does; samples are lines "
        "{\"step\", \"prompt\", \"sample\"}.\n\n"
        "A model without a head for the task gets a new one, drawn from --seed; with LoRA it is trained whole.\n\n"
        "The best checkpoint is the best of those that were written. One that cannot be written is said, and the training "
        "goes on: those before it stay. The log of a training that goes on has each step once. A device that is lost, as "
        "when its driver resets it, is opened again, and the training goes on from the last checkpoint.\n\n"
        "A training fails, and saves nothing, when --max-nonfinite steps in a row or more than half of all "
        "steps have gradients that are not finite, when the last loss is not finite, or the validation's at the end, or when "
        "the mean loss of the last 10 steps is more than 10 times the first step's and above it by more than 10; in less than "
        "20 steps, when that of the last half is above it by more than 100. It warns from 1.5 times and 1 on.",
};

void tuff_cli_train_settings(const tuff_cli_train_options *o,
                             void (*tell)(const char *name, const char *value, void *user), void *user)
{
    static const char *const always[] = {"num-train-epochs",
                                         "per-device-train-batch-size",
                                         "gradient-accumulation-steps",
                                         "learning-rate",
                                         "lr-scheduler-type",
                                         "weight-decay",
                                         "max-grad-norm",
                                         "seed"};
    const tuff_cli_train_options preset = tuff_cli_train_defaults();
    for (size_t i = 0; i < spec.count; i++) {
        char value[512];
        bool wanted = items[i].kind != TUFF_ARG_GROUP && tuff_args_differ(&items[i], o, &preset);
        for (size_t k = 0; k < sizeof always / sizeof *always; k++)
            wanted = wanted || (items[i].kind != TUFF_ARG_GROUP && strcmp(items[i].name, always[k]) == 0);
        for (size_t k = 0; wanted && k < i; k++) /* another name of the same */
            wanted = items[k].kind == TUFF_ARG_GROUP || items[k].offset != items[i].offset;
        if (wanted && tuff_args_value(&items[i], o, value, sizeof value)) tell(items[i].name, value, user);
    }
}

bool tuff_cli_train_check_outputs(const tuff_cli_train_options *o)
{
    return tuff_cli_check_outputs(&spec, o);
}

bool tuff_cli_train_write_settings(const tuff_cli_train_options *o, const char *directory,
                                   const char **out_why)
{
    char path[TUFF_CLI_PATH];
    *out_why = "its path is too long";
    if (snprintf(path, sizeof path, "%s/run.json", directory) >= (int)sizeof path) return false;
    FILE *file = tuff_cli_create(path, true, out_why);
    if (!file) return false;
    errno = 0;
    tuff_args_write(&spec, o->given, file);
    const bool written = !ferror(file), closed = fclose(file) == 0;
    if (!written || !closed) *out_why = strerror(errno);
    return written && closed;
}

/* Where a checkpoint is named and no model, the settings of the training that wrote it are taken, and it goes
 * on where it was. False: there is no such checkpoint, which was said. */
static bool take_resumed(int *argc, char ***argv, tuff_cli_resumed *found)
{
    enum { ADDED = 4 };
    static char **longer, config[] = "--config", output[] = "--output-dir";
    const char *resume = tuff_args_ahead(&spec, *argc, *argv, "resume-from-checkpoint");
    const char *directory = tuff_args_ahead(&spec, *argc, *argv, "output-dir");
    if (!resume || tuff_args_ahead(&spec, *argc, *argv, "config") ||
        tuff_args_ahead(&spec, *argc, *argv, "model"))
        return true;
    if (!tuff_cli_checkpoints_settings(resume, directory, found)) return false;
    if (!*found->settings) return true;
    free(longer);
    longer = malloc((size_t)(*argc + ADDED + 1) * sizeof *longer);
    if (!longer) {
        tuff_cli_say("tuff: out of memory");
        return false;
    }
    int n = 0;
    longer[n++] = (*argv)[0];
    longer[n++] = config;
    longer[n++] = found->settings;
    if (!directory) longer[n++] = output;
    if (!directory) longer[n++] = found->output_dir;
    memcpy(longer + n, *argv + 1, (size_t)(*argc - 1) * sizeof *longer);
    n += *argc - 1;
    longer[n] = NULL;
    *argc = n;
    *argv = longer;
    return true;
}

tuff_args_outcome tuff_cli_train_parse(int argc, char **argv, tuff_cli_train_options *out,
                                       tuff_cli_train_options *out_given)
{
    static tuff_cli_resumed resumed; /* options point into it */
    *out = tuff_cli_train_defaults();
    if (!take_resumed(&argc, &argv, &resumed)) return TUFF_ARGS_WRONG;
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, out);
    *out_given = *out;
    out->given = out_given;
    if (outcome == TUFF_ARGS_RUN && !tuff_cli_train_settle(out)) return TUFF_ARGS_WRONG;
    if (outcome == TUFF_ARGS_RUN && *resumed.settings && !out->common.quiet)
        tuff_cli_row("settings", "%s", resumed.settings);
    return outcome;
}
