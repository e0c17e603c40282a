/* Stochastic gradient descent, with momentum when there is one, as torch.optim.SGD. */
#include "train/optimizers/optimizer.h"

static size_t states(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state *out)
{
    out[0] = tuff_optimizer_like(trained, "sgd.momentum.");
    return settings->momentum > 0;
}

static void update(const tuff_optimizer_settings *s, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter)
{
    (void)counter;
    const tuff_sgd_params params = {.struct_size = sizeof params,
                                    .momentum = s->momentum,
                                    .weight_decay = s->weight_decay,
                                    .max_grad_norm = s->max_grad_norm,
                                    .nesterov = s->nesterov};
    tuff_sgd(g, tuff_optimizer_momentum_slots(g, slots, n), n, lr, norm, &params);
}

const tuff_optimizer tuff_optimizer_sgd = {
    .name = "sgd", .momentum = true, .states = states, .update = update};
