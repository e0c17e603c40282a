/* What `tuff eval` is told, for the files that measure. */
#ifndef TUFF_CLI_EVAL_H
#define TUFF_CLI_EVAL_H

#include "cli/cli.h"

/* Those of examples, and two of vectors. */
enum { TUFF_CLI_EVAL_STS = TUFF_CLI_TASK_COUNT, TUFF_CLI_EVAL_RETRIEVAL };
#define TUFF_CLI_EVAL_TASKS TUFF_CLI_TASKS "|sts|retrieval"

typedef struct tuff_cli_eval_options {
    tuff_cli_common common;
    const char *model, *file, *adapter;
    int task;
    int64_t batch_size;
    tuff_cli_data_options data; /* max_length and text_field also of sts and retrieval */
    /* causal-lm */
    const char *dump_logits;
    int64_t block_size;
    int format;
    /* sts and retrieval */
    int pooling;
    int64_t dimensions;
    const char *sentence1, *sentence2, *score, *prompt;
    const char *docs, *queries, *qrels, *id_field, *query_prompt, *document_prompt;
} tuff_cli_eval_options;

/* Measures an embedding model; the exit code. */
int tuff_cli_eval_embeddings(const tuff_cli_eval_options *options, const tuff_model *model,
                             tuff_device *device);

#endif
