/* What the files of `tuff generate` share. */
#ifndef TUFF_CLI_GENERATE_H
#define TUFF_CLI_GENERATE_H

#include <tuff/batch.h>

#include "cli/cli.h"

typedef struct tuff_cli_generate_options {
    tuff_cli_common common;
    const char *model, *prompt, *prompt_file, *file, *field, *adapter;
    double temperature, top_p, min_p, repetition_penalty;
    int64_t top_k, seed, max_new_tokens, context_length, num_return_sequences, batch_size;
    tuff_arg_list stop;
    int64_t num_beams;
    double length_penalty;
    int early_stopping;
    bool ignore_eos, cache_f16, invariant;
    tuff_arg_optional profile;
} tuff_cli_generate_options;

/* How its tokens are chosen, and how they end; `sampling` must live as long as the result. */
tuff_generate_params tuff_cli_generate_params(const tuff_cli_generate_options *o, tuff_sampling *sampling);
/* "length", "eos", ... */
const char *tuff_cli_finish_name(tuff_finish finish);

/* Several texts: of --file, else of the prompt. The exit code. */
int tuff_cli_generate_many(const tuff_cli_generate_options *o, const tuff_model *model, tuff_device *device,
                           const char *prompt, size_t size);

#endif
