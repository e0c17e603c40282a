/* What Tuff keeps in the user's cache directory (TUFF_CACHE_DIR, else XDG_CACHE_HOME/tuff, else
 * ~/.cache/tuff) of texts that it has tokenized. */
#ifndef TUFF_CACHE_H
#define TUFF_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The token ids of a text, in a file. Owned by the library, valid during the callback; later versions may add
 * fields. */
typedef struct tuff_cached_text {
    size_t struct_size;
    const char *path; /* of the file */
    const char *text; /* what the text was called; "": the file is damaged, and will be made anew */
    uint64_t size;    /* of the file, in bytes */
    uint64_t tokens;
    uint64_t used; /* when it was used last, in seconds since 1970 */
} tuff_cached_text;

/* Tells of each, in the order of their paths. Where there is no cache, there is none. */
TUFF_API TUFF_MUST_USE tuff_status tuff_cache_list_texts(void (*fn)(const tuff_cached_text *text, void *user),
                                                         void *user);
/* Removes all. Trainings that use them go on. */
TUFF_API TUFF_MUST_USE tuff_status tuff_cache_remove_texts(void);

#ifdef __cplusplus
}
#endif
#endif
