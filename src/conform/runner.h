/* The runner inside: what a case builds, its truth in double, its runs on a device. Cases see only case.h. */
#ifndef TUFF_CONFORM_RUNNER_H
#define TUFF_CONFORM_RUNNER_H

#include "runtime/device.h"
#include "base/text.h"
#include "conform/case.h"
#include "ir/graph.h"
#include "ir/plan.h"

/* ---- a built case (runner.c) ---- */

typedef struct tuff_case_leaf_info {
    tuff_tensor *tensor; /* as the case sees it: a variable, a view into the packed one, or an input */
    double *values;      /* rounded to the leaf's dtype: truth and device start equal */
    uint8_t *blocks;     /* of a block type: the bytes that values were read from; else NULL */
    bool grad;
    double grad_c, grad_k; /* 0: the runner's rule */
    double grad_scale;     /* the least scale of its bound */
} tuff_case_leaf_info;

/* Something to compare: a result of the case or the gradient of a leaf. */
typedef struct tuff_case_check {
    tuff_tensor *tensor; /* what the truth evaluates */
    const char *output;  /* name in the plan; NULL: read the variable `tensor` itself after the run */
    double c, k, scale;  /* scale: at least this */
    bool in_loss;
    int leaf; /* -1, or the leaf whose gradient this is */
} tuff_case_check;

struct tuff_case_run {
    tuff_graph *graph;
    uint64_t seed;
    const struct tuff_build_options *options;
    tuff_tensor *pool[TUFF_DTYPE_COUNT]; /* packed: where the leaves of a dtype lie */
    int64_t pool_used[TUFF_DTYPE_COUNT];
    tuff_status status; /* the first error that is not the graph's */
    tuff_arena arena;
    tuff_case_leaf_info *leaves;
    size_t n_leaves, leaves_capacity;
    tuff_case_check *checks; /* results first, then gradients */
    size_t n_checks, checks_capacity;
    size_t n_results;
    tuff_tensor *loss;
    size_t n_forward; /* nodes up to the loss */
    double slack;     /* of tuff_case_slack */
    int batch_param;  /* the parameter that tuff_case_batch named, -1: none */
};

typedef struct tuff_build_options {
    uint64_t seed;
    bool backward;
    bool no_data; /* only the graph is wanted */
    /* Not NULL: leaves of a dtype lie inside one variable, with guards between them and off their natural
     * alignment. Made by tuff_case_pack from a build without it. */
    const struct tuff_packing *packing;
} tuff_build_options;

typedef struct tuff_packing {
    int64_t count[TUFF_DTYPE_COUNT]; /* elements of each dtype's variable; 0: none */
    bool *own;                       /* by leaf: written in place, so a variable of its own all the same */
    size_t n_leaves;
} tuff_packing;

/* The one family whose cases test plans, not one operation. */
extern const tuff_case_family tuff_family_graphs;

/* Builds the case's graph, its loss and gradients, and marks the outputs. Destroy also after a failure. */
TUFF_MUST_USE tuff_status tuff_case_build(const tuff_case *c, const tuff_build_options *options,
                                          tuff_case_run **out_run);
void tuff_case_destroy(tuff_case_run **run);
/* The bytes of a leaf's elements as they are stored. */
void tuff_case_leaf_bytes(const tuff_case_leaf_info *leaf, void *bytes);
/* How the leaves of a built case pack; `own` is freed with tuff_free. */
TUFF_MUST_USE tuff_status tuff_case_pack(const tuff_case_run *run, tuff_packing *out);

/* The seed of a case: of the suite's seed and its names. */
uint64_t tuff_case_seed(uint64_t seed, const char *family, const char *name);

/* ---- data (data.c) ---- */

/* Fills values[0..n), each rounded to dtype. */
void tuff_data_fill(double *values, int64_t n, tuff_dtype dtype, tuff_data data, double a, double b,
                    uint64_t seed, uint32_t stream);
/* `n` elements of a block type, about 1 each, all bits of it in use: the bytes and what they stand for. */
void tuff_data_blocks(tuff_dtype dtype, int64_t n, uint64_t seed, uint32_t stream, uint8_t *bytes,
                      double *values);
/* Conversion between arrays of a dtype and doubles; encoding rounds to nearest even. */
void tuff_data_encode(tuff_dtype dtype, const double *values, void *bytes, int64_t n);
void tuff_data_decode(tuff_dtype dtype, const void *bytes, double *values, int64_t n);
/* The nearest value of dtype: overflow gives infinity; integers are kept. */
double tuff_data_round(tuff_dtype dtype, double value);
/* Below this a value of dtype is denormal. */
double tuff_data_min_normal(tuff_dtype dtype);
double tuff_data_eps(tuff_dtype dtype);

/* ---- truth (reference.c) ---- */

typedef struct tuff_truth tuff_truth;
TUFF_MUST_USE tuff_status tuff_truth_create(const tuff_graph *graph, tuff_truth **out_truth);
void tuff_truth_destroy(tuff_truth **truth);
/* The memory of a leaf's storage, to be filled before tuff_truth_run. */
double *tuff_truth_leaf(tuff_truth *truth, const tuff_tensor *leaf);
/* Evaluates nodes 0..n_nodes. With `stored`, results take the range and precision that storage in their dtype
 * gives (f16 and bf16 are rounded, f32 overflows); without, all is smooth, for finite differences. */
TUFF_MUST_USE tuff_status tuff_truth_run(tuff_truth *truth, size_t n_nodes, bool stored);
/* The value of any tensor evaluated, dense in its logical shape. */
void tuff_truth_read(const tuff_truth *truth, const tuff_tensor *tensor, double *out);
/* The last value of a variable's memory: of the last node that wrote it in place. */
void tuff_truth_read_final(const tuff_truth *truth, const tuff_tensor *variable, double *out);
/* Writes the leaves of a case, packed or not. */
typedef enum tuff_load {
    TUFF_LOAD_EXACT,
    TUFF_LOAD_FLUSHED, /* denormals as zeros, as some devices read them */
    TUFF_LOAD_SHAKEN,  /* each float, and each that is then computed, off by eps(f32), up or down at random */
    TUFF_LOAD_SHAKEN_AGAIN
} tuff_load;
void tuff_truth_load(tuff_truth *truth, const tuff_case_run *run, tuff_load load);

/* ---- comparison (compare.c) ---- */

typedef struct tuff_match {
    double worst;    /* units of the bound, of the worst element; HUGE_VAL for a misplaced NaN or Inf */
    double normwise; /* units of the norm-wise bounds: root mean square and mean of the errors, in bounds */
    int64_t at;      /* the worst element, its row-major index */
    double got, want;
    const char *fault; /* NULL: within the bound; else what is wrong, a constant phrase */
} tuff_match;

typedef struct tuff_bound {
    double c, k, scale;  /* scale: at least this */
    const double *slack; /* by element, added to its bound: what a few eps in the inputs can do; NULL: none */
} tuff_bound;

/* |got - want| <= c * eps * sqrt(k) * max(|want|, rms(want), scale) + slack; exactly equal with a c of 0.
 * `other`, if not NULL, is a second truth, and each element may match either. */
tuff_match tuff_compare(const double *got, const double *want, const double *other, int64_t n,
                        tuff_dtype dtype, const tuff_bound *bound);

/* ---- the finite difference check of a case's backward rules (runner_gradient.c) ---- */

/* Returns the worst disagreement in units of its bound; a failure's text names the leaf. */
TUFF_MUST_USE tuff_status tuff_gradient_check(const tuff_case_run *run, double *out_worst);

/* ---- guards (guards.c) ---- */

#define TUFF_GUARD_BYTES 256
/* A quiet NaN in f32, f16 and bf16 alike, and no number that data has. */
#define TUFF_GUARD_WORD 0x7fc17fc1u

/* Fills with TUFF_GUARD_WORD; size is a multiple of 4. */
void tuff_guard_fill(void *bytes, uint64_t size);

/* Takes the arena out of a plan: every result and every scratch gets a place of its own in one more variable
 * (the last), with TUFF_GUARD_BYTES of guard before and after each, so that the harness can fill the memory
 * before a run and see every stray write after it. */
TUFF_MUST_USE tuff_status tuff_plan_isolate(tuff_plan *plan);
/* Reorders the steps between each two barriers at random: a plan whose barriers are right gives the same
 * bits. */
void tuff_plan_permute(tuff_plan *plan, uint64_t seed);

/* What a byte of a variable's buffer is for. */
enum { TUFF_BYTE_GUARD = 0, TUFF_BYTE_INPUT, TUFF_BYTE_RESULT, TUFF_BYTE_SCRATCH };
/* Sets map[0..size), one of the above per byte, for variable `index` of a plan: what some step writes is a
 * result, what a leaf holds and none writes an input. */
void tuff_guard_map(const tuff_plan *plan, uint32_t index, const tuff_case_run *run, uint8_t *map,
                    uint64_t size);

/* ---- a run on a device (runner_device.c) ---- */

/* Called on each plan before it becomes a program: tests of the harness put faults there. */
typedef void (*tuff_plan_hook)(tuff_plan *plan, void *context);

/* The bytes of each result of a run. Free with tuff_run_results_free. */
typedef struct tuff_run_results {
    uint8_t **data;
    uint64_t *bytes;
    size_t n;
} tuff_run_results;
void tuff_run_results_free(tuff_run_results *results);

typedef struct tuff_run_options {
    bool isolate; /* tuff_plan_isolate, and its guards */
    bool no_alias, no_reuse;
    tuff_plan_order_by order;
    uint32_t without_passes; /* see tuff_plan_options */
    const int *force_row;
    bool host_steps;  /* steps without a kernel row are no fault */
    uint64_t permute; /* not 0: a seed for tuff_plan_permute */
    uint64_t
        *out_digest; /* not NULL: receives a hash of all that the first run left in outputs and variables */
    tuff_run_results *out_results; /* not NULL: receives what the first run gave */
    bool once;                     /* one run instead of three */
    const char *dump;              /* not NULL: a folder for what a run with a fault saw */
    tuff_plan_hook hook;
    void *hook_context;
} tuff_run_options;

/* Which rows served, and how well: indexed by tuff_rows_index(op, row), row -1 is the host kernel. */
typedef struct tuff_row_use {
    uint64_t cases;
    uint64_t batches; /* times that it was seen to give the same bits in another batch */
    double worst;     /* of the cases that held, and of those that it alone makes fail */
    uint64_t faults;  /* cases that it alone makes fail */
} tuff_row_use;
static inline size_t tuff_rows_index(tuff_op op, int row)
{
    return (size_t)op * (TUFF_MAX_ROWS + 1) + (size_t)(row + 1);
}
#define TUFF_ROWS_COUNT ((size_t)TUFF_OP_COUNT * (TUFF_MAX_ROWS + 1))

/* "matmul/tile", "softmax/host": of an index as above. */
enum { TUFF_KERNEL_NAME = 128 };
const char *tuff_kernel_name(size_t kernel, char text[TUFF_KERNEL_NAME]);

/* What a case has used. {0} is empty. Free with tuff_coverage_free, which empties it. */
typedef struct tuff_coverage {
    tuff_row_use rows[TUFF_ROWS_COUNT];
    uint64_t *pipelines; /* a hash of each distinct shader with its specialization constants */
    size_t n_pipelines, pipelines_capacity;
    uint64_t plans, dispatches;
} tuff_coverage;
void tuff_coverage_free(tuff_coverage *coverage);

/* Why a case was found wrong: which guard spoke. */
typedef enum tuff_verdict {
    TUFF_VERDICT_HELD,
    TUFF_VERDICT_ERROR,     /* the case cannot be built, planned or run: the status' text says why */
    TUFF_VERDICT_VALUE,     /* an element beyond its bound */
    TUFF_VERDICT_BIAS,      /* every element within its bound, but not their norm or mean */
    TUFF_VERDICT_NONFINITE, /* NaN or Inf in the wrong places */
    TUFF_VERDICT_UNWRITTEN, /* part of a result keeps the guard pattern */
    TUFF_VERDICT_STRAY,     /* a write outside of the results */
    TUFF_VERDICT_INPUT,     /* an input changed */
    TUFF_VERDICT_REPEAT,    /* three runs differ */
    TUFF_VERDICT_PLAN,      /* another memory layout or order of steps gives other bits */
    TUFF_VERDICT_GRADIENT,  /* the backward rule disagrees with finite differences */
    TUFF_VERDICT_BATCH,     /* a kernel that promises not to, depends on what else is in the batch */
    TUFF_VERDICT_VALIDATION /* the validation layer sent a message */
} tuff_verdict;
const char *tuff_verdict_name(tuff_verdict verdict);

/* A dispatch of the plan that a fault was seen in. */
typedef struct tuff_blamed_launch {
    size_t kernel;          /* tuff_rows_index */
    tuff_dispatch dispatch; /* without its arguments */
} tuff_blamed_launch;

/* Which kernels took part where a fault was seen, then which of them is at fault (runner_blame.c). */
typedef struct tuff_blame {
    tuff_blamed_launch *launches; /* one for each distinct pipeline and grid */
    size_t n_launches, launches_capacity;
    size_t *kernels; /* tuff_rows_index, each once */
    size_t n_kernels, kernels_capacity;
    size_t n_plan_kernels; /* of the plan, before any was found innocent */
    bool found;            /* each of `kernels` fails with all other operations on the host */
} tuff_blame;
void tuff_blame_free(tuff_blame *blame);
/* Lists a plan's kernels and dispatches, unless there are some already; what there is no memory for is left
 * out. */
void tuff_blame_plan(tuff_blame *blame, const tuff_plan *plan);

typedef struct tuff_outcome {
    tuff_verdict verdict;
    tuff_status status;           /* with TUFF_VERDICT_ERROR: why */
    double worst, worst_backward; /* units of the bound */
    tuff_buf message;             /* of the first fault */
    tuff_blame blame;             /* for that fault */
    uint64_t validation;          /* messages of the validation layer */
} tuff_outcome;
void tuff_outcome_free(tuff_outcome *outcome);
/* Keeps the first fault only. */
void tuff_outcome_fault(tuff_outcome *outcome, tuff_verdict verdict, const char *format, ...)
    TUFF_PRINTF(3, 4);

/* The truths of a built case, one array per check. */
typedef struct tuff_expected {
    double **want;
    double **other; /* denormals flushed; NULL when there are none */
    /* How ill-conditioned an element is: twice (or as the case says) the change, its own and the root mean
     * square, that inputs and intermediate results off by eps(f32) bring. No method in f32 does better than a
     * few of that. */
    double **slack;
    size_t n;
} tuff_expected;
TUFF_MUST_USE tuff_status tuff_expected_create(const tuff_case_run *run, tuff_expected *out);
void tuff_expected_free(tuff_expected *expected);

/* Plans the built case for the device, runs it three times, and adds what it finds to outcome and coverage
 * (may be NULL). Without `expected`, values are not compared. Failures of planning and running are faults of
 * the case. */
void tuff_case_execute(tuff_case_run *run, const tuff_expected *expected, tuff_backend_device *device,
                       const tuff_run_options *options, tuff_outcome *outcome, tuff_coverage *coverage);

/* ---- a case with all its variants (runner_case.c) ---- */

typedef struct tuff_suite {
    tuff_backend_device *device;
    uint64_t seed;
    bool full, backward;
    tuff_plan_hook hook;
    void *hook_context;
    tuff_coverage *coverage; /* or NULL */
    const char *dump;        /* a folder for what the runs of a failing case saw; NULL: none */
} tuff_suite;

/* Runs the case once for each kernel of outcome->blame with all other operations on the host, and keeps those
 * that fail so (runner_blame.c). */
void tuff_blame_search(const tuff_suite *suite, const tuff_case *c, const tuff_build_options *build,
                       const tuff_expected *expected, tuff_outcome *outcome);
/* The search's result as a sentence. */
void tuff_blame_text(const tuff_suite *suite, const tuff_outcome *outcome, tuff_buf *out);

/* ---- what a failing run saw, as files (runner_dump.c) ---- */

/* "output 0", "gradient of leaf 2": what check `index` of a case compares. */
const char *tuff_check_name(const tuff_case_run *run, size_t index, char text[64]);
/* Writes the leaves, and of each check the result (NULL in results[i]: not known) and what is expected, into
 * `directory`, which is made. */
TUFF_MUST_USE tuff_status tuff_dump_run(const char *directory, const tuff_case_run *run,
                                        const tuff_expected *expected, const uint8_t *const *results);
/* The SPIR-V of the blamed kernels. */
TUFF_MUST_USE tuff_status tuff_dump_kernels(const char *directory, tuff_backend_device *device,
                                            const tuff_blame *blame);

/* Runs the built case alone and within larger batches, forward, and compares the bits, where all kernels that
 * serve make that promise (runner_batch.c). force: as in tuff_plan_options. */
void tuff_batch_check(const tuff_suite *suite, const tuff_case *c, const tuff_case_run *built,
                      const int *force, tuff_outcome *outcome);

/* Messages of the validation layer so far, in this process; `text` receives the last one. */
uint64_t tuff_suite_validation(const tuff_suite *suite, char *text, size_t size);

/* Free the outcome with tuff_outcome_free. */
void tuff_suite_case(const tuff_suite *suite, const tuff_case_family *family, const tuff_case *c,
                     tuff_outcome *outcome);

#endif
