/* The block of a matrix product that stays in registers, included once for each instruction set, with
 *     WIDTH       floats of a vector
 *     VECTORS     of a block's row
 *     ROWS        of a block: as many as registers hold sums for
 *     NAME(x)     x with a suffix
 *     TARGET      the function attribute */
#define INLINE static inline __attribute__((always_inline)) TARGET

typedef float NAME(vector) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

/* `rows` is a constant at every call. */
INLINE void NAME(block_of)(int rows, const corner *at)
{
    const float *a = at->a, *b = at->b;
    NAME(vector) sum[ROWS][VECTORS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++) {
            sum[i][v] = (NAME(vector)){0};
            __builtin_prefetch(at->c + i * at->ldc + v * WIDTH, 1, 3);
        }
    for (int64_t p = 0; p < at->k; p++) {
        NAME(vector) y[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            y[v] = *(const NAME(vector) *)(const void *)(b + p * at->ldb + v * WIDTH);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] += a[i * at->ars + p * at->acs] * y[v];
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++) {
            NAME(vector) *to = (NAME(vector) *)(void *)(at->c + i * at->ldc + v * WIDTH);
            if (at->add) sum[i][v] = *to + sum[i][v];
            *to = sum[i][v];
        }
}

static TARGET void NAME(block)(const corner *at, int64_t rows)
{
    switch (rows) {
    case 1:
        NAME(block_of)(1, at);
        break;
    case 2:
        NAME(block_of)(2, at);
        break;
    case 3:
        NAME(block_of)(3, at);
        break;
    case 4:
        NAME(block_of)(4, at);
        break;
    case 5:
        NAME(block_of)(5, at);
        break;
    default:
        NAME(block_of)(ROWS, at);
    }
}

static const tile_kernel NAME(kernel) = {NAME(block), ROWS, VECTORS *WIDTH};

#undef INLINE
#undef WIDTH
#undef VECTORS
#undef ROWS
#undef NAME
#undef TARGET
