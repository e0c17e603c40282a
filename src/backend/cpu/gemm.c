/* Matrix products: which way each is cut up, and the way that serves all, tiles. The smaller of the two
 * operands is packed by all threads together, a block at a time; each thread packs what it needs of the
 * larger one just before use, while that stays in its cache. Where tiles begin and end follows from the
 * product's shape alone, so results do not depend on the number of threads. */
#include <assert.h>
#include <stddef.h>

#include "backend/cpu/amx.h"
#include "backend/cpu/gemm.h"

enum {
    LOOP_TERMS = 768,     /* at a time for our own loop: a tile of each operand fits the second cache */
    MOST_TERMS = 1024,    /* for oneDNN */
    BLOCK = 1536,         /* rows or columns of the smaller operand at a time: a multiple of all tiles */
    MANY_TILES = 32,      /* enough for many threads */
    SMALL_COPY = 1 << 14, /* elements that are worth a thread */
    STACK = 1 << 13       /* elements that a thread packs at a time without memory of its own */
};

static int64_t least(int64_t a, int64_t b)
{
    return tuff_gemm_least(a, b);
}

static int64_t parts(int64_t n, int64_t size)
{
    return tuff_gemm_parts(n, size);
}

/* One operand: a's rows or b's columns. */
typedef struct side {
    const void *x;
    tuff_dtype dtype;
    int64_t count, tile;  /* how many rows or columns, and how many a tile has */
    int64_t stride, term; /* from one to the next; from one term to the next */
    bool pack;            /* else its tiles lie in memory as they should */
    bool strips;          /* its tiles are packed so */
} side;

typedef struct work {
    const tuff_gemm_problem *g;
    side a, b;
    side *shared, *late; /* a and b: packed by all; packed by each thread for itself */
    int64_t kt;          /* terms at a time */
    int64_t k0, nk;      /* terms now: k0 to k0 + nk */
    int64_t begin, end;  /* of the shared side now */
    int64_t tiles;       /* of the shared side now */
    float *packed;       /* of the shared side */
    tuff_host *host;
} work;

int64_t tuff_gemm_terms(const tuff_gemm_problem *g, bool strips)
{
    return tuff_gemm_cut(g->K, strips ? MOST_TERMS : LOOP_TERMS);
}

/* Elements of a packed tile, for one of its rows or columns. */
static int64_t length(const work *w, const side *s)
{
    return s->strips ? tuff_strip_rows(w->kt) : w->kt;
}

static void begin_work(work *w, const tuff_gemm_problem *g, bool strips)
{
    *w = (work){.g = g, .kt = tuff_gemm_terms(g, strips)};
    w->a = (side){g->a, TUFF_F32, g->M, 64, g->ars, g->acs, true, false};
    w->b = (side){g->b, g->b_dtype, g->N, 64, g->bcs, g->brs, true, strips};
    int64_t most = TUFF_GEMM_LATE / tuff_strip_rows(w->kt);
    if (g->M > 64 && parts(g->M, 64) * parts(g->N, 192) >= MANY_TILES)
        w->b.tile = most >= 192 ? 192 : most >= 128 ? 128 : 64;
    if (most >= 128 && parts(g->M, 128) * parts(g->N, 192) >= MANY_TILES) w->a.tile = 128;
    const bool lie = g->operands == TUFF_F32;
    if (lie && g->acs == 1 && g->ars == w->kt && g->K == w->kt) w->a.pack = false;
    if (lie && g->bcs == 1 && g->brs == g->N && g->N <= w->b.tile && g->b_dtype == TUFF_F32)
        w->b.pack = w->b.strips = false;
    w->shared = g->M <= g->N ? &w->a : &w->b;
    w->late = g->M <= g->N ? &w->b : &w->a;
}

static size_t tiles_scratch(const tuff_gemm_problem *g, bool strips)
{
    work w;
    begin_work(&w, g, strips);
    int64_t count = parts(least(w.shared->count, BLOCK), w.shared->tile) * w.shared->tile;
    return w.shared->pack ? sizeof(float) * (size_t)(count * length(&w, w.shared)) : 0;
}

static void pack(const work *w, const side *s, int64_t first, int64_t count, float *out)
{
    const int64_t at = first * s->stride + w->k0 * s->term;
    const tuff_part_of rows = {s->x, s->dtype, at, s->stride, s->term, w->g->operands},
                       columns = {s->x, s->dtype, at, s->term, s->stride, w->g->operands};
    if (s == &w->a)
        tuff_pack(&rows, count, w->nk, out, w->nk);
    else if (s->strips)
        tuff_pack_strips(&columns, w->nk, count, out);
    else
        tuff_pack(&columns, w->nk, count, out, count);
}

/* A tile that is not packed. */
static const float *in_place(const work *w, const side *s, int64_t first)
{
    return (const float *)s->x + first * s->stride + w->k0 * s->term;
}

static void pack_range(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    const side *s = w->shared;
    for (int64_t t = begin; t < end; t++) {
        int64_t first = w->begin + t * s->tile;
        pack(w, s, first, least(s->tile, w->end - first), w->packed + t * s->tile * length(w, s));
    }
}

/* One tile of c: where, and from what. */
typedef struct place {
    int64_t row, column;
    tuff_tile_shape shape;
    const float *a, *b;
} place;

/* Asks for a tile of c while it is computed: its rows lie far apart, and nothing else foresees them. */
static void prefetch(const float *c, int64_t rows, int64_t columns, int64_t ldc)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += TUFF_GEMM_LINE)
            __builtin_prefetch(c + i * ldc + j, 1, 2);
}

/* The result straight into c where its rows have no gaps, else by way of `own`. */
static void multiply(const work *w, tuff_product_use *use, const place *at, float *own)
{
    int64_t ldc = w->g->crs;
    float *c = w->g->c + at->row * ldc + at->column;
    bool add = w->k0 > 0 || w->g->add, direct = at->shape.n == ldc && !add;
    if (!direct) prefetch(c, at->shape.m, at->shape.n, ldc);
    tuff_product_tile(use, &at->shape, at->a, at->b, direct ? c : own);
    if (!direct) tuff_unpack(own, at->shape.m, at->shape.n, add, c, ldc);
}

/* Without memory of its own a thread makes do with its stack: a few rows or columns at a time. */
static void multiply_strips(const work *w, const place *at)
{
    float packed[STACK], result[STACK];
    bool by_rows = w->late == &w->a;
    side b = w->b;
    b.strips = false;
    int64_t count = by_rows ? at->shape.m : at->shape.n;
    int64_t step = least(STACK / w->nk, STACK / TUFF_GEMM_TILE);
    for (int64_t i = 0; i < count; i += step) {
        place strip = *at;
        if (by_rows) {
            strip.row += i;
            strip.shape.m = least(step, count - i);
            pack(w, &w->a, strip.row, strip.shape.m, packed);
            tuff_tile_plain(&strip.shape, packed, w->nk, 1, strip.b, result);
        } else {
            strip.column += i;
            strip.shape.n = least(step, count - i);
            strip.shape.strips = false;
            pack(w, &b, strip.column, strip.shape.n, packed);
            tuff_tile_plain(&strip.shape, strip.a, w->nk, 1, packed, result);
        }
        tuff_unpack(result, strip.shape.m, strip.shape.n, w->k0 > 0 || w->g->add,
                    w->g->c + strip.row * w->g->crs + strip.column, w->g->crs);
    }
}

static_assert(sizeof(tuff_gemm_memory) <= TUFF_HOST_PIECE, "a piece of memory is too small");
static_assert(offsetof(tuff_gemm_memory, scratch) % 64 == 0, "scratch is aligned to 64");

static void tile_range(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    const side *shared = w->shared, *late = w->late;
    tuff_gemm_memory *own = tuff_host_take(w->host);
    int64_t held = -1; /* the late tile that is packed */
    tuff_product_use use;
    if (own) tuff_product_begin(&use, tuff_host_products(w->host), own->scratch);
    for (int64_t t = begin; t < end; t++) {
        int64_t one = w->begin + t % w->tiles * shared->tile, two = t / w->tiles * late->tile;
        int64_t n_one = least(shared->tile, w->end - one), n_two = least(late->tile, late->count - two);
        const float *x =
            shared->pack ? w->packed + (one - w->begin) * length(w, shared) : in_place(w, shared, one);
        const float *y = late->pack && own ? own->late : in_place(w, late, two);
        if (late->pack && own && held != two) pack(w, late, held = two, n_two, own->late);
        place at = shared == &w->a ? (place){one, two, {n_one, n_two, w->nk, .strips = w->b.strips}, x, y}
                                   : (place){two, one, {n_two, n_one, w->nk, .strips = w->b.strips}, y, x};
        if (own)
            multiply(w, &use, &at, own->result);
        else
            multiply_strips(w, &at);
    }
    if (own) tuff_product_end(&use);
    tuff_host_give(w->host, own);
}

static void run_block(work *w)
{
    w->tiles = parts(w->end - w->begin, w->shared->tile);
    if (w->shared->pack) tuff_parallel(w->tiles, 1 + SMALL_COPY / (w->shared->tile * w->nk), pack_range, w);
    int64_t each = least(w->a.tile, w->a.count) * least(w->b.tile, w->b.count) * w->nk;
    tuff_parallel(w->tiles * parts(w->late->count, w->late->tile), 1 + TUFF_GEMM_SMALL_WORK / each,
                  tile_range, w);
}

static void tiles(const tuff_gemm_problem *g, bool strips, float *scratch)
{
    work w;
    begin_work(&w, g, strips);
    w.packed = scratch;
    w.host = tuff_host_current();
    for (w.begin = 0; w.begin < w.shared->count; w.begin = w.end) {
        w.end = least(w.begin + BLOCK, w.shared->count);
        for (w.k0 = 0; w.k0 < g->K; w.k0 += w.kt) {
            w.nk = least(w.kt, g->K - w.k0);
            run_block(&w);
        }
    }
}

static bool in_f32(const tuff_gemm_problem *g)
{
    return g->operands == TUFF_F32;
}

size_t tuff_gemm_scratch(const tuff_gemm_problem *g)
{
    if (!in_f32(g)) {
        size_t loop = tiles_scratch(g, false), strips = tiles_scratch(g, true),
               bf16 = tuff_gemm_bf16_scratch(g);
        if (strips > loop) loop = strips;
        return bf16 > loop ? bf16 : loop;
    }
    size_t loop = tiles_scratch(g, false), strips = tuff_gemm_by_chains(g)   ? tuff_gemm_chains_scratch(g)
                                                    : tuff_gemm_by_panels(g) ? tuff_gemm_panels_scratch(g)
                                                                             : tiles_scratch(g, true);
    return loop > strips ? loop : strips;
}

size_t tuff_gemm_scratch_most(const tuff_gemm_problem *g)
{
    /* the smaller side in whole tiles, of the most terms at a time */
    int64_t terms = tuff_strip_rows(least(g->K, MOST_TERMS));
    int64_t tiles = (least(least(g->M, g->N), BLOCK) + TUFF_GEMM_TILE) * terms;
    size_t most = (size_t)tiles * sizeof(float), panels = tuff_gemm_panels_most(g),
           chains = tuff_gemm_chains_most(g);
    if (panels > most) most = panels;
    if (!in_f32(g)) chains = tuff_gemm_bf16_most(g);
    return chains > most ? chains : most;
}

void tuff_gemm(const tuff_gemm_problem *g, void *scratch)
{
    bool strips = tuff_products_strips(tuff_host_products(tuff_host_current()));
    if (!in_f32(g) && tuff_amx_ready())
        tuff_gemm_bf16(g, scratch);
    else if (!in_f32(g))
        tiles(g, strips, scratch); /* in f32, of rounded elements */
    else if (strips && tuff_gemm_by_chains(g))
        tuff_gemm_chains(g, scratch);
    else if (strips && tuff_gemm_by_panels(g))
        tuff_gemm_panels(g, scratch);
    else
        tiles(g, strips, scratch);
}
