/* Maximum and sum of exp(x - maximum) over segments of a workgroup, in a fixed order. Needs lib/math.glsl. */
#include "shaders/args/limits.h"

/* x: the maximum so far, y: the sum of exp(value - maximum). It starts below every number, so that exp sees no
 * difference of infinities unless a value is +Inf: then the sum is NaN, as it should be. */
#define TUFF_LSE_START vec2(-3.402823466e38, 0.0)

vec2 tuff_lse_add(vec2 lse, float value)
{
    float d = value - lse.x, e = tuff_exp(-abs(d));
    return d > 0.0 ? vec2(value, lse.y * e + 1.0) : vec2(lse.x, lse.y + e);
}

vec2 tuff_lse_join(vec2 a, vec2 b)
{
    float top = a.x > b.x ? a.x : b.x;
    return vec2(top, a.y * tuff_exp(a.x - top) + b.y * tuff_exp(b.x - top));
}

shared vec2 tuff_lse_parts[TUFF_REDUCE_GROUP];

/* The join over the segment of `lanes` (a power of two) invocations that this one is in. All call it. */
vec2 tuff_lse_segment(vec2 lse, uint lanes)
{
    uint lane = gl_LocalInvocationID.x, within = lane & (lanes - 1);
    barrier(); /* the last call's readers are done */
    tuff_lse_parts[lane] = lse;
    for (uint width = lanes >> 1; width > 0; width >>= 1) {
        barrier();
        if (within < width) tuff_lse_parts[lane] = tuff_lse_join(tuff_lse_parts[lane], tuff_lse_parts[lane + width]);
    }
    barrier();
    return tuff_lse_join(tuff_lse_parts[lane - within], TUFF_LSE_START);
}
