/* Device kernels of the matrix product. */
#include "ir/dtype.h"
#include "ops/geometry.h"
#include "ops/matmul.h"
#include "shaders/args/matmul.h"

enum { TILE = TUFF_MATMUL_TILE };

tuff_shader tuff_matmul_stored(tuff_shader f32, tuff_dtype dtype)
{
    return (tuff_shader)((int)f32 + (dtype == TUFF_F32    ? 0
                                     : dtype == TUFF_F16  ? 1
                                     : dtype == TUFF_BF16 ? 2
                                                          : 3));
}

/* Operands, sizes and the grid of tiles of c. */
static void launch(const tuff_node *node, tuff_launch *to, tuff_shader shader, int64_t rows, int64_t columns)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    tuff_matmul_args *args = tuff_launch_add(to, tuff_matmul_stored(shader, p.b_dtype), sizeof *args);
    tuff_launch_address(to, &args->a, TUFF_OPERAND_IN, 0, 0);
    args->b_first = tuff_launch_stored(to, &args->b, node, 1);
    tuff_launch_address(to, &args->c, TUFF_OPERAND_OUT, 0, 0);
    args->M = (uint32_t)p.M;
    args->N = (uint32_t)p.N;
    args->K = (uint32_t)p.K;
    args->ars = (uint32_t)p.ars;
    args->acs = (uint32_t)p.acs;
    args->brs = (uint32_t)p.brs;
    args->bcs = (uint32_t)p.bcs;
    args->batch = (uint32_t)p.batch[1];
    for (int i = 0; i < 2; i++) {
        args->a_batch[i] = (uint32_t)p.a_batch[i];
        args->b_batch[i] = (uint32_t)p.b_batch[i];
    }
    tuff_launch_groups(to, (uint64_t)((p.N + columns - 1) / columns), (uint64_t)((p.M + rows - 1) / rows),
                       (uint64_t)(p.batch[0] * p.batch[1]));
}

static void plain(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    (void)caps;
    launch(node, to, TUFF_SHADER_matmul_f32, TUFF_MATMUL_PLAIN_TILE, TUFF_MATMUL_PLAIN_TILE);
    tuff_launch_block(to, node->in[1]->dtype);
}

/* Tiles of the smallest size fit the grid, and indices 32 bits. */
static bool match_plain(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    int64_t side = TUFF_MATMUL_PLAIN_TILE;
    return p.N <= caps->max_groups[0] * side && p.M <= caps->max_groups[1] * side &&
           p.batch[0] * p.batch[1] <= caps->max_groups[2] && tuff_match_32(node, caps);
}

/* Below half a tile of rows or columns most of a large tile would be thrown away. */
static bool match_tile(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    return (p.invariant || p.M > TILE / 2) && p.N > TILE / 2 && match_plain(node, caps);
}

static void tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    (void)caps;
    launch(node, to, TUFF_SHADER_matmul_tile_f32, TILE, TILE);
    tuff_launch_block(to, node->in[1]->dtype);
}

static bool match_spread(const tuff_node *node, const tuff_caps *caps)
{
    return tuff_matmul_spreads(caps) && match_plain(node, caps);
}

static void spread(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    int64_t height = tuff_matmul_spread_rows(tuff_matmul_problem_of(node).M);
    launch(node, to, TUFF_SHADER_matmul_spread_f32, height, TUFF_MATMUL_SPREAD_COLUMNS * caps->subgroup_size);
    tuff_launch_spec(to, caps->subgroup_size);
    tuff_launch_spec(to, (uint32_t)height);
    tuff_launch_block(to, node->in[1]->dtype);
}

static bool match_rows(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    return !p.invariant && p.M <= TUFF_MATMUL_FEW && p.batch[0] * p.batch[1] == 1 && p.acs == 1 &&
           p.brs == 1 && tuff_match_32(node, caps);
}

static void rows(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    tuff_matmul_rows_args *args =
        tuff_launch_add(to, tuff_matmul_stored(TUFF_SHADER_matmul_rows_f32, p.b_dtype), sizeof *args);
    tuff_launch_address(to, &args->a, TUFF_OPERAND_IN, 0, 0);
    args->b_first = tuff_launch_stored(to, &args->b, node, 1);
    tuff_launch_address(to, &args->c, TUFF_OPERAND_OUT, 0, 0);
    args->M = (uint32_t)p.M;
    args->N = (uint32_t)p.N;
    args->K = (uint32_t)p.K;
    args->ars = (uint32_t)p.ars;
    args->bcs = (uint32_t)p.bcs;
    /* of blocks an invocation reads 16 elements at a time */
    args->lanes = tuff_launch_rows(to, caps, (p.N + 3) / 4, tuff_dtype_is_block(p.b_dtype) ? p.K / 2 : p.K);
    tuff_launch_block(to, p.b_dtype);
}

const tuff_kernel_row tuff_matmul_rows[TUFF_MATMUL_ROWS] = {
    {"rows", 0, match_rows, rows},
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread, spread},
    {"tile", 0, match_tile, tile},
    {"plain", 0, match_plain, plain},
};
