#include <float.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/rng.h"
#include "conform/runner.h"
#include "ir/dtype.h"

double tuff_data_eps(tuff_dtype dtype)
{
    switch (dtype) {
    case TUFF_F16:
        return 0x1p-10;
    case TUFF_BF16:
        return 0x1p-7;
    default:
        return 0x1p-23;
    }
}

double tuff_data_min_normal(tuff_dtype dtype)
{
    return dtype == TUFF_F16 ? 0x1p-14 : 0x1p-126;
}

/* To the nearest multiple of the dtype's spacing at value, ties to even; straight from double, so never
 * rounded twice. */
double tuff_data_round(tuff_dtype dtype, double value)
{
    if (!tuff_dtype_is_float(dtype) || !isfinite(value) || value == 0) return value;
    int digits = dtype == TUFF_F32 ? 24 : dtype == TUFF_F16 ? 11 : 8;
    int lowest = dtype == TUFF_F16 ? -24 : dtype == TUFF_F32 ? -149 : -133;
    double largest = dtype == TUFF_F32 ? FLT_MAX : dtype == TUFF_F16 ? 65504.0 : 0x1.fep127;
    int exponent;
    frexp(value, &exponent);
    int spacing = exponent - digits > lowest ? exponent - digits : lowest;
    double rounded = ldexp(nearbyint(ldexp(value, -spacing)), spacing);
    return fabs(rounded) > largest ? copysign(HUGE_VAL, value) : rounded;
}

static double special(uint64_t seed, uint64_t i, uint32_t stream, tuff_dtype dtype)
{
    bool half = dtype == TUFF_F16;
    tuff_philox r = tuff_philox4x32(seed, i, 1, stream);
    double sign = (r.v[0] & 1) != 0 ? -1.0 : 1.0;
    /* one in eight: sums of large values of both signs must not overflow in one order and not in another */
    switch (r.v[1] % 64) {
    case 0:
        return NAN;
    case 1:
        return HUGE_VAL;
    case 2:
        return -HUGE_VAL;
    case 3:
        return sign * 0.0;
    case 4:
        return sign * tuff_data_min_normal(dtype) * 0.25;
    case 5:
        return sign * (half ? 2000.0 : 0x1.8p40);
    case 6:
        return sign * (half ? 0x1p-12 : 0x1.8p-40);
    case 7:
        return sign;
    default:
        return tuff_rng_normal(seed, i, 0, stream);
    }
}

void tuff_data_fill(double *values, int64_t n, tuff_dtype dtype, tuff_data data, double a, double b,
                    uint64_t seed, uint32_t stream)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)i;
        double v = a;
        switch (data) {
        case TUFF_DATA_NORMAL:
            v = tuff_rng_normal(seed, at, 0, stream) * a + b;
            break;
        case TUFF_DATA_UNIFORM:
            v = a + (b - a) * tuff_rng_uniform(seed, at, 0, stream);
            break;
        case TUFF_DATA_INTEGER:
            v = a + floor((b - a) * tuff_rng_uniform(seed, at, 0, stream));
            break;
        case TUFF_DATA_CONSTANT:
            break;
        case TUFF_DATA_RAMP:
            v = a + b * (double)i;
            break;
        case TUFF_DATA_SPECIAL:
            v = special(seed, at, stream, dtype);
            break;
        }
        values[i] = tuff_data_round(dtype, v);
    }
}

/* Where a block has its halves, scale and least, and the power of two that makes its elements about 1; -1:
 * none. */
static const struct {
    int scale, least, power;
} halves_of[TUFF_BLOCK_COUNT] = {
    [TUFF_BLOCK_Q4_0] = {0, -1, -3},    [TUFF_BLOCK_Q4_1] = {0, 2, -3},    [TUFF_BLOCK_Q5_0] = {0, -1, -4},
    [TUFF_BLOCK_Q5_1] = {0, 2, -4},     [TUFF_BLOCK_Q8_0] = {0, -1, -7},   [TUFF_BLOCK_Q2_K] = {80, 82, -5},
    [TUFF_BLOCK_Q3_K] = {108, -1, -6},  [TUFF_BLOCK_Q4_K] = {0, 2, -9},    [TUFF_BLOCK_Q5_K] = {0, 2, -10},
    [TUFF_BLOCK_Q6_K] = {208, -1, -11}, [TUFF_BLOCK_IQ4_NL] = {0, -1, -6}, [TUFF_BLOCK_MXFP4] = {-1, -1, 0},
};

/* A half of either sign and any digits, about 2^power or subnormal. */
static void put_half(uint8_t *at, int power, bool subnormal, uint32_t bits)
{
    const uint32_t exponent = subnormal ? 0 : (uint32_t)(15 + power);
    const uint16_t half = (uint16_t)((bits & 0x83ffu) | exponent << 10);
    memcpy(at, &half, 2);
}

void tuff_data_blocks(tuff_dtype dtype, int64_t n, uint64_t seed, uint32_t stream, uint8_t *bytes,
                      double *values)
{
    const tuff_block type = tuff_block_of(dtype);
    const tuff_block_info *info = tuff_block_get(type);
    float decoded[TUFF_BLOCK_MOST];
    for (int64_t b = 0; b < n / info->elements; b++) {
        uint8_t *block = bytes + b * info->bytes;
        const uint64_t first = (uint64_t)b * TUFF_BLOCK_MOST;
        for (unsigned i = 0; i < info->bytes; i++)
            block[i] = (uint8_t)tuff_philox4x32(seed, first + i, 0, stream).v[0];
        const tuff_philox scales = tuff_philox4x32(seed, first, 1, stream);
        const int scale = halves_of[type].scale, least = halves_of[type].least, power = halves_of[type].power;
        if (scale >= 0) put_half(block + scale, power, b % 5 == 3, scales.v[0]);
        if (least >= 0) put_half(block + least, info->elements == 32 ? 0 : power, b % 5 == 4, scales.v[1]);
        if (dtype == TUFF_MXFP4) block[0] = (uint8_t)(126 + scales.v[0] % 3);
        tuff_block_decode(type, block, 1, decoded);
        for (unsigned i = 0; i < info->elements; i++)
            values[b * info->elements + i] = (double)decoded[i];
    }
}

void tuff_data_encode(tuff_dtype dtype, const double *values, void *bytes, int64_t n)
{
    unsigned char *to = bytes;
    for (int64_t i = 0; i < n; i++) {
        double v = tuff_data_round(dtype, values[i]);
        if (dtype == TUFF_I32) {
            int32_t x = (int32_t)v;
            memcpy(to + 4 * i, &x, 4);
        } else if (dtype == TUFF_U32) {
            uint32_t x = (uint32_t)(int64_t)v;
            memcpy(to + 4 * i, &x, 4);
        } else if (dtype == TUFF_F32) {
            float x = (float)v;
            memcpy(to + 4 * i, &x, 4);
        } else {
            uint16_t x = dtype == TUFF_F16 ? tuff_f32_to_f16((float)v) : tuff_f32_to_bf16((float)v);
            memcpy(to + 2 * i, &x, 2);
        }
    }
}

void tuff_data_decode(tuff_dtype dtype, const void *bytes, double *values, int64_t n)
{
    const unsigned char *from = bytes;
    for (int64_t i = 0; i < n; i++) {
        if (tuff_dtype_size(dtype) == 2) {
            uint16_t x;
            memcpy(&x, from + 2 * i, 2);
            values[i] = dtype == TUFF_F16 ? tuff_f16_to_f32(x) : tuff_bf16_to_f32(x);
        } else {
            uint32_t x;
            memcpy(&x, from + 4 * i, 4);
            values[i] = dtype == TUFF_F32   ? tuff_bits_f32(x)
                        : dtype == TUFF_I32 ? (double)(int32_t)x
                                            : (double)x;
        }
    }
}
