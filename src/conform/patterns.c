#include "conform/patterns.h"

#include <string.h>

/* The set that begins behind '['; *out_size: up to and with ']', 0 when there is none. */
static bool in_set(const char *set, size_t size, char c, size_t *out_size)
{
    size_t i = 0;
    bool none = size > 0 && set[0] == '!', found = false;
    *out_size = 0;
    if (none) i++;
    for (size_t first = i; i < size && (set[i] != ']' || i == first); i++) {
        bool range = i + 2 < size && set[i + 1] == '-' && set[i + 2] != ']';
        found = found || (range ? set[i] <= c && c <= set[i + 2] : set[i] == c);
        if (range) i += 2;
    }
    if (i < size) *out_size = i + 1;
    return found != none;
}

bool tuff_glob(const char *pattern, size_t size, const char *text)
{
    size_t p = 0, set = 0, star = size;
    const char *star_text = NULL;
    while (*text != '\0' || p < size) {
        if (p < size && pattern[p] == '*') {
            star = p++;
            star_text = text;
            continue;
        }
        bool fits = false;
        size_t step = 1;
        if (p < size && *text != '\0') {
            fits = pattern[p] == '?' || pattern[p] == *text;
            if (pattern[p] == '[') {
                bool among = in_set(pattern + p + 1, size - p - 1, *text, &set);
                if (set > 0) {
                    fits = among;
                    step = 1 + set;
                }
            }
        }
        if (fits) {
            p += step;
            text++;
        } else if (star_text != NULL && *star_text != '\0') { /* the last star takes one more character */
            text = ++star_text;
            p = star + 1;
        } else {
            return false;
        }
    }
    return true;
}

bool tuff_next_pattern(const char **at, tuff_pattern *out)
{
    while (*at != NULL && **at != '\0') {
        const char *s = *at + strspn(*at, ", \t\r\n");
        size_t line = strcspn(s, "\n"), size = strcspn(s, ",\n"), end = 0;
        while (end < size && !(s[end] == '#' && (end == 0 || s[end - 1] == ' ' || s[end - 1] == '\t')))
            end++;
        *at = s + (end < size ? line : size); /* a remark may have commas */
        size = end;
        while (size > 0 && strchr(" \t\r", s[size - 1]) != NULL)
            size--;
        if (size == 0) continue;
        *out = (tuff_pattern){s, size};
        return true;
    }
    return false;
}

bool tuff_patterns_match(const char *list, const char *text)
{
    tuff_pattern p;
    while (tuff_next_pattern(&list, &p))
        if (tuff_glob(p.text, p.size, text)) return true;
    return false;
}
