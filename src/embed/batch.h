/* Which texts are computed together: token budgets and the capacities of programs. */
#ifndef TUFF_EMBED_BATCH_H
#define TUFF_EMBED_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/status.h"

/* A text's ids; `index` is its place in the call. */
typedef struct tuff_embed_text {
    const int32_t *ids;
    size_t count, index;
    size_t skip; /* leading tokens that are not pooled */
} tuff_embed_text;

/* Longest first, so that texts of one batch are alike and the first batch shows what memory is needed. */
void tuff_embed_sort(tuff_embed_text *texts, size_t n);

/* How many of texts[0..n) make the next batch: as many as fit `budget` tokens, at least one.
 * *out_tokens is their sum. */
size_t tuff_embed_batch(const tuff_embed_text *texts, size_t n, int64_t budget, int64_t *out_tokens);

/* Capacities of few sizes that hold so much: of tokens less than an eighth is unused from 128 on. */
int64_t tuff_embed_token_capacity(int64_t tokens);
int64_t tuff_embed_sequence_capacity(int64_t sequences);

#endif
