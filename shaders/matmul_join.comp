#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#define TUFF_STORED_BUFFER F32
#include "shaders/args/matmul.h"
#include "shaders/lib/flat.glsl"

TUFF_ARGS(tuff_matmul_join_args);
#include "shaders/lib/end.glsl"

/* Sums whose terms were cut into parts: these are added in their order. */
void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        float sum = a.parts.v[i];
        for (uint p = 1; p < a.count; p++)
            sum += a.parts.v[p * a.n + i];
        a.c.v[i] = tuff_end(sum, i, i % a.N);
    }
}
