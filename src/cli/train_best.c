/* train: which evaluation, and which checkpoint, is the best so far; whether there was no better one for too
 * long. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/train.h"

static const char *metric_of(const tuff_cli_train_options *o)
{
    const char *name = o->best_metric ? o->best_metric : "loss";
    return strncmp(name, "eval_", 5) == 0 ? name + 5 : name;
}

/* What is better when it is less. */
static bool greater_is_better(const tuff_cli_train_options *o)
{
    static const char *const lesser[] = {"loss", "perplexity", "mse", "rmse", "mae", "kl"};
    if (o->greater_is_better) return o->greater_is_better == 1;
    for (size_t i = 0; i < sizeof lesser / sizeof *lesser; i++)
        if (strcmp(metric_of(o), lesser[i]) == 0) return false;
    return true;
}

static bool is_better(const tuff_cli_train_options *o, double a, double b)
{
    return greater_is_better(o) ? a > b : a < b; /* what is no number never is */
}

/* False: the evaluation has no such figure, and which it has. */
static bool find_metric(const tuff_cli_train_options *o, const tuff_eval_result *result, double *out)
{
    const char *name = metric_of(o);
    char known[512];
    if (tuff_eval_find(result, name, out)) return true;
    int n = snprintf(known, sizeof known, "%s%s", result->tokens ? "loss" : "",
                     result->perplexity > 0 ? ", perplexity" : "");
    for (int64_t i = 0; i < result->count; i++)
        n += snprintf(known + n, sizeof known - (size_t)n, "%s%s", n ? ", " : "", result->figures[i].name);
    tuff_cli_say("tuff: --metric-for-best-model is %s, but the evaluation has %s", name,
                 *known ? known : "no figures");
    return false;
}

bool tuff_cli_checkpoints_stopped(const tuff_cli_checkpoints *c)
{
    return c->options->patience && c->waited >= c->options->patience;
}

bool tuff_cli_checkpoints_measured(tuff_cli_checkpoints *c, int64_t step, const tuff_eval_result *result,
                                   bool *out_stop)
{
    const tuff_cli_train_options *o = c->options;
    *out_stop = false;
    if (!o->load_best && !o->patience) return true;
    if (!find_metric(o, result, &c->metric)) return false;
    c->measured_at = step;
    c->result = *result;
    const bool better =
        !c->seen_any ? !isnan(c->metric)
                     : is_better(o, c->metric, c->seen) && fabs(c->metric - c->seen) > o->patience_threshold;
    c->waited = better ? 0 : c->waited + 1;
    if (!isnan(c->metric) && (!c->seen_any || is_better(o, c->metric, c->seen))) c->seen = c->metric;
    c->seen_any = c->seen_any || !isnan(c->metric);
    *out_stop = tuff_cli_checkpoints_stopped(c);
    if (!*out_stop) return true;
    char waited[48] = "the last evaluation";
    if (c->waited > 1) snprintf(waited, sizeof waited, "the last %lld evaluations", (long long)c->waited);
    tuff_cli_say("stopped early after step %lld: %s had no better %s than %.6g", (long long)step, waited,
                 metric_of(o), c->seen);
    return true;
}

void tuff_cli_checkpoints_choose_best(tuff_cli_checkpoints *c, int64_t step, const char *path)
{
    const tuff_cli_train_options *o = c->options;
    if (c->measured_at != step || isnan(c->metric)) return;
    if (*c->best && !is_better(o, c->metric, c->best_metric)) return;
    snprintf(c->best, sizeof c->best, "%s", path);
    c->best_metric = c->metric;
    c->best_step = step;
    c->best_result = c->result;
    c->best_known = true;
}

bool tuff_cli_checkpoints_unmeasured(const tuff_cli_checkpoints *c)
{
    return c->from && c->unmeasured;
}

bool tuff_cli_checkpoints_load_best(tuff_cli_checkpoints *c, tuff_trainer *trainer, int64_t step)
{
    tuff_checkpoint *best = NULL;
    if (!c->options->load_best || !*c->best) return true;
    if (!c->options->common.quiet)
        tuff_cli_say("the best is that of step %lld, with a %s of %.6g", (long long)c->best_step,
                     metric_of(c->options), c->best_metric);
    if (c->best_step == step) return true;
    tuff_status status = tuff_checkpoint_open(c->best, NULL, &best);
    if (status == TUFF_OK) status = tuff_trainer_resume(trainer, best);
    tuff_checkpoint_destroy(&best);
    c->lost = status == TUFF_DEVICE_LOST;
    return status == TUFF_OK || tuff_cli_failed() == TUFF_EXIT_OK;
}
