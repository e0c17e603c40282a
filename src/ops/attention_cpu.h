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
    const float *bias, *sinks;
    float *o, *lse;
} forward;

typedef struct backward {
    const tuff_attention_problem *p;
    const float *q, *k, *v, *o, *lse, *d_o, *bias;
    float *dq, *dk, *dv;
    float *delta; /* [N, Hq], as lse: sum(d_o * o) */
} backward;

/* Sixteen query rows of one key-value head: row r of a segment is its token r / G, head r % G of the group.
 */
typedef struct lane_block {
    _Alignas(64) int32_t begin[LANES], end[LANES]; /* keys that each lane sees */
    int64_t h;                                     /* first query head of the group */
    int64_t first, count, live;                    /* rows; those that there are; those that are queries */
    int64_t q_begin, kv_begin, start; /* the token of row 0, the row of key 0, the position of row 0 */
    int64_t least, most;              /* union of what lanes see */
    int64_t full_from, full_to;       /* keys that all live lanes see */
} lane_block;

/* The seed as it is on the host; nothing where there is no dropout. */
void tuff_attention_set_seed(tuff_attention_problem *p, const void *seed);
lane_block tuff_attention_block_of(const tuff_attention_problem *p, const int32_t *tile, int64_t kv_head);
/* n rows of k or v, from element `at` on, in f32: where they lie, or converted into `room`, n * D floats. */
const float *tuff_attention_rows_of(const void *base, const tuff_attention_operand *x, int64_t at, int64_t n,
                                    int64_t D, float *room, int64_t *out_stride);
/* Ends a row whose scores have this maximum and sum: the log-sum-exp, and in *out_factor what its values are
 * to be multiplied with. */
float tuff_attention_finish(const float *sinks, int64_t head, bool sees, float max, float total,
                            float *out_factor);
/* The score of a scaled product, and its derivative. */
float tuff_attention_shape(const tuff_attention_problem *p, const float *bias, int64_t head, int64_t distance,
                           float product, float *out_slope);
static inline bool tuff_attention_shaped(const tuff_attention_problem *p, const float *bias)
{
    return p->softcap > 0 || bias;
}

/* One block of sixteen, an entry of a list of tiles: queries forward, queries for d_q, keys for d_k and d_v,
 * where `both` for what the block adds to d_q as well, before it is scaled. */
typedef struct tuff_attention_kernels {
    void (*forward)(const forward *w, int64_t kv_head, const int32_t *tile);
    void (*queries)(const backward *w, int64_t kv_head, const int32_t *tile);
    void (*keys)(const backward *w, int64_t kv_head, const int32_t *tile, bool both);
} tuff_attention_kernels;

/* Blocks shared out among threads, by how many keys or queries each sees: those of a segment and head lie
 * side by side, so that a thread finds in its cache what it made before. */
typedef struct tuff_attention_shares {
    const tuff_attention_problem *p;
    const int32_t *tiles;
    int64_t n_tiles;
    bool keys;  /* tiles are of keys */
    bool whole; /* a segment and head goes to one thread */
    /* tiles of one segment; all of them where `whole` */
    void (*run)(const void *operands, int64_t kv_head, const int32_t *tiles, int64_t n);
    const void *operands;
} tuff_attention_shares;

void tuff_attention_share(const tuff_attention_shares *shares);
/* What the thread that has most does, and what all do. */
int64_t tuff_attention_longest_share(const tuff_attention_shares *shares, int64_t *out_all);

/* The way of few queries, as in decoding: keys in chunks, for the bandwidth of memory. `scratch` has
 * tuff_attention_few_scratch bytes. */
size_t tuff_attention_few_scratch(const tuff_attention_problem *p);
void tuff_attention_few_cpu(const forward *w, const void *segments, void *scratch);

/* Memory of a list, filled in `words`; returns its entries in use. */
size_t tuff_attention_list_bytes(const tuff_work_list *list);
int64_t tuff_attention_list(const tuff_work_list *list, const void *segments, int32_t *words);

#endif
