/* Files of conversations as sequences, and what of them is learned. */
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "chat/template.h"
#include "formats/records.h"
#include "train/tasks/sft.h"
#include "train/trainer.h"

/* As many as trl's SFTConfig has them. */
enum { USUAL = 1024 };

typedef struct reading {
    const char *path;
    const tuff_data_params *params;
    tuff_dataset *data;
    tuff_sft *own;
    tuff_records *records;
    tuff_chat_template *of_model;
    cJSON *variables;
    tuff_conversation_coder coder;
    tuff_conversation_ids ids;
    int64_t max_length;
} reading;

/* ---- settings */

static tuff_status choose_template(reading *r, const tuff_model *model)
{
    const tuff_chat_template *given = r->params->chat_template;
    if (given) {
        r->own->source = TUFF_CONVERSATION_GIVEN;
        r->own->chat_template = tuff_strdup(given->text);
        r->coder.chat_template = given;
        return r->own->chat_template ? TUFF_OK : tuff_fail_memory("a chat template");
    }
    const tuff_status status = tuff_chat_template_of_model(model, NULL, &r->of_model);
    if (status == TUFF_NOT_FOUND) return TUFF_OK;
    r->coder.chat_template = r->of_model;
    if (r->of_model) r->own->source = TUFF_CONVERSATION_OF_MODEL;
    return status;
}

static tuff_status choose_format(reading *r)
{
    const char *wanted = r->params->conversation_format;
    for (int f = TUFF_CONVERSATION_AUTO; wanted && f <= TUFF_CONVERSATION_ALPACA; f++) {
        r->own->format = (tuff_conversation_format)f;
        if (strcmp(wanted, tuff_conversation_format_name(r->own->format)) == 0) return TUFF_OK;
    }
    if (!wanted) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "there are no conversations of the format \"%.40s\"; there are auto, messages, sharegpt, completion "
        "and alpaca",
        wanted);
}

static tuff_status choose_length(reading *r, const tuff_model *model)
{
    const int64_t most = tuff_rope_positions(model), wanted = r->params->max_length;
    r->max_length = wanted ? wanted : most < USUAL ? most : USUAL;
    if (r->max_length > most || r->max_length < 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "max_length is %lld, expected 2 to the %lld positions of the model",
                         (long long)r->max_length, (long long)most);
    return TUFF_OK;
}

static tuff_status begin(reading *r, const tuff_model *model)
{
    const tuff_data_params *p = r->params;
    r->coder.learn_all = r->own->learn_all = p->loss_on_prompts;
    r->coder.watch = p->watch;
    TUFF_TRY(choose_length(r, model));
    TUFF_TRY(choose_format(r));
    TUFF_TRY(tuff_model_get_tokenizer(model, &r->coder.tokenizer));
    TUFF_TRY(choose_template(r, model));
    if (p->chat_template_kwargs) {
        TUFF_TRY(tuff_json_parse(p->chat_template_kwargs, strlen(p->chat_template_kwargs),
                                 "chat_template_kwargs", &r->variables));
        if (!cJSON_IsObject(r->variables))
            return tuff_fail(TUFF_INVALID_ARGUMENT, "chat_template_kwargs is no JSON object");
        r->coder.variables = r->variables;
    }
    return tuff_records_open_objects(r->path, &r->records);
}

/* ---- records */

/* The last ids of a conversation that is too long, or the first. */
static void cut(reading *r)
{
    tuff_conversation_ids *c = &r->ids;
    const size_t most = (size_t)r->max_length;
    if (c->count <= most) return;
    if (r->params->truncate_left) {
        memmove(c->ids, c->ids + c->count - most, most * sizeof *c->ids);
        memmove(c->learned, c->learned + c->count - most, most);
    }
    c->count = most;
    r->data->cut++;
}

static tuff_status keep(reading *r)
{
    const size_t before = r->ids.count;
    if (r->own->learn_all && before < 2) {
        r->data->empty++;
        return TUFF_OK;
    }
    cut(r);
    if (r->ids.count < 2 || !memchr(r->ids.learned + 1, 1, r->ids.count - 1)) {
        r->data->cut -= before > r->ids.count;
        r->data->unanswered++;
        return TUFF_OK;
    }
    r->own->shared += (int64_t)r->ids.shared;
    tuff_buf_bytes(&r->own->learned, r->ids.learned, r->ids.count);
    if (r->own->learned.failed) return tuff_fail_memory("a data set");
    return tuff_dataset_add(r->data, r->ids.ids, NULL, r->ids.count);
}

/* Prompts and instructions are turns where the model has a template for them; bare texts where one was asked
 * for. */
static bool as_turns(const reading *r)
{
    return r->own->format == TUFF_CONVERSATION_ALPACA ? r->coder.chat_template != NULL
                                                      : r->own->source == TUFF_CONVERSATION_GIVEN;
}

static tuff_status take(reading *r, const cJSON *record)
{
    tuff_conversation c;
    TUFF_TRY(tuff_conversation_read(record, r->own->format, as_turns(r), &c));
    tuff_status status = TUFF_OK;
    r->own->plain = r->own->plain || c.plain;
    switch (r->own->learn_all ? TUFF_CONVERSATION_ANSWERED : tuff_conversation_look(&c)) {
    case TUFF_CONVERSATION_ANSWERED:
        status = tuff_conversation_encode(&r->coder, &c, &r->ids);
        if (status == TUFF_OK) status = keep(r);
        break;
    case TUFF_CONVERSATION_EMPTY:
        r->data->empty++;
        break;
    case TUFF_CONVERSATION_ASKED:
        status = tuff_fail(TUFF_BAD_FORMAT, "no turn is the assistant's, so that there is nothing to learn");
        break;
    }
    tuff_conversation_free(&c);
    return status;
}

/* What the first record is, they all are. */
static tuff_status recognize(reading *r, const cJSON *record)
{
    if (r->own->format != TUFF_CONVERSATION_AUTO) return TUFF_OK;
    return tuff_note(tuff_conversation_recognize(record, &r->own->format), "%s, line %llu", r->path,
                     (unsigned long long)tuff_records_line(r->records));
}

/* A record that is none is counted, and what comes behind it read. */
static tuff_status pass_over(reading *r, tuff_status status)
{
    enum { TELL = 3 };
    const bool malformed = status == TUFF_BAD_FORMAT || status == TUFF_INVALID_ARGUMENT;
    if (status == TUFF_OK || r->params->strict || !malformed) return status;
    if (r->data->malformed++ < TELL)
        tuff_log(TUFF_LOG_WARN, "%s%s", tuff_error_message(),
                 r->data->malformed == TELL ? " (further ones are only counted)" : "");
    return TUFF_OK;
}

static tuff_status read_all(reading *r)
{
    for (;;) {
        const cJSON *record = NULL;
        uint64_t done, total;
        tuff_records_position(r->records, &done, &total);
        TUFF_TRY(tuff_watch_step(r->params->watch, TUFF_PHASE_TOKENIZE, done, total));
        tuff_status status = tuff_records_next_object(r->records, &record);
        if (status == TUFF_OK && !record) return TUFF_OK;
        if (status == TUFF_OK) TUFF_TRY(recognize(r, record));
        if (status == TUFF_OK)
            status = tuff_note(take(r, record), "%s, line %llu", r->path,
                               (unsigned long long)tuff_records_line(r->records));
        TUFF_TRY(pass_over(r, status));
    }
}

static tuff_status end(const reading *r)
{
    const tuff_dataset *d = r->data;
    const long long bad = (long long)d->malformed, empty = (long long)d->empty,
                    unanswered = (long long)d->unanswered;
    if (!d->sequences && !bad && !empty && !unanswered)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no records", r->path);
    if (!d->sequences)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: there is nothing to learn from its records: %lld are malformed, %lld have an empty answer, "
            "and of %lld no answer is within max_length %lld",
            r->path, bad, empty, unanswered, (long long)r->max_length);
    if (bad || empty || unanswered)
        tuff_log(
            TUFF_LOG_INFO,
            "%s: left out are %lld malformed records, %lld with an empty answer and %lld of whose answer nothing is "
            "within %lld tokens",
            r->path, bad, empty, unanswered, (long long)r->max_length);
    if (d->cut)
        tuff_log(TUFF_LOG_INFO,
                 "%s: %lld of %lld conversations are longer than %lld tokens, and lost their %s", r->path,
                 (long long)d->cut, (long long)d->sequences, (long long)r->max_length,
                 r->params->truncate_left ? "beginning" : "end");
    return TUFF_OK;
}

tuff_status tuff_sft_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                          tuff_dataset *data)
{
    reading r = {.path = path, .params = params, .data = data};
    tuff_status status;
    data->own = r.own = tuff_alloc(sizeof *r.own);
    if (!r.own) return tuff_fail_memory("a data set");
    TUFF_GO(begin(&r, model));
    TUFF_GO(read_all(&r));
    TUFF_GO(end(&r));
    if (params->packing) TUFF_GO(tuff_sft_pack_rows(data, r.max_length));
done:
    tuff_records_close(&r.records);
    tuff_conversation_ids_free(&r.ids);
    tuff_chat_template_destroy(&r.of_model);
    cJSON_Delete(r.variables);
    return status;
}

void tuff_sft_release(tuff_dataset *data)
{
    tuff_sft *own = data->own;
    if (!own) return;
    tuff_buf_free(&own->learned);
    tuff_free(own->chat_template);
    tuff_free(own->members);
    tuff_free(own->rows);
    tuff_free(own);
}
