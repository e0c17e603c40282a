#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention.glsl"

/* What chunks have made of the few queries of a segment, in the order of the chunks: a workgroup per segment and head. */
layout(local_size_x = 64) in;

void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    uint head = gl_WorkGroupID.y, G = group, kv_heads = heads / G;
    uint chunks = ENTRY(gl_WorkGroupID.x, TUFF_JOIN_CHUNKS), rows = WORD(PART_ROWS), step = kv_heads * rows * (dim + 2);
    F32 parts = ADDRESS(F32, PARTS);
    for (uint time = 0; time < w.rows; time++) {
        bool live = time < w.live;
        ivec2 keys = live ? seen(w, w.start + int(time)) : ivec2(0);
        bool any = keys.x < keys.y;
        uint from = ((w.first * kv_heads + head / G) * rows + time * G + head % G) * (dim + 2);
        vec2 lse = vec2(LOWEST, 0.0);
        for (uint c = 0; any && c < chunks; c++)
            lse.x = max(lse.x, parts.v[from + c * step + dim]);
        for (uint c = 0; any && c < chunks; c++)
            lse.y += parts.v[from + c * step + dim + 1] * tuff_exp(parts.v[from + c * step + dim] - lse.x);
        float top = lse.x, factor = finish(lse, head, live, any);
        uint to = row_at(w.q_begin + time, head);
        for (uint d = gl_LocalInvocationID.x; d < dim; d += 64) {
            float sum = 0;
            for (uint c = 0; any && c < chunks; c++)
                sum += parts.v[from + c * step + d] * tuff_exp(parts.v[from + c * step + dim] - top);
            ADDRESS(F32, O).v[to * dim + d] = any ? sum * factor : 0.0;
        }
        if (gl_LocalInvocationID.x == 0) ADDRESS(F32, LSE).v[to] = lse.x;
    }
}
