/* Grouped products on the host: rows are gathered in the order of their groups, as many at a time as the
 * memory for them holds, and each group's, which are neighbours then, multiplied by the kernels that
 * tuff_matmul has. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ir/dtype.h"
#include "ops/grouped.h"
#include "ops/matmul.h"
#include "ops/support.h"

enum {
    FEW = TUFF_GEMV_ROWS,
    COLUMNS = TUFF_MATMUL_FEW_COLUMNS,
    /* Zeros fill a group's rows up to a multiple: products are made for one shape each, and kept. */
    ROUND_ROWS = 16,
    ROUND_TERMS = 64,
    MOST_FLOATS = 1 << 23, /* gathered at a time */
    LEAST_ROWS = 256,
    MOST_ROWS = 4096
};

/* Rows of one group, side by side. */
typedef struct piece {
    int64_t group, at, rows; /* from gathered row `at` on, with the zeros that fill them up */
    bool first;              /* it begins its group */
} piece;

/* A walk through the groups, some gathered rows at a time. */
typedef struct walk {
    const int32_t *starts, *rows; /* the order */
    int64_t groups, places, capacity, round;
    bool streams;        /* groups of few rows are not filled up */
    int64_t group, next; /* where it goes on */
    int64_t n, n_few, used;
    piece *pieces, *few; /* now: [n], and the few of them [n_few] */
    int32_t *source;     /* [used]: the place of a gathered row, -1: zeros */
} walk;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t up(int64_t n, int64_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Gathered rows at a time, where each takes so many floats. */
static int64_t capacity_of(int64_t places, int64_t groups, int64_t floats, int64_t round)
{
    int64_t all = up(places, round) + least(places, groups) * round;
    int64_t rows = least(most(MOST_FLOATS / floats, LEAST_ROWS), MOST_ROWS);
    return least(all, rows / round * round);
}

static size_t walk_bytes(int64_t capacity)
{
    return aligned((size_t)capacity * sizeof(piece)) * 2 + aligned((size_t)capacity * sizeof(int32_t));
}

static walk begin_walk(const int32_t *order, int64_t groups, int64_t places, int64_t capacity, int64_t round,
                       void *scratch)
{
    const size_t pieces = aligned((size_t)capacity * sizeof(piece));
    char *memory = scratch;
    return (walk){.starts = order,
                  .rows = order + groups + 1,
                  .groups = groups,
                  .places = places,
                  .capacity = capacity,
                  .round = round,
                  .pieces = (piece *)(void *)memory,
                  .few = (piece *)(void *)(memory + pieces),
                  .source = (int32_t *)(void *)(memory + 2 * pieces)};
}

/* Puts `count` places of the group, and zeros up to `rows`, behind what is gathered. */
static void put(walk *w, int64_t count, int64_t rows, bool few)
{
    const piece p = {w->group, w->used, rows, w->next == w->starts[w->group]};
    for (int64_t i = 0; i < rows; i++)
        w->source[w->used + i] = i < count ? w->rows[w->next + i] : -1;
    if (few)
        w->few[w->n_few++] = p;
    else
        w->pieces[w->n++] = p;
    w->used += rows;
    w->next += count;
}

/* The next gathered rows; false: there are no more. */
static bool next_rows(walk *w)
{
    w->n = w->n_few = w->used = 0;
    while (w->group < w->groups) {
        int64_t left = w->starts[w->group + 1] - w->next, room = w->capacity - w->used;
        bool few = w->streams && w->starts[w->group + 1] - w->starts[w->group] <= FEW;
        if (left == 0) {
            w->group++;
            continue;
        }
        if (!few) room = room / w->round * w->round;
        if (room == 0 || (few && left > room)) break;
        int64_t count = least(left, room);
        put(w, count, few ? count : up(count, w->round), few);
    }
    return w->used > 0;
}

/* Rows between an operand or a result and where they are gathered. */
typedef struct move {
    const walk *w;
    const float *from;
    float *to;
    int64_t columns, repeat;
} move;

static void gather_range(int64_t begin, int64_t end, void *context)
{
    const move *m = context;
    const size_t bytes = (size_t)m->columns * sizeof(float);
    for (int64_t i = begin; i < end; i++) {
        int64_t place = m->w->source[i];
        if (place < 0)
            memset(m->to + i * m->columns, 0, bytes);
        else
            memcpy(m->to + i * m->columns, m->from + place / m->repeat * m->columns, bytes);
    }
}

static void gather(const walk *w, const float *x, int64_t columns, int64_t repeat, float *to)
{
    move m = {w, x, to, columns, repeat};
    tuff_parallel(w->used, tuff_grain(columns), gather_range, &m);
}

static void scatter_range(int64_t begin, int64_t end, void *context)
{
    const move *m = context;
    for (int64_t i = begin; i < end; i++)
        if (m->w->source[i] >= 0)
            memcpy(m->to + m->w->source[i] * m->columns, m->from + i * m->columns,
                   (size_t)m->columns * sizeof(float));
}

/* ---- matmul_grouped ---- */

typedef struct product {
    const tuff_grouped_problem *p;
    walk w;
    const char *b;
    float *a, *c; /* gathered */
} product;

static tuff_gemm_problem gemm_of(const tuff_grouped_problem *p, int64_t rows)
{
    return (tuff_gemm_problem){.M = rows,
                               .N = p->N,
                               .K = p->K,
                               .ars = p->K,
                               .acs = 1,
                               .b_dtype = p->b_dtype,
                               .brs = p->brs,
                               .bcs = p->bcs,
                               .crs = p->N,
                               .operands = p->operands};
}

static tuff_gemm_problem gemm_of_piece(const product *x, const piece *at)
{
    const tuff_grouped_problem *p = x->p;
    tuff_gemm_problem g = gemm_of(p, at->rows);
    g.a = x->a + at->at * p->K;
    g.b = x->b + tuff_dtype_bytes(p->b_dtype, at->group * p->b_group);
    g.c = x->c + at->at * p->N;
    return g;
}

/* Blocks of columns of the pieces of few rows. */
static void few_range(int64_t begin, int64_t end, void *context)
{
    const product *x = context;
    const int64_t N = x->p->N, blocks = (N + COLUMNS - 1) / COLUMNS;
    for (int64_t item = begin; item < end; item++) {
        const tuff_gemm_problem g = gemm_of_piece(x, &x->w.few[item / blocks]);
        int64_t n = item % blocks * COLUMNS;
        tuff_matmul_few(&g, n, least(N - n, COLUMNS));
    }
}

/* The places of no group, which come last. */
static void clear_range(int64_t begin, int64_t end, void *context)
{
    const move *m = context;
    for (int64_t i = begin; i < end; i++)
        memset(m->to + (-1 - m->w->rows[i]) * m->columns, 0, (size_t)m->columns * sizeof(float));
}

static int64_t capacity(const tuff_grouped_problem *p)
{
    return capacity_of(p->places, p->groups, p->K + p->N, ROUND_ROWS);
}

/* Whether rows are rounded. It depends on how many there are for a group on average, not on how many a group
 * has, so that it is known before. */
static bool rounds(const tuff_grouped_problem *p)
{
    return p->quantized && (p->invariant || p->places <= TUFF_MATMUL_ROUNDED_ROWS * p->groups);
}

/* By integers: no row is gathered but the rounded ones. */
static void multiply_rounded(const tuff_grouped_problem *p, const void *const *in, float *out, void *scratch)
{
    const int32_t *starts = in[2];
    const tuff_dots_groups dots = {
        p->groups, p->places, p->repeat,  p->N,   p->K,       starts, starts + p->groups + 1,
        in[0],     in[1],     p->b_dtype, p->bcs, p->b_group, out};
    tuff_dots_grouped(&dots, scratch);
}

/* Else b's elements are expanded. */
static void multiply_expanded(const tuff_grouped_problem *p, const void *const *in, float *out, void *scratch)
{
    const int64_t rows = capacity(p), blocks = (p->N + COLUMNS - 1) / COLUMNS;
    char *memory = scratch;
    product x = {.p = p, .b = in[1], .w = begin_walk(in[2], p->groups, p->places, rows, ROUND_ROWS, memory)};
    memory += walk_bytes(rows);
    x.a = (float *)(void *)memory;
    memory += aligned((size_t)(rows * p->K) * sizeof(float));
    x.c = (float *)(void *)memory;
    memory += aligned((size_t)(rows * p->N) * sizeof(float));
    x.w.streams = !p->invariant && p->brs == 1 && p->operands == TUFF_F32;

    move back = {&x.w, x.c, out, p->N, 1};
    while (next_rows(&x.w)) {
        gather(&x.w, in[0], p->K, p->repeat, x.a);
        tuff_parallel(x.w.n_few * blocks, 1, few_range, &x);
        for (int64_t i = 0; i < x.w.n; i++) {
            const tuff_gemm_problem g = gemm_of_piece(&x, &x.w.pieces[i]);
            tuff_gemm(&g, memory);
        }
        tuff_parallel(x.w.used, tuff_grain(p->N), scatter_range, &back);
    }
}

void tuff_matmul_grouped_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    const int32_t *starts = in[2];
    const int64_t last = starts[p.groups];
    const walk rest = {.rows = starts + p.groups + 1 + last};
    move clear = {&rest, NULL, out[0], p.N, 1};
    if (rounds(&p))
        multiply_rounded(&p, in, out[0], scratch);
    else
        multiply_expanded(&p, in, out[0], scratch);
    tuff_parallel(p.places - last, tuff_grain(p.N), clear_range, &clear);
}

size_t tuff_matmul_grouped_scratch(const tuff_node *node)
{
    const tuff_grouped_problem p = tuff_grouped_problem_of(node);
    if (rounds(&p)) return tuff_dots_grouped_scratch(p.b_dtype, p.places, p.K);
    const int64_t rows = capacity(&p);
    const tuff_gemm_problem g = gemm_of(&p, rows);
    return walk_bytes(rows) + aligned((size_t)(rows * p.K) * sizeof(float)) +
           aligned((size_t)(rows * p.N) * sizeof(float)) + tuff_gemm_scratch_most(&g);
}

/* ---- matmul_grouped_weights ---- */

static tuff_gemm_problem gemm_of_weights(const tuff_grouped_weights *p, int64_t terms)
{
    return (tuff_gemm_problem){.M = p->M,
                               .N = p->N,
                               .K = terms,
                               .ars = 1,
                               .acs = p->M,
                               .brs = p->N,
                               .bcs = 1,
                               .crs = p->N,
                               .operands = p->operands};
}

static int64_t weights_capacity(const tuff_grouped_weights *p)
{
    return capacity_of(p->places, p->groups, p->M + p->N, ROUND_TERMS);
}

typedef struct clear {
    const int32_t *starts;
    float *out;
    int64_t size; /* of a matrix */
} clear;

static void clear_groups(int64_t begin, int64_t end, void *context)
{
    const clear *c = context;
    for (int64_t e = begin; e < end; e++)
        if (c->starts[e] == c->starts[e + 1])
            memset(c->out + e * c->size, 0, (size_t)c->size * sizeof(float));
}

void tuff_matmul_grouped_weights_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                     void *scratch)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    const int64_t rows = weights_capacity(&p);
    char *memory = scratch;
    walk w = begin_walk(in[2], p.groups, p.places, rows, ROUND_TERMS, memory);
    memory += walk_bytes(rows);
    float *x = (float *)(void *)memory;
    memory += aligned((size_t)(rows * p.M) * sizeof(float));
    float *y = (float *)(void *)memory;
    memory += aligned((size_t)(rows * p.N) * sizeof(float));
    while (next_rows(&w)) {
        gather(&w, in[0], p.M, p.repeat_x, x);
        gather(&w, in[1], p.N, p.repeat_y, y);
        for (int64_t i = 0; i < w.n; i++) {
            const piece *at = &w.pieces[i];
            tuff_gemm_problem g = gemm_of_weights(&p, at->rows);
            g.a = x + at->at * p.M;
            g.b = y + at->at * p.N;
            g.c = (float *)out[0] + at->group * p.M * p.N;
            g.add = !at->first;
            tuff_gemm(&g, memory);
        }
    }
    clear c = {w.starts, out[0], p.M * p.N};
    tuff_parallel(p.groups, tuff_grain(c.size), clear_groups, &c);
}

size_t tuff_matmul_grouped_weights_scratch(const tuff_node *node)
{
    const tuff_grouped_weights p = tuff_grouped_weights_of(node);
    const int64_t rows = weights_capacity(&p);
    const tuff_gemm_problem g = gemm_of_weights(&p, rows);
    return walk_bytes(rows) + aligned((size_t)(rows * p.M) * sizeof(float)) +
           aligned((size_t)(rows * p.N) * sizeof(float)) + tuff_gemm_scratch_most(&g);
}
