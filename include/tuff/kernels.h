/* Kernels: what a device's compiler makes of them. Registers, spills, scratch and shared memory, occupancy,
 * size of code, as far as the driver tells.
 *
 *     tuff_device *device;
 *     tuff_device_open_to_compile(NULL, &device);     // plans and compiles, and runs nothing
 *     ...                                             // a trainer's step, a prompt: on this device
 *     tuff_device_kernels(device, on_kernel, user);   // the kernels that these would have run
 *
 * Vulkan drivers tell by VK_KHR_pipeline_executable_properties, which not all of them have. */
#ifndef TUFF_KERNELS_H
#define TUFF_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens a device for compiling: what is done on it is planned, and its kernels are compiled, but nothing is
 * run, no memory of the device is taken, and weights are not read. Whatever comes back is zeros: losses,
 * logits, texts. So models that the device has no room for can be asked about, and drivers that stand for
 * hardware that is not there, where they are named. Its kernels are not tested; what earlier tests found
 * wrong on this device is left out, as it is when things run. A driver may not use its caches there.
 * Otherwise as tuff_device_open. */
TUFF_API TUFF_MUST_USE tuff_status tuff_device_open_to_compile(const tuff_device_params *params,
                                                               tuff_device **out_device);

/* What a statistic counts, where Tuff knows the driver's name for it. */
typedef enum tuff_kernel_figure {
    TUFF_KERNEL_OTHER,
    TUFF_KERNEL_REGISTERS,        /* registers; of AMD's cards the vector ones */
    TUFF_KERNEL_SCALAR_REGISTERS, /* AMD's scalar ones */
    TUFF_KERNEL_SPILLS,    /* registers that did not fit, or, by the driver, stores for want of registers */
    TUFF_KERNEL_SCRATCH,   /* bytes of private memory: of an invocation or a subgroup, by the driver */
    TUFF_KERNEL_SHARED,    /* bytes of a workgroup's shared memory */
    TUFF_KERNEL_OCCUPANCY, /* how many subgroups, or threads, by the driver, a core or a part of it holds at
                              once */
    TUFF_KERNEL_CODE,      /* bytes of machine code */
    TUFF_KERNEL_INSTRUCTIONS
} tuff_kernel_figure;

typedef enum tuff_kernel_format {
    TUFF_KERNEL_BOOL,
    TUFF_KERNEL_INT64,
    TUFF_KERNEL_UINT64,
    TUFF_KERNEL_FLOAT64
} tuff_kernel_format;

/* One thing that the driver tells. All that is said of kernels is the device's, and stays until more is done
 * on it; later versions may add fields. */
typedef struct tuff_kernel_statistic {
    const char *name, *description; /* the driver's own words */
    tuff_kernel_format format;
    union {
        bool boolean;
        int64_t int64;
        uint64_t uint64;
        double float64;
    } value;
    tuff_kernel_figure figure;
    double amount; /* the value in the figure's unit; 0 of a truth value */
} tuff_kernel_statistic;

/* A driver may make several programs of one kernel, for subgroups of different sizes, say. */
typedef struct tuff_kernel_executable {
    const char *name, *description;
    uint32_t subgroup_size; /* 0: the driver does not say */
    const tuff_kernel_statistic *statistics;
    size_t n_statistics;
} tuff_kernel_executable;

/* A compiled kernel: a shader with its specialization constants. */
typedef struct tuff_kernel {
    const char *name;   /* operation and kernel, "matmul tile"; of what else runs it, too, behind commas */
    const char *shader; /* "matmul_tile" */
    const uint32_t *constants;
    size_t n_constants;
    uint32_t workgroup[3];
    uint32_t subgroup_size; /* the device's */
    uint32_t shared_bytes;  /* of shared memory, by what the shader declares */
    uint64_t spirv_bytes;
    const tuff_kernel_executable *executables;
    size_t n_executables;
    const char *silence; /* a sentence that says why there are no statistics; NULL: there are */
} tuff_kernel;

/* Tells all kernels that were compiled on a device that was opened to compile, by shader and constants. Other
 * devices, and the CPU, have none. */
TUFF_API TUFF_MUST_USE tuff_status tuff_device_kernels(
    tuff_device *device, void (*on_kernel)(const tuff_kernel *kernel, void *user), void *user);

/* A figure of a kernel: the sum of an executable's statistics of it, and of several executables what costs
 * most. False: the driver does not tell it. */
TUFF_API bool tuff_kernel_get_figure(const tuff_kernel *kernel, tuff_kernel_figure figure,
                                     double *out_amount);

#ifdef __cplusplus
}
#endif
#endif
