#include "train/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/html.h"

const char *const tuff_chart_style =
    ":root{--train:#0b57d0;--eval:#b3261e}@media(prefers-color-scheme:dark){:root{--train:#8ab4f8;--eval:#ffb4a2}}"
    "@media print{:root{--train:#0b57d0;--eval:#b3261e}}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem 2rem}"
    "figure{margin:0;break-inside:avoid}figcaption{font-weight:600}figcaption span{display:inline-block;font-weight:400;color:var(--mute)}"
    "svg{display:block;width:100%;height:auto;max-width:44rem}svg text{font:13px system-ui,sans-serif;fill:var(--mute)}"
    ".grid{stroke:var(--line);stroke-width:1}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    ".line.train{stroke:var(--train)}.line.eval{stroke:var(--eval);stroke-dasharray:6 3}"
    ".band.train{fill:var(--train);opacity:.18}.mark.eval{fill:var(--eval)}.mark.train{fill:var(--train)}"
    ".key{display:inline-block;width:1.6em;border-top:2px solid var(--train);vertical-align:middle;margin:0 .3em 0 .8em}"
    ".key.eval{border-top:2px dashed var(--eval)}@media(max-width:36rem){svg text{font-size:15px}}"
    "@media print{.charts{grid-template-columns:1fr 1fr;gap:.6rem 1.2rem}svg text{font-size:15px}}";

/* The picture, in its own units, and where the curves lie in it. */
enum { WIDTH = 520, HEIGHT = 260, LEFT = 60, RIGHT = 500, TOP = 12, BOTTOM = 222 };

/* An axis: values from low to high, or their logarithms to the base of ten. */
typedef struct axis {
    double low, high, step; /* step: between its ticks */
    bool log;
} axis;

typedef struct frame {
    axis x, y;
    double last, least, most; /* the values: of x, of y */
} frame;

void tuff_chart_number(double v, char out[TUFF_CHART_NUMBER])
{
    const double size = fabs(v);
    if (size >= 1e15 || (size < 1e-3 && size > 0)) {
        snprintf(out, TUFF_CHART_NUMBER, "%.3g", v);
        char *e = strchr(out, 'e'); /* "2e-05" */
        char *digits = e ? e + 1 + (e[1] == '-' || e[1] == '+') : NULL;
        size_t zeros = digits ? strspn(digits, "0") : 0;
        if (zeros) memmove(digits, digits + zeros, strlen(digits + zeros) + 1);
    } else if (size >= 1e4) {
        static const char *const units[] = {"k", "M", "G", "T"};
        int unit = size >= 1e12 ? 3 : size >= 1e9 ? 2 : size >= 1e6 ? 1 : 0;
        snprintf(out, TUFF_CHART_NUMBER, "%.4g%s", v / pow(1000, unit + 1), units[unit]);
    } else
        snprintf(out, TUFF_CHART_NUMBER, "%.4g", v);
}

/* 1, 2 or 5 times a power of ten, so that there are about `count` in the range. */
static double nice_step(double range, int count)
{
    const double raw = range / count, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/* From zero: it begins there, else it may go by powers of ten. */
static axis axis_of(double low, double high, bool from_zero, int count)
{
    const double much = 1e200; /* of which differences are numbers */
    axis a = {.low = fmin(fmax(low, -much), much), .high = fmax(fmin(high, much), -much)};
    a.log = !from_zero && low > 0 && high / low > 300;
    if (a.log) {
        a.low = floor(log10(fmax(low, 1 / much)));
        a.high = ceil(log10(a.high));
        a.step = ceil((a.high - a.low) / 5);
        return a;
    }
    if (from_zero && low > 0) a.low = 0;
    if (a.high - a.low <= 1e-9 * fmax(fabs(a.low), fabs(a.high))) {
        const double half = a.low == 0 ? 1 : fabs(a.low) * 0.1;
        a.low -= from_zero ? 0 : half;
        a.high += half;
    }
    a.step = nice_step(a.high - a.low, count);
    return a;
}

/* Whole steps, so that the top and the bottom of the picture are ticks. */
static void round_out(axis *a)
{
    if (a->log) return;
    a->low = floor(a->low / a->step + 1e-9) * a->step;
    a->high = ceil(a->high / a->step - 1e-9) * a->step;
}

static double place(const axis *a, double value, double from, double to)
{
    if (a->log) value = value > 0 ? log10(value) : a->low;
    return from + (value - a->low) / (a->high - a->low) * (to - from);
}

static double x_of(const frame *f, double x)
{
    return place(&f->x, x, LEFT, RIGHT);
}

/* A band may go past the axis, which is made for the lines. */
static double y_of(const frame *f, double y)
{
    const double at = place(&f->y, y, BOTTOM, TOP);
    return at < TOP ? TOP : at > BOTTOM ? BOTTOM : at;
}

/* False: there is nothing to draw. */
static bool measure(const tuff_chart *c, frame *f)
{
    bool any = false;
    for (size_t k = 0; k < c->n_lines; k++)
        for (size_t i = 0; i < c->lines[k].n; i++) {
            const double x = c->lines[k].x[i], y = c->lines[k].y[i];
            if (!isfinite(y)) continue;
            f->last = any && f->last > x ? f->last : x;
            f->least = any && f->least < y ? f->least : y;
            f->most = any && f->most > y ? f->most : y;
            any = true;
        }
    if (!any) return false;
    f->x = axis_of(0, f->last, true, 5);
    if (f->x.step < 1) f->x.step = 1;
    f->y = axis_of(f->least, f->most, c->from_zero, 4);
    round_out(&f->y);
    return true;
}

static void print_x_axis(const frame *f, tuff_buf *out)
{
    char number[TUFF_CHART_NUMBER];
    for (double at = ceil(f->x.low / f->x.step - 1e-9) * f->x.step; at <= f->x.high * (1 + 1e-12);
         at += f->x.step) {
        tuff_chart_number(fabs(at), number); /* there is no step -0 */
        tuff_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>", x_of(f, at),
                        BOTTOM + 17, number);
    }
    tuff_buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">step</text>\n", RIGHT, BOTTOM + 34);
}

static void print_y_axis(const frame *f, tuff_buf *out)
{
    char number[TUFF_CHART_NUMBER];
    const int ticks = (int)((f->y.high - f->y.low) / f->y.step + 1e-9);
    for (int i = 0; i <= ticks; i++) {
        double at = f->y.low + i * f->y.step;
        if (fabs(at) < f->y.step * 1e-9) at = 0;
        const double value = f->y.log ? pow(10, at) : at, y = y_of(f, value);
        tuff_chart_number(value, number);
        tuff_buf_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                        RIGHT, y, y);
        tuff_buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 7, y + 4.5,
                        number);
    }
}

static void print_band(const frame *f, const tuff_chart_line *l, tuff_buf *out)
{
    for (size_t i = 0, end; i < l->n; i = end + 1) { /* gaps cut it */
        end = i;
        while (end < l->n && isfinite(l->y[end]))
            end++;
        if (end < i + 2) continue;
        tuff_buf_printf(out, "<path class=\"band %s\" d=\"", l->kind);
        for (size_t k = i; k < end; k++)
            tuff_buf_printf(out, "%c%.1f %.1f", k == i ? 'M' : 'L', x_of(f, l->x[k]), y_of(f, l->high[k]));
        for (size_t k = end; k-- > i;)
            tuff_buf_printf(out, "L%.1f %.1f", x_of(f, l->x[k]), y_of(f, l->low[k]));
        tuff_buf_text(out, "Z\"/>\n");
    }
}

static void print_line(const frame *f, const tuff_chart_line *l, tuff_buf *out)
{
    bool down = false;
    tuff_buf_printf(out, "<path class=\"line %s\" d=\"", l->kind);
    for (size_t i = 0; i < l->n; i++) {
        if (isfinite(l->y[i]))
            tuff_buf_printf(out, "%c%.1f %.1f", down ? 'L' : 'M', x_of(f, l->x[i]), y_of(f, l->y[i]));
        down = isfinite(l->y[i]);
    }
    tuff_buf_text(out, "\"/>\n");
    for (size_t i = 0; (l->marked || l->n == 1) && i < l->n; i++)
        if (isfinite(l->y[i]))
            tuff_buf_printf(out, "<circle class=\"mark %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", l->kind,
                            x_of(f, l->x[i]), y_of(f, l->y[i]));
}

static void print_key(const tuff_chart *c, tuff_buf *out)
{
    tuff_buf_text(out, "<figcaption>");
    tuff_html_escape(out, c->title, strlen(c->title));
    if (*c->unit) tuff_buf_printf(out, " <span>(%s)</span>", c->unit);
    for (size_t k = 0; c->n_lines > 1 && k < c->n_lines; k++)
        tuff_buf_printf(out, "<span><i class=\"key %s\"></i>%s</span>", c->lines[k].kind, c->lines[k].name);
    tuff_buf_text(out, "</figcaption>\n");
}

/* In words, for those who do not see it. */
static void describe(const tuff_chart *c, const frame *f, tuff_buf *out)
{
    for (size_t k = 0; k < c->n_lines; k++) {
        const tuff_chart_line *l = &c->lines[k];
        size_t first = 0, last = l->n;
        char from[TUFF_CHART_NUMBER], to[TUFF_CHART_NUMBER];
        while (first < l->n && !isfinite(l->y[first]))
            first++;
        while (last > first && !isfinite(l->y[last - 1]))
            last--;
        if (first == last) continue;
        tuff_chart_number(l->y[first], from);
        tuff_chart_number(l->y[last - 1], to);
        tuff_buf_printf(out, "%s: %s at step %.0f, %s at step %.0f. ", l->name, from, l->x[first], to,
                        l->x[last - 1]);
    }
    if (f->y.log) tuff_buf_text(out, "The axis goes by powers of ten.");
}

void tuff_chart_print(const tuff_chart *c, tuff_buf *out)
{
    frame f = {.last = 0};
    tuff_buf_text(out, "<figure>\n");
    print_key(c, out);
    if (!measure(c, &f)) {
        tuff_buf_text(out, "<p class=\"none\">nothing yet</p></figure>\n");
        return;
    }
    tuff_buf_printf(
        out,
        "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-title %s-text\"><title id=\"%s-title\">",
        WIDTH, HEIGHT, c->id, c->id, c->id);
    tuff_html_escape(out, c->title, strlen(c->title));
    tuff_buf_printf(out, "</title><desc id=\"%s-text\">", c->id);
    describe(c, &f, out);
    tuff_buf_text(out, "</desc>\n");
    print_y_axis(&f, out);
    print_x_axis(&f, out);
    for (size_t k = 0; k < c->n_lines; k++)
        if (c->lines[k].low) print_band(&f, &c->lines[k], out);
    for (size_t k = 0; k < c->n_lines; k++)
        print_line(&f, &c->lines[k], out);
    tuff_buf_text(out, "</svg></figure>\n");
}
