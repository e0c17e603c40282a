/* How far a training is: a line that is rewritten on a terminal, in colour, as wide as that; plain lines,
 * fewer of them, which stay. */
#include <math.h>
#include <string.h>

#include "cli/train.h"

/* Of which the watch's callback draws a line while a step lasts; NULL: none. */
static tuff_cli_progress *live;

void tuff_cli_progress_begin(tuff_cli_progress *progress, bool quiet, const tuff_device *device, int64_t done,
                             int64_t steps, int64_t every)
{
    *progress = (tuff_cli_progress){.quiet = quiet,
                                    .terminal = tuff_cli_is_terminal(stderr),
                                    .colour = tuff_cli_has_colour(stderr),
                                    .device = device,
                                    .last = TUFF_TRAIN_STEP_INIT,
                                    .steps = steps,
                                    .every = every,
                                    .began = tuff_cli_seconds()};
    progress->last.step = done;
    progress->shown = progress->began;
    if (!progress->terminal || quiet) return;
    tuff_cli_catch_resize();
    live = progress;
}

void tuff_cli_progress_end(tuff_cli_progress *progress)
{
    if (live != progress) return;
    tuff_cli_show_line("");
    live = NULL;
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

static double seconds_left(const tuff_cli_progress *p)
{
    double seconds = p->counted > 1 ? seconds_of_steps(p) / (double)(p->counted - 1) : p->first;
    return seconds * (double)(p->steps - p->last.step);
}

/* ---- lines */

/* A piece of a line. On a terminal that is too narrow the piece with the highest number goes first; those of
 * number 0 stay. */
typedef struct piece {
    char text[48];
    int goes;
    const char *colour;
} piece;

enum { STEP, BAR, LOSS, MARGIN, RIGHT, EVAL, RATE, NORM, SPEED, MEMORY, ETA, PIECES };

static const char *const bold = "1", *const green = "32", *const cyan = "36", *const faint = "2";

/* One of a step's figures, where it has it. */
static void put_figure(const tuff_train_step *step, const char *name, piece *out)
{
    for (int64_t i = 0; i < step->count; i++)
        if (strcmp(step->figures[i].name, name) == 0)
            snprintf(out->text, sizeof out->text, "  %s %.3g", name, step->figures[i].value);
}

static void put_loss(const tuff_cli_progress *p, piece *out)
{
    const tuff_train_step *s = &p->last;
    const bool empty = s->skipped && isfinite(s->grad_norm);
    if (empty)
        snprintf(out[LOSS].text, sizeof out->text, "  no loss");
    else
        snprintf(out[LOSS].text, sizeof out->text, "  loss %.4f", s->loss);
    put_figure(s, "rewards/margins", &out[MARGIN]);
    put_figure(s, "rewards/accuracies", &out[RIGHT]);
    if (isfinite(s->grad_norm))
        snprintf(out[NORM].text, sizeof out->text, "  grad norm %.3g", s->grad_norm);
    else
        snprintf(out[NORM].text, sizeof out->text, "  grad norm not finite");
    snprintf(out[RATE].text, sizeof out->text, "  lr %.3g", s->learning_rate);
    snprintf(out[SPEED].text, sizeof out->text, "  %s tok/s",
             tuff_cli_count((int64_t)tuff_cli_progress_rate(p)));
    snprintf(out[ETA].text, sizeof out->text, "  ETA %s", tuff_cli_time(seconds_left(p)));
}

/* What only the line that is rewritten has: those that stay would repeat it. */
static void put_live(const tuff_cli_progress *p, piece *out)
{
    enum { WIDTH = 12 };
    tuff_device_stats stats = TUFF_DEVICE_STATS_INIT;
    const double done = ((double)p->last.step + p->part) / (double)(p->steps ? p->steps : 1);
    const int full = (int)(done * WIDTH + 1e-9);
    snprintf(out[BAR].text, sizeof out->text, " [%.*s%.*s]", full, "############", WIDTH - full,
             "............");
    if (*p->eval) snprintf(out[EVAL].text, sizeof out->text, "  %s", p->eval);
    if (tuff_device_get_stats(p->device, &stats) == TUFF_OK && stats.bytes)
        snprintf(out[MEMORY].text, sizeof out->text, "  %s", tuff_cli_bytes(stats.bytes));
}

static size_t width_of(const piece *pieces)
{
    size_t width = 0;
    for (int i = 0; i < PIECES; i++)
        width += strlen(pieces[i].text);
    return width;
}

static void fit(piece *pieces, size_t columns)
{
    for (int number = PIECES; number > 0 && width_of(pieces) > columns; number--)
        for (int i = 0; i < PIECES; i++)
            if (pieces[i].goes == number) pieces[i].text[0] = 0;
}

/* Line of a terminal of so many columns, which never breaks; 0: of none. */
static void print_line(const tuff_cli_progress *p, bool rewritten, char *line, size_t size)
{
    piece pieces[PIECES] = {
        [STEP] = {.goes = 0},
        [BAR] = {.goes = 4, .colour = green},
        [LOSS] = {.goes = 0, .colour = bold},
        [MARGIN] = {.goes = 2},
        [RIGHT] = {.goes = 2},
        [EVAL] = {.goes = 1, .colour = cyan},
        [RATE] = {.goes = 5, .colour = faint},
        [NORM] = {.goes = 7, .colour = faint},
        [SPEED] = {.goes = 3},
        [MEMORY] = {.goes = 6, .colour = faint},
        [ETA] = {.goes = 0, .colour = bold},
    };
    const size_t columns = p->terminal ? (size_t)tuff_cli_columns(stderr) - 1 : size;
    snprintf(pieces[STEP].text, sizeof pieces->text, "step %lld/%lld", (long long)p->last.step,
             (long long)p->steps);
    if (p->counted) put_loss(p, pieces);
    if (rewritten) put_live(p, pieces);
    fit(pieces, columns);
    size_t at = 0, left = columns;
    for (int i = 0; i < PIECES; i++) {
        const int n = (int)(strlen(pieces[i].text) < left ? strlen(pieces[i].text) : left);
        const bool coloured = rewritten && p->colour && pieces[i].colour && n > 0;
        left -= (size_t)n;
        at += (size_t)snprintf(line + at, size - at, "%s%s%s%.*s%s", coloured ? "\033[" : "",
                               coloured ? pieces[i].colour : "", coloured ? "m" : "", n, pieces[i].text,
                               coloured ? "\033[0m" : "");
    }
}

enum { LINE = 400 };

static void draw(tuff_cli_progress *p)
{
    char line[LINE];
    print_line(p, true, line, sizeof line);
    tuff_cli_show_line(line);
    p->shown = tuff_cli_seconds();
}

void tuff_cli_progress_step(tuff_cli_progress *p, const tuff_train_step *step)
{
    p->tokens += step->tokens;
    p->last = *step;
    p->part = 0;
    if (p->counted++ == 0) {
        p->first = tuff_cli_seconds() - p->began - p->spent;
        p->first_tokens = p->tokens;
    }
    if (p->quiet) return;
    if (step->step % p->every == 0 || step->step == p->steps || step->step == 1) {
        char line[LINE];
        print_line(p, false, line, sizeof line);
        tuff_cli_say("%s", line);
        p->shown = tuff_cli_seconds();
    } else if (p->terminal && (tuff_cli_seconds() - p->shown > 0.1 || tuff_cli_resized())) {
        draw(p);
    }
}

void tuff_cli_progress_eval(tuff_cli_progress *p, const tuff_eval_result *result)
{
    if (result->tokens)
        snprintf(p->eval, sizeof p->eval, "eval %.4f", result->loss);
    else if (result->count)
        snprintf(p->eval, sizeof p->eval, "%.20s %.4f", result->figures[0].name, result->figures[0].value);
}

void tuff_cli_progress_tick(const tuff_progress *progress)
{
    if (!live || progress->phase != TUFF_PHASE_TRAIN) return;
    const double now = tuff_cli_seconds();
    live->part = progress->total ? (double)progress->done / (double)progress->total : 0;
    if (now - live->shown > 0.5 || tuff_cli_resized()) draw(live);
}
