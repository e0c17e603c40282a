/* What the kernels of one product share: the tile of c that this workgroup makes, and element access.
 * Needs TUFF_STORED, TUFF_OPERANDS_CONSTANT, for blocks TUFF_BLOCK_CONSTANT too, and TUFF_GROUPED, 0 but for grouped
 * products (args/grouped.h); main begins with tuff_matmul_tile. TUFF_M, TUFF_N and TUFF_K are the product's rows, columns and terms;
 * TUFF_A_ALONG_K and TUFF_B_ALONG_K tell whether neighbours in memory are terms.
 *
 * tuff_a_at and tuff_b_at give the places of elements. Terms past K count as zero. Rows and columns past the end repeat
 * the last one: they are not stored, and a load without a branch is cheaper. */
#include "shaders/lib/common.glsl"
#include "shaders/lib/stored.glsl"
#include "shaders/lib/wide.glsl"
#include "shaders/args/matmul.h"
#include "shaders/lib/operands.glsl"
#include "shaders/args/grouped.h"

uint tuff_row, tuff_column; /* of the tile */
uint tuff_b;                /* first element of this product's b */

#if TUFF_GROUPED == 0
TUFF_ARGS(tuff_matmul_args);

#define TUFF_M         a.M
#define TUFF_N         a.N
#define TUFF_K         a.K
#define TUFF_A_ALONG_K (a.acs == 1)
#define TUFF_B_ALONG_K (a.bcs != 1)

uint tuff_a, tuff_c;          /* first elements of this batch's matrices */
uint tuff_k_begin, tuff_k_end; /* this workgroup's terms */

/* False: there is nothing to do. */
bool tuff_matmul_tile(uint rows, uint columns)
{
    uint part = gl_WorkGroupID.z / a.batches, batch = gl_WorkGroupID.z % a.batches;
    uint outer = batch / a.batch, inner = batch % a.batch;
    tuff_a = outer * a.a_batch[0] + inner * a.a_batch[1];
    tuff_b = outer * a.b_batch[0] + inner * a.b_batch[1];
    tuff_c = gl_WorkGroupID.z * a.M * a.N;
    tuff_k_begin = part * a.terms;
    tuff_k_end = min(tuff_k_begin + a.terms, a.K);
    tuff_row = gl_WorkGroupID.y * rows;
    tuff_column = gl_WorkGroupID.x * columns;
    return true;
}

/* The first element of row m of c. */
uint tuff_c_row(uint m)
{
    return tuff_c + m * a.N;
}

#include "shaders/lib/end.glsl"

uint tuff_a_at(uint m, uint k)
{
    return tuff_a + min(m, a.M - 1) * a.ars + min(k, a.K - 1) * a.acs;
}

#elif TUFF_GROUPED == 1
TUFF_ARGS(tuff_matmul_grouped_args);
#include "shaders/lib/grouped.glsl"

#define TUFF_M         tuff_live
#define TUFF_N         a.N
#define TUFF_K         tuff_terms
#define TUFF_A_ALONG_K true
#define TUFF_B_ALONG_K (a.bcs != 1)

#define tuff_k_begin 0
#define tuff_k_end   tuff_terms

uint tuff_first;             /* position of the tile's first row in the order */
uint tuff_live, tuff_terms;  /* rows; none of the terms count where the rows are of no group */
shared uint tuff_a_rows[128]; /* of a tile, at most: first elements of a's rows */

bool tuff_matmul_tile(uint rows, uint columns)
{
    uint slot = gl_WorkGroupID.y, e = tuff_group_at(slot, rows, 1), begin = tuff_group_begin(e), end = tuff_group_end(e, a.places);
    tuff_first = begin + (slot - begin / rows - e) * rows;
    if (tuff_first >= end) return false;
    tuff_live = min(rows, end - tuff_first);
    tuff_terms = e < a.groups ? a.K : 0;
    tuff_row = 0;
    tuff_column = gl_WorkGroupID.x * columns;
    tuff_b = min(e, a.groups - 1) * a.b_group;
    for (uint m = gl_LocalInvocationIndex; m < rows; m += gl_WorkGroupSize.x)
        tuff_a_rows[m] = tuff_place_at(tuff_first + min(m, tuff_live - 1)) / a.repeat * a.K;
    barrier();
    return true;
}

uint tuff_c_row(uint m)
{
    return tuff_place_at(tuff_first + m) * a.N;
}

uint tuff_a_at(uint m, uint k)
{
    return tuff_a_rows[m] + min(k, a.K - 1);
}

#else
TUFF_ARGS(tuff_matmul_grouped_weights_args);
#include "shaders/lib/grouped.glsl"

#define TUFF_M         a.M
#define TUFF_N         a.N
#define TUFF_K         tuff_terms
#define TUFF_A_ALONG_K false
#define TUFF_B_ALONG_K false

#define tuff_k_begin 0
#define tuff_k_end   tuff_terms

uint tuff_first, tuff_terms; /* the group's positions in the order */

bool tuff_matmul_tile(uint rows, uint columns)
{
    tuff_first = tuff_group_begin(gl_WorkGroupID.z);
    tuff_terms = tuff_group_begin(gl_WorkGroupID.z + 1) - tuff_first;
    tuff_row = gl_WorkGroupID.y * rows;
    tuff_column = gl_WorkGroupID.x * columns;
    return true;
}

uint tuff_c_row(uint m)
{
    return (gl_WorkGroupID.z * a.M + m) * a.N;
}

/* First elements of the rows of a and b that are term k's; of a group without terms, of some. */
uvec2 tuff_look_up(uint k)
{
    if (tuff_terms == 0) return uvec2(0);
    uint place = tuff_place_at(tuff_first + min(k, tuff_terms - 1));
    return uvec2(place / a.repeat_a * a.M, place / a.repeat_b * a.N);
}

#ifdef TUFF_TERMS_AHEAD
/* A kernel that loads some terms at a time defines this, a power of two and at least twice as many, and finds those after
 * the next ones while it loads the next, with a barrier between, so that each is looked up once. */
shared uvec2 tuff_found[TUFF_TERMS_AHEAD];

void tuff_find_terms(uint k0, uint count)
{
    uint k = gl_LocalInvocationIndex;
    if (k < count) tuff_found[(k0 + k) % TUFF_TERMS_AHEAD] = tuff_look_up(k0 + k);
}

uvec2 tuff_rows_of_term(uint k)
{
    return tuff_found[k % TUFF_TERMS_AHEAD];
}
#else
uvec2 tuff_rows_of_term(uint k)
{
    return tuff_look_up(k);
}
#endif

uint tuff_a_at(uint m, uint k)
{
    return tuff_rows_of_term(k).x + min(m, a.M - 1);
}

uint tuff_b_at(uint k, uint n)
{
    return tuff_rows_of_term(k).y + min(n, a.N - 1);
}

#define TUFF_B_FIRST 0
#endif

#if TUFF_GROUPED != 2
uint tuff_b_at(uint k, uint n)
{
    return tuff_b + min(k, a.K - 1) * a.brs + min(n, a.N - 1) * a.bcs;
}

#define TUFF_B_FIRST a.b_first
#endif

float tuff_load_a(uint m, uint k)
{
    float x = tuff_operand(a.a.v[tuff_a_at(m, k)]);
    return k < TUFF_K ? x : 0.0;
}

float tuff_load_b(uint k, uint n)
{
    float x = tuff_operand(tuff_stored(a.b, TUFF_B_FIRST, tuff_b_at(k, n)));
    return k < TUFF_K ? x : 0.0;
}

#if TUFF_GROUPED != 0
/* Grouped products end as they are. */
float tuff_end(float sum, uint at, uint n)
{
    return sum;
}
#endif

void tuff_store_c(uint row, uint n, float sum)
{
    a.c.v[row + n] = tuff_end(sum, row + n, n);
}
