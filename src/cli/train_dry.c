/* train --dry-run: what a training is, what it takes, and how long, before it is begun. */
#include <stdlib.h>
#include <string.h>
#include <tuff/program.h>

#include "cli/train.h"

/* Steps that are run to see how long they take, and thrown away: the first puts the weights on the device and
 * prepares kernels, those behind it are timed, for so many seconds at most. */
enum { MOST_STEPS = 6 };
static const double most_seconds = 10;

typedef struct estimate {
    int64_t steps; /* that were timed; 0: none */
    double first, each, total;
    double rate; /* tokens per second */
} estimate;

/* Of all of them: where records have different lengths, a step's tokens are what they are on average. */
static double tokens_of(const tuff_cli_train_dry *d, int64_t steps)
{
    const double examples =
        (double)(d->params->per_device_train_batch_size * d->params->gradient_accumulation_steps);
    const double all = (double)tuff_cli_mixture_examples(d->train);
    if (all <= 0) return 0;
    double tokens = (double)tuff_dataset_tokens(d->train);
    if (d->options->task == TUFF_CLI_CAUSAL_LM) tokens = all * (double)d->block; /* the last is left out */
    return tokens / all * examples * (double)steps;
}

/* False: a step failed, which was said, or was interrupted. */
static bool measure(const tuff_cli_train_dry *d, int64_t left, estimate *out)
{
    int64_t tokens = 0;
    double spent = 0;
    *out = (estimate){0};
    for (int64_t i = 0; i < MOST_STEPS && i < left && spent < most_seconds; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        const double began = tuff_cli_seconds();
        const tuff_status status = tuff_trainer_step(d->trainer, &step);
        const double seconds = tuff_cli_seconds() - began;
        if (status == TUFF_CANCELLED && tuff_cli_interrupted()) {
            tuff_cli_say("tuff: interrupted");
            return false;
        }
        if (status != TUFF_OK && status != TUFF_NOT_FINITE) return tuff_cli_failed() == TUFF_EXIT_OK;
        if (i == 0) {
            out->first = seconds;
            continue;
        }
        spent += seconds;
        tokens += step.tokens;
        out->steps++;
    }
    if (!out->steps || spent <= 0) return true;
    out->each = spent / (double)out->steps;
    out->rate = (double)tokens / spent;
    out->total =
        out->first + (out->rate > 0 ? tokens_of(d, left - 1) / out->rate : out->each * (double)(left - 1));
    return true;
}

static int64_t operations_of(const char *plan)
{
    int64_t lines = 0;
    for (; plan && *plan; plan++)
        lines += *plan == '\n';
    return lines ? lines - 1 : 0; /* the first is of memory */
}

static void say(const tuff_cli_train_dry *d, const estimate *e, int64_t operations, int64_t left)
{
    const tuff_device_info *device = tuff_device_get_info(d->device);
    const double flops = tuff_program_flops(tuff_trainer_program(d->trainer));
    const int64_t micro = d->params->gradient_accumulation_steps;
    if (device->memory_bytes)
        tuff_cli_row("", "of %s that the device has", tuff_cli_bytes(device->memory_bytes));
    tuff_cli_row("plan", "%s operations, %.3g GFLOP%s", tuff_cli_count(operations), flops * 1e-9,
                 micro > 1 ? ", for each of a step's batches" : "");
    char total[40];
    snprintf(total, sizeof total, "%.2g s", e->total);
    if (e->steps)
        tuff_cli_row(
            "time",
            "about %s for %s step%s: %.3g s each, %s tokens/s, and %.3g s for the first, by %lld steps that were "
            "run and thrown away; evaluations and checkpoints come on top",
            e->total < 10 ? total : tuff_cli_time(e->total), tuff_cli_count(left), left == 1 ? "" : "s",
            e->each, tuff_cli_count((int64_t)e->rate), e->first, (long long)e->steps + 1);
    else if (left > 0)
        tuff_cli_row("time", "%.3g s for the only step, which was run and thrown away", e->first);
    else
        tuff_cli_row("time", "no step is left to be done");
    tuff_cli_say("nothing was written (--dry-run)");
}

static void put_text(const char *key, const char *text)
{
    printf("\"%s\": ", key);
    tuff_cli_json_text(stdout, text, strlen(text));
    printf(", ");
}

static void put_number(const char *key, double value, const char *end)
{
    printf("\"%s\": ", key);
    tuff_cli_json_number(stdout, value);
    fputs(end, stdout);
}

static void print_json(const tuff_cli_train_dry *d, const estimate *e, int64_t operations, int64_t left)
{
    const tuff_device_info *device = tuff_device_get_info(d->device);
    const tuff_train_memory *m = d->memory;
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    const bool known = tuff_model_get_info(d->model, &info) == TUFF_OK;
    printf("{");
    put_text("model", d->options->model);
    put_text("architecture", known ? info.architecture : "");
    printf("\"parameters\": %lld, \"trained_parameters\": %lld, ", (long long)m->parameters,
           (long long)m->trained_parameters);
    put_text("device", device->name);
    printf("\"device_memory\": %llu, ", (unsigned long long)device->memory_bytes);
    printf("\"data\": ");
    tuff_cli_report_json(stdout, d->train, NULL);
    if (d->validation) {
        printf(", \"validation_data\": ");
        tuff_cli_report_json(stdout, d->validation, d->train);
    }
    printf(", ");
    printf("\"steps\": %lld, \"steps_left\": %lld, \"per_device_train_batch_size\": %lld, "
           "\"gradient_accumulation_steps\": %lld, \"bf16\": %s, ",
           (long long)tuff_trainer_total_steps(d->trainer), (long long)left,
           (long long)d->params->per_device_train_batch_size,
           (long long)d->params->gradient_accumulation_steps, d->params->bf16 ? "true" : "false");
    printf("\"plan\": {\"operations\": %lld, ", (long long)operations);
    put_number("flops", tuff_program_flops(tuff_trainer_program(d->trainer)), "}, ");
    printf(
        "\"memory\": {\"weights\": %llu, \"optimizer\": %llu, \"gradients\": %llu, \"gradients_apart\": %s, "
        "\"arena\": %llu, \"evaluation\": %llu, \"transfers\": %llu, \"total\": %llu}, ",
        (unsigned long long)m->weights, (unsigned long long)m->optimizer, (unsigned long long)m->gradients,
        m->gradients_apart ? "true" : "false", (unsigned long long)m->arena,
        (unsigned long long)m->evaluation, (unsigned long long)m->transfers, (unsigned long long)m->total);
    printf("\"estimate\": {\"timed_steps\": %lld, ", (long long)e->steps);
    put_number("first_step_seconds", e->first, ", ");
    if (e->steps) {
        put_number("step_seconds", e->each, ", ");
        put_number("tokens_per_second", e->rate, ", ");
    }
    put_number("seconds", e->steps ? e->total : e->first, "}}\n");
}

bool tuff_cli_train_tells(const tuff_cli_train_options *o)
{
    return !o->common.quiet || (o->dry_run && !o->common.json);
}

int tuff_cli_train_dry_run(const tuff_cli_train_dry *d)
{
    estimate e;
    char *plan = tuff_program_text(tuff_trainer_program(d->trainer));
    if (!plan) {
        tuff_cli_say("tuff: out of memory");
        return TUFF_EXIT_FAILED;
    }
    const int64_t operations = operations_of(plan), left = tuff_trainer_total_steps(d->trainer) - d->done;
    tuff_free(plan);
    tuff_cli_catch_interrupt();
    if (!measure(d, left, &e)) return TUFF_EXIT_FAILED;
    if (tuff_cli_train_tells(d->options)) say(d, &e, operations, left > 0 ? left : 0);
    if (d->options->common.json) print_json(d, &e, operations, left > 0 ? left : 0);
    return TUFF_EXIT_OK;
}
