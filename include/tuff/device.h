/* Devices: GPUs through Vulkan, and the CPU. */
#ifndef TUFF_DEVICE_H
#define TUFF_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/host.h>
#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tuff_device_type {
    TUFF_DEVICE_DISCRETE,   /* a graphics card */
    TUFF_DEVICE_INTEGRATED, /* a GPU that shares the host's memory */
    TUFF_DEVICE_VIRTUAL,    /* a GPU lent to a virtual machine */
    TUFF_DEVICE_CPU,        /* this process's own CPU backend */
    TUFF_DEVICE_SOFTWARE    /* a Vulkan driver that runs on the CPU, such as lavapipe or SwiftShader */
} tuff_device_type;

typedef struct tuff_device_info {
    size_t struct_size; /* set by TUFF_DEVICE_INFO_INIT */
    char name[256];     /* "AMD Radeon RX 7900 XTX (RADV NAVI31)" */
    char driver[256];   /* "radv, Mesa 25.0.1"; "" for the CPU */
    char backend[16];   /* "vulkan" or "cpu" */
    char uuid[33];      /* 32 hexadecimal digits; "" for the CPU */
    tuff_device_type type;
    uint64_t memory_bytes; /* of its largest local heap */
    bool usable;
    char reason[256]; /* why it is not usable; else why it is or is not the default */
    /* Kernels that earlier runs have tested on this device with this driver (each is, before its first use),
     * how many of them gave wrong results and are therefore not used, and their names: "matmul tile, norm
     * rows". */
    uint32_t rows_tested, rows_wrong;
    char wrong_rows[256];
    uint32_t reserved; /* 0 */
} tuff_device_info;
#define TUFF_DEVICE_INFO_INIT                                                                     \
    {                                                                                             \
        sizeof(tuff_device_info), "", "", "", "", TUFF_DEVICE_DISCRETE, 0, false, "", 0, 0, "", 0 \
    }

/* Fills up to `capacity` entries, best first, the default device in front: discrete GPUs, integrated ones,
 * the CPU, software Vulkan, unusable ones. *out_count receives how many there are. `out` may be NULL with
 * capacity 0. The struct_size of the first entry tells how large each is; the others' need not be set.
 * Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_list_devices(tuff_device_info *out, size_t capacity,
                                                     size_t *out_count);

typedef struct tuff_device tuff_device;

/* Zero means default. */
typedef struct tuff_device_params {
    size_t struct_size; /* set by TUFF_DEVICE_PARAMS_INIT */
    /* Which device: an index of tuff_list_devices, a UUID, "cpu", "vulkan" (the best one), a device's name,
     * or a part of a device's or driver's name in any case ("lavapipe"). NULL or "": the environment's
     * TUFF_DEVICE, else the default. */
    const char *name;
    bool validate; /* Vulkan: the validation layer and object names; its messages go to the log as errors */
    bool profile;  /* time every step: tuff_program_profile */
    uint32_t submit_ms; /* aim for this much device time per submit, so that no watchdog strikes; 0: 100 */
    /* How many threads compute on the CPU, the calling one among them, at most 1024: on the CPU device, and
     * on any other for operations that it has no kernel for. 0: as many as the process may use processors, by
     * its affinity and its control group's quota. No result depends on it. The threads belong to the device,
     * take no signals, and sleep soon after the last work. */
    uint32_t threads;
    uint32_t reserved; /* leave it 0 */
    /* Receives the messages, up to log_level, that concern this device: its opening, the validation layer's,
     * and those of programs, generators, trainers and evaluations on it. As the receiver of tuff_set_log, it
     * may be called from any thread, one call at a time, TUFF_LOG overrides its level, and messages that a
     * call from within it gives rise to are dropped. Must stay good until the device is destroyed. NULL: they
     * go where tuff_set_log says, as do all messages that concern no device. */
    tuff_log_fn log;
    tuff_log_level log_level;
    void *log_user;
} tuff_device_params;
#define TUFF_DEVICE_PARAMS_INIT                                                             \
    {                                                                                       \
        sizeof(tuff_device_params), NULL, false, false, 0, 0, 0, NULL, TUFF_LOG_ERROR, NULL \
    }

/* Opens a device. When no name is given and the best one does not work (a failed self-test), the next is
 * opened, at last the CPU (also without a Vulkan loader or a fit device), and the reason is logged once.
 * `params` may be NULL; it need only live until the call returns. A device may be used by many threads at
 * once. It does not survive fork: a child process must neither use nor destroy it; it may open one of its
 * own. */
TUFF_API TUFF_MUST_USE tuff_status tuff_device_open(const tuff_device_params *params,
                                                    tuff_device **out_device);

/* What was made on it may still be used: the device stays open until the last of that is destroyed, and its
 * log may be called until then. The same is true of models and data sets and of what was made with them:
 * destroy in any order. Thread-safe. */
TUFF_API void tuff_device_destroy(tuff_device **device);

/* Owned by the device and valid as long as it. Thread-safe. */
TUFF_API const tuff_device_info *tuff_device_get_info(const tuff_device *device);

/* Counters since the device was opened. */
typedef struct tuff_device_stats {
    size_t struct_size;   /* set by TUFF_DEVICE_STATS_INIT */
    uint64_t allocations; /* device memory allocations */
    uint64_t bytes;       /* device memory in use; blocks kept empty for the next program do not count */
    uint64_t recorded;    /* command buffers recorded */
    uint64_t submits, dispatches, barriers;
} tuff_device_stats;
#define TUFF_DEVICE_STATS_INIT                      \
    {                                               \
        sizeof(tuff_device_stats), 0, 0, 0, 0, 0, 0 \
    }
/* Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_device_get_stats(const tuff_device *device,
                                                         tuff_device_stats *out_stats);

#ifdef __cplusplus
}
#endif
#endif
