/* gpt-oss' experts in Hugging Face's files: one tensor of all experts, [in, n * out] each, whose columns are
 * those of n matrices alternately; or packed: blocks of 32 numbers of 4 bits of rows [n * out, in], and a
 * scale for each block, which are MXFP4 in another order. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/model.h"

enum { BLOCK = 32, NIBBLES = BLOCK / 2, BLOCK_BYTES = 1 + NIBBLES };

static const tuff_weight *find(const tuff_model *model, const tuff_param *p, const char *ending)
{
    char text[TUFF_PARAM_NAME];
    const char *prefix = model->config.arch->base_prefix;
    snprintf(text, sizeof text, "%s%s", p->hf.name, ending);
    const tuff_weight *weight = tuff_weights_find(model->weights, text);
    if (weight || !tuff_starts_with(text, prefix)) return weight;
    return tuff_weights_find(model->weights, text + strlen(prefix));
}

const tuff_weight *tuff_alternating_weight(const tuff_model *model, const tuff_param *p, int64_t index)
{
    const tuff_weight *whole = find(model, p, "");
    return whole ? whole : find(model, p, index ? "_scales" : "_blocks");
}

bool tuff_alternating_packed(const tuff_model *model, const tuff_param *p)
{
    return !model->gguf && p->hf.layout == TUFF_LAYOUT_ALTERNATING && !find(model, p, "") &&
           find(model, p, "_blocks");
}

static tuff_status check_bytes(const tuff_weight *weight, int rank, const int64_t *shape)
{
    const tuff_shape expected = tuff_shape_of(rank, shape),
                     found = tuff_shape_of((int)weight->rank, weight->shape);
    if (weight->storage == TUFF_STORE_U8 && tuff_shape_equal(&expected, &found)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor %s is %s %s, the config expects U8 %s", weight->file,
                     weight->name, tuff_weight_type(weight), tuff_shape_text(&found),
                     tuff_shape_text(&expected));
}

/* A row as MXFP4: the scale of a block comes first; a byte has numbers i and i + 16, in the file 2 i and
 * 2 i + 1. */
static void repack(const uint8_t *nibbles, const uint8_t *scales, int64_t blocks, uint8_t *out)
{
    for (int64_t b = 0; b < blocks; b++, nibbles += NIBBLES, out += BLOCK_BYTES) {
        out[0] = scales[b];
        for (int i = 0; i < NIBBLES; i++) {
            const int shift = i % 2 * 4, low = nibbles[i / 2] >> shift & 15,
                      high = nibbles[(NIBBLES + i) / 2] >> shift & 15;
            out[1 + i] = (uint8_t)(low | high << 4);
        }
    }
}

/* Block number `index` of all, with its scale, of which the last is NaN. */
static tuff_status check_block(const tuff_weight *blocks, size_t index, uint8_t scale)
{
    uint8_t nibbles[NIBBLES], block[BLOCK_BYTES];
    float values[BLOCK];
    if (scale == UINT8_MAX)
        return tuff_fail(TUFF_NOT_FINITE, "%s: tensor %s: the scale of block %zu is NaN", blocks->file,
                         blocks->name, index);
    TUFF_TRY(tuff_weight_stored_part(blocks, index * NIBBLES, NIBBLES, nibbles));
    repack(nibbles, &scale, 1, block);
    tuff_block_decode(TUFF_BLOCK_MXFP4, block, 1, values);
    for (int i = 0; i < BLOCK; i++)
        if (!isfinite(values[i]))
            return tuff_fail(TUFF_NOT_FINITE, "%s: tensor %s: number %d of block %zu is infinite in f32",
                             blocks->file, blocks->name, i, index);
    return TUFF_OK;
}

/* Only the largest scales make numbers that are not finite. */
static tuff_status check_finite(const tuff_weight *blocks, const tuff_weight *scales)
{
    enum { LARGE = 253 };
    uint8_t bytes[16384];
    for (size_t at = 0, now; at < scales->bytes; at += now) {
        now = scales->bytes - at < sizeof bytes ? scales->bytes - at : sizeof bytes;
        TUFF_TRY(tuff_weight_stored_part(scales, at, now, bytes));
        for (size_t i = 0; i < now; i++)
            if (bytes[i] >= LARGE) TUFF_TRY(check_block(blocks, at + i, bytes[i]));
    }
    return TUFF_OK;
}

tuff_status tuff_alternating_check_packed(const tuff_model *model, const tuff_param *p)
{
    const tuff_weight *blocks = tuff_alternating_weight(model, p, 0),
                      *scales = tuff_alternating_weight(model, p, 1);
    if (p->rank < 3 || p->shape[2] % BLOCK)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: tensor %s is packed in blocks of %d, of which its rows of %lld are no whole number",
            blocks->file, blocks->name, BLOCK, (long long)tuff_param_columns(p));
    if (!scales)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor %s has no scales beside it (%s_scales)", blocks->file,
                         blocks->name, p->hf.name);
    const int64_t shape[] = {p->shape[0], p->hf.heads * p->shape[1], p->shape[2] / BLOCK, NIBBLES};
    TUFF_TRY(check_bytes(blocks, 4, shape));
    TUFF_TRY(check_bytes(scales, 3, shape));
    return check_finite(blocks, scales);
}

/* `room` is for a row as the file has it, and as MXFP4. */
static tuff_status read_packed_row(const tuff_model *model, const tuff_param *p, int64_t row, uint8_t *room,
                                   uint8_t *out)
{
    const tuff_weight *packed = tuff_alternating_weight(model, p, 0),
                      *scales = tuff_alternating_weight(model, p, 1);
    const int64_t blocks = p->shape[2] / BLOCK, at = row * p->hf.heads + p->hf.head;
    uint8_t *of_scales = room + blocks * NIBBLES;
    TUFF_TRY(
        tuff_weight_stored_part(packed, (size_t)(at * blocks * NIBBLES), (size_t)(blocks * NIBBLES), room));
    TUFF_TRY(tuff_weight_stored_part(scales, (size_t)(at * blocks), (size_t)blocks, of_scales));
    repack(room, of_scales, blocks, out);
    return TUFF_OK;
}

static tuff_status read_packed(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                               tuff_dtype dtype, void *out)
{
    const int64_t columns = p->shape[2], blocks = columns / BLOCK, row_bytes = blocks * BLOCK_BYTES;
    const size_t size = tuff_dtype_bytes(dtype, columns);
    uint8_t *room = tuff_alloc((size_t)(2 * row_bytes)), *row = room + row_bytes;
    float *values = tuff_alloc_array((size_t)columns, sizeof *values);
    tuff_status status = room && values ? TUFF_OK : tuff_fail_memory("rows of a weight");
    for (int64_t r = begin; r < end && status == TUFF_OK; r++) {
        uint8_t *to = (uint8_t *)out + (size_t)(r - begin) * size;
        status = read_packed_row(model, p, r, room, row);
        if (status != TUFF_OK || dtype == TUFF_MXFP4) {
            if (status == TUFF_OK) memcpy(to, row, size);
            continue;
        }
        tuff_block_decode(TUFF_BLOCK_MXFP4, row, (size_t)blocks, values);
        if (dtype == TUFF_F32)
            memcpy(to, values, size);
        else
            tuff_dtype_from_f32(dtype, values, to, (size_t)columns);
    }
    tuff_free(room);
    tuff_free(values);
    return status;
}

/* Rows [begin, end) of one expert's matrix [wide, in], in a tensor of [in, parts * wide] for each. */
static tuff_status read_expert(const tuff_weight *weight, const tuff_param *p, int64_t expert, int64_t begin,
                               int64_t end, tuff_dtype dtype, char *out)
{
    enum { ROWS = 16 };
    const int64_t parts = p->hf.heads, all = parts * p->shape[1], in = p->rank > 2 ? p->shape[2] : 1;
    const size_t size = tuff_dtype_size(dtype);
    char *rows = tuff_alloc_array((size_t)(ROWS * all), size);
    if (!rows) return tuff_fail_memory("rows of a weight");
    tuff_status status = TUFF_OK;
    for (int64_t k = 0; k < in && status == TUFF_OK; k += ROWS) {
        const int64_t n = in - k < ROWS ? in - k : ROWS;
        status = tuff_weight_read_rows(weight, expert * in + k, expert * in + k + n, dtype, rows);
        for (int64_t r = begin; r < end && status == TUFF_OK; r++)
            for (int64_t i = 0; i < n; i++)
                memcpy(out + (size_t)((r - begin) * in + k + i) * size,
                       rows + (size_t)(i * all + parts * r + p->hf.head) * size, size);
    }
    tuff_free(rows);
    return status;
}

tuff_status tuff_alternating_read(const tuff_model *model, const tuff_param *p, int64_t begin, int64_t end,
                                  tuff_dtype dtype, void *out)
{
    const tuff_weight *weight = tuff_alternating_weight(model, p, 0);
    const int64_t wide = p->rank > 2 ? p->shape[1] : 1; /* rows of an expert */
    const size_t row_bytes = tuff_dtype_bytes(dtype, tuff_param_columns(p));
    if (tuff_alternating_packed(model, p)) return read_packed(model, p, begin, end, dtype, out);
    for (int64_t r = begin, next; r < end; r = next) {
        const int64_t first = r / wide * wide;
        char *to = (char *)out + (size_t)(r - begin) * row_bytes;
        next = first + wide < end ? first + wide : end;
        if (p->rank > 2)
            TUFF_TRY(read_expert(weight, p, r / wide, r - first, next - first, dtype, to));
        else
            TUFF_TRY(read_expert(weight, p, r, 0, p->shape[1], dtype, to));
    }
    return TUFF_OK;
}
