/* A line that is rewritten on a terminal; plain lines, fewer of them, elsewhere. */
#include <math.h>
#include <string.h>

#include "cli/train.h"

void tuff_cli_progress_begin(tuff_cli_progress *progress, bool quiet, int64_t steps, int64_t every)
{
    *progress = (tuff_cli_progress){.quiet = quiet,
                                    .terminal = tuff_cli_is_terminal(stderr),
                                    .steps = steps,
                                    .every = every,
                                    .began = tuff_cli_seconds()};
}

/* The first step puts the weights on the device and prepares kernels: the rate leaves it out. */
static double seconds_of_steps(const tuff_cli_progress *p)
{
    return tuff_cli_seconds() - p->began - p->first - p->spent;
}

double tuff_cli_progress_rate(const tuff_cli_progress *p)
{
    double seconds = p->counted > 1 ? seconds_of_steps(p) : p->first;
    int64_t tokens = p->counted > 1 ? p->tokens - p->first_tokens : p->tokens;
    return seconds > 0 ? (double)tokens / seconds : 0;
}

static double seconds_left(const tuff_cli_progress *p, int64_t step)
{
    double seconds = p->counted > 1 ? seconds_of_steps(p) / (double)(p->counted - 1) : p->first;
    return seconds * (double)(p->steps - step);
}

void tuff_cli_progress_step(tuff_cli_progress *p, const tuff_train_step *step)
{
    p->tokens += step->tokens;
    if (p->counted++ == 0) {
        p->first = tuff_cli_seconds() - p->began;
        p->first_tokens = p->tokens;
    }
    if (p->quiet) return;
    char line[200], norm[32] = "not finite";
    if (isfinite(step->grad_norm)) snprintf(norm, sizeof norm, "%.3g", step->grad_norm);
    snprintf(line, sizeof line, "step %lld/%lld  loss %.4f  lr %.3g  grad norm %s  %s tok/s  ETA %s",
             (long long)step->step, (long long)p->steps, step->loss, step->learning_rate, norm,
             tuff_cli_count((int64_t)tuff_cli_progress_rate(p)), tuff_cli_time(seconds_left(p, step->step)));
    if (step->step % p->every == 0 || step->step == p->steps || step->step == 1) {
        tuff_cli_say("%s", line);
        p->shown = tuff_cli_seconds();
    } else if (p->terminal && tuff_cli_seconds() - p->shown > 0.1) {
        int columns = tuff_cli_columns() - 1;
        if ((int)strlen(line) > columns) line[columns] = 0;
        tuff_cli_show_line(line);
        p->shown = tuff_cli_seconds();
    }
}
