/* LoRA as llama.cpp's files have it: pairs "<tensor>.lora_a" [rank, in] and "<tensor>.lora_b" [out, rank],
 * whose rows are those of the model's tensor, and one alpha: the scale is alpha over a pair's rank, or 1
 * without. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "adapters/lora.h"
#include "base/memory.h"

#define A ".lora_a"
#define B ".lora_b"

enum { PIECE = 1 << 18 }; /* numbers that are written at once */

/* ---- reading */

static const tuff_param *param_of(const tuff_model *model, const char *tensor)
{
    char module[256];
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        if (p->gguf.name && strcmp(p->gguf.name, tensor) == 0 &&
            (tuff_adaptable(p, module) || tuff_lora_is_head(model, p, module)))
            return p;
    }
    return NULL;
}

static tuff_status check_kind(const tuff_adapter *a, const tuff_gguf *gguf)
{
    const char *arch = a->model->config.arch->gguf;
    tuff_view name = {0};
    TUFF_TRY(tuff_gguf_text(gguf, "general.architecture", &name));
    if (!arch || !tuff_view_is(name, arch))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: it is an adapter of the architecture \"%.*s\"; the model %s is %s", gguf->file,
                         (int)(name.size < 40 ? name.size : 40), name.data ? name.data : "", a->model->path,
                         arch ? arch : a->model->config.arch->name);
    if (tuff_gguf_find(gguf, "adapter.alora.invocation_tokens"))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: 'adapter.alora.invocation_tokens' is set: adapters that begin at some tokens cannot be "
            "read",
            gguf->file);
    return TUFF_OK;
}

static tuff_status add_pair(tuff_adapter *a, const char *tensor, const tuff_weight *wa, const tuff_weight *wb,
                            double alpha)
{
    const tuff_param *p = param_of(a->model, tensor);
    if (!p)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: it adapts %s, which is the weight of no linear layer of the %s model %s "
                         "that Tuff adapts",
                         a->path, tensor, a->model->config.arch->name, a->model->path);
    const int64_t rank = wa->shape[0];
    if (wa->rank != 2 || wb->rank != 2 || rank < 1 || wa->shape[1] != p->shape[1] ||
        wb->shape[0] != p->shape[0] || wb->shape[1] != rank) {
        char found_a[100], found_b[100];
        tuff_weight_shape_text(wa->rank, wa->shape, found_a, sizeof found_a);
        tuff_weight_shape_text(wb->rank, wb->shape, found_b, sizeof found_b);
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the pair of %s has shapes %s and %s; for the model's layer of %" PRId64
                         " to %" PRId64 " they must be [rank, %" PRId64 "] and [%" PRId64 ", rank]",
                         a->path, tensor, found_a, found_b, p->shape[1], p->shape[0], p->shape[1],
                         p->shape[0]);
    }
    TUFF_TRY(tuff_weight_check_readable(wa));
    TUFF_TRY(tuff_weight_check_readable(wb));
    const tuff_peft_pair pair = {.a = wa, .b = wb};
    return tuff_lora_add(a, p, rank, alpha != 0 ? alpha / (double)rank : 1, &pair);
}

/* Rank and scale of most modules by its numbers; those of others by patterns. */
static tuff_status settle_config(tuff_lora *l)
{
    tuff_peft_config *c = &l->config;
    c->rank = l->modules[0].rank;
    c->alpha = l->modules[0].scale * (double)c->rank;
    c->rank_pattern = tuff_arena_array(&c->arena, l->count, sizeof *c->rank_pattern);
    c->alpha_pattern = tuff_arena_array(&c->arena, l->count, sizeof *c->alpha_pattern);
    if (!c->rank_pattern || !c->alpha_pattern) return tuff_fail_memory("an adapter");
    for (size_t i = 0; i < l->count; i++) {
        const tuff_lora_module *m = &l->modules[i];
        const double alpha = m->scale * (double)m->rank;
        if (m->rank != c->rank)
            c->rank_pattern[c->rank_pattern_count++] = (tuff_peft_pattern){m->name, (double)m->rank};
        if (fabs(alpha - c->alpha) > 1e-12 * fabs(c->alpha))
            c->alpha_pattern[c->alpha_pattern_count++] = (tuff_peft_pattern){m->name, alpha};
    }
    return TUFF_OK;
}

tuff_status tuff_lora_open_gguf(tuff_adapter *a, tuff_gguf *gguf)
{
    tuff_lora *l = NULL;
    double alpha = 0;
    const char *unused = NULL;
    tuff_status status = tuff_lora_begin(a, &l);
    if (status != TUFF_OK) {
        tuff_gguf_destroy(&gguf);
        return status;
    }
    l->gguf = gguf;
    TUFF_TRY(check_kind(a, gguf));
    TUFF_TRY(tuff_gguf_number(gguf, "adapter.lora.alpha", &alpha));
    if (!isfinite(alpha))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: adapter.lora.alpha is %g", gguf->file, alpha);
    for (size_t i = 0; i < gguf->weights->count; i++) {
        const tuff_weight *w = &gguf->weights->items[i];
        const bool first = tuff_ends_with(w->name, A), second = tuff_ends_with(w->name, B);
        if (!first && !second && tuff_ends_with(w->name, "_norm.weight")) {
            unused = unused ? unused : w->name;
            continue;
        }
        if (!first && !second)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: tensor '%s' is of no pair of LoRA (" A ", " B ")",
                             gguf->file, w->name);
        const char *tensor =
                       tuff_arena_printf(&a->arena, "%.*s", (int)(strlen(w->name) - strlen(A)), w->name),
                   *other = tuff_arena_printf(&a->arena, "%s%s", tensor ? tensor : "", first ? B : A);
        if (!tensor || !other) return tuff_fail_memory("an adapter");
        const tuff_weight *pair = tuff_weights_find(gguf->weights, other);
        if (!pair)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: it has '%s' but no '%s'", gguf->file, w->name, other);
        if (first) TUFF_TRY(add_pair(a, tensor, w, pair, alpha));
    }
    if (!l->count)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it holds no pairs of LoRA (" A ", " B ")", gguf->file);
    if (unused)
        tuff_log_to(a->log, TUFF_LOG_WARN, "%s: the tensor %s is not used, as llama.cpp does not use it",
                    gguf->file, unused);
    return settle_config(l);
}

/* ---- writing */

typedef struct writing {
    const tuff_adapter *adapter;
    double alpha;
    tuff_watched work;
} writing;

/* What GGUF cannot say: then the way out is a merged model. */
static tuff_status cannot(const tuff_adapter *a, const char *what)
{
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: GGUF adapters are plain LoRA and cannot hold %s: merge it into its model instead (tuff convert "
        "MODEL --adapter DIR --to gguf)",
        a->path, what);
}

static tuff_status check_plain(const tuff_adapter *a)
{
    const tuff_lora *l = a->own;
    if (l->config.dora) return cannot(a, "the magnitudes of DoRA");
    if (a->whole_count) return cannot(a, tuff_adapter_whole_text(a));
    if (a->row_count) return cannot(a, "rows of tokens (trainable_token_indices)");
    for (size_t i = 0; l->peft && i < l->peft->ignored_count; i++)
        if (!tuff_ends_with(l->peft->ignored[i], TUFF_PEFT_BASE_WEIGHT))
            return cannot(a, l->peft->ignored[i]);
    for (size_t i = 0; i < l->count; i++)
        if (l->modules[i].parameter || l->modules[i].table || !l->modules[i].param->gguf.name ||
            tuff_param_file_tensors(l->modules[i].param, true) != 1)
            return cannot(a, l->modules[i].name);
    return TUFF_OK;
}

/* Rows of A, or of B in GGUF's order and times what makes alpha over rank the module's scale. */
static tuff_status write_rows(void *user, size_t index, tuff_sink *sink)
{
    writing *w = user;
    const tuff_adapter *a = w->adapter;
    const tuff_lora *l = a->own;
    const tuff_lora_module *m = &l->modules[index / 2];
    const bool second = index % 2;
    const int64_t rows = a->tensors[m->first + second].shape[0],
                  columns = a->tensors[m->first + second].shape[1];
    const double factor = second ? m->scale * (double)m->rank / w->alpha : 1;
    const int64_t step = second && m->param->gguf.layout != TUFF_LAYOUT_ROWS ? rows : PIECE / columns + 1;
    float *values = tuff_alloc_array((size_t)((step < rows ? step : rows) * columns), sizeof *values),
          *reordered = NULL;
    tuff_status status = values ? TUFF_OK : tuff_fail_memory("an adapter's weights");
    if (status == TUFF_OK && step == rows && second) {
        reordered = tuff_alloc_array((size_t)(rows * columns), sizeof *reordered);
        if (!reordered) status = tuff_fail_memory("an adapter's weights");
    }
    for (int64_t r = 0, end; r < rows && status == TUFF_OK; r = end) {
        end = r + step < rows ? r + step : rows;
        status = tuff_adapter_read(a, m->first + second, r, end, values);
        for (int64_t i = 0; factor != 1 && i < (end - r) * columns; i++)
            values[i] = (float)(factor * values[i]);
        for (int64_t i = 0; reordered && i < rows; i++)
            memcpy(reordered + tuff_param_gguf_row(m->param, i) * columns, values + i * columns,
                   (size_t)columns * sizeof *values);
        const size_t bytes = (size_t)((end - r) * columns) * sizeof *values;
        if (status == TUFF_OK) status = tuff_sink_write(sink, reordered ? reordered : values, bytes);
        if (status == TUFF_OK) status = tuff_watched_add(&w->work, bytes);
    }
    tuff_free(values);
    tuff_free(reordered);
    return status;
}

tuff_status tuff_lora_write_gguf(const tuff_adapter *a, const char *base, const tuff_watch *watch,
                                 const char *path)
{
    const tuff_lora *l = a->own;
    tuff_status status = TUFF_OK;
    tuff_arena arena = {0};
    tuff_gguf_builder gguf = {0};
    TUFF_TRY(check_plain(a));
    /* of one pair; where all have its rank and scale nothing is folded in */
    writing w = {.adapter = a,
                 .alpha = (float)(l->modules[0].scale * (double)l->modules[0].rank),
                 .work = {.watch = watch, .phase = TUFF_PHASE_SAVE}};
    tuff_save_item *items = tuff_arena_array(&arena, 2 * l->count, sizeof *items);
    if (!items) TUFF_GO(tuff_fail_memory("an adapter"));
    if (w.alpha == 0) w.alpha = 1;
    for (size_t i = 0; i < 2 * l->count; i++) {
        const tuff_lora_module *m = &l->modules[i / 2];
        const int64_t *shape = a->tensors[m->first + i % 2].shape;
        const char *name = tuff_arena_printf(&arena, "%s%s", m->param->gguf.name, i % 2 ? B : A);
        if (!name) TUFF_GO(tuff_fail_memory("an adapter"));
        items[i] = (tuff_save_item){
            .name = name, .storage = TUFF_STORE_F32, .rank = 2, .shape = {shape[0], shape[1], 1, 1}};
        w.work.total += (uint64_t)(shape[0] * shape[1]) * sizeof(float);
    }
    tuff_gguf_put_text(&gguf, "general.architecture", a->model->config.arch->gguf);
    tuff_gguf_put_text(&gguf, "general.type", "adapter");
    tuff_gguf_put_text(&gguf, "adapter.type", "lora");
    tuff_gguf_put_f32(&gguf, "adapter.lora.alpha", (float)w.alpha);
    if (base) {
        tuff_gguf_put_u32(&gguf, "general.base_model.count", 1);
        tuff_gguf_put_text(&gguf, "general.base_model.0.name", base);
    }
    tuff_gguf_put_u32(&gguf, "general.file_type", 0); /* all f32 */
    TUFF_GO(tuff_watched_add(&w.work, 0));
    TUFF_GO(tuff_gguf_save(path, &gguf, items, 2 * l->count, write_rows, &w));
done:
    tuff_gguf_builder_free(&gguf);
    tuff_arena_free(&arena);
    return status;
}
