/* Host loops of the optimizer ops. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/optimizer.h"
#include "ops/support.h"

/* ---- accumulate ---- */

typedef struct accumulate_context {
    float *sum;
    const float *x;
} accumulate_context;

TUFF_KERNEL static void accumulate_rows(float *restrict sum, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

static void accumulate_range(int64_t begin, int64_t end, void *context)
{
    const accumulate_context *c = context;
    accumulate_rows(c->sum + begin, c->x + begin, end - begin);
}

void tuff_accumulate_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    accumulate_context c = {out[0], in[1]};
    tuff_parallel(tuff_tensor_count(node->out[0]), tuff_grain(1), accumulate_range, &c);
}

/* ---- chunks of many tensors as one index space ---- */

/* Tensors are inputs first, first + stride, ... */
typedef struct chunk_context {
    const tuff_node *node;
    int first, stride;
    void (*fn)(const void *context, int i, int64_t at, int64_t n, int64_t chunk);
    const void *context;
} chunk_context;

static void chunk_range(int64_t begin, int64_t end, void *context)
{
    const chunk_context *c = context;
    int64_t before = 0; /* chunks of earlier tensors */
    for (int i = c->first; i < c->node->n_in && before < end; i += c->stride) {
        int64_t chunks = tuff_chunks_of(c->node, i), count = tuff_tensor_count(c->node->in[i]);
        int64_t from = begin > before ? begin - before : 0,
                to = end - before < chunks ? end - before : chunks;
        for (int64_t chunk = from; chunk < to; chunk++) {
            int64_t at = chunk * TUFF_OPTIMIZER_CHUNK;
            int64_t n = count - at < TUFF_OPTIMIZER_CHUNK ? count - at : TUFF_OPTIMIZER_CHUNK;
            c->fn(c->context, i, at, n, before + chunk);
        }
        before += chunks;
    }
}

/* ---- the global norm: a partial sum per chunk, joined in order ---- */

typedef struct norm_context {
    const void *const *in;
    double *parts;
} norm_context;

TUFF_KERNEL static double sum_of_squares(const float *x, int64_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (int64_t i = whole; i < n; i++)
        lane[i - whole] += (double)x[i] * (double)x[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

static void norm_chunk(const void *context, int i, int64_t at, int64_t n, int64_t chunk)
{
    const norm_context *c = context;
    c->parts[chunk] = sum_of_squares((const float *)c->in[i] + at, n);
}

void tuff_grad_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    norm_context norm = {in, scratch};
    chunk_context c = {node, 0, 1, norm_chunk, &norm};
    int64_t chunks = tuff_total_chunks(node, 0, 1);
    tuff_parallel(chunks, 1, chunk_range, &c);
    double sum = 0;
    for (int64_t i = 0; i < chunks; i++)
        sum += norm.parts[i];
    *(float *)out[0] = (float)sqrt(sum);
}

size_t tuff_grad_norm_scratch(const tuff_node *node)
{
    return (size_t)tuff_total_chunks(node, 0, 1) * sizeof(double);
}

/* ---- the step counter ---- */

void tuff_optimizer_step_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    float *state = out[0];
    if (!isfinite(*(const float *)in[1])) {
        state[1] += 1;
        return;
    }
    state[0] += 1;
    state[2] = (float)(1 - pow(node->attrs.adamw.beta1, state[0]));
    state[3] = (float)(1 - pow(node->attrs.adamw.beta2, state[0]));
}

/* ---- AdamW ---- */

typedef struct adamw_context {
    const tuff_node *node;
    const void *const *in;
    void *const *out;
    float clip, step, root_c2, keep; /* step: lr / c1; keep: 1 - lr * weight decay */
    float beta1, one_minus_beta1, beta2, one_minus_beta2, eps;
} adamw_context;

/* The order of operations is PyTorch's. */
TUFF_KERNEL static void adamw_rows(const adamw_context *c, float keep, float *restrict p,
                                   const float *restrict grad, float *restrict m, float *restrict v,
                                   int64_t n)
{
    float clip = c->clip, step = c->step, root_c2 = c->root_c2, eps = c->eps;
    float beta1 = c->beta1, rest1 = c->one_minus_beta1, beta2 = c->beta2, rest2 = c->one_minus_beta2;
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * clip;
        float mi = beta1 * m[i] + rest1 * g;
        float vi = beta2 * v[i] + rest2 * g * g;
        m[i] = mi;
        v[i] = vi;
        p[i] = p[i] * keep - step * (mi / (sqrtf(vi) / root_c2 + eps));
    }
}

static void adamw_chunk(const void *context, int i, int64_t at, int64_t n, int64_t chunk)
{
    (void)chunk;
    const adamw_context *c = context;
    int slot = (i - TUFF_ADAMW_FIRST) / TUFF_ADAMW_STRIDE;
    float *p = c->out[3 * slot], *m = c->out[3 * slot + 1], *v = c->out[3 * slot + 2];
    adamw_rows(c, c->node->decay[slot] ? c->keep : 1.0f, p + at, (const float *)c->in[i + 1] + at, m + at,
               v + at, n);
}

void tuff_adamw_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const tuff_adamw_params *a = &node->attrs.adamw;
    const float *state = in[2];
    float lr = *(const float *)in[0], norm = *(const float *)in[1], max = (float)a->max_grad_norm;
    if (!isfinite(norm)) return;
    float clip = max > 0 ? max / (norm + 1e-6f) : 1.0f;
    adamw_context adamw = {
        .node = node,
        .in = in,
        .out = out,
        .clip = clip < 1.0f ? clip : 1.0f,
        .step = lr / state[2],
        .root_c2 = sqrtf(state[3]),
        .keep = 1.0f - lr * (float)a->weight_decay,
        .beta1 = (float)a->beta1,
        .one_minus_beta1 = (float)(1 - a->beta1),
        .beta2 = (float)a->beta2,
        .one_minus_beta2 = (float)(1 - a->beta2),
        .eps = (float)a->eps,
    };
    chunk_context c = {node, TUFF_ADAMW_FIRST, TUFF_ADAMW_STRIDE, adamw_chunk, &adamw};
    tuff_parallel(tuff_total_chunks(node, TUFF_ADAMW_FIRST, TUFF_ADAMW_STRIDE), 1, chunk_range, &c);
}
