/* ctest: slow under tsan
 * What fewer bits cost a model that has learned its text: one whose rows are whole blocks of every type is
 * trained for a moment, written in each, and measured on text that it has not seen. */
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <tuff/generate.h>
#include <tuff/train.h>

#include "base/memory.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "kit/files.h"
#include "train/dataset.h"

enum { WORDS = 1024, WIDTH = 256, FFN = 768, KEYS = 128, MOST = WORDS * WIDTH, STEPS = 150, BLOCK = 64 };

static const tuff_save_item tensors[] = {
    {"model.embed_tokens.weight", TUFF_STORE_F32, 2, {WORDS, WIDTH}},
    {"model.layers.0.input_layernorm.weight", TUFF_STORE_F32, 1, {WIDTH}},
    {"model.layers.0.self_attn.q_proj.weight", TUFF_STORE_F32, 2, {WIDTH, WIDTH}},
    {"model.layers.0.self_attn.k_proj.weight", TUFF_STORE_F32, 2, {KEYS, WIDTH}},
    {"model.layers.0.self_attn.v_proj.weight", TUFF_STORE_F32, 2, {KEYS, WIDTH}},
    {"model.layers.0.self_attn.o_proj.weight", TUFF_STORE_F32, 2, {WIDTH, WIDTH}},
    {"model.layers.0.post_attention_layernorm.weight", TUFF_STORE_F32, 1, {WIDTH}},
    {"model.layers.0.mlp.gate_proj.weight", TUFF_STORE_F32, 2, {FFN, WIDTH}},
    {"model.layers.0.mlp.up_proj.weight", TUFF_STORE_F32, 2, {FFN, WIDTH}},
    {"model.layers.0.mlp.down_proj.weight", TUFF_STORE_F32, 2, {WIDTH, FFN}},
    {"model.norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
};

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"vocab_size\": 1024, "
    "\"hidden_size\": 256, \"intermediate_size\": 768, \"num_hidden_layers\": 1, \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"max_position_embeddings\": 256, \"rms_norm_eps\": 1e-5, "
    "\"rope_theta\": 10000.0, \"tie_word_embeddings\": true, \"bos_token_id\": 0, \"eos_token_id\": 0}";

static tuff_device *device;
static tuff_model *model;         /* trained */
static char held_out[512];        /* the path of a text that it has not seen */
static double whole, first, last; /* losses: on that text; of the training's first and last step */

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    static float values[MOST];
    const tuff_save_item *item = &tensors[index];
    const size_t n = (size_t)item->shape[0] * (item->rank > 1 ? (size_t)item->shape[1] : 1);
    (void)user;
    for (size_t i = 0; i < n; i++)
        values[i] = item->rank > 1 ? (float)(0.04 * tuff_rng_normal(3, i, (uint32_t)index, 0)) : 1;
    return tuff_sink_write(sink, values, n * sizeof *values);
}

static tuff_model *open_model(const char *path)
{
    tuff_model *opened = NULL;
    KIT_OK(tuff_model_load(path, &opened));
    return opened;
}

static tuff_model *make_initial(void)
{
    const char *directory = kit_path("initial");
    assert_int_equal(mkdir(directory, 0700), 0);
    kit_write_file(kit_join(directory, "config.json"), config, sizeof config - 1);
    kit_copy_file(kit_asset("stories/tokenizer.json"), kit_join(directory, "tokenizer.json"));
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), tensors,
                                 sizeof tensors / sizeof *tensors, give, NULL));
    return open_model(directory);
}

static tuff_dataset *data_of(const tuff_model *of, const char *path)
{
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_load_text(of, path, BLOCK, NULL, &data));
    return data;
}

/* Pirates' tales: the last sixth is held out. */
static void cut_text(const char *path)
{
    tuff_buf text;
    kit_read_file(kit_asset("stories/style.txt"), &text);
    const size_t cut = text.size / 6 * 5;
    kit_write_file(path, text.data, cut);
    snprintf(held_out, sizeof held_out, "%s", kit_path("held-out.txt"));
    kit_write_file(held_out, text.data + cut, text.size - cut);
    tuff_buf_free(&text);
}

static double loss_of(const tuff_model *of)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_dataset *data = data_of(of, held_out);
    KIT_OK(tuff_evaluate(of, device, data, NULL, &result));
    tuff_dataset_destroy(&data);
    return result.loss;
}

static int train(void **state)
{
    (void)state;
    const char *text = kit_path("text.txt"), *out = kit_path("trained");
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    device = kit_cpu();
    cut_text(text);
    tuff_model *initial = make_initial();
    tuff_dataset *data = data_of(initial, text);
    params.max_steps = STEPS;
    params.learning_rate = 4e-3;
    params.lr_scheduler_type = TUFF_SCHEDULE_COSINE;
    params.warmup_steps = 10;
    params.weight_decay = 0.1;
    KIT_OK(tuff_trainer_create(initial, device, data, &params, &trainer));
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        if (i == 0) first = step.loss;
        last = step.loss;
    }
    KIT_OK(tuff_trainer_save(trainer, out));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&initial);
    model = open_model(out);
    whole = loss_of(model);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_model *written_as(const char *type)
{
    const char *path = kit_path("typed.gguf");
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    params.format = TUFF_FORMAT_GGUF;
    params.type = type;
    KIT_OK(tuff_model_save_with(model, &params, path));
    return open_model(path);
}

static void it_has_learned(void **state)
{
    (void)state;
    print_message("loss %.3f to %.3f, held out %.4f\n", first, last, whole);
    assert_true(first > 6 && whole < 0.7);
}

/* By how many percent a type may move the loss: that of the whole model, and, where what weights are
 * multiplied with is rounded as well, that of the same blocks. About three times what was measured, but for
 * those that are promised. */
typedef struct bound {
    const char *type;
    double blocks, rounded;
} bound;
static const bound bounds[] = {
    {"f32", 0, 0},    {"f16", 0.01, 0},  {"bf16", 0.01, 0}, {"q8_0", 0.1, 1},  {"q6_k", 0.5, 1},
    {"q5_k_m", 1, 1}, {"q5_k_s", 1, 1},  {"q4_k_m", 4, 1},  {"q4_k_s", 4, 1},  {"q3_k_l", 6, 1},
    {"q3_k_m", 7, 1}, {"q3_k_s", 12, 1}, {"q2_k", 25, 1},   {"q5_1", 1, 1},    {"q5_0", 1, 1},
    {"q4_1", 3, 1},   {"q4_0", 4, 1},    {"iq4_nl", 3, 1},  {"mxfp4", 0.1, 1},
};

/* The loss of the token behind each of some texts, from a generator. */
static double surprise(const tuff_model *of, const tuff_dataset *data, bool exact)
{
    enum { TEXTS = 96, TOKENS = 48 };
    static float logits[WORDS];
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    tuff_generator *generator = NULL;
    double sum = 0;
    params.exact = exact;
    KIT_OK(tuff_generator_create(of, device, &params, &generator));
    assert_true(data->tokens > TEXTS * (TOKENS + 1));
    for (int i = 0; i < TEXTS; i++) {
        const int32_t *ids = data->ids + i * (TOKENS + 1);
        double all = 0;
        KIT_OK(tuff_generator_logits(generator, ids, TOKENS, logits));
        for (int k = 0; k < WORDS; k++)
            all += exp((double)logits[k] - (double)logits[ids[TOKENS]]);
        sum += log(all);
    }
    tuff_generator_destroy(&generator);
    return sum / TEXTS;
}

/* Rounded: as `tuff generate` does on the CPU unless it is asked to be exact. */
static void each_type_costs_little(void **state)
{
    (void)state;
    tuff_dataset *data = data_of(model, held_out);
    size_t n = 0;
    for (const char *type; (type = tuff_save_type(n)); n++) {
        assert_true(n < sizeof bounds / sizeof *bounds);
        assert_string_equal(bounds[n].type, type);
        tuff_model *typed = written_as(type);
        const double exact = surprise(typed, data, true), rounded = surprise(typed, data, false);
        const double off = 100 * (loss_of(typed) / whole - 1), more = 100 * (rounded / exact - 1);
        print_message("%-6s %+.3f %%, rounded %+.3f %% of %.4f\n", type, off, more, exact);
        if (!(fabs(off) <= bounds[n].blocks) || (off == 0) != (bounds[n].blocks == 0))
            fail_msg("%s moves the loss of %.4f by %.3f %%", type, whole, off);
        if (!(fabs(more) <= bounds[n].rounded) || (more == 0) != (bounds[n].rounded == 0))
            fail_msg("%s: rounded activations move the loss of %.4f by %.3f %%", type, exact, more);
        tuff_model_destroy(&typed);
    }
    assert_int_equal(n, sizeof bounds / sizeof *bounds);
    tuff_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_learned),
        cmocka_unit_test(each_type_costs_little),
    };
    return cmocka_run_group_tests(tests, train, end);
}
