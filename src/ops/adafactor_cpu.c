/* Host loops of Adafactor, band by band of rows: what bands give is joined in their order, so that the result
 * does not depend on threads. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/adafactor.h"
#include "ops/optimizer.h"
#include "ops/support.h"

/* Sums that one slot's bands give. */
typedef struct sums {
    double *parts;   /* by column, of each band */
    double *rows;    /* of the squares by row */
    double *steps;   /* of the squares of steps */
    double *weights; /* of the parameter's squares */
} sums;

typedef struct adafactor_context {
    const tuff_adafactor_params *a;
    tuff_factored f;
    const float *grad;
    float *p, *row, *column, *mean;
    sums sums;
    float clip, taken, lr, decay;
    float factor; /* of steps: the rate over their bound */
} context;

static int64_t bands_of(const tuff_factored *f)
{
    return f->stack * f->bands;
}

/* Doubles that a slot's sums take. */
static int64_t room_of(const tuff_factored *f)
{
    return bands_of(f) * (f->columns + 3);
}

size_t tuff_adafactor_scratch(const tuff_node *node)
{
    int64_t most = 0;
    for (int i = 0; i < tuff_adafactor_count(node); i++) {
        const tuff_factored f = tuff_adafactor_slot_of(node, i);
        if (room_of(&f) > most) most = room_of(&f);
    }
    return (size_t)most * sizeof(double);
}

/* Rows of a band. */
typedef struct band {
    int64_t number, matrix, row, rows;
} band;

static band band_at(const tuff_factored *f, int64_t number)
{
    int64_t row = number % f->bands * f->band, left = f->rows - row;
    return (band){number, number / f->bands, row, left < f->band ? left : f->band};
}

/* Adds a row's squares to the sums of its columns; returns their sum. */
TUFF_KERNEL static double square_row(const float *restrict grad, float clip, double *restrict columns,
                                     int64_t n)
{
    double sum = 0;
    for (int64_t c = 0; c < n; c++) {
        float g = grad[c] * clip;
        double square = (double)(g * g);
        columns[c] += square;
        sum += square;
    }
    return sum;
}

static void squares_range(int64_t begin, int64_t end, void *given)
{
    const context *c = given;
    const tuff_factored *f = &c->f;
    for (int64_t k = begin; k < end; k++) {
        const band b = band_at(f, k);
        double *columns = c->sums.parts + k * f->columns, all = 0;
        memset(columns, 0, (size_t)f->columns * sizeof *columns);
        for (int64_t r = 0; r < b.rows; r++) {
            const int64_t row = b.matrix * f->rows + b.row + r;
            double sum = square_row(c->grad + row * f->columns, c->clip, columns, f->columns);
            float square = (float)(sum / (double)f->columns + c->a->eps1);
            c->row[row] = (1 - c->taken) * c->row[row] + c->taken * square;
            all += (double)c->row[row];
        }
        c->sums.rows[k] = all;
    }
}

static void columns_range(int64_t begin, int64_t end, void *given)
{
    const context *c = given;
    const tuff_factored *f = &c->f;
    for (int64_t i = begin; i < end; i++) {
        const double *part = c->sums.parts + i / f->columns * f->bands * f->columns + i % f->columns;
        double sum = 0;
        for (int64_t b = 0; b < f->bands; b++)
            sum += part[b * f->columns];
        float square = (float)(sum / (double)f->rows + c->a->eps1);
        c->column[i] = (1 - c->taken) * c->column[i] + c->taken * square;
    }
}

/* Of one column the squares by row are all squares. */
static const float *columns_of(const context *c, const band *b)
{
    static const float one = 1;
    return c->f.columns == 1 ? &one : c->column + b->matrix * c->f.columns;
}

static float row_mean(const context *c, const band *b)
{
    double sum = 0;
    if (c->f.columns == 1) return 1;
    for (int64_t k = 0; k < c->f.bands; k++)
        sum += c->sums.rows[b->matrix * c->f.bands + k];
    return (float)(sum / (double)c->f.rows);
}

TUFF_KERNEL static double norm_row(const float *restrict grad, const float *restrict column, float factor,
                                   int64_t n)
{
    double sum = 0;
    for (int64_t c = 0; c < n; c++) {
        float step = grad[c] * factor / sqrtf(column[c]);
        sum += (double)(step * step);
    }
    return sum;
}

static void norms_range(int64_t begin, int64_t end, void *given)
{
    const context *c = given;
    const tuff_factored *f = &c->f;
    for (int64_t k = begin; k < end; k++) {
        const band b = band_at(f, k);
        const float mean = row_mean(c, &b), *column = columns_of(c, &b);
        double steps = 0, weights = 0;
        for (int64_t r = 0; r < b.rows; r++) {
            const int64_t row = b.matrix * f->rows + b.row + r;
            steps +=
                norm_row(c->grad + row * f->columns, column, c->clip / sqrtf(c->row[row] / mean), f->columns);
            for (int64_t i = row * f->columns; c->a->scale_parameter && i < (row + 1) * f->columns; i++)
                weights += (double)c->p[i] * (double)c->p[i];
        }
        c->sums.steps[k] = steps;
        c->sums.weights[k] = weights;
    }
}

TUFF_KERNEL static void step_row(const context *c, float *restrict p, float *restrict mean,
                                 const float *restrict grad, const float *restrict column, float clip,
                                 int64_t n)
{
    const float factor = c->factor, keep = 1.0f - c->lr * c->decay;
    const float beta1 = (float)c->a->beta1, rest = (float)(1 - c->a->beta1);
    for (int64_t i = 0; mean && i < n; i++) {
        mean[i] = beta1 * mean[i] + rest * (grad[i] * clip / sqrtf(column[i]) * factor);
        p[i] = p[i] * keep - mean[i];
    }
    for (int64_t i = 0; !mean && i < n; i++)
        p[i] = p[i] * keep - grad[i] * clip / sqrtf(column[i]) * factor;
}

static void steps_range(int64_t begin, int64_t end, void *given)
{
    const context *c = given;
    const tuff_factored *f = &c->f;
    for (int64_t k = begin; k < end; k++) {
        const band b = band_at(f, k);
        const float mean = row_mean(c, &b), *column = columns_of(c, &b);
        for (int64_t r = 0; r < b.rows; r++) {
            const int64_t row = b.matrix * f->rows + b.row + r, at = row * f->columns;
            step_row(c, c->p + at, c->mean ? c->mean + at : NULL, c->grad + at, column,
                     c->clip / sqrtf(c->row[row] / mean), f->columns);
        }
    }
}

static double total(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static void step_slot(context *c)
{
    const int64_t bands = bands_of(&c->f), n = c->f.stack * c->f.rows * c->f.columns;
    tuff_parallel(bands, 1, squares_range, c);
    tuff_parallel(c->f.stack * c->f.columns, tuff_grain(c->f.bands), columns_range, c);
    tuff_parallel(bands, 1, norms_range, c);
    double bound = fmax(1, sqrt(total(c->sums.steps, bands) / (double)n) / c->a->clip_threshold);
    double scale = sqrt(total(c->sums.weights, bands) / (double)n);
    if (c->a->scale_parameter) c->lr *= (float)fmax(c->a->eps2, scale);
    c->factor = c->lr / (float)bound;
    tuff_parallel(bands, 1, steps_range, c);
}

void tuff_adafactor_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    const tuff_adafactor_params *a = &node->attrs.adafactor;
    const float norm = *(const float *)in[1];
    if (!isfinite(norm)) return;
    for (int i = 0; i < tuff_adafactor_count(node); i++) {
        const tuff_factored f = tuff_adafactor_slot_of(node, i);
        const int64_t bands = bands_of(&f);
        double *room = scratch;
        context c = {.a = a,
                     .f = f,
                     .grad = in[f.in + 1],
                     .p = out[f.out],
                     .row = out[f.out + 1],
                     .column = out[f.out + 2],
                     .mean = a->beta1 > 0 ? out[f.out + 3] : NULL,
                     .sums = {room, room + bands * f.columns, room + bands * (f.columns + 1),
                              room + bands * (f.columns + 2)},
                     .clip = (float)tuff_clip_of((double)norm, a->max_grad_norm),
                     .taken = (float)pow((double)*(const float *)in[2], a->decay_rate),
                     .lr = *(const float *)in[0] * (float)node->groups[i].rate,
                     .decay = (float)node->groups[i].decay};
        step_slot(&c);
    }
}
