/* What cJSON lets through: a strict look at hostile bytes before they are parsed. */
#ifndef TUFF_BASE_JSON_SCAN_H
#define TUFF_BASE_JSON_SCAN_H

#include <stddef.h>

/* Deeper files than this are refused; real ones nest fewer than ten levels. */
enum { TUFF_JSON_DEPTH = 64 };

/* Checks nesting, strings (UTF-8, escapes, control characters), numbers and stray bytes. NULL when clean,
 * else what is wrong, with the byte it is wrong at. The grammar of commas and colons is left to the parser.
 */
const char *tuff_json_scan(const char *data, size_t size, size_t *out_offset);

#endif
