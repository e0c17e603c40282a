#define _POSIX_C_SOURCE 200809L
/* Loading and saving models: what a config may say, the same numbers through every format, failing memory. */
#include <fcntl.h>
#include <unistd.h>

#include <math.h>

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/model.h"
#include "models/vocab.h"

static void refused(const char *path, tuff_status status, const char *part)
{
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(path, &model), status, part);
    assert_null(model);
}

static void configs_that_would_give_other_numbers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *part;
        tuff_status status;
    } edits[] = {
        {"\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"mrope\", \"factor\": 2}", "mrope",
         TUFF_UNSUPPORTED},
        {"\"rope_scaling\": null", "\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8}",
         "low_freq_factor of its rotary embeddings is 0", TUFF_BAD_FORMAT},
        {"\"rope_scaling\": null", "\"rope_parameters\": {\"partial_rotary_factor\": 0.5}",
         "partial_rotary_factor is 0.5", TUFF_UNSUPPORTED},
        {"\"rope_scaling\": null", "\"partial_rotary_factor\": 0.25", "partial_rotary_factor is 0.25",
         TUFF_UNSUPPORTED},
        {"\"rope_scaling\": null", "\"rope_scaling\": [1]", "expected an object", TUFF_BAD_FORMAT},
        {"\"rope_theta\": 500000.0", "\"rope_theta\": 0", "rotary", TUFF_BAD_FORMAT},
        {"\"rope_theta\": 500000.0", "\"rope_theta\": -1e4", "rotary", TUFF_BAD_FORMAT},
        {"\"rope_theta\": 500000.0", "\"rope_theta\": 1e30", "rope_theta is 1e+30", TUFF_BAD_FORMAT},
        {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"mish\"", "hidden_act is \"mish\"", TUFF_UNSUPPORTED},
        {"\"head_dim\": 8", "\"head_dim\": 7", "need an even number", TUFF_BAD_FORMAT},
        {"\"head_dim\": 8", "\"head_dim\": 16", "has shape", TUFF_BAD_FORMAT},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "cannot share", TUFF_BAD_FORMAT},
        {"\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 0", "epsilon is 0", TUFF_BAD_FORMAT},
        {"\"attention_bias\": false", "\"attention_bias\": true", "q_proj.bias", TUFF_BAD_FORMAT},
        {"\"max_position_embeddings\": 128", "\"max_position_embeddings\": 999999999",
         "max_position_embeddings is 999999999", TUFF_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        refused(model_copy("llama", "edited", edits[i].from, edits[i].to), edits[i].status, edits[i].part);
    refused(model_copy("mistral", "edited", "\"sliding_window\": null", "\"sliding_window\": -5"),
            TUFF_BAD_FORMAT, "sliding_window is -5");
    refused(model_copy("gpt2", "edited", "\"n_head\": 4", "\"n_head\": 5"), TUFF_BAD_FORMAT,
            "cannot be shared by 5 heads");
    tuff_model *model =
        model_open(model_copy("llama", "edited", "\"rope_scaling\": null",
                              "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1234.5}"));
    assert_true(model->config.rope.theta == 1234.5);
    tuff_model_destroy(&model);
}

/* What was read of a GGUF file stays there, whatever becomes of the file. */
static void metadata_outlives_its_file(void **state)
{
    (void)state;
    const char *path = kit_path("gone.gguf");
    tuff_model *model = model_open(kit_golden("llama"));
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, path));
    tuff_model_destroy(&model);
    model = model_open(path);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, 0) == 0 && close(fd) == 0);
    const tuff_tokenizer *tokenizer = NULL;
    KIT_OK(tuff_model_get_tokenizer(model, &tokenizer));
    tuff_device *device = kit_cpu();
    tuff_store *store = NULL;
    KIT_OK(tuff_store_create(device, &store));
    KIT_FAILS(tuff_model_upload(model, false, NULL, store), TUFF_IO, "was cut short after it was opened");
    tuff_store_destroy(&store);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

static void weights_that_changed_on_the_disk_are_not_uploaded(void **state)
{
    (void)state;
    const char *path = kit_copy_model(kit_golden("llama"), "shortened");
    tuff_model *model = model_open(path);
    tuff_device *device = kit_cpu();
    tuff_store *store = NULL;
    KIT_OK(tuff_store_create(device, &store));
    kit_cut_file(kit_join(path, "model.safetensors"), 4096);
    KIT_FAILS(tuff_model_upload(model, false, NULL, store), TUFF_IO, "was changed after it was loaded");
    KIT_FAILS(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, kit_path("shortened.gguf")), TUFF_IO,
              "was changed after it was loaded");
    assert_false(tuff_is_file(kit_path("shortened.gguf")));
    tuff_store_destroy(&store);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

static bool shorten(const tuff_progress *progress, void *user)
{
    if (progress->phase == TUFF_PHASE_LOAD && progress->done == 0) kit_cut_file(user, 4096);
    return true;
}

/* Loading reads all of them once. */
static void weights_that_change_while_they_are_loaded_are_noticed(void **state)
{
    (void)state;
    const char *path = kit_copy_model(kit_golden("llama"), "shrinking");
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = shorten;
    watch.user = (void *)(uintptr_t)kit_join(path, "model.safetensors");
    tuff_model *model; /* it is read again, as it is now */
    KIT_FAILS(tuff_model_load_watched(path, &watch, &model), TUFF_BAD_FORMAT, "it is truncated");
    assert_null(model);
}

typedef struct watched {
    tuff_phase phase;
    uint64_t last, total, stop_at; /* bytes */
    int calls;
} watched;

static bool on_progress(const tuff_progress *progress, void *user)
{
    watched *w = user;
    assert_int_equal(progress->phase, w->phase);
    assert_true(progress->done >= w->last && progress->done <= progress->total);
    w->last = progress->done;
    w->total = progress->total;
    w->calls++;
    return progress->done < w->stop_at;
}

/* Each tells how far it is in bytes, ends where it is told to, and leaves nothing. */
static void loading_and_saving_can_be_watched_and_stopped(void **state)
{
    (void)state;
    tuff_model *model = NULL;
    watched w = {.phase = TUFF_PHASE_LOAD, .stop_at = UINT64_MAX};
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = on_progress;
    watch.user = &w;
    KIT_OK(tuff_model_load_watched(kit_golden("llama"), &watch, &model));
    assert_true(w.calls > (int)model->params.count && w.last == w.total && w.total > 0);
    tuff_model *none = model;
    w = (watched){.phase = TUFF_PHASE_LOAD, .stop_at = w.total / 2};
    KIT_FAILS(tuff_model_load_watched(kit_golden("llama"), &watch, &none), TUFF_CANCELLED, "load");
    assert_null(none);

    const char *where[] = {kit_path("watched"), kit_path("watched.gguf")};
    for (int i = 0; i < 2; i++) {
        tuff_file_format format = i ? TUFF_FORMAT_GGUF : TUFF_FORMAT_HF;
        int entries = kit_count_entries(kit_temp_directory());
        w = (watched){.phase = TUFF_PHASE_SAVE, .stop_at = 100};
        KIT_FAILS(tuff_model_save_watched(model, format, TUFF_F32, &watch, where[i]), TUFF_CANCELLED,
                  "saving");
        assert_true(w.last >= 100 && w.last < w.total);
        assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
        w = (watched){.phase = TUFF_PHASE_SAVE, .stop_at = UINT64_MAX};
        KIT_OK(tuff_model_save_watched(model, format, TUFF_BF16, &watch, where[i]));
        assert_true(w.calls > (int)model->params.count && w.last == w.total && w.total > 0);
        assert_int_equal(kit_count_entries(kit_temp_directory()), entries + 1);
    }
    watch.struct_size = 0;
    KIT_FAILS(tuff_model_load_watched(kit_golden("llama"), &watch, &none), TUFF_INVALID_ARGUMENT,
              "TUFF_WATCH_INIT");
    tuff_model_destroy(&model);
}

/* A GGUF file of metadata and no tensors. */
static const char *gguf_of(void (*fill)(tuff_gguf_builder *))
{
    const char *path = kit_temp_path("made.gguf");
    tuff_gguf_builder builder = {0};
    fill(&builder);
    KIT_OK(tuff_gguf_save(path, &builder, NULL, 0, NULL, NULL));
    tuff_gguf_builder_free(&builder);
    return path;
}

static void llama_sizes(tuff_gguf_builder *b)
{
    tuff_gguf_put_text(b, "general.architecture", "llama");
    tuff_gguf_put_u32(b, "llama.context_length", 64);
    tuff_gguf_put_u32(b, "llama.embedding_length", 32);
    tuff_gguf_put_u32(b, "llama.block_count", 1);
    tuff_gguf_put_u32(b, "llama.attention.head_count", 4);
    tuff_gguf_put_u32(b, "llama.feed_forward_length", 64);
}

static void llama_unknown(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_text(b, "llama.rope.scaling.type", "proportional");
    tuff_gguf_put_f32(b, "llama.rope.scaling.factor", 4);
}

/* Nor is a name passed over that has no factor beside it. */
static void llama_named(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_text(b, "llama.rope.scaling.type", "longrope");
}

static void llama_backwards(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_f32(b, "llama.rope.scaling.factor", -4);
}

/* Fast rotations are to be more than slow ones. */
static void llama_yarn(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_text(b, "llama.rope.scaling.type", "yarn");
    tuff_gguf_put_f32(b, "llama.rope.scaling.factor", 4);
    tuff_gguf_put_f32(b, "llama.rope.scaling.yarn_beta_fast", 0.5f);
}

static void llama_unscaled(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_text(b, "llama.rope.scaling.type", "none");
    tuff_gguf_put_f32(b, "llama.rope.scaling.factor", 4);
}

static void llama_without_base(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_f32(b, "llama.rope.freq_base", 0);
}

static void llama_partial(tuff_gguf_builder *b)
{
    llama_sizes(b);
    tuff_gguf_put_u32(b, "llama.rope.dimension_count", 4);
}

static void gpt2_heads(tuff_gguf_builder *b)
{
    tuff_gguf_put_text(b, "general.architecture", "gpt2");
    tuff_gguf_put_u32(b, "gpt2.context_length", 64);
    tuff_gguf_put_u32(b, "gpt2.embedding_length", 32);
    tuff_gguf_put_u32(b, "gpt2.block_count", 1);
    tuff_gguf_put_u32(b, "gpt2.attention.head_count", 5);
}

static void gpt2_huge(tuff_gguf_builder *b)
{
    const uint64_t huge = INT64_MAX;
    const tuff_gguf_value value = {.key = "gpt2.embedding_length",
                                   .type = TUFF_GGUF_U64,
                                   .count = 1,
                                   .data = (const uint8_t *)&huge,
                                   .bytes = sizeof huge};
    tuff_gguf_put_text(b, "general.architecture", "gpt2");
    tuff_gguf_put_u32(b, "gpt2.context_length", 64);
    tuff_gguf_put_u32(b, "gpt2.block_count", 1);
    tuff_gguf_put_value(b, &value);
    tuff_gguf_put_u32(b, "gpt2.attention.head_count", 1);
}

static void gguf_metadata_that_would_give_other_numbers_is_refused(void **state)
{
    (void)state;
    refused(gguf_of(llama_unknown), TUFF_UNSUPPORTED, "scales its rotary embeddings by \"proportional\"");
    refused(gguf_of(llama_named), TUFF_UNSUPPORTED, "scales its rotary embeddings by \"longrope\"");
    refused(gguf_of(llama_backwards), TUFF_BAD_FORMAT, "rope.scaling.factor is -4");
    refused(gguf_of(llama_yarn), TUFF_BAD_FORMAT, "does not fit together");
    refused(gguf_of(llama_partial), TUFF_UNSUPPORTED, "rope.dimension_count is 4 of a head of 8");
    refused(gguf_of(llama_without_base), TUFF_BAD_FORMAT, "the base of its rotary embeddings is 0");
    refused(gguf_of(llama_unscaled), TUFF_BAD_FORMAT, "token_embd.weight");
    refused(gguf_of(gpt2_heads), TUFF_BAD_FORMAT, "cannot be shared by 5 heads");
    refused(gguf_of(gpt2_huge), TUFF_BAD_FORMAT, "token_embd.weight");
}

/* A size that is not there is named as it should have stood in the file. */
static void missing_sizes_are_named(void **state)
{
    (void)state;
    static const char *const gguf_keys[] = {"context_length", "embedding_length", "block_count",
                                            "attention.head_count", "feed_forward_length"};
    static const char *const hf_keys[] = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                          "intermediate_size"};
    static const char *const archs[] = {"llama", "qwen2", "gpt2"};
    for (int a = 0; a < 3; a++)
        for (int missing = 0; missing < 5 - (a == 2); missing++) { /* GPT-2's inner size has a default */
            const char *path = kit_temp_path("sizes.gguf");
            char key[64], part[160];
            tuff_gguf_builder b = {0};
            tuff_gguf_put_text(&b, "general.architecture", archs[a]);
            for (int k = 0; k < 5; k++) {
                snprintf(key, sizeof key, "%s.%s", archs[a], gguf_keys[k]);
                if (k == missing)
                    snprintf(part, sizeof part, "sizes.gguf: the metadata key '%s' is missing", key);
                else
                    tuff_gguf_put_u32(&b, key, 8);
            }
            KIT_OK(tuff_gguf_save(path, &b, NULL, 0, NULL, NULL));
            tuff_gguf_builder_free(&b);
            refused(path, TUFF_NOT_FOUND, part);
        }
    for (size_t i = 0; i < sizeof hf_keys / sizeof *hf_keys; i++) {
        char from[64], to[64], part[96];
        snprintf(from, sizeof from, "\"%s\":", hf_keys[i]);
        snprintf(to, sizeof to, "\"no_%s\":", hf_keys[i]);
        snprintf(part, sizeof part, "config.json: %s is missing", hf_keys[i]);
        refused(model_copy("llama", "edited", from, to), TUFF_BAD_FORMAT, part);
    }
}

/* Every parameter of the two models holds the same numbers. */
static void same_parameters(const tuff_model *a, const tuff_model *b)
{
    assert_int_equal(a->params.count, b->params.count);
    for (size_t i = 0; i < a->params.count; i++) {
        const tuff_param *p = &a->params.items[i], *q = &b->params.items[i];
        assert_string_equal(p->name, q->name);
        size_t n = (size_t)(p->shape[0] * tuff_param_columns(p));
        float *x = tuff_alloc_array(n, sizeof *x), *y = tuff_alloc_array(n, sizeof *y);
        KIT_OK(tuff_model_read(a, p, NULL, 0, p->shape[0], x));
        KIT_OK(tuff_model_read(b, q, NULL, 0, q->shape[0], y));
        for (size_t e = 0; e < n && p->gguf.added != 0; e++) { /* the file has one more: that rounds */
            assert_true(fabsf(x[e] - y[e]) <= 0x1p-24f);
            x[e] = y[e];
        }
        if (memcmp(x, y, n * sizeof *x) != 0) fail_msg("%s differs", p->name);
        /* pieces that begin and end inside a head and inside a tile */
        if (p->shape[0] > 5) {
            KIT_OK(tuff_model_read(b, q, NULL, 3, p->shape[0] - 2, y));
            assert_memory_equal(x + 3 * tuff_param_columns(p), y,
                                (n - 5 * (size_t)tuff_param_columns(p)) * 4);
        }
        tuff_free(x);
        tuff_free(y);
    }
}

static void formats_keep_every_number(void **state)
{
    (void)state;
    const char *const names[] = {
        "gpt2", "llama", "llama-tied", "llama-llama3", "llama-yarn", "qwen2", "qwen3", "gemma", "gemma2",
        "gemma3_text", "olmo2", "granite", "smollm3", "phi3", "phi3-long", "starcoder2", "stablelm",
        "stablelm-parallel", "cohere2", "glm", "glm4", "gpt_neox", "gpt_neox-serial", "phi", "phi-tied",
        "bloom", "bloom-untied", "mpt", "mpt-clip", "falcon", "falcon-groups", "falcon-norms", "falcon-rw",
        /* a window makes mistral of what GGUF calls llama; without one the two are the same network */
        model_copy("mistral", "windowed", "\"sliding_window\": null", "\"sliding_window\": 16")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tuff_model *model = model_open(names[i]);
        const char *gguf = kit_temp_path("same.gguf"), *directory = kit_temp_path("same");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
        tuff_model *through = model_open(gguf);
        same_parameters(model, through);
        assert_int_equal(through->config.layer.window, model->config.layer.window);
        assert_int_equal(through->config.tied, model->config.tied);
        KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_model *back = model_open(directory);
        same_parameters(model, back);
        assert_string_equal(back->config.arch->name, model->config.arch->name);
        assert_int_equal(back->config.layer.window, model->config.layer.window);
        tuff_model_destroy(&back);
        tuff_model_destroy(&through);
        tuff_model_destroy(&model);
    }
}

/* A window that no layer has is none in a GGUF. */
static void windows_of_no_layer_are_left_out(void **state)
{
    (void)state;
    const char *gguf = kit_temp_path("none.gguf");
    const char *directory = model_copy("qwen3", "no_windows", "\"sliding_attention\"", "\"full_attention\"");
    kit_edit_file(kit_join(directory, "config.json"), "\"sliding_attention\"", "\"full_attention\"");
    tuff_model *model = model_open(directory);
    assert_int_equal(model->config.layer.window, 5);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    tuff_model *through = model_open(gguf);
    same_parameters(model, through);
    assert_int_equal(through->config.layer.window, 0);
    tuff_model_destroy(&through);
    tuff_model_destroy(&model);
}

/* What is a real number to transformers stays one: its classes take no 4 for 4.0. */
static void saved_configs_keep_real_numbers(void **state)
{
    (void)state;
    const char *directory = kit_temp_path("reals");
    tuff_model *model = model_open("gemma2");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, directory));
    tuff_model_destroy(&model);
    tuff_buf config = {0};
    kit_read_file(kit_join(directory, "config.json"), &config);
    static const char *const parts[] = {"\"final_logit_softcapping\":\t4.0", "\"attention_dropout\":\t0.0",
                                        "\"rms_norm_eps\":\t1e-05", "\"head_dim\":\t8,"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(config.data, parts[i])) fail_msg("no %s in %s", parts[i], config.data);
    tuff_buf_free(&config);
}

/* transformers' classes check types, and have ids of their own for tokens that are not said. */
static void made_configs_are_what_transformers_takes(void **state)
{
    (void)state;
    const char *gguf = kit_temp_path("made.gguf"), *directory = kit_temp_path("made");
    tuff_model *model = model_open("gemma2");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    tuff_model *through = model_open(gguf);
    KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
    tuff_buf config = {0};
    kit_read_file(kit_join(directory, "config.json"), &config);
    static const char *const parts[] = {"\"pad_token_id\": null", "\"query_pre_attn_scalar\": 3,",
                                        "\"final_logit_softcapping\": 4.0", "\"sliding_window\": 5,"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(config.data, parts[i])) fail_msg("no %s in %s", parts[i], config.data);
    tuff_buf_free(&config);
    tuff_model_destroy(&through);
    tuff_model_destroy(&model);
}

/* Of a golden Gemma's metadata what llama.cpp's converter writes, which says nothing of attention's
 * scale, nor of which layers have the window; with so many layers, and two heads of 8 for a width of 32. */
static double scale_of_gemma(const char *golden, const char *architecture, uint32_t layers)
{
    const char *whole = kit_temp_path("whole.gguf"), *made = kit_temp_path("converted.gguf");
    char blocks[64], heads[64], scale[64];
    snprintf(blocks, sizeof blocks, "%s.block_count", architecture);
    snprintf(heads, sizeof heads, "%s.attention.head_count", architecture);
    snprintf(scale, sizeof scale, "%s.attention.scale", architecture);
    tuff_model *model = model_open(golden);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, whole));
    assert_true(model->config.hidden_size == 32 && model->config.head_dim == 8);
    tuff_model_destroy(&model);
    tuff_gguf *from = NULL, *gguf = NULL;
    tuff_gguf_builder builder = {0};
    KIT_OK(tuff_gguf_open(whole, &from));
    assert_true(tuff_gguf_find(from, blocks) && tuff_gguf_find(from, heads) && tuff_gguf_find(from, scale));
    for (size_t i = 0; i < from->count; i++) {
        const char *key = from->values[i].key;
        if (strcmp(key, blocks) == 0 || strcmp(key, heads) == 0)
            tuff_gguf_put_u32(&builder, key, strcmp(key, heads) == 0 ? 2 : layers);
        else if (strcmp(key, scale) != 0 && !tuff_ends_with(key, "sliding_window_pattern"))
            tuff_gguf_put_value(&builder, &from->values[i]);
    }
    KIT_OK(tuff_gguf_save(made, &builder, NULL, 0, NULL, NULL));
    KIT_OK(tuff_gguf_open(made, &gguf));
    tuff_config c = {.arch = tuff_arch_by_gguf(architecture)};
    KIT_OK(c.arch->read_gguf(gguf, &c));
    const double found = c.attn_scale != 0 ? c.attn_scale : 1 / sqrt((double)c.head_dim);
    tuff_config_free(&c);
    tuff_gguf_builder_free(&builder);
    tuff_gguf_destroy(&from);
    tuff_gguf_destroy(&gguf);
    return found;
}

/* Of the largest, which llama.cpp knows by their layers, it follows from the width that each head has a part
 * of, of others from the heads' own. */
static void gemmas_of_llama_cpp_have_their_scale(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *architecture;
        uint32_t usual, largest;
    } cases[] = {{"gemma2", "gemma2", 42, 46}, {"gemma3_text", "gemma3", 48, 62}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double usual = scale_of_gemma(cases[i].golden, cases[i].architecture, cases[i].usual),
                     largest = scale_of_gemma(cases[i].golden, cases[i].architecture, cases[i].largest);
        assert_true(fabs(usual - 1 / sqrt(8)) < 1e-6);
        assert_true(fabs(largest - 1 / sqrt(16)) < 1e-6);
    }
}

static tuff_activation activation_of(const char *path)
{
    tuff_model *model = model_open(path);
    const tuff_activation activation = model->config.layer.activation;
    tuff_model_destroy(&model);
    return activation;
}

/* Google's files of the first Gemma say "gelu" where they mean the tanh form, and transformers knows. */
static void gelu_of_the_first_gemma_is_by_tanh(void **state)
{
    (void)state;
    static const char from[] = "\"gelu_pytorch_tanh\"";
    const char *saved = kit_temp_path("saved-gemma");
    assert_int_equal(activation_of(model_copy("gemma", "edited", from, "\"gelu\"")), TUFF_ACT_GELU_TANH);
    assert_int_equal(activation_of(model_copy("gemma2", "edited", from, "\"gelu\"")), TUFF_ACT_GELU);
    tuff_model *model = model_open(model_copy("gemma", "edited", from, "\"gelu_python\""));
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, saved));
    tuff_model_destroy(&model);
    assert_int_equal(activation_of(saved), TUFF_ACT_GELU);
}

/* A golden Qwen2 as a GGUF that says "llama", as files of llamafied models do: the same tensors, the rows of
 * q and k in another order. */
static void save_as_llama(const char *path)
{
    tuff_model *model = model_open("qwen2");
    tuff_arch llama = *model->config.arch;
    llama.gguf = "llama";
    llama.gguf_interleaves = true;
    model->config.arch = &llama;
    tuff_params_free(&model->params);
    KIT_OK(tuff_params_list(&model->config, &model->params));
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, path));
    tuff_model_destroy(&model);
}

/* Llama's attention_bias is of all four projections; biases on q, k and v alone are Qwen2's. */
static void biases_choose_the_architecture(void **state)
{
    (void)state;
    const char *gguf = kit_temp_path("llamafied.gguf"), *directory = kit_temp_path("llamafied");
    const char *again = kit_temp_path("llamafied-again.gguf");
    save_as_llama(gguf);
    tuff_model *truth = model_open("qwen2"), *model = model_open(gguf);
    same_parameters(truth, model);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, directory));
    tuff_model *saved = model_open(directory);
    assert_ptr_equal(saved->config.arch, truth->config.arch);
    same_parameters(truth, saved);
    tuff_buf config = {0};
    kit_read_file(kit_join(directory, "config.json"), &config);
    assert_non_null(strstr(config.data, "\"Qwen2ForCausalLM\""));
    assert_null(strstr(config.data, "attention_bias"));
    tuff_buf_free(&config);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, again));
    tuff_model *back = model_open(again);
    same_parameters(truth, back);
    tuff_view name = {0};
    KIT_OK(tuff_gguf_text(back->gguf, "general.architecture", &name));
    assert_true(tuff_view_is(name, "llama"));
    tuff_model_destroy(&back);
    tuff_model_destroy(&saved);
    tuff_model_destroy(&model);
    tuff_model_destroy(&truth);
}

static tuff_status write_zeros(void *user, size_t index, tuff_sink *sink)
{
    static const float zeros[32];
    (void)user, (void)index;
    return tuff_sink_write(sink, zeros, sizeof zeros);
}

static void biases_of_no_architecture_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *biases[4];
        uint32_t window;
    } cases[] = {{"llama", {"attn_output"}, 0},
                 {"llama", {"attn_q", "attn_k", "attn_v", "ffn_up"}, 0},
                 {"llama", {"attn_q", "attn_k", "attn_v", "attn_output"}, 16},
                 {"qwen2", {"attn_q", "attn_k", "attn_v", "attn_output"}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char *const keys[] = {"context_length", "embedding_length", "block_count",
                                           "attention.head_count", "feed_forward_length"};
        const char *path = kit_temp_path("biased.gguf");
        tuff_gguf_builder b = {0};
        tuff_save_item items[4] = {{0}};
        char key[64], names[4][32];
        size_t n = 0;
        tuff_gguf_put_text(&b, "general.architecture", cases[i].arch);
        for (int k = 0; k < 5; k++) {
            snprintf(key, sizeof key, "%s.%s", cases[i].arch, keys[k]);
            tuff_gguf_put_u32(&b, key, 8);
        }
        snprintf(key, sizeof key, "%s.attention.sliding_window", cases[i].arch);
        if (cases[i].window) tuff_gguf_put_u32(&b, key, cases[i].window);
        for (; n < 4 && cases[i].biases[n]; n++) {
            snprintf(names[n], sizeof names[n], "blk.0.%s.bias", cases[i].biases[n]);
            items[n] = (tuff_save_item){names[n], TUFF_STORE_F32, 1, {32, 1, 1, 1}};
        }
        KIT_OK(tuff_gguf_save(path, &b, items, n, write_zeros, NULL));
        tuff_gguf_builder_free(&b);
        refused(path, TUFF_UNSUPPORTED, "no architecture of Hugging Face has these together");
    }
}

static void halves_are_stored_and_read(void **state)
{
    (void)state;
    static const tuff_dtype dtypes[] = {TUFF_F16, TUFF_BF16};
    tuff_model *model = model_open("llama-tied");
    for (int i = 0; i < 4; i++) {
        tuff_file_format format = i % 2 ? TUFF_FORMAT_GGUF : TUFF_FORMAT_HF;
        const char *path = kit_temp_path(i % 2 ? "half.gguf" : "half");
        KIT_OK(tuff_model_save(model, format, dtypes[i / 2], path));
        tuff_model *half = model_open(path);
        tuff_model_info info = TUFF_MODEL_INFO_INIT;
        KIT_OK(tuff_model_get_info(half, &info));
        assert_int_equal(info.dtype, dtypes[i / 2]);
        assert_true(info.tied);
        assert_int_equal(info.parameters, tuff_model_parameters(model));
        const tuff_param *table = &half->params.items[0];
        float row[256], truth[256];
        assert_true(table->shape[1] <= 256);
        KIT_OK(tuff_model_read(half, table, NULL, 7, 8, row));
        KIT_OK(tuff_model_read(model, table, NULL, 7, 8, truth));
        for (int k = 0; k < table->shape[1]; k++)
            assert_true(row[k] - truth[k] < 0.01f && truth[k] - row[k] < 0.01f);
        tuff_model_destroy(&half);
    }
    KIT_FAILS(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_I32, kit_temp_path("never")), TUFF_INVALID_ARGUMENT,
              "cannot be stored as i32");
    tuff_model_destroy(&model);
}

/* A model whose table has more rows than the tokenizer has tokens, as many have. */
static tuff_status write_padded(void *user, size_t index, tuff_sink *sink)
{
    const tuff_weights *from = user;
    const tuff_weight *w = &from->items[index];
    TUFF_TRY(tuff_sink_write(sink, kit_stored(w), w->bytes));
    static const float zeros[8 * 256];
    size_t bytes = 8 * sizeof(float) * (size_t)w->shape[1];
    return strstr(w->name, "embed_tokens") ? tuff_sink_write(sink, zeros, bytes) : TUFF_OK;
}

static void a_padded_vocabulary_is_whole_in_gguf(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama-tied");
    char to[64];
    snprintf(to, sizeof to, "\"vocab_size\": %lld", (long long)model->config.vocab_size + 8);
    char from[64];
    snprintf(from, sizeof from, "\"vocab_size\": %lld", (long long)model->config.vocab_size);
    const char *directory = model_copy("llama-tied", "padded", from, to);
    tuff_save_item items[64] = {{0}};
    assert_true(model->weights->count <= 64);
    for (size_t i = 0; i < model->weights->count; i++) {
        const tuff_weight *w = &model->weights->items[i];
        items[i] = (tuff_save_item){.name = w->name, .storage = TUFF_STORE_F32, .rank = w->rank};
        memcpy(items[i].shape, w->shape, sizeof w->shape);
        if (strstr(w->name, "embed_tokens")) items[i].shape[0] += 8;
    }
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    KIT_OK(tuff_safetensors_save(path, items, model->weights->count, write_padded, model->weights));
    tuff_model *padded = model_open(directory);
    int64_t rows = padded->config.vocab_size;
    assert_int_equal(rows, model->config.vocab_size + 8);
    assert_true(tuff_tokenizer_vocab_size(padded->tokenizer) < rows);
    const char *gguf = kit_temp_path("padded.gguf");
    KIT_OK(tuff_model_save(padded, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    tuff_model *back = model_open(gguf);
    assert_int_equal(back->config.vocab_size, rows);
    assert_int_equal(tuff_tokenizer_vocab_size(back->tokenizer), rows);
    assert_int_equal(tuff_tokenizer_token_type(back->tokenizer, (int32_t)rows - 1), TUFF_TOKEN_UNUSED);
    const tuff_gguf_value *tokens;
    KIT_OK(tuff_gguf_strings(back->gguf, "tokenizer.ggml.tokens", &tokens));
    assert_int_equal(tokens->count, rows);
    /* it gives as much text as the one that it stands for: none */
    const int32_t last[] = {5, (int32_t)rows - 1, 6};
    char *before = NULL, *after = NULL;
    size_t size_before, size_after;
    KIT_OK(tuff_tokenizer_decode(padded->tokenizer, last, 3, false, &before, &size_before));
    KIT_OK(tuff_tokenizer_decode(back->tokenizer, last, 3, false, &after, &size_after));
    assert_int_equal(size_before, 2);
    assert_string_equal(before, after);
    tuff_free(before);
    tuff_free(after);
    /* texts are cut as before, also one that spells an unused token */
    static const char text[] = "The river [PAD287] ran";
    int32_t *a = NULL, *b = NULL;
    size_t n_a = 0, n_b = 0;
    KIT_OK(tuff_tokenizer_encode(padded->tokenizer, text, sizeof text - 1, 0, &a, &n_a));
    KIT_OK(tuff_tokenizer_encode(back->tokenizer, text, sizeof text - 1, 0, &b, &n_b));
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a * sizeof *a);
    tuff_free(a);
    tuff_free(b);
    tuff_model_destroy(&back);
    tuff_model_destroy(&padded);
    tuff_model_destroy(&model);
}

static void generation_settings_travel_along(void **state)
{
    (void)state;
    static const char json[] = "{\"eos_token_id\": [0, 5], \"temperature\": 0.6}";
    const char *directory = model_copy("llama", "chatty", "{", "{");
    kit_write_file(kit_join(directory, "generation_config.json"), json, sizeof json - 1);
    tuff_model *model = model_open(directory);
    assert_int_equal(model->config.tokens.eos_count, 2);
    const char *saved = kit_temp_path("chatty-saved");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, saved));
    tuff_model *back = model_open(saved);
    assert_int_equal(back->config.tokens.eos_count, 2);
    tuff_buf text = {0};
    kit_read_file(kit_join(saved, "generation_config.json"), &text);
    assert_non_null(strstr(text.data, "0.6"));
    tuff_buf_free(&text);
    tuff_model_destroy(&back);
    tuff_model_destroy(&model);
    kit_write_file(kit_join(directory, "generation_config.json"), "[]", 2);
    refused(directory, TUFF_BAD_FORMAT, "generation_config.json");
}

/* Saved over another model, nothing of that is left that a loader would take for this one's. */
static void what_was_there_is_replaced(void **state)
{
    (void)state;
    static const char *const old[] = {"generation_config.json", "vocab.json", "merges.txt",
                                      "model.safetensors.index.json", "chat_template.jinja"};
    const char *directory = model_copy("gpt2", "replaced", "{", "{"),
               *notes = kit_join(directory, "notes.txt");
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        kit_write_file(kit_join(directory, old[i]), "{\"eos_token_id\": 3}", 19);
    kit_write_file(notes, "mine", 4);
    tuff_model *model = model_open("llama");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, directory));
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        assert_false(tuff_is_file(kit_join(directory, old[i])));
    assert_true(tuff_is_file(notes));
    tuff_model *back = model_open(directory);
    same_parameters(model, back);
    assert_int_equal(back->config.tokens.eos_count, model->config.tokens.eos_count);
    assert_int_equal(back->config.tokens.eos[0], model->config.tokens.eos[0]);
    tuff_model_destroy(&back);
    tuff_model_destroy(&model);
}

static tuff_status load(void *user)
{
    tuff_model *model = NULL;
    tuff_status status = tuff_model_load(user, &model);
    tuff_model_destroy(&model);
    return status;
}

static tuff_status save(void *user)
{
    const tuff_model *model = user;
    TUFF_TRY(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_BF16, kit_temp_path("saved-once")));
    return tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F16, kit_temp_path("saved-once.gguf"));
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const char *directory = model_copy("llama", "failing", "{", "{"), *gguf = kit_temp_path("failing.gguf");
    kit_write_file(kit_join(directory, "generation_config.json"), "{}", 2);
    assert_true(kit_for_each_allocation_failure(load, (void *)directory) > 20);
    tuff_model *model = model_open(directory);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
    assert_true(kit_for_each_allocation_failure(load, (void *)gguf) > 20);
    model_fail_some_allocations(save, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_and_saving_can_be_watched_and_stopped),
        cmocka_unit_test(metadata_outlives_its_file),
        cmocka_unit_test(weights_that_changed_on_the_disk_are_not_uploaded),
        cmocka_unit_test(weights_that_change_while_they_are_loaded_are_noticed),
        cmocka_unit_test(configs_that_would_give_other_numbers_are_refused),
        cmocka_unit_test(gguf_metadata_that_would_give_other_numbers_is_refused),
        cmocka_unit_test(missing_sizes_are_named),
        cmocka_unit_test(formats_keep_every_number),
        cmocka_unit_test(made_configs_are_what_transformers_takes),
        cmocka_unit_test(gemmas_of_llama_cpp_have_their_scale),
        cmocka_unit_test(gelu_of_the_first_gemma_is_by_tanh),
        cmocka_unit_test(windows_of_no_layer_are_left_out),
        cmocka_unit_test(saved_configs_keep_real_numbers),
        cmocka_unit_test(biases_choose_the_architecture),
        cmocka_unit_test(biases_of_no_architecture_are_refused),
        cmocka_unit_test(halves_are_stored_and_read),
        cmocka_unit_test(a_padded_vocabulary_is_whole_in_gguf),
        cmocka_unit_test(generation_settings_travel_along),
        cmocka_unit_test(what_was_there_is_replaced),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
