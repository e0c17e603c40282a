/* Which blocks a step sees, and a file of all of them, so that another trainer can be given the same batches.
 */
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "formats/npy.h"
#include "train/mixture.h"
#include "train/trainer.h"

/* Example `i` of an epoch: each is a new order of all of them. */
static uint32_t example_at(tuff_trainer *t, int64_t epoch, int64_t i)
{
    if (epoch != t->order_epoch && t->data->mixture) {
        tuff_mixture_order(t->data->mixture, t->params.seed, epoch, !t->params.no_shuffle, t->mixing,
                           t->order);
        t->order_epoch = epoch;
    }
    if (epoch != t->order_epoch) {
        for (int64_t k = 0; k < t->blocks; k++)
            t->order[k] = (uint32_t)k;
        if (!t->params.no_shuffle)
            tuff_rng_shuffle(t->order, (uint32_t)t->blocks, t->params.seed, (uint32_t)epoch,
                             TUFF_STREAM_SHUFFLE);
        t->order_epoch = epoch;
    }
    return t->order[i];
}

int64_t tuff_trainer_epoch_steps(const tuff_trainer *t)
{
    int64_t step = t->params.per_device_train_batch_size * t->params.gradient_accumulation_steps;
    return t->data->block_size ? 0 : (t->blocks + step - 1) / step;
}

/* Blocks of a text are one endless sequence. Records are not: an epoch ends with what is left of it, as
 * transformers has it (dataloader_drop_last is false), so that no batch has a record twice. */
tuff_batch tuff_trainer_take_batch(tuff_trainer *t, int64_t step, int64_t micro)
{
    int64_t most = t->params.per_device_train_batch_size, steps = tuff_trainer_epoch_steps(t), n = most;
    int64_t begin =
        (steps ? step % steps : step) * t->params.gradient_accumulation_steps * most + micro * most;
    int64_t first = begin;
    if (steps) {
        n = begin >= t->blocks ? 0 : t->blocks - begin < most ? t->blocks - begin : most;
        first += step / steps * t->blocks;
    }
    for (int64_t i = first; i < first + n; i++)
        t->examples[i - first] = example_at(t, i / t->blocks, i % t->blocks);
    return (tuff_batch){.data = t->data,
                        .examples = t->examples,
                        .count = n,
                        .most = most,
                        .seed = t->params.seed,
                        .first = (uint64_t)first,
                        .virtual_tokens = tuff_adapter_virtual_tokens(t->runs.lm.adapter),
                        .silent = tuff_adapter_silent(t->runs.lm.adapter),
                        .reference = tuff_references_find(&t->references, t->data)};
}

static tuff_status check_blocks(const tuff_trainer *t)
{
    if (t->data->task == &tuff_task_causal_lm) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "batches are given out of texts in blocks, not of %s",
                     t->data->task->title);
}

static int64_t batch_tokens(const tuff_trainer *t)
{
    return t->params.per_device_train_batch_size * t->data->block_size;
}

static tuff_status batches_of(tuff_trainer *t, int64_t step, int32_t *out_ids, size_t count)
{
    TUFF_NEED(t);
    TUFF_NEED(out_ids);
    TUFF_TRY(check_blocks(t));
    int64_t micro = t->params.gradient_accumulation_steps, n = batch_tokens(t), length = t->data->block_size;
    if (count != (size_t)(micro * n))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a step has %lld ids, room for %zu was given",
                         (long long)(micro * n), count);
    for (int64_t i = 0; i < micro; i++) {
        const tuff_batch batch = tuff_trainer_take_batch(t, step, i);
        for (int64_t b = 0; b < batch.count; b++)
            memcpy(out_ids + i * n + b * length,
                   t->data->ids + tuff_dataset_block_begin(t->data, batch.examples[b]),
                   (size_t)length * sizeof *out_ids);
    }
    return TUFF_OK;
}

tuff_status tuff_trainer_next_batch(tuff_trainer *t, int32_t *out_ids, size_t count)
{
    TUFF_NEED(t);
    TUFF_NEED(out_ids);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, batches_of(t, t->step, out_ids, count));
}

static tuff_status append_steps(tuff_trainer *t, int32_t *ids, int64_t blocks, tuff_npy_writer *writer)
{
    size_t n = (size_t)(blocks * t->data->block_size);
    for (int64_t step = 0; step < t->total_steps; step++) {
        TUFF_TRY(batches_of(t, step, ids, n));
        TUFF_TRY(tuff_npy_append(writer, ids, n));
    }
    return TUFF_OK;
}

static tuff_status dump_batches(tuff_trainer *t, const char *path)
{
    TUFF_NEED(t);
    TUFF_NEED(path);
    TUFF_TRY(check_blocks(t));
    int64_t micro = t->params.gradient_accumulation_steps, rows = 0;
    int64_t batch = t->params.per_device_train_batch_size, length = t->data->block_size;
    if (__builtin_mul_overflow(t->total_steps, micro, &rows))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %lld steps are too many to be written", path,
                         (long long)t->total_steps);
    const int64_t shape[] = {rows, batch, length};
    int32_t *ids = tuff_alloc_array((size_t)(micro * batch * length), sizeof *ids);
    if (!ids) return tuff_fail_memory("a batch of token ids");
    tuff_npy_writer *writer = NULL;
    tuff_status status = tuff_npy_create(path, 3, shape, &writer);
    if (status == TUFF_OK) {
        status = append_steps(t, ids, micro * batch, writer);
        if (status == TUFF_OK)
            status = tuff_npy_commit(&writer);
        else
            tuff_npy_abort(&writer);
    }
    tuff_free(ids);
    return status;
}

tuff_status tuff_trainer_dump_batches(tuff_trainer *t, const char *path)
{
    TUFF_NEED(t);
    TUFF_NEED(path);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, dump_batches(t, path));
}
