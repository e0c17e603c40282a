#include "kit/golden.h"
#include "kit/gradients.h"
#include "kit/truth.h"
#include "models/heads/head.h"

/* A net whose outputs are what its head gives, or its states, as "logits", the truth's loss and, by name, the
 * gradients of all parameters. */
static tuff_program *build(const golden *g, tuff_store *store)
{
    const tuff_lm lm = {.model = g->model, .trains_model = true};
    const tuff_weight *ids = tensor(g, "input_ids"), *picked = tuff_weights_find(g->truth, "picked"),
                      *weights = tensor(g, "weights");
    tuff_graph *graph = NULL;
    KIT_OK(tuff_graph_create(&graph));
    tuff_net net = {.g = graph,
                    .config = &g->model->config,
                    .tokens = ids->shape[0] * ids->shape[1],
                    .sequences = ids->shape[0],
                    .rope_positions = g->model->config.max_positions,
                    .train_base = true};
    tuff_net_begin(&net);
    tuff_tensor *result = tuff_net_hidden(&net);
    bool classes = tuff_config_has_head(net.config, &tuff_head_classes);
    if (classes) result = tuff_net_pooled(&net, result, true);
    if (picked && !classes) result = tuff_net_pick(&net, result, picked->shape[0], true);
    if (net.config->head) result = tuff_net_head(&net, result);
    int64_t columns = weights->shape[weights->rank - 1];
    const int64_t shape[] = {tuff_weight_elements(weights) / columns, columns};
    tuff_tensor *by = tuff_input(graph, "weights", TUFF_F32, 2, shape);
    tuff_tensor *loss = tuff_sum(graph, tuff_mul(graph, result, by), 3, false);
    KIT_OK(tuff_graph_status(graph));
    return gradient_program(&graph, &lm, result, loss, store);
}

/* Ids of a table, and the index that its gradient needs. */
static void set_ids(tuff_program *program, const char *name, const int32_t *ids, size_t n)
{
    size_t size = tuff_embedding_index_size(n);
    int32_t *index = tuff_alloc_array(size, sizeof *index);
    char index_name[32];
    snprintf(index_name, sizeof index_name, "%s_index", name);
    KIT_OK(tuff_program_input(program, name, ids, n * sizeof *ids));
    KIT_OK(tuff_embedding_index(ids, n, index));
    KIT_OK(tuff_program_input(program, index_name, index, size * sizeof *index));
    tuff_free(index);
}

static void set_inputs(const golden *g, tuff_program *program)
{
    size_t n, n_weights, n_picked;
    int64_t length = tensor(g, "input_ids")->shape[1];
    int32_t *ids = ints(g, "input_ids", &n);
    float *weights = floats(g, "weights", &n_weights);
    set_ids(program, "ids", ids, n);
    if (g->model->config.token_types) {
        int32_t *types = ints(g, "token_type_ids", &n);
        set_ids(program, "types", types, n);
        tuff_free(types);
    }
    int32_t *positions = tuff_alloc_array(n, sizeof *positions);
    for (size_t i = 0; i < n; i += (size_t)length)
        tuff_config_positions(&g->model->config, ids + i, (size_t)length, positions + i);
    set_ids(program, "positions", positions, n);
    tuff_free(positions);
    if (tuff_weights_find(g->truth, "picked")) {
        int32_t *picked = ints(g, "picked", &n_picked);
        set_ids(program, "picked", picked, n_picked);
        tuff_free(picked);
    }
    int32_t table[4 * 16];
    assert_true((int64_t)n / length <= 16);
    for (int32_t b = 0; b < (int32_t)((int64_t)n / length); b++) {
        int32_t at = b * (int32_t)length;
        memcpy(table + 4 * b, (int32_t[]){at, (int32_t)length, at, (int32_t)length}, 4 * sizeof *table);
    }
    KIT_OK(tuff_program_input(program, "segments", table, n / (size_t)length * 4 * sizeof *table));
    KIT_OK(tuff_program_input(program, "weights", weights, n_weights * sizeof *weights));
    tuff_free(weights);
    tuff_free(ids);
}

/* The bias of keys moves all scores of a query alike: its gradient is zero but for rounding. */
static void check_output(const golden *g, tuff_program *program, const char *output, const char *truth,
                         double relative)
{
    size_t n;
    float *want = floats(g, truth, &n), *got = tuff_alloc_array(n, sizeof *got);
    KIT_OK(tuff_program_output(program, output, got, n * sizeof *got));
    if (tuff_ends_with(truth, "k_lin.bias") || tuff_ends_with(truth, "key.bias") ||
        tuff_ends_with(truth, "attn.k.bias"))
        compare_zeros(g->name, truth, got, want, n, 1e-5F);
    else
        compare(g->name, truth, got, want, n, relative);
    tuff_free(want);
    tuff_free(got);
}

/* Whether a truth has its gradient: of models with a head those of the head and of the table of tokens. */
static bool is_needed(const golden *g, const tuff_param *p)
{
    const tuff_config *c = &g->model->config;
    return !c->head || p == g->model->params.items || !tuff_starts_with(p->name, c->arch->base_prefix);
}

static void run_encoder(void **state)
{
    golden g = load(*state, "truth.safetensors");
    size_t compared = 0, given = 0;
    tuff_store *store = NULL;
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_model_upload(g.model, true, NULL, store));
    KIT_OK(tuff_model_upload_tables(g.model, g.model->config.max_positions, NULL, store));
    tuff_program *program = build(&g, store);
    set_inputs(&g, program);
    KIT_OK(tuff_program_run(program));
    check_output(&g, program, "logits", "result", 1e-5);
    check_output(&g, program, "loss", "loss", 1e-5);
    for (size_t i = 0; i < g.truth->count; i++)
        given += tuff_starts_with(g.truth->items[i].name, "grad.");
    for (size_t i = 0; i < g.model->params.count; i++) {
        char truth[256];
        const tuff_param *p = &g.model->params.items[i];
        snprintf(truth, sizeof truth, "grad.%s", p->hf.name);
        /* a table that is also the head's may have its name */
        if (i == 0 && !tuff_weights_find(g.truth, truth))
            snprintf(truth, sizeof truth, "grad.lm_head.decoder.weight");
        if (!tuff_weights_find(g.truth, truth)) {
            if (is_needed(&g, p)) fail_msg("%s has no %s", g.name, truth);
            continue;
        }
        check_output(&g, program, p->name, truth, 2e-5);
        compared++;
    }
    assert_int_equal(compared, given);
    tuff_program_destroy(&program);
    tuff_store_destroy(&store);
    unload(&g);
}

int encoder_main(const char *name)
{
    if (!open_device(name)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(run_encoder, (void *)"bert"),
        cmocka_unit_test_prestate(run_encoder, (void *)"roberta"),
        cmocka_unit_test_prestate(run_encoder, (void *)"xlm-roberta"),
        cmocka_unit_test_prestate(run_encoder, (void *)"distilbert"),
        cmocka_unit_test_prestate(run_encoder, (void *)"bert-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"roberta-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"xlm-roberta-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"distilbert-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"bert-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"roberta-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"xlm-roberta-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"distilbert-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"bert-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"roberta-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"xlm-roberta-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"distilbert-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"bert-spans"),
        cmocka_unit_test_prestate(run_encoder, (void *)"roberta-spans"),
        cmocka_unit_test_prestate(run_encoder, (void *)"xlm-roberta-spans"),
        cmocka_unit_test_prestate(run_encoder, (void *)"distilbert-spans"),
        cmocka_unit_test_prestate(run_encoder, (void *)"nomic_bert"),
        cmocka_unit_test_prestate(run_encoder, (void *)"nomic_bert-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"nomic_bert-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"nomic_bert-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"modernbert"),
        cmocka_unit_test_prestate(run_encoder, (void *)"modernbert-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"modernbert-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"modernbert-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"modernbert-spans"),
        cmocka_unit_test_prestate(run_encoder, (void *)"modernbert-biased"),
        cmocka_unit_test_prestate(run_encoder, (void *)"mpnet"),
        cmocka_unit_test_prestate(run_encoder, (void *)"mpnet-mlm"),
        cmocka_unit_test_prestate(run_encoder, (void *)"mpnet-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"mpnet-tokens"),
        cmocka_unit_test_prestate(run_encoder, (void *)"mpnet-spans"),
        cmocka_unit_test_prestate(run_encoder, (void *)"t5-encoder"),
        cmocka_unit_test_prestate(run_encoder, (void *)"llama-classes"),
        cmocka_unit_test_prestate(run_encoder, (void *)"gpt2-classes"),
    };
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
