#include "train/conversation_reader.h"

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "chat/template.h"
#include "train/record_cache.h"
#include "train/task.h"
#include "train/trainer.h"

/* As many as trl's SFTConfig and DPOConfig have them. */
enum { USUAL = 1024 };

/* ---- settings */

static tuff_status choose_length(tuff_conversation_reader *r, const tuff_model *model)
{
    const int64_t most = tuff_rope_positions(model), wanted = r->params->max_length;
    r->max_length = wanted ? wanted : most < USUAL ? most : USUAL;
    if (r->max_length > most || r->max_length < 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "max_length is %lld, expected 2 to the %lld positions of the model",
                         (long long)r->max_length, (long long)most);
    return TUFF_OK;
}

static tuff_status choose_template(tuff_conversation_reader *r, const tuff_model *model)
{
    r->coder.chat_template = r->params->chat_template;
    if (r->coder.chat_template) {
        r->file.data->chat_template = tuff_strdup(r->coder.chat_template->text);
        return r->file.data->chat_template ? TUFF_OK : tuff_fail_memory("a chat template");
    }
    const tuff_status status = tuff_chat_template_of_model(model, NULL, &r->of_model);
    if (status == TUFF_NOT_FOUND) return TUFF_OK;
    r->coder.chat_template = r->of_model;
    return status;
}

static tuff_status read_variables(tuff_conversation_reader *r)
{
    const char *text = r->params->chat_template_kwargs;
    if (!text) return TUFF_OK;
    TUFF_TRY(tuff_json_parse(text, strlen(text), "chat_template_kwargs", &r->variables));
    if (!cJSON_IsObject(r->variables))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "chat_template_kwargs is no JSON object");
    r->coder.variables = r->variables;
    return TUFF_OK;
}

/* The model's template is as good as one that is given, but for what becomes of prompts. */
static void keep_settings(tuff_conversation_reader *r, const tuff_model *model)
{
    const tuff_chat_template *of_model = r->of_model;
    r->file.tokenizer = r->coder.tokenizer;
    tuff_record_settings(model, r->params, &r->file.settings);
    if (of_model) tuff_record_settings_template(of_model, &r->file.settings);
}

tuff_status tuff_conversation_reader_open(tuff_conversation_reader *r, const tuff_model *model,
                                          const char *path, const tuff_data_params *params,
                                          tuff_dataset *data)
{
    *r = (tuff_conversation_reader){.params = params};
    r->file = (tuff_record_reader){.path = path,
                                   .threads = params->threads,
                                   .watch = params->watch,
                                   .strict = params->strict,
                                   .data = data};
    TUFF_TRY(choose_length(r, model));
    r->coder.kept = (size_t)r->max_length;
    r->coder.keep_last = params->truncate_left;
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->coder.tokenizer));
    TUFF_TRY(choose_template(r, model));
    TUFF_TRY(read_variables(r));
    if (!params->no_cache && data->task->keep) keep_settings(r, model);
    TUFF_TRY(tuff_records_open_objects(path, &r->file.records));
    return tuff_record_reader_take_part(&r->file, params->validation_split, params->split_seed,
                                        params->held_out);
}

void tuff_conversation_reader_close(tuff_conversation_reader *r)
{
    tuff_record_reader_close(&r->file);
    tuff_chat_template_destroy(&r->of_model);
    cJSON_Delete(r->variables);
    r->variables = NULL;
}

tuff_conversation_source tuff_conversation_reader_source(const tuff_conversation_reader *r)
{
    if (r->params->chat_template) return TUFF_CONVERSATION_GIVEN;
    return r->of_model ? TUFF_CONVERSATION_OF_MODEL : TUFF_CONVERSATION_NO_TEMPLATE;
}

/* ---- records */

typedef struct reading {
    tuff_conversation_reader *reader;
    const tuff_conversation_work *work;
    void *own;
} reading;

static tuff_conversation_item *item_of(tuff_record_item *record)
{
    return (tuff_conversation_item *)(void *)record;
}

static tuff_status read_item(void *own, tuff_record_item *record, bool *out_there)
{
    const reading *g = own;
    tuff_conversation_item *item = item_of(record);
    const cJSON *object = NULL;
    cJSON_Delete(item->object);
    item->object = NULL;
    TUFF_TRY(tuff_records_next_object(g->reader->file.records, &object));
    *out_there = object != NULL;
    item->object = tuff_records_keep_object(g->reader->file.records);
    return TUFF_OK;
}

static tuff_status prepare_item(void *own, const tuff_watch *watch, tuff_record_item *record)
{
    const reading *g = own;
    tuff_conversation_coder coder = g->reader->coder;
    coder.watch = watch;
    return g->work->prepare(g->own, &coder, item_of(record));
}

static tuff_status take_item(void *own, tuff_record_item *record)
{
    const reading *g = own;
    const tuff_status status =
        record->prepared != TUFF_OK ? tuff_record_item_fail(record) : g->work->take(g->own, item_of(record));
    return tuff_note(status, "%s, line %llu", record->place, (unsigned long long)record->line);
}

static void free_item(tuff_record_item *record)
{
    tuff_conversation_item *item = item_of(record);
    cJSON_Delete(item->object);
    tuff_conversation_ids_free(&item->ids[0]);
    tuff_conversation_ids_free(&item->ids[1]);
}

tuff_status tuff_conversation_reader_run(tuff_conversation_reader *r, const tuff_conversation_work *work,
                                         void *own)
{
    reading g = {r, work, own};
    return tuff_record_reader_run(&r->file, &(tuff_record_work){.own = &g,
                                                                .item_size = sizeof(tuff_conversation_item),
                                                                .read = read_item,
                                                                .prepare = prepare_item,
                                                                .take = take_item,
                                                                .free = free_item});
}

bool tuff_conversation_reader_cut(const tuff_conversation_reader *r, tuff_conversation_ids *c)
{
    const size_t most = (size_t)r->max_length;
    if (c->count <= most) return false;
    if (r->params->truncate_left) {
        memmove(c->ids, c->ids + c->count - most, most * sizeof *c->ids);
        memmove(c->learned, c->learned + c->count - most, most);
    }
    c->count = most;
    return true;
}

bool tuff_conversation_ids_answered(const tuff_conversation_ids *c)
{
    return c->count >= 2 && memchr(c->learned + 1, 1, c->count - 1);
}

/* ---- all of them */

tuff_status tuff_conversation_reader_end(const tuff_conversation_reader *r, const char *nothing,
                                         const char *things)
{
    const tuff_dataset *d = r->file.data;
    const char *path = r->file.path;
    const long long bad = (long long)d->malformed, empty = (long long)d->empty,
                    unanswered = (long long)d->unanswered, most = (long long)r->max_length;
    if (!d->sequences && !empty && !unanswered) return tuff_record_reader_none(&r->file);
    if (!d->sequences)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: there is nothing to learn from its records: %lld are malformed, %lld have an empty answer, "
            "and of %lld no answer is within max_length %lld",
            path, bad, empty, unanswered, most);
    if (bad || empty || unanswered)
        tuff_log(TUFF_LOG_INFO,
                 "%s: left out are %lld malformed records, %lld with an empty answer and %lld of whose "
                 "answer %s is within %lld tokens",
                 path, bad, empty, unanswered, nothing, most);
    if (d->cut)
        tuff_log(TUFF_LOG_INFO, "%s: %lld of %lld %s are longer than %lld tokens, and lost their %s", path,
                 (long long)d->cut, (long long)d->task->count(d, true), things, most,
                 r->params->truncate_left ? "beginning" : "end");
    return TUFF_OK;
}
