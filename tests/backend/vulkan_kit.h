/* What the tests of the Vulkan backend share: a device to test on, and plans made by hand of fills. */
#ifndef TUFF_TESTS_VULKAN_KIT_H
#define TUFF_TESTS_VULKAN_KIT_H

#include "kit/kit.h"

#ifdef TUFF_HAVE_VULKAN

#include "backend/vulkan/program.h"
#include "backend/vulkan/vk.h"
#include "base/log.h"
#include "base/memory.h"
#include "shaders/args/fill.h"

static const tuff_backend *const vulkan = &tuff_backend_vulkan;

/* What the validation layer says is shown. */
static inline void kit_vulkan_message(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == TUFF_LOG_ERROR || tuff_starts_with(message, "Vulkan validation"))
        print_message("%s\n", message);
}

/* The device under test: a software one where there is one, so that a developer's GPU is left in peace. -1:
 * none. */
static inline int kit_vulkan_index(void)
{
    tuff_device_description found[16];
    size_t n = 0;
    char reason[256];
    tuff_set_log(kit_vulkan_message, TUFF_LOG_WARN, NULL);
    if (vulkan->list(found, 16, &n, reason) != TUFF_OK) return -1;
    int usable = -1;
    for (size_t i = 0; i < n && i < 16; i++) {
        if (!found[i].usable) continue;
        if (found[i].kind == TUFF_KIND_SOFTWARE) return (int)i;
        if (usable < 0) usable = (int)i;
    }
    return usable;
}

static inline tuff_backend_device *kit_vulkan_open(tuff_open_params params)
{
    tuff_backend_device *device = NULL;
    params.validate = true;
    KIT_OK(vulkan->open((size_t)kit_vulkan_index(), &params, &device));
    return device;
}

/* Closes it, and fails if anything is still held or the validation layer spoke since the process started. */
static inline void kit_vulkan_close(tuff_backend_device **device)
{
    vulkan->close(device);
    assert_null(*device);
    assert_int_equal(tuff_vk_validation_messages(), 0);
}

static inline tuff_backend_stats kit_vulkan_stats(const tuff_backend_device *device)
{
    tuff_backend_stats stats;
    vulkan->stats(device, &stats);
    return stats;
}

/* A plan of steps that each fill n floats at an offset of a variable (0, 1, ...) or of the arena's only
 * block. */
enum { KIT_STEPS = 128, KIT_BLOCK = 64 << 10 };
typedef struct kit_plan {
    tuff_plan plan;
    tuff_arena arena;
    tuff_plan_step steps[KIT_STEPS];
    tuff_node nodes[KIT_STEPS];
    tuff_location in[KIT_STEPS], out[KIT_STEPS];
    tuff_tensor tensor;
    tuff_tensor *tensors[1];
    tuff_plan_variable variables[4];
    tuff_plan_output output;
    uint64_t block;
} kit_plan;

static const tuff_op_info kit_fill_op = {.name = "fill"};

static inline void kit_plan_init(kit_plan *p, const tuff_backend_device *device, uint64_t variable_bytes)
{
    memset(p, 0, sizeof *p);
    p->tensor.name = "x";
    p->tensors[0] = &p->tensor;
    p->block = KIT_BLOCK;
    p->plan = (tuff_plan){.caps = device->caps,
                          .steps = p->steps,
                          .variables = p->variables,
                          .n_variables = 1,
                          .blocks = &p->block,
                          .n_blocks = 1};
    p->variables[0] = (tuff_plan_variable){.tensor = &p->tensor, .bytes = variable_bytes, .written = true};
}

/* The output is `bytes` of a place. */
static inline void kit_plan_output(kit_plan *p, tuff_memory_kind kind, uint64_t offset, uint64_t bytes)
{
    p->output = (tuff_plan_output){&p->tensor, {kind, 0, offset, offset, offset + bytes}, 0, bytes};
    p->plan.outputs = &p->output;
    p->plan.n_outputs = 1;
    p->plan.output_bytes = bytes;
}

static inline tuff_plan_step *kit_plan_step(kit_plan *p, tuff_memory_kind kind, uint64_t offset,
                                            uint64_t bytes)
{
    size_t i = p->plan.n_steps++;
    assert_true(i < KIT_STEPS);
    p->out[i] = (tuff_location){kind, 0, offset, offset, offset + bytes};
    p->nodes[i] = (tuff_node){.n_out = 1, .out = p->tensors};
    p->steps[i] = (tuff_plan_step){
        .node = &p->nodes[i], .op = &kit_fill_op, .in = &p->in[i], .out = &p->out[i], .row = -1};
    return &p->steps[i];
}

static inline tuff_plan_step *kit_plan_fill(kit_plan *p, tuff_memory_kind kind, uint64_t offset, uint32_t n,
                                            float value, bool barrier)
{
    tuff_plan_step *step = kit_plan_step(p, kind, offset, (uint64_t)n * 4);
    step->row = 0;
    step->barrier = barrier;
    step->launch = tuff_arena_alloc(&p->arena, sizeof *step->launch);
    assert_non_null(step->launch);
    step->launch->arena = &p->arena;
    tuff_fill_args *args = TUFF_LAUNCH(step->launch, fill, tuff_fill_args);
    tuff_launch_address(step->launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->n = n;
    args->value = value;
    tuff_launch_groups_1d(step->launch, &p->plan.caps, (n + 63) / 64);
    assert_false(step->launch->failed);
    return step;
}

static inline void kit_plan_free(kit_plan *p)
{
    tuff_arena_free(&p->arena);
}

#endif
#endif
