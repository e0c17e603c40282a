/* Device kernels of means and maxima over segments. */
#include "ops/geometry.h"
#include "ops/segment.h"
#include "shaders/args/segment.h"

void tuff_launch_segment(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t *x = node->in[0]->shape.dim, count = node->out[0]->shape.dim[0];
    bool max = node->op == TUFF_OP_segment_max;
    int64_t blocks = (x[1] + TUFF_SEGMENT_COLUMNS - 1) / TUFF_SEGMENT_COLUMNS;
    tuff_segment_args *args =
        tuff_launch_add(launch, max ? TUFF_SHADER_segment_max : TUFF_SHADER_segment_mean, sizeof *args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->segments, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    if (max) tuff_launch_address(launch, &args->at, TUFF_OPERAND_OUT, 1, 0);
    args->count = (uint32_t)count;
    args->rows = (uint32_t)x[0];
    args->columns = (uint32_t)x[1];
    args->blocks = (uint32_t)blocks;
    args->by_position = node->attrs.segment.by_position;
    tuff_launch_groups_1d(launch, caps, (uint64_t)(count * blocks));
}

void tuff_launch_segment_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t *x = node->out[0]->shape.dim, count = node->in[0]->shape.dim[0];
    bool max = node->op == TUFF_OP_segment_max_backward;
    uint64_t found = tuff_launch_scratch(launch, (uint64_t)x[0] * 8);

    tuff_segment_find_args *find = TUFF_LAUNCH(launch, segment_find, tuff_segment_find_args);
    tuff_launch_address(launch, &find->segments, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &find->found, TUFF_OPERAND_SCRATCH, 0, found);
    find->count = (uint32_t)count;
    find->rows = (uint32_t)x[0];
    enum { ROWS = TUFF_FLAT_GROUP * TUFF_SEGMENT_EACH };
    tuff_launch_groups_1d(launch, caps, (uint64_t)((x[0] + ROWS - 1) / ROWS));

    tuff_segment_backward_args *args = tuff_launch_add(
        launch, max ? TUFF_SHADER_segment_max_backward : TUFF_SHADER_segment_mean_backward, sizeof *args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->segments, TUFF_OPERAND_IN, 1, 0);
    if (max) tuff_launch_address(launch, &args->at, TUFF_OPERAND_IN, 2, 0);
    tuff_launch_address(launch, &args->found, TUFF_OPERAND_SCRATCH, 0, found);
    tuff_launch_address(launch, &args->dx, TUFF_OPERAND_OUT, 0, 0);
    args->by_position = node->attrs.segment.by_position;
    tuff_launch_tiles(launch, caps, x[0], x[1], args->tile);
}
