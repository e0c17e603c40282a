/* A CPU device whose n-th buffer or program cannot be had, or whose n-th run fails. */
#ifndef TUFF_TESTS_FAILING_DEVICE_H
#define TUFF_TESTS_FAILING_DEVICE_H

#include "kit/kit.h"
#include "runtime/device.h"

static int failing_buffers, failing_programs, failing_runs; /* calls until one fails; 0: never */

static tuff_status failing_buffer_create(tuff_backend_device *device, uint64_t bytes, const char *name,
                                         tuff_backend_buffer **out)
{
    *out = NULL;
    if (failing_buffers && --failing_buffers == 0)
        return tuff_fail(TUFF_OUT_OF_MEMORY, "the device has no memory for %s", name);
    return tuff_backend_cpu.buffer_create(device, bytes, name, out);
}

static tuff_status failing_program_create(tuff_backend_device *device, const tuff_plan *plan,
                                          tuff_backend_buffer *const *variables,
                                          tuff_backend_buffer *const *blocks, tuff_backend_program **out)
{
    *out = NULL;
    if (failing_programs && --failing_programs == 0)
        return tuff_fail(TUFF_OUT_OF_MEMORY, "the device has no memory for an arena");
    return tuff_backend_cpu.program_create(device, plan, variables, blocks, out);
}

static tuff_status failing_program_run(tuff_backend_device *device, tuff_backend_program *program)
{
    if (failing_runs && --failing_runs == 0) return tuff_fail(TUFF_DEVICE_LOST, "the device is lost");
    return tuff_backend_cpu.program_run(device, program);
}

/* Closed by failing_device_close. */
static inline tuff_device failing_device_open(void)
{
    static tuff_backend backend;
    backend = tuff_backend_cpu;
    backend.buffer_create = failing_buffer_create;
    backend.program_create = failing_program_create;
    backend.program_run = failing_program_run;
    tuff_device device = {.backend = &backend};
    failing_buffers = failing_programs = failing_runs = 0;
    KIT_OK(backend.open(0, &(tuff_open_params){0}, &device.handle));
    return device;
}

/* Everything made on it must be gone. */
static inline void failing_device_close(tuff_device *device)
{
    assert_int_equal(device->live_buffers, 0);
    assert_int_equal(device->live_programs, 0);
    assert_int_equal(kit_device_stats(device).bytes, 0);
    device->backend->close(&device->handle);
}

#endif
