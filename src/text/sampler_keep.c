/* Which ids stay to choose from: Hugging Face's warpers. */
#include <math.h>
#include <stdlib.h>

#include "text/sampler.h"

/* The k-th largest of the logits: a heap of the k largest so far, the smallest at its root. */
static double kth_largest(double *heap, const tuff_choice *choices, uint32_t count, uint32_t k)
{
    for (uint32_t n = 0; n < count; n++) {
        double value = choices[n].logit;
        uint32_t i;
        if (n < k) { /* sift up */
            for (i = n; i > 0 && heap[(i - 1) / 2] > value; i = (i - 1) / 2)
                heap[i] = heap[(i - 1) / 2];
            heap[i] = value;
            continue;
        }
        if (value <= heap[0]) continue;
        for (i = 0;;) { /* sift down from the root */
            uint32_t child = 2 * i + 1;
            if (child >= k) break;
            if (child + 1 < k && heap[child + 1] < heap[child]) child++;
            if (heap[child] >= value) break;
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = value;
    }
    return heap[0];
}

/* The choices whose logit is at least `least`. */
static uint32_t keep_from(tuff_choice *choices, uint32_t count, double least)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (choices[i].logit >= least) choices[kept++] = choices[i];
    }
    return kept;
}

uint32_t tuff_keep_top_k(tuff_sampler *sampler, uint32_t count)
{
    const tuff_sampling *s = &sampler->settings;
    const uint32_t k = s->top_k > s->min_tokens_to_keep ? s->top_k : s->min_tokens_to_keep;
    if (!s->top_k || k >= count) return count;
    return keep_from(sampler->choices, count, kth_largest(sampler->heap, sampler->choices, count, k));
}

/* The least likely first; of equals the higher id, which goes first. */
static int by_weight(const void *a, const void *b)
{
    const tuff_choice *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

static int by_id(const void *a, const void *b)
{
    const tuff_choice *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Those of `sorted` that stay become the choices. */
static uint32_t take_sorted(tuff_sampler *sampler, uint32_t from, uint32_t to)
{
    tuff_choice *sorted = sampler->sorted;
    qsort(sorted + from, to - from, sizeof *sorted, by_id);
    for (uint32_t i = from; i < to; i++)
        sampler->choices[i - from] = sorted[i];
    return to - from;
}

/* Drops the least likely choices that together have no more than 1 - top_p of the probability, never the
 * last ones that are to be kept. */
uint32_t tuff_keep_top_p(tuff_sampler *sampler, uint32_t count, double total)
{
    const uint32_t least = sampler->settings.min_tokens_to_keep;
    double spare = (1 - (double)sampler->settings.top_p) * total, dropped = 0;
    tuff_choice *choices = sampler->choices, *sorted = sampler->sorted;
    /* All whose weight is below an equal share of what may go are gone together: no need to sort them. The
     * likeliest weighs 1 and stays. */
    double tiny = least > 1 ? 0 : spare / count;
    uint32_t rest = 0, gone = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (choices[i].weight < tiny)
            dropped += choices[i].weight;
        else
            sorted[rest++] = choices[i];
    }
    qsort(sorted, rest, sizeof *sorted, by_weight);
    while (gone + least < rest && dropped + sorted[gone].weight <= spare)
        dropped += sorted[gone++].weight;
    return take_sorted(sampler, gone, rest);
}

uint32_t tuff_keep_min_p(tuff_sampler *sampler, uint32_t count)
{
    tuff_choice *choices = sampler->choices;
    const uint32_t least = sampler->settings.min_tokens_to_keep;
    const double min_p = (double)sampler->settings.min_p;
    const double kth = least >= count ? (double)-INFINITY : kth_largest(sampler->heap, choices, count, least);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) { /* the largest weight is 1 */
        if (choices[i].weight >= min_p || choices[i].logit >= kth) choices[kept++] = choices[i];
    }
    return kept;
}

/* By what typical-p has put in place of the logits. */
static int by_distance(const void *a, const void *b)
{
    const tuff_choice *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? -1 : 1;
    return by_id(a, b);
}

uint32_t tuff_keep_typical(tuff_sampler *sampler, uint32_t count)
{
    const tuff_sampling *s = &sampler->settings;
    tuff_choice *sorted = sampler->sorted;
    double total = 0, expected = 0, reached = 0;
    for (uint32_t i = 0; i < count; i++)
        total += sampler->choices[i].weight;
    for (uint32_t i = 0; i < count; i++) {
        const double p = sampler->choices[i].weight / total;
        if (p > 0) expected -= p * log(p);
    }
    for (uint32_t i = 0; i < count; i++) { /* in place of its logit, how far its information is from that */
        sorted[i] = sampler->choices[i];
        sorted[i].logit = fabs(-log(sorted[i].weight / total) - expected);
    }
    qsort(sorted, count, sizeof *sorted, by_distance);
    uint32_t kept = 0;
    while (kept < count && reached < (double)s->typical_p * total)
        reached += sorted[kept++].weight;
    while (kept < count && (kept < s->min_tokens_to_keep || sorted[kept].logit == sorted[kept - 1].logit))
        kept++;
    return take_sorted(sampler, 0, kept);
}
