#include "ir/dtype.h"

#include <string.h>

#include "base/half.h"
#include "base/status.h"

static const struct {
    const char *name;
    unsigned size;
} types[TUFF_DTYPE_COUNT] = {
    [TUFF_F32] = {"f32", 4}, [TUFF_F16] = {"f16", 2}, [TUFF_BF16] = {"bf16", 2},
    [TUFF_I32] = {"i32", 4}, [TUFF_U32] = {"u32", 4},
};

const char *tuff_dtype_name(tuff_dtype dtype)
{
    return (unsigned)dtype < TUFF_DTYPE_COUNT ? types[dtype].name : "unknown";
}

unsigned tuff_dtype_size(tuff_dtype dtype)
{
    return (unsigned)dtype < TUFF_DTYPE_COUNT ? types[dtype].size : 0;
}

/* The conversions of base/half.h without a branch, so that the loops below become vector code; a test holds
 * the two against each other. Input and output may have any alignment. */
static inline uint32_t choose(bool condition, uint32_t yes, uint32_t no)
{
    return no ^ ((yes ^ no) & (0u - (uint32_t)condition));
}

static inline uint32_t half_to_bits(uint32_t h)
{
    uint32_t magnitude = h & 0x7fffu;
    uint32_t normal = (magnitude << 13) + (112u << 23);
    uint32_t special = normal + (112u << 23); /* Inf, NaN */
    uint32_t tiny =
        tuff_f32_bits((float)(int32_t)magnitude * (1.0f / 16777216)); /* subnormal or 0: units of 2^-24 */
    uint32_t bits = choose(magnitude >= 0x7c00u, special, choose(magnitude >= 0x400u, normal, tiny));
    return bits | (h & 0x8000u) << 16;
}

static inline uint16_t bits_to_half(uint32_t bits)
{
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    uint32_t tiny =
        tuff_f32_bits(tuff_bits_f32(magnitude) + 0.5f) - 0x3f000000u; /* the sum rounds to 2^-24 */
    uint32_t finite = choose(magnitude >= 0x38800000u, normal, tiny);
    uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    uint32_t half = choose(magnitude > 0x7f800000u, nan, choose(magnitude >= 0x477ff000u, 0x7c00u, finite));
    return (uint16_t)(half | ((bits >> 16) & 0x8000u));
}

void tuff_dtype_to_f32(tuff_dtype dtype, const void *in, float *out, size_t n)
{
    const unsigned char *bytes = in;
    TUFF_ASSERT(tuff_dtype_is_float(dtype));
    if (n == 0) return;
    if (dtype == TUFF_F32) {
        memcpy(out, in, n * sizeof *out);
        return;
    }
    if (dtype == TUFF_BF16) {
        for (size_t i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, bytes + 2 * i, 2);
            out[i] = tuff_bf16_to_f32(h);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, bytes + 2 * i, 2);
        out[i] = tuff_bits_f32(half_to_bits(h));
    }
}

void tuff_dtype_from_f32(tuff_dtype dtype, const float *in, void *out, size_t n)
{
    unsigned char *bytes = out;
    TUFF_ASSERT(tuff_dtype_is_float(dtype));
    if (n == 0) return;
    if (dtype == TUFF_F32) {
        memcpy(out, in, n * sizeof *in);
        return;
    }
    if (dtype == TUFF_BF16) {
        for (size_t i = 0; i < n; i++) {
            uint16_t h = tuff_f32_to_bf16(in[i]);
            memcpy(bytes + 2 * i, &h, 2);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h = bits_to_half(tuff_f32_bits(in[i]));
        memcpy(bytes + 2 * i, &h, 2);
    }
}
