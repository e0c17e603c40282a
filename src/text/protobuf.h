/* Protocol buffers as they lie in a file: one field after another. Hostile bytes in, views of them out. */
#ifndef TUFF_TEXT_PROTOBUF_H
#define TUFF_TEXT_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"

/* How a field is encoded. */
typedef enum tuff_proto_wire {
    TUFF_PROTO_VARINT = 0,
    TUFF_PROTO_FIXED64 = 1,
    TUFF_PROTO_BYTES = 2, /* a string, bytes or a message */
    TUFF_PROTO_FIXED32 = 5
} tuff_proto_wire;

typedef struct tuff_proto_field {
    uint32_t number;
    tuff_proto_wire wire;
    uint64_t value;  /* of the other kinds */
    tuff_view bytes; /* in the message */
} tuff_proto_field;

/* A message, and how far it is read. */
typedef struct tuff_proto {
    tuff_view left;
    const char *where; /* names the file in error texts */
} tuff_proto;

/* The next field; *out_found is false after the last. TUFF_BAD_FORMAT for bytes that are no message. */
TUFF_MUST_USE tuff_status tuff_proto_next(tuff_proto *message, tuff_proto_field *out, bool *out_found);

#endif
