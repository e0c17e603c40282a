/* A file that is embedded, inside: what its parts share. */
#ifndef TUFF_EMBED_FILE_H
#define TUFF_EMBED_FILE_H

#include "base/hash.h"
#include "base/part.h"
#include "base/text.h"
#include "base/watch.h"
#include "embed/embedder.h"
#include "formats/records.h"

enum { TUFF_EMBED_PIECE = 2048 }; /* records that are embedded together, at most; and chunks */

/* What a model makes of one text: its vector stands for model, adapter and pooling. */
enum { TUFF_PROBE_NUMBERS = 64 }; /* its first ones, which are kept */
typedef struct tuff_probe {
    float numbers[TUFF_PROBE_NUMBERS];
    int64_t count; /* 0: there is none */
} tuff_probe;
extern const char *const tuff_probe_text;

typedef struct tuff_embed_job {
    tuff_embedder *embedder;
    tuff_embed_file_params params;
    const char *input, *output;
    tuff_watched work;      /* in bytes of the input; its part is what is being embedded */
    tuff_watched_call call; /* which does that */
    tuff_records *records;
    tuff_part *part;
    tuff_part *table; /* of chunks, or where the tokens of records begin; NULL: a vector is a record's */
    char *tables[2];  /* where such tables lie */
    const char *table_path; /* the one that is written; NULL: none */
    char *progress;         /* path of the record of how far it is */
    bool needs_text;        /* an empty one has no vector */
    tuff_sha256 hash;       /* of the settings and of all records so far */
    tuff_sha256 texts_hash; /* of the records alone */
    char *origin;           /* path of what tells of which records the array is, and of which model */
    tuff_probe probe;
    uint64_t row_bytes, saved_ns;
    size_t piece_bytes, most_bytes; /* of texts, at most, as far as they are not cut off */
    uint64_t before, behind;        /* bytes of the input: where the piece at hand begins and ends */
    tuff_buf texts;                 /* of the piece at hand */
    size_t ends[TUFF_EMBED_PIECE];
    size_t n;
    void *rows; /* as they are written */
    float *vectors;
    tuff_embed_file_result result;
} tuff_embed_job;

/* ---- pieces: so many records that one takes a moment ---- */

/* Chooses the size of the first. */
void tuff_embed_pieces_begin(tuff_embed_job *job);
/* Reads the next one: job->n records, 0 at the end. A record that cannot be read or embedded ends it;
 * *out_status says so. */
void tuff_embed_piece_read(tuff_embed_job *job, tuff_status *out_status);
/* Appends its vectors. After a failure the files may hold some of them, which job->result does not count. */
TUFF_MUST_USE tuff_status tuff_embed_piece_run(tuff_embed_job *job);

/* ---- shared */

/* Whether the vectors of tokens stay apart. */
bool tuff_embed_job_apart(const tuff_embed_job *job);
/* Put before every text; NULL or "": nothing is. */
const char *tuff_embed_job_prompt(const tuff_embed_job *job);
tuff_chunk_params tuff_embed_job_chunking(const tuff_embed_job *job);
/* Adds to job->hash. */
void tuff_embed_job_hash(tuff_embed_job *job, const void *data, size_t size);
/* Adds a record to that and to job->texts_hash. */
void tuff_embed_job_hash_text(tuff_embed_job *job, tuff_view text);

/* ---- origin.c: beside an array, of which records its vectors are, and of which model */

/* None of an embedder that cuts texts off early. */
void tuff_probe_set(tuff_probe *probe, const tuff_embedder *embedder, const float *vector);
void tuff_origin_add(tuff_sha256 *hash, tuff_view text);
TUFF_MUST_USE tuff_status tuff_origin_write(const char *path, int64_t records, const tuff_sha256 *hash,
                                            const tuff_probe *probe);

#endif
