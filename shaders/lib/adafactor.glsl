/* What Adafactor's kernels share: a workgroup does one band of rows, or one strip of columns, of one matrix. */
#include "shaders/args/adafactor.h"
#include "shaders/lib/clip.glsl"
#include "shaders/lib/math.glsl"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_adafactor_args);

struct tuff_entry {
    F32 param, grad, row, column, mean;
    float rate, decay;
    uint rows, columns;
    float elements;
};
tuff_entry tuff_entry_at(uint slot)
{
    uint at = TUFF_ADAFACTOR_ENTRY_WORDS * slot;
    tuff_entry e;
    e.param = TUFF_ADDRESS_AT(F32, a.entries, at);
    e.grad = TUFF_ADDRESS_AT(F32, a.entries, at + 2);
    e.row = TUFF_ADDRESS_AT(F32, a.entries, at + 4);
    e.column = TUFF_ADDRESS_AT(F32, a.entries, at + 6);
    e.mean = TUFF_ADDRESS_AT(F32, a.entries, at + 8);
    e.rate = uintBitsToFloat(a.entries.v[at + 10]);
    e.decay = uintBitsToFloat(a.entries.v[at + 11]);
    e.rows = a.entries.v[at + 12];
    e.columns = a.entries.v[at + 13];
    e.elements = uintBitsToFloat(a.entries.v[at + 14]);
    return e;
}

struct tuff_band {
    uint slot, matrix, row, rows, part, first, bands, slot_first, slot_bands;
};
tuff_band tuff_band_at(uint number)
{
    uint at = TUFF_ADAFACTOR_BAND_WORDS * number;
    tuff_band b;
    b.slot = a.table.v[at];
    b.matrix = a.table.v[at + 1];
    b.row = a.table.v[at + 2];
    b.rows = a.table.v[at + 3];
    b.part = a.table.v[at + 4];
    b.first = a.table.v[at + 5];
    b.bands = a.table.v[at + 6];
    b.slot_first = a.table.v[at + 7];
    b.slot_bands = a.table.v[at + 8];
    return b;
}

/* The natural logarithm of a normal number: the driver's may be off by much. */
float tuff_ln(float x)
{
    int bits = floatBitsToInt(x), e = (bits - 0x3f3504f3) >> 23; /* the mantissa is from sqrt(1/2) to sqrt(2) */
    float m = intBitsToFloat(bits - (e << 23)), z = (m - 1.0) / (m + 1.0), s = z * z;
    float p = 1.0 / 9.0;
    p = p * s + 1.0 / 7.0;
    p = p * s + 0.2;
    p = p * s + 1.0 / 3.0;
    return float(e) * 0.693147180559945309 + 2.0 * (z + z * s * p);
}

/* What the squares take of the step at hand: t^decay_rate. */
float tuff_taken()
{
    return tuff_exp(a.decay_rate * tuff_ln(a.state.v[0]));
}

/* The mean of the squares by row of a band's matrix. All call it. */
float tuff_row_mean(tuff_band b, uint rows)
{
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < b.bands; i += gl_WorkGroupSize.x)
        sum += a.row_sums.v[b.first + i];
    return tuff_segment_sum(sum, gl_WorkGroupSize.x) / float(rows);
}

/* The step of element i of a band, before its bound. */
float tuff_step_at(tuff_entry e, tuff_band b, uint i, float mean, float clip, out uint element)
{
    uint r = b.matrix * e.rows + b.row + i / e.columns, c = b.matrix * e.columns + i % e.columns;
    element = (b.matrix * e.rows + b.row) * e.columns + i;
    if (e.columns == 1) return e.grad.v[element] * clip / sqrt(e.row.v[r]); /* these are all squares */
    return e.grad.v[element] * clip / sqrt(e.row.v[r] / mean) / sqrt(e.column.v[c]);
}
