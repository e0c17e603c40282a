/* A plan: a graph compiled for one kind of device. Plain data: printable, diffable, testable without a
 * device.
 *
 * Compile = verify -> rewrite -> choose kernel rows -> order, memory plan, hazards. */
#ifndef TUFF_IR_PLAN_H
#define TUFF_IR_PLAN_H

#include "base/text.h"
#include "ir/op.h"

typedef enum tuff_memory_kind {
    TUFF_MEMORY_NONE,     /* an absent operand */
    TUFF_MEMORY_ARENA,    /* index: arena block */
    TUFF_MEMORY_VARIABLE, /* index: plan variable */
    TUFF_MEMORY_INPUT     /* the step buffer; index: plan input */
} tuff_memory_kind;

/* Where an operand lies. `offset` is to its first element (view offset applied); [begin, end) bounds every
 * byte that its strides can reach, both in bytes from the start of the block, variable or step slot. */
typedef struct tuff_location {
    tuff_memory_kind kind;
    uint32_t index;
    uint64_t offset, begin, end;
} tuff_location;

/* What a node does without waiting for itself: all of it, or, of a launch whose dispatches wait for earlier
 * ones, a phase. Phases of one node share operands and scratch memory. */
typedef struct tuff_plan_step {
    const tuff_node *node;
    const tuff_op_info *op;
    int row;                  /* kernel row; -1: the host kernel */
    tuff_launch *launch;      /* the step's dispatches; NULL with row -1 */
    const tuff_launch *whole; /* those of all phases */
    uint32_t phase, n_phases;
    uint32_t level;          /* not descending; steps of one level do not wait for each other */
    bool barrier;            /* waits for all earlier steps since the last barrier */
    tuff_location *in, *out; /* node->n_in, node->n_out */
    tuff_location scratch;
    tuff_location *lists; /* launch->n_lists: of kind TUFF_MEMORY_INPUT */
    tuff_cost cost;
} tuff_plan_step;

typedef struct tuff_plan_variable {
    const tuff_tensor *tensor;
    uint64_t bytes;
    bool written; /* some step writes it */
} tuff_plan_variable;

typedef struct tuff_plan_input {
    const tuff_tensor *tensor;
    uint64_t offset, bytes; /* in a step slot */
} tuff_plan_input;

/* A work list of one or more steps, in a step slot; list.input is the plan's input. */
typedef struct tuff_plan_list {
    tuff_work_list list;
    uint64_t offset, bytes;
} tuff_plan_list;

typedef struct tuff_plan_output {
    const tuff_tensor *tensor;
    tuff_location location;
    uint64_t offset, bytes; /* in a readback slot */
} tuff_plan_output;

enum {
    TUFF_ROW_ANY = -1, /* the first that fits */
    TUFF_ROW_HOST = -2 /* none: the host kernel */
};

typedef enum tuff_plan_order_by {
    TUFF_ORDER_AUTO,  /* by levels, but on the host, where nothing waits, as the graph has them */
    TUFF_ORDER_GRAPH, /* as the graph has them */
    TUFF_ORDER_LEVELS /* by levels, also on the host */
} tuff_plan_order_by;

typedef struct tuff_plan_options {
    const tuff_caps *caps; /* required */
    bool no_alias;         /* never reuse an input's memory for an output */
    bool no_reuse;         /* give every tensor memory of its own */
    const int *force_row;  /* by op: a row, used where it fits, TUFF_ROW_ANY or TUFF_ROW_HOST; NULL: any */
    uint64_t max_block;    /* arena block limit in bytes; 0: caps->max_allocation */
    tuff_plan_order_by order;
    uint32_t without_passes; /* a bit per tuff_pass that is not to run */
} tuff_plan_options;

typedef struct tuff_plan {
    tuff_arena arena; /* owns everything below */
    const tuff_graph *graph;
    tuff_caps caps;
    tuff_plan_step *steps;
    size_t n_steps;
    tuff_plan_variable *variables;
    size_t n_variables;
    tuff_plan_input *inputs;
    size_t n_inputs;
    tuff_plan_list *lists;
    size_t n_lists, lists_capacity;
    tuff_plan_output *outputs;
    size_t n_outputs;
    size_t first_write; /* the first step that writes a variable; n_steps when none does */
    uint64_t *blocks;   /* sizes of the arena blocks */
    size_t n_blocks;
    uint64_t input_bytes, output_bytes; /* of one slot */
    uint64_t arena_bytes;               /* sum of blocks */
    uint64_t live_bytes;                /* lower bound: the most bytes live at any one level */
    struct {
        bool by_levels;
        size_t barriers, graph_barriers; /* of this order, of the graph's */
        uint64_t graph_arena_bytes;
    } order; /* what ordering came to */
    double flops, bytes;
} tuff_plan;

/* Compiles `graph`, which must outlive the plan and is frozen by it. Fails with a text that names the op, its
 * shapes and what is missing. */
TUFF_MUST_USE tuff_status tuff_plan_create(tuff_graph *graph, const tuff_plan_options *options,
                                           tuff_plan **out_plan);
void tuff_plan_destroy(tuff_plan **plan);

/* Order: puts steps that do not wait for each other side by side, so that one barrier serves many, plans the
 * memory and sets the barriers; where that does not pay, the steps stay in the graph's order. Part of
 * tuff_plan_create. */
TUFF_MUST_USE tuff_status tuff_plan_order(tuff_plan *plan, const tuff_plan_options *options);

/* Memory: assigns arena offsets to steps' results. What is used at one level lies apart. Part of
 * tuff_plan_order; alone for tests. */
TUFF_MUST_USE tuff_status tuff_plan_memory(tuff_plan *plan, const tuff_plan_options *options);
/* Hazards: sets `barrier` on the fewest steps so that every read-after-write, write-after-read and
 * write-after-write has one between. */
TUFF_MUST_USE tuff_status tuff_plan_hazards(tuff_plan *plan);

/* The bytes of its storage that a tensor's strides can reach: [begin, end). */
void tuff_tensor_reach(const tuff_tensor *x, uint64_t *out_begin, uint64_t *out_end);

/* Fills the work lists that depend on input `index`, whose values are in place in the step slot. */
void tuff_plan_fill_lists(const tuff_plan *plan, size_t index, void *slot);

/* True when the step reads or writes memory in a way that must wait for `earlier`. */
bool tuff_steps_conflict(const tuff_plan_step *earlier, const tuff_plan_step *later);

/* The plan as text, one line per step. */
void tuff_plan_print(const tuff_plan *plan, tuff_buf *out);

#endif
