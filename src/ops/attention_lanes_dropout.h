/* Which of attention's probabilities stay, on the host: attention_lanes.h includes it for each instruction
 * set. */

/* Sixteen counters at a time: out[4 * i + k] is the factor of number k of lane i's. */
TARGET static void NAME(draw)(const tuff_attention_drop *drop, const uint32_t *block, const uint32_t *row,
                              float *out)
{
    const uint32_t key0 = drop->seed[0], key1 = drop->seed[1], step = drop->seed[2], stream = drop->stream;
    const uint32_t threshold = drop->threshold;
    const float factor = drop->factor;
    TUFF_LANES
    for (int i = 0; i < LANES; i++) {
        uint32_t c0 = block[i], c1 = row[i], c2 = step, c3 = stream, k0 = key0, k1 = key1;
        TUFF_PHILOX_ROUNDS(c0, c1, c2, c3, k0, k1);
        out[4 * i] = c0 < threshold ? 0 : factor;
        out[4 * i + 1] = c1 < threshold ? 0 : factor;
        out[4 * i + 2] = c2 < threshold ? 0 : factor;
        out[4 * i + 3] = c3 < threshold ? 0 : factor;
    }
}

/* Lanes are queries: x of n keys from `key` on, times the factors. */
TARGET static void NAME(drop_keys)(const tuff_attention_problem *p, const lane_block *block, int64_t key,
                                   int64_t n, float *x)
{
    uint32_t rows[LANES], blocks[LANES];
    float factors[4 * LANES];
    for (int64_t i = 0; i < LANES; i++) {
        const int64_t row = block->first + i;
        rows[i] = (uint32_t)((block->q_begin + row / p->s.G) * p->Hq + block->h + row % p->s.G);
    }
    for (int64_t four = key / 4; 4 * four < key + n; four++) {
        for (int i = 0; i < LANES; i++)
            blocks[i] = (uint32_t)four;
        NAME(draw)(&p->drop, blocks, rows, factors);
        for (int64_t k = 0; k < 4; k++) {
            const int64_t j = 4 * four + k - key;
            for (int i = 0; i < LANES && j >= 0 && j < n; i++)
                x[j * LANES + i] *= factors[4 * i + k];
        }
    }
}

/* Lanes are keys, from `key` on, a multiple of 4: out[r * LANES + i] are the factors of n queries, whose rows
 * are `row` and others `step` apart. */
TARGET static void NAME(drop_queries)(const tuff_attention_problem *p, int64_t key, int64_t row, int64_t step,
                                      int64_t n, float *out)
{
    enum { AT_ONCE = 4, FOURS = LANES / 4 };
    uint32_t rows[LANES], blocks[LANES];
    float factors[4 * LANES];
    for (int64_t r = 0; r < n; r += AT_ONCE) {
        for (int64_t i = 0; i < LANES; i++) {
            rows[i] = (uint32_t)(row + (r + i / FOURS) * step);
            blocks[i] = (uint32_t)(key / 4 + i % FOURS);
        }
        NAME(draw)(&p->drop, blocks, rows, factors);
        const int64_t some = n - r < AT_ONCE ? n - r : AT_ONCE;
        memcpy(out + r * LANES, factors, (size_t)(some * LANES) * sizeof *out);
    }
}
