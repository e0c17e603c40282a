/* Matrix products on the host: with weights by the block tuff_dots, where rows may be rounded; else few rows
 * by tuff_gemv, all others by tuff_gemm. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ir/dtype.h"
#include "ops/matmul.h"
#include "ops/support.h"
#include "shaders/args/matmul.h"

enum {
    FEW_ROWS = TUFF_GEMV_ROWS, /* up to here a product reads its weight once and is bound by memory */
    COLUMNS = TUFF_MATMUL_FEW_COLUMNS,
    SMALL_PRODUCT = 1 << 20, /* multiply-adds below which a batch is spread over threads product by product */
    MOST_LANES = 32,
    MOST_LANE_BYTES = 16 << 20
};

typedef struct product {
    const tuff_matmul_problem *p;
    const float *a;
    const void *b;
    float *c;
    void *scratch;
    bool add; /* to c */
} product;

static const void *element(const void *base, tuff_dtype dtype, int64_t index)
{
    return (const char *)base + tuff_dtype_bytes(dtype, index); /* of blocks, whole ones */
}

static tuff_gemm_problem gemm_of(const tuff_matmul_problem *p, const float *a, const void *b, float *c)
{
    return (tuff_gemm_problem){.M = p->M,
                               .N = p->N,
                               .K = p->K,
                               .a = a,
                               .ars = p->ars,
                               .acs = p->acs,
                               .b = b,
                               .b_dtype = p->b_dtype,
                               .brs = p->brs,
                               .bcs = p->bcs,
                               .c = c,
                               .crs = p->N,
                               .operands = p->operands};
}

void tuff_matmul_few(const tuff_gemm_problem *g, int64_t first, int64_t columns)
{
    const void *b = element(g->b, g->b_dtype, first * g->bcs);
    if (tuff_dtype_is_block(g->b_dtype)) {
        tuff_gemv_blocks(g->M, columns, g->K, g->a, g->ars, b, g->b_dtype, g->bcs, g->c + first, g->crs);
        return;
    }
    for (int64_t m = 0; m < g->M; m++)
        tuff_gemv(columns, g->K, g->a + m * g->ars, b, g->b_dtype, g->bcs, g->c + m * g->crs + first);
}

static void few_range(int64_t begin, int64_t end, void *context)
{
    const tuff_gemm_problem *g = context;
    for (int64_t block = begin; block < end; block++) {
        int64_t n = block * COLUMNS;
        tuff_matmul_few(g, n, g->N - n < COLUMNS ? g->N - n : COLUMNS);
    }
}

/* Many rows are worth expanding the weight for. Rounded or not, which of both must not depend on their number
 * where they are to be invariant. */
static bool rounds(const tuff_matmul_problem *p)
{
    return p->quantized && (p->invariant || p->M <= TUFF_MATMUL_ROUNDED_ROWS);
}

/* Few rows of a with a weight as it lies: bound by memory. */
static bool streams(const tuff_matmul_problem *p)
{
    return !p->invariant && p->M <= FEW_ROWS && p->brs == 1 && p->acs == 1 && p->operands == TUFF_F32;
}

static void multiply(const product *x)
{
    const tuff_matmul_problem *p = x->p;
    if (rounds(p)) {
        const tuff_dots_problem dots = {p->M, p->N, p->K, x->a, p->ars, x->b, p->b_dtype, p->bcs, x->c, p->N};
        tuff_dots(&dots, x->scratch);
        return;
    }
    tuff_gemm_problem gemm = gemm_of(p, x->a, x->b, x->c);
    gemm.add = x->add;
    if (streams(p))
        tuff_parallel((p->N + COLUMNS - 1) / COLUMNS, 1, few_range, &gemm);
    else
        tuff_gemm(&gemm, x->scratch);
}

static void multiply_batch(const product *x, int64_t begin, int64_t end, char *scratch)
{
    const tuff_matmul_problem *p = x->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t outer = i / p->batch[1], inner = i % p->batch[1];
        product one = *x;
        one.a += outer * p->a_batch[0] + inner * p->a_batch[1];
        one.b = element(x->b, p->b_dtype, outer * p->b_batch[0] + inner * p->b_batch[1]);
        one.c += i * p->M * p->N;
        one.scratch = scratch;
        multiply(&one);
    }
}

static size_t scratch_of_one(const tuff_matmul_problem *p)
{
    tuff_gemm_problem gemm = gemm_of(p, NULL, NULL, NULL);
    if (rounds(p)) return tuff_dots_scratch(p->b_dtype, p->M, p->K);
    return streams(p) ? 0 : (tuff_gemm_scratch(&gemm) + 63) / 64 * 64;
}

/* Small products of a batch run side by side in so many lanes, each with memory of its own; 1: one product
 * after the other, each by all threads. */
static int64_t lanes(const tuff_matmul_problem *p)
{
    int64_t count = p->batch[0] * p->batch[1];
    if (p->M * p->N * p->K >= SMALL_PRODUCT) return 1;
    size_t most = MOST_LANE_BYTES / (scratch_of_one(p) + 1);
    if (most > MOST_LANES) most = MOST_LANES;
    if (most < 1) most = 1;
    return count < (int64_t)most ? count : (int64_t)most;
}

typedef struct batch {
    const product *x;
    int64_t count, lanes;
    size_t lane_bytes;
} batch;

static void lane_range(int64_t begin, int64_t end, void *context)
{
    const batch *w = context;
    for (int64_t lane = begin; lane < end; lane++)
        multiply_batch(w->x, w->count * lane / w->lanes, w->count * (lane + 1) / w->lanes,
                       (char *)w->x->scratch + (size_t)lane * w->lane_bytes);
}

/* ---- the end */

static int64_t count_of(const tuff_matmul_problem *p)
{
    return p->batch[0] * p->batch[1] * p->M * p->N;
}

static size_t own_scratch(const tuff_matmul_problem *p)
{
    return (scratch_of_one(p) * (size_t)lanes(p) + 63) / 64 * 64;
}

/* The sums are added to the addend as they are made; else they are made first, where the result will be, or,
 * as that may be the addend, in scratch memory. */
static bool adds(const tuff_matmul_problem *p, const tuff_matmul_end *end)
{
    return end->kind == TUFF_ADDEND_WHOLE && end->factor == 1 && !rounds(p) && !streams(p);
}

static bool apart(const tuff_matmul_problem *p, const tuff_matmul_end *end)
{
    return end->kind == TUFF_ADDEND_WHOLE && !adds(p, end);
}

typedef struct ending {
    tuff_matmul_end end;
    const float *sums, *addend;
    float *c;
    int64_t N;
} ending;

TUFF_KERNEL static void end_row(float *c, const float *sums, const float *addend, float factor, int64_t n)
{
    if (addend)
        for (int64_t i = 0; i < n; i++)
            c[i] = sums[i] * factor + addend[i];
    else
        for (int64_t i = 0; i < n; i++)
            c[i] = sums[i] * factor;
}

static void end_range(int64_t begin, int64_t end, void *context)
{
    const ending *e = context;
    for (int64_t row = begin; row < end; row++) {
        const int64_t at = row * e->N;
        const float *addend = e->addend ? e->addend + (e->end.kind == TUFF_ADDEND_ROW ? 0 : at) : NULL;
        end_row(e->c + at, e->sums + at, addend, e->end.factor, e->N);
    }
}

static void copy_range(int64_t begin, int64_t end, void *context)
{
    const ending *e = context;
    memcpy(e->c + begin * e->N, e->addend + begin * e->N, (size_t)((end - begin) * e->N) * sizeof(float));
}

void tuff_matmul_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    ending e = {tuff_matmul_end_of(node), out[0], in[2], out[0], p.N};
    const int64_t rows = count_of(&p) / p.N;
    product x = {&p, in[0], in[1], out[0], scratch, adds(&p, &e.end)};
    if (apart(&p, &e.end)) e.sums = x.c = (float *)(void *)((char *)scratch + own_scratch(&p));
    if (x.add && e.addend != e.c) tuff_parallel(rows, tuff_grain(p.N), copy_range, &e);
    batch w = {&x, p.batch[0] * p.batch[1], lanes(&p), scratch_of_one(&p)};
    if (w.lanes > 1)
        tuff_parallel(w.lanes, 1, lane_range, &w);
    else
        multiply_batch(&x, 0, w.count, scratch);
    if (!x.add && (e.addend || e.end.factor != 1)) tuff_parallel(rows, tuff_grain(p.N), end_range, &e);
}

size_t tuff_matmul_cpu_scratch(const tuff_node *node)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    const tuff_matmul_end end = tuff_matmul_end_of(node);
    return own_scratch(&p) + (apart(&p, &end) ? (size_t)count_of(&p) * sizeof(float) : 0);
}
