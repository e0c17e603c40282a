#include "adapters/targets.h"

#include <stdio.h>
#include <string.h>

bool tuff_last_part_is(const char *module, const char *name)
{
    size_t n = strlen(module), size = strlen(name);
    return tuff_ends_with(module, name) && (n == size || module[n - size - 1] == '.');
}

bool tuff_adaptable(const tuff_param *p, char module[256])
{
    if (p->rank != 2 || p->role != TUFF_ROLE_MATRIX || !tuff_ends_with(p->name, ".weight")) return false;
    if (p->whole || p->router) return false;
    if (p->gguf.name && strcmp(p->gguf.name, "output.weight") == 0)
        return false; /* whatever its module is called */
    snprintf(module, 256, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
    return true;
}

const tuff_param *tuff_adaptable_find(const tuff_model *model, const char *module)
{
    char name[256], whole[256];
    snprintf(whole, sizeof whole, "%s%s", model->config.arch->base_prefix, module);
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        if (tuff_adaptable(p, name) && (strcmp(name, module) == 0 || strcmp(name, whole) == 0)) return p;
    }
    return NULL;
}

static const char *last_part(const char *module)
{
    const char *dot = strrchr(module, '.');
    return dot ? dot + 1 : module;
}

/* Why a module that has a weight cannot be adapted: "is the head, ..."; NULL: no more to be said than that it
 * is no linear layer of the model. */
static const char *refusal(const tuff_model *model, const char *module)
{
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
        if (p->rank == 3 && tuff_last_part_is(name, last_part(module)))
            return "is a matrix of each expert and no linear layer: target_parameters are for it "
                   "(mlp.experts.gate_up_proj, mlp.experts.down_proj)";
        if (p->router && tuff_last_part_is(name, last_part(module)))
            return "is what chooses experts and no linear layer: target_parameters are for it (mlp.gate.weight)";
    }
    const char *output = tuff_config_module(&model->config, "output");
    if (!tuff_last_part_is(module, "lm_head") && (!output || !tuff_last_part_is(module, output))) return NULL;
    return model->config.tied
               ? "is the embedding table, which the head is tied to: LoRA adapts the table's rows where it "
                 "is named itself, and leaves the head as it is"
               : "is the head, a linear layer that only LoRA adapts";
}

tuff_status tuff_adaptable_missing(const tuff_model *model, const char *module, const char *file)
{
    const char *why = refusal(model, module);
    if (why) return tuff_fail(TUFF_UNSUPPORTED, "%s: it adapts %s, which %s", file, module, why);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it adapts %s, which is no linear layer of the %s model %s", file,
                     module, model->config.arch->name, model->path);
}

bool tuff_adaptable_conv1d(const tuff_model *model, const char *module)
{
    const tuff_param *p = tuff_adaptable_find(model, module);
    return p && p->hf.layout == TUFF_LAYOUT_TRANSPOSED;
}

tuff_status tuff_targets_parse(const char *text, const char *option, tuff_arena *arena, tuff_targets *out)
{
    const size_t most = tuff_list_most(text);
    tuff_view part;
    *out = (tuff_targets){.option = option, .all = strcmp(text, "all-linear") == 0};
    if (out->all) return TUFF_OK;
    out->names = tuff_arena_array(arena, most, sizeof *out->names);
    out->found = tuff_arena_array(arena, most, sizeof *out->found);
    if (!out->names || !out->found) return tuff_fail_memory("an adapter");
    for (const char *at = text; tuff_list_next(&at, &part);) {
        char *name = tuff_arena_alloc(arena, part.size + 1);
        if (!name) return tuff_fail_memory("an adapter");
        memcpy(name, part.data, part.size);
        out->names[out->count++] = name;
    }
    if (out->count == 0) { /* refused by the check, which names what there is */
        out->names[out->count++] = tuff_arena_strdup(arena, text);
        if (!out->names[0]) return tuff_fail_memory("an adapter");
    }
    return TUFF_OK;
}

bool tuff_targets_match(const tuff_targets *targets, const char *module)
{
    bool any = targets->all;
    for (size_t i = 0; i < targets->count; i++)
        if (tuff_last_part_is(module, targets->names[i])) targets->found[i] = any = true;
    return any;
}

/* The last parts of all modules that can be adapted, for an error text. */
static void list_targets(const tuff_model *model, tuff_buf *out)
{
    for (size_t i = 0; i < model->params.count; i++) {
        char module[256];
        if (!tuff_adaptable(&model->params.items[i], module)) continue;
        const char *last = strrchr(module, '.');
        last = last ? last + 1 : module;
        if (!out->data || !strstr(out->data, last)) tuff_buf_printf(out, "%s%s", out->size ? ", " : "", last);
    }
}

tuff_status tuff_targets_check(const tuff_targets *targets, const tuff_model *model)
{
    for (size_t i = 0; i < targets->count; i++) {
        if (targets->found[i]) continue;
        const char *why = refusal(model, targets->names[i]);
        tuff_buf known = {0};
        list_targets(model, &known);
        tuff_status status = tuff_fail(
            TUFF_INVALID_ARGUMENT, "%s \"%s\" %s; this %s model has %s", targets->option, targets->names[i],
            why ? why : "names no linear layer", model->config.arch->name, known.data ? known.data : "none");
        tuff_buf_free(&known);
        return status;
    }
    return TUFF_OK;
}
