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
    h->lost = !isfinite(step->loss);
    if (step->skipped) {
        if (++h->skipped - h->empty <= TELL)
            tuff_cli_say("tuff: warning: step %lld was skipped, its gradient is not finite; a lower "
                         "--learning-rate or --max-grad-norm may help%s",
                         (long long)step->step,
                         h->skipped - h->empty == TELL ? " (further ones are only counted)" : "");
        return;
    }
    if (!isfinite(step->loss)) return;
    if (h->finite < TUFF_CLI_RECENT) h->first[h->finite] = step->loss;
    h->recent[h->finite++ % TUFF_CLI_RECENT] = step->loss;
}

/* Mean losses of the first and of as many last steps: at most half of all, so that none is in both. */
static int64_t means(const tuff_cli_health *h, double *out_first, double *out_last)
{
    const int64_t n = h->finite / 2 < TUFF_CLI_RECENT ? h->finite / 2 : TUFF_CLI_RECENT;
    *out_first = *out_last = 0;
    for (int64_t i = 0; i < n; i++) {
        *out_first += h->first[i] / (double)n;
        *out_last += h->recent[(h->finite - 1 - i) % TUFF_CLI_RECENT] / (double)n;
    }
    return n;
}

/* A cross-entropy that is so far above where it began says that the model is lost. Other losses have the
 * range of their data. It is the first step that counts: most that fail do so within a few. The end of a
 * training of few steps may have been of another kind than their begin, but no kind explains 100 more. */
static bool fail_far_above(tuff_cli_health *h, bool ended)
{
    double first, last;
    const int64_t n = means(h, &first, &last);
    const double start = h->first[0];
    if (!h->entropy || !n) return false;
    if (n < TUFF_CLI_RECENT ? !ended || last <= start + 100 : last <= 10 * start || last <= start + 10)
        return false;
    h->why = "failed, the loss rose far above its start";
    tuff_cli_say(
        "tuff: the training failed: the loss rose from %.4f at the first step to %.4f, the mean of the "
        "last %lld; start again with a lower --learning-rate, and check the data",
        start, last, (long long)n);
    return true;
}

bool tuff_cli_health_goes_on(tuff_cli_health *h)
{
    return !fail_far_above(h, false);
}

bool tuff_cli_health_end(tuff_cli_health *h)
{
    double first, last;
    const int64_t n = means(h, &first, &last);
    if (2 * h->empty > h->steps) {
        h->why = "failed, too many steps had nothing to learn from";
        tuff_cli_say(
            "tuff: the training failed: %lld of its %lld steps were skipped, because their batches have "
            "nothing to learn from; larger batches or longer texts may",
            (long long)h->empty, (long long)h->steps);
        return false;
    }
    if (2 * (h->skipped - h->empty) > h->steps) {
        h->why = "failed, too many steps were skipped";
        tuff_cli_say("tuff: the training failed: %lld of its %lld steps were skipped, because their "
                     "gradients are not finite; start again with a lower --learning-rate, and check the data",
                     (long long)(h->skipped - h->empty), (long long)h->steps);
        return false;
    }
    if (h->lost) {
        h->why = "failed, the last loss is not finite";
        tuff_cli_say("tuff: the training failed: the loss of its last step is not finite; start again with a "
                     "lower --learning-rate, and check the data");
        return false;
    }
    if (fail_far_above(h, true)) return false;
    if (h->entropy) first = h->first[0]; /* it may have risen at once */
    if (n && last > 1.5 * first && last > first + 1)
        tuff_cli_say(
            "tuff: warning: the loss rose from %.4f at the first step%s to %.4f, the mean of the last "
            "%lld: the result is most likely worse than the model that it began with; a lower "
            "--learning-rate may help",
            first, h->entropy || n == 1 ? "" : "s", last, (long long)n);
    return true;
}

bool tuff_cli_health_measured(tuff_cli_health *h, const tuff_eval_result *result)
{
    if (!result->tokens || isfinite(result->loss)) return true;
    h->why = "failed, the validation loss is not finite";
    tuff_cli_say(
        "tuff: the training failed: the validation loss of its result is not finite; start again with "
        "a lower --learning-rate, and check the data");
    return false;
}
