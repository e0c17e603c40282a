/* JSON over cJSON: depth-limited parsing of (bytes, size), typed getters whose errors name the file and the
 * key. */
#ifndef TUFF_BASE_JSON_H
#define TUFF_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"

/* Parses hostile bytes; `where` (a file name) goes into error texts. A key that an object has twice is an
 * error, and so are more values or levels than base/json_scan.h allows. Destroy with cJSON_Delete. */
TUFF_MUST_USE tuff_status tuff_json_parse(const char *data, size_t size, const char *where, cJSON **out_json);
/* Reads and parses a file. */
TUFF_MUST_USE tuff_status tuff_json_read(const char *path, cJSON **out_json);

/* A bit of a number's `type` that tuff_json_read sets where its text has a point or an exponent: for readers
 * that tell 4.0 from 4. */
enum { TUFF_JSON_REAL = 1 << 16 };
/* Appends a tree as text, with such numbers as they were; false without memory. */
bool tuff_json_print(const cJSON *json, tuff_buf *out);

/* Getters: a missing key (or null) leaves *out at its present value; a value of the wrong type or range is an
 * error. */
TUFF_MUST_USE tuff_status tuff_json_int(const cJSON *object, const char *key, const char *where,
                                        int64_t *out);
TUFF_MUST_USE tuff_status tuff_json_number(const cJSON *object, const char *key, const char *where,
                                           double *out);
TUFF_MUST_USE tuff_status tuff_json_bool(const cJSON *object, const char *key, const char *where, bool *out);
/* *out points into the JSON tree. */
TUFF_MUST_USE tuff_status tuff_json_text(const cJSON *object, const char *key, const char *where,
                                         const char **out);

/* Writing: appends text as a JSON string literal with its quotes. Bytes that are not UTF-8 become U+FFFD, one
 * for each maximal broken sequence. */
void tuff_json_quote(tuff_buf *buf, const char *data, size_t size);
/* "true" or "false". */
const char *tuff_json_truth(bool value);
/* Appends the shortest decimal that reads back as the same double, whole numbers below 1e15 as such; NaN and
 * Inf become null. */
void tuff_json_double(tuff_buf *buf, double value);
/* The same, with a point or an exponent in it: for readers that tell 4.0 from 4. */
void tuff_json_real(tuff_buf *buf, double value);

#endif
