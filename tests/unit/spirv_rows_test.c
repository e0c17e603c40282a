/* Every kernel row against its shaders: sizes and places of arguments, specialization constants, workgroups,
 * and the capabilities that the SPIR-V declares, which must be among those that the row asks for. So a row
 * that asks for nothing optional is served by a device that has nothing optional. */
#include "kit/kit.h"

#ifdef TUFF_HAVE_VULKAN

#include "backend/vulkan/shader_source.h"
#include "conform/runner.h"
#include "ir/plan.h"

static tuff_vk_module modules[TUFF_SHADER_COUNT];
static bool reached[TUFF_SHADER_COUNT];
static uint64_t most_shared;

/* The weakest device that Vulkan 1.2 allows, a common one, and two that offer everything. */
static const tuff_caps presets[] = {
    {.subgroup_size = 4,
     .shared_bytes = 16 << 10,
     .max_workgroup = 128,
     .max_groups = {65535, 65535, 65535},
     .max_allocation = 1 << 30,
     .memory_bytes = 1 << 30},
    {.subgroup_size = 32,
     .shared_bytes = 48 << 10,
     .max_workgroup = 1024,
     .max_groups = {0x7fffffff, 65535, 65535},
     .max_allocation = 1u << 31,
     .memory_bytes = 1ull << 33},
    {.features = ~0u,
     .subgroup_size = 8,
     .shared_bytes = 32 << 10,
     .max_workgroup = 1024,
     .max_groups = {65535, 65535, 65535},
     .max_allocation = 1u << 31,
     .memory_bytes = 1ull << 33},
    {.features = ~0u,
     .subgroup_size = 64,
     .shared_bytes = 64 << 10,
     .max_workgroup = 1024,
     .max_groups = {0xffffffff, 65535, 65535},
     .max_allocation = 1ull << 32,
     .memory_bytes = 1ull << 34},
};

static void check_step(const tuff_plan_step *step, tuff_caps caps)
{
    const tuff_kernel_row *row = &step->op->rows[step->row];
    caps.features = row->needs & (TUFF_CAP_WITHOUT(1) - 1);
    for (size_t i = 0; i < step->launch->n; i++) {
        const tuff_dispatch *d = step->launch->dispatches[i];
        const char *fault = tuff_spirv_check(&modules[d->shader].info, d, &caps);
        if (fault)
            fail_msg("%s, row %s, shader %s (arguments %u bytes, C gives %u): %s", step->op->name, row->name,
                     tuff_spirv_pack[d->shader].name, modules[d->shader].info.args_bytes, d->args_size,
                     fault);
        uint64_t shared;
        KIT_OK(tuff_spirv_shared_bytes(modules[d->shader].words, modules[d->shader].n_words, d, &shared));
        if (shared > caps.shared_bytes)
            fail_msg("%s, row %s, shader %s: %llu bytes of shared memory, the device has %u", step->op->name,
                     row->name, tuff_spirv_pack[d->shader].name, (unsigned long long)shared,
                     caps.shared_bytes);
        if (shared > most_shared) most_shared = shared;
        reached[d->shader] = true;
    }
}

static void check_case(const tuff_case *c, const tuff_caps *caps, int row)
{
    int force[TUFF_OP_COUNT];
    for (int i = 0; i < TUFF_OP_COUNT; i++)
        force[i] = row;
    tuff_case_run *run;
    tuff_plan *plan;
    KIT_OK(tuff_case_build(c, &(tuff_build_options){.seed = 1, .backward = true}, &run));
    KIT_OK(tuff_plan_create(run->graph, &(tuff_plan_options){.caps = caps, .force_row = force}, &plan));
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].row >= 0) check_step(&plan->steps[s], *caps);
    tuff_plan_destroy(&plan);
    tuff_case_destroy(&run);
}

static int most_rows(void)
{
    int most = 1;
    for (int op = 0; op < TUFF_OP_COUNT; op++)
        if (tuff_op_info_of((tuff_op)op)->n_rows > most) most = tuff_op_info_of((tuff_op)op)->n_rows;
    return most;
}

static void every_row_fits_its_shaders(void **state)
{
    (void)state;
    for (int i = 0; i < TUFF_SHADER_COUNT; i++)
        KIT_OK(tuff_shader_load((tuff_shader)i, NULL, NULL, &modules[i]));
    for (size_t p = 0; p < sizeof presets / sizeof *presets; p++)
        for (int row = 0; row < most_rows(); row++)
            for (size_t f = 0; tuff_case_families[f]; f++)
                for (size_t i = 0; i < tuff_case_families[f]->n_cases; i++)
                    check_case(&tuff_case_families[f]->cases[i], &presets[p], row);
    print_message("the most shared memory: %llu bytes\n", (unsigned long long)most_shared);
    assert_true(most_shared >= 8192); /* the tiles of a matrix product: the sum is not of nothing */
    for (int i = 0; i < TUFF_SHADER_COUNT; i++)
        if (!reached[i]) fail_msg("no case of the suite dispatches shader %s", tuff_spirv_pack[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_row_fits_its_shaders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77;
}

#endif
