#include "chat/template.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "models/model.h"

enum { LARGEST = 4 << 20, LARGEST_CONFIG = 64 << 20 };

const char *const tuff_chat_token_names[TUFF_CHAT_TOKENS] = {
    "bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token"};

static tuff_status take_tokens(tuff_chat_template *t, const tuff_tokenizer *tokenizer)
{
    const int32_t ids[TUFF_CHAT_TOKENS] = {
        tuff_tokenizer_bos(tokenizer),
        tuff_tokenizer_eos_count(tokenizer) ? tuff_tokenizer_eos(tokenizer, 0) : -1,
        tuff_tokenizer_unk(tokenizer),
        tuff_tokenizer_pad(tokenizer),
        tuff_tokenizer_cls(tokenizer),
        tuff_tokenizer_sep(tokenizer),
        tuff_tokenizer_mask(tokenizer)};
    for (size_t i = 0; i < TUFF_CHAT_TOKENS; i++) {
        const tuff_piece token = ids[i] < 0 ? (tuff_piece){NULL, 0} : tuff_tokenizer_token(tokenizer, ids[i]);
        if (!token.data || !tuff_utf8_valid(token.data, token.size)) continue;
        t->tokens[i] = tuff_alloc(token.size + 1);
        if (!t->tokens[i]) return tuff_fail_memory("a chat template");
        memcpy(t->tokens[i], token.data, token.size);
    }
    return TUFF_OK;
}

static tuff_status keep_text(tuff_chat_template *t, const char *text, size_t size)
{
    t->text = tuff_alloc(size + 1);
    if (!t->text) return tuff_fail_memory("a chat template");
    if (size) memcpy(t->text, text, size);
    return TUFF_OK;
}

tuff_status tuff_chat_template_create(const char *text, size_t size, const tuff_tokenizer *tokenizer,
                                      tuff_chat_template **out_template)
{
    TUFF_NEED_OUT(out_template);
    TUFF_NEED_MANY(text, size);
    tuff_chat_template *t = tuff_alloc(sizeof *t);
    if (!t) return tuff_fail_memory("a chat template");
    tuff_status status = tuff_note(tuff_jinja_parse(text, size, &t->parsed), "the chat template");
    if (status == TUFF_OK) status = keep_text(t, text, size);
    if (status == TUFF_OK && tokenizer) status = take_tokens(t, tokenizer);
    if (status != TUFF_OK) tuff_chat_template_destroy(&t);
    *out_template = t;
    return status;
}

void tuff_chat_template_destroy(tuff_chat_template **chat_template)
{
    if (!chat_template || !*chat_template) return;
    tuff_jinja_destroy(&(*chat_template)->parsed);
    tuff_free((*chat_template)->text);
    for (size_t i = 0; i < TUFF_CHAT_TOKENS; i++)
        tuff_free((*chat_template)->tokens[i]);
    tuff_free(*chat_template);
    *chat_template = NULL;
}

bool tuff_chat_template_marks(const tuff_chat_template *chat_template)
{
    return chat_template && tuff_jinja_marks(chat_template->parsed);
}

/* additional_chat_templates/NAME.jinja, else of that name in tokenizer_config.json. Empty: there is none. */
static tuff_status read_named(const char *directory, const char *name, tuff_buf *out)
{
    char inside[128];
    tuff_status status = TUFF_OK;
    snprintf(inside, sizeof inside, "additional_chat_templates/%.80s.jinja", name);
    char *file = tuff_path_join(directory, inside),
         *config = tuff_path_join(directory, "tokenizer_config.json");
    cJSON *json = NULL;
    const cJSON *one;
    if (!file || !config) TUFF_GO(tuff_fail_memory("a chat template"));
    if (!strchr(name, '/') && strlen(name) <= 80 && tuff_is_file(file)) {
        TUFF_GO(tuff_read_file(file, LARGEST, out));
        goto done;
    }
    if (!tuff_is_file(config)) goto done;
    TUFF_GO(tuff_json_read(config, &json));
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(json, "chat_template"))
    {
        const cJSON *called = cJSON_GetObjectItemCaseSensitive(one, "name");
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(one, "template");
        if (!cJSON_IsString(called) || !cJSON_IsString(text) || strcmp(called->valuestring, name) != 0)
            continue;
        tuff_buf_text(out, text->valuestring);
        if (out->failed) TUFF_GO(tuff_fail_memory("a chat template"));
        break;
    }
done:
    cJSON_Delete(json);
    tuff_free(file);
    tuff_free(config);
    return status;
}

static tuff_status named_of_model(const tuff_model *model, const char *name, tuff_buf *out)
{
    char key[128];
    tuff_hf_files *files;
    if (model->gguf) {
        tuff_view text = {0};
        snprintf(key, sizeof key, "tokenizer.chat_template.%.80s", name);
        TUFF_TRY(tuff_gguf_text(model->gguf, key, &text));
        tuff_buf_bytes(out, text.data, text.size);
        return out->failed ? tuff_fail_memory("a chat template") : TUFF_OK;
    }
    TUFF_TRY(tuff_hf_locate(model->path, &files));
    const tuff_status status = read_named(files->directory, name, out);
    tuff_hf_files_destroy(&files);
    return status;
}

tuff_status tuff_chat_template_of_model(const tuff_model *model, const char *name,
                                        tuff_chat_template **out_template)
{
    TUFF_NEED_OUT(out_template);
    TUFF_NEED(model);
    const tuff_tokenizer *tokenizer;
    const tuff_model *files = model->base ? model->base : model;
    tuff_buf text = {0};
    tuff_status status;
    TUFF_TRY(tuff_model_get_tokenizer(model, &tokenizer));
    const tuff_piece own = tuff_tokenizer_chat_template(tokenizer);
    if (name && strcmp(name, "default") != 0)
        TUFF_GO(named_of_model(files, name, &text));
    else
        tuff_buf_bytes(&text, own.data, own.size);
    if (text.failed) TUFF_GO(tuff_fail_memory("a chat template"));
    if (!text.size)
        TUFF_GO(tuff_fail(TUFF_NOT_FOUND, "%s: the model has no chat template%s%s%s", files->path,
                          name ? " called \"" : "", name ? name : "", name ? "\"" : ""));
    TUFF_GO(tuff_note(tuff_chat_template_create(text.data, text.size, tokenizer, out_template), "%s",
                      files->path));
done:
    tuff_buf_free(&text);
    return status;
}

static const struct {
    const char *name, *text;
} own[] = {
#define TUFF_CHAT_TEMPLATE(name, text) {name, text},
#include "chat/templates.def"
#undef TUFF_CHAT_TEMPLATE
};
enum { OWN = sizeof own / sizeof *own };

const char *tuff_chat_template_name(size_t index)
{
    return index < OWN ? own[index].name : NULL;
}

tuff_status tuff_chat_template_named(const char *name, const tuff_tokenizer *tokenizer,
                                     tuff_chat_template **out_template)
{
    char names[256] = "";
    size_t size = 0;
    TUFF_NEED_OUT(out_template);
    TUFF_NEED(name);
    for (size_t i = 0; i < OWN; i++) {
        if (strcmp(own[i].name, name) == 0)
            return tuff_chat_template_create(own[i].text, strlen(own[i].text), tokenizer, out_template);
        size += (size_t)snprintf(names + size, sizeof names - size, "%s%s", i ? ", " : "", own[i].name);
    }
    return tuff_fail(TUFF_NOT_FOUND, "there is no chat template called \"%s\"; there are %s", name, names);
}
