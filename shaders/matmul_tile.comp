#version 460
#extension GL_GOOGLE_include_directive : require
#define TUFF_OPERANDS_CONSTANT 7
#define TUFF_BLOCK_CONSTANT 8
#define TUFF_TERMS_AHEAD 32
#include "shaders/lib/matmul.glsl"

/* A tile of c in registers, HIGH rows and ACROSS columns of it on each lane, fed from shared memory: while one buffer of
 * TERMS terms is multiplied, loads for the next are under way to registers, and then go to the other buffer. Each
 * element of c is the sum of its terms one after the other, whatever the tile's size. */
layout(local_size_x_id = 0) in; /* ROWS / HIGH * COLUMNS / ACROSS */
layout(constant_id = 1) const uint ROWS = 64;
layout(constant_id = 2) const uint COLUMNS = 64;
layout(constant_id = 3) const uint HIGH = 8;
layout(constant_id = 4) const uint ACROSS = 8;
layout(constant_id = 5) const uint TERMS = 8; /* 4, 8 or 16 */
layout(constant_id = 6) const uint LOADS = 0; /* TUFF_MATMUL_* of args/matmul.h */

const uint LANES = ROWS / HIGH * (COLUMNS / ACROSS);
const uint ROW_FOURS = ROWS / 4, COLUMN_FOURS = COLUMNS / 4, TERM_FOURS = TERMS / 4;
const uint LANES_ACROSS = COLUMNS / ACROSS, LANES_DOWN = ROWS / HIGH;
const uint A_FOURS = ROW_FOURS * TERMS, B_FOURS = COLUMN_FOURS * TERMS; /* in a buffer */
const uint A_ITEMS = (A_FOURS + LANES - 1) / LANES, B_ITEMS = (B_FOURS + LANES - 1) / LANES; /* of a lane */
const bool A_ALONG_K = (LOADS & TUFF_MATMUL_A_ALONG_K) != 0, B_ALONG_K = (LOADS & TUFF_MATMUL_B_ALONG_K) != 0;
const bool A_WIDE = (LOADS & TUFF_MATMUL_A_WIDE) != 0, B_WIDE = (LOADS & TUFF_MATMUL_B_WIDE) != 0;
const bool C_WIDE = (LOADS & TUFF_MATMUL_C_WIDE) != 0;
/* Loops stay loops, and nothing is there twice: long code takes software drivers long to compile. */
const bool SHORT = (LOADS & TUFF_MATMUL_SHORT) != 0;

shared vec4 sa[2 * A_FOURS]; /* by term, then row */
shared vec4 sb[2 * B_FOURS]; /* by term, then column */

/* Where in its term's row of `fours` lies four `i`: what 32 lanes write one element each of, for different terms, falls
 * into different banks. Terms that are loaded together move alike; `width` fours, a power of two, are moved within. */
uint moved(uint i, uint k, uint width)
{
    return i ^ (k / 4 * (32 / TERMS) & (width - 1));
}

/* The four that item i of this lane is: a term, or the first of four, and a row or a column, or the first of four. `next`
 * items that follow each other are neighbours. */
uvec2 item(uint i, uint next, uint fours, bool along_k)
{
    uint at = (gl_LocalInvocationIndex + i / next * LANES) * next + i % next;
    return along_k ? uvec2(at % TERM_FOURS * 4, at / TERM_FOURS) : uvec2(at / fours, at % fours * 4);
}

/* Neighbours of blocks have what is read once for a run. */
const uint B_NEXT = TUFF_STORED != 3 ? 1 : B_ITEMS < TERM_FOURS ? B_ITEMS : TERM_FOURS;

/* What was loaded, as it came: what is done with it waits for it. */
#if TUFF_STORED == 1 || TUFF_STORED == 2
#define TUFF_LOADED uvec2
#else
#define TUFF_LOADED vec4
#endif
vec4 next_a[A_ITEMS];
TUFF_LOADED next_b[B_ITEMS];

void load(uint k0)
{
    [[unroll]] for (uint i = 0; i < A_ITEMS; i++) {
        uvec2 p = item(i, 1, ROW_FOURS, A_ALONG_K);
        uint k = k0 + p.x, m = tuff_row + p.y;
        if (A_WIDE)
            next_a[i] = tuff_wide(a.a, tuff_a_at(m, k));
        else
            [[unroll]] for (uint j = 0; j < 4; j++)
                next_a[i][j] = a.a.v[A_ALONG_K ? tuff_a_at(m, k + j) : tuff_a_at(m + j, k)];
    }
#if TUFF_STORED == 3
    tuff_run run;
#endif
    [[unroll]] for (uint i = 0; i < B_ITEMS; i++) {
        uvec2 p = item(i, B_NEXT, COLUMN_FOURS, B_ALONG_K);
        uint k = k0 + p.x, n = tuff_column + p.y;
#if TUFF_STORED == 3
        uint at = tuff_b_at(k, n);
        if (i % B_NEXT == 0) run = tuff_run_of(a.b, a.b_first, at & ~15u);
        next_b[i] = tuff_run_four(a.b, run, (at & 15) / 4);
#elif TUFF_STORED == 0
        if (B_WIDE)
            next_b[i] = tuff_wide(a.b, tuff_b_at(k, n));
        else
            [[unroll]] for (uint j = 0; j < 4; j++)
                next_b[i][j] = a.b.v[B_ALONG_K ? tuff_b_at(k + j, n) : tuff_b_at(k, n + j)];
#else
        if (B_WIDE)
            next_b[i] = tuff_wide_halves(a.b, tuff_b_at(k, n));
        else {
            next_b[i] = uvec2(0);
            [[unroll]] for (uint j = 0; j < 4; j++)
                next_b[i][j / 2] |= tuff_stored_half(a.b, a.b_first, B_ALONG_K ? tuff_b_at(k + j, n) : tuff_b_at(k, n + j))
                                    << (16 * (j % 2));
        }
#endif
    }
}

/* Terms past K are zero. */
vec4 whole(vec4 x, uint k, bool along_k, bool wide)
{
    if (wide || !along_k) return k < TUFF_K ? x : vec4(0);
    return mix(vec4(0), x, lessThan(k + uvec4(0, 1, 2, 3), uvec4(TUFF_K)));
}

void store(uint k0, uint buffer_a, uint buffer_b)
{
    [[unroll]] for (uint i = 0; i < A_ITEMS; i++) {
        if (A_FOURS % LANES != 0 && gl_LocalInvocationIndex + i * LANES >= A_FOURS) break;
        uvec2 p = item(i, 1, ROW_FOURS, A_ALONG_K);
        vec4 x = whole(tuff_operand(next_a[i]), k0 + p.x, A_ALONG_K, A_WIDE);
        uint at = buffer_a + p.x * ROW_FOURS + moved(p.y / 4, p.x, LANES_DOWN);
        if (A_ALONG_K)
            [[unroll]] for (uint j = 0; j < 4; j++)
                sa[at + j * ROW_FOURS][p.y % 4] = x[j];
        else
            sa[at] = x;
    }
    [[unroll]] for (uint i = 0; i < B_ITEMS; i++) {
        if (B_FOURS % LANES != 0 && gl_LocalInvocationIndex + i * LANES >= B_FOURS) break;
        uvec2 p = item(i, B_NEXT, COLUMN_FOURS, B_ALONG_K);
#if TUFF_STORED == 1 || TUFF_STORED == 2
        vec4 x = tuff_stored_four(next_b[i]);
#else
        vec4 x = next_b[i];
#endif
        x = whole(tuff_operand(x), k0 + p.x, B_ALONG_K, B_WIDE);
        uint at = buffer_b + p.x * COLUMN_FOURS + moved(p.y / 4, p.x, LANES_ACROSS);
        if (B_ALONG_K)
            [[unroll]] for (uint j = 0; j < 4; j++)
                sb[at + j * COLUMN_FOURS][p.y % 4] = x[j];
        else
            sb[at] = x;
    }
}

uint x, y;
vec4 sum[HIGH][ACROSS / 4]; /* rows 4 * (y + LANES_DOWN * (i / 4)) + i % 4, columns alike */

void multiply(uint k, uint buffer_a, uint buffer_b)
{
    vec4 columns[ACROSS / 4];
    [[unroll]] for (uint j = 0; j < ACROSS / 4; j++)
        columns[j] = sb[buffer_b + k * COLUMN_FOURS + moved(x, k, LANES_ACROSS) + j * LANES_ACROSS];
    [[unroll]] for (uint h = 0; h < HIGH / 4; h++) {
        vec4 rows = sa[buffer_a + k * ROW_FOURS + moved(y, k, LANES_DOWN) + h * LANES_DOWN];
        [[unroll]] for (uint i = 0; i < 4; i++)
            [[unroll]] for (uint j = 0; j < ACROSS / 4; j++)
                sum[4 * h + i][j] += rows[i] * columns[j];
    }
}

/* tuff_end of four neighbours. */
vec4 tuff_end_four(vec4 sums, uint at, uint n)
{
#if TUFF_GROUPED == 0
    sums *= a.factor;
    if (a.addend_kind != TUFF_ADDEND_NONE) sums += tuff_wide(a.addend, a.addend_kind == TUFF_ADDEND_ROW ? n : at);
#endif
    return sums;
}

void main()
{
    if (!tuff_matmul_tile(ROWS, COLUMNS)) return;
    x = gl_LocalInvocationIndex % LANES_ACROSS;
    y = gl_LocalInvocationIndex / LANES_ACROSS;
    [[unroll]] for (uint i = 0; i < HIGH; i++)
        [[unroll]] for (uint j = 0; j < ACROSS / 4; j++)
            sum[i][j] = vec4(0);
#if TUFF_GROUPED == 2
    tuff_find_terms(0, TERMS);
    tuff_find_terms(TERMS, TERMS);
    barrier();
#endif
    uint half_a = 0, half_b = 0, next = tuff_k_begin;
    if (!SHORT) {
        load(next);
        store(next, half_a, half_b);
        barrier();
        next += TERMS;
    }
    for (; next < tuff_k_end + TERMS; next += TERMS) {
        load(next); /* past the end too: a branch would cost more */
#if TUFF_GROUPED == 2
        tuff_find_terms(next + TERMS, TERMS);
#endif
        if (!SHORT)
            [[unroll]] for (uint k = 0; k < TERMS; k++)
                multiply(k, half_a, half_b);
        else if (next != tuff_k_begin)
            [[dont_unroll]] for (uint k = 0; k < TERMS; k++)
                multiply(k, half_a, half_b);
        half_a = A_FOURS - half_a;
        half_b = B_FOURS - half_b;
        store(next, half_a, half_b);
        barrier();
    }
    [[unroll]] for (uint i = 0; i < HIGH; i++) {
        uint m = tuff_row + 4 * (y + LANES_DOWN * (i / 4)) + i % 4;
        if (m >= TUFF_M) continue;
        uint row = tuff_c_row(m);
        [[unroll]] for (uint j = 0; j < ACROSS / 4; j++) {
            uint n = tuff_column + 4 * (x + LANES_ACROSS * j);
            if (C_WIDE) {
                if (n < TUFF_N) tuff_wide_store(a.c, row + n, tuff_end_four(sum[i][j], row + n, n));
            } else
                [[unroll]] for (uint l = 0; l < 4; l++)
                    if (n + l < TUFF_N) tuff_store_c(row, n + l, sum[i][j][l]);
        }
    }
}
