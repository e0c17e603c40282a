/* What the verbs of `tuff` share. */
#ifndef TUFF_CLI_CLI_H
#define TUFF_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <tuff/chat.h>
#include <tuff/device.h>
#include <tuff/generate.h>
#include <tuff/model.h>
#include <tuff/status.h>
#include <tuff/train.h>
#include <tuff/watch.h>

#include "cli/args.h"

/* The verbs: argv[0] is the verb, the result the exit code. */
int tuff_cli_devices(int argc, char **argv);
int tuff_cli_inspect(int argc, char **argv);
int tuff_cli_convert(int argc, char **argv);
int tuff_cli_generate(int argc, char **argv);
int tuff_cli_chat(int argc, char **argv);
int tuff_cli_embed(int argc, char **argv);
int tuff_cli_search(int argc, char **argv);
int tuff_cli_fill_mask(int argc, char **argv);
int tuff_cli_classify(int argc, char **argv);
int tuff_cli_answer(int argc, char **argv);
int tuff_cli_train(int argc, char **argv);
int tuff_cli_eval(int argc, char **argv);
int tuff_cli_cache(int argc, char **argv);
int tuff_cli_conform(int argc, char **argv);
int tuff_cli_bench(int argc, char **argv);

enum {
    TUFF_EXIT_OK = 0,
    TUFF_EXIT_FAILED = 1,
    TUFF_EXIT_USAGE = 2,
    TUFF_EXIT_NO_DEVICE = 3,  /* of conform, as the next one */
    TUFF_EXIT_INTERRUPTED = 4 /* what was found until then is reported */
};

/* Options that verbs share. A verb's struct begins with this. */
typedef struct tuff_cli_common {
    const char *device, *config;
    int64_t threads;
    bool json, quiet, verbose, validate;
} tuff_cli_common;

#define TUFF_CLI_QUIET_ROW                                                                  \
    {                                                                                       \
        .kind = TUFF_ARG_FLAG, .name = "quiet", .offset = offsetof(tuff_cli_common, quiet), \
        .help = "print errors and results only", .momentary = true                          \
    }
#define TUFF_CLI_CONFIG_ROW                                                                                  \
    {                                                                                                        \
        TUFF_ARG_CONFIG, "config", "FILE", .offset = offsetof(tuff_cli_common, config),                      \
                                           .help = "take options from this JSON file, an object with their " \
                                                   "names; those that are given here come before it"         \
    }
#define TUFF_CLI_TALK_ROWS                                                                      \
    TUFF_CLI_CONFIG_ROW, TUFF_CLI_QUIET_ROW,                                                    \
    {                                                                                           \
        .kind = TUFF_ARG_FLAG, .name = "verbose", .offset = offsetof(tuff_cli_common, verbose), \
        .help = "print which device runs, what it holds and has done", .momentary = true        \
    }
#define TUFF_CLI_DEVICE_ROWS                                                                                 \
    {.kind = TUFF_ARG_TEXT,                                                                                  \
     .name = "device",                                                                                       \
     .value = "NAME",                                                                                        \
     .offset = offsetof(tuff_cli_common, device),                                                            \
     .help = "where to compute: cpu, vulkan, or an index, a UUID or a part of the name that `tuff devices` " \
             "shows",                                                                                        \
     .preset = "$TUFF_DEVICE, else the best"},                                                               \
        {.kind = TUFF_ARG_INT,                                                                               \
         .name = "threads",                                                                                  \
         .value = "N",                                                                                       \
         .offset = offsetof(tuff_cli_common, threads),                                                       \
         .low = 1,                                                                                           \
         .high = 1024,                                                                                       \
         .help = "how many threads compute on the CPU; no result depends on it",                             \
         .preset = "the processors that the process may use"},                                               \
    {                                                                                                        \
        .kind = TUFF_ARG_FLAG, .name = "validate", .offset = offsetof(tuff_cli_common, validate),            \
        .help = "Vulkan: run under the validation layer", .momentary = true                                  \
    }
#define TUFF_CLI_MODEL_HELP \
    "a Hugging Face directory, a .gguf file, or a name of the hub, where its programs' cache has it"
#define TUFF_CLI_JSON_ROW(what)                                                                         \
    {                                                                                                   \
        .kind = TUFF_ARG_FLAG, .name = "json", .offset = offsetof(tuff_cli_common, json), .help = what, \
        .momentary = true                                                                               \
    }

/* Where the library's messages go, by --quiet and --verbose. Call it before the library is used. */
void tuff_cli_begin(const tuff_cli_common *common);
tuff_status tuff_cli_open_device(const tuff_cli_common *common, bool profile, tuff_device **out_device);
/* One that runs nothing (tuff_device_open_to_compile). */
tuff_status tuff_cli_open_to_compile(const tuff_cli_common *common, tuff_device **out_device);

/* With --verbose: what the device holds and has done. `device` may be NULL. */
void tuff_cli_device_stats(const tuff_cli_common *common, const tuff_device *device);

/* With --verbose: what of it a generator or a batcher takes. */
void tuff_cli_generate_memory(const tuff_cli_common *common, const tuff_generate_memory *memory);

/* A line to stderr, past a progress line that is there. */
void tuff_cli_say(const char *format, ...) TUFF_PRINTF(1, 2);
/* A line that begins with a word in a column of its own. On a terminal that is too narrow for the rest it
 * goes on below, broken between words. */
void tuff_cli_row(const char *word, const char *format, ...) TUFF_PRINTF(2, 3);
/* Prints a line's words from column `at` on, continued at column `indent` where they would go past `width`.
 */
void tuff_cli_wrap(FILE *out, int width, const char *line, int at, int indent);
/* The library's error as a line; the exit code. */
int tuff_cli_failed(void);
/* A line that is replaced by the next one; "" removes it. Only for terminals. */
void tuff_cli_show_line(const char *text);
/* False, saying why, when stdout or stderr could not take all that was printed. */
bool tuff_cli_flush(void);
/* Says so, once per process. `error`: errno, 0 when unknown. */
void tuff_cli_stdout_failed(int error);

/* The words of --train-file-format and --file-format. */
enum { TUFF_CLI_FORMAT_AUTO, TUFF_CLI_FORMAT_TEXT };

/* The tasks of training and measuring by examples, as the words of --task. */
#define TUFF_CLI_TASKS "causal-lm|seq2seq|mlm|classification|token-classification|qa|sft|preference"
enum { TUFF_CLI_CAUSAL_LM, TUFF_CLI_SEQ2SEQ, TUFF_CLI_SFT = 6, TUFF_CLI_PREFERENCE, TUFF_CLI_TASK_COUNT };
/* The word of one of them. */
const char *tuff_cli_task_name(int task);
/* The task of a file where none is given: what its first good record says, else causal-lm. Negative: it was
 * said what is wrong with it. */
int tuff_cli_task_of_file(const char *path);
/* Whether a file has records by its name. */
bool tuff_cli_names_records(const char *path);

/* What examples are made of. */
typedef struct tuff_cli_data_options {
    const char *text_field, *text_pair_field, *label_field, *question_field, *context_field, *answers_field,
        *source_prefix;
    int64_t max_length, stride;
    double mlm_probability;
    int problem;
    /* conversations */
    const char *chat_template, *chat_template_kwargs;
    const char *adapter; /* whose template is taken where none is given; NULL: none */
    int conversation_format, assistant_only_loss, truncation_side;
    bool packing, strict;
    /* preference */
    int preference; /* of TUFF_CLI_PREFERENCES */
    double beta, label_smoothing, desirable_weight, undesirable_weight;
    /* what the model answers by itself */
    bool predict_with_generate, use_stemmer;
    /* texts */
    bool no_cache;
    int64_t block_stride; /* 0: none is given */
    /* what is measured on of the training data; 0: nothing */
    double validation_split;
    bool held_out; /* that, else what is left */
    int64_t split_seed;
    int64_t threads; /* of the CPU; 0: all */
    bool quiet;      /* what is read is not said, or the library says it */
} tuff_cli_data_options;
/* What preferences are learned by, the first where nothing is said. */
#define TUFF_CLI_PREFERENCES "dpo|ipo|hinge|robust|orpo|kto"
#define TUFF_CLI_DATA_DEFAULTS                                                                              \
    {                                                                                                       \
        .stride = 128, .mlm_probability = 0.15, .beta = 0.1, .desirable_weight = 1, .undesirable_weight = 1 \
    }
#define TUFF_CLI_CACHE_ROW(type)                                                                       \
    {                                                                                                  \
        TUFF_ARG_FLAG, "no-data-cache", NULL,                                                          \
            .offset = offsetof(type, data.no_cache),                                                   \
            .help = "keep the token ids of long texts and many records in memory; else they are kept " \
                    "in the cache directory, see `tuff cache`, and a file may be larger "              \
                    "than the memory",                                                                 \
            .momentary = true                                                                          \
    }
/* Rows of the table of a verb whose struct has them as `data`. */
#define TUFF_CLI_DATA_ROWS(type)                                                                                       \
    {.kind = TUFF_ARG_GROUP, .name = "Records (JSON lines, CSV, TSV):"},                                               \
        {TUFF_ARG_TEXT,                                                                                                \
         "text-field",                                                                                                 \
         "NAME",                                                                                                       \
         .offset = offsetof(type, data.text_field),                                                                    \
         .help =                                                                                                       \
             "the key or column of the text; of seq2seq, of the text to be answered; of token-classification, of the " \
             "list of words; numbers (1, 2, ...) are of the columns of a table without a row of "                      \
             "names, and then all fields are numbers",                                                                 \
         .preset = "text, source, tokens"},                                                                            \
        {TUFF_ARG_TEXT,                                                                                                \
         "text-pair-field",                                                                                            \
         "NAME",                                                                                                       \
         .offset = offsetof(type, data.text_pair_field),                                                               \
         .help = "classification: that of a second text",                                                              \
         .preset = "there is none"},                                                                                   \
        {TUFF_ARG_TEXT,                                                                                                \
         "label-field",                                                                                                \
         "NAME",                                                                                                       \
         .offset = offsetof(type, data.label_field),                                                                   \
         .help = "that of the label; of seq2seq, of the answer; of token-classification, of the list of "              \
                 "labels",                                                                                             \
         .preset = "label, target, labels"},                                                                           \
        {TUFF_ARG_TEXT,                                                                                                \
         "source-prefix",                                                                                              \
         "TEXT",                                                                                                       \
         .offset = offsetof(type, data.source_prefix),                                                                 \
         .help = "seq2seq: put before every text that is to be answered, such as \"summarize: \"",                     \
         .preset = "nothing"},                                                                                         \
        {TUFF_ARG_FLAG, "strict", NULL, .offset = offsetof(type, data.strict),                                         \
         .help =                                                                                                       \
             "fail at the first malformed record; else they are left out and counted, the first ones said"},           \
        {TUFF_ARG_TEXT,                                                                                                \
         "question-field",                                                                                             \
         "NAME",                                                                                                       \
         .offset = offsetof(type, data.question_field),                                                                \
         .help = "qa: that of the question",                                                                           \
         .preset = "question"},                                                                                        \
        {TUFF_ARG_TEXT,                                                                                                \
         "context-field",                                                                                              \
         "NAME",                                                                                                       \
         .offset = offsetof(type, data.context_field),                                                                 \
         .help = "qa: that of the text that answers it",                                                               \
         .preset = "context"},                                                                                         \
        {TUFF_ARG_TEXT,                                                                                                \
         "answers-field",                                                                                              \
         "NAME",                                                                                                       \
         .offset = offsetof(type, data.answers_field),                                                                 \
         .help = "qa: that of the answers, as SQuAD has them: {\"text\": [..], \"answer_start\": [..]}",               \
         .preset = "answers"},                                                                                         \
        {TUFF_ARG_CHOICE, "problem-type",                                                                              \
         "auto|regression|single_label_classification|multi_label_classification",                                     \
         .offset = offsetof(type, data.problem),                                                                       \
         .help = "classification: what labels are; auto: as the model has it, or as they look"},                       \
        {TUFF_ARG_INT,                                                                                                 \
         "max-length",                                                                                                 \
         "N",                                                                                                          \
         .offset = offsetof(type, data.max_length),                                                                    \
         .low = 2,                                                                                                     \
         .high = 16777216,                                                                                             \
         .help = "tokens of an example; of qa, of a window",                                                           \
         .preset = "512, of sft 1024, or the model's context if that is less"},                                        \
        {TUFF_ARG_INT,                                                                                                 \
         "doc-stride",                                                                                                 \
         "N",                                                                                                          \
         .offset = offsetof(type, data.stride),                                                                        \
         .low = 0,                                                                                                     \
         .high = 1048576,                                                                                              \
         .help = "qa: tokens that windows of a long context share"},                                                   \
    {                                                                                                                  \
        TUFF_ARG_REAL, "mlm-probability", "X", .offset = offsetof(type, data.mlm_probability), .low = 0,               \
                                               .high = 1,                                                              \
                                               .help = "mlm: the share of tokens that are to be found"                 \
    }
/* Those of conversations. */
#define TUFF_CLI_CONVERSATION_ROWS(type)                                                                             \
    {.kind = TUFF_ARG_GROUP, .name = "Conversations (of sft):"},                                                     \
        {TUFF_ARG_CHOICE, "conversation-format", "auto|messages|sharegpt|completion|alpaca",                         \
         .offset = offsetof(type, data.conversation_format),                                                         \
         .help =                                                                                                     \
             "what records look like: messages ({role, content}), conversations ({from, value}), prompt and "        \
             "completion, or instruction, input and output; auto: as the keys of the first good one are"},           \
        {TUFF_ARG_TEXT,                                                                                              \
         "chat-template",                                                                                            \
         "NAME|FILE",                                                                                                \
         .offset = offsetof(type, data.chat_template),                                                               \
         .help =                                                                                                     \
             "how messages become text: a file with a template in Jinja; one of the model's, where it has "          \
             "several; or one of Tuff's own: chatml, llama2, llama3, mistral, gemma, phi3, zephyr, vicuna, alpaca. " \
             "Prompts and completions that are texts stand one behind the other, unless this is given",              \
         .preset = "the model's"},                                                                                   \
        {TUFF_ARG_SETTINGS, "chat-template-kwargs", "JSON",                                                          \
         .offset = offsetof(type, data.chat_template_kwargs),                                                        \
         .help =                                                                                                     \
             "an object of further variables of the template; what a record has by this name comes before them"},    \
        {TUFF_ARG_CHOICE, "assistant-only-loss", "true|false",                                                       \
         .offset = offsetof(type, data.assistant_only_loss),                                                         \
         .help =                                                                                                     \
             "only what the assistant says is learned, and the token that ends it; false: everything is"},           \
        {TUFF_ARG_CHOICE, "truncation-side", "right|left", .offset = offsetof(type, data.truncation_side),           \
         .help = "which end conversations lose that are longer than --max-length"},                                  \
    {                                                                                                                \
        TUFF_ARG_FLAG, "packing", NULL,                                                                              \
            .offset = offsetof(type, data.packing),                                                                  \
            .help = "put as many conversations as fit into rows of --max-length tokens, "                            \
                    "without letting them see each other; a row counts as one example of "                           \
                    "a batch"                                                                                        \
    }
/* What is wrong with those of conversations that were given, of a task; NULL: nothing. */
const char *tuff_cli_check_conversations(const tuff_cli_data_options *options, int task, const char *file,
                                         bool as_text);
/* Those of answers that the model gives by itself. */
#define TUFF_CLI_ANSWER_ROWS(type)                                                                               \
    {TUFF_ARG_FLAG, "predict-with-generate", NULL, .offset = offsetof(type, data.predict_with_generate),         \
     .help =                                                                                                     \
         "seq2seq, sft: evaluations have the model answer by itself, too, always with the most probable token: " \
         "bleu, chrf, rouge1, rouge2, rougeL, rougeLsum, exact_match; `tuff eval --task seq2seq` always does"},  \
    {                                                                                                            \
        TUFF_ARG_FLAG, "use-stemmer", NULL,                                                                      \
            .offset = offsetof(type, data.use_stemmer),                                                          \
            .help = "of these, ROUGE's words without their endings, by Porter's rules for English"               \
    }
/* What is wrong with them; NULL: nothing. */
const char *tuff_cli_check_answers(const tuff_cli_data_options *options, int task);
/* Those of preferences. */
#define TUFF_CLI_PREFERENCE_ROWS(type)                                                                                 \
    {TUFF_ARG_REAL,                                                                                                    \
     "beta",                                                                                                           \
     "X",                                                                                                              \
     .offset = offsetof(type, data.beta),                                                                              \
     .low = 0,                                                                                                         \
     .high = 1e6,                                                                                                      \
     .help =                                                                                                           \
         "how much a reward is for an answer that is more probable than it was before the training; of orpo how much " \
         "the odds count beside the likelihood"},                                                                      \
        {TUFF_ARG_REAL,                                                                                                \
         "label-smoothing",                                                                                            \
         "X",                                                                                                          \
         .offset = offsetof(type, data.label_smoothing),                                                               \
         .low = 0,                                                                                                     \
         .high = 0.5,                                                                                                  \
         .help = "dpo, robust: the share of pairs that are the wrong way round"},                                      \
        {TUFF_ARG_REAL,                                                                                                \
         "desirable-weight",                                                                                           \
         "X",                                                                                                          \
         .offset = offsetof(type, data.desirable_weight),                                                              \
         .low = 0,                                                                                                     \
         .high = 1e6,                                                                                                  \
         .help = "kto: how much good answers count"},                                                                  \
    {                                                                                                                  \
        TUFF_ARG_REAL, "undesirable-weight", "X", .offset = offsetof(type, data.undesirable_weight),                   \
                                                  .low = 0, .high = 1e6,                                               \
                                                  .help = "kto: how much the others count"                             \
    }
/* The same of those of preferences. */
const char *tuff_cli_check_preferences(const tuff_cli_data_options *options, int task);
/* The template that an adapter was trained by, as a file beside it; NULL: there is none, it is the model's.
 */
const char *tuff_cli_adapter_template(const char *adapter);
/* The layout that a result of training was laid out in without a template, the name of one of Tuff's own, in
 * room that the next call uses anew; NULL: none. */
const char *tuff_cli_layout(const char *directory);
/* --chat-template: one of Tuff's own, a file, or one of the model's; NULL: the model's. TUFF_OK and no
 * template: it was said why there is none. */
tuff_status tuff_cli_choose_template(const char *name, const tuff_model *model,
                                     tuff_chat_template **out_template);
/* What is wrong with data that cannot be loaded; `option` as in tuff_cli_text_failed. The exit code. */
int tuff_cli_data_failed(tuff_status status, int task, const char *path, const char *option);

/* So many figures of an evaluation are in a line of a training's. */
enum { TUFF_CLI_FIGURES_SHOWN = 8 };

/* What a data set holds, as rows for people, `what` before the first one. */
void tuff_cli_report(const char *what, const char *path, const tuff_dataset *data);
/* Of that only which records are left out, if any. */
void tuff_cli_report_left_out(const tuff_dataset *data);
/* How many of its examples are in the data that is trained on, if any. */
void tuff_cli_report_known(const tuff_dataset *validation, const tuff_dataset *train);
/* The same as a JSON object; `train` NULL: there is nothing that it could have in common with. */
void tuff_cli_report_json(FILE *out, const tuff_dataset *data, const tuff_dataset *train);

/* Loads a model, and where there is an adapter (NULL: none) with a head of its own, the model with that:
 * which of the two is to be used. Both are destroyed by the caller, the adapted one first, also after a
 * failure. */
tuff_status tuff_cli_load_adapted(const char *path, const char *adapter, tuff_model **out_base,
                                  tuff_model **out_adapted, const tuff_model **out_model);
/* The same for texts and vectors: with the adapter's tokens and tables, but not a head of its own. */
tuff_status tuff_cli_load_speaking(const char *path, const char *adapter, tuff_model **out_base,
                                   tuff_model **out_adapted, const tuff_model **out_model);

/* Loads a file of the task's examples; `like` as in tuff_data_params. `block` is of causal-lm. */
tuff_status tuff_cli_load_data(const tuff_model *model, const char *path, int task,
                               const tuff_cli_data_options *options, int64_t block, bool allow_json,
                               bool training, const tuff_dataset *like, tuff_dataset **out_dataset);

/* Tokens of a block: as wanted, else 1024 or the model's context if that is less. */
int64_t tuff_cli_block_size(const tuff_model *model, int64_t wanted);

enum { TUFF_CLI_PATH = 4096 }; /* bytes of a path */

/* For a name of the Hugging Face hub, or a directory of its programs' cache, sets *path to the snapshot
 * there, and says so unless `quiet`. False, saying how to get its files, for a name that is neither there nor
 * a path. Other paths, and NULL, are left to the library. */
bool tuff_cli_find_model(const char **path, bool quiet);
bool tuff_cli_find_adapter(const char **path, bool quiet);
/* The hub's name of what lies in such a cache, valid until the next call; NULL: it does not. */
const char *tuff_cli_hub_id(const char *path);

/* The library's error when a text cannot be loaded; `option` insists on taking what is there
 * for text; NULL: it was given. The exit code.
 */
int tuff_cli_text_failed(tuff_status status, const char *path, const char *option);

/* Whether everything that a verb's options want written is free for it: files can be made, nothing is in the
 * place of what the command reads, or written twice. False, saying why. */
bool tuff_cli_check_outputs(const tuff_args *args, const void *options);

/* What files in a directory make of it for those who load it. */
bool tuff_cli_holds_model(const char *directory);
bool tuff_cli_holds_adapter(const char *directory);
/* The model that an adapter's own files name, where it is there, in room that the next call uses anew; says
 * which it is. NULL: there is none, which was said. */
const char *tuff_cli_adapter_base(const char *directory, bool quiet);

/* A whole text file, freed with free. NULL: it cannot be read, or is no text, which was said. */
char *tuff_cli_read_text(const char *path);

/* ---- text */

/* Text as a JSON string literal; bytes that are not UTF-8 become U+FFFD, one for each maximal broken
 * sequence. */
void tuff_cli_json_text(FILE *out, const char *text, size_t size);
/* A text as one line of what is printed: of a document's bytes none may move the cursor or begin a line. */
void tuff_cli_print_line(tuff_piece text);
/* A number that reads back as the same double; null when it is not finite. */
void tuff_cli_json_number(FILE *out, double value);
/* "1,234,567" and "1.2 MB", in one of eight rotating buffers. */
const char *tuff_cli_count(int64_t n);
const char *tuff_cli_bytes(uint64_t n);
/* "1:02:03", "2:03". */
const char *tuff_cli_time(double seconds);
/* Writes a profile: the table to stderr, the trace into `path` unless it is NULL. Frees both texts. */
bool tuff_cli_profile(char *table, char *trace, const char *path);

/* ---- watching long calls */

/* What every long call is given; NULL when there is no memory for it. */
const tuff_watch *tuff_cli_watch(void);
/* From now on it shows how far they are, unless --quiet is given: on a terminal a line that is rewritten,
 * else a line now and then of what takes long. */
void tuff_cli_watch_shown(const tuff_cli_common *common);

/* Told by the watch while a training's step lasts: what is seen of it stays current. */
void tuff_cli_progress_tick(const tuff_progress *progress);

/* ---- the machine */

bool tuff_cli_is_terminal(FILE *stream);
/* A stream into memory: *text, freed with free, and *size are there once it is closed. NULL: out of memory.
 */
FILE *tuff_cli_memory_stream(char **text, size_t *size);
/* Columns of the terminal behind a stream; 0 where there is none. */
int tuff_cli_columns(FILE *stream);
/* Whether it is a terminal that shows colours, and nobody has asked for none (NO_COLOR). */
bool tuff_cli_has_colour(FILE *stream);
/* From now on a terminal that changes its size is noticed; whether it did since this was last asked. */
void tuff_cli_catch_resize(void);
bool tuff_cli_resized(void);
double tuff_cli_seconds(void); /* monotonic */
bool tuff_cli_exists(const char *path);
bool tuff_cli_is_directory(const char *path);
bool tuff_cli_is_empty_directory(const char *path);
/* Whether both names lead to one directory that is there. */
bool tuff_cli_same_directory(const char *a, const char *b);
/* Whether a file or directory could be made at `path`: the nearest directory that exists can be written to,
 * and is the one right above unless the directories between are made too. False, saying why; nothing is left
 * behind. */
bool tuff_cli_can_create(const char *path, bool with_parents);
/* Opens text to read: a file, a pipe or a terminal. A pipe that nobody writes into is given up after 10
 * seconds. NULL: said why. */
FILE *tuff_cli_open_input(const char *path);
/* Waits until standard input has something to read, or has ended; false: tuff_cli_interrupted. */
bool tuff_cli_wait_for_input(void);
/* The next line of it, with its end, into *line, which is freed with free; false: there is none. */
bool tuff_cli_read_line(char **line, size_t *room, size_t *out_size);
/* Puts what comes on standard input into a file, and that in the place of "-" where an option wants a file
 * that is read. False: said why. */
bool tuff_cli_take_stdin(const tuff_args *args, void *options);
/* A path as it was given: "-" of that file. */
const char *tuff_cli_given_path(const char *path);
/* From now on a reader of our messages that goes away does not end the process: for runs that must save. */
void tuff_cli_outlive_readers(void);
/* Opens a file to write. `fresh`: it must not be there, nor a link in its place; else it is replaced. A pipe
 * that nobody reads is given up after 10 seconds. NULL: *out_why says why. */
FILE *tuff_cli_create(const char *path, bool fresh, const char **out_why);
/* Whether a file at `path` would be in the place of `input`, or of another file of a model or adapter that
 * is read with it: those in the directory `input`, or beside the weights that it is. */
bool tuff_cli_would_replace(const char *path, const char *input);
/* Whether a model, an adapter or a training that is saved in a directory would replace `input`, or a file of
 * the model that it is. */
bool tuff_cli_result_would_replace(const char *directory, const char *input);
/* Whether a path is that of an entry of a directory. */
bool tuff_cli_is_within(const char *path, const char *directory);
/* Whether two paths lead to one file, or would. */
bool tuff_cli_is_same_file(const char *a, const char *b);
/* Bytes free where `path` is or would be; UINT64_MAX when unknown. */
uint64_t tuff_cli_free_space(const char *path);
/* A file that grows past the user's limit is an error of writing, not the end of the process. */
void tuff_cli_prepare_process(void);
/* From now on the first Ctrl-C (or SIGTERM, or SIGHUP of a terminal that is closed) only cancels what
 * tuff_cli_watch was given to; the second of a kind ends the process. Until then the first does. */
void tuff_cli_catch_interrupt(void);
bool tuff_cli_interrupted(void);

/* ---- a child process, which is this one again with another task and nothing but a pipe to its parent */

typedef struct tuff_cli_child {
    int process, pipe;
} tuff_cli_child;
/* The child runs `task` and ends with its result as exit code; it ignores the terminal's Ctrl-C and hangup,
 * which are the parent's to decide, and ends when the parent does. False, saying why, when there can be none.
 * No thread may have been started before. */
bool tuff_cli_start_child(tuff_cli_child *child, int (*task)(FILE *out, void *user), void *user);
/* Waits at most `seconds` for what the child writes. > 0: as many bytes; 0: it wrote its last; -1: time is
 * up, or it cannot be read; -2: tuff_cli_interrupted. */
int tuff_cli_read_child(tuff_cli_child *child, double seconds, char *bytes, size_t size);
/* Waits for its end, which `kill` brings about. NULL: it ended by itself; else the signal's name, "SIGSEGV".
 */
const char *tuff_cli_end_child(tuff_cli_child *child, bool kill, int *out_code);

#endif
