/* Classes of tokens: names in a text, parts of speech. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    x = tuff_net_drop(net, TUFF_DROP_TOKENS, 0, tuff_head_transform(net, x));
    return tuff_net_linear(net, x, "tokens", 0, net->config->labels, true);
}

const tuff_head tuff_head_tokens = {.name = "tokens",
                                    .title = "token classification",
                                    .hf_classes = "ForTokenClassification",
                                    .peft_type = "TOKEN_CLS",
                                    .has_labels = true,
                                    .build = build};
