/* Byte strings: views, a growable buffer, a map from bytes to integers, UTF-8. */
#ifndef TUFF_BASE_TEXT_H
#define TUFF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

/* Bytes owned by someone else; not NUL-terminated. */
typedef struct tuff_view {
    const char *data;
    size_t size;
} tuff_view;
tuff_view tuff_view_of(const char *text);
bool tuff_view_equal(tuff_view a, tuff_view b);
bool tuff_view_is(tuff_view a, const char *text);
bool tuff_starts_with(const char *text, const char *prefix);
bool tuff_ends_with(const char *text, const char *suffix);
/* The parts of a list, "a, b", which stand between commas, without the blanks around them; empty ones are
 * passed over. *at begins as the list; false: there are no more. */
bool tuff_list_next(const char **at, tuff_view *out);
size_t tuff_list_most(const char *list); /* no list has more parts than it has commas, and one */

/* A growable byte buffer, always NUL-terminated after its bytes. {0} is empty. Errors are sticky: after a
 * failed allocation `failed` is set and appends do nothing. */
typedef struct tuff_buf {
    char *data;
    size_t size, capacity;
    bool failed;
} tuff_buf;
void tuff_buf_bytes(tuff_buf *buf, const void *data, size_t size);
void tuff_buf_text(tuff_buf *buf, const char *text);
void tuff_buf_char(tuff_buf *buf, char c);
void tuff_buf_printf(tuff_buf *buf, const char *format, ...) TUFF_PRINTF(2, 3);
void tuff_buf_utf8(tuff_buf *buf, uint32_t codepoint);
void tuff_buf_clear(tuff_buf *buf); /* keeps the memory */
void tuff_buf_free(tuff_buf *buf);

/* Open-addressing map from byte strings to uint32_t. Keys are copied. {0} is empty. */
typedef struct tuff_map_entry tuff_map_entry;
typedef struct tuff_map {
    tuff_map_entry *entries;
    size_t count, capacity;
    tuff_buf keys; /* the bytes of all keys */
} tuff_map;
/* Adds or replaces; false when out of memory. */
bool tuff_map_put(tuff_map *map, const void *key, size_t size, uint32_t value);
bool tuff_map_get(const tuff_map *map, const void *key, size_t size, uint32_t *out_value);
void tuff_map_free(tuff_map *map);

/* Decodes one code point at data[0..size); returns its length 1..4, or 0 when they are not valid UTF-8. */
size_t tuff_utf8_decode(const char *data, size_t size, uint32_t *out_codepoint);
/* Where decoding gave 0 and size is not 0: how many bytes one U+FFFD stands for. It is the longest beginning
 * that some code point has, or one byte, as Unicode 15 recommends in section 3.9 and Python's "replace" does.
 */
size_t tuff_utf8_broken(const char *data, size_t size);
/* Length of the longest prefix of data[0..size) that does not end inside a code point. */
size_t tuff_utf8_complete(const char *data, size_t size);
bool tuff_utf8_valid(const char *data, size_t size);

#endif
