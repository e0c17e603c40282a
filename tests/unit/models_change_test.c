/* Models with more tokens than their files have, and with tables that are tied no more. */
#include "adapted_fixture.h"
#include "adapters/tokens.h"
#include "base/file.h"
#include "models/heads/head.h"

static const char *const chatml[] = {"<|im_start|>", "<|im_end|>"};

static tuff_model *grown_of(const tuff_model *base)
{
    tuff_model *grown = NULL;
    KIT_OK(tuff_model_with_tokens(base, chatml, 2, &grown));
    assert_non_null(grown);
    return grown;
}

static const tuff_param *param(const tuff_model *model, const char *name)
{
    const tuff_param *p = tuff_params_find(&model->params, name);
    assert_non_null(p);
    return p;
}

/* Old rows are the file's, new ones the mean of these. */
static void expect_rows(const tuff_model *base, const tuff_model *grown, const char *name, int64_t more)
{
    const tuff_param *old = param(base, name), *p = param(grown, name);
    const int64_t rows = tuff_param_rows(old), columns = tuff_param_columns(old);
    assert_int_equal(tuff_param_rows(p), rows + more);
    float *a = tuff_alloc_array((size_t)(rows * columns), sizeof *a),
          *b = tuff_alloc_array((size_t)((rows + more) * columns), sizeof *b);
    KIT_OK(tuff_model_read(base, old, NULL, 0, rows, a));
    KIT_OK(tuff_model_read(grown, p, NULL, 0, rows + more, b));
    assert_memory_equal(a, b, (size_t)(rows * columns) * sizeof *a);
    for (int64_t k = 0; k < columns; k++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            sum += a[r * columns + k];
        for (int64_t r = rows; r < rows + more; r++)
            assert_true(fabs(b[r * columns + k] - sum / (double)rows) < 1e-6);
    }
    float across[512];
    assert_true(columns <= 256);
    KIT_OK(tuff_model_read(grown, p, NULL, rows - 1, rows + 1, across));
    assert_memory_equal(across, b + (rows - 1) * columns, (size_t)(2 * columns) * sizeof *b);
    tuff_free(a);
    tuff_free(b);
}

static void tables_grow(void **state)
{
    (void)state;
    static const struct {
        const char *model, *tables[3];
    } cases[] = {{"gpt2", {"transformer.wte.weight"}},
                 {"llama", {"model.embed_tokens.weight", "lm_head.weight"}},
                 {"gptj", {"transformer.wte.weight", "lm_head.weight", "lm_head.bias"}},
                 {"llama-tied", {"model.embed_tokens.weight"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *base = model_open(cases[i].model), *grown = grown_of(base), *again = base;
        const int64_t vocab = base->config.vocab_size;
        const uint32_t known = tuff_tokenizer_vocab_size(base->tokenizer);
        const int64_t more = (int64_t)known + 2 > vocab ? (int64_t)known + 2 - vocab : 0;
        assert_int_equal(grown->config.vocab_size, vocab + more);
        for (int k = 0; k < 3 && cases[i].tables[k]; k++)
            expect_rows(base, grown, cases[i].tables[k], more);
        const tuff_tokenizer *t = grown->tokenizer;
        int32_t *ids = NULL;
        size_t n = 0;
        KIT_OK(tuff_tokenizer_encode(t, "<|im_start|><|im_end|>", 22, 0, &ids, &n));
        assert_int_equal(n, 2);
        assert_int_equal(ids[0], known);
        assert_int_equal(ids[1], known + 1);
        tuff_free(ids);
        assert_int_equal(tuff_tokenizer_token_type(t, (int32_t)known), TUFF_TOKEN_CONTROL);
        assert_int_equal(tuff_tokenizer_eos(t, 0), known + 1); /* chats end at it */
        assert_int_equal(tuff_tokenizer_eos_count(t), tuff_tokenizer_eos_count(base->tokenizer) + 1);
        assert_int_equal(grown->config.tokens.eos[0], known + 1);
        assert_int_equal(grown->new_id_count, 2);
        /* once more there is nothing to be done */
        KIT_OK(tuff_model_with_tokens(grown, chatml, 2, &again));
        assert_null(again);
        tuff_model_destroy(&base); /* kept by what came of it */
        tuff_model_destroy(&grown);
    }
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const empty[] = {"<a>", ""}, *const broken[] = {"\xff"},
                             *const twice[] = {"<a>", "<a>"};
    char text[1100];
    const char *const long_one[] = {text};
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    tuff_model *base = model_open("llama"), *grown = base, *t5 = model_open("t5");
    KIT_FAILS(tuff_model_with_tokens(base, empty, 2, &grown), TUFF_INVALID_ARGUMENT, "to be added is empty");
    assert_null(grown);
    KIT_FAILS(tuff_model_with_tokens(base, broken, 1, &grown), TUFF_INVALID_ARGUMENT, "no text in UTF-8");
    KIT_FAILS(tuff_model_with_tokens(base, long_one, 1, &grown), TUFF_INVALID_ARGUMENT, "has 1099 bytes");
    enum { MANY = 2000 };
    static char names[MANY][16];
    static const char *many[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "<new-%d>", i);
        many[i] = names[i];
    }
    KIT_FAILS(tuff_model_with_tokens(t5, many, MANY, &grown), TUFF_UNSUPPORTED,
              "encoder-decoders get no more tokens");
    KIT_OK(tuff_model_with_tokens(base, twice, 2, &grown));
    assert_int_equal(grown->new_id_count, 1);
    tuff_model_destroy(&grown);
    tuff_model_destroy(&t5);
    tuff_model_destroy(&base);
}

/* Saved in both formats, and loaded: the same model. */
static void files_have_the_new_rows(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2", "llama"};
    for (int i = 0; i < 2; i++)
        for (int format = TUFF_FORMAT_HF; format <= TUFF_FORMAT_GGUF; format++) {
            tuff_model *base = model_open(models[i]), *grown = grown_of(base), *again = NULL;
            const char *path = kit_temp_path(format == TUFF_FORMAT_HF ? "grown" : "grown.gguf");
            KIT_OK(tuff_model_save(grown, (tuff_file_format)format, TUFF_F32, path));
            KIT_OK(tuff_model_load(path, &again));
            assert_int_equal(again->config.vocab_size, grown->config.vocab_size);
            assert_int_equal(again->config.tied, grown->config.tied);
            assert_int_equal(tuff_tokenizer_id(again->tokenizer, chatml[1], 10),
                             tuff_tokenizer_id(grown->tokenizer, chatml[1], 10));
            assert_true(
                tuff_tokenizer_is_eos(again->tokenizer, tuff_tokenizer_id(grown->tokenizer, chatml[1], 10)));
            for (size_t k = 0; k < grown->params.count; k++) {
                const tuff_param *p = &grown->params.items[k], *other = param(again, p->name);
                const size_t n = (size_t)tuff_param_elements(p);
                float *a = tuff_alloc_array(n, sizeof *a), *b = tuff_alloc_array(n, sizeof *b);
                KIT_OK(tuff_model_read(grown, p, NULL, 0, tuff_param_rows(p), a));
                KIT_OK(tuff_model_read(again, other, NULL, 0, tuff_param_rows(p), b));
                assert_memory_equal(a, b, n * sizeof *a);
                tuff_free(a);
                tuff_free(b);
            }
            tuff_model_destroy(&again);
            tuff_model_destroy(&grown);
            tuff_model_destroy(&base);
        }
}

/* A head of classes stays what it is, whether it comes before the tokens or behind them; the files have both.
 */
static void classifiers_grow(void **state)
{
    (void)state;
    static const char *const models[][2] = {{"gpt2", "transformer.wte.weight"},
                                            {"llama", "model.embed_tokens.weight"}};
    const tuff_head_wish wish = {.head = &tuff_head_classes, .label_count = 3, .seed = 7};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const char *file = kit_temp_path("grown-classes");
        tuff_model *base = model_open(models[i][0]), *grown = grown_of(base), *headed = NULL,
                   *made[3] = {NULL};
        const int64_t more = grown->config.vocab_size - base->config.vocab_size;
        assert_true(more > 0);
        KIT_OK(tuff_model_with_head(base, &wish, &headed));
        made[0] = grown_of(headed);
        KIT_OK(tuff_model_with_head(grown, &wish, &made[1]));
        KIT_OK(tuff_model_save(made[0], TUFF_FORMAT_HF, TUFF_F32, file));
        made[2] = model_open(file);
        float was[3 * 64], is[3 * 64];
        const tuff_param *score = param(headed, "score.weight");
        assert_true(tuff_param_elements(score) <= 3 * 64);
        KIT_OK(tuff_model_read(headed, score, NULL, 0, 3, was));
        for (int k = 0; k < 3; k++) {
            expect_rows(base, made[k], models[i][1], more);
            assert_int_equal(made[k]->config.labels, 3);
            assert_null(tuff_params_find(&made[k]->params, "lm_head.weight"));
            KIT_OK(tuff_model_read(made[k], param(made[k], "score.weight"), NULL, 0, 3, is));
            assert_memory_equal(is, was, (size_t)tuff_param_elements(score) * sizeof *is);
        }
        for (int k = 0; k < 3; k++)
            tuff_model_destroy(&made[k]);
        tuff_model_destroy(&headed);
        tuff_model_destroy(&grown);
        tuff_model_destroy(&base);
    }
}

/* ---- adapters of new tokens */

/* One whose new rows are numbers of their own, in a directory. */
static const char *adapter_on(const tuff_model *grown, const char *name)
{
    const tuff_adapter_settings lora = {.peft_type = "lora", .rank = 2, .alpha = 2};
    const char *directory = kit_temp_path(name);
    tuff_adapter *adapter = NULL;
    tuff_store *store = NULL;
    KIT_OK(tuff_adapter_create(grown, &lora, &adapter));
    assert_int_equal(adapter->row_count, grown->config.tied ? 1 : 2);
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_adapter_upload(adapter, store));
    for (int i = 0; i < adapter->row_count; i++) {
        const tuff_token_rows *r = &adapter->rows[i];
        float values[512];
        assert_int_equal(r->count, 2);
        for (int64_t k = 0; k < 2 * r->param->shape[1]; k++)
            values[k] = (float)(k % 7 - 3) * 0.25F + (float)i;
        KIT_OK(tuff_buffer_write(tuff_store_find(store, adapter->tensors[r->tensor].name), 0, values,
                                 2 * r->param->shape[1]));
    }
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_adapter_save(adapter, &(tuff_adapter_saving){.store = store, .task_type = "CAUSAL_LM"},
                             directory));
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&adapter);
    return kit_temp_path(name);
}

static float *logits(const tuff_model *model, const char *adapter, size_t *out_n)
{
    const char *path = kit_temp_path("logits.safetensors");
    golden saved = {.name = "grown"};
    tuff_dataset *data = NULL;
    const int32_t last = (int32_t)model->config.vocab_size - 1, ids[] = {5, last - 1, 9, 7, last, 3, 9, 9};
    KIT_OK(tuff_dataset_from_ids(ids, 8, 8, &data));
    KIT_OK(tuff_save_logits(model, device, data, adapter, NULL, path));
    KIT_OK(tuff_safetensors_open(path, &saved.truth));
    float *got = floats(&saved, "logits", out_n);
    tuff_weights_destroy(&saved.truth);
    tuff_dataset_destroy(&data);
    return got;
}

static void expect_same(const float *want, const tuff_model *model, const char *adapter, size_t n)
{
    size_t n_got;
    float *got = logits(model, adapter, &n_got);
    assert_int_equal(n_got, n);
    compare("grown", adapter ? "logits with the adapter" : "logits of the merged model", got, want, n, 1e-5);
    tuff_free(got);
}

/* Its files know the model: with the tokenizer, merged, saved. */
static void adapters_bring_their_tokens(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2", "llama"};
    for (int i = 0; i < 2; i++) {
        tuff_model *base = model_open(models[i]), *grown = grown_of(base), *adapted = NULL, *merged = NULL;
        size_t n;
        adapter_on(grown, "adapter");
        float *want = logits(grown, kit_temp_path("adapter"), &n);
        KIT_OK(tuff_model_adapted(base, kit_temp_path("adapter"), &adapted));
        assert_non_null(adapted);
        assert_int_equal(adapted->config.vocab_size, grown->config.vocab_size);
        assert_true(
            tuff_tokenizer_is_eos(adapted->tokenizer, tuff_tokenizer_id(grown->tokenizer, chatml[1], 10)));
        assert_int_equal(adapted->config.tokens.eos[0], grown->config.tokens.eos[0]);
        expect_same(want, adapted, kit_temp_path("adapter"), n);
        tuff_adapter *alone = NULL;
        KIT_FAILS(tuff_adapter_open(base, kit_temp_path("adapter"), NULL, &alone), TUFF_BAD_FORMAT,
                  "but the model");
        KIT_OK(
            tuff_write_file(kit_join(kit_temp_path("adapter"), "chat_template.jinja"), "{{ 'mine' }}", 12));
        KIT_OK(tuff_model_merged(base, kit_temp_path("adapter"), &merged));
        expect_same(want, merged, NULL, n);
        for (int format = TUFF_FORMAT_HF; format <= TUFF_FORMAT_GGUF; format++) {
            tuff_model *again = NULL;
            const char *path = kit_temp_path(format == TUFF_FORMAT_HF ? "merged" : "merged.gguf");
            KIT_OK(tuff_model_save(merged, (tuff_file_format)format, TUFF_F32, path));
            KIT_OK(tuff_model_load(path, &again));
            expect_same(want, again, NULL, n);
            const tuff_piece template = tuff_tokenizer_chat_template(again->tokenizer);
            assert_int_equal(template.size, 12);
            assert_memory_equal(template.data, "{{ 'mine' }}", 12);
            assert_int_equal(tuff_tokenizer_id(again->tokenizer, chatml[0], 12),
                             tuff_tokenizer_id(grown->tokenizer, chatml[0], 12));
            tuff_model_destroy(&again);
        }
        tuff_free(want);
        tuff_model_destroy(&merged);
        tuff_model_destroy(&adapted);
        tuff_model_destroy(&grown);
        tuff_model_destroy(&base);
    }
}

static void other_methods_do_not_train_them(void **state)
{
    (void)state;
    tuff_model *base = model_open("gpt2"), *grown = grown_of(base);
    const tuff_adapter_settings ia3 = {.peft_type = "ia3"},
                                more = {.peft_type = "lora", .rank = 2, .alpha = 2, .tokens = "7"};
    tuff_adapter *adapter = NULL;
    KIT_FAILS(tuff_adapter_create(grown, &ia3, &adapter), TUFF_UNSUPPORTED, "but not beside IA3");
    KIT_OK(tuff_adapter_create(grown, &more, &adapter));
    assert_int_equal(adapter->rows[0].count, 3); /* and those that were asked for */
    tuff_adapter_destroy(&adapter);
    tuff_model_destroy(&grown);
    tuff_model_destroy(&base);
}

/* ---- tables that are tied no more */

/* The table is adapted, and the head is not: they are two matrices of the merged model. */
static void merging_unties(void **state)
{
    (void)state;
    static const char *const kinds[] = {"tables", "tokens-apart"};
    for (int i = 0; i < 2; i++) {
        golden g = load_adapted("gpt2", kinds[i]);
        tuff_model *merged = merged_of(g.model, adapter_of("gpt2", kinds[i]));
        assert_true(g.model->config.tied);
        assert_false(merged->config.tied);
        same_logits(&g, merged, NULL);
        same_when_saved(&g, merged);
        tuff_buf text = {0};
        KIT_OK(tuff_read_file(kit_join(kit_temp_path("merged"), "config.json"), 1 << 16, &text));
        assert_non_null(strstr(text.data, "\"tie_word_embeddings\":\tfalse"));
        tuff_buf_free(&text);
        tuff_model_destroy(&merged);
        /* of a file that has no other name for the head */
        tuff_model *gguf = NULL;
        KIT_OK(tuff_model_save(g.model, TUFF_FORMAT_GGUF, TUFF_F32, kit_temp_path("tied.gguf")));
        KIT_OK(tuff_model_load(kit_temp_path("tied.gguf"), &gguf));
        merged = merged_of(gguf, adapter_of("gpt2", kinds[i]));
        same_logits(&g, merged, NULL);
        same_when_saved(&g, merged);
        tuff_model_destroy(&merged);
        tuff_model_destroy(&gguf);
        unload(&g);
    }
}

static tuff_status grow_and_merge(void *user)
{
    tuff_model *grown = NULL, *merged = NULL;
    float row[32];
    tuff_status status = tuff_model_with_tokens(user, chatml, 2, &grown);
    if (status == TUFF_OK) status = tuff_model_merged(grown, kit_asset("golden/gpt2/tokens-apart"), &merged);
    if (status == TUFF_OK)
        status = tuff_model_read(merged, param(merged, "lm_head.weight"), NULL, 83, 84, row);
    tuff_model_destroy(&merged);
    tuff_model_destroy(&grown);
    return status;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("gpt2");
    model_fail_some_allocations(grow_and_merge, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_grow),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(files_have_the_new_rows),
        cmocka_unit_test(classifiers_grow),
        cmocka_unit_test(adapters_bring_their_tokens),
        cmocka_unit_test(other_methods_do_not_train_them),
        cmocka_unit_test(merging_unties),
        cmocka_unit_test(allocations_may_fail),
    };
    if (!open_device("cpu")) return 77;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
