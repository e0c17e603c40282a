/* Tiles of TILE rows and TILE columns of scores, by ACROSS x ACROSS invocations: invocation (x, y) has rows 4 y + i and
 * columns 4 x + j, i and j below 4. Scores of a tile are shared. An invocation's sums, over what the columns stand for,
 * are of SUMS of its rows and of elements 4 (OX + OVER c) and three more: arrays of constant size, indexed by constants,
 * so that they stay in registers. 32 KiB of shared memory for tiles of 64, 12 KiB for tiles of 32. */
#include "shaders/lib/attention.glsl"

layout(local_size_x_id = 3) in; /* LANES */
layout(constant_id = 2) const uint TILE = 64;
layout(constant_id = 4) const uint UNROLL = 4; /* steps of the inner loops that the code has one behind the other */

const uint ACROSS = TILE / 4, LANES = ACROSS * ACROSS;
const uint PART = 32;                        /* elements of vectors that are multiplied at a time */
const uint LOADS = TILE * (PART / 4) / LANES; /* of a side's part, by each invocation */
/* How many invocations lie side by side over a row of sums: those that share its scores, or half of them where that
 * wastes none. */
const uint OVER = DIM % TILE == 0 ? ACROSS : ACROSS / 2;
const uint SUMS = 4 * OVER / ACROSS, COLUMNS = DIM / (4 * OVER);
/* Vectors that fit into the room at a time, when they are summed up. */
const uint AT_ONCE = DIM <= 64 ? TILE : DIM <= 128 ? TILE / 2 : TILE / 4;
const uint STEP = DIM <= 64 || UNROLL == 1 ? 4 * UNROLL : 2 * UNROLL; /* of them, without a loop */

shared vec4 room[2 * TILE * PART / 4]; /* a part of rows, and of columns; or whole vectors */
shared vec4 weights[TILE * ACROSS];    /* [row][column]; or what invocations that share rows tell each other */

#define LANE gl_LocalInvocationID.x
#define X    (LANE % ACROSS)
#define Y    (LANE / ACROSS)
#define OX   (LANE % OVER)

/* Of a tile's vectors, those that this invocation loads parts of: n below LOADS. */
#define LOADED(n) (LANE / (PART / 4) + LANES / (PART / 4) * n)
/* Of its four rows, those that it has sums of: i below SUMS. */
#define SUMMED(i) (SUMS * (X / OVER) + i)
#define PICKED(values, i) (OVER == ACROSS || X < OVER ? values[i] : values[(i) + 2 & 3])

/* Where four elements of a column lie: invocations that read at once do so from different banks. */
uint place(uint column, uint four)
{
    return (TILE + column) * (PART / 4) + (four ^ (column / 4 & PART / 4 - 1));
}

/* In what an invocation's n-th load differs there from its first. */
#define TWIST(n) (LANES / PART * n & PART / 4 - 1)

/* An invocation's 16 numbers to where the tile's weights are, for all; and back, as they are in the way in registers. */
#define SET_ASIDE(s)                                                                                                   \
    [[unroll]] for (uint i = 0; i < 4; i++)                                                                            \
        weights[(4 * Y + i) * ACROSS + X] = s[i];
#define TAKE_BACK(s)                                                                                                   \
    [[unroll]] for (uint i = 0; i < 4; i++)                                                                            \
        s[i] = weights[(4 * Y + i) * ACROSS + X];

/* s[i][j] = the product of row 4 y + i and column 4 x + j. ROW(n, d) gives elements d to d + 3 of row LOADED(n),
 * COLUMN(n, d) those of that column. */
#define PRODUCTS(s, ROW, COLUMN, BUSY)                                                                                 \
    [[unroll]] for (uint i = 0; i < 4; i++)                                                                            \
        s[i] = vec4(0);                                                                                                \
    [[dont_unroll]] for (uint part = 0; part < DIM; part += PART) {                                                    \
        uint four = LANE % (PART / 4), to = place(LOADED(0), four);                                                    \
        vec4 of_row[LOADS], of_column[LOADS];                                                                          \
        [[unroll]] for (uint n = 0; n < LOADS; n++) {                                                                  \
            of_row[n] = ROW(n, part + 4 * four);                                                                       \
            of_column[n] = COLUMN(n, part + 4 * four);                                                                 \
        }                                                                                                              \
        barrier(); /* the last readers are done */                                                                     \
        [[unroll]] for (uint n = 0; n < LOADS; n++) {                                                                  \
            room[LANE + LANES * n] = of_row[n];                                                                        \
            room[(to ^ TWIST(n)) + LANES * n] = of_column[n];                                                          \
        }                                                                                                              \
        barrier();                                                                                                     \
        if (BUSY) multiply(s);                                                                                         \
    }

void multiply(inout vec4 s[4])
{
    uint columns = place(4 * X, 0); /* the four of an invocation lie behind each other, twisted alike */
    [[dont_unroll]] for (uint step = 0; step < PART / 4; step += UNROLL)
        [[unroll]] for (uint e = 0; e < UNROLL; e++) {
            vec4 row[4];
            [[unroll]] for (uint i = 0; i < 4; i++)
                row[i] = room[(4 * Y + i) * (PART / 4) + step + e];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                vec4 column = room[(columns ^ step ^ e) + j * (PART / 4)];
                [[unroll]] for (uint i = 0; i < 4; i++)
                    [[unroll]] for (uint c = 0; c < 4; c++)
                        s[i][j] += row[i][c] * column[c];
            }
        }
}

/* Where invocations load elements of vectors: the lane's n-th. */
const bool EVEN = LANES % (DIM / 4) == 0; /* then of the same place in all vectors */
uint vector_of(uint n)
{
    return EVEN ? LANE / (DIM / 4) + n / (DIM / 4) : (LANE + n) / (DIM / 4);
}

/* sum[i][c] += weights[row][j] times elements of vector j, over the columns j; all from COUNT on have no weight.
 * VECTOR(j, d) gives elements d to d + 3 of vector j. */
#define ADD_UP(sum, VECTOR, COUNT, BUSY)                                                                               \
    [[dont_unroll]] for (uint j0 = 0; j0 < min(TILE, COUNT); j0 += AT_ONCE) {                                          \
        barrier(); /* the weights are there, and the room's last readers are done */                                   \
        [[unroll]] for (uint n = 0; n < AT_ONCE * (DIM / 4); n += LANES) {                                             \
            uint e = LANE + n;                                                                                         \
            if (AT_ONCE * (DIM / 4) % LANES == 0 || e < AT_ONCE * (DIM / 4))                                           \
                room[e] = VECTOR((j0 + vector_of(n)), (4 * (EVEN ? LANE % (DIM / 4) : e % (DIM / 4))));                \
        }                                                                                                              \
        barrier();                                                                                                     \
        if (BUSY) accumulate(sum, j0, min(AT_ONCE, COUNT - j0));                                                       \
    }

void accumulate(inout vec4 sum[SUMS][COLUMNS], uint j0, uint count)
{
    [[dont_unroll]] for (uint step = 0; step < count; step += STEP)
        [[unroll]] for (uint j = 0; j < STEP; j += 4) {
            vec4 w[SUMS];
            [[unroll]] for (uint i = 0; i < SUMS; i++)
                w[i] = weights[(4 * Y + SUMMED(i)) * ACROSS + (j0 + step + j) / 4];
            [[unroll]] for (uint t = 0; t < 4; t++)
                [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
                    vec4 v = room[(step + j + t) * (DIM / 4) + OX + OVER * c];
                    [[unroll]] for (uint i = 0; i < SUMS; i++)
                        sum[i][c] += w[i][t] * v;
                }
        }
}
