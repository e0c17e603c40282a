/* A program inside. */
#ifndef TUFF_RUNTIME_PROGRAM_H
#define TUFF_RUNTIME_PROGRAM_H

#include "runtime/device.h"

struct tuff_program {
    tuff_device *device;
    tuff_graph *graph;
    tuff_plan *plan;
    tuff_backend_program *handle; /* NULL until prepared */
    tuff_backend_buffer **variables;
    tuff_backend_buffer **blocks; /* of an arena that programs share; NULL: it makes its own */
    uint8_t *inputs;              /* what the next run will see: plan->input_bytes */
    bool ran;
    uint64_t runs; /* begun and not cancelled */
};

/* As tuff_program_run, as the part of a work (NULL: of none) that is under way: its watch is told of it
 * several times a second, and may end it: then TUFF_CANCELLED. With `whole`, variables are written by a run
 * that is not cancelled, or not at all, and nobody is asked from the first write on; else some may be, those
 * that later steps write not. The program can be run again. Waiting for results is not cancelled: it is
 * short. */
TUFF_MUST_USE tuff_status tuff_program_run_until(tuff_program *program, tuff_watched *work, bool whole);

/* As tuff_program_create, with the planner's options for tests (caps are the device's). */
TUFF_MUST_USE tuff_status tuff_program_create_with(tuff_device *device, tuff_graph **graph,
                                                   const tuff_plan_options *options,
                                                   tuff_program **out_program);

/* As tuff_program_create; the watch, which may be NULL, is told of kernels that are tested for it. */
TUFF_MUST_USE tuff_status tuff_program_create_watched(tuff_device *device, tuff_graph **graph,
                                                      const tuff_watch *watch, tuff_program **out_program);

/* Whether it has an input of this name; setting one that it does not have is no error. */
bool tuff_program_has_input(const tuff_program *program, const char *name);

tuff_program_memory tuff_program_memory_of(const tuff_program *program);

#endif
