/* Operands of a product as they are multiplied: as they are, or rounded to bf16, to nearest even; what is not finite
 * stays so, and NaN a NaN. The constant is TUFF_OPERANDS_CONSTANT. */
layout(constant_id = TUFF_OPERANDS_CONSTANT) const uint tuff_operands = TUFF_OPERANDS_F32;

float tuff_operand(float x)
{
    return tuff_operands == TUFF_OPERANDS_BF16 ? tuff_bfloat_to_float(tuff_float_to_bfloat(x)) : x;
}

vec4 tuff_operand(vec4 x)
{
    if (tuff_operands != TUFF_OPERANDS_BF16) return x;
    uvec4 bits = floatBitsToUint(x);
    uvec4 even = bits + 0x7fffu + (bits >> 16 & 1u), nan = bits | 0x400000u;
    return uintBitsToFloat(mix(even, nan, greaterThan(bits & 0x7fffffffu, uvec4(0x7f800000u))) & 0xffff0000u);
}
