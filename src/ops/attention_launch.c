/* Device kernels of attention. */
#include "ops/attention.h"
#include "ops/geometry.h"

#include <stddef.h>

enum {
    TILE = 64,       /* rows and columns of a tile: of lib/attention_tile.glsl */
    SMALL_TILE = 32, /* on devices that have no room for the other */
    CHUNK_ROWS = 8   /* of attention_chunk.comp at a time */
};

/* The words that shaders know by number are those of the struct. */
#define IS_AT(member, name) \
    _Static_assert(offsetof(tuff_attention_table, member) == 4 * TUFF_ATTENTION_##name##_AT, #member)
IS_AT(q, Q);
IS_AT(k, K);
IS_AT(v, V);
IS_AT(o, O);
IS_AT(lse, LSE);
IS_AT(d_o, D_O);
IS_AT(stats, STATS);
IS_AT(bias, BIAS);
IS_AT(sinks, SINKS);
IS_AT(parts, PARTS);
IS_AT(dq, DQ);
IS_AT(dk, DK);
IS_AT(dv, DV);
IS_AT(d_bias, D_BIAS);
IS_AT(tokens, TOKENS);
IS_AT(heads, HEADS);
IS_AT(group, GROUP);
IS_AT(dim, DIM);
IS_AT(left, LEFT);
IS_AT(right, RIGHT);
IS_AT(zero, ZERO);
IS_AT(distances, DISTANCES);
IS_AT(sinking, SINKING);
IS_AT(scale, SCALE);
IS_AT(softcap, SOFTCAP);
IS_AT(q_token, STRIDES);
IS_AT(k_odd, K_ODD);
IS_AT(v_odd, V_ODD);
IS_AT(part_rows, PART_ROWS);
IS_AT(entries, ENTRIES);
IS_AT(drop_threshold, DROP);
IS_AT(seed, SEED);

/* ---- what fits ---- */

/* Indices and positions fit 32 bits with room, and lists the grid. */
static bool match(const tuff_node *node, const tuff_caps *caps)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const int64_t most = INT64_C(1) << 29;
    int64_t longest = p.s.N * p.s.G > p.s.M ? p.s.N * p.s.G : p.s.M;
    return longest < most && longest / 4 + p.s.S + 1 <= caps->max_groups[0] && p.Hq <= caps->max_groups[1] &&
           p.s.G <= caps->max_groups[2] && caps->max_workgroup >= 64 && caps->shared_bytes >= 16384 &&
           tuff_match_32(node, caps);
}

/* Past a head dim of 128, a software driver takes too long to compile the code; it is done where tiles cannot
 * be. */
static bool match_spread(const tuff_node *node, const tuff_caps *caps)
{
    const int64_t most = caps->features & TUFF_CAP_LITTLE_CODE ? 256 : 128;
    return caps->subgroup_size >= 4 && caps->subgroup_size <= 16 &&
           tuff_attention_problem_of(node).D <= most && match(node, caps);
}

/* True when the rows of x begin at `elements` elements, wherever they are. */
static bool is_aligned(const tuff_tensor *x)
{
    return x->offset % 4 == 0 && (x->shape.dim[0] == 1 || x->stride[0] % 4 == 0) &&
           (x->shape.dim[1] == 1 || x->stride[1] % 4 == 0);
}

/* 16 bytes at a time, of f16 8: what lies in storage of its own begins at more. */
static bool is_wide(const tuff_node *node)
{
    bool wide = node->in[TUFF_ATTENTION_Q]->shape.dim[2] % 4 == 0;
    for (int i = TUFF_ATTENTION_Q; i <= TUFF_ATTENTION_V; i++)
        wide = wide && is_aligned(node->in[i]);
    for (int i = TUFF_ATTENTION_O; node->op != TUFF_OP_attention && i <= TUFF_ATTENTION_D_O; i++)
        wide = wide && node->in[i]->offset % 4 == 0;
    return wide;
}

static uint32_t features_of(const tuff_node *node, const tuff_attention_problem *p)
{
    return (p->softcap > 0 ? TUFF_ATTENTION_SOFTCAP : 0) |
           (p->k.dtype == TUFF_F16 ? TUFF_ATTENTION_HALF : 0) | (is_wide(node) ? TUFF_ATTENTION_WIDE : 0) |
           (p->drop.factor != 0 ? TUFF_ATTENTION_DROPOUT : 0) | (p->R != 0 ? TUFF_ATTENTION_BIASED : 0) |
           (p->D % 32 == 0 ? TUFF_ATTENTION_EXACT : 0);
}

/* ---- the table ---- */

static int32_t clamp_32(int64_t x)
{
    return (int32_t)(x < INT32_MAX / 2 ? x : INT32_MAX / 2);
}

/* An operand that may be f16, at a word boundary. */
static void set_stored(tuff_launch *launch, const tuff_node *node, int i, uint64_t *address, uint32_t *odd)
{
    const tuff_tensor *x = node->in[i];
    *odd = x->dtype == TUFF_F16 && (x->offset & 1) != 0;
    tuff_launch_data_address(launch, address, TUFF_OPERAND_IN, i, *odd ? (uint64_t)-2 : 0);
}

static tuff_attention_table *table_of(const tuff_node *node, const tuff_attention_problem *p,
                                      tuff_launch *launch)
{
    tuff_attention_table *t = tuff_launch_data(launch, sizeof *t);
    if (!t) return NULL;
    int bias = node->op == TUFF_OP_attention ? TUFF_ATTENTION_BIAS : TUFF_ATTENTION_BACKWARD_BIAS;
    *t = (tuff_attention_table){
        .tokens = (uint32_t)p->s.N,
        .heads = (uint32_t)p->Hq,
        .group = (uint32_t)p->s.G,
        .dim = (uint32_t)p->D,
        .left = clamp_32(p->s.left),
        .right = clamp_32(p->s.right),
        .zero = clamp_32(p->zero),
        .distances = (int32_t)p->R,
        .scale = p->scale,
        .softcap = p->softcap,
        .q_token = (uint32_t)p->q.t,
        .q_head = (uint32_t)p->q.h,
        .k_token = (uint32_t)p->k.t,
        .k_head = (uint32_t)p->k.h,
        .v_token = (uint32_t)p->v.t,
        .v_head = (uint32_t)p->v.h,
        .part_rows = (uint32_t)tuff_segments_part_rows(&p->s),
        .drop_threshold = p->drop.threshold,
        .drop_stream = p->drop.stream,
        .drop_factor = p->drop.factor,
    };
    tuff_launch_data_address(launch, &t->q, TUFF_OPERAND_IN, TUFF_ATTENTION_Q, 0);
    set_stored(launch, node, TUFF_ATTENTION_K, &t->k, &t->k_odd);
    set_stored(launch, node, TUFF_ATTENTION_V, &t->v, &t->v_odd);
    if (p->R) tuff_launch_data_address(launch, &t->bias, TUFF_OPERAND_IN, bias, 0);
    if (p->drop.factor != 0)
        tuff_launch_data_address(launch, &t->seed, TUFF_OPERAND_IN, tuff_attention_seed_input(node), 0);
    return t;
}

/* A dispatch with its list, -1 for none, and the constants that all kernels begin with: few values where a
 * kernel does not need them, so that there are few pipelines. */
static void add(tuff_launch *launch, tuff_shader shader, int list, uint32_t dim, uint32_t features)
{
    tuff_attention_args *args = tuff_launch_add(launch, shader, sizeof *args);
    tuff_launch_address(launch, &args->table, TUFF_OPERAND_DATA, 0, 0);
    if (list >= 0) tuff_launch_address(launch, &args->list, TUFF_OPERAND_LIST, list, 0);
    tuff_launch_spec(launch, dim);
    tuff_launch_spec(launch, features);
}

static uint32_t multiple_of_32(const tuff_attention_problem *p)
{
    return (uint32_t)(p->D + 31) / 32 * 32;
}

/* ---- the way of a device that is a CPU ---- */

typedef struct spread {
    uint32_t dim, rows, width;
} spread;

/* The head dim in few sizes, each a pipeline of its own, and rows by what is held: about 128 floats. */
static spread spread_of(const tuff_attention_problem *p, const tuff_caps *caps, uint32_t vectors)
{
    spread s = {.dim = 8, .rows = 1, .width = caps->subgroup_size};
    while (s.dim < p->D)
        s.dim += s.dim < 64 ? s.dim : 32;
    while (s.rows < 4 && 2 * s.rows * s.dim * vectors <= 128)
        s.rows *= 2;
    return s;
}

static void add_spread(tuff_launch *launch, tuff_shader shader, const tuff_attention_problem *p, spread s,
                       const tuff_work_list *list, uint32_t features)
{
    add(launch, shader, tuff_launch_list(launch, list), s.dim,
        features & ~(uint32_t)(TUFF_ATTENTION_WIDE | TUFF_ATTENTION_EXACT));
    tuff_launch_spec(launch, s.rows);
    tuff_launch_spec(launch, s.width);
    tuff_launch_spec(launch, s.width);
    tuff_launch_groups(launch, tuff_list_entries(list), (uint64_t)p->Hkv, 1);
}

/* ---- the way of the others ---- */

typedef struct tile {
    uint32_t size;   /* rows, and columns */
    uint32_t unroll; /* inner steps without a loop: drivers of narrow subgroups take long over long code */
} tile;

static tile tile_of(const tuff_caps *caps)
{
    const bool fits = caps->max_workgroup >= TILE * TILE / 16 && caps->shared_bytes >= 32768;
    return (tile){fits ? TILE : SMALL_TILE, caps->subgroup_size >= 32 ? 4 : 1};
}

/* An invocation has 16 scores of a tile. */
static void add_tile(tuff_launch *launch, tuff_shader shader, const tuff_attention_problem *p,
                     const tuff_work_list *list, tile cut, uint64_t heads, uint32_t features)
{
    add(launch, shader, tuff_launch_list(launch, list), multiple_of_32(p), features);
    tuff_launch_spec(launch, cut.size);
    tuff_launch_spec(launch, cut.size * cut.size / 16);
    tuff_launch_spec(launch, cut.unroll);
    tuff_launch_groups(launch, tuff_list_entries(list), heads, 1);
}

/* ---- forward ---- */

/* Rows at a time follow from the heads alone, so that a query's sums do not depend on how many there are. */
static uint32_t chunk_rows(const tuff_attention_problem *p)
{
    uint32_t rows = 1;
    while (rows < CHUNK_ROWS && rows < p->s.G)
        rows *= 2;
    return rows;
}

/* Chunks of keys for segments of few queries. */
static void add_chunks(const tuff_attention_problem *p, uint32_t features, tuff_launch *launch,
                       tuff_attention_table *t)
{
    uint32_t rows = chunk_rows(p), few = (uint32_t)tuff_segments_part_rows(&p->s);
    uint64_t most = (uint64_t)(p->s.N * p->s.G < few ? p->s.N * p->s.G : few);
    tuff_work_list chunks = tuff_key_chunks(&p->s, TUFF_ATTENTION_SEGMENTS);
    uint64_t parts = (uint64_t)tuff_list_entries(&chunks) * (uint64_t)p->Hkv * few * (uint64_t)(p->D + 2);
    tuff_launch_data_address(launch, &t->parts, TUFF_OPERAND_SCRATCH, 0,
                             tuff_launch_scratch(launch, 4 * parts));
    add(launch, TUFF_SHADER_attention_chunk, tuff_launch_list(launch, &chunks), multiple_of_32(p), features);
    tuff_launch_spec(launch, rows);
    tuff_launch_groups(launch, tuff_list_entries(&chunks), (uint64_t)p->Hkv, (most + rows - 1) / rows);
}

static void add_joins(const tuff_attention_problem *p, tuff_launch *launch)
{
    tuff_work_list joins = tuff_chunk_joins(&p->s, TUFF_ATTENTION_SEGMENTS, tuff_segments_all_few(&p->s));
    add(launch, TUFF_SHADER_attention_join, tuff_launch_list(launch, &joins), 32, 0);
    tuff_launch_groups(launch, tuff_list_entries(&joins), (uint64_t)p->Hq, 1);
    tuff_launch_after(launch);
}

/* Chunks and their joins where there is a cache; between them, as they wait for neither, tiles for the other
 * segments.
 */
static void launch_forward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch, bool spreads)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    bool all_few = tuff_segments_all_few(&p.s);
    uint32_t features = features_of(node, &p);
    tuff_attention_table *t = table_of(node, &p, launch);
    if (!t) return;
    tuff_launch_data_address(launch, &t->o, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_data_address(launch, &t->lse, TUFF_OPERAND_OUT, 1, 0);
    t->sinking = node->in[TUFF_ATTENTION_SINKS] != NULL;
    if (t->sinking) tuff_launch_data_address(launch, &t->sinks, TUFF_OPERAND_IN, TUFF_ATTENTION_SINKS, 0);

    if (p.s.cached) add_chunks(&p, features, launch, t);
    if (!all_few && spreads) {
        spread s = spread_of(&p, caps, 2);
        tuff_work_list tiles = tuff_query_tiles(&p.s, TUFF_ATTENTION_SEGMENTS, s.width * s.rows, true);
        add_spread(launch, TUFF_SHADER_attention_spread, &p, s, &tiles, features);
    } else if (!all_few) {
        tile cut = tile_of(caps);
        tuff_work_list tiles = tuff_query_tiles(&p.s, TUFF_ATTENTION_SEGMENTS, cut.size, true);
        add_tile(launch, TUFF_SHADER_attention_tile, &p, &tiles, cut, (uint64_t)p.Hkv, features);
    }
    if (p.s.cached) add_joins(&p, launch);
}

static void launch_spread(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    launch_forward(node, caps, launch, true);
}

static void launch_tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    launch_forward(node, caps, launch, false);
}

const tuff_kernel_row tuff_attention_rows[TUFF_ATTENTION_KERNELS] = {
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread, launch_spread},
    {"tile", TUFF_NEEDS_MUCH_CODE, match, launch_tile},
};

/* ---- backward ---- */

/* The table, and the first dispatch, which makes lse and sum(d_o * o) of each row. */
static tuff_attention_table *begin_backward(const tuff_node *node, const tuff_caps *caps,
                                            const tuff_attention_problem *p, uint32_t features,
                                            tuff_launch *launch)
{
    tuff_attention_table *t = table_of(node, p, launch);
    if (!t) return NULL;
    uint64_t rows = (uint64_t)(p->s.N * p->Hq);
    tuff_launch_data_address(launch, &t->o, TUFF_OPERAND_IN, TUFF_ATTENTION_O, 0);
    tuff_launch_data_address(launch, &t->lse, TUFF_OPERAND_IN, TUFF_ATTENTION_LSE, 0);
    tuff_launch_data_address(launch, &t->d_o, TUFF_OPERAND_IN, TUFF_ATTENTION_D_O, 0);
    tuff_launch_data_address(launch, &t->stats, TUFF_OPERAND_SCRATCH, 0,
                             tuff_launch_scratch(launch, 8 * rows));
    add(launch, TUFF_SHADER_attention_stats, -1, 32, features & TUFF_ATTENTION_WIDE);
    tuff_launch_groups_1d(launch, caps, (rows + 63) / 64);
    return t;
}

static void launch_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch, bool spreads)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    uint32_t features = features_of(node, &p);
    tuff_attention_table *t = begin_backward(node, caps, &p, features, launch);
    if (!t) return;
    tuff_launch_data_address(launch, &t->dq, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_data_address(launch, &t->dk, TUFF_OPERAND_OUT, 1, 0);
    tuff_launch_data_address(launch, &t->dv, TUFF_OPERAND_OUT, 2, 0);
    const int input = TUFF_ATTENTION_BACKWARD_SEGMENTS;
    if (spreads) {
        spread q = spread_of(&p, caps, 3), k = spread_of(&p, caps, 4);
        tuff_work_list tiles = tuff_query_tiles(&p.s, input, q.width * q.rows, false),
                       keys = tuff_key_tiles(&p.s, input, k.width * k.rows);
        add_spread(launch, TUFF_SHADER_attention_dq_spread, &p, q, &tiles, features);
        tuff_launch_after(launch);
        add_spread(launch, TUFF_SHADER_attention_dkv_spread, &p, k, &keys, features);
        return;
    }
    tile cut = tile_of(caps);
    tuff_work_list tiles = tuff_query_tiles(&p.s, input, cut.size, false),
                   keys = tuff_key_tiles(&p.s, input, cut.size);
    add_tile(launch, TUFF_SHADER_attention_dq_tile, &p, &tiles, cut, (uint64_t)p.Hkv, features);
    tuff_launch_after(launch);
    add_tile(launch, TUFF_SHADER_attention_dkv_tile, &p, &keys, cut, (uint64_t)p.Hkv, features);
}

static void launch_spread_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    launch_backward(node, caps, launch, true);
}

static void launch_tile_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    launch_backward(node, caps, launch, false);
}

const tuff_kernel_row tuff_attention_backward_rows[TUFF_ATTENTION_BACKWARD_KERNELS] = {
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread, launch_spread_backward},
    {"tile", TUFF_NEEDS_MUCH_CODE, match, launch_tile_backward},
};

/* Tiles of tokens, whatever the group: a workgroup has one head of q. */
static void launch_bias(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_segments tokens = p.s;
    tokens.G = 1;
    uint32_t features = features_of(node, &p);
    tile cut = tile_of(caps);
    tuff_work_list tiles = tuff_query_tiles(&tokens, TUFF_ATTENTION_BACKWARD_SEGMENTS, cut.size, false);
    tuff_attention_table *t = begin_backward(node, caps, &p, features, launch);
    if (!t) return;
    uint64_t columns = (uint64_t)(p.Hq * p.R), parts = tuff_list_entries(&tiles) * columns;
    t->entries = tuff_list_entries(&tiles);
    tuff_launch_data_address(launch, &t->parts, TUFF_OPERAND_SCRATCH, 0,
                             tuff_launch_scratch(launch, 4 * parts));
    tuff_launch_data_address(launch, &t->d_bias, TUFF_OPERAND_OUT, 0, 0);
    add_tile(launch, TUFF_SHADER_attention_bias, &p, &tiles, cut, (uint64_t)p.Hq, features);
    tuff_launch_after(launch);
    add(launch, TUFF_SHADER_attention_bias_join, 0, 32, 0);
    tuff_launch_groups_1d(launch, caps, (columns + 63) / 64);
    tuff_launch_after(launch);
}

/* What its tiles make must be reached with 32 bits too. */
static bool match_bias(const tuff_node *node, const tuff_caps *caps)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    return (p.s.N / SMALL_TILE + p.s.S + 1) * p.Hq * p.R < INT64_C(1) << 31 && match(node, caps);
}

const tuff_kernel_row tuff_attention_bias_rows[1] = {{"tile", 0, match_bias, launch_bias}};
