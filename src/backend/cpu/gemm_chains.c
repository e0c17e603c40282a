/* Matrix products of many terms with a small c, such as weights' gradients: each of a few chains goes through
 * some of the terms, with both operands as they lie, a by columns; the chains' sums are added up. */
#include "backend/cpu/gemm.h"

enum {
    MOST_RESULT = 1 << 18, /* elements of a small c */
    WIDE = 512,            /* columns from which b is slow as it lies, unless there are few rows */
    FEW_ROWS = 64,
    MOST_CHAINS = 8,
    CHAINS = 4,      /* at least, where the terms are enough */
    FEW_TERMS = 64,  /* that a cut has at least */
    MOST_TERMS = 256 /* and at most */
};

typedef struct chains {
    const tuff_gemm_problem *g;
    tuff_host *host;
    int64_t terms, cuts, chains; /* of a cut; of all; of cuts */
    float *sums;                 /* of all chains but the first, which is summed in c */
} chains;

static chains begin(const tuff_gemm_problem *g)
{
    chains w = {.g = g};
    int64_t terms = tuff_gemm_cut(g->K, tuff_gemm_parts(g->K, CHAINS));
    if (terms < FEW_TERMS) terms = FEW_TERMS;
    w.terms = terms > MOST_TERMS ? tuff_gemm_cut(g->K, MOST_TERMS) : terms;
    w.cuts = tuff_gemm_parts(g->K, w.terms);
    w.chains = tuff_gemm_least(w.cuts, MOST_CHAINS);
    return w;
}

bool tuff_gemm_by_chains(const tuff_gemm_problem *g)
{
    bool lies = g->ars == 1 && g->acs == g->M && g->M > 1 && g->bcs == 1 && g->brs == g->N &&
                g->b_dtype == TUFF_F32 && g->crs == g->N;
    return lies && g->K > FEW_TERMS && g->M * g->N <= MOST_RESULT && (g->N <= WIDE || g->M <= FEW_ROWS);
}

size_t tuff_gemm_chains_scratch(const tuff_gemm_problem *g)
{
    return (size_t)((begin(g).chains - 1) * g->M * g->N) * sizeof(float);
}

size_t tuff_gemm_chains_most(const tuff_gemm_problem *g)
{
    if (g->ars != 1) return 0;
    return (size_t)((MOST_CHAINS - 1) * tuff_gemm_least(g->M * g->N, MOST_RESULT)) * sizeof(float);
}

static float *sum_of(const chains *w, int64_t chain)
{
    return chain == 0 ? w->g->c : w->sums + (chain - 1) * w->g->M * w->g->N;
}

static void chain_range(int64_t begin, int64_t end, void *context)
{
    const chains *w = context;
    const tuff_gemm_problem *g = w->g;
    const float *b = g->b;
    tuff_gemm_memory *own = tuff_host_take(w->host);
    tuff_product_use use;
    if (own) tuff_product_begin(&use, tuff_host_products(w->host), own->scratch);
    for (int64_t chain = begin; chain < end; chain++) {
        int64_t first = w->cuts * chain / w->chains, last = w->cuts * (chain + 1) / w->chains;
        for (int64_t cut = first; cut < last; cut++) {
            int64_t k = cut * w->terms;
            tuff_tile_shape shape = {g->M, g->N,  tuff_gemm_least(w->terms, g->K - k),
                                     true, false, cut > first || (chain == 0 && g->add)};
            if (own)
                tuff_product_tile(&use, &shape, g->a + k * g->M, b + k * g->N, sum_of(w, chain));
            else
                tuff_tile_plain(&shape, g->a + k * g->M, 1, g->M, b + k * g->N, sum_of(w, chain));
        }
    }
    if (own) tuff_product_end(&use);
    tuff_host_give(w->host, own);
}

static TUFF_KERNEL void add_up(float *restrict c, const float *restrict sums, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        c[i] += sums[i];
}

static void add_range(int64_t begin, int64_t end, void *context)
{
    const chains *w = context;
    for (int64_t i = begin; i < end; i++)
        for (int64_t chain = 1; chain < w->chains; chain++)
            add_up(w->g->c + i * w->g->N, sum_of(w, chain) + i * w->g->N, w->g->N);
}

void tuff_gemm_chains(const tuff_gemm_problem *g, float *scratch)
{
    chains w = begin(g);
    w.host = tuff_host_current();
    w.sums = scratch;
    tuff_parallel(w.chains, 1 + TUFF_GEMM_SMALL_WORK * w.chains / (g->M * g->N * g->K), chain_range, &w);
    tuff_parallel(g->M, 1 + (1 << 16) / (g->N * w.chains), add_range, &w);
}
