/* Which texts are computed together. */
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

/* How many of texts[0..n) make the next batch: as many of one length as fit `budget` tokens, at least one.
 * *out_tokens is their sum. */
size_t tuff_embed_batch(const tuff_embed_text *texts, size_t n, int64_t budget, int64_t *out_tokens);

#endif
