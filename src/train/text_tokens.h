/* The token ids of a text file, or of the files of a directory, wherever they are. */
#ifndef TUFF_TRAIN_TEXT_TOKENS_H
#define TUFF_TRAIN_TEXT_TOKENS_H

#include "train/token_cache.h"

typedef struct tuff_text_tokens {
    const int32_t *ids;
    int64_t count;
    int32_t largest;
    uint64_t windows_lines;
    int32_t *memory;      /* where they are, */
    tuff_token_file file; /* or here */
} tuff_text_tokens;

typedef struct tuff_text_reading {
    const tuff_tokenizer *tokenizer;
    bool allow_json, no_cache;
    unsigned threads; /* 0: as many as this process may use */
    const tuff_watch *watch;
} tuff_text_reading;

TUFF_MUST_USE tuff_status tuff_text_tokens_load(const char *path, const tuff_text_reading *reading,
                                                tuff_text_tokens *out);
void tuff_text_tokens_free(tuff_text_tokens *tokens);

#endif
