/* What settings leave of logits, against transformers' processors (assets/golden/sampler, made by
 * tests/reference/make_sampler_goldens.py); biases, penalties and what they refuse. */
#include "kit/kit.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "text/sampler.h"

enum { MOST = 64, BIASES = 4 };

typedef struct truth {
    float rows[8][MOST];
    int32_t prompt[MOST], text[MOST], ends[MOST];
    size_t vocab, prompt_count, text_count, end_count;
} truth;

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("the truth has no %s", key);
    return item;
}

static size_t ids_of(const cJSON *list, int32_t *out)
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) out[n++] = (int32_t)item->valuedouble;
    return n;
}

static double number(const cJSON *settings, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(settings, key);
    return item ? item->valuedouble : 0;
}

static void read_truth(const cJSON *json, truth *t)
{
    size_t row = 0;
    const cJSON *list, *item;
    t->prompt_count = ids_of(get(json, "prompt"), t->prompt);
    t->text_count = ids_of(get(json, "text"), t->text);
    t->end_count = ids_of(get(json, "ends"), t->ends);
    cJSON_ArrayForEach(list, get(json, "rows"))
    {
        t->vocab = 0;
        cJSON_ArrayForEach(item, list) t->rows[row][t->vocab++] = (float)item->valuedouble;
        row++;
    }
}

/* A sampler of these settings, which has been told of prompt and text. */
static tuff_sampler *make(const truth *t, const cJSON *settings)
{
    int32_t ids[BIASES][MOST];
    tuff_logit_bias biases[BIASES];
    tuff_sampling s = TUFF_SAMPLING_INIT;
    s.temperature = (float)number(settings, "temperature");
    s.top_k = (uint32_t)number(settings, "top_k");
    s.top_p = (float)number(settings, "top_p");
    s.min_p = (float)number(settings, "min_p");
    s.typical_p = (float)number(settings, "typical_p");
    s.repetition_penalty = (float)number(settings, "repetition_penalty");
    s.frequency_penalty = (float)number(settings, "frequency_penalty");
    s.presence_penalty = (float)number(settings, "presence_penalty");
    s.no_repeat_ngram_size = (uint32_t)number(settings, "no_repeat_ngram_size");
    s.min_tokens_to_keep = (uint32_t)number(settings, "min_tokens_to_keep");
    s.logit_bias = biases;
    const cJSON *bias;
    cJSON_ArrayForEach(bias, cJSON_GetObjectItemCaseSensitive(settings, "sequence_bias"))
    {
        const size_t i = s.logit_bias_count++;
        const cJSON *value = cJSON_GetArrayItem(bias, 1);
        biases[i] = (tuff_logit_bias)TUFF_LOGIT_BIAS_INIT;
        biases[i].ids = ids[i];
        biases[i].count = ids_of(cJSON_GetArrayItem(bias, 0), ids[i]);
        biases[i].bias = cJSON_IsString(value) ? -INFINITY : (float)value->valuedouble;
    }
    tuff_sampler *sampler;
    KIT_OK(tuff_sampler_create(&s, (uint32_t)t->vocab, &sampler));
    const int64_t held = (int64_t)number(settings, "min_new_tokens");
    if (held) KIT_OK(tuff_sampler_hold_ends(sampler, t->ends, t->end_count, held));
    for (size_t i = 0; i < t->prompt_count; i++)
        tuff_sampler_prompt(sampler, t->prompt[i]);
    for (size_t i = 0; i < t->text_count; i++)
        tuff_sampler_accept(sampler, t->text[i]);
    return sampler;
}

static void check(const truth *t, const cJSON *one, size_t number_of_case)
{
    const cJSON *want = get(one, "ids"), *weights = get(one, "weights");
    tuff_sampler *sampler = make(t, get(one, "settings"));
    const tuff_choice *choices;
    uint32_t n;
    double largest = 0;
    KIT_OK(tuff_sampler_weigh(sampler, t->rows[(size_t)get(one, "row")->valuedouble], 12, &choices, &n));
    if ((int)n != cJSON_GetArraySize(want))
        fail_msg("case %zu: %u ids are left, expected %d", number_of_case, n, cJSON_GetArraySize(want));
    for (uint32_t i = 0; i < n; i++)
        largest = fmax(largest, choices[i].weight);
    want = want->child;
    weights = weights->child;
    for (uint32_t i = 0; i < n; i++, want = want->next, weights = weights->next) {
        assert_int_equal(choices[i].id, (int32_t)want->valuedouble);
        const double weight = choices[i].weight / largest;
        if (fabs(weight - weights->valuedouble) > 1e-12 * weight)
            fail_msg("case %zu: id %d weighs %.15g, expected %.15g", number_of_case, choices[i].id, weight,
                     weights->valuedouble);
    }
    tuff_sampler_destroy(&sampler);
}

static void what_is_left_is_what_transformers_leaves(void **state)
{
    (void)state;
    static truth t;
    cJSON *json = NULL;
    size_t n = 0;
    KIT_OK(tuff_json_read(kit_asset("golden/sampler/truth.json"), &json));
    read_truth(json, &t);
    const cJSON *one;
    cJSON_ArrayForEach(one, get(json, "cases")) check(&t, one, n++);
    assert_true(n > 100);
    cJSON_Delete(json);
}

static int32_t greedy(tuff_sampler *sampler, const float *logits)
{
    int32_t id;
    KIT_OK(tuff_sampler_sample(sampler, logits, 0, &id));
    return id;
}

/* OpenAI's: mu[j] - c[j] * frequency - (c[j] > 0) * presence, of chosen ids alone. */
static void chosen_tokens_are_penalized_by_number(void **state)
{
    (void)state;
    const float logits[] = {4, 3, 2.25f, -1};
    tuff_sampler *sampler;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    s.frequency_penalty = 0.5f;
    s.presence_penalty = 0.25f;
    KIT_OK(tuff_sampler_create(&s, 4, &sampler));
    for (int i = 0; i < 9; i++)
        tuff_sampler_prompt(sampler, 0);
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_accept(sampler, 0); /* 3.25 */
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_accept(sampler, 0); /* 2.75 */
    assert_int_equal(greedy(sampler, logits), 1);
    tuff_sampler_accept(sampler, 1); /* 2.25 */
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_accept(sampler, 0); /* 2.25: of equals the first */
    tuff_sampler_accept(sampler, 0); /* 1.75 */
    assert_int_equal(greedy(sampler, logits), 1);
    tuff_sampler_accept(sampler, 1); /* 1.75 */
    assert_int_equal(greedy(sampler, logits), 2);
    tuff_sampler_reset(sampler);
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_destroy(&sampler);
}

/* An id that has left the window counts no more, unless it has come again within it. */
static void repetition_has_a_window(void **state)
{
    (void)state;
    const float logits[] = {4, 3, 2.5f, 1};
    tuff_sampler *sampler;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    s.repetition_penalty = 2;
    s.repetition_window = 3;
    KIT_OK(tuff_sampler_create(&s, 4, &sampler));
    tuff_sampler_prompt(sampler, 0);
    tuff_sampler_prompt(sampler, 1);
    assert_int_equal(greedy(sampler, logits), 2); /* 2, 1.5, 2.5, 1 */
    tuff_sampler_accept(sampler, 0);
    tuff_sampler_accept(sampler, 2);              /* the first 0 is out, the second is not */
    assert_int_equal(greedy(sampler, logits), 0); /* 2, 1.5, 1.25, 1 */
    tuff_sampler_accept(sampler, 3);              /* 1 is out */
    assert_int_equal(greedy(sampler, logits), 1); /* 2, 3, 1.25, 0.5 */
    tuff_sampler_accept(sampler, 99);             /* no id of the vocabulary; 0 is out */
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_reset(sampler);
    tuff_sampler_prompt(sampler, 0);
    assert_int_equal(greedy(sampler, logits), 1);
    tuff_sampler_destroy(&sampler);
}

static tuff_sampler *biased(const tuff_logit_bias *biases, size_t n, float temperature)
{
    tuff_sampler *sampler;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    s.temperature = temperature;
    s.logit_bias = biases;
    s.logit_bias_count = n;
    KIT_OK(tuff_sampler_create(&s, 3, &sampler));
    return sampler;
}

static void biases_are_added_and_forbid(void **state)
{
    (void)state;
    const float logits[] = {1, 2, 3};
    int32_t ids[] = {0, 1, 2}, pair[] = {2, 1};
    tuff_logit_bias biases[] = {TUFF_LOGIT_BIAS_INIT, TUFF_LOGIT_BIAS_INIT, TUFF_LOGIT_BIAS_INIT};
    for (size_t i = 0; i < 3; i++) {
        biases[i].ids = ids + i;
        biases[i].count = 1;
        biases[i].bias = -INFINITY;
    }
    for (int sampled = 0; sampled < 2; sampled++) { /* one is left, then none */
        int32_t id;
        tuff_sampler *sampler = biased(biases, 2, (float)sampled);
        for (uint64_t position = 0; position < 20; position++) {
            KIT_OK(tuff_sampler_sample(sampler, logits, position, &id));
            assert_int_equal(id, 2);
        }
        tuff_sampler_destroy(&sampler);
        sampler = biased(biases, 3, (float)sampled);
        KIT_FAILS(tuff_sampler_sample(sampler, logits, 5, &id), TUFF_INVALID_ARGUMENT,
                  "every token is forbidden at position 5");
        assert_int_equal(id, -1);
        tuff_sampler_destroy(&sampler);
    }
    biases[0].bias = 0.75f; /* twice for one id, they add up; and of what comes behind another id */
    biases[1].ids = ids;
    biases[1].bias = 1.5f;
    biases[2].ids = pair;
    biases[2].count = 2;
    biases[2].bias = 2;
    tuff_sampler *sampler = biased(biases, 3, 0);
    ids[0] = pair[0] = 1; /* they were copied */
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_prompt(sampler, 1);
    assert_int_equal(greedy(sampler, logits), 0);
    tuff_sampler_prompt(sampler, 2);
    assert_int_equal(greedy(sampler, logits), 1);
    tuff_sampler_destroy(&sampler);
}

static void settings_out_of_range_are_refused(void **state)
{
    (void)state;
    const int32_t ids[] = {3, -1}, outside = 10;
    static const struct {
        tuff_sampling settings;
        const char *part;
    } cases[] = {
        {{.struct_size = sizeof(tuff_sampling), .typical_p = 1.5f},
         "typical-p is 1.5, expected a number from 0 to 1"},
        {{.struct_size = sizeof(tuff_sampling), .typical_p = NAN}, "typical-p is nan"},
        {{.struct_size = sizeof(tuff_sampling), .frequency_penalty = 101}, "the frequency penalty is 101"},
        {{.struct_size = sizeof(tuff_sampling), .presence_penalty = -INFINITY},
         "the presence penalty is -inf"},
    };
    const struct {
        tuff_logit_bias bias;
        const char *part;
    } biases[] = {
        {{.struct_size = sizeof(tuff_logit_bias), .ids = ids}, "logit bias 0 has no ids"},
        {{.struct_size = sizeof(tuff_logit_bias), .count = 1}, "logit bias 0 has no ids"},
        {{.struct_size = sizeof(tuff_logit_bias), .ids = ids, .count = 2}, "is for id -1, which is outside"},
        {{.struct_size = sizeof(tuff_logit_bias), .ids = &outside, .count = 1}, "the vocabulary of 10"},
        {{.struct_size = sizeof(tuff_logit_bias), .ids = ids, .count = 1, .bias = NAN},
         "the bias of id 3 is nan"},
        {{.struct_size = sizeof(tuff_logit_bias), .ids = ids, .count = 1, .bias = INFINITY},
         "is inf, expected -inf"},
        {{.struct_size = sizeof(tuff_logit_bias), .ids = ids, .count = 1, .bias = -2e6f},
         "expected -inf or a number"},
        {{.struct_size = sizeof(tuff_logit_bias), .ids = ids, .count = 1, .first_only = 2},
         "the first_only of logit bias 0 is 2, expected 0 or 1"},
        {{.struct_size = 8, .ids = ids, .count = 1}, "TUFF_LOGIT_BIAS_INIT"},
    };
    tuff_sampler *sampler;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        KIT_FAILS(tuff_sampler_create(&cases[i].settings, 10, &sampler), TUFF_INVALID_ARGUMENT,
                  cases[i].part);
        assert_null(sampler);
    }
    tuff_sampling s = TUFF_SAMPLING_INIT;
    s.logit_bias_count = 1;
    KIT_FAILS(tuff_sampler_create(&s, 10, &sampler), TUFF_INVALID_ARGUMENT, "is NULL");
    for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
        s.logit_bias = &biases[i].bias;
        KIT_FAILS(tuff_sampler_create(&s, 10, &sampler), TUFF_INVALID_ARGUMENT, biases[i].part);
        assert_null(sampler);
    }
}

static tuff_status whole_life(void *user)
{
    (void)user;
    const int32_t ids[] = {0, 1};
    const float logits[] = {1, 2, 3};
    tuff_logit_bias bias = TUFF_LOGIT_BIAS_INIT;
    bias.ids = ids;
    bias.count = 2;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    s.frequency_penalty = 1;
    s.no_repeat_ngram_size = 2;
    s.logit_bias = &bias;
    s.logit_bias_count = 1;
    int32_t id;
    tuff_sampler *sampler = NULL;
    tuff_status status = tuff_sampler_create(&s, 3, &sampler);
    if (status == TUFF_OK) status = tuff_sampler_hold_ends(sampler, ids, 2, 3);
    if (status == TUFF_OK) tuff_sampler_accept(sampler, 1);
    if (status == TUFF_OK) status = tuff_sampler_sample(sampler, logits, 0, &id);
    tuff_sampler_destroy(&sampler);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(whole_life, NULL) >= 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_is_what_transformers_leaves),
        cmocka_unit_test(chosen_tokens_are_penalized_by_number),
        cmocka_unit_test(repetition_has_a_window),
        cmocka_unit_test(biases_are_added_and_forbid),
        cmocka_unit_test(settings_out_of_range_are_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
