/* The report for a terminal, and the choice of format. */
#include "conform/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

const char *tuff_report_level(tuff_conform_level level)
{
    static const char *const names[] = {
        [TUFF_CONFORM_QUICK] = "quick", [TUFF_CONFORM_FULL] = "full", [TUFF_CONFORM_SOAK] = "soak"};
    return names[level];
}

void tuff_report_command(const tuff_conform_report *report, const tuff_conform_case *c, tuff_buf *out)
{
    bool cpu = report->device.type == TUFF_DEVICE_CPU;
    tuff_buf_printf(out, "tuff conform --device '%s' --case %s", cpu ? "cpu" : report->device.name, c->name);
    if (c->seed != 0) tuff_buf_printf(out, " --seed %llu", (unsigned long long)c->seed);
    if (report->level != TUFF_CONFORM_QUICK) tuff_buf_text(out, " --level full");
    if (!report->backward) tuff_buf_text(out, " --forward-only");
    if (report->mask[0] != '\0') tuff_buf_printf(out, " --mask %s", report->mask);
    if (report->permute != 0) tuff_buf_printf(out, " --permute %llu", (unsigned long long)report->permute);
    if (report->submit_ms != 0) tuff_buf_printf(out, " --budget %ums", report->submit_ms);
}

void tuff_report_escape(tuff_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            tuff_buf_text(out, "&amp;");
            break;
        case '<':
            tuff_buf_text(out, "&lt;");
            break;
        case '>':
            tuff_buf_text(out, "&gt;");
            break;
        case '"':
            tuff_buf_text(out, "&quot;");
            break;
        case '\'':
            tuff_buf_text(out, "&#39;");
            break;
        default:
            tuff_buf_char(out, *text);
        }
    }
}

void tuff_report_units(tuff_buf *out, double units)
{
    if (units == 0)
        tuff_buf_text(out, "-");
    else
        tuff_buf_printf(out, "%.3g", units);
}

static double worst_of(const tuff_conform_case *c)
{
    return c->worst > c->worst_backward ? c->worst : c->worst_backward;
}

static int by_worst(const void *a, const void *b)
{
    const tuff_conform_case *x = *(const tuff_conform_case *const *)a,
                            *y = *(const tuff_conform_case *const *)b;
    double u = worst_of(x), v = worst_of(y);
    return u > v ? -1 : u < v ? 1 : x < y ? -1 : x > y;
}

static void worst_ten(const tuff_conform_report *r, tuff_buf *out)
{
    const tuff_conform_case **order = tuff_alloc_array(r->n_cases, sizeof(const tuff_conform_case *));
    if (order == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < r->n_cases; i++)
        order[i] = &r->cases[i];
    qsort(order, r->n_cases, sizeof(const tuff_conform_case *), by_worst);
    tuff_buf_text(out, "  worst, in units of the bound (forward, backward):\n");
    for (size_t i = 0; i < r->n_cases && i < 10 && worst_of(order[i]) > 0; i++)
        tuff_buf_printf(out, "    %8.3g %8.3g  %s\n", order[i]->worst, order[i]->worst_backward,
                        order[i]->name);
    tuff_free(order);
}

/* A line for each family of the run, in order; cases of a family are neighbours. */
static void family_lines(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf_printf(out, "  %-16s %6s %6s %9s %9s %9s\n", "family", "cases", "held", "forward", "backward",
                    "ms");
    for (size_t i = 0; i < r->n_cases;) {
        const char *family = r->cases[i].family;
        size_t cases = 0, held = 0;
        double worst = 0, backward = 0, time = 0;
        for (; i < r->n_cases && strcmp(r->cases[i].family, family) == 0; i++) {
            const tuff_conform_case *c = &r->cases[i];
            cases++;
            held += c->held;
            worst = fmax(worst, c->worst);
            backward = fmax(backward, c->worst_backward);
            time += c->milliseconds;
        }
        tuff_buf_printf(out, "  %-16s %6zu %6zu ", family, cases, held);
        tuff_buf_printf(out, "%9.3g %9.3g %9.0f\n", worst, backward, time);
    }
}

/* More than a screen or two says nothing more; the other formats have them all. */
#define MOST_FAILURES 20

static void failures(const tuff_conform_report *r, tuff_buf *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < r->n_cases; i++) {
        const tuff_conform_case *c = &r->cases[i];
        if (c->held || shown++ >= MOST_FAILURES) continue;
        tuff_buf_printf(out, "  FAILED %s\n    %s: %s\n    ", c->name, c->verdict, c->message);
        tuff_report_command(r, c, out);
        tuff_buf_char(out, '\n');
    }
    if (shown > MOST_FAILURES) tuff_buf_printf(out, "  and %zu more that failed\n", shown - MOST_FAILURES);
    if (r->n_unreached == 0) return;
    tuff_buf_text(out, "  kernel rows that no case reached:");
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->rows[i].fits && r->rows[i].uses == 0)
            tuff_buf_printf(out, " %s/%s", r->rows[i].op, r->rows[i].row);
    tuff_buf_char(out, '\n');
}

static void terminal(const tuff_conform_report *const *reports, size_t n, tuff_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const tuff_conform_report *r = reports[i];
        size_t rows = 0, reached = 0;
        for (size_t k = 0; k < r->n_rows; k++) {
            rows += r->rows[k].fits;
            reached += r->rows[k].fits && r->rows[k].uses > 0;
        }
        tuff_buf_printf(out, "%s%s%s\n", r->device.name, r->device.driver[0] != '\0' ? ", " : "",
                        r->device.driver);
        if (r->mask[0] != '\0') tuff_buf_printf(out, "  masked: %s\n", r->mask);
        if (r->level == TUFF_CONFORM_SOAK)
            tuff_buf_printf(out, "  %llu rounds, seeds %llu to %llu\n", (unsigned long long)r->rounds,
                            (unsigned long long)r->seed, (unsigned long long)(r->seed + r->rounds - 1));
        family_lines(r, out);
        worst_ten(r, out);
        failures(r, out);
        tuff_buf_printf(
            out,
            "  %zu of %zu cases held; %zu of %zu kernel rows reached, %zu are not for this device; %llu distinct "
            "pipelines, %llu dispatches, ",
            r->n_cases - r->n_failed, r->n_cases, reached, rows, r->n_rows - rows,
            (unsigned long long)r->pipelines, (unsigned long long)r->dispatches);
        tuff_buf_printf(out, "%llu plans; %.1f s: %s\n", (unsigned long long)r->plans, r->seconds,
                        tuff_conform_passed(r) ? "passed" : "FAILED");
    }
}

tuff_status tuff_conform_text(const tuff_conform_report *const *reports, size_t n, tuff_conform_format format,
                              char **out_text)
{
    *out_text = NULL;
    tuff_buf out = {0};
    switch (format) {
    case TUFF_CONFORM_TEXT:
        terminal(reports, n, &out);
        break;
    case TUFF_CONFORM_JSON:
        tuff_report_json(reports, n, &out);
        break;
    case TUFF_CONFORM_JUNIT:
        tuff_report_junit(reports, n, &out);
        break;
    case TUFF_CONFORM_HTML:
        tuff_report_html(reports, n, &out);
        break;
    }
    if (out.failed || out.data == NULL) {
        tuff_buf_free(&out);
        return tuff_fail_memory("a conformance report");
    }
    *out_text = out.data;
    return TUFF_OK;
}

void tuff_conform_text_free(char **text)
{
    tuff_free(*text);
    *text = NULL;
}
