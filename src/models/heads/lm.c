/* Language models: logits of the next token, by a matrix of its own or by the embedding table. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *states)
{
    return tuff_net_logits(net, states, false);
}

const tuff_head tuff_head_lm = {
    .name = "lm", .title = "language model", .hf_class = "ForCausalLM", .build = build};
