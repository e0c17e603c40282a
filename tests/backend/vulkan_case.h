/* Conformance cases as programs of the Vulkan backend. */
#ifndef TUFF_TESTS_VULKAN_CASE_H
#define TUFF_TESTS_VULKAN_CASE_H

#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

#include "conform/runner.h"

typedef struct kit_case {
    tuff_case_run *run;
    tuff_plan *plan;
    tuff_backend_buffer **variables;
} kit_case;

/* Builds a case, forward and backward, and plans it for the device. False: some step has no kernel row there.
 */
static inline bool kit_case_plan(kit_case *x, const tuff_case *c, const tuff_backend_device *device)
{
    *x = (kit_case){0};
    KIT_OK(tuff_case_build(c, &(tuff_build_options){.seed = 1, .backward = true}, &x->run));
    KIT_OK(tuff_plan_create(x->run->graph, &(tuff_plan_options){.caps = &device->caps}, &x->plan));
    for (size_t i = 0; i < x->plan->n_steps; i++)
        if (x->plan->steps[i].row < 0) return false;
    return true;
}

/* Makes the variables and writes the case's data to them. */
static inline void kit_case_load(kit_case *x, tuff_backend_device *device)
{
    x->variables = test_calloc(x->plan->n_variables + 1, sizeof *x->variables);
    for (size_t i = 0; i < x->plan->n_variables; i++)
        KIT_OK(vulkan->buffer_create(device, x->plan->variables[i].bytes, "variable", &x->variables[i]));
    for (size_t i = 0; i < x->run->n_leaves; i++) {
        const tuff_tensor *leaf = x->run->leaves[i].tensor;
        for (size_t k = 0; k < x->plan->n_variables; k++) {
            if (x->plan->variables[k].tensor != leaf->storage) continue;
            uint64_t size = tuff_tensor_bytes(leaf);
            uint8_t *bytes = test_malloc(size);
            tuff_case_leaf_bytes(&x->run->leaves[i], bytes);
            KIT_OK(vulkan->buffer_write(device, x->variables[k], tuff_dtype_bytes(leaf->dtype, leaf->offset),
                                        bytes, size));
            test_free(bytes);
        }
    }
}

static inline void kit_case_free(kit_case *x, tuff_backend_device *device)
{
    for (size_t i = 0; x->variables && i < x->plan->n_variables; i++)
        vulkan->buffer_destroy(device, &x->variables[i]);
    test_free(x->variables);
    tuff_plan_destroy(&x->plan);
    tuff_case_destroy(&x->run);
}

#endif
#endif
