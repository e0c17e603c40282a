#include "ir/mask.h"

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return limit != 0 && limit < value ? limit : value;
}

void tuff_mask_apply(const tuff_mask *mask, tuff_caps *caps)
{
    caps->features &= ~mask->features;
    if (mask->subgroup != 0 && mask->subgroup != caps->subgroup_size) {
        caps->features &= ~(uint32_t)(TUFF_CAP_SUBGROUP_BALLOT | TUFF_CAP_SUBGROUP_ARITHMETIC);
        caps->subgroup_size = mask->subgroup;
    }
    caps->shared_bytes = (uint32_t)at_most(caps->shared_bytes, mask->shared);
    caps->max_allocation = at_most(caps->max_allocation, mask->allocation) & ~(uint64_t)255;
    caps->memory_bytes = at_most(caps->memory_bytes, mask->memory);
}
