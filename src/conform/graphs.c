/* Random small graphs: what no table of single operations reaches - results used several times, views of
 * results, memory that changes hands, updates in place, and the gradients of all that. */
#include "base/rng.h"
#include "conform/case.h"
#include "ir/graph.h"

#define MAX_VALUES 96

/* All values are [2, t, c] with t and c from a few sizes; weights are leaves made where they are needed. */
typedef struct generator {
    tuff_case_run *run;
    tuff_graph *g;
    uint64_t seed;
    uint64_t drawn;
    tuff_tensor *values[MAX_VALUES];
    bool used[MAX_VALUES];
    int n;
} generator;

static int64_t draw(generator *r, int64_t n)
{
    return (int64_t)(tuff_philox4x32(r->seed, r->drawn++, 0, TUFF_STREAM_CONFORM).v[0] % (uint32_t)n);
}

static tuff_tensor *leaf(generator *r, int rank, const int64_t *dims, double spread, double centre)
{
    tuff_tensor *x = tuff_case_leaf(r->run, r->g, TUFF_F32, rank, dims, TUFF_DATA_NORMAL, spread, centre);
    tuff_case_grad(r->run, x);
    /* The size of what flows back; shifts that a norm or a softmax undoes leave nothing of it. */
    tuff_case_grad_scale(r->run, x, 0.01);
    return x;
}

static tuff_tensor *any(generator *r)
{
    /* mostly recent ones, so that the graph is deep; now and then an old one, so that something lives long */
    int64_t back = draw(r, 4) == 0 ? draw(r, r->n) : draw(r, r->n < 4 ? r->n : 4);
    r->used[r->n - 1 - back] = true;
    return r->values[r->n - 1 - back];
}

/* NULL where memory has run out, as all that makes a tensor. */
static tuff_tensor *same_shape(generator *r, const tuff_tensor *like)
{
    for (int tries = 0; tries < 6; tries++) {
        int64_t at = draw(r, r->n);
        if (!tuff_shape_equal(&r->values[at]->shape, &like->shape)) continue;
        r->used[at] = true;
        return r->values[at];
    }
    return leaf(r, 3, like->shape.dim, 1, 0);
}

static tuff_tensor *project(generator *r, tuff_tensor *x)
{
    static const int64_t widths[] = {8, 12, 20, 33};
    int64_t in = x->shape.dim[2], out = widths[draw(r, 4)], dims[2] = {out, in};
    bool transposed = draw(r, 2) == 0;
    if (!transposed) {
        dims[0] = in;
        dims[1] = out;
    }
    tuff_tensor *w = leaf(r, 2, dims, 0.3, 0);
    return tuff_matmul(r->g, x, transposed ? tuff_transpose(r->g, w) : w);
}

static tuff_tensor *mix_tokens(generator *r, tuff_tensor *x)
{
    tuff_tensor *scores = tuff_scale(r->g, tuff_matmul(r->g, x, tuff_transpose(r->g, same_shape(r, x))), 0.1);
    return tuff_matmul(r->g, tuff_softmax(r->g, scores), x);
}

static tuff_tensor *attend(generator *r, tuff_tensor *x)
{
    int64_t b = x->shape.dim[0], t = x->shape.dim[1], c = x->shape.dim[2];
    if (c % 4 != 0) return tuff_silu(r->g, x);
    const int64_t heads[3] = {b * t, 2, c / 2};
    tuff_tensor *q = tuff_reshape(r->g, x, 3, heads), *k = tuff_reshape(r->g, same_shape(r, x), 3, heads);
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    if (draw(r, 2) == 0) params.right = 0;
    double table[4 * 2];
    for (int64_t i = 0; i < b; i++) {
        table[4 * i] = table[4 * i + 2] = (double)(i * t);
        table[4 * i + 1] = table[4 * i + 3] = (double)t;
    }
    tuff_tensor *segments = tuff_case_input(r->run, r->g, TUFF_I32, 2, (int64_t[]){b, 4}, table);
    const int64_t back[3] = {b, t, c};
    return tuff_reshape(r->g, tuff_attention(r->g, q, k, q, segments, NULL, NULL, &params), 3, back);
}

/* Cuts a part out of an axis and puts it back among zeros, or turns the axes around and back with a bias
 * between. */
static tuff_tensor *shuffle(generator *r, tuff_tensor *x)
{
    int axis = (int)draw(r, 3);
    int64_t length = x->shape.dim[axis], part = (length + 1) / 2, start = draw(r, length - part + 1);
    if (draw(r, 2) == 0)
        return tuff_add(r->g, tuff_pad(r->g, tuff_slice(r->g, x, axis, start, part), axis, start, length), x);
    static const int around[3] = {2, 0, 1}, back[3] = {1, 2, 0};
    tuff_tensor *permuted = tuff_permute(r->g, x, around);
    if (permuted == NULL) return NULL;
    return tuff_permute(r->g, tuff_add(r->g, permuted, leaf(r, 1, &permuted->shape.dim[2], 1, 0)), back);
}

static tuff_tensor *reduce(generator *r, tuff_tensor *x)
{
    unsigned axes = 1u + (unsigned)draw(r, 7);
    tuff_tensor *sum = tuff_scale(r->g, tuff_sum(r->g, x, axes, true), 0.1);
    return tuff_add(r->g, x, draw(r, 2) == 0 ? sum : tuff_expand(r->g, sum, 3, x->shape.dim));
}

static tuff_tensor *step(generator *r)
{
    tuff_tensor *x = any(r);
    const int64_t *width = &x->shape.dim[2];
    switch (draw(r, 13)) {
    case 0:
        return tuff_add(r->g, x, same_shape(r, x));
    case 1:
        return tuff_mul(r->g, x, tuff_softmax(r->g, same_shape(r, x)));
    case 2:
        return tuff_gelu(r->g, x, draw(r, 2) == 0);
    case 3:
        return tuff_swiglu(r->g, x, same_shape(r, x));
    case 4:
        return tuff_rms_norm(r->g, x, leaf(r, 1, width, 0.1, 1), 1e-5);
    case 5:
        return tuff_layer_norm(r->g, x, leaf(r, 1, width, 0.1, 1), leaf(r, 1, width, 0.1, 0), 1e-5);
    case 6:
        return tuff_add(r->g, x, leaf(r, 1, width, 1, 0));
    case 7:
    case 8:
        return project(r, x);
    case 9:
        return mix_tokens(r, x);
    case 10:
        return attend(r, x);
    case 11:
        return shuffle(r, x);
    default:
        return reduce(r, x);
    }
}

/* What nothing else has used goes into the result too. */
static tuff_tensor *gather_unused(generator *r, tuff_tensor *last)
{
    for (int i = 0; i < r->n - 1; i++)
        if (!r->used[i])
            last = tuff_add(r->g, last, tuff_scale(r->g, tuff_sum(r->g, r->values[i], 7, true), 0.01));
    return last;
}

/* p: the number of the graph, 0: made from the case's seed; its steps */
static void build(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    generator r = {.run = run, .g = g, .seed = p[0] ? 0x67726170u + (uint64_t)p[0] : tuff_case_seed_of(run)};
    static const int64_t lengths[] = {1, 3, 7, 16};
    const int64_t dims[3] = {2, lengths[draw(&r, 4)], 8};
    if ((r.values[r.n] = leaf(&r, 3, dims, 1, 0)) == NULL) return;
    r.n++;
    for (int64_t i = 0; i < p[1] && r.n < MAX_VALUES; i++) {
        tuff_tensor *y = step(&r);
        if (y == NULL) return;
        r.values[r.n++] = y;
    }
    tuff_tensor *last = gather_unused(&r, r.values[r.n - 1]);
    if (last == NULL) return;
    const int64_t size[1] = {last->shape.dim[2]};
    /* Normalized, so that the results' scale is known; a running sum is kept in place, as gradients are. */
    tuff_tensor *weight = tuff_case_leaf(run, g, TUFF_F32, 1, size, TUFF_DATA_NORMAL, 0.1, 1);
    tuff_tensor *y = tuff_rms_norm(g, last, weight, 1e-5);
    tuff_tensor *total = tuff_case_leaf(run, g, TUFF_F32, 3, last->shape.dim, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *sum = tuff_accumulate(g, total, y);
    tuff_accumulate(g, sum, tuff_copy(g, last, TUFF_F32));
    /* Each step multiplies the error of its input by a few at most and adds its own of a few eps; sums are
     * short. What a chain of them amplifies is known from the truth: there each is off by one eps, on a
     * device by a few. */
    tuff_case_result(run, y, 32, (double)p[1]);
    tuff_case_aside(run, total, 32, (double)p[1]);
    tuff_case_slack(run, 8);
}

static const tuff_case cases[] = {
    {"graphs.seed1.steps4", build, {1, 4}},     {"graphs.seed2.steps6", build, {2, 6}},
    {"graphs.seed3.steps8", build, {3, 8}},     {"graphs.seed4.steps8", build, {4, 8}},
    {"graphs.seed5.steps10", build, {5, 10}},   {"graphs.seed6.steps10", build, {6, 10}},
    {"graphs.seed7.steps12", build, {7, 12}},   {"graphs.seed8.steps12", build, {8, 12}},
    {"graphs.seed9.steps16", build, {9, 16}},   {"graphs.seed10.steps16", build, {10, 16}},
    {"graphs.seed11.steps20", build, {11, 20}}, {"graphs.seed12.steps24", build, {12, 24}},
};

const tuff_case_family tuff_family_graphs = {"graphs", cases, sizeof cases / sizeof cases[0]};

static const tuff_case large[] = {
    {"large_graphs.steps8", build, {0, 8}},   {"large_graphs.steps16", build, {0, 16}},
    {"large_graphs.steps24", build, {0, 24}}, {"large_graphs.steps32", build, {0, 32}},
    {"large_graphs.steps48", build, {0, 48}}, {"large_graphs.steps64", build, {0, 64}},
};

const tuff_case_family tuff_family_large_graphs = {"large_graphs", large, sizeof large / sizeof large[0]};
