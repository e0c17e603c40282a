#include <limits.h>
#include <tuff/generate.h>

#include "adapters/adapter.h"
#include "base/json.h"
#include "generate/beams.h"
#include "kit/files.h"
#include "kit/gradients.h"
#include "kit/golden.h"
#include "kit/truth.h"
#include "train/trainer.h"

/* Pairs of sources [B, M] and targets [B, N] as the examples of a data set, one behind the other. */
static tuff_dataset *pairs(const int32_t *sources, const int32_t *targets, int64_t count, int64_t m,
                           int64_t n)
{
    tuff_dataset *data = tuff_alloc(sizeof *data);
    assert_non_null(data);
    data->task = &tuff_task_seq2seq;
    for (int64_t i = 0; i < count; i++) {
        KIT_OK(tuff_dataset_add(data, sources + i * m, NULL, (size_t)m));
        KIT_OK(tuff_dataset_add(data, targets + i * n, NULL, (size_t)n));
    }
    return data;
}

static tuff_dataset *load_pairs(const golden *g, const char *sources, const char *targets)
{
    size_t n;
    const tuff_weight *from = tensor(g, sources), *to = tensor(g, targets);
    int32_t *a = ints(g, sources, &n), *b = ints(g, targets, &n);
    int64_t m = from->shape[from->rank - 1], count = (int64_t)tuff_weight_elements(from) / m;
    tuff_dataset *data = pairs(a, b, count, m, to->shape[to->rank - 1]);
    tuff_free(a);
    tuff_free(b);
    return data;
}

/* How far f32 may be from the truth. */
static const double EXACT = 1e-5;

/* The mean loss of the task, its logits and the gradients of all that is trained, as outputs. */
static tuff_program *build(const golden *g, tuff_adapter *adapter, const tuff_task_shape *shape,
                           int64_t labels, tuff_store *store)
{
    tuff_lm lm = {.model = g->model, .adapter = adapter, .trains_model = !adapter};
    tuff_graph *graph = NULL;
    KIT_OK(tuff_graph_create(&graph));
    tuff_net net = {.g = graph,
                    .config = &g->model->config,
                    .tokens = shape->tokens,
                    .sequences = shape->sequences,
                    .source_tokens = shape->rows,
                    .train_base = !adapter,
                    .hook = tuff_adapter_hook(adapter, true)};
    tuff_net_begin(&net);
    tuff_tensor *logits = tuff_net_logits(&net, tuff_net_hidden(&net), false);
    tuff_tensor *given = tuff_input(graph, "labels", TUFF_I32, 1, &shape->tokens);
    tuff_tensor *loss = tuff_scale(graph, tuff_cross_entropy_sum(graph, logits, given), 1.0 / (double)labels);
    KIT_OK(tuff_graph_status(graph));
    return gradient_program(&graph, &lm, logits, loss, store);
}

/* The bias of keys moves all scores of a query alike: its gradient is zero but for rounding. */
static void compare_gradient(const golden *g, const char *name, const float *got, const float *want, size_t n)
{
    if (tuff_ends_with(name, "k_proj.bias"))
        compare_zeros(g->name, name, got, want, n, 1e-6F);
    else
        compare(g->name, name, got, want, n, 2e-5);
}

static void check_output(const golden *g, tuff_program *program, const char *output, const char *truth,
                         size_t room, double relative)
{
    size_t n;
    float *want = floats(g, truth, &n), *got = tuff_alloc_array(room > n ? room : n, sizeof *got);
    KIT_OK(tuff_program_output(program, output, got, (room > n ? room : n) * sizeof *got));
    if (tuff_starts_with(truth, "grad."))
        compare_gradient(g, truth, got, want, n);
    else
        compare(g->name, truth, got, want, n, relative);
    tuff_free(want);
    tuff_free(got);
}

/* Logits and loss as close to the truth as this, and gradients where that is as close as f32 comes. */
static void check_forward(const golden *g, tuff_adapter *adapter, double relative)
{
    golden base = adapter ? load(g->name, "truth.safetensors") : *g;
    tuff_dataset *data = load_pairs(&base, "input_ids", "labels");
    uint32_t examples[16];
    tuff_task_shape shape;
    tuff_pack pack = {.virtual_tokens = 0};
    tuff_store *store = NULL;
    int64_t labels, count = data->sequences / 2;
    for (uint32_t i = 0; i < count; i++)
        examples[i] = i;
    const tuff_batch batch = {.data = data, .examples = examples, .count = count, .most = count};
    data->task->size(&batch, &shape, &labels);
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_adapter_upload_model(g->model, adapter, !adapter, 1, NULL, store));
    tuff_program *program = build(g, adapter, &shape, labels, store);
    KIT_OK(data->task->fill(&batch, &shape, &g->model->config, &pack, program));
    KIT_OK(tuff_program_run(program));
    check_output(g, program, "logits", "logits", (size_t)(shape.tokens * g->model->config.vocab_size),
                 relative);
    check_output(g, program, "loss", "loss", 0, relative);
    tuff_lm lm = {.model = g->model, .adapter = adapter, .trains_model = !adapter};
    for (size_t i = 0; relative == EXACT && i < tuff_lm_trained_count(&lm); i++) {
        char truth[256];
        const char *name = tuff_lm_trained(&lm, i).name;
        snprintf(truth, sizeof truth, "grad.%s", name);
        check_output(g, program, name, truth, 0, relative);
    }
    tuff_program_destroy(&program);
    tuff_store_destroy(&store);
    tuff_pack_free(&pack);
    tuff_dataset_destroy(&data);
    if (adapter) unload(&base);
}

/* 20 AdamW steps; with accumulation the batch is split into single examples. */
static void check_adamw(const golden *g, const char *adapter, bool accumulate)
{
    golden base = adapter ? load(g->name, "truth.safetensors") : *g;
    tuff_dataset *data = load_pairs(&base, "batch_source", "batch_labels");
    size_t n;
    float *losses = floats(g, "adamw_losses", &n), *norms = floats(g, "adamw_grad_norms", &n);
    const int64_t rows = tensor(&base, "batch_source")->shape[1];
    tuff_train_params p = adamw_params(n, rows, accumulate);
    if (adapter) {
        p.lora_rank = 4;
        p.lora_alpha = 8;
    }
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create_with(g->model, device, data, &p, true, &trainer));
    KIT_OK(tuff_trainer_prepare(trainer));
    if (adapter) begin_with_adapter(adapter, trainer);
    for (size_t i = 0; i < n; i++)
        check_step(g, "AdamW", trainer, &losses[i], &norms[i]);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_free(losses);
    tuff_free(norms);
    if (adapter) unload(&base);
}

static char *source_text(const golden *g)
{
    char path[256];
    cJSON *json = NULL;
    snprintf(path, sizeof path, "golden/%s/truth.json", g->name);
    KIT_OK(tuff_json_read(kit_asset(path), &json));
    const char *text = NULL;
    KIT_OK(tuff_json_text(json, "source", path, &text));
    char *copy = tuff_strdup(text);
    assert_non_null(copy);
    cJSON_Delete(json);
    return copy;
}

static tuff_batcher *open_batcher(const tuff_model *model, int64_t most, bool invariant)
{
    tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
    tuff_batcher *b = NULL;
    params.max_sequences = most;
    params.invariant = invariant;
    KIT_OK(tuff_batcher_create(model, device, &params, &b));
    return b;
}

static tuff_sequence *append(tuff_batcher *b, const char *text, size_t size, int64_t tokens, bool ignore_eos)
{
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_sequence *s = NULL;
    params.max_new_tokens = tokens;
    params.ignore_eos = ignore_eos;
    KIT_OK(tuff_batcher_append(b, text, size, &params, NULL, &s));
    return s;
}

static void check_greedy(const golden *g)
{
    size_t n, n_source;
    int32_t *want = ints(g, "greedy_ids", &n), *source = ints(g, "source_ids", &n_source);
    char *text = source_text(g);
    tuff_batcher *b = open_batcher(g->model, 1, false);
    tuff_sequence *s = append(b, text, strlen(text), (int64_t)n, false);
    assert_int_equal(s->source_count, n_source);
    assert_memory_equal(s->source, source, n_source * sizeof *source);
    KIT_OK(tuff_batcher_run(b, NULL));
    KIT_OK(s->result.status);
    assert_int_equal(s->result.prompt_tokens, n_source);
    assert_int_equal(s->result.finish, TUFF_FINISH_LENGTH);
    assert_int_equal(s->count, 1 + n);
    assert_int_equal(s->ids[0], g->model->config.tokens.start);
    assert_memory_equal(s->ids + 1, want, n * sizeof *want);
    tuff_batcher_destroy(&b);
    tuff_free(text);
    tuff_free(want);
    tuff_free(source);
}

/* Answers to beginnings of the source, which come and go, are what they are alone. */
static void check_together(const golden *g)
{
    enum { TEXTS = 7, SLOTS = 3 };
    char *text = source_text(g);
    const size_t size = strlen(text);
    tuff_batcher *b = open_batcher(g->model, SLOTS, true), *alone = open_batcher(g->model, 1, true);
    tuff_sequence *together[TEXTS];
    for (int i = 0; i < TEXTS; i++)
        together[i] = append(b, text, 1 + (size_t)(5 * i) % size, 4 + 3 * i, true);
    KIT_OK(tuff_batcher_run(b, NULL));
    for (int i = 0; i < TEXTS; i++) {
        tuff_sequence *s = append(alone, text, 1 + (size_t)(5 * i) % size, 4 + 3 * i, true);
        KIT_OK(tuff_batcher_run(alone, NULL));
        KIT_OK(together[i]->result.status);
        assert_int_equal(s->count, together[i]->count);
        assert_memory_equal(s->ids, together[i]->ids, s->count * sizeof *s->ids);
    }
    tuff_batcher_destroy(&b);
    tuff_batcher_destroy(&alone);
    tuff_free(text);
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item)) fail_msg("the truth of beams has no %s", key);
    return item->valuedouble;
}

static const cJSON *list(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("the truth of beams has no %s", key);
    return item;
}

/* A search as transformers did it; all texts begin with the prompt. */
static void check_search(tuff_model *model, tuff_batcher *b, const cJSON *truth, const cJSON *run)
{
    const char *prompt = list(truth, "prompt")->valuestring;
    const cJSON *want = list(run, "ids"), *stopping = list(run, "early_stopping");
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = (int64_t)number(truth, "max_new_tokens");
    params.num_beams = (int64_t)number(run, "num_beams");
    params.length_penalty = number(run, "length_penalty");
    params.early_stopping = cJSON_IsString(stopping) ? TUFF_EARLY_STOPPING_NEVER
                            : cJSON_IsTrue(stopping) ? TUFF_EARLY_STOPPING_YES
                                                     : TUFF_EARLY_STOPPING_NO;
    model->config.tokens.eos_count = 0;
    for (const cJSON *end = list(run, "eos")->child; end; end = end->next)
        model->config.tokens.eos[model->config.tokens.eos_count++] = (int32_t)end->valuedouble;
    tuff_sequence *s = NULL;
    KIT_OK(tuff_batcher_append(b, prompt, strlen(prompt), &params, NULL, &s));
    KIT_OK(tuff_beams_run(b, s, NULL));
    const int32_t *got = s->ids + s->given;
    const size_t n = (size_t)cJSON_GetArraySize(want), made = s->count - (size_t)s->given;
    const int32_t last = (int32_t)cJSON_GetArrayItem(want, (int)n - 1)->valuedouble;
    const bool ended = tuff_sequence_is_end(s, last);
    assert_int_equal(s->result.finish, ended ? TUFF_FINISH_EOS : TUFF_FINISH_LENGTH);
    assert_int_equal(made, n - ended);
    for (size_t i = 0; i < made; i++)
        assert_int_equal(got[i], (int32_t)cJSON_GetArrayItem(want, (int)i)->valuedouble);
    tuff_batcher_drop(b, &s);
}

static void run_beams(void **state)
{
    golden g = load(*state, "truth.safetensors");
    cJSON *json = NULL;
    KIT_OK(tuff_json_read(kit_asset("golden/beams/truth.json"), &json));
    const cJSON *truth = list(json, g.name), *run;
    tuff_batcher *b = open_batcher(g.model, 1, false);
    int left = strcmp(device_name, "cpu") == 0 ? INT_MAX : 2; /* compiling takes software drivers long */
    cJSON_ArrayForEach(run, list(truth, "runs"))
    {
        if (left-- == 0) break;
        check_search(g.model, b, truth, run);
    }
    tuff_batcher_destroy(&b);
    cJSON_Delete(json);
    unload(&g);
}

/* A text by the model's own generation_config.json. */
static void check_settings(const char *name, const char *prompt, const cJSON *run)
{
    const char *directory = kit_copy_model(kit_golden(name), "settings");
    const cJSON *want = list(run, "ids");
    char *config = cJSON_PrintUnformatted(list(run, "config"));
    tuff_model *model = NULL;
    tuff_sequence *s = NULL;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    kit_write_file(kit_join(directory, "generation_config.json"), config, strlen(config));
    cJSON_free(config);
    KIT_OK(tuff_model_load(directory, &model));
    KIT_OK(tuff_model_generation(model, &params, &sampling));
    params.sampling = &sampling;
    tuff_batcher *b = open_batcher(model, 1, false);
    KIT_OK(tuff_batcher_append(b, prompt, strlen(prompt), &params, NULL, &s));
    KIT_OK(params.num_beams > 1 ? tuff_beams_run(b, s, NULL) : tuff_batcher_run(b, NULL));
    const size_t n = (size_t)cJSON_GetArraySize(want), made = s->count - (size_t)s->given;
    const bool ended = tuff_sequence_is_end(s, (int32_t)cJSON_GetArrayItem(want, (int)n - 1)->valuedouble);
    assert_int_equal(s->result.finish, ended ? TUFF_FINISH_EOS : TUFF_FINISH_LENGTH);
    assert_int_equal(made, n - ended);
    for (size_t i = 0; i < made; i++)
        assert_int_equal(s->ids[(size_t)s->given + i],
                         (int32_t)cJSON_GetArrayItem(want, (int)i)->valuedouble);
    tuff_batcher_destroy(&b);
    tuff_model_destroy(&model);
}

static void run_settings(void **state)
{
    const char *name = *state;
    cJSON *json = NULL;
    KIT_OK(tuff_json_read(kit_asset("golden/beams/settings.json"), &json));
    const cJSON *truth = list(json, name), *run;
    int left = strcmp(device_name, "cpu") == 0 ? INT_MAX : 1;
    cJSON_ArrayForEach(run, list(truth, "runs"))
    {
        if (left-- == 0) break;
        check_settings(name, list(truth, "prompt")->valuestring, run);
    }
    cJSON_Delete(json);
}

static void run_model(void **state)
{
    golden g = load(*state, "truth.safetensors");
    check_forward(&g, NULL, EXACT);
    check_adamw(&g, NULL, false);
    check_adamw(&g, NULL, true);
    check_greedy(&g);
    check_together(&g);
    unload(&g);
}

static void save(const golden *g, tuff_file_format format, const char *type, const char *path)
{
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    params.format = format;
    params.type = type;
    KIT_OK(tuff_model_save_with(g->model, &params, path));
}

/* The same numbers, tensor by tensor. */
static void check_same_weights(const golden *a, const golden *b)
{
    assert_int_equal(a->model->params.count, b->model->params.count);
    for (size_t i = 0; i < a->model->params.count; i++) {
        const tuff_param *p = &a->model->params.items[i], *q = tuff_params_find(&b->model->params, p->name);
        if (!q) fail_msg("%s is not in the model that came back", p->name);
        const size_t n = (size_t)tuff_param_elements(p);
        assert_int_equal(n, tuff_param_elements(q));
        float *x = tuff_alloc_array(n, sizeof *x), *y = tuff_alloc_array(n, sizeof *y);
        KIT_OK(tuff_model_read(a->model, p, NULL, 0, p->shape[0], x));
        KIT_OK(tuff_model_read(b->model, q, NULL, 0, q->shape[0], y));
        assert_memory_equal(x, y, n * sizeof *x);
        tuff_free(x);
        tuff_free(y);
    }
}

/* As a GGUF it is the same model, and so it is as a directory made of that; stored in eight bits it is close
 * to it. */
static void run_gguf(void **state)
{
    golden g = load(*state, "truth.safetensors"), as_gguf = g, back = g, small = g;
    char gguf[96], directory[96], blocks[96];
    snprintf(gguf, sizeof gguf, "%s.gguf", g.name);
    snprintf(directory, sizeof directory, "%s-back", g.name);
    snprintf(blocks, sizeof blocks, "%s-q8_0.gguf", g.name);
    save(&g, TUFF_FORMAT_GGUF, "f32", kit_path(gguf));
    KIT_OK(tuff_model_load(kit_path(gguf), &as_gguf.model));
    check_same_weights(&g, &as_gguf);
    check_forward(&as_gguf, NULL, EXACT);
    check_greedy(&as_gguf);
    save(&as_gguf, TUFF_FORMAT_HF, "f32", kit_path(directory));
    KIT_OK(tuff_model_load(kit_path(directory), &back.model));
    check_same_weights(&g, &back);
    check_forward(&back, NULL, EXACT);
    check_greedy(&back);
    save(&g, TUFF_FORMAT_GGUF, "q8_0", kit_path(blocks));
    KIT_OK(tuff_model_load(kit_path(blocks), &small.model));
    check_forward(&small, NULL, 0.03);
    tuff_model_destroy(&small.model);
    tuff_model_destroy(&back.model);
    tuff_model_destroy(&as_gguf.model);
    unload(&g);
}

static void run_lora(void **state)
{
    golden g = load(*state, "lora/truth.safetensors");
    char path[256];
    snprintf(path, sizeof path, "golden/%s/lora", g.name);
    tuff_adapter *lora = NULL;
    KIT_OK(tuff_adapter_open(g.model, kit_asset(path), NULL, &lora));
    check_forward(&g, lora, EXACT);
    tuff_adapter_destroy(&lora);
    check_adamw(&g, kit_asset(path), false);
    unload(&g);
}

int seq2seq_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_model, (void *)"t5"),
        cmocka_unit_test_prestate(run_model, (void *)"t5-gated"),
        cmocka_unit_test_prestate(run_model, (void *)"bart"),
        cmocka_unit_test_prestate(run_model, (void *)"bart-uneven"),
        cmocka_unit_test_prestate(run_model, (void *)"byt5"),
        cmocka_unit_test_prestate(run_model, (void *)"mt5"),
        cmocka_unit_test_prestate(run_model, (void *)"umt5"),
        cmocka_unit_test_prestate(run_gguf, (void *)"t5"),
        cmocka_unit_test_prestate(run_gguf, (void *)"t5-gated"),
        cmocka_unit_test_prestate(run_gguf, (void *)"byt5"),
        cmocka_unit_test_prestate(run_gguf, (void *)"mt5"),
        cmocka_unit_test_prestate(run_gguf, (void *)"umt5"),
        cmocka_unit_test_prestate(run_lora, (void *)"t5"),
        cmocka_unit_test_prestate(run_lora, (void *)"bart"),
        cmocka_unit_test_prestate(run_beams, (void *)"t5"),
        cmocka_unit_test_prestate(run_beams, (void *)"t5-gated"),
        cmocka_unit_test_prestate(run_beams, (void *)"bart"),
        cmocka_unit_test_prestate(run_beams, (void *)"bart-uneven"),
        cmocka_unit_test_prestate(run_beams, (void *)"byt5"),
        cmocka_unit_test_prestate(run_beams, (void *)"mt5"),
        cmocka_unit_test_prestate(run_beams, (void *)"umt5"),
        cmocka_unit_test_prestate(run_settings, (void *)"t5"),
        cmocka_unit_test_prestate(run_settings, (void *)"bart"),
        cmocka_unit_test_prestate(run_settings, (void *)"mt5"),
        cmocka_unit_test_prestate(run_beams, (void *)"gpt2"),
        cmocka_unit_test_prestate(run_beams, (void *)"llama"),
        cmocka_unit_test_prestate(run_beams, (void *)"gemma2"),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
