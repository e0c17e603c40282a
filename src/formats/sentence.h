/* What a sentence-transformers directory says beside its model: how token vectors become a text's vector. */
#ifndef TUFF_FORMATS_SENTENCE_H
#define TUFF_FORMATS_SENTENCE_H

#include <tuff/embed.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

/* A dense layer after pooling: y = activation(W x + b). */
typedef struct tuff_sentence_dense {
    const char *directory; /* holds model.safetensors with linear.weight [out, in] and linear.bias [out] */
    int64_t in, out;
    bool bias;
    bool tanh; /* else no activation */
} tuff_sentence_dense;

typedef struct tuff_sentence_prompt {
    const char *name, *text;
} tuff_sentence_prompt;

enum { TUFF_SENTENCE_DENSE_LIMIT = 8 };
typedef struct tuff_sentence {
    bool there;           /* modules.json is; else all below is empty */
    tuff_pooling pooling; /* TUFF_POOLING_MODEL: the files do not say */
    bool normalize;
    bool skip_prompt;   /* a prompt's tokens are left out of the pooling */
    bool lower;         /* texts are lower-cased before the tokenizer sees them */
    int64_t max_length; /* tokens; 0: the files do not say */
    tuff_sentence_dense dense[TUFF_SENTENCE_DENSE_LIMIT];
    size_t denses;
    tuff_sentence_prompt *prompts;
    size_t prompt_count;
    const char *default_prompt; /* a text; NULL: none */
    tuff_arena arena;           /* owns the above */
} tuff_sentence;

/* Reads modules.json of a directory and the files that it names. UNSUPPORTED for modules and poolings that
 * Tuff does not know, by name. */
TUFF_MUST_USE tuff_status tuff_sentence_read(const char *directory, tuff_sentence *out_sentence);
void tuff_sentence_free(tuff_sentence *sentence);

/* BAD_FORMAT for a module's path that leads out of the directory. */
TUFF_MUST_USE tuff_status tuff_sentence_check_path(const char *path, const char *where);

/* Appends the config.json of a Pooling module. */
void tuff_sentence_print_pooling(tuff_pooling pooling, int64_t dimensions, tuff_buf *out);

/* ---- sentence_write.c ---- */

/* A Transformer, its Pooling, and a Normalize or none. */
typedef struct tuff_sentence_layout {
    tuff_pooling pooling; /* not TUFF_POOLING_MODEL */
    bool normalize;
    int64_t dimensions, max_length;
    const tuff_sentence *prompts; /* whose prompts; NULL: none */
} tuff_sentence_layout;
/* Writes the files that say so into a model's directory. */
TUFF_MUST_USE tuff_status tuff_sentence_write(const tuff_sentence_layout *layout, const char *directory);
/* Copies the files that modules.json of a directory stands for, and that one, into another; nothing where
 * there is none. Modules that Tuff does not run are copied too. */
TUFF_MUST_USE tuff_status tuff_sentence_copy(const char *from, const char *to);

#endif
