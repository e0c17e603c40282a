/* Binary operations with NumPy broadcasting, scale. The host loops are in elementwise_cpu.c. */
#include "backend/cpu/kernels.h"
#include "ops/elementwise.h"
#include "ops/geometry.h"
#include "ops/support.h"

/* ---- binary operations: shapes, references ---- */

static tuff_status infer_binary(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *a = node->in[0], *b = node->in[1];
    tuff_shape shape;
    TUFF_TRY(tuff_expect_dtype(node, 0, "a", TUFF_F32));
    TUFF_TRY(tuff_expect_dtype(node, 1, "b", TUFF_F32));
    if (!tuff_shape_broadcast(&a->shape, &b->shape, &shape))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: shapes do not broadcast: a is %s, b is %s",
                         tuff_op_name(node->op), tuff_shape_text(&a->shape), tuff_shape_text(&b->shape));
    tuff_set_out(node, 0, &shape, TUFF_F32);
    return TUFF_OK;
}

/* Position in a dense array of x's shape of the element that y's element `index` is made from. */
static int64_t broadcast_index(const tuff_shape *x, const tuff_shape *y, int64_t index)
{
    int64_t at = 0, step = 1;
    for (int i = y->rank - 1, k = x->rank - 1; k >= 0; i--, k--) {
        if (x->dim[k] != 1) at += index % y->dim[i] * step;
        index /= y->dim[i];
        step *= x->dim[k];
    }
    return at;
}

/* The larger one, or the one that is NaN. */
static double larger(double a, double b)
{
    return a != a ? a : b != b ? b : a >= b ? a : b;
}

static double binary_of(tuff_op op, double a, double b)
{
    switch (op) {
    case TUFF_OP_add:
        return a + b;
    case TUFF_OP_sub:
        return a - b;
    case TUFF_OP_mul:
        return a * b;
    case TUFF_OP_div:
        return a / b;
    case TUFF_OP_maximum:
        return larger(a, b);
    case TUFF_OP_minimum:
        return -larger(-a, -b);
    default: /* greater */
        return a != a ? a : b != b ? b : a > b ? 1 : a == b ? 0.5 : 0;
    }
}

static void reference_binary(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_shape *a = &node->in[0]->shape, *b = &node->in[1]->shape, *y = &node->out[0]->shape;
    int64_t n = tuff_shape_count(y);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = binary_of(node->op, in[0][broadcast_index(a, y, i)], in[1][broadcast_index(b, y, i)]);
}

/* ---- binary operations: backward ---- */

static void backward_add(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                         tuff_tensor **d_in)
{
    (void)g;
    (void)node;
    for (int i = 0; i < 2; i++)
        if (needs[i]) d_in[i] = d_out[0];
}

static void backward_sub(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                         tuff_tensor **d_in)
{
    (void)node;
    if (needs[0]) d_in[0] = d_out[0];
    if (needs[1]) d_in[1] = tuff_scale(g, d_out[0], -1);
}

static void backward_mul(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                         tuff_tensor **d_in)
{
    for (int i = 0; i < 2; i++)
        if (needs[i]) d_in[i] = tuff_mul(g, d_out[0], node->in[1 - i]);
}

/* d(a / b) = (da - y db) / b */
static void backward_div(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                         tuff_tensor **d_in)
{
    tuff_tensor *d = tuff_div(g, d_out[0], node->in[1]);
    if (needs[0]) d_in[0] = d;
    if (needs[1]) d_in[1] = tuff_scale(g, tuff_mul(g, d, node->out[0]), -1);
}

/* The gradient goes to the operand that was taken, half to each where they are equal. */
static void backward_extremum(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                              const bool *needs, tuff_tensor **d_in)
{
    bool larger_one = node->op == TUFF_OP_maximum;
    for (int i = 0; i < 2; i++)
        if (needs[i]) {
            tuff_tensor *self = node->in[i], *other = node->in[1 - i];
            tuff_tensor *share = larger_one ? tuff_greater(g, self, other) : tuff_greater(g, other, self);
            d_in[i] = tuff_mul(g, d_out[0], share);
        }
}

/* ---- binary operations: kernels ---- */

static tuff_binary binary_kind(const tuff_node *node)
{
    switch (node->op) {
    case TUFF_OP_add:
        return TUFF_BINARY_ADD;
    case TUFF_OP_sub:
        return TUFF_BINARY_SUB;
    case TUFF_OP_mul:
        return TUFF_BINARY_MUL;
    case TUFF_OP_div:
        return TUFF_BINARY_DIV;
    case TUFF_OP_maximum:
        return TUFF_BINARY_MAXIMUM;
    case TUFF_OP_minimum:
        return TUFF_BINARY_MINIMUM;
    default:
        return TUFF_BINARY_GREATER;
    }
}

static void cpu_binary(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    tuff_loop loop = tuff_loop_over(node->out[0], node->in[0], node->in[1]);
    tuff_binary_host(binary_kind(node), &loop, in[0], in[1], out[0]);
}

void tuff_launch_elementwise(tuff_launch *launch, const tuff_caps *caps, int64_t n, tuff_binary op, int b,
                             float factor)
{
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_elementwise_args *args = TUFF_LAUNCH(launch, elementwise, tuff_elementwise_args);
        tuff_launch_address(launch, &args->a, TUFF_OPERAND_IN, 0, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->b, TUFF_OPERAND_IN, b, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, (uint64_t)at * 4);
        args->n = tuff_flat_count(n, at);
        args->factor = factor;
        tuff_launch_spec(launch, op);
        tuff_launch_flat(launch, caps, args->n);
    }
}

static bool match_dense(const tuff_node *node, const tuff_caps *caps)
{
    (void)caps;
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int i = 0; i < 2; i++)
        if (!tuff_tensor_contiguous(node->in[i]) || tuff_tensor_count(node->in[i]) != n) return false;
    return true;
}

static void launch_dense(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_launch_elementwise(launch, caps, tuff_tensor_count(node->out[0]), binary_kind(node), 1, 0);
}

static void launch_strided(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_loop loop = tuff_loop_over(node->out[0], node->in[0], node->in[1]);
    tuff_elementwise_strided_args *args =
        TUFF_LAUNCH(launch, elementwise_strided, tuff_elementwise_strided_args);
    tuff_launch_address(launch, &args->a, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->b, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->dim1 = (uint32_t)loop.dim[1];
    args->dim2 = (uint32_t)loop.dim[2];
    for (int i = 0; i < 4; i++) {
        args->a_stride[i] = (uint32_t)loop.stride[1][i];
        args->b_stride[i] = (uint32_t)loop.stride[2][i];
    }
    tuff_launch_spec(launch, binary_kind(node));
    tuff_launch_tiles(launch, caps, loop.count / loop.dim[3], loop.dim[3], args->tile);
}

static const tuff_kernel_row binary_rows[] = {
    {"dense", 0, match_dense, launch_dense},
    {"strided", 0, tuff_match_32, launch_strided},
};

#define BINARY(op, backward_rule)                                                  \
    const tuff_op_info tuff_op_##op = {                                            \
        .name = #op,                                                               \
        .min_in = 2,                                                               \
        .max_in = 2,                                                               \
        .n_out = 1,                                                                \
        .may_alias = {3},                                                          \
        .infer = infer_binary,                                                     \
        .backward = backward_rule,                                                 \
        .reference = reference_binary,                                             \
        .cpu = cpu_binary,                                                         \
        .cost = tuff_cost_elementwise,                                             \
        .rows = binary_rows,                                                       \
        .n_rows = 2,                                                               \
    };                                                                             \
    tuff_tensor *tuff_##op(tuff_graph *g, tuff_tensor *a, tuff_tensor *b)          \
    {                                                                              \
        return tuff_graph_node(g, TUFF_OP_##op, (tuff_tensor *[]){a, b}, 2, NULL); \
    }

BINARY(add, backward_add)
BINARY(sub, backward_sub)
BINARY(mul, backward_mul)
BINARY(div, backward_div)
BINARY(maximum, backward_extremum)
BINARY(minimum, backward_extremum)
BINARY(greater, NULL)

/* ---- scale ---- */

static tuff_status infer_scale(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

static void backward_scale(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                           tuff_tensor **d_in)
{
    if (needs[0]) d_in[0] = tuff_scale(g, d_out[0], node->attrs.scale.factor);
}

static void reference_scale(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = in[0][i] * (float)node->attrs.scale.factor;
}

static void cpu_scale(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    tuff_scale_host(tuff_tensor_count(node->out[0]), in[0], (float)node->attrs.scale.factor, out[0]);
}

static void launch_scale(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_launch_elementwise(launch, caps, tuff_tensor_count(node->out[0]), TUFF_BINARY_SCALE, 0,
                            (float)node->attrs.scale.factor);
}

static const tuff_kernel_row scale_rows[] = {{"plain", 0, NULL, launch_scale}};

const tuff_op_info tuff_op_scale = {
    .name = "scale",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .may_alias = {1},
    .infer = infer_scale,
    .backward = backward_scale,
    .reference = reference_scale,
    .cpu = cpu_scale,
    .cost = tuff_cost_elementwise,
    .rows = scale_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_scale(tuff_graph *g, tuff_tensor *x, double factor)
{
    tuff_attrs attrs = {.scale = {.factor = factor}};
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_scale, &x, 1, &attrs);
}
