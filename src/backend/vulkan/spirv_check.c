/* Law 7: the C side of a kernel is held to what its SPIR-V declares. */
#include "backend/vulkan/spirv_reflect.h"

bool tuff_spirv_needs(const tuff_spirv_info *info, uint32_t *out_needs, uint32_t *out_unknown)
{
    static const struct {
        uint32_t capability, needs;
    } known[] = {
        {1, 0},    /* Shader */
        {61, 0},   /* GroupNonUniform: part of Vulkan 1.1 */
        {5347, 0}, /* PhysicalStorageBufferAddresses */
        {63, TUFF_CAP_SUBGROUP_ARITHMETIC},
        {64, TUFF_CAP_SUBGROUP_BALLOT},
        {4433, TUFF_CAP_F16_STORAGE}, /* StorageBuffer16BitAccess */
        {9, TUFF_CAP_F16_ARITHMETIC}, /* Float16 */
        {39, TUFF_CAP_INT8},          /* Int8 */
        {4448, TUFF_CAP_INT8},        /* StorageBuffer8BitAccess */
        {6016, TUFF_CAP_INT8},        /* DotProductInputAll */
        {6017, TUFF_CAP_INT8},        /* DotProductInput4x8Bit */
        {6018, TUFF_CAP_INT8},        /* DotProductInput4x8BitPacked */
        {6019, TUFF_CAP_INT8},        /* DotProduct */
    };
    *out_needs = *out_unknown = 0;
    for (size_t i = 0; i < info->n_capabilities; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (known[k].capability == info->capabilities[i]) {
                *out_needs |= known[k].needs;
                found = true;
            }
        if (found) continue;
        *out_unknown = info->capabilities[i];
        return false;
    }
    return true;
}

uint32_t tuff_spirv_local_size(const tuff_spirv_info *info, const tuff_dispatch *dispatch, int axis)
{
    uint32_t id = info->local_size_spec[axis];
    return id != TUFF_SPIRV_NO_SPEC && (int)id < dispatch->n_spec ? dispatch->spec[id]
                                                                  : info->local_size[axis];
}

static const char *check_args(const tuff_spirv_info *info, const tuff_dispatch *dispatch)
{
    if (!info->has_args) return dispatch->args_size ? "the shader takes no arguments" : NULL;
    if (info->args_bytes != dispatch->args_size) return "the arguments' size differs from the shader's";
    if (info->args_bytes > TUFF_MAX_ARGS) return "the arguments do not fit the push constants";
    for (size_t i = 0; i < dispatch->n_relocs; i++) {
        bool found = false;
        for (size_t k = 0; k < info->n_members && !found; k++)
            found = info->members[k].address && info->members[k].offset == dispatch->relocs[i].at;
        if (!found) return "an address is written where the shader has none";
    }
    return NULL;
}

static const char *check_grid(const tuff_spirv_info *info, const tuff_dispatch *dispatch,
                              const tuff_caps *caps)
{
    uint64_t invocations = 1;
    for (int axis = 0; axis < 3; axis++) {
        uint32_t size = tuff_spirv_local_size(info, dispatch, axis);
        if (size == 0) return "the workgroup is empty";
        if (size > caps->max_workgroup) return "the workgroup has too many invocations";
        invocations *= size;
        if (dispatch->groups[axis] == 0 || dispatch->groups[axis] > caps->max_groups[axis])
            return "the grid is empty or too large";
    }
    return invocations > caps->max_workgroup ? "the workgroup has too many invocations" : NULL;
}

const char *tuff_spirv_check(const tuff_spirv_info *info, const tuff_dispatch *dispatch,
                             const tuff_caps *caps)
{
    uint32_t needs, unknown;
    if (!tuff_spirv_needs(info, &needs, &unknown))
        return "the shader uses a capability that Tuff never enables";
    if (needs & ~caps->features)
        return "the shader uses a capability that the device lacks or that is masked";
    if (dispatch->n_spec < TUFF_MAX_SPEC && info->spec_ids >> dispatch->n_spec)
        return "the shader has more specialization constants than are given";
    const char *fault = check_args(info, dispatch);
    return fault ? fault : check_grid(info, dispatch, caps);
}
