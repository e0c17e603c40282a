/* Classes of characters as the Hugging Face library has them; see docs/decisions/006-unicode-tables.md. */
#ifndef TUFF_TEXT_UNICODE_CLASS_H
#define TUFF_TEXT_UNICODE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

bool tuff_is_space(uint32_t codepoint); /* Unicode's White_Space */
bool tuff_is_punctuation(uint32_t codepoint);
bool tuff_is_other(uint32_t codepoint);      /* controls, formats, private use */
bool tuff_is_nonspacing(uint32_t codepoint); /* marks that BERT strips */
bool tuff_is_mark(uint32_t codepoint);       /* marks that "StripAccents" strips */
bool tuff_is_chinese(uint32_t codepoint);    /* ideographs, as BERT counts them */

#endif
