/* Language models: logits of the next token. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    return tuff_head_output(net, x, net->config->head->output_bias);
}

const tuff_head tuff_head_lm = {.name = "lm",
                                .title = "language model",
                                .hf_classes = "ForCausalLM LMHeadModel",
                                .peft_type = "CAUSAL_LM",
                                .build = build};
