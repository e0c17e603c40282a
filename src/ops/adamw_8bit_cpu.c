/* Host loops of AdamW with moments of 8 bits: block by block. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/adamw_8bit.h"
#include "ops/optimizer.h"
#include "ops/support.h"

enum { BLOCK = TUFF_ADAMW_8BIT_BLOCK };

typedef struct moment {
    uint8_t *bytes;
    float *scales;
    float values[256], middles[255]; /* what bytes stand for; between two of them */
} moment;

typedef struct step {
    moment moments[2];
    float *p;
    const float *grad;
    int64_t n;
    float clip, rate, keep, root_c2, eps, beta[2], rest[2];
} step;

TUFF_KERNEL static void unpack(const moment *m, const uint8_t *bytes, float scale, float *restrict out, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = m->values[bytes[i]] * scale;
}

TUFF_KERNEL static float magnitude(const float *x, int n)
{
    float most = 0;
#pragma omp simd reduction(max : most)
    for (int i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

/* The nearest value by eight halvings, all elements side by side. */
TUFF_KERNEL static void pack(const moment *m, const float *x, float most, uint8_t *restrict bytes, int n)
{
    float unit[BLOCK];
    int32_t code[BLOCK] = {0};
    for (int i = 0; i < n; i++)
        unit[i] = most > 0 ? x[i] / most : 0;
    for (int half = 128; half > 0; half /= 2)
        for (int i = 0; i < n; i++)
            code[i] += unit[i] > m->middles[code[i] + half - 1] ? half : 0;
    for (int i = 0; i < n; i++)
        bytes[i] = (uint8_t)code[i];
}

/* The order of operations is PyTorch's. */
TUFF_KERNEL static void step_rows(const step *s, float *restrict p, const float *restrict grad,
                                  float *restrict m, float *restrict v, int n)
{
    for (int i = 0; i < n; i++) {
        float g = grad[i] * s->clip;
        float mi = s->beta[0] * m[i] + s->rest[0] * g, vi = s->beta[1] * v[i] + s->rest[1] * g * g;
        m[i] = mi;
        v[i] = vi;
        p[i] = p[i] * s->keep - s->rate * (mi / (sqrtf(vi) / s->root_c2 + s->eps));
    }
}

static void blocks_range(int64_t begin, int64_t end, void *context)
{
    const step *s = context;
    for (int64_t b = begin; b < end; b++) {
        const int64_t at = b * BLOCK;
        const int n = s->n - at < BLOCK ? (int)(s->n - at) : BLOCK;
        float x[2][BLOCK];
        for (int k = 0; k < 2; k++)
            unpack(&s->moments[k], s->moments[k].bytes + at, s->moments[k].scales[b], x[k], n);
        step_rows(s, s->p + at, s->grad + at, x[0], x[1], n);
        for (int k = 0; k < 2; k++) {
            const float most = magnitude(x[k], n);
            s->moments[k].scales[b] = most;
            pack(&s->moments[k], x[k], most, s->moments[k].bytes + at, n);
        }
    }
}

void tuff_adamw_8bit_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const tuff_adamw_params *a = &node->attrs.adamw;
    const float norm = *(const float *)in[1], *state = in[2];
    tuff_dynamic_maps maps;
    if (!isfinite(norm)) return;
    tuff_dynamic_maps_make(&maps);
    for (int i = 0; i < tuff_adamw_8bit_count(node); i++) {
        void *const *o = out + tuff_adamw_8bit_out(i);
        const float lr = *(const float *)in[0] * (float)node->groups[i].rate;
        step s = {.p = o[0],
                  .grad = in[tuff_adamw_8bit_in(i) + 1],
                  .n = tuff_tensor_count(node->in[tuff_adamw_8bit_in(i)]),
                  .clip = (float)tuff_clip_of((double)norm, a->max_grad_norm),
                  .rate = lr / state[2],
                  .keep = 1.0f - lr * (float)node->groups[i].decay,
                  .root_c2 = sqrtf(state[3]),
                  .eps = (float)a->eps,
                  .beta = {(float)a->beta1, (float)a->beta2},
                  .rest = {(float)(1 - a->beta1), (float)(1 - a->beta2)}};
        for (int k = 0; k < 2; k++) {
            moment *m = &s.moments[k];
            m->bytes = o[1 + k];
            m->scales = o[3 + k];
            memcpy(m->values, maps.values[k], sizeof m->values);
            for (int j = 0; j < 255; j++)
                m->middles[j] = 0.5f * (m->values[j] + m->values[j + 1]);
        }
        tuff_parallel((s.n + BLOCK - 1) / BLOCK, 16, blocks_range, &s);
    }
}
