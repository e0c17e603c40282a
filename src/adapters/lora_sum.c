/* Several LoRAs as one, each by a weight: "pirate=0.7,sailor=0.3". What it adds is exactly the weighted sum
 * of what they add, since the rows of their A, by weight and scale, and the columns of their B stand side by
 * side: PEFT's add_weighted_adapter with combination_type "cat". */
#include <math.h>
#include <string.h>

#include "adapters/lora.h"
#include "base/file.h"
#include "base/memory.h"

bool tuff_lora_is_sum(const char *text)
{
    return strchr(text, '=') && !tuff_is_file(text) && !tuff_is_directory(text);
}

/* "path=0.7" */
static tuff_status parse_part(tuff_view part, tuff_arena *arena, const char **path, float *weight)
{
    const char *text = tuff_arena_printf(arena, "%.*s", (int)part.size, part.data);
    char *equals = text ? strrchr(text, '=') : NULL;
    cJSON *number = NULL;
    if (!text) return tuff_fail_memory("an adapter");
    if (equals && tuff_json_parse(equals + 1, strlen(equals + 1), "adapter", &number) == TUFF_OUT_OF_MEMORY)
        return TUFF_OUT_OF_MEMORY;
    const bool is_number = cJSON_IsNumber(number) && isfinite((float)number->valuedouble);
    *weight = is_number ? (float)number->valuedouble : 0;
    cJSON_Delete(number);
    if (!is_number || equals == text)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "adapter has \"%.100s\", and no file is called so; expected is a path, or several, each with "
            "its weight: pirate=0.7,sailor=0.3",
            text);
    *equals = 0;
    *path = text;
    return TUFF_OK;
}

static tuff_status open_part(const tuff_adapter *a, const char *path, const tuff_log_receiver *log,
                             tuff_adapter **out)
{
    const char *why = NULL;
    TUFF_TRY(tuff_adapter_open(a->model, path, log, out));
    const tuff_adapter *part = *out;
    if (part->method != &tuff_method_lora)
        why = part->method->title;
    else if (((const tuff_lora *)part->own)->config.dora)
        why = "DoRA";
    else if (part->whole_count)
        why = "LoRA with parameters of the model beside it";
    else if (part->row_count)
        why = "LoRA with rows of tokens (trainable_token_indices)";
    const tuff_lora *l = part->own;
    for (size_t i = 0; !why && i < l->count; i++)
        if (l->modules[i].parameter) why = "LoRA of parameters of experts";
    if (!why) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: it is %s, of which no weighted sum is made: only of LoRA", path,
                     why);
}

static const tuff_lora_module *same_module(const tuff_adapter *part, const tuff_lora_module *m)
{
    const tuff_lora *l = part->own;
    uint32_t i;
    return tuff_map_get(&l->by_module, m->name, strlen(m->name), &i) ? &l->modules[i] : NULL;
}

/* The rank that holds every module of all parts, as in PEFT: where a module has less, the rest is zero. */
static int64_t rank_of(const tuff_lora *l)
{
    int64_t most = 0;
    for (size_t i = 0; i < l->part_count; i++) {
        const tuff_lora *part = l->parts[i]->own;
        for (size_t k = 0; k < part->count; k++) {
            int64_t rank = 0;
            for (size_t other = 0; other < l->part_count; other++) {
                const tuff_lora_module *m = same_module(l->parts[other], &part->modules[k]);
                if (m) rank += m->rank;
            }
            if (rank > most) most = rank;
        }
    }
    return most;
}

/* Lists the modules that a part is the first to have. */
static tuff_status add_modules(tuff_adapter *a, const tuff_lora *part)
{
    tuff_lora *l = a->own;
    for (size_t k = 0; k < part->count; k++) {
        const tuff_lora_module *m = &part->modules[k];
        const tuff_param *p = m->param;
        if (same_module(a, m)) continue;
        const size_t first = a->count;
        TUFF_TRY((m->table ? tuff_lora_add_table : tuff_lora_add)(a, p, l->config.rank, 1, NULL));
        a->tensors[first].gathered = a->tensors[first + 1].gathered = true;
        a->tensors[first + 1].rows_of = NULL;
    }
    return TUFF_OK;
}

static tuff_status open_parts(tuff_adapter *a, const char *text, const tuff_log_receiver *log)
{
    tuff_lora *l = a->own;
    tuff_view part;
    const size_t most = tuff_list_most(text);
    l->parts = tuff_arena_array(&a->arena, most, sizeof *l->parts);
    l->weights = tuff_arena_array(&a->arena, most, sizeof *l->weights);
    if (!l->parts || !l->weights) return tuff_fail_memory("an adapter");
    for (const char *at = text; tuff_list_next(&at, &part);) {
        const char *path = NULL;
        const size_t i = l->part_count++;
        TUFF_TRY(parse_part(part, &a->arena, &path, &l->weights[i]));
        TUFF_TRY(open_part(a, path, log, &l->parts[i]));
    }
    l->config.rank = rank_of(l);
    l->config.alpha = (double)l->config.rank;
    for (size_t i = 0; i < l->part_count; i++)
        TUFF_TRY(add_modules(a, l->parts[i]->own));
    a->weights =
        l->parts[0]->weights; /* whose files are looked at when it is read; each part looks at its own */
    return TUFF_OK;
}

tuff_status tuff_lora_open_sum(tuff_adapter *a, const char *text, const tuff_log_receiver *log)
{
    tuff_lora *l = NULL;
    a->path = tuff_arena_strdup(&a->arena, text);
    if (!a->path) return tuff_fail_memory("an adapter");
    TUFF_TRY(tuff_lora_begin(a, &l));
    return open_parts(a, text, log);
}

void tuff_lora_close_parts(tuff_lora *l)
{
    for (size_t i = 0; i < l->part_count; i++)
        tuff_adapter_destroy(&l->parts[i]);
}

/* Rows of A that are one part's, of all rows [begin, end) that are asked for. */
static tuff_status rows_of_a(const tuff_adapter *part, const tuff_lora_module *m, float weight, int64_t at,
                             int64_t begin, int64_t end, float *out)
{
    const int64_t columns = part->tensors[m->first].shape[1], from = begin > at ? begin - at : 0,
                  to = end - at < m->rank ? end - at : m->rank;
    const float scale = (float)m->scale;
    if (from >= to) return TUFF_OK;
    float *rows = out + (at + from - begin) * columns;
    TUFF_TRY(tuff_adapter_read(part, m->first, from, to, rows));
    for (int64_t k = 0; k < (to - from) * columns; k++)
        rows[k] = rows[k] * weight * scale; /* in PyTorch's order */
    return TUFF_OK;
}

/* Columns of B that are one part's, of rows [begin, end). */
static tuff_status columns_of_b(const tuff_adapter *part, const tuff_lora_module *m, int64_t rank, int64_t at,
                                int64_t begin, int64_t end, float *out)
{
    float *rows = tuff_alloc_array((size_t)((end - begin) * m->rank), sizeof *rows);
    if (!rows) return tuff_fail_memory("an adapter's weights");
    const tuff_status status = tuff_adapter_read(part, m->first + 1, begin, end, rows);
    for (int64_t r = 0; r < end - begin && status == TUFF_OK; r++)
        memcpy(out + r * rank + at, rows + r * m->rank, (size_t)m->rank * sizeof *rows);
    tuff_free(rows);
    return status;
}

tuff_status tuff_lora_gather_sum(const tuff_adapter *a, size_t index, int64_t begin, int64_t end, float *out)
{
    const tuff_lora *l = a->own;
    const tuff_lora_module *m = &l->modules[index / 2];
    const bool second = index != m->first;
    memset(out, 0, (size_t)((end - begin) * a->tensors[index].shape[1]) * sizeof *out);
    for (size_t i = 0, at = 0; i < l->part_count; i++) {
        const tuff_lora_module *of_part = same_module(l->parts[i], m);
        if (!of_part) continue;
        if (second)
            TUFF_TRY(columns_of_b(l->parts[i], of_part, m->rank, (int64_t)at, begin, end, out));
        else
            TUFF_TRY(rows_of_a(l->parts[i], of_part, l->weights[i], (int64_t)at, begin, end, out));
        at += (size_t)of_part->rank;
    }
    return TUFF_OK;
}
