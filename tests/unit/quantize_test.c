/* Blocks read and written, against gguf.quants (tests/reference/make_block_goldens.py), and how near what is
 * searched for comes. */
#include "formats/quantize.h"

#include <math.h>
#include <stdio.h>

#include "base/half.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "kit/kit.h"

enum { COLUMNS = 1536, ROWS = 48, NUMBERS = ROWS * COLUMNS, GROUP = 32 };

static tuff_weights *truth;
static float normal[NUMBERS], heavy[NUMBERS], back[NUMBERS];
static uint8_t blocks[NUMBERS * 2];

static int setup(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < NUMBERS; i++) {
        const double one = tuff_rng_normal(7, i, 0, 0), two = tuff_rng_normal(7, i, 1, 0);
        normal[i] = (float)(0.02 * one);
        heavy[i] = (float)(0.02 * one * exp(0.6 * two)); /* as weights of trained models are */
    }
    return tuff_safetensors_open(kit_asset("golden/blocks/truth.safetensors"), &truth) != TUFF_OK;
}

static int teardown(void **state)
{
    (void)state;
    tuff_weights_destroy(&truth);
    return 0;
}

/* The bytes of "q4_k.blocks", to be freed; NULL: there are none. */
static void *bytes_of(const char *type, const char *what, size_t *size)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", type, what);
    const tuff_weight *weight = tuff_weights_find(truth, name);
    if (!weight) return NULL;
    void *bytes = malloc(weight->bytes);
    assert_non_null(bytes);
    KIT_OK(tuff_weight_stored(weight, bytes));
    *size = weight->bytes;
    return bytes;
}

static void test_decoders(void **state)
{
    (void)state;
    for (tuff_block type = 0; type < TUFF_BLOCK_COUNT; type++) {
        const tuff_block_info *info = tuff_block_get(type);
        size_t size = 0, want_size = 0;
        uint8_t *in = bytes_of(info->name, ".blocks", &size);
        float *want = bytes_of(info->name, ".decoded", &want_size);
        assert_non_null(in);
        assert_non_null(want);
        const size_t count = size / info->bytes, n = count * info->elements;
        assert_int_equal(want_size, n * sizeof *want);
        assert_true(n <= NUMBERS);
        tuff_block_decode(type, in, count, back);
        for (size_t i = 0; i < n; i++)
            if (tuff_f32_bits(back[i]) != tuff_f32_bits(want[i]))
                fail_msg("%s, element %zu: %.9g, expected %.9g", info->name, i, (double)back[i],
                         (double)want[i]);
        free(in);
        free(want);
    }
}

static void test_recipes(void **state)
{
    (void)state;
    size_t size = 0, want_size = 0;
    unsigned types = 0;
    float *rows = bytes_of("rows", "", &size);
    assert_non_null(rows);
    const size_t count = size / sizeof *rows / GROUP;
    for (tuff_block type = 0; type < TUFF_BLOCK_COUNT; type++) {
        const tuff_block_info *info = tuff_block_get(type);
        uint8_t *want = bytes_of(info->name, ".encoded", &want_size);
        if (!want) continue;
        types++;
        assert_int_equal(want_size, count * info->bytes);
        assert_true(tuff_block_encode(type, rows, NULL, count, blocks));
        for (size_t i = 0; i < want_size; i++)
            if (blocks[i] != want[i])
                fail_msg("%s, row %zu, byte %zu: %d, expected %d", info->name, i / info->bytes,
                         i % info->bytes, blocks[i], want[i]);
        free(want);
    }
    assert_int_equal(types, 6);
    free(rows);
}

/* The root of the mean squared error, as a share of the numbers'; with weights[0..COLUMNS) of each row. */
static double error_of(tuff_block type, const float *in, const float *importance, const float *weights)
{
    const tuff_block_info *info = tuff_block_get(type);
    double error = 0, all = 0;
    assert_true(tuff_block_encode_rows(type, in, importance, ROWS, COLUMNS, NULL, blocks));
    tuff_block_decode(type, blocks, NUMBERS / info->elements, back);
    for (int i = 0; i < NUMBERS; i++) {
        const double w = weights ? (double)weights[i % COLUMNS] : 1, d = (double)back[i] - (double)in[i];
        error += w * d * d;
        all += w * (double)in[i] * (double)in[i];
    }
    return sqrt(error / all);
}

/* At most these shares of the numbers. The algorithms of llama.cpp's reference come to what stands beside. */
static const struct bound {
    tuff_block type;
    double normal, heavy;
} bounds[] = {
    {TUFF_BLOCK_Q2_K, 0.2600, 0.2955},   /* 0.2959, 0.3593 */
    {TUFF_BLOCK_Q3_K, 0.1442, 0.1826},   /* 0.1511, 0.1898 */
    {TUFF_BLOCK_Q4_K, 0.0698, 0.0884},   /* 0.0712, 0.0907 */
    {TUFF_BLOCK_Q5_K, 0.0346, 0.0439},   /* 0.0362, 0.0459 */
    {TUFF_BLOCK_Q6_K, 0.01696, 0.02315}, /* 0.01775, 0.02401 */
    {TUFF_BLOCK_IQ4_NL, 0.0739, 0.0942}, /* 0.0763, 0.0967 */
};

static void test_searches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const double found[2] = {error_of(bounds[i].type, normal, NULL, NULL),
                                 error_of(bounds[i].type, heavy, NULL, NULL)};
        if (found[0] > bounds[i].normal || found[1] > bounds[i].heavy)
            fail_msg("%s: %.5f and %.5f of the numbers, expected at most %.5f and %.5f",
                     tuff_block_get(bounds[i].type)->name, found[0], found[1], bounds[i].normal,
                     bounds[i].heavy);
    }
}

/* What counts more becomes more exact, also of types that have a recipe without. */
static void test_importance(void **state)
{
    (void)state;
    static float importance[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        importance[i] = i % 16 ? 0.01f : 30;
    for (tuff_block type = 0; type < TUFF_BLOCK_COUNT; type++) {
        const double without = error_of(type, heavy, NULL, importance),
                     with = error_of(type, heavy, importance, importance);
        const bool ignored = type == TUFF_BLOCK_Q8_0 || type == TUFF_BLOCK_MXFP4;
        if (ignored ? with != without : with > 0.85 * without)
            fail_msg("%s: %.5f with importance, %.5f without", tuff_block_get(type)->name, with, without);
    }
}

/* How far a number may be off, as a share of the largest of its block: one step. */
static const float steps[TUFF_BLOCK_COUNT] = {
    [TUFF_BLOCK_Q4_0] = 0.126f, [TUFF_BLOCK_Q4_1] = 0.068f,   [TUFF_BLOCK_Q5_0] = 0.063f,
    [TUFF_BLOCK_Q5_1] = 0.033f, [TUFF_BLOCK_Q8_0] = 0.0045f,  [TUFF_BLOCK_Q2_K] = 0.34f,
    [TUFF_BLOCK_Q3_K] = 0.17f,  [TUFF_BLOCK_Q4_K] = 0.068f,   [TUFF_BLOCK_Q5_K] = 0.033f,
    [TUFF_BLOCK_Q6_K] = 0.021f, [TUFF_BLOCK_IQ4_NL] = 0.095f, [TUFF_BLOCK_MXFP4] = 0.26f,
};

static void test_kinds(void **state)
{
    (void)state;
    enum { KINDS = 9, TINY = KINDS - 1, N = 256 };
    static float in[KINDS][N];
    for (int i = 0; i < N; i++) {
        in[0][i] = 0;
        in[1][i] = -0.0f;
        in[2][i] = 0.3f;
        in[3][i] = -0.3f;
        in[4][i] = (float)i / N;
        in[5][i] = (float)(i % 16 - 8);
        in[6][i] = i == 100 ? 5 : 0;
        in[7][i] = 3e4f * (i % 2 ? 1.0f : -1);
        in[TINY][i] = 1e-4f * normal[i]; /* only the scales of groups are not too small for a half */
    }
    for (tuff_block type = 0; type < TUFF_BLOCK_COUNT; type++)
        for (int k = 0; k < (tuff_block_get(type)->elements == N ? KINDS : TINY); k++) {
            const tuff_block_info *info = tuff_block_get(type);
            double most = 0, worst = 0;
            assert_true(tuff_block_encode(type, in[k], NULL, N / info->elements, blocks));
            tuff_block_decode(type, blocks, N / info->elements, back);
            for (int i = 0; i < N; i++) {
                most = kit_farther(most, (double)in[k][i], 0);
                worst = kit_farther(worst, (double)in[k][i], (double)back[i]);
            }
            if (!(worst <= (double)steps[type] * most * (k == TINY ? 1.5 : 1)))
                fail_msg("%s, kind %d: off by %.3g of %.3g", info->name, k, worst, most);
        }
}

/* One element of a matrix is enough. MXFP4 has exponents for larger ones. */
static void test_too_large(void **state)
{
    (void)state;
    static float in[512];
    static const float sizes[] = {1e9f, 1e13f, 3e38f};
    for (tuff_block type = 0; type < TUFF_BLOCK_COUNT; type++)
        for (int i = 0; i < 3; i++) {
            in[300] = sizes[i];
            assert_int_equal(tuff_block_encode_rows(type, in, NULL, 2, 256, NULL, blocks),
                             type == TUFF_BLOCK_MXFP4 && i == 0);
            in[300] = 0;
            assert_true(tuff_block_encode_rows(type, in, NULL, 2, 256, NULL, blocks));
        }
}

static void test_threads(void **state)
{
    (void)state;
    static uint8_t again[sizeof blocks];
    tuff_pool *pool = tuff_pool_create(3);
    assert_non_null(pool);
    for (tuff_block type = 0; type < TUFF_BLOCK_COUNT; type++) {
        const size_t size = NUMBERS / tuff_block_get(type)->elements * tuff_block_get(type)->bytes;
        assert_true(tuff_block_encode_rows(type, heavy, NULL, ROWS, COLUMNS, NULL, blocks));
        assert_true(tuff_block_encode_rows(type, heavy, NULL, ROWS, COLUMNS, pool, again));
        assert_memory_equal(blocks, again, size);
    }
    tuff_pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoders),   cmocka_unit_test(test_recipes), cmocka_unit_test(test_searches),
        cmocka_unit_test(test_importance), cmocka_unit_test(test_kinds),   cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
