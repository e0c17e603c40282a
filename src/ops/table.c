/* The table of descriptors, expanded from ir/ops.def. */
#include "ir/op.h"

static const tuff_op_info *const table[TUFF_OP_COUNT] = {
#define TUFF_OP(name) [TUFF_OP_##name] = &tuff_op_##name,
#include "ir/ops.def"
#undef TUFF_OP
};

const tuff_op_info *tuff_op_info_of(tuff_op op)
{
    return table[op];
}
