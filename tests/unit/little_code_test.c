/* Where a driver's compiler cannot do with much code, no kernel of tiles fits, and there is another for
 * each operation. */
#include "kit/kit.h"

#include <string.h>

#include "ir/op.h"

static const tuff_caps swiftshader = {.features = TUFF_CAP_SOFTWARE | TUFF_CAP_SHORT_CODE |
                                                  TUFF_CAP_LITTLE_CODE | TUFF_CAP_SUBGROUP_BALLOT |
                                                  TUFF_CAP_SUBGROUP_ARITHMETIC,
                                      .subgroup_size = 4,
                                      .max_workgroup = 256,
                                      .shared_bytes = 32768,
                                      .max_groups = {65535, 65535, 65535},
                                      .max_allocation = UINT64_C(1) << 31,
                                      .memory_bytes = UINT64_C(1) << 33};

static bool is_long(const char *row)
{
    static const char *const tiles[] = {"tile", "split", "thin", "large"};
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
        if (strcmp(row, tiles[i]) == 0) return true;
    return false;
}

/* How many of the graph's products and attentions there are; `caps` must serve them, by short kernels or not.
 */
static int check(const tuff_graph *g, const tuff_caps *caps, bool want_long)
{
    int looked_at = 0, longs = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        const tuff_op_info *op = tuff_op_info_of(node->op);
        if (strncmp(op->name, "matmul", 6) != 0 && strncmp(op->name, "attention", 9) != 0) continue;
        const int row = tuff_choose_row(node, caps);
        if (row < 0) fail_msg("no kernel serves %s", op->name);
        for (int r = 0; r < op->n_rows; r++)
            longs += is_long(op->rows[r].name) && tuff_row_fits(node, caps, r);
        looked_at++;
    }
    assert_true(want_long == (longs > 0));
    return looked_at;
}

static void check_both(tuff_graph *g, int least)
{
    tuff_caps card = swiftshader;
    KIT_OK(tuff_graph_status(g));
    assert_true(check(g, &swiftshader, false) >= least);
    card.features = TUFF_CAP_SUBGROUP_BALLOT | TUFF_CAP_SUBGROUP_ARITHMETIC;
    card.subgroup_size = 32;
    assert_true(check(g, &card, true) >= least);
    tuff_graph_destroy(&g);
}

static tuff_tensor *leaf(tuff_graph *g, const char *name, int rank, const int64_t *dims)
{
    return tuff_variable(g, name, TUFF_F32, rank, dims);
}

static void test_products(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {
        {1024, 1024, 1024}, {64, 64, 64}, {33, 65, 17}, {8, 768, 4096}, {512, 8, 768}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t *s = shapes[i], a[2] = {s[0], s[2]}, b[2] = {s[2], s[1]};
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *wrt[2] = {leaf(g, "a", 2, a), leaf(g, "b", 2, b)}, *grads[2];
        tuff_graph_grad(g, tuff_sum(g, tuff_matmul(g, wrt[0], wrt[1]), 3, false), wrt, 2, grads);
        check_both(g, 3);
    }
}

static void test_grouped(void **state)
{
    (void)state;
    const int64_t a[2] = {256, 64}, b[3] = {4, 64, 96}, places[1] = {256};
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *order = tuff_group_rows(g, tuff_input(g, "groups", TUFF_I32, 1, places), 4);
    tuff_tensor *wrt[2] = {leaf(g, "a", 2, a), leaf(g, "b", 3, b)}, *grads[2];
    tuff_graph_grad(g, tuff_sum(g, tuff_matmul_grouped(g, wrt[0], wrt[1], order), 3, false), wrt, 2, grads);
    check_both(g, 3);
}

static void test_attention(void **state)
{
    (void)state;
    static const int64_t head_dims[] = {3, 64, 128, 160, 256};
    for (size_t i = 0; i < sizeof head_dims / sizeof *head_dims; i++) {
        const int64_t dims[3] = {96, 2, head_dims[i]}, table[2] = {1, 4};
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *segments = tuff_input(g, "segments", TUFF_I32, 2, table);
        tuff_tensor *qkv[3] = {leaf(g, "q", 3, dims), leaf(g, "k", 3, dims), leaf(g, "v", 3, dims)},
                    *grads[3];
        tuff_tensor *y = tuff_attention(g, qkv[0], qkv[1], qkv[2], segments, NULL, NULL, NULL);
        tuff_graph_grad(g, tuff_sum(g, y, 7, false), qkv, 3, grads);
        check_both(g, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
