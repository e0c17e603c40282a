/* Files of conversations as sequences, and what of them is learned. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "train/conversation_reader.h"
#include "train/tasks/sft.h"

typedef struct reading {
    tuff_conversation_reader reader;
    tuff_sft *own;
    tuff_conversation_ids ids;
} reading;

/* ---- settings */

static void note_source(tuff_sft *own, const tuff_conversation_reader *r)
{
    if (r->of_model) own->source = TUFF_CONVERSATION_OF_MODEL;
    if (r->params->chat_template) own->source = TUFF_CONVERSATION_GIVEN;
}

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

static tuff_status keep(reading *r)
{
    tuff_dataset *data = r->reader.file.data;
    if (r->own->learn_all && r->ids.count < 2) {
        data->empty++;
        return TUFF_OK;
    }
    const bool longer = tuff_conversation_reader_cut(&r->reader, &r->ids);
    if (!tuff_conversation_ids_answered(&r->ids)) {
        data->unanswered++;
        return TUFF_OK;
    }
    data->cut += longer;
    r->own->shared += (int64_t)r->ids.shared;
    tuff_buf_bytes(&r->own->learned, r->ids.learned, r->ids.count);
    if (r->own->learned.failed) return tuff_fail_memory("a data set");
    return tuff_dataset_add(data, r->ids.ids, NULL, r->ids.count);
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

static tuff_status take(void *own, const cJSON *record)
{
    reading *r = own;
    tuff_conversation c;
    TUFF_TRY(recognize(r, record));
    TUFF_TRY(tuff_conversation_read(record, r->own->format, as_turns(r), &c));
    tuff_status status = TUFF_OK;
    r->own->plain = r->own->plain || c.plain;
    switch (r->own->learn_all ? TUFF_CONVERSATION_ANSWERED : tuff_conversation_look(&c)) {
    case TUFF_CONVERSATION_ANSWERED:
        status = tuff_conversation_encode(&r->reader.coder, &c, &r->ids);
        if (status == TUFF_OK) status = keep(r);
        break;
    case TUFF_CONVERSATION_EMPTY:
        r->reader.file.data->empty++;
        break;
    case TUFF_CONVERSATION_ASKED:
        status = tuff_fail(TUFF_BAD_FORMAT, "no turn is the assistant's, so that there is nothing to learn");
        break;
    }
    tuff_conversation_free(&c);
    return status;
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
    note_source(r.own, &r.reader);
    r.reader.coder.learn_all = r.own->learn_all = params->loss_on_prompts;
    TUFF_GO(tuff_conversation_reader_run(&r.reader, take, &r));
    TUFF_GO(tuff_conversation_reader_end(&r.reader, "nothing", "conversations"));
    if (params->packing) TUFF_GO(tuff_sft_pack_rows(data, r.reader.max_length));
done:
    tuff_conversation_reader_close(&r.reader);
    tuff_conversation_ids_free(&r.ids);
    return status;
}

void tuff_sft_release(tuff_dataset *data)
{
    tuff_sft *own = data->own;
    if (!own) return;
    tuff_buf_free(&own->learned);
    tuff_free(own->members);
    tuff_free(own->rows);
    tuff_free(own);
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
    for (int64_t i = 0; i < n; i++)
        tuff_buf_char(&own->learned, 1);
    return own->learned.failed ? tuff_fail_memory("a mixture") : TUFF_OK;
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
    tuff_buf_bytes(&own->learned, from->learned.data, from->learned.size);
    return own->learned.failed ? tuff_fail_memory("a mixture") : TUFF_OK;
}
