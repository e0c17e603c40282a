/* tokenizer.json of WordPiece and Unigram, and SentencePiece's steps. */
#include "base/base64.h"
#include "base/json.h"
#include "text/bert.h"
#include "text/write.h"

static const char space_piece[] = "\xe2\x96\x81";

const char tuff_spaces_before[] = "\\A +", tuff_pieces_behind[] = "\xe2\x96\x81+\\z";

enum { FAR_BELOW = 10000 }; /* scores of tokens that must not come about */

void tuff_write_bert_steps(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_bert_rules rules;
    (void)tuff_bert_rules_of(t, &rules);
    tuff_buf_printf(
        out,
        "  \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": %s, \"handle_chinese_chars\": %s, "
        "\"strip_accents\": %s, \"lowercase\": %s},\n",
        tuff_json_truth(rules.clean), tuff_json_truth(rules.chinese),
        rules.accents == rules.lower ? "null" : tuff_json_truth(rules.accents), tuff_json_truth(rules.lower));
    tuff_buf_text(out, "  \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n"
                       "  \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},\n");
}

void tuff_write_wordpiece(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"model\": {\n    \"type\": \"WordPiece\",\n    \"unk_token\": ");
    tuff_write_quoted(out, t->tokens[t->wordpiece.unk].text);
    tuff_buf_text(out, ",\n    \"continuing_subword_prefix\": ");
    tuff_write_quoted(out, t->wordpiece.prefix);
    tuff_buf_printf(out, ",\n    \"max_input_chars_per_word\": %zu,\n", t->wordpiece.longest);
    tuff_write_vocab(t, out);
    tuff_buf_text(out, "\n  }\n}\n");
}

static void write_replace(tuff_buf *out, const char *kind, tuff_view pattern, tuff_view by)
{
    tuff_buf_printf(out, "{\"type\": \"Replace\", \"pattern\": {\"%s\": ", kind);
    tuff_write_quoted(out, pattern);
    tuff_buf_text(out, "}, \"content\": ");
    tuff_write_quoted(out, by);
    tuff_buf_char(out, '}');
}

/* What SentencePiece does in one step, in those of the Hugging Face library. */
static void write_sentencepiece(const tuff_normalizer *step, tuff_buf *out)
{
    const tuff_view space = tuff_view_of(" "), piece = tuff_view_of(space_piece);
    if (step->charsmap) {
        tuff_buf_text(out, "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"");
        tuff_base64_encode(tuff_charsmap_blob(step->charsmap), out);
        tuff_buf_text(out, "\"}, ");
    }
    if (step->merge) {
        write_replace(out, "Regex", tuff_view_of(tuff_spaces_before), tuff_view_of(""));
        tuff_buf_text(out, ", ");
        write_replace(out, "Regex", tuff_view_of(" {2,}"), space);
        tuff_buf_text(out, ", ");
    }
    if (step->prefix) tuff_buf_printf(out, "{\"type\": \"Prepend\", \"prepend\": \"%s\"}, ", space_piece);
    write_replace(out, "String", space, piece);
    if (!step->merge) return;
    tuff_buf_text(out, ", ");
    write_replace(out, "Regex", tuff_view_of(tuff_pieces_behind), tuff_view_of(""));
}

static void write_normalizer(const tuff_normalizer *step, tuff_buf *out)
{
    switch (step->kind) {
    case TUFF_NORMALIZE_REPLACE:
        write_replace(out, "Regex", step->pattern, step->text);
        break;
    case TUFF_NORMALIZE_NFKD:
        tuff_buf_text(out, "{\"type\": \"NFKD\"}");
        break;
    case TUFF_NORMALIZE_MARKS:
        tuff_buf_text(out, "{\"type\": \"StripAccents\"}");
        break;
    case TUFF_NORMALIZE_LOWERCASE:
        tuff_buf_text(out, "{\"type\": \"Lowercase\"}");
        break;
    default: /* no others are made by readers of SentencePiece models */
        write_sentencepiece(step, out);
        break;
    }
}

void tuff_write_sentencepiece_steps(const tuff_tokenizer *t, tuff_buf *out)
{
    bool bytes = t->model == TUFF_WORDS_BPE || t->unigram.byte_fallback;
    tuff_buf_text(out, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
    for (size_t i = 0; i < t->normalizer_count; i++) {
        if (i) tuff_buf_text(out, ", ");
        write_normalizer(&t->normalizers[i], out);
    }
    tuff_buf_text(out, "]},\n  \"pre_tokenizer\": null,\n"
                       "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [");
    write_replace(out, "String", tuff_view_of(space_piece), tuff_view_of(" "));
    if (bytes) tuff_buf_text(out, ", {\"type\": \"ByteFallback\"}");
    tuff_buf_text(out, ", {\"type\": \"Fuse\"}");
    if (t->space_prefix)
        tuff_buf_text(out, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
    tuff_buf_text(out, "]},\n");
}

void tuff_write_unigram(const tuff_tokenizer *t, tuff_buf *out)
{
    tuff_buf_text(out, "  \"model\": {\n    \"type\": \"Unigram\",\n    \"unk_id\": ");
    if (t->unigram.unk >= 0)
        tuff_buf_printf(out, "%d", t->unigram.unk);
    else
        tuff_buf_text(out, "null");
    tuff_buf_printf(out, ",\n    \"byte_fallback\": %s,\n    \"vocab\": [",
                    tuff_json_truth(t->unigram.byte_fallback));
    for (uint32_t id = 0; id < t->size; id++) {
        const tuff_token *token = &t->tokens[id];
        tuff_buf_text(out, id ? ",\n      [" : "\n      [");
        if (token->in_model)
            tuff_write_quoted(out, token->text);
        else /* another token is spelled so, and here the last one would count */
            tuff_buf_printf(out, "\"[UNUSED%u]\"", id);
        tuff_buf_text(out, ", ");
        bool unused = !token->in_model || token->type == TUFF_TOKEN_UNUSED;
        tuff_json_double(out, unused ? t->unigram.unk_score - FAR_BELOW : token->score);
        tuff_buf_char(out, ']');
    }
    tuff_buf_text(out, "\n    ]\n  }\n}\n");
}
