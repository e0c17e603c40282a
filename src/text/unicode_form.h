/* Unicode's normal forms as the Hugging Face library makes them; see docs/decisions/006-unicode-tables.md. */
#ifndef TUFF_TEXT_UNICODE_FORM_H
#define TUFF_TEXT_UNICODE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/origins.h"
#include "text/pace.h"

/* Appends the text (valid UTF-8) in normal form C, D, KC or KD, until `out` has more than `limit` bytes. The
 * time is in proportion to the text, also for one character with a million marks. A character that others
 * were joined to stands for the first of them. */
TUFF_MUST_USE tuff_status tuff_unicode_form(tuff_view text, bool compose, bool compatible, size_t limit,
                                            tuff_pace *pace, tuff_made *out);

#endif
