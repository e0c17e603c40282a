/* An attention node as kernels see it. */
#ifndef TUFF_OPS_ATTENTION_H
#define TUFF_OPS_ATTENTION_H

#include "ir/op.h"
#include "ops/attention_lists.h"

enum { TUFF_ATTENTION_MAX_DIM = 256 };

/* Inputs of attention: q, k, v, segments, bias?, sinks?, seed?; of its two backwards: q, k, v, o, lse, d_o,
 * segments, bias?, seed?. */
enum { TUFF_ATTENTION_Q, TUFF_ATTENTION_K, TUFF_ATTENTION_V, TUFF_ATTENTION_SEGMENTS };
enum { TUFF_ATTENTION_BIAS = 4, TUFF_ATTENTION_SINKS, TUFF_ATTENTION_SEED };
enum { TUFF_ATTENTION_O = 3, TUFF_ATTENTION_LSE, TUFF_ATTENTION_D_O, TUFF_ATTENTION_BACKWARD_SEGMENTS };
enum { TUFF_ATTENTION_BACKWARD_BIAS = 7, TUFF_ATTENTION_BACKWARD_SEED };

/* Strides of token and head in elements; the head dim's is 1. */
typedef struct tuff_attention_operand {
    int64_t t, h;
    tuff_dtype dtype;
} tuff_attention_operand;

/* Which probabilities become 0. */
typedef struct tuff_attention_drop {
    float factor;       /* of those that stay; 0: there is no dropout */
    uint32_t threshold; /* random bits below it drop */
    uint32_t stream;
    uint32_t seed[3]; /* {low, high, step}, once it is known */
} tuff_attention_drop;

typedef struct tuff_attention_problem {
    tuff_segments s;
    int64_t Hq, Hkv, D;
    tuff_attention_operand q, k, v;
    float scale, softcap; /* softcap 0: none */
    int64_t R, zero;      /* columns of the bias, 0: none; the column of a query's own position */
    tuff_attention_drop drop;
} tuff_attention_problem;

/* Of any of the three ops. */
tuff_attention_problem tuff_attention_problem_of(const tuff_node *node);
/* What the three ops demand of q, k, v, the parameters, and the segments, which are input number `segments`,
 * with the bias behind them. */
tuff_status tuff_attention_expect(const tuff_node *node, int segments, bool may_be_half);
/* The input that is the seed of dropout, of any of the three ops. */
int tuff_attention_seed_input(const tuff_node *node);
/* What the probability of a query's row of [N, Hq] and a key of its segment is multiplied with: of a
 * counter's four numbers each is one of four keys'. */
double tuff_attention_kept(const tuff_attention_drop *drop, double factor, int64_t row, int64_t key);
/* For the references, whose inputs are in double. */
void tuff_attention_take_seed(tuff_attention_problem *p, const double *seed);
/* Query-key pairs, for costs: as if the segments were equal. */
double tuff_attention_pairs(const tuff_attention_problem *p);

/* What a score gets besides the scaled product, for the references: *out_slope, if asked for, is its
 * derivative. */
double tuff_attention_score(const tuff_attention_problem *p, const tuff_attention_params *attrs,
                            const double *bias, int64_t head, int64_t distance, double product,
                            double *out_slope);

/* For the references: calls fn with each query of the table's used segments and each head: its row of [N,
 * Hq], its position and which keys, counted from its segment's first, it sees. */
typedef struct tuff_attention_query {
    int64_t token, head, row, position, kv_begin, begin, end;
} tuff_attention_query;
void tuff_attention_each(const tuff_attention_problem *p, const double *segments,
                         void (*fn)(const tuff_attention_query *query, void *context), void *context);

void tuff_attention_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_attention_cpu_scratch(const tuff_node *node);
void tuff_attention_backward_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch);
size_t tuff_attention_backward_cpu_scratch(const tuff_node *node);
void tuff_attention_bias_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_attention_bias_cpu_scratch(const tuff_node *node);

enum { TUFF_ATTENTION_KERNELS = 2, TUFF_ATTENTION_BACKWARD_KERNELS = 2 };
extern const tuff_kernel_row tuff_attention_rows[TUFF_ATTENTION_KERNELS];
extern const tuff_kernel_row tuff_attention_backward_rows[TUFF_ATTENTION_BACKWARD_KERNELS];
extern const tuff_kernel_row tuff_attention_bias_rows[1];

#endif
