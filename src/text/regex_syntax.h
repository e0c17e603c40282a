/* The patterns of tokenizer.json, which are Oniguruma's (Ruby's syntax), in the words of PCRE2. */
#ifndef TUFF_TEXT_REGEX_SYNTAX_H
#define TUFF_TEXT_REGEX_SYNTAX_H

#include <tuff/status.h>

#include "base/text.h"

/* Appends the pattern as PCRE2 must read it. TUFF_UNSUPPORTED, naming it, for what the two read differently
 * and Tuff does not translate, and for what makes a match begin before its search (\K, subroutines). */
TUFF_MUST_USE tuff_status tuff_regex_translate(tuff_view pattern, const char *where, tuff_buf *out);

#endif
