/* The predictor inside. */
#ifndef TUFF_PREDICT_PREDICTOR_H
#define TUFF_PREDICT_PREDICTOR_H

#include <tuff/predict.h>

#include "base/watch.h"
#include "packed/packed.h"

struct tuff_predictor {
    tuff_packed packed;
    const tuff_model *model;
    const tuff_tokenizer *tokenizer;
    tuff_predict_task task;
    int64_t outputs; /* of the head, for each row that it gives: labels, 2 of answers, guesses of masks */
    char **labels;   /* [outputs] of classifiers; NULL: it is none */
    int32_t mask;    /* of masked language models: the token */
    const tuff_watch *watch;
};

/* An input, or a window of it. */
typedef struct tuff_predict_text {
    const tuff_encoding *encoding;
    size_t input;
    size_t start; /* of its rows */
    size_t rows;  /* that the head gives for it */
} tuff_predict_text;

/* One call: its inputs as tokens, and what the head gives for them. */
typedef struct tuff_predict_call {
    tuff_predictor *predictor;
    const tuff_watch *watch;
    const tuff_predict_input *inputs;
    size_t n;
    tuff_watched_parts encoding; /* of all inputs */
    tuff_encoding **encodings;   /* [n] */
    tuff_predict_text *texts;
    tuff_packed_text *packed; /* the same texts; their order changes */
    size_t count, capacity, packed_capacity;
    tuff_arena picks;
    float *rows;     /* [rows of all texts, outputs] */
    int32_t *places; /* of masks: the tokens, as `rows` */
    tuff_predict_result result;
} tuff_predict_call;

/* Checks what all calls share; `watch` is the call's own or NULL. To be ended also after a failure. */
TUFF_MUST_USE tuff_status tuff_predict_begin(tuff_predict_call *call, tuff_predict_task task,
                                             const tuff_watch *watch);
/* How inputs are encoded: cut where they are too long. */
tuff_encode_params tuff_predict_encode_params(tuff_predict_call *call);
/* Encodes input i; it, or its windows, become texts. */
TUFF_MUST_USE tuff_status tuff_predict_encode(tuff_predict_call *call, size_t i,
                                              const tuff_encode_params *params);
/* Runs all texts. */
TUFF_MUST_USE tuff_status tuff_predict_run(tuff_predict_call *call);
/* Frees all but the caller's; gives the result where it is asked for and `status` is TUFF_OK. */
tuff_status tuff_predict_end(tuff_predict_call *call, tuff_status status, tuff_predict_result *out_result);

/* What stands on the states: outputs "rows" f32, [sequences, outputs] of classes, [tokens, outputs] of
 * entities and answers, [picked, outputs] of masks, with "places" i32 of the same shape. */
tuff_packed_top tuff_predictor_top(tuff_predictor *predictor);

/* x[0..n) to probabilities that add up to 1. */
void tuff_predict_softmax(float *x, int64_t n);

#endif
