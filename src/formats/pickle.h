/* Python's pickles of tensors, as torch.save writes them (protocol 2). Nothing is executed: what a pickle
 * asks for beyond the names in pickle_names.def is refused by name. */
#ifndef TUFF_FORMATS_PICKLE_H
#define TUFF_FORMATS_PICKLE_H

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

/* What a pickle may ask for. */
typedef enum tuff_pickle_name {
#define TUFF_PICKLE_NAME(id, module, name) TUFF_PICKLE_##id,
#define TUFF_PICKLE_STORAGE(name, storage) TUFF_PICKLE_STORAGE_##name,
#include "formats/pickle_names.def"
    TUFF_PICKLE_NAME_COUNT
} tuff_pickle_name;

typedef enum tuff_pickled_kind {
    TUFF_PICKLED_NONE,
    TUFF_PICKLED_BOOL,
    TUFF_PICKLED_INT,
    TUFF_PICKLED_FLOAT,
    TUFF_PICKLED_TEXT,
    TUFF_PICKLED_LIST, /* its items are not kept: no tensor needs them */
    TUFF_PICKLED_TUPLE,
    TUFF_PICKLED_DICT,
    TUFF_PICKLED_NAME,
    TUFF_PICKLED_STORAGE,
    TUFF_PICKLED_TENSOR
} tuff_pickled_kind;

typedef struct tuff_pickled tuff_pickled;

/* An entry of a dictionary, in the order in which they were put there. */
typedef struct tuff_pickled_entry {
    const tuff_pickled *key, *value;
    struct tuff_pickled_entry *next;
} tuff_pickled_entry;

struct tuff_pickled {
    tuff_pickled_kind kind;
    union {
        int64_t integer; /* also of BOOL */
        tuff_view text;  /* within the pickle's bytes */
        struct {
            const tuff_pickled **items;
            size_t count;
        } tuple;
        struct {
            tuff_pickled_entry *first, *last;
        } dict;
        tuff_pickle_name name;
        struct {
            tuff_pickle_name type; /* a storage's */
            tuff_view key;         /* its file within the archive */
            int64_t elements;
        } storage;
        struct {
            const tuff_pickled *storage, *shape, *strides; /* the latter two tuples */
            int64_t offset;                                /* in elements of the storage */
        } tensor;
    } is;
};

/* Reads a pickle. The result and all that it holds live in `arena` and in `data`. A value may be in several
 * places, also in itself. `where` is for error texts. */
TUFF_MUST_USE tuff_status tuff_pickle_read(const uint8_t *data, size_t size, const char *where,
                                           tuff_arena *arena, const tuff_pickled **out_value);

#endif
