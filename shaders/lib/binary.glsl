/* Two operands, one result; constant 0 says how. Not an argument: software drivers run every side of a branch. */
#include "shaders/lib/math.glsl"

layout(constant_id = 0) const uint op = TUFF_BINARY_ADD;

float tuff_binary(float a, float b)
{
    if (op == TUFF_BINARY_ADD) return a + b;
    if (op == TUFF_BINARY_SUB) return a - b;
    if (op == TUFF_BINARY_MUL) return a * b;
    if (op == TUFF_BINARY_DIV) return a / b;
    float y;
    if (op == TUFF_BINARY_MAXIMUM)
        y = a >= b ? a : b;
    else if (op == TUFF_BINARY_MINIMUM)
        y = a <= b ? a : b;
    else
        y = a == b ? 0.5 : a > b ? 1.0 : 0.0;
    return tuff_is_nan(a) ? a : tuff_is_nan(b) ? b : y;
}
