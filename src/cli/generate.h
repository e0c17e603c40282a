/* What the files of `tuff generate` share. */
#ifndef TUFF_CLI_GENERATE_H
#define TUFF_CLI_GENERATE_H

#include <tuff/batch.h>
#include <tuff/sampler.h>

#include "cli/cli.h"

/* Biases of tokens: numbers[number_count] are ids that were given, owned[owned_count] those of texts;
 * models[model_count] are those of the model, all[all_count] both, once they are joined. */
typedef struct tuff_cli_biases {
    tuff_logit_bias items[3 * TUFF_ARG_LIST_MAX];
    int32_t *owned[3 * TUFF_ARG_LIST_MAX];
    int32_t numbers[TUFF_ARG_LIST_MAX];
    size_t count, owned_count, number_count;
    tuff_logit_bias *models, *all;
    size_t model_count, all_count;
    const char *const *stops; /* the model's stop texts, where no others were given */
} tuff_cli_biases;

/* The tokens of a text; the `top` of each is set at its end. */
typedef struct tuff_cli_tokens {
    tuff_chosen *items;
    tuff_token_logprob *tops;
    size_t count, capacity, top_count, top_capacity;
} tuff_cli_tokens;

/* Of an option that was not given, a number or a choice; no value that it can have. */
enum { TUFF_CLI_UNSET = -1000 };

typedef struct tuff_cli_generate_options {
    tuff_cli_common common;
    const char *model, *prompt, *prompt_file, *file, *field, *adapter, *source_prefix;
    const char *template, *variables, *system, *messages, *tools; /* of chats */
    double temperature, top_p, min_p, typical_p;
    double repetition_penalty, frequency_penalty, presence_penalty;
    int64_t top_k, min_tokens_to_keep, no_repeat_ngram_size, repetition_window;
    int64_t seed, max_new_tokens, context_length, num_return_sequences, batch_size;
    int64_t min_new_tokens, logprobs; /* logprobs: -1: none */
    int64_t min_length, max_length;   /* generation_config.json's alone */
    tuff_arg_list stop, logit_bias, bad_words, eos_token_id;
    int32_t eos_ids[TUFF_ARG_LIST_MAX];
    tuff_cli_biases *biases; /* of two of these and of the model, once it is there */
    int64_t num_beams;
    double length_penalty;
    int early_stopping;
    bool ignore_eos, ignore_generation_config, cache_f16, invariant, exact;
    bool rendered; /* the prompt has its special tokens spelled out */
    tuff_arg_optional profile;
} tuff_cli_generate_options;

/* Options as they are where none is given. */
#define TUFF_CLI_GENERATE_OPTIONS                                                                        \
    {                                                                                                    \
        .temperature = TUFF_CLI_UNSET, .top_k = TUFF_CLI_UNSET, .top_p = TUFF_CLI_UNSET,                 \
        .min_p = TUFF_CLI_UNSET, .typical_p = TUFF_CLI_UNSET, .min_tokens_to_keep = 1,                   \
        .repetition_penalty = TUFF_CLI_UNSET, .length_penalty = TUFF_CLI_UNSET,                          \
        .early_stopping = TUFF_CLI_UNSET, .num_beams = TUFF_CLI_UNSET, .max_new_tokens = TUFF_CLI_UNSET, \
        .min_new_tokens = TUFF_CLI_UNSET, .no_repeat_ngram_size = TUFF_CLI_UNSET,                        \
        .repetition_window = TUFF_CLI_UNSET, .logprobs = -1                                              \
    }
/* The numbers of --eos-token-id; false: a sentence was said, which names the verb. */
bool tuff_cli_generate_eos_ids(tuff_cli_generate_options *o, const char *verb);
/* How its tokens are chosen, and how they end; `sampling` must live as long as the result. */
tuff_generate_params tuff_cli_generate_params(const tuff_cli_generate_options *o, tuff_sampling *sampling);
/* Whether --logit-bias and --bad-words are as they should be; else a sentence was said. */
bool tuff_cli_generate_check_biases(const tuff_cli_generate_options *o);
/* What they are of this model's tokens, into *out, which is zeroed; free it in any case. False: a sentence
 * was said. */
bool tuff_cli_generate_biases(const tuff_cli_generate_options *o, const tuff_model *model,
                              tuff_cli_biases *out);
/* Makes one list of these and the model's. False: a sentence was said. */
bool tuff_cli_biases_join(tuff_cli_biases *biases);
void tuff_cli_biases_free(tuff_cli_biases *biases);
/* Options that were not given become what the model's generation_config.json says, which is told; its biases
 * join those that were given. False: a sentence was said. */
bool tuff_cli_generate_settle(tuff_cli_generate_options *o, const tuff_model *model);
/* False: no memory. */
bool tuff_cli_tokens_add(tuff_cli_tokens *to, const tuff_chosen *token);
void tuff_cli_tokens_end(tuff_cli_tokens *tokens);
void tuff_cli_tokens_free(tuff_cli_tokens *tokens);
/* `, "tokens": [...]` of a JSON object. */
void tuff_cli_tokens_json(const tuff_tokenizer *tokenizer, const tuff_chosen *tokens, size_t n);
/* A line for each. */
void tuff_cli_tokens_print(const tuff_tokenizer *tokenizer, const tuff_chosen *tokens, size_t n);
/* "length", "eos", ... */
const char *tuff_cli_finish_name(tuff_finish finish);

/* Several texts: of --file, else of the prompt. The exit code. */
int tuff_cli_generate_many(const tuff_cli_generate_options *o, const tuff_model *model, tuff_device *device,
                           const char *prompt, size_t size);

#endif
