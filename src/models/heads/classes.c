/* Classes of whole sequences, or numbers: from the state of one token, through a layer between where the
 * architecture has one. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    const tuff_config *c = net->config;
    bool between = tuff_config_module(c, "cls") != NULL;
    if (between) x = tuff_head_dense(net, x, "cls");
    return tuff_net_linear(net, x, "cls.output", 0, c->labels, between);
}

const tuff_head tuff_head_classes = {.name = "classes",
                                     .title = "sequence classification",
                                     .hf_classes = "ForSequenceClassification",
                                     .has_labels = true,
                                     .build = build};
