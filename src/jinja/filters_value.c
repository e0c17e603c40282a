/* Filters of single values: defaults, numbers, JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "jinja/filters.h"
#include "jinja/strings.h"

bool tuff_jinja_filter_default(tuff_jinja_run *run, const tuff_jinja_value *value,
                               const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    if (!tuff_jinja_bind(run, "default", "default_value boolean", args, given)) return false;
    *out = *value;
    if (value->kind != TUFF_JINJA_UNDEFINED && (tuff_jinja_truth(value) || !tuff_jinja_truth(&given[1])))
        return true;
    *out = given[0].kind == TUFF_JINJA_MISSING ? tuff_jinja_literal("") : given[0];
    return true;
}

/* "  -1_000 " to a number of a base from 2 to 36. */
static bool parse_int(tuff_view text, int64_t base, int64_t *out)
{
    text = tuff_jinja_strip(text, (tuff_view){0}, 3);
    size_t at = text.size && (text.data[0] == '-' || text.data[0] == '+');
    const bool minus = at && text.data[0] == '-';
    const char *prefix = base == 16 ? "x" : base == 8 ? "o" : base == 2 ? "b" : NULL;
    if (prefix && text.size - at > 2 && text.data[at] == '0' && (text.data[at + 1] | 0x20) == *prefix)
        at += 2;
    const size_t begin = at;
    *out = 0;
    for (; at < text.size; at++) {
        const char c = text.data[at];
        const int lower = c | 0x20;
        const int figure = c >= '0' && c <= '9'           ? c - '0'
                           : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10
                                                          : 99;
        if (c == '_' && at > begin && at + 1 < text.size && text.data[at - 1] != '_') continue;
        if (figure >= base || __builtin_mul_overflow(*out, base, out) ||
            __builtin_sub_overflow(*out, (int64_t)figure, out))
            return false;
    }
    if (at == begin || (!minus && *out == INT64_MIN)) return false;
    if (!minus) *out = -*out;
    return true;
}

/* What Python's float() reads. */
static bool parse_float(tuff_view text, double *out)
{
    text = tuff_jinja_strip(text, (tuff_view){0}, 3);
    for (size_t i = 0; i < text.size; i++)
        if (!strchr("+-.0123456789eE_infatyINFATY", text.data[i]) || !text.data[i]) return false;
    return text.size && tuff_jinja_read_real(text, out);
}

bool tuff_jinja_filter_int(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                           tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    int64_t base = 10, integer = 0;
    double real = NAN;
    if (!tuff_jinja_bind(run, "int", "default base", args, given) ||
        !tuff_jinja_arg_int(run, "the base of int", &given[1], &base))
        return false;
    if (base < 2 || base > 36) return tuff_jinja_fail(run, "the base of int is not 2 to 36");
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    *out = given[0].kind == TUFF_JINJA_MISSING ? tuff_jinja_int(0) : given[0];
    if (tuff_jinja_as_int(value, &integer) ||
        (value->kind == TUFF_JINJA_TEXT && parse_int(tuff_jinja_text_of(value), base, &integer))) {
        *out = tuff_jinja_int(integer);
        return true;
    }
    if (value->kind == TUFF_JINJA_FLOAT) real = value->as.real;
    if (value->kind == TUFF_JINJA_TEXT && !parse_float(tuff_jinja_text_of(value), &real)) real = NAN;
    if (real > -9.2e18 && real < 9.2e18) *out = tuff_jinja_int((int64_t)real);
    return true;
}

bool tuff_jinja_filter_float(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    double real;
    if (!tuff_jinja_bind(run, "float", "default", args, given)) return false;
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    *out = given[0].kind == TUFF_JINJA_MISSING ? tuff_jinja_float(0) : given[0];
    if (tuff_jinja_is_number(value))
        *out = tuff_jinja_float(tuff_jinja_as_float(value));
    else if (value->kind == TUFF_JINJA_TEXT && parse_float(tuff_jinja_text_of(value), &real))
        *out = tuff_jinja_float(real);
    return true;
}

bool tuff_jinja_filter_absolute(tuff_jinja_run *run, const tuff_jinja_value *value,
                                const tuff_jinja_args *args, tuff_jinja_value *out)
{
    int64_t integer;
    if (!tuff_jinja_bind(run, "abs", "", args, NULL)) return false;
    if (value->kind == TUFF_JINJA_FLOAT) {
        *out = tuff_jinja_float(fabs(value->as.real));
        return true;
    }
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (!tuff_jinja_as_int(value, &integer))
        return tuff_jinja_fail(run, "abs is of a %s, not of a number", tuff_jinja_type(value));
    return tuff_jinja_negate(run, integer < 0, value, out);
}

/* Python's round: to even where the decimal that the double is lies in the middle. */
static double rounded(double value, int64_t places)
{
    char text[400];
    double result;
    if (!isfinite(value) || places > 300) return value;
    if (places < 0) {
        const double unit = pow(10, (double)-places);
        return places < -300 ? 0 * value : nearbyint(value / unit) * unit;
    }
    const int size = snprintf(text, sizeof text, "%.*f", (int)places, value);
    if (size < 0 || size >= (int)sizeof text) return value;
    for (int i = 0; i < size; i++)
        if (!strchr("-0123456789", text[i])) text[i] = '.'; /* the locale's */
    return tuff_jinja_read_real((tuff_view){text, (size_t)size}, &result) ? result : value;
}

bool tuff_jinja_filter_round(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                             tuff_jinja_value *out)
{
    tuff_jinja_value given[2];
    tuff_view how = {"common", 6};
    int64_t places = 0;
    if (!tuff_jinja_bind(run, "round", "precision method", args, given) ||
        !tuff_jinja_arg_int(run, "the precision of round", &given[0], &places) ||
        !tuff_jinja_arg_text(run, "the method of round", &given[1], &how))
        return false;
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (!tuff_jinja_is_number(value))
        return tuff_jinja_fail(run, "round is of a %s, not of a number", tuff_jinja_type(value));
    const double real = tuff_jinja_as_float(value), unit = pow(10, (double)places);
    if (tuff_view_is(how, "common")) {
        int64_t integer;
        *out = tuff_jinja_float(rounded(real, places));
        if (tuff_jinja_as_int(value, &integer))
            *out = tuff_jinja_int(places < 0 ? (int64_t)rounded(real, places) : integer);
    } else if (tuff_view_is(how, "ceil")) {
        *out = tuff_jinja_float(ceil(real * unit) / unit);
    } else if (tuff_view_is(how, "floor")) {
        *out = tuff_jinja_float(floor(real * unit) / unit);
    } else {
        return tuff_jinja_fail(run, "the method of round is common, ceil or floor");
    }
    return true;
}

/* transformers' own tojson, not Jinja's: json.dumps(ensure_ascii=False). */
bool tuff_jinja_filter_tojson(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    static const char spaces[] = "                                ";
    tuff_jinja_value given[4];
    tuff_jinja_json_style style = {.comma = {", ", 2}, .colon = {": ", 2}};
    int64_t width = 0;
    tuff_buf buf = {0};
    if (!tuff_jinja_bind(run, "tojson", "ensure_ascii indent separators sort_keys", args, given))
        return false;
    style.ascii = tuff_jinja_truth(&given[0]);
    style.sorted = tuff_jinja_truth(&given[3]);
    if (tuff_jinja_given(&given[1])) {
        style.lines = true;
        style.comma.size = 1;
        if (given[1].kind == TUFF_JINJA_TEXT)
            style.indent = tuff_jinja_text_of(&given[1]);
        else if (!tuff_jinja_arg_int(run, "the indent of tojson", &given[1], &width))
            return false;
        else if (width > (int64_t)sizeof spaces - 1)
            return tuff_jinja_fail(run, "the indent of tojson is more than 32 spaces");
        else
            style.indent = (tuff_view){spaces, width > 0 ? (size_t)width : 0};
    }
    if (tuff_jinja_given(&given[2])) {
        tuff_jinja_list *both;
        if (!tuff_jinja_items(run, &given[2], &both)) return false;
        if (both->count != 2) return tuff_jinja_fail(run, "the separators of tojson are two texts");
        if (!tuff_jinja_arg_text(run, "a separator of tojson", &both->items[0], &style.comma) ||
            !tuff_jinja_arg_text(run, "a separator of tojson", &both->items[1], &style.colon))
            return false;
    }
    if (tuff_jinja_write_json(run, value, &style, &buf)) return tuff_jinja_take(run, &buf, out);
    tuff_buf_free(&buf);
    return false;
}
