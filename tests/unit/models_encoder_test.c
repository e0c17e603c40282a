/* Encoders: their files with and without the base's prefix and with old names, through GGUF and back, and
 * what refuses them. */
#include <tuff/generate.h>

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/model.h"
#include "train/trainer.h"

static void refused(const char *path, tuff_status status, const char *part)
{
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(path, &model), status, part);
    assert_null(model);
}

static tuff_status write_same(void *user, size_t index, tuff_sink *sink)
{
    const tuff_weights *from = user;
    return tuff_sink_write(sink, from->items[index].data, from->items[index].bytes);
}

/* A copy of a golden model whose tensors have other names. */
static const char *renamed(const char *golden, const char *as, void (*rename)(const char *name, char *out))
{
    enum { MOST = 64 };
    const char *directory = kit_copy_model(kit_golden(golden), as);
    static char names[MOST][128];
    tuff_save_item items[MOST] = {{0}};
    tuff_weights *from = NULL;
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden(golden), "model.safetensors"), &from));
    assert_true(from->count <= MOST);
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        rename(w->name, names[i]);
        items[i] = (tuff_save_item){.name = names[i], .dtype = TUFF_F32, .rank = w->rank};
        memcpy(items[i].shape, w->shape, sizeof w->shape);
    }
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, from->count, write_same,
                                 from));
    tuff_weights_destroy(&from);
    return directory;
}

static void with_prefix(const char *name, char *out)
{
    snprintf(out, 128, "bert.%s", name);
}

/* "LayerNorm.gamma" and "LayerNorm.beta", as BERT's first files have them. */
static void with_old_names(const char *name, char *out)
{
    const char *norm = strstr(name, "LayerNorm.");
    if (norm)
        snprintf(out, 128, "bert.%.*sLayerNorm.%s", (int)(norm - name), name,
                 tuff_ends_with(name, "bias") ? "beta" : "gamma");
    else
        with_prefix(name, out);
}

static float *values_of(const tuff_model *model, const tuff_param *p)
{
    float *values = tuff_alloc_array((size_t)tuff_param_elements(p), sizeof *values);
    KIT_OK(tuff_model_read(model, p, NULL, 0, p->shape[0], values));
    return values;
}

/* `skip`: rows of a's table of positions that b does not have. */
static void same_parameters(const tuff_model *a, const tuff_model *b, int64_t skip)
{
    assert_int_equal(a->params.count, b->params.count);
    for (size_t i = 0; i < a->params.count; i++) {
        const tuff_param *p = &a->params.items[i], *q = &b->params.items[i];
        int64_t left = strstr(p->name, "position_embeddings") ? skip * tuff_param_columns(p) : 0;
        assert_string_equal(p->gguf.name, q->gguf.name);
        assert_int_equal(tuff_param_elements(p) - left, tuff_param_elements(q));
        float *x = values_of(a, p), *y = values_of(b, q);
        assert_memory_equal(x + left, y, (size_t)tuff_param_elements(q) * sizeof *x);
        tuff_free(x);
        tuff_free(y);
    }
}

/* The first tensor's name in a saved model. */
static void saved_name_is(const tuff_model *model, const char *name)
{
    const char *directory = kit_temp_path("named");
    tuff_weights *weights = NULL;
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, directory));
    KIT_OK(tuff_safetensors_open(kit_join(directory, "model.safetensors"), &weights));
    assert_non_null(tuff_weights_find(weights, name));
    assert_int_equal(weights->count, model->params.count);
    tuff_weights_destroy(&weights);
}

static void files_with_and_without_the_prefix_and_with_old_names_are_one_model(void **state)
{
    (void)state;
    tuff_model *plain = model_open("bert");
    assert_null(plain->config.head);
    assert_true(plain->config.bare);
    saved_name_is(plain, "embeddings.LayerNorm.weight");
    tuff_model *prefixed = model_open(renamed("bert", "prefixed", with_prefix));
    same_parameters(plain, prefixed, 0);
    saved_name_is(prefixed, "bert.embeddings.LayerNorm.weight");
    tuff_model *old = model_open(renamed("bert", "old", with_old_names));
    same_parameters(plain, old, 0);
    saved_name_is(old, "bert.embeddings.LayerNorm.weight");
    tuff_model_destroy(&plain);
    tuff_model_destroy(&prefixed);
    tuff_model_destroy(&old);
}

/* GGUF has one name for them all: what comes back is another class of Hugging Face that computes the same. */
static void gguf_keeps_every_number(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *back;
    } cases[] = {
        {"bert", "bert"}, {"roberta", "bert"}, {"xlm-roberta", "bert"}, {"distilbert", "distilbert"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].golden);
        const char *gguf = kit_temp_path("same.gguf"), *directory = kit_temp_path("same");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
        tuff_model *through = model_open(gguf);
        same_parameters(model, through, model->config.position_offset);
        KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_model *back = model_open(directory);
        same_parameters(through, back, 0);
        assert_string_equal(back->config.arch->name, cases[i].back);
        const tuff_config *a = &model->config, *b = &back->config;
        assert_int_equal(b->layer.activation, a->layer.activation);
        assert_int_equal(b->max_positions, a->max_positions);
        assert_int_equal(b->position_offset, 0);
        assert_int_equal(b->token_types, a->token_types);
        assert_int_equal(b->heads, a->heads);
        assert_true((float)b->norm_eps == (float)a->norm_eps);
        assert_false(b->causal);
        tuff_model_destroy(&back);
        tuff_model_destroy(&through);
        tuff_model_destroy(&model);
    }
}

static void positions_begin_after_the_padding(void **state)
{
    (void)state;
    tuff_model *model = model_open("roberta");
    assert_int_equal(model->config.position_offset, 4);
    assert_int_equal(model->config.max_positions, 14);
    tuff_model_destroy(&model);
    refused(model_copy("roberta", "edited", "\"pad_token_id\": 3", "\"pad_token_id\": null"), TUFF_BAD_FORMAT,
            "positions begin after pad_token_id");
    refused(model_copy("roberta", "edited", "\"pad_token_id\": 3", "\"pad_token_id\": 17"), TUFF_BAD_FORMAT,
            "positions begin after pad_token_id");
    refused(model_copy("roberta", "edited", "\"pad_token_id\": 3", "\"pad_token_id\": -1"), TUFF_BAD_FORMAT,
            "positions begin after pad_token_id");
}

static void configs_that_would_give_other_numbers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *part;
        tuff_status status;
    } edits[] = {
        {"\"is_decoder\": false", "\"is_decoder\": true",
         "is_decoder is true: Tuff runs this architecture as an", TUFF_UNSUPPORTED},
        {"\"is_decoder\": false", "\"is_causal\": true", "is_causal is true", TUFF_UNSUPPORTED},
        {"\"add_cross_attention\": false", "\"add_cross_attention\": true", "add_cross_attention",
         TUFF_UNSUPPORTED},
        {"\"hidden_act\": \"gelu\"", "\"hidden_act\": \"tanh\"", "hidden_act is \"tanh\"; Tuff knows gelu, ",
         TUFF_UNSUPPORTED},
        {"\"use_cache\": true", "\"position_embedding_type\": \"relative_key\"",
         "position_embedding_type is \"relative_key\"", TUFF_UNSUPPORTED},
        {"\"type_vocab_size\": 3", "\"type_vocab_size\": 0", "type_vocab_size is 0", TUFF_BAD_FORMAT},
        {"\"type_vocab_size\": 3", "\"type_vocab_size\": 2", "has shape [3, 16]", TUFF_BAD_FORMAT},
        {"\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "cannot be shared by 3 heads",
         TUFF_BAD_FORMAT},
        {"\"layer_norm_eps\": 0.05", "\"layer_norm_eps\": 0", "epsilon is 0", TUFF_BAD_FORMAT},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "has no use for the tensor encoder.layer.1.",
         TUFF_UNSUPPORTED},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "the tensor encoder.layer.2.",
         TUFF_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        refused(model_copy("bert", "edited", edits[i].from, edits[i].to), edits[i].status, edits[i].part);
}

static void an_encoder_is_no_language_model(void **state)
{
    (void)state;
    tuff_model *model = model_open("bert");
    tuff_device *device = NULL;
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = "cpu";
    KIT_OK(tuff_device_open(&params, &device));
    tuff_generator *generator = NULL;
    KIT_FAILS(tuff_generator_create(model, device, NULL, &generator), TUFF_UNSUPPORTED,
              "this bert model is no language model");
    const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_dataset_from_ids(ids, 8, 4, &data));
    KIT_FAILS(tuff_trainer_create(model, device, data, NULL, &trainer), TUFF_UNSUPPORTED,
              "no language model");
    KIT_FAILS(tuff_evaluate(model, device, data, NULL, &result), TUFF_UNSUPPORTED, "no language model");
    KIT_FAILS(tuff_save_logits(model, device, data, NULL, NULL, kit_temp_path("l.safetensors")),
              TUFF_UNSUPPORTED, "no language model");
    tuff_dataset_destroy(&data);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

static void inspecting_says_what_an_encoder_is(void **state)
{
    (void)state;
    char *text = NULL;
    KIT_OK(tuff_inspect(kit_golden("roberta"), 0, &text));
    assert_non_null(strstr(text, "encoder"));
    assert_non_null(strstr(text, "none"));
    assert_non_null(strstr(text, "token types"));
    assert_non_null(strstr(text, "runs                  yes"));
    tuff_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_with_and_without_the_prefix_and_with_old_names_are_one_model),
        cmocka_unit_test(gguf_keeps_every_number),
        cmocka_unit_test(positions_begin_after_the_padding),
        cmocka_unit_test(configs_that_would_give_other_numbers_are_refused),
        cmocka_unit_test(an_encoder_is_no_language_model),
        cmocka_unit_test(inspecting_says_what_an_encoder_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
