#include "kit/products.h"

#include "backend/cpu/host.h"
#include "backend/cpu/program.h"
#include "runtime/device.h"

uint64_t kit_products(const tuff_device *device)
{
    if (!device->handle->caps.is_host) return 0;
    return tuff_products_made(tuff_host_products(((const tuff_cpu_device *)device->handle)->host));
}
