#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/adamw_8bit.h"
#include "shaders/lib/clip.glsl"
#include "shaders/lib/math.glsl"

layout(local_size_x = TUFF_ADAMW_8BIT_LANES) in;
TUFF_ARGS(tuff_adamw_8bit_args);

shared float values[512];
shared vec2 most[TUFF_ADAMW_8BIT_LANES];

/* The largest of all invocations' x. All call it. */
vec2 largest(vec2 x)
{
    uint lane = gl_LocalInvocationID.x;
    barrier(); /* the last call's readers are done */
    most[lane] = x;
    for (uint half_of = TUFF_ADAMW_8BIT_LANES / 2; half_of > 0; half_of /= 2) {
        barrier();
        if (lane < half_of) most[lane] = max(most[lane], most[lane + half_of]);
    }
    barrier();
    return most[0];
}

/* The nearest of the 256 values from `first` on. */
uint nearest(uint first, float x)
{
    uint code = 0;
    for (uint step = 128; step > 0; step /= 2) {
        uint at = first + code + step - 1;
        if (x > 0.5 * (values[at] + values[at + 1])) code += step;
    }
    return code;
}

void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_chunks || !tuff_is_finite(norm)) return;
    uint lane = gl_LocalInvocationID.x, chunk = TUFF_CHUNK_8BIT_WORDS * TUFF_GROUP_1D;
    uint slot = TUFF_ADAMW_8BIT_ENTRY_WORDS * a.chunks.v[chunk], at = a.chunks.v[chunk + 1];
    uint end = at + a.chunks.v[chunk + 2];
    for (uint i = lane; i < 512; i += TUFF_ADAMW_8BIT_LANES)
        values[i] = a.maps.v[i];
    F32 param = TUFF_ADDRESS_AT(F32, a.slots, slot), grad = TUFF_ADDRESS_AT(F32, a.slots, slot + 2);
    U32 first = TUFF_ADDRESS_AT(U32, a.slots, slot + 4), second = TUFF_ADDRESS_AT(U32, a.slots, slot + 6);
    F32 first_scale = TUFF_ADDRESS_AT(F32, a.slots, slot + 8), second_scale = TUFF_ADDRESS_AT(F32, a.slots, slot + 10);
    float lr = a.lr.v[0] * uintBitsToFloat(a.slots.v[slot + 12]), clip = tuff_clip(norm, a.max_norm);
    float keep = 1.0 - lr * uintBitsToFloat(a.slots.v[slot + 13]), rate = lr / a.state.v[2], root_c2 = sqrt(a.state.v[3]);
    barrier();
    for (; at < end; at += 4 * TUFF_ADAMW_8BIT_LANES) {
        uint block = at / (4 * TUFF_ADAMW_8BIT_LANES), begin = at + 4 * lane;
        uint count = begin < end ? min(4, end - begin) : 0, word1 = 0, word2 = 0;
        if (count > 0) {
            word1 = first.v[begin / 4];
            word2 = second.v[begin / 4];
        }
        float scale1 = first_scale.v[block], scale2 = second_scale.v[block];
        vec4 m = vec4(0), v = vec4(0);
        for (uint k = 0; k < 4; k++) {
            if (k >= count) break;
            float g = grad.v[begin + k] * clip;
            m[k] = a.beta1 * (values[bitfieldExtract(word1, int(8 * k), 8)] * scale1) + a.one_minus_beta1 * g;
            v[k] = a.beta2 * (values[256 + bitfieldExtract(word2, int(8 * k), 8)] * scale2) + a.one_minus_beta2 * g * g;
            param.v[begin + k] = param.v[begin + k] * keep - rate * (m[k] / (sqrt(v[k]) / root_c2 + a.eps));
        }
        vec4 size = abs(m);
        vec2 scale = largest(vec2(max(max(size.x, size.y), max(size.z, size.w)), max(max(v.x, v.y), max(v.z, v.w))));
        word1 = word2 = 0;
        for (uint k = 0; k < 4; k++) {
            if (k >= count) break;
            word1 |= nearest(0, scale.x > 0.0 ? m[k] / scale.x : 0.0) << (8 * k);
            word2 |= nearest(256, scale.y > 0.0 ? v[k] / scale.y : 0.0) << (8 * k);
        }
        if (count > 0) {
            first.v[begin / 4] = word1;
            second.v[begin / 4] = word2;
        }
        if (lane == 0) { /* all have read them: largest() has waited */
            first_scale.v[block] = scale.x;
            second_scale.v[block] = scale.y;
        }
    }
}
