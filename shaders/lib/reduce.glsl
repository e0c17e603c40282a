/* Sums over segments of a workgroup in a fixed order, the same at every subgroup size. Define TUFF_SUM_TYPE first. */
#include "shaders/args/limits.h"

shared TUFF_SUM_TYPE tuff_parts[TUFF_REDUCE_GROUP];
shared TUFF_SUM_TYPE tuff_sums[TUFF_REDUCE_GROUP / 16];

/* The sum of value over the segment of `lanes` (a power of two) invocations that this one is in. All call it. */
TUFF_SUM_TYPE tuff_segment_sum(TUFF_SUM_TYPE value, uint lanes)
{
    uint lane = gl_LocalInvocationID.x, first = lane & ~(lanes - 1);
    barrier(); /* the last call's readers are done */
    tuff_parts[lane] = value;
    barrier();
    TUFF_SUM_TYPE sum = TUFF_SUM_TYPE(0);
    if (lanes <= 16) {
        for (uint k = 0; k < lanes; k++)
            sum += tuff_parts[first + k];
        return sum;
    }
    if ((lane & 15) == 0) {
        for (uint k = 0; k < 16; k++)
            sum += tuff_parts[lane + k];
        tuff_sums[lane >> 4] = sum;
    }
    barrier();
    sum = TUFF_SUM_TYPE(0);
    for (uint k = 0; k < lanes >> 4; k++)
        sum += tuff_sums[(first >> 4) + k];
    return sum;
}
