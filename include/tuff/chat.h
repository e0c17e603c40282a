/* Chats as the texts that models were tuned on: messages rendered by the model's chat template.
 *
 * Chat templates are programs in Jinja that come with models. They are run as transformers'
 * apply_chat_template runs them, by an interpreter of Tuff's own in which they can change nothing, read
 * nothing but what they are given, and take no more than bounded time and memory. */
#ifndef TUFF_CHAT_H
#define TUFF_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/model.h>
#include <tuff/status.h>
#include <tuff/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable: any number of threads may render with one at once. */
typedef struct tuff_chat_template tuff_chat_template;

/* From a template's text, text[0..size). It sees the tokenizer's special tokens (bos_token, eos_token,
 * unk_token, pad_token, cls_token, sep_token, mask_token), of which it keeps a copy; `tokenizer` may be NULL.
 * Errors, with the line: TUFF_BAD_FORMAT for what is no template; TUFF_UNSUPPORTED for one that reads others.
 */
TUFF_API TUFF_MUST_USE tuff_status tuff_chat_template_create(const char *text, size_t size,
                                                             const tuff_tokenizer *tokenizer,
                                                             tuff_chat_template **out_template);
/* The model's own: chat_template.jinja, or tokenizer_config.json's chat_template, or the metadata of its
 * GGUF. `name` chooses one of several ("tool_use"): additional_chat_templates/NAME.jinja, the list in
 * tokenizer_config.json, tokenizer.chat_template.NAME of a GGUF; NULL: the default. Errors: TUFF_NOT_FOUND
 * where the model has none, or none of that name; as above. */
TUFF_API TUFF_MUST_USE tuff_status tuff_chat_template_of_model(const tuff_model *model, const char *name,
                                                               tuff_chat_template **out_template);
/* One of Tuff's own, for models that come without: see tuff_chat_template_name. TUFF_NOT_FOUND, with the
 * names there are, for another name. `tokenizer` may be NULL. */
TUFF_API TUFF_MUST_USE tuff_status tuff_chat_template_named(const char *name, const tuff_tokenizer *tokenizer,
                                                            tuff_chat_template **out_template);
/* The names of those: "chatml", "llama3" and so on, counted from 0; NULL past the last. Thread-safe. */
TUFF_API const char *tuff_chat_template_name(size_t index);
TUFF_API void tuff_chat_template_destroy(tuff_chat_template **chat_template);
/* Whether the template marks what the assistant says: {% generation %}. Thread-safe. */
TUFF_API bool tuff_chat_template_marks(const tuff_chat_template *chat_template);

typedef struct tuff_chat_params {
    size_t struct_size; /* set by TUFF_CHAT_PARAMS_INIT */
    /* A JSON list of objects: [{"role": "user", "content": "Hello"}, ...]. What else they have (tool_calls,
     * lists of parts as content) the template sees, too. A message's reasoning is seen as reasoning_content
     * and as thinking, whichever of these, or reasoning, it has. Objects have no key twice. */
    tuff_piece messages;
    tuff_piece tools;     /* a JSON list of descriptions of tools; {NULL, 0}: none */
    tuff_piece variables; /* a JSON object of further variables ("enable_thinking", "documents"), which come
                             before those that Tuff sets; {NULL, 0}: none */
    int64_t now; /* what templates take for the present, seconds since 1970; 0: the time of the call, in local
                    time */
    bool add_generation_prompt; /* ends with what an answer begins with */
    uint8_t reserved[7];        /* 0 */
} tuff_chat_params;
#define TUFF_CHAT_PARAMS_INIT                                                \
    {                                                                        \
        sizeof(tuff_chat_params), {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, false, \
        {                                                                    \
            0                                                                \
        }                                                                    \
    }

/* A chat as text. Owned by the caller, freed with tuff_chat_text_destroy; later versions may add fields. */
typedef struct tuff_chat_text {
    const char *data; /* UTF-8, NUL-terminated after its `size` bytes */
    size_t size;
    /* [span_count]: the bytes that the template marks as the assistant's, in order, not empty, apart from
     * each other. What a macro or a block marks that is printed later has the place at which it was marked,
     * as in transformers. */
    const tuff_span *spans;
    size_t span_count;
} tuff_chat_text;

/* Renders a chat. The text has the special tokens spelled out, that which begins a text too where the
 * template prints it: encode it without TUFF_ENCODE_ADD_SPECIAL. Errors: TUFF_INVALID_ARGUMENT where the
 * template refuses the messages, with its words, or they are no list of objects; TUFF_BAD_FORMAT for what is
 * no JSON, and, with the template's line, where it fails or takes too much; TUFF_UNSUPPORTED for filters and
 * such that Tuff does not have. Thread-safe. */
TUFF_API TUFF_MUST_USE tuff_status tuff_chat_render(const tuff_chat_template *chat_template,
                                                    const tuff_chat_params *params,
                                                    tuff_chat_text **out_text);
TUFF_API void tuff_chat_text_destroy(tuff_chat_text **text);

#ifdef __cplusplus
}
#endif
#endif
