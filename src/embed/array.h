/* Arrays of vectors as .npy files hold them. */
#ifndef TUFF_EMBED_ARRAY_H
#define TUFF_EMBED_ARRAY_H

#include <tuff/embed.h>

enum { TUFF_ARRAY_HEADER = 128 /* bytes of a file's header: room for any shape */ };

/* The header of a .npy file of version 1.0, with a type as NumPy calls it; columns 0: it has one axis. */
void tuff_array_header(const char *type, int64_t rows, int64_t columns, char header[TUFF_ARRAY_HEADER]);

/* What NumPy calls the numbers of vectors, how many of these a vector has, and its bytes. */
const char *tuff_vector_type_name(tuff_vector_type type);
int64_t tuff_vector_columns(tuff_vector_type type, int64_t dimensions);
uint64_t tuff_vector_bytes(tuff_vector_type type, int64_t dimensions);

/* Vectors [rows, dimensions] of f32 as they are stored: in `out`, or, of f32, themselves. */
const void *tuff_vector_convert(tuff_vector_type type, const float *vectors, size_t rows, int64_t dimensions,
                                void *out);

#endif
