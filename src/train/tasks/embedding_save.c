/* What sentence-transformers wants beside a model: which modules follow it, and what they are. */
#include <string.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "formats/sentence.h"
#include "train/tasks/embedding.h"

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

static tuff_status write_pooling(const tuff_embedder *e, const char *directory, tuff_buf *text)
{
    char *folder = tuff_path_join(directory, "1_Pooling");
    if (!folder) return tuff_fail_memory("a path");
    tuff_sentence_print_pooling(e->pooling, e->full, text);
    tuff_status status = tuff_disk_make_directory(folder)
                             ? write(folder, "config.json", text)
                             : tuff_fail(TUFF_IO, "cannot make the folder %s", folder);
    tuff_free(folder);
    return status;
}

tuff_status tuff_embedding_save(const tuff_dataset *data, const char *directory)
{
    const tuff_embedder *e = tuff_embedding_data_of(data)->settings;
    tuff_buf text = {0};
    tuff_status status = write_pooling(e, directory, &text);
    if (status == TUFF_OK) print_modules(e->normalize, &text);
    if (status == TUFF_OK) status = write(directory, "modules.json", &text);
    if (status == TUFF_OK)
        tuff_buf_printf(&text, "{\n  \"max_seq_length\": %lld,\n  \"do_lower_case\": false\n}\n",
                        (long long)tuff_embedder_max_length(e));
    if (status == TUFF_OK) status = write(directory, "sentence_bert_config.json", &text);
    if (status == TUFF_OK) print_prompts(&e->sentence, &text);
    if (status == TUFF_OK) status = write(directory, "config_sentence_transformers.json", &text);
    tuff_buf_free(&text);
    return status;
}
