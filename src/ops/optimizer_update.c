/* The optimizers: AdamW, SGD, Lion, each over all slots at once and in place. What their slots share is at
 * the top. */
#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "ops/support.h"

/* ---- slots ---- */

enum { MOST_STATES = 2 };

tuff_update tuff_update_of(const tuff_node *node)
{
    tuff_update u = {.first = 2, .states = 1};
    if (node->op == TUFF_OP_adamw) u = (tuff_update){.first = 3, .states = 2};
    if (node->op == TUFF_OP_sgd && !(node->attrs.sgd.momentum > 0)) u.states = 0;
    u.slots = (node->n_in - u.first) / (2 + u.states);
    return u;
}

/* `states` are what the error texts call them: "the momentum of a parameter". */
static tuff_status infer_slots(tuff_graph *g, tuff_node *node, const char *const *states)
{
    const tuff_shape scalar = {0, {1, 1, 1, 1}};
    const tuff_update u = tuff_update_of(node);
    TUFF_TRY(tuff_expect_dense(node, 0, "the learning rate", &scalar));
    TUFF_TRY(tuff_expect_dense(node, 1, "the norm", &scalar));
    size_t outputs = (size_t)u.slots * (size_t)(1 + u.states);
    int *in_place_of = tuff_arena_array(&g->arena, outputs, sizeof *in_place_of);
    if (in_place_of == NULL) return tuff_fail_memory("the slots of an optimizer step");
    for (int i = 0; i < u.slots; i++) {
        int in = tuff_update_in(&u, i), out = tuff_update_out(&u, i);
        const tuff_shape *shape = &node->in[in]->shape;
        TUFF_TRY(tuff_expect_dense(node, in, "a parameter", NULL));
        TUFF_TRY(tuff_expect_dense(node, in + 1, "the gradient of a parameter", shape));
        in_place_of[out] = in;
        for (int k = 0; k < u.states; k++) {
            TUFF_TRY(tuff_expect_dense(node, in + 2 + k, states[k], shape));
            in_place_of[out + 1 + k] = in + 2 + k;
        }
    }
    return tuff_infer_in_place(g, node, in_place_of, (int)outputs);
}

/* One slot of the truth. */
typedef struct piece {
    const double *p, *grad, *states[MOST_STATES];
    double *new_p, *new_states[MOST_STATES];
    double lr, decay, clip;
    int64_t n;
} piece;

/* Copies all slots over and calls fn for each, unless the norm is not finite. */
static void reference_slots(const tuff_node *node, const double *const *in, double *const *out, double max,
                            void (*fn)(const tuff_node *node, const double *const *in, const piece *x))
{
    const tuff_update u = tuff_update_of(node);
    for (int i = 0; i < u.slots; i++) {
        int from = tuff_update_in(&u, i), to = tuff_update_out(&u, i);
        piece x = {.p = in[from],
                   .grad = in[from + 1],
                   .new_p = out[to],
                   .lr = in[0][0] * node->groups[i].rate,
                   .decay = node->groups[i].decay,
                   .clip = tuff_clip_of(in[1][0], max),
                   .n = tuff_tensor_count(node->in[from])};
        size_t bytes = (size_t)x.n * sizeof(double);
        memcpy(x.new_p, x.p, bytes);
        for (int k = 0; k < u.states; k++) {
            x.states[k] = in[from + 2 + k];
            x.new_states[k] = out[to + 1 + k];
            memcpy(x.new_states[k], x.states[k], bytes);
        }
        if (isfinite(in[1][0])) fn(node, in, &x);
    }
}

/* What a caller gives for a slot. */
typedef struct slot {
    tuff_tensor *param, *grad, *states[MOST_STATES];
    bool decay;
    double lr_scale, weight_decay;
} slot;

typedef tuff_status (*take_fn)(const void *slots, size_t i, slot *out);

tuff_status tuff_update_group_of(bool decay, double lr_scale, double own, double weight_decay,
                                 tuff_update_group *out)
{
    if (!(lr_scale >= 0 && isfinite(lr_scale)) || !(own >= 0 && isfinite(own)))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "lr_scale and weight_decay must be finite numbers of at least 0, but they are %g and %g",
            lr_scale, own);
    *out = (tuff_update_group){.rate = lr_scale != 0 ? lr_scale : 1};
    if (decay) out->decay = own != 0 ? own : weight_decay;
    return TUFF_OK;
}

/* The node's inputs begin with `given`, `first` of them; each slot has `states` states. */
static tuff_status put_slots(tuff_graph *g, tuff_op op, const tuff_attrs *attrs, tuff_tensor *const *given,
                             const tuff_update *u, const void *slots, size_t n, take_fn take,
                             double weight_decay)
{
    size_t count = (size_t)u->first + n * (size_t)(2 + u->states);
    tuff_tensor **in = tuff_arena_array(&g->arena, count, sizeof *in);
    tuff_update_group *groups = tuff_arena_array(&g->arena, n, sizeof *groups);
    if (in == NULL || groups == NULL) return tuff_fail_memory("the slots of an optimizer step");
    memcpy(in, given, (size_t)u->first * sizeof *in);
    for (size_t i = 0; i < n; i++) {
        slot s = {0};
        tuff_tensor **at = in + tuff_update_in(u, (int)i);
        tuff_status status = take(slots, i, &s);
        if (status == TUFF_OK)
            status = tuff_update_group_of(s.decay, s.lr_scale, s.weight_decay, weight_decay, &groups[i]);
        if (status != TUFF_OK) return tuff_note(status, "slot %zu", i);
        at[0] = s.param;
        at[1] = tuff_dense(g, s.grad);
        for (int k = 0; k < u->states; k++)
            at[2 + k] = s.states[k];
    }
    tuff_tensor *first = tuff_graph_node(g, op, in, (int)count, attrs);
    if (first != NULL) first->producer->groups = groups;
    return TUFF_OK;
}

static bool count_fits(tuff_graph *g, const char *name, const void *slots, size_t n, int states)
{
    int most = (TUFF_VARIADIC - 3) / (2 + states);
    if (g && slots && n > 0 && n < (size_t)most) return true;
    tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: needs at least one slot and less than %d, but got %zu",
                    name, most, slots ? n : 0);
    return false;
}

static tuff_cost cost_update(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops =
        cost.bytes / 2; /* AdamW: 14 operations per element of 7 * 4 bytes; the others about as many */
    return cost;
}

/* `least`: the inputs before the slots, and those of one slot. */
#define UPDATE(op, least)                                                                       \
    static const tuff_kernel_row op##_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_##op}}; \
    const tuff_op_info tuff_op_##op = {                                                         \
        .name = #op,                                                                            \
        .min_in = (least),                                                                      \
        .max_in = TUFF_VARIADIC,                                                                \
        .n_out = 0,                                                                             \
        .infer = infer_##op,                                                                    \
        .reference = reference_##op,                                                            \
        .cpu = tuff_##op##_host,                                                                \
        .cost = cost_update,                                                                    \
        .rows = op##_rows,                                                                      \
        .n_rows = 1,                                                                            \
    }

/* ---- AdamW ---- */

static tuff_status infer_adamw(tuff_graph *g, tuff_node *node)
{
    static const char *const states[] = {"the first moment of a parameter",
                                         "the second moment of a parameter"};
    TUFF_TRY(tuff_expect_step(node, 1, 2));
    TUFF_TRY(tuff_check_adamw(node));
    return infer_slots(g, node, states);
}

static void adamw_truth(const tuff_node *node, const double *const *in, const piece *x)
{
    const tuff_adamw_params *a = &node->attrs.adamw;
    double c1 = in[2][2], c2 = in[2][3];
    for (int64_t k = 0; k < x->n; k++) {
        double g = x->grad[k] * x->clip;
        double m = a->beta1 * x->states[0][k] + (1 - a->beta1) * g;
        double v = a->beta2 * x->states[1][k] + (1 - a->beta2) * g * g;
        x->new_states[0][k] = m;
        x->new_states[1][k] = v;
        x->new_p[k] = x->p[k] * (1 - x->lr * x->decay) - x->lr / c1 * m / (sqrt(v) / sqrt(c2) + a->eps);
    }
}

static void reference_adamw(const tuff_node *node, const double *const *in, double *const *out)
{
    reference_slots(node, in, out, node->attrs.adamw.max_grad_norm, adamw_truth);
}

UPDATE(adamw, 3 + 4);

static tuff_status take_adamw(const void *slots, size_t i, slot *out)
{
    tuff_adamw_slot s = TUFF_ADAMW_SLOT_INIT;
    TUFF_TRY(TUFF_TAKE_ENTRY(&s, (const tuff_adamw_slot *)slots, i, TUFF_ADAMW_SLOT_INIT));
    *out = (slot){s.param, s.grad, {s.m, s.v}, s.decay, s.lr_scale, s.weight_decay};
    return TUFF_OK;
}

static tuff_status build_adamw(tuff_graph *g, const tuff_adamw_slot *slots, size_t n,
                               tuff_tensor *const *given, const tuff_adamw_params *params)
{
    const tuff_update u = {.first = 3, .states = 2};
    tuff_attrs attrs = {.adamw = TUFF_ADAMW_PARAMS_INIT};
    TUFF_TRY(TUFF_TAKE(&attrs.adamw, params, TUFF_ADAMW_PARAMS_INIT, max_grad_norm));
    TUFF_TRY(TUFF_CHECK_ARRAY(slots, const tuff_adamw_slot, TUFF_ADAMW_SLOT_INIT, decay));
    return put_slots(g, TUFF_OP_adamw, &attrs, given, &u, slots, n, take_adamw, attrs.adamw.weight_decay);
}

void tuff_adamw(tuff_graph *g, const tuff_adamw_slot *slots, size_t n, tuff_tensor *lr, tuff_tensor *norm,
                tuff_tensor *state, const tuff_adamw_params *params)
{
    if (!count_fits(g, "adamw", slots, n, 2)) return;
    tuff_status status = build_adamw(g, slots, n, (tuff_tensor *[]){lr, norm, state}, params);
    if (status != TUFF_OK) tuff_graph_fail(g, status, "adamw: %s", tuff_error_message());
}

/* ---- optimizers with one state, the momentum ---- */

static tuff_status take_momentum(const void *slots, size_t i, slot *out)
{
    tuff_momentum_slot s = TUFF_MOMENTUM_SLOT_INIT;
    TUFF_TRY(TUFF_TAKE_ENTRY(&s, (const tuff_momentum_slot *)slots, i, TUFF_MOMENTUM_SLOT_INIT));
    *out = (slot){s.param, s.grad, {s.momentum, NULL}, s.decay, s.lr_scale, s.weight_decay};
    return TUFF_OK;
}

static tuff_status build_momentum(tuff_graph *g, tuff_op op, const tuff_attrs *attrs, int states,
                                  const tuff_momentum_slot *slots, size_t n, tuff_tensor *const *given,
                                  double weight_decay)
{
    const tuff_update u = {.first = 2, .states = states};
    TUFF_TRY(TUFF_CHECK_ARRAY(slots, const tuff_momentum_slot, TUFF_MOMENTUM_SLOT_INIT, weight_decay));
    return put_slots(g, op, attrs, given, &u, slots, n, take_momentum, weight_decay);
}

/* ---- SGD ---- */

static tuff_status infer_sgd(tuff_graph *g, tuff_node *node)
{
    static const char *const states[] = {"the momentum of a parameter"};
    const tuff_sgd_params *p = &node->attrs.sgd;
    if (!(p->momentum >= 0 && p->momentum < 1 && p->weight_decay >= 0 && p->max_grad_norm >= 0))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "sgd: momentum must be at least 0 and less than 1, and weight decay and the largest norm "
            "at least 0, but they are %g, %g, %g",
            p->momentum, p->weight_decay, p->max_grad_norm);
    if (p->nesterov && p->momentum == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "sgd: nesterov needs a momentum above 0");
    return infer_slots(g, node, states);
}

static void sgd_truth(const tuff_node *node, const double *const *in, const piece *x)
{
    (void)in;
    const tuff_sgd_params *a = &node->attrs.sgd;
    for (int64_t k = 0; k < x->n; k++) {
        double g = x->grad[k] * x->clip + x->decay * x->p[k];
        if (a->momentum > 0) {
            double m = a->momentum * x->states[0][k] + g;
            x->new_states[0][k] = m;
            g = a->nesterov ? g + a->momentum * m : m;
        }
        x->new_p[k] = x->p[k] - x->lr * g;
    }
}

static void reference_sgd(const tuff_node *node, const double *const *in, double *const *out)
{
    reference_slots(node, in, out, node->attrs.sgd.max_grad_norm, sgd_truth);
}

UPDATE(sgd, 2 + 2);

void tuff_sgd(tuff_graph *g, const tuff_momentum_slot *slots, size_t n, tuff_tensor *lr, tuff_tensor *norm,
              const tuff_sgd_params *params)
{
    if (!count_fits(g, "sgd", slots, n, 1)) return;
    tuff_attrs attrs = {.sgd = TUFF_SGD_PARAMS_INIT};
    tuff_status status = TUFF_TAKE(&attrs.sgd, params, TUFF_SGD_PARAMS_INIT, reserved);
    if (status == TUFF_OK)
        status = build_momentum(g, TUFF_OP_sgd, &attrs, attrs.sgd.momentum > 0, slots, n,
                                (tuff_tensor *[]){lr, norm}, attrs.sgd.weight_decay);
    if (status != TUFF_OK) tuff_graph_fail(g, status, "sgd: %s", tuff_error_message());
}

/* ---- averages of variables, which are gradient descent towards them: with a decay of -1 the direction is
 * the value less the average, and the rate -1 goes that way ---- */

static tuff_status build_average(tuff_graph *g, tuff_tensor *const *averages, tuff_tensor *const *values,
                                 size_t n, tuff_tensor *rate)
{
    tuff_tensor **in = tuff_arena_array(&g->arena, 2 + 2 * n, sizeof *in);
    tuff_update_group *groups = tuff_arena_array(&g->arena, n, sizeof *groups);
    if (!in || !groups) return tuff_fail_memory("the slots of averages");
    in[0] = rate;
    in[1] = tuff_fill(g, 0, 0, NULL); /* a norm that is finite */
    for (size_t i = 0; i < n; i++) {
        groups[i] = (tuff_update_group){.rate = -1, .decay = -1};
        in[2 + 2 * i] = averages[i];
        in[3 + 2 * i] = tuff_dense(g, values[i]);
    }
    tuff_tensor *first =
        tuff_graph_node(g, TUFF_OP_sgd, in, (int)(2 + 2 * n), &(tuff_attrs){.sgd = TUFF_SGD_PARAMS_INIT});
    if (first) first->producer->groups = groups;
    return TUFF_OK;
}

void tuff_average(tuff_graph *g, tuff_tensor *const *averages, tuff_tensor *const *values, size_t n,
                  tuff_tensor *rate)
{
    if (!count_fits(g, "average", averages && values ? averages : NULL, n, 0)) return;
    tuff_status status = build_average(g, averages, values, n, rate);
    if (status != TUFF_OK) tuff_graph_fail(g, status, "average: %s", tuff_error_message());
}

/* ---- Lion ---- */

static tuff_status infer_lion(tuff_graph *g, tuff_node *node)
{
    static const char *const states[] = {"the momentum of a parameter"};
    const tuff_lion_params *p = &node->attrs.lion;
    bool betas = p->beta1 >= 0 && p->beta1 < 1 && p->beta2 >= 0 && p->beta2 < 1;
    if (!betas || !(p->weight_decay >= 0 && p->max_grad_norm >= 0))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "lion: betas must be at least 0 and less than 1, and weight decay and the largest norm at "
            "least 0, but they are %g, %g, %g, %g",
            p->beta1, p->beta2, p->weight_decay, p->max_grad_norm);
    return infer_slots(g, node, states);
}

static void lion_truth(const tuff_node *node, const double *const *in, const piece *x)
{
    (void)in;
    const tuff_lion_params *a = &node->attrs.lion;
    for (int64_t k = 0; k < x->n; k++) {
        double g = x->grad[k] * x->clip, m = x->states[0][k];
        double mean = a->beta1 * m + (1 - a->beta1) * g;
        x->new_states[0][k] = a->beta2 * m + (1 - a->beta2) * g;
        x->new_p[k] = x->p[k] * (1 - x->lr * x->decay) - x->lr * ((mean > 0) - (mean < 0));
    }
}

static void reference_lion(const tuff_node *node, const double *const *in, double *const *out)
{
    reference_slots(node, in, out, node->attrs.lion.max_grad_norm, lion_truth);
}

UPDATE(lion, 2 + 3);

void tuff_lion(tuff_graph *g, const tuff_momentum_slot *slots, size_t n, tuff_tensor *lr, tuff_tensor *norm,
               const tuff_lion_params *params)
{
    if (!count_fits(g, "lion", slots, n, 1)) return;
    tuff_attrs attrs = {.lion = TUFF_LION_PARAMS_INIT};
    tuff_status status = TUFF_TAKE(&attrs.lion, params, TUFF_LION_PARAMS_INIT, max_grad_norm);
    if (status == TUFF_OK)
        status = build_momentum(g, TUFF_OP_lion, &attrs, 1, slots, n, (tuff_tensor *[]){lr, norm},
                                attrs.lion.weight_decay);
    if (status != TUFF_OK) tuff_graph_fail(g, status, "lion: %s", tuff_error_message());
}
