/* Functions that templates have: range, namespace, dict, raise_exception, strftime_now. */
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "jinja/run.h"

enum { LONGEST_RANGE = 100000 };

static bool range(tuff_jinja_run *run, const tuff_jinja_args *args, tuff_jinja_value *out)
{
    int64_t ends[3] = {0, 0, 1}, count = 0;
    if (!args->count || args->count > 3 || args->named_count)
        return tuff_jinja_fail(run, "range takes 1 to 3 numbers");
    for (size_t i = 0; i < args->count; i++) {
        const size_t place = args->count == 1 ? 1 : i;
        if (args->items[i].kind == TUFF_JINJA_UNDEFINED)
            return tuff_jinja_fail_undefined(run, &args->items[i]);
        if (!tuff_jinja_as_int(&args->items[i], &ends[place]))
            return tuff_jinja_fail(run, "range has a %s where a whole number is expected",
                                   tuff_jinja_type(&args->items[i]));
        if (ends[place] < -(INT64_MAX / 4) || ends[place] > INT64_MAX / 4)
            return tuff_jinja_fail(run, "a number of range is too large");
    }
    if (!ends[2]) return tuff_jinja_fail(run, "range has the step 0");
    const int64_t way = ends[2] > 0 ? ends[1] - ends[0] : ends[0] - ends[1],
                  step = ends[2] > 0 ? ends[2] : -ends[2];
    if (way > 0) count = (way - 1) / step + 1;
    if (count > LONGEST_RANGE) return tuff_jinja_fail(run, "range has more than %d numbers", LONGEST_RANGE);
    tuff_jinja_list *list = tuff_jinja_list_new(run, (size_t)count);
    if (!list || !tuff_jinja_spend(run, (size_t)count / 8)) return false;
    for (int64_t i = 0; i < count; i++)
        list->items[list->count++] = tuff_jinja_int(ends[0] + i * ends[2]);
    list->start = ends[0];
    list->stop = ends[1];
    list->step = ends[2];
    *out = tuff_jinja_list_value(TUFF_JINJA_RANGE, list);
    return true;
}

/* dict(pairs, name=value), from a dict or a list of pairs. */
static bool make_dict(tuff_jinja_run *run, const char *what, bool hidden_too, const tuff_jinja_args *args,
                      tuff_jinja_dict **out)
{
    tuff_jinja_dict *dict = tuff_jinja_dict_new(run);
    tuff_jinja_list *items, *pair;
    if (!dict) return false;
    if (args->count > 1) return tuff_jinja_fail(run, "%s takes one argument without a name", what);
    if (args->count && args->items[0].kind == TUFF_JINJA_DICT) {
        const tuff_jinja_dict *from = args->items[0].as.dict;
        for (size_t i = 0; i < from->count; i++)
            if (!tuff_jinja_dict_put(run, dict, from->pairs[2 * i], from->pairs[2 * i + 1])) return false;
    } else if (args->count) {
        if (!tuff_jinja_items(run, &args->items[0], &items)) return false;
        for (size_t i = 0; i < items->count; i++) {
            if (!tuff_jinja_items(run, &items->items[i], &pair)) return false;
            if (pair->count != 2) return tuff_jinja_fail(run, "%s takes pairs", what);
            if (!tuff_jinja_dict_put(run, dict, pair->items[0], pair->items[1])) return false;
        }
    }
    for (size_t i = 0; i < args->named_count; i++)
        if (!tuff_jinja_dict_put(run, dict, tuff_jinja_view(run->template->names[args->named[i].name]),
                                 args->named[i].value))
            return false;
    for (size_t i = 0; i < dict->count && !hidden_too; i++) {
        const tuff_jinja_value *key = &dict->pairs[2 * i];
        if (key->kind == TUFF_JINJA_TEXT && key->size && key->as.text[0] == '_')
            return tuff_jinja_fail(run, "a namespace has no members that begin with '_'");
    }
    *out = dict;
    return true;
}

static bool dict(tuff_jinja_run *run, const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_dict *made;
    if (!make_dict(run, "dict", true, args, &made)) return false;
    *out = tuff_jinja_dict_value(TUFF_JINJA_DICT, made);
    return true;
}

static bool namespace(tuff_jinja_run *run, const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_dict *made;
    if (!make_dict(run, "namespace", false, args, &made)) return false;
    *out = tuff_jinja_dict_value(TUFF_JINJA_NAMESPACE, made);
    return true;
}

static bool raise_exception(tuff_jinja_run *run, const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[1], text;
    (void)out;
    if (!tuff_jinja_bind(run, "raise_exception", "message", args, given) ||
        !tuff_jinja_str(run, &given[0], &text))
        return false;
    return tuff_jinja_stop(run, TUFF_INVALID_ARGUMENT, "the template refuses these messages: %.*s",
                           (int)(text.size < 400 ? text.size : 400), text.as.text);
}

/* Names of days and months are English, whatever the host program's locale. */
static bool spell_time(const struct tm *at, tuff_view format, tuff_buf *out)
{
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    const int hour = at->tm_hour % 12 ? at->tm_hour % 12 : 12;
    for (size_t i = 0; i < format.size; i++) {
        if (format.data[i] != '%' || i + 1 == format.size) {
            tuff_buf_char(out, format.data[i]);
            continue;
        }
        char c = format.data[++i];
        const bool plain = c == '-' && i + 1 < format.size; /* "%-d": no zeros before it */
        if (plain) c = format.data[++i];
        const int width = plain ? 1 : 2;
        switch (c) {
        case 'a':
        case 'A':
            tuff_buf_bytes(out, days[at->tm_wday], c == 'a' ? 3 : strlen(days[at->tm_wday]));
            break;
        case 'b':
        case 'h':
        case 'B':
            tuff_buf_bytes(out, months[at->tm_mon], c != 'B' ? 3 : strlen(months[at->tm_mon]));
            break;
        case 'd':
            tuff_buf_printf(out, "%0*d", width, at->tm_mday);
            break;
        case 'e':
            tuff_buf_printf(out, "%*d", width, at->tm_mday);
            break;
        case 'm':
            tuff_buf_printf(out, "%0*d", width, at->tm_mon + 1);
            break;
        case 'y':
            tuff_buf_printf(out, "%0*d", width, at->tm_year % 100);
            break;
        case 'Y':
            tuff_buf_printf(out, "%d", at->tm_year + 1900);
            break;
        case 'H':
            tuff_buf_printf(out, "%0*d", width, at->tm_hour);
            break;
        case 'I':
            tuff_buf_printf(out, "%0*d", width, hour);
            break;
        case 'M':
            tuff_buf_printf(out, "%0*d", width, at->tm_min);
            break;
        case 'S':
            tuff_buf_printf(out, "%0*d", width, at->tm_sec);
            break;
        case 'j':
            tuff_buf_printf(out, "%0*d", plain ? 1 : 3, at->tm_yday + 1);
            break;
        case 'p':
            tuff_buf_text(out, at->tm_hour < 12 ? "AM" : "PM");
            break;
        case 'u':
            tuff_buf_printf(out, "%d", at->tm_wday ? at->tm_wday : 7);
            break;
        case 'w':
            tuff_buf_printf(out, "%d", at->tm_wday);
            break;
        case 'F':
            tuff_buf_printf(out, "%d-%02d-%02d", at->tm_year + 1900, at->tm_mon + 1, at->tm_mday);
            break;
        case 'T':
            tuff_buf_printf(out, "%02d:%02d:%02d", at->tm_hour, at->tm_min, at->tm_sec);
            break;
        case 'R':
            tuff_buf_printf(out, "%02d:%02d", at->tm_hour, at->tm_min);
            break;
        case 'D':
        case 'x':
            tuff_buf_printf(out, "%02d/%02d/%02d", at->tm_mon + 1, at->tm_mday, at->tm_year % 100);
            break;
        case 'n':
            tuff_buf_char(out, '\n');
            break;
        case 't':
            tuff_buf_char(out, '\t');
            break;
        case '%':
            tuff_buf_char(out, '%');
            break;
        default: /* %f, %Z and such */
            return false;
        }
    }
    return true;
}

static bool strftime_now(tuff_jinja_run *run, const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[1];
    tuff_view format = {0};
    struct tm at;
    tuff_buf buf = {0};
    if (!tuff_jinja_bind(run, "strftime_now", "format", args, given) ||
        !tuff_jinja_arg_text(run, "the format of strftime_now", &given[0], &format))
        return false;
    if (!(run->has_now ? tuff_utc_time(run->now, &at) : tuff_local_time(&at)))
        return tuff_jinja_fail(run, "the present is no date");
    if (spell_time(&at, format, &buf)) return tuff_jinja_take(run, &buf, out);
    tuff_buf_free(&buf);
    return tuff_jinja_stop(
        run, TUFF_UNSUPPORTED,
        "the format '%.*s' of strftime_now has something other than numbers and names of days and months",
        (int)(format.size < 60 ? format.size : 60), format.data);
}

static const struct {
    const char *name;
    bool (*fn)(tuff_jinja_run *run, const tuff_jinja_args *args, tuff_jinja_value *out);
} functions[] = {{"range", range},
                 {"namespace", namespace},
                 {"dict", dict},
                 {"raise_exception", raise_exception},
                 {"strftime_now", strftime_now}};

bool tuff_jinja_global(tuff_view name, tuff_jinja_value *out)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!tuff_view_is(name, functions[i].name)) continue;
        *out = (tuff_jinja_value){.kind = TUFF_JINJA_FUNCTION, .as.function = i};
        return true;
    }
    return false;
}

bool tuff_jinja_call_global(tuff_jinja_run *run, size_t function, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    return functions[function].fn(run, args, out);
}
