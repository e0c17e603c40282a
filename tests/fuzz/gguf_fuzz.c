/* libFuzzer entry: the bytes of a GGUF file. See README.md. */
#include "formats/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float out[4096];
    tuff_gguf *gguf;
    tuff_buf text = {0};
    if (tuff_gguf_parse(data, size, "fuzz.gguf", &gguf) != TUFF_OK) return 0;
    for (size_t i = 0; i < gguf->count; i++) {
        tuff_buf_clear(&text);
        tuff_gguf_print(&gguf->values[i], 0, &text);
    }
    for (size_t i = 0; i < gguf->weights->count; i++) {
        const tuff_weight *weight = &gguf->weights->items[i];
        tuff_status status = tuff_weight_check_finite(weight);
        if (tuff_weight_elements(weight) <= 4096) status = tuff_weight_read(weight, TUFF_F16, out);
        (void)status;
    }
    tuff_buf_free(&text);
    tuff_gguf_destroy(&gguf);
    return 0;
}
