/* Figures of merit on small examples that were worked out by hand. */
#include "train/metrics.h"

#include <math.h>

#include "kit/kit.h"

static void near(double found, double expected)
{
    if (!(fabs(found - expected) < 1e-12)) fail_msg("%.15g, expected %.15g", found, expected);
}

static double spearman(const double *x, const double *y, size_t n)
{
    double r = 7;
    KIT_OK(tuff_spearman(x, y, n, &r));
    return r;
}

static void correlations(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4}, y[] = {2, 4, 6, 9}, falling[] = {8, 1, 0.5, -100}, same[] = {3, 3, 3, 3};
    near(tuff_pearson(x, x, 4), 1);
    near(tuff_pearson(x, falling, 4), -0.8103546728376269);
    near(tuff_pearson(x, y, 4), 11.5 / sqrt(5 * 26.75));
    near(spearman(x, y, 4), 1);
    near(spearman(x, falling, 4), -1);
    assert_true(isnan(tuff_pearson(x, same, 4)));
    assert_true(isnan(spearman(same, x, 4)));
    assert_true(isnan(tuff_pearson(x, y, 0)));
    const double holes[] = {1, NAN, 3, 4};
    assert_true(isnan(spearman(x, holes, 4)));
    assert_true(isnan(spearman(holes, x, 4)));
}

static void equal_values_share_their_mean_rank(void **state)
{
    (void)state;
    const double x[] = {5, 1, 5, 9}, y[] = {3, 1, 2, 4}; /* ranks 2.5, 1, 2.5, 4 and 3, 1, 2, 4 */
    near(spearman(x, y, 4), 4.5 / sqrt(4.5 * 5));
    const double a[] = {0, 1, 1, 1, 0}, b[] = {1, 1, 2, 2, 1}; /* 1.5, 4, 4, 4, 1.5 and 2, 2, 4.5, 4.5, 2 */
    near(spearman(a, b, 5), 5 / 7.5);
}

static tuff_status rank_twenty(void *user)
{
    double x[20], y[20], r;
    (void)user;
    for (int i = 0; i < 20; i++) {
        x[i] = i;
        y[i] = i * 7 % 20;
    }
    return tuff_spearman(x, y, 20, &r);
}

static void memory_may_fail(void **state)
{
    (void)state;
    assert_int_equal(kit_for_each_allocation_failure(rank_twenty, NULL), 2);
}

static void rankings(void **state)
{
    (void)state;
    const bool hits[] = {false, true, false, true, false}; /* of 3 that count */
    double best = 1 + 1 / log2(3) + 0.5;
    near(tuff_ndcg_at(hits, 5, 3, 10), (1 / log2(3) + 1 / log2(5)) / best);
    near(tuff_ndcg_at(hits, 5, 3, 2), (1 / log2(3)) / (1 + 1 / log2(3)));
    near(tuff_ndcg_at(hits, 5, 3, 1), 0);
    near(tuff_reciprocal_rank_at(hits, 5, 10), 0.5);
    near(tuff_reciprocal_rank_at(hits, 5, 1), 0);
    assert_int_equal(tuff_found_at(hits, 5, 3), 1);
    assert_int_equal(tuff_found_at(hits, 5, 100), 2);
    near(tuff_average_precision_at(hits, 5, 3, 100), (1.0 / 2 + 2.0 / 4) / 3);
    near(tuff_average_precision_at(hits, 5, 3, 2), (1.0 / 2) / 2);
    near(tuff_average_precision_at(hits, 5, 1000, 100), (1.0 / 2 + 2.0 / 4) / 100);
    near(tuff_ndcg_at(hits, 0, 3, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(correlations),
        cmocka_unit_test(equal_values_share_their_mean_rank),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(rankings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
