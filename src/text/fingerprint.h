/* What tells tokenizers apart that give different ids. */
#ifndef TUFF_TEXT_FINGERPRINT_H
#define TUFF_TEXT_FINGERPRINT_H

#include <tuff/tokenizer.h>

#include "base/hash.h"

/* Adds to a hash all that an encoding depends on. */
void tuff_tokenizer_hash(const tuff_tokenizer *tokenizer, tuff_sha256 *hash);

#endif
