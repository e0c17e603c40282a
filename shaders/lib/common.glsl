/* What every shader begins with: buffer references, argument access, 1-D grids. */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32 {
    float v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer I32 {
    int v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer U32 {
    uint v[];
};

#define TUFF_GLSL
#include "shaders/args.h"

/* Declares the arguments, a struct of args/<family>.h: TUFF_ARGS(tuff_fill_args), then a.y.v[i], a.n. */
#define TUFF_ARGS(type)                                                                                                \
    layout(push_constant, std430) uniform tuff_push                                                                    \
    {                                                                                                                  \
        type a;                                                                                                        \
    }

/* The workgroup's number in a grid folded by tuff_launch_groups_1d. */
#define TUFF_GROUP_1D (gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x)

/* The address that the words at `at` and after it hold, in a table made with tuff_launch_data. Tables are read as words:
 * SwiftShader crashes on loads of addresses from memory. */
#define TUFF_ADDRESS_AT(type, words, at) type(uvec2(words.v[at], words.v[(at) + 1]))
