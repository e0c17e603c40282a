/* The command on adapters: merged into models, as files of both kinds. */
#include "kit/command.h"

static kit_result greedy(const char *model, const char *adapter)
{
    return adapter ? KIT_TUFF("generate", "--model", model, "--adapter", adapter, "--prompt", "the cat",
                              "--max-new-tokens", "20", "--ignore-eos", "--exact")
                   : KIT_TUFF("generate", "--model", model, "--prompt", "the cat", "--max-new-tokens", "20",
                              "--ignore-eos", "--exact");
}

static void same_text(const char *model, const kit_result *want)
{
    kit_result r = greedy(model, NULL);
    assert_string_equal(r.out.data, want->out.data);
    kit_result_free(&r);
}

static void test_merge(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"gpt2", "lora"}, {"llama", "ia3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *model = kit_golden(cases[i][0]), *adapter = kit_join(model, cases[i][1]);
        const char *hf = kit_path("merged"), *gguf = kit_path("merged.gguf"), *plain = kit_path("plain.gguf");
        kit_result alone = greedy(model, NULL), beside = greedy(model, adapter);
        assert_string_not_equal(alone.out.data, beside.out.data);
        KIT_DO("convert", model, "--adapter", adapter, "--to", "hf", "--output", hf, "--overwrite");
        same_text(hf, &beside);
        KIT_DO("convert", model, "--adapter", adapter, "--to", "gguf", "--output", gguf, "--overwrite");
        same_text(gguf, &beside);
        KIT_DO("convert", model, "--to", "gguf", "--output", plain, "--overwrite");
        KIT_DO("convert", plain, "--adapter", adapter, "--to", "hf", "--output", hf, "--overwrite");
        same_text(hf, &beside);
        kit_result_free(&alone);
        kit_result_free(&beside);
    }
}

static void test_merge_onto_blocks(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *adapter = kit_join(model, "lora"), *q8 = kit_path("q8.gguf"),
               *out = kit_path("out.gguf");
    KIT_DO("convert", model, "--to", "gguf", "--dtype", "q8_0", "--output", q8);
    KIT_REFUSES(1, "(tuff_save_params.type, --dtype)", "convert", q8, "--adapter", adapter, "--to", "gguf",
                "--output", out);
    KIT_DO("convert", q8, "--adapter", adapter, "--to", "gguf", "--dtype", "f32", "--output", out);
    kit_result beside = greedy(q8, adapter);
    same_text(out, &beside);
    kit_result_free(&beside);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *out = kit_path("none");
    KIT_REFUSES(1, "no weights of a model can hold what prompt tuning adds", "convert", model, "--adapter",
                kit_join(model, "prompt"), "--to", "hf", "--output", out);
    KIT_REFUSES(1, "is no linear layer of the llama model", "convert", model, "--adapter",
                kit_join(kit_golden("gpt2"), "lora"), "--to", "hf", "--output", out);
    const char *copy = kit_path("adapter");
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", copy, "--lora-rank", "2",
           "--max-steps", "0", "--block-size", "16");
    KIT_REFUSES(1, "would replace a file of", "convert", model, "--adapter", copy, "--to", "gguf", "--output",
                kit_join(copy, "adapter_model.safetensors"), "--overwrite");
    KIT_REFUSES(1, "holds an adapter", "convert", model, "--adapter", copy, "--to", "hf", "--output", copy,
                "--overwrite");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_onto_blocks),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
