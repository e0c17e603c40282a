/* Models of a config alone: the weights that are drawn, what is done with them, and configs that are none. */
#include "kit/kit.h"

#include <math.h>
#include <string.h>
#include <tuff/model.h>
#include <tuff/train.h>

#include "kit/files.h"
#include "models/model.h"

#define CONFIG(more)                                                                                           \
    "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 2, "        \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"hidden_size\": 64, \"intermediate_size\": 96, " \
    "\"vocab_size\": 300, \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000" more \
    "}"

static tuff_model *drawn(const char *config, uint64_t seed)
{
    tuff_model *model = NULL;
    KIT_OK(tuff_model_draw(config, strlen(config), NULL, seed, &model));
    return model;
}

/* All of a parameter's numbers; free with tuff_free. */
static float *numbers(const tuff_model *model, const tuff_param *p, int64_t *out_count)
{
    *out_count = tuff_param_rows(p) * tuff_param_columns(p);
    float *values = tuff_alloc_array((size_t)*out_count, sizeof *values);
    assert_non_null(values);
    KIT_OK(tuff_model_read(model, p, NULL, 0, tuff_param_rows(p), values));
    return values;
}

static double deviation(const float *values, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
    }
    return sqrt(squares / (double)n - sum / (double)n * sum / (double)n);
}

static void test_what_is_drawn(void **state)
{
    (void)state;
    tuff_model *a = drawn(CONFIG(", \"initializer_range\": 0.1"), 7),
               *same = drawn(CONFIG(", \"initializer_range\": 0.1"), 7),
               *other = drawn(CONFIG(", \"initializer_range\": 0.1"), 8), *usual = drawn(CONFIG(""), 7);
    int matrices = 0, vectors = 0;
    for (size_t i = 0; i < a->params.count; i++) {
        const tuff_param *p = &a->params.items[i];
        int64_t n;
        float *x = numbers(a, p, &n), *y = numbers(same, &same->params.items[i], &n),
              *z = numbers(other, &other->params.items[i], &n),
              *w = numbers(usual, &usual->params.items[i], &n);
        assert_memory_equal(x, y, (size_t)n * sizeof *x);
        if (tuff_param_is_matrix(p)) {
            assert_memory_not_equal(x, z, (size_t)n * sizeof *x);
            assert_true(fabs(deviation(x, n) - 0.1) < 0.005 && fabs(deviation(w, n) - 0.02) < 0.001);
            matrices++;
        } else {
            for (int64_t k = 0; k < n; k++)
                assert_true(x[k] == 1);
            vectors++;
        }
        float *all[] = {x, y, z, w};
        for (size_t k = 0; k < 4; k++)
            tuff_free(all[k]);
    }
    assert_int_equal(matrices, 2 + 2 * 7);
    assert_int_equal(vectors, 1 + 2 * 2);
    tuff_model *models[] = {a, same, other, usual};
    for (size_t k = 0; k < 4; k++)
        tuff_model_destroy(&models[k]);
}

static double loss_of(const tuff_model *model, tuff_device *device, int steps, const char *save)
{
    int32_t ids[128];
    for (int i = 0; i < 128; i++)
        ids[i] = (i * 7 + i / 16) % 300;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    params.max_steps = steps;
    params.per_device_train_batch_size = 4;
    params.learning_rate = 1e-2;
    KIT_OK(tuff_dataset_from_ids(ids, 128, 32, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    for (int i = 0; i < steps; i++)
        KIT_OK(tuff_trainer_step(trainer, &step));
    if (save) KIT_OK(tuff_trainer_save(trainer, save));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    return step.loss;
}

/* It begins at the logarithm of the vocabulary, learns, and is saved; so is one that was not trained. */
static void test_training_and_saving(void **state)
{
    (void)state;
    tuff_device_params cpu = TUFF_DEVICE_PARAMS_INIT;
    tuff_device *device = NULL;
    cpu.name = "cpu";
    KIT_OK(tuff_device_open(&cpu, &device));
    tuff_model *model = drawn(CONFIG(", \"tie_word_embeddings\": true"), 1), *loaded = NULL;
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    KIT_OK(tuff_model_get_info(model, &info));
    assert_true(info.tied && info.vocab_size == 300 && info.layers == 2);
    const double first = loss_of(model, device, 1, NULL),
                 last = loss_of(model, device, 30, kit_path("trained"));
    assert_true(fabs(first - log(300)) < 0.05);
    assert_true(last < first - 1);
    KIT_OK(tuff_model_load(kit_path("trained"), &loaded));
    assert_true(loss_of(loaded, device, 1, NULL) < last);
    tuff_model_destroy(&loaded);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, kit_path("drawn")));
    KIT_OK(tuff_model_load(kit_path("drawn"), &loaded));
    assert_true(loss_of(loaded, device, 1, NULL) == first);
    tuff_model_destroy(&loaded);
    const tuff_tokenizer *tokenizer = NULL;
    KIT_FAILS(tuff_model_get_tokenizer(model, &tokenizer), TUFF_NOT_FOUND, "none was given");
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *config, *part;
        tuff_status status;
    } wrong[] = {
        {"{", "config of a model to be drawn", TUFF_BAD_FORMAT},
        {"[1]", "no JSON object", TUFF_BAD_FORMAT},
        {"{}", "model_type is missing", TUFF_BAD_FORMAT},
        {"{\"model_type\": \"mamba\"}", "model_type is \"mamba\"", TUFF_UNSUPPORTED},
        {CONFIG(", \"rope_scaling\": {\"rope_type\": \"cubic\"}"), "cubic", TUFF_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tuff_model *model = NULL;
        KIT_FAILS(tuff_model_draw(wrong[i].config, strlen(wrong[i].config), NULL, 1, &model), wrong[i].status,
                  wrong[i].part);
        assert_null(model);
    }
    /* a tokenizer with more tokens than the model; it is destroyed */
    tuff_tokenizer *tokenizer = NULL;
    tuff_model *model = NULL;
    KIT_OK(tuff_tokenizer_load(kit_golden("gpt2"), &tokenizer));
    const uint32_t tokens = tuff_tokenizer_vocab_size(tokenizer);
    const char few[] =
        "{\"model_type\": \"gpt2\", \"n_layer\": 1, \"n_head\": 1, \"n_embd\": 8, \"vocab_size\": 5}";
    assert_true(tokens > 5);
    KIT_FAILS(tuff_model_draw(few, strlen(few), &tokenizer, 1, &model), TUFF_BAD_FORMAT, "");
    assert_null(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_drawn),
        cmocka_unit_test(test_training_and_saving),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
