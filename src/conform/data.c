#include <float.h>
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/rng.h"
#include "conform/runner.h"

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
