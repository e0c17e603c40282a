/* Reports made of a record: of this process, of its children, of a file of last week. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "conform/ledger.h"
#include "conform/report.h"

typedef struct reader {
    tuff_conform_report **reports; /* each begins a ledger */
    size_t n, capacity;
} reader;

/* ---- values; what is missing or of another kind is empty, for later versions may change it ---- */

static const char *text(const cJSON *o, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static uint64_t count(const cJSON *o, const char *name)
{
    double value = number(o, name);
    return value >= 0 && value < 18e18 ? (uint64_t)value : 0;
}

static bool flag(const cJSON *o, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static void triple(const cJSON *o, const char *name, uint32_t out[3])
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(o, name), *item;
    int i = 0;
    cJSON_ArrayForEach(item, array) if (i < 3 && cJSON_IsNumber(item) && item->valuedouble >= 0) out[i++] =
        (uint32_t)item->valuedouble;
}

/* ---- records ---- */

static tuff_status new_ledger(reader *r, tuff_ledger **out)
{
    if (!tuff_grow((void **)&r->reports, r->n, &r->capacity, sizeof *r->reports))
        return tuff_fail_memory("a conformance report");
    TUFF_TRY(tuff_ledger_create(out));
    r->reports[r->n++] = &(*out)->report;
    return TUFF_OK;
}

static void read_device(const cJSON *o, tuff_ledger *ledger)
{
    tuff_device_info *d = &ledger->device;
    snprintf(d->name, sizeof d->name, "%s", text(o, "device"));
    snprintf(d->driver, sizeof d->driver, "%s", text(o, "driver"));
    snprintf(d->backend, sizeof d->backend, "%s", text(o, "backend"));
    snprintf(d->uuid, sizeof d->uuid, "%s", text(o, "uuid"));
    d->memory_bytes = count(o, "memory");
    for (int type = TUFF_DEVICE_DISCRETE; type <= TUFF_DEVICE_SOFTWARE; type++)
        if (strcmp(tuff_report_device_type((tuff_device_type)type), text(o, "type")) == 0)
            d->type = (tuff_device_type)type;
}

static void read_place(const cJSON *o, tuff_ledger *ledger, tuff_status *status)
{
    tuff_conform_report *r = &ledger->report;
    r->version = tuff_ledger_text(ledger, text(o, "version"), status);
    r->commit = tuff_ledger_text(ledger, text(o, "commit"), status);
    r->date = tuff_ledger_text(ledger, text(o, "date"), status);
    r->host = tuff_ledger_text(ledger, text(o, "host"), status);
    r->system = tuff_ledger_text(ledger, text(o, "system"), status);
    r->environment = tuff_ledger_text(ledger, text(o, "environment"), status);
}

static tuff_status read_run(reader *r, const cJSON *o)
{
    tuff_ledger *ledger;
    TUFF_TRY(new_ledger(r, &ledger));
    tuff_status status = TUFF_OK;
    tuff_conform_report *report = &ledger->report;
    read_device(o, ledger);
    for (int level = TUFF_CONFORM_QUICK; level <= TUFF_CONFORM_SOAK; level++)
        if (strcmp(tuff_report_level((tuff_conform_level)level), text(o, "level")) == 0)
            report->level = (tuff_conform_level)level;
    snprintf(report->mask, sizeof report->mask, "%s", text(o, "mask"));
    report->seed = count(o, "seed");
    report->permute = count(o, "permute");
    report->submit_ms = (uint32_t)count(o, "submit_ms");
    report->backward = flag(o, "backward");
    report->n_planned = (size_t)count(o, "cases");
    read_place(o, ledger, &status);
    ledger->validated = flag(o, "validated");
    ledger->whole = flag(o, "whole");
    ledger->asked = (tuff_asked){.ops = tuff_ledger_text(ledger, text(o, "asked_ops"), &status),
                                 .name = tuff_ledger_text(ledger, text(o, "asked_cases"), &status),
                                 .exclude = tuff_ledger_text(ledger, text(o, "asked_without"), &status),
                                 .shard = (uint32_t)count(o, "shard"),
                                 .shards = (uint32_t)count(o, "shards"),
                                 .backward_only = flag(o, "backward_only")};
    const cJSON *kernel;
    cJSON_ArrayForEach(kernel, cJSON_GetObjectItemCaseSensitive(o, "kernels"))
    {
        if (status != TUFF_OK) break;
        status = tuff_ledger_add_kernel(ledger, text(kernel, "op"), text(kernel, "kernel"),
                                        flag(kernel, "fits"), flag(kernel, "batch_free"));
    }
    return status;
}

static tuff_status read_launches(const cJSON *o, tuff_ledger *ledger, tuff_finding *f)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(o, "launches"), *item;
    size_t n = (size_t)cJSON_GetArraySize(array);
    tuff_conform_launch *launches = tuff_arena_array(&ledger->arena, n + 1, sizeof *launches);
    if (launches == NULL) return tuff_fail_memory("a conformance report");
    cJSON_ArrayForEach(item, array)
    {
        tuff_conform_launch *l = &launches[f->seen.n_launches++];
        l->kernel = text(item, "kernel");
        l->spirv = text(item, "spirv");
        l->constants = text(item, "constants");
        triple(item, "workgroup", l->workgroup);
        triple(item, "grid", l->grid);
    }
    f->seen.launches = launches;
    return TUFF_OK;
}

static tuff_status read_uses(const cJSON *o, tuff_ledger *ledger, tuff_finding *f)
{
    const cJSON *used = cJSON_GetObjectItemCaseSensitive(o, "used"), *item,
                *hashes = cJSON_GetObjectItemCaseSensitive(o, "pipelines");
    tuff_kernel_use *uses =
        tuff_arena_array(&ledger->arena, (size_t)cJSON_GetArraySize(used) + 1, sizeof *uses);
    uint64_t *pipelines =
        tuff_arena_array(&ledger->arena, (size_t)cJSON_GetArraySize(hashes) + 1, sizeof *pipelines);
    if (uses == NULL || pipelines == NULL) return tuff_fail_memory("a conformance report");
    cJSON_ArrayForEach(item, used) uses[f->n_uses++] = (tuff_kernel_use){.kernel = text(item, "kernel"),
                                                                         .uses = count(item, "uses"),
                                                                         .batches = count(item, "batches"),
                                                                         .faults = count(item, "faults"),
                                                                         .worst = number(item, "worst")};
    cJSON_ArrayForEach(item, hashes) if (cJSON_IsString(item)) pipelines[f->n_pipelines++] =
        strtoull(item->valuestring, NULL, 16);
    f->uses = uses;
    f->pipelines = pipelines;
    return TUFF_OK;
}

static tuff_status read_case(const cJSON *o, tuff_ledger *ledger)
{
    const char *name = text(o, "case");
    char family[64];
    snprintf(family, sizeof family, "%.*s", (int)strcspn(name, "."), name);
    tuff_finding f = {.seen = {.family = family,
                               .name = name,
                               .held = flag(o, "held"),
                               .listed = flag(o, "listed"),
                               .verdict = text(o, "verdict"),
                               .message = text(o, "message"),
                               .blame = text(o, "blame"),
                               .dump = text(o, "dump"),
                               .worst = number(o, "worst"),
                               .worst_backward = number(o, "worst_backward"),
                               .milliseconds = number(o, "milliseconds"),
                               .seed = count(o, "seed")},
                      .plans = count(o, "plans"),
                      .dispatches = count(o, "dispatches"),
                      .validation = count(o, "validation")};
    TUFF_TRY(read_launches(o, ledger, &f));
    TUFF_TRY(read_uses(o, ledger, &f));
    ledger->report.running = "";
    ledger->report.seconds += f.seen.milliseconds / 1e3;
    return tuff_ledger_add(ledger, &f);
}

static tuff_status read_error(reader *r, const cJSON *o)
{
    tuff_ledger *ledger;
    TUFF_TRY(new_ledger(r, &ledger));
    tuff_status status = TUFF_OK;
    read_device(o, ledger);
    ledger->report.error = tuff_ledger_text(ledger, text(o, "message"), &status);
    read_place(o, ledger, &status);
    return status;
}

static tuff_status read_record(reader *r, const cJSON *o)
{
    const char *kind = text(o, "record");
    tuff_ledger *ledger = r->n > 0 ? (tuff_ledger *)r->reports[r->n - 1] : NULL;
    tuff_status status = TUFF_OK;
    if (strcmp(kind, "run") == 0) return read_run(r, o);
    if (strcmp(kind, "error") == 0) return read_error(r, o);
    if (*kind == '\0') return tuff_fail(TUFF_BAD_FORMAT, "it has no \"record\"");
    if (ledger == NULL || *ledger->report.error != '\0') return TUFF_OK; /* "exit" after an error, say */
    if (strcmp(kind, "begin") == 0)
        ledger->report.running = tuff_ledger_text(ledger, text(o, "case"), &status);
    else if (strcmp(kind, "case") == 0)
        status = read_case(o, ledger);
    else if (strcmp(kind, "end") == 0) {
        ledger->ended = true;
        ledger->report.running = ""; /* soak may be interrupted in a later round of a case */
        ledger->report.rounds = count(o, "rounds");
        ledger->report.seconds = number(o, "seconds");
        uint64_t messages = count(o, "validation"); /* also those between two cases */
        if (messages > ledger->report.validation) ledger->report.validation = messages;
    }
    return status;
}

static tuff_status read_lines(reader *r, const char *data, size_t size)
{
    size_t line = 0;
    for (const char *at = data, *end = data + size; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char where[48];
        snprintf(where, sizeof where, "line %zu of the record", ++line);
        if (stop == NULL) break; /* cut off while it was written */
        if (stop > at) {
            cJSON *json;
            TUFF_TRY(tuff_json_parse(at, (size_t)(stop - at), where, &json));
            tuff_status status = read_record(r, json);
            cJSON_Delete(json);
            if (status != TUFF_OK) return tuff_note(status, "%s", where);
        }
        at = stop + 1;
    }
    return TUFF_OK;
}

tuff_status tuff_conform_read(const char *data, size_t size, tuff_conform_report ***out_reports,
                              size_t *out_count)
{
    TUFF_NEED_OUT(out_reports);
    TUFF_NEED_OUT(out_count);
    TUFF_NEED_MANY(data, size);
    reader r = {0};
    tuff_status status = read_lines(&r, data, size);
    if (status == TUFF_OK && r.n == 0)
        status =
            tuff_fail(TUFF_BAD_FORMAT, "the record of a conformance run has no line that says what was run");
    for (size_t i = 0; i < r.n; i++) {
        if (status == TUFF_OK)
            tuff_ledger_close((tuff_ledger *)r.reports[i]);
        else
            tuff_conform_report_destroy(&r.reports[i]);
    }
    if (status != TUFF_OK) {
        tuff_free(r.reports);
        return status;
    }
    *out_reports = r.reports;
    *out_count = r.n;
    return TUFF_OK;
}
