/* THE list of what llama.cpp does not load of the files that Tuff writes: each architecture there asks for
 * exactly the tensors that its table has. Seen with llama.cpp 0.7.0. What it loads and runs otherwise, the
 * architectures' own files say. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "models/model.h"

static bool is_tied(const tuff_config *c)
{
    return c->tied;
}

static bool is_untied(const tuff_config *c)
{
    return !c->tied;
}

static bool has_factors(const tuff_config *c)
{
    return c->rope.scaling == TUFF_ROPE_LLAMA3 || c->rope.scaling == TUFF_ROPE_LONGROPE;
}

static bool has_attention_biases(const tuff_config *c)
{
    return c->layer.qkv_bias || c->layer.out_bias;
}

static bool lacks_attention_biases(const tuff_config *c)
{
    return !c->layer.qkv_bias || !c->layer.out_bias;
}

static bool has_mlp_biases(const tuff_config *c)
{
    return c->layer.mlp_bias;
}

static bool has_other_heads(const tuff_config *c)
{
    return c->heads * c->head_dim != c->hidden_size;
}

static bool shares_heads(const tuff_config *c)
{
    return c->kv_heads != c->heads;
}

static bool has_dense_layers(const tuff_config *c)
{
    for (int i = 0; i < (int)c->layers; i++)
        if (!tuff_config_layer(c, i)->experts) return true;
    return false;
}

static const struct {
    const char *archs; /* GGUF's names, with a space on either side */
    bool others;       /* all but these */
    bool (*when)(const tuff_config *config);
    const char *what; /* behind the architecture's name */
} limits[] = {
    {" gptneox gpt-oss olmo2 olmoe phi2 stablelm ", false, is_tied,
     "needs output.weight, which is the embedding table of this model"},
    {" cohere2 gemma gemma2 ", false, is_untied,
     "takes the embedding table for the output, of which this model has one of its own"},
    {" gemma3 granite llama phi3 ", true, has_factors,
     "has no factors of rotary positions, as this model's have (rope_scaling)"},
    {" cohere2 gemma gemma2 gemma3 olmo2 olmoe qwen3 qwen3moe smollm3 ", false, has_attention_biases,
     "has no biases of attention, which this model has"},
    {" gpt-oss gptneox starcoder2 ", false, lacks_attention_biases,
     "needs biases of attention, which this model lacks"},
    {" smollm3 ", false, has_mlp_biases, "has no biases of feed-forward layers, which this model has"},
    {" chatglm cohere2 olmo2 phi2 qwen2 starcoder2 ", false, has_other_heads,
     "takes heads that are together as wide as the hidden states, which those of this model are not"},
    {" olmoe ", false, shares_heads, "has as many key/value heads as query heads, this model fewer"},
    {" qwen3moe ", false, has_dense_layers, "has experts in all layers, this model not"},
};

void tuff_warn_of_llama_cpp(const tuff_config *c)
{
    char name[64];
    snprintf(name, sizeof name, " %s ", c->arch->gguf);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].when(c) && (strstr(limits[i].archs, name) == NULL) == limits[i].others)
            tuff_log(TUFF_LOG_WARN, "llama.cpp's %s %s: it will not load the file; Tuff does", c->arch->gguf,
                     limits[i].what);
}
