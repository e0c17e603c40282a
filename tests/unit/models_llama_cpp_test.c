/* What llama.cpp will not load of the GGUFs that Tuff writes is said, one sentence for each reason, and
 * nothing where it loads them. Which it loads was tried with llama.cpp itself
 * (tests/reference/check_llamacpp_loads.py). */
#include <tuff/host.h>

#include "kit/kit.h"
#include "models/model.h"

static char heard[2048];
static int sentences;

static void listen(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    assert_int_equal(level, TUFF_LOG_WARN);
    assert_true(strlen(heard) + strlen(message) + 2 < sizeof heard);
    strcat(strcat(heard, message), "\n");
    sentences++;
}

static void hear(const tuff_config *config)
{
    heard[0] = '\0';
    sentences = 0;
    tuff_warn_of_llama_cpp(config);
}

/* As the architecture's models usually are. */
static tuff_config usual(const tuff_arch *arch)
{
    const bool biased =
        arch == &tuff_arch_gpt_oss || arch == &tuff_arch_gpt_neox || arch == &tuff_arch_starcoder2;
    const bool tied = arch == &tuff_arch_gemma || arch == &tuff_arch_gemma2 || arch == &tuff_arch_cohere2;
    return (tuff_config){.arch = arch,
                         .hidden_size = 32,
                         .layers = 2,
                         .heads = 4,
                         .kv_heads = 4,
                         .head_dim = 8,
                         .tied = tied,
                         .layer = {.qkv_bias = biased, .out_bias = biased, .experts = true}};
}

typedef enum change { TIED, FACTORS, BIAS, MLP_BIAS, HEADS, SHARED, DENSE } change;

static void apply(change what, tuff_config *c)
{
    if (what == TIED) c->tied = !c->tied;
    if (what == FACTORS) c->rope.scaling = TUFF_ROPE_LLAMA3;
    if (what == BIAS) c->layer.qkv_bias = c->layer.out_bias = !c->layer.qkv_bias;
    if (what == MLP_BIAS) c->layer.mlp_bias = true;
    if (what == HEADS) c->head_dim = 16;
    if (what == SHARED) c->kv_heads = 2;
    if (what == DENSE) c->layer.experts = false;
}

static void each_reason_is_one_sentence(void **state)
{
    (void)state;
    static const struct {
        const tuff_arch *arch;
        change what;
        const char *words; /* NULL: llama.cpp loads it */
    } cases[] = {
        {&tuff_arch_gemma, TIED, "llama.cpp's gemma takes the embedding table for the output"},
        {&tuff_arch_gemma2, TIED, "takes the embedding table"},
        {&tuff_arch_cohere2, TIED, "takes the embedding table"},
        {&tuff_arch_gemma3_text, TIED, NULL},
        {&tuff_arch_llama, TIED, NULL},
        {&tuff_arch_olmo2, TIED, "needs output.weight"},
        {&tuff_arch_phi, TIED, "llama.cpp's phi2 needs output.weight"},
        {&tuff_arch_stablelm, TIED, "needs output.weight"},
        {&tuff_arch_gpt_neox, TIED, "needs output.weight"},
        {&tuff_arch_olmoe, TIED, "needs output.weight"},
        {&tuff_arch_gpt_oss, TIED, "needs output.weight"},
        {&tuff_arch_llama, FACTORS, NULL},
        {&tuff_arch_mistral, FACTORS, NULL},
        {&tuff_arch_granite, FACTORS, NULL},
        {&tuff_arch_mixtral, FACTORS, NULL},
        {&tuff_arch_gemma3_text, FACTORS, NULL},
        {&tuff_arch_qwen2, FACTORS, "llama.cpp's qwen2 has no factors of rotary positions"},
        {&tuff_arch_starcoder2, FACTORS, "no factors of rotary positions"},
        {&tuff_arch_smollm3, FACTORS, "no factors of rotary positions"},
        {&tuff_arch_glm4, FACTORS, "no factors of rotary positions"},
        {&tuff_arch_gemma, BIAS, "has no biases of attention"},
        {&tuff_arch_gemma3_text, BIAS, "has no biases of attention"},
        {&tuff_arch_cohere2, BIAS, "has no biases of attention"},
        {&tuff_arch_qwen3, BIAS, "has no biases of attention"},
        {&tuff_arch_qwen3_moe, BIAS, "has no biases of attention"},
        {&tuff_arch_olmoe, BIAS, "has no biases of attention"},
        {&tuff_arch_granite, BIAS, NULL},
        {&tuff_arch_llama, BIAS, NULL},
        {&tuff_arch_starcoder2, BIAS, "needs biases of attention"},
        {&tuff_arch_gpt_neox, BIAS, "needs biases of attention"},
        {&tuff_arch_gpt_oss, BIAS, "needs biases of attention"},
        {&tuff_arch_smollm3, MLP_BIAS, "has no biases of feed-forward layers"},
        {&tuff_arch_llama, MLP_BIAS, NULL},
        {&tuff_arch_cohere2, HEADS, "heads that are together as wide as the hidden states"},
        {&tuff_arch_starcoder2, HEADS, "heads that are together as wide as the hidden states"},
        {&tuff_arch_qwen2, HEADS, "heads that are together as wide as the hidden states"},
        {&tuff_arch_glm, HEADS, "llama.cpp's chatglm takes heads"},
        {&tuff_arch_qwen3, HEADS, NULL},
        {&tuff_arch_gemma, HEADS, NULL},
        {&tuff_arch_olmoe, SHARED, "as many key/value heads as query heads"},
        {&tuff_arch_llama, SHARED, NULL},
        {&tuff_arch_qwen3_moe, DENSE, "has experts in all layers"},
        {&tuff_arch_llama, DENSE, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tuff_config config = usual(cases[i].arch);
        hear(&config);
        if (sentences) fail_msg("%s as it usually is: %s", cases[i].arch->name, heard);
        apply(cases[i].what, &config);
        hear(&config);
        if (sentences != (cases[i].words != NULL) || !strstr(heard, cases[i].words ? cases[i].words : ""))
            fail_msg("%s, change %d, expected \"%s\": %s", cases[i].arch->name, (int)cases[i].what,
                     cases[i].words ? cases[i].words : "nothing", heard);
        if (sentences && !strstr(heard, ": it will not load the file; Tuff does")) fail_msg("%s", heard);
    }
}

static void reasons_add_up(void **state)
{
    (void)state;
    tuff_config config = usual(&tuff_arch_cohere2);
    for (change what = TIED; what <= HEADS; what++)
        apply(what, &config);
    hear(&config);
    assert_int_equal(sentences, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_is_one_sentence),
        cmocka_unit_test(reasons_add_up),
    };
    tuff_set_log(listen, TUFF_LOG_WARN, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
