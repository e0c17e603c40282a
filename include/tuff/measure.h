/* How good an embedder is: likeness of pairs of texts as people see it, and search.
 *
 * The figures are those of sentence-transformers' EmbeddingSimilarityEvaluator and
 * InformationRetrievalEvaluator. Vectors are compared by their cosine, whether they have length 1 or not. */
#ifndef TUFF_MEASURE_H
#define TUFF_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include <tuff/embed.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pairs of texts ---- */

typedef struct tuff_sts_params {
    size_t struct_size;                /* set by TUFF_STS_PARAMS_INIT */
    const char *sentence1, *sentence2; /* keys or columns of the texts; NULL: "sentence1", "sentence2" */
    const char *score;                 /* of how alike they are, on any scale; NULL: "score" */
    const char *prompt;                /* as in tuff_embed_params */
    const tuff_watch *watch;           /* TUFF_PHASE_EMBED, in texts; NULL: the embedder's */
} tuff_sts_params;
#define TUFF_STS_PARAMS_INIT                                  \
    {                                                         \
        sizeof(tuff_sts_params), NULL, NULL, NULL, NULL, NULL \
    }

typedef struct tuff_sts_result {
    size_t struct_size; /* set by TUFF_STS_RESULT_INIT */
    double spearman;    /* correlation of the ranks of cosines and scores, equal ones sharing their mean; NaN
                           when all cosines are equal or one is not finite */
    double pearson;     /* correlation of the cosines and scores themselves; NaN likewise */
    int64_t pairs;
    int64_t truncated; /* texts that were longer than the longest one */
} tuff_sts_result;
#define TUFF_STS_RESULT_INIT                \
    {                                       \
        sizeof(tuff_sts_result), 0, 0, 0, 0 \
    }

/* Semantic textual similarity of the records of a file: JSON (.jsonl, .json), CSV or TSV by its name. Errors:
 * TUFF_INVALID_ARGUMENT for a column that is missing or scores that do not differ, TUFF_BAD_FORMAT for a line
 * that is no record or whose score is no number, naming it. `params` may be NULL. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_measure_sts(tuff_embedder *embedder, const char *path,
                                                    const tuff_sts_params *params,
                                                    tuff_sts_result *out_result);

/* ---- search ---- */

typedef struct tuff_retrieval_params {
    size_t struct_size;       /* set by TUFF_RETRIEVAL_PARAMS_INIT */
    const char *id, *text;    /* keys or columns of documents and queries; NULL: "_id" and "text" */
    const char *query_prompt; /* put before every query; NULL: the model's prompt "query", if it has one, else
                                 none; "": none */
    const char *document_prompt; /* before every document; NULL: the model's prompt "document", "passage" or
                                    "corpus", the first that it has, else none; "": none */
    const tuff_watch *watch; /* TUFF_PHASE_EMBED, in bytes of each file; TUFF_PHASE_SEARCH, in vectors; NULL:
                                the embedder's */
} tuff_retrieval_params;
#define TUFF_RETRIEVAL_PARAMS_INIT                                  \
    {                                                               \
        sizeof(tuff_retrieval_params), NULL, NULL, NULL, NULL, NULL \
    }

/* The ranks that accuracy, precision and recall are told for. */
enum { TUFF_RETRIEVAL_RANKS = 5 };
#define TUFF_RETRIEVAL_RANK_LIST \
    {                            \
        1, 3, 5, 10, 100         \
    }

/* Means over the queries that have a relevant document. A query's hits are its 100 nearest documents, of
 * equally near ones the lower id (by bytes) first. */
typedef struct tuff_retrieval_result {
    size_t struct_size; /* set by TUFF_RETRIEVAL_RESULT_INIT */
    double ndcg_at_10;  /* discounted cumulative gain as a share of the best order's; a document is relevant
                           or it is not */
    double mrr_at_10;   /* 1 / rank of the first relevant one, 0 past 10 */
    double map_at_100;  /* average precision, over min(100, relevant documents) */
    /* At the ranks of TUFF_RETRIEVAL_RANK_LIST: whether a relevant one is among the first k; how many of
     * these are, over k; and over all relevant ones. */
    double accuracy[TUFF_RETRIEVAL_RANKS], precision[TUFF_RETRIEVAL_RANKS], recall[TUFF_RETRIEVAL_RANKS];
    int64_t queries; /* that count: they have a relevant document */
    int64_t documents;
    int64_t missing;   /* relevant documents, query by query, that the file of documents does not have */
    int64_t truncated; /* texts that were longer than the longest one */
} tuff_retrieval_result;
#define TUFF_RETRIEVAL_RESULT_INIT                                        \
    {                                                                     \
        sizeof(tuff_retrieval_result), 0, 0, 0, {0}, {0}, {0}, 0, 0, 0, 0 \
    }

/* Retrieval: `documents` and `queries` are files of records with ids (JSON lines, CSV or TSV by their names),
 * `qrels` says which documents are relevant to which query, a line each: TREC's "query iteration document
 * relevance", or "query document relevance" as BEIR has it, where a first line may name the columns; a
 * relevance above 0 counts. Every query is compared with every document. The vectors of all documents are
 * held in memory. Errors: TUFF_INVALID_ARGUMENT when no query is judged, no relevant document is there, or an
 * id is there twice; TUFF_BAD_FORMAT for a line that cannot be read, naming it. `params` may be NULL.
 * Thread-safe.
 */
TUFF_API TUFF_MUST_USE tuff_status tuff_measure_retrieval(tuff_embedder *embedder, const char *documents,
                                                          const char *queries, const char *qrels,
                                                          const tuff_retrieval_params *params,
                                                          tuff_retrieval_result *out_result);

#ifdef __cplusplus
}
#endif
#endif
