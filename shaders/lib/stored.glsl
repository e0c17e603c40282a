/* Elements of a tensor stored as f32 (-DTUFF_STORED=0), f16 (1) or bf16 (2). */
#if TUFF_STORED == 0
#define TUFF_STORED_BUFFER F32
#else
#define TUFF_STORED_BUFFER U32
#endif
#include "shaders/lib/half.glsl"

float tuff_stored_bits(uint h)
{
#if TUFF_STORED == 1
    return tuff_half_to_float(h);
#else
    return tuff_bfloat_to_float(h);
#endif
}

float tuff_stored(TUFF_STORED_BUFFER x, uint at)
{
#if TUFF_STORED == 0
    return x.v[at];
#else
    return tuff_stored_bits((x.v[at >> 1] >> (16 * (at & 1))) & 0xffffu);
#endif
}
