/* Device kernels of the optimizer ops: one dispatch over a table of all tensors. */
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "shaders/args/optimizer.h"

void tuff_launch_accumulate(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_launch_elementwise(launch, caps, tuff_tensor_count(node->out[0]), TUFF_BINARY_ADD, 1, 0);
}

/* Of inputs first, first + stride, .. in order. */
static void fill_chunks(const tuff_node *node, int first, int stride, tuff_chunk *chunks)
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
    fill_chunks(node, 0, 1, (tuff_chunk *)(table + slots_size));

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

void tuff_launch_adamw(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_adamw_params *a = &node->attrs.adamw;
    int64_t chunks = tuff_total_chunks(node, TUFF_ADAMW_FIRST, TUFF_ADAMW_STRIDE);
    int n_slots = node->n_out / 3;
    size_t slots_size = (size_t)n_slots * sizeof(tuff_adamw_slot_addresses);
    uint8_t *table = tuff_launch_data(launch, slots_size + (size_t)chunks * sizeof(tuff_chunk));
    if (table == NULL) return;
    tuff_adamw_slot_addresses *slots = (tuff_adamw_slot_addresses *)table;
    for (int i = 0; i < n_slots; i++) {
        tuff_launch_data_address(launch, &slots[i].param, TUFF_OPERAND_OUT, 3 * i, 0);
        tuff_launch_data_address(launch, &slots[i].grad, TUFF_OPERAND_IN,
                                 TUFF_ADAMW_FIRST + i * TUFF_ADAMW_STRIDE + 1, 0);
        tuff_launch_data_address(launch, &slots[i].m, TUFF_OPERAND_OUT, 3 * i + 1, 0);
        tuff_launch_data_address(launch, &slots[i].v, TUFF_OPERAND_OUT, 3 * i + 2, 0);
        slots[i].decay = node->decay[i];
    }
    fill_chunks(node, TUFF_ADAMW_FIRST, TUFF_ADAMW_STRIDE, (tuff_chunk *)(table + slots_size));

    tuff_adamw_args *args = TUFF_LAUNCH(launch, adamw, tuff_adamw_args);
    tuff_launch_address(launch, &args->slots, TUFF_OPERAND_DATA, 0, 0);
    tuff_launch_address(launch, &args->chunks, TUFF_OPERAND_DATA, 0, slots_size);
    tuff_launch_address(launch, &args->lr, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->norm, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->state, TUFF_OPERAND_IN, 2, 0);
    args->beta1 = (float)a->beta1;
    args->one_minus_beta1 = (float)(1 - a->beta1);
    args->beta2 = (float)a->beta2;
    args->one_minus_beta2 = (float)(1 - a->beta2);
    args->eps = (float)a->eps;
    args->weight_decay = (float)a->weight_decay;
    args->max_norm = (float)a->max_grad_norm;
    args->n_chunks = (uint32_t)chunks;
    tuff_launch_groups_1d(launch, caps, (uint64_t)chunks);
}
