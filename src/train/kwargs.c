#include "train/kwargs.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

typedef struct reading {
    const char *what, *of;
    const tuff_setting *settings;
    size_t n;
    double *values;
    bool given[32];
} reading;

/* A text's word among "a|b|c", whatever its case; -1: none. */
static int word_of(const char *words, tuff_view text)
{
    int number = 0;
    for (const char *at = words; at; number++) {
        const char *end = strchr(at, '|');
        size_t size = end ? (size_t)(end - at) : strlen(at), k = 0;
        while (size == text.size && k < size && tolower((unsigned char)text.data[k]) == at[k])
            k++;
        if (size == text.size && k == size) return number;
        at = end ? end + 1 : NULL;
    }
    return -1;
}

/* The whole text as a number; NAN: it is none. */
static double number_of(tuff_view text)
{
    char copy[64], *end;
    if (text.size == 0 || text.size >= sizeof copy) return NAN;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    double value = strtod(copy, &end);
    return *end ? NAN : value;
}

static tuff_status no_such(const reading *r, tuff_view name)
{
    tuff_buf known = {0};
    for (size_t i = 0; i < r->n; i++)
        tuff_buf_printf(&known, "%s%s", i ? ", " : "", r->settings[i].name);
    tuff_status status =
        tuff_fail(TUFF_INVALID_ARGUMENT, "%s has \"%.*s\", which %s does not know; it has %s", r->what,
                  (int)name.size, name.data, r->of, known.data ? known.data : "no settings");
    tuff_buf_free(&known);
    return status;
}

static tuff_status take(reading *r, tuff_view name, tuff_view text)
{
    size_t i = 0;
    while (i < r->n && !tuff_view_is(name, r->settings[i].name))
        i++;
    if (i == r->n) return no_such(r, name);
    const tuff_setting *s = &r->settings[i];
    if (r->given[i]) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has %s twice", r->what, s->name);
    r->given[i] = true;
    if (word_of("none|null", text) >= 0) return TUFF_OK; /* as if it were not there */
    if (s->words) {
        int word = word_of(s->words, text);
        if (word < 0)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s is \"%.*s\", expected %s", r->what, s->name,
                             (int)text.size, text.data, s->words);
        r->values[i] = word;
        return TUFF_OK;
    }
    double value = number_of(text);
    if (!(value >= s->low && value <= s->high) || (s->whole && value != floor(value)))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s is \"%.*s\", expected a %snumber from %g to %g",
                         r->what, s->name, (int)text.size, text.data, s->whole ? "whole " : "", s->low,
                         s->high);
    r->values[i] = value;
    return TUFF_OK;
}

static tuff_view trimmed(const char *begin, const char *end)
{
    while (begin < end && isspace((unsigned char)*begin))
        begin++;
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    return (tuff_view){begin, (size_t)(end - begin)};
}

static tuff_status read_pairs(reading *r, const char *text)
{
    for (const char *at = text; at;) {
        const char *comma = strchr(at, ','), *end = comma ? comma : at + strlen(at);
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (!equals)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "%s is \"%s\", expected name=value pairs with commas between them, or a JSON object", r->what,
                text);
        TUFF_TRY(take(r, trimmed(at, equals), trimmed(equals + 1, end)));
        at = comma ? comma + 1 : NULL;
    }
    return TUFF_OK;
}

static tuff_status read_object(reading *r, const cJSON *json)
{
    const cJSON *item;
    if (!cJSON_IsObject(json)) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is no JSON object", r->what);
    cJSON_ArrayForEach(item, json)
    {
        tuff_buf text = {0};
        if (cJSON_IsString(item))
            tuff_buf_text(&text, item->valuestring);
        else if (!tuff_json_print(item, &text))
            text.failed = true;
        tuff_status status = text.failed ? tuff_fail_memory("settings")
                                         : take(r, tuff_view_of(item->string),
                                                (tuff_view){text.data ? text.data : "", text.size});
        tuff_buf_free(&text);
        TUFF_TRY(status);
    }
    return TUFF_OK;
}

tuff_status tuff_settings_read(const char *text, const char *what, const char *of,
                               const tuff_setting *settings, size_t n, double *values)
{
    reading r = {.what = what, .of = of, .settings = settings, .n = n, .values = values};
    TUFF_ASSERT(n <= sizeof r.given);
    for (size_t i = 0; i < n; i++)
        values[i] = settings[i].preset;
    if (!text) return TUFF_OK;
    while (isspace((unsigned char)*text))
        text++;
    if (!*text) return TUFF_OK;
    if (*text != '{') return read_pairs(&r, text);
    cJSON *json = NULL;
    TUFF_TRY(tuff_json_parse(text, strlen(text), what, &json));
    tuff_status status = read_object(&r, json);
    cJSON_Delete(json);
    return status;
}

void tuff_settings_put(const tuff_setting *settings, size_t n, const double *values, tuff_buf *out)
{
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        const tuff_setting *s = &settings[i];
        if (isnan(values[i])) continue;
        tuff_buf_printf(out, "%s%s=", first ? "" : ",", s->name);
        first = false;
        const char *word = s->words;
        for (int k = 0; word && k < (int)values[i]; k++)
            word = strchr(word, '|') + 1;
        if (word)
            tuff_buf_bytes(out, word, strcspn(word, "|"));
        else
            tuff_json_double(out, values[i]);
    }
}
