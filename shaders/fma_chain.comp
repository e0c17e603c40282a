#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/fma_chain.h"
#include "shaders/lib/flat.glsl"

TUFF_ARGS(tuff_fma_chain_args);

/* Eight chains, which do not wait for one another. 1/4 is a literal: compilers for two instructions at once can pair it. */
void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        vec4 low = a.x.v[i] + vec4(0.0, 0.0625, 0.125, 0.1875), high = low + 0.25;
        for (uint r = 0u; r < a.rounds; r++) {
            low = fma(low, low, vec4(-0.25));
            high = fma(high, high, vec4(-0.25));
        }
        vec4 both = low + high;
        a.y.v[i] = (both.x + both.y) + (both.z + both.w);
    }
}
