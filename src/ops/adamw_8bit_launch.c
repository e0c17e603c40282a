/* The device kernel of AdamW with moments of 8 bits: one dispatch over tables of slots and of their chunks.
 */
#include "ops/adamw_8bit.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "shaders/args/adamw_8bit.h"
#include "shaders/args/optimizer.h"

_Static_assert(TUFF_ADAMW_8BIT_LANES * 4 == TUFF_ADAMW_8BIT_BLOCK, "an invocation has a word of each moment");
_Static_assert(TUFF_OPTIMIZER_CHUNK % TUFF_ADAMW_8BIT_BLOCK == 0, "chunks are whole blocks");

static void fill_slot(const tuff_node *node, tuff_launch *launch, int i, tuff_adamw_8bit_entry *e)
{
    const int out = tuff_adamw_8bit_out(i);
    tuff_launch_data_address(launch, &e->param, TUFF_OPERAND_OUT, out, 0);
    tuff_launch_data_address(launch, &e->grad, TUFF_OPERAND_IN, tuff_adamw_8bit_in(i) + 1, 0);
    for (int k = 0; k < 2; k++) {
        tuff_launch_data_address(launch, &e->moments[k], TUFF_OPERAND_OUT, out + 1 + k, 0);
        tuff_launch_data_address(launch, &e->scales[k], TUFF_OPERAND_OUT, out + 3 + k, 0);
    }
    e->rate = (float)node->groups[i].rate;
    e->decay = (float)node->groups[i].decay;
}

void tuff_launch_adamw_8bit(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int slots = tuff_adamw_8bit_count(node);
    const int64_t n = tuff_total_chunks(node, TUFF_ADAMW_8BIT_FIRST, TUFF_ADAMW_8BIT_WIDTH);
    const size_t maps = (size_t)slots * sizeof(tuff_adamw_8bit_entry),
                 chunks = maps + sizeof(tuff_dynamic_maps);
    uint8_t *table = tuff_launch_data(launch, chunks + (size_t)n * sizeof(tuff_chunk));
    if (table == NULL) return;
    for (int i = 0; i < slots; i++)
        fill_slot(node, launch, i, (tuff_adamw_8bit_entry *)table + i);
    tuff_fill_chunks(node, TUFF_ADAMW_8BIT_FIRST, TUFF_ADAMW_8BIT_WIDTH, (tuff_chunk *)(table + chunks));
    tuff_dynamic_maps_make((tuff_dynamic_maps *)(table + maps));

    tuff_adamw_8bit_args *args = TUFF_LAUNCH(launch, adamw_8bit, tuff_adamw_8bit_args);
    tuff_launch_address(launch, &args->slots, TUFF_OPERAND_DATA, 0, 0);
    tuff_launch_address(launch, &args->maps, TUFF_OPERAND_DATA, 0, maps);
    tuff_launch_address(launch, &args->chunks, TUFF_OPERAND_DATA, 0, chunks);
    TUFF_ADAMW_ARGS(node, launch, args);
    args->n_chunks = (uint32_t)n;
    tuff_launch_groups_1d(launch, caps, (uint64_t)n);
}
