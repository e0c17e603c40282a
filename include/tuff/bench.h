/* How fast a device is: its memory, its arithmetic, and the kernels of models as shares of these.
 *
 * Each figure is the median of several rounds; what devices run is planned as models' graphs are, so a figure
 * holds what a user of the device gets, submits and waiting included. */
#ifndef TUFF_BENCH_H
#define TUFF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What bounds a piece of work. */
typedef enum tuff_bench_bound {
    TUFF_BENCH_COPY, /* reading and writing memory, as a copy of it does */
    TUFF_BENCH_READ, /* reading memory, as a sum does */
    TUFF_BENCH_F32   /* multiply and add in f32 */
} tuff_bench_bound;

/* The most that the device was seen to do, each measured by a kernel that does nothing else. */
typedef struct tuff_bench_peak {
    size_t struct_size; /* set by TUFF_BENCH_PEAK_INIT */
    double copy_gbps;   /* 10^9 bytes in a second, read and written ones both counted */
    double read_gbps;
    double f32_gflops; /* 10^9 operations in a second; a multiply and add is two */
} tuff_bench_peak;
#define TUFF_BENCH_PEAK_INIT             \
    {                                    \
        sizeof(tuff_bench_peak), 0, 0, 0 \
    }

/* One measurement. Owned by the library, valid during the callback; later versions may add fields. */
typedef struct tuff_bench_row {
    const char *name; /* "gemm_f32_1024"; stays the same from version to version while the work does */
    const char *what; /* a few words for people */
    const char *unit; /* "GFLOP/s" or "GB/s" */
    double rate;      /* in that unit */
    tuff_bench_bound bound;
    double share;    /* rate over the peak of `bound` */
    double seconds;  /* of one run: the median */
    double spread;   /* from the first to the third quartile, over the median */
    uint64_t rounds; /* that the median is of */
    bool is_peak;    /* its rate is the peak of `bound` */
} tuff_bench_row;

typedef struct tuff_bench_params {
    size_t struct_size; /* set by TUFF_BENCH_PARAMS_INIT */
    double seconds;     /* that each measurement takes at least, up to 60; 0: 0.3 */
    const char
        *only; /* only rows whose names hold this text; the peaks are measured at any rate. NULL: all */
    const tuff_watch *watch; /* TUFF_PHASE_MEASURE, in rows; may be NULL */
    /* Called after each measurement, from the thread that measures; may be NULL. */
    void (*on_row)(const tuff_bench_row *row, void *user);
    void *user;
} tuff_bench_params;
#define TUFF_BENCH_PARAMS_INIT                               \
    {                                                        \
        sizeof(tuff_bench_params), 0, NULL, NULL, NULL, NULL \
    }

/* Measures the device. What does not fit in its memory is made smaller, and left out where that would be
 * another row. `params` may be NULL. Errors: TUFF_INVALID_ARGUMENT when no row has `only` in its name,
 * TUFF_CANCELLED, TUFF_DEVICE_LOST, TUFF_OUT_OF_MEMORY. Other work on the device or the machine makes figures
 * lower. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_bench_run(tuff_device *device, const tuff_bench_params *params,
                                                  tuff_bench_peak *out_peak);

/* The median of `count` times, which it sorts; *out_spread (may be NULL): from their first to their third
 * quartile, over the median. As the rows above have them. Without a time both are 0. */
TUFF_API double tuff_bench_median(double *seconds, size_t count, double *out_spread);

/* The name of row `index` of those that tuff_bench_run may give, from 0; NULL past the last one. */
TUFF_API const char *tuff_bench_name(size_t index);

#ifdef __cplusplus
}
#endif
#endif
