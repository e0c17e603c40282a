/* The losses of preferences, as sums over examples. Examples that are not used have log-probabilities of 0,
 * and count 0 times. */
#include "train/tasks/preference_losses.h"

#include <string.h>

#include "ir/graph.h"
#include "runtime/program.h"

/* A graph of a batch's losses. */
typedef struct build {
    const tuff_preference_loss *loss;
    tuff_graph *g;
    tuff_tensor *logps; /* [2n] */
    int64_t n;
} build;

/* ---- parts ---- */

static tuff_tensor *one(const build *b, double value)
{
    return tuff_fill(b->g, value, 0, NULL);
}

static tuff_tensor *input(const build *b, const char *name, int64_t size)
{
    return tuff_input(b->g, name, TUFF_F32, 1, &size);
}

static tuff_tensor *first(const build *b, tuff_tensor *x)
{
    return tuff_slice(b->g, x, 0, 0, b->n);
}

static tuff_tensor *second(const build *b, tuff_tensor *x)
{
    return tuff_slice(b->g, x, 0, b->n, b->n);
}

/* By how much the logarithm is more than the reference's, [2n]. */
static tuff_tensor *ratios(const build *b)
{
    return tuff_sub(b->g, b->logps, input(b, "reference", 2 * b->n));
}

static tuff_tensor *difference(const build *b, tuff_tensor *x)
{
    return tuff_sub(b->g, first(b, x), second(b, x));
}

/* Means over tokens, of sums. */
static tuff_tensor *by_token(const build *b, tuff_tensor *sums)
{
    return tuff_mul(b->g, sums, input(b, "per_token", 2 * b->n));
}

/* ln(1 + e^x), which is -ln sigmoid(-x), of any x. Its gradient at 0 is 1/2: of maximum 1/2, of abs 0. */
static tuff_tensor *softplus(const build *b, tuff_tensor *x)
{
    tuff_graph *g = b->g;
    tuff_tensor *small = tuff_exp(g, tuff_scale(g, tuff_abs(g, x), -1));
    return tuff_add(g, tuff_maximum(g, x, one(b, 0)), tuff_ln(g, tuff_add(g, small, one(b, 1))));
}

/* ln(1 - e^x) of x < 0, without a loss of digits near 0: 1 - e^x is -2 t / (1 - t) with t = tanh(x / 2). */
static tuff_tensor *ln_of_rest(const build *b, tuff_tensor *x)
{
    tuff_graph *g = b->g;
    tuff_tensor *t = tuff_tanh(g, tuff_scale(g, tuff_minimum(g, x, one(b, -1e-20)), 0.5));
    return tuff_ln(g, tuff_div(g, tuff_scale(g, t, -2), tuff_sub(g, one(b, 1), t)));
}

/* ---- rules: the loss of each example, [n] ---- */

static tuff_tensor *reward_margins(const build *b)
{
    return tuff_scale(b->g, difference(b, ratios(b)), b->loss->beta);
}

/* Of labels that are right with this probability, those that are wrong with the other. */
static tuff_tensor *smoothed(const build *b, double right, double wrong)
{
    tuff_graph *g = b->g;
    tuff_tensor *x = reward_margins(b), *loss = tuff_scale(g, softplus(b, tuff_scale(g, x, -1)), right);
    return wrong == 0 ? loss : tuff_add(g, loss, tuff_scale(g, softplus(b, x), wrong));
}

/* Rafailov et al. 2023; with smoothing as Mitchell's note on noisy labels has it. */
static tuff_tensor *sigmoid(const build *b)
{
    return smoothed(b, 1 - b->loss->label_smoothing, b->loss->label_smoothing);
}

/* Chowdhury et al. 2024: what smoothing does to the expected loss is taken back. */
static tuff_tensor *robust(const build *b)
{
    const double e = b->loss->label_smoothing;
    return smoothed(b, (1 - e) / (1 - 2 * e), -e / (1 - 2 * e));
}

/* Azar et al. 2023, of means over tokens, as TRL has it. */
static tuff_tensor *ipo(const build *b)
{
    tuff_tensor *far = tuff_sub(b->g, difference(b, by_token(b, ratios(b))), one(b, 0.5 / b->loss->beta));
    return tuff_mul(b->g, far, far);
}

/* Zhao et al. 2023. */
static tuff_tensor *hinge(const build *b)
{
    return tuff_relu(b->g, tuff_sub(b->g, one(b, 1), reward_margins(b)));
}

/* Hong et al. 2024: the logarithm of the ratio of odds p / (1 - p), p the geometric mean over tokens. */
static tuff_tensor *odds(const build *b)
{
    tuff_graph *g = b->g;
    tuff_tensor *ln_p = by_token(b, b->logps);
    tuff_tensor *ratio = difference(b, tuff_sub(g, ln_p, ln_of_rest(b, ln_p)));
    return tuff_scale(g, softplus(b, tuff_scale(g, ratio, -1)), b->loss->beta);
}

/* Ethayarajh et al. 2024: how far a reward is from what answers to other prompts have on average, which no
 * gradient goes through. */
static tuff_tensor *kto(const build *b)
{
    tuff_graph *g = b->g;
    tuff_tensor *all = ratios(b), *others = tuff_mul(g, second(b, all), input(b, "share", b->n));
    tuff_tensor *zero = tuff_detach(g, tuff_relu(g, tuff_sum(g, others, 1, false)));
    tuff_tensor *far = tuff_mul(g, tuff_sub(g, first(b, all), zero), input(b, "sign", b->n));
    return tuff_sigmoid(g, tuff_scale(g, far, -b->loss->beta));
}

/* ---- by kind ---- */

static const struct rule {
    const char *name;
    tuff_tensor *(*build)(const build *b);
    bool pairs, reference;
} rules[] = {
#define TUFF_PREFERENCE_LOSS(id, name, rule, pairs, reference) {name, rule, pairs, reference},
#include "train/tasks/preference_losses.def"
#undef TUFF_PREFERENCE_LOSS
};

const char *tuff_preference_name(tuff_preference_kind kind)
{
    return rules[kind].name;
}

tuff_preference_kind tuff_preference_find(const char *name)
{
    int kind = 0;
    while (kind < TUFF_PREFERENCE_LOSSES && strcmp(rules[kind].name, name) != 0)
        kind++;
    return (tuff_preference_kind)kind;
}

const char *tuff_preference_names(void)
{
#define TUFF_PREFERENCE_LOSS(id, name, rule, pairs, reference) ", " name
    static const char names[] =
#include "train/tasks/preference_losses.def"
        "";
#undef TUFF_PREFERENCE_LOSS
    return names + 2;
}

bool tuff_preference_is_paired(const tuff_preference_loss *loss)
{
    return rules[loss->kind].pairs;
}

bool tuff_preference_has_reference(const tuff_preference_loss *loss)
{
    return rules[loss->kind].reference;
}

tuff_status tuff_preference_check(const tuff_preference_loss *l)
{
    const char *name = tuff_preference_name(l->kind);
    const bool smooths = l->kind == TUFF_PREFERENCE_DPO || l->kind == TUFF_PREFERENCE_ROBUST;
    const bool weighs = l->kind == TUFF_PREFERENCE_KTO;
    if (!(l->beta > 0 && l->beta <= 1e6))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "beta is %g, expected more than 0 and at most 1e6", l->beta);
    if (!(l->label_smoothing >= 0 && l->label_smoothing < 0.5))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "label_smoothing is %g, expected 0 to less than 0.5",
                         l->label_smoothing);
    if (l->label_smoothing > 0 && !smooths)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "label_smoothing is %g, but the loss is %s, which has none; choose dpo or robust",
                         l->label_smoothing, name);
    if (!(l->desirable_weight >= 0 && l->desirable_weight <= 1e6 && l->undesirable_weight >= 0 &&
          l->undesirable_weight <= 1e6))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "desirable_weight is %g and undesirable_weight %g, expected 0 to 1e6",
                         l->desirable_weight, l->undesirable_weight);
    if ((l->desirable_weight != 1 || l->undesirable_weight != 1) && !weighs)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "desirable_weight and undesirable_weight are of the loss kto, and the loss is %s",
                         name);
    return TUFF_OK;
}

tuff_tensor *tuff_preference_build(const tuff_preference_loss *loss, tuff_graph *g, tuff_tensor *logps,
                                   int64_t n)
{
    const build b = {loss, g, logps, n};
    return tuff_sum(g, tuff_mul(g, rules[loss->kind].build(&b), input(&b, "counted", n)), 1, false);
}

/* ---- inputs ---- */

size_t tuff_preference_words(int64_t n)
{
    return (size_t)(2 * n);
}

static tuff_status set(tuff_program *program, const char *name, const float *values, int64_t n)
{
    if (!tuff_program_has_input(program, name)) return TUFF_OK;
    return tuff_program_input(program, name, values, (size_t)n * sizeof *values);
}

tuff_status tuff_preference_set(const tuff_preference_loss *l, tuff_program *program,
                                const tuff_preference_batch *b, float *scratch)
{
    const bool paired = tuff_preference_is_paired(l);
    for (int64_t i = 0; i < b->n; i++) {
        const double weight = paired ? 1 : b->desirable[i] ? l->desirable_weight : l->undesirable_weight;
        scratch[i] = i < b->count ? (float)weight : 0;
    }
    TUFF_TRY(set(program, "counted", scratch, b->n));
    for (int64_t i = 0; i < b->n; i++)
        scratch[i] = !paired && b->desirable[i] ? 1 : -1;
    TUFF_TRY(set(program, "sign", scratch, b->n));
    for (int64_t i = 0; i < b->n; i++)
        scratch[i] = i < b->count ? 1 / (float)b->count : 0;
    TUFF_TRY(set(program, "share", scratch, b->n));
    for (int64_t i = 0; i < 2 * b->n; i++)
        scratch[i] = b->lengths[i] ? 1 / (float)b->lengths[i] : 0;
    TUFF_TRY(set(program, "per_token", scratch, 2 * b->n));
    return set(program, "reference", b->reference, 2 * b->n);
}
