/* Operators of values, as Python has them: + - * / // % **, comparisons, in. */
#include <math.h>
#include <string.h>

#include "jinja/format.h"
#include "jinja/run.h"
#include "jinja/strings.h"

static bool cannot(tuff_jinja_run *run, const char *what, const tuff_jinja_value *a,
                   const tuff_jinja_value *b)
{
    if (a->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, a);
    if (b->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, b);
    return tuff_jinja_fail(run, "%s cannot be done with a %s and a %s", what, tuff_jinja_type(a),
                           tuff_jinja_type(b));
}

static bool too_large(tuff_jinja_run *run)
{
    return tuff_jinja_fail(run, "a number does not fit 64 bits");
}

/* Rounded down, as Python does it. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static bool int_power(tuff_jinja_run *run, int64_t base, int64_t exponent, tuff_jinja_value *out)
{
    int64_t result = 1;
    if (exponent < 0) {
        if (!base) return tuff_jinja_fail(run, "0 is raised to a negative power");
        *out = tuff_jinja_float(pow((double)base, (double)exponent));
        return true;
    }
    for (bool more = exponent > 0; more; more = exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return too_large(run);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base)) return too_large(run);
    }
    *out = tuff_jinja_int(result);
    return true;
}

static bool with_ints(tuff_jinja_run *run, tuff_jinja_op op, int64_t a, int64_t b, tuff_jinja_value *out)
{
    int64_t result = 0;
    bool over = false;
    if ((op == TUFF_JINJA_DIV || op == TUFF_JINJA_FLOORDIV || op == TUFF_JINJA_MOD) && !b)
        return tuff_jinja_fail(run, "a number is divided by 0");
    if (op == TUFF_JINJA_DIV) {
        *out = tuff_jinja_float((double)a / (double)b);
        return true;
    }
    if (op == TUFF_JINJA_POW) return int_power(run, a, b, out);
    if (op == TUFF_JINJA_ADD) over = __builtin_add_overflow(a, b, &result);
    if (op == TUFF_JINJA_SUB) over = __builtin_sub_overflow(a, b, &result);
    if (op == TUFF_JINJA_MUL) over = __builtin_mul_overflow(a, b, &result);
    if (op == TUFF_JINJA_FLOORDIV) {
        over = a == INT64_MIN && b == -1;
        if (!over) result = floor_div(a, b);
    }
    if (op == TUFF_JINJA_MOD) result = b == -1 ? 0 : a - floor_div(a, b) * b;
    if (over) return too_large(run);
    *out = tuff_jinja_int(result);
    return true;
}

static bool with_floats(tuff_jinja_run *run, tuff_jinja_op op, double a, double b, tuff_jinja_value *out)
{
    double result = 0;
    if ((op == TUFF_JINJA_DIV || op == TUFF_JINJA_FLOORDIV || op == TUFF_JINJA_MOD) && b == 0)
        return tuff_jinja_fail(run, "a number is divided by 0");
    if (op == TUFF_JINJA_ADD) result = a + b;
    if (op == TUFF_JINJA_SUB) result = a - b;
    if (op == TUFF_JINJA_MUL) result = a * b;
    if (op == TUFF_JINJA_DIV) result = a / b;
    if (op == TUFF_JINJA_POW) result = pow(a, b);
    if (op == TUFF_JINJA_FLOORDIV || op == TUFF_JINJA_MOD) {
        double rest = fmod(a, b);
        const bool other_sign = rest != 0 && (rest < 0) != (b < 0);
        if (op == TUFF_JINJA_MOD)
            result = other_sign ? rest + b : rest != 0 ? rest : copysign(0.0, b);
        else
            result = round((a - rest) / b) - other_sign;
    }
    *out = tuff_jinja_float(result);
    return true;
}

static bool add_texts(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b,
                      tuff_jinja_value *out)
{
    tuff_jinja_value left = *a, right = *b;
    /* Markup escapes what it is joined with. */
    if (a->safe && !b->safe && !tuff_jinja_escape(run, tuff_jinja_text_of(b), &right)) return false;
    if (b->safe && !a->safe && !tuff_jinja_escape(run, tuff_jinja_text_of(a), &left)) return false;
    if (!tuff_jinja_append(run, tuff_jinja_text_of(&left), tuff_jinja_text_of(&right), out)) return false;
    out->safe = a->safe || b->safe;
    return true;
}

static bool add_lists(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b,
                      tuff_jinja_value *out)
{
    const tuff_jinja_list *const both[] = {a->as.list, b->as.list};
    tuff_jinja_list *list = tuff_jinja_list_new(run, both[0]->count + both[1]->count);
    if (!list || !tuff_jinja_spend(run, both[0]->count + both[1]->count)) return false;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < both[k]->count; i++)
            list->items[list->count++] = both[k]->items[i];
    *out = tuff_jinja_list_value((tuff_jinja_kind)a->kind, list);
    return true;
}

static bool repeat(tuff_jinja_run *run, const tuff_jinja_value *what, int64_t times, tuff_jinja_value *out)
{
    size_t total;
    const bool text = what->kind == TUFF_JINJA_TEXT;
    const size_t count = text ? what->size : what->as.list->count;
    if (times < 0) times = 0;
    if (!tuff_mul_size(count, (size_t)times, &total)) total = SIZE_MAX;
    if (!tuff_jinja_spend(run, total / 8)) return false;
    if (text) {
        tuff_buf buf = {0};
        if (total > run->limits.memory) return tuff_jinja_fail(run, "a text that is repeated is too long");
        for (int64_t i = 0; count && i < times; i++)
            tuff_buf_bytes(&buf, what->as.text, count);
        if (!tuff_jinja_take(run, &buf, out)) return false;
        out->safe = what->safe;
        return true;
    }
    tuff_jinja_list *list = tuff_jinja_list_new(run, total);
    if (!list) return false;
    for (; list->count < total; list->count++)
        list->items[list->count] = what->as.list->items[list->count % count];
    *out = tuff_jinja_list_value((tuff_jinja_kind)what->kind, list);
    return true;
}

static bool repeatable(const tuff_jinja_value *value)
{
    return value->kind == TUFF_JINJA_TEXT || value->kind == TUFF_JINJA_LIST ||
           value->kind == TUFF_JINJA_TUPLE;
}

bool tuff_jinja_operate(tuff_jinja_run *run, tuff_jinja_op op, const tuff_jinja_value *a,
                        const tuff_jinja_value *b, tuff_jinja_value *out)
{
    static const char *const names[] = {
        [TUFF_JINJA_ADD] = "+",       [TUFF_JINJA_SUB] = "-", [TUFF_JINJA_MUL] = "*", [TUFF_JINJA_DIV] = "/",
        [TUFF_JINJA_FLOORDIV] = "//", [TUFF_JINJA_MOD] = "%", [TUFF_JINJA_POW] = "**"};
    int64_t x = 0, y = 0;
    const bool ints = tuff_jinja_as_int(a, &x) && tuff_jinja_as_int(b, &y);
    if (ints) return with_ints(run, op, x, y, out);
    if (tuff_jinja_is_number(a) && tuff_jinja_is_number(b))
        return with_floats(run, op, tuff_jinja_as_float(a), tuff_jinja_as_float(b), out);
    if (op == TUFF_JINJA_ADD && a->kind == TUFF_JINJA_TEXT && b->kind == TUFF_JINJA_TEXT)
        return add_texts(run, a, b, out);
    if (op == TUFF_JINJA_ADD && a->kind == b->kind &&
        (a->kind == TUFF_JINJA_LIST || a->kind == TUFF_JINJA_TUPLE))
        return add_lists(run, a, b, out);
    if (op == TUFF_JINJA_MUL && repeatable(a) && tuff_jinja_as_int(b, &y)) return repeat(run, a, y, out);
    if (op == TUFF_JINJA_MUL && repeatable(b) && tuff_jinja_as_int(a, &x)) return repeat(run, b, x, out);
    if (op == TUFF_JINJA_MOD && a->kind == TUFF_JINJA_TEXT) return tuff_jinja_percent(run, a, b, out);
    return cannot(run, names[op], a, b);
}

bool tuff_jinja_negate(tuff_jinja_run *run, bool minus, const tuff_jinja_value *a, tuff_jinja_value *out)
{
    int64_t integer;
    if (a->kind == TUFF_JINJA_FLOAT) {
        *out = tuff_jinja_float(minus ? -a->as.real : a->as.real);
        return true;
    }
    if (!tuff_jinja_as_int(a, &integer)) return cannot(run, "a sign", a, a);
    if (minus && integer == INT64_MIN) return too_large(run);
    *out = tuff_jinja_int(minus ? -integer : integer);
    return true;
}

bool tuff_jinja_contains(tuff_jinja_run *run, const tuff_jinja_value *item, const tuff_jinja_value *in,
                         bool *out)
{
    *out = false;
    if (in->kind == TUFF_JINJA_TEXT && item->kind == TUFF_JINJA_TEXT) {
        size_t at;
        *out = tuff_jinja_search(run, tuff_jinja_text_of(in), tuff_jinja_text_of(item), 0, &at);
        return run->status == TUFF_OK;
    }
    if (in->kind == TUFF_JINJA_DICT) {
        *out = tuff_jinja_dict_get(run, in->as.dict, item) != NULL;
        return run->status == TUFF_OK;
    }
    if (in->kind == TUFF_JINJA_UNDEFINED) return true; /* which has no items */
    if (!tuff_jinja_is_list(in)) return cannot(run, "'in'", item, in);
    for (size_t i = in->as.list->next; i < in->as.list->count && !*out; i++) {
        *out = tuff_jinja_equal(run, &in->as.list->items[i], item);
        if (in->kind == TUFF_JINJA_ITERATOR) in->as.list->next = i + 1;
    }
    return run->status == TUFF_OK;
}

bool tuff_jinja_relate(tuff_jinja_run *run, tuff_jinja_op op, const tuff_jinja_value *a,
                       const tuff_jinja_value *b, bool *out)
{
    int order = 0;
    if (op == TUFF_JINJA_EQ || op == TUFF_JINJA_NE) {
        *out = tuff_jinja_equal(run, a, b) == (op == TUFF_JINJA_EQ);
        return run->status == TUFF_OK;
    }
    if (op == TUFF_JINJA_IN || op == TUFF_JINJA_NOT_IN) {
        if (!tuff_jinja_contains(run, a, b, out)) return false;
        *out = *out == (op == TUFF_JINJA_IN);
        return true;
    }
    if (!tuff_jinja_compare(run, a, b, &order)) return false;
    const bool ordered = order != 2; /* NaN is not */
    *out = ordered && ((op == TUFF_JINJA_LT && order < 0) || (op == TUFF_JINJA_LE && order <= 0) ||
                       (op == TUFF_JINJA_GT && order > 0) || (op == TUFF_JINJA_GE && order >= 0));
    return true;
}
