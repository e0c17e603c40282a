/* Masked language models: logits of the token that a mask hides. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    return tuff_head_output(net, tuff_head_transform(net, x), !net->config->output_no_bias);
}

const tuff_head tuff_head_mlm = {.name = "mlm",
                                 .title = "masked language model",
                                 .hf_classes = "ForMaskedLM ForPreTraining",
                                 .build = build};
