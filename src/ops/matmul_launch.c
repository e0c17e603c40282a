/* Device kernels of the matrix product. */
#include "ir/dtype.h"
#include "ops/geometry.h"
#include "ops/matmul.h"
#include "shaders/args/matmul.h"

tuff_shader tuff_matmul_stored(tuff_shader f32, tuff_dtype dtype)
{
    return (tuff_shader)((int)f32 + (dtype == TUFF_F32    ? 0
                                     : dtype == TUFF_F16  ? 1
                                     : dtype == TUFF_BF16 ? 2
                                                          : 3));
}

void tuff_launch_operands(tuff_launch *to, tuff_dtype operands)
{
    tuff_launch_spec(to, operands == TUFF_BF16 ? TUFF_OPERANDS_BF16 : TUFF_OPERANDS_F32);
}

static int64_t pieces(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* The product's end: fields of any of its kernels' arguments. */
static void add_end(const tuff_node *node, tuff_launch *to, uint64_t *addend, uint32_t *kind, float *factor)
{
    const tuff_matmul_end end = tuff_matmul_end_of(node);
    *kind = end.kind;
    *factor = end.factor;
    if (end.kind != TUFF_ADDEND_NONE) tuff_launch_address(to, addend, TUFF_OPERAND_IN, 2, 0);
}

static tuff_matmul_args *add(const tuff_node *node, const tuff_matmul_problem *p, tuff_launch *to,
                             tuff_shader shader)
{
    tuff_matmul_args *args = tuff_launch_add(to, tuff_matmul_stored(shader, p->b_dtype), sizeof *args);
    tuff_launch_address(to, &args->a, TUFF_OPERAND_IN, 0, 0);
    args->b_first = tuff_launch_stored(to, &args->b, node, 1);
    args->M = (uint32_t)p->M;
    args->N = (uint32_t)p->N;
    args->K = (uint32_t)p->K;
    args->ars = (uint32_t)p->ars;
    args->acs = (uint32_t)p->acs;
    args->brs = (uint32_t)p->brs;
    args->bcs = (uint32_t)p->bcs;
    args->batch = (uint32_t)p->batch[1];
    for (int i = 0; i < 2; i++) {
        args->a_batch[i] = (uint32_t)p->a_batch[i];
        args->b_batch[i] = (uint32_t)p->b_batch[i];
    }
    args->batches = (uint32_t)(p->batch[0] * p->batch[1]);
    args->terms = args->K;
    args->factor = 1;
    return args;
}

/* Operands, sizes and the grid of tiles of c. */
static void launch(const tuff_node *node, tuff_launch *to, tuff_shader shader, int64_t rows, int64_t columns)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    tuff_matmul_args *args = add(node, &p, to, shader);
    tuff_launch_address(to, &args->c, TUFF_OPERAND_OUT, 0, 0);
    add_end(node, to, &args->addend, &args->addend_kind, &args->factor);
    tuff_launch_groups(to, (uint64_t)pieces(p.N, columns), (uint64_t)pieces(p.M, rows),
                       (uint64_t)(p.batch[0] * p.batch[1]));
}

static void plain(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    (void)caps;
    launch(node, to, TUFF_SHADER_matmul_f32, TUFF_MATMUL_PLAIN_TILE, TUFF_MATMUL_PLAIN_TILE);
    tuff_launch_operands(to, node->attrs.matmul.operands);
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

/* ---- tiles ---- */

/* A tile of c, and what a lane makes of it. Sums are the same in all of them; what differs is what is thrown
 * away where c ends, and how often operands are read. */
static const tuff_matmul_tile large = {128, 128, 8, 8}, middle = {64, 64, 8, 8};
static const tuff_matmul_tile high = {128, 32, 8, 4}, wide = {32, 128, 4, 8};

static int64_t tiles_of(const tuff_matmul_problem *p, const tuff_matmul_tile *tile)
{
    return pieces(p->M, tile->rows) * pieces(p->N, tile->columns) * p->batch[0] * p->batch[1];
}

/* From so many large tiles on there is one for most of a device's units. */
enum { ENOUGH_LARGE = 64 };
/* Sums in parts: invocations that keep a device busy; the fewest terms of a part
 * that is not the last, and the most parts. */
enum { BUSY = 32768, PART_TERMS = 64, MOST_PARTS = 32, LONG_SUMS = 512 };

/* The place of `large` among the kernels below. */
enum { ROW_LARGE = 5 };

static int64_t lanes_of(const tuff_matmul_tile *tile)
{
    return (int64_t)tile->rows / tile->high * (tile->columns / tile->across);
}

/* Where that kernel was found wrong, the middle tile serves. */
static bool serves_large(const tuff_matmul_problem *p, const tuff_caps *caps)
{
    return !p->invariant && p->M > 64 && p->N > 64 && caps->max_workgroup >= 256 &&
           !(caps->quarantined[TUFF_OP_matmul] >> ROW_LARGE & 1);
}

/* The tile for a product: by its shape alone, and where M must not matter, by N and K. Below a quarter of a
 * tile's rows or columns most of it would be thrown away; where sums are long, and cut into parts, it pays.
 */
static const tuff_matmul_tile *tile_for(const tuff_matmul_problem *p, const tuff_caps *caps)
{
    const bool few_rows = p->M <= 32 && !p->invariant;
    if (p->N <= 32) return few_rows && p->K < LONG_SUMS ? NULL : &high;
    if (few_rows) return &wide;
    return serves_large(p, caps) && tiles_of(p, &large) >= ENOUGH_LARGE ? &large : &middle;
}

/* Into how many parts of how many terms the sums are cut, so that there is work for all units: the shape's
 * choice, as the order of additions depends on it. */
static int64_t parts_of(const tuff_matmul_problem *p, const tuff_matmul_tile *tile, int64_t *terms)
{
    int64_t parts = BUSY / (tiles_of(p, tile) * lanes_of(tile));
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    if (parts > p->K / PART_TERMS) parts = p->K / PART_TERMS;
    if (parts < 2 || p->invariant || tile == &large) parts = 1;
    *terms = pieces(pieces(p->K, parts), 16) * 16;
    return pieces(p->K, *terms);
}

/* Whether an operand's elements lie so that four neighbours come by one load. Along rows or columns the last
 * four may reach past the end: into memory that is there, for what is not used. */
static bool is_wide(const tuff_tensor *x, int64_t stride, const int64_t batch[2], int64_t terms)
{
    return (x->offset | stride | batch[0] | batch[1] | terms) % 4 == 0;
}

static uint32_t loads_of(const tuff_node *node, const tuff_matmul_problem *p)
{
    const bool a_along_k = p->acs == 1, b_along_k = p->bcs != 1;
    const bool a_wide = is_wide(node->in[0], a_along_k ? p->ars : p->acs, p->a_batch, a_along_k ? p->K : 0);
    const bool b_wide = tuff_dtype_is_block(p->b_dtype) ||
                        is_wide(node->in[1], b_along_k ? p->bcs : p->brs, p->b_batch, b_along_k ? p->K : 0);
    const bool c_wide = (p->N | node->out[0]->offset | (node->in[2] ? node->in[2]->offset : 0)) % 4 == 0;
    return (a_along_k ? TUFF_MATMUL_A_ALONG_K : 0) | (b_along_k ? TUFF_MATMUL_B_ALONG_K : 0) |
           (a_wide ? TUFF_MATMUL_A_WIDE : 0) | (b_wide ? TUFF_MATMUL_B_WIDE : 0) |
           (c_wide ? TUFF_MATMUL_C_WIDE : 0);
}

void tuff_launch_matmul_tile(tuff_launch *to, const tuff_caps *caps, const tuff_matmul_tile *tile,
                             uint32_t loads, tuff_dtype operands, tuff_dtype dtype)
{
    /* what is under way while a buffer is multiplied takes registers: more where elements come one by one,
     * and where a lane loads more of the tile */
    const bool all_wide = (loads & TUFF_MATMUL_A_WIDE) && (loads & TUFF_MATMUL_B_WIDE);
    uint32_t terms = 8;
    if (lanes_of(tile) == 256 && all_wide && caps->shared_bytes >= 32768) terms = 16;
    if (lanes_of(tile) == 64 && !all_wide) terms = 4;
    tuff_launch_spec(to, (uint32_t)lanes_of(tile));
    tuff_launch_spec(to, tile->rows);
    tuff_launch_spec(to, tile->columns);
    tuff_launch_spec(to, tile->high);
    tuff_launch_spec(to, tile->across);
    tuff_launch_spec(to, terms);
    tuff_launch_spec(to, loads | (caps->features & TUFF_CAP_SHORT_CODE ? TUFF_MATMUL_SHORT : 0));
    tuff_launch_operands(to, operands);
    tuff_launch_block(to, dtype);
}

/* With the sums in parts these go to scratch memory, and are joined. */
static void launch_tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *to,
                        const tuff_matmul_tile *tile, bool split)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    const int64_t batch = p.batch[0] * p.batch[1], n = batch * p.M * p.N;
    int64_t terms = p.K, parts = split ? parts_of(&p, tile, &terms) : 1;
    tuff_matmul_args *args = add(node, &p, to, TUFF_SHADER_matmul_tile_f32);
    uint64_t scratch = 0;
    if (split) scratch = tuff_launch_scratch(to, (uint64_t)(parts * n) * sizeof(float));
    tuff_launch_address(to, &args->c, split ? TUFF_OPERAND_SCRATCH : TUFF_OPERAND_OUT, 0, scratch);
    args->terms = (uint32_t)terms;
    tuff_launch_groups(to, (uint64_t)pieces(p.N, tile->columns), (uint64_t)pieces(p.M, tile->rows),
                       (uint64_t)(batch * parts));
    tuff_launch_matmul_tile(to, caps, tile, loads_of(node, &p), p.operands, p.b_dtype);
    if (!split) {
        add_end(node, to, &args->addend, &args->addend_kind, &args->factor);
        return;
    }
    tuff_matmul_join_args *join = TUFF_LAUNCH(to, matmul_join, tuff_matmul_join_args);
    tuff_launch_address(to, &join->parts, TUFF_OPERAND_SCRATCH, 0, scratch);
    tuff_launch_address(to, &join->c, TUFF_OPERAND_OUT, 0, 0);
    join->n = (uint32_t)n;
    join->count = (uint32_t)parts;
    join->N = (uint32_t)p.N;
    add_end(node, to, &join->addend, &join->addend_kind, &join->factor);
    tuff_launch_flat(to, caps, (uint64_t)n);
    tuff_launch_after(to);
}

static bool match_tiles(const tuff_node *node, const tuff_caps *caps, tuff_matmul_problem *p)
{
    *p = tuff_matmul_problem_of(node);
    return tile_for(p, caps) && match_plain(node, caps);
}

static bool match_split(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p;
    if (!match_tiles(node, caps, &p)) return false;
    int64_t terms, parts = parts_of(&p, tile_for(&p, caps), &terms), batch = p.batch[0] * p.batch[1];
    return parts > 1 && parts * batch <= caps->max_groups[2] && parts * batch * p.M * p.N <= INT32_MAX;
}

static void split(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    launch_tile(node, caps, to, tile_for(&p, caps), true);
}

static bool match_thin(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p;
    return match_tiles(node, caps, &p) && tile_for(&p, caps) != &middle && tile_for(&p, caps) != &large;
}

static bool match_tile(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p;
    return match_tiles(node, caps, &p) && tile_for(&p, caps) == &middle;
}

static void tile(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    launch_tile(node, caps, to, tile_for(&p, caps), false);
}

/* Also where there are few of them, which `tile` serves better. */
static bool match_large(const tuff_node *node, const tuff_caps *caps)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    return serves_large(&p, caps) && match_plain(node, caps);
}

static void launch_large(const tuff_node *node, const tuff_caps *caps, tuff_launch *to)
{
    launch_tile(node, caps, to, &large, false);
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
    tuff_launch_operands(to, node->attrs.matmul.operands);
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
    add_end(node, to, &args->addend, &args->addend_kind, &args->factor);
    /* of blocks an invocation reads 16 elements at a time */
    args->lanes = tuff_launch_rows(to, caps, (p.N + 3) / 4, tuff_dtype_is_block(p.b_dtype) ? p.K / 2 : p.K);
    tuff_launch_operands(to, p.operands);
    tuff_launch_block(to, p.b_dtype);
}

const tuff_kernel_row tuff_matmul_rows[TUFF_MATMUL_ROWS] = {
    {"rows", 0, match_rows, rows},
    {"spread", TUFF_CAP_SOFTWARE | TUFF_CAP_SUBGROUP_BALLOT, match_spread, spread},
    {"split", TUFF_NEEDS_MUCH_CODE, match_split, split},
    {"thin", TUFF_NEEDS_MUCH_CODE, match_thin, tile},
    {"tile", TUFF_NEEDS_MUCH_CODE, match_tile, tile},
    {"large", TUFF_NEEDS_MUCH_CODE, match_large, launch_large},
    {"plain", 0, match_plain, plain},
};
