/* LoRA of the tokens' table: what it gives is x + scale * B (A's column of the token), as in PEFT, where A
 * has a column for each token. Where the head is tied to the table, it stays as it was. */
#include <stdio.h>
#include <string.h>

#include "adapters/lora.h"
#include "base/memory.h"
#include "base/rng.h"
#include "models/heads/head.h"

static bool named(const tuff_param *p, char module[256])
{
    if (p->rank != 2 || p->whole || !tuff_ends_with(p->name, ".weight")) return false;
    snprintf(module, 256, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
    return true;
}

bool tuff_lora_is_table(const tuff_model *model, const tuff_param *p, char module[256])
{
    const char *table = tuff_config_module(&model->config, "token_embd");
    return p->role == TUFF_ROLE_TABLE && !model->config.encoder && named(p, module) && table &&
           strcmp(module, table) == 0;
}

const char *tuff_lora_head_name(const tuff_model *model, const char *module)
{
    const char *output = tuff_config_module(&model->config, "output");
    if (!output || strcmp(module, output) != 0) return module;
    return tuff_config_has_head(&model->config, &tuff_head_lm) ? "lm_head" : module;
}

bool tuff_lora_is_head(const tuff_model *model, const tuff_param *p, char module[256])
{
    const char *output = tuff_config_module(&model->config, "output");
    const bool is = p->role == TUFF_ROLE_MATRIX && named(p, module) && !model->config.tied && output &&
                    strcmp(module, output) == 0;
    if (is) snprintf(module, 256, "%s", tuff_lora_head_name(model, output));
    return is;
}

const tuff_param *tuff_lora_find_outer(const tuff_model *model, const char *module, bool table)
{
    char name[256], whole[320];
    if (!table) module = tuff_lora_head_name(model, module);
    snprintf(whole, sizeof whole, "%s%s", model->config.arch->base_prefix, module);
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        const bool is = table ? tuff_lora_is_table(model, p, name) : tuff_lora_is_head(model, p, name);
        if (is && (strcmp(name, module) == 0 || strcmp(name, whole) == 0)) return p;
    }
    return NULL;
}

tuff_status tuff_lora_add_table(tuff_adapter *a, const tuff_param *p, int64_t rank, double scale,
                                const tuff_peft_pair *pair)
{
    const tuff_lora *l = a->own;
    const int64_t first[2] = {rank, p->shape[0]}, second[2] = {p->shape[1], rank};
    char name[256];
    if (l->config.dora)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: DoRA of the table of tokens is not done; leave it out of the targets, or use_dora",
            pair ? a->path : a->model->path);
    tuff_lora_is_table(a->model, p, name);
    const tuff_lora_module m = {
        .name = tuff_arena_strdup(&a->arena, name), .param = p, .table = true, .rank = rank, .scale = scale};
    if (!m.name) return tuff_fail_memory("an adapter");
    return tuff_lora_put(a, m, m.name, first, second, pair);
}

tuff_tensor *tuff_lora_embeddings(void *self, tuff_net *net, tuff_tensor *x)
{
    const tuff_adapter *adapter = self;
    const tuff_lora *l = adapter->own;
    const tuff_config *c = net->config;
    const char *module = tuff_net_module(net, "token_embd", 0);
    tuff_graph *g = net->g;
    uint32_t i;
    if (!tuff_map_get(&l->by_module, module, strlen(module), &i)) return x;
    const tuff_lora_module *m = &l->modules[i];
    tuff_tensor *a = tuff_adapter_variable(adapter, net, m->first),
                *b = tuff_adapter_variable(adapter, net, m->first + 1);
    tuff_tensor *low = tuff_gather_rows(g, tuff_copy(g, tuff_transpose(g, a), TUFF_F32), net->at->ids);
    low = tuff_matmul(g, low, tuff_transpose(g, b));
    return tuff_add(g, x, tuff_scale(g, low, m->scale * (c->embed_scale != 0 ? c->embed_scale : 1)));
}

/* PEFT's: A is zero, B drawn from a standard normal. */
void tuff_lora_start_table(const tuff_adapter *a, const tuff_lora_module *m, size_t index, float *values)
{
    const tuff_lora *l = a->own;
    const int64_t *shape = a->tensors[index].shape;
    const uint32_t stream = TUFF_STREAM_INIT + (uint32_t)(m - l->modules);
    for (int64_t k = 0; index == m->first + 1 && k < shape[0] * shape[1]; k++)
        values[k] = (float)tuff_rng_normal(l->seed, (uint64_t)k, 0, stream);
}

tuff_status tuff_lora_table_rows(const tuff_adapter *a, const tuff_lora_module *m, int64_t begin, int64_t end,
                                 float *values)
{
    const int64_t rank = m->rank, tokens = m->param->shape[0], columns = m->param->shape[1];
    float *first = tuff_alloc_array((size_t)(rank * tokens), sizeof *first),
          *second = tuff_alloc_array((size_t)(columns * rank), sizeof *second);
    tuff_status status = first && second ? TUFF_OK : tuff_fail_memory("an adapter's weights");
    if (status == TUFF_OK) status = tuff_adapter_read(a, m->first, 0, rank, first);
    if (status == TUFF_OK) status = tuff_adapter_read(a, m->first + 1, 0, columns, second);
    for (int64_t t = begin; t < end && status == TUFF_OK; t++)
        for (int64_t k = 0; k < columns; k++, values++) {
            double sum = 0;
            for (int64_t j = 0; j < rank; j++)
                sum += (double)first[j * tokens + t] * second[k * rank + j];
            *values = (float)(*values + m->scale * sum);
        }
    tuff_free(first);
    tuff_free(second);
    return status;
}

bool tuff_lora_unties(const tuff_adapter *a)
{
    const tuff_lora *l = a->own;
    for (size_t i = 0; i < l->count; i++)
        if (l->modules[i].table) return true;
    return false;
}
