/* Rotary positions: what config.json and GGUF say of them, and the tables of angles on a device. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "models/model.h"

/* transformers' names, by tuff_rope_scaling. */
static const char *const names[] = {"default", "linear", "dynamic", "yarn", "longrope", "llama3"};
enum { NAMES = sizeof names / sizeof *names };

int64_t tuff_rope_dims(const tuff_config *c)
{
    return c->rotary_dims ? c->rotary_dims : c->head_dim;
}

double tuff_rope_share(const tuff_config *c)
{
    const double all = (double)c->head_dim;
    double share = (double)tuff_rope_dims(c) / all;
    while ((int64_t)(all * share) < tuff_rope_dims(c))
        share = nextafter(share, 2);
    return share;
}

const char *tuff_rope_scaling_name(tuff_rope_scaling scaling)
{
    return names[scaling];
}

void tuff_rope_free(tuff_rope_spec *spec)
{
    for (int i = 0; i < 2; i++) {
        tuff_free(spec->factors[i]);
        spec->factors[i] = NULL;
    }
}

/* One factor for each pair of dims. */
static tuff_status read_factors(const cJSON *object, const char *key, const char *where, int64_t pairs,
                                double **out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != pairs)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: %s must be a list of %lld numbers, one for each pair that rotates", where, key,
                         (long long)pairs);
    tuff_free(*out);
    double *to = *out = tuff_alloc_array((size_t)pairs, sizeof *to);
    if (!to) return tuff_fail_memory("the factors of rotary positions");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || !tuff_rope_divides(item->valuedouble))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: %s must hold numbers from 1e-06 to 1e+09", where, key);
        *to++ = item->valuedouble;
    }
    return TUFF_OK;
}

/* Whether a number is there, and one that angles can be divided by. */
static tuff_status read_positive(const cJSON *object, const char *key, const char *where, double *value)
{
    TUFF_TRY(tuff_json_number(object, key, where, value));
    if (tuff_rope_divides(*value)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: %s of its rotary embeddings is %g, or missing; expected 1e-06 to 1e+09", where, key,
                     *value);
}

bool tuff_rope_divides(double value)
{
    return value >= 1e-6 && value <= 1e9;
}

tuff_status tuff_rope_check_attention(const char *where, const char *keys, double value)
{
    if (value >= 1e-6 && value <= 1e6) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: the attention factor of its rotary embeddings is %g by %s, expected 1e-06 to 1e+06",
                     where, value, keys);
}

/* What the paper suggests where the file does not say; DeepSeek's mscale and mscale_all_dim change it. */
static tuff_status read_yarn(const cJSON *object, const char *where, tuff_rope_spec *spec)
{
    double one = 0, all = 0;
    bool rounded = true;
    spec->low = 1;
    spec->high = 32;
    TUFF_TRY(tuff_json_number(object, "beta_slow", where, &spec->low));
    TUFF_TRY(tuff_json_number(object, "beta_fast", where, &spec->high));
    TUFF_TRY(tuff_json_number(object, "mscale", where, &one));
    TUFF_TRY(tuff_json_number(object, "mscale_all_dim", where, &all));
    TUFF_TRY(tuff_json_bool(object, "truncate", where, &rounded));
    spec->exact = !rounded;
    if (spec->low == 0) spec->low = 1;
    if (spec->high == 0) spec->high = 32;
    double more = spec->factor > 1 ? 0.1 * log(spec->factor) : 0;
    spec->attention = one != 0 && all != 0 ? (1 + one * more) / (1 + all * more) : 1 + more;
    if (!(spec->theta > 1))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: rope_theta is %g, expected more than 1 where YaRN scales",
                         where, spec->theta);
    if (spec->low > 0 && spec->high > spec->low) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: beta_slow is %g and beta_fast %g, expected more than 0 and more than that", where,
                     spec->low, spec->high);
}

static tuff_status read_llama3(const cJSON *object, const char *where, tuff_rope_spec *spec)
{
    spec->low = spec->high = 0;
    TUFF_TRY(read_positive(object, "low_freq_factor", where, &spec->low));
    TUFF_TRY(read_positive(object, "high_freq_factor", where, &spec->high));
    if (spec->high > spec->low) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: high_freq_factor is %g, expected more than low_freq_factor, which is %g", where,
                     spec->high, spec->low);
}

/* spec->original is what the config says beside the object, or 0. */
static tuff_status read_scaling(const cJSON *object, const char *where, const tuff_config *c,
                                tuff_rope_spec *spec)
{
    double beside = spec->original, longest = (double)c->max_positions;
    const char *from = NULL; /* which keys the attention factor follows from */
    spec->factor = spec->attention = 0;
    spec->original = longest;
    if (spec->scaling > TUFF_ROPE_DYNAMIC)
        TUFF_TRY(read_positive(object, "original_max_position_embeddings", where, &spec->original));
    if (beside > 0) spec->original = beside;
    if (!tuff_rope_divides(spec->original))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: original_max_position_embeddings is %g, expected 1e-06 to 1e+09", where,
                         spec->original);
    if (spec->scaling == TUFF_ROPE_YARN || spec->scaling == TUFF_ROPE_LONGROPE)
        spec->factor = longest / spec->original; /* where the file has none, or null */
    TUFF_TRY(read_positive(object, "factor", where, &spec->factor));
    if (spec->scaling == TUFF_ROPE_LLAMA3) TUFF_TRY(read_llama3(object, where, spec));
    if (spec->scaling == TUFF_ROPE_YARN) {
        TUFF_TRY(read_yarn(object, where, spec));
        from = "factor, mscale and mscale_all_dim";
    }
    if (spec->scaling == TUFF_ROPE_LONGROPE) {
        int64_t pairs = tuff_rope_dims(c) / 2;
        TUFF_TRY(read_factors(object, "short_factor", where, pairs, &spec->factors[0]));
        TUFF_TRY(read_factors(object, "long_factor", where, pairs, &spec->factors[1]));
        spec->attention = spec->factor > 1 ? sqrt(1 + log(spec->factor) / log(spec->original)) : 1;
        from = "factor and original_max_position_embeddings";
    }
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(object, "attention_factor")))
        from = "attention_factor";
    TUFF_TRY(tuff_json_number(object, "attention_factor", where, &spec->attention));
    return from ? tuff_rope_check_attention(where, from, spec->attention) : TUFF_OK;
}

/* Of the architectures that have it, the first dims rotate. */
tuff_status tuff_rope_set_share(const char *key, double share, const char *where, tuff_config *c)
{
    c->rotary_dims = 0;
    if (share == 1) return TUFF_OK;
    if (!c->arch->partial_rotary)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is %g; Tuff rotates whole heads of this architecture only",
                         where, key, share);
    c->rotary_dims = (int64_t)((double)c->head_dim * share);
    if (share > 0 && c->rotary_dims >= 2 && c->rotary_dims <= c->head_dim) return TUFF_OK;
    if (!key) { /* a usual share, which is refused where nothing else is said */
        c->rotary_dims = -1;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: %s is %g of a head of %lld; expected two dims at least, and at most 1", where, key,
                     share, (long long)c->head_dim);
}

static tuff_status read_share(const cJSON *json, const char *where, tuff_config *c)
{
    const double share = c->rotary_dims ? (double)c->rotary_dims / (double)c->head_dim : 1;
    double given = share;
    TUFF_TRY(tuff_json_number(json, "partial_rotary_factor", where, &given));
    return given == share ? TUFF_OK : tuff_rope_set_share("partial_rotary_factor", given, where, c);
}

tuff_status tuff_rope_read_object(const cJSON *object, const char *where, tuff_config *c,
                                  tuff_rope_spec *spec)
{
    const char *type = "default";
    const cJSON *item;
    if (!object || cJSON_IsNull(object)) return TUFF_OK;
    TUFF_TRY(tuff_json_text(object, "type", where, &type));
    TUFF_TRY(tuff_json_text(object, "rope_type", where, &type));
    TUFF_TRY(tuff_json_number(object, "rope_theta", where, &spec->theta));
    TUFF_TRY(read_share(object, where, c));
    cJSON_ArrayForEach(item, object) if (cJSON_IsObject(item)) return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: its rotary embeddings have parameters of their own for \"%s\"; all layers of this "
        "architecture have the same",
        where, item->string);
    /* older names of Phi-3's files */
    if (strcmp(type, "su") == 0 || (strcmp(type, "yarn") == 0 && c->arch == &tuff_arch_phi3))
        type = "longrope";
    int scaling = 0;
    while (scaling < NAMES && strcmp(names[scaling], type) != 0)
        scaling++;
    if (scaling == NAMES)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: rotary embeddings scaled by \"%.40s\" are not supported; Tuff knows default, "
                         "linear, dynamic, yarn, longrope and llama3",
                         where, type);
    spec->scaling = (tuff_rope_scaling)scaling;
    return scaling == TUFF_ROPE_PLAIN ? TUFF_OK : read_scaling(object, where, c, spec);
}

/* Where both objects are there, the older one counts, as in transformers. */
tuff_status tuff_rope_read_parameters(const cJSON *json, const char *where, tuff_config *c)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, "rope_scaling");
    if (!object || cJSON_IsNull(object) || (cJSON_IsObject(object) && !object->child))
        object = cJSON_GetObjectItemCaseSensitive(json, "rope_parameters");
    TUFF_TRY(tuff_json_number(json, "original_max_position_embeddings", where, &c->rope.original));
    return tuff_rope_read_object(object, where, c, &c->rope);
}

/* rope_theta and what else changes the angles: at the top, or since transformers 5 in an object of its own.
 */
tuff_status tuff_rope_read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    TUFF_TRY(tuff_json_number(json, "rope_theta", where, &c->rope.theta));
    TUFF_TRY(read_share(json, where, c));
    return tuff_rope_read_parameters(json, where, c);
}

tuff_status tuff_rope_check(const tuff_config *c, const char *where)
{
    if (c->rotary_dims < 0)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the share of a head of %lld that rotates by default is less than two dims; "
                         "partial_rotary_factor must say another",
                         where, (long long)c->head_dim);
    if (c->rope.theta > 0) return TUFF_OK; /* how large it may be is checked with all sizes */
    return tuff_fail(TUFF_BAD_FORMAT, "%s: the base of its rotary embeddings is %g, expected 1 or more",
                     where, c->rope.theta);
}

static void write_number(tuff_buf *json, const char *key, double value)
{
    tuff_buf_printf(json, ", \"%s\": ", key);
    tuff_json_real(json, value);
}

static void write_factors(tuff_buf *json, const char *key, const double *factors, int64_t pairs)
{
    tuff_buf_printf(json, ", \"%s\": [", key);
    for (int64_t i = 0; i < pairs; i++) {
        if (i) tuff_buf_text(json, ", ");
        tuff_json_real(json, factors[i]);
    }
    tuff_buf_char(json, ']');
}

void tuff_rope_write_object(const tuff_config *c, const tuff_rope_spec *spec, tuff_buf *json)
{
    tuff_buf_printf(json, "{\"rope_type\": \"%s\"", names[spec->scaling]);
    write_number(json, "rope_theta", spec->theta);
    if (c->rotary_dims) write_number(json, "partial_rotary_factor", tuff_rope_share(c));
    if (spec->scaling != TUFF_ROPE_PLAIN) write_number(json, "factor", spec->factor);
    if (spec->scaling > TUFF_ROPE_DYNAMIC)
        write_number(json, "original_max_position_embeddings", spec->original);
    if (spec->scaling == TUFF_ROPE_LLAMA3) {
        write_number(json, "low_freq_factor", spec->low);
        write_number(json, "high_freq_factor", spec->high);
    }
    if (spec->scaling == TUFF_ROPE_YARN) {
        write_number(json, "beta_slow", spec->low);
        write_number(json, "beta_fast", spec->high);
        if (spec->exact) tuff_buf_text(json, ", \"truncate\": false");
    }
    if (spec->scaling == TUFF_ROPE_LONGROPE) {
        write_factors(json, "short_factor", spec->factors[0], tuff_rope_dims(c) / 2);
        write_factors(json, "long_factor", spec->factors[1], tuff_rope_dims(c) / 2);
    }
    if (spec->attention != 0) write_number(json, "attention_factor", spec->attention);
    tuff_buf_char(json, '}');
}
