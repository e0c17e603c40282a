/* Which records are conversations, and of which format. */
#include <stdio.h>

#include "base/file.h"
#include "base/status.h"
#include "formats/records.h"
#include "train/conversation.h"

static const char *const names[] = {"auto", "messages", "sharegpt", "completion", "alpaca"};

const char *tuff_conversation_format_name(tuff_conversation_format format)
{
    return names[format];
}

const char *tuff_conversation_source_name(tuff_conversation_source source)
{
    static const char *const sources[] = {"", "model", "given"};
    return sources[source];
}

static bool has(const cJSON *record, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(record, key);
    return item && !cJSON_IsNull(item);
}

/* How many formats a record is of, and the last of them. */
static int formats_of(const cJSON *record, tuff_conversation_format *out)
{
    const bool is[] = {false, has(record, "messages"), has(record, "conversations"),
                       has(record, "prompt") && has(record, "completion"),
                       has(record, "instruction") && has(record, "output")};
    int found = 0;
    for (int i = TUFF_CONVERSATION_MESSAGES; i <= TUFF_CONVERSATION_ALPACA; i++) {
        if (!is[i]) continue;
        *out = (tuff_conversation_format)i;
        found++;
    }
    return found;
}

static tuff_status unclear(const cJSON *record, int found)
{
    char keys[200] = "";
    size_t size = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, record)
    {
        const int n = snprintf(keys + size, sizeof keys - size, "%s%.40s", size ? ", " : "", item->string);
        if (n < 0 || (size_t)n >= sizeof keys - size) break;
        size += (size_t)n;
    }
    if (found)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "it is a conversation in more than one way (its keys: %s); say which by the format",
                         keys);
    return tuff_fail(
        TUFF_BAD_FORMAT,
        "it is no conversation: its keys are %s; expected messages, conversations, prompt and completion, or "
        "instruction and output",
        size ? keys : "none");
}

tuff_status tuff_conversation_recognize(const cJSON *record, tuff_conversation_format *out, bool *out_several)
{
    tuff_conversation_format format = TUFF_CONVERSATION_AUTO;
    const int found = formats_of(record, &format);
    if (out_several) *out_several = found > 1;
    if (found != 1) return unclear(record, found);
    *out = format;
    return TUFF_OK;
}

/* ---- files */

/* By the first conversation among the first records, as malformed ones may stand before it. */
static tuff_status look(tuff_records *records, const char **out_task)
{
    enum { MOST = 100 };
    bool any = false;
    for (int i = 0; i < MOST; i++) {
        const cJSON *record;
        tuff_conversation_format format;
        const tuff_status status = tuff_records_next_object(records, &record);
        if (status == TUFF_BAD_FORMAT) continue;
        TUFF_TRY(status);
        if (!record) break;
        any = true;
        const int found = formats_of(record, &format);
        if (found > 1)
            return tuff_note(unclear(record, found), "%s, line %llu", tuff_records_path(records),
                             (unsigned long long)tuff_records_line(records));
        if (found == 0) continue;
        *out_task = "sft";
        return TUFF_OK;
    }
    if (!any && tuff_records_kind_of(tuff_records_path(records)) == TUFF_RECORDS_LINES)
        *out_task = "causal-lm";
    return TUFF_OK;
}

tuff_status tuff_data_recognize(const char *path, const char **out_task)
{
    TUFF_NEED_OUT(out_task);
    TUFF_NEED(path);
    tuff_records *records = NULL;
    if (!tuff_is_file(path) && !tuff_is_directory(path)) return TUFF_OK;
    tuff_status status = tuff_records_open_objects(path, &records);
    if (status == TUFF_OK) status = look(records, out_task);
    tuff_records_close(&records);
    if (status != TUFF_INVALID_ARGUMENT) return status;
    *out_task = "causal-lm"; /* a text */
    return TUFF_OK;
}
