/* VeRA (Kopiczko et al. 2024): y = W x + b + lambda_b * (B (lambda_d * (A x))). A and B are drawn once and
 * for all modules, which take as many columns of A and rows of B as they need; of each module two vectors are
 * trained. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/adapter.h"
#include "adapters/targets.h"
#include "base/memory.h"
#include "base/mersenne.h"
#include "base/rng.h"

enum { MOST_RANK = 65536, PEFT_RANK = 256 };

/* The fixed tensors, and what they are called in files. */
enum { MATRIX_A, MATRIX_B, MATRICES };
static const char *const matrix_names[MATRICES] = {"base_model.vera_A", "base_model.vera_B"};

#define LAMBDA_B ".vera_lambda_b"
#define LAMBDA_D ".vera_lambda_d"

typedef struct vera_module {
    const char *name;
    const tuff_param *param;
    size_t first; /* of its tensors: lambda_b [out], lambda_d [rank] */
} vera_module;

typedef struct vera {
    vera_module *modules;
    size_t count, capacity;
    tuff_map by_module;
    tuff_targets targets;              /* of a new one */
    int64_t rank, shapes[MATRICES][2]; /* A [rank, in], B [out, rank] of the widest modules */
    double dropout, initial;
    uint64_t key;                          /* that A and B are drawn from */
    const tuff_weight *matrices[MATRICES]; /* in the files; NULL: they are drawn */
} vera;

static void free_vera(tuff_adapter *a)
{
    vera *v = a->own;
    tuff_map_free(&v->by_module);
    tuff_free(v->modules);
}

static tuff_status begin(tuff_adapter *a, vera **out)
{
    a->own = *out = tuff_arena_alloc(&a->arena, sizeof **out);
    return *out ? TUFF_OK : tuff_fail_memory("an adapter");
}

static tuff_status add(tuff_adapter *a, const tuff_param *p, const tuff_weight *b, const tuff_weight *d)
{
    vera *v = a->own;
    char name[256];
    tuff_adaptable(p, name);
    const vera_module m = {.name = tuff_arena_strdup(&a->arena, name), .param = p, .first = a->count};
    const char *lambda_b = tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s" LAMBDA_B, name),
               *lambda_d = tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s" LAMBDA_D, name);
    if (!m.name || !lambda_b || !lambda_d ||
        !tuff_grow((void **)&v->modules, v->count, &v->capacity, sizeof *v->modules) ||
        !tuff_map_put(&v->by_module, name, strlen(name), (uint32_t)v->count))
        return tuff_fail_memory("an adapter");
    TUFF_TRY(tuff_adapter_add(a, lambda_b, p->shape[0], 0, b));
    TUFF_TRY(tuff_adapter_add(a, lambda_d, v->rank, 0, d));
    v->modules[v->count++] = m;
    if (p->shape[1] > v->shapes[MATRIX_A][1]) v->shapes[MATRIX_A][1] = p->shape[1];
    if (p->shape[0] > v->shapes[MATRIX_B][0]) v->shapes[MATRIX_B][0] = p->shape[0];
    return TUFF_OK;
}

/* The matrices, once their shapes are known; `saved`: files are to have them. */
static tuff_status add_matrices(tuff_adapter *a, bool saved)
{
    const vera *v = a->own;
    for (int i = 0; i < MATRICES; i++) {
        TUFF_TRY(tuff_adapter_add_fixed(a, matrix_names[i], v->shapes[i][0] * v->shapes[i][1], 0));
        if (saved)
            a->derived[a->derived_count++] =
                (tuff_adapter_derived){matrix_names[i], {v->shapes[i][0], v->shapes[i][1]}};
    }
    return TUFF_OK;
}

/* ---- a new one */

/* As PEFT has them: where they are not LoRA's. */
static const char *usual(const tuff_model *model)
{
    return strcmp(model->config.arch->name, "phi") == 0 ? "q_proj,v_proj" : model->config.arch->lora_target;
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    vera *v = NULL;
    const tuff_model *model = a->model;
    TUFF_TRY(begin(a, &v));
    v->rank = s->rank ? s->rank : PEFT_RANK;
    v->dropout = s->dropout;
    v->initial = s->d_initial != 0 ? s->d_initial : 0.1;
    v->key = s->projection_key;
    v->shapes[MATRIX_A][0] = v->shapes[MATRIX_B][1] = v->rank;
    if (v->rank < 1 || v->rank > MOST_RANK)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the rank is %lld, expected 1 to %d", (long long)v->rank,
                         MOST_RANK);
    if (!(v->dropout >= 0 && v->dropout < 1) || !isfinite(v->initial))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "vera_dropout is %g and d_initial %g, expected at least 0 and below 1, and any number",
            v->dropout, v->initial);
    TUFF_TRY(
        tuff_targets_parse(s->targets ? s->targets : usual(model), "target_modules", &a->arena, &v->targets));
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        char name[256];
        if (tuff_adaptable(p, name) && tuff_targets_match(&v->targets, name)) TUFF_TRY(add(a, p, NULL, NULL));
    }
    TUFF_TRY(tuff_targets_check(&v->targets, model));
    return add_matrices(a, true);
}

/* ---- from PEFT's files */

static tuff_status read_config(tuff_adapter *a)
{
    vera *v = a->own;
    const cJSON *json = a->files->config;
    const char *file = a->files->config_path;
    int64_t key = 0;
    v->rank = PEFT_RANK;
    TUFF_TRY(tuff_json_int(json, "r", file, &v->rank));
    TUFF_TRY(tuff_json_int(json, "projection_prng_key", file, &key));
    TUFF_TRY(tuff_json_number(json, "vera_dropout", file, &v->dropout));
    v->key = (uint64_t)key;
    v->shapes[MATRIX_A][0] = v->shapes[MATRIX_B][1] = v->rank;
    if (v->rank >= 1 && v->rank <= MOST_RANK && v->dropout >= 0 && v->dropout < 1) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: the rank 'r' is %lld and 'vera_dropout' %g; 1 to %d and 0 to 1 are expected", file,
                     (long long)v->rank, v->dropout, MOST_RANK);
}

/* The vectors of a module, by its lambda_b. */
static tuff_status open_module(tuff_adapter *a, const tuff_weight *b)
{
    const vera *v = a->own;
    const tuff_weights *weights = a->files->weights;
    const char *name = b->name + (tuff_starts_with(b->name, TUFF_PEFT_PREFIX) ? strlen(TUFF_PEFT_PREFIX) : 0);
    const size_t size = strlen(b->name) - strlen(LAMBDA_B);
    const char *module = tuff_arena_printf(&a->arena, "%.*s", (int)(strlen(name) - strlen(LAMBDA_B)), name),
               *other = tuff_arena_printf(&a->arena, "%.*s" LAMBDA_D, (int)size, b->name);
    if (!module || !other) return tuff_fail_memory("an adapter");
    const tuff_param *p = tuff_adaptable_find(a->model, module);
    if (!p) return tuff_adaptable_missing(a->model, module, b->file);
    const tuff_weight *d = NULL;
    const int64_t outputs[] = {p->shape[0]}, ranks[] = {v->rank};
    TUFF_TRY(tuff_weights_require(weights, b->name, 1, outputs, &b));
    TUFF_TRY(tuff_weights_require(weights, other, 1, ranks, &d));
    return add(a, p, b, d);
}

/* A and B of the files, which may be wider than these modules need. */
static tuff_status open_matrices(tuff_adapter *a)
{
    vera *v = a->own;
    bool saved = true;
    TUFF_TRY(tuff_json_bool(a->files->config, "save_projection", a->files->config_path, &saved));
    for (int i = 0; i < MATRICES; i++) {
        const tuff_weight *w = v->matrices[i] = tuff_weights_find(a->files->weights, matrix_names[i]);
        if (!w && !saved) continue;
        if (!w)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no tensor '%s', though 'save_projection' is set",
                             a->path, matrix_names[i]);
        TUFF_TRY(tuff_weight_check_readable(w));
        int64_t *need = v->shapes[i];
        if (w->rank != 2 || w->shape[i] != v->rank || w->shape[1 - i] < need[1 - i]) {
            char found[100];
            tuff_weight_shape_text(w->rank, w->shape, found, sizeof found);
            return tuff_fail(TUFF_BAD_FORMAT,
                             "%s: tensor '%s' has shape %s, at least [%lld, %lld] is expected", w->file,
                             w->name, found, (long long)need[0], (long long)need[1]);
        }
        need[1 - i] = w->shape[1 - i];
        TUFF_TRY(tuff_weight_check_finite(w));
    }
    return add_matrices(a, saved);
}

static tuff_status open(tuff_adapter *a)
{
    vera *v = NULL;
    const tuff_weights *weights = a->files->weights;
    TUFF_TRY(begin(a, &v));
    TUFF_TRY(read_config(a));
    for (size_t i = 0; i < weights->count; i++) {
        const tuff_weight *w = &weights->items[i];
        const bool known = tuff_ends_with(w->name, LAMBDA_D) || strcmp(w->name, matrix_names[0]) == 0 ||
                           strcmp(w->name, matrix_names[1]) == 0 || tuff_adapter_is_whole(a, w->name);
        if (tuff_ends_with(w->name, LAMBDA_B))
            TUFF_TRY(open_module(a, w));
        else if (!known)
            return tuff_fail(TUFF_UNSUPPORTED,
                             "%s: tensor '%s' is none of VeRA (vera_lambda_b, vera_lambda_d)", w->file,
                             w->name);
    }
    if (v->count == 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it holds no vectors of VeRA (vera_lambda_b, vera_lambda_d)",
                         a->path);
    return open_matrices(a);
}

/* ---- in graphs */

/* So many columns of A, or rows of B. */
static tuff_tensor *part(const tuff_adapter *a, tuff_net *net, int which, int64_t n)
{
    const vera *v = a->own;
    tuff_tensor *all = tuff_reshape(net->g, tuff_adapter_fixed(a, net, (size_t)which), 2, v->shapes[which]);
    return tuff_slice(net->g, all, 1 - which, 0, n);
}

static tuff_tensor *linear(void *self, tuff_net *net, const char *name, tuff_tensor *x, tuff_tensor *w,
                           tuff_tensor *y)
{
    const tuff_adapter *adapter = self;
    const vera *v = adapter->own;
    tuff_graph *g = net->g;
    uint32_t i;
    (void)w;
    if (!tuff_map_get(&v->by_module, name, strlen(name), &i)) return y;
    const vera_module *m = &v->modules[i];
    if (adapter->training && v->dropout > 0) {
        tuff_tensor *seed = tuff_graph_leaf(g, "dropout_seed");
        if (!seed) seed = tuff_input(g, "dropout_seed", TUFF_U32, 1, (int64_t[]){3});
        x = tuff_dropout(g, x, seed, v->dropout, TUFF_STREAM_DROPOUT + i);
    }
    tuff_tensor *low = tuff_matmul(g, x, tuff_transpose(g, part(adapter, net, MATRIX_A, m->param->shape[1])));
    low = tuff_mul(g, low, tuff_adapter_variable(adapter, net, m->first + 1));
    low = tuff_matmul(g, low, tuff_transpose(g, part(adapter, net, MATRIX_B, m->param->shape[0])));
    return tuff_add(g, y, tuff_mul(g, low, tuff_adapter_variable(adapter, net, m->first)));
}

/* ---- values */

/* lambda_d begins with one number, lambda_b with zeros. */
static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const vera *v = a->own;
    for (int64_t k = 0; index % 2 && k < a->tensors[index].shape[0]; k++)
        values[k] = (float)v->initial;
    return TUFF_OK;
}

/* PEFT draws A, then B, uniformly (He et al. 2015), by PyTorch's generator of the CPU. */
static void draw(const vera *v, int which, float *values)
{
    tuff_mersenne m;
    tuff_mersenne_seed(&m, v->key);
    for (int i = 0; i <= which; i++) {
        const double bound = sqrt(3.0) * (sqrt(2.0) / sqrt((double)v->shapes[i][1]));
        for (int64_t k = 0; k < v->shapes[i][0] * v->shapes[i][1]; k++) {
            const float x = tuff_mersenne_uniform(&m, (float)-bound, (float)bound);
            if (i == which) values[k] = x;
        }
    }
}

static tuff_status fill(const tuff_adapter *a, size_t index, float *values)
{
    const vera *v = a->own;
    if (v->matrices[index]) return tuff_weight_read(v->matrices[index], TUFF_F32, values);
    draw(v, (int)index, values);
    return TUFF_OK;
}

static tuff_status derive(const tuff_adapter *a, const tuff_store *store, size_t index, float *values)
{
    (void)store;
    return fill(a, index, values);
}

/* ---- merging */

static const vera_module *module_of(const vera *v, const tuff_param *p)
{
    uint32_t i;
    const size_t size = strlen(p->name), ending = strlen(".weight");
    if (!tuff_ends_with(p->name, ".weight")) return NULL;
    return tuff_map_get(&v->by_module, p->name, size - ending, &i) ? &v->modules[i] : NULL;
}

static bool changes(const tuff_adapter *a, const tuff_param *p)
{
    return module_of(a->own, p) != NULL;
}

static tuff_status merge(const tuff_adapter *a, const tuff_param *p, int64_t begin, int64_t end,
                         float *values)
{
    const vera *v = a->own;
    const vera_module *m = module_of(v, p);
    const int64_t columns = p->shape[1], width = v->shapes[MATRIX_A][1];
    tuff_status status = TUFF_OK;
    float *parts[] = {tuff_alloc_array((size_t)(v->rank * width), sizeof(float)),
                      tuff_alloc_array((size_t)(v->shapes[MATRIX_B][0] * v->rank), sizeof(float)),
                      tuff_alloc_array((size_t)p->shape[0], sizeof(float)),
                      tuff_alloc_array((size_t)v->rank, sizeof(float))};
    double *row = tuff_alloc_array((size_t)columns, sizeof *row);
    if (!parts[0] || !parts[1] || !parts[2] || !parts[3] || !row)
        TUFF_GO(tuff_fail_memory("an adapter's weights"));
    TUFF_GO(fill(a, MATRIX_A, parts[0]));
    TUFF_GO(fill(a, MATRIX_B, parts[1]));
    TUFF_GO(tuff_adapter_read(a, m->first, 0, 1, parts[2]));
    TUFF_GO(tuff_adapter_read(a, m->first + 1, 0, 1, parts[3]));
    for (int64_t r = begin; r < end; r++, values += columns) {
        memset(row, 0, (size_t)columns * sizeof *row);
        for (int64_t j = 0; j < v->rank; j++) {
            const double factor = (double)parts[2][r] * parts[1][r * v->rank + j] * parts[3][j];
            for (int64_t k = 0; k < columns; k++)
                row[k] += factor * parts[0][j * width + k];
        }
        for (int64_t k = 0; k < columns; k++)
            values[k] = (float)(values[k] + row[k]);
    }
done:
    for (int i = 0; i < 4; i++)
        tuff_free(parts[i]);
    tuff_free(row);
    return status;
}

/* ---- writing */

static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const vera *v = a->own;
    bool conv1d = false;
    for (size_t i = 0; i < v->count; i++)
        conv1d = conv1d || tuff_adaptable_conv1d(a->model, v->modules[i].name);
    tuff_peft_put_begin(out);
    tuff_peft_put_text(out, "auto_mapping", NULL);
    tuff_peft_put_text(out, "base_model_name_or_path", card->base);
    tuff_peft_put_text(out, "bias", "none");
    tuff_peft_put_number(out, "d_initial", v->initial);
    tuff_peft_put_bool(out, "fan_in_fan_out", conv1d);
    tuff_peft_put_bool(out, "inference_mode", true);
    tuff_peft_put_bool(out, "init_weights", true);
    tuff_peft_put_text(out, "layers_pattern", NULL);
    tuff_peft_put_text(out, "layers_to_transform", NULL);
    tuff_peft_put_modules(out, card->modules, card->module_count);
    tuff_peft_put_text(out, "peft_type", "VERA");
    tuff_peft_put_number(out, "projection_prng_key", (double)v->key);
    tuff_peft_put_number(out, "r", (double)v->rank);
    tuff_peft_put_text(out, "revision", NULL);
    tuff_peft_put_bool(out, "save_projection", true);
    if (v->targets.all)
        tuff_peft_put_text(out, "target_modules", "all-linear");
    else
        tuff_peft_put_list(out, "target_modules", v->targets.names, v->targets.count);
    tuff_peft_put_text(out, "task_type", card->task_type);
    tuff_peft_put_number(out, "vera_dropout", v->dropout);
    tuff_peft_put_end(out);
    return TUFF_OK;
}

const tuff_method tuff_method_vera = {.peft_type = "VERA",
                                      .title = "VeRA",
                                      .whole_prefix = TUFF_PEFT_PREFIX,
                                      .points = {.linear = linear},
                                      .create = create,
                                      .open = open,
                                      .start = start,
                                      .fill = fill,
                                      .derive = derive,
                                      .describe = describe,
                                      .free = free_vera,
                                      .changes = changes,
                                      .merge = merge};
