/* What the verbs that predict share. */
#ifndef TUFF_CLI_PREDICT_H
#define TUFF_CLI_PREDICT_H

#include <tuff/predict.h>

#include "cli/cli.h"

/* The struct of such a verb begins with this. */
typedef struct tuff_cli_predict {
    tuff_cli_common common;
    const char *model, *adapter;
    int64_t max_length, batch_tokens;
    int64_t k; /* results that are shown */
} tuff_cli_predict;

#define TUFF_CLI_PREDICT_MODEL_ROW                                                    \
    {                                                                                 \
        TUFF_ARG_TEXT, "model", "PATH", .offset = offsetof(tuff_cli_predict, model),  \
                                        .help = TUFF_CLI_MODEL_HELP, .required = true \
    }
#define TUFF_CLI_PREDICT_ROWS                                                           \
    {TUFF_ARG_INT,                                                                      \
     "max-length",                                                                      \
     "N",                                                                               \
     .offset = offsetof(tuff_cli_predict, max_length),                                  \
     2,                                                                                 \
     16777216,                                                                          \
     "tokens that the model sees at once",                                              \
     "the model's"},                                                                    \
        {TUFF_ARG_INT,                                                                  \
         "batch-tokens",                                                                \
         "N",                                                                           \
         .offset = offsetof(tuff_cli_predict, batch_tokens),                            \
         1,                                                                             \
         16777216,                                                                      \
         "tokens that are computed together; no prediction depends on it",              \
         "4096"},                                                                       \
    {                                                                                   \
        TUFF_ARG_TEXT, "adapter", "DIR", .offset = offsetof(tuff_cli_predict, adapter), \
                                         .help = "a PEFT adapter to apply"              \
    }

/* Opens model and device, and calls `run` with the predictor. The exit code. */
int tuff_cli_with_predictor(const tuff_cli_predict *options, int64_t guesses,
                            int (*run)(const void *options, tuff_predictor *predictor,
                                       const tuff_tokenizer *tokenizer));
/* Makes "-k" of the arguments "--top-k". */
void tuff_cli_short_k(int argc, char **argv);
/* The library's error as a line, or that it was interrupted; the exit code. */
int tuff_cli_predict_failed(tuff_status status);
/* Says how many texts were cut, unless --quiet. */
void tuff_cli_say_cut(const tuff_cli_predict *options, const tuff_predictor *predictor, int64_t truncated);
/* A text that ends with a NUL, as the library takes it. */
tuff_piece tuff_cli_piece(const char *text);
/* `"key": "text"`. */
void tuff_cli_json_member(const char *key, tuff_piece text);

#endif
