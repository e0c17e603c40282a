/* Parameters between their file, host memory in the order of the runtime, and a device. */
#include <math.h>
#include <string.h>

#include "models/model.h"
#include "runtime/device.h"
#include "runtime/room.h"

/* Rows are moved in pieces of about this many bytes, so that loading needs little memory beside the model. */
enum { PIECE_BYTES = 16 << 20 };

/* Of a head-wise half-split matrix at an interleaved place: (head, half, pair) at (head, pair, half); of
 * queries, keys and values by head: (head, which, row) at (which, head, row), where a head's queries are
 * those of several heads. */
int64_t tuff_param_gguf_row(const tuff_param *p, int64_t r)
{
    const int64_t heads = p->gguf.heads, queries = p->gguf.queries;
    int64_t d = p->shape[0] / heads, head = r / d, half = r % d / (d / 2), pair = r % (d / 2);
    if (p->gguf.layout == TUFF_LAYOUT_INTERLEAVED) return head * d + 2 * pair + half;
    const int64_t size = d / (queries + 2), which = r % d / size;
    const int64_t block =
        which < queries ? head * queries + which : heads * queries + (which - queries) * heads + head;
    return block * size + r % size;
}

/* Columns of `from` [n, stride] become rows of `to`, n elements of each. */
static void turn32(const uint32_t *from, int64_t stride, int64_t n, int64_t columns, uint32_t *to,
                   int64_t to_stride)
{
    for (int64_t c = 0; c < columns; c++)
        for (int64_t i = 0; i < n; i++)
            to[c * to_stride + i] = from[i * stride + c];
}

static void turn16(const uint16_t *from, int64_t stride, int64_t n, int64_t columns, uint16_t *to,
                   int64_t to_stride)
{
    for (int64_t c = 0; c < columns; c++)
        for (int64_t i = 0; i < n; i++)
            to[c * to_stride + i] = from[i * stride + c];
}

static tuff_status read_transposed(const tuff_weight *weight, const tuff_param *p, int64_t begin, int64_t end,
                                   tuff_dtype dtype, void *out)
{
    /* the file is [in, out]: one pass over its rows, of which columns begin..end are kept; some rows at a
     * time, so that what is written fills cache lines */
    enum { ROWS = 16 };
    int64_t out_dim = p->shape[0], in = p->shape[1], size = tuff_dtype_size(dtype);
    void *rows = tuff_alloc_array((size_t)(ROWS * out_dim), (size_t)size);
    if (!rows) return tuff_fail_memory("rows of a weight");
    tuff_status status = TUFF_OK;
    for (int64_t k = 0; k < in && status == TUFF_OK; k += ROWS) {
        int64_t n = in - k < ROWS ? in - k : ROWS;
        status = tuff_weight_read_rows(weight, k, k + n, dtype, rows);
        if (status != TUFF_OK) break;
        if (size == 4)
            turn32((const uint32_t *)rows + begin, out_dim, n, end - begin, (uint32_t *)out + k, in);
        else
            turn16((const uint16_t *)rows + begin, out_dim, n, end - begin, (uint16_t *)out + k, in);
    }
    tuff_free(rows);
    return status;
}

/* Numbers [begin, end) of a vector that is a row of the file's tensor. */
static tuff_status read_head(const tuff_weight *weight, const tuff_param *p, int64_t begin, int64_t end,
                             tuff_dtype dtype, void *out)
{
    const size_t size = tuff_dtype_size(dtype);
    char *row = tuff_alloc_array((size_t)p->shape[0], size);
    if (!row) return tuff_fail_memory("a vector of a model");
    tuff_status status = tuff_weight_read_rows(weight, p->gguf.head, p->gguf.head + 1, dtype, row);
    if (status == TUFF_OK) memcpy(out, row + (size_t)begin * size, (size_t)(end - begin) * size);
    tuff_free(row);
    return status;
}

/* Rows [begin, end) of a stack, of which the file has a tensor for each first index. */
static tuff_status read_stack(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                              tuff_dtype dtype, void *out)
{
    const int64_t rows = tuff_param_rows(p) / p->shape[0];
    const int64_t row_bytes = (int64_t)tuff_dtype_bytes(dtype, tuff_param_columns(p));
    for (int64_t r = begin, next; r < end; r = next) {
        const int64_t first = r / rows * rows; /* of the tensor that has it */
        next = first + rows < end ? first + rows : end;
        TUFF_TRY(tuff_weight_read_rows(tuff_model_weight_at(model, p, r / rows), r - first, next - first,
                                       dtype, (char *)out + (r - begin) * row_bytes));
    }
    return TUFF_OK;
}

/* The same of a tensor that has the matrices of all experts, and may have others of each between them. */
static tuff_status read_fused(const tuff_weight *weight, const tuff_param *p, int64_t begin, int64_t end,
                              tuff_dtype dtype, void *out)
{
    const int64_t rows = p->rank > 2 ? p->shape[1] : tuff_param_rows(p);
    const int64_t row_bytes = (int64_t)tuff_dtype_bytes(dtype, tuff_param_columns(p));
    for (int64_t r = begin, next; r < end; r = next) {
        const int64_t expert = r / rows, from = (expert * p->fused.heads + p->fused.head) * rows + r % rows;
        next = (expert + 1) * rows < end ? (expert + 1) * rows : end;
        TUFF_TRY(tuff_weight_read_rows(weight, from, from + next - r, dtype,
                                       (char *)out + (r - begin) * row_bytes));
    }
    return TUFF_OK;
}

static tuff_status read_numbers(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                                tuff_dtype dtype, void *out);

/* Of a table with more rows than the file has. */
static tuff_status read_grown(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                              tuff_dtype dtype, void *out)
{
    const size_t columns = (size_t)tuff_param_columns(p),
                 row_bytes = tuff_dtype_bytes(dtype, (int64_t)columns);
    const int64_t last = end < p->held ? end : p->held;
    tuff_param held = *p;
    held.shape[0] = p->held;
    held.held = 0;
    if (begin < last) TUFF_TRY(read_numbers(model, &held, begin, last, dtype, out));
    for (int64_t r = begin > p->held ? begin : p->held; r < end; r++) {
        void *row = (char *)out + (size_t)(r - begin) * row_bytes;
        if (dtype == TUFF_F32)
            memcpy(row, p->rest, row_bytes);
        else
            tuff_dtype_from_f32(dtype, p->rest, row, columns);
    }
    return TUFF_OK;
}

/* Rows [begin, end) of a parameter in memory order, as the file's numbers are. */
static tuff_status read_numbers(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                                tuff_dtype dtype, void *out)
{
    if (p->fresh) { /* which is f32 */
        tuff_param_draw(model, p, begin, end, out);
        return TUFF_OK;
    }
    if (p->copy) return read_numbers(model, p->copy, begin, end, dtype, out);
    if (p->held) return read_grown(model, p, begin, end, dtype, out);
    const tuff_weight *weight = tuff_model_weight(model, p);
    int64_t columns = tuff_param_columns(p), size = tuff_dtype_size(dtype); /* 0 of blocks, which are rows */
    int64_t row_bytes = (int64_t)tuff_dtype_bytes(dtype, columns);
    if (model->gguf && p->gguf.layout == TUFF_LAYOUT_HEADS)
        return read_head(weight, p, begin, end, dtype, out);
    bool reordered = model->gguf && p->gguf.layout != TUFF_LAYOUT_ROWS;
    if (p->rank == 1 && !reordered) {
        if (begin == 0 && end == p->shape[0]) return tuff_weight_read(weight, dtype, out);
        char *whole = tuff_alloc_array((size_t)p->shape[0], (size_t)size);
        if (!whole) return tuff_fail_memory("a vector of a model");
        tuff_status status = tuff_weight_read(weight, dtype, whole);
        if (status == TUFF_OK) memcpy(out, whole + begin * size, (size_t)((end - begin) * size));
        tuff_free(whole);
        return status;
    }
    if (!model->gguf && p->hf.layout == TUFF_LAYOUT_ALTERNATING)
        return tuff_alternating_read(model, p, begin, end, dtype, out);
    if (p->is_fused) return read_fused(weight, p, begin, end, dtype, out);
    if (!model->gguf && p->hf.stack) return read_stack(model, p, begin, end, dtype, out);
    if (!model->gguf && p->hf.layout == TUFF_LAYOUT_TRANSPOSED)
        return read_transposed(weight, p, begin, end, dtype, out);
    if (!reordered) return tuff_weight_read_rows(weight, begin, end, dtype, out);
    if (p->rank > 1) {
        for (int64_t r = begin; r < end; r++) {
            int64_t from = tuff_param_gguf_row(p, r);
            TUFF_TRY(
                tuff_weight_read_rows(weight, from, from + 1, dtype, (char *)out + (r - begin) * row_bytes));
        }
        return TUFF_OK;
    }
    char *whole = tuff_alloc_array((size_t)p->shape[0], (size_t)size);
    if (!whole) return tuff_fail_memory("a vector of a model");
    tuff_status status = tuff_weight_read(weight, dtype, whole);
    for (int64_t r = begin; r < end && status == TUFF_OK; r++)
        memcpy((char *)out + (r - begin) * size, whole + tuff_param_gguf_row(p, r) * size, (size_t)size);
    tuff_free(whole);
    return status;
}

/* The same, as those in memory are: a GGUF holds what norms multiply with, where memory holds that less 1;
 * and an adapter may be merged. */
static tuff_status read_file_rows(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                                  tuff_dtype dtype, void *out)
{
    TUFF_TRY(read_numbers(model, p, begin, end, dtype, out));
    float *values = out; /* of norms and of what is merged: f32 */
    if (model->gguf && p->gguf.added != 0 && !p->fresh)
        for (int64_t i = 0; i < (end - begin) * tuff_param_columns(p); i++)
            values[i] = (float)(values[i] - p->gguf.added);
    return p->merged ? tuff_merge_rows(&model->merge, p, begin, end, values) : TUFF_OK;
}

tuff_status tuff_model_read(const tuff_model *model, const tuff_param *p, const tuff_store *store,
                            int64_t begin, int64_t end, float *out)
{
    tuff_buffer *buffer = store ? tuff_store_find(store, p->name) : NULL;
    if (!buffer) {
        TUFF_TRY(tuff_weights_check_files(tuff_model_weights(model)));
        return read_file_rows(model, p, begin, end, TUFF_F32, out);
    }
    int64_t columns = tuff_param_columns(p), n = (end - begin) * columns;
    tuff_dtype dtype = tuff_buffer_dtype(buffer);
    if (dtype == TUFF_F32) return tuff_buffer_read(buffer, begin * columns, out, n);
    void *stored = tuff_alloc((size_t)tuff_dtype_bytes(dtype, n));
    if (!stored) return tuff_fail_memory("rows of a weight");
    tuff_status status = tuff_buffer_read(buffer, begin * columns, stored, n);
    if (status == TUFF_OK) tuff_dtype_to_f32(dtype, stored, out, (size_t)n);
    tuff_free(stored);
    return status;
}

/* How far an upload is, in parameters of the model. */
typedef struct progress {
    const tuff_watch *watch;
    uint64_t done, total;
} progress;

static tuff_status upload(const tuff_model *model, const tuff_param *p, tuff_dtype dtype, tuff_store *store,
                          progress *at)
{
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(store, p->name, dtype, p->rank, p->shape, &buffer));
    if (tuff_store_device(store)->compiles_only) return TUFF_OK;
    int64_t columns = tuff_param_columns(p), row_bytes = (int64_t)tuff_dtype_bytes(dtype, columns);
    /* a transposed file is read whole per piece: make that one piece */
    bool whole = !model->gguf && p->hf.layout == TUFF_LAYOUT_TRANSPOSED;
    const int64_t all = tuff_param_rows(p);
    int64_t step = whole ? all : PIECE_BYTES / row_bytes + 1;
    /* and one whose columns alternate for each expert of which there are rows */
    if (!model->gguf && p->hf.layout == TUFF_LAYOUT_ALTERNATING) step = all / p->shape[0];
    if (step > all) step = all;
    void *rows = tuff_alloc_array((size_t)step, (size_t)row_bytes);
    if (!rows) return tuff_fail_memory("rows of a weight");
    tuff_status status = TUFF_OK;
    for (int64_t r = 0; r < all && status == TUFF_OK; r += step) {
        int64_t end = r + step < all ? r + step : all;
        status = tuff_watch_step(at->watch, TUFF_PHASE_UPLOAD, at->done, at->total);
        at->done += (uint64_t)((end - r) * columns);
        if (status == TUFF_OK) status = read_file_rows(model, p, r, end, dtype, rows);
        if (status == TUFF_OK) status = tuff_buffer_write(buffer, r * columns, rows, (end - r) * columns);
    }
    tuff_free(rows);
    return status;
}

static tuff_dtype dtype_of(const tuff_param *p, bool trained)
{
    return trained ? TUFF_F32 : p->stored;
}

uint64_t tuff_model_weight_bytes(const tuff_model *model, bool trained)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        bytes += tuff_dtype_bytes(dtype_of(p, trained), tuff_param_elements(p));
    }
    return bytes;
}

tuff_status tuff_model_upload(const tuff_model *model, bool trained, const tuff_watch *watch,
                              tuff_store *store)
{
    progress at = {.watch = watch};
    for (size_t i = 0; i < model->params.count; i++)
        at.total += (uint64_t)tuff_param_elements(&model->params.items[i]);
    TUFF_TRY(tuff_note(tuff_room_check(tuff_store_device(store), tuff_model_weight_bytes(model, trained),
                                       "the model", "one stored as bf16, f16 or Q4_K_M needs"),
                       "%s", model->path));
    for (size_t i = 0; i < model->params.count; i++) {
        TUFF_TRY(tuff_weights_check_files(tuff_model_weights(model)));
        const tuff_param *p = &model->params.items[i];
        tuff_dtype dtype = dtype_of(p, trained);
        TUFF_TRY(tuff_note(upload(model, p, dtype, store, &at), "%s: %s", model->path, p->name));
    }
    TUFF_TRY(tuff_weights_check_files(tuff_model_weights(model))); /* nor while they were read */
    return tuff_watch_step(watch, TUFF_PHASE_UPLOAD, at.total, at.total);
}
