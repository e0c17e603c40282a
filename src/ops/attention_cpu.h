/* Attention on the host, for each instruction set: what attention_cpu.c runs and attention_lanes.h defines.
 */
#ifndef TUFF_OPS_ATTENTION_CPU_H
#define TUFF_OPS_ATTENTION_CPU_H

#include "ops/attention.h"

enum {
    LANES = 16,
    BLOCK =
        48 /* rows at a time: with a head dim of 64, two operands' rows and the lanes fill a 32 KiB cache */
};

/* Operands of one call. */
typedef struct forward {
    const tuff_attention_problem *p;
    const float *q;
    const void *k, *v;
    const int32_t *start;
    float *o, *lse;
} forward;

typedef struct backward {
    const tuff_attention_problem *p;
    const float *q, *k, *v, *o, *lse, *d_o;
    const int32_t *start;
    float *dq, *dk, *dv;
    float *delta; /* [B, Hq, Tq], as lse: sum(d_o * o) */
} backward;

/* Sixteen query rows of one key-value head: row r is query time r / G of head group member r % G. */
typedef struct lane_block {
    int64_t b, h;                     /* batch, first query head of the group */
    int64_t first, count;             /* rows */
    int32_t begin[LANES], end[LANES]; /* keys that each lane sees */
    int64_t least, most;              /* union of them */
    int64_t full_from, full_to;       /* keys that all lanes see */
} lane_block;

lane_block tuff_attention_block_of(const tuff_attention_problem *p, const int32_t *start, int64_t index);
/* n rows of k or v, from element `at` on, in f32: where they lie, or converted into `room`, n * D floats. */
const float *tuff_attention_rows_of(const void *base, const tuff_attention_operand *x, int64_t at, int64_t n,
                                    int64_t D, float *room, int64_t *out_stride);
/* Query times from *begin up to *end may see some key of first..last. */
void tuff_attention_times(const tuff_attention_problem *p, int64_t start, int64_t first, int64_t last,
                          int64_t *begin, int64_t *end);

/* One block of sixteen: queries forward, queries for d_q, keys for d_k and d_v. */
typedef struct tuff_attention_kernels {
    void (*forward)(const forward *w, int64_t index);
    void (*queries)(const backward *w, int64_t index);
    void (*keys)(const backward *w, int64_t index);
} tuff_attention_kernels;

#endif
