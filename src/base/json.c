#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_scan.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"

enum { FILE_LIMIT = 128 * 1024 * 1024 };

/* cJSON says only "failed"; this tells out of memory from bad text. */
static _Thread_local bool out_of_memory;

static void *json_allocate(size_t size)
{
    void *pointer = tuff_alloc(size);
    if (!pointer) out_of_memory = true;
    return pointer;
}

static void install_hooks(void)
{
    cJSON_Hooks hooks = {.malloc_fn = json_allocate, .free_fn = tuff_free};
    cJSON_InitHooks(&hooks);
}

static tuff_status bad_json(const char *where, size_t offset, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s is not valid JSON: found %s at byte %zu", where, what, offset);
}

static tuff_status scan_failed(const char *where, const tuff_json_fault *fault)
{
    if (fault->no_memory) return tuff_note(tuff_fail_memory("the keys of a JSON tree"), "%s", where);
    if (fault->too_many)
        return tuff_fail(TUFF_UNSUPPORTED, "%s has more than %d values, Tuff reads JSON of up to so many",
                         where, TUFF_JSON_VALUES);
    if (fault->twice.data)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the key \"%.*s\" appears twice in one object, again at byte %zu; remove one",
                         where, (int)(fault->twice.size < 60 ? fault->twice.size : 60), fault->twice.data,
                         fault->offset);
    return bad_json(where, fault->offset, fault->what);
}

/* Marks the numbers of a list of values whose texts have a point or an exponent; the text at *at is clean,
 * and its numbers come in the order of the tree. */
static void mark_reals(cJSON *item, const char **at, const char *end)
{
    for (; item; item = item->next) {
        mark_reals(item->child, at, end);
        if (!cJSON_IsNumber(item)) continue;
        for (bool quoted = false; *at < end; ++*at) { /* to where its text begins */
            if (quoted && **at == '\\')
                ++*at;
            else if (**at == '"')
                quoted = !quoted;
            else if (!quoted && strchr("-0123456789", **at))
                break;
        }
        for (; *at < end && strchr("+-.eE0123456789", **at); ++*at)
            if (strchr(".eE", **at)) item->type |= TUFF_JSON_REAL;
    }
}

tuff_status tuff_json_parse(const char *data, size_t size, const char *where, cJSON **out_json)
{
    static tuff_once once = TUFF_ONCE_INIT;
    *out_json = NULL;
    tuff_call_once(&once, install_hooks);

    tuff_json_fault fault;
    if (!tuff_json_scan(data, size, &fault)) return scan_failed(where, &fault);
    if (size == 0) return tuff_fail(TUFF_BAD_FORMAT, "%s is not valid JSON: it is empty", where);

    out_of_memory = false;
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(data, size, &end, false);
    size_t offset = end ? (size_t)(end - data) : 0;
    if (!json) {
        if (out_of_memory) return tuff_note(tuff_fail_memory("a JSON tree"), "%s", where);
        return bad_json(where, offset, "unexpected text");
    }
    while (offset < size && strchr(" \t\r\n", data[offset]))
        offset++;
    if (offset < size) {
        cJSON_Delete(json);
        return bad_json(where, offset, "more text after the end of the value");
    }
    *out_json = json;
    return TUFF_OK;
}

tuff_status tuff_json_read(const char *path, cJSON **out_json)
{
    *out_json = NULL;
    tuff_buf text = {0};
    TUFF_TRY(tuff_read_file(path, FILE_LIMIT, &text));
    tuff_status status = tuff_json_parse(text.data ? text.data : "", text.size, path, out_json);
    const char *at = text.data;
    if (status == TUFF_OK) mark_reals(*out_json, &at, text.data + text.size);
    tuff_buf_free(&text);
    return status;
}

/* Numbers that are marked become texts to print as they are. */
static bool spell_reals(cJSON *item)
{
    for (; item; item = item->next) {
        if (!spell_reals(item->child)) return false;
        if (!cJSON_IsNumber(item) || !(item->type & TUFF_JSON_REAL)) continue;
        tuff_buf text = {0};
        tuff_json_real(&text, item->valuedouble);
        if (!text.data || text.failed) {
            tuff_buf_free(&text);
            return false;
        }
        item->valuestring = text.data; /* the tree's from here on */
        item->type = cJSON_Raw | (item->type & cJSON_StringIsConst);
    }
    return true;
}

bool tuff_json_print(const cJSON *json, tuff_buf *out)
{
    cJSON *copy = cJSON_Duplicate(json, true);
    char *text = copy && spell_reals(copy) ? cJSON_Print(copy) : NULL;
    if (text) tuff_buf_text(out, text);
    const bool done = text && !out->failed;
    cJSON_free(text);
    cJSON_Delete(copy);
    return done;
}

static const char *kind_of(const cJSON *item)
{
    if (cJSON_IsBool(item)) return "true or false";
    if (cJSON_IsNumber(item)) return "a number";
    if (cJSON_IsString(item)) return "a string";
    if (cJSON_IsArray(item)) return "a list";
    if (cJSON_IsObject(item)) return "an object";
    return "null";
}

/* *out_item is NULL when the key is missing or null. */
static tuff_status find(const cJSON *object, const char *key, const char *where, const cJSON **out_item)
{
    *out_item = NULL;
    if (object && !cJSON_IsObject(object))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: expected an object with the key \"%s\", found %s", where, key,
                         kind_of(object));
    const cJSON *item = object ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
    if (item && !cJSON_IsNull(item)) *out_item = item;
    return TUFF_OK;
}

static tuff_status wrong_kind(const cJSON *item, const char *where, const char *expected)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s: \"%s\" must be %s, found %s", where, item->string, expected,
                     kind_of(item));
}

tuff_status tuff_json_int(const cJSON *object, const char *key, const char *where, int64_t *out)
{
    const cJSON *item;
    TUFF_TRY(find(object, key, where, &item));
    if (!item) return TUFF_OK;
    if (!cJSON_IsNumber(item)) return wrong_kind(item, where, "a whole number");
    double value = item->valuedouble;
    /* Past 2^53 a double no longer tells neighbours apart. */
    if (!(fabs(value) <= 0x1p53) || floor(value) != value)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"%s\" must be a whole number, found %.17g", where, key,
                         value);
    *out = (int64_t)value;
    return TUFF_OK;
}

tuff_status tuff_json_number(const cJSON *object, const char *key, const char *where, double *out)
{
    const cJSON *item;
    TUFF_TRY(find(object, key, where, &item));
    if (!item) return TUFF_OK;
    if (!cJSON_IsNumber(item)) return wrong_kind(item, where, "a number");
    if (!isfinite(item->valuedouble))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"%s\" is a number too large to represent", where, key);
    *out = item->valuedouble;
    return TUFF_OK;
}

tuff_status tuff_json_bool(const cJSON *object, const char *key, const char *where, bool *out)
{
    const cJSON *item;
    TUFF_TRY(find(object, key, where, &item));
    if (!item) return TUFF_OK;
    if (!cJSON_IsBool(item)) return wrong_kind(item, where, "true or false");
    *out = cJSON_IsTrue(item);
    return TUFF_OK;
}

tuff_status tuff_json_text(const cJSON *object, const char *key, const char *where, const char **out)
{
    const cJSON *item;
    TUFF_TRY(find(object, key, where, &item));
    if (!item) return TUFF_OK;
    if (!cJSON_IsString(item)) return wrong_kind(item, where, "a string");
    *out = item->valuestring;
    return TUFF_OK;
}

void tuff_json_quote(tuff_buf *buf, const char *data, size_t size)
{
    tuff_buf_char(buf, '"');
    for (size_t i = 0; i < size;) {
        uint32_t c;
        size_t length = tuff_utf8_decode(data + i, size - i, &c);
        if (length == 0) {
            tuff_buf_utf8(buf, 0xfffd);
            i += tuff_utf8_broken(data + i, size - i);
            continue;
        }
        if (c == '"' || c == '\\') {
            tuff_buf_char(buf, '\\');
            tuff_buf_char(buf, (char)c);
        } else if (c == '\n') {
            tuff_buf_text(buf, "\\n");
        } else if (c == '\r') {
            tuff_buf_text(buf, "\\r");
        } else if (c == '\t') {
            tuff_buf_text(buf, "\\t");
        } else if (c < 0x20 || c == 0x7f) {
            tuff_buf_printf(buf, "\\u%04x", (unsigned)c);
        } else {
            tuff_buf_bytes(buf, data + i, length);
        }
        i += length;
    }
    tuff_buf_char(buf, '"');
}

const char *tuff_json_truth(bool value)
{
    return value ? "true" : "false";
}

void tuff_json_double(tuff_buf *buf, double value)
{
    if (!isfinite(value)) {
        tuff_buf_text(buf, "null");
        return;
    }
    char text[40];
    /* whole numbers without an exponent: Python takes 2e+01 for no integer */
    const bool whole = value == floor(value) && fabs(value) < 1e15 && !(value == 0 && signbit(value));
    if (whole) snprintf(text, sizeof text, "%.0f", value);
    for (int digits = 1; digits <= 17 && !whole; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    /* The host program's locale may have another decimal point. */
    bool in_point = false;
    for (const char *c = text; *c; c++) {
        bool plain = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';
        if (plain)
            tuff_buf_char(buf, *c);
        else if (!in_point)
            tuff_buf_char(buf, '.');
        in_point = !plain;
    }
}

void tuff_json_real(tuff_buf *buf, double value)
{
    size_t begin = buf->size;
    tuff_json_double(buf, value);
    for (size_t i = begin; i < buf->size && !buf->failed; i++)
        if (strchr(".el", buf->data[i])) return;
    tuff_buf_text(buf, ".0");
}
