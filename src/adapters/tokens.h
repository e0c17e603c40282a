/* Rows of the tokens' table that an adapter has of its own, in place of the model's: PEFT's
 * trainable_token_indices beside a LoRA, and its type TRAINABLE_TOKENS. Where the head is tied to the table
 * it has these rows too, unless it was given others; rows of a head that is no table are given by its name.
 */
#ifndef TUFF_ADAPTERS_TOKENS_H
#define TUFF_ADAPTERS_TOKENS_H

#include "adapters/adapter.h"

/* Lists the rows that a new adapter trains, those of the model's new tokens among them; `text` may be NULL:
 * "3,7" of the table, or as JSON, a list of ids or an object of lists by module, {"embed_tokens": [3],
 * "lm_head": [3]}. */
TUFF_MUST_USE tuff_status tuff_tokens_ask(tuff_adapter *adapter, const char *text);
/* The same of a file's list or object, whose ids are rows of its tensors. `key` is for error texts. */
TUFF_MUST_USE tuff_status tuff_tokens_open(tuff_adapter *adapter, const char *key, const cJSON *value);
/* Has nets and merges see them, once they are listed. UNSUPPORTED where the method changes the same matrix.
 */
TUFF_MUST_USE tuff_status tuff_tokens_settle(tuff_adapter *adapter);
/* Those of one of the adapter's tensors, or of its fixed ones; NULL: it is another's. */
const tuff_token_rows *tuff_tokens_of(const tuff_adapter *adapter, size_t index);
const tuff_token_rows *tuff_tokens_of_fixed(const tuff_adapter *adapter, size_t index);
/* What a new adapter's rows begin as: the model's. */
TUFF_MUST_USE tuff_status tuff_tokens_start(const tuff_adapter *adapter, const tuff_token_rows *rows,
                                            float *values);
/* The fixed tensor [tokens, rows]: 1 where a token has that row. */
void tuff_tokens_fill(const tuff_token_rows *rows, int64_t columns, float *values);
/* Whether they change a parameter; and its rows [begin, end) with them. */
bool tuff_tokens_change(const tuff_adapter *adapter, const tuff_param *param);
TUFF_MUST_USE tuff_status tuff_tokens_merge(const tuff_adapter *adapter, const tuff_param *param,
                                            int64_t begin, int64_t end, float *values);
/* As configs of PEFT have it: a list, or an object by module. */
void tuff_tokens_print(const tuff_adapter *adapter, tuff_buf *out);

#endif
