/* What the files of `tuff chat` share. */
#ifndef TUFF_CLI_CHAT_H
#define TUFF_CLI_CHAT_H

#include <tuff/chat.h>

#include "cli/generate.h"

typedef struct chat {
    const tuff_cli_generate_options *o;
    tuff_chat_template *template;
    tuff_generator *generator;
    char *text; /* the messages as JSON, without the end of their list */
    size_t size, capacity;
    size_t begun;  /* bytes of those that were there at the beginning */
    char *tools;   /* JSON; NULL: none */
    bool waiting;  /* the last message is the user's */
    bool terminal; /* a person types */
} chat;

/* The messages that a chat begins with; false: a sentence was said. Free it in any case. */
bool tuff_cli_chat_begin(chat *c);
void tuff_cli_chat_free(chat *c);
/* Adds a message; false: a sentence was said. */
bool tuff_cli_chat_add(chat *c, const char *role, const char *text, size_t size);
void tuff_cli_chat_reset(chat *c);
/* All of them, with what an answer begins with. */
tuff_status tuff_cli_chat_render(const chat *c, tuff_chat_text **out_text);
/* --chat-template: one of Tuff's own, a file, or one of the model's; without it the model's. False: a
 * sentence was said. */
bool tuff_cli_chat_template(chat *c, const tuff_model *model);

#endif
