/* How a GGUF's texts are to be drawn (general.sampling), in the words of generation_config.json. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "models/model.h"

typedef struct reading {
    const tuff_gguf *gguf;
    cJSON *json;
    bool failed; /* no memory */
} reading;

/* Its numbers are f32: 0.95 is to be written so, and not with the digits that f32 adds. */
static double rounded(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.7g", value);
    return strtod(text, NULL);
}

static void put(reading *r, const char *name, double value)
{
    r->failed |= !cJSON_AddNumberToObject(r->json, name, value);
}

/* What says nothing is left out: where 0 does, `nothing`. *out_there: the file has the key. Numbers beyond
 * low..high mean these, as llama.cpp takes them; those that are none stay, and are refused where they are
 * read. */
static tuff_status take(reading *r, const char *key, const char *name, bool nothing, double low, double high,
                        bool *out_there)
{
    double value = 0;
    TUFF_TRY(tuff_gguf_number(r->gguf, key, &value));
    *out_there = tuff_gguf_find(r->gguf, key) != NULL;
    if (value < low) value = low;
    if (value > high) value = high;
    if (*out_there && !(nothing && value == 0)) put(r, name, rounded(value));
    return TUFF_OK;
}

/* The repetition penalty and the last tokens that it is of: llama.cpp looks at 64 where the file does not say
 * how many, at none for 0, at all below. */
static tuff_status take_penalty(reading *r)
{
    double penalty = 1, last = 64;
    if (!tuff_gguf_find(r->gguf, "general.sampling.penalty_repeat")) return TUFF_OK;
    TUFF_TRY(tuff_gguf_number(r->gguf, "general.sampling.penalty_repeat", &penalty));
    TUFF_TRY(tuff_gguf_number(r->gguf, "general.sampling.penalty_last_n", &last));
    if (last == 0) return TUFF_OK;
    put(r, "repetition_penalty", rounded(penalty));
    if (last > 0 && penalty != 1) put(r, "repetition_penalty_last_n", last);
    return TUFF_OK;
}

static tuff_status take_all(reading *r)
{
    static const struct {
        const char *key, *name;
        double low, high;
    } drawing[] = {{"general.sampling.temp", "temperature", -HUGE_VAL, HUGE_VAL},
                   {"general.sampling.top_k", "top_k", 0, INT32_MAX},
                   {"general.sampling.top_p", "top_p", 0, 1},
                   {"general.sampling.min_p", "min_p", 0, HUGE_VAL}};
    bool there, drawn = false;
    for (size_t i = 0; i < sizeof drawing / sizeof *drawing; i++) {
        TUFF_TRY(take(r, drawing[i].key, drawing[i].name, false, drawing[i].low, drawing[i].high, &there));
        drawn = drawn || there;
    }
    TUFF_TRY(take_penalty(r));
    TUFF_TRY(take(r, "general.sampling.xtc_probability", "xtc_probability", true, 0, HUGE_VAL, &there));
    TUFF_TRY(take(r, "general.sampling.mirostat", "mirostat", true, 0, HUGE_VAL, &there));
    tuff_view sequence = {0};
    TUFF_TRY(tuff_gguf_text(r->gguf, "general.sampling.sequence", &sequence));
    if (sequence.size) r->failed |= !cJSON_AddTrueToObject(r->json, "sampling_sequence");
    const cJSON *temperature = cJSON_GetObjectItemCaseSensitive(r->json, "temperature");
    if (temperature && temperature->valuedouble <= 0) { /* llama.cpp takes the most probable token then */
        drawn = false;
        cJSON_DeleteItemFromObjectCaseSensitive(r->json, "temperature");
    }
    if (drawn) r->failed |= !cJSON_AddTrueToObject(r->json, "do_sample");
    return r->failed ? tuff_fail_memory("general.sampling") : TUFF_OK;
}

tuff_status tuff_model_read_gguf_sampling(tuff_model *model)
{
    reading r = {.gguf = model->gguf, .json = cJSON_CreateObject()};
    if (!r.json) return tuff_fail_memory("general.sampling");
    tuff_status status = take_all(&r);
    if (status == TUFF_OK && r.json->child)
        model->hf_generation = r.json;
    else
        cJSON_Delete(r.json);
    return status;
}

/* A number of generation_config.json that changes something. */
static bool says(const tuff_model *model, const char *name, double nothing, double *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(model->hf_generation, name);
    if (!cJSON_IsNumber(item) || item->valuedouble == nothing) return false;
    *out = item->valuedouble;
    return true;
}

void tuff_model_write_gguf_sampling(const tuff_model *model, tuff_gguf_builder *gguf)
{
    double value = 1;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(model->hf_generation, "do_sample"))) {
        says(model, "temperature", 1, &value);
        tuff_gguf_put_f32(gguf, "general.sampling.temp", (float)value);
        if (says(model, "top_k", 0, &value) && value > 0 && value < INT32_MAX)
            tuff_gguf_put_u32(gguf, "general.sampling.top_k", (uint32_t)value);
        if (says(model, "top_p", 1, &value)) tuff_gguf_put_f32(gguf, "general.sampling.top_p", (float)value);
        if (says(model, "min_p", 0, &value)) tuff_gguf_put_f32(gguf, "general.sampling.min_p", (float)value);
    }
    if (says(model, "repetition_penalty", 1, &value)) {
        double last = 0;
        tuff_gguf_put_f32(gguf, "general.sampling.penalty_repeat", (float)value);
        says(model, "repetition_penalty_last_n", 0, &last);
        tuff_gguf_put_i32(gguf, "general.sampling.penalty_last_n",
                          last > 0 && last < INT32_MAX ? (int32_t)last : -1);
    }
}
