#include "base/rng.h"

#include <math.h>

tuff_philox tuff_philox4x32(uint64_t key, uint64_t position, uint32_t step, uint32_t stream)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(position >> 32), c2 = step, c3 = stream;
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * c0, p1 = (uint64_t)0xcd9e8d57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    return (tuff_philox){{c0, c1, c2, c3}};
}

/* 53 random bits from two words. */
static uint64_t bits53(uint32_t low, uint32_t high)
{
    return (((uint64_t)high << 32) | low) >> 11;
}

double tuff_rng_uniform(uint64_t seed, uint64_t position, uint32_t step, uint32_t stream)
{
    tuff_philox r = tuff_philox4x32(seed, position, step, stream);
    return (double)bits53(r.v[0], r.v[1]) * 0x1p-53;
}

double tuff_rng_normal(uint64_t seed, uint64_t position, uint32_t step, uint32_t stream)
{
    tuff_philox r = tuff_philox4x32(seed, position, step, stream);
    double radius = (double)(bits53(r.v[0], r.v[1]) + 1) * 0x1p-53; /* (0, 1]: the logarithm stays finite */
    double angle = (double)bits53(r.v[2], r.v[3]) * 0x1p-53;
    return sqrt(-2.0 * log(radius)) * cos(6.283185307179586 * angle);
}

void tuff_rng_shuffle(uint32_t *items, uint32_t n, uint64_t seed, uint32_t step, uint32_t stream)
{
    for (uint32_t i = n; i > 1; i--) {
        tuff_philox r = tuff_philox4x32(seed, i, step, stream);
        /* floor(64 random bits * i / 2^64): uniform in [0, i) to within i / 2^64 */
        uint64_t j = ((uint64_t)r.v[1] * i + (((uint64_t)r.v[0] * i) >> 32)) >> 32;
        uint32_t kept = items[i - 1];
        items[i - 1] = items[j];
        items[j] = kept;
    }
}
