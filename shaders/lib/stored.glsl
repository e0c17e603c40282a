/* Elements of a tensor stored as f32 (-DTUFF_STORED=0), f16 (1), bf16 (2) or by the block (3). `first` is how far after x
 * the storage begins: 0 or 1 elements, of blocks 0 to 3 bytes. */
#if TUFF_STORED == 0
#define TUFF_STORED_BUFFER F32
#else
#define TUFF_STORED_BUFFER U32
#endif
#if TUFF_STORED == 3
#include "shaders/lib/blocks.glsl"
#else
#include "shaders/lib/half.glsl"
#endif

float tuff_stored_bits(uint h)
{
#if TUFF_STORED == 1
    return tuff_half_to_float(h);
#else
    return tuff_bfloat_to_float(h);
#endif
}

#if TUFF_STORED == 1 || TUFF_STORED == 2
/* The bits of an element. */
uint tuff_stored_half(U32 x, uint first, uint at)
{
    at += first;
    return (x.v[at >> 1] >> (16 * (at & 1))) & 0xffffu;
}

/* Four neighbours. */
vec4 tuff_stored_four(uvec2 words)
{
#if TUFF_STORED == 1
    return tuff_half_to_float(uvec4(words.x & 0xffffu, words.x >> 16, words.y & 0xffffu, words.y >> 16));
#else
    return uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16, words.y & 0xffff0000u));
#endif
}
#endif

float tuff_stored(TUFF_STORED_BUFFER x, uint first, uint at)
{
#if TUFF_STORED == 0
    return x.v[at];
#elif TUFF_STORED == 3
    return tuff_block_element(x, first, at);
#else
    return tuff_stored_bits(tuff_stored_half(x, first, at));
#endif
}
