/* The messages of a chat, as JSON, and the template that they are rendered by. */
#include <stdlib.h>
#include <string.h>

#include "cli/chat.h"

static bool append(chat *c, const char *text, size_t size)
{
    if (c->capacity - c->size < size + 2) { /* the list's end and a NUL come behind it */
        const size_t capacity = 2 * (c->size + size) + 64;
        char *grown = realloc(c->text, capacity);
        if (!grown) {
            tuff_cli_say("tuff: out of memory");
            return false;
        }
        c->text = grown;
        c->capacity = capacity;
    }
    if (size) memcpy(c->text + c->size, text, size);
    c->size += size;
    c->text[c->size] = 0;
    return true;
}

bool tuff_cli_chat_add(chat *c, const char *role, const char *text, size_t size)
{
    char *json = NULL;
    size_t json_size = 0;
    FILE *out = tuff_cli_memory_stream(&json, &json_size);
    if (!out) {
        tuff_cli_say("tuff: out of memory");
        return false;
    }
    fprintf(out, "%s{\"role\":\"%s\",\"content\":", c->size > 1 ? "," : "", role);
    tuff_cli_json_text(out, text, size);
    fputc('}', out);
    const bool closed = fclose(out) == 0;
    if (!closed) tuff_cli_say("tuff: out of memory");
    const bool good = closed && append(c, json, json_size);
    free(json);
    return good;
}

static tuff_status render(const tuff_chat_template *template, const chat *c, bool answer,
                          tuff_chat_text **out)
{
    tuff_chat_params params = TUFF_CHAT_PARAMS_INIT;
    c->text[c->size] = ']';
    params.messages = (tuff_piece){c->text, c->size + 1};
    params.add_generation_prompt = answer;
    if (c->tools) params.tools = (tuff_piece){c->tools, strlen(c->tools)};
    if (c->o->variables) params.variables = (tuff_piece){c->o->variables, strlen(c->o->variables)};
    return tuff_chat_render(template, &params, out);
}

tuff_status tuff_cli_chat_render(const chat *c, tuff_chat_text **out_text)
{
    return render(c->template, c, true, out_text);
}

/* Whether the messages are a list of messages, and the last one is the user's: a template tells. */
static bool look(chat *c)
{
    static const char asks[] = "{{ messages and messages[-1].role == 'user' }}";
    tuff_chat_template *template = NULL;
    tuff_chat_text *text = NULL;
    tuff_status status = tuff_chat_template_create(asks, strlen(asks), NULL, &template);
    if (status == TUFF_OK) status = render(template, c, false, &text);
    if (status == TUFF_OK)
        c->waiting = strcmp(text->data, "True") == 0;
    else
        tuff_cli_failed();
    tuff_chat_text_destroy(&text);
    tuff_chat_template_destroy(&template);
    return status == TUFF_OK;
}

/* The items of a file's list, without its brackets. */
static bool add_file(chat *c, const char *path)
{
    char *text = tuff_cli_read_text(path);
    if (!text) return false;
    const char *begin = text + strspn(text, " \t\r\n");
    size_t size = strlen(begin);
    while (size && strchr(" \t\r\n", begin[size - 1]))
        size--;
    bool good = size >= 2 && begin[0] == '[' && begin[size - 1] == ']';
    if (!good) tuff_cli_say("tuff: %s is not a JSON list of messages", path);
    if (good) {
        const char *first = begin + 1, *last = begin + size - 1;
        first += strspn(first, " \t\r\n");
        const size_t items = last > first ? (size_t)(last - first) : 0;
        good = (!items || c->size == 1 || append(c, ",", 1)) && append(c, first, items);
    }
    free(text);
    return good;
}

bool tuff_cli_chat_begin(chat *c)
{
    const tuff_cli_generate_options *o = c->o;
    if (!append(c, "[", 1)) return false;
    if (o->system && !tuff_cli_chat_add(c, "system", o->system, strlen(o->system))) return false;
    if (o->messages && !add_file(c, o->messages)) return false;
    if (o->tools && !(c->tools = tuff_cli_read_text(o->tools))) return false;
    c->begun = c->size;
    return look(c);
}

void tuff_cli_chat_free(chat *c)
{
    free(c->text);
    free(c->tools);
}

void tuff_cli_chat_reset(chat *c)
{
    c->size = c->begun;
}

/* Where there is no template: the layout that the adapter was trained in, or the model. */
static tuff_status take_layout(chat *c, const tuff_model *model)
{
    const char *of = c->o->adapter, *name = tuff_cli_layout(of);
    if (!name) name = tuff_cli_layout(of = c->o->model);
    if (!name) return TUFF_NOT_FOUND;
    if (!c->o->common.quiet) tuff_cli_row("layout", "%s, as %s was trained in it", name, of);
    return tuff_cli_choose_template(name, model, &c->template);
}

bool tuff_cli_chat_template(chat *c, const tuff_model *model)
{
    const char *name = c->o->template ? c->o->template : tuff_cli_adapter_template(c->o->adapter);
    tuff_status status = tuff_cli_choose_template(name, model, &c->template);
    if (status == TUFF_NOT_FOUND && !name) status = take_layout(c, model);
    if (status == TUFF_NOT_FOUND)
        tuff_cli_say("tuff: %s; choose another by --chat-template (see: tuff help chat)",
                     tuff_error_message());
    else if (status != TUFF_OK)
        tuff_cli_failed();
    return c->template != NULL;
}
