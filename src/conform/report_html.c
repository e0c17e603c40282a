/* The report as one page without scripts: the verdicts, families by devices, then each device's failures,
 * kernels and cases. */
#include <math.h>
#include <string.h>

#include "base/html.h"
#include "conform/report.h"

static const char *const style = "td.name{overflow-wrap:anywhere;min-width:12rem}td.more{padding-top:0}";

/* A family on one device. */
typedef struct tally {
    size_t cases, held, failed;
    double worst;
} tally;

static tally tally_of(const tuff_conform_report *r, const char *family)
{
    tally t = {0};
    for (size_t i = 0; i < r->n_cases; i++) {
        const tuff_conform_case *c = r->cases[i];
        if (strcmp(c->family, family) != 0) continue;
        t.cases++;
        t.held += c->held;
        t.failed += c->failed;
        t.worst = fmax(t.worst, fmax(c->worst, c->worst_backward));
    }
    return t;
}

/* The class that gives the colour, and the sign that says the same. */
static const char *colour(bool fine, double worst)
{
    return !fine ? "bad" : worst > 0.8 ? "warn" : "ok";
}

static const char *sign(bool fine, double worst)
{
    return !fine         ? "\xe2\x9c\x97"
           : worst > 0.8 ? "\xe2\x9a\xa0"
                         : "\xe2\x9c\x93"; /* a cross, a warning, a tick */
}

static bool seen_before(const tuff_conform_report *const *reports, size_t report, size_t index,
                        const char *family)
{
    for (size_t i = 0; i <= report; i++)
        for (size_t k = 0; k < (i == report ? index : reports[i]->n_cases); k++)
            if (strcmp(reports[i]->cases[k]->family, family) == 0) return true;
    return false;
}

static void matrix_row(const tuff_conform_report *const *reports, size_t n, const char *family, tuff_buf *out)
{
    tuff_buf_printf(out, "<tr><th scope=\"row\">%s</th>", family);
    for (size_t d = 0; d < n; d++) {
        tally t = tally_of(reports[d], family);
        if (t.cases == 0) {
            tuff_buf_text(out, "<td class=\"none\">not run</td>");
            continue;
        }
        tuff_buf_printf(out, "<td class=\"%s\">%s <a href=\"#device%zu-%s\">%zu of %zu held</a>, worst ",
                        colour(t.failed == 0, t.worst), sign(t.failed == 0, t.worst), d, family, t.held,
                        t.cases);
        tuff_report_units(out, t.worst);
        tuff_buf_text(out, "</td>");
    }
    tuff_buf_text(out, "</tr>\n");
}

static void matrix(const tuff_conform_report *const *reports, size_t n, tuff_buf *out)
{
    tuff_buf_text(out, "<div class=\"scroll\"><table><tr><th>operations</th>");
    for (size_t i = 0; i < n; i++) {
        tuff_buf_printf(out, "<th><a href=\"#device%zu\">", i);
        tuff_report_escape(out, tuff_report_device(reports[i]));
        tuff_buf_text(out, "</a></th>");
    }
    tuff_buf_text(out, "</tr>\n");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < reports[i]->n_cases; k++)
            if (!seen_before(reports, i, k, reports[i]->cases[k]->family))
                matrix_row(reports, n, reports[i]->cases[k]->family, out);
    tuff_buf_text(out, "</table></div>\n");
}

static void escaped(tuff_buf *out, const char *before, const tuff_buf *text, const char *after)
{
    tuff_buf_text(out, before);
    tuff_report_escape(out, text->data != NULL ? text->data : "");
    tuff_buf_text(out, after);
    out->failed |= text->failed;
}

static void verdict(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf text = {0};
    bool fine = tuff_conform_passed(r);
    tuff_report_headline(r, &text);
    tuff_buf_printf(out, "<p class=\"verdict %s\">%s ", colour(fine, 0), sign(fine, 0));
    tuff_report_escape(out, tuff_report_device(r));
    escaped(out, ": ", &text, "</p>\n");
    tuff_buf_free(&text);
}

static void one_case(const tuff_conform_report *r, const tuff_conform_case *c, tuff_buf *out)
{
    double worst = fmax(c->worst, c->worst_backward);
    tuff_buf_printf(out, "<tr class=\"%s\"><td class=\"name\">%s %s", colour(!c->failed, c->held ? worst : 0),
                    sign(!c->failed, c->held ? worst : 0), c->name);
    bool told = !c->held || c->failed;
    if (told) tuff_buf_printf(out, "<br><b>%s</b>", tuff_report_outcome(c));
    tuff_buf_text(out, "</td><td class=\"n\">");
    tuff_report_units(out, c->worst);
    tuff_buf_text(out, "</td><td class=\"n\">");
    tuff_report_units(out, c->worst_backward);
    tuff_buf_printf(out, "</td><td class=\"n\">%.1f</td></tr>\n", c->milliseconds);
    if (!told) return;
    tuff_buf more = {0};
    tuff_report_failure(c, "", &more);
    tuff_report_command(r, c, &more);
    tuff_buf_printf(out, "<tr class=\"%s\"><td class=\"more\" colspan=\"4\">", colour(!c->failed, 0));
    escaped(out, "<pre>", &more, "</pre></td></tr>\n");
    tuff_buf_free(&more);
}

static void facts(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf build = {0}, work = {0}, faults = {0};
    tuff_buf_printf(&build, "%s%s%s", r->version, *r->commit != '\0' ? ", commit " : "", r->commit);
    tuff_buf_printf(&work, "%llu plans, %llu dispatches, %llu pipelines, %.1f s",
                    (unsigned long long)r->plans, (unsigned long long)r->dispatches,
                    (unsigned long long)r->pipelines, r->seconds);
    tuff_report_faults(r, &faults);
    tuff_buf_text(out, "<dl>");
    tuff_html_fact(out, "at fault", faults.data != NULL ? faults.data : "");
    tuff_html_fact(out, "driver", r->device->driver);
    tuff_html_fact(out, "tuff", build.data != NULL ? build.data : "");
    tuff_html_fact(out, "date", r->date);
    tuff_html_fact(out, "host", r->host);
    tuff_html_fact(out, "system", r->system);
    tuff_html_fact(out, "level", tuff_report_level(r->level));
    tuff_html_fact(out, "masked", r->mask);
    tuff_html_fact(out, "environment", r->environment);
    tuff_html_fact(out, "work", work.data != NULL ? work.data : "");
    tuff_buf_text(out, "</dl>\n");
    out->failed |= build.failed || work.failed || faults.failed;
    tuff_buf_free(&build);
    tuff_buf_free(&faults);
    tuff_buf_free(&work);
}

static void families(const tuff_conform_report *r, size_t index, tuff_buf *out)
{
    for (size_t i = 0; i < r->n_cases;) {
        const char *family = r->cases[i]->family;
        tally t = tally_of(r, family);
        tuff_buf_printf(out, "<details%s><summary>%s %s: %zu of %zu held</summary>",
                        t.failed > 0 ? " open" : "", sign(t.failed == 0, 0), family, t.held, t.cases);
        /* a link to what lies inside opens it */
        tuff_buf_printf(out, "<div class=\"scroll\" id=\"device%zu-%s\"><table>", index, family);
        tuff_buf_text(out, "<tr><th>case</th><th>forward</th><th>backward</th><th>ms</th></tr>\n");
        for (; i < r->n_cases && strcmp(r->cases[i]->family, family) == 0; i++)
            one_case(r, r->cases[i], out);
        tuff_buf_text(out, "</table></div></details>\n");
    }
}

static void kernels(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf_printf(out, "<details%s><summary>kernels</summary><div class=\"scroll\"><table>",
                    r->n_unreached > 0 ? " open" : "");
    tuff_buf_text(
        out, "<tr><th>operation</th><th>kernel</th><th>uses</th><th>at fault in</th><th>worst</th></tr>\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        const tuff_conform_row *row = r->rows[i];
        bool unreached = row->fits && row->uses == 0 && r->n_unreached > 0,
             fine = row->faults == 0 && !unreached;
        tuff_buf_printf(out, "<tr class=\"%s\"><td>%s %s</td><td>%s</td>",
                        row->fits ? colour(fine, 0) : "none", row->fits ? sign(fine, 0) : "", row->op,
                        row->row);
        tuff_buf_printf(out, "<td class=\"n\">%llu</td><td class=\"n\">%llu</td><td class=\"n\">",
                        (unsigned long long)row->uses, (unsigned long long)row->faults);
        if (!row->fits)
            tuff_buf_text(out, "not on this device");
        else if (unreached)
            tuff_buf_text(out, "no case reached it");
        else
            tuff_report_units(out, row->worst);
        tuff_buf_text(out, "</td></tr>\n");
    }
    tuff_buf_text(out, "</table></div></details>\n");
}

static void device(const tuff_conform_report *r, const tuff_conform_report *older, size_t index,
                   tuff_buf *out)
{
    tuff_buf_printf(out, "<h2 id=\"device%zu\">", index);
    tuff_report_escape(out, tuff_report_device(r));
    tuff_buf_text(out, "</h2>\n");
    facts(r, out);
    if (older != NULL) tuff_report_comparison(older, r, "<pre>", "</pre>\n", out);
    families(r, index, out);
    if (r->n_rows > 0) kernels(r, out);
}

void tuff_report_html(const tuff_conform_report *const *reports, const tuff_conform_report *const *older,
                      size_t n, tuff_buf *out)
{
    tuff_html_begin(out, "Tuff conformance", style);
    for (size_t i = 0; i < n; i++)
        verdict(reports[i], out);
    tuff_buf_text(out, "<p>Errors are in units of each case's bound: 1 is the limit, above 0.8 is marked "
                       "\xe2\x9a\xa0.</p>\n");
    matrix(reports, n, out);
    for (size_t i = 0; i < n; i++)
        device(reports[i], older != NULL ? older[i] : NULL, i, out);
    tuff_html_end(out);
}
