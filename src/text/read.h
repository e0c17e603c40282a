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
TUFF_MUST_USE tuff_status tuff_read_wordpiece_tokenizer(tuff_view vocab, tuff_view config, const char *where,
                                                        tuff_tokenizer **out_tokenizer);
TUFF_MUST_USE tuff_status tuff_read_sentencepiece_tokenizer(tuff_view model, tuff_view config,
                                                            const char *where,
                                                            tuff_tokenizer **out_tokenizer);

/* tiktoken's lines of base64 and rank; whether a text begins like one. */
TUFF_MUST_USE tuff_status tuff_read_tiktoken_tokenizer(tuff_view text, tuff_view config, const char *where,
                                                       tuff_tokenizer **out_tokenizer);
bool tuff_is_tiktoken(tuff_view text);

/* byT5's, which has no file beside tokenizer_config.json; whether that names its class. */
TUFF_MUST_USE tuff_status tuff_read_byte_tokenizer(tuff_view config, const char *where,
                                                   tuff_tokenizer **out_tokenizer);
bool tuff_is_byte_tokenizer(tuff_view config);

/* How many ids are needed by tokens whose place in a list is their id, those of `vocab` ({text: id}) and
 * those of `added` ([{id, content}]). Either tree may be NULL. */
TUFF_MUST_USE tuff_status tuff_count_ids(uint32_t listed, const cJSON *vocab, const cJSON *added,
                                         const char *where, uint32_t *out_size);
TUFF_MUST_USE tuff_status tuff_read_vocab(tuff_tokenizer *tokenizer, const cJSON *vocab, const char *where);
/* Leaves room for `more` added tokens. */
TUFF_MUST_USE tuff_status tuff_read_added(tuff_tokenizer *tokenizer, const cJSON *added, size_t more,
                                          const char *where);

/* Parts of tokenizer.json, null or absent ones included. */
TUFF_MUST_USE tuff_status tuff_read_normalizer(tuff_tokenizer *tokenizer, const cJSON *json,
                                               const char *where);
TUFF_MUST_USE tuff_status tuff_read_pre_tokenizer(tuff_tokenizer *tokenizer, const cJSON *json,
                                                  const char *where);
TUFF_MUST_USE tuff_status tuff_read_decoder(tuff_tokenizer *tokenizer, const cJSON *json, const char *where);
TUFF_MUST_USE tuff_status tuff_read_post_processor(tuff_tokenizer *tokenizer, const cJSON *json,
                                                   const char *where);

/* The spelling of a special token of tokenizer_config.json, a string or an object with a "content"; NULL: it
 * has none. It lies in the tree. */
TUFF_MUST_USE tuff_status tuff_config_token(const cJSON *config, const char *key, const char *where,
                                            const char **out);
/* added_tokens_decoder of tokenizer_config.json, {"151643": {"content": ...}}, as the added_tokens of
 * tokenizer.json. Destroy with cJSON_Delete, after an error too. */
TUFF_MUST_USE tuff_status tuff_config_added(const cJSON *config, const char *where, cJSON **out_added);
/* Appends tokenizer_config.json with the class that transformers takes where it names none: that of
 * config.json, or of the model's type there; nothing where it names one, or none is known. Views without
 * data: the files are not there. */
TUFF_MUST_USE tuff_status tuff_config_with_class(tuff_view config, tuff_view model, tuff_buf *out);
/* tokenizer_config.json: the ids of the special tokens, the chat template. */
TUFF_MUST_USE tuff_status tuff_read_config(tuff_tokenizer *tokenizer, const cJSON *config, const char *where);
/* bos_token_id, eos_token_id, pad_token_id of generation_config.json or config.json. */
TUFF_MUST_USE tuff_status tuff_read_model_ids(tuff_tokenizer *tokenizer, const cJSON *config,
                                              const char *where);

#endif
