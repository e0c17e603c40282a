/* LoRA adapters as PEFT directories. */
#include <string.h>

#include "adapters/lora_impl.h"
#include "base/log.h"

static const tuff_param *find_param(const tuff_model *model, const char *module)
{
    for (size_t i = 0; i < model->params.count; i++) {
        char name[256];
        if (tuff_lora_adaptable(&model->params.items[i], name) && strcmp(name, module) == 0)
            return &model->params.items[i];
    }
    return NULL;
}

static tuff_status add_pair(tuff_lora *lora, const tuff_peft_pair *pair, const char *directory)
{
    const tuff_param *p = find_param(lora->model, pair->module);
    const char *refusal = tuff_lora_refusal(lora->model, pair->module);
    if (!p && refusal)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: it adapts %s, which %s", directory, pair->module, refusal);
    if (!p)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it adapts %s, which is no linear layer of the %s model %s",
                         directory, pair->module, lora->model->config.arch->name, lora->model->path);
    bool fits = pair->a->rank == 2 && pair->b->rank == 2 && pair->a->shape[0] == pair->rank &&
                pair->a->shape[1] == p->shape[1] && pair->b->shape[0] == p->shape[0] &&
                pair->b->shape[1] == pair->rank;
    if (!fits)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the adapter of %s is for a layer of %lld to %lld, the model's is %lld to %lld",
                         directory, pair->module, (long long)pair->a->shape[1], (long long)pair->b->shape[0],
                         (long long)p->shape[1], (long long)p->shape[0]);
    TUFF_TRY(tuff_weight_check_finite(pair->a));
    TUFF_TRY(tuff_weight_check_finite(pair->b));
    return tuff_lora_add(lora, pair->module, p->shape[1], p->shape[0], pair->rank, pair->scale);
}

/* An adapter of a classifier has its head along, which a language model has no place for. */
static void say_unused(const tuff_peft_adapter *peft, const char *directory, const tuff_log_receiver *log)
{
    if (!peft->ignored_count) return;
    tuff_log_to(
        log, TUFF_LOG_WARN,
        "%s: the tensor %s%s of this adapter is not used: Tuff applies its LoRA matrices only, to a language "
        "model",
        directory, peft->ignored[0], peft->ignored_count > 1 ? " (and others)" : "");
}

static tuff_status open_peft(tuff_lora *lora, const char *directory, const tuff_log_receiver *log)
{
    TUFF_TRY(tuff_peft_open(directory, &lora->peft));
    say_unused(lora->peft, directory, log);
    lora->rank = lora->peft->config->rank;
    lora->alpha = lora->peft->config->alpha;
    lora->dropout = lora->peft->config->dropout;
    for (size_t i = 0; i < lora->peft->pair_count; i++)
        TUFF_TRY(add_pair(lora, &lora->peft->pairs[i], directory));
    return TUFF_OK;
}

tuff_status tuff_lora_open(const tuff_model *model, const char *directory, const tuff_log_receiver *log,
                           tuff_lora **out_lora)
{
    TUFF_TRY(tuff_lora_new(model, out_lora));
    tuff_status status = open_peft(*out_lora, directory, log);
    if (status != TUFF_OK) tuff_lora_destroy(out_lora);
    return status;
}

/* What target_modules lists: the targets as given, else the distinct last parts of the adapted modules. */
static tuff_status collect_targets(const tuff_lora *lora, tuff_peft_config *config)
{
    if (lora->target_count) {
        config->targets = lora->targets;
        config->target_count = lora->target_count;
        return TUFF_OK;
    }
    config->targets = tuff_arena_array(&config->arena, lora->count + 1, sizeof *config->targets);
    if (!config->targets) return tuff_fail_memory("an adapter's config");
    for (size_t i = 0; i < lora->count; i++) {
        const char *dot = strrchr(lora->modules[i].module, '.');
        const char *last = dot ? dot + 1 : lora->modules[i].module;
        bool known = false;
        for (size_t k = 0; k < config->target_count; k++)
            known = known || strcmp(config->targets[k], last) == 0;
        if (!known) config->targets[config->target_count++] = last;
    }
    return TUFF_OK;
}

typedef struct source {
    const tuff_lora *lora;
    const tuff_store *store;
    const tuff_param **whole; /* parameters that go along */
    size_t whole_count;
    tuff_watched work;
} source;

/* Adds the parameters that are trained whole, and the modules that PEFT is to save of them. */
static tuff_status collect_whole(source *from, tuff_peft_config *config)
{
    const tuff_params *params = &from->lora->model->params;
    from->whole = tuff_arena_array(&config->arena, params->count + 1, sizeof *from->whole);
    tuff_save_item *items = tuff_arena_array(&config->arena, params->count + 1, sizeof *items);
    config->modules = tuff_arena_array(&config->arena, params->count + 1, sizeof *config->modules);
    if (!from->whole || !items || !config->modules) return tuff_fail_memory("an adapter's config");
    for (size_t i = 0; i < params->count; i++) {
        const tuff_param *p = &params->items[i];
        char text[256];
        if (!p->whole) continue;
        tuff_save_item *item = &items[from->whole_count];
        *item = (tuff_save_item){.name = p->hf.name,
                                 .dtype = TUFF_F32,
                                 .rank = (unsigned)p->rank,
                                 .shape = {p->shape[0], p->rank > 1 ? p->shape[1] : 1, 1, 1}};
        from->whole[from->whole_count++] = p;
        const char *module =
            tuff_arena_strdup(&config->arena, tuff_param_saved_module(&from->lora->model->config, p, text));
        if (!module) return tuff_fail_memory("an adapter's config");
        size_t n = config->module_count;
        if (!n || strcmp(config->modules[n - 1], module) != 0)
            config->modules[config->module_count++] = module;
        from->work.total += (uint64_t)tuff_param_elements(p) * sizeof(float);
    }
    config->whole = items;
    config->whole_count = from->whole_count;
    return TUFF_OK;
}

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    source *from = user;
    size_t pairs = 2 * from->lora->count;
    const tuff_lora_module *m = index < pairs ? &from->lora->modules[index / 2] : NULL;
    const char *name = !m ? from->whole[index - pairs]->name : index % 2 ? m->b : m->a;
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

static bool any_conv1d(const tuff_lora *lora)
{
    for (size_t i = 0; i < lora->count; i++) {
        const tuff_param *p = find_param(lora->model, lora->modules[i].module);
        if (p && p->hf.layout == TUFF_LAYOUT_TRANSPOSED) return true;
    }
    return false;
}

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

tuff_status tuff_lora_save(const tuff_lora *lora, const char *task_type, const tuff_store *store,
                           const tuff_watch *watch, const char *directory)
{
    tuff_peft_config config = {.task_type = task_type,
                               .rank = lora->rank,
                               .alpha = lora->alpha,
                               .dropout = lora->dropout,
                               .fan_in_fan_out = any_conv1d(lora)};
    config.base_model = base_model(lora->model, &config.arena);
    tuff_peft_item *items = tuff_alloc_array(lora->count + 1, sizeof *items);
    tuff_status status = items ? collect_targets(lora, &config) : tuff_fail_memory("an adapter's config");
    for (size_t i = 0; i < lora->count && status == TUFF_OK; i++) {
        const tuff_lora_module *m = &lora->modules[i];
        items[i] = (tuff_peft_item){.module = m->module, .in = m->in, .out = m->out, .rank = m->rank};
    }
    source from = {.lora = lora, .store = store, .work = {.watch = watch, .phase = TUFF_PHASE_SAVE}};
    for (size_t i = 0; i < lora->count; i++)
        from.work.total +=
            (uint64_t)(lora->modules[i].rank * (lora->modules[i].in + lora->modules[i].out)) * sizeof(float);
    if (status == TUFF_OK) status = collect_whole(&from, &config);
    if (status == TUFF_OK) status = tuff_watched_add(&from.work, 0);
    if (status == TUFF_OK)
        status = tuff_peft_save(directory, &config, items, lora->count, TUFF_F32, write_tensor, &from);
    tuff_free(items);
    tuff_arena_free(&config.arena);
    return status;
}
