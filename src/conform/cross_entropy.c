/* Cases of cross-entropy. */
#include "conform/case.h"
#include "ir/graph.h"

enum { MOST_ROWS = 128 };
enum { EVERY, SOME, NONE, INVALID }; /* which labels count */
enum { MEAN, SUM, ROWS };            /* what is made of the losses */

static tuff_tensor *loss_of(tuff_graph *g, int64_t kind, tuff_tensor *x, tuff_tensor *by, tuff_tensor **count)
{
    if (kind == ROWS) return tuff_cross_entropy_rows(g, x, by);
    return kind == SUM ? tuff_cross_entropy_sum(g, x, by) : tuff_cross_entropy(g, x, by, count);
}

/* p: rows, classes, labels, factor of the logits, offset of the logits, what is made of the losses,
 * smoothing in thousandths (of sums) */
static void labelled(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double labels[MOST_ROWS];
    for (int64_t i = 0; i < p[0]; i++) {
        labels[i] = (double)((i * 7 + 3) % p[1]);
        if (p[2] == NONE || (p[2] == SOME && i % 3 == 1)) labels[i] = -100;
        if (p[2] == INVALID && i == p[0] / 2) labels[i] = (double)p[1];
    }
    double factor = p[3] ? (double)p[3] : 1, terms = (double)(p[5] == ROWS ? p[1] : p[0] + p[1]);
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, factor, (double)p[4]);
    bool finite = p[2] == EVERY || p[2] == SOME || (p[2] == NONE && p[5]);
    if (finite) tuff_case_grad(run, x);
    tuff_tensor *by = tuff_case_data(run, g, TUFF_I32, 1, p, labels), *count = NULL;
    tuff_tensor *loss =
        p[6] ? tuff_cross_entropy_smoothed(g, x, by, (double)p[6] / 1000) : loss_of(g, p[5], x, by, &count);
    /* log-sum-exp minus a logit, each within eps of the largest logit */
    double c = 4 * (1 + factor + (double)(p[4] > 0 ? p[4] : -p[4]));
    if (finite)
        tuff_case_result(run, loss, c, terms);
    else
        tuff_case_aside(run, loss, c, terms);
    if (p[5] == MEAN) tuff_case_aside(run, count, 0, 1);
    if (loss) tuff_case_aside(run, loss->producer->out[1], 4, terms);
}

/* p: rows, classes, what is no class, what is made of the losses. The gradient is an output here: rows that
 * count nothing are zeros, rows with a label that is no class NaN. */
static void gradient(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double labels[MOST_ROWS];
    for (int64_t i = 0; i < p[0]; i++)
        labels[i] = i % 4 == 1 ? -100 : i % 4 == 2 ? (double)p[2] : (double)(i % p[1]);
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 3, 0), *d;
    tuff_tensor *loss = loss_of(g, p[3], x, tuff_case_data(run, g, TUFF_I32, 1, p, labels), NULL);
    if (p[3] == ROWS) loss = tuff_sum(g, loss, 1, false);
    tuff_graph_grad(g, loss, &x, 1, &d);
    tuff_case_aside(run, d, 32, (double)p[1]);
}

static const tuff_case cases[] = {
    {"cross_entropy.loss.r1c1", labelled, {1, 1}},
    {"cross_entropy.loss.r1c2", labelled, {1, 2}},
    {"cross_entropy.loss.r7c13", labelled, {7, 13}},
    {"cross_entropy.loss.r33c65.some_ignored", labelled, {33, 65, SOME}},
    {"cross_entropy.loss.r128c64", labelled, {128, 64, EVERY}},
    {"cross_entropy.loss.r3c1031.some_ignored", labelled, {3, 1031, SOME}},
    {"cross_entropy.loss.r2c5000", labelled, {2, 5000}},
    {"cross_entropy.loss.r9c300.some_ignored.wide", labelled, {9, 300, SOME, 20}},
    {"cross_entropy.loss.r5c40.far_from_zero", labelled, {5, 40, EVERY, 2, 100}},
    {"cross_entropy.loss.r4c9.all_ignored", labelled, {4, 9, NONE}},
    {"cross_entropy.loss.r5c9.invalid_label", labelled, {5, 9, INVALID}},
    {"cross_entropy.sum.r33c65.some_ignored", labelled, {33, 65, SOME, 0, 0, SUM}},
    {"cross_entropy.sum.r9c300.wide", labelled, {9, 300, EVERY, 20, 0, SUM}},
    {"cross_entropy.sum.r4c9.all_ignored", labelled, {4, 9, NONE, 0, 0, SUM}},
    {"cross_entropy.sum.r5c9.invalid_label", labelled, {5, 9, INVALID, 0, 0, SUM}},
    {"cross_entropy.smoothed.r1c2", labelled, {1, 2, EVERY, 0, 0, SUM, 100}},
    {"cross_entropy.smoothed.r33c65.some_ignored", labelled, {33, 65, SOME, 0, 0, SUM, 100}},
    {"cross_entropy.smoothed.r3c1031.wide", labelled, {3, 1031, EVERY, 20, 0, SUM, 300}},
    {"cross_entropy.smoothed.r5c40.far_from_zero", labelled, {5, 40, EVERY, 2, 100, SUM, 1000}},
    {"cross_entropy.smoothed.r5c9.invalid_label", labelled, {5, 9, INVALID, 0, 0, SUM, 100}},
    {"cross_entropy.smoothed.r4c9.all_ignored", labelled, {4, 9, NONE, 0, 0, SUM, 100}},
    {"cross_entropy.rows.r1c1", labelled, {1, 1, EVERY, 0, 0, ROWS}},
    {"cross_entropy.rows.r33c65.some_ignored", labelled, {33, 65, SOME, 0, 0, ROWS}},
    {"cross_entropy.rows.r3c1031", labelled, {3, 1031, EVERY, 0, 0, ROWS}},
    {"cross_entropy.rows.r9c300.some_ignored.wide", labelled, {9, 300, SOME, 20, 0, ROWS}},
    {"cross_entropy.rows.r5c9.invalid_label", labelled, {5, 9, INVALID, 0, 0, ROWS}},
    {"cross_entropy.gradient.r9c70.no_class", gradient, {9, 70, 70}},
    {"cross_entropy.gradient.r9c33.negative", gradient, {9, 33, -1}},
    {"cross_entropy.gradient.r9c70.no_class.rows", gradient, {9, 70, 70, ROWS}},
};

const tuff_case_family tuff_family_cross_entropy = {"cross_entropy", cases, sizeof cases / sizeof cases[0]};
