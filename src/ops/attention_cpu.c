/* Attention on the host: forward, and backward in two passes, so that nothing is shared between threads: one
 * over blocks of queries for d_q, one over blocks of keys for d_k and d_v, whose sums run over heads and
 * queries in ascending order. */
#include "ops/attention_cpu.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/support.h"

lane_block tuff_attention_block_of(const tuff_attention_problem *p, const int32_t *start, int64_t index)
{
    int64_t rows = p->G * p->Tq, blocks = (rows + LANES - 1) / LANES, head = index / blocks;
    lane_block out = {.b = head / p->Hkv, .h = head % p->Hkv * p->G, .first = index % blocks * LANES};
    out.count = rows - out.first < LANES ? rows - out.first : LANES;
    out.least = out.full_to = p->Tk;
    for (int64_t i = 0; i < LANES; i++) {
        int64_t begin = 0, end = 0;
        if (i < out.count)
            tuff_attention_range(p, (out.first + i) / p->G + (start ? start[out.b] : 0), &begin, &end);
        if (begin > p->Tk) begin = p->Tk;
        if (end < 0) end = 0;
        out.begin[i] = (int32_t)begin;
        out.end[i] = (int32_t)end;
        if (begin >= end) {
            if (i < out.count) out.full_to = 0;
            continue;
        }
        if (begin < out.least) out.least = begin;
        if (end > out.most) out.most = end;
        if (begin > out.full_from) out.full_from = begin;
        if (end < out.full_to) out.full_to = end;
    }
    return out;
}

void tuff_attention_times(const tuff_attention_problem *p, int64_t start, int64_t first, int64_t last,
                          int64_t *begin, int64_t *end)
{
    *begin = p->causal && first > start ? first - start : 0;
    *end = p->Tq;
    if (p->causal && p->window > 0 && last + p->window - start < *end) *end = last + p->window - start;
}

/* GCC makes poor code of vectors wider than the machine's, so each instruction set has its own. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
#define WIDTH   16
#define ROWS    8
#define NAME(x) x##_avx512
#define TARGET  __attribute__((target("avx512f")))
#include "ops/attention_lanes.h"

#define WIDTH   8
#define ROWS    6
#define NAME(x) x##_avx2
#define TARGET  __attribute__((target("avx2,fma")))
#include "ops/attention_lanes.h"
#endif

#define WIDTH   4
#define ROWS    3
#define NAME(x) x##_any
#define TARGET
#include "ops/attention_lanes.h"

static const tuff_attention_kernels *kernels(void)
{
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#endif
    return &kernels_any;
}

/* ---- forward ---- */

static void forward_range(int64_t begin, int64_t end, void *context)
{
    const tuff_attention_kernels *k = kernels();
    for (int64_t i = begin; i < end; i++)
        k->forward(context, i);
}

void tuff_attention_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const int32_t *start = in[TUFF_ATTENTION_START];
    if (tuff_attention_few(&p)) {
        tuff_attention_few_cpu(&p, in[0], in[1], in[2], start, out[0], out[1], scratch);
        return;
    }
    forward w = {&p, in[0], in[1], in[2], start, out[0], out[1]};
    tuff_parallel(p.B * p.Hkv * ((p.G * p.Tq + LANES - 1) / LANES), 1, forward_range, &w);
}

size_t tuff_attention_cpu_scratch(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    return tuff_attention_few(&p) ? tuff_attention_few_scratch(&p) : 0;
}

/* ---- backward ---- */

TUFF_KERNEL static void delta_of(const backward *w, int64_t b, int64_t h)
{
    const tuff_attention_problem *p = w->p;
    for (int64_t t = 0; t < p->Tq; t++) {
        int64_t at = ((b * p->Tq + t) * p->Hq + h) * p->D;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t d = 0; d < p->D; d++)
            sum += w->o[at + d] * w->d_o[at + d];
        w->delta[(b * p->Hq + h) * p->Tq + t] = sum;
    }
}

static void delta_range(int64_t begin, int64_t end, void *context)
{
    const backward *w = context;
    for (int64_t i = begin; i < end; i++)
        delta_of(w, i / w->p->Hq, i % w->p->Hq);
}

static void queries_range(int64_t begin, int64_t end, void *context)
{
    const tuff_attention_kernels *k = kernels();
    for (int64_t i = begin; i < end; i++)
        k->queries(context, i);
}

static void keys_range(int64_t begin, int64_t end, void *context)
{
    const tuff_attention_kernels *k = kernels();
    for (int64_t i = begin; i < end; i++)
        k->keys(context, i);
}

void tuff_attention_backward_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    backward w = {.p = &p,
                  .q = in[TUFF_ATTENTION_Q],
                  .k = in[TUFF_ATTENTION_K],
                  .v = in[TUFF_ATTENTION_V],
                  .o = in[TUFF_ATTENTION_O],
                  .lse = in[TUFF_ATTENTION_LSE],
                  .d_o = in[TUFF_ATTENTION_D_O],
                  .start = in[TUFF_ATTENTION_BACKWARD_START],
                  .dq = out[0],
                  .dk = out[1],
                  .dv = out[2],
                  .delta = scratch};
    tuff_parallel(p.B * p.Hq, 1, delta_range, &w);
    tuff_parallel(p.B * p.Hkv * ((p.G * p.Tq + LANES - 1) / LANES), 1, queries_range, &w);
    tuff_parallel(p.B * p.Hkv * ((p.Tk + LANES - 1) / LANES), 1, keys_range, &w);
}

size_t tuff_attention_backward_cpu_scratch(const tuff_node *node)
{
    return (size_t)tuff_tensor_count(node->in[TUFF_ATTENTION_LSE]) * sizeof(float);
}
