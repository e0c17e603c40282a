/* Vectors that are being trained, measured by search: an embedder on the trainer's own session. */
#include "train/tasks/embedding.h"
#include "train/trainer.h"

static tuff_status measure(tuff_trainer *t, const char *documents, const char *queries, const char *qrels,
                           const tuff_retrieval_params *params, tuff_retrieval_result *out_result)
{
    const tuff_runs *runs = &t->runs;
    if (t->data->task != &tuff_task_embedding)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "search measures embeddings, the training is of %s",
                         t->data->task->title);
    TUFF_TRY(tuff_trainer_need_store(t));
    tuff_embedder e = *tuff_embedding_data_of(t->data)->settings; /* which keeps what is in it */
    e.model = e.packed.model = t->model;
    e.device = e.packed.device = t->device;
    e.watch = runs->lm.watch;
    e.packed.top = tuff_embedder_top(&e);
    e.packed.phase = TUFF_PHASE_EMBED;
    tuff_trainer_exchange_averages(t); /* its programs are bound to them */
    tuff_status status = tuff_packed_open_on(&e.packed, runs->session, runs->lm.adapter,
                                             runs->lm.trains_model, runs->lm.rope_positions);
    if (status == TUFF_OK) status = tuff_measure_retrieval(&e, documents, queries, qrels, params, out_result);
    tuff_trainer_exchange_averages(t);
    tuff_packed_close(&e.packed);
    return status;
}

tuff_status tuff_trainer_measure_retrieval(tuff_trainer *t, const char *documents, const char *queries,
                                           const char *qrels, const tuff_retrieval_params *params,
                                           tuff_retrieval_result *out_result)
{
    TUFF_NEED(t);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, measure(t, documents, queries, qrels, params, out_result));
}
