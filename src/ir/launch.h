/* How a node becomes dispatches on a device: capabilities, kernel rows, and the plain data that a backend
 * replays. Pure: tested without a device. */
#ifndef TUFF_IR_LAUNCH_H
#define TUFF_IR_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "ir/graph.h"
#include "shaders/shader_ids.h"

/* What a device offers. Filled by the backend; lowered by masks. */
typedef struct tuff_caps {
    bool is_host;           /* the CPU backend: runs op->cpu, needs no row */
    uint32_t features;      /* TUFF_CAP_* */
    uint32_t subgroup_size; /* 0: unknown */
    uint32_t shared_bytes;  /* per workgroup */
    uint32_t max_workgroup; /* invocations */
    uint32_t max_groups[3];
    uint64_t max_allocation; /* bytes of one allocation */
    uint64_t memory_bytes;   /* of the heap used for tensors */
    /* Bit r of quarantined[op]: kernel row r of the op was found wrong on this device and is not chosen. */
    uint16_t quarantined[TUFF_OP_COUNT];
} tuff_caps;

#define TUFF_MAX_ROWS 16

enum {
    TUFF_CAP_SUBGROUP_ARITHMETIC = 1 << 0,
    TUFF_CAP_F16_STORAGE = 1 << 1, /* 16-bit storage buffer access */
    TUFF_CAP_F16_ARITHMETIC = 1 << 2,
    TUFF_CAP_INT8 = 1 << 3, /* 8-bit storage and integer dot product */
    TUFF_CAP_COOPERATIVE_MATRIX = 1 << 4,
    TUFF_CAP_SUBGROUP_BALLOT = 1 << 5, /* also broadcasts within a subgroup */
    TUFF_CAP_SOFTWARE = 1 << 6,        /* a driver that runs on the CPU: loads and barriers are what costs */
    TUFF_CAP_SHORT_CODE = 1 << 7,      /* its compiler is slow with long code: loops are to stay loops */
    TUFF_CAP_LITTLE_CODE =
        1 << 8 /* and takes memory by the square of it: gigabytes for the longest kernels */
};
#define TUFF_CAP_WITHOUT(bits) ((uint32_t)(bits) << 16)
/* What rows of kernels with much code need. */
#define TUFF_NEEDS_MUCH_CODE TUFF_CAP_WITHOUT(TUFF_CAP_LITTLE_CODE)

typedef enum tuff_operand_kind {
    TUFF_OPERAND_IN,      /* node->in[index] */
    TUFF_OPERAND_OUT,     /* node->out[index] */
    TUFF_OPERAND_SCRATCH, /* the node's scratch memory */
    TUFF_OPERAND_DATA,    /* the launch's own data table (index = byte offset 0) */
    TUFF_OPERAND_LIST     /* work list `index` of the launch */
} tuff_operand_kind;

/* What a kernel has to do, as far as it depends on the values of an input: which tiles there are, say. The
 * host derives it whenever it sets the input, so that no workgroup searches. Grids are recorded for
 * `capacity` entries; entries that are all zero are unused. Two lists that are equal are one. */
typedef struct tuff_work_list tuff_work_list;
struct tuff_work_list {
    int input;                /* node->in[input]: an input of the graph, as it lies in the step buffer */
    uint32_t words, capacity; /* 32-bit words of an entry; entries */
    /* Pure. Writes words * capacity words, which are zero before, from the input's values. */
    void (*fill)(const tuff_work_list *list, const void *values, int32_t *out);
    int64_t param[8]; /* what fill knows besides */
};

/* "Write the device address of this operand, plus offset bytes, at byte `at`." */
typedef struct tuff_reloc {
    uint32_t at; /* byte offset in the args of its dispatch, or in the data table */
    uint8_t kind;
    uint32_t index;
    uint64_t offset;
} tuff_reloc;

#define TUFF_MAX_LISTS 4 /* of a launch */
#define TUFF_MAX_SPEC  12
#define TUFF_MAX_ARGS  128 /* bytes of push constants that every device has */

typedef struct tuff_dispatch {
    tuff_shader shader;
    uint32_t groups[3];
    uint32_t spec[TUFF_MAX_SPEC]; /* specialization constants 0..n_spec-1 */
    int n_spec;
    bool after;    /* reads what an earlier dispatch of this launch wrote: needs a barrier before it */
    uint8_t *args; /* a struct of shaders/args.h with its addresses still 0 */
    uint32_t args_size;
    tuff_reloc *relocs;
    size_t n_relocs, relocs_capacity;
} tuff_dispatch;

typedef struct tuff_launch {
    tuff_arena *arena; /* all memory below comes from here */
    bool failed;       /* sticky: out of memory, or a geometry that the device cannot hold */
    tuff_dispatch **dispatches;
    size_t n, capacity;
    uint64_t scratch_bytes;
    uint8_t *data; /* the data table: constant bytes (tables of addresses) that live in device memory beside
                      the plan */
    size_t data_size;
    tuff_reloc *data_relocs;
    size_t n_data_relocs, data_relocs_capacity;
    tuff_work_list lists[TUFF_MAX_LISTS];
    int n_lists;
} tuff_launch;

typedef struct tuff_kernel_row {
    const char *name;
    uint32_t needs; /* TUFF_CAP_* bits that must be present; those in TUFF_CAP_WITHOUT must not */
    /* Beyond `needs`: shapes, dtypes, strides and alignment that this row's loads require. NULL: always. */
    bool (*match)(const tuff_node *node, const tuff_caps *caps);
    void (*geometry)(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
} tuff_kernel_row;

/* Whether a device has what a row needs, whatever is computed. */
static inline bool tuff_row_suits(const tuff_kernel_row *row, const tuff_caps *caps)
{
    const uint32_t present = row->needs & (TUFF_CAP_WITHOUT(1) - 1),
                   absent = row->needs / TUFF_CAP_WITHOUT(1);
    return (caps->features & present) == present && !(caps->features & absent);
}

/* True when no dispatch before this one runs its shader with its constants, or its shader with any: for going
 * over the kernels, or the shaders, of a launch once. */
bool tuff_launch_is_first(const tuff_launch *launch, size_t dispatch);
bool tuff_launch_is_first_of_shader(const tuff_launch *launch, size_t dispatch);

/* ---- for geometry functions; all are harmless on a failed launch ---- */

/* Appends a dispatch and returns its zeroed args struct (scratch memory on a failed launch, never NULL). */
void *tuff_launch_add(tuff_launch *launch, tuff_shader shader, uint32_t args_size);
#define TUFF_LAUNCH(launch, shader_id, type) \
    ((type *)tuff_launch_add(launch, TUFF_SHADER_##shader_id, sizeof(type)))
/* The rest describe the last dispatch added. `field` points into its args. */
void tuff_launch_address(tuff_launch *launch, uint64_t *field, tuff_operand_kind kind, int index,
                         uint64_t offset);
void tuff_launch_groups(tuff_launch *launch, uint64_t x, uint64_t y, uint64_t z);
/* A 1-D grid folded into x and y past the device's limit; shaders read it with TUFF_GROUP_1D. */
void tuff_launch_groups_1d(tuff_launch *launch, const tuff_caps *caps, uint64_t groups);
void tuff_launch_spec(tuff_launch *launch, uint32_t value); /* the next specialization constant */
void tuff_launch_after(tuff_launch *launch);
/* Scratch memory: returns the byte offset of a new 64-byte aligned part. */
uint64_t tuff_launch_scratch(tuff_launch *launch, uint64_t bytes);
/* The data table (one per launch): returns it zeroed, NULL on a failed launch; addresses in it through
 * tuff_launch_data_address. */
void *tuff_launch_data(tuff_launch *launch, size_t size);
void tuff_launch_data_address(tuff_launch *launch, uint64_t *field, tuff_operand_kind kind, int index,
                              uint64_t offset);
/* Declares a work list; returns its number, for addresses of kind TUFF_OPERAND_LIST. */
int tuff_launch_list(tuff_launch *launch, const tuff_work_list *list);

#endif
