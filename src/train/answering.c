/* What a model answers by itself: its greedy answers to all questions of a data set, a batch at a time. */
#include "train/answering.h"

#include <string.h>

#include "base/memory.h"
#include "generate/batcher.h"
#include "train/text_scores.h"

/* A question that the batcher works on. */
typedef struct pending {
    tuff_asked question;
    tuff_sequence *sequence;
} pending;

typedef struct work {
    const tuff_model *model;
    const tuff_dataset *data;
    tuff_batcher *batcher;
    const tuff_watch *watch;
    pending *batch; /* [most] */
    int64_t most, count, done, all;
    tuff_asked last; /* that was asked */
    tuff_text_scores scores;
} work;

tuff_status tuff_answer_check(const tuff_task *task)
{
    if (task->ask) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "answers that the model gives by itself (predict_with_generate) are measured of seq2seq "
                     "and sft, not of %s",
                     task->title);
}

/* An answer may be spelled in more tokens than the true one, yet not in so many. */
static int64_t most_tokens(size_t truth)
{
    return 2 * (int64_t)truth + 16;
}

/* The last special token of an answer: of a conversation the one that ends turns, which may not be among
 * those that end all texts. -1: there is none. */
static int32_t end_of(const tuff_tokenizer *tokenizer, const tuff_asked *q)
{
    for (size_t i = q->answer_count; i > 0; i--)
        if (tuff_tokenizer_token_type(tokenizer, q->answer[i - 1]) == TUFF_TOKEN_CONTROL)
            return q->answer[i - 1];
    return -1;
}

static tuff_status add(work *w, pending *a)
{
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    const tuff_asked *q = &a->question;
    const int32_t end = end_of(w->model->tokenizer, q);
    params.max_new_tokens = most_tokens(q->answer_count);
    params.eos_ids = &end;
    params.eos_id_count = end >= 0;
    return tuff_batcher_append_ids(w->batcher, q->ids, q->count, &params, &a->sequence);
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

static tuff_status compare(work *w, const pending *a)
{
    const tuff_sequence *s = a->sequence;
    const tuff_tokenizer *tokenizer = w->model->tokenizer;
    char *said = NULL, *truth = NULL;
    size_t said_size, truth_size;
    if (s->result.finish == TUFF_FINISH_FAILED)
        return tuff_fail(s->result.status, "%s", tuff_sequence_error(s));
    tuff_status status = tuff_tokenizer_decode(tokenizer, a->question.answer, a->question.answer_count, true,
                                               &truth, &truth_size);
    if (status == TUFF_OK)
        status = tuff_tokenizer_decode(tokenizer, s->ids + s->given, s->count - (size_t)s->given, true, &said,
                                       &said_size);
    if (status == TUFF_OK)
        status = tuff_text_scores_add(&w->scores, trimmed(said, said_size), trimmed(truth, truth_size));
    tuff_free(said);
    tuff_free(truth);
    return status;
}

/* The questions that are asked at once; none: all were. */
static tuff_status take_batch(work *w)
{
    bool there = true;
    for (w->count = 0; w->count < w->most; w->count++) {
        TUFF_TRY(w->data->task->ask(w->data, &w->last, &there));
        if (!there) break;
        w->batch[w->count] = (pending){.question = w->last};
        TUFF_TRY(add(w, &w->batch[w->count]));
    }
    return TUFF_OK;
}

static tuff_status run_batch(work *w)
{
    while (tuff_batcher_left(w->batcher)) {
        tuff_watched whole = {.watch = w->watch,
                              .phase = TUFF_PHASE_GENERATE,
                              .unit = "examples",
                              .done = (uint64_t)w->done,
                              .total = (uint64_t)w->all};
        TUFF_TRY(tuff_watched_tell(&whole));
        TUFF_TRY(tuff_batcher_advance(w->batcher, &whole));
    }
    for (int64_t i = 0; i < w->count; i++) {
        TUFF_TRY(compare(w, &w->batch[i]));
        tuff_batcher_drop(w->batcher, &w->batch[i].sequence);
    }
    w->done += w->count;
    return TUFF_OK;
}

static tuff_status count_questions(work *w)
{
    tuff_asked q = {0};
    for (bool there = true;; w->all++) {
        TUFF_TRY(w->data->task->ask(w->data, &q, &there));
        if (!there) break;
    }
    if (w->all) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "the data asks nothing: no answer has a token before it");
}

static tuff_status run(work *w)
{
    TUFF_TRY(count_questions(w));
    w->batch = tuff_alloc_array((size_t)w->most, sizeof *w->batch);
    if (!w->batch) return tuff_fail_memory("an evaluation");
    do {
        TUFF_TRY(take_batch(w));
        TUFF_TRY(run_batch(w));
    } while (w->count);
    return TUFF_OK;
}

tuff_status tuff_answer(const tuff_loaded *loaded, const tuff_dataset *data, const tuff_answering *how,
                        tuff_eval_result *out)
{
    enum { USUAL = 4, MOST = 1024 };
    tuff_batcher_params p = TUFF_BATCHER_PARAMS_INIT;
    const int64_t batch = how->batch ? how->batch : USUAL;
    p.max_sequences = batch < MOST ? batch : MOST;
    p.watch = how->watch;
    work w = {.model = loaded->model,
              .data = data,
              .watch = how->watch,
              .most = p.max_sequences,
              .scores = {.stem = how->stem}};
    TUFF_TRY(tuff_answer_check(data->task));
    tuff_status status = tuff_batcher_create_loaded(loaded, &p, &w.batcher);
    if (status == TUFF_OK) status = run(&w);
    tuff_batcher_destroy(&w.batcher);
    tuff_free(w.batch);
    if (status == TUFF_OK) tuff_text_scores_put(&w.scores, out);
    return status;
}
