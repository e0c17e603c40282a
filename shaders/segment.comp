#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/segment.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/segment.glsl"

layout(local_size_x = TUFF_SEGMENT_COLUMNS * TUFF_SEGMENT_LANES) in;
TUFF_ARGS(tuff_segment_args);

/* Rows that an invocation loads before it uses the first of them. */
const uint AHEAD = 4;

shared float parts[TUFF_SEGMENT_COLUMNS * TUFF_SEGMENT_LANES];
#if TUFF_MAX
shared uint places[TUFF_SEGMENT_COLUMNS * TUFF_SEGMENT_LANES];

/* NaN is larger than any number; of equals the first row's. */
bool larger(float x, uint x_at, float y, uint y_at)
{
    bool x_nan = tuff_is_nan(x), y_nan = tuff_is_nan(y);
    if (x_nan || y_nan) return x_nan && (!y_nan || x_at < y_at);
    return x > y || (x == y && x_at < y_at);
}
#endif

void main()
{
    uint s = TUFF_GROUP_1D / a.blocks, lane = gl_LocalInvocationID.x, first = lane / TUFF_SEGMENT_COLUMNS;
    uint c = TUFF_GROUP_1D % a.blocks * TUFF_SEGMENT_COLUMNS + lane % TUFF_SEGMENT_COLUMNS;
    if (s >= a.count) return;
    uvec2 rows = tuff_segment_rows(a.segments, s, a.rows); /* the first, and how many */
    uint n = c < a.columns ? rows.y : 0, start = rows.x * a.columns + c;
#if TUFF_MAX
    float best = uintBitsToFloat(0xff800000u);
    uint at = ~0u;
#else
    float best = 0;
#endif
    for (uint i = first; i < n; i += AHEAD * TUFF_SEGMENT_LANES) {
        float x[AHEAD];
        [[unroll]] for (uint k = 0; k < AHEAD; k++)
            x[k] = a.x.v[start + min(i + k * TUFF_SEGMENT_LANES, n - 1) * a.columns];
        [[unroll]] for (uint k = 0; k < AHEAD; k++) {
            uint place = i + k * TUFF_SEGMENT_LANES;
            if (place >= n) break;
#if TUFF_MAX
            if (larger(x[k], place, best, at)) {
                best = x[k];
                at = place;
            }
#else
            best += (a.by_position != 0 ? float(place + 1) : 1.0) * x[k];
#endif
        }
    }
    parts[lane] = best;
#if TUFF_MAX
    places[lane] = at;
#endif
    barrier();
    if (first != 0 || c >= a.columns) return;
    for (uint k = 1; k < TUFF_SEGMENT_LANES; k++) {
        uint other = lane + k * TUFF_SEGMENT_COLUMNS;
#if TUFF_MAX
        if (larger(parts[other], places[other], best, at)) {
            best = parts[other];
            at = places[other];
        }
#else
        best += parts[other];
#endif
    }
#if TUFF_MAX
    a.at.v[s * a.columns + c] = n == 0 ? -1 : int(rows.x + at);
    a.y.v[s * a.columns + c] = n == 0 ? 0.0 : best;
#else
    a.y.v[s * a.columns + c] = n == 0 ? 0.0 : best / tuff_segment_weights(a.by_position != 0, n);
#endif
}
