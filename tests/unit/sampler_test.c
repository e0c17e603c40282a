/* The sampler against a plain restatement of Hugging Face's warpers; the matcher of stop strings. */
#include "kit/kit.h"

#include <math.h>
#include <tuff/sampler.h>

#include "base/rng.h"

enum { VOCAB = 50 };

static int32_t sample(tuff_sampler *sampler, const float *logits, uint64_t position)
{
    int32_t id;
    KIT_OK(tuff_sampler_sample(sampler, logits, position, &id));
    return id;
}

static tuff_sampler *make(tuff_sampling settings, uint32_t vocab)
{
    tuff_sampler *sampler;
    KIT_OK(tuff_sampler_create(&settings, vocab, &sampler));
    return sampler;
}

static void greedy_takes_the_largest_and_of_equals_the_first(void **state)
{
    (void)state;
    const float logits[] = {-1, 3, 2, 3, -7};
    tuff_sampler *sampler =
        make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .top_k = 1, .top_p = 0.1f}, 5);
    for (uint64_t position = 0; position < 10; position++)
        assert_int_equal(sample(sampler, logits, position), 1);
    tuff_sampler_destroy(&sampler);
    assert_null(sampler);
}

static void seen_tokens_are_penalized_once(void **state)
{
    (void)state;
    const float logits[] = {3, 2, -0.5f, -0.9f}, negative[] = {-2, -1, -1.5f, -9};
    tuff_sampler *sampler =
        make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .repetition_penalty = 2}, 4);
    assert_int_equal(sample(sampler, logits, 0), 0);
    tuff_sampler_accept(sampler, 0);
    tuff_sampler_accept(sampler, 0); /* 1.5, not 0.75 */
    tuff_sampler_accept(sampler, -1);
    tuff_sampler_accept(sampler, 4);
    assert_int_equal(sample(sampler, logits, 0), 1);
    tuff_sampler_accept(sampler, 1);
    assert_int_equal(sample(sampler, logits, 0), 0);   /* 1.5 against 1 */
    assert_int_equal(sample(sampler, negative, 0), 2); /* -4, -2, -1.5 */
    tuff_sampler_reset(sampler);
    assert_int_equal(sample(sampler, negative, 0), 1);
    tuff_sampler_destroy(&sampler);
}

/* Hugging Face's order, each step on the whole vocabulary in plain loops. Dropped tokens are -HUGE_VAL. */
static int32_t restated(const tuff_sampling *s, const float *logits, const bool *seen, uint64_t position)
{
    double scores[VOCAB], weights[VOCAB], total = 0, most = -HUGE_VAL;
    int order[VOCAB]; /* ascending, of equals the higher id first */
    for (int i = 0; i < VOCAB; i++) {
        double penalty = s->repetition_penalty ? (double)s->repetition_penalty : 1, logit = (double)logits[i];
        scores[i] =
            (seen[i] ? (logit < 0 ? logit * penalty : logit / penalty) : logit) / (double)s->temperature;
    }
    for (int i = 0; i < VOCAB; i++) {
        int at = i;
        for (; at > 0 && scores[order[at - 1]] >= scores[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    double least = s->top_k && s->top_k < VOCAB ? scores[order[VOCAB - s->top_k]] : -HUGE_VAL;
    for (int i = 0; i < VOCAB; i++) {
        if (scores[i] < least) scores[i] = -HUGE_VAL;
        most = fmax(most, scores[i]);
    }
    for (int i = 0; i < VOCAB; i++)
        total += weights[i] = exp(scores[i] - most);
    double top_p = s->top_p ? (double)s->top_p : 1, sum = 0;
    for (int i = 0; i < VOCAB - 1 && top_p < 1; i++) {
        sum += weights[order[i]] / total;
        if (sum <= 1 - top_p) weights[order[i]] = 0;
    }
    total = 0;
    for (int i = 0; i < VOCAB; i++) {
        if (weights[i] < (double)s->min_p) weights[i] = 0;
        total += weights[i];
    }
    double target = total * tuff_rng_uniform(s->seed, position, 0, TUFF_STREAM_SAMPLE), reached = 0;
    for (int i = 0; i < VOCAB; i++) {
        reached += weights[i];
        if (weights[i] > 0 && reached > target) return i;
    }
    return -1;
}

static void every_setting_is_hugging_faces(void **state)
{
    (void)state;
    static const float temperatures[] = {0.3f, 1, 2.5f}, penalties[] = {0, 1.3f},
                       top_ps[] = {0, 0.2f, 0.9f, 1}, min_ps[] = {0, 0.05f, 1};
    static const uint32_t top_ks[] = {0, 1, 7, 50, 1000};
    unsigned differing = 0;
    uint64_t position = 0;
    float logits[VOCAB];
    for (unsigned n = 0; n < 3 * 2 * 4 * 3 * 5; n++) {
        tuff_sampling s = {.struct_size = sizeof s,
                           .temperature = temperatures[n % 3],
                           .repetition_penalty = penalties[n / 3 % 2],
                           .top_p = top_ps[n / 6 % 4],
                           .min_p = min_ps[n / 24 % 3],
                           .top_k = top_ks[n / 72 % 5],
                           .seed = n};
        tuff_sampler *sampler = make(s, VOCAB);
        bool seen[VOCAB] = {false};
        for (int round = 0; round < 20; round++, position++) {
            for (int i = 0; i < VOCAB; i++) {
                double draw = tuff_rng_normal(99, position * VOCAB + (uint64_t)i, 0, 1);
                logits[i] = (float)(round % 2 ? draw * 2 : rint(draw)); /* every other round has ties */
            }
            int32_t id = sample(sampler, logits, position);
            differing += id != restated(&s, logits, seen, position);
            seen[id] = true;
            tuff_sampler_accept(sampler, id);
        }
        tuff_sampler_destroy(&sampler);
    }
    assert_int_equal(differing, 0);
}

static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    const double wanted[] = {0.5, 0.25, 0.125, 0.0625, 0.0625};
    float logits[5];
    unsigned counts[5] = {0}, n = 20000;
    for (int i = 0; i < 5; i++)
        logits[i] = (float)log(wanted[i]) + 3;
    tuff_sampler *sampler =
        make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .temperature = 1, .seed = 4}, 5);
    for (uint64_t position = 0; position < n; position++)
        counts[sample(sampler, logits, position)]++;
    for (int i = 0; i < 5; i++)
        assert_true(fabs(counts[i] / (double)n - wanted[i]) < 0.015);
    /* A function of seed and position. */
    tuff_sampler *same =
        make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .temperature = 1, .seed = 4}, 5);
    tuff_sampler *other =
        make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .temperature = 1, .seed = 5}, 5);
    unsigned differing = 0;
    for (uint64_t position = 100; position > 0; position--) {
        assert_int_equal(sample(same, logits, position), sample(sampler, logits, position));
        differing += sample(other, logits, position) != sample(sampler, logits, position);
    }
    assert_true(differing > 20);
    tuff_sampler_destroy(&sampler);
    tuff_sampler_destroy(&same);
    tuff_sampler_destroy(&other);
}

static void top_k_keeps_all_equal_to_the_kth(void **state)
{
    (void)state;
    const float logits[] = {1, 5, 4, 4, 4, 0};
    bool found[6] = {false};
    tuff_sampler *sampler =
        make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .temperature = 1, .top_k = 2}, 6);
    for (uint64_t position = 0; position < 500; position++)
        found[sample(sampler, logits, position)] = true;
    assert_true(found[1] && found[2] && found[3] && found[4]);
    assert_false(found[0] || found[5]);
    tuff_sampler_destroy(&sampler);
}

static void extreme_logits_are_no_trouble(void **state)
{
    (void)state;
    const float logits[] = {-3e38f, 3e38f, 3e38f, -3e38f}, flat[] = {2, 2, 2, 2};
    tuff_sampler *sampler = make((tuff_sampling){.struct_size = sizeof(tuff_sampling),
                                                 .temperature = 1e-6f,
                                                 .top_p = 1e-7f,
                                                 .repetition_penalty = 2},
                                 4);
    tuff_sampler_accept(sampler, 0);
    for (uint64_t position = 0; position < 50; position++) {
        assert_int_equal(sample(sampler, logits, position), 1);
        assert_int_equal(sample(sampler, flat, position), 1);
    }
    tuff_sampler_destroy(&sampler);
}

static void not_a_number_is_refused(void **state)
{
    (void)state;
    static const float temperatures[] = {0, 1};
    for (int i = 0; i < 2; i++) {
        float logits[] = {1, 2, 3};
        int32_t id;
        tuff_sampler *sampler =
            make((tuff_sampling){.struct_size = sizeof(tuff_sampling), .temperature = temperatures[i]}, 3);
        logits[2] = NAN;
        KIT_FAILS(tuff_sampler_sample(sampler, logits, 7, &id), TUFF_NOT_FINITE,
                  "token 2 at position 7 is not a number");
        logits[2] = INFINITY;
        KIT_FAILS(tuff_sampler_sample(sampler, logits, 7, &id), TUFF_NOT_FINITE, "infinite");
        logits[2] = -INFINITY;
        KIT_FAILS(tuff_sampler_sample(sampler, logits, 7, &id), TUFF_NOT_FINITE, "infinite");
        assert_int_equal(id, -1);
        tuff_sampler_destroy(&sampler);
    }
}

static void settings_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        tuff_sampling settings;
        const char *part;
    } cases[] = {
        {{.struct_size = sizeof(tuff_sampling), .temperature = -1}, "the temperature is -1"},
        {{.struct_size = sizeof(tuff_sampling), .temperature = NAN}, "the temperature"},
        {{.struct_size = sizeof(tuff_sampling), .top_p = 1.5f}, "top-p is 1.5"},
        {{.struct_size = sizeof(tuff_sampling), .min_p = -0.1f}, "min-p is -0.1"},
        {{.struct_size = sizeof(tuff_sampling), .repetition_penalty = -2}, "the repetition penalty is -2"},
    };
    tuff_sampler *sampler;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        KIT_FAILS(tuff_sampler_create(&cases[i].settings, 10, &sampler), TUFF_INVALID_ARGUMENT,
                  cases[i].part);
        assert_null(sampler);
    }
    KIT_FAILS(tuff_sampler_create(&(tuff_sampling)TUFF_SAMPLING_INIT, 0, &sampler), TUFF_INVALID_ARGUMENT,
              "found 0");
}

/* What the parts, fed one by one, give: answers joined by '|', then '!' if stopped, then what flush gives. */
static const char *watch(const char *const *strings, const char *const *parts)
{
    static char out[256];
    size_t count = 0, size;
    const char *text;
    bool stopped = false;
    tuff_stop *stop;
    while (strings[count])
        count++;
    out[0] = 0;
    KIT_OK(tuff_stop_create(strings, count, &stop));
    for (; *parts; parts++) {
        KIT_OK(tuff_stop_feed(stop, *parts, strlen(*parts), &text, &size, &stopped));
        strncat(out, text, size);
        strcat(out, "|");
    }
    if (stopped) strcat(out, "!");
    tuff_stop_flush(stop, &text, &size);
    strncat(out, text, size);
    tuff_stop_destroy(&stop);
    return out;
}

static void stop_strings_across_parts(void **state)
{
    (void)state;
    static const struct {
        const char *strings[3], *parts[6], *expected;
    } cases[] = {
        {{"END"}, {"a", "bEN", "Dc", "d"}, "a|b|||!"},
        {{"END"}, {"a", "bEN", "Xc"}, "a|b|ENXc|"},
        {{"END"}, {"abE", "N"}, "ab||EN"},
        {{"aab"}, {"aaa", "b", "x"}, "a|||!"},
        {{"abcX", "b"}, {"ab"}, "a|!"},
        {{"abc", "bcd"}, {"xab", "cd"}, "x||!"},
        {{"\n\n"}, {"one\n", "two\n", "\nthree"}, "one|\ntwo||!"},
        {{NULL}, {"any", "thing"}, "any|thing|"},
        {{"x"}, {"", "y"}, "|y|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(watch(cases[i].strings, cases[i].parts), cases[i].expected);
}

static void an_empty_stop_string_is_refused(void **state)
{
    (void)state;
    tuff_stop *stop;
    const char *const strings[] = {"a", ""};
    KIT_FAILS(tuff_stop_create(strings, 2, &stop), TUFF_INVALID_ARGUMENT, "stop string 2 is empty");
    assert_null(stop);
}

static tuff_status whole_life(void *user)
{
    (void)user;
    const char *const strings[] = {"END", "x"};
    const float logits[] = {1, 2, 3};
    tuff_sampler *sampler = NULL;
    tuff_stop *stop = NULL;
    const char *text;
    size_t size;
    bool stopped;
    int32_t id;
    tuff_status status = tuff_sampler_create(
        &(tuff_sampling){.struct_size = sizeof(tuff_sampling), .temperature = 1, .top_k = 2, .top_p = 0.5f},
        3, &sampler);
    if (status == TUFF_OK) status = tuff_sampler_sample(sampler, logits, 0, &id);
    if (status == TUFF_OK) status = tuff_stop_create(strings, 2, &stop);
    if (status == TUFF_OK) status = tuff_stop_feed(stop, "abcEN", 5, &text, &size, &stopped);
    tuff_sampler_destroy(&sampler);
    tuff_stop_destroy(&stop);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(whole_life, NULL) >= 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_largest_and_of_equals_the_first),
        cmocka_unit_test(seen_tokens_are_penalized_once),
        cmocka_unit_test(every_setting_is_hugging_faces),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(top_k_keeps_all_equal_to_the_kth),
        cmocka_unit_test(extreme_logits_are_no_trouble),
        cmocka_unit_test(not_a_number_is_refused),
        cmocka_unit_test(settings_out_of_range_are_refused),
        cmocka_unit_test(stop_strings_across_parts),
        cmocka_unit_test(an_empty_stop_string_is_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
