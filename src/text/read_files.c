/* vocab.json with merges.txt, and directories and files by their names. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/stage.h"
#include "base/status.h"
#include "text/known_cuts.h"
#include "text/read.h"

enum { FILE_LIMIT = 256 << 20, MOST_SPECIAL = 8 };

/* A token per line, "left right"; the first line may be "#version: ...". */
static tuff_status read_merges(tuff_tokenizer *t, tuff_view text, const char *where)
{
    size_t index = 0;
    bool first = true;
    while (text.size) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t taken = end ? (size_t)(end - text.data) + 1 : text.size;
        tuff_view line = {text.data, end ? taken - 1 : taken};
        text = (tuff_view){text.data + taken, text.size - taken};
        if (line.size && line.data[line.size - 1] == '\r') line.size--;
        bool version = first && line.size >= 8 && memcmp(line.data, "#version", 8) == 0;
        first = false;
        if (version || line.size == 0) continue;
        TUFF_TRY(tuff_add_merge_text(t, line, index++, where));
    }
    return TUFF_OK;
}

static tuff_status add_around(tuff_tokenizer *t, const cJSON *config, const char *where)
{
    bool bos = false, eos = false;
    if (tuff_template_specials(&t->single)) return TUFF_OK; /* the class has said it */
    TUFF_TRY(tuff_json_bool(config, "add_bos_token", where, &bos));
    TUFF_TRY(tuff_json_bool(config, "add_eos_token", where, &eos));
    int32_t before = bos ? t->bos : -1;
    tuff_template_fill(&t->single, &t->pair, before, eos && t->eos_count ? t->eos[0] : -1, before, true);
    return TUFF_OK;
}

/* GPT-2's files list no special tokens: its one is known by name. */
static void add_endoftext(tuff_tokenizer *t)
{
    static const char name[] = "<|endoftext|>";
    uint32_t id;
    if (t->added_count || !tuff_map_get(&t->vocab, name, strlen(name), &id)) return;
    t->added[t->added_count++] =
        (tuff_added_token){.text = t->tokens[id].text, .id = (int32_t)id, .special = true};
    t->tokens[id].special = true;
    t->tokens[id].type = TUFF_TOKEN_CONTROL;
    t->bos = (int32_t)id;
}

/* The special tokens of RoBERTa and those who took its tokenizer, which its files need not list. */
static void add_roberta(tuff_tokenizer *t, bool prefix)
{
    static const char *const names[] = {"<s>", "</s>", "<pad>", "<unk>", "<mask>"};
    enum { NAMES = sizeof names / sizeof *names, CLS = 0, SEP = 1, MASK = 4 };
    int32_t ids[NAMES];
    for (size_t i = 0; i < NAMES; i++) {
        uint32_t id;
        bool known = tuff_map_get(&t->vocab, names[i], strlen(names[i]), &id);
        ids[i] = known ? (int32_t)id : -1;
        if (!known || t->tokens[id].special) continue;
        t->tokens[id].special = true;
        t->tokens[id].type = TUFF_TOKEN_CONTROL;
        t->added[t->added_count++] =
            (tuff_added_token){.text = t->tokens[id].text, .id = ids[i], .special = true, .left = i == MASK};
    }
    t->cls = ids[CLS];
    t->sep = ids[SEP];
    t->mask = ids[MASK];
    t->trim = true;
    t->trim_prefix = prefix;
    tuff_template_fill(&t->single, &t->pair, t->cls, t->sep, t->sep, false);
}

static bool is_roberta(const char *class)
{
    static const char *const names[] = {"Roberta", "Bart", "Longformer", "LED"};
    for (size_t i = 0; class && i < sizeof names / sizeof *names; i++) {
        if (tuff_starts_with(class, names[i])) return true;
    }
    return false;
}

static tuff_status read_parts(tuff_tokenizer *t, const cJSON *vocab, tuff_view merges, const cJSON *config,
                              const cJSON *added, const char *where)
{
    const char *class = NULL;
    bool prefix = false;
    uint32_t size;
    if (!cJSON_IsObject(vocab)) return tuff_fail(TUFF_BAD_FORMAT, "%s: vocab.json is not an object", where);
    TUFF_TRY(tuff_json_text(config, "tokenizer_class", where, &class));
    TUFF_TRY(tuff_json_bool(config, "add_prefix_space", where, &prefix));
    TUFF_TRY(tuff_count_ids(0, vocab, added, where, &size));
    TUFF_TRY(tuff_tokenizer_reserve(t, size));
    TUFF_TRY(tuff_read_vocab(t, vocab, where));
    TUFF_TRY(tuff_read_added(t, added, MOST_SPECIAL, where));
    TUFF_TRY(read_merges(t, merges, where));
    const char *cut = class && tuff_starts_with(class, "Qwen2") ? "qwen2" : "gpt-2";
    TUFF_TRY(tuff_known_cut_apply(t, tuff_known_cut_find(cut), prefix, where));
    if (is_roberta(class))
        add_roberta(t, prefix);
    else
        add_endoftext(t);
    return TUFF_OK;
}

tuff_status tuff_read_vocab_tokenizer(tuff_view vocab, tuff_view merges, tuff_view config, const char *where,
                                      tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = NULL;
    cJSON *vocab_tree = NULL, *config_tree = NULL, *added = NULL;
    tuff_tokenizer *t = NULL;
    tuff_status status;
    TUFF_GO(tuff_json_parse(vocab.data, vocab.size, where, &vocab_tree));
    if (config.data)
        TUFF_GO(tuff_json_parse(config.data, config.size, "tokenizer_config.json", &config_tree));
    TUFF_GO(tuff_config_added(config_tree, where, &added));
    TUFF_GO(tuff_tokenizer_new(&t));
    TUFF_GO(read_parts(t, vocab_tree, merges, config_tree, added, where));
    TUFF_GO(tuff_tokenizer_finish(t, where));
    if (config_tree) {
        TUFF_GO(tuff_read_config(t, config_tree, where));
        TUFF_GO(add_around(t, config_tree, where));
        t->config = tuff_tokenizer_copy(t, config);
        if (!t->config.data) status = tuff_fail_memory("a tokenizer");
    }
    if (status == TUFF_OK) {
        *out_tokenizer = t;
        t = NULL;
    }
done:
    tuff_tokenizer_destroy(&t);
    cJSON_Delete(vocab_tree);
    cJSON_Delete(config_tree);
    cJSON_Delete(added);
    return status;
}

tuff_status tuff_tokenizer_from_vocab(const char *vocab, size_t vocab_size, const char *merges,
                                      size_t merges_size, const char *config, size_t config_size,
                                      const char *where, tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(vocab);
    TUFF_NEED(merges);
    TUFF_NEED_MANY(config, config_size);
    TUFF_NEED(where);
    TUFF_TRY(tuff_read_vocab_tokenizer((tuff_view){vocab, vocab_size}, (tuff_view){merges, merges_size},
                                       (tuff_view){config, config_size}, where, out_tokenizer));
    tuff_tokenizer_guess_eos(*out_tokenizer);
    return TUFF_OK;
}

/* ---- directories ---- */

/* Reads directory/name where it exists; out->data stays NULL where not. */
static tuff_status read_if_there(const char *directory, const char *name, tuff_buf *out, bool *out_there)
{
    char *path = tuff_path_join(directory, name);
    if (!path) return tuff_fail_memory("a path");
    tuff_status status = TUFF_OK;
    *out_there = tuff_is_file(path);
    if (*out_there) status = tuff_read_file(path, FILE_LIMIT, out);
    if (status == TUFF_OK && *out_there) tuff_buf_text(out, ""); /* has memory also when empty */
    if (status == TUFF_OK && out->failed) status = tuff_fail_memory("a file");
    tuff_free(path);
    return status;
}

static tuff_status read_ids_file(tuff_tokenizer *t, const char *directory, const char *name)
{
    tuff_buf text = {0};
    bool there;
    cJSON *json = NULL;
    tuff_status status;
    TUFF_GO(read_if_there(directory, name, &text, &there));
    if (there) {
        TUFF_GO(tuff_json_parse(text.data, text.size, name, &json));
        TUFF_GO(tuff_read_model_ids(t, json, name));
    }
done:
    cJSON_Delete(json);
    tuff_buf_free(&text);
    return status;
}

static tuff_view view_of(const tuff_buf *buf)
{
    return (tuff_view){buf->data, buf->size};
}

/* The files of a directory that a tokenizer may be made of; the first kind that is whole is taken. */
static tuff_status load_parts(const char *directory, tuff_view config, tuff_tokenizer **out)
{
    static const char *const pieces[] = {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
                                         "spm.model",    "tiktoken.model",          "qwen.tiktoken"};
    tuff_buf text = {0}, vocab = {0}, merges = {0}, model = {0}, classed = {0};
    bool there, ids, pairs;
    tuff_status status;
    TUFF_GO(read_if_there(directory, "tokenizer.json", &text, &there));
    if (there) {
        status = tuff_read_json_tokenizer(view_of(&text), config, "tokenizer.json", out);
        goto done;
    }
    TUFF_GO(read_if_there(directory, "config.json", &model, &there));
    TUFF_GO(tuff_config_with_class(config, view_of(&model), &classed));
    const tuff_view more = classed.data ? view_of(&classed) : config;
    TUFF_GO(read_if_there(directory, "vocab.json", &vocab, &ids));
    TUFF_GO(read_if_there(directory, "merges.txt", &merges, &pairs));
    if (ids && pairs) {
        status = tuff_read_vocab_tokenizer(view_of(&vocab), view_of(&merges), more, "vocab.json", out);
        goto done;
    }
    TUFF_GO(read_if_there(directory, "vocab.txt", &text, &there));
    if (there) {
        status = tuff_read_wordpiece_tokenizer(view_of(&text), config, "vocab.txt", out);
        goto done;
    }
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        TUFF_GO(read_if_there(directory, pieces[i], &text, &there));
        if (!there) continue;
        status = tuff_is_tiktoken(view_of(&text))
                     ? tuff_read_tiktoken_tokenizer(view_of(&text), more, pieces[i], out)
                     : tuff_read_sentencepiece_tokenizer(view_of(&text), more, pieces[i], out);
        goto done;
    }
    if (tuff_is_byte_tokenizer(more)) {
        status = tuff_read_byte_tokenizer(more, "tokenizer_config.json", out);
        goto done;
    }
    status = ids || pairs
                 ? tuff_fail(TUFF_NOT_FOUND, "no tokenizer found: %s is there, but %s is missing",
                             ids ? "vocab.json" : "merges.txt", ids ? "merges.txt" : "vocab.json")
                 : tuff_fail(TUFF_NOT_FOUND,
                             "no tokenizer found, expected tokenizer.json, both vocab.json and merges.txt, "
                             "vocab.txt, a SentencePiece model (spiece.model, sentencepiece.bpe.model, "
                             "tokenizer.model, spm.model), or tiktoken's tokens (tokenizer.model, "
                             "tiktoken.model, qwen.tiktoken)");
done:
    tuff_buf_free(&text);
    tuff_buf_free(&vocab);
    tuff_buf_free(&model);
    tuff_buf_free(&classed);
    tuff_buf_free(&merges);
    return status;
}

static tuff_status load_directory(const char *directory, tuff_tokenizer **out)
{
    tuff_buf config = {0}, chat = {0};
    bool there;
    tuff_status status;
    TUFF_GO(tuff_stage_settle(directory));
    TUFF_GO(read_if_there(directory, "tokenizer_config.json", &config, &there));
    TUFF_GO(load_parts(directory, view_of(&config), out));
    TUFF_GO(read_ids_file(*out, directory, "generation_config.json"));
    if ((*out)->eos_count == 0 || (*out)->bos < 0) TUFF_GO(read_ids_file(*out, directory, "config.json"));
    TUFF_GO(read_if_there(directory, "chat_template.jinja", &chat, &there));
    if (there) {
        (*out)->chat_file = true;
        (*out)->chat_template = tuff_tokenizer_copy(*out, view_of(&chat));
        if (!(*out)->chat_template.data) status = tuff_fail_memory("a chat template");
    }
done:
    tuff_buf_free(&config);
    tuff_buf_free(&chat);
    return status;
}

static tuff_status load_file(const char *path, tuff_tokenizer **out)
{
    const tuff_view none = {NULL, 0};
    tuff_buf text = {0};
    tuff_status status = tuff_read_file(path, FILE_LIMIT, &text);
    if (status == TUFF_OK) tuff_buf_text(&text, ""); /* has memory also when empty */
    const bool ranks =
        tuff_ends_with(path, ".tiktoken") ||
        (tuff_ends_with(path, ".model") && status == TUFF_OK && tuff_is_tiktoken(view_of(&text)));
    if (status == TUFF_OK && ranks)
        status = tuff_read_tiktoken_tokenizer(view_of(&text), none, "tiktoken's tokens", out);
    else if (status == TUFF_OK && tuff_ends_with(path, ".model"))
        status = tuff_read_sentencepiece_tokenizer(view_of(&text), none, "a SentencePiece model", out);
    else if (status == TUFF_OK && tuff_ends_with(path, ".txt"))
        status = tuff_read_wordpiece_tokenizer(view_of(&text), none, "vocab.txt", out);
    else if (status == TUFF_OK)
        status = tuff_read_json_tokenizer(view_of(&text), none, "tokenizer.json", out);
    tuff_buf_free(&text);
    return status;
}

tuff_status tuff_tokenizer_load(const char *path, tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(path);
    tuff_status status =
        tuff_is_directory(path) ? load_directory(path, out_tokenizer) : load_file(path, out_tokenizer);
    if (status != TUFF_OK) {
        tuff_tokenizer_destroy(out_tokenizer);
        return tuff_note(status, "%s", path);
    }
    tuff_tokenizer_guess_eos(*out_tokenizer);
    return TUFF_OK;
}
