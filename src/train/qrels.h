/* Which documents are relevant to which queries. */
#ifndef TUFF_TRAIN_QRELS_H
#define TUFF_TRAIN_QRELS_H

#include <stdint.h>
#include <tuff/status.h>

#include "base/status.h"
#include "base/text.h"

/* A relevant document of a query, by their numbers. */
typedef struct tuff_qrel {
    uint32_t query, document;
} tuff_qrel;

/* Ids have numbers in the order of their first line with a relevance above 0. */
typedef struct tuff_qrels {
    tuff_map queries, documents; /* id to number */
    tuff_qrel *items;            /* by query, then by document, none twice */
    size_t count, room;
    size_t *begins; /* [queries.count + 1]: where a query's items begin */
} tuff_qrels;

/* Reads lines "query iteration document relevance" or "query document relevance", blanks between; a first
 * line of names is passed over. Errors name the line. */
TUFF_MUST_USE tuff_status tuff_qrels_read(const char *path, tuff_qrels *out_qrels);
void tuff_qrels_free(tuff_qrels *qrels);

bool tuff_qrels_relevant(const tuff_qrels *qrels, uint32_t query, uint32_t document);
/* How many documents are relevant to a query. */
size_t tuff_qrels_of(const tuff_qrels *qrels, uint32_t query);

#endif
