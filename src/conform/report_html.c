/* The report as one page without scripts: families by devices, then each device's failures, rows and cases.
 */
#include <math.h>
#include <string.h>

#include "conform/report.h"

static const char *const style =
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0}th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;"
    "text-align:left;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".ok{background:#e7f5ea}.warn{background:#fff4d6}.bad{background:#fbe0e0}.none{color:#999}"
    "code{font:13px ui-monospace,monospace;background:#f4f4f4;padding:.1rem .3rem;overflow-wrap:anywhere}"
    "summary{cursor:pointer;font-weight:600;margin:.6rem 0}a{color:#0b57d0}";

/* A family on one device. */
typedef struct tally {
    size_t cases, held;
    double worst;
} tally;

static tally tally_of(const tuff_conform_report *r, const char *family)
{
    tally t = {0};
    for (size_t i = 0; i < r->n_cases; i++) {
        const tuff_conform_case *c = &r->cases[i];
        if (strcmp(c->family, family) != 0) continue;
        t.cases++;
        t.held += c->held;
        t.worst = fmax(t.worst, fmax(c->worst, c->worst_backward));
    }
    return t;
}

static const char *colour(bool held, double worst)
{
    return !held ? "bad" : worst > 0.8 ? "warn" : "ok";
}

static bool seen_before(const tuff_conform_report *const *reports, size_t report, size_t index,
                        const char *family)
{
    for (size_t i = 0; i <= report; i++)
        for (size_t k = 0; k < (i == report ? index : reports[i]->n_cases); k++)
            if (strcmp(reports[i]->cases[k].family, family) == 0) return true;
    return false;
}

static void matrix(const tuff_conform_report *const *reports, size_t n, tuff_buf *out)
{
    tuff_buf_text(out, "<table><tr><th>operations</th>");
    for (size_t i = 0; i < n; i++) {
        tuff_buf_printf(out, "<th><a href=\"#device%zu\">", i);
        tuff_report_escape(out, reports[i]->device.name);
        tuff_buf_text(out, "</a></th>");
    }
    tuff_buf_text(out, "</tr>\n");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < reports[i]->n_cases; k++) {
            const char *family = reports[i]->cases[k].family;
            if (seen_before(reports, i, k, family)) continue;
            tuff_buf_printf(out, "<tr><td>%s</td>", family);
            for (size_t d = 0; d < n; d++) {
                tally t = tally_of(reports[d], family);
                if (t.cases == 0) {
                    tuff_buf_text(out, "<td class=\"none\">not run</td>");
                    continue;
                }
                tuff_buf_printf(out, "<td class=\"%s\"><a href=\"#device%zu-%s\">%zu of %zu</a>, worst ",
                                colour(t.held == t.cases, t.worst), d, family, t.held, t.cases);
                tuff_report_units(out, t.worst);
                tuff_buf_text(out, "</td>");
            }
            tuff_buf_text(out, "</tr>\n");
        }
    tuff_buf_text(out, "</table>\n");
}

static void one_case(const tuff_conform_report *r, const tuff_conform_case *c, tuff_buf *out)
{
    tuff_buf_printf(out, "<tr class=\"%s\"><td>", colour(c->held, fmax(c->worst, c->worst_backward)));
    tuff_report_escape(out, c->name);
    if (!c->held) {
        tuff_buf_printf(out, "<br><b>%s</b>: ", c->verdict);
        tuff_report_escape(out, c->message);
        tuff_buf command = {0};
        tuff_report_command(r, c, &command);
        tuff_buf_text(out, "<br><code>");
        tuff_report_escape(out, command.data != NULL ? command.data : "");
        tuff_buf_text(out, "</code>");
        out->failed |= command.failed;
        tuff_buf_free(&command);
    }
    tuff_buf_text(out, "</td><td class=\"n\">");
    tuff_report_units(out, c->worst);
    tuff_buf_text(out, "</td><td class=\"n\">");
    tuff_report_units(out, c->worst_backward);
    tuff_buf_printf(out, "</td><td class=\"n\">%.1f</td></tr>\n", c->milliseconds);
}

static void device(const tuff_conform_report *r, size_t index, tuff_buf *out)
{
    tuff_buf_printf(out, "<h2 id=\"device%zu\">", index);
    tuff_report_escape(out, r->device.name);
    tuff_buf_text(out, "</h2>\n<p>");
    tuff_report_escape(out, r->device.driver);
    tuff_buf_text(out, r->device.driver[0] != '\0' ? ". " : "");
    tuff_buf_printf(
        out,
        "Level %s: %zu cases, %zu failed; %llu plans, %llu dispatches, %llu pipelines; seed %llu; %.1f s.",
        tuff_report_level(r->level), r->n_cases, r->n_failed, (unsigned long long)r->plans,
        (unsigned long long)r->dispatches, (unsigned long long)r->pipelines, (unsigned long long)r->seed,
        r->seconds);
    if (r->mask[0] != '\0') {
        tuff_buf_text(out, " Masked: <code>");
        tuff_report_escape(out, r->mask);
        tuff_buf_text(out, "</code>.");
    }
    tuff_buf_text(out, "</p>\n");
    for (size_t i = 0; i < r->n_cases;) {
        const char *family = r->cases[i].family;
        tally t = tally_of(r, family);
        tuff_buf_printf(out, "<details id=\"device%zu-%s\"%s><summary>%s: %zu of %zu held</summary><table>",
                        index, family, t.held < t.cases ? " open" : "", family, t.held, t.cases);
        tuff_buf_text(out, "<tr><th>case</th><th>forward</th><th>backward</th><th>ms</th></tr>\n");
        for (; i < r->n_cases && strcmp(r->cases[i].family, family) == 0; i++)
            one_case(r, &r->cases[i], out);
        tuff_buf_text(out, "</table></details>\n");
    }
    tuff_buf_printf(out, "<details%s><summary>kernel rows</summary><table>",
                    r->n_unreached > 0 ? " open" : "");
    tuff_buf_text(out, "<tr><th>operation</th><th>row</th><th>uses</th><th>worst</th></tr>\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const tuff_conform_row *row = &r->rows[i];
        tuff_buf_printf(out,
                        "<tr class=\"%s\"><td>%s</td><td>%s</td><td class=\"n\">%llu</td><td class=\"n\">",
                        !row->fits                             ? "none"
                        : row->uses == 0 && r->n_unreached > 0 ? "bad"
                                                               : "ok",
                        row->op, row->row, (unsigned long long)row->uses);
        if (row->fits)
            tuff_report_units(out, row->worst);
        else
            tuff_buf_text(out, "not on this device");
        tuff_buf_text(out, "</td></tr>\n");
    }
    tuff_buf_text(out, "</table></details>\n");
}

void tuff_report_html(const tuff_conform_report *const *reports, size_t n, tuff_buf *out)
{
    tuff_buf_text(out, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
                       "content=\"width=device-width\"><title>Tuff conformance</title>\n<style>");
    tuff_buf_text(out, style);
    tuff_buf_text(
        out,
        "</style>\n<h1>Tuff conformance</h1>\n<p>Errors are in units of each case's bound: 1 is the limit, "
        "above 0.8 is marked.</p>\n");
    matrix(reports, n, out);
    for (size_t i = 0; i < n; i++)
        device(reports[i], i, out);
    tuff_buf_text(out, "</html>\n");
}
