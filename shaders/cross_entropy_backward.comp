#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/cross_entropy.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_cross_entropy_backward_args);

/* exp(x) - 1 for x <= 0, to full relative accuracy near 0. */
float exp_less_one(float x)
{
    if (x < -0.3) return tuff_exp(x) - 1.0;
    return x * (1.0 + x * (0.5 + x * (1.0 / 6 + x * (1.0 / 24 + x * (1.0 / 120 + x * (1.0 / 720 + x / 5040))))));
}

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end) return;
    int label = a.labels.v[t.row];
    bool ignored = label == TUFF_LABEL_IGNORED, valid = label >= 0 && label < int(a.tile[1]);
    float lse = a.lse.v[t.row];
    float factor = valid ? a.d_loss.v[t.row * a.d_step] / a.count.v[0] : uintBitsToFloat(0x7fc00000u);
    for (uint c = t.column; c < t.end; c += t.step) {
        uint at = t.row * a.tile[1] + c;
        float x = a.logits.v[at] - lse;
        float d = (int(c) == label ? exp_less_one(x) + a.own : tuff_exp(x) - a.rest) * factor;
        a.d_logits.v[at] = ignored ? 0.0 : d;
    }
}
