/* libFuzzer entry: a chat template, a NUL byte, and the messages as JSON; without one, two messages of its
 * own. What is parsed is rendered, within small bounds. See README.md. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "jinja/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const tuff_jinja_template *template, tuff_view messages)
{
    const tuff_jinja_limits limits = {200000, 64 << 20, 1 << 20};
    tuff_jinja_run *run;
    tuff_jinja_value value;
    const tuff_jinja_span *spans;
    tuff_view text;
    size_t count;
    if (tuff_jinja_run_create(template, &limits, &run) != TUFF_OK) return;
    tuff_jinja_set_time(run, 1763800000);
    if (tuff_jinja_read_json(run, messages, "messages", &value) == TUFF_OK) {
        tuff_jinja_set(run, tuff_view_of("messages"), value);
        tuff_jinja_set(run, tuff_view_of("bos_token"), tuff_jinja_literal("<s>"));
        /* what is printed is UTF-8, and spans lie in order */
        if (tuff_jinja_render(run, &text, &spans, &count) == TUFF_OK) {
            TUFF_ASSERT(tuff_utf8_valid(text.data, text.size));
            for (size_t i = 0; i < count; i++)
                TUFF_ASSERT(spans[i].start <= spans[i].end);
        }
    }
    tuff_jinja_run_destroy(&run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char own[] =
        "[{\"role\":\"user\",\"content\":\"h\xc3\xa9 <b>\"},"
        "{\"role\":\"assistant\",\"content\":[{\"text\":\"a b\",\"n\":[1,2.5,null,true]}]}]";
    tuff_view messages = {own, sizeof own - 1};
    tuff_jinja_template *template;
    /* buffers of their own, so that a read past the end shows */
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t length = end ? (size_t)(end - data) : size;
    char *text = malloc(length ? length : 1), *json = malloc(size - length + 1);
    if (text && json) {
        if (length) memcpy(text, data, length);
        if (end) {
            messages = (tuff_view){json, size - length - 1};
            if (messages.size) memcpy(json, end + 1, messages.size);
        }
        if (tuff_jinja_parse(text, length, &template) == TUFF_OK) render(template, messages);
        tuff_jinja_destroy(&template);
    }
    free(text);
    free(json);
    return 0;
}
