#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/lib/half.glsl"
#include "shaders/args/attention.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/log_sum_exp.glsl"

layout(local_size_x_id = 0) in; /* a power of two, at least 64 */
TUFF_ARGS(tuff_attention_args);

/* A workgroup per query and head, as for decoding. Invocations are keys while scores are made, a workgroup's size at a
 * time, and elements of the head while values are added up. */
const uint MOST_DIM = 256;
shared float query[MOST_DIM];
shared float weight[TUFF_REDUCE_GROUP];
shared float part[TUFF_REDUCE_GROUP];

float load(U32 x, uint at)
{
    if ((a.dim_flags & TUFF_ATTENTION_HALF) == 0) return uintBitsToFloat(x.v[at]);
    return tuff_half_to_float((x.v[at >> 1] >> (16 * (at & 1))) & 0xffffu);
}

void main()
{
    uint lane = gl_LocalInvocationID.x, width = gl_WorkGroupSize.x, dim = a.dim_flags & TUFF_ATTENTION_DIM_MASK;
    uint time = gl_WorkGroupID.x, head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    uint k_at = batch * a.k_stride[0] + head / a.G * a.k_stride[2] + ((a.dim_flags & TUFF_ATTENTION_ODD_K) != 0 ? 1 : 0);
    uint v_at = batch * a.v_stride[0] + head / a.G * a.v_stride[2] + ((a.dim_flags & TUFF_ATTENTION_ODD_V) != 0 ? 1 : 0);
    uint q_at = batch * a.q_stride[0] + time * a.q_stride[1] + head * a.q_stride[2];
    for (uint d = lane; d < dim; d += width)
        query[d] = a.q.v[q_at + d] * a.scale;
    barrier();

    int begin = 0, end = int(a.Tk);
    if ((a.dim_flags & TUFF_ATTENTION_CAUSAL) != 0) {
        int position = int(time);
        if ((a.dim_flags & TUFF_ATTENTION_FROM) != 0) position += a.start.v[batch];
        end = clamp(position + 1, 0, end);
        if (a.window > 0) begin = clamp(position - int(a.window) + 1, 0, end);
    }
    /* several invocations share an element where the head is small: each adds up every parts-th key */
    uint across = 1;
    while (across < dim && across < width)
        across *= 2;
    uint parts = width / across, mine = lane / across, column = lane % across;
    float sum[MOST_DIM / 64];
    [[unroll]] for (uint c = 0; c < MOST_DIM / 64; c++)
        sum[c] = 0;
    vec2 lse = TUFF_LSE_START;
    for (int key0 = begin; key0 < end; key0 += int(width)) {
        uint n = min(width, uint(end - key0)), at = k_at + uint(key0 + min(int(lane), end - 1 - key0)) * a.k_stride[1];
        float score = 0;
        for (uint d = 0; d < dim; d++)
            score += query[d] * load(a.k, at + d);
        vec2 here = tuff_lse_segment(lane < n ? vec2(score, 1.0) : TUFF_LSE_START, width), both = tuff_lse_join(lse, here);
        float shrink = tuff_exp(lse.x - both.x);
        lse = both;
        weight[lane] = lane < n ? tuff_exp(score - both.x) : 0.0;
        barrier();
        [[unroll]] for (uint c = 0; c < MOST_DIM / 64; c++) {
            uint d = column + c * across;
            if (d >= dim) continue;
            sum[c] *= shrink;
            for (uint j = mine; j < n; j += parts)
                sum[c] += weight[j] * load(a.v, v_at + uint(key0 + int(j)) * a.v_stride[1] + d);
        }
        barrier();
    }
    uint o_at = ((batch * a.Tq + time) * a.Hq + head) * dim;
    float scale = begin < end ? 1.0 / lse.y : 0.0;
    [[unroll]] for (uint c = 0; c < MOST_DIM / 64; c++) {
        uint d = column + c * across;
        part[lane] = sum[c];
        barrier();
        float whole = 0;
        for (uint p = 0; p < parts; p++)
            whole += part[p * across + column];
        if (mine == 0 && d < dim) a.o.v[o_at + d] = whole * scale;
        barrier();
    }
    if (lane == 0)
        a.lse.v[(batch * a.Hq + head) * a.Tq + time] =
            begin < end ? lse.x + tuff_log(lse.y) : -uintBitsToFloat(0x7f800000u);
}
