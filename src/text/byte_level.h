/* The byte-level alphabet of GPT-2: each of the 256 bytes is written as a printable character. */
#ifndef TUFF_TEXT_BYTE_LEVEL_H
#define TUFF_TEXT_BYTE_LEVEL_H

#include <stdint.h>

#include "base/text.h"
#include "text/origins.h"
#include "text/pace.h"

/* The character that stands for a byte: itself where printable, else U+0100 and up. */
uint32_t tuff_byte_character(uint8_t byte);
/* Appends each byte of the text (valid UTF-8) as its character. */
TUFF_MUST_USE tuff_status tuff_bytes_to_characters(tuff_view text, tuff_pace *pace, tuff_made *out);
/* Appends the bytes the characters stand for; a text with any other character is appended as it is. */
void tuff_characters_to_bytes(tuff_view text, tuff_buf *out);

#endif
