/* Logits in a file, for checks against other implementations. */
#include <string.h>

#include "base/memory.h"
#include "formats/safetensors.h"
#include "train/trainer.h"

typedef struct job {
    const tuff_model *model;
    tuff_lm lm;
    tuff_store *store;
    tuff_program *program;
    int32_t *ids;
    float *logits;
    size_t n_ids, n_logits;
} job;

static tuff_status make_program(job *j, tuff_device *device)
{
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_net net = {.g = g,
                    .config = &j->model->config,
                    .batch = j->lm.batch,
                    .length = j->lm.length,
                    .matrix_dtype = j->lm.matrix_dtype,
                    .rope_positions = j->lm.rope_positions,
                    .hook = j->lm.lora ? tuff_lora_hook(j->lm.lora, false) : NULL};
    tuff_net_begin(&net);
    tuff_output(g, "logits", tuff_net_logits(&net, j->model->config.arch->hidden(&net), false));
    TUFF_TRY(tuff_program_create(device, &g, &j->program));
    return tuff_store_bind(j->store, j->program);
}

static tuff_status run(job *j, tuff_device *device, const tuff_dataset *data, const char *adapter)
{
    const tuff_config *c = &j->model->config;
    int64_t blocks = tuff_dataset_blocks(data);
    if (blocks == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the text has %lld tokens, fewer than one block of %lld",
                         (long long)data->tokens, (long long)data->block_size);
    TUFF_TRY(tuff_lm_check_data(j->model, data));
    j->lm = (tuff_lm){.model = j->model,
                      .batch = blocks < 4 ? blocks : 4,
                      .length = data->block_size,
                      .matrix_dtype = tuff_model_matrix_dtype(j->model, TUFF_MATRIX_AS_STORED),
                      .rope_positions = data->block_size};
    j->n_ids = (size_t)(j->lm.batch * j->lm.length);
    j->n_logits = j->n_ids * (size_t)c->vocab_size;
    j->ids = tuff_alloc_array(j->n_ids, sizeof *j->ids);
    j->logits = tuff_alloc_array(j->n_logits, sizeof *j->logits);
    if (!j->ids || !j->logits) return tuff_fail_memory("logits");
    memcpy(j->ids, data->ids, j->n_ids * sizeof *j->ids);
    if (adapter) TUFF_TRY(tuff_lora_open(j->model, adapter, &j->lm.lora));
    TUFF_TRY(tuff_store_create(device, &j->store));
    TUFF_TRY(tuff_model_upload(j->model, j->lm.matrix_dtype, j->store));
    TUFF_TRY(tuff_model_upload_rope(j->model, j->lm.rope_positions, j->store));
    if (j->lm.lora) TUFF_TRY(tuff_lora_upload(j->lm.lora, j->store));
    TUFF_TRY(make_program(j, device));
    TUFF_TRY(tuff_lm_set_positions(&j->lm, j->program));
    TUFF_TRY(tuff_program_input(j->program, "ids", j->ids, j->n_ids * sizeof *j->ids));
    TUFF_TRY(tuff_program_run(j->program));
    return tuff_program_output(j->program, "logits", j->logits, j->n_logits * sizeof *j->logits);
}

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    const job *j = user;
    return index == 0 ? tuff_sink_write(sink, j->ids, j->n_ids * sizeof *j->ids)
                      : tuff_sink_write(sink, j->logits, j->n_logits * sizeof *j->logits);
}

static tuff_status save(job *j, const char *path)
{
    const tuff_save_item items[] = {
        {"input_ids", TUFF_I32, 2, {j->lm.batch, j->lm.length, 1, 1}},
        {"logits", TUFF_F32, 3, {j->lm.batch, j->lm.length, j->model->config.vocab_size, 1}},
    };
    return tuff_safetensors_save(path, items, 2, write_tensor, j);
}

tuff_status tuff_save_logits(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                             const char *adapter, const char *path)
{
    job j = {.model = model};
    tuff_status status = run(&j, device, data, adapter);
    if (status == TUFF_OK) status = save(&j, path);
    tuff_program_destroy(&j.program);
    tuff_store_destroy(&j.store);
    tuff_lora_destroy(&j.lm.lora);
    tuff_free(j.ids);
    tuff_free(j.logits);
    return status;
}
