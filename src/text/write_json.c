/* tokenizer.json, for tokenizers that did not come from one. */
#include "text/write.h"

#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/known_cuts.h"

void tuff_write_quoted(tuff_buf *out, tuff_view text)
{
    tuff_json_quote(out, text.data, text.size);
}

static void write_added(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"added_tokens\": [");
    for (size_t i = 0; i < t->added_count; i++) {
        const tuff_added_token *token = &t->added[i];
        tuff_buf_printf(out, "%s\n    {\"id\": %d, \"content\": ", i ? "," : "", token->id);
        tuff_write_quoted(out, token->text);
        tuff_buf_printf(
            out,
            ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, \"special\": %s}",
            tuff_json_truth(token->single_word), tuff_json_truth(token->left), tuff_json_truth(token->right),
            tuff_json_truth(token->normalized), tuff_json_truth(token->special));
    }
    tuff_buf_text(out, t->added_count ? "\n  ],\n" : "],\n");
}

static void write_byte_level_steps(const tuff_tokenizer *t, tuff_buf *out)
{
    const tuff_known_cut *cut = t->cut;
    bool gpt2 = strcmp(cut->patterns[0], tuff_gpt2_pattern()) == 0 && !cut->patterns[1];
    tuff_buf_printf(out, "  \"normalizer\": %s,\n",
                    cut->flags & TUFF_CUT_NFC ? "{\"type\": \"NFC\"}" : "null");
    tuff_buf_text(out, "  \"pre_tokenizer\": ");
    if (!gpt2) {
        tuff_buf_text(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
        for (size_t i = 0; i < TUFF_CUT_PATTERNS && cut->patterns[i]; i++) {
            tuff_buf_text(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
            tuff_write_quoted(out, tuff_view_of(cut->patterns[i]));
            tuff_buf_text(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, ");
        }
    }
    tuff_buf_printf(
        out,
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, \"use_regex\": %s}%s,\n",
        tuff_json_truth(t->space_prefix), tuff_json_truth(gpt2), gpt2 ? "" : "]}");
    tuff_buf_text(
        out, "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
             "\"use_regex\": true},\n");
}

static void write_parts(const tuff_tokenizer *t, const tuff_template *template, tuff_buf *out)
{
    for (size_t i = 0; i < template->count; i++) {
        const tuff_template_part *part = &template->parts[i];
        if (i) tuff_buf_text(out, ", ");
        tuff_buf_text(out, part->id < 0 ? "{\"Sequence\": {\"id\": " : "{\"SpecialToken\": {\"id\": ");
        if (part->id < 0)
            tuff_buf_text(out, part->id == TUFF_PART_FIRST ? "\"A\"" : "\"B\"");
        else
            tuff_write_quoted(out, t->tokens[part->id].text);
        tuff_buf_printf(out, ", \"type_id\": %d}}", part->type);
    }
}

/* Whether the id stands in the template before part `end`. */
static bool is_named(const tuff_template *template, size_t end, int32_t id)
{
    for (size_t i = 0; i < end; i++) {
        if (template->parts[i].id == id) return true;
    }
    return false;
}

static void write_template(const tuff_tokenizer *t, tuff_buf *out)
{
    const tuff_template *pair = &t->pair; /* it names all that the other does */
    const char *separator = "";
    tuff_buf_text(out, "{\"type\": \"TemplateProcessing\", \"single\": [");
    write_parts(t, &t->single, out);
    tuff_buf_text(out, "], \"pair\": [");
    write_parts(t, pair, out);
    tuff_buf_text(out, "], \"special_tokens\": {");
    for (size_t i = 0; i < pair->count; i++) {
        int32_t id = pair->parts[i].id;
        if (id < 0 || is_named(pair, i, id)) continue;
        tuff_buf_text(out, separator);
        tuff_write_quoted(out, t->tokens[id].text);
        tuff_buf_text(out, ": {\"id\": ");
        tuff_write_quoted(out, t->tokens[id].text);
        tuff_buf_printf(out, ", \"ids\": [%d], \"tokens\": [", id);
        tuff_write_quoted(out, t->tokens[id].text);
        tuff_buf_text(out, "]}");
        separator = ", ";
    }
    tuff_buf_text(out, "}}");
}

static void write_post_processor(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"post_processor\": ");
    if (tuff_template_specials(&t->single) == 0) {
        tuff_buf_text(out, "null,\n");
        return;
    }
    if (t->trim)
        tuff_buf_printf(
            out,
            "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, "
            "\"trim_offsets\": true, \"use_regex\": true}, ",
            tuff_json_truth(t->trim_prefix));
    write_template(t, out);
    tuff_buf_text(out, t->trim ? "]},\n" : ",\n");
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
            tuff_write_quoted(out, left);
            tuff_buf_text(out, ", ");
            tuff_write_quoted(out, right);
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

void tuff_write_vocab(const tuff_tokenizer *t, tuff_buf *out)
{
    bool first = true;
    tuff_buf_text(out, "    \"vocab\": {");
    for (uint32_t id = 0; id < t->size; id++) {
        if (!t->tokens[id].in_model) continue;
        tuff_buf_text(out, first ? "\n      " : ",\n      ");
        tuff_write_quoted(out, t->tokens[id].text);
        tuff_buf_printf(out, ": %u", id);
        first = false;
    }
    tuff_buf_text(out, "\n    }");
}

static void write_bpe(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ");
    if (t->bpe.unk >= 0)
        tuff_write_quoted(out, t->tokens[t->bpe.unk].text);
    else
        tuff_buf_text(out, "null");
    tuff_buf_printf(
        out,
        ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n"
        "    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n",
        tuff_json_truth(t->bpe.fuse_unk), tuff_json_truth(t->bpe.byte_fallback),
        tuff_json_truth(t->bpe.whole_words));
    tuff_write_vocab(t, out);
    tuff_buf_text(out, ",\n");
    write_merges(t, out);
    tuff_buf_text(out, "  }\n}\n");
}

static void write_steps(const tuff_tokenizer *t, tuff_buf *out)
{
    if (t->byte_level)
        write_byte_level_steps(t, out);
    else if (t->model == TUFF_WORDS_WORDPIECE)
        tuff_write_bert_steps(t, out);
    else
        tuff_write_sentencepiece_steps(t, out);
}

static void write_model(const tuff_tokenizer *t, tuff_buf *out)
{
    switch (t->model) {
    case TUFF_WORDS_WORDPIECE:
        tuff_write_wordpiece(t, out);
        break;
    case TUFF_WORDS_UNIGRAM:
        tuff_write_unigram(t, out);
        break;
    case TUFF_WORDS_BPE:
        write_bpe(t, out);
        break;
    }
}

tuff_status tuff_write_tokenizer_json(const tuff_tokenizer *tokenizer, tuff_buf *out)
{
    if (tokenizer->json.data) {
        tuff_buf_bytes(out, tokenizer->json.data, tokenizer->json.size);
    } else {
        if (tokenizer->byte_level && tokenizer->space_prefix && tokenizer->cut->patterns[1])
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "a tokenizer of the kind \"%.*s\" that puts a space before the text cannot be written as tokenizer.json",
                (int)tuff_known_cut_name(tokenizer->cut).size, tokenizer->cut->names);
        tuff_buf_text(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
        write_added(tokenizer, out);
        write_steps(tokenizer, out);
        write_post_processor(tokenizer, out);
        write_model(tokenizer, out);
    }
    return out->failed ? tuff_fail_memory("writing tokenizer.json") : TUFF_OK;
}
