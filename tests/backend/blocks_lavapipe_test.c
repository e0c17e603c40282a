/* LoRA on lavapipe on weights stored by the block: the losses that it has on the same numbers as f32. */
#include <math.h>
#include <stdio.h>

#include "ir/dtype.h"
#include "kit/blocks_model.h"

static tuff_device *lavapipe;

static void lora_on_blocks(void **state)
{
    (void)state;
    for (int d = TUFF_Q4_0; d < TUFF_DTYPE_COUNT; d++) {
        const char *name = tuff_dtype_name((tuff_dtype)d);
        tuff_model *blocks = kit_blocks_model((tuff_dtype)d, false),
                   *decoded = kit_blocks_model((tuff_dtype)d, true);
        double a[KIT_BLOCKS_STEPS], b[KIT_BLOCKS_STEPS], off = 0;
        kit_blocks_losses(blocks, lavapipe, 4, a);
        kit_blocks_losses(decoded, lavapipe, 4, b);
        for (int i = 0; i < KIT_BLOCKS_STEPS; i++)
            off = fmax(off, fabs(a[i] / b[i] - 1));
        print_message("%s: off by %.1e of losses of %.3f to %.3f\n", name, off, b[0],
                      b[KIT_BLOCKS_STEPS - 1]);
        if (!(off <= 1e-5)) fail_msg("%s: losses differ by %.2e of them", name, off);
        assert_true(a[KIT_BLOCKS_STEPS - 1] != a[0]);
        tuff_model_destroy(&blocks);
        tuff_model_destroy(&decoded);
    }
}

int main(void)
{
    if (tuff_device_open(&(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = "lavapipe"},
                         &lavapipe) != TUFF_OK) {
        printf("skipped: %s\n", tuff_error_message());
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(lora_on_blocks)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&lavapipe);
    return failed;
}
