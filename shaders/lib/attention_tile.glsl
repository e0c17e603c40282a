/* Tiles of 32 rows and 32 columns of scores, by 64 invocations: invocation (x, y) of 8 x 8 has rows y + 8 i and columns
 * 4 x + j, i and j below 4. Its sums, over what the columns stand for, are of rows y + 8 i and of elements 4 (x + 8 c) and
 * three more: arrays of constant size, indexed by constants, so that they stay in registers. 15 KiB of shared memory. */
#include "shaders/lib/attention.glsl"

layout(local_size_x = 64) in;

const uint TILE = 32;
const uint PITCH = TILE / 4 + 1; /* vec4 of a row in shared memory: what is read at once falls into different banks */
const uint COLUMNS = DIM / 32;   /* vec4 of a row of sums that an invocation has */
/* Vectors that fit into the room at a time, when they are summed up. */
const uint AT_ONCE = DIM <= 64 ? 32 : DIM <= 128 ? 16 : 8;

shared vec4 room[2 * TILE * PITCH]; /* 32 elements of rows, and of columns; or whole vectors */
shared vec4 weights[TILE * PITCH];  /* [row][column] */
shared vec4 shares[TILE / 4 * 8];   /* what invocations that share rows tell each other */

#define LANE gl_LocalInvocationID.x
#define X    (LANE & 7)
#define Y    (LANE >> 3)

/* s[i][j] = the product of row y + 8 i and column 4 x + j. ROW(n, d) gives elements d to d + 3 of row y + 8 n,
 * COLUMN(n, d) those of column 4 y + n: what this invocation loads for all. */
#define PRODUCTS(s, ROW, COLUMN)                                                                                       \
    [[unroll]] for (uint i = 0; i < 4; i++)                                                                            \
        s[i] = vec4(0);                                                                                                \
    [[dont_unroll]] for (uint part = 0; part < DIM; part += 32) {                                                      \
        barrier(); /* the last readers are done */                                                                     \
        [[unroll]] for (uint n = 0; n < 4; n++) {                                                                      \
            room[(Y + 8 * n) * PITCH + X] = ROW(n, part + 4 * X);                                                      \
            room[(TILE + Y + 8 * n) * PITCH + X] = COLUMN(n, part + 4 * X);                                            \
        }                                                                                                              \
        barrier();                                                                                                     \
        multiply(s);                                                                                                   \
    }

/* Column 4 y + n lies in row 32 + y + 8 n of the room. */
void multiply(inout vec4 s[4])
{
    [[dont_unroll]] for (uint e = 0; e < TILE / 4; e++) {
        vec4 row[4];
        [[unroll]] for (uint i = 0; i < 4; i++)
            row[i] = room[(Y + 8 * i) * PITCH + e];
        [[unroll]] for (uint j = 0; j < 4; j++) {
            vec4 column = room[(TILE + X + 8 * j) * PITCH + e];
            [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint c = 0; c < 4; c++)
                    s[i][j] += row[i][c] * column[c];
        }
    }
}

/* sum[i][c] += weights[row][j] times elements of vector j, over the 32 columns j. VECTOR(j, d) gives elements d to d + 3
 * of vector j. */
#define ADD_UP(sum, VECTOR)                                                                                            \
    [[dont_unroll]] for (uint j0 = 0; j0 < TILE; j0 += AT_ONCE) {                                                      \
        barrier(); /* the weights are there, and the room's last readers are done */                                   \
        for (uint e = LANE; e < AT_ONCE * (DIM / 4); e += 64)                                                          \
            room[e] = VECTOR((j0 + e / (DIM / 4)), (4 * (e % (DIM / 4))));                                             \
        barrier();                                                                                                     \
        accumulate(sum, j0);                                                                                           \
    }

void accumulate(inout vec4 sum[4][COLUMNS], uint j0)
{
    [[dont_unroll]] for (uint j = 0; j < AT_ONCE; j += 4) {
        vec4 w[4];
        [[unroll]] for (uint i = 0; i < 4; i++)
            w[i] = weights[(Y + 8 * i) * PITCH + (j0 + j) / 4];
        [[unroll]] for (uint t = 0; t < 4; t++)
            [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
                vec4 v = room[(j + t) * (DIM / 4) + X + 8 * c];
                [[unroll]] for (uint i = 0; i < 4; i++)
                    sum[i][c] += w[i][t] * v;
            }
    }
}
