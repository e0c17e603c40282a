/* Filters that order, group and add up. */
#include <string.h>

#include "jinja/filters.h"
#include "jinja/strings.h"

bool tuff_jinja_fold(tuff_jinja_run *run, tuff_jinja_value *value)
{
    const tuff_jinja_value text = *value;
    return text.kind != TUFF_JINJA_TEXT || tuff_jinja_change_case(run, TUFF_JINJA_LOWER, &text, value);
}

/* A merge sort of places: it needs no more than `<`, and keeps the order of equal ones. */
static bool merge(tuff_jinja_run *run, const tuff_jinja_value *keys, size_t *places, size_t *spare,
                  size_t count, bool reverse)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            const size_t middle = begin + width < count ? begin + width : count;
            const size_t end = middle + width < count ? middle + width : count;
            size_t a = begin, b = middle;
            for (size_t to = begin; to < end; to++) {
                int order = -1;
                if (a < middle && b < end &&
                    !tuff_jinja_compare(run, &keys[places[b]], &keys[places[a]], &order))
                    return false;
                if (order == 2) order = 0; /* NaN has no order */
                const bool second = a == middle || (b < end && (reverse ? order > 0 : order < 0));
                spare[to] = places[second ? b++ : a++];
            }
        }
        memcpy(places, spare, count * sizeof *places);
    }
    return true;
}

bool tuff_jinja_sort(tuff_jinja_run *run, const tuff_jinja_value *keys, tuff_jinja_value *items, size_t count,
                     bool reverse)
{
    if (count < 2) return true;
    size_t *places = tuff_jinja_array(run, 2 * count, sizeof *places);
    tuff_jinja_value *sorted = tuff_jinja_array(run, count, sizeof *sorted);
    if (!places || !sorted) return false;
    for (size_t i = 0; i < count; i++)
        places[i] = i;
    if (!merge(run, keys, places, places + count, count, reverse)) return false;
    for (size_t i = 0; i < count; i++)
        sorted[i] = items[places[i]];
    memcpy(items, sorted, count * sizeof *items);
    return true;
}

/* A copy of a list, and a key for each item: by an attribute, or several by commas, without case. */
static bool with_keys(tuff_jinja_run *run, const tuff_jinja_list *items, const tuff_jinja_value *attribute,
                      const tuff_jinja_value *otherwise, bool fold, bool several, tuff_jinja_list **out_copy,
                      tuff_jinja_value **out_keys)
{
    tuff_jinja_value paths = tuff_jinja_list_value(TUFF_JINJA_LIST, NULL);
    tuff_jinja_list *copy = tuff_jinja_list_new(run, items->count);
    tuff_jinja_value *keys = tuff_jinja_array(run, items->count, sizeof *keys);
    if (!copy || !keys) return false;
    several = several && attribute->kind == TUFF_JINJA_TEXT;
    if (several &&
        !tuff_jinja_split(run, tuff_jinja_text_of(attribute), (tuff_view){",", 1}, -1, false, &paths))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        const tuff_jinja_value item = items->items[i];
        copy->items[copy->count++] = item;
        if (!several) {
            if (!tuff_jinja_path(run, &item, attribute, otherwise, &keys[i]) ||
                (fold && !tuff_jinja_fold(run, &keys[i])))
                return false;
            continue;
        }
        tuff_jinja_list *all = tuff_jinja_list_new(run, paths.as.list->count);
        if (!all) return false;
        for (size_t k = 0; k < paths.as.list->count; k++) {
            tuff_jinja_value *key = &all->items[all->count++];
            if (!tuff_jinja_path(run, &item, &paths.as.list->items[k], otherwise, key) ||
                (fold && !tuff_jinja_fold(run, key)))
                return false;
        }
        keys[i] = tuff_jinja_list_value(TUFF_JINJA_LIST, all);
    }
    *out_copy = copy;
    *out_keys = keys;
    return true;
}

bool tuff_jinja_filter_sort(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    tuff_jinja_value given[3], *keys;
    tuff_jinja_list *items, *copy;
    if (!tuff_jinja_bind(run, "sort", "reverse case_sensitive attribute", args, given) ||
        !tuff_jinja_items(run, value, &items) ||
        !with_keys(run, items, &given[2], &(tuff_jinja_value){0}, !tuff_jinja_truth(&given[1]), true, &copy,
                   &keys) ||
        !tuff_jinja_sort(run, keys, copy->items, copy->count, tuff_jinja_truth(&given[0])))
        return false;
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, copy);
    return true;
}

/* Pairs of a dict by their key (0) or value (1). */
static bool sorted_pairs(tuff_jinja_run *run, const tuff_jinja_dict *dict, size_t by, bool fold, bool reverse,
                         tuff_jinja_list **out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(run, dict->count);
    tuff_jinja_value *keys = tuff_jinja_array(run, dict->count, sizeof *keys);
    if (!list || !keys) return false;
    for (size_t i = 0; i < dict->count; i++) {
        const tuff_jinja_value *pair = &dict->pairs[2 * i];
        keys[i] = pair[by];
        if ((fold && !tuff_jinja_fold(run, &keys[i])) ||
            !tuff_jinja_pair(run, pair[0], pair[1], &list->items[list->count++]))
            return false;
    }
    *out = list;
    return tuff_jinja_sort(run, keys, list->items, list->count, reverse);
}

bool tuff_jinja_filter_dictsort(tuff_jinja_run *run, const tuff_jinja_value *value,
                                const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[3];
    tuff_jinja_list *list;
    tuff_view by = {"key", 3};
    if (!tuff_jinja_bind(run, "dictsort", "case_sensitive by reverse", args, given) ||
        !tuff_jinja_arg_text(run, "what dictsort sorts by", &given[1], &by))
        return false;
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (value->kind != TUFF_JINJA_DICT)
        return tuff_jinja_fail(run, "dictsort is of a %s, not of a dict", tuff_jinja_type(value));
    if (!tuff_view_is(by, "key") && !tuff_view_is(by, "value"))
        return tuff_jinja_fail(run, "dictsort sorts by 'key' or 'value'");
    if (!sorted_pairs(run, value->as.dict, tuff_view_is(by, "value"), !tuff_jinja_truth(&given[0]),
                      tuff_jinja_truth(&given[2]), &list))
        return false;
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, list);
    return true;
}

bool tuff_jinja_sort_dict(tuff_jinja_run *run, const tuff_jinja_dict *dict, tuff_jinja_value *out)
{
    tuff_jinja_list *pairs;
    tuff_jinja_dict *sorted = tuff_jinja_dict_new(run);
    if (!sorted || !sorted_pairs(run, dict, 0, false, false, &pairs)) return false;
    for (size_t i = 0; i < pairs->count; i++) {
        const tuff_jinja_value *pair = pairs->items[i].as.list->items;
        if (!tuff_jinja_dict_put(run, sorted, pair[0], pair[1])) return false;
    }
    *out = tuff_jinja_dict_value(TUFF_JINJA_DICT, sorted);
    return true;
}

bool tuff_jinja_filter_unique(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    tuff_jinja_value given[2], *keys;
    tuff_jinja_list *items, *copy, *list = tuff_jinja_list_new(run, 0);
    tuff_jinja_dict *seen = tuff_jinja_dict_new(run);
    if (!list || !seen || !tuff_jinja_bind(run, "unique", "case_sensitive attribute", args, given) ||
        !tuff_jinja_items(run, value, &items) ||
        !with_keys(run, items, &given[1], &(tuff_jinja_value){0}, !tuff_jinja_truth(&given[0]), false, &copy,
                   &keys))
        return false;
    for (size_t i = 0; i < copy->count; i++) {
        const size_t before = seen->count;
        if (!tuff_jinja_dict_put(run, seen, keys[i], tuff_jinja_none())) return false;
        if (seen->count > before && !tuff_jinja_list_add(run, list, copy->items[i])) return false;
    }
    *out = tuff_jinja_iterator(list);
    return true;
}

bool tuff_jinja_filter_groupby(tuff_jinja_run *run, const tuff_jinja_value *value,
                               const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[3], *keys, *again;
    tuff_jinja_list *items, *copy, *list = tuff_jinja_list_new(run, 0), *group = NULL;
    if (!list || !tuff_jinja_bind(run, "groupby", "attribute default case_sensitive", args, given) ||
        !tuff_jinja_items(run, value, &items))
        return false;
    const bool fold = !tuff_jinja_truth(&given[2]);
    if (!with_keys(run, items, &given[0], &given[1], fold, false, &copy, &keys) ||
        !tuff_jinja_sort(run, keys, copy->items, copy->count, false) ||
        !with_keys(run, copy, &given[0], &given[1], fold, false, &copy, &again))
        return false;
    for (size_t i = 0; i < copy->count; i++) {
        tuff_jinja_value key, pair;
        if (!group || !tuff_jinja_equal(run, &again[i], &again[i - 1])) {
            group = tuff_jinja_list_new(run, 0);
            if (!group || !tuff_jinja_path(run, &copy->items[i], &given[0], &given[1], &key) ||
                !tuff_jinja_pair(run, key, tuff_jinja_list_value(TUFF_JINJA_LIST, group), &pair) ||
                !tuff_jinja_list_add(run, list, pair))
                return false;
        }
        if (!tuff_jinja_list_add(run, group, copy->items[i])) return false;
    }
    *out = tuff_jinja_list_value(TUFF_JINJA_LIST, list);
    return run->status == TUFF_OK;
}

bool tuff_jinja_filter_sum(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                           tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    tuff_jinja_list *items;
    if (!tuff_jinja_bind(run, "sum", "attribute start", args, given) || !tuff_jinja_items(run, value, &items))
        return false;
    *out = given[1].kind == TUFF_JINJA_MISSING ? tuff_jinja_int(0) : given[1];
    if (out->kind == TUFF_JINJA_TEXT) return tuff_jinja_fail(run, "sum adds no texts; join does");
    for (size_t i = 0; i < items->count; i++) {
        tuff_jinja_value one;
        const tuff_jinja_value before = *out;
        if (!tuff_jinja_spend(run, 1) ||
            !tuff_jinja_path(run, &items->items[i], &given[0], &(tuff_jinja_value){0}, &one) ||
            !tuff_jinja_operate(run, TUFF_JINJA_ADD, &before, &one, out))
            return false;
    }
    return true;
}

static bool extreme(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args, int sign,
                    tuff_jinja_value *out)
{
    tuff_jinja_value given[2], *keys;
    tuff_jinja_list *items, *copy;
    size_t best = 0;
    if (!tuff_jinja_bind(run, sign > 0 ? "max" : "min", "case_sensitive attribute", args, given) ||
        !tuff_jinja_items(run, value, &items) ||
        !with_keys(run, items, &given[1], &(tuff_jinja_value){0}, !tuff_jinja_truth(&given[0]), false, &copy,
                   &keys))
        return false;
    for (size_t i = 1; i < copy->count; i++) {
        int order;
        if (!tuff_jinja_compare(run, &keys[i], &keys[best], &order)) return false;
        if (order != 2 && order * sign > 0) best = i;
    }
    *out = copy->count ? copy->items[best] : tuff_jinja_literal("the least or largest of no items");
    if (!copy->count) out->kind = TUFF_JINJA_UNDEFINED;
    return true;
}

bool tuff_jinja_filter_min(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                           tuff_jinja_value *out)
{
    return extreme(run, value, args, -1, out);
}

bool tuff_jinja_filter_max(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                           tuff_jinja_value *out)
{
    return extreme(run, value, args, 1, out);
}
