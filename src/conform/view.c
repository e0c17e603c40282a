/* Cases of views: every one ends in an op that reads through the view's strides. */
#include "conform/case.h"

/* A product of two factors and no more rounding than its own. */
enum { ONE_ROUNDING = 2 };

static tuff_tensor *leaf4(tuff_case_run *run, tuff_graph *g, const int64_t *dims)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 4, dims, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    return x;
}

/* p: dims[4], axes[4]: a permuted view read by a copy. */
static void permuted(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[4] = {(int)p[4], (int)p[5], (int)p[6], (int)p[7]};
    tuff_tensor *x = leaf4(run, g, p);
    tuff_case_result(run, tuff_copy(g, tuff_permute(g, x, axes), TUFF_F32), 0, 1);
}

/* p: dims[4], axis, start, length: a slice of a slice's transpose. */
static void sliced(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_slice(g, leaf4(run, g, p), (int)p[4], p[5], p[6]);
    tuff_case_result(run, tuff_scale(g, tuff_transpose(g, x), 3), ONE_ROUNDING, 1);
}

/* p: dims[4], rank, new dims[4]: a reshape of a transposed view, which copies, and of the whole, which does
 * not. */
static void reshaped(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = leaf4(run, g, p);
    tuff_tensor *a = tuff_reshape(g, x, (int)p[4], p + 5),
                *b = tuff_reshape(g, tuff_transpose(g, x), (int)p[4], p + 5);
    tuff_case_result(run, tuff_mul(g, a, b), ONE_ROUNDING, 1);
}

/* p: dims[4], expanded dims[4]: x [d1, d2, d3] repeated. */
static void expanded(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_reshape(g, leaf4(run, g, p), 3, p + 1);
    tuff_case_result(run, tuff_copy(g, tuff_expand(g, x, 4, p + 4), TUFF_F32), 0, 1);
}

/* p: tokens, heads, head dim: the three parts of a fused projection, heads split and merged again. */
static void fused(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    int64_t width = p[1] * p[2];
    tuff_tensor *x =
        tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[0], 3 * width}, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *part[3];
    tuff_case_grad(run, x);
    for (int i = 0; i < 3; i++) {
        tuff_tensor *heads =
            tuff_reshape(g, tuff_slice(g, x, -1, i * width, width), 3, (int64_t[]){p[0], p[1], p[2]});
        part[i] = tuff_permute(g, heads, (int[]){1, 0, 2});
    }
    tuff_tensor *y = tuff_add(g, tuff_mul(g, part[0], part[1]), part[2]);
    y = tuff_reshape(g, tuff_permute(g, y, (int[]){1, 0, 2}), 2, (int64_t[]){-1, width});
    tuff_case_result(run, y, 4, 1);
}

static const tuff_case cases[] = {
    {"view.permute.2x3x5x7.to0213", permuted, {2, 3, 5, 7, 0, 2, 1, 3}},
    {"view.permute.3x1x33x17.to3210", permuted, {3, 1, 33, 17, 3, 2, 1, 0}},
    {"view.permute.1x2x31x65.to0132", permuted, {1, 2, 31, 65, 0, 1, 3, 2}},
    {"view.slice.5x2x3x4.axis0.at1n3", sliced, {5, 2, 3, 4, 0, 1, 3}},
    {"view.slice.2x2x3x9.axis3.at3n5", sliced, {2, 2, 3, 9, -1, 3, 5}},
    {"view.slice.1x1x7x1.axis2.at6n1", sliced, {1, 1, 7, 1, 2, 6, 1}},
    {"view.reshape.2x3x4x5.to_6x20", reshaped, {2, 3, 4, 5, 2, 6, -1}},
    {"view.reshape.1x1x1x1.to_scalar", reshaped, {1, 1, 1, 1, 0}},
    {"view.reshape.4x1x6x1.to_2x2x3x2", reshaped, {4, 1, 6, 1, 4, 2, 2, 3, 2}},
    {"view.expand.3x1x5.to_2x3x4x5", expanded, {1, 3, 1, 5, 2, 3, 4, 5}},
    {"view.expand.1x1x1.to_3x2x5x7", expanded, {1, 1, 1, 1, 3, 2, 5, 7}},
    {"view.fused_projection.n5h3d7", fused, {5, 3, 7}},
    {"view.fused_projection.n1h2d4", fused, {1, 2, 4}},
};

const tuff_case_family tuff_family_view = {"view", cases, sizeof cases / sizeof cases[0]};
