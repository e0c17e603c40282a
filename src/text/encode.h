/* The working memory of a call that encodes: one text after another becomes pieces. */
#ifndef TUFF_TEXT_ENCODE_H
#define TUFF_TEXT_ENCODE_H

#include <tuff/tokenizer.h>

#include "text/tokenizer_impl.h"

/* {0} is empty and may be ended. */
typedef struct tuff_encoder {
    const tuff_tokenizer *tokenizer;
    tuff_view text;        /* valid UTF-8 */
    tuff_made repaired;    /* the text, where it was not */
    tuff_origins repairs;  /* where that comes from */
    tuff_view normalized;  /* the part of the text that is being cut, after the normalizers */
    size_t normalized_at;  /* where the part begins in the text */
    size_t room;           /* bytes that normalizing may still give */
    size_t words_room;     /* bytes that cutting may still give */
    uint64_t texts_before; /* bytes of the texts that are done */
    bool plain_special;
    tuff_bpe_scratch bpe;
    tuff_unigram_scratch unigram;
    tuff_split_run split;
    tuff_normalizing normalizing;
    tuff_pieces pieces; /* of all texts so far */
    tuff_pace pace;
} tuff_encoder;

/* `total`: bytes of all texts that will be encoded. The encoder must stay where it is. With `traced` each
 * piece has its span: the bytes of its text that it stands for, whole characters. */
TUFF_MUST_USE tuff_status tuff_encoder_begin(tuff_encoder *e, const tuff_tokenizer *tokenizer, unsigned flags,
                                             bool traced, const tuff_watch *watch, uint64_t total);
TUFF_MUST_USE tuff_status tuff_encoder_text(tuff_encoder *e, tuff_view text);
/* Says that all is done. */
TUFF_MUST_USE tuff_status tuff_encoder_finish(tuff_encoder *e);
void tuff_encoder_end(tuff_encoder *e);

#endif
