/* Host loops of the binary operations and of scale. */
#include "backend/cpu/kernels.h"
#include "ops/elementwise.h"

typedef struct binary_context {
    const float *a, *b;
    float *y;
} binary_context;

static inline float add_of(float a, float b)
{
    return a + b;
}
static inline float sub_of(float a, float b)
{
    return a - b;
}
static inline float mul_of(float a, float b)
{
    return a * b;
}
static inline float div_of(float a, float b)
{
    return a / b;
}
/* The operand that is NaN, else the larger one; minimum likewise. */
static inline float maximum_of(float a, float b)
{
    float y = a >= b ? a : b;
    return a != a ? a : y;
}
static inline float minimum_of(float a, float b)
{
    float y = a <= b ? a : b;
    return a != a ? a : y;
}
static inline float greater_of(float a, float b)
{
    float y = a > b ? 1.0f : 0.0f, differ = a - b;
    y = a == b ? 0.5f : y;
    return a != a || b != b ? differ : y;
}

/* Rows of elements; one value beside a row; any strides. */
#define BINARY_LOOPS(name)                                                                   \
    TUFF_KERNEL static void name##_rows(const float *a, const float *b, float *y, int64_t n) \
    {                                                                                        \
        TUFF_LANES                                                                           \
        for (int64_t i = 0; i < n; i++)                                                      \
            y[i] = name##_of(a[i], b[i]);                                                    \
    }                                                                                        \
    TUFF_KERNEL static void name##_value(const float *a, float b, float *y, int64_t n)       \
    {                                                                                        \
        TUFF_LANES                                                                           \
        for (int64_t i = 0; i < n; i++)                                                      \
            y[i] = name##_of(a[i], b);                                                       \
    }                                                                                        \
    TUFF_KERNEL static void name##_by_rows(float a, const float *b, float *y, int64_t n)     \
    {                                                                                        \
        TUFF_LANES                                                                           \
        for (int64_t i = 0; i < n; i++)                                                      \
            y[i] = name##_of(a, b[i]);                                                       \
    }                                                                                        \
    static void name##_run(const void *context, const tuff_run *run)                         \
    {                                                                                        \
        const binary_context *c = context;                                                   \
        const float *a = c->a + run->at[1], *b = c->b + run->at[2];                          \
        float *y = c->y + run->at[0];                                                        \
        int64_t sa = run->stride[1], sb = run->stride[2];                                    \
        if (sa == 1 && sb == 1)                                                              \
            name##_rows(a, b, y, run->n);                                                    \
        else if (sa == 1 && sb == 0)                                                         \
            name##_value(a, *b, y, run->n);                                                  \
        else if (sa == 0 && sb == 1)                                                         \
            name##_by_rows(*a, b, y, run->n);                                                \
        else                                                                                 \
            for (int64_t i = 0; i < run->n; i++)                                             \
                y[i] = name##_of(a[i * sa], b[i * sb]);                                      \
    }
BINARY_LOOPS(add)
BINARY_LOOPS(sub)
BINARY_LOOPS(mul)
BINARY_LOOPS(div)
BINARY_LOOPS(maximum)
BINARY_LOOPS(minimum)
BINARY_LOOPS(greater)

void tuff_binary_host(tuff_binary kind, const tuff_loop *loop, const float *a, const float *b, float *y)
{
    static const tuff_run_fn runs[] = {
        [TUFF_BINARY_ADD] = add_run,         [TUFF_BINARY_SUB] = sub_run,
        [TUFF_BINARY_MUL] = mul_run,         [TUFF_BINARY_DIV] = div_run,
        [TUFF_BINARY_MAXIMUM] = maximum_run, [TUFF_BINARY_MINIMUM] = minimum_run,
        [TUFF_BINARY_GREATER] = greater_run,
    };
    binary_context c = {a, b, y};
    tuff_loop_runs(loop, runs[kind], &c);
}

typedef struct scale_context {
    const float *x;
    float *y;
    float factor;
} scale_context;

static void scale_range(int64_t begin, int64_t end, void *context)
{
    const scale_context *c = context;
    mul_value(c->x + begin, c->factor, c->y + begin, end - begin);
}

void tuff_scale_host(int64_t n, const float *x, float factor, float *y)
{
    scale_context c = {x, y, factor};
    tuff_parallel(n, tuff_grain(1), scale_range, &c);
}
