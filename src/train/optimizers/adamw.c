/* AdamW (Loshchilov and Hutter 2019). */
#include "ir/graph.h"
#include "train/optimizers/optimizer.h"

static size_t states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state *out)
{
    (void)settings;
    out[0] = tuff_optimizer_like(trained, "adam.m.");
    out[1] = tuff_optimizer_like(trained, "adam.v.");
    return 2;
}

static void update(const tuff_optimizer_settings *s, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter)
{
    const tuff_adamw_params params = {sizeof params, s->beta1,        s->beta2,
                                      s->eps,        s->weight_decay, s->max_grad_norm};
    tuff_adamw_slot *given = tuff_arena_array(&g->arena, n, sizeof *given);
    if (!given) {
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the slots of an optimizer");
        return;
    }
    for (size_t i = 0; i < n; i++)
        given[i] = (tuff_adamw_slot){.struct_size = sizeof *given,
                                     .param = slots[i].param,
                                     .grad = slots[i].grad,
                                     .m = slots[i].states[0],
                                     .v = slots[i].states[1],
                                     .decay = slots[i].decay,
                                     .lr_scale = slots[i].lr_scale,
                                     .weight_decay = slots[i].weight_decay};
    tuff_adamw(g, given, n, lr, norm, counter, &params);
}

static const char *const aliases[] = {"adamw_torch", "adamw_torch_fused", "paged_adamw_32bit", NULL};

const tuff_optimizer tuff_optimizer_adamw = {
    .name = "adamw", .aliases = aliases, .counts = true, .states = states, .update = update};
