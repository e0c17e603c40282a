/* x.name, x[key], x[from:to:step], len(x), and going through x. */
#include <string.h>

#include "jinja/run.h"
#include "jinja/strings.h"

static void undefined(const tuff_jinja_value *of, tuff_view name, tuff_jinja_value *out)
{
    *out = tuff_jinja_view(name);
    out->kind = TUFF_JINJA_UNDEFINED;
    out->of = of->kind;
}

/* A method or a member that is not an item; MISSING: there is none. */
static bool own(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_view name, tuff_jinja_value *out)
{
    *out = (tuff_jinja_value){0};
    if (value->kind == TUFF_JINJA_LOOP) {
        if (!tuff_jinja_loop_member(run, value->as.loop, name, out)) return false;
        if (out->kind != TUFF_JINJA_MISSING) return true;
    }
    if (value->kind == TUFF_JINJA_NAMESPACE) {
        const tuff_jinja_value key = tuff_jinja_view(name);
        const tuff_jinja_value *found = tuff_jinja_dict_get(run, value->as.dict, &key);
        if (found) *out = *found;
        return run->status == TUFF_OK;
    }
    return tuff_jinja_find_method(run, value, name, out);
}

bool tuff_jinja_attribute(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_view name,
                          tuff_jinja_value *out)
{
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (!own(run, value, name, out)) return false;
    if (out->kind != TUFF_JINJA_MISSING) return true;
    if (value->kind == TUFF_JINJA_DICT) {
        const tuff_jinja_value key = tuff_jinja_view(name);
        const tuff_jinja_value *found = tuff_jinja_dict_get(run, value->as.dict, &key);
        if (run->status != TUFF_OK) return false;
        if (found) {
            *out = *found;
            return true;
        }
    }
    undefined(value, name, out);
    return true;
}

/* The character at an index, from the end where that is below 0. */
static bool character(const tuff_jinja_value *value, int64_t index, tuff_jinja_value *out)
{
    const tuff_view text = tuff_jinja_text_of(value);
    if (index < 0) index += (int64_t)tuff_jinja_characters(text);
    if (index < 0) return false;
    const size_t begin = tuff_jinja_byte_of(text, (size_t)index);
    if (begin == text.size) return false;
    const tuff_view rest = {text.data + begin, text.size - begin};
    *out = tuff_jinja_view((tuff_view){rest.data, tuff_jinja_byte_of(rest, 1)});
    out->safe = value->safe;
    return true;
}

static bool indexed(const tuff_jinja_value *value, int64_t index, tuff_jinja_value *out)
{
    if (value->kind == TUFF_JINJA_TEXT) return character(value, index, out);
    if (value->kind < TUFF_JINJA_LIST || value->kind > TUFF_JINJA_RANGE) return false;
    if (index < 0) index += (int64_t)value->as.list->count;
    if (index < 0 || (uint64_t)index >= value->as.list->count) return false;
    *out = value->as.list->items[index];
    return true;
}

bool tuff_jinja_item(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_value *key,
                     tuff_jinja_value *out)
{
    int64_t index;
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (value->kind == TUFF_JINJA_DICT) {
        const tuff_jinja_value *found = tuff_jinja_dict_get(run, value->as.dict, key);
        if (run->status != TUFF_OK) return false;
        if (found) {
            *out = *found;
            return true;
        }
    } else if (tuff_jinja_as_int(key, &index)) {
        if (value->kind == TUFF_JINJA_TEXT && !tuff_jinja_spend_bytes(run, value->size)) return false;
        if (indexed(value, index, out)) return true;
    }
    if (key->kind == TUFF_JINJA_TEXT) {
        if (!own(run, value, tuff_jinja_text_of(key), out)) return false;
        if (out->kind != TUFF_JINJA_MISSING) return true;
    }
    undefined(value, key->kind == TUFF_JINJA_TEXT ? tuff_jinja_text_of(key) : tuff_view_of("such an item"),
              out);
    return true;
}

typedef struct range {
    int64_t start, stop, step, count;
} range;

/* Python's slice.indices. */
static bool indices(tuff_jinja_run *run, const tuff_jinja_value ends[3], int64_t size, range *out)
{
    int64_t step = 1;
    if (!tuff_jinja_arg_int(run, "the step of a slice", &ends[2], &step)) return false;
    if (!step) return tuff_jinja_fail(run, "a slice has the step 0");
    if (step < -INT64_MAX) step = -INT64_MAX;
    int64_t places[2] = {step > 0 ? 0 : size - 1, step > 0 ? size : -1};
    for (size_t i = 0; i < 2; i++) {
        int64_t at = 0;
        if (!tuff_jinja_given(&ends[i])) continue;
        if (!tuff_jinja_arg_int(run, "an end of a slice", &ends[i], &at)) return false;
        if (at < 0) at += size;
        if (at < 0) at = step > 0 ? 0 : -1;
        if (at >= size) at = step > 0 ? size : size - 1;
        places[i] = at;
    }
    *out = (range){places[0], places[1], step, 0};
    const int64_t way = step > 0 ? places[1] - places[0] : places[0] - places[1];
    if (way > 0) out->count = (way - 1) / (step > 0 ? step : -step) + 1;
    return true;
}

static bool slice_text(tuff_jinja_run *run, const tuff_jinja_value *value, const range *r,
                       tuff_jinja_value *out)
{
    const tuff_view text = tuff_jinja_text_of(value);
    tuff_buf buf = {0};
    if (r->step == 1) {
        const size_t begin = tuff_jinja_byte_of(text, (size_t)r->start);
        const tuff_view rest = {text.data + begin, text.size - begin};
        *out = tuff_jinja_view((tuff_view){rest.data, tuff_jinja_byte_of(rest, (size_t)r->count)});
        out->safe = value->safe;
        return true;
    }
    const size_t count = tuff_jinja_characters(text);
    uint32_t *starts = tuff_jinja_array(run, count + 1, sizeof *starts);
    if (!starts) return false;
    for (size_t at = 0, i = 0; i < count; i++) {
        starts[i] = (uint32_t)at;
        at += tuff_jinja_byte_of((tuff_view){text.data + at, text.size - at}, 1);
    }
    starts[count] = (uint32_t)text.size;
    for (int64_t i = 0, at = r->start; i < r->count; i++, at += i < r->count ? r->step : 0)
        tuff_buf_bytes(&buf, text.data + starts[at], starts[at + 1] - starts[at]);
    if (!tuff_jinja_take(run, &buf, out)) return false;
    out->safe = value->safe;
    return true;
}

bool tuff_jinja_slice(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_value *start,
                      const tuff_jinja_value *stop, const tuff_jinja_value *step, tuff_jinja_value *out)
{
    const tuff_jinja_value ends[3] = {*start, *stop, *step};
    const bool text = value->kind == TUFF_JINJA_TEXT;
    range r = {0};
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (!text && (value->kind < TUFF_JINJA_LIST || value->kind > TUFF_JINJA_RANGE)) {
        undefined(value, tuff_view_of("a slice"), out);
        return true;
    }
    if (text && !tuff_jinja_spend_bytes(run, value->size)) return false;
    const size_t size = text ? tuff_jinja_characters(tuff_jinja_text_of(value)) : value->as.list->count;
    if (!indices(run, ends, (int64_t)size, &r)) return false;
    if (text) return slice_text(run, value, &r, out);
    tuff_jinja_list *list = tuff_jinja_list_new(run, (size_t)r.count);
    if (!list || !tuff_jinja_spend(run, (size_t)r.count / 8)) return false;
    for (int64_t i = 0, at = r.start; i < r.count; i++, at += i < r.count ? r.step : 0)
        list->items[list->count++] = value->as.list->items[at];
    *out = tuff_jinja_list_value(value->kind == TUFF_JINJA_TUPLE ? TUFF_JINJA_TUPLE : TUFF_JINJA_LIST, list);
    return true;
}

bool tuff_jinja_length(tuff_jinja_run *run, const tuff_jinja_value *value, int64_t *out)
{
    tuff_jinja_value left;
    *out = 0;
    if (value->kind == TUFF_JINJA_UNDEFINED) return true;
    if (value->kind == TUFF_JINJA_TEXT)
        *out = (int64_t)tuff_jinja_characters(tuff_jinja_text_of(value));
    else if (value->kind == TUFF_JINJA_DICT)
        *out = (int64_t)value->as.dict->count;
    else if (tuff_jinja_is_list(value) && value->kind != TUFF_JINJA_ITERATOR)
        *out = (int64_t)value->as.list->count;
    else if (value->kind == TUFF_JINJA_LOOP) {
        if (!tuff_jinja_loop_member(run, value->as.loop, tuff_view_of("length"), &left)) return false;
        *out = left.as.integer;
    } else
        return tuff_jinja_fail(run, "a %s has no length", tuff_jinja_type(value));
    return tuff_jinja_spend_bytes(run, value->kind == TUFF_JINJA_TEXT ? value->size : 0);
}

static bool characters(tuff_jinja_run *run, tuff_view text, tuff_jinja_list **out)
{
    const size_t count = tuff_jinja_characters(text);
    tuff_jinja_list *list = tuff_jinja_list_new(run, count);
    if (!list || !tuff_jinja_spend(run, count)) return false;
    for (size_t at = 0; at < text.size;) {
        const size_t size = tuff_jinja_byte_of((tuff_view){text.data + at, text.size - at}, 1);
        list->items[list->count++] = tuff_jinja_view((tuff_view){text.data + at, size});
        at += size;
    }
    *out = list;
    return true;
}

bool tuff_jinja_items(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_list **out)
{
    if (value->kind == TUFF_JINJA_TEXT) return characters(run, tuff_jinja_text_of(value), out);
    if (tuff_jinja_is_list(value) && value->kind != TUFF_JINJA_ITERATOR) {
        *out = value->as.list;
        return true;
    }
    *out = tuff_jinja_list_new(run, 0);
    if (!*out) return false;
    if (value->kind == TUFF_JINJA_ITERATOR) {
        tuff_jinja_list *from = value->as.list;
        (*out)->items = from->count ? from->items + from->next : NULL;
        (*out)->count = (*out)->capacity = from->count - from->next;
        from->next = from->count;
        return true;
    }
    if (value->kind == TUFF_JINJA_DICT) {
        for (size_t i = 0; i < value->as.dict->count; i++)
            if (!tuff_jinja_list_add(run, *out, value->as.dict->pairs[2 * i])) return false;
        return tuff_jinja_spend(run, value->as.dict->count);
    }
    if (value->kind == TUFF_JINJA_UNDEFINED) return true; /* which has no items */
    return tuff_jinja_fail(run, "a %s cannot be gone through", tuff_jinja_type(value));
}
