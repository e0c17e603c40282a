/* What every long call is given: it hears of Ctrl-C, and a terminal sees how far it is. */
#include "cli/cli.h"

static tuff_watch watch = TUFF_WATCH_INIT;

static const char *what(tuff_phase phase)
{
    switch (phase) {
    case TUFF_PHASE_LOAD:
        return "reading the model";
    case TUFF_PHASE_SAVE:
        return "writing the model";
    case TUFF_PHASE_TOKENIZE:
        return "cutting the text into tokens";
    case TUFF_PHASE_UPLOAD:
        return "putting the model on the device";
    case TUFF_PHASE_PROMPT:
        return "feeding the prompt";
    case TUFF_PHASE_EMBED:
        return "embedding";
    case TUFF_PHASE_PREDICT:
        return "predicting";
    case TUFF_PHASE_SEARCH:
        return "searching";
    case TUFF_PHASE_EVALUATE:
        return "measuring the loss";
    default:
        return NULL; /* other phases have lines of their own */
    }
}

/* A line that is rewritten, for what takes longer than a moment. */
static bool show(const tuff_progress *progress, void *user)
{
    static tuff_phase phase = TUFF_PHASE_TRAIN;
    static double began, shown, first;
    (void)user;
    const char *text = what(progress->phase);
    double now = tuff_cli_seconds();
    if (progress->phase != phase || progress->done == 0) {
        if (what(phase)) tuff_cli_show_line("");
        phase = progress->phase;
        began = now;
        first = (double)progress->done;
    }
    if (!text || !progress->total || now - began < 0.5 || now - shown < 0.1) return true;
    const double done = (double)progress->done, left = (double)progress->total - done;
    char line[80];
    int n = snprintf(line, sizeof line, "%s: %.0f %%", text, 100.0 * done / (double)progress->total);
    if (now - began > 3 && done > first)
        snprintf(line + n, sizeof line - (size_t)n, ", %s left",
                 tuff_cli_time((now - began) * left / (done - first)));
    tuff_cli_show_line(progress->done < progress->total ? line : "");
    shown = now;
    return true;
}

const tuff_watch *tuff_cli_watch(void)
{
    if (!watch.cancel && tuff_cancel_create(&watch.cancel) != TUFF_OK) return NULL;
    return &watch;
}

void tuff_cli_watch_shown(const tuff_cli_common *common)
{
    if (!common->quiet && tuff_cli_is_terminal(stderr)) watch.on_progress = show;
}
