/* Models as files: a Hugging Face directory or one GGUF. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stage.h"
#include "formats/safetensors.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "models/vocab.h"

typedef struct source {
    const tuff_model *model;
    const tuff_store *store;
    tuff_save_item *items;
    const tuff_param **params; /* the items' */
    size_t count;
    float *factors[2]; /* of rotary positions: tensors of a GGUF that come after the parameters */
    bool gguf;
    tuff_watched work;
} source;

enum { PIECE_BYTES = 16 << 20 };

static tuff_status write_f32(source *from, tuff_sink *sink, const float *values, size_t n, tuff_dtype dtype,
                             void *converted)
{
    enum { STEP = 1 << 20 }; /* bytes between two looks at the watch */
    const char *bytes = dtype == TUFF_F32 ? (const void *)values : converted;
    size_t size = n * tuff_dtype_size(dtype);
    if (dtype != TUFF_F32) tuff_dtype_from_f32(dtype, values, converted, n);
    for (size_t at = 0; at < size; at += STEP) {
        size_t now = size - at < STEP ? size - at : STEP;
        TUFF_TRY(tuff_sink_write(sink, bytes + at, now));
        TUFF_TRY(tuff_watched_add(&from->work, now));
    }
    return TUFF_OK;
}

static bool is_transposed(const source *from, const tuff_param *p)
{
    return !from->gguf && p->hf.layout == TUFF_LAYOUT_TRANSPOSED;
}

/* GGUF interleaves the rows of this parameter's heads. */
static bool is_turned(const source *from, const tuff_param *p)
{
    return from->gguf && p->gguf.layout == TUFF_LAYOUT_INTERLEAVED;
}

/* GGUF has queries, keys and values one after the other. */
static bool is_by_head(const source *from, const tuff_param *p)
{
    return from->gguf && p->gguf.layout == TUFF_LAYOUT_QKV;
}

/* Rows of the parameter that are read together: a device answers few large questions faster than many. */
static int64_t rows_at_once(const source *from, const tuff_param *p)
{
    if (is_transposed(from, p)) return p->shape[0];
    if (is_turned(from, p)) return p->shape[0] / p->gguf.heads;
    if (is_by_head(from, p)) return p->shape[0] / p->gguf.heads / 3;
    int64_t rows = PIECE_BYTES / (tuff_param_columns(p) * (int64_t)sizeof(float)) + 1;
    return rows < p->shape[0] ? rows : p->shape[0];
}

static tuff_status write_rows(source *from, const tuff_param *p, tuff_dtype dtype, float *values,
                              void *converted, tuff_sink *sink)
{
    int64_t columns = tuff_param_columns(p), step = rows_at_once(from, p);
    for (int64_t r = from->gguf ? p->gguf.skip : 0; r < p->shape[0]; r += step) {
        int64_t n = r + step < p->shape[0] ? step : p->shape[0] - r;
        int64_t at = r;
        if (is_by_head(from,
                       p)) /* a head's queries, keys or values: (which, head) is (head, which) in memory */
            at = (r / step % p->gguf.heads * 3 + r / step / p->gguf.heads) * step;
        TUFF_TRY(tuff_model_read(from->model, p, from->store, at, at + n, values));
        for (int64_t i = 0; i < n * columns && from->gguf && p->gguf.more != 0; i++)
            values[i] = (float)(values[i] + p->gguf.more);
        if (!is_turned(from, p)) {
            TUFF_TRY(write_f32(from, sink, values, (size_t)(n * columns), dtype, converted));
            continue;
        }
        for (int64_t i = 0; i < n; i++) { /* (pair, half) of the file is (half, pair) in memory */
            int64_t of = i % 2 * (n / 2) + i / 2;
            TUFF_TRY(write_f32(from, sink, values + of * columns, (size_t)columns, dtype, converted));
        }
    }
    return TUFF_OK;
}

static tuff_status write_transposed(source *from, const tuff_param *p, tuff_dtype dtype, float *values,
                                    void *converted, tuff_sink *sink)
{
    enum { ROWS = 16 }; /* of the file, gathered together: what is read fills cache lines */
    int64_t out = p->shape[0], in = p->shape[1];
    float *rows = tuff_alloc_array((size_t)(ROWS * out), sizeof *rows);
    if (!rows) return tuff_fail_memory("rows of a weight");
    tuff_status status = tuff_model_read(from->model, p, from->store, 0, out, values);
    for (int64_t k = 0; k < in && status == TUFF_OK; k += ROWS) {
        int64_t n = in - k < ROWS ? in - k : ROWS;
        for (int64_t r = 0; r < out; r++)
            for (int64_t i = 0; i < n; i++)
                rows[i * out + r] = values[r * in + k + i];
        status = write_f32(from, sink, rows, (size_t)(n * out), dtype, converted);
    }
    tuff_free(rows);
    return status;
}

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    source *from = user;
    const tuff_param *p = from->params[index];
    tuff_dtype dtype = from->items[index].dtype;
    if (!p)
        return write_f32(from, sink, from->factors[index && !from->params[index - 1]],
                         (size_t)from->items[index].shape[0], TUFF_F32, NULL);
    size_t n = (size_t)(rows_at_once(from, p) * tuff_param_columns(p));
    float *values = tuff_alloc_array(n, sizeof *values);
    void *converted = dtype == TUFF_F32 ? NULL : tuff_alloc_array(n, tuff_dtype_size(dtype));
    tuff_status status =
        values && (converted || dtype == TUFF_F32) ? TUFF_OK : tuff_fail_memory("rows of a weight");
    if (status == TUFF_OK)
        status = is_transposed(from, p) ? write_transposed(from, p, dtype, values, converted, sink)
                                        : write_rows(from, p, dtype, values, converted, sink);
    tuff_free(values);
    tuff_free(converted);
    return status;
}

static tuff_status list_factors(source *from)
{
    const char *names[2];
    const int n = tuff_rope_tensors(&from->model->config, names, from->factors);
    if (n < 0) return tuff_fail_memory("the factors of rotary positions");
    for (int i = 0; i < n; i++)
        from->items[from->count++] =
            (tuff_save_item){.name = names[i],
                             .dtype = TUFF_F32,
                             .rank = 1,
                             .shape = {tuff_rope_dims(&from->model->config) / 2, 1, 1, 1}};
    return TUFF_OK;
}

static void free_source(source *from)
{
    tuff_free(from->items);
    tuff_free(from->params);
    for (int i = 0; i < 2; i++)
        tuff_free(from->factors[i]);
}

/* The tensors to write: those that the format has names for. Vectors of a GGUF stay f32, as llama.cpp wants
 * them. */
static tuff_status list_items(source *from, tuff_dtype dtype)
{
    const tuff_params *params = &from->model->params;
    from->items = tuff_alloc_array(params->count + 2, sizeof *from->items);
    from->params = tuff_alloc_array(params->count + 2, sizeof *from->params);
    if (!from->items || !from->params) return tuff_fail_memory("the list of a model's tensors");
    for (size_t i = 0; i < params->count; i++) {
        const tuff_param *p = &params->items[i];
        const char *name = from->gguf ? p->gguf.name : p->hf.name;
        if (!name) continue;
        tuff_save_item *item = &from->items[from->count];
        *item = (tuff_save_item){.name = name,
                                 .dtype = from->gguf && p->rank == 1 ? TUFF_F32 : dtype,
                                 .rank = (unsigned)p->rank,
                                 .shape = {1, 1, 1, 1}};
        tuff_param_file_shape(p, from->gguf, item->shape);
        from->params[from->count++] = p;
    }
    return from->gguf ? list_factors(from) : TUFF_OK;
}

static const char *torch_dtype(tuff_dtype dtype)
{
    return dtype == TUFF_F16 ? "float16" : dtype == TUFF_BF16 ? "bfloat16" : "float32";
}

/* null where there is none: transformers' classes have ids of their own for what is not said. */
static void put_token(const char *key, int32_t id, tuff_buf *json)
{
    tuff_buf_printf(json, "  \"%s\": ", key);
    if (id >= 0)
        tuff_buf_printf(json, "%d,\n", id);
    else
        tuff_buf_text(json, "null,\n");
}

static void put_tokens(const tuff_hf_tokens *tokens, tuff_buf *json)
{
    put_token("bos_token_id", tokens->bos, json);
    put_token("pad_token_id", tokens->pad, json);
    if (tokens->eos_count < 2) {
        put_token("eos_token_id", tokens->eos_count ? tokens->eos[0] : -1, json);
        return;
    }
    tuff_buf_text(json, "  \"eos_token_id\": [");
    for (size_t i = 0; i < tokens->eos_count; i++)
        tuff_buf_printf(json, "%s%d", i ? ", " : "", tokens->eos[i]);
    tuff_buf_text(json, "],\n");
}

/* Sets a text (or, where `text` is NULL, true or false) of an object, in place of the one that is there. */
static bool set_member(cJSON *object, const char *key, const char *text, bool flag)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return text ? cJSON_AddStringToObject(object, key, text) != NULL
                : cJSON_AddBoolToObject(object, key, flag) != NULL;
}

/* Of the class that transformers is to load it with; the first of those that have the head. */
static void put_class_ending(const tuff_config *c, tuff_buf *out)
{
    const char *ending = c->head ? c->head->head->hf_classes : "Model";
    if (tuff_config_has_head(c, &tuff_head_lm) && c->arch->hf_lm_class) ending = c->arch->hf_lm_class;
    tuff_buf_printf(out, "%.*s", (int)strcspn(ending, " "), ending);
}

/* config.json: the one that was read, with its dtype changed, or one made from the config. */
static tuff_status print_config(const tuff_model *model, tuff_dtype dtype, tuff_buf *out)
{
    const tuff_config *c = &model->config;
    if (model->hf_config) {
        cJSON *copy = cJSON_Duplicate(model->hf_config, true);
        const char *key = cJSON_HasObjectItem(model->hf_config, "dtype") ? "dtype" : "torch_dtype";
        bool ok = copy && set_member(copy, key, torch_dtype(dtype), false);
        /* a head beside a config that ties it: readers that trust the config would drop it */
        if (tuff_config_has_output(c) && !c->tied)
            ok = ok && set_member(copy, "tie_word_embeddings", NULL, false);
        char *text = ok ? cJSON_Print(copy) : NULL;
        if (text) tuff_buf_text(out, text);
        tuff_buf_char(out, '\n');
        cJSON_free(text);
        cJSON_Delete(copy);
        return text && !out->failed ? TUFF_OK : tuff_fail_memory("config.json");
    }
    tuff_buf_printf(out, "{\n  \"architectures\": [\"%s", c->arch->hf_class);
    put_class_ending(c, out);
    tuff_buf_printf(out, "\"],\n  \"model_type\": \"%s\",\n", c->arch->name);
    put_tokens(&c->tokens, out);
    c->arch->write_hf(c, out);
    if (c->head && c->head->head->has_labels) tuff_labels_write_hf(model, out);
    tuff_buf_printf(out, "  \"torch_dtype\": \"%s\",\n  \"vocab_size\": %lld\n}\n", torch_dtype(dtype),
                    (long long)c->vocab_size);
    return out->failed ? tuff_fail_memory("config.json") : TUFF_OK;
}

/* generation_config.json as it was read: it may know more ends of a text than config.json. */
static tuff_status print_generation(const tuff_model *model, tuff_buf *out)
{
    char *text = cJSON_Print(model->hf_generation);
    if (text) tuff_buf_text(out, text);
    tuff_buf_char(out, '\n');
    cJSON_free(text);
    return text && !out->failed ? TUFF_OK : tuff_fail_memory("generation_config.json");
}

static tuff_status write_text(const char *directory, const char *name, const tuff_buf *text)
{
    char *path = tuff_path_join(directory, name);
    tuff_status status = path ? tuff_write_file(path, text->data, text->size) : tuff_fail_memory("a path");
    tuff_free(path);
    return status;
}

static tuff_status write_config(const tuff_model *model, tuff_dtype dtype, const char *directory)
{
    tuff_buf text = {0}, generation = {0};
    tuff_status status = print_config(model, dtype, &text);
    if (status == TUFF_OK) status = write_text(directory, "config.json", &text);
    if (status == TUFF_OK && model->hf_generation) status = print_generation(model, &generation);
    if (status == TUFF_OK && model->hf_generation)
        status = write_text(directory, "generation_config.json", &generation);
    tuff_buf_free(&text);
    tuff_buf_free(&generation);
    return status;
}

/* What loaders look for. One of another model that stays would be taken for this one's: an old
 * model.safetensors comes before the index of new shards. */
static const char *const looked_for[] = {"config.json",
                                         "generation_config.json",
                                         "model.safetensors",
                                         "model.safetensors.index.json",
                                         "tokenizer.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "vocab.txt",
                                         "tokenizer_config.json",
                                         "added_tokens.json",
                                         "special_tokens_map.json",
                                         "spiece.model",
                                         "sentencepiece.bpe.model",
                                         "tokenizer.model",
                                         "spm.model",
                                         "modules.json",
                                         "sentence_bert_config.json",
                                         "config_sentence_transformers.json"};
enum { LOOKED_FOR = sizeof looked_for / sizeof looked_for[0] };

/* The tensors of a model, and how many bytes of them there are to be written. */
static tuff_status begin_source(source *from, tuff_dtype dtype, const char *path)
{
    from->work.phase = TUFF_PHASE_SAVE;
    TUFF_TRY(list_items(from, dtype));
    for (size_t i = 0; i < from->count; i++) {
        size_t bytes;
        TUFF_TRY(tuff_save_item_size(&from->items[i], path, &bytes));
        from->work.total += bytes;
    }
    return tuff_watched_add(&from->work, 0);
}

tuff_status tuff_model_write_hf(const tuff_model *model, const tuff_store *store, tuff_dtype dtype,
                                const tuff_watch *watch, tuff_stage *stage)
{
    const char *at = tuff_stage_path(stage);
    tuff_stage_replaces(stage, looked_for, LOOKED_FOR);
    source from = {.model = model, .store = store, .work.watch = watch};
    tuff_status status = begin_source(&from, dtype, at);
    if (status == TUFF_OK) status = write_config(model, dtype, at);
    if (status == TUFF_OK && model->tokenizer) status = tuff_tokenizer_save(model->tokenizer, at);
    if (status == TUFF_OK)
        status = tuff_safetensors_save_sharded(at, "model", from.items, from.count, 0, write_tensor, &from);
    free_source(&from);
    return status;
}

static tuff_status save_hf(const tuff_model *model, tuff_dtype dtype, const tuff_watch *watch,
                           const char *directory)
{
    tuff_stage *stage = NULL;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_status status = tuff_model_write_hf(model, NULL, dtype, watch, stage);
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

static uint32_t gguf_file_type(tuff_dtype dtype)
{
    return dtype == TUFF_F16    ? 1
           : dtype == TUFF_BF16 ? 32
                                : 0; /* llama.cpp's LLAMA_FTYPE: F32 0, MOSTLY_F16 1, BF16 32 */
}

/* Parameters that GGUF has names for. */
static size_t named(const tuff_params *params)
{
    size_t n = 0;
    for (size_t i = 0; i < params->count; i++)
        n += params->items[i].gguf.name != NULL;
    return n;
}

/* What the file lacks, and what it says and llama.cpp does not do. */
static void say_lost(const tuff_model *model, bool without_head, const char *path)
{
    const tuff_config *c = &model->config;
    if (without_head)
        tuff_log(TUFF_LOG_WARN,
                 "%s: GGUF has no names for the tensors of its head (%s): it holds the layers alone", path,
                 tuff_config_head_title(c));
    if (c->layer.activation != c->arch->gguf_activation)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: llama.cpp runs this architecture with the activation %s, this model has %s: its results will differ "
            "a little there; in Tuff they do not",
            path, tuff_activation_name(c->arch->gguf_activation), tuff_activation_name(c->layer.activation));
    if (tuff_config_has_head(c, &tuff_head_classes) && c->arch->gguf_means != c->head_means)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: llama.cpp gives this architecture's classifiers the %s of a text: its results will differ "
            "there; in Tuff they do not",
            path, c->arch->gguf_means ? "mean of all states" : "state of one token");
    if (c->rope.scaling == TUFF_ROPE_DYNAMIC)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no rotary embeddings that are scaled by the length of a text (dynamic): past %lld "
            "tokens the results of this file will differ",
            path, (long long)c->max_positions);
    if (c->causal && c->layer.window && !c->arch->gguf_windows && c->layer.window < c->max_positions)
        tuff_log(TUFF_LOG_WARN,
                 "%s: llama.cpp runs this architecture without its sliding window of %lld tokens: past that "
                 "length its results will differ there; in Tuff they do not",
                 path, (long long)c->layer.window);
}

static tuff_status save_gguf(const tuff_model *model, tuff_dtype dtype, const tuff_watch *watch,
                             const char *path)
{
    if (!model->config.arch->gguf)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: GGUF has no architecture for %s; write it as hf", path,
                         model->config.arch->name);
    tuff_gguf_builder gguf = {0};
    source from = {.model = model, .gguf = true, .work.watch = watch};
    tuff_gguf_put_text(&gguf, "general.architecture", model->config.arch->gguf);
    tuff_gguf_put_text(&gguf, "general.name", tuff_path_name(model->path));
    tuff_gguf_put_u32(&gguf, "general.file_type", gguf_file_type(dtype));
    model->config.arch->write_gguf(&model->config, &gguf);
    tuff_status status = begin_source(&from, dtype, path);
    if (status == TUFF_OK && tuff_config_has_head(&model->config, &tuff_head_classes))
        status = tuff_labels_write_gguf(model, &gguf);
    if (status == TUFF_OK && model->tokenizer)
        status = tuff_vocab_write(model->tokenizer, (uint32_t)model->config.vocab_size, &gguf);
    if (status == TUFF_OK) status = tuff_gguf_save(path, &gguf, from.items, from.count, write_tensor, &from);
    if (status == TUFF_OK) say_lost(model, named(&model->params) < model->params.count, path);
    tuff_gguf_builder_free(&gguf);
    free_source(&from);
    return status;
}

tuff_status tuff_model_save_watched(const tuff_model *model, tuff_file_format format, tuff_dtype dtype,
                                    const tuff_watch *watch, const char *path)
{
    TUFF_NEED(model);
    TUFF_NEED(path);
    TUFF_TRY(tuff_watch_check(watch));
    if (!tuff_dtype_is_float(dtype))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "weights cannot be stored as %s; use f32, f16 or bf16",
                         tuff_dtype_name(dtype));
    if (format == TUFF_FORMAT_HF) return save_hf(model, dtype, watch, path);
    if (format != TUFF_FORMAT_GGUF)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: there is no file format %d", path, (int)format);
    return save_gguf(model, dtype, watch, path);
}

tuff_status tuff_model_save(const tuff_model *model, tuff_file_format format, tuff_dtype dtype,
                            const char *path)
{
    return tuff_model_save_watched(model, format, dtype, NULL, path);
}
