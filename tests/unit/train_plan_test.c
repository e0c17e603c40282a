/* The plans of training at the size of real models, made without their weights: what the arena takes beside
 * its lower bound, that blocks keep within a device's allocations, and how long planning takes. */
#include <stdio.h>
#include <time.h>

#include "kit/kit.h"
#include "runtime/program.h"
#include "train/lm.h"
#include "train/trainer.h"

static const tuff_config gpt2_124m = {.arch = &tuff_arch_gpt2,
                                      .vocab_size = 50257,
                                      .hidden_size = 768,
                                      .layers = 12,
                                      .heads = 12,
                                      .kv_heads = 12,
                                      .head_dim = 64,
                                      .intermediate_size = 3072,
                                      .max_positions = 1024,
                                      .norm_eps = 1e-5,
                                      .causal = true,
                                      .tied = true,
                                      .learned_positions = true,
                                      .final_norm = true,
                                      .layer = {.fused_qkv = true,
                                                .qkv_bias = true,
                                                .out_bias = true,
                                                .mlp_bias = true,
                                                .activation = TUFF_ACT_GELU_TANH}};
static const tuff_config llama_135m = {
    .arch = &tuff_arch_llama,
    .vocab_size = 49152,
    .hidden_size = 576,
    .layers = 30,
    .heads = 9,
    .kv_heads = 3,
    .head_dim = 64,
    .intermediate_size = 1536,
    .max_positions = 2048,
    .norm_eps = 1e-5,
    .rope.theta = 10000,
    .norm = TUFF_NORM_RMS,
    .causal = true,
    .tied = true,
    .final_norm = true,
    .layer = {.activation = TUFF_ACT_SILU, .gated = true, .rope = TUFF_ROTARY_MAIN}};

/* The CPU, and a device with the least that a GPU has. */
static const tuff_backend *const backends[] = {&tuff_backend_cpu, &tuff_backend_null};

static tuff_model model_of(const tuff_config *config)
{
    tuff_model model = {.config = *config};
    model.config.head = config->arch->heads;
    KIT_OK(tuff_params_list(&model.config, &model.params));
    return model;
}

static void forget(tuff_model *model)
{
    tuff_params_free(&model->params);
}

static tuff_device device_of(const tuff_backend *backend)
{
    tuff_device device = {.backend = backend};
    KIT_OK(backend->open(0, &(tuff_open_params){0}, &device.handle));
    return device;
}

/* Causal language modelling with batches of so many blocks. */
typedef struct work {
    tuff_lm lm;
    tuff_dataset data;
    int64_t batch;
} work;

static work work_of(const tuff_model *model, int64_t batch, int64_t length)
{
    return (work){.lm = {.model = model, .rope_positions = model->config.max_positions, .trains_model = true},
                  .data = {.task = &tuff_task_causal_lm, .block_size = length},
                  .batch = batch};
}

static tuff_program *plan(work *w, tuff_lm_step step, tuff_device *device)
{
    const tuff_lm_train train = {
        .step = step,
        .shape = {.tokens = w->batch * w->data.block_size, .sequences = w->batch},
        .optimizer = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_grad_norm = 1}};
    tuff_program *program = NULL;
    tuff_graph *graph = NULL;
    w->lm.data = &w->data;
    clock_t begin = clock();
    KIT_OK(tuff_graph_create(&graph));
    KIT_OK(tuff_lm_build(&w->lm, &train, graph));
    KIT_OK(tuff_program_create(device, &graph, &program));
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    const char *sanitize = getenv("TUFF_TEST_SANITIZE");
    if (seconds > 1 && !(sanitize && *sanitize)) fail_msg("planning took %.2f s", seconds);
    return program;
}

static uint64_t arena_near_bound(work *w, tuff_lm_step step, tuff_device *device)
{
    tuff_program *program = plan(w, step, device);
    tuff_program_memory memory = tuff_program_memory_of(program);
    double ratio = (double)memory.arena / (double)memory.arena_bound;
    printf("%s %s %lldx%lld: arena %.1f MB, bound %.1f MB, ratio %.4f, %zu blocks\n", device->backend->name,
           w->lm.model->config.arch->name, (long long)w->batch, (long long)w->data.block_size,
           (double)memory.arena / 1e6, (double)memory.arena_bound / 1e6, ratio, program->plan->n_blocks);
    assert_true(memory.arena >= memory.arena_bound);
    assert_true(ratio <= 1.15);
    uint64_t most = program->plan->caps.max_allocation;
    for (size_t i = 0; most && i < program->plan->n_blocks; i++)
        assert_true(program->plan->blocks[i] <= most);
    tuff_program_destroy(&program);
    return memory.arena;
}

static void arenas_are_near_their_bound(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = {{1, 64}, {4, 256}};
    const tuff_config *const configs[] = {&gpt2_124m, &llama_135m};
    for (int c = 0; c < 2; c++)
        for (int b = 0; b < 2; b++)
            for (int s = 0; s < 2; s++) {
                tuff_model model = model_of(configs[c]);
                tuff_device device = device_of(backends[b]);
                work w = work_of(&model, shapes[s][0], shapes[s][1]);
                arena_near_bound(&w, TUFF_LM_STEP, &device);
                device.backend->close(&device.handle);
                forget(&model);
            }
}

/* Gradients that are added up die as they are added, and the update reads the sums where they are. */
static void accumulation_takes_less_than_a_step(void **state)
{
    (void)state;
    tuff_model model = model_of(&gpt2_124m);
    tuff_device device = device_of(&tuff_backend_null);
    work w = work_of(&model, 1, 64);
    uint64_t step = arena_near_bound(&w, TUFF_LM_STEP, &device);
    uint64_t sum = arena_near_bound(&w, TUFF_LM_ACCUMULATE, &device);
    assert_true(sum < step / 2);
    tuff_program *update = plan(&w, TUFF_LM_UPDATE, &device);
    assert_true(tuff_program_memory_of(update).arena < 1 << 20);
    assert_int_equal(update->plan->n_inputs, 1);
    tuff_program_destroy(&update);
    device.backend->close(&device.handle);
    forget(&model);
}

static size_t steps_of(const tuff_program *program, tuff_op op)
{
    size_t n = 0;
    for (size_t i = 0; i < program->plan->n_steps; i++)
        n += program->plan->steps[i].node->op == op;
    return n;
}

/* Of queries, keys and values that one product gives, the gradients go into that product's side by side,
 * without three tensors of its size and their sums. */
static void gradients_of_a_fused_product_are_joined(void **state)
{
    (void)state;
    tuff_model model = model_of(&gpt2_124m);
    for (int b = 0; b < 2; b++) {
        tuff_device device = device_of(backends[b]);
        work w = work_of(&model, 4, 256);
        tuff_program *program = plan(&w, TUFF_LM_STEP, &device);
        assert_int_equal(steps_of(program, TUFF_OP_concat), 12 + 1); /* and one of the head's chunks */
        assert_int_equal(steps_of(program, TUFF_OP_pad), 0);
        tuff_program_destroy(&program);
        device.backend->close(&device.handle);
    }
    forget(&model);
}

/* Weights, optimizer, gradients: what the plan knows before anything runs. */
static void variables_are_counted(void **state)
{
    (void)state;
    tuff_model model = model_of(&gpt2_124m);
    tuff_device device = device_of(&tuff_backend_null);
    work w = work_of(&model, 1, 64);
    const uint64_t parameters = 124439808; /* as transformers counts GPT-2 */
    tuff_program *program = plan(&w, TUFF_LM_STEP, &device);
    assert_int_equal(tuff_program_memory_of(program).variables, 3 * 4 * parameters + 16);
    tuff_program_destroy(&program);
    program = plan(&w, TUFF_LM_ACCUMULATE, &device);
    assert_int_equal(tuff_program_memory_of(program).variables, 2 * 4 * parameters);
    tuff_program_destroy(&program);
    device.backend->close(&device.handle);
    forget(&model);
}

/* Angles that depend on the length are those of the training's blocks, as transformers has them of its texts.
 */
static void tables_are_for_what_is_declared(void **state)
{
    (void)state;
    tuff_dataset blocks = {.task = &tuff_task_causal_lm, .block_size = 256},
                 texts = {.task = &tuff_task_causal_lm};
    tuff_model model = {.config = llama_135m};
    assert_int_equal(tuff_data_positions(&model, &blocks), 2048);
    model.config.rope.scaling = TUFF_ROPE_LINEAR;
    assert_int_equal(tuff_data_positions(&model, &blocks), 2048);
    model.config.rope.scaling = TUFF_ROPE_DYNAMIC;
    assert_int_equal(tuff_data_positions(&model, &blocks), 256);
    model.config.rope.scaling = TUFF_ROPE_LONGROPE;
    assert_int_equal(tuff_data_positions(&model, &blocks), 256);
    assert_int_equal(tuff_data_positions(&model, &texts), 2048);
    blocks.block_size = 4096;
    assert_int_equal(tuff_data_positions(&model, &blocks), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arenas_are_near_their_bound),
        cmocka_unit_test(accumulation_takes_less_than_a_step),
        cmocka_unit_test(gradients_of_a_fused_product_are_joined),
        cmocka_unit_test(variables_are_counted),
        cmocka_unit_test(tables_are_for_what_is_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
