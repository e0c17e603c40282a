#include "formats/hf_config.h"

#include <string.h>

#include "base/stage.h"
#include "formats/safetensors.h"
#include "formats/torch.h"

/* Sets *out to "<directory>/<name>" when it is a file, else to NULL. */
static tuff_status find(tuff_hf_files *files, const char *name, const char **out)
{
    *out = NULL;
    char *path = tuff_path_join(files->directory, name);
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = TUFF_OK;
    if (tuff_is_file(path)) {
        *out = tuff_arena_strdup(&files->arena, path);
        if (!*out) status = tuff_fail_memory("a path");
    }
    tuff_free(path);
    return status;
}

static tuff_status find_all(tuff_hf_files *files)
{
    if (files->kind == TUFF_HF_DIRECTORY) {
        TUFF_TRY(find(files, "model.safetensors", &files->weights));
        TUFF_TRY(find(files, "model.safetensors.index.json", &files->index));
        files->torch = !files->weights && !files->index;
    }
    if (files->kind == TUFF_HF_DIRECTORY && files->torch) {
        TUFF_TRY(find(files, "pytorch_model.bin", &files->weights));
        TUFF_TRY(find(files, "pytorch_model.bin.index.json", &files->index));
    }
    TUFF_TRY(find(files, "config.json", &files->config));
    TUFF_TRY(find(files, "generation_config.json", &files->generation_config));
    return find(files, "adapter_config.json", &files->adapter_config);
}

/* A file is what its first bytes say. */
static tuff_status look_into(tuff_hf_files *files)
{
    uint8_t first[9] = {0};
    tuff_file file;
    TUFF_TRY(tuff_file_open(files->path, &file));
    const size_t size = file.size < sizeof first ? (size_t)file.size : sizeof first;
    tuff_status status = tuff_file_read(&file, 0, first, size);
    tuff_file_close(&file);
    if (status != TUFF_OK) return status;
    if (size >= 4 && memcmp(first, "GGUF", 4) == 0) {
        files->kind = TUFF_HF_GGUF;
        files->gguf = files->path;
    } else if (tuff_ends_with(files->path, ".safetensors") || (size > 8 && first[8] == '{')) {
        files->kind = TUFF_HF_FILE;
        files->weights = files->path;
    } else if (size >= 2 && (memcmp(first, "PK", 2) == 0 || (first[0] == 0x80 && first[1] < 6))) {
        files->kind = TUFF_HF_FILE;
        files->weights = files->path;
        files->torch = true;
    } else {
        status = tuff_fail(
            TUFF_BAD_FORMAT,
            "%s is no model: a Hugging Face directory, a .safetensors, a .gguf or a PyTorch file is expected",
            files->path);
    }
    return status;
}

/* The snapshot that a hub's cache has of a model, where refs/main names one; NULL: it does not. Fresh. */
static char *snapshot_of(const char *refs, const char *snapshots)
{
    enum { COMMIT = 64 };
    tuff_buf name = {0};
    char *path = NULL;
    if (tuff_is_file(refs) && tuff_read_file(refs, COMMIT, &name) == TUFF_OK && name.size)
        name.data[strcspn(name.data, "\r\n/")] = 0;
    if (name.size && *name.data && *name.data != '.') path = tuff_path_join(snapshots, name.data);
    if (path && !tuff_is_directory(path)) {
        tuff_free(path);
        path = NULL;
    }
    tuff_buf_free(&name);
    return path;
}

/* The directory above a model's files, as the hub's programs keep it. */
static tuff_status refuse_hub_cache(const tuff_hf_files *files)
{
    if (files->kind != TUFF_HF_DIRECTORY || files->config || files->weights || files->index) return TUFF_OK;
    tuff_status status = TUFF_OK;
    char *snapshots = tuff_path_join(files->directory, "snapshots"),
         *refs = tuff_path_join(files->directory, "refs/main"), *path = NULL;
    if (!snapshots || !refs)
        status = tuff_fail_memory("a path");
    else if (tuff_is_directory(snapshots)) {
        path = snapshot_of(refs, snapshots);
        status = tuff_fail(TUFF_NOT_FOUND,
                           "%s is a cache of the Hugging Face hub; the model is in %s%s: give that",
                           files->path, path ? "" : "a directory of ", path ? path : snapshots);
    }
    tuff_free(snapshots);
    tuff_free(refs);
    tuff_free(path);
    return status;
}

tuff_status tuff_hf_locate(const char *path, tuff_hf_files **out_files)
{
    tuff_status status = TUFF_OK;
    tuff_hf_files *files = *out_files = tuff_alloc(sizeof *files);
    if (!files) return tuff_fail_memory("a path");
    char *directory = tuff_arena_strdup(&files->arena, path);
    if (!directory || !(files->path = tuff_arena_strdup(&files->arena, path)))
        TUFF_GO(tuff_fail_memory("a path"));
    files->directory = directory;
    if (tuff_is_directory(path)) {
        files->kind = TUFF_HF_DIRECTORY;
    } else {
        TUFF_GO(look_into(files));
        directory[tuff_path_name(path) - path] = 0;
        if (!directory[0]) files->directory = ".";
    }
    if (files->kind != TUFF_HF_GGUF) TUFF_GO(tuff_stage_settle(files->directory));
    if (files->kind != TUFF_HF_GGUF) TUFF_GO(find_all(files));
    TUFF_GO(refuse_hub_cache(files));
done:
    if (status != TUFF_OK) tuff_hf_files_destroy(out_files);
    return status;
}

void tuff_hf_files_destroy(tuff_hf_files **files)
{
    if (!*files) return;
    tuff_arena_free(&(*files)->arena);
    tuff_free(*files);
    *files = NULL;
}

/* A directory without `what`: it may be one of GGUF files, each of which is a model. */
static tuff_status missing(const tuff_hf_files *files, const char *what)
{
    char *gguf = files->kind == TUFF_HF_DIRECTORY ? tuff_first_name(files->directory, ".gguf") : NULL;
    tuff_status status =
        gguf ? tuff_fail(TUFF_NOT_FOUND, "%s has %s; it holds GGUF files: name one of them, such as %s/%s",
                         files->path, what, files->path, gguf)
             : tuff_fail(TUFF_NOT_FOUND, "%s has %s", files->path, what);
    tuff_free(gguf);
    return status;
}

/* Says what is there in place of weights that can be read. */
static tuff_status missing_weights(const tuff_hf_files *files)
{
    static const char *const others[] = {"tf_model.h5", "flax_model.msgpack"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char *path = tuff_path_join(files->directory, others[i]);
        if (!path) return tuff_fail_memory("a path");
        bool there = tuff_is_file(path);
        tuff_free(path);
        if (there)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s has %s only: convert it to safetensors, as transformers does: load the model "
                "and call its save_pretrained",
                files->path, others[i]);
    }
    if (files->adapter_config)
        return tuff_fail(
            TUFF_NOT_FOUND,
            "%s is a PEFT adapter, not a model: name the model it belongs to, and this as its adapter",
            files->path);
    return missing(files, "neither model.safetensors nor pytorch_model.bin nor an index of either");
}

tuff_status tuff_hf_need(const tuff_hf_files *files, unsigned parts)
{
    if (files->kind == TUFF_HF_GGUF) return TUFF_OK;
    if ((parts & TUFF_HF_WEIGHTS) && !files->weights && !files->index) return missing_weights(files);
    if ((parts & TUFF_HF_CONFIG) && !files->config)
        return tuff_fail(TUFF_NOT_FOUND, "%s has no config.json%s", files->path,
                         files->kind == TUFF_HF_FILE ? " beside it" : "");
    return TUFF_OK;
}

tuff_status tuff_hf_open_weights(const tuff_hf_files *files, tuff_weights **out_weights)
{
    *out_weights = NULL;
    TUFF_TRY(tuff_hf_need(files, TUFF_HF_WEIGHTS));
    if (files->kind == TUFF_HF_GGUF)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is a GGUF file, not safetensors", files->path);
    const tuff_add_fn add = files->torch ? tuff_torch_add : tuff_safetensors_add;
    return files->weights ? tuff_weights_open(files->weights, add, out_weights)
                          : tuff_weights_open_index(files->index, add, out_weights);
}

tuff_status tuff_hf_read_object(const char *path, cJSON **out_json)
{
    TUFF_TRY(tuff_json_read(path, out_json));
    if (cJSON_IsObject(*out_json)) return TUFF_OK;
    cJSON_Delete(*out_json);
    *out_json = NULL;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: a JSON object is expected", path);
}

static tuff_status token_id(const cJSON *item, const char *key, const char *where, int32_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > INT32_MAX ||
        item->valuedouble != (double)(int32_t)item->valuedouble)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: '%s' holds something other than token ids of 0 to 2147483647",
                         where, key);
    *out = (int32_t)item->valuedouble;
    return TUFF_OK;
}

static tuff_status one_token(const cJSON *object, const char *key, const char *where, int32_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item || cJSON_IsNull(item)) return TUFF_OK;
    if (cJSON_IsNumber(item) && item->valuedouble == -1) { /* some exporters' way to say none */
        *out = -1;
        return TUFF_OK;
    }
    return token_id(item, key, where, out);
}

tuff_status tuff_hf_tokens_read(const cJSON *object, const char *where, tuff_hf_tokens *tokens)
{
    TUFF_TRY(one_token(object, "bos_token_id", where, &tokens->bos));
    TUFF_TRY(one_token(object, "pad_token_id", where, &tokens->pad));
    TUFF_TRY(one_token(object, "decoder_start_token_id", where, &tokens->start));
    TUFF_TRY(one_token(object, "forced_bos_token_id", where, &tokens->first));
    TUFF_TRY(one_token(object, "forced_eos_token_id", where, &tokens->last));
    const cJSON *eos = cJSON_GetObjectItemCaseSensitive(object, "eos_token_id"), *item;
    if (!eos || cJSON_IsNull(eos)) return TUFF_OK;
    tokens->eos_count = 0;
    if (!cJSON_IsArray(eos)) {
        int32_t id = -1;
        TUFF_TRY(one_token(object, "eos_token_id", where, &id));
        if (id >= 0) tokens->eos[tokens->eos_count++] = id;
        return TUFF_OK;
    }
    cJSON_ArrayForEach(item, eos)
    {
        if (tokens->eos_count == TUFF_HF_EOS_LIMIT)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: 'eos_token_id' lists more than %d tokens", where,
                             TUFF_HF_EOS_LIMIT);
        TUFF_TRY(token_id(item, "eos_token_id", where, &tokens->eos[tokens->eos_count]));
        tokens->eos_count++;
    }
    return TUFF_OK;
}

tuff_status tuff_hf_tokens_load(const tuff_hf_files *files, tuff_hf_tokens *out_tokens)
{
    const char *const paths[] = {files->config, files->generation_config};
    *out_tokens = (tuff_hf_tokens){.bos = -1, .pad = -1, .start = -1, .first = -1, .last = -1};
    for (int i = 0; i < 2; i++) {
        cJSON *json;
        if (!paths[i]) continue;
        TUFF_TRY(tuff_hf_read_object(paths[i], &json));
        tuff_status status = tuff_hf_tokens_read(json, paths[i], out_tokens);
        cJSON_Delete(json);
        TUFF_TRY(status);
    }
    return TUFF_OK;
}

tuff_status tuff_hf_max_length(const char *directory, int64_t *out_tokens)
{
    static const char key[] = "model_max_length";
    cJSON *json = NULL;
    *out_tokens = 0;
    char *path = tuff_path_join(directory, "tokenizer_config.json");
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = tuff_is_file(path) ? tuff_hf_read_object(path, &json) : TUFF_OK;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    /* 1e30 stands for none */
    if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble < 1 << 28)
        *out_tokens = (int64_t)item->valuedouble;
    cJSON_Delete(json);
    tuff_free(path);
    return status;
}
