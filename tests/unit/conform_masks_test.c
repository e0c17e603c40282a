/* Masks: their texts, and what they do to a device's capabilities. */
#include "kit/kit.h"

#include <tuff/conform.h>

#include "conform/masks.h"

static const tuff_caps strong = {.features = ~0u,
                                 .subgroup_size = 8,
                                 .shared_bytes = 48 << 10,
                                 .max_allocation = UINT64_C(4) << 30,
                                 .memory_bytes = UINT64_C(8) << 30};

static tuff_caps masked(const char *text)
{
    tuff_mask mask;
    tuff_caps caps = strong;
    KIT_OK(tuff_mask_parse(text, &mask));
    tuff_mask_apply(&mask, &caps);
    return caps;
}

static void settings_lower_what_they_name(void **state)
{
    (void)state;
    tuff_caps none = masked("");
    assert_memory_equal(&none, &strong, sizeof strong);
    assert_int_equal(masked("fp16=off").features,
                     ~(uint32_t)(TUFF_CAP_F16_ARITHMETIC | TUFF_CAP_F16_STORAGE));
    assert_int_equal(masked("int8=off,coopmat=off,software=off").features,
                     ~(uint32_t)(TUFF_CAP_INT8 | TUFF_CAP_COOPERATIVE_MATRIX | TUFF_CAP_SOFTWARE));
    assert_int_equal(masked("subgroup=none").features,
                     ~(uint32_t)(TUFF_CAP_SUBGROUP_ARITHMETIC | TUFF_CAP_SUBGROUP_BALLOT));
    assert_int_equal(masked("short=off").features, ~(uint32_t)TUFF_CAP_SHORT_CODE);
    assert_int_equal(masked("shared=16K").shared_bytes, 16384);
    assert_int_equal(masked("shared=16384,shared=1M").shared_bytes, 16384);
    assert_int_equal(masked("shared=1G").shared_bytes, 48 << 10);
    assert_int_equal(masked("allocation=3G").max_allocation, UINT64_C(3) << 30);
    assert_int_equal(masked("memory=512M").memory_bytes, 512 << 20);
    assert_int_equal(masked("memory=9G").memory_bytes, UINT64_C(8) << 30);
}

/* Of another size, there is none to exchange values in. */
static void subgroups_have_a_size(void **state)
{
    (void)state;
    assert_int_equal(masked("subgroup=4").subgroup_size, 4);
    assert_false(masked("subgroup=4").features & TUFF_CAP_SUBGROUP_BALLOT);
    assert_int_equal(masked("subgroup=8").features, ~0u);
    assert_int_equal(masked("subgroup=64").subgroup_size, 64);
    assert_false(masked("subgroup=64").features & TUFF_CAP_SUBGROUP_BALLOT);
    assert_false(masked("subgroup=64").features & TUFF_CAP_SUBGROUP_ARITHMETIC);
}

static void named_masks_are_settings(void **state)
{
    (void)state;
    size_t n = 0;
    const tuff_conform_mask *mask;
    for (; (mask = tuff_conform_mask_at(n)) != NULL; n++) {
        tuff_caps by_name = masked(mask->name), by_text = masked(mask->settings);
        assert_memory_equal(&by_name, &by_text, sizeof by_name);
        assert_memory_not_equal(&by_name, &strong, sizeof strong);
        assert_false(by_name.features & TUFF_CAP_SOFTWARE); /* none of them is a processor */
        for (size_t k = 0; k < n; k++) {
            tuff_caps other = masked(tuff_conform_mask_at(k)->name);
            assert_memory_not_equal(&by_name, &other, sizeof other);
        }
    }
    assert_int_equal(n, 6);
    assert_int_equal(masked("phone,shared=16K").shared_bytes, 16384);
    assert_int_equal(n, 6);
    assert_int_equal(masked("phone,shared=16K").subgroup_size, 64);
}

static void nonsense_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"shared=12",   "shared=",     "shared=16Q",
                                      "shared=16KK", "shared=-1",   "shared=99999999999999999999",
                                      "subgroup=0",  "subgroup=12", "memory=18014398509G",
                                      "memory=1K",   "phones",      "fp16=on"};
    tuff_mask mask;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        KIT_FAILS(tuff_mask_parse(bad[i], &mask), TUFF_INVALID_ARGUMENT, bad[i]);
        kit_expect_message("raspberry-pi", bad[i], __FILE__, __LINE__);
    }
    KIT_FAILS(tuff_mask_parse("fp16=off,,memory", &mask), TUFF_INVALID_ARGUMENT, "\"memory\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_lower_what_they_name),
        cmocka_unit_test(subgroups_have_a_size),
        cmocka_unit_test(named_masks_are_settings),
        cmocka_unit_test(nonsense_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
