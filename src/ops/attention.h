/* An attention node as kernels see it. */
#ifndef TUFF_OPS_ATTENTION_H
#define TUFF_OPS_ATTENTION_H

#include "ir/op.h"

enum { TUFF_ATTENTION_MAX_DIM = 256 };

/* Inputs of attention: q, k, v, q_start; of attention_backward: q, k, v, o, lse, d_o, q_start. */
enum { TUFF_ATTENTION_Q, TUFF_ATTENTION_K, TUFF_ATTENTION_V, TUFF_ATTENTION_START };
enum { TUFF_ATTENTION_O = 3, TUFF_ATTENTION_LSE, TUFF_ATTENTION_D_O, TUFF_ATTENTION_BACKWARD_START };

/* Strides of batch, time and head in elements; the head dim's is 1. */
typedef struct tuff_attention_operand {
    int64_t b, t, h;
    tuff_dtype dtype;
} tuff_attention_operand;

typedef struct tuff_attention_problem {
    int64_t B, Tq, Tk, Hq, Hkv, D;
    int64_t G; /* query heads per key-value head */
    tuff_attention_operand q, k, v;
    float scale;
    bool causal;
    int64_t window; /* 0: none */
} tuff_attention_problem;

tuff_attention_problem tuff_attention_problem_of(const tuff_node *node);
/* What both ops demand of q, k, v, the parameters, and q_start, which is input number `start`. */
tuff_status tuff_attention_expect(const tuff_node *node, int start, bool may_be_half);
/* Query-key pairs, for costs. */
double tuff_attention_pairs(const tuff_attention_problem *p);

/* The keys that a query at `position` sees: *begin up to, not including, *end; none when *begin >= *end. */
static inline void tuff_attention_range(const tuff_attention_problem *p, int64_t position, int64_t *begin,
                                        int64_t *end)
{
    *begin = p->causal && p->window > 0 && position >= p->window ? position - p->window + 1 : 0;
    *end = p->causal && position < p->Tk ? position + 1 : p->Tk;
}

void tuff_attention_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_attention_cpu_scratch(const tuff_node *node);
void tuff_attention_backward_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch);
size_t tuff_attention_backward_cpu_scratch(const tuff_node *node);

enum { TUFF_ATTENTION_KERNELS = 3, TUFF_ATTENTION_BACKWARD_KERNELS = 2 };
extern const tuff_kernel_row tuff_attention_rows[TUFF_ATTENTION_KERNELS];
extern const tuff_kernel_row tuff_attention_backward_rows[TUFF_ATTENTION_BACKWARD_KERNELS];

/* The way of few queries, as in decoding: keys in chunks, for the bandwidth of memory. */
bool tuff_attention_few(const tuff_attention_problem *p);
size_t tuff_attention_few_scratch(const tuff_attention_problem *p);
void tuff_attention_few_cpu(const tuff_attention_problem *p, const float *q, const void *k, const void *v,
                            const int32_t *start, float *o, float *lse, float *scratch);

#endif
