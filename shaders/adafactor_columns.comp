#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/lib/adafactor.glsl"

void main()
{
    if (TUFF_GROUP_1D >= a.n_table || !tuff_is_finite(a.norm.v[0])) return;
    uint at = TUFF_ADAFACTOR_STRIP_WORDS * TUFF_GROUP_1D, matrix = a.table.v[at + 1];
    tuff_entry e = tuff_entry_at(a.table.v[at]);
    uint column = a.table.v[at + 2] + gl_LocalInvocationID.x, part = a.table.v[at + 3], bands = a.table.v[at + 4];
    if (column >= e.columns) return;
    float taken = tuff_taken(), sum = 0;
    for (uint b = 0; b < bands; b++)
        sum += a.parts.v[part + b * e.columns + column];
    uint own = matrix * e.columns + column;
    e.column.v[own] = (1.0 - taken) * e.column.v[own] + taken * (sum / float(e.rows) + a.eps1);
}
