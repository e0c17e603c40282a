/* LoRA (Hu et al. 2022): y = W x + b + scale * B (A dropout(x)), per adapted linear layer. */
#include <math.h>
#include <string.h>

#include "adapters/adapter.h"
#include "adapters/targets.h"
#include "base/rng.h"

/* An adapted module: its tensors are 2 i, A [rank, in], and 2 i + 1, B [out, rank]. */
typedef struct module {
    const char *name;
    double scale;
} module;

typedef struct lora {
    module *modules;
    size_t count, capacity;
    tuff_map by_module;
    tuff_peft_adapter *peft; /* where opened from files */
    int64_t rank;            /* of the config to be written */
    double alpha, dropout;
    tuff_targets targets; /* as given; none: every linear layer, or as the file says */
    uint64_t seed;
} lora;

static tuff_status begin(tuff_adapter *a, lora **out)
{
    a->own = *out = tuff_arena_alloc(&a->arena, sizeof **out);
    return *out ? TUFF_OK : tuff_fail_memory("an adapter");
}

static void free_lora(tuff_adapter *a)
{
    lora *l = a->own;
    tuff_peft_destroy(&l->peft);
    tuff_map_free(&l->by_module);
    tuff_free(l->modules);
}

/* `pair` NULL: a new one. */
static tuff_status add(tuff_adapter *a, const char *name, const tuff_param *p, int64_t rank, double scale,
                       const tuff_peft_pair *pair)
{
    lora *l = a->own;
    const char *tensors[2] = {
        tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s.lora_A.weight", name),
        tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s.lora_B.weight", name),
    };
    module m = {.name = tuff_arena_strdup(&a->arena, name), .scale = scale};
    if (!tensors[0] || !tensors[1] || !m.name ||
        !tuff_grow((void **)&l->modules, l->count, &l->capacity, sizeof *l->modules) ||
        !tuff_map_put(&l->by_module, name, strlen(name), (uint32_t)l->count))
        return tuff_fail_memory("an adapter");
    TUFF_TRY(tuff_adapter_add(a, tensors[0], rank, p->shape[1], pair ? pair->a : NULL));
    TUFF_TRY(tuff_adapter_add(a, tensors[1], p->shape[0], rank, pair ? pair->b : NULL));
    l->modules[l->count++] = m;
    return TUFF_OK;
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    lora *l = NULL;
    const tuff_model *model = a->model;
    TUFF_TRY(begin(a, &l));
    if (s->rank < 1 || s->rank > 65536)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_rank is %lld, expected 1 to 65536", (long long)s->rank);
    if (!(s->alpha > 0) || !isfinite(s->alpha))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_alpha is %g, expected a number above 0", s->alpha);
    if (!(s->dropout >= 0 && s->dropout < 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_dropout is %g, expected at least 0 and below 1",
                         s->dropout);
    l->dropout = s->dropout;
    l->rank = s->rank;
    l->alpha = s->alpha;
    l->seed = s->seed;
    TUFF_TRY(tuff_targets_parse(s->targets ? s->targets : model->config.arch->lora_target, "lora_target",
                                &a->arena, &l->targets));
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        char name[256];
        if (!tuff_adaptable(p, name) || !tuff_targets_match(&l->targets, name)) continue;
        TUFF_TRY(add(a, name, p, s->rank, s->alpha / (double)s->rank, NULL));
    }
    return tuff_targets_check(&l->targets, model);
}

static tuff_status add_pair(tuff_adapter *a, const tuff_peft_pair *pair, const char *file)
{
    const tuff_param *p = tuff_adaptable_find(a->model, pair->module);
    if (!p) return tuff_adaptable_missing(a->model, pair->module, file);
    bool fits = pair->a->rank == 2 && pair->b->rank == 2 && pair->a->shape[0] == pair->rank &&
                pair->a->shape[1] == p->shape[1] && pair->b->shape[0] == p->shape[0] &&
                pair->b->shape[1] == pair->rank;
    if (!fits)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the adapter of %s is for a layer of %lld to %lld, the model's is %lld to %lld",
                         file, pair->module, (long long)pair->a->shape[1], (long long)pair->b->shape[0],
                         (long long)p->shape[1], (long long)p->shape[0]);
    char name[256];
    tuff_adaptable(p, name);
    return add(a, name, p, pair->rank, pair->scale, pair);
}

static tuff_status open(tuff_adapter *a)
{
    lora *l = NULL;
    const char *file = a->files->weights_path;
    TUFF_TRY(begin(a, &l));
    TUFF_TRY(tuff_peft_open_files(a->files, &l->peft));
    /* An adapter of a classifier has its head along, which a model without one has no place for. */
    const char *unused = NULL;
    size_t count = 0;
    for (size_t i = 0; i < l->peft->ignored_count; i++) {
        if (tuff_adapter_is_whole(a, l->peft->ignored[i])) continue;
        if (!count++) unused = l->peft->ignored[i];
    }
    if (unused)
        tuff_log_to(a->log, TUFF_LOG_WARN,
                    "%s: the tensor %s%s of this adapter is not used: the model has no place for it", file,
                    unused, count > 1 ? " (and others)" : "");
    l->rank = l->peft->config->rank;
    l->alpha = l->peft->config->alpha;
    l->dropout = l->peft->config->dropout;
    for (size_t i = 0; i < l->peft->pair_count; i++)
        TUFF_TRY(add_pair(a, &l->peft->pairs[i], file));
    return TUFF_OK;
}

static tuff_tensor *linear(void *self, tuff_net *net, const char *name, tuff_tensor *x, tuff_tensor *w,
                           tuff_tensor *y)
{
    const tuff_adapter *adapter = self;
    const lora *l = adapter->own;
    tuff_graph *g = net->g;
    uint32_t i;
    (void)w;
    if (!tuff_map_get(&l->by_module, name, strlen(name), &i)) return y;
    tuff_tensor *a = tuff_adapter_variable(adapter, net, 2 * (size_t)i);
    tuff_tensor *b = tuff_adapter_variable(adapter, net, 2 * (size_t)i + 1);
    if (adapter->training && l->dropout > 0) {
        tuff_tensor *seed = tuff_graph_leaf(g, "dropout_seed");
        if (!seed) seed = tuff_input(g, "dropout_seed", TUFF_U32, 1, (int64_t[]){3});
        x = tuff_dropout(g, x, seed, l->dropout, TUFF_STREAM_DROPOUT + i);
    }
    tuff_tensor *low = tuff_matmul(g, x, tuff_transpose(g, a));
    return tuff_add(g, y, tuff_scale(g, tuff_matmul(g, low, tuff_transpose(g, b)), l->modules[i].scale));
}

/* Number of the module of a weight; SIZE_MAX: it is not adapted. */
static size_t module_of(const lora *l, const tuff_param *p)
{
    uint32_t i;
    const size_t size = strlen(p->name), ending = strlen(".weight");
    if (!tuff_ends_with(p->name, ".weight")) return SIZE_MAX;
    return tuff_map_get(&l->by_module, p->name, size - ending, &i) ? i : SIZE_MAX;
}

static bool changes(const tuff_adapter *a, const tuff_param *p)
{
    return module_of(a->own, p) != SIZE_MAX;
}

/* Rows of W + scale * B A; `sum` has room for one. */
static void add_product(const float *a, const float *b, double scale, int64_t rows, int64_t rank,
                        int64_t columns, double *sum, float *values)
{
    for (int64_t r = 0; r < rows; r++, values += columns) {
        memset(sum, 0, (size_t)columns * sizeof *sum);
        for (int64_t j = 0; j < rank; j++)
            for (int64_t k = 0; k < columns; k++)
                sum[k] += (double)b[r * rank + j] * a[j * columns + k];
        for (int64_t k = 0; k < columns; k++)
            values[k] = (float)(values[k] + scale * sum[k]);
    }
}

static tuff_status merge(const tuff_adapter *adapter, const tuff_param *p, int64_t begin, int64_t end,
                         float *values)
{
    const lora *l = adapter->own;
    const size_t i = module_of(l, p);
    const int64_t rank = adapter->tensors[2 * i].shape[0], columns = p->shape[1], rows = end - begin;
    float *a = tuff_alloc_array((size_t)(rank * columns), sizeof *a),
          *b = tuff_alloc_array((size_t)(rows * rank), sizeof *b);
    double *sum = tuff_alloc_array((size_t)columns, sizeof *sum);
    tuff_status status = a && b && sum ? TUFF_OK : tuff_fail_memory("an adapter's weights");
    if (status == TUFF_OK) status = tuff_adapter_read(adapter, 2 * i, 0, rank, a);
    if (status == TUFF_OK) status = tuff_adapter_read(adapter, 2 * i + 1, begin, end, b);
    if (status == TUFF_OK) add_product(a, b, l->modules[i].scale, rows, rank, columns, sum, values);
    tuff_free(a);
    tuff_free(b);
    tuff_free(sum);
    return status;
}

/* A: kaiming_uniform_(a = sqrt 5), uniform in +-1 / sqrt(in) (He et al. 2015; peft's LoraLayer), each its own
 * stream of the seed. B stays zero. */
static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const lora *l = a->own;
    const int64_t *shape = a->tensors[index].shape;
    double bound = 1.0 / sqrt((double)shape[1]);
    uint32_t stream = TUFF_STREAM_INIT + (uint32_t)(index / 2);
    for (int64_t k = 0; index % 2 == 0 && k < shape[0] * shape[1]; k++)
        values[k] = (float)(bound * (2 * tuff_rng_uniform(l->seed, (uint64_t)k, 0, stream) - 1));
    return TUFF_OK;
}

/* What target_modules lists: the targets as given, else the distinct last parts of the adapted modules. */
static tuff_status collect_targets(const lora *l, tuff_peft_config *config)
{
    if (l->targets.count) {
        config->targets = l->targets.names;
        config->target_count = l->targets.count;
        return TUFF_OK;
    }
    config->targets = tuff_arena_array(&config->arena, l->count + 1, sizeof *config->targets);
    if (!config->targets) return tuff_fail_memory("an adapter's config");
    for (size_t i = 0; i < l->count; i++) {
        const char *dot = strrchr(l->modules[i].name, '.');
        const char *last = dot ? dot + 1 : l->modules[i].name;
        bool known = false;
        for (size_t k = 0; k < config->target_count; k++)
            known = known || strcmp(config->targets[k], last) == 0;
        if (!known) config->targets[config->target_count++] = last;
    }
    return TUFF_OK;
}

static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const lora *l = a->own;
    tuff_peft_config config = {.base_model = card->base,
                               .task_type = card->task_type,
                               .modules = card->modules,
                               .module_count = card->module_count,
                               .rank = l->rank,
                               .alpha = l->alpha,
                               .dropout = l->dropout};
    for (size_t i = 0; i < l->count; i++)
        config.fan_in_fan_out |= tuff_adaptable_conv1d(a->model, l->modules[i].name);
    tuff_status status = collect_targets(l, &config);
    if (status == TUFF_OK) tuff_peft_config_print(&config, out);
    tuff_arena_free(&config.arena);
    return status;
}

const tuff_method tuff_method_lora = {.peft_type = "LORA",
                                      .title = "LoRA",
                                      .whole_prefix = TUFF_PEFT_PREFIX,
                                      .points = {.linear = linear},
                                      .create = create,
                                      .open = open,
                                      .start = start,
                                      .describe = describe,
                                      .free = free_lora,
                                      .changes = changes,
                                      .merge = merge};
