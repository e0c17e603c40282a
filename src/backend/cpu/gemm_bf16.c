/* Matrix products of operands that are rounded to bf16, by AMX. The smaller operand is rounded and packed by
 * all threads together, a block at a time; each thread does so with what it needs of the larger one, a panel
 * at a time, on its stack: nothing here fails for want of memory. Where blocks begin and end follows from the
 * product's shape alone, and how an element's terms are cut from their number alone. */
#include <string.h>

#include "backend/cpu/amx.h"
#include "backend/cpu/gemm.h"
#include "base/half.h"

enum {
    SIDE = TUFF_AMX_SIDE,
    TERMS = TUFF_AMX_TERMS,
    BLOCK = TUFF_AMX_BLOCK,
    MOST_TERMS = 512,     /* at a time: a panel of so many stays in the first cache */
    SHARED = 1536,        /* rows or columns of the smaller operand at a time: they stay in the second */
    GROUP = 4,            /* panels of it that are worth a thread, if they are long */
    PIECE = 128,          /* terms that are made f32 at a time */
    SMALL_COPY = 1 << 14, /* elements that are worth a thread */
    SMALL_WORK = 8 * TUFF_GEMM_SMALL_WORK /* multiply-adds that are: the unit does more in that time */
};

typedef struct work {
    const tuff_gemm_problem *g;
    bool a_shared;      /* a is the smaller operand; else b */
    int64_t kt, k0, nk; /* terms at a time; now: nk from k0 on */
    int64_t begin, end; /* of the shared operand's rows or columns, now */
    int64_t groups;     /* of its panels, now */
    uint16_t *packed;
} work;

static int64_t blocks_of(int64_t terms)
{
    return tuff_gemm_parts(terms, TERMS);
}

static int64_t cut(int64_t K)
{
    return tuff_gemm_parts(tuff_gemm_parts(K, tuff_gemm_parts(K, MOST_TERMS)), TERMS) * TERMS;
}

static int64_t shared_count(const work *w)
{
    return w->a_shared ? w->g->M : w->g->N;
}

static int64_t late_count(const work *w)
{
    return w->a_shared ? w->g->N : w->g->M;
}

static work begin_work(const tuff_gemm_problem *g)
{
    return (work){
        .g = g, .a_shared = g->M <= g->N, .kt = tuff_gemm_least(cut(g->K), blocks_of(g->K) * TERMS)};
}

size_t tuff_gemm_bf16_scratch(const tuff_gemm_problem *g)
{
    const work w = begin_work(g);
    return (size_t)(tuff_gemm_parts(tuff_gemm_least(shared_count(&w), SHARED), SIDE) * SIDE * w.kt) *
           sizeof(uint16_t);
}

size_t tuff_gemm_bf16_most(const tuff_gemm_problem *g)
{
    const int64_t panels = tuff_gemm_parts(tuff_gemm_least(tuff_gemm_least(g->M, g->N), SHARED), SIDE);
    return (size_t)(panels * SIDE * tuff_gemm_least(MOST_TERMS, blocks_of(g->K) * TERMS)) * sizeof(uint16_t);
}

/* ---- packing ---- */

/* 16 rows of a tile of a, of 32 terms each. */
static TUFF_KERNEL void round_rows(const float *restrict x, int64_t ldx, int64_t rows, uint16_t *restrict out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int p = 0; p < TERMS; p++)
            out[i * TERMS + p] = tuff_f32_to_bf16(x[i * ldx + p]);
}

/* 16 pairs of terms of a tile of b, of 16 columns each. */
static TUFF_KERNEL void round_pairs(const float *restrict x, int64_t ldx, uint16_t *restrict out)
{
    for (int p = 0; p < 16; p++)
        for (int j = 0; j < 16; j++) {
            out[32 * p + 2 * j] = tuff_f32_to_bf16(x[2 * p * ldx + j]);
            out[32 * p + 2 * j + 1] = tuff_f32_to_bf16(x[(2 * p + 1) * ldx + j]);
        }
}

/* Whole tiles of what lies as f32 by rows are read in place; else a piece becomes f32 first, with zeros
 * beyond its end. */
static bool lies(const tuff_part_of *from)
{
    return from->dtype == TUFF_F32 && from->cs == 1;
}

static void pack_a(const tuff_part_of *from, int64_t rows, int64_t terms, uint16_t *out)
{
    float piece[SIDE * PIECE];
    for (int64_t p = 0; p < terms; p += PIECE) {
        const int64_t n = tuff_gemm_least(PIECE, terms - p);
        const bool whole = rows == SIDE && n % TERMS == 0;
        const float *x = piece;
        int64_t ldx = PIECE;
        if (whole && lies(from)) {
            x = (const float *)from->x + from->at + p;
            ldx = from->rs;
        } else {
            tuff_part_of part = *from;
            part.at += p * from->cs;
            if (!whole) memset(piece, 0, sizeof piece);
            tuff_pack(&part, rows, n, piece, PIECE);
        }
        for (int64_t k = 0; k < n; k += TERMS, out += BLOCK)
            round_rows(x + k, ldx, SIDE, out);
    }
}

static void pack_b(const tuff_part_of *from, int64_t terms, int64_t columns, uint16_t *out)
{
    float piece[PIECE * SIDE];
    for (int64_t p = 0; p < terms; p += PIECE) {
        const int64_t n = tuff_gemm_least(PIECE, terms - p);
        const bool whole = columns == SIDE && n % TERMS == 0;
        const float *x = piece;
        int64_t ldx = SIDE;
        if (whole && lies(from)) {
            x = (const float *)from->x + from->at + p * from->rs;
            ldx = from->rs;
        } else {
            tuff_part_of part = *from;
            part.at += p * from->rs;
            if (!whole) memset(piece, 0, sizeof piece);
            tuff_pack(&part, n, columns, piece, SIDE);
        }
        for (int64_t k = 0; k < n; k += TERMS)
            for (int64_t j = 0; j < SIDE; j += 16, out += BLOCK / 2)
                round_pairs(x + k * ldx + j, ldx, out);
    }
}

/* Rows of a, or columns of b, from `first` on. */
static void pack(const work *w, bool a, int64_t first, int64_t count, uint16_t *out)
{
    const tuff_gemm_problem *g = w->g;
    if (a) {
        const tuff_part_of rows = {g->a, TUFF_F32, first * g->ars + w->k0 * g->acs, g->ars, g->acs, TUFF_F32};
        pack_a(&rows, count, w->nk, out);
    } else {
        const tuff_part_of columns = {g->b,   g->b_dtype, first * g->bcs + w->k0 * g->brs,
                                      g->brs, g->bcs,     TUFF_F32};
        pack_b(&columns, w->nk, count, out);
    }
}

static void pack_range(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    for (int64_t i = begin; i < end; i++) {
        const int64_t first = w->begin + i * SIDE;
        pack(w, w->a_shared, first, tuff_gemm_least(SIDE, w->end - first), w->packed + i * SIDE * w->kt);
    }
}

/* ---- products ---- */

static void multiply(const work *w, int64_t shared, int64_t late, const uint16_t *packed_late)
{
    const tuff_gemm_problem *g = w->g;
    const uint16_t *packed = w->packed + (shared - w->begin) * w->kt;
    const int64_t row = w->a_shared ? shared : late, column = w->a_shared ? late : shared;
    tuff_amx_multiply(w->a_shared ? packed : packed_late, w->a_shared ? packed_late : packed,
                      blocks_of(w->nk), g->c + row * g->crs + column, g->crs,
                      tuff_gemm_least(SIDE, g->M - row), tuff_gemm_least(SIDE, g->N - column),
                      w->k0 > 0 || g->add);
}

/* Items are groups of the shared operand's panels, by panels of the other. */
static void panel_range(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    _Alignas(64) uint16_t packed[SIDE * MOST_TERMS];
    int64_t held = -1; /* the panel that is packed */
    tuff_amx_begin();
    for (int64_t t = begin; t < end; t++) {
        const int64_t late = t / w->groups * SIDE, first = w->begin + t % w->groups * GROUP * SIDE;
        const int64_t last = tuff_gemm_least(first + GROUP * SIDE, w->end);
        if (held != late)
            pack(w, !w->a_shared, held = late, tuff_gemm_least(SIDE, late_count(w) - late), packed);
        for (int64_t shared = first; shared < last; shared += SIDE)
            multiply(w, shared, late, packed);
    }
    tuff_amx_end();
}

static void run_block(work *w)
{
    const int64_t panels = tuff_gemm_parts(w->end - w->begin, SIDE);
    w->groups = tuff_gemm_parts(panels, GROUP);
    tuff_parallel(panels, 1 + SMALL_COPY / (SIDE * w->nk), pack_range, w);
    tuff_parallel(w->groups * tuff_gemm_parts(late_count(w), SIDE),
                  1 + SMALL_WORK / (GROUP * SIDE * SIDE * w->nk), panel_range, w);
}

void tuff_gemm_bf16(const tuff_gemm_problem *g, void *scratch)
{
    work w = begin_work(g);
    w.packed = scratch;
    for (w.begin = 0; w.begin < shared_count(&w); w.begin = w.end) {
        w.end = tuff_gemm_least(w.begin + SHARED, shared_count(&w));
        for (w.k0 = 0; w.k0 < g->K; w.k0 += w.kt) {
            w.nk = tuff_gemm_least(w.kt, g->K - w.k0);
            run_block(&w);
        }
    }
}
