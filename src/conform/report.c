/* The report for a terminal, what all formats share, and the choice of format. */
#include "conform/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/html.h"
#include "base/memory.h"
#include "base/status.h"
#include "conform/ledger.h"

const char *tuff_report_level(tuff_conform_level level)
{
    static const char *const names[] = {
        [TUFF_CONFORM_QUICK] = "quick", [TUFF_CONFORM_FULL] = "full", [TUFF_CONFORM_SOAK] = "soak"};
    return names[level];
}

const char *tuff_report_verdict(tuff_conform_verdict verdict)
{
    static const char *const names[] = {[TUFF_CONFORM_PASSED] = "passed",
                                        [TUFF_CONFORM_FAILED] = "failed",
                                        [TUFF_CONFORM_NOT_RUN] = "not run",
                                        [TUFF_CONFORM_INTERRUPTED] = "interrupted"};
    return names[verdict];
}

const char *tuff_report_device(const tuff_conform_report *report)
{
    return report->device->name[0] != '\0' ? report->device->name : "no device";
}

static void plural(tuff_buf *out, size_t n, const char *what)
{
    tuff_buf_printf(out, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

void tuff_report_headline(const tuff_conform_report *r, tuff_buf *out)
{
    const char *comma = "";
    switch (r->verdict) {
    case TUFF_CONFORM_PASSED:
        tuff_buf_text(out, "PASSED: ");
        plural(out, r->n_cases - r->n_listed, "case");
        tuff_buf_text(out, " held");
        break;
    case TUFF_CONFORM_NOT_RUN:
        tuff_buf_printf(out, "NOT RUN: %s", r->error);
        return;
    case TUFF_CONFORM_INTERRUPTED:
        tuff_buf_printf(out, "INTERRUPTED after %zu of %zu cases", r->n_cases, r->n_planned);
        if (*r->running != '\0') tuff_buf_printf(out, ", in %s", r->running);
        if (r->n_failed > 0) tuff_buf_printf(out, "; %zu failed", r->n_failed);
        return;
    case TUFF_CONFORM_FAILED:
        tuff_buf_text(out, "FAILED: ");
        if (r->n_failed > 0) {
            tuff_buf_printf(out, "%zu of ", r->n_failed);
            plural(out, r->n_cases, "case");
            comma = ", ";
        }
        if (r->n_unreached > 0) {
            tuff_buf_text(out, comma);
            plural(out, r->n_unreached, "kernel");
            tuff_buf_text(out, " that no case reached");
            comma = ", ";
        }
        if (r->validation > 0) {
            tuff_buf_text(out, comma);
            plural(out, (size_t)r->validation, "message");
            tuff_buf_text(out, " of the validation layer");
        }
        break;
    }
    if (r->n_listed > 0) tuff_buf_printf(out, ", %zu failed as expected", r->n_listed);
}

/* As a shell reads it. */
static void put_word(tuff_buf *out, const char *text, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+-@%";
    if (size > 0 && strspn(text, plain) >= size) {
        tuff_buf_bytes(out, text, size);
        return;
    }
    tuff_buf_char(out, '\'');
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\'')
            tuff_buf_text(out, "'\\''");
        else
            tuff_buf_char(out, text[i]);
    tuff_buf_char(out, '\'');
}

/* Whether results on the device may depend on a variable. TUFF_DEVICE does not count beside --device. */
static bool matters(const char *line, bool cpu)
{
    static const char *const host[] = {"ONEDNN_", "DNNL_", "OMP_"};
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++)
        if (tuff_starts_with(line, host[i])) return true;
    return !cpu && (!tuff_starts_with(line, "TUFF_") || tuff_starts_with(line, "TUFF_SHADER_DIR="));
}

static void put_environment(const tuff_conform_report *report, bool cpu, tuff_buf *out)
{
    for (const char *line = report->environment; *line != '\0';) {
        size_t size = strcspn(line, "\n"), name = strcspn(line, "=");
        if (name < size && matters(line, cpu)) {
            tuff_buf_bytes(out, line, name + 1);
            put_word(out, line + name + 1, size - name - 1);
            tuff_buf_char(out, ' ');
        }
        line += size + (line[size] == '\n');
    }
}

void tuff_report_command(const tuff_conform_report *report, const tuff_conform_case *c, tuff_buf *out)
{
    bool cpu = report->device->type == TUFF_DEVICE_CPU;
    put_environment(report, cpu, out);
    tuff_buf_printf(out, "tuff conform --device '%s' --case %s", cpu ? "cpu" : report->device->name, c->name);
    if (c->seed != 0) tuff_buf_printf(out, " --seed %llu", (unsigned long long)c->seed);
    if (report->level != TUFF_CONFORM_QUICK) tuff_buf_text(out, " --level full");
    if (!report->backward) tuff_buf_text(out, " --forward-only");
    if (report->mask[0] != '\0') tuff_buf_printf(out, " --mask %s", report->mask);
    if (report->permute != 0) tuff_buf_printf(out, " --permute %llu", (unsigned long long)report->permute);
    if (report->submit_ms != 0) tuff_buf_printf(out, " --budget %ums", report->submit_ms);
    bool isolated = strcmp(c->verdict, "crashed") == 0 || strcmp(c->verdict, "timed out") == 0;
    if (isolated) tuff_buf_text(out, " --isolate");
    double seconds = 0; /* the message is the only place that knows it */
    if (sscanf(c->message, "timed out after %lg s", &seconds) == 1)
        tuff_buf_printf(out, " --timeout %g", seconds);
    if (((const tuff_ledger *)report)->validated) tuff_buf_text(out, " --validate");
}

const char *tuff_report_outcome(const tuff_conform_case *c)
{
    if (c->held) return c->listed ? "HELD, not as expected" : "held";
    return c->listed ? "failed as expected" : "FAILED";
}

void tuff_report_failure(const tuff_conform_case *c, const char *indent, tuff_buf *out)
{
    if (c->held) {
        tuff_buf_printf(out, "%sit held, and is listed as a case that fails\n", indent);
        return;
    }
    bool told = tuff_starts_with(c->message, c->verdict); /* "timed out after 30 s" */
    tuff_buf_printf(out, "%s%s%s%s\n", indent, told ? "" : c->verdict, told ? "" : ": ", c->message);
    if (*c->blame != '\0') tuff_buf_printf(out, "%s%s\n", indent, c->blame);
    for (size_t i = 0; i < c->n_launches; i++) {
        const tuff_conform_launch *l = &c->launches[i];
        tuff_buf_printf(out, "%s%s: SPIR-V %s, constants [%s], workgroup %ux%ux%u, grid %ux%ux%u\n", indent,
                        l->kernel, l->spirv, l->constants, l->workgroup[0], l->workgroup[1], l->workgroup[2],
                        l->grid[0], l->grid[1], l->grid[2]);
    }
    if (*c->dump != '\0') tuff_buf_printf(out, "%sdumped to %s\n", indent, c->dump);
}

void tuff_report_faults(const tuff_conform_report *r, tuff_buf *out)
{
    const char *comma = "";
    for (size_t i = 0; i < r->n_rows; i++) {
        const tuff_conform_row *k = r->rows[i];
        if (k->faults == 0) continue;
        tuff_buf_printf(out, "%s%s/%s in ", comma, k->op, k->row);
        plural(out, (size_t)k->faults, "case");
        comma = ", ";
    }
}

void tuff_report_escape(tuff_buf *out, const char *text)
{
    tuff_html_escape(out, text, strlen(text));
}

void tuff_report_comparison(const tuff_conform_report *older, const tuff_conform_report *report,
                            const char *before, const char *after, tuff_buf *out)
{
    char *text = NULL;
    if (tuff_conform_compare(older, report, &text, NULL) != TUFF_OK) out->failed = true;
    tuff_buf_text(out, before);
    tuff_report_escape(out, text != NULL ? text : "");
    tuff_buf_text(out, after);
    tuff_free(text);
}

void tuff_report_units(tuff_buf *out, double units)
{
    if (units == 0)
        tuff_buf_text(out, "-");
    else if (units >= 1e300)
        tuff_buf_text(out, "inf");
    else
        tuff_buf_printf(out, "%.3g", units);
}

/* ---- for a terminal: no line of the tables is wider than 50 columns ---- */

static double worst_of(const tuff_conform_case *c)
{
    return c->worst > c->worst_backward ? c->worst : c->worst_backward;
}

/* In 7 columns. */
static void put_units(tuff_buf *out, double units)
{
    if (units >= 1e300)
        tuff_buf_printf(out, "%7s", "inf");
    else
        tuff_buf_printf(out, units > 0 && (units < 1e-3 || units >= 1e4) ? "%7.1e" : "%7.3g", units);
}

static int by_worst(const void *a, const void *b)
{
    const tuff_conform_case *x = *(const tuff_conform_case *const *)a,
                            *y = *(const tuff_conform_case *const *)b;
    double u = worst_of(x), v = worst_of(y);
    return u > v ? -1 : u < v ? 1 : strcmp(x->name, y->name);
}

static void worst_ten(const tuff_conform_report *r, tuff_buf *out)
{
    const tuff_conform_case **order = tuff_alloc_array(r->n_cases + 1, sizeof(const tuff_conform_case *));
    if (order == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < r->n_cases; i++)
        order[i] = r->cases[i];
    qsort(order, r->n_cases, sizeof(const tuff_conform_case *), by_worst);
    if (r->n_cases > 0 && worst_of(order[0]) > 0)
        tuff_buf_text(out, "  worst, in units of the bound\n  (forward, backward):\n");
    for (size_t i = 0; i < r->n_cases && i < 10 && worst_of(order[i]) > 0; i++) {
        tuff_buf_text(out, "  ");
        put_units(out, order[i]->worst);
        tuff_buf_char(out, ' ');
        put_units(out, order[i]->worst_backward);
        tuff_buf_printf(out, "  %s\n", order[i]->name);
    }
    tuff_free(order);
}

typedef struct family_sum {
    size_t cases, held;
    double worst, backward, time;
} family_sum;

/* A line for each family of the run, in order; cases of a family are neighbours. */
static void family_lines(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf_printf(out, "  %-13s %5s %5s %7s %7s %6s\n", "family", "cases", "held", "forw.", "backw.", "ms");
    for (size_t i = 0; i < r->n_cases;) {
        const char *family = r->cases[i]->family;
        family_sum sum = {0};
        for (; i < r->n_cases && strcmp(r->cases[i]->family, family) == 0; i++) {
            const tuff_conform_case *c = r->cases[i];
            sum.cases++;
            sum.held += c->held;
            sum.worst = fmax(sum.worst, c->worst);
            sum.backward = fmax(sum.backward, c->worst_backward);
            sum.time += c->milliseconds;
        }
        tuff_buf_printf(out, "  %-13s %5zu %5zu ", family, sum.cases, sum.held);
        put_units(out, sum.worst);
        tuff_buf_char(out, ' ');
        put_units(out, sum.backward);
        tuff_buf_printf(out, " %6.0f\n", sum.time);
    }
}

/* More than a screen or two says nothing more; the other formats have them all. */
#define MOST_FAILURES 20

static void failures(const tuff_conform_report *r, tuff_buf *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < r->n_cases; i++) {
        const tuff_conform_case *c = r->cases[i];
        if (!c->failed || shown++ >= MOST_FAILURES) continue;
        tuff_buf_printf(out, "  FAILED %s\n", c->name);
        tuff_report_failure(c, "    ", out);
        tuff_buf_text(out, "    ");
        tuff_report_command(r, c, out);
        tuff_buf_char(out, '\n');
    }
    if (shown > MOST_FAILURES) tuff_buf_printf(out, "  and %zu more that failed\n", shown - MOST_FAILURES);
    if (r->n_unreached == 0) return;
    tuff_buf_text(out, "  kernels that no case reached:");
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i]->fits && r->rows[i]->uses == 0)
            tuff_buf_printf(out, " %s/%s", r->rows[i]->op, r->rows[i]->row);
    tuff_buf_char(out, '\n');
}

static void totals(const tuff_conform_report *r, tuff_buf *out)
{
    size_t fit = 0, reached = 0, held = 0;
    for (size_t k = 0; k < r->n_rows; k++) {
        fit += r->rows[k]->fits;
        reached += r->rows[k]->fits && r->rows[k]->uses > 0;
    }
    for (size_t i = 0; i < r->n_cases; i++)
        held += r->cases[i]->held;
    tuff_buf_printf(out, "  %zu of %zu cases held, %.1f s\n", held, r->n_cases, r->seconds);
    tuff_buf_printf(out, "  %zu of %zu kernels reached", reached, fit);
    if (r->n_rows > fit) tuff_buf_printf(out, ",\n  %zu are not for this device", r->n_rows - fit);
    tuff_buf_printf(out, "\n  %llu plans, %llu dispatches, %llu pipelines\n", (unsigned long long)r->plans,
                    (unsigned long long)r->dispatches, (unsigned long long)r->pipelines);
}

static void terminal(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf_printf(out, "%s\n", tuff_report_device(r));
    if (r->verdict != TUFF_CONFORM_NOT_RUN) {
        if (r->device->driver[0] != '\0') tuff_buf_printf(out, "  %s\n", r->device->driver);
        if (r->mask[0] != '\0') tuff_buf_printf(out, "  masked: %s\n", r->mask);
        if (r->level == TUFF_CONFORM_SOAK && r->rounds > 0)
            tuff_buf_printf(out, "  %llu rounds, seeds %llu to %llu\n", (unsigned long long)r->rounds,
                            (unsigned long long)r->seed, (unsigned long long)(r->seed + r->rounds - 1));
        family_lines(r, out);
        worst_ten(r, out);
        failures(r, out);
        totals(r, out);
        tuff_buf faults = {0};
        tuff_report_faults(r, &faults);
        if (faults.data != NULL) tuff_buf_printf(out, "  at fault: %s\n", faults.data);
        out->failed |= faults.failed;
        tuff_buf_free(&faults);
    }
    tuff_report_headline(r, out);
    tuff_buf_char(out, '\n');
}

/* ---- all formats ---- */

static void record(const tuff_conform_report *r, tuff_buf *out)
{
    const tuff_ledger *ledger = (const tuff_ledger *)r;
    if (r->verdict == TUFF_CONFORM_NOT_RUN) {
        tuff_record_error(ledger, out);
        tuff_buf_char(out, '\n');
        return;
    }
    tuff_record_run(ledger, out);
    tuff_buf_char(out, '\n');
    for (size_t i = 0; i < r->n_cases; i++) {
        tuff_record_case(r, (const tuff_finding *)r->cases[i], out);
        tuff_buf_char(out, '\n');
    }
    if (!ledger->ended) return;
    tuff_record_end(ledger, out);
    tuff_buf_char(out, '\n');
}

tuff_status tuff_conform_text(const tuff_conform_report *const *reports, size_t n, tuff_conform_format format,
                              char **out_text)
{
    TUFF_NEED_OUT(out_text);
    TUFF_NEED_MANY(reports, n);
    for (size_t i = 0; i < n; i++)
        TUFF_NEED(reports[i]);
    return tuff_conform_text_compared(reports, NULL, n, format, out_text);
}

/* What each is compared with, for a terminal. */
static void comparisons(const tuff_conform_report *const *reports, const tuff_conform_report *const *older,
                        size_t n, tuff_buf *out)
{
    for (size_t i = 0; i < n && older != NULL; i++) {
        char *text = NULL;
        if (older[i] == NULL) continue;
        if (tuff_conform_compare(older[i], reports[i], &text, NULL) != TUFF_OK) out->failed = true;
        if (text != NULL) tuff_buf_text(out, text);
        tuff_free(text);
    }
}

tuff_status tuff_conform_text_compared(const tuff_conform_report *const *reports,
                                       const tuff_conform_report *const *older, size_t n,
                                       tuff_conform_format format, char **out_text)
{
    TUFF_NEED_OUT(out_text);
    TUFF_NEED_MANY(reports, n);
    for (size_t i = 0; i < n; i++)
        TUFF_NEED(reports[i]);
    if ((unsigned)format > TUFF_CONFORM_END)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "there is no report format %d", (int)format);
    tuff_buf out = {0};
    for (size_t i = 0; i < n && format == TUFF_CONFORM_TEXT; i++)
        terminal(reports[i], &out);
    if (format == TUFF_CONFORM_TEXT) comparisons(reports, older, n, &out);
    for (size_t i = 0; i < n && format == TUFF_CONFORM_JSON; i++)
        record(reports[i], &out);
    for (size_t i = 0; i < n && format == TUFF_CONFORM_END; i++)
        tuff_record_end((const tuff_ledger *)reports[i], &out);
    if (format == TUFF_CONFORM_JUNIT) tuff_report_junit(reports, older, n, &out);
    if (format == TUFF_CONFORM_HTML) tuff_report_html(reports, older, n, &out);
    if (out.failed || out.data == NULL) {
        tuff_buf_free(&out);
        return tuff_fail_memory("a conformance report");
    }
    *out_text = out.data;
    return TUFF_OK;
}
