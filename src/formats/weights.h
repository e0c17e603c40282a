/* The tensors of a model file, whatever its format: a list with lookup by name, and reading with conversion.
 */
#ifndef TUFF_FORMATS_WEIGHTS_H
#define TUFF_FORMATS_WEIGHTS_H

#include "base/blocks.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "base/watch.h"
#include "ir/dtype.h"

/* How a file stores the numbers of a tensor. F32, F16, BF16 and the types of base/blocks.def can be
 * read; the rest can be listed, as can tensors of more than 4 dimensions. */
typedef enum tuff_storage {
#define TUFF_STORAGE(name, block, bytes, gguf, safetensors) TUFF_STORE_##name,
#include "formats/storage.def"
    TUFF_STORE_COUNT
} tuff_storage;

typedef struct tuff_storage_info {
    const char *name;
    unsigned block, bytes; /* elements and bytes of a block; rows are whole blocks */
    int gguf;              /* its number in GGUF, -1: none */
    bool safetensors;      /* safetensors has it, under the same name */
} tuff_storage_info;
const tuff_storage_info *tuff_storage_get(tuff_storage storage);
/* The type of base/blocks.def that it is, or TUFF_BLOCK_COUNT. */
tuff_block tuff_storage_block(tuff_storage storage);
/* The storage of a compute type, under the same name: f32 F32, q4_k Q4_K. */
tuff_storage tuff_storage_of(tuff_dtype dtype);

#define TUFF_MAX_RANK 4
enum { TUFF_LISTED_RANK = 64 }; /* the most dimensions of a tensor that can be listed */

/* One tensor of a file. */
typedef struct tuff_weight {
    const char *name; /* owned by the container */
    const char *file; /* the file's path, for error texts; owned by the container */
    tuff_storage storage;
    unsigned rank;                /* 0 to 4 */
    int64_t shape[TUFF_MAX_RANK]; /* row-major as in Hugging Face (GGUF's dimensions reversed); unused ones
                                     are 1 */
    const uint8_t *data; /* where it is, or would be within its file: read through the functions below */
    size_t bytes;
    int source; /* of tuff_read_at, and where `data` lies there; set by the container. 0: only in memory */
    uint64_t source_at;
    const char *type; /* what the file calls its type, of storage UNKNOWN; NULL otherwise */
    const char *dims; /* its shape as text when it has more than 4 dimensions: `shape` then has the first ones
                         in one; NULL otherwise */
} tuff_weight;

/* An entry of a safetensors file's __metadata__. */
typedef struct tuff_weights_note {
    const char *key, *value;
} tuff_weights_note;

/* The tensors of one or more files. Owns their mappings, so `data` of its tensors lives as long as it does.
 * Tensors are copied from the files, so that one which another process shortens is an error and no signal.
 * Immutable once filled, then readable from any thread. */
typedef struct tuff_weights {
    tuff_weight *items; /* in file order */
    size_t count, capacity;
    tuff_map by_name;
    tuff_weights_note *notes;
    size_t note_count, note_capacity;
    tuff_mapping *mappings;
    size_t mapping_count, mapping_capacity;
    tuff_arena arena; /* names, paths, notes */
} tuff_weights;

TUFF_MUST_USE tuff_status tuff_weights_create(tuff_weights **out_weights);
void tuff_weights_destroy(tuff_weights **weights);
/* TUFF_IO when one of the files was changed since it was opened. */
TUFF_MUST_USE tuff_status tuff_weights_check_files(const tuff_weights *weights);

/* For the parsers. Adds a tensor; copies its name; `file` must live as long as the container. Sets `bytes`
 * from storage and shape; fails on a name twice, a name that is not printable UTF-8, a bad shape or a row of
 * partial blocks. */
TUFF_MUST_USE tuff_status tuff_weights_add(tuff_weights *weights, const tuff_weight *weight);
/* Sets rank and shape of a tensor to be added; its text is owned by the container. */
TUFF_MUST_USE tuff_status tuff_weights_shape(tuff_weights *weights, tuff_weight *weight, unsigned rank,
                                             const int64_t *shape);
/* Sets the type of a tensor to be added to one that nobody knows, by its name in the file. */
TUFF_MUST_USE tuff_status tuff_weights_unknown_type(tuff_weights *weights, tuff_weight *weight,
                                                    const char *type);
/* Takes over a mapping, also when it fails. */
TUFF_MUST_USE tuff_status tuff_weights_adopt(tuff_weights *weights, tuff_mapping mapping);
/* True for a name fit for a message: UTF-8 of at most 4096 bytes without control characters. */
bool tuff_weight_name_valid(const char *name, size_t size);
/* Bytes of a tensor; fails, naming it, when the size overflows or a row is not whole blocks. */
TUFF_MUST_USE tuff_status tuff_weight_size(const tuff_weight *weight, size_t *out_bytes);
/* Whether any two tensors among items[first..count) share bytes; when `dense`, they must also fill
 * data[0..size). */
TUFF_MUST_USE tuff_status tuff_weights_check_layout(const tuff_weights *weights, size_t first,
                                                    const uint8_t *data, size_t size, bool dense);

/* NULL when absent. */
const tuff_weight *tuff_weights_find(const tuff_weights *weights, const char *name);
/* A tensor that must be there with exactly this shape and readable storage; NOT_FOUND, BAD_FORMAT or
 * UNSUPPORTED otherwise, naming the tensor, the shape found and the shape expected. */
TUFF_MUST_USE tuff_status tuff_weights_require(const tuff_weights *weights, const char *name, unsigned rank,
                                               const int64_t *shape, const tuff_weight **out_weight);

/* Elements, and the matrix view of a tensor: columns is the last dimension, rows the product of the others.
 */
int64_t tuff_weight_elements(const tuff_weight *weight);
int64_t tuff_weight_rows(const tuff_weight *weight);
int64_t tuff_weight_columns(const tuff_weight *weight);
/* "F32", or what the file calls a type that nobody knows. */
const char *tuff_weight_type(const tuff_weight *weight);
/* "[50257, 768]" into text, cut to `size`. */
void tuff_weight_shape_text(unsigned rank, const int64_t *shape, char *text, size_t size);

/* All its bytes as they are stored: `bytes` of them. */
TUFF_MUST_USE tuff_status tuff_weight_stored(const tuff_weight *weight, void *out);
/* `size` of them, from byte `at` on. */
TUFF_MUST_USE tuff_status tuff_weight_stored_part(const tuff_weight *weight, size_t at, size_t size,
                                                  void *out);
/* Whether both are stored alike and hold the same bytes; false where these cannot be read. */
bool tuff_weight_is_copy(const tuff_weight *a, const tuff_weight *b);
/* UNSUPPORTED, naming tensor and storage, when the tensor can be listed but not read. */
TUFF_MUST_USE tuff_status tuff_weight_check_readable(const tuff_weight *weight);
/* Reads a whole tensor, or rows [begin, end) of its matrix view, as f32, f16 or bf16, rounding to nearest
 * even, or by the block as it is stored. `out` holds that many elements. A finite number that becomes
 * infinite in f16 is NOT_FINITE. Thread-safe. */
TUFF_MUST_USE tuff_status tuff_weight_read(const tuff_weight *weight, tuff_dtype dtype, void *out);
TUFF_MUST_USE tuff_status tuff_weight_read_rows(const tuff_weight *weight, int64_t begin, int64_t end,
                                                tuff_dtype dtype, void *out);
/* NOT_FINITE, naming the tensor and the index of the first NaN or Inf. Thread-safe. */
TUFF_MUST_USE tuff_status tuff_weight_check_finite(const tuff_weight *weight);
/* The same, watched: TUFF_PHASE_LOAD, in bytes, after `done` of `total`. `watch` may be NULL. As often as it
 * is asked, `files`, the list that the weight is of, must be unchanged on the disk; NULL: not looked at. */
TUFF_MUST_USE tuff_status tuff_weight_check_finite_watched(const tuff_weight *weight,
                                                           const tuff_weights *files, const tuff_watch *watch,
                                                           uint64_t done, uint64_t total);

#endif
