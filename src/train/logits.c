/* Logits in a file, for checks against other implementations. */
#include <string.h>

#include "base/memory.h"
#include "formats/safetensors.h"
#include "runtime/program.h"
#include "train/frozen.h"

typedef struct job {
    tuff_frozen frozen;
    int32_t *ids;
    float *logits;
    size_t n_ids, n_logits;
} job;

static tuff_status run(job *j, const tuff_dataset *data)
{
    const tuff_lm *lm = &j->frozen.lm;
    tuff_program *program = j->frozen.program;
    j->n_ids = (size_t)(lm->batch * lm->length);
    j->n_logits = j->n_ids * (size_t)lm->model->config.vocab_size;
    j->ids = tuff_alloc_array(j->n_ids, sizeof *j->ids);
    j->logits = tuff_alloc_array(j->n_logits, sizeof *j->logits);
    if (!j->ids || !j->logits) return tuff_fail_memory("logits");
    memcpy(j->ids, data->ids, j->n_ids * sizeof *j->ids);
    TUFF_TRY(tuff_lm_set_positions(lm, program));
    TUFF_TRY(tuff_watch_step(lm->watch, TUFF_PHASE_EVALUATE, 0, 1));
    TUFF_TRY(tuff_program_input(program, "ids", j->ids, j->n_ids * sizeof *j->ids));
    TUFF_TRY(tuff_program_run_until(program, lm->watch ? lm->watch->cancel : NULL, false));
    return tuff_program_output(program, "logits", j->logits, j->n_logits * sizeof *j->logits);
}

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    const job *j = user;
    return index == 0 ? tuff_sink_write(sink, j->ids, j->n_ids * sizeof *j->ids)
                      : tuff_sink_write(sink, j->logits, j->n_logits * sizeof *j->logits);
}

static tuff_status save(job *j, const char *path)
{
    const tuff_lm *lm = &j->frozen.lm;
    const tuff_save_item items[] = {
        {"input_ids", TUFF_I32, 2, {lm->batch, lm->length, 1, 1}},
        {"logits", TUFF_F32, 3, {lm->batch, lm->length, lm->model->config.vocab_size, 1}},
    };
    return tuff_safetensors_save(path, items, 2, write_tensor, j);
}

tuff_status tuff_save_logits(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                             const char *adapter, const tuff_watch *watch, const char *path)
{
    TUFF_NEED(model);
    TUFF_NEED(device);
    TUFF_NEED(data);
    TUFF_NEED(path);
    job j = {0};
    TUFF_TRY(tuff_watch_check(watch));
    int64_t blocks = tuff_dataset_blocks(data);
    if (blocks == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the text has %lld tokens, fewer than one block of %lld",
                         (long long)data->tokens, (long long)data->block_size);
    TUFF_TRY(tuff_frozen_open(model, device, data, blocks < 4 ? blocks : 4, adapter, tuff_lm_logits_program,
                              watch, &j.frozen));
    tuff_status status = run(&j, data);
    if (status == TUFF_OK) status = save(&j, path);
    tuff_frozen_close(&j.frozen);
    tuff_free(j.ids);
    tuff_free(j.logits);
    return status;
}
