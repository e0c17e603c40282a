/* libFuzzer entry: the bytes of a safetensors file. See README.md. */
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float out[4096];
    tuff_weights *weights;
    if (tuff_weights_create(&weights) != TUFF_OK) return 0;
    if (tuff_safetensors_parse(weights, data, size, "fuzz.safetensors") == TUFF_OK) {
        for (size_t i = 0; i < weights->count; i++) {
            const tuff_weight *weight = &weights->items[i];
            tuff_status status = tuff_weight_check_finite(weight);
            if (tuff_weight_elements(weight) <= 4096) status = tuff_weight_read(weight, TUFF_F32, out);
            (void)status;
        }
    }
    tuff_weights_destroy(&weights);
    return 0;
}
