/* Jinja, the language of chat templates, as transformers sets it up: trim_blocks, lstrip_blocks, a sandbox in
 * which nothing is changed, break and continue, `generation` blocks. Templates are hostile: what one may take
 * of steps, memory and text is bounded. */
#ifndef TUFF_JINJA_JINJA_H
#define TUFF_JINJA_JINJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"
#include "jinja/value.h"

/* Immutable once parsed: any number of threads may run it at once. */
typedef struct tuff_jinja_template tuff_jinja_template;
/* TUFF_BAD_FORMAT, with the line, for what is no template; TUFF_UNSUPPORTED for tags that read other ones. */
TUFF_MUST_USE tuff_status tuff_jinja_parse(const char *text, size_t size, tuff_jinja_template **out);
void tuff_jinja_destroy(tuff_jinja_template **template);
/* Whether it has generation blocks. */
bool tuff_jinja_marks(const tuff_jinja_template *template);

typedef struct tuff_jinja_limits {
    uint64_t steps;  /* nodes evaluated; 64 bytes of text count as one, too */
    uint64_t memory; /* bytes that values take */
    uint64_t output; /* bytes printed, those of macros and blocks included */
} tuff_jinja_limits;
#define TUFF_JINJA_LIMITS                         \
    {                                             \
        100 * 1000 * 1000, 256u << 20, 256u << 20 \
    }

/* A run renders once: set its variables, then render. */
TUFF_MUST_USE tuff_status tuff_jinja_run_create(const tuff_jinja_template *template,
                                                const tuff_jinja_limits *limits, tuff_jinja_run **out);
void tuff_jinja_run_destroy(tuff_jinja_run **run);
/* JSON as a value of the run; `where` names it in errors. TUFF_BAD_FORMAT: it is none, an object has a key
 * twice, or a whole number does not fit 64 bits. */
TUFF_MUST_USE tuff_status tuff_jinja_read_json(tuff_jinja_run *run, tuff_view json, const char *where,
                                               tuff_jinja_value *out);
/* Replaces a value that was set before. A name that the template does not have is passed over. */
void tuff_jinja_set(tuff_jinja_run *run, tuff_view name, tuff_jinja_value value);
/* What strftime_now takes for the present, seconds since 1970; without it the present in local time. */
void tuff_jinja_set_time(tuff_jinja_run *run, int64_t seconds);

/* Bytes [start, end) that a generation block printed. */
typedef struct tuff_jinja_span {
    size_t start, end;
} tuff_jinja_span;
/* The text, valid as long as the run. Errors: TUFF_BAD_FORMAT, with the line; TUFF_INVALID_ARGUMENT where the
 * template refuses by raise_exception; TUFF_UNSUPPORTED for filters, tests and methods that there are not. */
TUFF_MUST_USE tuff_status tuff_jinja_render(tuff_jinja_run *run, tuff_view *out_text,
                                            const tuff_jinja_span **out_spans, size_t *out_count);

/* Pairs by their keys. */
bool tuff_jinja_sort_dict(tuff_jinja_run *run, const tuff_jinja_dict *dict, tuff_jinja_value *out);

/* Values in and out (json.c). json.dumps: `indent` is what lines begin with, {NULL, 0}: all in one line. */
typedef struct tuff_jinja_json_style {
    tuff_view indent, comma, colon;
    bool lines, ascii, sorted;
} tuff_jinja_json_style;
bool tuff_jinja_write_json(tuff_jinja_run *run, const tuff_jinja_value *value,
                           const tuff_jinja_json_style *style, tuff_buf *out);

#endif
