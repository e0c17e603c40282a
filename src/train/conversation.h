/* Conversations: records as people have them, as turns; and turns as ids, with those that are learned. */
#ifndef TUFF_TRAIN_CONVERSATION_H
#define TUFF_TRAIN_CONVERSATION_H

#include <cjson/cJSON.h>
#include <tuff/chat.h>
#include <tuff/tokenizer.h>
#include <tuff/train.h>

#include "base/text.h"

/* What records of conversations look like. */
typedef enum tuff_conversation_format {
    TUFF_CONVERSATION_AUTO,
    TUFF_CONVERSATION_MESSAGES,   /* "messages": a list of {role, content}, as OpenAI and the hub have it */
    TUFF_CONVERSATION_SHAREGPT,   /* "conversations": a list of {from, value} */
    TUFF_CONVERSATION_COMPLETION, /* "prompt" and "completion", texts or lists of messages */
    TUFF_CONVERSATION_ALPACA      /* "instruction", "input" (which may be missing) and "output" */
} tuff_conversation_format;
/* "messages", "sharegpt", "completion", "alpaca". */
const char *tuff_conversation_format_name(tuff_conversation_format format);

/* Begins as zeros. */
typedef struct tuff_conversation {
    cJSON *messages;  /* a list of objects, each with a role, a content, and what else it came with */
    cJSON *tools;     /* a list; NULL: none */
    cJSON *variables; /* an object: the record's chat_template_kwargs; NULL: none */
    size_t given;     /* so many turns at the beginning are a prompt's, and never learned */
    bool plain; /* the turns are texts that stand one behind the other; a template has nothing to do with them
                 */
} tuff_conversation;

void tuff_conversation_free(tuff_conversation *conversation);

/* A member of a record that says something; NULL: it is missing, or null. */
const cJSON *tuff_record_member(const cJSON *object, const char *name);
/* "missing", "null", "a text", "a list" and so on, for error texts. */
const char *tuff_record_kind(const cJSON *item);

/* By the keys of a record; BAD_FORMAT, without a place, where they are those of no format, or of several.
 * out_several may be NULL. */
TUFF_MUST_USE tuff_status tuff_conversation_recognize(const cJSON *record, tuff_conversation_format *out,
                                                      bool *out_several);
/* A record as a conversation. With `turns` what a prompt, an instruction and their answers say are turns of
 * the user and the assistant also where they are texts; else these are plain: the prompt and its completion,
 * or Alpaca's layout and the output. Errors: BAD_FORMAT, without a place: note it. */
TUFF_MUST_USE tuff_status tuff_conversation_read(const cJSON *record, tuff_conversation_format format,
                                                 bool turns, tuff_conversation *out);
/* Adds what a field of a record says: a text, which is a turn of `role`; or a list of turns, each with role
 * and content, or from and value. Texts among parts of a content become one; other parts are refused.
 * BAD_FORMAT, without a place; `field` names the field in it. */
TUFF_MUST_USE tuff_status tuff_conversation_add(tuff_conversation *conversation, const char *field,
                                                const cJSON *value, const char *role);
TUFF_MUST_USE tuff_status tuff_conversation_add_text(tuff_conversation *conversation, const char *role,
                                                     const char *text);
/* Adds what a record of Alpaca's asks: its "instruction" and "input", behind its "system", as turns; without
 * `turns` in Alpaca's own layout, plain. All that is given then. */
TUFF_MUST_USE tuff_status tuff_conversation_add_instruction(tuff_conversation *conversation,
                                                            const cJSON *record, bool turns);
/* Takes what a record has for the template beside its turns: "tools" and "chat_template_kwargs". */
TUFF_MUST_USE tuff_status tuff_conversation_take_beside(tuff_conversation *conversation, const cJSON *record);
size_t tuff_conversation_turns(const tuff_conversation *conversation);
/* Turn number `turn`, which is `message`, is the assistant's, behind what is given, and its "weight" is not
 * 0. */
bool tuff_conversation_is_answer(const tuff_conversation *conversation, const cJSON *message, size_t turn);

/* Whether there is something to learn. */
typedef enum tuff_conversation_answers {
    TUFF_CONVERSATION_ANSWERED, /* an answer says something, or calls a tool */
    TUFF_CONVERSATION_EMPTY,    /* all that there are say nothing but white space */
    TUFF_CONVERSATION_ASKED     /* there is no answer */
} tuff_conversation_answers;
tuff_conversation_answers tuff_conversation_look(const tuff_conversation *conversation);

/* Where a template is from. */
typedef enum tuff_conversation_source {
    TUFF_CONVERSATION_NO_TEMPLATE,
    TUFF_CONVERSATION_OF_MODEL,
    TUFF_CONVERSATION_GIVEN
} tuff_conversation_source;
/* As a data report has it: "", "model", "given". */
const char *tuff_conversation_source_name(tuff_conversation_source source);

/* How conversations become ids. */
typedef struct tuff_conversation_coder {
    const tuff_tokenizer *tokenizer;
    const tuff_chat_template *chat_template; /* NULL: only plain conversations can be encoded */
    const cJSON *variables; /* of the template, for all; those of a record come before them; NULL: none */
    bool learn_all;         /* every id is learned, not the answers alone */
    /* So many ids will be kept, the first or the last: answers behind or before them are not looked for, as
     * a template that marks none is rendered anew for each. 0: all are. */
    size_t kept;
    bool keep_last;
    const tuff_watch *watch;
} tuff_conversation_coder;

/* Grows as conversations need it; begins as zeros. */
typedef struct tuff_conversation_ids {
    int32_t *ids;
    uint8_t *learned; /* 1: of an answer, with the token that ends it */
    size_t count, capacity;
    size_t learned_count;
    size_t shared; /* answers that begin within a token that the prompt began; it is learned. Of those that
                      were looked for */
} tuff_conversation_ids;

/* A conversation as ids: rendered by the template, with the special tokens that it prints, and no others;
 * plain ones begin as the tokenizer begins a text, and end with its token for that. Never two tokens begin a
 * text. Answers are what the template marks as the assistant's; where it marks nothing, what rendering with
 * an answer has behind rendering without it, up to the special token that ends it. Where nothing but white
 * space is behind the last answer, and no special token ends it, the tokenizer's does, and is learned.
 * Templates take 12 o'clock UTC on 26 July 2024 for the present, so that data is the same every day. Errors:
 * TUFF_UNSUPPORTED where a template that marks nothing rewrites what was said before; TUFF_NOT_FOUND where
 * there is no template; BAD_FORMAT for more turns than are rendered at most; those of rendering and encoding.
 */
TUFF_MUST_USE tuff_status tuff_conversation_encode(const tuff_conversation_coder *coder,
                                                   const tuff_conversation *conversation,
                                                   tuff_conversation_ids *out);
/* The turns that are rendered at most, one after the other, to find the answers of a conversation whose
 * template marks none. Tests set it. */
extern size_t tuff_conversation_rendered;
void tuff_conversation_ids_free(tuff_conversation_ids *ids);

#endif
