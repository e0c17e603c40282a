/* The pipelines of real plans: what training, generating and embedding with models of today's shapes runs on
 * a GPU. Nothing is computed: a device that has what AMD's driver reports takes the plans, and models are
 * files of holes. Each pipeline must be what its shader says, and stay in the shared memory that GPUs give a
 * workgroup at full speed.
 *
 * With TUFF_TEST_PIPELINES, a directory, they are left there for a driver's compiler
 * (scripts/gpu-compile.sh): the modules, and a line of each pipeline in pipelines.txt: module, specialization
 * constants, what runs it. */
#define _POSIX_C_SOURCE 200809L
#include "kit/kit.h"

#ifdef TUFF_HAVE_VULKAN

#include <stdio.h>
#include <sys/stat.h>
#include <tuff/batch.h>
#include <tuff/embed.h>
#include <tuff/train.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/vulkan/shader_source.h"
#include "base/file.h"
#include "base/os.h"
#include "base/text.h"
#include "kit/files.h"
#include "runtime/device.h"

enum { LAYERS = 2, WORDS = 4096, CONTEXT = 1024, BATCH = 4, LENGTH = 256, MOST_SHARED = 32768 };

/* ---- the pipelines that were seen */

typedef struct pipeline {
    tuff_dispatch dispatch; /* its shader and constants */
    tuff_buf users;         /* one word each */
} pipeline;

static pipeline *pipelines;
static size_t n_pipelines, pipelines_capacity;
static char user[64]; /* what is being run */

/* What RADV reports of all its cards; those since Vega have arithmetic in half floats, too, which no kernel
 * uses yet. */
static const tuff_caps radv = {.features = TUFF_CAP_SUBGROUP_ARITHMETIC | TUFF_CAP_SUBGROUP_BALLOT |
                                           TUFF_CAP_F16_STORAGE | TUFF_CAP_INT8,
                               .subgroup_size = 64,
                               .shared_bytes = 65536,
                               .max_workgroup = 1024,
                               .max_groups = {0xffffffff, 65535, 65535},
                               .max_allocation = (uint64_t)1 << 32,
                               .memory_bytes = (uint64_t)16 << 30};

/* A pipeline is what its shader says, and takes no more shared memory than lets a GPU run several workgroups
 * at once. */
static void check(const tuff_dispatch *d)
{
    const tuff_spirv_entry *entry = &tuff_spirv_pack[d->shader];
    tuff_spirv_info info;
    uint64_t shared = 0;
    KIT_OK(tuff_spirv_reflect(entry->words, entry->n_words, &info));
    const char *fault = tuff_spirv_check(&info, d, &radv);
    if (fault) fail_msg("%s: %s: %s", user, entry->name, fault);
    KIT_OK(tuff_spirv_shared_bytes(entry->words, entry->n_words, d, &shared));
    if (shared > MOST_SHARED)
        fail_msg("%s: %s takes %llu bytes of shared memory, allowed are %d", user, entry->name,
                 (unsigned long long)shared, MOST_SHARED);
}

static pipeline *pipeline_of(const tuff_dispatch *d)
{
    for (size_t i = 0; i < n_pipelines; i++) {
        const tuff_dispatch *known = &pipelines[i].dispatch;
        if (known->shader == d->shader && known->n_spec == d->n_spec &&
            memcmp(known->spec, d->spec, (size_t)d->n_spec * sizeof *d->spec) == 0)
            return &pipelines[i];
    }
    assert_true(tuff_grow((void **)&pipelines, n_pipelines, &pipelines_capacity, sizeof *pipelines));
    check(d);
    pipelines[n_pipelines] = (pipeline){.dispatch = *d};
    pipelines[n_pipelines].dispatch.relocs = NULL; /* the plan's */
    pipelines[n_pipelines].dispatch.args = NULL;
    return &pipelines[n_pipelines++];
}

static void record(const tuff_dispatch *d)
{
    pipeline *p = pipeline_of(d);
    const char *known = p->users.data ? strstr(p->users.data, user) : NULL;
    const size_t size = strlen(user);
    while (known && known[size] != '\0' && known[size] != ',')
        known = strstr(known + 1, user);
    if (!known) tuff_buf_printf(&p->users, "%s%s", p->users.size ? "," : "", user);
}

/* ---- a device that takes plans */

static tuff_status take(tuff_backend_device *device, const tuff_plan *plan,
                        tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                        tuff_backend_program **out)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_launch *launch = plan->steps[s].launch;
        if (!launch) fail_msg("%s: no kernel for %s", user, plan->steps[s].op->name);
        for (size_t i = 0; i < launch->n; i++)
            record(launch->dispatches[i]);
    }
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
static tuff_device device;

static int open_device(void **state)
{
    (void)state;
    const tuff_open_params params = {0};
    taker = tuff_backend_null;
    taker.program_create = take;
    taker.buffer_write = write_nothing;
    taker.buffer_read = read_zeros;
    device = (tuff_device){.backend = &taker};
    if (taker.open(0, &params, &device.handle) != TUFF_OK) return -1;
    device.handle->caps = radv;
    return 0;
}

/* ---- models of the shapes, whose weights are a hole */

typedef struct shape {
    int64_t heads, kv_heads, head_dim, hidden, wide;
} shape;

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

static const char *llama_of(const shape *s)
{
    const char *directory = fresh_directory();
    const int64_t kv = s->kv_heads * s->head_dim, q = s->heads * s->head_dim;
    tensors t = {0};
    tuff_buf config = {0};
    put(&t, "model.embed_tokens.weight", WORDS, s->hidden);
    put(&t, "model.norm.weight", s->hidden, 0);
    for (int i = 0; i < LAYERS; i++) {
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
        WORDS, (long long)s->hidden, LAYERS, (long long)s->heads, (long long)s->kv_heads,
        (long long)s->head_dim, (long long)s->wide, CONTEXT);
    finish(directory, &t, &config, two_letters);
    tuff_buf_free(&config);
    return directory;
}

static const char *gpt2_of(const shape *s)
{
    const char *directory = fresh_directory();
    const int64_t h = s->hidden;
    tensors t = {0};
    tuff_buf config = {0};
    put(&t, "wte.weight", WORDS, h);
    put(&t, "wpe.weight", CONTEXT, h);
    put_both(&t, "ln_f", 0, h, 0, h);
    for (int i = 0; i < LAYERS; i++) {
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
        WORDS, (long long)h, LAYERS, (long long)s->heads, (long long)s->wide, CONTEXT);
    finish(directory, &t, &config, two_letters);
    tuff_buf_free(&config);
    return directory;
}

static const char *bert_of(const shape *s)
{
    const char *directory = fresh_directory();
    const int64_t h = s->hidden;
    tensors t = {0};
    tuff_buf config = {0};
    put(&t, "embeddings.word_embeddings.weight", WORDS, h);
    put(&t, "embeddings.position_embeddings.weight", CONTEXT, h);
    put(&t, "embeddings.token_type_embeddings.weight", 2, h);
    put_both(&t, "embeddings.LayerNorm", 0, h, 0, h);
    for (int i = 0; i < LAYERS; i++) {
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
        WORDS, (long long)h, LAYERS, (long long)s->heads, (long long)s->wide, CONTEXT);
    finish(directory, &t, &config, NULL);
    tuff_buf_free(&config);
    return directory;
}

/* ---- what is done with them */

static const int32_t *some_ids(void)
{
    static int32_t ids[2 * BATCH * LENGTH];
    for (int i = 0; i < 2 * BATCH * LENGTH; i++)
        ids[i] = i * 37 % WORDS;
    return ids;
}

/* Steps of several batches and of one, with the norm clipped. */
static void train(const tuff_model *model, int64_t rank, int64_t accumulate)
{
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    params.max_steps = 1;
    params.per_device_train_batch_size = BATCH;
    params.gradient_accumulation_steps = accumulate;
    params.lora_rank = rank;
    params.lora_target = rank ? "all-linear" : NULL;
    KIT_OK(tuff_dataset_from_ids(some_ids(), 2 * BATCH * LENGTH, LENGTH, &data));
    KIT_OK(tuff_trainer_create(model, &device, data, &params, &trainer));
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

/* A prompt and what follows it, alone and in a batch. */
static void generate(const tuff_model *model)
{
    static const size_t sizes[] = {200, 17, 1, 90, 33, 64, 5, 120};
    enum { MANY = sizeof sizes / sizeof sizes[0] };
    char text[256];
    memset(text, 'a', sizeof text);
    for (size_t n = 1; n <= MANY; n += MANY - 1) {
        tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
        tuff_generate_params how = TUFF_GENERATE_PARAMS_INIT;
        tuff_batcher *batcher = NULL;
        tuff_sequence *sequence;
        how.max_new_tokens = 3;
        how.ignore_eos = true;
        KIT_OK(tuff_batcher_create(model, &device, &params, &batcher));
        for (size_t i = 0; i < n; i++)
            KIT_OK(tuff_batcher_add(batcher, text, sizes[i], &how, &sequence));
        KIT_OK(tuff_batcher_run(batcher, NULL));
        tuff_batcher_destroy(&batcher);
    }
}

static void decoder(const char *name, const char *directory, int64_t head_dim)
{
    static const struct {
        const char *what;
        int64_t rank, accumulate;
    } trainings[] = {{"full", 0, 1}, {"full", 0, 2}, {"lora", 8, 1}, {"lora", 64, 1}};
    tuff_model *model;
    KIT_OK(tuff_model_load(directory, &model));
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        snprintf(user, sizeof user, "%s-%lld-%s", name, (long long)head_dim, trainings[i].what);
        train(model, trainings[i].rank, trainings[i].accumulate);
    }
    snprintf(user, sizeof user, "%s-%lld-generate", name, (long long)head_dim);
    generate(model);
    tuff_model_destroy(&model);
}

static void decoders_run_these(void **state)
{
    (void)state;
    static const shape gpts[] = {{12, 12, 64, 768, 3072},
                                 {10, 10, 80, 800, 3200},
                                 {8, 8, 96, 768, 3072},
                                 {8, 8, 128, 1024, 4096},
                                 {4, 4, 256, 1024, 4096}},
                       llamas[] = {{9, 3, 64, 576, 1536},
                                   {8, 2, 80, 640, 1728},
                                   {8, 2, 96, 768, 2048},
                                   {8, 2, 128, 1024, 2816},
                                   {4, 1, 256, 1152, 3072}};
    for (size_t i = 0; i < sizeof gpts / sizeof *gpts; i++) {
        decoder("gpt2", gpt2_of(&gpts[i]), gpts[i].head_dim);
        decoder("llama", llama_of(&llamas[i]), llamas[i].head_dim);
    }
}

static void encoders_run_these(void **state)
{
    (void)state;
    static const shape shapes[] = {{12, 12, 32, 384, 1536}, {12, 12, 64, 768, 3072}};
    static const size_t counts[] = {12, 200, 33};
    const int32_t *const ids[] = {some_ids(), some_ids(), some_ids()};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tuff_model *model;
        tuff_embedder *embedder = NULL;
        tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
        KIT_OK(tuff_model_load(bert_of(&shapes[i]), &model));
        snprintf(user, sizeof user, "bert-%lld-embed", (long long)shapes[i].head_dim);
        KIT_OK(tuff_embedder_create(model, &device, &params, &embedder));
        static float vectors[3 * 768];
        KIT_OK(tuff_embed_ids(embedder, ids, counts, 3, NULL, vectors));
        tuff_embedder_destroy(&embedder);
        tuff_model_destroy(&model);
    }
}

static void they_are_left_for_a_compiler(void **state)
{
    (void)state;
    const char *directory = tuff_environment("TUFF_TEST_PIPELINES");
    assert_true(n_pipelines > 40);
    if (!directory) return;
    tuff_buf list = {0};
    for (size_t i = 0; i < n_pipelines; i++) {
        const tuff_dispatch *d = &pipelines[i].dispatch;
        const tuff_spirv_entry *entry = &tuff_spirv_pack[d->shader];
        char name[128];
        snprintf(name, sizeof name, "%s.spv", entry->name);
        kit_write_file(kit_join(directory, name), entry->words, entry->n_words * 4);
        tuff_buf_printf(&list, "%s ", entry->name);
        for (int k = 0; k < d->n_spec; k++)
            tuff_buf_printf(&list, "%s%u", k ? "," : "", (unsigned)d->spec[k]);
        tuff_buf_printf(&list, "%s %s\n", d->n_spec ? "" : "-", pipelines[i].users.data);
    }
    kit_write_file(kit_join(directory, "pipelines.txt"), list.data, list.size);
    tuff_buf_free(&list);
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_pipelines; i++)
        tuff_buf_free(&pipelines[i].users);
    tuff_free(pipelines);
    taker.close(&device.handle);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoders_run_these),
        cmocka_unit_test(encoders_run_these),
        cmocka_unit_test(they_are_left_for_a_compiler),
    };
    return cmocka_run_group_tests(tests, open_device, forget);
}

#else

int main(void)
{
    return 77;
}

#endif
