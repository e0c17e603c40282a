/* libFuzzer entry: the words of a SPIR-V module, from the cache folder or a compiler. See README.md. */
#include <string.h>

#include "backend/vulkan/spirv_reflect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 1 << 14 };
    static uint32_t words[MOST]; /* aligned, as they are in the library */
    static tuff_spirv_info info;
    const size_t n = size / 4 < MOST ? size / 4 : MOST;
    memcpy(words, data, n * 4);
    if (tuff_spirv_reflect(words, n, &info) != TUFF_OK) return 0;
    uint32_t needs, unknown;
    (void)tuff_spirv_needs(&info, &needs, &unknown);
    tuff_dispatch dispatch = {0};
    uint64_t bytes;
    for (int axis = 0; axis < 3; axis++)
        (void)tuff_spirv_local_size(&info, &dispatch, axis);
    tuff_status status = tuff_spirv_shared_bytes(words, n, &dispatch, &bytes);
    (void)status;
    return 0;
}
