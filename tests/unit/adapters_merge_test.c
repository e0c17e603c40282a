/* Adapters in a model's weights: the same logits as beside it, in every kind of file; what cannot be merged.
 */
#include "adapted_fixture.h"

/* As it is, saved in both formats, and on the weights of a GGUF file. */
static void merged_is_beside(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"gpt2", "lora"},      {"gpt2", "ia3"},      {"llama", "lora"},         {"llama", "ia3"},
        {"bloom", "lora"},     {"gpt_neox", "lora"}, {"falcon-groups", "lora"}, {"phi3", "lora"},
        {"gpt2", "dora"},      {"llama", "dora"},    {"gpt2", "rslora"},        {"llama", "rslora"},
        {"gpt2", "bitfit"},    {"gpt2", "bias"},     {"gpt2", "vera"},          {"llama", "vera"},
        {"llama", "vera-key"}, {"llama", "tables"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *adapter = adapter_of(cases[i][0], cases[i][1]);
        golden g = load_adapted(cases[i][0], cases[i][1]);
        tuff_model *merged = merged_of(g.model, adapter);
        same_logits(&g, merged, NULL);
        same_when_saved(&g, merged);
        tuff_model_destroy(&merged);
        const char *plain = kit_temp_path("plain.gguf");
        tuff_model *gguf = NULL;
        KIT_OK(tuff_model_save(g.model, TUFF_FORMAT_GGUF, TUFF_F32, plain));
        KIT_OK(tuff_model_load(plain, &gguf));
        merged = merged_of(gguf, adapter);
        tuff_model_destroy(&gguf); /* kept by what is merged */
        same_logits(&g, merged, NULL);
        tuff_model_destroy(&merged);
        unload(&g);
    }
}

/* The weights that PEFT's merge_and_unload gives. */
static void weights_are_those_of_peft(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"gpt2", "dora"}, {"llama", "dora"}, {"gpt2", "rslora"}, {"llama", "rslora"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *base = model_open(cases[i][0]),
                   *merged = merged_of(base, adapter_of(cases[i][0], cases[i][1]));
        const char *directory = kit_temp_path("weights");
        tuff_weights *ours = NULL, *theirs = NULL;
        KIT_OK(tuff_model_save(merged, TUFF_FORMAT_HF, TUFF_F32, directory));
        KIT_OK(tuff_safetensors_open(kit_join(directory, "model.safetensors"), &ours));
        KIT_OK(tuff_safetensors_open(kit_join(adapter_of(cases[i][0], cases[i][1]), "merged.safetensors"),
                                     &theirs));
        assert_true(theirs->count > 0);
        for (size_t k = 0; k < theirs->count; k++) {
            const tuff_weight *want = &theirs->items[k], *got = tuff_weights_find(ours, want->name);
            assert_non_null(got);
            assert_int_equal(got->bytes, want->bytes);
            float *a = tuff_alloc(want->bytes), *b = tuff_alloc(want->bytes);
            KIT_OK(tuff_weight_read(got, TUFF_F32, a));
            KIT_OK(tuff_weight_read(want, TUFF_F32, b));
            for (int64_t n = 0; n < tuff_weight_elements(want); n++)
                assert_true(fabsf(a[n] - b[n]) <= 1e-6F);
            tuff_free(a);
            tuff_free(b);
        }
        tuff_weights_destroy(&ours);
        tuff_weights_destroy(&theirs);
        tuff_model_destroy(&merged);
        tuff_model_destroy(&base);
    }
}

/* Every weight is what it was, with scale B A of its module, in double; also where an encoder reads. */
static void lora_adds_its_product(void **state)
{
    (void)state;
    static const char *const models[] = {"t5", "bart", "llama"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        char path[128];
        snprintf(path, sizeof path, "golden/%s/lora", models[m]);
        tuff_model *base = model_open(models[m]), *merged = merged_of(base, kit_asset(path));
        tuff_peft_adapter *peft = NULL;
        size_t found = 0;
        KIT_OK(tuff_peft_open(kit_asset(path), &peft));
        assert_int_equal(merged->params.count, base->params.count);
        for (size_t i = 0; i < base->params.count; i++) {
            const tuff_param *p = &base->params.items[i];
            const int64_t rows = tuff_param_rows(p), columns = tuff_param_columns(p), n = rows * columns;
            char module[256];
            snprintf(module, sizeof module, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
            const tuff_peft_pair *pair = tuff_peft_find(peft, module);
            float *was = tuff_alloc_array((size_t)n, sizeof *was),
                  *is = tuff_alloc_array((size_t)n, sizeof *is);
            float *a = tuff_alloc_array((size_t)n, sizeof *a), *b = tuff_alloc_array((size_t)n, sizeof *b);
            KIT_OK(tuff_model_read(base, p, NULL, 0, rows, was));
            KIT_OK(tuff_model_read(merged, &merged->params.items[i], NULL, 0, rows, is));
            if (pair) KIT_OK(tuff_weight_read(pair->a, TUFF_F32, a));
            if (pair) KIT_OK(tuff_weight_read(pair->b, TUFF_F32, b));
            assert_int_equal(merged->params.items[i].merged, pair != NULL);
            for (int64_t k = 0; k < n; k++) {
                double sum = 0;
                for (int64_t j = 0; pair && j < pair->rank; j++)
                    sum += (double)b[k / columns * pair->rank + j] * a[j * columns + k % columns];
                assert_true(is[k] == (float)(was[k] + (pair ? pair->scale : 0) * sum));
            }
            found += pair != NULL;
            tuff_free(was);
            tuff_free(is);
            tuff_free(a);
            tuff_free(b);
        }
        assert_int_equal(found, peft->pair_count);
        tuff_peft_destroy(&peft);
        tuff_model_destroy(&merged);
        tuff_model_destroy(&base);
    }
}

/* ---- a second one, onto what has one already */

/* A model of a file: its weights as f32 in a directory, or as q8_0. */
static tuff_model *through_file(const tuff_model *model, bool quantized, const char *name)
{
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    tuff_model *again = NULL;
    const char *file = kit_temp_path(name);
    params.format = quantized ? TUFF_FORMAT_GGUF : TUFF_FORMAT_HF;
    params.type = quantized ? "q8_0" : "f32";
    KIT_OK(tuff_model_save_with(model, &params, file));
    KIT_OK(tuff_model_load(file, &again));
    return again;
}

static float *numbers_of(const tuff_model *model, size_t index)
{
    const tuff_param *p = &model->params.items[index];
    float *values = tuff_alloc_array((size_t)tuff_param_elements(p), sizeof *values);
    assert_non_null(values);
    KIT_OK(tuff_model_read(model, p, NULL, 0, tuff_param_rows(p), values));
    return values;
}

/* Whether two models have the same numbers, but for rounding. */
static void same_numbers(const tuff_model *a, const tuff_model *b, double tolerance)
{
    assert_int_equal(a->params.count, b->params.count);
    for (size_t i = 0; i < a->params.count; i++) {
        float *x = numbers_of(a, i), *y = numbers_of(b, i);
        assert_string_equal(a->params.items[i].name, b->params.items[i].name);
        for (int64_t k = 0; k < tuff_param_elements(&a->params.items[i]); k++)
            if (!(fabs((double)x[k] - y[k]) <= tolerance))
                fail_msg("%s: %lld is %.9g, expected %.9g", a->params.items[i].name, (long long)k, x[k],
                         y[k]);
        tuff_free(x);
        tuff_free(y);
    }
}

/* Its numbers are the base's with what each of two adapters adds by itself. */
static void has_both(const tuff_model *base, const tuff_model *one, const tuff_model *other,
                     const tuff_model *both)
{
    bool by_one = false, by_other = false;
    for (size_t i = 0; i < base->params.count; i++) {
        float *was = numbers_of(base, i), *a = numbers_of(one, i), *b = numbers_of(other, i),
              *is = numbers_of(both, i);
        for (int64_t k = 0; k < tuff_param_elements(&base->params.items[i]); k++) {
            assert_true(fabs((double)is[k] - ((double)a[k] + b[k] - was[k])) <= 1e-6);
            by_one = by_one || fabsf(a[k] - was[k]) > 1e-3F;
            by_other = by_other || fabsf(b[k] - was[k]) > 1e-3F;
        }
        tuff_free(was);
        tuff_free(a);
        tuff_free(b);
        tuff_free(is);
    }
    assert_true(by_one && by_other);
}

/* In memory, and where what is merged is a file in between. */
static void a_second_one_leaves_the_first(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"lora", "rslora"}, {"rslora", "vera"}, {"lora", "dora"},
                                           {"ia3", "lora"},    {"lora", "tables"}, {"tables", "lora"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int quantized = 0; quantized < 2; quantized++) {
            const char *first = adapter_of("llama", cases[i][0]), *second = adapter_of("llama", cases[i][1]);
            tuff_model *origin = model_open("llama"),
                       *base = through_file(origin, quantized, quantized ? "base.gguf" : "base");
            tuff_model *one = merged_of(base, first), *both = merged_of(one, second),
                       *file = through_file(one, false, "one"), *again = merged_of(file, second);
            same_numbers(both, again, 1e-6);
            if (quantized) {
                tuff_model *small = through_file(one, true, "one.gguf"), *later = merged_of(small, second);
                same_numbers(later, both, 0.02);
                tuff_model_destroy(&later);
                tuff_model_destroy(&small);
            }
            if (i < 2) {
                tuff_model *other = merged_of(base, second);
                has_both(base, one, other, both);
                tuff_model_destroy(&other);
            }
            tuff_model_destroy(&one); /* kept by what is merged */
            tuff_model *written = through_file(both, quantized, quantized ? "both.gguf" : "both");
            same_numbers(written, both, quantized ? 0.02 : 0);
            tuff_model_destroy(&written);
            tuff_model_destroy(&both);
            tuff_model_destroy(&again);
            tuff_model_destroy(&file);
            tuff_model_destroy(&base);
            tuff_model_destroy(&origin);
        }
    }
}

static tuff_status zeros(void *user, size_t index, tuff_sink *sink)
{
    static const float none[16384];
    const tuff_save_item *items = user;
    return tuff_sink_write(sink, none,
                           (size_t)(items[index].shape[0] * items[index].shape[1]) * sizeof *none);
}

static const char *written(const char *name, const char *config, const tuff_save_item *items, size_t count)
{
    const char *directory = kit_temp_path(name);
    tuff_buf text = {0};
    tuff_buf_text(&text, config);
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_peft_write(directory, &text, items, count, zeros, (void *)(uintptr_t)items));
    tuff_buf_free(&text);
    return directory;
}

/* A head that an adapter brings, and a module that it has whole, take their places in the files. */
static void whole_modules_take_their_places(void **state)
{
    (void)state;
    static const tuff_save_item items[] = {
        {"base_model.model.transformer.h.0.attn.c_attn.ia3_l", TUFF_STORE_F32, 2, {96, 1}},
        {"base_model.model.transformer.ln_f.weight", TUFF_STORE_F32, 1, {32, 1}},
        {"base_model.model.score.weight", TUFF_STORE_F32, 2, {3, 32}}};
    const char *adapter = written(
        "classes",
        "{\"peft_type\": \"IA3\", \"task_type\": \"SEQ_CLS\", \"modules_to_save\": [\"score\", \"ln_f\"]}",
        items, 3);
    tuff_model *base = model_open("gpt2"), *merged = merged_of(base, adapter), *again = NULL;
    static const char *const gone[] = {"score.weight", "transformer.ln_f.weight",
                                       "transformer.h.0.attn.c_attn.bias"};
    const char *file = kit_temp_path("classes-merged");
    tuff_model_destroy(&base);
    KIT_OK(tuff_model_save(merged, TUFF_FORMAT_HF, TUFF_F32, file));
    KIT_OK(tuff_model_load(file, &again));
    assert_int_equal(again->config.labels, 3);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        const tuff_param *p = tuff_params_find(&again->params, gone[i]);
        assert_non_null(p);
        const int64_t n = tuff_param_elements(p);
        float values[128];
        assert_true(n <= 128);
        KIT_OK(tuff_model_read(again, p, NULL, 0, tuff_param_rows(p), values));
        for (int64_t k = 0; k < n; k++)
            assert_true(values[k] == 0);
    }
    tuff_model_destroy(&again);
    tuff_model_destroy(&merged);
}

static void quantized_models_need_a_type(void **state)
{
    (void)state;
    golden g = load("llama", "lora/truth.safetensors");
    const char *plain = kit_temp_path("q8_0.gguf"), *file = kit_temp_path("merged.gguf");
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    tuff_model *base = NULL, *again = NULL;
    params.format = TUFF_FORMAT_GGUF;
    params.type = "q8_0";
    KIT_OK(tuff_model_save_with(g.model, &params, plain));
    KIT_OK(tuff_model_load(plain, &base));
    tuff_model *merged = merged_of(base, kit_asset("golden/llama/lora"));
    params.type = NULL;
    KIT_FAILS(tuff_model_save_with(merged, &params, file), TUFF_INVALID_ARGUMENT,
              "the model's weights are quantized (q8_0)");
    for (int i = 0; i < 2; i++) {
        size_t n;
        params.type = i ? "q8_0" : "f32";
        KIT_OK(tuff_model_save_with(merged, &params, file));
        KIT_OK(tuff_model_load(file, &again));
        float *want = logits_of(&g, base, kit_asset("golden/llama/lora"), &n),
              *got = logits_of(&g, again, NULL, &n);
        compare("llama", "logits of the merged model", got, want, n, i ? 0.03 : 1e-5);
        tuff_free(want);
        tuff_free(got);
        tuff_model_destroy(&again);
    }
    /* what the adapter leaves alone is not quantized anew */
    params.type = "q4_0";
    KIT_FAILS(tuff_model_save_with(merged, &params, file), TUFF_UNSUPPORTED, "is quantized already, as Q8_0");
    tuff_model_destroy(&merged);
    tuff_model_destroy(&base);
    unload(&g);
}

static void what_cannot_be_merged_is_said(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama"), *merged = model;
    KIT_FAILS(tuff_model_merged(model, kit_asset("golden/llama/prompt"), &merged), TUFF_UNSUPPORTED,
              "no weights of a model can hold what prompt tuning adds to it");
    assert_null(merged);
    KIT_FAILS(tuff_model_merged(model, kit_asset("golden/gpt2/lora"), &merged), TUFF_BAD_FORMAT,
              "is no linear layer of the llama model");
    KIT_FAILS(tuff_model_merged(model, kit_asset("golden/gpt2"), &merged), TUFF_NOT_FOUND,
              "is a model, not an adapter");
    tuff_model_destroy(&model);
}

/* PEFT leaves the head as it was where an adapter has the table, whole, that it was tied to: the adapter is
 * for a model in which these are two matrices. */
static void a_table_of_a_tied_pair_unties(void **state)
{
    (void)state;
    static const tuff_save_item items[] = {
        {"base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", TUFF_STORE_F32, 2, {2, 32}},
        {"base_model.model.transformer.h.0.attn.c_attn.lora_B.weight", TUFF_STORE_F32, 2, {96, 2}},
        {"base_model.model.transformer.wte.weight", TUFF_STORE_F32, 2, {288, 32}},
        {"base_model.model.lm_head.weight", TUFF_STORE_F32, 2, {288, 32}}};
    static const char config[] = "{\"peft_type\": \"LORA\", \"r\": 2, \"modules_to_save\": [\"wte\"]}";
    const char *adapter = written("table", config, items, 3);
    tuff_model *model = model_open("gpt2"), *adapted = NULL, *merged = NULL;
    tuff_adapter *opened = NULL;
    KIT_FAILS(tuff_adapter_open(model, adapter, NULL, &opened), TUFF_UNSUPPORTED,
              "base_model.model.transformer.wte.weight whole, and the head of this model is that table");
    assert_null(opened);
    adapter = written("table", config, items, 3);
    KIT_OK(tuff_model_adapted(model, adapter, &adapted));
    assert_false(adapted->config.tied);
    KIT_OK(tuff_adapter_open(adapted, adapter, NULL, &opened));
    assert_int_equal(opened->whole_count, 1);
    tuff_adapter_destroy(&opened);
    KIT_OK(tuff_model_merged(model, adapter, &merged));
    float head[32], table[32], was[32];
    KIT_OK(
        tuff_model_read(model, tuff_params_find(&model->params, "transformer.wte.weight"), NULL, 7, 8, was));
    KIT_OK(tuff_model_read(merged, tuff_params_find(&merged->params, "transformer.wte.weight"), NULL, 7, 8,
                           table));
    KIT_OK(tuff_model_read(merged, tuff_params_find(&merged->params, "lm_head.weight"), NULL, 7, 8, head));
    assert_memory_equal(head, was, sizeof head);
    assert_memory_not_equal(table, was, sizeof table);
    tuff_model_destroy(&merged);
    tuff_model_destroy(&adapted);
    /* with the head beside it, the same numbers, they are still one */
    adapter = written("both", config, items, 4);
    KIT_OK(tuff_model_adapted(model, adapter, &adapted));
    assert_null(adapted);
    KIT_OK(tuff_adapter_open(model, adapter, NULL, &opened));
    assert_int_equal(opened->whole_count, 1);
    tuff_adapter_destroy(&opened);
    tuff_model_destroy(&model);
}

static tuff_status merge_and_save(void *user)
{
    tuff_model *merged = NULL;
    tuff_status status = tuff_model_merged(user, kit_asset("golden/llama/ia3"), &merged);
    if (status == TUFF_OK)
        status = tuff_model_save(merged, TUFF_FORMAT_GGUF, TUFF_F32, kit_temp_path("m.gguf"));
    tuff_model_destroy(&merged);
    return status;
}

static tuff_status merge_and_read(void *user)
{
    float row[32];
    tuff_model *merged = NULL;
    tuff_status status = tuff_model_merged(user, kit_asset("golden/llama/lora"), &merged);
    const tuff_param *p =
        merged ? tuff_params_find(&merged->params, "model.layers.0.self_attn.q_proj.weight") : NULL;
    if (status == TUFF_OK) status = tuff_model_read(merged, p, NULL, 3, 4, row);
    tuff_model_destroy(&merged);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    assert_true(kit_for_each_allocation_failure(merge_and_read, model) > 20);
    model_fail_some_allocations(merge_and_save, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    if (!open_device("cpu")) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_is_beside),
        cmocka_unit_test(weights_are_those_of_peft),
        cmocka_unit_test(lora_adds_its_product),
        cmocka_unit_test(a_second_one_leaves_the_first),
        cmocka_unit_test(whole_modules_take_their_places),
        cmocka_unit_test(quantized_models_need_a_type),
        cmocka_unit_test(what_cannot_be_merged_is_said),
        cmocka_unit_test(a_table_of_a_tied_pair_unties),
        cmocka_unit_test(every_allocation_may_fail),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
