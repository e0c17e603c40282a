/* The Mersenne Twister (Matsumoto and Nishimura 1998), MT19937: what PyTorch's generator of the CPU draws
 * from. For numbers that files leave out because PyTorch makes them anew; everything else is drawn by
 * base/rng.h. */
#ifndef TUFF_BASE_MERSENNE_H
#define TUFF_BASE_MERSENNE_H

#include <stdint.h>

typedef struct tuff_mersenne {
    uint32_t state[624];
    int at;
} tuff_mersenne;

/* As torch.Generator.manual_seed. */
void tuff_mersenne_seed(tuff_mersenne *m, uint64_t seed);
uint32_t tuff_mersenne_next(tuff_mersenne *m);
/* The next number of Tensor.uniform_(low, high) in f32. */
float tuff_mersenne_uniform(tuff_mersenne *m, float low, float high);

#endif
