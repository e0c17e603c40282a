/* Conformance runs in child processes: what crashes or hangs there is the result of the case that ran.
 *
 * A child runs up to 64 cases and tells of each: a line that begins with 'B' and an index before it, one
 * with 'C' and the outcome after it, 'R' and a line of the record, 'E' and why the device was not run, at
 * last 'D'. Where a child ends without that, the case that ran is to blame, and the next child goes on behind
 * it. This process opens no device. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conform.h"

/* As many cases make the start of a child cheap, and bound what one that misbehaves may spoil. */
enum { BATCH = 64, NONE = -1 };
static const double listing_seconds = 60;

/* ---- the child ---- */

typedef struct child_task {
    const tuff_conform_params *params;
    double until; /* no case is begun later, but for the first */
    FILE *out;
} child_task;

static void say_line(FILE *out, char kind, const char *text)
{
    fputc(kind, out);
    for (; *text != 0; text++)
        fputc(*text == '\n' ? ' ' : *text, out);
    fputc('\n', out);
    fflush(out);
}

static void child_record(const char *line, void *user)
{
    say_line(((child_task *)user)->out, 'R', line);
}

static void child_begin(const char *name, size_t index, size_t count, void *user)
{
    (void)name;
    (void)count;
    fprintf(((child_task *)user)->out, "B%zu\n", index);
    fflush(((child_task *)user)->out);
}

static bool child_end(const tuff_conform_case *c, size_t index, size_t count, void *user)
{
    (void)index;
    (void)count;
    char text[1280];
    snprintf(text, sizeof text, "%d %d %.4g %.3f %s: %s", c->held, c->failed,
             c->worst > c->worst_backward ? c->worst : c->worst_backward, c->milliseconds, c->verdict,
             c->message);
    const child_task *task = user;
    say_line(task->out, 'C', text);
    return tuff_cli_seconds() < task->until;
}

static int run_child(FILE *out, void *user)
{
    child_task task = *(const child_task *)user;
    task.out = out;
    tuff_conform_params params = *task.params;
    params.record = child_record;
    params.begin = child_begin;
    params.progress = child_end;
    params.user = &task;
    tuff_conform_report *report = NULL;
    tuff_status status = tuff_conform_run(&params, &report);
    if (status == TUFF_OK || status == TUFF_CANCELLED) /* time was up */
        say_line(out, 'D', "");
    else
        say_line(out, 'E', tuff_error_message());
    tuff_conform_report_destroy(&report);
    return TUFF_EXIT_OK;
}

/* ---- the parent ---- */

typedef struct isolation {
    tuff_cli_conform_run *run;
    tuff_conform_case **cases;
    bool *failed; /* by case: not run again in later rounds of soak */
    size_t n;
    tuff_cli_record *record;    /* of this device alone, kept to count up what was found */
    tuff_conform_params params; /* its first and count are the child's cases */
    char *described;            /* the run's first line; NULL: not there yet */
    char kernels[256];          /* that the case was about to use when it last told; "": it has not */
    long running;               /* index of the case, or NONE */
    size_t done;                /* of the child's cases */
    size_t next;                /* the round has come to this case */
    bool over;                  /* the child said 'D' or 'E' */
    bool stop;                  /* the device, or this process, cannot go on */
    double began;               /* the case that runs, or the child */
} isolation;

/* Both records: the one of the whole command, and this device's. */
static void note(isolation *x, const char *line)
{
    tuff_cli_record_line(x->record, line);
    tuff_cli_record_line(x->run->record, line);
}

static void stop_for_memory(isolation *x)
{
    tuff_cli_say("tuff: out of memory for what isolated cases tell");
    tuff_cli_record_error(x->run->record, "", "out of memory for what isolated cases tell");
    x->stop = true;
}

static bool is_record(const char *line, const char *kind)
{
    char text[48];
    int size = snprintf(text, sizeof text, "{\"record\": \"%s\"", kind);
    return strncmp(line, text, (size_t)size) == 0;
}

/* Of a line that ends with "kernels": "matmul/tile, softmax/rows"}; cut where there are many. */
static void take_kernels(isolation *x, const char *line)
{
    static const char key[] = "\"kernels\": \"";
    const char *at = strstr(line, key);
    size_t size = at != NULL ? strcspn(at + sizeof key - 1, "\"") : 0, most = sizeof x->kernels - 8;
    if (at == NULL) return;
    snprintf(x->kernels, sizeof x->kernels, "%.*s%s", (int)(size < most ? size : most), at + sizeof key - 1,
             size < most ? "" : " ...");
}

/* Each child describes its run and ends it; of all of them the first description is kept. */
static void take_record(isolation *x, const char *line)
{
    bool first = is_record(line, "run");
    if (is_record(line, "kernels")) take_kernels(x, line);
    if (is_record(line, "end") || (first && x->described != NULL)) return;
    if (first) {
        size_t size = strlen(line) + 1;
        x->described = malloc(size);
        if (x->described == NULL) {
            stop_for_memory(x);
            return;
        }
        memcpy(x->described, line, size);
    }
    note(x, line);
}

static void take_case(isolation *x, const char *text)
{
    size_t index = (size_t)x->running;
    int held = 0, failed = 1, at = 0;
    double worst = 0, milliseconds = 0;
    if (sscanf(text, "%d %d %lf %lf %n", &held, &failed, &worst, &milliseconds, &at) < 4) return;
    tuff_conform_case c = {.name = x->cases[index]->name, .held = held, .listed = x->cases[index]->listed};
    tuff_cli_case_ended(&x->run->lines, c.name, tuff_cli_case_outcome(&c), held ? NULL : text + at, failed,
                        worst, milliseconds);
    x->failed[index] = !held;
    x->running = NONE;
    x->done++;
    x->began = tuff_cli_seconds();
}

static void take_line(isolation *x, const char *line)
{
    const char *text = line + 1;
    switch (line[0]) {
    case 'R':
        take_record(x, text);
        break;
    case 'B':
        x->running = strtol(text, NULL, 10);
        if (x->running < 0 || (size_t)x->running >= x->n) x->running = NONE;
        x->began = tuff_cli_seconds();
        x->kernels[0] = 0;
        if (x->running != NONE)
            tuff_cli_case_begins(&x->run->lines, x->cases[x->running]->name, (size_t)x->running, x->n);
        break;
    case 'C':
        if (x->running != NONE) take_case(x, text);
        break;
    case 'E':
        tuff_cli_say("tuff: %s", text); /* its record says so too */
        x->stop = x->over = true;
        break;
    case 'D':
        x->over = true;
        break;
    default: /* a driver that prints */
        tuff_cli_say("%s", line);
    }
}

/* A record of this one case, as the library writes it: with the command that runs it again. NULL: no memory;
 * freed with tuff_free. */
static char *complete(const isolation *x, const char *line)
{
    size_t size = strlen(x->described) + strlen(line) + 3, n = 0;
    char *text = malloc(size), *out = NULL;
    tuff_conform_report **reports = NULL;
    if (text == NULL) return NULL;
    snprintf(text, size, "%s\n%s\n", x->described, line);
    if (tuff_conform_read(text, strlen(text), &reports, &n) == TUFF_OK &&
        tuff_conform_text((const tuff_conform_report *const *)reports, n, TUFF_CONFORM_JSON, &out) != TUFF_OK)
        out = NULL;
    for (size_t i = 0; i < n; i++)
        tuff_conform_report_destroy(&reports[i]);
    tuff_free(reports);
    free(text);
    return out;
}

/* The record's line for a case that ended its process. */
static void note_lost(isolation *x, const tuff_conform_case *c, const char *verdict, const char *message,
                      double milliseconds)
{
    char line[1536];
    snprintf(line, sizeof line,
             "{\"record\": \"case\", \"case\": \"%s\", \"verdict\": \"%s\", \"held\": false, \"listed\": %s, "
             "\"milliseconds\": %.3f, \"seed\": %llu, \"message\": \"%s\"}",
             c->name, verdict, c->listed ? "true" : "false", milliseconds, (unsigned long long)x->params.seed,
             message);
    char *text = complete(x, line), *at = text != NULL ? strchr(text, '\n') : NULL;
    if (at != NULL) {
        at[1 + strcspn(at + 1, "\n")] = 0;
        note(x, at + 1);
    } else {
        stop_for_memory(x);
    }
    tuff_free(text);
}

/* The child is gone or is to go, and has not said that it is done. */
static void take_loss(isolation *x, bool timed_out, const char *signal, int code)
{
    double seconds = tuff_cli_seconds() - x->began;
    char message[512];
    if (timed_out)
        snprintf(message, sizeof message, "timed out after %.3g s", x->run->options->timeout);
    else if (signal != NULL)
        snprintf(message, sizeof message, "crashed: %s", signal);
    else
        snprintf(message, sizeof message, "crashed: the process ended by itself with exit code %d", code);
    if (x->described == NULL) {
        char text[256];
        snprintf(text, sizeof text, "opening the device %s", message);
        tuff_cli_say("tuff: %s", text);
        tuff_cli_record_error(x->run->record, x->params.device != NULL ? x->params.device : "", text);
        x->stop = true;
        return;
    }
    bool between = x->running == NONE;
    if (between) { /* the case before it has left the driver in that state */
        strncat(message, ", after this case, before the next one", sizeof message - strlen(message) - 1);
        x->running = (long)(x->params.first + (x->done > 0 ? x->done - 1 : 0));
    }
    if (!between && x->kernels[0] != 0) {
        size_t size = strlen(message);
        snprintf(message + size, sizeof message - size, ", about to use %s", x->kernels);
    }
    size_t index = (size_t)x->running;
    tuff_conform_case c = {.name = x->cases[index]->name, .listed = x->cases[index]->listed};
    if (between) tuff_cli_case_begins(&x->run->lines, c.name, index, x->n);
    tuff_cli_case_ended(&x->run->lines, c.name, tuff_cli_case_outcome(&c), message, !c.listed, 0,
                        seconds * 1e3);
    note_lost(x, &c, timed_out ? "timed out" : "crashed", message, seconds * 1e3);
    x->failed[index] = true;
    if (!between || x->done == 0) x->done++;
}

/* Reads lines until the child is done, dead, late, or this process is told to stop. */
static void follow(isolation *x, tuff_cli_child *child)
{
    char *line = NULL, bytes[4096];
    size_t size = 0, capacity = 0;
    int n = 0, code = 0;
    while (!x->over && !x->stop) {
        double left = x->run->options->timeout - (tuff_cli_seconds() - x->began);
        n = tuff_cli_read_child(child, left, bytes, sizeof bytes);
        if (n <= 0) break;
        for (int i = 0; i < n; i++) {
            if (size + 1 >= capacity) {
                capacity = 2 * capacity + 4096;
                char *grown = realloc(line, capacity);
                if (grown == NULL) {
                    stop_for_memory(x);
                    break;
                }
                line = grown;
            }
            line[size++] = bytes[i];
            if (bytes[i] != '\n') continue;
            line[size - 1] = 0;
            take_line(x, line);
            size = 0;
        }
    }
    free(line);
    const char *signal = tuff_cli_end_child(child, n < 0 || (x->stop && !x->over), &code);
    if (x->stop || tuff_cli_interrupted()) return;
    if (!x->over || (signal != NULL && n >= 0) || code != 0) take_loss(x, n == -1, signal, code);
}

/* The cases from `next` on that a child is to run: neighbours, without those that have failed before. */
static void choose_batch(isolation *x, size_t next)
{
    while (next < x->n && x->failed[next])
        next++;
    x->params.first = next;
    x->params.count = 0;
    while (next < x->n && !x->failed[next] && x->params.count < BATCH) {
        next++;
        x->params.count++;
    }
}

static bool goes_on(const isolation *x, double until)
{
    return !x->stop && !tuff_cli_interrupted() && tuff_cli_seconds() < until;
}

/* Runs the cases that have not failed, and begins none after `until`. False: there was none to run. */
static bool run_round(isolation *x, double until)
{
    child_task task = {.params = &x->params, .until = until};
    bool any = false;
    /* where there is no case, a child still tells of the device */
    for (x->next = 0; (x->next < x->n || x->described == NULL) && goes_on(x, until);) {
        choose_batch(x, x->next);
        x->next = x->params.first;
        if (x->params.count == 0 && x->n > 0) break;
        tuff_cli_child child;
        any = true;
        x->running = NONE;
        x->kernels[0] = 0;
        x->over = false;
        x->done = 0;
        x->began = tuff_cli_seconds();
        if (!tuff_cli_start_child(&child, run_child, &task)) {
            x->stop = true;
            tuff_cli_record_error(x->run->record, "", "a process for isolated cases cannot be started");
        } else {
            follow(x, &child);
        }
        x->next = x->params.first + x->done; /* behind the one that was lost, if any */
    }
    return any;
}

/* The last line of this device's record, from all that its children found. */
static void note_end(isolation *x, size_t rounds, double seconds)
{
    char line[128];
    snprintf(line, sizeof line, "{\"record\": \"end\", \"rounds\": %zu, \"seconds\": %.3f}", rounds, seconds);
    tuff_cli_record_line(x->record, line);
    tuff_conform_report **reports = NULL;
    size_t n = 0;
    char *text = NULL;
    if (tuff_conform_read(x->record->text, x->record->size, &reports, &n) == TUFF_OK &&
        tuff_conform_text((const tuff_conform_report *const *)reports, 1, TUFF_CONFORM_END, &text) == TUFF_OK)
        tuff_cli_record_line(x->run->record, text);
    else
        tuff_cli_failed();
    tuff_free(text);
    for (size_t i = 0; i < n; i++)
        tuff_conform_report_destroy(&reports[i]);
    tuff_free(reports);
}

/* Rounds until time is up or nothing is left to run; the first one has all the time it takes. How many. */
static size_t run_rounds(isolation *x)
{
    const tuff_conform_params *p = x->run->params;
    double until = tuff_cli_seconds() + 60 * (p->minutes > 0 ? p->minutes : 10);
    run_round(x, HUGE_VAL);
    size_t rounds = 1;
    if (x->next < x->n || x->described == NULL) return 0;
    while (p->level == TUFF_CONFORM_SOAK && goes_on(x, until) && (p->rounds == 0 || rounds < p->rounds)) {
        x->params.seed++;
        if (!run_round(x, until)) break;
        rounds++;
    }
    return rounds;
}

void tuff_cli_conform_isolated(tuff_cli_conform_run *run)
{
    tuff_cli_record own = {0};
    isolation x = {.run = run, .record = &own, .params = *run->params};
    double began = tuff_cli_seconds();
    if (tuff_conform_list(run->params, &x.cases, &x.n) != TUFF_OK) {
        tuff_cli_record_error(run->record, "", tuff_error_message());
        tuff_cli_failed();
        return;
    }
    x.failed = calloc(x.n + 1, sizeof *x.failed);
    x.params.rounds = 1;
    size_t rounds = 0;
    if (x.failed != NULL)
        rounds = run_rounds(&x);
    else
        stop_for_memory(&x);
    tuff_cli_show_line("");
    /* an interrupt after the first round is an end; before it nothing ends the record */
    if (!x.stop && rounds > 0) note_end(&x, rounds, tuff_cli_seconds() - began);
    if (!x.stop && x.described == NULL)
        tuff_cli_record_cut(run->record, run->params->device != NULL ? run->params->device : "");
    tuff_cli_record_free(&own);
    tuff_free(x.cases);
    free(x.described);
    free(x.failed);
}

/* ---- devices ---- */

static int list_child(FILE *out, void *user)
{
    char names[TUFF_CLI_DEVICES][16];
    size_t n;
    (void)user;
    if (!tuff_cli_conform_devices(names, &n)) return TUFF_EXIT_FAILED;
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s\n", names[i]);
    return TUFF_EXIT_OK;
}

bool tuff_cli_conform_devices_isolated(char names[][16], size_t *out_n, char why[TUFF_CLI_WHY])
{
    char text[TUFF_CLI_DEVICES * 16 + 1];
    size_t size = 0;
    int n, code = 0;
    tuff_cli_child child;
    *out_n = 0;
    snprintf(why, TUFF_CLI_WHY, "the devices cannot be listed");
    if (!tuff_cli_start_child(&child, list_child, NULL)) return false;
    while ((n = tuff_cli_read_child(&child, listing_seconds, text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)n;
    const char *signal = tuff_cli_end_child(&child, n < 0, &code);
    if (n == -2)
        snprintf(why, TUFF_CLI_WHY, "it was interrupted while the devices were listed");
    else if (n == -1)
        snprintf(why, TUFF_CLI_WHY, "listing the devices timed out after %.0f s", listing_seconds);
    else if (signal != NULL)
        snprintf(why, TUFF_CLI_WHY, "listing the devices crashed: %s", signal);
    if (n < 0 || signal != NULL) tuff_cli_say("tuff: %s", why);
    text[size] = 0;
    for (char *at = text; *at != 0 && *out_n < TUFF_CLI_DEVICES; at += strcspn(at, "\n") + 1)
        snprintf(names[(*out_n)++], 16, "%.*s", (int)strcspn(at, "\n"), at);
    return n == 0 && signal == NULL && code == 0;
}
