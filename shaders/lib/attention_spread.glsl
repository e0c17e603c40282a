/* Tiles of attention for devices that are a CPU: a workgroup is one subgroup, and an invocation keeps vectors of ROWS
 * queries (or keys). Of each pair of vectors of the other side an invocation loads a few elements and spreads them.
 *
 * The kernel defines, after this,
 *     float load_first(uint i, uint d), load_second(uint i, uint d)    element d of vector pair i */
#include "shaders/lib/attention.glsl"

layout(local_size_x_id = 3) in; /* the subgroup's size, at least 4 */
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 4) const uint WIDTH = 8; /* the subgroup's size */

float load_first(uint i, uint d);
float load_second(uint i, uint d);

/* Memory to registers and back, element by element: FOR_DIM(d) { KEEP(q[r], d, x); } and FOR_DIM(d) { TAKE(q[r], d, x); }
 * The registers are picked by comparing: drivers take long over hundreds of loads. */
#define FOR_DIM(d) [[dont_unroll]] for (uint d = 0; d < dim; d++)
#define KEEP(vector, d, x)                                                                                             \
    [[unroll]] for (uint e = 0; e < DIM; e++)                                                                          \
        vector[e] = e == d ? x : vector[e]
#define TAKE(vector, d, x)                                                                                             \
    [[unroll]] for (uint e = 0; e < DIM; e++)                                                                          \
        x = e == d ? vector[e] : x

float first_part[(DIM + WIDTH - 1) / WIDTH], second_part[(DIM + WIDTH - 1) / WIDTH];

/* elements d to d + 3, d a constant and a multiple of 4, of the present pair's vectors */
vec4 spread(float x, uint from)
{
    return vec4(subgroupBroadcast(x, from), subgroupBroadcast(x, from + 1), subgroupBroadcast(x, from + 2),
                subgroupBroadcast(x, from + 3));
}
#define FIRST(d)  spread(first_part[(d) / WIDTH], (d) % WIDTH)
#define SECOND(d) spread(second_part[(d) / WIDTH], (d) % WIDTH)

void load_pair(uint i)
{
    [[unroll]] for (uint c = 0; c < (DIM + WIDTH - 1) / WIDTH; c++) {
        uint d = c * WIDTH + gl_SubgroupInvocationID;
        float x = load_first(i, min(d, dim - 1)), y = load_second(i, min(d, dim - 1));
        first_part[c] = d < dim ? x : 0.0;
        second_part[c] = d < dim ? y : 0.0;
    }
}
