#include "text/sampler.h"

#include <math.h>
#include <string.h>

#include "base/fp.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/structs.h"

static tuff_status check_range(const char *name, float value, float low, float high)
{
    if (value >= low && value <= high) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %g, expected a number from %g to %g", name, (double)value,
                     (double)low, (double)high);
}

static tuff_status check_bias(const tuff_logit_bias *b, size_t i, uint32_t vocab)
{
    if (b->count == 0 || !b->ids)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "logit bias %zu has no ids, expected one or more", i);
    for (size_t k = 0; k < b->count; k++)
        if (b->ids[k] < 0 || (uint32_t)b->ids[k] >= vocab)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "logit bias %zu is for id %d, which is outside the vocabulary of %u", i,
                             b->ids[k], vocab);
    if (b->first_only > 1)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the first_only of logit bias %zu is %u, expected 0 or 1", i,
                         b->first_only);
    if (b->bias != -INFINITY && !(fabsf(b->bias) <= 1e6f))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the bias of id %d is %g, expected -inf or a number from -1e6 to 1e6",
                         b->ids[b->count - 1], (double)b->bias);
    return TUFF_OK;
}

static tuff_status take_biases(tuff_sampler *sampler, const tuff_logit_bias *given, uint32_t vocab)
{
    const size_t n = sampler->settings.logit_bias_count;
    size_t ids = 0;
    sampler->biases = tuff_alloc_array(n, sizeof *sampler->biases);
    if (!sampler->biases) return tuff_fail_memory("a sampler");
    if (n) TUFF_TRY(TUFF_CHECK_ARRAY(given, const tuff_logit_bias, TUFF_LOGIT_BIAS_INIT, first_only));
    for (size_t i = 0; i < n; i++) {
        tuff_logit_bias *b = &sampler->biases[i];
        *b = (tuff_logit_bias)TUFF_LOGIT_BIAS_INIT;
        TUFF_TRY(TUFF_TAKE_ENTRY(b, given, i, TUFF_LOGIT_BIAS_INIT));
        TUFF_TRY(check_bias(b, i, vocab));
        ids += b->count;
        if (b->count > 1) sampler->keeps_ids = true;
    }
    int32_t *copy = sampler->bias_ids = tuff_alloc_array(ids, sizeof *copy);
    if (!copy) return tuff_fail_memory("a sampler");
    for (size_t i = 0; i < n; copy += sampler->biases[i++].count) {
        tuff_logit_bias *b = &sampler->biases[i];
        memcpy(copy, b->ids, b->count * sizeof *copy);
        b->ids = copy;
    }
    return TUFF_OK;
}

static tuff_status check(tuff_sampling *s, uint32_t vocab)
{
    if (vocab == 0 || vocab > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a sampler needs 1 to %d logits, found %u", INT32_MAX, vocab);
    if (s->repetition_penalty == 0) s->repetition_penalty = 1;
    if (s->top_p == 0) s->top_p = 1;
    if (s->typical_p == 0) s->typical_p = 1;
    if (s->min_tokens_to_keep == 0) s->min_tokens_to_keep = 1;
    if (s->top_k > vocab) s->top_k = vocab;
    if (s->min_tokens_to_keep > vocab) s->min_tokens_to_keep = vocab;
    TUFF_TRY(check_range("the repetition penalty", s->repetition_penalty, 1e-3f, 1e3f));
    TUFF_TRY(check_range("the frequency penalty", s->frequency_penalty, -100, 100));
    TUFF_TRY(check_range("the presence penalty", s->presence_penalty, -100, 100));
    TUFF_TRY(check_range("the temperature", s->temperature, 0, 1e3f));
    TUFF_TRY(check_range("top-p", s->top_p, 0, 1));
    TUFF_TRY(check_range("min-p", s->min_p, 0, 1));
    return check_range("typical-p", s->typical_p, 0, 1);
}

static tuff_status fill(tuff_sampler *sampler, const tuff_sampling *settings, uint32_t vocab)
{
    tuff_sampling *s = &sampler->settings;
    *s = (tuff_sampling)TUFF_SAMPLING_INIT;
    TUFF_TRY(TUFF_TAKE(s, settings, TUFF_SAMPLING_INIT, seed));
    TUFF_TRY(check(s, vocab));
    sampler->keeps_ids = s->no_repeat_ngram_size != 0 || s->repetition_window != 0;
    TUFF_TRY(take_biases(sampler, s->logit_bias, vocab));
    const uint32_t most = s->top_k > s->min_tokens_to_keep ? s->top_k : s->min_tokens_to_keep;
    const bool counts = s->frequency_penalty != 0 || s->presence_penalty != 0;
    sampler->vocab = vocab;
    sampler->seen = tuff_alloc(vocab);
    sampler->chosen = counts ? tuff_alloc_array(vocab, sizeof *sampler->chosen) : NULL;
    sampler->scores = tuff_alloc_array(vocab, sizeof *sampler->scores);
    sampler->choices = tuff_alloc_array(vocab, sizeof *sampler->choices);
    sampler->sorted = tuff_alloc_array(vocab, sizeof *sampler->sorted);
    sampler->heap = tuff_alloc_array(most, sizeof *sampler->heap);
    bool complete = sampler->seen && (sampler->chosen || !counts) && sampler->scores && sampler->choices &&
                    sampler->sorted && sampler->heap;
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
    if (!sampler || !*sampler) return;
    tuff_sampler *s = *sampler;
    tuff_free(s->biases);
    tuff_free(s->bias_ids);
    tuff_free(s->seen);
    tuff_free(s->chosen);
    tuff_free(s->scores);
    tuff_free(s->choices);
    tuff_free(s->sorted);
    tuff_free(s->heap);
    tuff_free(s->ids);
    tuff_free(s->ends);
    tuff_free(s);
    *sampler = NULL;
}

static tuff_status check_logits(const float *logits, uint32_t vocab, uint64_t position)
{
    for (uint32_t i = 0; i < vocab; i++) {
        if (!isfinite(logits[i]))
            return tuff_fail(
                TUFF_NOT_FINITE,
                "the logit of token %u at position %llu is %s: the model's weights or its computation are broken",
                i, (unsigned long long)position, isnan(logits[i]) ? "not a number" : "infinite");
    }
    return TUFF_OK;
}

static tuff_status fail_nothing_left(uint64_t position)
{
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "every token is forbidden at position %llu: logit biases and n-grams that may not come "
                     "again leave none; forbid less",
                     (unsigned long long)position);
}

/* Logits to scores. */
static tuff_status change(tuff_sampler *sampler, const float *logits, uint64_t position)
{
    TUFF_TRY(check_logits(logits, sampler->vocab, position));
    for (uint32_t i = 0; i < sampler->vocab; i++)
        sampler->scores[i] = (double)logits[i];
    return tuff_sampler_change(sampler, sampler->scores);
}

static double weigh(tuff_choice *choices, uint32_t count)
{
    double largest = choices[0].logit, total = 0;
    for (uint32_t i = 1; i < count; i++)
        largest = choices[i].logit > largest ? choices[i].logit : largest;
    for (uint32_t i = 0; i < count; i++)
        total += choices[i].weight = exp(choices[i].logit - largest);
    return total;
}

tuff_status tuff_sampler_weigh(tuff_sampler *sampler, const float *logits, uint64_t position,
                               const tuff_choice **out_choices, uint32_t *out_count)
{
    const tuff_sampling *s = &sampler->settings;
    uint32_t count = 0;
    TUFF_TRY(change(sampler, logits, position));
    for (uint32_t i = 0; i < sampler->vocab; i++)
        if (sampler->scores[i] != (double)-INFINITY)
            sampler->choices[count++] =
                (tuff_choice){.id = (int32_t)i, .logit = sampler->scores[i] / (double)s->temperature};
    if (count == 0) return fail_nothing_left(position);
    count = tuff_keep_top_k(sampler, count);
    double total = weigh(sampler->choices, count);
    if (s->top_p < 1) count = tuff_keep_top_p(sampler, count, total);
    if (s->min_p > 0) count = tuff_keep_min_p(sampler, count);
    if (s->typical_p < 1) count = tuff_keep_typical(sampler, count);
    *out_choices = sampler->choices;
    *out_count = count;
    return TUFF_OK;
}

static int32_t draw(const tuff_sampling *s, const tuff_choice *choices, uint32_t count, uint64_t position)
{
    double total = 0, reached = 0;
    for (uint32_t i = 0; i < count; i++)
        total += choices[i].weight;
    double target = total * tuff_rng_uniform(s->seed, position, s->sequence, TUFF_STREAM_SAMPLE);
    for (uint32_t i = 0; i < count; i++) {
        reached += choices[i].weight;
        if (reached > target) return choices[i].id;
    }
    return choices[count - 1].id;
}

static tuff_status take_largest(tuff_sampler *sampler, const float *logits, uint64_t position,
                                int32_t *out_id)
{
    TUFF_TRY(change(sampler, logits, position));
    uint32_t best = 0;
    for (uint32_t i = 1; i < sampler->vocab; i++)
        if (sampler->scores[i] > sampler->scores[best]) best = i;
    if (sampler->scores[best] == (double)-INFINITY) return fail_nothing_left(position);
    *out_id = (int32_t)best;
    return TUFF_OK;
}

tuff_status tuff_sampler_sample(tuff_sampler *sampler, const float *logits, uint64_t position,
                                int32_t *out_id)
{
    TUFF_NEED(sampler);
    TUFF_NEED(logits);
    TUFF_NEED(out_id);
    const tuff_choice *choices;
    uint32_t count;
    *out_id = -1;
    if (sampler->settings.temperature == 0) return take_largest(sampler, logits, position, out_id);
    tuff_fp fp;
    tuff_fp_own(&fp);
    tuff_status status = tuff_sampler_weigh(sampler, logits, position, &choices, &count);
    if (status == TUFF_OK) *out_id = draw(&sampler->settings, choices, count, position);
    tuff_fp_give_back(&fp);
    return status;
}
