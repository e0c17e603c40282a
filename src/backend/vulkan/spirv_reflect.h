/* What a SPIR-V module declares of itself. */
#ifndef TUFF_BACKEND_VULKAN_SPIRV_REFLECT_H
#define TUFF_BACKEND_VULKAN_SPIRV_REFLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "ir/launch.h"

enum {
    TUFF_SPIRV_MAX_CAPABILITIES = 32,
    TUFF_SPIRV_MAX_MEMBERS = 256,
    TUFF_SPIRV_NO_SPEC = 0xffff /* a local size that is no specialization constant */
};

typedef struct tuff_spirv_member {
    uint32_t offset, bytes;
    bool address; /* a buffer reference */
} tuff_spirv_member;

typedef struct tuff_spirv_info {
    uint32_t capabilities[TUFF_SPIRV_MAX_CAPABILITIES];
    size_t n_capabilities;
    uint32_t local_size[3];      /* the defaults */
    uint32_t local_size_spec[3]; /* specialization ids, or TUFF_SPIRV_NO_SPEC */
    uint32_t spec_ids;           /* bit i: constant id i is declared */
    bool has_args;
    uint32_t args_bytes; /* of the argument struct, as C's sizeof */
    tuff_spirv_member
        members[TUFF_SPIRV_MAX_MEMBERS]; /* its scalars and addresses, in order; arrays spelled out */
    size_t n_members;
} tuff_spirv_info;

/* Fails with TUFF_BAD_FORMAT on anything that is no well-formed module; never reads past the words. */
TUFF_MUST_USE tuff_status tuff_spirv_reflect(const uint32_t *words, size_t n_words, tuff_spirv_info *out);

/* TUFF_CAP_* bits that the capabilities demand beyond the floor; false when one of them is not known to Tuff
 * at all
 * (*out_unknown). */
bool tuff_spirv_needs(const tuff_spirv_info *info, uint32_t *out_needs, uint32_t *out_unknown);

/* What C says of a dispatch against what its shader says of itself: NULL when they agree, else what is wrong,
 * a constant text (spirv_check.c). */
const char *tuff_spirv_check(const tuff_spirv_info *info, const tuff_dispatch *dispatch,
                             const tuff_caps *caps);
/* The workgroup's size along an axis under the dispatch's specialization constants. */
uint32_t tuff_spirv_local_size(const tuff_spirv_info *info, const tuff_dispatch *dispatch, int axis);

/* Bytes of shared memory per workgroup under the dispatch's specialization constants, of a module that was
 * reflected (spirv_shared.c). */
TUFF_MUST_USE tuff_status tuff_spirv_shared_bytes(const uint32_t *words, size_t n_words,
                                                  const tuff_dispatch *dispatch, uint64_t *out);

#endif
