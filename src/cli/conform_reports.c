/* Reports of conform for people and for CI services, and the comparison with an older run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conform.h"

bool tuff_cli_is_standard(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

void tuff_cli_say_unwritten(const char *path)
{
    if (tuff_cli_is_standard(path))
        tuff_cli_stdout_failed(errno);
    else
        tuff_cli_say("tuff: %s cannot be written: %s", path, strerror(errno));
}

static bool write_report(const tuff_conform_report *const *reports, const tuff_conform_report *const *older,
                         size_t n, tuff_conform_format format, const char *path)
{
    if (path == NULL) return true;
    char *text = NULL;
    if (tuff_conform_text_compared(reports, older, n, format, &text) != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    bool standard = tuff_cli_is_standard(path);
    FILE *file = standard ? stdout : fopen(path, "wb");
    bool ok = file != NULL && fputs(text, file) >= 0;
    if (file != NULL && !standard) ok = fclose(file) == 0 && ok;
    tuff_free(text);
    if (!ok) tuff_cli_say_unwritten(path);
    return ok;
}

bool tuff_cli_reports_write(const tuff_cli_conform_options *o, const tuff_conform_report *const *reports,
                            const tuff_conform_report *const *older, size_t n)
{
    bool table = !o->common.quiet && !tuff_cli_is_standard(o->json) && !tuff_cli_is_standard(o->junit) &&
                 !tuff_cli_is_standard(o->html);
    bool ok = write_report(reports, NULL, n, TUFF_CONFORM_TEXT, table ? "-" : NULL);
    ok = write_report(reports, older, n, TUFF_CONFORM_JUNIT, o->junit) && ok;
    return write_report(reports, older, n, TUFF_CONFORM_HTML, o->html) && ok;
}

void tuff_cli_reports_free(tuff_conform_report **reports, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tuff_conform_report_destroy(&reports[i]);
    tuff_free(reports);
}

bool tuff_cli_reports_read(const char *path, tuff_cli_read_reports *out)
{
    tuff_conform_report **read = NULL;
    size_t n = 0;
    char *text = tuff_cli_read_text(path);
    if (text == NULL) return false;
    bool ok = tuff_conform_read(text, strlen(text), &read, &n) == TUFF_OK;
    if (!ok) tuff_cli_say("tuff: %s: %s", path, tuff_error_message());
    free(text);
    tuff_conform_report **all = ok ? realloc(out->all, (out->n + n + 1) * sizeof *all) : NULL;
    if (ok && all == NULL) tuff_cli_say("tuff: out of memory");
    if (all == NULL) {
        tuff_cli_reports_free(read, n);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        all[out->n++] = read[i];
    out->all = all;
    tuff_free(read);
    return true;
}

void tuff_cli_read_reports_free(tuff_cli_read_reports *reports)
{
    for (size_t i = 0; i < reports->n; i++)
        tuff_conform_report_destroy(&reports->all[i]);
    free(reports->all);
    *reports = (tuff_cli_read_reports){0};
}

bool tuff_cli_reports_begin(const tuff_cli_conform_options *o)
{
    const char *junit = tuff_cli_is_standard(o->junit) ? NULL : o->junit,
               *html = tuff_cli_is_standard(o->html) ? NULL : o->html;
    if (junit == NULL && html == NULL) return true;
    tuff_cli_record record = {0};
    tuff_conform_report **reports = NULL;
    size_t n = 0;
    char why[512] = "the run has not ended: it goes on, or it was killed";
    if (o->json != NULL && !tuff_cli_is_standard(o->json) && strlen(o->json) < 256)
        snprintf(
            why, sizeof why,
            "the run has not ended: it goes on, or it was killed; `tuff conform --from %s` tells what it "
            "has found",
            o->json);
    tuff_cli_record_error(&record, o->common.device != NULL ? o->common.device : "", why);
    bool ok = !record.failed && tuff_conform_read(record.text, record.size, &reports, &n) == TUFF_OK;
    if (!ok) tuff_cli_say("tuff: out of memory");
    const tuff_conform_report *const *all = (const tuff_conform_report *const *)reports;
    ok = ok && write_report(all, NULL, n, TUFF_CONFORM_JUNIT, junit) &&
         write_report(all, NULL, n, TUFF_CONFORM_HTML, html);
    tuff_cli_reports_free(reports, n);
    tuff_cli_record_free(&record);
    return ok;
}

/* A device's older report: of the same name and mask, else the only one. */
static const tuff_conform_report *older(const tuff_cli_read_reports *old, const tuff_conform_report *now)
{
    for (size_t i = 0; i < old->n; i++)
        if (strcmp(old->all[i]->device->name, now->device->name) == 0 &&
            strcmp(old->all[i]->mask, now->mask) == 0)
            return old->all[i];
    return old->n == 1 ? old->all[0] : NULL;
}

const tuff_conform_report **tuff_cli_reports_older(const tuff_cli_read_reports *old,
                                                   const tuff_conform_report *const *reports, size_t n)
{
    const tuff_conform_report **all = calloc(n + 1, sizeof *all);
    if (all == NULL) tuff_cli_say("tuff: out of memory");
    for (size_t i = 0; i < n && all != NULL; i++)
        all[i] = older(old, reports[i]);
    return all;
}

/* What was run then and not now. */
static void say_absent(const tuff_cli_conform_options *o, const tuff_cli_read_reports *old,
                       const tuff_conform_report *const *older, size_t n)
{
    for (size_t i = 0; i < old->n; i++) {
        bool there = false;
        for (size_t k = 0; k < n; k++)
            there = there || older[k] == old->all[i];
        if (!there && old->all[i]->device->name[0] != 0)
            tuff_cli_say("%s: it is in %s, and was not run now", old->all[i]->device->name, o->compare);
    }
}

bool tuff_cli_reports_compare(const tuff_cli_conform_options *o, const tuff_cli_read_reports *old,
                              const tuff_conform_report *const *reports,
                              const tuff_conform_report *const *older, size_t n)
{
    bool fine = true;
    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        size_t worse = 0;
        if (older[i] == NULL) {
            tuff_cli_say("%s: %s has nothing to compare it with", reports[i]->device->name, o->compare);
        } else if (tuff_conform_compare(older[i], reports[i], &text, &worse) == TUFF_OK) {
            bool standard = tuff_cli_is_standard(o->json) || tuff_cli_is_standard(o->junit) ||
                            tuff_cli_is_standard(o->html);
            fputs(text, standard ? stderr : stdout);
            fine = fine && worse == 0;
        } else {
            tuff_cli_failed();
            fine = false;
        }
        tuff_free(text);
    }
    say_absent(o, old, older, n);
    return fine;
}
