/* Base64 (RFC 4648, section 4). */
#ifndef TUFF_BASE_BASE64_H
#define TUFF_BASE_BASE64_H

#include <stdbool.h>

#include "base/text.h"

/* Appends what the text stands for; false when it is not base64, and then `out` has some of it. */
bool tuff_base64_decode(tuff_view text, tuff_buf *out);
void tuff_base64_encode(tuff_view bytes, tuff_buf *out);

#endif
