#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/embedding.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_embedding_backward_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    int n = int(a.tile[0]); /* ids in the list */
    if (t.column >= t.end || int(t.row) >= a.index.v[0]) return;
    uint rows = 1, starts = 1 + uint(n), positions = 2 + 2 * uint(n);
    int row = a.index.v[rows + t.row];
    if (row < 0 || uint(row) >= a.vocabulary) return;
    /* the list comes from the host program: what points outside is left out */
    int begin = clamp(a.index.v[starts + t.row], 0, n), end = clamp(a.index.v[starts + t.row + 1], 0, n);
    for (uint c = t.column; c < t.end; c += t.step) {
        uint at = uint(row) * a.tile[1] + c;
        float sum = a.accumulator.v[at];
        for (int k = begin; k < end; k++) {
            int position = a.index.v[positions + uint(k)];
            if (position >= 0 && position < n) sum += a.dy.v[uint(position) * a.tile[1] + c];
        }
        a.accumulator.v[at] = sum;
    }
}
