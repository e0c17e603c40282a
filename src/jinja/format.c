#include "jinja/format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "jinja/strings.h"

/* How one value is written. */
typedef struct spec {
    uint32_t fill;
    char align; /* < > ^ =, or 0: as the value has it */
    char sign;  /* + or space */
    char type;  /* s d f ..., 0: by the value */
    bool commas, other_form;
    int64_t width, precision; /* -1: none */
} spec;

enum { WIDEST = 1000 };

/* Digits from text[*at] on; more than WIDEST is not let through. */
static bool read_size(tuff_view text, size_t *at, int64_t *out)
{
    int64_t size = -1;
    for (; *at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9'; (*at)++) {
        size = (size < 0 ? 0 : size) * 10 + (text.data[*at] - '0');
        if (size > WIDEST) return false;
    }
    *out = size;
    return true;
}

static void fill(tuff_buf *out, uint32_t with, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        tuff_buf_utf8(out, with);
}

/* A text, of which the first `sign` bytes stay in front of what fills it by '='. */
static void put(tuff_buf *out, tuff_view text, size_t sign, const spec *s, char align)
{
    const int64_t room = s->width - (int64_t)tuff_jinja_characters(text);
    const char how = s->align ? s->align : align;
    const int64_t left = room <= 0 || how == '<' || how == '=' ? 0 : how == '^' ? room / 2 : room;
    fill(out, s->fill, left);
    tuff_buf_bytes(out, text.data, how == '=' ? sign : 0);
    if (how == '=') fill(out, s->fill, room);
    tuff_buf_bytes(out, text.data + (how == '=' ? sign : 0), text.size - (how == '=' ? sign : 0));
    if (how == '<' || how == '^') fill(out, s->fill, room - left);
}

static void put_sign(tuff_buf *out, bool minus, const spec *s)
{
    if (minus)
        tuff_buf_char(out, '-');
    else if (s->sign)
        tuff_buf_char(out, s->sign);
}

/* 1,234,567: the digits before a point or an exponent, by threes. */
static void put_digits(tuff_buf *out, const char *digits, bool commas)
{
    const size_t whole = strspn(digits, "0123456789");
    for (size_t i = 0; i < whole; i++) {
        if (commas && i && (whole - i) % 3 == 0) tuff_buf_char(out, ',');
        tuff_buf_char(out, digits[i]);
    }
    /* the rest, with a point whatever the locale */
    for (const char *c = digits + whole; *c; c++)
        tuff_buf_char(out, strchr("0123456789abcdefxonABCDEFXON+-%", *c) ? *c : '.');
}

static bool put_int(tuff_jinja_run *run, const tuff_jinja_value *value, const spec *s, tuff_buf *out)
{
    char text[96];
    int64_t number = 0;
    tuff_buf buf = {0};
    if (value->kind == TUFF_JINJA_FLOAT && fabs(value->as.real) < 9e18)
        number = (int64_t)value->as.real;
    else if (!tuff_jinja_as_int(value, &number))
        return tuff_jinja_fail(run, "a %s is formatted as a whole number", tuff_jinja_type(value));
    const uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    if (s->type == 'x')
        snprintf(text, sizeof text, "%s%llx", s->other_form ? "0x" : "", (unsigned long long)size);
    if (s->type == 'X')
        snprintf(text, sizeof text, "%s%llX", s->other_form ? "0X" : "", (unsigned long long)size);
    if (s->type == 'o')
        snprintf(text, sizeof text, "%s%llo", s->other_form ? "0o" : "", (unsigned long long)size);
    if (!s->type || !strchr("xXo", s->type)) snprintf(text, sizeof text, "%llu", (unsigned long long)size);
    put_sign(&buf, number < 0, s);
    const size_t sign = buf.size;
    put_digits(&buf, text, s->commas);
    put(out, (tuff_view){buf.data, buf.size}, sign, s, '>');
    out->failed |= buf.failed;
    tuff_buf_free(&buf);
    return true;
}

static bool put_real(tuff_jinja_run *run, const tuff_jinja_value *value, const spec *s, tuff_buf *out)
{
    char text[1500], form[8] = "%.*f";
    tuff_buf buf = {0};
    if (!tuff_jinja_is_number(value))
        return tuff_jinja_fail(run, "a %s is formatted as a number", tuff_jinja_type(value));
    const double real = tuff_jinja_as_float(value), size = fabs(real) * (s->type == '%' ? 100 : 1);
    put_sign(&buf, signbit(real) && !isnan(real), s);
    const size_t sign = buf.size;
    if (!isfinite(size)) {
        tuff_buf_text(&buf, isnan(size) ? "nan" : "inf");
    } else {
        form[3] = strchr("eEgG", s->type) && s->type ? s->type : 'f';
        snprintf(text, sizeof text, form, (int)(s->precision < 0 ? 6 : s->precision), size);
        put_digits(&buf, text, s->commas);
    }
    if (s->type == '%') tuff_buf_char(&buf, '%');
    put(out, (tuff_view){buf.data, buf.size}, sign, s, '>');
    out->failed |= buf.failed;
    tuff_buf_free(&buf);
    return true;
}

static bool put_text(tuff_jinja_run *run, const tuff_jinja_value *value, bool quoted, const spec *s,
                     tuff_buf *out)
{
    tuff_buf buf = {0};
    const bool good = tuff_jinja_spell(run, value, quoted, &buf);
    tuff_view text = {buf.size ? buf.data : "", buf.size};
    if (s->precision >= 0) text.size = tuff_jinja_byte_of(text, (size_t)s->precision);
    put(out, text, 0, s, '<');
    out->failed |= buf.failed;
    tuff_buf_free(&buf);
    return good;
}

static bool done(tuff_jinja_run *run, bool good, tuff_buf *buf, tuff_jinja_value *out)
{
    if (good && buf->size > run->limits.memory) good = tuff_jinja_fail(run, "a text is too long");
    if (good) return tuff_jinja_take(run, buf, out);
    tuff_buf_free(buf);
    return false;
}

/* What a "%" takes: a name's value, or the next one. */
typedef struct values {
    const tuff_jinja_value *all;
    size_t next;
} values;

static bool next_value(tuff_jinja_run *run, values *v, tuff_view name, tuff_jinja_value *out)
{
    if (name.data) {
        const tuff_jinja_value key = tuff_jinja_view(name);
        const tuff_jinja_value *found =
            v->all->kind == TUFF_JINJA_DICT ? tuff_jinja_dict_get(run, v->all->as.dict, &key) : NULL;
        if (!found) return tuff_jinja_fail(run, "a format asks for a name that there is not");
        *out = *found;
        return true;
    }
    const bool tuple = v->all->kind == TUFF_JINJA_TUPLE;
    if (v->next >= (tuple ? v->all->as.list->count : 1))
        return tuff_jinja_fail(run, "a format asks for more values than there are");
    *out = tuple ? v->all->as.list->items[v->next] : *v->all;
    v->next++;
    return true;
}

/* One "%...", from behind the sign on. */
static bool percent_one(tuff_jinja_run *run, tuff_view in, size_t *at, values *v, tuff_buf *out)
{
    spec s = {.fill = ' ', .width = -1, .precision = -1};
    tuff_view name = {0};
    tuff_jinja_value value;
    if (*at < in.size && in.data[*at] == '(') {
        const char *end = memchr(in.data + *at, ')', in.size - *at);
        if (!end) return tuff_jinja_fail(run, "a name in a format has no ')'");
        name = (tuff_view){in.data + *at + 1, (size_t)(end - in.data) - *at - 1};
        *at += name.size + 2;
    }
    for (; *at < in.size && strchr("-+ 0#", in.data[*at]) && in.data[*at]; (*at)++) {
        const char flag = in.data[*at];
        if (flag == '-') s.align = '<';
        if (flag == '+' || (flag == ' ' && !s.sign)) s.sign = flag;
        if (flag == '0' && s.align != '<') {
            s.align = '=';
            s.fill = '0';
        }
        s.other_form |= flag == '#';
    }
    bool good = read_size(in, at, &s.width);
    if (good && *at < in.size && in.data[*at] == '.') {
        (*at)++;
        good = read_size(in, at, &s.precision);
        if (s.precision < 0) s.precision = 0;
    }
    if (!good) return tuff_jinja_fail(run, "a format has a width of more than %d", WIDEST);
    s.type = *at < in.size ? in.data[(*at)++] : 0;
    if (s.type == '%') {
        tuff_buf_char(out, '%');
        return true;
    }
    if (!s.type || !strchr("srdiufFeEgGxXo", s.type))
        return tuff_jinja_fail(run, "a format has a '%%' that Tuff does not know");
    if (!next_value(run, v, name, &value)) return false;
    if (s.type == 's' || s.type == 'r') {
        if (s.align == '=') s.align = '>'; /* texts have no zeros before them */
        if (s.fill == '0') s.fill = ' ';
        if (!s.align) s.align = '>';
        return put_text(run, &value, s.type == 'r', &s, out);
    }
    return strchr("diuxXo", s.type) ? put_int(run, &value, &s, out) : put_real(run, &value, &s, out);
}

bool tuff_jinja_percent(tuff_jinja_run *run, const tuff_jinja_value *format, const tuff_jinja_value *given,
                        tuff_jinja_value *out)
{
    const tuff_view in = tuff_jinja_text_of(format);
    values v = {given, 0};
    tuff_buf buf = {0};
    bool good = tuff_jinja_spend_bytes(run, in.size);
    for (size_t i = 0; i < in.size && good;) {
        if (in.data[i] != '%') {
            tuff_buf_char(&buf, in.data[i++]);
            continue;
        }
        i++;
        good =
            tuff_jinja_spend(run, 1) && percent_one(run, in, &i, &v, &buf) && buf.size <= run->limits.memory;
    }
    const bool tuple = given->kind == TUFF_JINJA_TUPLE;
    if (good && tuple && v.next < given->as.list->count)
        good = tuff_jinja_fail(run, "a format has fewer places than there are values");
    if (run->status == TUFF_OK && !good) tuff_jinja_fail(run, "a text is too long");
    return done(run, good, &buf, out);
}

/* "[[fill]align][sign][#][0][width][,][.precision][type]" */
static bool read_spec(tuff_jinja_run *run, tuff_view in, spec *s)
{
    size_t at = 0;
    uint32_t point = 0;
    const size_t first = tuff_utf8_decode(in.data, in.size, &point);
    *s = (spec){.fill = ' ', .width = -1, .precision = -1};
    if (first && first < in.size && strchr("<>^=", in.data[first])) {
        s->fill = point;
        s->align = in.data[first];
        at = first + 1;
    } else if (in.size && strchr("<>^=", in.data[0])) {
        s->align = in.data[at++];
    }
    if (at < in.size && strchr("+- ", in.data[at]) && in.data[at]) s->sign = in.data[at++];
    if (s->sign == '-') s->sign = 0;
    if (at < in.size && in.data[at] == '#') {
        s->other_form = true;
        at++;
    }
    if (at < in.size && in.data[at] == '0') {
        if (!s->align) {
            s->align = '=';
            s->fill = '0';
        }
        at++;
    }
    bool good = read_size(in, &at, &s->width);
    if (at < in.size && in.data[at] == ',') {
        s->commas = true;
        at++;
    }
    if (good && at < in.size && in.data[at] == '.') {
        at++;
        good = read_size(in, &at, &s->precision) && s->precision >= 0;
    }
    if (at < in.size) s->type = in.data[at++];
    if (!good || at < in.size || (s->type && !strchr("sdfFeEgGxXo%", s->type)))
        return tuff_jinja_fail(run, "a format is '%.*s', which Tuff does not know",
                               (int)(in.size < 40 ? in.size : 40), in.data);
    return true;
}

static bool put_value(tuff_jinja_run *run, const tuff_jinja_value *value, char conversion, tuff_view given,
                      tuff_buf *out)
{
    spec s;
    if (!read_spec(run, given, &s)) return false;
    const bool number = tuff_jinja_is_number(value) && !conversion;
    if (number && s.type && s.type != 's')
        return strchr("dxXo", s.type) ? put_int(run, value, &s, out) : put_real(run, value, &s, out);
    if (s.type && s.type != 's')
        return tuff_jinja_fail(run, "a %s is formatted as a number", tuff_jinja_type(value));
    if (number && value->kind == TUFF_JINJA_INT) return put_int(run, value, &s, out);
    if (number && value->kind == TUFF_JINJA_FLOAT && s.precision >= 0) {
        s.type = 'g';
        return put_real(run, value, &s, out);
    }
    if (number && !s.align) s.align = '>';
    return put_text(run, value, conversion == 'r', &s, out);
}

/* "name", "0", "" and then ".attribute" or "[key]" any number of times. */
static bool field(tuff_jinja_run *run, tuff_view name, const tuff_jinja_args *args, size_t *counted,
                  tuff_jinja_value *out)
{
    size_t at = 0;
    while (at < name.size && name.data[at] != '.' && name.data[at] != '[')
        at++;
    const tuff_view first = {name.data, at};
    int64_t place = 0;
    size_t digits = 0;
    bool found = false;
    if (!read_size(first, &digits, &place))
        return tuff_jinja_fail(run, "a format asks for more values than there are");
    if (!at) place = (int64_t)(*counted)++;
    if (digits == at) {
        found = (uint64_t)place < args->count;
        if (found) *out = args->items[place];
    }
    for (size_t i = 0; digits != at && i < args->named_count; i++) {
        if (!tuff_view_equal(run->template->names[args->named[i].name], first)) continue;
        *out = args->named[i].value;
        found = true;
    }
    if (!found) return tuff_jinja_fail(run, "a format asks for a value that is not given");
    while (at < name.size) {
        const bool key = name.data[at++] == '[';
        const size_t begin = at;
        while (at < name.size && (key ? name.data[at] != ']' : name.data[at] != '.' && name.data[at] != '['))
            at++;
        const tuff_view part = {name.data + begin, at - begin};
        const tuff_jinja_value of = *out;
        size_t end = 0;
        if (key) at++;
        tuff_jinja_value index = tuff_jinja_view(part);
        if (read_size(part, &end, &place) && end == part.size && end) index = tuff_jinja_int(place);
        if (!(key ? tuff_jinja_item(run, &of, &index, out) : tuff_jinja_attribute(run, &of, part, out)))
            return false;
    }
    return true;
}

bool tuff_jinja_format(tuff_jinja_run *run, const tuff_jinja_value *format, const tuff_jinja_args *args,
                       tuff_jinja_value *out)
{
    const tuff_view in = tuff_jinja_text_of(format);
    tuff_buf buf = {0};
    size_t counted = 0;
    bool good = tuff_jinja_spend_bytes(run, in.size);
    for (size_t i = 0; i < in.size && good;) {
        const char c = in.data[i];
        if (c != '{' && c != '}') {
            tuff_buf_char(&buf, in.data[i++]);
            continue;
        }
        if (i + 1 < in.size && in.data[i + 1] == c) {
            tuff_buf_char(&buf, c);
            i += 2;
            continue;
        }
        const char *close = c == '{' ? memchr(in.data + i, '}', in.size - i) : NULL;
        if (!close) {
            good = tuff_jinja_fail(run, "a format has a single '%c'", c);
            break;
        }
        const tuff_view whole = {in.data + i + 1, (size_t)(close - in.data) - i - 1};
        const char *colon = whole.size ? memchr(whole.data, ':', whole.size) : NULL;
        tuff_view name = {whole.data, colon ? (size_t)(colon - whole.data) : whole.size};
        const tuff_view given =
            colon ? (tuff_view){colon + 1, whole.size - name.size - 1} : (tuff_view){"", 0};
        char conversion = 0;
        tuff_jinja_value value = {0};
        if (name.size >= 2 && name.data[name.size - 2] == '!') {
            conversion = name.data[name.size - 1];
            name.size -= 2;
        }
        good = tuff_jinja_spend(run, 1) && field(run, name, args, &counted, &value) &&
               put_value(run, &value, conversion, given, &buf);
        if (good && buf.size > run->limits.memory) good = tuff_jinja_fail(run, "a text is too long");
        i += whole.size + 2;
    }
    return done(run, good, &buf, out);
}
