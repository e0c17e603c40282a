/* Copies of strided tensors, and casts between float types. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ir/dtype.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/copy.h"

static tuff_status infer_copy(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[0];
    tuff_dtype to = node->attrs.copy.dtype;
    if ((unsigned)to >= TUFF_DTYPE_COUNT)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "copy: %d is no element type", (int)to);
    if (tuff_dtype_is_block(to))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "copy: nothing makes %s; copy it as f32, f16 or bf16",
                         tuff_dtype_name(to));
    bool from_float = tuff_dtype_is_float(x->dtype) || tuff_dtype_is_block(x->dtype);
    if (to != x->dtype && !(tuff_dtype_is_float(to) && from_float))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "copy: only float types are converted, not %s to %s",
                         tuff_dtype_name(x->dtype), tuff_dtype_name(to));
    tuff_set_out(node, 0, &x->shape, to);
    return TUFF_OK;
}

static void backward_copy(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                          tuff_tensor **d_in)
{
    (void)g;
    (void)node;
    if (needs[0]) d_in[0] = d_out[0]; /* rounding has no derivative: a cast passes gradients on */
}

/* A cast rounds when its result is stored, which is not the op's business. */
static void reference_copy(const tuff_node *node, const double *const *in, double *const *out)
{
    memcpy(out[0], in[0], (size_t)tuff_tensor_count(node->out[0]) * sizeof(double));
}

/* ---- host kernel ---- */

typedef struct copy_context {
    const unsigned char *x;
    unsigned char *y;
    tuff_dtype from, to;
} copy_context;

TUFF_KERNEL static void gather32(const uint32_t *x, int64_t stride, uint32_t *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i * stride];
}

TUFF_KERNEL static void gather16(const uint16_t *x, int64_t stride, uint16_t *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i * stride];
}

static void copy_same(const void *x, int64_t stride, void *y, int64_t n, unsigned size)
{
    if (stride == 1)
        memcpy(y, x, (size_t)n * size);
    else if (size == 4)
        gather32(x, stride, y, n);
    else
        gather16(x, stride, y, n);
}

enum { PIECE = 512 };

/* From blocks: what lies apart in them is read one by one. */
static void copy_blocks(const copy_context *c, const tuff_run *run)
{
    float values[PIECE];
    for (int64_t at = 0; at < run->n; at += PIECE) {
        int64_t n = run->n - at < PIECE ? run->n - at : PIECE, from = run->at[1] + at * run->stride[1];
        if (run->stride[1] == 1)
            tuff_load_f32(c->x, c->from, from, n, values);
        else
            for (int64_t i = 0; i < n; i++)
                tuff_load_f32(c->x, c->from, from + i * run->stride[1], 1, values + i);
        tuff_dtype_from_f32(c->to, values, c->y + (run->at[0] + at) * tuff_dtype_size(c->to), (size_t)n);
    }
}

static void copy_run(const void *context, const tuff_run *run)
{
    const copy_context *c = context;
    if (tuff_dtype_is_block(c->from)) {
        copy_blocks(c, run);
        return;
    }
    unsigned from = tuff_dtype_size(c->from), to = tuff_dtype_size(c->to);
    const unsigned char *x = c->x + run->at[1] * from;
    unsigned char *y = c->y + run->at[0] * to;
    if (c->from == c->to) {
        copy_same(x, run->stride[1], y, run->n, from);
        return;
    }
    uint32_t gathered[PIECE];
    float values[PIECE];
    for (int64_t at = 0; at < run->n; at += PIECE) {
        int64_t n = run->n - at < PIECE ? run->n - at : PIECE;
        copy_same(x + at * run->stride[1] * from, run->stride[1], gathered, n, from);
        tuff_dtype_to_f32(c->from, gathered, values, (size_t)n);
        tuff_dtype_from_f32(c->to, values, y + at * to, (size_t)n);
    }
}

/* A transposed matrix of 32-bit elements goes by tiles, so that both sides use whole cache lines. */
enum { TILE = 16 };

typedef struct transpose_context {
    const uint32_t *x;
    uint32_t *y;
    const tuff_loop *loop;
} transpose_context;

TUFF_KERNEL static void transpose_tile(const uint32_t *x, int64_t x_stride, uint32_t *restrict y,
                                       int64_t y_stride, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            y[r * y_stride + c] = x[c * x_stride + r];
}

static void transpose_range(int64_t begin, int64_t end, void *context)
{
    const transpose_context *t = context;
    const int64_t *dim = t->loop->dim, *sy = t->loop->stride[0], *sx = t->loop->stride[1];
    int64_t bands = (dim[2] + TILE - 1) / TILE;
    for (int64_t item = begin; item < end; item++) {
        int64_t row = item % bands * TILE, i1 = item / bands % dim[1], i0 = item / bands / dim[1];
        int64_t rows = dim[2] - row < TILE ? dim[2] - row : TILE;
        const uint32_t *x = t->x + i0 * sx[0] + i1 * sx[1] + row;
        uint32_t *y = t->y + i0 * sy[0] + i1 * sy[1] + row * sy[2];
        for (int64_t column = 0; column < dim[3]; column += TILE) {
            int64_t columns = dim[3] - column < TILE ? dim[3] - column : TILE;
            transpose_tile(x + column * sx[3], sx[3], y + column, sy[2], rows, columns);
        }
    }
}

static void cpu_copy(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    tuff_loop loop = tuff_loop_over(node->out[0], node->in[0], NULL);
    copy_context c = {in[0], out[0], node->in[0]->dtype, node->out[0]->dtype};
    if (c.from == c.to && tuff_dtype_size(c.from) == 4 && loop.stride[1][2] == 1 && loop.stride[1][3] > 1) {
        transpose_context t = {in[0], out[0], &loop};
        int64_t bands = loop.dim[0] * loop.dim[1] * ((loop.dim[2] + TILE - 1) / TILE);
        tuff_parallel(bands, tuff_grain(loop.dim[3] * TILE), transpose_range, &t);
    } else {
        tuff_loop_runs(&loop, copy_run, &c);
    }
}

/* ---- device kernels ---- */

static bool match_words(const tuff_node *node, const tuff_caps *caps)
{
    tuff_dtype from = node->in[0]->dtype, to = node->out[0]->dtype;
    return from == to && tuff_dtype_size(from) == 4 && tuff_match_32(node, caps);
}

static void launch_words(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_loop loop = tuff_loop_over(node->out[0], node->in[0], NULL);
    tuff_copy_words_args *args = TUFF_LAUNCH(launch, copy_words, tuff_copy_words_args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->dim1 = (uint32_t)loop.dim[1];
    args->dim2 = (uint32_t)loop.dim[2];
    for (int i = 0; i < 4; i++)
        args->stride[i] = (uint32_t)loop.stride[1][i];
    tuff_launch_tiles(launch, caps, loop.count / loop.dim[3], loop.dim[3], args->tile);
}

static bool match_cast(const tuff_node *node, const tuff_caps *caps)
{
    if (tuff_dtype_is_block(node->in[0]->dtype)) return tuff_match_32(node, caps);
    bool halves = tuff_dtype_size(node->in[0]->dtype) == 2 || tuff_dtype_size(node->out[0]->dtype) == 2;
    return halves && tuff_match_32(node, caps);
}

static uint32_t cast_type(tuff_dtype dtype)
{
    return dtype == TUFF_F32 ? TUFF_CAST_F32 : dtype == TUFF_F16 ? TUFF_CAST_F16 : TUFF_CAST_BF16;
}

static void launch_cast(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_tensor *x = node->in[0], *y = node->out[0];
    tuff_loop loop = tuff_loop_over(y, x, NULL);
    tuff_copy_cast_args *args = tuff_launch_add(
        launch, tuff_dtype_is_block(x->dtype) ? TUFF_SHADER_copy_cast_blocks : TUFF_SHADER_copy_cast,
        sizeof *args);
    args->first = tuff_launch_stored(launch, &args->x, node, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->n = (uint32_t)loop.count;
    tuff_launch_spec(launch, cast_type(x->dtype));
    tuff_launch_spec(launch, cast_type(y->dtype));
    tuff_launch_spec(launch, tuff_tensor_contiguous(x));
    tuff_launch_block(launch, x->dtype);
    for (int i = 0; i < 4; i++) {
        args->dim[i] = (uint32_t)loop.dim[i];
        args->stride[i] = (uint32_t)loop.stride[1][i];
    }
    tuff_launch_flat(launch, caps, y->dtype == TUFF_F32 ? args->n : (args->n + UINT64_C(1)) / 2);
}

static const tuff_kernel_row copy_rows[] = {
    {"words", 0, match_words, launch_words},
    {"cast", 0, match_cast, launch_cast},
};

const tuff_op_info tuff_op_copy = {
    .name = "copy",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer_copy,
    .backward = backward_copy,
    .reference = reference_copy,
    .cpu = cpu_copy,
    .cost = tuff_cost_elementwise,
    .rows = copy_rows,
    .n_rows = 2,
};

tuff_tensor *tuff_copy(tuff_graph *g, tuff_tensor *x, tuff_dtype dtype)
{
    tuff_attrs attrs = {.copy = {.dtype = dtype}};
    return tuff_graph_node(g, TUFF_OP_copy, &x, 1, &attrs);
}
