/* Device kernels of the norms. */
#include "ops/geometry.h"
#include "ops/norm.h"
#include "ops/sum.h"
#include "shaders/args/norm.h"

void tuff_launch_norm(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    bool layer = node->op == TUFF_OP_layer_norm;
    tuff_norm_args *args =
        tuff_launch_add(launch, layer ? TUFF_SHADER_layer_norm : TUFF_SHADER_rms_norm, sizeof *args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->weight, TUFF_OPERAND_IN, 1, 0);
    if (layer) tuff_launch_address(launch, &args->bias, TUFF_OPERAND_IN, 2, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    if (layer) tuff_launch_address(launch, &args->mean, TUFF_OPERAND_OUT, 1, 0);
    tuff_launch_address(launch, &args->rstd, TUFF_OPERAND_OUT, layer ? 2 : 1, 0);
    args->rows = (uint32_t)s.rows;
    args->width = (uint32_t)s.width;
    args->eps = (float)node->attrs.norm.eps;
    args->lanes = tuff_launch_rows(launch, caps, s.rows, s.width);
}

void tuff_launch_norm_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    bool layer = node->op == TUFF_OP_layer_norm_backward;
    tuff_norm_backward_args *args = tuff_launch_add(
        launch, layer ? TUFF_SHADER_layer_norm_backward : TUFF_SHADER_rms_norm_backward, sizeof *args);
    tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->weight, TUFF_OPERAND_IN, 2, 0);
    if (layer) tuff_launch_address(launch, &args->mean, TUFF_OPERAND_IN, 3, 0);
    tuff_launch_address(launch, &args->rstd, TUFF_OPERAND_IN, layer ? 4 : 3, 0);
    tuff_launch_address(launch, &args->dx, TUFF_OPERAND_OUT, 0, 0);
    args->adds = node->in[node->n_in - 1] != NULL;
    if (args->adds) tuff_launch_address(launch, &args->addend, TUFF_OPERAND_IN, node->n_in - 1, 0);
    args->rows = (uint32_t)s.rows;
    args->width = (uint32_t)s.width;
    args->lanes = tuff_launch_rows(launch, caps, s.rows, s.width);
}

void tuff_launch_norm_backward_params(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    bool layer = node->op == TUFF_OP_layer_norm_backward_params;
    int64_t per_part = tuff_sum_part_rows(s.rows), parts = (s.rows + per_part - 1) / per_part;
    tuff_norm_params_args *args = tuff_launch_add(
        launch, layer ? TUFF_SHADER_layer_norm_params : TUFF_SHADER_rms_norm_params, sizeof *args);
    tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 1, 0);
    if (layer) tuff_launch_address(launch, &args->mean, TUFF_OPERAND_IN, 2, 0);
    tuff_launch_address(launch, &args->rstd, TUFF_OPERAND_IN, layer ? 3 : 2, 0);
    uint64_t scratch[2] = {0, 0};
    for (int o = 0; o < node->n_out; o++) {
        if (parts > 1) scratch[o] = tuff_launch_scratch(launch, (uint64_t)(parts * s.width) * 4);
        tuff_launch_address(launch, o == 0 ? &args->dweight : &args->dbias,
                            parts > 1 ? TUFF_OPERAND_SCRATCH : TUFF_OPERAND_OUT, parts > 1 ? 0 : o,
                            scratch[o]);
    }
    args->rows = (uint32_t)s.rows;
    args->width = (uint32_t)s.width;
    args->per_part = (uint32_t)per_part;
    args->parts = (uint32_t)parts;
    tuff_launch_groups_1d(launch, caps,
                          (uint64_t)((s.width + TUFF_FLAT_GROUP - 1) / TUFF_FLAT_GROUP * parts));
    for (int o = 0; parts > 1 && o < node->n_out; o++) {
        tuff_launch_sum_parts(launch, caps, scratch[o], parts, s.width, o);
        if (o == 0) tuff_launch_after(launch);
    }
}
