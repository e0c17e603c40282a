/* Element types inside the library: the public list, and its conversion to and from f32 arrays. */
#ifndef TUFF_IR_DTYPE_H
#define TUFF_IR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/dtype.h>

static inline bool tuff_dtype_is_float(tuff_dtype dtype)
{
    return dtype == TUFF_F32 || dtype == TUFF_F16 || dtype == TUFF_BF16;
}

/* Converts n floats of `dtype` (f32, f16 or bf16) to f32 and back, rounding to nearest even. */
void tuff_dtype_to_f32(tuff_dtype dtype, const void *in, float *out, size_t n);
void tuff_dtype_from_f32(tuff_dtype dtype, const float *in, void *out, size_t n);

#endif
