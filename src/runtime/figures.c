#include "runtime/figures.h"

#include <string.h>

static const struct {
    tuff_kernel_figure figure;
    const char *name, *word;
    double unit;
} figures[] = {
#define TUFF_FIGURE(figure, name, word, unit) {TUFF_KERNEL_##figure, name, word, unit},
#include "runtime/figures.def"
#undef TUFF_FIGURE
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_letters(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

static double number(const tuff_kernel_statistic *s)
{
    switch (s->format) {
    case TUFF_KERNEL_INT64:
        return (double)s->value.int64;
    case TUFF_KERNEL_UINT64:
        return (double)s->value.uint64;
    case TUFF_KERNEL_FLOAT64:
        return s->value.float64;
    default:
        return 0;
    }
}

static void assign(tuff_kernel_statistic *s)
{
    s->amount = number(s);
    for (size_t i = 0; i < sizeof figures / sizeof *figures && s->format != TUFF_KERNEL_BOOL; i++) {
        if (!same_letters(s->name, figures[i].name)) continue;
        if (figures[i].word && !strstr(s->description, figures[i].word)) continue;
        s->figure = figures[i].figure;
        s->amount *= figures[i].unit;
        return;
    }
}

void tuff_figures_assign(tuff_kernel *kernel)
{
    for (size_t e = 0; e < kernel->n_executables; e++)
        for (size_t i = 0; i < kernel->executables[e].n_statistics; i++)
            assign((tuff_kernel_statistic *)&kernel->executables[e].statistics[i]);
}

/* Of one executable. */
static bool sum(const tuff_kernel_executable *executable, tuff_kernel_figure figure, double *out)
{
    bool told = false;
    *out = 0;
    for (size_t i = 0; i < executable->n_statistics; i++) {
        if (executable->statistics[i].figure != figure) continue;
        *out += executable->statistics[i].amount;
        told = true;
    }
    return told;
}

bool tuff_kernel_get_figure(const tuff_kernel *kernel, tuff_kernel_figure figure, double *out_amount)
{
    bool told = false;
    double amount, worst = 0;
    if (out_amount) *out_amount = 0;
    if (!kernel || !out_amount || figure == TUFF_KERNEL_OTHER) return false;
    for (size_t e = 0; e < kernel->n_executables; e++) {
        if (!sum(&kernel->executables[e], figure, &amount)) continue;
        const bool worse = figure == TUFF_KERNEL_OCCUPANCY ? amount < worst : amount > worst;
        if (!told || worse) worst = amount;
        told = true;
    }
    *out_amount = worst;
    return told;
}
