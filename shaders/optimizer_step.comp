#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"

layout(local_size_x = 1) in;
TUFF_ARGS(tuff_optimizer_step_args);

/* c(t) = 1 - beta^t from the binary digits of t: c(t + 1) = c + (1 - beta) (1 - c), and c(2 t) = c (2 - c), which keeps
 * relative errors from growing. */
float correction(float one_minus_beta, uint t)
{
    float c = 0;
    for (int bit = findMSB(t); bit >= 0; bit--) {
        c *= 2.0 - c;
        if ((t >> bit & 1u) != 0) c += one_minus_beta * (1.0 - c);
    }
    return c;
}

void main()
{
    if (!tuff_is_finite(a.norm.v[0])) {
        a.state.v[1] += 1.0;
        return;
    }
    float steps = a.state.v[0] + 1.0;
    a.state.v[0] = steps;
    a.state.v[2] = correction(a.one_minus_beta1, uint(steps));
    a.state.v[3] = correction(a.one_minus_beta2, uint(steps));
}
