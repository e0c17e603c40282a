/* libFuzzer entry: the JSON files of a Hugging Face directory, chosen by the first byte. See README.md. */
#include "formats/hf_config.h"
#include "formats/peft.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tokens(const char *text, size_t size)
{
    cJSON *json;
    tuff_hf_tokens tokens = {.bos = -1, .pad = -1};
    if (tuff_json_parse(text, size, "fuzz.json", &json) != TUFF_OK) return;
    tuff_status status = tuff_hf_tokens_read(json, "fuzz.json", &tokens);
    (void)status;
    cJSON_Delete(json);
}

static void read_adapter(const char *text, size_t size)
{
    tuff_peft_config *config;
    tuff_buf out = {0};
    if (tuff_peft_config_parse(text, size, "fuzz.json", &config) != TUFF_OK) return;
    tuff_peft_config_print(config, &out);
    (void)tuff_peft_scale(config, "h.0.attn.c_attn");
    tuff_buf_free(&out);
    tuff_peft_config_destroy(&config);
}

static void read_index(const char *text, size_t size)
{
    tuff_shard_map *map;
    if (tuff_shard_map_parse(text, size, "fuzz.json", &map) == TUFF_OK) tuff_shard_map_destroy(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    if (data[0] % 3 == 0) read_tokens(text, size - 1);
    if (data[0] % 3 == 1) read_adapter(text, size - 1);
    if (data[0] % 3 == 2) read_index(text, size - 1);
    return 0;
}
