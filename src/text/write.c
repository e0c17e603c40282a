/* tokenizer.json and its companions, in a directory. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "text/write.h"

static void write_named(const tuff_tokenizer *t, const char *name, int32_t id, const char **separator,
                        tuff_buf *out)
{
    if (id < 0) return;
    tuff_buf_printf(out, "%s\n  \"%s\": ", *separator, name);
    tuff_write_quoted(out, t->tokens[id].text);
    *separator = ",";
}

static void write_special(const tuff_tokenizer *t, const char *separator, tuff_buf *out)
{
    write_named(t, "bos_token", t->bos, &separator, out);
    write_named(t, "eos_token", tuff_tokenizer_eos(t, 0), &separator, out);
    write_named(t, "pad_token", t->pad, &separator, out);
    write_named(t, "unk_token", t->unk, &separator, out);
    write_named(t, "cls_token", t->cls, &separator, out);
    write_named(t, "sep_token", t->sep, &separator, out);
    write_named(t, "mask_token", t->mask, &separator, out);
    tuff_buf_text(out, "\n}\n");
}

static void write_config(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(
        out,
        "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"clean_up_tokenization_spaces\": false");
    if (t->model == TUFF_WORDS_BPE)
        tuff_buf_printf(out, ",\n  \"add_bos_token\": %s,\n  \"add_eos_token\": %s",
                        tuff_json_truth(tuff_template_before(&t->single) > 0),
                        tuff_json_truth(tuff_template_after(&t->single) > 0));
    if (t->chat_template.data) {
        tuff_buf_text(out, ",\n  \"chat_template\": ");
        tuff_write_quoted(out, t->chat_template);
    }
    write_special(t, ",", out);
}

tuff_status tuff_write_tokenizer_config(const tuff_tokenizer *tokenizer, tuff_buf *out)
{
    if (tokenizer->config.data)
        tuff_buf_bytes(out, tokenizer->config.data, tokenizer->config.size);
    else
        write_config(tokenizer, out);
    return out->failed ? tuff_fail_memory("writing tokenizer_config.json") : TUFF_OK;
}

static tuff_status write_file(const char *directory, const char *name, const tuff_buf *text)
{
    if (text->failed) return tuff_note(tuff_fail_memory("writing a file"), "%s", name);
    char *path = tuff_path_join(directory, name);
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = tuff_write_file(path, text->data, text->size);
    tuff_free(path);
    return status;
}

tuff_status tuff_tokenizer_save(const tuff_tokenizer *tokenizer, const char *directory)
{
    TUFF_NEED(tokenizer);
    TUFF_NEED(directory);
    tuff_buf text = {0};
    tuff_status status;
    TUFF_GO(tuff_write_tokenizer_json(tokenizer, &text));
    TUFF_GO(write_file(directory, "tokenizer.json", &text));
    tuff_buf_clear(&text);
    TUFF_GO(tuff_write_tokenizer_config(tokenizer, &text));
    TUFF_GO(write_file(directory, "tokenizer_config.json", &text));
    if (tokenizer->chat_file) {
        tuff_buf_clear(&text);
        tuff_buf_bytes(&text, tokenizer->chat_template.data, tokenizer->chat_template.size);
        TUFF_GO(write_file(directory, "chat_template.jinja", &text));
    }
    tuff_buf_clear(&text);
    tuff_buf_text(&text, "{");
    write_special(tokenizer, "", &text);
    TUFF_GO(write_file(directory, "special_tokens_map.json", &text));
done:
    tuff_buf_free(&text);
    return status;
}
