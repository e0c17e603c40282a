/* Answers as parts of a text: of each token, how well an answer begins and how well it ends there. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    x = tuff_net_drop(net, TUFF_DROP_SPANS, 0, tuff_head_transform(net, x));
    return tuff_net_linear(net, x, "spans", 0, 2, true);
}

const tuff_head tuff_head_spans = {.name = "spans",
                                   .title = "question answering",
                                   .hf_classes = "ForQuestionAnswering",
                                   .peft_type = "QUESTION_ANS",
                                   .build = build};
