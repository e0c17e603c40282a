/* Views: their strides against the ops' references, copies that reshape inserts, error texts. */
#include "ir/op.h"
#include "kit/kit.h"

static tuff_graph *fresh(void)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    return g;
}

static tuff_tensor *ramp_leaf(tuff_graph *g, int rank, const int64_t *dims)
{
    return tuff_variable(g, "x", TUFF_F32, rank, dims);
}

static double at(const tuff_tensor *x, int64_t index)
{
    int64_t position = x->offset;
    for (int i = x->shape.rank - 1; i >= 0; i--) {
        position += index % x->shape.dim[i] * x->stride[i];
        index /= x->shape.dim[i];
    }
    return (double)position; /* the leaf is a ramp: an element is its position */
}

/* The view's elements, read through strides, are those that its reference makes of its input's. */
static void check_view(const tuff_tensor *y)
{
    assert_non_null(y);
    const tuff_node *node = y->producer;
    const tuff_tensor *x = node->in[0];
    int64_t n_in = tuff_tensor_count(x), n = tuff_tensor_count(y);
    double *in = calloc((size_t)n_in, sizeof *in), *want = calloc((size_t)n, sizeof *want);
    for (int64_t i = 0; i < n_in; i++)
        in[i] = at(x, i);
    tuff_op_info_of(node->op)->reference(node, (const double *[]){in}, (double *[]){want});
    for (int64_t i = 0; i < n; i++)
        assert_true(at(y, i) == want[i]);
    assert_ptr_equal(y->storage, x->storage);
    assert_int_equal(y->dtype, x->dtype);
    free(in);
    free(want);
}

static void every_permutation_is_a_view(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3, 4, 5};
    for (int code = 0; code < 256; code++) {
        int axes[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3};
        unsigned seen = 1u << axes[0] | 1u << axes[1] | 1u << axes[2] | 1u << axes[3];
        tuff_graph *g = fresh();
        tuff_tensor *y = tuff_permute(g, ramp_leaf(g, 4, dims), axes);
        if (seen == 15)
            check_view(y);
        else
            KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "must name each of 0 to 3 once");
        tuff_graph_destroy(&g);
    }
}

static void slices_and_expansions_are_views(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = ramp_leaf(g, 3, (int64_t[]){4, 1, 6});
    tuff_tensor *s = tuff_slice(g, x, 0, 1, 2);
    check_view(s);
    check_view(tuff_slice(g, s, -1, 3, 3));
    check_view(tuff_expand(g, s, 4, (int64_t[]){3, 2, 5, 6}));
    check_view(tuff_transpose(g, tuff_slice(g, tuff_transpose(g, x), 1, 5, 1)));
    check_view(tuff_reshape(g, tuff_slice(g, x, 0, 3, 1), 1, (int64_t[]){6}));
    check_view(tuff_reshape(g,
                            tuff_expand(g, tuff_reshape(g, x, 2, (int64_t[]){24, 1}), 2, (int64_t[]){24, 4}),
                            3, (int64_t[]){4, 6, 4}));
    KIT_OK(tuff_graph_status(g));
    tuff_graph_destroy(&g);
}

static size_t copies(const tuff_graph *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i]->op == TUFF_OP_copy;
    return n;
}

static void reshape_copies_only_where_strides_fail(void **state)
{
    (void)state;
    static const struct {
        int64_t dims[3], new_dims[4];
        int axes[3], rank;
        size_t copies;
    } cases[] = {
        {{2, 3, 4}, {6, 4}, {0, 1, 2}, 2, 0},       {{2, 3, 4}, {2, 1, 3, 4}, {0, 1, 2}, 4, 0},
        {{2, 3, 4}, {24}, {0, 1, 2}, 1, 0},         {{2, 3, 4}, {3, 2, 4}, {1, 0, 2}, 3, 0},
        {{2, 3, 4}, {3, 2, 2, 2}, {1, 0, 2}, 4, 0}, {{2, 3, 4}, {6, 4}, {1, 0, 2}, 2, 1},
        {{2, 3, 4}, {4, 6}, {2, 0, 1}, 2, 0},       {{2, 3, 4}, {4, 6}, {2, 1, 0}, 2, 1},
        {{1, 3, 4}, {3, 4}, {1, 0, 2}, 2, 0},       {{1, 1, 1}, {1}, {2, 1, 0}, 1, 0},
        {{2, 3, 4}, {2, 12}, {0, 2, 1}, 2, 1},      {{2, 4, 3}, {2, 3, 2, 2}, {0, 2, 1}, 4, 0},
        {{6, 1, 4}, {2, 3, 4}, {1, 0, 2}, 3, 0},    {{2, 3, 4}, {8, 3}, {0, 2, 1}, 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tuff_graph *g = fresh();
        tuff_tensor *x = tuff_permute(g, ramp_leaf(g, 3, cases[i].dims), cases[i].axes);
        tuff_tensor *y = tuff_reshape(g, x, cases[i].rank, cases[i].new_dims);
        KIT_OK(tuff_graph_status(g));
        if (copies(g) != cases[i].copies)
            fail_msg("reshape %zu made %zu copies instead of %zu", i, copies(g), cases[i].copies);
        if (cases[i].copies == 0) check_view(y);
        tuff_graph_destroy(&g);
    }
}

static void one_dim_may_be_left_open(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = ramp_leaf(g, 2, (int64_t[]){6, 4});
    tuff_tensor *y = tuff_reshape(g, x, 3, (int64_t[]){2, -1, 3});
    assert_int_equal(tuff_tensor_dim(y, 1), 4);
    assert_int_equal(tuff_tensor_dim(tuff_reshape(g, x, 1, (int64_t[]){-1}), 0), 24);
    assert_null(tuff_reshape(g, x, 2, (int64_t[]){-1, 7}));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "do not divide by the 7");
    tuff_graph_destroy(&g);
    g = fresh();
    assert_null(tuff_reshape(g, ramp_leaf(g, 2, (int64_t[]){6, 4}), 2, (int64_t[]){-1, -1}));
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "dim 1 is -1");
    tuff_graph_destroy(&g);
}

static void views_of_updated_variables_stay_on_them(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = ramp_leaf(g, 2, (int64_t[]){2, 3});
    tuff_tensor *y = tuff_transpose(g, tuff_reshape(g, tuff_assign(g, x, 1), 2, (int64_t[]){3, 2}));
    assert_ptr_equal(y->storage, x);
    KIT_OK(tuff_graph_status(g));
    tuff_graph_destroy(&g);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const int64_t big[] = {2, 3, 4, 5, 6}, dims[] = {2, 3}, wide[] = {2, 4};
    for (int i = 0; i < 9; i++) {
        static const char *const part[] = {
            "differ in their number of elements",
            "rank must be 0 to 4, but is 5",
            "axis 2 is out of range for shape [2, 3]",
            "2 elements from 2 do not lie within axis 1 of shape [2, 3]",
            "[2, 3] cannot be repeated up to [2, 4]",
            "needs two axes, but the shape is [2]",
            "0 elements from 0 do not lie within axis 0",
            "dim 0 is 0",
            "axis -3 is out of range",
        };
        tuff_graph *g = fresh();
        tuff_tensor *x = ramp_leaf(g, 2, dims), *y = x;
        switch (i) {
        case 0:
            y = tuff_reshape(g, x, 2, wide);
            break;
        case 1:
            y = tuff_reshape(g, x, 5, big);
            break;
        case 2:
            y = tuff_slice(g, x, 2, 0, 1);
            break;
        case 3:
            y = tuff_slice(g, x, 1, 2, 2);
            break;
        case 4:
            y = tuff_expand(g, x, 2, wide);
            break;
        case 5:
            y = tuff_transpose(g, tuff_reshape(g, tuff_slice(g, x, 1, 0, 1), 1, dims));
            break;
        case 6:
            y = tuff_slice(g, x, 0, 0, 0);
            break;
        case 7:
            y = tuff_expand(g, x, 1, (int64_t[]){0});
            break;
        default:
            y = tuff_slice(g, x, -3, 0, 1);
            break;
        }
        assert_null(y);
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, part[i]);
        tuff_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_permutation_is_a_view),
        cmocka_unit_test(slices_and_expansions_are_views),
        cmocka_unit_test(reshape_copies_only_where_strides_fail),
        cmocka_unit_test(one_dim_may_be_left_open),
        cmocka_unit_test(views_of_updated_variables_stay_on_them),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
