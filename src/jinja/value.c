#include "jinja/value.h"

#include <math.h>
#include <string.h>

#include "jinja/run.h"

tuff_jinja_value tuff_jinja_none(void)
{
    return (tuff_jinja_value){.kind = TUFF_JINJA_NONE};
}

tuff_jinja_value tuff_jinja_bool(bool truth)
{
    return (tuff_jinja_value){.kind = TUFF_JINJA_BOOL, .as.truth = truth};
}

tuff_jinja_value tuff_jinja_int(int64_t integer)
{
    return (tuff_jinja_value){.kind = TUFF_JINJA_INT, .as.integer = integer};
}

tuff_jinja_value tuff_jinja_float(double real)
{
    return (tuff_jinja_value){.kind = TUFF_JINJA_FLOAT, .as.real = real};
}

tuff_jinja_value tuff_jinja_view(tuff_view text)
{
    return (tuff_jinja_value){
        .kind = TUFF_JINJA_TEXT, .size = (uint32_t)text.size, .as.text = text.data ? text.data : ""};
}

tuff_jinja_value tuff_jinja_literal(const char *text)
{
    return tuff_jinja_view(tuff_view_of(text));
}

tuff_view tuff_jinja_text_of(const tuff_jinja_value *value)
{
    return (tuff_view){value->as.text, value->size};
}

bool tuff_jinja_is_number(const tuff_jinja_value *value)
{
    return value->kind >= TUFF_JINJA_BOOL && value->kind <= TUFF_JINJA_FLOAT;
}

bool tuff_jinja_as_int(const tuff_jinja_value *value, int64_t *out)
{
    if (value->kind == TUFF_JINJA_BOOL)
        *out = value->as.truth;
    else if (value->kind == TUFF_JINJA_INT)
        *out = value->as.integer;
    else
        return false;
    return true;
}

double tuff_jinja_as_float(const tuff_jinja_value *value)
{
    int64_t integer = 0;
    return tuff_jinja_as_int(value, &integer) ? (double)integer : value->as.real;
}

bool tuff_jinja_is_list(const tuff_jinja_value *value)
{
    return value->kind >= TUFF_JINJA_LIST && value->kind <= TUFF_JINJA_ITERATOR;
}

bool tuff_jinja_is_iterable(const tuff_jinja_value *value)
{
    return tuff_jinja_is_list(value) || value->kind == TUFF_JINJA_TEXT || value->kind == TUFF_JINJA_DICT ||
           value->kind == TUFF_JINJA_UNDEFINED || value->kind == TUFF_JINJA_LOOP;
}

bool tuff_jinja_truth(const tuff_jinja_value *value)
{
    switch ((tuff_jinja_kind)value->kind) {
    case TUFF_JINJA_MISSING:
    case TUFF_JINJA_UNDEFINED:
    case TUFF_JINJA_NONE:
        return false;
    case TUFF_JINJA_BOOL:
        return value->as.truth;
    case TUFF_JINJA_INT:
        return value->as.integer != 0;
    case TUFF_JINJA_FLOAT:
        return value->as.real != 0;
    case TUFF_JINJA_TEXT:
        return value->size > 0;
    case TUFF_JINJA_LIST:
    case TUFF_JINJA_TUPLE:
    case TUFF_JINJA_RANGE:
    case TUFF_JINJA_KEYS:
    case TUFF_JINJA_VALUES:
    case TUFF_JINJA_ITEMS:
        return value->as.list->count > 0;
    case TUFF_JINJA_DICT:
        return value->as.dict->count > 0;
    case TUFF_JINJA_ITERATOR:
    case TUFF_JINJA_NAMESPACE:
    case TUFF_JINJA_MACRO:
    case TUFF_JINJA_FUNCTION:
    case TUFF_JINJA_METHOD:
    case TUFF_JINJA_LOOP:
        break;
    }
    return true;
}

const char *tuff_jinja_type(const tuff_jinja_value *value)
{
    static const char *const names[] = {"missing",
                                        "Undefined",
                                        "NoneType",
                                        "bool",
                                        "int",
                                        "float",
                                        "str",
                                        "list",
                                        "tuple",
                                        "range",
                                        "dict_keys",
                                        "dict_values",
                                        "dict_items",
                                        "generator",
                                        "dict",
                                        "Namespace",
                                        "Macro",
                                        "function",
                                        "builtin_function_or_method",
                                        "LoopContext"};
    return names[value->kind];
}

/* Python's ints and floats are compared by their exact values. */
static int compare_numbers(const tuff_jinja_value *a, const tuff_jinja_value *b, bool *unordered)
{
    int64_t x = 0, y = 0;
    *unordered = false;
    const bool x_int = tuff_jinja_as_int(a, &x), y_int = tuff_jinja_as_int(b, &y);
    if (x_int && y_int) return x < y ? -1 : x > y;
    const double p = tuff_jinja_as_float(a), q = tuff_jinja_as_float(b);
    *unordered = isnan(p) || isnan(q);
    if (p != q || x_int == y_int) return p < q ? -1 : p > q;
    /* The int was rounded to the very float: a float of this size is an int, but for 2^63. */
    const double real = x_int ? q : p;
    const int64_t integer = x_int ? x : y;
    int order = real >= 9223372036854775808.0 ? -1 : 0;
    if (!order) order = integer < (int64_t)real ? -1 : integer > (int64_t)real;
    return x_int ? order : -order;
}

static bool equal_lists(tuff_jinja_run *run, const tuff_jinja_list *a, const tuff_jinja_list *b)
{
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!tuff_jinja_equal(run, &a->items[i], &b->items[i])) return false;
    return true;
}

static bool equal_dicts(tuff_jinja_run *run, const tuff_jinja_dict *a, const tuff_jinja_dict *b)
{
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const tuff_jinja_value *other = tuff_jinja_dict_get(run, b, &a->pairs[2 * i]);
        if (!other || !tuff_jinja_equal(run, &a->pairs[2 * i + 1], other)) return false;
    }
    return true;
}

static bool equal_deep(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b)
{
    if (!tuff_jinja_spend(run, 1)) return false;
    if (tuff_jinja_is_number(a) && tuff_jinja_is_number(b)) {
        bool unordered;
        return compare_numbers(a, b, &unordered) == 0 && !unordered;
    }
    if (a->kind != b->kind) return false;
    switch ((tuff_jinja_kind)a->kind) {
    case TUFF_JINJA_TEXT:
        return tuff_jinja_spend_bytes(run, a->size) &&
               tuff_view_equal(tuff_jinja_text_of(a), tuff_jinja_text_of(b));
    case TUFF_JINJA_LIST:
    case TUFF_JINJA_TUPLE:
    case TUFF_JINJA_RANGE:
        return a->as.list == b->as.list || equal_lists(run, a->as.list, b->as.list);
    case TUFF_JINJA_DICT:
        return a->as.dict == b->as.dict || equal_dicts(run, a->as.dict, b->as.dict);
    case TUFF_JINJA_FUNCTION:
        return a->as.function == b->as.function;
    case TUFF_JINJA_UNDEFINED:
    case TUFF_JINJA_NONE:
        return true;
    default:
        return a->as.list == b->as.list; /* the very same one */
    }
}

bool tuff_jinja_equal(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b)
{
    const bool equal = tuff_jinja_enter(run) && equal_deep(run, a, b);
    tuff_jinja_leave(run);
    return equal;
}

static bool compare_lists(tuff_jinja_run *run, const tuff_jinja_list *a, const tuff_jinja_list *b, int *out)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (!tuff_jinja_equal(run, &a->items[i], &b->items[i]))
            return tuff_jinja_compare(run, &a->items[i], &b->items[i], out);
    *out = a->count < b->count ? -1 : a->count > b->count;
    return true;
}

static bool compare_deep(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b, int *out)
{
    bool unordered = false;
    if (!tuff_jinja_spend(run, 1)) return false;
    if (tuff_jinja_is_number(a) && tuff_jinja_is_number(b)) {
        *out = compare_numbers(a, b, &unordered);
        if (unordered) *out = 2;
        return true;
    }
    if (a->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, a);
    if (b->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, b);
    if (a->kind == TUFF_JINJA_TEXT && b->kind == TUFF_JINJA_TEXT) {
        const size_t least = a->size < b->size ? a->size : b->size;
        if (!tuff_jinja_spend_bytes(run, least)) return false;
        const int order = least ? memcmp(a->as.text, b->as.text, least) : 0;
        *out = order < 0 ? -1 : order > 0;
        if (!*out) *out = a->size < b->size ? -1 : a->size > b->size;
        return true;
    }
    if (a->kind == b->kind && (a->kind == TUFF_JINJA_LIST || a->kind == TUFF_JINJA_TUPLE))
        return compare_lists(run, a->as.list, b->as.list, out);
    return tuff_jinja_fail(run, "%s and %s are compared, which have no order", tuff_jinja_type(a),
                           tuff_jinja_type(b));
}

bool tuff_jinja_compare(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b, int *out)
{
    const bool good = tuff_jinja_enter(run) && compare_deep(run, a, b, out) && run->status == TUFF_OK;
    tuff_jinja_leave(run);
    return good;
}
