/* Sampling text from a model. */
#ifndef TUFF_GENERATE_H
#define TUFF_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/model.h>
#include <tuff/program.h>
#include <tuff/sampler.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A model on a device with a KV cache for one sequence. Belongs to one thread at a time; several generators
 * may share a model and a device. While tuff_generate or tuff_generator_logits works on it, as seen from
 * callbacks, both fail with TUFF_INVALID_ARGUMENT, tuff_generator_program gives NULL, and
 * tuff_generator_destroy leaves it as it is. */
typedef struct tuff_generator tuff_generator;

/* Zero means default. */
typedef struct tuff_generator_params {
    size_t struct_size;     /* set by TUFF_GENERATOR_PARAMS_INIT */
    int64_t context_length; /* the most tokens of prompt and text together; 0: the model's. Models with rotary
                               positions may be run past it. Memory is taken for what runs need, in steps */
    bool cache_f16;         /* keep keys and values as f16 */
    const char *adapter;    /* to apply: a PEFT directory or a GGUF file; NULL: none */
    const tuff_watch *watch; /* of creating it and of every call without one of its own; NULL: none. Must stay
                                as it is until the generator is destroyed */
    bool exact;       /* weights stored by the block are multiplied in f32. Else the CPU rounds what they are
                         multiplied       with to 8 bits, which is several times as fast where few tokens are run at
                         a       time; other devices       are exact always */
    bool reserved[7]; /* leave them false */
} tuff_generator_params;
#define TUFF_GENERATOR_PARAMS_INIT                                  \
    {                                                               \
        sizeof(tuff_generator_params), 0, false, NULL, NULL, false, \
        {                                                           \
            false                                                   \
        }                                                           \
    }

/* Puts the weights on the device (TUFF_PHASE_UPLOAD), in the type they are stored in.
 * `params` may be NULL and need only live until the call
 * returns. */
TUFF_API TUFF_MUST_USE tuff_status tuff_generator_create(const tuff_model *model, tuff_device *device,
                                                         const tuff_generator_params *params,
                                                         tuff_generator **out_generator);
TUFF_API void tuff_generator_destroy(tuff_generator **generator);

typedef enum tuff_finish {
    TUFF_FINISH_LENGTH,    /* max_new_tokens were made */
    TUFF_FINISH_EOS,       /* the model ended its text */
    TUFF_FINISH_STOP,      /* a stop string came */
    TUFF_FINISH_CONTEXT,   /* the context is full */
    TUFF_FINISH_CANCELLED, /* on_text or the watch asked to stop */
    TUFF_FINISH_FAILED     /* an error, which `status` of the result tells */
} tuff_finish;

typedef struct tuff_generate_result {
    size_t struct_size; /* set by TUFF_GENERATE_RESULT_INIT */
    tuff_finish finish;
    int64_t prompt_tokens, new_tokens;
    double prompt_seconds, generate_seconds; /* generate: without the prompt */
    double start_seconds; /* before them: planning, making room in the cache, making kernels ready */
    double prompt_rate; /* tokens of the prompt per second, first runs of programs left out, in which drivers
                           and libraries may still compile; 0: there were no others */
    tuff_status status; /* TUFF_OK, or why it failed or was cancelled by its watch */
    uint32_t reserved;  /* 0 */
    int64_t cached_tokens; /* of the prompt: those that were not run, as the cache had them */
} tuff_generate_result;
#define TUFF_GENERATE_RESULT_INIT                                                         \
    {                                                                                     \
        sizeof(tuff_generate_result), TUFF_FINISH_LENGTH, 0, 0, 0, 0, 0, 0, TUFF_OK, 0, 0 \
    }

/* When a search with beams ends, as transformers has it. */
typedef enum tuff_early_stopping {
    TUFF_EARLY_STOPPING_NO,   /* when no running text is likely to come before those that ended */
    TUFF_EARLY_STOPPING_YES,  /* when as many texts have ended as there are beams */
    TUFF_EARLY_STOPPING_NEVER /* when none can come before them any more */
} tuff_early_stopping;

/* A token and the natural logarithm of its probability. Never gets further fields. */
typedef struct tuff_token_logprob {
    int32_t id;
    float logprob;
} tuff_token_logprob;

/* A token of a text, and how probable it was. Probabilities are the model's own, the softmax of its logits:
 * before biases, penalties, temperature and what leaves tokens out, as OpenAI, vLLM and llama.cpp give them.
 * Owned by the library; later versions may add fields. */
typedef struct tuff_chosen {
    int32_t id;
    float logprob;
    const tuff_token_logprob *top; /* [top_count]: the most probable ones, the best first, of equals the lower
                                      id; the chosen one may be among them */
    size_t top_count;
} tuff_chosen;

/* Zero means default. */
typedef struct tuff_generate_params {
    size_t struct_size;            /* set by TUFF_GENERATE_PARAMS_INIT */
    const tuff_sampling *sampling; /* NULL: the most likely token each time */
    int64_t max_new_tokens;        /* 0: until the context is full */
    const char *const *stop;       /* stop strings; the text ends before the first that comes */
    size_t stop_count;
    bool ignore_eos;
    bool plain_special; /* special tokens spelled out in the prompt are plain text */
    /* Receives the new text in pieces that never split a UTF-8 character (bytes that are no UTF-8 come as the
     * model made them); returning false stops. May be NULL. */
    bool (*on_text)(const char *text, size_t size, void *user);
    void *user;
    /* TUFF_PHASE_PROMPT: tokens of the prompt; TUFF_PHASE_GENERATE: new tokens. NULL: the generator's. A
     * request is also seen while the model runs: on the CPU after the operation at hand, on GPUs after about
     * 200 ms. */
    const tuff_watch *watch;
    /* Called once when the text has ended, for whatever reason, after the last piece of it; where it failed,
     * tuff_error_message says why. May be NULL. */
    void (*on_finish)(const tuff_generate_result *result, void *user);
    /* More than 1: of so many texts that are gone on with at once the most probable one is searched, and
     * given when it is found (tuff_generate, and tuff_generate_many, one prompt after the other, which gives
     * the num_return_sequences best, while other sequences of the batcher wait; without sampling and stop
     * strings). */
    int64_t num_beams;
    double length_penalty; /* of beams: log-probabilities of texts are divided by their lengths to this power;
                              above 0 longer texts gain by it. The macro sets 1 */
    tuff_early_stopping early_stopping;
    uint32_t top_logprobs; /* how many tokens on_token gets beside the chosen one, 0 to 1000 */
    /* Called for each token of the text, one that ends it excepted, before on_text has what it adds. Not with
     * beams. May be NULL. */
    void (*on_token)(const tuff_chosen *token, void *user);
    int64_t min_new_tokens; /* before so many the text does not end by a token (stop strings may end it) */
    const int32_t *eos_ids; /* [eos_id_count]: tokens that end the text beside the model's, also where those
                               are ignored */
    size_t eos_id_count;
    const char *source_prefix; /* put before the prompt, such as "summarize: "; NULL: nothing */
    /* The least and the most tokens of prompt and text together, as transformers has them (of an
     * encoder-decoder: of the token that the text begins with and the text); max_length where max_new_tokens
     * is 0. 0: none. */
    int64_t min_length, max_length;
    bool no_special; /* no token is put around the prompt: those of a rendered chat are spelled out in it */
    /* What the call before has left in the generator's cache of the tokens that this prompt begins with, its
     * text's too, is not run again: turns of a chat. Sums may be rounded otherwise than where a prompt is run
     * in whole pieces. Of tuff_generate; without beams. */
    bool reuse_cache;
    bool reserved[6]; /* leave them false */
} tuff_generate_params;
#define TUFF_GENERATE_PARAMS_INIT                                                                     \
    {                                                                                                 \
        sizeof(tuff_generate_params), NULL, 0, NULL, 0, false, false, NULL, NULL, NULL, NULL, 0, 1.0, \
            TUFF_EARLY_STOPPING_NO, 0, NULL, 0, NULL, 0, NULL, 0, 0, false, false,                    \
        {                                                                                             \
            false                                                                                     \
        }                                                                                             \
    }

/* Defaults as the model's generation_config.json has them, or of a GGUF its metadata general.sampling (temp,
 * top_k, top_p, min_p, penalty_repeat; texts are drawn unless it has a temp of 0 or none of the first four):
 * num_beams, length_penalty, early_stopping, min_new_tokens, max_new_tokens, min_length and max_length in
 * *out_params; do_sample with temperature, top_k, top_p, min_p, typical_p, repetition_penalty and
 * no_repeat_ngram_size in *out_sampling. Both were made by their macros; what the file does not say is as
 * these make it (transformers itself draws from the 50 most probable tokens where the file has no top_k), but
 * for the temperature: 1 with do_sample, else 0. Tokens that end texts are the model's without being asked
 * for, biases of tokens are the next call's. Errors: TUFF_UNSUPPORTED, naming the key, where the file asks
 * for what Tuff does not have: all else is set then; TUFF_BAD_FORMAT. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_generation(const tuff_model *model,
                                                         tuff_generate_params *out_params,
                                                         tuff_sampling *out_sampling);
/* The texts that end a text by the same file (stop_strings), for `stop` of tuff_generate_params: *out_stops
 * is one block of memory, texts and all, freed with tuff_free; NULL and 0 where there are none.
 * TUFF_BAD_FORMAT where they are no texts. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_generation_stops(const tuff_model *model,
                                                               const char *const **out_stops,
                                                               size_t *out_count);
/* The biases of tokens that the same file has (sequence_bias, bad_words_ids, suppress_tokens,
 * begin_suppress_tokens), for `logit_bias` of tuff_sampling: *out_biases is one block of memory, ids and all,
 * freed with tuff_free, with entries struct_size apart; NULL and 0 where there are none. TUFF_BAD_FORMAT
 * where one is not as it should be. */
TUFF_API TUFF_MUST_USE tuff_status tuff_model_generation_biases(const tuff_model *model,
                                                                tuff_logit_bias **out_biases,
                                                                size_t *out_count);

/* Continues prompt[0..size), or, where the model is an encoder-decoder, answers it. One that gives no token
 * stands for the model's begin of text, where it has one. Errors: TUFF_INVALID_ARGUMENT when there is no
 * token to begin with, or no room left in the context; TUFF_NOT_FINITE when the model gives NaN or Inf;
 * TUFF_CANCELLED when the watch says so, with `finish` TUFF_FINISH_CANCELLED. `params` and `out_result` may
 * be NULL; after an error the result holds what was done before it, and the generator can be used again
 * unless the device is lost. */
TUFF_API TUFF_MUST_USE tuff_status tuff_generate(tuff_generator *generator, const char *prompt, size_t size,
                                                 const tuff_generate_params *params,
                                                 tuff_generate_result *out_result);

/* What a generator or a batcher holds on its device, in bytes. */
typedef struct tuff_generate_memory {
    size_t struct_size; /* set by TUFF_GENERATE_MEMORY_INIT */
    uint64_t weights;   /* of the model, its weight_bytes, and of the adapter */
    uint64_t cache;     /* keys and values, and tables that are as long; 0 until there is a text, and more as
                           texts get longer or, of a batcher, more */
    uint64_t arena; /* results and scratch of a run; 0 until there is one, and more with the tokens of one */
    uint64_t transfers; /* inputs and results on their way, of runs of all sizes so far */
    uint64_t total;     /* the sum */
} tuff_generate_memory;
#define TUFF_GENERATE_MEMORY_INIT                   \
    {                                               \
        sizeof(tuff_generate_memory), 0, 0, 0, 0, 0 \
    }
/* As it is now. Fails while another call works on the generator, as all do. */
TUFF_API TUFF_MUST_USE tuff_status tuff_generator_get_memory(tuff_generator *generator,
                                                             tuff_generate_memory *out_memory);

/* The program that feeds one token, for its plan and profile; owned by the generator, valid until the next
 * tuff_generate or tuff_generator_logits: a longer context than any run before makes it anew. NULL before its
 * first use, and while one of these calls is at work. */
TUFF_API tuff_program *tuff_generator_program(tuff_generator *generator);

/* Logits f32 [vocab_size] after the ids[0..n) alone: for checks against other implementations. */
TUFF_API TUFF_MUST_USE tuff_status tuff_generator_logits(tuff_generator *generator, const int32_t *ids,
                                                         size_t n, float *out_logits);

#ifdef __cplusplus
}
#endif
#endif
