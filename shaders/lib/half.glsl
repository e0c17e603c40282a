/* Bits of binary16 and bfloat16 to floats and back, rounded to nearest even: GLSL's own packing may round otherwise and
 * flush subnormal halves. As in ir/dtype.c. */

float tuff_half_to_float(uint h)
{
    uint magnitude = h & 0x7fffu;
    uint bits = (magnitude << 13) + (112u << 23);
    if (magnitude >= 0x7c00u) bits += 112u << 23;                                       /* Inf, NaN */
    if (magnitude < 0x400u) bits = floatBitsToUint(float(magnitude) * (1.0 / 16777216)); /* units of 2^-24 */
    return uintBitsToFloat(bits | (h & 0x8000u) << 16);
}

vec4 tuff_half_to_float(uvec4 h)
{
    uvec4 magnitude = h & 0x7fffu;
    uvec4 bits = (magnitude << 13) + (112u << 23);
    bits += mix(uvec4(0), uvec4(112u << 23), greaterThanEqual(magnitude, uvec4(0x7c00u)));
    bits = mix(bits, floatBitsToUint(vec4(magnitude) * (1.0 / 16777216)), lessThan(magnitude, uvec4(0x400u)));
    return uintBitsToFloat(bits | (h & 0x8000u) << 16);
}

uint tuff_float_to_half(float x)
{
    uint bits = floatBitsToUint(x), magnitude = bits & 0x7fffffffu;
    uint h = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    if (magnitude < 0x38800000u) h = floatBitsToUint(uintBitsToFloat(magnitude) + 0.5) - 0x3f000000u;
    if (magnitude >= 0x477ff000u) h = 0x7c00u;
    if (magnitude > 0x7f800000u) h = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    return h | ((bits >> 16) & 0x8000u);
}

float tuff_bfloat_to_float(uint h)
{
    return uintBitsToFloat(h << 16);
}

uint tuff_float_to_bfloat(float x)
{
    uint bits = floatBitsToUint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
