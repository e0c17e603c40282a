/* Conversion and dequantization of stored tensors. Files are little-endian. */
#include "base/half.h"
#include "formats/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weight files are little-endian and read in place: a big-endian build needs byte swaps here"
#endif

enum { CHUNK = 16 * TUFF_BLOCK_MOST };

/* `n` is a multiple of the block; the storage is a readable one that is not f32 already. */
static void to_f32(tuff_storage storage, const uint8_t *in, size_t n, float *out)
{
    if (storage == TUFF_STORE_F16)
        tuff_dtype_to_f32(TUFF_F16, in, out, n);
    else if (storage == TUFF_STORE_BF16)
        tuff_dtype_to_f32(TUFF_BF16, in, out, n);
    else
        tuff_block_decode(tuff_storage_block(storage), in, n / tuff_storage_get(storage)->block, out);
}

static bool finite_f32(float value)
{
    return (tuff_f32_bits(value) & 0x7f800000u) != 0x7f800000u;
}

/* Without an early exit, so that these become vector code. */
static bool all_finite(const float *values, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (uint32_t)!finite_f32(values[i]);
    return !bad;
}

static bool any_equal(const uint16_t *halves, size_t n, uint16_t magnitude)
{
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++)
        found |= (uint32_t)((halves[i] & 0x7fff) == magnitude);
    return found;
}

static tuff_status not_finite(const tuff_weight *weight, size_t element, const char *what)
{
    int64_t index[TUFF_MAX_RANK] = {0}, rest = (int64_t)element;
    for (unsigned i = weight->rank; i-- > 0; rest /= weight->shape[i])
        index[i] = rest % weight->shape[i];
    char text[100];
    tuff_weight_shape_text(weight->rank, index, text, sizeof text);
    return tuff_fail(TUFF_NOT_FINITE, "%s: tensor '%s' at %s: %s", weight->file, weight->name, text, what);
}

tuff_status tuff_weight_check_readable(const tuff_weight *weight)
{
    if (weight->dims)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: tensor '%s' has the shape %s; at most %d dimensions can be read", weight->file,
                         weight->name, weight->dims, TUFF_MAX_RANK);
    const tuff_storage storage = weight->storage;
    if (storage == TUFF_STORE_F32 || storage == TUFF_STORE_F16 || storage == TUFF_STORE_BF16 ||
        tuff_storage_block(storage) != TUFF_BLOCK_COUNT)
        return TUFF_OK;
    if (storage == TUFF_STORE_F8_E4M3 || storage == TUFF_STORE_F8_E5M2)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: tensor '%s' is stored as %s: FP8 weights, which have scales beside them, are not "
            "read; take the model that they were made from, or a GGUF of it",
            weight->file, weight->name, tuff_weight_type(weight));
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: tensor '%s' is stored as %s; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to "
                     "Q6_K, IQ4_NL and MXFP4 can be read",
                     weight->file, weight->name, tuff_weight_type(weight));
}

tuff_status tuff_weight_read(const tuff_weight *weight, tuff_dtype dtype, void *out)
{
    return tuff_weight_read_rows(weight, 0, tuff_weight_rows(weight), dtype, out);
}

static tuff_status fetch_bytes(const tuff_weight *weight, size_t at, size_t bytes, void *out)
{
    if (weight->source)
        return tuff_note(tuff_read_at(weight->source, weight->file, weight->source_at + at, out, bytes),
                         "reading tensor '%s'", weight->name);
    memcpy(out, weight->data + at, bytes);
    return TUFF_OK;
}

tuff_status tuff_weight_stored(const tuff_weight *weight, void *out)
{
    return fetch_bytes(weight, 0, weight->bytes, out);
}

tuff_status tuff_weight_stored_part(const tuff_weight *weight, size_t at, size_t size, void *out)
{
    return fetch_bytes(weight, at, size, out);
}

bool tuff_weight_is_copy(const tuff_weight *a, const tuff_weight *b)
{
    uint8_t x[16384], y[sizeof x];
    bool same = a->storage == b->storage && a->bytes == b->bytes;
    for (size_t at = 0, now; same && at < a->bytes; at += now) {
        now = a->bytes - at < sizeof x ? a->bytes - at : sizeof x;
        same = fetch_bytes(a, at, now, x) == TUFF_OK && fetch_bytes(b, at, now, y) == TUFF_OK &&
               memcmp(x, y, now) == 0;
    }
    return same;
}

/* Elements first to first + n, whole blocks, as they are stored. */
static tuff_status fetch(const tuff_weight *weight, size_t first, size_t n, void *out)
{
    const tuff_storage_info *info = tuff_storage_get(weight->storage);
    return fetch_bytes(weight, first / info->block * info->bytes, n / info->block * info->bytes, out);
}

/* The same as f32: at most CHUNK elements. */
static tuff_status fetch_f32(const tuff_weight *weight, size_t first, size_t n, float *out)
{
    uint8_t stored[CHUNK * 2]; /* none of the others takes more */
    if (weight->storage == TUFF_STORE_F32) return fetch(weight, first, n, out);
    TUFF_TRY(fetch(weight, first, n, stored));
    to_f32(weight->storage, stored, n, out);
    return TUFF_OK;
}

static size_t chunk_at(size_t at, size_t n)
{
    return n - at < CHUNK ? n - at : CHUNK;
}

/* Through f32 in chunks, watching for numbers that f16 cannot hold. */
static tuff_status read_narrow(const tuff_weight *weight, size_t first, size_t n, tuff_dtype dtype,
                               uint16_t *out)
{
    float values[CHUNK];
    for (size_t at = 0; at < n; at += CHUNK) {
        size_t now = chunk_at(at, n);
        TUFF_TRY(fetch_f32(weight, first + at, now, values));
        tuff_dtype_from_f32(dtype, values, out + at, now);
        uint16_t infinity = dtype == TUFF_F16 ? 0x7c00 : 0x7f80;
        if (!any_equal(out + at, now, infinity)) continue;
        for (size_t i = 0; i < now; i++) {
            if ((out[at + i] & 0x7fff) != infinity || !finite_f32(values[i])) continue;
            char what[80];
            snprintf(what, sizeof what, "%g does not fit %s; load the model as f32", (double)values[i],
                     tuff_dtype_name(dtype));
            return not_finite(weight, first + at + i, what);
        }
    }
    return TUFF_OK;
}

tuff_status tuff_weight_read_rows(const tuff_weight *weight, int64_t begin, int64_t end, tuff_dtype dtype,
                                  void *out)
{
    TUFF_TRY(tuff_weight_check_readable(weight));
    const bool as_stored = tuff_dtype_is_block(dtype) && weight->storage == tuff_storage_of(dtype);
    if (!(tuff_dtype_is_float(dtype) || as_stored) || begin < 0 || begin > end ||
        end > tuff_weight_rows(weight))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: tensor '%s': rows %" PRId64 " to %" PRId64
                         " as %s were asked for; it has %" PRId64 " rows, readable as f32, f16 or bf16",
                         weight->file, weight->name, begin, end, tuff_dtype_name(dtype),
                         tuff_weight_rows(weight));
    int64_t columns = tuff_weight_columns(weight);
    if (columns == 0) return TUFF_OK;
    size_t first = (size_t)(begin * columns), n = (size_t)((end - begin) * columns);
    if (n == 0) return TUFF_OK;
    if (weight->storage == tuff_storage_of(dtype)) return fetch(weight, first, n, out);
    if (dtype != TUFF_F32) return read_narrow(weight, first, n, dtype, out);
    for (size_t at = 0; at < n; at += CHUNK)
        TUFF_TRY(fetch_f32(weight, first + at, chunk_at(at, n), (float *)out + at));
    return TUFF_OK;
}

tuff_status tuff_weight_check_finite(const tuff_weight *weight)
{
    return tuff_weight_check_finite_watched(weight, NULL, NULL, 0, 0);
}

tuff_status tuff_weight_check_finite_watched(const tuff_weight *weight, const tuff_weights *files,
                                             const tuff_watch *watch, uint64_t done, uint64_t total)
{
    enum { ASK = 256 * CHUNK }; /* elements */
    TUFF_TRY(tuff_weight_check_readable(weight));
    const tuff_storage_info *info = tuff_storage_get(weight->storage);
    size_t n = weight->bytes / info->bytes * info->block;
    float values[CHUNK];
    for (size_t at = 0; at < n; at += CHUNK) {
        size_t now = chunk_at(at, n);
        if (at % ASK == 0)
            TUFF_TRY(tuff_watch_step(watch, TUFF_PHASE_LOAD, done + at / info->block * info->bytes, total));
        if (at % ASK == 0 && files) TUFF_TRY(tuff_weights_check_files(files));
        TUFF_TRY(fetch_f32(weight, at, now, values));
        if (all_finite(values, now)) continue;
        for (size_t i = 0; i < now; i++)
            if (!finite_f32(values[i]))
                return not_finite(weight, at + i,
                                  (tuff_f32_bits(values[i]) & 0x7fffffu) ? "the weight is NaN"
                                                                         : "the weight is infinite");
    }
    return TUFF_OK;
}
