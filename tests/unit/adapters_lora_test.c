/* LoRA: which layers targets name, what is written, and that nothing is left behind when memory fails. */
#include <math.h>

#include "adapters/adapter.h"
#include "cpu_fixture.h"
#include "formats/gguf.h"
#include "formats/peft.h"
#include "model_fixture.h"

static tuff_adapter *create(const tuff_model *model, const char *targets)
{
    tuff_adapter *lora = NULL;
    KIT_OK(tuff_adapter_create(
        model,
        &(tuff_adapter_settings){.peft_type = "lora", .rank = 2, .alpha = 4, .targets = targets, .seed = 1},
        &lora));
    return lora;
}

static void refused(const tuff_model *model, tuff_adapter_settings params, const char *part)
{
    tuff_adapter *lora = NULL;
    KIT_FAILS(tuff_adapter_create(model, &params, &lora), TUFF_INVALID_ARGUMENT, part);
    assert_null(lora);
}

static void targets_name_layers(void **state)
{
    (void)state;
    static const struct {
        const char *model, *targets;
        size_t modules; /* of two layers */
    } cases[] = {
        {"llama", "q_proj,v_proj", 4},
        {"llama", " q_proj , v_proj,", 4},
        {"llama", "q_proj,q_proj", 2},
        {"llama", "q_proj,self_attn.q_proj", 2},
        {"llama", "model.layers.1.mlp.up_proj", 1},
        {"llama", "all-linear", 14},
        {"llama", NULL, 4},
        {"gpt2", NULL, 2},
        {"gpt_neox", "all-linear", 8}, /* not its head, which is called embed_out, of PEFT lm_head */
        {"gpt_neox", "lm_head", 1},
        {"gpt_neox", "embed_out,dense", 3},
        {"gpt2", "c_proj", 4},
        {"gpt2", "attn.c_proj", 2},
        {"gpt2", "wte", 1},
        {"llama", "embed_tokens,lm_head,q_proj", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_adapter *lora = create(model, cases[i].targets);
        assert_int_equal(lora->count, 2 * cases[i].modules);
        for (size_t k = 0; k < lora->count; k++)
            assert_null(strstr(lora->tensors[k].name, "embed_out"));
        tuff_adapter_destroy(&lora);
        tuff_model_destroy(&model);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    const tuff_adapter_settings good = {.peft_type = "LORA", .rank = 2, .alpha = 4};
    static const char *const targets[][2] = {{"q_proj,z_proj", "\"z_proj\" names no linear layer"},
                                             {"", "\"\" names no linear layer"},
                                             {" , ", "names no linear layer"},
                                             {"proj", "\"proj\" names no linear layer"},
                                             {"norm", "has q_proj, k_proj"}};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        tuff_adapter_settings p = good;
        p.targets = targets[i][0];
        refused(model, p, targets[i][1]);
    }
    tuff_adapter_settings p = good;
    p.rank = -1;
    refused(model, p, "lora_rank is -1");
    p = good;
    p.targets = "lm_head";
    tuff_model *tied = model_open("gpt2"), *turned = model_open("t5");
    refused(tied, p, "\"lm_head\" is the embedding table, which the head is tied to");
    p.targets = "shared";
    refused(turned, p, "\"shared\" names no linear layer");
    tuff_model_destroy(&tied);
    tuff_model_destroy(&turned);
    p = good;
    p.alpha = (double)NAN;
    refused(model, p, "lora_alpha is nan");
    p = good;
    p.dropout = 1;
    refused(model, p, "lora_dropout is 1");
    tuff_model_destroy(&model);
}

/* Opened again, the adapter has the same targets' modules and values. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    tuff_model *model = model_open("gpt2");
    static const char *const targets[] = {"attn.c_proj, c_fc", "all-linear"};
    static const char *const listed[] = {"attn.c_proj", "c_attn"};
    for (int i = 0; i < 2; i++) {
        const char *directory = kit_temp_path(i ? "all" : "some");
        KIT_OK(tuff_make_directories(directory));
        tuff_adapter *lora = create(model, targets[i]), *back = NULL;
        tuff_store *store = NULL, *again = NULL;
        KIT_OK(tuff_store_create(device, &store));
        KIT_OK(tuff_adapter_upload(lora, store));
        KIT_OK(tuff_adapter_save(lora, &(tuff_adapter_saving){.task_type = "CAUSAL_LM", .store = store},
                                 directory));
        KIT_OK(tuff_adapter_open(model, directory, NULL, &back));
        KIT_OK(tuff_store_create(device, &again));
        KIT_OK(tuff_adapter_upload(back, again));
        assert_int_equal(tuff_store_count(again), tuff_store_count(store));
        for (size_t k = 0; k < tuff_store_count(store); k++) {
            const char *name;
            tuff_buffer *a = tuff_store_at(store, k, &name), *b = tuff_store_find(again, name);
            assert_non_null(b);
            int64_t n = tuff_buffer_count(a);
            float *x = tuff_alloc_array((size_t)n, sizeof *x), *y = tuff_alloc_array((size_t)n, sizeof *y);
            KIT_OK(tuff_buffer_read(a, 0, x, n));
            KIT_OK(tuff_buffer_read(b, 0, y, n));
            assert_memory_equal(x, y, (size_t)n * sizeof *x);
            tuff_free(x);
            tuff_free(y);
        }
        tuff_peft_adapter *peft = NULL;
        KIT_OK(tuff_peft_open(directory, &peft));
        bool found = false;
        for (size_t k = 0; k < peft->config->target_count; k++)
            found = found || strcmp(peft->config->targets[k], listed[i]) == 0;
        assert_true(found);
        assert_true(peft->config->fan_in_fan_out);
        tuff_peft_destroy(&peft);
        tuff_store_destroy(&store);
        tuff_store_destroy(&again);
        tuff_adapter_destroy(&lora);
        tuff_adapter_destroy(&back);
    }
    /* of another model */
    tuff_model *other = model_open("llama");
    tuff_adapter *wrong = NULL;
    KIT_FAILS(tuff_adapter_open(other, kit_temp_path("all"), NULL, &wrong), TUFF_BAD_FORMAT,
              "is no linear layer");
    assert_null(wrong);
    tuff_model_destroy(&other);
    tuff_model_destroy(&model);
}

static tuff_status make(void *user)
{
    tuff_adapter *lora = NULL;
    tuff_store *store = NULL;
    tuff_status status = TUFF_OK;
    const tuff_adapter_settings params = {
        .peft_type = "lora", .rank = 2, .alpha = 4, .targets = "q_proj, v_proj"};
    TUFF_GO(tuff_adapter_create(user, &params, &lora));
    TUFF_GO(tuff_store_create(device, &store));
    TUFF_GO(tuff_adapter_upload(lora, store));
done:
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&lora);
    return status;
}

static tuff_status open_and_upload(void *user)
{
    tuff_adapter *lora = NULL;
    tuff_store *store = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_adapter_open(user, kit_asset("golden/llama/lora"), NULL, &lora));
    TUFF_GO(tuff_store_create(device, &store));
    TUFF_GO(tuff_adapter_upload(lora, store));
done:
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&lora);
    return status;
}

static tuff_status make_and_save(void *user)
{
    tuff_adapter *lora = NULL;
    tuff_store *store = NULL;
    tuff_status status = TUFF_OK;
    const tuff_adapter_settings params = {.peft_type = "lora", .rank = 2, .alpha = 4};
    TUFF_GO(tuff_adapter_create(user, &params, &lora));
    TUFF_GO(tuff_store_create(device, &store));
    TUFF_GO(tuff_adapter_upload(lora, store));
    TUFF_GO(tuff_adapter_save(lora, &(tuff_adapter_saving){.task_type = "CAUSAL_LM", .store = store},
                              kit_temp_directory()));
done:
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&lora);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    assert_true(kit_for_each_allocation_failure(make, model) > 10);
    assert_true(kit_for_each_allocation_failure(open_and_upload, model) > 10);
    model_fail_some_allocations(make_and_save, model);
    tuff_model_destroy(&model);
}

typedef struct copied {
    const tuff_weights *weights;
} copied;

static tuff_status copy_tensor(void *user, size_t index, tuff_sink *sink)
{
    const tuff_weight *w = &((const copied *)user)->weights->items[index];
    return tuff_sink_write(sink, kit_stored(w), w->bytes);
}

/* Writes the GGUF file of a model again, with one more text in it. */
static void with_text(const char *from, const char *key, const char *text, const char *to)
{
    tuff_gguf *gguf = NULL;
    tuff_gguf_builder builder = {0};
    tuff_save_item items[64];
    KIT_OK(tuff_gguf_open(from, &gguf));
    for (size_t i = 0; i < gguf->count; i++)
        tuff_gguf_put_value(&builder, &gguf->values[i]);
    tuff_gguf_put_text(&builder, key, text);
    assert_true(gguf->weights->count <= 64);
    for (size_t i = 0; i < gguf->weights->count; i++) {
        const tuff_weight *w = &gguf->weights->items[i];
        assert_int_equal(w->storage, TUFF_STORE_F32);
        items[i] = (tuff_save_item){w->name, TUFF_STORE_F32, (int)w->rank, {w->shape[0], w->shape[1]}};
    }
    copied user = {gguf->weights};
    KIT_OK(tuff_gguf_save(to, &builder, items, gguf->weights->count, copy_tensor, &user));
    tuff_gguf_builder_free(&builder);
    tuff_gguf_destroy(&gguf);
}

/* PEFT loads adapters onto directories and names of the hub, never onto a GGUF file. */
static void a_gguf_file_is_no_base_model(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"general.unused", "https://huggingface.co/owner/name", "\"base_model_name_or_path\": null"},
        {"general.source.repo_url", "https://huggingface.co/owner/name", "_path\": \"owner/name\""},
        {"general.source.huggingface.repository", "owner/name-2", "_path\": \"owner/name-2\""},
        {"general.repo_url", "https://example.org/owner/name", "_path\": null"}};
    const char *plain = kit_temp_path("plain.gguf"), *file = kit_temp_path("model.gguf");
    tuff_model *llama = model_open("llama");
    KIT_OK(tuff_model_save(llama, TUFF_FORMAT_GGUF, TUFF_F32, plain));
    tuff_model_destroy(&llama);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tuff_model *model;
        tuff_adapter *lora;
        tuff_store *store;
        tuff_buf text;
        with_text(plain, cases[i][0], cases[i][1], file);
        KIT_OK(tuff_model_load(file, &model));
        KIT_OK(tuff_adapter_create(
            model, &(tuff_adapter_settings){.peft_type = "lora", .rank = 2, .alpha = 4}, &lora));
        KIT_OK(tuff_store_create(device, &store));
        KIT_OK(tuff_adapter_upload(lora, store));
        KIT_OK(tuff_make_directories(kit_temp_path("of-gguf")));
        KIT_OK(tuff_adapter_save(lora, &(tuff_adapter_saving){.task_type = "CAUSAL_LM", .store = store},
                                 kit_temp_path("of-gguf")));
        kit_read_file(kit_temp_path("of-gguf/adapter_config.json"), &text);
        if (!strstr(text.data, cases[i][2])) fail_msg("%s: %s", cases[i][1], text.data);
        tuff_buf_free(&text);
        tuff_adapter_destroy(&lora);
        tuff_store_destroy(&store);
        tuff_model_destroy(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_name_layers),       cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(what_is_written_is_read),   cmocka_unit_test(a_gguf_file_is_no_base_model),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
