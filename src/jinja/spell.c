/* Values as text: Python's str() and repr(). */
#include <string.h>

#include <utf8proc.h>

#include "jinja/run.h"

/* Whether repr() leaves it as it is. */
static bool printable(uint32_t point)
{
    if (point < 0x7f) return point >= 0x20;
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

static void spell_quoted(tuff_buf *out, tuff_view text)
{
    const bool single = text.size && memchr(text.data, '\'', text.size);
    const char quote = single && !memchr(text.data, '"', text.size) ? '"' : '\'';
    tuff_buf_char(out, quote);
    for (size_t i = 0; i < text.size;) {
        uint32_t point;
        const size_t size = tuff_utf8_decode(text.data + i, text.size - i, &point);
        if (point == (unsigned char)quote || point == '\\')
            tuff_buf_printf(out, "\\%c", (char)point);
        else if (point == '\n')
            tuff_buf_text(out, "\\n");
        else if (point == '\r')
            tuff_buf_text(out, "\\r");
        else if (point == '\t')
            tuff_buf_text(out, "\\t");
        else if (printable(point))
            tuff_buf_bytes(out, text.data + i, size);
        else if (point < 0x100)
            tuff_buf_printf(out, "\\x%02x", (unsigned)point);
        else
            tuff_buf_printf(out, point < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)point);
        i += size ? size : 1;
    }
    tuff_buf_char(out, quote);
}

static bool spell_items(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_buf *out)
{
    static const char *const open[] = {"[", "(", "", "dict_keys([", "dict_values([", "dict_items(["};
    static const char *const close[] = {"]", ")", "", "])", "])", "])"};
    const tuff_jinja_list *list = value->as.list;
    const size_t shape = (size_t)value->kind - TUFF_JINJA_LIST;
    tuff_buf_text(out, open[shape]);
    for (size_t i = 0; i < list->count; i++) {
        if (i) tuff_buf_text(out, ", ");
        if (!tuff_jinja_spell(run, &list->items[i], true, out)) return false;
    }
    if (value->kind == TUFF_JINJA_TUPLE && list->count == 1) tuff_buf_char(out, ',');
    tuff_buf_text(out, close[shape]);
    return true;
}

static bool spell_dict(tuff_jinja_run *run, const tuff_jinja_dict *dict, tuff_buf *out)
{
    tuff_buf_char(out, '{');
    for (size_t i = 0; i < dict->count; i++) {
        if (i) tuff_buf_text(out, ", ");
        if (!tuff_jinja_spell(run, &dict->pairs[2 * i], true, out)) return false;
        tuff_buf_text(out, ": ");
        if (!tuff_jinja_spell(run, &dict->pairs[2 * i + 1], true, out)) return false;
    }
    tuff_buf_char(out, '}');
    return true;
}

static bool spell_other(tuff_jinja_run *run, const tuff_jinja_value *value, bool quoted, tuff_buf *out)
{
    switch ((tuff_jinja_kind)value->kind) {
    case TUFF_JINJA_MISSING:
        break;
    case TUFF_JINJA_UNDEFINED:
        if (quoted) tuff_buf_text(out, "Undefined");
        break;
    case TUFF_JINJA_NONE:
        tuff_buf_text(out, "None");
        break;
    case TUFF_JINJA_BOOL:
        tuff_buf_text(out, value->as.truth ? "True" : "False");
        break;
    case TUFF_JINJA_INT:
        tuff_buf_printf(out, "%lld", (long long)value->as.integer);
        break;
    case TUFF_JINJA_FLOAT:
        tuff_jinja_spell_real(out, value->as.real);
        break;
    case TUFF_JINJA_TEXT:
        if (!tuff_jinja_spend_bytes(run, value->size)) return false;
        if (quoted && value->safe) tuff_buf_text(out, "Markup(");
        if (quoted)
            spell_quoted(out, tuff_jinja_text_of(value));
        else
            tuff_buf_bytes(out, value->as.text, value->size);
        if (quoted && value->safe) tuff_buf_char(out, ')');
        break;
    case TUFF_JINJA_RANGE:
        tuff_buf_printf(out, "range(%lld, %lld", (long long)value->as.list->start,
                        (long long)value->as.list->stop);
        if (value->as.list->step != 1) tuff_buf_printf(out, ", %lld", (long long)value->as.list->step);
        tuff_buf_char(out, ')');
        break;
    case TUFF_JINJA_LIST:
    case TUFF_JINJA_TUPLE:
    case TUFF_JINJA_KEYS:
    case TUFF_JINJA_VALUES:
    case TUFF_JINJA_ITEMS:
        return spell_items(run, value, out);
    case TUFF_JINJA_DICT:
        return spell_dict(run, value->as.dict, out);
    case TUFF_JINJA_NAMESPACE:
        tuff_buf_text(out, "<Namespace ");
        if (!spell_dict(run, value->as.dict, out)) return false;
        tuff_buf_char(out, '>');
        break;
    case TUFF_JINJA_ITERATOR:
    case TUFF_JINJA_MACRO:
    case TUFF_JINJA_FUNCTION:
    case TUFF_JINJA_METHOD:
    case TUFF_JINJA_LOOP:
        /* Python has an address here, which no prompt is to have. */
        return tuff_jinja_fail(run, "a %s is printed, which has no text", tuff_jinja_type(value));
    }
    return true;
}

bool tuff_jinja_spell(tuff_jinja_run *run, const tuff_jinja_value *value, bool quoted, tuff_buf *out)
{
    bool good = tuff_jinja_enter(run) && tuff_jinja_spend(run, 1) && spell_other(run, value, quoted, out);
    tuff_jinja_leave(run);
    if (good && out->failed) return tuff_jinja_no_memory(run);
    if (good && out->size > run->limits.output) good = tuff_jinja_fail(run, "a value is too long as text");
    return good;
}
