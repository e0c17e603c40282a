/* Classes of whole sequences, or numbers: from the state of one token, through a layer between where the
 * architecture has one. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    bool bias = tuff_config_module(net->config, "cls") != NULL; /* a decoder's one layer has none */
    return tuff_net_linear(net, tuff_head_transform(net, x), "cls.output", 0, net->config->labels, bias);
}

const tuff_head tuff_head_classes = {.name = "classes",
                                     .title = "sequence classification",
                                     .hf_classes = "ForSequenceClassification",
                                     .peft_type = "SEQ_CLS",
                                     .has_labels = true,
                                     .build = build};
