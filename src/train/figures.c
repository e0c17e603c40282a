#include "train/figures.h"

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

/* 0 where nothing is right, as scikit-learn has it. */
static double f1(int64_t right, int64_t truth, int64_t said)
{
    return truth + said ? 2 * (double)right / (double)(truth + said) : 0;
}

void tuff_figures_put(const tuff_figures *f, bool sets, tuff_eval_result *out)
{
    int64_t right = 0, truth = 0, said = 0, classes = 0;
    double sum = 0;
    for (size_t c = 0; c < f->classes; c++) {
        right += f->right[c];
        truth += f->truth[c];
        said += f->said[c];
        classes += sets || f->truth[c] + f->said[c] > 0;
        sum += f1(f->right[c], f->truth[c], f->said[c]);
    }
    tuff_eval_put(out, "accuracy", (double)f->correct / (double)f->examples);
    tuff_eval_put(out, "f1_macro", sum / (double)classes);
    if (sets) tuff_eval_put(out, "f1_micro", f1(right, truth, said));
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
    double *x = tuff_alloc_array(2 * n, sizeof *x), *y = x + n, sum = 0, rank = 0;
    if (!x) return tuff_fail_memory("an evaluation");
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)said[i];
        y[i] = (double)truth[i];
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    }
    tuff_status status = tuff_spearman(x, y, n, &rank);
    tuff_eval_put(out, "mse", sum / (double)n);
    tuff_eval_put(out, "pearson", tuff_pearson(x, y, n));
    tuff_eval_put(out, "spearman", rank);
    tuff_free(x);
    return status;
}
