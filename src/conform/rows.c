/* Cases of gathering and scattering rows. */
#include "conform/case.h"

enum { COUNT, N, COLUMNS, NUMBERS, DATA, TRANSPOSED };
enum { MIXED, OUTSIDE, SAME, APART }; /* of any rows; some are none; all one row; none twice */
enum { MOST = 1024 };

static tuff_tensor *make_numbers(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double rows[MOST];
    int64_t count = p[COUNT] < MOST ? p[COUNT] : MOST, n = p[N];
    for (int64_t i = 0; i < count; i++) {
        rows[i] = (double)(p[NUMBERS] == SAME    ? n / 2
                           : p[NUMBERS] == APART ? i * 2 % n
                                                 : (i * i * 5 + i * 3) % n);
        if (p[NUMBERS] == OUTSIDE && i % 3 == 1) rows[i] = i % 2 ? -1 - (double)i : (double)(n + i / 8);
    }
    return tuff_case_data(run, g, TUFF_I32, 1, &count, rows);
}

static tuff_tensor *leaf(tuff_case_run *run, tuff_graph *g, const int64_t *p, int64_t rows)
{
    const int64_t transposed = p[TRANSPOSED],
                  dims[2] = {transposed ? p[COLUMNS] : rows, transposed ? rows : p[COLUMNS]};
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, dims, (tuff_data)p[DATA], 1, 0);
    if (p[DATA] == TUFF_DATA_NORMAL) tuff_case_grad(run, x);
    return transposed ? tuff_transpose(g, x) : x;
}

static void gathered(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = leaf(run, g, p, p[N]);
    tuff_case_result(run, tuff_gather_rows(g, x, make_numbers(run, g, p)), 0, 1);
    tuff_case_batch(run, COUNT);
}

static void scattered(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = leaf(run, g, p, p[COUNT]);
    /* a sum of as many as there are numbers, in their order */
    tuff_case_result(run, tuff_scatter_add_rows(g, x, make_numbers(run, g, p), p[N]), 2, (double)p[COUNT]);
}

static const tuff_case cases[] = {
    {"rows.gather.m1n1c1", gathered, {1, 1, 1}},
    {"rows.gather.m9n7c5", gathered, {9, 7, 5}},
    {"rows.gather.m160n50c33", gathered, {160, 50, 33}},
    {"rows.gather.m20n90c300.apart", gathered, {20, 90, 300, APART}},
    {"rows.gather.m40n3c64.same", gathered, {40, 3, 64, SAME}},
    {"rows.gather.m27n7c6.outside", gathered, {27, 7, 6, OUTSIDE}},
    {"rows.gather.m12n9c10.transposed", gathered, {12, 9, 10, MIXED, 0, 1}},
    {"rows.gather.m60n40c17.special", gathered, {60, 40, 17, MIXED, TUFF_DATA_SPECIAL}},
    {"rows.scatter.m1n1c1", scattered, {1, 1, 1}},
    {"rows.scatter.m9n7c5", scattered, {9, 7, 5}},
    {"rows.scatter.m160n50c33", scattered, {160, 50, 33}},
    {"rows.scatter.m20n90c300.apart", scattered, {20, 90, 300, APART}},
    {"rows.scatter.m300n3c20.same", scattered, {300, 3, 20, SAME}},
    {"rows.scatter.m27n7c6.outside", scattered, {27, 7, 6, OUTSIDE}},
    {"rows.scatter.m12n9c10.transposed", scattered, {12, 9, 10, MIXED, 0, 1}},
    {"rows.scatter.m60n40c17.special", scattered, {60, 40, 17, MIXED, TUFF_DATA_SPECIAL}},
};

const tuff_case_family tuff_family_rows = {"rows", cases, sizeof cases / sizeof cases[0]};
