#include "train/schedule.h"

#include <math.h>
#include <stdio.h>

#include "train/kwargs.h"

#define PI   3.14159265358979323846
#define MANY 1e15

/* How far step `step` is on a way of `length` steps that begins at `begin`. */
static double way(double step, double begin, double length)
{
    return (step - begin) / (length > 1 ? length : 1);
}

static double rise(const tuff_rates *r, double step)
{
    return way(step, 0, (double)r->warmup);
}

static double descent(const tuff_rates *r, double step)
{
    return way(step, (double)r->warmup, (double)(r->total - r->warmup));
}

/* A cosine from 1, half a wave of which ends at 0. */
static double wave(double cycles, double at)
{
    return 0.5 * (1 + cos(PI * cycles * 2 * at));
}

static double above(double factor, double least)
{
    return fmax(0, factor * (1 - least) + least);
}

#define NUMBER(name, low, high, preset)      \
    {                                        \
        name, low, high, NULL, false, preset \
    }
#define STEPS(name)                            \
    {                                          \
        name, 0, MANY, NULL, true, (double)NAN \
    }
#define WORD(name, words, preset)        \
    {                                    \
        name, 0, 0, words, false, preset \
    }

/* ---- each schedule: its settings; the rate behind the rise as a part of the peak, or where it has a rise of
 * its own, all of it */

static double constant(const tuff_rates *r, double step)
{
    (void)r;
    (void)step;
    return 1;
}

static double linear(const tuff_rates *r, double step)
{
    return fmax(0, -way(step, (double)r->total, (double)(r->total - r->warmup)));
}

static const tuff_setting cosine_settings[] = {NUMBER("num_cycles", 0, 1e6, 0.5)};
static double cosine(const tuff_rates *r, double step)
{
    return wave(r->settings[0], descent(r, step));
}

static const tuff_setting restarts_settings[] = {NUMBER("num_cycles", 0, 1e6, 1)};
static double restarts(const tuff_rates *r, double step)
{
    double at = descent(r, step);
    return at < 1 ? wave(0.5, fmod(r->settings[0] * at, 1)) : 0;
}

static const tuff_setting polynomial_settings[] = {NUMBER("lr_end", 0, 1e6, 1e-7),
                                                   NUMBER("power", 0, 1e3, 1)};
static tuff_status polynomial_check(tuff_rates *r)
{
    if (r->settings[0] < r->peak) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "lr_end is %g, expected less than the learning rate %g",
                     r->settings[0], r->peak);
}
static double polynomial(const tuff_rates *r, double step)
{
    double end = r->settings[0], left = fmax(0, 1 - descent(r, step));
    return ((r->peak - end) * pow(left, r->settings[1]) + end) / r->peak;
}

static const tuff_setting inverse_sqrt_settings[] = {{"timescale", 1, MANY, NULL, true, (double)NAN}};
static tuff_status inverse_sqrt_check(tuff_rates *r)
{
    if (isnan(r->settings[0])) r->settings[0] = r->warmup ? (double)r->warmup : 10000;
    return TUFF_OK;
}
static double inverse_sqrt(const tuff_rates *r, double step)
{
    double scale = r->settings[0];
    return 1 / sqrt((step + scale - (double)r->warmup) / scale);
}

enum { MIN_CYCLES, MIN_LR, MIN_LR_RATE, WARMUP_LR_RATE };
#define MIN_SETTINGS                                                          \
    NUMBER("num_cycles", 0, 1e6, 0.5), NUMBER("min_lr", 0, 1e6, (double)NAN), \
        NUMBER("min_lr_rate", 0, 1, (double)NAN)
static const tuff_setting min_lr_settings[] = {MIN_SETTINGS};
static tuff_status min_lr_check(tuff_rates *r)
{
    bool rate = !isnan(r->settings[MIN_LR_RATE]), lr = !isnan(r->settings[MIN_LR]);
    if (rate == lr)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the schedule needs one of min_lr and min_lr_rate in lr_scheduler_kwargs, but has %s",
            rate ? "both" : "none");
    if (lr) r->settings[MIN_LR_RATE] = r->peak > 0 ? r->settings[MIN_LR] / r->peak : 0;
    return TUFF_OK;
}
static double min_lr(const tuff_rates *r, double step)
{
    return above(wave(r->settings[MIN_CYCLES], descent(r, step)), r->settings[MIN_LR_RATE]);
}

static const tuff_setting warmup_min_lr_settings[] = {MIN_SETTINGS,
                                                      NUMBER("warmup_lr_rate", 0, 1, (double)NAN)};
static double warmup_min_lr(const tuff_rates *r, double step)
{
    double first = r->settings[WARMUP_LR_RATE], warmup = (double)r->warmup;
    if (step >= warmup) return min_lr(r, step + 1);
    if (isnan(first)) return rise(r, step + 1);
    return first + (1 - first) * way(step, 0, warmup - 1);
}

enum { WSD_DECAY, WSD_STABLE, WSD_WARMUP_TYPE, WSD_DECAY_TYPE, WSD_LEAST, WSD_CYCLES };
#define CURVES "linear|cosine|1-sqrt"
static const tuff_setting wsd_settings[] = {
    STEPS("num_decay_steps"),      STEPS("num_stable_steps"),       WORD("warmup_type", CURVES, 0),
    WORD("decay_type", CURVES, 1), NUMBER("min_lr_ratio", 0, 1, 0), NUMBER("num_cycles", 0, 1e6, 0.5),
};
static tuff_status wsd_check(tuff_rates *r)
{
    double *stable = &r->settings[WSD_STABLE], decay = r->settings[WSD_DECAY];
    if (isnan(decay))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "warmup_stable_decay needs num_decay_steps in lr_scheduler_kwargs");
    if (isnan(*stable)) *stable = (double)(r->total - r->warmup) - decay;
    if (*stable >= 0) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "num_decay_steps is %g, but behind the warm-up there are %lld steps", decay,
                     (long long)(r->total - r->warmup));
}
/* A curve of the three down from 1; up is the same from its end, but for the root. */
static double curve(int type, double cycles, double at)
{
    return type == 0 ? 1 - at : type == 1 ? wave(cycles, at) : 1 - sqrt(at);
}
static double wsd(const tuff_rates *r, double step)
{
    const double *s = r->settings;
    double warmup = (double)r->warmup, decay = warmup + s[WSD_STABLE];
    if (step < warmup) {
        double at = rise(r, step);
        int type = (int)s[WSD_WARMUP_TYPE];
        return above(type == 0 ? at : type == 1 ? 1 - wave(0.5, at) : 1 - sqrt(1 - at), s[WSD_LEAST]);
    }
    if (step < decay) return 1;
    if (step >= decay + s[WSD_DECAY]) return s[WSD_LEAST];
    return above(curve((int)s[WSD_DECAY_TYPE], s[WSD_CYCLES], way(step, decay, s[WSD_DECAY])), s[WSD_LEAST]);
}

/* ---- all of them, by the names of transformers' SchedulerType */

typedef struct schedule {
    const char *name;
    double (*factor)(const tuff_rates *r, double step);
    const tuff_setting *settings;
    size_t count;
    tuff_status (*check)(tuff_rates *r); /* completes settings; NULL: there is nothing to */
    bool own_rise;
} schedule;

#define WITH(settings) settings, sizeof settings / sizeof settings[0]

static const schedule schedules[] = {
    [TUFF_SCHEDULE_LINEAR] = {"linear", linear, NULL, 0, NULL, false},
    [TUFF_SCHEDULE_COSINE] = {"cosine", cosine, WITH(cosine_settings), NULL, false},
    [TUFF_SCHEDULE_CONSTANT] = {"constant", constant, NULL, 0, NULL, false},
    [TUFF_SCHEDULE_COSINE_WITH_RESTARTS] = {"cosine_with_restarts", restarts, WITH(restarts_settings), NULL,
                                            false},
    [TUFF_SCHEDULE_POLYNOMIAL] = {"polynomial", polynomial, WITH(polynomial_settings), polynomial_check,
                                  false},
    [TUFF_SCHEDULE_CONSTANT_WITH_WARMUP] = {"constant_with_warmup", constant, NULL, 0, NULL, false},
    [TUFF_SCHEDULE_INVERSE_SQRT] = {"inverse_sqrt", inverse_sqrt, WITH(inverse_sqrt_settings),
                                    inverse_sqrt_check, false},
    [TUFF_SCHEDULE_COSINE_WITH_MIN_LR] = {"cosine_with_min_lr", min_lr, WITH(min_lr_settings), min_lr_check,
                                          false},
    [TUFF_SCHEDULE_COSINE_WARMUP_WITH_MIN_LR] = {"cosine_warmup_with_min_lr", warmup_min_lr,
                                                 WITH(warmup_min_lr_settings), min_lr_check, true},
    [TUFF_SCHEDULE_WARMUP_STABLE_DECAY] = {"warmup_stable_decay", wsd, WITH(wsd_settings), wsd_check, true},
};

tuff_status tuff_rates_make(tuff_schedule type, double peak, int64_t warmup, int64_t total,
                            const char *settings, tuff_rates *out)
{
    char of[64];
    if ((size_t)type >= sizeof schedules / sizeof schedules[0])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lr_scheduler_type is %d, which is none", (int)type);
    const schedule *s = &schedules[type];
    if (type == TUFF_SCHEDULE_CONSTANT && warmup > 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the schedule constant has no warm-up; choose constant_with_warmup");
    *out = (tuff_rates){.schedule = type, .peak = peak, .warmup = warmup, .total = total};
    snprintf(of, sizeof of, "the schedule %s", s->name);
    TUFF_TRY(tuff_settings_read(settings, "lr_scheduler_kwargs", of, s->settings, s->count, out->settings));
    return s->check ? s->check(out) : TUFF_OK;
}

double tuff_rates_at(const tuff_rates *r, int64_t step)
{
    const schedule *s = &schedules[r->schedule];
    if (step < r->warmup && !s->own_rise) return r->peak * rise(r, (double)step);
    return r->peak * s->factor(r, (double)step);
}

const char *tuff_schedule_name(tuff_schedule type)
{
    return schedules[type].name;
}

void tuff_rates_put(const tuff_rates *r, tuff_buf *out)
{
    const schedule *s = &schedules[r->schedule];
    tuff_settings_put(s->settings, s->count, r->settings, out);
}
