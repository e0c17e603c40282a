/* Philox4x32-10, as in base/rng.c, of counters in the lanes of a loop. */
#ifndef TUFF_OPS_PHILOX_H
#define TUFF_OPS_PHILOX_H

#include <stdint.h>

/* A round, and the next key. */
#define TUFF_PHILOX_ROUND(c0, c1, c2, c3, k0, k1)                                  \
    do {                                                                           \
        uint64_t p0 = (uint64_t)0xd2511f53u * c0, p1 = (uint64_t)0xcd9e8d57u * c2; \
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;                                       \
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;                                       \
        c1 = (uint32_t)p1;                                                         \
        c3 = (uint32_t)p0;                                                         \
        k0 += 0x9e3779b9u;                                                         \
        k1 += 0xbb67ae85u;                                                         \
    } while (0)

#define TUFF_PHILOX_TWO(c0, c1, c2, c3, k0, k1) \
    TUFF_PHILOX_ROUND(c0, c1, c2, c3, k0, k1);  \
    TUFF_PHILOX_ROUND(c0, c1, c2, c3, k0, k1)

/* All ten, written out: a loop of them would not be vectorized. The counter becomes the four numbers. */
#define TUFF_PHILOX_ROUNDS(c0, c1, c2, c3, k0, k1) \
    do {                                           \
        TUFF_PHILOX_TWO(c0, c1, c2, c3, k0, k1);   \
        TUFF_PHILOX_TWO(c0, c1, c2, c3, k0, k1);   \
        TUFF_PHILOX_TWO(c0, c1, c2, c3, k0, k1);   \
        TUFF_PHILOX_TWO(c0, c1, c2, c3, k0, k1);   \
        TUFF_PHILOX_TWO(c0, c1, c2, c3, k0, k1);   \
    } while (0)

#endif
