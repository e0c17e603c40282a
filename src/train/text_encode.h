/* Texts of any size to token ids, on all cores, in memory that does not grow with the text. */
#ifndef TUFF_TRAIN_TEXT_ENCODE_H
#define TUFF_TRAIN_TEXT_ENCODE_H

#include <tuff/tokenizer.h>

#include "base/watch.h"
#include "text/parts.h"
#include "train/text_file.h"

/* Where ids go, in their order. */
typedef struct tuff_id_sink {
    tuff_status (*take)(void *user, const int32_t *ids, size_t count);
    void *user;
} tuff_id_sink;

typedef struct tuff_text_encoding {
    const tuff_tokenizer *tokenizer;
    const tuff_parts *parts; /* NULL: texts are encoded whole */
    unsigned threads;        /* 0: as many as this process may use */
    tuff_watched watched;    /* in bytes of all files */
    tuff_id_sink sink;
    uint64_t windows_lines; /* found so far */
} tuff_text_encoding;

/* Encodes the files one after the other, each by itself. */
TUFF_MUST_USE tuff_status tuff_text_encode(tuff_text_encoding *encoding, const tuff_text_files *files);

#endif
