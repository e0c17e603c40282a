/* Matrix products on the host: f32 by tuff_gemm, few rows by tuff_gemv, f16 and bf16 weights a panel at a
 * time. */
#include "backend/cpu/kernels.h"
#include "ops/matmul.h"

enum {
    FEW_ROWS = 4,     /* up to here a product reads its weight once and is bound by memory */
    GEMV_BLOCK = 64,  /* weight rows that stay in cache while all rows of a are multiplied with them */
    PANEL_ROWS = 256, /* of b, in memory order, converted to f32 at a time */
    PANEL_COLS = 1024,
    SMALL_PRODUCT = 1 << 20 /* multiply-adds below which a batch is spread over threads product by product */
};

typedef struct product {
    const tuff_matmul_problem *p;
    const float *a;
    const void *b;
    float *c;
    float *panel;
} product;

static const void *element(const void *base, tuff_dtype dtype, int64_t index)
{
    return (const char *)base + index * (int64_t)tuff_dtype_size(dtype);
}

static void gemv_range(int64_t begin, int64_t end, void *context)
{
    const product *x = context;
    const tuff_matmul_problem *p = x->p;
    for (int64_t block = begin; block < end; block++) {
        int64_t n = block * GEMV_BLOCK, rows = p->N - n < GEMV_BLOCK ? p->N - n : GEMV_BLOCK;
        for (int64_t m = 0; m < p->M; m++)
            tuff_gemv(rows, p->K, x->a + m * p->ars, element(x->b, p->b_dtype, n * p->bcs), p->b_dtype,
                      p->bcs, x->c + m * p->N + n);
    }
}

typedef struct conversion {
    const void *from;
    tuff_dtype dtype;
    int64_t stride, cols;
    float *to;
} conversion;

static void convert_range(int64_t begin, int64_t end, void *context)
{
    const conversion *x = context;
    for (int64_t i = begin; i < end; i++)
        tuff_dtype_to_f32(x->dtype, element(x->from, x->dtype, i * x->stride), x->to + i * x->cols,
                          (size_t)x->cols);
}

/* b by panels of PANEL_ROWS x PANEL_COLS of its memory order. */
static void multiply_converted(const product *x)
{
    const tuff_matmul_problem *p = x->p;
    bool transposed = p->brs == 1 && p->bcs != 1; /* memory rows run along k, one per column of b */
    int64_t rows = transposed ? p->N : p->K, cols = transposed ? p->K : p->N,
            stride = transposed ? p->bcs : p->brs;
    for (int64_t r = 0; r < rows; r += PANEL_ROWS)
        for (int64_t c = 0; c < cols; c += PANEL_COLS) {
            int64_t nr = rows - r < PANEL_ROWS ? rows - r : PANEL_ROWS,
                    nc = cols - c < PANEL_COLS ? cols - c : PANEL_COLS;
            conversion convert = {element(x->b, p->b_dtype, r * stride + c), p->b_dtype, stride, nc,
                                  x->panel};
            tuff_parallel(nr, 16, convert_range, &convert);
            if (transposed)
                tuff_gemm(p->M, nr, nc, 1, x->a + c * p->acs, p->ars, p->acs, x->panel, 1, nc, c == 0 ? 0 : 1,
                          x->c + r, p->N);
            else
                tuff_gemm(p->M, nc, nr, 1, x->a + r * p->acs, p->ars, p->acs, x->panel, nc, 1, r == 0 ? 0 : 1,
                          x->c + c, p->N);
        }
}

static void multiply(const product *x)
{
    const tuff_matmul_problem *p = x->p;
    if (p->M <= FEW_ROWS && p->brs == 1 && p->acs == 1) {
        tuff_parallel((p->N + GEMV_BLOCK - 1) / GEMV_BLOCK, 1, gemv_range, (void *)x);
        return;
    }
    if (p->b_dtype != TUFF_F32) {
        multiply_converted(x);
        return;
    }
    tuff_gemm(p->M, p->N, p->K, 1, x->a, p->ars, p->acs, x->b, p->brs, p->bcs, 0, x->c, p->N);
}

static void batch_range(int64_t begin, int64_t end, void *context)
{
    const product *x = context;
    const tuff_matmul_problem *p = x->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t outer = i / p->batch[1], inner = i % p->batch[1];
        product one = *x;
        one.a += outer * p->a_batch[0] + inner * p->a_batch[1];
        one.b = element(x->b, p->b_dtype, outer * p->b_batch[0] + inner * p->b_batch[1]);
        one.c += i * p->M * p->N;
        multiply(&one);
    }
}

void tuff_matmul_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_matmul_problem p = tuff_matmul_problem_of(node);
    product x = {&p, in[0], in[1], out[0], scratch};
    int64_t count = p.batch[0] * p.batch[1];
    if (count > 1 && p.b_dtype == TUFF_F32 && p.M * p.N * p.K < SMALL_PRODUCT)
        tuff_parallel(count, 1, batch_range, &x);
    else
        batch_range(0, count, &x);
}

size_t tuff_matmul_cpu_scratch(const tuff_node *node)
{
    return node->in[1]->dtype == TUFF_F32 ? 0 : sizeof(float) * PANEL_ROWS * PANEL_COLS;
}
