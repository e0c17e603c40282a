/* Filters of lists: what they take of them, and make of each item. */
#include <string.h>

#include "jinja/filters.h"
#include "jinja/strings.h"

tuff_jinja_value tuff_jinja_iterator(tuff_jinja_list *list)
{
    return tuff_jinja_list_value(TUFF_JINJA_ITERATOR, list);
}

bool tuff_jinja_path(tuff_jinja_run *run, const tuff_jinja_value *item, const tuff_jinja_value *path,
                     const tuff_jinja_value *otherwise, tuff_jinja_value *out)
{
    *out = *item;
    if (!tuff_jinja_given(path)) return true;
    const tuff_view text = path->kind == TUFF_JINJA_TEXT ? tuff_jinja_text_of(path) : (tuff_view){0};
    for (size_t begin = 0; begin <= text.size;) {
        const char *point = begin < text.size ? memchr(text.data + begin, '.', text.size - begin) : NULL;
        const size_t end = point ? (size_t)(point - text.data) : text.size;
        const tuff_view part = {text.size ? text.data + begin : "", end - begin};
        tuff_jinja_value key = text.data ? tuff_jinja_view(part) : *path, found;
        int64_t number = 0;
        bool digits = part.size > 0 && part.size < 18;
        for (size_t i = 0; i < part.size && digits; i++) {
            digits = part.data[i] >= '0' && part.data[i] <= '9';
            number = number * 10 + (part.data[i] - '0');
        }
        if (digits) key = tuff_jinja_int(number);
        if (!tuff_jinja_item(run, out, &key, &found)) return false;
        *out = found.kind == TUFF_JINJA_UNDEFINED && tuff_jinja_given(otherwise) ? *otherwise : found;
        begin = end + 1;
    }
    return true;
}

bool tuff_jinja_filter_length(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    int64_t length;
    if (!tuff_jinja_bind(run, "length", "", args, NULL) || !tuff_jinja_length(run, value, &length))
        return false;
    *out = tuff_jinja_int(length);
    return true;
}

bool tuff_jinja_filter_list(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    tuff_jinja_list *items;
    if (!tuff_jinja_bind(run, "list", "", args, NULL) || !tuff_jinja_items(run, value, &items)) return false;
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, items);
    return true;
}

bool tuff_jinja_filter_first(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_list *items;
    if (!tuff_jinja_bind(run, "first", "", args, NULL)) return false;
    if (value->kind == TUFF_JINJA_ITERATOR && value->as.list->next < value->as.list->count) {
        *out = value->as.list->items[value->as.list->next++];
        return true;
    }
    if (!tuff_jinja_items(run, value, &items)) return false;
    *out = items->count ? items->items[0] : tuff_jinja_literal("the first of no items");
    if (!items->count) out->kind = TUFF_JINJA_UNDEFINED;
    return true;
}

bool tuff_jinja_filter_last(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    tuff_jinja_list *items;
    if (!tuff_jinja_bind(run, "last", "", args, NULL)) return false;
    if (value->kind == TUFF_JINJA_ITERATOR) return tuff_jinja_fail(run, "a generator has no last item");
    if (!tuff_jinja_items(run, value, &items)) return false;
    *out = items->count ? items->items[items->count - 1] : tuff_jinja_literal("the last of no items");
    if (!items->count) out->kind = TUFF_JINJA_UNDEFINED;
    return true;
}

bool tuff_jinja_filter_join(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    tuff_jinja_value given[2], between = tuff_jinja_literal("");
    tuff_jinja_list *items, *parts;
    if (!tuff_jinja_bind(run, "join", "d attribute", args, given) || !tuff_jinja_items(run, value, &items))
        return false;
    if (given[0].kind != TUFF_JINJA_MISSING && !tuff_jinja_str(run, &given[0], &between)) return false;
    parts = items;
    if (tuff_jinja_given(&given[1])) {
        parts = tuff_jinja_list_new(run, items->count);
        for (size_t i = 0; parts && i < items->count; i++, parts->count++)
            if (!tuff_jinja_path(run, &items->items[i], &given[1], &(tuff_jinja_value){0}, &parts->items[i]))
                return false;
        if (!parts) return false;
    }
    return tuff_jinja_join(run, tuff_jinja_text_of(&between), parts, false, out);
}

bool tuff_jinja_filter_reverse(tuff_jinja_run *run, const tuff_jinja_value *value,
                               const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_list *items, *list;
    if (!tuff_jinja_bind(run, "reverse", "", args, NULL) || !tuff_jinja_items(run, value, &items))
        return false;
    list = tuff_jinja_list_new(run, items->count);
    if (!list || !tuff_jinja_spend(run, items->count / 8)) return false;
    for (size_t i = items->count; i-- > 0;)
        list->items[list->count++] = items->items[i];
    if (value->kind == TUFF_JINJA_TEXT) return tuff_jinja_join(run, (tuff_view){0}, list, true, out);
    *out = tuff_jinja_iterator(list);
    return true;
}

/* The arguments behind the first `count`. */
static tuff_jinja_args behind(const tuff_jinja_args *args, size_t count)
{
    tuff_jinja_args rest = *args;
    if (count) rest.items += count; /* there are none: NULL */
    rest.count -= count;
    return rest;
}

bool tuff_jinja_filter_map(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                           tuff_jinja_value *out)
{
    tuff_jinja_value given[2] = {0};
    tuff_jinja_args rest = {0};
    tuff_jinja_list *items, *list = tuff_jinja_list_new(run, 0);
    if (!list) return false;
    if (!args->count) {
        if (!tuff_jinja_bind(run, "map", "attribute default", args, given)) return false;
        if (given[0].kind == TUFF_JINJA_MISSING)
            return tuff_jinja_fail(run, "map needs a filter or an attribute");
    } else {
        if (args->items[0].kind != TUFF_JINJA_TEXT)
            return tuff_jinja_fail(run, "map has a %s where a filter's name is expected",
                                   tuff_jinja_type(&args->items[0]));
        rest = behind(args, 1);
    }
    *out = tuff_jinja_iterator(list);
    if (!tuff_jinja_truth(value)) return true; /* None, too */
    if (!tuff_jinja_items(run, value, &items)) return false;
    for (size_t i = 0; i < items->count; i++) {
        tuff_jinja_value made;
        const bool good = tuff_jinja_enter(run) && tuff_jinja_spend(run, 1) &&
                          (args->count ? tuff_jinja_filter(run, tuff_jinja_text_of(&args->items[0]),
                                                           &items->items[i], &rest, &made)
                                       : tuff_jinja_path(run, &items->items[i], &given[0], &given[1], &made));
        tuff_jinja_leave(run);
        if (!good || !tuff_jinja_list_add(run, list, made)) return false;
    }
    return true;
}

/* select, reject and those by an attribute: the items of which a test, or else their truth, holds or not. */
static bool choose(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                   bool attribute, bool wanted, tuff_jinja_value *out)
{
    tuff_jinja_list *items, *list = tuff_jinja_list_new(run, 0);
    const size_t name = attribute;
    if (!list) return false;
    if (args->count < name) return tuff_jinja_fail(run, "selectattr needs the name of an attribute");
    const bool tests = args->count > name;
    if (tests && args->items[name].kind != TUFF_JINJA_TEXT)
        return tuff_jinja_fail(run, "the name of a test is a %s", tuff_jinja_type(&args->items[name]));
    const tuff_jinja_args rest = behind(args, name + tests);
    *out = tuff_jinja_iterator(list);
    if (!tuff_jinja_truth(value)) return true; /* None, too */
    if (!tuff_jinja_items(run, value, &items)) return false;
    for (size_t i = 0; i < items->count; i++) {
        tuff_jinja_value seen = items->items[i];
        bool holds;
        if (!tuff_jinja_spend(run, 1)) return false;
        if (attribute &&
            !tuff_jinja_path(run, &items->items[i], &args->items[0], &(tuff_jinja_value){0}, &seen))
            return false;
        holds = tuff_jinja_truth(&seen);
        if (tests && !tuff_jinja_test(run, tuff_jinja_text_of(&args->items[name]), &seen, &rest, &holds))
            return false;
        if (holds == wanted && !tuff_jinja_list_add(run, list, items->items[i])) return false;
    }
    return true;
}

bool tuff_jinja_filter_select(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    return choose(run, value, args, false, true, out);
}

bool tuff_jinja_filter_reject(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    return choose(run, value, args, false, false, out);
}

bool tuff_jinja_filter_selectattr(tuff_jinja_run *run, const tuff_jinja_value *value,
                                  const tuff_jinja_args *args, tuff_jinja_value *out)
{
    return choose(run, value, args, true, true, out);
}

bool tuff_jinja_filter_rejectattr(tuff_jinja_run *run, const tuff_jinja_value *value,
                                  const tuff_jinja_args *args, tuff_jinja_value *out)
{
    return choose(run, value, args, true, false, out);
}

bool tuff_jinja_filter_items(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(run, 0);
    if (!list || !tuff_jinja_bind(run, "items", "", args, NULL)) return false;
    if (value->kind != TUFF_JINJA_DICT && value->kind != TUFF_JINJA_UNDEFINED)
        return tuff_jinja_fail(run, "items is of a %s, not of a dict", tuff_jinja_type(value));
    for (size_t i = 0; value->kind == TUFF_JINJA_DICT && i < value->as.dict->count; i++) {
        tuff_jinja_value pair;
        if (!tuff_jinja_pair(run, value->as.dict->pairs[2 * i], value->as.dict->pairs[2 * i + 1], &pair) ||
            !tuff_jinja_list_add(run, list, pair))
            return false;
    }
    *out = tuff_jinja_iterator(list);
    return true;
}

/* Items [begin, end) as a list, then `fill` so many times. */
static bool cut(tuff_jinja_run *run, const tuff_jinja_list *items, size_t begin, size_t end, size_t fills,
                const tuff_jinja_value *fill, tuff_jinja_list *into)
{
    tuff_jinja_list *one = tuff_jinja_list_new(run, end - begin + fills);
    if (!one) return false;
    for (size_t i = begin; i < end; i++)
        one->items[one->count++] = items->items[i];
    for (size_t i = 0; i < fills; i++)
        one->items[one->count++] = *fill;
    return tuff_jinja_list_add(run, into, tuff_jinja_list_value(TUFF_JINJA_LIST, one));
}

bool tuff_jinja_filter_batch(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    tuff_jinja_list *items, *list = tuff_jinja_list_new(run, 0);
    int64_t size = 0;
    if (!list || !tuff_jinja_bind(run, "batch", "linecount fill_with", args, given) ||
        !tuff_jinja_arg_int(run, "the size of batch", &given[0], &size) ||
        !tuff_jinja_items(run, value, &items))
        return false;
    if (size < 1 || size > 100000) return tuff_jinja_fail(run, "batch makes groups of 1 to 100000 items");
    const size_t step = (size_t)size;
    for (size_t i = 0; i < items->count; i += step) {
        const size_t end = items->count - i < step ? items->count : i + step;
        const size_t fills = tuff_jinja_given(&given[1]) ? step - (end - i) : 0;
        if (!tuff_jinja_spend(run, 1) || !cut(run, items, i, end, fills, &given[1], list)) return false;
    }
    *out = tuff_jinja_iterator(list);
    return true;
}

bool tuff_jinja_filter_slice(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    tuff_jinja_list *items, *list = tuff_jinja_list_new(run, 0);
    int64_t slices = 0;
    if (!list || !tuff_jinja_bind(run, "slice", "slices fill_with", args, given) ||
        !tuff_jinja_arg_int(run, "the number of slices", &given[0], &slices) ||
        !tuff_jinja_items(run, value, &items))
        return false;
    if (slices < 1 || slices > 100000) return tuff_jinja_fail(run, "slice makes 1 to 100000 slices");
    const size_t count = (size_t)slices, each = items->count / count, extra = items->count % count;
    for (size_t i = 0, at = 0; i < count; i++) {
        const size_t end = at + each + (i < extra);
        const size_t fills = tuff_jinja_given(&given[1]) && i >= extra;
        if (!tuff_jinja_spend(run, 1) || !cut(run, items, at, end, fills, &given[1], list)) return false;
        at = end;
    }
    *out = tuff_jinja_iterator(list);
    return true;
}
