/* Files of conversations as sequences, and what of them is learned. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "train/conversation_reader.h"
#include "train/tasks/sft.h"

typedef struct reading {
    tuff_conversation_reader reader;
    tuff_sft *own;
} reading;

/* ---- settings */

static tuff_status choose_format(const char *wanted, tuff_sft *own)
{
    for (int f = TUFF_CONVERSATION_AUTO; wanted && f <= TUFF_CONVERSATION_ALPACA; f++) {
        own->format = (tuff_conversation_format)f;
        if (strcmp(wanted, tuff_conversation_format_name(own->format)) == 0) return TUFF_OK;
    }
    if (!wanted) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "there are no conversations of the format \"%.40s\"; there are auto, messages, sharegpt, completion "
        "and alpaca",
        wanted);
}

/* ---- records */

/* What becomes of a record. */
enum fate { TAKEN, CUT, EMPTY, BEHIND };

static enum fate cut(const reading *r, tuff_conversation_ids *ids)
{
    if (r->own->learn_all && ids->count < 2) return EMPTY;
    const bool longer = tuff_conversation_reader_cut(&r->reader, ids);
    if (!tuff_conversation_ids_answered(ids)) return BEHIND;
    return longer ? CUT : TAKEN;
}

/* Prompts and instructions are turns where the model has a template for them; bare texts where one was asked
 * for. */
static bool as_turns(const reading *r)
{
    return r->own->format == TUFF_CONVERSATION_ALPACA ? r->reader.coder.chat_template != NULL
                                                      : r->own->source == TUFF_CONVERSATION_GIVEN;
}

/* What the first conversation is, they all are; where that could be several, nobody but the user knows. */
static tuff_status recognize(reading *r, const cJSON *record)
{
    bool several = false;
    if (r->own->format != TUFF_CONVERSATION_AUTO) return TUFF_OK;
    const tuff_status status = tuff_conversation_recognize(record, &r->own->format, &several);
    r->reader.file.refused = several;
    return status;
}

static tuff_status encode(const reading *r, const tuff_conversation_coder *coder, const tuff_conversation *c,
                          tuff_conversation_item *item)
{
    item->plain = c->plain;
    switch (r->own->learn_all ? TUFF_CONVERSATION_ANSWERED : tuff_conversation_look(c)) {
    case TUFF_CONVERSATION_ANSWERED:
        TUFF_TRY(tuff_conversation_encode(coder, c, &item->ids[0]));
        item->fate = cut(r, &item->ids[0]);
        break;
    case TUFF_CONVERSATION_EMPTY:
        item->fate = EMPTY;
        break;
    case TUFF_CONVERSATION_ASKED:
        return tuff_fail(TUFF_BAD_FORMAT, "no turn is the assistant's, so that there is nothing to learn");
    }
    return TUFF_OK;
}

static tuff_status prepare(void *own, const tuff_conversation_coder *coder, tuff_conversation_item *item)
{
    reading *r = own;
    tuff_conversation c;
    TUFF_TRY(recognize(r, item->object));
    TUFF_TRY(tuff_conversation_read(item->object, r->own->format, as_turns(r), &c));
    const tuff_status status = encode(r, coder, &c, item);
    tuff_conversation_free(&c);
    return status;
}

static tuff_status take(void *own, const tuff_conversation_item *item)
{
    reading *r = own;
    tuff_dataset *data = r->reader.file.data;
    const tuff_conversation_ids *ids = &item->ids[0];
    r->own->plain = r->own->plain || item->plain;
    data->empty += item->fate == EMPTY;
    data->unanswered += item->fate == BEHIND;
    data->cut += item->fate == CUT;
    if (item->fate != TAKEN && item->fate != CUT) return TUFF_OK;
    r->own->shared += (int64_t)ids->shared;
    if (!tuff_column_put(&r->own->learned, (size_t)data->tokens, ids->learned, ids->count))
        return tuff_fail_memory("a data set");
    return tuff_dataset_add(data, ids->ids, NULL, ids->count);
}

tuff_status tuff_sft_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                          tuff_dataset *data)
{
    reading r = {.own = NULL};
    tuff_status status;
    data->own = r.own = tuff_alloc(sizeof *r.own);
    if (!r.own) return tuff_fail_memory("a data set");
    TUFF_TRY(choose_format(params->conversation_format, r.own));
    TUFF_GO(tuff_conversation_reader_open(&r.reader, model, path, params, data));
    r.own->source = tuff_conversation_reader_source(&r.reader);
    r.reader.coder.learn_all = r.own->learn_all = params->loss_on_prompts;
    r.own->learned.stays = data->room.ids.stays;
    TUFF_GO(tuff_conversation_reader_run(&r.reader, &(tuff_conversation_work){prepare, take}, &r));
    TUFF_GO(tuff_conversation_reader_end(&r.reader, "nothing", "conversations"));
    if (params->packing) TUFF_GO(tuff_sft_pack_rows(data, r.reader.max_length));
done:
    tuff_conversation_reader_close(&r.reader);
    return status;
}

void tuff_sft_release(tuff_dataset *data)
{
    tuff_sft *own = data->own;
    if (!own) return;
    tuff_column_free(&own->learned);
    tuff_free(own->members);
    tuff_free(own->rows);
    tuff_free(own);
}

void tuff_sft_keep(tuff_kept *k, tuff_dataset *data)
{
    tuff_sft *own = data->own;
    unsigned format = own->format;
    tuff_kept_choice(k, &format, TUFF_CONVERSATION_ALPACA);
    own->format = (tuff_conversation_format)format;
    tuff_kept_flag(k, &own->plain);
    tuff_kept_value(k, &own->shared, sizeof own->shared);
    tuff_kept_column(k, &own->learned, (size_t)data->tokens);
    const uint8_t *learned = own->learned.data;
    for (int64_t i = 0; i < data->tokens && k->status == TUFF_OK; i++)
        tuff_kept_expect(k, learned[i] <= 1);
}

/* ---- mixtures */

tuff_status tuff_sft_begin(tuff_dataset *into)
{
    tuff_sft *own = into->own = tuff_alloc(sizeof *own);
    if (!own) return tuff_fail_memory("a mixture");
    own->plain = true;
    return TUFF_OK;
}

tuff_status tuff_sft_learn_all(tuff_dataset *into, int64_t n)
{
    tuff_sft *own = into->own;
    if (!tuff_column_reserve(&own->learned, (size_t)(into->tokens + n))) return tuff_fail_memory("a mixture");
    memset((uint8_t *)own->learned.data + into->tokens, 1, (size_t)n);
    return TUFF_OK;
}

tuff_status tuff_sft_join(tuff_dataset *into, const tuff_dataset *part)
{
    const tuff_sft *from = part->own;
    if (!into->own) {
        TUFF_TRY(tuff_sft_begin(into));
        ((tuff_sft *)into->own)->plain = from->plain;
    }
    tuff_sft *own = into->own;
    const char *a = into->chat_template, *b = part->chat_template;
    if (a && b && strcmp(a, b) != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "it was read with another chat template than parts before it");
    if (b && !a && !(into->chat_template = tuff_strdup(b))) return tuff_fail_memory("a chat template");
    if (!own->source) own->source = from->source;
    if (!own->format) own->format = from->format;
    own->learn_all = own->learn_all || from->learn_all;
    own->plain = own->plain || from->plain;
    own->shared += from->shared;
    return tuff_column_put(&own->learned, (size_t)into->tokens, from->learned.data, (size_t)part->tokens)
               ? TUFF_OK
               : tuff_fail_memory("a mixture");
}
