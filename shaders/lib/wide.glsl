/* Four neighbours by one load: 16 bytes of f32, 8 of halves. Buffers that are read so must begin at a multiple of that,
 * and indices, given in elements, count from there: a kernel's geometry sees to it. */
layout(buffer_reference, std430, buffer_reference_align = 16) buffer F32x4 {
    vec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 8) buffer U32x2 {
    uvec2 v[];
};

/* The four that `at` is one of. */
vec4 tuff_wide(F32 x, uint at)
{
    return F32x4(x).v[at >> 2];
}

void tuff_wide_store(F32 x, uint at, vec4 four)
{
    F32x4(x).v[at >> 2] = four;
}

/* The same of elements stored as halves, in two words. */
uvec2 tuff_wide_halves(U32 x, uint at)
{
    return U32x2(x).v[at >> 2];
}
