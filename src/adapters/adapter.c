/* What all methods share: finding one, the tensors on a device and in files. */
#include "adapters/adapter.h"

#include <strings.h>

#include <string.h>

static const tuff_method *const methods[] = {
#define TUFF_METHOD(name) &tuff_method_##name,
#include "adapters/adapters.def"
#undef TUFF_METHOD
};
enum { METHODS = sizeof methods / sizeof methods[0] };

static const tuff_method *find_method(const char *peft_type)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcasecmp(methods[i]->peft_type, peft_type) == 0) return methods[i];
    return NULL;
}

/* "LORA, IA3, PROMPT_TUNING", for an error text. */
static void list_methods(tuff_buf *out)
{
    for (size_t i = 0; i < METHODS; i++)
        tuff_buf_printf(out, "%s%s", i ? ", " : "", methods[i]->peft_type);
}

void tuff_adapter_destroy(tuff_adapter **adapter)
{
    tuff_adapter *a = *adapter;
    if (!a) return;
    if (a->method->free && a->own) a->method->free(a);
    tuff_peft_files_close(&a->files);
    tuff_map_free(&a->by_name);
    tuff_map_free(&a->whole_names);
    tuff_free(a->tensors);
    tuff_free(a->whole);
    tuff_arena_free(&a->arena);
    tuff_free(a);
    *adapter = NULL;
}

static tuff_status new_adapter(const tuff_model *model, const tuff_method *method, tuff_adapter **out_adapter)
{
    tuff_adapter *a = *out_adapter = tuff_alloc(sizeof *a);
    if (!a) return tuff_fail_memory("an adapter");
    a->method = method;
    a->model = model;
    a->hook = (tuff_net_hook){&method->points, a, &a->whole_names};
    return TUFF_OK;
}

tuff_status tuff_adapter_create(const tuff_model *model, const tuff_adapter_settings *settings,
                                tuff_adapter **out_adapter)
{
    *out_adapter = NULL;
    const tuff_method *method = find_method(settings->peft_type);
    if (!method) {
        tuff_buf known = {0};
        list_methods(&known);
        tuff_status status =
            tuff_fail(TUFF_INVALID_ARGUMENT, "peft_type is \"%s\", which Tuff does not have; it has %s",
                      settings->peft_type, known.data ? known.data : "others");
        tuff_buf_free(&known);
        return status;
    }
    TUFF_TRY(new_adapter(model, method, out_adapter));
    tuff_status status = method->create(*out_adapter, settings);
    if (status != TUFF_OK) tuff_adapter_destroy(out_adapter);
    return status;
}

static tuff_status open_files(const tuff_model *model, tuff_peft_files **files, const tuff_log_receiver *log,
                              tuff_adapter **out_adapter)
{
    const tuff_method *method = find_method((*files)->kind);
    if (!method) {
        tuff_buf known = {0};
        list_methods(&known);
        tuff_status status =
            tuff_fail(TUFF_UNSUPPORTED, "%s: 'peft_type' is '%s'; adapters of type %s can be read",
                      (*files)->config_path, (*files)->kind, known.data ? known.data : "LORA");
        tuff_buf_free(&known);
        return status;
    }
    TUFF_TRY(new_adapter(model, method, out_adapter));
    (*out_adapter)->files = *files;
    (*out_adapter)->weights = (*files)->weights;
    (*out_adapter)->log = log;
    *files = NULL;
    tuff_status status = tuff_peft_refuse((*out_adapter)->files->config, (*out_adapter)->files->config_path);
    if (status == TUFF_OK) status = tuff_adapter_find_whole(*out_adapter);
    if (status == TUFF_OK) status = method->open(*out_adapter);
    (*out_adapter)->log = NULL;
    if (status != TUFF_OK) tuff_adapter_destroy(out_adapter);
    return status;
}

tuff_status tuff_adapter_open(const tuff_model *model, const char *directory, const tuff_log_receiver *log,
                              tuff_adapter **out_adapter)
{
    tuff_peft_files *files = NULL;
    *out_adapter = NULL;
    TUFF_TRY(tuff_peft_files_open(directory, &files));
    tuff_status status = open_files(model, &files, log, out_adapter);
    tuff_peft_files_close(&files);
    return status;
}

const tuff_net_hook *tuff_adapter_hook(tuff_adapter *adapter, bool training)
{
    if (!adapter) return NULL;
    adapter->training = training;
    return &adapter->hook;
}

int64_t tuff_adapter_virtual_tokens(const tuff_adapter *adapter)
{
    return adapter ? adapter->virtual_tokens : 0;
}

/* ---- tensors */

tuff_status tuff_adapter_add(tuff_adapter *a, const char *name, int64_t rows, int64_t columns,
                             const tuff_weight *weight)
{
    if (!tuff_grow((void **)&a->tensors, a->count, &a->capacity, sizeof *a->tensors))
        return tuff_fail_memory("an adapter");
    tuff_adapter_tensor t = {
        .name = tuff_arena_strdup(&a->arena, name), .rank = 2, .shape = {rows, columns}, .weight = weight};
    if (!t.name || !tuff_map_put(&a->by_name, name, strlen(name), (uint32_t)a->count))
        return tuff_fail_memory("an adapter");
    if (weight) TUFF_TRY(tuff_weight_check_finite(weight));
    a->tensors[a->count++] = t;
    return TUFF_OK;
}

size_t tuff_adapter_find(const tuff_adapter *adapter, const char *name)
{
    uint32_t i;
    return tuff_map_get(&adapter->by_name, name, strlen(name), &i) ? i : SIZE_MAX;
}

tuff_tensor *tuff_adapter_variable(const tuff_adapter *adapter, tuff_net *net, size_t index)
{
    const tuff_adapter_tensor *t = &adapter->tensors[index];
    tuff_tensor *x = tuff_graph_leaf(net->g, t->name);
    return x ? x : tuff_variable(net->g, t->name, TUFF_F32, t->rank, t->shape);
}

tuff_status tuff_adapter_read(const tuff_adapter *a, size_t index, int64_t begin, int64_t end, float *out)
{
    TUFF_TRY(tuff_weights_check_files(a->weights));
    return tuff_weight_read_rows(a->tensors[index].weight, begin, end, TUFF_F32, out);
}

static tuff_status upload_one(const tuff_adapter *a, size_t i, tuff_store *store)
{
    const tuff_adapter_tensor *t = &a->tensors[i];
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(store, t->name, TUFF_F32, t->rank, t->shape, &buffer));
    int64_t n = tuff_buffer_count(buffer);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status =
        t->weight ? tuff_weight_read(t->weight, TUFF_F32, values) : a->method->start(a, i, values);
    if (status == TUFF_OK) status = tuff_buffer_write(buffer, 0, values, n);
    tuff_free(values);
    return status;
}

tuff_status tuff_adapter_upload(const tuff_adapter *adapter, tuff_store *store)
{
    for (size_t i = 0; i < adapter->count; i++)
        TUFF_TRY(tuff_note(upload_one(adapter, i, store), "%s", adapter->tensors[i].name));
    return tuff_adapter_upload_whole(adapter, store);
}

tuff_status tuff_adapter_upload_model(const tuff_model *model, const tuff_adapter *adapter, bool trained,
                                      int64_t positions, const tuff_watch *watch, tuff_store *store)
{
    TUFF_TRY(tuff_model_upload(model, trained, watch, store));
    TUFF_TRY(tuff_model_upload_tables(model, positions, watch, store));
    return adapter ? tuff_adapter_upload(adapter, store) : TUFF_OK;
}

/* ---- saving */

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
    const tuff_store *store;
    const tuff_param **whole; /* parameters that go along */
    size_t whole_count;
    tuff_watched work;
} source;

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    source *from = user;
    size_t own = from->adapter->count;
    const char *name = index < own ? from->adapter->tensors[index].name : from->whole[index - own]->name;
    tuff_buffer *buffer = tuff_store_find(from->store, name);
    int64_t n = tuff_buffer_count(buffer);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status = tuff_buffer_read(buffer, 0, values, n);
    if (status == TUFF_OK) status = tuff_sink_write(sink, values, (size_t)n * sizeof *values);
    if (status == TUFF_OK) status = tuff_watched_add(&from->work, (uint64_t)n * sizeof *values);
    tuff_free(values);
    return status;
}

/* Adds the parameters that are trained whole to the items, and the modules that PEFT is to save of them. */
static tuff_status collect_whole(source *from, tuff_arena *arena, tuff_save_item *items,
                                 tuff_adapter_card *card)
{
    const tuff_model *model = from->adapter->model;
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        char text[256];
        if (!p->whole) continue;
        const char *name = tuff_arena_printf(arena, "%s%s", from->adapter->method->whole_prefix, p->hf.name);
        const char *module = tuff_arena_strdup(arena, tuff_param_saved_module(&model->config, p, text));
        if (!name || !module) return tuff_fail_memory("an adapter's config");
        items[from->adapter->count + from->whole_count] =
            (tuff_save_item){.name = name,
                             .storage = TUFF_STORE_F32,
                             .rank = p->rank,
                             .shape = {p->shape[0], p->rank > 1 ? p->shape[1] : 1, 1, 1}};
        from->whole[from->whole_count++] = p;
        size_t n = card->module_count;
        if (!n || strcmp(card->modules[n - 1], module) != 0) card->modules[card->module_count++] = module;
        from->work.total += (uint64_t)tuff_param_elements(p) * sizeof(float);
    }
    return TUFF_OK;
}

/* The name of a tensor in the file. PEFT loads what extracts features onto the layers alone, whose modules
 * have no prefix there; NULL: out of memory. */
static const char *name_in_file(const tuff_adapter *a, const char *name, bool bare, tuff_arena *arena)
{
    const char *prefix = a->model->config.arch->base_prefix, *rest = name + strlen(TUFF_PEFT_PREFIX);
    if (!bare || !tuff_starts_with(name, TUFF_PEFT_PREFIX) || !tuff_starts_with(rest, prefix)) return name;
    return tuff_arena_printf(arena, TUFF_PEFT_PREFIX "%s", rest + strlen(prefix));
}

tuff_status tuff_adapter_save(const tuff_adapter *a, const char *task_type, const tuff_store *store,
                              const tuff_watch *watch, const char *directory)
{
    tuff_status status;
    tuff_arena arena = {0};
    tuff_buf text = {0};
    const size_t most = a->model->params.count;
    const bool bare = task_type && strcmp(task_type, "FEATURE_EXTRACTION") == 0;
    tuff_adapter_card card = {.base = base_model(a->model, &arena), .task_type = task_type};
    source from = {.adapter = a, .store = store, .work = {.watch = watch, .phase = TUFF_PHASE_SAVE}};
    tuff_save_item *items = tuff_arena_array(&arena, a->count + most, sizeof *items);
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
    TUFF_GO(collect_whole(&from, &arena, items, &card));
    TUFF_GO(a->method->describe(a, &card, &text));
    TUFF_GO(tuff_watched_add(&from.work, 0));
    TUFF_GO(tuff_peft_write(directory, &text, items, a->count + from.whole_count, write_tensor, &from));
    if (from.whole_count) TUFF_GO(tuff_adapter_save_labels(a->model, directory));
done:
    tuff_buf_free(&text);
    tuff_arena_free(&arena);
    return status;
}
