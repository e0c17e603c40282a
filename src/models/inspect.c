/* What a model file holds, of any architecture; the parts that cannot be read say why. */
#include "models/inspect.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "formats/peft.h"
#include "formats/sentence.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "models/vocab.h"

static void put(tuff_inspection *r, const char *key, const char *value)
{
    tuff_inspect_put_text(r, key, value, strlen(value));
}

/* How many a classifier has, and the first of them. */
static void put_labels(tuff_inspection *r, const tuff_model *model)
{
    enum { SHOWN = 8 };
    tuff_buf text = {0};
    char scratch[TUFF_LABEL_SIZE];
    int64_t n = model->config.labels;
    for (int64_t i = 0; i < n && i < SHOWN; i++) {
        tuff_view name = tuff_model_label(model, i, scratch);
        tuff_buf_text(&text, i ? ", " : "");
        tuff_buf_bytes(&text, name.data, name.size);
    }
    if (n > SHOWN) tuff_buf_text(&text, ", ...");
    tuff_inspect_put_int(r, "labels", n);
    tuff_inspect_put_text(r, "label_names", text.data ? text.data : "", text.size);
    r->out.failed |= text.failed;
    tuff_buf_free(&text);
}

/* Of an encoder-decoder, whose other lines are its decoder's. */
static void put_encoder(tuff_inspection *r, const tuff_config *encoder)
{
    tuff_inspect_put_int(r, "encoder_layers", encoder->layers);
    tuff_inspect_put_int(r, "encoder_heads", encoder->heads);
    tuff_inspect_put_int(r, "encoder_intermediate_size", encoder->intermediate_size);
}

static void put_window(tuff_inspection *r, const tuff_config *c)
{
    int64_t with = 0, window = 0;
    for (int i = 0; i < (int)c->layers; i++) {
        const int64_t of_layer = tuff_config_layer(c, i)->window;
        with += of_layer != 0;
        if (of_layer) window = of_layer;
    }
    if (with) tuff_inspect_put_int(r, "sliding_window", window);
    if (with && with < c->layers) tuff_inspect_put_int(r, "layers_with_window", with);
}

static void put_dimensions(tuff_inspection *r, tuff_model *model)
{
    const tuff_config *c = &model->config;
    r->out.failed |= tuff_model_list_params(model) != TUFF_OK;
    put(r, "kind", strchr(tuff_config_kind(c), ' ') + 1);
    put(r, "head", tuff_config_head_title(c));
    if (c->head && c->head->head->has_labels) put_labels(r, model);
    tuff_inspect_put_int(r, "parameters", tuff_model_parameters(model));
    tuff_inspect_put_int(r, "vocab_size", c->vocab_size);
    tuff_inspect_put_int(r, "context_length", c->max_positions);
    tuff_inspect_put_int(r, "hidden_size", c->hidden_size);
    if (c->token_types) tuff_inspect_put_int(r, "token_types", c->token_types);
    tuff_inspect_put_int(r, "layers", c->layers);
    tuff_inspect_put_int(r, "heads", c->heads);
    tuff_inspect_put_int(r, "kv_heads", c->kv_heads);
    tuff_inspect_put_int(r, "head_dim", c->head_dim);
    tuff_inspect_put_int(r, "intermediate_size", c->intermediate_size);
    if (c->encoder) put_encoder(r, c->encoder);
    if (c->experts.count) {
        tuff_inspect_put_int(r, "experts", c->experts.count);
        tuff_inspect_put_int(r, "experts_per_token", c->experts.used);
        tuff_inspect_put_int(r, "expert_intermediate_size", c->experts.width);
    }
    if (c->rope.theta > 0) tuff_inspect_put_number(r, "rope_theta", c->rope.theta);
    if (c->rope.scaling != TUFF_ROPE_PLAIN) put(r, "rope_scaling", tuff_rope_scaling_name(c->rope.scaling));
    if (c->rope_local.theta > 0) tuff_inspect_put_number(r, "rope_theta_local", c->rope_local.theta);
    put_window(r, c);
    if (tuff_config_has_output(c)) tuff_inspect_put_bool(r, "tied_embeddings", c->tied);
}

/* The section "model". `name`: what the file calls its architecture, NULL when it does not; `status`: of
 * reading the config. */
static void put_model(tuff_inspection *r, tuff_model *model, const char *name, tuff_status status)
{
    tuff_inspect_section(r, "model", "Model");
    put(r, "architecture", name ? name : "not said");
    if (status == TUFF_OK) {
        put_dimensions(r, model);
        status = tuff_model_check_tensors(model);
    }
    if (status == TUFF_OK) {
        tuff_model_settle_types(model);
        tuff_inspect_put_int(r, "bytes_on_device", (int64_t)tuff_model_weight_bytes(model, false));
    }
    tuff_inspect_put_bool(r, "runs", status == TUFF_OK);
    if (status != TUFF_OK) put(r, "because", tuff_error_message());
    tuff_inspect_section_end(r);
}

static void put_token(tuff_inspection *r, const tuff_tokenizer *t, const char *key, int32_t id)
{
    if (id < 0) return;
    tuff_piece spelled = tuff_tokenizer_token(t, id);
    tuff_inspect_put_token(r, key, id, spelled.data, spelled.size);
}

static void put_tokenizer(tuff_inspection *r, tuff_status status, const tuff_tokenizer *t)
{
    char problem[512] = "";
    if (status != TUFF_OK) snprintf(problem, sizeof problem, "%s", tuff_error_message());
    tuff_inspect_section(r, "tokenizer", "Tokenizer");
    if (status != TUFF_OK) {
        put(r, "none", problem);
        tuff_inspect_section_end(r);
        return;
    }
    const char *kind = tuff_tokenizer_kind(t);
    uint32_t size = tuff_tokenizer_vocab_size(t), special = 0;
    for (uint32_t i = 0; i < size; i++)
        special += tuff_tokenizer_token_type(t, (int32_t)i) == TUFF_TOKEN_CONTROL;
    put(r, "kind",
        strcmp(kind, "gpt2") == 0    ? "byte-level BPE"
        : strcmp(kind, "llama") == 0 ? "SentencePiece BPE"
        : strcmp(kind, "bert") == 0  ? "WordPiece"
        : strcmp(kind, "t5") == 0    ? "Unigram"
                                     : "BPE");
    tuff_inspect_put_int(r, "size", size);
    tuff_inspect_put_int(r, "special_tokens", special);
    put_token(r, t, "begin", tuff_tokenizer_bos(t));
    for (uint32_t i = 0; i < tuff_tokenizer_eos_count(t); i++) {
        char key[24];
        snprintf(key, sizeof key, i ? "end_%u" : "end", i + 1);
        put_token(r, t, key, tuff_tokenizer_eos(t, i));
    }
    put_token(r, t, "unknown", tuff_tokenizer_unk(t));
    put_token(r, t, "padding", tuff_tokenizer_pad(t));
    put_token(r, t, "cls", tuff_tokenizer_cls(t));
    put_token(r, t, "separator", tuff_tokenizer_sep(t));
    put_token(r, t, "mask", tuff_tokenizer_mask(t));
    tuff_inspect_put_bool(r, "chat_template", tuff_tokenizer_chat_template(t).size > 0);
    tuff_inspect_section_end(r);
}

static void put_file(tuff_inspection *r, const char *path, const char *format)
{
    tuff_inspect_section(r, "file", "File");
    put(r, "path", path);
    put(r, "format", format);
    tuff_inspect_section_end(r);
}

static tuff_status inspect_gguf(const tuff_hf_files *files, unsigned flags, tuff_inspection *r)
{
    tuff_model model = {.path = (char *)(uintptr_t)files->path};
    TUFF_TRY(tuff_gguf_open(files->gguf, &model.gguf));
    char format[32], name[64];
    tuff_view architecture = {0};
    snprintf(format, sizeof format, "GGUF version %u", model.gguf->version);
    put_file(r, files->path, format);
    tuff_status status = tuff_gguf_text(model.gguf, "general.architecture", &architecture);
    if (status == TUFF_OK) {
        int size = architecture.size < sizeof name ? (int)architecture.size : (int)sizeof name - 1;
        snprintf(name, sizeof name, "%.*s", size, architecture.data ? architecture.data : "");
        put_model(r, &model, *name ? name : NULL, tuff_model_read_gguf(&model));
        tuff_tokenizer *tokenizer = NULL;
        tuff_status loaded = tuff_vocab_load(model.gguf, &tokenizer);
        put_tokenizer(r, loaded, tokenizer);
        tuff_tokenizer_destroy(&tokenizer);
        tuff_inspect_put_tensors(r, model.gguf->weights, (flags & TUFF_INSPECT_TENSORS) != 0);
        tuff_inspect_section(r, "metadata", "Metadata");
        for (size_t i = 0; i < model.gguf->count; i++)
            tuff_inspect_put_gguf(r, &model.gguf->values[i]);
        tuff_inspect_section_end(r);
    }
    tuff_gguf_destroy(&model.gguf);
    tuff_params_free(&model.params);
    tuff_config_free(&model.config);
    return status;
}

static tuff_status read_hf(tuff_model *model, const tuff_hf_files *files)
{
    TUFF_TRY(tuff_model_read_hf(model, files));
    TUFF_TRY(tuff_hf_need(files, TUFF_HF_WEIGHTS));
    tuff_model_settle_head(model);
    return TUFF_OK;
}

static tuff_status put_config(tuff_inspection *r, tuff_model *model, const tuff_hf_files *files)
{
    const char *type = NULL;
    TUFF_TRY(tuff_hf_read_object(files->config, &model->hf_config));
    TUFF_TRY(tuff_json_text(model->hf_config, "model_type", files->config, &type));
    put_model(r, model, type, read_hf(model, files));
    tuff_inspect_section(r, "config", "config.json");
    const cJSON *item;
    cJSON_ArrayForEach(item, model->hf_config) tuff_inspect_put_json(r, item->string, item);
    tuff_inspect_section_end(r);
    return TUFF_OK;
}

/* How texts become vectors, where the files say so. */
static void put_sentence(tuff_inspection *r, const char *directory)
{
    static const char *const poolings[] = {"not said", "mean",          "cls",           "max",
                                           "last",     "weighted-mean", "mean-sqrt-len", "none"};
    tuff_sentence s = {0};
    const tuff_status status = tuff_sentence_read(directory, &s);
    if (status == TUFF_OK && !s.there) {
        tuff_sentence_free(&s);
        return;
    }
    tuff_inspect_section(r, "embedding", "Embedding");
    if (status != TUFF_OK) {
        put(r, "because", tuff_error_message());
    } else {
        put(r, "pooling", poolings[s.pooling]);
        tuff_inspect_put_bool(r, "normalized", s.normalize);
        if (s.max_length) tuff_inspect_put_int(r, "max_length", s.max_length);
        if (s.denses) {
            tuff_inspect_put_int(r, "dense_layers", (int64_t)s.denses);
            tuff_inspect_put_int(r, "dimensions", s.dense[s.denses - 1].out);
        }
        for (size_t i = 0; i < s.prompt_count; i++) {
            char key[80];
            snprintf(key, sizeof key, "prompt_%.60s", s.prompts[i].name);
            if (*s.prompts[i].text) put(r, key, s.prompts[i].text);
        }
        if (s.default_prompt) put(r, "default_prompt", s.default_prompt);
    }
    tuff_inspect_section_end(r);
    tuff_sentence_free(&s);
}

static void put_notes(tuff_inspection *r, const tuff_weights *weights)
{
    if (!weights->note_count) return;
    tuff_inspect_section(r, "metadata", "Metadata");
    for (size_t i = 0; i < weights->note_count; i++)
        put(r, weights->notes[i].key, weights->notes[i].value);
    tuff_inspect_section_end(r);
}

static tuff_status put_hf(tuff_inspection *r, tuff_model *model, const tuff_hf_files *files, unsigned flags)
{
    bool one = files->kind == TUFF_HF_FILE;
    if (files->weights || files->index) TUFF_TRY(tuff_hf_open_weights(files, &model->weights));
    char format[80];
    snprintf(format, sizeof format, "Hugging Face directory%s%s",
             model->weights && files->torch ? ", PyTorch" : "",
             files->index && !files->weights ? ", sharded" : "");
    put_file(r, files->path, !one ? format : files->torch ? "PyTorch" : "safetensors");
    if (files->config) TUFF_TRY(put_config(r, model, files));
    tuff_tokenizer *tokenizer = NULL;
    tuff_status status = tuff_tokenizer_load(files->directory, &tokenizer);
    if (status == TUFF_NOT_FOUND && !model->weights && !files->config)
        return tuff_fail(TUFF_NOT_FOUND,
                         "%s holds no model: no config.json, safetensors or tokenizer is there", files->path);
    if (!one || status != TUFF_NOT_FOUND) put_tokenizer(r, status, tokenizer);
    tuff_tokenizer_destroy(&tokenizer);
    if (!one) put_sentence(r, files->directory);
    if (model->weights) {
        tuff_inspect_put_tensors(r, model->weights, (flags & TUFF_INSPECT_TENSORS) != 0);
        put_notes(r, model->weights);
    }
    return TUFF_OK;
}

static tuff_status inspect_hf(const tuff_hf_files *files, unsigned flags, tuff_inspection *r)
{
    tuff_model model = {.path = (char *)(uintptr_t)files->path};
    tuff_status status = put_hf(r, &model, files, flags);
    tuff_weights_destroy(&model.weights);
    cJSON_Delete(model.hf_config);
    tuff_params_free(&model.params);
    tuff_config_free(&model.config);
    return status;
}

/* Names between commas; nothing where there are none. */
static void put_names(tuff_inspection *r, const char *key, const char *const *names, size_t count)
{
    tuff_buf text = {0};
    for (size_t i = 0; i < count; i++)
        tuff_buf_printf(&text, "%s%s", i ? ", " : "", names[i]);
    if (text.size) tuff_inspect_put_text(r, key, text.data, text.size);
    r->out.failed |= text.failed;
    tuff_buf_free(&text);
}

static void put_adapter(tuff_inspection *r, const tuff_peft_adapter *adapter)
{
    const tuff_peft_config *c = adapter->config;
    const char *other = NULL;
    int64_t parameters = 0, biases = 0, rows = 0, others = 0;
    for (size_t i = 0; i < adapter->pair_count; i++) {
        const tuff_peft_pair *pair = &adapter->pairs[i];
        parameters += tuff_weight_elements(pair->a) + tuff_weight_elements(pair->b);
        if (pair->magnitude) parameters += tuff_weight_elements(pair->magnitude);
    }
    for (size_t i = 0; i < adapter->ignored_count; i++) {
        const char *name = adapter->ignored[i];
        if (c->bias && tuff_ends_with(name, ".bias")) {
            parameters += tuff_weight_elements(tuff_weights_find(adapter->weights, name));
            biases++;
        } else if (tuff_ends_with(name, TUFF_TOKENS_LAYER TUFF_TOKENS_ENDING)) {
            const tuff_weight *weight = tuff_weights_find(adapter->weights, name);
            parameters += tuff_weight_elements(weight);
            rows += weight->shape[0];
        } else if (!others++) {
            other = name;
        }
    }
    tuff_inspect_section(r, "adapter", "Adapter");
    put(r, "kind",
        !adapter->pair_count ? "biases (BitFit)"
        : c->dora            ? c->rslora ? "DoRA, rank-stabilized" : "DoRA"
        : c->rslora          ? "LoRA, rank-stabilized"
                             : "LoRA");
    if (c->base_model) put(r, "base_model", c->base_model);
    if (c->task_type) put(r, "task_type", c->task_type);
    if (adapter->pair_count) {
        tuff_inspect_put_int(r, "rank", c->rank);
        tuff_inspect_put_number(r, "alpha", c->alpha);
        tuff_inspect_put_number(r, "dropout", c->dropout);
    }
    if (c->bias) put(r, "bias", c->bias);
    if (c->target_text && adapter->pair_count) put(r, "target_modules", c->target_text);
    put_names(r, "target_modules", c->targets, c->target_count);
    put_names(r, "target_parameters", c->parameters, c->parameter_count);
    if (rows) tuff_inspect_put_int(r, "token_rows", rows);
    tuff_inspect_put_int(r, "adapted_modules", (int64_t)adapter->pair_count);
    tuff_inspect_put_int(r, "parameters", parameters);
    if (biases) tuff_inspect_put_int(r, "biases", biases);
    if (others) {
        tuff_inspect_put_int(r, "other_tensors", others);
        put(r, "not_used", other);
    }
    tuff_inspect_section_end(r);
}

/* Of a kind whose tensors say all there is. */
static void put_other_adapter(tuff_inspection *r, const tuff_peft_files *files)
{
    const char *const texts[] = {files->layout->base, "task_type"};
    static const char *const keys[] = {"base_model", "task_type"};
    int64_t parameters = 0;
    for (size_t i = 0; i < files->weights->count; i++)
        parameters += tuff_weight_elements(&files->weights->items[i]);
    tuff_inspect_section(r, "adapter", "Adapter");
    put(r, "kind", files->kind);
    for (size_t i = 0; i < 2; i++) {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(files->config, texts[i]);
        if (cJSON_IsString(text)) put(r, keys[i], text->valuestring);
    }
    tuff_inspect_put_int(r, "parameters", parameters);
    tuff_inspect_section_end(r);
}

static tuff_status inspect_adapter(const tuff_hf_files *files, unsigned flags, tuff_inspection *r)
{
    tuff_peft_adapter *lora = NULL;
    tuff_peft_files *peft = NULL;
    TUFF_TRY(tuff_peft_files_open(files->path, &peft));
    tuff_status status = TUFF_OK;
    bool other = strcmp(peft->kind, "LORA") != 0;
    if (!other) status = tuff_peft_open_files(peft, &lora);
    if (status == TUFF_OK) {
        put_file(r, files->path,
                 peft->layout == &tuff_peft_adapters ? "directory of the package adapters"
                                                     : "PEFT adapter directory");
        if (other)
            put_other_adapter(r, peft);
        else
            put_adapter(r, lora);
        tuff_inspect_put_tensors(r, other ? peft->weights : lora->weights,
                                 (flags & TUFF_INSPECT_TENSORS) != 0);
    }
    tuff_peft_destroy(&lora);
    tuff_peft_files_close(&peft);
    return status;
}

tuff_status tuff_inspect(const char *path, unsigned flags, char **out_text)
{
    TUFF_NEED_OUT(out_text);
    TUFF_NEED(path);
    tuff_hf_files *files = NULL;
    TUFF_TRY(tuff_hf_locate(path, &files));
    tuff_inspection r;
    tuff_inspect_begin(&r, (flags & TUFF_INSPECT_JSON) != 0);
    bool adapter =
        files->kind == TUFF_HF_DIRECTORY && files->adapter_config && !files->weights && !files->index;
    tuff_status status = files->kind == TUFF_HF_GGUF ? inspect_gguf(files, flags, &r)
                         : adapter                   ? inspect_adapter(files, flags, &r)
                                                     : inspect_hf(files, flags, &r);
    tuff_inspect_end(&r);
    if (status == TUFF_OK && r.out.failed) status = tuff_fail_memory("a report");
    if (status == TUFF_OK) {
        *out_text = r.out.data;
        r.out = (tuff_buf){0};
    }
    tuff_buf_free(&r.out);
    tuff_hf_files_destroy(&files);
    return status;
}
