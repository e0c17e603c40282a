/* Muon (Jordan et al. 2024) as torch.optim.Muon has it, iterating in f32: matrices of layers move by their
 * momentum with all singular values brought near 1. What its authors leave to AdamW is AdamW's: tables, the
 * output, biases, norms, and vectors of adapters. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "ir/graph.h"
#include "train/optimizers/optimizer.h"

enum { NESTEROV, STEPS, ADJUST, ADAMW_LR, ARGS };
enum { ORIGINAL, MATCH_RMS_ADAMW };
static const tuff_setting args[ARGS] = {
    [NESTEROV] = {.name = "nesterov", .words = TUFF_SETTING_FLAG, .preset = 1},
    [STEPS] = {.name = "ns_steps", .low = 1, .high = 99, .whole = true, .preset = 5},
    [ADJUST] = {.name = "adjust_lr_fn", .words = "original|match_rms_adamw", .preset = MATCH_RMS_ADAMW},
    [ADAMW_LR] = {.name = "adamw_lr", .low = 0, .high = 1e6, .preset = (double)NAN},
};

static tuff_status check(tuff_optimizer_settings *s)
{
    if (s->momentum == 0) s->momentum = 0.95;
    if (isnan(s->args[ADAMW_LR])) return TUFF_OK;
    if (s->learning_rate > 0 && s->args[ADAMW_LR] > 0) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "adamw_lr is %g and the learning rate %g, expected both above 0: their ratio holds all along",
        s->args[ADAMW_LR], s->learning_rate);
}

/* A layer's tensors have its number among the parts of their names. */
static bool of_layer(const char *name)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        const char *at = dot + 1;
        while (isdigit((unsigned char)*at))
            at++;
        if (at > dot + 1 && *at == '.') return true;
    }
    return false;
}

static bool is_hidden(const tuff_trained *t)
{
    return t->rank >= 2 && t->shape[t->rank - 1] > 1 && t->shape[t->rank - 2] > 1 && !t->table &&
           of_layer(t->name);
}

static size_t states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state *out)
{
    if (!is_hidden(trained)) return tuff_optimizer_adamw.states(settings, trained, out);
    out[0] = tuff_optimizer_like(trained, "muon.momentum.");
    return 1;
}

/* The nearest to an orthogonal matrix that `steps` steps of Newton and Schulz's iteration make of it, with
 * the coefficients of the authors; for each matrix of a stack. */
static tuff_tensor *orthogonal(tuff_graph *g, tuff_tensor *x, int steps)
{
    const double a = 3.4445, b = -4.7750, c = 2.0315;
    const int rank = tuff_tensor_rank(x);
    const unsigned axes = 3u << (rank - 2);
    const bool tall = tuff_tensor_dim(x, -2) > tuff_tensor_dim(x, -1);
    tuff_tensor *norm = tuff_sqrt(g, tuff_sum(g, tuff_mul(g, x, x), axes, true));
    tuff_tensor *least = tuff_maximum(g, norm, tuff_fill(g, 1e-7, 0, NULL));
    x = tuff_div(g, tall ? tuff_transpose(g, x) : x, least);
    for (int i = 0; i < steps; i++) {
        tuff_tensor *gram = tuff_matmul_of(g, x, tuff_transpose(g, x), TUFF_F32);
        tuff_tensor *square = tuff_matmul_of(g, gram, gram, TUFF_F32);
        tuff_tensor *by = tuff_add(g, tuff_scale(g, gram, b), tuff_scale(g, square, c));
        x = tuff_add(g, tuff_scale(g, x, a), tuff_matmul_of(g, by, x, TUFF_F32));
    }
    return tall ? tuff_transpose(g, x) : x;
}

/* What the learning rate is multiplied by. */
static double adjusted(const tuff_optimizer_settings *s, const tuff_tensor *param)
{
    double rows = (double)tuff_tensor_dim(param, -2), columns = (double)tuff_tensor_dim(param, -1);
    return s->args[ADJUST] == MATCH_RMS_ADAMW ? 0.2 * sqrt(fmax(rows, columns))
                                              : sqrt(fmax(1, rows / columns));
}

static void update(const tuff_optimizer_settings *s, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter)
{
    const tuff_momentum_params momentum = {.struct_size = sizeof momentum,
                                           .momentum = s->momentum,
                                           .max_grad_norm = s->max_grad_norm,
                                           .nesterov = s->args[NESTEROV] != 0};
    const tuff_sgd_params plain = TUFF_SGD_PARAMS_INIT;
    const double other = isnan(s->args[ADAMW_LR]) ? 1 : s->args[ADAMW_LR] / s->learning_rate;
    tuff_momentum_slot *own = tuff_arena_array(&g->arena, n, sizeof *own);
    tuff_optimizer_slot *rest = tuff_arena_array(&g->arena, n, sizeof *rest);
    size_t n_own = 0, n_rest = 0;
    if (!own || !rest) {
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the slots of an optimizer");
        return;
    }
    for (size_t i = 0; i < n && g->status == TUFF_OK; i++) {
        const double rate = slots[i].lr_scale != 0 ? slots[i].lr_scale : 1;
        if (slots[i].states[1]) {
            rest[n_rest] = slots[i];
            rest[n_rest++].lr_scale = rate * other;
            continue;
        }
        const double factor = adjusted(s, slots[i].param);
        const double decay = slots[i].weight_decay != 0 ? slots[i].weight_decay : s->weight_decay;
        tuff_tensor *way = tuff_momentum(g, slots[i].states[0], slots[i].grad, norm, &momentum);
        own[n_own++] = (tuff_momentum_slot){.struct_size = sizeof *own,
                                            .param = slots[i].param,
                                            .grad = orthogonal(g, way, (int)s->args[STEPS]),
                                            .decay = slots[i].decay,
                                            .lr_scale = rate * factor,
                                            .weight_decay = decay / factor};
    }
    if (n_own) tuff_sgd(g, own, n_own, lr, norm, &plain);
    if (n_rest) tuff_optimizer_adamw.update(s, g, rest, n_rest, lr, norm, counter);
}

const tuff_optimizer tuff_optimizer_muon = {.name = "muon",
                                            .momentum = true,
                                            .counts = true,
                                            .args = args,
                                            .n_args = ARGS,
                                            .check = check,
                                            .states = states,
                                            .update = update};
