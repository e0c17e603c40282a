/* What a model's generation_config.json says of texts that are made with it: how tokens are chosen, the
 * search, the length. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "generate/sequence.h"

/* What the settings come from, for error texts. */
static const char *file_of(const tuff_model *model)
{
    return model->gguf ? "general.sampling" : "generation_config.json";
}

/* ---- what Tuff does not have ---- */

typedef enum matters { ALWAYS, WITH_BEAMS, WHEN_DRAWN } matters;

/* What each is when it changes nothing. */
static const struct {
    const char *key;
    double nothing;
    matters when;
} unknown[] = {
    {"num_beam_groups", 1, WITH_BEAMS},
    {"diversity_penalty", 0, WITH_BEAMS},
    {"force_words_ids", 0, WITH_BEAMS},
    {"constraints", 0, WITH_BEAMS},
    {"renormalize_logits", 0, WITH_BEAMS},
    {"encoder_no_repeat_ngram_size", 0, ALWAYS},
    {"encoder_repetition_penalty", 1, ALWAYS},
    {"forced_decoder_ids", 0, ALWAYS},
    {"exponential_decay_length_penalty", 0, ALWAYS},
    {"guidance_scale", 1, ALWAYS},
    {"num_return_sequences", 1, ALWAYS},
    {"stop_strings", 0, WITH_BEAMS},
    {"max_time", 0, ALWAYS},
    {"penalty_alpha", 0, ALWAYS},
    {"dola_layers", 0, ALWAYS},
    {"token_healing", 0, ALWAYS},
    {"watermarking_config", 0, ALWAYS},
    {"xtc_probability", 0, WHEN_DRAWN}, /* this and the next two are llama.cpp's, of GGUFs */
    {"mirostat", 0, WHEN_DRAWN},
    {"sampling_sequence", 0, WHEN_DRAWN},
    {"top_h", 0, WHEN_DRAWN},
    {"epsilon_cutoff", 0, WHEN_DRAWN},
    {"eta_cutoff", 0, WHEN_DRAWN},
};

static const cJSON *find(const tuff_model *model, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(model->hf_generation, key);
    return cJSON_IsNull(item) ? NULL : item;
}

static bool changes(const cJSON *item, double nothing)
{
    if (!item || cJSON_IsFalse(item)) return false;
    if (cJSON_IsNumber(item)) return item->valuedouble != nothing;
    return !(cJSON_IsArray(item) || cJSON_IsObject(item)) || item->child;
}

static tuff_status check_known(const tuff_model *model, bool drawn, bool beams)
{
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const matters when = unknown[i].when;
        if ((when == WITH_BEAMS && !beams) || (when == WHEN_DRAWN && !drawn)) continue;
        if (!changes(find(model, unknown[i].key), unknown[i].nothing)) continue;
        if (beams)
            return tuff_fail(TUFF_UNSUPPORTED,
                             "%s: %s asks for a search with beams and %s, which Tuff's has not; choose the "
                             "number of beams (num_beams) to search without it, or 1 for none",
                             model->path, file_of(model), unknown[i].key);
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s asks for %s, which Tuff has not", model->path,
                         file_of(model), unknown[i].key);
    }
    return TUFF_OK;
}

/* ---- numbers ---- */

/* A number of tokens, which may be missing. */
static tuff_status read_count(const tuff_model *model, const char *key, int64_t *out)
{
    int64_t value = *out;
    TUFF_TRY(tuff_json_int(model->hf_generation, key, file_of(model), &value));
    if (find(model, key) && (value < 0 || value > 1 << 28))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has a %s of %lld, expected 0 to %d", model->path,
                         file_of(model), key, (long long)value, 1 << 28);
    *out = value;
    return TUFF_OK;
}

static tuff_status read_real(const tuff_model *model, const char *key, double low, double high, float *out)
{
    double value = (double)*out;
    TUFF_TRY(tuff_json_number(model->hf_generation, key, file_of(model), &value));
    if (find(model, key) && !(value >= low && value <= high))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has a %s of %g, expected %g to %g", model->path,
                         file_of(model), key, value, low, high);
    *out = (float)value;
    return TUFF_OK;
}

/* Without do_sample the most probable token is taken, whatever the temperature. */
static tuff_status read_sampling(const tuff_model *model, tuff_sampling *out)
{
    bool drawn = false;
    float temperature = 1;
    int64_t ngram = 0, top_k = 0, window = 0;
    TUFF_TRY(tuff_json_bool(model->hf_generation, "do_sample", file_of(model), &drawn));
    TUFF_TRY(read_real(model, "temperature", 0, 1e3, &temperature));
    TUFF_TRY(read_count(model, "top_k", &top_k));
    TUFF_TRY(read_real(model, "top_p", 0, 1, &out->top_p));
    TUFF_TRY(read_real(model, "min_p", 0, 1, &out->min_p));
    TUFF_TRY(read_real(model, "typical_p", 1e-6, 1, &out->typical_p));
    TUFF_TRY(read_real(model, "repetition_penalty", 1e-3, 1e3, &out->repetition_penalty));
    TUFF_TRY(read_count(model, "repetition_penalty_last_n", &window)); /* of GGUFs, as below */
    TUFF_TRY(read_count(model, "no_repeat_ngram_size", &ngram));
    if (find(model, "top_p") && out->top_p == 0) out->top_p = FLT_MIN; /* there: one token, here: all */
    out->temperature = drawn ? temperature : 0;
    out->top_k = (uint32_t)top_k;
    out->no_repeat_ngram_size = (uint32_t)ngram;
    out->repetition_window = (uint32_t)window;
    return TUFF_OK;
}

/* What counts new tokens alone comes before what counts all. */
static tuff_status read_lengths(const tuff_model *model, tuff_generate_params *out)
{
    TUFF_TRY(read_count(model, "min_length", &out->min_length));
    TUFF_TRY(read_count(model, "max_length", &out->max_length));
    TUFF_TRY(read_count(model, "min_new_tokens", &out->min_new_tokens));
    TUFF_TRY(read_count(model, "max_new_tokens", &out->max_new_tokens));
    if (out->min_new_tokens) out->min_length = 0;
    if (out->max_new_tokens) out->max_length = 0;
    if (out->max_new_tokens && out->min_new_tokens > out->max_new_tokens)
        out->min_new_tokens = out->max_new_tokens;
    return TUFF_OK;
}

static tuff_status read_stopping(const tuff_model *model, tuff_early_stopping *out)
{
    const cJSON *item = find(model, "early_stopping");
    if (!item) return TUFF_OK;
    const bool never = cJSON_IsString(item) && strcmp(item->valuestring, "never") == 0;
    if (!never && !cJSON_IsBool(item))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has an early_stopping that is not true, false or \"never\"",
                         model->path, file_of(model));
    *out = never                ? TUFF_EARLY_STOPPING_NEVER
           : cJSON_IsTrue(item) ? TUFF_EARLY_STOPPING_YES
                                : TUFF_EARLY_STOPPING_NO;
    return TUFF_OK;
}

tuff_status tuff_model_generation(const tuff_model *model, tuff_generate_params *out_params,
                                  tuff_sampling *out_sampling)
{
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling s = TUFF_SAMPLING_INIT;
    TUFF_NEED(model);
    TUFF_TRY(TUFF_GIVE(out_params, &p, TUFF_GENERATE_PARAMS_INIT, watch));
    TUFF_TRY(TUFF_GIVE(out_sampling, &s, TUFF_SAMPLING_INIT, seed));
    if (!model->hf_generation) return TUFF_OK;
    TUFF_TRY(read_count(model, "num_beams", &p.num_beams));
    TUFF_TRY(tuff_json_number(model->hf_generation, "length_penalty", file_of(model), &p.length_penalty));
    TUFF_TRY(read_stopping(model, &p.early_stopping));
    TUFF_TRY(read_lengths(model, &p));
    TUFF_TRY(read_sampling(model, &s));
    TUFF_TRY(TUFF_GIVE(out_sampling, &s, TUFF_SAMPLING_INIT, seed));
    TUFF_TRY(TUFF_GIVE(out_params, &p, TUFF_GENERATE_PARAMS_INIT, watch));
    return check_known(model, s.temperature != 0, p.num_beams > 1);
}

/* ---- stop texts ---- */

/* The text, or the texts of a list. */
static const cJSON *first_stop(const cJSON *stops)
{
    return cJSON_IsArray(stops) ? stops->child : stops;
}

tuff_status tuff_model_generation_stops(const tuff_model *model, const char *const **out_stops,
                                        size_t *out_count)
{
    size_t n = 0, bytes = 0;
    if (out_count) *out_count = 0;
    TUFF_NEED_OUT(out_stops);
    TUFF_NEED(model);
    TUFF_NEED(out_count);
    const cJSON *stops = find(model, "stop_strings");
    for (const cJSON *item = first_stop(stops); item; item = cJSON_IsArray(stops) ? item->next : NULL) {
        if (!cJSON_IsString(item) || !*item->valuestring)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has stop_strings that are no text and no list of texts",
                             model->path, file_of(model));
        n++;
        bytes += strlen(item->valuestring) + 1;
    }
    if (n == 0) return TUFF_OK;
    const char **texts = tuff_alloc(n * sizeof *texts + bytes);
    if (!texts) return tuff_fail_memory("stop texts");
    char *to = (char *)(texts + n);
    const cJSON *item = first_stop(stops);
    for (size_t i = 0; i < n; i++, item = item->next) {
        const size_t size = strlen(item->valuestring) + 1;
        texts[i] = memcpy(to, item->valuestring, size);
        to += size;
    }
    *out_stops = texts;
    *out_count = n;
    return TUFF_OK;
}
