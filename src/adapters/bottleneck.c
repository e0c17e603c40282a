/* Bottleneck adapters (Houlsby et al. 2019, Pfeiffer et al. 2020): small nets h + W_up f(W_down h + b) + b
 * after the parts of a layer, as the package `adapters` has and saves them; PEFT has none. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/adapter.h"
#include "base/memory.h"
#include "base/rng.h"

enum { ATTENTION, FEED_FORWARD, PLACES };
enum { DOWN, DOWN_BIAS, UP, UP_BIAS, PARTS };
static const char *const part_names[PARTS] = {"adapter_down.0.weight", "adapter_down.0.bias",
                                              "adapter_up.weight", "adapter_up.bias"};
#define NEW_NAME "adapter" /* what a new one is called in its files */
enum { PRESET_REDUCTION = 16 };

/* The configs of the package: after which parts, and what the net is given there. */
static const struct preset {
    const char *name, *older;
    bool after_attention, sum_first;
    const char *activation;
} presets[] = {{"seq_bn", "pfeiffer", false, true, "relu"},
               {"double_seq_bn", "houlsby", true, false, "swish"}};

typedef struct bottleneck {
    const char *name;
    bool after[PLACES];
    bool sum_first; /* the net is given the sum with what came before, normed where norms follow sums; else
                       what the part gives */
    bool around;    /* what the part gives is added to what the net gives; else what the net is given */
    double scale, dropout, reduction;
    uint64_t seed;
    tuff_activation activation;
    const char *activation_name;
    size_t *first[PLACES]; /* of each layer, its first tensor; SIZE_MAX: none */
} bottleneck;

/* Where a layer's nets are saved: beside its parts, or, in BERTs, in the modules that are called output. */
static const char *place_of(tuff_adapter *a, int64_t layer, int place)
{
    static const char within[] = ".output.dense";
    const bottleneck *own = a->own;
    const char *part = tuff_config_module(&a->model->config, "blk.#.attn_output"),
               *number = strchr(part, '#');
    const bool modules = tuff_ends_with(part, within);
    const char *rest = place == ATTENTION ? modules ? "attention.output" : "attention_adapters"
                       : modules          ? "output"
                                          : "output_adapters";
    return tuff_arena_printf(&a->arena, "%.*s%lld.%s.adapters.%s", (int)(number - part), part,
                             (long long)layer, rest, own->name);
}

static tuff_status check_model(const tuff_model *model)
{
    const tuff_config *c = &model->config;
    const char *part = tuff_config_module(c, "blk.#.attn_output");
    const char *why = c->encoder                          ? "is an encoder-decoder"
                      : !part || strstr(part, ".layer.0") ? "is the encoder of one"
                                                          : NULL;
    for (int64_t i = 0; !why && i < c->layers; i++)
        if (tuff_config_layer(c, (int)i)->parallel) why = "has its attention and feed-forward side by side";
    if (!why) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: bottleneck adapters stand behind parts of a layer that follow each other, and this %s "
        "model %s; take LoRA or IA3",
        model->path, c->arch->name, why);
}

static tuff_status begin(tuff_adapter *a, bottleneck **out)
{
    const size_t layers = (size_t)a->model->config.layers;
    bottleneck *own = a->own = *out = tuff_arena_alloc(&a->arena, sizeof *own);
    for (int place = 0; own && place < PLACES; place++) {
        own->first[place] = tuff_arena_array(&a->arena, layers, sizeof *own->first[place]);
        if (!own->first[place]) return tuff_fail_memory("an adapter");
        for (size_t i = 0; i < layers; i++)
            own->first[place][i] = SIZE_MAX;
    }
    return own ? check_model(a->model) : tuff_fail_memory("an adapter");
}

/* Lists one net of so many numbers in its middle; its weights are NULL where it is new. */
static tuff_status add(tuff_adapter *a, int64_t layer, int place, int64_t width,
                       const tuff_weight *const weights[PARTS])
{
    const bottleneck *own = a->own;
    const int64_t hidden = a->model->config.hidden_size;
    const int64_t shapes[PARTS][2] = {{width, hidden}, {width, 0}, {hidden, width}, {hidden, 0}};
    const char *where = place_of(a, layer, place);
    own->first[place][layer] = a->count;
    for (int i = 0; i < PARTS; i++) {
        const char *name = where ? tuff_arena_printf(&a->arena, "%s.%s", where, part_names[i]) : NULL;
        if (!name) return tuff_fail_memory("an adapter");
        TUFF_TRY(tuff_adapter_add(a, name, shapes[i][0], shapes[i][1], weights ? weights[i] : NULL));
    }
    return TUFF_OK;
}

static tuff_status take_activation(bottleneck *own, const char *name, const char *where)
{
    own->activation_name = name;
    if (tuff_activation_by_name(name, strlen(name), &own->activation)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%snon_linearity is \"%.40s\"; Tuff has %s", where, name,
                     tuff_activation_names());
}

static tuff_status check_numbers(const bottleneck *own, const char *where, tuff_status failure)
{
    if (own->dropout >= 0 && own->dropout < 1 && own->reduction > 0 && isfinite(own->reduction) &&
        isfinite(own->scale))
        return TUFF_OK;
    return tuff_fail(
        failure,
        "%sreduction_factor is %g, dropout %g and scaling %g; expected are a number above 0, at least "
        "0 and below 1, and a number",
        where, own->reduction, own->dropout, own->scale);
}

/* ---- a new one */

static tuff_status choose(const tuff_adapter_settings *s, const struct preset **out)
{
    const char *name = s->bottleneck ? s->bottleneck : presets[0].name;
    *out = NULL;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(name, presets[i].name) == 0 || strcmp(name, presets[i].older) == 0) *out = &presets[i];
    if (*out) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "adapter_config is \"%.40s\"; Tuff has seq_bn (pfeiffer), after the feed-forward layers, and "
        "double_seq_bn (houlsby), after attention too",
        name);
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    bottleneck *own = NULL;
    const struct preset *preset = NULL;
    const tuff_config *c = &a->model->config;
    TUFF_TRY(begin(a, &own));
    TUFF_TRY(choose(s, &preset));
    own->name = NEW_NAME;
    own->after[ATTENTION] = preset->after_attention;
    own->after[FEED_FORWARD] = own->around = true;
    own->sum_first = preset->sum_first;
    own->scale = 1;
    own->dropout = s->dropout;
    own->seed = s->seed;
    own->reduction = s->reduction_factor != 0 ? s->reduction_factor : PRESET_REDUCTION;
    const char *activation = tuff_arena_strdup(&a->arena, s->activation ? s->activation : preset->activation);
    if (!activation) return tuff_fail_memory("an adapter");
    TUFF_TRY(take_activation(own, activation, ""));
    TUFF_TRY(check_numbers(own, "", TUFF_INVALID_ARGUMENT));
    const double hidden = (double)c->hidden_size, rest = fmod(hidden, own->reduction);
    const double width = floor((hidden - rest) / own->reduction + 0.5); /* Python's hidden // reduction */
    if (width > 1 << 20)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "reduction_factor %g makes nets of %g numbers; take a larger one", own->reduction,
                         width);
    for (int64_t layer = 0; layer < c->layers; layer++)
        for (int place = 0; place < PLACES; place++)
            if (own->after[place]) TUFF_TRY(add(a, layer, place, width < 1 ? 1 : (int64_t)width, NULL));
    return TUFF_OK;
}

/* The package's "bert": standard normals times 0.02; biases are zero. */
static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const tuff_adapter_tensor *t = &a->tensors[index];
    const uint64_t seed = ((const bottleneck *)a->own)->seed;
    for (int64_t k = 0; t->rank == 2 && k < t->shape[0] * t->shape[1]; k++)
        values[k] = (float)(0.02 * tuff_rng_normal(seed, (uint64_t)k, 0, TUFF_STREAM_INIT + (uint32_t)index));
    return TUFF_OK;
}

/* ---- from files */

/* What changes a net and is not done here, unless it is as the package presets it. */
static tuff_status refuse(const cJSON *json, const char *file)
{
    static const char *const off[] = {"is_parallel", "ln_before",     "ln_after",         "use_gating",
                                      "phm_layer",   "cross_adapter", "stochastic_depth", "inv_adapter"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, off[i]);
        if (!item || cJSON_IsNull(item) || cJSON_IsFalse(item) ||
            (cJSON_IsNumber(item) && item->valuedouble == 0))
            continue;
        return tuff_fail(TUFF_UNSUPPORTED, "%s: '%s' is set: adapters that use it cannot be read", file,
                         off[i]);
    }
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(json, "original_ln_after"),
                *around = cJSON_GetObjectItemCaseSensitive(json, "residual_before_ln"),
                *scale = cJSON_GetObjectItemCaseSensitive(json, "scaling");
    const char *key = after && !cJSON_IsTrue(after)     ? "original_ln_after"
                      : around && !cJSON_IsBool(around) ? "residual_before_ln"
                      : scale && !cJSON_IsNumber(scale) ? "scaling"
                                                        : NULL;
    if (!key) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: '%s' is not as it is in adapters that can be read: original_ln_after true, "
                     "residual_before_ln true or false, scaling a number",
                     file, key);
}

static tuff_status read_config(tuff_adapter *a, bottleneck *own)
{
    const char *file = a->files->config_path, *activation = NULL;
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(a->files->config, "config");
    TUFF_TRY(refuse(json, file));
    own->scale = 1;
    own->around = true;
    own->reduction = 1; /* the tensors tell */
    TUFF_TRY(tuff_json_text(a->files->config, "name", file, &own->name));
    TUFF_TRY(tuff_json_text(json, "non_linearity", file, &activation));
    TUFF_TRY(tuff_json_bool(json, "original_ln_before", file, &own->sum_first));
    TUFF_TRY(tuff_json_bool(json, "residual_before_ln", file, &own->around));
    TUFF_TRY(tuff_json_number(json, "scaling", file, &own->scale));
    TUFF_TRY(tuff_json_number(json, "dropout", file, &own->dropout));
    if (!own->name || !*own->name || !activation)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it has no '%s'", file, activation ? "name" : "non_linearity");
    char where[512];
    snprintf(where, sizeof where, "%s: ", file);
    TUFF_TRY(take_activation(own, activation, where));
    return check_numbers(own, where, TUFF_BAD_FORMAT);
}

/* A tensor by its name in Tuff, or as the layers alone have it, without the architecture's prefix. */
static const tuff_weight *find(const tuff_adapter *a, const char *name)
{
    const char *prefix = a->model->config.arch->base_prefix;
    const tuff_weight *weight = tuff_weights_find(a->weights, name);
    if (weight || !tuff_starts_with(name, prefix)) return weight;
    return tuff_weights_find(a->weights, name + strlen(prefix));
}

/* The net of a place, where the files have one. */
static tuff_status open_place(tuff_adapter *a, int64_t layer, int place, size_t *count)
{
    const tuff_weight *weights[PARTS];
    const int64_t hidden = a->model->config.hidden_size;
    const char *where = place_of(a, layer, place);
    int have = 0;
    for (int i = 0; i < PARTS; i++) {
        const char *name = where ? tuff_arena_printf(&a->arena, "%s.%s", where, part_names[i]) : NULL;
        if (!name) return tuff_fail_memory("an adapter");
        weights[i] = find(a, name);
        have += weights[i] != NULL;
        if (weights[i]) TUFF_TRY(tuff_weight_check_readable(weights[i]));
    }
    if (!have) return TUFF_OK;
    if (have < PARTS) return tuff_fail(TUFF_NOT_FOUND, "%s: a part of %s is missing", a->path, where);
    const int64_t width = weights[DOWN_BIAS]->rank == 1 ? weights[DOWN_BIAS]->shape[0] : 0;
    const int64_t shapes[PARTS][2] = {{width, hidden}, {width, 1}, {hidden, width}, {hidden, 1}};
    for (int i = 0; i < PARTS; i++) {
        const tuff_weight *w = weights[i];
        const uint32_t rank = i == DOWN || i == UP ? 2 : 1;
        if (width > 0 && w->rank == rank && w->shape[0] == shapes[i][0] &&
            (rank == 1 || w->shape[1] == shapes[i][1]))
            continue;
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: tensor '%s' does not fit this model: a net of %lld numbers for states of %lld is "
            "expected",
            w->file, w->name, (long long)width, (long long)hidden);
    }
    *count += PARTS;
    return add(a, layer, place, width, weights);
}

static tuff_status open(tuff_adapter *a)
{
    bottleneck *own = NULL;
    size_t used = a->whole_count;
    TUFF_TRY(begin(a, &own));
    TUFF_TRY(read_config(a, own));
    for (int64_t layer = 0; layer < a->model->config.layers; layer++)
        for (int place = 0; place < PLACES; place++)
            TUFF_TRY(open_place(a, layer, place, &used));
    if (used == a->weights->count && a->count) return TUFF_OK;
    for (size_t i = 0; i < a->weights->count; i++) {
        const tuff_weight *w = &a->weights->items[i];
        bool taken = tuff_adapter_is_whole(a, w->name);
        for (size_t k = 0; k < a->count && !taken; k++)
            taken = a->tensors[k].weight == w;
        if (!taken)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: the %s model %s has no place for tensor '%s'", w->file,
                             a->model->config.arch->name, a->model->path, w->name);
    }
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it holds no bottleneck adapters (adapter_down, adapter_up)",
                     a->path);
}

/* ---- in graphs */

static tuff_tensor *times(const tuff_adapter *a, tuff_net *net, tuff_tensor *x, size_t weight)
{
    tuff_tensor *w = tuff_adapter_variable(a, net, weight), *b = tuff_adapter_variable(a, net, weight + 1);
    return tuff_add(net->g, tuff_matmul(net->g, x, tuff_transpose(net->g, w)), b);
}

static tuff_tensor *branch(void *self, tuff_net *net, const tuff_branch *at, tuff_tensor *x, tuff_tensor *y)
{
    const tuff_adapter *a = self;
    const bottleneck *own = a->own;
    const size_t first = own->first[at->feed_forward ? FEED_FORWARD : ATTENTION][at->layer];
    if (first == SIZE_MAX) return y;
    tuff_tensor *h = y;
    if (own->sum_first) h = tuff_add(net->g, x, y);
    if (own->sum_first && at->norm) h = tuff_net_norm(net, h, at->norm, at->layer);
    tuff_tensor *low = tuff_net_activate(net, own->activation, times(a, net, h, first + DOWN));
    tuff_tensor *up = times(a, net, low, first + UP);
    if (own->scale != 1) up = tuff_scale(net->g, up, own->scale);
    if (a->training && own->dropout > 0)
        up = tuff_dropout(net->g, up, tuff_net_seed(net), own->dropout,
                          TUFF_STREAM_DROPOUT + (uint32_t)(first / PARTS));
    return tuff_add(net->g, own->around ? y : h, up);
}

/* ---- writing */

static void put_settings(const bottleneck *own, tuff_buf *out)
{
    static const char *const bools[2] = {"false", "true"};
    tuff_buf_printf(
        out,
        "  \"config\": {\n    \"adapter_residual_before_ln\": false,\n    \"cross_adapter\": false,\n"
        "    \"dropout\": %g,\n    \"factorized_phm_W\": true,\n    \"factorized_phm_rule\": false,\n"
        "    \"hypercomplex_nonlinearity\": \"glorot-uniform\",\n    \"init_weights\": \"bert\",\n"
        "    \"init_weights_seed\": null,\n    \"inv_adapter\": null,\n"
        "    \"inv_adapter_reduction_factor\": null,\n    \"is_parallel\": false,\n"
        "    \"learn_phm\": true,\n    \"leave_out\": [],\n    \"ln_after\": false,\n"
        "    \"ln_before\": false,\n    \"mh_adapter\": %s,\n    \"non_linearity\": \"%s\",\n",
        own->dropout, bools[own->after[ATTENTION]], own->activation_name);
    tuff_buf_printf(
        out,
        "    \"original_ln_after\": true,\n    \"original_ln_before\": %s,\n"
        "    \"output_adapter\": %s,\n    \"phm_bias\": true,\n    \"phm_c_init\": \"normal\",\n"
        "    \"phm_dim\": 4,\n    \"phm_init_range\": 0.0001,\n    \"phm_layer\": false,\n"
        "    \"phm_rank\": 1,\n    \"reduction_factor\": %.17g,\n    \"residual_before_ln\": true,\n"
        "    \"scaling\": 1.0,\n    \"shared_W_phm\": false,\n    \"shared_phm_rule\": true,\n"
        "    \"stochastic_depth\": 0.0,\n    \"use_gating\": false\n  }",
        bools[own->sum_first], bools[own->after[FEED_FORWARD]], own->reduction);
}

/* What the package writes, and the task, for Tuff. */
static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const bottleneck *own = a->own;
    const tuff_config *c = &a->model->config;
    tuff_peft_put_begin(out);
    put_settings(own, out);
    tuff_peft_put_number(out, "hidden_size", (double)c->hidden_size);
    tuff_peft_put_text(out, "model_class", NULL);
    tuff_peft_put_text(out, "model_name", card->base);
    tuff_peft_put_text(out, "model_type", c->arch->name);
    tuff_peft_put_text(out, "name", own->name);
    tuff_peft_put_text(out, "task_type", card->task_type);
    tuff_peft_put_text(out, "version", "adapters.1.3.0");
    tuff_peft_put_end(out);
    return TUFF_OK;
}

const tuff_method tuff_method_bottleneck = {.peft_type = TUFF_PEFT_BOTTLENECK,
                                            .title = "a bottleneck adapter",
                                            .layout = &tuff_peft_adapters,
                                            .whole_prefix = "",
                                            .points = {.branch = branch},
                                            .create = create,
                                            .open = open,
                                            .start = start,
                                            .describe = describe};
