/* What the plans of real models come to on a GPU: dispatches, the barriers between them, and what the arena
 * takes beside that of the graph's order. Nothing is computed, and weights are holes in a file. The numbers
 * are those of docs/ladder/plan.md: a plan that needs fewer is to be written there and here. */
#include "kit/hollow.h"

#include <tuff/batch.h>
#include <tuff/embed.h>
#include <tuff/train.h>

/* In the order in which they are made. */
static const struct {
    const char *what;
    size_t dispatches, barriers; /* at most */
} plans[] = {
    {"GPT-2, a step", 599, 347},   {"GPT-2, a step of several batches", 694, 344},
    {"GPT-2, its update", 153, 4}, {"GPT-2, LoRA", 886, 607},
    {"GPT-2, a prompt", 222, 196}, {"GPT-2, a token", 162, 148},
    {"Llama, LoRA", 3553, 1692},   {"Llama, a prompt", 724, 453},
    {"Llama, a token", 484, 333},  {"BERT, texts", 152, 125},
};
enum { PLANS = sizeof plans / sizeof *plans };

static tuff_device device;
static size_t n_seen;

static void take(const tuff_plan *plan)
{
    assert_true(n_seen < PLANS);
    const char *what = plans[n_seen].what;
    size_t dispatches = 0, barriers = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        dispatches += plan->steps[s].launch->n;
        barriers += plan->steps[s].barrier;
    }
    print_message("%s: %zu dispatches, %zu barriers (%zu in the graph's order), arena %.1f MB (%.1f)\n", what,
                  dispatches, barriers, plan->order.graph_barriers, (double)plan->arena_bytes / 1e6,
                  (double)plan->order.graph_arena_bytes / 1e6);
    if (dispatches > plans[n_seen].dispatches || barriers > plans[n_seen].barriers)
        fail_msg("%s: %zu dispatches and %zu barriers, not %zu and %zu", what, dispatches, barriers,
                 plans[n_seen].dispatches, plans[n_seen].barriers);
    assert_int_equal(plan->order.barriers, barriers);
    uint64_t graphs = plan->order.graph_arena_bytes, part = graphs / 20;
    assert_true(plan->arena_bytes <= graphs + (part > 16 << 20 ? part : 16 << 20));
    n_seen++;
}

static int open_device(void **state)
{
    (void)state;
    return kit_taker_open(&kit_radv, take, &device) == TUFF_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    kit_taker_close(&device);
    return 0;
}

/* A prompt and what follows it. */
static void generate(const tuff_model *model)
{
    tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
    tuff_generate_params how = TUFF_GENERATE_PARAMS_INIT;
    tuff_batcher *batcher = NULL;
    tuff_sequence *sequence;
    char text[200];
    memset(text, 'a', sizeof text);
    how.max_new_tokens = 3;
    how.ignore_eos = true;
    KIT_OK(tuff_batcher_create(model, &device, &params, &batcher));
    KIT_OK(tuff_batcher_add(batcher, text, sizeof text, &how, &sequence));
    KIT_OK(tuff_batcher_run(batcher, NULL));
    tuff_batcher_destroy(&batcher);
}

static void a_gpt2_of_124_million(void **state)
{
    (void)state;
    static const kit_shape shape = {12, 12, 64, 768, 3072, 12, 50257, 1024};
    tuff_model *model;
    KIT_OK(tuff_model_load(kit_hollow_gpt2(&shape), &model));
    kit_take_training(model, &device, 0, 1);
    kit_take_training(model, &device, 0, 2);
    kit_take_training(model, &device, 8, 1);
    generate(model);
    tuff_model_destroy(&model);
}

static void a_llama_of_135_million(void **state)
{
    (void)state;
    static const kit_shape shape = {9, 3, 64, 576, 1536, 30, 49152, 2048};
    tuff_model *model;
    KIT_OK(tuff_model_load(kit_hollow_llama(&shape), &model));
    kit_take_training(model, &device, 8, 1);
    generate(model);
    tuff_model_destroy(&model);
}

static void a_bert(void **state)
{
    (void)state;
    static const kit_shape shape = {12, 12, 64, 768, 3072, 12, 30522, 512};
    static const size_t counts[] = {12, 200, 33};
    const int32_t *const ids[] = {kit_taken_ids(), kit_taken_ids(), kit_taken_ids()};
    tuff_model *model;
    tuff_embedder *embedder = NULL;
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    static float vectors[3 * 768];
    KIT_OK(tuff_model_load(kit_hollow_bert(&shape), &model));
    KIT_OK(tuff_embedder_create(model, &device, &params, &embedder));
    KIT_OK(tuff_embed_ids(embedder, ids, counts, 3, NULL, vectors));
    tuff_embedder_destroy(&embedder);
    tuff_model_destroy(&model);
}

static void all_were_seen(void **state)
{
    (void)state;
    assert_int_equal(n_seen, PLANS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpt2_of_124_million),
        cmocka_unit_test(a_llama_of_135_million),
        cmocka_unit_test(a_bert),
        cmocka_unit_test(all_were_seen),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
