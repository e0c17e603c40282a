/* Methods of texts. Several share a function, which is told by a number what to do. */
#include <string.h>

#include "jinja/filters.h"
#include "jinja/format.h"
#include "jinja/methods.h"
#include "jinja/strings.h"

typedef bool (*text_fn)(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                        int how, tuff_jinja_value *out);

static bool give(const tuff_jinja_value *self, tuff_view text, tuff_jinja_value *out)
{
    *out = tuff_jinja_view(text);
    out->safe = self->safe;
    return true;
}

/* strip, lstrip, rstrip: the sides. */
static bool strip(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                  tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    tuff_view chars = {0};
    return tuff_jinja_bind(run, "strip", "chars", args, given) &&
           tuff_jinja_arg_text(run, "what is stripped", &given[0], &chars) &&
           tuff_jinja_spend_bytes(run, self->size) &&
           give(self, tuff_jinja_strip(tuff_jinja_text_of(self), chars, (unsigned)how), out);
}

/* split, and rsplit: 1. */
static bool split(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                  tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    tuff_view separator = {0};
    int64_t most = -1;
    return tuff_jinja_bind(run, "split", "sep maxsplit", args, given) &&
           tuff_jinja_arg_text(run, "the separator of split", &given[0], &separator) &&
           tuff_jinja_arg_int(run, "the maxsplit of split", &given[1], &most) &&
           tuff_jinja_split(run, tuff_jinja_text_of(self), separator, most, how, out);
}

static bool splitlines(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                       int how, tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    tuff_jinja_list *lines;
    (void)how;
    if (!tuff_jinja_bind(run, "splitlines", "keepends", args, given) ||
        !tuff_jinja_lines(run, tuff_jinja_text_of(self), tuff_jinja_truth(&given[0]), &lines))
        return false;
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, lines);
    return true;
}

/* The part of a text from character `start` to `end`, of which either may be left out; *out_start: how many
 * characters are before it. False in *out_there: it begins behind the end. */
static bool part(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_value *start,
                 const tuff_jinja_value *end, tuff_view *out, int64_t *out_start, bool *out_there)
{
    const tuff_view text = tuff_jinja_text_of(self);
    *out = text;
    *out_start = 0;
    *out_there = true;
    if (!tuff_jinja_given(start) && !tuff_jinja_given(end)) return true;
    const int64_t size = (int64_t)tuff_jinja_characters(text);
    int64_t from = 0, to = size;
    if (!tuff_jinja_arg_int(run, "a place in a text", start, &from) ||
        !tuff_jinja_arg_int(run, "a place in a text", end, &to) || !tuff_jinja_spend_bytes(run, text.size))
        return false;
    if (from < 0) from = from + size > 0 ? from + size : 0;
    if (to < 0) to = to + size > 0 ? to + size : 0;
    if (to > size) to = size;
    *out_there = from <= to;
    if (!*out_there) return true;
    const size_t begin = tuff_jinja_byte_of(text, (size_t)from);
    const tuff_view rest = {text.data + begin, text.size - begin};
    *out = (tuff_view){rest.data, tuff_jinja_byte_of(rest, (size_t)(to - from))};
    *out_start = from;
    return true;
}

/* startswith, and endswith: 1; of one text or any of a tuple. */
static bool affix(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                  tuff_jinja_value *out)
{
    tuff_jinja_value given[3];
    tuff_view text;
    int64_t start;
    bool there, found = false;
    if (!tuff_jinja_bind(run, how ? "endswith" : "startswith", "affix start end", args, given) ||
        !part(run, self, &given[1], &given[2], &text, &start, &there))
        return false;
    const bool tuple = given[0].kind == TUFF_JINJA_TUPLE;
    const size_t count = tuple ? given[0].as.list->count : 1;
    for (size_t i = 0; i < count; i++) {
        const tuff_jinja_value *one = tuple ? &given[0].as.list->items[i] : &given[0];
        tuff_view what = {0};
        if (one->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, one);
        if (one->kind != TUFF_JINJA_TEXT)
            return tuff_jinja_fail(run, "a text is asked whether it begins or ends with a %s",
                                   tuff_jinja_type(one));
        what = tuff_jinja_text_of(one);
        found |= there && what.size <= text.size &&
                 memcmp(how ? text.data + text.size - what.size : text.data, what.data, what.size) == 0;
    }
    *out = tuff_jinja_bool(found);
    return true;
}

/* find, rfind: 1, index: 2, rindex: 3. */
static bool find(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                 tuff_jinja_value *out)
{
    tuff_jinja_value given[3];
    tuff_view what = {0}, text;
    int64_t start;
    size_t at = 0;
    bool there;
    if (!tuff_jinja_bind(run, "find", "sub start end", args, given) ||
        !tuff_jinja_arg_text(run, "what is searched for", &given[0], &what) ||
        !part(run, self, &given[1], &given[2], &text, &start, &there))
        return false;
    if (!what.data) return tuff_jinja_fail(run, "find needs a text");
    if (there)
        there = how & 1 ? tuff_jinja_search_back(run, text, what, text.size, &at)
                        : tuff_jinja_search(run, text, what, 0, &at);
    if (run->status != TUFF_OK) return false;
    if (!there && how >= 2) return tuff_jinja_fail(run, "index finds no such text");
    *out = tuff_jinja_int(there ? start + (int64_t)tuff_jinja_characters((tuff_view){text.data, at}) : -1);
    return true;
}

static bool count(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                  tuff_jinja_value *out)
{
    tuff_jinja_value given[3];
    tuff_view what = {0}, text;
    int64_t start, found = 0;
    size_t at = 0;
    bool there;
    (void)how;
    if (!tuff_jinja_bind(run, "count", "sub start end", args, given) ||
        !tuff_jinja_arg_text(run, "what is counted", &given[0], &what) ||
        !part(run, self, &given[1], &given[2], &text, &start, &there))
        return false;
    if (!what.data) return tuff_jinja_fail(run, "count needs a text");
    if (there && !what.size) found = (int64_t)tuff_jinja_characters(text) + 1;
    while (there && what.size && tuff_jinja_search(run, text, what, at, &at)) {
        found++;
        at += what.size;
    }
    *out = tuff_jinja_int(found);
    return run->status == TUFF_OK;
}

static bool replace(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                    tuff_jinja_value *out)
{
    tuff_jinja_value given[3];
    tuff_view old = {0}, new = {0};
    int64_t most = -1;
    (void)how;
    if (!tuff_jinja_bind(run, "replace", "old new count", args, given) ||
        !tuff_jinja_arg_text(run, "what is replaced", &given[0], &old) ||
        !tuff_jinja_arg_text(run, "what stands in its place", &given[1], &new) ||
        !tuff_jinja_arg_int(run, "the count of replace", &given[2], &most))
        return false;
    if (!old.data || !new.data) return tuff_jinja_fail(run, "replace needs two texts");
    if (!tuff_jinja_replace(run, tuff_jinja_text_of(self), old, new, most, out)) return false;
    out->safe = self->safe;
    return true;
}

static bool change_case(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                        int how, tuff_jinja_value *out)
{
    return tuff_jinja_bind(run, "a change of case", "", args, NULL) &&
           tuff_jinja_change_case(run, (tuff_jinja_case)how, self, out);
}

static bool is_class(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                     tuff_jinja_value *out)
{
    *out = tuff_jinja_bool(tuff_jinja_all_are(tuff_jinja_text_of(self), (tuff_jinja_class)how));
    return tuff_jinja_bind(run, "a question about characters", "", args, NULL) &&
           tuff_jinja_spend_bytes(run, self->size);
}

static bool join(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                 tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    tuff_jinja_list *items;
    (void)how;
    return tuff_jinja_bind(run, "join", "iterable", args, given) &&
           tuff_jinja_items(run, &given[0], &items) &&
           tuff_jinja_join(run, tuff_jinja_text_of(self), items, true, out);
}

/* ljust, rjust: 1, zfill: 2. */
static bool justify(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                    tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    tuff_view fill = how == 2 ? (tuff_view){"0", 1} : (tuff_view){" ", 1}, text = tuff_jinja_text_of(self);
    int64_t width = 0;
    tuff_buf buf = {0};
    if (!tuff_jinja_bind(run, "justify", how == 2 ? "width" : "width fillchar", args, given) ||
        !tuff_jinja_arg_int(run, "the width of a text", &given[0], &width) ||
        (how != 2 && !tuff_jinja_arg_text(run, "what fills a text", &given[1], &fill)))
        return false;
    if (width > 1 << 16 || tuff_jinja_characters(fill) != 1)
        return tuff_jinja_fail(run,
                               "a text is filled to more than 65536 characters, or not by one character");
    const int64_t room = width - (int64_t)tuff_jinja_characters(text);
    const size_t sign = how == 2 && text.size && strchr("+-", text.data[0]) && text.data[0];
    if (how == 0) tuff_buf_bytes(&buf, text.data, text.size);
    tuff_buf_bytes(&buf, text.data, sign);
    for (int64_t i = 0; i < room; i++)
        tuff_buf_bytes(&buf, fill.data, fill.size);
    if (how) tuff_buf_bytes(&buf, text.data + sign, text.size - sign);
    return tuff_jinja_take(run, &buf, out);
}

/* removeprefix, and removesuffix: 1. */
static bool remove_affix(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                         int how, tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    tuff_view what = {0}, text = tuff_jinja_text_of(self);
    if (!tuff_jinja_bind(run, "removeprefix", "affix", args, given) ||
        !tuff_jinja_arg_text(run, "what is removed", &given[0], &what))
        return false;
    const char *at = text.size < what.size ? NULL : how ? text.data + text.size - what.size : text.data;
    if (at && what.size && memcmp(at, what.data, what.size) == 0) {
        text.size -= what.size;
        text.data += how ? 0 : what.size;
    }
    return give(self, text, out);
}

/* partition, and rpartition: 1. */
static bool partition(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                      tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    tuff_view what = {0}, text = tuff_jinja_text_of(self);
    size_t at;
    if (!tuff_jinja_bind(run, "partition", "sep", args, given) ||
        !tuff_jinja_arg_text(run, "the separator of partition", &given[0], &what))
        return false;
    if (!what.size) return tuff_jinja_fail(run, "partition needs a separator");
    const bool found = how ? tuff_jinja_search_back(run, text, what, text.size, &at)
                           : tuff_jinja_search(run, text, what, 0, &at);
    tuff_jinja_list *list = tuff_jinja_list_new(run, 3);
    if (!list || run->status != TUFF_OK) return false;
    list->count = 3;
    for (size_t i = 0; i < 3; i++)
        give(self, (tuff_view){0}, &list->items[i]);
    if (found) {
        give(self, (tuff_view){text.data, at}, &list->items[0]);
        give(self, what, &list->items[1]);
        give(self, (tuff_view){text.data + at + what.size, text.size - at - what.size}, &list->items[2]);
    } else {
        give(self, text, &list->items[how ? 2 : 0]);
    }
    *out = tuff_jinja_list_value(TUFF_JINJA_TUPLE, list);
    return true;
}

static bool center(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                   tuff_jinja_value *out)
{
    (void)how;
    return tuff_jinja_filter_center(run, self, args, out);
}

static bool format(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args, int how,
                   tuff_jinja_value *out)
{
    (void)how;
    return tuff_jinja_format(run, self, args, out);
}

static const struct {
    const char *name;
    text_fn fn;
    int how;
} methods[] = {{"strip", strip, 3},
               {"lstrip", strip, 1},
               {"rstrip", strip, 2},
               {"split", split, 0},
               {"rsplit", split, 1},
               {"splitlines", splitlines, 0},
               {"startswith", affix, 0},
               {"endswith", affix, 1},
               {"find", find, 0},
               {"rfind", find, 1},
               {"index", find, 2},
               {"rindex", find, 3},
               {"count", count, 0},
               {"replace", replace, 0},
               {"upper", change_case, TUFF_JINJA_UPPER},
               {"lower", change_case, TUFF_JINJA_LOWER},
               {"casefold", change_case, TUFF_JINJA_LOWER},
               {"capitalize", change_case, TUFF_JINJA_CAPITALIZE},
               {"title", change_case, TUFF_JINJA_TITLE},
               {"swapcase", change_case, TUFF_JINJA_SWAP},
               {"isalpha", is_class, TUFF_JINJA_ISALPHA},
               {"isdigit", is_class, TUFF_JINJA_ISDIGIT},
               {"isalnum", is_class, TUFF_JINJA_ISALNUM},
               {"isspace", is_class, TUFF_JINJA_ISSPACE},
               {"isupper", is_class, TUFF_JINJA_ISUPPER},
               {"islower", is_class, TUFF_JINJA_ISLOWER},
               {"join", join, 0},
               {"ljust", justify, 0},
               {"rjust", justify, 1},
               {"zfill", justify, 2},
               {"center", center, 0},
               {"removeprefix", remove_affix, 0},
               {"removesuffix", remove_affix, 1},
               {"partition", partition, 0},
               {"rpartition", partition, 1},
               {"format", format, 0}};
enum { METHODS = sizeof methods / sizeof *methods };

size_t tuff_jinja_text_method(tuff_view name)
{
    for (size_t i = 0; i < METHODS; i++)
        if (tuff_view_is(name, methods[i].name)) return i;
    return TUFF_JINJA_NO_METHOD;
}

bool tuff_jinja_call_text_method(tuff_jinja_run *run, size_t method, const tuff_jinja_value *self,
                                 const tuff_jinja_args *args, tuff_jinja_value *out)
{
    return methods[method].fn(run, self, args, methods[method].how, out);
}
