/* Curves as pictures that a page holds within itself (SVG). */
#ifndef TUFF_TRAIN_CHART_H
#define TUFF_TRAIN_CHART_H

#include "base/text.h"

/* A line through points, in the order of x; those whose y is not finite are gaps. */
typedef struct tuff_chart_line {
    const char *name;         /* as the key calls it */
    const char *kind;         /* the class that gives its look: "train", "eval" */
    const double *x, *y;      /* [n] */
    const double *low, *high; /* [n]: a band around it; NULL: none */
    size_t n;
    bool marked; /* each point has a mark: there are few */
} tuff_chart_line;

enum { TUFF_CHART_LINES = 2 };
typedef struct tuff_chart {
    const char *id, *title;
    const char *unit; /* of y */
    bool from_zero;   /* y begins there */
    tuff_chart_line lines[TUFF_CHART_LINES];
    size_t n_lines;
} tuff_chart;

/* What the look of charts is, for the page's style. */
extern const char *const tuff_chart_style;
/* Appends a figure with its caption and its key; x is steps. The axis of y goes by powers of ten where values
 * are of very different size. */
void tuff_chart_print(const tuff_chart *chart, tuff_buf *out);
/* "0.0125", "2e-5", "12.5k": in few letters. */
enum { TUFF_CHART_NUMBER = 24 };
void tuff_chart_number(double value, char out[TUFF_CHART_NUMBER]);

#endif
