/* What every long call is given: it hears of Ctrl-C, and tells how far it is. */
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
    case TUFF_PHASE_OBSERVE:
        return "running the text";
    case TUFF_PHASE_EVALUATE:
        return "measuring the loss";
    case TUFF_PHASE_TEST:
        return "testing kernels, once for this driver";
    case TUFF_PHASE_MEASURE:
        return "measuring";
    default:
        return NULL; /* other phases have lines of their own */
    }
}

/* Where the phase at hand began, and when a line of it was last seen. */
typedef struct pace {
    tuff_phase phase;
    double began, shown, first;
} pace;

/* True when another phase begins. */
static bool begin_phase(pace *p, const tuff_progress *progress, double now)
{
    if (progress->phase == p->phase && progress->done != 0) return false;
    *p = (pace){progress->phase, now, now, (double)progress->done};
    return true;
}

/* "predicting: 12 %, 10,400 tokens/s, 3 min left" */
static void describe(const pace *p, const tuff_progress *progress, double now, char line[96])
{
    const double done = (double)progress->done, left = (double)progress->total - done, spent = now - p->began;
    int n = snprintf(line, 96, "%s: %.0f %%", what(progress->phase), 100.0 * done / (double)progress->total);
    if (!(spent > 3 && done > p->first)) return;
    const double rate = (done - p->first) / spent;
    if (progress->phase == TUFF_PHASE_PREDICT || progress->phase == TUFF_PHASE_PROMPT)
        n += snprintf(line + n, 96 - (size_t)n, ", %s tokens/s", tuff_cli_count((int64_t)rate));
    snprintf(line + n, 96 - (size_t)n, ", %s left", tuff_cli_time(left / rate));
}

/* A line that is rewritten, for what takes longer than a moment. */
static bool show(const tuff_progress *progress, void *user)
{
    static pace p = {.phase = TUFF_PHASE_TRAIN};
    (void)user;
    double now = tuff_cli_seconds();
    if (begin_phase(&p, progress, now) && what(p.phase)) tuff_cli_show_line("");
    if (!what(p.phase)) tuff_cli_progress_tick(progress);
    if (!what(p.phase) || !progress->total || now - p.began < 0.5 || now - p.shown < 0.1) return true;
    char line[96];
    describe(&p, progress, now, line);
    tuff_cli_show_line(progress->done < progress->total ? line : "");
    p.shown = now;
    return true;
}

/* Lines in a pipe or a file: one of what will take long, as soon as that is known, then one now and then. */
static bool tell(const tuff_progress *progress, void *user)
{
    enum { LONG_TOKENS = 30000, SECONDS = 10 };
    static pace p = {.phase = TUFF_PHASE_TRAIN};
    (void)user;
    double now = tuff_cli_seconds();
    bool begins = begin_phase(&p, progress, now);
    if (begins && p.phase == TUFF_PHASE_PREDICT && progress->total >= LONG_TOKENS)
        tuff_cli_say("%s: %s tokens", what(p.phase), tuff_cli_count((int64_t)progress->total));
    bool ends = progress->done >= progress->total; /* so also where the total is not known */
    if (begins || ends || !what(p.phase) || now - p.shown < SECONDS) return true;
    char line[96];
    describe(&p, progress, now, line);
    tuff_cli_say("%s", line);
    p.shown = now;
    return true;
}

const tuff_watch *tuff_cli_watch(void)
{
    if (!watch.cancel && tuff_cancel_create(&watch.cancel) != TUFF_OK) return NULL;
    return &watch;
}

void tuff_cli_watch_shown(const tuff_cli_common *common)
{
    if (!common->quiet) watch.on_progress = tuff_cli_is_terminal(stderr) ? show : tell;
}
