/* AdamW whose moments are bytes (Dettmers et al. 2022), as bitsandbytes has them: blocks of 256 elements with
 * a scale each, the largest magnitude; a byte stands for one of 256 values, dense where they are small. */
#include "ops/adamw_8bit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/structs.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "ops/support.h"

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Seven decimal exponents, each with twice as many fractions as the one below; a sign halves them. */
void tuff_dynamic_maps_make(tuff_dynamic_maps *out)
{
    for (int m = 0; m < 2; m++) {
        float *at = out->values[m];
        *at++ = 0;
        *at++ = 1;
        for (int i = 0; i < 7; i++) {
            const int n = 1 << (m == 0 ? i : i + 1);
            for (int k = 0; k < n; k++) {
                const float value = (float)(pow(10, i - 6) * (0.1 + 0.9 * (k + 0.5) / n));
                *at++ = value;
                if (m == 0) *at++ = -value;
            }
        }
        while (at < out->values[m] + 256)
            *at++ = 0;
        qsort(out->values[m], 256, sizeof(float), by_value);
    }
}

static tuff_status expect_moment(const tuff_node *node, int i, int64_t n)
{
    const tuff_shape words = {1, {(n + 3) / 4, 1, 1, 1}};
    const tuff_shape blocks = {1, {(n + TUFF_ADAMW_8BIT_BLOCK - 1) / TUFF_ADAMW_8BIT_BLOCK, 1, 1, 1}};
    TUFF_TRY(tuff_expect_dtype(node, i, "the moment of a parameter", TUFF_U32));
    TUFF_TRY(tuff_expect_shape(node, i, "the moment of a parameter", &words));
    TUFF_TRY(tuff_expect_contiguous(node, i, "the moment of a parameter"));
    return tuff_expect_dense(node, i + 2, "the scales of a moment", &blocks);
}

static tuff_status infer_adamw_8bit(tuff_graph *g, tuff_node *node)
{
    const tuff_shape scalar = {0, {1, 1, 1, 1}};
    const int slots = tuff_adamw_8bit_count(node), outputs = tuff_adamw_8bit_out(slots);
    TUFF_TRY(tuff_expect_dense(node, 0, "the learning rate", &scalar));
    TUFF_TRY(tuff_expect_step(node, 1, 2));
    TUFF_TRY(tuff_check_adamw(node));
    int *in_place_of = tuff_arena_array(&g->arena, (size_t)outputs, sizeof *in_place_of);
    if (in_place_of == NULL) return tuff_fail_memory("the slots of an optimizer step");
    for (int i = 0; i < slots; i++) {
        const int in = tuff_adamw_8bit_in(i), out = tuff_adamw_8bit_out(i);
        TUFF_TRY(tuff_expect_dense(node, in, "a parameter", NULL));
        TUFF_TRY(tuff_expect_dense(node, in + 1, "the gradient of a parameter", &node->in[in]->shape));
        for (int k = 2; k < 4; k++)
            TUFF_TRY(expect_moment(node, in + k, tuff_tensor_count(node->in[in])));
        in_place_of[out] = in;
        for (int k = 2; k < TUFF_ADAMW_8BIT_WIDTH; k++)
            in_place_of[out + k - 1] = in + k;
    }
    return tuff_infer_in_place(g, node, in_place_of, outputs);
}

/* ---- the truth */

static unsigned byte_of(double word, int64_t i)
{
    return (unsigned)((uint32_t)(int64_t)word >> 8 * (i % 4) & 255);
}

static unsigned nearest(const float *values, double x)
{
    unsigned code = 0;
    while (code < 255 && x > 0.5 * ((double)values[code] + (double)values[code + 1]))
        code++;
    return code;
}

/* Elements begin to begin + n, a block, of a moment as bytes; returns its scale. */
static double pack(const float *values, const double *x, int64_t begin, int64_t n, double *words)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t word = 0;
        for (int64_t k = i; k < i + 4 && k < n; k++)
            word |= (uint32_t)nearest(values, most > 0 ? x[k] / most : 0) << 8 * (k % 4);
        words[(begin + i) / 4] = word;
    }
    return most;
}

static void slot_truth(const tuff_node *node, int slot, const tuff_dynamic_maps *maps,
                       const double *const *in, double *const *out)
{
    const tuff_adamw_params *a = &node->attrs.adamw;
    const double *grad = in[tuff_adamw_8bit_in(slot) + 1], clip = tuff_clip_of(in[1][0], a->max_grad_norm);
    const double c1 = in[2][2], c2 = in[2][3], lr = in[0][0] * node->groups[slot].rate;
    const int64_t count = tuff_tensor_count(node->in[tuff_adamw_8bit_in(slot)]);
    double *const *o = out + tuff_adamw_8bit_out(slot);
    for (int64_t begin = 0; begin < count; begin += TUFF_ADAMW_8BIT_BLOCK) {
        const int64_t n = count - begin < TUFF_ADAMW_8BIT_BLOCK ? count - begin : TUFF_ADAMW_8BIT_BLOCK;
        const int64_t block = begin / TUFF_ADAMW_8BIT_BLOCK;
        double m[TUFF_ADAMW_8BIT_BLOCK], v[TUFF_ADAMW_8BIT_BLOCK];
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = begin + i;
            const double g = grad[at] * clip;
            m[i] = a->beta1 * (double)maps->values[0][byte_of(o[1][at / 4], at)] * o[3][block] +
                   (1 - a->beta1) * g;
            v[i] = a->beta2 * (double)maps->values[1][byte_of(o[2][at / 4], at)] * o[4][block] +
                   (1 - a->beta2) * g * g;
            o[0][at] = o[0][at] * (1 - lr * node->groups[slot].decay) -
                       lr / c1 * m[i] / (sqrt(v[i]) / sqrt(c2) + a->eps);
        }
        o[3][block] = pack(maps->values[0], m, begin, n, o[1]);
        o[4][block] = pack(maps->values[1], v, begin, n, o[2]);
    }
}

static void reference_adamw_8bit(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_dynamic_maps maps;
    tuff_dynamic_maps_make(&maps);
    for (int i = 0; i < tuff_adamw_8bit_count(node); i++) {
        for (int k = 0; k < TUFF_ADAMW_8BIT_WIDTH - 1; k++) {
            const int from = tuff_adamw_8bit_in(i) + (k ? k + 1 : 0);
            memcpy(out[tuff_adamw_8bit_out(i) + k], in[from],
                   (size_t)tuff_tensor_count(node->in[from]) * sizeof(double));
        }
        if (isfinite(in[1][0])) slot_truth(node, i, &maps, in, out);
    }
}

static tuff_cost cost_adamw_8bit(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops = 4 * cost.bytes; /* two searches in 256 values per element of 16 bytes */
    return cost;
}

static const tuff_kernel_row adamw_8bit_kernels[] = {{"plain", 0, tuff_match_32, tuff_launch_adamw_8bit}};

const tuff_op_info tuff_op_adamw_8bit = {
    .name = "adamw_8bit",
    .min_in = TUFF_ADAMW_8BIT_FIRST + TUFF_ADAMW_8BIT_WIDTH,
    .max_in = TUFF_VARIADIC,
    .n_out = 0,
    .infer = infer_adamw_8bit,
    .reference = reference_adamw_8bit,
    .cpu = tuff_adamw_8bit_host,
    .cost = cost_adamw_8bit,
    .rows = adamw_8bit_kernels,
    .n_rows = 1,
};

/* ---- the builder */

static tuff_status build_adamw_8bit(tuff_graph *g, const tuff_adamw_8bit_slot *slots, size_t n,
                                    tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *state,
                                    const tuff_adamw_params *params)
{
    tuff_attrs attrs = {.adamw = TUFF_ADAMW_PARAMS_INIT};
    TUFF_TRY(TUFF_TAKE(&attrs.adamw, params, TUFF_ADAMW_PARAMS_INIT, max_grad_norm));
    TUFF_TRY(TUFF_CHECK_ARRAY(slots, const tuff_adamw_8bit_slot, TUFF_ADAMW_8BIT_SLOT_INIT, weight_decay));
    const size_t count = (size_t)tuff_adamw_8bit_in((int)n);
    tuff_tensor **in = tuff_arena_array(&g->arena, count, sizeof *in);
    tuff_update_group *groups = tuff_arena_array(&g->arena, n, sizeof *groups);
    if (in == NULL || groups == NULL) return tuff_fail_memory("the slots of an optimizer step");
    memcpy(in, (tuff_tensor *[]){lr, norm, state}, TUFF_ADAMW_8BIT_FIRST * sizeof *in);
    for (size_t i = 0; i < n; i++) {
        tuff_adamw_8bit_slot s = TUFF_ADAMW_8BIT_SLOT_INIT;
        tuff_status status = TUFF_TAKE_ENTRY(&s, slots, i, TUFF_ADAMW_8BIT_SLOT_INIT);
        if (status == TUFF_OK)
            status = tuff_update_group_of(s.decay, s.lr_scale, s.weight_decay, attrs.adamw.weight_decay,
                                          &groups[i]);
        if (status != TUFF_OK) return tuff_note(status, "slot %zu", i);
        tuff_tensor *const all[] = {s.param, tuff_dense(g, s.grad), s.m, s.v, s.m_scale, s.v_scale};
        memcpy(in + tuff_adamw_8bit_in((int)i), all, sizeof all);
    }
    tuff_tensor *first = tuff_graph_node(g, TUFF_OP_adamw_8bit, in, (int)count, &attrs);
    if (first != NULL) first->producer->groups = groups;
    return TUFF_OK;
}

void tuff_adamw_8bit(tuff_graph *g, const tuff_adamw_8bit_slot *slots, size_t n, tuff_tensor *lr,
                     tuff_tensor *norm, tuff_tensor *state, const tuff_adamw_params *params)
{
    const size_t most = (TUFF_VARIADIC - TUFF_ADAMW_8BIT_FIRST) / TUFF_ADAMW_8BIT_WIDTH;
    if (!g || !slots || n == 0 || n >= most) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                        "adamw_8bit: needs at least one slot and less than %zu, but got %zu", most,
                        slots ? n : 0);
        return;
    }
    tuff_status status = build_adamw_8bit(g, slots, n, lr, norm, state, params);
    if (status != TUFF_OK) tuff_graph_fail(g, status, "adamw_8bit: %s", tuff_error_message());
}
