/* LoRA of experts: of parameters that transformers has in place of linear layers, with a matrix for each
 * expert or two, one after the other or alternately; and of what chooses experts. PEFT's target_parameters
 * name them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "adapters/lora.h"
#include "base/memory.h"

enum { MOST_PARTS = 2 };

typedef struct tuff_lora_experts {
    int64_t count, in, out;               /* of one matrix [out, in] of each */
    int64_t parts;                        /* such matrices of an expert: gate and up are one parameter */
    bool alternating;                     /* whose rows alternate */
    const tuff_param *params[MOST_PARTS]; /* the model's, [count, out, in] each */
    /* Where files have modules of each expert, as of transformers 4: their pairs [parts][count], NULL: none,
     * and how much of the rank each part has. */
    const tuff_peft_pair **pairs;
    int64_t ranks[MOST_PARTS];
    const tuff_peft_pair *flipped; /* of a PEFT before 0.21, which took outputs for inputs; NULL: not so */
} tuff_lora_experts;

/* ---- names */

/* What transformers has of a matrix of experts or a router; NULL: it is none. */
static const tuff_source *source_of(const tuff_param *p)
{
    if (p->router) return p->fused.name ? &p->fused : &p->hf;
    if (p->rank != 3 || p->role != TUFF_ROLE_MATRIX) return NULL;
    if (p->hf.layout == TUFF_LAYOUT_ALTERNATING) return &p->hf;
    return p->fused.name ? &p->fused : NULL;
}

/* "model.layers.0.mlp.experts.gate_up_proj", for the first of its matrices; false: it is none. */
static bool name_of(const tuff_model *model, const tuff_param *p, char out[TUFF_PARAM_NAME])
{
    const tuff_source *source = source_of(p);
    const char *prefix = model->config.arch->base_prefix;
    if (!source || source->head != 0) return false;
    if (!model->config.bare || !tuff_starts_with(p->name, prefix)) prefix = "";
    snprintf(out, TUFF_PARAM_NAME, "%s%s", prefix, source->name);
    return true;
}

void tuff_lora_list_parameters(const tuff_model *model, tuff_buf *out)
{
    for (size_t i = 0; i < model->params.count; i++) {
        char name[TUFF_PARAM_NAME];
        if (!name_of(model, &model->params.items[i], name)) continue;
        const char *layer = strstr(name, "layers."),
                   *rest = layer ? strchr(layer + strlen("layers."), '.') : NULL;
        const char *end = rest ? rest + 1 : name;
        if (!out->data || !strstr(out->data, end)) tuff_buf_printf(out, "%s%s", out->size ? ", " : "", end);
    }
}

/* The module that PEFT's tensors of a parameter are of. PEFT wraps a module once for each of its parameters
 * that it adapts, in transformers' order, down_proj last; `all`: it adapts all. NULL: out of memory. */
static const char *layer_of(tuff_adapter *a, const char *name, bool all)
{
    const tuff_lora *l = a->own;
    const int size = (int)(strrchr(name, '.') - name);
    char last[TUFF_PARAM_NAME];
    snprintf(last, sizeof last, "%.*s.down_proj", size, name);
    const bool inside =
        tuff_ends_with(name, ".gate_up_proj") && (all || tuff_targets_match(&l->parameters, last));
    return tuff_arena_printf(&a->arena, "%.*s%s", size, name, inside ? ".base_layer" : "");
}

/* ---- modules */

/* What the parameter of a matrix has; *out is NULL for a router. */
static tuff_status describe(tuff_adapter *a, const tuff_param *p, tuff_lora_experts **out)
{
    const tuff_params *params = &a->model->params;
    const tuff_source *source = source_of(p);
    *out = NULL;
    if (p->router) return TUFF_OK;
    tuff_lora_experts *e = *out = tuff_arena_alloc(&a->arena, sizeof *e);
    if (!e) return tuff_fail_memory("an adapter");
    e->count = p->shape[0];
    e->out = p->shape[1];
    e->in = p->shape[2];
    e->alternating = source->layout == TUFF_LAYOUT_ALTERNATING && source->heads > 1;
    for (size_t i = 0; i < params->count; i++) {
        const tuff_source *other = source_of(&params->items[i]);
        if (!other || strcmp(other->name, source->name) != 0) continue;
        e->params[other->head] = &params->items[i];
        e->parts++;
    }
    return TUFF_OK;
}

/* Adds the module; without a pair its tensors are new, or put together where the experts say so. */
static tuff_status add(tuff_adapter *a, const tuff_param *p, const char *name, const tuff_lora_experts *e,
                       int64_t rank, double scale, const tuff_peft_pair *pair)
{
    tuff_lora *l = a->own;
    const int64_t all = e ? e->count * rank : rank, out = e ? e->parts * e->out : p->shape[0],
                  first[2] = {all, e ? e->in : p->shape[1]}, second[2] = {out, all};
    const char *layer = layer_of(a, name, e && e->pairs);
    const tuff_lora_module m = {.name = tuff_arena_strdup(&a->arena, name),
                                .param = p,
                                .experts = e,
                                .parameter = true,
                                .rank = rank,
                                .scale = scale};
    if (!m.name || !layer) return tuff_fail_memory("an adapter");
    TUFF_TRY(tuff_lora_put(a, m, layer, first, second, pair));
    const uint32_t index = (uint32_t)(l->count - 1);
    for (int64_t k = 1; e && k < e->parts; k++) {
        const char *key = e->params[k]->name;
        if (!tuff_map_put(&l->by_module, key, strlen(key) - strlen(".weight"), index))
            return tuff_fail_memory("an adapter");
    }
    for (size_t i = 0; e && (e->pairs || e->flipped) && i < 2; i++)
        a->tensors[l->modules[index].first + i].gathered = true;
    return TUFF_OK;
}

/* ---- a new one */

static tuff_status check_targets(const tuff_adapter *a)
{
    const tuff_lora *l = a->own;
    for (size_t i = 0; i < l->parameters.count; i++) {
        if (l->parameters.found && l->parameters.found[i]) continue;
        tuff_buf known = {0};
        tuff_lora_list_parameters(a->model, &known);
        tuff_status status =
            tuff_fail(TUFF_INVALID_ARGUMENT,
                      "target_parameters \"%s\" names no parameter of experts; this %s model has %s",
                      l->parameters.names[i], a->model->config.arch->name, known.data ? known.data : "none");
        tuff_buf_free(&known);
        return status;
    }
    return TUFF_OK;
}

tuff_status tuff_lora_target_parameters(tuff_adapter *a, const char *text)
{
    tuff_lora *l = a->own;
    TUFF_TRY(tuff_targets_parse(text, "target_parameters", &a->arena, &l->parameters));
    if (l->parameters.all)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "target_parameters is \"all-linear\", expected ends of names, \"mlp.experts.down_proj\"");
    if (l->config.dropout > 0 || l->config.dora)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s is set, and target_parameters too: parameters are adapted without it, as in PEFT",
            l->config.dora ? "use_dora" : "lora_dropout");
    if (l->config.bias)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "bias is %s, and target_parameters are given too: biases are trained without them",
                         l->config.bias);
    for (size_t i = 0; i < a->model->params.count; i++) {
        const tuff_param *p = &a->model->params.items[i];
        char name[TUFF_PARAM_NAME];
        tuff_lora_experts *e;
        if (!name_of(a->model, p, name) || !tuff_targets_match(&l->parameters, name)) continue;
        TUFF_TRY(describe(a, p, &e));
        TUFF_TRY(
            add(a, p, name, e, tuff_peft_rank(&l->config, name), tuff_peft_scale(&l->config, name), NULL));
    }
    return check_targets(a);
}

/* ---- from PEFT's files */

/* The pair of a module, as the whole model has it or its layers alone, or of one of its parameters; NULL:
 * there is none. */
static const tuff_peft_pair *find(const tuff_adapter *a, const char *module, bool parameter, bool *taken)
{
    const tuff_lora *l = a->own;
    const char *prefix = a->model->config.arch->base_prefix;
    const tuff_peft_pair *pair = tuff_peft_find(l->peft, module);
    if (!pair && tuff_starts_with(module, prefix)) pair = tuff_peft_find(l->peft, module + strlen(prefix));
    if (!pair || pair->parameter != parameter) return NULL;
    taken[pair - l->peft->pairs] = true;
    return pair;
}

static tuff_status wrong_shape(const tuff_adapter *a, const tuff_peft_pair *pair, int64_t in, int64_t out)
{
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: the adapter of %s is for matrices of %" PRId64 " to %" PRId64
                     ", the model's are %" PRId64 " to %" PRId64,
                     a->path, pair->module, pair->a->shape[1], pair->b->shape[0], in, out);
}

/* As target_parameters makes it: one pair for all experts. */
static tuff_status open_parameter(tuff_adapter *a, const tuff_param *p, const char *name, bool *taken)
{
    tuff_lora *l = a->own;
    tuff_lora_experts *e;
    const char *layer = layer_of(a, name, false);
    if (!layer) return tuff_fail_memory("an adapter");
    const tuff_peft_pair *found = find(a, layer, true, taken);
    if (!found) return TUFF_OK;
    tuff_peft_pair pair = *found;
    TUFF_TRY(describe(a, p, &e));
    TUFF_TRY(tuff_peft_settle(l->peft->config, &pair, name, e ? e->count : 1));
    const int64_t in = e ? e->in : p->shape[1], out = e ? e->parts * e->out : p->shape[0],
                  columns = pair.a->shape[1], rows = pair.b->shape[0];
    if (e && columns == out && rows == in && in != out) {
        e->flipped = found;
        TUFF_TRY(tuff_weight_check_finite(pair.a));
        TUFF_TRY(tuff_weight_check_finite(pair.b));
    } else if (columns != in || rows != out)
        return wrong_shape(a, found, in, out);
    return add(a, p, name, e, pair.rank, pair.scale, e && e->flipped ? NULL : &pair);
}

/* The pairs of a part's experts; what rank they need. */
static tuff_status open_part(tuff_adapter *a, tuff_lora_experts *e, int64_t k, double *scale, bool *taken)
{
    const tuff_param *p = e->params[k];
    const char *number = strchr(p->name, '*');
    for (int64_t i = 0; number && i < e->count; i++) {
        char module[TUFF_PARAM_NAME];
        snprintf(module, sizeof module, "%.*s%" PRId64 "%.*s", (int)(number - p->name), p->name, i,
                 (int)(strlen(number + 1) - strlen(".weight")), number + 1);
        const tuff_peft_pair *pair = e->pairs[k * e->count + i] = find(a, module, false, taken);
        if (!pair) continue;
        if (pair->a->shape[1] != e->in || pair->b->shape[0] != e->out)
            return wrong_shape(a, pair, e->in, e->out);
        TUFF_TRY(tuff_weight_check_finite(pair->a));
        TUFF_TRY(tuff_weight_check_finite(pair->b));
        if (pair->rank > e->ranks[k]) e->ranks[k] = pair->rank;
        if (*scale == 0) *scale = pair->scale;
    }
    return TUFF_OK;
}

/* A pair for each expert's linear layers: they become one of all, whose rank has room for each part. */
static tuff_status open_experts(tuff_adapter *a, const tuff_param *p, const char *name, bool *taken)
{
    tuff_lora_experts *e;
    int64_t rank = 0;
    double scale = 0;
    TUFF_TRY(describe(a, p, &e));
    e->pairs = tuff_arena_array(&a->arena, (size_t)(e->parts * e->count), sizeof(void *));
    if (!e->pairs) return tuff_fail_memory("an adapter");
    for (int64_t k = 0; k < e->parts; k++) {
        TUFF_TRY(open_part(a, e, k, &scale, taken));
        rank += e->ranks[k];
    }
    if (scale == 0) scale = 1; /* an alpha of 0: rows are scaled by theirs over this one */
    return rank ? add(a, p, name, e, rank, scale, NULL) : TUFF_OK;
}

/* As the linear layer that it was in transformers 4. */
static tuff_status open_router(tuff_adapter *a, const tuff_param *p, const char *name, bool *taken)
{
    char module[TUFF_PARAM_NAME];
    snprintf(module, sizeof module, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
    const tuff_peft_pair *pair = find(a, module, false, taken);
    if (!pair) return TUFF_OK;
    if (pair->a->shape[1] != p->shape[1] || pair->b->shape[0] != p->shape[0])
        return wrong_shape(a, pair, p->shape[1], p->shape[0]);
    return add(a, p, name, NULL, pair->rank, pair->scale, pair);
}

tuff_status tuff_lora_open_parameters(tuff_adapter *a, bool *taken)
{
    tuff_lora *l = a->own;
    const tuff_peft_config *c = l->peft->config;
    l->parameters =
        (tuff_targets){.option = "target_parameters",
                       .names = c->parameters,
                       .count = c->parameter_count,
                       .found = tuff_arena_array(&a->arena, c->parameter_count + 1, sizeof(bool))};
    if (!l->parameters.found) return tuff_fail_memory("an adapter");
    for (size_t i = 0; i < a->model->params.count; i++) {
        const tuff_param *p = &a->model->params.items[i];
        char name[TUFF_PARAM_NAME];
        const size_t before = l->count;
        if (!name_of(a->model, p, name)) continue;
        if (tuff_targets_match(&l->parameters, name))
            TUFF_TRY(open_parameter(a, p, name, taken));
        else
            TUFF_TRY(p->router ? open_router(a, p, name, taken) : open_experts(a, p, name, taken));
        if (l->count > before && l->config.dora)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: it is DoRA of %s: DoRA of experts cannot be read",
                             a->path, name);
        if (l->count > before && l->config.bias)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: it is LoRA of %s with biases: LoRA of experts that has biases cannot be read", a->path,
                name);
    }
    return TUFF_OK;
}

/* ---- tensors of files that are put together */

/* Rows of A [count * rank, in] or B [out, rank * count] from the other one of a PEFT before 0.21: all of it.
 */
static tuff_status unflip(const tuff_lora_module *m, bool second, int64_t begin, int64_t end, float *out)
{
    const tuff_lora_experts *e = m->experts;
    const tuff_weight *from = second ? e->flipped->a : e->flipped->b;
    const int64_t all = m->rank * e->count, columns = from->shape[1];
    float *values = tuff_alloc_array((size_t)tuff_weight_elements(from), sizeof *values);
    if (!values) return tuff_fail_memory("an adapter's weights");
    tuff_status status = tuff_weight_read(from, TUFF_F32, values);
    for (int64_t r = begin; r < end && status == TUFF_OK; r++)
        for (int64_t i = 0; i < (second ? all : e->in); i++) {
            /* column j * count + e of B is row e * rank + j of A, and the other way round */
            const int64_t at =
                second ? i % e->count * m->rank + i / e->count : r % m->rank * e->count + r / m->rank;
            *out++ = second ? values[at * columns + r] : values[i * columns + at];
        }
    tuff_free(values);
    return status;
}

/* Rows of A from those of each expert. */
static tuff_status gather_a(const tuff_lora_module *m, int64_t begin, int64_t end, float *out)
{
    const tuff_lora_experts *e = m->experts;
    for (int64_t r = begin; r < end; r++, out += e->in) {
        const int64_t expert = r / m->rank, j = r % m->rank, k = j < e->ranks[0] ? 0 : 1,
                      row = j - (k ? e->ranks[0] : 0);
        const tuff_peft_pair *pair = e->pairs[k * e->count + expert];
        if (pair && row < pair->rank)
            TUFF_TRY(tuff_weight_read_rows(pair->a, row, row + 1, TUFF_F32, out));
        else
            memset(out, 0, (size_t)e->in * sizeof *out);
    }
    return TUFF_OK;
}

/* Rows of B, which has a block of each part's own: what gate adds, up does not. */
static tuff_status gather_b(const tuff_lora_module *m, int64_t begin, int64_t end, float *out)
{
    const tuff_lora_experts *e = m->experts;
    const int64_t all = m->rank * e->count;
    float *rows = tuff_alloc_array((size_t)((end - begin) * m->rank), sizeof *rows);
    tuff_status status = rows ? TUFF_OK : tuff_fail_memory("an adapter's weights");
    memset(out, 0, (size_t)((end - begin) * all) * sizeof *out);
    for (int64_t i = 0; i < e->parts * e->count && status == TUFF_OK; i++) {
        const int64_t k = i / e->count, expert = i % e->count, start = k * e->out,
                      column = k ? e->ranks[0] : 0;
        const int64_t from = begin > start ? begin : start, to = end < start + e->out ? end : start + e->out;
        const tuff_peft_pair *pair = e->pairs[i];
        if (!pair || from >= to) continue;
        status = tuff_weight_read_rows(pair->b, from - start, to - start, TUFF_F32, rows);
        for (int64_t r = from; r < to && status == TUFF_OK; r++)
            for (int64_t j = 0; j < pair->rank; j++)
                out[(r - begin) * all + (column + j) * e->count + expert] =
                    (float)(pair->scale / m->scale * rows[(r - from) * pair->rank + j]);
    }
    tuff_free(rows);
    return status;
}

tuff_status tuff_lora_gather(const tuff_adapter *a, size_t index, int64_t begin, int64_t end, float *out)
{
    const tuff_lora *l = a->own;
    const tuff_lora_module *m = &l->modules[index / 2]; /* DoRA, which has more tensors, is not of experts */
    const bool second = index != m->first;
    if (l->part_count) return tuff_lora_gather_sum(a, index, begin, end, out);
    if (m->experts->flipped) return unflip(m, second, begin, end, out);
    return second ? gather_b(m, begin, end, out) : gather_a(m, begin, end, out);
}

/* ---- in graphs and weights */

/* The rows of B that are one part's: [count, rank, out]. */
static tuff_tensor *part_of(tuff_graph *g, const tuff_lora_module *m, tuff_tensor *b, int64_t k)
{
    const tuff_lora_experts *e = m->experts;
    const int64_t mixed[] = {e->out, e->parts, m->rank, e->count},
                  apart[] = {e->parts, e->out, m->rank, e->count}, shape[] = {e->count, e->out, m->rank};
    const int axes[] = {3, e->alternating ? 1 : 0, e->alternating ? 0 : 1, 2};
    b = tuff_slice(g, tuff_reshape(g, b, 4, e->alternating ? mixed : apart), e->alternating ? 1 : 0, k, 1);
    b = tuff_copy(g, tuff_permute(g, b, axes), TUFF_F32);
    return tuff_transpose(g, tuff_reshape(g, b, 3, shape));
}

void tuff_lora_at_experts(void *self, tuff_net *net, const tuff_routes *to, const char *const *modules, int n,
                          tuff_tensor *x, tuff_tensor **y)
{
    const tuff_adapter *adapter = self;
    const tuff_lora *l = adapter->own;
    tuff_graph *g = net->g;
    uint32_t i;
    if (!tuff_map_get(&l->by_module, modules[0], strlen(modules[0]), &i)) return;
    const tuff_lora_module *m = &l->modules[i];
    const tuff_lora_experts *e = m->experts;
    const int64_t shape[] = {e->count, m->rank, e->in};
    tuff_tensor *a = tuff_adapter_variable(adapter, net, m->first),
                *b = tuff_adapter_variable(adapter, net, m->first + 1);
    tuff_tensor *low = tuff_matmul_grouped(g, x, tuff_transpose(g, tuff_reshape(g, a, 3, shape)), to->order);
    for (int k = 0; k < n; k++) {
        tuff_tensor *more = tuff_matmul_grouped(g, low, part_of(g, m, b, k), to->order);
        y[k] = tuff_add(g, y[k], tuff_scale(g, more, m->scale));
    }
}

/* Rows [begin, end) of one expert's matrix, part k; `rows` has room for those of B. */
static tuff_status merge_rows(const tuff_adapter *a, const tuff_lora_module *m, int64_t expert, int64_t k,
                              int64_t begin, int64_t end, tuff_lora_factors *f, float *rows, float *values)
{
    const tuff_lora_experts *e = m->experts;
    const int64_t all = m->rank * e->count, step = e->alternating ? e->parts : 1,
                  first = e->alternating ? begin * step + k : k * e->out + begin,
                  last = first + (end - begin - 1) * step;
    TUFF_TRY(tuff_adapter_read(a, m->first, expert * m->rank, (expert + 1) * m->rank, f->a));
    TUFF_TRY(tuff_adapter_read(a, m->first + 1, first, last + 1, rows));
    for (int64_t r = 0; r < end - begin; r++) {
        for (int64_t j = 0; j < m->rank; j++)
            f->b[r * m->rank + j] = rows[r * step * all + j * e->count + expert];
        tuff_lora_combine(f, r, values + r * e->in);
        for (int64_t i = 0; i < e->in; i++)
            values[r * e->in + i] = (float)f->row[i];
    }
    return TUFF_OK;
}

tuff_status tuff_lora_expert_rows(const tuff_adapter *a, const tuff_lora_module *m, const tuff_param *param,
                                  int64_t begin, int64_t end, float *values)
{
    const tuff_lora_experts *e = m->experts;
    const int64_t most = end - begin < e->out ? end - begin : e->out, all = m->rank * e->count;
    float *rows = tuff_alloc_array((size_t)(most * (e->alternating ? e->parts : 1) * all), sizeof *rows);
    tuff_lora_factors f = {.rank = m->rank,
                           .columns = e->in,
                           .scale = m->scale,
                           .a = tuff_alloc_array((size_t)(m->rank * e->in), sizeof(float)),
                           .b = tuff_alloc_array((size_t)(most * m->rank), sizeof(float)),
                           .row = tuff_alloc_array((size_t)e->in, sizeof(double))};
    tuff_status status = rows && f.a && f.b && f.row ? TUFF_OK : tuff_fail_memory("an adapter's weights");
    for (int64_t r = begin, next; r < end && status == TUFF_OK; r = next) {
        const int64_t expert = r / e->out, start = expert * e->out;
        next = end < start + e->out ? end : start + e->out;
        status = merge_rows(a, m, expert, source_of(param)->head, r - start, next - start, &f, rows,
                            values + (r - begin) * e->in);
    }
    tuff_free(rows);
    tuff_free(f.a);
    tuff_free(f.b);
    tuff_free(f.row);
    return status;
}
