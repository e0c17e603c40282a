/* Classes of whole sequences, or numbers: from the state of one token, through a layer between where the
 * architecture has one. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    bool bias = tuff_config_module(net->config, "cls") != NULL; /* a decoder's one layer has none */
    x = tuff_head_transform(net, tuff_net_drop(net, TUFF_DROP_CLASSES_IN, 0, x));
    x = tuff_net_drop(net, TUFF_DROP_CLASSES_OUT, 0, x);
    return tuff_net_linear(net, x, "cls.output", 0, net->config->labels, bias);
}

const tuff_head tuff_head_classes = {.name = "classes",
                                     .title = "sequence classification",
                                     .hf_classes = "ForSequenceClassification",
                                     .peft_type = "SEQ_CLS",
                                     .has_labels = true,
                                     .build = build};
