/* What the CPU makes while it runs. */
#ifndef TUFF_TESTS_PRODUCTS_H
#define TUFF_TESTS_PRODUCTS_H

#include <stdint.h>
#include <tuff/device.h>

/* How many of oneDNN's products the CPU has made: each takes memory once. Those of dense layers
 * are made in their first run. How many rows an expert gets is known when it runs, and oneDNN makes a product
 * for one number of rows (those for any number are dnnl_sgemm's, see products.c). To make all at the start,
 * for every rest of rows and of terms that gemm.c's tiles may have, would be one to two hundred of which few
 * are used, where 256 are kept for all programs. 0 for other devices. */
uint64_t kit_products(const tuff_device *device);

#endif
