#include "shaders/args.h"

/* Tables that shaders read as words. A slot's tensors, its group's rate and decay, the size of its matrices;
 * a band of rows of one of its matrices. */
#ifndef TUFF_GLSL
typedef struct tuff_adafactor_entry {
    uint64_t param, grad, row, column, mean; /* mean: 0 where there is no beta1 */
    float rate, decay;
    uint32_t rows, columns;
    float elements; /* of the parameter */
    uint32_t unused;
} tuff_adafactor_entry;
typedef struct tuff_adafactor_band {
    uint32_t slot, matrix;
    uint32_t row, rows;              /* the first, in its matrix; how many */
    uint32_t part;                   /* where its sums by column begin */
    uint32_t first, bands;           /* the first band of its matrix, and how many that has */
    uint32_t slot_first, slot_bands; /* the same of its slot */
    uint32_t unused;
} tuff_adafactor_band;
/* Up to a workgroup of columns of one matrix. */
typedef struct tuff_adafactor_strip {
    uint32_t slot, matrix, column, part, bands, unused;
} tuff_adafactor_strip;
#endif
#define TUFF_ADAFACTOR_ENTRY_WORDS 16
#define TUFF_ADAFACTOR_BAND_WORDS  10
#define TUFF_ADAFACTOR_STRIP_WORDS 6

/* All four kernels. adafactor_squares.comp: squares by row in place, with their sum in row_sums; sums by
 * column of each band in parts. adafactor_columns.comp: squares by column in place. adafactor_norms.comp:
 * sums of the squares of steps and of the parameter, two of each band, in norms. adafactor.comp: the
 * parameter, the mean of steps. */
TUFF_STRUCT(tuff_adafactor_args)
{
    TUFF_ADDRESS(U32) entries;
    TUFF_ADDRESS(U32) table; /* of bands or strips */
    TUFF_ADDRESS(F32) lr;
    TUFF_ADDRESS(F32) norm;
    TUFF_ADDRESS(F32) state;
    TUFF_ADDRESS(F32) parts;
    TUFF_ADDRESS(F32) row_sums;
    TUFF_ADDRESS(F32) norms;
    TUFF_FLOAT beta1, one_minus_beta1, decay_rate, eps1, eps2, clip_threshold, max_norm;
    TUFF_UINT scale_parameter, n_table, unused;
};
