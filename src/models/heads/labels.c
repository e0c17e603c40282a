/* What the outputs of a classifier are called and mean. */
#include <stdio.h>
#include <string.h>

#include "models/heads/head.h"
#include "models/model.h"

static const char *const problems[] = {"", "regression", "single_label_classification",
                                       "multi_label_classification"};
enum { PROBLEMS = sizeof problems / sizeof *problems, MOST_LABELS = 1 << 20 };

const char *tuff_problem_name(tuff_problem problem)
{
    return problems[problem];
}

static tuff_status read_problem(const cJSON *json, const char *where, tuff_config *c)
{
    const char *problem = NULL;
    TUFF_TRY(tuff_json_text(json, "problem_type", where, &problem));
    for (int i = 1; problem && i < PROBLEMS; i++)
        if (strcmp(problems[i], problem) == 0) c->problem = (tuff_problem)i;
    if (!problem || c->problem) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: problem_type is \"%.40s\", expected %s, %s or %s", where, problem,
                     problems[1], problems[2], problems[3]);
}

tuff_status tuff_labels_read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "id2label");
    c->labels = 2; /* as transformers takes it; it does not write what is so */
    TUFF_TRY(tuff_json_int(json, "num_labels", where, &c->labels));
    if (names && !cJSON_IsNull(names) && !cJSON_IsObject(names))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: id2label must be an object", where);
    if (cJSON_IsObject(names)) c->labels = cJSON_GetArraySize(names);
    if (c->labels < 0 || c->labels > MOST_LABELS)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: num_labels is %lld, expected 1 to %d", where,
                         (long long)c->labels, MOST_LABELS);
    return read_problem(json, where, c);
}

static const char labels_key[] = "classifier.output_labels";

tuff_status tuff_labels_read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char key[64];
    const tuff_gguf_value *names = NULL;
    const tuff_weight *output = tuff_weights_find(gguf->weights, "cls.output.weight");
    TUFF_TRY(tuff_gguf_strings(gguf, tuff_gguf_key_of(c, labels_key, key), &names));
    c->labels = output ? output->shape[0] : 0;
    if (!output || !names || names->count == (uint64_t)c->labels) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has %llu texts, but the classifier %lld outputs", gguf->file,
                     key, (unsigned long long)names->count, (long long)c->labels);
}

tuff_view tuff_model_label(const tuff_model *model, int64_t index, char scratch[TUFF_LABEL_SIZE])
{
    char key[64];
    const tuff_gguf_value *names = NULL;
    snprintf(scratch, TUFF_LABEL_SIZE, "%lld", (long long)index);
    if (!model->new_labels && model->gguf &&
        tuff_gguf_strings(model->gguf, tuff_gguf_key_of(&model->config, labels_key, key), &names) ==
            TUFF_OK &&
        names)
        return tuff_gguf_string_at(names, (uint64_t)index);
    const cJSON *json = model->new_labels ? model->new_labels : model->hf_config;
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, "id2label");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, scratch);
    if (cJSON_IsString(name)) return tuff_view_of(name->valuestring);
    snprintf(scratch, TUFF_LABEL_SIZE, "LABEL_%lld", (long long)index);
    return tuff_view_of(scratch);
}

void tuff_labels_write_hf(const tuff_model *model, tuff_buf *json)
{
    char scratch[TUFF_LABEL_SIZE];
    if (model->config.problem)
        tuff_buf_printf(json, "  \"problem_type\": \"%s\",\n", tuff_problem_name(model->config.problem));
    for (int way = 0; way < 2; way++) {
        tuff_buf_printf(json, "  \"%s\": {", way ? "label2id" : "id2label");
        for (int64_t i = 0; i < model->config.labels; i++) {
            tuff_view name = tuff_model_label(model, i, scratch);
            tuff_buf_text(json, i ? ", " : "");
            if (!way) tuff_buf_printf(json, "\"%lld\": ", (long long)i);
            tuff_json_quote(json, name.data, name.size);
            if (way) tuff_buf_printf(json, ": %lld", (long long)i);
        }
        tuff_buf_text(json, "},\n");
    }
}

tuff_status tuff_labels_write_gguf(const tuff_model *model, tuff_gguf_builder *gguf)
{
    enum { RANK = 4 }; /* llama.cpp's pooling type of classifiers */
    char key[64];
    int64_t n = model->config.labels;
    tuff_view *names = tuff_alloc_array((size_t)n, sizeof *names);
    char(*scratch)[TUFF_LABEL_SIZE] = tuff_alloc_array((size_t)n, sizeof *scratch);
    bool ok = names && scratch;
    for (int64_t i = 0; ok && i < n; i++)
        names[i] = tuff_model_label(model, i, scratch[i]);
    if (ok)
        tuff_gguf_put_strings(gguf, tuff_gguf_key_of(&model->config, labels_key, key), names, (uint64_t)n);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(&model->config, "pooling_type", key), RANK);
    tuff_free(names);
    tuff_free(scratch);
    return ok ? TUFF_OK : tuff_fail_memory("the labels of a classifier");
}
