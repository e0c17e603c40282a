/* Embedding lookup, and its backward by the host's token-to-positions list. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ir/dtype.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/embedding.h"

enum { TABLE, IDS, INDEX };

/* ---- embedding(table, ids, index?) ---- */

static tuff_status expect_index(const tuff_node *node, int i, int64_t n)
{
    tuff_shape shape = tuff_shape_of(1, (int64_t[]){(int64_t)tuff_embedding_index_size((size_t)n)});
    TUFF_TRY(tuff_expect_dtype(node, i, "index", TUFF_I32));
    TUFF_TRY(tuff_expect_shape(node, i, "index", &shape));
    return tuff_expect_contiguous(node, i, "index");
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *table = node->in[TABLE], *ids = node->in[IDS];
    if (!tuff_dtype_is_float(table->dtype) && !tuff_dtype_is_block(table->dtype))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "embedding: the table must be f32, f16, bf16 or of a block type, but is %s",
                         tuff_dtype_name(table->dtype));
    if (table->shape.rank != 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "embedding: the table must be [rows, columns], but is %s",
                         tuff_shape_text(&table->shape));
    if (ids->shape.rank >= TUFF_MAX_RANK)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "embedding: ids have at most %d axes, but are %s",
                         TUFF_MAX_RANK - 1, tuff_shape_text(&ids->shape));
    TUFF_TRY(tuff_expect_contiguous(node, TABLE, "the table"));
    TUFF_TRY(tuff_expect_dtype(node, IDS, "ids", TUFF_I32));
    TUFF_TRY(tuff_expect_contiguous(node, IDS, "ids"));
    if (node->in[INDEX]) TUFF_TRY(expect_index(node, INDEX, tuff_tensor_count(ids)));
    tuff_shape shape = ids->shape;
    shape.dim[shape.rank++] = table->shape.dim[1];
    tuff_set_out(node, 0, &shape, TUFF_F32);
    return TUFF_OK;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    const tuff_tensor *table = node->in[TABLE];
    if (!needs[TABLE]) return;
    if (node->in[INDEX] == NULL) {
        tuff_graph_fail(
            g, TUFF_INVALID_ARGUMENT,
            "embedding: the gradient of the table needs an index; pass tuff_embedding_index's list");
        return;
    }
    tuff_tensor *in[3] = {tuff_fill(g, 0, 2, table->shape.dim), tuff_dense(g, d_out[0]), node->in[INDEX]};
    d_in[TABLE] = tuff_graph_node(g, TUFF_OP_embedding_backward, in, 3, NULL);
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t V = node->in[TABLE]->shape.dim[0], C = node->in[TABLE]->shape.dim[1];
    int64_t n = tuff_tensor_count(node->in[IDS]);
    for (int64_t i = 0; i < n; i++) {
        int64_t id = (int64_t)in[IDS][i];
        for (int64_t c = 0; c < C; c++)
            out[0][i * C + c] = id >= 0 && id < V ? in[TABLE][id * C + c] : NAN;
    }
}

typedef struct task {
    const tuff_node *node;
    const void *table;
    const int32_t *ids;
    const float *dy;
    float *y;
} task;

static void lookup_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    const tuff_tensor *table = w->node->in[TABLE];
    int64_t V = table->shape.dim[0], C = table->shape.dim[1];
    for (int64_t i = begin; i < end; i++) {
        int64_t id = w->ids[i];
        float *y = w->y + i * C;
        if (id >= 0 && id < V)
            tuff_load_f32(w->table, table->dtype, id * C, C, y);
        else
            for (int64_t c = 0; c < C; c++)
                y[c] = NAN;
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    task w = {.node = node, .table = in[TABLE], .ids = in[IDS], .y = out[0]};
    tuff_parallel(tuff_tensor_count(node->in[IDS]), tuff_grain(node->in[TABLE]->shape.dim[1]), lookup_range,
                  &w);
}

static tuff_cost cost(const tuff_node *node)
{
    double bytes = (double)tuff_tensor_bytes(node->out[0]);
    return (tuff_cost){
        0, bytes + (double)tuff_dtype_bytes(node->in[TABLE]->dtype, tuff_tensor_count(node->out[0]))};
}

static void launch_lookup(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_tensor *table = node->in[TABLE];
    tuff_embedding_args *args = tuff_launch_add(
        launch, tuff_dtype_is_block(table->dtype) ? TUFF_SHADER_embedding_blocks : TUFF_SHADER_embedding,
        sizeof *args);
    args->stored = table->dtype == TUFF_F32   ? TUFF_TABLE_F32
                   : table->dtype == TUFF_F16 ? TUFF_TABLE_F16
                                              : TUFF_TABLE_BF16;
    args->first = tuff_launch_stored(launch, &args->table, node, TABLE);
    tuff_launch_block(launch, table->dtype);
    tuff_launch_address(launch, &args->ids, TUFF_OPERAND_IN, IDS, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->vocabulary = (uint32_t)table->shape.dim[0];
    tuff_launch_tiles(launch, caps, tuff_tensor_count(node->in[IDS]), table->shape.dim[1], args->tile);
}

static const tuff_kernel_row lookup_rows[] = {{"embedding", 0, tuff_match_32, launch_lookup}};

const tuff_op_info tuff_op_embedding = {
    .name = "embedding",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = cpu,
    .cost = cost,
    .rows = lookup_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_embedding(tuff_graph *g, tuff_tensor *table, tuff_tensor *ids, tuff_tensor *index)
{
    tuff_tensor *in[3] = {tuff_dense(g, table), ids, index};
    return tuff_graph_node(g, TUFF_OP_embedding, in, 3, NULL);
}

/* ---- embedding_backward(accumulator, dy, index): adds each looked-up row's gradients to the accumulator, in
 * place, in ascending order of positions ---- */

enum { ACCUMULATOR, D_Y };

static tuff_status infer_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *accumulator = node->in[ACCUMULATOR], *dy = node->in[D_Y];
    TUFF_TRY(tuff_expect_dense(node, ACCUMULATOR, "the accumulator", NULL));
    TUFF_TRY(tuff_expect_dense(node, D_Y, "dy", NULL));
    int last = dy->shape.rank - 1;
    if (accumulator->shape.rank != 2 || last < 0 || dy->shape.dim[last] != accumulator->shape.dim[1])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "embedding_backward: the accumulator %s does not fit dy %s",
                         tuff_shape_text(&accumulator->shape), tuff_shape_text(&dy->shape));
    return expect_index(node, INDEX, tuff_tensor_count(dy) / accumulator->shape.dim[1]);
}

static void reference_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t V = node->in[ACCUMULATOR]->shape.dim[0], C = node->in[ACCUMULATOR]->shape.dim[1];
    int64_t n = tuff_tensor_count(node->in[D_Y]) / C, used = (int64_t)in[INDEX][0];
    const double *rows = in[INDEX] + 1, *starts = rows + n, *positions = starts + n + 1;
    for (int64_t i = 0; i < V * C; i++)
        out[0][i] = in[ACCUMULATOR][i];
    for (int64_t i = 0; i < used && i < n; i++) {
        if (rows[i] < 0 || rows[i] >= (double)V) continue;
        for (int64_t k = (int64_t)starts[i]; k < (int64_t)starts[i + 1]; k++)
            for (int64_t c = 0; c < C; c++)
                out[0][(int64_t)rows[i] * C + c] += in[D_Y][(int64_t)positions[k] * C + c];
    }
}

TUFF_KERNEL static void add_row(float *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* The list comes from the host program: what points outside is left out. */
static void scatter_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    int64_t V = w->node->in[ACCUMULATOR]->shape.dim[0], C = w->node->in[ACCUMULATOR]->shape.dim[1];
    int64_t n = tuff_tensor_count(w->node->in[D_Y]) / C;
    const int32_t *rows = w->ids + 1, *starts = rows + n, *positions = starts + n + 1;
    for (int64_t i = begin; i < end; i++) {
        if (rows[i] < 0 || rows[i] >= V) continue;
        int64_t last = clamp(starts[i + 1], 0, n);
        for (int64_t k = clamp(starts[i], 0, n); k < last; k++)
            if (positions[k] >= 0 && positions[k] < n)
                add_row(w->y + rows[i] * C, w->dy + positions[k] * C, C);
    }
}

static void cpu_backward(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    int64_t C = node->in[ACCUMULATOR]->shape.dim[1], n = tuff_tensor_count(node->in[D_Y]) / C;
    task w = {.node = node, .ids = in[INDEX], .dy = in[D_Y], .y = out[0]};
    tuff_parallel(clamp(w.ids[0], 0, n), tuff_grain(C), scatter_range, &w);
}

static tuff_cost cost_backward(const tuff_node *node)
{
    double n = (double)tuff_tensor_count(node->in[D_Y]);
    return (tuff_cost){n, 12 * n};
}

static void launch_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t *dim = node->in[ACCUMULATOR]->shape.dim;
    tuff_embedding_backward_args *args =
        tuff_launch_add(launch, TUFF_SHADER_embedding_backward, sizeof *args);
    tuff_launch_address(launch, &args->accumulator, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, D_Y, 0);
    tuff_launch_address(launch, &args->index, TUFF_OPERAND_IN, INDEX, 0);
    args->vocabulary = (uint32_t)dim[0];
    tuff_launch_tiles(launch, caps, tuff_tensor_count(node->in[D_Y]) / dim[1], dim[1], args->tile);
}

static const tuff_kernel_row backward_rows[] = {{"embedding_backward", 0, tuff_match_32, launch_backward}};

const tuff_op_info tuff_op_embedding_backward = {
    .name = "embedding_backward",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .in_place = {1 + ACCUMULATOR},
    .infer = infer_backward,
    .reference = reference_backward,
    .cpu = cpu_backward,
    .cost = cost_backward,
    .rows = backward_rows,
    .n_rows = 1,
};
