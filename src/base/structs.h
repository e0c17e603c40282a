/* Structs that the caller makes: they begin with `size_t struct_size`, so that later versions can add fields
 * at their end. Here they come in and go out.
 *
 * The rule for their layout: fields and nothing else. A struct's last field ends where the struct does; where
 * the compiler would pad, a field `reserved`, which the macro sets to 0, says so. For a field that came into
 * padding would not change the size: what an older program has there by chance would be read as that field.
 * And padding among fields that a newer program has would count as set if it is not 0. So a field added later
 * takes the place of `reserved`, with a default of 0, or comes behind it, without a gap. */
#ifndef TUFF_BASE_STRUCTS_H
#define TUFF_BASE_STRUCTS_H

#include <stddef.h>
#include <tuff/status.h>

/* In all of these, `macro` is the public macro that a caller begins with, and `last` the last field that the
 * struct's first version had: what ends before it was not made by the macro. */

/* Copies the caller's parameters over *out, which holds the defaults. Fields that an older program does not
 * have stay as they are. What a newer program sets beyond the fields known here must be zero. `given` may be
 * NULL. */
#define TUFF_TAKE(out, given, macro, last) \
    tuff_take_struct((out), sizeof *(out), TUFF_END_OF(out, last), 1 ? (given) : (out), #macro)

/* Whether the caller's result struct can be filled: it is there and was made by the macro. */
#define TUFF_CHECK_OUT(out, macro, last) tuff_check_out((out), TUFF_END_OF(out, last), #macro)

/* Copies *result over the caller's struct, as much as that has room for. */
#define TUFF_GIVE(out, result, macro, last) \
    tuff_give_struct((out), 1 ? (result) : (out), sizeof *(result), TUFF_END_OF(result, last), #macro)

/* Of an array that the caller made: the struct_size of the first entry tells how large each is, those of the
 * others need not be set. Whether the array is there and its entries are of a size that can be. */
#define TUFF_CHECK_ARRAY(array, type, macro, last)               \
    tuff_check_array(1 ? (array) : (type *)NULL, _Alignof(type), \
                     offsetof(type, last) + sizeof(((type *)0)->last), #macro)
/* Copies entry i of an array that was checked over *out, as TUFF_TAKE does. */
#define TUFF_TAKE_ENTRY(out, array, i, macro) \
    tuff_take_entry((out), sizeof *(out), 1 ? (array) : (out), i, #macro)

/* Where a field ends; the pointer is not followed and may be NULL. */
#define TUFF_END_OF(pointer, last) (offsetof(__typeof__(*(pointer)), last) + sizeof((pointer)->last))

TUFF_MUST_USE tuff_status tuff_take_struct(void *out, size_t size, size_t least, const void *given,
                                           const char *macro);
TUFF_MUST_USE tuff_status tuff_check_array(const void *array, size_t alignment, size_t least,
                                           const char *macro);
TUFF_MUST_USE tuff_status tuff_take_entry(void *out, size_t size, const void *array, size_t i,
                                          const char *macro);
TUFF_MUST_USE tuff_status tuff_check_out(const void *out, size_t least, const char *macro);
TUFF_MUST_USE tuff_status tuff_give_struct(void *out, const void *result, size_t size, size_t least,
                                           const char *macro);

#endif
