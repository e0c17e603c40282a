/* Tensors of one value: new ones (fill) and existing ones (assign). */
#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/fill.h"

static void reference_fill(const tuff_node *node, const double *const *in, double *const *out)
{
    (void)in;
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = node->attrs.fill.value;
}

typedef struct fill_context {
    float *y;
    float value;
} fill_context;

static void fill_range(int64_t begin, int64_t end, void *context)
{
    const fill_context *c = context;
    for (int64_t i = begin; i < end; i++)
        c->y[i] = c->value;
}

static void cpu_fill(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)in;
    (void)scratch;
    fill_context c = {out[0], (float)node->attrs.fill.value};
    tuff_parallel(tuff_tensor_count(node->out[0]), tuff_grain(1), fill_range, &c);
}

static void launch_fill(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_fill_args *args = TUFF_LAUNCH(launch, fill, tuff_fill_args);
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, (uint64_t)at * 4);
        args->n = tuff_flat_count(n, at);
        args->value = (float)node->attrs.fill.value;
        tuff_launch_flat(launch, caps, args->n);
    }
}

static const tuff_kernel_row fill_rows[] = {{"plain", 0, NULL, launch_fill}};

static tuff_status infer_fill(tuff_graph *g, tuff_node *node)
{
    (void)g;
    tuff_set_out(node, 0, &node->attrs.fill.shape, TUFF_F32);
    return TUFF_OK;
}

const tuff_op_info tuff_op_fill = {
    .name = "fill",
    .n_out = 1,
    .infer = infer_fill,
    .reference = reference_fill,
    .cpu = cpu_fill,
    .cost = tuff_cost_elementwise,
    .rows = fill_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_fill(tuff_graph *g, double value, int rank, const int64_t *dims)
{
    tuff_attrs attrs = {.fill = {.value = value}};
    if (!tuff_shape_given(g, "fill", rank, dims, &attrs.fill.shape)) return NULL;
    return tuff_graph_node(g, TUFF_OP_fill, NULL, 0, &attrs);
}

static tuff_status infer_assign(tuff_graph *g, tuff_node *node)
{
    (void)g;
    return tuff_expect_dense(node, 0, "the tensor to be overwritten", NULL);
}

const tuff_op_info tuff_op_assign = {
    .name = "assign",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_place = {1},
    .infer = infer_assign,
    .reference = reference_fill,
    .cpu = cpu_fill,
    .cost = tuff_cost_elementwise,
    .rows = fill_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_assign(tuff_graph *g, tuff_tensor *x, double value)
{
    tuff_attrs attrs = {.fill = {.value = value}};
    return tuff_graph_node(g, TUFF_OP_assign, &x, 1, &attrs);
}
