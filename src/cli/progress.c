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

/* All there is to say; on a narrow terminal without what matters less: the norm, then the rates. */
static void print_line(const tuff_cli_progress *p, const tuff_train_step *step, char *line, size_t size)
{
    char norm[48] = "  grad norm not finite", lr[32], speed[48], eta[48], loss[32] = "no loss";
    char *const optional[] = {norm, lr, speed};
    size_t columns = p->terminal ? (size_t)tuff_cli_columns(stderr) - 1 : size;
    bool empty = step->skipped && isfinite(step->grad_norm);
    if (!empty) snprintf(loss, sizeof loss, "loss %.4f", step->loss);
    if (isfinite(step->grad_norm)) snprintf(norm, sizeof norm, "  grad norm %.3g", step->grad_norm);
    snprintf(lr, sizeof lr, "  lr %.3g", step->learning_rate);
    snprintf(speed, sizeof speed, "  %s tok/s", tuff_cli_count((int64_t)tuff_cli_progress_rate(p)));
    snprintf(eta, sizeof eta, "  ETA %s", tuff_cli_time(seconds_left(p, step->step)));
    for (int left_out = 0; left_out <= 3; left_out++) {
        if (left_out) optional[left_out - 1][0] = 0;
        snprintf(line, size, "step %lld/%lld  %s%s%s%s%s", (long long)step->step, (long long)p->steps, loss,
                 lr, norm, speed, eta);
        if (strlen(line) <= columns) return;
    }
    if (columns < size) line[columns] = 0;
}

void tuff_cli_progress_step(tuff_cli_progress *p, const tuff_train_step *step)
{
    p->tokens += step->tokens;
    if (p->counted++ == 0) {
        p->first = tuff_cli_seconds() - p->began;
        p->first_tokens = p->tokens;
    }
    if (p->quiet) return;
    char line[200];
    print_line(p, step, line, sizeof line);
    if (step->step % p->every == 0 || step->step == p->steps || step->step == 1) {
        tuff_cli_say("%s", line);
        p->shown = tuff_cli_seconds();
    } else if (p->terminal && tuff_cli_seconds() - p->shown > 0.1) {
        tuff_cli_show_line(line);
        p->shown = tuff_cli_seconds();
    }
}
