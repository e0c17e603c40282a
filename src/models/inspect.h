/* A report in sections of keys and values, as text for people or as one JSON object. */
#ifndef TUFF_MODELS_INSPECT_H
#define TUFF_MODELS_INSPECT_H

#include "base/json.h"
#include "formats/gguf.h"

typedef struct tuff_inspection {
    tuff_buf out;
    bool json;
    bool first; /* JSON: nothing yet in the object at hand */
} tuff_inspection;

void tuff_inspect_begin(tuff_inspection *report, bool json);
void tuff_inspect_end(tuff_inspection *report);
/* A section; `title` heads the text, `key` names the JSON object. */
void tuff_inspect_section(tuff_inspection *report, const char *key, const char *title);
void tuff_inspect_section_end(tuff_inspection *report);

/* Values. In text the underscores of a key are shown as spaces. */
void tuff_inspect_put_text(tuff_inspection *report, const char *key, const char *value, size_t size);
void tuff_inspect_put_int(tuff_inspection *report, const char *key, int64_t value);
void tuff_inspect_put_number(tuff_inspection *report, const char *key, double value);
void tuff_inspect_put_bool(tuff_inspection *report, const char *key, bool value);
/* A token: its id and how it is spelled. */
void tuff_inspect_put_token(tuff_inspection *report, const char *key, int32_t id, const char *spelled,
                            size_t size);
/* A value of a JSON file; long arrays and objects are cut in text. The key is shown as it is. */
void tuff_inspect_put_json(tuff_inspection *report, const char *key, const cJSON *value);
/* A metadata value; of long arrays the first items. The key is shown as it is. */
void tuff_inspect_put_gguf(tuff_inspection *report, const tuff_gguf_value *value);

/* The tensors: a summary by storage type; the list when wanted, always in JSON. */
void tuff_inspect_put_tensors(tuff_inspection *report, const tuff_weights *weights, bool list);

/* "1,234,567" and "1.2 MB" appended. */
void tuff_inspect_put_count(tuff_buf *out, int64_t n);
void tuff_inspect_put_bytes(tuff_buf *out, uint64_t n);

#endif
