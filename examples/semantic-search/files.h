/* The paragraphs of a folder's text files, and the vectors that earlier runs made of them. */
#ifndef SEMANTIC_SEARCH_FILES_H
#define SEMANTIC_SEARCH_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct paragraph {
    const char *path; /* below the folder */
    size_t line;      /* where it begins, from 1 */
    const char *text;
    size_t size;
    uint64_t hash; /* of its text */
} paragraph;

typedef struct paragraphs {
    paragraph *items;
    size_t count, capacity;
    char **kept; /* paths and whole files, which the items point into */
    size_t kept_count, kept_capacity;
} paragraphs;

/* Reads .txt and .md files below `folder`, without hidden ones; a paragraph ends at an empty line, a long one
 * is several pieces. False: errno says why. Free with paragraphs_free in either case. */
bool paragraphs_read(const char *folder, paragraphs *out);
void paragraphs_free(paragraphs *texts);

uint64_t hash_of(const char *text, size_t size);

/* Vectors by the hash of their paragraph, as a file holds them; empty when it is not there, or of another
 * model, which a number tells apart. */
typedef struct known_vectors {
    char *data;
    size_t count, row;
} known_vectors;
known_vectors known_open(const char *path, int64_t dimensions, uint64_t model);
void known_close(known_vectors *known);
const float *known_find(const known_vectors *known, uint64_t hash);
/* Replaces the file whole. False: errno says why. */
bool known_save(const char *path, const paragraphs *texts, const float *vectors, int64_t dimensions,
                uint64_t model);

#endif
