#include "runtime/room.h"

#include "base/os.h"
#include "base/status.h"
#include "runtime/device.h"

tuff_status tuff_room_check(const tuff_device *device, uint64_t bytes, const char *what, const char *remedy)
{
    const tuff_device_info *info = tuff_device_get_info(device);
    if (device->compiles_only) return TUFF_OK;
    if (info->type != TUFF_DEVICE_CPU && info->type != TUFF_DEVICE_SOFTWARE) return TUFF_OK;
    uint64_t room = tuff_available_memory();
    if (info->memory_bytes && (room == 0 || info->memory_bytes < room)) room = info->memory_bytes;
    if (room == 0 || bytes <= room) return TUFF_OK;
    return tuff_fail(TUFF_OUT_OF_MEMORY, "%s needs %.1f MB of memory, about %.1f MB are free; %s less", what,
                     (double)bytes / 1e6, (double)room / 1e6, remedy);
}
