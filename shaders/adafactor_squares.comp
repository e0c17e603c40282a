#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/lib/adafactor.glsl"

float square_at(tuff_entry e, uint at, float clip)
{
    float g = e.grad.v[at] * clip;
    return g * g;
}

void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_table || !tuff_is_finite(norm)) return;
    tuff_band b = tuff_band_at(TUFF_GROUP_1D);
    tuff_entry e = tuff_entry_at(b.slot);
    float clip = tuff_clip(norm, a.max_norm), taken = tuff_taken(), all = 0;
    uint lane = gl_LocalInvocationID.x, first = (b.matrix * e.rows + b.row) * e.columns, lanes = 1;
    while (lanes < e.columns && lanes < gl_WorkGroupSize.x)
        lanes *= 2;
    uint at_once = gl_WorkGroupSize.x / lanes;

    /* by row: `lanes` invocations have one each */
    for (uint r = 0; r < b.rows; r += at_once) {
        uint own = r + lane / lanes;
        float sum = 0;
        for (uint c = lane % lanes; own < b.rows && c < e.columns; c += lanes)
            sum += square_at(e, first + own * e.columns + c, clip);
        sum = tuff_segment_sum(sum, lanes);
        if (own < b.rows && lane % lanes == 0) {
            uint row = b.matrix * e.rows + b.row + own;
            float value = (1.0 - taken) * e.row.v[row] + taken * (sum / float(e.columns) + a.eps1);
            e.row.v[row] = value;
            all += value;
        }
    }
    all = tuff_segment_sum(all, gl_WorkGroupSize.x);
    if (lane == 0) a.row_sums.v[TUFF_GROUP_1D] = all;

    /* by column: narrow matrices have several invocations for each, which take rows by turns */
    for (uint c = 0; c < e.columns; c += lanes) {
        uint own = c + lane % lanes;
        float sum = 0;
        for (uint r = lane / lanes; own < e.columns && r < b.rows; r += at_once)
            sum += square_at(e, first + r * e.columns + own, clip);
        if (at_once > 1) {
            barrier();
            tuff_parts[lane] = sum;
            barrier();
            for (uint k = 1; k < at_once && lane < lanes; k++)
                sum += tuff_parts[lane + k * lanes];
        }
        if (lane < lanes && own < e.columns) a.parts.v[b.part + own] = sum;
    }
}
