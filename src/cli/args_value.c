/* What the options of a verb are: as text, and whether they are the same. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"

static size_t size_of(tuff_arg_kind kind)
{
    switch (kind) {
    case TUFF_ARG_FLAG:
        return sizeof(bool);
    case TUFF_ARG_INT:
        return sizeof(int64_t);
    case TUFF_ARG_REAL:
        return sizeof(double);
    case TUFF_ARG_CHOICE:
        return sizeof(int);
    case TUFF_ARG_LIST:
        return sizeof(tuff_arg_list);
    case TUFF_ARG_OPTIONAL:
        return sizeof(tuff_arg_optional);
    case TUFF_ARG_GROUP:
        return 0;
    default:
        return sizeof(const char *);
    }
}

static bool is_text(tuff_arg_kind kind)
{
    return kind == TUFF_ARG_TEXT || kind == TUFF_ARG_NAMES || kind == TUFF_ARG_SETTINGS ||
           kind == TUFF_ARG_CONFIG || kind == TUFF_ARG_POSITION;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool tuff_args_differ(const tuff_arg *arg, const void *a, const void *b)
{
    const char *x = (const char *)a + arg->offset, *y = (const char *)b + arg->offset;
    if (is_text(arg->kind)) {
        const char *s, *t;
        memcpy(&s, x, sizeof s);
        memcpy(&t, y, sizeof t);
        return !same_text(s, t);
    }
    if (arg->kind == TUFF_ARG_OPTIONAL) {
        tuff_arg_optional s, t;
        memcpy(&s, x, sizeof s);
        memcpy(&t, y, sizeof t);
        return s.given != t.given || !same_text(s.value, t.value);
    }
    if (arg->kind == TUFF_ARG_LIST) {
        tuff_arg_list s, t;
        memcpy(&s, x, sizeof s);
        memcpy(&t, y, sizeof t);
        bool same = s.count == t.count;
        for (size_t i = 0; same && i < s.count; i++)
            same = same_text(s.items[i], t.items[i]);
        return !same;
    }
    return memcmp(x, y, size_of(arg->kind)) != 0;
}

static bool list_value(const char *field, char *out, size_t size)
{
    tuff_arg_list list;
    memcpy(&list, field, sizeof list);
    size_t at = 0;
    for (size_t i = 0; i < list.count && at < size; i++) {
        const int n = snprintf(out + at, size - at, "%s%s", i ? ", " : "", list.items[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    return list.count > 0;
}

static bool choice_value(const tuff_arg *arg, const char *field, char *out, size_t size)
{
    int choice;
    memcpy(&choice, field, sizeof choice);
    if (choice < 0) return false; /* not given */
    const char *word = arg->value;
    for (int i = 0; i < choice; i++)
        word += strcspn(word, "|") + 1;
    snprintf(out, size, "%.*s", (int)strcspn(word, "|"), word);
    return true;
}

bool tuff_args_value(const tuff_arg *arg, const void *options, char *out, size_t size)
{
    const char *field = (const char *)options + arg->offset, *text = NULL;
    tuff_arg_optional optional;
    int64_t whole;
    double real;
    bool flag;
    switch (arg->kind) {
    case TUFF_ARG_FLAG:
        memcpy(&flag, field, sizeof flag);
        snprintf(out, size, "%s", flag ? "yes" : "no");
        return true;
    case TUFF_ARG_INT:
        memcpy(&whole, field, sizeof whole);
        snprintf(out, size, "%lld", (long long)whole);
        return true;
    case TUFF_ARG_REAL:
        memcpy(&real, field, sizeof real);
        snprintf(out, size, "%g", real);
        return true;
    case TUFF_ARG_CHOICE:
        return choice_value(arg, field, out, size);
    case TUFF_ARG_LIST:
        return list_value(field, out, size);
    case TUFF_ARG_OPTIONAL:
        memcpy(&optional, field, sizeof optional);
        snprintf(out, size, "%s", optional.value ? optional.value : "yes");
        return optional.given;
    case TUFF_ARG_GROUP:
        return false;
    default: /* texts of all kinds */
        memcpy(&text, field, sizeof text);
        if (text) snprintf(out, size, "%s", text);
        return text != NULL;
    }
}
