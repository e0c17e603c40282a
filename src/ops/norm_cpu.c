/* Host loops of the norms. Sums run in sixteen partial sums joined in a fixed order. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/norm.h"
#include "ops/support.h"
#include "shaders/args/normalize.h"

enum { LANES = 16 };

static inline float join(float lane[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

/* lane[k] += term for the elements i = k mod 16; `term` is an expression in i. */
#define SUM_LANES(lane, n, term)                                \
    do {                                                        \
        int64_t whole_ = (n) / LANES * LANES;                   \
        for (int64_t base_ = 0; base_ < whole_; base_ += LANES) \
            for (int k_ = 0; k_ < LANES; k_++) {                \
                int64_t i = base_ + k_;                         \
                (lane)[k_] += (term);                           \
            }                                                   \
        for (int64_t i = whole_; i < (n); i++)                  \
            (lane)[i - whole_] += (term);                       \
    } while (0)

typedef struct norm_context {
    tuff_norm_shape s;
    const float *dy, *x, *weight, *bias, *mean, *rstd, *addend;
    float *y, *out_mean, *out_rstd;
    float eps;
} norm_context;

/* ---- forward ---- */

/* Sums of the squares of x * unit, less the mean. */
TUFF_KERNEL static float squares_of(const float *x, float mean, float unit, int64_t n)
{
    float squares[LANES] = {0};
    SUM_LANES(squares, n, (x[i] - mean) * unit * ((x[i] - mean) * unit));
    return join(squares);
}

/* 1 / the deviation of x * *out_unit, which is 1 unless the squares of x are more than a float holds: that
 * would make all results the same, as if nothing had happened. */
static float scale_of(const norm_context *c, const float *x, float mean, float *out_unit)
{
    float unit = 1, squares = squares_of(x, mean, unit, c->s.width);
    if (!isfinite(squares)) squares = squares_of(x, mean, unit = TUFF_NORMALIZE_UNIT, c->s.width);
    *out_unit = unit;
    return 1.0f / sqrtf(squares / (float)c->s.width + c->eps * unit * unit);
}

TUFF_KERNEL static float mean_of(const float *x, int64_t n)
{
    float sums[LANES] = {0};
    SUM_LANES(sums, n, x[i]);
    return join(sums) / (float)n;
}

TUFF_KERNEL static void layer_norm_row(const norm_context *c, const float *x, float mean, float unit,
                                       float scale, float *y)
{
    const float *weight = c->weight, *bias = c->bias;
    TUFF_LANES
    for (int64_t i = 0; i < c->s.width; i++)
        y[i] = (x[i] - mean) * unit * scale * weight[i] + bias[i];
}

TUFF_KERNEL static void rms_norm_row(const norm_context *c, const float *x, float unit, float scale, float *y)
{
    const float *weight = c->weight;
    TUFF_LANES
    for (int64_t i = 0; i < c->s.width; i++)
        y[i] = x[i] * unit * scale * weight[i];
}

static void layer_norm_range(int64_t begin, int64_t end, void *context)
{
    const norm_context *c = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = c->x + r * c->s.width;
        float mean = mean_of(x, c->s.width), unit, scale = scale_of(c, x, mean, &unit);
        layer_norm_row(c, x, mean, unit, scale, c->y + r * c->s.width);
        c->out_mean[r] = mean;
        c->out_rstd[r] = scale * unit;
    }
}

static void rms_norm_range(int64_t begin, int64_t end, void *context)
{
    const norm_context *c = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = c->x + r * c->s.width;
        float unit, scale = scale_of(c, x, 0, &unit);
        rms_norm_row(c, x, unit, scale, c->y + r * c->s.width);
        c->out_rstd[r] = scale * unit;
    }
}

void tuff_layer_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    norm_context c = {.s = tuff_norm_shape_of(node),
                      .x = in[0],
                      .weight = in[1],
                      .bias = in[2],
                      .y = out[0],
                      .out_mean = out[1],
                      .out_rstd = out[2],
                      .eps = (float)node->attrs.norm.eps};
    tuff_parallel(c.s.rows, tuff_grain(c.s.width), layer_norm_range, &c);
}

void tuff_rms_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    norm_context c = {.s = tuff_norm_shape_of(node),
                      .x = in[0],
                      .weight = in[1],
                      .y = out[0],
                      .out_rstd = out[1],
                      .eps = (float)node->attrs.norm.eps};
    tuff_parallel(c.s.rows, tuff_grain(c.s.width), rms_norm_range, &c);
}

/* ---- backward: x ---- */

TUFF_KERNEL static void layer_norm_backward_row(const norm_context *c, int64_t row)
{
    int64_t n = c->s.width;
    const float *dy = c->dy + row * n, *x = c->x + row * n, *weight = c->weight;
    const float *addend = c->addend ? c->addend + row * n : NULL;
    float *dx = c->y + row * n, mean = c->mean[row], rstd = c->rstd[row];
    float sums[LANES] = {0}, products[LANES] = {0};
    SUM_LANES(sums, n, dy[i] * weight[i]);
    SUM_LANES(products, n, dy[i] * weight[i] * ((x[i] - mean) * rstd));
    float a = join(sums) / (float)n, b = join(products) / (float)n;
    if (addend) {
        TUFF_LANES
        for (int64_t i = 0; i < n; i++)
            dx[i] = rstd * (dy[i] * weight[i] - a - (x[i] - mean) * rstd * b) + addend[i];
    } else {
        TUFF_LANES
        for (int64_t i = 0; i < n; i++)
            dx[i] = rstd * (dy[i] * weight[i] - a - (x[i] - mean) * rstd * b);
    }
}

TUFF_KERNEL static void rms_norm_backward_row(const norm_context *c, int64_t row)
{
    int64_t n = c->s.width;
    const float *dy = c->dy + row * n, *x = c->x + row * n, *weight = c->weight;
    const float *addend = c->addend ? c->addend + row * n : NULL;
    float *dx = c->y + row * n, rstd = c->rstd[row];
    float products[LANES] = {0};
    SUM_LANES(products, n, dy[i] * weight[i] * (x[i] * rstd));
    float b = join(products) / (float)n;
    if (addend) {
        TUFF_LANES
        for (int64_t i = 0; i < n; i++)
            dx[i] = rstd * (dy[i] * weight[i] - x[i] * rstd * b) + addend[i];
    } else {
        TUFF_LANES
        for (int64_t i = 0; i < n; i++)
            dx[i] = rstd * (dy[i] * weight[i] - x[i] * rstd * b);
    }
}

static void layer_norm_backward_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t r = begin; r < end; r++)
        layer_norm_backward_row(context, r);
}

static void rms_norm_backward_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t r = begin; r < end; r++)
        rms_norm_backward_row(context, r);
}

void tuff_layer_norm_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                   void *scratch)
{
    (void)scratch;
    norm_context c = {.s = tuff_norm_shape_of(node),
                      .dy = in[0],
                      .x = in[1],
                      .weight = in[2],
                      .mean = in[3],
                      .rstd = in[4],
                      .addend = in[5],
                      .y = out[0]};
    tuff_parallel(c.s.rows, tuff_grain(2 * c.s.width), layer_norm_backward_range, &c);
}

void tuff_rms_norm_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    (void)scratch;
    norm_context c = {.s = tuff_norm_shape_of(node),
                      .dy = in[0],
                      .x = in[1],
                      .weight = in[2],
                      .rstd = in[3],
                      .addend = in[4],
                      .y = out[0]};
    tuff_parallel(c.s.rows, tuff_grain(2 * c.s.width), rms_norm_backward_range, &c);
}

/* ---- backward: weight and bias. Rows are summed in parts of fixed size, then the parts ---- */

typedef struct params_context {
    tuff_norm_shape s;
    const float *dy, *x, *mean, *rstd; /* mean: NULL for RMS norm */
    float *parts;                      /* [parts, 2 or 1, width] */
    float *dweight, *dbias;
} params_context;

TUFF_KERNEL static void add_layer_row(const float *dy, const float *x, float mean, float rstd,
                                      float *restrict dweight, float *restrict dbias, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        dweight[i] += dy[i] * ((x[i] - mean) * rstd);
        dbias[i] += dy[i];
    }
}

TUFF_KERNEL static void add_rms_row(const float *dy, const float *x, float rstd, float *restrict dweight,
                                    int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dweight[i] += dy[i] * (x[i] * rstd);
}

TUFF_KERNEL static void add_part(const float *part, float *restrict sum, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += part[i];
}

static void params_range(int64_t begin, int64_t end, void *context)
{
    const params_context *c = context;
    int64_t n = c->s.width, copies = c->mean ? 2 : 1;
    for (int64_t part = begin; part < end; part++) {
        float *dweight = c->parts + part * copies * n;
        memset(dweight, 0, (size_t)(copies * n) * sizeof *dweight);
        int64_t last = (part + 1) * TUFF_NORM_PART_ROWS;
        for (int64_t r = part * TUFF_NORM_PART_ROWS; r < last && r < c->s.rows; r++) {
            const float *dy = c->dy + r * n, *x = c->x + r * n;
            if (c->mean)
                add_layer_row(dy, x, c->mean[r], c->rstd[r], dweight, dweight + n, n);
            else
                add_rms_row(dy, x, c->rstd[r], dweight, n);
        }
    }
}

static void join_range(int64_t begin, int64_t end, void *context)
{
    const params_context *c = context;
    int64_t n = c->s.width, copies = c->mean ? 2 : 1;
    for (int64_t k = 0; k < copies; k++) {
        float *sum = k ? c->dbias : c->dweight;
        memset(sum + begin, 0, (size_t)(end - begin) * sizeof *sum);
        for (int64_t part = 0; part < c->s.parts; part++)
            add_part(c->parts + (part * copies + k) * n + begin, sum + begin, end - begin);
    }
}

void tuff_norm_backward_params_host(const tuff_node *node, const void *const *in, void *const *out,
                                    void *scratch)
{
    bool layer = node->op == TUFF_OP_layer_norm_backward_params;
    params_context c = {.s = tuff_norm_shape_of(node),
                        .dy = in[0],
                        .x = in[1],
                        .mean = layer ? in[2] : NULL,
                        .rstd = in[layer ? 3 : 2],
                        .parts = scratch,
                        .dweight = out[0],
                        .dbias = layer ? out[1] : NULL};
    tuff_parallel(c.s.parts, tuff_grain(2 * c.s.width * TUFF_NORM_PART_ROWS), params_range, &c);
    tuff_parallel(c.s.width, tuff_grain(2 * c.s.parts), join_range, &c);
}

size_t tuff_norm_backward_params_scratch(const tuff_node *node)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    int64_t copies = node->op == TUFF_OP_layer_norm_backward_params ? 2 : 1;
    return (size_t)(s.parts * copies * s.width) * sizeof(float);
}
