/* A library that keeps memory for its whole life, as drivers do, and one that closes another, as the Vulkan
 * loader does: the same source, built twice. See tests/unit/leak_check_test.c. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT void kit_leak(void);
EXPORT int kit_close(void *library);

void kit_leak(void)
{
    void *volatile lost = malloc(128);
    if (lost) memset(lost, 1, 128);
    lost = NULL;
}

int kit_close(void *library)
{
    return dlclose(library);
}
