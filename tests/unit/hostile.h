/* Hostile bytes for a parser: every truncation, and every byte changed. Buffers are exactly as long as the
 * data, so that the address sanitizer sees a read past the end. */
#ifndef TUFF_TESTS_HOSTILE_H
#define TUFF_TESTS_HOSTILE_H

#include "kit/kit.h"

/* Parses, uses what it got a little, and frees it. */
typedef tuff_status (*hostile_fn)(const uint8_t *data, size_t size);

static inline tuff_status hostile_call(hostile_fn parse, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size) memcpy(copy, data, size);
    tuff_status status = parse(size ? copy : copy + 1, size);
    free(copy);
    return status;
}

/* A clean refusal: a status that blames the file, and a sentence. */
static inline void hostile_expect_refusal(tuff_status status)
{
    if (status != TUFF_BAD_FORMAT && status != TUFF_UNSUPPORTED && status != TUFF_NOT_FOUND)
        fail_msg("status %s: %s", tuff_status_name(status), tuff_error_message());
    assert_true(strlen(tuff_error_message()) > 10);
}

/* Every proper prefix must be refused. */
static inline void hostile_truncate(hostile_fn parse, const uint8_t *data, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        tuff_status status = hostile_call(parse, data, n);
        if (status == TUFF_OK) fail_msg("the first %zu of %zu bytes were accepted", n, size);
        hostile_expect_refusal(status);
    }
}

/* Every byte replaced by each of a few others must be accepted or refused cleanly. */
static inline void hostile_mutate(hostile_fn parse, const uint8_t *data, size_t size)
{
    uint8_t *copy = size < PTRDIFF_MAX ? malloc(size) : NULL; /* gcc: a size may look wrapped around */
    assert_non_null(copy);
    for (size_t i = 0; i < size; i++) {
        const uint8_t others[] = {0, 1, '"', '}', '9', 0x7f, 0x80, 0xff, data[i] ^ 1, data[i] ^ 0x80};
        for (size_t k = 0; k < sizeof others; k++) {
            memcpy(copy, data, size);
            copy[i] = others[k];
            tuff_status status = hostile_call(parse, copy, size);
            if (status != TUFF_OK) hostile_expect_refusal(status);
        }
    }
    free(copy);
}

#endif
