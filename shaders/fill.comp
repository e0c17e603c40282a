#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/fill.h"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_fill_args);

void main()
{
    uint i = TUFF_GROUP_1D * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < a.n) a.y.v[i] = a.value;
}
