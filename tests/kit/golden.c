#include "kit/golden.h"

#include <stdio.h>

#include <tuff/generate.h>

#include "adapters/adapter.h"
#include "base/memory.h"
#include "generate/generator.h"
#include "kit/files.h"
#include "kit/gradients.h"
#include "kit/products.h"
#include "kit/truth.h"
#include "train/trainer.h"

/* A net over input_ids with its loss; outputs logits, loss and, for each trained tensor, its gradient by
 * name. */
static tuff_program *build(const golden *g, tuff_adapter *adapter, int64_t batch, int64_t length,
                           tuff_store *store)
{
    const int64_t n = batch * (length + tuff_adapter_virtual_tokens(adapter));
    tuff_lm lm = {.model = g->model, .adapter = adapter, .trains_model = !adapter};
    tuff_graph *graph = NULL;
    KIT_OK(tuff_graph_create(&graph));
    tuff_net net = {.g = graph,
                    .config = &g->model->config,
                    .tokens = n,
                    .sequences = batch,
                    .train_base = !adapter,
                    .rope_positions = g->model->config.max_positions,
                    .hook = tuff_adapter_hook(adapter, true)};
    tuff_net_begin(&net);
    tuff_tensor *labels = tuff_input(graph, "labels", TUFF_I32, 1, &n);
    tuff_tensor *logits = tuff_net_logits(&net, tuff_net_hidden(&net), false);
    tuff_tensor *loss = tuff_cross_entropy(graph, logits, labels, NULL);
    KIT_OK(tuff_graph_status(graph));
    return gradient_program(&graph, &lm, logits, loss, store);
}

/* The truth of a gradient in memory order: GPT-2's Conv1D weights are [in, out] in the file. */
static float *gradient_truth(const golden *g, const tuff_trained *t, size_t *out_n)
{
    char name[256];
    snprintf(name, sizeof name, "grad.%s", t->name);
    float *want = floats(g, name, out_n);
    const tuff_param *param = tuff_params_find(&g->model->params, t->name);
    if (!param || param->hf.layout != TUFF_LAYOUT_TRANSPOSED) return want;
    float *turned = tuff_alloc_array(*out_n, sizeof *turned);
    for (int64_t r = 0; r < t->shape[0]; r++)
        for (int64_t c = 0; c < t->shape[1]; c++)
            turned[r * t->shape[1] + c] = want[c * t->shape[0] + r];
    tuff_free(want);
    return turned;
}

/* Ids [batch, length] and their labels. */
static void set_batch(const golden *g, const int32_t *ids, size_t n, int64_t batch, int64_t length,
                      int64_t virtual_tokens, bool silent, tuff_program *program)
{
    enum { MOST = 64 };
    uint32_t examples[MOST];
    tuff_dataset *data = NULL;
    tuff_pack pack = {.virtual_tokens = virtual_tokens, .silent = silent};
    tuff_task_shape shape;
    int64_t labels;
    assert_true(batch <= MOST);
    for (uint32_t i = 0; i < MOST; i++)
        examples[i] = i;
    KIT_OK(tuff_dataset_from_ids(ids, n, length, &data));
    const tuff_batch at = {.data = data,
                           .examples = examples,
                           .count = batch,
                           .most = batch,
                           .virtual_tokens = virtual_tokens,
                           .silent = silent};
    tuff_task_size(&at, &shape, &labels);
    assert_int_equal(labels, batch * (length - (virtual_tokens && !silent ? 0 : 1)));
    KIT_OK(data->task->fill(&at, &shape, &g->model->config, &pack, program));
    tuff_pack_free(&pack);
    tuff_dataset_destroy(&data);
}

static void check_forward_and_gradients(const golden *g, tuff_adapter *adapter)
{
    size_t n, n_ids, n_loss;
    golden base = adapter ? load(g->name, "truth.safetensors") : *g;
    int32_t *ids = ints(&base, "input_ids", &n_ids);
    const tuff_weight *logits = tensor(g, "logits");
    int64_t batch = logits->shape[0], length = logits->shape[1];
    const int64_t before = tuff_adapter_virtual_tokens(adapter);
    assert_int_equal(batch * length, n_ids);
    tuff_store *store = NULL;
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(
        tuff_adapter_upload_model(g->model, adapter, !adapter, g->model->config.max_positions, NULL, store));
    tuff_lm lm = {.model = g->model, .adapter = adapter, .trains_model = !adapter};
    tuff_program *program = build(g, adapter, batch, length, store);
    set_batch(g, ids, n_ids, batch, length, before, tuff_adapter_silent(adapter), program);
    KIT_OK(tuff_program_run(program));

    float *want = floats(g, "logits", &n);
    const size_t own = n / (size_t)batch, all = own / (size_t)length * (size_t)(length + before);
    float *got = tuff_alloc_array((size_t)batch * all, sizeof *got);
    KIT_OK(tuff_program_output(program, "logits", got, (size_t)batch * all * sizeof *got));
    for (size_t b = 0; b < (size_t)batch; b++)
        compare(g->name, "logits", got + b * all + (all - own), want + b * own, own, 1e-5);
    tuff_free(want);
    tuff_free(got);
    float loss, *want_loss = floats(g, "loss", &n_loss);
    KIT_OK(tuff_program_output(program, "loss", &loss, sizeof loss));
    compare(g->name, "loss", &loss, want_loss, 1, 2e-6);
    tuff_free(want_loss);
    for (size_t i = 0; i < tuff_lm_trained_count(&lm); i++) {
        tuff_trained t = tuff_lm_trained(&lm, i);
        want = gradient_truth(g, &t, &n);
        got = tuff_alloc_array(n, sizeof *got);
        KIT_OK(tuff_program_output(program, t.name, got, n * sizeof *got));
        compare(g->name, t.name, got, want, n, 2e-5);
        tuff_free(want);
        tuff_free(got);
    }
    tuff_free(ids);
    tuff_program_destroy(&program);
    tuff_store_destroy(&store);
    if (adapter) unload(&base);
}

/* How a golden's adapter is trained, and the directory that it begins with. */
typedef struct recipe {
    const char *kind, *target; /* the adapter's folder in goldens */
    double rate;
    const char *begin;
} recipe;

/* Which method an adapter's folder in goldens is of, where the script does not say otherwise: LoRA. */
typedef struct method {
    const char *kind, *peft_type, *target;
    double rate;
} method;

static const method *method_of(const char *kind)
{
    static const method methods[] = {{"ia3", "IA3", NULL, 1e-2},
                                     {"prompt", "prompt_tuning", NULL, 1e-2},
                                     {"bitfit", "bitfit", NULL, 1e-2},
                                     {"bias", "lora", "c_attn,c_fc", 1e-3},
                                     {"tables", "lora", "", 1e-3},
                                     {"prefix", "prefix_tuning", NULL, 1e-2},
                                     {"prefix-projection", "prefix_tuning", NULL, 1e-3},
                                     {"vera", "vera", NULL, 1e-2},
                                     {"vera-key", "vera", "k_proj,gate_proj", 1e-2},
                                     {"tokens", "lora", "", 1e-3},
                                     {"tokens-apart", "lora", "c_attn", 1e-3},
                                     {"tokens-alone", "trainable_tokens", NULL, 1e-2},
                                     {"bottleneck", "bottleneck", NULL, 1e-3},
                                     {"houlsby", "bottleneck", NULL, 1e-3},
                                     {NULL, "lora", "all-linear", 1e-3}};
    const method *m = methods;
    while (m->kind && strcmp(m->kind, kind) != 0)
        m++;
    return m;
}

/* What the adapters of experts are for, as expert_adapters.py has it. */
static void set_experts(const char *model, tuff_train_params *p)
{
    static const struct {
        const char *model, *modules, *parameters;
    } of[] = {{"mixtral", "q_proj,v_proj", "mlp.experts.down_proj,mlp.experts.gate_up_proj,mlp.gate.weight"},
              {"qwen3_moe", "", "mlp.experts.down_proj"},
              {"gpt_oss", "q_proj", "experts.down_proj,experts.gate_up_proj"}};
    p->rank_pattern = "experts.down_proj=2";
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        if (strcmp(of[i].model, model) != 0) continue;
        p->lora_target = of[i].modules;
        p->target_parameters = of[i].parameters;
    }
}

/* Rows of tokens, as more_adapters.py has them. */
static void set_tokens(const char *kind, bool gpt2, tuff_train_params *p)
{
    if (strcmp(kind, "tokens") == 0) {
        p->lora_target = gpt2 ? "c_attn" : "q_proj";
        p->trainable_token_indices =
            gpt2 ? "26, 146,5" : "{\"embed_tokens\": [7, 149], \"lm_head\": [114, 149, 3]}";
    }
    if (strcmp(kind, "tokens-apart") == 0)
        p->trainable_token_indices = "{\"wte\": [146, 230], \"lm_head\": [83]}";
    if (strcmp(kind, "tokens-alone") == 0) p->trainable_token_indices = "[230, 26]";
}

/* An adapter of a golden's folder, as make_goldens.py sets it. */
static void set_adapter(const recipe *adapter, const char *model, tuff_train_params *p)
{
    const bool gpt2 = strcmp(model, "gpt2") == 0;
    const char *kind = adapter->kind;
    p->peft_type = method_of(kind)->peft_type;
    p->num_virtual_tokens = 5;
    if (strcmp(kind, "bias") == 0) p->bias = "all";
    p->prefix_projection = strcmp(kind, "prefix-projection") == 0;
    p->encoder_hidden_size = 12;
    p->projection_prng_key = strcmp(kind, "vera") == 0 ? 11 : 5;
    p->lora_rank = strcmp(kind, "vera") == 0 ? 12 : strcmp(kind, "vera-key") == 0 ? 9 : 4;
    p->lora_alpha = 8;
    p->lora_target = adapter->target;
    p->adapter_config = strcmp(kind, "houlsby") == 0 ? kind : NULL;
    p->reduction_factor = strcmp(kind, "houlsby") == 0 ? 6.4 : 4;
    if (strcmp(kind, "vera") == 0)
        p->lora_target = gpt2 ? "c_attn,c_proj" : "q_proj,v_proj,up_proj,down_proj";
    if (strcmp(kind, "tables") == 0) p->lora_target = gpt2 ? "wte,c_attn" : "embed_tokens,lm_head,q_proj";
    set_tokens(kind, gpt2, p);
    p->learning_rate = adapter->rate;
    p->use_dora = strcmp(kind, "dora") == 0;
    p->use_rslora = strcmp(kind, "rslora") == 0;
    if (strcmp(kind, "experts") == 0) set_experts(model, p);
    if (!p->use_rslora) return;
    p->rank_pattern = gpt2 ? "c_attn=2,c_fc=6" : "k_proj=2, model.layers.1.mlp.up_proj=6";
    p->alpha_pattern = gpt2 ? "c_attn=3" : "k_proj=3";
}

/* AdamW steps, 20 of a model, 50 of an adapter where there is a recipe; with accumulation the batch is split
 * into micro-batches of one row. */
static void check_adamw(const golden *g, const recipe *adapter, bool accumulate)
{
    size_t n_ids, n, n_norms;
    golden base = adapter ? load(g->name, "truth.safetensors") : *g;
    int32_t *ids = ints(&base, "batch_ids", &n_ids);
    const tuff_weight *batches = tensor(&base, "batch_ids");
    float *losses = floats(g, "adamw_losses", &n), *norms = floats(g, "adamw_grad_norms", &n_norms);
    int64_t rows = batches->shape[1];
    tuff_train_params p = adamw_params(n, rows, accumulate);
    if (adapter) set_adapter(adapter, g->name, &p);
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n_ids, batches->shape[2], &data));
    KIT_OK(tuff_trainer_create_with(g->model, device, data, &p, true, &trainer));
    KIT_OK(tuff_trainer_prepare(trainer));
    if (adapter) begin_with_adapter(adapter->begin, trainer);
    tuff_device_stats before = TUFF_DEVICE_STATS_INIT, after = TUFF_DEVICE_STATS_INIT;
    for (size_t i = 0; i < n; i++) {
        if (i == 1) KIT_OK(tuff_device_get_stats(device, &before));
        uint64_t host = kit_allocations();
        uint64_t products = kit_products(device);
        check_step(g, "AdamW", trainer, &losses[i], &norms[i]);
        if (i > 0) assert_int_equal(kit_allocations() - host, kit_products(device) - products);
    }
    KIT_OK(tuff_device_get_stats(device, &after));
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.recorded, before.recorded);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_free(ids);
    tuff_free(losses);
    tuff_free(norms);
    if (adapter) unload(&base);
}

static int32_t largest(const float *logits, int64_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static void check_greedy(const golden *g)
{
    size_t n_prompt, n;
    int32_t *prompt = ints(g, "prompt_ids", &n_prompt), *want = ints(g, "greedy_ids", &n);
    tuff_generator *generator = NULL;
    KIT_OK(tuff_generator_create(g->model, device, NULL, &generator));
    int64_t vocab = g->model->config.vocab_size;
    float *logits = tuff_alloc_array((size_t)vocab, sizeof *logits);
    int32_t *ids = tuff_alloc_array(n_prompt + n, sizeof *ids);
    memcpy(ids, prompt, n_prompt * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        KIT_OK(tuff_generator_logits(generator, ids, n_prompt + i, logits));
        ids[n_prompt + i] = largest(logits, vocab);
        assert_int_equal(ids[n_prompt + i], want[i]);
    }
    tuff_free(prompt);
    tuff_free(want);
    tuff_free(logits);
    tuff_free(ids);
    tuff_generator_destroy(&generator);
}

/* Keys and values rounded to f16 on their way into the cache: one token after the other, then all at once. A
 * number that f32 rounds to its other neighbour moves the logits by less than is allowed; an f32 cache would
 * move them by five times more. */
static void check_cache_f16(const golden *g)
{
    golden half = load(g->name, "cache_f16.safetensors");
    size_t n_prompt, n, n_logits;
    int32_t *prompt = ints(g, "prompt_ids", &n_prompt), *want = ints(&half, "greedy_ids", &n);
    float *logits = floats(&half, "logits", &n_logits);
    size_t vocab = (size_t)g->model->config.vocab_size;
    assert_int_equal(n_logits, n * vocab);
    tuff_generator *generator = NULL;
    KIT_OK(tuff_generator_create(
        g->model, device,
        &(tuff_generator_params){.struct_size = sizeof(tuff_generator_params), .cache_f16 = true},
        &generator));
    KIT_OK(tuff_generator_run(generator, prompt, (int64_t)n_prompt, 0));
    for (size_t i = 0; i < n; i++) {
        compare(g->name, "logits from an f16 cache", generator->batcher->runner->logits, logits + i * vocab,
                vocab, 1e-4);
        assert_int_equal(largest(generator->batcher->runner->logits, (int64_t)vocab), want[i]);
        if (i + 1 < n) KIT_OK(tuff_generator_run(generator, &want[i], 1, (int64_t)(n_prompt + i)));
    }
    int32_t *ids = tuff_alloc_array(n_prompt + n, sizeof *ids);
    memcpy(ids, prompt, n_prompt * sizeof *ids);
    memcpy(ids + n_prompt, want, (n - 1) * sizeof *ids);
    KIT_OK(tuff_generator_run(generator, ids, (int64_t)(n_prompt + n - 1), 0));
    compare(g->name, "logits from an f16 cache", generator->batcher->runner->logits, logits + (n - 1) * vocab,
            vocab, 1e-4);
    tuff_generator_destroy(&generator);
    tuff_free(prompt);
    tuff_free(want);
    tuff_free(logits);
    tuff_free(ids);
    unload(&half);
}

/* What `tuff eval --dump-logits` writes of the truth's ids. */
static void check_saved_logits(const golden *g, const char *adapter)
{
    size_t n_ids, n, n_saved;
    golden base = adapter ? load(g->name, "truth.safetensors") : *g;
    int32_t *ids = ints(&base, "input_ids", &n_ids);
    float *want = floats(g, "logits", &n);
    const char *path = kit_temp_path("logits.safetensors");
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n_ids, tensor(g, "logits")->shape[1], &data));
    KIT_OK(tuff_save_logits(g->model, device, data, adapter, NULL, path));
    golden saved = {.name = g->name};
    KIT_OK(tuff_safetensors_open(path, &saved.truth));
    float *got = floats(&saved, "logits", &n_saved);
    assert_int_equal(n_saved, n);
    compare(g->name, "saved logits", got, want, n, 1e-5);
    assert_memory_equal(kit_stored(tensor(&saved, "input_ids")), ids, n_ids * sizeof *ids);
    tuff_free(ids);
    tuff_free(want);
    tuff_free(got);
    tuff_weights_destroy(&saved.truth);
    tuff_dataset_destroy(&data);
    if (adapter) unload(&base);
}

static void run_model(void **state)
{
    golden g = load(*state, "truth.safetensors");
    check_forward_and_gradients(&g, NULL);
    check_adamw(&g, NULL, false);
    check_adamw(&g, NULL, true);
    check_greedy(&g);
    check_saved_logits(&g, NULL);
    unload(&g);
}

/* The loss of routers, which each micro-batch has one of: batches in parts have losses of their own. */
static void run_balanced(void **state)
{
    golden g = load(*state, "truth.safetensors"), apart = load(*state, "apart.safetensors");
    check_forward_and_gradients(&g, NULL);
    check_adamw(&g, NULL, false);
    check_adamw(&apart, NULL, true);
    check_greedy(&g);
    check_saved_logits(&g, NULL);
    unload(&g);
    unload(&apart);
}

static void run_cache_f16(void **state)
{
    golden g = load(*state, "truth.safetensors");
    check_cache_f16(&g);
    unload(&g);
}

static void check_lora(const char *model, const char *target)
{
    golden g = load(model, "lora/truth.safetensors");
    char path[256];
    snprintf(path, sizeof path, "golden/%s/lora", g.name);
    tuff_adapter *lora = NULL;
    KIT_OK(tuff_adapter_open(g.model, kit_asset(path), NULL, &lora));
    check_forward_and_gradients(&g, lora);
    tuff_adapter_destroy(&lora);
    check_saved_logits(&g, kit_asset(path));
    snprintf(path, sizeof path, "golden/%s/lora/initial", g.name);
    check_adamw(&g, &(recipe){"lora", target, 1e-3, kit_asset(path)}, false);
    unload(&g);
}

static void run_lora(void **state)
{
    check_lora(*state, "all-linear");
}

/* Of the modules that PEFT adapts where none are named. */
static void run_usual_lora(void **state)
{
    check_lora(*state, NULL);
}

/* "<model>/<kind>": adapters of other types, which begin as their files are: also with a batch in parts. */
static void run_adapter(void **state)
{
    const char *kind = strchr(*state, '/') + 1;
    char model[64], truth[64], path[256];
    snprintf(model, sizeof model, "%.*s", (int)(kind - 1 - (const char *)*state), (const char *)*state);
    snprintf(truth, sizeof truth, "%s/truth.safetensors", kind);
    golden g = load(model, truth);
    snprintf(path, sizeof path, "golden/%s/%s", model, kind);
    tuff_adapter *adapter = NULL;
    KIT_OK(tuff_adapter_open(g.model, kit_asset(path), NULL, &adapter));
    check_forward_and_gradients(&g, adapter);
    tuff_adapter_destroy(&adapter);
    check_saved_logits(&g, kit_asset(path));
    const recipe how = {kind, method_of(kind)->target, method_of(kind)->rate, kit_asset(path)};
    for (int accumulate = 0; accumulate < 2; accumulate++)
        if (strcmp(kind, "bottleneck-scaled") != 0) /* no new one is so */
            check_adamw(&g, &how, accumulate);
    unload(&g);
}

int golden_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_model, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_model, (void *)"llama"),
        cmocka_unit_test_prestate(run_model, (void *)"llama-tied"),
        cmocka_unit_test_prestate(run_model, (void *)"mistral"),
        cmocka_unit_test_prestate(run_model, (void *)"qwen2"),
        cmocka_unit_test_prestate(run_model, (void *)"mixtral"),
        cmocka_unit_test_prestate(run_balanced, (void *)"mixtral-balanced"),
        cmocka_unit_test_prestate(run_model, (void *)"olmoe"),
        cmocka_unit_test_prestate(run_model, (void *)"olmoe-clip"),
        cmocka_unit_test_prestate(run_model, (void *)"qwen3_moe"),
        cmocka_unit_test_prestate(run_model, (void *)"qwen3_moe-dense"),
        cmocka_unit_test_prestate(run_model, (void *)"gpt_oss"),
        cmocka_unit_test_prestate(run_model, (void *)"gpt_oss-limit"),
        cmocka_unit_test_prestate(run_model, (void *)"llama-llama3"),
        cmocka_unit_test_prestate(run_model, (void *)"llama-yarn"),
        cmocka_unit_test_prestate(run_model, (void *)"qwen3"),
        cmocka_unit_test_prestate(run_model, (void *)"gemma"),
        cmocka_unit_test_prestate(run_model, (void *)"gemma2"),
        cmocka_unit_test_prestate(run_model, (void *)"gemma3_text"),
        cmocka_unit_test_prestate(run_model, (void *)"olmo2"),
        cmocka_unit_test_prestate(run_model, (void *)"granite"),
        cmocka_unit_test_prestate(run_model, (void *)"smollm3"),
        cmocka_unit_test_prestate(run_model, (void *)"phi3"),
        cmocka_unit_test_prestate(run_model, (void *)"phi3-long"),
        cmocka_unit_test_prestate(run_model, (void *)"starcoder2"),
        cmocka_unit_test_prestate(run_model, (void *)"stablelm"),
        cmocka_unit_test_prestate(run_model, (void *)"stablelm-parallel"),
        cmocka_unit_test_prestate(run_model, (void *)"cohere2"),
        cmocka_unit_test_prestate(run_model, (void *)"glm"),
        cmocka_unit_test_prestate(run_model, (void *)"glm4"),
        cmocka_unit_test_prestate(run_model, (void *)"gpt_neox"),
        cmocka_unit_test_prestate(run_model, (void *)"gpt_neox-serial"),
        cmocka_unit_test_prestate(run_model, (void *)"phi"),
        cmocka_unit_test_prestate(run_model, (void *)"phi-tied"),
        cmocka_unit_test_prestate(run_model, (void *)"gptj"),
        cmocka_unit_test_prestate(run_model, (void *)"gptj-tied"),
        cmocka_unit_test_prestate(run_model, (void *)"gpt_neo"),
        cmocka_unit_test_prestate(run_model, (void *)"bloom"),
        cmocka_unit_test_prestate(run_model, (void *)"bloom-untied"),
        cmocka_unit_test_prestate(run_model, (void *)"mpt"),
        cmocka_unit_test_prestate(run_model, (void *)"mpt-clip"),
        cmocka_unit_test_prestate(run_model, (void *)"falcon"),
        cmocka_unit_test_prestate(run_model, (void *)"falcon-groups"),
        cmocka_unit_test_prestate(run_model, (void *)"falcon-norms"),
        cmocka_unit_test_prestate(run_model, (void *)"falcon-rw"),
        cmocka_unit_test_prestate(run_cache_f16, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_cache_f16, (void *)"llama"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/ia3"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/ia3"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/prompt"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/prompt"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/dora"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/dora"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/rslora"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/rslora"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/bitfit"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/bias"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/tables"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/tables"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/tokens"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/tokens-apart"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/tokens-alone"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/tokens"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/prefix"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/prefix"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/prefix-projection"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/vera"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/vera"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/vera-key"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/bottleneck"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/bottleneck"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/houlsby"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/houlsby"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt2/bottleneck-scaled"),
        cmocka_unit_test_prestate(run_adapter, (void *)"llama/bottleneck-scaled"),
        cmocka_unit_test_prestate(run_lora, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_lora, (void *)"llama"),
        cmocka_unit_test_prestate(run_lora, (void *)"gpt_neox"),
        cmocka_unit_test_prestate(run_lora, (void *)"bloom"),
        cmocka_unit_test_prestate(run_lora, (void *)"falcon-groups"),
        cmocka_unit_test_prestate(run_lora, (void *)"phi3"),
        cmocka_unit_test_prestate(run_lora, (void *)"qwen3_moe"),
        cmocka_unit_test_prestate(run_usual_lora, (void *)"mixtral"),
        cmocka_unit_test_prestate(run_adapter, (void *)"mixtral/experts"),
        cmocka_unit_test_prestate(run_adapter, (void *)"qwen3_moe/experts"),
        cmocka_unit_test_prestate(run_adapter, (void *)"gpt_oss/experts"),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
