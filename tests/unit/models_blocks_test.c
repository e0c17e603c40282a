/* Models whose file is quantized: they stay so on a device, and give what the same numbers give as f32. */
#include <math.h>
#include <tuff/generate.h>

#include "cpu_fixture.h"
#include "ir/dtype.h"
#include "kit/blocks_model.h"
#include "models/model.h"

enum { WORDS = KIT_BLOCKS_WORDS, IDS = KIT_BLOCKS_IDS };

static void logits_of(const tuff_model *model, size_t n, bool exact, float *logits, uint64_t *bytes)
{
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    tuff_generator *generator = NULL;
    params.exact = exact;
    KIT_OK(tuff_generator_create(model, device, &params, &generator));
    KIT_OK(tuff_generator_logits(generator, kit_blocks_ids(), n, logits));
    *bytes = kit_device_stats(device).bytes;
    tuff_generator_destroy(&generator);
}

/* Of as many ids as products of few rows have, and of more. */
static void they_say_the_same(const tuff_model *blocks, const tuff_model *decoded)
{
    for (size_t n = 3; n <= IDS; n += IDS - 3) {
        float a[WORDS], b[WORDS], rounded[WORDS];
        double largest = 0, off = 0, rounded_off = 0;
        uint64_t few, many, others;
        logits_of(blocks, n, true, a, &few);
        logits_of(decoded, n, true, b, &many);
        logits_of(blocks, n, false, rounded, &others);
        for (int i = 0; i < WORDS; i++) {
            off = kit_farther(off, (double)a[i], (double)b[i]);
            rounded_off = kit_farther(rounded_off, (double)rounded[i], (double)b[i]);
            largest = kit_farther(largest, (double)b[i], 0);
        }
        if (!(off <= 1e-5 * largest)) fail_msg("%zu ids: logits of %g are off by %g", n, largest, off);
        if (!(rounded_off <= 0.05 * largest && rounded_off > off))
            fail_msg("%zu ids: logits of %g, of rounded activations, are off by %g", n, largest, rounded_off);
        logits_of(decoded, n, false, a, &others); /* has nothing that rounding is for */
        assert_memory_equal(a, b, sizeof a);
        uint64_t saved = 0;
        for (size_t i = 0; i < blocks->params.count; i++) {
            const tuff_param *p = &blocks->params.items[i];
            saved +=
                (uint64_t)tuff_param_elements(p) * 4 - tuff_dtype_bytes(p->stored, tuff_param_elements(p));
        }
        assert_true(saved > 1000000);
        assert_int_equal(many - few, saved);
    }
}

/* LoRA on what stays as it is stored, and all of it, as f32. */
static void they_train_alike(const tuff_model *blocks, const tuff_model *decoded)
{
    for (int rank = 4; rank >= 0; rank -= 4) {
        double a[KIT_BLOCKS_STEPS], b[KIT_BLOCKS_STEPS];
        kit_blocks_losses(blocks, device, rank, a);
        kit_blocks_losses(decoded, device, rank, b);
        for (int i = 0; i < KIT_BLOCKS_STEPS; i++)
            if (a[i] != b[i]) fail_msg("rank %d, step %d: %.17g, expected %.17g", rank, i + 1, a[i], b[i]);
        assert_true(a[KIT_BLOCKS_STEPS - 1] != a[0]);
    }
}

static void blocks_are_worth_what_they_stand_for(void **state)
{
    (void)state;
    for (int d = TUFF_Q4_0; d < TUFF_DTYPE_COUNT; d++) {
        tuff_model *blocks = kit_blocks_model((tuff_dtype)d, false),
                   *decoded = kit_blocks_model((tuff_dtype)d, true);
        tuff_model_info info = TUFF_MODEL_INFO_INIT;
        print_message("%s\n", tuff_dtype_name((tuff_dtype)d));
        KIT_OK(tuff_model_get_info(blocks, &info));
        assert_int_equal(info.dtype, d);
        they_say_the_same(blocks, decoded);
        they_train_alike(blocks, decoded);
        tuff_model_destroy(&blocks);
        tuff_model_destroy(&decoded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_worth_what_they_stand_for)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
