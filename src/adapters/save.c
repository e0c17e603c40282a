/* Adapters as PEFT's files: what was trained, or what files have. */
#include <string.h>

#include "adapters/adapter.h"
#include "base/json.h"
#include "base/memory.h"
#include "models/heads/head.h"

/* "owner/name", as the last two parts of a repository's address are; NULL: it is none of the hub. */
static const char *hub_name(tuff_view text, tuff_arena *arena)
{
    static const char hub[] = "https://huggingface.co/";
    const size_t prefix = sizeof hub - 1;
    size_t slashes = 0;
    if (text.size > prefix && memcmp(text.data, hub, prefix) == 0)
        text = (tuff_view){text.data + prefix, text.size - prefix};
    for (size_t i = 0; i < text.size; i++) {
        slashes += text.data[i] == '/';
        if (text.data[i] <= ' ' || text.data[i] == ':') return NULL;
    }
    bool named = slashes == 1 && text.data[0] != '/' && text.data[text.size - 1] != '/';
    return named ? tuff_arena_printf(arena, "%.*s", (int)text.size, text.data) : NULL;
}

/* What PEFT is to load the adapter onto. It cannot load a GGUF file: then the repository on the hub that the
 * file says its weights are from; NULL when it says none. */
static const char *base_model(const tuff_model *model, tuff_arena *arena)
{
    static const char *const keys[] = {"general.source.huggingface.repository", "general.source.repo_url",
                                       "general.source.url", "general.repo_url"};
    if (!model->gguf) return model->path;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        tuff_view text = {0};
        if (tuff_gguf_text(model->gguf, keys[i], &text) != TUFF_OK || !text.size) continue;
        const char *name = hub_name(text, arena);
        if (name) return name;
    }
    return NULL;
}

typedef struct source {
    const tuff_adapter *adapter;
    const tuff_store *store;  /* NULL: the adapter's files */
    const tuff_param **whole; /* parameters that go along */
    size_t whole_count;
    tuff_watched work;
} source;

tuff_status tuff_adapter_values(const tuff_adapter *a, const tuff_store *store, size_t index, float *out)
{
    const tuff_adapter_tensor *t = &a->tensors[index];
    if (!store) return tuff_adapter_read(a, index, 0, t->rank > 1 ? t->shape[0] : 1, out);
    return tuff_buffer_read(tuff_store_find(store, t->name), 0, out, t->shape[0] * t->shape[1]);
}

/* Number `index` of its tensors, then of the parameters, then what is derived. */
static tuff_status read_tensor(const source *from, size_t index, int64_t n, float *values)
{
    const tuff_adapter *a = from->adapter;
    if (index < a->count) return tuff_adapter_values(a, from->store, index, values);
    const size_t others = a->count + from->whole_count;
    if (index >= others) return a->method->derive(a, from->store, index - others, values);
    const tuff_param *p = from->whole[index - a->count];
    if (from->store) return tuff_buffer_read(tuff_store_find(from->store, p->name), 0, values, n);
    return tuff_adapter_read_whole(a, tuff_adapter_whole_of(a, p), 0, tuff_param_rows(p), values);
}

static int64_t elements_of(const source *from, size_t index)
{
    const tuff_adapter *a = from->adapter;
    if (index >= a->count && index < a->count + from->whole_count)
        return tuff_param_elements(from->whole[index - a->count]);
    const int64_t *shape =
        index < a->count ? a->tensors[index].shape : a->derived[index - a->count - from->whole_count].shape;
    return shape[0] * shape[1];
}

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    source *from = user;
    const int64_t n = elements_of(from, index);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status = read_tensor(from, index, n, values);
    if (status == TUFF_OK) status = tuff_sink_write(sink, values, (size_t)n * sizeof *values);
    if (status == TUFF_OK) status = tuff_watched_add(&from->work, (uint64_t)n * sizeof *values);
    tuff_free(values);
    return status;
}

/* The name of a tensor in the file. PEFT loads what extracts features onto the layers alone, whose modules
 * have no prefix there; NULL: out of memory. */
static const char *name_in_file(const tuff_adapter *a, const char *name, bool bare, tuff_arena *arena)
{
    const char *prefix = a->model->config.arch->base_prefix, *rest = name + strlen(TUFF_PEFT_PREFIX);
    if (!bare || !tuff_starts_with(name, TUFF_PEFT_PREFIX) || !tuff_starts_with(rest, prefix)) return name;
    return tuff_arena_printf(arena, TUFF_PEFT_PREFIX "%s", rest + strlen(prefix));
}

/* Adds the parameters that are trained whole to the items, and the modules that PEFT is to save of them. */
static tuff_status collect_whole(source *from, bool bare, tuff_arena *arena, tuff_save_item *items,
                                 tuff_adapter_card *card)
{
    const tuff_model *model = from->adapter->model;
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        char text[256];
        const tuff_adapter_whole *whole = tuff_adapter_whole_of(from->adapter, p);
        if (!whole && (!from->store || !p->whole)) continue;
        const char *name = whole ? whole->name : NULL;
        if (!name) name = tuff_arena_printf(arena, "%s%s", from->adapter->method->whole_prefix, p->hf.name);
        if (name) name = name_in_file(from->adapter, name, bare, arena);
        const char *module = tuff_arena_strdup(arena, tuff_param_saved_module(&model->config, p, text));
        if (!name || !module) return tuff_fail_memory("an adapter's config");
        items[from->adapter->count + from->whole_count] =
            (tuff_save_item){.name = name,
                             .storage = TUFF_STORE_F32,
                             .rank = p->rank,
                             .shape = {p->shape[0], p->rank > 1 ? p->shape[1] : 1, 1, 1}};
        from->whole[from->whole_count++] = p;
        from->work.total += (uint64_t)tuff_param_elements(p) * sizeof(float);
        size_t n = card->module_count;
        if (!p->whole) continue; /* biases are no modules */
        if (!n || strcmp(card->modules[n - 1], module) != 0) card->modules[card->module_count++] = module;
    }
    return TUFF_OK;
}

/* What PEFT's files that it was opened from said; of another base where that has a name. */
static tuff_status copy_config(const tuff_adapter *a, const char *base, tuff_buf *out)
{
    cJSON *json = cJSON_Duplicate(a->files->config, true);
    bool ok = json != NULL;
    if (ok && base) {
        cJSON_DeleteItemFromObjectCaseSensitive(json, a->files->layout->base);
        ok = cJSON_AddStringToObject(json, a->files->layout->base, base) != NULL;
    }
    ok = ok && tuff_json_print(json, out);
    tuff_buf_char(out, '\n');
    cJSON_Delete(json);
    return ok && !out->failed ? TUFF_OK : tuff_fail_memory("an adapter's config");
}

tuff_status tuff_adapter_save(const tuff_adapter *a, const tuff_adapter_saving *saving, const char *directory)
{
    tuff_status status;
    tuff_arena arena = {0};
    tuff_buf text = {0};
    const size_t most = a->model->params.count;
    const char *task_type = saving->task_type;
    const bool bare = task_type && strcmp(task_type, "FEATURE_EXTRACTION") == 0;
    tuff_adapter_card card = {.base = saving->base ? saving->base : base_model(a->model, &arena),
                              .task_type = task_type};
    source from = {
        .adapter = a, .store = saving->store, .work = {.watch = saving->watch, .phase = TUFF_PHASE_SAVE}};
    tuff_save_item *items = tuff_arena_array(&arena, a->count + most + a->derived_count, sizeof *items);
    from.whole = tuff_arena_array(&arena, most + 1, sizeof *from.whole);
    card.modules = tuff_arena_array(&arena, most + 1, sizeof *card.modules);
    if (!items || !from.whole || !card.modules) TUFF_GO(tuff_fail_memory("an adapter's config"));
    for (size_t i = 0; i < a->count; i++) {
        const tuff_adapter_tensor *t = &a->tensors[i];
        const char *name = name_in_file(a, t->name, bare, &arena);
        if (!name) TUFF_GO(tuff_fail_memory("an adapter's config"));
        items[i] = (tuff_save_item){name, TUFF_STORE_F32, t->rank, {t->shape[0], t->shape[1]}};
        from.work.total += (uint64_t)(t->shape[0] * t->shape[1]) * sizeof(float);
    }
    TUFF_GO(collect_whole(&from, bare, &arena, items, &card));
    size_t count = a->count + from.whole_count;
    for (size_t i = 0; i < a->derived_count; i++) {
        const int64_t *shape = a->derived[i].shape;
        items[count++] = (tuff_save_item){a->derived[i].name, TUFF_STORE_F32, 2, {shape[0], shape[1]}};
        from.work.total += (uint64_t)(shape[0] * shape[1]) * sizeof(float);
    }
    TUFF_GO(a->files ? copy_config(a, saving->base, &text) : a->method->describe(a, &card, &text));
    TUFF_GO(tuff_watched_add(&from.work, 0));
    const tuff_peft_layout *layout = a->method->layout ? a->method->layout : &tuff_peft_usual;
    TUFF_GO(tuff_peft_write_as(directory, layout, &text, items, count, write_tensor, &from));
    if (from.whole_count) TUFF_GO(tuff_adapter_save_labels(a->model, directory));
    if (a->model->new_id_count) TUFF_GO(tuff_tokenizer_save(a->model->tokenizer, directory));
done:
    tuff_buf_free(&text);
    tuff_arena_free(&arena);
    return status;
}
