/* Rows by their numbers: gathered, and added up where they are scattered to. Each is the other's transpose.
 */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/rows.h"

enum { X, ROWS };

/* x is [rows, columns], the numbers i32 [M]; gives both counts. */
static tuff_status expect_operands(const tuff_node *node)
{
    const tuff_shape *x = &node->in[X]->shape, *rows = &node->in[ROWS]->shape;
    TUFF_TRY(tuff_expect_dense(node, X, "x", NULL));
    if (x->rank != 2 || x->dim[0] > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: x must be [rows, columns] of at most %d rows, but is %s",
                         tuff_op_name(node->op), INT32_MAX, tuff_shape_text(x));
    TUFF_TRY(tuff_expect_dtype(node, ROWS, "the row numbers", TUFF_I32));
    if (rows->rank != 1 || rows->dim[0] > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the row numbers must be a list of at most %d, but are %s",
                         tuff_op_name(node->op), INT32_MAX, tuff_shape_text(rows));
    return tuff_expect_contiguous(node, ROWS, "the row numbers");
}

static bool inside(double row, int64_t n)
{
    return row >= 0 && row < (double)n;
}

/* What both host kernels and both launches need. */
typedef struct task {
    const float *x;
    const int32_t *rows;
    float *y;
    int64_t n, count, columns; /* rows that the numbers are of; numbers; columns */
} task;

/* ---- gather_rows(x, rows) ---- */

static tuff_status infer_gather(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_operands(node));
    tuff_shape y = tuff_shape_of(2, (int64_t[]){node->in[ROWS]->shape.dim[0], node->in[X]->shape.dim[1]});
    tuff_set_out(node, 0, &y, TUFF_F32);
    return TUFF_OK;
}

static void backward_gather(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                            const bool *needs, tuff_tensor **d_in)
{
    if (needs[X]) d_in[X] = tuff_scatter_add_rows(g, d_out[0], node->in[ROWS], node->in[X]->shape.dim[0]);
}

static void reference_gather(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->in[X]->shape.dim[0], C = node->in[X]->shape.dim[1], M = node->out[0]->shape.dim[0];
    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            out[0][m * C + c] = inside(in[ROWS][m], N) ? in[X][(int64_t)in[ROWS][m] * C + c] : 0;
}

static void gather_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    size_t bytes = (size_t)w->columns * sizeof(float);
    for (int64_t m = begin; m < end; m++) {
        int64_t row = w->rows[m];
        if (row >= 0 && row < w->n)
            memcpy(w->y + m * w->columns, w->x + row * w->columns, bytes);
        else
            memset(w->y + m * w->columns, 0, bytes);
    }
}

static void cpu_gather(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const int64_t *x = node->in[X]->shape.dim;
    task w = {in[X], in[ROWS], out[0], x[0], node->out[0]->shape.dim[0], x[1]};
    tuff_parallel(w.count, tuff_grain(w.columns), gather_range, &w);
}

static void launch_gather(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t *y = node->out[0]->shape.dim;
    tuff_gather_rows_args *args = TUFF_LAUNCH(launch, gather_rows, tuff_gather_rows_args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, X, 0);
    tuff_launch_address(launch, &args->rows, TUFF_OPERAND_IN, ROWS, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->n = (uint32_t)node->in[X]->shape.dim[0];
    tuff_launch_tiles(launch, caps, y[0], y[1], args->tile);
}

static tuff_cost cost_gather(const tuff_node *node)
{
    return (tuff_cost){0, 2 * (double)tuff_tensor_bytes(node->out[0]) +
                              (double)tuff_tensor_bytes(node->in[ROWS])};
}

static const tuff_kernel_row gather_kernels[] = {{"plain", 0, tuff_match_32, launch_gather}};

const tuff_op_info tuff_op_gather_rows = {
    .name = "gather_rows",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer_gather,
    .backward = backward_gather,
    .reference = reference_gather,
    .cpu = cpu_gather,
    .cost = cost_gather,
    .rows = gather_kernels,
    .n_rows = 1,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

tuff_tensor *tuff_gather_rows(tuff_graph *g, tuff_tensor *x, tuff_tensor *rows)
{
    tuff_tensor *in[2] = {tuff_dense(g, x), tuff_dense(g, rows)};
    return tuff_graph_node(g, TUFF_OP_gather_rows, in, 2, NULL);
}

/* ---- scatter_add_rows(x, rows): every sum in ascending order of x's rows ---- */

static tuff_status infer_scatter(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_operands(node));
    const tuff_shape *x = &node->in[X]->shape;
    int64_t n = node->attrs.scatter.rows;
    tuff_shape rows = tuff_shape_of(1, x->dim);
    TUFF_TRY(tuff_expect_shape(node, ROWS, "the row numbers", &rows));
    if (n < 1 || n > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "scatter_add_rows: the result must have 1 to %d rows, but %lld are asked for",
                         INT32_MAX, (long long)n);
    tuff_shape y = tuff_shape_of(2, (int64_t[]){n, x->dim[1]});
    tuff_set_out(node, 0, &y, TUFF_F32);
    return TUFF_OK;
}

static void backward_scatter(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                             const bool *needs, tuff_tensor **d_in)
{
    if (needs[X]) d_in[X] = tuff_gather_rows(g, d_out[0], node->in[ROWS]);
}

static void reference_scatter(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t N = node->out[0]->shape.dim[0], C = node->out[0]->shape.dim[1], M = node->in[X]->shape.dim[0];
    memset(out[0], 0, (size_t)(N * C) * sizeof(double));
    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C && inside(in[ROWS][m], N); c++)
            out[0][(int64_t)in[ROWS][m] * C + c] += in[X][m * C + c];
}

TUFF_KERNEL static void add_row(float *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* Each thread has a range of the result's rows and goes through all numbers. */
static void scatter_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    int64_t C = w->columns;
    memset(w->y + begin * C, 0, (size_t)((end - begin) * C) * sizeof *w->y);
    for (int64_t m = 0; m < w->count; m++)
        if (w->rows[m] >= begin && w->rows[m] < end) add_row(w->y + w->rows[m] * C, w->x + m * C, C);
}

static void cpu_scatter(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const int64_t *y = node->out[0]->shape.dim;
    task w = {in[X], in[ROWS], out[0], y[0], node->in[X]->shape.dim[0], y[1]};
    tuff_parallel(w.n, tuff_grain(w.columns), scatter_range, &w);
}

static void launch_scatter(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    enum { NUMBERS = TUFF_FLAT_GROUP * TUFF_SCATTER_EACH };
    const int64_t *y = node->out[0]->shape.dim, count = node->in[X]->shape.dim[0];
    uint64_t links = tuff_launch_scratch(launch, (uint64_t)count * 8);
    tuff_launch_zeros(launch, caps, TUFF_OPERAND_SCRATCH, links, 2 * count);
    tuff_launch_zeros(launch, caps, TUFF_OPERAND_OUT, 0, y[0] * y[1]);

    tuff_scatter_links_args *find = TUFF_LAUNCH(launch, scatter_links, tuff_scatter_links_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &find->rows, TUFF_OPERAND_IN, ROWS, 0);
    tuff_launch_address(launch, &find->links, TUFF_OPERAND_SCRATCH, 0, links);
    find->count = (uint32_t)count;
    find->n = (uint32_t)y[0];
    tuff_launch_groups_1d(launch, caps, (uint64_t)((count + NUMBERS - 1) / NUMBERS));

    tuff_scatter_rows_args *args = TUFF_LAUNCH(launch, scatter_rows, tuff_scatter_rows_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, X, 0);
    tuff_launch_address(launch, &args->rows, TUFF_OPERAND_IN, ROWS, 0);
    tuff_launch_address(launch, &args->links, TUFF_OPERAND_SCRATCH, 0, links);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    tuff_launch_tiles(launch, caps, count, y[1], args->tile);
}

static tuff_cost cost_scatter(const tuff_node *node)
{
    double count = (double)node->in[X]->shape.dim[0];
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops = (double)tuff_tensor_count(node->in[X]) +
              count * count / 2; /* each number is compared with those before it */
    return c;
}

static const tuff_kernel_row scatter_kernels[] = {{"plain", 0, tuff_match_32, launch_scatter}};

const tuff_op_info tuff_op_scatter_add_rows = {
    .name = "scatter_add_rows",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer_scatter,
    .backward = backward_scatter,
    .reference = reference_scatter,
    .cpu = cpu_scatter,
    .cost = cost_scatter,
    .rows = scatter_kernels,
    .n_rows = 1,
};

tuff_tensor *tuff_scatter_add_rows(tuff_graph *g, tuff_tensor *x, tuff_tensor *rows, int64_t n)
{
    tuff_attrs attrs = {.scatter = {.rows = n}};
    tuff_tensor *in[2] = {tuff_dense(g, x), tuff_dense(g, rows)};
    return tuff_graph_node(g, TUFF_OP_scatter_add_rows, in, 2, &attrs);
}
