/* The contract between the runtime and a backend. A backend interprets plans and knows no op. */
#ifndef TUFF_BACKEND_BACKEND_H
#define TUFF_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/kernels.h>

#include "base/log.h"
#include "base/status.h"
#include "base/watch.h"
#include "ir/mask.h"
#include "ir/plan.h"

typedef enum tuff_device_kind {
    TUFF_KIND_DISCRETE,
    TUFF_KIND_INTEGRATED,
    TUFF_KIND_VIRTUAL,
    TUFF_KIND_CPU,     /* the CPU backend */
    TUFF_KIND_SOFTWARE /* a Vulkan driver that runs on the CPU */
} tuff_device_kind;

/* What a backend says of a device without opening it. */
typedef struct tuff_device_description {
    char name[256]; /* "AMD Radeon RX 7900 XTX", "llvmpipe (LLVM 15.0.6, 256 bits)", "CPU (8 threads, oneDNN)"
                     */
    char driver[256]; /* driver name and version: "lavapipe, Mesa 22.3.6"; "" for the CPU */
    uint8_t uuid[16];
    tuff_device_kind kind;
    uint64_t memory_bytes; /* of its largest device-local heap, or the host's memory */
    bool usable;
    bool compiles;    /* kernels can be compiled for it, though it may not be usable */
    char reason[256]; /* why it is not usable */
    /* Tells this device with this driver from all others, in characters that a file name may have; "" for the
     * CPU. */
    char identity[128];
} tuff_device_description;

/* Objects of a backend. Each backend defines its own structs; the first member is this header. */
typedef struct tuff_backend tuff_backend;
typedef struct tuff_backend_device {
    const tuff_backend *backend;
    tuff_caps caps;
} tuff_backend_device;
typedef struct tuff_backend_buffer {
    const tuff_backend *backend;
    uint64_t bytes;
} tuff_backend_buffer;
typedef struct tuff_backend_program {
    const tuff_backend *backend;
    const tuff_plan *plan;
    /* Of the next run, set before it begins: the work that it is a part of, which is told how far the run is
     * (tuff_watched_within, in steps) before steps up to `last_cancel`, while the host has nothing else to
     * do. Where that says so the run ends with TUFF_CANCELLED: the steps before are done, its outputs are not
     * there. NULL: it goes to its end, and nobody is told. */
    tuff_watched *work;
    size_t last_cancel;
} tuff_backend_program;

typedef struct tuff_open_params {
    bool validate;      /* validation layer and object names, where the backend has them */
    bool must_validate; /* fail where that layer is not installed */
    bool profile;       /* timestamps per step */
    uint64_t submit_ns; /* aim for this much device time per submit; 0: 100 ms */
    uint64_t permute; /* not 0: a seed; every run replays the dispatches between barriers in a random order */
    tuff_mask mask;   /* what to report less of */
    tuff_log_receiver log; /* of messages that concern the device */
    uint32_t threads;      /* of host kernels; 0: as many as there are processors to use */
    bool compile_only;     /* nothing will be run: for `compile`, of devices that need not be usable */
} tuff_open_params;

/* What a dispatch runs; lives as long as the device. */
typedef struct tuff_backend_kernel {
    const void *spirv;
    size_t spirv_bytes;
    uint32_t workgroup[3];
} tuff_backend_kernel;

/* Time spent in one step of a plan, summed over runs. */
typedef struct tuff_step_time {
    uint64_t runs, total_ns;
    uint64_t last_begin_ns, last_end_ns; /* of the last run, on a common clock */
} tuff_step_time;

/* Counters that tests assert on. */
typedef struct tuff_backend_stats {
    uint64_t allocations; /* device memory allocations */
    uint64_t bytes;       /* device memory in use; blocks kept empty for the next program do not count */
    uint64_t recorded;    /* command buffers recorded */
    uint64_t submits;
    uint64_t dispatches; /* submitted */
    uint64_t barriers;   /* submitted */
} tuff_backend_stats;

struct tuff_backend {
    const char *name; /* "cpu", "vulkan", "null" */

    /* Fills up to `capacity` descriptions, returns how many devices exist in *out_count. A missing loader or
     * driver is no failure: 0 devices and a text in reason (256 bytes). Thread-safe. */
    tuff_status (*list)(tuff_device_description *out, size_t capacity, size_t *out_count, char *reason);
    tuff_status (*open)(size_t index, const tuff_open_params *params, tuff_backend_device **out);
    /* Everything made on the device must be gone. */
    void (*close)(tuff_backend_device **device);

    /* Device memory, zeroed. write and read are complete on return and ordered after all runs begun before.
     */
    tuff_status (*buffer_create)(tuff_backend_device *device, uint64_t bytes, const char *name,
                                 tuff_backend_buffer **out);
    /* Does not wait: runs that have begun may still use it. */
    void (*buffer_destroy)(tuff_backend_device *device, tuff_backend_buffer **buffer);
    tuff_status (*buffer_write)(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                const void *data, uint64_t bytes);
    tuff_status (*buffer_read)(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                               void *data, uint64_t bytes);

    /* Instantiates a plan: arena, step ring, kernels. variables[i] serves plan->variables[i] and must outlive
     * the program, as must the plan. blocks[i], at least as large as plan->blocks[i], serves it, and must
     * outlive the program too; programs that share blocks never run at once, and what one left there is
     * nothing to another. NULL: the program makes its own. Everything is recorded here or at the first run;
     * later runs allocate and record nothing, but for the one after a run that took much longer than was
     * expected. */
    tuff_status (*program_create)(tuff_backend_device *device, const tuff_plan *plan,
                                  tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                                  tuff_backend_program **out);
    /* Does not wait for runs that have begun, and needs the plan no more. */
    void (*program_destroy)(tuff_backend_device *device, tuff_backend_program **program);
    /* The step slot of the next run, to be filled by the host (plan->inputs[i].offset). Waits if the ring is
     * full. */
    tuff_status (*program_slot)(tuff_backend_device *device, tuff_backend_program *program, void **out_slot);
    /* Begins a run with the slot's contents; may return before it is done. Runs that one
     * thread begins happen in order; those of several threads may mingle, so none may write what another
     * uses. */
    tuff_status (*program_run)(tuff_backend_device *device, tuff_backend_program *program);
    /* Waits for the last run begun and points to its outputs (plan->outputs[i].offset), valid until the next
     * run. */
    tuff_status (*program_wait)(tuff_backend_device *device, tuff_backend_program *program,
                                const void **out_results);
    /* Per-step times since creation (plan->n_steps entries), with two runs or more without the first, in
     * which drivers and libraries may still compile; NULL when profiling is off. */
    const tuff_step_time *(*program_times)(tuff_backend_program *program);

    /* The key of what a shader's module is made from: equal keys, equal modules. NULL: the backend runs none.
     */
    tuff_status (*shader_key)(const tuff_backend_device *device, tuff_shader shader, char out_key[65]);

    /* NULL: the backend runs no shaders. */
    tuff_status (*kernel)(tuff_backend_device *device, const tuff_dispatch *dispatch,
                          tuff_backend_kernel *out);

    /* Compiles what a dispatch runs, and fills all of *out but its name and what statistics stand for, with
     * memory of the arena. The device was opened with `compile_only`. NULL: the backend compiles nothing. */
    tuff_status (*compile)(tuff_backend_device *device, const tuff_dispatch *dispatch, tuff_arena *arena,
                           tuff_kernel *out);

    /* The name of an opened device where its parameters change it; NULL: as it is listed. */
    void (*name_of)(const tuff_backend_device *device, char out_name[256]);
    void (*stats)(const tuff_backend_device *device, tuff_backend_stats *out);

    /* How many messages the validation layer has sent in this process; `text` receives the last one. NULL:
     * the backend has no such layer. Thread-safe. */
    uint64_t (*validation)(char *text, size_t size);
};

extern const tuff_backend tuff_backend_cpu;
extern const tuff_backend tuff_backend_null; /* runs nothing: plans and their properties are tested on it */
#ifdef TUFF_HAVE_VULKAN
extern const tuff_backend tuff_backend_vulkan;
#endif

#endif
