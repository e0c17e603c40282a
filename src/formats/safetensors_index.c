/* model.safetensors.index.json, also pytorch_model.bin.index.json:
 * {"metadata": ..., "weight_map": {"<tensor>": "<file>", ...}} */
#include "formats/safetensors.h"

#include <string.h>

#include "base/json.h"

enum { INDEX_LIMIT = 100000000 };

void tuff_shard_map_destroy(tuff_shard_map **map)
{
    tuff_shard_map *m = *map;
    if (!m) return;
    for (size_t i = 0; i < m->shard_count; i++)
        tuff_free(m->shards[i]);
    for (size_t i = 0; i < m->tensor_count; i++)
        tuff_free(m->tensors[i]);
    tuff_free(m->shards);
    tuff_free(m->tensors);
    tuff_free(m->tensor_shard);
    tuff_free(m);
    *map = NULL;
}

/* A file beside the index, never one elsewhere. */
static bool plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strpbrk(name, "/\\:") &&
           tuff_weight_name_valid(name, strlen(name)) && strlen(name) < 256;
}

static tuff_status find_shard(tuff_shard_map *map, tuff_map *known, const char *name, uint32_t *out_shard)
{
    size_t length = strlen(name);
    if (tuff_map_get(known, name, length, out_shard)) return TUFF_OK;
    char *copy = tuff_strdup(name);
    if (!copy ||
        !tuff_grow((void **)&map->shards, map->shard_count, &map->shard_capacity, sizeof *map->shards) ||
        !tuff_map_put(known, name, length, (uint32_t)map->shard_count)) {
        tuff_free(copy);
        return tuff_fail_memory("a list of shards");
    }
    *out_shard = (uint32_t)map->shard_count;
    map->shards[map->shard_count++] = copy;
    return TUFF_OK;
}

static tuff_status add_tensor(tuff_shard_map *map, const char *name, uint32_t shard)
{
    size_t capacity = map->tensor_capacity;
    if (!tuff_grow((void **)&map->tensors, map->tensor_count, &capacity, sizeof *map->tensors))
        return tuff_fail_memory("a list of tensors");
    if (capacity != map->tensor_capacity) {
        uint32_t *grown = tuff_realloc_array(map->tensor_shard, capacity, sizeof *grown);
        if (!grown) return tuff_fail_memory("a list of tensors");
        map->tensor_shard = grown;
        map->tensor_capacity = capacity;
    }
    char *copy = tuff_strdup(name);
    if (!copy) return tuff_fail_memory("a list of tensors");
    map->tensor_shard[map->tensor_count] = shard;
    map->tensors[map->tensor_count++] = copy;
    return TUFF_OK;
}

tuff_status tuff_shard_map_parse(const char *data, size_t size, const char *file, tuff_shard_map **out_map)
{
    tuff_status status;
    cJSON *json = NULL;
    tuff_map known = {0};
    *out_map = NULL;
    tuff_shard_map *map = tuff_alloc(sizeof *map);
    if (!map) return tuff_fail_memory("a list of shards");
    TUFF_GO(tuff_json_parse(data, size, file, &json));
    const cJSON *weight_map = cJSON_GetObjectItemCaseSensitive(json, "weight_map"), *entry;
    if (!cJSON_IsObject(weight_map) || !weight_map->child)
        TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s: it has no 'weight_map' that names the file of each tensor",
                          file));
    cJSON_ArrayForEach(entry, weight_map)
    {
        uint32_t shard;
        if (!cJSON_IsString(entry) || !plain_name(entry->valuestring))
            TUFF_GO(tuff_fail(
                TUFF_BAD_FORMAT,
                "%s: the file of tensor '%s' is given as '%s'; the name of a file in the same directory "
                "is expected",
                file, entry->string, cJSON_IsString(entry) ? entry->valuestring : "(no text)"));
        TUFF_GO(find_shard(map, &known, entry->valuestring, &shard));
        TUFF_GO(add_tensor(map, entry->string, shard));
    }
    *out_map = map;
    map = NULL;
done:
    tuff_shard_map_destroy(&map);
    tuff_map_free(&known);
    cJSON_Delete(json);
    return status;
}

static tuff_status open_shards(const char *path, const tuff_shard_map *map, tuff_add_fn add,
                               tuff_weights *weights)
{
    tuff_status status = TUFF_OK;
    char *directory = tuff_strdup(path), *shard = NULL;
    if (!directory) return tuff_fail_memory("a path");
    directory[tuff_path_name(path) - path] = 0;
    for (size_t i = 0; i < map->shard_count; i++) {
        shard = tuff_path_join(directory[0] ? directory : ".", map->shards[i]);
        if (!shard) TUFF_GO(tuff_fail_memory("a path"));
        if (!tuff_is_file(shard))
            TUFF_GO(tuff_fail(TUFF_NOT_FOUND, "%s: its shard %s is missing", path, shard));
        TUFF_GO(add(weights, shard));
        tuff_free(shard);
        shard = NULL;
    }
    for (size_t i = 0; i < map->tensor_count; i++) {
        const char *named = map->shards[map->tensor_shard[i]];
        const tuff_weight *weight = tuff_weights_find(weights, map->tensors[i]);
        if (!weight || strcmp(tuff_path_name(weight->file), named) != 0)
            TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' is not in %s, where the index has it", path,
                              map->tensors[i], named));
    }
done:
    tuff_free(shard);
    tuff_free(directory);
    return status;
}

tuff_status tuff_weights_open_index(const char *path, tuff_add_fn add, tuff_weights **out_weights)
{
    *out_weights = NULL;
    tuff_buf text = {0};
    tuff_shard_map *map = NULL;
    tuff_status status;
    TUFF_GO(tuff_read_file(path, INDEX_LIMIT, &text));
    TUFF_GO(tuff_shard_map_parse(text.data, text.size, path, &map));
    TUFF_GO(tuff_weights_create(out_weights));
    TUFF_GO(open_shards(path, map, add, *out_weights));
done:
    if (status != TUFF_OK) tuff_weights_destroy(out_weights);
    tuff_shard_map_destroy(&map);
    tuff_buf_free(&text);
    return status;
}

tuff_status tuff_weights_open(const char *path, tuff_add_fn add, tuff_weights **out_weights)
{
    TUFF_TRY(tuff_weights_create(out_weights));
    tuff_status status = add(*out_weights, path);
    if (status != TUFF_OK) tuff_weights_destroy(out_weights);
    return status;
}
