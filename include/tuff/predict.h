/* Predictions of encoders with a head: masked words, classes of texts, names in texts, answers to questions.
 *
 *     tuff_predictor_create(model, device, NULL, &predictor);
 *     float *scores = malloc(n * tuff_predictor_labels(predictor) * sizeof *scores);
 *     tuff_classify(predictor, inputs, n, NULL, scores, NULL);
 *
 * Texts of any lengths are packed without padding. A prediction depends on its text, the model, the settings
 * and the device; never, not in one bit, on the texts that it was computed with. Scores are those of
 * transformers' pipelines. */
#ifndef TUFF_PREDICT_H
#define TUFF_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/model.h>
#include <tuff/status.h>
#include <tuff/tokenizer.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a model predicts: its head says so. */
typedef enum tuff_predict_task {
    TUFF_PREDICT_MASKS,    /* tuff_fill_masks: it is a masked language model */
    TUFF_PREDICT_CLASSES,  /* tuff_classify: sequence classification */
    TUFF_PREDICT_ENTITIES, /* tuff_find_entities: token classification */
    TUFF_PREDICT_ANSWERS   /* tuff_answer_questions: question answering */
} tuff_predict_task;

/* A model with its head, on a device. Any number of threads may use it at once; they take turns. */
typedef struct tuff_predictor tuff_predictor;

/* Zero means default. */
typedef struct tuff_predictor_params {
    size_t struct_size;   /* set by TUFF_PREDICTOR_PARAMS_INIT */
    int64_t max_length;   /* tokens of an input, special ones among them; 0: what the tokenizer's and the
                             model's files say, for answers at most 384: a longer context is read in windows */
    int64_t batch_tokens; /* at most so many tokens are computed together, a longer input alone; 0: 4096 */
    int64_t guesses;      /* for each mask: the most likely so many tokens, 1 to 1024; 0: 5 */
    const char
        *adapter;            /* to apply: a GGUF file or a PEFT directory, of LoRA or IA3, for classes also of
                                prompt tuning,     whose virtual tokens take of the model's positions; NULL: none */
    const tuff_watch *watch; /* of creating it and of every call without one of its own; NULL: none. Must stay
                                as it is until the predictor is destroyed */
} tuff_predictor_params;
#define TUFF_PREDICTOR_PARAMS_INIT                         \
    {                                                      \
        sizeof(tuff_predictor_params), 0, 0, 0, NULL, NULL \
    }

/* Puts the weights on the device (TUFF_PHASE_UPLOAD). `params`
 * may be NULL and need only live until the call returns. Errors: TUFF_UNSUPPORTED for a model without one of
 * these heads, saying which it has; TUFF_NOT_FOUND without a tokenizer. */
TUFF_API TUFF_MUST_USE tuff_status tuff_predictor_create(const tuff_model *model, tuff_device *device,
                                                         const tuff_predictor_params *params,
                                                         tuff_predictor **out_predictor);
/* Nobody may be using it. */
TUFF_API void tuff_predictor_destroy(tuff_predictor **predictor);

/* What it predicts; TUFF_PREDICT_MASKS for NULL. */
TUFF_API tuff_predict_task tuff_predictor_task(const tuff_predictor *predictor);
/* Classes of a classifier of texts or tokens; 0 for others and NULL. */
TUFF_API int64_t tuff_predictor_labels(const tuff_predictor *predictor);
/* What the model's files call a class, "LABEL_1" where they do not; NULL when there is no such class. Owned
 * by the predictor. */
TUFF_API const char *tuff_predictor_label(const tuff_predictor *predictor, int64_t index);
/* Tokens that are guessed for each mask; 0 for other predictors and NULL. */
TUFF_API int64_t tuff_predictor_guesses(const tuff_predictor *predictor);
/* The longest input in tokens; 0 for NULL. */
TUFF_API int64_t tuff_predictor_max_length(const tuff_predictor *predictor);

/* A text, or a pair of texts where pair.data is not NULL: a sentence with another one, a question with its
 * context. A text of size 0 may be NULL. Bytes that are not UTF-8 count as U+FFFD. Never gets further fields.
 */
typedef struct tuff_predict_input {
    tuff_piece text, pair;
} tuff_predict_input;

typedef struct tuff_predict_result {
    size_t struct_size; /* set by TUFF_PREDICT_RESULT_INIT */
    int64_t tokens;     /* that were computed */
    int64_t truncated;  /* inputs that were longer than the longest one */
} tuff_predict_result;
#define TUFF_PREDICT_RESULT_INIT          \
    {                                     \
        sizeof(tuff_predict_result), 0, 0 \
    }

/* All calls below are thread-safe; cancelled, they give TUFF_CANCELLED; a predictor of another task gives
 * TUFF_INVALID_ARGUMENT; `params` and `out_result` may be NULL. A watch is told TUFF_PHASE_TOKENIZE, in
 * bytes of all texts, then TUFF_PHASE_PREDICT, in tokens. Threads take turns as with an embedder (embed.h).
 */

/* ---- masked words ---- */

/* A token in a mask's place, and its probability. Never gets further fields. */
typedef struct tuff_guess {
    int32_t token;
    float score;
} tuff_guess;

typedef struct tuff_fill_params {
    size_t struct_size;      /* set by TUFF_FILL_PARAMS_INIT */
    const tuff_watch *watch; /* NULL: the predictor's */
} tuff_fill_params;
#define TUFF_FILL_PARAMS_INIT          \
    {                                  \
        sizeof(tuff_fill_params), NULL \
    }

/* Guesses the tokens behind the masks of inputs[0..n), which are texts without pairs; special tokens in them
 * count as such, "[MASK]" or "<mask>" as the tokenizer spells it. out_masks[i] is how many masks input i has,
 * and *out_guesses [masks of all inputs, in their order, guesses], most likely first: free with tuff_free.
 * TUFF_INVALID_ARGUMENT for an input without a mask or with more than 512, and for one whose masks are behind
 * the longest input. */
TUFF_API TUFF_MUST_USE tuff_status tuff_fill_masks(tuff_predictor *predictor,
                                                   const tuff_predict_input *inputs, size_t n,
                                                   const tuff_fill_params *params, size_t *out_masks,
                                                   tuff_guess **out_guesses, tuff_predict_result *out_result);

/* ---- classes of texts ---- */

/* What makes scores of a classifier's outputs. */
typedef enum tuff_scoring {
    TUFF_SCORING_MODEL,   /* as problem_type in the model's config.json says: none for regression, sigmoid for
                             multi_label_classification or a single output, else softmax */
    TUFF_SCORING_SOFTMAX, /* probabilities of classes of which one holds */
    TUFF_SCORING_SIGMOID, /* probabilities of classes each of which may hold */
    TUFF_SCORING_NONE     /* the outputs themselves */
} tuff_scoring;

typedef struct tuff_classify_params {
    size_t struct_size; /* set by TUFF_CLASSIFY_PARAMS_INIT */
    tuff_scoring scoring;
    const tuff_watch *watch; /* NULL: the predictor's */
} tuff_classify_params;
#define TUFF_CLASSIFY_PARAMS_INIT                              \
    {                                                          \
        sizeof(tuff_classify_params), TUFF_SCORING_MODEL, NULL \
    }

/* Scores of all classes of inputs[0..n), texts or pairs, in out_scores [n, labels]. What is longer than the
 * longest input is cut off, of a pair the longer one first. */
TUFF_API TUFF_MUST_USE tuff_status tuff_classify(tuff_predictor *predictor, const tuff_predict_input *inputs,
                                                 size_t n, const tuff_classify_params *params,
                                                 float *out_scores, tuff_predict_result *out_result);

/* ---- names in texts ---- */

/* Tokens of one class. Never gets further fields. */
typedef struct tuff_entity {
    size_t input;     /* which one it is in */
    tuff_span span;   /* bytes of its text */
    const char *name; /* the class's; of a group without what stands before its first "-". Owned by the
                         predictor */
    int64_t label;    /* the class, of a group its first token's */
    float score;      /* its probability, of a group the mean of its tokens' */
    float reserved;   /* 0 */
} tuff_entity;

typedef struct tuff_entities_params {
    size_t struct_size; /* set by TUFF_ENTITIES_PARAMS_INIT */
    bool group;   /* neighbours of one class are one entity, a class B-X beginning a new one, as transformers'
                     aggregation_strategy "simple"; else each token is one */
    bool outside; /* also tokens of a class "O", which are left out else */
    bool reserved[6];        /* leave them false */
    const tuff_watch *watch; /* NULL: the predictor's */
} tuff_entities_params;
#define TUFF_ENTITIES_PARAMS_INIT                                                                    \
    {                                                                                                \
        sizeof(tuff_entities_params), false, false, {false, false, false, false, false, false}, NULL \
    }

/* The entities of inputs[0..n), which are texts without pairs, in their order: *out_count of them in
 * *out_entities, freed with tuff_free. What is longer than the longest input is cut off. */
TUFF_API TUFF_MUST_USE tuff_status tuff_find_entities(tuff_predictor *predictor,
                                                      const tuff_predict_input *inputs, size_t n,
                                                      const tuff_entities_params *params,
                                                      tuff_entity **out_entities, size_t *out_count,
                                                      tuff_predict_result *out_result);

/* ---- answers ---- */

/* A part of a context. Never gets further fields. */
typedef struct tuff_answer {
    tuff_span span; /* bytes of the context; {0, 0}: there is no answer in it */
    float score;    /* the product of the probabilities of its beginning and its end */
    float reserved; /* 0 */
} tuff_answer;

typedef struct tuff_answer_params {
    size_t struct_size; /* set by TUFF_ANSWER_PARAMS_INIT */
    int64_t answers;    /* for each question, 1 to 64; 0: 1 */
    int64_t overlap;    /* tokens that a window of a long context shares with the one before it; 0: 128, at
                           most half of the window, or of what it has room for where that is not more */
    int64_t longest;    /* tokens of an answer; 0: 15 */
    bool maybe_none;    /* that there is no answer counts as one, for models that were trained so */
    bool tokens;        /* answers end where tokens do; else they are extended to whole words */
    bool reserved[6];   /* leave them false */
    const tuff_watch *watch; /* NULL: the predictor's */
} tuff_answer_params;
#define TUFF_ANSWER_PARAMS_INIT                                                                             \
    {                                                                                                       \
        sizeof(tuff_answer_params), 0, 0, 0, false, false, {false, false, false, false, false, false}, NULL \
    }

/* The best answers to inputs[0..n), a question with its context as the pair: out_answers [n, answers], best
 * first, out_counts[i] of them for input i; the others are zeros. A context that is too long is read in
 * windows. TUFF_INVALID_ARGUMENT for an input without a context and for a question that leaves no room for
 * it. */
TUFF_API TUFF_MUST_USE tuff_status tuff_answer_questions(tuff_predictor *predictor,
                                                         const tuff_predict_input *inputs, size_t n,
                                                         const tuff_answer_params *params,
                                                         tuff_answer *out_answers, size_t *out_counts,
                                                         tuff_predict_result *out_result);

#ifdef __cplusplus
}
#endif
#endif
