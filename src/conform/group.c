/* Cases of places sorted by their groups. */
#include <stdint.h>

#include "conform/case.h"

enum { RANK, DIMS, GROUPS = 4, PATTERN };
enum {
    MIXED,
    ONE,
    OUTSIDE,
    SPARSE,
    FALLING
}; /* all one group; some in none; every third; in descending order */
enum { MOST = 20000 };

/* Numbers that are no group, also the least and the largest. */
static double outside(int64_t i, int64_t n)
{
    const double table[] = {-1, (double)n, INT32_MIN, INT32_MAX, (double)n + 1, -2};
    return table[i % 6];
}

static double group_at(int64_t pattern, int64_t i, int64_t places, int64_t n)
{
    switch (pattern) {
    case ONE:
        return (double)(n / 2);
    case SPARSE:
        return (double)(i * 7 % n / 3 * 3);
    case FALLING:
        return (double)((places - 1 - i) * n / places);
    case OUTSIDE:
        if (i % 5 == 1 || i % 7 == 0) return outside(i, n);
        break;
    default:
        break;
    }
    return (double)((i * i * 31 + i * 7919 + 1) % 1009 % n);
}

static void sorted(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    static _Thread_local double groups[MOST];
    int64_t places = 1;
    for (int64_t i = 0; i < p[RANK]; i++)
        places *= p[DIMS + i];
    if (places > MOST) return;
    for (int64_t i = 0; i < places; i++)
        groups[i] = group_at(p[PATTERN], i, places, p[GROUPS]);
    tuff_tensor *x = tuff_case_data(run, g, TUFF_I32, (int)p[RANK], p + DIMS, groups);
    tuff_case_aside(run, tuff_group_rows(g, x, p[GROUPS]), 0, 1);
}

static const tuff_case cases[] = {
    {"group.1.n1", sorted, {1, 1, 0, 0, 1}},
    {"group.1.n1.outside", sorted, {1, 1, 0, 0, 1, OUTSIDE}},
    {"group.9.n4", sorted, {1, 9, 0, 0, 4}},
    {"group.1x8.n64", sorted, {2, 1, 8, 0, 64}},
    {"group.5x3x7.n11.outside", sorted, {3, 5, 3, 7, 11, OUTSIDE}},
    {"group.257.n300.sparse", sorted, {1, 257, 0, 0, 300, SPARSE}},
    {"group.300.n3.one", sorted, {1, 300, 0, 0, 3, ONE}},
    {"group.1000.n1000.falling", sorted, {1, 1000, 0, 0, 1000, FALLING}},
    {"group.1024.n16", sorted, {1, 1024, 0, 0, 16}},
    {"group.1025.n16", sorted, {1, 1025, 0, 0, 16}},
    {"group.700x2.n5000.outside", sorted, {2, 700, 2, 0, 5000, OUTSIDE}},
    {"group.9001.n128", sorted, {1, 9001, 0, 0, 128}},
    {"group.4100x2.n60.outside", sorted, {2, 4100, 2, 0, 60, OUTSIDE}},
    {"group.5000.n7.falling", sorted, {1, 5000, 0, 0, 7, FALLING}},
    {"group.20000.n1.one", sorted, {1, 20000, 0, 0, 1, ONE}},
    {"group.20000.n300", sorted, {1, 20000, 0, 0, 300}},
};

const tuff_case_family tuff_family_group = {"group", cases, sizeof cases / sizeof cases[0]};
