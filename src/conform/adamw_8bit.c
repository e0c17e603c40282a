/* Cases of AdamW with moments of 8 bits. What it updates in place is compared; bytes exactly, so that
 * gradients are drawn anew where a moment would lie between two values. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "conform/case.h"
#include "ops/adamw_8bit.h"

enum { SLOTS = 3, BLOCK = 256, MOST = 20000 };

/* A slot as doubles. */
typedef struct numbers {
    int64_t n, blocks;
    double grad[MOST];
    uint8_t bytes[2][MOST];
    double scales[2][MOST / BLOCK + 1];
} numbers;

typedef struct making {
    tuff_dynamic_maps maps;
    numbers slots[SLOTS];
    double beta[2], largest; /* the norm that gradients are scaled to */
    uint64_t seed, drawn;
    int count;
} making;

static double draw(making *m)
{
    return tuff_rng_uniform(m->seed, m->drawn++, 0, 77);
}

/* About 0.02, also much less. */
static double gradient(making *m)
{
    double sign = draw(m) < 0.5 ? -1 : 1, size = draw(m);
    return (double)(float)(sign * 0.02 * size * size);
}

static double clip_of(const making *m)
{
    double sum = 0;
    for (int s = 0; s < m->count; s++)
        for (int64_t i = 0; i < m->slots[s].n; i++)
            sum += m->slots[s].grad[i] * m->slots[s].grad[i];
    return m->largest > 0 ? fmin(1, m->largest / (sqrt(sum) + 1e-6)) : 1;
}

static double moment(const making *m, const numbers *x, int k, int64_t i, double clip)
{
    double g = x->grad[i] * clip;
    return m->beta[k] * (double)m->maps.values[k][x->bytes[k][i]] * x->scales[k][i / BLOCK] +
           (1 - m->beta[k]) * (k == 0 ? g : g * g);
}

/* Whether rounding could give another byte. */
static bool is_near(const float *values, double x)
{
    for (int k = 0; k < 255; k++) {
        double middle = 0.5 * ((double)values[k] + (double)values[k + 1]);
        if (fabs(x - middle) < 2e-5 * fabs(middle) + 1e-6 * 0.1) return true;
    }
    return false;
}

/* Draws the gradients anew whose moments lie between two values; returns how many. */
static int settle(making *m)
{
    const double clip = clip_of(m);
    int changed = 0;
    for (int s = 0; s < m->count; s++)
        for (int64_t b = 0; b < m->slots[s].blocks; b++) {
            numbers *x = &m->slots[s];
            const int64_t end = (b + 1) * BLOCK < x->n ? (b + 1) * BLOCK : x->n;
            double most[2] = {0};
            for (int64_t i = b * BLOCK; i < end; i++)
                for (int k = 0; k < 2; k++)
                    most[k] = fmax(most[k], fabs(moment(m, x, k, i, clip)));
            for (int64_t i = b * BLOCK; i < end; i++)
                for (int k = 0; k < 2; k++)
                    if (is_near(m->maps.values[k], moment(m, x, k, i, clip) / most[k])) {
                        x->grad[i] = gradient(m);
                        changed++;
                        break;
                    }
        }
    return changed;
}

static void make(making *m, const int64_t *sizes)
{
    for (; m->count < SLOTS && sizes[m->count]; m->count++) {
        numbers *x = &m->slots[m->count];
        x->n = sizes[m->count];
        x->blocks = (x->n + BLOCK - 1) / BLOCK;
        for (int64_t i = 0; i < x->n; i++) {
            x->grad[i] = gradient(m);
            for (int k = 0; k < 2; k++)
                x->bytes[k][i] = (uint8_t)(256 * draw(m));
        }
        for (int64_t b = 0; b < x->blocks; b++) {
            x->scales[0][b] = (double)(float)(0.01 * (0.5 + draw(m)));
            x->scales[1][b] = (double)(float)(1e-4 * (0.5 + draw(m)));
        }
    }
    for (int round = 0; round < 100 && settle(m); round++)
        ;
}

static tuff_tensor *no_memory(tuff_graph *g)
{
    return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while making a case");
}

static tuff_tensor *bytes_of(tuff_case_run *run, tuff_graph *g, const uint8_t *bytes, int64_t n)
{
    const int64_t words = (n + 3) / 4;
    double *values = tuff_alloc_array((size_t)words, sizeof *values);
    if (!values) return no_memory(g);
    for (int64_t i = 0; i < n; i++)
        values[i / 4] += (double)((uint32_t)bytes[i] << 8 * (i % 4));
    tuff_tensor *made = tuff_case_data(run, g, TUFF_U32, 1, &words, values);
    tuff_free(values);
    return made;
}

static void place(tuff_case_run *run, tuff_graph *g, const numbers *x, bool infinite,
                  tuff_adamw_8bit_slot *slot)
{
    const int64_t last = x->n - 1;
    double *grad = tuff_alloc_array((size_t)x->n, sizeof *grad);
    if (!grad) {
        no_memory(g);
        return;
    }
    memcpy(grad, x->grad, (size_t)x->n * sizeof *grad);
    if (infinite) grad[last] = HUGE_VAL;
    slot->grad = tuff_case_data(run, g, TUFF_F32, 1, &x->n, grad);
    slot->param = tuff_case_leaf(run, g, TUFF_F32, 1, &x->n, TUFF_DATA_NORMAL, 0.1, 0);
    slot->m = bytes_of(run, g, x->bytes[0], x->n);
    slot->v = bytes_of(run, g, x->bytes[1], x->n);
    slot->m_scale = tuff_case_data(run, g, TUFF_F32, 1, &x->blocks, x->scales[0]);
    slot->v_scale = tuff_case_data(run, g, TUFF_F32, 1, &x->blocks, x->scales[1]);
    tuff_free(grad);
}

/* p: largest norm * 10^7, steps done, 1 for a gradient that is not finite, 0, sizes of up to three
 * slots */
static void stepped(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const tuff_adamw_params params = {sizeof params, 0.9, 0.999, 1e-8, 0.1, (double)p[0] / 1e7};
    making *m = tuff_alloc(sizeof *m);
    tuff_adamw_8bit_slot slots[SLOTS];
    tuff_tensor *grads[SLOTS];
    const double state[4] = {(double)p[1], 3, 1 - pow(0.9, (double)p[1]), 1 - pow(0.999, (double)p[1])},
                 rate = 1e-2;
    if (!m) {
        no_memory(g);
        return;
    }
    tuff_dynamic_maps_make(&m->maps);
    m->beta[0] = params.beta1;
    m->beta[1] = params.beta2;
    m->largest = params.max_grad_norm;
    m->seed = tuff_case_seed_of(run);
    make(m, p + 4);
    for (int s = 0; s < m->count; s++) {
        slots[s] = (tuff_adamw_8bit_slot)TUFF_ADAMW_8BIT_SLOT_INIT;
        place(run, g, &m->slots[s], p[2] && s == 0, &slots[s]);
        slots[s].decay = s != 1;
        slots[s].lr_scale = s == 2 ? 0.25 : 0;
        grads[s] = slots[s].grad;
    }
    tuff_tensor *norm = tuff_grad_norm(g, grads, (size_t)m->count);
    tuff_tensor *counter = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){4}, state);
    tuff_adamw_8bit(g, slots, (size_t)m->count, tuff_case_data(run, g, TUFF_F32, 0, NULL, &rate), norm,
                    tuff_optimizer_step(g, counter, norm, &params), &params);
    for (int s = 0; s < m->count; s++) {
        /* as AdamW; the largest of what a few products and sums give; bytes are exact */
        tuff_case_aside(run, slots[s].param, 24, 1);
        tuff_case_aside(run, slots[s].m_scale, 24, 1);
        tuff_case_aside(run, slots[s].v_scale, 24, 1);
        tuff_case_aside(run, slots[s].m, 0, 1);
        tuff_case_aside(run, slots[s].v, 0, 1);
    }
    tuff_free(m);
}

static const tuff_case cases[] = {
    {"adamw_8bit.n1", stepped, {0, 0, 0, 0, 1}},
    {"adamw_8bit.n300_1_7.clipped", stepped, {100000, 4, 0, 0, 300, 1, 7}},
    {"adamw_8bit.n16641_33_256", stepped, {0, 100, 0, 0, 16641, 33, 256}},
    {"adamw_8bit.n1023.clipped", stepped, {1000000, 1000, 0, 0, 1023}},
    {"adamw_8bit.n500_100.not_finite", stepped, {10000000, 7, 1, 0, 500, 100}},
};

const tuff_case_family tuff_family_adamw_8bit = {"adamw_8bit", cases, sizeof cases / sizeof cases[0]};
