#include "base/mersenne.h"

#include <math.h>

enum { N = 624, M = 397 };

void tuff_mersenne_seed(tuff_mersenne *m, uint64_t seed)
{
    m->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < N; i++)
        m->state[i] = 1812433253U * (m->state[i - 1] ^ (m->state[i - 1] >> 30)) + i;
    m->at = N;
}

static void renew(tuff_mersenne *m)
{
    for (int i = 0; i < N; i++) {
        const uint32_t y = (m->state[i] & 0x80000000U) | (m->state[(i + 1) % N] & 0x7fffffffU);
        m->state[i] = m->state[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfU : 0);
    }
    m->at = 0;
}

uint32_t tuff_mersenne_next(tuff_mersenne *m)
{
    if (m->at == N) renew(m);
    uint32_t y = m->state[m->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680U;
    y ^= (y << 15) & 0xefc60000U;
    return y ^ (y >> 18);
}

float tuff_mersenne_uniform(tuff_mersenne *m, float low, float high)
{
    /* 24 bits, as many as f32 holds exactly */
    const float x = (float)(tuff_mersenne_next(m) & 0xffffffU) * 0x1p-24F;
    return fmaf(x, high - low, low); /* as PyTorch's is compiled: rounded once */
}
