/* Device kernels of argmax and top_k. Rows are looked through in parts, then what the parts found, in as many
 * rounds as it takes. */
#include "ops/geometry.h"
#include "ops/top_k.h"
#include "shaders/args/top_k.h"

static int64_t parts_of(int64_t width)
{
    return (width + TUFF_TOP_K_PART - 1) / TUFF_TOP_K_PART;
}

/* Memory that a round reads or writes: a result or scratch. */
typedef struct memory {
    tuff_operand_kind kind;
    int index;
    uint64_t offset;
} memory;

static memory scratch_of(tuff_launch *launch, int64_t words)
{
    return (memory){TUFF_OPERAND_SCRATCH, 0, tuff_launch_scratch(launch, (uint64_t)words * 4)};
}

static void address(tuff_launch *launch, uint64_t *field, memory m)
{
    tuff_launch_address(launch, field, m.kind, m.index, m.offset);
}

void tuff_launch_argmax(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t rows = tuff_top_k_rows(node), width = tuff_top_k_width(node);
    const memory y = {TUFF_OPERAND_OUT, 0, 0};
    memory keys = {TUFF_OPERAND_IN, 0, 0}, places = keys;
    for (bool more = true, first = true; more; first = false) {
        int64_t parts = parts_of(width);
        more = parts > 1;
        tuff_argmax_args *args = TUFF_LAUNCH(launch, argmax, tuff_argmax_args);
        if (!first) tuff_launch_after(launch);
        address(launch, &args->x, keys);
        address(launch, &args->x_places, places);
        keys = more ? scratch_of(launch, rows * parts) : y; /* the last round writes places only */
        places = more ? scratch_of(launch, rows * parts) : y;
        address(launch, &args->keys, keys);
        address(launch, &args->places, places);
        args->rows = (uint32_t)rows;
        args->width = (uint32_t)width;
        args->parts = (uint32_t)parts;
        args->lanes = tuff_launch_rows(launch, caps, rows * parts, width / parts);
        tuff_launch_spec(launch, first);
        tuff_launch_spec(launch, !more);
        width = parts;
    }
}

void tuff_launch_top_k(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t rows = tuff_top_k_rows(node), width = tuff_top_k_width(node), k = node->attrs.top_k.k;
    memory values = {TUFF_OPERAND_IN, 0, 0}, places = values;
    for (bool more = true, first = true; more; first = false) {
        int64_t parts = parts_of(width);
        more = parts > 1;
        tuff_top_k_args *args = TUFF_LAUNCH(launch, top_k, tuff_top_k_args);
        if (!first) tuff_launch_after(launch);
        address(launch, &args->x, values);
        address(launch, &args->x_places, places);
        values = more ? scratch_of(launch, rows * parts * k) : (memory){TUFF_OPERAND_OUT, 0, 0};
        places = more ? scratch_of(launch, rows * parts * k) : (memory){TUFF_OPERAND_OUT, 1, 0};
        address(launch, &args->values, values);
        address(launch, &args->places, places);
        args->rows = (uint32_t)rows;
        args->width = (uint32_t)width;
        args->parts = (uint32_t)parts;
        args->k = (uint32_t)k;
        tuff_launch_spec(launch, first);
        tuff_launch_spec(launch, !more);
        tuff_launch_groups_1d(launch, caps, (uint64_t)(rows * parts));
        width = parts * k;
    }
}

void tuff_launch_top_k_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_launch_zeros(launch, caps, TUFF_OPERAND_OUT, 0, tuff_tensor_count(node->out[0]));
    tuff_top_k_backward_args *args = TUFF_LAUNCH(launch, top_k_backward, tuff_top_k_backward_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->places, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->dx, TUFF_OPERAND_OUT, 0, 0);
    args->n = (uint32_t)tuff_tensor_count(node->in[0]);
    args->width = (uint32_t)node->attrs.top_k.width;
    args->k = (uint32_t)node->attrs.top_k.k;
    tuff_launch_flat(launch, caps, args->n);
}
