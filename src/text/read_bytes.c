/* byT5's tokenizer, of which there is no file: three special tokens, a token for each byte, more special ones
 * behind them. It is made as the tokenizer.json that comes to the same. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/byte_level.h"
#include "text/read.h"

enum { FIRST_BYTE = 3, BYTES = 256, USUAL_EXTRA = 125, MOST_EXTRA = 1 << 16 };
static const char *const first[FIRST_BYTE] = {"<pad>", "</s>", "<unk>"};

bool tuff_is_byte_tokenizer(tuff_view config)
{
    cJSON *tree = NULL;
    if (!config.data || tuff_json_parse(config.data, config.size, "tokenizer_config.json", &tree) != TUFF_OK)
        return false; /* who reads it says why */
    const cJSON *class = cJSON_GetObjectItemCaseSensitive(tree, "tokenizer_class");
    const bool is = cJSON_IsString(class) && strcmp(class->valuestring, "ByT5Tokenizer") == 0;
    cJSON_Delete(tree);
    return is;
}

/* Blanks beside the first three are theirs. */
static void write_special(tuff_buf *out, int64_t id, const char *text, bool strips)
{
    tuff_buf_text(out, id ? ", {\"content\": " : "{\"content\": ");
    tuff_json_quote(out, text, strlen(text));
    tuff_buf_printf(
        out,
        ", \"id\": %lld, \"lstrip\": %s, \"rstrip\": %s, \"special\": true, \"normalized\": false, "
        "\"single_word\": false}",
        (long long)id, tuff_json_truth(strips), tuff_json_truth(strips));
}

/* Those that the config lists, or as many as it says. */
static tuff_status write_more(const cJSON *config, const char *where, tuff_buf *out)
{
    cJSON *added = NULL;
    const cJSON *item;
    int64_t extra = USUAL_EXTRA;
    tuff_status status;
    TUFF_GO(tuff_config_added(config, where, &added));
    cJSON_ArrayForEach(item, added)
    {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(item, "id"),
                    *text = cJSON_GetObjectItemCaseSensitive(item, "content");
        if (!cJSON_IsString(text) || !(id->valuedouble >= 0 && id->valuedouble < TUFF_ID_LIMIT))
            TUFF_GO(tuff_fail(TUFF_BAD_FORMAT,
                              "%s: added_tokens_decoder has something other than ids and tokens", where));
        if (id->valuedouble >= FIRST_BYTE + BYTES)
            write_special(out, (int64_t)id->valuedouble, text->valuestring, false);
    }
    if (cJSON_GetArraySize(added)) goto done;
    TUFF_GO(tuff_json_int(config, "extra_ids", where, &extra));
    if (extra < 0 || extra > MOST_EXTRA)
        TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s: extra_ids is %lld, expected 0 to %d", where, (long long)extra,
                          MOST_EXTRA));
    for (int64_t i = 0; i < extra; i++) {
        char name[32];
        snprintf(name, sizeof name, "<extra_id_%lld>", (long long)i);
        write_special(out, FIRST_BYTE + BYTES + i, name, false);
    }
done:
    cJSON_Delete(added);
    return status;
}

static void write_vocab(tuff_buf *out)
{
    for (int i = 0; i < FIRST_BYTE; i++)
        tuff_buf_printf(out, "%s\"%s\": %d", i ? ", " : "", first[i], i);
    for (int i = 0; i < BYTES; i++) {
        const char letter = (char)i;
        tuff_buf_printf(out, ", \"%s", letter == '"' || letter == '\\' ? "\\" : "");
        tuff_buf_utf8(out, tuff_byte_character((uint8_t)i));
        tuff_buf_printf(out, "\": %d", FIRST_BYTE + i);
    }
}

static tuff_status write_json(const cJSON *config, const char *where, tuff_buf *out)
{
    /* where texts are cut is no matter where nothing is joined; GGUF has a name for this cut */
    static const char level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}";
    tuff_buf_text(out, "{\"added_tokens\": [");
    for (int i = 0; i < FIRST_BYTE; i++)
        write_special(out, i, first[i], true);
    TUFF_TRY(write_more(config, where, out));
    tuff_buf_printf(out,
                    "], \"pre_tokenizer\": %s, \"decoder\": %s, \"post_processor\": {\"type\": "
                    "\"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
                    "{\"SpecialToken\": {\"id\": \"</s>\", \"type_id\": 0}}], \"pair\": [",
                    level, level);
    for (int i = 0; i < 2; i++)
        tuff_buf_printf(out,
                        "%s{\"Sequence\": {\"id\": \"%s\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": "
                        "\"</s>\", \"type_id\": 0}}",
                        i ? ", " : "", i ? "B" : "A");
    tuff_buf_text(out, "], \"special_tokens\": {\"</s>\": {\"id\": \"</s>\", \"ids\": [1], \"tokens\": "
                       "[\"</s>\"]}}}, \"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {");
    write_vocab(out);
    tuff_buf_text(out, "}}}");
    return out->failed ? tuff_fail_memory("a tokenizer") : TUFF_OK;
}

tuff_status tuff_read_byte_tokenizer(tuff_view config, const char *where, tuff_tokenizer **out_tokenizer)
{
    cJSON *tree = NULL;
    tuff_buf text = {0};
    tuff_status status;
    *out_tokenizer = NULL;
    TUFF_GO(tuff_json_parse(config.data, config.size, where, &tree));
    TUFF_GO(write_json(tree, where, &text));
    TUFF_GO(tuff_read_json_tokenizer((tuff_view){text.data, text.size}, config, where, out_tokenizer));
    for (int i = 0; i < FIRST_BYTE; i++) {
        int32_t *const ids[] = {&(*out_tokenizer)->pad, NULL, &(*out_tokenizer)->unk};
        if (ids[i] && *ids[i] < 0) *ids[i] = i;
    }
    if (!(*out_tokenizer)->eos_count) tuff_tokenizer_add_eos(*out_tokenizer, 1);
done:
    cJSON_Delete(tree);
    tuff_buf_free(&text);
    return status;
}
