#include "train/conversation_reader.h"

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "chat/template.h"
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

tuff_status tuff_conversation_reader_open(tuff_conversation_reader *r, const tuff_model *model,
                                          const char *path, const tuff_data_params *params,
                                          tuff_dataset *data)
{
    *r = (tuff_conversation_reader){.params = params};
    r->file =
        (tuff_record_reader){.path = path, .watch = params->watch, .strict = params->strict, .data = data};
    r->coder.watch = params->watch;
    TUFF_TRY(choose_length(r, model));
    r->coder.kept = (size_t)r->max_length;
    r->coder.keep_last = params->truncate_left;
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->coder.tokenizer));
    TUFF_TRY(choose_template(r, model));
    TUFF_TRY(read_variables(r));
    TUFF_TRY(tuff_records_open_objects(path, &r->file.records));
    return tuff_record_reader_take_part(&r->file, params);
}

void tuff_conversation_reader_close(tuff_conversation_reader *r)
{
    tuff_records_close(&r->file.records);
    tuff_chat_template_destroy(&r->of_model);
    cJSON_Delete(r->variables);
    r->variables = NULL;
}

/* ---- records */

typedef struct taking {
    tuff_conversation_reader *reader;
    tuff_conversation_take *take;
    void *own;
} taking;

static tuff_status take_next(void *own, bool *out_there)
{
    const taking *t = own;
    const tuff_record_reader *file = &t->reader->file;
    const cJSON *record = NULL;
    TUFF_TRY(tuff_records_next_object(file->records, &record));
    *out_there = record != NULL;
    if (!record) return TUFF_OK;
    return tuff_note(t->take(t->own, record), "%s, line %llu", file->path,
                     (unsigned long long)tuff_records_line(file->records));
}

tuff_status tuff_conversation_reader_run(tuff_conversation_reader *r, tuff_conversation_take *take, void *own)
{
    taking t = {r, take, own};
    return tuff_record_reader_run(&r->file, take_next, &t);
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
