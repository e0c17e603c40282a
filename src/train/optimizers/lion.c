/* Lion (Chen et al. 2023). */
#include "train/optimizers/optimizer.h"

static size_t states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state *out)
{
    (void)settings;
    out[0] = tuff_optimizer_like(trained, "lion.momentum.");
    return 1;
}

static void update(const tuff_optimizer_settings *s, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter)
{
    (void)counter;
    const tuff_lion_params params = {sizeof params, s->beta1, s->beta2, s->weight_decay, s->max_grad_norm};
    tuff_lion(g, tuff_optimizer_momentum_slots(g, slots, n), n, lr, norm, &params);
}

static const char *const aliases[] = {"lion_32bit", "paged_lion_32bit", NULL};

const tuff_optimizer tuff_optimizer_lion = {
    .name = "lion", .aliases = aliases, .states = states, .update = update};
