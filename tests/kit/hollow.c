#define _POSIX_C_SOURCE 200809L
#include "kit/hollow.h"

#include <tuff/train.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/files.h"

typedef struct tensors {
    tuff_buf header;
    uint64_t bytes;
} tensors;

static void put(tensors *t, const char *name, int64_t rows, int64_t columns) /* columns 0: a vector */
{
    const uint64_t bytes = (uint64_t)(columns ? rows * columns : rows) * 4;
    char dims[64];
    snprintf(dims, sizeof dims, columns ? "%lld,%lld" : "%lld", (long long)rows, (long long)columns);
    tuff_buf_printf(&t->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
                    t->header.size ? "," : "{", name, dims, (unsigned long long)t->bytes,
                    (unsigned long long)(t->bytes + bytes));
    t->bytes += bytes;
}

static void put_of_layer(tensors *t, const char *format, int layer, int64_t rows, int64_t columns)
{
    char name[128];
    snprintf(name, sizeof name, format, layer);
    put(t, name, rows, columns);
}

/* A matrix and its bias, a norm and its bias: "x.weight", "x.bias". */
static void put_both(tensors *t, const char *format, int layer, int64_t rows, int64_t columns, int64_t bias)
{
    char name[120], full[128];
    snprintf(name, sizeof name, format, layer);
    snprintf(full, sizeof full, "%s.weight", name);
    put(t, full, rows, columns);
    snprintf(full, sizeof full, "%s.bias", name);
    put(t, full, bias, 0);
}

static void finish(const char *directory, tensors *t, const tuff_buf *config, const char *tokenizer)
{
    tuff_buf_char(&t->header, '}');
    while (t->header.size % 8)
        tuff_buf_char(&t->header, ' ');
    uint8_t size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)((uint64_t)t->header.size >> (8 * i));
    tuff_buf file = {0};
    tuff_buf_bytes(&file, size, sizeof size);
    tuff_buf_bytes(&file, t->header.data, t->header.size);
    kit_write_file(kit_join(directory, "model.safetensors"), file.data, file.size);
    assert_int_equal(truncate(kit_join(directory, "model.safetensors"), (off_t)(file.size + t->bytes)), 0);
    kit_write_file(kit_join(directory, "config.json"), config->data, config->size);
    if (tokenizer) kit_write_file(kit_join(directory, "tokenizer.json"), tokenizer, strlen(tokenizer));
    tuff_buf_free(&file);
    tuff_buf_free(&t->header);
}

static const char *fresh_directory(void)
{
    static int made;
    char name[32];
    snprintf(name, sizeof name, "model%d", made++);
    const char *directory = kit_path(name);
    assert_int_equal(mkdir(directory, 0755), 0);
    return directory;
}

static const char two_letters[] =
    "{\"version\":\"1.0\",\"added_tokens\":[],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},"
    "\"merges\":[]}}";

const char *kit_hollow_llama(const kit_shape *s)
{
    const char *directory = fresh_directory();
    const int64_t kv = s->kv_heads * s->head_dim, q = s->heads * s->head_dim;
    tensors t = {0};
    tuff_buf config = {0};
    put(&t, "model.embed_tokens.weight", s->words, s->hidden);
    put(&t, "model.norm.weight", s->hidden, 0);
    for (int i = 0; i < s->layers; i++) {
        put_of_layer(&t, "model.layers.%d.input_layernorm.weight", i, s->hidden, 0);
        put_of_layer(&t, "model.layers.%d.post_attention_layernorm.weight", i, s->hidden, 0);
        put_of_layer(&t, "model.layers.%d.self_attn.q_proj.weight", i, q, s->hidden);
        put_of_layer(&t, "model.layers.%d.self_attn.k_proj.weight", i, kv, s->hidden);
        put_of_layer(&t, "model.layers.%d.self_attn.v_proj.weight", i, kv, s->hidden);
        put_of_layer(&t, "model.layers.%d.self_attn.o_proj.weight", i, s->hidden, q);
        put_of_layer(&t, "model.layers.%d.mlp.gate_proj.weight", i, s->wide, s->hidden);
        put_of_layer(&t, "model.layers.%d.mlp.up_proj.weight", i, s->wide, s->hidden);
        put_of_layer(&t, "model.layers.%d.mlp.down_proj.weight", i, s->hidden, s->wide);
    }
    tuff_buf_printf(
        &config,
        "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"vocab_size\":%d,\"hidden_size\":%lld,"
        "\"num_hidden_layers\":%d,\"num_attention_heads\":%lld,\"num_key_value_heads\":%lld,\"head_dim\":%lld,"
        "\"intermediate_size\":%lld,\"max_position_embeddings\":%d,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,"
        "\"hidden_act\":\"silu\",\"tie_word_embeddings\":true}",
        s->words, (long long)s->hidden, s->layers, (long long)s->heads, (long long)s->kv_heads,
        (long long)s->head_dim, (long long)s->wide, s->context);
    finish(directory, &t, &config, two_letters);
    tuff_buf_free(&config);
    return directory;
}

const char *kit_hollow_gpt2(const kit_shape *s)
{
    const char *directory = fresh_directory();
    const int64_t h = s->hidden;
    tensors t = {0};
    tuff_buf config = {0};
    put(&t, "wte.weight", s->words, h);
    put(&t, "wpe.weight", s->context, h);
    put_both(&t, "ln_f", 0, h, 0, h);
    for (int i = 0; i < s->layers; i++) {
        put_both(&t, "h.%d.ln_1", i, h, 0, h);
        put_both(&t, "h.%d.ln_2", i, h, 0, h);
        put_both(&t, "h.%d.attn.c_attn", i, h, 3 * h, 3 * h);
        put_both(&t, "h.%d.attn.c_proj", i, h, h, h);
        put_both(&t, "h.%d.mlp.c_fc", i, h, s->wide, s->wide);
        put_both(&t, "h.%d.mlp.c_proj", i, s->wide, h, h);
    }
    tuff_buf_printf(
        &config,
        "{\"model_type\":\"gpt2\",\"architectures\":[\"GPT2LMHeadModel\"],\"vocab_size\":%d,\"n_embd\":%lld,"
        "\"n_layer\":%d,\"n_head\":%lld,\"n_inner\":%lld,\"n_positions\":%d,\"layer_norm_epsilon\":1e-5,"
        "\"activation_function\":\"gelu_new\"}",
        s->words, (long long)h, s->layers, (long long)s->heads, (long long)s->wide, s->context);
    finish(directory, &t, &config, two_letters);
    tuff_buf_free(&config);
    return directory;
}

const char *kit_hollow_bert(const kit_shape *s)
{
    const char *directory = fresh_directory();
    const int64_t h = s->hidden;
    tensors t = {0};
    tuff_buf config = {0};
    put(&t, "embeddings.word_embeddings.weight", s->words, h);
    put(&t, "embeddings.position_embeddings.weight", s->context, h);
    put(&t, "embeddings.token_type_embeddings.weight", 2, h);
    put_both(&t, "embeddings.LayerNorm", 0, h, 0, h);
    for (int i = 0; i < s->layers; i++) {
        put_both(&t, "encoder.layer.%d.attention.self.query", i, h, h, h);
        put_both(&t, "encoder.layer.%d.attention.self.key", i, h, h, h);
        put_both(&t, "encoder.layer.%d.attention.self.value", i, h, h, h);
        put_both(&t, "encoder.layer.%d.attention.output.dense", i, h, h, h);
        put_both(&t, "encoder.layer.%d.attention.output.LayerNorm", i, h, 0, h);
        put_both(&t, "encoder.layer.%d.intermediate.dense", i, s->wide, h, s->wide);
        put_both(&t, "encoder.layer.%d.output.dense", i, h, s->wide, h);
        put_both(&t, "encoder.layer.%d.output.LayerNorm", i, h, 0, h);
    }
    tuff_buf_printf(
        &config,
        "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"],\"vocab_size\":%d,\"hidden_size\":%lld,"
        "\"num_hidden_layers\":%d,\"num_attention_heads\":%lld,\"intermediate_size\":%lld,\"type_vocab_size\":2,"
        "\"max_position_embeddings\":%d,\"layer_norm_eps\":1e-12,\"hidden_act\":\"gelu\"}",
        s->words, (long long)h, s->layers, (long long)s->heads, (long long)s->wide, s->context);
    finish(directory, &t, &config, NULL);
    tuff_buf_free(&config);
    return directory;
}

const tuff_caps kit_radv = {.features = TUFF_CAP_SUBGROUP_ARITHMETIC | TUFF_CAP_SUBGROUP_BALLOT |
                                        TUFF_CAP_F16_STORAGE | TUFF_CAP_INT8,
                            .subgroup_size = 64,
                            .shared_bytes = 65536,
                            .max_workgroup = 1024,
                            .max_groups = {0xffffffff, 65535, 65535},
                            .max_allocation = (uint64_t)1 << 32,
                            .memory_bytes = (uint64_t)16 << 30};

static void (*shown_to)(const tuff_plan *plan);

static tuff_status show(tuff_backend_device *device, const tuff_plan *plan,
                        tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                        tuff_backend_program **out)
{
    shown_to(plan);
    return tuff_backend_null.program_create(device, plan, variables, blocks, out);
}

static tuff_status write_nothing(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                 const void *data, uint64_t bytes)
{
    (void)device, (void)buffer, (void)offset, (void)data, (void)bytes;
    return TUFF_OK;
}

static tuff_status read_zeros(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                              void *data, uint64_t bytes)
{
    (void)device, (void)buffer, (void)offset;
    memset(data, 0, (size_t)bytes);
    return TUFF_OK;
}

static tuff_backend taker;

tuff_status kit_taker_open(const tuff_caps *caps, void (*take)(const tuff_plan *plan),
                           tuff_device *out_device)
{
    const tuff_open_params params = {0};
    taker = tuff_backend_null;
    taker.program_create = show;
    taker.buffer_write = write_nothing;
    taker.buffer_read = read_zeros;
    shown_to = take;
    *out_device = (tuff_device){.backend = &taker};
    TUFF_TRY(taker.open(0, &params, &out_device->handle));
    out_device->handle->caps = *caps;
    return TUFF_OK;
}

void kit_taker_close(tuff_device *device)
{
    taker.close(&device->handle);
}

/* ---- what is taken */

const int32_t *kit_taken_ids(void)
{
    static int32_t ids[2 * KIT_TAKEN_BATCH * KIT_TAKEN_LENGTH];
    for (int i = 0; i < 2 * KIT_TAKEN_BATCH * KIT_TAKEN_LENGTH; i++)
        ids[i] = i * 37 % 4096;
    return ids;
}

void kit_take_training(const tuff_model *model, tuff_device *device, int64_t rank, int64_t accumulate)
{
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    params.max_steps = 1;
    params.per_device_train_batch_size = KIT_TAKEN_BATCH;
    params.gradient_accumulation_steps = accumulate;
    params.lora_rank = rank;
    params.lora_target = rank ? "all-linear" : NULL;
    KIT_OK(tuff_dataset_from_ids(kit_taken_ids(), 2 * KIT_TAKEN_BATCH * KIT_TAKEN_LENGTH, KIT_TAKEN_LENGTH,
                                 &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}
