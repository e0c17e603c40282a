/* Behaving as a lesser device: what a device reports is lowered before any kernel row is chosen. */
#ifndef TUFF_IR_MASK_H
#define TUFF_IR_MASK_H

#include "ir/launch.h"

/* {0} hides nothing. */
typedef struct tuff_mask {
    uint32_t features; /* TUFF_CAP_* bits to hide */
    /* Not 0: kernels are chosen as for subgroups of this size. Those that exchange values within a subgroup
     * are built for the size that it has, so the bits for that are hidden where the two differ. */
    uint32_t subgroup;
    uint32_t shared;     /* not 0: at most this much shared memory per workgroup */
    uint64_t allocation; /* not 0: at most this much in one allocation */
    uint64_t memory;     /* not 0: a budget for all memory of the device */
} tuff_mask;

void tuff_mask_apply(const tuff_mask *mask, tuff_caps *caps);

#endif
