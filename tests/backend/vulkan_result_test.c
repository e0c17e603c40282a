/* What Vulkan's functions return is told by name. */
#include <stdio.h>

#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

static void results_have_names(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(tuff_vk_result_name(VK_ERROR_INCOMPATIBLE_DRIVER, text),
                        "VK_ERROR_INCOMPATIBLE_DRIVER");
    assert_string_equal(tuff_vk_result_name(VK_ERROR_INITIALIZATION_FAILED, text),
                        "VK_ERROR_INITIALIZATION_FAILED");
    assert_string_equal(tuff_vk_result_name((VkResult)-1234567, text), "VkResult -1234567");
}

static void errors_say_them(void **state)
{
    (void)state;
    tuff_vk_device *device = tuff_alloc(sizeof *device);
    assert_non_null(device);
    snprintf(device->probe.description.name, sizeof device->probe.description.name, "a card");
    KIT_OK(tuff_vk_check(device, VK_SUCCESS, "drawing"));
    KIT_FAILS(tuff_vk_check(device, VK_ERROR_INITIALIZATION_FAILED, "compiling a shader"), TUFF_INTERNAL,
              "a card: VK_ERROR_INITIALIZATION_FAILED while compiling a shader");
    tuff_free(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_have_names),
        cmocka_unit_test(errors_say_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    return 77;
}
#endif
