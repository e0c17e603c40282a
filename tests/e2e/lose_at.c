/* For lose.sh, as libvulkan.so.1 before the real one, whose path is TUFF_LOSE_LOADER: the device is lost at
 * the n-th piece of work that the process submits, and from then on until another one is opened. n is
 * TUFF_LOSE_AT; with TUFF_LOSE_EVERY it is lost again after as many more, again and again. Submits count from
 * the first one on, or once there is a file TUFF_LOSE_SINCE: into the file TUFF_LOSE_COUNT, a byte each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEVICE_LOST = -4 };

typedef void (*function)(void);
typedef function (*lookup)(void *of, const char *name);

static lookup next_instance, next_device;
static int (*next_submit)(void *queue, uint32_t n, const void *submits, void *fence);
static int (*next_create)(void *physical, const void *info, const void *allocator, void **device);
static int lost, counted_in = -1;

function vkGetInstanceProcAddr(void *instance, const char *name);

__attribute__((constructor)) static void begin(void)
{
    const char *loader = getenv("TUFF_LOSE_LOADER"), *count = getenv("TUFF_LOSE_COUNT");
    void *real = loader ? dlopen(loader, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!real) abort();
    *(void **)&next_instance = dlsym(real, "vkGetInstanceProcAddr");
    if (count) counted_in = open(count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

static int submit(void *queue, uint32_t n, const void *submits, void *fence)
{
    static int calls;
    const char *at = getenv("TUFF_LOSE_AT"), *every = getenv("TUFF_LOSE_EVERY"),
               *since = getenv("TUFF_LOSE_SINCE");
    const int first = at ? atoi(at) : 0, more = every ? atoi(every) : 0;
    if (lost) return DEVICE_LOST;
    if (since && access(since, F_OK) != 0) return next_submit(queue, n, submits, fence);
    calls++;
    if (counted_in >= 0 && write(counted_in, ".", 1) != 1) abort();
    lost = first && (calls == first || (more && calls > first && (calls - first) % more == 0));
    return lost ? DEVICE_LOST : next_submit(queue, n, submits, fence);
}

static int create(void *physical, const void *info, const void *allocator, void **device)
{
    lost = 0;
    return next_create(physical, info, allocator, device);
}

static function of_device(void *device, const char *name)
{
    const function next = next_device(device, name);
    if (!next || strcmp(name, "vkQueueSubmit") != 0) return next;
    *(function *)&next_submit = next;
    return (function)submit;
}

function vkGetInstanceProcAddr(void *instance, const char *name)
{
    const function next = next_instance(instance, name);
    if (!next) return next;
    if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (function)vkGetInstanceProcAddr;
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        *(function *)&next_device = next;
        return (function)of_device;
    }
    if (strcmp(name, "vkCreateDevice") == 0) {
        *(function *)&next_create = next;
        return (function)create;
    }
    return next;
}
