/* The graph inside: tensors, nodes, attributes. */
#ifndef TUFF_IR_GRAPH_H
#define TUFF_IR_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/graph.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "ir/dtype.h"

typedef enum tuff_op {
#define TUFF_OP(name) TUFF_OP_##name,
#include "ir/ops.def"
#undef TUFF_OP
    TUFF_OP_COUNT
} tuff_op;

/* Rewrites before planning; what each does is in the list. */
typedef enum tuff_pass {
#define TUFF_PASS(name) TUFF_PASS_##name,
#include "ir/passes.def"
#undef TUFF_PASS
    TUFF_PASS_COUNT
} tuff_pass;

typedef struct tuff_shape {
    int rank;
    int64_t dim[TUFF_MAX_RANK]; /* unused entries are 1 */
} tuff_shape;

typedef struct tuff_node tuff_node;

typedef enum tuff_tensor_kind {
    TUFF_TENSOR_INPUT,
    TUFF_TENSOR_VARIABLE,
    TUFF_TENSOR_RESULT
} tuff_tensor_kind;

struct tuff_tensor {
    tuff_dtype dtype;
    tuff_shape shape;
    int64_t stride[TUFF_MAX_RANK]; /* elements; 0 repeats; unused entries are 0 */
    int64_t offset;                /* elements from the start of the storage */
    tuff_tensor *storage; /* the tensor that owns the memory: itself, unless a view or an in-place result */
    tuff_node *producer;  /* NULL for leaves */
    int output_index;     /* which output of the producer */
    tuff_tensor_kind kind;
    bool detached;           /* gradients take it for a constant */
    uint32_t id;             /* position in graph->tensors */
    const char *name;        /* never NULL; "" when unnamed */
    const char *output_name; /* NULL unless marked by tuff_output */
};

/* One struct per op that has attributes; all zero otherwise. */
typedef union tuff_attrs {
    struct {
        int axes[TUFF_MAX_RANK];
    } permute;
    struct {
        int axis;
        int64_t start, length;
    } slice; /* also pad */
    struct {
        int axis;
    } concat;
    struct {
        tuff_shape shape;
    } view; /* reshape, expand */
    struct {
        tuff_dtype dtype;
    } copy;
    struct {
        double value;
        tuff_shape shape;
    } fill; /* also assign (value only) */
    struct {
        double factor;
    } scale;
    struct {
        int64_t rounds;
    } chain; /* fma_chain */
    struct {
        bool invariant;      /* how a row of the result is computed does not depend on how many there are */
        bool quantized;      /* the first operand may be rounded to 8 bits */
        bool settled;        /* `operands` is the node's own, whatever the plan asks for */
        tuff_dtype operands; /* TUFF_BF16: both are rounded to it as they are read; TUFF_F32: neither */
        bool into;           /* the sum goes into the addend */
        double factor;       /* of the product, before the addend is added; matmul only, with what follows */
    } matmul;                /* and matmul_grouped, and, but for the first two, matmul_grouped_weights */
    struct {
        int64_t groups;
    } group; /* group_rows */
    struct {
        bool tanh_approximation;
    } gelu; /* and gelu_backward */
    struct {
        tuff_op of; /* the operation whose gradient it is */
    } unary_backward;
    struct {
        double p;
        uint32_t stream;
    } dropout;
    struct {
        tuff_shape shape;
        uint32_t stream;
    } uniform;
    struct {
        unsigned axes; /* bit i: axis i of the input is summed */
        bool keep_dims;
    } sum;
    struct {
        double eps;
    } norm; /* layer_norm, rms_norm, l2_normalize and its gradient */
    struct {
        bool by_position; /* the mean's weights are 1, 2, 3, ... */
        int64_t rows;     /* of x; backward only */
    } segment;            /* segment_mean, segment_max and their gradients */
    struct {
        int64_t rows; /* of the result */
    } scatter;        /* scatter_add_rows */
    struct {
        int64_t k;
        int64_t width; /* of the rows; backward only */
    } top_k;           /* and top_k_backward */
    struct {
        bool sum;         /* of the rows' losses; else their mean */
        double smoothing; /* the part of a label's weight that all classes share */
    } cross_entropy;      /* and cross_entropy_backward */
    struct {
        bool inverse; /* rotate by minus the angle: the backward of rope */
    } rope;
    tuff_attention_params
        attention;           /* and its backwards; scale is resolved, never 0; dropout_seed is an operand */
    tuff_adamw_params adamw; /* and optimizer_step, adamw_8bit */
    tuff_sgd_params sgd;
    tuff_lion_params lion;
    tuff_momentum_params momentum;
    tuff_adafactor_params adafactor;
} tuff_attrs;

/* What an optimizer does to one slot: the group that its parameter is of. */
typedef struct tuff_update_group {
    double rate, decay; /* times the learning rate; weight decay */
} tuff_update_group;

struct tuff_node {
    tuff_op op;
    uint32_t id; /* position in graph->nodes, a topological order */
    int n_in, n_out;
    tuff_tensor **in; /* an optional input that was not given is NULL */
    tuff_tensor **out;
    tuff_attrs attrs;
    const tuff_update_group *groups; /* of optimizers only: per slot */
    uint32_t
        turn; /* 0, or it stands behind all nodes whose turn is one less: their memory is to be its own */
};

struct tuff_graph {
    tuff_arena arena;
    tuff_status status; /* the first error */
    char *message;      /* its text, in the arena; NULL if even that failed */
    tuff_tensor **tensors;
    size_t n_tensors, tensors_capacity;
    tuff_node **nodes;
    size_t n_nodes, nodes_capacity;
    bool invariant, quantized;       /* of the products made from here on */
    tuff_dtype operands;             /* what a plan makes of its products: see tuff_graph_set_operands */
    int64_t wide_bytes;              /* logits that are larger are made in chunks of rows */
    uint32_t turns;                  /* the last that a node has */
    tuff_map leaves;                 /* their places in `tensors`, by name */
    size_t changes[TUFF_PASS_COUNT]; /* what passes came to */
};

/* ---- building (used by the builders in src/ops) ---- */

/* Appends a node: checks arity, calls the op's infer, gives outputs contiguous strides (or, for views and
 * in-place outputs, what infer set). Returns the first output, NULL when the graph has failed. `attrs` may be
 * NULL. */
tuff_tensor *tuff_graph_node(tuff_graph *g, tuff_op op, tuff_tensor *const *in, int n_in,
                             const tuff_attrs *attrs);

/* Products whose operands are rounded so, TUFF_F32: not at all, whatever the graph's operands are; those of
 * their gradients as well. */
tuff_tensor *tuff_matmul_of(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_dtype operands);
tuff_tensor *tuff_matmul_grouped_of(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_tensor *order,
                                    tuff_dtype operands);

/* tuff_graph_grad of a loss times a factor, a scalar that depends on nothing that is asked for; NULL: 1. The
 * same bits as of their product, which is not made. */
void tuff_graph_grad_of(tuff_graph *g, tuff_tensor *loss, tuff_tensor *factor, tuff_tensor *const *wrt,
                        size_t n, tuff_tensor **out_grads);

/* The input or variable of this name; NULL when there is none. */
tuff_tensor *tuff_graph_leaf(const tuff_graph *g, const char *name);

/* Whether x is one of the graph's tensors; fails the graph where it is another's. */
bool tuff_graph_owns(tuff_graph *g, const tuff_tensor *x);

/* Records the graph's first error, with the text as in tuff_fail; returns NULL for `return
 * tuff_graph_fail(...)`. */
tuff_tensor *tuff_graph_fail(tuff_graph *g, tuff_status status, const char *format, ...) TUFF_PRINTF(3, 4);

/* ---- questions about tensors ---- */

tuff_shape tuff_shape_of(int rank, const int64_t *dims);
bool tuff_shape_equal(const tuff_shape *a, const tuff_shape *b);
int64_t tuff_shape_count(const tuff_shape *shape); /* elements */
/* "[2, 3, 4]" into one of a few static-thread-local buffers, for error texts. */
const char *tuff_shape_text(const tuff_shape *shape);
/* NumPy broadcast of two shapes; false when they do not fit. */
bool tuff_shape_broadcast(const tuff_shape *a, const tuff_shape *b, tuff_shape *out);

int64_t tuff_tensor_count(const tuff_tensor *x);
bool tuff_tensor_contiguous(const tuff_tensor *x);
uint64_t tuff_tensor_bytes(const tuff_tensor *x); /* of a contiguous tensor of this shape */
/* Whether it cuts no block of its storage: offset and strides are counted in elements, and the elements of a
 * block are neighbours along one axis. True of what is not stored by the block. */
bool tuff_tensor_whole_blocks(const tuff_tensor *x);
/* Row-major strides of a shape. */
void tuff_contiguous_strides(const tuff_shape *shape, int64_t stride[TUFF_MAX_RANK]);
/* Dims and strides padded on the left to rank 4 (dim 1, stride 0): what kernels loop over. */
typedef struct tuff_dims4 {
    int64_t dim[4], stride[4];
} tuff_dims4;
tuff_dims4 tuff_tensor_dims4(const tuff_tensor *x);
/* Strides of x broadcast to `shape`, padded on the left to 4. */
tuff_dims4 tuff_tensor_broadcast4(const tuff_tensor *x, const tuff_shape *shape);

/* ---- passes ---- */

/* Fails unless the graph obeys its rules: nodes in order, storages in range, and what is overwritten in place
 * is neither an input, nor an output of the graph, nor read afterwards or by the same node a second time. */
TUFF_MUST_USE tuff_status tuff_graph_verify(const tuff_graph *g);

/* As in ops.def. */
const char *tuff_op_name(tuff_op op);

#endif
