#include "models/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/heads/head.h"

int64_t tuff_param_elements(const tuff_param *param)
{
    int64_t n = 1;
    for (int i = 0; i < param->rank; i++)
        n *= param->shape[i];
    return n;
}

int64_t tuff_param_columns(const tuff_param *param)
{
    return param->rank > 1 ? param->shape[param->rank - 1] : 1;
}

int64_t tuff_param_rows(const tuff_param *param)
{
    return tuff_param_elements(param) / tuff_param_columns(param);
}

int64_t tuff_param_file_tensors(const tuff_param *param, bool gguf)
{
    const int64_t stack = gguf ? param->gguf.stack : param->hf.stack;
    return stack ? stack : 1;
}

const char *tuff_param_file_name(const tuff_param *param, bool gguf, int64_t index,
                                 char text[TUFF_PARAM_NAME])
{
    const tuff_source *source = gguf ? &param->gguf : &param->hf;
    const char *number = source->name && source->stack ? strchr(source->name, '*') : NULL;
    if (!number) return source->name;
    snprintf(text, TUFF_PARAM_NAME, "%.*s%lld%s", (int)(number - source->name), source->name,
             (long long)index, number + 1);
    return text;
}

int tuff_param_file_shape(const tuff_param *param, bool gguf, int64_t out_shape[TUFF_MAX_RANK])
{
    memcpy(out_shape, param->shape, (size_t)param->rank * sizeof *out_shape);
    const tuff_source *source = gguf ? &param->gguf : &param->hf;
    out_shape[0] -= source->skip;
    if (source->stack) {
        memmove(out_shape, out_shape + 1, (size_t)(param->rank - 1) * sizeof *out_shape);
        return param->rank - 1;
    }
    if (source->layout == TUFF_LAYOUT_HEADS) {
        out_shape[0] = source->heads;
        out_shape[1] = param->shape[0];
        return 2;
    }
    if (source->layout == TUFF_LAYOUT_ALTERNATING) {
        out_shape[1] = param->rank > 2 ? param->shape[2] : source->heads * param->shape[1];
        if (param->rank > 2) out_shape[2] = source->heads * param->shape[1];
        return param->rank;
    }
    if (source->layout != TUFF_LAYOUT_TRANSPOSED) return param->rank;
    out_shape[0] = param->shape[1];
    out_shape[1] = param->shape[0];
    return param->rank;
}

bool tuff_param_is_matrix(const tuff_param *param)
{
    return param->role == TUFF_ROLE_MATRIX || param->role == TUFF_ROLE_TABLE;
}

void tuff_params_free(tuff_params *params)
{
    tuff_free(params->items);
    tuff_arena_free(&params->arena);
    tuff_map_free(&params->by_name);
    *params = (tuff_params){0};
}

const tuff_param *tuff_params_find(const tuff_params *params, const char *name)
{
    uint32_t i;
    return tuff_map_get(&params->by_name, name, strlen(name), &i) ? &params->items[i] : NULL;
}

/* The length of `name`'s part that `pattern` names, a whole module; 0 when it does not. *layer is what '#'
 * stands for. */
static size_t match(const char *pattern, const char *name, int *layer)
{
    const char *at = name;
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*at++ != *pattern) return 0;
            continue;
        }
        if (*at < '0' || *at > '9') return 0;
        for (*layer = 0; *at >= '0' && *at <= '9'; at++)
            *layer = 10 * *layer + (*at - '0');
    }
    return *at == '.' || *at == '\0' ? (size_t)(at - name) : 0;
}

/* "blk.#.attn_q" and ".weight" of layer 3: "blk.3.attn_q.weight". */
static const char *gguf_name(tuff_params *params, const char *pattern, int layer, const char *ending)
{
    const char *number = strchr(pattern, '#');
    if (!number) return tuff_arena_printf(&params->arena, "%s%s", pattern, ending);
    return tuff_arena_printf(&params->arena, "%.*s%d%s%s", (int)(number - pattern), pattern, layer,
                             number + 1, ending);
}

/* The part that a name belongs to, the length of the module's in it and the layer's number; NULL when there
 * is none. */
static const tuff_part *find_part(const tuff_config *config, const char *name, size_t *size, int *layer)
{
    const tuff_part *const lists[] = {config->head ? config->head->parts : NULL, config->arch->parts};
    for (int i = 0; i < 2; i++)
        for (const tuff_part *part = lists[i]; part && part->hf; part++)
            if ((*size = match(part->hf, name, layer)) > 0) return part;
    return NULL;
}

static const char *alias_of(const tuff_arch *arch, const char *part)
{
    for (const tuff_gguf_alias *a = arch->gguf_aliases; a && a->part; a++)
        if (strcmp(a->part, part) == 0) return a->gguf;
    return part;
}

/* "blk.#.attn_q_norm" and ".7.weight": row 7 of "blk.3.attn_q_norm.weight". */
static void set_head(tuff_params *params, const tuff_config *config, const tuff_part *part, int layer,
                     const char *ending, tuff_source *out)
{
    char *rest;
    out->head = strtol(ending + 1, &rest, 10);
    out->heads = tuff_ends_with(part->gguf, "attn_q_norm") ? config->heads : config->kv_heads;
    out->layout = TUFF_LAYOUT_HEADS;
    out->name = gguf_name(params, part->gguf, layer, rest);
}

/* "experts.gate_proj.weight" is every other column of "experts.gate_up_proj". */
static void set_alternating(tuff_params *params, const char *name, tuff_source *out)
{
    static const struct {
        const char *own, *file;
        int64_t parts, part;
    } of[] = {{"gate_proj.", "gate_up_proj", 2, 0},
              {"up_proj.", "gate_up_proj", 2, 1},
              {"down_proj.", "down_proj", 1, 0}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const char *at = strstr(name, of[i].own);
        if (!at || at[-1] != '.') continue;
        out->name = tuff_arena_printf(&params->arena, "%.*s%s%s", (int)(at - name), name, of[i].file,
                                      tuff_ends_with(name, ".bias") ? "_bias" : "");
        out->layout = TUFF_LAYOUT_ALTERNATING;
        out->heads = of[i].parts;
        out->head = of[i].part;
        return;
    }
}

/* "layers.2.mlp.experts.gate_up_proj" has, of each expert, the rows of
 * "layers.2.<any>.experts.*.gate_proj.weight" or w1, then those of up_proj or w3. */
static tuff_status set_fused(tuff_params *params, const tuff_part *part, tuff_param *p)
{
    static const struct {
        const char *gguf, *file;
        int64_t heads, head;
    } of[] = {{"ffn_gate_inp", "gate.weight", 1, 0},
              {"ffn_gate_exps", "experts.gate_up_proj", 2, 0},
              {"ffn_up_exps", "experts.gate_up_proj", 2, 1},
              {"ffn_down_exps", "experts.down_proj", 1, 0}};
    const char *layer = strstr(p->hf.name, "layers."),
               *rest = layer ? strchr(layer + strlen("layers."), '.') : NULL;
    for (size_t i = 0; i < sizeof of / sizeof *of && rest; i++) {
        if (!tuff_ends_with(part->gguf, of[i].gguf) || tuff_ends_with(part->hf, ".router")) continue;
        p->fused.name = tuff_arena_printf(&params->arena, "%.*s.mlp.%s", (int)(rest - p->hf.name), p->hf.name,
                                          of[i].file);
        p->fused.heads = of[i].heads;
        p->fused.head = of[i].head;
        return p->fused.name ? TUFF_OK : tuff_fail_memory("the list of a model's parameters");
    }
    return TUFF_OK;
}

static tuff_status find_sources(tuff_params *params, const tuff_config *config, tuff_param *p)
{
    const char *prefix = config->arch->base_prefix;
    int layer = 0;
    size_t size;
    const tuff_part *part = find_part(config, p->name, &size, &layer);
    p->hf.name = p->name;
    if (config->bare && tuff_starts_with(p->name, prefix)) p->hf.name += strlen(prefix);
    if (!part || part->kind == TUFF_PART_UNNAMED) return TUFF_OK;
    p->gguf.name = gguf_name(params, alias_of(config->arch, part->gguf), layer, p->name + size);
    if (!p->gguf.name) return tuff_fail_memory("the list of a model's parameters");
    if (p->role == TUFF_ROLE_NORM && config->norm_plus_one) p->gguf.added = 1;
    if (part->kind == TUFF_PART_POSITIONS) p->gguf.skip = config->position_offset;
    if (part->kind == TUFF_PART_CONV1D && p->rank == 2) p->hf.layout = TUFF_LAYOUT_TRANSPOSED;
    if (part->kind == TUFF_PART_EXPERTS) p->hf.stack = p->shape[0];
    if (p->role == TUFF_ROLE_MATRIX && (part->kind == TUFF_PART_EXPERTS || part->kind == TUFF_PART_ROUTER))
        TUFF_TRY(set_fused(params, part, p));
    if (part->kind == TUFF_PART_ALTERNATING) set_alternating(params, p->hf.name, &p->hf);
    if (!p->hf.name) return tuff_fail_memory("the list of a model's parameters");
    p->router = part->kind == TUFF_PART_ROUTER && p->role == TUFF_ROLE_MATRIX;
    if (part->kind == TUFF_PART_HEADS) set_head(params, config, part, layer, p->name + size, &p->gguf);
    if (part->kind == TUFF_PART_QKV) {
        p->gguf.layout = TUFF_LAYOUT_QKV;
        p->gguf.heads = config->kv_heads;
        p->gguf.queries = config->heads / config->kv_heads;
    }
    bool rotary = part->kind == TUFF_PART_Q || part->kind == TUFF_PART_K;
    if (!rotary || !config->arch->gguf_interleaves) return TUFF_OK;
    p->gguf.layout = TUFF_LAYOUT_INTERLEAVED;
    p->gguf.heads = part->kind == TUFF_PART_Q ? config->heads : config->kv_heads;
    return TUFF_OK;
}

tuff_status tuff_params_declare(tuff_params *params, const tuff_config *config, const char *name,
                                tuff_role role, int rank, const int64_t *shape)
{
    if (!tuff_grow((void **)&params->items, params->count, &params->capacity, sizeof *params->items))
        return tuff_fail_memory("the list of a model's parameters");
    tuff_param p = {.role = role, .rank = rank, .stored = TUFF_F32};
    memcpy(p.shape, shape, (size_t)rank * sizeof *shape);
    p.name = tuff_arena_strdup(&params->arena, name);
    if (!p.name || !tuff_map_put(&params->by_name, p.name, strlen(p.name), (uint32_t)params->count))
        return tuff_fail_memory("the list of a model's parameters");
    TUFF_TRY(find_sources(params, config, &p));
    params->items[params->count++] = p;
    return TUFF_OK;
}

tuff_status tuff_params_list(const tuff_config *config, tuff_params *params)
{
    tuff_graph *g = NULL;
    if (config->head && config->head->head->has_labels && config->labels < 1)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "the config has no labels (id2label) for a classifier to choose from");
    TUFF_TRY(tuff_graph_create(&g));
    tuff_net net = {
        .g = g, .config = config, .tokens = 1, .sequences = 1, .rope_positions = 1, .declare = params};
    if (config->encoder) net.source_tokens = 1;
    tuff_net_begin(&net);
    tuff_tensor *states = tuff_net_hidden(&net);
    if (config->head) tuff_net_head(&net, states);
    tuff_status status = tuff_graph_status(g);
    tuff_graph_destroy(&g);
    return status;
}
