/* How a report is written. */
#include <inttypes.h>
#include <string.h>

#include "models/inspect.h"

enum { KEY_COLUMN = 26, PLAIN_KEY_COLUMN = 40, SHOWN_ITEMS = 6, SHOWN_VALUE = 120, SHOWN_TEXT = 400 };

void tuff_inspect_begin(tuff_inspection *r, bool json)
{
    *r = (tuff_inspection){.json = json, .first = true};
    if (json) tuff_buf_text(&r->out, "{");
}

void tuff_inspect_end(tuff_inspection *r)
{
    if (r->json) tuff_buf_text(&r->out, "\n}\n");
}

static void next(tuff_inspection *r)
{
    if (!r->first) tuff_buf_char(&r->out, ',');
    tuff_buf_text(&r->out, "\n");
    r->first = false;
}

void tuff_inspect_section(tuff_inspection *r, const char *key, const char *title)
{
    if (r->json) {
        next(r);
        tuff_buf_printf(&r->out, "\"%s\": {", key);
        r->first = true;
    } else {
        tuff_buf_printf(&r->out, "%s%s\n", r->out.size ? "\n" : "", title);
    }
}

void tuff_inspect_section_end(tuff_inspection *r)
{
    if (r->json) tuff_buf_text(&r->out, "\n}");
    r->first = false;
}

static void put_key(tuff_inspection *r, const char *key, bool plain)
{
    if (r->json) {
        next(r);
        tuff_json_quote(&r->out, key, strlen(key));
        tuff_buf_text(&r->out, ": ");
        return;
    }
    tuff_buf_text(&r->out, "  ");
    size_t size = strlen(key);
    for (size_t i = 0; i < size; i++)
        tuff_buf_char(&r->out, key[i] == '_' && !plain ? ' ' : key[i]);
    size_t column = plain ? PLAIN_KEY_COLUMN : KEY_COLUMN;
    for (tuff_buf_char(&r->out, ' '); size + 1 < column; size++)
        tuff_buf_char(&r->out, ' ');
}

static void end_value(tuff_inspection *r)
{
    if (!r->json) tuff_buf_char(&r->out, '\n');
}

/* Text for a terminal: no control characters, not too long. */
static void put_shown(tuff_buf *out, const char *text, size_t size, size_t limit)
{
    size_t shown = size > limit ? tuff_utf8_complete(text, limit) : size;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            tuff_buf_text(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            tuff_buf_printf(out, "\\x%02x", c);
        else
            tuff_buf_char(out, (char)c);
    }
    if (shown < size) tuff_buf_printf(out, "... (%zu bytes)", size);
}

void tuff_inspect_put_text(tuff_inspection *r, const char *key, const char *value, size_t size)
{
    put_key(r, key, false);
    if (r->json)
        tuff_json_quote(&r->out, value, size);
    else
        put_shown(&r->out, value, size, SHOWN_TEXT);
    end_value(r);
}

void tuff_inspect_put_count(tuff_buf *out, int64_t n)
{
    tuff_buf digits = {0};
    tuff_buf_printf(&digits, "%" PRId64, n);
    for (size_t i = 0; i < digits.size; i++) {
        if (i > (n < 0) && (digits.size - i) % 3 == 0) tuff_buf_char(out, ',');
        tuff_buf_char(out, digits.data[i]);
    }
    out->failed |= digits.failed;
    tuff_buf_free(&digits);
}

void tuff_inspect_put_bytes(tuff_buf *out, uint64_t n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)n;
    int unit = 0;
    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    tuff_buf_printf(out, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void tuff_inspect_put_int(tuff_inspection *r, const char *key, int64_t value)
{
    put_key(r, key, false);
    if (r->json)
        tuff_buf_printf(&r->out, "%" PRId64, value);
    else
        tuff_inspect_put_count(&r->out, value);
    end_value(r);
}

void tuff_inspect_put_number(tuff_inspection *r, const char *key, double value)
{
    put_key(r, key, false);
    if (r->json)
        tuff_json_double(&r->out, value);
    else
        tuff_buf_printf(&r->out, "%.10g", value);
    end_value(r);
}

void tuff_inspect_put_bool(tuff_inspection *r, const char *key, bool value)
{
    put_key(r, key, false);
    if (r->json)
        tuff_buf_text(&r->out, tuff_json_truth(value));
    else
        tuff_buf_text(&r->out, value ? "yes" : "no");
    end_value(r);
}

void tuff_inspect_put_token(tuff_inspection *r, const char *key, int32_t id, const char *spelled, size_t size)
{
    put_key(r, key, false);
    tuff_buf_printf(&r->out, r->json ? "{\"id\": %d, \"text\": " : "%d ", id);
    tuff_json_quote(&r->out, spelled ? spelled : "", size);
    if (r->json) tuff_buf_char(&r->out, '}');
    end_value(r);
}

void tuff_inspect_put_json(tuff_inspection *r, const char *key, const cJSON *value)
{
    put_key(r, key, true);
    char *text = cJSON_PrintUnformatted(value);
    if (!text)
        r->out.failed = true;
    else if (r->json)
        tuff_buf_text(&r->out, text);
    else
        put_shown(&r->out, text, strlen(text), SHOWN_VALUE);
    cJSON_free(text);
    end_value(r);
}

static void gguf_as_json(tuff_inspection *r, const tuff_gguf_value *value)
{
    tuff_buf_printf(&r->out, "{\"type\": \"%s\", ", tuff_gguf_type_name(value->type));
    bool array = value->type == TUFF_GGUF_ARRAY;
    if (array)
        tuff_buf_printf(&r->out, "\"items\": \"%s\", \"count\": %" PRIu64 "}",
                        tuff_gguf_type_name(value->item), value->count);
    if (array) return;
    tuff_buf_text(&r->out, "\"value\": ");
    if (value->type == TUFF_GGUF_F32 || value->type == TUFF_GGUF_F64)
        tuff_json_double(&r->out, tuff_gguf_number_at(value, 0));
    else
        tuff_gguf_print(value, 0, &r->out);
    tuff_buf_char(&r->out, '}');
}

void tuff_inspect_put_gguf(tuff_inspection *r, const tuff_gguf_value *value)
{
    put_key(r, value->key, true);
    if (r->json) {
        gguf_as_json(r, value);
    } else {
        tuff_buf text = {0};
        tuff_gguf_print(value, SHOWN_ITEMS, &text);
        tuff_buf_printf(&r->out, "%-7s", tuff_gguf_type_name(value->type));
        put_shown(&r->out, text.data ? text.data : "", text.size, SHOWN_VALUE);
        r->out.failed |= text.failed;
        tuff_buf_free(&text);
    }
    end_value(r);
}

static void put_types(tuff_inspection *r, const tuff_weights *weights)
{
    bool first = true;
    put_key(r, "types", false);
    if (r->json) tuff_buf_char(&r->out, '{');
    for (tuff_storage s = 0; s < TUFF_STORE_COUNT; s++) {
        size_t count = 0, bytes = 0;
        for (size_t i = 0; i < weights->count; i++)
            if (weights->items[i].storage == s) {
                count++;
                bytes += weights->items[i].bytes;
            }
        if (!count) continue;
        const char *name = tuff_storage_get(s)->name;
        if (r->json) {
            tuff_buf_printf(&r->out, "%s\"%s\": {\"tensors\": %zu, \"bytes\": %zu}", first ? "" : ", ", name,
                            count, bytes);
        } else {
            tuff_buf_printf(&r->out, "%s%s: %zu (", first ? "" : ", ", name, count);
            tuff_inspect_put_bytes(&r->out, bytes);
            tuff_buf_char(&r->out, ')');
        }
        first = false;
    }
    if (r->json) tuff_buf_char(&r->out, '}');
    end_value(r);
}

static void put_shape(tuff_buf *out, const tuff_weight *weight)
{
    char text[100];
    tuff_weight_shape_text(weight->rank, weight->shape, text, sizeof text);
    tuff_buf_text(out, weight->dims ? weight->dims : text);
}

/* Those that the format allows, but that Tuff cannot read. */
static bool is_unsupported(const tuff_weight *weight)
{
    return tuff_weight_check_readable(weight) != TUFF_OK;
}

static void put_tensor(tuff_inspection *r, const tuff_weight *w, bool first)
{
    const char *type = tuff_weight_type(w);
    if (r->json) {
        tuff_buf_printf(&r->out, "%s\n  {\"name\": ", first ? "" : ",");
        tuff_json_quote(&r->out, w->name, strlen(w->name));
        tuff_buf_text(&r->out, ", \"type\": ");
        tuff_json_quote(&r->out, type, strlen(type));
        tuff_buf_text(&r->out, ", \"shape\": ");
        put_shape(&r->out, w);
        tuff_buf_text(&r->out, is_unsupported(w) ? ", \"unsupported\": true}" : "}");
    } else {
        tuff_buf_printf(&r->out, "  %-52s %-6s ", w->name, type);
        put_shape(&r->out, w);
        tuff_buf_text(&r->out, is_unsupported(w) ? " (unsupported)\n" : "\n");
    }
}

static void put_list(tuff_inspection *r, const tuff_weights *weights)
{
    if (r->json) {
        next(r);
        tuff_buf_text(&r->out, "\"list\": [");
    }
    for (size_t i = 0; i < weights->count; i++)
        put_tensor(r, &weights->items[i], i == 0);
    if (r->json) tuff_buf_text(&r->out, "\n]");
}

void tuff_inspect_put_tensors(tuff_inspection *r, const tuff_weights *weights, bool list)
{
    int64_t elements = 0, unsupported = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < weights->count; i++) {
        elements += tuff_weight_elements(&weights->items[i]);
        bytes += weights->items[i].bytes;
        unsupported += is_unsupported(&weights->items[i]);
    }
    tuff_inspect_section(r, "tensors", "Tensors");
    tuff_inspect_put_int(r, "count", (int64_t)weights->count);
    tuff_inspect_put_int(r, "elements", elements);
    tuff_inspect_put_int(r, "bytes", (int64_t)bytes);
    if (unsupported) tuff_inspect_put_int(r, "unsupported", unsupported);
    if (weights->count) put_types(r, weights);
    if (list || r->json) put_list(r, weights);
    tuff_inspect_section_end(r);
}
