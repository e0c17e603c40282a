/* tuff conform: every operation on a device, against the truth. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/conform.h>

#include "cli/cli.h"

enum { MAX_DEVICES = 32 };

typedef struct options {
    tuff_cli_common common;
    bool all_devices, backward_only, forward_only, list;
    int level, require;
    int64_t seed, permute, rounds;
    double minutes;
    const char *ops, *name, *mask, *budget, *json, *junit, *html;
} options;

#define OPTION(kind_, name_, field, help_) \
    .kind = kind_, .name = name_, .offset = offsetof(options, field), .help = help_

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Which device:"},
    TUFF_CLI_DEVICE_ROWS,
    {OPTION(TUFF_ARG_FLAG, "all-devices", all_devices, "every usable device, one after the other")},
    {OPTION(TUFF_ARG_CHOICE, "require", require, "fail if no device of this kind was run"),
     .value = "any|vulkan"},
    {OPTION(
         TUFF_ARG_TEXT, "mask", mask,
         "behave as a lesser device: one named below, or settings (subgroup=none or N, fp16=off, int8=off, "
         "coopmat=off, software=off, shared=BYTES, allocation=BYTES, memory=BYTES), separated by commas"),
     .value = "LIST"},
    {OPTION(TUFF_ARG_TEXT, "budget", budget,
            "aim for this much device time per submit: milliseconds, or with a unit as in 5ms and 1s"),
     .value = "TIME", .preset = "100ms"},
    {OPTION(TUFF_ARG_INT, "permute", permute,
            "run the dispatches between barriers in a random order made from this number"),
     .value = "N", .high = 9e18, .preset = "in order"},
    {.kind = TUFF_ARG_GROUP, .name = "Which cases:"},
    {OPTION(TUFF_ARG_TEXT, "op", ops, "only these families or operations, separated by commas"),
     .value = "NAMES", .preset = "all"},
    {OPTION(TUFF_ARG_TEXT, "case", name, "only the case of this name"), .value = "NAME"},
    {OPTION(TUFF_ARG_FLAG, "backward", backward_only, "only cases that check gradients")},
    {OPTION(TUFF_ARG_FLAG, "forward-only", forward_only, "no gradients")},
    {OPTION(
         TUFF_ARG_CHOICE, "level", level,
         "full adds memory layouts and orders of steps, which must give the same bits; soak repeats full "
         "with larger random graphs, each round with the next seed, until time is up or it is interrupted"),
     .value = "quick|full|soak"},
    {OPTION(TUFF_ARG_REAL, "minutes", minutes, "of soak: how long; the first round is always finished"),
     .value = "N", .high = 1e6, .preset = "10"},
    {OPTION(TUFF_ARG_INT, "rounds", rounds, "of soak: end after as many rounds"), .value = "N", .high = 9e18,
     .preset = "any number"},
    {OPTION(TUFF_ARG_INT, "seed", seed, "of the data, and of the first round"), .value = "N", .high = 9e18},
    {OPTION(TUFF_ARG_FLAG, "list", list, "name the cases, with --json for machines, and run nothing")},
    {.kind = TUFF_ARG_GROUP, .name = "Reports (- is standard output):"},
    {OPTION(TUFF_ARG_TEXT, "report", html, "one HTML page: operations by devices, failures, all cases"),
     .value = "FILE"},
    {OPTION(TUFF_ARG_TEXT, "json", json, "everything, for machines"), .value = "FILE"},
    {OPTION(TUFF_ARG_TEXT, "junit", junit, "for CI services"), .value = "FILE"},
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args base_spec = {
    .verb = "conform",
    .usage = "[options]",
    .about =
        "Runs every operation, forward and backward, on a device and compares the results with a truth in double "
        "precision. Errors are given in units of each case's bound: 1 is the limit. The exit code is 0 only if all "
        "cases hold and every kernel that fits the device was reached.",
    .items = items,
    .count = sizeof items / sizeof items[0],
};

static bool is_standard(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

/* What would be ignored, or come out as nothing, is refused. */
static bool check_usage(const options *o)
{
    const char *wrong = NULL;
    if (o->all_devices && o->common.device != NULL)
        wrong = "--all-devices and --device are two answers to one question; give one";
    else if (o->backward_only && o->forward_only)
        wrong = "--backward and --forward-only leave nothing to check; give one";
    else if (o->level != TUFF_CONFORM_SOAK && (o->minutes > 0 || o->rounds > 0))
        wrong = "--minutes and --rounds are of --level soak";
    else if (is_standard(o->json) + is_standard(o->junit) + is_standard(o->html) > 1)
        wrong = "only one report can go to standard output";
    if (wrong != NULL) tuff_cli_say("tuff: %s (see: tuff help conform)", wrong);
    return wrong == NULL;
}

/* Before a run that may take long. */
static bool check_files(const options *o)
{
    const char *const paths[] = {o->html, o->json, o->junit};
    bool ok = true;
    for (size_t i = 0; i < 3 && ok; i++)
        ok = paths[i] == NULL || is_standard(paths[i]) || tuff_cli_can_create(paths[i], false);
    return ok;
}

static void say_unwritten(const char *path)
{
    if (is_standard(path))
        tuff_cli_stdout_failed(errno);
    else
        tuff_cli_say("tuff: %s cannot be written: %s", path, strerror(errno));
}

static void list_json(FILE *out, const tuff_conform_case *cases, size_t n)
{
    fputs("[\n", out);
    for (size_t i = 0; i < n; i++) {
        fputs("  {\"family\": ", out);
        tuff_cli_json_text(out, cases[i].family, strlen(cases[i].family));
        fputs(", \"case\": ", out);
        tuff_cli_json_text(out, cases[i].name, strlen(cases[i].name));
        fputs(i + 1 < n ? "},\n" : "}\n", out);
    }
    fputs("]\n", out);
}

static int list_cases(const tuff_conform_params *params, const char *json)
{
    tuff_conform_case *cases = NULL;
    size_t n = 0;
    if (tuff_conform_list(params, &cases, &n) != TUFF_OK) return tuff_cli_failed();
    bool standard = json == NULL || is_standard(json);
    FILE *out = standard ? stdout : fopen(json, "wb");
    if (json != NULL && out != NULL) list_json(out, cases, n);
    for (size_t i = 0; i < n && json == NULL; i++)
        puts(cases[i].name);
    tuff_conform_list_free(&cases);
    bool ok = out != NULL && (standard || fclose(out) == 0);
    if (!ok) say_unwritten(json);
    return ok ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

typedef struct progress {
    bool terminal, soak;
    size_t rounds, last; /* rounds begun; the last index seen */
} progress;

static bool show_progress(const tuff_conform_case *done, size_t index, size_t count, void *user)
{
    progress *p = user;
    if (p->rounds == 0 || index <= p->last) p->rounds++;
    p->last = index;
    if (!done->held) tuff_cli_say("FAILED %s: %s: %s", done->name, done->verdict, done->message);
    char line[96], round[32] = "";
    if (p->soak) snprintf(round, sizeof round, "round %zu: ", p->rounds);
    snprintf(line, sizeof line, "%s%zu of %zu cases, %s", round, index + 1, count, done->family);
    if (p->terminal) tuff_cli_show_line(index + 1 < count ? line : "");
    return !tuff_cli_interrupted();
}

static bool write_report(const tuff_conform_report *const *reports, size_t n, tuff_conform_format format,
                         const char *path)
{
    if (path == NULL) return true;
    char *text = NULL;
    if (tuff_conform_text(reports, n, format, &text) != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "wb");
    bool ok = file != NULL && fputs(text, file) >= 0;
    if (file != NULL && !standard) ok = fclose(file) == 0 && ok;
    tuff_conform_text_free(&text);
    if (!ok) say_unwritten(path);
    return ok;
}

static bool write_reports(const options *o, tuff_conform_report *const *reports, size_t n)
{
    const tuff_conform_report *all[MAX_DEVICES];
    for (size_t i = 0; i < n; i++)
        all[i] = reports[i];
    bool table = !o->common.quiet && !is_standard(o->json) && !is_standard(o->junit) && !is_standard(o->html);
    bool ok = write_report(all, n, TUFF_CONFORM_TEXT, table ? "-" : NULL);
    ok = write_report(all, n, TUFF_CONFORM_JSON, o->json) && ok;
    ok = write_report(all, n, TUFF_CONFORM_JUNIT, o->junit) && ok;
    return write_report(all, n, TUFF_CONFORM_HTML, o->html) && ok;
}

/* The indices of the devices to run, as names; one empty name for the default. */
static bool choose_devices(const options *o, char names[][16], size_t *out_n)
{
    static tuff_device_info found[MAX_DEVICES];
    size_t count = 0;
    *out_n = 1;
    if (!o->all_devices) return true;
    if (tuff_list_devices(found, MAX_DEVICES, &count) != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    *out_n = 0;
    for (size_t i = 0; i < count && i < MAX_DEVICES; i++)
        if (found[i].usable)
            snprintf(names[(*out_n)++], 16, "%zu", i);
        else
            tuff_cli_say("not run: %s: %s", found[i].name, found[i].reason);
    return true;
}

static int run(const options *o, tuff_conform_params *params)
{
    char names[MAX_DEVICES][16] = {{0}};
    tuff_conform_report *reports[MAX_DEVICES] = {0};
    size_t n_names, n = 0;
    bool ok = choose_devices(o, names, &n_names), vulkan = false;
    if (!ok) return TUFF_EXIT_FAILED;
    params->progress = show_progress;
    for (size_t i = 0; i < n_names && !tuff_cli_interrupted(); i++) {
        progress shown = {.terminal = tuff_cli_is_terminal(stderr), .soak = o->level == TUFF_CONFORM_SOAK};
        params->user = &shown;
        if (names[i][0] != 0) params->device = names[i];
        if (tuff_conform_run(params, &reports[n]) != TUFF_OK) {
            tuff_cli_failed();
            ok = false;
            continue;
        }
        ok = tuff_conform_passed(reports[n]) && ok;
        vulkan = vulkan || strcmp(reports[n]->device.backend, "vulkan") == 0;
        n++;
    }
    if (n > 0) ok = write_reports(o, reports, n) && ok;
    for (size_t i = 0; i < n; i++)
        tuff_conform_report_destroy(&reports[i]);
    if (!vulkan && n > 0) {
        tuff_cli_say("No Vulkan device was run: the kernels for GPUs are not covered by this result%s.",
                     o->require == 1 ? ", and --require vulkan asks for them" : "");
        if (o->require == 1) ok = false;
    }
    return ok ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

/* "100", "100ms", "1s"; at most 100 s. */
static bool read_budget(const char *text, uint32_t *out_ms)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    bool digits = *text >= '0' && *text <= '9';
    if (strcmp(end, "s") == 0 && value <= 100)
        value *= 1000;
    else if (*end != 0 && strcmp(end, "ms") != 0)
        digits = false;
    *out_ms = (uint32_t)value;
    return digits && value >= 1 && value <= 100000;
}

/* "Masks:", a line for each, and its settings under it. */
static void describe_masks(char *out, size_t size)
{
    size_t count, used = 0;
    const tuff_conform_mask *masks = tuff_conform_masks(&count);
    used += (size_t)snprintf(out, size, "Masks:");
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "\n  %-14s %s\n  %-14s %s", masks[i].name,
                                 masks[i].why, "", masks[i].settings);
}

int tuff_cli_conform(int argc, char **argv)
{
    char notes[2048];
    describe_masks(notes, sizeof notes);
    tuff_args spec = base_spec;
    spec.notes = notes;
    options o = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &o);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!check_usage(&o)) return TUFF_EXIT_USAGE;
    tuff_cli_begin(&o.common);
    if (!check_files(&o)) return TUFF_EXIT_FAILED;
    tuff_conform_params params = {.device = o.common.device,
                                  .ops = o.ops,
                                  .name = o.name,
                                  .mask = o.mask,
                                  .level = (tuff_conform_level)o.level,
                                  .minutes = o.minutes,
                                  .rounds = (uint64_t)o.rounds,
                                  .seed = (uint64_t)o.seed,
                                  .backward_only = o.backward_only,
                                  .forward_only = o.forward_only,
                                  .validate = o.common.validate,
                                  .permute = (uint64_t)o.permute};
    if (o.budget != NULL && !read_budget(o.budget, &params.submit_ms)) {
        tuff_cli_say("tuff: --budget %s is no time from 1ms to 100s", o.budget);
        return TUFF_EXIT_USAGE;
    }
    if (o.list) return list_cases(&params, o.json);
    tuff_cli_catch_interrupt();
    return run(&o, &params);
}
