/* Matrix products where oneDNN serves strips: panels of rows, written straight into c. All threads together
 * pack b, once, unless it is as narrow as a tile; then each takes panels of a, which lie as they should or
 * are packed just before use. */
#include "backend/cpu/gemm.h"

enum {
    FEW_ROWS = 64,         /* fewer are left to tiles, which share out b */
    NARROW = 192,          /* columns of a b that is as fast as it lies */
    MOST_PACKED = 1 << 19, /* elements of b that are packed: a larger one would not stay in a cache */
    SMALL_COPY = 1 << 14   /* elements that are worth a thread */
};

typedef struct panels {
    const tuff_gemm_problem *g;
    tuff_host *host;
    int64_t rows;        /* of a panel */
    int64_t kt, k0, nk;  /* terms at a time; now: nk from k0 on */
    bool a_lies, b_lies; /* as it should */
    float *packed;       /* b */
} panels;

static panels begin(const tuff_gemm_problem *g)
{
    panels w = {.g = g, .kt = tuff_gemm_terms(g, true)};
    w.a_lies = g->acs == 1 && g->ars == g->K && w.kt == g->K;
    w.b_lies = g->bcs == 1 && g->brs == g->N && g->b_dtype == TUFF_F32 && g->N <= NARROW;
    w.rows = g->M >= 1024 ? 128 : g->M >= 256 ? 64 : 32;
    if (!w.a_lies) w.rows = tuff_gemm_least(w.rows, TUFF_GEMM_LATE / w.kt);
    return w;
}

static int64_t packed_size(const panels *w)
{
    return w->b_lies ? 0 : tuff_strips(w->g->N) * TUFF_STRIP * tuff_strip_rows(w->kt);
}

bool tuff_gemm_by_panels(const tuff_gemm_problem *g)
{
    panels w = begin(g);
    return g->M >= FEW_ROWS && g->crs == g->N && packed_size(&w) <= MOST_PACKED;
}

size_t tuff_gemm_panels_scratch(const tuff_gemm_problem *g)
{
    panels w = begin(g);
    return (size_t)packed_size(&w) * sizeof(float);
}

size_t tuff_gemm_panels_most(const tuff_gemm_problem *g)
{
    int64_t whole = tuff_strips(g->N) * TUFF_STRIP * tuff_strip_rows(g->K);
    return (size_t)tuff_gemm_least(whole, MOST_PACKED) * sizeof(float);
}

static void pack_range(int64_t begin, int64_t end, void *context)
{
    const panels *w = context;
    const tuff_gemm_problem *g = w->g;
    int64_t first = begin * TUFF_STRIP, count = tuff_gemm_least(end * TUFF_STRIP, g->N) - first;
    const tuff_part_of b = {g->b, g->b_dtype, first * g->bcs + w->k0 * g->brs, g->brs, g->bcs, TUFF_F32};
    tuff_pack_strips(&b, w->nk, count, w->packed + first * tuff_strip_rows(w->nk));
}

static void panel_range(int64_t begin, int64_t end, void *context)
{
    const panels *w = context;
    const tuff_gemm_problem *g = w->g;
    const float *b = w->b_lies ? (const float *)g->b + w->k0 * g->N : w->packed;
    tuff_gemm_memory *own = tuff_host_take(w->host);
    tuff_product_use use;
    if (own) tuff_product_begin(&use, tuff_host_products(w->host), own->scratch);
    for (int64_t t = begin; t < end; t++) {
        int64_t row = t * w->rows;
        tuff_tile_shape shape = {
            tuff_gemm_least(w->rows, g->M - row), g->N, w->nk, false, !w->b_lies, w->k0 > 0 || g->add};
        const float *a = g->a + row * g->ars + w->k0 * g->acs;
        const tuff_part_of part = {a, TUFF_F32, 0, g->ars, g->acs, TUFF_F32};
        if (own && !w->a_lies) tuff_pack(&part, shape.m, shape.k, own->late, shape.k);
        if (own)
            tuff_product_tile(&use, &shape, w->a_lies ? a : own->late, b, g->c + row * g->N);
        else
            tuff_tile_plain(&shape, a, g->ars, g->acs, b, g->c + row * g->N);
    }
    if (own) tuff_product_end(&use);
    tuff_host_give(w->host, own);
}

void tuff_gemm_panels(const tuff_gemm_problem *g, float *scratch)
{
    panels w = begin(g);
    w.host = tuff_host_current();
    w.packed = scratch;
    for (w.k0 = 0; w.k0 < g->K; w.k0 += w.kt) {
        w.nk = tuff_gemm_least(w.kt, g->K - w.k0);
        if (!w.b_lies) tuff_parallel(tuff_strips(g->N), 1 + SMALL_COPY / (TUFF_STRIP * w.nk), pack_range, &w);
        tuff_parallel(tuff_gemm_parts(g->M, w.rows), 1 + TUFF_GEMM_SMALL_WORK / (w.rows * g->N * w.nk),
                      panel_range, &w);
    }
}
