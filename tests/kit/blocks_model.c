#include "kit/blocks_model.h"

#include <math.h>
#include <tuff/train.h>

#include "base/rng.h"
#include "conform/runner.h"
#include "formats/gguf.h"
#include "ir/dtype.h"
#include "kit/files.h"
#include "train/trainer.h"

enum { WIDTH = KIT_WIDE_WIDTH, FFN = KIT_WIDE_FFN, WORDS = KIT_BLOCKS_WORDS, HEADS = 4, MOST = FFN * WIDTH };

size_t kit_wide_items(int64_t kv_heads, bool output, tuff_save_item items[KIT_WIDE_TENSORS])
{
    const tuff_save_item all[] = {
        {"token_embd.weight", TUFF_STORE_F32, 2, {WORDS, WIDTH}},
        {"blk.0.attn_norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
        {"blk.0.attn_q.weight", TUFF_STORE_F32, 2, {WIDTH, WIDTH}},
        {"blk.0.attn_k.weight", TUFF_STORE_F32, 2, {WIDTH / HEADS * kv_heads, WIDTH}},
        {"blk.0.attn_v.weight", TUFF_STORE_F32, 2, {WIDTH / HEADS * kv_heads, WIDTH}},
        {"blk.0.attn_output.weight", TUFF_STORE_F32, 2, {WIDTH, WIDTH}},
        {"blk.0.ffn_norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
        {"blk.0.ffn_gate.weight", TUFF_STORE_F32, 2, {FFN, WIDTH}},
        {"blk.0.ffn_up.weight", TUFF_STORE_F32, 2, {FFN, WIDTH}},
        {"blk.0.ffn_down.weight", TUFF_STORE_F32, 2, {WIDTH, FFN}},
        {"output_norm.weight", TUFF_STORE_F32, 1, {WIDTH}},
        {"output.weight", TUFF_STORE_F32, 2, {WORDS, WIDTH}},
    };
    _Static_assert(sizeof all / sizeof *all == KIT_WIDE_TENSORS, "the list has all");
    memcpy(items, all, sizeof all);
    return output ? KIT_WIDE_TENSORS : KIT_WIDE_TENSORS - 1;
}

void kit_wide_save(const char *path, const tuff_save_item *items, size_t count, tuff_save_fn give, void *user)
{
    tuff_gguf_builder b = {0};
    tuff_gguf_put_text(&b, "general.architecture", "llama");
    tuff_gguf_put_u32(&b, "llama.block_count", 1);
    tuff_gguf_put_u32(&b, "llama.context_length", 64);
    tuff_gguf_put_u32(&b, "llama.embedding_length", WIDTH);
    tuff_gguf_put_u32(&b, "llama.feed_forward_length", FFN);
    tuff_gguf_put_u32(&b, "llama.attention.head_count", HEADS);
    tuff_gguf_put_u32(&b, "llama.attention.head_count_kv", (uint32_t)(items[3].shape[0] / (WIDTH / HEADS)));
    tuff_gguf_put_u32(&b, "llama.vocab_size", WORDS);
    tuff_gguf_put_f32(&b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    KIT_OK(tuff_gguf_save(path, &b, items, count, give, user));
    tuff_gguf_builder_free(&b);
}

typedef struct made {
    tuff_save_item items[KIT_WIDE_TENSORS];
    tuff_dtype dtype; /* whose blocks the matrices are */
    bool decoded;     /* written as f32 */
} made;

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    static uint8_t bytes[MOST * 2];
    static double values[MOST];
    static float floats[MOST];
    const made *m = user;
    const tuff_save_item *item = &m->items[index];
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

tuff_model *kit_blocks_model(tuff_dtype dtype, bool decoded)
{
    const char *path = kit_path(decoded ? "decoded.gguf" : "blocks.gguf");
    made m = {.dtype = dtype, .decoded = decoded};
    tuff_model *model = NULL;
    const size_t count = kit_wide_items(HEADS / 2, false, m.items);
    for (size_t i = 0; i < count; i++)
        if (m.items[i].rank == 2 && !decoded) m.items[i].storage = tuff_storage_of(dtype);
    kit_wide_save(path, m.items, count, give, &m);
    KIT_OK(tuff_model_load(path, &model));
    return model;
}

const int32_t *kit_blocks_ids(void)
{
    static int32_t ids[KIT_BLOCKS_IDS];
    for (int i = 0; i < KIT_BLOCKS_IDS; i++)
        ids[i] = (i * 37 + i / 7) % WORDS;
    return ids;
}

void kit_blocks_losses(const tuff_model *model, tuff_device *device, int64_t lora_rank,
                       double losses[KIT_BLOCKS_STEPS])
{
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    params.max_steps = KIT_BLOCKS_STEPS;
    params.per_device_train_batch_size = 2;
    params.learning_rate = 1e-3;
    params.lora_rank = lora_rank;
    params.lora_target = lora_rank ? "all-linear" : NULL;
    KIT_OK(tuff_dataset_from_ids(kit_blocks_ids(), KIT_BLOCKS_IDS, 12, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    for (int i = 0; i < KIT_BLOCKS_STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_true(isfinite(step.loss) && !step.skipped);
        losses[i] = step.loss;
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}
