/* JUnit's XML, by the schema that CI services read: a suite for each device. */
#include <stdio.h>
#include <string.h>

#include "conform/report.h"

static void attribute(tuff_buf *out, const char *name, const char *value)
{
    tuff_buf_printf(out, " %s=\"", name);
    tuff_report_escape(out, value);
    tuff_buf_char(out, '"');
}

static void property(tuff_buf *out, const char *name, const char *value)
{
    tuff_buf_text(out, "      <property");
    attribute(out, "name", name);
    attribute(out, "value", value);
    tuff_buf_text(out, "/>\n");
}

static void properties(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf headline = {0}, faults = {0};
    tuff_report_headline(r, &headline);
    tuff_buf_text(out, "    <properties>\n");
    property(out, "verdict", tuff_report_verdict(r->verdict));
    property(out, "headline", headline.data != NULL ? headline.data : "");
    property(out, "tuff", r->version);
    property(out, "commit", r->commit);
    property(out, "system", r->system);
    property(out, "device", r->device->name);
    property(out, "driver", r->device->driver);
    property(out, "level", tuff_report_level(r->level));
    property(out, "mask", r->mask);
    property(out, "environment", r->environment);
    tuff_report_faults(r, &faults);
    property(out, "at fault", faults.data != NULL ? faults.data : "");
    tuff_buf_text(out, "    </properties>\n");
    out->failed |= headline.failed || faults.failed;
    tuff_buf_free(&headline);
    tuff_buf_free(&faults);
}

/* A crash or a hang is JUnit's "error", a wrong result its "failure". */
static bool is_error(const tuff_conform_case *c)
{
    return !c->held && (strcmp(c->verdict, "crashed") == 0 || strcmp(c->verdict, "timed out") == 0);
}

static void one_case(const tuff_conform_report *r, const tuff_conform_case *c, tuff_buf *out)
{
    tuff_buf_text(out, "    <testcase");
    attribute(out, "classname", c->family);
    attribute(out, "name", c->name);
    tuff_buf_printf(out, " time=\"%.4f\"", c->milliseconds / 1e3);
    if (c->held && !c->listed) {
        tuff_buf_text(out, "/>\n");
        return;
    }
    const char *element = !c->failed ? "skipped" : is_error(c) ? "error" : "failure";
    tuff_buf_printf(out, "><%s", element);
    if (c->failed) attribute(out, "type", c->held ? "held, not as expected" : c->verdict);
    attribute(out, "message",
              !c->failed ? "failed as expected"
              : c->held  ? "it is listed as one that fails"
                         : c->message);
    tuff_buf_char(out, '>');
    tuff_buf more = {0};
    tuff_report_failure(c, "", &more);
    tuff_report_command(r, c, &more);
    tuff_report_escape(out, more.data != NULL ? more.data : "");
    out->failed |= more.failed;
    tuff_buf_free(&more);
    tuff_buf_printf(out, "</%s></testcase>\n", element);
}

/* A test that stands for something of the run as a whole. */
static void whole(tuff_buf *out, const char *name, const char *element, const char *type, const char *text)
{
    tuff_buf_text(out, "    <testcase classname=\"run\"");
    attribute(out, "name", name);
    tuff_buf_text(out, " time=\"0\"");
    if (element == NULL) {
        tuff_buf_text(out, "/>\n");
        return;
    }
    tuff_buf_printf(out, "><%s", element);
    attribute(out, "type", type);
    attribute(out, "message", text);
    tuff_buf_printf(out, "/></testcase>\n");
}

static void unreached(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf names = {0};
    for (size_t i = 0; i < r->n_rows && r->n_unreached > 0; i++)
        if (r->rows[i]->fits && r->rows[i]->uses == 0)
            tuff_buf_printf(&names, "%s%s/%s", names.size > 0 ? ", " : "", r->rows[i]->op, r->rows[i]->row);
    whole(out, "every_kernel_is_reached", r->n_unreached > 0 ? "failure" : NULL, "unreached",
          names.data != NULL ? names.data : "");
    out->failed |= names.failed;
    tuff_buf_free(&names);
}

/* Whether a case failed by them or not: a listed one may send some, and so may what runs between two cases.
 */
static void silent(const tuff_conform_report *r, tuff_buf *out)
{
    char text[64];
    snprintf(text, sizeof text, "it sent %llu message%s", (unsigned long long)r->validation,
             r->validation == 1 ? "" : "s");
    whole(out, "the_validation_layer_is_silent", "failure", "validation", text);
}

/* A case that held in the older run and is not in this one: that it would still hold nobody knows. */
static void missing(const tuff_conform_report *older, const tuff_conform_case *c, tuff_buf *out)
{
    tuff_buf_text(out, "    <testcase");
    attribute(out, "classname", c->family);
    attribute(out, "name", c->name);
    tuff_buf_text(out, " time=\"0\"><failure type=\"missing\"");
    tuff_buf text = {0};
    tuff_buf_printf(&text, "it held in the run of %s, and is none of this one",
                    *older->date != '\0' ? older->date : "an unknown date");
    attribute(out, "message", text.data != NULL ? text.data : "");
    tuff_buf_text(out, "/></testcase>\n");
    out->failed |= text.failed;
    tuff_buf_free(&text);
}

static void suite(const tuff_conform_report *r, const tuff_conform_report *older, tuff_buf *out)
{
    size_t errors = 0, skipped = 0, lost = 0;
    for (size_t k = 0; older != NULL && k < older->n_cases; k++)
        lost += tuff_report_lost(r, older->cases[k]);
    for (size_t k = 0; k < r->n_cases; k++) {
        errors += r->cases[k]->failed && is_error(r->cases[k]);
        skipped += r->cases[k]->listed && !r->cases[k]->held;
    }
    bool ended = r->verdict == TUFF_CONFORM_PASSED || r->verdict == TUFF_CONFORM_FAILED,
         noisy = r->validation > 0;
    size_t failures = r->n_failed - errors + (r->n_unreached > 0) + noisy + lost;
    char date[32];
    snprintf(date, sizeof date, "%.19s", *r->date != '\0' ? r->date : "1970-01-01T00:00:00");
    tuff_buf_text(out, "  <testsuite");
    attribute(out, "name", tuff_report_device(r));
    tuff_buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"",
                    r->n_cases + 1 + noisy + lost, failures, errors + !ended, skipped, r->seconds);
    attribute(out, "timestamp", date);
    attribute(out, "hostname", *r->host != '\0' ? r->host : "unknown");
    tuff_buf_text(out, ">\n");
    properties(r, out);
    for (size_t k = 0; k < r->n_cases; k++)
        one_case(r, r->cases[k], out);
    for (size_t k = 0; lost > 0 && k < older->n_cases; k++)
        if (tuff_report_lost(r, older->cases[k])) missing(older, older->cases[k], out);
    if (noisy) silent(r, out);
    if (ended) {
        unreached(r, out);
    } else {
        tuff_buf text = {0};
        tuff_report_headline(r, &text);
        whole(out, "the_run_is_complete", "error", tuff_report_verdict(r->verdict),
              text.data != NULL ? text.data : "");
        out->failed |= text.failed;
        tuff_buf_free(&text);
    }
    if (older != NULL) tuff_report_comparison(older, r, "    <system-out>", "</system-out>\n", out);
    tuff_buf_text(out, "  </testsuite>\n");
}

void tuff_report_junit(const tuff_conform_report *const *reports, const tuff_conform_report *const *older,
                       size_t n, tuff_buf *out)
{
    tuff_buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tuff conform\">\n");
    for (size_t i = 0; i < n; i++)
        suite(reports[i], older != NULL ? older[i] : NULL, out);
    tuff_buf_text(out, "</testsuites>\n");
}
