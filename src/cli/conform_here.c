/* Conformance runs in this process. */
#include <string.h>

#include "cli/conform.h"

static void on_record(const char *line, void *user)
{
    tuff_cli_conform_run *run = user;
    tuff_cli_record_line(run->record, line);
}

static void on_begin(const char *name, size_t index, size_t count, void *user)
{
    tuff_cli_conform_run *run = user;
    tuff_cli_case_begins(&run->lines, name, index, count);
}

const char *tuff_cli_case_outcome(const tuff_conform_case *c)
{
    if (c->held) return c->listed ? "HELD, but is listed as failing" : "held";
    return c->listed ? "failed as expected" : "FAILED";
}

static bool on_end(const tuff_conform_case *c, size_t index, size_t count, void *user)
{
    tuff_cli_conform_run *run = user;
    (void)index;
    (void)count;
    char found[1024];
    snprintf(found, sizeof found, "%s: %s", c->verdict, c->message);
    tuff_cli_case_ended(&run->lines, c->name, tuff_cli_case_outcome(c), c->held ? NULL : found, c->failed,
                        c->worst > c->worst_backward ? c->worst : c->worst_backward, c->milliseconds);
    return !tuff_cli_interrupted();
}

void tuff_cli_conform_here(tuff_cli_conform_run *run)
{
    tuff_conform_params params = *run->params;
    params.begin = on_begin;
    params.progress = on_end;
    params.record = on_record;
    params.user = run;
    tuff_conform_report *report = NULL;
    if (tuff_conform_run(&params, &report) != TUFF_OK && !tuff_cli_interrupted()) tuff_cli_failed();
    tuff_cli_show_line("");
    tuff_conform_report_destroy(&report);
}

bool tuff_cli_conform_devices(char names[][16], size_t *out_n)
{
    static tuff_device_info found[TUFF_CLI_DEVICES] = {TUFF_DEVICE_INFO_INIT};
    size_t count = 0;
    *out_n = 0;
    if (tuff_list_devices(found, TUFF_CLI_DEVICES, &count) != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    for (size_t i = 0; i < count && i < TUFF_CLI_DEVICES; i++)
        if (found[i].usable)
            snprintf(names[(*out_n)++], 16, "%zu", i);
        else
            tuff_cli_say("not run: %s: %s", found[i].name, found[i].reason);
    return true;
}
