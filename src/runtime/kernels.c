/* The public front of what was compiled: all kernels of a device, in an order. */
#include <stdlib.h>
#include <string.h>

#include <tuff/kernels.h>

#include "base/structs.h"
#include "runtime/compile.h"
#include "runtime/device.h"

static int by_shader(const void *a, const void *b)
{
    const tuff_kernel *x = *(const tuff_kernel *const *)a, *y = *(const tuff_kernel *const *)b;
    const int order = strcmp(x->shader, y->shader);
    if (order != 0) return order;
    for (size_t i = 0; i < x->n_constants && i < y->n_constants; i++)
        if (x->constants[i] != y->constants[i]) return x->constants[i] < y->constants[i] ? -1 : 1;
    return (x->n_constants > y->n_constants) - (x->n_constants < y->n_constants);
}

tuff_status tuff_device_kernels(tuff_device *device, void (*on_kernel)(const tuff_kernel *kernel, void *user),
                                void *user)
{
    TUFF_NEED(device);
    TUFF_NEED(on_kernel);
    if (!device->compiles_only) return TUFF_OK;
    const size_t n = tuff_compile_count(device->handle);
    const tuff_kernel **sorted = tuff_alloc_array(n, sizeof *sorted);
    if (!sorted) return tuff_fail_memory("a list of kernels");
    for (size_t i = 0; i < n; i++)
        sorted[i] = tuff_compile_at(device->handle, i);
    qsort(sorted, n, sizeof *sorted, by_shader);
    for (size_t i = 0; i < n; i++)
        on_kernel(sorted[i], user);
    tuff_free(sorted);
    return TUFF_OK;
}
