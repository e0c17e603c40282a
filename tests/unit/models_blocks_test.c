/* Models whose file is quantized: they stay so on a device, and give what the same numbers give as f32. */
#include <math.h>
#include <tuff/generate.h>
#include <tuff/train.h>

#include "base/rng.h"
#include "conform/runner.h"
#include "cpu_fixture.h"
#include "formats/gguf.h"
#include "ir/dtype.h"
#include "model_fixture.h"
#include "models/model.h"
#include "train/trainer.h"

enum { WIDTH = 256, FFN = 512, WORDS = 64, HEADS = 4, KV_HEADS = 2, MOST = FFN * WIDTH, IDS = 48 };

static const tuff_save_item tensors[] = {
    {"token_embd.weight", TUFF_STORE_F32, 2, {WORDS, WIDTH}},
    {"blk.0.attn_norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
    {"blk.0.attn_q.weight", TUFF_STORE_F32, 2, {WIDTH, WIDTH}},
    {"blk.0.attn_k.weight", TUFF_STORE_F32, 2, {WIDTH / HEADS * KV_HEADS, WIDTH}},
    {"blk.0.attn_v.weight", TUFF_STORE_F32, 2, {WIDTH / HEADS * KV_HEADS, WIDTH}},
    {"blk.0.attn_output.weight", TUFF_STORE_F32, 2, {WIDTH, WIDTH}},
    {"blk.0.ffn_norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
    {"blk.0.ffn_gate.weight", TUFF_STORE_F32, 2, {FFN, WIDTH}},
    {"blk.0.ffn_up.weight", TUFF_STORE_F32, 2, {FFN, WIDTH}},
    {"blk.0.ffn_down.weight", TUFF_STORE_F32, 2, {WIDTH, FFN}},
    {"output_norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
};
enum { TENSORS = sizeof tensors / sizeof *tensors };

typedef struct made {
    tuff_dtype dtype; /* whose blocks the matrices are */
    bool decoded;     /* written as f32 */
} made;

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    static uint8_t bytes[MOST * 2];
    static double values[MOST];
    static float floats[MOST];
    const made *m = user;
    const tuff_save_item *item = &tensors[index];
    const int64_t n = item->shape[0] * (item->rank > 1 ? item->shape[1] : 1);
    if (item->rank == 1) {
        for (int64_t i = 0; i < n; i++) /* small, so that what blocks of about 1 give stays small */
            floats[i] = (float)(0.02 + 0.01 * tuff_rng_uniform(5, (uint64_t)i, (uint32_t)index, 0));
        return tuff_sink_write(sink, floats, (size_t)n * sizeof *floats);
    }
    tuff_data_blocks(m->dtype, n, 3, (uint32_t)index, bytes, values);
    if (!m->decoded) return tuff_sink_write(sink, bytes, (size_t)tuff_dtype_bytes(m->dtype, n));
    for (int64_t i = 0; i < n; i++)
        floats[i] = (float)values[i];
    return tuff_sink_write(sink, floats, (size_t)n * sizeof *floats);
}

/* A Llama of one layer with a tied table. */
static tuff_model *make(tuff_dtype dtype, bool decoded)
{
    const char *path = kit_path(decoded ? "decoded.gguf" : "blocks.gguf");
    made m = {dtype, decoded};
    tuff_save_item items[TENSORS];
    memcpy(items, tensors, sizeof items);
    for (size_t i = 0; i < TENSORS; i++)
        if (items[i].rank == 2 && !decoded) items[i].storage = tuff_storage_of(dtype);
    tuff_gguf_builder b = {0};
    tuff_gguf_put_text(&b, "general.architecture", "llama");
    tuff_gguf_put_u32(&b, "llama.block_count", 1);
    tuff_gguf_put_u32(&b, "llama.context_length", 64);
    tuff_gguf_put_u32(&b, "llama.embedding_length", WIDTH);
    tuff_gguf_put_u32(&b, "llama.feed_forward_length", FFN);
    tuff_gguf_put_u32(&b, "llama.attention.head_count", HEADS);
    tuff_gguf_put_u32(&b, "llama.attention.head_count_kv", KV_HEADS);
    tuff_gguf_put_u32(&b, "llama.vocab_size", WORDS);
    tuff_gguf_put_f32(&b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    KIT_OK(tuff_gguf_save(path, &b, items, TENSORS, give, &m));
    tuff_gguf_builder_free(&b);
    return model_open(path);
}

static int32_t ids[IDS];

static int begin(void **state)
{
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % WORDS;
    return open_device(state);
}

static void logits_of(const tuff_model *model, size_t n, bool exact, float *logits, uint64_t *bytes)
{
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    tuff_generator *generator = NULL;
    params.exact = exact;
    KIT_OK(tuff_generator_create(model, device, &params, &generator));
    KIT_OK(tuff_generator_logits(generator, ids, n, logits));
    *bytes = kit_device_stats(device).bytes;
    tuff_generator_destroy(&generator);
}

/* Of as many ids as products of few rows have, and of more. */
static void they_say_the_same(const tuff_model *blocks, const tuff_model *decoded)
{
    for (size_t n = 3; n <= IDS; n += IDS - 3) {
        float a[WORDS], b[WORDS], rounded[WORDS], largest = 0, off = 0, rounded_off = 0;
        uint64_t few, many, others;
        logits_of(blocks, n, true, a, &few);
        logits_of(decoded, n, true, b, &many);
        logits_of(blocks, n, false, rounded, &others);
        for (int i = 0; i < WORDS; i++) {
            off = fmaxf(off, fabsf(a[i] - b[i]));
            rounded_off = fmaxf(rounded_off, fabsf(rounded[i] - b[i]));
            largest = fmaxf(largest, fabsf(b[i]));
        }
        if (!(off <= 1e-5f * largest))
            fail_msg("%zu ids: logits of %g are off by %g", n, (double)largest, (double)off);
        if (!(rounded_off <= 0.05f * largest && rounded_off > off))
            fail_msg("%zu ids: logits of %g, of rounded activations, are off by %g", n, (double)largest,
                     (double)rounded_off);
        logits_of(decoded, n, false, a, &others); /* has nothing that rounding is for */
        assert_memory_equal(a, b, sizeof a);
        uint64_t saved = 0;
        for (size_t i = 0; i < blocks->params.count; i++) {
            const tuff_param *p = &blocks->params.items[i];
            saved +=
                (uint64_t)tuff_param_elements(p) * 4 - tuff_dtype_bytes(p->stored, tuff_param_elements(p));
        }
        assert_true(saved > 1000000);
        assert_int_equal(many - few, saved);
    }
}

static void losses_of(const tuff_model *model, int64_t lora_rank, double losses[4])
{
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    params.max_steps = 4;
    params.per_device_train_batch_size = 2;
    params.learning_rate = 1e-3;
    params.lora_rank = lora_rank;
    params.lora_target = lora_rank ? "all-linear" : NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 12, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    for (int i = 0; i < 4; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_true(isfinite(step.loss) && !step.skipped);
        losses[i] = step.loss;
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

/* LoRA on what stays as it is stored, and all of it, as f32. */
static void they_train_alike(const tuff_model *blocks, const tuff_model *decoded)
{
    for (int rank = 4; rank >= 0; rank -= 4) {
        double a[4], b[4];
        losses_of(blocks, rank, a);
        losses_of(decoded, rank, b);
        for (int i = 0; i < 4; i++)
            if (a[i] != b[i]) fail_msg("rank %d, step %d: %.17g, expected %.17g", rank, i + 1, a[i], b[i]);
        assert_true(a[3] != a[0]);
    }
}

static void blocks_are_worth_what_they_stand_for(void **state)
{
    (void)state;
    for (int d = TUFF_Q4_0; d < TUFF_DTYPE_COUNT; d++) {
        tuff_model *blocks = make((tuff_dtype)d, false), *decoded = make((tuff_dtype)d, true);
        tuff_model_info info = TUFF_MODEL_INFO_INIT;
        print_message("%s\n", tuff_dtype_name((tuff_dtype)d));
        KIT_OK(tuff_model_get_info(blocks, &info));
        assert_int_equal(info.dtype, d);
        they_say_the_same(blocks, decoded);
        they_train_alike(blocks, decoded);
        tuff_model_destroy(&blocks);
        tuff_model_destroy(&decoded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_worth_what_they_stand_for)};
    return cmocka_run_group_tests(tests, begin, close_device);
}
