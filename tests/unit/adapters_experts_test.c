/* LoRA of experts' matrices and of what chooses experts: PEFT's files of parameters, of linear layers of each
 * expert as transformers 4 had them, of older PEFTs; new ones, merged ones, bad ones. */
#include "adapted_fixture.h"
#include "adapters/adapter.h"
#include "base/memory.h"
#include "formats/peft.h"

#define PARAMETERS "base_model.model.model.layers.0.mlp."

/* Beside the model, in its weights, in these saved in both formats. */
static void check_logits(const char *model, const char *kind)
{
    const char *adapter = adapter_of(model, kind);
    golden g = load_adapted(model, kind);
    same_logits(&g, g.model, adapter);
    tuff_model *merged = merged_of(g.model, adapter);
    same_logits(&g, merged, NULL);
    same_when_saved(&g, merged);
    tuff_model_destroy(&merged);
    unload(&g);
}

static void parameters_are_those_of_peft(void **state)
{
    (void)state;
    check_logits("mixtral", "experts");
    check_logits("qwen3_moe", "experts");
    check_logits("gpt_oss", "experts");
}

static void linear_layers_of_experts_are_read(void **state)
{
    (void)state;
    check_logits("mixtral", "experts4");
    check_logits("qwen3_moe", "experts4");
}

/* Number (e, o, i) of one of two matrices that are a parameter of transformers, as it has them. */
static float number_of(const float *values, bool columns, const int64_t shape[3], int64_t parts, int64_t part,
                       int64_t e, int64_t o, int64_t i)
{
    const int64_t out = shape[1], in = shape[2], all = parts * out;
    return columns ? values[(e * in + i) * all + o * parts + part]
                   : values[(e * all + part * out + o) * in + i];
}

static void check_merged(const tuff_model *merged, const tuff_param *p, const tuff_weight *want, int64_t part)
{
    const bool router = p->rank == 2,
               columns = want->rank == 3 && strstr(merged->config.arch->name, "oss") != NULL;
    const int64_t shape[3] = {router ? 1 : p->shape[0], p->shape[p->rank - 2], p->shape[p->rank - 1]},
                  n = tuff_param_elements(p), parts = tuff_weight_elements(want) / n;
    float *values = tuff_alloc(want->bytes), *got = tuff_alloc_array((size_t)n, sizeof *got);
    assert_int_equal(tuff_weight_elements(want) % n, 0);
    KIT_OK(tuff_weight_read(want, TUFF_F32, values));
    KIT_OK(tuff_model_read(merged, p, NULL, 0, tuff_param_rows(p), got));
    for (int64_t k = 0; k < n; k++) {
        const float is = number_of(values, columns, shape, parts, part, k / (shape[1] * shape[2]),
                                   k / shape[2] % shape[1], k % shape[2]);
        assert_true(fabsf(got[k] - is) <= 1e-6F);
    }
    tuff_free(values);
    tuff_free(got);
}

/* The weights of the last layer that PEFT's merge_and_unload gives. */
static void weights_are_those_of_peft(void **state)
{
    (void)state;
    static const struct {
        const char *model, *param, *tensor;
        int64_t part;
    } cases[] = {
        {"mixtral", "model.layers.1.block_sparse_moe.gate.weight", "model.layers.1.mlp.gate.weight", 0},
        {"mixtral", "model.layers.1.block_sparse_moe.experts.*.w1.weight",
         "model.layers.1.mlp.experts.gate_up_proj", 0},
        {"mixtral", "model.layers.1.block_sparse_moe.experts.*.w3.weight",
         "model.layers.1.mlp.experts.gate_up_proj", 1},
        {"mixtral", "model.layers.1.block_sparse_moe.experts.*.w2.weight",
         "model.layers.1.mlp.experts.down_proj", 0},
        {"qwen3_moe", "model.layers.1.mlp.experts.*.down_proj.weight", "model.layers.1.mlp.experts.down_proj",
         0},
        {"qwen3_moe", "model.layers.1.mlp.experts.*.up_proj.weight",
         "model.layers.1.mlp.experts.gate_up_proj", 1},
        {"gpt_oss", "model.layers.1.mlp.experts.gate_proj.weight", "model.layers.1.mlp.experts.gate_up_proj",
         0},
        {"gpt_oss", "model.layers.1.mlp.experts.up_proj.weight", "model.layers.1.mlp.experts.gate_up_proj",
         1},
        {"gpt_oss", "model.layers.1.mlp.experts.down_proj.weight", "model.layers.1.mlp.experts.down_proj", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *adapter = adapter_of(cases[i].model, "experts");
        tuff_model *base = model_open(cases[i].model), *merged = merged_of(base, adapter);
        tuff_weights *theirs = NULL;
        KIT_OK(tuff_safetensors_open(kit_join(adapter, "merged.safetensors"), &theirs));
        const tuff_param *p = tuff_params_find(&merged->params, cases[i].param);
        const tuff_weight *want = tuff_weights_find(theirs, cases[i].tensor);
        assert_non_null(p);
        assert_non_null(want);
        check_merged(merged, p, want, cases[i].part);
        tuff_weights_destroy(&theirs);
        tuff_model_destroy(&merged);
        tuff_model_destroy(&base);
    }
}

/* ---- files that are written here */

typedef struct copying {
    const tuff_weights *from;
    const tuff_weight **weights; /* by number, those that are written */
    const bool *flip;
} copying;

/* As it is; or what PEFT before 0.21 had in its place: of A [experts * rank, n] the B [n, rank * experts],
 * and of B the A. */
static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    enum { EXPERTS = 5 };
    const copying *c = user;
    const tuff_weight *w = c->weights[index];
    const int64_t n = tuff_weight_elements(w), rows = w->shape[0], columns = w->shape[1];
    float *values = tuff_alloc_array((size_t)n, sizeof *values),
          *flipped = tuff_alloc_array((size_t)n, sizeof *flipped);
    KIT_OK(tuff_weight_read(w, TUFF_F32, values));
    const bool a = strstr(w->name, "lora_A") != NULL;
    const int64_t all = a ? rows : columns, rank = all / EXPERTS;
    for (int64_t k = 0; k < n && c->flip[index]; k++) {
        const int64_t r = k / columns, i = k % columns;
        const int64_t e = a ? r / rank : i % EXPERTS, j = a ? r % rank : i / EXPERTS;
        flipped[a ? i * all + j * EXPERTS + e : (e * rank + j) * rows + r] = values[k];
    }
    tuff_status status = tuff_sink_write(sink, c->flip[index] ? flipped : values, (size_t)n * sizeof *values);
    tuff_free(values);
    tuff_free(flipped);
    return status;
}

static void older_files_are_read(void **state)
{
    (void)state;
    enum { MOST = 64 };
    static char names[MOST][160];
    tuff_save_item items[MOST];
    const tuff_weight *weights[MOST];
    bool flip[MOST];
    tuff_weights *from = NULL;
    tuff_buf text = {0};
    golden g = load_adapted("mixtral", "experts");
    const char *adapter = adapter_of("mixtral", "experts"), *older = kit_temp_path("older");
    KIT_OK(tuff_safetensors_open(kit_join(adapter, "adapter_model.safetensors"), &from));
    KIT_OK(tuff_read_file(kit_join(adapter, "adapter_config.json"), 1 << 20, &text));
    assert_true(from->count <= MOST);
    size_t count = 0;
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = weights[i] = &from->items[i];
        flip[i] = strstr(w->name, ".experts.") != NULL;
        count += flip[i];
        snprintf(names[i], sizeof names[i], "%s", w->name);
        char *side = strstr(names[i], "lora_") + strlen("lora_");
        if (flip[i]) *side = *side == 'A' ? 'B' : 'A';
        items[i] = (tuff_save_item){names[i], TUFF_STORE_F32, 2, {w->shape[flip[i]], w->shape[!flip[i]]}};
    }
    assert_int_equal(count, 2 * 2 * 2); /* A and B of both parameters, in two layers */
    copying c = {from, weights, flip};
    KIT_OK(tuff_make_directories(older));
    KIT_OK(tuff_peft_write(older, &text, items, from->count, give, &c));
    same_logits(&g, g.model, older);
    tuff_model *merged = merged_of(g.model, older);
    same_logits(&g, merged, NULL);
    tuff_model_destroy(&merged);
    tuff_weights_destroy(&from);
    tuff_buf_free(&text);
    unload(&g);
}

static tuff_status zeros(void *user, size_t index, tuff_sink *sink)
{
    static const float none[16384];
    const tuff_save_item *items = user;
    return tuff_sink_write(sink, none,
                           (size_t)(items[index].shape[0] * items[index].shape[1]) * sizeof *none);
}

/* Opening an adapter of zeros with these pairs fails. */
static void refused(const char *config, const char *layer, const int64_t a[2], const int64_t b[2],
                    tuff_status status, const char *part)
{
    char names[2][160];
    tuff_save_item items[2];
    tuff_buf text = {0};
    tuff_adapter *adapter = NULL;
    tuff_model *model = model_open("mixtral");
    const char *directory = kit_temp_path("bad");
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "%s.lora_%c.weight", layer, "AB"[i]);
        items[i] = (tuff_save_item){names[i], TUFF_STORE_F32, 2, {i ? b[0] : a[0], i ? b[1] : a[1]}};
    }
    tuff_buf_text(&text, config);
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_peft_write(directory, &text, items, 2, zeros, items));
    KIT_FAILS(tuff_adapter_open(model, directory, NULL, &adapter), status, part);
    assert_null(adapter);
    tuff_buf_free(&text);
    tuff_model_destroy(&model);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
#define LORA      "{\"peft_type\": \"LORA\", \"r\": 2, "
#define BIASED    LORA "\"bias\": \"all\", \"target_parameters\": [\"mlp.experts.down_proj\"]}"
#define TARGETING LORA "\"target_parameters\": [\"mlp.experts.down_proj\"]}"
    const int64_t a[2] = {10, 40}, b[2] = {32, 10}, less[2] = {8, 40}, other[2] = {10, 41}, one[2] = {2, 32},
                  wide[2] = {41, 2};
    refused(
        TARGETING, PARAMETERS "experts", less, b, TUFF_BAD_FORMAT,
        "A has shape [8, 40] and B [32, 10]; with the rank 2 of the configuration for each of 5 experts they must "
        "be [10, in] and [out, 10]");
    refused(BIASED, PARAMETERS "experts", a, b, TUFF_UNSUPPORTED, "LoRA of experts that has biases");
    refused(TARGETING, PARAMETERS "experts", other, b, TUFF_BAD_FORMAT,
            "is for matrices of 41 to 32, the model's are 40 to 32");
    refused(TARGETING, PARAMETERS "experts.base_layer", a, b, TUFF_UNSUPPORTED,
            "it adapts model.layers.0.mlp.experts");
    refused(LORA "\"target_modules\": [\"w1\"]}",
            "base_model.model.model.layers.0.block_sparse_moe.experts.3.w1", one, wide, TUFF_BAD_FORMAT,
            "is for matrices of 32 to 41, the model's are 32 to 40");
    refused(LORA "\"target_modules\": [\"w1\"]}",
            "base_model.model.model.layers.0.block_sparse_moe.experts.5.w1", one, wide, TUFF_UNSUPPORTED,
            "experts.5.w1, which is a matrix of each expert");
    refused(LORA "\"target_parameters\": [\"self_attn.q_proj.weight\"]}",
            "base_model.model.model.layers.0.self_attn.q_proj", one, wide, TUFF_UNSUPPORTED,
            "it adapts model.layers.0.self_attn.q_proj by target_parameters, which are read where they are "
            "matrices of experts, or what chooses these: this mixtral model has mlp.gate.weight, ");
    refused(LORA "\"target_parameters\": \"mlp.experts.down_proj\"}", PARAMETERS "experts", a, b,
            TUFF_BAD_FORMAT, "'target_parameters' must be a list of texts");
}

/* ---- new ones */

static void settings_are_checked(void **state)
{
    (void)state;
    tuff_model *model = model_open("mixtral"), *dense = model_open("llama");
    tuff_adapter *lora = NULL;
    const tuff_adapter_settings good = {
        .peft_type = "lora", .rank = 2, .alpha = 4, .targets = "", .parameters = "experts.down_proj"};
    tuff_adapter_settings bad = good;
    bad.parameters = "mlp.experts.w1";
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT,
              "target_parameters \"mlp.experts.w1\" names no parameter of experts; this mixtral model has "
              "mlp.gate.weight, mlp.experts.gate_up_proj, mlp.experts.down_proj");
    bad.parameters = "all-linear";
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT,
              "target_parameters is \"all-linear\"");
    bad = good;
    bad.dropout = 0.1;
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT, "lora_dropout is set");
    bad = good;
    bad.use_dora = true;
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT, "use_dora is set");
    bad = good;
    bad.bias = "all";
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT, "bias is all");
    bad = good;
    bad.rank_pattern = "gate_up_proj=4";
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT,
              "no adapted module is called so");
    KIT_FAILS(tuff_adapter_create(dense, &good, &lora), TUFF_INVALID_ARGUMENT, "this llama model has none");
    bad = good;
    bad.parameters = NULL;
    KIT_FAILS(tuff_adapter_create(model, &bad, &lora), TUFF_INVALID_ARGUMENT, "names no linear layer");
    tuff_model_destroy(&model);
    tuff_model_destroy(&dense);
}

static void check_tensor(const tuff_weights *weights, const char *name, int64_t rows, int64_t columns,
                         bool zero)
{
    const tuff_weight *w = tuff_weights_find(weights, name);
    if (!w) fail_msg("there is no %s", name);
    float *values = tuff_alloc(w->bytes);
    KIT_OK(tuff_weight_read(w, TUFF_F32, values));
    assert_int_equal(w->shape[0], rows);
    assert_int_equal(w->shape[1], columns);
    float most = 0;
    for (int64_t i = 0; i < rows * columns; i++)
        most = fmaxf(most, fabsf(values[i]));
    assert_true(zero ? most == 0 : most > 0 && most <= 1 / sqrtf((float)columns));
    tuff_free(values);
}

/* Names, shapes and adapter_config.json as PEFT has them; what is new changes nothing yet, and is read again.
 */
static void a_new_one_is_saved_as_peft_has_it(void **state)
{
    (void)state;
    tuff_model *model = model_open("mixtral");
    tuff_adapter *lora = NULL, *again = NULL;
    tuff_store *store = NULL;
    tuff_weights *weights = NULL;
    tuff_buf text = {0};
    const tuff_adapter_settings settings = {
        .peft_type = "lora",
        .rank = 3,
        .alpha = 6,
        .targets = "",
        .rank_pattern = "experts.down_proj=2",
        .seed = 4,
        .parameters = "mlp.experts.gate_up_proj, mlp.experts.down_proj, mlp.gate.weight"};
    const char *directory = kit_temp_path("new");
    KIT_OK(tuff_adapter_create(model, &settings, &lora));
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_adapter_upload(lora, store));
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(
        tuff_adapter_save(lora, &(tuff_adapter_saving){.task_type = "CAUSAL_LM", .store = store}, directory));
    KIT_OK(tuff_safetensors_open(kit_join(directory, "adapter_model.safetensors"), &weights));
    assert_int_equal(weights->count, 2 * 2 * 3);
    check_tensor(weights, PARAMETERS "experts.base_layer.lora_A.weight", 15, 32, false);
    check_tensor(weights, PARAMETERS "experts.base_layer.lora_B.weight", 80, 15, true);
    check_tensor(weights, PARAMETERS "experts.lora_A.weight", 10, 40, false);
    check_tensor(weights, PARAMETERS "experts.lora_B.weight", 32, 10, true);
    check_tensor(weights, PARAMETERS "gate.lora_A.weight", 3, 32, false);
    check_tensor(weights, PARAMETERS "gate.lora_B.weight", 5, 3, true);
    KIT_OK(tuff_read_file(kit_join(directory, "adapter_config.json"), 1 << 20, &text));
    assert_non_null(strstr(text.data, "\n  \"target_modules\": [],\n  \"target_parameters\": [\n"
                                      "    \"mlp.experts.gate_up_proj\",\n    \"mlp.experts.down_proj\",\n"
                                      "    \"mlp.gate.weight\"\n  ],\n"));
    assert_non_null(strstr(text.data, "\n  \"rank_pattern\": {\n    \"experts.down_proj\": 2\n  },\n"));
    KIT_OK(tuff_adapter_open(model, directory, NULL, &again));
    assert_int_equal(again->count, lora->count);
    for (size_t i = 0; i < lora->count; i++)
        assert_true(tuff_adapter_find(again, lora->tensors[i].name) != SIZE_MAX);
    golden g = load("mixtral", "truth.safetensors");
    same_logits(&g, model, directory);
    unload(&g);
    tuff_buf_free(&text);
    tuff_weights_destroy(&weights);
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&lora);
    tuff_adapter_destroy(&again);
    tuff_model_destroy(&model);
}

/* llama.cpp's files are written of linear layers only; PEFT's again as they are. */
static void other_files(void **state)
{
    (void)state;
    tuff_model *model = model_open("mixtral");
    tuff_adapter_params params = TUFF_ADAPTER_PARAMS_INIT;
    const char *again = kit_temp_path("again");
    params.format = TUFF_FORMAT_GGUF;
    KIT_FAILS(
        tuff_adapter_convert(model, adapter_of("mixtral", "experts"), &params, kit_temp_path("lora.gguf")),
        TUFF_UNSUPPORTED, "cannot hold model.layers.0.mlp.");
    params.format = TUFF_FORMAT_HF;
    KIT_OK(tuff_adapter_convert(model, adapter_of("mixtral", "experts"), &params, again));
    golden g = load_adapted("mixtral", "experts");
    same_logits(&g, model, again);
    unload(&g);
    tuff_model_destroy(&model);
}

typedef struct attempt {
    const tuff_model *model;
    const char *adapter; /* NULL: a new one */
} attempt;

/* On the device, and in the weights. */
static tuff_status use_one(void *user)
{
    const attempt *at = user;
    const tuff_adapter_settings settings = {.peft_type = "lora",
                                            .rank = 2,
                                            .alpha = 4,
                                            .parameters = "mlp.experts.gate_up_proj, mlp.gate.weight"};
    tuff_adapter *adapter = NULL;
    tuff_store *store = NULL;
    tuff_model *merged = NULL;
    float rows[64 * 40];
    tuff_status status;
    TUFF_GO(at->adapter ? tuff_adapter_open(at->model, at->adapter, NULL, &adapter)
                        : tuff_adapter_create(at->model, &settings, &adapter));
    TUFF_GO(tuff_store_create(device, &store));
    TUFF_GO(tuff_adapter_upload(adapter, store));
    if (!at->adapter) goto done;
    TUFF_GO(tuff_model_merged(at->model, at->adapter, &merged));
    const tuff_param *p =
        tuff_params_find(&merged->params, "model.layers.1.block_sparse_moe.experts.*.w2.weight");
    TUFF_GO(tuff_model_read(merged, p, NULL, 20, 84, rows)); /* of three experts */
done:
    tuff_model_destroy(&merged);
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&adapter);
    return status;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("mixtral");
    attempt of[] = {{model, NULL}, {model, adapter_of("mixtral", "experts")}, {model, NULL}};
    char older[256];
    snprintf(older, sizeof older, "%s", adapter_of("mixtral", "experts4"));
    of[2].adapter = older;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        model_fail_some_allocations(use_one, &of[i]);
    tuff_model_destroy(&model);
}

int main(void)
{
    if (!open_device("cpu")) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_those_of_peft),
        cmocka_unit_test(linear_layers_of_experts_are_read),
        cmocka_unit_test(weights_are_those_of_peft),
        cmocka_unit_test(older_files_are_read),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(a_new_one_is_saved_as_peft_has_it),
        cmocka_unit_test(other_files),
        cmocka_unit_test(allocations_may_fail),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
