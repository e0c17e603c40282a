/* What the tiled kernels of attention share. A workgroup keeps vectors of ROWS queries (or keys) per invocation in
 * registers, and walks over pairs of vectors of the other side, which all invocations need: `first` and `second`.
 *
 * With TUFF_SPREAD, for devices that are a CPU, the workgroup is one subgroup; each invocation loads a few elements of the
 * two vectors and spreads them. Without, a block of them lies in shared memory.
 *
 * The kernel includes common.glsl and declares its arguments `a` before this, and after it defines
 *     float load_first(uint i, uint d), load_second(uint i, uint d)    element d of vector pair i
 */
#include "shaders/lib/math.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint DIM = 64;   /* the head dim, rounded up to one of few sizes, multiples of 8 */
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const uint BLOCK = 32; /* vector pairs in shared memory, or the subgroup's size */

#define dim (a.dim_flags & TUFF_ATTENTION_DIM_MASK)

float load_first(uint i, uint d);
float load_second(uint i, uint d);

/* Memory to registers and back, element by element: FOR_DIM(d) { KEEP(q[r], d, x); } and FOR_DIM(d) { TAKE(q[r], d, x); }
 * Code for PART elements is in a loop, and the registers are picked by comparing: drivers take long over hundreds of
 * loads, most of all those that run on the CPU. */
#if TUFF_SPREAD
const uint PART = 1;
#else
const uint PART = 8;
#endif
#define FOR_DIM(d)                                                                                                     \
    [[dont_unroll]] for (uint part = 0; part < dim; part += PART)                                                      \
        [[unroll]] for (uint s = 0, d = part; s < PART; s++, d++)                                                      \
            if (d < dim)
#define KEEP(vector, d, x)                                                                                             \
    [[unroll]] for (uint e = s; e < DIM; e += PART)                                                                    \
        vector[e] = e == d ? x : vector[e]
#define TAKE(vector, d, x)                                                                                             \
    [[unroll]] for (uint e = s; e < DIM; e += PART)                                                                    \
        x = e == d ? vector[e] : x

#if TUFF_SPREAD
float first_part[(DIM + BLOCK - 1) / BLOCK], second_part[(DIM + BLOCK - 1) / BLOCK];

/* elements d to d + 3, d a constant and a multiple of 4, of the present pair's vectors; BLOCK is at least 4 */
vec4 spread(float x, uint from)
{
    return vec4(subgroupBroadcast(x, from), subgroupBroadcast(x, from + 1), subgroupBroadcast(x, from + 2),
                subgroupBroadcast(x, from + 3));
}
#define FIRST(d)  spread(first_part[(d) / BLOCK], (d) % BLOCK)
#define SECOND(d) spread(second_part[(d) / BLOCK], (d) % BLOCK)

/* For each pair i in begin..end: FOR_PAIRS(i, begin, end) { ... } END_PAIRS */
#define FOR_PAIRS(i, begin, end)                                                                                       \
    for (uint i = begin; i < end; i++) {                                                                               \
        [[unroll]] for (uint c = 0; c < (DIM + BLOCK - 1) / BLOCK; c++) {                                              \
            uint d = c * BLOCK + gl_SubgroupInvocationID;                                                              \
            float x = load_first(i, min(d, dim - 1)), y = load_second(i, min(d, dim - 1));                             \
            first_part[c] = d < dim ? x : 0.0;                                                                         \
            second_part[c] = d < dim ? y : 0.0;                                                                        \
        }
#define END_PAIRS }
#else
shared vec4 first_block[BLOCK * DIM / 4], second_block[BLOCK * DIM / 4];
uint pair_at;

#define FIRST(d)  first_block[pair_at + (d) / 4]
#define SECOND(d) second_block[pair_at + (d) / 4]

#define FOR_PAIRS(i, begin, end)                                                                                       \
    for (uint block = begin; block < end; block += BLOCK) {                                                            \
        uint pairs = min(BLOCK, end - block);                                                                          \
        barrier(); /* the last block's readers are done */                                                             \
        for (uint e = gl_LocalInvocationID.x; e < pairs * DIM; e += gl_WorkGroupSize.x) {                              \
            uint d = e % DIM;                                                                                          \
            first_block[e / 4][e % 4] = d < dim ? load_first(block + e / DIM, d) : 0.0;                                \
            second_block[e / 4][e % 4] = d < dim ? load_second(block + e / DIM, d) : 0.0;                              \
        }                                                                                                              \
        barrier();                                                                                                     \
        for (uint i = block; i < block + pairs; i++) {                                                                 \
            pair_at = (i - block) * DIM / 4;
#define END_PAIRS                                                                                                      \
    }                                                                                                                  \
    }
#endif

/* The keys that a query at `position` sees: x up to, not including, y. */
ivec2 seen(int position)
{
    int begin = 0, end = int(a.Tk);
    if ((a.dim_flags & TUFF_ATTENTION_CAUSAL) != 0) {
        end = clamp(position + 1, 0, end);
        if (a.window > 0) begin = clamp(position - int(a.window) + 1, 0, int(a.Tk));
    }
    return ivec2(begin, end);
}

int start_of(uint batch)
{
    return (a.dim_flags & TUFF_ATTENTION_FROM) != 0 ? a.start.v[batch] : 0;
}
