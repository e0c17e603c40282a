/* How good what `tuff train` trains is: held-out data, and search with the vectors that are trained. */
#include <tuff/measure.h>

#include "cli/train.h"

static void put(tuff_eval_result *result, const char *name, double value)
{
    if (result->count >= TUFF_EVAL_FIGURES) return;
    tuff_eval_figure *figure = &result->figures[result->count++];
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->value = value;
}

static tuff_status search(const tuff_cli_train_options *o, tuff_trainer *trainer, tuff_eval_result *out)
{
    static const int ranks[] = TUFF_RETRIEVAL_RANK_LIST;
    tuff_retrieval_params params = TUFF_RETRIEVAL_PARAMS_INIT;
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT;
    params.id = o->id_field;
    params.text = o->data.text_field;
    params.query_prompt = o->query_prompt;
    params.document_prompt = o->document_prompt;
    tuff_status status =
        tuff_trainer_measure_retrieval(trainer, o->eval_docs, o->eval_queries, o->eval_qrels, &params, &r);
    if (status != TUFF_OK) return status;
    put(out, "ndcg@10", r.ndcg_at_10);
    put(out, "mrr@10", r.mrr_at_10);
    put(out, "map@100", r.map_at_100);
    for (int i = 0; i < TUFF_RETRIEVAL_RANKS; i++) {
        char name[24];
        snprintf(name, sizeof name, "recall@%d", ranks[i]);
        if (ranks[i] == 1 || ranks[i] >= 10) put(out, name, r.recall[i]);
    }
    return TUFF_OK;
}

tuff_status tuff_cli_train_measure(const tuff_cli_train_options *o, tuff_trainer *trainer,
                                   const tuff_dataset *validation, tuff_eval_result *out_result)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_status status = validation ? tuff_trainer_evaluate(trainer, validation, &result) : TUFF_OK;
    if (status == TUFF_OK && o->eval_docs) status = search(o, trainer, &result);
    if (status == TUFF_OK) *out_result = result;
    return status;
}
