/* Programs: a graph compiled for a device, its buffers, and running it.
 *
 *     tuff_graph *g;  ... build ...
 *     tuff_program_create(device, &g, &program);     plan: shapes, kernels, memory; nothing allocated yet
 *     tuff_program_bind(program, "weight", buffer);  every variable
 *     tuff_program_input(program, "ids", ids, bytes);
 *     tuff_program_run(program);                     may return before the device is done
 *     tuff_program_output(program, "loss", &loss, 4);
 *
 * Thread-safety: a program and a buffer belong to one thread at a time; the device may be shared. */
#ifndef TUFF_PROGRAM_H
#define TUFF_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/dtype.h>
#include <tuff/graph.h>
#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Device memory for one tensor, zeroed at first. The name, for error texts, is copied and may be NULL.
 * Errors: TUFF_INVALID_ARGUMENT for an empty or impossible shape, of a block type for rows that are no whole
 * blocks; TUFF_OUT_OF_MEMORY. */
typedef struct tuff_buffer tuff_buffer;
TUFF_API TUFF_MUST_USE tuff_status tuff_buffer_create(tuff_device *device, const char *name, tuff_dtype dtype,
                                                      int rank, const int64_t *dims,
                                                      tuff_buffer **out_buffer);
TUFF_API void tuff_buffer_destroy(tuff_buffer **buffer);
/* Copies elements first..first+count, in the buffer's dtype (of a block type whole blocks, tuff_dtype_bytes
 * of them). Complete on return; ordered after runs begun before. */
TUFF_API TUFF_MUST_USE tuff_status tuff_buffer_write(tuff_buffer *buffer, int64_t first, const void *data,
                                                     int64_t count);
TUFF_API TUFF_MUST_USE tuff_status tuff_buffer_read(tuff_buffer *buffer, int64_t first, void *data,
                                                    int64_t count);
TUFF_API tuff_dtype tuff_buffer_dtype(const tuff_buffer *buffer);
TUFF_API int64_t tuff_buffer_count(const tuff_buffer *buffer); /* elements */

typedef struct tuff_program tuff_program;

/* Plans *graph for the device. The program owns the graph from here on, also on failure: *graph becomes NULL.
 * Kernels that nobody has tested with this driver yet are tested on small cases first, which takes a moment
 * once; a wrong one is not used, and the log says so. Errors: TUFF_OUT_OF_MEMORY, TUFF_UNSUPPORTED, what the
 * graph is in error of, TUFF_DEVICE_LOST. */
TUFF_API TUFF_MUST_USE tuff_status tuff_program_create(tuff_device *device, tuff_graph **graph,
                                                       tuff_program **out_program);
TUFF_API void tuff_program_destroy(tuff_program **program);

/* Gives a variable its memory: same dtype and number of elements, on the same device; possible until the
 * program is prepared. The buffer must outlive the program, and be no other variable's where the program
 * writes either (TUFF_INVALID_ARGUMENT when it is prepared). A name that the program does not use is accepted
 * and ignored. */
TUFF_API TUFF_MUST_USE tuff_status tuff_program_bind(tuff_program *program, const char *variable,
                                                     tuff_buffer *buffer);

/* Allocates and records; done by the first run otherwise. Every variable must be bound. */
TUFF_API TUFF_MUST_USE tuff_status tuff_program_prepare(tuff_program *program);

/* Sets an input for the runs that follow, zeros until then; `bytes` must be its whole size. The data is
 * copied. A name that the program does not use is accepted and ignored. */
TUFF_API TUFF_MUST_USE tuff_status tuff_program_input(tuff_program *program, const char *name,
                                                      const void *data, size_t bytes);
/* Begins a run with the inputs as they are now. Errors: what tuff_program_prepare gives, TUFF_DEVICE_LOST. */
TUFF_API TUFF_MUST_USE tuff_status tuff_program_run(tuff_program *program);
/* Waits for the last run and copies an output; `bytes` must be its whole size. */
TUFF_API TUFF_MUST_USE tuff_status tuff_program_output(tuff_program *program, const char *name, void *out,
                                                       size_t bytes);

/* What a program needs on the device, known before anything runs. */
typedef struct tuff_program_memory {
    size_t struct_size;   /* set by TUFF_PROGRAM_MEMORY_INIT */
    uint64_t variables;   /* bytes of all variables */
    uint64_t arena;       /* results and scratch */
    uint64_t arena_bound; /* the most bytes of results alive at any one step: no arena can be smaller */
    uint64_t staging;     /* step slots and readback */
} tuff_program_memory;
#define TUFF_PROGRAM_MEMORY_INIT                \
    {                                           \
        sizeof(tuff_program_memory), 0, 0, 0, 0 \
    }
TUFF_API TUFF_MUST_USE tuff_status tuff_program_get_memory(const tuff_program *program,
                                                           tuff_program_memory *out_memory);

/* Floating-point operations of one run, by the operations' formulas. */
TUFF_API double tuff_program_flops(const tuff_program *program);

/* The plan as text, one line per step, into memory that the caller frees with tuff_free; NULL: out of
 * memory. */
TUFF_API char *tuff_program_text(const tuff_program *program);
/* Time by operation as a table, summed over all runs but the first, in which kernels may be compiled (a
 * program that ran once: of that run; the table says so); NULL when the device was opened without `profile`.
 * Freed with tuff_free.
 */
TUFF_API char *tuff_program_profile_text(tuff_program *program);
/* The last run as a Chrome trace (JSON, chrome://tracing). Freed with tuff_free. */
TUFF_API char *tuff_program_profile_trace(tuff_program *program);

#ifdef __cplusplus
}
#endif
#endif
