/* Device kernels of grouped products: those of matmul, whose rows are looked up. */
#include "ir/dtype.h"
#include "ops/geometry.h"
#include "ops/grouped.h"
#include "ops/matmul.h"
#include "shaders/args/grouped.h"
#include "shaders/args/matmul.h"

static const tuff_matmul_tile middle = {64, 64, 8, 8};

static int64_t parts(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* ---- matmul_grouped ---- */

/* Workgroups down: as many as any sizes of groups, and of what is in none, can need. */
static int64_t slots_of(const tuff_grouped_problem *p, int64_t rows)
{
    return p->places / rows + p->groups + 1;
}

static tuff_matmul_grouped_args *add(const tuff_node *node, const tuff_grouped_problem *p, tuff_launch *to,
                                     tuff_shader shader)
{
    tuff_matmul_grouped_args *args =
        tuff_launch_add(to, tuff_matmul_stored(shader, p->b_dtype), sizeof *args);
    tuff_launch_address(to, &args->a, TUFF_OPERAND_IN, 0, 0);
    args->b_first = tuff_launch_stored(to, &args->b, node, 1);
    tuff_launch_address(to, &args->c, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(to, &args->order, TUFF_OPERAND_IN, 2, 0);
    args->N = (uint32_t)p->N;
    args->K = (uint32_t)p->K;
    args->b_group = (uint32_t)p->b_group;
    args->brs = (uint32_t)p->brs;
    args->bcs = (uint32_t)p->bcs;
    args->groups = (uint32_t)p->groups;
    args->places = (uint32_t)p->places;
    args->repeat = (uint32_t)p->repeat;
    return args;
}

static void launch(const tuff_node *node, tuff_launch *to, tuff_shader shader, int64_t rows, int64_t columns)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    add(node, &p, to, shader);
    tuff_launch_groups(to, (uint64_t)parts(p.N, columns), (uint64_t)slots_of(&p, rows), 1);
}

/* The least tiles, and the most slots, fit the grid, and indices 32 bits. */
static bool match(const tuff_node *node, const tuff_caps *caps)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    return parts(p.N, 4 * TUFF_MATMUL_SPREAD_COLUMNS) <= caps->max_groups[0] &&
           slots_of(&p, tuff_matmul_spread_rows(1)) <= caps->max_groups[1] && tuff_match_32(node, caps);
}

static void tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    const bool b_along_k = p.bcs != 1, blocks = tuff_dtype_is_block(p.b_dtype);
    const int64_t apart = p.b_group | (b_along_k ? p.bcs | p.K : p.brs) | node->in[1]->offset;
    launch(node, to, TUFF_SHADER_grouped_tile_f32, middle.rows, middle.columns);
    tuff_launch_matmul_tile(to, caps, &middle,
                            TUFF_MATMUL_A_ALONG_K | (b_along_k ? TUFF_MATMUL_B_ALONG_K : 0) |
                                ((p.K | node->in[0]->offset) % 4 == 0 ? TUFF_MATMUL_A_WIDE : 0) |
                                (blocks || apart % 4 == 0 ? TUFF_MATMUL_B_WIDE : 0) |
                                ((p.N | node->out[0]->offset) % 4 == 0 ? TUFF_MATMUL_C_WIDE : 0),
                            p.operands, p.b_dtype);
}

static bool match_spread(const tuff_node *node, const tuff_caps *caps)
{
    return tuff_matmul_spreads(caps) && match(node, caps);
}

static void spread(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    const int64_t height = tuff_matmul_spread_rows(p.places / p.groups);
    launch(node, to, TUFF_SHADER_grouped_spread_f32, height,
           TUFF_MATMUL_SPREAD_COLUMNS * caps->subgroup_size);
    tuff_launch_spec(to, caps->subgroup_size);
    tuff_launch_spec(to, (uint32_t)height);
    tuff_launch_operands(to, p.operands);
    tuff_launch_block(to, p.b_dtype);
}

/* How many rows a group has is not known here, only how many it has on average. */
static bool match_rows(const tuff_node *node, const tuff_caps *caps)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    return !p.invariant && p.brs == 1 && p.places <= TUFF_MATMUL_FEW * p.groups &&
           parts(p.N, 4) <= caps->max_groups[0] && p.places <= caps->max_groups[1] &&
           tuff_match_32(node, caps);
}

static void rows(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    tuff_matmul_grouped_args *args = add(node, &p, to, TUFF_SHADER_grouped_rows_f32);
    const uint32_t group = tuff_reduce_group(caps);
    args->lanes = tuff_reduce_lanes(caps, tuff_dtype_is_block(p.b_dtype) ? p.K / 2 : p.K);
    tuff_launch_spec(to, group);
    tuff_launch_groups(to, (uint64_t)parts(parts(p.N, 4), group / args->lanes), (uint64_t)p.places, 1);
    tuff_launch_operands(to, p.operands);
    tuff_launch_block(to, p.b_dtype);
}

const tuff_kernel_row tuff_grouped_rows[TUFF_GROUPED_ROWS] = {
    {"rows", 0, match_rows, rows},
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread, spread},
    {"tile", TUFF_NEEDS_MUCH_CODE, match, tile},
};

/* ---- matmul_grouped_weights ---- */

static void launch_weights(const tuff_node *node, tuff_launch *to, tuff_shader shader, int64_t rows,
                           int64_t columns)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    tuff_matmul_grouped_weights_args *args = tuff_launch_add(to, shader, sizeof *args);
    tuff_launch_address(to, &args->a, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(to, &args->b, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(to, &args->c, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(to, &args->order, TUFF_OPERAND_IN, 2, 0);
    args->M = (uint32_t)p.M;
    args->N = (uint32_t)p.N;
    args->groups = (uint32_t)p.groups;
    args->repeat_a = (uint32_t)p.repeat_x;
    args->repeat_b = (uint32_t)p.repeat_y;
    tuff_launch_groups(to, (uint64_t)parts(p.N, columns), (uint64_t)parts(p.M, rows), (uint64_t)p.groups);
}

static bool match_weights(const tuff_node *node, const tuff_caps *caps)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    return parts(p.N, 4 * TUFF_MATMUL_SPREAD_COLUMNS) <= caps->max_groups[0] &&
           parts(p.M, tuff_matmul_spread_rows(1)) <= caps->max_groups[1] && p.groups <= caps->max_groups[2] &&
           tuff_match_32(node, caps);
}

static void weights_tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    launch_weights(node, to, TUFF_SHADER_grouped_weights_tile, middle.rows, middle.columns);
    tuff_launch_matmul_tile(to, caps, &middle,
                            ((p.M | node->in[0]->offset) % 4 == 0 ? TUFF_MATMUL_A_WIDE : 0) |
                                ((p.N | node->in[1]->offset) % 4 == 0 ? TUFF_MATMUL_B_WIDE : 0) |
                                ((p.N | node->out[0]->offset) % 4 == 0 ? TUFF_MATMUL_C_WIDE : 0),
                            p.operands, TUFF_F32);
}

static bool match_weights_spread(const tuff_node *node, const tuff_caps *caps)
{
    return tuff_matmul_spreads(caps) && match_weights(node, caps);
}

static void weights_spread(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    const int64_t height = tuff_matmul_spread_rows(tuff_grouped_weights_of(node).M);
    launch_weights(node, to, TUFF_SHADER_grouped_weights_spread, height,
                   TUFF_MATMUL_SPREAD_COLUMNS * caps->subgroup_size);
    tuff_launch_spec(to, caps->subgroup_size);
    tuff_launch_spec(to, (uint32_t)height);
    tuff_launch_operands(to, node->attrs.matmul.operands);
}

const tuff_kernel_row tuff_grouped_weights_rows[TUFF_GROUPED_WEIGHTS_ROWS] = {
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_weights_spread, weights_spread},
    {"tile", TUFF_NEEDS_MUCH_CODE, match_weights, weights_tile},
};
