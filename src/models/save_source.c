#include "models/save_source.h"

#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "formats/quantize.h"
#include "models/importance.h"

enum { PIECE_BYTES = 16 << 20, LOOK_BYTES = 1 << 20 /* between two looks at the watch */ };
enum { GATHERED_ROWS = 16 }; /* of the file, gathered together */

/* Rows of a tensor on their way into the file. */
typedef struct rows_out {
    tuff_save_source *from;
    const tuff_save_item *item;
    tuff_sink *sink;
    float *weights;         /* by which errors of its columns count, [matrices, columns]; NULL: all alike */
    const float *of_matrix; /* those of the matrix whose rows come */
    void *converted;        /* room for as many as come at once; NULL: they go as they are */
} rows_out;

static int64_t columns_of(const tuff_save_item *item)
{
    return item->rank > 0 ? item->shape[item->rank - 1] : 1;
}

static size_t bytes_of(tuff_storage storage, size_t n)
{
    const tuff_storage_info *info = tuff_storage_get(storage);
    return n / info->block * info->bytes;
}

static tuff_status too_large(const rows_out *out)
{
    return tuff_fail(TUFF_NOT_FINITE,
                     "%s: tensor '%s' has numbers that are too large for %s; write it as f32 or bf16",
                     out->sink->file, out->item->name, tuff_storage_get(out->item->storage)->name);
}

/* n values, whole rows of the file. */
static tuff_status convert(const rows_out *out, const float *values, size_t n)
{
    const tuff_storage storage = out->item->storage;
    const int64_t columns = columns_of(out->item);
    float most = 0;
    if (storage == TUFF_STORE_BF16) {
        tuff_dtype_from_f32(TUFF_BF16, values, out->converted, n);
        return TUFF_OK;
    }
    if (storage != TUFF_STORE_F16)
        return tuff_block_encode_rows(tuff_storage_block(storage), values, out->of_matrix,
                                      (int64_t)n / columns, columns, out->from->pool, out->converted)
                   ? TUFF_OK
                   : too_large(out);
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(values[i]));
    tuff_dtype_from_f32(TUFF_F16, values, out->converted, n);
    return most < 65520 ? TUFF_OK : too_large(out); /* more rounds to infinity */
}

static tuff_status write_bytes(tuff_save_source *from, tuff_sink *sink, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += LOOK_BYTES) {
        const size_t now = size - at < LOOK_BYTES ? size - at : LOOK_BYTES;
        TUFF_TRY(tuff_sink_write(sink, (const char *)bytes + at, now));
        TUFF_TRY(tuff_watched_add(&from->work, now));
    }
    return TUFF_OK;
}

static tuff_status put(const rows_out *out, const float *values, size_t n)
{
    if (out->converted) TUFF_TRY(convert(out, values, n));
    return write_bytes(out->from, out->sink, out->converted ? out->converted : (const void *)values,
                       bytes_of(out->item->storage, n));
}

static bool is_transposed(const tuff_save_source *from, const tuff_param *p)
{
    return !from->gguf && p->hf.layout == TUFF_LAYOUT_TRANSPOSED;
}

/* GGUF interleaves the rows of this parameter's heads. */
static bool is_interleaved(const tuff_save_source *from, const tuff_param *p)
{
    return from->gguf && p->gguf.layout == TUFF_LAYOUT_INTERLEAVED;
}

/* GGUF has queries, keys and values one after the other. */
static bool is_by_head(const tuff_save_source *from, const tuff_param *p)
{
    return from->gguf && p->gguf.layout == TUFF_LAYOUT_QKV;
}

/* Columns of several matrices alternate in one tensor. */
static bool is_alternating(const tuff_save_source *from, const tuff_param *p)
{
    return !from->gguf && p->hf.layout == TUFF_LAYOUT_ALTERNATING;
}

/* GGUF has the vectors of all heads in one tensor; the parameters follow each other. */
static bool is_of_heads(const tuff_save_source *from, const tuff_param *p)
{
    return from->gguf && p->gguf.layout == TUFF_LAYOUT_HEADS;
}

/* How many of its rows a tensor of the file has. */
static int64_t rows_of(const tuff_save_source *from, const tuff_param *p)
{
    return tuff_param_rows(p) / tuff_param_file_tensors(p, from->gguf);
}

/* Rows of the parameter that are read together: a device answers few large questions faster than many. */
static int64_t rows_at_once(const tuff_save_source *from, const tuff_param *p)
{
    if (is_transposed(from, p)) return p->shape[0];
    if (is_interleaved(from, p)) return p->shape[0] / p->gguf.heads;
    if (is_by_head(from, p)) return p->shape[0] / p->gguf.heads / (p->gguf.queries + 2);
    const int64_t rows = PIECE_BYTES / (tuff_param_columns(p) * (int64_t)sizeof(float)) + 1;
    return rows < rows_of(from, p) ? rows : rows_of(from, p);
}

/* The rows of a head as GGUF has them, (pair, half), from (half, pair) in memory. */
static void interleave(const float *values, int64_t n, int64_t columns, float *out)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * columns, values + (i % 2 * (n / 2) + i / 2) * columns,
               (size_t)columns * sizeof *out);
}

/* Of queries, keys and values, each of one head: which block of memory is the file's. */
static int64_t block_in_memory(const tuff_source *file, int64_t block)
{
    const int64_t queries = file->queries, all = file->heads * queries;
    if (block < all) return block / queries * (queries + 2) + block % queries;
    const int64_t which = (block - all) / file->heads, head = (block - all) % file->heads;
    return head * (queries + 2) + queries + which;
}

static tuff_status write_rows(rows_out *out, const tuff_param *p, int64_t index, float *values,
                              float *interleaved)
{
    const tuff_save_source *from = out->from;
    const int64_t columns = tuff_param_columns(p), step = rows_at_once(from, p), rows = rows_of(from, p),
                  end = (index + 1) * rows, of_matrix = p->rank > 2 ? p->shape[1] : tuff_param_rows(p);
    for (int64_t r = index * rows + (from->gguf ? p->gguf.skip : 0), next; r < end; r = next) {
        const int64_t matrix = r / of_matrix;
        next = r + step < end ? r + step : end;
        if (out->weights && next > (matrix + 1) * of_matrix) next = (matrix + 1) * of_matrix;
        const int64_t n = next - r;
        int64_t at = r;
        if (out->weights) out->of_matrix = out->weights + matrix * columns;
        if (is_by_head(from, p)) at = block_in_memory(&p->gguf, r / step) * step;
        TUFF_TRY(tuff_model_read(from->model, p, from->store, at, at + n, values));
        for (int64_t i = 0; i < n * columns && from->gguf && p->gguf.added != 0; i++)
            values[i] = (float)(values[i] + p->gguf.added);
        if (interleaved) interleave(values, n, columns, interleaved);
        TUFF_TRY(put(out, interleaved ? interleaved : values, (size_t)(n * columns)));
    }
    return TUFF_OK;
}

static tuff_status write_transposed(const rows_out *out, const tuff_param *p, float *values)
{
    enum { ROWS = 16 }; /* of the file, gathered together: what is read fills cache lines */
    const int64_t wide = p->shape[0], in = p->shape[1];
    float *rows = tuff_alloc_array((size_t)(ROWS * wide), sizeof *rows);
    if (!rows) return tuff_fail_memory("rows of a weight");
    tuff_status status = tuff_model_read(out->from->model, p, out->from->store, 0, wide, values);
    for (int64_t k = 0; k < in && status == TUFF_OK; k += ROWS) {
        const int64_t n = in - k < ROWS ? in - k : ROWS;
        for (int64_t r = 0; r < wide; r++)
            for (int64_t i = 0; i < n; i++)
                rows[i * wide + r] = values[r * in + k + i];
        status = put(out, rows, (size_t)(n * wide));
    }
    tuff_free(rows);
    return status;
}

/* The tensor of the model's file that holds the very blocks which are to be written; NULL: there is none. */
static const tuff_weight *same_blocks(const tuff_save_source *from, const tuff_save_item *item)
{
    if (!from->gguf || !from->model->gguf || from->store ||
        tuff_storage_block(item->storage) == TUFF_BLOCK_COUNT)
        return NULL;
    const tuff_weight *weight = tuff_weights_find(from->model->gguf->weights, item->name);
    return weight && weight->storage == item->storage ? weight : NULL;
}

static tuff_status copy_blocks(tuff_save_source *from, const tuff_weight *weight, tuff_sink *sink)
{
    tuff_status status = TUFF_OK;
    void *piece = tuff_alloc(LOOK_BYTES);
    if (!piece) return tuff_fail_memory("a part of a weight");
    for (size_t at = 0; at < weight->bytes && status == TUFF_OK; at += LOOK_BYTES) {
        const size_t now = weight->bytes - at < LOOK_BYTES ? weight->bytes - at : LOOK_BYTES;
        status = tuff_weight_stored_part(weight, at, now, piece);
        if (status == TUFF_OK) status = write_bytes(from, sink, piece, now);
    }
    tuff_free(piece);
    return status;
}

/* Columns of all that alternate in a tensor, expert by expert; `first` has the first one. */
static tuff_status write_alternating(const rows_out *out, const tuff_param *first)
{
    const tuff_params *params = &out->from->model->params;
    const int64_t parts = first->hf.heads, wide = first->shape[1], in = first->rank > 2 ? first->shape[2] : 1,
                  rows = tuff_param_rows(first) / first->shape[0];
    float *values = tuff_alloc_array((size_t)(parts * wide * in), sizeof *values),
          *columns = tuff_alloc_array((size_t)(GATHERED_ROWS * parts * wide), sizeof *columns);
    tuff_status status = values && columns ? TUFF_OK : tuff_fail_memory("rows of a weight");
    for (int64_t e = 0; e < first->shape[0] && status == TUFF_OK; e++) {
        for (size_t i = 0; i < params->count && status == TUFF_OK; i++) {
            const tuff_param *p = &params->items[i];
            if (p->hf.layout == TUFF_LAYOUT_ALTERNATING && strcmp(p->hf.name, first->hf.name) == 0)
                status = tuff_model_read(out->from->model, p, out->from->store, e * rows, (e + 1) * rows,
                                         values + p->hf.head * wide * in);
        }
        for (int64_t k = 0; k < in && status == TUFF_OK; k += GATHERED_ROWS) {
            const int64_t n = in - k < GATHERED_ROWS ? in - k : GATHERED_ROWS;
            for (int64_t i = 0; i < n; i++)
                for (int64_t c = 0; c < parts * wide; c++)
                    columns[i * parts * wide + c] = values[(c % parts * wide + c / parts) * in + k + i];
            status = put(out, columns, (size_t)(n * parts * wide));
        }
    }
    tuff_free(values);
    tuff_free(columns);
    return status;
}

static tuff_status write_param(rows_out *out, const tuff_param *p, int64_t index)
{
    const tuff_save_source *from = out->from;
    const bool alternating = is_alternating(from, p);
    const size_t n = alternating ? (size_t)(GATHERED_ROWS * p->hf.heads * p->shape[1])
                                 : (size_t)(rows_at_once(from, p) * tuff_param_columns(p));
    const bool as_is = out->item->storage == TUFF_STORE_F32, interleaved = is_interleaved(from, p);
    float *values = tuff_alloc_array(n, sizeof *values);
    float *order = interleaved ? tuff_alloc_array(n, sizeof *order) : NULL;
    out->converted = as_is ? NULL : tuff_alloc(bytes_of(out->item->storage, n));
    tuff_status status = values && (order || !interleaved) && (out->converted || as_is)
                             ? TUFF_OK
                             : tuff_fail_memory("rows of a weight");
    if (status == TUFF_OK && from->importance && p->rank > 1)
        status = tuff_importance_weights(from->importance, p->name, p->rank > 2 ? p->shape[0] : 1,
                                         tuff_param_columns(p), &out->weights);
    if (status == TUFF_OK && alternating)
        status = write_alternating(out, p);
    else if (status == TUFF_OK)
        status = is_transposed(from, p) ? write_transposed(out, p, values)
                                        : write_rows(out, p, index, values, order);
    for (int64_t head = 1; status == TUFF_OK && is_of_heads(from, p) && head < p->gguf.heads; head++)
        status = write_rows(out, p + head, 0, values, order);
    tuff_free(values);
    tuff_free(order);
    tuff_free(out->converted);
    tuff_free(out->weights);
    return status;
}

tuff_status tuff_save_source_write(void *user, size_t index, tuff_sink *sink)
{
    tuff_save_source *from = user;
    const tuff_save_item *item = &from->items[index];
    const tuff_param *p = from->parts[index].param;
    const tuff_weight *same = p && !p->merged && !p->held ? same_blocks(from, item) : NULL;
    rows_out out = {.from = from, .item = item, .sink = sink};
    if (!p) return put(&out, from->factors[index && !from->parts[index - 1].param], (size_t)item->shape[0]);
    return same ? copy_blocks(from, same, sink) : write_param(&out, p, from->parts[index].index);
}

static tuff_status list_factors(tuff_save_source *from)
{
    const char *names[2];
    const int n = tuff_rope_tensors(&from->model->config, names, from->factors);
    if (n < 0) return tuff_fail_memory("the factors of rotary positions");
    for (int i = 0; i < n; i++)
        from->items[from->count++] =
            (tuff_save_item){.name = names[i],
                             .storage = TUFF_STORE_F32,
                             .rank = 1,
                             .shape = {tuff_rope_dims(&from->model->config) / 2, 1, 1, 1}};
    return TUFF_OK;
}

/* The tensors of a parameter. */
static tuff_status list_param(tuff_save_source *from, const tuff_param *p)
{
    char text[TUFF_PARAM_NAME];
    const int64_t tensors = tuff_param_file_tensors(p, from->gguf);
    if (!(from->gguf ? p->gguf.name : p->hf.name) || (is_of_heads(from, p) && p->gguf.head > 0))
        return TUFF_OK;
    if (is_alternating(from, p) && p->hf.head > 0) return TUFF_OK;
    for (int64_t i = 0; i < tensors; i++) {
        const char *name = tuff_param_file_name(p, from->gguf, i, text);
        tuff_save_item *item = &from->items[from->count];
        if (name == text) name = tuff_arena_strdup(&from->arena, text);
        if (!name) return tuff_fail_memory("the list of a model's tensors");
        *item =
            (tuff_save_item){.name = name, .storage = tuff_mix_get(from->mix)->type, .shape = {1, 1, 1, 1}};
        item->rank = (unsigned)tuff_param_file_shape(p, from->gguf, item->shape);
        from->parts[from->count++] = (tuff_save_part){p, i};
    }
    return TUFF_OK;
}

static tuff_status list_items(tuff_save_source *from)
{
    const tuff_params *params = &from->model->params;
    size_t most = 2; /* beside the parameters' there may be factors */
    for (size_t i = 0; i < params->count; i++)
        most += (size_t)tuff_param_file_tensors(&params->items[i], from->gguf);
    from->items = tuff_alloc_array(most, sizeof *from->items);
    from->parts = tuff_alloc_array(most, sizeof *from->parts);
    if (!from->items || !from->parts) return tuff_fail_memory("the list of a model's tensors");
    for (size_t i = 0; i < params->count; i++)
        TUFF_TRY(list_param(from, &params->items[i]));
    if (!from->gguf) return TUFF_OK;
    tuff_mix_apply(from->mix, &from->model->config, from->importance != NULL, from->items, from->count);
    return list_factors(from);
}

/* What is to be quantized must not have been so, in another type. */
static tuff_status check_requantized(const tuff_save_source *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const tuff_param *p = from->parts[i].param;
        const tuff_weight *weight = p ? tuff_model_weight(from->model, p) : NULL;
        if (!weight || p->merged) continue; /* merged: other numbers than those that are quantized */
        const tuff_storage stored =
            tuff_alternating_packed(from->model, p) ? TUFF_STORE_MXFP4 : weight->storage;
        if (tuff_storage_block(from->items[i].storage) == TUFF_BLOCK_COUNT ||
            tuff_storage_block(stored) == TUFF_BLOCK_COUNT || stored == from->items[i].storage)
            continue;
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: tensor '%s' is quantized already, as %s; as %s it would be less exact than what is "
            "made from the original model: take that, or allow it (TUFF_SAVE_REQUANTIZE, "
            "--allow-requantize)",
            weight->file, weight->name, tuff_storage_get(stored)->name,
            tuff_storage_get(from->items[i].storage)->name);
    }
    return TUFF_OK;
}

static bool is_quantized(const tuff_save_source *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (tuff_storage_block(from->items[i].storage) != TUFF_BLOCK_COUNT) return true;
    return false;
}

tuff_status tuff_save_source_open(tuff_save_source *source, unsigned threads, bool requantize,
                                  const char *path)
{
    source->work.phase = TUFF_PHASE_SAVE;
    TUFF_TRY(list_items(source));
    if (!requantize) TUFF_TRY(check_requantized(source));
    for (size_t i = 0; i < source->count; i++) {
        size_t bytes;
        TUFF_TRY(tuff_save_item_size(&source->items[i], path, &bytes));
        source->work.total += bytes;
    }
    if (is_quantized(source)) {
        source->pool = tuff_pool_create(threads ? threads : tuff_processors());
        if (!source->pool) return tuff_fail_memory("threads that quantize");
    }
    return tuff_watched_add(&source->work, 0);
}

void tuff_save_source_close(tuff_save_source *source)
{
    tuff_pool_destroy(&source->pool);
    tuff_free(source->items);
    tuff_free(source->parts);
    tuff_arena_free(&source->arena);
    for (int i = 0; i < 2; i++)
        tuff_free(source->factors[i]);
}
