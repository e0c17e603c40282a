/* What changes logits before there is a choice: biases, penalties, ids that may not come. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "text/sampler.h"

/* ---- what the sampler is told */

static void keep_id(tuff_sampler *s, int32_t id)
{
    if (!s->keeps_ids) return;
    if (tuff_grow((void **)&s->ids, s->count, &s->capacity, sizeof *s->ids))
        s->ids[s->count++] = id;
    else
        s->lost_ids = true;
}

/* The id that has just left the window, unless it has come again. */
static void forget_oldest(tuff_sampler *s)
{
    const size_t window = s->settings.repetition_window;
    if (!window || s->count <= window) return;
    const int32_t *begin = s->ids + s->count - window, id = begin[-1];
    if (id < 0 || (uint32_t)id >= s->vocab) return;
    uint8_t still = 0;
    for (size_t i = 0; i < window && !still; i++)
        still = begin[i] == id;
    s->seen[id] = still;
}

void tuff_sampler_prompt(tuff_sampler *sampler, int32_t id)
{
    if (!sampler) return;
    if (id >= 0 && (uint32_t)id < sampler->vocab) sampler->seen[id] = 1;
    keep_id(sampler, id);
    forget_oldest(sampler);
}

void tuff_sampler_accept(tuff_sampler *sampler, int32_t id)
{
    if (!sampler) return;
    tuff_sampler_prompt(sampler, id);
    if (sampler->chosen && id >= 0 && (uint32_t)id < sampler->vocab) sampler->chosen[id]++;
    sampler->made++;
}

void tuff_sampler_reset(tuff_sampler *sampler)
{
    if (!sampler) return;
    memset(sampler->seen, 0, sampler->vocab);
    if (sampler->chosen) memset(sampler->chosen, 0, sampler->vocab * sizeof *sampler->chosen);
    sampler->count = 0;
    sampler->made = 0;
    sampler->lost_ids = false;
}

tuff_status tuff_sampler_hold_ends(tuff_sampler *sampler, const int32_t *ids, size_t n, int64_t least)
{
    sampler->ends = tuff_alloc_array(n, sizeof *ids);
    if (!sampler->ends) return tuff_fail_memory("a sampler");
    if (n) memcpy(sampler->ends, ids, n * sizeof *ids);
    sampler->end_count = n;
    sampler->least_made = least;
    return TUFF_OK;
}

/* ---- what follows from it */

static bool ends_with(const tuff_sampler *s, const int32_t *ids, size_t n)
{
    return n <= s->count && memcmp(s->ids + (s->count - n), ids, n * sizeof *ids) == 0;
}

static void add_biases(const tuff_sampler *s, double *scores)
{
    for (size_t i = 0; i < s->settings.logit_bias_count; i++) {
        const tuff_logit_bias *b = &s->biases[i];
        const size_t before = b->count - 1;
        if (b->first_only && s->made != s->first) continue;
        if (before == 0 || ends_with(s, b->ids, before)) scores[b->ids[before]] += (double)b->bias;
    }
}

static void penalize(const tuff_sampler *s, double *scores)
{
    const double repetition = (double)s->settings.repetition_penalty;
    const double frequency = (double)s->settings.frequency_penalty;
    const double presence = (double)s->settings.presence_penalty;
    for (uint32_t i = 0; i < s->vocab && repetition != 1; i++)
        if (s->seen[i]) scores[i] = scores[i] < 0 ? scores[i] * repetition : scores[i] / repetition;
    for (uint32_t i = 0; i < s->vocab && s->chosen; i++)
        if (s->chosen[i]) scores[i] -= frequency * s->chosen[i] + presence;
}

static void forbid(const tuff_sampler *s, int32_t id, double *scores)
{
    if (id >= 0 && (uint32_t)id < s->vocab) scores[id] = -INFINITY;
}

/* What followed the last n - 1 ids when they came before. */
static void forbid_ngrams(const tuff_sampler *s, double *scores)
{
    const size_t n = s->settings.no_repeat_ngram_size;
    for (size_t i = 0; n && i + n <= s->count; i++)
        if (ends_with(s, s->ids + i, n - 1)) forbid(s, s->ids[i + n - 1], scores);
}

bool tuff_sampler_changes(const tuff_sampler *s)
{
    return s->settings.logit_bias_count || s->settings.repetition_penalty != 1 || s->chosen ||
           s->settings.no_repeat_ngram_size || s->end_count;
}

tuff_status tuff_sampler_change(const tuff_sampler *s, double *scores)
{
    if (s->lost_ids) return tuff_fail_memory("the ids of a text");
    add_biases(s, scores);
    penalize(s, scores);
    forbid_ngrams(s, scores);
    for (size_t i = 0; i < s->end_count && s->made < s->least_made; i++)
        forbid(s, s->ends[i], scores);
    return TUFF_OK;
}
