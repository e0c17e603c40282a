/* Shared by the readers of tokenizer.json and of vocab.json. */
#ifndef TUFF_TEXT_READ_H
#define TUFF_TEXT_READ_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <tuff/status.h>

#include "text/tokenizer_impl.h"

enum { TUFF_ID_LIMIT = 1 << 24 };

/* As the public functions, with the end of text not guessed. config.data NULL: none. */
TUFF_MUST_USE tuff_status tuff_read_json_tokenizer(tuff_view json, tuff_view config, const char *where,
                                                   tuff_tokenizer **out_tokenizer);
TUFF_MUST_USE tuff_status tuff_read_vocab_tokenizer(tuff_view vocab, tuff_view merges, tuff_view config,
                                                    const char *where, tuff_tokenizer **out_tokenizer);

/* How many ids the tokens of `vocab` ({text: id}) and `added` ([{id, content}]) need. */
TUFF_MUST_USE tuff_status tuff_count_ids(const cJSON *vocab, const cJSON *added, const char *where,
                                         uint32_t *out_size);
TUFF_MUST_USE tuff_status tuff_read_vocab(tuff_tokenizer *tokenizer, const cJSON *vocab, const char *where);
TUFF_MUST_USE tuff_status tuff_read_added(tuff_tokenizer *tokenizer, const cJSON *added, const char *where);

/* Parts of tokenizer.json, null or absent ones included. */
TUFF_MUST_USE tuff_status tuff_read_normalizer(tuff_tokenizer *tokenizer, const cJSON *json,
                                               const char *where);
TUFF_MUST_USE tuff_status tuff_read_pre_tokenizer(tuff_tokenizer *tokenizer, const cJSON *json,
                                                  const char *where);
TUFF_MUST_USE tuff_status tuff_read_decoder(tuff_tokenizer *tokenizer, const cJSON *json, const char *where);
TUFF_MUST_USE tuff_status tuff_read_post_processor(tuff_tokenizer *tokenizer, const cJSON *json,
                                                   const char *where);

/* tokenizer_config.json: the ids of begin, end, unknown and padding, the chat template. */
TUFF_MUST_USE tuff_status tuff_read_config(tuff_tokenizer *tokenizer, const cJSON *config, const char *where);
/* bos_token_id, eos_token_id, pad_token_id of generation_config.json or config.json. */
TUFF_MUST_USE tuff_status tuff_read_model_ids(tuff_tokenizer *tokenizer, const cJSON *config,
                                              const char *where);

#endif
