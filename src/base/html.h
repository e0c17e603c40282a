/* Pages of HTML that stand alone: no script, nothing from elsewhere, light and dark, on screens of any width
 * and on paper. */
#ifndef TUFF_BASE_HTML_H
#define TUFF_BASE_HTML_H

#include <stdint.h>

#include "base/text.h"

/* Begins a page: its title, the look that all have, and `style`, what this one has beside it. */
void tuff_html_begin(tuff_buf *out, const char *title, const char *style);
void tuff_html_end(tuff_buf *out);
/* Escapes &, <, >, " and '; characters that HTML and XML do not have, and bytes that are not UTF-8, become
 * U+FFFD. */
void tuff_html_escape(tuff_buf *out, const char *text, size_t size);
/* A number with commas: "1,234,567". */
void tuff_html_count(tuff_buf *out, int64_t n);
/* A term and what is said of it, of a list <dl>; nothing where that is empty. */
void tuff_html_fact(tuff_buf *out, const char *name, const char *value);

#endif
