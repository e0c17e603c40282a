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

/* ---- optimizers ---- */

/* What all of them know of the slot at hand. */
typedef struct update_context {
    const tuff_node *node;
    tuff_update at;
    const void *const *in;
    void *const *out;
    float lr, clip;
} update_context;

/* A slot's piece: parameter, gradient, states; the learning rate and the decay of its group. */
typedef struct update_piece {
    float *p, *states[2];
    const float *grad;
    float lr, decay;
} update_piece;

static update_piece piece_of(const update_context *c, int i, int64_t at)
{
    int slot = (i - c->at.first) / (2 + c->at.states), out = tuff_update_out(&c->at, slot);
    update_piece x = {.p = (float *)c->out[out] + at,
                      .grad = (const float *)c->in[i + 1] + at,
                      .lr = c->lr * (float)c->node->groups[slot].rate,
                      .decay = (float)c->node->groups[slot].decay};
    for (int k = 0; k < c->at.states; k++)
        x.states[k] = (float *)c->out[out + 1 + k] + at;
    return x;
}

/* False: the norm is not finite, nothing is to be done. */
static bool begin_update(update_context *c, const tuff_node *node, const void *const *in, void *const *out,
                         double max_norm)
{
    float norm = *(const float *)in[1], max = (float)max_norm;
    float clip = max > 0 ? max / (norm + 1e-6f) : 1.0f;
    *c = (update_context){.node = node,
                          .at = tuff_update_of(node),
                          .in = in,
                          .out = out,
                          .lr = *(const float *)in[0],
                          .clip = clip < 1.0f ? clip : 1.0f};
    return isfinite(norm);
}

static void run_update(const update_context *c,
                       void (*fn)(const void *context, int i, int64_t at, int64_t n, int64_t chunk),
                       const void *context)
{
    int stride = 2 + c->at.states;
    chunk_context chunks = {c->node, c->at.first, stride, fn, context};
    tuff_parallel(tuff_total_chunks(c->node, c->at.first, stride), 1, chunk_range, &chunks);
}

typedef struct adamw_context {
    update_context all;
    float c1, root_c2, beta1, one_minus_beta1, beta2, one_minus_beta2, eps;
} adamw_context;

/* The order of operations is PyTorch's. */
TUFF_KERNEL static void adamw_rows(const adamw_context *c, float step, float keep, float *restrict p,
                                   const float *restrict grad, float *restrict m, float *restrict v,
                                   int64_t n)
{
    float clip = c->all.clip, root_c2 = c->root_c2, eps = c->eps;
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
    update_piece x = piece_of(&c->all, i, at);
    adamw_rows(c, x.lr / c->c1, 1.0f - x.lr * x.decay, x.p, x.grad, x.states[0], x.states[1], n);
}

void tuff_adamw_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const tuff_adamw_params *a = &node->attrs.adamw;
    const float *state = in[2];
    adamw_context c = {
        .c1 = state[2],
        .root_c2 = sqrtf(state[3]),
        .beta1 = (float)a->beta1,
        .one_minus_beta1 = (float)(1 - a->beta1),
        .beta2 = (float)a->beta2,
        .one_minus_beta2 = (float)(1 - a->beta2),
        .eps = (float)a->eps,
    };
    if (begin_update(&c.all, node, in, out, a->max_grad_norm)) run_update(&c.all, adamw_chunk, &c);
}

typedef struct sgd_context {
    update_context all;
    float momentum;
    bool nesterov;
} sgd_context;

TUFF_KERNEL static void sgd_rows(float clip, float lr, float decay, float *restrict p,
                                 const float *restrict grad, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        p[i] -= lr * (grad[i] * clip + decay * p[i]);
}

/* The order of operations is PyTorch's. */
TUFF_KERNEL static void momentum_rows(const sgd_context *c, float lr, float decay, float *restrict p,
                                      const float *restrict grad, float *restrict m, int64_t n)
{
    float clip = c->all.clip, momentum = c->momentum;
    float own = c->nesterov ? 1.0f : 0, kept = c->nesterov ? momentum : 1.0f;
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * clip + decay * p[i];
        float mi = momentum * m[i] + g;
        m[i] = mi;
        p[i] -= lr * (own * g + kept * mi);
    }
}

static void sgd_chunk(const void *context, int i, int64_t at, int64_t n, int64_t chunk)
{
    (void)chunk;
    const sgd_context *c = context;
    update_piece x = piece_of(&c->all, i, at);
    if (c->all.at.states)
        momentum_rows(c, x.lr, x.decay, x.p, x.grad, x.states[0], n);
    else
        sgd_rows(c->all.clip, x.lr, x.decay, x.p, x.grad, n);
}

void tuff_sgd_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const tuff_sgd_params *a = &node->attrs.sgd;
    sgd_context c = {.momentum = (float)a->momentum, .nesterov = a->nesterov};
    if (begin_update(&c.all, node, in, out, a->max_grad_norm)) run_update(&c.all, sgd_chunk, &c);
}

typedef struct lion_context {
    update_context all;
    float beta1, one_minus_beta1, beta2, one_minus_beta2;
} lion_context;

TUFF_KERNEL static void lion_rows(const lion_context *c, float lr, float keep, float *restrict p,
                                  const float *restrict grad, float *restrict m, int64_t n)
{
    float clip = c->all.clip;
    float beta1 = c->beta1, rest1 = c->one_minus_beta1, beta2 = c->beta2, rest2 = c->one_minus_beta2;
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * clip, mean = beta1 * m[i] + rest1 * g;
        m[i] = beta2 * m[i] + rest2 * g;
        p[i] = p[i] * keep - lr * (float)((mean > 0) - (mean < 0));
    }
}

static void lion_chunk(const void *context, int i, int64_t at, int64_t n, int64_t chunk)
{
    (void)chunk;
    const lion_context *c = context;
    update_piece x = piece_of(&c->all, i, at);
    lion_rows(c, x.lr, 1.0f - x.lr * x.decay, x.p, x.grad, x.states[0], n);
}

void tuff_lion_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const tuff_lion_params *a = &node->attrs.lion;
    lion_context c = {.beta1 = (float)a->beta1,
                      .one_minus_beta1 = (float)(1 - a->beta1),
                      .beta2 = (float)a->beta2,
                      .one_minus_beta2 = (float)(1 - a->beta2)};
    if (begin_update(&c.all, node, in, out, a->max_grad_norm)) run_update(&c.all, lion_chunk, &c);
}
