/* Records as conversations. */
#include "train/conversation.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"

void tuff_conversation_free(tuff_conversation *c)
{
    cJSON_Delete(c->messages);
    cJSON_Delete(c->tools);
    cJSON_Delete(c->variables);
    *c = (tuff_conversation){0};
}

const cJSON *tuff_record_member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

const char *tuff_record_kind(const cJSON *item)
{
    if (!item) return "missing";
    if (cJSON_IsNull(item)) return "null";
    if (cJSON_IsString(item)) return "a text";
    if (cJSON_IsArray(item)) return "a list";
    if (cJSON_IsObject(item)) return "an object";
    return cJSON_IsNumber(item) ? "a number" : "true or false";
}

/* ---- turns */

/* Takes the item, also where it fails. */
static tuff_status put(cJSON **list, cJSON *item)
{
    if (!*list) *list = cJSON_CreateArray();
    if (item && *list && cJSON_AddItemToArray(*list, item)) return TUFF_OK;
    cJSON_Delete(item);
    return tuff_fail_memory("a conversation");
}

tuff_status tuff_conversation_add_text(tuff_conversation *c, const char *role, const char *text)
{
    cJSON *turn = cJSON_CreateObject();
    if (turn && cJSON_AddStringToObject(turn, "role", role) && cJSON_AddStringToObject(turn, "content", text))
        return put(&c->messages, turn);
    cJSON_Delete(turn);
    return tuff_fail_memory("a conversation");
}

/* The texts of a content in parts, as one. */
static tuff_status join_parts(const cJSON *parts, size_t turn, tuff_buf *out)
{
    const cJSON *part;
    cJSON_ArrayForEach(part, parts)
    {
        const cJSON *type = tuff_record_member(part, "type"), *text = tuff_record_member(part, "text");
        const bool is_text = !type || (cJSON_IsString(type) && strcmp(type->valuestring, "text") == 0);
        if (!is_text)
            return tuff_fail(TUFF_BAD_FORMAT,
                             "turn %zu has a part of type \"%.40s\"; Tuff learns from text alone", turn,
                             cJSON_IsString(type) ? type->valuestring : "?");
        if (!cJSON_IsString(text))
            return tuff_fail(TUFF_BAD_FORMAT, "turn %zu: the text of a part is %s, expected a text", turn,
                             tuff_record_kind(text));
        tuff_buf_text(out, text->valuestring);
    }
    return out->failed ? tuff_fail_memory("a conversation") : TUFF_OK;
}

/* The role that ShareGPT's names stand for; others are as they are. */
static const char *role_of(const char *from)
{
    static const char *const roles[][2] = {{"human", "user"},        {"gpt", "assistant"},
                                           {"chatgpt", "assistant"}, {"model", "assistant"},
                                           {"bot", "assistant"},     {"function_call", "assistant"},
                                           {"observation", "tool"},  {"function_response", "tool"}};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(from, roles[i][0]) == 0) return roles[i][1];
    return from;
}

static bool add_copy(cJSON *object, const cJSON *item)
{
    cJSON *copy = cJSON_Duplicate(item, true);
    if (copy && cJSON_AddItemToObject(object, item->string, copy)) return true;
    cJSON_Delete(copy);
    return false;
}

/* What a turn says; NULL: nothing, as it calls tools. */
static tuff_status text_of_turn(const cJSON *item, const cJSON *content, size_t turn, tuff_buf *room,
                                const char **out)
{
    *out = NULL;
    if (cJSON_IsString(content)) {
        *out = content->valuestring;
        return TUFF_OK;
    }
    if (cJSON_IsArray(content)) {
        TUFF_TRY(join_parts(content, turn, room));
        *out = room->data ? room->data : "";
        return TUFF_OK;
    }
    if (!content && cJSON_IsArray(tuff_record_member(item, "tool_calls"))) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "turn %zu: its content is %s, expected a text", turn,
                     tuff_record_kind(content));
}

/* A copy in which role and content are texts; *what names those that the turn has. */
static tuff_status copy_turn(const cJSON *item, const char *const what[2], const char *role, const char *text,
                             cJSON *out)
{
    const cJSON *each;
    bool good = true;
    cJSON_ArrayForEach(each, item)
    {
        if (strcmp(each->string, what[0]) == 0)
            good = good && cJSON_AddStringToObject(out, "role", role);
        else if (strcmp(each->string, what[1]) == 0 && text)
            good = good && cJSON_AddStringToObject(out, "content", text);
        else if (strcmp(each->string, "role") == 0 || strcmp(each->string, "content") == 0)
            continue; /* of a turn that has from and value as well */
        else
            good = good && add_copy(out, each);
    }
    return good ? TUFF_OK : tuff_fail_memory("a conversation");
}

/* A turn of a list, `turn` from 1. */
static tuff_status add_turn(tuff_conversation *c, const cJSON *item, size_t turn)
{
    static const char *const names_of[][2] = {{"role", "content"}, {"from", "value"}};
    const char *const *what = names_of[!tuff_record_member(item, "role") && tuff_record_member(item, "from")];
    const cJSON *role = tuff_record_member(item, what[0]);
    const char *text;
    tuff_buf room = {0};
    if (!cJSON_IsObject(item))
        return tuff_fail(TUFF_BAD_FORMAT, "turn %zu is %s, expected an object with role and content", turn,
                         tuff_record_kind(item));
    if (!cJSON_IsString(role) || !*role->valuestring)
        return tuff_fail(TUFF_BAD_FORMAT, "turn %zu: its role is %s, expected a text such as \"user\"", turn,
                         cJSON_IsString(role) ? "empty" : tuff_record_kind(role));
    tuff_status status = text_of_turn(item, tuff_record_member(item, what[1]), turn, &room, &text);
    cJSON *copy = status == TUFF_OK ? cJSON_CreateObject() : NULL;
    if (status == TUFF_OK && !copy) status = tuff_fail_memory("a conversation");
    if (status == TUFF_OK) status = copy_turn(item, what, role_of(role->valuestring), text, copy);
    tuff_buf_free(&room);
    if (status == TUFF_OK) return put(&c->messages, copy);
    cJSON_Delete(copy);
    return status;
}

/* Rows have lists as JSON in a text. *out is `value`, or what is to be deleted. */
static tuff_status unpack(const char *field, const cJSON *value, cJSON **out_own, const cJSON **out)
{
    *out_own = NULL;
    *out = value;
    if (!cJSON_IsString(value)) return TUFF_OK;
    TUFF_TRY(tuff_json_parse(value->valuestring, strlen(value->valuestring), field, out_own));
    *out = *out_own;
    return TUFF_OK;
}

static tuff_status add_list(tuff_conversation *c, const char *field, const cJSON *list)
{
    const cJSON *item;
    size_t turn = 0;
    cJSON_ArrayForEach(item, list) TUFF_TRY(tuff_note(add_turn(c, item, ++turn), "its \"%s\"", field));
    if (turn) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" is %s, expected a list of turns", field,
                     cJSON_IsArray(list) ? "an empty list" : tuff_record_kind(list));
}

tuff_status tuff_conversation_add(tuff_conversation *c, const char *field, const cJSON *value,
                                  const char *role)
{
    if (cJSON_IsString(value)) return tuff_conversation_add_text(c, role, value->valuestring);
    if (cJSON_IsArray(value)) return add_list(c, field, value);
    return tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" is %s, expected a text or a list of turns", field,
                     tuff_record_kind(value));
}

size_t tuff_conversation_turns(const tuff_conversation *c)
{
    return (size_t)cJSON_GetArraySize(c->messages);
}

bool tuff_conversation_is_answer(const tuff_conversation *c, const cJSON *message, size_t turn)
{
    const cJSON *role = tuff_record_member(message, "role"), *weight = tuff_record_member(message, "weight");
    if (turn < c->given || (cJSON_IsNumber(weight) && weight->valuedouble == 0)) return false;
    return cJSON_IsString(role) && strcmp(role->valuestring, "assistant") == 0;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

tuff_conversation_answers tuff_conversation_look(const tuff_conversation *c)
{
    const cJSON *message;
    size_t turn = 0, answers = 0;
    cJSON_ArrayForEach(message, c->messages)
    {
        const cJSON *content = tuff_record_member(message, "content");
        if (!tuff_conversation_is_answer(c, message, turn++)) continue;
        answers++;
        if ((cJSON_IsString(content) && !is_blank(content->valuestring)) ||
            tuff_record_member(message, "tool_calls"))
            return TUFF_CONVERSATION_ANSWERED;
    }
    return answers ? TUFF_CONVERSATION_EMPTY : TUFF_CONVERSATION_ASKED;
}

/* ---- records */

/* A list of turns, behind what the record's "system" says. */
static tuff_status read_list(const cJSON *record, const char *field, tuff_conversation *out)
{
    const cJSON *system = tuff_record_member(record, "system"), *list;
    cJSON *own;
    if (cJSON_IsString(system) && *system->valuestring)
        TUFF_TRY(tuff_conversation_add_text(out, "system", system->valuestring));
    TUFF_TRY(unpack(field, tuff_record_member(record, field), &own, &list));
    const tuff_status status = add_list(out, field, list);
    cJSON_Delete(own);
    return status;
}

static tuff_status read_completion(const cJSON *record, bool turns, tuff_conversation *out)
{
    const cJSON *prompt = tuff_record_member(record, "prompt"),
                *completion = tuff_record_member(record, "completion");
    if (cJSON_IsString(prompt) != cJSON_IsString(completion))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "its \"prompt\" is %s and its \"completion\" %s; expected two texts, or two lists",
                         tuff_record_kind(prompt), tuff_record_kind(completion));
    TUFF_TRY(tuff_conversation_add(out, "prompt", prompt, "user"));
    out->given = tuff_conversation_turns(out);
    out->plain = cJSON_IsString(prompt) && !turns;
    return tuff_conversation_add(out, "completion", completion, "assistant");
}

static tuff_status text_of(const cJSON *record, const char *name, bool needed, const char **out)
{
    const cJSON *item = tuff_record_member(record, name);
    *out = "";
    if (!item && !needed) return TUFF_OK;
    if (!cJSON_IsString(item))
        return tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" is %s, expected a text", name, tuff_record_kind(item));
    *out = item->valuestring;
    return TUFF_OK;
}

/* As Stanford Alpaca trained on them (Taori et al. 2023). */
static void lay_out(const char *instruction, const char *input, tuff_buf *out)
{
    tuff_buf_printf(
        out,
        "Below is an instruction that describes a task%s. Write a response that appropriately completes "
        "the request.\n\n### Instruction:\n",
        *input ? ", paired with an input that provides further context" : "");
    tuff_buf_text(out, instruction);
    if (*input) tuff_buf_text(out, "\n\n### Input:\n");
    tuff_buf_text(out, input);
    tuff_buf_text(out, "\n\n### Response:\n");
}

tuff_status tuff_conversation_add_instruction(tuff_conversation *c, const cJSON *record, bool turns)
{
    const char *system, *instruction, *input;
    tuff_buf asked = {0};
    if (cJSON_GetArraySize(tuff_record_member(record, "history")) > 0)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "it has a \"history\"; write records of several turns as \"messages\"");
    TUFF_TRY(text_of(record, "system", false, &system));
    TUFF_TRY(text_of(record, "instruction", true, &instruction));
    TUFF_TRY(text_of(record, "input", false, &input));
    if (!turns && *system)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "it has a \"system\" message, which needs a chat template; choose one");
    if (turns) {
        tuff_buf_text(&asked, instruction);
        if (*input) tuff_buf_text(&asked, "\n");
        tuff_buf_text(&asked, input);
    } else {
        lay_out(instruction, input, &asked);
    }
    c->plain = !turns;
    tuff_status status = asked.failed ? tuff_fail_memory("a conversation") : TUFF_OK;
    if (status == TUFF_OK && *system) status = tuff_conversation_add_text(c, "system", system);
    if (status == TUFF_OK) status = tuff_conversation_add_text(c, "user", asked.data ? asked.data : "");
    tuff_buf_free(&asked);
    if (status == TUFF_OK) c->given = tuff_conversation_turns(c);
    return status;
}

static tuff_status read_alpaca(const cJSON *record, bool turns, tuff_conversation *out)
{
    const char *output;
    TUFF_TRY(tuff_conversation_add_instruction(out, record, turns));
    TUFF_TRY(text_of(record, "output", true, &output));
    return tuff_conversation_add_text(out, "assistant", output);
}

/* What a record has beside its turns: an own copy of it, which is of the kind that `is` asks for. */
static tuff_status take_beside(const cJSON *record, const char *name, cJSON_bool (*is)(const cJSON *),
                               cJSON **out)
{
    const cJSON *item = tuff_record_member(record, name), *value;
    cJSON *own;
    if (!item || (cJSON_IsString(item) && !*item->valuestring)) return TUFF_OK;
    TUFF_TRY(unpack(name, item, &own, &value));
    if (!is(value)) {
        const tuff_status status =
            tuff_fail(TUFF_BAD_FORMAT, "its \"%s\" is %s, expected %s", name, tuff_record_kind(value),
                      is == cJSON_IsArray ? "a list" : "an object");
        cJSON_Delete(own);
        return status;
    }
    *out = own ? own : cJSON_Duplicate(value, true);
    return *out ? TUFF_OK : tuff_fail_memory("a conversation");
}

tuff_status tuff_conversation_take_beside(tuff_conversation *c, const cJSON *record)
{
    TUFF_TRY(take_beside(record, "tools", cJSON_IsArray, &c->tools));
    return take_beside(record, "chat_template_kwargs", cJSON_IsObject, &c->variables);
}

tuff_status tuff_conversation_read(const cJSON *record, tuff_conversation_format format, bool turns,
                                   tuff_conversation *out)
{
    tuff_status status = TUFF_OK;
    *out = (tuff_conversation){0};
    if (format == TUFF_CONVERSATION_AUTO) status = tuff_conversation_recognize(record, &format, NULL);
    if (status != TUFF_OK) return status;
    if (format == TUFF_CONVERSATION_COMPLETION)
        status = read_completion(record, turns, out);
    else if (format == TUFF_CONVERSATION_ALPACA)
        status = read_alpaca(record, turns, out);
    else
        status = read_list(record, format == TUFF_CONVERSATION_SHAREGPT ? "conversations" : "messages", out);
    if (status == TUFF_OK) status = tuff_conversation_take_beside(out, record);
    if (status != TUFF_OK) tuff_conversation_free(out);
    return status;
}
