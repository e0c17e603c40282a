/* A model with another head than its file has: as transformers makes one, new parameters are drawn at random.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/peft.h"
#include "models/heads/head.h"
#include "models/model.h"

static const tuff_head_spec *find_spec(const tuff_arch *arch, const tuff_head *head)
{
    for (const tuff_head_spec *s = arch->heads; s->head; s++)
        if (s->head == head) return s;
    return NULL;
}

static bool same_labels(const tuff_model *model, const tuff_head_wish *wish)
{
    char scratch[TUFF_LABEL_SIZE];
    if (model->config.labels != wish->label_count) return false;
    for (int64_t i = 0; wish->labels && i < wish->label_count; i++)
        if (!tuff_view_is(tuff_model_label(model, i, scratch), wish->labels[i])) return false;
    return true;
}

bool tuff_model_fits(const tuff_model *model, const tuff_head_wish *wish)
{
    if (!wish->head) return true;
    if (!tuff_config_has_head(&model->config, wish->head)) return false;
    if (!wish->head->has_labels) return true;
    tuff_problem problem = model->config.problem;
    if (!problem) problem = model->config.labels == 1 ? TUFF_PROBLEM_REGRESSION : TUFF_PROBLEM_SINGLE_LABEL;
    return same_labels(model, wish) && (!wish->problem || wish->problem == problem);
}

double tuff_initializer_range(const cJSON *json)
{
    const cJSON *range = cJSON_GetObjectItemCaseSensitive(json, "initializer_range");
    return cJSON_IsNumber(range) && range->valuedouble > 0 ? range->valuedouble : 0.02;
}

static bool replace(cJSON *object, const char *key, cJSON *item)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (item && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *named_labels(const tuff_head_wish *wish, bool by_name)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL;
    for (int64_t i = 0; i < wish->label_count && ok; i++) {
        char number[TUFF_LABEL_SIZE], usual[TUFF_LABEL_SIZE];
        snprintf(number, sizeof number, "%lld", (long long)i);
        snprintf(usual, sizeof usual, "LABEL_%lld", (long long)i);
        const char *name = wish->labels ? wish->labels[i] : usual;
        ok = by_name ? cJSON_AddNumberToObject(object, name, (double)i) != NULL
                     : cJSON_AddStringToObject(object, number, name) != NULL;
    }
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}

/* config.json of the class that has the head; of a model from elsewhere, the labels alone. */
static tuff_status describe(tuff_model *model, const tuff_head_wish *wish)
{
    const cJSON *old = model->base->hf_config;
    cJSON *json = old ? cJSON_Duplicate(old, true) : cJSON_CreateObject();
    bool ok = json != NULL;
    if (ok && old) {
        char class[128];
        const char *endings = wish->head->hf_classes;
        if (wish->head == &tuff_head_lm && model->config.arch->hf_lm_class)
            endings = model->config.arch->hf_lm_class;
        snprintf(class, sizeof class, "%s%.*s", model->config.arch->hf_class, (int)strcspn(endings, " "),
                 endings);
        const char *classes[] = {class};
        ok = replace(json, "architectures", cJSON_CreateStringArray(classes, 1));
    }
    if (ok && wish->head->has_labels) {
        cJSON_DeleteItemFromObjectCaseSensitive(json, "num_labels");
        ok = replace(json, "id2label", named_labels(wish, false)) &&
             replace(json, "label2id", named_labels(wish, true));
        if (ok && wish->problem)
            ok = replace(json, "problem_type", cJSON_CreateString(tuff_problem_name(wish->problem)));
    }
    if (old)
        model->hf_config = json;
    else
        model->new_labels = json;
    return ok ? TUFF_OK : tuff_fail_memory("the config of a new head");
}

const char *tuff_head_output_of(const tuff_config *config, const tuff_head *head)
{
    static const char *const parts[] = {"cls.output", "tokens", "spans"};
    tuff_config c = *config;
    const char *module = NULL;
    c.head = find_spec(c.arch, head);
    for (size_t i = 0; c.head && i < sizeof parts / sizeof *parts && !module; i++)
        module = tuff_config_module(&c, parts[i]);
    return module;
}

/* The head's output: the whole of "classifier" where that has parts. NULL: it is a table, or a matrix of all
 * tokens. */
static const char *output_module(const tuff_config *c, char text[256])
{
    const char *prefix = c->arch->base_prefix,
               *module = c->head ? tuff_head_output_of(c, c->head->head) : NULL;
    if (!module) return NULL;
    size_t size = tuff_starts_with(module, prefix) ? strlen(module) : strcspn(module, ".");
    snprintf(text, 256, "%.*s", (int)size, module);
    return text;
}

const char *tuff_param_saved_module(const tuff_config *config, const tuff_param *param, char text[256])
{
    const char *output = output_module(config, text);
    if (output && tuff_starts_with(param->name, output) && param->name[strlen(output)] == '.') return output;
    const char *last = strrchr(param->name, '.');
    snprintf(text, 256, "%.*s", (int)(last ? (size_t)(last - param->name) : strlen(param->name)),
             param->name);
    return text;
}

/* As PEFT finds what is trained whole: by the ends of modules' names, so that DistilBERT's pre_classifier
 * goes along. */
static bool is_output(const tuff_config *c, const tuff_param *p)
{
    char text[256];
    const char *output = output_module(c, text);
    size_t size = output ? strlen(output) : 0;
    for (const char *dot = strchr(p->name, '.'); output && dot; dot = strchr(dot + 1, '.'))
        if ((size_t)(dot - p->name) >= size && memcmp(dot - size, output, size) == 0) return true;
    return false;
}

/* Whether an adapter's file has what the model's has not. */
static bool is_saved(const tuff_head_wish *wish, const tuff_param *p)
{
    return wish->saved && tuff_peft_find_whole(wish->saved, p->name);
}

/* What the file does not have, or of another number of labels, is new. */
static tuff_status find_new(tuff_model *model, const tuff_head_wish *wish)
{
    tuff_buf names = {0};
    for (size_t i = 0; i < model->params.count; i++) {
        tuff_param *p = &model->params.items[i];
        const tuff_param *old = tuff_params_find(&model->base->params, p->name);
        const tuff_weight *weight = tuff_model_weight(model, p);
        tuff_shape expected;
        if (old && (old->held || old->copy)) {
            tuff_param_inherit(p, old);
            continue;
        }
        p->fresh = !weight ||
                   !(tuff_alternating_packed(model, p) || tuff_model_has_shape(model, p, weight, &expected));
        p->whole = wish->whole && (p->fresh || is_output(&model->config, p));
        p->merged = old && old->merged && !p->fresh;
        if (old && !p->fresh && !p->whole) p->stored = old->stored;
        if (p->fresh && !is_saved(wish, p)) tuff_buf_printf(&names, "%s%s", names.size ? ", " : "", p->name);
    }
    if (names.failed) return tuff_fail_memory("the config of a new head");
    if (names.size)
        tuff_log(TUFF_LOG_WARN, "%s has no head for %s of %lld outputs: %s %s drawn from the seed %llu",
                 model->path, wish->head->title, (long long)wish->label_count, names.data,
                 strchr(names.data, ',') ? "are" : "is", (unsigned long long)wish->seed);
    tuff_buf_free(&names);
    return TUFF_OK;
}

static tuff_status build(tuff_model *model, const tuff_head_wish *wish)
{
    tuff_config *c = &model->config;
    c->head = find_spec(c->arch, wish->head);
    if (!c->head)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: Tuff has no head for %s of the architecture %s", model->path,
                         wish->head->title, c->arch->name);
    c->bare = false;
    c->labels = wish->label_count;
    c->problem = wish->problem;
    TUFF_TRY(describe(model, wish));
    model->seed = wish->seed;
    model->initializer_range = tuff_initializer_range(model->hf_config);
    TUFF_TRY(tuff_model_list_params(model));
    return find_new(model, wish);
}

tuff_status tuff_model_with_head(const tuff_model *base, const tuff_head_wish *wish, tuff_model **out_model)
{
    *out_model = NULL;
    tuff_model *model = tuff_alloc(sizeof *model);
    if (!model) return tuff_fail_memory("a model");
    tuff_model_derive(base, model);
    tuff_status status = build(model, wish);
    if (status != TUFF_OK)
        tuff_model_destroy(&model);
    else
        *out_model = model;
    return status;
}

void tuff_param_draw(const tuff_model *model, const tuff_param *param, int64_t begin, int64_t end, float *out)
{
    int64_t columns = tuff_param_columns(param), n = (end - begin) * columns, first = begin * columns;
    uint32_t stream = TUFF_STREAM_HEAD + (uint32_t)(param - model->params.items);
    const float vector = param->role == TUFF_ROLE_NORM ? (float)(1 - param->gguf.added) : 0;
    for (int64_t i = 0; i < n; i++)
        out[i] = tuff_param_is_matrix(param)
                     ? (float)(model->initializer_range *
                               tuff_rng_normal(model->seed, (uint64_t)(first + i), 0, stream))
                     : vector;
}
