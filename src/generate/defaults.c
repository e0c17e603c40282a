/* What generation_config.json says of the search for a text, and of its length. How tokens are drawn it says
 * too; that is the caller's choice here. */
#include <string.h>

#include "base/log.h"
#include "base/structs.h"
#include "generate/sequence.h"

static const char file[] = "generation_config.json";

/* Settings of a search that Tuff does not have, and what each is when it changes nothing. */
static const struct {
    const char *key;
    double nothing;
} unknown[] = {
    {"num_beam_groups", 1},
    {"diversity_penalty", 0},
    {"encoder_no_repeat_ngram_size", 0},
    {"encoder_repetition_penalty", 1},
    {"bad_words_ids", 0},
    {"force_words_ids", 0},
    {"constraints", 0},
    {"sequence_bias", 0},
    {"suppress_tokens", 0},
    {"begin_suppress_tokens", 0},
    {"forced_decoder_ids", 0},
    {"exponential_decay_length_penalty", 0},
    {"renormalize_logits", 0},
    {"guidance_scale", 1},
    {"num_return_sequences", 1},
};

static bool changes(const cJSON *item, double nothing)
{
    if (!item || cJSON_IsNull(item) || cJSON_IsFalse(item)) return false;
    if (cJSON_IsNumber(item)) return item->valuedouble != nothing;
    return !(cJSON_IsArray(item) || cJSON_IsObject(item)) || item->child;
}

static tuff_status check_known(const tuff_model *model)
{
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (changes(cJSON_GetObjectItemCaseSensitive(model->hf_generation, unknown[i].key),
                    unknown[i].nothing))
            return tuff_fail(TUFF_UNSUPPORTED,
                             "%s: %s asks for a search with beams and %s, which Tuff's has not; choose the "
                             "number of beams (num_beams) to search without it, or 1 for none",
                             model->path, file, unknown[i].key);
    return TUFF_OK;
}

/* A number of tokens, which may be missing. */
static tuff_status read_count(const tuff_model *model, const char *key, int64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(model->hf_generation, key);
    int64_t value = *out;
    TUFF_TRY(tuff_json_int(model->hf_generation, key, file, &value));
    if (cJSON_IsNumber(item) && (value < 0 || value > 1 << 28))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has a %s of %lld, expected 0 to %d", model->path, file, key,
                         (long long)value, 1 << 28);
    *out = value;
    return TUFF_OK;
}

/* min_length and max_length count what the text begins with: of encoder-decoders that is one token, of
 * decoders the prompt, which is not known here. What counts new tokens alone comes before these. */
static tuff_status read_lengths(const tuff_model *model, tuff_generate_params *out)
{
    int64_t least = 0, most = 0;
    if (model->config.encoder) {
        TUFF_TRY(read_count(model, "min_length", &least));
        TUFF_TRY(read_count(model, "max_length", &most));
        least = least > 1 ? least - 1 : 0;
        most = most > 1 ? most - 1 : 0;
    }
    TUFF_TRY(read_count(model, "min_new_tokens", &least));
    TUFF_TRY(read_count(model, "max_new_tokens", &most));
    out->max_new_tokens = most;
    out->min_new_tokens = most && least > most ? most : least;
    return TUFF_OK;
}

static tuff_status read_stopping(const tuff_model *model, tuff_early_stopping *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(model->hf_generation, "early_stopping");
    if (!item || cJSON_IsNull(item)) return TUFF_OK;
    const bool never = cJSON_IsString(item) && strcmp(item->valuestring, "never") == 0;
    if (!never && !cJSON_IsBool(item))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has an early_stopping that is not true, false or \"never\"",
                         model->path, file);
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
    int64_t n = 0;
    TUFF_NEED(model);
    TUFF_TRY(TUFF_GIVE(out_params, &p, TUFF_GENERATE_PARAMS_INIT, watch));
    TUFF_TRY(TUFF_GIVE(out_sampling, &s, TUFF_SAMPLING_INIT, seed));
    if (!model->hf_generation) return TUFF_OK;
    TUFF_TRY(read_count(model, "num_beams", &p.num_beams));
    TUFF_TRY(read_count(model, "no_repeat_ngram_size", &n));
    TUFF_TRY(tuff_json_number(model->hf_generation, "length_penalty", file, &p.length_penalty));
    TUFF_TRY(read_stopping(model, &p.early_stopping));
    TUFF_TRY(read_lengths(model, &p));
    s.no_repeat_ngram_size = (uint32_t)n;
    TUFF_TRY(TUFF_GIVE(out_sampling, &s, TUFF_SAMPLING_INIT, seed));
    TUFF_TRY(TUFF_GIVE(out_params, &p, TUFF_GENERATE_PARAMS_INIT, watch));
    return p.num_beams > 1 ? check_known(model) : TUFF_OK;
}
