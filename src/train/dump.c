/* The ids of every micro-batch of a run, for another trainer to be fed the same. */
#include "base/memory.h"
#include "formats/npy.h"
#include "train/trainer.h"

static tuff_status append_steps(tuff_trainer *t, int32_t *ids, int64_t blocks, tuff_npy_writer *writer)
{
    size_t n = (size_t)(blocks * t->lm.length);
    for (int64_t step = 0; step < t->total_steps; step++) {
        t->next_block = step * blocks;
        TUFF_TRY(tuff_trainer_next_batch(t, ids, n));
        TUFF_TRY(tuff_npy_append(writer, ids, n));
    }
    return TUFF_OK;
}

tuff_status tuff_trainer_dump_batches(tuff_trainer *t, const char *path)
{
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
