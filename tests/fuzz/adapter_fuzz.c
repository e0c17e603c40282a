/* libFuzzer entry: a PEFT adapter. The text of adapter_config.json up to the first NUL, then the bytes of
 * adapter_model.safetensors. See README.md. */
#include <string.h>

#include "formats/peft.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const tuff_peft_adapter *adapter)
{
    static float out[4096];
    for (size_t i = 0; i < adapter->pair_count; i++) {
        const tuff_peft_pair *pair = &adapter->pairs[i];
        if (tuff_peft_find(adapter, pair->module) != pair) __builtin_trap();
        tuff_peft_pair settled = *pair;
        tuff_status status =
            tuff_peft_settle(adapter->config, &settled, pair->module, pair->parameter ? 3 : 1);
        if (!pair->parameter && (status != TUFF_OK || pair->rank != settled.rank)) __builtin_trap();
        status = tuff_weight_check_finite(pair->a);
        if (tuff_weight_elements(pair->b) <= 4096) status = tuff_weight_read(pair->b, TUFF_F32, out);
        (void)status;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    if (!nul) return 0;
    const size_t text = (size_t)(nul - data), rest = size - text - 1;
    tuff_peft_config *config;
    tuff_weights *weights;
    tuff_peft_adapter *adapter = NULL;
    if (tuff_peft_config_parse((const char *)data, text, "fuzz.json", &config) != TUFF_OK) return 0;
    if (tuff_weights_create(&weights) != TUFF_OK ||
        tuff_safetensors_parse(weights, nul + 1, rest, "fuzz.safetensors") != TUFF_OK) {
        tuff_weights_destroy(&weights);
        tuff_peft_config_destroy(&config);
        return 0;
    }
    if (tuff_peft_pair_up(config, weights, "fuzz.safetensors", &adapter) == TUFF_OK) use(adapter);
    tuff_peft_destroy(&adapter);
    return 0;
}
