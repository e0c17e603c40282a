/* Tiles of matrix products by oneDNN, where built in, else by a loop of our own. Its primitives are made for
 * one shape each, so they are kept. */
#ifndef TUFF_BACKEND_CPU_PRODUCTS_H
#define TUFF_BACKEND_CPU_PRODUCTS_H

#include <stddef.h>

#include "backend/cpu/gemm_tile.h"

/* The primitives of a device. Thread-safe. */
typedef struct tuff_products tuff_products;
tuff_products *tuff_products_create(void); /* NULL: out of memory */
void tuff_products_destroy(tuff_products **products);
/* How many primitives are kept: never more than TUFF_MOST_PRODUCTS, but for those in use. */
size_t tuff_products_count(tuff_products *products);
uint64_t tuff_products_made(
    tuff_products *products); /* and how many have been, which each take memory once */
enum { TUFF_MOST_PRODUCTS = 256 };

/* Whether oneDNN serves tiles with strips here: where it does, it does so at the processor's full speed. */
bool tuff_products_strips(const tuff_products *products);

/* One thread's use of them, for some tiles in a row. */
typedef struct tuff_product tuff_product;
typedef struct tuff_product_use {
    tuff_products *products;
    tuff_product *product; /* of the last tile */
    void *stream, *memory[4];
    void *scratch;
    int threads; /* what the thread's own setting was */
} tuff_product_use;

/* What a kernel works in; one that wants more is not used. */
enum { TUFF_PRODUCT_SCRATCH = 1 << 19 };

/* products NULL: the loop. `scratch` has TUFF_PRODUCT_SCRATCH bytes, aligned to 64. */
void tuff_product_begin(tuff_product_use *use, tuff_products *products, void *scratch);
void tuff_product_tile(tuff_product_use *use, const tuff_tile_shape *shape, const float *a, const float *b,
                       float *c);
void tuff_product_end(tuff_product_use *use);

#endif
