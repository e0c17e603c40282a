/* Choosing the next token from logits, and stopping at given strings. */
#ifndef TUFF_SAMPLER_H
#define TUFF_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is added to the logit of an id; or, of several ids, to that of the last one where those before it are
 * the last of the prompt and text so far ("sequence_bias" of Hugging Face). */
typedef struct tuff_logit_bias {
    size_t struct_size;  /* set by TUFF_LOGIT_BIAS_INIT; the first entry's tells how large each is */
    const int32_t *ids;  /* [count] of the vocabulary */
    size_t count;        /* 1 or more */
    float bias;          /* -1e6 to 1e6, or -INFINITY: the id is never chosen */
    uint32_t first_only; /* 1: only of the text's first token ("begin_suppress_tokens" of Hugging Face),
                            behind one that is forced; 0: of each */
} tuff_logit_bias;
#define TUFF_LOGIT_BIAS_INIT                   \
    {                                          \
        sizeof(tuff_logit_bias), NULL, 0, 0, 0 \
    }

/* Zero means default, which for the temperature is greedy. The steps apply in the order of Hugging Face's
 * GenerationMixin: logit bias, repetition penalty, frequency and presence penalties (which it does not have;
 * their place is vLLM's), n-grams that may not come again; then, unless greedy, temperature, top-k, top-p,
 * min-p, typical-p. */
typedef struct tuff_sampling {
    size_t struct_size;       /* set by TUFF_SAMPLING_INIT */
    float repetition_penalty; /* of every id seen: a positive logit is divided by it, a negative one
                                 multiplied (Keskar et al. 2019); 0 or 1 is none */
    float temperature;        /* 0: greedy, the largest logit, of equals the lowest id */
    uint32_t top_k;           /* only the k largest logits (and those equal to the k-th); 0: all */
    float top_p; /* only the most probable tokens that together reach this (Holtzman et al. 2019); 0 or 1: all
                  */
    float min_p; /* only tokens at least min_p times as probable as the most probable one; 0: all */
    uint64_t seed;
    uint32_t sequence; /* texts of one seed: each number has random numbers of its own */
    float typical_p;   /* only the tokens whose information is nearest to what is expected, that together
                          reach this (Meister et al. 2022); 0 or 1: all */
    float frequency_penalty, presence_penalty; /* -100 to 100, subtracted from a logit: as often as its id has
                                                  been chosen; once when it has been (OpenAI's definitions:
                                                  ids of the prompt do not count) */
    uint32_t no_repeat_ngram_size; /* no so many ids in a row come twice in prompt and text; 0: they may */
    uint32_t min_tokens_to_keep;   /* top-k, top-p, min-p and typical-p leave so many at least; 0: 1 */
    const tuff_logit_bias *logit_bias; /* [logit_bias_count], copied; several for one id add up */
    size_t logit_bias_count;
    uint32_t repetition_window; /* the repetition penalty is of the last so many ids of prompt and text; 0: of
                                   all (Hugging Face has no other) */
    uint32_t reserved;          /* 0 */
} tuff_sampling;
#define TUFF_SAMPLING_INIT                                                       \
    {                                                                            \
        sizeof(tuff_sampling), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0 \
    }

/* One thread at a time. */
typedef struct tuff_sampler tuff_sampler;

/* `vocab` is the number of logits; `settings` may be NULL. TUFF_INVALID_ARGUMENT for a setting out of its
 * range. Nothing is allocated later, but where n-grams, a window or biases of several ids
 * need the ids so far. */
TUFF_API TUFF_MUST_USE tuff_status tuff_sampler_create(const tuff_sampling *settings, uint32_t vocab,
                                                       tuff_sampler **out_sampler);
/* Tells of an id of the prompt, in their order. Ids outside the vocabulary count for n-grams alone. */
TUFF_API void tuff_sampler_prompt(tuff_sampler *sampler, int32_t id);
/* Tells of an id that was chosen. */
TUFF_API void tuff_sampler_accept(tuff_sampler *sampler, int32_t id);
/* Forgets all ids. */
TUFF_API void tuff_sampler_reset(tuff_sampler *sampler);
/* Chooses an id from logits f32 [vocab]. The choice is a function of the logits, the ids accepted, the
 * settings and `position`, the index of the token in its text; it is not accepted by itself. Errors:
 * TUFF_NOT_FINITE when a logit is NaN or infinite; TUFF_INVALID_ARGUMENT when biases and n-grams leave no id;
 * TUFF_OUT_OF_MEMORY when an id that was told of could not be kept. */
TUFF_API TUFF_MUST_USE tuff_status tuff_sampler_sample(tuff_sampler *sampler, const float *logits,
                                                       uint64_t position, int32_t *out_id);
TUFF_API void tuff_sampler_destroy(tuff_sampler **sampler);

/* Watches streamed text for stop strings, across the borders of tokens: text that may be the beginning of one
 * is held back. One thread at a time. */
typedef struct tuff_stop tuff_stop;

/* The strings are copied. No strings: nothing stops. TUFF_INVALID_ARGUMENT for an empty string. */
TUFF_API TUFF_MUST_USE tuff_status tuff_stop_create(const char *const *strings, size_t count,
                                                    tuff_stop **out_stop);
/* Takes text[0..size) and gives what may be shown, owned by the matcher and valid until its next call.
 * *out_stopped: a stop string has come; the text ends before it, and all that follows is dropped. */
TUFF_API TUFF_MUST_USE tuff_status tuff_stop_feed(tuff_stop *stop, const char *text, size_t size,
                                                  const char **out_text, size_t *out_size, bool *out_stopped);
/* What is still held back when the text has ended; the matcher is then as new. */
TUFF_API void tuff_stop_flush(tuff_stop *stop, const char **out_text, size_t *out_size);
TUFF_API void tuff_stop_destroy(tuff_stop **stop);

#ifdef __cplusplus
}
#endif
#endif
