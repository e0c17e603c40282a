/* Adafactor (Shazeer and Stern 2018) as transformers has it, with the defaults of its Trainer. */
#include <math.h>

#include "ir/graph.h"
#include "train/optimizers/optimizer.h"

enum { SCALE_PARAMETER, RELATIVE_STEP, WARMUP_INIT, CLIP_THRESHOLD, DECAY_RATE, BETA1, EPS1, EPS2, ARGS };
static const tuff_setting args[ARGS] = {
    [SCALE_PARAMETER] = {.name = "scale_parameter", .words = TUFF_SETTING_FLAG},
    [RELATIVE_STEP] = {.name = "relative_step", .words = TUFF_SETTING_FLAG},
    [WARMUP_INIT] = {.name = "warmup_init", .words = TUFF_SETTING_FLAG},
    [CLIP_THRESHOLD] = {.name = "clip_threshold", .low = 1e-6, .high = 1e6, .preset = 1},
    [DECAY_RATE] = {.name = "decay_rate", .low = -10, .high = 0, .preset = -0.8},
    [BETA1] = {.name = "beta1", .low = 0, .high = 0.9999999, .preset = 0},
    [EPS1] = {.name = "eps1", .low = 1e-37, .high = 1, .preset = 1e-30},
    [EPS2] = {.name = "eps2", .low = 0, .high = 1, .preset = 1e-3},
};

static tuff_status check(tuff_optimizer_settings *s)
{
    if (s->args[WARMUP_INIT] == 0 || s->args[RELATIVE_STEP] != 0) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "warmup_init needs relative_step=true");
}

static double rate(const tuff_optimizer_settings *s, int64_t step)
{
    const double at = (double)(step + 1);
    if (s->args[RELATIVE_STEP] == 0) return 0;
    return fmin(s->args[WARMUP_INIT] != 0 ? 1e-6 * at : 1e-2, 1 / sqrt(at));
}

/* Squared gradients by row and column; a vector is one column. */
static size_t states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state *out)
{
    const int rank = trained->rank;
    out[0] = tuff_optimizer_like(trained, "adafactor.row.");
    out[1] = tuff_optimizer_like(trained, "adafactor.column.");
    out[2] = tuff_optimizer_like(trained, "adafactor.mean.");
    if (rank >= 2) {
        out[0].rank = out[1].rank = rank - 1;
        out[1].shape[rank - 2] = trained->shape[rank - 1];
    } else {
        out[1].shape[0] = 1;
    }
    return settings->args[BETA1] > 0 ? 3 : 2;
}

static void update(const tuff_optimizer_settings *s, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter)
{
    const tuff_adafactor_params params = {.struct_size = sizeof params,
                                          .beta1 = s->args[BETA1],
                                          .decay_rate = s->args[DECAY_RATE],
                                          .eps1 = s->args[EPS1],
                                          .eps2 = s->args[EPS2],
                                          .clip_threshold = s->args[CLIP_THRESHOLD],
                                          .weight_decay = s->weight_decay,
                                          .max_grad_norm = s->max_grad_norm,
                                          .scale_parameter = s->args[SCALE_PARAMETER] != 0};
    tuff_adafactor_slot *given = tuff_arena_array(&g->arena, n, sizeof *given);
    if (!given) {
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the slots of an optimizer");
        return;
    }
    for (size_t i = 0; i < n; i++)
        given[i] = (tuff_adafactor_slot){.struct_size = sizeof *given,
                                         .param = slots[i].param,
                                         .grad = slots[i].grad,
                                         .row = slots[i].states[0],
                                         .column = slots[i].states[1],
                                         .mean = slots[i].states[2],
                                         .decay = slots[i].decay,
                                         .lr_scale = slots[i].lr_scale,
                                         .weight_decay = slots[i].weight_decay};
    tuff_adafactor(g, given, n, lr, norm, counter, &params);
}

const tuff_optimizer tuff_optimizer_adafactor = {.name = "adafactor",
                                                 .counts = true,
                                                 .args = args,
                                                 .n_args = ARGS,
                                                 .check = check,
                                                 .rate = rate,
                                                 .states = states,
                                                 .update = update};
