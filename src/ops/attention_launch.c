/* Device kernels of attention. */
#include "ops/attention.h"
#include "ops/geometry.h"
#include "shaders/args/attention.h"

enum {
    FEW_ROWS = 8,      /* below as many queries of a key-value head, tiles of them are nearly empty */
    TILE_GROUP = 64,   /* invocations */
    TILE_FLOATS = 2048 /* of each of the two blocks in shared memory: 16 KiB together */
};

static bool fits_grid(const tuff_attention_problem *p, const tuff_caps *caps)
{
    int64_t longest = p->Tq * p->G > p->Tk ? p->Tq * p->G : p->Tk;
    return longest <= caps->max_groups[0] && p->Hq <= caps->max_groups[1] && p->B <= caps->max_groups[2];
}

static bool match_few(const tuff_node *node, const tuff_caps *caps)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    return fits_grid(&p, caps) && tuff_match_32(node, caps);
}

static bool match_tile(const tuff_node *node, const tuff_caps *caps)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    return p.Tq > 1 && p.Tq * p.G >= FEW_ROWS && match_few(node, caps);
}

/* Past a head dim of 128, a software driver takes too long to compile the code. */
static bool spreads(const tuff_node *node, const tuff_caps *caps)
{
    return caps->subgroup_size >= 4 && caps->subgroup_size <= 16 && tuff_attention_problem_of(node).D <= 128;
}

static bool match_spread(const tuff_node *node, const tuff_caps *caps)
{
    return spreads(node, caps) && match_tile(node, caps);
}

static bool match_spread_backward(const tuff_node *node, const tuff_caps *caps)
{
    return spreads(node, caps) && match_few(node, caps);
}

/* Few sizes: each is a pipeline of its own. */
static uint32_t rounded_dim(const tuff_attention_problem *p)
{
    uint32_t dim = 8;
    while (dim < p->D)
        dim += dim < 64 ? dim : 32;
    return dim;
}

/* Specialization constants and grid of a kernel of lib/attention.glsl whose invocations hold `vectors`
 * vectors of the head dim for each of `n` queries or keys. */
static void tiles(const tuff_attention_problem *p, const tuff_caps *caps, bool spread, int vectors, int64_t n,
                  tuff_launch *launch)
{
    uint32_t dim = rounded_dim(p), rows = 1;
    uint32_t group = spread ? caps->subgroup_size : TILE_GROUP, block = spread ? group : TILE_FLOATS / dim;
    /* with spread vectors, code grows with what is held: about 128 floats */
    while (spread && rows < 4 && 2 * rows * dim * (uint32_t)vectors <= 128)
        rows *= 2;
    if (!spread && block > 64) block = 64;
    int64_t share = (int64_t)group * rows;
    tuff_launch_spec(launch, group);
    tuff_launch_spec(launch, dim);
    tuff_launch_spec(launch, rows);
    tuff_launch_spec(launch, block);
    tuff_launch_groups(launch, (uint64_t)((n + share - 1) / share), (uint64_t)p->Hkv, (uint64_t)p->B);
}

static uint32_t clamp_32(int64_t x)
{
    return (uint32_t)(x < INT32_MAX ? x : INT32_MAX);
}

/* The scalars that both structs begin and end with. */
#define FILL_ARGS(args, p, flags, start)                                                   \
    do {                                                                                   \
        (args)->Tq = (uint32_t)(p)->Tq;                                                    \
        (args)->Tk = (uint32_t)(p)->Tk;                                                    \
        (args)->Hq = (uint32_t)(p)->Hq;                                                    \
        (args)->G = (uint32_t)(p)->G;                                                      \
        (args)->window = clamp_32((p)->window);                                            \
        (args)->scale = (p)->scale;                                                        \
        (args)->dim_flags = (uint32_t)(p)->D | ((p)->causal ? TUFF_ATTENTION_CAUSAL : 0) | \
                            ((start) ? TUFF_ATTENTION_FROM : 0) | (flags);                 \
        set_strides((args)->q_stride, &(p)->q);                                            \
        set_strides((args)->k_stride, &(p)->k);                                            \
        set_strides((args)->v_stride, &(p)->v);                                            \
    } while (0)

static void set_strides(uint32_t to[3], const tuff_attention_operand *x)
{
    to[0] = (uint32_t)x->b;
    to[1] = (uint32_t)x->t;
    to[2] = (uint32_t)x->h;
}

/* ---- forward ---- */

static tuff_attention_problem forward(const tuff_node *node, tuff_launch *launch, tuff_shader shader)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_attention_args *args = tuff_launch_add(launch, shader, sizeof *args);
    bool half = p.k.dtype == TUFF_F16;
    bool odd_k = half && (node->in[TUFF_ATTENTION_K]->offset & 1) != 0;
    bool odd_v = half && (node->in[TUFF_ATTENTION_V]->offset & 1) != 0;
    uint32_t flags = (half ? TUFF_ATTENTION_HALF : 0) | (odd_k ? TUFF_ATTENTION_ODD_K : 0) |
                     (odd_v ? TUFF_ATTENTION_ODD_V : 0);
    FILL_ARGS(args, &p, flags, node->in[TUFF_ATTENTION_START] != NULL);
    tuff_launch_address(launch, &args->q, TUFF_OPERAND_IN, TUFF_ATTENTION_Q, 0);
    tuff_launch_address(launch, &args->k, TUFF_OPERAND_IN, TUFF_ATTENTION_K, odd_k ? (uint64_t)-2 : 0);
    tuff_launch_address(launch, &args->v, TUFF_OPERAND_IN, TUFF_ATTENTION_V, odd_v ? (uint64_t)-2 : 0);
    if (node->in[TUFF_ATTENTION_START])
        tuff_launch_address(launch, &args->start, TUFF_OPERAND_IN, TUFF_ATTENTION_START, 0);
    tuff_launch_address(launch, &args->o, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(launch, &args->lse, TUFF_OPERAND_OUT, 1, 0);
    return p;
}

static void launch_spread(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_attention_problem p = forward(node, launch, TUFF_SHADER_attention_spread);
    tiles(&p, caps, true, 2, p.Tq * p.G, launch);
}

static void launch_tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_attention_problem p = forward(node, launch, TUFF_SHADER_attention);
    tiles(&p, caps, false, 2, p.Tq * p.G, launch);
}

static void launch_few(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_attention_problem p = forward(node, launch, TUFF_SHADER_attention_few);
    tuff_launch_spec(launch, tuff_reduce_group(caps));
    tuff_launch_groups(launch, (uint64_t)p.Tq, (uint64_t)p.Hq, (uint64_t)p.B);
}

const tuff_kernel_row tuff_attention_rows[TUFF_ATTENTION_KERNELS] = {
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread, launch_spread},
    {"tile", 0, match_tile, launch_tile},
    {"few", 0, match_few, launch_few},
};

/* ---- backward ---- */

static tuff_attention_backward_args *backward(const tuff_node *node, tuff_launch *launch, tuff_shader shader,
                                              const tuff_attention_problem *p, uint64_t stats)
{
    bool from = node->in[TUFF_ATTENTION_BACKWARD_START] != NULL;
    tuff_attention_backward_args *args = tuff_launch_add(launch, shader, sizeof *args);
    FILL_ARGS(args, p, 0, from);
    tuff_launch_address(launch, &args->q, TUFF_OPERAND_IN, TUFF_ATTENTION_Q, 0);
    tuff_launch_address(launch, &args->k, TUFF_OPERAND_IN, TUFF_ATTENTION_K, 0);
    tuff_launch_address(launch, &args->v, TUFF_OPERAND_IN, TUFF_ATTENTION_V, 0);
    tuff_launch_address(launch, &args->d_o, TUFF_OPERAND_IN, TUFF_ATTENTION_D_O, 0);
    tuff_launch_address(launch, &args->stats, TUFF_OPERAND_SCRATCH, 0, stats);
    if (from) tuff_launch_address(launch, &args->start, TUFF_OPERAND_IN, TUFF_ATTENTION_BACKWARD_START, 0);
    return args;
}

static void launch_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch, bool spread)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    int64_t rows = p.B * p.Hq * p.Tq;
    uint64_t stats = tuff_launch_scratch(launch, (uint64_t)rows * 2 * sizeof(float));
    tuff_attention_stats_args *first = tuff_launch_add(launch, TUFF_SHADER_attention_stats, sizeof *first);
    tuff_launch_address(launch, &first->o, TUFF_OPERAND_IN, TUFF_ATTENTION_O, 0);
    tuff_launch_address(launch, &first->d_o, TUFF_OPERAND_IN, TUFF_ATTENTION_D_O, 0);
    tuff_launch_address(launch, &first->lse, TUFF_OPERAND_IN, TUFF_ATTENTION_LSE, 0);
    tuff_launch_address(launch, &first->stats, TUFF_OPERAND_SCRATCH, 0, stats);
    first->rows = (uint32_t)rows;
    first->Tq = (uint32_t)p.Tq;
    first->Hq = (uint32_t)p.Hq;
    first->dim = (uint32_t)p.D;
    tuff_launch_groups_1d(launch, caps, (uint64_t)((rows + 63) / 64));

    tuff_attention_backward_args *args = backward(
        node, launch, spread ? TUFF_SHADER_attention_dq_spread : TUFF_SHADER_attention_dq, &p, stats);
    tuff_launch_address(launch, &args->dq_or_dk, TUFF_OPERAND_OUT, 0, 0);
    tiles(&p, caps, spread, 3, p.Tq * p.G, launch);
    tuff_launch_after(launch);

    args = backward(node, launch, spread ? TUFF_SHADER_attention_dkv_spread : TUFF_SHADER_attention_dk, &p,
                    stats);
    tuff_launch_address(launch, &args->dq_or_dk, TUFF_OPERAND_OUT, 1, 0);
    if (spread) tuff_launch_address(launch, &args->dv, TUFF_OPERAND_OUT, 2, 0);
    tiles(&p, caps, spread, spread ? 4 : 3, p.Tk, launch);
    if (spread) return;

    args = backward(node, launch, TUFF_SHADER_attention_dv, &p, stats);
    tuff_launch_address(launch, &args->dv, TUFF_OPERAND_OUT, 2, 0);
    tiles(&p, caps, false, 2, p.Tk, launch);
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
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread_backward, launch_spread_backward},
    {"tile", 0, match_few, launch_tile_backward},
};
