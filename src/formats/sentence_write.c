/* What sentence-transformers wants beside a model, as files: written anew, or copied as it is. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "formats/sentence.h"

enum { MOST_BYTES = 1 << 30 }; /* of a file that is copied: a dense layer's weights */

static const char modules_name[] = "modules.json", sizes_name[] = "sentence_bert_config.json",
                  prompts_name[] = "config_sentence_transformers.json";

/* ---- anew ---- */

static tuff_status write(const char *directory, const char *name, tuff_buf *text)
{
    char *path = text->failed ? NULL : tuff_path_join(directory, name);
    tuff_status status = path ? tuff_write_file(path, text->data, text->size) : tuff_fail_memory("a file");
    tuff_free(path);
    tuff_buf_clear(text);
    return status;
}

static void print_modules(bool normalize, tuff_buf *out)
{
    static const char *const types[] = {"Transformer", "Pooling", "Normalize"}, *const paths[] = {
                                                                                    "", "1_Pooling",
                                                                                    "2_Normalize"};
    tuff_buf_text(out, "[\n");
    for (int i = 0; i < (normalize ? 3 : 2); i++)
        tuff_buf_printf(out,
                        "%s  {\"idx\": %d, \"name\": \"%d\", \"path\": \"%s\", "
                        "\"type\": \"sentence_transformers.models.%s\"}",
                        i ? ",\n" : "", i, i, paths[i], types[i]);
    tuff_buf_text(out, "\n]\n");
}

static void print_prompts(const tuff_sentence *s, tuff_buf *out)
{
    const char *usual = NULL;
    tuff_buf_text(out, "{\n  \"prompts\": {");
    for (size_t i = 0; i < s->prompt_count; i++) {
        const tuff_sentence_prompt *p = &s->prompts[i];
        tuff_buf_text(out, i ? ", " : "");
        tuff_json_quote(out, p->name, strlen(p->name));
        tuff_buf_text(out, ": ");
        tuff_json_quote(out, p->text, strlen(p->text));
        if (p->text == s->default_prompt) usual = p->name;
    }
    tuff_buf_text(out, "},\n  \"default_prompt_name\": ");
    if (usual)
        tuff_json_quote(out, usual, strlen(usual));
    else
        tuff_buf_text(out, "null");
    tuff_buf_text(out, ",\n  \"similarity_fn_name\": \"cosine\"\n}\n");
}

static tuff_status write_pooling(const tuff_sentence_layout *l, const char *directory, tuff_buf *text)
{
    char *folder = tuff_path_join(directory, "1_Pooling");
    if (!folder) return tuff_fail_memory("a path");
    tuff_sentence_print_pooling(l->pooling, l->dimensions, text);
    tuff_status status = tuff_make_directories(folder);
    if (status == TUFF_OK) status = write(folder, "config.json", text);
    tuff_free(folder);
    return status;
}

tuff_status tuff_sentence_write(const tuff_sentence_layout *layout, const char *directory)
{
    static const tuff_sentence none = {0};
    tuff_buf text = {0};
    tuff_status status = write_pooling(layout, directory, &text);
    if (status == TUFF_OK) print_modules(layout->normalize, &text);
    if (status == TUFF_OK) status = write(directory, modules_name, &text);
    if (status == TUFF_OK)
        tuff_buf_printf(&text, "{\n  \"max_seq_length\": %lld,\n  \"do_lower_case\": false\n}\n",
                        (long long)layout->max_length);
    if (status == TUFF_OK) status = write(directory, sizes_name, &text);
    if (status == TUFF_OK) print_prompts(layout->prompts ? layout->prompts : &none, &text);
    if (status == TUFF_OK) status = write(directory, prompts_name, &text);
    tuff_buf_free(&text);
    return status;
}

/* ---- as it is ---- */

/* One that is not there is passed over. */
static tuff_status copy_file(const char *from, const char *to, const char *name)
{
    tuff_buf bytes = {0};
    char *source = tuff_path_join(from, name), *target = tuff_path_join(to, name);
    tuff_status status = source && target ? TUFF_OK : tuff_fail_memory("a path");
    if (status == TUFF_OK && tuff_is_file(source)) {
        status = tuff_read_file(source, MOST_BYTES, &bytes);
        if (status == TUFF_OK) status = tuff_write_file(target, bytes.data, bytes.size);
    }
    tuff_buf_free(&bytes);
    tuff_free(source);
    tuff_free(target);
    return status;
}

/* A module's folder. */
static tuff_status copy_folder(const char *from, const char *to, const char *path)
{
    static const char *const names[] = {"config.json", "model.safetensors", "pytorch_model.bin"};
    char *source = tuff_path_join(from, path), *target = tuff_path_join(to, path);
    tuff_status status = source && target ? TUFF_OK : tuff_fail_memory("a path");
    if (status == TUFF_OK && tuff_is_directory(source)) status = tuff_make_directories(target);
    for (size_t i = 0; i < sizeof names / sizeof *names && status == TUFF_OK; i++)
        status = copy_file(source, target, names[i]);
    tuff_free(source);
    tuff_free(target);
    return status;
}

static tuff_status copy_modules(const cJSON *list, const char *from, const char *to, const char *where)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *path = "";
        TUFF_TRY(tuff_json_text(item, "path", where, &path));
        TUFF_TRY(tuff_sentence_check_path(path, where));
        if (*path) TUFF_TRY(copy_folder(from, to, path));
    }
    TUFF_TRY(copy_file(from, to, modules_name));
    TUFF_TRY(copy_file(from, to, sizes_name));
    return copy_file(from, to, prompts_name);
}

tuff_status tuff_sentence_copy(const char *from, const char *to)
{
    cJSON *list = NULL;
    char *where = tuff_path_join(from, modules_name);
    tuff_status status = where ? TUFF_OK : tuff_fail_memory("a path");
    if (status == TUFF_OK && tuff_is_file(where)) {
        status = tuff_json_read(where, &list);
        if (status == TUFF_OK) status = copy_modules(list, from, to, where);
    }
    cJSON_Delete(list);
    tuff_free(where);
    return status;
}
