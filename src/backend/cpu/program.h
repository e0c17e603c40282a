/* The CPU backend inside: its device, memory and programs. */
#ifndef TUFF_BACKEND_CPU_PROGRAM_H
#define TUFF_BACKEND_CPU_PROGRAM_H

#include "backend/backend.h"
#include "backend/host.h"

typedef struct tuff_cpu_device {
    tuff_backend_device base;
    tuff_backend_stats stats;
    tuff_host *host;
    uint64_t budget; /* not 0: of all memory; a mask's */
    bool profile;
} tuff_cpu_device;

/* Counted memory, aligned to 64, not zeroed. `what` goes into the error text. */
tuff_status tuff_cpu_memory(tuff_cpu_device *device, uint64_t bytes, const char *what, void **out);
void tuff_cpu_memory_free(tuff_cpu_device *device, uint64_t bytes, void **memory);
void *tuff_cpu_buffer_memory(tuff_backend_buffer *buffer);

tuff_status tuff_cpu_program_create(tuff_backend_device *device, const tuff_plan *plan,
                                    tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                                    tuff_backend_program **out);
void tuff_cpu_program_destroy(tuff_backend_device *device, tuff_backend_program **program);
tuff_status tuff_cpu_program_slot(tuff_backend_device *device, tuff_backend_program *program,
                                  void **out_slot);
tuff_status tuff_cpu_program_run(tuff_backend_device *device, tuff_backend_program *program);
tuff_status tuff_cpu_program_wait(tuff_backend_device *device, tuff_backend_program *program,
                                  const void **out_results);
const tuff_step_time *tuff_cpu_program_times(tuff_backend_program *program);

#endif
