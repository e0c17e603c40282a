#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "runtime/program.h"
#include "train/frozen.h"
#include "train/trainer.h"

/* One batch from block `first` on: rows past the end, and positions past the end of the last block, are
 * ignored. */
static void take_rows(const tuff_lm *lm, const tuff_dataset *data, int64_t first, int32_t *ids,
                      int32_t *labels)
{
    for (int64_t b = 0; b < lm->batch; b++) {
        int64_t at = (first + b) * lm->length;
        int64_t n = data->tokens - at;
        n = n < 0 ? 0 : n > lm->length ? lm->length : n;
        for (int64_t t = 0; t < lm->length; t++) {
            ids[b * lm->length + t] = t < n ? data->ids[at + t] : 0;
            labels[b * lm->length + t] = t + 1 < n ? data->ids[at + t + 1] : -100;
        }
    }
}

/* Blocks, the last one perhaps not full. */
static int64_t rows_of(const tuff_dataset *data)
{
    return (data->tokens + data->block_size - 1) / data->block_size;
}

static tuff_status run_batches(const tuff_lm *lm, tuff_program *program, const tuff_dataset *data,
                               int32_t *scratch, tuff_eval_result *out)
{
    int64_t n = lm->batch * lm->length;
    int32_t *ids = scratch, *labels = scratch + n, *index = scratch + 2 * n;
    int64_t rows = rows_of(data);
    uint64_t batches = (uint64_t)((rows + lm->batch - 1) / lm->batch);
    double sum = 0, predictions = 0;
    for (int64_t first = 0; first < rows; first += lm->batch) {
        float loss = 0, count = 0;
        TUFF_TRY(tuff_watch_step(lm->watch, TUFF_PHASE_EVALUATE, (uint64_t)(first / lm->batch), batches));
        take_rows(lm, data, first, ids, labels);
        TUFF_TRY(tuff_lm_set_batch(lm, program, ids, labels, index));
        TUFF_TRY(tuff_program_run_until(program, lm->watch ? lm->watch->cancel : NULL, false));
        TUFF_TRY(tuff_program_output(program, "loss", &loss, sizeof loss));
        TUFF_TRY(tuff_program_output(program, "count", &count, sizeof count));
        if (count == 0) continue; /* a last block of one token predicts nothing */
        sum += (double)loss * (double)count;
        predictions += (double)count;
    }
    out->loss = sum / predictions;
    out->perplexity = exp(out->loss);
    out->tokens = (int64_t)predictions;
    return TUFF_OK;
}

tuff_status tuff_evaluate_with(const tuff_lm *lm, tuff_program *program, const tuff_dataset *data,
                               tuff_eval_result *out_result)
{
    size_t n = 2 * (size_t)(lm->batch * lm->length) + tuff_lm_index_size(lm);
    int32_t *scratch = tuff_alloc_array(n, sizeof *scratch);
    if (!scratch) return tuff_fail_memory("an evaluation");
    tuff_status status = tuff_lm_set_positions(lm, program);
    if (status == TUFF_OK) status = run_batches(lm, program, data, scratch, out_result);
    tuff_free(scratch);
    return status;
}

tuff_status tuff_evaluate(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                          const tuff_eval_params *params, tuff_eval_result *out_result)
{
    TUFF_NEED(model);
    TUFF_NEED(device);
    TUFF_NEED(data);
    tuff_eval_params p = TUFF_EVAL_PARAMS_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    TUFF_TRY(TUFF_GIVE(out_result, &result, TUFF_EVAL_RESULT_INIT, tokens));
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_EVAL_PARAMS_INIT, watch));
    if (p.batch_size < 0 || p.batch_size > 65536)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the batch size is %lld, expected 1 to 65536",
                         (long long)p.batch_size);
    TUFF_TRY(tuff_watch_check(p.watch));
    int64_t batch = p.batch_size ? p.batch_size : 4, rows = rows_of(data);
    tuff_frozen frozen;
    TUFF_TRY(tuff_frozen_open(model, device, data, batch < rows ? batch : rows, p.adapter,
                              tuff_lm_eval_program, p.watch, &frozen));
    tuff_status status = tuff_evaluate_with(&frozen.lm, frozen.program, data, &result);
    tuff_frozen_close(&frozen);
    TUFF_TRY(status);
    return TUFF_GIVE(out_result, &result, TUFF_EVAL_RESULT_INIT, tokens);
}
