/* A plan made runnable: memory, pipelines, recorded command buffers. */
#ifndef TUFF_BACKEND_VULKAN_PROGRAM_H
#define TUFF_BACKEND_VULKAN_PROGRAM_H

#include "backend/vulkan/vk.h"

enum { TUFF_VK_SLOTS = 3 };

/* A dispatch of the plan: what is known of it before it is cut, and what it takes. */
typedef struct tuff_vk_task {
    const tuff_dispatch *dispatch;
    VkPipeline pipeline;
    uint32_t kernel; /* of the device: its speed (tuff_vk_speed_of) */
    uint32_t step;
    bool barrier;       /* waits for all before it */
    bool listed;        /* how much it does depends on a run's work lists: it may take longer than measured */
    double guess_ns;    /* from the step's cost, at the guessed speed of a device of its kind */
    double expected_ns; /* from the device's pace, then from its own time */
    double learned_ns;  /* while tuff_vk_learn_tasks goes over the segments */
} tuff_vk_task;

/* A task ready to be recorded, or a part of its grid. */
typedef struct tuff_vk_work {
    const tuff_dispatch *dispatch;
    uint32_t task, step, base[3], groups[3];
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
    uint32_t n_done;              /* steps of the plan that are done at its end */
    uint32_t mark;                /* the timestamp at its end */
    double guess_ns, expected_ns; /* of its tasks, in their parts */
    double measured_ns;           /* running mean of its times; 0: none yet, so that it is submitted alone */
    bool tried;                   /* a run went through it piece by piece (trial.c) */
} tuff_vk_segment;

/* How the tasks are cut: into parts, the steps into segments, and the commands of all that. */
typedef struct tuff_vk_cut {
    tuff_arena arena;
    uint32_t *parts; /* of each task */
    tuff_vk_work *work;
    size_t n_work;
    tuff_vk_segment *segments;
    size_t n_segments;

    VkCommandPool pool;
    VkCommandBuffer *commands;            /* all of them */
    VkCommandBuffer begin[TUFF_VK_SLOTS]; /* inputs in */
    VkCommandBuffer end[TUFF_VK_SLOTS];   /* outputs and timestamps out */
    VkQueryPool queries;                  /* none: the device has no timestamps */
    uint32_t n_marks;
    tuff_vk_memory results; /* a ring: outputs, then timestamps */
    uint64_t result_stride;

    VkCommandBuffer *batch; /* of the submit being put together */
    uint32_t n_batch;
    uint32_t *order; /* permute: work indices as last recorded */
} tuff_vk_cut;

typedef struct tuff_vk_slot {
    uint64_t value; /* of the timeline, when its run is done */
    bool pending;   /* its timestamps have not been looked at */
    bool tried;     /* its run went through segments piece by piece: their timestamps say nothing */
    double tried_ns, tried_guess_ns; /* of those pieces, as far as they count */
} tuff_vk_slot;

typedef struct tuff_vk_program {
    tuff_backend_program base;
    tuff_vk_retired retired;
    tuff_vk_device *device;
    tuff_arena arena;

    tuff_vk_memory *own_blocks; /* the plan's arena; NULL: it is somebody else's */
    size_t n_own_blocks;
    const tuff_vk_memory **blocks;    /* where it lies */
    const tuff_vk_memory **variables; /* memory of the runtime's buffers */
    tuff_vk_memory tables;            /* data tables: constant */
    tuff_vk_memory step;              /* the running step's inputs */
    tuff_vk_memory slots;             /* a ring */
    tuff_vk_memory transfer;          /* host steps' operands */
    uint64_t slot_stride;
    uint64_t *data_at; /* by step: its data table in `tables` */

    tuff_vk_task *tasks; /* in the plan's order */
    size_t n_tasks;
    tuff_vk_host_step **hosts; /* by step */
    size_t n_hosts;
    tuff_vk_cut cut;
    uint32_t recuts; /* how often it was cut anew */
    bool too_long;   /* some segment takes much more than a submit should: the next run cuts first */

    tuff_step_time *times; /* NULL: not profiling */
    tuff_vk_slot ring[TUFF_VK_SLOTS];
    uint32_t current, last;   /* slots: of the next run, of the last one begun */
    bool acquired;            /* `current` is free for the host */
    uint64_t runs, runs_read; /* begun; whose timestamps were read */

    uint64_t before_last; /* what the submit before the last one of this run signals; 0: there was none */
    uint64_t batch_dispatches, batch_barriers;
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
/* Fills `tables`. */
TUFF_MUST_USE tuff_status tuff_vk_resolve(tuff_vk_program *program);
/* A dispatch's push constants, with addresses; returns their size. */
uint32_t tuff_vk_push_constants(const tuff_vk_program *program, const tuff_vk_work *work,
                                uint8_t out[TUFF_MAX_ARGS]);

/* ---- task.c ---- */
/* The plan's dispatches, with their pipelines, and its host steps. */
TUFF_MUST_USE tuff_status tuff_vk_make_tasks(tuff_vk_program *program);

/* ---- segment.c ---- */
/* Cuts long tasks into parts, the steps into segments, and records them. A program that fails to be cut anew
 * stays as it was. */
TUFF_MUST_USE tuff_status tuff_vk_cut_program(tuff_vk_program *program);
void tuff_vk_cut_destroy(tuff_vk_device *device, tuff_vk_cut *cut);
/* The axis of its grid that a dispatch is cut along: never x where the grid may be folded, for kernels count
 * their workgroups by its width. */
uint32_t tuff_vk_split_axis(const tuff_dispatch *dispatch);
/* Part `from` to `to` of the grid along that axis. */
tuff_vk_work tuff_vk_part(const tuff_vk_task *task, uint32_t index, uint64_t from, uint64_t to);
/* True when a segment takes much more than a submit should, and can be cut finer. */
bool tuff_vk_is_too_long(const tuff_vk_program *program, const tuff_vk_segment *segment);
/* What was measured becomes what is expected of the tasks. */
void tuff_vk_learn_tasks(tuff_vk_program *program);

/* ---- record.c ---- */
TUFF_MUST_USE tuff_status tuff_vk_record(tuff_vk_program *program);
/* Records the segments again with the dispatches between barriers in a random order. */
TUFF_MUST_USE tuff_status tuff_vk_record_permuted(tuff_vk_program *program);
/* For a command buffer that is being recorded: one dispatch; the timestamp `mark` of the program. */
void tuff_vk_record_work(const tuff_vk_program *program, VkCommandBuffer commands, const tuff_vk_work *work,
                         VkPipeline *bound);
void tuff_vk_record_mark(const tuff_vk_program *program, VkCommandBuffer commands, uint32_t mark);

/* ---- trial.c: what was never measured on this device ---- */
/* What a run needs to go through segments piece by piece. {0}: not made yet. */
typedef struct tuff_vk_trial {
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkQueryPool queries;
} tuff_vk_trial;
/* True when the segment is to be tried: some kernel of it was not measured, or only on much less. */
bool tuff_vk_must_try(tuff_vk_program *program, const tuff_vk_segment *segment);
/* Runs a segment, its tasks one after the other: small parts of what is not known, larger ones as their times
 * show what can be had. All before it must have been submitted. */
TUFF_MUST_USE tuff_status tuff_vk_try_segment(tuff_vk_program *program, tuff_vk_segment *segment,
                                              tuff_vk_slot *slot, tuff_vk_trial *trial);
void tuff_vk_trial_destroy(tuff_vk_device *device, tuff_vk_trial *trial);

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

/* Before each submit of a run that is told of and may be cancelled: it stays at most two submits ahead of the
 * device, so that what was submitted ends soon. `begun`: no step from here on was submitted. */
TUFF_MUST_USE tuff_status tuff_vk_go_on(tuff_vk_program *program, const tuff_vk_slot *slot, size_t begun);

/* ---- pace.c: what steps take ---- */

/* A first guess from flops and bytes. */
double tuff_vk_estimate_ns(const tuff_vk_device *device, const tuff_plan_step *step);
/* By how much guesses have been off on this device so far. */
double tuff_vk_pace(tuff_vk_device *device);
/* Measured is to guessed as the pace is to 1. */
void tuff_vk_correct_pace(tuff_vk_device *device, double measured_ns, double guess_ns);
/* Reads a finished slot's timestamps. Never changes what is computed, only how it is cut into submits. */
void tuff_vk_read_marks(tuff_vk_program *program, tuff_vk_slot *slot);
/* Nanoseconds from one timestamp to another; the counter may wrap. */
double tuff_vk_ticks_ns(const tuff_vk_device *device, uint64_t from, uint64_t to);

#endif
