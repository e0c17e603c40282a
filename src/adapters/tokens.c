#include "adapters/tokens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/lora.h"
#include "base/memory.h"
#include "models/heads/head.h"

#define ASKED "trainable_token_indices"

enum { USUAL_ROWS = 1024 };

/* ---- which rows there are */

/* The tokens' table; NULL: there is none that can have rows of its own. */
static const tuff_param *find_table(const tuff_model *model, char module[256])
{
    for (size_t i = 0; i < model->params.count; i++)
        if (tuff_lora_is_table(model, &model->params.items[i], module)) return &model->params.items[i];
    return NULL;
}

/* What transformers calls the head; NULL: it is none of all tokens. */
static const char *head_name(const tuff_model *model)
{
    const char *output = tuff_config_module(&model->config, "output");
    if (!output || !tuff_config_has_output(&model->config)) return NULL;
    return tuff_lora_head_name(model, output);
}

/* The head's matrix: of a tied one the table. */
static const tuff_param *find_head(const tuff_model *model, char module[256])
{
    const char *name = head_name(model);
    if (!name) return NULL;
    if (model->config.tied) {
        const tuff_param *table = find_table(model, module);
        snprintf(module, 256, "%s", name);
        return table;
    }
    for (size_t i = 0; i < model->params.count; i++)
        if (tuff_lora_is_head(model, &model->params.items[i], module)) return &model->params.items[i];
    return NULL;
}

/* Whether a config's name is for a module: its last parts, or with what a class has around its layers. */
static bool is_for(const tuff_model *model, const char *key, const char *module)
{
    const size_t prefix = strlen(model->config.arch->base_prefix);
    return tuff_last_part_is(module, key) ||
           (tuff_starts_with(key, model->config.arch->base_prefix) && strcmp(key + prefix, module) == 0);
}

static bool has_bias(const tuff_config *c)
{
    return c->head->output_bias || tuff_config_module(c, "output.bias");
}

/* PEFT leaves a head's bias out where the head has rows of its own. */
static tuff_status refuse_bias(const tuff_adapter *a, const char *where)
{
    const tuff_config *c = &a->model->config;
    if (!has_bias(c)) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: it is for rows of the head of this %s model, which has a bias: PEFT leaves that out "
        "then, so that such are not done",
        where, c->arch->name);
}

static tuff_status check_id(const tuff_adapter *a, const cJSON *item, const char *where, int32_t *out)
{
    const double most = (double)a->model->config.vocab_size,
                 id = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(id >= 0 && id == floor(id)))
        return tuff_fail(a->files ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT,
                         "%s must be whole numbers of 0 and more, ids of tokens", where);
    if (id >= most)
        return tuff_fail(a->files ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT,
                         "%s has the token %.0f, but the model %s has %.0f tokens, 0 to %.0f", where, id,
                         a->model->path, most, most - 1);
    *out = (int32_t)id;
    return TUFF_OK;
}

static tuff_status read_ids(tuff_adapter *a, const cJSON *list, const char *where, tuff_token_rows *out)
{
    const size_t n = (size_t)cJSON_GetArraySize(list);
    const int64_t tokens = a->model->config.vocab_size, hidden = a->model->config.hidden_size;
    int32_t *ids = tuff_arena_array(&a->arena, n + 1, sizeof *ids);
    uint8_t *seen = tuff_alloc_array((size_t)tokens, 1);
    tuff_status status = ids && seen ? TUFF_OK : tuff_fail_memory("an adapter");
    out->ids = ids;
    for (const cJSON *item = list->child; item && status == TUFF_OK; item = item->next) {
        status = check_id(a, item, where, &ids[out->count]);
        if (status == TUFF_OK && seen[ids[out->count]])
            status = tuff_fail(a->files ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT,
                               "%s has the token %d twice", where, ids[out->count]);
        if (status == TUFF_OK) seen[ids[out->count++]] = 1;
    }
    tuff_free(seen);
    if (status != TUFF_OK || (n && (out->count <= USUAL_ROWS || out->count <= hidden))) return status;
    if (!n) return tuff_fail(a->files ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT, "%s has no token", where);
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s has %lld tokens, more than the %lld that can have rows of their own in this model: train "
        "the table itself",
        where, (long long)out->count, (long long)(hidden > USUAL_ROWS ? hidden : USUAL_ROWS));
}

/* The rows of a module in the files; NULL: there are none. */
static const tuff_weight *find_weight(const tuff_adapter *a, const char *module)
{
    char name[400], whole[320];
    snprintf(whole, sizeof whole, "%s%s", a->model->config.arch->base_prefix, module);
    for (int i = 0; i < 2; i++) {
        const bool bare = i && tuff_starts_with(module, a->model->config.arch->base_prefix);
        snprintf(name, sizeof name, "%s%s" TUFF_TOKENS_ENDING,
                 bare ? module + strlen(a->model->config.arch->base_prefix) : module, a->method->token_layer);
        const tuff_weight *found = tuff_peft_find_whole(a->weights, name);
        if (found) return found;
    }
    return NULL;
}

static tuff_status check_weight(const tuff_token_rows *r, const tuff_weight *w, const tuff_adapter *a)
{
    if (!w)
        return tuff_fail(
            TUFF_BAD_FORMAT, "%s: %s has rows of %s by its config, but there is no tensor of them (%s%s%s)",
            a->path, a->method->title, r->module, r->module, a->method->token_layer, TUFF_TOKENS_ENDING);
    TUFF_TRY(tuff_weight_check_readable(w));
    if (w->rank == 2 && w->shape[0] == r->count && w->shape[1] == r->param->shape[1]) return TUFF_OK;
    char found[100];
    tuff_weight_shape_text(w->rank, w->shape, found, sizeof found);
    return tuff_fail(
        TUFF_BAD_FORMAT,
        "%s: tensor '%s' has shape %s, expected is [%lld, %lld]: a row for each token of its config", w->file,
        w->name, found, (long long)r->count, (long long)r->param->shape[1]);
}

/* Lists rows of a module, which is the table where `key` is NULL. */
static tuff_status add_rows(tuff_adapter *a, const char *key, const cJSON *list, const char *where)
{
    const tuff_model *model = a->model;
    char module[256], table[256] = "", head[256] = "";
    const tuff_param *of_table = find_table(model, table), *of_head = find_head(model, head);
    const bool is_head = key && of_head && is_for(model, key, head),
               is_table = of_table && !is_head && (!key || is_for(model, key, table));
    if (!is_head && !is_table)
        return tuff_fail(TUFF_UNSUPPORTED, "%s is for %s, and tokens of this %s model have rows in %s%s%s",
                         where, key ? key : "the table of tokens", model->config.arch->name,
                         of_table ? table : "no table that can be adapted", of_head ? " and " : "",
                         of_head ? head : "");
    if (a->row_count == TUFF_MOST_TOKEN_ROWS || !cJSON_IsArray(list))
        return tuff_fail(a->files ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT,
                         "%s must be a list of tokens' ids, or one for each of the table and the head",
                         where);
    snprintf(module, sizeof module, "%s", is_head ? head : table);
    tuff_token_rows *r = &a->rows[a->row_count];
    *r = (tuff_token_rows){.module = tuff_arena_strdup(&a->arena, module),
                           .param = is_head ? of_head : of_table,
                           .table = is_table,
                           .head = is_head || (of_head && model->config.tied)};
    for (int i = 0; i < a->row_count; i++)
        if (r->module && strcmp(a->rows[i].module, r->module) == 0)
            return tuff_fail(a->files ? TUFF_BAD_FORMAT : TUFF_INVALID_ARGUMENT, "%s has %s twice", where,
                             module);
    if (r->head) TUFF_TRY(refuse_bias(a, where));
    TUFF_TRY(read_ids(a, list, where, r));
    a->row_count++;
    return r->module ? TUFF_OK : tuff_fail_memory("an adapter");
}

static bool same_ids(const tuff_token_rows *a, const tuff_token_rows *b)
{
    return a->count == b->count && memcmp(a->ids, b->ids, (size_t)a->count * sizeof *a->ids) == 0;
}

/* Of tied tables both have the table's rows, unless the head was given others. */
static void settle_tied(tuff_adapter *a)
{
    tuff_token_rows *r = a->rows;
    if (a->row_count < 2 || !a->model->config.tied) return;
    if (!r[0].table) {
        const tuff_token_rows first = r[0];
        r[0] = r[1];
        r[1] = first;
    }
    if (same_ids(&r[0], &r[1]))
        a->row_count = 1;
    else
        r[0].head = false;
}

/* Their tensors: of the files, or new ones. */
static tuff_status add_tensors(tuff_adapter *a)
{
    for (int i = 0; i < a->row_count; i++) {
        tuff_token_rows *r = &a->rows[i];
        const tuff_weight *weight = a->files ? find_weight(a, r->module) : NULL;
        const char *name = tuff_arena_printf(&a->arena, TUFF_PEFT_PREFIX "%s%s" TUFF_TOKENS_ENDING, r->module,
                                             a->method->token_layer);
        if (!name) return tuff_fail_memory("an adapter");
        if (a->files) TUFF_TRY(check_weight(r, weight, a));
        r->tensor = a->count;
        r->select = a->fixed_count;
        TUFF_TRY(tuff_adapter_add(a, name, r->count, r->param->shape[1], weight));
        TUFF_TRY(tuff_adapter_add_fixed(a, tuff_arena_printf(&a->arena, "tokens.select.%s", r->module),
                                        a->model->config.vocab_size, r->count));
    }
    return TUFF_OK;
}

static tuff_status add_all(tuff_adapter *a, const cJSON *value, const char *where)
{
    if (!cJSON_IsObject(value))
        TUFF_TRY(add_rows(a, NULL, value, where));
    else
        for (const cJSON *item = value->child; item; item = item->next)
            TUFF_TRY(add_rows(a, item->string, item, where));
    settle_tied(a);
    return add_tensors(a);
}

/* "3,7" is a list too. */
static tuff_status parse(const char *text, cJSON **out)
{
    tuff_buf list = {0};
    const char first = text[strspn(text, " \t\n")];
    const bool is_json = first == '[' || first == '{';
    tuff_buf_printf(&list, is_json ? "%s" : "[%s]", text);
    tuff_status status =
        list.failed ? tuff_fail_memory("an adapter") : tuff_json_parse(list.data, list.size, ASKED, out);
    tuff_buf_free(&list);
    if (status != TUFF_BAD_FORMAT) return status;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s is \"%.60s\", expected ids between commas, \"3,7\", or a JSON object of lists by "
                     "module, {\"embed_tokens\": [3], \"lm_head\": [3]}",
                     ASKED, text);
}

/* The model's new tokens, to a module's list. */
static bool add_new(const tuff_model *model, cJSON *all, const char *module)
{
    cJSON *list = NULL;
    for (cJSON *item = all->child; item && !list; item = item->next)
        if (is_for(model, item->string, module)) list = item;
    if (!list) list = cJSON_AddArrayToObject(all, module);
    for (size_t i = 0; list && cJSON_IsArray(list) && i < model->new_id_count; i++) {
        bool there = false;
        for (const cJSON *item = list->child; item; item = item->next)
            there = there || (cJSON_IsNumber(item) && item->valuedouble == model->new_ids[i]);
        cJSON *id = there ? NULL : cJSON_CreateNumber(model->new_ids[i]);
        if (!there && !(id && cJSON_AddItemToArray(list, id))) {
            cJSON_Delete(id);
            return false;
        }
    }
    return list != NULL;
}

/* Of a head that is no table they are trained, too, unless it has a bias (refuse_bias). */
static tuff_status with_new(const tuff_model *model, cJSON **json)
{
    char table[256], head[256];
    const bool has_table = find_table(model, table) != NULL,
               has_head = !model->config.tied && find_head(model, head) && !has_bias(&model->config);
    if (!model->new_id_count || !has_table) return TUFF_OK;
    if (!cJSON_IsObject(*json)) { /* a list is the table's */
        cJSON *all = cJSON_CreateObject();
        if (!all || (*json && !cJSON_AddItemToObject(all, table, *json))) {
            cJSON_Delete(all);
            return tuff_fail_memory("an adapter");
        }
        *json = all;
    }
    const bool ok = add_new(model, *json, table) && (!has_head || add_new(model, *json, head));
    return ok ? TUFF_OK : tuff_fail_memory("an adapter");
}

tuff_status tuff_tokens_ask(tuff_adapter *a, const char *text)
{
    cJSON *json = NULL;
    tuff_status status = text ? parse(text, &json) : TUFF_OK;
    if (status == TUFF_OK) status = with_new(a->model, &json);
    if (status == TUFF_OK) status = add_all(a, json, ASKED);
    cJSON_Delete(json);
    if (status == TUFF_OK && !*a->method->token_layer && a->row_count > 1 &&
        !same_ids(&a->rows[0], &a->rows[1]))
        status = tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s has other tokens of %s than of %s: that is of LoRA; %s of a table and a head are the same",
            ASKED, a->rows[0].module, a->rows[1].module, a->method->title);
    return status;
}

tuff_status tuff_tokens_open(tuff_adapter *a, const char *key, const cJSON *value)
{
    tuff_buf where = {0};
    tuff_buf_printf(&where, "%s: '%s'", a->files->config_path, key);
    const tuff_status status = where.failed ? tuff_fail_memory("an adapter") : add_all(a, value, where.data);
    tuff_buf_free(&where);
    return status;
}

/* ---- in nets */

/* Of a row of numbers what stays where a token has a row of its own: 0, else 1; [n, 1]. */
static tuff_tensor *kept(tuff_graph *g, tuff_tensor *selected)
{
    const int64_t shape[] = {tuff_tensor_dim(selected, 0), 1};
    return tuff_sub(g, tuff_fill(g, 1, 2, shape), tuff_sum(g, selected, 2, true));
}

static tuff_tensor *lookup(void *self, tuff_net *net, tuff_tensor *x)
{
    const tuff_adapter *a = self;
    const double scale = net->config->embed_scale != 0 ? net->config->embed_scale : 1;
    tuff_graph *g = net->g;
    for (int i = 0; i < a->row_count; i++) {
        const tuff_token_rows *r = &a->rows[i];
        if (!r->table) continue;
        tuff_tensor *selected = tuff_gather_rows(g, tuff_adapter_fixed(a, net, r->select), net->at->ids),
                    *own = tuff_matmul_of(g, selected, tuff_adapter_variable(a, net, r->tensor), TUFF_F32);
        if (scale != 1) own = tuff_scale(g, own, scale);
        x = tuff_add(g, tuff_mul(g, x, kept(g, selected)), own);
    }
    return x;
}

static tuff_tensor *output(void *self, tuff_net *net, tuff_tensor *x, tuff_tensor *y)
{
    const tuff_adapter *a = self;
    tuff_graph *g = net->g;
    for (int i = 0; i < a->row_count; i++) {
        const tuff_token_rows *r = &a->rows[i];
        if (!r->head) continue;
        tuff_tensor *select = tuff_adapter_fixed(a, net, r->select),
                    *own = tuff_matmul(g, x, tuff_transpose(g, tuff_adapter_variable(a, net, r->tensor)));
        own = tuff_matmul_of(g, own, tuff_transpose(g, select), TUFF_F32);
        y = tuff_add(g, tuff_mul(g, y, tuff_reshape(g, kept(g, select), 1, (int64_t[]){-1})), own);
    }
    return y;
}

tuff_status tuff_tokens_settle(tuff_adapter *a)
{
    for (int i = 0; i < a->row_count; i++)
        if (a->method->changes && a->method->changes(a, a->rows[i].param))
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: it is for rows of %s (trainable_token_indices), and adapts all of that by %s too: "
                "leave one of them out",
                a->path ? a->path : a->model->path, a->rows[i].module, a->method->title);
    if (!a->row_count) return TUFF_OK;
    a->points = a->method->points;
    a->points.rows = lookup;
    a->points.output = output;
    a->hook.points = &a->points;
    return TUFF_OK;
}

const tuff_token_rows *tuff_tokens_of(const tuff_adapter *a, size_t index)
{
    for (int i = 0; i < a->row_count; i++)
        if (a->rows[i].tensor == index) return &a->rows[i];
    return NULL;
}

const tuff_token_rows *tuff_tokens_of_fixed(const tuff_adapter *a, size_t index)
{
    for (int i = 0; i < a->row_count; i++)
        if (a->rows[i].select == index) return &a->rows[i];
    return NULL;
}

tuff_status tuff_tokens_start(const tuff_adapter *a, const tuff_token_rows *r, float *values)
{
    for (int64_t i = 0; i < r->count; i++, values += r->param->shape[1])
        TUFF_TRY(tuff_model_read(a->model, r->param, NULL, r->ids[i], r->ids[i] + 1, values));
    return TUFF_OK;
}

void tuff_tokens_fill(const tuff_token_rows *r, int64_t columns, float *values)
{
    for (int64_t i = 0; i < r->count; i++)
        values[r->ids[i] * columns + i] = 1;
}

/* ---- merged, and written */

bool tuff_tokens_change(const tuff_adapter *a, const tuff_param *param)
{
    for (int i = 0; i < a->row_count; i++)
        if (strcmp(a->rows[i].param->name, param->name) == 0) return true;
    return false;
}

tuff_status tuff_tokens_merge(const tuff_adapter *a, const tuff_param *param, int64_t begin, int64_t end,
                              float *values)
{
    for (int i = 0; i < a->row_count; i++) {
        const tuff_token_rows *r = &a->rows[i];
        const bool its = strcmp(r->param->name, param->name) == 0; /* of another list */
        for (int64_t k = 0; its && k < r->count; k++)
            if (r->ids[k] >= begin && r->ids[k] < end)
                TUFF_TRY(tuff_adapter_read(a, r->tensor, k, k + 1,
                                           values + (r->ids[k] - begin) * param->shape[1]));
    }
    return TUFF_OK;
}

static void print_ids(const tuff_token_rows *r, const char *indent, tuff_buf *out)
{
    tuff_buf_char(out, '[');
    for (int64_t i = 0; i < r->count; i++)
        tuff_buf_printf(out, "%s\n%s  %d", i ? "," : "", indent, r->ids[i]);
    tuff_buf_printf(out, "\n%s]", indent);
}

void tuff_tokens_print(const tuff_adapter *a, tuff_buf *out)
{
    if (a->row_count == 1 && a->rows[0].table) {
        print_ids(&a->rows[0], "  ", out);
        return;
    }
    tuff_buf_char(out, '{');
    for (int i = 0; i < a->row_count; i++) {
        tuff_buf_text(out, i ? ",\n    " : "\n    ");
        tuff_json_quote(out, a->rows[i].module, strlen(a->rows[i].module));
        tuff_buf_text(out, ": ");
        print_ids(&a->rows[i], "    ", out);
    }
    tuff_buf_text(out, "\n  }");
}
