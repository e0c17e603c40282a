#include "embed/array.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fp.h"
#include "base/half.h"
#include "ir/dtype.h"

void tuff_array_header(const char *type, int64_t rows, int64_t columns, char header[TUFF_ARRAY_HEADER])
{
    enum { SIZE = TUFF_ARRAY_HEADER };
    char shape[24] = "";
    if (columns) snprintf(shape, sizeof shape, " %lld", (long long)columns);
    memset(header, ' ', SIZE);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(SIZE - 10);
    header[9] = 0;
    int n = snprintf(header + 10, SIZE - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld,%s), }",
                     type, (long long)rows, shape);
    header[10 + n] = ' '; /* over the NUL */
    header[SIZE - 1] = '\n';
}

const char *tuff_vector_type_name(tuff_vector_type type)
{
    static const char *const types[] = {"<f4", "<f2", "|i1", "|u1"};
    return types[type];
}

int64_t tuff_vector_columns(tuff_vector_type type, int64_t dimensions)
{
    return type == TUFF_VECTOR_BINARY ? dimensions / 8 : dimensions;
}

uint64_t tuff_vector_bytes(tuff_vector_type type, int64_t dimensions)
{
    uint64_t columns = (uint64_t)tuff_vector_columns(type, dimensions);
    return type == TUFF_VECTOR_F32 ? 4 * columns : type == TUFF_VECTOR_F16 ? 2 * columns : columns;
}

static void to_int8(const float *x, int64_t n, int8_t *out)
{
    float largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    for (int64_t i = 0; i < n; i++)
        out[i] = (int8_t)(largest > 0 ? lrintf(127 * (x[i] / largest)) : 0);
}

static void to_bits(const float *x, int64_t n, uint8_t *out)
{
    memset(out, 0, (size_t)n / 8);
    for (int64_t i = 0; i < n; i++)
        out[i / 8] |= (uint8_t)((x[i] > 0) << (7 - i % 8));
}

const void *tuff_vector_convert(tuff_vector_type type, const float *vectors, size_t rows, int64_t dimensions,
                                void *out)
{
    const size_t d = (size_t)dimensions;
    tuff_fp fp;
    if (type == TUFF_VECTOR_F32) return vectors;
    tuff_fp_own(&fp);
    if (type == TUFF_VECTOR_F16) tuff_dtype_from_f32(TUFF_F16, vectors, out, rows * d);
    for (size_t i = 0; i < rows; i++) {
        const float *x = vectors + i * d;
        if (type == TUFF_VECTOR_INT8) to_int8(x, dimensions, (int8_t *)out + i * d);
        if (type == TUFF_VECTOR_BINARY) to_bits(x, dimensions, (uint8_t *)out + i * (d / 8));
    }
    tuff_fp_give_back(&fp);
    return out;
}
