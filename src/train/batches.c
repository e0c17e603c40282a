/* Which blocks a step sees, and a file of all of them, so that another trainer can be given the same batches.
 */
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "formats/npy.h"
#include "train/trainer.h"

/* Block `i` of the endless sequence: every epoch is a new order of all blocks. */
static const int32_t *block_at(tuff_trainer *t, int64_t i)
{
    int64_t epoch = i / t->blocks;
    if (epoch != t->order_epoch) {
        for (int64_t k = 0; k < t->blocks; k++)
            t->order[k] = (uint32_t)k;
        if (!t->params.no_shuffle)
            tuff_rng_shuffle(t->order, (uint32_t)t->blocks, t->params.seed, (uint32_t)epoch,
                             TUFF_STREAM_SHUFFLE);
        t->order_epoch = epoch;
    }
    return t->data->ids + (int64_t)t->order[i % t->blocks] * t->data->block_size;
}

void tuff_trainer_take_batch(tuff_trainer *t, int64_t first_block, int32_t *ids)
{
    for (int64_t b = 0; b < t->lm.batch; b++)
        memcpy(ids + b * t->lm.length, block_at(t, first_block + b), (size_t)t->lm.length * sizeof *ids);
}

static tuff_status next_batch(tuff_trainer *t, int32_t *out_ids, size_t count)
{
    TUFF_NEED(t);
    TUFF_NEED(out_ids);
    int64_t micro = t->params.gradient_accumulation_steps, n = t->lm.batch * t->lm.length;
    if (count != (size_t)(micro * n))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a step has %lld ids, room for %zu was given",
                         (long long)(micro * n), count);
    for (int64_t i = 0; i < micro; i++)
        tuff_trainer_take_batch(t, t->next_block + i * t->lm.batch, out_ids + i * n);
    return TUFF_OK;
}

tuff_status tuff_trainer_next_batch(tuff_trainer *t, int32_t *out_ids, size_t count)
{
    TUFF_NEED(t);
    TUFF_NEED(out_ids);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, next_batch(t, out_ids, count));
}

static tuff_status append_steps(tuff_trainer *t, int32_t *ids, int64_t blocks, tuff_npy_writer *writer)
{
    size_t n = (size_t)(blocks * t->lm.length);
    for (int64_t step = 0; step < t->total_steps; step++) {
        t->next_block = step * blocks;
        TUFF_TRY(next_batch(t, ids, n));
        TUFF_TRY(tuff_npy_append(writer, ids, n));
    }
    return TUFF_OK;
}

static tuff_status dump_batches(tuff_trainer *t, const char *path)
{
    TUFF_NEED(t);
    TUFF_NEED(path);
    int64_t micro = t->params.gradient_accumulation_steps, next = t->next_block, rows = 0;
    if (__builtin_mul_overflow(t->total_steps, micro, &rows))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %lld steps are too many to be written", path,
                         (long long)t->total_steps);
    const int64_t shape[] = {rows, t->lm.batch, t->lm.length};
    int32_t *ids = tuff_alloc_array((size_t)(micro * t->lm.batch * t->lm.length), sizeof *ids);
    if (!ids) return tuff_fail_memory("a batch of token ids");
    tuff_npy_writer *writer = NULL;
    tuff_status status = tuff_npy_create(path, 3, shape, &writer);
    if (status == TUFF_OK) {
        status = append_steps(t, ids, micro * t->lm.batch, writer);
        if (status == TUFF_OK)
            status = tuff_npy_commit(&writer);
        else
            tuff_npy_abort(&writer);
    }
    t->next_block = next;
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
