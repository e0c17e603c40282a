/* What the page of a training says of its data: examples, their lengths, what is not as it may seem, labels.
 */
#include <string.h>

#include "base/html.h"
#include "base/memory.h"
#include "base/status.h"
#include "train/seen.h"

const char *const tuff_report_data_style =
    "td.bar{width:14rem;min-width:6rem}td.bar i{display:block;height:.7em;margin-top:.35em;background:var(--train);"
    "min-width:1px;-webkit-print-color-adjust:exact;print-color-adjust:exact}td.name{overflow-wrap:anywhere}td.range{white-space:nowrap}";

/* ---- what is kept */

static tuff_status take_labels(tuff_report_data *d, const tuff_dataset *data)
{
    const char *name;
    int64_t n;
    for (size_t i = 0; tuff_dataset_label(data, i, &name, &n); i++) {
        if (d->n_labels == TUFF_REPORT_LABELS) {
            d->more++;
            continue;
        }
        char *own = tuff_strdup(name);
        if (!own || !tuff_grow((void **)&d->labels, d->n_labels, &d->labels_capacity, sizeof *d->labels)) {
            tuff_free(own);
            return tuff_fail_memory("a report on a data set");
        }
        d->labels[d->n_labels++] = (tuff_report_label){own, n};
    }
    return TUFF_OK;
}

static void free_data(tuff_report_data *d)
{
    for (size_t i = 0; i < d->n_labels; i++)
        tuff_free(d->labels[i].name);
    tuff_free(d->labels);
    tuff_free(d->title);
}

void tuff_report_free_data(tuff_train_report *r)
{
    for (size_t i = 0; i < r->n_data; i++)
        free_data(&r->data[i]);
    r->n_data = 0;
}

static tuff_status take(tuff_report_data *d, const char *title, const tuff_dataset *data,
                        const tuff_dataset *train)
{
    d->title = tuff_strdup(title);
    if (!d->title) return tuff_fail_memory("a report on a data set");
    TUFF_TRY(tuff_dataset_get_report(data, &d->of));
    if (train) TUFF_TRY(tuff_dataset_count_known(data, train, &d->known));
    return take_labels(d, data);
}

tuff_status tuff_train_report_data(tuff_train_report *r, const char *title, const tuff_dataset *data,
                                   const tuff_dataset *train)
{
    TUFF_NEED(r);
    TUFF_NEED(title);
    TUFF_NEED(data);
    if (r->n_data == TUFF_REPORT_DATA)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a report has room for %d data sets", TUFF_REPORT_DATA);
    tuff_report_data d = {.of = TUFF_DATA_REPORT_INIT, .known = -1};
    tuff_status status = take(&d, title, data, train);
    if (status == TUFF_OK)
        r->data[r->n_data++] = d;
    else
        free_data(&d);
    return status;
}

/* ---- what is printed */

static void begin_row(tuff_buf *out, const char *what)
{
    tuff_buf_printf(out, "<dt>%s</dt><dd>", what);
}

static void fact(tuff_buf *out, const char *what, int64_t n, const char *words)
{
    begin_row(out, what);
    tuff_html_count(out, n);
    tuff_buf_printf(out, "%s</dd>", words);
}

/* Of records: zeros are good news, and are said. */
static void print_facts(const tuff_report_data *d, tuff_buf *out)
{
    const tuff_data_report *r = &d->of;
    tuff_buf_text(out, "<dl>");
    if (*r->format) {
        begin_row(out, "format");
        tuff_html_escape(out, r->format, strlen(r->format));
        if (*r->chat_template)
            tuff_buf_printf(out, ", by the chat template %s",
                            strcmp(r->chat_template, "model") == 0 ? "of the model" : "given");
        tuff_buf_text(out, "</dd>");
    }
    fact(out, r->bar ? "examples" : "blocks", r->examples, "");
    fact(out, "tokens", r->tokens, "");
    if (r->labels) fact(out, "learned", r->labels, " tokens");
    if (r->rows) fact(out, "packed", r->rows, " rows");
    if (r->bar) {
        begin_row(out, "lengths");
        tuff_html_count(out, r->shortest);
        tuff_buf_text(out, " to ");
        tuff_html_count(out, r->longest);
        tuff_buf_text(out, " tokens; half of them up to ");
        tuff_html_count(out, r->median);
        tuff_buf_text(out, ", 95\xc2\xa0% up to ");
        tuff_html_count(out, r->p95);
        tuff_buf_text(out, "</dd>");
        fact(out, "malformed", r->malformed, r->malformed ? " records, left out" : "");
        fact(out, "empty", r->empty, r->empty ? " answers, left out" : "");
        if (r->unanswered)
            fact(out, "unanswered", r->unanswered, ", whose answer is behind the longest length");
        fact(out, "cut", r->cut, r->cut ? " examples, longer than the longest length" : "");
        fact(out, "repeated", r->duplicates, r->duplicates ? " examples that stand there before" : "");
        if (r->shared) fact(out, "shared", r->shared, " answers begin within a token of the prompt");
    }
    if (r->windows_lines) fact(out, "turned", r->windows_lines, " line ends as on Windows");
    if (d->known >= 0 && r->bar)
        fact(out, "also in training", d->known,
             d->known ? " examples: they measure what was learned by heart" : "");
    tuff_buf_text(out, "</dl>\n");
}

static void print_bar(tuff_buf *out, int64_t n, int64_t most)
{
    tuff_buf_text(out, "<td class=\"n\">");
    tuff_html_count(out, n);
    tuff_buf_text(out, "</td><td class=\"bar\">");
    if (n > 0) tuff_buf_printf(out, "<i style=\"width:%.1f%%\"></i>", 100.0 * (double)n / (double)most);
    tuff_buf_text(out, "</td></tr>\n");
}

static void begin_table(tuff_buf *out, const char *caption, const char *first, const char *second)
{
    tuff_buf_printf(
        out,
        "<div class=\"scroll\"><table><caption>%s</caption><thead><tr><th scope=\"col\">%s</th><th "
        "scope=\"col\" class=\"n\">%s</th><th></th></tr></thead>\n",
        caption, first, second);
}

static void print_lengths(const tuff_data_report *r, tuff_buf *out)
{
    int64_t most = 1;
    if (!r->bar) return;
    for (int i = 0; i < TUFF_DATA_BARS; i++)
        if (r->bars[i] > most) most = r->bars[i];
    begin_table(out, "Lengths of examples", "tokens", "examples");
    const int64_t first = r->shortest > 0 ? (r->shortest - 1) / r->bar : 0;
    for (int64_t i = first; i < TUFF_DATA_BARS && i * r->bar < r->longest; i++) {
        tuff_buf_text(out, "<tr><td class=\"range\">");
        tuff_html_count(out, i * r->bar + 1);
        tuff_buf_text(out, "\xe2\x80\x93");
        tuff_html_count(out, (i + 1) * r->bar);
        tuff_buf_text(out, "</td>");
        print_bar(out, r->bars[i], most);
    }
    tuff_buf_text(out, "</table></div>\n");
}

static void print_labels(const tuff_report_data *d, tuff_buf *out)
{
    int64_t most = 1;
    if (!d->n_labels) return;
    for (size_t i = 0; i < d->n_labels; i++)
        if (d->labels[i].count > most) most = d->labels[i].count;
    begin_table(out, "Labels", "label", "how often");
    for (size_t i = 0; i < d->n_labels; i++) {
        tuff_buf_text(out, "<tr><td class=\"name\">");
        tuff_html_escape(out, d->labels[i].name, strlen(d->labels[i].name));
        tuff_buf_text(out, "</td>");
        print_bar(out, d->labels[i].count, most);
    }
    tuff_buf_text(out, "</table></div>\n");
    if (d->more) tuff_buf_printf(out, "<p class=\"none\">and %zu more</p>\n", d->more);
}

void tuff_report_print_data(const tuff_train_report *r, tuff_buf *out)
{
    if (!r->n_data) return;
    tuff_buf_text(out, "<h2>Data</h2>\n<div class=\"facts\">\n");
    for (size_t i = 0; i < r->n_data; i++) {
        tuff_buf_text(out, "<div><h3>");
        tuff_html_escape(out, r->data[i].title, strlen(r->data[i].title));
        tuff_buf_text(out, "</h3>\n");
        print_facts(&r->data[i], out);
        print_lengths(&r->data[i].of, out);
        print_labels(&r->data[i], out);
        tuff_buf_text(out, "</div>\n");
    }
    tuff_buf_text(out, "</div>\n");
}
