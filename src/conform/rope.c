/* Cases of rotary position embedding. */
#include <math.h>

#include "conform/case.h"

enum { POSITIONS = 40 };

/* p: tokens, heads, head dim, rotated dims, first position, heads left out on either side, tokens of a
 * sequence */
static void rotated(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int64_t dims[3] = {p[0], p[1] + 2 * p[5], p[2]};
    int64_t half = p[3] / 2, length = p[6];
    double cosine[POSITIONS * 64], sine[POSITIONS * 64], positions[256];
    for (int64_t i = 0; i < POSITIONS * half; i++) {
        double angle = (double)(i / half) * pow(100, -(double)(i % half) / (double)half);
        cosine[i] = cos(angle);
        sine[i] = sin(angle);
    }
    for (int64_t i = 0; i < p[0]; i++)
        positions[i] = (double)(p[4] + i % length + 2 * (i / length));
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 3, dims, TUFF_DATA_NORMAL, 1, 0);
    bool inside = p[4] >= 0 && p[4] + length + 2 * (p[0] / length) <= POSITIONS;
    if (inside) tuff_case_grad(run, x);
    if (p[5]) x = tuff_slice(g, x, 1, p[5], p[1]);
    tuff_tensor *y =
        tuff_rope(g, x, tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){POSITIONS, half}, cosine),
                  tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){POSITIONS, half}, sine),
                  tuff_case_data(run, g, TUFF_I32, 1, p, positions));
    if (p[5] == 0) tuff_case_batch(run, 0);
    /* two products and a sum each */
    if (inside)
        tuff_case_result(run, y, 2, 2);
    else
        tuff_case_aside(run, y, 2, 2); /* positions outside the tables give NaN */
}

/* x is in head order in memory: [H, N, D] seen as [N, H, D]. */
static void permuted(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[3] = {1, 0, 2};
    int64_t half = p[2] / 2;
    tuff_tensor *x =
        tuff_case_leaf(run, g, TUFF_F32, 3, (int64_t[]){p[1], p[0], p[2]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    tuff_tensor *table[2];
    for (int i = 0; i < 2; i++)
        table[i] = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){9, half}, TUFF_DATA_UNIFORM, -1, 1);
    tuff_tensor *positions = tuff_case_leaf(run, g, TUFF_I32, 1, p, TUFF_DATA_INTEGER, 0, 9);
    tuff_case_result(run, tuff_rope(g, tuff_permute(g, x, axes), table[0], table[1], positions), 2, 2);
}

static const tuff_case cases[] = {
    {"rope.1x1x2.turn2.at0", rotated, {1, 1, 2, 2, 0, 0, 1}},
    {"rope.14x3x8.turn8.at3", rotated, {14, 3, 8, 8, 3, 0, 7}},
    {"rope.33x4x64.turn64.at0", rotated, {33, 4, 64, 64, 0, 0, 33}},
    {"rope.10x2x128.turn128.at11", rotated, {10, 2, 128, 128, 11, 0, 5}},
    {"rope.9x2x16.turn8.at1", rotated, {9, 2, 16, 8, 1, 0, 9}},
    {"rope.9x3x13.turn6.at1", rotated, {9, 3, 13, 6, 1, 0, 9}},
    {"rope.18x3x10.turn10.at0.sliced", rotated, {18, 3, 10, 10, 0, 1, 9}},
    {"rope.18x3x6.permuted", permuted, {18, 3, 6}},
    {"rope.9x2x8.turn6.before4", rotated, {9, 2, 8, 6, -4, 0, 9}},
    {"rope.9x2x8.turn8.at35", rotated, {9, 2, 8, 8, 35, 0, 9}},
};

const tuff_case_family tuff_family_rope = {"rope", cases, sizeof cases / sizeof cases[0]};
