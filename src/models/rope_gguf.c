/* Rotary positions in GGUF: llama.cpp's keys and tensors of them. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "models/model.h"

/* Factors of a tensor, one for each pair that rotates. */
static tuff_status read_tensor(const tuff_gguf *gguf, const tuff_weight *weight, int64_t pairs, double **out)
{
    if (weight->rank != 1 || weight->shape[0] != pairs)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s must have one number for each of %lld pairs that turn",
                         gguf->file, weight->name, (long long)pairs);
    float *values = tuff_alloc_array((size_t)pairs, sizeof *values);
    tuff_free(*out);
    *out = tuff_alloc_array((size_t)pairs, sizeof **out);
    tuff_status status = values && *out ? tuff_weight_read(weight, TUFF_F32, values)
                                        : tuff_fail_memory("the factors of rotary positions");
    for (int64_t i = 0; i < pairs && status == TUFF_OK; i++) {
        if (!tuff_rope_divides((double)values[i]))
            status = tuff_fail(TUFF_BAD_FORMAT, "%s: %s has the factor %g, expected 1e-06 to 1e+09",
                               gguf->file, weight->name, (double)values[i]);
        (*out)[i] = (double)values[i];
    }
    tuff_free(values);
    return status;
}

/* Whether the factors are those of Llama 3.1 and what follows it; the file does not say what made them. */
static bool is_llama3(const tuff_config *c, const double *factors, tuff_rope_spec *out)
{
    int64_t pairs = tuff_rope_dims(c) / 2;
    tuff_rope_spec plain = {.theta = c->rope.theta}, made = {.theta = c->rope.theta,
                                                             .scaling = TUFF_ROPE_LLAMA3,
                                                             .factor = factors[pairs - 1],
                                                             .original = 8192,
                                                             .low = 1,
                                                             .high = 4};
    float *angles = tuff_alloc_array((size_t)(2 * pairs), sizeof *angles);
    bool same = angles != NULL;
    if (same) tuff_rope_angles(c, &plain, 1, angles);
    if (same) tuff_rope_angles(c, &made, 1, angles + pairs);
    for (int64_t i = 0; i < pairs && same; i++)
        same = fabs((double)(angles[i] / angles[pairs + i]) - factors[i]) <= 1e-5 * factors[i];
    tuff_free(angles);
    if (same) *out = made;
    return same;
}

/* One list of factors for all lengths: Llama 3's, or what has no name. */
static tuff_status read_freqs(const tuff_gguf *gguf, const tuff_weight *weight, tuff_config *c)
{
    int64_t pairs = tuff_rope_dims(c) / 2;
    tuff_rope_spec *spec = &c->rope;
    TUFF_TRY(read_tensor(gguf, weight, pairs, &spec->factors[0]));
    tuff_rope_spec known;
    if (is_llama3(c, spec->factors[0], &known)) {
        tuff_rope_free(spec);
        *spec = known;
        return TUFF_OK;
    }
    spec->scaling = TUFF_ROPE_LONGROPE;
    spec->factor = spec->attention = 1;
    spec->original = (double)c->max_positions;
    return read_tensor(gguf, weight, pairs, &spec->factors[1]);
}

/* The positions of the training, where they are said. */
static tuff_status read_original(const tuff_gguf *gguf, const tuff_config *c, double *out)
{
    char k[64];
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.original_context_length", k), out));
    if (tuff_rope_divides(*out)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %g, expected 1e-06 to 1e+09", gguf->file, k, *out);
}

static tuff_status read_longrope(const tuff_gguf *gguf, const tuff_weight *near, const tuff_weight *far,
                                 tuff_config *c)
{
    char k[64];
    int64_t pairs = tuff_rope_dims(c) / 2;
    tuff_rope_spec *spec = &c->rope;
    spec->scaling = TUFF_ROPE_LONGROPE;
    spec->attention = 1;
    spec->original = (double)c->max_positions;
    TUFF_TRY(read_original(gguf, c, &spec->original));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.attn_factor", k), &spec->attention));
    TUFF_TRY(tuff_rope_check_attention(gguf->file, k, spec->attention));
    spec->factor = (double)c->max_positions / spec->original;
    TUFF_TRY(read_tensor(gguf, near, pairs, &spec->factors[0]));
    return read_tensor(gguf, far, pairs, &spec->factors[1]);
}

static tuff_status check_type(const tuff_gguf *gguf, const tuff_config *c, tuff_view type)
{
    char k[64];
    if (tuff_view_is(type, "linear") || tuff_view_is(type, "yarn")) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: it scales its rotary embeddings by \"%.*s\" (%s); Tuff knows linear, yarn and "
                     "factors in tensors",
                     gguf->file, (int)(type.size < 40 ? type.size : 40), type.data,
                     tuff_gguf_key_of(c, "rope.scaling.type", k));
}

/* As llama.cpp takes them: a factor without a type is linear, and 0 means none. */
static tuff_status read_typed(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    tuff_view type = {"linear", 6};
    double factor = 0, share = 1;
    bool truncate = true;
    tuff_rope_spec *spec = &c->rope;
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scale_linear", k), &factor)); /* of old files */
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.factor", k), &factor));
    TUFF_TRY(tuff_gguf_text(gguf, tuff_gguf_key_of(c, "rope.scaling.type", k), &type));
    if (tuff_view_is(type, "none")) return TUFF_OK;
    TUFF_TRY(check_type(gguf, c, type));
    if (factor == 0 || (tuff_view_is(type, "linear") && factor == 1)) return TUFF_OK;
    if (!tuff_rope_divides(factor))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: rope.scaling.factor is %g, expected 1e-06 to 1e+09",
                         gguf->file, factor);
    spec->factor = factor;
    spec->original = (double)c->max_positions;
    spec->scaling = TUFF_ROPE_LINEAR;
    if (tuff_view_is(type, "linear")) return TUFF_OK;
    spec->scaling = TUFF_ROPE_YARN;
    spec->low = 1;
    spec->high = 32;
    TUFF_TRY(read_original(gguf, c, &spec->original));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.yarn_beta_slow", k), &spec->low));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.yarn_beta_fast", k), &spec->high));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.scaling.attn_factor", k), &share));
    TUFF_TRY(tuff_gguf_bool(gguf, tuff_gguf_key_of(c, "rope.scaling.yarn_truncate", k), &truncate));
    spec->exact = !truncate;
    spec->attention = share * (1 + (factor > 1 ? 0.1 * log(factor) : 0));
    TUFF_TRY(tuff_rope_check_attention(gguf->file, tuff_gguf_key_of(c, "rope.scaling.attn_factor", k),
                                       spec->attention));
    if (spec->low > 0 && spec->high > spec->low && spec->theta > 1) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: what it says of YaRN (rope.scaling.) does not fit together",
                     gguf->file);
}

static tuff_status check_dims(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    int64_t dims = c->head_dim, values = c->head_dim;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.value_length", k), &values));
    if (values != c->head_dim)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: attention.value_length is %lld beside keys of %lld; Tuff's heads have one size",
                         gguf->file, (long long)values, (long long)c->head_dim);
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "rope.dimension_count", k), &dims));
    if (dims == c->head_dim) return TUFF_OK;
    if (!c->arch->partial_rotary || dims < 2 || dims > c->head_dim)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: rope.dimension_count is %lld of a head of %lld; Tuff rotates whole heads of this "
            "architecture only",
            gguf->file, (long long)dims, (long long)c->head_dim);
    c->rotary_dims = dims;
    return TUFF_OK;
}

tuff_status tuff_rope_read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.freq_base", k), &c->rope.theta));
    TUFF_TRY(tuff_rope_check(c, gguf->file));
    TUFF_TRY(check_dims(gguf, c));
    if (tuff_rope_dims(c) < 2) return TUFF_OK; /* refused with all sizes */
    const tuff_weight *freqs = tuff_weights_find(gguf->weights, "rope_freqs.weight"),
                      *near = tuff_weights_find(gguf->weights, "rope_factors_short.weight"),
                      *far = tuff_weights_find(gguf->weights, "rope_factors_long.weight");
    if (freqs) return read_freqs(gguf, freqs, c);
    if (near && far) return read_longrope(gguf, near, far, c);
    return read_typed(gguf, c);
}

void tuff_rope_write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    const tuff_rope_spec *spec = &c->rope;
    bool linear = spec->scaling == TUFF_ROPE_LINEAR, yarn = spec->scaling == TUFF_ROPE_YARN;
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.freq_base", k), (float)spec->theta);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "rope.dimension_count", k), (uint32_t)tuff_rope_dims(c));
    if (linear || yarn) {
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "rope.scaling.type", k), linear ? "linear" : "yarn");
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.scaling.factor", k), (float)spec->factor);
    }
    if (yarn || spec->scaling == TUFF_ROPE_LONGROPE)
        tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "rope.scaling.original_context_length", k),
                          (uint32_t)spec->original);
    if (yarn) {
        double usual = 1 + (spec->factor > 1 ? 0.1 * log(spec->factor) : 0);
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.scaling.yarn_beta_slow", k), (float)spec->low);
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.scaling.yarn_beta_fast", k), (float)spec->high);
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.scaling.attn_factor", k),
                          (float)(spec->attention / usual));
    }
    if (yarn && spec->exact) {
        tuff_gguf_put_bool(gguf, tuff_gguf_key_of(c, "rope.scaling.yarn_truncate", k),
                           false); /* Tuff's own */
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp rounds the range between fast and slow angles of YaRN to whole dims, which this model "
            "does not: its results will differ a little there; in Tuff they do not");
    }
    if (spec->scaling == TUFF_ROPE_LONGROPE)
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.scaling.attn_factor", k), (float)spec->attention);
}

/* llama.cpp divides angles by these. */
static void fill_llama3(const tuff_config *c, float *out, float *scratch)
{
    int64_t pairs = tuff_rope_dims(c) / 2;
    const tuff_rope_spec plain = {.theta = c->rope.theta};
    tuff_rope_angles(c, &plain, 1, out);
    tuff_rope_angles(c, &c->rope, 1, scratch);
    for (int64_t i = 0; i < pairs; i++)
        out[i] /= scratch[i];
}

int tuff_rope_tensors(const tuff_config *c, const char *out_names[2], float *out_values[2])
{
    int64_t pairs = tuff_rope_dims(c) / 2;
    bool llama3 = c->rope.scaling == TUFF_ROPE_LLAMA3;
    int count = llama3 ? 1 : c->rope.scaling == TUFF_ROPE_LONGROPE ? 2 : 0;
    for (int which = 0; which < count; which++) {
        out_values[which] = tuff_alloc_array((size_t)(2 * pairs), sizeof **out_values);
        out_names[which] = llama3  ? "rope_freqs.weight"
                           : which ? "rope_factors_long.weight"
                                   : "rope_factors_short.weight";
        if (!out_values[which]) return -1;
        for (int64_t i = 0; i < pairs && !llama3; i++)
            out_values[which][i] = (float)c->rope.factors[which][i];
        if (llama3) fill_llama3(c, out_values[which], out_values[which] + pairs);
    }
    return count;
}
