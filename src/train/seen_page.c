/* The page of a report: how far it is, curves, evaluations, samples, facts, the same in figures. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuff/version.h>

#include "base/html.h"
#include "base/memory.h"
#include "train/chart.h"
#include "train/seen.h"

static const char *const style =
    "h3{font-size:1rem;margin:1.2rem 0 .2rem;overflow-wrap:anywhere}td.say{white-space:pre-wrap;overflow-wrap:anywhere;"
    "min-width:14rem}td.best{font-weight:600}.state dl{margin:.6rem 0}table.figures{font-size:.9em}"
    "thead th{vertical-align:bottom}th.n{text-align:right}caption{text-align:left;color:var(--mute)}"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 2rem}"
    "@media print{.facts{grid-template-columns:1fr 1fr}table.figures{font-size:9px}td.bar{width:8rem}.wide th{overflow-wrap:anywhere}}";

static void text(tuff_buf *out, const char *value)
{
    tuff_html_escape(out, value, strlen(value));
}

static void number(tuff_buf *out, double value)
{
    char digits[TUFF_CHART_NUMBER];
    if (!isfinite(value)) {
        tuff_buf_text(out, "\xe2\x80\x93");
        return;
    }
    tuff_chart_number(value, digits);
    tuff_buf_text(out, digits);
}

/* "1 h 05 min", "2 min 03 s", "4 s" */
static void duration(tuff_buf *out, double seconds)
{
    const int64_t s = seconds < 1e12 ? (int64_t)(seconds + 0.5) : 0;
    if (s >= 3600)
        tuff_buf_printf(out, "%lld h %02lld min", (long long)(s / 3600), (long long)(s / 60 % 60));
    else if (s >= 60)
        tuff_buf_printf(out, "%lld min %02lld s", (long long)(s / 60), (long long)(s % 60));
    else
        tuff_buf_printf(out, "%lld s", (long long)s);
}

/* A fact that is made here. */
static void made(tuff_buf *out, const char *name, tuff_buf *value)
{
    if (value->data) tuff_html_fact(out, name, value->data);
    out->failed |= value->failed;
    tuff_buf_free(value);
    *value = (tuff_buf){0};
}

/* ---- how far it is */

static void verdict(const tuff_train_report *r, tuff_buf *out)
{
    static const char *const classes[] = {"ok", "warn", "bad"}, *const signs[] = {"\xe2\x9c\x93",
                                                                                  "\xe2\x9a\xa0",
                                                                                  "\xe2\x9c\x97"};
    char now[TUFF_UTC_SIZE];
    tuff_utc_now(now);
    tuff_buf_printf(out, "<p class=\"verdict %s\">%s ", r->ended ? classes[r->end] : "",
                    r->ended ? signs[r->end] : "\xe2\x96\xb6");
    if (r->ended)
        text(out, r->why);
    else
        tuff_buf_text(out, "running");
    tuff_buf_text(out, ": step ");
    tuff_html_count(out, r->step);
    if (r->total_steps) {
        tuff_buf_text(out, " of ");
        tuff_html_count(out, r->total_steps);
        tuff_buf_printf(out, " (%.0f\xc2\xa0%%)", 100.0 * (double)r->step / (double)r->total_steps);
    }
    if (!r->ended && r->timed && r->total_steps > r->step) {
        tuff_buf_text(out, ", about ");
        duration(out, r->seconds / (double)r->timed * (double)(r->total_steps - r->step));
        tuff_buf_text(out, " left");
    }
    tuff_buf_printf(out, "</p>\n<p class=\"none\">As of %s%s.</p>\n", now,
                    r->ended ? "" : "; load it again for what is new");
}

static void key_figures(const tuff_train_report *r, tuff_buf *out)
{
    tuff_buf value = {0};
    const tuff_history *h = &r->history;
    tuff_buf_text(out, "<dl>");
    if (h->count) {
        number(&value, tuff_place_mean(&h->places[h->count - 1], TUFF_CURVE_LOSS));
        if (h->count > 1) {
            tuff_buf_text(&value, ", at the beginning ");
            number(&value, tuff_place_mean(&h->places[0], TUFF_CURVE_LOSS));
        }
        made(out, "loss", &value);
    }
    if (r->best >= 0) {
        number(&value, r->best_loss);
        tuff_buf_printf(&value, ", after step %lld", (long long)r->best);
        made(out, "best validation loss", &value);
    }
    if (r->step) {
        tuff_buf_printf(&value, "%.4g", r->epoch);
        made(out, "epochs", &value);
        tuff_html_count(&value, r->tokens);
        made(out, "tokens", &value);
        tuff_html_count(&value, r->skipped);
        made(out, "skipped steps", &value);
    }
    if (r->timed) {
        number(&value, (double)r->timed_tokens / r->seconds);
        tuff_buf_text(&value, " tokens/s");
        made(out, "throughput", &value);
    }
    tuff_buf_text(out, "</dl>\n");
}

/* ---- curves */

enum { POINTS = TUFF_HISTORY_PLACES };
typedef struct points {
    double x[POINTS], y[POINTS], low[POINTS], high[POINTS];
} points;

/* Tokens per second around place `i`, of at least so many seconds: of a few milliseconds it would say how
 * busy the machine was just then. */
static double speed_around(const tuff_history *h, size_t i, double least)
{
    double tokens = h->places[i].tokens, seconds = h->places[i].seconds;
    if (!(seconds > 0)) return (double)NAN;
    for (size_t away = 1; seconds < least && away < h->count; away++) {
        if (away <= i) tokens += h->places[i - away].tokens, seconds += h->places[i - away].seconds;
        if (i + away < h->count) tokens += h->places[i + away].tokens, seconds += h->places[i + away].seconds;
    }
    return tokens / seconds;
}

/* Half a second, or a fortieth of the whole where that is more. */
static double speed_window(const tuff_history *h)
{
    enum { PART = 40 };
    double seconds = 0;
    for (size_t i = 0; i < h->count; i++)
        seconds += h->places[i].seconds;
    return fmax(0.5, seconds / PART);
}

static tuff_chart_line line_of(const tuff_history *h, tuff_curve curve, points *p)
{
    const bool speed = curve == TUFF_CURVE_SPEED;
    const double window = speed ? speed_window(h) : 0;
    for (size_t i = 0; i < h->count; i++) {
        const tuff_place *at = &h->places[i];
        const tuff_values *s = &at->of[curve];
        p->x[i] = 0.5 * (double)(at->first + at->last);
        p->y[i] = speed ? speed_around(h, i, window) : tuff_place_mean(at, curve);
        p->low[i] = s->low;
        p->high[i] = s->high;
    }
    return (tuff_chart_line){.name = "training",
                             .kind = "train",
                             .x = p->x,
                             .y = p->y,
                             .low = h->width > 1 && !speed ? p->low : NULL,
                             .high = p->high,
                             .n = h->count};
}

/* Figure `which` of the evaluations; -1: their loss. */
static double eval_value(const tuff_report_eval *e, const char *figure)
{
    if (!figure) return e->result.tokens ? e->result.loss : (double)NAN;
    for (int64_t i = 0; i < e->result.count; i++)
        if (strcmp(e->result.figures[i].name, figure) == 0) return e->result.figures[i].value;
    return (double)NAN;
}

static tuff_chart_line eval_line(const tuff_train_report *r, const char *figure, points *p)
{
    for (size_t i = 0; i < r->n_evals; i++) {
        p->x[i] = (double)r->evals[i].step;
        p->y[i] = eval_value(&r->evals[i], figure);
    }
    return (tuff_chart_line){.name = "validation",
                             .kind = "eval",
                             .x = p->x,
                             .y = p->y,
                             .n = r->n_evals,
                             .marked = r->n_evals <= 64};
}

static void curve(const tuff_train_report *r, tuff_curve which, const char *id, const char *title,
                  const char *unit, points *p, tuff_buf *out)
{
    const tuff_chart chart = {.id = id,
                              .title = title,
                              .unit = unit,
                              .from_zero = which == TUFF_CURVE_RATE || which == TUFF_CURVE_SPEED,
                              .lines = {line_of(&r->history, which, p)},
                              .n_lines = 1};
    tuff_chart_print(&chart, out);
}

/* Figures that have a curve; the table of evaluations has them all. */
enum { CHARTED = 8 };

static void curves(const tuff_train_report *r, points p[2], tuff_buf *out)
{
    const bool language = r->n_evals && r->evals[r->n_evals - 1].result.perplexity > 0;
    const tuff_chart loss = {
        .id = "loss",
        .title = "Loss",
        .unit = language ? "nats per token" : "mean of a step",
        .lines = {line_of(&r->history, TUFF_CURVE_LOSS, &p[0]), eval_line(r, NULL, &p[1])},
        .n_lines = r->best >= 0 ? 2 : 1};
    tuff_buf_text(out, "<h2>Curves</h2>\n<div class=\"charts\">\n");
    tuff_chart_print(&loss, out);
    curve(r, TUFF_CURVE_RATE, "rate", "Learning rate", "", p, out);
    curve(r, TUFF_CURVE_NORM, "norm", "Gradient norm", "before clipping", p, out);
    curve(r, TUFF_CURVE_SPEED, "speed", "Throughput", "tokens/s", p, out);
    const tuff_eval_result *last = r->n_evals ? &r->evals[r->n_evals - 1].result : NULL;
    for (int64_t i = 0; last && i < last->count && i < CHARTED; i++) {
        char id[32];
        snprintf(id, sizeof id, "figure-%lld", (long long)i);
        const tuff_chart chart = {.id = id,
                                  .title = last->figures[i].name,
                                  .unit = "validation",
                                  .lines = {eval_line(r, last->figures[i].name, p)},
                                  .n_lines = 1};
        tuff_chart_print(&chart, out);
    }
    tuff_buf_text(out, "</div>\n");
    if (r->history.width > 1)
        tuff_buf_printf(
            out,
            "<p class=\"none\">Lines are means of %lld steps each, bands reach from their least to their "
            "greatest value. Throughput is that of half a second at least.</p>\n",
            (long long)r->history.width);
}

/* ---- tables */

static void cell(tuff_buf *out, double value)
{
    tuff_buf_text(out, "<td class=\"n\">");
    number(out, value);
    tuff_buf_text(out, "</td>");
}

static void evaluations(const tuff_train_report *r, tuff_buf *out)
{
    if (!r->n_evals) return;
    const tuff_eval_result *last = &r->evals[r->n_evals - 1].result;
    tuff_buf_text(
        out, "<h2>Evaluations</h2>\n<div class=\"scroll\"><table class=\"wide\"><thead><tr><th scope=\"col\" "
             "class=\"n\">step</th>");
    if (last->tokens) tuff_buf_text(out, "<th scope=\"col\" class=\"n\">loss</th>");
    if (last->perplexity > 0) tuff_buf_text(out, "<th scope=\"col\" class=\"n\">perplexity</th>");
    for (int64_t k = 0; k < last->count; k++) {
        tuff_buf_text(out, "<th scope=\"col\" class=\"n\">");
        text(out, last->figures[k].name);
        tuff_buf_text(out, "</th>");
    }
    tuff_buf_text(out, "</tr></thead>\n");
    for (size_t i = 0; i < r->n_evals; i++) {
        const tuff_report_eval *e = &r->evals[i];
        tuff_buf_text(out, "<tr><td class=\"n\">");
        tuff_html_count(out, e->step);
        tuff_buf_text(out, "</td>");
        if (last->tokens) {
            tuff_buf_text(out, e->step == r->best ? "<td class=\"n best\">best " : "<td class=\"n\">");
            number(out, eval_value(e, NULL));
            tuff_buf_text(out, "</td>");
        }
        if (last->perplexity > 0) cell(out, e->result.perplexity > 0 ? e->result.perplexity : (double)NAN);
        for (int64_t k = 0; k < last->count; k++)
            cell(out, eval_value(e, last->figures[k].name));
        tuff_buf_text(out, "</tr>\n");
    }
    tuff_buf_text(out, "</table></div>\n");
}

static void samples(const tuff_train_report *r, tuff_buf *out)
{
    if (!r->n_samples) return;
    tuff_buf_text(out, "<h2>Samples</h2>\n");
    for (size_t k = 0; k < r->n_prompts; k++) {
        tuff_buf_text(out, "<h3>\xe2\x80\x9c");
        tuff_html_escape(out, r->prompts[k].text, r->prompts[k].size);
        tuff_buf_text(out, "\xe2\x80\x9d</h3>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\" "
                           "class=\"n\">step</th><th scope=\"col\">goes on</th></tr></thead>\n");
        for (size_t i = 0; i < r->n_samples; i++) {
            const tuff_report_sample *s = &r->samples[i];
            if (s->prompt != k) continue;
            tuff_buf_text(out, "<tr><td class=\"n\">");
            tuff_html_count(out, s->step);
            tuff_buf_text(out, "</td><td class=\"say\">");
            tuff_html_escape(out, s->text, s->size);
            tuff_buf_text(out, "</td></tr>\n");
        }
        tuff_buf_text(out, "</table></div>\n");
    }
}

static void skipped(const tuff_train_report *r, tuff_buf *out)
{
    if (!r->n_skips) return;
    tuff_buf_text(out, "<h2>Skipped steps</h2>\n<p>");
    tuff_html_count(out, r->skipped);
    tuff_buf_text(out, " steps changed nothing. The gradient was not finite");
    for (int empty = 0; empty < 2; empty++) {
        bool any = false;
        if (empty) tuff_buf_text(out, "; there was nothing to learn from");
        tuff_buf_text(out, " at ");
        for (size_t i = 0; i < r->n_skips; i++) {
            if (r->skips[i].empty != (empty == 1)) continue;
            tuff_buf_printf(out, "%s%lld", any ? ", " : "", (long long)r->skips[i].step);
            any = true;
        }
        if (!any) tuff_buf_text(out, "none");
    }
    tuff_buf_printf(out, "%s.</p>\n", r->skipped > (int64_t)r->n_skips ? ", and later ones" : "");
}

static void machine(const tuff_train_report *r, tuff_buf *out)
{
    tuff_buf value = {0};
    char line[256];
    tuff_buf_text(out, "<div><h2>Machine</h2>\n<dl>");
    if (*r->device.name) {
        tuff_html_fact(out, "device", r->device.name);
        tuff_html_fact(out, "driver", r->device.driver);
        tuff_html_fact(out, "backend", r->device.backend);
        tuff_buf_printf(&value, "%.1f GB", (double)r->device.memory_bytes * 1e-9);
        if (r->device.memory_bytes) made(out, "memory", &value);
        tuff_buf_clear(&value);
    }
    tuff_host_name(line, sizeof line);
    tuff_html_fact(out, "host", line);
    tuff_host_system(line, sizeof line);
    tuff_html_fact(out, "system", line);
    tuff_html_fact(out, "tuff", tuff_version());
    tuff_html_fact(out, "began", r->began);
    tuff_buf_text(out, "</dl></div>\n");
}

/* A group where its first fact is. */
static void facts(const tuff_train_report *r, tuff_buf *out)
{
    tuff_buf_text(out, "<div class=\"facts\">\n");
    for (size_t i = 0; i < r->n_facts; i++) {
        const char *group = r->facts[i].group;
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || strcmp(r->facts[k].group, group) == 0;
        if (seen) continue;
        tuff_buf_text(out, "<div><h2>");
        text(out, group);
        tuff_buf_text(out, "</h2>\n<dl>");
        for (size_t k = i; k < r->n_facts; k++)
            if (strcmp(r->facts[k].group, group) == 0)
                tuff_html_fact(out, r->facts[k].name, r->facts[k].value);
        tuff_buf_text(out, "</dl></div>\n");
    }
    machine(r, out);
    tuff_buf_text(out, "</div>\n");
}

/* The curves again, in rows. */
static void figures(const tuff_train_report *r, tuff_buf *out)
{
    enum { ROWS = 40 };
    if (!r->history.count) return;
    tuff_place *rows = tuff_alloc_array(r->history.count, sizeof *rows);
    if (!rows) {
        out->failed = true;
        return;
    }
    const size_t n = tuff_history_join(&r->history, ROWS, rows);
    tuff_buf_text(
        out,
        "<h2>Figures</h2>\n<div class=\"scroll\"><table class=\"figures\"><caption>Means over the steps of a "
        "row.</caption><thead><tr><th scope=\"col\">steps</th><th scope=\"col\" class=\"n\">epoch</th><th "
        "scope=\"col\" class=\"n\">loss</th><th scope=\"col\" class=\"n\">least</th><th scope=\"col\" "
        "class=\"n\">greatest</th><th scope=\"col\" class=\"n\">learning rate</th><th scope=\"col\" "
        "class=\"n\">gradient norm</th><th scope=\"col\" class=\"n\">tokens/s</th></tr></thead>\n");
    for (size_t i = 0; i < n; i++) {
        const tuff_place *p = &rows[i];
        const tuff_values *loss = &p->of[TUFF_CURVE_LOSS];
        tuff_buf_text(out, "<tr><td>");
        tuff_html_count(out, p->first);
        if (p->last != p->first) {
            tuff_buf_text(out, "\xe2\x80\x93");
            tuff_html_count(out, p->last);
        }
        tuff_buf_text(out, "</td>");
        cell(out, p->epoch);
        cell(out, tuff_place_mean(p, TUFF_CURVE_LOSS));
        cell(out, loss->count ? loss->low : (double)NAN);
        cell(out, loss->count ? loss->high : (double)NAN);
        cell(out, tuff_place_mean(p, TUFF_CURVE_RATE));
        cell(out, tuff_place_mean(p, TUFF_CURVE_NORM));
        cell(out, tuff_place_mean(p, TUFF_CURVE_SPEED));
        tuff_buf_text(out, "</tr>\n");
    }
    tuff_buf_text(out, "</table></div>\n");
    tuff_free(rows);
}

void tuff_report_page(const tuff_train_report *r, tuff_buf *out)
{
    tuff_buf styles = {0};
    points *p = tuff_alloc_array(2, sizeof *p);
    tuff_buf_text(&styles, style);
    tuff_buf_text(&styles, tuff_chart_style);
    tuff_buf_text(&styles, tuff_report_data_style);
    tuff_html_begin(out, r->title, styles.data ? styles.data : "");
    verdict(r, out);
    key_figures(r, out);
    if (p) curves(r, p, out);
    evaluations(r, out);
    samples(r, out);
    skipped(r, out);
    tuff_report_print_data(r, out);
    facts(r, out);
    figures(r, out);
    tuff_html_end(out);
    out->failed |= !p || styles.failed;
    tuff_buf_free(&styles);
    tuff_free(p);
}
