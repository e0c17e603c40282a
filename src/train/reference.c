#include "train/reference.h"

#include <string.h>

#include "base/memory.h"
#include "runtime/program.h"
#include "train/trainer.h"

static int64_t numbers_of(const tuff_dataset *data)
{
    return data->task->reference ? data->task->reference(data) : 0;
}

static int64_t examples_of(const tuff_dataset *data)
{
    return data->task->count(data, false);
}

tuff_status tuff_references_want(tuff_references *all, const tuff_dataset *data)
{
    if (!numbers_of(data)) return TUFF_OK;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].data == data) return TUFF_OK;
    if (!tuff_grow((void **)&all->items, all->count, &all->capacity, sizeof *all->items))
        return tuff_fail_memory("a reference");
    all->items[all->count++] = (tuff_reference){.data = data};
    tuff_dataset_keep(data);
    return TUFF_OK;
}

/* The batch that begins with an example, in the order of the data. */
static tuff_batch batch_at(const tuff_dataset *data, int64_t first, int64_t most, uint32_t *examples)
{
    tuff_batch batch = {.data = data, .examples = examples, .most = most, .first = (uint64_t)first};
    while (batch.count < most && first + batch.count < examples_of(data)) {
        examples[batch.count] = (uint32_t)(first + batch.count);
        batch.count++;
    }
    return batch;
}

tuff_status tuff_reference_plan(tuff_runs *runs, const tuff_dataset *data, int64_t most,
                                tuff_program **out_program)
{
    tuff_task_shape largest = {0}, shape;
    int64_t labels;
    *out_program = NULL;
    if (!numbers_of(data)) return TUFF_OK;
    uint32_t *examples = tuff_alloc_array((size_t)most, sizeof *examples);
    if (!examples) return tuff_fail_memory("a reference");
    for (int64_t first = 0; first < examples_of(data); first += most) {
        const tuff_batch batch = batch_at(data, first, most, examples);
        tuff_task_size(&batch, &shape, &labels);
        if (shape.tokens > largest.tokens) largest = shape;
    }
    tuff_free(examples);
    return tuff_runs_plan(runs, TUFF_LM_REFERENCE, data, &largest, 0, out_program);
}

bool tuff_references_missing(const tuff_references *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (!all->items[i].numbers) return true;
    return false;
}

/* A batch on its way. */
typedef struct making {
    tuff_runs *runs;
    int64_t most, each; /* numbers of an example */
    uint32_t *examples;
    float *out; /* [each * most]: number k of example i of the batch is out[k * most + i] */
    float *numbers;
} making;

static tuff_status make_batch(making *m, const tuff_dataset *data, int64_t first)
{
    const tuff_batch batch = batch_at(data, first, m->most, m->examples);
    tuff_task_shape shape;
    tuff_program *program = NULL;
    int64_t labels;
    double none;
    tuff_task_size(&batch, &shape, &labels);
    TUFF_TRY(tuff_runs_program(m->runs, TUFF_LM_REFERENCE, data, &shape, 0, &program));
    TUFF_TRY(tuff_runs_batch(m->runs, program, &batch, &shape, false, &none));
    TUFF_TRY(tuff_program_output(program, "reference", m->out, (size_t)(m->each * m->most) * sizeof *m->out));
    for (int64_t i = 0; i < batch.count; i++)
        for (int64_t k = 0; k < m->each; k++)
            m->numbers[(first + i) * m->each + k] = m->out[k * m->most + i];
    return TUFF_OK;
}

static tuff_status make(making *m, const tuff_dataset *data)
{
    const int64_t all = examples_of(data);
    tuff_runs_begin(m->runs, TUFF_PHASE_EVALUATE, (uint64_t)((all + m->most - 1) / m->most));
    for (int64_t first = 0; first < all; first += m->most) {
        m->runs->work.done = (uint64_t)(first / m->most);
        TUFF_TRY(tuff_watched_tell(&m->runs->work));
        TUFF_TRY(make_batch(m, data, first));
    }
    return TUFF_OK;
}

static tuff_status make_one(tuff_reference *one, tuff_runs *runs, int64_t most)
{
    making m = {.runs = runs, .most = most, .each = numbers_of(one->data)};
    m.examples = tuff_alloc_array((size_t)most, sizeof *m.examples);
    m.out = tuff_alloc_array((size_t)(m.each * most), sizeof *m.out);
    m.numbers = tuff_alloc_array((size_t)(m.each * examples_of(one->data)), sizeof *m.numbers);
    tuff_status status =
        m.examples && m.out && m.numbers ? make(&m, one->data) : tuff_fail_memory("a reference");
    tuff_free(m.examples);
    tuff_free(m.out);
    if (status == TUFF_OK)
        one->numbers = m.numbers;
    else
        tuff_free(m.numbers);
    return status;
}

tuff_status tuff_references_make(tuff_references *all, tuff_runs *runs, int64_t most)
{
    for (size_t i = 0; i < all->count; i++)
        if (!all->items[i].numbers) TUFF_TRY(make_one(&all->items[i], runs, most));
    return TUFF_OK;
}

const float *tuff_references_find(const tuff_references *all, const tuff_dataset *data)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].data == data) return all->items[i].numbers;
    return NULL;
}

void tuff_references_free(tuff_references *all)
{
    for (size_t i = 0; i < all->count; i++) {
        tuff_free(all->items[i].numbers);
        tuff_dataset_let_go(all->items[i].data);
    }
    tuff_free(all->items);
    *all = (tuff_references){0};
}

tuff_status tuff_trainer_want_reference(tuff_trainer *t, const tuff_dataset *data)
{
    /* with an adapter the model is still there, without it, but for parameters that the adapter has whole,
     * which a training without a reference has put into their place; else it is there until it is trained */
    tuff_adapter *a = t->runs.lm.adapter;
    const bool wanted = numbers_of(data) && !tuff_references_find(&t->references, data);
    const bool replaced = a && a->whole_count && !a->keeps_own && t->store;
    if (wanted && a && !replaced) a->keeps_own = true;
    if (wanted && (a ? replaced : t->moved))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "what the model said of this data before it was trained cannot be told any more: plan "
            "evaluations before the first step");
    return tuff_references_want(&t->references, data);
}

tuff_status tuff_trainer_need_references(tuff_trainer *t)
{
    if (!tuff_references_missing(&t->references)) return TUFF_OK;
    return tuff_references_make(&t->references, &t->runs, t->params.per_device_train_batch_size);
}
