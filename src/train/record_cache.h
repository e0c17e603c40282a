/* What files of records became, kept in the cache of token ids: found again by the bytes of the files, the
 * tokenizer and the settings that they were read with. It is made once they are read, and is looked at from
 * then on, so that what was read needs no memory. */
#ifndef TUFF_TRAIN_RECORD_CACHE_H
#define TUFF_TRAIN_RECORD_CACHE_H

#include "models/model.h"
#include "train/dataset.h"

/* Files of fewer bytes are read anew, and on one thread: it takes a moment, and little memory. Tests set it.
 */
extern uint64_t tuff_records_many;

/* Raised with each change of what is kept, and of what records become: their formats, the templates of
 * conversations, how texts are encoded. What other numbers were kept with is not found. */
enum { TUFF_RECORDS_FORMAT = 3 };

/* One thing of a data set after the other, on its way into the cache or out of it: who keeps something calls
 * the same functions for both. Errors stay. */
typedef struct tuff_kept {
    tuff_token_writer *to; /* NULL: it is read, */
    const char *at, *end;  /* here */
    tuff_status status;
} tuff_kept;
void tuff_kept_value(tuff_kept *kept, void *value, size_t size);
/* What is read is one of 0 to `most`. */
void tuff_kept_choice(tuff_kept *kept, unsigned *value, unsigned most);
void tuff_kept_flag(tuff_kept *kept, bool *value);
/* How many there are of something that is kept behind it: what is read is no more than the bytes there. */
void tuff_kept_count(tuff_kept *kept, size_t *count);
/* Unless it is right: what is kept is damaged. */
void tuff_kept_expect(tuff_kept *kept, bool right);
/* Whether starts of `n` things begin at 0, are in order, and end at `end`. */
bool tuff_kept_in_order(const int64_t *starts, size_t n, int64_t end);
/* A text of its own; NULL is one, too. */
void tuff_kept_text(tuff_kept *kept, char **text);
/* The first bytes of a column, so many; read, it is what the cache has. */
void tuff_kept_column(tuff_kept *kept, tuff_column *column, size_t bytes);

/* A data set that is being read. */
typedef struct tuff_record_cache tuff_record_cache;

/* Puts into an empty buffer what of the parameters and the model a data set depends on, beside its files and
 * the tokenizer. */
void tuff_record_settings(const tuff_model *model, const tuff_data_params *params, tuff_buf *out);
/* What comes of a template beside the messages. */
void tuff_record_settings_template(const tuff_chat_template *chat_template, tuff_buf *out);
/* Looks for what the files of a path, a file or a directory, became with these settings. *out is NULL where
 * they are too small to be kept, come through a pipe, or cannot be kept. */
TUFF_MUST_USE tuff_status tuff_record_cache_look(const char *path, const tuff_tokenizer *tokenizer,
                                                 tuff_view settings, unsigned threads,
                                                 const tuff_watch *watch, tuff_record_cache **out);
bool tuff_record_cache_found(const tuff_record_cache *cache);
/* Takes all that it has into a data set, of which the settings are there. What is damaged is removed, which
 * is logged: the records are to be read again, into another data set. */
TUFF_MUST_USE tuff_status tuff_record_cache_take(tuff_record_cache *cache, tuff_dataset *data);
/* Whether it was. */
bool tuff_record_cache_damaged(const tuff_record_cache *cache);
/* Keeps a data set that was read, and has it look at what is kept. Where it cannot be kept that is said, and
 * nothing changes. */
TUFF_MUST_USE tuff_status tuff_record_cache_keep(tuff_record_cache *cache, tuff_dataset *data);
void tuff_record_cache_free(tuff_record_cache **cache);

#endif
