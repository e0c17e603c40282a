/* LoRA in llama.cpp's files: written from PEFT's, read, and back; what these cannot hold, what is no such
 * file. */
#include "adapted_fixture.h"
#include "formats/gguf.h"

static void convert(const tuff_model *base, const char *from, tuff_file_format format, const char *to)
{
    tuff_adapter_params params = TUFF_ADAPTER_PARAMS_INIT;
    params.format = format;
    params.base_name = "owner/name";
    KIT_OK(tuff_adapter_convert(base, from, &params, to));
}

/* Of all orders of rows that GGUFs have: the model's own, heads in pairs, fused ones one after the other.
 * Beside a directory and a GGUF of the model, merged, and as PEFT's files again. */
static void gguf_adapters_are_those_of_peft(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"gpt2", "lora"},          {"llama", "lora"}, {"gpt_neox", "lora"}, {"bloom", "lora"},
        {"falcon-groups", "lora"}, {"phi3", "lora"},  {"gpt2", "rslora"},   {"llama", "rslora"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        golden g = load_adapted(cases[i][0], cases[i][1]);
        const char *file = kit_temp_path("lora.gguf"), *back = kit_temp_path("back"),
                   *plain = kit_temp_path("plain.gguf");
        tuff_model *gguf = NULL, *merged = NULL;
        convert(g.model, adapter_of(cases[i][0], cases[i][1]), TUFF_FORMAT_GGUF, file);
        same_logits(&g, g.model, file);
        KIT_OK(tuff_model_save(g.model, TUFF_FORMAT_GGUF, TUFF_F32, plain));
        KIT_OK(tuff_model_load(plain, &gguf));
        same_logits(&g, gguf, file);
        KIT_OK(tuff_model_merged(gguf, file, &merged));
        same_logits(&g, merged, NULL);
        tuff_model_destroy(&merged);
        tuff_model_destroy(&gguf);
        convert(g.model, file, TUFF_FORMAT_HF, back);
        same_logits(&g, g.model, back);
        unload(&g);
    }
}

/* One alpha for all, the rank from the pairs; what PEFT had comes back, bit for bit. */
static void files_say_what_is_needed(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    const char *file = kit_temp_path("lora.gguf"), *back = kit_temp_path("back");
    tuff_gguf *gguf = NULL;
    tuff_weights *was = NULL, *is = NULL;
    tuff_view text = {0};
    double alpha = 0;
    convert(model, adapter_of("llama", "lora"), TUFF_FORMAT_GGUF, file);
    KIT_OK(tuff_gguf_open(file, &gguf));
    KIT_OK(tuff_gguf_text(gguf, "general.type", &text));
    assert_true(tuff_view_is(text, "adapter"));
    KIT_OK(tuff_gguf_text(gguf, "general.architecture", &text));
    assert_true(tuff_view_is(text, "llama"));
    KIT_OK(tuff_gguf_text(gguf, "adapter.type", &text));
    assert_true(tuff_view_is(text, "lora"));
    KIT_OK(tuff_gguf_text(gguf, "general.base_model.0.name", &text));
    assert_true(tuff_view_is(text, "owner/name"));
    KIT_OK(tuff_gguf_number(gguf, "adapter.lora.alpha", &alpha));
    assert_true(alpha == 8);
    assert_int_equal(gguf->weights->count, 28);
    const int64_t a[] = {4, 32}, b[] = {16, 4};
    const tuff_weight *found;
    KIT_OK(tuff_weights_require(gguf->weights, "blk.1.attn_k.weight.lora_a", 2, a, &found));
    KIT_OK(tuff_weights_require(gguf->weights, "blk.1.attn_k.weight.lora_b", 2, b, &found));
    tuff_gguf_destroy(&gguf);
    convert(model, file, TUFF_FORMAT_HF, back);
    KIT_OK(tuff_safetensors_open(kit_join(adapter_of("llama", "lora"), "adapter_model.safetensors"), &was));
    KIT_OK(tuff_safetensors_open(kit_join(back, "adapter_model.safetensors"), &is));
    assert_int_equal(is->count, was->count);
    for (size_t i = 0; i < was->count; i++) {
        const tuff_weight *w = tuff_weights_find(is, was->items[i].name);
        assert_non_null(w);
        assert_true(tuff_weight_is_copy(w, &was->items[i]));
    }
    tuff_weights_destroy(&was);
    tuff_weights_destroy(&is);
    tuff_buf config = {0};
    kit_read_file(kit_join(back, "adapter_config.json"), &config);
    assert_non_null(strstr(config.data, "\"base_model_name_or_path\": \"owner/name\""));
    assert_non_null(strstr(config.data, "\"r\": 4"));
    assert_non_null(strstr(config.data, "\"lora_alpha\": 8"));
    assert_non_null(strstr(config.data, "\"task_type\": \"CAUSAL_LM\""));
    tuff_buf_free(&config);
    tuff_model_destroy(&model);
}

static void not_as_gguf(const tuff_model *model, const char *adapter, const char *part)
{
    tuff_adapter_params params = TUFF_ADAPTER_PARAMS_INIT;
    params.format = TUFF_FORMAT_GGUF;
    KIT_FAILS(tuff_adapter_convert(model, adapter, &params, kit_temp_path("none.gguf")), TUFF_UNSUPPORTED,
              part);
    assert_false(tuff_is_file(kit_temp_path("none.gguf")));
}

static void what_gguf_cannot_hold_is_named(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    not_as_gguf(model, adapter_of("llama", "dora"),
                "cannot hold the magnitudes of DoRA: merge it into its model");
    not_as_gguf(model, adapter_of("llama", "ia3"), "GGUF adapters are LoRA, this one is IA3: merge it");
    not_as_gguf(model, adapter_of("llama", "prompt"),
                "this one is prompt tuning: and no weights of a model can hold");
    not_as_gguf(model, adapter_of("llama", "prefix"),
                "this one is prefix tuning: and no weights of a model can hold");
    not_as_gguf(model, adapter_of("llama", "tables"), "cannot hold model.embed_tokens: merge it");
    not_as_gguf(model, adapter_of("llama", "vera"), "GGUF adapters are LoRA, this one is VeRA: merge it");
    tuff_model_destroy(&model);
    model = model_open("gpt2");
    not_as_gguf(model, adapter_of("gpt2", "bitfit"),
                "cannot hold transformer.h.0.attn.c_attn.bias: merge it");
    not_as_gguf(model, adapter_of("gpt2", "bias"), "cannot hold transformer.h.0.attn.c_attn.bias: merge it");
    tuff_model_destroy(&model);
}

/* ---- hostile files */

typedef struct pair {
    const char *arch, *type, *kind;
    const char *names[2];
    int64_t shapes[2][2];
    bool alora;
} pair;

static tuff_status zeros(void *user, size_t index, tuff_sink *sink)
{
    static const float none[4096];
    const pair *p = user;
    return tuff_sink_write(sink, none, (size_t)(p->shapes[index][0] * p->shapes[index][1]) * sizeof *none);
}

static void refused(const pair *p, tuff_status status, const char *part)
{
    const char *path = kit_temp_path("hostile.gguf");
    tuff_gguf_builder gguf = {0};
    tuff_save_item items[2];
    tuff_model *model = model_open("llama");
    tuff_adapter *adapter = NULL;
    size_t count = 0;
    tuff_gguf_put_text(&gguf, "general.architecture", p->arch);
    tuff_gguf_put_text(&gguf, "general.type", p->type);
    tuff_gguf_put_text(&gguf, "adapter.type", p->kind);
    tuff_gguf_put_f32(&gguf, "adapter.lora.alpha", 8);
    if (p->alora) tuff_gguf_put_i32s(&gguf, "adapter.alora.invocation_tokens", (int32_t[]){1}, 1);
    for (; count < 2 && p->names[count]; count++)
        items[count] =
            (tuff_save_item){p->names[count], TUFF_STORE_F32, 2, {p->shapes[count][0], p->shapes[count][1]}};
    KIT_OK(tuff_gguf_save(path, &gguf, items, count, zeros, (void *)(uintptr_t)p));
    tuff_gguf_builder_free(&gguf);
    KIT_FAILS(tuff_adapter_open(model, path, NULL, &adapter), status, part);
    assert_null(adapter);
    tuff_model_destroy(&model);
}

static void files_that_are_no_adapters_are_refused(void **state)
{
    (void)state;
    const pair good = {"llama",
                       "adapter",
                       "lora",
                       {"blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"},
                       {{2, 32}, {32, 2}},
                       false};
    pair p = good;
    p.type = "model";
    refused(&p, TUFF_BAD_FORMAT, "it is no adapter: its general.type is \"model\"");
    p = good;
    p.arch = "gpt2";
    refused(&p, TUFF_BAD_FORMAT, "it is an adapter of the architecture \"gpt2\"");
    p = good;
    p.kind = "ia3";
    refused(&p, TUFF_UNSUPPORTED, "its adapter.type is \"ia3\"; adapters of type lora can be read");
    p = good;
    p.alora = true;
    refused(&p, TUFF_UNSUPPORTED, "'adapter.alora.invocation_tokens' is set");
    p = good;
    p.names[1] = NULL;
    refused(&p, TUFF_BAD_FORMAT, "it has 'blk.0.attn_q.weight.lora_a' but no 'blk.0.attn_q.weight.lora_b'");
    p = good;
    p.names[0] = NULL;
    refused(&p, TUFF_BAD_FORMAT, "it holds no pairs of LoRA");
    p = good;
    p.shapes[1][1] = 3;
    refused(&p, TUFF_BAD_FORMAT, "the pair of blk.0.attn_q.weight has shapes [2, 32] and [32, 3]");
    p = good;
    p.names[0] = "blk.0.attn_q.weight";
    refused(&p, TUFF_UNSUPPORTED, "tensor 'blk.0.attn_q.weight' is of no pair of LoRA");
    p = good;
    p.names[0] = "token_embd.weight.lora_a";
    p.names[1] = "token_embd.weight.lora_b";
    refused(&p, TUFF_UNSUPPORTED, "it adapts token_embd.weight, which is the weight of no linear layer");
}

static tuff_status there_and_back(void *user)
{
    tuff_adapter_params params = TUFF_ADAPTER_PARAMS_INIT;
    params.format = TUFF_FORMAT_GGUF;
    tuff_status status =
        tuff_adapter_convert(user, adapter_of("llama", "rslora"), &params, kit_temp_path("small.gguf"));
    params.format = TUFF_FORMAT_HF;
    if (status == TUFF_OK)
        status = tuff_adapter_convert(user, kit_temp_path("small.gguf"), &params, kit_temp_path("small"));
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    model_fail_some_allocations(there_and_back, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    if (!open_device("cpu")) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_adapters_are_those_of_peft),
        cmocka_unit_test(files_say_what_is_needed),
        cmocka_unit_test(what_gguf_cannot_hold_is_named),
        cmocka_unit_test(files_that_are_no_adapters_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
