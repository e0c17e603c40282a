/* Device kernels of sums: parts, then the sum of the parts. */
#include "ops/geometry.h"
#include "ops/sum.h"
#include "shaders/args/sum.h"

enum { ROW_PART = 4096, ROW_FEW = 256, COLUMN_PART = 64, COLUMN_MOST = 256 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void fill_space(tuff_sum_args *args, const tuff_sum_space *s)
{
    args->n_kept = (uint32_t)s->n_kept;
    args->n_summed = (uint32_t)s->n_summed;
    for (int i = 0; i < 4; i++) {
        args->kept[i] = (uint32_t)s->kept[i];
        args->kept_stride[i] = (uint32_t)s->kept_stride[i];
        args->summed[i] = (uint32_t)s->summed[i];
        args->summed_stride[i] = (uint32_t)s->summed_stride[i];
    }
}

/* The constants one_kept and one_summed. */
static void axes_spec(tuff_launch *launch, const tuff_sum_args *args)
{
    tuff_launch_spec(launch, args->kept[3] == args->n_kept);
    tuff_launch_spec(launch, args->summed[3] == args->n_summed);
}

/* Groups of a dispatch by rows; `per_part` terms go to each of args->parts. */
static void rows_groups(tuff_launch *launch, const tuff_caps *caps, tuff_sum_args *args, int64_t per_part)
{
    uint32_t group = tuff_reduce_group(caps);
    args->per_part = (uint32_t)per_part;
    args->parts = (uint32_t)ceil_div(args->n_summed, per_part);
    args->lanes = tuff_reduce_lanes(caps, per_part);
    uint64_t sums = (uint64_t)args->n_kept * args->parts, at_once = group / args->lanes;
    tuff_launch_spec(launch, group);
    axes_spec(launch, args);
    tuff_launch_groups_1d(launch, caps, (sums + at_once - 1) / at_once);
}

static void columns_groups(tuff_launch *launch, const tuff_caps *caps, tuff_sum_args *args, int64_t per_part)
{
    args->per_part = (uint32_t)per_part;
    args->parts = (uint32_t)ceil_div(args->n_summed, per_part);
    axes_spec(launch, args);
    uint64_t blocks = (uint64_t)ceil_div(args->n_kept, TUFF_FLAT_GROUP);
    tuff_launch_groups_1d(launch, caps, blocks * args->parts);
}

void tuff_launch_sum_parts(tuff_launch *launch, const tuff_caps *caps, uint64_t scratch, int64_t parts,
                           int64_t n, int out)
{
    tuff_sum_space s = {.kept = {1, 1, 1, n},
                        .kept_stride = {0, 0, 0, 1},
                        .summed = {1, 1, 1, parts},
                        .summed_stride = {0, 0, 0, n},
                        .n_kept = n,
                        .n_summed = parts};
    tuff_sum_args *args = TUFF_LAUNCH(launch, sum_columns, tuff_sum_args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_SCRATCH, 0, scratch);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, out, 0);
    fill_space(args, &s);
    columns_groups(launch, caps, args, parts);
}

int64_t tuff_sum_part_rows(int64_t rows)
{
    int64_t few = ceil_div(rows, COLUMN_MOST);
    return few > COLUMN_PART ? few : COLUMN_PART;
}

static void launch_rows(const tuff_caps *caps, tuff_launch *launch, const tuff_sum_space *s)
{
    int64_t per_part = s->n_kept < ROW_FEW && s->n_summed > 2 * ROW_PART ? ROW_PART : s->n_summed;
    int64_t parts = ceil_div(s->n_summed, per_part);
    tuff_sum_args *args = TUFF_LAUNCH(launch, sum_rows, tuff_sum_args);
    uint64_t scratch = parts > 1 ? tuff_launch_scratch(launch, (uint64_t)(s->n_kept * parts) * 4) : 0;
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->y, parts > 1 ? TUFF_OPERAND_SCRATCH : TUFF_OPERAND_OUT, 0, scratch);
    fill_space(args, s);
    rows_groups(launch, caps, args, per_part);
    if (parts == 1) return;
    tuff_sum_space joined = {.kept = {1, 1, 1, s->n_kept},
                             .kept_stride = {0, 0, 0, parts},
                             .summed = {1, 1, 1, parts},
                             .summed_stride = {0, 0, 0, 1},
                             .n_kept = s->n_kept,
                             .n_summed = parts};
    args = TUFF_LAUNCH(launch, sum_rows, tuff_sum_args);
    tuff_launch_after(launch);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_SCRATCH, 0, scratch);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    fill_space(args, &joined);
    rows_groups(launch, caps, args, parts);
}

static void launch_columns(const tuff_caps *caps, tuff_launch *launch, const tuff_sum_space *s)
{
    int64_t per_part = tuff_sum_part_rows(s->n_summed), parts = ceil_div(s->n_summed, per_part);
    tuff_sum_args *args = TUFF_LAUNCH(launch, sum_columns, tuff_sum_args);
    uint64_t scratch = parts > 1 ? tuff_launch_scratch(launch, (uint64_t)(s->n_kept * parts) * 4) : 0;
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->y, parts > 1 ? TUFF_OPERAND_SCRATCH : TUFF_OPERAND_OUT, 0, scratch);
    fill_space(args, s);
    columns_groups(launch, caps, args, per_part);
    if (parts == 1) return;
    tuff_launch_sum_parts(launch, caps, scratch, parts, s->n_kept, 0);
    tuff_launch_after(launch);
}

void tuff_launch_sum(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_sum_space s = tuff_sum_space_of(node->in[0], node->attrs.sum.axes);
    (s.by_rows ? launch_rows : launch_columns)(caps, launch, &s);
}
