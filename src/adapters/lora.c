/* LoRA (Hu et al. 2022): y = W x + b + scale * B (A dropout(x)), per adapted linear layer. */
#include "adapters/lora.h"
#include "adapters/tokens.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

enum { MOST_RANK = 65536, PEFT_RANK = 8 };

tuff_status tuff_lora_begin(tuff_adapter *a, tuff_lora **out)
{
    a->own = *out = tuff_arena_alloc(&a->arena, sizeof **out);
    return *out ? TUFF_OK : tuff_fail_memory("an adapter");
}

static void free_lora(tuff_adapter *a)
{
    tuff_lora *l = a->own;
    tuff_lora_close_parts(l);
    tuff_peft_destroy(&l->peft);
    tuff_gguf_destroy(&l->gguf);
    tuff_map_free(&l->by_module);
    tuff_arena_free(&l->config.arena);
    tuff_free(l->modules);
}

tuff_status tuff_lora_add(tuff_adapter *a, const tuff_param *p, int64_t rank, double scale,
                          const tuff_peft_pair *pair)
{
    const int64_t first[2] = {rank, p->shape[1]}, second[2] = {p->shape[0], rank};
    char name[256];
    if (!tuff_adaptable(p, name)) tuff_lora_is_head(a->model, p, name);
    const tuff_lora_module m = {
        .name = tuff_arena_strdup(&a->arena, name), .param = p, .rank = rank, .scale = scale};
    if (!m.name) return tuff_fail_memory("an adapter");
    return tuff_lora_put(a, m, m.name, first, second, pair);
}

tuff_status tuff_lora_put(tuff_adapter *a, tuff_lora_module m, const char *layer, const int64_t first[2],
                          const int64_t second[2], const tuff_peft_pair *pair)
{
    tuff_lora *l = a->own;
    const tuff_param *p = m.param;
    const bool gguf = l->gguf && p->gguf.layout != TUFF_LAYOUT_ROWS;
    const char *tensors[3] = {
        tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s.%s", layer,
                          m.table ? "lora_embedding_A" : "lora_A.weight"),
        tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s.%s", layer,
                          m.table ? "lora_embedding_B" : "lora_B.weight"),
        tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s.lora_magnitude_vector", layer),
    };
    m.first = a->count;
    if (!tensors[0] || !tensors[1] || !tensors[2] ||
        !tuff_grow((void **)&l->modules, l->count, &l->capacity, sizeof *l->modules) ||
        !tuff_map_put(&l->by_module, p->name, strlen(p->name) - strlen(".weight"), (uint32_t)l->count))
        return tuff_fail_memory("an adapter");
    TUFF_TRY(tuff_adapter_add(a, tensors[0], first[0], first[1], pair ? pair->a : NULL));
    TUFF_TRY(tuff_adapter_add(a, tensors[1], second[0], second[1], pair ? pair->b : NULL));
    if (gguf) a->tensors[a->count - 1].rows_of = p;
    if (l->config.dora) {
        TUFF_TRY(tuff_adapter_add(a, tensors[2], p->shape[0], 0, pair ? pair->magnitude : NULL));
        TUFF_TRY(tuff_dora_add(a, &m));
    }
    l->modules[l->count++] = m;
    return TUFF_OK;
}

/* ---- a new one */

static tuff_status check_settings(const tuff_adapter_settings *s)
{
    if (s->rank < 0 || s->rank > MOST_RANK)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_rank is %lld, expected 1 to %d", (long long)s->rank,
                         MOST_RANK);
    if (!(s->alpha > 0) || !isfinite(s->alpha))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_alpha is %g, expected a number above 0", s->alpha);
    if (!(s->dropout >= 0 && s->dropout < 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "lora_dropout is %g, expected at least 0 and below 1",
                         s->dropout);
    return TUFF_OK;
}

static tuff_status read_patterns(tuff_lora *l, const tuff_adapter_settings *s)
{
    tuff_peft_config *c = &l->config;
    TUFF_TRY(tuff_peft_patterns_parse(s->rank_pattern, "rank_pattern", &c->arena, &c->rank_pattern,
                                      &c->rank_pattern_count));
    for (size_t i = 0; i < c->rank_pattern_count; i++) {
        const double rank = c->rank_pattern[i].value;
        if (rank != floor(rank) || rank < 1 || rank > MOST_RANK)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "rank_pattern has %g for %s, expected a whole number of 1 to %d", rank,
                             c->rank_pattern[i].module, MOST_RANK);
    }
    return tuff_peft_patterns_parse(s->alpha_pattern, "alpha_pattern", &c->arena, &c->alpha_pattern,
                                    &c->alpha_pattern_count);
}

/* Each entry is for some module. */
static tuff_status check_patterns(const tuff_lora *l, const char *option, const tuff_peft_pattern *patterns,
                                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < l->count && !found; k++)
            found = tuff_peft_pattern_is(&patterns[i], l->modules[k].name);
        if (!found)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "%s has \"%s\", and no adapted module is called so; there is %s", option,
                             patterns[i].module, l->count ? l->modules[0].name : "none");
    }
    return TUFF_OK;
}

/* Biases that are trained too: those of the adapted modules, or all. */
static tuff_status add_biases(tuff_adapter *a)
{
    const tuff_lora *l = a->own;
    const tuff_params *params = &a->model->params;
    for (size_t i = 0; l->config.bias && i < params->count; i++) {
        const tuff_param *p = &params->items[i];
        const size_t size = strlen(p->name), ending = strlen(".bias");
        const char *name = NULL;
        uint32_t module;
        if (!tuff_param_is_bias(p) || p->whole) continue;
        const bool adapted = tuff_map_get(&l->by_module, p->name, size - ending, &module);
        if (!adapted && strcmp(l->config.bias, "all") != 0) continue;
        if (adapted) {
            name =
                tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s.base_layer.bias", l->modules[module].name);
            if (!name) return tuff_fail_memory("an adapter");
        }
        TUFF_TRY(tuff_adapter_add_whole(a, p, name));
    }
    if (!l->config.bias || a->whole_count) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: bias is %s, but %s", a->model->path, l->config.bias,
                     strcmp(l->config.bias, "all") == 0 ? "this model has none"
                                                        : "no adapted module has one");
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    tuff_lora *l = NULL;
    const tuff_model *model = a->model;
    TUFF_TRY(tuff_lora_begin(a, &l));
    TUFF_TRY(check_settings(s));
    l->config.dropout = s->dropout;
    l->config.rank = s->rank ? s->rank : PEFT_RANK;
    l->config.alpha = s->alpha;
    l->config.rslora = s->use_rslora;
    l->config.dora = s->use_dora;
    l->seed = s->seed;
    if (!tuff_peft_bias_parse(s->bias, &l->config.bias))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "bias is \"%.40s\", expected none, all or lora_only",
                         s->bias);
    TUFF_TRY(read_patterns(l, s));
    TUFF_TRY(tuff_targets_parse(s->targets ? s->targets : model->config.arch->lora_target, "lora_target",
                                &a->arena, &l->targets));
    for (size_t i = 0; i < l->targets.count; i++)
        l->targets.names[i] = tuff_lora_head_name(model, l->targets.names[i]);
    const bool none = s->parameters && s->targets && !*s->targets;
    for (size_t i = 0; i < model->params.count && !none; i++) {
        const tuff_param *p = &model->params.items[i];
        char name[256];
        const bool outer = !l->targets.all && !tuff_adaptable(p, name),
                   table = outer && tuff_lora_is_table(model, p, name);
        if (!table && !(outer ? tuff_lora_is_head(model, p, name) : tuff_adaptable(p, name))) continue;
        if (!tuff_targets_match(&l->targets, name)) continue;
        TUFF_TRY((table ? tuff_lora_add_table : tuff_lora_add)(a, p, tuff_peft_rank(&l->config, name),
                                                               tuff_peft_scale(&l->config, name), NULL));
    }
    if (none)
        l->targets.count = 0;
    else
        TUFF_TRY(tuff_targets_check(&l->targets, model));
    if (s->parameters) TUFF_TRY(tuff_lora_target_parameters(a, s->parameters));
    TUFF_TRY(add_biases(a));
    TUFF_TRY(check_patterns(l, "rank_pattern", l->config.rank_pattern, l->config.rank_pattern_count));
    return check_patterns(l, "alpha_pattern", l->config.alpha_pattern, l->config.alpha_pattern_count);
}

/* ---- from PEFT's files */

static tuff_status add_pair(tuff_adapter *a, const tuff_param *p, const tuff_peft_pair *pair,
                            const char *file)
{
    if (pair->a->shape[1] != p->shape[1] || pair->b->shape[0] != p->shape[0])
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the adapter of %s is for a layer of %lld to %lld, the model's is %lld to %lld",
                         file, pair->module, (long long)pair->a->shape[1], (long long)pair->b->shape[0],
                         (long long)p->shape[1], (long long)p->shape[0]);
    return tuff_lora_add(a, p, pair->rank, pair->scale, pair);
}

/* An adapter of a classifier has its head along, which a model without one has no place for. */
static void say_unused(const tuff_adapter *a, const tuff_peft_adapter *peft)
{
    const char *unused = NULL;
    size_t count = 0;
    for (size_t i = 0; i < peft->ignored_count; i++) {
        /* PEFT has the table along that it adapts, which is looked at with what is whole, as is a head that
         * is it */
        if (a->model->config.tied && strcmp(peft->ignored[i], TUFF_PEFT_PREFIX "lm_head.weight") == 0)
            continue;
        if (tuff_adapter_is_whole(a, peft->ignored[i]) ||
            tuff_ends_with(peft->ignored[i], TUFF_PEFT_BASE_WEIGHT) ||
            tuff_ends_with(peft->ignored[i], TUFF_TOKENS_LAYER TUFF_TOKENS_ENDING))
            continue;
        if (!count++) unused = peft->ignored[i];
    }
    if (unused)
        tuff_log_to(a->log, TUFF_LOG_WARN,
                    "%s: the tensor %s%s of this adapter is not used: the model has no place for it", a->path,
                    unused, count > 1 ? " (and others)" : "");
}

/* The head, or the table of tokens. */
static tuff_status add_outer(tuff_adapter *a, const tuff_peft_pair *pair, bool *out_taken)
{
    const tuff_param *p = pair->parameter ? NULL : tuff_lora_find_outer(a->model, pair->module, pair->table);
    if (!p) return TUFF_OK;
    *out_taken = true;
    if (!pair->table) return add_pair(a, p, pair, a->path);
    if (pair->a->shape[1] == p->shape[0] && pair->b->shape[0] == p->shape[1])
        return tuff_lora_add_table(a, p, pair->rank, pair->scale, pair);
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: the adapter of %s is for %lld tokens of %lld numbers, the model has %lld of %lld",
                     a->path, pair->module, (long long)pair->a->shape[1], (long long)pair->b->shape[0],
                     (long long)p->shape[0], (long long)p->shape[1]);
}

/* Of a parameter it would be of no help to hear of linear layers. */
static tuff_status missing(const tuff_adapter *a, const tuff_peft_pair *pair)
{
    tuff_buf known = {0};
    if (!pair->parameter) return tuff_adaptable_missing(a->model, pair->module, a->path);
    tuff_lora_list_parameters(a->model, &known);
    const tuff_status status = tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: it adapts %s by target_parameters, which are read where they are matrices of experts, or what "
        "chooses these: this %s model has %s; have PEFT merge it (merge_and_unload), or train it with "
        "target_modules",
        a->path, pair->module, a->model->config.arch->name, known.data ? known.data : "none");
    tuff_buf_free(&known);
    return status;
}

static tuff_status open(tuff_adapter *a)
{
    tuff_lora *l = NULL;
    TUFF_TRY(tuff_lora_begin(a, &l));
    TUFF_TRY(tuff_peft_open_files(a->files, &l->peft));
    say_unused(a, l->peft);
    const tuff_peft_config *c = l->peft->config;
    l->config.rank = c->rank;
    l->config.alpha = c->alpha;
    l->config.dropout = c->dropout;
    l->config.dora = c->dora;
    l->config.bias = c->bias;
    const size_t count = l->peft->pair_count;
    bool *taken = tuff_arena_array(&a->arena, count, sizeof *taken);
    if (!taken) return tuff_fail_memory("an adapter");
    for (size_t i = 0; i < count; i++) {
        const tuff_param *p = tuff_adaptable_find(a->model, l->peft->pairs[i].module);
        taken[i] = p && !l->peft->pairs[i].parameter;
        if (taken[i]) TUFF_TRY(add_pair(a, p, &l->peft->pairs[i], a->path));
        if (!taken[i]) TUFF_TRY(add_outer(a, &l->peft->pairs[i], &taken[i]));
    }
    if (l->count < count) TUFF_TRY(tuff_lora_open_parameters(a, taken));
    for (size_t i = 0; i < count; i++)
        if (!taken[i]) return missing(a, &l->peft->pairs[i]);
    if (l->count || a->whole_count) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it has biases alone (BitFit), none of which the %s model %s has",
                     a->path, a->model->config.arch->name, a->model->path);
}

/* ---- in graphs and weights */

static tuff_tensor *linear(void *self, tuff_net *net, const char *name, tuff_tensor *x, tuff_tensor *w,
                           tuff_tensor *y)
{
    const tuff_adapter *adapter = self;
    const tuff_lora *l = adapter->own;
    tuff_graph *g = net->g;
    uint32_t i;
    if (!tuff_map_get(&l->by_module, name, strlen(name), &i)) return y;
    const tuff_lora_module *m = &l->modules[i];
    tuff_tensor *a = tuff_adapter_variable(adapter, net, m->first);
    tuff_tensor *b = tuff_adapter_variable(adapter, net, m->first + 1), *dropped = NULL;
    if (adapter->training && l->config.dropout > 0) {
        x = dropped = tuff_dropout(g, x, tuff_net_seed(net), l->config.dropout, TUFF_STREAM_DROPOUT + i);
    }
    tuff_tensor *low = tuff_matmul(g, tuff_matmul(g, x, tuff_transpose(g, a)), tuff_transpose(g, b));
    low = tuff_scale(g, low, m->scale);
    return l->config.dora ? tuff_dora_linear(adapter, net, m, dropped, w, y, low) : tuff_add(g, y, low);
}

/* The module of a weight; NULL: it is not adapted. */
static const tuff_lora_module *module_of(const tuff_lora *l, const tuff_param *p)
{
    uint32_t i;
    const size_t size = strlen(p->name), ending = strlen(".weight");
    if (!tuff_ends_with(p->name, ".weight")) return NULL;
    return tuff_map_get(&l->by_module, p->name, size - ending, &i) ? &l->modules[i] : NULL;
}

static bool changes(const tuff_adapter *a, const tuff_param *p)
{
    return module_of(a->own, p) != NULL;
}

static tuff_status merge(const tuff_adapter *a, const tuff_param *p, int64_t begin, int64_t end,
                         float *values)
{
    const tuff_lora_module *m = module_of(a->own, p);
    return m->experts ? tuff_lora_expert_rows(a, m, p, begin, end, values)
           : m->table ? tuff_lora_table_rows(a, m, begin, end, values)
                      : tuff_lora_rows(a, m, begin, end, values, NULL);
}

double tuff_lora_combine(const tuff_lora_factors *f, int64_t r, const float *w)
{
    double square = 0;
    memset(f->row, 0, (size_t)f->columns * sizeof *f->row);
    for (int64_t j = 0; j < f->rank; j++)
        for (int64_t k = 0; k < f->columns; k++)
            f->row[k] += (double)f->b[r * f->rank + j] * f->a[j * f->columns + k];
    for (int64_t k = 0; k < f->columns; k++) {
        f->row[k] = w[k] + f->scale * f->row[k];
        square += f->row[k] * f->row[k];
    }
    return sqrt(square);
}

tuff_status tuff_lora_rows(const tuff_adapter *a, const tuff_lora_module *m, int64_t begin, int64_t end,
                           float *values, double *lengths)
{
    const tuff_lora *l = a->own;
    const int64_t rank = m->rank, columns = m->param->shape[1], all = m->param->shape[0], n = end - begin;
    const bool dora = l->config.dora && !lengths;
    const tuff_lora_factors f = {.rank = rank,
                                 .columns = columns,
                                 .scale = m->scale,
                                 .a = tuff_alloc_array((size_t)(rank * columns), sizeof(float)),
                                 .b = tuff_alloc_array((size_t)(n * rank), sizeof(float)),
                                 .magnitudes = dora ? tuff_alloc_array((size_t)all, sizeof(float)) : NULL,
                                 .row = tuff_alloc_array((size_t)columns, sizeof(double))};
    tuff_status status =
        f.a && f.b && f.row && (f.magnitudes || !dora) ? TUFF_OK : tuff_fail_memory("an adapter's weights");
    if (status == TUFF_OK) status = tuff_adapter_read(a, m->first, 0, rank, f.a);
    if (status == TUFF_OK) status = tuff_adapter_read(a, m->first + 1, begin, end, f.b);
    if (status == TUFF_OK && dora) status = tuff_adapter_read(a, m->first + 2, 0, 1, f.magnitudes);
    for (int64_t r = 0; r < n && status == TUFF_OK; r++) {
        const double length = tuff_lora_combine(&f, r, values + r * columns),
                     factor = dora ? f.magnitudes[begin + r] / length : 1;
        if (lengths) lengths[r] = length;
        for (int64_t k = 0; !lengths && k < columns; k++)
            values[r * columns + k] = (float)(factor * f.row[k]);
    }
    tuff_free(f.a);
    tuff_free(f.b);
    tuff_free(f.magnitudes);
    tuff_free(f.row);
    return status;
}

/* The module of a tensor. */
static const tuff_lora_module *module_with(const tuff_lora *l, size_t index)
{
    return &l->modules[index / (l->config.dora ? 3 : 2)];
}

/* A: kaiming_uniform_(a = sqrt 5), uniform in +-1 / sqrt(in) (He et al. 2015; peft's LoraLayer), each its own
 * stream of the seed. B stays zero. */
static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const tuff_lora *l = a->own;
    const tuff_lora_module *m = module_with(l, index);
    const int64_t *shape = a->tensors[index].shape;
    const double bound = 1.0 / sqrt((double)shape[1]);
    const uint32_t stream = TUFF_STREAM_INIT + (uint32_t)(m - l->modules);
    if (index == m->first + 2) return tuff_dora_start(a, m, values);
    if (m->table) {
        tuff_lora_start_table(a, m, index, values);
        return TUFF_OK;
    }
    for (int64_t k = 0; index == m->first && k < shape[0] * shape[1]; k++)
        values[k] = (float)(bound * (2 * tuff_rng_uniform(l->seed, (uint64_t)k, 0, stream) - 1));
    return TUFF_OK;
}

/* ---- writing */

/* What target_modules lists: the targets as given, else the distinct last parts of the adapted modules. */
static tuff_status collect_targets(const tuff_lora *l, tuff_arena *arena, tuff_peft_config *config)
{
    config->parameters = l->parameters.names;
    config->parameter_count = l->parameters.count;
    if (l->targets.count) {
        config->targets = l->targets.names;
        config->target_count = l->targets.count;
        return TUFF_OK;
    }
    config->targets = tuff_arena_array(arena, l->count + 1, sizeof *config->targets);
    if (!config->targets) return tuff_fail_memory("an adapter's config");
    for (size_t i = 0; i < l->count; i++) {
        if (l->modules[i].parameter) continue;
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
    const tuff_lora *l = a->own;
    tuff_arena arena = {0};
    tuff_peft_config config = l->config;
    config.base_model = card->base;
    config.task_type = card->task_type;
    config.modules = card->modules;
    config.module_count = card->module_count;
    for (size_t i = 0; i < l->count; i++)
        config.fan_in_fan_out |= tuff_adaptable_conv1d(a->model, l->modules[i].name);
    tuff_buf tokens = {0};
    tuff_status status = collect_targets(l, &arena, &config);
    if (a->row_count) tuff_tokens_print(a, &tokens);
    config.tokens = tokens.data;
    if (status == TUFF_OK && tokens.failed) status = tuff_fail_memory("an adapter's config");
    if (status == TUFF_OK) tuff_peft_config_print(&config, out);
    tuff_buf_free(&tokens);
    tuff_arena_free(&arena);
    return status;
}

const tuff_method tuff_method_lora = {
    .peft_type = "LORA",
    .title = "LoRA",
    .whole_prefix = TUFF_PEFT_PREFIX,
    .token_layer = TUFF_TOKENS_LAYER,
    .points = {.embeddings = tuff_lora_embeddings, .linear = linear, .experts = tuff_lora_at_experts},
    .create = create,
    .open = open,
    .open_gguf = tuff_lora_open_gguf,
    .write_gguf = tuff_lora_write_gguf,
    .start = start,
    .gather = tuff_lora_gather,
    .fill = tuff_dora_fill,
    .describe = describe,
    .free = free_lora,
    .changes = changes,
    .unties = tuff_lora_unties,
    .merge = merge};
