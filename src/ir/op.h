/* The op table: what every operation must provide. One descriptor per line of ops.def. */
#ifndef TUFF_IR_OP_H
#define TUFF_IR_OP_H

#include "ir/graph.h"
#include "ir/launch.h"

#define TUFF_VARIADIC 1000000

typedef struct tuff_cost {
    double flops, bytes;
} tuff_cost;

typedef struct tuff_op_info {
    const char *name;
    int min_in, max_in; /* inputs; those past min_in may be NULL unless variadic (max_in == TUFF_VARIADIC) */
    int n_out;          /* 0 with TUFF_VARIADIC inputs: set by infer through tuff_infer_outputs */
    bool is_view;       /* out[0] is a view of in[0]: no kernel; infer sets strides and offset */

    /* Bit i of may_alias[o]: output o may take over the memory of input i when that is its last use, both are
     * contiguous and equally large: the kernel reads element e of input i before or when it writes element e.
     */
    uint32_t may_alias[3];
    /* in_place[o] = 1 + i: output o is input i, updated in place. 0: fresh memory. Variadic ops set it in
     * infer. */
    uint8_t in_place[3];

    /* Checks inputs and attributes and sets shape and dtype of each out[] (and for views storage, strides,
     * offset). Error texts say what, where, found, expected. */
    tuff_status (*infer)(tuff_graph *g, tuff_node *node);

    /* Builds gradients with the graph builders: for each i with needs[i] sets d_in[i], of in[i]'s shape or of
     * a shape that in[i] was broadcast to (the caller sums it back). d_out[o] is NULL when nothing depends on
     * output o. NULL: not differentiable. */
    void (*backward)(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in);

    /* The truth, in plain loops: every operand is a dense row-major array of doubles in its logical shape
     * (integers too); outputs are written whole, in-place ones as copies. NULL operands stay NULL. */
    void (*reference)(const tuff_node *node, const double *const *in, double *const *out);

    /* The host kernel: pointers are to the first element of each operand (view offset applied); strides and
     * dtypes are the tensors'. `scratch` has cpu_scratch(node) bytes, 64-byte aligned. */
    void (*cpu)(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
    size_t (*cpu_scratch)(const tuff_node *node); /* NULL: none */

    tuff_cost (*cost)(const tuff_node *node);

    const tuff_kernel_row *rows; /* best first, the last one needs nothing optional */
    int n_rows;
    /* Kernels whose results are, to the bit, those of each entry of the leading axis alone: whatever else is
     * in the batch, and however much. A promise of one kernel; which one serves may depend on the size of the
     * batch. Bit 1 + r: kernel row r, bit 0: the host kernel. */
    uint32_t batch_free;
} tuff_op_info;

#define TUFF_BATCH_FREE_HOST 1u
#define TUFF_BATCH_FREE_ROWS 0xfffeu
/* True when kernel row `row`, -1 for the host kernel, makes that promise. */
static inline bool tuff_is_batch_free(const tuff_op_info *op, int row)
{
    return op->batch_free >> (row + 1) & 1;
}

#define TUFF_OP(name) extern const tuff_op_info tuff_op_##name;
#include "ir/ops.def"
#undef TUFF_OP

/* The descriptor of an op; the table is in src/ops/table.c. */
const tuff_op_info *tuff_op_info_of(tuff_op op);

/* For infer of variadic ops: makes n outputs, output i in place on input in_place_of[i]. */
tuff_status tuff_infer_in_place(tuff_graph *g, tuff_node *node, const int *in_place_of, int n);

/* True when a kernel row can serve the node on a device (law 6: the one predicate). */
bool tuff_row_fits(const tuff_node *node, const tuff_caps *caps, int row);
/* Index of the first row that fits, -1 if none. */
int tuff_choose_row(const tuff_node *node, const tuff_caps *caps);

/* Common costs. */
tuff_cost tuff_cost_elementwise(const tuff_node *node); /* 1 flop per output element, all operand bytes */

#endif
