/* A plan made runnable: memory, pipelines, recorded command buffers. */
#ifndef TUFF_BACKEND_VULKAN_PROGRAM_H
#define TUFF_BACKEND_VULKAN_PROGRAM_H

#include "backend/vulkan/vk.h"

enum { TUFF_VK_SLOTS = 3 };

/* A dispatch ready to be recorded, or a part of its grid. */
typedef struct tuff_vk_work {
    const tuff_dispatch *dispatch;
    uint32_t step, base[3], groups[3];
    bool barrier; /* waits for all before it */
    VkPipeline pipeline;
} tuff_vk_work;

/* A range of device memory that a host kernel looks at, and its copy in program->transfer. */
typedef struct tuff_vk_host_range {
    const tuff_vk_memory *memory;
    uint64_t begin, end, at;
    bool written;
} tuff_vk_host_range;

/* A step that runs on the host: its operands are copied there and back. */
typedef struct tuff_vk_host_step {
    tuff_vk_host_range *ranges;
    size_t n_ranges;
    const void **in;
    void **out;
    void *scratch;
} tuff_vk_host_step;

/* Steps in one command buffer, the unit that submits are made of. */
typedef struct tuff_vk_segment {
    VkCommandBuffer commands; /* of a host step: its operands to the host */
    VkCommandBuffer back;     /* of a host step: its results to the device */
    tuff_vk_host_step *host;  /* NULL: dispatches */
    uint32_t first_step, n_steps, first_work, n_work, barriers; /* n_steps: that begin in it */
    uint32_t n_done;    /* steps of the plan that are done at its end */
    uint32_t mark;      /* the timestamp at its end */
    double estimate_ns; /* from the steps' costs, at the device's guessed speed */
    double measured_ns; /* running mean of its timestamps; 0: none yet */
} tuff_vk_segment;

typedef struct tuff_vk_slot {
    VkCommandBuffer begin, end; /* inputs in; outputs and timestamps out */
    uint64_t value;             /* of the timeline, when its run is done */
    bool pending;               /* its timestamps have not been looked at */
} tuff_vk_slot;

typedef struct tuff_vk_program {
    tuff_backend_program base;
    tuff_vk_device *device;
    tuff_arena arena;

    tuff_vk_memory *own_blocks;       /* the plan's arena; NULL: it is somebody else's */
    const tuff_vk_memory **blocks;    /* where it lies */
    const tuff_vk_memory **variables; /* memory of the runtime's buffers */
    tuff_vk_memory tables;            /* data tables: constant */
    tuff_vk_memory step;              /* the running step's inputs */
    tuff_vk_memory slots, results;    /* the rings */
    tuff_vk_memory transfer;          /* host steps' operands */
    uint64_t slot_stride, result_stride;
    uint64_t *data_at; /* by step: its data table in `tables` */

    uint32_t *parts; /* of each dispatch */
    tuff_vk_work *work;
    size_t n_work;
    tuff_vk_segment *segments;
    size_t n_segments;

    VkCommandPool pool;
    VkCommandBuffer *commands; /* all of them */
    VkQueryPool queries;       /* none: the device has no timestamps */
    uint32_t n_marks;
    tuff_step_time *times; /* NULL: not profiling */

    tuff_vk_slot ring[TUFF_VK_SLOTS];
    uint32_t current, last;   /* slots: of the next run, of the last one begun */
    bool acquired;            /* `current` is free for the host */
    uint64_t runs, runs_read; /* begun; whose timestamps were read */

    uint64_t before_last;   /* what the submit before the last one of this run signals; 0: there was none */
    VkCommandBuffer *batch; /* of the submit being put together */
    uint32_t n_batch;
    uint64_t batch_dispatches, batch_barriers;
    uint32_t *order; /* permute: work indices as last recorded */
} tuff_vk_program;

static inline tuff_vk_program *tuff_vk_program_of(tuff_backend_program *program)
{
    return (tuff_vk_program *)program;
}

/* ---- program.c ---- */
TUFF_MUST_USE tuff_status tuff_vk_program_create(tuff_backend_device *device, const tuff_plan *plan,
                                                 tuff_backend_buffer *const *variables,
                                                 tuff_backend_buffer *const *blocks,
                                                 tuff_backend_program **out);
void tuff_vk_program_destroy(tuff_backend_device *device, tuff_backend_program **program);
const tuff_step_time *tuff_vk_program_times(tuff_backend_program *program);

/* ---- resolve.c: from operands to addresses ---- */
/* The memory that a location is in. */
const tuff_vk_memory *tuff_vk_memory_of(const tuff_vk_program *program, const tuff_location *location);
/* Fills `tables`, and work[]. */
TUFF_MUST_USE tuff_status tuff_vk_resolve(tuff_vk_program *program);
/* A dispatch's push constants, with addresses; returns their size. */
uint32_t tuff_vk_push_constants(const tuff_vk_program *program, const tuff_vk_work *work,
                                uint8_t out[TUFF_MAX_ARGS]);

/* ---- segment.c ---- */
/* Cuts long dispatches into parts, the steps into segments, and makes the command buffers. */
TUFF_MUST_USE tuff_status tuff_vk_make_segments(tuff_vk_program *program);
/* The axis of its grid that a dispatch is cut along: never x where the grid may be folded, for kernels count
 * their workgroups by its width. */
uint32_t tuff_vk_split_axis(const tuff_dispatch *dispatch);

/* ---- record.c ---- */
TUFF_MUST_USE tuff_status tuff_vk_record(tuff_vk_program *program);
/* Records the segments again with the dispatches between barriers in a random order. */
TUFF_MUST_USE tuff_status tuff_vk_record_permuted(tuff_vk_program *program);

/* ---- host_step.c ---- */
TUFF_MUST_USE tuff_status tuff_vk_host_step_create(tuff_vk_program *program, const tuff_plan_step *step,
                                                   uint64_t *transfer_bytes, tuff_vk_host_step **out);
/* After `transfer` exists: points in[] and out[] into it. */
void tuff_vk_host_step_bind(const tuff_vk_program *program, const tuff_plan_step *step,
                            tuff_vk_host_step *host);
void tuff_vk_host_step_destroy(tuff_vk_host_step *host);
TUFF_MUST_USE tuff_status tuff_vk_host_step_record(tuff_vk_program *program, const tuff_vk_segment *segment);
/* Between the two submits. */
TUFF_MUST_USE tuff_status tuff_vk_host_step_run(tuff_vk_program *program, const tuff_plan_step *step,
                                                const tuff_vk_host_step *host);

/* ---- run.c ---- */
TUFF_MUST_USE tuff_status tuff_vk_program_slot(tuff_backend_device *device, tuff_backend_program *program,
                                               void **out);
TUFF_MUST_USE tuff_status tuff_vk_program_run(tuff_backend_device *device, tuff_backend_program *program);
TUFF_MUST_USE tuff_status tuff_vk_program_wait(tuff_backend_device *device, tuff_backend_program *program,
                                               const void **out_results);

/* ---- pace.c: what steps take ---- */
/* A first guess from flops and bytes. */
double tuff_vk_estimate_ns(const tuff_vk_device *device, const tuff_plan_step *step);
/* By how much guesses have been off on this device so far. */
double tuff_vk_pace(tuff_vk_device *device);
/* Reads a finished slot's timestamps. Never changes what is computed, only how it is cut into submits. */
void tuff_vk_read_marks(tuff_vk_program *program, tuff_vk_slot *slot);

#endif
