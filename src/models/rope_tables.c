/* Tables of rotary positions: their angles by scaling, and where they lie on a device. */
#include <math.h>

#include "base/memory.h"
#include "models/model.h"

static const double two_pi = 6.283185307179586;

/* By a base: in f32 where PyTorch rounds. */
static void plain(double theta, int64_t pairs, float *out)
{
    for (int64_t i = 0; i < pairs; i++)
        out[i] = (float)(1.0 / (double)(float)pow(theta, (double)i / (double)pairs));
}

/* The dim whose pair rotates so often within the positions of the training. */
static double dim_of_rotations(const tuff_rope_spec *spec, double rotations, int64_t dims)
{
    return (double)dims * log(spec->original / (rotations * two_pi)) / (2 * log(spec->theta));
}

/* Fast pairs stay, slow ones are divided by the factor, between them one passes into the other. */
static void yarn(const tuff_rope_spec *spec, int64_t pairs, float *out)
{
    double begin = dim_of_rotations(spec, spec->high, 2 * pairs),
           end = dim_of_rotations(spec, spec->low, 2 * pairs);
    if (!spec->exact) {
        begin = floor(begin);
        end = ceil(end);
    }
    begin = fmax(begin, 0);
    end = fmin(end, (double)(2 * pairs - 1));
    if (begin == end) end += 0.001;
    for (int64_t i = 0; i < pairs; i++) {
        double slow = fmin(fmax(((double)i - begin) / (end - begin), 0), 1);
        out[i] = (float)(out[i] / spec->factor * slow + out[i] * (1 - slow));
    }
}

static void llama3(const tuff_rope_spec *spec, int64_t pairs, float *out)
{
    for (int64_t i = 0; i < pairs; i++) {
        double rotations = spec->original * out[i] / two_pi; /* within the positions of the training */
        double fast = fmin(fmax((rotations - spec->low) / (spec->high - spec->low), 0), 1);
        out[i] = (float)(out[i] / spec->factor * (1 - fast) + out[i] * fast);
    }
}

double tuff_rope_angles(const tuff_config *c, const tuff_rope_spec *spec, int64_t positions, float *out)
{
    int64_t pairs = tuff_rope_dims(c) / 2;
    double theta = spec->theta, longest = (double)c->max_positions, used = (double)positions;
    if (spec->scaling == TUFF_ROPE_DYNAMIC && pairs > 1 && used > longest)
        theta *= pow(spec->factor * used / longest - (spec->factor - 1), (double)pairs / (double)(pairs - 1));
    plain(theta, pairs, out);
    if (spec->scaling == TUFF_ROPE_YARN) yarn(spec, pairs, out);
    if (spec->scaling == TUFF_ROPE_LLAMA3) llama3(spec, pairs, out);
    for (int64_t i = 0; i < pairs; i++) {
        if (spec->scaling == TUFF_ROPE_LINEAR) out[i] = (float)(out[i] / spec->factor);
        if (spec->scaling == TUFF_ROPE_LONGROPE)
            out[i] = (float)(out[i] / spec->factors[used > spec->original][i]);
    }
    return spec->attention != 0 ? spec->attention : 1;
}

bool tuff_rope_by_length(const tuff_config *c)
{
    return c->rope.scaling == TUFF_ROPE_DYNAMIC || c->rope.scaling == TUFF_ROPE_LONGROPE ||
           c->rope_local.scaling == TUFF_ROPE_DYNAMIC || c->rope_local.scaling == TUFF_ROPE_LONGROPE;
}

static bool same(const tuff_config *c, const tuff_rope_spec *spec, int64_t a, int64_t b)
{
    if (spec->scaling == TUFF_ROPE_LONGROPE)
        return ((double)a > spec->original) == ((double)b > spec->original);
    return spec->scaling != TUFF_ROPE_DYNAMIC || a == b || (a <= c->max_positions && b <= c->max_positions);
}

bool tuff_rope_same(const tuff_config *c, int64_t positions, int64_t others)
{
    return same(c, &c->rope, positions, others) && same(c, &c->rope_local, positions, others);
}

/* Angles of one position: in f32 as PyTorch computes them. */
static void rope_rows(const float *inverse, double scale, int64_t half, int64_t begin, int64_t end, bool sine,
                      float *out)
{
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = 0; i < half; i++) {
            double angle = (double)((float)p * inverse[i]);
            *out++ = (float)(scale * (sine ? sin(angle) : cos(angle))); /* these in double */
        }
}

static tuff_status upload_table(const float *inverse, double scale, int64_t half, int64_t positions,
                                const char *name, const tuff_cancel *cancel, tuff_store *store)
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
        rope_rows(inverse, scale, half, at, end, sine, rows);
        status = tuff_buffer_write(buffer, at * half, rows, (end - at) * half);
        if (status == TUFF_OK) status = tuff_watch_step(&watch, TUFF_PHASE_UPLOAD, 0, 0);
    }
    tuff_free(rows);
    return status;
}

static tuff_status upload_angles(const tuff_config *c, const tuff_rope_spec *spec, int64_t positions,
                                 const tuff_cancel *cancel, tuff_store *store)
{
    int64_t half = tuff_rope_dims(c) / 2;
    bool local = spec == &c->rope_local;
    float *inverse = tuff_alloc_array((size_t)half, sizeof *inverse);
    if (!inverse) return tuff_fail_memory("the rope tables");
    double scale = tuff_rope_angles(c, spec, positions, inverse);
    tuff_status status =
        upload_table(inverse, scale, half, positions, local ? "rope.local.cos" : "rope.cos", cancel, store);
    if (status == TUFF_OK)
        status = upload_table(inverse, scale, half, positions, local ? "rope.local.sin" : "rope.sin", cancel,
                              store);
    tuff_free(inverse);
    return status;
}

tuff_status tuff_model_upload_tables(const tuff_model *model, int64_t positions, const tuff_watch *watch,
                                     tuff_store *store)
{
    const tuff_config *c = &model->config;
    const tuff_cancel *cancel = watch ? watch->cancel : NULL;
    if (c->distance_buckets) TUFF_TRY(tuff_distances_upload(c, store));
    if (c->distance_buckets && c->encoder) TUFF_TRY(tuff_distances_upload(c->encoder, store));
    if (c->alibi.most != 0) TUFF_TRY(tuff_alibi_upload(c, positions, store));
    if (c->rope.theta != 0) TUFF_TRY(upload_angles(c, &c->rope, positions, cancel, store));
    if (c->rope_local.theta == 0) return TUFF_OK;
    return upload_angles(c, &c->rope_local, positions, cancel, store);
}
