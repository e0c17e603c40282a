#include <tuff/sampler.h>

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/structs.h"

typedef struct choice {
    int32_t id;
    double logit;
    double weight; /* exp(logit - largest logit) */
} choice;

struct tuff_sampler {
    tuff_sampling settings;
    uint32_t vocab;
    uint8_t *seen;   /* [vocab]: the id has been accepted */
    choice *choices; /* [vocab]: what is left, in order of id */
    choice *sorted;  /* [vocab]: for top-p */
    double *heap;    /* [top_k]: the largest logits, smallest first */
};

static tuff_status check_range(const char *name, float value, float low, float high)
{
    if (value >= low && value <= high) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %g, expected a number from %g to %g", name, (double)value,
                     (double)low, (double)high);
}

static tuff_status fill(tuff_sampler *sampler, const tuff_sampling *settings, uint32_t vocab)
{
    tuff_sampling *s = &sampler->settings;
    *s = (tuff_sampling)TUFF_SAMPLING_INIT;
    TUFF_TRY(TUFF_TAKE(s, settings, TUFF_SAMPLING_INIT, seed));
    if (vocab == 0 || vocab > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a sampler needs 1 to %d logits, found %u", INT32_MAX, vocab);
    if (s->repetition_penalty == 0) s->repetition_penalty = 1;
    if (s->top_p == 0) s->top_p = 1;
    if (s->top_k > vocab) s->top_k = vocab;
    TUFF_TRY(check_range("the repetition penalty", s->repetition_penalty, 1e-3f, 1e3f));
    TUFF_TRY(check_range("the temperature", s->temperature, 0, 1e3f));
    TUFF_TRY(check_range("top-p", s->top_p, 0, 1));
    TUFF_TRY(check_range("min-p", s->min_p, 0, 1));
    sampler->vocab = vocab;
    sampler->seen = tuff_alloc(vocab);
    sampler->choices = tuff_alloc_array(vocab, sizeof *sampler->choices);
    sampler->sorted = tuff_alloc_array(vocab, sizeof *sampler->sorted);
    sampler->heap = tuff_alloc_array(s->top_k, sizeof *sampler->heap);
    bool complete = sampler->seen && sampler->choices && sampler->sorted && sampler->heap;
    return complete ? TUFF_OK : tuff_fail_memory("a sampler");
}

tuff_status tuff_sampler_create(const tuff_sampling *settings, uint32_t vocab, tuff_sampler **out_sampler)
{
    TUFF_NEED_OUT(out_sampler);
    tuff_sampler *sampler = *out_sampler = tuff_alloc(sizeof *sampler);
    if (!sampler) return tuff_fail_memory("a sampler");
    tuff_status status = fill(sampler, settings, vocab);
    if (status != TUFF_OK) tuff_sampler_destroy(out_sampler);
    return status;
}

void tuff_sampler_destroy(tuff_sampler **sampler)
{
    if (!sampler) return;
    if (!sampler || !*sampler) return;
    tuff_free((*sampler)->seen);
    tuff_free((*sampler)->choices);
    tuff_free((*sampler)->sorted);
    tuff_free((*sampler)->heap);
    tuff_free(*sampler);
    *sampler = NULL;
}

void tuff_sampler_accept(tuff_sampler *sampler, int32_t id)
{
    if (!sampler) return;
    if (id >= 0 && (uint32_t)id < sampler->vocab) sampler->seen[id] = 1;
}

void tuff_sampler_reset(tuff_sampler *sampler)
{
    if (!sampler) return;
    for (uint32_t i = 0; i < sampler->vocab; i++)
        sampler->seen[i] = 0;
}

static double penalized(const tuff_sampler *sampler, const float *logits, uint32_t id)
{
    double penalty = (double)sampler->settings.repetition_penalty, logit = (double)logits[id];
    if (!sampler->seen[id]) return logit;
    return logit < 0 ? logit * penalty : logit / penalty;
}

/* The k-th largest of the logits: a heap of the k largest so far, the smallest at its root. */
static double kth_largest(double *heap, const choice *choices, uint32_t count, uint32_t k)
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

/* Keeps the choices whose logit is at least `least`; returns their number. */
static uint32_t keep_from(choice *choices, uint32_t count, double least)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (choices[i].logit >= least) choices[kept++] = choices[i];
    }
    return kept;
}

static double weigh(choice *choices, uint32_t count)
{
    double largest = choices[0].logit, total = 0;
    for (uint32_t i = 1; i < count; i++)
        largest = choices[i].logit > largest ? choices[i].logit : largest;
    for (uint32_t i = 0; i < count; i++)
        total += choices[i].weight = exp(choices[i].logit - largest);
    return total;
}

/* The least likely first; of equals the higher id, which goes first. */
static int by_weight(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

static int by_id(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Drops the least likely choices that together have no more than 1 - top_p of the probability, never the
 * last. */
static uint32_t keep_top_p(tuff_sampler *sampler, uint32_t count, double total)
{
    double spare = (1 - (double)sampler->settings.top_p) * total, dropped = 0;
    choice *choices = sampler->choices, *sorted = sampler->sorted;
    /* All whose weight is below an equal share of what may go are gone together: no need to sort them. The
     * likeliest weighs 1 and stays. */
    double tiny = spare / count;
    uint32_t rest = 0, gone = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (choices[i].weight < tiny)
            dropped += choices[i].weight;
        else
            sorted[rest++] = choices[i];
    }
    qsort(sorted, rest, sizeof *sorted, by_weight);
    while (gone + 1 < rest && dropped + sorted[gone].weight <= spare)
        dropped += sorted[gone++].weight;
    qsort(sorted + gone, rest - gone, sizeof *sorted, by_id);
    for (uint32_t i = gone; i < rest; i++)
        choices[i - gone] = sorted[i];
    return rest - gone;
}

static uint32_t keep_min_p(choice *choices, uint32_t count, double min_p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (choices[i].weight >= min_p) choices[kept++] = choices[i]; /* the largest weight is 1 */
    }
    return kept;
}

static int32_t draw(const tuff_sampler *sampler, uint32_t count, uint64_t position)
{
    const choice *choices = sampler->choices;
    double total = 0, reached = 0;
    for (uint32_t i = 0; i < count; i++)
        total += choices[i].weight;
    const tuff_sampling *s = &sampler->settings;
    double target = total * tuff_rng_uniform(s->seed, position, s->sequence, TUFF_STREAM_SAMPLE);
    for (uint32_t i = 0; i < count; i++) {
        reached += choices[i].weight;
        if (reached > target) return choices[i].id;
    }
    return choices[count - 1].id;
}

static int32_t largest(const tuff_sampler *sampler, const float *logits)
{
    int32_t best = 0;
    double most = penalized(sampler, logits, 0);
    for (uint32_t i = 1; i < sampler->vocab; i++) {
        double logit = penalized(sampler, logits, i);
        if (logit > most) {
            most = logit;
            best = (int32_t)i;
        }
    }
    return best;
}

tuff_status tuff_sampler_sample(tuff_sampler *sampler, const float *logits, uint64_t position,
                                int32_t *out_id)
{
    TUFF_NEED(sampler);
    TUFF_NEED(logits);
    TUFF_NEED(out_id);
    const tuff_sampling *s = &sampler->settings;
    uint32_t count = sampler->vocab;
    *out_id = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (!isfinite(logits[i]))
            return tuff_fail(
                TUFF_NOT_FINITE,
                "the logit of token %u at position %llu is %s: the model's weights or its computation are broken",
                i, (unsigned long long)position, isnan(logits[i]) ? "not a number" : "infinite");
    }
    if (s->temperature == 0) {
        *out_id = largest(sampler, logits);
        return TUFF_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        sampler->choices[i] =
            (choice){.id = (int32_t)i, .logit = penalized(sampler, logits, i) / (double)s->temperature};
    if (s->top_k && s->top_k < count)
        count =
            keep_from(sampler->choices, count, kth_largest(sampler->heap, sampler->choices, count, s->top_k));
    double total = weigh(sampler->choices, count);
    if (s->top_p < 1) count = keep_top_p(sampler, count, total);
    if (s->min_p > 0) count = keep_min_p(sampler->choices, count, (double)s->min_p);
    *out_id = draw(sampler, count, position);
    return TUFF_OK;
}
