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

/* To a file for llama.cpp and back, which say the same beside the model. */
static void test_other_files(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *adapter = kit_join(model, "rslora"),
               *gguf = kit_path("lora.gguf"), *back = kit_path("back"), *merged = kit_path("of-gguf");
    kit_result beside = greedy(model, adapter), r;
    KIT_DO("convert", adapter, "--base", model, "--to", "gguf", "--output", gguf, "--base-model-name",
           "owner/name");
    r = greedy(model, gguf);
    assert_string_equal(r.out.data, beside.out.data);
    kit_result_free(&r);
    KIT_DO("convert", gguf, "--base", model, "--to", "hf", "--output", back);
    r = greedy(model, back);
    assert_string_equal(r.out.data, beside.out.data);
    kit_result_free(&r);
    KIT_DO("convert", model, "--adapter", gguf, "--to", "hf", "--output", merged);
    same_text(merged, &beside);
    kit_result_free(&beside);
    const char *none = kit_path("none");
    KIT_REFUSES(1, "cannot hold the magnitudes of DoRA", "convert", kit_join(model, "dora"), "--base", model,
                "--to", "gguf", "--output", none);
    KIT_REFUSES(1, "it holds no model: its general.type is \"adapter\"", "generate", "--model", gguf,
                "--prompt", "a");
    KIT_REFUSES(2, "with --base an adapter is converted", "convert", adapter, "--base", model, "--adapter",
                adapter, "--to", "hf", "--output", none);
    KIT_REFUSES(2, "adapters are written as f32", "convert", adapter, "--base", model, "--dtype", "f16",
                "--to", "gguf", "--output", none);
    KIT_REFUSES(2, "--base-model-name is for an adapter, which needs --base", "convert", model,
                "--base-model-name", "a/b", "--to", "gguf", "--output", none);
    KIT_REFUSES(1, "holds a model, and an adapter is to be written", "convert", adapter, "--base", model,
                "--to", "hf", "--output", kit_copy_model(model, "kept"), "--overwrite");
}

/* The adapter's own files say which model it is for: a path from here, or from the adapter, as the goldens
 * have it; else that of the run that trained it. */
static void test_base_of_adapter(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *out = kit_path("trained"), *given = kit_path("given.gguf"),
               *found = kit_path("found.gguf"), *none = kit_path("none");
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--lora-rank", "2",
           "--max-steps", "0", "--block-size", "16", "--base-model-name", "owner/name");
    const char *adapters[] = {kit_join(model, "rslora"), out};
    const char *said[] = {"/.., as the adapter's adapter_config.json says",
                          ", as the adapter's run.json says"};
    for (size_t i = 0; i < 2; i++) {
        KIT_DO("convert", adapters[i], "--base", model, "--to", "gguf", "--output", given, "--overwrite");
        kit_result r = KIT_TUFF("convert", adapters[i], "--to", "gguf", "--output", found, "--overwrite");
        assert_non_null(strstr(r.err.data, said[i]));
        kit_result_free(&r);
        tuff_buf bytes[2] = {{0}, {0}};
        kit_read_file(given, &bytes[0]);
        kit_read_file(found, &bytes[1]);
        assert_int_equal(bytes[0].size, bytes[1].size);
        assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].size);
        tuff_buf_free(&bytes[0]);
        tuff_buf_free(&bytes[1]);
    }
    KIT_REFUSES(2, "with --base an adapter is converted", "convert", out, "--adapter", out, "--quiet", "--to",
                "hf", "--output", none);
    assert_int_equal(remove(kit_join(out, "run.json")), 0);
    KIT_REFUSES(
        1,
        "say with --base which model it is for; its adapter_config.json has \"owner/name\", where no model is",
        "convert", out, "--to", "gguf", "--output", none);
}

static void expect_config(const char *directory, const char *const *parts)
{
    tuff_buf text = {0};
    kit_read_file(kit_join(directory, "adapter_config.json"), &text);
    for (; *parts; parts++)
        if (!strstr(text.data, *parts)) fail_msg("%s is not in %s", *parts, text.data);
    tuff_buf_free(&text);
}

/* Biases alone: a LoRA of none to PEFT, of which a training goes on. */
static void test_bitfit(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2"), *out = kit_path("bitfit"), *merged = kit_path("with-biases");
#define TRAIN(...)                                                                                           \
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--method", "bitfit", \
           "--max-steps", "4", "--block-size", "16", "--learning-rate", "0.05", "--save-steps", "2",         \
           __VA_ARGS__)
    TRAIN("--device", "cpu");
    tuff_buf first = {0}, second = {0};
    kit_read_file(kit_join(out, "adapter_model.safetensors"), &first);
    TRAIN("--device", "cpu", "--overwrite-output-dir", "--resume-from-checkpoint",
          kit_join(out, "checkpoint-2"));
#undef TRAIN
    kit_read_file(kit_join(out, "adapter_model.safetensors"), &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    tuff_buf_free(&first);
    tuff_buf_free(&second);
    expect_config(out, (const char *const[]){"\"peft_type\": \"LORA\"", "\"bias\": \"all\"",
                                             "\"target_modules\": \"dummy-target-modules\"", NULL});
    kit_result beside = greedy(model, out), alone = greedy(model, NULL);
    assert_string_not_equal(alone.out.data, beside.out.data);
    KIT_DO("convert", model, "--adapter", out, "--to", "hf", "--output", merged);
    same_text(merged, &beside);
    kit_result_free(&beside);
    kit_result_free(&alone);
    KIT_REFUSES(1, "merge it into its model", "convert", out, "--base", model, "--to", "gguf", "--output",
                kit_path("none.gguf"));
    kit_result r = KIT_TUFF("inspect", out);
    assert_non_null(strstr(r.out.data, "biases (BitFit)"));
    kit_result_free(&r);
}

/* A chat with an adapter says what a generation with it does. */
static void same_chat(const char *model, const char *adapter)
{
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"Hi there\"}]";
    const char *file = kit_path("messages.json");
    kit_write_file(file, messages, strlen(messages));
#define SAYS(verb)                                                                                          \
    KIT_TUFF(verb, "--model", model, "--adapter", adapter, "--messages", file, "--chat-template", "chatml", \
             "--max-new-tokens", "5", "--context-length", "512", "--json")
    kit_result chat = SAYS("chat"), once = SAYS("generate");
#undef SAYS
    cJSON *said = kit_parse(chat.out.data, chat.out.size), *made = kit_parse(once.out.data, once.out.size);
    assert_true(*kit_string(said, "content"));
    assert_string_equal(kit_string(said, "content"), kit_string(made, "text"));
    cJSON_Delete(said);
    cJSON_Delete(made);
    kit_result_free(&chat);
    kit_result_free(&once);
}

/* Trainings that go on from a checkpoint give the same bytes; what they give works beside the model. */
static void test_other_methods(void **state)
{
    (void)state;
    static const struct {
        const char *method, *option, *value, *kind, *refusal; /* NULL: it is merged */
    } cases[] = {
        {"prefix", "--num-virtual-tokens", "4", "PREFIX_TUNING", "can hold what prefix tuning adds"},
        {"prefix", "--prefix-projection", "--no-shuffle", "PREFIX_TUNING", "what prefix tuning adds"},
        {"vera", "--lora-rank", "8", "VERA", NULL},
        {"tokens", "--trainable-token-indices", "{\"embed_tokens\": [222, 70], \"lm_head\": [222, 70]}",
         "TRAINABLE_TOKENS", NULL},
        {"adapter", "--reduction-factor", "4", "\"reduction_factor\": 4", "what a bottleneck adapter adds"},
        {"adapter", "--adapter-config", "double_seq_bn", "\"mh_adapter\": true",
         "what a bottleneck adapter adds"},
        {"adapter", "--adapter-dropout", "0.25", "\"dropout\": 0.25", "what a bottleneck adapter adds"}};
    const char *model = kit_golden("llama");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = kit_path(cases[i].option + 2), *merged = kit_path("merged-method");
        tuff_buf first = {0}, second = {0};
#define TRAIN(...)                                                                                     \
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--method",     \
           cases[i].method, cases[i].option, cases[i].value, "--max-steps", "4", "--block-size", "16", \
           "--learning-rate", "0.05", "--save-steps", "2", "--device", "cpu", __VA_ARGS__)
        TRAIN("--seed", "3");
        const char *file =
            strcmp(cases[i].method, "adapter") == 0 ? "adapter.safetensors" : "adapter_model.safetensors";
        kit_read_file(kit_join(out, file), &first);
        TRAIN("--seed", "3", "--overwrite-output-dir", "--resume-from-checkpoint",
              kit_join(out, "checkpoint-2"));
#undef TRAIN
        kit_read_file(kit_join(out, file), &second);
        assert_int_equal(first.size, second.size);
        assert_memory_equal(first.data, second.data, first.size);
        tuff_buf_free(&first);
        tuff_buf_free(&second);
        expect_config(out, (const char *const[]){cases[i].kind, NULL});
        kit_result beside = greedy(model, out);
        KIT_DO("eval", "--model", model, "--adapter", out, "--file", kit_text(), "--block-size", "16");
        same_chat(model, out);
        if (!cases[i].refusal) {
            KIT_DO("convert", model, "--adapter", out, "--to", "hf", "--output", merged, "--overwrite");
            same_text(merged, &beside);
        } else {
            KIT_REFUSES(1, cases[i].refusal, "convert", model, "--adapter", out, "--to", "hf", "--output",
                        kit_path("none-merged"));
            KIT_REFUSES(1, "GGUF adapters are LoRA", "convert", out, "--base", model, "--to", "gguf",
                        "--output", kit_path("none.gguf"));
        }
        kit_result_free(&beside);
    }
}

static void test_train_variants(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *out = kit_path("variant");
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--method", "dora",
           "--lora-rank", "4", "--use-rslora", "--rank-pattern", "v_proj=2", "--alpha-pattern",
           "v_proj=3,q_proj=5", "--max-steps", "2", "--block-size", "16", "--base-model-name", "owner/name");
    expect_config(out, (const char *const[]){"\"use_dora\": true", "\"use_rslora\": true", "\"v_proj\": 2",
                                             "\"q_proj\": 5", "\"base_model_name_or_path\": \"owner/name\"",
                                             NULL});
    KIT_DO("generate", "--model", model, "--adapter", out, "--prompt", "a", "--max-new-tokens", "3");
    KIT_DO("convert", model, "--adapter", out, "--to", "gguf", "--output", kit_path("variant.gguf"));
#define REFUSED(code, part, ...)                                                                   \
    KIT_REFUSES(code, part, "train", "--model", model, "--train-file", kit_text(), "--output-dir", \
                kit_path("none"), __VA_ARGS__)
    REFUSED(2, "are of LoRA: they need --lora-rank", "--use-dora");
    REFUSED(2, "--method is full, lora, dora, vera, ia3, prompt, prefix, bitfit, tokens or adapter",
            "--method", "qlora");
    REFUSED(2, "need --method adapter", "--method", "lora", "--reduction-factor", "8");
    REFUSED(1, "adapter_config is \"par_bn\"; Tuff has seq_bn", "--method", "adapter", "--adapter-config",
            "par_bn");
    REFUSED(2, "--bias and --target-parameters are of LoRA", "--method", "ia3", "--bias", "all");
    REFUSED(2, "--d-initial and --projection-prng-key need --method vera", "--method", "lora", "--d-initial",
            "0.2");
    REFUSED(2, "of VeRA there is --target-modules", "--method", "vera", "--lora-target", "q_proj");
    REFUSED(2, "--prefix-projection and --encoder-hidden-size need --method prefix", "--method", "prompt",
            "--prefix-projection");
    REFUSED(2, "--encoder-hidden-size needs --prefix-projection", "--method", "prefix",
            "--encoder-hidden-size", "8");
    REFUSED(2, "--num-virtual-tokens needs --method prompt or prefix", "--method", "vera",
            "--num-virtual-tokens", "8");
    REFUSED(1, "BitFit trains biases, of which this llama model has none", "--method", "bitfit");
    REFUSED(2, "say the same thing", "--method", "lora", "--peft-type", "lora");
    REFUSED(2, "--method full trains all parameters", "--method", "full", "--lora-rank", "4");
    REFUSED(2, "--base-model-name is of adapters", "--base-model-name", "a/b");
    REFUSED(1, "rank_pattern has \"z_proj\", and no adapted module is called so", "--lora-rank", "4",
            "--rank-pattern", "z_proj=2");
    REFUSED(1, "rank_pattern has 1.5 for q_proj", "--lora-rank", "4", "--rank-pattern", "q_proj=1.5");
    REFUSED(1, "alpha_pattern has \"q_proj\", expected a module's name and a number above 0", "--lora-rank",
            "4", "--alpha-pattern", "q_proj");
#undef REFUSED
}

/* Rows of tokens beside a LoRA. */
static void test_token_rows(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2"), *out = kit_path("rows"), *merged = kit_path("rows.merged");
#define TRAIN "train", "--model", model, "--train-file", kit_text(), "--output-dir", out
    KIT_DO(TRAIN, "--lora-rank", "2", "--trainable-token-indices", "220,68", "--learning-rate", "0.1",
           "--max-steps", "3", "--block-size", "16");
    expect_config(out, (const char *const[]){"\"trainable_token_indices\": [\n    220,\n    68\n  ]", NULL});
    KIT_DO("convert", model, "--adapter", out, "--to", "hf", "--output", merged);
    kit_result beside = greedy(model, out);
    same_text(merged, &beside);
    kit_result_free(&beside);
    kit_result r = KIT_TUFF("inspect", out);
    assert_non_null(strstr(r.out.data, "token rows"));
    assert_null(strstr(r.out.data, "not used"));
    kit_result_free(&r);
    KIT_REFUSES(1, "cannot hold rows of tokens", "convert", out, "--base", model, "--to", "gguf", "--output",
                kit_path("none.gguf"));
    KIT_REFUSES(2, "--trainable-token-indices is of LoRA and of --method tokens", TRAIN,
                "--trainable-token-indices", "3");
    KIT_REFUSES(2, "--method tokens needs --trainable-token-indices", TRAIN, "--method", "tokens");
    KIT_REFUSES(1, "has the token 999, but the model", TRAIN, "--overwrite-output-dir", "--lora-rank", "2",
                "--trainable-token-indices", "999");
#undef TRAIN
}

/* Experts' own matrices: trained, in adapter_config.json, beside the model and in its weights. */
static void test_experts(void **state)
{
    (void)state;
    const char *model = kit_golden("mixtral"), *out = kit_path("experts"),
               *merged = kit_path("experts.merged");
    KIT_DO("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--lora-rank", "2",
           "--lora-target", "", "--target-parameters", "mlp.experts.gate_up_proj,mlp.experts.down_proj",
           "--learning-rate", "0.1", "--max-steps", "3", "--block-size", "16");
    expect_config(out, (const char *const[]){"\"target_modules\": []", "\"target_parameters\": [",
                                             "\"mlp.experts.gate_up_proj\"", NULL});
    KIT_DO("convert", model, "--adapter", out, "--to", "hf", "--output", merged);
    kit_result alone = greedy(model, NULL), beside = greedy(model, out);
    assert_string_not_equal(alone.out.data, beside.out.data);
    same_text(merged, &beside);
    kit_result_free(&alone);
    kit_result_free(&beside);
    kit_result r = KIT_TUFF("inspect", out);
    assert_non_null(strstr(r.out.data, "mlp.experts.gate_up_proj, mlp.experts.down_proj"));
    kit_result_free(&r);
    KIT_REFUSES(1, "no parameter of experts; this llama model has none", "train", "--model",
                kit_golden("llama"), "--train-file", kit_text(), "--output-dir", kit_path("none"),
                "--lora-rank", "2", "--target-parameters", "mlp.experts.down_proj");
    KIT_REFUSES(2, "--target-parameters are of LoRA", "train", "--model", model, "--train-file", kit_text(),
                "--output-dir", kit_path("none"), "--target-parameters", "mlp.experts.down_proj");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),           cmocka_unit_test(test_merge_onto_blocks),
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_base_of_adapter), cmocka_unit_test(test_train_variants),
        cmocka_unit_test(test_experts),         cmocka_unit_test(test_token_rows),
        cmocka_unit_test(test_bitfit),          cmocka_unit_test(test_other_methods),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
