#include "base/structs.h"

#include <string.h>

#include <tuff/version.h>

#include "base/status.h"

/* No struct comes near it: a larger size was never set. */
enum { LARGEST = 1 << 16 };

static size_t size_of(const void *given)
{
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

static tuff_status check_size(size_t found, size_t least, const char *macro)
{
    if (found >= least && found <= LARGEST) return TUFF_OK;
    if (found > LARGEST)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "struct_size is %zu, which no struct is: begin with %s, which sets it", found,
                         macro);
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "struct_size is %zu, expected at least %zu: begin with %s, which sets it", found, least,
                     macro);
}

/* Copies `found` bytes over *out, as much as that has room for. */
static tuff_status take(void *out, size_t size, const void *given, size_t found, const char *macro)
{
    for (size_t i = size; i < found; i++)
        if (((const char *)given)[i] != 0)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "the struct made by %s sets a field that came with a later version of Tuff than "
                             "this library's %s: leave it unset, or use the newer library",
                             macro, TUFF_VERSION);
    memcpy(out, given, found < size ? found : size);
    memcpy(out, &size, sizeof size);
    return TUFF_OK;
}

tuff_status tuff_take_struct(void *out, size_t size, size_t least, const void *given, const char *macro)
{
    if (!given) return TUFF_OK;
    TUFF_TRY(check_size(size_of(given), least, macro));
    return take(out, size, given, size_of(given), macro);
}

tuff_status tuff_take_entry(void *out, size_t size, const void *array, size_t i, const char *macro)
{
    return take(out, size, (const char *)array + i * size_of(array), size_of(array), macro);
}

tuff_status tuff_check_array(const void *array, size_t alignment, size_t least, const char *macro)
{
    if (!array) return tuff_fail(TUFF_INVALID_ARGUMENT, "the array of structs (%s) is NULL", macro);
    TUFF_TRY(check_size(size_of(array), least, macro));
    if (size_of(array) % alignment == 0) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "struct_size of an array's first entry is %zu, expected a multiple of %zu: begin with "
                     "%s, which sets it",
                     size_of(array), alignment, macro);
}

tuff_status tuff_check_out(const void *out, size_t least, const char *macro)
{
    if (!out) return tuff_fail(TUFF_INVALID_ARGUMENT, "the struct to fill (%s) is NULL", macro);
    return check_size(size_of(out), least, macro);
}

tuff_status tuff_give_struct(void *out, const void *result, size_t size, size_t least, const char *macro)
{
    TUFF_TRY(tuff_check_out(out, least, macro));
    size_t found = size_of(out), known = found < size ? found : size;
    memcpy((char *)out + sizeof found, (const char *)result + sizeof found, known - sizeof found);
    memset((char *)out + known, 0, found - known);
    return TUFF_OK;
}
