/* Models that no file is needed for: their shapes, and a tokenizer with a token for each byte. */
#include <stdlib.h>
#include <string.h>
#include <tuff/tokenizer.h>

#include "cli/bench.h"

#define GPT2(layers, heads, width)                                                              \
    "{\"model_type\": \"gpt2\", \"architectures\": [\"GPT2LMHeadModel\"], \"n_layer\": " layers \
    ", \"n_head\": " heads ", \"n_embd\": " width                                               \
    ", \"n_positions\": 1024, \"vocab_size\": 50257, \"attn_pdrop\": 0, \"embd_pdrop\": 0, \"resid_pdrop\": 0}"
#define LLAMA(layers, heads, kv_heads, width, inner, vocab, tied)                                           \
    "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": " layers \
    ", \"num_attention_heads\": " heads ", \"num_key_value_heads\": " kv_heads ", \"hidden_size\": " width  \
    ", \"intermediate_size\": " inner ", \"vocab_size\": " vocab ", \"tie_word_embeddings\": " tied         \
    ", \"max_position_embeddings\": 2048, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000}"

/* In the order of TUFF_CLI_BENCH_SHAPES behind its first two. */
static const char *const configs[TUFF_CLI_BENCH_END - TUFF_CLI_BENCH_FIRST] = {
    GPT2("6", "6", "384"),
    GPT2("12", "12", "768"),
    LLAMA("30", "9", "3", "576", "1536", "49152", "true"),
    LLAMA("22", "32", "4", "2048", "5632", "32000", "false"),
};

int tuff_cli_bench_choose(int shape, const tuff_bench_peak *peak)
{
    if (shape != TUFF_CLI_BENCH_AUTO) return shape;
    return peak->f32_gflops > 1000 ? TUFF_CLI_BENCH_FIRST + 1
           : peak->f32_gflops > 50 ? TUFF_CLI_BENCH_FIRST
                                   : TUFF_CLI_BENCH_NONE;
}

/* As SentencePiece models have it, with a token for each byte and no other. */
static tuff_status make_tokenizer(tuff_tokenizer **out)
{
    enum { SPECIAL = 3, TOKENS = SPECIAL + 256 };
    static const char *const special[SPECIAL] = {"<unk>", "<s>", "</s>"};
    static const int32_t types[SPECIAL] = {TUFF_TOKEN_UNKNOWN, TUFF_TOKEN_CONTROL, TUFF_TOKEN_CONTROL};
    char names[TOKENS][8];
    tuff_piece tokens[TOKENS];
    float scores[TOKENS] = {0};
    int32_t kinds[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        if (i < SPECIAL)
            snprintf(names[i], sizeof names[i], "%s", special[i]);
        else
            snprintf(names[i], sizeof names[i], "<0x%02X>", (unsigned)(i - SPECIAL));
        tokens[i] = (tuff_piece){names[i], strlen(names[i])};
        kinds[i] = i < SPECIAL ? types[i] : TUFF_TOKEN_BYTE;
    }
    tuff_vocab_desc desc = TUFF_VOCAB_DESC_INIT;
    desc.kind = "llama";
    desc.size = TOKENS;
    desc.tokens = tokens;
    desc.scores = scores;
    desc.types = kinds;
    desc.unk = 0;
    desc.bos = 1;
    desc.eos = 2;
    return tuff_tokenizer_from_desc(&desc, "a tokenizer of bytes", out);
}

const char *tuff_cli_bench_shape_name(int shape)
{
    static const char *const names[TUFF_CLI_BENCH_END - TUFF_CLI_BENCH_FIRST] = {"gpt2-30m", "gpt2-124m",
                                                                                 "llama-135m", "llama-1.1b"};
    return names[shape - TUFF_CLI_BENCH_FIRST];
}

tuff_status tuff_cli_bench_draw(int shape, tuff_model **out_model)
{
    tuff_tokenizer *tokenizer = NULL;
    const char *config = configs[shape - TUFF_CLI_BENCH_FIRST];
    *out_model = NULL;
    tuff_status status = make_tokenizer(&tokenizer);
    return status == TUFF_OK ? tuff_model_draw(config, strlen(config), &tokenizer, 42, out_model) : status;
}
