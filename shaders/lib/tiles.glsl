/* A dense result seen as rows of columns. The argument `tile` is {rows, columns, shift, pieces}, set by
 * tuff_launch_tiles: a workgroup takes TUFF_TILE_GROUP >> shift rows at once, 1 << shift columns wide, TUFF_TILE_STEPS
 * times; `pieces` workgroups make up a row. */
layout(local_size_x = TUFF_TILE_GROUP) in;

struct tuff_tile {
    uint row, column, end, step; /* nothing to do when column >= end */
};

tuff_tile tuff_tile_of(uint tile[4])
{
    uint rows = tile[0], columns = tile[1], shift = tile[2], pieces = tile[3];
    uint group = TUFF_GROUP_1D, lane = gl_LocalInvocationID.x, width = 1u << shift;
    uint piece = group % pieces, span = width * TUFF_TILE_STEPS;
    tuff_tile t;
    t.row = group / pieces * (TUFF_TILE_GROUP >> shift) + (lane >> shift);
    t.column = piece * span + (lane & (width - 1));
    t.end = t.row < rows ? min(columns, (piece + 1) * span) : 0u;
    t.step = width;
    return t;
}
