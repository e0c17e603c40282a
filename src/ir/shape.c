#include "ir/graph.h"

#include <stdio.h>

tuff_shape tuff_shape_of(int rank, const int64_t *dims)
{
    tuff_shape shape = {rank, {1, 1, 1, 1}};
    for (int i = 0; i < rank && i < TUFF_MAX_RANK; i++)
        shape.dim[i] = dims[i];
    return shape;
}

bool tuff_shape_equal(const tuff_shape *a, const tuff_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

int64_t tuff_shape_count(const tuff_shape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= shape->dim[i];
    return count;
}

const char *tuff_shape_text(const tuff_shape *shape)
{
    enum { BUFFERS = 8, SIZE = 96 };
    static _Thread_local char buffers[BUFFERS][SIZE];
    static _Thread_local unsigned next;
    char *text = buffers[next++ % BUFFERS];
    int n = snprintf(text, SIZE, "[");
    for (int i = 0; i < shape->rank; i++)
        n += snprintf(text + n, SIZE - (size_t)n, i ? ", %lld" : "%lld", (long long)shape->dim[i]);
    snprintf(text + n, SIZE - (size_t)n, "]");
    return text;
}

bool tuff_shape_broadcast(const tuff_shape *a, const tuff_shape *b, tuff_shape *out)
{
    tuff_shape shape = {a->rank > b->rank ? a->rank : b->rank, {1, 1, 1, 1}};
    for (int i = 1; i <= shape.rank; i++) {
        int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1) return false;
        shape.dim[shape.rank - i] = da == 1 ? db : da;
    }
    *out = shape;
    return true;
}

int64_t tuff_tensor_count(const tuff_tensor *x)
{
    return tuff_shape_count(&x->shape);
}

void tuff_contiguous_strides(const tuff_shape *shape, int64_t stride[TUFF_MAX_RANK])
{
    int64_t step = 1;
    for (int i = TUFF_MAX_RANK - 1; i >= 0; i--) {
        stride[i] = i < shape->rank ? step : 0;
        if (i < shape->rank) step *= shape->dim[i];
    }
}

bool tuff_tensor_contiguous(const tuff_tensor *x)
{
    int64_t step = 1;
    for (int i = x->shape.rank - 1; i >= 0; i--) {
        if (x->shape.dim[i] != 1 && x->stride[i] != step) return false;
        step *= x->shape.dim[i];
    }
    return true;
}

uint64_t tuff_tensor_bytes(const tuff_tensor *x)
{
    return tuff_dtype_bytes(x->dtype, tuff_tensor_count(x));
}

bool tuff_tensor_whole_blocks(const tuff_tensor *x)
{
    const int64_t block = tuff_dtype_block(x->dtype);
    if (block == 1) return true;
    int rows = 0; /* axes along which the elements of a block lie */
    bool whole = x->offset % block == 0;
    for (int i = 0; i < x->shape.rank; i++) {
        if (x->shape.dim[i] == 1) continue;
        rows += x->stride[i] == 1;
        whole = whole && (x->stride[i] == 1 ? x->shape.dim[i] : x->stride[i]) % block == 0;
    }
    return whole && rows == 1;
}

tuff_dims4 tuff_tensor_broadcast4(const tuff_tensor *x, const tuff_shape *shape)
{
    tuff_dims4 d = {{1, 1, 1, 1}, {0, 0, 0, 0}};
    for (int i = 1; i <= shape->rank; i++) {
        d.dim[4 - i] = shape->dim[shape->rank - i];
        if (i <= x->shape.rank && x->shape.dim[x->shape.rank - i] != 1)
            d.stride[4 - i] = x->stride[x->shape.rank - i];
    }
    return d;
}

tuff_dims4 tuff_tensor_dims4(const tuff_tensor *x)
{
    tuff_dims4 d = {{1, 1, 1, 1}, {0, 0, 0, 0}};
    for (int i = 1; i <= x->shape.rank; i++) {
        d.dim[4 - i] = x->shape.dim[x->shape.rank - i];
        d.stride[4 - i] = x->stride[x->shape.rank - i];
    }
    return d;
}

int tuff_tensor_rank(const tuff_tensor *x)
{
    if (!x) return 0;
    return x ? x->shape.rank : 0;
}

int64_t tuff_tensor_dim(const tuff_tensor *x, int axis)
{
    if (!x) return 0;
    if (axis < 0) axis += x->shape.rank;
    return axis >= 0 && axis < x->shape.rank ? x->shape.dim[axis] : 0;
}

tuff_dtype tuff_tensor_dtype(const tuff_tensor *x)
{
    if (!x) return TUFF_F32;
    return x ? x->dtype : TUFF_F32;
}
