/* By how much errors of a matrix's columns count when it is quantized. */
#ifndef TUFF_MODELS_IMPORTANCE_H
#define TUFF_MODELS_IMPORTANCE_H

#include <tuff/model.h>

#include "base/memory.h"
#include "base/text.h"

typedef struct tuff_importance_item {
    const char *name; /* of the parameter */
    int64_t matrices; /* one for each expert, where there are such; else 1 */
    int64_t columns;
    double *sums; /* [matrices, columns]: of squares of what each column is multiplied with */
} tuff_importance_item;

struct tuff_importance {
    tuff_importance_item *items;
    size_t count, capacity;
    tuff_map by_name;
    tuff_arena arena; /* names and sums */
};

/* Adds a parameter whose sums are 0, unless it is there. */
TUFF_MUST_USE tuff_status tuff_importance_add(tuff_importance *importance, const char *name, int64_t matrices,
                                              int64_t columns);
/* Weights of a parameter's columns, [matrices, columns], to be freed; *out is NULL where nothing is known of
 * it, and those of an expert that no token used are all 1. INVALID_ARGUMENT: it has other numbers of them. */
TUFF_MUST_USE tuff_status tuff_importance_weights(const tuff_importance *importance, const char *name,
                                                  int64_t matrices, int64_t columns, float **out);

#endif
