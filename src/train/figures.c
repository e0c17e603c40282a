#include "train/figures.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "train/metrics.h"

tuff_status tuff_figures_begin(tuff_figures *f, size_t classes)
{
    *f = (tuff_figures){.classes = classes};
    f->right = tuff_alloc_array(3 * classes, sizeof *f->right);
    if (!f->right) return tuff_fail_memory("an evaluation");
    f->truth = f->right + classes;
    f->said = f->truth + classes;
    return TUFF_OK;
}

void tuff_figures_end(tuff_figures *f)
{
    tuff_free(f->right);
}

void tuff_figures_add(tuff_figures *f, size_t truth, size_t said)
{
    f->examples++;
    f->correct += truth == said;
    f->right[truth] += truth == said;
    f->truth[truth]++;
    f->said[said]++;
}

static bool holds(const int32_t *truth, size_t n, size_t class)
{
    for (size_t i = 0; i < n; i++)
        if ((size_t)truth[i] == class) return true;
    return false;
}

void tuff_figures_add_set(tuff_figures *f, const int32_t *truth, size_t n, const float *logits)
{
    bool correct = true;
    for (size_t c = 0; c < f->classes; c++) {
        bool there = holds(truth, n, c), said = logits[c] > 0;
        f->right[c] += there && said;
        f->truth[c] += there;
        f->said[c] += said;
        correct = correct && there == said;
    }
    f->examples++;
    f->correct += correct;
}

/* 0 where there is nothing to share, as scikit-learn has it. */
static double share(double part, int64_t whole)
{
    return whole ? part / (double)whole : 0;
}

/* What is said of a class, or a mean of it over classes. */
typedef struct figure {
    double f1, precision, recall;
} figure;

static figure figure_of(int64_t right, int64_t truth, int64_t said)
{
    const double r = (double)right;
    return (figure){share(2 * r, truth + said), share(r, said), share(r, truth)};
}

/* Adds so much of one to another. */
static void add(figure *sum, figure f, double weight)
{
    sum->f1 += weight * f.f1;
    sum->precision += weight * f.precision;
    sum->recall += weight * f.recall;
}

static void put(const figure *f, const char *mean, tuff_eval_result *out)
{
    char name[24];
    snprintf(name, sizeof name, "f1%s", mean);
    tuff_eval_put(out, name, f->f1);
    snprintf(name, sizeof name, "precision%s", mean);
    tuff_eval_put(out, name, f->precision);
    snprintf(name, sizeof name, "recall%s", mean);
    tuff_eval_put(out, name, f->recall);
}

/* Matthews' correlation of any number of classes (Gorodkin 2004), by how often each is so and is said. */
static double correlation(const tuff_figures *f)
{
    const double n = (double)f->examples;
    double both = (double)f->correct * n, said = n * n, truth = n * n;
    for (size_t c = 0; c < f->classes; c++) {
        const double t = (double)f->truth[c], s = (double)f->said[c];
        both -= t * s;
        said -= s * s;
        truth -= t * t;
    }
    return said * truth > 0 ? both / sqrt(said * truth) : 0;
}

void tuff_figures_put(const tuff_figures *f, bool sets, tuff_eval_result *out)
{
    int64_t right = 0, truth = 0, said = 0, classes = 0;
    figure macro = {0}, weighted = {0};
    for (size_t c = 0; c < f->classes; c++) {
        right += f->right[c];
        truth += f->truth[c];
        said += f->said[c];
        classes += sets || f->truth[c] + f->said[c] > 0;
    }
    for (size_t c = 0; c < f->classes; c++) {
        const figure of_class = figure_of(f->right[c], f->truth[c], f->said[c]);
        add(&macro, of_class, 1 / (double)classes);
        if (truth) add(&weighted, of_class, (double)f->truth[c] / (double)truth);
    }
    const figure micro = figure_of(right, truth, said);
    tuff_eval_put(out, "accuracy", (double)f->correct / (double)f->examples);
    if (!sets && f->classes == 2) {
        const figure second = figure_of(f->right[1], f->truth[1], f->said[1]);
        put(&second, "", out);
    }
    if (!sets) tuff_eval_put(out, "mcc", correlation(f));
    put(&macro, "_macro", out);
    put(&weighted, "_weighted", out);
    if (sets)
        put(&micro, "_micro", out);
    else
        tuff_eval_put(out, "f1_micro", micro.f1);
}

size_t tuff_figures_best(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

tuff_status tuff_figures_of_numbers(const float *said, const float *truth, size_t n, tuff_eval_result *out)
{
    double *x = tuff_alloc_array(2 * n, sizeof *x), *y = x + n, squares = 0, distances = 0, rank = 0;
    if (!x) return tuff_fail_memory("an evaluation");
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)said[i];
        y[i] = (double)truth[i];
        squares += (x[i] - y[i]) * (x[i] - y[i]);
        distances += fabs(x[i] - y[i]);
    }
    tuff_status status = tuff_spearman(x, y, n, &rank);
    tuff_eval_put(out, "mse", squares / (double)n);
    tuff_eval_put(out, "rmse", sqrt(squares / (double)n));
    tuff_eval_put(out, "mae", distances / (double)n);
    tuff_eval_put(out, "pearson", tuff_pearson(x, y, n));
    tuff_eval_put(out, "spearman", rank);
    tuff_free(x);
    return status;
}
