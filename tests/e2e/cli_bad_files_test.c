/* Damaged model files: each gives one clear sentence and leaves nothing behind. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

/* Refused by every verb that reads a model, for a reason that has `part` in it. */
static void refused(const char *model, const char *part)
{
    KIT_REFUSES(1, part, "generate", "--model", model, "--prompt", "the", "--max-new-tokens", "2");
    KIT_REFUSES(1, part, "train", "--model", model, "--train-file", kit_text(), "--output-dir",
                kit_path("out"), "--block-size", "16", "--max-steps", "1");
    KIT_REFUSES(1, part, "eval", "--model", model, "--file", kit_text());
    KIT_REFUSES(1, part, "convert", model, "--to", "gguf", "--output", kit_path("out.gguf"));
}

static const char *damaged_copy(const char *as)
{
    return kit_copy_model(kit_golden("llama"), as);
}

static void test_nothing_there(void **state)
{
    (void)state;
    refused(kit_path("none/model"), "none/model");
    const char *empty = kit_path("empty");
    KIT_OK(tuff_make_directories(empty));
    refused(empty, "safetensors");
    const char *file = kit_path("notes.txt");
    kit_write_file(file, "hello", 5);
    refused(file, "is no model");
}

static void test_safetensors(void **state)
{
    (void)state;
    const char *model = damaged_copy("cut"), *weights = kit_join(model, "model.safetensors");
    kit_cut_file(weights, 100000);
    refused(model, "model.safetensors");
    KIT_REFUSES(1, "model.safetensors", "inspect", model);
    kit_cut_file(weights, 500); /* within the header */
    refused(model, "model.safetensors");
    kit_cut_file(weights, 3);
    refused(model, "model.safetensors");

    model = damaged_copy("garbled");
    kit_poke_file(kit_join(model, "model.safetensors"), 20, "\x01\xff\xfe", 3);
    refused(model, "model.safetensors");

    model = damaged_copy("overlapping");
    kit_edit_file(kit_join(model, "model.safetensors"), "\"data_offsets\":[", "\"data_offsets\":[9");
    refused(model, "model.safetensors");
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
                                 "\"data_offsets\":[0,4]}}    ";
    const char *model = damaged_copy("overflow"), *weights = kit_join(model, "model.safetensors");
    uint8_t bytes[8 + sizeof header + 4] = {sizeof header - 1};
    memcpy(bytes + 8, header, sizeof header - 1);
    kit_write_file(weights, bytes, 8 + sizeof header - 1 + 4);
    refused(model, "model.safetensors");
    KIT_REFUSES(1, "model.safetensors", "inspect", weights);
    memset(bytes, 0xff, 8); /* a header of 2^64 - 1 bytes */
    kit_write_file(weights, bytes, sizeof bytes);
    refused(model, "model.safetensors");
}

static void test_tensors(void **state)
{
    (void)state;
    const char *model = damaged_copy("missing"), *weights = kit_join(model, "model.safetensors");
    kit_edit_file(weights, "model.norm.weight", "model.norm.weighs");
    refused(model, "model.norm.weight");
    kit_result r = KIT_TUFF("inspect", model);
    assert_non_null(
        strstr(r.out.data, "the tensor model.norm.weight of a llama model with 2 layers is missing"));
    kit_result_free(&r);

    /* a type that nobody knows: listed, and refused where a model needs it */
    model = damaged_copy("type");
    kit_edit_file(kit_join(model, "model.safetensors"), "\"F32\"", "\"F99\"");
    refused(model, "is stored as F99");
    r = KIT_TUFF("inspect", model, "--tensors");
    assert_non_null(strstr(r.out.data, "is stored as F99"));
    assert_non_null(strstr(r.out.data, "F99    ["));
    assert_non_null(strstr(r.out.data, "(unsupported)"));
    kit_result_free(&r);

    model = damaged_copy("shape");
    kit_edit_file(kit_join(model, "config.json"), "\"intermediate_size\": 72", "\"intermediate_size\": 80");
    refused(model, "[80, 32]");

    static const uint8_t nan[] = {0, 0, 0xc0, 0x7f}, inf[] = {0, 0, 0x80, 0xff};
    model = damaged_copy("nan");
    kit_poke_file(kit_join(model, "model.safetensors"), -4, nan, 4);
    refused(model, "NaN");
    model = damaged_copy("inf");
    kit_poke_file(kit_join(model, "model.safetensors"), -400, inf, 4);
    refused(model, "nf");
}

static void test_config(void **state)
{
    (void)state;
    const char *model = damaged_copy("config"), *config = kit_join(model, "config.json");
    kit_cut_file(config, 200);
    refused(model, "config.json");
    kit_write_file(config, "", 0);
    refused(model, "config.json");
    kit_write_file(config, "[1, 2]", 6);
    refused(model, "config.json");
    kit_write_file(config, "{}", 2);
    refused(model, "model_type");
    remove(config);
    refused(model, "no config.json");

    static const char *const edits[][3] = {
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 0", "num_attention_heads"},
        {"\"num_attention_heads\": 4", "\"num_attention_heads\": 3", "config.json"},
        {"\"hidden_size\": 32", "\"hidden_size\": 9000000000000000000", "hidden_size"},
        {"\"hidden_size\": 32", "\"hidden_size\": -32", "hidden_size"},
        {"\"hidden_size\": 32", "\"hidden_size\": \"wide\"", "hidden_size"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1e300", "num_hidden_layers"},
        {"\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "mamba"},
        {"\"vocab_size\": 280", "\"vocab_size\": 2800000000", "vocab_size"},
        {"\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"mrope\", \"factor\": 4}", "mrope"}};
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        model = damaged_copy("edited");
        kit_edit_file(kit_join(model, "config.json"), edits[i][0], edits[i][1]);
        KIT_REFUSES(1, edits[i][2], "generate", "--model", model, "--prompt", "the");
    }
}

static void test_tokenizer(void **state)
{
    (void)state;
    const char *model = damaged_copy("tokenizer"), *tokenizer = kit_join(model, "tokenizer.json");
    kit_cut_file(tokenizer, 4000);
    refused(model, "tokenizer.json");
    kit_write_file(tokenizer, "{}", 2);
    refused(model, "tokenizer.json");
    kit_write_file(tokenizer, "\xff\xfe\x00", 3);
    refused(model, "tokenizer.json");
    remove(tokenizer);
    KIT_REFUSES(1, "no tokenizer", "generate", "--model", model, "--prompt", "the");
    KIT_REFUSES(1, "no tokenizer", "eval", "--model", model, "--file", kit_text());
    /* more ids than the model has rows */
    model = damaged_copy("ids");
    kit_copy_file(kit_golden("mistral/tokenizer.json"), kit_join(model, "tokenizer.json"));
    refused(model, "280");
}

static void test_gguf(void **state)
{
    (void)state;
    const char *whole = kit_path("whole.gguf"), *broken = kit_path("broken.gguf");
    KIT_DO("convert", kit_golden("llama"), "--to", "gguf", "--output", whole);
    tuff_buf bytes;
    kit_read_file(whole, &bytes);
    static const double parts[] = {0.001, 0.01, 0.05, 0.2, 0.5, 0.999};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        kit_write_file(broken, bytes.data, (size_t)((double)bytes.size * parts[i]));
        refused(broken, "broken.gguf");
        KIT_REFUSES(1, "broken.gguf", "inspect", broken);
    }
    static const uint8_t huge[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const struct {
        long offset;
        size_t size;
    } pokes[] = {
        {0, 4}, {4, 4}, {8, 8}, {16, 8}, {24, 8}}; /* magic, version, tensors, values, a key's length */
    for (size_t i = 0; i < sizeof pokes / sizeof pokes[0]; i++) {
        kit_write_file(broken, bytes.data, bytes.size);
        kit_poke_file(broken, pokes[i].offset, huge, pokes[i].size);
        refused(broken, "broken.gguf");
    }
    kit_write_file(broken, bytes.data, bytes.size);
    kit_edit_file(broken, "llama.embedding_length", "llama.embedding_lengtH");
    refused(broken, "the metadata key 'llama.embedding_length' is missing");
    kit_write_file(broken, bytes.data, bytes.size);
    kit_edit_file(broken, "blk.1.ffn_up.weight", "blk.1.ffn_uq.weight");
    refused(broken, "blk.1.ffn_up.weight");
    tuff_buf_free(&bytes);
}

static void test_adapter(void **state)
{
    (void)state;
    const char *llama = kit_golden("llama"), *gpt2 = kit_golden("gpt2");
    const char *lora = kit_golden("llama/lora"), *bad = kit_path("adapter");
    KIT_OK(tuff_make_directories(bad));
    kit_copy_file(kit_join(lora, "adapter_config.json"), kit_join(bad, "adapter_config.json"));
    kit_copy_file(kit_join(lora, "adapter_model.safetensors"), kit_join(bad, "adapter_model.safetensors"));
#define REFUSED(model, adapter, part)                                                            \
    KIT_REFUSES(1, part, "generate", "--model", model, "--adapter", adapter, "--prompt", "the"); \
    KIT_REFUSES(1, part, "eval", "--model", model, "--adapter", adapter, "--file", kit_text(),   \
                "--block-size", "16")
    REFUSED(gpt2, lora, "no linear layer of the gpt2 model");
    REFUSED(llama, kit_path("none"), "none");
    REFUSED(llama, llama, "adapter");
    kit_cut_file(kit_join(bad, "adapter_model.safetensors"), 9000);
    REFUSED(llama, bad, "adapter_model.safetensors");
    kit_copy_file(kit_join(lora, "adapter_model.safetensors"), kit_join(bad, "adapter_model.safetensors"));
    kit_edit_file(kit_join(bad, "adapter_config.json"), "LORA", "LOHA");
    REFUSED(llama, bad, "LOHA");
    KIT_REFUSES(1, "adapter", "generate", "--model", lora, "--prompt", "the");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_tokenizer),
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_adapter),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
