/* Which texts are computed together: token budgets and the capacities of programs. */
#ifndef TUFF_PACKED_BATCH_H
#define TUFF_PACKED_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <tuff/tokenizer.h>

#include "base/status.h"

/* A text's ids; `index` is its place in the call. */
typedef struct tuff_packed_text {
    const int32_t *ids;
    const int32_t *types; /* NULL: all 0 */
    size_t count, index;
    size_t skip; /* leading tokens that are not pooled */
    /* Tokens of it whose states are picked, by their places in it, where its user picks. */
    const int32_t *picked;
    size_t picks;
} tuff_packed_text;

/* Longest first, so that texts of one batch are alike and the first batch shows what memory is needed. */
void tuff_packed_sort(tuff_packed_text *texts, size_t n);

/* Picked tokens of a text at most, and of a batch where nobody says fewer. */
enum { TUFF_PACKED_PICKS = 512 };

/* What is computed together: so many tokens, `before` of them for each text that are none of its own, and so
 * many picks. */
typedef struct tuff_packed_budget {
    int64_t tokens, before;
    size_t picks;
} tuff_packed_budget;
/* How many of texts[0..n) make the next batch: as many as fit, at least one. *out_tokens is the sum of their
 * own tokens. */
size_t tuff_packed_batch(const tuff_packed_text *texts, size_t n, const tuff_packed_budget *budget,
                         int64_t *out_tokens);
/* Picks of a batch, of which each makes a row of `width` floats: 64 MB of them, or TUFF_PACKED_PICKS. */
size_t tuff_packed_picks(int64_t width);

/* Capacities of few sizes that hold so much: of tokens less than an eighth is unused from 128 on. */
int64_t tuff_packed_token_capacity(int64_t tokens);
/* Of sequences, and of picked tokens: 0 for 0. */
int64_t tuff_packed_sequence_capacity(int64_t sequences);

#endif
