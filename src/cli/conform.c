/* tuff conform: every operation on a device, against the truth. */
#include "cli/conform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef tuff_cli_conform_options options;

#define OPTION(kind_, name_, field, help_) \
    .kind = kind_, .name = name_, .offset = offsetof(options, field), .help = help_

/* The record holds it, and those of the rounds that follow, as JSON's numbers: up to 2^53. */
#define MOST_SEED 9e15

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Which device:"},
    TUFF_CLI_DEVICE_ROWS,
    {OPTION(TUFF_ARG_FLAG, "all-devices", all_devices, "every usable device, one after the other")},
    {OPTION(TUFF_ARG_CHOICE, "require", require, "fail if no device of this kind was run"),
     .value = "any|vulkan"},
    {OPTION(
         TUFF_ARG_TEXT, "mask", mask,
         "behave as a lesser device: one named below, or settings (subgroup=none or N, fp16=off, int8=off, "
         "coopmat=off, software=off, short=off, shared=BYTES, allocation=BYTES, memory=BYTES), separated by commas"),
     .value = "LIST"},
    {OPTION(TUFF_ARG_TEXT, "budget", budget,
            "aim for this much device time per submit: milliseconds, or with a unit as in 5ms and 1s"),
     .value = "TIME", .preset = "100ms"},
    {OPTION(TUFF_ARG_INT, "permute", permute,
            "run the dispatches between barriers in a random order made from this number"),
     .value = "N", .high = MOST_SEED, .preset = "in order"},
    {.kind = TUFF_ARG_GROUP, .name = "Which cases (lists of names with *, ? and [ab], separated by commas):"},
    {OPTION(TUFF_ARG_TEXT, "op", ops, "only these families or operations"), .value = "NAMES",
     .preset = "all"},
    {OPTION(TUFF_ARG_TEXT, "case", name, "only these cases, as in 'matmul.nt.*,softmax.3x7'"),
     .value = "NAMES", .preset = "all"},
    {OPTION(TUFF_ARG_TEXT, "case-list", case_list,
            "only the cases in this file: a name on each line, # before remarks; with --case, those too"),
     .value = "FILE"},
    {OPTION(TUFF_ARG_TEXT, "exclude", exclude, "not these cases"), .value = "NAMES"},
    {OPTION(
         TUFF_ARG_TEXT, "expect-fail", expect_fail,
         "the cases in this file fail: that fails no run, but one of them that holds does, until it is taken "
         "out of the file"),
     .value = "FILE"},
    {OPTION(
         TUFF_ARG_TEXT, "shard", shard,
         "only part I of N (I from 1): by a hash of each case's name, whatever else there is; it may be empty"),
     .value = "I/N"},
    {OPTION(TUFF_ARG_FLAG, "backward", backward_only, "only cases that check gradients")},
    {OPTION(TUFF_ARG_FLAG, "forward-only", forward_only, "no gradients")},
    {OPTION(
         TUFF_ARG_CHOICE, "level", level,
         "full adds memory layouts and orders of steps, which must give the same bits; soak repeats full "
         "with larger random graphs, each round with the next seed, until time is up or it is interrupted: after its first round that is an "
         "end like any other"),
     .value = "quick|full|soak"},
    {OPTION(TUFF_ARG_REAL, "minutes", minutes, "of soak: how long; the first round is always finished"),
     .value = "N", .high = 1e6, .preset = "10"},
    {OPTION(TUFF_ARG_INT, "rounds", rounds, "of soak: end after as many rounds"), .value = "N", .high = 9e18,
     .preset = "any number"},
    {OPTION(TUFF_ARG_INT, "seed", seed, "of the data, and of the first round"), .value = "N",
     .high = MOST_SEED},
    {OPTION(TUFF_ARG_FLAG, "list", list, "name the cases, with --json for machines, and run nothing")},
    {.kind = TUFF_ARG_GROUP, .name = "A driver that crashes or hangs:"},
    {OPTION(
        TUFF_ARG_FLAG, "isolate", isolate,
        "run the cases in child processes, 64 at a time: a crash or a hang is the result of the case that ran, "
        "and the next child goes on behind it")},
    {OPTION(TUFF_ARG_REAL, "timeout", timeout, "of --isolate: how many seconds a case may take"),
     .value = "SECONDS", .high = 1e6, .preset = "300"},
    {.kind = TUFF_ARG_GROUP, .name = "Reports (- is standard output):"},
    {OPTION(TUFF_ARG_TEXT, "report", html, "one HTML page: operations by devices, failures, all cases"),
     .value = "FILE", .use = TUFF_USE_WRITTEN},
    {OPTION(
         TUFF_ARG_TEXT, "json", json,
         "everything, for machines: lines of JSON, each written as it happens, so that they tell what ran when "
         "this process was killed"),
     .value = "FILE", .use = TUFF_USE_WRITTEN},
    {OPTION(TUFF_ARG_TEXT, "junit", junit, "for CI services"), .value = "FILE", .use = TUFF_USE_WRITTEN},
    {OPTION(
         TUFF_ARG_TEXT, "compare", compare,
         "an older --json file: tell what fails now and did not, what was mended, what is slower or missing; cases "
         "that held and are missing now are a failure of this run, but for those that it was not asked for"),
     .value = "FILE"},
    {OPTION(TUFF_ARG_LIST, "from", from,
            "run nothing: make the reports of this --json file, of a run that has ended or was killed, and "
            "compare it; may be given again, for one report of several devices"),
     .value = "FILE"},
    {OPTION(
         TUFF_ARG_TEXT, "dump", dump,
         "write inputs, results and expected results (.npy) of failing cases, the SPIR-V of the kernels to "
         "blame, and how to run the case again (case.txt), into a folder for each"),
     .value = "DIRECTORY", .use = TUFF_USE_ADDED_TO},
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args base_spec = {
    .verb = "conform",
    .usage = "[options]",
    .about =
        "Runs every operation, forward and backward, on a device and compares the results with a truth in double "
        "precision. Errors are given in units of each case's bound: 1 is the limit. Exit codes: 0 all cases held, and "
        "every kernel that fits the device was reached; 1 a case failed, or a kernel was not reached, or --compare finds "
        "cases missing that held; 2 wrong usage; 3 "
        "there is no such device, or it cannot be opened or validated; 4 interrupted before all cases had been run. The "
        "reports are written in all cases but 2, and say the same; while a run lasts, and after it was killed, they say "
        "that it has not ended.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff conform --device radeon --report report.html\n"
                "tuff conform --all-devices --level full --json run.jsonl",
};

static bool is_for_a_run(const options *o)
{
    const char *const texts[] = {o->common.device, o->ops,         o->name,  o->case_list,
                                 o->exclude,       o->expect_fail, o->shard, o->mask,
                                 o->budget,        o->json,        o->dump};
    const bool flags[] = {o->common.validate, o->all_devices, o->backward_only,
                          o->forward_only,    o->list,        o->isolate};
    bool any = o->common.threads > 0 || o->level > 0 || o->require > 0 || o->seed > 0 || o->permute > 0 ||
               o->rounds > 0 || o->minutes > 0 || o->timeout > 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        any = any || texts[i] != NULL;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        any = any || flags[i];
    return any;
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
    else if (o->timeout > 0 && !o->isolate)
        wrong = "--timeout is of --isolate: only another process can be ended";
    else if (tuff_cli_is_standard(o->json) + tuff_cli_is_standard(o->junit) + tuff_cli_is_standard(o->html) >
             1)
        wrong = "only one report can go to standard output";
    else if (o->from.count > 0 && is_for_a_run(o))
        wrong = "--from runs nothing: --report, --junit, --compare and --quiet are what goes with it";
    if (wrong != NULL) tuff_cli_say("tuff: %s (see: tuff help conform)", wrong);
    return wrong == NULL;
}

/* ---- --list ---- */

static void list_json(FILE *out, tuff_conform_case *const *cases, size_t n)
{
    fputs("[\n", out);
    for (size_t i = 0; i < n; i++) {
        fputs("  {\"family\": ", out);
        tuff_cli_json_text(out, cases[i]->family, strlen(cases[i]->family));
        fputs(", \"case\": ", out);
        tuff_cli_json_text(out, cases[i]->name, strlen(cases[i]->name));
        fputs(i + 1 < n ? "},\n" : "}\n", out);
    }
    fputs("]\n", out);
}

static int list_cases(tuff_conform_case *const *cases, size_t n, const char *json)
{
    bool standard = json == NULL || tuff_cli_is_standard(json);
    FILE *out = standard ? stdout : fopen(json, "wb");
    if (json != NULL && out != NULL) list_json(out, cases, n);
    for (size_t i = 0; i < n && json == NULL; i++)
        puts(cases[i]->name);
    bool ok = out != NULL && (standard || fclose(out) == 0);
    if (!ok) tuff_cli_say_unwritten(json);
    return ok ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

/* ---- the run's result ---- */

/* `cut`: there was more to run; `interrupted`: because somebody stopped it, as far as is known. */
static int exit_code(bool interrupted, bool cut, const tuff_conform_report *const *reports, size_t n)
{
    bool failed = false, missing = n == 0;
    for (size_t i = 0; i < n; i++) {
        failed = failed || reports[i]->verdict == TUFF_CONFORM_FAILED;
        cut = cut || reports[i]->verdict == TUFF_CONFORM_INTERRUPTED;
        missing = missing || reports[i]->verdict == TUFF_CONFORM_NOT_RUN;
    }
    return interrupted && cut ? TUFF_EXIT_INTERRUPTED
           : failed || cut    ? TUFF_EXIT_FAILED
           : missing          ? TUFF_EXIT_NO_DEVICE
                              : TUFF_EXIT_OK;
}

/* ---- the run ---- */

static void run_devices(const options *o, tuff_conform_params *params, tuff_cli_record *record)
{
    char names[TUFF_CLI_DEVICES][16] = {{0}}, why[TUFF_CLI_WHY] = "the devices cannot be listed";
    size_t n = 1;
    bool listed = true, to_stdout = tuff_cli_is_standard(o->json) || tuff_cli_is_standard(o->junit) ||
                                    tuff_cli_is_standard(o->html);
    if (o->all_devices)
        listed = o->isolate ? tuff_cli_conform_devices_isolated(names, &n, why)
                            : tuff_cli_conform_devices(names, &n);
    if (!listed || n == 0) tuff_cli_record_error(record, "", listed ? "no device is usable" : why);
    record->cut = !listed && tuff_cli_interrupted();
    for (size_t i = 0; i < n && listed; i++) {
        if (tuff_cli_interrupted()) {
            tuff_cli_record_cut(record, names[i]);
            continue;
        }
        bool terminal = tuff_cli_is_terminal(stderr) && (to_stdout || tuff_cli_is_terminal(stdout));
        tuff_cli_conform_run run = {.options = o, .params = params, .record = record};
        run.lines = (tuff_cli_case_lines){.terminal = terminal, .soak = o->level == TUFF_CONFORM_SOAK};
        if (!o->common.quiet) run.lines.out = to_stdout || terminal ? stderr : stdout;
        if (names[i][0] != 0) params->device = names[i];
        if (o->isolate)
            tuff_cli_conform_isolated(&run);
        else
            tuff_cli_conform_here(&run);
    }
}

/* The record's own error where a device was required that nobody has. */
static void check_required(const options *o, tuff_cli_record *record)
{
    tuff_conform_report **reports = NULL;
    size_t n = 0;
    bool vulkan = false, any = false;
    if (record->size == 0 || tuff_conform_read(record->text, record->size, &reports, &n) != TUFF_OK) return;
    for (size_t i = 0; i < n; i++) {
        any = any || reports[i]->device->backend[0] != 0;
        vulkan = vulkan || strcmp(reports[i]->device->backend, "vulkan") == 0;
    }
    tuff_cli_reports_free(reports, n);
    const bool chosen =
        o->common.quiet && o->common.device != NULL; /* who wants to hear nothing, and knows it */
    if (vulkan || !any || (chosen && o->require != 1)) return;
    static const char text[] =
        "No Vulkan device was run: the kernels for GPUs are not covered by this result";
    char sentence[192];
    snprintf(sentence, sizeof sentence, "%s%s.", text,
             o->require == 1 ? ", and --require vulkan asks for them" : "");
    tuff_cli_say("%s", sentence);
    if (o->require == 1) tuff_cli_record_error(record, "", sentence);
}

/* Where the record cannot be read again, the reports say only that. */
static bool read_again(tuff_cli_record *record, tuff_conform_report ***out_reports, size_t *out_n)
{
    if (tuff_conform_read(record->text, record->size, out_reports, out_n) == TUFF_OK) return true;
    char why[512];
    snprintf(why, sizeof why, "what was found cannot be read again: %s", tuff_error_message());
    tuff_cli_say("tuff: %s", why);
    size_t before = record->size;
    tuff_cli_record_error(record, "", why);
    if (tuff_conform_read(record->text + before, record->size - before, out_reports, out_n) != TUFF_OK)
        tuff_cli_failed();
    return false;
}

/* Writes the reports of a result and compares it; the exit code, which may be worse for that. */
static int report(const options *o, const tuff_cli_read_reports *old,
                  const tuff_conform_report *const *reports, size_t n, int code)
{
    const tuff_conform_report **older = tuff_cli_reports_older(old, reports, n);
    bool ok = older != NULL && (n == 0 || tuff_cli_reports_write(o, reports, older, n));
    if (older != NULL && old->n > 0) ok = tuff_cli_reports_compare(o, old, reports, older, n) && ok;
    free(older);
    ok = tuff_cli_flush() && ok;
    return !ok && code == TUFF_EXIT_OK ? TUFF_EXIT_FAILED : code;
}

static int finish(const options *o, tuff_cli_record *record, const tuff_cli_read_reports *old)
{
    tuff_conform_report **reports = NULL;
    size_t n = 0;
    if (record->size == 0) tuff_cli_record_error(record, "", "nothing was found out about any device");
    bool known = read_again(record, &reports, &n);
    const tuff_conform_report *const *all = (const tuff_conform_report *const *)reports;
    int code = known ? exit_code(tuff_cli_interrupted(), record->cut, all, n) : TUFF_EXIT_FAILED;
    code = report(o, old, all, n, code);
    if (record->failed && code == TUFF_EXIT_OK) code = TUFF_EXIT_FAILED;
    tuff_cli_record_close(record, code);
    if (record->failed && code == TUFF_EXIT_OK) code = TUFF_EXIT_FAILED;
    tuff_cli_reports_free(reports, n);
    return code;
}

static int run(const options *o, tuff_conform_params *params)
{
    tuff_cli_read_reports old = {0};
    if (o->compare != NULL && !tuff_cli_reports_read(o->compare, &old)) return TUFF_EXIT_USAGE;
    tuff_cli_record record = {0};
    int code = TUFF_EXIT_FAILED;
    if (tuff_cli_reports_begin(o) && tuff_cli_record_open(&record, o->json)) {
        tuff_cli_catch_interrupt();
        run_devices(o, params, &record);
        check_required(o, &record);
        code = finish(o, &record, &old);
    }
    tuff_cli_record_free(&record);
    tuff_cli_read_reports_free(&old);
    return code;
}

/* ---- --from ---- */

static int report_records(const options *o)
{
    tuff_cli_read_reports old = {0}, read = {0};
    bool known = o->compare == NULL || tuff_cli_reports_read(o->compare, &old);
    for (size_t i = 0; i < o->from.count && known; i++)
        known = tuff_cli_reports_read(o->from.items[i], &read);
    int code = TUFF_EXIT_USAGE;
    if (known) {
        const tuff_conform_report *const *all = (const tuff_conform_report *const *)read.all;
        code = report(o, &old, all, read.n, exit_code(true, false, all, read.n));
    }
    tuff_cli_read_reports_free(&old);
    tuff_cli_read_reports_free(&read);
    return code;
}

/* ---- options ---- */

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

/* "2/5" */
static bool read_shard(const char *text, tuff_conform_params *params)
{
    char *end, *last;
    unsigned long shard = strtoul(text, &end, 10), shards = *end == '/' ? strtoul(end + 1, &last, 10) : 0;
    bool ok = *text >= '0' && *text <= '9' && shards > 0 && *last == 0 && end[1] >= '0' && end[1] <= '9' &&
              shard >= 1 && shard <= shards && shards <= 1000000;
    params->shard = (uint32_t)shard;
    params->shards = (uint32_t)shards;
    if (!ok) tuff_cli_say("tuff: --shard %s is no part, expected I/N with I from 1 to N", text);
    return ok;
}

/* "Masks:", a line for each, and its settings under it. */
static void describe_masks(char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "Masks:");
    const tuff_conform_mask *mask;
    for (size_t i = 0; (mask = tuff_conform_mask_at(i)) != NULL && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "\n  %-14s %s\n  %-14s %s", mask->name, mask->why,
                                 "", mask->settings);
}

/* The texts of --case and --case-list as one list; freed by the caller. */
static bool join_names(const options *o, char **out)
{
    char *file = NULL;
    *out = NULL;
    if (o->name == NULL && o->case_list == NULL) return true;
    if (o->case_list != NULL && (file = tuff_cli_read_text(o->case_list)) == NULL) return false;
    size_t size = (file != NULL ? strlen(file) : 0) + (o->name != NULL ? strlen(o->name) : 0) + 2;
    *out = malloc(size);
    if (*out != NULL)
        snprintf(*out, size, "%s\n%s", o->name != NULL ? o->name : "", file != NULL ? file : "");
    free(file);
    return *out != NULL;
}

/* With the cases listed, which finds all that is wrong with their choice before anything runs. */
static int choose_and_run(const options *o, tuff_conform_params *params)
{
    tuff_conform_case **cases = NULL;
    size_t n = 0;
    if (tuff_conform_list(params, &cases, &n) != TUFF_OK) {
        tuff_cli_failed();
        return TUFF_EXIT_USAGE;
    }
    int code = o->list ? list_cases(cases, n, o->json) : TUFF_EXIT_OK;
    tuff_free(cases);
    return o->list ? code : run(o, params);
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
    if (!tuff_cli_check_outputs(&spec, &o) || (o.dump && !tuff_cli_can_create(o.dump, true)))
        return TUFF_EXIT_FAILED;
    if (o.from.count > 0) return report_records(&o);
    tuff_conform_params params = TUFF_CONFORM_PARAMS_INIT;
    params.device = o.common.device;
    params.ops = o.ops;
    params.exclude = o.exclude;
    params.mask = o.mask;
    params.level = (tuff_conform_level)o.level;
    params.minutes = o.minutes;
    params.rounds = (uint64_t)o.rounds;
    params.seed = (uint64_t)o.seed;
    params.backward_only = o.backward_only;
    params.forward_only = o.forward_only;
    params.validate = o.common.validate;
    params.threads = (uint32_t)o.common.threads;
    params.permute = (uint64_t)o.permute;
    params.dump = o.dump;
    if (o.timeout == 0) o.timeout = 300;
    if (o.budget != NULL && !read_budget(o.budget, &params.submit_ms)) {
        tuff_cli_say("tuff: --budget %s is no time from 1ms to 100s", o.budget);
        return TUFF_EXIT_USAGE;
    }
    if (o.shard != NULL && !read_shard(o.shard, &params)) return TUFF_EXIT_USAGE;
    char *names = NULL, *failing = NULL;
    int code = TUFF_EXIT_USAGE;
    if (join_names(&o, &names) &&
        (o.expect_fail == NULL || (failing = tuff_cli_read_text(o.expect_fail)) != NULL)) {
        params.name = names;
        params.expect_fail = failing;
        code = choose_and_run(&o, &params);
    }
    free(names);
    free(failing);
    return code;
}
