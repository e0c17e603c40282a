/* Blocks of 256. Each group gets the scale and least that suit it best; the block's own scale and least are
 * such that all of those are nearly whole multiples. Which multiples, is tried out; what they make of the
 * numbers then tells a better scale of the block, and so on. */
#include "formats/quantize_k.h"

#include <math.h>
#include <string.h>

#include "base/blocks.h"
#include "base/half.h"
#include "formats/quantize_search.h"

enum { ELEMENTS = 256, ROUNDS = 4 };

/* What a format has of groups. */
typedef struct layout {
    int size;                /* of a group: 16 or 32 */
    tuff_whole_range whole;  /* for elements */
    tuff_whole_range scales; /* for a group's scale */
    float leasts;            /* the highest for its least; 0: it has none */
} layout;

/* Numbers per group, eight groups after the other. */
typedef struct multiples {
    tuff_lanes scale[2], least[2];
} multiples;

typedef struct block {
    const layout *shape;
    int parts; /* of eight groups */
    tuff_groups groups[2];
    multiples wish;     /* of each group alone */
    multiples at, best; /* whole multiples of scale and least */
    float scale, least; /* of the block */
    float best_scale, best_least, best_error;
} block;

static void begin(const layout *shape, const float *in, const float *importance, block *b)
{
    memset(b, 0, sizeof *b);
    b->shape = shape;
    b->parts = ELEMENTS / shape->size / TUFF_LANES;
    for (int p = 0; p < b->parts; p++) {
        tuff_groups *groups = &b->groups[p];
        groups->n = shape->size;
        for (int g = 0; g < TUFF_LANES; g++)
            for (int i = 0; i < shape->size; i++) {
                const int from = (p * TUFF_LANES + g) * shape->size + i;
                groups->x[i][g] = in[from];
                groups->w[i][g] = importance ? importance[from] : 1;
            }
        if (shape->leasts > 0)
            tuff_fit_range(groups, shape->whole.high, false, b->wish.scale[p], b->wish.least[p]);
        else
            tuff_fit_steps(groups, shape->whole, b->wish.scale[p]);
    }
}

/* As a half can say it, but not 0 for what is not: the smallest numbers have few digits. */
static float stored(float value)
{
    const float half = tuff_f16_to_f32(tuff_f32_to_f16(value));
    return half != 0 || value == 0 ? half : copysignf(0x1p-24f, value);
}

/* The largest wish, with its sign. */
static float top(const block *b, const tuff_lanes *wish)
{
    float most = 0;
    for (int p = 0; p < b->parts; p++)
        for (int g = 0; g < TUFF_LANES; g++)
            if (fabsf(wish[p][g]) > fabsf(most)) most = wish[p][g];
    return most;
}

/* Steps and where they begin, of groups with these multiples. */
static void steps_of(const block *b, const tuff_lanes scale, const tuff_lanes least, tuff_lanes step,
                     tuff_lanes from)
{
    for (int g = 0; g < TUFF_LANES; g++) {
        step[g] = b->scale * scale[g];
        from[g] = -b->least * least[g];
    }
}

/* Chooses the multiples of each group among those near its wish. Returns the error of the block. */
static float choose(block *b)
{
    const float scales = tuff_inverse(b->scale), leasts = tuff_inverse(b->least);
    const int down = b->shape->leasts > 0 ? 1 : 0;
    float sum = 0;
    for (int p = 0; p < b->parts; p++) {
        tuff_lanes least_error;
        for (int g = 0; g < TUFF_LANES; g++)
            least_error[g] = INFINITY;
        for (int i = -1; i <= 1; i++)
            for (int j = -down; j <= down; j++) {
                tuff_lanes scale, least, step, from, error;
                for (int g = 0; g < TUFF_LANES; g++) {
                    scale[g] = tuff_within(tuff_whole(b->wish.scale[p][g] * scales) + (float)i,
                                           b->shape->scales.low, b->shape->scales.high);
                    least[g] = tuff_within(tuff_whole(-b->wish.least[p][g] * leasts) + (float)j, 0,
                                           b->shape->leasts);
                }
                steps_of(b, scale, least, step, from);
                tuff_sum_errors(&b->groups[p], b->shape->whole, step, from, error);
                for (int g = 0; g < TUFF_LANES; g++) {
                    const int better = error[g] < least_error[g];
                    least_error[g] = better ? error[g] : least_error[g];
                    b->at.scale[p][g] = better ? scale[g] : b->at.scale[p][g];
                    b->at.least[p][g] = better ? least[g] : b->at.least[p][g];
                }
            }
        for (int g = 0; g < TUFF_LANES; g++)
            sum += least_error[g];
    }
    return sum;
}

/* Scale and least of the block that suit the multiples, and what these make of the elements, best. */
static void refit(block *b)
{
    double ss = 0, sl = 0, ll = 0, xs = 0, xl = 0; /* the block is x = scale * s - least * l */
    for (int p = 0; p < b->parts; p++) {
        tuff_lanes step, from;
        tuff_line_sums t;
        steps_of(b, b->at.scale[p], b->at.least[p], step, from);
        for (int g = 0; g < TUFF_LANES; g++)
            step[g] = tuff_inverse(step[g]);
        tuff_sum_lines(&b->groups[p], b->shape->whole, step, from, &t);
        for (int g = 0; g < TUFF_LANES; g++) {
            const double s = b->at.scale[p][g], l = b->at.least[p][g];
            ss += s * s * t.qq[g];
            sl += s * l * t.q[g];
            ll += l * l * t.w[g];
            xs += s * t.xq[g];
            xl += l * t.x[g];
        }
    }
    const double det = ss * ll - sl * sl;
    if (det > 0) {
        b->scale = stored((float)((xs * ll - xl * sl) / det));
        b->least = stored((float)((xs * sl - xl * ss) / det));
    } else if (ss > 0) {
        b->scale = stored((float)(xs / ss));
    }
    if (b->least < 0) b->least = 0;
}

/* False where no half holds the scale. */
static bool settle(block *b)
{
    const layout *shape = b->shape;
    const float most = top(b, b->wish.scale);
    b->scale = stored(most / (shape->scales.low < 0 ? shape->scales.low : shape->scales.high));
    b->least = shape->leasts > 0 ? stored(-top(b, b->wish.least) / shape->leasts) : 0;
    b->best_error = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        if (!isfinite(b->scale) || !isfinite(b->least)) break;
        const float error = choose(b);
        if (!(error < b->best_error)) break;
        b->best_error = error;
        b->best = b->at;
        b->best_scale = b->scale;
        b->best_least = b->least;
        refit(b);
    }
    b->at = b->best;
    b->scale = b->best_scale;
    b->least = b->best_least;
    return isfinite(b->best_error);
}

/* The whole number of each element, less the lowest, and the multiples of each group as they are stored. */
typedef struct numbers {
    uint8_t whole[ELEMENTS];
    int scale[16], least[16];
} numbers;

static bool numbers_of(const layout *shape, const float *in, const float *importance, uint8_t *out_scale,
                       numbers *out)
{
    block b;
    begin(shape, in, importance, &b);
    if (!settle(&b)) return false;
    for (int p = 0; p < b.parts; p++) {
        tuff_lanes step, from;
        steps_of(&b, b.at.scale[p], b.at.least[p], step, from);
        for (int g = 0; g < TUFF_LANES; g++) {
            const int group = p * TUFF_LANES + g;
            const float inverse = tuff_inverse(step[g]);
            out->scale[group] = (int)b.at.scale[p][g];
            out->least[group] = (int)b.at.least[p][g];
            for (int i = 0; i < shape->size; i++)
                out->whole[group * shape->size + i] =
                    (uint8_t)(tuff_whole_of(b.groups[p].x[i][g], inverse, from[g], shape->whole) -
                              shape->whole.low);
        }
    }
    const uint16_t scale = tuff_f32_to_f16(b.scale), least = tuff_f32_to_f16(b.least);
    memcpy(out_scale, &scale, 2);
    if (shape->leasts > 0) memcpy(out_scale + 2, &least, 2);
    return true;
}

/* How the numbers lie in a block: base/blocks.c reads them. */

bool tuff_encode_q2_k(const float *in, const float *importance, uint8_t *out)
{
    static const layout two = {16, {0, 3}, {0, 15}, 15};
    numbers n;
    memset(out, 0, TUFF_BLOCK_Q2_K_BYTES);
    if (!numbers_of(&two, in, importance, out + 80, &n)) return false;
    for (int g = 0; g < 16; g++) {
        uint8_t *bits = out + 16 + g / 8 * 32 + g % 2 * 16;
        out[g] = (uint8_t)(n.scale[g] | n.least[g] << 4);
        for (int i = 0; i < 16; i++)
            bits[i] |= (uint8_t)(n.whole[16 * g + i] << (g % 8 / 2 * 2));
    }
    return true;
}

bool tuff_encode_q3_k(const float *in, const float *importance, uint8_t *out)
{
    static const layout three = {16, {-4, 3}, {-32, 31}, 0};
    numbers n;
    memset(out, 0, TUFF_BLOCK_Q3_K_BYTES);
    if (!numbers_of(&three, in, importance, out + 108, &n)) return false;
    for (int g = 0; g < 16; g++) {
        uint8_t *bits = out + 32 + g / 8 * 32 + g % 2 * 16, *high = out + g % 2 * 16, *scales = out + 96;
        const int scale = n.scale[g] + 32;
        scales[g % 8] |= (uint8_t)((scale & 15) << (g / 8 * 4));
        scales[8 + g % 4] |= (uint8_t)(scale >> 4 << (g / 4 * 2));
        for (int i = 0; i < 16; i++) {
            bits[i] |= (uint8_t)((n.whole[16 * g + i] & 3) << (g % 8 / 2 * 2));
            high[i] |= (uint8_t)(n.whole[16 * g + i] >> 2 << (g / 2));
        }
    }
    return true;
}

/* 6 bits of scale and of least of 8 groups into 12 bytes */
static void put_scales(const numbers *n, uint8_t *out)
{
    for (int g = 0; g < 4; g++) {
        out[g] = (uint8_t)(n->scale[g] | n->scale[g + 4] >> 4 << 6);
        out[g + 4] = (uint8_t)(n->least[g] | n->least[g + 4] >> 4 << 6);
        out[g + 8] = (uint8_t)((n->scale[g + 4] & 15) | (n->least[g + 4] & 15) << 4);
    }
}

bool tuff_encode_q4_k(const float *in, const float *importance, uint8_t *out)
{
    static const layout four = {32, {0, 15}, {0, 63}, 63};
    numbers n;
    memset(out, 0, TUFF_BLOCK_Q4_K_BYTES);
    if (!numbers_of(&four, in, importance, out, &n)) return false;
    put_scales(&n, out + 4);
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++)
            out[16 + g / 2 * 32 + i] |= (uint8_t)(n.whole[32 * g + i] << (g % 2 * 4));
    return true;
}

bool tuff_encode_q5_k(const float *in, const float *importance, uint8_t *out)
{
    static const layout five = {32, {0, 31}, {0, 63}, 63};
    numbers n;
    memset(out, 0, TUFF_BLOCK_Q5_K_BYTES);
    if (!numbers_of(&five, in, importance, out, &n)) return false;
    put_scales(&n, out + 4);
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) {
            const int whole = n.whole[32 * g + i];
            out[48 + g / 2 * 32 + i] |= (uint8_t)((whole & 15) << (g % 2 * 4));
            out[16 + i] |= (uint8_t)(whole >> 4 << g);
        }
    return true;
}

bool tuff_encode_q6_k(const float *in, const float *importance, uint8_t *out)
{
    static const layout six = {16, {-32, 31}, {-128, 127}, 0};
    numbers n;
    memset(out, 0, TUFF_BLOCK_Q6_K_BYTES);
    if (!numbers_of(&six, in, importance, out + 208, &n)) return false;
    for (int g = 0; g < 16; g++) {
        const int half = g / 8, quarter = g % 8 / 2, first = g % 2 * 16;
        uint8_t *low = out + half * 64 + quarter % 2 * 32 + first, *high = out + 128 + half * 32 + first;
        out[192 + g] = (uint8_t)n.scale[g];
        for (int i = 0; i < 16; i++) {
            low[i] |= (uint8_t)((n.whole[16 * g + i] & 15) << (quarter / 2 * 4));
            high[i] |= (uint8_t)(n.whole[16 * g + i] >> 4 << (quarter * 2));
        }
    }
    return true;
}
