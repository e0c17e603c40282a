/* Files of preferences as sequences: a prompt with an answer that is preferred and one that is not, or with
 * one that is said to be good or not. */
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "train/conversation_reader.h"
#include "train/tasks/preference.h"

typedef struct reading {
    tuff_conversation_reader reader;
    tuff_preference_data *own;
} reading;

/* ---- settings */

static tuff_status choose_loss(const tuff_data_params *p, tuff_preference_loss *out)
{
    const char *name = p->loss ? p->loss : "dpo";
    *out = (tuff_preference_loss){.kind = tuff_preference_find(name),
                                  .beta = p->beta,
                                  .label_smoothing = p->label_smoothing,
                                  .desirable_weight = p->desirable_weight,
                                  .undesirable_weight = p->undesirable_weight};
    if (out->kind == TUFF_PREFERENCE_LOSSES)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "there is no loss \"%.40s\" of preferences; expected one of %s", name,
                         tuff_preference_names());
    return tuff_preference_check(out);
}

/* ---- records */

/* What an example is made of. */
typedef struct example {
    const cJSON *record;
    bool alpaca;             /* it asks as Alpaca's records do, and its answers are texts */
    const cJSON *prompt;     /* NULL: Alpaca's, else what both answers begin with */
    const char *names[2];    /* of the answers' fields */
    const cJSON *answers[2]; /* of one answer the second is NULL */
    size_t shared;           /* turns that both begin with, or bytes */
} example;

static tuff_status need(const cJSON *record, const char *name, const cJSON **out)
{
    *out = tuff_record_member(record, name);
    if (cJSON_IsString(*out) || cJSON_IsArray(*out)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" is %s, expected a text or a list of turns", name,
                     tuff_record_kind(*out));
}

/* Bytes that two texts begin with, up to a space that stands before the first that differ, or within no
 * character, as TRL's extract_prompt. */
static size_t shared_bytes(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    while (n && ((unsigned char)a[n] & 0xc0) == 0x80)
        n--;
    return n && a[n - 1] == ' ' ? n - 1 : n;
}

/* Keys are there once each, as the reader of records sees to, so one look at each is enough; cJSON_Compare
 * looks twice at what is within an object, and thus 2^64 times at what is 64 deep. */
static bool same_value(const cJSON *a, const cJSON *b)
{
    if ((a->type & 0xff) != (b->type & 0xff)) return false;
    if (cJSON_IsString(a)) return strcmp(a->valuestring, b->valuestring) == 0;
    if (cJSON_IsNumber(a)) return a->valuedouble == b->valuedouble;
    if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b)) return false;
    const cJSON *x = a->child, *y = b->child;
    for (; x && y; x = x->next, y = y->next) {
        const cJSON *other = y;
        if (x->string && strcmp(x->string, y->string) != 0)
            other = cJSON_GetObjectItemCaseSensitive(b, x->string);
        if (!other || !same_value(x, other)) return false;
    }
    return true;
}

static size_t shared_turns(const cJSON *a, const cJSON *b)
{
    size_t n = 0;
    for (a = a->child, b = b->child; a && b && same_value(a, b); a = a->next, b = b->next)
        n++;
    return n;
}

/* The prompt where there is none beside the answers. What they begin with is none where the record has the
 * question under another name. */
static tuff_status find_prompt(example *e)
{
    static const char *const others[] = {"input", "question", "query"};
    const cJSON *a = e->answers[0], *b = e->answers[1];
    for (size_t i = 0; cJSON_IsString(a) && i < sizeof others / sizeof *others; i++)
        if (tuff_record_member(e->record, others[i]))
            return tuff_fail(
                TUFF_BAD_FORMAT,
                "its \"prompt\" is missing, and it has \"%s\"; what is asked is to be called \"prompt\"",
                others[i]);
    if (!b || cJSON_IsString(a) != cJSON_IsString(b))
        return tuff_fail(TUFF_BAD_FORMAT, "its \"prompt\" is missing");
    e->shared = cJSON_IsString(a) ? shared_bytes(a->valuestring, b->valuestring) : shared_turns(a, b);
    if (e->shared) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "its \"prompt\" is missing, and \"chosen\" and \"rejected\" do not begin with the same");
}

static bool is_alpaca(const cJSON *record)
{
    return tuff_record_member(record, "instruction") && !tuff_record_member(record, "prompt");
}

/* Alpaca's answers are texts. */
static tuff_status read_alpaca(example *e)
{
    e->alpaca = true;
    for (int k = 0; k < 2 && e->answers[k]; k++)
        if (!cJSON_IsString(e->answers[k]))
            return tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" is %s, expected a text beside \"instruction\"",
                             e->names[k], tuff_record_kind(e->answers[k]));
    return TUFF_OK;
}

/* A pair, or for `one` the fields "completion" and "label". */
static tuff_status read_example(const cJSON *record, bool one, example *out)
{
    *out = (example){.record = record, .names = {one ? "completion" : "chosen", "rejected"}};
    TUFF_TRY(need(record, out->names[0], &out->answers[0]));
    if (!one) TUFF_TRY(need(record, out->names[1], &out->answers[1]));
    if (is_alpaca(record)) return read_alpaca(out);
    if (!tuff_record_member(record, "prompt")) return find_prompt(out);
    return need(record, "prompt", &out->prompt);
}

static bool is_word(const cJSON *item, const char *word, double number)
{
    if (cJSON_IsNumber(item)) return item->valuedouble == number;
    return cJSON_IsString(item) && strcasecmp(item->valuestring, word) == 0;
}

static tuff_status read_label(const cJSON *record, bool *out)
{
    const cJSON *label = tuff_record_member(record, "label");
    *out = cJSON_IsTrue(label) || is_word(label, "true", 1);
    if (*out || cJSON_IsFalse(label) || is_word(label, "false", 0)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "its \"label\" is %s%s%.40s%s, expected true or false",
                     tuff_record_kind(label), cJSON_IsString(label) ? " \"" : "",
                     cJSON_IsString(label) ? label->valuestring : "", cJSON_IsString(label) ? "\"" : "");
}

/* ---- answers as ids */

/* Turns of a list, begin to end. */
static tuff_status add_turns(tuff_conversation *c, const char *name, const cJSON *list, size_t begin,
                             size_t end)
{
    cJSON *part = cJSON_CreateArray();
    const cJSON *item = list->child;
    bool good = part != NULL;
    for (size_t i = 0; i < end && good; i++, item = item->next) {
        if (i < begin) continue;
        cJSON *turn = cJSON_Duplicate(item, true);
        good = turn && cJSON_AddItemToArray(part, turn);
        if (!good) cJSON_Delete(turn);
    }
    tuff_status status =
        good ? tuff_conversation_add(c, name, part, "assistant") : tuff_fail_memory("a conversation");
    cJSON_Delete(part);
    return status;
}

/* The prompt is what both answers begin with. */
static tuff_status add_parted(const example *e, int which, tuff_conversation *c)
{
    const cJSON *answer = e->answers[which];
    if (cJSON_IsArray(answer)) {
        const size_t turns = (size_t)cJSON_GetArraySize(answer);
        TUFF_TRY(add_turns(c, e->names[which], answer, 0, e->shared));
        c->given = tuff_conversation_turns(c);
        if (turns == e->shared)
            return tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" has no turn that is not in the other answer, too",
                             e->names[which]);
        return add_turns(c, e->names[which], answer, e->shared, turns);
    }
    char *prompt = tuff_strdup(answer->valuestring);
    if (!prompt) return tuff_fail_memory("a conversation");
    prompt[e->shared] = 0;
    tuff_status status = tuff_conversation_add_text(c, "user", prompt);
    tuff_free(prompt);
    c->given = 1;
    return status == TUFF_OK ? tuff_conversation_add_text(c, "assistant", answer->valuestring + e->shared)
                             : status;
}

static tuff_status make_conversation(const reading *r, const example *e, int which, tuff_conversation *c)
{
    const cJSON *answer = e->answers[which];
    if (e->alpaca) {
        TUFF_TRY(tuff_conversation_take_beside(c, e->record));
        TUFF_TRY(tuff_conversation_add_instruction(c, e->record, r->reader.coder.chat_template != NULL));
        return tuff_conversation_add_text(c, "assistant", answer->valuestring);
    }
    const bool texts = cJSON_IsString(answer) && (!e->prompt || cJSON_IsString(e->prompt));
    c->plain = texts && (!r->reader.params->chat_template || !e->prompt);
    TUFF_TRY(tuff_conversation_take_beside(c, e->record));
    if (!e->prompt) return add_parted(e, which, c);
    TUFF_TRY(tuff_conversation_add(c, "prompt", e->prompt, "user"));
    c->given = tuff_conversation_turns(c);
    return tuff_conversation_add(c, e->names[which], answer, "assistant");
}

/* What becomes of a record. */
enum fate { TAKEN, CUT, EMPTY, BEHIND };

static tuff_status encode(const reading *r, const tuff_conversation_coder *coder, const example *e, int which,
                          tuff_conversation_item *item)
{
    tuff_conversation c = {0};
    tuff_status status = make_conversation(r, e, which, &c);
    if (status == TUFF_OK) {
        const tuff_conversation_answers found = tuff_conversation_look(&c);
        if (found == TUFF_CONVERSATION_EMPTY) item->fate = EMPTY;
        if (found == TUFF_CONVERSATION_ASKED)
            status = tuff_fail(TUFF_BAD_FORMAT, "no turn of its \"%s\" is the assistant's", e->names[which]);
        if (found == TUFF_CONVERSATION_ANSWERED)
            status = tuff_conversation_encode(coder, &c, &item->ids[which]);
    }
    tuff_conversation_free(&c);
    return status;
}

static bool same(const tuff_conversation_ids *a, const tuff_conversation_ids *b)
{
    return a->count == b->count && memcmp(a->ids, b->ids, a->count * sizeof *a->ids) == 0;
}

/* Both answers, or one. */
static tuff_status encode_all(const reading *r, const tuff_conversation_coder *coder, const example *e,
                              tuff_conversation_item *item)
{
    const int n = e->answers[1] ? 2 : 1;
    tuff_conversation_ids *ids = item->ids;
    item->fate = TAKEN;
    for (int k = 0; k < n && item->fate == TAKEN; k++)
        TUFF_TRY(encode(r, coder, e, k, item));
    if (item->fate != TAKEN) return TUFF_OK;
    if (n == 2 && same(&ids[0], &ids[1]))
        return tuff_fail(TUFF_BAD_FORMAT, "its \"chosen\" and its \"rejected\" are the same");
    bool answered = true;
    for (int k = 0; k < n; k++) {
        if (tuff_conversation_reader_cut(&r->reader, &ids[k])) item->fate = CUT;
        answered = answered && tuff_conversation_ids_answered(&ids[k]);
    }
    if (!answered || (n == 2 && same(&ids[0], &ids[1]))) item->fate = BEHIND;
    return TUFF_OK;
}

/* ---- the data set */

static tuff_status add(reading *r, const tuff_conversation_ids *ids, bool desirable)
{
    tuff_preference_data *own = r->own;
    const int64_t at = r->reader.file.data->sequences;
    tuff_preference_answer answer = {.desirable = desirable};
    for (size_t p = 1; p < ids->count; p++) {
        if (ids->learned[p] && !answer.counted++) answer.prompt = (int64_t)p;
    }
    if (!tuff_column_put(&own->counts, (size_t)r->reader.file.data->tokens, ids->learned, ids->count) ||
        !tuff_column_put(&own->room, (size_t)at * sizeof answer, &answer, sizeof answer))
        return tuff_fail_memory("a data set");
    own->answers = own->room.data;
    return tuff_dataset_add(r->reader.file.data, ids->ids, NULL, ids->count);
}

static tuff_status prepare(void *own, const tuff_conversation_coder *coder, tuff_conversation_item *item)
{
    const reading *r = own;
    const cJSON *record = item->object;
    const bool paired = tuff_preference_is_paired(&r->own->loss);
    const bool one =
        !paired && !(tuff_record_member(record, "chosen") && tuff_record_member(record, "rejected"));
    example e;
    item->desirable = true;
    item->ids[1].count = 0;
    TUFF_TRY(read_example(record, one, &e));
    if (one) TUFF_TRY(read_label(record, &item->desirable));
    return encode_all(r, coder, &e, item);
}

static tuff_status take(void *own, const tuff_conversation_item *item)
{
    reading *r = own;
    tuff_dataset *data = r->reader.file.data;
    data->empty += item->fate == EMPTY;
    data->unanswered += item->fate == BEHIND;
    data->cut += item->fate == CUT;
    if (item->fate != TAKEN && item->fate != CUT) return TUFF_OK;
    if (is_alpaca(item->object)) r->own->format = TUFF_CONVERSATION_ALPACA;
    TUFF_TRY(add(r, &item->ids[0], item->desirable));
    return item->ids[1].count ? add(r, &item->ids[1], false) : TUFF_OK;
}

/* The longest prompt and the longest answer, of this data too. */
static void find_longest(const tuff_dataset *data, int64_t *prompt, int64_t *answer)
{
    const tuff_preference_data *own = data->own;
    for (int64_t i = 0; i < data->sequences; i++) {
        const int64_t n = own->answers[i].prompt, rest = tuff_dataset_length(data, (uint32_t)i) - n;
        *prompt = n > *prompt ? n : *prompt;
        *answer = rest > *answer ? rest : *answer;
    }
}

/* Of kto, which may set the longest answer behind the longest prompt; `part` NULL: there is none. */
static void set_longest(tuff_dataset *data, const tuff_dataset *part)
{
    const tuff_preference_data *own = data->own;
    int64_t prompt = 0, answer = 0;
    if (tuff_preference_is_paired(&own->loss)) return;
    find_longest(data, &prompt, &answer);
    if (part) find_longest(part, &prompt, &answer);
    data->longest = prompt + answer < own->max_length ? prompt + answer : own->max_length;
}

tuff_status tuff_preference_load(const tuff_model *model, const char *path, const tuff_data_params *params,
                                 tuff_dataset *data)
{
    reading r = {.own = NULL};
    tuff_status status;
    data->own = r.own = tuff_alloc(sizeof *r.own);
    if (!r.own) return tuff_fail_memory("a data set");
    TUFF_TRY(choose_loss(params, &r.own->loss));
    TUFF_GO(tuff_conversation_reader_open(&r.reader, model, path, params, data));
    r.own->max_length = r.reader.max_length;
    r.own->source = tuff_conversation_reader_source(&r.reader);
    r.own->room.stays = r.own->counts.stays = data->room.ids.stays;
    TUFF_GO(tuff_conversation_reader_run(&r.reader, &(tuff_conversation_work){prepare, take}, &r));
    TUFF_GO(tuff_conversation_reader_end(&r.reader, "nothing, or nothing that differs,", "records"));
    set_longest(data, NULL);
done:
    tuff_conversation_reader_close(&r.reader);
    return status;
}

/* What was read is two answers each, or one, that lie in their sequences. */
static bool are_whole(const tuff_preference_data *own, const tuff_dataset *data)
{
    bool right = own->loss.kind == TUFF_PREFERENCE_KTO || data->sequences % 2 == 0;
    const uint8_t *counts = own->counts.data;
    for (int64_t i = 0; i < data->sequences && right; i++) {
        const tuff_preference_answer *a = &own->answers[i];
        const int64_t length = data->starts[i + 1] - data->starts[i];
        uint8_t desirable;
        memcpy(&desirable, &a->desirable, 1);
        right = a->prompt >= 0 && a->prompt <= length && a->counted >= 0 &&
                a->counted <= length - a->prompt && desirable <= 1;
    }
    for (int64_t i = 0; i < data->tokens && right; i++)
        right = counts[i] <= 1;
    return right;
}

void tuff_preference_keep(tuff_kept *k, tuff_dataset *data)
{
    tuff_preference_data *own = data->own;
    unsigned format = own->format;
    tuff_kept_choice(k, &format, TUFF_CONVERSATION_ALPACA);
    own->format = (tuff_conversation_format)format;
    tuff_kept_column(k, &own->counts, (size_t)data->tokens);
    tuff_kept_column(k, &own->room, (size_t)data->sequences * sizeof *own->answers);
    own->answers = own->room.data;
    if (k->status == TUFF_OK) tuff_kept_expect(k, are_whole(own, data));
}

static bool same_loss(const tuff_preference_loss *a, const tuff_preference_loss *b)
{
    return a->kind == b->kind && a->beta == b->beta && a->label_smoothing == b->label_smoothing &&
           a->desirable_weight == b->desirable_weight && a->undesirable_weight == b->undesirable_weight;
}

tuff_status tuff_preference_join(tuff_dataset *into, const tuff_dataset *part)
{
    const tuff_preference_data *from = part->own;
    const bool first = !into->own;
    if (first && !(into->own = tuff_alloc(sizeof *from))) return tuff_fail_memory("a mixture");
    tuff_preference_data *own = into->own;
    if (first) own->loss = from->loss;
    if (!same_loss(&own->loss, &from->loss))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "it was read for another loss than parts before it");
    if (!own->format) own->format = from->format;
    if (!own->source) own->source = from->source;
    if (from->max_length > own->max_length) own->max_length = from->max_length;
    set_longest(into, part);
    if (!tuff_column_put(&own->counts, (size_t)into->tokens, from->counts.data, (size_t)part->tokens) ||
        !tuff_column_put(&own->room, (size_t)into->sequences * sizeof *own->answers, from->answers,
                         (size_t)part->sequences * sizeof *own->answers))
        return tuff_fail_memory("a mixture");
    own->answers = own->room.data;
    return TUFF_OK;
}

void tuff_preference_release(tuff_dataset *data)
{
    tuff_preference_data *own = data->own;
    if (!own) return;
    tuff_column_free(&own->room);
    tuff_column_free(&own->counts);
    tuff_free(own);
    data->own = NULL;
}
