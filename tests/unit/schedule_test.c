/* Learning rates of every schedule against transformers' (assets/golden/schedules, made by
 * tests/reference/make_schedule_goldens.py); how their settings may be given, and what is refused. */
#include "kit/kit.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "train/schedule.h"
#include "train/kwargs.h"

static const char *const names[] = {"linear",
                                    "cosine",
                                    "constant",
                                    "cosine_with_restarts",
                                    "polynomial",
                                    "constant_with_warmup",
                                    "inverse_sqrt",
                                    "cosine_with_min_lr",
                                    "cosine_warmup_with_min_lr",
                                    "warmup_stable_decay"};
enum { SCHEDULES = sizeof names / sizeof names[0] };

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("the truth has no %s", key);
    return item;
}

static tuff_schedule schedule_of(const char *name)
{
    int i = 0;
    while (i < SCHEDULES && strcmp(name, names[i]) != 0)
        i++;
    if (i == SCHEDULES) fail_msg("there is no schedule %s", name);
    return (tuff_schedule)i;
}

static void rates_are_those_of_transformers(void **state)
{
    (void)state;
    cJSON *runs = NULL;
    const cJSON *run, *rate;
    bool seen[SCHEDULES] = {false};
    KIT_OK(tuff_json_read(kit_asset("golden/schedules/rates.json"), &runs));
    cJSON_ArrayForEach(run, runs)
    {
        const char *name = get(run, "type")->valuestring;
        tuff_buf settings = {0};
        tuff_rates rates;
        int64_t step = 0;
        assert_true(tuff_json_print(get(run, "settings"), &settings));
        KIT_OK(tuff_rates_make(schedule_of(name), get(run, "peak")->valuedouble,
                               (int64_t)get(run, "warmup")->valuedouble,
                               (int64_t)get(run, "steps")->valuedouble, settings.data, &rates));
        cJSON_ArrayForEach(rate, get(run, "rates"))
        {
            double got = tuff_rates_at(&rates, step), want = rate->valuedouble;
            if (!(fabs(got - want) <= 1e-12 * rates.peak))
                fail_msg("%s %s: step %lld has the rate %.17g, not %.17g", name, settings.data,
                         (long long)step, got, want);
            step++;
        }
        assert_int_equal(step, rates.total + 1);
        seen[schedule_of(name)] = true;
        tuff_buf_free(&settings);
    }
    for (int i = 0; i < SCHEDULES; i++)
        if (!seen[i]) fail_msg("no run of the truth is %s", names[i]);
    cJSON_Delete(runs);
}

static void near(double found, double expected)
{
    if (!(fabs(found - expected) < 1e-12)) fail_msg("%.15g, expected %.15g", found, expected);
}

/* Pairs and JSON say the same; words in letters of any case; none is as if it were not there. */
static void settings_are_read_as_they_are_spelled(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "num_decay_steps=4,decay_type=1-sqrt,min_lr_ratio=0.25,num_stable_steps=None",
        "  num_decay_steps = 4 , decay_type=1-SQRT, min_lr_ratio = 2.5e-1",
        "{\"num_decay_steps\": 4, \"decay_type\": \"1-sqrt\", \"min_lr_ratio\": 0.25, \"num_stable_steps\": null}",
        " {\"num_decay_steps\": \"4\", \"decay_type\": \"1-sqrt\", \"min_lr_ratio\": 0.25}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tuff_rates rates;
        KIT_OK(tuff_rates_make(TUFF_SCHEDULE_WARMUP_STABLE_DECAY, 1, 2, 10, texts[i], &rates));
        near(tuff_rates_at(&rates, 6), 1);
        near(tuff_rates_at(&rates, 8), 1 - 0.75 * sqrt(0.5));
        near(tuff_rates_at(&rates, 10), 0.25);
        tuff_buf text = {0};
        tuff_rates_put(&rates, &text);
        assert_string_equal(text.data, "num_decay_steps=4,num_stable_steps=4,warmup_type=linear,"
                                       "decay_type=1-sqrt,min_lr_ratio=0.25,num_cycles=0.5");
        tuff_buf_free(&text);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        tuff_schedule schedule;
        const char *settings, *error;
    } wrong[] = {
        {(tuff_schedule)SCHEDULES, NULL, "lr_scheduler_type is 10, which is none"},
        {TUFF_SCHEDULE_CONSTANT, NULL, "the schedule constant has no warm-up; choose constant_with_warmup"},
        {TUFF_SCHEDULE_LINEAR, "power=2",
         "lr_scheduler_kwargs has \"power\", which the schedule linear does not know; it has no settings"},
        {TUFF_SCHEDULE_POLYNOMIAL, "pover=2", "does not know; it has lr_end, power"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power", "is \"power\", expected name=value pairs"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power=2,", "expected name=value pairs"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power=2,power=3", "lr_scheduler_kwargs has power twice"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power=2x", "power is \"2x\", expected a number from 0 to 1000"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power=", "power is \"\", expected a number"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power=nan", "power is \"nan\", expected a number"},
        {TUFF_SCHEDULE_POLYNOMIAL, "power=-1", "power is \"-1\", expected a number"},
        {TUFF_SCHEDULE_POLYNOMIAL, "lr_end=0.5", "lr_end is 0.5, expected less than the learning rate 0.5"},
        {TUFF_SCHEDULE_POLYNOMIAL, "{\"power\": 2", "lr_scheduler_kwargs is not valid JSON"},
        {TUFF_SCHEDULE_POLYNOMIAL, "{\"power\": [2]}", "power is \"[2]\", expected a number"},
        {TUFF_SCHEDULE_INVERSE_SQRT, "timescale=2.5", "timescale is \"2.5\", expected a whole number"},
        {TUFF_SCHEDULE_COSINE_WITH_MIN_LR, NULL, "needs one of min_lr and min_lr_rate"},
        {TUFF_SCHEDULE_COSINE_WITH_MIN_LR, "min_lr=0.1,min_lr_rate=0.1", "but has both"},
        {TUFF_SCHEDULE_WARMUP_STABLE_DECAY, NULL, "needs num_decay_steps"},
        {TUFF_SCHEDULE_WARMUP_STABLE_DECAY, "num_decay_steps=20",
         "num_decay_steps is 20, but behind the warm-up there are 8 steps"},
        {TUFF_SCHEDULE_WARMUP_STABLE_DECAY, "num_decay_steps=2,decay_type=sqrt",
         "decay_type is \"sqrt\", expected linear|cosine|1-sqrt"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tuff_rates rates;
        KIT_FAILS(tuff_rates_make(wrong[i].schedule, 0.5, 2, 10, wrong[i].settings, &rates),
                  strstr(wrong[i].error, "JSON") ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT, wrong[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_those_of_transformers),
        cmocka_unit_test(settings_are_read_as_they_are_spelled),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
