/* Groups of tests on the CPU: the device that all of them share. */
#ifndef TUFF_TESTS_CPU_FIXTURE_H
#define TUFF_TESTS_CPU_FIXTURE_H

#include "kit/kit.h"

static tuff_device *device;

static inline int open_device(void **state)
{
    (void)state;
    device = kit_cpu();
    return 0;
}

static inline int close_device(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

#endif
