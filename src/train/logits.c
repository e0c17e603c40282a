/* Logits in a file, for checks against other implementations. */
#include <string.h>

#include "base/memory.h"
#include "formats/safetensors.h"
#include "runtime/program.h"
#include "train/trainer.h"

enum { MOST_BLOCKS = 4 };

typedef struct job {
    tuff_runs runs;
    const tuff_dataset *data;
    int64_t blocks;
    float *logits;
    size_t n_ids, n_logits;
} job;

/* Leaves the rows of the blocks' own tokens. */
static void drop_virtual(job *j, int64_t before)
{
    size_t length = (size_t)j->data->block_size, row = (size_t)j->runs.lm.model->config.vocab_size;
    for (size_t b = 0; before && b < (size_t)j->blocks; b++)
        memmove(j->logits + b * length * row, j->logits + ((b + 1) * (size_t)before + b * length) * row,
                length * row * sizeof *j->logits);
    j->n_ids = (size_t)j->blocks * length;
    j->n_logits = j->n_ids * row;
}

static tuff_status run(job *j)
{
    const uint32_t blocks[MOST_BLOCKS] = {0, 1, 2, 3};
    const int64_t before = tuff_adapter_virtual_tokens(j->runs.lm.adapter);
    const tuff_batch batch = {.data = j->data,
                              .examples = blocks,
                              .count = j->blocks,
                              .most = j->blocks,
                              .virtual_tokens = before,
                              .silent = tuff_adapter_silent(j->runs.lm.adapter)};
    tuff_task_shape shape;
    tuff_program *program = NULL;
    int64_t labels;
    double none;
    tuff_task_size(&batch, &shape, &labels);
    j->n_ids = (size_t)shape.tokens;
    j->n_logits = j->n_ids * (size_t)j->runs.lm.model->config.vocab_size;
    j->logits = tuff_alloc_array(j->n_logits, sizeof *j->logits);
    if (!j->logits) return tuff_fail_memory("logits");
    tuff_runs_begin(&j->runs, TUFF_PHASE_EVALUATE, 1);
    TUFF_TRY(tuff_watched_tell(&j->runs.work));
    TUFF_TRY(tuff_runs_program(&j->runs, TUFF_LM_LOGITS, j->data, &shape, 0, &program));
    TUFF_TRY(tuff_runs_batch(&j->runs, program, &batch, &shape, false, &none));
    TUFF_TRY(tuff_program_output(program, "logits", j->logits, j->n_logits * sizeof *j->logits));
    drop_virtual(j, before);
    return TUFF_OK;
}

static tuff_status write_tensor(void *user, size_t index, tuff_sink *sink)
{
    const job *j = user;
    return index == 0 ? tuff_sink_write(sink, j->data->ids, j->n_ids * sizeof *j->data->ids)
                      : tuff_sink_write(sink, j->logits, j->n_logits * sizeof *j->logits);
}

static tuff_status save(job *j, const char *path)
{
    const int64_t length = j->data->block_size, vocabulary = j->runs.lm.model->config.vocab_size;
    const tuff_save_item items[] = {
        {"input_ids", TUFF_STORE_I32, 2, {j->blocks, length, 1, 1}},
        {"logits", TUFF_STORE_F32, 3, {j->blocks, length, vocabulary, 1}},
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
    TUFF_TRY(tuff_watch_check(watch));
    int64_t blocks = tuff_dataset_blocks(data);
    if (data->task != &tuff_task_causal_lm)
        return tuff_fail(TUFF_UNSUPPORTED, "logits are written of texts in blocks, not of %s",
                         data->task->title);
    if (blocks == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the text has %lld tokens, fewer than one block of %lld",
                         (long long)data->tokens, (long long)data->block_size);
    job j = {.data = data, .blocks = blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS};
    tuff_status status = tuff_runs_open_frozen(&j.runs, model, device, data, adapter, watch);
    if (status == TUFF_OK) status = run(&j);
    if (status == TUFF_OK) status = save(&j, path);
    tuff_runs_close(&j.runs);
    tuff_free(j.logits);
    return status;
}
