/* Whether what a model's metadata says is what Tuff runs: the lists of keys, hf_keys.def and gguf_keys.def.
 */
#ifndef TUFF_MODELS_KEYS_H
#define TUFF_MODELS_KEYS_H

#include "models/arch.h"

typedef enum tuff_key_verdict {
    TUFF_KEY_UNKNOWN, /* in no list */
    TUFF_KEY_READ,
    TUFF_KEY_HARMLESS,
    TUFF_KEY_OFF,
    TUFF_KEY_ON,
    TUFF_KEY_ONE
} tuff_key_verdict;

/* Of a key of config.json, for a model_type; of a GGUF key without its "<architecture>.". */
tuff_key_verdict tuff_hf_key(const char *model_type, const char *key);
tuff_key_verdict tuff_gguf_key(const char *architecture, const char *key);

/* UNSUPPORTED, naming the key and its value, when a key says something that Tuff does not do, or when the
 * weights are stored in a way that Tuff does not read. Keys in no list are named in one message of level
 * debug. */
TUFF_MUST_USE tuff_status tuff_hf_keys_check(const cJSON *json, const char *where, const char *model_type);
TUFF_MUST_USE tuff_status tuff_gguf_keys_check(const tuff_gguf *gguf, const char *architecture);
/* UNSUPPORTED unless layer_types, where it is there, says of all layers what the config makes of them. */
TUFF_MUST_USE tuff_status tuff_hf_layer_types_check(const cJSON *json, const char *where,
                                                    const tuff_config *config);

/* Whether a list of the .def files, words with blanks between, has the word; "*" has all. */
bool tuff_has_word(const char *words, const char *word);

#endif
