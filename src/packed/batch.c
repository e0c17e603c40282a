#include "packed/batch.h"

#include <stdlib.h>

static int by_length(const void *a, const void *b)
{
    const tuff_packed_text *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

void tuff_packed_sort(tuff_packed_text *texts, size_t n)
{
    if (n) qsort(texts, n, sizeof *texts, by_length);
}

size_t tuff_packed_batch(const tuff_packed_text *texts, size_t n, const tuff_packed_budget *budget,
                         int64_t *out_tokens)
{
    size_t taken = 0, picks = 0;
    *out_tokens = 0;
    for (; taken < n; taken++) {
        const tuff_packed_text *t = &texts[taken];
        int64_t all = *out_tokens + (int64_t)t->count + (int64_t)(taken + 1) * budget->before;
        bool fits = all <= budget->tokens && picks + t->picks <= budget->picks;
        if (taken && !fits) break;
        *out_tokens += (int64_t)t->count;
        picks += t->picks;
    }
    return taken;
}

size_t tuff_packed_picks(int64_t width)
{
    enum { FLOATS = 16 << 20 };
    size_t picks = TUFF_PACKED_PICKS;
    while (picks > 1 && (int64_t)picks * width > FLOATS)
        picks /= 2; /* programs have room for powers of two */
    return picks;
}

int64_t tuff_packed_token_capacity(int64_t tokens)
{
    int64_t step = 16;
    while (16 * step <= tokens)
        step *= 2; /* an eighth of the power of two below */
    return (tokens + step - 1) / step * step;
}

int64_t tuff_packed_sequence_capacity(int64_t sequences)
{
    int64_t capacity = sequences > 0;
    while (capacity < sequences)
        capacity *= 2;
    return capacity;
}
