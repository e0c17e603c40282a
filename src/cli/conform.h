/* tuff conform inside: its options, the record of a run, runs in this process and in others. */
#ifndef TUFF_CLI_CONFORM_H
#define TUFF_CLI_CONFORM_H

#include <tuff/conform.h>

#include "cli/cli.h"

typedef struct tuff_cli_conform_options {
    tuff_cli_common common;
    bool all_devices, backward_only, forward_only, list, isolate;
    int level, require;
    int64_t seed, permute, rounds;
    double minutes, timeout;
    const char *ops, *name, *case_list, *exclude, *expect_fail, *shard;
    const char *mask, *budget, *json, *junit, *html, *compare, *dump;
    tuff_arg_list from;
} tuff_cli_conform_options;

/* The record: kept whole for the reports at the end, and written to the file of --json as it goes. */
typedef struct tuff_cli_record {
    FILE *file; /* NULL: nobody wants it */
    const char *path;
    char *text;
    size_t size, capacity;
    bool failed; /* it could not be written, which was said */
    bool cut;    /* a device was not run because of an interrupt */
} tuff_cli_record;
bool tuff_cli_record_open(tuff_cli_record *record, const char *path);
/* A line without its end; flushed, so that it outlives this process. */
void tuff_cli_record_line(tuff_cli_record *record, const char *line);
/* {"record": "error"}: the device, or "", and why it was not run. */
void tuff_cli_record_error(tuff_cli_record *record, const char *device, const char *message);
/* An error, too: the device was not run, for an interrupt came before. */
void tuff_cli_record_cut(tuff_cli_record *record, const char *device);
/* Writes what is the last line, and closes the file. */
void tuff_cli_record_close(tuff_cli_record *record, int exit_code);
void tuff_cli_record_free(tuff_cli_record *record);

/* What is shown of a run as it goes. A terminal sees the case that runs in a line that is replaced; elsewhere
 * each case has a line, flushed before and after it runs. */
typedef struct tuff_cli_case_lines {
    FILE *out; /* NULL: only failures, to stderr */
    bool terminal, soak;
    size_t rounds, last; /* rounds begun; the last index seen */
} tuff_cli_case_lines;
void tuff_cli_case_begins(tuff_cli_case_lines *lines, const char *name, size_t index, size_t count);
/* `verdict` is "held" where `found` is NULL, else what was found. */
void tuff_cli_case_ended(tuff_cli_case_lines *lines, const char *name, const char *outcome, const char *found,
                         bool failed, double worst, double milliseconds);

/* ---- reports for people and CI services */

/* "-" */
bool tuff_cli_is_standard(const char *path);
/* Says so, with errno. */
void tuff_cli_say_unwritten(const char *path);
/* Before anything is run: the HTML and JUnit files say that the run has not ended. Whoever kills it must not
 * find the verdict of an older one there. False, saying why, when they cannot be written. */
bool tuff_cli_reports_begin(const tuff_cli_conform_options *options);
/* `older`: see tuff_conform_text_compared. */
bool tuff_cli_reports_write(const tuff_cli_conform_options *options,
                            const tuff_conform_report *const *reports,
                            const tuff_conform_report *const *older, size_t n);
void tuff_cli_reports_free(tuff_conform_report **reports, size_t n);

/* Reports of records that are files. */
typedef struct tuff_cli_read_reports {
    tuff_conform_report **all;
    size_t n;
} tuff_cli_read_reports;
/* Adds those of one file. False, saying why, when it cannot be read. */
bool tuff_cli_reports_read(const char *path, tuff_cli_read_reports *reports);
void tuff_cli_read_reports_free(tuff_cli_read_reports *reports);
/* Of those of --compare, the one that each is compared with, or NULL; freed with free. NULL, having said so,
 * without memory. */
const tuff_conform_report **tuff_cli_reports_older(const tuff_cli_read_reports *old,
                                                   const tuff_conform_report *const *reports, size_t n);
/* Tells what changed; false: something is worse. */
bool tuff_cli_reports_compare(const tuff_cli_conform_options *options, const tuff_cli_read_reports *old,
                              const tuff_conform_report *const *reports,
                              const tuff_conform_report *const *older, size_t n);

/* Runs of one device; what they find is in the record, also why it could not be opened. */
typedef struct tuff_cli_conform_run {
    const tuff_cli_conform_options *options;
    const tuff_conform_params *params;
    tuff_cli_record *record;
    tuff_cli_case_lines lines;
} tuff_cli_conform_run;
/* "held", "FAILED", "failed as expected" */
const char *tuff_cli_case_outcome(const tuff_conform_case *c);
void tuff_cli_conform_here(tuff_cli_conform_run *run);
void tuff_cli_conform_isolated(tuff_cli_conform_run *run);
/* The indices of all usable devices, as names; what is not usable is said. False: they cannot be listed. */
enum { TUFF_CLI_DEVICES = 32, TUFF_CLI_WHY = 160 };
bool tuff_cli_conform_devices(char names[][16], size_t *out_n);
/* The same, asked in another process: this one stays without drivers and threads. False: `why` tells. */
bool tuff_cli_conform_devices_isolated(char names[][16], size_t *out_n, char why[TUFF_CLI_WHY]);

#endif
