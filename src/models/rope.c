/* Rotary positions: what config.json says of them, and the tables of angles on a device. */
#include <math.h>
#include <string.h>

#include "models/model.h"

/* rope_theta and what else changes the angles: at the top, or since transformers 5 in an object of its own.
 * Where both objects are there, the older one counts, as in transformers. */
tuff_status tuff_rope_read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    const char *type = "default";
    double part = 1;
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, "rope_scaling"), *item;
    if (!object || cJSON_IsNull(object) || (cJSON_IsObject(object) && !object->child))
        object = cJSON_GetObjectItemCaseSensitive(json, "rope_parameters");
    TUFF_TRY(tuff_json_number(json, "rope_theta", where, &c->rope_theta));
    TUFF_TRY(tuff_json_number(json, "partial_rotary_factor", where, &part));
    if (object && !cJSON_IsNull(object)) {
        TUFF_TRY(tuff_json_text(object, "type", where, &type));
        TUFF_TRY(tuff_json_text(object, "rope_type", where, &type));
        TUFF_TRY(tuff_json_number(object, "rope_theta", where, &c->rope_theta));
        TUFF_TRY(tuff_json_number(object, "partial_rotary_factor", where, &part));
        cJSON_ArrayForEach(item, object) if (cJSON_IsObject(item)) return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: its rotary embeddings have parameters of their own for \"%s\"; Tuff's layers "
            "are all alike",
            where, item->string);
    }
    if (strcmp(type, "default") != 0)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: rotary embeddings scaled by \"%s\" are not supported; Tuff knows unscaled ones",
                         where, type);
    if (part != 1)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: partial_rotary_factor is %g; Tuff turns whole heads only",
                         where, part);
    return TUFF_OK;
}

tuff_status tuff_rope_check(const tuff_config *c, const char *where)
{
    if (c->rope_theta > 0) return TUFF_OK; /* how large it may be is checked with all sizes */
    return tuff_fail(TUFF_BAD_FORMAT, "%s: the base of its rotary embeddings is %g, expected 1 or more",
                     where, c->rope_theta);
}

/* As llama.cpp takes them: a factor without a type is linear, and 0 means none. */
tuff_status tuff_rope_read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    tuff_view type = {"linear", 6};
    double factor = 0;
    int64_t dims = c->head_dim;
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.freq_base", k), &c->rope_theta));
    TUFF_TRY(tuff_rope_check(c, gguf->file));
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "rope.dimension_count", k), &dims));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scale_linear", k), &factor)); /* of old files */
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.factor", k), &factor));
    TUFF_TRY(tuff_gguf_text(gguf, tuff_gguf_key_of(c, "rope.scaling.type", k), &type));
    bool unscaled =
        tuff_view_is(type, "none") || (tuff_view_is(type, "linear") && (factor == 0 || factor == 1));
    if (!unscaled || tuff_weights_find(gguf->weights, "rope_freqs.weight"))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: it scales its rotary embeddings (%s), which Tuff does not support", gguf->file,
                         unscaled ? "tensor rope_freqs.weight" : tuff_gguf_key_of(c, "rope.scaling", k));
    int64_t values = c->head_dim;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.value_length", k), &values));
    if (values != c->head_dim)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: attention.value_length is %lld beside keys of %lld; Tuff's heads have one size",
                         gguf->file, (long long)values, (long long)c->head_dim);
    if (dims != c->head_dim)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: rope.dimension_count is %lld of a head of %lld; Tuff turns whole heads only",
                         gguf->file, (long long)dims, (long long)c->head_dim);
    return TUFF_OK;
}

/* Angles of one position: in f32 as PyTorch computes them. */
static void rope_rows(const float *inverse, int64_t half, int64_t begin, int64_t end, bool sine, float *out)
{
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = 0; i < half; i++) {
            double angle = (double)((float)p * inverse[i]);
            *out++ = (float)(sine ? sin(angle) : cos(angle)); /* these in double */
        }
}

static tuff_status upload_table(const float *inverse, int64_t half, int64_t positions, const char *name,
                                const tuff_cancel *cancel, tuff_store *store)
{
    bool sine = tuff_ends_with(name, "sin");
    enum { PIECE = 4096 }; /* positions */
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = (tuff_cancel *)(uintptr_t)cancel};
    int64_t most = positions < PIECE ? positions : PIECE;
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(store, name, TUFF_F32, 2, (int64_t[]){positions, half}, &buffer));
    float *rows = tuff_alloc_array((size_t)(most * half), sizeof *rows);
    if (!rows) return tuff_fail_memory("the rope tables");
    tuff_status status = TUFF_OK;
    for (int64_t at = 0; at < positions && status == TUFF_OK; at += PIECE) {
        int64_t end = at + PIECE < positions ? at + PIECE : positions;
        rope_rows(inverse, half, at, end, sine, rows);
        status = tuff_buffer_write(buffer, at * half, rows, (end - at) * half);
        if (status == TUFF_OK) status = tuff_watch_step(&watch, TUFF_PHASE_UPLOAD, 0, 0);
    }
    tuff_free(rows);
    return status;
}

static tuff_status upload_angles(double theta, int64_t half, int64_t positions, bool local,
                                 const tuff_cancel *cancel, tuff_store *store)
{
    float *inverse = tuff_alloc_array((size_t)half, sizeof *inverse);
    if (!inverse) return tuff_fail_memory("the rope tables");
    for (int64_t i = 0; i < half; i++)
        inverse[i] = (float)(1.0 / (double)(float)pow(theta, (double)i / (double)half));
    tuff_status status =
        upload_table(inverse, half, positions, local ? "rope.local.cos" : "rope.cos", cancel, store);
    if (status == TUFF_OK)
        status = upload_table(inverse, half, positions, local ? "rope.local.sin" : "rope.sin", cancel, store);
    tuff_free(inverse);
    return status;
}

tuff_status tuff_model_upload_tables(const tuff_model *model, int64_t positions, const tuff_watch *watch,
                                     tuff_store *store)
{
    const tuff_config *c = &model->config;
    const tuff_cancel *cancel = watch ? watch->cancel : NULL;
    if (c->distance_buckets) TUFF_TRY(tuff_distances_upload(c, store));
    if (c->rope_theta != 0)
        TUFF_TRY(upload_angles(c->rope_theta, c->head_dim / 2, positions, false, cancel, store));
    if (c->rope_theta_local == 0) return TUFF_OK;
    return upload_angles(c->rope_theta_local, c->head_dim / 2, positions, true, cancel, store);
}
