/* tuff eval --task sts and --task retrieval */
#include <tuff/measure.h>

#include "cli/eval.h"

static void say_truncated(const tuff_cli_eval_options *o, int64_t truncated, const tuff_embedder *embedder)
{
    if (!truncated || o->common.quiet) return;
    tuff_cli_say("tuff: %s of the texts %s longer than %lld tokens and cut off there (--max-length)",
                 tuff_cli_count(truncated), truncated == 1 ? "was" : "were",
                 (long long)tuff_embedder_max_length(embedder));
}

static void json_figure(const char *name, double value, const char *after)
{
    printf("\"%s\": ", name);
    tuff_cli_json_number(stdout, value);
    fputs(after, stdout);
}

static tuff_status sts(const tuff_cli_eval_options *o, tuff_embedder *embedder)
{
    tuff_sts_params params = TUFF_STS_PARAMS_INIT;
    tuff_sts_result r = TUFF_STS_RESULT_INIT;
    params.sentence1 = o->sentence1;
    params.sentence2 = o->sentence2;
    params.score = o->score;
    params.prompt = o->prompt;
    tuff_status status = tuff_measure_sts(embedder, o->file, &params, &r);
    if (status != TUFF_OK) return status;
    tuff_cli_show_line("");
    say_truncated(o, r.truncated, embedder);
    if (o->common.json) {
        putchar('{');
        json_figure("spearman", r.spearman, ", ");
        json_figure("pearson", r.pearson, ", ");
        printf("\"pairs\": %lld}\n", (long long)r.pairs);
    } else {
        printf("spearman  %.4f\npearson   %.4f\npairs     %s\n", r.spearman, r.pearson,
               tuff_cli_count(r.pairs));
    }
    return TUFF_OK;
}

/* A figure at all ranks. */
static void print_ranks(const tuff_cli_eval_options *o, const char *name, const double *values)
{
    static const int ranks[] = TUFF_RETRIEVAL_RANK_LIST;
    for (int i = 0; i < TUFF_RETRIEVAL_RANKS; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s@%d", name, ranks[i]);
        if (o->common.json)
            json_figure(key, values[i], ", ");
        else
            printf("%-14s %.4f\n", key, values[i]);
    }
}

static void print_retrieval(const tuff_cli_eval_options *o, const tuff_retrieval_result *r)
{
    const struct {
        const char *name;
        double value;
    } firsts[] = {{"ndcg@10", r->ndcg_at_10}, {"mrr@10", r->mrr_at_10}, {"map@100", r->map_at_100}};
    if (o->common.json) putchar('{');
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        if (o->common.json)
            json_figure(firsts[i].name, firsts[i].value, ", ");
        else
            printf("%-14s %.4f\n", firsts[i].name, firsts[i].value);
    print_ranks(o, "recall", r->recall);
    print_ranks(o, "precision", r->precision);
    print_ranks(o, "accuracy", r->accuracy);
    if (o->common.json)
        printf("\"queries\": %lld, \"documents\": %lld, \"missing\": %lld}\n", (long long)r->queries,
               (long long)r->documents, (long long)r->missing);
    else
        printf("%-14s %s\n%-14s %s\n", "queries", tuff_cli_count(r->queries), "documents",
               tuff_cli_count(r->documents));
}

static tuff_status retrieval(const tuff_cli_eval_options *o, tuff_embedder *embedder)
{
    tuff_retrieval_params params = TUFF_RETRIEVAL_PARAMS_INIT;
    tuff_retrieval_result r = TUFF_RETRIEVAL_RESULT_INIT;
    params.id = o->id_field;
    params.text = o->data.text_field;
    params.query_prompt = o->query_prompt;
    params.document_prompt = o->document_prompt;
    tuff_status status = tuff_measure_retrieval(embedder, o->docs, o->queries, o->qrels, &params, &r);
    if (status != TUFF_OK) return status;
    tuff_cli_show_line("");
    say_truncated(o, r.truncated, embedder);
    if (r.missing && !o->common.quiet)
        tuff_cli_say("tuff: %s relevant document%s not in %s and count%s as not found",
                     tuff_cli_count(r.missing), r.missing == 1 ? " is" : "s are", o->docs,
                     r.missing == 1 ? "s" : "");
    print_retrieval(o, &r);
    return TUFF_OK;
}

int tuff_cli_eval_embeddings(const tuff_cli_eval_options *o, const tuff_model *model, tuff_device *device)
{
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.pooling = (tuff_pooling)o->pooling;
    params.dimensions = o->dimensions;
    params.max_length = o->data.max_length;
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    tuff_embedder *embedder = NULL;
    tuff_cli_catch_interrupt();
    tuff_status status = tuff_embedder_create(model, device, &params, &embedder);
    if (status == TUFF_OK) status = o->task == TUFF_CLI_EVAL_STS ? sts(o, embedder) : retrieval(o, embedder);
    tuff_embedder_destroy(&embedder);
    if (status == TUFF_OK) return TUFF_EXIT_OK;
    if (status != TUFF_CANCELLED || !tuff_cli_interrupted()) return tuff_cli_failed();
    tuff_cli_say("tuff: interrupted");
    return TUFF_EXIT_FAILED;
}
