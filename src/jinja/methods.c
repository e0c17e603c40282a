/* Methods of values by name: those of lists, dicts and loops; those that the sandbox forbids. */
#include "jinja/methods.h"

#include <string.h>

#include "jinja/strings.h"

static bool dict_get(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                     tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    if (!tuff_jinja_bind(run, "get", "key default", args, given)) return false;
    const tuff_jinja_value *found = tuff_jinja_dict_get(run, self->as.dict, &given[0]);
    *out = given[1].kind == TUFF_JINJA_MISSING ? tuff_jinja_none() : given[1];
    if (found) *out = *found;
    return run->status == TUFF_OK;
}

static bool dict_view(tuff_jinja_run *run, const tuff_jinja_value *self, tuff_jinja_kind kind,
                      const tuff_jinja_args *args, tuff_jinja_value *out)
{
    const tuff_jinja_dict *dict = self->as.dict;
    tuff_jinja_list *list = tuff_jinja_list_new(run, dict->count);
    if (!list || !tuff_jinja_bind(run, "items", "", args, NULL) || !tuff_jinja_spend(run, dict->count))
        return false;
    for (size_t i = 0; i < dict->count; i++) {
        tuff_jinja_value *item = &list->items[list->count++];
        *item = dict->pairs[2 * i + (kind == TUFF_JINJA_VALUES)];
        if (kind == TUFF_JINJA_ITEMS &&
            !tuff_jinja_pair(run, dict->pairs[2 * i], dict->pairs[2 * i + 1], item))
            return false;
    }
    *out = tuff_jinja_list_value(kind, list);
    return true;
}

static bool dict_items(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                       tuff_jinja_value *out)
{
    return dict_view(run, self, TUFF_JINJA_ITEMS, args, out);
}

static bool dict_keys(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                      tuff_jinja_value *out)
{
    return dict_view(run, self, TUFF_JINJA_KEYS, args, out);
}

static bool dict_values(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                        tuff_jinja_value *out)
{
    return dict_view(run, self, TUFF_JINJA_VALUES, args, out);
}

/* Nothing changes a value, so it is its own copy. */
static bool copy(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                 tuff_jinja_value *out)
{
    *out = *self;
    return tuff_jinja_bind(run, "copy", "", args, NULL);
}

static bool list_index(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                       tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    if (!tuff_jinja_bind(run, "index", "value", args, given)) return false;
    for (size_t i = 0; i < self->as.list->count; i++) {
        if (!tuff_jinja_equal(run, &self->as.list->items[i], &given[0])) continue;
        *out = tuff_jinja_int((int64_t)i);
        return true;
    }
    return tuff_jinja_fail(run, "index finds no such item in a list");
}

static bool list_count(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                       tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    int64_t count = 0;
    if (!tuff_jinja_bind(run, "count", "value", args, given)) return false;
    for (size_t i = 0; i < self->as.list->count; i++)
        count += tuff_jinja_equal(run, &self->as.list->items[i], &given[0]);
    *out = tuff_jinja_int(count);
    return run->status == TUFF_OK;
}

static bool loop_cycle(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                       tuff_jinja_value *out)
{
    return tuff_jinja_loop_cycle(run, self->as.loop, args, out);
}

static bool loop_changed(tuff_jinja_run *run, const tuff_jinja_value *self, const tuff_jinja_args *args,
                         tuff_jinja_value *out)
{
    return tuff_jinja_loop_changed(run, self->as.loop, args, out);
}

/* Of other values than texts; a NULL: it would change what it is of. */
static const struct {
    tuff_jinja_kind of;
    const char *name;
    tuff_jinja_method_fn fn;
} methods[] = {{TUFF_JINJA_DICT, "get", dict_get},
               {TUFF_JINJA_DICT, "items", dict_items},
               {TUFF_JINJA_DICT, "keys", dict_keys},
               {TUFF_JINJA_DICT, "values", dict_values},
               {TUFF_JINJA_DICT, "copy", copy},
               {TUFF_JINJA_DICT, "clear", NULL},
               {TUFF_JINJA_DICT, "pop", NULL},
               {TUFF_JINJA_DICT, "popitem", NULL},
               {TUFF_JINJA_DICT, "setdefault", NULL},
               {TUFF_JINJA_DICT, "update", NULL},
               {TUFF_JINJA_LIST, "index", list_index},
               {TUFF_JINJA_LIST, "count", list_count},
               {TUFF_JINJA_LIST, "copy", copy},
               {TUFF_JINJA_LIST, "append", NULL},
               {TUFF_JINJA_LIST, "clear", NULL},
               {TUFF_JINJA_LIST, "extend", NULL},
               {TUFF_JINJA_LIST, "insert", NULL},
               {TUFF_JINJA_LIST, "pop", NULL},
               {TUFF_JINJA_LIST, "remove", NULL},
               {TUFF_JINJA_LIST, "reverse", NULL},
               {TUFF_JINJA_LIST, "sort", NULL},
               {TUFF_JINJA_TUPLE, "index", list_index},
               {TUFF_JINJA_TUPLE, "count", list_count},
               {TUFF_JINJA_RANGE, "index", list_index},
               {TUFF_JINJA_RANGE, "count", list_count},
               {TUFF_JINJA_LOOP, "cycle", loop_cycle},
               {TUFF_JINJA_LOOP, "changed", loop_changed}};
enum { METHODS = sizeof methods / sizeof *methods };

bool tuff_jinja_find_method(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_view name,
                            tuff_jinja_value *out)
{
    size_t which = 0;
    *out = (tuff_jinja_value){0};
    if (value->kind == TUFF_JINJA_TEXT) {
        which = METHODS + tuff_jinja_text_method(name);
        if (which == METHODS + TUFF_JINJA_NO_METHOD) return true;
    } else {
        while (which < METHODS &&
               !(methods[which].of == value->kind && tuff_view_is(name, methods[which].name)))
            which++;
        if (which == METHODS) return true;
        if (!methods[which].fn) {
            *out = tuff_jinja_view(name);
            out->kind = TUFF_JINJA_UNDEFINED;
            out->of = value->kind;
            out->forbidden = true;
            return true;
        }
    }
    tuff_jinja_method *method = tuff_jinja_alloc(run, sizeof *method);
    if (!method) return false;
    *method = (tuff_jinja_method){*value, which};
    *out = (tuff_jinja_value){.kind = TUFF_JINJA_METHOD, .as.method = method};
    return true;
}

bool tuff_jinja_call_method(tuff_jinja_run *run, const tuff_jinja_method *method, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    if (method->method < METHODS) return methods[method->method].fn(run, &method->self, args, out);
    return tuff_jinja_call_text_method(run, method->method - METHODS, &method->self, args, out);
}
