/* Cases of attention, forward and backward. */
#include <math.h>

#include "conform/case.h"
#include "ir/graph.h"

/* Which segments there are. */
enum {
    EQUAL,  /* COUNT sequences of LENGTH tokens, one behind the other */
    CACHE,  /* COUNT slots of KEYS rows each; LENGTH queries each, the first at position START, in cache order
               3 later  with each slot */
    UNEVEN, /* of all lengths, with tokens in between that are in none, and rows of the table that are unused
             */
    CROSS,  /* queries of one stream and keys of another, in another order and with rows that are nobody's */
    SMALL,  /* COUNT of one to three tokens */
    BAD     /* one that is used among others that are not: out of range, or in the way of an earlier one */
};
/* q, k, v: leaves; slices of one projection; k and v in cache order [H, M, D]; made within the graph, where
 * no way for few queries against a cache is taken */
enum { APART, FUSED, CACHED, MADE };
enum { SOFTCAP = 1, BIAS = 2, SINKS = 4, HALF = 8, DROPOUT = 16 };

enum { PATTERN, COUNT, LENGTH, KEYS, START, HQ, HKV, DIM, LEFT, RIGHT, LAYOUT, EXTRA };
enum { MOST_SEGMENTS = 256, COLUMNS = 9, ZERO = 4 }; /* of the bias: distances -4 to 4 */

typedef struct segments {
    double table[4 * MOST_SEGMENTS];
    int64_t S, N, M, longest; /* the longest: keys that are summed over */
} segments;

static void add(segments *s, int64_t q_begin, int64_t q_len, int64_t kv_begin, int64_t kv_len)
{
    const int64_t row[4] = {q_begin, q_len, kv_begin, kv_len};
    for (int i = 0; i < 4; i++)
        s->table[4 * s->S + i] = (double)row[i];
    s->S++;
    if (kv_len > s->longest) s->longest = kv_len;
}

static void add_uneven(segments *s)
{
    static const int64_t lengths[] = {5, 1, 0, 33, 2, 64, 17};
    for (int i = 0; i < 7; i++) {
        s->N += i % 2 ? 3 : 0;
        add(s, s->N, lengths[i], s->N, lengths[i]);
        s->N += lengths[i];
    }
    s->M = s->N += 2;
}

static void add_cross(segments *s)
{
    add(s, 0, 7, 40, 33);
    add(s, 7, 1, 2, 3);
    add(s, 10, 18, 5, 35);
    add(s, 28, 2, 73, 0);
    s->N = 31;
    s->M = 76;
}

static void add_bad(segments *s)
{
    add(s, -1, 5, 0, 5);
    add(s, 2, 5, 3, 9);
    add(s, 6, 3, 12, 3); /* its first query is the last one's */
    add(s, 7, 3, 11, 3); /* and its first key */
    add(s, 8, 9, 12, 4); /* past the last query */
    add(s, 8, -3, 12, 4);
    add(s, 8, 2, 14, 5); /* past the last key */
    add(s, 8, 2, -3, 5);
    add(s, 8, 2, 2147483647, 2147483647);
    add(s, 2147483647, 2147483647, 2, 2);
    add(s, 9, 2, 13, 4);
    s->N = 12;
    s->M = 18;
}

static segments segments_of(const int64_t *p)
{
    segments s = {.N = 0};
    for (int64_t i = 0; i < p[COUNT]; i++) {
        int64_t length = p[PATTERN] == SMALL ? 1 + i % 3 : p[LENGTH];
        if (p[PATTERN] == CACHE)
            add(&s, s.N, length, s.M, p[START] + (p[LAYOUT] == CACHED ? 3 * i : 0) + length);
        else
            add(&s, s.N, length, s.M, length);
        s.N += length;
        s.M += p[PATTERN] == CACHE ? p[KEYS] : length;
    }
    if (p[PATTERN] == UNEVEN) add_uneven(&s);
    if (p[PATTERN] == CROSS) add_cross(&s);
    if (p[PATTERN] == BAD) add_bad(&s);
    return s;
}

/* Queries that see a single key: its probability is 1 whatever the scores, the gradients of q and k are
 * exactly 0, and what a device computes for them is the rounding of terms of size 1 that cancel. */
static bool sees_one_key(const int64_t *p)
{
    if (p[EXTRA] & SINKS) return false;
    return (p[PATTERN] <= CACHE && p[LENGTH] == 1 && p[START] == 0) || (p[LEFT] == 0 && p[RIGHT] == 0);
}

/* Gradients are asked for where they are: not of f16, and of large heads in training's shapes only. */
static bool has_gradients(const int64_t *p)
{
    return !(p[EXTRA] & HALF) && !(p[PATTERN] == CACHE && p[DIM] > 32);
}

static tuff_tensor *leaf(tuff_case_run *run, tuff_graph *g, const int64_t *p, bool may_be_half, int64_t d0,
                         int64_t d1)
{
    const int64_t dims[3] = {d0, d1, p[DIM]};
    bool half = may_be_half && p[EXTRA] & HALF;
    tuff_tensor *x = tuff_case_leaf(run, g, half ? TUFF_F16 : TUFF_F32, 3, dims, TUFF_DATA_NORMAL, 1, 0);
    if (has_gradients(p)) tuff_case_grad(run, x);
    if (has_gradients(p) && sees_one_key(p)) tuff_case_grad_scale(run, x, 1.0);
    return x;
}

static tuff_tensor *cached(tuff_case_run *run, tuff_graph *g, const int64_t *p, int64_t M)
{
    return tuff_permute(g, leaf(run, g, p, true, p[HKV], M), (const int[]){1, 0, 2});
}

static tuff_tensor *projected(tuff_graph *g, tuff_tensor *x, const int64_t *p, int64_t first, int64_t heads)
{
    return tuff_reshape(g, tuff_slice(g, x, 1, first * p[DIM], heads * p[DIM]), 3,
                        (int64_t[]){tuff_tensor_dim(x, 0), heads, p[DIM]});
}

static void attend(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *q, *k, *v, *bias = NULL, *sinks = NULL;
    const segments s = segments_of(p);
    if (p[LAYOUT] == FUSED) {
        const int64_t dims[2] = {s.N, (p[HQ] + 2 * p[HKV]) * p[DIM]};
        tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, dims, TUFF_DATA_NORMAL, 1, 0);
        tuff_case_grad(run, x);
        q = projected(g, x, p, 0, p[HQ]);
        k = projected(g, x, p, p[HQ], p[HKV]);
        v = projected(g, x, p, p[HQ] + p[HKV], p[HKV]);
    } else {
        q = leaf(run, g, p, false, s.N, p[HQ]);
        k = p[LAYOUT] == CACHED ? cached(run, g, p, s.M) : leaf(run, g, p, true, s.M, p[HKV]);
        v = p[LAYOUT] == CACHED ? cached(run, g, p, s.M) : leaf(run, g, p, true, s.M, p[HKV]);
    }
    if (p[LAYOUT] == MADE) {
        k = tuff_scale(g, k, 1.25);
        v = tuff_scale(g, v, 0.5);
    }
    tuff_tensor *table = tuff_case_input(run, g, TUFF_I32, 2, (int64_t[]){s.S, 4}, s.table);
    if (p[EXTRA] & BIAS) {
        const int64_t dims[2] = {p[HQ], COLUMNS};
        bias = tuff_case_leaf(run, g, TUFF_F32, 2, dims, TUFF_DATA_NORMAL, 1, 0);
        if (has_gradients(p)) tuff_case_grad(run, bias);
        /* what the keys of a query gain they take from each other */
        tuff_case_grad_scale(run, bias, 1.0);
    }
    if (p[EXTRA] & SINKS) {
        sinks = tuff_case_leaf(run, g, TUFF_F32, 1, &p[HQ], TUFF_DATA_NORMAL, 1, 0);
        if (has_gradients(p)) tuff_case_grad(run, sinks);
        tuff_case_grad_scale(run, sinks, 1.0);
    }
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.left = p[LEFT];
    params.right = p[RIGHT];
    params.softcap = p[EXTRA] & SOFTCAP ? 1.5 : 0; /* near the scores' own size, so that it bends them */
    params.zero = bias ? ZERO : 0;
    if (p[EXTRA] & DROPOUT) {
        static const double seed[3] = {0x89abcdef, 0x01234567, 4294967295};
        params.dropout = 0.3;
        params.dropout_seed = tuff_case_data(run, g, TUFF_U32, 1, (int64_t[]){3}, seed);
        params.dropout_stream = 0x0900001b;
    }
    tuff_tensor *o = tuff_attention(g, q, k, v, table, bias, sinks, &params);
    /* each sequence has its part of the leaves where tokens come first; but what is dropped depends on its
     * place */
    if (!(p[EXTRA] & DROPOUT) && p[PATTERN] <= CACHE && p[LAYOUT] != CACHED && p[START] >= 0)
        tuff_case_batch(run, COUNT);
    /* scores are sums of D products, exp turns their absolute error into a relative one, and values are
     * summed over the keys */
    double k_terms = (double)(p[DIM] + s.longest);
    if (p[PATTERN] == BAD) k_terms = (double)(p[DIM] + s.M);
    if (has_gradients(p))
        tuff_case_result(run, o, 8, k_terms);
    else
        tuff_case_aside(run, o, 8, k_terms);
    if (o) tuff_case_aside(run, o->producer->out[1], 8, k_terms); /* the log-sum-exp */
}

/* What is not finite stays with the queries, heads and columns that meet it, and is not lost on the way: a
 * query of head 0 has a NaN; the values of the last head have a NaN and an Inf, each in a column of its own.
 * No causal mask: kernels may multiply values with probabilities of 0, and 0 times NaN is NaN. Another
 * segment, whose keys lie before these and are as many as a tile's only with them, meets none of it. */
static void special(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    enum { MOST = 3 * 52 * 20, OTHER = 12 };
    static const double step = 0.37;
    double x[3][MOST];
    tuff_tensor *operand[3];
    const int64_t n = p[LENGTH], keys = p[KEYS], row = p[HQ] * p[DIM];
    for (int i = 0; i < 3; i++) {
        const int64_t dims[3] = {OTHER + (i == 0 ? n : keys), p[HQ], p[DIM]};
        for (int64_t e = 0; e < dims[0] * row; e++)
            x[i][e] = sin(step * (double)(e + 1) + i);
        double *first = x[i] + OTHER * row;
        if (i == 0) first[(n - 1) * row + 1] = NAN;
        if (i == 2) first[2 * row + (p[HQ] - 1) * p[DIM]] = NAN;
        if (i == 2) first[3 * row + (p[HQ] - 1) * p[DIM] + 2] = INFINITY;
        tuff_dtype dtype = i > 0 && p[EXTRA] & HALF ? TUFF_F16 : TUFF_F32;
        operand[i] = tuff_case_data(run, g, dtype, 3, dims, x[i]);
    }
    segments s = {.N = 0};
    add(&s, 0, OTHER, 0, OTHER);
    add(&s, OTHER, n, OTHER, keys);
    tuff_tensor *table = tuff_case_input(run, g, TUFF_I32, 2, (int64_t[]){s.S, 4}, s.table);
    const tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    tuff_tensor *o = tuff_attention(g, operand[0], operand[1], operand[2], table, NULL, NULL, &params);
    double k_terms = (double)(p[DIM] + keys);
    tuff_case_aside(run, o, 8, k_terms);
    if (o) tuff_case_aside(run, o->producer->out[1], 8, k_terms);
}

static const tuff_case cases[] = {
    {"attention.full.s1n1.h1kv1d1", attend, {EQUAL, 1, 1, 0, 0, 1, 1, 1, -1, -1}},
    {"attention.full.s2n5.h2kv2d3", attend, {EQUAL, 2, 5, 0, 0, 2, 2, 3, -1, -1}},
    {"attention.full.s3n33.h2kv2d20", attend, {EQUAL, 3, 33, 0, 0, 2, 2, 20, -1, -1}},
    {"attention.causal.s2n16.h2kv2d20", attend, {EQUAL, 2, 16, 0, 0, 2, 2, 20, -1, 0}},
    {"attention.causal.s1n33.h4kv2d20", attend, {EQUAL, 1, 33, 0, 0, 4, 2, 20, -1, 0}},
    {"attention.causal.s1n65.h3kv1d20", attend, {EQUAL, 1, 65, 0, 0, 3, 1, 20, -1, 0}},
    {"attention.causal.s1n130.h1kv1d64", attend, {EQUAL, 1, 130, 0, 0, 1, 1, 64, -1, 0}},
    {"attention.causal.s1n40.h2kv1d128", attend, {EQUAL, 1, 40, 0, 0, 2, 1, 128, -1, 0}},
    {"attention.causal.s1n11.h1kv1d160", attend, {EQUAL, 1, 11, 0, 0, 1, 1, 160, -1, 0}},
    {"attention.causal.s1n9.h1kv1d63", attend, {EQUAL, 1, 9, 0, 0, 1, 1, 63, -1, 0}},
    {"attention.causal.s2n47.h2kv2d17.fused", attend, {EQUAL, 2, 47, 0, 0, 2, 2, 17, -1, 0, FUSED}},
    {"attention.causal.s1n49.h6kv2d20.fused", attend, {EQUAL, 1, 49, 0, 0, 6, 2, 20, -1, 0, FUSED}},
    {"attention.window7.s2n40.h2kv1d20", attend, {EQUAL, 2, 40, 0, 0, 2, 1, 20, 6, 0}},
    {"attention.window1.s1n20.h1kv1d20", attend, {EQUAL, 1, 20, 0, 0, 1, 1, 20, 0, 0}},
    {"attention.window33.s1n100.h1kv1d20", attend, {EQUAL, 1, 100, 0, 0, 1, 1, 20, 32, 0}},
    {"attention.left5right5.s2n40.h2kv2d20", attend, {EQUAL, 2, 40, 0, 0, 2, 2, 20, 5, 5}},
    {"attention.left3right40.s1n90.h2kv1d20", attend, {EQUAL, 1, 90, 0, 0, 2, 1, 20, 3, 40}},
    {"attention.right2.s1n35.h1kv1d20", attend, {EQUAL, 1, 35, 0, 0, 1, 1, 20, -1, 2}},
    {"attention.softcap.s2n40.h2kv2d20", attend, {EQUAL, 2, 40, 0, 0, 2, 2, 20, -1, 0, APART, SOFTCAP}},
    {"attention.bias.s2n40.h4kv2d20", attend, {EQUAL, 2, 40, 0, 0, 4, 2, 20, -1, -1, APART, BIAS}},
    {"attention.bias.causal.s1n70.h2kv2d20", attend, {EQUAL, 1, 70, 0, 0, 2, 2, 20, -1, 0, APART, BIAS}},
    {"attention.sinks.s2n40.h4kv2d20", attend, {EQUAL, 2, 40, 0, 0, 4, 2, 20, 8, 0, APART, SINKS}},
    {"attention.all.s2n37.h4kv2d20",
     attend,
     {EQUAL, 2, 37, 0, 0, 4, 2, 20, 20, 6, APART, SOFTCAP | BIAS | SINKS}},
    {"attention.full.uneven.h2kv2d20", attend, {UNEVEN, 0, 0, 0, 0, 2, 2, 20, -1, -1}},
    {"attention.causal.uneven.h4kv2d20.made", attend, {UNEVEN, 0, 0, 0, 0, 4, 2, 20, -1, 0, MADE}},
    {"attention.sinks.small70.h2kv2d20.made", attend, {SMALL, 70, 0, 0, 0, 2, 2, 20, 1, 1, MADE, SINKS}},
    {"attention.causal.uneven.h6kv2d20", attend, {UNEVEN, 0, 0, 0, 0, 6, 2, 20, -1, 0}},
    {"attention.all.uneven.h2kv1d20.fused",
     attend,
     {UNEVEN, 0, 0, 0, 0, 2, 1, 20, 9, 3, FUSED, SOFTCAP | BIAS | SINKS}},
    {"attention.full.cross.h2kv2d20", attend, {CROSS, 0, 0, 0, 0, 2, 2, 20, -1, -1}},
    {"attention.causal.cross.h4kv2d20", attend, {CROSS, 0, 0, 0, 0, 4, 2, 20, -1, 0}},
    {"attention.all.cross.h3kv1d20",
     attend,
     {CROSS, 0, 0, 0, 0, 3, 1, 20, 12, 6, APART, SOFTCAP | BIAS | SINKS}},
    {"attention.full.small40.h2kv2d20", attend, {SMALL, 40, 0, 0, 0, 2, 2, 20, -1, -1}},
    {"attention.causal.small200.h4kv1d20", attend, {SMALL, 200, 0, 0, 0, 4, 1, 20, -1, 0}},
    {"attention.sinks.small20.h12kv1d20", attend, {SMALL, 20, 0, 0, 0, 12, 1, 20, -1, 0, APART, SINKS}},
    {"attention.full.bad.h2kv2d20", attend, {BAD, 0, 0, 0, 0, 2, 2, 20, -1, -1}},
    {"attention.sinks.bad.h2kv1d20", attend, {BAD, 0, 0, 0, 0, 2, 1, 20, -1, 0, APART, SINKS}},
    {"attention.causal.s2n20k60.h3kv1d20.at30.cached",
     attend,
     {CACHE, 2, 20, 60, 30, 3, 1, 20, -1, 0, CACHED}},
    {"attention.window9.s2n18k80.h2kv2d20.at50.cached",
     attend,
     {CACHE, 2, 18, 80, 50, 2, 2, 20, 8, 0, CACHED}},
    {"attention.causal.s1n20k30.h2kv2d20.before7", attend, {CACHE, 1, 20, 30, -7, 2, 2, 20, -1, 0}},
    {"attention.sinks.s1n20k30.h2kv2d20.before7",
     attend,
     {CACHE, 1, 20, 30, -7, 2, 2, 20, -1, 0, APART, SINKS}},
    {"attention.causal.s1n9k20.h1kv1d20.at8.cached", attend, {CACHE, 1, 9, 20, 8, 1, 1, 20, -1, 0, CACHED}},
    {"attention.causal.s1n1k40.h2kv1d20.at0.cached", attend, {CACHE, 1, 1, 40, 0, 2, 1, 20, -1, 0, CACHED}},
    {"attention.causal.s2n1k320.h4kv2d64.at299", attend, {CACHE, 2, 1, 320, 299, 4, 2, 64, -1, 0}},
    {"attention.window50.s2n1k300.h3kv1d20.at270", attend, {CACHE, 2, 1, 300, 270, 3, 1, 20, 49, 0}},
    {"attention.window300.s2n1k900.h2kv1d20.at850", attend, {CACHE, 2, 1, 900, 850, 2, 1, 20, 299, 0}},
    {"attention.causal.s1n1k1100.h8kv1d128.at1090.cached",
     attend,
     {CACHE, 1, 1, 1100, 1090, 8, 1, 128, -1, 0, CACHED}},
    {"attention.causal.s3n1k70.h10kv1d63.at55", attend, {CACHE, 3, 1, 70, 55, 10, 1, 63, -1, 0}},
    {"attention.causal.s2n4k600.h4kv2d20.at400", attend, {CACHE, 2, 4, 600, 400, 4, 2, 20, -1, 0}},
    {"attention.all.s2n3k600.h4kv2d20.at500",
     attend,
     {CACHE, 2, 3, 600, 500, 4, 2, 20, 300, 0, APART, SOFTCAP | BIAS | SINKS}},
    {"attention.causal.f16.s1n1k9.h1kv1d255.at7.cached",
     attend,
     {CACHE, 1, 1, 9, 7, 1, 1, 255, -1, 0, CACHED, HALF}},
    {"attention.causal.f16.s1n1k9.h1kv1d256.at7.cached",
     attend,
     {CACHE, 1, 1, 9, 7, 1, 1, 256, -1, 0, CACHED, HALF}},
    {"attention.causal.s1n1k20.h1kv1d20.before1.cached",
     attend,
     {CACHE, 1, 1, 20, -1, 1, 1, 20, -1, 0, CACHED}},
    {"attention.causal.f16.s1n17k40.h2kv1d20.at20.cached",
     attend,
     {CACHE, 1, 17, 40, 20, 2, 1, 20, -1, 0, CACHED, HALF}},
    {"attention.full.f16.s2n19.h2kv2d7", attend, {EQUAL, 2, 19, 0, 0, 2, 2, 7, -1, -1, APART, HALF}},
    {"attention.all.f16.s2n24.h4kv2d32",
     attend,
     {EQUAL, 2, 24, 0, 0, 4, 2, 32, 20, 0, APART, SOFTCAP | BIAS | SINKS | HALF}},
    {"attention.causal.f16.s2n1k300.h4kv2d64.at280.cached",
     attend,
     {CACHE, 2, 1, 300, 280, 4, 2, 64, -1, 0, CACHED, HALF}},
    {"attention.causal.f16.s2n1k70.h2kv2d13.at50.cached",
     attend,
     {CACHE, 2, 1, 70, 50, 2, 2, 13, -1, 0, CACHED, HALF}},
    {"attention.dropout.full.s1n5.h1kv1d7", attend, {EQUAL, 1, 5, 0, 0, 1, 1, 7, -1, -1, APART, DROPOUT}},
    {"attention.dropout.causal.s2n40.h4kv2d20",
     attend,
     {EQUAL, 2, 40, 0, 0, 4, 2, 20, -1, 0, APART, DROPOUT}},
    {"attention.dropout.causal.s1n70.h3kv1d64.fused",
     attend,
     {EQUAL, 1, 70, 0, 0, 3, 1, 64, -1, 0, FUSED, DROPOUT}},
    {"attention.dropout.causal.s1n40.h2kv1d128",
     attend,
     {EQUAL, 1, 40, 0, 0, 2, 1, 128, -1, 0, APART, DROPOUT}},
    {"attention.dropout.causal.s1n35.h1kv1d160",
     attend,
     {EQUAL, 1, 35, 0, 0, 1, 1, 160, -1, 0, APART, DROPOUT}},
    {"attention.dropout.window9.s2n50.h2kv2d20",
     attend,
     {EQUAL, 2, 50, 0, 0, 2, 2, 20, 8, 0, APART, DROPOUT}},
    {"attention.dropout.full.uneven.h4kv2d20.made",
     attend,
     {UNEVEN, 0, 0, 0, 0, 4, 2, 20, -1, -1, MADE, DROPOUT}},
    {"attention.dropout.bias.cross.h2kv2d20",
     attend,
     {CROSS, 0, 0, 0, 0, 2, 2, 20, -1, -1, APART, BIAS | DROPOUT}},
    {"attention.dropout.all.s2n37.h4kv2d20",
     attend,
     {EQUAL, 2, 37, 0, 0, 4, 2, 20, 20, 6, APART, SOFTCAP | BIAS | SINKS | DROPOUT}},
    {"attention.dropout.causal.s1n20k30.h2kv2d20.before7",
     attend,
     {CACHE, 1, 20, 30, -7, 2, 2, 20, -1, 0, APART, DROPOUT}},
    {"attention.dropout.full.f16.s2n24.h4kv2d32",
     attend,
     {EQUAL, 2, 24, 0, 0, 4, 2, 32, -1, -1, APART, HALF | DROPOUT}},
    {"attention.special.n20k33.h2d20", special, {0, 0, 20, 33, 0, 2, 2, 20}},
    {"attention.special.n1k40.h3d20", special, {0, 0, 1, 40, 0, 3, 3, 20}},
    {"attention.special.f16.n12k11.h2d7", special, {0, 0, 12, 11, 0, 2, 2, 7, 0, 0, 0, HALF}},
};

const tuff_case_family tuff_family_attention = {"attention", cases, sizeof cases / sizeof cases[0]};
