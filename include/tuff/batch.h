/* Texts from one model, several at once.
 *
 *     tuff_batcher_create(model, device, NULL, &batcher);
 *     tuff_batcher_add(batcher, prompt, size, &params, &sequence);    as many as there are, at any time
 *     tuff_batcher_run(batcher, NULL);                                or tuff_batcher_step, again and again
 *     tuff_sequence_result(sequence, &result);
 *     tuff_batcher_remove(batcher, &sequence);
 *
 * A step runs the model once, over the next token of every sequence that makes text and over pieces of the
 * prompts of others. What a sequence's text is does not depend on its company: its random numbers are its
 * own. Only rounding does, unless the batcher is `invariant`. */
#ifndef TUFF_BATCH_H
#define TUFF_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/generate.h>
#include <tuff/model.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A model on a device with a KV cache of slots. Belongs to one thread at a time, with its sequences; several
 * batchers may share a model and a device. While a call works on it, as seen from callbacks, others fail with
 * TUFF_INVALID_ARGUMENT, and tuff_batcher_destroy leaves it as it is. */
typedef struct tuff_batcher tuff_batcher;

/* A prompt and the text that continues it. Owned by its batcher. */
typedef struct tuff_sequence tuff_sequence;

/* Zero means default. */
typedef struct tuff_batcher_params {
    size_t struct_size;     /* set by TUFF_BATCHER_PARAMS_INIT */
    int64_t context_length; /* the most tokens of a sequence, prompt and text together; 0: the model's. Models
                               with rotary positions may be run past it */
    int64_t max_sequences;  /* how many have a slot at once, 1 to 1024; the others wait for their turn. 0: 8.
                               The cache holds as many slots as are needed at once, all as long as the longest
                               needs, and grows in steps. Where memory for another slot is short, its sequence
                               waits as well */
    int64_t step_tokens;    /* the most tokens of a step, above max_sequences, to 65536; 0: 256 more than
                               max_sequences. Prompts are fed in pieces of at most 256 that fit it */
    bool cache_f16;         /* keep keys and values as f16 */
    bool invariant; /* a sequence's logits have the same bits alone and in any company. Else, where two tokens
                       are about equally likely, rounding may decide, but devices may be faster where few are
                       at work */
    const char *adapter;     /* to apply: a PEFT directory or a GGUF file; NULL: none */
    const tuff_watch *watch; /* of creating it and of every call without one of its own; NULL: none. Must stay
                                as it is until the batcher is destroyed */
    bool exact;              /* as in tuff_generator_params */
    bool reserved[7];        /* leave them false */
} tuff_batcher_params;
#define TUFF_BATCHER_PARAMS_INIT                                               \
    {                                                                          \
        sizeof(tuff_batcher_params), 0, 0, 0, false, false, NULL, NULL, false, \
        {                                                                      \
            false                                                              \
        }                                                                      \
    }

/* Puts the weights on the device (TUFF_PHASE_UPLOAD), in the type they are stored in.
 * `params` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_batcher_create(const tuff_model *model, tuff_device *device,
                                                       const tuff_batcher_params *params,
                                                       tuff_batcher **out_batcher);
/* Ends all sequences, without calling back. */
TUFF_API void tuff_batcher_destroy(tuff_batcher **batcher);

/* What it holds on its device now. */
TUFF_API TUFF_MUST_USE tuff_status tuff_batcher_get_memory(tuff_batcher *batcher,
                                                           tuff_generate_memory *out_memory);

/* Adds a sequence that continues prompt[0..size), behind those that wait. Of `params` (NULL: defaults) the
 * struct, its sampling settings, stop strings and ids are copied; the watch must stay as it is until the
 * sequence has ended. Its cancel request ends this sequence alone. Sequences with the same sampling.seed and
 * another sampling.sequence have random numbers of their own. Errors: those of tuff_generate about its
 * arguments; then there is no sequence. */
TUFF_API TUFF_MUST_USE tuff_status tuff_batcher_add(tuff_batcher *batcher, const char *prompt, size_t size,
                                                    const tuff_generate_params *params,
                                                    tuff_sequence **out_sequence);

/* One run of the model. What goes wrong with one sequence (logits that are not finite, no memory for its
 * length) ends this one with TUFF_FINISH_FAILED; the step fails for what concerns all, such as
 * TUFF_DEVICE_LOST or TUFF_CANCELLED by `watch` (NULL: the batcher's). Then the sequences are as before it,
 * and it can be repeated. A watch is told of TUFF_PHASE_GENERATE: new tokens of all sequences. *out_left (may
 * be NULL): how many have not ended; 0: there was nothing to do, or there is nothing more. */
TUFF_API TUFF_MUST_USE tuff_status tuff_batcher_step(tuff_batcher *batcher, const tuff_watch *watch,
                                                     size_t *out_left);
/* Steps until all sequences have ended. */
TUFF_API TUFF_MUST_USE tuff_status tuff_batcher_run(tuff_batcher *batcher, const tuff_watch *watch);

/* Takes a sequence out, wherever it is, without calling back, and frees it; *sequence becomes NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_batcher_remove(tuff_batcher *batcher, tuff_sequence **sequence);

/* Whether it has ended; true for NULL. */
TUFF_API bool tuff_sequence_ended(const tuff_sequence *sequence);
/* What it has come to so far; `finish` and `status` once it has ended. start_seconds is its wait for a slot
 * and for the device to be ready, prompt_seconds and generate_seconds what its prompt and text took, in
 * company. */
TUFF_API TUFF_MUST_USE tuff_status tuff_sequence_result(const tuff_sequence *sequence,
                                                        tuff_generate_result *out_result);
/* Why it failed or was cancelled: one sentence, "" for one that did not. Lives as long as the sequence. */
TUFF_API const char *tuff_sequence_error(const tuff_sequence *sequence);
/* The ids of its prompt and then of its text. Valid until the next step. *out_count may not be NULL; NULL and
 * 0 for NULL. */
TUFF_API const int32_t *tuff_sequence_ids(const tuff_sequence *sequence, size_t *out_count);

/* ---- many prompts, whole files */

/* A text of one of the prompts. Owned by the library, valid during the callback; later versions may add
 * fields. */
typedef struct tuff_generated {
    int64_t record, number; /* which prompt, and which of its texts; both from 0 */
    const char *prompt, *text;
    size_t prompt_size, text_size;
    const tuff_generate_result *result; /* of one that failed, `finish` and `status` say so */
    const char *error;                  /* why; "" for one that did not */
    const tuff_chosen *tokens;          /* [token_count], where they were asked for */
    size_t token_count;
} tuff_generated;

/* Zero means default, but for on_text, which is needed. */
typedef struct tuff_generate_many_params {
    size_t struct_size;           /* set by TUFF_GENERATE_MANY_PARAMS_INIT */
    const char *field;            /* of a file: the key or column that holds the prompt; NULL: "prompt" */
    int64_t num_return_sequences; /* texts for each prompt, to 2^20; 0: 1. With beams no more than there are
                                     beams, the best first */
    /* Of all texts, without callbacks and watch; NULL: defaults. Text n of prompt r has the random numbers of
     * sampling.sequence + r * num_return_sequences + n, whatever the other prompts are. */
    const tuff_generate_params *generate;
    /* Receives the texts in the order of the prompts; false ends the call with TUFF_CANCELLED. */
    bool (*on_text)(const tuff_generated *text, void *user);
    void *user;
    const tuff_watch *watch; /* TUFF_PHASE_GENERATE: prompts that are done, or bytes of the file. NULL: the
                                batcher's */
    bool tokens; /* give each text's tokens with their log-probabilities, and those of generate's top_logprobs
                    best */
    uint8_t reserved[7]; /* 0 */
} tuff_generate_many_params;
#define TUFF_GENERATE_MANY_PARAMS_INIT                                             \
    {                                                                              \
        sizeof(tuff_generate_many_params), NULL, 0, NULL, NULL, NULL, NULL, false, \
        {                                                                          \
            0                                                                      \
        }                                                                          \
    }

typedef struct tuff_generate_many_result {
    size_t struct_size; /* set by TUFF_GENERATE_MANY_RESULT_INIT */
    int64_t texts;      /* that were given out */
    int64_t failed;     /* of them: whose prompt cannot be continued, or that ended by an error */
    int64_t prompt_tokens, new_tokens; /* of all of them */
} tuff_generate_many_result;
#define TUFF_GENERATE_MANY_RESULT_INIT                \
    {                                                 \
        sizeof(tuff_generate_many_result), 0, 0, 0, 0 \
    }

/* Continues prompts[0..n), of sizes[i] bytes each (NULL: to the NUL). A prompt that cannot be continued fails
 * alone. Memory grows with max_sequences, not with n. Cancelled or failed, it first gives out the texts that
 * have ended. Errors: those of tuff_batcher_step, and of settings. `out_result` may be NULL; after an error
 * it holds what was done before it. */
TUFF_API TUFF_MUST_USE tuff_status tuff_generate_many(tuff_batcher *batcher, const char *const *prompts,
                                                      const size_t *sizes, size_t n,
                                                      const tuff_generate_many_params *params,
                                                      tuff_generate_many_result *out_result);

/* The same with the prompts of a file: lines of text, or by its name JSON (.jsonl, .json), CSV or TSV. Memory
 * does not grow with the file. TUFF_BAD_FORMAT for a line that is no record, naming it, when all before it
 * are done. */
TUFF_API TUFF_MUST_USE tuff_status tuff_generate_file(tuff_batcher *batcher, const char *input,
                                                      const tuff_generate_many_params *params,
                                                      tuff_generate_many_result *out_result);

#ifdef __cplusplus
}
#endif
#endif
