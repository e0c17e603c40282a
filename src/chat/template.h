/* A chat template: a parsed one, and the special tokens that it sees. */
#ifndef TUFF_CHAT_TEMPLATE_H
#define TUFF_CHAT_TEMPLATE_H

#include <tuff/chat.h>

#include "jinja/jinja.h"

enum { TUFF_CHAT_TOKENS = 7 };

struct tuff_chat_template {
    tuff_jinja_template *parsed;
    char *text;
    char *tokens[TUFF_CHAT_TOKENS]; /* as tuff_chat_token_names has them; NULL: none */
};

/* "bos_token" and so on. */
extern const char *const tuff_chat_token_names[TUFF_CHAT_TOKENS];

#endif
