/* Results of Vulkan's functions in words. */
#include <stdio.h>

#include "backend/vulkan/vk.h"

const char *tuff_vk_result_name(VkResult result, char text[32])
{
    static const struct {
        VkResult result;
        const char *name;
    } names[] = {
#define RESULT(name) {name, #name},
#include "backend/vulkan/results.def"
#undef RESULT
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].result == result) return names[i].name;
    snprintf(text, 32, "VkResult %d", (int)result);
    return text;
}
