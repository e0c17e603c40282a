/* Groups of places: what the shape rule, the host loop and the launches share. */
#ifndef TUFF_OPS_GROUP_H
#define TUFF_OPS_GROUP_H

#include "ir/op.h"

/* The group of a place, n where it is in none. */
static inline int64_t tuff_group_of(int32_t group, int64_t n)
{
    return group >= 0 && group < n ? group : n;
}

#endif
