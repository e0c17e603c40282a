/* Files of tests: paths, copies of the golden models to be damaged, texts to train on. */
#ifndef TUFF_TESTS_FILES_H
#define TUFF_TESTS_FILES_H

#include "formats/weights.h"
#include "kit/kit.h"

/* "<directory>/<name>" in one of 256 rotating buffers: good within a test. */
const char *kit_join(const char *directory, const char *name);
/* The same of kit_temp_directory, and of assets/golden. */
const char *kit_path(const char *name);
const char *kit_golden(const char *name);

/* All bytes of a file, a NUL behind them. */
void kit_read_file(const char *path, tuff_buf *out);
void kit_copy_file(const char *from, const char *to);
/* Replaces the first `old` in a file, which must be there. */
void kit_edit_file(const char *path, const char *old, const char *with);
/* Overwrites bytes; a negative offset counts from the end. */
void kit_poke_file(const char *path, long offset, const void *data, size_t size);
void kit_cut_file(const char *path, size_t size);

/* A tensor's bytes as its file has them, valid until the fourth call from now. */
const void *kit_stored(const tuff_weight *weight);

/* Copies a model's directory under a name into the test's directory; returns its path. */
const char *kit_copy_model(const char *model, const char *as);
/* Writes a text of about `sentences` sentences in the letters that the goldens' tokenizers know. */
void kit_write_sentences(const char *path, int sentences);

#endif
