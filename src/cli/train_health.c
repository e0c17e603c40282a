/* Whether a training has failed: steps that were skipped, a loss that rose. */
#include <math.h>

#include "cli/train.h"

void tuff_cli_health_step(tuff_cli_health *h, const tuff_train_step *step)
{
    enum { TELL = 3 };
    h->steps++;
    if (step->skipped && isfinite(step->grad_norm)) {
        h->skipped++;
        if (h->empty++ < TELL)
            tuff_cli_say(
                "tuff: warning: step %lld was skipped, its batch has nothing to learn from: no label, or "
                "texts too short to hide a token%s",
                (long long)step->step, h->empty == TELL ? " (further ones are only counted)" : "");
        return;
    }
    if (step->skipped) {
        if (++h->skipped - h->empty <= TELL)
            tuff_cli_say("tuff: warning: step %lld was skipped, its gradient is not finite; a lower "
                         "--learning-rate or --max-grad-norm may help%s",
                         (long long)step->step,
                         h->skipped - h->empty == TELL ? " (further ones are only counted)" : "");
        return;
    }
    if (!isfinite(step->loss)) return;
    if (h->finite == 0) h->first = step->loss;
    h->recent[h->finite++ % TUFF_CLI_RECENT] = step->loss;
}

/* Mean loss of the last steps, at most half of them, so that the first is not among them. */
static double last_mean(const tuff_cli_health *h, int64_t *out_n)
{
    int64_t n = h->finite / 2 < TUFF_CLI_RECENT ? h->finite / 2 : TUFF_CLI_RECENT;
    double sum = 0;
    for (int64_t i = 1; i <= n; i++)
        sum += h->recent[(h->finite - i) % TUFF_CLI_RECENT];
    *out_n = n;
    return n ? sum / (double)n : 0;
}

/* A loss that is so far above where it began says that the model is lost. */
static bool far_above(const tuff_cli_health *h, double last)
{
    return last > 10 * h->first && last > h->first + 10;
}

static bool fail_far_above(const tuff_cli_health *h, double last, int64_t n)
{
    tuff_cli_say(
        "tuff: the training failed: the loss rose from %.4f at the first step to %.4f, the mean of the "
        "last %lld; start again with a lower --learning-rate, and check the data",
        h->first, last, (long long)n);
    return false;
}

bool tuff_cli_health_goes_on(const tuff_cli_health *h)
{
    int64_t n;
    const double last = last_mean(h, &n);
    return n < TUFF_CLI_RECENT || !far_above(h, last) || fail_far_above(h, last, n);
}

bool tuff_cli_health_end(const tuff_cli_health *h)
{
    if (2 * h->empty > h->steps) {
        tuff_cli_say(
            "tuff: the training failed: %lld of its %lld steps were skipped, because their batches have "
            "nothing to learn from; larger batches or longer texts may",
            (long long)h->empty, (long long)h->steps);
        return false;
    }
    if (2 * (h->skipped - h->empty) > h->steps) {
        tuff_cli_say("tuff: the training failed: %lld of its %lld steps were skipped, because their "
                     "gradients are not finite; start again with a lower --learning-rate, and check the data",
                     (long long)(h->skipped - h->empty), (long long)h->steps);
        return false;
    }
    int64_t n;
    double last = last_mean(h, &n);
    if (n && far_above(h, last)) return fail_far_above(h, last, n);
    if (n && last > 1.5 * h->first && last > h->first + 1)
        tuff_cli_say(
            "tuff: warning: the loss rose from %.4f at the first step to %.4f, the mean of the last %lld: "
            "the result is most likely worse than the model that it began with; a lower "
            "--learning-rate may help",
            h->first, last, (long long)n);
    return true;
}
