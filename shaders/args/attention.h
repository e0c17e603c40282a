#include "shaders/args.h"

/* Attention over tokens and segments. All its kernels read one table of words, made by
 * ops/attention_launch.c, and one list of work, made by ops/attention_lists.c; o, lse, d_o, stats and
 * gradients are dense, other strides are of tokens and heads in elements. A row is a query of one of the G
 * heads that share a key-value head: row r of a segment is its token r / G, and head r % G of the group. */
#ifndef TUFF_GLSL
typedef struct tuff_attention_table {
    uint64_t q, k,
        v; /* k and v may be f16: at a word boundary then, the first element k_odd or v_odd further */
    uint64_t o, lse, d_o;
    uint64_t stats; /* [N, Hq, 2]: lse, sum(d_o * o) */
    uint64_t bias, sinks;
    uint64_t parts; /* of chunks: [chunk, Hkv, part_rows, D + 2]; of the bias: [tile, Hq, R] */
    uint64_t dq, dk, dv, d_bias;
    uint32_t tokens, heads, group, dim; /* N, Hq, G, D */
    int32_t left, right, zero;
    int32_t distances, sinking; /* R, 0 without a bias; 1 with sinks */
    float scale, softcap;
    uint32_t q_token, q_head, k_token, k_head, v_token, v_head;
    uint32_t k_odd, v_odd;
    uint32_t part_rows, entries;
    uint32_t drop_threshold, drop_stream; /* random bits below it drop */
    float drop_factor;                    /* of probabilities that stay */
    uint64_t seed;
} tuff_attention_table;
#endif

/* Where they are in the table, in words. */
#define TUFF_ATTENTION_Q_AT         0
#define TUFF_ATTENTION_K_AT         2
#define TUFF_ATTENTION_V_AT         4
#define TUFF_ATTENTION_O_AT         6
#define TUFF_ATTENTION_LSE_AT       8
#define TUFF_ATTENTION_D_O_AT       10
#define TUFF_ATTENTION_STATS_AT     12
#define TUFF_ATTENTION_BIAS_AT      14
#define TUFF_ATTENTION_SINKS_AT     16
#define TUFF_ATTENTION_PARTS_AT     18
#define TUFF_ATTENTION_DQ_AT        20
#define TUFF_ATTENTION_DK_AT        22
#define TUFF_ATTENTION_DV_AT        24
#define TUFF_ATTENTION_D_BIAS_AT    26
#define TUFF_ATTENTION_TOKENS_AT    28
#define TUFF_ATTENTION_HEADS_AT     29
#define TUFF_ATTENTION_GROUP_AT     30
#define TUFF_ATTENTION_DIM_AT       31
#define TUFF_ATTENTION_LEFT_AT      32
#define TUFF_ATTENTION_RIGHT_AT     33
#define TUFF_ATTENTION_ZERO_AT      34
#define TUFF_ATTENTION_DISTANCES_AT 35
#define TUFF_ATTENTION_SINKING_AT   36
#define TUFF_ATTENTION_SCALE_AT     37
#define TUFF_ATTENTION_SOFTCAP_AT   38
#define TUFF_ATTENTION_STRIDES_AT   39 /* six of them */
#define TUFF_ATTENTION_K_ODD_AT     45
#define TUFF_ATTENTION_V_ODD_AT     46
#define TUFF_ATTENTION_PART_ROWS_AT 47
#define TUFF_ATTENTION_ENTRIES_AT   48
#define TUFF_ATTENTION_DROP_AT      49 /* threshold, stream, factor */
#define TUFF_ATTENTION_SEED_AT      52

/* Bits of the specialization constant FEATURES: what would cost where it is not needed. */
#define TUFF_ATTENTION_SOFTCAP 1
#define TUFF_ATTENTION_HALF    2 /* k and v are f16 */
#define TUFF_ATTENTION_WIDE \
    4 /* rows of all operands begin at 16 bytes, of f16 at 8, and have a multiple of 4 elements */
#define TUFF_ATTENTION_DROPOUT 8  /* of probabilities */
#define TUFF_ATTENTION_BIASED  16 /* scores have one by distance */
#define TUFF_ATTENTION_EXACT   32 /* the head dim is DIM, with nothing to fill up */

/* A list's entries, in words: queries (or keys) that one workgroup takes. `first` and `rows` count from the
 * segment's first row (or key); `live` of them are there, the others belong to no segment and get zeros. */
#define TUFF_ATTENTION_ENTRY 8
#define TUFF_TILE_FIRST      0
#define TUFF_TILE_ROWS       1 /* 0: an unused entry */
#define TUFF_TILE_LIVE       2
#define TUFF_TILE_Q_BEGIN    3 /* the token of row 0 */
#define TUFF_TILE_Q_LEN      4
#define TUFF_TILE_KV_BEGIN   5
#define TUFF_TILE_KV_LEN     6
/* A chunk of the keys of a segment of few queries: `first` and `rows` are of keys. */
/* What joins its chunks: `first` is the first chunk, `rows` and `live` count tokens. */
#define TUFF_JOIN_CHUNKS 7

TUFF_STRUCT(tuff_attention_args)
{
    TUFF_ADDRESS(Words) table;
    TUFF_ADDRESS(Words) list;
};
