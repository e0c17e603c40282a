/* vocab.txt of a WordPiece, with what tokenizer_config.json says of it. */
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/bert.h"
#include "text/read.h"

static size_t count_lines(tuff_view text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n' || i + 1 == text.size;
    return lines;
}

/* The next line, without its end. */
static tuff_view take_line(tuff_view *text)
{
    const char *end = memchr(text->data, '\n', text->size);
    size_t size = end ? (size_t)(end - text->data) : text->size, taken = end ? size + 1 : size;
    tuff_view line = {text->data, size};
    *text = (tuff_view){text->data + taken, text->size - taken};
    while (line.size && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

static tuff_status read_lines(tuff_tokenizer *t, tuff_view text, const char *where)
{
    for (uint32_t id = 0; text.size; id++) {
        tuff_view line = take_line(&text);
        uint32_t other;
        if (!tuff_utf8_valid(line.data, line.size))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: line %u is not UTF-8", where, id + 1);
        tuff_view copy = tuff_tokenizer_copy(t, line);
        if (copy.data && tuff_map_get(&t->vocab, copy.data, copy.size, &other))
            t->tokens[other].in_model = false; /* of tokens spelled alike the last counts */
        if (!copy.data || !tuff_map_put(&t->vocab, copy.data, copy.size, id))
            return tuff_fail_memory("the tokens of a tokenizer");
        t->tokens[id] = (tuff_token){.text = copy, .type = TUFF_TOKEN_NORMAL, .in_model = true};
    }
    return TUFF_OK;
}

/* The special tokens: how the config calls them, and what they are called else. */
static const struct {
    const char *key, *name, *other;
} specials[] = {
    {"unk_token", "[UNK]", NULL},    {"cls_token", "[CLS]", "<s>"},      {"sep_token", "[SEP]", "</s>"},
    {"pad_token", "[PAD]", "<pad>"}, {"mask_token", "[MASK]", "<mask>"},
};
enum { SPECIALS = sizeof specials / sizeof *specials, UNK = 0, CLS = 1, SEP = 2, PAD = 3, MASK = 4 };

static bool has(const tuff_tokenizer *t, const char *text, uint32_t *out_id)
{
    return text && tuff_map_get(&t->vocab, text, strlen(text), out_id);
}

/* MPNet's vocabulary has BERT's special tokens too, as words like others: which count, the class says, or the
 * first token. */
static tuff_status find_class(const tuff_tokenizer *t, const cJSON *config, const char *where,
                              bool *out_mpnet)
{
    const char *class = NULL;
    TUFF_TRY(tuff_json_text(config, "tokenizer_class", where, &class));
    *out_mpnet = class ? tuff_starts_with(class, "MPNet") : tuff_view_is(t->tokens[0].text, "<s>");
    return TUFF_OK;
}

/* Finds one and makes it an added token; *out is -1 where the vocabulary has none. */
static tuff_status find_special(tuff_tokenizer *t, const cJSON *config, bool mpnet, size_t which,
                                const char *where, int32_t *out)
{
    const char *text;
    uint32_t id;
    *out = -1;
    TUFF_TRY(tuff_config_token(config, specials[which].key, where, &text));
    const char *name = specials[which].name, *other = specials[which].other;
    bool found =
        text ? has(t, text, &id) : (mpnet && has(t, other, &id)) || has(t, name, &id) || has(t, other, &id);
    if (!found) return TUFF_OK;
    *out = (int32_t)id;
    tuff_token *token = &t->tokens[id];
    if (which == UNK) token->type = TUFF_TOKEN_UNKNOWN;
    if (token->special) return TUFF_OK;
    token->special = true;
    if (which != UNK) token->type = TUFF_TOKEN_CONTROL;
    /* MPNet's mask takes the space before it, as RoBERTa's does. */
    bool left = which == MASK && tuff_view_is(token->text, "<mask>");
    t->added[t->added_count++] =
        (tuff_added_token){.text = token->text, .id = (int32_t)id, .special = true, .left = left};
    return TUFF_OK;
}

static tuff_status find_specials(tuff_tokenizer *t, const cJSON *config, const char *where)
{
    int32_t ids[SPECIALS];
    bool mpnet;
    TUFF_TRY(find_class(t, config, where, &mpnet));
    for (size_t i = 0; i < SPECIALS; i++)
        TUFF_TRY(find_special(t, config, mpnet, i, where, &ids[i]));
    if (ids[UNK] < 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the vocabulary has no unknown token (\"[UNK]\")", where);
    t->unk = t->wordpiece.unk = ids[UNK];
    t->cls = ids[CLS];
    t->sep = ids[SEP];
    t->pad = ids[PAD];
    t->mask = ids[MASK];
    /* MPNet puts two tokens between texts. */
    bool two = t->sep >= 0 && tuff_view_is(t->tokens[t->sep].text, "</s>");
    tuff_template_fill(&t->single, &t->pair, t->cls, t->sep, two ? t->sep : -1, true);
    return TUFF_OK;
}

static tuff_status check_config(const cJSON *config, const char *where)
{
    static const char *const known[] = {"Bert",   "DistilBert", "Electra",   "MPNet",       "MobileBert",
                                        "Funnel", "LayoutLM",   "Retribert", "SqueezeBert", "PreTrained"};
    const char *class = NULL;
    bool basic = true;
    TUFF_TRY(tuff_json_text(config, "tokenizer_class", where, &class));
    TUFF_TRY(tuff_json_bool(config, "do_basic_tokenize", where, &basic));
    if (!basic)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: \"do_basic_tokenize\": false is not supported by Tuff",
                         where);
    for (size_t i = 0; class && i < sizeof known / sizeof *known; i++) {
        bool japanese = tuff_starts_with(class, "BertJapanese") || tuff_starts_with(class, "BertGeneration");
        if (!japanese && tuff_starts_with(class, known[i])) return TUFF_OK;
    }
    if (!class) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: vocab.txt of the tokenizer class \"%.60s\" is not supported by Tuff; a "
                     "tokenizer.json is needed",
                     where, class);
}

static tuff_status read_rules(const tuff_tokenizer *t, const cJSON *config, const char *where,
                              tuff_bert_rules *out)
{
    *out = (tuff_bert_rules){.clean = true, .chinese = true, .lower = config || !tuff_bert_is_cased(t)};
    TUFF_TRY(tuff_json_bool(config, "do_lower_case", where, &out->lower));
    TUFF_TRY(tuff_json_bool(config, "tokenize_chinese_chars", where, &out->chinese));
    out->accents = out->lower;
    return tuff_json_bool(config, "strip_accents", where, &out->accents);
}

static tuff_status read_tokens(tuff_tokenizer *t, tuff_view vocab, size_t lines, const cJSON *config,
                               const cJSON *added, const char *where)
{
    uint32_t size;
    TUFF_TRY(tuff_count_ids((uint32_t)lines, NULL, added, where, &size));
    TUFF_TRY(tuff_tokenizer_reserve(t, size));
    TUFF_TRY(read_lines(t, vocab, where));
    TUFF_TRY(tuff_read_added(t, added, SPECIALS, where));
    return find_specials(t, config, where);
}

static tuff_status fill(tuff_tokenizer *t, tuff_view vocab, const cJSON *config, const cJSON *added,
                        const char *where)
{
    tuff_bert_rules rules;
    size_t lines = count_lines(vocab);
    if (lines == 0 || lines > TUFF_ID_LIMIT)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a vocabulary of %zu tokens, expected 1 to %d", where, lines,
                         (int)TUFF_ID_LIMIT);
    if (config && !cJSON_IsObject(config))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its tokenizer_config.json is not an object", where);
    TUFF_TRY(check_config(config, where));
    TUFF_TRY(read_tokens(t, vocab, lines, config, added, where));
    TUFF_TRY(read_rules(t, config, where, &rules));
    TUFF_TRY(tuff_bert_apply(t, rules, where));
    TUFF_TRY(tuff_tokenizer_finish(t, where));
    return config ? tuff_read_config(t, config, where) : TUFF_OK;
}

tuff_status tuff_read_wordpiece_tokenizer(tuff_view vocab, tuff_view config, const char *where,
                                          tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = NULL;
    cJSON *tree = NULL, *added = NULL;
    tuff_tokenizer *t = NULL;
    tuff_status status;
    if (config.data) TUFF_GO(tuff_json_parse(config.data, config.size, "tokenizer_config.json", &tree));
    TUFF_GO(tuff_config_added(tree, where, &added));
    TUFF_GO(tuff_tokenizer_new(&t));
    TUFF_GO(fill(t, vocab, tree, added, where));
    if (config.data) t->config = tuff_tokenizer_copy(t, config);
    if (config.data && !t->config.data) {
        status = tuff_fail_memory("a tokenizer");
        goto done;
    }
    *out_tokenizer = t;
    t = NULL;
done:
    tuff_tokenizer_destroy(&t);
    cJSON_Delete(tree);
    cJSON_Delete(added);
    return status;
}

tuff_status tuff_tokenizer_from_wordpiece(const char *vocab, size_t vocab_size, const char *config,
                                          size_t config_size, const char *where,
                                          tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(vocab);
    TUFF_NEED_MANY(config, config_size);
    TUFF_NEED(where);
    return tuff_read_wordpiece_tokenizer((tuff_view){vocab, vocab_size}, (tuff_view){config, config_size},
                                         where, out_tokenizer);
}
