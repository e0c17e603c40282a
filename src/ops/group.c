/* Places sorted by their groups: who of a mixture's experts has which rows. */
#include "ops/group.h"

#include <string.h>

#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/group.h"

enum { MOST_GROUPS = 65536, MOST_PLACES = 1 << 30 };

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const int64_t n = node->attrs.group.groups, places = tuff_tensor_count(node->in[0]);
    TUFF_TRY(tuff_expect_dtype(node, 0, "groups", TUFF_I32));
    TUFF_TRY(tuff_expect_contiguous(node, 0, "groups"));
    if (n < 1 || n > MOST_GROUPS)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "group_rows: there must be 1 to %d groups, but %lld are asked for", MOST_GROUPS,
                         (long long)n);
    if (places > MOST_PLACES)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "group_rows: groups must have at most %d places, but are %s",
                         MOST_PLACES, tuff_shape_text(&node->in[0]->shape));
    tuff_shape order = tuff_shape_of(1, (int64_t[]){n + 1 + places});
    tuff_set_out(node, 0, &order, TUFF_I32);
    return TUFF_OK;
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    const int64_t n = node->attrs.group.groups, places = tuff_tensor_count(node->in[0]);
    double *starts = out[0], *rows = out[0] + n + 1;
    int64_t at = 0;
    for (int64_t e = 0; e < n; e++) {
        starts[e] = (double)at;
        for (int64_t i = 0; i < places; i++)
            if (in[0][i] == (double)e) rows[at++] = (double)i;
    }
    starts[n] = (double)at;
    for (int64_t i = 0; i < places; i++)
        if (!(in[0][i] >= 0 && in[0][i] < (double)n)) rows[at++] = (double)(-1 - i);
}

/* Counts, then gives each place the next one of its group's; what is in no group is a last one. */
static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const int32_t *groups = in[0];
    int32_t *starts = out[0];
    const int64_t n = node->attrs.group.groups, places = tuff_tensor_count(node->in[0]);
    int32_t *rows = starts + n + 1, next = 0;
    memset(starts, 0, (size_t)(n + 1) * sizeof *starts);
    for (int64_t i = 0; i < places; i++)
        starts[tuff_group_of(groups[i], n)]++;
    for (int64_t e = 0; e <= n; e++) {
        int32_t count = starts[e];
        starts[e] = next;
        next += count;
    }
    for (int64_t i = 0; i < places; i++) {
        int64_t e = tuff_group_of(groups[i], n);
        rows[starts[e]++] = (int32_t)(e < n ? i : -1 - i);
    }
    memmove(starts + 1, starts, (size_t)n * sizeof *starts); /* each is where the next one begins */
    starts[0] = 0;
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops = 2 * (double)tuff_tensor_count(node->in[0]) + (double)node->attrs.group.groups;
    return c;
}

/* ---- device kernels ---- */

enum { MOST_COUNTS = 1 << 28 };

static int64_t blocks_of(const tuff_node *node)
{
    return (tuff_tensor_count(node->in[0]) + TUFF_GROUP_BLOCK - 1) / TUFF_GROUP_BLOCK;
}

static bool match_few(const tuff_node *node, const tuff_caps *caps)
{
    (void)caps;
    return tuff_tensor_count(node->in[0]) <= TUFF_GROUP_FEW;
}

static void launch_few(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    (void)caps;
    tuff_group_few_args *args = TUFF_LAUNCH(launch, group_few, tuff_group_few_args);
    tuff_launch_address(launch, &args->groups, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->order, TUFF_OPERAND_OUT, 0, 0);
    args->places = (uint32_t)tuff_tensor_count(node->in[0]);
    args->n = (uint32_t)node->attrs.group.groups;
}

static bool match_blocks(const tuff_node *node, const tuff_caps *caps)
{
    return blocks_of(node) * (node->attrs.group.groups + 1) <= MOST_COUNTS && tuff_match_32(node, caps);
}

static void launch_blocks(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t places = tuff_tensor_count(node->in[0]), n = node->attrs.group.groups,
                  blocks = blocks_of(node);
    const uint64_t before = tuff_launch_scratch(launch, (uint64_t)places * 4),
                   counts = tuff_launch_scratch(launch, (uint64_t)(blocks * (n + 1)) * 4);
    tuff_launch_zeros(launch, caps, TUFF_OPERAND_SCRATCH, counts, blocks * (n + 1));

    tuff_group_count_args *count = TUFF_LAUNCH(launch, group_count, tuff_group_count_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &count->groups, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &count->before, TUFF_OPERAND_SCRATCH, 0, before);
    tuff_launch_address(launch, &count->counts, TUFF_OPERAND_SCRATCH, 0, counts);
    count->places = (uint32_t)places;
    count->n = (uint32_t)n;
    tuff_launch_groups_1d(launch, caps, (uint64_t)blocks);

    tuff_group_starts_args *starts = TUFF_LAUNCH(launch, group_starts, tuff_group_starts_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &starts->counts, TUFF_OPERAND_SCRATCH, 0, counts);
    tuff_launch_address(launch, &starts->order, TUFF_OPERAND_OUT, 0, 0);
    starts->blocks = (uint32_t)blocks;
    starts->n = (uint32_t)n;

    tuff_group_place_args *place = TUFF_LAUNCH(launch, group_place, tuff_group_place_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &place->groups, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &place->before, TUFF_OPERAND_SCRATCH, 0, before);
    tuff_launch_address(launch, &place->counts, TUFF_OPERAND_SCRATCH, 0, counts);
    tuff_launch_address(launch, &place->order, TUFF_OPERAND_OUT, 0, 0);
    place->places = (uint32_t)places;
    place->n = (uint32_t)n;
    tuff_launch_flat(launch, caps, place->places);
}

static const tuff_kernel_row kernels[] = {
    {"few", 0, match_few, launch_few},
    {"plain", 0, match_blocks, launch_blocks},
};

const tuff_op_info tuff_op_group_rows = {
    .name = "group_rows",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer,
    .reference = reference,
    .cpu = cpu,
    .cost = cost,
    .rows = kernels,
    .n_rows = 2,
};

tuff_tensor *tuff_group_rows(tuff_graph *g, tuff_tensor *groups, int64_t n)
{
    tuff_attrs attrs = {.group = {.groups = n}};
    groups = tuff_dense(g, groups);
    return tuff_graph_node(g, TUFF_OP_group_rows, &groups, 1, &attrs);
}
