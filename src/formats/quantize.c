#include "formats/quantize.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/status.h"
#include "formats/quantize_32.h"
#include "formats/quantize_k.h"
#include "formats/quantize_search.h"

#define LARGEST \
    1e12f /* of an element: no scale of any type reaches so far, and squares of it can be added up */
enum { GRAIN = 1 << 12 }; /* elements that are worth a thread */

/* Blocks of 32 that are searched for, eight of them side by side; what stands for missing ones is 0. */
static void load(const float *in, const float *importance, size_t count, tuff_groups *groups)
{
    memset(groups, 0, sizeof *groups);
    groups->n = 32;
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < 32; i++) {
            groups->x[i][g] = in[32 * g + i];
            groups->w[i][g] = importance ? importance[32 * g + i] : 1;
        }
}

static float stored(float value)
{
    return tuff_f16_to_f32(tuff_f32_to_f16(value));
}

static void fill_table(tuff_table *table)
{
    static const uint8_t all[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t block[TUFF_BLOCK_IQ4_NL_BYTES];
    float steps[32];
    tuff_put_half(1, block);
    tuff_put_q4(all, block + 2);
    tuff_block_decode(TUFF_BLOCK_IQ4_NL, block, 1, steps);
    table->lowest = steps[0];
    table->highest = steps[15];
    for (int i = 0, k = 0; i < TUFF_TABLE_PLACES; i++) {
        const int low = i - TUFF_TABLE_PLACES / 2; /* twice a value; the place reaches to the next half */
        while (k < 15 && (float)low >= steps[k] + steps[k + 1])
            k++;
        table->nearest[i] = steps[k];
        table->number[i] = (uint8_t)k;
    }
}

static bool search_iq4_nl(const tuff_groups *groups, const tuff_table *table, size_t count, uint8_t *out)
{
    tuff_lanes scale;
    bool fits = true;
    tuff_fit_table(groups, table, scale);
    for (size_t g = 0; g < count; g++, out += TUFF_BLOCK_IQ4_NL_BYTES) {
        const float inverse = tuff_inverse(stored(scale[g]));
        uint8_t whole[32];
        for (int i = 0; i < 32; i++)
            whole[i] = table->number[tuff_table_place(groups->x[i][g] * inverse)];
        fits = tuff_put_half(scale[g], out) && fits;
        tuff_put_q4(whole, out + 2);
    }
    return fits;
}

/* Q4_0 to Q5_1 with importances. */
static bool search_plain(tuff_block type, const tuff_groups *groups, size_t count, uint8_t *out)
{
    const bool five = type == TUFF_BLOCK_Q5_0 || type == TUFF_BLOCK_Q5_1;
    const bool least = type == TUFF_BLOCK_Q4_1 || type == TUFF_BLOCK_Q5_1;
    const float steps = five ? 32 : 16;
    const tuff_whole_range range = {least ? 0 : -steps / 2, least ? steps - 1 : steps / 2 - 1};
    tuff_lanes scale, from = {0};
    bool fits = true;
    if (least)
        tuff_fit_range(groups, range.high, true, scale, from);
    else
        tuff_fit_steps(groups, range, scale);
    for (size_t g = 0; g < count; g++, out += tuff_block_get(type)->bytes) {
        const float inverse = tuff_inverse(stored(scale[g])), start = stored(from[g]);
        uint8_t whole[32];
        for (int i = 0; i < 32; i++)
            whole[i] = (uint8_t)(tuff_whole_of(groups->x[i][g], inverse, start, range) - range.low);
        fits = tuff_put_half(scale[g], out) && fits;
        if (least) fits = tuff_put_half(from[g], out + 2) && fits;
        (five ? tuff_put_q5 : tuff_put_q4)(whole, out + (least ? 4 : 2));
    }
    return fits;
}

static bool search_32(tuff_block type, const float *in, const float *importance, size_t count, uint8_t *out)
{
    tuff_groups groups;
    tuff_table table;
    bool fits = true;
    if (type == TUFF_BLOCK_IQ4_NL) fill_table(&table);
    for (size_t at = 0; at < count; at += TUFF_LANES) {
        const size_t n = count - at < TUFF_LANES ? count - at : TUFF_LANES;
        uint8_t *blocks = out + at * tuff_block_get(type)->bytes;
        load(in + 32 * at, importance ? importance + 32 * at : NULL, n, &groups);
        fits = (type == TUFF_BLOCK_IQ4_NL ? search_iq4_nl(&groups, &table, n, blocks)
                                          : search_plain(type, &groups, n, blocks)) &&
               fits;
    }
    return fits;
}

/* How a block is encoded: by recipe, or by a search, which weighs errors. */
typedef struct encoder {
    bool (*recipe)(const float *in, uint8_t *out);
    bool (*search)(const float *in, const float *importance, uint8_t *out);
} encoder;

bool tuff_block_encode(tuff_block type, const float *in, const float *importance, size_t count, void *blocks)
{
    static const encoder encoders[TUFF_BLOCK_COUNT] = {
        [TUFF_BLOCK_Q4_0] = {tuff_encode_q4_0, NULL}, [TUFF_BLOCK_Q4_1] = {tuff_encode_q4_1, NULL},
        [TUFF_BLOCK_Q5_0] = {tuff_encode_q5_0, NULL}, [TUFF_BLOCK_Q5_1] = {tuff_encode_q5_1, NULL},
        [TUFF_BLOCK_Q8_0] = {tuff_encode_q8_0, NULL}, [TUFF_BLOCK_MXFP4] = {tuff_encode_mxfp4, NULL},
        [TUFF_BLOCK_Q2_K] = {NULL, tuff_encode_q2_k}, [TUFF_BLOCK_Q3_K] = {NULL, tuff_encode_q3_k},
        [TUFF_BLOCK_Q4_K] = {NULL, tuff_encode_q4_k}, [TUFF_BLOCK_Q5_K] = {NULL, tuff_encode_q5_k},
        [TUFF_BLOCK_Q6_K] = {NULL, tuff_encode_q6_k},
    };
    const tuff_block_info *info = tuff_block_get(type);
    const encoder *e = &encoders[type];
    const bool weighed = importance && type != TUFF_BLOCK_Q8_0 && type != TUFF_BLOCK_MXFP4;
    bool fits = true;
    for (size_t i = 0; i < count * info->elements; i++)
        fits = fits && fabsf(in[i]) < LARGEST;
    if (!fits) return false;
    if (type == TUFF_BLOCK_IQ4_NL || (weighed && e->recipe))
        return search_32(type, in, importance, count, blocks);
    for (size_t i = 0; i < count; i++) {
        const float *from = in + i * info->elements;
        uint8_t *to = (uint8_t *)blocks + i * info->bytes;
        fits = (e->recipe ? e->recipe(from, to)
                          : e->search(from, weighed ? importance + i * info->elements : NULL, to)) &&
               fits;
    }
    return fits;
}

typedef struct rows_job {
    tuff_block type;
    const float *in, *importance;
    size_t columns, blocks; /* of a row */
    uint8_t *out;
    int too_large; /* atomic */
} rows_job;

static void encode_some(int64_t begin, int64_t end, void *context)
{
    rows_job *job = context;
    for (size_t r = (size_t)begin; r < (size_t)end; r++)
        if (!tuff_block_encode(job->type, job->in + r * job->columns, job->importance, job->blocks,
                               job->out + r * job->blocks * tuff_block_get(job->type)->bytes))
            __atomic_store_n(&job->too_large, 1, __ATOMIC_RELAXED);
}

bool tuff_block_encode_rows(tuff_block type, const float *in, const float *importance, int64_t rows,
                            int64_t columns, tuff_pool *pool, void *blocks)
{
    rows_job job = {.type = type,
                    .in = in,
                    .importance = importance,
                    .columns = (size_t)columns,
                    .blocks = (size_t)columns / tuff_block_get(type)->elements,
                    .out = blocks};
    TUFF_ASSERT(columns % tuff_block_get(type)->elements == 0);
    if (pool)
        tuff_pool_run(pool, rows, GRAIN / columns + 1, encode_some, &job);
    else
        encode_some(0, rows, &job);
    return !__atomic_load_n(&job.too_large, __ATOMIC_RELAXED);
}
