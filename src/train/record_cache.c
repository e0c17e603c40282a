#include "train/record_cache.h"

#include <string.h>

#include "base/disk.h"
#include "base/log.h"
#include "base/memory.h"
#include "chat/template.h"
#include "formats/records.h"
#include "models/heads/head.h"
#include "train/task.h"
#include "train/trainer.h"

uint64_t tuff_records_many = 1 << 20;

struct tuff_record_cache {
    tuff_text_files files; /* open, so that it is seen where they change */
    const char *path;
    tuff_buf kept; /* the path of what is kept */
    tuff_token_file file;
    bool found, damaged;
};

/* ---- one thing after the other ---- */

static void put(tuff_kept *k, const void *data, size_t size)
{
    if (k->status == TUFF_OK) k->status = tuff_token_writer_beside(k->to, data, size);
}

/* The next bytes that were put; NULL where there are not so many. */
static const char *get(tuff_kept *k, size_t size)
{
    const size_t odd = (uintptr_t)k->at % 8, before = odd ? 8 - odd : 0;
    if (k->status == TUFF_OK &&
        (before > (size_t)(k->end - k->at) || size > (size_t)(k->end - k->at) - before))
        k->status = tuff_fail(TUFF_BAD_FORMAT, "what is kept of the data is cut off");
    if (k->status != TUFF_OK) return NULL;
    const char *found = k->at + before;
    k->at = found + size;
    return found;
}

void tuff_kept_value(tuff_kept *k, void *value, size_t size)
{
    if (k->to) {
        put(k, value, size);
        return;
    }
    const char *found = get(k, size);
    if (found) memcpy(value, found, size);
}

void tuff_kept_expect(tuff_kept *k, bool right)
{
    if (k->status == TUFF_OK && !right)
        k->status = tuff_fail(TUFF_BAD_FORMAT, "what is kept of the data is damaged");
}

void tuff_kept_choice(tuff_kept *k, unsigned *value, unsigned most)
{
    uint64_t kept = *value;
    tuff_kept_value(k, &kept, sizeof kept);
    tuff_kept_expect(k, kept <= most);
    if (k->status == TUFF_OK) *value = (unsigned)kept;
}

void tuff_kept_flag(tuff_kept *k, bool *value)
{
    unsigned kept = *value;
    tuff_kept_choice(k, &kept, 1);
    *value = kept != 0;
}

void tuff_kept_count(tuff_kept *k, size_t *count)
{
    uint64_t kept = *count;
    tuff_kept_value(k, &kept, sizeof kept);
    tuff_kept_expect(k, k->to || kept <= (uint64_t)(k->end - k->at));
    if (!k->to) *count = k->status == TUFF_OK ? (size_t)kept : 0;
}

bool tuff_kept_in_order(const int64_t *starts, size_t n, int64_t end)
{
    bool right = starts[0] == 0 && starts[n] == end;
    for (size_t i = 0; i < n && right; i++)
        right = starts[i] <= starts[i + 1];
    return right;
}

void tuff_kept_text(tuff_kept *k, char **text)
{
    uint64_t size = k->to && *text ? strlen(*text) + 1 : 0;
    tuff_kept_value(k, &size, sizeof size);
    if (k->to) {
        if (size) put(k, *text, (size_t)size);
        return;
    }
    tuff_free(*text);
    *text = NULL;
    const char *found = size ? get(k, (size_t)size) : NULL;
    if (!found) return;
    tuff_kept_expect(k, !found[size - 1]);
    if (k->status == TUFF_OK && !(*text = tuff_strdup(found))) k->status = tuff_fail_memory("a data set");
}

void tuff_kept_column(tuff_kept *k, tuff_column *column, size_t bytes)
{
    uint64_t size = bytes;
    tuff_kept_value(k, &size, sizeof size);
    if (k->to) {
        put(k, column->data, bytes);
        return;
    }
    tuff_kept_expect(k, size == bytes);
    const char *found = get(k, bytes);
    if (!found) return;
    tuff_column_free(column);
    *column = (tuff_column){.data = (void *)(uintptr_t)found, .room = bytes, .borrowed = true};
}

/* ---- what it depends on ---- */

static void put_text(tuff_buf *out, const char *name, const char *text)
{
    if (text) tuff_buf_printf(out, "%s=%zu:%s\n", name, strlen(text), text);
}

static void put_number(tuff_buf *out, const char *name, double number)
{
    tuff_buf_printf(out, "%s=%.17g\n", name, number);
}

static void put_model(tuff_buf *out, const tuff_model *model)
{
    const tuff_config *c = &model->config;
    char scratch[TUFF_LABEL_SIZE];
    put_text(out, "arch", c->arch->name);
    put_text(out, "head", tuff_config_head_title(c));
    put_number(out, "vocab", (double)c->vocab_size);
    put_number(out, "positions", (double)tuff_longest_sequence(model));
    put_number(out, "rope", (double)tuff_rope_positions(model));
    put_number(out, "problem", c->problem);
    for (int64_t i = 0; i < c->labels; i++) {
        const tuff_view label = tuff_model_label(model, i, scratch);
        tuff_buf_printf(out, "label=%zu:%.*s\n", label.size, (int)label.size, label.data);
    }
}

static void put_like(tuff_buf *out, const tuff_dataset *like)
{
    const char *name;
    int64_t count;
    if (like) put_number(out, "like", tuff_task_wish(like).problem);
    for (size_t i = 0; like && tuff_dataset_label(like, i, &name, &count); i++)
        put_text(out, "known", name);
}

void tuff_record_settings_template(const tuff_chat_template *t, tuff_buf *out)
{
    put_text(out, "template", t->text);
    for (size_t i = 0; i < TUFF_CHAT_TOKENS; i++)
        put_text(out, tuff_chat_token_names[i], t->tokens[i]);
}

void tuff_record_settings(const tuff_model *model, const tuff_data_params *p, tuff_buf *out)
{
    put_number(out, "records", TUFF_RECORDS_FORMAT);
    put_model(out, model);
    put_text(out, "task", p->task);
    put_text(out, "text", p->text_field);
    put_text(out, "pair", p->text_pair_field);
    put_text(out, "label_field", p->label_field);
    put_text(out, "question", p->question_field);
    put_text(out, "context", p->context_field);
    put_text(out, "answers", p->answers_field);
    put_text(out, "problem_type", p->problem_type);
    put_text(out, "prefix", p->source_prefix);
    if (p->chat_template) tuff_record_settings_template(p->chat_template, out);
    put_number(out, "template is given", p->chat_template != NULL); /* else it is the model's */
    put_text(out, "kwargs", p->chat_template_kwargs);
    put_text(out, "format", p->conversation_format);
    put_text(out, "loss", p->loss);
    put_like(out, p->like);
    put_number(out, "flags",
               p->training | p->strict << 1 | p->loss_on_prompts << 2 | p->truncate_left << 3 |
                   p->held_out << 4);
    put_number(out, "max_length", (double)p->max_length);
    put_number(out, "stride", (double)p->stride);
    put_number(out, "split", p->validation_split);
    tuff_buf_printf(out, "seed=%llu\n", (unsigned long long)p->split_seed);
}

/* How each file is read. */
static void put_kinds(tuff_buf *out, const tuff_text_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        put_number(out, "kind", tuff_records_kind_of(files->items[i].path));
}

/* ---- looking ---- */

static tuff_status find(tuff_record_cache *c, const tuff_tokenizer *tokenizer, tuff_view settings,
                        unsigned threads, const tuff_watch *watch, bool *out_can)
{
    tuff_buf all = {0};
    if (tuff_text_files_open(c->path, true, &c->files) != TUFF_OK) return TUFF_OK; /* who reads it says why */
    if (c->files.size < tuff_records_many) return TUFF_OK;
    tuff_buf_bytes(&all, settings.data, settings.size);
    put_kinds(&all, &c->files);
    tuff_status status = all.failed ? tuff_fail_memory("the settings of a data set") : TUFF_OK;
    if (status == TUFF_OK)
        status = tuff_token_cache_path(&c->files, tokenizer, (tuff_view){all.data, all.size}, threads, watch,
                                       &c->kept, out_can);
    tuff_buf_free(&all);
    if (status == TUFF_OK && *out_can) c->found = tuff_token_cache_open(c->kept.data, &c->file);
    return status;
}

tuff_status tuff_record_cache_look(const char *path, const tuff_tokenizer *tokenizer, tuff_view settings,
                                   unsigned threads, const tuff_watch *watch, tuff_record_cache **out)
{
    bool can = false;
    *out = NULL;
    if (!tuff_is_regular_file(path) && !tuff_is_directory(path)) return TUFF_OK;
    tuff_record_cache *c = tuff_alloc(sizeof *c);
    if (!c) return tuff_fail_memory("a data set");
    c->path = path;
    const tuff_status status = find(c, tokenizer, settings, threads, watch, &can);
    if (status == TUFF_OK && can)
        *out = c;
    else
        tuff_record_cache_free(&c);
    return status;
}

bool tuff_record_cache_found(const tuff_record_cache *cache)
{
    return cache && cache->found;
}

bool tuff_record_cache_damaged(const tuff_record_cache *cache)
{
    return cache && cache->damaged;
}

void tuff_record_cache_free(tuff_record_cache **cache)
{
    tuff_record_cache *c = *cache;
    if (!c) return;
    tuff_text_files_close(&c->files);
    tuff_token_file_close(&c->file);
    tuff_buf_free(&c->kept);
    tuff_free(c);
    *cache = NULL;
}

/* ---- in and out ---- */

/* What is said begins with the path that the data had when it was kept; it may have another one now. */
static void keep_said(tuff_kept *k, tuff_dataset *data, const char *path)
{
    char *before = k->to ? (char *)(uintptr_t)path : NULL;
    tuff_kept_text(k, &before);
    const size_t n = before ? strlen(before) : 0;
    for (int i = 0; i < TUFF_RECORDS_SAID; i++) {
        char **said = &data->said[i];
        tuff_buf now = {0};
        tuff_kept_text(k, said);
        if (k->to || !n || !*said || strncmp(*said, before, n) != 0) continue;
        tuff_buf_printf(&now, "%s%s", path, *said + n);
        tuff_free(*said);
        *said = now.failed ? NULL : tuff_strdup(now.data);
        tuff_buf_free(&now);
        if (!*said && k->status == TUFF_OK) k->status = tuff_fail_memory("a data set");
    }
    if (!k->to) tuff_free(before);
}

/* What all data sets of records have beside their ids. */
static void keep_all(tuff_kept *k, tuff_dataset *data, const char *path)
{
    int64_t *const numbers[] = {&data->longest, &data->cut,        &data->malformed,
                                &data->empty,   &data->unanswered, &data->windows_lines};
    size_t sequences = (size_t)data->sequences;
    bool types = data->types != NULL;
    tuff_kept_count(k, &sequences);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        tuff_kept_value(k, numbers[i], sizeof *numbers[i]);
        tuff_kept_expect(k, *numbers[i] >= 0);
    }
    keep_said(k, data, path);
    tuff_kept_flag(k, &types);
    if (types) tuff_kept_column(k, &data->room.types, (size_t)data->tokens);
    tuff_kept_column(k, &data->room.starts, (sequences + 1) * sizeof *data->starts);
    data->sequences = (int64_t)sequences;
    data->types = types ? data->room.types.data : NULL;
    data->starts = data->room.starts.data;
    if (k->status == TUFF_OK) tuff_kept_expect(k, tuff_kept_in_order(data->starts, sequences, data->tokens));
    if (k->status == TUFF_OK) data->task->keep(k, data);
}

tuff_status tuff_record_cache_take(tuff_record_cache *c, tuff_dataset *data)
{
    const tuff_view beside = c->file.beside;
    tuff_kept k = {.at = beside.data, .end = beside.data + beside.size};
    const size_t bytes = (size_t)c->file.count * sizeof *c->file.ids;
    tuff_column_free(&data->room.ids);
    data->room.ids = (tuff_column){.data = (void *)(uintptr_t)c->file.ids, .room = bytes, .borrowed = true};
    data->ids = data->room.ids.data;
    data->tokens = c->file.count;
    data->text.file = c->file;
    c->file = (tuff_token_file){0};
    keep_all(&k, data, c->path);
    /* what was written just now would be damaged again */
    if (c->found && k.status == TUFF_BAD_FORMAT && tuff_disk_remove(c->kept.data)) {
        c->damaged = true;
        tuff_log(TUFF_LOG_WARN, "%s is damaged: it is removed, and %s is read anew", c->kept.data, c->path);
    }
    return tuff_note(k.status, "%s; remove it", c->kept.data);
}

/* In pieces, as a writer has them. */
static tuff_status write_ids(tuff_token_writer *w, const tuff_dataset *data)
{
    enum { PIECE = 1 << 20 };
    for (int64_t at = 0; at < data->tokens; at += PIECE) {
        const int64_t left = data->tokens - at;
        TUFF_TRY(tuff_token_writer_take(w, data->ids + at, (size_t)(left < PIECE ? left : PIECE)));
    }
    return TUFF_OK;
}

static tuff_status write_all(tuff_record_cache *c, tuff_token_writer *w, tuff_dataset *data)
{
    tuff_kept k = {.to = w};
    for (size_t i = 0; i < c->files.count; i++)
        TUFF_TRY(tuff_file_check(&c->files.items[i].file));
    TUFF_TRY(write_ids(w, data));
    keep_all(&k, data, c->path);
    TUFF_TRY(k.status);
    return tuff_token_writer_commit(w, c->path, c->files.size, (uint64_t)data->windows_lines);
}

tuff_status tuff_record_cache_keep(tuff_record_cache *c, tuff_dataset *data)
{
    tuff_token_writer w;
    tuff_status status = tuff_token_writer_open(c->kept.data, &w);
    if (status == TUFF_OK) status = write_all(c, &w, data);
    tuff_token_writer_abort(&w);
    if (status != TUFF_OK && !w.failed) return status;
    if (status == TUFF_OK && tuff_token_cache_open(c->kept.data, &c->file))
        return tuff_record_cache_take(c, data);
    tuff_log(TUFF_LOG_WARN, "what was read of %s is not kept in the cache: %s", c->path,
             status == TUFF_OK ? c->kept.data : tuff_error_message());
    return TUFF_OK;
}
