#include "ops/geometry.h"

#include <assert.h>

#include "ir/dtype.h"
#include "shaders/args/blocks.h"
#include "shaders/args/fill.h"

#define TUFF_BLOCK(NAME, name, elements, bytes)            \
    static_assert(TUFF_STORED_##NAME == TUFF_BLOCK_##NAME, \
                  "shaders/args/blocks.h differs from base/blocks.def");
#include "base/blocks.def"

uint32_t tuff_flat_count(int64_t n, int64_t at)
{
    return (uint32_t)(n - at < TUFF_FLAT_PART ? n - at : TUFF_FLAT_PART);
}

void tuff_launch_flat(tuff_launch *launch, const tuff_caps *caps, uint64_t items)
{
    enum { SHARE = TUFF_FLAT_GROUP * TUFF_FLAT_STEPS };
    tuff_launch_groups_1d(launch, caps, (items + SHARE - 1) / SHARE);
}

void tuff_launch_tiles(tuff_launch *launch, const tuff_caps *caps, int64_t rows, int64_t columns,
                       uint32_t tile[4])
{
    uint32_t shift = 0;
    while ((1 << shift) < TUFF_TILE_GROUP && (1 << shift) < columns)
        shift++;
    int64_t band = TUFF_TILE_GROUP >> shift, span = (int64_t)TUFF_TILE_STEPS << shift;
    int64_t pieces = (columns + span - 1) / span;
    tile[0] = (uint32_t)rows;
    tile[1] = (uint32_t)columns;
    tile[2] = shift;
    tile[3] = (uint32_t)pieces;
    tuff_launch_groups_1d(launch, caps, (uint64_t)((rows + band - 1) / band * pieces));
}

void tuff_launch_zeros(tuff_launch *launch, const tuff_caps *caps, tuff_operand_kind kind, uint64_t first,
                       int64_t n)
{
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_fill_args *fill = TUFF_LAUNCH(launch, fill, tuff_fill_args);
        tuff_launch_address(launch, &fill->y, kind, 0, first + (uint64_t)at * 4);
        fill->n = tuff_flat_count(n, at);
        tuff_launch_flat(launch, caps, fill->n);
    }
}

static bool narrow(const tuff_caps *caps)
{
    return caps->subgroup_size != 0 && caps->subgroup_size <= 16;
}

uint32_t tuff_reduce_group(const tuff_caps *caps)
{
    return narrow(caps) ? 64 : TUFF_REDUCE_GROUP;
}

uint32_t tuff_reduce_lanes(const tuff_caps *caps, int64_t n)
{
    uint32_t lanes = 1, most = narrow(caps) ? 32 : TUFF_REDUCE_GROUP;
    while (lanes < most && (int64_t)lanes * 8 <= n)
        lanes *= 2;
    return lanes;
}

uint32_t tuff_launch_rows(tuff_launch *launch, const tuff_caps *caps, int64_t rows, int64_t n)
{
    uint32_t group = tuff_reduce_group(caps), lanes = tuff_reduce_lanes(caps, n);
    int64_t at_once = group / lanes;
    tuff_launch_spec(launch, group);
    tuff_launch_groups_1d(launch, caps, (uint64_t)((rows + at_once - 1) / at_once));
    return lanes;
}

uint32_t tuff_launch_stored(tuff_launch *launch, uint64_t *field, const tuff_node *node, int i)
{
    const tuff_tensor *x = node->in[i];
    const unsigned size = tuff_dtype_size(x->dtype);
    const uint64_t before = tuff_dtype_bytes(x->dtype, x->offset) & 3;
    tuff_launch_address(launch, field, TUFF_OPERAND_IN, i, 0 - before);
    return (uint32_t)(size != 0 ? before / size : before);
}

void tuff_launch_block(tuff_launch *launch, tuff_dtype dtype)
{
    if (!tuff_dtype_is_block(dtype)) return;
    const tuff_block type = tuff_block_of(dtype);
    tuff_launch_spec(launch, (uint32_t)type);
    tuff_launch_spec(launch, tuff_block_get(type)->elements);
    tuff_launch_spec(launch, tuff_block_get(type)->bytes);
}

static bool fits_32(const tuff_tensor *x)
{
    int64_t last = 0;
    if (x == NULL) return true;
    for (int i = 0; i < x->shape.rank; i++)
        last += (x->shape.dim[i] - 1) * x->stride[i];
    return last < INT64_C(1) << 31 && tuff_tensor_count(x) <= INT64_C(1) << 31;
}

bool tuff_match_32(const tuff_node *node, const tuff_caps *caps)
{
    (void)caps;
    for (int i = 0; i < node->n_in; i++)
        if (!fits_32(node->in[i])) return false;
    for (int o = 0; o < node->n_out; o++)
        if (!fits_32(node->out[o])) return false;
    return true;
}
