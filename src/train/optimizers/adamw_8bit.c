/* AdamW with moments of 8 bits, as bitsandbytes has it and transformers' Trainer uses it: small parameters
 * and tables keep theirs in full. */
#include "ir/graph.h"
#include "train/optimizers/optimizer.h"

enum { LEAST = 4096, BLOCK = 256 };

static int64_t elements(const tuff_trained *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static size_t states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state *out)
{
    const int64_t n = elements(trained);
    if (n < LEAST || trained->table) return tuff_optimizer_adamw.states(settings, trained, out);
    const tuff_optimizer_state bytes = {.dtype = TUFF_U32, .rank = 1, .shape = {(n + 3) / 4}};
    const tuff_optimizer_state scales = {.dtype = TUFF_F32, .rank = 1, .shape = {(n + BLOCK - 1) / BLOCK}};
    out[0] = out[1] = bytes;
    out[2] = out[3] = scales;
    out[0].prefix = "adam8bit.m.";
    out[1].prefix = "adam8bit.v.";
    out[2].prefix = "adam8bit.m_scale.";
    out[3].prefix = "adam8bit.v_scale.";
    return 4;
}

static void update(const tuff_optimizer_settings *s, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter)
{
    const tuff_adamw_params params = {sizeof params, s->beta1,        s->beta2,
                                      s->eps,        s->weight_decay, s->max_grad_norm};
    tuff_adamw_8bit_slot *small = tuff_arena_array(&g->arena, n, sizeof *small);
    tuff_optimizer_slot *rest = tuff_arena_array(&g->arena, n, sizeof *rest);
    size_t n_small = 0, n_rest = 0;
    if (!small || !rest) {
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory for the slots of an optimizer");
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (slots[i].states[2])
            small[n_small++] = (tuff_adamw_8bit_slot){.struct_size = sizeof *small,
                                                      .param = slots[i].param,
                                                      .grad = slots[i].grad,
                                                      .m = slots[i].states[0],
                                                      .v = slots[i].states[1],
                                                      .m_scale = slots[i].states[2],
                                                      .v_scale = slots[i].states[3],
                                                      .decay = slots[i].decay,
                                                      .lr_scale = slots[i].lr_scale,
                                                      .weight_decay = slots[i].weight_decay};
        else
            rest[n_rest++] = slots[i];
    if (n_small) tuff_adamw_8bit(g, small, n_small, lr, norm, counter, &params);
    if (n_rest) tuff_optimizer_adamw.update(s, g, rest, n_rest, lr, norm, counter);
}

static const char *const aliases[] = {"adamw_bnb_8bit", "paged_adamw_8bit", NULL};

const tuff_optimizer tuff_optimizer_adamw_8bit = {
    .name = "adamw_8bit", .aliases = aliases, .counts = true, .states = states, .update = update};
