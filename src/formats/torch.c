#include "formats/torch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/pickle.h"
#include "formats/zip.h"

enum { PICKLE_LIMIT = 16 << 20, KEY_LIMIT = 64, NAME_LIMIT = 4096 };

static const tuff_storage storages[TUFF_PICKLE_NAME_COUNT] = {
#define TUFF_PICKLE_NAME(id, module, name)
#define TUFF_PICKLE_STORAGE(name, storage) [TUFF_PICKLE_STORAGE_##name] = TUFF_STORE_##storage,
#include "formats/pickle_names.def"
};

/* An archive while its tensors are added. */
typedef struct archive {
    tuff_weights *weights;
    tuff_zip_source source;
    tuff_zip *zip;
    const char *path;   /* owned by `weights` */
    const char *prefix; /* "pytorch_model/": what all names of entries begin with */
    tuff_arena arena;
} archive;

/* Before version 1.6, PyTorch wrote pickles one after the other. */
static tuff_status check_kind(const archive *a)
{
    uint8_t first[4] = {0};
    const tuff_zip_source *s = &a->source;
    const size_t size = s->size < sizeof first ? s->size : sizeof first;
    if (s->file)
        TUFF_TRY(tuff_file_read(s->file, 0, first, size));
    else
        memcpy(first, s->data, size);
    if (memcmp(first, "PK\3\4", 4) == 0) return TUFF_OK;
    if (first[0] == 0x80)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: it is a plain pickle, as PyTorch wrote it before version 1.6: load it in PyTorch and save "
            "it again",
            a->path);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it is no file of PyTorch's: a zip archive is expected", a->path);
}

/* The directory that everything is in: that of data.pkl. */
static tuff_status find_prefix(archive *a)
{
    static const char file[] = "/data.pkl";
    for (size_t i = 0; i < a->zip->count; i++) {
        const char *name = a->zip->entries[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, file) != 0) continue;
        char *prefix = tuff_arena_strdup(&a->arena, name);
        if (!prefix) return tuff_fail_memory("a file of PyTorch's");
        prefix[slash + 1 - name] = 0;
        a->prefix = prefix;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no %s: it is no file of torch.save", a->path, file + 1);
}

static const tuff_zip_entry *entry(const archive *a, const char *name)
{
    char path[NAME_LIMIT + 1];
    const int size = snprintf(path, sizeof path, "%s%s", a->prefix, name);
    return size > 0 && size <= NAME_LIMIT ? tuff_zip_find(a->zip, path) : NULL;
}

/* The record says "little" where it is there, as the storages' bytes must be. */
static tuff_status check_order(const archive *a)
{
    const tuff_zip_entry *record = entry(a, "byteorder");
    tuff_buf text = {0};
    if (!record) return TUFF_OK;
    tuff_status status = tuff_zip_read(&a->source, record, 64, &text);
    if (status == TUFF_OK && !tuff_view_is((tuff_view){text.data, text.size}, "little"))
        status = tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: its byte order is not \"little\": load it in PyTorch where it was made and save it as "
            "safetensors",
            a->path);
    tuff_buf_free(&text);
    return status;
}

/* The file of a storage, which must have all its elements. */
static tuff_status find_storage(const archive *a, const char *name, const tuff_pickled *storage,
                                unsigned item, const tuff_zip_entry **out)
{
    char path[KEY_LIMIT + 8];
    const tuff_view key = storage->is.storage.key;
    *out = NULL;
    if (key.size < KEY_LIMIT) {
        snprintf(path, sizeof path, "data/%.*s", (int)key.size, key.data);
        *out = entry(a, path);
    }
    if (!*out)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the storage of tensor '%s' is missing: the file is corrupted",
                         a->path, name);
    if ((uint64_t)storage->is.storage.elements > (*out)->size / item)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the storage of tensor '%s' is to have %" PRId64
                         " elements, but its %zu bytes are too few: the file is corrupted",
                         a->path, name, storage->is.storage.elements, (*out)->size);
    return TUFF_OK;
}

static void sizes_of(const tuff_pickled *tuple, int64_t *out)
{
    for (size_t i = 0; i < tuple->is.tuple.count; i++)
        out[i] = tuple->is.tuple.items[i]->is.integer;
}

/* Whether elements lie one behind the other in the order of the dimensions. */
static bool row_by_row(size_t rank, const int64_t *shape, const int64_t *strides)
{
    int64_t step = 1;
    for (size_t i = 0; i < rank; i++)
        if (shape[i] == 0) return true;
    for (size_t i = rank; i-- > 0;) {
        if (shape[i] != 1 && strides[i] != step) return false;
        if (__builtin_mul_overflow(step, shape[i], &step)) return false;
    }
    return true;
}

static tuff_status add_tensor(archive *a, const char *name, const tuff_pickled *value)
{
    int64_t shape[TUFF_LISTED_RANK], strides[TUFF_LISTED_RANK];
    const tuff_pickled *storage = value->is.tensor.storage;
    const size_t rank = value->is.tensor.shape->is.tuple.count;
    tuff_weight weight = {.name = name, .file = a->path, .storage = storages[storage->is.storage.type]};
    if (rank > TUFF_LISTED_RANK)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' has %zu dimensions; at most %d are possible",
                         a->path, name, rank, TUFF_LISTED_RANK);
    sizes_of(value->is.tensor.shape, shape);
    sizes_of(value->is.tensor.strides, strides);
    TUFF_TRY(tuff_weights_shape(a->weights, &weight, (unsigned)rank, shape));
    if (!row_by_row(rank, shape, strides))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: tensor '%s' does not lie row by row in its storage: load the file in PyTorch and save "
            "tensor.contiguous() instead",
            a->path, name);
    const unsigned item = tuff_storage_get(weight.storage)->bytes;
    const tuff_zip_entry *bytes;
    size_t size;
    TUFF_TRY(find_storage(a, name, storage, item, &bytes));
    TUFF_TRY(tuff_weight_size(&weight, &size));
    const uint64_t offset = (uint64_t)value->is.tensor.offset,
                   elements = (uint64_t)storage->is.storage.elements;
    if (offset > elements || size / item > elements - offset)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s' needs %zu elements from %" PRIu64
                         " on, but its storage has %" PRIu64,
                         a->path, name, size / item, offset, elements);
    weight.data = a->source.data + bytes->at + (size_t)offset * item;
    return tuff_weights_add(a->weights, &weight);
}

/* Other values than tensors are passed over, as transformers does. */
static tuff_status add_tensors(archive *a, const tuff_pickled *state)
{
    if (state->kind != TUFF_PICKLED_DICT)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: it holds no dictionary of tensors: save a model's state_dict()", a->path);
    size_t tensors = 0;
    const char *inner = NULL;
    for (const tuff_pickled_entry *e = state->is.dict.first; e; e = e->next) {
        if (e->key->kind != TUFF_PICKLED_TEXT) continue;
        const tuff_view key = e->key->is.text;
        if (memchr(key.data, 0, key.size) || !tuff_weight_name_valid(key.data, key.size))
            return tuff_fail(TUFF_BAD_FORMAT,
                             "%s: the name of tensor %zu is no printable UTF-8 text of at most 4096 bytes",
                             a->path, tensors);
        const char *name = tuff_arena_printf(&a->arena, "%.*s", (int)key.size, key.data);
        if (!name) return tuff_fail_memory("a file of PyTorch's");
        if (e->value->kind == TUFF_PICKLED_DICT && !inner) inner = name;
        if (e->value->kind != TUFF_PICKLED_TENSOR) continue;
        TUFF_TRY(add_tensor(a, name, e->value));
        tensors++;
    }
    if (tensors == 0 && inner)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: its tensors are not at the top but in '%s' or deeper: it is a training's checkpoint; save "
            "the model's state_dict() alone",
            a->path, inner);
    return TUFF_OK;
}

static tuff_status read_all(tuff_weights *weights, tuff_zip_source source)
{
    tuff_status status = TUFF_OK;
    archive a = {.weights = weights, .source = source};
    tuff_buf pickle = {0};
    const tuff_pickled *state = NULL;
    const char *where = NULL;
    if (!(a.path = tuff_arena_strdup(&weights->arena, source.path))) return tuff_fail_memory("a path");
    a.source.path = a.path;
    TUFF_GO(check_kind(&a));
    TUFF_GO(tuff_zip_open(&a.source, &a.zip));
    TUFF_GO(find_prefix(&a));
    TUFF_GO(check_order(&a));
    if (!(where = tuff_arena_printf(&a.arena, "%s: its data.pkl", a.path)))
        TUFF_GO(tuff_fail_memory("a path"));
    TUFF_GO(tuff_zip_read(&a.source, entry(&a, "data.pkl"), PICKLE_LIMIT, &pickle));
    TUFF_GO(tuff_pickle_read((const uint8_t *)pickle.data, pickle.size, where, &a.arena, &state));
    TUFF_GO(add_tensors(&a, state));
done:
    tuff_zip_destroy(&a.zip);
    tuff_buf_free(&pickle);
    tuff_arena_free(&a.arena);
    return status;
}

tuff_status tuff_torch_parse(tuff_weights *weights, const uint8_t *data, size_t size, const char *path)
{
    return read_all(weights, (tuff_zip_source){.data = data, .size = size, .path = path});
}

tuff_status tuff_torch_add(tuff_weights *weights, const char *path)
{
    tuff_mapping mapping;
    TUFF_TRY(tuff_map_file(path, &mapping));
    TUFF_TRY(tuff_weights_adopt(weights, mapping));
    return read_all(weights, (tuff_zip_source){mapping.data, mapping.size, &mapping.file, path});
}
