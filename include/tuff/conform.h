/* The conformance suite: every operation, forward and backward, on a device, against a truth in double.
 *
 * Each operation has a table of cases. A case is a small graph with data made from a seed. Its truth comes
 * from plain loops in double, its gradients are also held against finite differences; on the device it runs
 * three times, in memory that is full of NaN and guarded on both sides of every tensor. Errors are reported
 * in units of the case's bound c * eps * sqrt(K) * scale, so that 1 is the limit and 0.2 comfortable. */
#ifndef TUFF_CONFORM_H
#define TUFF_CONFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tuff_conform_level {
    TUFF_CONFORM_QUICK, /* every case, in guarded memory and as planned, and with every kernel row that fits
                           it */
    TUFF_CONFORM_FULL,  /* and in further memory layouts and orders of steps */
    TUFF_CONFORM_SOAK   /* full, with larger random graphs, round after round, each with the next seed */
} tuff_conform_level;

typedef struct tuff_conform_case {
    /* "matmul", "matmul.nt.f32.m17n33k65.strided". Names are unique and stay the same from version to version
     * while the case does. */
    const char *family, *name;
    bool held;
    const char *verdict;   /* "held", or the kind of guard that spoke: "value", "stray write", ... */
    const char *message;   /* what was found; "" when held */
    double worst;          /* forward, in units of the bound */
    double worst_backward; /* gradients, likewise; 0 when there are none */
    double milliseconds;
    uint64_t seed; /* of the run that failed; of the first one where all held */
} tuff_conform_case;

typedef struct tuff_conform_row {
    const char *op, *row; /* a kernel of an operation; "host" is the CPU's */
    bool fits;            /* the device has what it needs */
    uint64_t uses;        /* by the cases that were run */
    bool batch_free;      /* promises the same bits for an entry whatever else is in its batch */
    uint64_t batches;     /* times that it was held to that */
    double worst;         /* of the cases that used it */
} tuff_conform_row;

/* What a run found. Owns all it points to. */
typedef struct tuff_conform_report {
    tuff_device_info device;
    tuff_conform_level level;
    uint64_t seed, rounds; /* seeds seed to seed + rounds - 1; 1 but for soak */
    uint64_t permute;      /* as given */
    uint32_t submit_ms;
    bool backward;
    char mask[256];           /* as given */
    tuff_conform_case *cases; /* those that were run */
    size_t n_cases, n_failed;
    tuff_conform_row *rows;
    size_t n_rows,
        n_unreached; /* rows that fit the device and no case reached; counted in runs of all cases only */
    uint64_t plans, dispatches, pipelines; /* pipelines: distinct shaders with specialization constants */
    double worst, worst_backward;
    double seconds;
} tuff_conform_report;

/* Zero means default. */
typedef struct tuff_conform_params {
    const char *device; /* as in tuff_device_params */
    const char *ops;    /* families or operations, separated by commas; NULL: all */
    const char *name;   /* only the case of this name; NULL: all */
    /* Behave as a lesser device: names of tuff_conform_masks and settings, separated by commas, as in
     * "phone,shared=16K". subgroup=none hides subgroup operations; subgroup=N has kernels chosen as for that
     * size, and hides those operations too where the device's own size is another: kernels that use them run
     * on real subgroups only; fp16=off, int8=off (8-bit storage and integer dot products), coopmat=off,
     * software=off (the kernels made for drivers that run on the CPU); at most shared=BYTES per workgroup,
     * allocation=BYTES in one allocation, memory=BYTES in all, with K, M or G. What the device lacks anyhow
     * may be named too. */
    const char *mask;
    tuff_conform_level level;
    uint64_t seed;      /* of the data */
    double minutes;     /* of soak: when to end, after the first round and between two cases; 0: 10 */
    uint64_t rounds;    /* of soak: end after as many; 0: any number */
    bool backward_only; /* only cases that check gradients */
    bool forward_only;  /* no gradients */
    bool validate;      /* with the validation layer, where there is one */
    uint64_t permute;   /* not 0: a seed; dispatches between barriers run in random order */
    uint32_t submit_ms; /* as in tuff_device_params */
    /* Called after each case; false stops the run, which then fails with TUFF_CANCELLED, or after the first
     * round of soak ends with what it has found. A case that failed is not run again in later rounds. */
    bool (*progress)(const tuff_conform_case *done, size_t index, size_t count, void *user);
    void *user;
} tuff_conform_params;

/* Runs the suite on one device. Cases that do not hold are no failure of this call: they are counted in the
 * report. Fails when the device cannot be opened, a name matches nothing, or the mask is not understood. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_run(const tuff_conform_params *params,
                                                    tuff_conform_report **out_report);
TUFF_API void tuff_conform_report_destroy(tuff_conform_report **report);

/* A named mask: the settings that it stands for, and which devices it is like. */
typedef struct tuff_conform_mask {
    const char *name, *settings, *why;
} tuff_conform_mask;
TUFF_API const tuff_conform_mask *tuff_conform_masks(size_t *out_count);

/* True when all cases held and no row that fits the device was left unreached. */
TUFF_API bool tuff_conform_passed(const tuff_conform_report *report);

/* The names of all cases that params select, as tuff_conform_case with only family and name set; nothing is
 * run. The array has *out_count entries and is freed with tuff_conform_list_free. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_list(const tuff_conform_params *params,
                                                     tuff_conform_case **out_cases, size_t *out_count);
TUFF_API void tuff_conform_list_free(tuff_conform_case **cases);

typedef enum tuff_conform_format {
    TUFF_CONFORM_TEXT, /* for a terminal: totals, the worst ten, failures with a command that reruns each */
    TUFF_CONFORM_JSON,
    TUFF_CONFORM_JUNIT,
    TUFF_CONFORM_HTML /* one page: operations by devices, failures, all cases */
} tuff_conform_format;

/* n reports (of several devices, say) as one text, NUL-terminated; free it with tuff_conform_text_free. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_text(const tuff_conform_report *const *reports, size_t n,
                                                     tuff_conform_format format, char **out_text);
TUFF_API void tuff_conform_text_free(char **text);

#ifdef __cplusplus
}
#endif
#endif
