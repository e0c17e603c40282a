/* Patterns of tensors' names. */
#include <ctype.h>
#include <string.h>

#include "train/trained_set.h"

/* "2-5" at the beginning of a pattern: its bounds, and its bytes; 0: it is none. */
static size_t range_at(const char *p, const char *end, int64_t bounds[2])
{
    const char *at = p;
    for (int i = 0; i < 2; i++) {
        const char *first = at;
        bounds[i] = 0;
        while (at < end && isdigit((unsigned char)*at) && at - first < 9)
            bounds[i] = 10 * bounds[i] + (*at++ - '0');
        if (at == first || (i == 0 && (at == end || *at++ != '-'))) return 0;
    }
    return (size_t)(at - p);
}

/* The bytes of text that one unit of the pattern matches; 0: none. *out_size is the unit's own. */
static size_t unit_matches(const char *p, const char *end, const char *text, const char *text_end,
                           size_t *out_size)
{
    int64_t bounds[2], number = 0;
    size_t digits = 0;
    *out_size = range_at(p, end, bounds);
    if (*out_size == 0) {
        *out_size = 1;
        return text < text_end && (*p == '?' || *p == *text);
    }
    while (text + digits < text_end && isdigit((unsigned char)text[digits]) && digits < 9)
        number = 10 * number + (text[digits++] - '0');
    return digits && bounds[0] <= number && number <= bounds[1] ? digits : 0;
}

static bool glob(const char *p, const char *end, const char *text, const char *text_end)
{
    const char *star = NULL, *star_text = NULL;
    while (p < end || text < text_end) {
        size_t size = 1, matched = 0;
        if (p < end && *p == '*') {
            star = p++;
            star_text = text;
            continue;
        }
        if (p < end) matched = unit_matches(p, end, text, text_end, &size);
        if (matched) {
            p += size;
            text += matched;
        } else if (star && star_text < text_end) { /* the last star takes one more character */
            text = ++star_text;
            p = star + 1;
        } else {
            return false;
        }
    }
    return true;
}

bool tuff_name_matches(const char *pattern, size_t size, const char *name)
{
    for (const char *first = name; first; first = strchr(first, '.') ? strchr(first, '.') + 1 : NULL)
        for (const char *last = first; *last; last++) {
            const char *end = last + strcspn(last, ".");
            if (glob(pattern, pattern + size, first, end)) return true;
            if (!*end) break;
            last = end;
        }
    return false;
}
