#include "ir/dtype.h"

#include <assert.h>
#include <string.h>

#include "base/half.h"
#include "base/status.h"

static const struct {
    const char *name;
    unsigned elements, bytes; /* that are stored together */
} types[TUFF_DTYPE_COUNT] = {
    [TUFF_F32] = {"f32", 1, 4}, [TUFF_F16] = {"f16", 1, 2}, [TUFF_BF16] = {"bf16", 1, 2},
    [TUFF_I32] = {"i32", 1, 4}, [TUFF_U32] = {"u32", 1, 4},
#define TUFF_BLOCK(NAME, name, elements, bytes) [TUFF_##NAME] = {name, elements, bytes},
#include "base/blocks.def"
};

#define TUFF_BLOCK(NAME, name, elements, bytes) \
    static_assert((int)TUFF_##NAME - (int)TUFF_Q4_0 == (int)TUFF_BLOCK_##NAME, "not in the list's order");
#include "base/blocks.def"
static_assert(TUFF_DTYPE_COUNT - (int)TUFF_Q4_0 == TUFF_BLOCK_COUNT, "the list has more");

const char *tuff_dtype_name(tuff_dtype dtype)
{
    return (unsigned)dtype < TUFF_DTYPE_COUNT ? types[dtype].name : "unknown";
}

unsigned tuff_dtype_size(tuff_dtype dtype)
{
    return tuff_dtype_block(dtype) == 1 ? types[dtype].bytes : 0;
}

unsigned tuff_dtype_block(tuff_dtype dtype)
{
    return (unsigned)dtype < TUFF_DTYPE_COUNT ? types[dtype].elements : 0;
}

uint64_t tuff_dtype_bytes(tuff_dtype dtype, int64_t count)
{
    if ((unsigned)dtype >= TUFF_DTYPE_COUNT || count < 1) return 0;
    const uint64_t blocks = ((uint64_t)count - 1) / types[dtype].elements + 1;
    return blocks <= UINT64_MAX / types[dtype].bytes ? blocks * types[dtype].bytes : UINT64_MAX;
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
    TUFF_ASSERT(tuff_dtype_is_float(dtype) || tuff_dtype_is_block(dtype));
    if (n == 0) return;
    if (tuff_dtype_is_block(dtype)) {
        tuff_block_decode(tuff_block_of(dtype), in, n / types[dtype].elements, out);
        return;
    }
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
