#include "text/protobuf.h"

#include "base/status.h"

enum { LONGEST_VARINT = 10 };

static tuff_status broken(const tuff_proto *message, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: it is no SentencePiece model: %s, %zu bytes before its end or that of a "
                     "part",
                     message->where, what, message->left.size);
}

static void skip(tuff_proto *message, size_t size)
{
    message->left = (tuff_view){message->left.data + size, message->left.size - size};
}

static tuff_status take_varint(tuff_proto *message, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < LONGEST_VARINT && i < message->left.size; i++) {
        uint8_t byte = (uint8_t)message->left.data[i];
        *out |= (uint64_t)(byte & 0x7f) << 7 * i; /* bits past the 64th are dropped, as protobuf does */
        if (byte & 0x80) continue;
        skip(message, i + 1);
        return TUFF_OK;
    }
    return broken(message, "a number does not end");
}

static tuff_status take_fixed(tuff_proto *message, size_t size, uint64_t *out)
{
    *out = 0;
    if (message->left.size < size) return broken(message, "a field is cut off");
    for (size_t i = 0; i < size; i++)
        *out |= (uint64_t)(uint8_t)message->left.data[i] << 8 * i;
    skip(message, size);
    return TUFF_OK;
}

static tuff_status take_bytes(tuff_proto *message, tuff_view *out)
{
    uint64_t size;
    TUFF_TRY(take_varint(message, &size));
    if (size > message->left.size) return broken(message, "a field is longer than what is there");
    *out = (tuff_view){message->left.data, (size_t)size};
    skip(message, (size_t)size);
    return TUFF_OK;
}

tuff_status tuff_proto_next(tuff_proto *message, tuff_proto_field *out, bool *out_found)
{
    uint64_t key;
    *out = (tuff_proto_field){0};
    *out_found = false;
    if (!message->left.size) return TUFF_OK;
    TUFF_TRY(take_varint(message, &key));
    if (key >> 3 == 0 || key >> 3 > UINT32_MAX) return broken(message, "a field has no valid number");
    out->number = (uint32_t)(key >> 3);
    out->wire = (tuff_proto_wire)(key & 7);
    *out_found = true;
    switch (out->wire) {
    case TUFF_PROTO_VARINT:
        return take_varint(message, &out->value);
    case TUFF_PROTO_FIXED64:
        return take_fixed(message, 8, &out->value);
    case TUFF_PROTO_BYTES:
        return take_bytes(message, &out->bytes);
    case TUFF_PROTO_FIXED32:
        return take_fixed(message, 4, &out->value);
    }
    return broken(message, "a field is of a kind that is not used");
}
