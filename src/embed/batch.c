#include "embed/batch.h"

#include <stdlib.h>

static int by_length(const void *a, const void *b)
{
    const tuff_embed_text *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

void tuff_embed_sort(tuff_embed_text *texts, size_t n)
{
    qsort(texts, n, sizeof *texts, by_length);
}

size_t tuff_embed_batch(const tuff_embed_text *texts, size_t n, int64_t budget, int64_t *out_tokens)
{
    size_t taken = 0;
    *out_tokens = 0;
    while (taken < n && texts[taken].count == texts[0].count &&
           (taken == 0 || *out_tokens + (int64_t)texts[taken].count <= budget))
        *out_tokens += (int64_t)texts[taken++].count;
    return taken;
}
