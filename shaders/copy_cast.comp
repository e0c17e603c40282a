#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/copy.h"
#include "shaders/lib/flat.glsl"
#if TUFF_BLOCKS
#define TUFF_BLOCK_CONSTANT 3
#include "shaders/lib/blocks.glsl"
#else
#include "shaders/lib/half.glsl"
#endif

/* Not arguments: software drivers run every side of a branch. */
layout(constant_id = 0) const uint from = TUFF_CAST_F32;
layout(constant_id = 1) const uint to = TUFF_CAST_F32;
layout(constant_id = 2) const bool dense = false;
TUFF_ARGS(tuff_copy_cast_args);

/* Where element i of y comes from. */
uint source(uint i)
{
    if (dense) return i;
    uint at = 0;
    for (int axis = 3; axis >= 0; axis--) {
        at += i % a.dim[axis] * a.stride[axis];
        i /= a.dim[axis];
    }
    return at;
}

uint load_half(uint at)
{
    at += a.first;
    return (a.x.v[at >> 1] >> (16 * (at & 1))) & 0xffffu;
}

float load(uint i)
{
    uint at = source(i);
#if TUFF_BLOCKS
    return tuff_block_element(a.x, a.first, at);
#endif
    if (from == TUFF_CAST_F32) return uintBitsToFloat(a.x.v[at]);
    return from == TUFF_CAST_F16 ? tuff_half_to_float(load_half(at)) : tuff_bfloat_to_float(load_half(at));
}

/* The bits of element i of y, a half. */
uint half_bits(uint i)
{
#if !TUFF_BLOCKS
    if (from == to) return load_half(source(i));
#endif
    return to == TUFF_CAST_F16 ? tuff_float_to_half(load(i)) : tuff_float_to_bfloat(load(i));
}

void main()
{
    uint words = to == TUFF_CAST_F32 ? a.n : (a.n + 1) / 2;
    for (uint w = TUFF_FLAT_FIRST; w < TUFF_FLAT_END(words); w += TUFF_FLAT_GROUP) {
        if (to == TUFF_CAST_F32) {
            a.y.v[w] = floatBitsToUint(load(w));
            continue;
        }
        uint low = half_bits(2 * w);
        /* past an odd end lies someone else's half word, which stays as it is */
        uint high = 2 * w + 1 < a.n ? half_bits(2 * w + 1) : a.y.v[w] >> 16;
        a.y.v[w] = low | high << 16;
    }
}
