/* Adapters with virtual tokens (adapters/virtual.c). */
#ifndef TUFF_ADAPTERS_VIRTUAL_H
#define TUFF_ADAPTERS_VIRTUAL_H

#include "adapters/adapter.h"

/* Learned positions end; so there must be some left for a text. `what` is the number's name. */
TUFF_MUST_USE tuff_status tuff_virtual_check(const tuff_adapter *adapter, int64_t tokens, const char *what);
/* The number in the files that are opened, checked. */
TUFF_MUST_USE tuff_status tuff_virtual_read(const tuff_adapter *adapter, int64_t *out_tokens);
/* Appends the keys of adapter_config.json from "inference_mode" to "peft_type", in the order of their names;
 * `heads` are those that the method means. */
void tuff_virtual_put(const tuff_adapter *adapter, const tuff_adapter_card *card, int64_t heads,
                      tuff_buf *out);

#endif
