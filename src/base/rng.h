/* Philox4x32-10 (Salmon et al., SC'11): random numbers as a pure function of key and counter. */
#ifndef TUFF_BASE_RNG_H
#define TUFF_BASE_RNG_H

#include <stdint.h>

typedef struct tuff_philox {
    uint32_t v[4];
} tuff_philox;

/* Ten rounds; key is the seed (lo, hi), counter is (position lo, position hi, step, stream). */
tuff_philox tuff_philox4x32(uint64_t key, uint64_t position, uint32_t step, uint32_t stream);

/* A uniform double in [0, 1) with 53 bits, and a standard normal (Box-Muller), each its own counter position.
 */
double tuff_rng_uniform(uint64_t seed, uint64_t position, uint32_t step, uint32_t stream);
double tuff_rng_normal(uint64_t seed, uint64_t position, uint32_t step, uint32_t stream);

/* Fisher-Yates over items[0..n) with the stream (seed, step, stream). */
void tuff_rng_shuffle(uint32_t *items, uint32_t n, uint64_t seed, uint32_t step, uint32_t stream);

/* Stream ids: one home, so that no two uses ever share one. Layers and tensors add their index. */
enum {
    TUFF_STREAM_SHUFFLE = 0x01000000,
    TUFF_STREAM_SAMPLE = 0x02000000,
    TUFF_STREAM_INIT = 0x03000000,
    TUFF_STREAM_DROPOUT = 0x04000000,
    TUFF_STREAM_CONFORM = 0x05000000, /* data of conformance cases */
    TUFF_STREAM_HEAD = 0x06000000,    /* new parameters */
    TUFF_STREAM_MASK = 0x07000000,    /* which tokens a masked language model is to find */
    TUFF_STREAM_NOISE = 0x08000000,   /* on embeddings that are trained */
    TUFF_STREAM_MODEL =
        0x09000000, /* dropout inside models, see models/net.c; LoRA's is TUFF_STREAM_DROPOUT */
    TUFF_STREAM_MIXTURE = 0x0b000000, /* the order of a data set that is mixed with others */
    TUFF_STREAM_HELD_OUT = 0x0c000000 /* which records are measured on, not learned */
};

#endif
