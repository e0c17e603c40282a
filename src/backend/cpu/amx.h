/* Products of bf16 in f32 by AMX, the matrix unit of Intel's processors since Sapphire Rapids. By our own
 * kernel: oneDNN and PyTorch ask CPUID for the unit's palette, and where a virtual machine hides that, as
 * Firecracker does, theirs end the process with an illegal instruction. */
#ifndef TUFF_BACKEND_CPU_AMX_H
#define TUFF_BACKEND_CPU_AMX_H

#include <stdbool.h>
#include <stdint.h>

/* A panel: 32 rows of a, or 32 columns of b, with all terms. Terms come 32 at a time, as two tiles of 1 KiB
 * one after the other: of a, 16 rows of 32 terms; of b, 16 pairs of terms of 16 columns. What a panel has
 * beyond its rows, columns or terms is 0. */
enum { TUFF_AMX_SIDE = 32, TUFF_AMX_TERMS = 32, TUFF_AMX_BLOCK = TUFF_AMX_SIDE * TUFF_AMX_TERMS };

/* Whether this processor has the unit and the system lets the process use it. */
bool tuff_amx_ready(void);
/* For tests: as if it had none. */
void tuff_amx_hide(bool hidden);

/* Of the calling thread: sets the unit up for what follows, and gives it back. */
void tuff_amx_begin(void);
void tuff_amx_end(void);

/* c[i,j] = the sum of `blocks` times 32 terms of row i of panel a and column j of panel b, or c += where
 * `add`, for `rows` times `columns`, at most 32 each; c has its rows ldc apart. Each element is one sum in
 * the order of the terms. */
void tuff_amx_multiply(const uint16_t *a, const uint16_t *b, int64_t blocks, float *c, int64_t ldc,
                       int64_t rows, int64_t columns, bool add);

#endif
