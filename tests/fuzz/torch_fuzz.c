/* libFuzzer entry: the bytes of a file of torch.save, or of the pickle in it. See README.md. */
#include <string.h>

#include "formats/pickle.h"
#include "formats/torch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_archive(const uint8_t *data, size_t size)
{
    static float out[4096];
    tuff_weights *weights;
    if (tuff_weights_create(&weights) != TUFF_OK) return;
    if (tuff_torch_parse(weights, data, size, "fuzz.bin") == TUFF_OK) {
        for (size_t i = 0; i < weights->count; i++) {
            const tuff_weight *weight = &weights->items[i];
            tuff_status status = tuff_weight_check_finite(weight);
            if (tuff_weight_elements(weight) <= 4096) status = tuff_weight_read(weight, TUFF_F16, out);
            (void)status;
        }
    }
    tuff_weights_destroy(&weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2 && memcmp(data, "PK", 2) == 0) {
        read_archive(data, size);
        return 0;
    }
    tuff_arena arena = {0};
    const tuff_pickled *value;
    tuff_status status = tuff_pickle_read(data, size, "fuzz.pkl", &arena, &value);
    (void)status;
    tuff_arena_free(&arena);
    return 0;
}
