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

/* Zero means default, which for the temperature is greedy. The steps apply in the order of Hugging Face's
 * GenerationMixin: repetition penalty, temperature, top-k, top-p, min-p. */
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
    uint32_t reserved; /* 0 */
} tuff_sampling;
#define TUFF_SAMPLING_INIT                            \
    {                                                 \
        sizeof(tuff_sampling), 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/* One thread at a time. */
typedef struct tuff_sampler tuff_sampler;

/* `vocab` is the number of logits; `settings` may be NULL. TUFF_INVALID_ARGUMENT for a setting out of its
 * range. Nothing is allocated later. */
TUFF_API TUFF_MUST_USE tuff_status tuff_sampler_create(const tuff_sampling *settings, uint32_t vocab,
                                                       tuff_sampler **out_sampler);
/* Tells of an id of the prompt or of one chosen, for the repetition penalty. Ids outside the vocabulary are
 * ignored. */
TUFF_API void tuff_sampler_accept(tuff_sampler *sampler, int32_t id);
/* Forgets all ids. */
TUFF_API void tuff_sampler_reset(tuff_sampler *sampler);
/* Chooses an id from logits f32 [vocab]. The choice is a function of the logits, the ids accepted, the
 * settings and `position`, the index of the token in its text; it is not accepted by itself. TUFF_NOT_FINITE
 * when a logit is NaN or infinite. */
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
