/* Products of integers by plain loops: what the other instruction sets must give as well. */
#include <stdbool.h>

#include "backend/cpu/dots.h"
#include "base/blocks_read.h"

enum { SUMS = 16, LESS = 8 };

/* A block of 32: element = step * number + least. */
typedef struct block32 {
    int8_t number[32];
    float step, least;
} block32;

/* A block of 256: element = step * scale * (number - zero) - less * least of its group. */
typedef struct block256 {
    uint8_t number[TUFF_DOTS_BLOCK];
    int16_t scale[TUFF_DOTS_GROUPS], least[TUFF_DOTS_GROUPS];
    int zero;
    float step, less;
} block256;

#define READ_32(NAME)  static inline void read_##NAME(const uint8_t *in, block32 *b)
#define READ_256(NAME) static inline void read_##NAME(const uint8_t *in, block256 *b)

/* 16 bytes: low halves, then high halves. */
static inline void halves(const uint8_t *in, int less, int8_t *out)
{
    for (int i = 0; i < 16; i++) {
        out[i] = (int8_t)((in[i] & 15) - less);
        out[i + 16] = (int8_t)((in[i] >> 4) - less);
    }
}

static inline void fifth_bits(uint32_t bits, int8_t *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = (int8_t)(out[i] + (int)((bits >> i & 1) << 4));
}

READ_32(Q4_0)
{
    b->step = tuff_block_half(in);
    halves(in + 2, 8, b->number);
}

READ_32(Q4_1)
{
    b->step = tuff_block_half(in);
    b->least = tuff_block_half(in + 2);
    halves(in + 4, 0, b->number);
}

READ_32(Q5_0)
{
    b->step = tuff_block_half(in);
    halves(in + 6, 16, b->number);
    fifth_bits(tuff_dots_word(in + 2), b->number);
}

READ_32(Q5_1)
{
    b->step = tuff_block_half(in);
    b->least = tuff_block_half(in + 2);
    halves(in + 8, 0, b->number);
    fifth_bits(tuff_dots_word(in + 4), b->number);
}

READ_32(Q8_0)
{
    b->step = tuff_block_half(in);
    memcpy(b->number, in + 2, 32);
}

static const int8_t iq4_nl_steps[16] = {TUFF_IQ4_NL_STEPS}, mxfp4_twice[16] = {TUFF_MXFP4_TWICE};

static inline void look_up(const uint8_t *in, const int8_t *steps, int8_t *out)
{
    halves(in, 0, out);
    for (int i = 0; i < 32; i++)
        out[i] = steps[out[i]];
}

READ_32(IQ4_NL)
{
    b->step = tuff_block_half(in);
    look_up(in + 2, iq4_nl_steps, b->number);
}

READ_32(MXFP4)
{
    b->step = tuff_mxfp4_half(in[0]);
    look_up(in + 1, mxfp4_twice, b->number);
}

/* Bits of 32 bytes, from one bit on. */
static inline void bits_of(const uint8_t *in, int from, int mask, uint8_t *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(in[i] >> from & mask);
}

/* One bit of 32 bytes, worth so much. */
static inline void add_bit(const uint8_t *in, int from, int worth, uint8_t *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(out[i] + (in[i] >> from & 1) * worth);
}

READ_256(Q2_K)
{
    b->step = tuff_block_half(in + 80);
    b->less = tuff_block_half(in + 82);
    for (int i = 0; i < TUFF_DOTS_GROUPS; i++) {
        b->scale[i] = in[i] & 15;
        b->least[i] = in[i] >> 4;
    }
    for (int g = 0; g < 8; g++)
        bits_of(in + 16 + g / 4 * 32, g % 4 * 2, 3, b->number + 32 * g);
}

READ_256(Q3_K)
{
    b->step = tuff_block_half(in + 108);
    b->zero = 4;
    for (unsigned i = 0; i < TUFF_DOTS_GROUPS; i++)
        b->scale[i] = (int16_t)tuff_block_scale(in + 96, i);
    for (int g = 0; g < 8; g++) {
        bits_of(in + 32 + g / 4 * 32, g % 4 * 2, 3, b->number + 32 * g);
        add_bit(in, g, 4, b->number + 32 * g);
    }
}

static inline void scales_of_8(const uint8_t *in, block256 *b)
{
    uint32_t words[4];
    uint8_t all[16];
    tuff_dots_scales_of_8(in, words);
    memcpy(all, words, sizeof all);
    for (int i = 0; i < TUFF_DOTS_GROUPS; i++) {
        b->scale[i] = all[i / 2];
        b->least[i] = all[8 + i / 2];
    }
}

READ_256(Q4_K)
{
    b->step = tuff_block_half(in);
    b->less = tuff_block_half(in + 2);
    scales_of_8(in + 4, b);
    for (int g = 0; g < 8; g++)
        bits_of(in + 16 + g / 2 * 32, g % 2 * 4, 15, b->number + 32 * g);
}

READ_256(Q5_K)
{
    b->step = tuff_block_half(in);
    b->less = tuff_block_half(in + 2);
    scales_of_8(in + 4, b);
    for (int g = 0; g < 8; g++) {
        bits_of(in + 48 + g / 2 * 32, g % 2 * 4, 15, b->number + 32 * g);
        add_bit(in + 16, g, 16, b->number + 32 * g);
    }
}

READ_256(Q6_K)
{
    b->step = tuff_block_half(in + 208);
    b->zero = 32;
    for (int i = 0; i < TUFF_DOTS_GROUPS; i++)
        b->scale[i] = (int8_t)in[192 + i];
    for (int g = 0; g < 8; g++) {
        uint8_t *out = b->number + 32 * g, high[32];
        bits_of(in + g / 4 * 64 + g % 2 * 32, g % 4 / 2 * 4, 15, out);
        bits_of(in + 128 + g / 4 * 32, g % 4 * 2, 3, high);
        for (int i = 0; i < 32; i++)
            out[i] = (uint8_t)(out[i] | high[i] << 4);
    }
}

static float in_halves(float *sums, int n)
{
    for (int half = n / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

/* The sums of one row, while weights go by. */
typedef struct running {
    float sum[SUMS], less[SUMS];
} running;

/* Block n of 32. */
static inline void add_32(const block32 *b, bool has_least, const tuff_dots_span *spans, int64_t n,
                          running *r)
{
    const tuff_dots_span *span = &spans[n / SUMS];
    const int l = (int)(n % SUMS);
    const int8_t *x = span->x + 32 * l;
    int sum = 0;
    for (int i = 0; i < 32; i++)
        sum += b->number[i] * x[i];
    r->sum[l] += b->step * span->scale[l] * (float)sum;
    if (has_least) r->less[l] += b->least * span->sum[l];
}

static inline void add_256(const block256 *b, bool has_least, const tuff_dots_block *block, running *r)
{
    int sum[SUMS] = {0}, least[LESS];
    for (int c = 0; c < TUFF_DOTS_BLOCK; c += 64) {
        const uint8_t *w = b->number + c;
        const int8_t *x = block->x + c;
        int four[SUMS];
        for (int l = 0; l < SUMS; l++)
            four[l] = w[4 * l] * x[4 * l] + w[4 * l + 1] * x[4 * l + 1] + w[4 * l + 2] * x[4 * l + 2] +
                      w[4 * l + 3] * x[4 * l + 3];
        for (int l = 0; l < SUMS; l++)
            sum[l] += b->scale[c / TUFF_DOTS_GROUP + l / 4] * four[l];
    }
    for (int l = 0; l < LESS; l++) {
        const int one = block->sums[2 * l], two = block->sums[2 * l + 1];
        sum[l] -= b->zero * (b->scale[2 * l] * one + b->scale[2 * l + 1] * two);
        least[l] = b->least[2 * l] * one + b->least[2 * l + 1] * two;
    }
    for (int l = 0; l < SUMS; l++)
        r->sum[l] += b->step * block->scale * (float)sum[l];
    for (int l = 0; l < LESS && has_least; l++)
        r->less[l] += b->less * block->scale * (float)least[l];
}

#define KERNELS_32(NAME, has_least, rows_at_a_time, suffix)                                       \
    static void NAME##_##suffix(const uint8_t *w, int64_t K, const char *rows, float *sums)       \
    {                                                                                             \
        const size_t bytes = tuff_dots_row_bytes(TUFF_BLOCK_##NAME, K);                           \
        running r[rows_at_a_time] = {0};                                                          \
        block32 b = {0};                                                                          \
        for (int64_t n = 0; n < K / 32; n++) {                                                    \
            read_##NAME(w + n * TUFF_BLOCK_##NAME##_BYTES, &b);                                   \
            for (int i = 0; i < (rows_at_a_time); i++)                                            \
                add_32(&b, has_least, (const void *)(rows + (size_t)i * bytes), n, &r[i]);        \
        }                                                                                         \
        for (int i = 0; i < (rows_at_a_time); i++)                                                \
            sums[i] = in_halves(r[i].sum, SUMS) + ((has_least) ? in_halves(r[i].less, SUMS) : 0); \
    }
#define KERNELS_256(NAME, has_least, rows_at_a_time, suffix)                                            \
    static void NAME##_##suffix(const uint8_t *w, int64_t K, const char *rows, float *sums)             \
    {                                                                                                   \
        const size_t bytes = tuff_dots_row_bytes(TUFF_BLOCK_##NAME, K);                                 \
        running r[rows_at_a_time] = {0};                                                                \
        block256 b = {0};                                                                               \
        for (int64_t n = 0; n < K / TUFF_DOTS_BLOCK; n++) {                                             \
            read_##NAME(w + n * TUFF_BLOCK_##NAME##_BYTES, &b);                                         \
            for (int i = 0; i < (rows_at_a_time); i++)                                                  \
                add_256(&b, has_least, (const tuff_dots_block *)(rows + (size_t)i * bytes) + n, &r[i]); \
        }                                                                                               \
        for (int i = 0; i < (rows_at_a_time); i++)                                                      \
            sums[i] = in_halves(r[i].sum, SUMS) - ((has_least) ? in_halves(r[i].less, LESS) : 0);       \
    }
#define KERNELS(KIND, NAME, has_least) \
    KERNELS_##KIND(NAME, has_least, 1, one) KERNELS_##KIND(NAME, has_least, TUFF_DOTS_ROWS, some)

KERNELS(32, Q4_0, false)
KERNELS(32, Q4_1, true)
KERNELS(32, Q5_0, false)
KERNELS(32, Q5_1, true)
KERNELS(32, Q8_0, false)
KERNELS(32, IQ4_NL, false)
KERNELS(32, MXFP4, false)
KERNELS(256, Q2_K, true)
KERNELS(256, Q3_K, false)
KERNELS(256, Q4_K, true)
KERNELS(256, Q5_K, true)
KERNELS(256, Q6_K, false)

const tuff_dots_kernels tuff_dots_plain = {
    "plain",
    {
#define TUFF_BLOCK(NAME, name, elements, bytes) NAME##_one,
#include "base/blocks.def"
    },
    {
#define TUFF_BLOCK(NAME, name, elements, bytes) NAME##_some,
#include "base/blocks.def"
    },
};
