/* Operations on token ids: the embedding's index, labels, positions; what they refuse. */
#include "ir/op.h"
#include "kit/kit.h"

#include <stdio.h>
#include <tuff/host.h>

static void check_index(const int32_t *ids, size_t n)
{
    int32_t index[302];
    assert_true(tuff_embedding_index_size(n) <= 302);
    memset(index, 0x55, sizeof index);
    KIT_OK(tuff_embedding_index(ids, n, index));
    int32_t used = index[0], *rows = index + 1, *starts = rows + n, *positions = starts + n + 1;
    assert_in_range(used, n > 0, n);
    assert_int_equal(starts[0], 0);
    assert_int_equal(starts[used], n);
    for (int32_t i = 0; i < used; i++) {
        if (i > 0) assert_true(rows[i] > rows[i - 1]);
        assert_true(starts[i + 1] > starts[i]);
        for (int32_t k = starts[i]; k < starts[i + 1]; k++) {
            assert_in_range(positions[k], 0, n - 1);
            assert_int_equal(ids[positions[k]], rows[i]);
            if (k > starts[i]) assert_true(positions[k] > positions[k - 1]);
        }
    }
    for (size_t i = (size_t)used; i <= n; i++)
        assert_int_equal(starts[i], n);
}

static void index_lists_each_position_once(void **state)
{
    (void)state;
    int32_t ids[100] = {0};
    check_index(ids, 0);
    for (size_t n = 1; n <= 100; n += 9) {
        for (size_t i = 0; i < n; i++)
            ids[i] = 7;
        check_index(ids, n);
        for (size_t i = 0; i < n; i++)
            ids[i] = (int32_t)(i * i * 2654435761u); /* all 32 bits, both signs */
        check_index(ids, n);
        for (size_t i = 0; i < n; i++)
            ids[i] = (int32_t)(n - i) / 3;
        check_index(ids, n);
    }
    int32_t out[2];
    KIT_FAILS(tuff_embedding_index(ids, (size_t)1 << 31, out), TUFF_INVALID_ARGUMENT, "too long");
}

static void index_allocates_nothing(void **state)
{
    (void)state;
    int32_t ids[100] = {0}, index[302];
    uint64_t before = kit_allocations();
    KIT_OK(tuff_embedding_index(ids, 100, index));
    assert_int_equal(kit_allocations(), before);
}

static tuff_tensor *variable(tuff_graph *g, tuff_dtype dtype, int rank, const int64_t *dims)
{
    char name[16];
    snprintf(name, sizeof name, "%zu", g->n_tensors);
    return tuff_variable(g, name, dtype, rank, dims);
}
#define DIMS(...)                                                   \
    sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]) \
    {                                                               \
        __VA_ARGS__                                                 \
    }

static tuff_graph *begin(void)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    return g;
}

static void end(tuff_graph *g, tuff_status status, const char *text)
{
    KIT_FAILS(tuff_graph_status(g), status, text);
    tuff_graph_destroy(&g);
}

static void embedding_mistakes_are_named(void **state)
{
    (void)state;
    tuff_graph *g = begin();
    (void)tuff_embedding(g, variable(g, TUFF_I32, DIMS(5, 3)), variable(g, TUFF_I32, DIMS(4)), NULL);
    end(g, TUFF_INVALID_ARGUMENT, "must be f32, f16, bf16 or of a block type, but is i32");
    g = begin();
    (void)tuff_embedding(g, variable(g, TUFF_F32, DIMS(5, 3)), variable(g, TUFF_F32, DIMS(4)), NULL);
    end(g, TUFF_INVALID_ARGUMENT, "ids must be i32");
    g = begin();
    (void)tuff_embedding(g, variable(g, TUFF_F32, DIMS(5, 3)), variable(g, TUFF_I32, DIMS(4)),
                         variable(g, TUFF_I32, DIMS(13)));
    end(g, TUFF_INVALID_ARGUMENT, "index must have shape [14], but is [13]");
    g = begin();
    tuff_tensor *table = variable(g, TUFF_F32, DIMS(5, 3)), *grad;
    tuff_tensor *y = tuff_embedding(g, table, variable(g, TUFF_I32, DIMS(4)), NULL);
    tuff_graph_grad(g, tuff_sum(g, y, 3, false), &table, 1, &grad);
    end(g, TUFF_INVALID_ARGUMENT, "pass tuff_embedding_index's list");
}

static void cross_entropy_mistakes_are_named(void **state)
{
    (void)state;
    tuff_graph *g = begin();
    (void)tuff_cross_entropy(g, variable(g, TUFF_F32, DIMS(2, 3, 4)), variable(g, TUFF_I32, DIMS(2)), NULL);
    end(g, TUFF_INVALID_ARGUMENT, "logits must be [rows, classes], but are [2, 3, 4]");
    g = begin();
    (void)tuff_cross_entropy(g, variable(g, TUFF_F32, DIMS(6, 4)), variable(g, TUFF_I32, DIMS(5)), NULL);
    end(g, TUFF_INVALID_ARGUMENT, "labels must have shape [6], but is [5]");
    g = begin();
    tuff_tensor *x = variable(g, TUFF_F32, DIMS(6, 4)), *count, *grad;
    (void)tuff_cross_entropy(g, x, variable(g, TUFF_I32, DIMS(6)), &count);
    tuff_graph_grad(g, count, &x, 1, &grad);
    end(g, TUFF_UNSUPPORTED, "only its loss is differentiable");
    g = begin();
    (void)tuff_cross_entropy_smoothed(g, variable(g, TUFF_F32, DIMS(6, 4)), variable(g, TUFF_I32, DIMS(6)),
                                      1.5);
    end(g, TUFF_INVALID_ARGUMENT, "the smoothing of labels must be 0 to 1, but is 1.5");
}

static void rope_mistakes_are_named(void **state)
{
    (void)state;
    tuff_graph *g = begin();
    tuff_tensor *x = variable(g, TUFF_F32, DIMS(10, 3, 8)), *at = variable(g, TUFF_I32, DIMS(10));
    tuff_tensor *table = variable(g, TUFF_F32, DIMS(9, 5));
    (void)tuff_rope(g, x, table, table, at);
    end(g, TUFF_INVALID_ARGUMENT, "at most 4 pairs");
    g = begin();
    x = variable(g, TUFF_F32, DIMS(10, 3, 8));
    table = variable(g, TUFF_F32, DIMS(9, 4));
    (void)tuff_rope(g, x, table, table, variable(g, TUFF_I32, DIMS(5, 2)));
    end(g, TUFF_INVALID_ARGUMENT, "positions must have shape [10], but is [5, 2]");
}

static void cache_mistakes_are_named(void **state)
{
    (void)state;
    tuff_graph *g = begin();
    tuff_tensor *rows = variable(g, TUFF_I32, DIMS(2));
    (void)tuff_kv_write(g, variable(g, TUFF_F32, DIMS(18, 3, 8)), variable(g, TUFF_F32, DIMS(2, 2, 8)), rows);
    end(g, TUFF_INVALID_ARGUMENT, "like the cache [18, 3, 8] but for tokens");
    g = begin();
    rows = variable(g, TUFF_I32, DIMS(2));
    (void)tuff_kv_write(g, variable(g, TUFF_F16, DIMS(18, 3, 7)), variable(g, TUFF_F32, DIMS(2, 3, 7)), rows);
    end(g, TUFF_INVALID_ARGUMENT, "an even length");
    g = begin();
    rows = variable(g, TUFF_I32, DIMS(2));
    (void)tuff_kv_write(g, variable(g, TUFF_BF16, DIMS(18, 3, 8)), variable(g, TUFF_F32, DIMS(2, 3, 8)),
                        rows);
    end(g, TUFF_INVALID_ARGUMENT, "f32 or f16, but is bf16");
    g = begin();
    rows = variable(g, TUFF_I32, DIMS(3));
    (void)tuff_kv_write(g, variable(g, TUFF_F32, DIMS(18, 3, 8)), variable(g, TUFF_F32, DIMS(2, 3, 8)), rows);
    end(g, TUFF_INVALID_ARGUMENT, "rows must have shape [2], but is [3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_lists_each_position_once), cmocka_unit_test(index_allocates_nothing),
        cmocka_unit_test(embedding_mistakes_are_named),   cmocka_unit_test(cross_entropy_mistakes_are_named),
        cmocka_unit_test(rope_mistakes_are_named),        cmocka_unit_test(cache_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
