/* Goldens with adapters: what models compute with them. */
#ifndef TUFF_TESTS_ADAPTED_FIXTURE_H
#define TUFF_TESTS_ADAPTED_FIXTURE_H

#include "kit/files.h"
#include "kit/truth.h"
#include "model_fixture.h"
#include "train/dataset.h"

/* Logits of the truth's ids. */
static inline float *logits_of(const golden *adapted, const tuff_model *model, const char *adapter,
                               size_t *out_n)
{
    golden base = load(adapted->name, "truth.safetensors"), saved = {.name = adapted->name};
    size_t n_ids;
    int32_t *ids = ints(&base, "input_ids", &n_ids);
    const char *path = kit_temp_path("logits.safetensors");
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, n_ids, tensor(adapted, "logits")->shape[1], &data));
    KIT_OK(tuff_save_logits(model, device, data, adapter, NULL, path));
    KIT_OK(tuff_safetensors_open(path, &saved.truth));
    float *got = floats(&saved, "logits", out_n);
    tuff_free(ids);
    tuff_weights_destroy(&saved.truth);
    tuff_dataset_destroy(&data);
    unload(&base);
    return got;
}

/* They are PEFT's. `adapter` NULL: it is in the model's weights. */
static inline void same_logits(const golden *adapted, const tuff_model *model, const char *adapter)
{
    size_t n, n_got;
    float *want = floats(adapted, "logits", &n), *got = logits_of(adapted, model, adapter, &n_got);
    assert_int_equal(n_got, n);
    compare(adapted->name, adapter ? "logits with the adapter" : "logits of the merged model", got, want, n,
            1e-5);
    tuff_free(want);
    tuff_free(got);
}

static inline tuff_model *merged_of(const tuff_model *base, const char *adapter)
{
    tuff_model *merged = NULL;
    KIT_OK(tuff_model_merged(base, adapter, &merged));
    return merged;
}

/* Nor are they others of the merged model as files. */
static inline void same_when_saved(const golden *adapted, const tuff_model *merged)
{
    for (int format = TUFF_FORMAT_HF; format <= TUFF_FORMAT_GGUF; format++) {
        const char *file = kit_temp_path(format == TUFF_FORMAT_HF ? "merged" : "merged.gguf");
        tuff_model *again = NULL;
        KIT_OK(tuff_model_save(merged, (tuff_file_format)format, TUFF_F32, file));
        KIT_OK(tuff_model_load(file, &again));
        same_logits(adapted, again, NULL);
        tuff_model_destroy(&again);
    }
}

/* "golden/<model>/<kind>". */
static inline const char *adapter_of(const char *model, const char *kind)
{
    char path[128];
    snprintf(path, sizeof path, "golden/%s/%s", model, kind);
    return kit_asset(path);
}

static inline golden load_adapted(const char *model, const char *kind)
{
    char truth[64];
    snprintf(truth, sizeof truth, "%s/truth.safetensors", kind);
    return load(model, truth);
}

#endif
