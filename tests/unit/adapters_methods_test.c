/* Adapters beside LoRA: what they are made of, what is written, what is refused; where hooks attach. */
#include <math.h>
#include <stdio.h>

#include <tuff/embed.h>

#include "adapters/adapter.h"
#include "base/memory.h"
#include "cpu_fixture.h"
#include "generator_fixture.h"
#include "model_fixture.h"
#include "train/trainer.h"

/* ---- what is there */

static const tuff_adapter_settings ia3 = {.peft_type = "ia3"};
static const tuff_adapter_settings prompt = {.peft_type = "Prompt_Tuning", .virtual_tokens = 5, .seed = 1};

static void ia3_has_a_vector_of_each_module(void **state)
{
    (void)state;
    static const struct {
        const char *model, *targets, *feedforward, *first;
        size_t modules; /* of two layers */
        int64_t shape[2];
    } cases[] = {
        {"llama", NULL, NULL, "model.layers.0.self_attn.k_proj", 6, {16, 1}},
        {"gpt2", NULL, NULL, "transformer.h.0.attn.c_attn", 4, {96, 1}},
        {"gpt2", "c_fc", "c_fc", "transformer.h.0.mlp.c_fc", 2, {1, 32}},
        {"llama", "all-linear", "down_proj", "model.layers.0.self_attn.q_proj", 14, {32, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_adapter_settings s = ia3;
        tuff_adapter *adapter = NULL;
        char name[128];
        s.targets = cases[i].targets;
        s.feedforward = cases[i].feedforward;
        KIT_OK(tuff_adapter_create(model, &s, &adapter));
        assert_int_equal(adapter->count, cases[i].modules);
        snprintf(name, sizeof name, "base_model.model.%s.ia3_l", cases[i].first);
        size_t at = tuff_adapter_find(adapter, name);
        assert_true(at != SIZE_MAX);
        assert_memory_equal(adapter->tensors[at].shape, cases[i].shape, sizeof cases[i].shape);
        tuff_adapter_destroy(&adapter);
        tuff_model_destroy(&model);
    }
}

/* Biases by the modules whose they are, as PEFT chooses them. */
static void biases_are_those_that_were_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        tuff_adapter_settings settings;
        size_t tensors, biases; /* of two layers */
        const char *first, *name;
    } cases[] = {
        {"gpt2", {.peft_type = "bitfit"}, 0, 13, "transformer.h.0.ln_1.bias", NULL},
        {"qwen2", {.peft_type = "bitfit"}, 0, 6, "model.layers.0.self_attn.q_proj.bias", NULL},
        {"gpt2",
         {.peft_type = "lora", .rank = 2, .alpha = 2, .bias = "all"},
         4,
         13,
         "transformer.h.0.ln_1.bias",
         NULL},
        {"gpt2",
         {.peft_type = "lora", .rank = 2, .alpha = 2, .bias = "lora_only", .targets = "c_fc"},
         4,
         2,
         "transformer.h.0.mlp.c_fc.bias",
         "base_model.model.transformer.h.0.mlp.c_fc.base_layer.bias"},
        {"gpt2", {.peft_type = "lora", .rank = 2, .alpha = 2, .bias = "none"}, 4, 0, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_adapter *adapter = NULL;
        KIT_OK(tuff_adapter_create(model, &cases[i].settings, &adapter));
        assert_int_equal(adapter->count, cases[i].tensors);
        assert_int_equal(adapter->whole_count, cases[i].biases);
        if (cases[i].first) assert_string_equal(adapter->whole[0].param->name, cases[i].first);
        if (cases[i].name) assert_string_equal(adapter->whole[0].name, cases[i].name);
        tuff_adapter_destroy(&adapter);
        tuff_model_destroy(&model);
    }
}

static void refused(const char *model_name, tuff_adapter_settings settings, tuff_status status,
                    const char *part)
{
    tuff_model *model = model_open(model_name);
    tuff_adapter *adapter = NULL;
    KIT_FAILS(tuff_adapter_create(model, &settings, &adapter), status, part);
    assert_null(adapter);
    tuff_model_destroy(&model);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    tuff_adapter_settings s = ia3;
    s.peft_type = "oft";
    refused("llama", s, TUFF_INVALID_ARGUMENT,
            "peft_type is \"oft\", which Tuff does not have; it has LORA, IA3");
    s = ia3;
    s.targets = "q_proj";
    s.feedforward = "down_proj";
    refused("llama", s, TUFF_INVALID_ARGUMENT,
            "feedforward_modules has \"down_proj\", which target_modules has not");
    s.feedforward = NULL;
    s.targets = "z_proj";
    refused("llama", s, TUFF_INVALID_ARGUMENT, "target_modules \"z_proj\" names no linear layer");
    s.targets = NULL;
    refused("distilbert", s, TUFF_INVALID_ARGUMENT,
            "IA3 has no modules by default for models of type distilbert");
    s = (tuff_adapter_settings){.peft_type = "bitfit"};
    refused("llama", s, TUFF_UNSUPPORTED, "BitFit trains biases, of which this llama model has none");
    refused("gpt_oss", s, TUFF_UNSUPPORTED, "which is a part of the tensor model.layers.0.mlp.experts.");
    s = (tuff_adapter_settings){.peft_type = "lora", .rank = 2, .alpha = 2, .bias = "all"};
    refused("gpt_oss", s, TUFF_UNSUPPORTED, "with bias none or lora_only");
    s = (tuff_adapter_settings){.peft_type = "vera", .targets = "z_proj"};
    refused("llama", s, TUFF_INVALID_ARGUMENT, "target_modules \"z_proj\" names no linear layer");
    s = (tuff_adapter_settings){.peft_type = "prefix_tuning", .virtual_tokens = 0};
    refused("llama", s, TUFF_INVALID_ARGUMENT, "num_virtual_tokens is 0, expected 1 to");
    s.virtual_tokens = 4;
    refused("t5", s, TUFF_UNSUPPORTED, "prefix tuning of encoder-decoders is not done");
    refused("bert", s, TUFF_UNSUPPORTED, "language model");
    s = (tuff_adapter_settings){.peft_type = "lora", .rank = 2, .alpha = 2, .bias = "some"};
    refused("gpt2", s, TUFF_INVALID_ARGUMENT, "bias is \"some\", expected none, all or lora_only");
    s.bias = "lora_only";
    refused("llama", s, TUFF_UNSUPPORTED, "bias is lora_only, but no adapted module has one");
    s = prompt;
    s.virtual_tokens = 0;
    refused("llama", s, TUFF_INVALID_ARGUMENT, "num_virtual_tokens is 0, expected 1 to");
    s.virtual_tokens = 64;
    refused("gpt2", s, TUFF_INVALID_ARGUMENT, "num_virtual_tokens is 64, expected 1 to 63");
    s.virtual_tokens = 5;
    s.init_text = "";
    refused("gpt2", s, TUFF_INVALID_ARGUMENT, "prompt_tuning_init_text has no tokens");
    refused("bert", prompt, TUFF_UNSUPPORTED, "language model");
    refused("bert-mlm", prompt, TUFF_UNSUPPORTED,
            "PEFT defines no prompt tuning of a model whose head is: masked language model");
    refused("bert-spans", prompt, TUFF_UNSUPPORTED, "whose head is: question answering");
    refused("t5", prompt, TUFF_UNSUPPORTED, "this is an encoder-decoder");
    refused("bart", prompt, TUFF_UNSUPPORTED, "take LoRA or IA3");
}

/* Where the package has them, as many numbers as its division gives. */
static void bottlenecks_stand_behind_parts(void **state)
{
    (void)state;
    static const struct {
        const char *model, *config, *first;
        double reduction;
        size_t tensors; /* of two layers */
        int64_t width;
    } cases[] = {
        {"gpt2", NULL, "transformer.h.0.output_adapters.adapters.adapter.", 0, 8, 2},
        {"llama", "pfeiffer", "model.layers.0.output_adapters.adapters.adapter.", 64, 8, 1},
        {"llama", "houlsby", "model.layers.0.attention_adapters.adapters.adapter.", 6.4, 16, 4},
        {"bert", "double_seq_bn", "bert.encoder.layer.0.attention.output.adapters.adapter.", 0.5, 16, 32},
        {"bert", "seq_bn", "bert.encoder.layer.0.output.adapters.adapter.", 2, 8, 8},
        {"distilbert", NULL, "distilbert.transformer.layer.0.output_adapters.adapters.adapter.", 2, 8, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        const tuff_adapter_settings s = {
            .peft_type = "Bottleneck", .bottleneck = cases[i].config, .reduction_factor = cases[i].reduction};
        tuff_adapter *adapter = NULL;
        KIT_OK(tuff_adapter_create(model, &s, &adapter));
        assert_int_equal(adapter->count, cases[i].tensors);
        assert_true(tuff_starts_with(adapter->tensors[0].name, cases[i].first));
        assert_int_equal(adapter->tensors[0].shape[0], cases[i].width);
        tuff_adapter_destroy(&adapter);
        tuff_model_destroy(&model);
    }
    tuff_adapter_settings s = {.peft_type = "bottleneck"};
    refused("t5", s, TUFF_UNSUPPORTED, "this t5 model is an encoder-decoder; take LoRA or IA3");
    refused("t5-encoder", s, TUFF_UNSUPPORTED, "is the encoder of one");
    refused("gptj", s, TUFF_UNSUPPORTED, "has its attention and feed-forward side by side");
    s.bottleneck = "par_bn";
    refused("gpt2", s, TUFF_INVALID_ARGUMENT, "adapter_config is \"par_bn\"; Tuff has seq_bn");
    s.bottleneck = NULL;
    s.activation = "leakyrelu";
    refused("gpt2", s, TUFF_UNSUPPORTED, "non_linearity is \"leakyrelu\"; Tuff has gelu");
    s.activation = NULL;
    s.reduction_factor = -2;
    refused("gpt2", s, TUFF_INVALID_ARGUMENT, "reduction_factor is -2");
    s.reduction_factor = 1e-7;
    refused("gpt2", s, TUFF_INVALID_ARGUMENT, "take a larger one");
}

/* What PEFT has for a model_type when no modules are named; NULL: nothing. */
static const char *peft_default(const cJSON *facts, const char *map, const char *arch)
{
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(facts, map);
    assert_non_null(of);
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(of, arch));
}

static void defaults_are_those_of_peft(void **state)
{
    (void)state;
    static const tuff_arch *const archs[] = {
#define TUFF_ARCH(name, model_type) &tuff_arch_##name,
#include "models/archs.def"
#undef TUFF_ARCH
    };
    cJSON *facts = NULL;
    size_t known = 0;
    KIT_OK(tuff_json_read(kit_asset("golden/keys/peft.json"), &facts));
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        const char *arch = archs[i]->name, *lora = peft_default(facts, "lora", arch);
        const struct {
            const char *what, *ours, *theirs;
        } pairs[] = {
            {"LoRA", archs[i]->lora_target, lora ? lora : archs[i]->lora_target},
            {"IA3", tuff_ia3_usual(arch, false), peft_default(facts, "ia3", arch)},
            {"IA3's feed-forward", tuff_ia3_usual(arch, true), peft_default(facts, "ia3_feedforward", arch)}};
        known += lora != NULL;
        assert_non_null(archs[i]->lora_target);
        /* IA3's of Mixtral are modules that transformers 5 has not */
        const size_t compared = strcmp(arch, "mixtral") == 0 ? 1 : sizeof pairs / sizeof *pairs;
        for (size_t k = 0; k < compared; k++) {
            const char *ours = pairs[k].ours ? pairs[k].ours : "",
                       *theirs = pairs[k].theirs ? pairs[k].theirs : "";
            if (strcmp(ours, theirs) != 0)
                fail_msg("%s: %s modules by default are \"%s\", PEFT's are \"%s\"", arch, pairs[k].what, ours,
                         theirs);
        }
    }
    assert_true(known > 15);
    cJSON_Delete(facts);
}

/* ---- files */

static void same_values(const tuff_store *a, const tuff_store *b)
{
    assert_true(tuff_store_count(a) <= tuff_store_count(b)); /* of files there may be more that is fixed */
    for (size_t i = 0; i < tuff_store_count(a); i++) {
        const char *name;
        tuff_buffer *x = tuff_store_at(a, i, &name), *y = tuff_store_find(b, name);
        assert_non_null(y);
        int64_t n = tuff_buffer_count(x);
        float *u = tuff_alloc_array((size_t)n, sizeof *u), *v = tuff_alloc_array((size_t)n, sizeof *v);
        KIT_OK(tuff_buffer_read(x, 0, u, n));
        KIT_OK(tuff_buffer_read(y, 0, v, n));
        assert_memory_equal(u, v, (size_t)n * sizeof *u);
        tuff_free(u);
        tuff_free(v);
    }
}

/* Written, opened, written again: the same tensors. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    tuff_adapter_settings said = prompt;
    said.init_text = "the cat";
    const tuff_adapter_settings settings[] = {
        ia3,
        ia3,
        prompt,
        prompt,
        said,
        said,
        {.peft_type = "bitfit"},
        {.peft_type = "lora", .rank = 2, .alpha = 2, .bias = "lora_only", .targets = "q_proj,v_proj"},
        {.peft_type = "prefix_tuning", .virtual_tokens = 3, .seed = 5},
        {.peft_type = "prefix_tuning", .virtual_tokens = 3, .prefix_projection = true},
        {.peft_type = "vera", .rank = 6, .projection_key = 7},
        {.peft_type = "lora", .rank = 2, .alpha = 2, .targets = "embed_tokens,lm_head"},
        {.peft_type = "bottleneck", .seed = 3},
        {.peft_type = "bottleneck", .bottleneck = "double_seq_bn", .reduction_factor = 4.5, .seed = 3},
        {.peft_type = "bottleneck", .bottleneck = "houlsby", .activation = "tanh", .seed = 3}};
    static const char *const models[] = {"gpt2",  "llama", "gpt2",  "llama", "gpt2",
                                         "llama", "gpt2",  "qwen2", "llama", "llama",
                                         "gpt2",  "llama", "gpt2",  "bert",  "roberta"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        tuff_model *model = model_open(models[i]);
        tuff_store *stores[3] = {NULL};
        tuff_adapter *adapter = NULL;
        KIT_OK(tuff_adapter_create(model, &settings[i], &adapter));
        for (int k = 0; k < 3; k++) {
            char name[32];
            snprintf(name, sizeof name, "written-%zu-%d", i, k);
            const char *directory = kit_temp_path(name);
            KIT_OK(tuff_store_create(device, &stores[k]));
            KIT_OK(tuff_model_upload(model, false, NULL, stores[k]));
            KIT_OK(tuff_adapter_upload(adapter, stores[k]));
            KIT_OK(tuff_make_directories(directory));
            KIT_OK(tuff_adapter_save(
                adapter, &(tuff_adapter_saving){.task_type = "CAUSAL_LM", .store = stores[k]}, directory));
            tuff_adapter_destroy(&adapter);
            KIT_OK(tuff_adapter_open(model, kit_temp_path(name), NULL, &adapter));
            if (k) same_values(stores[0], stores[k]);
        }
        tuff_adapter_destroy(&adapter);
        for (int k = 0; k < 3; k++)
            tuff_store_destroy(&stores[k]);
        tuff_model_destroy(&model);
    }
}

static tuff_status zeros(void *user, size_t index, tuff_sink *sink)
{
    static const float none[16384];
    const tuff_save_item *items = user;
    return tuff_sink_write(sink, none,
                           (size_t)(items[index].shape[0] * items[index].shape[1]) * sizeof *none);
}

static void opened_are_refused(const char *model_name, const char *config, const tuff_save_item *items,
                               size_t count, tuff_status status, const char *part)
{
    tuff_buf text = {0};
    tuff_model *model = model_open(model_name);
    tuff_adapter *adapter = NULL;
    const char *directory = kit_temp_path("bad");
    tuff_buf_text(&text, config);
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_peft_write(directory, &text, items, count, zeros, (void *)(uintptr_t)items));
    KIT_FAILS(tuff_adapter_open(model, directory, NULL, &adapter), status, part);
    assert_null(adapter);
    tuff_buf_free(&text);
    tuff_model_destroy(&model);
}

static void opened_is_refused(const char *model_name, const char *config, const tuff_save_item *item,
                              tuff_status status, const char *part)
{
    opened_are_refused(model_name, config, item, 1, status, part);
}

/* Of a prefix that has an encoder the first layer's bias says how wide that is. */
static void an_encoder_of_no_size_is_refused(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{0, 1}, {3, 2}};
    for (int i = 0; i < 2; i++) {
        const tuff_save_item items[] = {
            {"prompt_embeddings", TUFF_STORE_F32, 2, {5, 128}},
            {"prompt_encoder.transform.0.bias", TUFF_STORE_F32, i ? 2 : 1, {sizes[i][0], sizes[i][1]}}};
        opened_are_refused("gpt2", "{\"peft_type\": \"PREFIX_TUNING\", \"num_virtual_tokens\": 5}", items, 2,
                           TUFF_BAD_FORMAT,
                           "tensor 'prompt_encoder.transform.0.bias' is no vector of at least one number");
    }
}

/* A directory of the package `adapters` with one tensor. */
static void package_is_refused(const char *model_name, const char *settings, const tuff_save_item *item,
                               tuff_status status, const char *part)
{
    tuff_buf text = {0};
    tuff_model *model = model_open(model_name);
    tuff_adapter *adapter = NULL;
    const char *directory = kit_temp_path("bad-package");
    tuff_buf_printf(&text, "{\"name\": \"x\", \"config\": {\"non_linearity\": \"relu\"%s}}", settings);
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(
        tuff_peft_write_as(directory, &tuff_peft_adapters, &text, item, 1, zeros, (void *)(uintptr_t)item));
    KIT_FAILS(tuff_adapter_open(model, directory, NULL, &adapter), status, part);
    assert_null(adapter);
    tuff_buf_free(&text);
    tuff_model_destroy(&model);
}

static void bad_files_of_the_package_are_named(void **state)
{
    (void)state;
    const tuff_save_item
        bias = {"transformer.h.0.output_adapters.adapters.x.adapter_down.0.bias", TUFF_STORE_F32, 1, {4, 1}},
        other = {"transformer.h.9.output_adapters.adapters.x.adapter_down.0.bias", TUFF_STORE_F32, 1, {4, 1}};
    package_is_refused("gpt2", "", &bias, TUFF_NOT_FOUND, "a part of transformer.h.0.output_adapters");
    package_is_refused("gpt2", "", &other, TUFF_BAD_FORMAT, "has no place for tensor 'transformer.h.9.");
    package_is_refused("gpt2", ", \"is_parallel\": true", &bias, TUFF_UNSUPPORTED, "'is_parallel' is set");
    package_is_refused("gpt2", ", \"inv_adapter\": \"nice\"", &bias, TUFF_UNSUPPORTED,
                       "'inv_adapter' is set");
    package_is_refused("gpt2", ", \"stochastic_depth\": 0.5", &bias, TUFF_UNSUPPORTED, "'stochastic_depth'");
    package_is_refused("gpt2", ", \"scaling\": \"learned\"", &bias, TUFF_UNSUPPORTED, "'scaling' is not as");
    package_is_refused("gpt2", ", \"original_ln_after\": false", &bias, TUFF_UNSUPPORTED,
                       "'original_ln_after'");
    package_is_refused("gpt2", ", \"residual_before_ln\": \"post_add\"", &bias, TUFF_UNSUPPORTED,
                       "'residual_before_ln'");
    package_is_refused("gpt2", ", \"dropout\": 2", &bias, TUFF_BAD_FORMAT, "dropout 2");
    package_is_refused(
        "gpt2", ", \"architecture\": \"lora\"", &bias, TUFF_UNSUPPORTED,
        "its architecture is 'lora'; of the package adapters, bottleneck adapters can be read");
    package_is_refused("gptj", "", &bias, TUFF_UNSUPPORTED, "side by side");
}

static void bad_files_are_named(void **state)
{
    (void)state;
    static const char *const IA3 = "{\"peft_type\": \"IA3\"}";
    static const char *const PROMPT = "{\"peft_type\": \"PROMPT_TUNING\", \"num_virtual_tokens\": 5}";
    const tuff_save_item
        vector = {"base_model.model.transformer.h.0.attn.c_attn.ia3_l", TUFF_STORE_F32, 2, {96, 1}},
        longer = {"base_model.model.transformer.h.0.attn.c_attn.ia3_l", TUFF_STORE_F32, 2, {95, 1}},
        other = {"base_model.model.transformer.h.0.attn.c_attn.lora_A", TUFF_STORE_F32, 2, {2, 1}},
        table = {"base_model.model.lm_head.weight", TUFF_STORE_F32, 2, {64, 32}},
        norm = {"base_model.model.transformer.ln_f.weight", TUFF_STORE_F32, 2, {3, 1}},
        turned = {"base_model.model.transformer.h.0.attn.c_attn.weight", TUFF_STORE_F32, 2, {32, 96}},
        bias = {"base_model.model.transformer.ln_f.bias", TUFF_STORE_F32, 2, {32, 1}},
        rows = {"prompt_embeddings", TUFF_STORE_F32, 2, {5, 32}};
    opened_is_refused("gpt2", "{\"peft_type\": \"BITFIT\"}", &vector, TUFF_UNSUPPORTED,
                      "'peft_type' is 'BITFIT'; adapters of type LORA, IA3, PROMPT_TUNING");
    opened_is_refused(
        "llama", "{\"peft_type\": \"LORA\", \"bias\": \"all\", \"target_modules\": \"dummy-target-modules\"}",
        &bias, TUFF_BAD_FORMAT, "it has biases alone (BitFit), none of which the llama model");
    const tuff_save_item lambda = {
        "base_model.model.transformer.h.0.attn.c_attn.vera_lambda_b", TUFF_STORE_F32, 1, {96, 1}};
    opened_is_refused("gpt2", "{\"peft_type\": \"PREFIX_TUNING\", \"num_virtual_tokens\": 5}", &rows,
                      TUFF_BAD_FORMAT, "prompt_embeddings");
    opened_is_refused("llama",
                      "{\"peft_type\": \"PREFIX_TUNING\", \"num_virtual_tokens\": 5, \"token_dim\": 32}",
                      &rows, TUFF_UNSUPPORTED, "'token_dim' is 32, of the model it is 16");
    opened_is_refused("gpt2", "{\"peft_type\": \"VERA\", \"r\": 4}", &vector, TUFF_UNSUPPORTED,
                      "is none of VeRA");
    opened_is_refused("gpt2", "{\"peft_type\": \"VERA\", \"r\": 4}", &lambda, TUFF_NOT_FOUND,
                      "vera_lambda_d");
    opened_is_refused("gpt2", "{\"peft_type\": \"VERA\", \"r\": 0}", &lambda, TUFF_BAD_FORMAT,
                      "the rank 'r' is 0");
    opened_is_refused("gpt2", "{\"peft_type\": \"OFT\"}", &vector, TUFF_UNSUPPORTED,
                      "'peft_type' is 'OFT'; adapters of type LORA, IA3, PROMPT_TUNING");
    opened_is_refused("gpt2", "{}", &vector, TUFF_BAD_FORMAT, "it has no 'peft_type'");
    opened_is_refused("gpt2", IA3, &table, TUFF_UNSUPPORTED, "the head of this model is its embedding table");
    opened_is_refused("gpt2", IA3, &norm, TUFF_BAD_FORMAT, "has shape [3, 1], the model's has [32]");
    opened_is_refused("gpt2", IA3, &turned, TUFF_UNSUPPORTED, "a matrix that files hold the other way round");
    opened_is_refused("gpt2", IA3, &longer, TUFF_BAD_FORMAT,
                      "for this model's layer of 32 to 96 it must be [96, 1]");
    opened_is_refused("gpt2", IA3, &other, TUFF_UNSUPPORTED, "is no vector of IA3");
    opened_is_refused("llama", IA3, &vector, TUFF_BAD_FORMAT, "is no linear layer of the llama model");
    opened_is_refused("gpt2", "{\"peft_type\": \"PROMPT_TUNING\"}", &rows, TUFF_INVALID_ARGUMENT,
                      "'num_virtual_tokens' is 0");
    opened_is_refused("gpt2",
                      "{\"peft_type\": \"PROMPT_TUNING\", \"num_virtual_tokens\": 5, "
                      "\"num_transformer_submodules\": 2}",
                      &rows, TUFF_UNSUPPORTED, "'num_transformer_submodules' is 2");
    opened_is_refused("llama-tied", PROMPT, &rows, TUFF_BAD_FORMAT, "prompt_embeddings");
    opened_is_refused("gpt2", PROMPT, &vector, TUFF_NOT_FOUND, "prompt_embeddings");
}

/* ---- training and generating */

static void blocks_behind_virtual_tokens_must_fit(void **state)
{
    (void)state;
    static const int32_t ids[130];
    tuff_model *model = model_open("gpt2");
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.peft_type = "PROMPT_TUNING";
    p.num_virtual_tokens = 8;
    p.per_device_train_batch_size = 1;
    KIT_OK(tuff_dataset_from_ids(ids, 130, 60, &data));
    KIT_FAILS(tuff_trainer_create(model, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "8 virtual tokens and blocks of 60 need more than the 64 positions");
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

static void vectors_have_no_virtual_tokens(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_embedder *embedder = NULL;
    tuff_embedder_params p = TUFF_EMBEDDER_PARAMS_INIT;
    p.adapter = kit_asset("golden/llama/prompt");
    KIT_FAILS(tuff_embedder_create(model, device, &p, &embedder), TUFF_UNSUPPORTED,
              "golden/llama/prompt: it has virtual tokens; how vectors behind such are pooled");
    tuff_model_destroy(&model);
}

/* What an adapter has whole is f32, whatever the model's file has in its place: a head of zeros. */
static void a_whole_head_stands_beside_blocks(void **state)
{
    (void)state;
    static const tuff_save_item items[] = {
        {"base_model.model.model.layers.0.self_attn.k_proj.ia3_l", TUFF_STORE_F32, 2, {16, 1}},
        {"base_model.model.lm_head.weight", TUFF_STORE_F32, 2, {280, 32}}};
    static const int32_t ids[] = {5, 6, 7};
    const char *directory = kit_temp_path("whole"), *file = kit_temp_path("whole.gguf");
    tuff_model *from = model_open("llama");
    tuff_save_params as = TUFF_SAVE_PARAMS_INIT;
    tuff_buf text = {0};
    float logits[280], plain[280];
    as.format = TUFF_FORMAT_GGUF;
    as.type = "q8_0";
    KIT_OK(tuff_model_save_with(from, &as, file));
    tuff_model_destroy(&from);
    tuff_model *model = model_open(file);
    assert_true(tuff_dtype_is_block(tuff_params_find(&model->params, "lm_head.weight")->stored));
    tuff_buf_text(&text, "{\"peft_type\": \"IA3\", \"modules_to_save\": [\"lm_head\"]}");
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_peft_write(directory, &text, items, 2, zeros, (void *)(uintptr_t)items));
    logits_of(model, NULL, ids, 3, plain);
    logits_of(model, directory, ids, 3, logits);
    for (int i = 0; i < 280; i++)
        assert_true(plain[i] != 0 && logits[i] == 0);
    tuff_buf_free(&text);
    tuff_model_destroy(&model);
}

/* transformers calls GPT-NeoX's head as all others', whatever the model's files call it. */
static void a_head_goes_by_the_name_that_peft_knows(void **state)
{
    (void)state;
    enum { VOCAB = 276, HIDDEN = 48 };
    static const tuff_save_item whole[] = {
        {"base_model.model.gpt_neox.layers.0.attention.query_key_value.ia3_l",
         TUFF_STORE_F32,
         2,
         {3 * HIDDEN, 1}},
        {"base_model.model.lm_head.weight", TUFF_STORE_F32, 2, {VOCAB, HIDDEN}}};
    static const tuff_save_item pair[] = {
        {"base_model.model.lm_head.lora_A.weight", TUFF_STORE_F32, 2, {2, HIDDEN}},
        {"base_model.model.lm_head.lora_B.weight", TUFF_STORE_F32, 2, {VOCAB, 2}}};
    static const struct {
        const char *config;
        const tuff_save_item *items;
    } cases[] = {
        {"{\"peft_type\": \"IA3\", \"modules_to_save\": [\"lm_head\"]}", whole},
        {"{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 2, \"target_modules\": [\"lm_head\"]}", pair}};
    static const int32_t ids[] = {5, 6, 7};
    tuff_model *model = model_open("gpt_neox");
    float logits[VOCAB];
    for (int i = 0; i < 2; i++) {
        const char *directory = kit_temp_path(i ? "neox-pair" : "neox-whole");
        tuff_buf text = {0};
        tuff_buf_text(&text, cases[i].config);
        KIT_OK(tuff_make_directories(directory));
        KIT_OK(
            tuff_peft_write(directory, &text, cases[i].items, 2, zeros, (void *)(uintptr_t)cases[i].items));
        logits_of(model, directory, ids, 3, logits);
        for (int k = 0; k < VOCAB; k++)
            assert_true((logits[k] == 0) == (i == 0));
        tuff_buf_free(&text);
    }
    tuff_model_destroy(&model);
}

/* Virtual tokens that begin as a text are that text's tokens, also where rows of the table are scaled by
 * their module (Gemma) or by what takes them (Granite). */
static void virtual_tokens_begin_as_tokens(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2", "llama", "gemma", "granite"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        tuff_model *model = model_open(models[i]);
        const tuff_tokenizer *tokenizer = NULL;
        tuff_adapter_settings s = prompt;
        tuff_adapter *adapter = NULL;
        tuff_store *store = NULL;
        int32_t *said = NULL, ids[24];
        size_t n = 0;
        s.init_text = "the cat";
        KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
        KIT_OK(tuff_tokenizer_encode(tokenizer, s.init_text, 7, TUFF_ENCODE_ADD_SPECIAL, &said, &n));
        assert_true(n >= 1 && n <= 16);
        s.virtual_tokens = (int64_t)n;
        for (size_t k = 0; k < 24; k++)
            ids[k] = k < n ? said[k] : (int32_t)(5 + k);
        const char *directory = kit_temp_path(models[i]);
        KIT_OK(tuff_adapter_create(model, &s, &adapter));
        KIT_OK(tuff_store_create(device, &store));
        KIT_OK(tuff_adapter_upload(adapter, store));
        KIT_OK(tuff_make_directories(directory));
        KIT_OK(tuff_adapter_save(adapter, &(tuff_adapter_saving){.task_type = "CAUSAL_LM", .store = store},
                                 directory));
        size_t vocab = (size_t)model->config.vocab_size;
        float *want = tuff_alloc_array(vocab, sizeof *want), *got = tuff_alloc_array(vocab, sizeof *got);
        logits_of(model, NULL, ids, 24, want);
        logits_of(model, kit_temp_path(models[i]), ids + n, 24 - n, got);
        float largest = 0;
        for (size_t k = 0; k < vocab; k++)
            largest = fmaxf(largest, fabsf(want[k]));
        for (size_t k = 0; k < vocab; k++)
            assert_true(fabsf(want[k] - got[k]) <= 1e-5F * largest);
        tuff_free(want);
        tuff_free(got);
        tuff_free(said);
        tuff_store_destroy(&store);
        tuff_adapter_destroy(&adapter);
        tuff_model_destroy(&model);
    }
}

/* ---- where hooks attach */

typedef struct counts {
    int inputs, linears, embeddings;
} counts;

static tuff_tensor *see_input(void *self, tuff_net *net, const char *module, tuff_tensor *x)
{
    (void)module;
    ((counts *)self)->inputs++;
    return tuff_scale(net->g, x, 1);
}
static tuff_tensor *see_linear(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *w,
                               tuff_tensor *y)
{
    (void)module;
    assert_int_equal(tuff_tensor_dim(w, 1), tuff_tensor_dim(x, -1));
    assert_int_equal(tuff_tensor_dim(w, 0), tuff_tensor_dim(y, -1));
    ((counts *)self)->linears++;
    return tuff_scale(net->g, y, 1);
}
static tuff_tensor *see_embeddings(void *self, tuff_net *net, tuff_tensor *x)
{
    ((counts *)self)->embeddings++;
    return tuff_scale(net->g, x, 1);
}
static size_t scales_of(const tuff_model *model, const tuff_net_hook *hook)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_net net = {.g = g,
                    .config = &model->config,
                    .tokens = 6,
                    .sequences = 2,
                    .params = &model->params,
                    .rope_positions = 8,
                    .hook = hook};
    tuff_net_begin(&net);
    tuff_net_hidden(&net);
    KIT_OK(tuff_graph_status(g));
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i]->op == TUFF_OP_scale;
    tuff_graph_destroy(&g);
    return n;
}

static void every_point_is_reached(void **state)
{
    (void)state;
    static const tuff_net_points points = {
        .input = see_input, .linear = see_linear, .embeddings = see_embeddings};
    static const struct {
        const char *model;
        int linears; /* of two layers */
    } cases[] = {{"llama", 14}, {"gpt2", 8}, {"bert", 12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        counts seen = {0};
        const tuff_net_hook hook = {.points = &points, .self = &seen};
        size_t own = scales_of(model, NULL), with = scales_of(model, &hook);
        assert_int_equal(seen.inputs, cases[i].linears);
        assert_int_equal(seen.linears, cases[i].linears);
        assert_int_equal(seen.embeddings, 1);
        assert_int_equal(with - own, 2 * cases[i].linears + 1);
        tuff_model_destroy(&model);
    }
}

/* ---- memory */

static tuff_status open_and_upload(void *user)
{
    tuff_adapter *adapter = NULL;
    tuff_store *store = NULL;
    tuff_status status = TUFF_OK;
    const char *const directories[] = {"golden/gpt2/ia3", "golden/gpt2/prompt", "golden/gpt2/prefix",
                                       "golden/gpt2/vera", "golden/gpt2/bitfit"};
    for (int i = 0; i < 5 && status == TUFF_OK; i++) {
        TUFF_GO(tuff_adapter_open(user, kit_asset(directories[i]), NULL, &adapter));
        TUFF_GO(tuff_store_create(device, &store));
        if (adapter->whole_count) TUFF_GO(tuff_model_upload(user, false, NULL, store));
        TUFF_GO(tuff_adapter_upload(adapter, store));
        tuff_store_destroy(&store);
        tuff_adapter_destroy(&adapter);
    }
done:
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&adapter);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("gpt2");
    assert_true(kit_for_each_allocation_failure(open_and_upload, model) > 20);
    tuff_model_destroy(&model);
}

/* 128 of them, as many as the model has positions: a context length must be given then. */
static void virtual_tokens_leave_room_for_text(void **state)
{
    (void)state;
    const tuff_save_item rows = {"prompt_embeddings", TUFF_STORE_F32, 2, {128, 32}};
    const char *directory = kit_temp_path("long");
    tuff_model *model = model_open("llama");
    tuff_generator *generator = NULL;
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    tuff_buf config = {0};
    params.adapter = directory;
    tuff_buf_text(&config, "{\"peft_type\": \"PROMPT_TUNING\", \"num_virtual_tokens\": 128}");
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_peft_write(directory, &config, &rows, 1, zeros, (void *)(uintptr_t)&rows));
    KIT_FAILS(tuff_generator_create(model, device, &params, &generator), TUFF_INVALID_ARGUMENT,
              "the adapter's 128 virtual tokens leave none of the model's 128 positions for text");
    params.context_length = 64;
    KIT_OK(tuff_generator_create(model, device, &params, &generator));
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
    tuff_buf_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ia3_has_a_vector_of_each_module),
        cmocka_unit_test(biases_are_those_that_were_asked_for),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(defaults_are_those_of_peft),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(bottlenecks_stand_behind_parts),
        cmocka_unit_test(bad_files_of_the_package_are_named),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(an_encoder_of_no_size_is_refused),
        cmocka_unit_test(blocks_behind_virtual_tokens_must_fit),
        cmocka_unit_test(vectors_have_no_virtual_tokens),
        cmocka_unit_test(a_whole_head_stands_beside_blocks),
        cmocka_unit_test(a_head_goes_by_the_name_that_peft_knows),
        cmocka_unit_test(virtual_tokens_begin_as_tokens),
        cmocka_unit_test(virtual_tokens_leave_room_for_text),
        cmocka_unit_test(every_point_is_reached),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
