/* Masked language models: logits of the token that a mask hides. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    x = tuff_head_dense(net, x, "mlm.dense");
    x = tuff_net_norm(net, x, "mlm.norm", 0);
    return tuff_head_output(net, x, true);
}

const tuff_head tuff_head_mlm = {.name = "mlm",
                                 .title = "masked language model",
                                 .hf_classes = "ForMaskedLM ForPreTraining",
                                 .build = build};
