/* How probable tokens are by the model itself. */
#include <math.h>

#include "generate/sequence.h"

double tuff_log_sum(const float *x, int64_t n)
{
    double largest = (double)x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        largest = (double)x[i] > largest ? (double)x[i] : largest;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - largest);
    return largest + log(sum);
}

/* Into the best ones, of which there are n; equal ones stay in the order in which they come. */
static void insert(tuff_token_logprob *top, size_t n, tuff_token_logprob one)
{
    for (; n > 0 && top[n - 1].logprob < one.logprob; n--)
        top[n] = top[n - 1];
    top[n] = one;
}

void tuff_logprobs(const float *logits, int64_t vocab, int32_t id, tuff_token_logprob *top, size_t n,
                   tuff_chosen *out)
{
    const double sum = tuff_log_sum(logits, vocab);
    size_t found = 0;
    if (n > (size_t)vocab) n = (size_t)vocab;
    for (int64_t i = 0; i < vocab && n; i++) { /* logits first: their differences are exact */
        if (found == n && !(logits[i] > top[n - 1].logprob)) continue;
        if (found < n) found++;
        insert(top, found - 1, (tuff_token_logprob){(int32_t)i, logits[i]});
    }
    for (size_t i = 0; i < found; i++)
        top[i].logprob = (float)((double)top[i].logprob - sum);
    *out = (tuff_chosen){.id = id,
                         .logprob = (float)((double)logits[id] - sum),
                         .top = found ? top : NULL,
                         .top_count = found};
}
