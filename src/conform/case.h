/* Conformance cases: each family of ops has a table of them in src/conform/<family>.c. A case builds a small
 * graph; the runner makes its data, computes the truth in double by the ops' references, checks gradients
 * against finite differences, and compares a device's results with the truth, forward and backward. */
#ifndef TUFF_CONFORM_CASE_H
#define TUFF_CONFORM_CASE_H

#include <tuff/graph.h>

typedef struct tuff_case_run tuff_case_run;

typedef enum tuff_data {
    TUFF_DATA_NORMAL,   /* standard normal, times a, plus b */
    TUFF_DATA_UNIFORM,  /* uniform in [a, b) */
    TUFF_DATA_INTEGER,  /* integers in [a, b) */
    TUFF_DATA_CONSTANT, /* a */
    TUFF_DATA_RAMP,     /* a + b * element index */
    TUFF_DATA_SPECIAL /* normal, with NaN, +Inf, -Inf, zeros, denormals, very large and tiny values sprinkled
                         in */
} tuff_data;

#define TUFF_CASE_PARAMS 12

typedef struct tuff_case {
    /* "matmul.nt.bf16.m17n33k65.strided": the family, then what the case is, derived from its parameters.
     * Lower case letters, digits, '_' and '.'. Users have lists of names: tests/unit/conform_names.txt holds
     * them, and a name changes only when the case does. */
    const char *name;
    void (*build)(tuff_case_run *run, tuff_graph *g, const int64_t *p);
    int64_t p[TUFF_CASE_PARAMS];
} tuff_case;

typedef struct tuff_case_family {
    const char *name; /* as the file: "matmul" */
    const tuff_case *cases;
    size_t n_cases;
} tuff_case_family;

/* ---- for build functions ---- */

/* A contiguous leaf with data of its own (made from the case's seed and the leaf's number). What is stored by
 * the block is about 1, whatever `data` says. */
tuff_tensor *tuff_case_leaf(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                            const int64_t *dims, tuff_data data, double a, double b);
/* A leaf with given data, as doubles. */
tuff_tensor *tuff_case_data(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                            const int64_t *dims, const double *data);
/* The same as an input of the graph: what the host sets, work lists are made of. */
tuff_tensor *tuff_case_input(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                             const int64_t *dims, const double *data);
/* The gradient of this leaf is checked too (by finite differences in double, and device against truth). */
void tuff_case_grad(tuff_case_run *run, tuff_tensor *leaf);
/* The same with a bound of its own for that gradient; tuff_case_grad takes twice the largest c of the
 * results (at least 8) and as k the number of products that end in an element, k * (elements of results) /
 * (elements of leaf), or the largest k of the results if that is more. */
void tuff_case_grad_bound(tuff_case_run *run, tuff_tensor *leaf, double c, double k);
/* For a gradient that is what is left when larger terms cancel (through a softmax, a norm of few columns):
 * the size of those terms; the bound's scale is at least this. */
void tuff_case_grad_scale(tuff_case_run *run, tuff_tensor *leaf, double scale);
/* A result to compare: |got - want| <= c * eps(f32) * sqrt(k) * scale, elementwise, where k is the length of
 * the longest sum behind an element and scale is max(|want|, rms of the tensor). c is written with its reason
 * at the call. For an exact result c is 0. */
void tuff_case_result(tuff_case_run *run, tuff_tensor *y, double c, double k);
/* As tuff_case_result, but no part of the loss whose gradient is checked: for results that are not
 * differentiable. Given a leaf, its final contents are compared: what operations in place have made of it.
 * eps is that of the result's dtype. */
void tuff_case_aside(tuff_case_run *run, tuff_tensor *y, double c, double k);

/* For chains of operations: how many times the change that inputs and intermediate results off by eps(f32)
 * bring is allowed on top of the bounds. 2 where it is not set. */
void tuff_case_slack(tuff_case_run *run, double times);
/* Parameter p[param] is how many entries the leading axis of the results has, and that of the leaves that
 * have a part for each of them: kernels that promise it are held to give each entry the same bits in any
 * batch. Inputs are as the case makes them for so many. */
void tuff_case_batch(tuff_case_run *run, int param);
/* The seed of the case's data, for graphs that are made from it too. */
uint64_t tuff_case_seed_of(const tuff_case_run *run);

/* All families, ended by NULL: src/conform/families.c. */
extern const tuff_case_family *const tuff_case_families[];
/* One more, run at level soak and where it is named: another graph with each seed. */
extern const tuff_case_family tuff_family_large_graphs;

#endif
