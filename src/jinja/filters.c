/* Filters by name; those of texts. */
#include "jinja/filters.h"

#include <string.h>

#include "jinja/format.h"
#include "jinja/strings.h"

bool tuff_jinja_filter(tuff_jinja_run *run, tuff_view name, const tuff_jinja_value *value,
                       const tuff_jinja_args *args, tuff_jinja_value *out)
{
#define TUFF_JINJA_FILTER(name, function) {name, tuff_jinja_filter_##function},
    static const struct {
        const char *name;
        tuff_jinja_filter_fn fn;
    } filters[] = {
#include "jinja/filters.def"
    };
#undef TUFF_JINJA_FILTER
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (tuff_view_is(name, filters[i].name)) return filters[i].fn(run, value, args, out);
    return tuff_jinja_stop(run, TUFF_UNSUPPORTED, "there is no filter '%.*s'",
                           (int)(name.size < 60 ? name.size : 60), name.data);
}

bool tuff_jinja_soft_text(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_value *out)
{
    if (value->kind != TUFF_JINJA_TEXT) return tuff_jinja_str(run, value, out);
    *out = *value;
    return true;
}

/* Filters that only change the case. */
#define CASE_FILTER(name, how)                                                                           \
    bool tuff_jinja_filter_##name(tuff_jinja_run *run, const tuff_jinja_value *value,                    \
                                  const tuff_jinja_args *args, tuff_jinja_value *out)                    \
    {                                                                                                    \
        tuff_jinja_value text;                                                                           \
        return tuff_jinja_bind(run, #name, "", args, NULL) && tuff_jinja_soft_text(run, value, &text) && \
               tuff_jinja_change_case(run, how, &text, out);                                             \
    }
CASE_FILTER(upper, TUFF_JINJA_UPPER)
CASE_FILTER(lower, TUFF_JINJA_LOWER)
CASE_FILTER(capitalize, TUFF_JINJA_CAPITALIZE)
CASE_FILTER(title, TUFF_JINJA_WORDS)

bool tuff_jinja_filter_trim(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    tuff_jinja_value given[1], text;
    tuff_view chars = {0};
    if (!tuff_jinja_bind(run, "trim", "chars", args, given) ||
        !tuff_jinja_arg_text(run, "what is trimmed", &given[0], &chars) ||
        !tuff_jinja_soft_text(run, value, &text))
        return false;
    *out = tuff_jinja_view(tuff_jinja_strip(tuff_jinja_text_of(&text), chars, 3));
    out->safe = text.safe;
    return tuff_jinja_spend_bytes(run, text.size);
}

bool tuff_jinja_filter_replace(tuff_jinja_run *run, const tuff_jinja_value *value,
                               const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[3], texts[3];
    const tuff_jinja_value *const sources[] = {value, &given[0], &given[1]};
    int64_t most = -1;
    if (!tuff_jinja_bind(run, "replace", "old new count", args, given) ||
        !tuff_jinja_arg_int(run, "the count of replace", &given[2], &most))
        return false;
    if (given[1].kind == TUFF_JINJA_MISSING) return tuff_jinja_fail(run, "replace needs two texts");
    for (size_t i = 0; i < 3; i++)
        if (!tuff_jinja_str(run, sources[i], &texts[i])) return false;
    return tuff_jinja_replace(run, tuff_jinja_text_of(&texts[0]), tuff_jinja_text_of(&texts[1]),
                              tuff_jinja_text_of(&texts[2]), most, out);
}

bool tuff_jinja_filter_string(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    return tuff_jinja_bind(run, "string", "", args, NULL) && tuff_jinja_soft_text(run, value, out);
}

bool tuff_jinja_filter_safe(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                            tuff_jinja_value *out)
{
    if (!tuff_jinja_bind(run, "safe", "", args, NULL) || !tuff_jinja_soft_text(run, value, out)) return false;
    out->safe = true;
    return true;
}

bool tuff_jinja_filter_forceescape(tuff_jinja_run *run, const tuff_jinja_value *value,
                                   const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value text;
    return tuff_jinja_bind(run, "escape", "", args, NULL) && tuff_jinja_str(run, value, &text) &&
           tuff_jinja_escape(run, tuff_jinja_text_of(&text), out);
}

bool tuff_jinja_filter_escape(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    if (value->kind == TUFF_JINJA_TEXT && value->safe) {
        *out = *value;
        return true;
    }
    return tuff_jinja_filter_forceescape(run, value, args, out);
}

bool tuff_jinja_filter_indent(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    tuff_jinja_value given[3];
    tuff_jinja_list *lines;
    int64_t width = 4;
    tuff_buf buf = {0}, space = {0};
    if (!tuff_jinja_bind(run, "indent", "width first blank", args, given)) return false;
    if (value->kind != TUFF_JINJA_TEXT)
        return tuff_jinja_fail(run, "a %s is indented", tuff_jinja_type(value));
    if (given[0].kind != TUFF_JINJA_TEXT &&
        !tuff_jinja_arg_int(run, "the width of indent", &given[0], &width))
        return false;
    if (width > 1000) return tuff_jinja_fail(run, "indent is by more than 1000 spaces");
    if (!tuff_jinja_lines(run, tuff_jinja_text_of(value), false, &lines)) return false;
    for (int64_t i = 0; given[0].kind != TUFF_JINJA_TEXT && i < width; i++)
        tuff_buf_char(&space, ' ');
    const tuff_view by = given[0].kind == TUFF_JINJA_TEXT ? tuff_jinja_text_of(&given[0])
                                                          : (tuff_view){space.data, space.size};
    const bool first = tuff_jinja_truth(&given[1]), blank = tuff_jinja_truth(&given[2]);
    /* Python puts a line end behind the text first, so that one at its end is kept. */
    const tuff_view text = tuff_jinja_text_of(value);
    const bool ends = text.size && text.data[text.size - 1] == '\n';
    bool good = true;
    for (size_t i = 0; i < lines->count + ends && good; i++) {
        const tuff_view line = i < lines->count ? tuff_jinja_text_of(&lines->items[i]) : (tuff_view){0};
        if (i) tuff_buf_char(&buf, '\n');
        if (i ? line.size || blank : first) tuff_buf_bytes(&buf, by.data, by.size);
        tuff_buf_bytes(&buf, line.data, line.size);
        good = tuff_jinja_spend(run, 1) && buf.size <= run->limits.memory;
    }
    if (!lines->count && !ends && first) tuff_buf_bytes(&buf, by.data, by.size);
    buf.failed |= space.failed;
    tuff_buf_free(&space);
    if (good) return tuff_jinja_take(run, &buf, out);
    tuff_buf_free(&buf);
    return tuff_jinja_fail(run, "a text that is indented is too long");
}

bool tuff_jinja_filter_center(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    tuff_jinja_value given[1], text;
    int64_t width = 80;
    tuff_buf buf = {0};
    if (!tuff_jinja_bind(run, "center", "width", args, given) ||
        !tuff_jinja_arg_int(run, "the width of center", &given[0], &width) ||
        !tuff_jinja_soft_text(run, value, &text))
        return false;
    if (width > 1 << 16) return tuff_jinja_fail(run, "center is to more than 65536 characters");
    const int64_t size = (int64_t)tuff_jinja_characters(tuff_jinja_text_of(&text));
    const int64_t room = width > size ? width - size : 0, left = room / 2 + (room & width & 1);
    for (int64_t i = 0; i < room; i++) {
        if (i == left) tuff_buf_bytes(&buf, text.as.text, text.size);
        tuff_buf_char(&buf, ' ');
    }
    if (left == room) tuff_buf_bytes(&buf, text.as.text, text.size);
    return tuff_jinja_take(run, &buf, out);
}

bool tuff_jinja_filter_truncate(tuff_jinja_run *run, const tuff_jinja_value *value,
                                const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value given[4], text;
    int64_t length = 255, leeway = 5;
    tuff_view end = {"...", 3};
    if (!tuff_jinja_bind(run, "truncate", "length killwords end leeway", args, given) ||
        !tuff_jinja_arg_int(run, "the length of truncate", &given[0], &length) ||
        !tuff_jinja_arg_text(run, "the end of truncate", &given[2], &end) ||
        !tuff_jinja_arg_int(run, "the leeway of truncate", &given[3], &leeway) ||
        !tuff_jinja_soft_text(run, value, &text))
        return false;
    const tuff_view in = tuff_jinja_text_of(&text);
    const int64_t room = length - (int64_t)tuff_jinja_characters(end);
    if (room < 0 || leeway < 0 || length > UINT32_MAX || leeway > UINT32_MAX)
        return tuff_jinja_fail(run, "truncate has a length or a leeway that cannot be");
    *out = text;
    if ((int64_t)tuff_jinja_characters(in) <= length + leeway) return tuff_jinja_spend_bytes(run, in.size);
    tuff_view kept = {in.data, tuff_jinja_byte_of(in, (size_t)room)};
    size_t space;
    if (!tuff_jinja_truth(&given[1]) &&
        tuff_jinja_search_back(run, kept, (tuff_view){" ", 1}, kept.size, &space))
        kept.size = space;
    return tuff_jinja_append(run, kept, end, out);
}

bool tuff_jinja_filter_wordcount(tuff_jinja_run *run, const tuff_jinja_value *value,
                                 const tuff_jinja_args *args, tuff_jinja_value *out)
{
    tuff_jinja_value text;
    int64_t words = 0;
    bool inside = false;
    if (!tuff_jinja_bind(run, "wordcount", "", args, NULL) || !tuff_jinja_soft_text(run, value, &text))
        return false;
    for (size_t i = 0; i < text.size;) {
        uint32_t point;
        const size_t size = tuff_utf8_decode(text.as.text + i, text.size - i, &point);
        const tuff_view one = {text.as.text + i, size};
        const bool word = point == '_' || tuff_jinja_all_are(one, TUFF_JINJA_ISALNUM);
        words += word && !inside;
        inside = word;
        i += size ? size : 1;
    }
    *out = tuff_jinja_int(words);
    return tuff_jinja_spend_bytes(run, (size_t)text.size * 4);
}

bool tuff_jinja_filter_format(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_args *args,
                              tuff_jinja_value *out)
{
    tuff_jinja_value text, values;
    if (!tuff_jinja_soft_text(run, value, &text)) return false;
    if (args->count && args->named_count)
        return tuff_jinja_fail(run, "format has arguments with names and without");
    if (args->named_count) {
        tuff_jinja_dict *dict = tuff_jinja_dict_new(run);
        if (!dict) return false;
        for (size_t i = 0; i < args->named_count; i++)
            if (!tuff_jinja_dict_put(run, dict, tuff_jinja_view(run->template->names[args->named[i].name]),
                                     args->named[i].value))
                return false;
        values = tuff_jinja_dict_value(TUFF_JINJA_DICT, dict);
    } else {
        tuff_jinja_list *list = tuff_jinja_list_new(run, args->count);
        if (!list) return false;
        for (size_t i = 0; i < args->count; i++)
            list->items[list->count++] = args->items[i];
        values = tuff_jinja_list_value(TUFF_JINJA_TUPLE, list);
    }
    return tuff_jinja_percent(run, &text, &values, out);
}
