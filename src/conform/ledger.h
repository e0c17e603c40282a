/* What a run has found so far: filled case by case, by a run or from its record, and the report that it
 * makes. */
#ifndef TUFF_CONFORM_LEDGER_H
#define TUFF_CONFORM_LEDGER_H

#include <tuff/conform.h>

#include "base/memory.h"
#include "base/text.h"

/* How a case used a kernel. */
typedef struct tuff_kernel_use {
    const char *kernel; /* "matmul/tile" */
    uint64_t uses, batches, faults;
    double worst;
} tuff_kernel_use;

/* One run of a case: what the report tells of it, and what the totals are made from. */
typedef struct tuff_finding {
    tuff_conform_case seen; /* first: the report's cases are the ledger's findings */
    tuff_kernel_use *uses;
    size_t n_uses;
    uint64_t *pipelines; /* a hash of each distinct shader with its specialization constants */
    size_t n_pipelines;
    uint64_t plans, dispatches, validation; /* all of these: of all its rounds, where it has been run again */
} tuff_finding;

/* What a run was asked for, as it was told; "": all, as are 0 shards. */
typedef struct tuff_asked {
    const char *ops, *name, *exclude;
    uint32_t shard, shards;
    bool backward_only;
} tuff_asked;

/* The report begins it: tuff_conform_report_destroy frees the whole. */
typedef struct tuff_ledger {
    tuff_conform_report report;
    tuff_device_info device;
    bool whole; /* all cases with all their gradients: a kernel that none reaches is a fault */
    bool piece; /* of a larger run: others may reach what this one does not */
    bool ended, validated;
    tuff_asked asked;
    tuff_arena arena; /* texts and findings */
    tuff_map names, kernels, pipelines;
    tuff_conform_case **cases;
    tuff_conform_row **rows;
    size_t cases_capacity, rows_capacity;
} tuff_ledger;

TUFF_MUST_USE tuff_status tuff_ledger_create(tuff_ledger **out_ledger);
/* A kernel that the device could be given. */
TUFF_MUST_USE tuff_status tuff_ledger_add_kernel(tuff_ledger *ledger, const char *op, const char *row,
                                                 bool fits, bool batch_free);
/* Copies the finding. A case that is there already has been run with another seed: the two become one, which
 * takes no memory but for what is new in it. */
TUFF_MUST_USE tuff_status tuff_ledger_add(tuff_ledger *ledger, const tuff_finding *finding);
/* Counts what is only known at the end, and sets the verdict. May be called again. */
void tuff_ledger_close(tuff_ledger *ledger);
/* A copy that lives as long as the ledger; "" when there is no memory, which `status` receives. */
const char *tuff_ledger_text(tuff_ledger *ledger, const char *text, tuff_status *status);

/* ---- a ledger as lines of JSON (record.c), without their ends ---- */

void tuff_record_run(const tuff_ledger *ledger, tuff_buf *out);
/* A device that could not be opened. */
void tuff_record_error(const tuff_ledger *ledger, tuff_buf *out);
void tuff_record_begin(const char *name, tuff_buf *out);
/* "matmul/tile, softmax/rows": what the case is about to use. */
void tuff_record_kernels(const char *name, const char *kernels, tuff_buf *out);
void tuff_record_case(const tuff_conform_report *report, const tuff_finding *finding, tuff_buf *out);
void tuff_record_end(const tuff_ledger *ledger, tuff_buf *out);

#endif
