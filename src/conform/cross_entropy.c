/* Cases of cross-entropy. */
#include "conform/case.h"
#include "ir/graph.h"

enum { MOST_ROWS = 128, MOST_HEAD_ROWS = 400 };
enum { EVERY, SOME, NONE, INVALID };                       /* which labels count */
enum { MEAN, SUM, ROWS };                                  /* what is made of the losses */
enum { PLAIN, BIASED, ADAPTED, CAPPED, GUESSED, SQUARED }; /* what is done to logits */

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

/* p: rows, classes, width, labels, what is made of the losses, smoothing in thousandths, what is done to the
 * logits. A head over a vocabulary that counts as a wide one: the logits exist for some rows at a time. */
static void head(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double labels[MOST_HEAD_ROWS];
    for (int64_t i = 0; i < p[0]; i++)
        labels[i] = p[3] == NONE || (p[3] == SOME && i % 3 == 1) ? -100 : (double)((i * 7 + 3) % p[1]);
    const int64_t table[2] = {p[1], p[2]}, rows[2] = {p[0], p[2]};
    if (g) g->wide_bytes = 1;
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, rows, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *w = tuff_case_leaf(run, g, TUFF_F32, 2, table, TUFF_DATA_NORMAL, 0.5, 0);
    tuff_tensor *by = tuff_case_data(run, g, TUFF_I32, 1, p, labels);
    tuff_case_grad(run, x);
    tuff_case_grad(run, w);
    tuff_tensor *y = tuff_matmul(g, x, tuff_transpose(g, w));
    if (p[6] == BIASED || p[6] == ADAPTED) {
        tuff_tensor *b = p[6] == BIASED
                             ? tuff_case_leaf(run, g, TUFF_F32, 1, &p[1], TUFF_DATA_NORMAL, 1, 0)
                             : tuff_case_leaf(run, g, TUFF_F32, 2, table, TUFF_DATA_NORMAL, 0.5, 0);
        tuff_case_grad(run, b);
        y = tuff_add(g, y, p[6] == BIASED ? b : tuff_scale(g, tuff_matmul(g, x, tuff_transpose(g, b)), 0.5));
    }
    if (p[6] == CAPPED) y = tuff_scale(g, tuff_tanh(g, tuff_scale(g, y, 0.25)), 4);
    if (p[6] == GUESSED) tuff_case_aside(run, tuff_argmax(g, y), 0, 1);
    tuff_tensor *loss =
        p[5] ? tuff_cross_entropy_smoothed(g, y, by, (double)p[5] / 1000) : loss_of(g, p[4], y, by, NULL);
    /* as of the logits, whose terms are as many as the width */
    if (p[6] == SQUARED) loss = tuff_mul(g, loss, loss); /* its gradient waits for all rows */
    tuff_case_result(run, loss, 2, (double)(p[4] == ROWS ? p[1] + p[2] : p[0] + p[1] + p[2]));
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
    {"cross_entropy.head.r300c37d9", head, {300, 37, 9, EVERY, SUM}},
    {"cross_entropy.head.r129c70d12.some_ignored", head, {129, 70, 12, SOME, SUM}},
    {"cross_entropy.head.r260c8d4.all_ignored", head, {260, 8, 4, NONE, SUM}},
    {"cross_entropy.head.r200c33d8.smoothed", head, {200, 33, 8, EVERY, SUM, 100}},
    {"cross_entropy.head.r400c21d8.rows", head, {400, 21, 8, SOME, ROWS}},
    {"cross_entropy.head.r300c37d9.bias", head, {300, 37, 9, EVERY, SUM, 0, BIASED}},
    {"cross_entropy.head.r257c36d8.adapter", head, {257, 36, 8, EVERY, SUM, 0, ADAPTED}},
    {"cross_entropy.head.r300c37d9.capped", head, {300, 37, 9, EVERY, SUM, 0, CAPPED}},
    {"cross_entropy.head.r300c37d9.argmax", head, {300, 37, 9, EVERY, SUM, 0, GUESSED}},
    {"cross_entropy.head.r400c21d8.rows.squared", head, {400, 21, 8, SOME, ROWS, 0, SQUARED}},
};

const tuff_case_family tuff_family_cross_entropy = {"cross_entropy", cases, sizeof cases / sizeof cases[0]};
