/* The record of a run: lines of JSON, written as it goes. read.c reads them. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "conform/ledger.h"
#include "conform/report.h"

static void key(tuff_buf *out, const char *name)
{
    char last = out->size > 0 ? out->data[out->size - 1] : '\0';
    tuff_buf_printf(out, "%s\"%s\": ", last == '{' ? "" : ", ", name);
}

static void text(tuff_buf *out, const char *name, const char *value)
{
    key(out, name);
    tuff_json_quote(out, value, strlen(value));
}

/* JSON has no infinity: a misplaced NaN or Inf is 1e300 units. */
static void number(tuff_buf *out, const char *name, double value)
{
    key(out, name);
    tuff_json_double(out, isfinite(value) ? value : 1e300);
}

static void count(tuff_buf *out, const char *name, uint64_t value)
{
    key(out, name);
    tuff_buf_printf(out, "%llu", (unsigned long long)value);
}

static void flag(tuff_buf *out, const char *name, bool value)
{
    key(out, name);
    tuff_buf_text(out, tuff_json_truth(value));
}

static void begin(tuff_buf *out, const char *record)
{
    tuff_buf_char(out, '{');
    text(out, "record", record);
}

static const char *const types[] = {[TUFF_DEVICE_DISCRETE] = "discrete",
                                    [TUFF_DEVICE_INTEGRATED] = "integrated",
                                    [TUFF_DEVICE_VIRTUAL] = "virtual",
                                    [TUFF_DEVICE_CPU] = "cpu",
                                    [TUFF_DEVICE_SOFTWARE] = "software"};

const char *tuff_report_device_type(tuff_device_type type)
{
    return types[type];
}

static void put_kernels(const tuff_ledger *ledger, tuff_buf *out)
{
    key(out, "kernels");
    tuff_buf_char(out, '[');
    for (size_t i = 0; i < ledger->report.n_rows; i++) {
        const tuff_conform_row *row = ledger->report.rows[i];
        tuff_buf_text(out, i > 0 ? ", {" : "{");
        text(out, "op", row->op);
        text(out, "kernel", row->row);
        flag(out, "fits", row->fits);
        flag(out, "batch_free", row->batch_free);
        tuff_buf_char(out, '}');
    }
    tuff_buf_char(out, ']');
}

static void put_place(const tuff_conform_report *r, tuff_buf *out)
{
    text(out, "version", r->version);
    text(out, "commit", r->commit);
    text(out, "date", r->date);
    text(out, "host", r->host);
    text(out, "system", r->system);
    text(out, "environment", r->environment);
}

static void put_asked(const tuff_asked *asked, tuff_buf *out)
{
    text(out, "asked_ops", asked->ops);
    text(out, "asked_cases", asked->name);
    text(out, "asked_without", asked->exclude);
    count(out, "shard", asked->shard);
    count(out, "shards", asked->shards);
    flag(out, "backward_only", asked->backward_only);
}

void tuff_record_run(const tuff_ledger *ledger, tuff_buf *out)
{
    const tuff_conform_report *r = &ledger->report;
    begin(out, "run");
    count(out, "format", 1);
    put_place(r, out);
    text(out, "device", r->device->name);
    text(out, "driver", r->device->driver);
    text(out, "backend", r->device->backend);
    text(out, "type", types[r->device->type]);
    text(out, "uuid", r->device->uuid);
    count(out, "memory", r->device->memory_bytes);
    text(out, "mask", r->mask);
    text(out, "level", tuff_report_level(r->level));
    count(out, "seed", r->seed);
    count(out, "permute", r->permute);
    count(out, "submit_ms", r->submit_ms);
    flag(out, "backward", r->backward);
    flag(out, "validated", ledger->validated);
    flag(out, "whole", ledger->whole);
    put_asked(&ledger->asked, out);
    count(out, "cases", r->n_planned);
    put_kernels(ledger, out);
    tuff_buf_char(out, '}');
}

void tuff_record_error(const tuff_ledger *ledger, tuff_buf *out)
{
    const tuff_conform_report *r = &ledger->report;
    begin(out, "error");
    text(out, "message", r->error);
    put_place(r, out);
    text(out, "device", r->device->name);
    tuff_buf_char(out, '}');
}

void tuff_record_begin(const char *name, tuff_buf *out)
{
    begin(out, "begin");
    text(out, "case", name);
    tuff_buf_char(out, '}');
}

void tuff_record_kernels(const char *name, const char *kernels, tuff_buf *out)
{
    begin(out, "kernels");
    text(out, "case", name);
    text(out, "kernels", kernels);
    tuff_buf_char(out, '}');
}

static void put_launches(const tuff_conform_case *c, tuff_buf *out)
{
    key(out, "launches");
    tuff_buf_char(out, '[');
    for (size_t i = 0; i < c->n_launches; i++) {
        const tuff_conform_launch *l = &c->launches[i];
        tuff_buf_text(out, i > 0 ? ", {" : "{");
        text(out, "kernel", l->kernel);
        text(out, "spirv", l->spirv);
        text(out, "constants", l->constants);
        for (int k = 0; k < 2; k++) {
            const uint32_t *v = k == 0 ? l->workgroup : l->grid;
            key(out, k == 0 ? "workgroup" : "grid");
            tuff_buf_printf(out, "[%u, %u, %u]", v[0], v[1], v[2]);
        }
        tuff_buf_char(out, '}');
    }
    tuff_buf_char(out, ']');
}

static void put_uses(const tuff_finding *f, tuff_buf *out)
{
    key(out, "used");
    tuff_buf_char(out, '[');
    for (size_t i = 0; i < f->n_uses; i++) {
        tuff_buf_text(out, i > 0 ? ", {" : "{");
        text(out, "kernel", f->uses[i].kernel);
        count(out, "uses", f->uses[i].uses);
        if (f->uses[i].batches > 0) count(out, "batches", f->uses[i].batches);
        if (f->uses[i].faults > 0) count(out, "faults", f->uses[i].faults);
        number(out, "worst", f->uses[i].worst);
        tuff_buf_char(out, '}');
    }
    tuff_buf_char(out, ']');
    key(out, "pipelines");
    tuff_buf_char(out, '[');
    for (size_t i = 0; i < f->n_pipelines; i++)
        tuff_buf_printf(out, "%s\"%016llx\"", i > 0 ? ", " : "", (unsigned long long)f->pipelines[i]);
    tuff_buf_char(out, ']');
}

static void put_failure(const tuff_conform_report *report, const tuff_conform_case *c, tuff_buf *out)
{
    tuff_buf command = {0};
    tuff_report_command(report, c, &command);
    text(out, "message", c->message);
    text(out, "blame", c->blame);
    put_launches(c, out);
    if (*c->dump != '\0') text(out, "dump", c->dump);
    text(out, "rerun", command.data != NULL ? command.data : "");
    out->failed |= command.failed;
    tuff_buf_free(&command);
}

void tuff_record_case(const tuff_conform_report *report, const tuff_finding *f, tuff_buf *out)
{
    const tuff_conform_case *c = &f->seen;
    begin(out, "case");
    text(out, "case", c->name);
    text(out, "family", c->family);
    text(out, "verdict", c->verdict);
    flag(out, "held", c->held);
    flag(out, "failed", c->held == c->listed);
    if (c->listed) flag(out, "listed", true);
    number(out, "worst", c->worst);
    number(out, "worst_backward", c->worst_backward);
    number(out, "milliseconds", c->milliseconds);
    count(out, "seed", c->seed);
    if (!c->held) put_failure(report, c, out);
    put_uses(f, out);
    count(out, "plans", f->plans);
    count(out, "dispatches", f->dispatches);
    if (f->validation > 0) count(out, "validation", f->validation);
    tuff_buf_char(out, '}');
}

void tuff_record_end(const tuff_ledger *ledger, tuff_buf *out)
{
    const tuff_conform_report *r = &ledger->report;
    begin(out, "end");
    text(out, "verdict", tuff_report_verdict(r->verdict));
    flag(out, "passed", tuff_conform_passed(r));
    count(out, "rounds", r->rounds);
    count(out, "cases_run", r->n_cases);
    count(out, "cases_failed", r->n_failed);
    count(out, "cases_listed", r->n_listed);
    count(out, "rows_unreached", r->n_unreached);
    count(out, "validation", r->validation);
    count(out, "plans", r->plans);
    count(out, "pipelines", r->pipelines);
    count(out, "dispatches", r->dispatches);
    number(out, "worst", r->worst);
    number(out, "worst_backward", r->worst_backward);
    number(out, "seconds", r->seconds);
    size_t fits = 0, used = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        fits += r->rows[i]->fits;
        used += r->rows[i]->fits && r->rows[i]->uses > 0;
    }
    count(out, "kernels_fit", fits);
    count(out, "kernels_used", used);
    count(out, "kernels_other", r->n_rows - fits);
    tuff_buf_char(out, '}');
}
