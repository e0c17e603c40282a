/* Device kernels of the optimizer ops: one dispatch over a table of all tensors. */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "shaders/args/optimizer.h"

void tuff_launch_accumulate(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_launch_elementwise(launch, caps, tuff_tensor_count(node->out[0]), TUFF_BINARY_ADD, 1, 0);
}

void tuff_fill_chunks(const tuff_node *node, int first, int stride, tuff_chunk *chunks)
{
    uint32_t slot = 0;
    for (int i = first; i < node->n_in; i += stride, slot++) {
        int64_t count = tuff_tensor_count(node->in[i]);
        for (int64_t at = 0; at < count; at += TUFF_OPTIMIZER_CHUNK) {
            int64_t n = count - at < TUFF_OPTIMIZER_CHUNK ? count - at : TUFF_OPTIMIZER_CHUNK;
            *chunks++ = (tuff_chunk){slot, (uint32_t)at, (uint32_t)n};
        }
    }
}

void tuff_launch_grad_norm(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t chunks = tuff_total_chunks(node, 0, 1);
    size_t slots_size = (size_t)node->n_in * sizeof(tuff_grad_norm_slot);
    uint8_t *table = tuff_launch_data(launch, slots_size + (size_t)chunks * sizeof(tuff_chunk));
    uint64_t scratch = tuff_launch_scratch(launch, (uint64_t)chunks * 4);
    uint32_t group = tuff_reduce_group(caps);
    if (table == NULL) return;
    tuff_grad_norm_slot *slots = (tuff_grad_norm_slot *)table;
    for (int i = 0; i < node->n_in; i++)
        tuff_launch_data_address(launch, &slots[i].x, TUFF_OPERAND_IN, i, 0);
    tuff_fill_chunks(node, 0, 1, (tuff_chunk *)(table + slots_size));

    tuff_grad_norm_args *args = TUFF_LAUNCH(launch, grad_norm, tuff_grad_norm_args);
    tuff_launch_address(launch, &args->slots, TUFF_OPERAND_DATA, 0, 0);
    tuff_launch_address(launch, &args->chunks, TUFF_OPERAND_DATA, 0, slots_size);
    tuff_launch_address(launch, &args->parts, TUFF_OPERAND_SCRATCH, 0, scratch);
    args->n_chunks = (uint32_t)chunks;
    tuff_launch_spec(launch, group);
    tuff_launch_groups_1d(launch, caps, (uint64_t)chunks);

    tuff_grad_norm_join_args *join = TUFF_LAUNCH(launch, grad_norm_join, tuff_grad_norm_join_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &join->parts, TUFF_OPERAND_SCRATCH, 0, scratch);
    tuff_launch_address(launch, &join->norm, TUFF_OPERAND_OUT, 0, 0);
    join->n_parts = (uint32_t)chunks;
    tuff_launch_spec(launch, group);
}

void tuff_launch_optimizer_step(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    (void)caps;
    tuff_optimizer_step_args *args = TUFF_LAUNCH(launch, optimizer_step, tuff_optimizer_step_args);
    tuff_launch_address(launch, &args->state, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(launch, &args->norm, TUFF_OPERAND_IN, 1, 0);
    args->one_minus_beta1 = (float)(1 - node->attrs.adamw.beta1);
    args->one_minus_beta2 = (float)(1 - node->attrs.adamw.beta2);
}

/* The table of an optimizer's slots with their chunks; what is at the same place in the arguments of all.
 * Returns the number of chunks, 0 after a failure. */
static uint32_t launch_update(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch,
                              const tuff_update *u, uint64_t *args_slots, uint64_t *args_chunks)
{
    int64_t chunks = tuff_total_chunks(node, u->first, 2 + u->states);
    size_t slots_size = (size_t)u->slots * sizeof(tuff_update_slot);
    uint8_t *table = tuff_launch_data(launch, slots_size + (size_t)chunks * sizeof(tuff_chunk));
    if (table == NULL) return 0;
    tuff_update_slot *slots = (tuff_update_slot *)table;
    for (int i = 0; i < u->slots; i++) {
        int in = tuff_update_in(u, i), out = tuff_update_out(u, i);
        tuff_launch_data_address(launch, &slots[i].param, TUFF_OPERAND_OUT, out, 0);
        tuff_launch_data_address(launch, &slots[i].grad, TUFF_OPERAND_IN, in + 1, 0);
        for (int k = 0; k < u->states; k++)
            tuff_launch_data_address(launch, &slots[i].states[k], TUFF_OPERAND_OUT, out + 1 + k, 0);
        slots[i].rate = (float)node->groups[i].rate;
        slots[i].decay = (float)node->groups[i].decay;
    }
    tuff_fill_chunks(node, u->first, 2 + u->states, (tuff_chunk *)(table + slots_size));
    tuff_launch_address(launch, args_slots, TUFF_OPERAND_DATA, 0, 0);
    tuff_launch_address(launch, args_chunks, TUFF_OPERAND_DATA, 0, slots_size);
    tuff_launch_groups_1d(launch, caps, (uint64_t)chunks);
    return (uint32_t)chunks;
}

void tuff_launch_adamw(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_update u = tuff_update_of(node);
    tuff_adamw_args *args = TUFF_LAUNCH(launch, adamw, tuff_adamw_args);
    args->n_chunks = launch_update(node, caps, launch, &u, &args->slots, &args->chunks);
    TUFF_ADAMW_ARGS(node, launch, args);
}

void tuff_launch_sgd(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_sgd_params *a = &node->attrs.sgd;
    const tuff_update u = tuff_update_of(node);
    tuff_sgd_args *args = TUFF_LAUNCH(launch, sgd, tuff_sgd_args);
    args->n_chunks = launch_update(node, caps, launch, &u, &args->slots, &args->chunks);
    tuff_launch_address(launch, &args->lr, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->norm, TUFF_OPERAND_IN, 1, 0);
    args->momentum = (float)a->momentum;
    args->nesterov = a->nesterov;
    args->max_norm = (float)a->max_grad_norm;
}

void tuff_launch_lion(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_lion_params *a = &node->attrs.lion;
    const tuff_update u = tuff_update_of(node);
    tuff_lion_args *args = TUFF_LAUNCH(launch, lion, tuff_lion_args);
    args->n_chunks = launch_update(node, caps, launch, &u, &args->slots, &args->chunks);
    tuff_launch_address(launch, &args->lr, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->norm, TUFF_OPERAND_IN, 1, 0);
    args->beta1 = (float)a->beta1;
    args->one_minus_beta1 = (float)(1 - a->beta1);
    args->beta2 = (float)a->beta2;
    args->one_minus_beta2 = (float)(1 - a->beta2);
    args->max_norm = (float)a->max_grad_norm;
}
