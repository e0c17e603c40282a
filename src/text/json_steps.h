/* Shared by the readers of the components of tokenizer.json. */
#ifndef TUFF_TEXT_JSON_STEPS_H
#define TUFF_TEXT_JSON_STEPS_H

#include "text/read.h"

/* Reads one component of this type into the tokenizer. */
typedef tuff_status (*tuff_component_fn)(tuff_tokenizer *t, const cJSON *json, const char *type,
                                         const char *where);

/* A component or, in a "Sequence", each of those under `list`. */
TUFF_MUST_USE tuff_status tuff_json_each(tuff_tokenizer *t, const cJSON *json, const char *what,
                                         const char *list, const char *where, tuff_component_fn fn);
TUFF_MUST_USE tuff_status tuff_json_unsupported(const char *what, const char *type, const char *where);
/* The pattern of a component, {"String": "x"} or {"Regex": "x"}, as a regular expression. */
TUFF_MUST_USE tuff_status tuff_json_pattern(const cJSON *json, const char *where, tuff_buf *out);
TUFF_MUST_USE tuff_status tuff_json_need_text(const cJSON *json, const char *key, const char *type,
                                              const char *where, const char **out);
/* "Metaspace" in both the old spelling (add_prefix_space) and the new (prepend_scheme, split). */
TUFF_MUST_USE tuff_status tuff_json_metaspace(const cJSON *json, const char *where, const char **out_text,
                                              tuff_prepend *out, bool *out_split);

/* The model's kind, as it says or as what it holds tells; its "vocab" is an object or, of a Unigram, a list.
 */
TUFF_MUST_USE tuff_status tuff_json_model_kind(const cJSON *model, const char *where, tuff_word_model *out);
/* A Unigram's tokens, [["text", score], ...]; there is room for them. */
TUFF_MUST_USE tuff_status tuff_json_scored_vocab(tuff_tokenizer *t, const cJSON *vocab, const char *where);
/* All else of a model whose tokens are there. */
TUFF_MUST_USE tuff_status tuff_json_model(tuff_tokenizer *t, const cJSON *model, const char *where);

#endif
