/* The text of a file of verdicts on kernel rows: a header that names Tuff's version, then a line each,
 * "held matmul tile 1f0c...:77ab..." or "wrong ...", with the key of the shaders that ran and, after the
 * colon, that of them with their constants; without it, that of any constants which no test has. */
#ifndef TUFF_RUNTIME_VERDICTS_H
#define TUFF_RUNTIME_VERDICTS_H

#include "base/text.h"
#include "runtime/device.h"

typedef void (*tuff_verdict_fn)(bool held, const char *row, size_t size, void *user);

/* False: of another version of Tuff, or damaged. */
bool tuff_verdicts_are_ours(const char *text, size_t size);
/* Calls fn for each whole line. A file of another version is no file; a damaged line is no line. */
void tuff_verdicts_read(const char *text, size_t size, tuff_verdict_fn fn, void *user);
/* Fills rows_tested, rows_wrong, wrong_rows. */
void tuff_verdicts_count(const char *text, size_t size, tuff_device_info *info);

void tuff_verdicts_begin(tuff_buf *out);
void tuff_verdicts_add(tuff_buf *out, bool held, const char *row, size_t size);

#endif
