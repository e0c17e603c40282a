/* The Vulkan loader's entry points: volk, compiled here once. */
#define VK_NO_PROTOTYPES
#define VOLK_IMPLEMENTATION
#include <volk.h>
