/* What is destroyed while the device may still use it. Nobody waits: it goes once the timeline has come to
 * the value of what was submitted last. */
#include "backend/vulkan/vk.h"
#include "base/status.h"

static bool is_reached(tuff_vk_device *device, uint64_t value)
{
    uint64_t now = 0;
    if (value == 0 || atomic_load(&device->lost)) return true; /* a lost one uses nothing */
    VkResult result = device->vk.vkGetSemaphoreCounterValue(device->handle, device->timeline, &now);
    return result == VK_SUCCESS && now >= value;
}

void tuff_vk_retire(tuff_vk_device *device, tuff_vk_retired *retired, uint64_t value,
                    void (*destroy)(tuff_vk_device *device, tuff_vk_retired *retired))
{
    if (is_reached(device, value)) {
        destroy(device, retired);
    } else {
        *retired = (tuff_vk_retired){.value = value, .destroy = destroy};
        tuff_mutex_lock(device->queue_lock);
        retired->next = device->retired;
        device->retired = retired;
        tuff_mutex_unlock(device->queue_lock);
    }
    tuff_vk_sweep(device, false);
}

void tuff_vk_sweep(tuff_vk_device *device, bool all)
{
    tuff_vk_retired *done = NULL;
    tuff_mutex_lock(device->queue_lock);
    for (tuff_vk_retired **link = &device->retired; *link;) {
        tuff_vk_retired *x = *link;
        if (!all && !is_reached(device, x->value)) {
            link = &x->next;
            continue;
        }
        *link = x->next;
        x->next = done;
        done = x;
    }
    tuff_mutex_unlock(device->queue_lock);
    while (done) { /* which takes other locks */
        tuff_vk_retired *x = done;
        done = x->next;
        x->destroy(device, x);
    }
}

bool tuff_vk_reclaim(tuff_vk_device *device)
{
    tuff_mutex_lock(device->queue_lock);
    bool any = device->retired;
    tuff_mutex_unlock(device->queue_lock);
    if (!any || atomic_load(&device->lost) || tuff_vk_wait_idle(device) != TUFF_OK) return false;
    tuff_vk_sweep(device, false);
    return true;
}
