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

/* A dispatch of a kernel that a failure is blamed on. Owned by the library. */
typedef struct tuff_conform_launch {
    const char *kernel;    /* "matmul/tile": of which operation, which of its kernels */
    const char *spirv;     /* SHA-256 of the SPIR-V module, 64 hexadecimal digits; "" for a host kernel */
    const char *constants; /* the specialization constants 0, 1, ... as in "8 8 4 1" */
    uint32_t workgroup[3], grid[3];
} tuff_conform_launch;

/* Owned by the library. */
typedef struct tuff_conform_case {
    /* "matmul", "matmul.nt.f32.m17n33k65.strided". Names are unique and stay the same from version to version
     * while the case does. */
    const char *family, *name;
    bool held;
    /* "held", or what spoke: "value", "stray write", ..., "validation" (the validation layer), "error" (the
     * case cannot be run), "crashed" and "timed out" (of `tuff conform --isolate`) */
    const char *verdict;
    const char *message;   /* what was found; "" when held */
    double worst;          /* forward, in units of the bound */
    double worst_backward; /* gradients, likewise; 0 when there are none */
    double milliseconds;   /* of all its rounds */
    uint64_t seed;         /* of the run that failed; of the first one where all held */
    bool listed;           /* as one that is expected to fail */
    bool failed;           /* counts against the run: not held and not listed, or listed and held */
    /* Where not held: a sentence that says which kernel is at fault, or that none is alone; the dispatches of
     * those kernels (of all kernels that took part where none is); the folder that `dump` made. "" and none
     * where held. */
    const char *blame, *dump;
    const tuff_conform_launch *launches;
    size_t n_launches;
} tuff_conform_case;

/* Owned by the library. */
typedef struct tuff_conform_row {
    const char *op, *row; /* a kernel of an operation; "host" is the CPU's */
    bool fits;            /* the device has what it needs */
    uint64_t uses;        /* by the cases that were run */
    bool batch_free;      /* promises the same bits for an entry whatever else is in its batch */
    uint64_t batches;     /* times that it was held to that */
    double worst;         /* of the cases that used it and held, and of those that failed by its fault */
    uint64_t faults;      /* cases that failed by its fault */
} tuff_conform_row;

typedef enum tuff_conform_verdict {
    TUFF_CONFORM_PASSED,
    TUFF_CONFORM_FAILED,
    TUFF_CONFORM_NOT_RUN,    /* the device could not be opened: `error` says why */
    TUFF_CONFORM_INTERRUPTED /* not all cases were run */
} tuff_conform_verdict;

/* What a run found. Owns all it points to. */
typedef struct tuff_conform_report {
    const tuff_device_info *device; /* with an empty name where it is not known */
    tuff_conform_level level;
    uint64_t seed, rounds; /* seeds seed to seed + rounds - 1; 1 but for soak */
    uint64_t permute;      /* as given */
    uint32_t submit_ms;
    bool backward;
    char mask[256];                  /* as given */
    tuff_conform_case *const *cases; /* those that were run */
    size_t n_cases, n_failed;
    tuff_conform_row *const *rows;
    size_t n_rows,
        n_unreached; /* rows that fit the device and no case reached; counted in runs of all cases only */
    uint64_t plans, dispatches, pipelines; /* pipelines: distinct shaders with specialization constants */
    double worst, worst_backward;
    double seconds;
    tuff_conform_verdict verdict;
    const char *error;   /* why it was not run; "" */
    const char *running; /* the case that had begun when the record ends; "" */
    size_t n_planned;    /* cases that were to be run */
    size_t n_listed;     /* of those run: held not, as was expected */
    uint64_t validation; /* messages of the validation layer */
    /* Where and when: Tuff's version and commit ("" in a build from a release's archive), UTC as in
     * "2026-11-21T15:04:05Z", the host's name, its system, and a line "NAME=value" for each variable of the
     * environment that may change results. */
    const char *version, *commit, *date, *host, *system, *environment;
} tuff_conform_report;

/* Zero means default. */
typedef struct tuff_conform_params {
    size_t struct_size; /* set by TUFF_CONFORM_PARAMS_INIT */
    const char *device; /* as in tuff_device_params */
    /* Which cases: lists of names separated by commas or line ends, in which '*' stands for any characters,
     * '?' for one and "[ab]" for one of those. A name that nothing has is an error. What follows a '#' in its
     * line, at its begin or behind a blank, is a remark. */
    const char *ops;  /* families or operations; NULL: all */
    const char *name; /* only these cases; NULL: all */
    /* Behave as a lesser device: names of tuff_conform_masks and settings, separated by commas, as in
     * "phone,shared=16K". subgroup=none hides subgroup operations; subgroup=N has kernels chosen as for that
     * size, and hides those operations too where the device's own size is another: kernels that use them run
     * on real subgroups only; fp16=off, int8=off (8-bit storage and integer dot products), coopmat=off,
     * software=off (the kernels made for drivers that run on the CPU), short=off (the short code that such
     * drivers compile in less time); at most shared=BYTES per workgroup, allocation=BYTES in one allocation,
     * memory=BYTES in all, with K, M or G. What the device lacks anyhow may be named too. */
    const char *mask;
    tuff_conform_level level;
    uint64_t seed;      /* of the data; at most 2^53, as `permute` */
    double minutes;     /* of soak: when to end, after the first round and between two cases; 0: 10 */
    uint64_t rounds;    /* of soak: end after as many; 0: any number */
    bool backward_only; /* only cases that check gradients */
    bool forward_only;  /* no gradients */
    /* Under Vulkan's validation layer: its messages are failures of the cases that they come in. Fails where
     * the layer is not installed or the device is no Vulkan device. */
    bool validate;
    uint64_t permute;   /* not 0: a seed; dispatches between barriers run in random order */
    uint32_t submit_ms; /* as in tuff_device_params */
    /* Called after each case; false stops the run, which then fails with TUFF_CANCELLED. Once every case has
     * been run (at the end of soak's first round) it ends with what it has found instead. A case that failed
     * is not run again in later rounds. */
    bool (*progress)(const tuff_conform_case *done, size_t index, size_t count, void *user);
    void *user;
    const char *exclude;     /* not these cases */
    const char *expect_fail; /* these fail: that is no failure of the run, but that one holds is */
    /* Run part `shard` (1 to shards) of the cases; 0 shards: all. A case's part is the FNV-1a hash of its
     * name, modulo shards: it depends on nothing else, and a part may be empty. */
    uint32_t shard, shards;
    /* A folder, made where it is not there, that receives another for each case that fails: its inputs,
     * results and expected results as .npy, and the SPIR-V of the kernels to blame. NULL: none. */
    const char *dump;
    /* Called before each case. NULL: not. */
    void (*begin)(const char *name, size_t index, size_t count, void *user);
    /* Receives the record of the run as it goes, a line of JSON without its end at a time; see
     * TUFF_CONFORM_JSON. NULL: none. */
    void (*record)(const char *line, void *user);
    uint32_t threads; /* see tuff_device_params */
    /* Of the cases chosen by all of the above, in their order: begin with number `first` (from 0) and run
     * `count` (0: all that follow). For runs in pieces, each of which tells in its record what the whole was
     * to be. */
    size_t first, count;
} tuff_conform_params;
#define TUFF_CONFORM_PARAMS_INIT                                                                        \
    {                                                                                                   \
        sizeof(tuff_conform_params), NULL, NULL, NULL, NULL, TUFF_CONFORM_QUICK, 0, 0, 0, false, false, \
            false, 0, 0, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, 0, 0, 0                        \
    }

/* Runs the suite on one device. Cases that do not hold are no failure of this call: they are counted in the
 * report. Fails when the device cannot be opened, a name matches nothing, or the mask is not understood. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_run(const tuff_conform_params *params,
                                                    tuff_conform_report **out_report);
TUFF_API void tuff_conform_report_destroy(tuff_conform_report **report);

/* A named mask: the settings that it stands for, and which devices it is like. Owned by the library. */
typedef struct tuff_conform_mask {
    const char *name, *settings, *why;
} tuff_conform_mask;
/* The masks from index 0 on; NULL past the last. */
TUFF_API const tuff_conform_mask *tuff_conform_mask_at(size_t index);

/* True when the verdict is TUFF_CONFORM_PASSED: all cases were run and held (those that are expected to fail
 * did not), no row that fits the device was left unreached, and the validation layer said nothing. */
TUFF_API bool tuff_conform_passed(const tuff_conform_report *report);

/* The names of all cases that params select, as tuff_conform_case with only family, name and listed set;
 * nothing is run. The array has *out_count entries; freeing it with tuff_free frees the entries too. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_list(const tuff_conform_params *params,
                                                     tuff_conform_case ***out_cases, size_t *out_count);

typedef enum tuff_conform_format {
    TUFF_CONFORM_TEXT, /* for a terminal: totals, the worst ten, failures with a command that reruns each */
    /* A record: lines of JSON, each an object with a "record": "run" (what, where, when), then for each case
     * "begin" before it, "kernels" whenever it is about to use some that it has not used yet, and "case"
     * after it, at last "end" (totals, verdict). Whatever ends the process, the lines before tell what was
     * found and which case was running, with which kernels. */
    TUFF_CONFORM_JSON,
    TUFF_CONFORM_JUNIT,
    TUFF_CONFORM_HTML, /* one page: operations by devices, failures, all cases */
    TUFF_CONFORM_END   /* only the last line of a record */
} tuff_conform_format;

/* n reports (of several devices, say) as one text, NUL-terminated; free it with tuff_free. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_text(const tuff_conform_report *const *reports, size_t n,
                                                     tuff_conform_format format, char **out_text);

/* The same, each told beside the older report that it is compared with (tuff_conform_compare): older[i] of
 * reports[i], NULL where there is none. In TUFF_CONFORM_JUNIT a case that is missing is a failure. `older`
 * NULL: none of them. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_text_compared(const tuff_conform_report *const *reports,
                                                              const tuff_conform_report *const *older,
                                                              size_t n, tuff_conform_format format,
                                                              char **out_text);

/* Makes reports of a record, one for each "run" and each "error" (a device that could not be opened) in it,
 * in the order of their lines. A record may be cut off anywhere: the verdict is TUFF_CONFORM_INTERRUPTED
 * then. *out_reports has *out_count entries; destroy each, and free the array with tuff_free. Fails with
 * TUFF_BAD_FORMAT where a line is no record. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_read(const char *text, size_t size,
                                                     tuff_conform_report ***out_reports, size_t *out_count);

/* What changed from an old report to a new one, as text: cases that fail and did not, that no longer fail,
 * that are new or missing, and those that take more than twice the time (and 10 ms more); and where the two
 * runs are not alike: of other devices, drivers, masks or levels. Missing is what the new run was asked for,
 * by the names of cases and families, and has not run: what it was not to run is counted and no more.
 * *out_worse (may be NULL): how many fail that did not, and how many that were held are missing. Free the
 * text with tuff_free. */
TUFF_API TUFF_MUST_USE tuff_status tuff_conform_compare(const tuff_conform_report *before,
                                                        const tuff_conform_report *now, char **out_text,
                                                        size_t *out_worse);

#ifdef __cplusplus
}
#endif
#endif
