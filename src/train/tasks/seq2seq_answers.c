/* Whether a model gives the targets by itself: its greedy answers to all sources, a batch at a time. */
#include <string.h>

#include "base/memory.h"
#include "generate/batcher.h"
#include "train/tasks/seq2seq.h"

typedef struct work {
    const tuff_model *model;
    const tuff_dataset *data;
    tuff_batcher *batcher;
    const tuff_watch *watch;
    tuff_sequence **sequences; /* [most]: those of the batch at hand, from example `first` on */
    int64_t most, first, count;
    int64_t right, all;
} work;

static const int32_t *ids_of(const work *w, int64_t example, int which, size_t *out_n)
{
    const uint32_t s = (uint32_t)(2 * example + which);
    *out_n = (size_t)tuff_dataset_length(w->data, s);
    return w->data->ids + w->data->starts[s];
}

/* An answer may be spelled in more tokens than its target, yet not in so many. */
static int64_t most_tokens(size_t target)
{
    return 2 * (int64_t)target + 16;
}

static tuff_status add(work *w, int64_t i)
{
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    size_t n;
    ids_of(w, w->first + i, 1, &n);
    params.max_new_tokens = most_tokens(n);
    const int32_t *source = ids_of(w, w->first + i, 0, &n);
    return tuff_batcher_append_ids(w->batcher, source, n, &params, &w->sequences[i]);
}

/* The bytes between the white space around a text. */
static tuff_view trimmed(const char *text, size_t size)
{
    static const char space[] = " \t\r\n";
    while (size && memchr(space, text[size - 1], sizeof space - 1))
        size--;
    while (size && memchr(space, *text, sizeof space - 1)) {
        text++;
        size--;
    }
    return (tuff_view){text, size};
}

static tuff_status compare(work *w, int64_t i)
{
    const tuff_sequence *s = w->sequences[i];
    char *texts[2] = {NULL, NULL};
    size_t sizes[2], n;
    if (s->result.finish == TUFF_FINISH_FAILED)
        return tuff_fail(s->result.status, "%s", tuff_sequence_error(s));
    const int32_t *target = ids_of(w, w->first + i, 1, &n);
    tuff_status status = tuff_tokenizer_decode(w->model->tokenizer, target, n, true, &texts[0], &sizes[0]);
    if (status == TUFF_OK)
        status = tuff_tokenizer_decode(w->model->tokenizer, s->ids + s->given, s->count - (size_t)s->given,
                                       true, &texts[1], &sizes[1]);
    if (status == TUFF_OK)
        w->right += tuff_view_equal(trimmed(texts[0], sizes[0]), trimmed(texts[1], sizes[1]));
    tuff_free(texts[0]);
    tuff_free(texts[1]);
    return status;
}

static tuff_status run_batch(work *w)
{
    for (int64_t i = 0; i < w->count; i++)
        TUFF_TRY(add(w, i));
    while (tuff_batcher_left(w->batcher)) {
        tuff_watched whole = {.watch = w->watch,
                              .phase = TUFF_PHASE_GENERATE,
                              .unit = "examples",
                              .done = (uint64_t)w->first,
                              .total = (uint64_t)w->all};
        TUFF_TRY(tuff_watched_tell(&whole));
        TUFF_TRY(tuff_batcher_advance(w->batcher, &whole));
    }
    for (int64_t i = 0; i < w->count; i++) {
        TUFF_TRY(compare(w, i));
        tuff_batcher_drop(w->batcher, &w->sequences[i]);
    }
    return TUFF_OK;
}

static tuff_status run(work *w)
{
    w->sequences = tuff_alloc_array((size_t)w->most, sizeof(tuff_sequence *));
    if (!w->sequences) return tuff_fail_memory("an evaluation");
    for (; w->first < w->all; w->first += w->count) {
        w->count = w->all - w->first < w->most ? w->all - w->first : w->most;
        TUFF_TRY(run_batch(w));
    }
    return TUFF_OK;
}

tuff_status tuff_seq2seq_answer(const tuff_loaded *loaded, const tuff_dataset *data,
                                const tuff_eval_params *params, tuff_eval_result *out)
{
    enum { USUAL = 4, MOST = 1024 };
    tuff_batcher_params p = TUFF_BATCHER_PARAMS_INIT;
    const int64_t batch = params->batch_size ? params->batch_size : USUAL;
    p.max_sequences = batch < MOST ? batch : MOST;
    p.watch = params->watch;
    work w = {.model = loaded->model,
              .data = data,
              .watch = params->watch,
              .most = p.max_sequences,
              .all = data->task->count(data, false)};
    tuff_status status = tuff_batcher_create_loaded(loaded, &p, &w.batcher);
    if (status == TUFF_OK) status = run(&w);
    tuff_batcher_destroy(&w.batcher);
    tuff_free(w.sequences);
    if (status == TUFF_OK) tuff_eval_put(out, "exact_match", (double)w.right / (double)w.all);
    return status;
}
