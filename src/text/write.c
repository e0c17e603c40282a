/* tokenizer.json and its companions, for tokenizers that did not come from a tokenizer.json. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "text/known_cuts.h"
#include "text/tokenizer_impl.h"

static const char space_piece[] = "\xe2\x96\x81";

static void quote(tuff_buf *out, tuff_view text)
{
    tuff_json_quote(out, text.data, text.size);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void write_added(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"added_tokens\": [");
    for (size_t i = 0; i < t->added_count; i++) {
        const tuff_added_token *token = &t->added[i];
        tuff_buf_printf(out, "%s\n    {\"id\": %d, \"content\": ", i ? "," : "", token->id);
        quote(out, token->text);
        tuff_buf_printf(
            out,
            ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, \"special\": %s}",
            truth(token->single_word), truth(token->left), truth(token->right), truth(token->normalized),
            truth(token->special));
    }
    tuff_buf_text(out, t->added_count ? "\n  ],\n" : "],\n");
}

static void write_space_steps(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
    if (t->space_prefix) tuff_buf_printf(out, "{\"type\": \"Prepend\", \"prepend\": \"%s\"}, ", space_piece);
    tuff_buf_printf(out,
                    "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"%s\"}]},\n",
                    space_piece);
    tuff_buf_text(out, "  \"pre_tokenizer\": null,\n");
    tuff_buf_printf(
        out,
        "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"%s\"}, "
        "\"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}",
        space_piece);
    if (t->space_prefix)
        tuff_buf_text(out, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
    tuff_buf_text(out, "]},\n");
}

static void write_byte_level_steps(const tuff_tokenizer *t, tuff_buf *out)
{
    const tuff_known_cut *cut = t->cut;
    bool gpt2 = strcmp(cut->patterns[0], tuff_gpt2_pattern) == 0 && !cut->patterns[1];
    tuff_buf_printf(out, "  \"normalizer\": %s,\n", cut->nfc ? "{\"type\": \"NFC\"}" : "null");
    tuff_buf_text(out, "  \"pre_tokenizer\": ");
    if (!gpt2) {
        tuff_buf_text(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
        for (size_t i = 0; i < TUFF_CUT_PATTERNS && cut->patterns[i]; i++) {
            tuff_buf_text(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
            quote(out, tuff_view_of(cut->patterns[i]));
            tuff_buf_text(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, ");
        }
    }
    tuff_buf_printf(
        out,
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, \"use_regex\": %s}%s,\n",
        truth(t->space_prefix), truth(gpt2), gpt2 ? "" : "]}");
    tuff_buf_text(
        out, "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
             "\"use_regex\": true},\n");
}

static void write_template_side(const tuff_tokenizer *t, const int32_t *ids, size_t count, bool last,
                                int type, tuff_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (last) tuff_buf_text(out, ", ");
        tuff_buf_text(out, "{\"SpecialToken\": {\"id\": ");
        quote(out, t->tokens[ids[i]].text);
        tuff_buf_printf(out, ", \"type_id\": %d}}%s", type, last ? "" : ", ");
    }
}

static void write_sequence(const tuff_tokenizer *t, char name, int type, tuff_buf *out)
{
    write_template_side(t, t->before, t->before_count, false, type, out);
    tuff_buf_printf(out, "{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}", name, type);
    write_template_side(t, t->after, t->after_count, true, type, out);
}

static void write_post_processor(const tuff_tokenizer *t, tuff_buf *out)
{
    if (t->before_count + t->after_count == 0) {
        tuff_buf_text(out, "  \"post_processor\": null,\n");
        return;
    }
    tuff_buf_text(out, "  \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [");
    write_sequence(t, 'A', 0, out);
    tuff_buf_text(out, "], \"pair\": [");
    write_sequence(t, 'A', 0, out);
    tuff_buf_text(out, ", ");
    write_sequence(t, 'B', 1, out);
    tuff_buf_text(out, "], \"special_tokens\": {");
    for (size_t i = 0; i < t->before_count + t->after_count; i++) {
        int32_t id = i < t->before_count ? t->before[i] : t->after[i - t->before_count];
        if (i > 0 && id == t->before[0]) continue;
        if (i) tuff_buf_text(out, ", ");
        quote(out, t->tokens[id].text);
        tuff_buf_text(out, ": {\"id\": ");
        quote(out, t->tokens[id].text);
        tuff_buf_printf(out, ", \"ids\": [%d], \"tokens\": [", id);
        quote(out, t->tokens[id].text);
        tuff_buf_text(out, "]}");
    }
    tuff_buf_text(out, "}},\n");
}

/* The old spelling, "left right", where no token has a space in it. */
static bool plain_merges(const tuff_tokenizer *t)
{
    for (size_t m = 0; m < t->bpe.merge_count; m++) {
        tuff_view text = t->tokens[t->bpe.merges[m].id].text;
        if (memchr(text.data, ' ', text.size)) return false;
    }
    return true;
}

static void write_merges(const tuff_tokenizer *t, tuff_buf *out)
{
    bool plain = plain_merges(t);
    tuff_buf pair = {0};
    tuff_buf_text(out, "    \"merges\": [");
    for (size_t m = 0; m < t->bpe.merge_count; m++) {
        tuff_view left = t->tokens[t->bpe.merges[m].left].text,
                  right = t->tokens[t->bpe.merges[m].right].text;
        tuff_buf_text(out, m ? ",\n      " : "\n      ");
        if (!plain) {
            tuff_buf_char(out, '[');
            quote(out, left);
            tuff_buf_text(out, ", ");
            quote(out, right);
            tuff_buf_char(out, ']');
            continue;
        }
        tuff_buf_clear(&pair);
        tuff_buf_bytes(&pair, left.data, left.size);
        tuff_buf_char(&pair, ' ');
        tuff_buf_bytes(&pair, right.data, right.size);
        out->failed = out->failed || pair.failed;
        if (!out->failed) tuff_json_quote(out, pair.data, pair.size);
    }
    tuff_buf_free(&pair);
    tuff_buf_text(out, "\n    ]\n");
}

static void write_model(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ");
    if (t->bpe.unk >= 0)
        quote(out, t->tokens[t->bpe.unk].text);
    else
        tuff_buf_text(out, "null");
    tuff_buf_printf(
        out,
        ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n"
        "    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n    \"vocab\": {",
        truth(t->bpe.fuse_unk), truth(t->bpe.byte_fallback), truth(t->bpe.whole_words));
    bool first = true;
    for (uint32_t id = 0; id < t->size; id++) {
        if (!t->tokens[id].in_model) continue;
        tuff_buf_text(out, first ? "\n      " : ",\n      ");
        quote(out, t->tokens[id].text);
        tuff_buf_printf(out, ": %u", id);
        first = false;
    }
    tuff_buf_text(out, "\n    },\n");
    write_merges(t, out);
    tuff_buf_text(out, "  }\n}\n");
}

tuff_status tuff_write_tokenizer_json(const tuff_tokenizer *tokenizer, tuff_buf *out)
{
    if (tokenizer->json.data) {
        tuff_buf_bytes(out, tokenizer->json.data, tokenizer->json.size);
    } else {
        if (tokenizer->byte_level && tokenizer->space_prefix && tokenizer->cut->patterns[1])
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "a tokenizer of the kind \"%s\" that puts a space before the text cannot be written as tokenizer.json",
                tokenizer->cut->names[0]);
        tuff_buf_text(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
        write_added(tokenizer, out);
        if (tokenizer->byte_level)
            write_byte_level_steps(tokenizer, out);
        else
            write_space_steps(tokenizer, out);
        write_post_processor(tokenizer, out);
        write_model(tokenizer, out);
    }
    return out->failed ? tuff_fail_memory("writing tokenizer.json") : TUFF_OK;
}

static void write_named(const tuff_tokenizer *t, const char *name, int32_t id, const char **separator,
                        tuff_buf *out)
{
    if (id < 0) return;
    tuff_buf_printf(out, "%s\n  \"%s\": ", *separator, name);
    quote(out, t->tokens[id].text);
    *separator = ",";
}

static void write_special(const tuff_tokenizer *t, const char *separator, tuff_buf *out)
{
    write_named(t, "bos_token", t->bos, &separator, out);
    write_named(t, "eos_token", tuff_tokenizer_eos(t, 0), &separator, out);
    write_named(t, "pad_token", t->pad, &separator, out);
    write_named(t, "unk_token", t->unk, &separator, out);
    tuff_buf_text(out, "\n}\n");
}

static void write_config(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_printf(
        out,
        "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"clean_up_tokenization_spaces\": false,\n"
        "  \"add_bos_token\": %s,\n  \"add_eos_token\": %s",
        truth(t->before_count > 0), truth(t->after_count > 0));
    if (t->chat_template.data) {
        tuff_buf_text(out, ",\n  \"chat_template\": ");
        quote(out, t->chat_template);
    }
    write_special(t, ",", out);
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
    if (tokenizer->config.data)
        tuff_buf_bytes(&text, tokenizer->config.data, tokenizer->config.size);
    else
        write_config(tokenizer, &text);
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
