/* Reports for machines: JSON and JUnit's XML. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "conform/report.h"

static void quote(tuff_buf *out, const char *key, const char *text)
{
    tuff_buf_printf(out, "\"%s\": ", key);
    tuff_json_quote(out, text, strlen(text));
}

/* JSON has no infinity: a misplaced NaN or Inf is 1e300 units. */
static void number(tuff_buf *out, const char *key, double value)
{
    tuff_buf_printf(out, ", \"%s\": ", key);
    tuff_json_double(out, isfinite(value) ? value : 1e300);
}

static void json_case(const tuff_conform_report *r, const tuff_conform_case *c, tuff_buf *out)
{
    tuff_buf_text(out, "    {");
    quote(out, "family", c->family);
    tuff_buf_text(out, ", ");
    quote(out, "case", c->name);
    tuff_buf_text(out, ", ");
    quote(out, "verdict", c->verdict);
    number(out, "worst", c->worst);
    number(out, "worst_backward", c->worst_backward);
    number(out, "milliseconds", c->milliseconds);
    tuff_buf_printf(out, ", \"seed\": %llu", (unsigned long long)c->seed);
    if (!c->held) {
        tuff_buf command = {0};
        tuff_report_command(r, c, &command);
        tuff_buf_text(out, ", ");
        quote(out, "message", c->message);
        tuff_buf_text(out, ", ");
        quote(out, "rerun", command.data != NULL ? command.data : "");
        out->failed |= command.failed;
        tuff_buf_free(&command);
    }
    tuff_buf_char(out, '}');
}

static void json_report(const tuff_conform_report *r, tuff_buf *out)
{
    tuff_buf_text(out, "  {");
    quote(out, "device", r->device.name);
    tuff_buf_text(out, ", ");
    quote(out, "driver", r->device.driver);
    tuff_buf_text(out, ", ");
    quote(out, "mask", r->mask);
    tuff_buf_printf(out, ", \"level\": \"%s\", \"seed\": %llu, \"rounds\": %llu, \"passed\": %s,\n",
                    tuff_report_level(r->level), (unsigned long long)r->seed, (unsigned long long)r->rounds,
                    tuff_conform_passed(r) ? "true" : "false");
    tuff_buf_printf(
        out, "   \"cases_run\": %zu, \"cases_failed\": %zu, \"rows_unreached\": %zu, \"plans\": %llu, ",
        r->n_cases, r->n_failed, r->n_unreached, (unsigned long long)r->plans);
    tuff_buf_printf(out, "\"pipelines\": %llu, \"dispatches\": %llu", (unsigned long long)r->pipelines,
                    (unsigned long long)r->dispatches);
    number(out, "worst", r->worst);
    number(out, "worst_backward", r->worst_backward);
    number(out, "seconds", r->seconds);
    tuff_buf_text(out, ",\n   \"rows\": [\n");
    for (size_t i = 0; i < r->n_rows; i++) {
        tuff_buf_text(out, "    {");
        quote(out, "op", r->rows[i].op);
        tuff_buf_text(out, ", ");
        quote(out, "row", r->rows[i].row);
        tuff_buf_printf(out, ", \"fits\": %s, \"uses\": %llu", r->rows[i].fits ? "true" : "false",
                        (unsigned long long)r->rows[i].uses);
        if (r->rows[i].batch_free)
            tuff_buf_printf(out, ", \"batches\": %llu", (unsigned long long)r->rows[i].batches);
        number(out, "worst", r->rows[i].worst);
        tuff_buf_text(out, i + 1 < r->n_rows ? "},\n" : "}\n");
    }
    tuff_buf_text(out, "   ],\n   \"cases\": [\n");
    for (size_t i = 0; i < r->n_cases; i++) {
        json_case(r, &r->cases[i], out);
        tuff_buf_text(out, i + 1 < r->n_cases ? ",\n" : "\n");
    }
    tuff_buf_text(out, "   ]}");
}

void tuff_report_json(const tuff_conform_report *const *reports, size_t n, tuff_buf *out)
{
    tuff_buf_text(out, "[\n");
    for (size_t i = 0; i < n; i++) {
        json_report(reports[i], out);
        tuff_buf_text(out, i + 1 < n ? ",\n" : "\n");
    }
    tuff_buf_text(out, "]\n");
}

void tuff_report_junit(const tuff_conform_report *const *reports, size_t n, tuff_buf *out)
{
    tuff_buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < n; i++) {
        const tuff_conform_report *r = reports[i];
        tuff_buf_text(out, "  <testsuite name=\"");
        tuff_report_escape(out, r->device.name);
        tuff_buf_printf(out, "\" tests=\"%zu\" failures=\"%zu\" time=\"%.3f\">\n", r->n_cases + 1,
                        r->n_failed + (r->n_unreached > 0), r->seconds);
        for (size_t k = 0; k < r->n_cases; k++) {
            const tuff_conform_case *c = &r->cases[k];
            tuff_buf_printf(out, "    <testcase classname=\"%s\" name=\"", c->family);
            tuff_report_escape(out, c->name);
            tuff_buf_printf(out, "\" time=\"%.4f\"", c->milliseconds / 1e3);
            if (c->held) {
                tuff_buf_text(out, "/>\n");
                continue;
            }
            tuff_buf_printf(out, "><failure type=\"%s\">", c->verdict);
            tuff_report_escape(out, c->message);
            tuff_buf_char(out, '\n');
            tuff_buf command = {0};
            tuff_report_command(r, c, &command);
            tuff_report_escape(out, command.data != NULL ? command.data : "");
            out->failed |= command.failed;
            tuff_buf_free(&command);
            tuff_buf_text(out, "</failure></testcase>\n");
        }
        tuff_buf_text(out, "    <testcase classname=\"coverage\" name=\"every kernel row is reached\"");
        if (r->n_unreached > 0) {
            tuff_buf_text(out, "><failure type=\"unreached\">");
            for (size_t k = 0; k < r->n_rows; k++)
                if (r->rows[k].fits && r->rows[k].uses == 0)
                    tuff_buf_printf(out, "%s/%s ", r->rows[k].op, r->rows[k].row);
            tuff_buf_text(out, "</failure></testcase>\n");
        } else {
            tuff_buf_text(out, "/>\n");
        }
        tuff_buf_text(out, "  </testsuite>\n");
    }
    tuff_buf_text(out, "</testsuites>\n");
}
